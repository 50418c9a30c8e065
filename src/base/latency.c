#include "base/latency.h"

const uint64_t latency_bounds_us[LATENCY_BOUNDS] = {
	50,    100,    250,    500,    1000,    2500,    5000,    10000,    25000,
	50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

void latency_note(struct latency *latency, uint64_t us, uint64_t count)
{
	unsigned bucket = 0;
	while (bucket < LATENCY_BOUNDS && us > latency_bounds_us[bucket])
		bucket++;
	latency->counts[bucket] += count;
	latency->sum_us += us * count;
}

void latency_add(struct latency *sum, const struct latency *latency)
{
	for (unsigned i = 0; i <= LATENCY_BOUNDS; i++)
		sum->counts[i] += latency->counts[i];
	sum->sum_us += latency->sum_us;
}

uint64_t latency_count(const struct latency *latency)
{
	uint64_t count = 0;
	for (unsigned i = 0; i <= LATENCY_BOUNDS; i++)
		count += latency->counts[i];
	return count;
}

uint64_t latency_within(const struct latency *latency, uint64_t percent)
{
	uint64_t count = latency_count(latency), below = 0;
	/* Rounded up: half of one is that one. */
	uint64_t wanted = count / 100 * percent + (count % 100 * percent + 99) / 100;
	for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
		below += latency->counts[i];
		if (below >= wanted)
			return below == 0 ? 0 : latency_bounds_us[i];
	}
	return latency_bounds_us[LATENCY_BOUNDS - 1];
}
