/*
 * tally.h - which messages of a numbered series one follower has seen: exactly.
 *
 * What is right costs nothing: as long as numbers come one after the other only the next one is
 * kept. A jump leaves a hole, and what comes later either lies in a hole (it was late) or was
 * seen before (it comes twice).
 *
 * Threads:   one at a time.
 * Ownership: a tally owns its holes; `= {0}` has seen nothing, tally_free() brings it back there.
 * Limits:    2^32 numbers. Memory follows the number of holes.
 */
#pragma once

#include <stdint.h>

enum tally_seen {
	TALLY_NEW = 0, /* behind all seen so far; maybe with a hole before it */
	TALLY_LATE,    /* for the first time, but others that should follow it were here before */
	TALLY_TWICE,
};

struct tally_hole {
	uint32_t first, last;
};

struct tally {
	/* private */
	uint32_t next; /* above all seen */
	uint32_t hole_count;
	struct tally_hole *holes; /* rising; as many as the next power of two fit */
};

enum tally_seen tally_jump(struct tally *tally, uint32_t number); /* any but the next one */

static inline enum tally_seen tally_see(struct tally *tally, uint32_t number)
{
	if (number != tally->next)
		return tally_jump(tally, number);
	tally->next++;
	return TALLY_NEW;
}

/* How many of the first `count` numbers have not been seen. */
uint64_t tally_missing(const struct tally *tally, uint32_t count);
void tally_free(struct tally *tally);
