/*
 * publisher.h - who publishes: connections of one lane, and the pace.
 *
 * Open loop: message n is due n/rate seconds after the first, whatever the server does; what
 * could not be sent in time carries the time it was due. Closed loop: a message is due as soon
 * as fewer than `flight` are under way. Messages go to the channels in turn; those of one channel
 * always go by the same connection.
 *
 * Threads:   its lane's; publisher_wake() any.
 * Ownership: a publisher owns its clients.
 */
#pragma once

#include "kit/lane.h"

struct publisher {
	struct lane *lane;
	struct client *clients;
	uint32_t client_count;
	uint32_t order; /* the crew's that it follows */
	bool is_publishing;
	uint32_t next, first;  /* numbers: of the next message, and of the first of this order */
	uint32_t completed;    /* as of the last look */
	uint64_t completed_ns; /* when that last changed */
};

void publisher_init(struct publisher *publisher, struct lane *lane);
void publisher_free(struct publisher *publisher);
void publisher_wake(struct publisher *publisher);

/* In each turn of its lane; the time until it wants the next, in ns. */
uint64_t publisher_turn(struct publisher *publisher);
