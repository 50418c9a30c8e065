/*
 * latest.h - the newest record of each key in a channel, in the order of their numbers.
 *
 * A follower that is to have only the latest of each key walks this instead of the log: what it
 * has not got are the entries behind its cursor, and a key that changes meanwhile moves to
 * the end. A record without a key is one of the key "".
 *
 * Threads:   the worker's own.
 * Ownership: holds a reference on each record in it.
 * Limits:    `count_max` keys; the one that is longest unchanged makes room. So each entry's
 *            number is above `lost`, and each key's newest record above it has an entry.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "hub/record.h"

struct latest_entry {
	struct map_node in_table;
	struct list_node in_order;
	struct record *record;
	uint32_t added_ms; /* the caller's clock, cut to 32 bits */
};

struct latest {
	struct map table;
	struct list in_order; /* by sequence number */
	uint32_t count, count_max;
	struct latest_entry *spare; /* for the next key that is new; NULL: none */
	struct latest_entry *found; /* in a search by number, the last time; NULL: none */
	uint64_t lost; /* the highest number that was dropped to make room, or for its age */
};

MUST_CHECK int latest_init(struct latest *latest, uint32_t count_max); /* 0 or -ENOMEM */
void latest_free(struct latest *latest);
void latest_set_max(struct latest *latest, uint32_t count_max); /* another count_max */

/* Memory for one latest_put(), which then cannot fail. False: there is none. */
MUST_CHECK bool latest_reserve(struct latest *latest);
/* The record becomes its key's newest; it is newer than all. `hash` is the caller's keyed
 * hash of the key. Takes its own reference. */
void latest_put(struct latest *latest, struct record *record, uint64_t hash, uint64_t now_ms);
/* An older record, the newest of its key but for one that may be there: a walk is to find it too,
 * unless there are too many, or it was lost before. Takes its own reference. False: no memory. */
MUST_CHECK bool latest_put_older(struct latest *latest, struct record *record, uint64_t hash,
                                 uint64_t now_ms);
void latest_expire(struct latest *latest, uint64_t now_ms, uint64_t ttl_ms);
/* How long the first entry has been here; 0 when there is none. */
uint64_t latest_age_ms(const struct latest *latest, uint64_t now_ms);
/* All up to this number has been lost elsewhere: here it is not to be found either. */
void latest_lose(struct latest *latest, uint64_t lost);

/* All of another order, whose numbers say nothing here; those up to `lost` are to be found by
 * nobody. */
void latest_clear(struct latest *latest, uint64_t lost);

/* The first entry numbered `seq` or higher, and the one after an entry; NULL: none. It takes steps
 * from the end, or from where the last search was, whichever is nearer. */
const struct latest_entry *latest_from(struct latest *latest, uint64_t seq);
const struct latest_entry *latest_after(const struct latest *latest,
                                        const struct latest_entry *entry);
