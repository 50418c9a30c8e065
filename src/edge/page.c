/*
 * What the server itself has to show: its health, and the files that are part of the binary
 * (static.S).
 */
#include "edge/route.h"

static void answer_text(struct edge *edge, struct conn *conn, struct slice body)
{
	exchange_json(edge, conn, 200, body);
}

void page_health(struct edge *edge, struct conn *conn, const struct http_request *request,
                 struct slice body)
{
	(void)request;
	(void)body;
	answer_text(edge, conn, SLICE("{\"status\":\"ok\"}"));
}

void page_ready(struct edge *edge, struct conn *conn, const struct http_request *request,
                struct slice body)
{
	(void)request;
	(void)body;
	if (edge->is_draining)
		exchange_refuse(edge, conn, ERROR_DRAINING, "this node is going down");
	else if (edge->is_joining)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, "this node is joining its mesh");
	else
		answer_text(edge, conn, SLICE("{\"status\":\"ready\"}"));
}

/* ---- files ---- */

#define STATIC_FILE(symbol) extern const char static_##symbol[], static_##symbol##_end[]
STATIC_FILE(common_css);
STATIC_FILE(index_html);
STATIC_FILE(demo_js);
STATIC_FILE(demo_css);
STATIC_FILE(console_html);
STATIC_FILE(console_js);
STATIC_FILE(console_css);
STATIC_FILE(patterns_html);
STATIC_FILE(patterns_js);
STATIC_FILE(patterns_css);
STATIC_FILE(starling_js);

static const struct {
	const char *path, *type;
	const char *start, *end;
} files[] = {
	{"/common.css", "text/css; charset=utf-8", static_common_css, static_common_css_end},
	{"/", "text/html; charset=utf-8", static_index_html, static_index_html_end},
	{"/demo.js", "text/javascript; charset=utf-8", static_demo_js, static_demo_js_end},
	{"/demo.css", "text/css; charset=utf-8", static_demo_css, static_demo_css_end},
	{"/console", "text/html; charset=utf-8", static_console_html, static_console_html_end},
	{"/console.js", "text/javascript; charset=utf-8", static_console_js, static_console_js_end},
	{"/console.css", "text/css; charset=utf-8", static_console_css, static_console_css_end},
	{"/patterns", "text/html; charset=utf-8", static_patterns_html, static_patterns_html_end},
	{"/patterns.js", "text/javascript; charset=utf-8", static_patterns_js,
         static_patterns_js_end},
	{"/patterns.css", "text/css; charset=utf-8", static_patterns_css, static_patterns_css_end},
	{"/starling.js", "text/javascript; charset=utf-8", static_starling_js,
         static_starling_js_end},
};

static const char *const policy = "default-src 'self'; connect-src 'self' ws: wss:; "
				  "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
				  "frame-ancestors 'none'";

void page_file(struct edge *edge, struct conn *conn, const struct http_request *request,
               struct slice body)
{
	(void)body;
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		if (!slice_is(request->path, files[i].path))
			continue;
		struct answer answer = {
			.status = 200,
			.type = slice_string(files[i].type),
			.body = slice_of(files[i].start, (size_t)(files[i].end - files[i].start)),
			.header_name = "Content-Security-Policy",
			.header_value = slice_string(policy),
		};
		exchange_answer(edge, conn, &answer);
		return;
	}
	CHECK(false); /* the route table names no other */
}

void page_root(struct edge *edge, struct conn *conn, const struct http_request *request,
               struct slice body)
{
	if (edge->settings->is_open) {
		page_file(edge, conn, request, body);
		return;
	}
	struct answer answer = {
		.status = 302, .header_name = "Location", .header_value = SLICE("/console")};
	exchange_answer(edge, conn, &answer);
}
