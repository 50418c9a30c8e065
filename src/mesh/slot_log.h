/*
 * slot_log.h - the end of a slot's log: entries by number, without a hole.
 *
 * What lies before the window is known by its mark alone: it is in the state of whoever applied it.
 *
 * Threads:   one at a time; no locking.
 * Ownership: a log holds a reference on each of its blobs. `struct slot_log log = {0}` is an empty
 *            one that holds no memory; slot_log_reset() gives back what it has.
 * Limits:    none of its own; what is kept is its caller's decision.
 */
#pragma once

#include "base/blob.h"
#include "base/check.h"
#include "mesh/slot.h"

struct slot_item {
	struct slot_term term;
	struct blob *blob;
	uint64_t cookie; /* its proposer's, on the node that proposed it; 0: none */
	uint64_t at_ms;  /* when it was appended here */
};

struct slot_log {
	struct slot_item *items; /* a circle of `capacity` */
	uint32_t capacity, start, count;
	size_t bytes;          /* of the blobs */
	struct slot_mark base; /* just before the first item */
};

static inline uint64_t slot_log_last(const struct slot_log *log)
{
	return log->base.lsn + log->count;
}

static inline struct slot_item *slot_log_at(const struct slot_log *log, uint64_t lsn)
{
	CHECK(lsn > log->base.lsn);
	CHECK(lsn <= slot_log_last(log));
	uint64_t i = log->start + (lsn - log->base.lsn - 1);
	return &log->items[i & (log->capacity - 1)];
}

struct slot_mark slot_log_end(const struct slot_log *log);
/* The term at `lsn`; NULL: it is not in the window, nor just before it. */
const struct slot_term *slot_log_term(const struct slot_log *log, uint64_t lsn);
bool slot_log_has(const struct slot_log *log, const struct slot_mark *mark);

/* Takes a reference of its own. False: no memory, nothing changed. */
MUST_CHECK bool slot_log_append(struct slot_log *log, const struct slot_item *item);
void slot_log_cut(struct slot_log *log, uint64_t lsn);  /* forgets what is behind `lsn` */
void slot_log_trim(struct slot_log *log, uint64_t lsn); /* forgets up to `lsn`, but its mark */
void slot_log_reset(struct slot_log *log, const struct slot_mark *base); /* empty, behind `base` */
