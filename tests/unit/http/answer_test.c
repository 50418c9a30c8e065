/*
 * Each row is parsed whole, cut in two at every place, and byte by byte, always from memory that
 * ends where the input does. The answer, put into one line of text, must be the same.
 */
#include "../guard.h"
#include "base/buf.h"
#include "http/answer.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define END "\r\n"

/*
 * What is found: "status reason version"; then "close", "length=N", "chunked" and "until-close"
 * where they are so; then '+' and the bytes behind the head, where there are any.
 */
static const struct {
	const char *name, *head, *found;
} accepted[] = {
	/* the status line */
	{"a length", OK "Content-Length: 12\r\n" END, "200 OK 1.1 length=12"},
	{"an empty body has a length", OK "Content-Length: 0\r\n" END, "200 OK 1.1 length=0"},
	{"what follows the head is left", OK "Content-Length: 3\r\n" END "abc",
         "200 OK 1.1 length=3 +abc"},
	{"a reason may be empty", "HTTP/1.1 204 \r\n" END, "204  1.1"},
	{"a reason may have blanks", "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n" END,
         "404 Not Found 1.1 length=1"},
	{"a reason may be beyond ASCII", "HTTP/1.1 204 \xc3\xa4\xff\t\r\n" END,
         "204 \xc3\xa4\xff\t 1.1"},
	{"a status need not be known", "HTTP/1.1 599 X\r\nContent-Length: 1\r\n" END,
         "599 X 1.1 length=1"},
	/* the body */
	{"chunks", OK "Transfer-Encoding: chunked\r\n" END, "200 OK 1.1 chunked"},
	{"neither ends with the connection", OK END, "200 OK 1.1 close until-close"},
	{"a switch of protocols has no body",
         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" END "\x81",
         "101 Switching Protocols 1.1 +\x81"},
	{"an interim answer has no body", "HTTP/1.1 100 Continue\r\n" END OK,
         "100 Continue 1.1 +" OK},
	{"204 has no body, whatever it says", "HTTP/1.1 204 X\r\nContent-Length: 5\r\n" END,
         "204 X 1.1"},
	{"304 has no body, whatever it says",
         "HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n" END, "304 X 1.1"},
	/* whether the connection is kept */
	{"close closes", OK "Content-Length: 1\r\nConnection: close\r\n" END,
         "200 OK 1.1 close length=1"},
	{"HTTP/1.0 is closed", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n" END,
         "200 OK 1.0 close length=1"},
};

/* The bad byte is the first one of `rest`, which is how the head ends. */
static const struct {
	const char *name;
	const char *good, *rest;
} refused[] = {
	/* the status line */
	{"another protocol's greeting", "", "SSH-2.0-x\r\n"},
	{"a TLS alert", "", "\x15\x03\x01"},
	{"an empty line before it", "", END OK END},
	{"a version has a case", "", "http/1.1 200 OK\r\n" END},
	{"HTTP/2", "HTTP/", "2 200 OK\r\n" END},
	{"HTTP/1.2", "HTTP/1.", "2 200 OK\r\n" END},
	{"two blanks before the status", "HTTP/1.1 ", " 200 OK\r\n" END},
	{"a status below 100", "HTTP/1.1 ", "099 X\r\n" END},
	{"a status above 599", "HTTP/1.1 ", "600 X\r\n" END},
	{"a status of two digits", "HTTP/1.1 20", " OK\r\n" END},
	{"a status of four digits", "HTTP/1.1 200", "0 OK\r\n" END},
	{"a status with no blank behind", "HTTP/1.1 200", "\r\n" END},
	{"a status line ends in CRLF, not LF", "HTTP/1.1 200 OK", "\n" END},
	{"a status line ends in CRLF, not CR", "HTTP/1.1 200 OK\r", "X: y\r\n" END},
	{"a control character in the reason", "HTTP/1.1 200 O", "\x01K\r\n" END},
	/* the body */
	{"two lengths", OK "Content-Length: 1\r\nContent-Length: ", "1\r\n" END},
	{"another coding", OK "Transfer-Encoding: ", "gzip, chunked\r\n" END},
	{"chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: ", "chunked\r\n" END},
	{"two lengths where there is no body",
         "HTTP/1.1 204 X\r\nContent-Length: 1\r\nContent-Length: ", "2\r\n" END},
	/* the header lines: header_test.c knows them all */
	{"a folded line", OK "X: y\r\n", " z\r\n" END},
	{"a header ends in CRLF, not LF", OK "X: y", "\n" END},
};

static const char *const unfinished[] = {
	"", "HTTP/1.1 2", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r",
	OK, OK "X: y",    OK "X: y\r\n",     OK "X: y\r\n\r",
};

static void found_write(struct buf *out, const struct http_answer *answer, struct slice all)
{
	buf_format(out, "%d %.*s 1.%d", answer->status, (int)answer->reason.len, answer->reason.at,
	           answer->version_minor);
	buf_string(out, answer->is_keep_alive ? "" : " close");
	if (answer->framing == HTTP_LENGTH)
		buf_format(out, " length=%llu", (unsigned long long)answer->content_length);
	buf_string(out, answer->framing == HTTP_CHUNKED ? " chunked" : "");
	buf_string(out, answer->is_until_close ? " until-close" : "");
	CHECK(answer->framing == HTTP_LENGTH || answer->content_length == 0);
	CHECK(answer->framing == HTTP_NO_BODY || !answer->is_until_close);
	if (all.len > answer->head_bytes) {
		buf_string(out, " +");
		buf_slice(out, slice_after(all, answer->head_bytes));
	}
}

/* The answer to the first `len` bytes of `all`, from a copy of just those. */
static enum http_parse prefix_parse(struct http_answer *answer, struct slice all, size_t len,
                                    struct buf *found)
{
	struct slice prefix = slice_of(all.at, len);
	char *copy = guard_copy(prefix);
	enum http_parse result = http_answer_parse(answer, copy, len);
	buf_clear(found);
	if (result == HTTP_DONE)
		found_write(found, answer, slice_of(copy, len));
	if (result == HTTP_BAD)
		buf_format(found, "%s at %zu", answer->why, answer->bad_at);
	CHECK((result == HTTP_BAD) == (answer->why != NULL));
	guard_drop(copy, len);
	return result;
}

/* Without the bytes behind the head, which are fewer when the input ends earlier. */
static struct slice found_in_head(const struct buf *found)
{
	struct slice rest = buf_view(found), part = {0};
	slice_cut(&rest, '+', &part);
	return slice_trim(part);
}

static bool is_same(const struct buf *found, const struct buf *whole)
{
	return slice_equals(found_in_head(found), found_in_head(whole));
}

static enum http_parse parse_every_way(struct slice all, struct buf *whole)
{
	struct buf found = {0};
	struct http_answer answer;
	http_answer_begin(&answer);
	enum http_parse result = prefix_parse(&answer, all, all.len, whole);
	for (size_t cut = 0; cut < all.len; cut++) {
		http_answer_begin(&answer);
		enum http_parse first = prefix_parse(&answer, all, cut, &found);
		if (first == HTTP_MORE)
			first = prefix_parse(&answer, all, all.len, &found);
		CHECK(first == result);
		CHECK(is_same(&found, whole));
	}

	http_answer_begin(&answer);
	enum http_parse last = HTTP_MORE;
	for (size_t len = 0; len <= all.len && last == HTTP_MORE; len++)
		last = prefix_parse(&answer, all, len, &found);
	CHECK(last == result);
	CHECK(is_same(&found, whole));
	buf_free(&found);
	return result;
}

static void accepted_run(size_t i)
{
	struct buf found = {0};
	printf("answer: %s\n", accepted[i].name);
	CHECK(parse_every_way(slice_string(accepted[i].head), &found) == HTTP_DONE);
	CHECK(slice_is(buf_view(&found), accepted[i].found));
	buf_free(&found);
}

static void refused_run(size_t i)
{
	struct buf head = {0}, found = {0}, expected = {0};
	printf("answer: refused: %s\n", refused[i].name);
	buf_string(&head, refused[i].good);
	buf_format(&expected, " at %zu", head.len);
	buf_string(&head, refused[i].rest);
	CHECK(parse_every_way(buf_view(&head), &found) == HTTP_BAD);
	CHECK(found.len > expected.len);
	struct slice end = slice_after(buf_view(&found), found.len - expected.len);
	CHECK(slice_equals(end, buf_view(&expected)));
	buf_free(&head);
	buf_free(&found);
	buf_free(&expected);
}

static void unfinished_run(void)
{
	printf("answer: a head without its end is waited for\n");
	struct buf found = {0};
	for (size_t i = 0; i < COUNT_OF(unfinished); i++)
		CHECK(parse_every_way(slice_string(unfinished[i]), &found) == HTTP_MORE);
	buf_free(&found);
}

/* A head of exactly `len` bytes, its last header filled up; without the end when that is cut. */
static void length_run(size_t len, bool is_cut, enum http_parse expected)
{
	struct buf head = {0};
	struct http_answer answer;
	buf_string(&head, OK "X: ");
	while (head.len < len - strlen("\r\n" END))
		buf_char(&head, 'x');
	buf_string(&head, "\r\n" END);
	CHECK(head.len == len);
	char *copy = guard_copy(slice_of(head.at, is_cut ? len - 1 : len));
	http_answer_begin(&answer);
	CHECK(http_answer_parse(&answer, copy, is_cut ? len - 1 : len) == expected);
	CHECK(expected != HTTP_BAD || answer.bad_at == ANSWER_HEAD_MAX);
	guard_drop(copy, is_cut ? len - 1 : len);
	buf_free(&head);
}

static void limit_run(void)
{
	printf("answer: a head as long as the limit is taken, a longer one is not waited for\n");
	length_run(ANSWER_HEAD_MAX, false, HTTP_DONE);
	length_run(ANSWER_HEAD_MAX, true, HTTP_MORE);
	length_run(ANSWER_HEAD_MAX + 1, true, HTTP_BAD);
	length_run(ANSWER_HEAD_MAX + 1, false, HTTP_BAD);
}

static void count_run(void)
{
	printf("answer: headers are counted\n");
	struct buf head = {0};
	struct http_answer answer;
	buf_string(&head, OK);
	for (size_t i = 0; i < HTTP_HEADERS_MAX; i++)
		buf_string(&head, "X: y\r\n");
	size_t good = head.len;
	buf_string(&head, END);
	http_answer_begin(&answer);
	CHECK(http_answer_parse(&answer, head.at, head.len) == HTTP_DONE);
	CHECK(answer.headers.count == HTTP_HEADERS_MAX);
	buf_cut_to(&head, good);
	buf_string(&head, "Z: y\r\n" END);
	http_answer_begin(&answer);
	CHECK(http_answer_parse(&answer, head.at, head.len) == HTTP_BAD);
	CHECK(answer.bad_at == good);
	buf_free(&head);
}

static void lookup_run(void)
{
	printf("answer: headers are found in any case, lists are looked through\n");
	struct slice head = SLICE("HTTP/1.1 101 X\r\nConnection: keep-alive\r\n"
	                          "connection: x, Upgrade\r\nKey: 1\r\nkey: 2\r\n\r\n");
	struct http_answer answer;
	http_answer_begin(&answer);
	CHECK(http_answer_parse(&answer, head.at, head.len) == HTTP_DONE);
	CHECK(http_answer_has_token(&answer, "connection", "upgrade"));
	CHECK(http_answer_has_token(&answer, "Connection", "keep-alive"));
	CHECK(!http_answer_has_token(&answer, "connection", "keep"));
	CHECK(!http_answer_has_token(&answer, "upgrade", "x"));
	CHECK(slice_is(*http_answer_header(&answer, "KEY"), "1"));
	CHECK(http_answer_header(&answer, "ke") == NULL);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(accepted); i++)
		accepted_run(i);
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		refused_run(i);
	unfinished_run();
	limit_run();
	count_run();
	lookup_run();
	return 0;
}
