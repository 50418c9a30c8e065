/*
 * buf.h - bytes that grow at the end and are used up at the front.
 *
 * Threads:   one at a time; no locking.
 * Ownership: a buf owns its bytes. `struct buf b = {0}` is an empty one that holds no
 *            memory; buf_free() brings it back to that.
 * Limits:    none of its own: callers bound what they append. An allocation that fails
 *            sets `is_broken`, after which appends do nothing; ask once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct buf {
	char *at;      /* first byte not yet used up; changes only with the calls below */
	size_t len;    /* bytes from `at` on */
	size_t before; /* bytes used up in front of `at`, reclaimed when room is wanted */
	size_t cap;    /* bytes allocated, from at - before */
	bool is_broken;
};

void buf_free(struct buf *buf);
void buf_clear(struct buf *buf); /* keeps the memory; mends is_broken */
void buf_wipe(struct buf *buf);  /* buf_free(), and nothing is left of what it held */

/* Room for `count` more bytes at the end, or NULL (and broken). Say how many were
 * written with buf_grew(). */
char *buf_room(struct buf *buf, size_t count);
void buf_grew(struct buf *buf, size_t count);

void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_slice(struct buf *buf, struct slice slice);
void buf_string(struct buf *buf, const char *string);
void buf_char(struct buf *buf, char c);
void buf_u64(struct buf *buf, uint64_t value); /* decimal */
/* So many millionths, as a number with a point. */
void buf_micro(struct buf *buf, uint64_t millionths);
void buf_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

void buf_use(struct buf *buf, size_t count);    /* the first `count` bytes are done with */
void buf_cut_to(struct buf *buf, size_t count); /* forget all but the first `count` bytes */
void buf_swap(struct buf *a, struct buf *b);

static inline struct slice buf_view(const struct buf *buf)
{
	return slice_of(buf->at, buf->len);
}

/* What was appended when there were `before` bytes. */
static inline struct slice buf_since(const struct buf *buf, size_t before)
{
	return slice_after(buf_view(buf), before);
}
