/* Keys are counted apart, up to their bound, and forgotten when nobody is left. */
#include "base/random.h"
#include "edge/tally.h"

#define NAMES 40
#define STEPS 20000
#define HELD_MAX 512

static const struct hash_key hash_key = {{1, 2}};

static struct tally_key key_of(const char *name)
{
	return tally_key_of(&hash_key, slice_string(name));
}

static void test_bound(void)
{
	struct tally tally;
	struct slab_handle places[3], place;
	struct tally_key ann = key_of("ann"), bob = key_of("bob");
	CHECK(tally_init(&tally) == 0);
	printf("tally: as many as may be, and no more\n");
	for (size_t i = 0; i < COUNT_OF(places); i++)
		CHECK(tally_take(&tally, &ann, 3, &places[i]) == TALLY_TAKEN);
	CHECK(tally_take(&tally, &ann, 3, &place) == TALLY_FULL);
	CHECK(tally_count(&tally, &ann) == 3);
	printf("tally: each key has its own\n");
	CHECK(tally_count(&tally, &bob) == 0);
	CHECK(tally_take(&tally, &bob, 1, &place) == TALLY_TAKEN);
	CHECK(tally_take(&tally, &ann, 3, &place) == TALLY_FULL);
	printf("tally: a place that was given back is free for the next\n");
	tally_give(&tally, places[1]);
	CHECK(tally_take(&tally, &ann, 3, &places[1]) == TALLY_TAKEN);
	CHECK(tally_take(&tally, &ann, 3, &place) == TALLY_FULL);
	printf("tally: a bound that has sunk holds for those who come\n");
	CHECK(tally_take(&tally, &ann, 2, &place) == TALLY_FULL);
	tally_give(&tally, places[0]);
	CHECK(tally_take(&tally, &ann, 2, &place) == TALLY_FULL);
	tally_give(&tally, places[1]);
	CHECK(tally_take(&tally, &ann, 2, &places[0]) == TALLY_TAKEN);
	printf("tally: a bound of none lets nobody in, and remembers nobody\n");
	struct tally_key eve = key_of("eve");
	CHECK(tally_take(&tally, &eve, 0, &place) == TALLY_FULL);
	CHECK(tally.table.count == 2);
	printf("tally: what is still counted goes with it\n");
	tally_free(&tally);
}

static void test_keys(void)
{
	printf("tally: names that differ have keys that differ, in either half\n");
	struct tally_key a = key_of("a"), b = key_of("b"), none = key_of("");
	for (int i = 0; i < 2; i++) {
		CHECK(a.word[i] != b.word[i]);
		CHECK(a.word[i] != none.word[i]);
	}
	CHECK(a.word[0] != a.word[1]);
	printf("tally: names that share half a key are two\n");
	struct tally tally;
	struct slab_handle place;
	struct tally_key half = {{a.word[0], ~a.word[1]}};
	CHECK(tally_init(&tally) == 0);
	CHECK(tally_take(&tally, &a, 1, &place) == TALLY_TAKEN);
	CHECK(tally_count(&tally, &half) == 0);
	CHECK(tally_take(&tally, &half, 1, &place) == TALLY_TAKEN);
	CHECK(tally_take(&tally, &half, 1, &place) == TALLY_FULL);
	tally_free(&tally);
}

/* Held against plain counters. */
static void test_many(void)
{
	struct tally tally;
	struct random random = {.state = 7};
	struct {
		uint32_t name;
		struct slab_handle place;
	} held[HELD_MAX];
	uint32_t counts[NAMES] = {0}, held_count = 0, full = 0;
	CHECK(tally_init(&tally) == 0);
	printf("tally: as many as were taken and not given back, whatever comes between\n");
	for (int i = 0; i < STEPS; i++) {
		uint32_t name = random_below(&random, NAMES), max = 1 + name % 20;
		char text[16];
		snprintf(text, sizeof(text), "user-%u", name);
		struct tally_key key = key_of(text);
		struct slab_handle place;
		CHECK(tally_count(&tally, &key) == counts[name]);
		if (held_count > 0 && (held_count == HELD_MAX || random_below(&random, 2) == 0)) {
			uint32_t which = random_below(&random, held_count);
			tally_give(&tally, held[which].place);
			counts[held[which].name]--;
			held[which] = held[--held_count];
		} else if (tally_take(&tally, &key, max, &place) == TALLY_TAKEN) {
			CHECK(counts[name]++ < max);
			held[held_count].name = name;
			held[held_count++].place = place;
		} else {
			CHECK(counts[name] == max);
			full++;
		}
	}
	CHECK(full > 0);
	while (held_count > 0)
		tally_give(&tally, held[--held_count].place);
	CHECK(tally.table.count == 0);
	CHECK(tally.entries.count == 0);
	tally_free(&tally);
}

int main(void)
{
	test_bound();
	test_keys();
	test_many();
	return 0;
}
