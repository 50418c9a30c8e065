/*
 * slice.h - a view of bytes that somebody else owns.
 *
 * Threads:   a value; any thread that may read the bytes.
 * Ownership: none. A slice is good as long as the bytes it looks at are.
 * Limits:    none of its own. `at` may be NULL when `len` is 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *at;
	size_t len;
};

/* A slice of a string literal; the second form stands in initializers of static tables. */
#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
#define SLICE_INIT(literal)                                                                        \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static inline struct slice slice_of(const char *at, size_t len)
{
	return (struct slice){at, len};
}

static inline struct slice slice_string(const char *string)
{
	return (struct slice){string, strlen(string)};
}

static inline bool slice_equals(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *string)
{
	return slice_equals(a, slice_string(string));
}

static inline bool slice_starts(struct slice a, struct slice prefix)
{
	return a.len >= prefix.len && slice_equals(slice_of(a.at, prefix.len), prefix);
}

/* What is left of `a` without its first `count` bytes; count <= a.len. */
static inline struct slice slice_after(struct slice a, size_t count)
{
	return count == 0 ? a : slice_of(a.at + count, a.len - count);
}

int slice_compare(struct slice a, struct slice b);        /* below, at or above 0: by bytes */
bool slice_equals_nocase(struct slice a, struct slice b); /* ASCII letters only */
size_t slice_count(struct slice a, char byte);            /* how often it is there */
struct slice slice_trim(struct slice a);                  /* without outer spaces and tabs */

/*
 * Cuts the part before the first `separator` off the front of `rest`. True: `part` is
 * set, `rest` is what follows. False: `rest` was used up (its `at` is NULL). "a,b" gives
 * "a" and "b"; "a," gives "a" and ""; "" gives "".
 */
bool slice_cut(struct slice *rest, char separator, struct slice *part);
