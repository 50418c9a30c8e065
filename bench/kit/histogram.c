#include "kit/histogram.h"

#include "base/check.h"

#define WHOLE 100000u

uint64_t histogram_bucket_max(unsigned bucket)
{
	CHECK(bucket < HISTOGRAM_BUCKETS);
	if (bucket < 2 * HISTOGRAM_STEPS)
		return bucket;
	unsigned shift = bucket / HISTOGRAM_STEPS - 1;
	uint64_t top = HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS;
	return (top << shift) + (((uint64_t)1 << shift) - 1);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

uint64_t histogram_quantile(const struct histogram *histogram, uint32_t share)
{
	CHECK(share <= WHOLE);
	/* In two parts, so that no count is too large to be multiplied. */
	uint64_t rank = histogram->count / WHOLE * share +
	                (histogram->count % WHOLE * share + WHOLE - 1) / WHOLE;
	uint64_t passed = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		passed += histogram->buckets[i];
		if (passed >= rank && passed > 0) {
			uint64_t value = histogram_bucket_max(i);
			return value < histogram->max ? value : histogram->max;
		}
	}
	return 0;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
}
