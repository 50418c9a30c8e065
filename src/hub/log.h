/*
 * log.h - the records of a channel that are at hand, by sequence number without a hole.
 *
 * At a channel's agent the log is its history, on the other workers only the tail that some
 * follower has not been sent yet. Followers stand at positions: the number of the record
 * they want next, from log_first() to log_next(). The log counts how many stand at each,
 * so that it knows what nobody needs any more without asking them.
 *
 * Threads:   one at a time; no locking.
 * Ownership: a log holds a reference on each of its records.
 * Limits:    none of its own; what is kept is log_trim()'s caller's decision.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "hub/record.h"

struct log_entry {
	struct record *record;
	uint32_t standing; /* followers that want this record next */
	uint32_t added_ms; /* the caller's clock, cut to 32 bits */
};

struct log {
	struct log_entry *entries; /* a circle of `capacity`; NULL while nothing was held yet */
	uint32_t capacity, start, count;
	uint32_t standing; /* followers that want the record to come: they have all there is */
	uint64_t next;     /* sequence number of the record to come */
};

/* An empty log, whose first record will be number `next`. It holds no memory yet. */
void log_init(struct log *log, uint64_t next);
void log_free(struct log *log); /* nobody stands in it */

/* Another order: it is empty, as log_init() says. Nobody stands in it. */
void log_restart(struct log *log, uint64_t next);

/* Takes over a reference on success. False: no memory, nothing changed. */
MUST_CHECK bool log_append(struct log *log, struct record *record, uint64_t now_ms);
/* Puts older records in front: `records` end where the log begins. Takes its own references. */
MUST_CHECK bool log_extend(struct log *log, struct record *const *records, size_t count,
                           uint64_t now_ms);
/* Drops the oldest records: those before `keep_from` and those added `ttl_ms` or more ago,
 * but none from the first on that a follower wants next. */
void log_trim(struct log *log, uint64_t keep_from, uint64_t now_ms, uint64_t ttl_ms);

void log_stand(struct log *log, uint64_t seq); /* a follower comes to this position */
void log_leave(struct log *log, uint64_t seq);

/* The first record held that was added less than `ttl_ms` before `now_ms`; log_next(): none. */
uint64_t log_first_within(const struct log *log, uint64_t now_ms, uint64_t ttl_ms);
/* How long ago the first record held was added; 0 when there is none. */
uint64_t log_age_ms(const struct log *log, uint64_t now_ms);

static inline uint64_t log_next(const struct log *log)
{
	return log->next;
}

static inline uint64_t log_first(const struct log *log) /* log_next(): holds nothing */
{
	return log->next - log->count;
}

static inline struct log_entry *log_entry(const struct log *log, uint64_t seq)
{
	CHECK(seq < log->next && log->next - seq <= log->count);
	uint64_t i = log->start + (seq - log_first(log));
	return &log->entries[i & (log->capacity - 1)];
}

static inline struct record *log_at(const struct log *log, uint64_t seq)
{
	return log_entry(log, seq)->record;
}
