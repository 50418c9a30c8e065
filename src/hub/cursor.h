/*
 * cursor.h - a position in a channel's log: `EPOCH-SEQ` (SPEC section 5).
 *
 * An epoch names one unbroken history of a channel; inside it sequence numbers rise by one
 * from 1, but where a gap was told: that has the number of no record. The cursor EPOCH-SEQ stands
 * behind the record SEQ: EPOCH-0 is before the first.
 *
 * Threads: pure; any thread.
 * Limits:  1 to 16 characters of 0-9a-z, a dash, 1 to 20 digits without a leading zero. What
 *          fits that form but no u64 is a good cursor of an epoch that never was (0), or one
 *          ahead of any head.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/text.h"

#define CURSOR_EPOCH_MAX 16 /* characters of an epoch */
#define CURSOR_TEXT_MAX (CURSOR_EPOCH_MAX + 1 + TEXT_U64_MAX)

struct cursor {
	uint64_t epoch; /* 0: of no channel */
	uint64_t seq;
	bool is_start; /* `start`: before everything that history holds */
};

bool cursor_parse(struct slice text, struct cursor *cursor); /* false: malformed */
size_t cursor_write(char out[CURSOR_TEXT_MAX], uint64_t epoch, uint64_t seq);
