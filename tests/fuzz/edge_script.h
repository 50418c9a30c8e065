/*
 * edge_script.h - what a few clients do to the edge of a worker, over real sockets, from a script.
 *
 * Its first two bytes pick the settings. Then steps, each a turn of the worker: a byte whose upper
 * half says what (enum step) and whose lower two bits which client, and what that needs: mostly a
 * length and so many bytes. With the third bit (MUCH) it is said many times. There are requests and
 * frames as they should be, so that much gets past the parsers, and bytes as they are. The clock is
 * the script's.
 *
 * Whatever was asked, what clients hear is HTTP, and behind 101 frames, each text of them JSON;
 * nothing comes behind the answer or the frame that is the last one. After each turn what is kept
 * of a client, and for it, is within the limits. And when all have gone nothing of them is left.
 *
 * What else there is beside clients is the target's: struct script_world.
 */
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../unit/edge/edge_up.h"
#include "base/text.h"
#include "edge/access.h"
#include "edge/conn.h"
#include "edge/exchange.h"
#include "edge/peer.h"
#include "edge/websocket.h"
#include "http/answer.h"
#include "http/body.h"
#include "hub/channel.h"
#include "wire/json.h"
#include "wire/ws_client.h"

#define CLIENTS 4
#define INPUT_MAX 2048
#define HEARD_MAX (1u << 20) /* of one client; then it hears no more */
#define LAST_TURNS 100
#define MUCH 4
#define MUCH_TIMES 200
#define SOCKET_BYTES 4096 /* that a client's socket takes and it has not read, SET_SMALL */
/* Bytes of what any request here is answered with: pages that show each worker are the longest. */
#define ANSWER_MAX (100000u + 2000u * world->workers)
#define UNASKED_MAX INPUT_MAX /* bytes of a message of others */
#define API_KEY "key"
#define SECRET "the secret that tokens are signed with"

/* NULL: nothing. */
struct script_world {
	uint32_t workers;                   /* of which this is the first, and the only one here */
	struct hub_cluster *(*begin)(void); /* before there is an edge */
	void (*ready)(void);                /* behind that */
	void (*step)(unsigned what, uint8_t which); /* 0: STEP_OWN, and so on; three lower bits */
	void (*timer)(struct timer *timer);         /* of the kind SCRIPT_TIMER_OWN */
	void (*turn)(void), (*flush)(void); /* before the edge's part of a turn, and behind it */
	void (*end)(void);                  /* the edge is gone, the loop is not */
};

#define SCRIPT_TIMER_OWN 1000
#define SCRIPT_MESHER 1 /* in the post office, beside the worker */

enum step {
	STEP_SAY = 0, /* bytes */
	STEP_ASK,     /* which request, enum with, bytes of a query, bytes of a body */
	STEP_TELL,    /* a frame: its first byte, bytes of payload */
	STEP_COMMAND, /* which message */
	STEP_WAIT,    /* so long: the square of the byte, in ms */
	STEP_DEAF,    /* it reads no more, or again */
	STEP_SHUT,    /* it will say no more */
	STEP_CLOSE,
	STEP_ADOPT, /* other settings: a byte */
	STEP_DRAIN,
	STEP_STOP,
	STEP_OWN,
};

/* ---- time ---- */

static struct {
	bool is_set;
	uint64_t us;
} clock_now;

/* libFuzzer looks at the clock in its handler of SIGALRM. */
static bool is_in_alarm(void)
{
	sigset_t blocked;
	return pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 &&
	       sigismember(&blocked, SIGALRM) == 1;
}

/* The worker's time, while there is one. */
int clock_gettime(clockid_t which, struct timespec *now)
{
	if (!clock_now.is_set || is_in_alarm())
		return (int)syscall(SYS_clock_gettime, which, now);
	uint64_t us = clock_now.us + (which == CLOCK_REALTIME ? 1700000000000000ull : 0);
	*now = (struct timespec){.tv_sec = (time_t)(us / 1000000),
	                         .tv_nsec = (long)(us % 1000000 * 1000)};
	return 0;
}

/* ---- the worker ---- */

static const struct script_world *world;
static bool wants_drain;

static void post(struct edge_up *from, uint32_t worker, const struct hub_mail *mail)
{
	if (worker == 0)
		up_post(from, worker, mail);
	else
		hub_mail_discard(mail);
}

/* Another worker knows nothing, and has place for everybody. */
static void answer(uint32_t worker, struct edge_mail *mail)
{
	mail->from = worker;
	mail->is_answer = true;
	if (mail->about == EDGE_ABOUT_REGISTRY) {
		mail->registry.type = REGISTRY_ANSWER;
		mail->registry.answer = TALLY_TAKEN;
		mail->registry.place = (struct slab_handle){0, 1};
	}
}

static void post_edge(struct edge_up *from, uint32_t worker, const struct edge_mail *mail)
{
	struct edge_mail letter = *mail;
	if (worker != 0 && mail->about == EDGE_ABOUT_REGISTRY &&
	    mail->registry.type == REGISTRY_LEAVE)
		return;
	if (worker != 0)
		answer(worker, &letter);
	up_post_edge(from, 0, &letter);
}

static void drain(struct edge_up *from)
{
	(void)from;
	wants_drain = true;
}

static void read_line(struct edge_up *from, const struct edge_line *line)
{
	const struct slice parts[] = {line->method, line->path, line->transport,
	                              line->reason, line->user, line->connection};
	struct buf all = {0};
	(void)from;
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		buf_slice(&all, parts[i]);
	buf_free(&all);
}

static void warn(struct edge_up *from, const char *kind, const char *message)
{
	(void)from;
	CHECK(kind != NULL && message != NULL);
}

static void on_any_timer(struct loop_handler *by, struct timer *timer)
{
	if (timer->kind == SCRIPT_TIMER_OWN)
		world->timer(timer);
	else
		on_timer(by, timer);
}

/* ---- settings ---- */

enum set {
	SET_CLOSED = 1,
	SET_KEY = 2,
	SET_TOKENS = 4,
	SET_TALLIES = 8,
	SET_PROXIES = 16,
	SET_SMALL = 32,
	SET_ECHO = 64,
	SET_LOG = 128,
};

static struct rule rule_list[] = {
	{.pattern = "room:*",
         .history_size = 3,
         .history_ttl_ms = 20000,
         .max_keys = 1,
         .presence = RULE_PRESENCE_FULL,
         .presence_grace_ms = 500},
	{.pattern = "count:*",
         .presence = RULE_PRESENCE_COUNT,
         .overflow = RULE_OVERFLOW_DROP,
         .max_keys = 1},
	{.pattern = "last:*",
         .deliver_last = true,
         .history_ttl_ms = 2000,
         .max_keys = 2,
         .overflow = RULE_OVERFLOW_CONFLATE},
	{.pattern = "slow:*",
         .throttle_ms = 100,
         .deliver_last = true,
         .history_ttl_ms = 2000,
         .max_keys = 2},
	{.pattern = "mine:*", .max_keys = 1, .subscribe = RULE_USER, .publish = RULE_TOKEN},
	{.pattern = "*", .max_keys = 1, .history_size = 10, .history_ttl_ms = 1000},
};
/* What a reload may make of them. */
static struct rule other_list[] = {
	{.pattern = "room:*",
         .deliver_last = true,
         .history_size = 1,
         .history_ttl_ms = 20000,
         .max_keys = 2,
         .throttle_ms = 50,
         .overflow = RULE_OVERFLOW_CONFLATE},
	{.pattern = "last:*",
         .deliver_last = true,
         .history_ttl_ms = 2000,
         .max_keys = 1,
         .throttle_ms = 100,
         .presence = RULE_PRESENCE_FULL},
	{.pattern = "slow:*", .throttle_ms = 1000, .deliver_last = true, .max_keys = 1},
	{.pattern = "mine:*", .max_keys = 1, .subscribe = RULE_TOKEN, .publish = RULE_USER},
	{.pattern = "*", .max_keys = 1, .presence = RULE_PRESENCE_COUNT},
};
static const struct rules rule_sets[] = {{rule_list, COUNT_OF(rule_list)},
                                         {rule_list + 1, COUNT_OF(rule_list) - 1},
                                         {other_list, COUNT_OF(other_list)},
                                         {other_list + 1, COUNT_OF(other_list) - 1}};

static char *origins[] = {"https://a.example"};
static unsigned char digests[1][EDGE_KEY_DIGEST_BYTES];
static struct key_set *keys;
/* The sockets are local, and said to come from 10.1.2.3. */
static struct network proxies[2] = {{.family = ADDRESS_LOCAL}};
static struct buf tokens[3];
static struct edge_settings settings[2]; /* those that hold, and those before or to come */
static unsigned current;

static void append_base64url(struct buf *out, struct slice bytes)
{
	char *room = buf_room(out, text_base64url_len(bytes.len));
	CHECK(room != NULL);
	buf_grew(out, text_from_base64url(room, bytes.at, bytes.len));
}

static void make_token(struct buf *out, struct jwt_reader *reader, struct slice payload)
{
	const struct key *key = key_set_next(keys, NULL, KEY_HS256, slice_of(NULL, 0));
	unsigned char signature[SIGNATURE_BYTES_MAX];
	append_base64url(out, SLICE("{\"alg\":\"HS256\"}"));
	buf_char(out, '.');
	append_base64url(out, payload);
	size_t len = verifier_sign(&reader->verifier, key, KEY_HS256, buf_view(out), signature);
	buf_char(out, '.');
	append_base64url(out, slice_of((const char *)signature, len));
}

static void begin_once(void)
{
	struct jwt_reader reader;
	uint32_t last = 0;
	const char *why;
	if (keys != NULL)
		return;
	up.post = post;
	up.post_edge = post_edge;
	up.drain = drain;
	up.log = read_line;
	up.warn = warn;
	handler.timer = on_any_timer;
	keys = key_set_create();
	CHECK(keys != NULL && jwt_reader_init(&reader));
	CHECK(key_set_add_secret(keys, SLICE(SECRET), &why) == 0);
	key_set_number(keys, NULL, &last);
	make_token(&tokens[0], &reader, SLICE("{\"sub\":\"u191\",\"exp\":4000000000}"));
	make_token(&tokens[1], &reader,
	           SLICE("{\"sub\":\"u293\",\"info\":{\"a\":1},\"allow\":{\"*\":\"rwp\"}}"));
	make_token(&tokens[2], &reader,
	           SLICE("{\"sub\":\"u191\",\"exp\":1700000010,\"allow\":{\"mine:*\":\"rw\"}}"));
	jwt_reader_free(&reader);
	CHECK(access_digest(SLICE(API_KEY), digests[0]));
	CHECK(network_parse(SLICE("10.0.0.0/8"), &proxies[1]));
}

static void set(struct edge_settings *to, uint8_t first, uint8_t second)
{
	*to = (struct edge_settings){
		.is_open = (first & SET_CLOSED) == 0,
		.has_echo = (first & SET_ECHO) != 0,
		.logs_access = (first & SET_LOG) != 0,
		.origins = (enum edge_origins)(second % 3),
		.origin_list = origins,
		.origin_count = COUNT_OF(origins),
		.api_key_digests = digests,
		.api_key_count = (first & SET_KEY) != 0,
		.token_keys = (first & SET_TOKENS) != 0 ? keys : NULL,
		.token_policy = {.audience = "", .issuer = ""},
		.connections_max = second & 4 ? 3 : 100,
		.channels_max = second & 8 ? 2 : 20,
		.connections_per_user = (first & SET_TALLIES) != 0,
		.connections_per_address = first & SET_TALLIES ? 3 : 0,
		.message_rate = second & 16 ? 5 : 0,
		.message_burst = second & 16 ? 5 : 0,
		.message_bytes_max = first & SET_SMALL ? 100 : 65536,
		.outbound_bytes_max = first & SET_SMALL ? 2000 : 1 << 20,
		.header_bytes_max = first & SET_SMALL ? 512 : 16384,
		.header_timeout_ms = 5000,
		.idle_timeout_ms = 10000,
		.heartbeat_interval_ms = 3000,
		.heartbeat_timeout_ms = 1000,
		.proxies = proxies,
		.proxy_count = first & SET_PROXIES ? COUNT_OF(proxies) : 0,
		.rules = &rule_sets[second >> 5 & 3],
	};
}

/* ---- clients ---- */

enum hears {
	HEARS_HEAD = 0,
	HEARS_BODY,
	HEARS_TILL_END,
	HEARS_FRAMES,
	HEARS_NOTHING, /* that was the last */
};

/* Of all settings since it came the largest. */
struct most {
	size_t message_bytes, outbound_bytes, header_bytes;
	uint32_t channels;
};

static struct client {
	int fd; /* -1: closed */
	struct slab_handle handle;
	struct most most;
	bool has_asked; /* since all that waited for it had gone */
	bool is_deaf, is_shut, may_be_head, is_last, may_be_echo;
	enum hears hears;
	size_t heard;
	struct buf got;
	struct http_body body;
	struct ws_client_reader frames;
} clients[CLIENTS];

#define RAISE(most, to)                                                                            \
	do {                                                                                       \
		if ((most) < (to))                                                                 \
			(most) = (to);                                                             \
	} while (0)

static void raise_most(struct most *most, const struct edge_settings *to)
{
	RAISE(most->message_bytes, to->message_bytes_max);
	RAISE(most->outbound_bytes, to->outbound_bytes_max);
	RAISE(most->header_bytes, to->header_bytes_max);
	RAISE(most->channels, to->channels_max);
}

static void client_open(struct client *client)
{
	struct listen_address from;
	int pair[2], room = SOCKET_BYTES;
	if (client->fd >= 0)
		return;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(listen_ip(&from, "10.1.2.3", 1234));
	if (settings[current].outbound_bytes_max < (size_t)1 << 20)
		CHECK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
	*client = (struct client){.fd = pair[0]};
	raise_most(&client->most, &settings[current]);
	struct conn *conn = conn_open(edge, pair[1], false);
	CHECK(conn != NULL);
	client->handle = slab_handle_of(&edge->conns, conn);
	peer_begin(edge, conn, &from);
}

static void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	buf_free(&client->got);
	ws_client_reader_free(&client->frames);
}

/* What the socket does not take is not said. */
static void client_say(struct client *client, struct slice bytes)
{
	client_open(client);
	client->has_asked = true;
	if (!client->is_shut && bytes.len > 0)
		(void)!send(client->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
}

static void client_say_times(struct client *client, struct slice bytes, unsigned times)
{
	struct buf out = {0};
	for (; times > 0; times--)
		buf_slice(&out, bytes);
	client_say(client, buf_view(&out));
	buf_free(&out);
}

/* ---- what they hear ---- */

static bool hear_head(struct client *client)
{
	struct http_answer answer;
	http_answer_begin(&answer);
	enum http_parse result = http_answer_parse(&answer, client->got.at, client->got.len);
	CHECK(result != HTTP_BAD);
	if (result == HTTP_MORE)
		return false;
	client->is_last = !answer.is_keep_alive && answer.status >= 200;
	client->hears = HEARS_HEAD;
	if (answer.status == 101) {
		const struct conn *conn = slab_at(&edge->conns, client->handle);
		client->may_be_echo = conn == NULL || conn->transport == &transport_echo;
		client->hears = HEARS_FRAMES;
	} else if (answer.is_until_close) {
		client->hears = HEARS_TILL_END;
	} else if (answer.framing != HTTP_NO_BODY) {
		client->hears = HEARS_BODY;
		client->may_be_head = true;
		body_begin(&client->body, answer.framing, answer.content_length);
	} else if (client->is_last) {
		client->hears = HEARS_NOTHING;
	}
	buf_use(&client->got, answer.head_bytes);
	return true;
}

/* No body begins like a head: there was none, as the request was HEAD. */
static bool hear_body(struct client *client)
{
	struct slice got = buf_view(&client->got), piece, head = SLICE("HTTP/1.1");
	size_t used, same = got.len < head.len ? got.len : head.len;
	enum body_answer answer = BODY_DONE;
	if (client->may_be_head && slice_equals(slice_of(got.at, same), slice_of(head.at, same))) {
		CHECK(!client->is_last || got.len == 0);
		if (same < head.len)
			return false;
	} else {
		client->may_be_head = false;
		answer = body_read(&client->body, got.at, got.len, &used, &piece);
		CHECK(answer != BODY_BAD);
		buf_use(&client->got, used);
	}
	if (answer == BODY_DONE)
		client->hears = client->is_last ? HEARS_NOTHING : HEARS_HEAD;
	return answer != BODY_MORE;
}

static bool hear_frame(struct client *client)
{
	struct ws_message message;
	size_t used;
	enum ws_result result = ws_client_read(&client->frames, client->got.at, client->got.len,
	                                       1 << 24, &used, &message);
	CHECK(result != WS_BAD);
	if (result == WS_TEXT && !client->may_be_echo) {
		struct json_value value;
		size_t bad_at;
		CHECK(json_check(message.payload, MESSAGE_DEPTH_MAX + 1, &value, &bad_at));
		CHECK(value.kind == JSON_OBJECT);
	}
	if (result == WS_CLOSE)
		client->hears = HEARS_NOTHING;
	buf_use(&client->got, used);
	return result != WS_MORE;
}

static bool hear_some(struct client *client)
{
	switch (client->hears) {
	case HEARS_HEAD:
		return hear_head(client);
	case HEARS_BODY:
		return hear_body(client);
	case HEARS_FRAMES:
		return hear_frame(client);
	case HEARS_TILL_END:
		buf_clear(&client->got);
		return false;
	case HEARS_NOTHING:
		break;
	}
	CHECK(client->got.len == 0);
	return false;
}

static void client_hear(struct client *client)
{
	char bytes[4096];
	ssize_t got = 0;
	while (client->fd >= 0 && !client->is_deaf && client->heard < HEARD_MAX &&
	       (got = recv(client->fd, bytes, sizeof(bytes), 0)) > 0) {
		client->heard += (size_t)got;
		buf_append(&client->got, bytes, (size_t)got);
		while (client->got.len > 0 && hear_some(client))
			;
	}
}

/* ---- what they cost ---- */

static size_t head_bytes_max(const struct client *client)
{
	return 2 * client->most.header_bytes + HTTP_LINE_MAX;
}

/* A body that came in part, and what of it is still to come as far as that is known. */
static void check_body(const struct exchange *exchange)
{
	CHECK(exchange->body.len <= exchange->body_max);
	CHECK(exchange->framing.left <= exchange->body_max - exchange->body.len);
}

static void check_input(const struct client *client, const struct conn *conn)
{
	size_t unread_max = TURN_READ_BYTES + head_bytes_max(client);
	bool is_http =
		conn->transport != &transport_websocket && conn->transport != &transport_echo;
	if (is_http && conn->exchange != NULL) {
		const struct exchange *exchange = conn->exchange;
		bool is_looked_at = conn->state == CONN_HEAD && !list_is_linked(&conn->in_list) &&
		                    !conn->is_paused && !conn->is_served;
		CHECK(exchange->head.len <= head_bytes_max(client));
		CHECK(exchange->held.len <= (is_looked_at ? head_bytes_max(client) : unread_max));
		CHECK(exchange->poll.messages.len <= HISTORY_BYTES_MAX + ANSWER_MAX);
		if (conn->state == CONN_BODY)
			check_body(exchange);
	} else if (!is_http && conn->socket != NULL) {
		const struct ws_reader *reader = &conn->socket->reader;
		CHECK(reader->buf.len <= client->most.message_bytes + WS_CONTROL_MAX);
		CHECK(conn->socket->held.len <= unread_max);
	}
}

/* All that it said was read and looked at, and answered here. */
static bool has_been_answered(const struct conn *conn)
{
	bool is_ws = conn->transport == &transport_websocket || conn->transport == &transport_echo;
	return (conn->state == CONN_SOCKET || conn->state == CONN_STREAM) &&
	       conn->session.request_count == 0 && !list_is_linked(&conn->in_list) &&
	       !conn->is_readable && !conn->is_paused && (!is_ws || conn->socket == NULL);
}

/* Answers wait for who asked. Of what others say there is no more than may wait; in its log or in
 * its outbox, where the first message may be of any length. */
static void check_output(struct client *client, const struct conn *conn)
{
	size_t waiting = outbox_bytes(conn_out(conn));
	uint64_t lag = 0;
	const struct follower *follower = conn->session.first;
	for (; follower != NULL; follower = follower->next_of_session) {
		if (follower->state == FOLLOWER_STUCK)
			lag += channel_lag(follower->channel, follower);
	}
	CHECK(lag <= client->most.outbound_bytes + UNASKED_MAX);
	CHECK(waiting <= client->most.outbound_bytes + CONN_OUT_PAUSE_BYTES + ANSWER_MAX);
	if (waiting == 0 && has_been_answered(conn))
		client->has_asked = false;
	if (!client->has_asked)
		CHECK(waiting <= client->most.outbound_bytes + UNASKED_MAX);
}

static bool is_same_user(const struct conn *a, const struct conn *b)
{
	struct slice user = session_user(&a->session);
	return user.len > 0 && slice_equals(user, session_user(&b->session));
}

/* Those that were there before a limit stay. */
static bool is_limited;

static void check_counts(void)
{
	const struct edge_settings *now = &settings[current];
	uint32_t clients_now = 0;
	for (size_t i = 0; i < CLIENTS; i++) {
		const struct conn *conn = slab_at(&edge->conns, clients[i].handle);
		uint32_t of_user = 0;
		if (clients[i].fd < 0 || !conn_is_client(conn))
			continue;
		clients_now++;
		for (size_t j = 0; j <= i; j++) {
			const struct conn *other = slab_at(&edge->conns, clients[j].handle);
			of_user += clients[j].fd >= 0 && conn_is_client(other) &&
			           is_same_user(conn, other);
		}
		if (is_limited && world->workers == 1 && now->connections_per_user > 0)
			CHECK(of_user <= now->connections_per_user);
	}
	if (is_limited && world->workers == 1 && now->connections_per_address > 0 &&
	    now->proxy_count == 0)
		CHECK(clients_now <= now->connections_per_address);
	if (is_limited)
		CHECK(edge->options.common->clients <= now->connections_max);
	CHECK(edge->conns.count <= now->connections_max + EDGE_CONN_RESERVE || !is_limited);
}

static void check_bounds(void)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		const struct conn *conn = slab_at(&edge->conns, clients[i].handle);
		if (clients[i].fd < 0 || conn == NULL || conn->session.is_ended)
			continue;
		CHECK(conn->session.follower_count <= clients[i].most.channels);
		check_input(&clients[i], conn);
		check_output(&clients[i], conn);
	}
	check_counts();
}

/* ---- what they say ---- */

static struct slice script;

static uint8_t next_byte(void)
{
	uint8_t byte = script.len > 0 ? (uint8_t)script.at[0] : 0;
	script = script.len > 0 ? slice_after(script, 1) : script;
	return byte;
}

static struct slice next_bytes(void)
{
	size_t len = next_byte();
	len = len < script.len ? len : script.len;
	struct slice bytes = slice_of(script.at, len);
	script = slice_after(script, len);
	return bytes;
}

/* `%` stands for the id of the first client's connection. */
static const char *const requests[] = {
	"GET /ws",
	"GET /events",
	"GET /poll",
	"POST /publish",
	"GET /echo",
	"POST /api/publish",
	"POST /api/batch",
	"POST /api/stream",
	"GET /api/channels",
	"GET /api/channels/room:35",
	"GET /api/connections",
	"GET /api/connections/%",
	"DELETE /api/connections/%",
	"POST /api/connections/%/send",
	"GET /api/cluster",
	"GET /api/stats",
	"GET /api/live",
	"POST /api/drain",
	"GET /api/channels/room:35/history",
	"GET /api/channels/room:35/presence",
	"GET /api/users/u191",
	"POST /api/users/u191/disconnect",
	"GET /metrics",
	"GET /health",
	"GET /ready",
	"HEAD /starling.js",
	"OPTIONS /publish",
	"GET /patterns",
};

enum with {
	WITH_KEY = 1,
	WITH_TOKEN = 2, /* and the upper two bits which */
	WITH_CHUNKS = 4,
	WITH_ORIGIN = 8,
	WITH_CLOSE = 16,
	WITH_EXPECT = 32,
};

static void write_target(struct buf *out, const char *target)
{
	char id[CONN_ID_MAX];
	struct conn *conn = slab_at(&edge->conns, clients[0].handle);
	for (; *target != '\0'; target++) {
		if (*target == '%' && conn != NULL)
			buf_append(out, id, conn_id(edge, conn, id));
		else if (*target != '%')
			buf_char(out, *target);
	}
}

static void ask(struct client *client, unsigned times)
{
	const char *request = requests[next_byte() % COUNT_OF(requests)];
	uint8_t with = next_byte();
	struct slice query = next_bytes(), body = next_bytes();
	struct buf out = {0};
	client_open(client);
	write_target(&out, request);
	buf_char(&out, '?');
	buf_slice(&out, query);
	buf_string(&out, " HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 1.2.3.4, 10.9.9.9\r\n");
	if (strcmp(request, "GET /ws") == 0 || strcmp(request, "GET /echo") == 0)
		buf_string(&out, "Connection: Upgrade\r\nUpgrade: websocket\r\n"
		                 "Sec-WebSocket-Version: 13\r\n"
		                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
	if (with & WITH_KEY)
		buf_string(&out, "Authorization: Bearer " API_KEY "\r\n");
	else if (with & WITH_TOKEN)
		buf_format(&out, "Authorization: Bearer %.*s\r\n",
		           (int)tokens[(with >> 6) % COUNT_OF(tokens)].len,
		           tokens[(with >> 6) % COUNT_OF(tokens)].at);
	if (with & WITH_ORIGIN)
		buf_string(&out, "Origin: https://a.example\r\n");
	if (with & WITH_CLOSE)
		buf_string(&out, "Connection: close\r\n");
	if (with & WITH_EXPECT)
		buf_string(&out, "Expect: 100-continue\r\n");
	if ((with & WITH_CHUNKS) == 0)
		buf_format(&out, "Content-Length: %zu\r\n\r\n", body.len);
	else
		buf_string(&out, "Transfer-Encoding: chunked\r\n\r\n");
	if ((with & WITH_CHUNKS) != 0 && body.len > 0)
		buf_format(&out, "%zx\r\n", body.len);
	buf_slice(&out, body);
	if ((with & WITH_CHUNKS) != 0)
		buf_string(&out, body.len > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n");
	client_say_times(client, buf_view(&out), times);
	buf_free(&out);
}

static const char *const commands[] = {
	"{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"room:35\",\"presence\":true}",
	"{\"type\":\"subscribe\",\"ref\":2,\"channel\":\"last:75\",\"since\":\"start\"}",
	"{\"type\":\"subscribe\",\"ref\":3,\"channel\":\"slow:60\"}",
	"{\"type\":\"subscribe\",\"ref\":4,\"channel\":\"mine:293\"}",
	"{\"type\":\"subscribe\",\"ref\":5,\"channel\":\"c108\",\"since\":\"start\"}",
	"{\"type\":\"subscribe\",\"ref\":6,\"channel\":\"count:47\",\"presence\":true}",
	"{\"type\":\"unsubscribe\",\"ref\":7,\"channel\":\"room:35\"}",
	"{\"type\":\"unsubscribe\",\"ref\":8,\"channel\":\"slow:60\"}",
	"{\"type\":\"publish\",\"ref\":9,\"channel\":\"room:35\",\"data\":{\"a\":1}}",
	"{\"type\":\"publish\",\"channel\":\"last:75\",\"data\":1,\"key\":\"k\"}",
	"{\"type\":\"publish\",\"channel\":\"slow:60\",\"data\":2,\"key\":\"k\",\"echo\":false}",
	"{\"type\":\"publish\",\"channel\":\"c108\",\"data\":3,\"idempotency_key\":\"i\"}",
	"{\"type\":\"history\",\"ref\":11,\"channel\":\"c108\",\"since\":\"start\",\"limit\":2}",
	"{\"type\":\"presence\",\"ref\":12,\"channel\":\"room:35\"}",
	"{\"type\":\"resume\",\"ref\":13,\"channels\":{\"c108\":\"start\",\"room:35\":\"a-1\"}}",
	"{\"type\":\"publish\",\"channel\":\"mine:293\",\"data\":[]}",
};

static void tell(struct client *client, uint8_t first, struct slice payload, unsigned times)
{
	struct buf out = {0};
	ws_client_append(&out, WS_OPCODE_TEXT, payload, "mask");
	out.at[0] = (char)first;
	client_say_times(client, buf_view(&out), times);
	buf_free(&out);
}

/* ---- the script ---- */

static void adopt(uint8_t first, uint8_t second) WORKER_ONLY
{
	if (!edge_has_adopted(edge))
		return;
	current = 1 - current;
	set(&settings[current], first, second);
	for (size_t i = 0; i < CLIENTS; i++)
		raise_most(&clients[i].most, &settings[current]);
	is_limited = false;
	edge_adopt(edge, &settings[current]);
}

static void take_step(void) WORKER_ONLY
{
	uint8_t what = next_byte();
	struct client *client = &clients[what & 3];
	unsigned times = what & MUCH ? MUCH_TIMES : 1;
	switch ((enum step)(what >> 4)) {
	case STEP_SAY:
		client_say_times(client, next_bytes(), times);
		break;
	case STEP_ASK:
		ask(client, times);
		break;
	case STEP_TELL:
		what = next_byte();
		tell(client, what, next_bytes(), times);
		break;
	case STEP_COMMAND:
		tell(client, 0x81, slice_string(commands[next_byte() % COUNT_OF(commands)]), times);
		break;
	case STEP_WAIT:
		what = next_byte();
		clock_now.us += 1000ull * what * what;
		break;
	case STEP_DEAF:
		client->is_deaf = !client->is_deaf;
		break;
	case STEP_SHUT:
		if (client->fd >= 0)
			(void)shutdown(client->fd, SHUT_WR);
		client->is_shut = true;
		break;
	case STEP_CLOSE:
		client_close(client);
		break;
	case STEP_ADOPT:
		what = next_byte();
		adopt(what, next_byte());
		break;
	case STEP_DRAIN:
		wants_drain = true;
		break;
	case STEP_STOP:
		edge_stop(edge);
		break;
	default:
		if (world->step != NULL)
			world->step((what >> 4) - STEP_OWN, what & 7);
	}
	if (wants_drain) {
		edge_drain(edge);
		edge_send_away(edge, next_byte());
		wants_drain = false;
	}
}

/* All have gone: of them nothing is left, but for what other nodes know. */
static bool has_forgotten(void)
{
	struct edge_stats stats;
	edge_count(edge, &stats);
	return edge->conns.count == 0 && edge->registry.seats.count == 0 &&
	       edge_clients(stats.clients) == 0 && stats.hub.followers == 0 &&
	       (world->begin != NULL || (stats.hub.members == 0 && stats.hub.channels == 0));
}

static unsigned last_turns;

static void go_on(void) WORKER_ONLY
{
	clock_now.us += 1000;
	if (script.len > 0) {
		take_step();
		return;
	}
	for (size_t i = 0; i < CLIENTS; i++)
		client_close(&clients[i]);
	clock_now.us += 5000000;
	if (has_forgotten())
		loop_stop(loop);
	CHECK(last_turns++ < LAST_TURNS);
}

static bool on_after(struct loop_handler *by)
{
	(void)by;
	role_enter_worker();
	if (world->turn != NULL)
		world->turn();
	(void)edge_after(edge);
	if (world->flush != NULL)
		world->flush();
	check_bounds();
	for (size_t i = 0; i < CLIENTS; i++)
		client_hear(&clients[i]);
	go_on();
	return true;
}

static void run(void)
{
	static const struct edge_node node = {
		.name = "node", .cluster = "", .boot_id = 1, .hash_key = {{1, 2}}};
	static struct edge_common common;
	loop_open(2);
	struct hub_cluster *cluster = world->begin == NULL ? NULL : world->begin();
	edge = edge_create(&(struct edge_options){.node = &node,
	                                          .common = &common,
	                                          .settings = &settings[current],
	                                          .up = &up,
	                                          .cluster = cluster,
	                                          .loop = loop,
	                                          .workers = world->workers,
	                                          .descriptors_max = 1000});
	CHECK(edge != NULL);
	if (world->ready != NULL)
		world->ready();
	last_turns = 0;
	is_limited = true;
	wants_drain = false; /* the last request of the script before may have been for that */
	for (size_t i = 0; i < CLIENTS; i++)
		clients[i] = (struct client){.fd = -1};
	loop_run(loop);
	CHECK(common.clients == 0);
	edge_destroy(edge);
	if (world->end != NULL)
		world->end();
	loop_close();
}

static void script_run(const uint8_t *data, size_t size, const struct script_world *beside)
{
	if (size < 2 || size > INPUT_MAX)
		return;
	begin_once();
	world = beside;
	script = slice_of((const char *)data, size);
	uint8_t first = next_byte();
	set(&settings[current], first, next_byte());
	clock_now.us = 1000000;
	clock_now.is_set = true;
	run();
	clock_now.is_set = false;
}
