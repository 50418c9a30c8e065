/*
 * POST /api/stream: each line of the body is published as it arrives (token streams). What came
 * before a bad line, or before the connection broke, stays published.
 *
 * The body is read piece by piece, and no faster than the publications are answered: a client
 * with too many under way is not read from (conn_may_read()).
 */
#include <stdlib.h>

#include "dialect/native.h"
#include "edge/access.h"
#include "edge/exchange.h"
#include "edge/parameter.h"
#include "edge/route.h"
#include "wire/json.h"
#include "wire/sse_event.h"
#include "wire/utf8.h"

struct stream {
	struct buf channel, event, key; /* of each line */
	struct buf line;                /* came in part */
	struct buf made;                /* a line as JSON */
	bool is_json;                   /* lines are JSON values; else text, each a string */
	bool is_whole;                  /* the body is over, or something in it was refused */
	bool is_busy; /* lines are being published: the answer waits until they are */
	uint64_t sent, answered, published;
	uint64_t epoch, seq; /* of the newest one; of the channel's head where there is none */
	enum error_code error;
	const char *why;
};

static void stream_free(void *work)
{
	struct stream *stream = work;
	if (stream == NULL)
		return;
	buf_free(&stream->channel);
	buf_free(&stream->event);
	buf_free(&stream->key);
	buf_free(&stream->line);
	buf_free(&stream->made);
	free(stream);
}

/* ---- the end: when all that was sent is answered ---- */

static void answer_if_whole(struct edge *edge, struct conn *conn)
{
	const struct stream *stream = conn->exchange->work;
	if (!stream->is_whole || stream->is_busy || stream->answered < stream->sent)
		return;
	if (stream->error != ERROR_NONE) {
		exchange_refuse(edge, conn, stream->error, stream->why);
		return;
	}
	struct buf body = {0};
	buf_string(&body, "{\"published\":");
	buf_u64(&body, stream->published);
	buf_string(&body, ",\"cursor\":");
	native_cursor(&body, stream->epoch, stream->seq);
	buf_char(&body, '}');
	exchange_made(edge, conn, &body);
}

/* What comes after this is not read any more; the connection ends with the answer. */
static void refuse(struct conn *conn, enum error_code error, const char *why)
{
	struct stream *stream = conn->exchange->work;
	if (stream->error != ERROR_NONE)
		return;
	stream->error = error;
	stream->why = why;
	stream->is_whole = true;
}

static void stream_event(struct edge *edge, struct conn *conn, const struct hub_event *event)
{
	struct stream *stream = conn->exchange->work;
	stream->answered++;
	if (event->type == EVENT_ERROR) {
		refuse(conn, event->error, event->message);
	} else {
		stream->published += event->type == EVENT_ACK;
		stream->epoch = event->epoch;
		stream->seq = event->seq;
	}
	answer_if_whole(edge, conn);
}

/* It may go on for hours, and keys be others meanwhile. False: it is refused. */
static bool may_go_on(struct edge *edge, struct conn *conn)
{
	bool may = access_still_backs(edge, &conn->session);
	if (!may)
		refuse(conn, ERROR_UNAUTHORIZED, "the API key of this stream is none any more");
	return may;
}

/* ---- lines ---- */

static const char why_long[] = "a line is too long";

/* NULL, or why not. As JSON a text may be longer than it was. */
static const char *read_line(struct stream *stream, struct slice line,
                             struct publication *publication, enum error_code *error)
{
	struct json_value value;
	size_t bad_at;
	*error = ERROR_BAD_REQUEST;
	if (stream->is_json) {
		if (!json_check(line, MESSAGE_DEPTH_MAX, &value, &bad_at))
			return "a line is not JSON, or is nested too deep";
		publication->payload = value.raw;
		return NULL;
	}
	if (!utf8_is_valid(line))
		return "a line is not UTF-8";
	buf_clear(&stream->made);
	json_string_append(&stream->made, line);
	publication->payload = buf_view(&stream->made);
	*error = stream->made.is_broken ? ERROR_UNAVAILABLE : ERROR_TOO_LARGE;
	if (stream->made.is_broken)
		return why_no_memory;
	return stream->made.len > API_MESSAGE_BYTES_MAX ? why_long : NULL;
}

static void publish_line(struct edge *edge, struct conn *conn, struct slice line)
{
	struct stream *stream = conn->exchange->work;
	struct hub_command command = {.type = COMMAND_PUBLISH,
	                              .channel = buf_view(&stream->channel),
	                              .publication.event = buf_view(&stream->event),
	                              .publication.key = buf_view(&stream->key)};
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	if ((stream->is_json && slice_trim(line).len == 0) || !may_go_on(edge, conn))
		return;
	enum error_code error;
	const char *why = read_line(stream, line, &command.publication, &error);
	if (why != NULL) {
		refuse(conn, error, why);
		return;
	}
	stream->sent++;
	hub_execute(edge->hub, &conn->session, &command);
}

/* A part of a line, or its end. */
static void take_part(struct edge *edge, struct conn *conn, struct slice part, bool is_end)
{
	struct stream *stream = conn->exchange->work;
	if (stream->line.len + part.len > API_MESSAGE_BYTES_MAX) {
		refuse(conn, ERROR_TOO_LARGE, why_long);
		return;
	}
	if (is_end && stream->line.len == 0) {
		publish_line(edge, conn, part);
		return;
	}
	buf_slice(&stream->line, part);
	if (stream->line.is_broken) {
		refuse(conn, ERROR_UNAVAILABLE, why_no_memory);
	} else if (is_end) {
		publish_line(edge, conn, buf_view(&stream->line));
		buf_clear(&stream->line);
	}
}

static void stream_piece(struct edge *edge, struct conn *conn, struct slice piece)
{
	struct stream *stream = conn->exchange->work;
	struct slice part;
	stream->is_busy = true;
	while (!stream->is_whole && slice_cut(&piece, '\n', &part))
		take_part(edge, conn, part, piece.at != NULL);
	stream->is_busy = false;
}

static bool stream_is_whole(const void *work)
{
	const struct stream *stream = work;
	return stream->is_whole;
}

/* Nothing was published: the cursor of the answer has to be asked for. */
static void ask_for_head(struct edge *edge, struct conn *conn)
{
	struct stream *stream = conn->exchange->work;
	struct hub_command command = {
		.type = COMMAND_HISTORY, .channel = buf_view(&stream->channel), .has_limit = true};
	if (!may_go_on(edge, conn))
		return;
	stream->sent++;
	hub_execute(edge->hub, &conn->session, &command);
}

static void stream_end(struct edge *edge, struct conn *conn)
{
	struct stream *stream = conn->exchange->work;
	stream->is_busy = true;
	if (!stream->is_whole && stream->line.len > 0)
		publish_line(edge, conn, buf_view(&stream->line));
	stream->is_whole = true;
	if (stream->sent == 0 && stream->error == ERROR_NONE)
		ask_for_head(edge, conn);
	stream->is_busy = false;
	answer_if_whole(edge, conn);
}

static const struct work_kind stream_kind = {
	.free = stream_free,
	.event = stream_event,
	.piece = stream_piece,
	.is_whole = stream_is_whole,
	.end = stream_end,
};

/* ---- the head ---- */

static const char *read_head(const struct http_request *request, struct stream *stream)
{
	const struct slice *type = http_request_header(request, "content-type");
	struct slice rest = type == NULL ? SLICE("text/plain") : *type, media, text;
	if (parameter_get(request, "channel", &stream->channel) != PARAMETER_FOUND)
		return parameter_why(&stream->channel, "channel is missing");
	if (!channel_name_is_valid(buf_view(&stream->channel)))
		return "channel is no name of a channel";
	if (!parameter_text(request, "event", EVENT_NAME_MAX, &stream->event, &text) ||
	    !sse_event_name_is_valid(text))
		return parameter_why(&stream->event,
		                     "event is not UTF-8 of at most 255 bytes on one line");
	if (!parameter_text(request, "key", MESSAGE_KEY_MAX, &stream->key, &text))
		return parameter_why(&stream->key, "key is not UTF-8 of at most 255 bytes");
	CHECK(slice_cut(&rest, ';', &media));
	media = slice_trim(media);
	stream->is_json = slice_equals_nocase(media, SLICE("application/x-ndjson"));
	if (!stream->is_json && !slice_equals_nocase(media, SLICE("text/plain")))
		return "the body is neither text/plain nor application/x-ndjson";
	return NULL;
}

void api_stream(struct edge *edge, struct conn *conn, const struct http_request *request,
                struct slice body)
{
	(void)body; /* comes piece by piece */
	const char *why;
	enum error_code error = access_admit_backend(edge, conn, request, &why);
	struct stream *stream = error == ERROR_NONE ? calloc(1, sizeof(*stream)) : NULL;
	if (error == ERROR_NONE) {
		why = stream == NULL ? why_no_memory : read_head(request, stream);
		error = why == NULL ? ERROR_NONE : ERROR_BAD_REQUEST;
	}
	if (error != ERROR_NONE) {
		stream_free(stream);
		exchange_refuse(edge, conn, error, why);
		return;
	}
	exchange_set_work(conn, &stream_kind, stream);
}
