/*
 * route.h - method and path to handler: the one table.
 *
 * Threads:   the worker's own.
 * Ownership: a handler may look at the request and its body until it returns. It answers by
 *            exchange_answer(), now or later, or takes the connection over.
 * Limits:    each route says how large a body it takes.
 */
#pragma once

#include "edge/exchange.h"

void route_request(struct edge *edge, struct conn *conn, const struct http_request *request,
                   struct slice body);
uint64_t route_body_max(const struct edge *edge, const struct http_request *request);
/* Nobody but a backend may ask for it: whatever else a request says, it is refused to others. */
bool route_is_for_backends(const struct http_request *request);
/* May its handler look for a token? */
bool route_takes_token(const struct http_request *request);
/* Its handler is called with the head alone, and sets work that takes the body piece by piece. */
bool route_is_stream(const struct http_request *request);

typedef void route_handler(struct edge *edge, struct conn *conn, const struct http_request *request,
                           struct slice body);

/* What the table names. `websocket.c`, `sse.c`, `poll.c`: */
route_handler websocket_open, echo_open, sse_open, poll_open;
/* `publish.c`, `api.c`, `stream.c`: */
route_handler publish_post, api_publish, api_batch, api_history, api_stream;
/* `channels.c`: */
route_handler api_channels, api_channel;
/* `figures.c`: */
route_handler api_stats, metrics_get;
/* `inspect.c`: */
route_handler api_connection, api_connections, api_send, api_drain, api_cluster;
/* `live.c`: */
route_handler api_live;
/* `presence.c`, `users.c`: */
route_handler api_presence, api_user, api_user_disconnect;
/* `page.c`: */
route_handler page_health, page_ready, page_root, page_file;

/* The part of the path that a `*` of the route stands for, still encoded. */
struct slice route_part(const struct http_request *request, const char *pattern);
