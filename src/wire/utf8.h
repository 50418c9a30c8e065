/*
 * utf8.h - whether bytes are UTF-8, told as they arrive, and code points written as UTF-8.
 *
 * Threads:   pure functions; a struct utf8 belongs to who feeds it.
 * Ownership: none; nothing is kept but the place inside the sequence under way.
 * Limits:    RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. The fault
 *            is the first byte that no valid text could have there, not the sequence's first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define UTF8_CODE_MAX 0x10ffff

/* `struct utf8 u = {0}` stands between two characters. */
struct utf8 {
	uint8_t left;      /* bytes the sequence under way still wants */
	uint8_t low, high; /* what the next of them may be, both included */
};

/*
 * How many of `bytes` are good: `len` when all are. Otherwise the answer is the place of
 * the fault, and `utf8` stands just before it.
 */
size_t utf8_check(struct utf8 *utf8, const char *bytes, size_t len);

/* No character is cut off: the text may end here. */
static inline bool utf8_is_whole(const struct utf8 *utf8)
{
	return utf8->left == 0;
}

bool utf8_is_valid(struct slice text); /* the whole of it, not cut off at the end */

/* Bytes written, 1 to 4; `code` is no surrogate and at most UTF8_CODE_MAX. */
size_t utf8_from_code(char out[4], uint32_t code);
