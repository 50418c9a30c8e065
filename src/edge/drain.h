/*
 * drain.h - sends a worker's clients away, evenly over a time.
 *
 * By then nobody new is let in (edge_drain()). drain_send_away() ends clients in the order of their
 * places: when a part of the time has passed, so has the same part of them. A moment that each
 * worker draws for itself keeps workers, and nodes with few clients, from doing it in step.
 *
 * Threads:   the worker's own.
 * Ownership: part of the edge.
 * Limits:    TURN_DRAINS_MAX clients a step, of which there are fifty a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"

struct edge;

struct drain {
	struct timer timer; /* armed while clients are sent away */
	uint64_t began_ms, time_ms;
	uint64_t clients; /* when that began */
	uint64_t sent;
	uint64_t offset; /* of time_ms * clients: where in its first interval the first one falls */
	uint32_t next;   /* place of the client to look at next */
};

/* How many of `clients` are to be sent by `elapsed_ms`: all from time_ms on. */
uint64_t drain_due(const struct drain *drain, uint64_t elapsed_ms);

void drain_send_away(struct edge *edge, uint64_t time_ms);
void drain_timer(struct edge *edge);
