/*
 * registry.h - which connections are clients', counted: in all, by user and by address.
 *
 * A connection becomes a client's by registry_enter() and registry_sit(), and is one until
 * registry_leave(). The counts are exact, whichever workers the clients are on: all together by
 * one number that the workers share, those of a user or an address at the key's home, the worker
 * that its hash names. A connection that wants in asks there by letter and waits, its request put
 * aside, until the answers are there; the place it was given is given back by letter. What it
 * holds is in its seat, which outlives it while an answer is under way, so no place is lost.
 *
 * Where there are several nodes a user is counted over all of them: its key is then the same
 * everywhere, and the worker that it names asks the node around it (edge_up.ask_place), which
 * answers later.
 *
 * Without limits by user and address nobody asks and nothing is kept. When a limit is set while
 * the server runs, those who are in are counted too, in the turns to come.
 *
 * Threads:   the worker's own.
 * Ownership: a seat belongs to its connection until that leaves, then to the registry.
 * Limits:    72 bytes a connection, and what tally.h says.
 */
#pragma once

#include "base/list.h"
#include "edge/conn.h"
#include "starling/error.h"

MUST_CHECK int registry_init(struct registry *registry); /* 0 or -errno */
void registry_free(struct registry *registry);

/* One client more: ERROR_NONE, or there are as many as may be. To be asked before it is known who
 * it is, since that may cost a signature. */
enum error_code registry_enter(struct edge *edge, struct conn *conn, const char **why);
/* One more of its user and address. ERROR_NONE: it is in, or it waits; then the request is
 * put aside, and the handler returns. It is called again when the answers are there, and asks both
 * again, which changes nothing. */
enum error_code registry_sit(struct edge *edge, struct conn *conn,
                             const struct http_request *request, const char **why);
/* A client that was nobody has a user now: it is counted there, or ended as one too many. */
void registry_name(struct edge *edge, struct conn *conn);
/* Still waits for answers. */
bool registry_asks(const struct edge *edge, const struct conn *conn);
void registry_leave(struct edge *edge, struct conn *conn);

void registry_receive(struct edge *edge, uint32_t from, const struct registry_mail *mail);
/* What a seat of that worker has waited for from the node around. */
void registry_answered(struct edge *edge, uint32_t worker, const struct registry_mail *mail);

/* The limits are others. */
void registry_adopt(struct edge *edge);
/* Once a turn: what could not be done before. True: there is more. */
bool registry_go_on(struct edge *edge);
