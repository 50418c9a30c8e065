/*
 * scribe.h - the thread that writes the journal to standard error, for all others: see pen.h.
 *
 * A file, a pipe or a terminal that takes nothing makes it wait, and nobody else. Lines that cannot
 * be written at all, as a disk is full or nobody reads any more, are lost and counted.
 *
 * Threads:   its own; the functions here are the control thread's.
 * Ownership: the post office and the counter are the node's and outlive it.
 * Limits:    what waits for it is bounded by those who send it.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/role.h"
#include "net/loop.h"

struct scribe {
	struct post_office *office;
	uint32_t number, control; /* in it */
	sem_t *is_up;             /* posted once: it writes, or `error` says why not */
	_Atomic uint64_t *lost;   /* lines that could not be written */
	int error;                /* 0 or -errno; to be read after is_up */
	/* Private. */
	pthread_t thread;
	struct loop_handler handler;
	struct loop *loop;
	bool is_stopping;
};

/* Its public members are set. */
MUST_CHECK int scribe_start(struct scribe *scribe) CONTROL_ONLY;
/* Has it end when all that was sent to it before is written; does not wait. */
void scribe_stop(struct scribe *scribe) CONTROL_ONLY;
MUST_CHECK bool scribe_join(struct scribe *scribe, uint64_t wait_ms) CONTROL_ONLY;
