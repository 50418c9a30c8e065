/*
 * What is done for clients while others are slow. A loop with an edge, which is one worker of two:
 * the other one is this test, and answers when it likes.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "edge/conn.h"
#include "edge_loop.h"

#define CHANNELS 8 /* some of them the other worker's */
#define HEADER_TIMEOUT_MS 20

static struct hub_mail asked[CHANNELS];
static size_t asked_count;
static unsigned turns;
static bool is_lost;          /* what was before the cursor is gone */
static enum error_code error; /* that the other worker answers */
static bool is_full;          /* no letter can be posted now */

/* ---- the other worker ---- */

static void post(struct edge_up *from, uint32_t worker, const struct hub_mail *mail)
{
	(void)from;
	CHECK(worker == 1);
	if (mail->kind == MAIL_FOLLOW) {
		CHECK(asked_count < CHANNELS);
		asked[asked_count++] = *mail;
	} else {
		hub_mail_discard(mail);
	}
}

/* The channel is there, and nothing in it. */
static void answer_follow(const struct hub_mail *mail)
{
	struct mail_answer *empty = calloc(1, sizeof(*empty));
	CHECK(empty != NULL);
	role_enter_worker();
	empty->is_recovered = !is_lost;
	edge_receive(edge, &(struct hub_mail){.kind = MAIL_FOLLOWED,
	                                      .from = 1,
	                                      .error = (uint8_t)error,
	                                      .token = mail->token,
	                                      .epoch = 1,
	                                      .answer = empty});
	hub_mail_discard(mail);
}

static bool is_congested(struct edge_up *from)
{
	(void)from;
	return is_full;
}

/* ---- the client ---- */

static void ask_for(const char *path)
{
	struct buf request = {0};
	buf_format(&request, "GET %ssince=start", path);
	for (int i = 1; i < CHANNELS; i++)
		buf_string(&request, ",start");
	for (int i = 0; i < CHANNELS; i++)
		buf_format(&request, "&channel=c%d", i);
	buf_string(&request, " HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(send(client, request.at, request.len, 0) == (ssize_t)request.len);
	buf_free(&request);
}

static const char upgrade[] = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
			      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

static void answer_all(void)
{
	for (size_t i = 0; i < asked_count; i++)
		answer_follow(&asked[i]);
	asked_count = 0;
}

static bool is_closed(void)
{
	char byte;
	return recv(client, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

/* Once the other worker was asked, and then `turns` turns later. */
static bool has_passed(unsigned since)
{
	if (asked_count == 0)
		turns = 0;
	return turns == since;
}

/* ---- scenes: true: it is over ---- */

/* Sent away while the other worker is silent; answered once that one has said its word. */
static bool poll_sent_away(void) WORKER_ONLY;
static bool poll_sent_away(void)
{
	if (has_passed(1)) {
		edge_drain(edge);
		edge_send_away(edge, 0);
	} else if (has_passed(100)) {
		CHECK(answer.len == 0);
		answer_all();
	}
	if (!was_told("\"messages\":[]}"))
		return false;
	CHECK(was_told("HTTP/1.1 200 "));
	CHECK(was_told("\"recovered\":true"));
	return true;
}

static bool stream_opened(void)
{
	if (has_passed(100)) {
		CHECK(answer.len == 0);
		answer_all();
	}
	if (!was_told("\nid: "))
		return false;
	CHECK(was_told("HTTP/1.1 200 "));
	CHECK(was_told("\nretry: "));
	return true;
}

/* What channels lost is told once all have answered, behind the head. */
static bool stream_with_a_gap(void)
{
	if (has_passed(100)) {
		is_lost = true;
		answer_follow(&asked[--asked_count]);
		is_lost = false;
		CHECK(asked_count > 0);
	} else if (has_passed(200)) {
		CHECK(answer.len == 0);
		answer_all();
	}
	if (!was_told("\nid: "))
		return false;
	CHECK(memcmp(answer.at, "HTTP/1.1 200 ", 13) == 0);
	CHECK(was_told("\r\n\r\nretry: "));
	CHECK(was_told("event: gap\n"));
	return true;
}

static bool stream_sent_away(void) WORKER_ONLY;
static bool stream_sent_away(void)
{
	if (has_passed(1)) {
		edge_drain(edge);
		edge_send_away(edge, 0);
	}
	if (!is_closed())
		return false;
	CHECK(answer.len == 0);
	return true;
}

/* A poll is told so. */
static bool poll_refused(void)
{
	error = ERROR_UNAVAILABLE;
	if (has_passed(1))
		answer_all();
	if (!was_told("\"code\":\"unavailable\""))
		return false;
	CHECK(was_told("HTTP/1.1 503 "));
	return true;
}

/* Nor is it told before the others have answered, too, and the connection goes on. */
static bool poll_refused_in_part(void)
{
	if (has_passed(1)) {
		error = ERROR_UNAVAILABLE;
		answer_follow(&asked[--asked_count]);
		error = ERROR_NONE;
		CHECK(asked_count > 0);
	} else if (has_passed(100)) {
		CHECK(answer.len == 0);
		answer_all();
		say("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	if (!was_told("\"code\":\"unavailable\"") || !was_told("HTTP/1.1 200 "))
		return false;
	CHECK(memcmp(answer.at, "HTTP/1.1 503 ", 13) == 0);
	return true;
}

/* Nobody may follow anything any more. */
static void forbid_all(void) WORKER_ONLY;
static void forbid_all(void)
{
	static struct rule none = {.pattern = "*", .subscribe = RULE_NONE};
	static const struct rules closed = {&none, 1};
	static struct edge_settings next;
	next = settings;
	next.is_open = false;
	next.rules = &closed;
	edge_adopt(edge, &next);
}

/* The same where other settings do not let it go on. */
static bool poll_turned_out(void) WORKER_ONLY;
static bool poll_turned_out(void)
{
	if (has_passed(1)) {
		forbid_all();
	} else if (has_passed(100)) {
		CHECK(answer.len == 0);
		CHECK(edge_has_adopted(edge));
		answer_all();
		say("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	if (!was_told("have changed") || !was_told("HTTP/1.1 200 "))
		return false;
	CHECK(memcmp(answer.at, "HTTP/1.1 403 ", 13) == 0);
	return true;
}

/* It is to be told so in its next turn, and is sent away, as if its time were over, before. */
static bool poll_turned_out_first(void) WORKER_ONLY;
static bool poll_turned_out_first(void)
{
	static bool is_forbidden;
	if (has_passed(1)) {
		answer_all();
		forbid_all();
		is_forbidden = true;
	} else if (is_forbidden) {
		CHECK(answer.len == 0);
		CHECK(edge_has_adopted(edge));
		edge_drain(edge);
		edge_send_away(edge, 0);
		is_forbidden = false;
	}
	if (answer.len == 0)
		return false;
	CHECK(was_told("HTTP/1.1 403 "));
	return true;
}

/* Whoever its connection serves next is not held back. */
static bool poll_refused_then_upgraded(void) WORKER_ONLY;
static bool poll_refused_then_upgraded(void)
{
	static bool is_asked_again;
	error = ERROR_UNAVAILABLE;
	if (has_passed(1))
		answer_all();
	if (!is_asked_again && was_told("HTTP/1.1 503 ")) {
		say(upgrade);
		is_asked_again = true;
	}
	if (!was_told("HTTP/1.1 101 "))
		return false;
	const struct conn *conn = slab_by_index(&edge->conns, 0);
	CHECK(conn->state == CONN_SOCKET);
	CHECK(session_takes(&conn->session));
	return true;
}

/* A stream is closed, so that it comes again by itself, and that counts as what it is. */
static bool stream_refused(void) WORKER_ONLY;
static bool stream_refused(void)
{
	struct edge_stats stats;
	error = ERROR_UNAVAILABLE;
	if (has_passed(1))
		answer_all();
	if (!is_closed())
		return false;
	edge_count(edge, &stats);
	CHECK(answer.len == 0);
	CHECK(stats.closes[CLOSE_UNAVAILABLE] == 1);
	CHECK(stats.errors[ERROR_UNAVAILABLE] == 1);
	return true;
}

/* Its time is over while nobody looks at what it has said. */
static bool client_not_looked_at(void)
{
	static uint64_t began_ms;
	if (began_ms == 0)
		began_ms = loop_now_ms(loop);
	CHECK(!is_full || asked_count == 0);
	is_full = is_full && loop_now_ms(loop) - began_ms < 10 * HEADER_TIMEOUT_MS;
	if (asked_count > 0)
		answer_all();
	return was_told("HTTP/1.1 200 ");
}

/* A frame of a client: masked with nothing. */
static void say_frame(const char *text)
{
	char frame[2 + 4 + 125] = {(char)0x81, (char)(0x80 | strlen(text))};
	CHECK(strlen(text) <= 125);
	memcpy(frame + 6, text, strlen(text));
	CHECK(send(client, frame, 6 + strlen(text), 0) == (ssize_t)(6 + strlen(text)));
}

/* It has asked for so much that nothing more is read from it: what it says, and that it is there,
 * is not heard until that is answered. */
static bool client_kept_waiting(void) WORKER_ONLY;
static bool client_kept_waiting(void)
{
	static struct edge_settings next;
	static uint64_t began_ms;
	if (began_ms == 0 && was_told("HTTP/1.1 200 ")) {
		began_ms = loop_now_ms(loop);
		next = settings;
		next.heartbeat_interval_ms = 20;
		next.heartbeat_timeout_ms = 40;
		edge_adopt(edge, &next);
		say(upgrade);
		for (int i = 0; i < CHANNELS; i++) {
			char text[100];
			snprintf(text, sizeof(text), "{\"type\":\"history\",\"channel\":\"c%d\"}",
			         i);
			say_frame(text);
		}
	}
	if (!was_told("\"type\":\"welcome\""))
		return false;
	const struct conn *conn = slab_by_index(&edge->conns, 0);
	CHECK(conn != NULL && conn->state == CONN_SOCKET);
	CHECK(!conn->session.is_ended);
	return loop_now_ms(loop) - began_ms > 10 * next.heartbeat_timeout_ms && conn->is_paused;
}

/* What a listener has, those that it accepts inherit. */
static bool heartbeat_changed(void) WORKER_ONLY;
static bool heartbeat_changed(void)
{
	static struct edge_settings next;
	unsigned timeout_ms;
	socklen_t len = sizeof(timeout_ms);
	int listener = edge->listeners[0].fd;
	next = settings;
	next.heartbeat_timeout_ms = 12345;
	edge_adopt(edge, &next);
	CHECK(getsockopt(listener, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, &len) == 0);
	CHECK(timeout_ms == 12345);
	return true;
}

static const struct scene {
	const char *claim, *path;
	bool (*turn)(void);
	bool begins_full;
} scenes[] = {
	{"a poll that still waits for its channels is answered as soon as they are there",
         "/poll?wait=60&", poll_sent_away, false},
	{"a stream is open when all its channels are", "/events?", stream_opened, false},
	{"of a stream the head comes before a gap", "/events?", stream_with_a_gap, false},
	{"a stream that is sent away before it is open is closed", "/events?", stream_sent_away,
         false},
	{"a poll of what cannot be followed is refused", "/poll?wait=60&", poll_refused, false},
	{"a poll is refused when all its channels have answered", "/poll?wait=60&",
         poll_refused_in_part, false},
	{"so is a poll that other settings end", "/poll?wait=60&", poll_turned_out, false},
	{"other settings come before the end of its time", "/poll?wait=60&", poll_turned_out_first,
         false},
	{"a poll that was refused holds back nobody after it", "/poll?wait=60&",
         poll_refused_then_upgraded, false},
	{"a stream of what cannot be followed is closed", "/events?", stream_refused, false},
	{"who comes after a reload has its heartbeats", "/events?", heartbeat_changed, false},
	{"who is not read from for what it has asked is not silent", "/health?",
         client_kept_waiting, false},
	{"a client that is not looked at has its time later", "/poll?wait=0&", client_not_looked_at,
         true},
};
static const struct scene *scene;

static void client_turn(void)
{
	role_enter_worker();
	turns++;
	hear();
	if (scene->turn())
		loop_stop(loop);
}

int main(void)
{
	up.post = post;
	up.is_congested = is_congested;
	settings.header_timeout_ms = HEADER_TIMEOUT_MS;
	for (size_t i = 0; i < COUNT_OF(scenes); i++) {
		scene = &scenes[i];
		printf("silent_worker: %s\n", scene->claim);
		turns = 0;
		error = ERROR_NONE;
		is_full = scene->begins_full;
		open_all(2);
		ask_for(scene->path);
		loop_run(loop);
		while (asked_count > 0)
			hub_mail_discard(&asked[--asked_count]);
		close_all();
	}
	return 0;
}
