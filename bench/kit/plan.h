/*
 * plan.h - what is to be measured: the command line.
 *
 * Threads:   constant while lanes run.
 * Ownership: strings are argv's.
 */
#pragma once

#include "kit/endpoint.h"
#include "kit/gauge.h"

struct mode;

struct plan {
	const struct mode *mode;
	struct endpoint follow, publish;
	uint32_t connections, channels, publishers, threads;
	uint32_t stuck;    /* of the connections: they stop reading */
	uint32_t size;     /* bytes of a payload */
	uint32_t opening;  /* connections that a thread opens at once */
	uint64_t rate;     /* open loop: so many a second; 0: closed loop */
	uint32_t flight;   /* closed loop: so many under way */
	uint64_t messages; /* ends after so many; 0: after `seconds` */
	uint32_t missed;   /* messages while everybody is away */
	uint64_t warmup_ns, seconds_ns, settle_ns, patience_ns;
	struct gauge server;
	const char *json, *name;
};

/* Ends the program where it makes no sense, or was asked for help. */
void plan_read(struct plan *plan, int argc, char **argv);

static inline bool plan_is_open_loop(const struct plan *plan)
{
	return plan->rate > 0;
}

/* How many of the first `count` messages go to this channel: they go to all in turn. */
static inline uint32_t plan_messages_of(const struct plan *plan, uint32_t count, uint32_t channel)
{
	return count / plan->channels + (count % plan->channels > channel ? 1 : 0);
}
