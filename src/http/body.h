/*
 * body.h - the body of a request, by its length or chunked (RFC 9112 sections 6 and 7).
 *
 * Both framings are read with the same loop, which hands out the payload as it comes:
 *
 *	while ((answer = body_read(&body, at, len, &used, &piece)) == BODY_PIECE)
 *		take the piece, then at += used, len -= used;
 *
 * Chunk extensions and trailers are checked and thrown away.
 *
 * Threads:   pure; one body belongs to one caller at a time.
 * Ownership: none. Pieces look into the bytes just given.
 * Limits:    BODY_EXTENSION_MAX bytes of extensions a chunk, BODY_TRAILER_MAX bytes and
 *            BODY_TRAILER_LINES_MAX lines of trailers; more is BODY_BAD. How many bytes
 *            the whole body may have, payload and framing, is for the caller to count.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

#define BODY_SIZE_DIGITS_MAX 16
#define BODY_EXTENSION_MAX 256
#define BODY_TRAILER_MAX 4096
#define BODY_TRAILER_LINES_MAX 32

enum http_framing { HTTP_NO_BODY = 0, HTTP_LENGTH, HTTP_CHUNKED };

enum body_answer {
	BODY_MORE = 0, /* all bytes are used; the body goes on */
	BODY_PIECE,    /* some payload; ask again with what is left, even if that is nothing */
	BODY_DONE,     /* the body is over; bytes not used belong to the next request */
	BODY_BAD       /* `used` is the offset of the bad byte, `why` says what is wrong */
};

struct http_body {
	uint64_t left;         /* payload bytes to come: of this chunk, or of the whole body */
	const char *why;       /* after BODY_BAD */
	uint16_t counted;      /* size digits, or bytes of the extension or the trailers */
	uint8_t trailer_lines; /* begun so far */
	uint8_t step;          /* enum body_step */
};

/* `length` counts for HTTP_LENGTH only. */
void body_begin(struct http_body *body, enum http_framing framing, uint64_t length);

MUST_CHECK enum body_answer body_read(struct http_body *body, const char *bytes, size_t len,
                                      size_t *used, struct slice *piece);
