/*
 * Replicated slots, as shipped, on several nodes in virtual time. Cases by name, then seeds of
 * everything at once.
 *
 *   slots_test                 the cases with SEEDS seeds each, and SEEDS seeds of everything
 *   slots_test SEED            everything with that seed, with a line for each thing that happens
 *   slots_test SEED N          everything, N seeds from that one on
 *   slots_test CASE SEED [N]   the case of that number
 */
#include "slot_world.h"

#define SEEDS 200u

static bool prints;

static struct world *world_with(uint32_t count, uint32_t slots, uint64_t seed)
{
	struct world *world = world_make(count, slots, seed);
	world->prints = prints;
	return world;
}

static struct world *standing(uint32_t count, uint32_t slots, uint64_t seed)
{
	struct world *world = world_with(count, slots, seed);
	for (uint32_t i = 0; i < count; i++)
		start(world, i);
	CHECK(until(world, is_calm, 30000) != NEVER);
	world->publish_every_ms = 200;
	return world;
}

static void quiet(uint64_t seed)
{
	struct world *world = standing(5, 4, seed);
	run(world, 20000);
	world_check_quiet(world);
	CHECK(missing(world, true) == 0);
	world_free(world);
}

/* ---- everything at once ---- */

static void any_fault(struct world *world)
{
	uint32_t node = random_below(&world->random, world->count);
	uint32_t other = random_below(&world->random, world->count);
	uint8_t sides[NODES_MAX];
	switch (random_below(&world->random, 10)) {
	case 0:
	case 1:
		if (world->nodes[node].is_up)
			crash(world, node);
		break;
	case 2:
	case 3:
		if (!world->nodes[node].is_up)
			start(world, node);
		break;
	case 4:
		stop(world, node, 500 + random_below(&world->random, 8000));
		break;
	case 5:
		cut(world, node, other, true);
		break;
	case 6:
		for (uint32_t i = 0; i < world->count; i++)
			sides[i] = (uint8_t)random_below(&world->random, 2 + (node & 1));
		part(world, sides);
		break;
	case 7:
		world->slow_ms[node][other] = random_below(&world->random, 3000);
		break;
	default:
		heal(world);
	}
}

static void everything(uint64_t seed)
{
	struct world *world = world_with(3 + (uint32_t)(seed % 5), 2, seed);
	world->delay_ms = 1 + (uint32_t)(seed % 13);
	world->loss = seed % 3 == 0 ? 200 : 0;
	world->twice = seed % 4 == 0 ? 200 : 0;
	world->partition = seed % 5 == 0 ? SLOTS_PAUSE : SLOTS_MERGE;
	world->publish_every_ms = 200;
	for (uint32_t i = 0; i < world->count; i++)
		start(world, i);
	run(world, 5000);
	for (int i = 0; i < 16; i++) {
		run(world, random_below(&world->random, 8000));
		any_fault(world);
	}
	heal(world);
	for (uint32_t i = 0; i < world->count; i++) {
		if (!world->nodes[i].is_up)
			start(world, i);
	}
	world_check_quiet(world);
	world_free(world);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *claim;
		void (*run)(uint64_t seed);
	} cases[] = {
		{"everything at once", everything},
		{"quiet", quiet},
	};
	unsigned from = 0, to = COUNT_OF(cases);
	uint64_t first = 0, count = SEEDS;
	if (argc > 1 && strcmp(argv[1], "case") == 0) {
		from = (unsigned)strtoul(argv[2], NULL, 10);
		to = from + 1;
		argc -= 2;
		argv += 2;
	} else if (argc > 1) {
		to = 1;
	}
	if (argc > 1)
		first = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		count = strtoull(argv[2], NULL, 10);
	prints = argc == 2;
	if (prints)
		count = 1;
	for (unsigned i = from; i < to; i++) {
		for (uint64_t seed = first; seed < first + count; seed++) {
			printf("slots: %s, seed %llu\n", cases[i].claim, (unsigned long long)seed);
			cases[i].run(seed);
		}
	}
	return 0;
}
