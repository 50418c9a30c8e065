#include "hub/latest.h"

#include <stdlib.h>

int latest_init(struct latest *latest, uint32_t count_max)
{
	CHECK(count_max > 0);
	*latest = (struct latest){.count_max = count_max};
	list_init(&latest->in_order);
	return map_init(&latest->table);
}

static struct latest_entry *entry_at(struct list_node *node)
{
	return node == NULL ? NULL : CONTAINER_OF(node, struct latest_entry, in_order);
}

/* Out of the order of numbers. */
static void take_out(struct latest *latest, struct latest_entry *entry)
{
	if (latest->found == entry)
		latest->found = entry_at(list_after(&latest->in_order, &entry->in_order));
	list_remove(&entry->in_order);
}

static void drop(struct latest *latest, struct latest_entry *entry)
{
	map_remove(&latest->table, &entry->in_table);
	take_out(latest, entry);
	record_drop(entry->record);
	free(entry);
	latest->count--;
}

void latest_free(struct latest *latest)
{
	while (latest->count > 0)
		drop(latest, entry_at(list_first(&latest->in_order)));
	map_free(&latest->table);
	free(latest->spare);
	latest->spare = NULL;
}

static struct latest_entry *find(const struct latest *latest, struct slice key, uint64_t hash)
{
	struct map_node *node = map_first(&latest->table, hash);
	for (; node != NULL; node = map_next(node)) {
		struct latest_entry *entry = CONTAINER_OF(node, struct latest_entry, in_table);
		if (slice_equals(record_key(entry->record), key))
			return entry;
	}
	return NULL;
}

/* Drops the entry that is longest unchanged. */
static void lose_first(struct latest *latest)
{
	struct latest_entry *first = entry_at(list_first(&latest->in_order));
	if (first->record->seq > latest->lost)
		latest->lost = first->record->seq;
	drop(latest, first);
}

void latest_set_max(struct latest *latest, uint32_t count_max)
{
	CHECK(count_max > 0);
	latest->count_max = count_max;
	while (latest->count > count_max)
		lose_first(latest);
}

bool latest_reserve(struct latest *latest)
{
	if (latest->spare == NULL)
		latest->spare = calloc(1, sizeof(*latest->spare));
	return latest->spare != NULL;
}

/* The spare one, which has been reserved. */
static struct latest_entry *entry_make(struct latest *latest, uint64_t hash)
{
	struct latest_entry *entry = latest->spare;
	CHECK(entry != NULL);
	latest->spare = NULL;
	if (latest->count == latest->count_max)
		lose_first(latest);
	map_insert(&latest->table, &entry->in_table, hash);
	latest->count++;
	return entry;
}

void latest_put(struct latest *latest, struct record *record, uint64_t hash, uint64_t now_ms)
{
	struct latest_entry *last =
		list_is_empty(&latest->in_order) ? NULL : entry_at(latest->in_order.ends.prev);
	CHECK(last == NULL || last->record->seq < record->seq);
	struct latest_entry *entry = find(latest, record_key(record), hash);
	if (entry != NULL) {
		take_out(latest, entry);
		record_drop(entry->record);
	} else {
		entry = entry_make(latest, hash);
	}
	entry->record = record_take(record);
	entry->added_ms = (uint32_t)now_ms;
	list_append(&latest->in_order, &entry->in_order);
}

/* The node whose number is `seq` or higher, or the end. */
static struct list_node *node_from(const struct latest *latest, uint64_t seq)
{
	struct list_node *back = latest->in_order.ends.prev, *ahead = NULL;
	if (latest->found != NULL && latest->found->record->seq >= seq)
		back = &latest->found->in_order;
	else if (latest->found != NULL)
		ahead = &latest->found->in_order;
	while (back != &latest->in_order.ends && entry_at(back)->record->seq >= seq) {
		back = back->prev;
		if (ahead == NULL)
			continue;
		ahead = ahead->next; /* not beyond the one that `back` was at */
		if (entry_at(ahead)->record->seq >= seq)
			return ahead;
	}
	return back->next;
}

static struct list_node *find_from(struct latest *latest, uint64_t seq)
{
	struct list_node *node = node_from(latest, seq);
	if (node != &latest->in_order.ends)
		latest->found = entry_at(node);
	return node;
}

bool latest_put_older(struct latest *latest, struct record *record, uint64_t hash, uint64_t now_ms)
{
	const struct latest_entry *first = entry_at(list_first(&latest->in_order));
	if (record->seq <= latest->lost || find(latest, record_key(record), hash) != NULL)
		return true;
	if (latest->count == latest->count_max && record->seq < first->record->seq) {
		latest->lost = record->seq;
		return true;
	}
	struct list_node *place = find_from(latest, record->seq);
	if (place != &latest->in_order.ends && entry_at(place)->record->seq == record->seq)
		return true; /* that number is another one's */
	if (!latest_reserve(latest))
		return false;
	struct latest_entry *entry = entry_make(latest, hash); /* it makes no room of `place` */
	entry->record = record_take(record);
	entry->added_ms = (uint32_t)now_ms;
	list_insert_before(place, &entry->in_order);
	return true;
}

uint64_t latest_age_ms(const struct latest *latest, uint64_t now_ms)
{
	const struct latest_entry *first = entry_at(list_first(&latest->in_order));
	return first == NULL ? 0 : (uint32_t)now_ms - first->added_ms;
}

void latest_expire(struct latest *latest, uint64_t now_ms, uint64_t ttl_ms)
{
	while (latest->count > 0 && latest_age_ms(latest, now_ms) >= ttl_ms)
		lose_first(latest);
}

void latest_lose(struct latest *latest, uint64_t lost)
{
	struct latest_entry *entry;
	while ((entry = entry_at(list_first(&latest->in_order))) != NULL &&
	       entry->record->seq <= lost)
		drop(latest, entry);
	latest->lost = lost > latest->lost ? lost : latest->lost;
}

void latest_clear(struct latest *latest, uint64_t lost)
{
	while (latest->count > 0)
		drop(latest, entry_at(list_first(&latest->in_order)));
	latest->lost = lost;
}

const struct latest_entry *latest_from(struct latest *latest, uint64_t seq)
{
	struct list_node *node = find_from(latest, seq);
	return node == &latest->in_order.ends ? NULL : entry_at(node);
}

const struct latest_entry *latest_after(const struct latest *latest,
                                        const struct latest_entry *entry)
{
	struct list_node *node = list_after(&latest->in_order, &entry->in_order);
	return node == NULL ? NULL : entry_at(node);
}
