/*
 * GET /api/users/U and POST /api/users/U/disconnect: each worker of each node looks at its
 * connections, TURN_LOOKS_MAX a turn. There is no index of users: it would cost each connection
 * memory for what is asked now and then.
 */
#include "edge/inspect.h"
#include "edge/parameter.h"
#include "edge/route.h"
#include "edge/survey.h"
#include "http/query.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define USER_CONNECTIONS_MAX 1000 /* that are shown, of each worker's; all are disconnected */

/* ---- on each worker ---- */

static bool is_of_user(const struct conn *conn, struct slice user)
{
	return conn_is_client(conn) && slice_equals(session_user(&conn->session), user);
}

/* Some places of the slab a turn; each connection of the user is given to `each`. */
static void look_at_conns(struct edge *edge, struct note *note,
                          void (*each)(struct edge *edge, struct note *note, struct conn *conn))
{
	struct slice user = buf_view(&note->text);
	uint32_t span = slab_span(&edge->conns), looks = 0;
	for (; note->place < span && looks < TURN_LOOKS_MAX; looks++) {
		struct conn *conn = slab_by_index(&edge->conns, note->place++);
		if (is_of_user(conn, user))
			each(edge, note, conn);
	}
	note->is_found = true;
	note->goes_on = note->place < span;
}

/* A line of the body. */
static void show_conn(struct edge *edge, struct note *note, struct conn *conn)
{
	if (note->count++ >= USER_CONNECTIONS_MAX)
		return;
	inspect_conn(edge, conn, &note->body);
	buf_string(&note->body, "}\n");
}

static void show_user(struct edge *edge, struct note *note)
{
	look_at_conns(edge, note, show_conn);
}

static void end_one(struct edge *edge, struct note *note, struct conn *conn)
{
	buf_char(&note->body, '\n');
	conn_end(edge, conn, CLOSE_DISCONNECTED);
}

static void end_user(struct edge *edge, struct note *note)
{
	look_at_conns(edge, note, end_one);
}

/* ---- on the asker's ---- */

/* Of a note of this node: those of others come without. */
static struct slice user_of(struct note *const *notes, size_t count)
{
	size_t i = 0;
	while (notes[i]->text.len == 0) {
		i++;
		CHECK(i < count);
	}
	return buf_view(&notes[i]->text);
}

static void finish_show(struct edge *edge, struct conn *conn, struct note *const *notes,
                        size_t count)
{
	struct buf body = {0}, list = {0};
	for (size_t i = 0; i < count; i++) {
		struct slice rest = buf_view(&notes[i]->body), line;
		list.is_broken |= notes[i]->body.is_broken || !notes[i]->is_found;
		while (slice_cut(&rest, '\n', &line) && line.len > 0) {
			if (list.len > 0)
				buf_char(&list, ',');
			buf_slice(&list, line);
		}
	}
	buf_string(&body, "{\"user\":");
	json_string_append(&body, user_of(notes, count));
	buf_string(&body, list.len > 0 ? ",\"online\":true" : ",\"online\":false");
	buf_string(&body, ",\"connections\":[");
	buf_slice(&body, buf_view(&list));
	buf_string(&body, "]}");
	body.is_broken |= list.is_broken;
	buf_free(&list);
	exchange_made(edge, conn, &body);
}

static void finish_end(struct edge *edge, struct conn *conn, struct note *const *notes,
                       size_t count)
{
	struct buf body = {0};
	uint64_t ended = 0;
	for (size_t i = 0; i < count; i++) {
		body.is_broken |= notes[i]->body.is_broken || !notes[i]->is_found;
		ended += notes[i]->body.len;
	}
	buf_string(&body, "{\"disconnected\":");
	buf_u64(&body, ended);
	buf_char(&body, '}');
	exchange_made(edge, conn, &body);
}

const struct survey_kind survey_user = {show_user, finish_show, SURVEY_USER, 0};
const struct survey_kind survey_user_end = {end_user, finish_end, SURVEY_USER_END, 0};

static void ask_about_user(struct edge *edge, struct conn *conn, const struct http_request *request,
                           const char *pattern, const struct survey_kind *kind)
{
	struct buf user = {0}, none = {0};
	if (!exchange_is_backend(edge, conn, request))
		return;
	if (!http_path_decode(route_part(request, pattern), &user) ||
	    !claims_user_is_valid(buf_view(&user)) || !utf8_is_valid(buf_view(&user))) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST,
		                parameter_why(&user, "not the name of a user"));
		buf_free(&user);
		return;
	}
	survey_all(edge, conn, kind, 0, &user, &none);
}

void api_user(struct edge *edge, struct conn *conn, const struct http_request *request,
              struct slice body)
{
	(void)body;
	ask_about_user(edge, conn, request, "/api/users/*", &survey_user);
}

void api_user_disconnect(struct edge *edge, struct conn *conn, const struct http_request *request,
                         struct slice body)
{
	(void)body;
	ask_about_user(edge, conn, request, "/api/users/*/disconnect", &survey_user_end);
}
