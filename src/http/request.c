/*
 * The head is read in two passes. The scan looks for its end as bytes come and keeps
 * offsets only, so it can stop anywhere; it judges the request line and the line ends on
 * the way, and the limits. The second pass, once the head is whole, cuts it into slices
 * and judges the rest.
 */
#include "http/request.h"

#include <assert.h>

#include "base/text.h"
#include "http/syntax.h"

#define BLANK_LINES "\r\n\r\n" /* as many empty lines are forgiven before a request */
#define VERSION "HTTP/#.#\r\n"

#define VERSION_MAJOR_AT 5
#define VERSION_MINOR_AT 7

static_assert(sizeof(BLANK_LINES) + HTTP_METHOD_MAX + sizeof("  " VERSION) <= HTTP_LINE_MAX,
              "a request line without its target fits");

enum scan_step {
	SCAN_BLANK = 0, /* empty lines before the request */
	SCAN_METHOD,
	SCAN_TARGET,
	SCAN_VERSION,
	SCAN_HEADERS,
	SCAN_DONE
};

void http_request_begin(struct http_request *req)
{
	memset(req, 0, offsetof(struct http_request, headers.list)); /* none is read past count */
}

void http_request_resume(struct http_request *req, const struct http_scan *scan)
{
	http_request_begin(req);
	req->scan = *scan;
}

static enum http_parse request_refuse(struct http_request *req, int status, const char *where,
                                      const char *why)
{
	CHECK(where >= req->bytes);
	CHECK(req->status == 0);
	req->status = status;
	req->why = why;
	req->bad_at = (size_t)(where - req->bytes);
	return HTTP_BAD;
}

static enum http_parse scan_refuse(struct http_request *req, int status, const char *why)
{
	return request_refuse(req, status, req->bytes + req->scan.scanned, why);
}

/*
 * The scans. Each goes on from req->scan.scanned and answers HTTP_DONE when its part is over.
 */

static enum http_parse scan_blank(struct http_request *req, size_t len,
                                  const struct http_limits *limits)
{
	(void)limits;
	while (req->scan.scanned < len && req->scan.scanned < sizeof(BLANK_LINES) - 1 &&
	       req->bytes[req->scan.scanned] == BLANK_LINES[req->scan.scanned])
		req->scan.scanned++;
	if (req->scan.scanned == len)
		return HTTP_MORE;
	if (req->scan.scanned % 2 != 0)
		return scan_refuse(req, 400, "CR without LF");
	req->scan.method_at = req->scan.scanned;
	return HTTP_DONE;
}

static enum http_parse scan_method(struct http_request *req, size_t len,
                                   const struct http_limits *limits)
{
	(void)limits;
	for (; req->scan.scanned < len; req->scan.scanned++) {
		char c = req->bytes[req->scan.scanned];
		size_t method_len = req->scan.scanned - req->scan.method_at;
		if (c == ' ' && method_len > 0) {
			req->scan.target_at = ++req->scan.scanned;
			return HTTP_DONE;
		}
		if (!http_is_token(c))
			return scan_refuse(req, 400, "method is not a token");
		if (method_len == HTTP_METHOD_MAX)
			return scan_refuse(req, 501, "method is too long");
	}
	return HTTP_MORE;
}

static enum http_parse scan_target(struct http_request *req, size_t len,
                                   const struct http_limits *limits)
{
	for (; req->scan.scanned < len; req->scan.scanned++) {
		char c = req->bytes[req->scan.scanned];
		size_t target_len = req->scan.scanned - req->scan.target_at;
		if (c == ' ' && target_len > 0) {
			req->scan.version_at = ++req->scan.scanned;
			return HTTP_DONE;
		}
		if (c <= ' ' || c > '~') /* and beyond ASCII, where char has a sign */
			return scan_refuse(req, 400, "target holds a byte that must be escaped");
		if (c == '#')
			return scan_refuse(req, 400, "target holds a fragment");
		if (target_len == limits->target_bytes_max)
			return scan_refuse(req, 414, "target is too long");
	}
	return HTTP_MORE;
}

static enum http_parse scan_version(struct http_request *req, size_t len,
                                    const struct http_limits *limits)
{
	(void)limits;
	const char *version = req->bytes + req->scan.version_at;
	for (; req->scan.scanned < len; req->scan.scanned++) {
		size_t at = req->scan.scanned - req->scan.version_at;
		if (at == sizeof(VERSION) - 1)
			break;
		bool is_digit = version[at] >= '0' && version[at] <= '9';
		if (VERSION[at] == '#' ? !is_digit : version[at] != VERSION[at])
			return scan_refuse(req, 400, "request line does not end in HTTP/1.1 CRLF");
		if (at == VERSION_MAJOR_AT && version[at] != '1')
			return scan_refuse(req, 505, "version is neither 1.0 nor 1.1");
		if (at == VERSION_MINOR_AT && version[at] > '1')
			return scan_refuse(req, 505, "version is neither 1.0 nor 1.1");
	}
	if (req->scan.scanned - req->scan.version_at < sizeof(VERSION) - 1)
		return HTTP_MORE;
	req->scan.headers_at = req->scan.line_at = req->scan.scanned;
	return HTTP_DONE;
}

static enum http_parse scan_headers(struct http_request *req, size_t len,
                                    const struct http_limits *limits)
{
	CHECK(limits->header_bytes_max <= SIZE_MAX - req->scan.headers_at);
	size_t end = req->scan.headers_at + limits->header_bytes_max;
	if (end > len)
		end = len;
	enum http_parse result =
		http_headers_scan(req->bytes, end, &req->scan.line_at, &req->scan.scanned);
	if (result == HTTP_BAD)
		return scan_refuse(req, 400, "LF without CR");
	if (result == HTTP_DONE)
		req->head_bytes = req->scan.scanned;
	else if (req->scan.scanned - req->scan.headers_at == limits->header_bytes_max)
		return scan_refuse(req, 431, "headers are too long");
	return result;
}

static enum http_parse (*const scans[SCAN_DONE])(struct http_request *req, size_t len,
                                                 const struct http_limits *limits) = {
	[SCAN_BLANK] = scan_blank,     [SCAN_METHOD] = scan_method,   [SCAN_TARGET] = scan_target,
	[SCAN_VERSION] = scan_version, [SCAN_HEADERS] = scan_headers,
};

/*
 * The target: an absolute path, a whole URL, or "*".
 */

static const char *bad_escape(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] != '%')
			continue;
		if (text.len - i < 3)
			return text.at + i;
		if (http_hex_value(text.at[i + 1]) < 0 || http_hex_value(text.at[i + 2]) < 0)
			return text.at + i;
	}
	return NULL;
}

/* What a registered name is made of: unreserved, sub-delims, escapes. IPv4 looks like it. */
static bool is_reg_name(struct slice name)
{
	static const uint64_t bits[2] = {
		0x2bff7ff200000000, /* ! $ % & ' ( ) * + , - . ; = and digits */
		0x47fffffe87fffffe, /* letters and _ ~ */
	};
	for (size_t i = 0; i < name.len; i++) {
		unsigned char byte = (unsigned char)name.at[i];
		if (byte >= 128 || (bits[byte >> 6] >> (byte & 63) & 1) == 0)
			return false;
	}
	return name.len > 0 && bad_escape(name) == NULL;
}

static bool is_ipv6(struct slice address)
{
	for (size_t i = 0; i < address.len; i++) {
		char c = address.at[i];
		if (http_hex_value(c) < 0 && c != ':' && c != '.')
			return false;
	}
	return address.len >= 2;
}

static bool is_port(struct slice port)
{
	uint64_t number = 0;
	return port.len == 0 || (text_to_u64(port, &number) && number <= UINT16_MAX);
}

/* uri-host [ ":" port ], RFC 3986 section 3.2; no user, no empty name. */
static bool is_host(struct slice host)
{
	struct slice name, rest = host;
	if (host.len > 0 && host.at[0] == '[') {
		rest = slice_after(rest, 1);
		if (!slice_cut(&rest, ']', &name) || rest.at == NULL || !is_ipv6(name))
			return false;
		return rest.len == 0 || (rest.at[0] == ':' && is_port(slice_after(rest, 1)));
	}
	return slice_cut(&rest, ':', &name) && is_reg_name(name) && is_port(rest);
}

/* Takes "http://host" off the front of `rest`. An empty path behind it is "/". */
static enum http_parse authority_cut(struct http_request *req, struct slice *rest)
{
	static const char *const schemes[] = {"http://", "https://"};
	size_t scheme_len = 0;
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		struct slice scheme = slice_string(schemes[i]);
		if (rest->len >= scheme.len &&
		    slice_equals_nocase(slice_of(rest->at, scheme.len), scheme))
			scheme_len = scheme.len;
	}
	if (scheme_len == 0)
		return request_refuse(req, 400, rest->at, "target is neither a path nor a URL");
	*rest = slice_after(*rest, scheme_len);

	size_t host_len = 0;
	while (host_len < rest->len && rest->at[host_len] != '/' && rest->at[host_len] != '?')
		host_len++;
	req->host = slice_of(rest->at, host_len);
	if (!is_host(req->host))
		return request_refuse(req, 400, rest->at, "target has no valid host");
	*rest = slice_after(*rest, host_len);
	return HTTP_DONE;
}

static enum http_parse target_parse(struct http_request *req)
{
	const char *escape = bad_escape(req->target);
	if (escape != NULL)
		return request_refuse(req, 400, escape, "target has a malformed escape");
	if (slice_is(req->target, "*") && req->method == HTTP_OPTIONS) {
		req->path = req->target;
		return HTTP_DONE;
	}

	struct slice rest = req->target;
	if (rest.at[0] != '/' && authority_cut(req, &rest) == HTTP_BAD)
		return HTTP_BAD;
	CHECK(rest.at != NULL);
	slice_cut(&rest, '?', &req->path);
	req->query = rest;
	if (req->path.len == 0)
		req->path = SLICE("/");
	CHECK(req->path.at[0] == '/');
	return HTTP_DONE;
}

static enum http_method method_of(struct slice name)
{
	static const char *const names[HTTP_OTHER] = {
		[HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
		[HTTP_PUT] = "PUT",     [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
		[HTTP_PATCH] = "PATCH",
	};
	enum http_method method = HTTP_GET;
	while (method < HTTP_OTHER && !slice_is(name, names[method]))
		method++;
	return method;
}

/* The scan has found the three parts and judged their bytes. */
static enum http_parse request_line_parse(struct http_request *req)
{
	const char *bytes = req->bytes;
	CHECK(req->scan.method_at < req->scan.target_at);
	CHECK(req->scan.target_at < req->scan.version_at);
	req->method_name = slice_of(bytes + req->scan.method_at,
	                            req->scan.target_at - req->scan.method_at - 1);
	req->method = method_of(req->method_name);
	req->target = slice_of(bytes + req->scan.target_at,
	                       req->scan.version_at - req->scan.target_at - 1);
	req->version_minor = bytes[req->scan.version_at + VERSION_MINOR_AT] - '0';
	return target_parse(req);
}

/*
 * The headers that only requests have. Each of these takes one line of its name.
 */

static enum http_parse take_host(struct http_request *req, struct slice value)
{
	if (req->has_host)
		return request_refuse(req, 400, value.at, "more than one Host");
	if (!is_host(value))
		return request_refuse(req, 400, value.at, "Host is not valid");
	req->has_host = true;
	if (req->host.len == 0) /* a host in the target wins: RFC 9112 section 3.2.2 */
		req->host = value;
	return HTTP_DONE;
}

static enum http_parse take_expect(struct http_request *req, struct slice value)
{
	if (!slice_equals_nocase(value, SLICE("100-continue")))
		return request_refuse(req, 417, value.at, "Expect is not 100-continue");
	req->expects_continue = true;
	return HTTP_DONE;
}

static enum http_parse header_judge(struct http_request *req, const struct http_header *header)
{
	if (slice_equals_nocase(header->name, SLICE("host")))
		return take_host(req, header->value);
	if (slice_equals_nocase(header->name, SLICE("expect")))
		return take_expect(req, header->value);
	return HTTP_DONE;
}

static enum http_parse headers_parse(struct http_request *req)
{
	struct http_headers *headers = &req->headers;
	const char *at = req->bytes + req->scan.headers_at;
	const char *end = req->bytes + req->head_bytes - 2; /* the empty line */
	http_headers_begin(headers, req->version_minor);
	while (at < end) {
		const struct http_header *header = http_headers_take(headers, &at);
		if (header == NULL)
			return request_refuse(req, headers->status, headers->bad, headers->why);
		if (header_judge(req, header) == HTTP_BAD)
			return HTTP_BAD;
	}
	CHECK(at == end);
	if (req->version_minor == 1 && !req->has_host)
		return request_refuse(req, 400, end, "no Host");
	return HTTP_DONE;
}

static enum http_parse head_parse(struct http_request *req)
{
	if (request_line_parse(req) == HTTP_BAD || headers_parse(req) == HTTP_BAD)
		return HTTP_BAD;
	req->framing = req->headers.framing;
	req->content_length = req->headers.content_length;
	req->is_keep_alive = req->headers.is_keep_alive;
	bool has_body = req->framing == HTTP_CHUNKED || req->content_length > 0;
	if (req->version_minor == 0 || !has_body)
		req->expects_continue = false;
	return HTTP_DONE;
}

enum http_parse http_request_parse(struct http_request *req, const char *bytes, size_t len,
                                   const struct http_limits *limits)
{
	CHECK(req->status == 0);           /* a bad one is not asked about again */
	CHECK(req->scan.step < SCAN_DONE); /* nor one that is done */
	CHECK(req->scan.scanned <= len);
	req->bytes = bytes;
	while (req->scan.step < SCAN_DONE) {
		enum http_parse answer = scans[req->scan.step](req, len, limits);
		if (answer != HTTP_DONE)
			return answer;
		req->scan.step++;
	}
	CHECK(req->head_bytes <= len);
	return head_parse(req);
}
