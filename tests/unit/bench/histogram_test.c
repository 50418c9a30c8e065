/* Buckets against their bounds, all of them; quantiles against sorted values. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/random.h"
#include "kit/histogram.h"

#define VALUES 20000
#define SEEDS 20

static const uint32_t shares[] = {0, 1, 50000, 90000, 99000, 99900, 99999, 100000};

static void test_buckets(void)
{
	printf("histogram: each bucket ends where the next begins\n");
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t max = histogram_bucket_max(i);
		CHECK(histogram_bucket(max) == i);
		if (i + 1 < HISTOGRAM_BUCKETS)
			CHECK(histogram_bucket(max + 1) == i + 1);
		else
			CHECK(max == UINT64_MAX);
	}
}

static void test_precision(void)
{
	struct random random = {7};
	printf("histogram: a value is known to one part in 64\n");
	for (int i = 0; i < VALUES; i++) {
		uint64_t value = random_next(&random) >> random_below(&random, 64);
		uint64_t max = histogram_bucket_max(histogram_bucket(value));
		CHECK(max >= value);
		CHECK(max - value <= value / HISTOGRAM_STEPS);
	}
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* The value that at least `share` of 100,000 are not above, by looking. */
static uint64_t quantile_of(const uint64_t *sorted, size_t count, uint32_t share)
{
	size_t rank = (count * share + 99999) / 100000;
	return sorted[rank == 0 ? 0 : rank - 1];
}

/* Two halves are measured apart and put together. */
static void check_seed(uint64_t seed, struct histogram *halves, uint64_t *values)
{
	struct random random = {seed};
	uint64_t sum = 0;
	size_t count = 1 + random_below(&random, VALUES);
	halves[0] = halves[1] = (struct histogram){0};
	for (size_t i = 0; i < count; i++) {
		values[i] = random_next(&random) >> (20 + random_below(&random, 40));
		sum += values[i];
		histogram_add(&halves[i % 2], values[i]);
	}
	histogram_merge(&halves[0], &halves[1]);
	qsort(values, count, sizeof(*values), compare);
	CHECK(halves[0].count == count);
	CHECK(halves[0].sum == sum);
	CHECK(halves[0].max == values[count - 1]);
	for (size_t i = 0; i < COUNT_OF(shares); i++) {
		uint64_t wanted = quantile_of(values, count, shares[i]);
		uint64_t got = histogram_quantile(&halves[0], shares[i]);
		CHECK(got >= wanted);
		CHECK(got - wanted <= wanted / HISTOGRAM_STEPS);
		CHECK(got <= halves[0].max);
	}
}

int main(void)
{
	struct histogram *halves = calloc(2, sizeof(*halves));
	uint64_t *values = calloc(VALUES, sizeof(*values));
	CHECK(halves != NULL && values != NULL);
	test_buckets();
	test_precision();

	printf("histogram: nothing measured is 0\n");
	CHECK(histogram_quantile(halves, 99000) == 0);
	CHECK(histogram_mean(halves) == 0);

	printf("histogram: quantiles are those of the sorted values, rounded up, also when "
	       "merged\n");
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		check_seed(seed, halves, values);

	printf("histogram: counts beyond what a share can be multiplied with\n");
	halves[0] = (struct histogram){.count = UINT64_MAX, .max = 9};
	halves[0].buckets[1] = UINT64_MAX / 2;
	halves[0].buckets[9] = UINT64_MAX - UINT64_MAX / 2;
	CHECK(histogram_quantile(&halves[0], 49000) == 1);
	CHECK(histogram_quantile(&halves[0], 51000) == 9);
	free(halves);
	free(values);
	return 0;
}
