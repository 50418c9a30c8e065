/*
 * slot.h - the words in which nodes agree about a slot: terms, replica sets, entries of the map.
 *
 * A term names one reign over a slot: it is made by the node that will be home in it, and cannot be
 * made twice, for its boot id is part of it. A stream is a slot's log from its start out of
 * nothing; it is named by the term in which that was. Within a stream a place in the log (a mark)
 * is a number that goes on from term to term, and the term of what stands there: two logs that have
 * a mark in common are the same up to it.
 *
 * Threads:   values, and pure functions.
 * Limits:    SLOT_REPLICAS_MAX replicas a slot; terms up to SLOT_COUNTER_MAX.
 */
#pragma once

#include "mesh/member.h"

#define SLOT_REPLICAS_MAX 7u
#define SLOT_COUNTER_MAX (UINT64_MAX / 2) /* one above it can only come from a bad peer */

struct slot_term {
	uint64_t counter; /* 0: none */
	struct boot_id boot;
};

struct slot_mark {
	struct slot_term term;
	uint64_t lsn; /* 0: before the first */
};

struct slot_set {
	uint8_t count;
	struct boot_id at[SLOT_REPLICAS_MAX];
};

/* Who has a slot; of two entries the one with the higher term holds. */
struct slot_entry {
	struct slot_term term;    /* its boot id is that of the home */
	struct slot_term stream;  /* the term in which the log began */
	struct slot_term fork_of; /* the stream that this one was opened beside; none */
	struct slot_set set;      /* the home among them */
};

/* Below, at or above 0. */
int slot_term_compare(const struct slot_term *a, const struct slot_term *b);

static inline bool slot_term_equals(const struct slot_term *a, const struct slot_term *b)
{
	return a->counter == b->counter && boot_id_equals(a->boot, b->boot);
}

static inline bool slot_term_is_above(const struct slot_term *a, const struct slot_term *b)
{
	return slot_term_compare(a, b) > 0;
}

bool slot_set_has(const struct slot_set *set, struct boot_id boot);
void slot_set_add(struct slot_set *set, struct boot_id boot);    /* there is room */
void slot_set_remove(struct slot_set *set, struct boot_id boot); /* it is there */

/* How many of `count` replicas hold what is committed. */
static inline unsigned slot_majority(unsigned count)
{
	return count / 2 + 1;
}

/* A node's claim to a slot: the highest has it, then the next ones. So a node that comes or goes
 * moves no slot but its own. (Thaler and Ravishankar 1998, "rendezvous" or highest random weight.)
 */
uint64_t slot_claim(struct boot_id boot, uint16_t slot);
