/*
 * Each row is parsed whole, cut in two at every place, and byte by byte, always from memory that
 * ends where the input does. The answer, put into one line of text, must be the same.
 */
#include "../guard.h"
#include "base/buf.h"
#include "http/request.h"

#define HOST "Host: h\r\n"
#define LINE "GET / HTTP/1.1\r\n"
#define GET LINE HOST
#define POST "POST / HTTP/1.1\r\n" HOST
#define END "\r\n"

static const struct http_limits limits = {.target_bytes_max = 100, .header_bytes_max = 200};

/*
 * What is found: "METHOD path?query host version"; then "close", "length=N", "chunked" and
 * "continue" where they are so; then '+' and the bytes behind the head, where there are any.
 */
static const struct {
	const char *name, *head, *found;
} accepted[] = {
	/* the request line */
	{"a plain request", GET END, "GET / h 1.1"},
	{"two empty lines before it are forgiven", "\r\n\r\n" GET END, "GET / h 1.1"},
	{"what follows the head is left", GET END "GET /next", "GET / h 1.1 +GET /next"},
	{"an empty line behind the head is left", GET END END, "GET / h 1.1 +\r\n"},
	{"a method may be any token", "M-SEARCH / HTTP/1.1\r\n" HOST END, "M-SEARCH / h 1.1"},
	{"methods have a case", "get / HTTP/1.1\r\n" HOST END, "get / h 1.1"},
	{"a method of 32 bytes", "M2345678901234567890123456789012 / HTTP/1.1\r\n" HOST END,
         "M2345678901234567890123456789012 / h 1.1"},
	{"HTTP/1.0 needs no Host and is closed", "GET / HTTP/1.0\r\n" END, "GET /  1.0 close"},
	/* the target */
	{"path and query are parted", "GET /a/b?c=d&e HTTP/1.1\r\n" HOST END,
         "GET /a/b?c=d&e h 1.1"},
	{"an empty query is a query", "GET /a? HTTP/1.1\r\n" HOST END, "GET /a? h 1.1"},
	{"the first ? parts", "GET /a?b?c HTTP/1.1\r\n" HOST END, "GET /a?b?c h 1.1"},
	{"escapes stay as sent", "GET /%41%2f?%00%fF HTTP/1.1\r\n" HOST END,
         "GET /%41%2f?%00%fF h 1.1"},
	{"* is for OPTIONS", "OPTIONS * HTTP/1.1\r\n" HOST END, "OPTIONS * h 1.1"},
	{"two slashes are a path", "GET //x HTTP/1.1\r\n" HOST END, "GET //x h 1.1"},
	{"a URL brings its own host", "GET http://a.b:81/c?d HTTP/1.1\r\n" HOST END,
         "GET /c?d a.b:81 1.1"},
	{"a URL without a path", "GET HTTPS://a.b HTTP/1.1\r\n" HOST END, "GET / a.b 1.1"},
	{"a URL with a query only", "GET http://a?b/c HTTP/1.1\r\n" HOST END, "GET /?b/c a 1.1"},
	{"a URL with an IPv6 host", "GET http://[::1]:8000/ HTTP/1.1\r\n" HOST END,
         "GET / [::1]:8000 1.1"},
	/* Host */
	{"a host with a port", LINE "Host: example.org:8000\r\n" END, "GET / example.org:8000 1.1"},
	{"a host with an empty port", LINE "Host: h:\r\n" END, "GET / h: 1.1"},
	{"the highest port", LINE "Host: h:65535\r\n" END, "GET / h:65535 1.1"},
	{"a host by number", LINE "Host: 127.0.0.1\r\n" END, "GET / 127.0.0.1 1.1"},
	{"a host by number of IPv6", LINE "Host: [fe80::A:1.2.3.4]\r\n" END,
         "GET / [fe80::A:1.2.3.4] 1.1"},
	{"a host with an escape and an underscore", LINE "Host: a_%20b\r\n" END,
         "GET / a_%20b 1.1"},
	/* the body, and whether the connection is kept */
	{"a length", POST "Content-Length: 12\r\n" END, "POST / h 1.1 length=12"},
	{"no length is not a body", POST END, "POST / h 1.1"},
	{"a length of nothing", POST "Content-Length: 0\r\n" END, "POST / h 1.1 length=0"},
	{"a length in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 3\r\n" END "abc",
         "POST /  1.0 close length=3 +abc"},
	{"chunks", POST "Transfer-Encoding: Chunked\r\n" END, "POST / h 1.1 chunked"},
	{"close closes", GET "Connection: close\r\n" END, "GET / h 1.1 close"},
	{"a client may wait for 100", POST "Expect: 100-Continue\r\nContent-Length: 1\r\n" END,
         "POST / h 1.1 length=1 continue"},
	{"or before it sends chunks",
         POST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n" END,
         "POST / h 1.1 chunked continue"},
	{"without a body nobody waits", GET "Expect: 100-continue\r\n" END, "GET / h 1.1"},
	{"nor with an empty one", POST "Expect: 100-continue\r\nContent-Length: 0\r\n" END,
         "POST / h 1.1 length=0"},
	{"nor in HTTP/1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" END,
         "POST /  1.0 close length=1"},
};

/* The bad byte is the first one of `rest`, which is how the head ends. */
static const struct {
	const char *name;
	int status;
	const char *good, *rest;
} refused[] = {
	/* the request line */
	{"three empty lines before it are not forgiven", 400, "\r\n\r\n", "\r\n" GET END},
	{"half an empty line is not one", 400, "\r", "\r\n" GET END},
	{"a CR alone before the method", 400, "\r", GET END},
	{"an empty line has a CR", 400, "", "\n" GET END},
	{"a blank before the method", 400, "", " " GET END},
	{"a method is a token", 400, "G", "@T / HTTP/1.1\r\n" HOST END},
	{"a TLS greeting", 400, "", "\x16\x03\x01"},
	{"a method of 33 bytes", 501, "M2345678901234567890123456789012", "3 / HTTP/1.1\r\n" END},
	{"two blanks before the target", 400, "GET ", " / HTTP/1.1\r\n" HOST END},
	{"two blanks before the version", 400, "GET / ", " HTTP/1.1\r\n" HOST END},
	{"a tab is no blank", 400, "GET", "\t/ HTTP/1.1\r\n" HOST END},
	{"a blank behind the version", 400, "GET / HTTP/1.1", " \r\n" HOST END},
	{"a line without a version", 400, "GET /", "\r\n" END},
	{"a version has a case", 400, "GET / ", "http/1.1\r\n" HOST END},
	{"a version has two digits", 400, "GET / HTTP/1.", "x\r\n" HOST END},
	{"a version has no third digit", 400, "GET / HTTP/1.1", "1\r\n" HOST END},
	{"a request line ends in CRLF", 400, "GET / HTTP/1.1", "\n" HOST END},
	{"a request line ends in one CR", 400, "GET / HTTP/1.1\r", "\r\n" HOST END},
	{"HTTP/2 by its preface", 505, "PRI * HTTP/", "2.0\r\n\r\nSM\r\n\r\n"},
	{"HTTP/1.2", 505, "GET / HTTP/1.", "2\r\n" HOST END},
	{"HTTP/0.9", 505, "GET / HTTP/", "0.9\r\n" HOST END},
	/* the target */
	{"a target without a slash", 400, "GET ", "x HTTP/1.1\r\n" HOST END},
	{"a fragment", 400, "GET /a", "#b HTTP/1.1\r\n" HOST END},
	{"a control character in the target", 400, "GET /a", "\x01 HTTP/1.1\r\n" HOST END},
	{"DEL in the target", 400, "GET /a", "\x7f HTTP/1.1\r\n" HOST END},
	{"a target beyond ASCII", 400, "GET /", "\xc3\xa4 HTTP/1.1\r\n" HOST END},
	{"an escape that is not hexadecimal", 400, "GET /a", "%4g HTTP/1.1\r\n" HOST END},
	{"an escape that is cut off", 400, "GET /a?b", "%4 HTTP/1.1\r\n" HOST END},
	{"* for another method", 400, "GET ", "* HTTP/1.1\r\n" HOST END},
	{"* and more", 400, "OPTIONS ", "*/ HTTP/1.1\r\n" HOST END},
	{"a host alone, as for CONNECT", 400, "CONNECT ", "h:443 HTTP/1.1\r\n" HOST END},
	{"a URL of another scheme", 400, "GET ", "ftp://h/ HTTP/1.1\r\n" HOST END},
	{"a URL without a host", 400, "GET http://", "/a HTTP/1.1\r\n" HOST END},
	{"a URL that ends before its host", 400, "GET http://", " HTTP/1.1\r\n" HOST END},
	{"a URL with a user", 400, "GET http://", "u@h/ HTTP/1.1\r\n" HOST END},
	/* the header lines: header_test.c knows them all */
	{"a header ends in CRLF", 400, LINE "Host: h", "\n" END},
	{"a folded line", 400, GET "X: y\r\n", " z\r\n" END},
	/* Host */
	{"HTTP/1.1 needs a Host", 400, LINE, "\r\n"},
	{"a URL does not spare it", 400, "GET http://h/ HTTP/1.1\r\n", "\r\n"},
	{"two Hosts", 400, GET "Host: ", "h\r\n" END},
	{"two Hosts in HTTP/1.0", 400, "GET / HTTP/1.0\r\n" HOST "Host: ", "i\r\n" END},
	{"an empty Host", 400, LINE "Host: ", "\r\n" END},
	{"a list of Hosts", 400, LINE "Host: ", "a, b\r\n" END},
	{"a Host with a path", 400, LINE "Host: ", "a/b\r\n" END},
	{"a Host with a user", 400, LINE "Host: ", "u@h\r\n" END},
	{"a Host of a port alone", 400, LINE "Host: ", ":80\r\n" END},
	{"a Host with a port that is no number", 400, LINE "Host: ", "h:8o\r\n" END},
	{"a Host with too high a port", 400, LINE "Host: ", "h:65536\r\n" END},
	{"a Host with two ports", 400, LINE "Host: ", "h:1:2\r\n" END},
	{"a Host with a malformed escape", 400, LINE "Host: ", "a%2\r\n" END},
	{"a Host beyond ASCII", 400, LINE "Host: ", "\xc3\xa4\r\n" END},
	{"an open bracket", 400, LINE "Host: ", "[::1\r\n" END},
	{"empty brackets", 400, LINE "Host: ", "[]\r\n" END},
	{"brackets around a name", 400, LINE "Host: ", "[host]\r\n" END},
	{"a name behind brackets", 400, LINE "Host: ", "[::1]a\r\n" END},
	{"a Host that is not valid in HTTP/1.0", 400, "GET / HTTP/1.0\r\nHost: ", "a b\r\n" END},
	/* the body */
	{"two lengths", 400, POST "Content-Length: 1\r\nContent-Length: ", "2\r\n" END},
	{"chunks in HTTP/1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: ", "chunked\r\n" END},
	{"another coding", 501, POST "Transfer-Encoding: ", "gzip\r\n" END},
	{"another expectation", 417, POST "Expect: ", "200-ok\r\n" END},
	{"two expectations, one good", 417, POST "Expect: 100-continue\r\nExpect: ", "x\r\n" END},
};

static void found_write(struct buf *out, const struct http_request *req, struct slice all)
{
	buf_slice(out, req->method_name);
	buf_char(out, ' ');
	buf_slice(out, req->path);
	buf_string(out, req->query.at != NULL ? "?" : "");
	buf_slice(out, req->query);
	buf_char(out, ' ');
	buf_slice(out, req->host);
	buf_format(out, " 1.%d", req->version_minor);
	buf_string(out, req->is_keep_alive ? "" : " close");
	if (req->framing == HTTP_LENGTH)
		buf_format(out, " length=%llu", (unsigned long long)req->content_length);
	buf_string(out, req->framing == HTTP_CHUNKED ? " chunked" : "");
	buf_string(out, req->expects_continue ? " continue" : "");
	if (all.len > req->head_bytes) {
		buf_string(out, " +");
		buf_slice(out, slice_after(all, req->head_bytes));
	}
}

/* The answer to the first `len` bytes of `all`, from a copy of just those. */
static enum http_parse prefix_parse(struct http_request *req, struct slice all, size_t len,
                                    const struct http_limits *at_most, struct buf *found)
{
	struct slice prefix = slice_of(all.at, len);
	char *copy = guard_copy(prefix);
	enum http_parse answer = http_request_parse(req, copy, len, at_most);
	buf_clear(found);
	if (answer == HTTP_DONE)
		found_write(found, req, slice_of(copy, len));
	if (answer == HTTP_BAD)
		buf_format(found, "%d at %zu", req->status, req->bad_at);
	CHECK((answer == HTTP_BAD) == (req->why != NULL));
	guard_drop(copy, len);
	return answer;
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

static enum http_parse parse_every_way(struct slice all, const struct http_limits *at_most,
                                       struct buf *whole)
{
	struct buf found = {0};
	struct http_request req;
	http_request_begin(&req);
	enum http_parse answer = prefix_parse(&req, all, all.len, at_most, whole);
	for (size_t cut = 0; cut < all.len; cut++) {
		http_request_begin(&req);
		enum http_parse first = prefix_parse(&req, all, cut, at_most, &found);
		if (first == HTTP_MORE)
			first = prefix_parse(&req, all, all.len, at_most, &found);
		CHECK(first == answer);
		CHECK(is_same(&found, whole));
	}

	http_request_begin(&req);
	enum http_parse last = HTTP_MORE;
	for (size_t len = 0; len <= all.len && last == HTTP_MORE; len++)
		last = prefix_parse(&req, all, len, at_most, &found);
	CHECK(last == answer);
	CHECK(is_same(&found, whole));
	buf_free(&found);
	return answer;
}

static void accepted_run(size_t i)
{
	struct buf found = {0};
	printf("request: %s\n", accepted[i].name);
	CHECK(parse_every_way(slice_string(accepted[i].head), &limits, &found) == HTTP_DONE);
	CHECK(slice_is(buf_view(&found), accepted[i].found));
	buf_free(&found);
}

static void refused_run(size_t i)
{
	struct buf head = {0}, found = {0}, expected = {0};
	printf("request: %s: %d\n", refused[i].name, refused[i].status);
	buf_string(&head, refused[i].good);
	buf_format(&expected, "%d at %zu", refused[i].status, head.len);
	buf_string(&head, refused[i].rest);
	CHECK(parse_every_way(buf_view(&head), &limits, &found) == HTTP_BAD);
	CHECK(slice_equals(buf_view(&found), buf_view(&expected)));
	buf_free(&head);
	buf_free(&found);
	buf_free(&expected);
}

/* Wants exactly one answer and, for a refusal, exactly one offset. */
static void expect(const char *name, const struct buf *head, const struct http_limits *at_most,
                   enum http_parse wanted, const char *text)
{
	struct buf found = {0};
	printf("request: %s\n", name);
	CHECK(parse_every_way(buf_view(head), at_most, &found) == wanted);
	CHECK(wanted == HTTP_DONE || slice_is(buf_view(&found), text));
	buf_free(&found);
}

static void fill(struct buf *buf, char c, size_t count)
{
	while (count-- > 0)
		buf_char(buf, c);
}

static void target_limit_run(void)
{
	const struct http_limits small = {.target_bytes_max = 10, .header_bytes_max = 100};
	struct buf head = {0};
	buf_string(&head, "GET /123456789 HTTP/1.1\r\n" HOST END);
	expect("a target as long as the limit", &head, &small, HTTP_DONE, NULL);
	buf_clear(&head);
	buf_string(&head, "GET /123456789");
	expect("one that may still end there", &head, &small, HTTP_MORE, "");
	buf_char(&head, 'x');
	expect("one byte more is 414, before the line ends", &head, &small, HTTP_BAD, "414 at 14");
	buf_free(&head);
}

static void header_limit_run(void)
{
	const struct http_limits small = {.target_bytes_max = 10, .header_bytes_max = 40};
	struct buf head = {0};
	buf_string(&head, GET "X: ");
	fill(&head, 'x', 40 - strlen(HOST "X: \r\n\r\n"));
	struct slice fits = buf_view(&head);
	buf_string(&head, "\r\n\r\n");
	expect("headers as long as the limit", &head, &small, HTTP_DONE, NULL);
	buf_cut_to(&head, fits.len);
	buf_string(&head, "x\r\n\r\n");
	expect("one byte more is 431", &head, &small, HTTP_BAD, "431 at 56");
	buf_cut_to(&head, fits.len);
	fill(&head, 'x', 3);
	expect("headers that may still end there", &head, &small, HTTP_MORE, "");
	buf_char(&head, 'x');
	expect("without an end at the limit they are 431", &head, &small, HTTP_BAD, "431 at 56");
	buf_free(&head);
}

static void header_count_run(void)
{
	const struct http_limits large = {.target_bytes_max = 10, .header_bytes_max = 10000};
	struct buf head = {0};
	buf_string(&head, GET);
	for (int i = 1; i < HTTP_HEADERS_MAX; i++)
		buf_string(&head, "a:\r\n");
	struct buf more = {0};
	buf_slice(&more, buf_view(&head));
	buf_string(&head, END);
	expect("as many headers as there are places", &head, &large, HTTP_DONE, NULL);

	char text[32];
	snprintf(text, sizeof(text), "431 at %zu", more.len);
	buf_string(&more, "a:\r\n" END);
	expect("one more is 431", &more, &large, HTTP_BAD, text);
	buf_free(&head);
	buf_free(&more);
}

/* Where each byte may stand, said a second time. */
static bool is_in(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

#define ALNUM "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool may_be_in_name(char c)
{
	return is_in(c, ALNUM "!#$%&'*+-.^_`|~");
}

static bool may_be_in_value(char c)
{
	return c == '\t' || c < 0 || (c >= 32 && c != 127);
}

static bool may_be_in_target(char c)
{
	return c > 32 && c != 127 && c != '#' && c != '%';
}

static bool may_be_in_host(char c)
{
	return is_in(c, ALNUM "-._~!$&'()*+,;=");
}

static const struct {
	const char *name, *before, *behind;
	bool (*may_be)(char c);
} places[] = {
	{"any token byte may be in a method", "G", "T / HTTP/1.1\r\n" HOST END, may_be_in_name},
	{"any token byte may be in a name", GET "x", "y: z\r\n" END, may_be_in_name},
	{"no control byte may be in a value", GET "x: y", "z\r\n" END, may_be_in_value},
	{"only visible bytes may be in a target", "GET /a", "b HTTP/1.1\r\n" HOST END,
         may_be_in_target},
	{"only bytes of names may be in a host", LINE "Host: a", "b\r\n" END, may_be_in_host},
};

static void place_run(size_t i)
{
	printf("request: %s\n", places[i].name);
	for (int byte = 0; byte < 256; byte++) {
		struct buf head = {0};
		buf_string(&head, places[i].before);
		buf_char(&head, (char)byte);
		buf_string(&head, places[i].behind);
		/* These part what they stand in, as other rows show. */
		bool parts = strchr(": %", byte) != NULL && byte != 0;
		struct http_request req;
		http_request_begin(&req);
		enum http_parse answer = http_request_parse(&req, head.at, head.len, &limits);
		CHECK(parts || (answer == HTTP_DONE) == places[i].may_be((char)byte));
		CHECK(answer != HTTP_MORE);
		buf_free(&head);
	}
}

/* Bytes that were scanned are spoilt until the head is whole: they must not be missed. And nothing
 * but the scan is kept from one call to the next. */
static void scan_run(void)
{
	printf("request: a byte is not scanned a second time\n");
	struct slice all = SLICE("\r\nGET /path HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n");
	enum { SEEN = 2 }; /* the new byte, and the CR that an LF needs before it */
	char bytes[64];
	struct http_request req;
	struct http_scan scan = {0};
	for (size_t len = 1; len < all.len; len++) {
		size_t spoilt = len > SEEN ? len - SEEN : 0;
		memset(bytes, '\n', spoilt);
		memcpy(bytes + spoilt, all.at + spoilt, len - spoilt);
		memset(&req, 0xff, sizeof(req));
		http_request_resume(&req, &scan);
		CHECK(http_request_parse(&req, bytes, len, &limits) == HTTP_MORE);
		scan = req.scan;
		CHECK(scan.scanned == len);
	}
	http_request_resume(&req, &scan);
	CHECK(http_request_parse(&req, all.at, all.len, &limits) == HTTP_DONE);
	CHECK(slice_is(*http_request_header(&req, "x"), "y"));
}

static void headers_run(void)
{
	printf("request: headers are found by name, lists are searched\n");
	struct slice all = SLICE(GET "Cookie: a=1\r\nUpgrade: websocket\r\ncookie: b=2\r\n"
	                             "Connection: keep-alive\r\nConnection: x ,\tUpgrade\r\n" END);
	struct http_request req;
	http_request_begin(&req);
	CHECK(http_request_parse(&req, all.at, all.len, &limits) == HTTP_DONE);
	CHECK(req.headers.count == 6);
	CHECK(slice_is(req.headers.list[1].name, "Cookie"));
	CHECK(slice_is(*http_request_header(&req, "COOKIE"), "a=1"));
	CHECK(http_request_header(&req, "cook") == NULL);
	CHECK(http_request_header_count(&req, "cookie") == 2);
	CHECK(http_request_header_count(&req, "cookies") == 0);
	CHECK(http_request_has_token(&req, "connection", "upgrade"));
	CHECK(http_request_has_token(&req, "upgrade", "WebSocket"));
	CHECK(!http_request_has_token(&req, "connection", "keep"));
	CHECK(!http_request_has_token(&req, "connection", ""));
	CHECK(!http_request_has_token(&req, "te", "x"));
}

static void methods_run(void)
{
	static const struct {
		const char *line;
		enum http_method method;
	} methods[] = {
		{"GET / HTTP/1.0\r\n\r\n", HTTP_GET},
		{"HEAD / HTTP/1.0\r\n\r\n", HTTP_HEAD},
		{"POST / HTTP/1.0\r\n\r\n", HTTP_POST},
		{"PUT / HTTP/1.0\r\n\r\n", HTTP_PUT},
		{"DELETE / HTTP/1.0\r\n\r\n", HTTP_DELETE},
		{"OPTIONS / HTTP/1.0\r\n\r\n", HTTP_OPTIONS},
		{"PATCH / HTTP/1.0\r\n\r\n", HTTP_PATCH},
		{"GETS / HTTP/1.0\r\n\r\n", HTTP_OTHER},
		{"post / HTTP/1.0\r\n\r\n", HTTP_OTHER},
	};
	printf("request: a method is one we know, or another\n");
	for (size_t i = 0; i < COUNT_OF(methods); i++) {
		struct slice line = slice_string(methods[i].line);
		struct http_request req;
		http_request_begin(&req);
		CHECK(http_request_parse(&req, line.at, line.len, &limits) == HTTP_DONE);
		CHECK(req.method == methods[i].method);
	}
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(accepted); i++)
		accepted_run(i);
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		refused_run(i);
	for (size_t i = 0; i < COUNT_OF(places); i++)
		place_run(i);
	target_limit_run();
	header_limit_run();
	header_count_run();
	scan_run();
	headers_run();
	methods_run();
	return 0;
}
