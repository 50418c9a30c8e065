#include "edge/access_log.h"

#include "edge/peer.h"

/* By the clock on the wall, which may have been set back since. */
static uint64_t age_ms(const struct edge *edge, const struct conn *conn)
{
	uint64_t now_ms = loop_unix_ms(edge->loop);
	return now_ms > conn->opened_unix_ms ? now_ms - conn->opened_unix_ms : 0;
}

/* Those that stay for messages; what polls and other requests do is a line each. */
static bool stays(const struct conn *conn)
{
	return conn->transport->client == EDGE_WEBSOCKET || conn->transport->client == EDGE_SSE ||
	       conn->transport == &transport_live;
}

void access_log_begin(struct edge *edge, struct conn *conn, const struct http_request *request)
{
	struct exchange *exchange = conn->exchange;
	if (!edge->settings->logs_access)
		return;
	exchange->asked_ms = edge_now_ms(edge);
	exchange->asked_by = peer_of_request(edge, conn, request);
	buf_slice(&exchange->asked, request->method_name);
	buf_char(&exchange->asked, ' ');
	buf_slice(&exchange->asked, request->path);
}

/* What could not be read, or began before there was a log, has neither method nor path. */
void access_log_answer(struct edge *edge, struct conn *conn, int status, size_t bytes)
{
	const struct exchange *exchange = conn->exchange;
	char id[CONN_ID_MAX];
	if (!edge->settings->logs_access)
		return;
	struct slice path = buf_view(&exchange->asked), method;
	bool is_known = slice_cut(&path, ' ', &method) && path.at != NULL;
	struct edge_line line = {
		.event = "request",
		.method = is_known ? method : SLICE("-"),
		.path = is_known ? path : SLICE("-"),
		.status = status,
		.bytes = bytes,
		.ms = is_known ? edge_now_ms(edge) - exchange->asked_ms : 0,
		.address = is_known ? exchange->asked_by : peer_of(edge, conn),
		.user = session_user(&conn->session),
		.connection = slice_of(id, conn_id(edge, conn, id)),
	};
	edge->options.up->log(edge->options.up, &line);
}

/* ---- those who go ---- */

static void warn(struct edge *edge, const char *kind, const char *message)
{
	edge->options.up->warn(edge->options.up, kind, message);
}

/* Control characters of a name are the journal's to leave out. */
static void warn_of(struct edge *edge, const struct conn *conn, const char *kind, const char *what)
{
	char text[512], id[CONN_ID_MAX], from[ADDRESS_TEXT_MAX];
	struct address address = peer_of(edge, conn);
	struct slice user = session_user(&conn->session);
	size_t from_len = address_write(from, &address);
	snprintf(text, sizeof(text), "%s: connection %.*s%s%.*s%s%s", what,
	         (int)conn_id(edge, conn, id), id, user.len > 0 ? " of user " : "", (int)user.len,
	         user.len > 0 ? user.at : "", from_len > 0 ? ", from " : "", from);
	warn(edge, kind, text);
}

void access_log_end(struct edge *edge, const struct conn *conn)
{
	char id[CONN_ID_MAX];
	if (conn->reason == CLOSE_SLOW_CONSUMER)
		warn_of(edge, conn, "slow_consumer", "a client that does not keep up was closed");
	else if (conn->reason == CLOSE_NO_MEMORY)
		warn_of(edge, conn, "no_memory", "a client was closed for want of memory");
	if (!edge->settings->logs_access || !stays(conn))
		return;
	struct edge_line line = {
		.event = "closed",
		.transport = slice_string(conn->transport->name),
		.reason = slice_string(close_text(conn->reason)),
		.ms = age_ms(edge, conn),
		.address = peer_of(edge, conn),
		.user = session_user(&conn->session),
		.connection = slice_of(id, conn_id(edge, conn, id)),
	};
	edge->options.up->log(edge->options.up, &line);
}

/* ---- those who do not get in ---- */

void access_log_crowded(struct edge *edge)
{
	char text[128];
	snprintf(text, sizeof(text),
	         "no descriptor is left for a connection: %u are in use by this worker",
	         edge->conns.count);
	warn(edge, "descriptors", text);
}

void access_log_not_accepted(struct edge *edge, int error)
{
	char text[128];
	snprintf(text, sizeof(text), "a connection cannot be accepted: %s", strerror(-error));
	warn(edge, "accept", text);
}

void access_log_overloaded(struct edge *edge)
{
	char text[128];
	snprintf(text, sizeof(text), "a client was refused: limits.connections is %u",
	         edge->settings->connections_max);
	warn(edge, "overloaded", text);
}
