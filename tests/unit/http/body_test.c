/*
 * Each body is read whole, cut in two at every place, and byte by byte, always from memory that
 * ends where the input does. Payload, answer and place of the fault must be the same.
 */
#include "../guard.h"
#include "base/buf.h"
#include "http/body.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

#define LAST "0\r\n\r\n"

static const struct {
	const char *name;
	enum body_answer answer;
	struct slice payload,
		body;      /* all that counts as body, up to the bad byte if there is one */
	struct slice rest; /* what follows it: the next request, or what is bad */
} chunked[] = {
	{"a last chunk alone is an empty body", BODY_DONE, BYTES(""), BYTES(LAST), BYTES("")},
	{"chunks are joined", BODY_DONE, BYTES("abcde"), BYTES("3\r\nabc\r\n2\r\nde\r\n" LAST),
         BYTES("")},
	{"the next request is left", BODY_DONE, BYTES("a"), BYTES("1\r\na\r\n" LAST), BYTES("GET")},
	{"an empty line behind it is left", BODY_DONE, BYTES("a"), BYTES("1\r\na\r\n" LAST),
         BYTES("\r\n")},
	{"payload may look like framing", BODY_DONE, BYTES("0\r\n\r\n"),
         BYTES("5\r\n0\r\n\r\n\r\n" LAST), BYTES("")},
	{"payload may be any byte", BODY_DONE, BYTES("\0\xff\n"), BYTES("3\r\n\0\xff\n\r\n" LAST),
         BYTES("")},
	{"digits of either case", BODY_DONE, BYTES("0123456789abcdefghijklmnopq"),
         BYTES("A\r\n0123456789\r\nb\r\nabcdefghijk\r\n6\r\nlmnopq\r\n" LAST), BYTES("")},
	{"sizes have 16 digits, zeros in front too", BODY_DONE, BYTES("a"),
         BYTES("0000000000000001\r\na\r\n0000000000000000\r\n\r\n"), BYTES("")},
	{"extensions are passed over", BODY_DONE, BYTES("a"),
         BYTES("1;x;y=\"z\" \t\xe4\r\na\r\n0;e\r\n\r\n"), BYTES("")},
	{"trailers are passed over", BODY_DONE, BYTES("a"),
         BYTES("1\r\na\r\n0\r\nX: y\r\nContent-Length:5\r\nZ:\r\n\r\n"), BYTES("GET")},
	/* not at their end yet */
	{"nothing is no body yet", BODY_MORE, BYTES(""), BYTES(""), BYTES("")},
	{"payload comes before its chunk ends", BODY_MORE, BYTES("ab"), BYTES("3\r\nab"),
         BYTES("")},
	{"the greatest size waits", BODY_MORE, BYTES("ab"), BYTES("ffffffffffffffff\r\nab"),
         BYTES("")},
	{"the last chunk needs an empty line", BODY_MORE, BYTES(""), BYTES("0\r\nX: y\r\n\r"),
         BYTES("")},
	/* bad ones: `rest` begins with the bad byte */
	{"a size has a digit", BODY_BAD, BYTES(""), BYTES(""), BYTES("\r\n\r\n")},
	{"an extension has a size", BODY_BAD, BYTES(""), BYTES(""), BYTES(";x\r\n")},
	{"a size has no sign", BODY_BAD, BYTES(""), BYTES(""), BYTES("-1\r\n")},
	{"a size has no 0x", BODY_BAD, BYTES(""), BYTES("0"), BYTES("x1\r\na\r\n")},
	{"no blank before a size", BODY_BAD, BYTES(""), BYTES(""), BYTES(" 1\r\na\r\n")},
	{"no blank behind a size", BODY_BAD, BYTES(""), BYTES("1"), BYTES(" \r\na\r\n")},
	{"17 digits are too many", BODY_BAD, BYTES(""), BYTES("0000000000000000"),
         BYTES("1\r\na\r\n")},
	{"a size ends in CRLF, not LF", BODY_BAD, BYTES(""), BYTES("1"), BYTES("\na\r\n")},
	{"a size ends in CRLF, not CR", BODY_BAD, BYTES(""), BYTES("1\r"), BYTES("a\r\n")},
	{"an extension ends in CRLF, not LF", BODY_BAD, BYTES(""), BYTES("1;x"), BYTES("\na\r\n")},
	{"an extension has no NUL", BODY_BAD, BYTES(""), BYTES("1;x"), BYTES("\0\r\na\r\n")},
	{"a chunk ends in CRLF, not LF", BODY_BAD, BYTES("a"), BYTES("1\r\na"), BYTES("\n0\r\n")},
	{"a chunk ends in CRLF, not CR", BODY_BAD, BYTES("a"), BYTES("1\r\na\r"), BYTES("0\r\n")},
	{"a chunk is as long as its size", BODY_BAD, BYTES("a"), BYTES("1\r\na"),
         BYTES("b\r\n" LAST)},
	{"a chunk is not shorter", BODY_BAD, BYTES("a\r\n"), BYTES("3\r\na\r\n"),
         BYTES("0\r\n\r\n")},
	{"the body ends in CRLF, not LF", BODY_BAD, BYTES(""), BYTES("0\r\n"), BYTES("\n")},
	{"the body ends in CRLF, not CR", BODY_BAD, BYTES(""), BYTES("0\r\n\r"), BYTES("\r\n")},
	{"a trailer has a name", BODY_BAD, BYTES(""), BYTES("0\r\n"), BYTES(": x\r\n\r\n")},
	{"a trailer has a colon", BODY_BAD, BYTES(""), BYTES("0\r\nX"), BYTES("\r\n\r\n")},
	{"no blank before the colon", BODY_BAD, BYTES(""), BYTES("0\r\nX"), BYTES(" : y\r\n\r\n")},
	{"a trailer is not folded", BODY_BAD, BYTES(""), BYTES("0\r\nX: y\r\n"),
         BYTES(" z\r\n\r\n")},
	{"a trailer has no control character", BODY_BAD, BYTES(""), BYTES("0\r\nX: y"),
         BYTES("\x7f\r\n\r\n")},
	{"a trailer ends in CRLF, not LF", BODY_BAD, BYTES(""), BYTES("0\r\nX: y"),
         BYTES("\n\r\n")},
	{"a trailer ends in CRLF, not CR", BODY_BAD, BYTES(""), BYTES("0\r\nX: y\r"),
         BYTES("z\r\n\r\n")},
};

static const struct {
	const char *name;
	uint64_t length;
	enum body_answer answer;
	struct slice payload, rest;
} by_length[] = {
	{"no byte is asked for when the length is 0", 0, BODY_DONE, BYTES(""), BYTES("GET")},
	{"a length is counted down", 5, BODY_DONE, BYTES("a\r\nbc"), BYTES("")},
	{"the next request is left", 3, BODY_DONE, BYTES("abc"), BYTES("GET")},
	{"what is missing is waited for", 4, BODY_MORE, BYTES("abc"), BYTES("")},
	{"the greatest length waits", UINT64_MAX, BODY_MORE, BYTES("abc"), BYTES("")},
};

/* Reads on from `bytes`, as a connection would; `total` counts what is used. */
static enum body_answer part_read(struct http_body *body, struct slice part, struct buf *payload,
                                  size_t *total)
{
	char *copy = guard_copy(part);
	size_t at = 0, used;
	struct slice piece;
	enum body_answer answer;
	while ((answer = body_read(body, copy + at, part.len - at, &used, &piece)) == BODY_PIECE) {
		CHECK(piece.len > 0);
		CHECK(piece.at + piece.len == copy + at + used);
		buf_slice(payload, piece);
		at += used;
	}
	CHECK(piece.len == 0);
	CHECK(answer != BODY_MORE || at + used == part.len);
	CHECK((answer == BODY_BAD) == (body->why != NULL));
	*total += at + used;
	guard_drop(copy, part.len);
	return answer;
}

struct expected {
	enum body_answer answer;
	struct slice payload;
	size_t used;
};

static void outcome_check(const struct expected *expected, enum body_answer answer,
                          struct buf *payload, size_t used)
{
	CHECK(answer == expected->answer);
	CHECK(used == expected->used);
	CHECK(slice_equals(buf_view(payload), expected->payload));
	buf_clear(payload);
}

static void read_every_way(struct slice all, const struct http_body *fresh,
                           const struct expected *expected)
{
	struct buf payload = {0};
	for (size_t cut = 0; cut <= all.len; cut++) {
		struct http_body body = *fresh;
		size_t used = 0;
		enum body_answer answer = part_read(&body, slice_of(all.at, cut), &payload, &used);
		if (answer == BODY_MORE)
			answer = part_read(&body, slice_after(all, cut), &payload, &used);
		outcome_check(expected, answer, &payload, used);
	}

	struct http_body body = *fresh;
	enum body_answer answer = BODY_MORE;
	size_t used = 0;
	for (size_t at = 0; at < all.len && answer == BODY_MORE; at++)
		answer = part_read(&body, slice_of(all.at + at, 1), &payload, &used);
	outcome_check(expected, answer, &payload, used);

	/* What is over stays over. */
	if (answer != BODY_MORE)
		CHECK(part_read(&body, SLICE("1\r\na\r\n"), &payload, &used) == answer);
	CHECK(answer == BODY_MORE || used == expected->used);
	CHECK(payload.len == 0);
	buf_free(&payload);
}

static void chunked_read(struct slice body, struct slice rest, struct slice payload,
                         enum body_answer answer)
{
	struct http_body fresh;
	struct buf all = {0};
	body_begin(&fresh, HTTP_CHUNKED, 0);
	buf_slice(&all, body);
	buf_slice(&all, rest);
	read_every_way(buf_view(&all), &fresh,
	               &(struct expected){.answer = answer, .payload = payload, .used = body.len});
	buf_free(&all);
}

static void by_length_run(size_t i)
{
	printf("body: %s\n", by_length[i].name);
	struct http_body fresh;
	struct buf all = {0};
	body_begin(&fresh, HTTP_LENGTH, by_length[i].length);
	buf_slice(&all, by_length[i].payload);
	buf_slice(&all, by_length[i].rest);
	read_every_way(buf_view(&all), &fresh,
	               &(struct expected){.answer = by_length[i].answer,
	                                  .payload = by_length[i].payload,
	                                  .used = by_length[i].payload.len});
	buf_free(&all);
}

static void no_body_run(void)
{
	printf("body: a request without one is over at once\n");
	struct http_body fresh;
	body_begin(&fresh, HTTP_NO_BODY, 0);
	read_every_way(SLICE("GET"), &fresh, &(struct expected){.answer = BODY_DONE});
}

/* `front`, then `fill` again and again, then `back`: good `most` times, bad at the next. */
static const struct {
	const char *name;
	const char *front, *fill, *back;
	size_t most;
	size_t bad_at; /* from the start of the fill that is too much */
} bounds[] = {
	{"an extension has 256 bytes, its ; not counted", "0;", "x", "\r\n\r\n", BODY_EXTENSION_MAX,
         0},
	{"trailers have 32 lines", "0\r\n", "X:\r\n", "\r\n", BODY_TRAILER_LINES_MAX, 0},
	{"trailers have 4096 bytes, without the empty line", "0\r\nX:", "y", "\r\n\r\n",
         BODY_TRAILER_MAX - 4, 2},
	{"chunks have no number", "", "1;x\r\na\r\n", LAST, SIZE_MAX, 0},
};

static enum body_answer bound_read(size_t i, size_t count, struct buf *payload, size_t *used)
{
	struct buf all = {0};
	struct http_body body;
	buf_string(&all, bounds[i].front);
	for (size_t n = 0; n < count; n++)
		buf_string(&all, bounds[i].fill);
	buf_string(&all, bounds[i].back);
	body_begin(&body, HTTP_CHUNKED, 0);
	*used = 0;
	enum body_answer answer = part_read(&body, buf_view(&all), payload, used);
	CHECK(answer == BODY_BAD || *used == all.len);
	buf_free(&all);
	return answer;
}

static void bound_run(size_t i)
{
	printf("body: %s\n", bounds[i].name);
	struct buf payload = {0};
	size_t used, most = bounds[i].most != SIZE_MAX ? bounds[i].most : 10000;
	CHECK(bound_read(i, most, &payload, &used) == BODY_DONE);
	CHECK(payload.len == (bounds[i].most == SIZE_MAX ? most : 0));
	if (bounds[i].most != SIZE_MAX) {
		CHECK(bound_read(i, most + 1, &payload, &used) == BODY_BAD);
		CHECK(used ==
		      strlen(bounds[i].front) + most * strlen(bounds[i].fill) + bounds[i].bad_at);
	}
	buf_free(&payload);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(chunked); i++) {
		printf("body: %s\n", chunked[i].name);
		chunked_read(chunked[i].body, chunked[i].rest, chunked[i].payload,
		             chunked[i].answer);
	}
	for (size_t i = 0; i < COUNT_OF(by_length); i++)
		by_length_run(i);
	for (size_t i = 0; i < COUNT_OF(bounds); i++)
		bound_run(i);
	no_body_run();
	return 0;
}
