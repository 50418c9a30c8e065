/*
 * group.h - the clients of one thread, which has a descriptor table of its own.
 *
 * A client is a descriptor, what it waits for, and a pointer that is NULL but while a frame has
 * come in part: GROUP_CLIENT_BYTES in all.
 *
 * Threads:   group_start() and group_join() are the main thread's, all else the group's own;
 *            its counters are read by the main thread at any time.
 * Ownership: a group owns its clients and closes them at the end.
 * Limits:    GROUP_CLIENTS_MAX clients. Frames of up to 64 KiB; any other is a fault of the
 *            server, told and fatal.
 */
#pragma once

#include <pthread.h>

#include "crowd.h"

#define GROUP_CLIENTS_MAX 18000u
#define GROUP_CLIENT_BYTES 16
#define LATENCY_BUCKETS 1024

/* Latencies: 32 buckets for each power of two of microseconds. */
struct latency {
	uint32_t counts[LATENCY_BUCKETS];
};

struct group_counters {
	_Atomic uint32_t subscribed; /* clients whose first subscription was answered */
	_Atomic uint32_t left;
	_Atomic uint32_t recovered, lost; /* answers to a resumption, by what they say */
	_Atomic uint32_t closed;          /* by the server, which nobody asked for */
	_Atomic uint64_t messages, resumed_messages, pings;
};

struct client;

struct group {
	/* The caller's, before group_start(). */
	struct plan *plan;
	uint32_t number;      /* of this group */
	uint32_t count;       /* its clients */
	uint32_t first;       /* number of its first client among all */
	uint32_t leave_count; /* of them that leave and resume: the first ones */

	struct group_counters counters;
	struct latency latency; /* read when the group has no message under way */

	/* Private. */
	pthread_t thread;
	int epoll;
	uint32_t opened, resumed, on_their_way;
	struct client *clients; /* by number in the group */
};

void group_start(struct group *group);
void group_join(struct group *group);

void latency_add(struct latency *sum, const struct latency *latency);
void latency_clear(struct latency *latency);
double latency_ms(const struct latency *latency, double part); /* part 0.99: its 99th percentile */
