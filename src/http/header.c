#include "http/header.h"

#include "base/text.h"
#include "http/syntax.h"

enum http_parse http_headers_scan(const char *bytes, size_t len, size_t *line_at, size_t *scanned)
{
	CHECK(*line_at <= *scanned);
	CHECK(*scanned <= len);
	while (*scanned < len) {
		const char *lf = memchr(bytes + *scanned, '\n', len - *scanned);
		*scanned = lf != NULL ? (size_t)(lf - bytes) : len;
		if (lf == NULL)
			break;
		size_t line_len = *scanned - *line_at;
		if (line_len == 0 || lf[-1] != '\r')
			return HTTP_BAD;
		*line_at = ++*scanned;
		if (line_len == 1)
			return HTTP_DONE;
	}
	return HTTP_MORE;
}

void http_headers_begin(struct http_headers *headers, int version_minor)
{
	/* The list past count is never read. */
	memset(headers, 0, offsetof(struct http_headers, list));
	headers->version_minor = version_minor;
	headers->is_keep_alive = version_minor == 1;
}

static bool refuse(struct http_headers *headers, int status, const char *bad, const char *why)
{
	CHECK(headers->why == NULL);
	headers->status = status;
	headers->why = why;
	headers->bad = bad;
	return false;
}

/* From *at; the scan has seen to it that CRLF ends the line, so no end is needed. */
static bool line_read(struct http_headers *headers, const char **at, struct http_header *header)
{
	const char *name = *at, *colon = name;
	if (*name == ' ' || *name == '\t')
		return refuse(headers, 400, name, "folded header line");
	while (http_is_token(*colon))
		colon++;
	if (*colon != ':' || colon == name)
		return refuse(headers, 400, colon, "header name is not a token");

	const char *end = colon + 1;
	while (http_is_value(*end))
		end++;
	if (end[0] != '\r' || end[1] != '\n')
		return refuse(headers, 400, end, "control character in a header");
	*at = end + 2;

	header->name = slice_of(name, (size_t)(colon - name));
	header->value = slice_trim(slice_of(colon + 1, (size_t)(end - colon - 1)));
	return true;
}

/*
 * The lines that say how to go on reading. Each of these takes one line of its name.
 */

static bool take_content_length(struct http_headers *headers, struct slice value)
{
	if (headers->framing != HTTP_NO_BODY)
		return refuse(headers, 400, value.at, "more than one body length");
	if (!text_to_u64(value, &headers->content_length))
		return refuse(headers, 400, value.at, "Content-Length is not a number");
	headers->framing = HTTP_LENGTH;
	return true;
}

static bool take_transfer_encoding(struct http_headers *headers, struct slice value)
{
	if (headers->framing != HTTP_NO_BODY)
		return refuse(headers, 400, value.at, "more than one body length");
	if (headers->version_minor == 0)
		return refuse(headers, 400, value.at, "Transfer-Encoding in HTTP/1.0");
	if (!slice_equals_nocase(value, SLICE("chunked")))
		return refuse(headers, 501, value.at, "Transfer-Encoding is not chunked");
	headers->framing = HTTP_CHUNKED;
	return true;
}

static bool list_has(struct slice list, struct slice token)
{
	struct slice member;
	while (slice_cut(&list, ',', &member)) {
		if (slice_equals_nocase(slice_trim(member), token))
			return true;
	}
	return false;
}

static bool take_connection(struct http_headers *headers, struct slice value)
{
	if (list_has(value, SLICE("close")))
		headers->is_keep_alive = false;
	return true;
}

static bool line_judge(struct http_headers *headers, const struct http_header *header)
{
	static const struct {
		const char *name;
		bool (*take)(struct http_headers *headers, struct slice value);
	} known[] = {
		{"content-length", take_content_length},
		{"transfer-encoding", take_transfer_encoding},
		{"connection", take_connection},
	};
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		if (slice_equals_nocase(header->name, slice_string(known[i].name)))
			return known[i].take(headers, header->value);
	}
	return true;
}

const struct http_header *http_headers_take(struct http_headers *headers, const char **at)
{
	struct http_header header;
	if (!line_read(headers, at, &header))
		return NULL;
	if (headers->count == HTTP_HEADERS_MAX) {
		refuse(headers, 431, header.name.at, "too many headers");
		return NULL;
	}
	headers->list[headers->count] = header;
	return line_judge(headers, &header) ? &headers->list[headers->count++] : NULL;
}

const struct slice *http_headers_find(const struct http_headers *headers, const char *name)
{
	struct slice wanted = slice_string(name);
	for (size_t i = 0; i < headers->count; i++) {
		if (slice_equals_nocase(headers->list[i].name, wanted))
			return &headers->list[i].value;
	}
	return NULL;
}

size_t http_headers_count(const struct http_headers *headers, const char *name)
{
	struct slice wanted = slice_string(name);
	size_t count = 0;
	for (size_t i = 0; i < headers->count; i++)
		count += slice_equals_nocase(headers->list[i].name, wanted);
	return count;
}

bool http_headers_has_token(const struct http_headers *headers, const char *name, const char *token)
{
	struct slice wanted = slice_string(name);
	for (size_t i = 0; i < headers->count; i++) {
		if (slice_equals_nocase(headers->list[i].name, wanted) &&
		    list_has(headers->list[i].value, slice_string(token)))
			return true;
	}
	return false;
}
