/*
 * slots.h - one worker's slots on one node: who is home, the replicated log, and what to do when
 * nodes come and go.
 *
 * A slot has a home, which gives its log entries their order, and replicas, as many as its home is
 * told to have and the home among them, which hold the log. An entry is committed, and applied,
 * when a majority holds it: so whoever takes over from a majority has it. To take over, or to
 * change the set, a node makes a higher term and seals the replicas: they promise it, and accept
 * nothing lower any more. From what they answer it takes the log of the highest term, the longest
 * of these, installs it at the new set, and is home once a majority of that has it. A replica
 * remembers who has sealed it, and with which set, until somebody is known to have become home: so
 * a home that got no further than to be one is found, and asked, too. Only the processes that were
 * in a set count in it: one that has started again has another boot id, and is a new member that
 * knows nothing.
 *
 * Where no majority is to be had for SLOTS_UNCLEAN_MS, a new stream is opened beside the old one,
 * with what the opener has of that: a loss is told, never silent. It is opened at once where all
 * that held the old one are known to have ended. With SLOTS_PAUSE only those do so who hear more
 * than half of the nodes; the others serve nobody. When two streams of a slot meet, the one with a
 * home that can still seal its set stays, else that of the higher term. Each replica of the other
 * one gives what it has made to the home that stays, until it is in the log there.
 *
 * The log holds opaque blobs; what they mean is the application's. Entries behind the last one that
 * was applied are few. Of those before it the log keeps a window for replicas that lag a little;
 * who lags more, or has nothing, is sent the application's state.
 *
 * Nothing that is lost on the way matters: what is not answered is said again.
 *
 * Threads:   the worker's own. Pure: time, frames, members and proposals come in, what is to be
 *            done goes out by struct slots_out, whose functions must not call back, but for
 *            merge().
 * Ownership: the slots own their logs. A blob that is handed out is lent: who keeps it takes a
 *            reference.
 * Limits:    SLOT_ENTRY_MAX bytes an entry, and a chunk of state; SLOTS_PENDING_* that are not
 *            committed; a window of SLOTS_WINDOW_*; SLOTS_MOVING_MAX slots of the node in motion
 *            that need not be; SLOTS_TAKEOVERS_MAX that change their home or set at all;
 *            SLOTS_PULLS_MAX that copy at once. A lack of memory delays, and
 *            loses nothing that was acknowledged.
 * Source:    the take-over is the first phase of Paxos (Lamport 1998) with reconfiguration as in
 *            Vertical Paxos (Lamport, Malkhi, Zhou 2009); the matching of logs by (term, number) is
 *            that of Viewstamped Replication (Oki and Liskov 1988) and Raft.
 */
#pragma once

#include "mesh/frame.h"
#include "mesh/slot_wire.h"

#define SLOTS_TICK_MS 50u      /* slots_tick() is to be called so often */
#define SLOTS_REPAIR_MS 250u   /* what was not answered is said again, at the soonest */
#define SLOTS_UNCLEAN_MS 5000u /* without a majority, before a new stream is opened */
#define SLOTS_SETTLE_MS 10000u /* a node is ready so long before slots move to it */
#define SLOTS_GRACE_MS 5000u   /* a log whose stream has lost is kept so long, lest that change */
#define SLOTS_SLOW_MS 2000u    /* a replica that lags so long is replaced */

#define SLOT_ENTRY_MAX (FRAME_DATA_MAX - SLOT_FRAME_OVERHEAD)
#define SLOTS_PENDING_ENTRIES 4096u
#define SLOTS_PENDING_BYTES (8u << 20)
#define SLOTS_WINDOW_ENTRIES 1024u
#define SLOTS_WINDOW_BYTES (256u << 10)
#define SLOTS_WINDOW_MS 10000u /* and not for longer */
#define SLOTS_MOVING_MAX 64u
#define SLOTS_PULLS_MAX 64u
#define SLOTS_TAKEOVERS_MAX 512u /* at once: what a node can answer in time */

enum slots_member_state {
	SLOTS_MEMBER_JOINING = 0,
	SLOTS_MEMBER_READY,
	SLOTS_MEMBER_DRAINING,
	SLOTS_MEMBER_DEAD, /* it is silent; it may live */
	SLOTS_MEMBER_GONE, /* its process has ended: it left, or its place was seen empty */
};

struct slots_member {
	struct boot_id boot;
	enum slots_member_state state;
	bool is_linked;
};

/* Which side of a cut may serve. */
enum slots_partition {
	SLOTS_MERGE = 0, /* each, and what they did is put together again */
	SLOTS_PAUSE,     /* the one that hears more than half of the nodes */
};

/* Where a slot's home is. */
enum slots_place {
	SLOTS_NOWHERE = 0, /* not known, dead, or not to be had now */
	SLOTS_HERE,
	SLOTS_THERE,
};

struct slots_role {
	enum slots_place place;
	bool is_replica;     /* what is applied, restored and cleared here belongs to a log */
	struct boot_id home; /* HERE, THERE */
	struct slot_term stream;
};

/* What is saved. */
enum slots_saved {
	SLOTS_STATE = 0, /* all of it, for a replica */
	SLOTS_FORKED,    /* what of it the home of another stream might lack */
};

struct slots_out {
	/* To a node that is linked, on the lane of that type; or it may be left out. */
	void (*send)(struct slots_out *out, const struct boot_id *to, enum frame_type type,
	             uint16_t slot, struct blob *body);
	/*
	 * It is another one than before; told at the end of the call in which it became so. What is
	 * applied is of the stream that was told last; where that is none, after there was one, a
	 * stream is being left, and what is applied then may never have been committed in it.
	 */
	void (*role)(struct slots_out *out, uint16_t slot, const struct slots_role *role);
	/* The next entry in order; `cookie` is that of slots_propose(), if it was called here. */
	void (*apply)(struct slots_out *out, uint16_t slot, uint64_t lsn, struct blob *entry,
	              uint64_t cookie);
	/* An entry that was proposed here, and it is not known that it will ever be applied. */
	void (*refused)(struct slots_out *out, uint16_t slot, struct blob *entry, uint64_t cookie);
	/*
	 * What has been applied, in parts of up to SLOT_ENTRY_MAX. It is asked for one part after
	 * the other without anything else in between, `*at` being 0 at first and then whatever it
	 * was set to; NULL: there is no more. Without memory `*failed` is set.
	 */
	struct blob *(*save)(struct slots_out *out, uint16_t slot, enum slots_saved what,
	                     uint64_t *at, bool *failed);
	/* A part of SLOTS_STATE, after clear(), in order. False: no memory, or malformed. */
	bool (*restore)(struct slots_out *out, uint16_t slot, struct slice part);
	/* What was applied is to be forgotten. */
	void (*clear)(struct slots_out *out, uint16_t slot);
	/* A part of SLOTS_FORKED: what of it is lacking here is to be proposed, by slots_propose().
	 * False: not all of it could be. */
	bool (*merge)(struct slots_out *out, uint16_t slot, struct slice part);
};

struct slots_options {
	struct slots_out *out;
	struct boot_id boot;
	uint32_t count;           /* of slots in the cluster */
	uint32_t worker, workers; /* the slots with slot % workers == worker are these */
	uint32_t replicas;        /* of a slot whose home is here: 1 .. SLOT_REPLICAS_MAX */
	enum slots_partition partition;
	uint64_t now_ms;
	uint64_t seed; /* of the jitter */
};

struct slots_counters {
	uint64_t takeovers; /* this node became home of a slot that was another's */
	uint64_t changes;   /* it changed the replicas of one that is its own */
	uint64_t handovers; /* among the take-overs: from a home that lives */
	uint64_t opened;    /* streams out of nothing */
	uint64_t unclean;   /* streams beside another one */
	uint64_t abandoned; /* take-overs that came to nothing */
	uint64_t proposed, committed, refused;
	uint64_t snapshots, restored;
	uint64_t forks, merged; /* streams of this node that lost; parts of others' taken in */
};

struct slots;

struct slots *slots_create(const struct slots_options *options); /* NULL: no memory */
void slots_destroy(struct slots *slots);

void slots_tick(struct slots *slots, uint64_t now_ms);
/* At the end of a turn: sends what was proposed and acknowledged since. */
void slots_flush(struct slots *slots);

/* All members, this node among them. One that is DEAD stays among them as long as it may come
 * back: they are the whole that a majority is of. Of one that is not among them nobody knows that
 * it has ended: it may live, and hold what it held. */
void slots_members(struct slots *slots, const struct slots_member *members, size_t count,
                   uint64_t now_ms);

/* A frame about one of these slots. False: it is malformed, and the link is to be closed. */
MUST_CHECK bool slots_take(struct slots *slots, const struct boot_id *from,
                           const struct frame *frame, uint64_t now_ms);

/* An entry of a log. Behind its bytes is room for a pointer, of whoever applies it: so one that
 * cannot be applied yet can wait without memory for that. NULL: no memory. */
struct blob *slots_entry_make(struct slice bytes);
struct blob *slots_entry_next(const struct blob *entry);
void slots_entry_set_next(struct blob *entry, struct blob *next);

/* Puts an entry into the log of a slot whose home is here: it will be applied or refused, perhaps
 * before this returns. False: the home is not here, or too much waits; nothing was done. */
MUST_CHECK bool slots_propose(struct slots *slots, uint16_t slot, struct blob *entry,
                              uint64_t cookie);

/* How far the slots whose home is here are ahead of what others hold of them. */
struct slots_lag {
	uint64_t uncommitted; /* entries that no majority holds yet, in all slots */
	uint64_t behind;      /* entries that the replica which is furthest behind lacks */
	uint64_t term;  /* the highest of any slot, whoever has it: it rises with each take-over */
	uint64_t spare; /* of the replicas of any slot so many may end, and another goes on with all
	                 */
};

/* What is to be seen. */
struct slots_lag slots_lag(const struct slots *slots); /* looks at all slots */
void slots_role(const struct slots *slots, uint16_t slot, struct slots_role *role);
const struct slots_counters *slots_counters(const struct slots *slots);
/* Nothing of these slots is in motion, and no replica is wanted elsewhere than it is. */
bool slots_is_settled(const struct slots *slots);
