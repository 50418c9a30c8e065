/* Each row is a client's day: it waits and then sends, some times over; so many get through. */
#include "base/check.h"
#include "edge/rate.h"

#define STEPS_MAX 4

static const struct {
	const char *claim;
	uint32_t per_s, burst;
	struct {
		uint32_t wait_ms, sent, passed;
	} steps[STEPS_MAX];
} days[] = {
	{"no rate is no limit", 0, 1, {{0, 1000, 1000}, {0, 1000, 1000}}},
	{"burst messages pass at once, and no more", 100, 200, {{0, 300, 200}, {0, 1, 0}}},
	{"a refused message costs nothing", 100, 10, {{0, 1000, 10}, {100, 20, 10}}},
	{"time makes room at the rate", 100, 10, {{0, 10, 10}, {29, 10, 2}, {1, 10, 1}}},
	{"and never more than the burst", 100, 10, {{0, 10, 10}, {86400000, 11, 10}}},
	{"what is not used up is saved", 10, 5, {{0, 2, 2}, {100, 5, 4}}},
	{"parts of a message add up", 3, 1, {{0, 1, 1}, {333, 1, 0}, {1, 1, 1}}},
	{"a thousandth is not forgotten", 1, 1, {{0, 1, 1}, {999, 1, 0}, {1, 2, 1}}},
	{"a burst of one is one at a time", 1000, 1, {{0, 2, 1}, {1, 2, 1}, {10, 2, 1}}},
	{"the highest rate", 1000000, 1000000, {{0, 1000001, 1000000}, {1, 1001, 1000}}},
	{"a day at the lowest rate", 1, 1000000, {{0, 1000001, 1000000}, {86400000, 86401, 86400}}},
	{"the longest wait", 1000000, 2, {{0, 3, 2}, {UINT32_MAX, 3, 2}}},
};

static uint32_t send_some(struct rate *rate, uint32_t count, uint32_t per_s, uint32_t burst)
{
	uint32_t passed = 0;
	for (uint32_t i = 0; i < count; i++)
		passed += rate_take(rate, per_s, burst);
	return passed;
}

static void test_days(void)
{
	for (size_t i = 0; i < COUNT_OF(days); i++) {
		struct rate rate = {0};
		printf("rate: %s\n", days[i].claim);
		for (size_t k = 0; k < STEPS_MAX; k++) {
			rate_pass(&rate, days[i].steps[k].wait_ms, days[i].per_s);
			CHECK(send_some(&rate, days[i].steps[k].sent, days[i].per_s,
			                days[i].burst) == days[i].steps[k].passed);
		}
	}
}

/* The same time in many steps makes the same room. */
static void test_steps(void)
{
	printf("rate: however time is cut, as many pass\n");
	for (uint32_t step = 1; step <= 50; step++) {
		struct rate rate = {0};
		CHECK(send_some(&rate, 100, 7, 100) == 100);
		for (uint32_t at = 0; at < 5000; at += step)
			rate_pass(&rate, 5000 - at < step ? 5000 - at : step, 7);
		CHECK(send_some(&rate, 100, 7, 100) == 35);
	}
}

/* Sends `count` messages every `every_ms` until hopeless; gives the time that took, or 0 when a
 * minute was not enough. */
static uint32_t hopeless_after(uint32_t every_ms, uint32_t count, uint32_t per_s, uint32_t burst)
{
	struct rate rate = {0};
	uint32_t first_refused = 0;
	for (uint32_t now = 1; now < 60000; now += every_ms) {
		for (uint32_t i = 0; i < count; i++) {
			if (rate_take(&rate, per_s, burst))
				continue;
			first_refused = first_refused == 0 ? now : first_refused;
			if (rate_is_hopeless(&rate))
				return now - first_refused;
		}
		rate_pass(&rate, every_ms, per_s);
	}
	return 0;
}

static const struct {
	const char *claim;
	uint32_t every_ms, count, per_s, burst, after_ms;
} talkers[] = {
	{"who keeps to the rate is never hopeless", 10, 1, 100, 200, 0},
	{"who sends twice the rate is, 10 s after the first refusal", 5, 1, 100, 200, 10000},
	{"also where each second message passes", 5, 1, 100, 1, 10000},
	{"also who is refused only now and then", 900, 2, 1, 1, 10800},
	{"a pause of a second begins it anew", 1000, 300, 100, 200, 0},
	{"a bit less is no pause", 999, 300, 100, 200, 10989},
};

static void test_talkers(void)
{
	for (size_t i = 0; i < COUNT_OF(talkers); i++) {
		printf("rate: %s\n", talkers[i].claim);
		CHECK(hopeless_after(talkers[i].every_ms, talkers[i].count, talkers[i].per_s,
		                     talkers[i].burst) == talkers[i].after_ms);
	}
}

static void test_patience(void)
{
	printf("rate: one refusal is no reason, however long ago the connection began\n");
	struct rate rate = {0};
	rate_pass(&rate, UINT32_MAX, 1);
	CHECK(rate_take(&rate, 1, 1));
	CHECK(!rate_take(&rate, 1, 1));
	CHECK(!rate_is_hopeless(&rate));
	printf("rate: who goes on after that stays hopeless until it pauses\n");
	for (int i = 0; i < 40; i++) {
		rate_pass(&rate, 500, 0);
		CHECK(!rate_take(&rate, 1, 1));
		CHECK(rate_is_hopeless(&rate) == (i >= 19));
	}
	rate_pass(&rate, RATE_PAUSE_MS, 0);
	CHECK(!rate_take(&rate, 1, 1));
	CHECK(!rate_is_hopeless(&rate));
}

int main(void)
{
	test_days();
	test_steps();
	test_talkers();
	test_patience();
	return 0;
}
