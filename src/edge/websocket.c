/*
 * WebSocket: frames on one side, the dialect's messages on the other (RFC 6455). And /echo,
 * which sends back what it gets.
 *
 * Between messages a connection owns nothing: the reader in `struct socket_input` exists
 * only while a message has come in part, or while input waits because the client asked for
 * more than it took answers for.
 */
#include <stdlib.h>

#include "dialect/native.h"
#include "edge/access.h"
#include "edge/access_log.h"
#include "edge/exchange.h"
#include "edge/registry.h"
#include "edge/route.h"
#include "edge/websocket.h"
#include "wire/ws_handshake.h"

#define RECONNECT_MS_MAX 5000
#define RESUME_EXTRA_MAX 256 /* channels of a `resume`, above channels_per_connection */

/* ---- handshake: RFC 6455 section 4.2 ---- */

static const char *const why_426 = "this path speaks WebSocket: Upgrade: websocket, version 13";

static bool offers(const struct http_request *request, const char *protocol)
{
	const struct slice *header = http_request_header(request, "sec-websocket-protocol");
	return header != NULL &&
	       http_request_has_token(request, "sec-websocket-protocol", protocol);
}

/* ERROR_NONE, or what the handshake lacks. */
static enum error_code check_handshake(const struct http_request *request, struct slice body,
                                       const char **why)
{
	const struct slice *version = http_request_header(request, "sec-websocket-version");
	const struct slice *key = http_request_header(request, "sec-websocket-key");
	*why = why_426;
	if (request->method != HTTP_GET || request->version_minor < 1 ||
	    !http_request_has_token(request, "upgrade", "websocket") ||
	    !http_request_has_token(request, "connection", "upgrade"))
		return ERROR_UPGRADE_REQUIRED;
	if (version == NULL || !slice_is(*version, "13") ||
	    http_request_header_count(request, "sec-websocket-version") != 1)
		return ERROR_UPGRADE_REQUIRED;
	*why = "Sec-WebSocket-Key is not one value of 16 bytes in base64";
	if (key == NULL || http_request_header_count(request, "sec-websocket-key") != 1 ||
	    !ws_key_is_valid(*key))
		return ERROR_BAD_REQUEST;
	*why = "a handshake has no body";
	return body.len > 0 ? ERROR_BAD_REQUEST : ERROR_NONE;
}

static bool write_handshake(struct edge *edge, struct conn *conn,
                            const struct http_request *request, const char *protocol)
{
	char accept[WS_ACCEPT_LEN];
	if (!ws_accept_key(accept, *http_request_header(request, "sec-websocket-key")))
		return false;
	struct http_response response = {.status = 101, .is_keep_alive = true};
	struct buf head = {0};
	http_response_head(&head, &response);
	(void)http_response_header(&head, "Upgrade", SLICE("websocket"));
	(void)http_response_header(&head, "Connection", SLICE("Upgrade"));
	(void)http_response_header(&head, "Sec-WebSocket-Accept", slice_of(accept, sizeof(accept)));
	if (protocol != NULL && offers(request, protocol))
		(void)http_response_header(&head, "Sec-WebSocket-Protocol", slice_string(protocol));
	http_response_end(&head);
	bool is_good = !head.is_broken;
	if (is_good)
		conn_write(edge, conn, buf_view(&head));
	buf_free(&head);
	return is_good;
}

/* The frames that came with the handshake are kept by http_input(), which hands them over. */
static bool upgrade(struct edge *edge, struct conn *conn, const struct http_request *request,
                    const char *protocol, const struct transport *transport)
{
	if (!write_handshake(edge, conn, request, protocol)) {
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
		return false;
	}
	struct buf rest;
	access_log_answer(edge, conn, 101, 0);
	exchange_leave(conn, &rest);
	CHECK(rest.len == 0);
	conn_set_transport(edge, conn, transport);
	conn_enter(edge, conn, CONN_SOCKET);
	return true;
}

static void welcome(struct edge *edge, struct conn *conn)
{
	char id[CONN_ID_MAX];
	struct hub_event event = {
		.type = EVENT_WELCOME,
		.connection = slice_of(id, conn_id(edge, conn, id)),
		.node = slice_string(edge->options.node->name),
		.user = session_user(&conn->session),
		.heartbeat_s = (edge->settings->heartbeat_interval_ms + 999) / 1000,
	};
	conn->transport->event(edge, conn, &event);
}

/* Is there room for one more? */
static enum error_code enter(struct edge *edge, struct conn *conn, const char **why)
{
	*why = "this node is going down";
	return edge->is_draining ? ERROR_DRAINING : registry_enter(edge, conn, why);
}

void websocket_open(struct edge *edge, struct conn *conn, const struct http_request *request,
                    struct slice body)
{
	const char *why;
	enum error_code error = check_handshake(request, body, &why);
	if (error == ERROR_NONE)
		error = enter(edge, conn, &why);
	if (error == ERROR_NONE)
		error = access_identify(edge, conn, request, &why);
	if (error == ERROR_NONE)
		error = registry_sit(edge, conn, request, &why);
	if (error != ERROR_NONE)
		exchange_refuse(edge, conn, error, why);
	else if (conn->exchange->is_put_aside)
		return;
	else if (upgrade(edge, conn, request, native.name, &transport_websocket))
		welcome(edge, conn);
}

void echo_open(struct edge *edge, struct conn *conn, const struct http_request *request,
               struct slice body)
{
	const char *why = "there is nothing at this path";
	enum error_code error = ERROR_NOT_FOUND;
	if (edge->settings->has_echo || edge->settings->is_open)
		error = check_handshake(request, body, &why);
	if (error == ERROR_NONE)
		error = enter(edge, conn, &why);
	if (error == ERROR_NONE)
		error = registry_sit(edge, conn, request, &why);
	if (error != ERROR_NONE)
		exchange_refuse(edge, conn, error, why);
	else if (!conn->exchange->is_put_aside)
		upgrade(edge, conn, request, NULL, &transport_echo);
}

/* ---- frames out ---- */

static void write_frame(struct edge *edge, struct conn *conn, enum ws_opcode opcode,
                        struct slice payload)
{
	char head[WS_SERVER_HEAD_MAX];
	conn_write(edge, conn, slice_of(head, ws_head(head, opcode, payload.len)));
	conn_write(edge, conn, payload);
}

static void websocket_event(struct edge *edge, struct conn *conn, const struct hub_event *event)
{
	struct buf message = {0};
	if (event->type == EVENT_ERROR)
		edge->errors[event->error]++;
	native.write(&message, event);
	if (message.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else
		write_frame(edge, conn, WS_OPCODE_TEXT, buf_view(&message));
	buf_free(&message);
}

static size_t websocket_deliver(struct edge *edge, struct conn *conn,
                                const struct delivery *delivery)
{
	struct burst_bytes *burst = &edge->burst;
	if (!burst_prepare(burst, delivery, &native.websocket)) {
		conn_end(edge, conn, CLOSE_NO_MEMORY);
		return 0;
	}
	return conn_write_parts(edge, conn, burst->parts, burst->frames, delivery->count);
}

/* ---- messages in ---- */

static void refuse_part(struct edge *edge, struct conn *conn, const struct dialect_fault *fault)
{
	struct hub_event event = {.type = EVENT_ERROR,
	                          .ref = fault->ref,
	                          .channel = fault->channel,
	                          .error = fault->error,
	                          .message = fault->message};
	websocket_event(edge, conn, &event);
}

/* Of a message: all that was not read of it. */
static void refuse_rest(struct edge *edge, struct conn *conn)
{
	struct dialect_fault fault = {.ref = edge->reader.ref,
	                              .error = ERROR_TOO_MANY_CHANNELS,
	                              .message = "the rest of them is not looked at: far more than "
	                                         "limits.channels_per_connection"};
	refuse_part(edge, conn, &fault);
}

/* Another token: it may allow less, and hold for a shorter or a longer time. */
static void refresh(struct edge *edge, struct conn *conn, const struct hub_command *command)
{
	struct hub_event event = {.type = EVENT_ACK, .ref = command->ref};
	event.error = access_refresh(edge, conn, command->token, &event.message);
	if (event.error != ERROR_NONE)
		event.type = EVENT_ERROR;
	websocket_event(edge, conn, &event);
	if (event.error != ERROR_NONE)
		return;
	registry_name(edge, conn);
	if (conn->session.is_ended)
		return;
	hub_review(edge->hub, &conn->session);
	if (!conn->session.is_ended)
		conn_set_timer(edge, conn, edge->settings->heartbeat_interval_ms);
}

/* A token is verified at once; where a turn has no time for more, what comes behind it waits. */
static void take_command(struct edge *edge, struct conn *conn, const struct hub_command *command)
{
	if (command->type != COMMAND_AUTH) {
		hub_execute(edge->hub, &conn->session, command);
		return;
	}
	refresh(edge, conn, command);
	if (!conn->session.is_ended && !edge_may_prove(edge))
		conn_prove_later(edge, conn);
}

/* A `resume` has a part for each channel. What goes far beyond what a client may follow is refused
 * together: each answer is larger than what asks for it. */
static void take_commands(struct edge *edge, struct conn *conn, struct slice message,
                          bool is_binary)
{
	struct hub_command command;
	struct dialect_fault fault;
	uint32_t left = edge->settings->channels_max + RESUME_EXTRA_MAX;
	dialect_begin(&edge->reader, message, is_binary);
	while (!conn->session.is_ended) {
		enum dialect_result result = native.read(&edge->reader, &command, &fault);
		if (left-- == 0 && result != DIALECT_END) {
			refuse_rest(edge, conn);
			return;
		}
		switch (result) {
		case DIALECT_COMMAND:
			take_command(edge, conn, &command);
			break;
		case DIALECT_FAULT:
			refuse_part(edge, conn, &fault);
			break;
		case DIALECT_END:
			return;
		}
	}
}

/* Over limits.message_rate: read for its `ref`, answered once, and not carried out. */
static void refuse_message(struct edge *edge, struct conn *conn, struct slice message,
                           bool is_binary)
{
	struct hub_command command;
	struct dialect_fault fault;
	dialect_begin(&edge->reader, message, is_binary);
	(void)native.read(&edge->reader, &command, &fault);
	fault = (struct dialect_fault){.ref = edge->reader.ref,
	                               .error = ERROR_RATE_LIMITED,
	                               .message = "more messages than limits.message_rate allows"};
	refuse_part(edge, conn, &fault);
}

/* A frame that counts as a message: all but a close. False: it is one too many. */
static bool may_say(struct edge *edge, struct conn *conn)
{
	if (conn->transport == &transport_echo || conn_may_say(edge, conn))
		return true;
	if (rate_is_hopeless(&conn->rate))
		conn_end(edge, conn, CLOSE_RATE_LIMITED);
	return false;
}

static void take_message(struct edge *edge, struct conn *conn, enum ws_result kind,
                         struct slice payload)
{
	bool is_binary = kind == WS_BINARY;
	if (conn->transport == &transport_echo)
		write_frame(edge, conn, is_binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT, payload);
	else if (may_say(edge, conn))
		take_commands(edge, conn, payload, is_binary);
	else
		refuse_message(edge, conn, payload, is_binary);
}

static void write_close(struct edge *edge, struct conn *conn, uint16_t code, struct slice reason)
{
	struct buf frame = {0};
	ws_close_append(&frame, code, reason);
	if (!frame.is_broken)
		conn_write(edge, conn, buf_view(&frame));
	buf_free(&frame);
}

static enum close_reason reason_of(uint16_t close_code)
{
	switch (close_code) {
	case WS_CLOSE_NOT_TEXT:
		return CLOSE_NOT_TEXT;
	case WS_CLOSE_TOO_LARGE:
		return CLOSE_TOO_LARGE;
	case WS_CLOSE_FAILED:
		return CLOSE_NO_MEMORY;
	default:
		return CLOSE_PROTOCOL;
	}
}

static void take_result(struct edge *edge, struct conn *conn, enum ws_result result,
                        const struct ws_message *message)
{
	switch (result) {
	case WS_MORE:
		break;
	case WS_PONG:
		(void)may_say(edge, conn);
		break;
	case WS_TEXT:
	case WS_BINARY:
		take_message(edge, conn, result, message->payload);
		break;
	case WS_PING:
		/* One that is answered later may stand for those before it (section 5.5.3). */
		if (may_say(edge, conn))
			write_frame(edge, conn, WS_OPCODE_PONG, message->payload);
		break;
	case WS_CLOSE:
		write_close(edge, conn, message->close_code, slice_of(NULL, 0));
		/* A page that is left or loaded anew says 1001: its user may be back in a moment.
		 */
		if (message->close_code == WS_CLOSE_NORMAL || message->close_code == WS_CLOSE_NONE)
			conn->session.parting = PARTING_LEFT;
		conn_end(edge, conn, CLOSE_CLIENT);
		break;
	case WS_BAD:
		write_close(edge, conn, message->close_code, message->payload);
		conn_end(edge, conn, reason_of(message->close_code));
		break;
	}
}

/* Reads frames until the input is used up or the client has to wait; gives the bytes used. */
static size_t read_frames(struct edge *edge, struct conn *conn, struct ws_reader *reader,
                          char *bytes, size_t len)
{
	size_t total = 0, used;
	struct ws_message message;
	while (total < len && conn_may_read(edge, conn)) {
		enum ws_result result = ws_read(reader, bytes + total, len - total,
		                                edge->settings->message_bytes_max, &used, &message);
		total += used;
		take_result(edge, conn, result, &message);
	}
	return conn->session.is_ended ? len : total;
}

static void input_free(struct conn *conn)
{
	if (conn->socket == NULL)
		return;
	ws_reader_free(&conn->socket->reader);
	buf_free(&conn->socket->held);
	free(conn->socket);
	conn->socket = NULL;
}

/* Puts away what must outlive this call; nothing, most of the time. */
static void keep_input(struct edge *edge, struct conn *conn, struct ws_reader *reader,
                       const char *rest, size_t len)
{
	if (ws_reader_is_at_rest(reader) && len == 0) {
		ws_reader_free(reader);
		input_free(conn);
		return;
	}
	if (conn->socket == NULL)
		conn->socket = calloc(1, sizeof(*conn->socket));
	if (conn->socket == NULL) {
		ws_reader_free(reader);
		conn_end(edge, conn, CLOSE_NO_MEMORY);
		return;
	}
	conn->socket->reader = *reader;
	buf_append(&conn->socket->held, rest, len);
	if (conn->socket->held.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
}

static void websocket_input(struct edge *edge, struct conn *conn, char *bytes, size_t len)
{
	struct ws_reader reader = {0};
	struct buf held = {0};
	if (conn->socket != NULL) {
		/* They move out, to be worked on, and back in when they are still needed. */
		reader = conn->socket->reader;
		conn->socket->reader = (struct ws_reader){0};
		buf_swap(&held, &conn->socket->held);
	}
	if (held.len > 0) {
		conn_heard(edge, conn);
		buf_append(&held, bytes, len);
		bytes = held.at;
		len = held.len;
	}
	size_t used = 0;
	if (held.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else if (len > 0)
		used = read_frames(edge, conn, &reader, bytes, len);
	if (conn->session.is_ended) {
		ws_reader_free(&reader);
		input_free(conn);
	} else {
		keep_input(edge, conn, &reader, bytes + used, len - used);
	}
	buf_free(&held);
}

/* ---- time, and the end ---- */

static void websocket_timer(struct edge *edge, struct conn *conn)
{
	char head[WS_SERVER_HEAD_MAX];
	conn_heartbeat(edge, conn, slice_of(head, ws_head(head, WS_OPCODE_PING, 0)), true);
}

/* Some time from now, each at another, so that not all come back at once. */
static void say_reconnect(struct edge *edge, struct conn *conn)
{
	struct hub_event event = {.type = EVENT_RECONNECT,
	                          .after_ms = random_below(&edge->random, RECONNECT_MS_MAX)};
	websocket_event(edge, conn, &event);
}

static bool websocket_goodbye(struct edge *edge, struct conn *conn)
{
	static const struct {
		uint16_t code;
		const char *reason;
	} words[] = {
#define CLOSE(name, code, reason, sentence) {code, reason},
#include "starling/close.def"
#undef CLOSE
	};
	input_free(conn);
	enum close_reason reason = conn->reason;
	if (words[reason].code == 0)
		return false;
	/* Those were answered where they were found, with the code and text that fit. */
	bool is_said = reason == CLOSE_CLIENT || reason == CLOSE_PROTOCOL ||
	               reason == CLOSE_NOT_TEXT || reason == CLOSE_TOO_LARGE;
	if (!is_said && conn_out(conn) != NULL)
		return false; /* no frame fits behind half a frame that is stuck */
	if (reason == CLOSE_DRAIN && conn->transport == &transport_websocket)
		say_reconnect(edge, conn);
	if (!is_said)
		write_close(edge, conn, words[reason].code, slice_string(words[reason].reason));
	return true;
}

const struct transport transport_websocket = {
	.name = "websocket",
	.client = EDGE_WEBSOCKET,
	.input = websocket_input,
	.event = websocket_event,
	.deliver = websocket_deliver,
	.timer = websocket_timer,
	.goodbye = websocket_goodbye,
};

const struct transport transport_echo = {
	.name = "echo",
	.client = EDGE_WEBSOCKET,
	.input = websocket_input,
	.event = websocket_event,
	.deliver = websocket_deliver,
	.timer = websocket_timer,
	.goodbye = websocket_goodbye,
};
