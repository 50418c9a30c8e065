/*
 * places.h - how many connections of a user there are on all nodes, and no more than may be: one
 * worker's part of it.
 *
 * A connection that wants in asks for a place under its user's key, on the worker of the key's
 * slot. What this node has of each user is counted here; whether it may have one more the slot's
 * home says (node/places_home), which adds up what all nodes report. Reports are states: how many
 * there are, and would be. So they may come twice; and all of a slot's are said again when its home
 * is another one, or the link to it is. Of what happens to a user in one turn the home is told
 * once.
 *
 * Nobody waits for longer than PLACES_WAIT_MS: where the home has said nothing till then this node
 * lets in as many as may be, for what it knows, and at once where the home is of a release that
 * counts no places. Better one too many than a user who cannot come in.
 * Who is in stays, also where nodes that could not reach each other have let in too many.
 *
 * Until places_use() nothing is asked and nothing reported.
 *
 * Threads:   the worker's own. Pure.
 * Ownership: plain memory of its own. Whoever was given a place gives it back, or needs it no more.
 * Limits:    128 bytes a user with connections here, and 72 for who waits.
 */
#pragma once

#include "edge/edge.h"
#include "mesh/frame.h"
#include "node/places_home.h"

#define PLACES_WAIT_MS 2000u

/* Who wants a place: a seat of the registry of that worker. */
struct places_asker {
	uint32_t worker;
	struct slab_handle seat;
};

struct places_out {
	bool (*has_room)(struct places_out *out); /* for an answer and a frame behind it */
	/* False: there was no memory for it. What is lost with the link counts as sent. */
	bool (*send)(struct places_out *out, uint32_t node, enum frame_type type, uint16_t slot,
	             const struct buf *body);
	/* Called in places_turn() alone. */
	void (*answer)(struct places_out *out, const struct places_asker *asker,
	               enum tally_answer answer, struct slab_handle place);
};

struct places_counters {
	uint64_t asked;      /* for places */
	uint64_t refused;    /* of these */
	uint64_t unanswered; /* of these, those that no home has judged, or not in time */
};

struct places {
	struct places_out *out;
	struct places_home home;
	struct places_home_out home_out;
	uint32_t count;
	bool is_used;
	bool has_failed; /* there was no memory to tell of some slots */
	uint32_t round;  /* of the newest report */
	uint64_t now_ms;
	struct places_slot *slots;
	bool is_linked[PLACES_NODES]; /* to nodes that count places */
	bool is_deaf[PLACES_NODES];   /* linked, and counts none */
	struct slab users, waiters;
	struct map table;    /* users */
	struct list changed; /* those whose home does not know how many there are and would be */
	struct list unsaid;  /* slots of which the home has to be told all */
	struct list waiting; /* waiters, the one that has waited longest first */
	struct buf report, verdict; /* scratch */
	struct places_counters counters;
};

struct places_options {
	struct places_out *out;
	struct hash_key hash_key; /* of this process */
	uint32_t worker, workers;
	uint64_t now_ms;
};

MUST_CHECK bool places_init(struct places *places,
                            const struct places_options *options); /* false: no memory */
void places_free(struct places *places);

/* There is a limit on this node. */
void places_use(struct places *places);

/* One more of that user; with PLACES_IN it is there already, whatever the limit. The answer comes
 * at the end of a turn. False: no memory. */
#define PLACES_IN UINT32_MAX
MUST_CHECK bool places_ask(struct places *places, const struct tally_key *key, uint32_t limit,
                           const struct places_asker *asker);
void places_give(struct places *places, struct slab_handle place);

/* What the mesh tells. */
void places_role(struct places *places, uint16_t slot, enum hub_home home, uint32_t node);
void places_node_up(struct places *places, uint32_t node, bool counts_places);
void places_node_down(struct places *places, uint32_t node);
void places_node_gone(struct places *places, uint32_t node);

/* A frame of that node. False: it is malformed. */
MUST_CHECK bool places_take(struct places *places, uint32_t node, enum frame_type type,
                            uint16_t slot, struct slice body);

/* Now and then, and once a turn. True: there is more. */
void places_tick(struct places *places, uint64_t now_ms);
bool places_turn(struct places *places, uint64_t now_ms);
