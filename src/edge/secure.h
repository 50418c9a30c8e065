/*
 * secure.h - a connection whose bytes are sealed: what conn.c reads and writes by way of net/tls.
 *
 * A secure connection has `conn->tls` where a plain one has `conn->out`; what its socket did not
 * take is in tls->out: a sealed record and what the peer has to be told of TLS, and the rest as it
 * is, to be sealed when it can go. While its handshake is under way it is stepped from a list of
 * its own, some a turn, because a step may take a millisecond of signing.
 *
 * Threads:   the worker's own.
 * Ownership: the connection's; secure_close() before the descriptor is closed.
 * Limits:    TURN_HANDSHAKES_MAX; how long a handshake may take is limits.header_timeout.
 */
#pragma once

#include <sys/types.h>

#include "edge/conn.h"

MUST_CHECK bool secure_open(struct conn *conn); /* false: no memory */
/* `is_whole`: all that was written went out, so that a last record may follow. */
void secure_close(struct edge *edge, struct conn *conn, bool is_whole);

/* As stream_read(), into edge->input, which has room for all that comes at once. `has_more`: what
 * was read is not all there is, and no event will tell. -EPROTO: what came is not TLS as it
 * should be, which the peer was told. */
MUST_CHECK ssize_t secure_read(struct edge *edge, struct conn *conn, bool *has_more);

/* Seals as much of the parts as the socket takes, and up to a record more, which waits in tls->out;
 * nothing that is sealed waits there yet. Gives the bytes that are sealed; an error ends the
 * connection and counts as all of them. */
size_t secure_write(struct edge *edge, struct conn *conn, const struct iovec *parts, size_t count,
                    size_t len);
/* That we send no more, once. */
void secure_finish(struct edge *edge, struct conn *conn);
