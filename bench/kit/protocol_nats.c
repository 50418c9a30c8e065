/*
 * The client protocol of NATS: lines, and behind some of them a payload of the length they name.
 * https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
#include "base/text.h"
#include "kit/protocol.h"

#define LINE_MAX_BYTES 4096 /* INFO is the longest, with what the server can do */
#define MSG_WORDS 4         /* MSG subject sid length; with a reply subject there are five */

enum nats_step {
	STEP_CONNECT = 0, /* PONG answers our CONNECT */
	STEP_CONNECTED,
};

static void nats_open(const struct endpoint *endpoint, const struct client *client, struct buf *out)
{
	(void)endpoint;
	(void)client;
	buf_string(out, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n");
}

static void nats_subscribe(const struct endpoint *endpoint, const struct client *client,
                           struct buf *out)
{
	endpoint_fill(endpoint, out, endpoint->words.subscribe,
	              client_blanks(client, slice_of(NULL, 0)));
	buf_string(out, "\r\nPING\r\n");
}

static void nats_publish(const struct endpoint *endpoint, uint32_t channel, struct slice data,
                         struct buf *out)
{
	endpoint_fill(endpoint, out, endpoint->words.publish,
	              (struct blanks){.channel = channel, .data = data});
	buf_format(out, " %zu\r\n", data.len);
	buf_slice(out, data);
	buf_string(out, "\r\n");
}

static enum piece scan_pong(struct scan *scan)
{
	struct client *client = scan->client;
	if (client->step == STEP_CONNECT) {
		client->step = STEP_CONNECTED;
		return PIECE_OPENED;
	}
	return client->state == CLIENT_JOINING ? PIECE_FOLLOWED : PIECE_NOTHING;
}

/* `line` is used already; behind it are the payload and the end of a line. */
static enum piece scan_message(struct scan *scan, struct slice line)
{
	struct slice word = line;
	uint64_t len;
	for (int i = 1; i < MSG_WORDS; i++) {
		if (!slice_cut(&line, ' ', &word))
			return PIECE_BAD;
	}
	if (!text_to_u64(line, &len))
		return PIECE_BAD;
	if (scan->len - scan->used < len + 2)
		return PIECE_MORE;
	scan->text = slice_of(scan->bytes + scan->used, (size_t)len);
	scan->used += (size_t)len + 2;
	return PIECE_MESSAGE;
}

static enum piece nats_scan(struct scan *scan)
{
	const char *end = memmem(scan->bytes, scan->len, "\r\n", 2);
	if (end == NULL)
		return scan->len < LINE_MAX_BYTES ? PIECE_MORE : PIECE_BAD;
	scan->text = slice_of(scan->bytes, (size_t)(end - scan->bytes));
	scan->used = scan->text.len + 2;
	if (slice_starts(scan->text, SLICE("MSG ")))
		return scan_message(scan, scan->text);
	if (slice_is(scan->text, "PONG"))
		return scan_pong(scan);
	if (slice_is(scan->text, "PING"))
		buf_string(scan->out, "PONG\r\n");
	else if (!slice_starts(scan->text, SLICE("INFO ")))
		return PIECE_BAD;
	return PIECE_NOTHING;
}

const struct protocol protocol_nats = {
	.name = "nats",
	.what = "the client protocol of NATS",
	.words = {.subscribe = "SUB %c 1", .publish = "PUB %c", .answer = "PONG"},
	.open = nats_open,
	.subscribe = nats_subscribe,
	.publish = nats_publish,
	.scan = nats_scan,
};
