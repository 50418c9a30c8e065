/*
 * far_state.h - the inside of a hub in a cluster, shared by far.c (slots and their roles),
 * far_home.c (what a home does), far_tail.c (what is asked of a home elsewhere), far_presence.c
 * (who is present), far_replica.c (entries, saving, restoring) and far_merge.c (streams that part
 * and meet). Besides these hub.c, agent.c, answer.c, command.c, their tests and the simulations
 * include it.
 *
 * Threads:   the worker's own.
 * Ownership: the hub's; slots own their errands and proposals, and these their waiters and records.
 * Limits:    the ERRAND and PRESENCE constants below.
 */
#pragma once

#include "hub/hub_state.h"

#define ERRANDS_MAX 65536u
#define ERRAND_BYTES_MAX (64u << 20) /* of the records that wait for a home */
#define PRESENCE_ASKS_MAX 65536u     /* who wait to be told who is present */
#define ERRAND_MS_MAX 5000u          /* then it is answered `unavailable` */
#define ERRAND_AGAIN_MS 500u         /* without an answer it is sent again */
#define ERRAND_REFUSED_MS 100u       /* and so soon where it was refused */
#define SYNC_ASK_MS 1000u            /* how often a home is asked whether it knows all */
#define SYNC_DOUBTS_MAX 3            /* answers in a row that do not agree: it is told anew */
#define SYNC_LOST_MS 3000u           /* without an answer it is told anew, and twice as late */
#define SYNC_LOST_MAX 4              /* each time; so often */
#define PRESENCE_WHOLE_MS_MAX 3000u  /* a new home waits so long to be told who is present */
#define PRESENCE_BACK_MS 10000u      /* after which a node that is back is as any other */
#define PRESENCE_AUDIT_MS 5000u      /* how often a home adds up who is where */

/* Who gets the answer to a publication. */
struct waiter {
	uint32_t generation; /* the slab's */
	bool is_far;
	bool is_duplicate; /* it published again what was under way already */
	uint32_t from;     /* a worker, or a node */
	struct slab_handle token;
	uint64_t born_ms;
	struct waiter *next;
	struct publish_result result; /* while the answer is owed: the post had no room */
};

/* What was proposed, in the order of its slot: a record, a gap, or the end of a channel. */
struct proposal {
	uint32_t generation; /* the slab's */
	struct list_node in_slot;
	bool is_gap;             /* and no record: nothing is to have that number */
	bool is_told;            /* the gap is; what is left is to let the rest go on */
	struct channel *channel; /* NULL: its end, ENTRY_CLOSE */
	struct record *record;   /* NULL once it was committed, and of the others */
	uint64_t epoch, seq;
	struct cursor origin;   /* its place in a fork; of a gap, what is lost; epoch 0: of none */
	struct waiter *waiters; /* in their order */
};

/* Has it a number that its channel's log does not have yet? */
static inline bool proposal_is_counted(const struct proposal *proposal)
{
	return proposal->record != NULL || (proposal->is_gap && !proposal->is_told);
}

/* What is asked of a home, or waits until there is one. */
struct errand {
	uint32_t generation; /* the slab's */
	uint8_t kind;        /* FAR_PUBLISH, FAR_FOLLOW, FAR_HISTORY */
	bool is_sent;
	uint16_t slot;
	struct list_node in_slot, by_age;
	struct channel *channel; /* FAR_FOLLOW */
	uint64_t born_ms, sent_ms;
	union {
		struct {
			struct record *record; /* FAR_PUBLISH */
			struct waiter *waiters;
		};
		struct {
			struct mail_ask *ask;
			struct mail_answer *pages; /* so far; or NULL */
			uint32_t from;             /* the worker that asks */
			struct slab_handle token;
		};
	};
};

/* At a home: what a node has said. */
struct slot_edge {
	uint64_t counter; /* of what was heard last */
	uint64_t asked_ms;
	bool is_syncing; /* it tells all anew, and that was heard from the first letter on */
	struct far_sum sum;
};

/* What a home has been told: up to which letter, and what all of them add up to. */
struct slot_said {
	uint64_t counter, names, members;
	uint32_t count;
};

struct restoring {
	struct channel *channel;
	uint64_t epoch, head;
	bool is_placed;              /* the channel is in that order, and up to there */
	struct mail_answer *history; /* its records, rising */
	uint32_t *ages;
};

struct hub_slot {
	uint8_t home; /* enum hub_home */
	bool is_replica;
	bool is_leaving;   /* what is applied now is of a stream that is being left */
	bool has_renewing; /* some of its channels are still to have another order */
	uint16_t node, number;
	uint64_t stream;
	struct list channels;
	struct list_node due;
	struct list saves;
	struct restoring restoring;
	struct list reporting; /* home elsewhere: presences of which it is to be told something */
	/* home */
	struct list_node unwhole; /* linked until who is present anywhere has been told */
	uint64_t begun_ms;        /* when it became home */
	uint64_t unwhole_ms;      /* since when it waits for that */
	bool has_been_whole;
	struct list proposals;
	uint32_t proposed, committed;        /* so many, and of them so many from the front */
	uint64_t synced[CHANNEL_NODE_WORDS]; /* nodes whose followers are all known; others get all
	                                      */
	struct slot_edge *edges;
	uint32_t edge_count;
	/* home elsewhere */
	struct list errands;
	bool needs_sync;  /* the home is to be told all */
	bool is_counting; /* it has heard, and counts what it sends since */
	bool is_settled;  /* and it has said so, and knew all */
	bool is_telling;  /* it is being told who is present here: up to this channel, and there */
	struct channel *telling; /* NULL: of all channels */
	uint64_t telling_at;
	bool has_behind;   /* a channel is to be asked for again */
	int16_t told_node; /* the home that was told who is present here; -1: none that still is */
	uint64_t counter, synced_ms, heard_ms;
	uint64_t agreed_ms;             /* when the home said last that all it has sent is here */
	uint64_t sync_first, sync_last; /* the letters with which telling all began, and ended */
	uint32_t doubts;
	uint8_t lost;           /* told anew so often since it was heard */
	bool is_asked;          /* and has not answered yet */
	struct slot_said asked; /* what had been said by then */
	struct far_sum sum; /* whom we follow, how much came, and who is said to be present here */
};

/* A home adds up who is where, slot after slot, some each turn. */
struct presence_audit {
	struct hub_slot *slot;   /* NULL: none is under way */
	struct channel *channel; /* up to here, and there */
	uint64_t at;
	uint64_t members[HUB_NODES_MAX]; /* of each node; takes in what changes behind it */
	uint32_t next, due;              /* which of the slots is next, and how many are due */
};

struct hub_far {
	struct hub_slot *slots;   /* those of this worker */
	struct list due, waiting; /* slots that have something to do, now or a little later */
	struct slab proposals, errands, waiters;
	struct list errands_by_age;
	uint64_t errand_bytes;
	struct waiter *owed_first, *owed_last; /* answers to workers, oldest first */
	uint64_t up[CHANNEL_NODE_WORDS], gone[CHANNEL_NODE_WORDS];
	uint64_t dead[CHANNEL_NODE_WORDS]; /* nodes whose members are on their own now */
	uint64_t lost[CHANNEL_NODE_WORDS]; /* those that may have lived on, and be back */
	uint64_t back_ms;                  /* since when the last of them is */
	struct presence_audit audit;
	uint32_t people;               /* as many may still be looked at in this turn */
	struct list presences_waiting; /* for their set to be whole */
	uint32_t presence_asks;        /* that wait in them, PRESENCE_ASKS_MAX at most */
	struct list unwhole;           /* slots with this home, whose sets are not */
	uint32_t sweep_next; /* index of the channel to look at next for nodes that are gone */
	uint64_t tried_ms, asked_ms;
	uint64_t mark, retries; /* hidden keys: this hub, and how many it gave */
};

static inline struct hub_slot *far_slot(const struct hub *hub, uint32_t slot)
{
	CHECK_SLOW(slot < SLOTS && slot % hub->options.workers == hub->options.worker);
	return &hub->far->slots[slot / hub->options.workers];
}

/* Is this node the one that gives the channel its order? */
static inline bool far_is_home(const struct hub *hub, uint16_t slot)
{
	return hub->far == NULL || far_slot(hub, slot)->home == HOME_HERE;
}

/* Is it, and has it given out all that is committed? Who has had the rest from a replica asks from
 * behind what it could answer. */
static inline bool far_is_home_at_hand(const struct hub *hub, uint16_t slot)
{
	return hub->far == NULL || (far_is_home(hub, slot) && far_slot(hub, slot)->committed == 0);
}

static inline bool far_bit(const uint64_t *words, uint32_t node)
{
	return (words[node / 64] >> node % 64 & 1) != 0;
}

static inline void far_set(uint64_t *words, uint32_t node, bool is_on)
{
	uint64_t bit = 1ull << node % 64;
	words[node / 64] = is_on ? words[node / 64] | bit : words[node / 64] & ~bit;
}

/* Is its home another node, and up? */
static inline bool far_is_reached(const struct hub *hub, const struct hub_slot *slot)
{
	return slot->home == HOME_ELSEWHERE && far_bit(hub->far->up, slot->node);
}

/* And has that been told all that there is to tell anew? */
static inline bool far_is_in_touch(const struct hub *hub, const struct hub_slot *slot)
{
	return far_is_reached(hub, slot) && !slot->needs_sync;
}

/* Of a home: who is present anywhere has been told, as far as it can be. */
static inline bool far_is_whole(const struct hub_slot *slot)
{
	return !list_is_linked(&slot->unwhole);
}

/* far.c */
MUST_CHECK bool far_init(struct hub *hub);
void far_stop(struct hub *hub); /* before channels are closed */
void far_free(struct hub *hub);
MUST_CHECK bool far_open(struct hub *hub, struct channel *channel);
void far_close(struct hub *hub, struct channel *channel);
/* The next one of its slot; NULL: it is the last. */
struct channel *far_channel_behind(const struct hub *hub, const struct channel *channel);
void far_is_due(struct hub *hub, struct hub_slot *slot);
/* It has other idempotency keys than before: what saves them is to begin with them again. */
void far_keys_moved(struct hub *hub, const struct channel *channel);
uint64_t far_name_hash(const struct channel *channel);
/* The key of a publication that was given none. */
#define FAR_KEY_BYTES 16
struct slice far_make_key(struct hub *hub, char out[FAR_KEY_BYTES]);
/* False: others still need the channel to be here. */
bool far_may_end(struct hub *hub, struct channel *channel);
/* Some may still be to say that they follow it, or what they know of it. */
bool far_is_in_doubt(const struct hub *hub, const struct channel *channel);
/* Nobody here has followed it for a while. */
void far_give_up(struct hub *hub, struct channel *channel);
/* Must the channel stay, though nobody here follows it? */
bool far_keeps(const struct hub *hub, const struct channel *channel);
void far_send(struct hub *hub, uint32_t node, const struct far_mail *mail);
/* How many of these, from the first, one letter holds. */
size_t far_fit(struct record *const *records, size_t count);

struct waiter *waiter_make(struct hub *hub, bool is_far, uint32_t from, struct slab_handle token);
void waiters_drop(struct hub *hub, struct waiter *waiters);
/* All of them are answered, and gone. */
void waiters_answer(struct hub *hub, struct waiter *waiters, uint16_t slot,
                    const struct publish_result *result);

/* far_home.c */
bool home_proposes(const struct channel *channel);
struct publish_result home_propose(struct hub *hub, struct channel *channel, struct record *record,
                                   struct waiter *waiters, struct cursor origin);
struct publish_result home_wait(struct hub *hub, struct channel *channel, uint64_t seq,
                                struct waiter *waiters, bool is_duplicate);
void home_tell_nodes(struct hub *hub, struct channel *channel, struct record *record);
/* These two: into the log, and nobody waits for it. False: not now. */
MUST_CHECK bool home_propose_end(struct hub *hub, struct channel *channel);
/* The next number, as all up to `lost` of an order is lost in part. */
MUST_CHECK bool home_propose_gap(struct hub *hub, struct channel *channel, struct cursor lost);
/* Nodes that follow are to ask from where on it goes on. */
void home_doubt_nodes(struct hub *hub, const struct channel *channel);
void home_begin(struct hub *hub, struct hub_slot *slot);
void home_end(struct hub *hub, struct hub_slot *slot);
/* What was committed here, and waits for memory or room, is with its copies: this is none now. */
void home_forget(struct hub *hub, struct hub_slot *slot);
void home_node_changed(struct hub_slot *slot, uint32_t node);
void home_receive(struct hub *hub, uint32_t node, const struct far_mail *mail);
/* What the home believes of that node, of which it knows something. */
void home_send_digest(struct hub *hub, const struct hub_slot *slot, uint32_t node);
/* What is known of that node; NULL: no memory. */
struct slot_edge *home_edge(struct hub_slot *slot, uint32_t node);
/* The same, if what the letter says is newer than what was heard before. */
struct slot_edge *home_hear(struct hub *hub, struct hub_slot *slot, uint32_t node,
                            const struct far_mail *mail);
bool home_turn(struct hub *hub, struct hub_slot *slot); /* true: there is more */

/* far_tail.c */
void errand_publish(struct hub *hub, uint16_t slot, struct record *record, struct waiter *waiters);
/* Takes over what the letter owns, and asks or waits. */
void errand_begin(struct hub *hub, uint16_t slot, const struct hub_mail *mail);
bool errands_turn(struct hub *hub, struct hub_slot *slot, uint32_t *budget);
void errands_again(struct hub *hub); /* those that were not answered; those that are too old */
void errand_drop(struct hub *hub, struct errand *errand);
void tail_give_up(struct hub *hub, struct channel *channel);
/* The record is the channel's next, from wherever it came. False: no memory, or no room. */
MUST_CHECK bool tail_append(struct hub *hub, struct channel *channel, struct record *record);
void tail_lose_touch(struct hub_slot *slot);
void tail_receive(struct hub *hub, uint32_t node, const struct far_mail *mail);
bool tail_turn(struct hub *hub, struct hub_slot *slot); /* true: there is more */
void tail_ask_home(struct hub *hub, struct hub_slot *slot);

/* far_presence.c. The home: */
void presence_home_begin(struct hub *hub, struct presence *presence);
void presence_home_end(struct hub *hub, struct presence *presence);
/* All nodes that are up are to be heard before anybody is told. */
void presence_await_nodes(struct hub *hub, struct hub_slot *slot);
void presence_home_receive(struct hub *hub, struct hub_slot *slot, uint32_t node,
                           const struct far_mail *mail);
void presence_home_sync(struct hub *hub, struct hub_slot *slot, uint32_t node); /* all comes anew */
void presence_home_synced(struct hub *hub, struct hub_slot *slot, uint32_t node);
/* Adds up who is where. True: it has; false: there is more. */
MUST_CHECK bool presence_audit(struct hub *hub, struct hub_slot *slot);
/* The slot is another's, or the channel goes. */
void presence_audit_drop(struct hub *hub, const struct hub_slot *slot);
void presence_audit_skip(struct hub *hub, const struct channel *channel);
void presence_forget_nodes(struct hub *hub, struct channel *channel, const uint64_t *dead);
/* Where it is elsewhere: */
void presence_far_receive(struct hub *hub, struct hub_slot *slot, const struct far_mail *mail);
/* It is told all anew, from here on. True: it has been; false: there is more. */
void presence_far_sync(struct hub *hub, struct hub_slot *slot);
MUST_CHECK bool presence_far_tell(struct hub *hub, struct hub_slot *slot);
void presence_far_told(struct hub *hub,
                       struct hub_slot *slot); /* and it was said that these were all */
/* What has changed; the same. */
MUST_CHECK bool presence_far_report(struct hub *hub, struct hub_slot *slot);
void presence_far_found(struct hub *hub); /* those that were lost, and have been back for long */
void presence_far_again(struct hub *hub); /* those that wait */
void presence_tell_skip(struct hub *hub, const struct channel *channel); /* which goes */

/* far_replica.c */
void restoring_drop(struct hub_slot *slot);

/* far_merge.c: when streams part, and meet */
/* The channel is to have another order: what it holds in the present one is kept aside. False: no
 * memory. */
MUST_CHECK bool order_leave(struct hub *hub, struct channel *channel);
/* It is to go on from behind `from` in its order, and what the slot's log brings before that comes
 * later: what it holds is kept aside till then. False: no memory. */
MUST_CHECK bool order_skip(struct hub *hub, struct channel *channel, uint64_t from);
/* It is in one again that it has left. False: no memory, or no room; to be tried again. */
MUST_CHECK bool order_resume(struct hub *hub, struct channel *channel, struct past *past);
/* What was kept goes in front of the log, as far as it reaches, and the latest of each key among
 * the others. False: no memory, some may have. */
MUST_CHECK bool order_refill(struct hub *hub, struct channel *channel, const struct past *past);
/* The slot has another stream: where the channel has left an order of that, it resumes it. */
void order_is_due(struct hub_slot *slot, struct channel *channel);
/* Its order is one of the present stream; else it resumes one, or at home begins one. False: not
 * yet. */
MUST_CHECK bool order_renew(struct hub *hub, struct channel *channel);
/* At home: publishes again what it has of orders that it has left, and that was perhaps not
 * committed. False: not all of it yet. */
MUST_CHECK bool order_redeem(struct hub *hub, struct channel *channel);
/* Nothing has that number, the next one: who follows, or comes back from before it, is told of a
 * gap. The latest of keys is aside then, till order_join(). False: no memory, or no room. */
MUST_CHECK bool order_gap(struct hub *hub, struct channel *channel, uint64_t seq);
/* What was kept aside of the present order has been joined by all that comes behind it. False: no
 * memory. */
MUST_CHECK bool order_join(struct hub *hub, struct channel *channel);
/* A record of a stream that is being left, and perhaps was not committed. False: no memory. */
MUST_CHECK bool order_apply_unsure(struct hub *hub, struct record *record);
