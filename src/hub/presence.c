#include "hub/presence.h"

#include <stdlib.h>

#include "hub/hub_state.h"

#define EXPIRED_MAX 1024 /* occupants of a channel that are away by one timer */

/* ---- finding ---- */

struct presence *presence_of(const struct hub *hub, const struct channel *channel)
{
	if (!channel->has_presence)
		return NULL;
	struct map_node *node =
		map_first(&hub->presences, slab_handle_of(&hub->channels, channel).index);
	CHECK(node != NULL);
	return CONTAINER_OF(node, struct presence, in_hub);
}

bool presence_has_rule(const struct channel *channel)
{
	return channel->rule->presence != RULE_PRESENCE_NO;
}

struct parting_grace presence_grace(const struct channel *channel)
{
	uint32_t grace = channel->rule->presence_grace_ms;
	return (struct parting_grace){
		.ms = {[PARTING_LOST] = grace,
	               [PARTING_POLLED] = grace > PRESENCE_POLL_MS ? grace : PRESENCE_POLL_MS,
	               [PARTING_ORPHANED] = 2 * grace}};
}

/* ---- opening and closing ---- */

struct presence *presence_open(struct hub *hub, struct channel *channel)
{
	struct presence *presence = presence_of(hub, channel);
	if (presence != NULL)
		return presence;
	presence = calloc(1, sizeof(*presence));
	if (presence == NULL || occupants_init(&presence->occupants) != 0) {
		free(presence);
		return NULL;
	}
	presence->channel = channel;
	presence->timer.kind = hub->options.presence_timer_kind;
	presence->told_ms = hub->now_ms - PRESENCE_INTERVAL_MS;
	list_init(&presence->watchers);
	if (channel->is_agent && hub->far != NULL && !presence_far_open(hub, presence)) {
		occupants_free(&presence->occupants);
		free(presence);
		return NULL;
	}
	map_insert(&hub->presences, &presence->in_hub,
	           slab_handle_of(&hub->channels, channel).index);
	channel->has_presence = true;
	return presence;
}

bool presence_prepare(struct hub *hub, struct channel *channel)
{
	return !presence_has_rule(channel) || presence_open(hub, channel) != NULL;
}

bool presence_is_held(const struct hub *hub, const struct channel *channel)
{
	const struct presence *presence = presence_of(hub, channel);
	return presence != NULL &&
	       (!occupants_is_empty(&presence->occupants) ||
	        (presence->far != NULL && !list_is_empty(&presence->far->asks)));
}

bool presence_lingers(const struct hub *hub, const struct channel *channel)
{
	const struct presence *presence = presence_of(hub, channel);
	return presence == NULL ||
	       (occupants_are_leaving(&presence->occupants) && !presence_is_watched(presence) &&
	        (presence->far == NULL || list_is_empty(&presence->far->asks)));
}

/* Each is counted once in a cluster. */
static void count_occupants(struct hub *hub, struct presence *presence)
{
	uint32_t count = presence_leads(presence) ? presence->occupants.count : 0;
	hub->counters.members += count - presence->counted;
	presence->counted = count;
}

void presence_close(struct hub *hub, struct channel *channel)
{
	struct presence *presence = presence_of(hub, channel);
	if (presence == NULL)
		return;
	CHECK(list_is_empty(&presence->watchers));
	watcher_end_walk(presence);
	if (list_is_linked(&presence->due))
		list_remove(&presence->due);
	timer_stop(hub->options.wheel, &presence->timer);
	map_remove(&hub->presences, &presence->in_hub);
	channel->has_presence = false;
	hub->counters.members -= presence->counted;
	presence_far_close(hub, presence);
	occupants_free(&presence->occupants);
	free(presence);
}

/* ---- on the agent: the set has changed, or who is told of it ---- */

bool presence_is_watched(const struct presence *presence)
{
	const struct presence_far *far = presence->far;
	return !list_is_empty(&presence->watchers) ||
	       channel_any(presence->workers, CHANNEL_WORKER_WORDS) ||
	       (far != NULL && channel_any(far->nodes, CHANNEL_NODE_WORDS));
}

bool presence_tells_names(const struct presence *presence)
{
	/* A mirror is as large as its home has said just now. */
	bool is_large =
		presence_leads(presence) ? presence->is_large : presence->occupants.is_numbered;
	return presence->channel->rule->presence == RULE_PRESENCE_FULL && !is_large;
}

/* A channel that has become large is so until it is half as large: who is told names again needs
 * all of them. */
static void set_large(struct presence *presence)
{
	const struct occupants *occupants = &presence->occupants;
	bool was_large = presence->is_large;
	if (!presence_leads(presence)) {
		presence->is_large = occupants->is_numbered;
		return;
	}
	uint32_t most = was_large ? PRESENCE_NAMES_MAX / 2 : PRESENCE_NAMES_MAX;
	uint64_t bytes = was_large ? PRESENCE_BYTES_MAX / 2 : PRESENCE_BYTES_MAX;
	presence->is_large = occupants->count > most || occupants->bytes > bytes;
}

void presence_changed(struct hub *hub, struct presence *presence)
{
	struct occupants *occupants = &presence->occupants;
	bool was_large = presence->is_large, is_watched = presence_is_watched(presence);
	set_large(presence);
	occupants_tell(occupants, is_watched && presence_tells_names(presence));
	if (!is_watched)
		occupants_skip(occupants);
	else if (was_large && !presence->is_large)
		occupants_redo(occupants); /* they had the number alone */
	count_occupants(hub, presence);
	if (presence->far != NULL)
		presence_far_settle(hub, presence);
	watcher_schedule(hub, presence);
	if (occupants_is_empty(occupants))
		agent_settle(hub, presence->channel);
}

/* When the first of those who are leaving is away. */
static void await_grace(struct hub *hub, struct presence *presence)
{
	struct parting_grace grace = presence_grace(presence->channel);
	uint64_t left = occupants_expire(&presence->occupants, &grace, hub->now_ms, 0);
	if (left != UINT64_MAX)
		timer_arm_sooner(hub->options.wheel, &presence->timer, hub->now_ms, left);
}

void presence_reported(struct hub *hub, struct presence *presence)
{
	await_grace(hub, presence);
	presence_changed(hub, presence);
}

/* Without watchers nothing is needed but the agent's set. */
void presence_settle(struct hub *hub, struct presence *presence)
{
	struct channel *channel = presence->channel;
	if (channel->is_agent)
		presence_changed(hub, presence);
	else if (list_is_empty(&presence->watchers))
		presence_close(hub, channel);
}

void presence_timer(struct hub *hub, struct presence *presence)
{
	if (!presence->channel->is_agent) {
		watcher_make_due(hub, presence);
		return;
	}
	struct parting_grace grace = presence_grace(presence->channel);
	(void)occupants_expire(&presence->occupants, &grace, hub->now_ms, EXPIRED_MAX);
	await_grace(hub, presence);
	if (presence->is_retrying)
		watcher_make_due(hub, presence);
	presence_changed(hub, presence);
}

static void agent_enter(struct hub *hub, struct presence *presence, uint32_t source,
                        struct occupant *occupant)
{
	uint64_t hash = hash_bytes(&hub->options.hash_key, occupant_user(occupant));
	occupants_enter(&presence->occupants, source, occupant, hash);
	presence_changed(hub, presence);
}

static void agent_leave(struct hub *hub, struct presence *presence, uint32_t source, uint64_t user,
                        enum parting parting)
{
	struct parting_grace grace = presence_grace(presence->channel);
	if (occupants_leave(&presence->occupants, source, user, parting, &grace, hub->now_ms))
		presence_reported(hub, presence);
}

/* ---- letters that are owed ---- */

static void post_entered(struct hub *hub, struct occupant *occupant)
{
	struct hub_mail mail = {
		.kind = MAIL_ENTERED, .from = hub->options.worker, .occupant = occupant};
	hub->out->post(hub->out, hub_agent_of(hub, occupant_channel(occupant)), &mail);
}

static void post_left(struct hub *hub, const struct farewell *farewell, uint32_t agent)
{
	struct hub_mail mail = {.kind = MAIL_LEFT,
	                        .parting = farewell->parting,
	                        .from = hub->options.worker,
	                        .epoch = farewell->channel,
	                        .seq = farewell->user};
	hub->out->post(hub->out, agent, &mail);
}

static struct occupant *take_owed(struct hub *hub)
{
	struct occupant *occupant = hub->entered_first;
	hub->entered_first = occupant->next;
	occupant->next = NULL;
	return occupant;
}

/* Who entered comes before who left: it may be the same one. */
void presence_post_owed(struct hub *hub)
{
	struct list_node *node;
	while (hub->entered_first != NULL && hub->out->has_room(hub->out))
		post_entered(hub, take_owed(hub));
	while (hub->entered_first == NULL && (node = list_first(&hub->farewells)) != NULL &&
	       hub->out->has_room(hub->out)) {
		struct farewell *farewell = CONTAINER_OF(node, struct farewell, in_list);
		list_remove(node);
		post_left(hub, farewell, farewell->agent);
		slab_release(&hub->followers, farewell);
	}
}

void presence_drop_owed(struct hub *hub)
{
	struct list_node *node;
	while (hub->entered_first != NULL)
		occupant_free(take_owed(hub));
	while ((node = list_first(&hub->farewells)) != NULL) {
		list_remove(node);
		slab_release(&hub->followers, CONTAINER_OF(node, struct farewell, in_list));
	}
}

static void tell_entered(struct hub *hub, struct occupant *occupant)
{
	if (hub_has_room(hub)) {
		post_entered(hub, occupant);
		return;
	}
	if (hub->entered_first == NULL)
		hub->entered_first = occupant;
	else
		hub->entered_last->next = occupant;
	hub->entered_last = occupant;
}

/* ---- followers come and go ---- */

/* Its user is present. False: no memory. */
static bool enter(struct hub *hub, struct follower *follower)
{
	struct channel *channel = follower->channel;
	const struct session *session = follower->session;
	struct presence *presence = channel->is_agent ? presence_open(hub, channel) : NULL;
	if (channel->is_agent && presence == NULL)
		return false;
	struct slice info = claims_info(session->claims);
	struct blob *kept = info.len == 0 ? NULL : blob_copy(info);
	if (info.len > 0 && kept == NULL)
		return false;
	struct slice named = channel->is_agent ? slice_of(NULL, 0) : channel_name(channel);
	struct occupant *occupant = occupant_make(session_user(session), named, kept);
	if (occupant == NULL)
		return false;
	follower->is_occupant = true;
	if (channel->is_agent)
		agent_enter(hub, presence, hub->options.worker, occupant);
	else
		tell_entered(hub, occupant);
	return true;
}

static bool may_enter(const struct follower *follower)
{
	return presence_has_rule(follower->channel) && !follower->is_occupant &&
	       session_user(follower->session).len > 0;
}

static void end_for_memory(struct hub *hub, struct session *session)
{
	if (!session->is_ended)
		hub->out->end(hub->out, session, HUB_END_NO_MEMORY);
}

void presence_join(struct hub *hub, struct follower *follower, struct slice ref)
{
	bool wants_news = follower->is_watching;
	follower->is_watching = false;
	if (may_enter(follower) && !enter(hub, follower))
		end_for_memory(hub, follower->session);
	else if (wants_news)
		watcher_begin(hub, follower, ref);
}

void presence_review(struct hub *hub, struct follower *follower)
{
	if (follower->state != FOLLOWER_PENDING && may_enter(follower) && !enter(hub, follower))
		end_for_memory(hub, follower->session);
}

/* True: its letter is owed. */
static bool leave(struct hub *hub, struct follower *follower, enum parting parting,
                  struct farewell *farewell)
{
	struct channel *channel = follower->channel;
	*farewell = (struct farewell){
		.parting = (uint8_t)parting,
		.agent = channel->slot % hub->options.workers,
		.channel = channel->name->hash,
		.user = hash_bytes(&hub->options.hash_key, session_user(follower->session)),
	};
	if (channel->is_agent)
		agent_leave(hub, presence_of(hub, channel), hub->options.worker, farewell->user,
		            parting);
	else if (hub_has_room(hub))
		post_left(hub, farewell, farewell->agent);
	else
		return true;
	follower->is_occupant = false;
	return false;
}

bool presence_part(struct hub *hub, struct follower *follower, enum parting parting,
                   struct farewell *farewell)
{
	if (follower->is_watching)
		watcher_end(hub, follower);
	return follower->is_occupant && leave(hub, follower, parting, farewell);
}

/* ---- letters ---- */

struct turnout *presence_show(struct hub *hub, const struct channel *channel, struct slice name)
{
	struct presence *presence = channel == NULL ? NULL : presence_of(hub, channel);
	struct occupants nobody = {0};
	if (presence == NULL)
		return occupants_all(&nobody, name,
		                     hub_rule(hub, name)->presence == RULE_PRESENCE_FULL);
	return occupants_all(&presence->occupants, name, presence_tells_names(presence));
}

static struct channel *channel_by_hash(const struct hub *hub, uint64_t hash)
{
	struct map_node *node = map_first(&hub->table, hash);
	return node == NULL ? NULL : CONTAINER_OF(node, struct channel, in_table);
}

/* Without memory nobody knows of it: better one too few than a ghost. */
static void receive_entered(struct hub *hub, const struct hub_mail *mail)
{
	struct occupant *occupant = mail->occupant;
	struct channel *channel = hub_open(hub, occupant_channel(occupant));
	struct presence *presence = channel == NULL ? NULL : presence_open(hub, channel);
	if (presence == NULL)
		occupant_free(occupant);
	else
		agent_enter(hub, presence, mail->from, occupant_arrive(occupant));
	if (channel != NULL)
		agent_settle(hub, channel);
}

static void receive_left(struct hub *hub, const struct hub_mail *mail)
{
	struct channel *channel = channel_by_hash(hub, mail->epoch);
	struct presence *presence = channel == NULL ? NULL : presence_of(hub, channel);
	if (presence != NULL)
		agent_leave(hub, presence, mail->from, mail->seq, (enum parting)mail->parting);
}

static void set_watches(struct hub *hub, struct presence *presence, uint32_t worker, bool watches)
{
	uint64_t bit = 1ull << worker % 64, *word = &presence->workers[worker / 64];
	if (((*word & bit) != 0) == watches)
		return;
	*word ^= bit;
	presence_changed(hub, presence);
}

void presence_unfollow(struct hub *hub, struct channel *channel, uint32_t worker)
{
	struct presence *presence = presence_of(hub, channel);
	if (presence != NULL)
		set_watches(hub, presence, worker, false);
}

static void receive_unwatch(struct hub *hub, const struct hub_mail *mail)
{
	struct channel *channel = channel_by_hash(hub, mail->epoch);
	if (channel != NULL)
		presence_unfollow(hub, channel, mail->from);
}

/* Who asks for news is shown the occupants as they are before any of it. */
static enum error_code begin_watch(struct hub *hub, struct slice name, uint32_t worker)
{
	struct channel *channel = hub_open(hub, name);
	if (channel == NULL)
		return ERROR_UNAVAILABLE;
	struct presence *presence = presence_has_rule(channel) ? presence_open(hub, channel) : NULL;
	if (presence != NULL)
		set_watches(hub, presence, worker, true);
	agent_settle(hub, channel);
	return presence != NULL             ? ERROR_NONE
	       : presence_has_rule(channel) ? ERROR_UNAVAILABLE
	                                    : ERROR_NOT_FOUND;
}

void presence_answer(struct hub *hub, const struct hub_mail *mail, enum error_code error)
{
	struct slice name = slice_of(mail->ask->name, mail->ask->name_len);
	struct hub_mail back = {.kind = MAIL_PRESENCE_SHOWN,
	                        .error = (uint8_t)error,
	                        .from = hub->options.worker,
	                        .token = mail->token};
	if (error == ERROR_NONE)
		back.turnout = presence_show(hub, hub_find(hub, name, hub_hash(hub, name)), name);
	if (error == ERROR_NONE && back.turnout == NULL)
		back.error = ERROR_UNAVAILABLE;
	free(mail->ask);
	agent_reply(hub, mail->from, &back);
}

/* Where the set is not whole, or is another node's, the answer waits. False: it cannot. */
static bool wait_for_whole(struct hub *hub, const struct hub_mail *mail, bool *waits)
{
	struct slice name = slice_of(mail->ask->name, mail->ask->name_len);
	struct channel *channel = hub->far == NULL ? NULL : hub_open(hub, name);
	struct presence *presence = channel == NULL ? NULL : presence_open(hub, channel);
	bool is_whole = hub->far == NULL;
	if (presence != NULL)
		is_whole = presence_is_whole(hub, presence);
	*waits = !is_whole && presence != NULL && presence_wait(hub, presence, mail);
	if (channel != NULL)
		agent_settle(hub, channel);
	return is_whole || *waits;
}

static void receive_ask(struct hub *hub, const struct hub_mail *mail)
{
	struct slice name = slice_of(mail->ask->name, mail->ask->name_len);
	enum error_code error = ERROR_NONE;
	bool waits = false;
	if (mail->ask->is_watch)
		error = begin_watch(hub, name, mail->from);
	if (error == ERROR_NONE && !wait_for_whole(hub, mail, &waits))
		error = ERROR_UNAVAILABLE;
	if (!waits)
		presence_answer(hub, mail, error);
}

void presence_receive(struct hub *hub, const struct hub_mail *mail)
{
	switch ((enum mail_kind)mail->kind) {
	case MAIL_ENTERED:
		receive_entered(hub, mail);
		break;
	case MAIL_LEFT:
		receive_left(hub, mail);
		break;
	case MAIL_PRESENCE:
		receive_ask(hub, mail);
		break;
	case MAIL_NEWS:
		watcher_receive(hub, mail);
		break;
	default:
		CHECK(mail->kind == MAIL_UNWATCH);
		receive_unwatch(hub, mail);
		break;
	}
}

/* ---- another rule ---- */

static bool enter_all(struct hub *hub, struct list *followers)
{
	struct list_node *node = list_first(followers);
	for (; node != NULL; node = list_after(followers, node)) {
		struct follower *follower = CONTAINER_OF(node, struct follower, in_channel);
		if (may_enter(follower) && !enter(hub, follower))
			return false;
	}
	return true;
}

/* They are told that no more news comes. */
static bool leave_all(struct hub *hub, struct list *followers)
{
	struct farewell farewell;
	struct list_node *node = list_first(followers);
	for (; node != NULL; node = list_after(followers, node)) {
		struct follower *follower = CONTAINER_OF(node, struct follower, in_channel);
		if (follower->is_watching) {
			watcher_end(hub, follower);
			watcher_refuse(hub, follower);
		}
		if (follower->is_occupant && leave(hub, follower, PARTING_LEFT, &farewell))
			return false;
	}
	return true;
}

bool presence_adopt(struct hub *hub, struct channel *channel, const struct rule *before)
{
	enum rule_presence was = before->presence, is = channel->rule->presence;
	bool is_good = true;
	if (was == is)
		return true;
	if (was == RULE_PRESENCE_NO)
		is_good = enter_all(hub, &channel->live) && enter_all(hub, &channel->stuck);
	else if (is == RULE_PRESENCE_NO)
		is_good = leave_all(hub, &channel->live) && leave_all(hub, &channel->stuck);
	struct presence *presence = presence_of(hub, channel);
	if (!is_good || !channel->is_agent || presence == NULL)
		return is_good;
	presence_reported(hub, presence);
	occupants_redo(&presence->occupants); /* they are to be told more than before, or less */
	watcher_schedule(hub, presence);
	return true;
}
