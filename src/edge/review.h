/*
 * review.h - sessions judged again by other settings, in bounded steps a turn.
 *
 * When the configuration was read again a session may be let in by what is no more: the key that
 * signed its token, its API key, the open mode in which it named itself. It ends then. One that
 * goes on loses the subscriptions that the rules of their channels do not allow any more; where a
 * connection is one answer about all its channels (events, a poll) that ends.
 *
 * Threads:   the worker's own.
 * Ownership: none.
 * Limits:    TURN_SWEEP_MAX sessions and subscriptions a turn.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct edge;

struct review {
	uint32_t at; /* place of the connection to look at next */
	bool is_on;
};

void review_begin(struct edge *edge); /* anew, if one is under way */
bool review_go_on(struct edge *edge); /* once a turn; true: there is more */
