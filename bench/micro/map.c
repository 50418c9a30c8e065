/*
 * base/map as the hub's table of channels: a name is hashed and found among 100,000; one is taken
 * out and put in again.
 */
#include "base/hash.h"
#include "base/map.h"
#include "base/random.h"
#include "micro.h"

#define NAMES 100000u
#define NAME_MAX_BYTES 24

struct entry {
	struct map_node node;
	uint32_t len;
	char name[NAME_MAX_BYTES];
};

struct state {
	struct map map;
	struct random random;
	struct entry entries[NAMES];
};

static const struct hash_key key = {{1, 2}};

static struct slice entry_name(const struct entry *entry)
{
	return slice_of(entry->name, entry->len);
}

static struct entry *any_entry(struct state *state)
{
	return &state->entries[random_below(&state->random, NAMES)];
}

static void find(void *argument, uint64_t operations)
{
	struct state *state = argument;
	for (uint64_t i = 0; i < operations; i++) {
		const struct entry *wanted = any_entry(state);
		struct slice name = entry_name(wanted);
		struct map_node *node = map_first(&state->map, hash_bytes(&key, name));
		while (node != NULL &&
		       !slice_equals(entry_name(CONTAINER_OF(node, struct entry, node)), name))
			node = map_next(node);
		CHECK(node == &wanted->node);
	}
}

static void remove_and_insert(void *argument, uint64_t operations)
{
	struct state *state = argument;
	for (uint64_t i = 0; i < operations; i++) {
		struct entry *entry = any_entry(state);
		map_remove(&state->map, &entry->node);
		map_insert(&state->map, &entry->node, entry->node.hash);
	}
}

int main(int argc, char **argv)
{
	static struct state state;
	CHECK(map_init(&state.map) == 0);
	for (uint32_t i = 0; i < NAMES; i++) {
		struct entry *entry = &state.entries[i];
		int len = snprintf(entry->name, sizeof(entry->name), "chat:room:%u", i);
		CHECK(len > 0 && len < NAME_MAX_BYTES);
		entry->len = (uint32_t)len;
		map_insert(&state.map, &entry->node, hash_bytes(&key, entry_name(entry)));
	}
	micro_begin(argc, argv);
	micro_measure("map.find", find, &state);
	micro_measure("map.remove_and_insert", remove_and_insert, &state);
	for (uint32_t i = 0; i < NAMES; i++)
		map_remove(&state.map, &state.entries[i].node);
	map_free(&state.map);
	return micro_end();
}
