/*
 * Each row is a header section. It is scanned whole, cut in two at every place, and byte by byte,
 * always from memory that ends where the input does, then taken line by line. The answer, put into
 * one line of text, must be the same.
 */
#include "../guard.h"
#include "base/buf.h"
#include "http/header.h"

#define END "\r\n"

/* What is found: "length=N", "chunked" and "close" where they are so; then "name=value" of each. */
static const struct {
	const char *name, *lines, *found;
	int version_minor;
} accepted[] = {
	{"none at all", END, "", 1},
	{"HTTP/1.0 is closed", END, "close ", 0},
	{"HTTP/1.0 cannot ask to be kept", "Connection: keep-alive\r\n" END,
         "close Connection=keep-alive ", 0},
	{"a line", "Host: h\r\n" END, "Host=h ", 1},
	{"names stay as sent", "hOST: h\r\n" END, "hOST=h ", 1},
	{"names have no case", "CONTENT-length: 1\r\n" END, "length=1 CONTENT-length=1 ", 1},
	{"blanks around a value go", "Content-Length:\t 1 \t\r\n" END, "length=1 Content-Length=1 ",
         1},
	{"no blank is needed", "A:b\r\nC:d\r\n" END, "A=b C=d ", 1},
	{"a name twice is two lines", "A: b\r\nA: b\r\n" END, "A=b A=b ", 1},
	{"a value may be empty", "X:\r\nY: \t \r\n" END, "X= Y= ", 1},
	{"a value may hold tabs and any letter", "X: a\tb \xc3\xa4\xff:\r\n" END,
         "X=a\tb \xc3\xa4\xff: ", 1},
	/* the body */
	{"a length with zeros in front", "Content-Length: 0012\r\n" END,
         "length=12 Content-Length=0012 ", 1},
	{"a length of nothing", "Content-Length: 0\r\n" END, "length=0 Content-Length=0 ", 1},
	{"the greatest length", "Content-Length: 18446744073709551615\r\n" END,
         "length=18446744073709551615 Content-Length=18446744073709551615 ", 1},
	{"a length in HTTP/1.0", "Content-Length: 3\r\n" END, "length=3 close Content-Length=3 ",
         0},
	{"chunks", "Transfer-Encoding: chunked\r\n" END, "chunked Transfer-Encoding=chunked ", 1},
	{"chunks in capitals", "TRANSFER-ENCODING: CHUNKED\r\n" END,
         "chunked TRANSFER-ENCODING=CHUNKED ", 1},
	/* whether the connection is kept */
	{"close closes", "Connection: close\r\n" END, "close Connection=close ", 1},
	{"close may stand in a list", "Connection: a,, CLOSE\t, b\r\n" END,
         "close Connection=a,, CLOSE\t, b ", 1},
	{"close may stand in a second list", "Connection: a\r\nConnection: close\r\n" END,
         "close Connection=a Connection=close ", 1},
	{"close wins over keep-alive", "Connection: close, keep-alive\r\n" END,
         "close Connection=close, keep-alive ", 1},
	{"closed is not close", "Connection: closed, clos, upgrade\r\n" END,
         "Connection=closed, clos, upgrade ", 1},
};

/* The bad byte is the first one of `rest`, which is how the section ends. */
static const struct {
	const char *name;
	int status;
	const char *good, *rest;
	int version_minor;
} refused[] = {
	/* line ends */
	{"a line ends in CRLF, not LF, before the section ends", 400, "X: y", "\n", 1},
	{"the last line too", 400, "X: y\r\n", "\n", 1},
	{"an LF is not the end", 400, "", "\n", 1},
	{"a bare CR in a value", 400, "X: y", "\rZ: y\r\n" END, 1},
	{"a bare CR before the last line", 400, "X: y\r\n", "\r\r\n" END, 1},
	{"a folded line", 400, "X: y\r\n", " z\r\n" END, 1},
	{"a line folded with a tab", 400, "X: y\r\n", "\tz\r\n" END, 1},
	{"a blank line is not empty", 400, "X: y\r\n", " \r\n" END, 1},
	/* names and values */
	{"a blank before the colon", 400, "X", " : h\r\n" END, 1},
	{"a name without a colon", 400, "X", "\r\n" END, 1},
	{"a colon without a name", 400, "", ": y\r\n" END, 1},
	{"a name beyond ASCII", 400, "X", "\xc3\xa4: y\r\n" END, 1},
	{"a control character in a value", 400, "X: y", "\x0b\r\n" END, 1},
	{"DEL in a value", 400, "X: y", "\x7f\r\n" END, 1},
	/* two readers, two lengths */
	{"two lengths", 400, "Content-Length: 1\r\nContent-Length: ", "2\r\n" END, 1},
	{"the same length twice", 400, "Content-Length: 1\r\nContent-Length: ", "1\r\n" END, 1},
	{"a length of nothing twice", 400, "Content-Length: 0\r\nContent-Length: ", "0\r\n" END, 1},
	{"a list of lengths", 400, "Content-Length: ", "1, 1\r\n" END, 1},
	{"a length with a plus", 400, "Content-Length: ", "+1\r\n" END, 1},
	{"a length with a minus", 400, "Content-Length: ", "-1\r\n" END, 1},
	{"a length in hexadecimal", 400, "Content-Length: ", "0x1\r\n" END, 1},
	{"a length with a blank", 400, "Content-Length: ", "1 2\r\n" END, 1},
	{"a length of no digit", 400, "Content-Length:", "\r\n" END, 1},
	{"a length beyond 64 bits", 400, "Content-Length: ", "18446744073709551616\r\n" END, 1},
	{"a length, then chunks", 400,
         "Content-Length: 1\r\nTransfer-Encoding: ", "chunked\r\n" END, 1},
	{"chunks, then a length", 400,
         "Transfer-Encoding: chunked\r\nContent-Length: ", "1\r\n" END, 1},
	{"chunks twice", 400,
         "Transfer-Encoding: chunked\r\nTransfer-Encoding: ", "chunked\r\n" END, 1},
	{"chunks in HTTP/1.0", 400, "Transfer-Encoding: ", "chunked\r\n" END, 0},
	{"another coding", 501, "Transfer-Encoding: ", "gzip\r\n" END, 1},
	{"chunks of another coding", 501, "Transfer-Encoding: ", "gzip, chunked\r\n" END, 1},
	{"chunks with something behind", 501, "Transfer-Encoding: ", "chunked;a=b\r\n" END, 1},
	{"chunks by another name", 501, "Transfer-Encoding: ", "xchunked\r\n" END, 1},
	{"no coding", 501, "Transfer-Encoding:", "\r\n" END, 1},
	{"a vertical tab before chunked", 400, "Transfer-Encoding: ", "\vchunked\r\n" END, 1},
};

static void found_write(struct buf *out, const struct http_headers *headers)
{
	if (headers->framing == HTTP_LENGTH)
		buf_format(out, "length=%llu ", (unsigned long long)headers->content_length);
	buf_string(out, headers->framing == HTTP_CHUNKED ? "chunked " : "");
	buf_string(out, headers->is_keep_alive ? "" : "close ");
	for (size_t i = 0; i < headers->count; i++) {
		buf_slice(out, headers->list[i].name);
		buf_char(out, '=');
		buf_slice(out, headers->list[i].value);
		buf_char(out, ' ');
	}
}

/* A section that has its end, line by line; false: its fault is in `found`. */
static bool section_take(struct slice section, int version_minor, struct buf *found)
{
	struct http_headers headers;
	http_headers_begin(&headers, version_minor);
	const char *at = section.at, *end = section.at + section.len - 2;
	while (at < end) {
		size_t before = headers.count;
		const struct http_header *header = http_headers_take(&headers, &at);
		if (header == NULL) {
			buf_format(found, "%d at %zu", headers.status,
			           (size_t)(headers.bad - section.at));
			CHECK(headers.why != NULL);
			CHECK(headers.count == before);
			return false;
		}
		CHECK(header == &headers.list[before]);
		CHECK(headers.count == before + 1);
	}
	CHECK(at == end);
	found_write(found, &headers);
	return true;
}

/* Scanned with `step` bytes more each time, the first time with `first`. */
static enum http_parse section_read(struct slice all, size_t first, size_t step, int version_minor,
                                    struct buf *found)
{
	size_t line_at = 0, scanned = 0;
	enum http_parse result = HTTP_MORE;
	for (size_t len = first; result == HTTP_MORE; len += step) {
		len = len < all.len ? len : all.len;
		char *copy = guard_copy(slice_of(all.at, len));
		result = http_headers_scan(copy, len, &line_at, &scanned);
		CHECK(result != HTTP_MORE || scanned == len);
		if (result == HTTP_BAD)
			buf_format(found, "400 at %zu", scanned);
		if (result == HTTP_DONE &&
		    !section_take(slice_of(copy, scanned), version_minor, found))
			result = HTTP_BAD;
		guard_drop(copy, len);
		if (len == all.len)
			break;
	}
	return result;
}

static void every_way_read(const char *lines, int version_minor, enum http_parse expected,
                           struct buf *whole)
{
	struct slice all = slice_string(lines);
	const size_t steps[] = {1, all.len};
	struct buf found = {0};
	CHECK(section_read(all, all.len, 1, version_minor, whole) == expected);
	for (size_t first = 0; first < all.len; first++) {
		for (size_t i = 0; i < COUNT_OF(steps); i++) {
			buf_clear(&found);
			CHECK(section_read(all, first, steps[i], version_minor, &found) ==
			      expected);
			CHECK(slice_equals(buf_view(&found), buf_view(whole)));
		}
	}
	buf_free(&found);
}

static void accepted_run(size_t i)
{
	struct buf found = {0};
	printf("header: %s\n", accepted[i].name);
	every_way_read(accepted[i].lines, accepted[i].version_minor, HTTP_DONE, &found);
	CHECK(slice_is(buf_view(&found), accepted[i].found));
	buf_free(&found);
}

static void refused_run(size_t i)
{
	struct buf lines = {0}, found = {0}, expected = {0};
	printf("header: %s: %d\n", refused[i].name, refused[i].status);
	buf_string(&lines, refused[i].good);
	buf_format(&expected, "%d at %zu", refused[i].status, lines.len);
	buf_string(&lines, refused[i].rest);
	buf_char(&lines, '\0');
	every_way_read(lines.at, refused[i].version_minor, HTTP_BAD, &found);
	CHECK(slice_equals(buf_view(&found), buf_view(&expected)));
	buf_free(&lines);
	buf_free(&found);
	buf_free(&expected);
}

static void nul_run(void)
{
	printf("header: NUL in a value or a name: 400\n");
	static const struct {
		struct slice lines;
		size_t bad;
	} rows[] = {{SLICE_INIT("X: \0y\r\n\r\n"), 3}, {SLICE_INIT("X\0: y\r\n\r\n"), 1}};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct http_headers headers;
		const char *at = rows[i].lines.at;
		http_headers_begin(&headers, 1);
		CHECK(http_headers_take(&headers, &at) == NULL);
		CHECK(headers.status == 400);
		CHECK(headers.bad == rows[i].lines.at + rows[i].bad);
	}
}

static void unfinished_run(void)
{
	static const char *const unfinished[] = {"",          "\r",          "X: y",
	                                         "X: y\r\n",  "X: y\r\n\r",  "X: y\r\nZ",
	                                         " fold\r\n", "\x01: x\r\n", "X\r\rY\r\n"};
	printf("header: a section without its end is waited for\n");
	for (size_t i = 0; i < COUNT_OF(unfinished); i++) {
		struct buf found = {0};
		every_way_read(unfinished[i], 1, HTTP_MORE, &found);
		CHECK(found.len == 0);
		buf_free(&found);
	}
}

static void count_run(void)
{
	printf("header: lines are counted: 431\n");
	struct http_headers headers;
	http_headers_begin(&headers, 1);
	for (int i = 0; i < HTTP_HEADERS_MAX; i++) {
		const char *line = "X: y\r\n";
		CHECK(http_headers_take(&headers, &line) != NULL);
	}
	const char *line = "Content-Length: 1\r\n", *at = line;
	CHECK(http_headers_take(&headers, &at) == NULL);
	CHECK(headers.status == 431);
	CHECK(headers.bad == line);
	CHECK(headers.count == HTTP_HEADERS_MAX);
	CHECK(headers.framing == HTTP_NO_BODY);
}

static void lookup_run(void)
{
	printf("header: lines are found by name, lists are searched\n");
	const char *at = "Cookie: a=1\r\nUpgrade: websocket\r\ncookie: b=2\r\n"
			 "Connection: keep-alive\r\nConnection: x ,\tUpgrade\r\n";
	struct http_headers headers;
	http_headers_begin(&headers, 1);
	while (*at != '\0')
		CHECK(http_headers_take(&headers, &at) != NULL);
	CHECK(headers.count == 5);
	CHECK(slice_is(*http_headers_find(&headers, "COOKIE"), "a=1"));
	CHECK(http_headers_find(&headers, "cook") == NULL);
	CHECK(http_headers_count(&headers, "cookie") == 2);
	CHECK(http_headers_count(&headers, "cookies") == 0);
	CHECK(http_headers_has_token(&headers, "connection", "upgrade"));
	CHECK(http_headers_has_token(&headers, "upgrade", "WebSocket"));
	CHECK(!http_headers_has_token(&headers, "connection", "keep"));
	CHECK(!http_headers_has_token(&headers, "connection", ""));
	CHECK(!http_headers_has_token(&headers, "te", "x"));
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(accepted); i++)
		accepted_run(i);
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		refused_run(i);
	nul_run();
	unfinished_run();
	count_run();
	lookup_run();
	return 0;
}
