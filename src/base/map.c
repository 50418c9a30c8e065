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

/* ---- a walk in steps ---- */

/*
 * Nodes are met in the order of their hashes read from the last bit to the first. A bucket holds
 * those whose last bits are the same, so in that order it is one stretch, in a map of any size; a
 * place between two buckets of a map is between two of one that is larger, too. When a map has
 * shrunk meanwhile it may be inside one, and the nodes before it have been met.
 */
static uint64_t reversed(uint64_t bits)
{
	bits = (bits >> 1 & 0x5555555555555555u) | (bits & 0x5555555555555555u) << 1;
	bits = (bits >> 2 & 0x3333333333333333u) | (bits & 0x3333333333333333u) << 2;
	bits = (bits >> 4 & 0x0f0f0f0f0f0f0f0fu) | (bits & 0x0f0f0f0f0f0f0f0fu) << 4;
	return __builtin_bswap64(bits);
}

bool map_is_behind(uint64_t hash, uint64_t place)
{
	return reversed(hash) < place;
}

/* Those at the place or behind it, up to the end of its stretch. */
static void visit_chain(struct map_node *node, uint64_t place, map_visit *visit, void *to)
{
	for (; node != NULL; node = node->next) {
		if (!map_is_behind(node->hash, place))
			visit(to, node);
	}
}

/* Of a table of that size: all buckets whose nodes are in the stretch, which a smaller one makes.
 */
static void visit_buckets(struct map_node **buckets, size_t size, size_t stretches, uint64_t place,
                          map_visit *visit, void *to)
{
	size_t i = reversed(place) & (stretches - 1);
	for (; i < size; i += stretches)
		visit_chain(buckets[i], place, visit, to);
}

bool map_step(const struct map *map, uint64_t *place, map_visit *visit, void *to)
{
	bool is_moving = map->old != NULL;
	size_t stretches = is_moving && map->old_size < map->size ? map->old_size : map->size;
	visit_buckets(map->buckets, map->size, stretches, *place, visit, to);
	if (is_moving)
		visit_buckets(map->old, map->old_size, stretches, *place, visit, to);
	uint64_t stretch = UINT64_MAX / stretches + 1; /* both are powers of two */
	/* What comes next lies anywhere: to ask for it early saves a third of a long walk. */
	__builtin_prefetch(&map->buckets[reversed(*place + 16 * stretch) & (map->size - 1)]);
	__builtin_prefetch(map->buckets[reversed(*place + 8 * stretch) & (map->size - 1)]);
	*place = (*place & ~(stretch - 1)) + stretch;
	return *place != 0;
}
