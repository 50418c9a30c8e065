/*
 * tally.h - how many there are under each key, and no more than may be.
 *
 * Who is counted holds a place: the handle of its key's entry, with which it is counted off
 * again. An entry lives as long as any place in it is held.
 *
 * Threads:   one at a time; no locking.
 * Ownership: the tally owns its entries. All places are given back before tally_free(), or are
 *            of no use any more.
 * Limits:    40 bytes a key, and 16 million keys.
 */
#pragma once

#include <stdint.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/slab.h"

/* A hash of 128 bits stands for the name: nobody outside can make two that are alike. */
struct tally_key {
	uint64_t word[2];
};

static inline bool tally_key_equals(const struct tally_key *a, const struct tally_key *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

enum tally_answer {
	TALLY_TAKEN = 0,
	TALLY_FULL,
	TALLY_NO_MEMORY,
};

struct tally {
	struct slab entries;
	struct map table;
};

MUST_CHECK int tally_init(struct tally *tally); /* 0 or -errno */
void tally_free(struct tally *tally);

/* On this node, and the same on all of them. */
struct tally_key tally_key_of(const struct hash_key *hash_key, struct slice name);
MUST_CHECK bool tally_key_for_all(struct slice name, struct tally_key *key); /* false: no memory */

/* One more under that key, unless there are `max` already. */
MUST_CHECK enum tally_answer tally_take(struct tally *tally, const struct tally_key *key,
                                        uint32_t max, struct slab_handle *place);
void tally_give(struct tally *tally, struct slab_handle place);
uint32_t tally_count(const struct tally *tally, const struct tally_key *key);
