/*
 * The array grows and shrinks by moving what waits into another one. That is made for twice as many
 * letters, and left when these are more, or less than half of what they were: at least half as many
 * have come or gone since the last time as are moved.
 */
#include "net/backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_SPARE 64u /* that a few letters now and then are not worth a new array */
#define NO_SLOT UINT32_MAX

struct backlog_queue {
	uint32_t first, last; /* slots, while any waits */
	uint32_t count;
};

struct slot {
	uint32_t next; /* of the last one in a queue: not looked at */
	char letter[];
};

int backlog_init(struct backlog *backlog, uint32_t receivers, uint32_t letter_bytes)
{
	CHECK(receivers > 0);
	CHECK(letter_bytes > 0);
	size_t bytes = sizeof(struct slot) + letter_bytes;
	size_t align = _Alignof(struct slot);
	*backlog = (struct backlog){
		.receivers = receivers,
		.letter_bytes = letter_bytes,
		.slot_bytes = (uint32_t)((bytes + align - 1) / align * align),
		.free = NO_SLOT,
		.queues = calloc(receivers, sizeof(*backlog->queues)),
	};
	return backlog->queues == NULL ? -ENOMEM : 0;
}

void backlog_free(struct backlog *backlog)
{
	free(backlog->slots);
	free(backlog->queues);
	*backlog = (struct backlog){0};
}

static struct slot *slot_in(const struct backlog *backlog, char *slots, uint32_t number)
{
	return (struct slot *)(void *)(slots + (size_t)number * backlog->slot_bytes);
}

static struct slot *slot_at(const struct backlog *backlog, uint32_t number)
{
	CHECK(number < backlog->used);
	return slot_in(backlog, backlog->slots, number);
}

/* Those of a queue, one behind the other from slot `to` on of another array. */
static void move_queue(const struct backlog *backlog, struct backlog_queue *queue, char *slots,
                       uint32_t to)
{
	uint32_t from = queue->first;
	queue->first = to;
	queue->last = to + queue->count - 1;
	for (; to <= queue->last; to++) {
		const struct slot *slot = slot_at(backlog, from);
		struct slot *moved = slot_in(backlog, slots, to);
		memcpy(moved, slot, backlog->slot_bytes);
		moved->next = to + 1;
		from = slot->next;
	}
}

static uint64_t slots_wanted(const struct backlog *backlog, uint32_t reserved)
{
	return 2ull * backlog->count + reserved + SLOTS_SPARE;
}

static bool resize(struct backlog *backlog, uint64_t capacity)
{
	CHECK(capacity > backlog->count);
	char *slots = capacity > NO_SLOT ? NULL : malloc(capacity * backlog->slot_bytes);
	if (slots == NULL)
		return false;
	uint32_t used = 0;
	for (uint32_t i = 0; i < backlog->receivers && used < backlog->count; i++) {
		struct backlog_queue *queue = &backlog->queues[i];
		if (queue->count == 0)
			continue;
		move_queue(backlog, queue, slots, used);
		used += queue->count;
	}
	CHECK(used == backlog->count);
	free(backlog->slots);
	backlog->slots = slots;
	backlog->capacity = (uint32_t)capacity;
	backlog->used = used;
	backlog->free = NO_SLOT;
	return true;
}

bool backlog_reserve_more(struct backlog *backlog, uint64_t count)
{
	if (count > UINT32_MAX)
		return false;
	bool is_more = count > backlog->reserved;
	uint32_t reserved = is_more ? (uint32_t)count : backlog->reserved;
	if (backlog->capacity - backlog->count < count &&
	    !resize(backlog, slots_wanted(backlog, reserved)))
		return false;
	backlog->reserved = reserved;
	return true;
}

static uint32_t take_slot(struct backlog *backlog)
{
	uint32_t number = backlog->free;
	if (number == NO_SLOT)
		return backlog->used++;
	backlog->free = slot_at(backlog, number)->next;
	return number;
}

void backlog_append(struct backlog *backlog, uint32_t receiver, const void *letter)
{
	CHECK(receiver < backlog->receivers);
	struct backlog_queue *queue = &backlog->queues[receiver];
	bool has_slot = backlog->count < backlog->capacity ||
	                resize(backlog, slots_wanted(backlog, backlog->reserved));
	CHECK(has_slot); /* backlog_reserve() was asked */
	uint32_t number = take_slot(backlog);
	CHECK(backlog->used <= backlog->capacity);
	struct slot *slot = slot_at(backlog, number);
	slot->next = NO_SLOT;
	memcpy(slot->letter, letter, backlog->letter_bytes);
	if (queue->count == 0)
		queue->first = number;
	else
		slot_at(backlog, queue->last)->next = number;
	queue->last = number;
	queue->count++;
	backlog->count++;
}

uint32_t backlog_count(const struct backlog *backlog, uint32_t receiver)
{
	CHECK(receiver < backlog->receivers);
	return backlog->queues[receiver].count;
}

const void *backlog_first(const struct backlog *backlog, uint32_t receiver)
{
	CHECK(backlog_count(backlog, receiver) > 0);
	return slot_at(backlog, backlog->queues[receiver].first)->letter;
}

void backlog_remove_first(struct backlog *backlog, uint32_t receiver)
{
	CHECK(backlog_count(backlog, receiver) > 0);
	struct backlog_queue *queue = &backlog->queues[receiver];
	uint32_t number = queue->first;
	struct slot *slot = slot_at(backlog, number);
	queue->first = slot->next;
	queue->count--;
	backlog->count--;
	slot->next = backlog->free;
	backlog->free = number;
}

void backlog_shrink(struct backlog *backlog)
{
	uint64_t wanted = slots_wanted(backlog, backlog->reserved);
	if (backlog->capacity > 2 * wanted)
		(void)resize(backlog, wanted); /* without memory for that it stays as it is */
}
