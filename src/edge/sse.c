/*
 * Server-sent events (WHATWG HTML 9.2): one answer that goes on, of any number of channels.
 *
 * Nothing is sent before all channels have answered, because each event's id is the cursors of
 * all of them, and because to a client that sees the answer's head the stream is open: what is
 * published from then on, it gets. Until then the exchange is kept, and what is to be said first
 * is collected in its body. The id of where the stream begins is sent too, without an event: a
 * client that loses its connection before the first message then resumes from there.
 */
#include <stdlib.h>

#include "dialect/native.h"
#include "edge/access.h"
#include "edge/following.h"
#include "edge/parameter.h"
#include "edge/registry.h"
#include "edge/route.h"
#include "wire/sse_event.h"

#define RETRY_MS_MIN 1000
#define RETRY_MS_SPAN 2000 /* and so much more by chance, so that not all come back at once */

static void begin_delivery(struct edge *edge, struct conn *conn);

/* NULL, or why not. */
static const char *read_format(const struct http_request *request, struct conn *conn)
{
	static const char *const names[] = {
		[SSE_JSON] = "json", [SSE_TEXT] = "text", [SSE_FULL] = "full"};
	struct buf text = {0};
	enum parameter_result got = parameter_get(request, "format", &text);
	const char *why = got == PARAMETER_ABSENT
	                          ? NULL
	                          : parameter_why(&text, "format is none of json, text and full");
	conn->format = SSE_JSON;
	for (unsigned i = 0; got == PARAMETER_FOUND && i < COUNT_OF(names); i++) {
		if (slice_is(buf_view(&text), names[i])) {
			conn->format = i & 3;
			why = NULL;
		}
	}
	buf_free(&text);
	return why;
}

static bool is_begun(const struct conn *conn)
{
	return conn->exchange == NULL;
}

/* What a stream must not lack: it ends where there is no memory for it. Frees `text`. */
static void write_text(struct edge *edge, struct conn *conn, struct buf *text)
{
	if (text->is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else if (is_begun(conn))
		conn_write(edge, conn, buf_view(text));
	else
		buf_slice(&conn->exchange->body,
		          buf_view(text)); /* broken: begin_stream() sees it */
	buf_free(text);
}

/* When to come again, each at another time. */
static void write_retry(struct edge *edge, struct conn *conn)
{
	struct buf retry = {0};
	sse_retry(&retry, RETRY_MS_MIN + random_below(&edge->random, RETRY_MS_SPAN));
	sse_end(&retry);
	write_text(edge, conn, &retry);
}

/* The head, and what was to be said before. */
static void begin_stream(struct edge *edge, struct conn *conn)
{
	struct buf rest, said = {0};
	exchange_stream(edge, conn, SLICE("text/event-stream"));
	if (conn->session.is_ended)
		return;
	buf_swap(&said, &conn->exchange->body);
	exchange_leave(conn, &rest); /* an SSE client has nothing more to say */
	buf_free(&rest);
	write_retry(edge, conn);
	write_text(edge, conn, &said);
}

void sse_open(struct edge *edge, struct conn *conn, const struct http_request *request,
              struct slice body)
{
	(void)body;
	const char *why = read_format(request, conn);
	const struct slice *last_id = http_request_header(request, "last-event-id");
	if (last_id != NULL && last_id->len == 0)
		last_id = NULL; /* of a stream that had none yet */
	if (why != NULL) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST, why);
		return;
	}
	struct following following = {0};
	bool is_client = request->method != HTTP_HEAD;
	enum error_code error = is_client ? registry_enter(edge, conn, &why) : ERROR_NONE;
	if (error == ERROR_NONE)
		error = following_begin(edge, conn, request, last_id, &following, &why);
	if (error == ERROR_NONE && is_client)
		error = registry_sit(edge, conn, request, &why);
	if (error == ERROR_NONE && !is_client) {
		exchange_head(edge, conn, SLICE("text/event-stream"));
	} else if (error == ERROR_NONE && !conn->exchange->is_put_aside) {
		conn_set_transport(edge, conn, &transport_sse);
		conn_enter(edge, conn, CONN_STREAM);
		following_subscribe(edge, conn, &following);
		begin_delivery(edge, conn);
	} else if (error != ERROR_NONE) {
		exchange_refuse(edge, conn, error, why);
	}
	following_end(&following);
}

/* ---- events ---- */

static void write_id(struct buf *out, const struct conn *conn, const struct follower *current,
                     uint64_t seq)
{
	buf_string(out, "id: ");
	following_cursor(out, conn, current, seq);
	buf_char(out, '\n');
	sse_end(out);
}

static void write_gap(struct edge *edge, struct conn *conn, const struct hub_event *event)
{
	struct buf data = {0}, gap = {0};
	buf_string(&data, "{\"channel\":\"");
	buf_slice(&data, event->channel); /* no channel name needs escaping */
	buf_string(&data, "\",\"cursor\":");
	native_cursor(&data, event->epoch, event->seq);
	buf_char(&data, '}');
	sse_event_append(&gap, SLICE("gap"), buf_view(&data));
	sse_end(&gap);
	gap.is_broken |= data.is_broken;
	write_text(edge, conn, &gap);
	buf_free(&data);
}

/* A message of no channel has no id: the stream's place stays what it was. */
static void write_direct(struct edge *edge, struct conn *conn, const struct hub_event *event)
{
	struct buf data = {0}, message = {0};
	switch ((enum sse_format)conn->format) {
	case SSE_JSON:
		buf_slice(&data, event->data);
		break;
	case SSE_TEXT:
		native_text(&data, event->data);
		break;
	case SSE_FULL:
		native.write(&data, event);
		break;
	}
	sse_event_append(&message, slice_of(NULL, 0), buf_view(&data));
	sse_end(&message);
	message.is_broken |= data.is_broken;
	write_text(edge, conn, &message);
	buf_free(&data);
}

/* Once all channels have answered: where the stream begins, and what follows from there. */
static void begin_delivery(struct edge *edge, struct conn *conn)
{
	if (!following_is_complete(conn))
		return;
	begin_stream(edge, conn);
	struct buf id = {0};
	write_id(&id, conn, NULL, 0);
	write_text(edge, conn, &id);
	following_release(edge, conn);
}

static void sse_event(struct edge *edge, struct conn *conn, const struct hub_event *event)
{
	if (event->type == EVENT_ERROR) {
		/* Rights were checked before: the server could not, though it wanted to. To an
		 * EventSource an error status would be the end of it. */
		edge->errors[event->error]++;
		conn_end(edge, conn, CLOSE_UNAVAILABLE);
		return;
	}
	if (event->type == EVENT_GAP) {
		write_gap(edge, conn, event);
		return;
	}
	if (event->type == EVENT_DIRECT) {
		write_direct(edge, conn, event);
		return;
	}
	CHECK(event->type == EVENT_SUBSCRIBED);
	if (event->has_recovered && !event->is_recovered)
		write_gap(edge, conn, event);
	begin_delivery(edge, conn);
}

static const struct dialect_encoding *encoding_of(const struct conn *conn)
{
	switch ((enum sse_format)conn->format) {
	case SSE_TEXT:
		return &native_sse_text;
	case SSE_FULL:
		return &native_sse_full;
	case SSE_JSON:
		break;
	}
	return &native_sse_json;
}

/* Two parts an event: what all followers share, and this one's id. */
static size_t sse_deliver(struct edge *edge, struct conn *conn, const struct delivery *delivery)
{
	const struct dialect_encoding *encoding = encoding_of(conn);
	struct iovec parts[2 * WALK_RECORDS_MAX];
	const struct blob *frames[2 * WALK_RECORDS_MAX];
	size_t id_ends[WALK_RECORDS_MAX];
	struct buf *ids = &edge->text;
	buf_clear(ids);
	for (size_t i = 0; i < delivery->count; i++) {
		struct record *record = delivery->records[i];
		const struct blob *shared = record_wire(record, encoding->wire, encoding->encode);
		write_id(ids, conn, delivery->follower, record->seq);
		if (shared == NULL || ids->is_broken) {
			conn_end(edge, conn, CLOSE_NO_MEMORY);
			return 0;
		}
		parts[2 * i] = (struct iovec){(void *)(uintptr_t)shared->bytes, shared->len};
		frames[2 * i] = shared;
		frames[2 * i + 1] = NULL;
		id_ends[i] = ids->len;
	}
	for (size_t i = 0; i < delivery->count; i++) {
		size_t start = i == 0 ? 0 : id_ends[i - 1];
		parts[2 * i + 1] = (struct iovec){ids->at + start, id_ends[i] - start};
	}
	size_t taken = conn_write_parts(edge, conn, parts, frames, 2 * delivery->count);
	/* Half an event is an event: its id goes after it, whenever that may be. */
	if (taken % 2 == 1 && !conn->session.is_ended) {
		conn_write(edge, conn, slice_of(parts[taken].iov_base, parts[taken].iov_len));
		taken++;
	}
	return taken / 2;
}

static void sse_input(struct edge *edge, struct conn *conn, char *bytes, size_t len)
{
	(void)edge;
	(void)conn;
	(void)bytes;
	(void)len;
}

static void sse_timer(struct edge *edge, struct conn *conn)
{
	struct slice beat = is_begun(conn) ? SLICE(":\n\n") : slice_of(NULL, 0);
	conn_heartbeat(edge, conn, beat, false);
}

static bool sse_goodbye(struct edge *edge, struct conn *conn)
{
	/* Without an answer it comes again, as EventSource does by itself then alone. */
	if (!is_begun(conn)) {
		exchange_free(conn);
		return false;
	}
	/* Half an event that is stuck will not be missed: the client resumes before it. */
	if (conn_out(conn) != NULL)
		return false;
	if (conn->reason == CLOSE_DRAIN)
		write_retry(edge, conn);
	return conn->reason == CLOSE_DRAIN || conn->reason == CLOSE_TOKEN_EXPIRED;
}

const struct transport transport_sse = {
	.name = "sse",
	.client = EDGE_SSE,
	.input = sse_input,
	.event = sse_event,
	.deliver = sse_deliver,
	.timer = sse_timer,
	.goodbye = sse_goodbye,
};
