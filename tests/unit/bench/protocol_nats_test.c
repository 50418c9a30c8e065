/*
 * What a NATS server says, cut into pieces wherever the bytes end: o opened, f followed, m a
 * message, n nothing, b what no server says. Then what a client says.
 */
#include "kit/protocol.h"

static const struct {
	const char *name, *bytes, *pieces, *text; /* text: of the last message */
	bool joins;
} cases[] = {
	{"it is open when PONG answers", "INFO {\"version\":\"2\"}\r\nPONG\r\n", "no", "", false},
	{"and has subscribed with the next", "INFO {}\r\nPONG\r\nPONG\r\n", "nof", "", true},
	{"a message has the length it names", "PONG\r\nMSG a 1 5\r\nab\r\nc\r\nPONG\r\n", "omn",
         "ab\r\nc", false},
	{"or none", "PONG\r\nMSG a 1 0\r\n\r\n", "om", "", false},
	{"a ping is no message", "PONG\r\nPING\r\n", "on", "", false},
	{"an error is told", "PONG\r\n-ERR 'Slow Consumer'\r\n", "ob", "", false},
	{"a length is a number", "PONG\r\nMSG a 1 x\r\n\r\n", "ob", "", false},
	{"a message has four words", "PONG\r\nMSG a\r\n\r\n", "ob", "", false},
};

static const char letters[] = {
	[PIECE_OPENED] = 'o',  [PIECE_FOLLOWED] = 'f', [PIECE_MESSAGE] = 'm',
	[PIECE_NOTHING] = 'n', [PIECE_BAD] = 'b',
};

static struct buf told, said, last;
static bool is_bad;

/* Takes what is whole of `bytes`; bytes used. */
static size_t take(struct client *client, bool joins, struct slice bytes)
{
	size_t used = 0;
	while (used < bytes.len) {
		struct scan scan = {.client = client,
		                    .bytes = bytes.at + used,
		                    .len = bytes.len - used,
		                    .out = &said};
		enum piece piece = protocol_nats.scan(&scan);
		if (piece == PIECE_MORE)
			break;
		CHECK(piece < (int)sizeof(letters) && letters[piece] != '\0');
		CHECK(scan.used <= scan.len);
		buf_char(&told, letters[piece]);
		is_bad = piece == PIECE_BAD;
		if (is_bad)
			break;
		if (piece == PIECE_MESSAGE) {
			buf_clear(&last);
			buf_slice(&last, scan.text);
		}
		if (joins && piece == PIECE_OPENED)
			client->state = CLIENT_JOINING;
		used += scan.used;
	}
	return used;
}

/* The first `split` bytes come, and then the rest. */
static void play(size_t i, size_t split)
{
	struct slice bytes = slice_string(cases[i].bytes);
	struct client client = {.state = CLIENT_OPENING};
	buf_clear(&told);
	buf_clear(&said);
	buf_clear(&last);
	is_bad = false;
	size_t used = take(&client, cases[i].joins, slice_of(bytes.at, split));
	if (!is_bad)
		used += take(&client, cases[i].joins, slice_after(bytes, used));
	CHECK(is_bad || used == bytes.len);
	CHECK(slice_is(buf_view(&told), cases[i].pieces));
	CHECK(slice_is(buf_view(&last), cases[i].text));
}

static void speak(void)
{
	struct endpoint endpoint = {.protocol = &protocol_nats,
	                            .words = protocol_nats.words,
	                            .channel = "room",
	                            .channels = 2};
	struct client client = {.channel = 1};
	buf_clear(&said);
	protocol_nats.open(&endpoint, &client, &said);
	protocol_nats.subscribe(&endpoint, &client, &said);
	protocol_nats.publish(&endpoint, 1, SLICE("hello"), &said);
	CHECK(slice_is(buf_view(&said), "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n"
	                                "SUB room1 1\r\nPING\r\nPUB room1 5\r\nhello\r\n"));
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("protocol_nats: %s\n", cases[i].name);
		for (size_t split = 0; split <= strlen(cases[i].bytes); split++)
			play(i, split);
	}
	printf("protocol_nats: a ping is answered\n");
	play(4, 0);
	CHECK(slice_is(buf_view(&said), "PONG\r\n"));
	printf("protocol_nats: what a client says\n");
	speak();
	buf_free(&told);
	buf_free(&said);
	buf_free(&last);
	return 0;
}
