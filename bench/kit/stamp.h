/*
 * stamp.h - what a payload carries: the message's number and the time it was meant to be sent.
 *
 * Text of a fixed length that means the same in JSON, in SSE and in a query: `~#`, the number in
 * 8 hexadecimal digits, the time in 16. What a payload has room for behind it is filled up.
 *
 * Threads:   pure.
 * Limits:    a payload has STAMP_BYTES at least; 2^32 messages.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define STAMP_BYTES 26

struct stamp {
	uint32_t number;
	uint64_t due_ns; /* by clock_ns() */
};

void stamp_write(char *out, size_t len, struct stamp stamp); /* all `len` bytes */

/* Looks for a stamp, at first where the last one was: `*hint`, which it keeps. False: none. */
bool stamp_find(struct slice text, size_t *hint);
struct stamp stamp_read(const char *at); /* where stamp_find() said */
