#include "http/body.h"

#include <assert.h>

#include "http/syntax.h"

static_assert(sizeof(struct http_body) <= 32, "each connection with a body holds one");
static_assert(BODY_TRAILER_MAX < UINT16_MAX, "counted holds it");
static_assert(BODY_TRAILER_LINES_MAX < UINT8_MAX, "trailer_lines holds it");

enum body_step {
	STEP_SIZE = 0,  /* hexadecimal digits */
	STEP_EXTENSION, /* after the size, from ';' on */
	STEP_SIZE_LF,
	STEP_CHUNK_CR, /* behind the payload of a chunk */
	STEP_CHUNK_LF,
	STEP_TRAILER, /* first byte of a trailer line, or of the empty line that ends all */
	STEP_TRAILER_NAME,
	STEP_TRAILER_VALUE,
	STEP_TRAILER_LF,
	STEP_LAST_LF,
	/* The rest take no framing byte. */
	STEP_CHUNK,  /* payload of a chunk */
	STEP_LENGTH, /* payload of a body with a length */
	STEP_DONE,
	STEP_BAD,
	STEP_COUNT
};

void body_begin(struct http_body *body, enum http_framing framing, uint64_t length)
{
	*body = (struct http_body){.step = STEP_DONE};
	if (framing == HTTP_CHUNKED)
		body->step = STEP_SIZE;
	if (framing == HTTP_LENGTH && length > 0) {
		body->step = STEP_LENGTH;
		body->left = length;
	}
}

static enum body_step body_refuse(struct http_body *body, const char *why)
{
	body->why = why;
	return STEP_BAD;
}

static enum body_step size_digit(struct http_body *body, int digit)
{
	if (body->counted == BODY_SIZE_DIGITS_MAX)
		return body_refuse(body, "chunk size has too many digits");
	CHECK(body->left >> 60 == 0); /* 16 digits fit */
	body->counted++;
	body->left = body->left << 4 | (unsigned)digit;
	return STEP_SIZE;
}

static enum body_step step_size(struct http_body *body, char c)
{
	int digit = http_hex_value(c);
	if (digit >= 0)
		return size_digit(body, digit);
	if (body->counted > 0 && c == '\r')
		return STEP_SIZE_LF;
	if (body->counted > 0 && c == ';') {
		body->counted = 0;
		return STEP_EXTENSION;
	}
	return body_refuse(body, "chunk size is not hexadecimal");
}

static enum body_step step_extension(struct http_body *body, char c)
{
	if (c == '\r')
		return STEP_SIZE_LF;
	if (!http_is_value(c))
		return body_refuse(body, "control character in a chunk extension");
	if (body->counted == BODY_EXTENSION_MAX)
		return body_refuse(body, "chunk extension is too long");
	body->counted++;
	return STEP_EXTENSION;
}

static enum body_step step_size_lf(struct http_body *body, char c)
{
	if (c != '\n')
		return body_refuse(body, "CR without LF after a chunk size");
	body->counted = 0;
	return body->left > 0 ? STEP_CHUNK : STEP_TRAILER;
}

static enum body_step step_chunk_cr(struct http_body *body, char c)
{
	CHECK(body->left == 0);
	return c == '\r' ? STEP_CHUNK_LF : body_refuse(body, "chunk is longer than its size");
}

static enum body_step step_chunk_lf(struct http_body *body, char c)
{
	CHECK(body->counted == 0);
	return c == '\n' ? STEP_SIZE : body_refuse(body, "CR without LF after a chunk");
}

/* Counts one byte of the trailers; `next` is where it leads if there was room for it. */
static enum body_step trailer_count(struct http_body *body, enum body_step next)
{
	if (body->counted == BODY_TRAILER_MAX)
		return body_refuse(body, "trailers are too long");
	body->counted++;
	return next;
}

static enum body_step step_trailer(struct http_body *body, char c)
{
	if (c == '\r')
		return STEP_LAST_LF;
	if (!http_is_token(c))
		return body_refuse(body, "trailer name is not a token");
	if (body->trailer_lines == BODY_TRAILER_LINES_MAX)
		return body_refuse(body, "too many trailers");
	body->trailer_lines++;
	return trailer_count(body, STEP_TRAILER_NAME);
}

static enum body_step step_trailer_name(struct http_body *body, char c)
{
	if (c == ':')
		return trailer_count(body, STEP_TRAILER_VALUE);
	if (!http_is_token(c))
		return body_refuse(body, "trailer name is not a token");
	return trailer_count(body, STEP_TRAILER_NAME);
}

static enum body_step step_trailer_value(struct http_body *body, char c)
{
	if (c == '\r')
		return trailer_count(body, STEP_TRAILER_LF);
	if (!http_is_value(c))
		return body_refuse(body, "control character in a trailer");
	return trailer_count(body, STEP_TRAILER_VALUE);
}

static enum body_step step_trailer_lf(struct http_body *body, char c)
{
	if (c != '\n')
		return body_refuse(body, "CR without LF in the trailers");
	return trailer_count(body, STEP_TRAILER);
}

static enum body_step step_last_lf(struct http_body *body, char c)
{
	CHECK(body->left == 0);
	return c == '\n' ? STEP_DONE : body_refuse(body, "CR without LF in the trailers");
}

/* What to do with a byte of framing, and the step after it. */
static enum body_step (*const steps[STEP_COUNT])(struct http_body *body, char c) = {
	[STEP_SIZE] = step_size,
	[STEP_EXTENSION] = step_extension,
	[STEP_SIZE_LF] = step_size_lf,
	[STEP_CHUNK_CR] = step_chunk_cr,
	[STEP_CHUNK_LF] = step_chunk_lf,
	[STEP_TRAILER] = step_trailer,
	[STEP_TRAILER_NAME] = step_trailer_name,
	[STEP_TRAILER_VALUE] = step_trailer_value,
	[STEP_TRAILER_LF] = step_trailer_lf,
	[STEP_LAST_LF] = step_last_lf,
};

/* The bytes of framing at the front; stops at payload, at the end and at a bad byte. */
static size_t framing_read(struct http_body *body, const char *bytes, size_t len)
{
	size_t at = 0;
	while (at < len && steps[body->step] != NULL) {
		body->step = (uint8_t)steps[body->step](body, bytes[at]);
		if (body->step != STEP_BAD)
			at++;
	}
	return at;
}

static struct slice payload_take(struct http_body *body, const char *bytes, size_t len)
{
	CHECK(body->step == STEP_CHUNK || body->step == STEP_LENGTH);
	CHECK(body->left > 0);
	if (len > body->left)
		len = (size_t)body->left;
	body->left -= len;
	if (body->left == 0)
		body->step = body->step == STEP_CHUNK ? STEP_CHUNK_CR : STEP_DONE;
	return slice_of(bytes, len);
}

enum body_answer body_read(struct http_body *body, const char *bytes, size_t len, size_t *used,
                           struct slice *piece)
{
	CHECK(body->step < STEP_COUNT);
	*piece = slice_of(NULL, 0);
	*used = framing_read(body, bytes, len);
	CHECK(*used <= len);
	if (body->step == STEP_BAD)
		return BODY_BAD;
	if (body->step == STEP_DONE)
		return BODY_DONE;
	if (*used == len)
		return BODY_MORE;
	*piece = payload_take(body, bytes + *used, len - *used);
	*used += piece->len;
	return BODY_PIECE;
}
