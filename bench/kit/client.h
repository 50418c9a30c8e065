/*
 * client.h - one connection of the generator.
 *
 * Threads:   its lane's.
 * Ownership: lanes hold arrays of clients. A client owns its descriptor, its tally and the
 *            buffers it has for the moment; at rest it has none.
 * Limits:    96 bytes, since there may be millions.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "kit/tally.h"

enum client_state {
	CLIENT_AWAY = 0,   /* no descriptor */
	CLIENT_CONNECTING, /* until the kernel says that the connection stands */
	CLIENT_OPENING,    /* until the protocol does */
	CLIENT_JOINING,    /* until the subscription does */
	CLIENT_READY,
	CLIENT_LEAVING, /* has said goodbye, waits for the end */
};

struct client {
	int fd;
	uint32_t number;   /* of all followers */
	uint32_t channel;  /* that it follows */
	uint8_t state;     /* enum client_state */
	uint8_t step;      /* its protocol's; 0 when it has just connected */
	bool is_publisher; /* and follows nothing */
	bool is_stuck;     /* reads nothing once it is ready */
	struct tally tally;
	struct buf *in;    /* what came of something that is not whole yet; or NULL */
	struct buf *out;   /* what the socket did not take yet; or NULL */
	char *cursor;      /* where to resume; NULL: nowhere */
	uint64_t began_ns; /* when its present undertaking was due */
	uint32_t sent;     /* messages of its own */
	uint32_t left;     /* that it is still to get, where that ends something */
};

static_assert(sizeof(struct client) <= 96, "two millions of them are 192 MB");
