/*
 * http_request_fuzz.c - request heads, whole and in pieces.
 *
 * Checked beyond crashes: however the head is cut the answer is the same; slices lie inside it;
 * a good head, written anew from its parts, says the same again.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "http/query.h"
#include "http/request.h"

static const struct http_limits limits = {.target_bytes_max = 200, .header_bytes_max = 3000};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void slice_check(struct slice part, struct slice head)
{
	bool is_root = slice_is(part, "/");
	CHECK(part.len == 0 || is_root ||
	      (part.at >= head.at && part.at + part.len <= head.at + head.len));
}

static void done_check(const struct http_request *req, struct slice head)
{
	CHECK(slice_starts(slice_after(head, req->head_bytes - 2), SLICE("\r\n")));
	CHECK(req->path.at[0] == '/' || slice_is(req->path, "*"));
	CHECK(req->host.len > 0 || req->version_minor == 0);
	CHECK(req->framing == HTTP_LENGTH || req->content_length == 0);
	CHECK(req->version_minor == 1 || (!req->is_keep_alive && !req->expects_continue));
	CHECK(req->version_minor == 1 || req->framing != HTTP_CHUNKED);
	CHECK(!http_request_has_token(req, "connection", "close") || !req->is_keep_alive);
	CHECK(http_request_header_count(req, "host") <= 1);
	CHECK(http_request_header_count(req, "content-length") +
	              http_request_header_count(req, "transfer-encoding") ==
	      (req->framing != HTTP_NO_BODY));
	slice_check(req->path, head);
	slice_check(req->query, head);
	slice_check(req->host, head);
	for (size_t i = 0; i < req->headers.count; i++) {
		slice_check(req->headers.list[i].name, head);
		slice_check(req->headers.list[i].value, head);
	}
}

static void parts_decode(const struct http_request *req)
{
	struct buf out = {0};
	CHECK(http_path_decode(req->path, &out)); /* the parser has judged the escapes */
	struct slice rest = req->query, name, value;
	while (query_next(&rest, &name, &value)) {
		CHECK(query_decode(name, &out));
		CHECK(query_decode(value, &out));
	}
	CHECK(out.len <= req->target.len + 1);
	const struct slice *cookie = http_request_header(req, "cookie");
	if (cookie != NULL && http_cookie_find(*cookie, "a", &value))
		slice_check(value, *cookie);
	buf_free(&out);
}

static void same_check(const struct http_request *a, const struct http_request *b)
{
	CHECK(slice_equals(a->method_name, b->method_name));
	CHECK(slice_equals(a->path, b->path));
	CHECK(slice_equals(a->query, b->query));
	CHECK(slice_equals(a->host, b->host));
	CHECK(a->version_minor == b->version_minor);
	CHECK(a->framing == b->framing);
	CHECK(a->content_length == b->content_length);
	CHECK(a->is_keep_alive == b->is_keep_alive);
	CHECK(a->expects_continue == b->expects_continue);
	CHECK(a->headers.count == b->headers.count);
	for (size_t i = 0; i < a->headers.count; i++) {
		CHECK(slice_equals(a->headers.list[i].name, b->headers.list[i].name));
		CHECK(slice_equals(a->headers.list[i].value, b->headers.list[i].value));
	}
}

static void again_check(const struct http_request *req)
{
	struct buf head = {0};
	buf_slice(&head, req->method_name);
	buf_char(&head, ' ');
	buf_slice(&head, req->target);
	buf_format(&head, " HTTP/1.%d\r\n", req->version_minor);
	for (size_t i = 0; i < req->headers.count; i++) {
		buf_slice(&head, req->headers.list[i].name);
		buf_char(&head, ':');
		buf_slice(&head, req->headers.list[i].value);
		buf_string(&head, "\r\n");
	}
	buf_string(&head, "\r\n");

	struct http_request again;
	http_request_begin(&again);
	CHECK(http_request_parse(&again, head.at, head.len, &limits) == HTTP_DONE);
	CHECK(again.head_bytes == head.len);
	same_check(req, &again);
	buf_free(&head);
}

/* Fed `step` bytes more each time, from an allocation that ends where they do; nothing but the scan
 * is kept meanwhile. */
static enum http_parse pieces_parse(struct http_request *req, struct slice all, size_t step)
{
	enum http_parse answer = HTTP_MORE;
	struct http_scan scan = {0};
	for (size_t len = 0; answer == HTTP_MORE && len < all.len;) {
		len = all.len - len > step ? len + step : all.len;
		char *copy = malloc(len);
		CHECK(copy != NULL);
		memcpy(copy, all.at, len);
		http_request_resume(req, &scan);
		answer = http_request_parse(req, copy, len, &limits);
		scan = req->scan;
		free(copy);
	}
	return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0 || len > 8192)
		return 0;
	struct slice head = slice_of((const char *)bytes, len);
	struct http_request req, in_pieces;
	http_request_begin(&req);
	enum http_parse answer = http_request_parse(&req, head.at, head.len, &limits);

	size_t step = 1 + (size_t)(bytes[0] + len) % 17;
	CHECK(pieces_parse(&in_pieces, head, step) == answer);
	CHECK(in_pieces.status == req.status);
	CHECK(in_pieces.bad_at == req.bad_at);
	CHECK(in_pieces.head_bytes == req.head_bytes);
	CHECK(in_pieces.headers.count == req.headers.count);

	CHECK((answer == HTTP_BAD) == (req.status != 0));
	/* A head that ends where the limit does is too long for the byte that is not there. */
	CHECK(answer != HTTP_BAD || req.bad_at < len || (req.status == 431 && req.bad_at == len));
	CHECK(answer != HTTP_MORE ||
	      len < limits.target_bytes_max + limits.header_bytes_max + HTTP_LINE_MAX);
	if (answer == HTTP_DONE) {
		done_check(&req, head);
		parts_decode(&req);
		again_check(&req);
	}
	return 0;
}
