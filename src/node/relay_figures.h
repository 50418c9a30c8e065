/*
 * relay_figures.h - the figures of the workers' relays, for all to read.
 *
 * Threads:   each struct relay_figures is written by its worker alone and read by all: each figure
 *            is right by itself, two of them may be of different moments.
 * Ownership: plain values, the node's.
 * Limits:    none.
 */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "node/relay.h"

enum relay_counter {
#define RELAY_COUNTER(name, group, key, what, member) RELAY_##name,
#include "starling/relay_counter.def"
#undef RELAY_COUNTER
	RELAY_COUNTER_COUNT
};

struct relay_figures {
	_Atomic uint64_t counters[RELAY_COUNTER_COUNT];
	_Atomic uint64_t homes;                            /* slots whose home is here, now */
	_Atomic uint64_t uncommitted, behind, term, spare; /* as struct slots_lag */
};

/* The worker's. */
void relay_figures_set(struct relay_figures *figures, const struct relay_stats *stats);

/* Of all workers together; as in figures.h. */
void relay_figures_write(const struct relay_figures *figures, size_t workers, struct buf *out);
void relay_figures_write_metrics(const struct relay_figures *figures, size_t workers,
                                 struct buf *out);
