/*
 * ring.h - a bounded queue of small values from one thread to one other.
 *
 * Threads:   the producer alone calls ring_offer(), the consumer alone ring_take();
 *            ring_init() runs while neither does.
 * Ownership: the slots are the caller's, and outlive the ring. The bytes of an item are copied
 *            in and out. What they point at belongs to the ring from offer to take; it frees
 *            none of it, so it is drained at the end.
 * Limits:    capacity and item size are fixed at init. Full is an answer, not an error.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

#define RING_CAPACITY_MAX (1u << 20)
#define RING_ITEM_MAX 256

struct ring {
	_Alignas(64) _Atomic uint32_t tail; /* producer's line; runs freely and wraps */
	uint32_t head_seen;                 /* producer's: the last head it looked up */
	_Alignas(64) _Atomic uint32_t head; /* consumer's line; likewise */
	uint32_t tail_seen;                 /* consumer's */
	_Alignas(64) uint32_t capacity;     /* these three are written once, by ring_init() */
	uint32_t item_bytes;
	char *slots;
};

/* `slots` has room for `capacity` items, a power of two. 0 or -EINVAL. */
MUST_CHECK int ring_init(struct ring *ring, void *slots, uint32_t capacity, uint32_t item_bytes);

MUST_CHECK bool ring_offer(struct ring *ring, const void *item); /* false: full, still yours */
MUST_CHECK bool ring_take(struct ring *ring, void *item);        /* false: empty */
bool ring_is_empty(const struct ring *ring);                     /* as the consumer sees it */
uint32_t ring_count(const struct ring *ring);                    /* likewise, and it may grow */
