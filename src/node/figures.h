/*
 * figures.h - figures in groups, as /api/stats and /metrics show them.
 *
 * A group is an object in /api/stats, and a family of /metrics with a label for the key.
 *
 * Threads:   pure.
 * Ownership: plain values.
 * Limits:    each group is one that figures.c has a family for.
 */
#pragma once

#include "base/buf.h"

struct figure_row {
	const char *group, *key; /* rows of a group stand together */
};

/* As members of a JSON object, a comma before each. */
void figures_write(const struct figure_row *rows, const uint64_t *values, size_t count,
                   struct buf *out);
/* For Prometheus. */
void figures_write_metrics(const struct figure_row *rows, const uint64_t *values, size_t count,
                           struct buf *out);
