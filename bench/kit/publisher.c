#include "kit/publisher.h"

#include <stdlib.h>

#include "kit/crew.h"
#include "kit/mode.h"

#define PUBLISH_PER_TURN 1024

void publisher_init(struct publisher *publisher, struct lane *lane)
{
	const struct plan *plan = lane->plan;
	*publisher = (struct publisher){.lane = lane, .client_count = plan->publishers};
	publisher->clients = calloc(plan->publishers, sizeof(*publisher->clients));
	CHECK(publisher->clients != NULL);
	for (uint32_t i = 0; i < plan->publishers; i++) {
		struct client *client = &publisher->clients[i];
		client->number = plan->connections + i;
		client->fd = -1;
		client->is_publisher = true;
	}
	lane->publisher = publisher;
}

void publisher_free(struct publisher *publisher)
{
	if (publisher != NULL)
		free(publisher->clients);
	free(publisher);
}

void publisher_wake(struct publisher *publisher)
{
	lane_wake(publisher->lane);
}

static void open_clients(struct publisher *publisher)
{
	for (uint32_t i = 0; i < publisher->client_count; i++) {
		if (publisher->clients[i].state == CLIENT_AWAY)
			lane_open(publisher->lane, &publisher->clients[i], publisher->lane->now_ns);
	}
}

static void follow_order(struct publisher *publisher)
{
	const struct orders *orders = &publisher->lane->orders;
	publisher->order = publisher->lane->order;
	publisher->is_publishing = orders->phase == PHASE_RUN;
	publisher->first = publisher->next;
	publisher->completed_ns = publisher->lane->now_ns;
	if (orders->phase == PHASE_OPEN)
		open_clients(publisher);
}

static uint64_t due_ns(const struct publisher *publisher)
{
	const struct plan *plan = publisher->lane->plan;
	const struct orders *orders = &publisher->lane->orders;
	if (!plan_is_open_loop(plan))
		return publisher->lane->now_ns;
	uint64_t i = publisher->next - publisher->first;
	return orders->from_ns + i / plan->rate * NS_PER_S + i % plan->rate * NS_PER_S / plan->rate;
}

/* Closed loop: may another one be sent? When nothing was completed for a long time, what is
 * under way is given up: its followers will be found to miss it. */
static bool has_room(struct publisher *publisher)
{
	struct crew *crew = publisher->lane->crew;
	uint32_t completed = atomic_load_explicit(&crew->flight.completed, memory_order_relaxed);
	if (completed != publisher->completed) {
		publisher->completed = completed;
		publisher->completed_ns = publisher->lane->now_ns;
	}
	if (publisher->next - completed < crew->plan->flight ||
	    publisher->lane->orders.is_unbounded)
		return true;
	if (publisher->lane->now_ns - publisher->completed_ns < crew->plan->patience_ns)
		return false;
	atomic_fetch_add_explicit(&crew->stalls, 1, memory_order_relaxed);
	flight_give_up(&crew->flight, publisher->next);
	return true;
}

static void publish(struct publisher *publisher, uint64_t due)
{
	const struct plan *plan = publisher->lane->plan;
	uint32_t channel = publisher->next % plan->channels;
	struct client *client = &publisher->clients[channel % publisher->client_count];
	/* Shown before it is sent: nobody may see a number that was never published. */
	atomic_store_explicit(&publisher->lane->crew->published, publisher->next + 1,
	                      memory_order_release);
	lane_publish(publisher->lane, client, channel, publisher->next, due);
	publisher->next++;
}

static void end(struct publisher *publisher)
{
	publisher->is_publishing = false;
	atomic_store_explicit(&publisher->lane->crew->is_published, true, memory_order_release);
}

uint64_t publisher_turn(struct publisher *publisher)
{
	struct lane *lane = publisher->lane;
	const struct plan *plan = lane->plan;
	const struct orders *orders = &lane->orders;
	if (publisher->order != lane->order)
		follow_order(publisher);
	if (!publisher->is_publishing)
		return MODE_FAR_NS;
	lane->now_ns = clock_ns();
	for (int i = 0; i < PUBLISH_PER_TURN; i++) {
		uint64_t due = due_ns(publisher);
		if (due >= orders->stop_ns || publisher->next >= orders->publish_limit) {
			end(publisher);
			return MODE_FAR_NS;
		}
		if (due > lane->now_ns)
			return due - lane->now_ns;
		if (!plan_is_open_loop(plan) && !has_room(publisher))
			return NS_PER_S / 10;
		publish(publisher, due);
	}
	return 0;
}
