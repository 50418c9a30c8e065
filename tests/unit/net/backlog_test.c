/* What a backlog promises, case by case; then a seeded run beside plain counts. */
#include "net/backlog.h"

#include <string.h>

#include "../../failing.h"
#include "base/random.h"

#define RECEIVERS 5
#define MANY 300000
#define STEPS 400000

struct letter {
	uint32_t receiver;
	uint64_t number;
	char rest[17]; /* its slots need padding */
} __attribute__((packed));

static struct backlog backlog;
static uint64_t appended[RECEIVERS], removed[RECEIVERS];

static void append(uint32_t receiver)
{
	struct letter letter = {.receiver = receiver, .number = appended[receiver]++};
	memset(letter.rest, (int)receiver, sizeof(letter.rest));
	backlog_append(&backlog, receiver, &letter);
}

static void remove_first(uint32_t receiver)
{
	struct letter letter;
	memcpy(&letter, backlog_first(&backlog, receiver), sizeof(letter));
	CHECK(letter.receiver == receiver);
	CHECK(letter.number == removed[receiver]++);
	CHECK(letter.rest[sizeof(letter.rest) - 1] == (char)receiver);
	backlog_remove_first(&backlog, receiver);
}

static void remove_all(uint32_t receiver)
{
	while (backlog_count(&backlog, receiver) > 0)
		remove_first(receiver);
	CHECK(removed[receiver] == appended[receiver]);
}

static void in_order(void)
{
	for (uint32_t i = 0; i < 1000; i++)
		append(i % RECEIVERS);
	CHECK(backlog.count == 1000);
	for (uint32_t i = 0; i < RECEIVERS; i++) {
		CHECK(backlog_count(&backlog, i) == 1000 / RECEIVERS);
		remove_all(i);
	}
	CHECK(backlog.count == 0);
}

/* And it is there for letters to any of them, whatever came and went since it was asked for. */
static void reserved_is_there(void)
{
	CHECK(backlog_reserve(&backlog, 0));
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 10000; i++)
			append(0);
		CHECK(backlog_reserve(&backlog, 500));
		failing_arm(1, FAILING_ALL_FROM);
		for (uint32_t i = 0; i < 500; i++) {
			CHECK(backlog_reserve(&backlog, 500 - i));
			append(i % (round + 1));
		}
		CHECK(failing_disarm() == 0);
		CHECK(backlog_reserve(&backlog, 500));
		for (uint32_t i = 0; i < RECEIVERS; i++)
			remove_all(i);
		backlog_shrink(&backlog);
		failing_arm(1, FAILING_ALL_FROM);
		for (uint32_t i = 0; i < 500; i++)
			append(RECEIVERS - 1);
		CHECK(failing_disarm() == 0);
		remove_all(RECEIVERS - 1);
	}
}

static void no_memory(void)
{
	failing_arm(1, FAILING_ALL_FROM);
	CHECK(!backlog_reserve(&backlog, 100));
	CHECK(failing_disarm() == 1);
	CHECK(backlog_reserve(&backlog, 100));
	for (uint32_t i = 0; i < 100; i++)
		append(i % RECEIVERS);
	failing_arm(1, FAILING_ALL_FROM);
	CHECK(!backlog_reserve(&backlog, 10000));
	CHECK(!backlog_reserve(&backlog, UINT32_MAX)); /* more than can be */
	CHECK(!backlog_reserve(&backlog, UINT64_MAX));
	CHECK(failing_disarm() == 1);
	CHECK(backlog.count == 100);
	for (uint32_t i = 0; i < RECEIVERS; i++)
		remove_all(i);
}

static void no_memory_to_shrink(void)
{
	for (uint32_t i = 0; i < 10000; i++)
		append(i % RECEIVERS);
	for (uint32_t i = 1; i < RECEIVERS; i++)
		remove_all(i);
	while (backlog_count(&backlog, 0) > 10)
		remove_first(0);
	failing_arm(1, FAILING_ALL_FROM);
	backlog_shrink(&backlog);
	CHECK(failing_disarm() == 1);
	remove_all(0);
	backlog_shrink(&backlog);
}

static bool is_within_limits(void)
{
	return backlog.capacity <= 4ull * backlog.count + 2ull * backlog.reserved + 128;
}

/* Counted in letters moved: each growing or shrinking moves all that wait. */
static uint64_t letters_moved(const char **slots)
{
	uint64_t moved = backlog.slots == *slots ? 0 : backlog.count;
	*slots = backlog.slots;
	return moved;
}

static void memory_follows(void)
{
	const char *slots = NULL;
	uint64_t moved = 0;
	CHECK(backlog_reserve(&backlog, 300));
	for (uint32_t i = 0; i < MANY; i++) {
		append(i % RECEIVERS);
		moved += letters_moved(&slots);
		CHECK(is_within_limits());
	}
	for (uint32_t i = 0; i < MANY; i++) {
		remove_first((i + 1) % RECEIVERS);
		backlog_shrink(&backlog);
		moved += letters_moved(&slots);
		CHECK(is_within_limits());
	}
	CHECK(backlog.count == 0);
	CHECK(moved > 0);
	CHECK(moved <= 2ull * 2 * MANY);
}

/* More come than go, then fewer, and so on; some receivers are written to more than others. */
static void any_mix(void)
{
	struct random random = {.state = 7};
	for (uint32_t step = 0; step < STEPS; step++) {
		bool is_rising = step / 20000 % 2 == 0;
		uint32_t to = random_below(&random, 1 + random_below(&random, RECEIVERS));
		if (random_below(&random, 3) != 0 ? is_rising : !is_rising)
			append(to);
		else if (backlog_count(&backlog, to) > 0)
			remove_first(to);
		if (random_below(&random, 10) == 0)
			backlog_shrink(&backlog);
		if (random_below(&random, 50) == 0)
			CHECK(backlog_reserve(&backlog, random_below(&random, 200)));
		uint64_t waiting = 0;
		for (uint32_t i = 0; i < RECEIVERS; i++) {
			CHECK(backlog_count(&backlog, i) == appended[i] - removed[i]);
			waiting += backlog_count(&backlog, i);
		}
		CHECK(backlog.count == waiting);
	}
	for (uint32_t i = 0; i < RECEIVERS; i++)
		remove_all(i);
}

static void not_made(void)
{
	struct backlog other;
	failing_arm(1, FAILING_ONE);
	CHECK(backlog_init(&other, RECEIVERS, sizeof(struct letter)) != 0);
	CHECK(failing_disarm() == 1);
	backlog_free(&other);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"letters of a receiver stay in order", in_order},
	{"what was reserved is there, and allocates nothing", reserved_is_there},
	{"without memory nothing is reserved, and what waits stays", no_memory},
	{"without memory it does not shrink, and what waits stays", no_memory_to_shrink},
	{"memory comes and goes with letters, which are moved seldom", memory_follows},
	{"any mix of letters comes and goes", any_mix},
	{"without memory there is none", not_made},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("backlog: %s\n", cases[i].name);
		memset(appended, 0, sizeof(appended));
		memset(removed, 0, sizeof(removed));
		CHECK(backlog_init(&backlog, RECEIVERS, sizeof(struct letter)) == 0);
		cases[i].run();
		CHECK(backlog.count == 0);
		backlog_free(&backlog);
	}
	return 0;
}
