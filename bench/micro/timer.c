/*
 * base/timer as a worker uses it: a deadline for each of 100,000 connections. `move` puts one off,
 * as traffic does; `fire` lets one run out and arms it again, as a heartbeat does: that
 * has the wheel's own turning in it.
 */
#include "base/check.h"
#include "base/random.h"
#include "base/timer.h"
#include "micro.h"

#define TIMERS 100000u
#define INTERVAL_MS 25000u

struct state {
	struct timer_wheel wheel;
	struct random random;
	uint64_t now_ms;
	struct timer timers[TIMERS];
};

static void move(void *argument, uint64_t operations)
{
	struct state *state = argument;
	for (uint64_t i = 0; i < operations; i++) {
		struct timer *timer = &state->timers[random_below(&state->random, TIMERS)];
		timer_arm(&state->wheel, timer, state->now_ms, INTERVAL_MS);
	}
}

static void fire(void *argument, uint64_t operations)
{
	struct state *state = argument;
	for (uint64_t i = 0; i < operations;) {
		struct timer *timer = timer_take_due(&state->wheel, state->now_ms);
		if (timer == NULL) {
			state->now_ms += timer_wait_ms(&state->wheel, state->now_ms);
			continue;
		}
		timer_arm(&state->wheel, timer, state->now_ms, INTERVAL_MS);
		i++;
	}
}

int main(int argc, char **argv)
{
	static struct state state;
	timer_wheel_init(&state.wheel, 0);
	for (uint32_t i = 0; i < TIMERS; i++)
		timer_arm(&state.wheel, &state.timers[i], 0,
		          1 + random_below(&state.random, INTERVAL_MS));
	micro_begin(argc, argv);
	micro_measure("timer.move", move, &state);
	micro_measure("timer.fire", fire, &state);
	for (uint32_t i = 0; i < TIMERS; i++)
		timer_stop(&state.wheel, &state.timers[i]);
	return micro_end();
}
