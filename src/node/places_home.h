/*
 * places_home.h - how many connections each user has on which nodes, at the home of the user's
 * slot.
 *
 * Nodes report (struct places_report): a state and no change of one, so what is said twice counts
 * once. A report that wants more than the node has is a question, and its verdict says how many the
 * node may have; these are counted as taken from then on, and until it reports otherwise. What a
 * node has already is a fact, and counts also where it is too many.
 *
 * A home decides when it has heard of the slot from all nodes that are linked, or for
 * PLACES_SETTLE_MS from who is silent: those have no limit, or much to do. What a node had is
 * forgotten when it is gone or reports elsewhere, and when it has reported all it has without it.
 * Where there was no memory for a report the node is asked to say all of it again.
 *
 * Who reports to whom is for the reporter to know: what it says counts here whether this node knows
 * already that it is home, or was not for a moment. Only questions wait until it is.
 *
 * Threads:   the worker's own. Pure.
 * Ownership: plain memory of its own.
 * Limits:    64 bytes a user, and as many for each node on which it is.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "edge/tally.h"
#include "edge/edge.h"
#include "mesh/member.h"

#define PLACES_SETTLE_MS 1000u
#define PLACES_SELF MEMBERS_MAX /* this node, where others have the numbers of their seats */
#define PLACES_NODES (MEMBERS_MAX + 1)

struct places_report {
	struct tally_key key;
	uint32_t have, want; /* connections of the user: there are, and would be */
	uint32_t round;      /* given back with the verdict */
	uint32_t limit;      /* as the reporter has it */
};

struct places_verdict {
	struct tally_key key;
	uint32_t round, granted; /* so many may be there */
};

struct places_home_out {
	bool (*has_room)(struct places_home_out *out);
	/* False: there was no memory for it. */
	bool (*verdict)(struct places_home_out *out, uint32_t node, uint16_t slot,
	                const struct places_verdict *verdict);
	/* It is to report all that it has of the slot once more, should it have done so already. */
	bool (*again)(struct places_home_out *out, uint32_t node, uint16_t slot);
};

struct places_home {
	struct places_home_out *out;
	struct hash_key hash_key;
	uint32_t worker, workers, count;
	struct places_home_slot *slots;
	struct places_home_node {
		bool is_linked;
		uint32_t life; /* of what it has claimed: rises when it is gone */
		uint64_t linked_ms;
	} nodes[PLACES_NODES];
	struct map table; /* users */
	/* Slots with claims that are to be decided: may be now, and could not a moment ago. */
	struct list asking, resting;
	bool has_lost;     /* some slots are to be reported again */
	uint32_t again_at; /* and from here on it is to be asked for now */
	uint32_t sweep_at; /* slots from here on may hold what those who are gone had */
	uint64_t now_ms;
};

struct places_home_options {
	struct places_home_out *out;
	struct hash_key hash_key; /* of this process: nobody outside can aim */
	uint32_t worker, workers;
};

MUST_CHECK bool places_home_init(struct places_home *home,
                                 const struct places_home_options *options); /* false: no memory */
void places_home_free(struct places_home *home);

/* It is home of that slot or not, or another one is. */
void places_home_role(struct places_home *home, uint16_t slot, enum hub_home role, uint64_t now_ms);
void places_home_up(struct places_home *home, uint32_t node, uint64_t now_ms);
void places_home_down(struct places_home *home, uint32_t node);
void places_home_gone(struct places_home *home, uint32_t node);

/* The node is about to report all that it has of the slot; has; and reports to somebody else. */
void places_home_begin(struct places_home *home, uint16_t slot, uint32_t node);
void places_home_end(struct places_home *home, uint16_t slot, uint32_t node);
void places_home_away(struct places_home *home, uint16_t slot, uint32_t node);
/* Where there is no memory for it the slot is asked for again. */
void places_home_report(struct places_home *home, uint16_t slot, uint32_t node,
                        const struct places_report *report);

/* Once a turn. True: there is more. */
bool places_home_turn(struct places_home *home, uint64_t now_ms);
/* Now and then: who was silent may have been so for long enough. */
void places_home_tick(struct places_home *home, uint64_t now_ms);
