#include "base/check.h"
#include "http/response.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static const struct {
	const char *name;
	struct http_response response;
	const char *head;
} heads[] = {
	{"the lines stand in this order",
         {.status = 200,
          .date = BYTES("Sun, 06 Nov 1994 08:49:37 GMT"),
          .content_type = BYTES("text/plain"),
          .body_len = 12,
          .is_keep_alive = true},
         "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
         "Content-Type: text/plain\r\nContent-Length: 12\r\n\r\n"},
	{"an empty body has a length too",
         {.status = 404, .is_keep_alive = true},
         "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
	{"a connection that closes says so",
         {.status = 503, .body_len = 1},
         "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1\r\nConnection: close\r\n\r\n"},
	{"a body until the close has no length",
         {.status = 200, .content_type = BYTES("text/event-stream"), .body_len = HTTP_UNTIL_CLOSE},
         "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"},
	{"of a body that was not made no length is said",
         {.status = 200, .body_len = HTTP_UNSAID, .is_keep_alive = true},
         "HTTP/1.1 200 OK\r\n\r\n"},
	{"the greatest length",
         {.status = 200, .body_len = INT64_MAX, .is_keep_alive = true},
         "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n"},
	{"204 has no length",
         {.status = 204, .is_keep_alive = true},
         "HTTP/1.1 204 No Content\r\n\r\n"},
	{"304 has none, and may close",
         {.status = 304},
         "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"},
	{"100 is a line alone", {.status = 100}, "HTTP/1.1 100 Continue\r\n\r\n"},
	{"101 leaves the connection to its caller",
         {.status = 101},
         "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
};

static const struct {
	const char *name;
	struct slice value;
	const char *line; /* empty: refused */
} values[] = {
	{"a value is written as it is", BYTES("a, \"b\": c\t\xc3\xa4"),
         "X: a, \"b\": c\t\xc3\xa4\r\n"},
	{"a value may be empty", BYTES(""), "X: \r\n"},
	{"CRLF cannot begin another line", BYTES("a\r\nSet-Cookie: b=c"), ""},
	{"nor can CR", BYTES("a\r"), ""},
	{"nor can LF", BYTES("\na"), ""},
	{"NUL is refused", BYTES("a\0b"), ""},
	{"DEL is refused", BYTES("\x7f"), ""},
};

/* Seconds since 1970, by `date -u -d ... +%s`. */
static const struct {
	const char *name;
	uint64_t unix_seconds;
	const char *text;
} dates[] = {
	{"the example of RFC 9110", 784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
	{"the first second", 0, "Thu, 01 Jan 1970 00:00:00 GMT"},
	{"the last second of a day", 86399, "Thu, 01 Jan 1970 23:59:59 GMT"},
	{"the last second of a year", 1735689599, "Tue, 31 Dec 2024 23:59:59 GMT"},
	{"the first second of a year", 1735689600, "Wed, 01 Jan 2025 00:00:00 GMT"},
	{"29 February of a leap year", 1709208000, "Thu, 29 Feb 2024 12:00:00 GMT"},
	{"29 February of 2000", 951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
	{"28 February of 2100", 4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"},
	{"there is no 29 February in 2100", 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
	{"beyond 32 bits", 4294967296, "Sun, 07 Feb 2106 06:28:16 GMT"},
	{"the last second there is", 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
};

static const struct {
	int code;
	const char *reason; /* NULL: not one of ours */
} reasons[] = {
	{100, "Continue"},
	{101, "Switching Protocols"},
	{200, "OK"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{417, "Expectation Failed"},
	{426, "Upgrade Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{503, "Service Unavailable"},
	{505, "HTTP Version Not Supported"},
	{0, NULL},
	{99, NULL},
	{299, NULL},
	{600, NULL},
	{-1, NULL},
};

static void head_run(size_t i)
{
	struct buf out = {0};
	printf("response: %s\n", heads[i].name);
	http_response_head(&out, &heads[i].response);
	http_response_end(&out);
	CHECK(slice_is(buf_view(&out), heads[i].head));
	buf_free(&out);
}

static void value_run(size_t i)
{
	struct buf out = {0};
	printf("response: %s\n", values[i].name);
	bool is_written = http_response_header(&out, "X", values[i].value);
	CHECK(is_written == (values[i].line[0] != '\0'));
	CHECK(slice_is(buf_view(&out), values[i].line));
	buf_free(&out);
}

static void date_run(size_t i)
{
	char text[HTTP_DATE_SIZE];
	printf("response: a date: %s\n", dates[i].name);
	http_date(text, dates[i].unix_seconds);
	CHECK(slice_is(slice_string(text), dates[i].text));
}

static void reasons_run(void)
{
	printf("response: statuses have their phrases, others have none\n");
	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		const char *reason = http_reason(reasons[i].code);
		CHECK((reason == NULL) == (reasons[i].reason == NULL));
		CHECK(reason == NULL || slice_is(slice_string(reason), reasons[i].reason));
	}
}

static void table_run(void)
{
	static const int codes[] = {
#define STATUS(code, reason) code,
#include "http/status.def"
#undef STATUS
	};
	static const int errors[] = {
#define ERROR(name, code, status) status,
#include "starling/error.def"
#undef ERROR
	};
	printf("response: the table rises, and knows the status of every error\n");
	for (size_t i = 1; i < COUNT_OF(codes); i++)
		CHECK(codes[i - 1] < codes[i]);
	for (size_t i = 0; i < COUNT_OF(errors); i++)
		CHECK(http_reason(errors[i]) != NULL);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(heads); i++)
		head_run(i);
	for (size_t i = 0; i < COUNT_OF(values); i++)
		value_run(i);
	for (size_t i = 0; i < COUNT_OF(dates); i++)
		date_run(i);
	reasons_run();
	table_run();
	return 0;
}
