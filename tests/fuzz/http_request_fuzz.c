/*
 * http_request_fuzz.c - request heads, whole and in pieces.
 *
 * Checked beyond crashes: however the head is cut the answer is the same; slices lie inside it;
 * a good head, written anew from its parts, says the same again. Whether a parameter is a word is
 * told alike with and without memory; of proxies the one on the right has the first word; and a key
 * of a WebSocket is good when it is what its bytes are written as.
 */
#include <openssl/evp.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "http/forwarded.h"
#include "http/query.h"
#include "http/request.h"
#include "wire/ws_handshake.h"

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

/* What `raw` is, and is not. */
static void is_check(struct slice raw)
{
	struct buf text = {0};
	bool is_good = query_decode(raw, &text);
	bool has_nul = is_good && text.len > 0 && memchr(text.at, '\0', text.len) != NULL;
	size_t len = text.len;
	buf_string(&text, "x");
	buf_char(&text, '\0');
	CHECK(!text.is_broken);
	CHECK(!query_is(raw, text.at)); /* it is shorter, by a byte or more */
	text.at[len] = '\0';
	CHECK(query_is(raw, text.at) == (is_good && !has_nul));
	text.at[len > 0 ? len - 1 : 0] ^= 1;
	CHECK(len == 0 || !query_is(raw, text.at));
	buf_free(&text);
}

static void words_check(struct slice query)
{
	struct slice name, value;
	while (query_next(&query, &name, &value)) {
		is_check(name);
		is_check(value);
	}
}

static struct address address_of(const char *text)
{
	struct address address;
	CHECK(address_parse(slice_string(text), &address));
	return address;
}

/* Who stands at the right end, whom a trusted proxy has named, is as if it had sent the request. */
static void forwarded_by(const struct http_headers *headers, const struct network *proxy,
                         const char *entry, const char *address)
{
	struct address by = address_of("10.1.2.3"), last = address_of(address);
	struct address wanted = http_forwarded_for(headers, last, proxy, 1);
	struct http_headers longer = *headers;
	struct buf line = {0};
	if (longer.count == HTTP_HEADERS_MAX)
		return;
	struct http_header *own = &longer.list[longer.count++];
	*own = (struct http_header){SLICE("x-forwarded-for"), slice_string(entry)};
	struct address got = http_forwarded_for(&longer, by, proxy, 1);
	CHECK(address_equals(&got, &wanted));
	/* On the line before it is the same. */
	if (--longer.count == 0)
		return;
	own--;
	if (!slice_equals_nocase(own->name, SLICE("x-forwarded-for")))
		return;
	buf_slice(&line, own->value);
	buf_format(&line, ",\t%s", entry);
	own->value = buf_view(&line);
	got = http_forwarded_for(&longer, by, proxy, 1);
	CHECK(address_equals(&got, &wanted));
	buf_free(&line);
}

static void forwarded_check(const struct http_headers *headers)
{
	struct network proxy;
	struct address stranger = address_of("9.8.7.6");
	CHECK(network_parse(SLICE("10.0.0.0/8"), &proxy));
	struct address got = http_forwarded_for(headers, stranger, &proxy, 1);
	CHECK(address_equals(&got, &stranger));
	forwarded_by(headers, &proxy, "10.9.9.9", "10.9.9.9");
	forwarded_by(headers, &proxy, "10.9.9.9:80", "10.9.9.9");
	forwarded_by(headers, &proxy, "[2001:db8::1]:65535", "2001:db8::1");
	forwarded_by(headers, &proxy, "unknown", "10.1.2.3");
}

/* In another's words: its sixteen bytes, written again, are the key. */
static void key_check(struct slice key)
{
	unsigned char bytes[WS_KEY_LEN], again[WS_KEY_LEN + 1], text[WS_KEY_LEN];
	char out[WS_ACCEPT_LEN];
	bool is_good = key.len == WS_KEY_LEN;
	if (is_good) {
		memcpy(text, key.at, WS_KEY_LEN);
		is_good = EVP_DecodeBlock(bytes, text, WS_KEY_LEN) == 18 &&
		          EVP_EncodeBlock(again, bytes, 16) == WS_KEY_LEN &&
		          memcmp(text, again, WS_KEY_LEN) == 0;
	}
	CHECK(ws_key_is_valid(key) == is_good);
	if (is_good)
		CHECK(ws_accept_key(out, key));
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
	words_check(head);
	key_check(slice_of(head.at, len < WS_KEY_LEN ? len : WS_KEY_LEN));
	CHECK(answer != HTTP_MORE ||
	      len < limits.target_bytes_max + limits.header_bytes_max + HTTP_LINE_MAX);
	if (answer == HTTP_DONE) {
		done_check(&req, head);
		parts_decode(&req);
		again_check(&req);
		words_check(req.query);
		forwarded_check(&req.headers);
		const struct slice *key = http_request_header(&req, "sec-websocket-key");
		if (key != NULL)
			key_check(*key);
	}
	return 0;
}
