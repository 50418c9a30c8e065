/*
 * live.h - GET /api/live: other GETs of the server API, asked again and again, their answers as
 * server-sent events.
 *
 * Each path given is asked in its turn and then all of them again, `every` so many seconds; an
 * answer that is the same as the one before is not sent. So a page that shows a node asks once, and
 * is told of what changes.
 *
 * The questions are carried out as requests are, on a connection that stays in CONN_LIVE: what
 * they come to in exchange_answer() is handed to live_answered().
 *
 * Threads:   the worker's own.
 * Ownership: struct live belongs to the exchange of its connection, and goes with it.
 * Limits:    LIVE_PATHS_MAX paths. Nothing is asked for a client that has not taken all it was
 *            told, so one answer waits for it at most, and how fast it reads is its own affair.
 *            LIVE_ANSWER_MS for an answer to come.
 */
#pragma once

#include "edge/conn.h"

#define LIVE_PATHS_MAX 8
#define LIVE_ANSWER_MS 60000
#define LIVE_TAKE_MS 50 /* till it is looked at again whether it has taken what it was told */

struct live;

void live_free(struct live *live); /* NULL is fine */
/* An answer to what was asked last. */
void live_answered(struct edge *edge, struct conn *conn, int status, struct slice body);
/* May it still ask? Keys may have changed. False: it has ended. */
MUST_CHECK bool live_may_ask(struct edge *edge, struct conn *conn);
