/*
 * latency.h - how long something took, counted in buckets.
 *
 * The buckets are those of /metrics: 50 µs to 10 s in steps of about 2 to 2.5, and one for what
 * took longer. Noting a time costs a few comparisons and no division.
 *
 * Threads:   one at a time; each worker has its own, and they are added up when asked for.
 * Ownership: a plain value.
 * Limits:    none; the sum wraps after half a million years.
 */
#pragma once

#include <stdint.h>

#define LATENCY_BOUNDS 17

struct latency {
	uint64_t counts[LATENCY_BOUNDS + 1]; /* at most that bound, and more than the one before */
	uint64_t sum_us;
};

extern const uint64_t latency_bounds_us[LATENCY_BOUNDS];

/* `count` times it took `us`. */
void latency_note(struct latency *latency, uint64_t us, uint64_t count);
void latency_add(struct latency *sum, const struct latency *latency);
uint64_t latency_count(const struct latency *latency);
/* The bound that so many of a hundred are within; the last one where they are beyond it, and 0 of
 * none. */
uint64_t latency_within(const struct latency *latency, uint64_t percent);
