/*
 * HTTP: server-sent events, read as lines wherever the chunks end; polls, one request after the
 * other with the cursor of the last answer; and POST, for publishers.
 */
#include "http/answer.h"
#include "kit/protocol.h"

#define ERROR_SHOWN_MAX 200

enum http_step {
	STEP_HEAD = 0,
	STEP_LINES,
};

static void request(const struct endpoint *endpoint, const struct client *client, struct buf *out)
{
	const struct words *words = &endpoint->words;
	bool comes_back = client->cursor != NULL && words->back_path != NULL;
	buf_string(out, "GET ");
	endpoint_fill(endpoint, out, comes_back ? words->back_path : words->path,
	              client_blanks(client, slice_of(NULL, 0)));
	buf_format(out, " HTTP/1.1\r\nHost: %s\r\n\r\n", endpoint->host);
}

/* The head at the front, and with its body where that is of a known length. */
static enum piece scan_answer(struct scan *scan, struct http_answer *answer)
{
	http_answer_begin(answer);
	switch (http_answer_parse(answer, scan->bytes, scan->len)) {
	case HTTP_MORE:
		return PIECE_MORE;
	case HTTP_BAD:
		scan->text = slice_string(answer->why);
		return PIECE_BAD;
	case HTTP_DONE:
		break;
	}
	size_t body = answer->framing == HTTP_LENGTH ? (size_t)answer->content_length : 0;
	if (scan->len - answer->head_bytes < body)
		return PIECE_MORE;
	scan->used = answer->head_bytes + body;
	scan->text = slice_of(scan->bytes + answer->head_bytes, body);
	if (answer->status < 300)
		return PIECE_MESSAGE;
	if (scan->text.len == 0)
		scan->text = slice_of(scan->bytes, answer->head_bytes);
	return PIECE_BAD;
}

/* ---- server-sent events ---- */

static enum piece scan_line(struct scan *scan)
{
	const struct words *words = &scan->endpoint->words;
	const char *end = memchr(scan->bytes, '\n', scan->len);
	if (end == NULL)
		return PIECE_MORE;
	scan->used = (size_t)(end - scan->bytes) + 1;
	scan->text = slice_of(scan->bytes, scan->used - 1);
	if (slice_starts(scan->text, SLICE("data:")))
		return PIECE_MESSAGE;
	scan->is_gap = slice_is(scan->text, "event: gap");
	if (slice_starts(scan->text, SLICE("id:")) && scan->endpoint->keeps_cursor)
		client_keep_cursor(scan->client, scan->text, "id: ");
	if (scan->client->state == CLIENT_JOINING && text_has(scan->text, words->answer))
		return PIECE_FOLLOWED;
	return PIECE_NOTHING;
}

static enum piece sse_scan(struct scan *scan)
{
	if (scan->client->step != STEP_HEAD)
		return scan_line(scan);
	struct http_answer answer;
	enum piece piece = scan_answer(scan, &answer);
	if (piece != PIECE_MESSAGE)
		return piece;
	scan->client->step = STEP_LINES;
	return PIECE_OPENED;
}

const struct protocol protocol_sse = {
	.name = "sse",
	.what = "server-sent events",
	.words = {.path = "/events?channel=%c",
                  .back_path = "/events?channel=%c&since=%s",
                  .answer = "id:"},
	.open = request,
	.scan = sse_scan,
};

/* ---- polling ---- */

static enum piece poll_scan(struct scan *scan)
{
	struct http_answer answer;
	enum piece piece = scan_answer(scan, &answer);
	if (piece != PIECE_MESSAGE)
		return piece;
	client_keep_cursor(scan->client, scan->text, "\"cursor\":\"");
	scan->is_gap = text_has(scan->text, "\"recovered\":false");
	request(scan->endpoint, scan->client, scan->out);
	return scan->client->state == CLIENT_READY ? PIECE_MESSAGE : PIECE_FOLLOWED;
}

const struct protocol protocol_poll = {
	.name = "poll",
	.what = "long polls",
	.words = {.path = "/poll?channel=%c", .back_path = "/poll?channel=%c&since=%s&wait=25"},
	.has_many = true,
	.open = request,
	.scan = poll_scan,
};

/* ---- publishing ---- */

static void post_publish(const struct endpoint *endpoint, uint32_t channel, struct slice data,
                         struct buf *out)
{
	struct blanks blanks = {.channel = channel, .data = data};
	struct buf body = {0};
	endpoint_fill(endpoint, &body, endpoint->words.publish, blanks);
	buf_string(out, "POST ");
	endpoint_fill(endpoint, out, endpoint->words.path, blanks);
	buf_format(out,
	           " HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
	           "Content-Length: %zu\r\n\r\n",
	           endpoint->host, body.len);
	buf_slice(out, buf_view(&body));
	buf_free(&body);
}

static enum piece post_scan(struct scan *scan)
{
	struct http_answer answer;
	enum piece piece = scan_answer(scan, &answer);
	return piece == PIECE_MESSAGE ? PIECE_NOTHING : piece;
}

const struct protocol protocol_post = {
	.name = "post",
	.what = "HTTP POST, to publish",
	.words = {.path = "/api/publish", .publish = "{\"channel\":\"%c\",\"data\":\"%d\"}"},
	.publish = post_publish,
	.scan = post_scan,
};
