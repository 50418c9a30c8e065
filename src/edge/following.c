#include "edge/following.h"

#include <stdlib.h>

#include "edge/access.h"

static struct slice name_of(const struct following *following, size_t i)
{
	return parameter_name(following->channels, i, &following->names);
}

enum error_code following_begin(struct edge *edge, struct conn *conn,
                                const struct http_request *request, const struct slice *last_id,
                                struct following *following, const char **why)
{
	*following = (struct following){0};
	*why = "this node is going down";
	if (edge->is_draining)
		return ERROR_DRAINING;
	enum error_code error = access_identify(edge, conn, request, why);
	if (error != ERROR_NONE)
		return error;
	error = parameter_channels(request, last_id, edge->settings->channels_max,
	                           &following->names, &following->channels, why);
	for (size_t i = 0; error == ERROR_NONE && i < following->channels->count; i++)
		error = hub_may_subscribe(edge->hub, &conn->session, name_of(following, i), why);
	return error;
}

void following_subscribe(struct edge *edge, struct conn *conn, const struct following *following)
{
	conn->session.is_held = true;
	conn->is_opening = true;
	for (size_t i = 0; i < following->channels->count && !conn->session.is_ended; i++) {
		struct hub_command command = {
			.type = COMMAND_SUBSCRIBE,
			.channel = name_of(following, i),
			.has_since = following->channels->has_since,
			.since = following->channels->list[i].since,
		};
		hub_execute(edge->hub, &conn->session, &command);
	}
	conn->is_opening = false;
}

void following_end(struct following *following)
{
	free(following->channels);
	buf_free(&following->names);
}

bool following_is_complete(const struct conn *conn)
{
	if (conn->is_opening || conn->session.is_ended)
		return false;
	const struct follower *follower = conn->session.first;
	while (follower != NULL && follower->state != FOLLOWER_PENDING)
		follower = follower->next_of_session;
	return follower == NULL;
}

void following_release(struct edge *edge, struct conn *conn)
{
	CHECK(conn->session.is_held);
	conn->session.is_held = false;
	hub_session_ready(edge->hub, &conn->session);
}

void following_cursor(struct buf *out, const struct conn *conn, const struct follower *current,
                      uint64_t seq)
{
	const struct follower *follower = conn->session.first;
	for (; follower != NULL; follower = follower->next_of_session) {
		char text[CURSOR_TEXT_MAX];
		uint64_t next = follower->is_in_prelude ? follower->prelude : follower->next;
		uint64_t at = follower == current ? seq : next - 1;
		buf_append(out, text, cursor_write(text, follower->channel->epoch, at));
		if (follower->next_of_session != NULL)
			buf_char(out, ',');
	}
}
