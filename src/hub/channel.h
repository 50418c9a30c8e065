/*
 * channel.h - one channel on one worker: its log, who follows it, and whom it asks.
 *
 * Each channel has one agent on the node, the worker that its name hashes to. There the log is
 * the channel's history and sequence numbers are given out. On any other worker with
 * subscribers the channel is a tail that follows the agent, record by record. In a cluster the
 * agent itself may be such a tail of the channel's home, which is another node (far.h).
 *
 * Threads:   the worker's own.
 * Ownership: the hub's table owns channels; a channel owns its name and its log. Followers are
 *            linked into it.
 * Limits:    the log is trimmed to the rule's history (agent) or to nothing (elsewhere), but
 *            for what a follower still wants; and that is bounded by limits.outbound_buffer.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/timer.h"
#include "hub/duplicates.h"
#include "hub/far.h"
#include "hub/follower.h"
#include "hub/latest.h"
#include "hub/log.h"
#include "hub/past.h"
#include "hub/rule.h"
#include "starling/limits.h"

#define CHANNEL_WORKER_WORDS (WORKERS_MAX / 64)
#define CHANNEL_NODE_WORDS (HUB_NODES_MAX / 64)

/* Is any bit of these words set? */
static inline bool channel_any(const uint64_t *words, unsigned count)
{
	uint64_t any = 0;
	for (unsigned i = 0; i < count; i++)
		any |= words[i];
	return any != 0;
}

/* The name lies in memory of its own: the letter that gives up following takes it along. */
struct channel_name {
	uint64_t hash;             /* the hub's keyed hash */
	struct channel_name *next; /* while that letter is owed */
	uint8_t len;
	char bytes[];
};

/* What only channels whose rule asks for it have: the latest record of each key, and when
 * followers were last walked along it. */
struct channel_keyed {
	struct channel *channel;
	struct latest latest;
	struct timer timer; /* with a throttle: armed while a walk is put off */
	uint64_t walked_ms; /* when the last walk ended */
	uint64_t walked_to; /* the last record that was there when the last one began */
	uint64_t fed_ms;    /* when anybody was last sent something beside a walk */
	bool is_left;       /* somebody sat the present walk out */
};

/* What an agent in a cluster knows beyond its node. */
struct channel_far {
	struct channel *channel;
	struct list_node in_slot;
	uint64_t nodes[CHANNEL_NODE_WORDS]; /* home: those that follow, a bit each */
	uint32_t proposals;                 /* home: its numbers proposed and not committed yet */
	uint32_t errands;                   /* that are about it */
	bool is_known;                      /* replicas may have heard of it */
	bool is_renewing;           /* its order is to begin anew, or again, before all else */
	bool is_interested;         /* the home is to send its records */
	bool is_asking;             /* and has not said yet from where on */
	bool is_blind;              /* it was asked when nothing was known of the channel */
	bool is_behind;             /* what came is not all of it, for certain or perhaps */
	bool is_audited;            /* home: the audit of its slot has been here */
	uint64_t sync_to;           /* without this one it is behind */
	uint64_t tailed_ms;         /* when it said from where on */
	uint64_t stream;            /* in which epoch and log_next() were so */
	uint64_t begun;             /* replica: what is before it comes by the log; 0: nothing */
	struct duplicates *retries; /* keys of publications that were given none */
	struct pasts pasts;         /* orders that it has left, or heard of; see past.h */
};

struct channel {
	uint32_t generation; /* the slab's */
	bool is_agent;
	bool is_tuned;   /* has an epoch and gets every record from here on */
	bool is_lost;    /* a record could not be kept: nothing more is, until all have gone */
	bool walk_again; /* records came after the present round of the walk had begun */
	struct map_node in_table;
	struct channel_name *name;
	const struct rule *rule;
	uint64_t epoch;
	uint64_t offset; /* agent: bytes of all records so far */
	struct log log;
	struct list live, stuck;    /* followers that are not pending */
	struct list_node dirty;     /* linked while a walk is due */
	struct list_node lingering; /* agent: linked while it may go, if there are too many */
	struct list_node *walk;     /* the follower to visit next; NULL: no walk is under way */
	/* Of the newest records, so many may be lacking to a follower that is live and stands; and
	 * so many to one that the present round of the walk has passed. */
	uint32_t backlog, backlog_passed;
	uint32_t follower_count;                /* in live and stuck, and those that are pending */
	uint32_t request_count;                 /* letters to the agent whose answers are to come */
	uint64_t workers[CHANNEL_WORKER_WORDS]; /* agent: those that follow, a bit each */
	struct timer timer;                     /* expiry of what is held; agent: then of itself */
	struct channel_keyed *keyed;            /* NULL: its rule needs none, or not yet */
	struct duplicates *duplicates;          /* agent: NULL until a key comes */
	struct channel_far *far;                /* agent in a cluster; else NULL */
	uint32_t unused_since_ms;               /* agent: since nobody follows, cut to 32 bits */
	uint16_t slot;
	bool was_followed : 1;                 /* agent: when that was looked at last */
	bool keeps_none : 1;                   /* agent: history is other nodes' affair */
	bool is_behind : 1, is_far_behind : 1; /* by its backlog: see hub_pace() */
	bool has_presence : 1;                 /* presence.h: there is one in hub->presences */
};

static_assert(sizeof(struct channel) <= 248, "an idle channel with its name: 288 bytes or so");

void channel_init(struct channel *channel, struct channel_name *name, const struct rule *rule);
void channel_free(struct channel *channel); /* nobody follows */

struct slice channel_name(const struct channel *channel);
bool channel_has_name(const struct channel *channel, struct slice name);

/* Does its rule look at keys? Makes `keyed` where it is not there yet; false: no memory. And lets
 * it go where the rule, which was another, needs it no more, nor any follower. */
bool channel_needs_keyed(const struct channel *channel);
MUST_CHECK bool channel_make_keyed(struct channel *channel, uint64_t now_ms);
void channel_settle_keyed(struct channel *channel);
static inline bool channel_is_throttled(const struct channel *channel)
{
	return channel->rule->throttle_ms > 0;
}

static inline bool channel_keeps_history(const struct channel *channel)
{
	return channel->is_agent && !channel->keeps_none;
}

/* The number that the next publication gets: behind those that are only proposed. */
static inline uint64_t channel_next(const struct channel *channel)
{
	return log_next(&channel->log) + (channel->far == NULL ? 0 : channel->far->proposals);
}

/* The oldest record that history holds, or log_next() when it holds none. */
uint64_t channel_history_first(const struct channel *channel, uint64_t now_ms);
void channel_trim(struct channel *channel, uint64_t now_ms);

/* A pending follower gets its position and goes to live; and back, giving it up. One that is
 * lifted may have one that the log does not hold. */
void channel_join(struct channel *channel, struct follower *follower, uint64_t next);
void channel_leave(struct channel *channel, struct follower *follower);
void channel_move(struct channel *channel, struct follower *follower, uint64_t next);
void channel_set_state(struct channel *channel, struct follower *follower,
                       enum follower_state state);

/* From here on it stands in the log no more (it conflates, or drops), or again. */
void channel_lift(struct channel *channel, struct follower *follower);
void channel_put_down(struct channel *channel, struct follower *follower, uint64_t next);

/* Bytes of the records from that number on, which the log holds. */
uint64_t channel_bytes_from(const struct channel *channel, uint64_t seq);
/* Bytes that the follower has still to be sent, but for those of its replay. */
uint64_t channel_lag(const struct channel *channel, const struct follower *follower);

bool channel_is_followed_by(const struct channel *channel, uint32_t worker);
void channel_follow(struct channel *channel, uint32_t worker);
void channel_unfollow(struct channel *channel, uint32_t worker);
bool channel_is_followed_here(const struct channel *channel); /* or that is being asked for */
bool channel_is_followed(const struct channel *channel);      /* by anybody, here or elsewhere */
bool channel_shows_any(const struct channel *channel);        /* records or keys to remember */
bool channel_holds_any(const struct channel *channel);        /* or orders that it has left */
/* How long until something that it holds is too old; UINT64_MAX: nothing ever will be. */
uint64_t channel_keeps_ms(const struct channel *channel, uint64_t now_ms);
