/*
 * map.h - objects by the hash of their name; the links lie inside the objects.
 *
 * The caller compares names: it walks the few nodes of one hash with map_first() and
 * map_next(). Growing and shrinking move a few buckets with each change, so that no
 * single insert pays for a million old ones.
 *
 * Threads:   one at a time; no locking.
 * Ownership: the map owns its buckets, never the objects. All are removed before map_free().
 * Limits:    none. When memory for more buckets is refused it stays small, and correct.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct map_node {
	struct map_node *next;
	uint64_t hash;
};

struct map {
	struct map_node **buckets, **old; /* old: being moved into buckets, or NULL */
	size_t size, old_size;            /* powers of two */
	size_t moved;                     /* buckets of `old` that are empty for good */
	size_t count;
};

MUST_CHECK int map_init(struct map *map); /* 0 or -ENOMEM */
void map_free(struct map *map);

struct map_node *map_first(const struct map *map, uint64_t hash);
struct map_node *map_next(const struct map_node *node); /* the next of the same hash */
void map_insert(struct map *map, struct map_node *node, uint64_t hash);
void map_remove(struct map *map, struct map_node *node);

/* The chain of bucket `i`, for i in 0 .. map_buckets() - 1: every node of the map is in
 * exactly one of them, as long as the map does not change. */
size_t map_buckets(const struct map *map);
struct map_node *map_bucket(const struct map *map, size_t i);

/*
 * A walk in steps, between which nodes may be put in and taken out: one that stays is met once,
 * wherever the map moves it. `*place` is 0 at first. Meets a bucket's worth of nodes, `visit` must
 * not change the map. False: that was all.
 */
typedef void map_visit(void *to, struct map_node *node);
bool map_step(const struct map *map, uint64_t *place, map_visit *visit, void *to);
/* Has a walk that is there met the nodes of that hash, or would it have? */
bool map_is_behind(uint64_t hash, uint64_t place);
