/* A script: '+' an offer that fits, 'x' one refused, '-' a take of the oldest, '0' of nothing. */
#include <errno.h>

#include "base/check.h"
#include "base/ring.h"

#define SLOTS 4

struct item {
	uint64_t number;
	char padding[24];
};

static const struct {
	const char *name;
	uint32_t capacity, age; /* age: where both counters start */
	const char *script;
} cases[] = {
	{"a new ring is empty", 4, 0, "0"},
	{"first in, first out", 4, 0, "+++---0"},
	{"full refuses, and keeps", 4, 0, "++++xx----0"},
	{"one slot is a ring too", 1, 0, "+x-0+x-0"},
	{"counters wrap unnoticed", 4, UINT32_MAX - 1, "++++x----0++--0"},
};

static const struct {
	uint32_t capacity, item_bytes;
} refused[] = {
	{0, 8}, {3, 8}, {6, 8}, {2 * RING_CAPACITY_MAX, 8}, {4, 0}, {4, RING_ITEM_MAX + 1},
};

static void play(const char *script, struct ring *ring)
{
	uint64_t offered = 0, taken = 0;
	for (const char *op = script; *op != '\0'; op++) {
		struct item item = {.number = offered + 1};
		switch (*op) {
		case '+':
			CHECK(ring_offer(ring, &item));
			offered++;
			break;
		case 'x':
			CHECK(!ring_offer(ring, &item));
			break;
		case '-':
			CHECK(!ring_is_empty(ring));
			CHECK(ring_take(ring, &item));
			CHECK(item.number == ++taken);
			break;
		default:
			CHECK(ring_is_empty(ring));
			CHECK(!ring_take(ring, &item));
		}
	}
	CHECK(offered == taken);
}

int main(void)
{
	struct ring ring;
	struct item slots[SLOTS];
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("ring: %s\n", cases[i].name);
		CHECK(cases[i].capacity <= SLOTS);
		CHECK(ring_init(&ring, slots, cases[i].capacity, sizeof(struct item)) == 0);
		ring.head = ring.tail = ring.head_seen = ring.tail_seen = cases[i].age;
		play(cases[i].script, &ring);
	}
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		CHECK(ring_init(&ring, slots, refused[i].capacity, refused[i].item_bytes) ==
		      -EINVAL);
	return 0;
}
