/*
 * slab.h - objects of one size, named by handles that go stale.
 *
 * An object begins with `uint32_t generation`, which the slab writes: never 0 while the
 * object is in use, and another one each time its place is used again. What an event or
 * another thread holds is the handle (place and generation), never the pointer; asked for
 * later, a handle of a dead object gives NULL.
 *
 * Threads:   one at a time; no locking.
 * Ownership: the slab owns the memory. All objects are released before slab_free().
 * Limits:    `count_max` objects. Memory comes and goes in chunks of SLAB_CHUNK_BYTES: one
 *            that has become empty is given back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"

#define SLAB_CHUNK_BYTES 65536u

struct slab_handle {
	uint32_t index;
	uint32_t generation; /* 0: the handle of nothing */
};

struct slab_chunk; /* private to slab.c */

struct slab {
	uint32_t item_bytes, per_chunk, count, count_max;
	uint32_t generation;        /* of the object taken last */
	uint32_t chunk_slots;       /* room in `chunks` */
	uint32_t chunk_end;         /* behind the last one that is there */
	struct slab_chunk **chunks; /* by number; NULL where there is none now */
	struct list open;           /* chunks with a free place, fullest first, roughly */
};

/* 0, -EINVAL (item too small or too large) or -ENOMEM. */
MUST_CHECK int slab_init(struct slab *slab, size_t item_bytes, uint32_t count_max);
void slab_free(struct slab *slab);
/* Another count_max; of fewer than there are, none is taken until as many were released. */
void slab_set_max(struct slab *slab, uint32_t count_max);

void *slab_take(struct slab *slab);               /* zeroed but for its generation; NULL: no more */
void slab_release(struct slab *slab, void *item); /* its handles are stale from here on */

struct slab_handle slab_handle_of(const struct slab *slab, const void *item);
void *slab_at(const struct slab *slab, struct slab_handle handle); /* NULL: stale */

/* The object at `index`, or NULL when that place is free: for walks over all of them,
 * index 0 .. slab_span() - 1. It grows and shrinks with them. */
uint32_t slab_span(const struct slab *slab);
void *slab_by_index(const struct slab *slab, uint32_t index);
