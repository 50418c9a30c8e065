/*
 * WebSocket (RFC 6455), with Starling's words or with any others: frames are cut, not read. The
 * text of a fragment counts as a piece of its own.
 */
#include "base/random.h"
#include "kit/protocol.h"
#include "wire/ws_client.h"

#define HEAD_END "\r\n\r\n"
#define HEAD_MAX 8192
#define ACCEPTED "HTTP/1.1 101"

#define LEN_BITS 0x7f
#define OPCODE_BITS 0x0f
#define LEN_16 126
#define LEN_64 127

enum websocket_step {
	STEP_HEAD = 0,
	STEP_FRAMES,
};

static void frame_append(struct buf *out, enum ws_opcode opcode, struct slice payload)
{
	static _Thread_local struct random random;
	char mask[WS_MASK_BYTES];
	uint64_t bits = random_next(&random);
	memcpy(mask, &bits, sizeof(mask));
	ws_client_append(out, opcode, payload, mask);
}

static void say(const struct endpoint *endpoint, struct buf *out, const char *words,
                struct blanks blanks)
{
	struct buf text = {0};
	endpoint_fill(endpoint, &text, words, blanks);
	frame_append(out, WS_OPCODE_TEXT, buf_view(&text));
	buf_free(&text);
}

static void websocket_open(const struct endpoint *endpoint, const struct client *client,
                           struct buf *out)
{
	buf_string(out, "GET ");
	endpoint_fill(endpoint, out, endpoint->words.path,
	              client_blanks(client, slice_of(NULL, 0)));
	buf_format(
		out,
		" HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		endpoint->host);
}

static void websocket_subscribe(const struct endpoint *endpoint, const struct client *client,
                                struct buf *out)
{
	const struct words *words = &endpoint->words;
	bool comes_back = client->cursor != NULL && words->resume != NULL;
	say(endpoint, out, comes_back ? words->resume : words->subscribe,
	    client_blanks(client, slice_of(NULL, 0)));
}

static void websocket_publish(const struct endpoint *endpoint, uint32_t channel, struct slice data,
                              struct buf *out)
{
	say(endpoint, out, endpoint->words.publish,
	    (struct blanks){.channel = channel, .data = data});
}

static void websocket_leave(struct buf *out)
{
	static const char normal[2] = {(char)(WS_CLOSE_NORMAL >> 8),
	                               (char)(WS_CLOSE_NORMAL & 0xff)};
	frame_append(out, WS_OPCODE_CLOSE, slice_of(normal, sizeof(normal)));
}

/* ---- what comes ---- */

static enum piece scan_head(struct scan *scan)
{
	const char *end = memmem(scan->bytes, scan->len, HEAD_END, strlen(HEAD_END));
	if (end == NULL)
		return scan->len < HEAD_MAX ? PIECE_MORE : PIECE_BAD;
	scan->used = (size_t)(end - scan->bytes) + strlen(HEAD_END);
	scan->text = slice_of(scan->bytes, scan->used);
	if (!slice_starts(scan->text, SLICE(ACCEPTED)))
		return PIECE_BAD;
	scan->client->step = STEP_FRAMES;
	return PIECE_OPENED;
}

/* The frame at the front; false: it is not whole. */
static bool cut_frame(struct scan *scan)
{
	const unsigned char *head = (const unsigned char *)scan->bytes;
	size_t start = 2;
	if (scan->len < start)
		return false;
	uint64_t len = head[1] & LEN_BITS;
	if (len >= LEN_16) {
		size_t more = len == LEN_64 ? 8 : 2;
		if (scan->len < start + more)
			return false;
		len = 0;
		for (size_t i = 0; i < more; i++)
			len = len << 8 | head[start + i];
		start += more;
	}
	if (scan->len - start < len)
		return false;
	scan->text = slice_of(scan->bytes + start, (size_t)len);
	scan->used = start + (size_t)len;
	return true;
}

static enum piece scan_text(struct scan *scan)
{
	const struct words *words = &scan->endpoint->words;
	if (scan->client->state == CLIENT_JOINING && text_has(scan->text, words->answer))
		return PIECE_FOLLOWED;
	return PIECE_MESSAGE;
}

static enum piece websocket_scan(struct scan *scan)
{
	if (scan->client->step == STEP_HEAD)
		return scan_head(scan);
	if (!cut_frame(scan))
		return PIECE_MORE;
	switch ((enum ws_opcode)(scan->bytes[0] & OPCODE_BITS)) {
	case WS_OPCODE_TEXT:
	case WS_OPCODE_BINARY:
	case WS_OPCODE_CONTINUATION:
		return scan_text(scan);
	case WS_OPCODE_PING:
		frame_append(scan->out, WS_OPCODE_PONG, scan->text);
		return PIECE_NOTHING;
	case WS_OPCODE_PONG:
		return PIECE_NOTHING;
	case WS_OPCODE_CLOSE:
		return PIECE_END;
	}
	return PIECE_BAD;
}

/* ---- Starling's own ---- */

static enum piece native_scan(struct scan *scan)
{
	enum piece piece = websocket_scan(scan);
	if (piece == PIECE_FOLLOWED) {
		if (scan->endpoint->keeps_cursor)
			client_keep_cursor(scan->client, scan->text, "\"cursor\":\"");
		scan->is_gap = text_has(scan->text, "\"recovered\":false");
	} else if (piece == PIECE_MESSAGE) {
		if (slice_starts(scan->text, SLICE("{\"type\":\"error\"")))
			return PIECE_BAD;
		if (scan->endpoint->keeps_cursor)
			client_keep_cursor(scan->client, scan->text, "\"id\":\"");
	}
	return piece;
}

const struct protocol protocol_native = {
	.name = "native",
	.what = "WebSocket, starling.v1",
	.words = {.path = "/ws",
                  .subscribe = "{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"%c\"}",
                  .resume =
                          "{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"%c\",\"since\":\"%s\"}",
                  .publish = "{\"type\":\"publish\",\"channel\":\"%c\",\"data\":\"%d\"}",
                  .answer = "\"type\":\"subscribed\"",
                  .gap = "\"type\":\"gap\""},
	.open = websocket_open,
	.subscribe = websocket_subscribe,
	.publish = websocket_publish,
	.leave = websocket_leave,
	.scan = native_scan,
};

const struct protocol protocol_websocket = {
	.name = "websocket",
	.what = "WebSocket, with words of yours",
	.words = {.path = "/", .publish = "%d"},
	.open = websocket_open,
	.subscribe = websocket_subscribe,
	.publish = websocket_publish,
	.leave = websocket_leave,
	.scan = websocket_scan,
};
