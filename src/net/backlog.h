/*
 * backlog.h - letters of one sender that wait for room, in order for each receiver.
 *
 * Each has a slot of one array, and knows the slot of the next one for the same receiver: to add
 * one, to look at the first of a receiver or to remove it costs the same however many wait, for
 * whomever. Slots that were reserved are free for letters to any receiver.
 *
 * Threads:   one at a time; no locking.
 * Ownership: it owns its slots; letters are copied in. What they point at goes with them.
 * Limits:    2^32 slots. After backlog_shrink() there are no more than four for each letter that
 *            waits, two for each that was ever reserved at once, and a few; pages that no letter
 *            has reached cost nothing. Growing and shrinking moves letters: in all not more than
 *            about two for each that came or went.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

struct backlog_queue; /* private to backlog.c */

struct backlog {
	uint32_t count; /* letters that wait */
	/* Private. */
	uint32_t receivers, letter_bytes, slot_bytes;
	uint32_t capacity; /* slots */
	uint32_t used;     /* slots from here on have held nothing yet */
	uint32_t free;     /* the first of those that have, and do not now */
	uint32_t reserved; /* the most that backlog_reserve() has found */
	char *slots;
	struct backlog_queue *queues; /* by receiver */
};

MUST_CHECK int backlog_init(struct backlog *backlog, uint32_t receivers, uint32_t letter_bytes);
void backlog_free(struct backlog *backlog); /* with what waits */

/* Whether `count` more letters are sure of a slot, which they are until as many came, whatever was
 * removed meanwhile. False: no memory; all is as it was. */
MUST_CHECK static inline bool backlog_reserve(struct backlog *backlog, uint64_t count);
/* Where no slot is free more are made: who has not reserved one is sure that there is memory. */
void backlog_append(struct backlog *backlog, uint32_t receiver, const void *letter);

uint32_t backlog_count(const struct backlog *backlog, uint32_t receiver);
/* The first one for a receiver, for which some wait. It stays until something is appended, reserved
 * or removed. */
const void *backlog_first(const struct backlog *backlog, uint32_t receiver);
void backlog_remove_first(struct backlog *backlog, uint32_t receiver);

/* Gives memory back where much less waits by now. What was reserved stays. */
void backlog_shrink(struct backlog *backlog);

/* ---- private ---- */

MUST_CHECK bool backlog_reserve_more(struct backlog *backlog, uint64_t count);

static inline bool backlog_reserve(struct backlog *backlog, uint64_t count)
{
	bool is_there = count <= backlog->reserved && backlog->capacity - backlog->count >= count;
	return is_there || backlog_reserve_more(backlog, count);
}
