/*
 * access_log.h - what the access log says: a line for each request that was answered, and for each
 * client that went (log.access); and, whatever that is, of trouble with clients that somebody
 * should hear of.
 *
 * What is asked for is kept until it is answered, without its query, in which a token may stand.
 * Lines are made by whoever is above the edge: edge_up.log, edge_up.warn.
 *
 * Threads:   the worker's own.
 * Ownership: what is kept belongs to the exchange.
 * Limits:    none of its own: a target has limits.header_size.
 */
#pragma once

#include "edge/exchange.h"

/* The head of a request has come. */
void access_log_begin(struct edge *edge, struct conn *conn, const struct http_request *request);
/* Its answer is on its way, with a body of so many bytes. */
void access_log_answer(struct edge *edge, struct conn *conn, int status, size_t bytes);
/* A connection is going for good. */
void access_log_end(struct edge *edge, const struct conn *conn);

/* No descriptor is left for one that wants in; so many are in use. */
void access_log_crowded(struct edge *edge);
/* It is something else, -errno, that keeps one out. */
void access_log_not_accepted(struct edge *edge, int error);
/* A client was refused for limits.connections. */
void access_log_overloaded(struct edge *edge);
