/* Times go to the bucket of the first bound they are within; quantiles are bounds. */
#include <stdio.h>

#include "base/check.h"
#include "base/latency.h"

static const struct {
	const char *claim;
	uint64_t us;
	unsigned bucket;
} rows[] = {
	{"nothing is within the first bound", 0, 0},
	{"a bound belongs to its own bucket", 50, 0},
	{"and a microsecond more to the next", 51, 1},
	{"a second", 1000000, 13},
	{"the last bound", 10000000, 16},
	{"what takes longer has a bucket of its own", 10000001, 17},
	{"however long", UINT64_MAX / 2, 17},
};

static void notes_where(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct latency latency = {0};
		latency_note(&latency, rows[i].us, 1);
		for (unsigned b = 0; b <= LATENCY_BOUNDS; b++)
			CHECK(latency.counts[b] == (b == rows[i].bucket));
		CHECK(latency.sum_us == rows[i].us);
		printf("latency: %s\n", rows[i].claim);
	}
}

static void rises(void)
{
	for (unsigned b = 1; b < LATENCY_BOUNDS; b++)
		CHECK(latency_bounds_us[b] > latency_bounds_us[b - 1]);
	printf("latency: bounds rise\n");
}

static void adds_up(void)
{
	struct latency one = {0}, sum = {0};
	latency_note(&one, 100, 3);
	latency_note(&sum, 7000, 2);
	latency_add(&sum, &one);
	CHECK(sum.counts[1] == 3);
	CHECK(sum.counts[7] == 2);
	CHECK(sum.sum_us == 14300);
	CHECK(latency_count(&sum) == 5);
	printf("latency: sums have the counts and the time of both\n");
}

static void finds_quantiles(void)
{
	struct latency latency = {0};
	CHECK(latency_within(&latency, 99) == 0);
	latency_note(&latency, 80, 1);
	CHECK(latency_within(&latency, 50) == 100);
	latency_note(&latency, 80, 98);
	latency_note(&latency, 20000000, 1);
	CHECK(latency_within(&latency, 50) == 100);
	CHECK(latency_within(&latency, 99) == 100);
	CHECK(latency_within(&latency, 100) == 10000000);
	printf("latency: of none 0, else the bound that enough are within\n");
}

int main(void)
{
	notes_where();
	rises();
	adds_up();
	finds_quantiles();
	return 0;
}
