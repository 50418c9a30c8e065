#include "cmd/reply.h"

#include "ops/complaint.h"
#include "wire/json.h"

void reply_begin(struct reply *reply)
{
	http_answer_begin(&reply->head);
	buf_clear(&reply->body);
	buf_clear(&reply->head_bytes);
	reply->has_head = false;
	reply->why = NULL;
}

void reply_free(struct reply *reply)
{
	buf_free(&reply->body);
	buf_free(&reply->head_bytes);
}

static enum reply_result refuse(struct reply *reply, const char *why)
{
	CHECK(reply->why == NULL);
	reply->why = why;
	return REPLY_BAD;
}

/* Read again from a copy: the input goes away, and the slices are to stay. */
static bool keep_head(struct reply *reply, struct buf *in)
{
	size_t len = reply->head.head_bytes;
	buf_append(&reply->head_bytes, in->at, len);
	buf_use(in, len);
	if (reply->head_bytes.is_broken)
		return false;
	http_answer_begin(&reply->head);
	enum http_parse again = http_answer_parse(&reply->head, reply->head_bytes.at, len);
	CHECK(again == HTTP_DONE);
	return true;
}

static enum reply_result read_head(struct reply *reply, struct buf *in)
{
	while (!reply->has_head) {
		enum http_parse result = http_answer_parse(&reply->head, in->at, in->len);
		if (result == HTTP_MORE)
			return REPLY_MORE;
		if (result == HTTP_BAD)
			return refuse(reply, reply->head.why);
		int status = reply->head.status;
		reply->has_head = status >= 200 || status == 101;
		if (reply->has_head)
			break;
		buf_use(in, reply->head.head_bytes);
		http_answer_begin(&reply->head);
	}
	if (!keep_head(reply, in))
		return refuse(reply, "out of memory");
	body_begin(&reply->framing, reply->head.framing, reply->head.content_length);
	return REPLY_DONE;
}

static enum reply_result keep_piece(struct reply *reply, struct slice piece)
{
	if (piece.len > REPLY_BODY_MAX - reply->body.len)
		return refuse(reply, "its body is too large");
	buf_slice(&reply->body, piece);
	return reply->body.is_broken ? refuse(reply, "out of memory") : REPLY_MORE;
}

static enum reply_result read_until_close(struct reply *reply, struct buf *in, bool is_ended)
{
	enum reply_result result = keep_piece(reply, buf_view(in));
	buf_use(in, in->len);
	return result == REPLY_MORE && is_ended ? REPLY_DONE : result;
}

static enum reply_result read_framed(struct reply *reply, struct buf *in)
{
	enum reply_result result = REPLY_MORE;
	while (result == REPLY_MORE) {
		size_t used;
		struct slice piece;
		enum body_answer answer =
			body_read(&reply->framing, in->at, in->len, &used, &piece);
		if (answer == BODY_BAD)
			return refuse(reply, reply->framing.why);
		result = keep_piece(reply, piece);
		buf_use(in, used);
		if (answer == BODY_MORE)
			break;
		if (answer == BODY_DONE && result == REPLY_MORE)
			return REPLY_DONE;
	}
	return result;
}

enum reply_result reply_read(struct reply *reply, struct buf *in, bool is_ended)
{
	CHECK(reply->why == NULL);
	enum reply_result result = REPLY_DONE;
	if (!reply->has_head)
		result = read_head(reply, in);
	if (result == REPLY_DONE && reply->head.is_until_close)
		return read_until_close(reply, in, is_ended);
	if (result == REPLY_DONE)
		result = read_framed(reply, in);
	if (result == REPLY_MORE && is_ended)
		return refuse(reply, "the connection ended before its end");
	return result;
}

bool reply_is_good(const struct reply *reply)
{
	CHECK(reply->has_head);
	return reply->head.status >= 200 && reply->head.status < 300;
}

/* A field that is a string, made harmless; false: it is not one. */
static bool explain_field(struct json_value value, struct buf *line)
{
	struct buf text = {0};
	bool is_text = value.kind == JSON_STRING && json_string_decode(value.raw, &text);
	if (is_text)
		complaint_text(line, buf_view(&text));
	buf_free(&text);
	return is_text;
}

void reply_explain(const struct reply *reply, struct buf *line)
{
	struct json_field outer = {.name = "error"};
	struct json_field inner[] = {{.name = "code"}, {.name = "message"}};
	size_t bad_at, before = line->len;
	CHECK(reply->has_head);
	if (json_read_object(buf_view(&reply->body), JSON_DEPTH_MAX, &outer, 1, &bad_at) &&
	    outer.value.kind == JSON_OBJECT &&
	    json_read_object(outer.value.raw, JSON_DEPTH_MAX, inner, COUNT_OF(inner), &bad_at) &&
	    explain_field(inner[0].value, line)) {
		buf_string(line, ": ");
		if (explain_field(inner[1].value, line))
			return;
	}
	buf_cut_to(line, before);
	buf_format(line, "%d ", reply->head.status);
	complaint_text(line, reply->head.reason);
}
