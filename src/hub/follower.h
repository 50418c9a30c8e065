/*
 * follower.h - a cursor in a channel's log, and the session it feeds.
 *
 * A follower in state LIVE has all there is, or the channel's present walk will come to it.
 * One that is STUCK lags behind because its session takes nothing; it waits for
 * hub_session_ready(). A PENDING one has no position yet: the agent has not answered.
 *
 * Threads:   the worker's own.
 * Ownership: from the hub's slab; in the list of its channel (but for PENDING) and in that of
 *            its session until the hub removes it from both.
 */
#pragma once

#include "base/list.h"
#include "hub/session.h"

enum follower_state {
	FOLLOWER_PENDING = 0,
	FOLLOWER_LIVE,
	FOLLOWER_STUCK,
};

#define FOLLOWER_REPLAY_MAX 0x7fffffu /* above what a rule's history_size can be */

struct follower {
	uint32_t generation;        /* the slab's */
	uint32_t state : 2;         /* enum follower_state */
	uint32_t is_lifted : 1;     /* stands nowhere in the log: nothing is kept for it */
	uint32_t is_conflating : 1; /* lifted: gets the latest of each key */
	uint32_t is_dropping : 1;   /* lifted: gets nothing until there is room, then a gap */
	uint32_t is_in_prelude : 1; /* first gets the latest of each key from before `next` */
	uint32_t is_fresh : 1;      /* throttled: was sent something since it was last walked */
	uint32_t is_occupant : 1;   /* makes its user present in the channel */
	uint32_t is_watching : 1;   /* is told who is present, or, PENDING, wants to be */
	uint32_t replay_count : 23; /* records that it began with, up to replay_end */
	struct list_node in_channel;
	struct follower *next_of_session;
	struct session *session;
	struct channel *channel;
	uint64_t next; /* number of the record it wants next */
	union {
		uint64_t prelude;    /* is_in_prelude: number of the next record of that */
		uint64_t replay_end; /* what it asked for by `since` ends here: no lag before */
		uint64_t limit;      /* throttled: it may have records up to this one for now */
		uint32_t request;    /* PENDING: generation of the request that asks for it */
	};
};

static inline bool follower_stands(const struct follower *follower)
{
	return !follower->is_lifted;
}

static_assert(sizeof(struct follower) <= 64, "a subscription is one cache line");
