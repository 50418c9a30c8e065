/*
 * Input goes to a reader whole, in two parts at every split, and byte by byte, each part
 * against a guard page; the answers are written down as text and must always be the same.
 */
#include "../guard.h"
#include "wire/ws_frame.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

#define MESSAGE_BYTES_MAX 1000

/* A head with a zero mask, so that payloads can be read below. */
#define HEAD(first, second) first second "\0\0\0\0"
#define CODE_OK "\x03\xe8"
#define CODE(number) HEAD("\x88", "\x82") number
#define TEN(x) x x x x x x x x x x

static const struct {
	const char *name;
	struct slice input;
	const char *answers; /* each with a blank behind; " more": not at rest at the end */
} cases[] = {
	/* the examples of RFC 6455 section 5.7, as a client must send them */
	{"a masked text message", BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
         "text(Hello) "},
	{"a fragmented text message",
         BYTES("\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d\x80\x82\x3d\x21\xfa\x37\x51\x4e"),
         "text(Hello) "},
	{"a masked pong", BYTES("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "pong(Hello) "},
	{"a masked ping", BYTES("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "ping(Hello) "},
	{"an unmasked text message is refused", BYTES("\x81\x05Hello"),
         "bad(1002 a frame without a mask) "},
	/* messages */
	{"nothing is nothing", BYTES(""), ""},
	{"an empty text", BYTES(HEAD("\x81", "\x80")), "text() "},
	{"an empty binary message", BYTES(HEAD("\x82", "\x80")), "binary() "},
	{"binary need not be UTF-8", BYTES(HEAD("\x82", "\x82") "\xff\xc0"), "binary(\xff\xc0) "},
	{"frames in a row",
         BYTES(HEAD("\x81", "\x81") "a" HEAD("\x82", "\x82") "bc" HEAD("\x81", "\x80")
                       HEAD("\x89", "\x81") "d" HEAD("\x81", "\x81") "e"),
         "text(a) binary(bc) text() ping(d) text(e) "},
	{"a length of 126 takes two bytes more",
         BYTES(HEAD("\x81", "\xfe\x00\x7e") TEN("0123456789ab") "abcdef"),
         "text(" TEN("0123456789ab") "abcdef) "},
	{"fragments may be empty",
         BYTES(HEAD("\x01", "\x80") HEAD("\x00", "\x80")
                       HEAD("\x00", "\x81") "x" HEAD("\x80", "\x80")),
         "text(x) "},
	{"a message may be empty fragments only", BYTES(HEAD("\x02", "\x80") HEAD("\x80", "\x80")),
         "binary() "},
	{"a character may lie in two fragments",
         BYTES(HEAD("\x01", "\x82") "a\xe2" HEAD("\x00", "\x81") "\x82" HEAD("\x80", "\x82") "\xac"
                                                                                             "b"),
         "text(a\xe2\x82\xac"
         "b) "},
	{"control frames come between fragments",
         BYTES(HEAD("\x01", "\x82") "ab" HEAD("\x89", "\x83") "xyz" HEAD("\x00", "\x81") "c" HEAD(
		 "\x8a", "\x80") HEAD("\x80", "\x81") "d"),
         "ping(xyz) pong() text(abcd) "},
	{"a control frame splits no character",
         BYTES(HEAD("\x01", "\x81") "\xc3" HEAD("\x89", "\x81") "\xff" HEAD("\x80", "\x81") "\xa9"),
         "ping(\xff) text(\xc3\xa9) "},
	{"messages after a fragmented one start anew",
         BYTES(HEAD("\x01", "\x81") "a" HEAD("\x80", "\x81") "b" HEAD("\x02", "\x81") "c" HEAD(
		 "\x80", "\x81") "d" HEAD("\x81", "\x81") "e"),
         "text(ab) binary(cd) text(e) "},
	{"half a head is not at rest", BYTES("\x81"), " more"},
	{"half a payload is not at rest", BYTES(HEAD("\x81", "\x83") "ab"), " more"},
	{"half a message is not at rest", BYTES(HEAD("\x01", "\x80")), " more"},
	{"half a message is not at rest after a ping",
         BYTES(HEAD("\x01", "\x80") HEAD("\x89", "\x80")), "ping()  more"},
	{"the largest ping", BYTES(HEAD("\x89", "\xfd") TEN("0123456789ab") "abcde"),
         "ping(" TEN("0123456789ab") "abcde) "},
	/* heads that are refused */
	{"reserved bit 1 is refused", BYTES("\xc1"), "bad(1002 a reserved bit is set) "},
	{"reserved bit 2 is refused", BYTES("\xa1"), "bad(1002 a reserved bit is set) "},
	{"reserved bit 3 is refused", BYTES("\x91"), "bad(1002 a reserved bit is set) "},
	{"reserved bits of control frames are too", BYTES("\xc9"),
         "bad(1002 a reserved bit is set) "},
	{"opcode 3 is unknown", BYTES("\x83"), "bad(1002 unknown opcode) "},
	{"opcode 7 is unknown", BYTES("\x87"), "bad(1002 unknown opcode) "},
	{"opcode B is unknown", BYTES("\x8b"), "bad(1002 unknown opcode) "},
	{"opcode F is unknown", BYTES("\x8f"), "bad(1002 unknown opcode) "},
	{"a control frame is one frame", BYTES("\x09"), "bad(1002 a control frame in fragments) "},
	{"a control frame has 125 bytes at most", BYTES("\x89\xfe"),
         "bad(1002 a control frame over 125 bytes) "},
	{"a continuation continues something", BYTES("\x80"),
         "bad(1002 a continuation of nothing) "},
	{"a message is not continued when it is over",
         BYTES(HEAD("\x01", "\x81") "a" HEAD("\x80", "\x80") "\x80"),
         "text(a) bad(1002 a continuation of nothing) "},
	{"a message is over before the next", BYTES(HEAD("\x01", "\x81") "a\x82"),
         "bad(1002 a new message inside another) "},
	{"a ping ends no message", BYTES(HEAD("\x01", "\x80") HEAD("\x89", "\x80") "\x01"),
         "ping() bad(1002 a new message inside another) "},
	{"125 takes no two bytes", BYTES(HEAD("\x82", "\xfe\x00\x7d")),
         "bad(1002 a length longer than it need be) "},
	{"65535 takes no eight bytes", BYTES(HEAD("\x82", "\xff\0\0\0\0\0\0\xff\xff")),
         "bad(1002 a length longer than it need be) "},
	{"a length is below 2^63", BYTES(HEAD("\x82", "\xff\x80\0\0\0\0\0\0\0")),
         "bad(1002 a length with its top bit set) "},
	/* sizes */
	{"a message over the limit is refused by its head", BYTES(HEAD("\x82", "\xfe\x03\xe9")),
         "bad(1009 too_large) "},
	{"a length near 2^63 is only too large",
         BYTES(HEAD("\x82", "\xff\x7f\xff\xff\xff\xff\xff\xff\xff")), "bad(1009 too_large) "},
	{"fragments are counted together",
         BYTES(HEAD("\x02", "\x82") "ab" HEAD("\x80", "\xfe\x03\xe7")), "bad(1009 too_large) "},
	{"control frames are not counted",
         BYTES(HEAD("\x02", "\x82") "ab" HEAD("\x89", "\x81") "p" HEAD("\x80", "\xfe\x03\xe6")),
         "ping(p)  more"},
	/* UTF-8 */
	{"text is UTF-8", BYTES(HEAD("\x81", "\x82") "a\xff"), "bad(1007 text is not UTF-8) "},
	{"a fault is told before the frame is whole", BYTES(HEAD("\x81", "\x85") "a\xff"),
         "bad(1007 text is not UTF-8) "},
	{"a fault is told before the message is whole", BYTES(HEAD("\x01", "\x81") "\xff"),
         "bad(1007 text is not UTF-8) "},
	{"a fault may come with a later fragment",
         BYTES(HEAD("\x01", "\x82") "a\xe2" HEAD("\x00", "\x85") "."),
         "bad(1007 text is not UTF-8) "},
	{"text does not end inside a character", BYTES(HEAD("\x81", "\x83") "a\xe2\x82"),
         "bad(1007 text is not UTF-8) "},
	{"nor does the last of its fragments",
         BYTES(HEAD("\x01", "\x81") "\xe2" HEAD("\x80", "\x80")), "bad(1007 text is not UTF-8) "},
	{"binary fragments need not be UTF-8",
         BYTES(HEAD("\x02", "\x81") "\xff" HEAD("\x80", "\x81") "\xfe"), "binary(\xff\xfe) "},
	/* close */
	{"a close may say nothing", BYTES(HEAD("\x88", "\x80")), "close(1005 ) "},
	{"a close may have a code", BYTES(CODE(CODE_OK)), "close(1000 ) "},
	{"a close may have a reason", BYTES(HEAD("\x88", "\x85") CODE_OK "bye"),
         "close(1000 bye) "},
	{"a close may come inside a message",
         BYTES(HEAD("\x01", "\x81") "a" HEAD("\x88", "\x83") CODE_OK "b"), "close(1000 b)  more"},
	{"the longest reason",
         BYTES(HEAD("\x88", "\xfd") CODE_OK TEN("0123456789ab") "\xe2\x82\xac"),
         "close(1000 " TEN("0123456789ab") "\xe2\x82\xac) "},
	{"half a code is refused", BYTES(HEAD("\x88", "\x81") "\x03"),
         "bad(1002 half a close code) "},
	{"a reason is UTF-8", BYTES(HEAD("\x88", "\x83") CODE_OK "\xff"),
         "bad(1007 reason is not UTF-8) "},
	{"a reason does not end inside a character", BYTES(HEAD("\x88", "\x83") CODE_OK "\xc3"),
         "bad(1007 reason is not UTF-8) "},
	{"a code may be an application's", BYTES(CODE("\x0f\xa0")), "close(4000 ) "},
	{"1005 is never sent", BYTES(CODE("\x03\xed")), "bad(1002 not a close code) "},
};

static void answer_append(struct buf *answers, enum ws_result result,
                          const struct ws_message *message)
{
	static const char *const names[] = {
		[WS_TEXT] = "text", [WS_BINARY] = "binary", [WS_PING] = "ping",
		[WS_PONG] = "pong", [WS_CLOSE] = "close",   [WS_BAD] = "bad",
	};
	CHECK(result > WS_MORE && result <= WS_BAD);
	CHECK((message->close_code != 0) == (result == WS_CLOSE || result == WS_BAD));
	buf_format(answers, "%s(", names[result]);
	if (message->close_code != 0)
		buf_format(answers, "%d ", message->close_code);
	buf_slice(answers, message->payload);
	buf_string(answers, ") ");
}

/* One part of the input, to its end or to a fault; false: a fault. */
static bool part_feed(struct ws_reader *reader, struct slice part, size_t message_bytes_max,
                      struct buf *answers)
{
	char *copy = guard_copy(part);
	size_t at = 0, used;
	enum ws_result result;
	do {
		struct ws_message message;
		result = ws_read(reader, copy + at, part.len - at, message_bytes_max, &used,
		                 &message);
		at += used;
		CHECK(at <= part.len);
		if (result != WS_MORE)
			answer_append(answers, result, &message);
	} while (result != WS_BAD && at < part.len);
	CHECK(result == WS_BAD || at == part.len);
	guard_drop(copy, part.len);
	return result != WS_BAD;
}

/* Parts of `first` and then `step` bytes. What is at rest between parts owns no memory. */
static struct buf input_feed(struct slice input, size_t first, size_t step,
                             size_t message_bytes_max)
{
	struct ws_reader reader = {0};
	struct buf answers = {0};
	size_t count = first;
	while (input.len > 0) {
		size_t len = input.len < count ? input.len : count;
		if (!part_feed(&reader, slice_of(input.at, len), message_bytes_max, &answers))
			break;
		if (ws_reader_is_at_rest(&reader))
			ws_reader_free(&reader);
		input = slice_after(input, len);
		count = step;
	}
	if (!reader.is_failed && !ws_reader_is_at_rest(&reader))
		buf_string(&answers, " more");
	ws_reader_free(&reader);
	CHECK(ws_reader_is_at_rest(&reader));
	CHECK(reader.buf.at == NULL);
	return answers;
}

static void answers_check(struct slice input, size_t first, size_t step, size_t message_bytes_max,
                          struct slice expected)
{
	struct buf answers = input_feed(input, first, step, message_bytes_max);
	bool is_expected = slice_equals(buf_view(&answers), expected);
	if (!is_expected)
		printf("  in parts of %zu, then %zu: %.*s\n", first, step, (int)answers.len,
		       answers.at);
	CHECK(is_expected);
	buf_free(&answers);
}

static void case_run(size_t i)
{
	struct slice input = cases[i].input, expected = slice_string(cases[i].answers);
	for (size_t first = 1; first <= input.len + 1; first++)
		answers_check(input, first, input.len + 1, MESSAGE_BYTES_MAX, expected);
	for (size_t step = 1; step <= 9; step++)
		answers_check(input, step, step, MESSAGE_BYTES_MAX, expected);
}

/* A client's frame, as the RFC describes it: byte i is masked with byte i mod 4. */
static void frame_append(struct buf *out, uint8_t first_byte, struct slice payload,
                         const char mask[4])
{
	char head[WS_SERVER_HEAD_MAX];
	size_t len = ws_head(head, WS_OPCODE_BINARY, payload.len);
	head[0] = (char)first_byte;
	head[1] = (char)(head[1] | 0x80);
	buf_append(out, head, len);
	buf_append(out, mask, 4);
	for (size_t i = 0; i < payload.len; i++)
		buf_char(out, (char)(payload.at[i] ^ mask[i % 4]));
}

static void mask_run(void)
{
	printf("ws_frame: every length is unmasked right from every place\n");
	char payload[70];
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (char)(i * 37 + 11);
	for (size_t len = 0; len <= sizeof(payload); len++) {
		struct buf input = {0}, expected = {0};
		frame_append(&input, 0x82, slice_of(payload, len), "\x9a\x01\xfe\x77");
		buf_string(&expected, "binary(");
		buf_append(&expected, payload, len);
		buf_string(&expected, ") ");
		for (size_t first = 1; first <= input.len; first++)
			answers_check(buf_view(&input), first, 13, len, buf_view(&expected));
		buf_free(&input);
		buf_free(&expected);
	}
}

/* A message of `len` letters in two frames, or one, with a ping in the second place. */
static void large_run(size_t len, bool is_fragmented)
{
	struct buf text = {0}, input = {0}, expected = {0};
	for (size_t i = 0; i < len; i++)
		buf_char(&text, (char)('a' + i % 26));
	size_t cut = is_fragmented ? len / 3 : len;
	frame_append(&input, is_fragmented ? 0x01 : 0x81, slice_of(text.at, cut), "mask");
	if (is_fragmented) {
		frame_append(&input, 0x89, SLICE("ping"), "also");
		frame_append(&input, 0x80, slice_after(buf_view(&text), cut), "more");
		buf_string(&expected, "ping(ping) ");
	}
	buf_format(&expected, "text(%.*s) ", (int)len, text.at);
	for (size_t step = 1; step <= input.len; step = step * 7 + 1)
		answers_check(buf_view(&input), step, step, len, buf_view(&expected));
	answers_check(buf_view(&input), input.len, 1, len, buf_view(&expected));
	answers_check(buf_view(&input), input.len - 1, 1, len, buf_view(&expected));
	struct slice refused = is_fragmented ? SLICE("ping(ping) bad(1009 too_large) ")
	                                     : SLICE("bad(1009 too_large) ");
	answers_check(buf_view(&input), input.len, 1, len - 1, refused);
	buf_free(&text);
	buf_free(&input);
	buf_free(&expected);
}

static const struct {
	const char *name;
	struct slice text;
	size_t good; /* bytes before the fault */
} faults[] = {
	{"a lone continuation fails at once", BYTES("\x80"), 0},
	{"an overlong slash fails at once", BYTES("\xc0\xaf"), 0},
	{"an overlong NUL of three bytes fails at the second", BYTES("\xe0\x80\x80"), 1},
	{"a surrogate between Greek letters fails at its second byte",
         BYTES("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
               "edited"),
         12},
	{"U+110000 between Greek letters fails at its second byte",
         BYTES("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80"
               "edited"),
         12},
	{"five byte forms fail at once", BYTES("\xf8\x88\x80\x80\x80"), 0},
	{"six byte forms fail at once", BYTES("abc\xfc\x84\x80\x80\x80\x80"), 3},
	{"a character cut off by a letter fails at the letter", BYTES("0123456789\xf0\x9f\x98z"),
         13},
};

/* Byte by byte: nothing is said before the fault, and it is said with its byte. */
static void fault_run(size_t i, bool is_fragmented)
{
	struct ws_reader reader = {0};
	struct ws_message message;
	size_t used, good = faults[i].good;
	char head[] = HEAD("\x81", "\xc0"); /* 64 bytes, which never come */
	CHECK(good < faults[i].text.len);
	if (!is_fragmented)
		CHECK(ws_read(&reader, head, 6, 64, &used, &message) == WS_MORE);
	for (size_t at = 0; at <= good; at++) {
		char fragment[] = HEAD("\x00", "\x81");
		fragment[0] = at == 0 ? 0x01 : 0x00;
		if (is_fragmented)
			CHECK(ws_read(&reader, fragment, 6, 64, &used, &message) == WS_MORE);
		char byte = faults[i].text.at[at];
		enum ws_result result = ws_read(&reader, &byte, 1, 64, &used, &message);
		CHECK(result == (at == good ? WS_BAD : WS_MORE));
	}
	CHECK(message.close_code == WS_CLOSE_NOT_TEXT);
	ws_reader_free(&reader);
}

static void memory_run(void)
{
	printf("ws_frame: a whole frame takes no memory, and none to be had is 1011\n");
	struct ws_reader reader = {0};
	struct ws_message message;
	size_t used;
	char whole[] = HEAD("\x81", "\x82") "ab" HEAD("\x02", "\x82") "cd";
	CHECK(ws_read(&reader, whole, 16, 8, &used, &message) == WS_TEXT);
	CHECK(used == 8);
	CHECK(message.payload.at == whole + 6);
	CHECK(ws_reader_is_at_rest(&reader));
	CHECK(reader.buf.at == NULL);

	reader.buf.is_broken = true; /* as a failed allocation leaves it */
	CHECK(ws_read(&reader, whole + used, 8, 8, &used, &message) == WS_BAD);
	CHECK(message.close_code == WS_CLOSE_FAILED);
	ws_reader_free(&reader);
}

static const struct {
	uint64_t payload_len;
	struct slice head;
} heads[] = {
	{0, BYTES("\x82\x00")},
	{5, BYTES("\x82\x05")},
	{125, BYTES("\x82\x7d")},
	{126, BYTES("\x82\x7e\x00\x7e")},
	{256, BYTES("\x82\x7e\x01\x00")},
	{65535, BYTES("\x82\x7e\xff\xff")},
	{65536, BYTES("\x82\x7f\0\0\0\0\0\x01\0\0")},
	{INT64_MAX, BYTES("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff")},
};

static void head_run(void)
{
	printf("ws_frame: heads are as short as the length allows\n");
	char out[WS_SERVER_HEAD_MAX];
	for (size_t i = 0; i < COUNT_OF(heads); i++) {
		size_t len = ws_head(out, WS_OPCODE_BINARY, heads[i].payload_len);
		CHECK(slice_equals(slice_of(out, len), heads[i].head));
	}
	CHECK(ws_head(out, WS_OPCODE_TEXT, 5) == 2 && (uint8_t)out[0] == 0x81);
	CHECK(ws_head(out, WS_OPCODE_PONG, 5) == 2 && (uint8_t)out[0] == 0x8a);
}

static const struct {
	const char *name;
	uint16_t code;
	struct slice reason;
	const char *answers; /* when a client sends the same */
	size_t len;          /* of our frame */
} closes[] = {
	{"a close without a code is empty", WS_CLOSE_NONE, BYTES("x"), "close(1005 ) ", 2},
	{"a close with a code", WS_CLOSE_POLICY, BYTES(""), "close(1008 ) ", 4},
	{"a close with a reason", WS_CLOSE_RESTART, BYTES("drain"), "close(1012 drain) ", 9},
	{"a reason of 123 bytes fits", WS_CLOSE_NORMAL, BYTES(TEN("0123456789ab") "cde"),
         "close(1000 " TEN("0123456789ab") "cde) ", 127},
	{"a reason of 124 bytes is cut", WS_CLOSE_NORMAL, BYTES(TEN("0123456789ab") "cdef"),
         "close(1000 " TEN("0123456789ab") "cde) ", 127},
	{"a reason is cut before a character, not in it", WS_CLOSE_NORMAL,
         BYTES(TEN("0123456789ab") "c\xe2\x82\xac"), "close(1000 " TEN("0123456789ab") "c) ", 125},
	{"a reason is cut after a character that fits", WS_CLOSE_NORMAL,
         BYTES(TEN("0123456789ab") "\xe2\x82\xac\xe2\x82\xac"),
         "close(1000 " TEN("0123456789ab") "\xe2\x82\xac) ", 127},
};

static void close_run(size_t i)
{
	struct buf ours = {0}, theirs = {0};
	ws_close_append(&ours, closes[i].code, closes[i].reason);
	CHECK(ours.len == closes[i].len);
	CHECK((uint8_t)ours.at[0] == 0x88);
	CHECK((size_t)ours.at[1] == ours.len - 2);
	frame_append(&theirs, 0x88, slice_after(buf_view(&ours), 2), "\x01\x02\x03\x04");
	answers_check(buf_view(&theirs), theirs.len, 1, 0, slice_string(closes[i].answers));
	buf_free(&ours);
	buf_free(&theirs);
}

static void codes_run(void)
{
	printf("ws_frame: close codes are those that may be sent, and no others\n");
	static const struct {
		unsigned first, last;
	} valid[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
	size_t range = 0;
	for (unsigned code = 0; code <= UINT16_MAX; code++) {
		if (range < COUNT_OF(valid) && code > valid[range].last)
			range++;
		bool is_valid = range < COUNT_OF(valid) && code >= valid[range].first;
		CHECK(ws_close_code_is_valid((uint16_t)code) == is_valid);
	}
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("ws_frame: %s\n", cases[i].name);
		case_run(i);
	}
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		printf("ws_frame: %s\n", faults[i].name);
		fault_run(i, false);
		fault_run(i, true);
	}
	for (size_t i = 0; i < COUNT_OF(closes); i++) {
		printf("ws_frame: %s\n", closes[i].name);
		close_run(i);
	}
	mask_run();
	printf("ws_frame: messages are gathered to the limit, whatever the parts\n");
	for (size_t len = 65534; len <= 65537; len++) {
		large_run(len, false);
		large_run(len, true);
	}
	memory_run();
	head_run();
	codes_run();
	return 0;
}
