/*
 * stream.h - a request whose body is published line by line while it arrives.
 *
 * The route's handler (api_stream()) looks at the head and makes the stream, or refuses; then
 * the exchange hands in the body piece by piece and says when it is over.
 *
 * Threads:   the worker's own.
 * Ownership: the stream belongs to the connection's exchange.
 * Limits:    API_MESSAGE_BYTES_MAX a line; the body has no limit but the client's patience.
 */
#pragma once

#include "edge/exchange.h"

struct stream;

void stream_free(struct stream *stream); /* NULL is fine */
void stream_piece(struct edge *edge, struct conn *conn, struct slice piece);
/* Something was refused, and the rest of the body is not wanted. */
bool stream_is_whole(const struct exchange *exchange);
/* No more comes: it is answered, now or when the last line's answer has come. */
void stream_end(struct edge *edge, struct conn *conn);
/* An answer of the hub to one line. */
void stream_event(struct edge *edge, struct conn *conn, const struct hub_event *event);
