/*
 * text.h - numbers, hexadecimal and base64 as text, both ways.
 *
 * Threads:   pure functions; any thread.
 * Ownership: none. Writers fill memory the caller gives and return the bytes written,
 *            without a closing NUL.
 * Limits:    readers take the whole slice or refuse it: no sign, no blank, no overflow.
 *            Base64 is RFC 4648 section 4, padded; base64url section 5, without padding, and
 *            read strictly: no bits behind the last byte but zeros.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define TEXT_U64_MAX 20    /* decimal digits of the largest u64 */
#define TEXT_BASE36_MAX 13 /* digits of the largest u64 in base 36 */

size_t text_from_u64(char *out, uint64_t value);
size_t text_from_base36(char *out, uint64_t value); /* 0-9a-z */
size_t text_from_hex(char *out, uint64_t value, size_t digits);

bool text_to_u64(struct slice text, uint64_t *value);
bool text_to_base36(struct slice text, uint64_t *value); /* lower case only */

/* Characters that `count` bytes become. */
static inline size_t text_base64_len(size_t count)
{
	return (count + 2) / 3 * 4;
}
size_t text_from_base64(char *out, const void *bytes, size_t count);

static inline size_t text_base64url_len(size_t count)
{
	return (count * 4 + 2) / 3;
}
size_t text_from_base64url(char *out, const void *bytes, size_t count);
/* Bytes that a text of `len` characters becomes, if it is one. */
static inline size_t text_base64url_bytes(size_t len)
{
	return len / 4 * 3 + len % 4 * 3 / 4;
}
/* `out` has room for text_base64url_bytes(text.len), which is what is written. */
bool text_to_base64url(struct slice text, void *out);
