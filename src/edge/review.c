#include "edge/review.h"

#include "edge/access.h"
#include "edge/exchange.h"

/* A poll has an answer of its own for that; the others are told as they end. */
static void turn_out(struct edge *edge, struct conn *conn, enum error_code error,
                     enum close_reason reason)
{
	if (conn->state == CONN_POLL)
		poll_refuse(edge, conn, error, "the server's settings have changed");
	else
		conn_end(edge, conn, reason);
}

static bool may_follow_all(struct edge *edge, struct conn *conn)
{
	const char *why;
	const struct follower *follower = conn->session.first;
	while (follower != NULL &&
	       hub_may_subscribe(edge->hub, &conn->session, channel_name(follower->channel),
	                         &why) == ERROR_NONE)
		follower = follower->next_of_session;
	return follower == NULL;
}

static void judge(struct edge *edge, struct conn *conn)
{
	if (!access_still_holds(edge, &conn->session))
		turn_out(edge, conn, ERROR_UNAUTHORIZED,
		         session_has_token(&conn->session) ? CLOSE_TOKEN_EXPIRED
		                                           : CLOSE_DISCONNECTED);
	else if (conn->state == CONN_SOCKET)
		hub_review(edge->hub, &conn->session);
	else if (!may_follow_all(edge, conn))
		turn_out(edge, conn, ERROR_FORBIDDEN, CLOSE_DISCONNECTED);
}

void review_begin(struct edge *edge)
{
	edge->review = (struct review){.is_on = true};
}

bool review_go_on(struct edge *edge)
{
	struct review *review = &edge->review;
	uint32_t span = slab_span(&edge->conns);
	for (uint64_t done = 0; review->is_on && done < TURN_SWEEP_MAX; done++) {
		review->is_on = review->at < span;
		struct conn *conn =
			review->is_on ? slab_by_index(&edge->conns, review->at++) : NULL;
		if (!conn_is_client(conn))
			continue;
		done += conn->session.follower_count;
		judge(edge, conn);
	}
	return review->is_on;
}
