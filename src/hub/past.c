#include "hub/past.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct past *pasts_find(const struct pasts *pasts, uint64_t epoch)
{
	struct past *past = pasts->first;
	while (past != NULL && past->epoch != epoch)
		past = past->next;
	return past;
}

struct past *pasts_of_stream(const struct pasts *pasts, uint64_t stream)
{
	struct past *found = NULL;
	for (struct past *past = pasts->first; past != NULL; past = past->next) {
		if (stream != 0 && past->stream == stream && !past->is_bare)
			found = past;
	}
	return found;
}

static void drop_items(struct past *past)
{
	for (uint32_t i = 0; i < past->count; i++)
		record_drop(past->items[i].record);
	free(past->items);
	past->items = NULL;
	past->count = past->room = 0;
}

static void past_free(struct past *past)
{
	duplicates_destroy(past->keys);
	duplicates_destroy(past->retries);
	drop_items(past);
	free(past);
}

static void unlink_past(struct pasts *pasts, struct past *past)
{
	struct past **link = &pasts->first;
	while (*link != past)
		link = &(*link)->next;
	*link = past->next;
	pasts->count--;
}

static void append_past(struct pasts *pasts, struct past *past)
{
	struct past **last = &pasts->first;
	while (*last != NULL)
		last = &(*last)->next;
	past->next = NULL;
	*last = past;
	pasts->count++;
}

void pasts_drop(struct pasts *pasts, struct past *past)
{
	unlink_past(pasts, past);
	past_free(past);
}

void pasts_put_last(struct pasts *pasts, struct past *past)
{
	unlink_past(pasts, past);
	append_past(pasts, past);
}

/* Nothing is known by it but that who follows is told: without it they are told once more. */
static bool only_tells(const struct past *past)
{
	return past->told > 0 && past->stream == 0 && past->seq == 0 && past->count == 0;
}

static void make_room(struct pasts *pasts)
{
	struct past *past = pasts->first;
	while (past != NULL && !only_tells(past))
		past = past->next;
	pasts_drop(pasts, past == NULL ? pasts->first : past);
}

struct past *pasts_open(struct pasts *pasts, uint64_t epoch, uint64_t now_ms)
{
	struct past *past = pasts_find(pasts, epoch);
	if (past != NULL)
		return past;
	past = calloc(1, sizeof(*past));
	if (past == NULL)
		return NULL;
	if (pasts->count == PASTS_MAX)
		make_room(pasts);
	*past = (struct past){.epoch = epoch, .touched_ms = (uint32_t)now_ms};
	append_past(pasts, past);
	return past;
}

bool pasts_mark(struct pasts *pasts, uint64_t epoch, uint64_t seq, uint64_t now_ms)
{
	struct past *past = pasts_open(pasts, epoch, now_ms);
	if (past == NULL)
		return false;
	past->touched_ms = (uint32_t)now_ms;
	past->seq = seq > past->seq ? seq : past->seq;
	return true;
}

/* As long as any of its keys is remembered, too: none is younger than the past. */
static uint64_t life_ms(uint64_t ttl_ms)
{
	return ttl_ms < PAST_MS_MIN ? PAST_MS_MIN : ttl_ms;
}

void pasts_expire(struct pasts *pasts, uint64_t now_ms, uint64_t ttl_ms)
{
	struct past *next;
	for (struct past *past = pasts->first; past != NULL; past = next) {
		uint32_t age = (uint32_t)now_ms - past->touched_ms;
		next = past->next;
		if (age >= life_ms(ttl_ms))
			pasts_drop(pasts, past);
		else if (age >= ttl_ms)
			drop_items(past);
	}
}

uint64_t pasts_left_ms(const struct pasts *pasts, uint64_t now_ms, uint64_t ttl_ms)
{
	uint64_t left = UINT64_MAX;
	for (const struct past *past = pasts->first; past != NULL; past = past->next) {
		uint32_t age = (uint32_t)now_ms - past->touched_ms;
		uint64_t until = past->count > 0 ? ttl_ms : life_ms(ttl_ms);
		uint64_t its = until > age ? until - age : 0;
		left = its < left ? its : left;
	}
	return left;
}

bool pasts_hold_any(const struct pasts *pasts)
{
	const struct past *past = pasts->first;
	while (past != NULL && past->count == 0)
		past = past->next;
	return past != NULL;
}

void pasts_free(struct pasts *pasts)
{
	while (pasts->first != NULL)
		pasts_drop(pasts, pasts->first);
}

static bool reserve(struct past *past, size_t count)
{
	if (past->room - past->count >= count)
		return true;
	size_t room = 2 * (size_t)past->count + count;
	struct past_item *items = realloc(past->items, room * sizeof(*items));
	if (items == NULL)
		return false;
	past->items = items;
	past->room = (uint32_t)room;
	return true;
}

bool past_add(struct past *past, struct record *record, uint32_t added_ms)
{
	CHECK(record->epoch == past->epoch);
	CHECK(past->count == 0 || past->items[past->count - 1].record->seq < record->seq);
	if (!reserve(past, 1))
		return false;
	past->items[past->count++] = (struct past_item){record_take(record), added_ms};
	return true;
}

bool past_put(struct past *past, struct record *record, uint32_t added_ms)
{
	CHECK(record->epoch == past->epoch);
	uint32_t at = past_first_behind(past, record->seq);
	if (at > 0 && past->items[at - 1].record->seq == record->seq) {
		record_take(record);
		record_drop(past->items[at - 1].record);
		past->items[at - 1].record = record;
		return true;
	}
	if (!reserve(past, 1))
		return false;
	memmove(past->items + at + 1, past->items + at, (past->count - at) * sizeof(*past->items));
	past->items[at] = (struct past_item){record_take(record), added_ms};
	past->count++;
	return true;
}

bool past_extend(struct past *past, const struct past_item *older, size_t count)
{
	if (count == 0)
		return true;
	if (!reserve(past, count))
		return false;
	uint32_t gone = 0;
	while (gone < past->count && past->items[gone].record->seq <= older[count - 1].record->seq)
		record_drop(past->items[gone++].record);
	memmove(past->items + count, past->items + gone,
	        (past->count - gone) * sizeof(*past->items));
	for (size_t i = 0; i < count; i++) {
		CHECK(older[i].record->epoch == past->epoch);
		record_take(older[i].record);
		past->items[i] = older[i];
	}
	past->count = (uint32_t)(past->count - gone + count);
	return true;
}

uint32_t past_first_behind(const struct past *past, uint64_t seq)
{
	uint32_t i = past->count;
	while (i > 0 && past->items[i - 1].record->seq > seq)
		i--;
	return i;
}

void past_cut(struct past *past, uint32_t from, uint32_t to)
{
	CHECK(from <= to && to <= past->count);
	for (uint32_t i = from; i < to; i++)
		record_drop(past->items[i].record);
	if (to < past->count)
		memmove(past->items + from, past->items + to,
		        (past->count - to) * sizeof(*past->items));
	past->count -= to - from;
}

uint64_t past_gone(const struct past *past)
{
	uint64_t gone = past->seq;
	uint32_t i = past_first_behind(past, past->seq);
	while (i > 0 && past->items[i - 1].record->seq == gone) {
		i--;
		gone--;
	}
	return gone;
}

bool past_holds(const struct past *past, uint64_t seq, struct slice once)
{
	for (uint32_t i = past->count; i-- > 0;) {
		const struct record *record = past->items[i].record;
		if (record->seq == seq)
			return slice_equals(record_once(record), once);
	}
	return false;
}
