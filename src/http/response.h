/*
 * response.h - the head of an HTTP/1.1 response, as text.
 *
 * http_response_head(), any number of http_response_header(), http_response_end(), then
 * the body. The answer to HEAD has the same head, and the caller leaves the body out.
 *
 * Threads:   pure functions; any thread.
 * Ownership: none; text is appended to a buf of the caller's.
 * Limits:    dates until the end of the year 9999.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define HTTP_UNTIL_CLOSE (-1)
#define HTTP_UNSAID                                                                                \
	(-2) /* to HEAD: how long the body of GET would be nobody knows (RFC 9110 8.6) */
#define HTTP_DATE_SIZE 30 /* with its closing NUL */

struct http_response {
	int status;                /* one of status.def */
	struct slice date;         /* what http_date() makes; empty: no such line */
	struct slice content_type; /* empty: no such line */
	int64_t body_len;          /* or HTTP_UNSAID, or HTTP_UNTIL_CLOSE, never kept alive */
	bool is_keep_alive;        /* false: says that the connection will be closed */
};

/* The phrase for a status of status.def, NULL for any other. */
const char *http_reason(int status);

/* The status line and the lines the struct asks for. 1xx, 204 and 304 have no body and say
 * no length; 1xx are not the last answer and say nothing about the connection. */
void http_response_head(struct buf *buf, const struct http_response *response);

/* A line more. False, and nothing is written: the value holds a control character, which
 * could end the line and begin another. The name is ours and valid. */
bool http_response_header(struct buf *buf, const char *name, struct slice value);

/* The empty line. */
void http_response_end(struct buf *buf);

/* "Sun, 06 Nov 1994 08:49:37 GMT", in English whatever the locale. */
void http_date(char out[HTTP_DATE_SIZE], uint64_t unix_seconds);
