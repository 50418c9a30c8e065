/*
 * Input goes to a reader whole, in two parts at every split, and byte by byte, each part
 * against a guard page; the answers are written down as text and must always be the same. What
 * is written goes to the server's reader, which must make the same of it.
 */
#include "../guard.h"
#include "wire/ws_client.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

#define MESSAGE_BYTES_MAX 1000
#define CODE_OK "\x03\xe8"
#define TEN(x) x x x x x x x x x x

static const struct {
	const char *name;
	struct slice input;
	const char *answers; /* each with a blank behind; " more": not at rest at the end */
} cases[] = {
	/* the examples of RFC 6455 section 5.7, as a server sends them */
	{"an unmasked text message", BYTES("\x81\x05Hello"), "text(Hello) "},
	{"a fragmented text message", BYTES("\x01\x03Hel\x80\x02lo"), "text(Hello) "},
	{"an unmasked ping", BYTES("\x89\x05Hello"), "ping(Hello) "},
	{"a masked text message is refused", BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
         "bad(1002 a server's frame with a mask) "},
	/* messages */
	{"nothing is nothing", BYTES(""), ""},
	{"an empty text", BYTES("\x81\x00"), "text() "},
	{"an empty ping and pong", BYTES("\x89\x00\x8a\x00"), "ping() pong() "},
	{"binary need not be UTF-8", BYTES("\x82\x02\xff\xc0"), "binary(\xff\xc0) "},
	{"frames in a row",
         BYTES("\x81\x01"
               "a\x82\x02"
               "bc\x81\x00\x89\x01"
               "d\x81\x01"
               "e"),
         "text(a) binary(bc) text() ping(d) text(e) "},
	{"a length of 126 takes two bytes more",
         BYTES("\x81\x7e\x00\x7e" TEN("0123456789ab") "abcdef"),
         "text(" TEN("0123456789ab") "abcdef) "},
	{"fragments may be empty", BYTES("\x01\x00\x00\x00\x00\x01x\x80\x00"), "text(x) "},
	{"a character may lie in two fragments", BYTES("\x01\x02z\xe2\x00\x01\x82\x80\x02\xac."),
         "text(z\xe2\x82\xac.) "},
	{"control frames come between fragments",
         BYTES("\x01\x02yz\x89\x03xyz\x00\x01.\x8a\x00\x80\x01!"), "ping(xyz) pong() text(yz.!) "},
	{"half a head is not at rest", BYTES("\x81"), " more"},
	{"a head without its length is not at rest", BYTES("\x81\x7e\x01"), " more"},
	{"half a payload is not at rest", BYTES("\x81\x03xy"), " more"},
	{"half a message is not at rest", BYTES("\x01\x00"), " more"},
	/* faults */
	{"a reserved bit is refused", BYTES("\xc1"), "bad(1002 a reserved bit is set) "},
	{"opcode 3 is unknown", BYTES("\x83"), "bad(1002 unknown opcode) "},
	{"a control frame is one frame", BYTES("\x09"), "bad(1002 a control frame in fragments) "},
	{"a control frame has 125 bytes at most", BYTES("\x89\x7e"),
         "bad(1002 a control frame over 125 bytes) "},
	{"a continuation continues something", BYTES("\x80"),
         "bad(1002 a continuation of nothing) "},
	{"a message is over before the next", BYTES("\x01\x01x\x82"),
         "bad(1002 a new message inside another) "},
	{"a mask in the middle is refused too", BYTES("\x01\x01x\x80\x80"),
         "bad(1002 a server's frame with a mask) "},
	{"125 takes no two bytes", BYTES("\x82\x7e\x00\x7d"),
         "bad(1002 a length longer than it need be) "},
	{"65535 takes no eight bytes", BYTES("\x82\x7f\0\0\0\0\0\0\xff\xff"),
         "bad(1002 a length longer than it need be) "},
	{"a length is below 2^63", BYTES("\x82\x7f\x80\0\0\0\0\0\0\0"),
         "bad(1002 a length with its top bit set) "},
	{"a message over the limit is refused by its head", BYTES("\x82\x7e\x03\xe9"),
         "bad(1009 too_large) "},
	{"fragments are counted together", BYTES("\x02\x02zz\x80\x7e\x03\xe7"),
         "bad(1009 too_large) "},
	{"text is UTF-8", BYTES("\x81\x02z\xff"), "bad(1007 text is not UTF-8) "},
	{"a fault is told before the frame is whole", BYTES("\x81\x05z\xff"),
         "bad(1007 text is not UTF-8) "},
	/* close */
	{"a close may say nothing", BYTES("\x88\x00"), "close(1005 ) "},
	{"a close may have a code and a reason", BYTES("\x88\x05" CODE_OK "bye"),
         "close(1000 bye) "},
	{"half a code is refused", BYTES("\x88\x01\x03"), "bad(1002 half a close code) "},
	{"1005 is never sent", BYTES("\x88\x02\x03\xed"), "bad(1002 not a close code) "},
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
static bool part_feed(struct ws_client_reader *reader, struct slice part, struct buf *answers)
{
	char *copy = guard_copy(part);
	size_t at = 0, used;
	enum ws_result result = WS_MORE;
	while (result != WS_BAD && at < part.len) {
		struct ws_message message;
		result = ws_client_read(reader, copy + at, part.len - at, MESSAGE_BYTES_MAX, &used,
		                        &message);
		CHECK(used > 0);
		at += used;
		CHECK(at <= part.len);
		CHECK(result != WS_MORE || at == part.len);
		if (result != WS_MORE)
			answer_append(answers, result, &message);
	}
	CHECK(slice_equals(slice_of(copy, part.len), part)); /* no mask, nothing changed */
	guard_drop(copy, part.len);
	return result != WS_BAD;
}

/* Parts of `first` and then `step` bytes. What is at rest between parts owns no memory. */
static struct buf input_feed(struct slice input, size_t first, size_t step)
{
	struct ws_client_reader reader = {0};
	struct buf answers = {0};
	size_t count = first;
	bool is_good = true;
	while (is_good && input.len > 0) {
		size_t len = input.len < count ? input.len : count;
		is_good = part_feed(&reader, slice_of(input.at, len), &answers);
		if (ws_client_reader_is_at_rest(&reader))
			ws_client_reader_free(&reader);
		input = slice_after(input, len);
		count = step;
	}
	if (is_good && !ws_client_reader_is_at_rest(&reader))
		buf_string(&answers, " more");
	ws_client_reader_free(&reader);
	CHECK(ws_client_reader_is_at_rest(&reader));
	return answers;
}

static void answers_check(struct slice input, size_t first, size_t step, struct slice expected)
{
	struct buf answers = input_feed(input, first, step);
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
	printf("ws_client: %s\n", cases[i].name);
	for (size_t first = 1; first <= input.len + 1; first++)
		answers_check(input, first, input.len + 1, expected);
	for (size_t step = 1; step <= 9; step++)
		answers_check(input, step, step, expected);
}

static void direct_run(void)
{
	printf("ws_client: a whole message is handed out where it lies\n");
	struct ws_client_reader reader = {0};
	struct ws_message message;
	size_t used;
	char bytes[] = "\x81\x02yz\x82\x7e\x00\x7e";
	CHECK(ws_client_read(&reader, bytes, sizeof(bytes) - 1, MESSAGE_BYTES_MAX, &used,
	                     &message) == WS_TEXT);
	CHECK(used == 4);
	CHECK(message.payload.at == bytes + 2);
	CHECK(message.payload.len == 2);
	CHECK(ws_client_reader_is_at_rest(&reader));
	CHECK(ws_client_read(&reader, bytes + used, sizeof(bytes) - 1 - used, MESSAGE_BYTES_MAX,
	                     &used, &message) == WS_MORE);
	CHECK(!ws_client_reader_is_at_rest(&reader));
	ws_client_reader_free(&reader);
}

/* What is written, read as a server reads it. */
static void written_check(const struct buf *out, enum ws_result expected, struct slice payload,
                          uint16_t code)
{
	struct ws_reader reader = {0};
	struct ws_message message;
	size_t used;
	char *copy = guard_copy(buf_view(out));
	CHECK(ws_read(&reader, copy, out->len, out->len, &used, &message) == expected);
	CHECK(used == out->len);
	CHECK(message.close_code == code);
	CHECK(slice_equals(message.payload, payload));
	CHECK(ws_reader_is_at_rest(&reader));
	ws_reader_free(&reader);
	guard_drop(copy, out->len);
}

static void written_run(void)
{
	static const size_t lens[] = {0, 1, 3, 4, 125, 126, 65535, 65536};
	printf("ws_client: a server understands what is written\n");
	struct buf payload = {0}, out = {0};
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		buf_clear(&payload);
		buf_clear(&out);
		while (payload.len < lens[i])
			buf_char(&payload, (char)payload.len);
		ws_client_append(&out, WS_OPCODE_BINARY, buf_view(&payload), "\x01\xff\x80\x7e");
		written_check(&out, WS_BINARY, buf_view(&payload), 0);
	}
	buf_clear(&out);
	ws_client_append(&out, WS_OPCODE_PONG, SLICE("x"), "mask");
	written_check(&out, WS_PONG, SLICE("x"), 0);
	buf_free(&payload);
	buf_free(&out);
}

static void mask_run(void)
{
	printf("ws_client: the mask lies over the payload, from its first byte on\n");
	struct buf out = {0};
	/* the example of RFC 6455 section 5.7 */
	ws_client_append(&out, WS_OPCODE_TEXT, SLICE("Hello"), "\x37\xfa\x21\x3d");
	CHECK(slice_equals(buf_view(&out), SLICE("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")));
	buf_free(&out);
}

static void close_run(void)
{
	printf("ws_client: a close frame is masked too\n");
	struct buf out = {0};
	ws_client_close_append(&out, WS_CLOSE_NORMAL, SLICE("bye"), "mask");
	written_check(&out, WS_CLOSE, SLICE("bye"), WS_CLOSE_NORMAL);
	buf_clear(&out);
	ws_client_close_append(&out, WS_CLOSE_NONE, SLICE(""), "mask");
	written_check(&out, WS_CLOSE, SLICE(""), WS_CLOSE_NONE);
	buf_free(&out);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		case_run(i);
	direct_run();
	written_run();
	mask_run();
	close_run();
	return 0;
}
