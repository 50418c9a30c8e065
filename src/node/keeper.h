/*
 * keeper.h - one worker's channels as what the logs of its slots make: it stands between the slots
 * (mesh/slots.h) and the hub (hub/far.h), which know nothing of each other.
 *
 * What a hub proposes becomes an entry of a slot's log, bytes by relay_wire. What is applied is
 * committed in the hub where that still waits for it, else put into its channels. An entry that the
 * hub has no memory or room for waits here, with all that come behind it, and so long the slot's
 * channels are not saved, and the hub is not told that it is home, nor of another stream but that
 * one is being left.
 *
 * A proposal is the hub's as long as it is home. When it stops being it, or one is refused, the hub
 * takes all of them back, and tries them again elsewhere; what of these the log has nevertheless is
 * then applied as anybody else's. Until nothing of them is left in the log the hub is not told that
 * it is home again: it would give their numbers to others.
 *
 * Threads:   the worker's own. Pure.
 * Ownership: inside the relay; roster, slots and hub are the relay's and outlive it. The first
 *            member is what slots_create() is to be given; its send() is set by the relay.
 * Limits:    parts of what is saved are of KEEPER_PART_BYTES, but for a record that is larger.
 *            What waits needs no memory beyond that of its entry.
 */
#pragma once

#include "base/list.h"
#include "hub/hub.h"
#include "node/places.h"
#include "node/relay_wire.h"
#include "node/roster.h"

#define KEEPER_PART_BYTES (256u << 10)

/* A slot. */
struct kept {
	struct list_node late;     /* entries wait for the hub */
	struct slots_role wanted;  /* as the slots have it */
	struct hub_role told;      /* as the hub has it */
	struct blob *first, *last; /* that wait: slots_entry_next() */
	uint64_t revoked;          /* proposals up to this cookie are the hub's no more */
	uint32_t pending;          /* proposals that were neither applied nor refused */
	uint16_t number;
};

struct keeper_counters {
	uint64_t waited; /* entries that the hub could not take at once */
};

struct keeper {
	struct slots_out out;
	const struct roster *roster;
	const struct relay_codec *codec;
	struct slots *slots;
	struct hub *hub;
	struct places *places; /* is told who is home, too */
	uint32_t workers;
	struct kept *kept;
	uint32_t count, homes;
	uint64_t cookie;    /* of the newest proposal */
	uint64_t proposing; /* the one that is being handed over; 0: none */
	bool is_applied;    /* it has been committed meanwhile */
	struct list late;
	struct buf entry, part; /* scratch */
	struct hub_save save;
	bool is_saving, has_more; /* has_more: `entry` holds the next one */
	struct keeper_counters counters;
};

struct keeper_options {
	const struct roster *roster;
	const struct relay_codec *codec;
	struct places *places;
	uint32_t worker, workers;
};

/* False: no memory. Slots and hub are set before it is used. */
MUST_CHECK bool keeper_init(struct keeper *keeper, const struct keeper_options *options);
void keeper_free(struct keeper *keeper);

enum hub_proposed keeper_propose(struct keeper *keeper, uint32_t slot,
                                 const struct hub_entry *entry);
/* Once a turn: what waits. */
void keeper_turn(struct keeper *keeper);
