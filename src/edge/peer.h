/*
 * peer.h - where a client really is, also when proxies stand between.
 *
 * Who connects from listen.trusted_proxies is believed: a PROXY header in front of its first
 * byte, TLS included, and X-Forwarded-For in its requests. From anybody else the former is no
 * request, the latter is not looked at. The address of all other clients is that of their socket,
 * asked for when it is wanted; with log.access it is noted, since a line is written when they go.
 *
 * Threads:   the worker's own.
 * Ownership: a struct peer belongs to its connection; most have none. peer_end() frees it.
 * Limits:    PROXY_HEADER_MAX bytes in front, until limits.header_timeout.
 */
#pragma once

#include "base/address.h"
#include "edge/conn.h"
#include "net/listen.h"

/* A new connection: is it a proxy's? */
void peer_begin(struct edge *edge, struct conn *conn, const struct listen_address *from);
void peer_end(struct edge *edge, struct conn *conn);

/* Before anything is read, while conn->awaits_proxy: takes the PROXY header, if there is one.
 * False: wait for more, or the connection was ended. */
bool peer_greet(struct edge *edge, struct conn *conn);

/* Who sends this request. ADDRESS_NONE: it is not known. */
struct address peer_of_request(struct edge *edge, const struct conn *conn,
                               const struct http_request *request);
/* The request made the connection a client's: from here on peer_of() says whose. False: no
 * memory. */
MUST_CHECK bool peer_settle(struct edge *edge, struct conn *conn, const struct address *address);
struct address peer_of(const struct edge *edge, const struct conn *conn);
/* It is a proxy that passes on requests: each may be another client's. */
bool peer_is_shared(const struct edge *edge, const struct conn *conn);
