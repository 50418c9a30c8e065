/* What servers send, cut into pieces: whole, and in two parts at every split, against a guard
 * page. The pieces are written down as text and must always be the same. */
#include <stdio.h>
#include <stdlib.h>

#include "../guard.h"
#include "kit/protocol.h"

#define HEAD "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

static const struct {
	const char *name;
	const struct protocol *protocol;
	struct slice input;
	const char *pieces;
	const char *cursor; /* remembered at the end; NULL: none */
	const char *sent;   /* stands in what is sent; NULL: nothing is sent */
} cases[] = {
	{"a native subscription", &protocol_native,
         SLICE_INIT(HEAD "\x81\x12{\"type\":\"welcome\"}"
                         "\x81\x24{\"type\":\"subscribed\",\"cursor\":\"e-0\"}"
                         "\x81\x2c{\"type\":\"message\",\"id\":\"e-1\",\"data\":\"~#0..\"}"),
         "opened message followed message ", "e-1", NULL},
	{"what was not recovered is a gap", &protocol_native,
         SLICE_INIT(HEAD "\x81\x2c{\"type\":\"subscribed\",\"recovered\":false,....}"),
         "opened followed+gap ", NULL, NULL},
	{"a refusal is bad", &protocol_native,
         SLICE_INIT(HEAD "\x81\x23{\"type\":\"error\",\"code\":\"forbidden\"}"), "opened bad ",
         NULL, NULL},
	{"a ping is answered", &protocol_native, SLICE_INIT(HEAD "\x89\x02hi\x8a\x00"),
         "opened nothing nothing ", NULL, "\x8a\x82"},
	{"a close is an end", &protocol_websocket, SLICE_INIT(HEAD "\x88\x02\x03\xe8"),
         "opened end ", NULL, NULL},
	{"longer frames", &protocol_websocket,
         SLICE_INIT(HEAD "\x81\x7e\x00\x03"
                         "abc\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x02xy\x81\x00"),
         "opened message message message ", NULL, NULL},
	{"no upgrade is bad", &protocol_websocket, SLICE_INIT("HTTP/1.1 404 Not Found\r\n\r\n"),
         "bad ", NULL, NULL},
	{"an event stream", &protocol_sse,
         SLICE_INIT(SSE_HEAD "retry: 1234\n\nid: e-7\n\ndata: \"~#1\"\nid: e-8\n\n:\n\n"),
         "opened nothing nothing followed nothing message nothing nothing nothing nothing ", "e-8",
         NULL},
	{"an event stream that lost something", &protocol_sse,
         SLICE_INIT(SSE_HEAD "event: gap\ndata: {}\n"), "opened nothing+gap message ", NULL, NULL},
	{"an answer to a poll brings the next one", &protocol_poll,
         SLICE_INIT("HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\n"
                    "{\"cursor\":\"e-3\",\"recovered\":true,\"messages\":[1,2,3,4,5]}"),
         "followed ", "e-3", "since=e-3"},
	{"a poll that lost something", &protocol_poll,
         SLICE_INIT("HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\n"
                    "{\"cursor\":\"e-3\",\"recovered\":false,\"messages\":[]}"),
         "followed+gap ", "e-3", "since=e-3"},
	{"a refused poll is bad", &protocol_poll,
         SLICE_INIT("HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad"), "bad ", NULL, NULL},
	{"answers to publications are nothing", &protocol_post,
         SLICE_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
                    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
         "nothing nothing ", NULL, NULL},
	{"a refused publication is bad", &protocol_post,
         SLICE_INIT("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"), "bad ", NULL, NULL},
};

struct reading {
	struct endpoint endpoint;
	struct client client;
	struct buf held, sent, pieces;
};

/* As the lane does: the client becomes what the piece says. */
static void take_piece(struct reading *reading, enum piece piece, bool is_gap)
{
	static const char *const names[] = {
		[PIECE_OPENED] = "opened",   [PIECE_FOLLOWED] = "followed",
		[PIECE_MESSAGE] = "message", [PIECE_NOTHING] = "nothing",
		[PIECE_END] = "end",         [PIECE_BAD] = "bad",
	};
	buf_string(&reading->pieces, names[piece]);
	buf_string(&reading->pieces, is_gap ? "+gap " : " ");
	if (piece == PIECE_OPENED)
		reading->client.state = CLIENT_JOINING;
	if (piece == PIECE_FOLLOWED)
		reading->client.state = CLIENT_READY;
}

static void feed(struct reading *reading, struct slice part)
{
	buf_slice(&reading->held, part);
	char *copy = guard_copy(buf_view(&reading->held));
	size_t len = reading->held.len, used = 0;
	enum piece piece = PIECE_NOTHING;
	while (used < len && piece != PIECE_MORE && piece != PIECE_BAD) {
		struct scan scan = {.endpoint = &reading->endpoint,
		                    .client = &reading->client,
		                    .bytes = copy + used,
		                    .len = len - used,
		                    .out = &reading->sent};
		piece = reading->endpoint.protocol->scan(&scan);
		CHECK(scan.used <= len - used);
		if (piece != PIECE_MORE)
			take_piece(reading, piece, scan.is_gap);
		used += scan.used;
	}
	buf_use(&reading->held, piece == PIECE_BAD ? len : used);
	guard_drop(copy, len);
}

static void check_reading(const struct reading *reading, size_t i)
{
	const char *cursor = cases[i].cursor;
	CHECK(slice_is(buf_view(&reading->pieces), cases[i].pieces));
	CHECK((cursor == NULL) == (reading->client.cursor == NULL));
	CHECK(cursor == NULL || strcmp(cursor, reading->client.cursor) == 0);
	if (cases[i].sent == NULL)
		CHECK(reading->sent.len == 0);
	else
		CHECK(text_has(buf_view(&reading->sent), cases[i].sent));
}

static void run_split(size_t i, size_t split)
{
	struct reading reading = {.client = {.state = CLIENT_OPENING}};
	reading.endpoint = (struct endpoint){.protocol = cases[i].protocol,
	                                     .words = cases[i].protocol->words,
	                                     .host = "h",
	                                     .channel = "c",
	                                     .channels = 1,
	                                     .keeps_cursor = true};
	feed(&reading, slice_of(cases[i].input.at, split));
	if (reading.pieces.len == 0 || !text_has(buf_view(&reading.pieces), "bad"))
		feed(&reading, slice_after(cases[i].input, split));
	check_reading(&reading, i);
	buf_free(&reading.held);
	buf_free(&reading.sent);
	buf_free(&reading.pieces);
	free(reading.client.cursor);
}

/* ---- what is said ---- */

static void test_words(void)
{
	struct endpoint endpoint = {.channel = "room:", .channels = 3};
	struct buf out = {0};
	printf("protocol: words are filled in\n");
	endpoint_fill(&endpoint, &out, "%c has %d at %s, 100%% of %c",
	              (struct blanks){.channel = 2, .data = SLICE("it"), .cursor = SLICE("e-1")});
	CHECK(slice_is(buf_view(&out), "room:2 has it at e-1, 100% of room:2"));
	buf_free(&out);
}

static void test_back(void)
{
	struct endpoint endpoint = {.protocol = &protocol_sse,
	                            .words = protocol_sse.words,
	                            .host = "h:1",
	                            .channel = "c",
	                            .channels = 1};
	struct client client = {0};
	struct buf out = {0};
	char cursor[] = "e-9";
	printf("protocol: who has a cursor comes back with it\n");
	protocol_sse.open(&endpoint, &client, &out);
	CHECK(slice_is(buf_view(&out), "GET /events?channel=c HTTP/1.1\r\nHost: h:1\r\n\r\n"));
	client.cursor = cursor;
	buf_clear(&out);
	protocol_sse.open(&endpoint, &client, &out);
	CHECK(text_has(buf_view(&out), "GET /events?channel=c&since=e-9 HTTP/1.1\r\n"));
	buf_free(&out);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("protocol: %s\n", cases[i].name);
		for (size_t split = 0; split <= cases[i].input.len; split++)
			run_split(i, split);
	}
	test_words();
	test_back();
	return 0;
}
