#include "kit/flight.h"

#include <stdlib.h>

#include "kit/crew.h"
#include "kit/publisher.h"

#define NO_NUMBER UINT32_MAX /* "before 0", as numbers go round */

static bool is_before(uint32_t number, uint32_t other)
{
	return (int32_t)(number - other) < 0;
}

void flight_init(struct flight *flight, const struct plan *plan)
{
	uint32_t slots = FLIGHT_SLOTS_MIN;
	while (slots < 16 * plan->flight)
		slots *= 2;
	flight->is_counted = !plan_is_open_loop(plan);
	flight->slot_mask = slots - 1;
	flight->slots = calloc(slots, sizeof(*flight->slots));
	flight->lanes_of = calloc(plan->channels, sizeof(*flight->lanes_of));
	CHECK(flight->slots != NULL && flight->lanes_of != NULL);
	for (uint32_t i = 0; i < slots; i++)
		flight->slots[i] = (uint64_t)NO_NUMBER << 32;
}

void flight_free(struct flight *flight)
{
	free(flight->slots);
	free(flight->lanes_of);
}

struct flight_slot *flight_make_slots(const struct flight *flight)
{
	struct flight_slot *slots = calloc(flight->slot_mask + 1u, sizeof(*slots));
	CHECK(slots != NULL);
	for (uint32_t i = 0; i <= flight->slot_mask; i++)
		slots[i].number = NO_NUMBER;
	return slots;
}

static void complete(struct flight *flight, struct lane *lane, uint32_t number)
{
	if (is_before(number, atomic_load_explicit(&flight->given_below, memory_order_relaxed)))
		return;
	atomic_fetch_add_explicit(&flight->completed, 1, memory_order_relaxed);
	if (lane->publisher == NULL)
		publisher_wake(lane->crew->publisher);
}

/* A lane is done with a message. */
static void count_lane(struct flight *flight, struct lane *lane, uint32_t number, uint32_t channel)
{
	_Atomic uint64_t *slot = &flight->slots[number & flight->slot_mask];
	uint64_t seen = atomic_load_explicit(slot, memory_order_relaxed), wanted;
	do {
		uint32_t holds = (uint32_t)(seen >> 32);
		if (is_before(number, holds))
			return;
		wanted = holds == number ? seen + 1 : ((uint64_t)number << 32 | 1);
	} while (!atomic_compare_exchange_weak_explicit(slot, &seen, wanted, memory_order_relaxed,
	                                                memory_order_relaxed));
	if ((uint32_t)wanted == flight->lanes_of[channel])
		complete(flight, lane, number);
}

void flight_delivered(struct flight *flight, struct lane *lane, uint32_t number, uint32_t channel)
{
	struct flight_slot *slot = &lane->flight[number & flight->slot_mask];
	if (slot->number != number) {
		if (is_before(number, slot->number))
			return;
		*slot = (struct flight_slot){number, 0};
	}
	if (++slot->count == lane->listeners[channel])
		count_lane(flight, lane, number, channel);
}

void flight_give_up(struct flight *flight, uint32_t below)
{
	atomic_store_explicit(&flight->given_below, below, memory_order_relaxed);
	atomic_store_explicit(&flight->completed, below, memory_order_relaxed);
}
