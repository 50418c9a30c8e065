/*
 * As with requests the head is read in two passes: the scan judges the status line and the
 * line ends as bytes come, and keeps offsets only; once the head is whole the second pass cuts
 * it into slices and judges the headers.
 */
#include "http/answer.h"

#include "base/text.h"
#include "http/syntax.h"

#define STATUS_LINE "HTTP/1.# ### " /* the reason follows; # is a digit */
#define VERSION_MINOR_AT 7
#define STATUS_AT 9
#define STATUS_DIGITS 3

enum answer_step { SCAN_STATUS = 0, SCAN_REASON, SCAN_HEADERS, SCAN_DONE };

void http_answer_begin(struct http_answer *answer)
{
	/* The headers past header_count are never read. */
	memset(answer, 0, offsetof(struct http_answer, headers));
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
	while (answer->scanned < len) {
		const char *from = answer->bytes + answer->scanned;
		const char *lf = memchr(from, '\n', len - answer->scanned);
		if (lf == NULL) {
			answer->scanned = len;
			break;
		}
		size_t line_len = (size_t)(lf - answer->bytes) - answer->line_at;
		if (line_len == 0 || lf[-1] != '\r')
			return answer_refuse(answer, lf, "LF without CR");
		answer->line_at += line_len + 1;
		answer->scanned = answer->line_at;
		if (line_len == 1) {
			answer->head_bytes = answer->scanned;
			return HTTP_DONE;
		}
	}
	return HTTP_MORE;
}

static enum http_parse (*const scans[SCAN_DONE])(struct http_answer *answer, size_t len) = {
	[SCAN_STATUS] = scan_status,
	[SCAN_REASON] = scan_reason,
	[SCAN_HEADERS] = scan_headers,
};

/*
 * The headers that say how to go on reading. Each of these takes one line of its name.
 */

static bool list_has(struct slice list, struct slice token)
{
	struct slice member;
	while (slice_cut(&list, ',', &member)) {
		if (slice_equals_nocase(slice_trim(member), token))
			return true;
	}
	return false;
}

static enum http_parse take_content_length(struct http_answer *answer, struct slice value)
{
	if (answer->framing != HTTP_NO_BODY)
		return answer_refuse(answer, value.at, "more than one body length");
	if (!text_to_u64(value, &answer->content_length))
		return answer_refuse(answer, value.at, "Content-Length is not a number");
	answer->framing = HTTP_LENGTH;
	return HTTP_DONE;
}

static enum http_parse take_transfer_encoding(struct http_answer *answer, struct slice value)
{
	if (answer->framing != HTTP_NO_BODY)
		return answer_refuse(answer, value.at, "more than one body length");
	if (answer->version_minor == 0)
		return answer_refuse(answer, value.at, "Transfer-Encoding in HTTP/1.0");
	if (!slice_equals_nocase(value, SLICE("chunked")))
		return answer_refuse(answer, value.at, "Transfer-Encoding is not chunked");
	answer->framing = HTTP_CHUNKED;
	return HTTP_DONE;
}

static enum http_parse take_connection(struct http_answer *answer, struct slice value)
{
	if (list_has(value, SLICE("close")))
		answer->is_keep_alive = false;
	return HTTP_DONE;
}

static enum http_parse header_take(struct http_answer *answer, struct http_header header)
{
	static const struct {
		const char *name;
		enum http_parse (*take)(struct http_answer *answer, struct slice value);
	} known[] = {
		{"content-length", take_content_length},
		{"transfer-encoding", take_transfer_encoding},
		{"connection", take_connection},
	};
	if (answer->header_count == HTTP_HEADERS_MAX)
		return answer_refuse(answer, header.name.at, "too many headers");
	answer->headers[answer->header_count++] = header;
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		if (slice_equals_nocase(header.name, slice_string(known[i].name)))
			return known[i].take(answer, header.value);
	}
	return HTTP_DONE;
}

/* One line, from *at; the scan has seen to it that CRLF ends it, so no end is needed. */
static enum http_parse header_parse(struct http_answer *answer, const char **at)
{
	const char *name = *at, *colon = name;
	if (*name == ' ' || *name == '\t')
		return answer_refuse(answer, name, "folded header line");
	while (http_is_token(*colon))
		colon++;
	if (*colon != ':' || colon == name)
		return answer_refuse(answer, colon, "header name is not a token");

	const char *end = colon + 1;
	while (http_is_value(*end))
		end++;
	if (end[0] != '\r' || end[1] != '\n')
		return answer_refuse(answer, end, "control character in a header");
	*at = end + 2;

	struct slice value = slice_of(colon + 1, (size_t)(end - colon - 1));
	return header_take(answer, (struct http_header){
					   .name = slice_of(name, (size_t)(colon - name)),
					   .value = slice_trim(value),
				   });
}

/* The scan has judged the bytes. */
static void status_line_parse(struct http_answer *answer)
{
	const char *bytes = answer->bytes;
	size_t reason_at = sizeof(STATUS_LINE) - 1;
	CHECK(answer->headers_at >= reason_at + 2);
	answer->version_minor = bytes[VERSION_MINOR_AT] - '0';
	answer->is_keep_alive = answer->version_minor == 1;
	answer->reason = slice_of(bytes + reason_at, answer->headers_at - 2 - reason_at);
	answer->status = 0;
	for (size_t i = 0; i < STATUS_DIGITS; i++)
		answer->status = answer->status * 10 + (bytes[STATUS_AT + i] - '0');
}

/* RFC 9112 section 6.3. */
static void framing_settle(struct http_answer *answer)
{
	bool is_bodiless = answer->status < 200 || answer->status == 204 || answer->status == 304;
	if (is_bodiless) {
		answer->framing = HTTP_NO_BODY;
		answer->content_length = 0;
	} else if (answer->framing == HTTP_NO_BODY) {
		answer->is_until_close = true;
		answer->is_keep_alive = false;
	}
}

static enum http_parse head_parse(struct http_answer *answer)
{
	status_line_parse(answer);
	const char *at = answer->bytes + answer->headers_at;
	const char *end = answer->bytes + answer->head_bytes - 2; /* the empty line */
	while (at < end) {
		if (header_parse(answer, &at) == HTTP_BAD)
			return HTTP_BAD;
	}
	CHECK(at == end);
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

const struct slice *http_answer_header(const struct http_answer *answer, const char *name)
{
	struct slice wanted = slice_string(name);
	for (size_t i = 0; i < answer->header_count; i++) {
		if (slice_equals_nocase(answer->headers[i].name, wanted))
			return &answer->headers[i].value;
	}
	return NULL;
}

bool http_answer_has_token(const struct http_answer *answer, const char *name, const char *token)
{
	struct slice wanted = slice_string(name);
	for (size_t i = 0; i < answer->header_count; i++) {
		if (slice_equals_nocase(answer->headers[i].name, wanted) &&
		    list_has(answer->headers[i].value, slice_string(token)))
			return true;
	}
	return false;
}
