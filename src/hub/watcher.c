/*
 * Those who are told who is present, and when.
 *
 * The agent's set changes by reports alone, and its news goes out by the walk at the end of a turn,
 * so that what happens in one turn, or in PRESENCE_INTERVAL_MS, is one piece. `version` orders it
 * all: a watcher that is shown the whole set is at that version, and of news it is told what is
 * newer. News tells from which version on it is complete (`base`); a watcher that has seen less
 * has missed a piece, because its sink took nothing, and is shown the whole set instead.
 */
#include <stdlib.h>

#include "hub/hub_state.h"

#define RETRY_MS 250        /* after something could not be had: memory, or room in the post */
#define ENTRIES_PER_VISIT 8 /* of news: telling so many is as much work as a visit without */

const char *const hub_why_no_presence = "this channel's rule has no presence";

void watcher_make_due(struct hub *hub, struct presence *presence)
{
	if (!list_is_linked(&presence->due))
		list_append(&hub->presences_due, &presence->due);
}

static void try_again(struct hub *hub, struct presence *presence)
{
	presence->is_retrying = true;
	timer_arm_sooner(hub->options.wheel, &presence->timer, hub->now_ms, RETRY_MS);
}

/* News goes out with the next walk, or when its time has come; or when the walk under way ends. */
void watcher_schedule(struct hub *hub, struct presence *presence)
{
	uint64_t since = hub->now_ms - presence->told_ms;
	if (presence->is_walking || !occupants_have_news(&presence->occupants) ||
	    !presence_is_whole(hub, presence))
		return;
	if (since >= PRESENCE_INTERVAL_MS)
		watcher_make_due(hub, presence);
	else
		timer_arm_sooner(hub->options.wheel, &presence->timer, hub->now_ms,
		                 PRESENCE_INTERVAL_MS - since);
}

void watcher_end_walk(struct presence *presence)
{
	turnout_drop(presence->news);
	turnout_drop(presence->whole);
	presence->news = presence->whole = NULL;
	presence->walk = NULL;
	presence->is_walking = false;
}

/* ---- what one is told ---- */

static void refuse_watcher(struct hub *hub, const struct follower *follower, struct slice ref,
                           enum error_code error, const char *why)
{
	struct hub_event event = {.type = EVENT_ERROR,
	                          .ref = ref,
	                          .channel = channel_name(follower->channel),
	                          .error = error,
	                          .message = why};
	if (!follower->session->is_ended)
		hub->out->event(hub->out, follower->session, &event);
}

static void tell_number(struct hub *hub, const struct watcher *watcher,
                        const struct turnout *turnout)
{
	struct hub_event event = {.type = EVENT_PRESENCE,
	                          .channel = channel_name(watcher->follower->channel),
	                          .turnout = turnout};
	hub->out->event(hub->out, watcher->follower->session, &event);
}

static bool has_user(const struct turnout *turnout, struct slice user)
{
	uint32_t i = 0;
	while (i < turnout->count && !slice_equals(turnout_user(&turnout->entries[i]), user))
		i++;
	return i < turnout->count;
}

/* All, oneself included, of whom a home elsewhere may not have heard when it made the list. */
static void tell_list(struct hub *hub, const struct watcher *watcher, const struct turnout *turnout)
{
	const struct follower *follower = watcher->follower;
	struct session *session = follower->session;
	struct hub_event event = {.type = EVENT_PRESENCE,
	                          .channel = channel_name(follower->channel),
	                          .turnout = turnout};
	if (turnout->has_names && follower->is_occupant &&
	    !has_user(turnout, session_user(session))) {
		event.user = session_user(session);
		event.data = claims_info(session->claims);
	}
	hub->out->event(hub->out, session, &event);
}

/* Of the others. */
static void tell_entry(struct hub *hub, const struct watcher *watcher,
                       const struct turnout_entry *entry)
{
	struct session *session = watcher->follower->session;
	if (entry->is_recounted || entry->version <= watcher->seen ||
	    slice_equals(turnout_user(entry), session_user(session)))
		return;
	struct hub_event event = {
		.type = entry->is_present ? EVENT_JOINED : EVENT_LEFT,
		.channel = channel_name(watcher->follower->channel),
		.user = turnout_user(entry),
		.data = occupant_info(entry->info),
	};
	hub->out->event(hub->out, session, &event);
}

static void tell_news(struct hub *hub, struct watcher *watcher, const struct turnout *news)
{
	if (!news->has_names)
		tell_number(hub, watcher, news);
	for (uint32_t i = 0; news->has_names && i < news->count; i++)
		tell_entry(hub, watcher, &news->entries[i]);
	watcher->seen = news->version;
	watcher->is_behind = false;
}

static void tell_whole(struct hub *hub, struct watcher *watcher, const struct turnout *whole)
{
	tell_list(hub, watcher, whole);
	watcher->seen = whole->version;
	watcher->is_behind = false;
	hub->counters.presence_shown++;
}

/* False: no memory, or no room. */
static bool ask_whole(struct hub *hub, struct watcher *watcher)
{
	struct channel *channel = watcher->follower->channel;
	struct hub_command command = {.channel = channel_name(channel), .wants_presence = true};
	struct hub_mail mail = {.kind = MAIL_PRESENCE};
	if (!hub_has_room(hub) || (mail.ask = ask_make(&command)) == NULL)
		return false;
	struct request *request = request_make(hub, NULL, mail.kind, command.ref);
	if (request == NULL) {
		free(mail.ask);
		return false;
	}
	request->channel = channel;
	channel->request_count++;
	request->watcher = slab_handle_of(&hub->watchers, watcher);
	watcher->is_asking = true;
	ask_agent(hub, command.channel, request, &mail);
	return true;
}

static bool show_whole(struct hub *hub, struct presence *presence, struct watcher *watcher)
{
	struct channel *channel = presence->channel;
	struct occupants *occupants = &presence->occupants;
	if (!presence_is_whole(hub, presence))
		return true; /* it is visited again when it is */
	if (presence->whole != NULL && presence->whole->version != occupants->version) {
		turnout_drop(presence->whole);
		presence->whole = NULL;
	}
	if (presence->whole == NULL)
		presence->whole = occupants_all(occupants, channel_name(channel),
		                                presence_tells_names(presence));
	if (presence->whole == NULL)
		return false;
	tell_whole(hub, watcher, presence->whole);
	return true;
}

/* Is what it knows good enough to be told news on top? */
static bool fits(const struct watcher *watcher, const struct turnout *news)
{
	return !watcher->is_behind && (!news->has_names || (watcher->seen >= news->base &&
	                                                    watcher->seen < news->redo_from));
}

/* It is told what it does not know, if its sink takes anything. */
static void visit(struct hub *hub, struct presence *presence, struct watcher *watcher)
{
	const struct turnout *news = presence->news;
	if (!session_takes(watcher->follower->session) || watcher->is_asking)
		return;
	if (!watcher->is_behind && watcher->seen >= presence->version)
		return;
	if (news != NULL && fits(watcher, news)) {
		tell_news(hub, watcher, news);
		return;
	}
	bool is_good = presence->channel->is_agent ? show_whole(hub, presence, watcher)
	                                           : ask_whole(hub, watcher);
	if (!is_good)
		try_again(hub, presence);
}

/* Outside of a walk nothing is kept of what it was shown. */
static void visit_alone(struct hub *hub, struct watcher *watcher)
{
	struct presence *presence = presence_of(hub, watcher->follower->channel);
	visit(hub, presence, watcher);
	if (!presence->is_walking)
		watcher_end_walk(presence);
}

/* ---- one comes and goes ---- */

static struct watcher *watcher_of(const struct hub *hub, const struct follower *follower)
{
	if (!follower->is_watching)
		return NULL;
	struct map_node *node =
		map_first(&hub->watching, slab_handle_of(&hub->followers, follower).index);
	return node == NULL ? NULL : CONTAINER_OF(node, struct watcher, in_hub);
}

static struct watcher *watcher_make(struct hub *hub, struct follower *follower)
{
	struct presence *presence = presence_open(hub, follower->channel);
	if (presence == NULL)
		return NULL;
	struct watcher *watcher = slab_take(&hub->watchers);
	if (watcher == NULL) {
		presence_settle(hub, presence);
		return NULL;
	}
	watcher->follower = follower;
	follower->is_watching = true;
	map_insert(&hub->watching, &watcher->in_hub,
	           slab_handle_of(&hub->followers, follower).index);
	list_append(&presence->watchers, &watcher->in_presence);
	hub->counters.watchers++;
	presence_settle(hub, presence);
	return watcher;
}

void watcher_begin(struct hub *hub, struct follower *follower, struct slice ref)
{
	if (!presence_has_rule(follower->channel)) {
		refuse_watcher(hub, follower, ref, ERROR_NOT_FOUND, hub_why_no_presence);
		return;
	}
	struct watcher *watcher = watcher_of(hub, follower);
	if (watcher == NULL)
		watcher = watcher_make(hub, follower);
	if (watcher == NULL) {
		refuse_watcher(hub, follower, ref, ERROR_UNAVAILABLE,
		               "the server is out of memory");
		return;
	}
	watcher->is_behind = true;
	visit_alone(hub, watcher);
}

void watcher_end(struct hub *hub, struct follower *follower)
{
	struct watcher *watcher = watcher_of(hub, follower);
	follower->is_watching = false;
	if (watcher == NULL) /* it never came to that */
		return;
	struct presence *presence = presence_of(hub, follower->channel);
	if (presence->walk == &watcher->in_presence)
		presence->walk = list_after(&presence->watchers, presence->walk);
	list_remove(&watcher->in_presence);
	map_remove(&hub->watching, &watcher->in_hub);
	slab_release(&hub->watchers, watcher);
	hub->counters.watchers--;
	presence_settle(hub, presence);
}

void watcher_refuse(struct hub *hub, const struct follower *follower)
{
	refuse_watcher(hub, follower, slice_of(NULL, 0), ERROR_NOT_FOUND, hub_why_no_presence);
}

void watcher_ready(struct hub *hub, struct follower *follower)
{
	struct watcher *watcher = watcher_of(hub, follower);
	if (watcher != NULL)
		visit_alone(hub, watcher);
}

/* ---- the walk ---- */

/* Without memory, or room in the post, it is tried again when the next news would be due. */
static void give_out_news(struct hub *hub, struct presence *presence)
{
	if (!occupants_have_news(&presence->occupants) ||
	    hub->now_ms - presence->told_ms < PRESENCE_INTERVAL_MS ||
	    !presence_is_whole(hub, presence))
		return;
	presence->told_ms = hub->now_ms;
	struct turnout *news = hub_has_room(hub) ? occupants_take(&presence->occupants,
	                                                          channel_name(presence->channel))
	                                         : NULL;
	if (news == NULL)
		return;
	for (uint32_t worker = 0; worker < hub->options.workers; worker++) {
		if ((presence->workers[worker / 64] >> worker % 64 & 1) == 0)
			continue;
		struct hub_mail mail = {.kind = MAIL_NEWS,
		                        .from = hub->options.worker,
		                        .turnout = turnout_take(news)};
		hub->out->post(hub->out, worker, &mail);
	}
	presence_tell_nodes(hub, presence, news);
	hub->counters.presence_news++;
	presence->news = news;
	presence->version = news->version;
}

static void walk_begin(struct hub *hub, struct presence *presence)
{
	if (presence->channel->is_agent)
		give_out_news(hub, presence);
	presence->walk = list_first(&presence->watchers);
	presence->is_walking = true;
	presence->is_retrying = false;
}

static uint32_t cost_of(const struct presence *presence)
{
	return 1 + (presence->news == NULL ? 0 : presence->news->count / ENTRIES_PER_VISIT);
}

static void walk_share(struct hub *hub, struct presence *presence, uint32_t *budget)
{
	uint32_t share = *budget < WALK_FOLLOWERS_MAX ? *budget : WALK_FOLLOWERS_MAX;
	uint32_t left = share, cost;
	list_remove(&presence->due);
	if (!presence->is_walking)
		walk_begin(hub, presence);
	for (; presence->walk != NULL && left > 0; left -= cost < left ? cost : left) {
		struct watcher *watcher = CONTAINER_OF(presence->walk, struct watcher, in_presence);
		presence->walk = list_after(&presence->watchers, presence->walk);
		cost = cost_of(presence);
		visit(hub, presence, watcher);
	}
	*budget -= left < share ? share - left : 1; /* giving out news is work, too */
	if (presence->walk != NULL) {
		watcher_make_due(hub, presence);
		return;
	}
	watcher_end_walk(presence);
	if (presence->is_retrying) /* the timer may have come while this walk was under way */
		try_again(hub, presence);
	if (presence->channel->is_agent)
		watcher_schedule(hub, presence);
}

/* Those that are due now; whoever is so again waits for the next turn. */
bool watcher_walk(struct hub *hub, uint32_t budget)
{
	struct list_node *last =
		list_is_empty(&hub->presences_due) ? NULL : hub->presences_due.ends.prev;
	while (last != NULL && budget > 0) {
		struct list_node *node = list_first(&hub->presences_due);
		walk_share(hub, CONTAINER_OF(node, struct presence, due), &budget);
		if (node == last)
			break;
	}
	return !list_is_empty(&hub->presences_due);
}

void watcher_receive(struct hub *hub, const struct hub_mail *mail)
{
	struct turnout *news = mail->turnout;
	struct slice name = turnout_channel(news);
	uint64_t hash = hub_hash(hub, name);
	struct channel *channel = hub_find(hub, name, hash);
	struct presence *presence = channel == NULL ? NULL : presence_of(hub, channel);
	if (presence == NULL) {
		struct hub_mail back = {
			.kind = MAIL_UNWATCH, .from = hub->options.worker, .epoch = hash};
		turnout_drop(news);
		hub->out->post(hub->out, mail->from, &back);
		return;
	}
	watcher_end_walk(presence); /* whom it has not come to has missed what it told */
	presence->news = news;
	presence->version = news->version;
	presence->walk = list_first(&presence->watchers);
	presence->is_walking = true;
	watcher_make_due(hub, presence);
}

void watcher_shown(struct hub *hub, struct slab_handle handle, const struct hub_mail *mail)
{
	struct watcher *watcher = slab_at(&hub->watchers, handle);
	if (watcher == NULL)
		return; /* it has gone, or is another one that has asked itself */
	struct follower *follower = watcher->follower;
	watcher->is_asking = false;
	if (mail->error == ERROR_NONE) {
		if (session_takes(follower->session))
			tell_whole(hub, watcher, mail->turnout);
		else
			watcher->is_behind = true;
	} else if (mail->error == ERROR_NOT_FOUND) {
		watcher_refuse(hub, follower);
		watcher_end(hub, follower);
	} else {
		try_again(hub, presence_of(hub, follower->channel));
	}
}
