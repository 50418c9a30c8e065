/*
 * session.h - one client as the hub sees it: who it is, and what it follows.
 *
 * Threads:   the worker's own.
 * Ownership: embedded in the edge's connection; zeroed memory is a session that follows nothing.
 *            The hub links followers into it and frees them in hub_session_close(); `claims`
 *            are the edge's and outlive the session.
 * Limits:    limits.channels_per_connection followers, SESSION_REQUESTS_MAX commands under way
 *            on other workers (the edge reads no more from the client meanwhile).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "hub/claims.h"

struct follower;

struct session {
	struct follower *first, *last; /* in the order of subscribing */
	struct claims *claims;         /* NULL: anonymous */
	uint32_t follower_count;
	uint16_t request_count; /* commands whose answers are to come; large ones count for more */
	bool is_backend : 1;    /* holds an API key: may do everything */
	bool is_blocked : 1;    /* its sink takes nothing now; hub_session_ready() ends that */
	bool is_held : 1;       /* nothing is delivered yet, though answers are */
	bool is_publisher : 1;  /* has published: waits while the hub is behind */
	bool is_ended : 1;      /* will be closed at the end of the turn; gets nothing more */
	uint8_t parting : 2;    /* how it leaves its channels when it is closed: enum parting */
};

static inline struct slice session_user(const struct session *session)
{
	return session->claims == NULL ? slice_of(NULL, 0) : claims_user(session->claims);
}

static inline bool session_has_token(const struct session *session)
{
	return session->claims != NULL && session->claims->is_token;
}

static inline bool session_takes(const struct session *session)
{
	return !session->is_blocked && !session->is_held && !session->is_ended;
}
