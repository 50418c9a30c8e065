/*
 * hub.h - one worker's channels: takes commands, keeps logs and followers, says what to send.
 *
 * A command comes in by hub_execute(), letters of the other workers' hubs by hub_receive(),
 * time by hub_set_time() and hub_timer(). What follows from them goes out by the functions
 * of struct hub_out. Those must not call back into the hub: a connection that is to end is
 * marked (session->is_ended) and closed later, at the end of the turn.
 *
 * New records are not sent when they are appended, but by hub_walk(), in bounded steps, once
 * a turn: a burst then reaches each follower in one piece, and a channel with very many
 * followers does not keep the others waiting.
 *
 * Threads:   the worker's own. It includes no socket, clock or thread.
 * Ownership: see each struct; the hub frees what it made in hub_destroy(), before which all
 *            sessions are closed.
 * Limits:    as in limits.h and the options.
 */
#pragma once

#include "base/hash.h"
#include "base/latency.h"
#include "base/timer.h"
#include "hub/command.h"
#include "hub/event.h"
#include "hub/far.h"
#include "hub/mail.h"
#include "hub/rule.h"
#include "hub/session.h"

/* What a command, a letter or an end of a subscription causes at most to any one worker: the answer
 * of an agent, a record, and that its order is another. */
#define HUB_LETTERS_MAX 3

#define SLOTS 4096 /* channels are spread over workers, and nodes, by slot */

struct hub;

/* What the hub hands down to be sent: records of one channel, rising, from a follower's
 * position. How many were taken comes back; fewer than all means the sink is full, and
 * session->is_blocked has been set. A record taken in part counts as taken. */
struct delivery {
	const struct channel *channel;
	const struct follower *follower;
	struct record *const *records;
	size_t count;
	uint64_t burst; /* the same number, but 0: the same records as in the delivery before */
};

enum hub_end {
	HUB_END_SLOW = 0,  /* its lag passed limits.outbound_buffer */
	HUB_END_NO_MEMORY, /* a record could not be kept for it */
};

struct hub_out {
	void (*event)(struct hub_out *out, struct session *session, const struct hub_event *event);
	size_t (*deliver)(struct hub_out *out, struct session *session,
	                  const struct delivery *delivery);
	/* One of its requests has been answered: session->request_count is less by it. */
	void (*answered)(struct hub_out *out, struct session *session);
	/* The session is to be closed; sets is_ended. */
	void (*end)(struct hub_out *out, struct session *session, enum hub_end why);
	/* What a session is remembered by, while a letter is under way. */
	struct slab_handle (*handle)(struct hub_out *out, const struct session *session);
	/* The session of a handle, or NULL when it is gone. */
	struct session *(*find)(struct hub_out *out, struct slab_handle handle);
	/* Takes over what the letter owns. Cannot fail: has_room() was asked. */
	void (*post)(struct hub_out *out, uint32_t worker, const struct hub_mail *mail);
	/* Whether HUB_LETTERS_MAX letters can be posted to each worker. */
	bool (*has_room)(struct hub_out *out);
	/* The calendar's clock now, in µs since 1970. NULL: nothing is measured. */
	uint64_t (*now_us)(struct hub_out *out);
};

struct hub_options {
	uint32_t worker, workers; /* this one, of how many */
	struct hub_out *out;
	const struct rules *rules;
	struct timer_wheel *wheel;
	uint32_t timer_kind;      /* to mark the hub's timers with */
	uint32_t walk_timer_kind; /* and those of walks that are put off */
	uint32_t presence_timer_kind;
	struct hash_key hash_key; /* the same on all workers of the node */
	uint64_t seed;            /* for epochs: must differ from start to start */
	uint32_t channels_per_session;
	uint64_t outbound_bytes_max;
	uint32_t lingering_max;      /* 0: CHANNELS_LINGERING_MAX */
	struct hub_cluster *cluster; /* NULL: there are no other nodes */
};

struct hub_counters {
	uint64_t published, duplicates, delivered, stale_letters;
	uint64_t slow_disconnected, slow_dropped, slow_conflated; /* passed the limit, by rule */
	uint64_t throttled;                                       /* walks put off */
	/* Messages that a follower did not get, as newer ones took their place, or room ended. */
	uint64_t left_out_dropped, left_out_conflated, left_out_throttled;
	uint64_t forgotten;           /* channels that nobody followed, and that were too many */
	uint32_t channels, followers; /* now; of these: */
	uint32_t stuck;               /* lag, and their sink takes nothing */
	/* From the turn that read a publication to the answer that it has its place. */
	struct latency publish;
	/* From the turn in which a message got its place to its being handed to a sink: of
	 * followers that keep up, in channels without a throttle. A burst counts with its oldest
	 * message. */
	struct latency delivery;
	uint64_t errands, errands_failed; /* asked of other nodes, and not answered in time */
	uint64_t resyncs, gaps_far; /* slots told anew whom they follow; orders that broke off */
	uint64_t merged;            /* records of forks that were published again */
	uint32_t members, watchers; /* now: users present, in each channel; those who are told */
	uint64_t presence_news;     /* pieces given out */
	uint64_t presence_reported; /* to homes elsewhere: users whose connections are others */
	uint64_t presence_repaired; /* slots whose home had others than it had been told of */
	uint64_t presence_shown; /* times that a watcher was shown all members, or their number */
};

struct hub *hub_create(const struct hub_options *options); /* NULL: no memory */
void hub_destroy(struct hub *hub);

/* By the steady clock, and by that of the world. */
void hub_set_time(struct hub *hub, uint64_t now_ms, uint64_t unix_us);

void hub_session_close(struct hub *hub, struct session *session);
/* The sink takes bytes again, or the session is not held any more: send what waits. */
void hub_session_ready(struct hub *hub, struct session *session);

/* Answers by one event, now or after a letter came back. */
void hub_execute(struct hub *hub, struct session *session, const struct hub_command *command);
/* What hub_execute() makes of a message that is no command: the one answer it gets. */
void hub_refuse(struct hub *hub, struct session *session, struct slice ref, enum error_code error,
                const char *message);

/* The session's claims are others than before: subscriptions that they do not allow any more end,
 * each told by an event. */
void hub_review(struct hub *hub, struct session *session);

/* Would hub_execute() let the session follow that channel? ERROR_NONE, or why not. */
enum error_code hub_may_subscribe(const struct hub *hub, const struct session *session,
                                  struct slice channel, const char **why);

/* A letter of another worker. The caller makes sure that there is room for HUB_LETTERS_MAX letters
 * to each worker before it hands it in. */
void hub_receive(struct hub *hub, const struct hub_mail *mail);
void hub_mail_discard(const struct hub_mail *mail); /* one that will never be delivered */

/*
 * Other rules and bounds from here on. What is asked is judged by them at once; channels go over
 * to theirs by hub_adopt(), each turn, until hub_has_adopted(). The rules before stay so long, and
 * no others are set meanwhile.
 */
enum hub_adoption {
	HUB_ADOPTED = 0,
	HUB_ADOPTING,       /* there is more to do */
	HUB_ADOPTION_WAITS, /* for memory: to be tried again in a while */
};
void hub_set_rules(struct hub *hub, const struct rules *rules);
void hub_set_limits(struct hub *hub, uint32_t channels_per_session, uint64_t outbound_bytes_max);
enum hub_adoption hub_adopt(struct hub *hub, uint32_t budget); /* patterns tried, about */
bool hub_has_adopted(const struct hub *hub);

/* Sends new records to at most `budget` followers; true when some are left. */
bool hub_walk(struct hub *hub, uint32_t budget);

/*
 * Where records come faster than they can be sent to followers that take them, those lag, and are
 * not to blame. So that what lies in logs for them stays bounded, those who publish wait until
 * hub_walk(), which has more to do then, has caught up.
 */
enum hub_pace {
	HUB_KEEPS_UP = 0,
	HUB_IS_BEHIND,     /* by more than outbound_bytes_max: take in no publication of clients */
	HUB_IS_FAR_BEHIND, /* by more than twice that: take in nothing, letters neither */
};
enum hub_pace hub_pace(const struct hub *hub);
void hub_timer(struct hub *hub, struct timer *timer);

void hub_counters_add(struct hub_counters *sum, const struct hub_counters *counters);

/* A channel as this worker knows it. The name is good until the hub is called again. */
struct hub_listed {
	struct slice name;
	uint64_t followers; /* on this worker */
	bool is_home;       /* what it says of the head is so */
	bool is_agent; /* then epoch and seq are the head, as far as it is known on this node */
	uint64_t epoch, seq;
};
/* False: there is none of that name, or nobody follows it and it holds nothing. */
bool hub_look_up(const struct hub *hub, struct slice name, struct hub_listed *out);
/* The same for walks over all of them, which may take many turns: each has a place of its own
 * below the span, and keeps it as long as it lives. */
uint32_t hub_channel_span(const struct hub *hub);
bool hub_channel_at(const struct hub *hub, uint32_t place, struct hub_listed *out);

/* What that channel's rule has of presence. */
enum rule_presence hub_presence_of(const struct hub *hub, struct slice name);
/* Is here the set of all that are present in the channel, on whatever node? */
bool hub_knows_presence(const struct hub *hub, struct slice name);
extern const char *const hub_why_no_presence;
/* Who is present, on that worker; NULL: nobody. And one of them by name, or NULL. */
const struct occupants *hub_occupants(const struct hub *hub, struct slice name);
const struct occupant *hub_occupant(const struct hub *hub, const struct occupants *occupants,
                                    struct slice user);

/* Adds up what lagging followers are still to be sent, some channels at a time from `*place` on,
 * which begins with 0. True: that was all. */
bool hub_lag(const struct hub *hub, uint32_t *place, uint32_t budget, uint64_t *bytes);
uint32_t hub_dirty_channels(const struct hub *hub); /* with a walk due */

const struct hub_counters *hub_counters(const struct hub *hub);
/* Number of a session on this node, as publications name the one that is left out. */
uint64_t hub_session_number(const struct hub *hub, const struct session *session);
