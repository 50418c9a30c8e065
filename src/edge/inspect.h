/*
 * inspect.h - what the server API says of a connection, wherever it shows one.
 *
 * Threads:   the worker's own.
 * Ownership: none.
 * Limits:    none.
 */
#pragma once

#include "edge/conn.h"

/* An object that is not closed yet: id, user, node, transport, address, since. */
void inspect_conn(struct edge *edge, const struct conn *conn, struct buf *out);
