/*
 * lane.h - one client thread: its descriptor table, its epoll, its connections, what they saw.
 *
 * A lane unshares its descriptors, so that RLIMIT_NOFILE bounds each lane and not all together,
 * and so that system calls of several lanes share nothing. It opens its connections, a few at a
 * time, cuts what they get into pieces and hands stamps to the mode.
 *
 * One turn: wait; ready descriptors; connections that are due to be opened; the mode's turn; the
 * publisher's; counters are shown to the main thread.
 *
 * Threads:   its own. The main thread reads `shown`, and everything once the lane has ended.
 * Ownership: a lane owns its clients.
 * Limits:    LANE_INPUT_BYTES for a piece.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "kit/client.h"
#include "kit/clock.h"
#include "kit/histogram.h"
#include "kit/plan.h"

#define LANE_EVENTS_MAX 512
#define LANE_INPUT_BYTES (512u * 1024)

/* What a lane counts: the name, and what it means. */
#define LANE_COUNTS(COUNT)                                                                         \
	COUNT(OPENED)     /* connections that stood */                                             \
	COUNT(READY)      /* connections that became ready */                                      \
	COUNT(PUBLISHERS) /* and connections that publish */                                       \
	COUNT(DELIVERED)  /* messages seen for the first time */                                   \
	COUNT(TWICE)      /* seen before */                                                        \
	COUNT(LATE)       /* out of order */                                                       \
	COUNT(MISROUTED)  /* of another channel */                                                 \
	COUNT(UNKNOWN)    /* never published */                                                    \
	COUNT(GAPS)       /* losses that the server told */                                        \
	COUNT(ENDED)      /* connections that the server ended */                                  \
	COUNT(FAILED)     /* connections that did not become ready */                              \
	COUNT(DONE)       /* whatever the mode counts as done */                                   \
	COUNT(SENT)       /* by clients of an echo */

enum lane_count {
#define COUNT(name) LANE_##name,
	LANE_COUNTS(COUNT)
#undef COUNT
		LANE_COUNT_COUNT, /* last */
};

enum phase {
	PHASE_REST = 0,
	PHASE_OPEN, /* clients below `open_limit` are opened */
	PHASE_RUN,  /* the work itself */
	PHASE_CUT,  /* the mode's: connections are dropped */
	PHASE_BACK, /* the mode's: and opened again */
	PHASE_END,
};

/* What the main thread wants. A lane has a copy of the last it saw. */
struct orders {
	enum phase phase;
	uint32_t open_limit;
	uint64_t from_ns;         /* RUN: the first message is due then */
	uint64_t stop_ns;         /* none is due then or later */
	uint64_t measure_from_ns; /* latency of what is due before is not counted */
	uint32_t publish_limit;   /* and none has this number or one above */
	bool is_unbounded;        /* closed loop: all at once */
};

struct crew;
struct publisher;

/* Deliveries of a message in flight, see flight.h. */
struct flight_slot {
	uint32_t number, count;
};

struct lane {
	struct crew *crew;
	const struct plan *plan;
	const struct mode *mode;
	uint32_t number;
	pthread_t thread;
	int epoll;
	int bell;       /* an eventfd: somebody wants it to look around */
	uint32_t order; /* how many of the crew's orders it has seen */
	struct orders orders;
	uint64_t now_ns;

	struct client *clients;
	uint32_t client_count;
	uint32_t next_to_open; /* clients from here on are to be opened when their time comes */
	uint32_t opening;      /* connections on their way to be ready */
	struct publisher *publisher; /* NULL: another lane has it */

	uint64_t counts[LANE_COUNT_COUNT];
	struct histogram latency; /* of what is due from the crew's measure_from_ns on */
	uint32_t *listeners;      /* of each channel, stuck ones left out */
	struct flight_slot *flight;
	size_t stamp_hint;
	uint64_t mode_ns;      /* the mode's own: a time it waits for */
	uint32_t mode_next;    /* and a place where it is */
	struct client *corked; /* whose bytes are in `cork`; NULL: nobody's */
	struct buf cork;
	char *input, *payload;
	struct epoll_event events[LANE_EVENTS_MAX];

	_Alignas(64) _Atomic uint64_t shown[LANE_COUNT_COUNT];
};

/* The main thread makes it, with clients number `first` to `first + count - 1`, and starts its
 * thread. */
void lane_init(struct lane *lane, struct crew *crew, uint32_t number, uint32_t first,
               uint32_t count);
void lane_start(struct lane *lane);
void lane_wake(struct lane *lane); /* from any thread */
void lane_free(struct lane *lane); /* its thread has ended */

/* For modes and publishers. */

/* Dials; ready() follows, or gone(). Only from turn() or begin(). */
void lane_open(struct lane *lane, struct client *client, uint64_t due_ns);
void lane_close(struct lane *lane, struct client *client); /* without a word */
void lane_leave(struct lane *lane, struct client *client); /* takes leave as its protocol does */
/* Where to append what is to be sent to it, at the end of the turn or before another's turn. */
struct buf *lane_out(struct lane *lane, struct client *client);
/* A payload with this stamp, as one publishes over this client's protocol. */
void lane_publish(struct lane *lane, struct client *client, uint32_t channel, uint32_t number,
                  uint64_t due_ns);
/* Notes it in the client's tally and in the counts; true: it is here for the first time. */
bool lane_tally(struct lane *lane, struct client *client, uint32_t number);

static inline const struct endpoint *lane_endpoint(const struct lane *lane,
                                                   const struct client *client)
{
	return client->is_publisher ? &lane->plan->publish : &lane->plan->follow;
}
