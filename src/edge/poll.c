/*
 * Polling: a request is answered with what its channels have after its cursors, at once or as
 * soon as something comes.
 *
 * A poll follows its channels like any other client, for as long as it waits. What it is
 * delivered is collected in the exchange; the answer is written at the end of the turn, so
 * that a burst comes in one answer. Between two polls nothing of the client is kept: its
 * cursor says it all, to any worker.
 */
#include "dialect/native.h"
#include "edge/access.h"
#include "edge/exchange.h"
#include "edge/following.h"
#include "edge/parameter.h"
#include "edge/registry.h"
#include "edge/route.h"

#define WAIT_S_DEFAULT 25
#define WAIT_S_MAX 60
/* Of messages in one answer; the next poll goes on behind them. */
#define POLL_BYTES_MAX HISTORY_BYTES_MAX

static struct poll *poll_of(struct conn *conn)
{
	return &conn->exchange->poll;
}

/* ---- the answer ---- */

/* The connection is what it was before. What filled the answer blocked it; the socket did not. */
static void leave_channels(struct edge *edge, struct conn *conn)
{
	hub_session_close(edge->hub, &conn->session);
	conn->session.is_held = false;
	conn->session.is_blocked = conn_out(conn) != NULL;
}

static void answer(struct edge *edge, struct conn *conn)
{
	struct poll *poll = poll_of(conn);
	struct buf body = {0};
	buf_string(&body, "{\"cursor\":\"");
	following_cursor(&body, conn, NULL, 0);
	buf_string(&body, "\",\"recovered\":");
	buf_string(&body, poll->has_gap ? "false" : "true");
	buf_string(&body, ",\"messages\":[");
	buf_slice(&body, buf_view(&poll->messages));
	buf_string(&body, "]}");
	leave_channels(edge, conn);
	if (body.is_broken || poll->messages.is_broken)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else
		exchange_json(edge, conn, 200, buf_view(&body));
	buf_free(&body);
}

/* Not before all channels have answered: the connection may go on, and what comes for this request
 * would be taken for the answer to its next one. */
static void refuse_if_complete(struct edge *edge, struct conn *conn)
{
	if (!following_is_complete(conn))
		return;
	leave_channels(edge, conn);
	exchange_refuse(edge, conn, poll_of(conn)->error, poll_of(conn)->why);
}

void poll_refuse(struct edge *edge, struct conn *conn, enum error_code error, const char *why)
{
	poll_of(conn)->error = error;
	poll_of(conn)->why = why;
	conn_again(edge, conn);
}

static bool has_answer(struct conn *conn)
{
	const struct poll *poll = poll_of(conn);
	return poll->messages.len > 0 || poll->messages.is_broken || poll->has_gap ||
	       poll->is_answered_at_once;
}

/* ---- the question ---- */

/* Once all channels have answered: what they hold, or a wait for more. */
static void begin_delivery(struct edge *edge, struct conn *conn)
{
	if (!following_is_complete(conn))
		return;
	if (poll_of(conn)->why != NULL) {
		conn_again(edge, conn);
		return;
	}
	following_release(edge, conn);
	if (has_answer(conn))
		conn_again(edge, conn);
	else
		conn_set_timer(edge, conn, poll_of(conn)->wait_ms);
}

static void poll_begin(struct edge *edge, struct conn *conn, const struct following *following,
                       uint64_t wait_s)
{
	struct poll *poll = poll_of(conn);
	poll->wait_ms = (wait_s > WAIT_S_MAX ? WAIT_S_MAX : wait_s) * 1000;
	poll->is_answered_at_once = wait_s == 0;
	conn_set_transport(edge, conn, &transport_poll);
	conn_enter(edge, conn, CONN_POLL);
	following_subscribe(edge, conn, following);
	begin_delivery(edge, conn);
}

void poll_open(struct edge *edge, struct conn *conn, const struct http_request *request,
               struct slice body)
{
	(void)body;
	const char *why = "wait is not a number of seconds";
	uint64_t wait_s = WAIT_S_DEFAULT;
	enum parameter_result got = parameter_number(request, "wait", &wait_s);
	if (got == PARAMETER_BAD || got == PARAMETER_NO_MEMORY) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST,
		                got == PARAMETER_BAD ? why : why_no_memory);
		return;
	}
	struct following following;
	enum error_code error = following_begin(edge, conn, request, NULL, &following, &why);
	if (request->method == HTTP_HEAD || (error == ERROR_NONE && !following.channels->has_since))
		wait_s = 0;
	if (error == ERROR_NONE && wait_s > 0)
		error = registry_enter(edge, conn, &why);
	if (error == ERROR_NONE && wait_s > 0)
		error = registry_sit(edge, conn, request, &why);
	if (error != ERROR_NONE)
		exchange_refuse(edge, conn, error, why);
	else if (request->method == HTTP_HEAD)
		exchange_head(edge, conn, slice_of(NULL, 0));
	else if (!conn->exchange->is_put_aside)
		poll_begin(edge, conn, &following, wait_s);
	following_end(&following);
}

/* ---- the transport ---- */

static void poll_event(struct edge *edge, struct conn *conn, const struct hub_event *event)
{
	if (event->type == EVENT_ERROR) {
		/* Rights were checked before: the server could not, though it wanted to. */
		poll_refuse(edge, conn, event->error, event->message);
		return;
	}
	if (event->type == EVENT_GAP) {
		poll_of(conn)->has_gap = true;
		conn_again(edge, conn);
		return;
	}
	CHECK(event->type == EVENT_SUBSCRIBED);
	poll_of(conn)->has_gap |= event->has_recovered && !event->is_recovered;
	begin_delivery(edge, conn);
}

static size_t poll_deliver(struct edge *edge, struct conn *conn, const struct delivery *delivery)
{
	struct buf *messages = &poll_of(conn)->messages;
	size_t taken = 0;
	while (taken < delivery->count && messages->len < POLL_BYTES_MAX) {
		if (messages->len > 0)
			buf_char(messages, ',');
		if (!native_message(messages, delivery->records[taken++]))
			messages->is_broken = true;
	}
	conn->session.is_blocked |= taken < delivery->count;
	conn_again(edge, conn);
	return taken;
}

/* The connection's turn has come again; or the client sends its next request already. */
static void poll_input(struct edge *edge, struct conn *conn, char *bytes, size_t len)
{
	struct buf *held = &conn->exchange->held;
	buf_append(held, bytes, len);
	if (held->is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else if (held->len > TURN_READ_BYTES)
		conn_end(edge, conn, CLOSE_BAD_HTTP);
	else if (poll_of(conn)->why != NULL)
		refuse_if_complete(edge, conn);
	else if (!conn->session.is_held && has_answer(conn))
		answer(edge, conn);
}

static void poll_timer(struct edge *edge, struct conn *conn)
{
	if (poll_of(conn)->why != NULL) { /* its turn has not come yet */
		refuse_if_complete(edge, conn);
		return;
	}
	if (!conn_has_expired(edge, conn)) {
		answer(edge, conn);
		return;
	}
	leave_channels(edge, conn);
	exchange_refuse(edge, conn, ERROR_UNAUTHORIZED, "the token has expired");
}

static bool poll_goodbye(struct edge *edge, struct conn *conn)
{
	(void)edge;
	exchange_free(conn);
	return conn->reason == CLOSE_DRAIN || conn->reason == CLOSE_ANSWERED;
}

const struct transport transport_poll = {
	.name = "poll",
	.client = EDGE_POLL,
	.input = poll_input,
	.event = poll_event,
	.deliver = poll_deliver,
	.timer = poll_timer,
	.goodbye = poll_goodbye,
};
