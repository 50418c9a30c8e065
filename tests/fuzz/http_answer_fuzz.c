/*
 * http_answer_fuzz.c - response heads, whole and in pieces.
 *
 * Checked beyond crashes: however the head is cut the answer is the same; slices lie inside it;
 * a good head, written anew from its parts, says the same again.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "http/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void slice_check(struct slice part, struct slice head)
{
	CHECK(part.at >= head.at);
	CHECK(part.at + part.len <= head.at + head.len);
}

static void done_check(const struct http_answer *answer, struct slice head)
{
	CHECK(slice_starts(slice_after(head, answer->head_bytes - 2), SLICE("\r\n")));
	CHECK(answer->status >= 100 && answer->status <= 599);
	CHECK(answer->framing == HTTP_LENGTH || answer->content_length == 0);
	CHECK(answer->framing == HTTP_NO_BODY || !answer->is_until_close);
	CHECK(answer->status >= 200 ||
	      (answer->framing == HTTP_NO_BODY && !answer->is_until_close));
	CHECK(answer->version_minor == 1 || !answer->is_keep_alive);
	CHECK(answer->version_minor == 1 || answer->framing != HTTP_CHUNKED);
	CHECK(!http_answer_has_token(answer, "connection", "close") || !answer->is_keep_alive);
	slice_check(answer->reason, head);
	for (size_t i = 0; i < answer->headers.count; i++) {
		slice_check(answer->headers.list[i].name, head);
		slice_check(answer->headers.list[i].value, head);
		CHECK(http_answer_header(answer, "x") == NULL ||
		      http_answer_header(answer, "x")->at <= head.at + head.len);
	}
}

static void same_check(const struct http_answer *a, const struct http_answer *b)
{
	CHECK(a->status == b->status);
	CHECK(a->version_minor == b->version_minor);
	CHECK(slice_equals(a->reason, b->reason));
	CHECK(a->framing == b->framing);
	CHECK(a->content_length == b->content_length);
	CHECK(a->is_until_close == b->is_until_close);
	CHECK(a->is_keep_alive == b->is_keep_alive);
	CHECK(a->headers.count == b->headers.count);
	for (size_t i = 0; i < a->headers.count; i++) {
		CHECK(slice_equals(a->headers.list[i].name, b->headers.list[i].name));
		CHECK(slice_equals(a->headers.list[i].value, b->headers.list[i].value));
	}
}

static void again_check(const struct http_answer *answer)
{
	struct buf head = {0};
	buf_format(&head, "HTTP/1.%d %d ", answer->version_minor, answer->status);
	buf_slice(&head, answer->reason);
	buf_string(&head, "\r\n");
	for (size_t i = 0; i < answer->headers.count; i++) {
		buf_slice(&head, answer->headers.list[i].name);
		buf_char(&head, ':');
		buf_slice(&head, answer->headers.list[i].value);
		buf_string(&head, "\r\n");
	}
	buf_string(&head, "\r\n");

	struct http_answer again;
	http_answer_begin(&again);
	CHECK(http_answer_parse(&again, head.at, head.len) == HTTP_DONE);
	CHECK(again.head_bytes == head.len);
	same_check(answer, &again);
	buf_free(&head);
}

/* Fed `step` bytes more each time, from an allocation that ends where they do. */
static enum http_parse pieces_parse(struct http_answer *answer, struct slice all, size_t step)
{
	enum http_parse result = HTTP_MORE;
	http_answer_begin(answer);
	for (size_t len = 0; result == HTTP_MORE && len < all.len;) {
		len = all.len - len > step ? len + step : all.len;
		char *copy = malloc(len);
		CHECK(copy != NULL);
		memcpy(copy, all.at, len);
		result = http_answer_parse(answer, copy, len);
		free(copy);
	}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0 || len > 2 * ANSWER_HEAD_MAX)
		return 0;
	struct slice head = slice_of((const char *)bytes, len);
	struct http_answer answer, in_pieces;
	http_answer_begin(&answer);
	enum http_parse result = http_answer_parse(&answer, head.at, head.len);

	size_t step = 1 + (size_t)(bytes[0] + len) % 17 + len / 64;
	CHECK(pieces_parse(&in_pieces, head, step) == result);
	CHECK(in_pieces.why == answer.why);
	CHECK(in_pieces.bad_at == answer.bad_at);
	CHECK(in_pieces.head_bytes == answer.head_bytes);
	CHECK(in_pieces.headers.count == answer.headers.count);

	CHECK((result == HTTP_BAD) == (answer.why != NULL));
	CHECK(result != HTTP_BAD || answer.bad_at <= len);
	CHECK(result != HTTP_MORE || len < ANSWER_HEAD_MAX);
	if (result == HTTP_DONE) {
		done_check(&answer, head);
		again_check(&answer);
	}
	return 0;
}
