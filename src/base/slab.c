/*
 * A chunk is aligned to its own size, so the chunk of an object is found by masking the
 * object's address. Free places of a chunk are chained through the objects themselves, and
 * pages of a chunk that no object has reached yet cost nothing.
 */
#include "base/slab.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct slab_chunk {
	struct list_node in_open;
	uint32_t number, used;
	uint32_t fresh; /* places from here on were never used */
	struct slab_place *free;
};

struct slab_place {
	uint32_t generation; /* 0 while free */
	struct slab_place *next;
};

#define CHUNK_HEAD_BYTES 64u

static_assert(sizeof(struct slab_chunk) <= CHUNK_HEAD_BYTES, "objects begin behind the head");

int slab_init(struct slab *slab, size_t item_bytes, uint32_t count_max)
{
	if (item_bytes < sizeof(struct slab_place) || item_bytes % 8 != 0 ||
	    item_bytes > SLAB_CHUNK_BYTES / 8 || count_max == 0)
		return -EINVAL;

	*slab = (struct slab){
		.item_bytes = (uint32_t)item_bytes,
		.per_chunk = (SLAB_CHUNK_BYTES - CHUNK_HEAD_BYTES) / (uint32_t)item_bytes,
		.count_max = count_max,
	};
	list_init(&slab->open);
	return 0;
}

void slab_free(struct slab *slab)
{
	CHECK(slab->count == 0);
	for (uint32_t i = 0; i < slab->chunk_slots; i++) {
		if (slab->chunks[i] != NULL)
			munmap(slab->chunks[i], SLAB_CHUNK_BYTES);
	}
	free(slab->chunks);
	*slab = (struct slab){0};
}

void slab_set_max(struct slab *slab, uint32_t count_max)
{
	CHECK(count_max > 0);
	slab->count_max = count_max;
}

static struct slab_chunk *chunk_of(const void *item)
{
	return (struct slab_chunk *)((uintptr_t)item & ~(uintptr_t)(SLAB_CHUNK_BYTES - 1));
}

static char *chunk_place(const struct slab *slab, struct slab_chunk *chunk, uint32_t i)
{
	return (char *)chunk + CHUNK_HEAD_BYTES + (size_t)i * slab->item_bytes;
}

/* Pages of a mapping are zero and cost nothing until they are touched. */
static void *chunk_map(void)
{
	size_t room = 2 * (size_t)SLAB_CHUNK_BYTES;
	char *mapped = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mapped == MAP_FAILED)
		return NULL;

	size_t before = -(uintptr_t)mapped & (SLAB_CHUNK_BYTES - 1);
	size_t after = SLAB_CHUNK_BYTES - before;
	if (before > 0)
		munmap(mapped, before);
	if (after > 0)
		munmap(mapped + before + SLAB_CHUNK_BYTES, after);
	return mapped + before;
}

static uint32_t free_number(struct slab *slab)
{
	uint32_t number = 0;
	while (number < slab->chunk_slots && slab->chunks[number] != NULL)
		number++;
	return number;
}

static bool make_slot(struct slab *slab, uint32_t number)
{
	if (number < slab->chunk_slots)
		return true;
	uint32_t slots = slab->chunk_slots == 0 ? 16 : slab->chunk_slots * 2;
	struct slab_chunk **chunks = realloc(slab->chunks, slots * sizeof(*chunks));
	if (chunks == NULL)
		return false;
	memset(chunks + slab->chunk_slots, 0, (slots - slab->chunk_slots) * sizeof(*chunks));
	slab->chunks = chunks;
	slab->chunk_slots = slots;
	return true;
}

static struct slab_chunk *chunk_add(struct slab *slab)
{
	uint32_t number = free_number(slab);
	if (!make_slot(slab, number))
		return NULL;
	struct slab_chunk *chunk = chunk_map();
	if (chunk == NULL)
		return NULL;

	chunk->number = number;
	slab->chunks[number] = chunk;
	if (number >= slab->chunk_end)
		slab->chunk_end = number + 1;
	list_append(&slab->open, &chunk->in_open);
	return chunk;
}

static void chunk_remove(struct slab *slab, struct slab_chunk *chunk)
{
	list_remove(&chunk->in_open);
	slab->chunks[chunk->number] = NULL;
	while (slab->chunk_end > 0 && slab->chunks[slab->chunk_end - 1] == NULL)
		slab->chunk_end--;
	munmap(chunk, SLAB_CHUNK_BYTES);
}

static struct slab_place *chunk_take(const struct slab *slab, struct slab_chunk *chunk)
{
	struct slab_place *place = chunk->free;
	if (place != NULL)
		chunk->free = place->next;
	else
		place = (struct slab_place *)(void *)chunk_place(slab, chunk, chunk->fresh++);
	CHECK(place->generation == 0);
	chunk->used++;
	return place;
}

void *slab_take(struct slab *slab)
{
	if (slab->count >= slab->count_max)
		return NULL;
	struct list_node *first = list_first(&slab->open);
	struct slab_chunk *chunk =
		first != NULL ? CONTAINER_OF(first, struct slab_chunk, in_open) : chunk_add(slab);
	if (chunk == NULL)
		return NULL;

	struct slab_place *place = chunk_take(slab, chunk);
	if (chunk->used == slab->per_chunk)
		list_remove(&chunk->in_open);
	slab->count++;
	if (++slab->generation == 0)
		slab->generation = 1;
	memset(place, 0, slab->item_bytes);
	place->generation = slab->generation;
	return place;
}

void slab_release(struct slab *slab, void *item)
{
	struct slab_chunk *chunk = chunk_of(item);
	struct slab_place *place = item;
	CHECK(place->generation != 0);
	CHECK(chunk->used > 0);

	if (chunk->used == slab->per_chunk)
		list_append(&slab->open, &chunk->in_open);
	place->generation = 0;
	place->next = chunk->free;
	chunk->free = place;
	chunk->used--;
	slab->count--;
	/* The last open chunk stays, so that one object coming and going maps nothing. */
	if (chunk->used == 0 && slab->open.ends.next != slab->open.ends.prev)
		chunk_remove(slab, chunk);
}

struct slab_handle slab_handle_of(const struct slab *slab, const void *item)
{
	const struct slab_chunk *chunk = chunk_of(item);
	const struct slab_place *place = item;
	CHECK(place->generation != 0);
	size_t offset = (size_t)((const char *)item - (const char *)chunk) - CHUNK_HEAD_BYTES;
	CHECK_SLOW(offset % slab->item_bytes == 0);
	return (struct slab_handle){
		chunk->number * slab->per_chunk + (uint32_t)(offset / slab->item_bytes),
		place->generation,
	};
}

uint32_t slab_span(const struct slab *slab)
{
	if (slab->chunk_end == 0)
		return 0;
	uint32_t last = slab->chunk_end - 1;
	return last * slab->per_chunk + slab->chunks[last]->fresh;
}

void *slab_by_index(const struct slab *slab, uint32_t index)
{
	uint32_t number = index / slab->per_chunk, i = index % slab->per_chunk;
	if (number >= slab->chunk_end || slab->chunks[number] == NULL)
		return NULL;
	if (i >= slab->chunks[number]->fresh)
		return NULL;
	struct slab_place *place =
		(struct slab_place *)(void *)chunk_place(slab, slab->chunks[number], i);
	return place->generation == 0 ? NULL : place;
}

void *slab_at(const struct slab *slab, struct slab_handle handle)
{
	struct slab_place *place = slab_by_index(slab, handle.index);
	return place != NULL && place->generation == handle.generation ? place : NULL;
}
