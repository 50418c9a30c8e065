#include "base/map.h"

#include <errno.h>
#include <stdlib.h>

#define MAP_SIZE_MIN 16
#define MAP_MOVE_PER_STEP 4 /* > 2, so that a move ends before the next one is due */

int map_init(struct map *map)
{
	*map = (struct map){.size = MAP_SIZE_MIN};
	map->buckets = calloc(map->size, sizeof(*map->buckets));
	return map->buckets == NULL ? -ENOMEM : 0;
}

void map_free(struct map *map)
{
	CHECK(map->count == 0);
	free(map->buckets);
	free(map->old);
	*map = (struct map){0};
}

static struct map_node **map_slot(const struct map *map, uint64_t hash)
{
	if (map->old != NULL) {
		size_t i = hash & (map->old_size - 1);
		if (i >= map->moved)
			return &map->old[i];
	}
	return &map->buckets[hash & (map->size - 1)];
}

static struct map_node *same_hash(struct map_node *node, uint64_t hash)
{
	while (node != NULL && node->hash != hash)
		node = node->next;
	return node;
}

struct map_node *map_first(const struct map *map, uint64_t hash)
{
	return same_hash(*map_slot(map, hash), hash);
}

struct map_node *map_next(const struct map_node *node)
{
	return same_hash(node->next, node->hash);
}

static void map_move_some(struct map *map)
{
	for (int i = 0; i < MAP_MOVE_PER_STEP && map->old != NULL; i++) {
		struct map_node *node = map->old[map->moved];
		map->old[map->moved++] = NULL;
		while (node != NULL) {
			struct map_node *next = node->next;
			struct map_node **slot = &map->buckets[node->hash & (map->size - 1)];
			node->next = *slot;
			*slot = node;
			node = next;
		}
		if (map->moved == map->old_size) {
			free(map->old);
			map->old = NULL;
		}
	}
}

static void map_resize(struct map *map, size_t size)
{
	if (map->old != NULL || size < MAP_SIZE_MIN)
		return;
	struct map_node **buckets = calloc(size, sizeof(*buckets));
	if (buckets == NULL)
		return;
	map->old = map->buckets;
	map->old_size = map->size;
	map->moved = 0;
	map->buckets = buckets;
	map->size = size;
}

void map_insert(struct map *map, struct map_node *node, uint64_t hash)
{
	if (map->count >= map->size)
		map_resize(map, map->size * 2);
	map_move_some(map);

	struct map_node **slot = map_slot(map, hash);
	node->hash = hash;
	node->next = *slot;
	*slot = node;
	map->count++;
}

void map_remove(struct map *map, struct map_node *node)
{
	struct map_node **link = map_slot(map, node->hash);
	while (*link != node) {
		CHECK(*link != NULL); /* not in this map */
		link = &(*link)->next;
	}
	*link = node->next;
	node->next = NULL;
	CHECK(map->count > 0);
	map->count--;

	if (map->count < map->size / 8)
		map_resize(map, map->size / 2);
	map_move_some(map);
}

size_t map_buckets(const struct map *map)
{
	return map->size + (map->old != NULL ? map->old_size : 0);
}

struct map_node *map_bucket(const struct map *map, size_t i)
{
	return i < map->size ? map->buckets[i] : map->old[i - map->size];
}
