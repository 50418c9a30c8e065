#include "hub/hub.h"

#include <stdlib.h>

#include "hub/far_state.h"

#define SLAB_COUNT_MAX (1u << 30)
#define LOOK_AGAIN_MS_MIN 1000

struct hub *hub_create(const struct hub_options *options)
{
	CHECK(options->worker < options->workers);
	CHECK(options->workers <= WORKERS_MAX);
	struct hub *hub = calloc(1, sizeof(*hub));
	if (hub == NULL)
		return NULL;

	hub->options = *options;
	if (options->lingering_max == 0)
		hub->options.lingering_max = CHANNELS_LINGERING_MAX;
	hub->out = options->out;
	hub->random.state = options->seed;
	list_init(&hub->dirty);
	list_init(&hub->carried);
	list_init(&hub->lingering);
	list_init(&hub->presences_due);
	list_init(&hub->farewells);
	if (slab_init(&hub->channels, sizeof(struct channel), SLAB_COUNT_MAX) != 0 ||
	    slab_init(&hub->followers, sizeof(struct follower), SLAB_COUNT_MAX) != 0 ||
	    slab_init(&hub->requests, sizeof(struct request), SLAB_COUNT_MAX) != 0 ||
	    slab_init(&hub->watchers, sizeof(struct watcher), SLAB_COUNT_MAX) != 0)
		goto free_hub;
	if (map_init(&hub->table) != 0)
		goto free_hub;
	if (map_init(&hub->presences) != 0)
		goto free_table;
	if (map_init(&hub->watching) != 0)
		goto free_presences;
	if (options->cluster != NULL && !far_init(hub))
		goto free_watching;
	return hub;

free_watching:
	map_free(&hub->watching);
free_presences:
	map_free(&hub->presences);
free_table:
	map_free(&hub->table);
free_hub:
	free(hub);
	return NULL;
}

static void hub_drop_owed(struct hub *hub)
{
	while (hub->owed_first != NULL) {
		struct channel_name *name = hub->owed_first;
		hub->owed_first = name->next;
		free(name);
	}
}

static void hub_drop_requests(struct hub *hub)
{
	for (uint32_t i = 0; i < slab_span(&hub->requests); i++) {
		struct request *request = slab_by_index(&hub->requests, i);
		if (request != NULL)
			request_drop(hub, request);
	}
}

void hub_destroy(struct hub *hub)
{
	if (hub == NULL)
		return;
	presence_drop_owed(hub);
	CHECK(hub->followers.count == 0); /* sessions are closed before */
	hub_drop_requests(hub);
	if (hub->far != NULL)
		far_stop(hub);
	for (uint32_t i = 0; i < slab_span(&hub->channels); i++) {
		struct channel *channel = slab_by_index(&hub->channels, i);
		if (channel != NULL)
			hub_close(hub, channel);
	}
	hub_drop_owed(hub);
	slab_free(&hub->channels);
	slab_free(&hub->followers);
	slab_free(&hub->requests);
	slab_free(&hub->watchers);
	map_free(&hub->table);
	map_free(&hub->presences);
	map_free(&hub->watching);
	if (hub->far != NULL)
		far_free(hub);
	free(hub);
}

void hub_set_time(struct hub *hub, uint64_t now_ms, uint64_t unix_us)
{
	hub->now_ms = now_ms;
	hub->unix_us = unix_us;
}

void hub_note_publish(struct hub *hub, uint64_t asked_us)
{
	if (hub->out->now_us == NULL)
		return;
	uint64_t now_us = hub->out->now_us(hub->out);
	latency_note(&hub->counters.publish, now_us > asked_us ? now_us - asked_us : 0, 1);
}

const struct hub_counters *hub_counters(const struct hub *hub)
{
	return &hub->counters;
}

uint64_t hub_session_number(const struct hub *hub, const struct session *session)
{
	struct slab_handle handle = hub->out->handle(hub->out, session);
	/* Generations count up from 1, so the number is never 0. */
	CHECK(handle.index < 1u << 24);
	return (uint64_t)hub->options.worker << 56 | (uint64_t)handle.index << 32 |
	       handle.generation;
}

/* ---- the table of channels ---- */

uint16_t hub_slot_of(struct slice channel)
{
	static const struct hash_key everywhere_the_same;
	return (uint16_t)(hash_bytes(&everywhere_the_same, channel) % SLOTS);
}

uint32_t hub_agent_of(const struct hub *hub, struct slice channel)
{
	return hub_slot_of(channel) % hub->options.workers;
}

uint64_t hub_hash(const struct hub *hub, struct slice channel)
{
	return hash_bytes(&hub->options.hash_key, channel);
}

const struct rule *hub_rule(const struct hub *hub, struct slice channel)
{
	return rules_find(hub->options.rules, channel);
}

struct channel *hub_find(const struct hub *hub, struct slice name, uint64_t hash)
{
	struct map_node *node = map_first(&hub->table, hash);
	for (; node != NULL; node = map_next(node)) {
		struct channel *channel = CONTAINER_OF(node, struct channel, in_table);
		if (channel_has_name(channel, name))
			return channel;
	}
	return NULL;
}

struct channel_name *hub_name_make(const struct hub *hub, struct slice name)
{
	CHECK(name.len > 0 && name.len <= CHANNEL_NAME_MAX);
	struct channel_name *made = malloc(sizeof(*made) + name.len);
	if (made == NULL)
		return NULL;
	made->hash = hub_hash(hub, name);
	made->len = (uint8_t)name.len;
	memcpy(made->bytes, name.at, name.len);
	return made;
}

/* An epoch that no client can have seen: 40 random bits, never beginning with a zero digit. */
uint64_t hub_make_epoch(struct hub *hub)
{
	uint64_t epoch = random_next(&hub->random) >> 24;
	return epoch == 0 ? 1 : epoch;
}

bool hub_make_keyed(struct hub *hub, struct channel *channel)
{
	if (!channel_make_keyed(channel, hub->now_ms))
		return false;
	channel->keyed->timer.kind = hub->options.walk_timer_kind;
	return true;
}

bool hub_put_older(struct hub *hub, struct channel *channel, struct record *record,
                   uint64_t added_ms)
{
	uint64_t hash = hash_bytes(&hub->options.hash_key, record_key(record));
	if (record->seq >= log_next(&channel->log))
		return true; /* it comes by the log, or nobody has it */
	return latest_put_older(&channel->keyed->latest, record, hash, added_ms);
}

struct channel *hub_open(struct hub *hub, struct slice name)
{
	struct channel *channel = hub_find(hub, name, hub_hash(hub, name));
	if (channel != NULL)
		return channel;

	uint16_t slot = hub_slot_of(name);
	bool is_agent = slot % hub->options.workers == hub->options.worker;
	if (is_agent)
		agent_make_room(hub);
	struct channel_name *own_name = hub_name_make(hub, name);
	if (own_name == NULL)
		return NULL;
	channel = slab_take(&hub->channels);
	if (channel == NULL) {
		free(own_name);
		return NULL;
	}
	channel_init(channel, own_name, hub_rule(hub, name));
	channel->timer.kind = hub->options.timer_kind;
	channel->slot = slot;
	channel->is_agent = is_agent;
	if ((channel_needs_keyed(channel) && !hub_make_keyed(hub, channel)) ||
	    (hub->far != NULL && channel->is_agent && !far_open(hub, channel))) {
		channel_free(channel);
		slab_release(&hub->channels, channel);
		return NULL;
	}
	if (channel->is_agent) {
		channel->unused_since_ms = (uint32_t)hub->now_ms;
		if (hub->far == NULL || far_slot(hub, channel->slot)->home == HOME_HERE) {
			channel->is_tuned = true;
			channel->epoch = hub_make_epoch(hub);
		}
	}
	map_insert(&hub->table, &channel->in_table, own_name->hash);
	hub->counters.channels += channel->is_agent; /* each is counted once on the node */
	return channel;
}

void hub_close(struct hub *hub, struct channel *channel)
{
	timer_stop(hub->options.wheel, &channel->timer);
	if (channel->keyed != NULL)
		timer_stop(hub->options.wheel, &channel->keyed->timer);
	if (list_is_linked(&channel->dirty))
		list_remove(&channel->dirty);
	if (channel->has_presence)
		presence_close(hub, channel);
	map_remove(&hub->table, &channel->in_table);
	agent_linger_end(hub, channel);
	if (channel->far != NULL)
		far_close(hub, channel);
	hub->counters.channels -= channel->is_agent;
	hub->behind_count -= channel->is_behind;
	hub->far_behind_count -= channel->is_far_behind;
	channel_free(channel);
	slab_release(&hub->channels, channel);
}

static void post_unfollow(struct hub *hub, struct channel_name *name)
{
	struct hub_mail mail = {.kind = MAIL_UNFOLLOW, .from = hub->options.worker, .name = name};
	uint32_t agent = hub_agent_of(hub, slice_of(name->bytes, name->len));
	hub->out->post(hub->out, agent, &mail);
}

static bool owes_presence(const struct hub *hub)
{
	return hub->entered_first != NULL || !list_is_empty(&hub->farewells);
}

/* An agent hears that its channel was given up before anything else about that channel. */
bool hub_has_room(struct hub *hub)
{
	if (owes_presence(hub)) {
		presence_post_owed(hub);
		if (owes_presence(hub))
			return false;
	}
	bool has_room = hub->out->has_room(hub->out);
	while (has_room && hub->owed_first != NULL) {
		struct channel_name *name = hub->owed_first;
		hub->owed_first = name->next;
		post_unfollow(hub, name);
		has_room = hub->out->has_room(hub->out);
	}
	return has_room;
}

static void owe_unfollow(struct hub *hub, struct channel_name *name)
{
	name->next = NULL;
	if (hub->owed_first == NULL)
		hub->owed_first = name;
	else
		hub->owed_last->next = name;
	hub->owed_last = name;
}

void hub_look_again(struct hub *hub, struct channel *channel, uint64_t delay_ms)
{
	/* What a slow follower holds back, however old, is looked at again in a while. */
	timer_arm_sooner(hub->options.wheel, &channel->timer, hub->now_ms,
	                 delay_ms > LOOK_AGAIN_MS_MIN ? delay_ms : LOOK_AGAIN_MS_MIN);
}

/* A tail that nobody here needs: the agent is told, and it goes. */
static void tail_settle(struct hub *hub, struct channel *channel)
{
	if (channel->follower_count > 0 || channel->request_count > 0) {
		uint64_t delay = channel_keeps_ms(channel, hub->now_ms);
		if (delay != UINT64_MAX)
			hub_look_again(hub, channel, delay);
		return;
	}
	struct channel_name *name = channel->name;
	if (channel->is_tuned) {
		channel->name = NULL; /* the letter has it */
		if (hub_has_room(hub))
			post_unfollow(hub, name);
		else
			owe_unfollow(hub, name);
	}
	hub_close(hub, channel);
}

void hub_settle(struct hub *hub, struct channel *channel)
{
	channel_trim(channel, hub->now_ms);
	if (channel->follower_count == 0)
		channel_settle_keyed(channel);
	if (channel->is_agent)
		agent_settle(hub, channel);
	else
		tail_settle(hub, channel);
}

/* ---- sessions ---- */

struct follower *session_follower(const struct session *session, const struct channel *channel)
{
	struct follower *follower = session->first;
	while (follower != NULL && follower->channel != channel)
		follower = follower->next_of_session;
	return follower;
}

/* What is to be told of its leaving, and cannot be yet, takes its place. */
static void follower_free(struct hub *hub, struct follower *follower, const struct farewell *owed)
{
	if (owed == NULL) {
		slab_release(&hub->followers, follower);
		return;
	}
	struct farewell *farewell = (struct farewell *)follower;
	uint32_t generation = follower->generation;
	*farewell = *owed;
	farewell->generation = generation;
	list_append(&hub->farewells, &farewell->in_list);
}

void session_unfollow(struct hub *hub, struct session *session, struct follower *follower,
                      enum parting parting)
{
	struct farewell farewell;
	bool is_owed = (follower->is_occupant || follower->is_watching) &&
	               presence_part(hub, follower, parting, &farewell);
	struct follower **link = &session->first, *before = NULL;
	while (*link != follower) {
		CHECK(*link != NULL);
		before = *link;
		link = &(*link)->next_of_session;
	}
	*link = follower->next_of_session;
	if (session->last == follower)
		session->last = before;
	session->follower_count--;

	struct channel *channel = follower->channel;
	hub->counters.stuck -= follower->state == FOLLOWER_STUCK;
	channel_leave(channel, follower);
	CHECK(channel->follower_count > 0);
	channel->follower_count--;
	follower_free(hub, follower, is_owed ? &farewell : NULL);
	hub->counters.followers--;
	hub_settle(hub, channel);
}

void hub_session_close(struct hub *hub, struct session *session)
{
	while (session->first != NULL)
		session_unfollow(hub, session, session->first, (enum parting)session->parting);
	CHECK(session->follower_count == 0);
	/* Requests under way find no session when their answers come. */
	session->request_count = 0;
}

void hub_session_ready(struct hub *hub, struct session *session)
{
	struct follower *follower = session->first;
	for (; follower != NULL && session_takes(session); follower = follower->next_of_session) {
		if (follower->is_watching)
			watcher_ready(hub, follower);
		if (follower->state != FOLLOWER_STUCK)
			continue;
		hub_feed(hub, follower);
		channel_trim(follower->channel, hub->now_ms);
	}
}

/* ---- what comes in beside commands ---- */

static void end_followers(struct hub *hub, const struct list *list)
{
	struct list_node *node = list_first(list);
	for (; node != NULL; node = list_after(list, node)) {
		struct follower *follower = CONTAINER_OF(node, struct follower, in_channel);
		if (!follower->session->is_ended)
			hub->out->end(hub->out, follower->session, HUB_END_NO_MEMORY);
	}
}

/* A record could not be kept, so this tail has a hole: its followers come again by their
 * cursors, and it takes no more records until the last one has gone. */
static void tail_abandon(struct hub *hub, struct channel *channel)
{
	channel->is_lost = true;
	end_followers(hub, &channel->live);
	end_followers(hub, &channel->stuck);
}

static void receive_record(struct hub *hub, const struct hub_mail *mail)
{
	struct record *record = mail->record;
	struct channel *channel = hub_find(hub, record_channel(record), record->channel_hash);
	/* It may have been under way while we gave up following, or before we had begun. */
	if (channel == NULL || !channel->is_tuned || channel->is_lost ||
	    channel->epoch != record->epoch) {
		hub->counters.stale_letters++;
		record_drop(record);
		return;
	}
	CHECK(record->seq == log_next(&channel->log)); /* no hole, no double */
	if (!hub_keep(hub, channel, record)) {
		record_drop(record);
		tail_abandon(hub, channel);
		return;
	}
	hub_append(hub, channel, record);
}

static void receive_rebased(struct hub *hub, const struct hub_mail *mail)
{
	struct channel_name *name = mail->name;
	struct channel *channel = hub_find(hub, slice_of(name->bytes, name->len), name->hash);
	free(name);
	if (channel == NULL || !channel->is_tuned) {
		hub->counters.stale_letters++;
		return;
	}
	channel->is_lost = false;
	hub_rebase(hub, channel, mail->epoch, mail->seq);
}

void hub_receive(struct hub *hub, const struct hub_mail *mail)
{
	switch ((enum mail_kind)mail->kind) {
	case MAIL_PUBLISH:
	case MAIL_FOLLOW:
	case MAIL_UNFOLLOW:
	case MAIL_HISTORY:
		agent_receive(hub, mail);
		break;
	case MAIL_PUBLISHED:
	case MAIL_FOLLOWED:
	case MAIL_HISTORY_READY:
	case MAIL_PRESENCE_SHOWN:
		answer_receive(hub, mail);
		break;
	case MAIL_ENTERED:
	case MAIL_LEFT:
	case MAIL_PRESENCE:
	case MAIL_NEWS:
	case MAIL_UNWATCH:
		presence_receive(hub, mail);
		break;
	case MAIL_RECORD:
		receive_record(hub, mail);
		break;
	case MAIL_REBASED:
		receive_rebased(hub, mail);
		break;
	}
}

void answer_free(struct mail_answer *answer)
{
	if (answer == NULL)
		return;
	for (size_t i = 0; i < answer->count; i++)
		record_drop(answer->records[i]);
	free(answer);
}

void hub_mail_discard(const struct hub_mail *mail)
{
	switch ((enum mail_kind)mail->kind) {
	case MAIL_PUBLISH:
	case MAIL_RECORD:
		record_drop(mail->record);
		break;
	case MAIL_FOLLOW:
	case MAIL_HISTORY:
	case MAIL_PRESENCE:
		free(mail->ask);
		break;
	case MAIL_ENTERED:
		occupant_free(mail->occupant);
		break;
	case MAIL_PRESENCE_SHOWN:
	case MAIL_NEWS:
		turnout_drop(mail->turnout);
		break;
	case MAIL_FOLLOWED:
	case MAIL_HISTORY_READY:
		answer_free(mail->answer);
		break;
	case MAIL_UNFOLLOW:
	case MAIL_REBASED:
		free(mail->name);
		break;
	case MAIL_PUBLISHED:
	case MAIL_LEFT:
	case MAIL_UNWATCH:
		break;
	}
}

static void channel_timer(struct hub *hub, struct channel *channel)
{
	if (channel->is_agent)
		agent_timer(hub, channel);
	else
		hub_settle(hub, channel);
}

void hub_timer(struct hub *hub, struct timer *timer)
{
	if (timer->kind == hub->options.timer_kind)
		channel_timer(hub, CONTAINER_OF(timer, struct channel, timer));
	else if (timer->kind == hub->options.presence_timer_kind)
		presence_timer(hub, CONTAINER_OF(timer, struct presence, timer));
	else
		walk_timer(hub, CONTAINER_OF(timer, struct channel_keyed, timer));
}

/* ---- showing what there is ---- */

void hub_counters_add(struct hub_counters *sum, const struct hub_counters *counters)
{
	sum->published += counters->published;
	sum->duplicates += counters->duplicates;
	sum->delivered += counters->delivered;
	sum->stale_letters += counters->stale_letters;
	sum->slow_disconnected += counters->slow_disconnected;
	sum->slow_dropped += counters->slow_dropped;
	sum->slow_conflated += counters->slow_conflated;
	sum->errands += counters->errands;
	sum->errands_failed += counters->errands_failed;
	sum->resyncs += counters->resyncs;
	sum->gaps_far += counters->gaps_far;
	sum->merged += counters->merged;
	sum->forgotten += counters->forgotten;
	sum->channels += counters->channels;
	sum->followers += counters->followers;
	sum->throttled += counters->throttled;
	sum->left_out_dropped += counters->left_out_dropped;
	sum->left_out_conflated += counters->left_out_conflated;
	sum->left_out_throttled += counters->left_out_throttled;
	sum->stuck += counters->stuck;
	sum->members += counters->members;
	sum->watchers += counters->watchers;
	sum->presence_news += counters->presence_news;
	sum->presence_reported += counters->presence_reported;
	sum->presence_repaired += counters->presence_repaired;
	sum->presence_shown += counters->presence_shown;
	latency_add(&sum->publish, &counters->publish);
	latency_add(&sum->delivery, &counters->delivery);
}

static uint64_t lag_of(const struct channel *channel)
{
	uint64_t bytes = 0;
	const struct list_node *node = list_first(&channel->stuck);
	for (; node != NULL; node = list_after(&channel->stuck, node))
		bytes +=
			channel_lag(channel, CONTAINER_OF(node, const struct follower, in_channel));
	return bytes;
}

bool hub_lag(const struct hub *hub, uint32_t *place, uint32_t budget, uint64_t *bytes)
{
	uint32_t span = slab_span(&hub->channels);
	if (hub->counters.stuck == 0)
		return true;
	for (; *place < span && budget > 0; ++*place, budget--) {
		const struct channel *channel = slab_by_index(&hub->channels, *place);
		if (channel != NULL)
			*bytes += lag_of(channel);
	}
	return *place >= span;
}

static uint32_t count_of(const struct list *list)
{
	uint32_t count = 0;
	const struct list_node *node = list_first(list);
	for (; node != NULL; node = list_after(list, node))
		count++;
	return count;
}

uint32_t hub_dirty_channels(const struct hub *hub)
{
	return count_of(&hub->dirty) + count_of(&hub->carried);
}

static bool is_shown(const struct channel *channel)
{
	return channel_is_followed(channel) || channel_shows_any(channel);
}

static struct hub_listed listed(const struct hub *hub, const struct channel *channel)
{
	return (struct hub_listed){
		.name = channel_name(channel),
		.followers = channel->follower_count,
		.is_home = channel->is_agent && far_is_home(hub, channel->slot),
		.is_agent = channel->is_agent && channel->is_tuned,
		.epoch = channel->epoch,
		.seq = log_next(&channel->log) - 1,
	};
}

uint32_t hub_channel_span(const struct hub *hub)
{
	return slab_span(&hub->channels);
}

bool hub_channel_at(const struct hub *hub, uint32_t place, struct hub_listed *out)
{
	const struct channel *channel = slab_by_index(&hub->channels, place);
	if (channel == NULL || !is_shown(channel))
		return false;
	*out = listed(hub, channel);
	return true;
}

bool hub_look_up(const struct hub *hub, struct slice name, struct hub_listed *out)
{
	const struct channel *channel = hub_find(hub, name, hub_hash(hub, name));
	if (channel == NULL || !is_shown(channel))
		return false;
	*out = listed(hub, channel);
	return true;
}

enum rule_presence hub_presence_of(const struct hub *hub, struct slice name)
{
	return hub_rule(hub, name)->presence;
}

bool hub_knows_presence(const struct hub *hub, struct slice name)
{
	if (hub_agent_of(hub, name) != hub->options.worker)
		return false;
	if (hub->far == NULL)
		return true;
	const struct hub_slot *slot = far_slot(hub, hub_slot_of(name));
	return slot->home == HOME_HERE && far_is_whole(slot);
}

const struct occupants *hub_occupants(const struct hub *hub, struct slice name)
{
	const struct channel *channel = hub_find(hub, name, hub_hash(hub, name));
	const struct presence *presence = channel == NULL ? NULL : presence_of(hub, channel);
	return presence == NULL ? NULL : &presence->occupants;
}

const struct occupant *hub_occupant(const struct hub *hub, const struct occupants *occupants,
                                    struct slice user)
{
	const struct occupant *one =
		occupants_find(occupants, user, hash_bytes(&hub->options.hash_key, user));
	return one != NULL && one->is_present ? one : NULL;
}
