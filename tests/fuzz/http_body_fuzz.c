/*
 * http_body_fuzz.c - chunked bodies, whole and in pieces.
 *
 * Checked beyond crashes: however the body is cut, payload, answer and place are the same; a good
 * payload, chunked anew, comes out again.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "http/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct outcome {
	enum body_answer answer;
	size_t used;
	struct buf payload;
};

static void part_read(struct http_body *body, struct slice part, struct outcome *outcome)
{
	char *copy = malloc(part.len + 1); /* + 1: never NULL for nothing */
	CHECK(copy != NULL);
	char *at = copy + 1; /* so that the allocation ends where the part does */
	if (part.len > 0)
		memcpy(at, part.at, part.len);

	size_t used;
	struct slice piece;
	enum body_answer answer;
	while ((answer = body_read(body, at, part.len, &used, &piece)) == BODY_PIECE) {
		CHECK(piece.len > 0);
		CHECK(piece.len <= used);
		CHECK(used <= part.len);
		buf_slice(&outcome->payload, piece);
		outcome->used += used;
		at += used;
		part.len -= used;
	}
	CHECK(used <= part.len);
	CHECK(answer != BODY_MORE || used == part.len);
	CHECK(body->trailer_lines <= BODY_TRAILER_LINES_MAX);
	CHECK((answer == BODY_BAD) == (body->why != NULL));
	outcome->used += used;
	outcome->answer = answer;
	free(copy);
}

static struct outcome pieces_read(struct slice all, size_t step)
{
	struct outcome outcome = {0};
	struct http_body body;
	body_begin(&body, HTTP_CHUNKED, 0);
	while (all.len > 0 && outcome.answer == BODY_MORE) {
		size_t len = all.len < step ? all.len : step;
		part_read(&body, slice_of(all.at, len), &outcome);
		all = slice_after(all, len);
	}
	return outcome;
}

static void again_check(const struct buf *payload, size_t size)
{
	struct buf all = {0};
	for (size_t at = 0; at < payload->len; at += size) {
		size_t len = payload->len - at < size ? payload->len - at : size;
		buf_format(&all, "%zX;again\r\n", len);
		buf_append(&all, payload->at + at, len);
		buf_string(&all, "\r\n");
	}
	buf_string(&all, "0\r\nX: y\r\n\r\n");
	struct outcome again = pieces_read(buf_view(&all), all.len);
	CHECK(again.answer == BODY_DONE);
	CHECK(again.used == all.len);
	CHECK(slice_equals(buf_view(&again.payload), buf_view(payload)));
	buf_free(&again.payload);
	buf_free(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	struct slice all = slice_of((const char *)bytes, len);
	size_t step = 1 + (size_t)(bytes[len - 1] + len) % 13;
	struct outcome whole = pieces_read(all, len);
	struct outcome in_pieces = pieces_read(all, step);
	CHECK(in_pieces.answer == whole.answer);
	CHECK(in_pieces.used == whole.used);
	CHECK(slice_equals(buf_view(&in_pieces.payload), buf_view(&whole.payload)));
	CHECK(whole.used <= len);
	CHECK(whole.answer != BODY_BAD || whole.used < len);
	again_check(&whole.payload, step);
	buf_free(&whole.payload);
	buf_free(&in_pieces.payload);
	return 0;
}
