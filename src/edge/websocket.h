/*
 * websocket.h - what a WebSocket has sent and is not done with.
 *
 * Threads:   the worker's own.
 * Ownership: conn->socket; websocket.c makes and frees it. A connection at rest has none.
 * Limits:    limits.message_size for a message in the making; what is held is what one read gave,
 *            since a client that has to wait is not read from.
 */
#pragma once

#include "wire/ws_frame.h"

struct socket_input {
	struct ws_reader reader;
	struct buf held; /* came and waits */
};
