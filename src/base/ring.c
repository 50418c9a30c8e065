#include "base/ring.h"

#include <errno.h>
#include <string.h>

int ring_init(struct ring *ring, void *slots, uint32_t capacity, uint32_t item_bytes)
{
	bool power_of_two = capacity != 0 && (capacity & (capacity - 1)) == 0;
	CHECK(slots != NULL);
	if (!power_of_two || capacity > RING_CAPACITY_MAX)
		return -EINVAL;
	if (item_bytes == 0 || item_bytes > RING_ITEM_MAX)
		return -EINVAL;
	*ring = (struct ring){.capacity = capacity, .item_bytes = item_bytes, .slots = slots};
	return 0;
}

static char *ring_slot(const struct ring *ring, uint32_t position)
{
	return ring->slots + (size_t)(position & (ring->capacity - 1)) * ring->item_bytes;
}

bool ring_offer(struct ring *ring, const void *item)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	if (tail - ring->head_seen == ring->capacity) {
		/* Acquire: the consumer has read the slot that is about to be reused. */
		ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
		CHECK(tail - ring->head_seen <= ring->capacity);
		if (tail - ring->head_seen == ring->capacity)
			return false;
	}

	memcpy(ring_slot(ring, tail), item, ring->item_bytes);
	/* Release: who sees this tail also sees the slot, and what the item points at. */
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}

bool ring_take(struct ring *ring, void *item)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	if (head == ring->tail_seen) {
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (head == ring->tail_seen)
			return false;
	}
	CHECK(ring->tail_seen - head <= ring->capacity); /* pairs with the check in ring_offer() */

	memcpy(item, ring_slot(ring, head), ring->item_bytes);
	/* Release: the producer may reuse the slot only once it has been read. */
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

bool ring_is_empty(const struct ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_relaxed) ==
	       atomic_load_explicit(&ring->tail, memory_order_acquire);
}

uint32_t ring_count(const struct ring *ring)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	return atomic_load_explicit(&ring->tail, memory_order_relaxed) - head;
}
