#include "edge/live.h"

#include <stdlib.h>

#include "edge/access.h"
#include "edge/parameter.h"
#include "edge/route.h"
#include "http/query.h"
#include "wire/json.h"
#include "wire/sse_event.h"

#define EVERY_S_DEFAULT 2
#define EVERY_S_MAX 60

struct live {
	struct buf paths; /* one behind the other */
	struct live_path {
		size_t at, len;
		uint64_t told; /* the hash of the answer that was sent last */
		bool was_told;
	} list[LIVE_PATHS_MAX];
	size_t count, next;          /* the one that is asked next, or is being asked */
	uint64_t every_ms, round_ms; /* when this round began */
	bool is_asking;              /* its answer has not come */
	bool has_told;               /* in this round */
	struct buf head;             /* of the request under way */
};

void live_free(struct live *live)
{
	if (live == NULL)
		return;
	buf_free(&live->paths);
	buf_free(&live->head);
	free(live);
}

static struct slice path_of(const struct live *live, size_t i)
{
	return slice_of(buf_since(&live->paths, live->list[i].at).at, live->list[i].len);
}

/* ---- what is wanted ---- */

/* NULL, or why not. Whether there is such a path is for the route to say. */
static const char *check_path(struct slice path)
{
	for (size_t i = 0; i < path.len; i++) {
		if (path.at[i] <= ' ' || path.at[i] >= 0x7f || path.at[i] == '#')
			return "get is not a path, with its query as a request has it";
	}
	if (slice_starts(path, SLICE("/api/live")))
		return "/api/live cannot be had live";
	if (!slice_starts(path, SLICE("/api/")) && !slice_is(path, "/metrics"))
		return "get is none of /metrics and the paths below /api";
	return NULL;
}

static const char *read_paths(const struct http_request *request, struct live *live)
{
	struct slice rest = request->query, raw_name, raw;
	while (query_next(&rest, &raw_name, &raw)) {
		if (!query_is(raw_name, "get"))
			continue;
		if (live->count == LIVE_PATHS_MAX)
			return "more than eight paths to get";
		struct live_path *path = &live->list[live->count++];
		path->at = live->paths.len;
		if (!query_decode(raw, &live->paths))
			return "get is not decodable";
		if (live->paths.is_broken)
			return why_no_memory;
		path->len = live->paths.len - path->at;
		const char *why = check_path(path_of(live, live->count - 1));
		if (why != NULL)
			return why;
	}
	return live->count == 0 ? "get is missing: a path below /api, or /metrics" : NULL;
}

static const char *read_every(const struct http_request *request, struct live *live)
{
	uint64_t every_s = EVERY_S_DEFAULT;
	enum parameter_result got = parameter_number(request, "every", &every_s);
	if (got == PARAMETER_NO_MEMORY)
		return why_no_memory;
	if (got == PARAMETER_BAD || every_s < 1 || every_s > EVERY_S_MAX)
		return "every is not a number of seconds, 1 to 60";
	live->every_ms = every_s * 1000;
	return NULL;
}

static void begin(struct edge *edge, struct conn *conn, struct live *live)
{
	conn->exchange->live = live;
	exchange_stream(edge, conn, SLICE("text/event-stream"));
	if (conn->session.is_ended)
		return;
	conn_set_transport(edge, conn, &transport_live);
	conn_enter(edge, conn, CONN_LIVE);
	conn_set_timer(edge, conn, 0);
}

void api_live(struct edge *edge, struct conn *conn, const struct http_request *request,
              struct slice body)
{
	(void)body;
	const char *why;
	enum error_code error = access_admit_backend(edge, conn, request, &why);
	if (error != ERROR_NONE) {
		exchange_refuse(edge, conn, error, why);
		return;
	}
	struct live *live = calloc(1, sizeof(*live));
	why = live == NULL ? why_no_memory : read_paths(request, live);
	if (why == NULL)
		why = read_every(request, live);
	if (why == NULL && request->method != HTTP_HEAD) {
		begin(edge, conn, live);
		return;
	}
	live_free(live);
	if (why == NULL)
		exchange_head(edge, conn, SLICE("text/event-stream"));
	else
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST, why);
}

bool live_may_ask(struct edge *edge, struct conn *conn)
{
	bool may = access_still_backs(edge, &conn->session);
	if (!may)
		conn_end(edge, conn, CLOSE_DISCONNECTED);
	return may;
}

/* ---- a round ---- */

/* The request is read from its text, as any is. */
static void ask(struct edge *edge, struct conn *conn, struct live *live)
{
	struct slice path = path_of(live, live->next);
	struct http_limits limits = {path.len, HTTP_LINE_MAX};
	buf_clear(&live->head);
	buf_string(&live->head, "GET ");
	buf_slice(&live->head, path);
	buf_string(&live->head, " HTTP/1.1\r\nHost: x\r\n\r\n");
	if (live->head.is_broken) {
		conn_end(edge, conn, CLOSE_NO_MEMORY);
		return;
	}
	live->is_asking = true;
	conn_set_timer(edge, conn, LIVE_ANSWER_MS);
	http_request_begin(&edge->request);
	enum http_parse parsed =
		http_request_parse(&edge->request, live->head.at, live->head.len, &limits);
	if (parsed == HTTP_DONE)
		route_request(edge, conn, &edge->request, slice_of(NULL, 0));
	else
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST, edge->request.why);
}

/* Who has not taken what it was told last is spared this one. */
static void begin_round(struct edge *edge, struct conn *conn, struct live *live)
{
	live->round_ms = edge_now_ms(edge);
	live->has_told = false;
	if (conn_out(conn) == NULL)
		ask(edge, conn, live);
	else
		conn_set_timer(edge, conn, live->every_ms);
}

/* Where nothing has changed, that the stream stands is said all the same. */
static void end_round(struct edge *edge, struct conn *conn, struct live *live)
{
	uint64_t took_ms = edge_now_ms(edge) - live->round_ms;
	if (!live->has_told)
		conn_write(edge, conn, SLICE(":\n\n"));
	live->next = 0;
	conn_set_timer(edge, conn, took_ms < live->every_ms ? live->every_ms - took_ms : 0);
}

static void live_timer(struct edge *edge, struct conn *conn)
{
	struct live *live = conn->exchange->live;
	if (live->is_asking)
		conn_end(edge, conn, CLOSE_TIMEOUT);
	else if (live->next == 0)
		begin_round(edge, conn, live);
	else if (conn_out(conn) == NULL)
		ask(edge, conn, live);
	else
		conn_set_timer(edge, conn, LIVE_TAKE_MS);
}

/* ---- answers ---- */

/* A refusal tells of which path it is, since that is not the name of its event. */
static void write_refusal(struct buf *out, struct slice path, struct slice body)
{
	struct buf data = {0};
	buf_string(&data, "{\"get\":");
	json_string_append(&data, path);
	buf_string(&data, ",\"answer\":");
	buf_slice(&data, body);
	buf_char(&data, '}');
	sse_event_append(out, SLICE("refused"), buf_view(&data));
	out->is_broken |= data.is_broken;
	buf_free(&data);
}

static void tell(struct edge *edge, struct conn *conn, int status, struct slice body)
{
	struct live *live = conn->exchange->live;
	struct buf event = {0};
	if (status >= 400)
		write_refusal(&event, path_of(live, live->next), body);
	else
		sse_event_append(&event, path_of(live, live->next), body);
	sse_end(&event);
	live->has_told = true;
	if (event.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else /* nothing waits before it: it would not have been asked for */
		conn_write(edge, conn, buf_view(&event));
	buf_free(&event);
}

void live_answered(struct edge *edge, struct conn *conn, int status, struct slice body)
{
	struct live *live = conn->exchange->live;
	struct live_path *path = &live->list[live->next];
	uint64_t hash = hash_bytes(&edge->options.node->hash_key, body);
	exchange_end_work(conn);
	live->is_asking = false;
	if (!path->was_told || path->told != hash)
		tell(edge, conn, status, body);
	path->was_told = true;
	path->told = hash;
	if (conn->session.is_ended)
		return;
	if (++live->next == live->count)
		end_round(edge, conn, live);
	else
		conn_set_timer(edge, conn, 0); /* each has a turn of its own */
}

/* ---- the transport ---- */

static void live_input(struct edge *edge, struct conn *conn, char *bytes, size_t len)
{
	(void)edge;
	(void)conn;
	(void)bytes;
	(void)len; /* its client has nothing more to say */
}

static bool live_goodbye(struct edge *edge, struct conn *conn)
{
	(void)edge;
	exchange_free(conn);
	return false;
}

const struct transport transport_live = {
	.name = "live",
	.client = EDGE_HTTP,
	.input = live_input,
	.event = exchange_event,
	.deliver = exchange_deliver,
	.timer = live_timer,
	.goodbye = live_goodbye,
};
