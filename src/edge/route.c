#include "edge/route.h"

#include "edge/access.h"

#define METHOD(method) (1u << (method))
#define READS (METHOD(HTTP_GET) | METHOD(HTTP_HEAD))
#define POSTS METHOD(HTTP_POST)

enum body_kind { BODY_SMALL = 0, BODY_OF_CLIENT, BODY_OF_API, BODY_OF_BATCH, BODY_STREAM };

#define BODY_SMALL_MAX 4096 /* for requests that need none */

static const struct route {
	const char *path; /* `*` stands for one part of a path */
	unsigned methods;
	enum body_kind body;
	route_handler *handler;
} routes[] = {
	{"/ws", READS, BODY_SMALL, websocket_open},
	{"/events", READS, BODY_SMALL, sse_open},
	{"/poll", READS, BODY_SMALL, poll_open},
	{"/publish", POSTS, BODY_OF_CLIENT, publish_post},
	{"/echo", READS, BODY_SMALL, echo_open},
	{"/api/publish", POSTS, BODY_OF_API, api_publish},
	{"/api/batch", POSTS, BODY_OF_BATCH, api_batch},
	{"/api/stream", POSTS, BODY_STREAM, api_stream},
	{"/api/channels", READS, BODY_SMALL, api_channels},
	{"/api/channels/*", READS, BODY_SMALL, api_channel},
	{"/api/connections", READS, BODY_SMALL, api_connections},
	{"/api/connections/*", READS | METHOD(HTTP_DELETE), BODY_SMALL, api_connection},
	{"/api/connections/*/send", POSTS, BODY_OF_API, api_send},
	{"/api/cluster", READS, BODY_SMALL, api_cluster},
	{"/api/stats", READS, BODY_SMALL, api_stats},
	{"/api/live", READS, BODY_SMALL, api_live},
	{"/api/drain", POSTS, BODY_SMALL, api_drain},
	{"/api/channels/*/history", READS, BODY_SMALL, api_history},
	{"/api/channels/*/presence", READS, BODY_SMALL, api_presence},
	{"/api/users/*", READS, BODY_SMALL, api_user},
	{"/api/users/*/disconnect", POSTS, BODY_SMALL, api_user_disconnect},
	{"/metrics", READS, BODY_SMALL, metrics_get},
	{"/health", READS, BODY_SMALL, page_health},
	{"/ready", READS, BODY_SMALL, page_ready},
	{"/", READS, BODY_SMALL, page_root},
	{"/starling.js", READS, BODY_SMALL, page_file},
	{"/common.css", READS, BODY_SMALL, page_file},
	{"/demo.js", READS, BODY_SMALL, page_file},
	{"/demo.css", READS, BODY_SMALL, page_file},
	{"/patterns", READS, BODY_SMALL, page_root},
	{"/patterns.js", READS, BODY_SMALL, page_file},
	{"/patterns.css", READS, BODY_SMALL, page_file},
	{"/console", READS, BODY_SMALL, page_file},
	{"/console.js", READS, BODY_SMALL, page_file},
	{"/console.css", READS, BODY_SMALL, page_file},
};

/* ---- finding ---- */

/* Compares part by part; `*part` is what the `*` stands for. */
static bool path_fits(struct slice path, struct slice pattern, struct slice *part)
{
	struct slice is, wanted;
	while (slice_cut(&pattern, '/', &wanted)) {
		if (!slice_cut(&path, '/', &is))
			return false;
		if (slice_is(wanted, "*") && is.len > 0)
			*part = is;
		else if (!slice_equals(is, wanted))
			return false;
	}
	return path.at == NULL;
}

struct slice route_part(const struct http_request *request, const char *pattern)
{
	struct slice part = {0};
	bool fits = path_fits(request->path, slice_string(pattern), &part);
	CHECK(fits);
	return part;
}

static const struct route *route_find(const struct http_request *request)
{
	struct slice part;
	for (size_t i = 0; i < COUNT_OF(routes); i++) {
		if (path_fits(request->path, slice_string(routes[i].path), &part))
			return &routes[i];
	}
	return NULL;
}

uint64_t route_body_max(const struct edge *edge, const struct http_request *request)
{
	const struct route *route = route_find(request);
	switch (route == NULL ? BODY_SMALL : route->body) {
	case BODY_OF_CLIENT:
		return edge->settings->message_bytes_max;
	case BODY_OF_API:
		return API_BODY_BYTES_MAX;
	case BODY_OF_BATCH:
		return API_BATCH_BYTES_MAX;
	case BODY_STREAM:
		return UINT64_MAX;
	case BODY_SMALL:
		break;
	}
	return BODY_SMALL_MAX;
}

bool route_is_for_backends(const struct http_request *request)
{
	return slice_starts(request->path, SLICE("/api/")) && route_find(request) != NULL;
}

bool route_takes_token(const struct http_request *request)
{
	const struct route *route = route_find(request);
	return route != NULL && route->handler != page_health && route->handler != page_ready &&
	       route->handler != page_root && route->handler != page_file &&
	       route->handler != echo_open;
}

bool route_is_stream(const struct http_request *request)
{
	const struct route *route = route_find(request);
	return route != NULL && route->body == BODY_STREAM && request->method == HTTP_POST;
}

/* ---- answering what no handler needs to see ---- */

static void write_methods(const struct route *route, struct buf *out)
{
	if ((route->methods & READS) != 0)
		buf_string(out, "GET, HEAD, ");
	if ((route->methods & POSTS) != 0)
		buf_string(out, "POST, ");
	if ((route->methods & METHOD(HTTP_DELETE)) != 0)
		buf_string(out, "DELETE, ");
	buf_string(out, "OPTIONS");
}

/* `answer` with the methods that the path takes. */
static void answer_allow(struct edge *edge, struct conn *conn, struct answer *answer,
                         const struct route *route)
{
	struct buf allow = {0};
	write_methods(route, &allow);
	answer->header_name = "Allow";
	answer->header_value = buf_view(&allow);
	if (allow.is_broken)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else
		exchange_answer(edge, conn, answer);
	buf_free(&allow);
}

static void refuse_method(struct edge *edge, struct conn *conn, const struct route *route)
{
	struct answer answer = {
		.status = error_status(ERROR_METHOD_NOT_ALLOWED),
		.body = SLICE("{\"error\":{\"code\":\"method_not_allowed\","
	                      "\"message\":\"this path does not take that method\"}}"),
	};
	edge->errors[ERROR_METHOD_NOT_ALLOWED]++;
	answer_allow(edge, conn, &answer, route);
}

/* A browser asks whether a page of another origin may ask; or anybody what there is. */
static void answer_options(struct edge *edge, struct conn *conn, const struct route *route)
{
	struct answer answer = {.status = 204};
	conn->exchange->is_preflight = true;
	answer_allow(edge, conn, &answer, route);
}

void route_request(struct edge *edge, struct conn *conn, const struct http_request *request,
                   struct slice body)
{
	const struct route *route = route_find(request);
	exchange_set_origin(edge, conn, request);
	if (!access_origin_is_good(edge, conn, request))
		exchange_refuse(edge, conn, ERROR_FORBIDDEN,
		                "pages of this origin are not let in (auth.allowed_origins)");
	else if (route == NULL)
		exchange_refuse(edge, conn, ERROR_NOT_FOUND, "there is nothing at this path");
	else if (request->method == HTTP_OPTIONS)
		answer_options(edge, conn, route);
	else if ((route->methods & METHOD(request->method)) == 0)
		refuse_method(edge, conn, route);
	else
		route->handler(edge, conn, request, body);
}
