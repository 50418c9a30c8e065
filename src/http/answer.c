/*
 * As with requests the head is read in two passes: the scan judges the status line and the
 * line ends as bytes come, and keeps offsets only; once the head is whole the second pass cuts
 * it into slices and judges the headers.
 */
#include "http/answer.h"

#include "http/syntax.h"

#define STATUS_LINE "HTTP/1.# ### " /* the reason follows; # is a digit */
#define VERSION_MINOR_AT 7
#define STATUS_AT 9
#define STATUS_DIGITS 3

enum answer_step { SCAN_STATUS = 0, SCAN_REASON, SCAN_HEADERS, SCAN_DONE };

void http_answer_begin(struct http_answer *answer)
{
	memset(answer, 0, offsetof(struct http_answer, headers.list)); /* none is read past count */
}

static enum http_parse answer_refuse(struct http_answer *answer, const char *where, const char *why)
{
	CHECK(where >= answer->bytes);
	CHECK(answer->why == NULL);
	answer->why = why;
	answer->bad_at = (size_t)(where - answer->bytes);
	return HTTP_BAD;
}

static enum http_parse scan_refuse(struct http_answer *answer, const char *why)
{
	return answer_refuse(answer, answer->bytes + answer->scanned, why);
}

/*
 * The scans. Each goes on from answer->scanned and answers HTTP_DONE when its part is over.
 */

static bool fits_status_line(size_t at, char c)
{
	if (STATUS_LINE[at] != '#')
		return c == STATUS_LINE[at];
	if (at == VERSION_MINOR_AT)
		return c == '0' || c == '1';
	if (at == STATUS_AT)
		return c >= '1' && c <= '5';
	return c >= '0' && c <= '9';
}

static enum http_parse scan_status(struct http_answer *answer, size_t len)
{
	for (; answer->scanned < len; answer->scanned++) {
		if (answer->scanned == sizeof(STATUS_LINE) - 1)
			return HTTP_DONE;
		if (!fits_status_line(answer->scanned, answer->bytes[answer->scanned]))
			return scan_refuse(answer, "status line is not that of HTTP/1.1");
	}
	return HTTP_MORE;
}

static enum http_parse scan_reason(struct http_answer *answer, size_t len)
{
	for (; answer->scanned < len; answer->scanned++) {
		char c = answer->bytes[answer->scanned];
		bool is_behind_cr = answer->bytes[answer->scanned - 1] == '\r';
		if (is_behind_cr && c != '\n')
			return scan_refuse(answer, "CR without LF");
		if (is_behind_cr) {
			answer->headers_at = answer->line_at = ++answer->scanned;
			return HTTP_DONE;
		}
		if (c != '\r' && !http_is_value(c))
			return scan_refuse(answer, "control character in the status line");
	}
	return HTTP_MORE;
}

static enum http_parse scan_headers(struct http_answer *answer, size_t len)
{
	enum http_parse result =
		http_headers_scan(answer->bytes, len, &answer->line_at, &answer->scanned);
	if (result == HTTP_BAD)
		return scan_refuse(answer, "LF without CR");
	if (result == HTTP_DONE)
		answer->head_bytes = answer->scanned;
	return result;
}

static enum http_parse (*const scans[SCAN_DONE])(struct http_answer *answer, size_t len) = {
	[SCAN_STATUS] = scan_status,
	[SCAN_REASON] = scan_reason,
	[SCAN_HEADERS] = scan_headers,
};

/* The scan has judged the bytes. */
static void status_line_parse(struct http_answer *answer)
{
	const char *bytes = answer->bytes;
	size_t reason_at = sizeof(STATUS_LINE) - 1;
	CHECK(answer->headers_at >= reason_at + 2);
	answer->version_minor = bytes[VERSION_MINOR_AT] - '0';
	answer->reason = slice_of(bytes + reason_at, answer->headers_at - 2 - reason_at);
	answer->status = 0;
	for (size_t i = 0; i < STATUS_DIGITS; i++)
		answer->status = answer->status * 10 + (bytes[STATUS_AT + i] - '0');
}

static enum http_parse headers_parse(struct http_answer *answer)
{
	struct http_headers *headers = &answer->headers;
	const char *at = answer->bytes + answer->headers_at;
	const char *end = answer->bytes + answer->head_bytes - 2; /* the empty line */
	http_headers_begin(headers, answer->version_minor);
	while (at < end) {
		if (http_headers_take(headers, &at) == NULL)
			return answer_refuse(answer, headers->bad, headers->why);
	}
	CHECK(at == end);
	return HTTP_DONE;
}

/* RFC 9112 section 6.3. */
static void framing_settle(struct http_answer *answer)
{
	bool is_bodiless = answer->status < 200 || answer->status == 204 || answer->status == 304;
	answer->is_keep_alive = answer->headers.is_keep_alive;
	if (is_bodiless)
		return;
	answer->framing = answer->headers.framing;
	answer->content_length = answer->headers.content_length;
	if (answer->framing == HTTP_NO_BODY) {
		answer->is_until_close = true;
		answer->is_keep_alive = false;
	}
}

static enum http_parse head_parse(struct http_answer *answer)
{
	status_line_parse(answer);
	if (headers_parse(answer) == HTTP_BAD)
		return HTTP_BAD;
	framing_settle(answer);
	return HTTP_DONE;
}

enum http_parse http_answer_parse(struct http_answer *answer, const char *bytes, size_t len)
{
	CHECK(answer->why == NULL);      /* a bad one is not asked about again */
	CHECK(answer->step < SCAN_DONE); /* nor one that is done */
	CHECK(answer->scanned <= len);
	answer->bytes = bytes;
	size_t head_max = len < ANSWER_HEAD_MAX ? len : ANSWER_HEAD_MAX;
	while (answer->step < SCAN_DONE) {
		enum http_parse result = scans[answer->step](answer, head_max);
		if (result == HTTP_MORE && head_max == ANSWER_HEAD_MAX)
			return scan_refuse(answer, "head is too long");
		if (result != HTTP_DONE)
			return result;
		answer->step++;
	}
	CHECK(answer->head_bytes <= len);
	return head_parse(answer);
}
