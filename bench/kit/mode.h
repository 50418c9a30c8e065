/*
 * mode.h - a kind of work: what the main thread has done, and what a lane does meanwhile.
 *
 * Threads:   run() is the main thread's, the others run on the lane's.
 */
#pragma once

#include "kit/lane.h"
#include "kit/plan.h"
#include "kit/report.h"
#include "kit/stamp.h"

#define MODE_FAR_NS NS_PER_S /* nothing to do for so long */

struct mode {
	const char *name, *what;
	void (*adapt)(struct plan *plan); /* its own defaults, before options are read */
	void (*run)(struct crew *crew, struct report *report);

	bool is_bare;  /* a connection is ready when it stands: nobody subscribes */
	bool may_fail; /* a connection that fails is counted, and does not end all */
	void (*begin)(struct lane *lane); /* a phase; NULL: nothing is to be done */
	void (*ready)(struct lane *lane, struct client *client);
	void (*message)(struct lane *lane, struct client *client, struct stamp stamp);
	void (*gone)(struct lane *lane, struct client *client); /* it is AWAY */
	uint64_t (*turn)(struct lane *lane); /* at the end of each: ns until the next is due */
};

extern const struct mode mode_idle, mode_fanout, mode_rooms; /* mode_fanout.c */
extern const struct mode mode_stuck, mode_sse, mode_poll;
extern const struct mode mode_echo, mode_churn, mode_resume;

const struct mode *mode_find(const char *name); /* NULL: there is none */
const struct mode *mode_at(size_t i);           /* NULL behind the last */
