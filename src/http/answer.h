/*
 * answer.h - the head of an HTTP/1.1 response (RFC 9110, RFC 9112), read strictly.
 *
 * The client's side of request.h; header.h says what is refused in the header lines. The bytes
 * after the head are for body.h.
 *
 * Threads:   pure; one answer belongs to one caller at a time.
 * Ownership: none. After HTTP_DONE the slices look into the bytes of that last call.
 * Limits:    HTTP_HEADERS_MAX lines, and ANSWER_HEAD_MAX bytes in all; more is HTTP_BAD.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "http/header.h"

#define ANSWER_HEAD_MAX 16384

struct http_answer {
	/* After HTTP_DONE. */
	size_t head_bytes; /* up to and with the empty line; what follows is body */
	int status;        /* 100 to 599 */
	int version_minor; /* 0 or 1 */
	struct slice reason;
	enum http_framing framing; /* as if to any request but HEAD, whose answers have no body */
	uint64_t content_length;   /* of HTTP_LENGTH */
	bool is_until_close;       /* the body ends with the connection; framing: HTTP_NO_BODY */
	bool is_keep_alive;        /* never in HTTP/1.0 */

	/* After HTTP_BAD. */
	const char *why; /* a phrase for the one who wrote the server */
	size_t bad_at;   /* offset of the bad byte */

	/* Private: where the search for the end of the head stands. Offsets, because the
	 * bytes may lie elsewhere at the next call. */
	unsigned step; /* enum answer_step */
	size_t scanned;
	size_t headers_at, line_at;
	const char *bytes; /* those of the present call */

	struct http_headers headers; /* none, until the whole head is there */
};

/* Before the first byte of each answer. */
void http_answer_begin(struct http_answer *answer);

/*
 * `bytes` is all that came since http_answer_begin(): after HTTP_MORE call again with the
 * same bytes, moved or not, and more behind them. However it is cut, the result is the same.
 */
MUST_CHECK enum http_parse http_answer_parse(struct http_answer *answer, const char *bytes,
                                             size_t len);

/* As http_headers_find() and _has_token(). */
static inline const struct slice *http_answer_header(const struct http_answer *answer,
                                                     const char *name)
{
	return http_headers_find(&answer->headers, name);
}

static inline bool http_answer_has_token(const struct http_answer *answer, const char *name,
                                         const char *token)
{
	return http_headers_has_token(&answer->headers, name, token);
}
