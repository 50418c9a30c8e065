/*
 * orders.h - what a simulation knows to have been said in each channel, by place: no place ever has
 * two publications (I1).
 *
 * Who includes it has defined CHANNELS. A publication is a number above 0.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct order {
	struct order *before;
	uint64_t epoch, stream, head;
	uint64_t *said; /* number `seq` of the order is said[seq]; 0: not known */
	size_t room;
};

static struct order *orders[CHANNELS]; /* the newest first */

static struct order *order_find(uint32_t channel, uint64_t epoch)
{
	struct order *order = orders[channel];
	while (order != NULL && order->epoch != epoch)
		order = order->before;
	return order;
}

static struct order *order_at(uint32_t channel, uint64_t epoch, uint64_t stream)
{
	struct order *order = order_find(channel, epoch);
	if (order != NULL)
		return order;
	order = calloc(1, sizeof(*order));
	CHECK(order != NULL);
	*order = (struct order){.before = orders[channel], .epoch = epoch, .stream = stream};
	orders[channel] = order;
	return order;
}

static void order_say(struct order *order, uint64_t seq, uint64_t number)
{
	if (seq >= order->room) {
		size_t room = (seq + 1) * 2;
		order->said = realloc(order->said, room * sizeof(*order->said));
		CHECK(order->said != NULL);
		memset(order->said + order->room, 0, (room - order->room) * sizeof(*order->said));
		order->room = room;
	}
	CHECK(order->said[seq] == 0 || order->said[seq] == number); /* I1 */
	order->said[seq] = number;
	order->head = seq > order->head ? seq : order->head;
}

/* Is one of the numbers behind that one nobody's? */
static bool order_has_gap(const struct order *order, uint64_t seq)
{
	while (seq < order->head && order->said[seq + 1] != 0)
		seq++;
	return seq < order->head;
}

static void orders_free(void)
{
	for (uint32_t c = 0; c < CHANNELS; c++) {
		while (orders[c] != NULL) {
			struct order *order = orders[c];
			orders[c] = order->before;
			free(order->said);
			free(order);
		}
	}
}
