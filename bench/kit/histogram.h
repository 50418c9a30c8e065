/*
 * histogram.h - how often which value was measured, in a fixed table.
 *
 * Log-linear: below 128 each value has a bucket of its own, above that each power of two is
 * cut into 64. So a value is known to one part in 64, from a nanosecond to centuries, and
 * histograms are added up bucket by bucket.
 *
 * Threads:   one at a time.
 * Ownership: a plain value of 30 KiB; `= {0}` is empty.
 * Limits:    none: any u64 has a bucket.
 */
#pragma once

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 6
#define HISTOGRAM_STEPS (1u << HISTOGRAM_STEP_BITS) /* buckets of a power of two */
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * (64 - HISTOGRAM_STEP_BITS + 1))

struct histogram {
	uint64_t count, sum, max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Which bucket a value falls into, and the largest value that falls there too. */
static inline unsigned histogram_bucket(uint64_t value)
{
	if (value < 2 * HISTOGRAM_STEPS)
		return (unsigned)value;
	unsigned shift = 63 - HISTOGRAM_STEP_BITS - (unsigned)__builtin_clzll(value);
	return shift * HISTOGRAM_STEPS + (unsigned)(value >> shift);
}
uint64_t histogram_bucket_max(unsigned bucket);

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->count++;
	histogram->sum += value;
	if (value > histogram->max)
		histogram->max = value;
	histogram->buckets[histogram_bucket(value)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value that `share` of 100,000 are not above: 99,000 is p99. Rounded up, by one part in 64
 * at most, and never above the maximum; 0 when nothing was measured. */
uint64_t histogram_quantile(const struct histogram *histogram, uint32_t share);
double histogram_mean(const struct histogram *histogram);
