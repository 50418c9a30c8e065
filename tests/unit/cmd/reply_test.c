/*
 * Each input is read whole, cut in two at every place, and byte by byte; the connection ends
 * behind it where the row says so. What is found is "status body", the complaint after "bad", or
 * "more".
 */
#include "base/buf.h"
#include "cmd/reply.h"

#define HEAD(status, length) "HTTP/1.1 " status "\r\nContent-Length: " length "\r\n\r\n"

static const struct {
	const char *name, *input;
	bool is_ended;
	const char *found, *rest;
} cases[] = {
	{"a body by its length", HEAD("200 OK", "3") "abc", false, "200 abc", ""},
	{"the next answer is left", HEAD("200 OK", "3") "abcHTTP", false, "200 abc", "HTTP"},
	{"an empty body", HEAD("200 OK", "0") "x", false, "200 ", "x"},
	{"a body in chunks",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
         false, "200 abc", ""},
	{"a body until the end", "HTTP/1.1 200 OK\r\n\r\nabc", true, "200 abc", ""},
	{"a body until the end is waited for", "HTTP/1.1 200 OK\r\n\r\nabc", false, "more", ""},
	{"interim answers are passed over",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nA: b\r\n\r\n" HEAD("200 OK", "1") "a",
         false, "200 a", ""},
	{"a switch of protocols is the answer", "HTTP/1.1 101 X\r\nA: b\r\n\r\n\x81", false, "101 ",
         "\x81"},
	{"no body is 204", "HTTP/1.1 204 X\r\n\r\nx", false, "204 ", "x"},
	{"half a head is waited for", "HTTP/1.1 2", false, "more", "HTTP/1.1 2"},
	{"half a body is waited for", HEAD("200 OK", "3") "ab", false, "more", ""},
	{"nothing and the end", "", true, "bad the connection ended before its end", ""},
	{"half a head and the end", "HTTP/1.1 2", true, "bad the connection ended before its end",
         "HTTP/1.1 2"},
	{"half a body and the end", HEAD("200 OK", "3") "ab", true,
         "bad the connection ended before its end", ""},
	{"another protocol", "SSH-2.0", false, "bad status line is not that of HTTP/1.1",
         "SSH-2.0"},
	{"a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", false,
         "bad chunk size is not hexadecimal", "x"},
};

/* The input in parts of `first` and then `step` bytes. */
static void read_in_parts(size_t i, size_t first, size_t step)
{
	struct reply reply = {0};
	struct buf in = {0}, found = {0};
	struct slice rest = slice_string(cases[i].input);
	enum reply_result result = REPLY_MORE;
	size_t count = first;
	reply_begin(&reply);
	do {
		struct slice part = slice_of(rest.at, rest.len < count ? rest.len : count);
		rest = slice_after(rest, part.len);
		buf_slice(&in, part);
		count = step;
		result = reply_read(&reply, &in, cases[i].is_ended && rest.len == 0);
	} while (result == REPLY_MORE && rest.len > 0);
	buf_slice(&in, rest);

	if (result == REPLY_DONE) {
		buf_format(&found, "%d ", reply.head.status);
		buf_slice(&found, buf_view(&reply.body));
	} else if (result == REPLY_BAD) {
		buf_format(&found, "bad %s", reply.why);
	} else {
		buf_string(&found, "more");
	}
	CHECK(slice_is(buf_view(&found), cases[i].found));
	CHECK(result == REPLY_BAD || slice_is(buf_view(&in), cases[i].rest));
	reply_free(&reply);
	buf_free(&in);
	buf_free(&found);
}

static void case_run(size_t i)
{
	size_t len = strlen(cases[i].input);
	printf("reply: %s\n", cases[i].name);
	for (size_t first = 0; first <= len; first++)
		read_in_parts(i, first, len + 1);
	read_in_parts(i, 1, 1);
}

static const struct {
	const char *name, *status, *body, *line;
} explained[] = {
	{"an error says its code and message", "403 Forbidden",
         "{\"error\":{\"code\":\"forbidden\",\"message\":\"not you\"}}", "forbidden: not you"},
	{"a message stays on its line", "403 Forbidden",
         "{\"error\":{\"message\":\"a\\nb\",\"code\":\"x\"}}", "x: a?b"},
	{"a page is told by its status", "502 Bad Gateway", "<html>", "502 Bad Gateway"},
	{"so is an error without a message", "500 X", "{\"error\":{\"code\":\"x\"}}", "500 X"},
	{"and one of another form", "500 X", "{\"error\":\"x\"}", "500 X"},
};

static void explained_run(size_t i)
{
	struct reply reply = {0};
	struct buf in = {0}, line = {0};
	printf("reply: %s\n", explained[i].name);
	buf_format(&in, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", explained[i].status,
	           strlen(explained[i].body), explained[i].body);
	reply_begin(&reply);
	CHECK(reply_read(&reply, &in, false) == REPLY_DONE);
	CHECK(!reply_is_good(&reply));
	buf_clear(&in);
	reply_explain(&reply, &line); /* the input may be gone */
	CHECK(slice_is(buf_view(&line), explained[i].line));
	reply_free(&reply);
	buf_free(&in);
	buf_free(&line);
}

static void limit_run(void)
{
	printf("reply: a body over the limit is refused before it is kept\n");
	struct reply reply = {0};
	struct buf in = {0};
	buf_format(&in, HEAD("200 OK", "%u"), REPLY_BODY_MAX + 1);
	reply_begin(&reply);
	enum reply_result result = REPLY_MORE;
	while ((result = reply_read(&reply, &in, false)) == REPLY_MORE) {
		CHECK(reply.body.len <= REPLY_BODY_MAX);
		char *room = buf_room(&in, 65536);
		CHECK(room != NULL);
		memset(room, 'x', 65536);
		buf_grew(&in, 65536);
	}
	CHECK(result == REPLY_BAD);
	CHECK(reply.body.len <= REPLY_BODY_MAX);
	reply_free(&reply);
	buf_free(&in);
}

static void again_run(void)
{
	printf("reply: one after another is read with the same memory\n");
	struct reply reply = {0};
	struct buf in = {0};
	buf_string(&in, HEAD("200 OK", "2") "ab" HEAD("500 X", "1") "c");
	reply_begin(&reply);
	CHECK(reply_read(&reply, &in, false) == REPLY_DONE);
	CHECK(reply_is_good(&reply));
	CHECK(slice_is(buf_view(&reply.body), "ab"));
	CHECK(slice_is(*http_answer_header(&reply.head, "content-length"), "2"));
	reply_begin(&reply);
	CHECK(reply_read(&reply, &in, false) == REPLY_DONE);
	CHECK(!reply_is_good(&reply));
	CHECK(slice_is(buf_view(&reply.body), "c"));
	CHECK(in.len == 0);
	reply_free(&reply);
	buf_free(&in);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		case_run(i);
	for (size_t i = 0; i < COUNT_OF(explained); i++)
		explained_run(i);
	limit_run();
	again_run();
	return 0;
}
