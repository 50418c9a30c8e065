/*
 * hub_state.h - the inside of a hub, shared by the files that make it: hub.c (table, sessions,
 * timers), walk.c (moving cursors), command.c (what clients ask), agent.c (what a channel's agent
 * does), answer.c (what comes back from agents), presence.c (who is there) and adopt.c (other
 * rules). Those of a cluster have far_state.h beside it. Nobody else includes it, but for the
 * simulation, which holds the inside against what it should be.
 */
#pragma once

#include "base/random.h"
#include "hub/hub.h"
#include "hub/presence.h"

/* A command that waits for its agent's answer. */
struct request {
	uint32_t generation;
	uint8_t kind; /* enum mail_kind of the letter that asked */
	bool has_since;
	bool is_unanswered;  /* MAIL_PUBLISH: only a refusal is told */
	bool wants_presence; /* MAIL_FOLLOW */
	uint32_t ref_len;
	struct slab_handle session;
	struct channel *channel; /* MAIL_FOLLOW, or of a watcher: counted in its request_count */
	struct cursor since;     /* MAIL_FOLLOW, when has_since */
	uint64_t asked_us;       /* when the turn began that asked */
	union {
		char ref_small[24];
		char *ref_large; /* when ref_len is larger */
	};
	struct channel_name *name;  /* MAIL_HISTORY: for the answer */
	struct slab_handle watcher; /* MAIL_PRESENCE: it is for that one */
};

/* What followers at one place are sent in one piece. */
struct burst {
	uint64_t number; /* no other burst of this hub has it */
	bool is_for_all; /* who stands at the same place gets the same */
	bool is_of_keys; /* gathered along the keys, not along the log */
	const struct channel *channel;
	uint64_t from, limit; /* the place: where it begins, and the last record there is */
	uint64_t next;        /* the number behind all of them, and behind those left out */
	uint64_t bytes;
	uint64_t settled_us; /* when its first record got its place */
	size_t count;
	struct record *records[WALK_RECORDS_MAX];
};

struct hub {
	struct hub_options options;
	struct hub_out *out;
	struct hub_far *far; /* NULL: there are no other nodes */
	uint64_t now_ms, unix_us;
	struct slab channels, followers, requests;
	struct map table;    /* channels by name */
	struct list dirty;   /* channels with a walk due */
	struct list carried; /* those of them whose walk has begun, and goes on behind the others */
	/* Channels of which this is the agent, and that nobody needs: the first is unused for
	 * longest. One that is needed again may be among them until it is settled. */
	struct list lingering;
	uint32_t lingering_count;
	/* Channels given up whose agents are to be told, oldest first: the post had no room. */
	struct channel_name *owed_first, *owed_last;
	/* presence.h: by the places of channels and followers, those with a walk due, and letters
	 * for which the post had no room. */
	struct map presences, watching;
	struct slab watchers;
	struct list presences_due, farewells;
	struct occupant *entered_first, *entered_last;
	struct random random;
	struct hub_counters counters;
	uint32_t adopt_next; /* index of the channel to look at next; meanwhile is_adopting */
	bool is_adopting;    /* some channels may still have rules of the set before */
	uint32_t behind_count, far_behind_count; /* channels that are */
	struct burst burst;                      /* the last one gathered; good within one walk */
	uint64_t unmeasured; /* messages of it delivered since the clock was read */
};

/* hub.c: table, sessions */
void answer_free(struct mail_answer *answer); /* NULL is fine */
uint32_t hub_agent_of(const struct hub *hub, struct slice channel);
uint64_t hub_hash(const struct hub *hub, struct slice channel);
const struct rule *hub_rule(const struct hub *hub, struct slice channel);
struct channel *hub_find(const struct hub *hub, struct slice name, uint64_t hash);
struct channel *hub_open(struct hub *hub, struct slice name); /* found or made; NULL: no memory */
void hub_close(struct hub *hub, struct channel *channel);     /* out of the table, and freed */
uint64_t hub_make_epoch(struct hub *hub);
struct channel_name *hub_name_make(const struct hub *hub, struct slice name);
void hub_settle(struct hub *hub, struct channel *channel); /* somebody left, or an answer came */
/* Something in it will be too old by then. */
void hub_look_again(struct hub *hub, struct channel *channel, uint64_t delay_ms);
bool hub_has_room(struct hub *hub); /* for the letters of a command; those that are owed go first */
/* Keys for a channel: where there are none yet, and of records that were there before them, the
 * newest first. False: no memory. */
MUST_CHECK bool hub_make_keyed(struct hub *hub, struct channel *channel);
MUST_CHECK bool hub_put_older(struct hub *hub, struct channel *channel, struct record *record,
                              uint64_t added_ms);

void hub_note_publish(struct hub *hub, uint64_t asked_us); /* one has its place, and is told */

/* walk.c */
/* The channel's order is another from here on, or has a hole: what comes next is the record behind
 * `from`. Each follower is told. */
void hub_rebase(struct hub *hub, struct channel *channel, uint64_t epoch, uint64_t from);
/* The record becomes the newest of the channel's log. False: no memory; it is as it was. */
MUST_CHECK bool hub_keep(struct hub *hub, struct channel *channel, struct record *record);
/* It was kept: have it walked. */
void hub_append(struct hub *hub, struct channel *channel, struct record *record);
void hub_feed(struct hub *hub, struct follower *follower);   /* send what it lags */
void hub_walk_now(struct hub *hub, struct channel *channel); /* a throttle waits no longer */
void walk_timer(struct hub *hub, struct channel_keyed *keyed);

/* agent.c: on the channel's agent. The error is ERROR_NONE, or why not. */
struct follow_result {
	enum error_code error;
	uint64_t epoch, head; /* the newest record's number */
	uint64_t from;        /* the position given: the records to send are from + 1 to head */
	bool is_recovered;
	bool is_latest; /* they come with holes: the latest of each key */
};
struct history_result {
	enum error_code error;
	uint64_t epoch, cursor;
	uint64_t first, end; /* records first .. end - 1 of the channel's log */
	bool has_more;
	struct channel *channel;
};
struct publish_result {
	enum error_code error;
	uint64_t epoch, seq;
	bool is_duplicate; /* the id is that of an earlier record with the same idempotency key */
	bool is_pending;   /* not committed yet: who waits is answered then */
};
struct waiter;
/* Takes over the record. On success it has its place in the order, unless the result is pending:
 * then the waiters have been taken over too. Without a cluster there are none. */
struct publish_result agent_publish(struct hub *hub, struct record *record, struct waiter *waiters);
/* The record has its place, which is new, and its key is remembered: it is proposed, or committed.
 * `origin`: the place that it had in a fork, or epoch 0. */
struct publish_result agent_place(struct hub *hub, struct channel *channel, struct record *record,
                                  struct waiter *waiters, struct cursor origin);
/* The record becomes the channel's newest, for all who follow. False: no memory, nothing changed.
 */
MUST_CHECK bool agent_commit(struct hub *hub, struct channel *channel, struct record *record);
/* Remembers the record's idempotency key, if it has one, with that number, or finds an earlier one
 * (else 0). False: no memory. And takes that back. */
MUST_CHECK bool agent_remember(struct hub *hub, struct channel *channel,
                               const struct record *record, uint64_t seq, uint64_t *earlier);
struct duplicates *agent_keys(struct channel *channel, bool is_hidden); /* NULL: no memory */
void agent_forget(struct hub *hub, struct channel *channel, const struct record *record,
                  uint64_t seq);
/* A letter to each worker that follows the channel. */
void agent_tell_workers(struct hub *hub, const struct channel *channel, struct record *record);
/* As hub_rebase(), and the workers that follow are told. False: no memory, nothing changed. */
MUST_CHECK bool agent_rebase(struct hub *hub, struct channel *channel, uint64_t epoch,
                             uint64_t from);
/* The channel of that name, ready for its agent to act as its home. NULL: no memory. */
struct channel *agent_open(struct hub *hub, struct slice name);
struct mail_answer *agent_answer_follow(const struct channel *channel,
                                        const struct follow_result *result, bool has_since);
/* To a worker, which may be this one. */
void agent_reply(struct hub *hub, uint32_t worker, const struct hub_mail *back);
void agent_reply_published(struct hub *hub, uint32_t worker, struct slab_handle token,
                           const struct publish_result *result);
struct follow_result agent_follow(struct hub *hub, struct channel *channel,
                                  const struct cursor *since);
struct history_result agent_history(struct hub *hub, struct slice name, const struct cursor *since,
                                    const uint64_t *limit);
void agent_receive(struct hub *hub, const struct hub_mail *mail); /* MAIL_PUBLISH, _FOLLOW … */
void agent_settle(struct hub *hub, struct channel *channel);
void agent_timer(struct hub *hub, struct channel *channel);
void agent_make_room(struct hub *hub);                           /* for one channel more */
void agent_linger_end(struct hub *hub, struct channel *channel); /* it is used again, or goes */

/* command.c: a letter to the channel's agent, with the token of a request that remembers who asked;
 * it is answered now, or later. */
struct mail_ask *ask_make(const struct hub_command *command); /* NULL: no memory */
void ask_agent(struct hub *hub, struct slice channel, const struct request *request,
               struct hub_mail *mail);

/* answer.c: on the worker that asked. */
/* No session: the hub itself asks. */
struct request *request_make(struct hub *hub, struct session *session, uint8_t kind,
                             struct slice ref);
void request_drop(struct hub *hub, struct request *request);
void answer_receive(struct hub *hub, const struct hub_mail *mail); /* MAIL_PUBLISHED … */
/* The follower gets its position and the client its answer; what it lags is sent. */
void answer_subscribed(struct hub *hub, struct follower *follower, struct slice ref,
                       const struct follow_result *result, bool has_since);
/* The answer to one that subscribes again; without `since` that is NULL. */
void answer_again(struct hub *hub, const struct follower *follower, struct slice ref,
                  const struct cursor *since);
struct follower *session_follower(const struct session *session, const struct channel *channel);
void session_unfollow(struct hub *hub, struct session *session, struct follower *follower,
                      enum parting parting);
