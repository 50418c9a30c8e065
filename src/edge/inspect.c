/*
 * What the server API shows of connections, and does to them: each is a survey, of one worker or
 * of all. And what it does to the node as a whole, and the members of the cluster, of whom the
 * mesh thread knows.
 */
#include "edge/inspect.h"

#include <stdlib.h>

#include "edge/parameter.h"
#include "edge/peer.h"
#include "edge/route.h"
#include "edge/survey.h"
#include "http/query.h"
#include "wire/json.h"

#define CONNECTIONS_LIMIT_DEFAULT 100
#define CONNECTIONS_LIMIT_MAX 1000

/* ---- one connection ---- */

static struct conn *find_conn(struct edge *edge, uint64_t number)
{
	struct slab_handle handle = {(uint32_t)(number >> 32) & 0xffffff, (uint32_t)number};
	struct conn *conn = slab_at(&edge->conns, handle);
	return conn_is_client(conn) ? conn : NULL;
}

static void write_address(struct buf *out, struct address address)
{
	char text[ADDRESS_TEXT_MAX];
	size_t len = address_write(text, &address);
	if (len == 0)
		buf_string(out, "null");
	else
		json_string_append(out, slice_of(text, len));
}

void inspect_conn(struct edge *edge, const struct conn *conn, struct buf *out)
{
	char id[CONN_ID_MAX];
	buf_string(out, "{\"id\":\"");
	buf_append(out, id, conn_id(edge, conn, id));
	buf_string(out, "\",\"user\":");
	if (session_user(&conn->session).len == 0)
		buf_string(out, "null");
	else
		json_string_append(out, session_user(&conn->session));
	buf_string(out, ",\"node\":");
	json_string_append(out, slice_string(edge->options.node->name));
	buf_string(out, ",\"transport\":\"");
	buf_string(out, conn->transport->name);
	buf_string(out, "\",\"address\":");
	write_address(out, peer_of(edge, conn));
	buf_string(out, ",\"since\":");
	buf_u64(out, conn->opened_unix_ms);
}

static void describe_conn(struct edge *edge, struct note *note)
{
	const struct conn *conn = find_conn(edge, note->number);
	struct buf *out = &note->body;
	note->is_found = conn != NULL;
	if (conn == NULL)
		return;
	inspect_conn(edge, conn, out);
	buf_string(out, ",\"channels\":[");
	const struct follower *follower = conn->session.first;
	for (; follower != NULL; follower = follower->next_of_session) {
		json_string_append(out, channel_name(follower->channel));
		if (follower->next_of_session != NULL)
			buf_char(out, ',');
	}
	buf_string(out, "]}");
}

/* All nodes are asked whose boot ids begin as the connection's id does: that is one, if nobody has
 * made another one like it. */
static void finish_conn(struct edge *edge, struct conn *conn, struct note *const *notes,
                        size_t count)
{
	struct buf body = {0};
	size_t at = 0;
	while (at + 1 < count && !notes[at]->is_found)
		at++;
	if (!notes[at]->is_found) {
		exchange_refuse(edge, conn, ERROR_NOT_FOUND, "there is no such connection");
		return;
	}
	buf_swap(&body, &notes[at]->body); /* the note goes with the answer */
	exchange_made(edge, conn, &body);
}

static void end_conn(struct edge *edge, struct note *note)
{
	struct conn *conn = find_conn(edge, note->number);
	note->is_found = conn != NULL;
	if (conn != NULL)
		conn_end(edge, conn, CLOSE_DISCONNECTED);
	buf_string(&note->body, "{\"disconnected\":1}");
}

static void send_to_conn(struct edge *edge, struct note *note)
{
	struct conn *conn = find_conn(edge, note->number);
	struct hub_event event = {.type = EVENT_DIRECT, .data = buf_view(&note->text)};
	note->is_found = conn != NULL && conn->transport != &transport_poll &&
	                 conn->transport != &transport_echo &&
	                 conn_has_room(edge, conn, event.data.len);
	if (note->is_found)
		conn->transport->event(edge, conn, &event);
	buf_string(&note->body, "{\"sent\":1}");
}

const struct survey_kind survey_describe = {describe_conn, finish_conn, SURVEY_DESCRIBE, 0};
const struct survey_kind survey_end = {end_conn, finish_conn, SURVEY_END, 0};
const struct survey_kind survey_send = {send_to_conn, finish_conn, SURVEY_SEND, 0};

/* The number of the connection that the path names, on the node of that boot id; 0: it names none,
 * and that was answered. */
static uint64_t conn_in_path(struct edge *edge, struct conn *conn,
                             const struct http_request *request, const char *pattern,
                             uint64_t *boot_id)
{
	struct buf id = {0};
	uint64_t number = 0;
	if (http_path_decode(route_part(request, pattern), &id))
		number = conn_number_anywhere(buf_view(&id), boot_id);
	if (number == 0)
		exchange_refuse(edge, conn, ERROR_NOT_FOUND,
		                id.is_broken ? why_no_memory : "there is no such connection");
	buf_free(&id);
	return number;
}

void api_connection(struct edge *edge, struct conn *conn, const struct http_request *request,
                    struct slice body)
{
	(void)body;
	struct buf none = {0};
	if (!exchange_is_backend(edge, conn, request))
		return;
	uint64_t boot_id,
		number = conn_in_path(edge, conn, request, "/api/connections/*", &boot_id);
	bool is_end = request->method == HTTP_DELETE;
	if (number != 0)
		survey_one(edge, conn, is_end ? &survey_end : &survey_describe, boot_id, number,
		           &none);
}

void api_send(struct edge *edge, struct conn *conn, const struct http_request *request,
              struct slice body)
{
	struct json_field data = {.name = "data"};
	struct buf text = {0};
	size_t bad_at;
	if (!exchange_is_backend(edge, conn, request))
		return;
	if (!json_read_object(body, MESSAGE_DEPTH_MAX + 1, &data, 1, &bad_at) ||
	    data.value.kind == JSON_NONE) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST,
		                "the body is not a JSON object with data");
		return;
	}
	uint64_t boot_id,
		number = conn_in_path(edge, conn, request, "/api/connections/*/send", &boot_id);
	if (number == 0)
		return;
	buf_slice(&text, data.value.raw);
	survey_one(edge, conn, &survey_send, boot_id, number, &text);
}

/* ---- some of all ---- */

/* A line of the body. */
static void add_conn(struct edge *edge, struct note *note, const struct conn *conn)
{
	inspect_conn(edge, conn, &note->body);
	buf_string(&note->body, ",\"channels\":");
	buf_u64(&note->body, conn->session.follower_count);
	buf_string(&note->body, "}\n");
	note->count++;
}

/* As many as were asked for, some places of the slab a turn. */
static void list_conns(struct edge *edge, struct note *note)
{
	struct slice user = buf_view(&note->text);
	note->is_found = true;
	uint32_t span = slab_span(&edge->conns), looks = 0;
	for (; note->place < span && note->count < note->number && looks < TURN_LOOKS_MAX;
	     looks++) {
		const struct conn *conn = slab_by_index(&edge->conns, note->place++);
		if (conn_is_client(conn) &&
		    (user.len == 0 || slice_equals(user, session_user(&conn->session))))
			add_conn(edge, note, conn);
	}
	note->goes_on = note->place < span && note->count < note->number;
}

static void finish_conns(struct edge *edge, struct conn *conn, struct note *const *notes,
                         size_t count)
{
	struct buf body = {0};
	/* Each was asked for one more than the answer holds, to know whether there is one. */
	size_t limit = (size_t)notes[0]->number - 1, found = 0;
	bool has_all = true;
	buf_string(&body, "{\"connections\":[");
	for (size_t i = 0; i < count; i++) {
		struct slice rest = buf_view(&notes[i]->body), line;
		has_all &= notes[i]->is_found && !notes[i]->body.is_broken;
		for (; slice_cut(&rest, '\n', &line) && line.len > 0; found++) {
			if (found > 0 && found < limit)
				buf_char(&body, ',');
			if (found < limit)
				buf_slice(&body, line);
		}
	}
	buf_string(&body, found > limit ? "],\"more\":true}" : "],\"more\":false}");
	if (has_all) {
		exchange_made(edge, conn, &body);
		return;
	}
	buf_free(&body);
	exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
}

const struct survey_kind survey_list = {list_conns, finish_conns, SURVEY_CONNECTIONS,
                                        CONNECTIONS_LIMIT_MAX + 1};

void api_connections(struct edge *edge, struct conn *conn, const struct http_request *request,
                     struct slice body)
{
	(void)body;
	struct buf user = {0}, none = {0};
	uint64_t limit = CONNECTIONS_LIMIT_DEFAULT;
	if (!exchange_is_backend(edge, conn, request))
		return;
	enum parameter_result got_user = parameter_get(request, "user", &user);
	enum parameter_result got_limit = parameter_number(request, "limit", &limit);
	if (got_user == PARAMETER_NO_MEMORY || got_limit == PARAMETER_NO_MEMORY) {
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	} else if (got_user == PARAMETER_BAD || got_limit == PARAMETER_BAD || limit == 0) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST,
		                "user is not decodable, or limit no number above 0");
	} else {
		limit = limit > CONNECTIONS_LIMIT_MAX ? CONNECTIONS_LIMIT_MAX : limit;
		survey_all(edge, conn, &survey_list, limit + 1, &user, &none);
		return;
	}
	buf_free(&user);
}

/* ---- the node ---- */

void api_drain(struct edge *edge, struct conn *conn, const struct http_request *request,
               struct slice body)
{
	(void)body;
	if (!exchange_is_backend(edge, conn, request))
		return;
	edge->options.up->drain(edge->options.up);
	exchange_json(edge, conn, 200, SLICE("{\"draining\":true}"));
}

/* ---- the cluster ---- */

/* The request waits, and nothing is kept for it. */
static const struct work_kind cluster_work = {.free = free};

void api_cluster(struct edge *edge, struct conn *conn, const struct http_request *request,
                 struct slice body)
{
	(void)body;
	struct edge_up *up = edge->options.up;
	struct buf answer = {0};
	if (!exchange_is_backend(edge, conn, request))
		return;
	if (!up->has_room(up))
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else if (up->write_cluster(up, slab_handle_of(&edge->conns, conn), &answer))
		exchange_made(edge, conn, &answer);
	else
		exchange_set_work(conn, &cluster_work, NULL);
}

void edge_tell_cluster(struct edge *edge, struct slab_handle asker, const struct blob *answer)
{
	struct conn *conn = slab_at(&edge->conns, asker);
	bool waits = conn != NULL && exchange_is_open(conn) &&
	             conn->exchange->work_kind == &cluster_work;
	if (!waits)
		return; /* it is another one by now */
	if (answer == NULL)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else
		exchange_json(edge, conn, 200, blob_view(answer));
}
