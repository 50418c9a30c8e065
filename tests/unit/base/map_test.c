/* A map beside an array that says which nodes must be in it, while it grows and shrinks. */
#include "base/map.h"
#include "base/random.h"

#define NODES 6000
#define MOVED_MAX 4  /* buckets that one call may move */
#define FEW_HASHES 7 /* so that many nodes share one */
#define LOAD_MAX 2   /* nodes a bucket, on average */
#define SPARE_MAX 32 /* buckets a node, once a shrinking map has had time to move */
#define MAP_SMALL 16

struct item {
	struct map_node node;
	uint64_t hash;
	bool is_in, is_met;
};

static struct item items[NODES];
static struct map map;
static size_t expected; /* nodes in the map */

static struct item *item_of(struct map_node *node)
{
	return CONTAINER_OF(node, struct item, node);
}

/* Of one hash the map gives all nodes, each once, and no others. */
static void hash_check(uint64_t hash, size_t count)
{
	size_t met = 0;
	struct map_node *node = map_first(&map, hash);
	for (; node != NULL; node = map_next(node), met++) {
		CHECK(item_of(node)->is_in);
		CHECK(item_of(node)->hash == hash);
		CHECK(met < count);
	}
	CHECK(met == count);
}

static bool is_found(const struct item *item)
{
	struct map_node *node = map_first(&map, item->hash);
	while (node != NULL && node != &item->node)
		node = map_next(node);
	return node != NULL;
}

/* Walking all buckets meets each node once. */
static void walk_check(void)
{
	size_t met = 0;
	for (size_t i = 0; i < map_buckets(&map); i++) {
		struct map_node *node = map_bucket(&map, i);
		for (; node != NULL; node = node->next, met++) {
			CHECK(item_of(node)->is_in);
			CHECK(!item_of(node)->is_met);
			item_of(node)->is_met = true;
		}
	}
	CHECK(met == expected);
	CHECK(map.count == expected);
	for (size_t i = 0; i < NODES; i++) {
		CHECK(is_found(&items[i]) == items[i].is_in);
		items[i].is_met = false;
	}
}

static size_t moved_of(void)
{
	return map.old == NULL ? 0 : map.moved;
}

static void toggle(struct item *item)
{
	size_t moved = moved_of();
	uintptr_t old = (uintptr_t)map.old;
	if (item->is_in)
		map_remove(&map, &item->node);
	else
		map_insert(&map, &item->node, item->hash);
	item->is_in = !item->is_in;
	expected = item->is_in ? expected + 1 : expected - 1;
	/* The work of a move is spread over many calls. */
	if (old == (uintptr_t)map.old)
		CHECK(moved_of() - moved <= MOVED_MAX);
	CHECK(map.count == expected);
	CHECK(is_found(item) == item->is_in);
}

static void fill(size_t count)
{
	for (size_t i = 0; expected < count; i++) {
		if (!items[i].is_in)
			toggle(&items[i]);
	}
}

static void drain(size_t count)
{
	for (size_t i = 0; expected > count; i++) {
		if (items[i].is_in)
			toggle(&items[i]);
	}
}

static void begin(uint64_t seed)
{
	struct random random = {.state = seed};
	CHECK(map_init(&map) == 0);
	expected = 0;
	for (size_t i = 0; i < NODES; i++)
		items[i] = (struct item){.hash = random_next(&random)};
}

static void end(void)
{
	drain(0);
	walk_check();
	map_free(&map);
	CHECK(map.buckets == NULL);
}

static void finds_nothing(void)
{
	CHECK(map_first(&map, 0) == NULL);
	CHECK(map_first(&map, UINT64_MAX) == NULL);
}

static void tells_hashes_apart(void)
{
	for (size_t i = 0; i < 100; i++)
		items[i].hash = i % FEW_HASHES;
	fill(100);
	for (uint64_t hash = 0; hash < FEW_HASHES; hash++)
		hash_check(hash, 100 / FEW_HASHES + (hash < 100 % FEW_HASHES));
	hash_check(FEW_HASHES, 0);
	drain(0);
	hash_check(0, 0);
}

/* The same bucket, whatever its size: only the upper bits differ. */
static void shares_buckets(void)
{
	for (size_t i = 0; i < NODES; i++)
		items[i].hash = (uint64_t)i << 40;
	fill(200);
	for (uint64_t i = 0; i < 200; i++)
		hash_check(i << 40, 1);
	walk_check();
}

static void grows_bit_by_bit(void)
{
	for (size_t i = 0; i < NODES; i++) {
		toggle(&items[i]);
		CHECK(map.count <= LOAD_MAX * map.size);
		if (i % 500 == 0)
			walk_check();
	}
	CHECK(map.size >= NODES / LOAD_MAX);
	walk_check();
}

static void shrinks_bit_by_bit(void)
{
	fill(NODES);
	for (size_t i = 0; i < NODES; i++) {
		toggle(&items[i]);
		if (i % 500 == 0)
			walk_check();
	}
	/* A few calls more end the last move. */
	for (int i = 0; i < 2 * NODES; i++)
		toggle(&items[0]);
	CHECK(map.old == NULL);
	CHECK(map.size == MAP_SMALL);
}

static void turns_round(void)
{
	/* Begins to grow, and loses nodes before the old buckets are empty; and again. */
	for (size_t count = 17; count < NODES; count = count * 3 / 2) {
		fill(count);
		walk_check();
		drain(count / 2);
		walk_check();
		fill(count / 2 + 3);
		walk_check();
	}
}

static void any_steps(void)
{
	struct random random = {.state = 99};
	for (int phase = 0; phase < 12; phase++) {
		uint32_t inserts = phase % 2 == 0 ? 80 : 20; /* of a hundred */
		for (int i = 0; i < 15000; i++) {
			struct item *item = &items[random_below(&random, NODES)];
			if (item->is_in == (random_below(&random, 100) >= inserts))
				toggle(item);
		}
		walk_check();
		CHECK(map_buckets(&map) <= SPARE_MAX * (expected + MAP_SMALL));
	}
}

/* ---- a walk in steps ---- */

static uint64_t place;
static bool is_over;

static bool is_walked_past(const struct item *item)
{
	return is_over || map_is_behind(item->hash, place);
}

static void meet(void *to, struct map_node *node)
{
	size_t *met = to;
	CHECK(!map_is_behind(node->hash, place));
	CHECK(item_of(node)->is_in && !item_of(node)->is_met);
	item_of(node)->is_met = true;
	++*met;
}

/* Who is behind the walk has been met, or was put in there: then he counts as met. */
static void walk_toggle(struct item *item)
{
	toggle(item);
	item->is_met = item->is_in && is_walked_past(item);
}

/* As it goes, nodes come and go: from `count` of them on to about `until`. */
static size_t walk_while_it_changes(size_t count, size_t until, uint32_t toggles, uint64_t seed)
{
	struct random random = {.state = seed};
	size_t met = 0, steps = 0;
	fill(count);
	drain(count);
	for (place = 0, is_over = false; !is_over; steps++) {
		is_over = !map_step(&map, &place, meet, &met);
		for (uint32_t i = random_below(&random, 2 * toggles + 1); i > 0; i--) {
			struct item *item = &items[random_below(&random, NODES)];
			if (item->is_in == (expected > until))
				walk_toggle(item);
		}
	}
	for (size_t i = 0; i < NODES; i++) {
		CHECK(items[i].is_met == items[i].is_in);
		items[i].is_met = false;
	}
	CHECK(steps <= (size_t)SPARE_MAX * NODES);
	return met;
}

static void is_walked_in_steps(void)
{
	CHECK(walk_while_it_changes(0, 0, 0, 1) == 0);
	CHECK(walk_while_it_changes(NODES, NODES, 0, 2) == NODES);
	for (uint64_t seed = 0; seed < 40; seed++) {
		uint32_t toggles = 1u << seed % 8;
		(void)walk_while_it_changes(10, NODES, toggles, seed);
		(void)walk_while_it_changes(NODES, 10, toggles, seed);
		(void)walk_while_it_changes(NODES / 3, NODES / 3, toggles, seed);
	}
}

static void is_walked_though_all_share_a_bucket(void)
{
	for (size_t i = 0; i < NODES; i++)
		items[i].hash = i < 200 ? (uint64_t)i << 40 : i % FEW_HASHES;
	CHECK(walk_while_it_changes(150, 150, 0, 3) == 150);
	(void)walk_while_it_changes(20, 200, 3, 4);
	(void)walk_while_it_changes(200, 20, 3, 5);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"an empty one finds nothing", finds_nothing},
	{"all nodes of one hash are found, no others", tells_hashes_apart},
	{"hashes in one bucket stay apart", shares_buckets},
	{"growing moves a few buckets a call, and loses nobody", grows_bit_by_bit},
	{"shrinking does too, down to where it began", shrinks_bit_by_bit},
	{"growing may turn into shrinking half-way", turns_round},
	{"any mix of calls finds what was put in", any_steps},
	{"a walk in steps meets each once, while it grows and shrinks", is_walked_in_steps},
	{"and where all share a bucket", is_walked_though_all_share_a_bucket},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("map: %s\n", cases[i].name);
		begin(i);
		cases[i].run();
		end();
	}
	return 0;
}
