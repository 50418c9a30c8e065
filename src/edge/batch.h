/*
 * batch.h - one request that holds several publications, answered when all of them are.
 *
 * Begin with how many there are; say of each, in order, batch_execute() or batch_refuse(); then
 * batch_end(). Their agents answer in any order. One bad entry does not spoil the others.
 *
 * Threads:   the worker's own.
 * Ownership: the batch belongs to the connection's exchange, and goes with its answer.
 * Limits:    BATCH_MAX entries.
 */
#pragma once

#include "edge/exchange.h"

#define BATCH_MAX 1000

/* NULL: no memory, and the request has been answered with that. */
struct batch *batch_begin(struct edge *edge, struct conn *conn, size_t count);
void batch_execute(struct edge *edge, struct conn *conn, struct batch *batch,
                   struct hub_command *command);
void batch_refuse(struct batch *batch, enum error_code error, const char *why);
void batch_end(struct edge *edge, struct conn *conn);
