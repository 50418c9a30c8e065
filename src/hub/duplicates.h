/*
 * duplicates.h - the idempotency keys of a channel that were used, and by which record.
 *
 * Threads:   the worker's own: the channel's agent.
 * Ownership: owns its entries and copies of the keys.
 * Limits:    `ttl_ms` (DUPLICATES_MS, if it is not set to another) and DUPLICATES_MAX a channel,
 *            the oldest forgotten first: a key that comes again after that is taken for a new
 *            one.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"

#define DUPLICATES_MS (5 * 60 * 1000u)
#define DUPLICATES_MAX 100000u /* at most 30 MB; more than 300 a second for five minutes */

/* Keys that nodes give to publications without one: longer than such a one is tried again. */
#define RETRIES_MS (20 * 1000u)

struct duplicates {
	uint32_t ttl_ms;
	struct map table;
	struct list by_age;
	uint32_t count;
	uint64_t forgotten, undone; /* so many ever */
};

MUST_CHECK int duplicates_init(struct duplicates *duplicates); /* 0 or -ENOMEM */
void duplicates_free(struct duplicates *duplicates);
void duplicates_clear(struct duplicates *duplicates);   /* forgets all */
void duplicates_destroy(struct duplicates *duplicates); /* one that was allocated; NULL is fine */

/* The record that was published under this key; 0: none that is remembered. `hash` is the
 * caller's keyed hash of the key. */
uint64_t duplicates_find(const struct duplicates *duplicates, struct slice key, uint64_t hash,
                         uint64_t now_ms);
/* False: no memory. The key is not among those remembered. */
MUST_CHECK bool duplicates_add(struct duplicates *duplicates, struct slice key, uint64_t hash,
                               uint64_t seq, uint64_t now_ms);
/* One that is that old already. Where it is older than some here, it has its place behind them for
 * as long, but is found no longer than others. */
MUST_CHECK bool duplicates_restore(struct duplicates *duplicates, struct slice key, uint64_t hash,
                                   uint64_t seq, uint64_t now_ms, uint32_t age_ms);
/* All of them, oldest first, while they come and go: some may be shown twice. A place begins
 * zeroed. False: that was all. */
struct duplicates_place {
	const struct duplicate *last; /* private, as is the rest */
	uint64_t number, undone;
};
struct duplicate_shown {
	struct slice key;
	uint64_t seq;
	uint32_t age_ms;
};
bool duplicates_show(const struct duplicates *duplicates, struct duplicates_place *place,
                     uint64_t now_ms, struct duplicate_shown *shown);
/* The key is taken back, if it is that record's. */
void duplicates_remove(struct duplicates *duplicates, struct slice key, uint64_t hash,
                       uint64_t seq);
void duplicates_expire(struct duplicates *duplicates, uint64_t now_ms);
/* How long the oldest key has been remembered; 0 when there is none. */
uint64_t duplicates_age_ms(const struct duplicates *duplicates, uint64_t now_ms);
