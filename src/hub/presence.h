/*
 * presence.h - who is in a channel, on one worker: reports to the channel's agent, news from it.
 *
 * A follower makes its user present where the channel's rule has presence. Its worker reports that
 * to the channel's agent by letter, when it has been subscribed and when it goes; the agent adds
 * the reports up (occupants.h). Whoever asked to be told is a *watcher* of its worker. It is shown
 * all occupants first; then the agent gives each worker with watchers what has changed in one
 * piece, at once where nothing was told for PRESENCE_INTERVAL_MS, else when that has passed, and
 * the workers tell their watchers, some each turn. A watcher whose socket takes nothing is left
 * out, and shown all occupants when it does again, so nothing is ever kept for it.
 *
 * In a channel with more than PRESENCE_NAMES_MAX occupants, or where the rule asks for it, news is
 * the number alone.
 *
 * In a cluster the set of the channel's home counts (far_presence.c). Agents elsewhere report to it
 * whom they have, and where somebody watches have a mirror of its set, which changes by what the
 * home tells: so all watchers of a node are told from its agent, wherever the home is.
 *
 * This is part of the hub's inside: see hub_state.h.
 *
 * Threads:   the worker's own.
 * Ownership: the hub owns presences, by their channel, and watchers, by their follower. Nothing is
 *            there for channels and followers without.
 * Limits:    those of occupants.h; a watcher costs sizeof(struct watcher), a channel with occupants
 *            sizeof(struct presence) at its agent, and in a cluster sizeof(struct presence_far);
 *            how many may wait there for an answer, far.h says.
 */
#pragma once

#include "hub/channel.h"
#include "hub/mail.h"
#include "hub/occupants.h"

struct hub;

/* What only an agent in a cluster has. */
struct presence_far {
	struct presence *presence;
	struct list_node
		reporting; /* elsewhere: in its slot, while the home is to be told something */
	struct list_node waiting;             /* while somebody waits for the set to be whole */
	uint64_t nodes[CHANNEL_NODE_WORDS];   /* home: those with watchers, a bit each */
	uint64_t unshown[CHANNEL_NODE_WORDS]; /* of these: who is to be told all first */
	struct list asks;                     /* MAIL_PRESENCE that could not be answered yet */
	uint64_t heard;                       /* elsewhere: the version of the home's set */
	uint64_t asked_ms;                    /* when the home was asked for all */
	uint8_t mirror;                       /* elsewhere: enum presence_mirror */
};

enum presence_mirror {
	MIRROR_NONE = 0, /* the home tells nothing */
	MIRROR_ASKED,
	MIRROR_COMING, /* some of it has come */
	MIRROR_WHOLE,  /* it is the home's set, as long as the home is in touch */
};

struct presence {
	struct map_node in_hub; /* by the place of the channel */
	struct channel *channel;
	struct list watchers;
	struct list_node due;   /* linked while a walk over them is due */
	struct list_node *walk; /* is_walking: the watcher to visit next; NULL: that was the last */
	struct turnout *news;   /* what the walk tells; NULL: nothing */
	struct turnout *whole;  /* agent: and shows, once it was needed */
	uint64_t version;       /* that watchers are to know, at least */
	struct timer timer;     /* agent: the next news, or end of a grace; else: another try */
	/* The rest is the agent's. */
	struct presence_far *far; /* NULL: there are no other nodes */
	struct occupants occupants;
	uint64_t workers[CHANNEL_WORKER_WORDS]; /* those with watchers, a bit each */
	uint64_t told_ms;                       /* when news was given out last, or was to be */
	uint32_t counted;                       /* occupants, as the hub's counters have them */
	bool is_large;                          /* names are not told */
	bool is_walking;
	bool is_retrying; /* some watcher could not be told, or asked for, what it lacks */
};

struct watcher {
	uint32_t generation;    /* the slab's */
	bool is_asking;         /* the agent, and its answer is to come */
	bool is_behind;         /* is to be shown all occupants first */
	struct map_node in_hub; /* by the place of its follower */
	struct list_node in_presence;
	struct follower *follower;
	uint64_t seen; /* the version that it knows */
};

/* A follower has gone, and there was no room for the letter that says so: this takes its place. */
struct farewell {
	uint32_t generation;      /* the slab's */
	uint32_t agent;           /* the worker */
	struct list_node in_list; /* hub->farewells */
	uint64_t channel, user;   /* hashes */
	uint8_t parting;          /* enum parting */
};

static_assert(sizeof(struct farewell) <= sizeof(struct follower), "it takes its place");

/* presence.c: the agent's set, and what is reported to it. */

/* Of the channel; NULL: there is none. */
struct presence *presence_of(const struct hub *hub, const struct channel *channel);
struct presence *presence_open(struct hub *hub, struct channel *channel); /* NULL: no memory */
/* The agent gets ready for occupants. Without presence in its rule that is nothing. False: no
 * memory. */
MUST_CHECK bool presence_prepare(struct hub *hub, struct channel *channel);
bool presence_is_held(const struct hub *hub, const struct channel *channel); /* by occupants */
/* Is it held at most by those who may come back, in a channel that nobody follows? */
bool presence_lingers(const struct hub *hub, const struct channel *channel);
void presence_close(struct hub *hub, struct channel *channel); /* with the channel */

/* The follower has its place in the channel. */
void presence_join(struct hub *hub, struct follower *follower, struct slice ref);
/* The session's user may be known since. */
void presence_review(struct hub *hub, struct follower *follower);
/* The follower goes. True: a letter is owed, and this is to be kept in its place. */
MUST_CHECK bool presence_part(struct hub *hub, struct follower *follower, enum parting parting,
                              struct farewell *farewell);
/* The channel has another rule. False: no memory or no room; to be tried again. */
MUST_CHECK bool presence_adopt(struct hub *hub, struct channel *channel, const struct rule *before);
bool presence_has_rule(const struct channel *channel);
bool presence_tells_names(const struct presence *presence); /* or the number alone */
/* The agent's set has changed, or who is told of it. */
void presence_changed(struct hub *hub, struct presence *presence);
void presence_settle(struct hub *hub, struct presence *presence); /* watchers came or went */

/* All occupants, or their number, at the agent; channel: NULL when there is none of that name.
 * NULL: no memory. */
struct turnout *presence_show(struct hub *hub, const struct channel *channel, struct slice name);
void presence_receive(struct hub *hub, const struct hub_mail *mail);
void presence_unfollow(struct hub *hub, struct channel *channel, uint32_t worker); /* gave it up */
/* Letters that are owed, as long as there is room. */
void presence_post_owed(struct hub *hub);
void presence_drop_owed(struct hub *hub);
void presence_timer(struct hub *hub, struct presence *presence);
bool presence_is_watched(const struct presence *presence); /* by anybody, here or elsewhere */
struct parting_grace presence_grace(const struct channel *channel);
/* Sources have said something. */
void presence_reported(struct hub *hub, struct presence *presence);
/* The answer to a MAIL_PRESENCE, which goes. */
void presence_answer(struct hub *hub, const struct hub_mail *mail, enum error_code error);

/* far_presence.c: between nodes */

MUST_CHECK bool presence_far_open(struct hub *hub, struct presence *presence);
void presence_far_close(struct hub *hub, struct presence *presence);
/* Is this the set of the channel's home, and not a mirror? */
static inline bool presence_leads(const struct presence *presence)
{
	return !presence->occupants.is_mirror;
}
/* Does it hold what all nodes have? If not it will, or nobody can say. */
bool presence_is_whole(const struct hub *hub, const struct presence *presence);
/* It is answered when that is so, or is refused when it takes too long. False: no memory, or too
 * many wait. */
MUST_CHECK bool presence_wait(struct hub *hub, struct presence *presence,
                              const struct hub_mail *mail);
/* The set has changed, or who watches. */
void presence_far_settle(struct hub *hub, struct presence *presence);
void presence_tell_nodes(struct hub *hub, struct presence *presence, const struct turnout *news);

/* watcher.c: watchers, and what they are told. */

/* The follower is told who is present from here on, or once more. */
void watcher_begin(struct hub *hub, struct follower *follower, struct slice ref);
void watcher_end(struct hub *hub, struct follower *follower);
void watcher_refuse(struct hub *hub, const struct follower *follower); /* the rule has it no more */
void watcher_ready(struct hub *hub, struct follower *follower);     /* its sink takes bytes again */
void watcher_receive(struct hub *hub, const struct hub_mail *mail); /* MAIL_NEWS */
/* What the agent answers that watcher, if it is still there. */
void watcher_shown(struct hub *hub, struct slab_handle watcher, const struct hub_mail *mail);
/* Tells watchers, at most `budget`; true when some are left. */
bool watcher_walk(struct hub *hub, uint32_t budget);
void watcher_make_due(struct hub *hub, struct presence *presence);
/* The agent's news goes out with the next walk, or when its time has come. */
void watcher_schedule(struct hub *hub, struct presence *presence);
void watcher_end_walk(struct presence *presence);
