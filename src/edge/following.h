/*
 * following.h - a request that follows channels: what server-sent events and polls share.
 *
 * following_begin() reads and checks the request; following_subscribe() then subscribes to
 * all its channels while the session is held, so that nothing is delivered before the last
 * of them has its position. When following_is_complete(), following_release() lets go.
 *
 * Threads:   the worker's own.
 * Ownership: struct following is the caller's, freed by following_end() in every case.
 * Limits:    limits.channels_per_connection channels.
 */
#pragma once

#include "edge/conn.h"
#include "edge/parameter.h"
#include "starling/error.h"

struct following {
	struct parameter_channels *channels;
	struct buf names;
};

/* ERROR_NONE: the client may follow all that it asks for. */
enum error_code following_begin(struct edge *edge, struct conn *conn,
                                const struct http_request *request, const struct slice *last_id,
                                struct following *following, const char **why);
void following_subscribe(struct edge *edge, struct conn *conn, const struct following *following);
void following_end(struct following *following);

bool following_is_complete(const struct conn *conn);
void following_release(struct edge *edge, struct conn *conn);

/* Where each channel stands, in the order of the request; for `current`, behind `seq`. In the midst
 * of the latest of each key that is behind the newest of these that it has got: what comes after it
 * is all of it still to be sent, from history, or is told to be lost. */
void following_cursor(struct buf *out, const struct conn *conn, const struct follower *current,
                      uint64_t seq);
