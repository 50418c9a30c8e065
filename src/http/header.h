/*
 * header.h - the header lines of an HTTP/1.1 message, request or answer (RFC 9112 section 5).
 *
 * Read in two passes. http_headers_scan() looks for the empty line that ends the section as
 * bytes come; http_headers_take() then reads the whole section line by line, and judges the
 * lines that say how to go on reading: Content-Length, Transfer-Encoding and Connection
 * (RFC 9112 sections 6 and 9.3). What two readers could take in two ways is refused: a bare CR
 * or LF, folded lines, a blank before a colon, more than one body length, any transfer coding
 * but one `chunked`. All other lines are the caller's.
 *
 * Threads:   pure; the headers of one message belong to one caller at a time.
 * Ownership: none. Slices look into the bytes that were read.
 * Limits:    HTTP_HEADERS_MAX lines. How many bytes they have is for the caller to bound, who
 *            gives http_headers_scan() no more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "http/body.h"

#define HTTP_HEADERS_MAX 100

enum http_parse { HTTP_MORE = 0, HTTP_DONE, HTTP_BAD };

struct http_header {
	struct slice name, value; /* the value without outer blanks */
};

struct http_headers {
	enum http_framing framing; /* of the body, by these lines alone */
	uint64_t content_length;   /* of HTTP_LENGTH */
	bool is_keep_alive;        /* never in HTTP/1.0 */
	int version_minor;         /* of the message: 0 or 1 */

	/* After http_headers_take() has answered NULL. */
	int status;      /* for whoever sent them with a request: 400, 431 or 501 */
	const char *why; /* a phrase for the one who wrote the other side */
	const char *bad; /* the bad byte */

	size_t count;
	struct http_header list[HTTP_HEADERS_MAX];
};

/*
 * Goes on from *scanned, an offset as *line_at is, where the line looked at begins; at first
 * both are that of the section. HTTP_DONE: *scanned is behind the empty line. HTTP_BAD: it is at
 * an LF without a CR. HTTP_MORE: it is `len`.
 */
MUST_CHECK enum http_parse http_headers_scan(const char *bytes, size_t len, size_t *line_at,
                                             size_t *scanned);

/* Before the first line of each message. */
void http_headers_begin(struct http_headers *headers, int version_minor);

/* The line at *at, which http_headers_scan() has seen to end; *at is then behind it. NULL: it is
 * not a good one, and `status`, `why` and `bad` are set. */
const struct http_header *http_headers_take(struct http_headers *headers, const char **at);

/* The value of the first line of that name, in any case; NULL: there is none. */
const struct slice *http_headers_find(const struct http_headers *headers, const char *name);
size_t http_headers_count(const struct http_headers *headers, const char *name);

/* Whether `token` is a member, in any case, of the comma lists under that name. */
bool http_headers_has_token(const struct http_headers *headers, const char *name,
                            const char *token);
