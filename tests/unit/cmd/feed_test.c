/*
 * feed: a play of frames of the server, and all that becomes of them: the lines, the notices, the
 * answer to the last frame with its reason, and what is subscribed to on the next connection.
 */
#include <errno.h>
#include <stdio.h>

#include "cmd/feed.h"

#define FRAMES_MAX 6
#define MESSAGE(channel, id) "{\"type\":\"message\",\"channel\":\"" channel "\",\"id\":\"" id "\"}"
#define SUBSCRIBED(ref, cursor, more)                                                              \
	"{\"type\":\"subscribed\",\"ref\":" ref ",\"channel\":\"x\",\"cursor\":\"" cursor          \
	"\"" more "}"
#define AGAIN(since)                                                                               \
	"{\"type\":\"subscribe\",\"ref\":0,\"channel\":\"a\",\"since\":\"" since "\"}\n"
#define ANEW "{\"type\":\"subscribe\",\"ref\":0,\"channel\":\"a\"}\n"

static char *const one[] = {"a"};

static const struct {
	const char *name;
	const char *since;
	const char *frames[FRAMES_MAX];
	const char *lines;
	const char *end; /* notices, then "lost" or "refused" and why */
	const char *next;
} cases[] = {
	{"a message is printed as it came",
         NULL,
         {MESSAGE("a", "e-1")},
         MESSAGE("a", "e-1") "\n",
         "",
         AGAIN("e-1")},
	{"messages keep their order",
         NULL,
         {MESSAGE("a", "e-1"), MESSAGE("a", "e-2")},
         MESSAGE("a", "e-1") "\n" MESSAGE("a", "e-2") "\n",
         "",
         AGAIN("e-2")},
	{"line breaks between its parts become blanks",
         NULL,
         {"{\"type\":\"message\",\r\n\"channel\":\"a\",\"id\":\"e-1\",\"data\":\"\\n\"}"},
         "{\"type\":\"message\",  \"channel\":\"a\",\"id\":\"e-1\",\"data\":\"\\n\"}\n",
         "",
         AGAIN("e-1")},
	{"what came before is dropped",
         "e-5",
         {MESSAGE("a", "e-4"), MESSAGE("a", "e-5"), MESSAGE("a", "e-6"), MESSAGE("a", "e-6")},
         MESSAGE("a", "e-6") "\n",
         "",
         AGAIN("e-6")},
	{"ids are numbers, not words",
         "e-9",
         {MESSAGE("a", "e-10")},
         MESSAGE("a", "e-10") "\n",
         "",
         AGAIN("e-10")},
	{"another epoch is another history",
         "e-9",
         {MESSAGE("a", "f-1")},
         MESSAGE("a", "f-1") "\n",
         "",
         AGAIN("f-1")},
	{"a message without a channel is printed",
         NULL,
         {"{\"type\":\"message\",\"data\":1}"},
         "{\"type\":\"message\",\"data\":1}\n",
         "",
         ANEW},
	{"escapes do not hide the type or the channel",
         "e-1",
         {"{\"type\":\"messag\\u0065\",\"channel\":\"\\u0061\",\"id\":\"e-1\"}"},
         "",
         "",
         AGAIN("e-1")},
	/* subscriptions */
	{"a plain subscription begins at its cursor",
         NULL,
         {SUBSCRIBED("0", "e-7", "")},
         "",
         "",
         AGAIN("e-7")},
	{"without an answer it begins anew",
         NULL,
         {"{\"type\":\"welcome\",\"heartbeat\":25}"},
         "",
         "",
         ANEW},
	{"start stays start until something is known", "start", {NULL}, "", "", AGAIN("start")},
	{"recovered: nothing is told",
         "e-5",
         {SUBSCRIBED("0", "e-5", ",\"recovered\":true")},
         "",
         "",
         AGAIN("e-5")},
	{"a gap is told, and what follows is printed",
         "e-5",
         {SUBSCRIBED("0", "f-0", ",\"recovered\":false"), MESSAGE("a", "f-1")},
         MESSAGE("a", "f-1") "\n",
         "starling: messages are missing in channel 'a': history does not reach back to where it "
         "was left\n",
         AGAIN("f-1")},
	{"after a gap lower ids of the epoch are new",
         "e-5",
         {SUBSCRIBED("0", "e-0", ",\"recovered\":false"), MESSAGE("a", "e-1")},
         MESSAGE("a", "e-1") "\n",
         "starling: messages are missing in channel 'a': history does not reach back to where it "
         "was left\n",
         AGAIN("e-1")},
	{"messages that were left out are told",
         NULL,
         {"{\"type\":\"gap\",\"channel\":\"a\",\"cursor\":\"e-3\"}"},
         "",
         "starling: messages were left out in channel 'a': they came faster than they were read\n",
         ANEW},
	/* ends */
	{"a refusal ends it",
         NULL,
         {"{\"type\":\"error\",\"ref\":0,\"code\":\"forbidden\",\"message\":\"not you\"}"},
         "",
         "refused channel 'a': forbidden: not you",
         ANEW},
	{"a refusal without ref does too",
         NULL,
         {"{\"type\":\"error\",\"code\":\"bad_request\",\"message\":\"what\"}"},
         "",
         "refused bad_request: what",
         ANEW},
	{"unavailable may pass",
         NULL,
         {"{\"type\":\"error\",\"ref\":0,\"code\":\"unavailable\",\"message\":\"later\"}"},
         "",
         "lost channel 'a': unavailable: later",
         ANEW},
	{"so may rate_limited",
         NULL,
         {"{\"type\":\"error\",\"ref\":0,\"code\":\"rate_limited\",\"message\":\"later\"}"},
         "",
         "lost channel 'a': rate_limited: later",
         ANEW},
	{"a subscription that the server ended is over",
         NULL,
         {"{\"type\":\"unsubscribed\",\"channel\":\"a\",\"reason\":\"gone\"}"},
         "",
         "refused the server ended the subscription of channel a: gone",
         ANEW},
	{"a subscription to something else is none",
         NULL,
         {SUBSCRIBED("1", "e-0", "")},
         "",
         "refused the server subscribed to something else",
         ANEW},
	{"a subscription without a cursor is none",
         NULL,
         {"{\"type\":\"subscribed\",\"ref\":0,\"channel\":\"a\"}"},
         "",
         "refused the server subscribed to something else",
         ANEW},
	{"a complaint stays on its line",
         NULL,
         {"{\"type\":\"error\",\"code\":\"x\\n\",\"message\":\"y\\u0000\"}"},
         "",
         "refused x?: y?",
         ANEW},
	{"what is no JSON is another protocol",
         NULL,
         {"hello"},
         "",
         "refused the server does not speak starling.v1",
         ANEW},
	{"so is an object without a type",
         NULL,
         {"{\"a\":1}"},
         "",
         "refused the server does not speak starling.v1",
         ANEW},
	{"what a later server may say is passed over",
         NULL,
         {"{\"type\":\"weather\"}"},
         "",
         "",
         ANEW},
};

static void say_answer(enum feed_answer answer, const struct feed *feed, struct buf *end)
{
	CHECK((answer == FEED_GOOD) == (feed->why.len == 0));
	if (answer != FEED_GOOD)
		buf_string(end, answer == FEED_LOST ? "lost " : "refused ");
	buf_slice(end, buf_view(&feed->why));
}

static void case_run(size_t i)
{
	struct feed feed;
	struct buf end = {0}, next = {0}, error = {0};
	printf("feed: %s\n", cases[i].name);
	CHECK(feed_init(&feed, one, 1, cases[i].since, &error) == 0);
	enum feed_answer answer = FEED_GOOD;
	for (size_t k = 0; k < FRAMES_MAX && cases[i].frames[k] != NULL; k++) {
		CHECK(answer == FEED_GOOD);
		answer = feed_text(&feed, slice_string(cases[i].frames[k]));
	}
	buf_slice(&end, buf_view(&feed.notices));
	say_answer(answer, &feed, &end);
	feed_subscribe(&feed, 0, &next);
	buf_char(&next, '\n');
	CHECK(slice_is(buf_view(&feed.lines), cases[i].lines));
	CHECK(slice_is(buf_view(&end), cases[i].end));
	CHECK(slice_is(buf_view(&next), cases[i].next));
	buf_free(&end);
	buf_free(&next);
	feed_free(&feed);
}

static const struct {
	const char *name;
	struct slice frame;
	const char *line; /* NULL: refused */
} binary[] = {
	{"a binary message is printed with base64", SLICE_INIT("\1\1a\3e-1\0\xff\x10"),
         "{\"type\":\"message\",\"channel\":\"a\",\"id\":\"e-1\",\"data\":{\"base64\":\"AP8Q\"}}"
         "\n"},
	{"an empty binary message", SLICE_INIT("\1\1a\3e-1"),
         "{\"type\":\"message\",\"channel\":\"a\",\"id\":\"e-1\",\"data\":{\"base64\":\"\"}}\n"},
	{"a length may take two bytes", SLICE_INIT("\1\x81\0a\3e-1x"),
         "{\"type\":\"message\",\"channel\":\"a\",\"id\":\"e-1\",\"data\":{\"base64\":\"eA==\"}}"
         "\n"},
	{"one that came before is dropped", SLICE_INIT("\1\1a\3e-0x"), ""},
	{"an empty frame is refused", SLICE_INIT(""), NULL},
	{"another version is refused", SLICE_INIT("\2\1a\3e-1"), NULL},
	{"a channel that is cut off is refused", SLICE_INIT("\1\3a"), NULL},
	{"an id that is cut off is refused", SLICE_INIT("\1\1a\3e-"), NULL},
	{"a length that is cut off is refused", SLICE_INIT("\1\1a\x83"), NULL},
	{"a length without an end is refused", SLICE_INIT("\1\x80\x80\x80\x80\x80\x80\x80"), NULL},
	{"a channel that is not UTF-8 is refused", SLICE_INIT("\1\1\xff\3e-1"), NULL},
};

static void binary_run(size_t i)
{
	struct feed feed;
	struct buf error = {0};
	printf("feed: %s\n", binary[i].name);
	CHECK(feed_init(&feed, one, 1, "e-0", &error) == 0);
	enum feed_answer answer = feed_binary(&feed, binary[i].frame);
	CHECK(answer == (binary[i].line != NULL ? FEED_GOOD : FEED_REFUSED));
	CHECK((feed.why.len > 0) == (binary[i].line == NULL));
	CHECK(slice_is(buf_view(&feed.lines), binary[i].line != NULL ? binary[i].line : ""));
	feed_free(&feed);
}

static const struct {
	const char *name;
	char *names[4];
	const char *since;
	const char *complaint;
} refused[] = {
	{"a channel at least", {NULL}, NULL, "no channel is named"},
	{"a channel once", {"a", "b", "a"}, NULL, "given twice: channel 'a'"},
	{"a channel is text", {"a", "\xff"}, NULL, "not a channel name: '?'"},
	{"a cursor for each channel", {"a", "b"}, "e-1", "--since has 1 cursors for 2 channels"},
	{"no cursor more", {"a"}, "e-1,e-2", "--since has 2 cursors for 1 channels"},
	{"no empty cursor", {"a", "b"}, "e-1,", "not a cursor: ''"},
	{"no cursor of any length",
         {"a"},
         "0123456789012345678901234567890123456789012345678901234567890123",
         "not a cursor: '0123456789012345678901234567890123456789012345678901234567890123'"},
};

static void refused_run(size_t i)
{
	struct feed feed;
	struct buf error = {0};
	size_t count = 0;
	printf("feed: %s\n", refused[i].name);
	while (refused[i].names[count] != NULL)
		count++;
	CHECK(feed_init(&feed, refused[i].names, count, refused[i].since, &error) == -EINVAL);
	CHECK(slice_is(buf_view(&error), refused[i].complaint));
	feed_free(&feed);
	buf_free(&error);
}

static void many_run(void)
{
	printf("feed: each channel has a cursor of its own\n");
	char *const names[] = {"a", "b\"c"};
	struct feed feed;
	struct buf text = {0};
	CHECK(feed_init(&feed, names, 2, "e-1,start", &text) == 0);
	CHECK(feed_text(&feed, slice_string(MESSAGE("a", "e-2"))) == FEED_GOOD);
	CHECK(feed_text(&feed, slice_string(SUBSCRIBED("1", "f-8", ""))) == FEED_GOOD);
	CHECK(feed_text(&feed, slice_string(MESSAGE("b\\\"c", "f-9"))) == FEED_GOOD);
	feed_subscribe(&feed, 0, &text);
	feed_subscribe(&feed, 1, &text);
	CHECK(slice_is(
		buf_view(&text),
		"{\"type\":\"subscribe\",\"ref\":0,\"channel\":\"a\",\"since\":\"e-2\"}"
		"{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"b\\\"c\",\"since\":\"f-9\"}"));
	buf_free(&text);
	feed_free(&feed);
}

static void wishes_run(void)
{
	printf("feed: the server's heartbeat and its wish to be left are kept\n");
	struct feed feed;
	struct buf error = {0};
	CHECK(feed_init(&feed, one, 1, NULL, &error) == 0);
	CHECK(!feed.is_put_off);
	CHECK(feed_text(&feed, SLICE("{\"type\":\"welcome\",\"heartbeat\":25}")) == FEED_GOOD);
	CHECK(feed_text(&feed, SLICE("{\"type\":\"reconnect\",\"after\":1234}")) == FEED_GOOD);
	CHECK(feed.heartbeat_s == 25);
	CHECK(feed.is_put_off);
	CHECK(feed.reconnect_after_ms == 1234);
	feed_free(&feed);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		case_run(i);
	for (size_t i = 0; i < COUNT_OF(binary); i++)
		binary_run(i);
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		refused_run(i);
	many_run();
	wishes_run();
	return 0;
}
