/*
 * drain.h - the steps in which a node goes down without losing anybody.
 *
 * New clients are refused; what the node does for the cluster is handed over; then clients are
 * sent away over a time; when the last one has gone it is over. Who carries the steps out is
 * behind struct drain_up; what is handed over, and to whom, behind struct drain_handover. A node
 * that belongs to no cluster has none.
 *
 * Threads:   pure; the control thread's.
 * Ownership: both structs are the caller's, and outlive the drain.
 * Limits:    DRAIN_HANDOVER_MS, and DRAIN_LINGER_MS behind the time for those who are slow to go.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DRAIN_HANDOVER_MS 10000 /* then clients are sent away all the same */
#define DRAIN_LINGER_MS 1000

struct drain_up {
	void (*refuse_new)(struct drain_up *up);
	void (*send_away)(struct drain_up *up, uint64_t time_ms);
	uint32_t (*clients)(const struct drain_up *up); /* now */
};

struct drain_handover {
	bool (*is_over)(const struct drain_handover *handover);
};

enum drain_step { DRAIN_NOT = 0, DRAIN_HANDS_OVER, DRAIN_SENDS_AWAY, DRAIN_OVER };

struct node_drain {
	struct drain_up *up;
	struct drain_handover *handover; /* or NULL */
	uint64_t time_ms;                /* over which clients are sent away */
	enum drain_step step;
	uint64_t until_ms; /* the present step lasts no longer */
};

void node_drain_begin(struct node_drain *drain, uint64_t now_ms);
/* Goes on as far as can be; to be called every few ms. True: it is over. */
bool node_drain_look(struct node_drain *drain, uint64_t now_ms);
