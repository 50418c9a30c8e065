#include "hub/duplicates.h"

#include <stdlib.h>
#include <string.h>

struct duplicate {
	struct map_node in_table;
	struct list_node in_age;
	uint64_t seq;
	uint32_t added_ms; /* the caller's clock, cut to 32 bits */
	uint8_t key_len;
	char key[];
};

int duplicates_init(struct duplicates *duplicates)
{
	*duplicates = (struct duplicates){.ttl_ms = DUPLICATES_MS};
	list_init(&duplicates->by_age);
	return map_init(&duplicates->table);
}

static void drop(struct duplicates *duplicates, struct duplicate *duplicate)
{
	map_remove(&duplicates->table, &duplicate->in_table);
	list_remove(&duplicate->in_age);
	free(duplicate);
	duplicates->count--;
}

static struct duplicate *oldest(const struct duplicates *duplicates)
{
	struct list_node *node = list_first(&duplicates->by_age);
	return node == NULL ? NULL : CONTAINER_OF(node, struct duplicate, in_age);
}

static void forget_oldest(struct duplicates *duplicates)
{
	drop(duplicates, oldest(duplicates));
	duplicates->forgotten++;
}

void duplicates_clear(struct duplicates *duplicates)
{
	while (duplicates->count > 0)
		forget_oldest(duplicates);
}

void duplicates_free(struct duplicates *duplicates)
{
	duplicates_clear(duplicates);
	map_free(&duplicates->table);
}

void duplicates_destroy(struct duplicates *duplicates)
{
	if (duplicates == NULL)
		return;
	duplicates_free(duplicates);
	free(duplicates);
}

static bool is_expired(const struct duplicates *duplicates, const struct duplicate *duplicate,
                       uint64_t now_ms)
{
	return (uint32_t)now_ms - duplicate->added_ms >= duplicates->ttl_ms;
}

static struct duplicate *find(const struct duplicates *duplicates, struct slice key, uint64_t hash)
{
	struct map_node *node = map_first(&duplicates->table, hash);
	for (; node != NULL; node = map_next(node)) {
		struct duplicate *duplicate = CONTAINER_OF(node, struct duplicate, in_table);
		if (slice_equals(slice_of(duplicate->key, duplicate->key_len), key))
			return duplicate;
	}
	return NULL;
}

uint64_t duplicates_find(const struct duplicates *duplicates, struct slice key, uint64_t hash,
                         uint64_t now_ms)
{
	const struct duplicate *duplicate = find(duplicates, key, hash);
	return duplicate == NULL || is_expired(duplicates, duplicate, now_ms) ? 0 : duplicate->seq;
}

static bool add(struct duplicates *duplicates, struct slice key, uint64_t hash, uint64_t seq,
                uint32_t added_ms)
{
	CHECK(key.len > 0 && key.len <= UINT8_MAX);
	CHECK(seq != 0);
	struct duplicate *duplicate = calloc(1, sizeof(*duplicate) + key.len);
	if (duplicate == NULL)
		return false;
	if (duplicates->count == DUPLICATES_MAX)
		forget_oldest(duplicates);
	duplicate->seq = seq;
	duplicate->added_ms = added_ms;
	duplicate->key_len = (uint8_t)key.len;
	memcpy(duplicate->key, key.at, key.len);
	map_insert(&duplicates->table, &duplicate->in_table, hash);
	list_append(&duplicates->by_age, &duplicate->in_age);
	duplicates->count++;
	return true;
}

/* Not the oldest one: who is shown them begins anew. */
static void drop_undone(struct duplicates *duplicates, struct duplicate *duplicate)
{
	drop(duplicates, duplicate);
	duplicates->undone++;
}

bool duplicates_add(struct duplicates *duplicates, struct slice key, uint64_t hash, uint64_t seq,
                    uint64_t now_ms)
{
	duplicates_expire(duplicates, now_ms);
	struct duplicate *old = find(duplicates, key, hash);
	if (old != NULL) { /* it was restored behind younger ones */
		CHECK(is_expired(duplicates, old, now_ms));
		drop_undone(duplicates, old);
	}
	return add(duplicates, key, hash, seq, (uint32_t)now_ms);
}

bool duplicates_restore(struct duplicates *duplicates, struct slice key, uint64_t hash,
                        uint64_t seq, uint64_t now_ms, uint32_t age_ms)
{
	struct duplicate *old = find(duplicates, key, hash);
	if (age_ms >= duplicates->ttl_ms || (old != NULL && !is_expired(duplicates, old, now_ms)))
		return true;
	if (old != NULL)
		drop_undone(duplicates, old);
	return add(duplicates, key, hash, seq, (uint32_t)now_ms - age_ms);
}

void duplicates_remove(struct duplicates *duplicates, struct slice key, uint64_t hash, uint64_t seq)
{
	struct duplicate *duplicate = find(duplicates, key, hash);
	if (duplicate != NULL && duplicate->seq == seq)
		drop_undone(duplicates, duplicate);
}

bool duplicates_show(const struct duplicates *duplicates, struct duplicates_place *place,
                     uint64_t now_ms, struct duplicate_shown *shown)
{
	bool is_here = place->last != NULL && place->undone == duplicates->undone &&
	               place->number >= duplicates->forgotten;
	struct list_node *node = is_here ? list_after(&duplicates->by_age, &place->last->in_age)
	                                 : list_first(&duplicates->by_age);
	if (node == NULL)
		return false;
	const struct duplicate *duplicate = CONTAINER_OF(node, struct duplicate, in_age);
	*shown = (struct duplicate_shown){
		.key = slice_of(duplicate->key, duplicate->key_len),
		.seq = duplicate->seq,
		.age_ms = (uint32_t)now_ms - duplicate->added_ms,
	};
	*place = (struct duplicates_place){
		.last = duplicate,
		.number = is_here ? place->number + 1 : duplicates->forgotten,
		.undone = duplicates->undone,
	};
	return true;
}

void duplicates_expire(struct duplicates *duplicates, uint64_t now_ms)
{
	struct duplicate *duplicate;
	while ((duplicate = oldest(duplicates)) != NULL &&
	       is_expired(duplicates, duplicate, now_ms))
		forget_oldest(duplicates);
}

uint64_t duplicates_age_ms(const struct duplicates *duplicates, uint64_t now_ms)
{
	const struct duplicate *first = oldest(duplicates);
	return first == NULL ? 0 : (uint32_t)now_ms - first->added_ms;
}
