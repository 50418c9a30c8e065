/*
 * loop.h - one thread's turn: wait, descriptors, letters, timers, and what is left to do.
 *
 * A turn goes in this order: ready descriptors, letters of other threads, timers, then
 * after(), in which the owner walks its followers and closes what ended. All of them are
 * bounded (limits.h); when after() says that work is left the next wait does not sleep.
 *
 * Descriptors are watched edge-triggered, once and for all interests: a tag comes back when
 * something changed, and the owner reads or writes until there is no more.
 *
 * A thread that was away, as its machine slept or it was stopped, looks at the time only when it
 * has taken in what came meanwhile.
 *
 * Threads:   the one that runs it; loop_stop() by any.
 * Ownership: the loop owns its epoll and its wheel; descriptors, timers and the post office
 *            are the owner's. It is destroyed after all timers were stopped.
 * Limits:    TURN_* of limits.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/latency.h"
#include "base/timer.h"
#include "net/mailbox.h"

/* Bits of `ready`. */
#define LOOP_READABLE 1u
#define LOOP_WRITABLE 2u
#define LOOP_HUNG_UP 4u /* the peer will send no more, or the connection is broken */

struct loop;

/* What the owner does in its turn. All run on the loop's thread. */
struct loop_handler {
	void (*begin)(struct loop_handler *handler); /* of a turn: the time is read */
	void (*ready)(struct loop_handler *handler, uint64_t tag, unsigned ready);
	/* How many letters may be taken in now, as long as there is room for what follows. */
	uint32_t (*letters_max)(struct loop_handler *handler);
	void (*letter)(struct loop_handler *handler, const void *letter);
	void (*timer)(struct loop_handler *handler, struct timer *timer);
	bool (*after)(struct loop_handler *handler); /* true: there is more to do at once */
};

struct loop_options {
	struct loop_handler *handler;
	struct post_office *office;
	uint32_t member;
	uint32_t letter_bytes;   /* at most LOOP_LETTER_MAX */
	uint32_t letters_follow; /* to each member, from one letter: see mailbox_has_room() */
};

#define LOOP_LETTER_MAX 64

struct loop *loop_create(const struct loop_options *options); /* NULL: errno says why */
void loop_destroy(struct loop *loop);

MUST_CHECK int loop_watch(struct loop *loop, int fd, uint64_t tag); /* 0 or -errno */

void loop_run(struct loop *loop); /* until loop_stop() */
void loop_stop(struct loop *loop);

/* The time this turn began: monotonic, and of the calendar (ms since 1970). */
uint64_t loop_now_ms(const struct loop *loop);
uint64_t loop_unix_ms(const struct loop *loop);
uint64_t loop_unix_us(const struct loop *loop);
uint64_t loop_clock_us(void); /* of the calendar, and not of the turn but of now */
/* How long turns have taken, from the end of each wait to the end of what followed. */
const struct latency *loop_turns(const struct loop *loop);
struct timer_wheel *loop_wheel(struct loop *loop);
