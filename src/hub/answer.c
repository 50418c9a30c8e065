/*
 * What comes back from a channel's agent, on the worker that asked: the position of a new
 * follower, the id of a publication, a page of history. The client may have gone meanwhile.
 */
#include <stdlib.h>

#include "hub/far_state.h"

/* History, and who is present, may be HISTORY_BYTES_MAX or PRESENCE_BYTES_MAX of answer each, which
 * nobody but the client can make less. So few of them are under way before no more is read. */
#define PAGES_MAX 2

/* ---- requests: what is remembered of a command until its answer comes ---- */

/* Of those that SESSION_REQUESTS_MAX allows. */
static uint16_t weight_of(uint8_t kind)
{
	bool is_page = kind == MAIL_HISTORY || kind == MAIL_PRESENCE;
	return is_page ? SESSION_REQUESTS_MAX / PAGES_MAX : 1;
}

/* One message may ask for more than that, where it may be large; but not for more than can be
 * counted. */
static bool count_in(struct session *session, uint8_t kind)
{
	uint32_t count = session->request_count + (uint32_t)weight_of(kind);
	if (count > UINT16_MAX)
		return false;
	session->request_count = (uint16_t)count;
	return true;
}

static void count_out(struct session *session, uint8_t kind)
{
	CHECK(session->request_count >= weight_of(kind));
	session->request_count = (uint16_t)(session->request_count - weight_of(kind));
}

struct request *request_make(struct hub *hub, struct session *session, uint8_t kind,
                             struct slice ref)
{
	struct request *request = slab_take(&hub->requests);
	if (request == NULL)
		return NULL;
	char *room = request->ref_small;
	if (ref.len > sizeof(request->ref_small)) {
		room = request->ref_large = malloc(ref.len);
		if (room == NULL)
			goto release;
	}
	if (session != NULL && !count_in(session, kind))
		goto free_ref;
	if (ref.len > 0)
		memcpy(room, ref.at, ref.len);
	request->ref_len = (uint32_t)ref.len;
	request->kind = kind;
	request->asked_us = hub->unix_us;
	if (session != NULL)
		request->session = hub->out->handle(hub->out, session);
	return request;

free_ref:
	if (room != request->ref_small)
		free(room);
release:
	slab_release(&hub->requests, request);
	return NULL;
}

static struct slice request_ref(const struct request *request)
{
	bool is_small = request->ref_len <= sizeof(request->ref_small);
	return slice_of(is_small ? request->ref_small : request->ref_large, request->ref_len);
}

void request_drop(struct hub *hub, struct request *request)
{
	if (request->ref_len > sizeof(request->ref_small))
		free(request->ref_large);
	free(request->name);
	if (request->channel != NULL) {
		CHECK(request->channel->request_count > 0);
		request->channel->request_count--;
	}
	slab_release(&hub->requests, request);
}

/* ---- subscribed ---- */

/* Along the log from the position it was given; or along the keys. */
static void set_start(struct channel *channel, struct follower *follower,
                      const struct follow_result *result, bool has_since)
{
	bool wants_all = channel->rule->deliver_last && !has_since;
	CHECK(result->head - result->from <= FOLLOWER_REPLAY_MAX);
	follower->replay_end = result->head;
	follower->replay_count = (uint32_t)(result->head - result->from) & FOLLOWER_REPLAY_MAX;
	if (channel_is_throttled(channel)) { /* hub_feed() says how far it may go */
		follower->limit = result->from;
		follower->replay_count = 0;
	}
	/* What made room for others before is not missed by a newcomer. */
	if (wants_all && channel->keyed->latest.lost < result->from) {
		follower->is_in_prelude = true;
		follower->prelude = channel->keyed->latest.lost + 1;
	}
}

void answer_subscribed(struct hub *hub, struct follower *follower, struct slice ref,
                       const struct follow_result *result, bool has_since)
{
	struct channel *channel = follower->channel;
	struct session *session = follower->session;
	/* Along the keys it begins lifted: the log may hold less than they do. */
	follower->is_lifted = follower->is_conflating =
		channel_is_throttled(channel) || result->is_latest;
	channel_join(channel, follower, result->from + 1);
	set_start(channel, follower, result, has_since);
	struct hub_event event = {.type = EVENT_SUBSCRIBED,
	                          .ref = ref,
	                          .channel = channel_name(channel),
	                          .epoch = channel->epoch,
	                          .seq = result->from,
	                          .has_recovered = has_since,
	                          .is_recovered = result->is_recovered};
	hub->out->event(hub->out, session, &event);
	if (channel->rule->presence != RULE_PRESENCE_NO || follower->is_watching)
		presence_join(hub, follower, ref);
	hub_feed(hub, follower);
	hub_settle(hub, channel);
}

/* Was it, or will it be, sent everything after `since`? */
static bool follower_covers(const struct follower *follower, const struct cursor *since)
{
	const struct channel *channel = follower->channel;
	uint64_t start = follower->is_in_prelude ? follower->next - 1
	                                         : follower->replay_end - follower->replay_count;
	bool is_late = follower->is_lifted && !channel_is_throttled(channel);
	return since->is_start || (!is_late && since->epoch == channel->epoch &&
	                           since->seq >= start && since->seq < log_next(&channel->log));
}

void answer_again(struct hub *hub, const struct follower *follower, struct slice ref,
                  const struct cursor *since)
{
	struct hub_event event = {.type = EVENT_SUBSCRIBED,
	                          .ref = ref,
	                          .channel = channel_name(follower->channel),
	                          .epoch = follower->channel->epoch,
	                          .seq = follower->next - 1,
	                          .has_recovered = since != NULL,
	                          .is_recovered =
	                                  since != NULL && follower_covers(follower, since)};
	hub->out->event(hub->out, follower->session, &event);
}

/* Is what came the latest of each key, while there is more between? */
static bool has_holes(const struct hub_mail *mail)
{
	return mail->answer->is_latest && mail->answer->from < mail->seq;
}

/* Who is sent these may have to walk along the keys, now or once it is slow. */
static bool tail_extend_keys(struct hub *hub, struct channel *channel,
                             const struct mail_answer *answer)
{
	latest_lose(&channel->keyed->latest, answer->lost);
	for (size_t i = answer->count; i > 0; i--) {
		if (!hub_put_older(hub, channel, answer->records[i - 1], hub->now_ms))
			return false;
	}
	return true;
}

/* The tail begins where the agent says, or reaches back to the records that came along. */
static bool tail_extend(struct hub *hub, struct channel *channel, const struct hub_mail *mail)
{
	const struct mail_answer *answer = mail->answer;
	if (!channel->is_tuned) {
		channel->is_tuned = true;
		channel->epoch = mail->epoch;
		log_init(&channel->log, mail->seq + 1);
	}
	CHECK(channel->epoch == mail->epoch);
	if (channel->is_lost)
		return false;
	CHECK(log_next(&channel->log) == mail->seq + 1); /* letters come in order */

	if (has_holes(mail) && channel->keyed == NULL && !hub_make_keyed(hub, channel))
		return false;
	if (channel->keyed != NULL && !tail_extend_keys(hub, channel, answer))
		return false;
	if (answer->is_latest)
		return true;
	uint64_t first = log_first(&channel->log);
	size_t older = 0; /* of the records that came, those the tail has not */
	while (older < answer->count && answer->records[older]->seq < first)
		older++;
	return log_extend(&channel->log, answer->records, older, hub->now_ms);
}

static void refuse_follower(struct hub *hub, struct session *session, struct request *request,
                            enum error_code error, const char *message)
{
	struct hub_event event = {.type = EVENT_ERROR,
	                          .ref = request_ref(request),
	                          .channel = channel_name(request->channel),
	                          .error = error,
	                          .message = message};
	hub->out->event(hub->out, session, &event);
}

/* Of ERROR_UNAVAILABLE, which is all that an agent refuses with. */
static const char *why_unavailable(const struct hub *hub)
{
	return hub->far == NULL ? "the server is out of memory"
	                        : "the channel is not within reach now; try again";
}

static const char *const why_not_subscribed = "unsubscribed before this was answered";

/* The follower got its position, or an answer again; or it cannot have one. */
static void settle_follower(struct hub *hub, struct follower *follower, struct request *request,
                            const struct hub_mail *mail)
{
	const struct mail_answer *answer = mail->answer;
	bool is_pending = follower->state == FOLLOWER_PENDING;
	if (is_pending && follower->request == request->generation) {
		struct follow_result result = {.epoch = mail->epoch,
		                               .head = mail->seq,
		                               .from = answer->from,
		                               .is_recovered = answer->is_recovered,
		                               .is_latest = has_holes(mail)};
		answer_subscribed(hub, follower, request_ref(request), &result, request->has_since);
	} else if (is_pending) {
		refuse_follower(hub, follower->session, request, ERROR_NOT_SUBSCRIBED,
		                why_not_subscribed);
	} else {
		answer_again(hub, follower, request_ref(request),
		             request->has_since ? &request->since : NULL);
		if (request->wants_presence)
			watcher_begin(hub, follower, request_ref(request));
	}
}

static void receive_followed(struct hub *hub, struct session *session, struct request *request,
                             const struct hub_mail *mail)
{
	struct channel *channel = request->channel;
	bool is_good = mail->error == ERROR_NONE && tail_extend(hub, channel, mail);
	if (session == NULL)
		return;
	struct follower *follower = session_follower(session, channel);
	if (is_good && follower != NULL) {
		settle_follower(hub, follower, request, mail);
		return;
	}
	refuse_follower(hub, session, request, is_good ? ERROR_NOT_SUBSCRIBED : ERROR_UNAVAILABLE,
	                is_good ? why_not_subscribed : why_unavailable(hub));
	/* One that was made since, by subscribing anew, waits for an answer of its own. */
	if (follower != NULL && follower->state == FOLLOWER_PENDING &&
	    follower->request == request->generation)
		session_unfollow(hub, session, follower, PARTING_LEFT);
}

/* ---- the others ---- */

static void receive_published(struct hub *hub, struct session *session,
                              const struct request *request, const struct hub_mail *mail)
{
	if (mail->error != ERROR_NONE) {
		hub_refuse(hub, session, request_ref(request), (enum error_code)mail->error,
		           why_unavailable(hub));
		return;
	}
	hub_note_publish(hub, request->asked_us);
	if (request->is_unanswered)
		return;
	struct hub_event event = {.type = EVENT_ACK,
	                          .ref = request_ref(request),
	                          .epoch = mail->epoch,
	                          .seq = mail->seq,
	                          .is_duplicate = mail->is_duplicate};
	hub->out->event(hub->out, session, &event);
}

static void receive_presence(struct hub *hub, struct session *session,
                             const struct request *request, const struct hub_mail *mail)
{
	if (mail->error != ERROR_NONE) {
		hub_refuse(hub, session, request_ref(request), (enum error_code)mail->error,
		           why_unavailable(hub));
		return;
	}
	struct hub_event event = {.type = EVENT_PRESENCE,
	                          .ref = request_ref(request),
	                          .channel = turnout_channel(mail->turnout),
	                          .turnout = mail->turnout};
	hub->out->event(hub->out, session, &event);
}

static void receive_history(struct hub *hub, struct session *session, const struct request *request,
                            const struct hub_mail *mail)
{
	if (mail->error != ERROR_NONE) {
		hub_refuse(hub, session, request_ref(request), (enum error_code)mail->error,
		           why_unavailable(hub));
		return;
	}
	struct hub_event event = {.type = EVENT_HISTORY,
	                          .ref = request_ref(request),
	                          .channel = slice_of(request->name->bytes, request->name->len),
	                          .epoch = mail->epoch,
	                          .seq = mail->seq,
	                          .has_more = mail->answer->has_more,
	                          .records = mail->answer->records,
	                          .record_count = mail->answer->count};
	hub->out->event(hub->out, session, &event);
}

void answer_receive(struct hub *hub, const struct hub_mail *mail)
{
	struct request *request = slab_at(&hub->requests, mail->token);
	CHECK(request != NULL); /* each is answered once */
	bool is_asked = request->session.generation != 0;
	struct session *session = is_asked ? hub->out->find(hub->out, request->session) : NULL;
	/* One that has ended has been closed, or will be: it counts nothing any more. */
	if (session != NULL && session->is_ended)
		session = NULL;
	if (session != NULL)
		count_out(session, request->kind);
	struct channel *channel = request->channel;
	if (mail->kind == MAIL_FOLLOWED)
		receive_followed(hub, session, request, mail);
	else if (request->watcher.generation != 0)
		watcher_shown(hub, request->watcher, mail);
	else if (session != NULL && mail->kind == MAIL_PRESENCE_SHOWN)
		receive_presence(hub, session, request, mail);
	else if (session != NULL && mail->kind == MAIL_PUBLISHED)
		receive_published(hub, session, request, mail);
	else if (session != NULL)
		receive_history(hub, session, request, mail);
	request_drop(hub, request);
	if (mail->kind == MAIL_PRESENCE_SHOWN)
		turnout_drop(mail->turnout);
	else if (mail->kind != MAIL_PUBLISHED)
		answer_free(mail->answer);
	if (session != NULL && !session->is_ended)
		hub->out->answered(hub->out, session);
	if (channel != NULL)
		hub_settle(hub, channel);
}
