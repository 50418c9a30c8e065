/*
 * slots_state.h - what the files slots*.c and slot_*.c share; nobody else includes it.
 *
 * Of a slot at rest there is its struct slot, and on its replicas a struct replica with an empty
 * log. All else lives only while it is needed.
 *
 * Threads:   as slots.h.
 * Ownership: a slot owns what it points at.
 * Limits:    static_assert says what a slot at rest costs.
 */
#pragma once

#include "base/list.h"
#include "base/random.h"
#include "mesh/slots.h"

#define TAKEOVER_SETS_MAX 8u
#define FORKS_MAX 8u

/* Copying what a replica lacks from one that has it; asks again until it has come. */
struct pull {
	bool is_on, is_counted; /* counted: among SLOTS_PULLS_MAX */
	struct boot_id from;
	struct slot_term term; /* of the one who is home, or means to be */
	uint64_t snapshot;     /* 0: asks for entries. Else the state's mark, and the next chunk */
	uint32_t chunk;
	uint64_t checked; /* up to there the log is the other one's */
	uint64_t asked;   /* entries from there on; what begins elsewhere is no answer */
	uint64_t asked_ms;
};

struct replica {
	struct slot_term stream;
	struct slot_term accepted; /* the log is that of this term's home, as far as it goes */
	struct slot_log log;
	uint64_t commit; /* applied up to here */
	bool is_whole;   /* what was applied is all up to log.base; false: it is being copied */
	bool has_lost;   /* what was acknowledged was given up for a copy that is not whole yet */
	bool is_partial; /* parts of a state have come */
	bool owes;       /* HOLDS is to be sent */
	struct slot_term installing; /* of the newest INSTALL */
	struct slot_mark start;      /* where its log begins */
	struct pull pull;
	uint64_t strayed_ms; /* since when the slot's stream is another one; 0: it is not */
	uint64_t heard_ms;   /* INSTALL came last */
};

struct report {
	struct boot_id boot;
	bool has_answered, has_lost, is_whole;
	struct slot_term accepted, stream;
	struct slot_mark last;
};

enum takeover_phase {
	TAKEOVER_SEALING = 0,
	TAKEOVER_FETCHING,
	TAKEOVER_INSTALLING,
};

struct waiting {
	struct blob *blob;
	uint64_t cookie;
};

struct takeover {
	enum takeover_phase phase;
	struct slot_entry base;  /* after which it comes */
	struct slot_entry entry; /* that it is to make */
	bool is_motion;          /* it need not be: counted in SLOTS_MOVING_MAX */
	bool is_unclean;
	bool keeps_log;    /* a home changes its set: what is proposed meanwhile follows its log */
	uint64_t asked_ms; /* what is asked now was asked first */
	uint64_t said_ms, advanced_ms;
	struct report *reports; /* of all that are in one of the sets */
	unsigned report_count, report_room;
	struct slot_proposal sets[TAKEOVER_SETS_MAX]; /* of the base, then those it was told of */
	unsigned set_count;
	struct report best;     /* FETCHING: whose log it takes */
	struct slot_mark start; /* INSTALLING: the log's end */
	uint64_t held[SLOT_REPLICAS_MAX];
	struct lead *lead;       /* made in time, so that there is no lack of memory at the end */
	struct waiting *waiting; /* proposed while the home changes its own set */
	uint32_t waiting_count, waiting_room;
	size_t waiting_bytes;
};

/* What a home knows of a replica. */
struct follower {
	uint64_t held;
	uint64_t goal; /* what is to be held by then */
	uint64_t goal_ms;
};

struct merging {
	bool is_on;
	struct boot_id from;
	struct wire_fork_ok ok;
	uint64_t lsn; /* to be committed first */
};

struct lead {
	struct slot_mark start;                       /* the log's end when it began */
	struct follower followers[SLOT_REPLICAS_MAX]; /* as in entry.set */
	uint64_t sent, told_commit;
	uint64_t said_ms, reminded_ms;
	bool has_learner, learner_is_urgent, has_held; /* it has said what it holds */
	struct boot_id learner; /* to be a replica when it has copied the log */
	uint64_t learner_held, learner_ms;
	struct boot_id slow; /* a replica that lagged; not wanted until then */
	uint64_t slow_until_ms;
	struct merging merging;
};

struct slot_parts {
	struct blob **at;
	uint32_t count;
};

struct snapshot {
	struct slot_mark at;
	uint64_t used_ms;
	struct slot_parts parts;
};

struct fork {
	struct fork *next;
	struct slot_term stream;
	uint64_t key;
	struct slot_term given; /* the stream that it is given to */
	uint32_t next_part;
	uint64_t said_ms;
	struct boot_id said_to;
	struct slot_parts parts;
};

struct slot {
	struct list_node dirty; /* there is something for slots_flush() */
	struct slot_entry entry;
	struct slot_term promised;
	struct slot_proposal *proposals; /* SLOT_PROPOSALS_MAX; NULL: none */
	struct replica *replica;
	struct takeover *takeover;
	struct lead *lead; /* it is home */
	struct snapshot *snapshot;
	struct fork *forks;
	uint64_t due_ms;   /* slot_tick() has something to do */
	uint64_t need_ms;  /* since when a home is wanted and there is none; 0: there is one */
	uint64_t retry_ms; /* no take-over before */
	uint64_t calm_ms;  /* since when the entry is what it is */
	uint16_t wanted[SLOT_REPLICAS_MAX]; /* numbers of members, by claim */
	uint16_t number;
	uint8_t wanted_count, proposal_count;
	uint8_t told; /* enum slots_place */
	bool told_replica;
	bool is_queued;   /* it would take over, and too many do already */
	uint8_t contests; /* promises to others since there was a home */
	struct slot_term told_term;
	uint32_t wanted_version;
};

static_assert(sizeof(struct slot) <= 384, "4096 of them are on each node");
static_assert(sizeof(struct replica) <= 320, "and mesh.replicas such for each slot of the cluster");

struct known_member {
	struct slots_member said;
	uint64_t ready_ms; /* since when it is ready; 0: it is not */
	uint32_t digest;   /* slots whose digest it was sent since it is linked */
};

struct slots {
	struct slots_out *out;
	struct slots_options options;
	struct random random;
	uint64_t now_ms;
	struct slot *slot;
	uint32_t count; /* of these */
	struct known_member *members;
	uint32_t member_count;
	uint32_t version;    /* of the members */
	uint64_t settled_ms; /* since when no member was added or changed */
	uint32_t living, electorate;
	enum slots_member_state own_state;
	struct list dirty;
	struct buf scratch;
	uint32_t moving, pulls, takeovers;
	uint32_t gossip;    /* the slot whose digest is sent next */
	uint64_t gossip_ms; /* when some were sent last */
	uint64_t news_ms;   /* when an entry or a member changed here, or memory was short */
	uint64_t forks;     /* made so far */
	uint32_t answer_us; /* what an answer takes, smoothed */
	struct slots_counters counters;
};

/* ---- slots.c ---- */
/* One worker's part of what a node may have, rounded up. */
static inline uint32_t slots_share(const struct slots *slots, uint32_t of_node)
{
	return (of_node + slots->options.workers - 1) / slots->options.workers;
}

static inline bool slots_is_self(const struct slots *slots, struct boot_id boot)
{
	return boot_id_equals(slots->options.boot, boot);
}
const struct known_member *slots_member(const struct slots *slots, struct boot_id boot);
bool slots_is_alive(const struct slots *slots, struct boot_id boot);
bool slots_is_reachable(const struct slots *slots, struct boot_id boot); /* alive and linked */
bool slots_is_gone(const struct slots *slots, struct boot_id boot);
bool slots_may_serve(const struct slots *slots); /* as mesh.partition has it */
bool slots_hears_majority(const struct slots *slots);
/* What was asked at `asked_ms` is answered; what is said again, and given up, follows from that. */
void slots_answered(struct slots *slots, uint64_t asked_ms);
uint64_t slots_repair_ms(const struct slots *slots); /* SLOTS_REPAIR_MS, or more */
/* A body is written into the scratch between begin and send. */
struct buf *slots_begin(struct slots *slots);
/* It; NULL: there was no memory, nothing is sent, and it will be said again. */
struct blob *slots_take_body(struct slots *slots);
void slots_send(struct slots *slots, struct boot_id to, enum frame_type type, uint16_t slot);
void slots_send_all(struct slots *slots, enum frame_type type, uint16_t slot);
void slot_is_due(struct slot *slot);
void slot_mark_dirty(struct slots *slots, struct slot *slot);
void slot_tell_role(struct slots *slots, struct slot *slot);
/* Its replica leaves its stream. */
void slot_tell_leaving(struct slots *slots, struct slot *slot);

/* ---- slot_place.c: who should be what ---- */
/* The members with the highest claims; worked out again when there are others. */
void slot_want(struct slots *slots, struct slot *slot);
void slot_place_tick(struct slots *slots, struct slot *slot); /* it is not home */
void slot_plan(struct slots *slots, struct slot *slot);       /* it is */
void slot_drop_learner(struct slots *slots, struct slot *slot);

/* ---- slot_map.c ---- */
void slot_adopt(struct slots *slots, struct slot *slot, const struct slot_entry *entry);
void slot_say_map(struct slots *slots, const struct slot *slot, struct boot_id to);
void slot_say_digest(struct slots *slots, const struct slot *slot, struct boot_id to);
bool slot_take_map(struct slots *slots, struct slot *slot, const struct boot_id *from,
                   struct slice body);
bool slot_take_digest(struct slots *slots, struct slot *slot, const struct boot_id *from,
                      struct slice body);
void slots_gossip(struct slots *slots);

/* ---- slot_seal.c: promises, and becoming home ---- */
bool slot_may_promise(const struct slot *slot, const struct slot_term *term);
/* False: no memory, or too many have asked. */
bool slot_record(struct slot *slot, const struct slot_proposal *proposal,
                 const struct slot_term *base);
void slot_promise(struct slots *slots, struct slot *slot, const struct slot_term *term);
void slot_forget_proposals(struct slot *slot, const struct slot_term *up_to);
void slot_refuse(struct slots *slots, const struct slot *slot, struct boot_id to,
                 const struct slot_term *term);
bool slot_can_seal(const struct slots *slots, const struct slot_set *set);
/* How many of those that can be had may end before it cannot be sealed. */
unsigned slot_spare(const struct slots *slots, const struct slot_set *set);
void slot_take_over(struct slots *slots, struct slot *slot, const struct slot_set *set,
                    bool is_motion);
void slot_open(struct slots *slots, struct slot *slot, const struct slot_set *set);
void slot_abandon(struct slots *slots, struct slot *slot, uint32_t after_ms);
bool slot_fetched(struct slots *slots, struct slot *slot); /* more has come; true: that was all */
void slot_seal_tick(struct slots *slots, struct slot *slot);
bool slot_wait(struct slots *slots, struct slot *slot, struct blob *entry, uint64_t cookie);
bool slot_take_seal(struct slots *slots, struct slot *slot, const struct boot_id *from,
                    struct slice body);
bool slot_take_sealed(struct slots *slots, struct slot *slot, const struct boot_id *from,
                      struct slice body);
bool slot_take_refused(struct slots *slots, struct slot *slot, const struct boot_id *from,
                       struct slice body);
void slot_installed(struct slots *slots, struct slot *slot, const struct boot_id *from,
                    const struct wire_holds *holds);

/* ---- slot_home.c: while it is home ---- */
void slot_lead(struct slots *slots, struct slot *slot, struct takeover *takeover);
void slot_step_down(struct slots *slots, struct slot *slot);
bool slot_append(struct slots *slots, struct slot *slot, struct blob *entry, uint64_t cookie);
void slot_say_install(struct slots *slots, const struct slot *slot, struct boot_id to);
void slot_home_flush(struct slots *slots, struct slot *slot);
void slot_home_tick(struct slots *slots, struct slot *slot);
bool slot_take_holds(struct slots *slots, struct slot *slot, const struct boot_id *from,
                     struct slice body);

/* ---- slot_replica.c: holding a log ---- */
struct replica *slot_replica_make(struct slot *slot, const struct slot_term *stream);
void slot_replica_free(struct slots *slots, struct slot *slot);
void slot_advance(struct slots *slots, struct slot *slot, uint64_t commit); /* applies */
/* What is not known to be committed, too: its proposers are told that it may not be. */
void slot_advance_unsure(struct slots *slots, struct slot *slot);
void slot_cut(struct slots *slots, struct slot *slot, uint64_t lsn);
void slot_replica_flush(struct slots *slots, struct slot *slot);
void slot_replica_tick(struct slots *slots, struct slot *slot);
bool slot_take_install(struct slots *slots, struct slot *slot, const struct boot_id *from,
                       struct slice body);
bool slot_take_append(struct slots *slots, struct slot *slot, const struct boot_id *from,
                      struct slice body);

/* ---- slot_copy.c: from one that has it to one that lacks it ---- */
void slot_pull(struct slots *slots, struct slot *slot, struct boot_id from,
               const struct slot_term *term);
void slot_pull_next(struct slots *slots, struct slot *slot);
/* Entries from `first` to `last` have come: on with what comes behind them, if these were asked
 * for. */
void slot_pull_answered(struct slots *slots, struct slot *slot, uint64_t first, uint64_t last);
void slot_pull_end(struct slots *slots, struct slot *slot);
/* Writes an APPEND of what comes behind `previous`, or as much of it as goes into one. The number
 * of its last entry. */
uint64_t slot_append_write(struct slots *slots, const struct slot *slot,
                           const struct slot_term *term, uint64_t previous);
void slot_snapshot_free(struct slot *slot);
bool slot_take_need(struct slots *slots, struct slot *slot, const struct boot_id *from,
                    struct slice body);
bool slot_take_state(struct slots *slots, struct slot *slot, const struct boot_id *from,
                     struct slice body);

/* False: no memory. */
bool slot_save(struct slots *slots, struct slot *slot, enum slots_saved what,
               struct slot_parts *parts);
void slot_parts_free(struct slot_parts *parts);
void slot_snapshot_tick(struct slots *slots, struct slot *slot);
/* The log is empty, and nothing comes before it. */
void slot_begin_empty(struct slots *slots, struct slot *slot);

/* ---- slot_fork.c: what was done in a stream that has lost ---- */
/* Keeps what the replica has made, to be given away, and frees it. False: no memory. */
bool slot_fork(struct slots *slots, struct slot *slot);
void slot_forks_free(struct slot *slot);
void slot_fork_tick(struct slots *slots, struct slot *slot);
void slot_merged(struct slots *slots, struct slot *slot); /* more is committed */
bool slot_take_fork(struct slots *slots, struct slot *slot, const struct boot_id *from,
                    struct slice body);
bool slot_take_fork_ok(struct slots *slots, struct slot *slot, const struct boot_id *from,
                       struct slice body);
