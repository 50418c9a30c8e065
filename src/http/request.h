/*
 * request.h - the head of an HTTP/1.1 request (RFC 9110, RFC 9112), read strictly.
 *
 * What two readers could take in two ways is refused, in the request line as header.h does
 * behind it. The bytes after the head are for body.h.
 *
 * Threads:   pure; one request belongs to one caller at a time.
 * Ownership: none. After HTTP_DONE the slices look into the bytes of that last call, or
 *            at constants.
 * Limits:    HTTP_HEADERS_MAX lines and what struct http_limits says. The parser never
 *            asks for more bytes once a limit is passed, so a caller that keeps what it
 *            was given keeps less than both limits and HTTP_LINE_MAX together.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "http/header.h"

#define HTTP_METHOD_MAX 32 /* bytes; a longer one is 501 */
#define HTTP_LINE_MAX 64   /* the request line without its target, empty lines before it */

struct http_limits {
	size_t target_bytes_max; /* more is 414 */
	size_t header_bytes_max; /* all lines after the first, the empty one too; more is 431 */
};

enum http_method {
	HTTP_GET = 0,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_PATCH,
	HTTP_OTHER /* method_name says which */
};

/* Where the search for the end of a head stands; zeroed, it has not begun. Offsets, because the
 * bytes may lie elsewhere at the next call. */
struct http_scan {
	/* private */
	unsigned step; /* enum scan_step */
	size_t scanned;
	size_t method_at, target_at, version_at, headers_at, line_at;
};

struct http_request {
	/* After HTTP_DONE. */
	size_t head_bytes; /* up to and with the empty line; what follows is body */
	struct slice method_name;
	struct slice target;
	struct slice path;  /* as sent: begins with '/', or is "*" */
	struct slice query; /* as sent, without '?'; `at` is NULL when there is none */
	struct slice host;  /* from the target or from Host, port included; empty: not told */
	enum http_method method;
	int version_minor; /* 0 or 1 */
	enum http_framing framing;
	uint64_t content_length; /* of HTTP_LENGTH */
	bool is_keep_alive;      /* never in HTTP/1.0 */
	bool expects_continue;   /* only when there is a body to send */

	/* After HTTP_BAD: answer with `status` and close. */
	int status;      /* 400, 414, 417, 431, 501 or 505 */
	const char *why; /* a phrase for the one who wrote the client */
	size_t bad_at;   /* offset of the bad byte */

	/* After HTTP_MORE: all that is to be kept until the next call. */
	struct http_scan scan;

	/* Private. */
	const char *bytes; /* those of the present call */
	bool has_host;

	struct http_headers headers; /* none, until the whole head is there */
};

/* Before the first byte of each request. */
void http_request_begin(struct http_request *req);
/* Or, of one whose head has come in part, to go on with what was kept of it. */
void http_request_resume(struct http_request *req, const struct http_scan *scan);

/*
 * `bytes` is all that came since http_request_begin(): after HTTP_MORE call again with the
 * same bytes, moved or not, and more behind them. However it is cut, each byte is looked
 * at twice at most, and the result is the same.
 */
MUST_CHECK enum http_parse http_request_parse(struct http_request *req, const char *bytes,
                                              size_t len, const struct http_limits *limits);

/* As http_headers_find(), _count() and _has_token(). */
static inline const struct slice *http_request_header(const struct http_request *req,
                                                      const char *name)
{
	return http_headers_find(&req->headers, name);
}

static inline size_t http_request_header_count(const struct http_request *req, const char *name)
{
	return http_headers_count(&req->headers, name);
}

static inline bool http_request_has_token(const struct http_request *req, const char *name,
                                          const char *token)
{
	return http_headers_has_token(&req->headers, name, token);
}
