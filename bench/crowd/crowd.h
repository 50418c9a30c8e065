/*
 * crowd.h - very many clients that listen: what all threads of bench/crowd share.
 *
 * Threads:   the main thread writes `plan` before the others start, then moves `phase` on and
 *            publishes; each group (crowd/group.h) does its part and counts. Counters are atomic,
 *            each written by one group.
 * Ownership: the main thread's; it outlives the groups.
 * Limits:    GROUP_CLIENTS_MAX clients a group, because a thread's descriptors are limited.
 */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "publisher.h"

#define ROOM_FORMAT "room:%u"

enum phase {
	PHASE_OPEN = 0, /* connect and subscribe */
	PHASE_LISTEN,   /* read messages, answer pings */
	PHASE_LEAVE,    /* some close their sockets */
	PHASE_RESUME,   /* and come back with the cursor they had */
	PHASE_END,
};

struct plan {
	struct sockaddr_in server;
	uint32_t rooms;
	uint32_t window; /* clients of a group that may be on their way in at once */
	bool has_users;  /* each client is one, by its number */
	/* PHASE_RESUME: behind which message each room is resumed. Written before that phase. */
	char cursors[PUBLISHER_ROOMS_MAX][CURSOR_BYTES];
	_Atomic int phase;             /* enum phase */
	_Atomic uint64_t published_ns; /* when the message under way was handed to the server */
};
