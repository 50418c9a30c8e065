/*
 * duplicates.h - the idempotency keys of a channel that were used, and by which record.
 *
 * Threads:   the worker's own: the channel's agent.
 * Ownership: owns its entries and copies of the keys.
 * Limits:    DUPLICATES_MS and DUPLICATES_MAX a channel, the oldest forgotten first: a key that
 *            comes again after that is taken for a new one.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"

#define DUPLICATES_MS (5 * 60 * 1000u)
#define DUPLICATES_MAX 100000u /* at most 30 MB; more than 300 a second for five minutes */

struct duplicates {
	struct map table;
	struct list by_age;
	uint32_t count;
};

MUST_CHECK int duplicates_init(struct duplicates *duplicates); /* 0 or -ENOMEM */
void duplicates_free(struct duplicates *duplicates);

/* The record that was published under this key; 0: none that is remembered. `hash` is the
 * caller's keyed hash of the key. */
uint64_t duplicates_find(const struct duplicates *duplicates, struct slice key, uint64_t hash,
                         uint64_t now_ms);
/* False: no memory. The key is not among those remembered. */
MUST_CHECK bool duplicates_add(struct duplicates *duplicates, struct slice key, uint64_t hash,
                               uint64_t seq, uint64_t now_ms);
/* The key that was added last is taken back. */
void duplicates_undo(struct duplicates *duplicates);
void duplicates_expire(struct duplicates *duplicates, uint64_t now_ms);
/* How long the oldest key has been remembered; 0 when there is none. */
uint64_t duplicates_age_ms(const struct duplicates *duplicates, uint64_t now_ms);
