#include "edge/exchange.h"

#include <stdlib.h>

#include "dialect/native.h"
#include "edge/access.h"
#include "edge/access_log.h"
#include "edge/live.h"
#include "edge/peer.h"
#include "edge/registry.h"
#include "edge/route.h"

/* A body that is published as it comes is read in steps of this size, one a turn: it may hold as
 * many publications, and so many may be sent to other workers before the client has to wait. */
#define STREAM_STEP_BYTES 4096

const char *const why_no_memory = "the server is out of memory";

/* ---- memory ---- */

static struct exchange *exchange_of(struct edge *edge, struct conn *conn)
{
	if (conn->exchange != NULL)
		return conn->exchange;
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	if (exchange == NULL) {
		conn_end(edge, conn, CLOSE_NO_MEMORY);
		return NULL;
	}
	exchange->header_bytes_max = edge->settings->header_bytes_max;
	exchange->reason = CLOSE_ANSWERED;
	conn->exchange = exchange;
	return exchange;
}

static void end_work(struct exchange *exchange)
{
	if (exchange->work_kind != NULL)
		exchange->work_kind->free(exchange->work);
	exchange->work_kind = NULL;
	exchange->work = NULL;
}

void exchange_free(struct conn *conn)
{
	struct exchange *exchange = conn->exchange;
	conn->exchange = NULL;
	if (exchange == NULL)
		return;
	free(exchange->allow_origin);
	buf_free(&exchange->held);
	buf_free(&exchange->head);
	buf_free(&exchange->body);
	buf_free(&exchange->asked);
	buf_free(&exchange->poll.messages);
	end_work(exchange);
	live_free(exchange->live);
	free(exchange);
}

void exchange_set_work(struct conn *conn, const struct work_kind *kind, void *work)
{
	CHECK(conn->exchange->work_kind == NULL);
	conn->exchange->work_kind = kind;
	conn->exchange->work = work;
}

void exchange_end_work(struct conn *conn)
{
	end_work(conn->exchange);
}

void exchange_leave(struct conn *conn, struct buf *rest)
{
	*rest = (struct buf){0};
	buf_swap(rest, &conn->exchange->held);
	exchange_free(conn);
}

/* The answer is written: ready for the next request, of which some may have come. */
static void exchange_over(struct edge *edge, struct conn *conn)
{
	bool keeps_alive = conn->exchange->keeps_alive && !edge->is_stopping;
	enum close_reason reason = conn->exchange->reason;
	struct buf rest;
	exchange_leave(conn, &rest);
	access_forget(&conn->session); /* the next request says again who it is from */
	registry_leave(edge, conn);    /* what was answered, or refused, is no client */
	if (peer_is_shared(edge, conn))
		conn->rate = (struct rate){0}; /* the next one is somebody else's */
	if (!keeps_alive) {
		buf_free(&rest);
		conn_end(edge, conn, reason);
		return;
	}
	conn_set_transport(edge, conn, &transport_http);
	conn_enter(edge, conn, CONN_IDLE);
	if (rest.len > 0) {
		struct exchange *next = exchange_of(edge, conn);
		if (next != NULL)
			buf_swap(&next->held, &rest);
	}
	buf_free(&rest);
	conn_again(edge, conn);
}

/* ---- answers ---- */

static struct slice date_now(struct edge *edge)
{
	uint64_t now_s = loop_unix_ms(edge->loop) / 1000;
	if (now_s != edge->date_s) {
		edge->date_s = now_s;
		http_date(edge->date, now_s);
	}
	return slice_string(edge->date);
}

/* A copy: the settings may be others when the answer is written. */
void exchange_set_origin(struct edge *edge, struct conn *conn, const struct http_request *request)
{
	struct exchange *exchange = conn->exchange;
	const char *origin = access_allow_origin(edge, request);
	free(exchange->allow_origin);
	exchange->allow_origin = origin == NULL ? NULL : strdup(origin);
}

void exchange_cors(struct buf *out, const struct exchange *exchange)
{
	if (exchange->allow_origin == NULL)
		return;
	(void)http_response_header(out, "Access-Control-Allow-Origin",
	                           slice_string(exchange->allow_origin));
	if (exchange->allow_origin[0] != '*')
		(void)http_response_header(out, "Vary", SLICE("Origin"));
	if (!exchange->is_preflight) {
		(void)http_response_header(out, "Access-Control-Expose-Headers",
		                           SLICE("Retry-After"));
		return;
	}
	(void)http_response_header(out, "Access-Control-Allow-Methods",
	                           SLICE("GET, HEAD, POST, DELETE"));
	(void)http_response_header(out, "Access-Control-Allow-Headers",
	                           SLICE("Authorization, Content-Type, Last-Event-ID, "
	                                 "Cache-Control"));
	(void)http_response_header(out, "Access-Control-Max-Age", SLICE("600"));
}

static void write_head(struct buf *out, const struct exchange *exchange,
                       const struct http_response *response)
{
	http_response_head(out, response);
	(void)http_response_header(out, "X-Content-Type-Options", SLICE("nosniff"));
	exchange_cors(out, exchange);
}

void exchange_answer(struct edge *edge, struct conn *conn, const struct answer *answer)
{
	struct exchange *exchange = conn->exchange;
	CHECK(exchange != NULL);
	CHECK(exchange->is_head || !answer->is_unmade);
	if (conn->state == CONN_LIVE) {
		live_answered(edge, conn, answer->status, answer->body);
		return;
	}
	struct http_response response = {
		.status = answer->status,
		.date = date_now(edge),
		.content_type = answer->type.len > 0 ? answer->type : SLICE("application/json"),
		.body_len = answer->is_unmade ? HTTP_UNSAID : (int64_t)answer->body.len,
		.is_keep_alive = exchange->keeps_alive && !edge->is_stopping,
	};
	if (answer->status == 204 || answer->status == 304)
		response.content_type = slice_of(NULL, 0);
	struct buf head = {0};
	write_head(&head, exchange, &response);
	if (answer->header_name != NULL)
		(void)http_response_header(&head, answer->header_name, answer->header_value);
	if (answer->status == 426)
		(void)http_response_header(&head, "Upgrade", SLICE("websocket"));
	if (answer->status >= 400 || answer->type.len == 0)
		(void)http_response_header(&head, "Cache-Control", SLICE("no-store"));
	http_response_end(&head);
	if (!exchange->is_head)
		buf_slice(&head, answer->body);
	if (head.is_broken) {
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	} else {
		conn_write(edge, conn, buf_view(&head));
		access_log_answer(edge, conn, answer->status,
		                  exchange->is_head ? 0 : answer->body.len);
		exchange_over(edge, conn);
	}
	buf_free(&head);
}

void exchange_json(struct edge *edge, struct conn *conn, int status, struct slice body)
{
	struct answer answer = {.status = status, .body = body};
	exchange_answer(edge, conn, &answer);
}

void exchange_head(struct edge *edge, struct conn *conn, struct slice type)
{
	struct answer answer = {.status = 200, .type = type, .is_unmade = true};
	exchange_answer(edge, conn, &answer);
}

void exchange_made(struct edge *edge, struct conn *conn, struct buf *body)
{
	if (body->is_broken)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else
		exchange_json(edge, conn, 200, buf_view(body));
	buf_free(body);
}

/* Seconds, as Retry-After: spread, so that not all come back at once. */
static struct slice retry_after(struct edge *edge, char out[TEXT_U64_MAX])
{
	return slice_of(out, text_from_u64(out, 1 + random_below(&edge->random, 5)));
}

void exchange_refuse(struct edge *edge, struct conn *conn, enum error_code error,
                     const char *message)
{
	char seconds[TEXT_U64_MAX];
	struct buf body = {0};
	if (message == why_no_memory)
		error = ERROR_UNAVAILABLE;
	edge->errors[error]++;
	native_error(&body, error, message);
	struct answer answer = {.status = error_status(error), .body = buf_view(&body)};
	if (answer.status == 429 || answer.status == 503) {
		answer.header_name = "Retry-After";
		answer.header_value = retry_after(edge, seconds);
	} else if (answer.status == 401) {
		answer.header_name = "WWW-Authenticate";
		answer.header_value = SLICE("Bearer");
	} else if (answer.status == 426) {
		answer.header_name = "Sec-WebSocket-Version";
		answer.header_value = SLICE("13");
	}
	if (body.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else
		exchange_answer(edge, conn, &answer);
	buf_free(&body);
}

bool exchange_is_backend(struct edge *edge, struct conn *conn, const struct http_request *request)
{
	const char *why;
	if (conn->state == CONN_LIVE)
		return live_may_ask(edge, conn);
	enum error_code error = access_identify_backend(edge, conn, request, &why);
	if (error != ERROR_NONE)
		exchange_refuse(edge, conn, error, why);
	return error == ERROR_NONE;
}

void exchange_stream(struct edge *edge, struct conn *conn, struct slice type)
{
	struct http_response response = {
		.status = 200,
		.date = date_now(edge),
		.content_type = type,
		.body_len = HTTP_UNTIL_CLOSE,
	};
	struct buf head = {0};
	write_head(&head, conn->exchange, &response);
	(void)http_response_header(&head, "Cache-Control", SLICE("no-cache, no-transform"));
	(void)http_response_header(&head, "X-Accel-Buffering", SLICE("no"));
	http_response_end(&head);
	if (head.is_broken) {
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	} else {
		conn_write(edge, conn, buf_view(&head));
		access_log_answer(edge, conn, response.status, 0);
	}
	buf_free(&head);
}

/* The request cannot be read on from here: the answer is the last. */
static void refuse_and_close(struct edge *edge, struct conn *conn, enum error_code error,
                             int status, const char *message)
{
	conn->exchange->keeps_alive = false;
	if (status == error_status(error)) {
		exchange_refuse(edge, conn, error, message);
		return;
	}
	struct buf body = {0};
	edge->errors[error]++;
	native_error(&body, error, message);
	if (body.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else
		exchange_json(edge, conn, status, buf_view(&body));
	buf_free(&body);
}

void exchange_refuse_plain(struct edge *edge, struct conn *conn)
{
	if (exchange_of(edge, conn) != NULL)
		refuse_and_close(edge, conn, ERROR_BAD_REQUEST, 400,
		                 "TLS is spoken here: https:// and wss://");
}

/* ---- carrying out ---- */

/* Waits for the registry's answers, its request put aside. */
static bool is_put_aside(const struct conn *conn)
{
	return conn->state == CONN_ANSWER && conn->exchange != NULL && conn->exchange->is_put_aside;
}

/* The request that was read last, which lies at `head`. */
static void dispatch(struct edge *edge, struct conn *conn, struct slice head, struct slice body)
{
	const struct http_request *request = &edge->request;
	struct exchange *exchange = conn->exchange;
	exchange->keeps_alive = request->is_keep_alive && !edge_is_crowded(edge);
	exchange->is_head = request->method == HTTP_HEAD;
	conn_enter(edge, conn, CONN_ANSWER);
	route_request(edge, conn, request, body);
	if (!is_put_aside(conn))
		return;
	buf_slice(&exchange->head, head);
	if (exchange->head.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
}

/* Reads a head again that was kept in `head`. */
static void parse_again(struct edge *edge, const struct exchange *exchange, const struct buf *head)
{
	struct http_limits limits = {exchange->header_bytes_max, exchange->header_bytes_max};
	http_request_begin(&edge->request);
	enum http_parse parsed = http_request_parse(&edge->request, head->at, head->len, &limits);
	CHECK(parsed == HTTP_DONE);
}

/* The registry has answered: the request is carried out anew. Those that are put aside have no
 * body that anybody looks at. */
static void take_up(struct edge *edge, struct conn *conn)
{
	struct exchange *exchange = conn->exchange;
	struct buf head = {0};
	buf_swap(&head, &exchange->head);
	parse_again(edge, exchange, &head);
	exchange->is_put_aside = false;
	route_request(edge, conn, &edge->request, slice_of(NULL, 0));
	if (is_put_aside(conn)) /* for a limit that is new */
		buf_swap(&head, &exchange->head);
	buf_free(&head);
}

/* Has the request a token, and nobody the time to verify it now? Then it is left as it came, and
 * read again when its turn has come. `is_kept`: its head is, while its body comes. */
static bool waits_for_proof(struct edge *edge, struct conn *conn, bool is_kept)
{
	if (edge_may_prove(edge))
		return false;
	if (is_kept)
		parse_again(edge, conn->exchange, &conn->exchange->head);
	if (!route_takes_token(&edge->request) || !access_needs_proof(edge, &edge->request))
		return false;
	conn_prove_later(edge, conn);
	return true;
}

/* Before the body comes: is it wanted? */
static bool may_send_body(struct edge *edge, struct conn *conn, const struct http_request *request)
{
	struct exchange *exchange = conn->exchange;
	exchange->body_max = route_body_max(edge, request);
	exchange->is_head = request->method == HTTP_HEAD;
	if (request->framing == HTTP_LENGTH && request->content_length > exchange->body_max) {
		exchange_set_origin(edge, conn, request);
		refuse_and_close(edge, conn, ERROR_TOO_LARGE, 413, "the body is too large");
		return false;
	}
	return true;
}

/* One that is still to come, and would be kept: nobody without a key may have us do that. */
static bool may_have_body_kept(struct edge *edge, struct conn *conn,
                               const struct http_request *request)
{
	const char *why;
	if (!route_is_for_backends(request))
		return true;
	enum error_code error = access_identify_backend(edge, conn, request, &why);
	if (error == ERROR_NONE)
		return true;
	refuse_and_close(edge, conn, error, error_status(error), why);
	return false;
}

static const struct {
	int status;
	enum error_code error;
} head_faults[] = {
	{414, ERROR_URI_TOO_LONG},
	{431, ERROR_HEADER_TOO_LARGE},
};

static void refuse_head(struct edge *edge, struct conn *conn, const struct http_request *request)
{
	enum error_code error = ERROR_BAD_REQUEST;
	for (size_t i = 0; i < COUNT_OF(head_faults); i++) {
		if (head_faults[i].status == request->status)
			error = head_faults[i].error;
	}
	conn->exchange->reason = CLOSE_BAD_HTTP;
	refuse_and_close(edge, conn, error, request->status, request->why);
}

static void refuse_body(struct edge *edge, struct conn *conn)
{
	conn->exchange->reason = CLOSE_BAD_HTTP;
	refuse_and_close(edge, conn, ERROR_BAD_REQUEST, 400, conn->exchange->framing.why);
}

/* With what is still to come, as far as that is known: a chunk says how long it is before it comes,
 * and may say anything that 64 bits hold. */
static bool body_is_too_large(const struct exchange *exchange)
{
	uint64_t left = exchange->framing.left, most = exchange->body_max;
	return left > most || exchange->body.len > most - left;
}

/* A body piece by piece, from `at`. Gives how many bytes were used. When it is whole it lies
 * in exchange->body. */
static size_t read_body(struct edge *edge, struct conn *conn, const char *at, size_t len,
                        bool *is_whole)
{
	struct exchange *exchange = conn->exchange;
	size_t total = 0, used;
	struct slice piece;
	enum body_answer got;
	*is_whole = false;
	while ((got = body_read(&exchange->framing, at + total, len - total, &used, &piece)) ==
	       BODY_PIECE) {
		total += used;
		buf_slice(&exchange->body, piece);
		if (body_is_too_large(exchange))
			break;
	}
	if (got != BODY_PIECE)
		total += used;
	if (body_is_too_large(exchange))
		refuse_and_close(edge, conn, ERROR_TOO_LARGE, 413, "the body is too large");
	else if (got == BODY_BAD)
		refuse_body(edge, conn);
	else if (exchange->body.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else
		*is_whole = got == BODY_DONE;
	return total;
}

/* The head lies in exchange->head now: it is read again there, since it has moved. */
static void dispatch_collected(struct edge *edge, struct conn *conn)
{
	struct exchange *exchange = conn->exchange;
	struct buf head = {0}, body = {0};
	buf_swap(&head, &exchange->head);
	buf_swap(&body, &exchange->body);
	parse_again(edge, exchange, &head);
	dispatch(edge, conn, buf_view(&head), buf_view(&body));
	buf_free(&head);
	buf_free(&body);
}

/* The same for a body that is published as it comes. */
static size_t step_stream(struct edge *edge, struct conn *conn, const char *at, size_t len)
{
	struct exchange *exchange = conn->exchange;
	const struct work_kind *work_kind = exchange->work_kind;
	size_t total = 0, used;
	struct slice piece;
	enum body_answer got = BODY_PIECE;
	len = len < STREAM_STEP_BYTES ? len : STREAM_STEP_BYTES;
	conn->is_served = len == STREAM_STEP_BYTES;
	/* Tokens may be long in coming: the time-out is of each piece. */
	conn_wait_anew(edge, conn);
	while (got == BODY_PIECE && !work_kind->is_whole(exchange->work)) {
		got = body_read(&exchange->framing, at + total, len - total, &used, &piece);
		total += used;
		if (got == BODY_PIECE)
			work_kind->piece(edge, conn, piece);
	}
	if (got == BODY_BAD) {
		refuse_body(edge, conn);
	} else if (got == BODY_DONE || work_kind->is_whole(exchange->work)) {
		conn_enter(edge, conn, CONN_ANSWER);
		work_kind->end(edge, conn);
	}
	return total;
}

/* Its handler looks at the head, and makes the stream or refuses. The answer is the last on its
 * connection: how much of the body will have been read then cannot be said. */
static size_t begin_stream(struct edge *edge, struct conn *conn)
{
	struct exchange *exchange = conn->exchange;
	const struct http_request *request = &edge->request;
	size_t used = request->head_bytes;
	body_begin(&exchange->framing, request->framing, request->content_length);
	conn_enter(edge, conn, CONN_FEED);
	route_request(edge, conn, request, slice_of(NULL, 0));
	if (!conn->session.is_ended && request->expects_continue)
		conn_write(edge, conn, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
	bool is_empty = request->framing == HTTP_NO_BODY ||
	                (request->framing == HTTP_LENGTH && request->content_length == 0);
	if (!conn->session.is_ended && is_empty) {
		conn_enter(edge, conn, CONN_ANSWER);
		conn->exchange->work_kind->end(edge, conn);
	}
	return used;
}

static size_t step_body(struct edge *edge, struct conn *conn, const char *at, size_t len)
{
	bool is_whole;
	size_t used = read_body(edge, conn, at, len, &is_whole);
	if (is_whole)
		dispatch_collected(edge, conn);
	return used;
}

/* A whole head at `at`. The body may be there too, and then nothing needs to be copied. */
static size_t step_whole_head(struct edge *edge, struct conn *conn, const char *at, size_t len)
{
	struct exchange *exchange = conn->exchange;
	const struct http_request *request = &edge->request;
	access_log_begin(edge, conn, request);
	conn->session.is_publisher = false; /* what it was read for is the one before */
	if (!may_send_body(edge, conn, request))
		return len;
	if (route_is_stream(request))
		return begin_stream(edge, conn);

	size_t used = request->head_bytes;
	bool is_here = request->framing == HTTP_NO_BODY ||
	               (request->framing == HTTP_LENGTH && request->content_length <= len - used);
	if (is_here) {
		size_t body_len = request->framing == HTTP_LENGTH ? request->content_length : 0;
		dispatch(edge, conn, slice_of(at, used), slice_of(at + used, body_len));
		return used + body_len;
	}
	exchange_set_origin(edge, conn, request); /* for what its body may be refused with */
	if (!may_have_body_kept(edge, conn, request))
		return len;
	buf_append(&exchange->head, at, used);
	if (exchange->head.is_broken) {
		conn_end(edge, conn, CLOSE_NO_MEMORY);
		return len;
	}
	body_begin(&exchange->framing, request->framing, request->content_length);
	conn_enter(edge, conn, CONN_BODY);
	if (request->expects_continue && len == used)
		conn_write(edge, conn, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
	return used;
}

/* Takes one step; gives the bytes used, 0 when more must come first, or it must wait. */
static size_t step(struct edge *edge, struct conn *conn, const char *at, size_t len)
{
	struct exchange *exchange = conn->exchange;
	if (conn->state == CONN_BODY)
		return waits_for_proof(edge, conn, true) ? 0 : step_body(edge, conn, at, len);
	if (conn->state == CONN_FEED)
		return step_stream(edge, conn, at, len);
	if (conn->state == CONN_IDLE || conn->state == CONN_ACCEPTED)
		conn_enter(edge, conn, CONN_HEAD);
	struct http_limits limits = {exchange->header_bytes_max, exchange->header_bytes_max};
	http_request_resume(&edge->request, &exchange->scan);
	switch (http_request_parse(&edge->request, at, len, &limits)) {
	case HTTP_MORE:
		exchange->scan = edge->request.scan;
		return 0;
	case HTTP_BAD:
		refuse_head(edge, conn, &edge->request);
		return len;
	case HTTP_DONE:
		break;
	}
	return waits_for_proof(edge, conn, false) ? 0 : step_whole_head(edge, conn, at, len);
}

/* ---- the transport ---- */

/* The same, and how many it has taken in this turn, and all others: where these are enough, the
 * rest of them wait for the next one. */
static size_t step_counted(struct edge *edge, struct conn *conn, const char *at, size_t len,
                           unsigned *taken)
{
	edge->turn_requests++;
	if (++*taken == TURN_REQUESTS_MAX || edge->turn_requests > TURN_REQUESTS_ALL)
		conn->is_served = true;
	return step(edge, conn, at, len);
}

static bool takes_requests(struct edge *edge, struct conn *conn)
{
	return conn->transport == &transport_http && conn_may_read(edge, conn) &&
	       exchange_of(edge, conn) != NULL;
}

/* `bytes` are all that came and was not used. What is still not is kept, or goes to whom the
 * connection was handed over: a WebSocket's first frames may come with its handshake. */
static void use_input(struct edge *edge, struct conn *conn, struct buf *bytes)
{
	unsigned taken = 0;
	while (bytes->len > 0 && takes_requests(edge, conn)) {
		size_t used = step_counted(edge, conn, bytes->at, bytes->len, &taken);
		if (used == 0)
			break;
		buf_use(bytes, used);
	}
	if (bytes->len == 0 || conn->session.is_ended)
		return;
	if (conn->transport != &transport_http)
		conn->transport->input(edge, conn, bytes->at, bytes->len);
	else if (exchange_of(edge, conn) != NULL)
		buf_swap(bytes, &conn->exchange->held);
}

static void http_input(struct edge *edge, struct conn *conn, char *bytes, size_t len)
{
	/* Nothing is kept from before: what can be used is, where it lies. */
	bool has_held = conn->exchange != NULL && conn->exchange->held.len > 0;
	struct buf all = {0};
	unsigned taken = 0;
	if (has_held)
		conn_heard(edge, conn);
	if (is_put_aside(conn) && !registry_asks(edge, conn)) {
		buf_swap(&all, &conn->exchange->held);
		take_up(edge, conn);
		use_input(edge, conn, &all);
		buf_free(&all);
		return;
	}
	while (!has_held && len > 0 && takes_requests(edge, conn)) {
		size_t used = step_counted(edge, conn, bytes, len, &taken);
		if (used == 0)
			break;
		bytes += used;
		len -= used;
	}
	if (conn->session.is_ended || (len == 0 && !has_held))
		return;

	if (has_held)
		buf_swap(&all, &conn->exchange->held);
	buf_append(&all, bytes, len);
	if (all.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else
		use_input(edge, conn, &all);
	buf_free(&all);
}

void exchange_event(struct edge *edge, struct conn *conn, const struct hub_event *event)
{
	struct buf body = {0};
	const struct work_kind *work_kind = conn->exchange->work_kind;
	if (work_kind != NULL && work_kind->event != NULL) {
		work_kind->event(edge, conn, event);
		return;
	}
	switch (event->type) {
	case EVENT_ACK:
		native_ack(&body, event);
		break;
	case EVENT_HISTORY:
		native_history(&body, event);
		break;
	default:
		CHECK(event->type == EVENT_ERROR);
		exchange_refuse(edge, conn, event->error, event->message);
		return;
	}
	exchange_made(edge, conn, &body);
}

size_t exchange_deliver(struct edge *edge, struct conn *conn, const struct delivery *delivery)
{
	(void)edge;
	(void)conn;
	(void)delivery;
	CHECK(false); /* a request follows nothing; polls have a transport of their own */
	return 0;
}

static void http_timer(struct edge *edge, struct conn *conn)
{
	if (conn->is_waiting) { /* it may have said what it has to; it was not looked at */
		conn_wait_anew(edge, conn);
		return;
	}
	switch ((enum conn_state)conn->state) {
	case CONN_IDLE:
		conn_end(edge, conn, CLOSE_IDLE);
		break;
	case CONN_ACCEPTED:
		conn_end(edge, conn, CLOSE_HEADER_TIMEOUT);
		break;
	default:
		CHECK(conn->state == CONN_HEAD || conn->state == CONN_BODY ||
		      conn->state == CONN_FEED);
		conn->exchange->reason = CLOSE_HEADER_TIMEOUT;
		refuse_and_close(edge, conn, ERROR_TIMEOUT, 408,
		                 "the request did not arrive in time");
	}
}

static bool http_goodbye(struct edge *edge, struct conn *conn)
{
	(void)edge;
	exchange_free(conn);
	return conn->reason != CLOSE_GONE && conn->reason != CLOSE_NO_MEMORY;
}

const struct transport transport_http = {
	.name = "http",
	.client = EDGE_HTTP,
	.input = http_input,
	.event = exchange_event,
	.deliver = exchange_deliver,
	.timer = http_timer,
	.goodbye = http_goodbye,
};
