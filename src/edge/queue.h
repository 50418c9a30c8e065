/*
 * queue.h - connections that wait for their peer, behind those that wait longer.
 *
 * All in one queue are given the same time, so the first is the first to run out of it: one timer
 * serves them all, and joining and leaving cost the same however many there are. When descriptors
 * are short the first are also those that can best be spared.
 *
 * Which queue a connection waits in follows from its state (conn_state.def). It is linked by the
 * place of its own timer, which it does not need meanwhile.
 *
 * Threads:   the worker's own.
 * Ownership: links only. A connection leaves before it ends, and before its memory goes.
 * Limits:    TURN_TIMERS_MAX that ran out of time a turn.
 */
#pragma once

#include "base/list.h"
#include "base/timer.h"

struct conn;
struct edge;

enum queue_name {
	QUEUE_HEADER = 0, /* for a request, or the rest of one */
	QUEUE_IDLE,       /* between two requests */
	QUEUE_PIECE,      /* for more of a body that is carried out as it comes */
	QUEUE_CLOSING,    /* for the peer to take our last bytes and to close */
	QUEUE_COUNT
};

struct queue {
	struct list conns;
	struct timer
		timer; /* armed while any wait; at the latest when the first runs out of time */
};

/* A connection's place in its queue. */
struct queue_place {
	struct list_node node;
	uint32_t since_ms; /* cut to 32 bits */
};

void queue_init(struct queue *queue, uint32_t timer_kind);
void queue_join(struct edge *edge, struct conn *conn, enum queue_name name);
void queue_leave(struct conn *conn); /* one that waits in none: nothing */
/* Those that ran out of time are told: conn_timeout(). */
void queue_timer(struct edge *edge, struct queue *queue);
/* The times of all queues are others. */
void queue_adopt(struct edge *edge);
/* The connection that can best be spared: the longest idle, else who was told all and lingers, else
 * the request that has been longest in coming. NULL: all are at work. */
struct conn *queue_spare(const struct edge *edge);
