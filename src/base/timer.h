/*
 * timer.h - a wheel of timers: arming and stopping cost the same however many there are.
 *
 * Time is the caller's, in milliseconds from any start; the wheel knows no clock. It counts
 * ticks of TIMER_TICK_MS. A timer never fires early, and late by less than a tick plus
 * what the caller's own turn takes.
 *
 * Threads:   one at a time a wheel; no locking.
 * Ownership: timers are embedded in the caller's objects; the wheel only links them. One
 *            that fires has been unlinked. All are stopped before their memory goes.
 * Limits:    a delay is at most TIMER_DELAY_MAX_MS; a longer one is cut to that.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"

#define TIMER_TICK_MS 4
#define TIMER_LEVELS 5
#define TIMER_SLOTS 64
#define TIMER_DELAY_MAX_MS ((uint64_t)40 * 24 * 3600 * 1000)

struct timer {
	struct list_node node; /* linked while armed */
	uint32_t due_tick;
	uint32_t kind; /* the owner's; says what the timer is embedded in */
};

struct timer_wheel {
	uint64_t start_ms;
	uint32_t tick; /* all timers due up to here have been moved to `due` */
	uint32_t count;
	uint64_t occupied[TIMER_LEVELS]; /* a bit per slot that may hold timers */
	struct list slots[TIMER_LEVELS][TIMER_SLOTS];
	struct list due;
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);

static inline bool timer_is_armed(const struct timer *timer)
{
	return list_is_linked(&timer->node);
}

/* Fires once, `delay_ms` from `now_ms`; one that is armed already is moved. */
void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t now_ms, uint64_t delay_ms);
/* The same, but one that fires sooner than that stays as it is. */
void timer_arm_sooner(struct timer_wheel *wheel, struct timer *timer, uint64_t now_ms,
                      uint64_t delay_ms);
void timer_stop(struct timer_wheel *wheel, struct timer *timer); /* not armed: nothing */

/* The next timer due at `now_ms`, unlinked, or NULL. Call until NULL, or as often as the
 * turn allows: the rest waits for the next turn. */
struct timer *timer_take_due(struct timer_wheel *wheel, uint64_t now_ms);

/* By how much a timer that was taken is late. */
uint32_t timer_late_ms(const struct timer_wheel *wheel, const struct timer *timer, uint64_t now_ms);

/* Milliseconds from `now_ms` until timer_take_due() has to be asked again: 0 when one is
 * due, UINT64_MAX when none is armed. It may be less than the nearest timer's delay. */
uint64_t timer_wait_ms(const struct timer_wheel *wheel, uint64_t now_ms);
