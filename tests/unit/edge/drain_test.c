/*
 * A poll that is sent away before its channels have answered. A loop with an edge, which is one
 * worker of two: the other one is this test, and answers when it likes. The client is a socket of
 * this same thread.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/edge.h"
#include "net/listen.h"

#define TURNS_MAX 100000
#define CHANNELS 8 /* some of them the other worker's */

static struct rule rule = {.pattern = "*", .history_size = 1, .history_ttl_ms = 60000};
static const struct rules rules = {&rule, 1};
static const struct edge_node node = {.name = "node", .boot_id = 1};
static const struct edge_settings settings = {
	.is_open = true,
	.connections_max = 10,
	.channels_max = 10,
	.message_bytes_max = 65536,
	.outbound_bytes_max = 1 << 20,
	.header_bytes_max = 16384,
	.header_timeout_ms = 60000,
	.idle_timeout_ms = 60000,
	.heartbeat_interval_ms = 60000,
	.heartbeat_timeout_ms = 60000,
	.rules = &rules,
};

static struct edge_common common;
static struct post_office *office;
static struct loop *loop;
static struct edge *edge;
static int client;
static struct buf answer; /* what came */
static struct hub_mail asked[CHANNELS];
static size_t asked_count;
static unsigned turns;

/* ---- the other worker ---- */

static void post(struct edge_up *up, uint32_t worker, const struct hub_mail *mail)
{
	(void)up;
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
	empty->is_recovered = true;
	edge_receive(edge, &(struct hub_mail){.kind = MAIL_FOLLOWED,
	                                      .from = 1,
	                                      .token = mail->token,
	                                      .epoch = 1,
	                                      .answer = empty});
	hub_mail_discard(mail);
}

static void post_edge(struct edge_up *up, uint32_t worker, const struct edge_mail *mail)
{
	(void)up;
	(void)worker;
	(void)mail;
	CHECK(false);
}

static bool has_room(struct edge_up *up)
{
	(void)up;
	return true;
}

static bool is_congested(struct edge_up *up)
{
	(void)up;
	return false;
}

static struct edge_up up = {
	.post = post, .post_edge = post_edge, .has_room = has_room, .is_congested = is_congested};

/* ---- the client ---- */

static void send_poll(void)
{
	struct buf request = {0};
	buf_string(&request, "GET /poll?wait=60&since=start");
	for (int i = 1; i < CHANNELS; i++)
		buf_string(&request, ",start");
	for (int i = 0; i < CHANNELS; i++)
		buf_format(&request, "&channel=c%d", i);
	buf_string(&request, " HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(send(client, request.at, request.len, 0) == (ssize_t)request.len);
	buf_free(&request);
}

static void hear(void)
{
	char bytes[4096];
	ssize_t got = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (got > 0)
		buf_append(&answer, bytes, (size_t)got);
}

static bool was_told(const char *what)
{
	return answer.len > 0 && memmem(answer.at, answer.len, what, strlen(what)) != NULL;
}

/* Sent away while the other worker is silent; answered once that one has said its word. */
static void client_turn(void)
{
	static bool is_sent_away;
	role_enter_worker();
	CHECK(++turns < TURNS_MAX);
	hear();
	if (asked_count > 0 && !is_sent_away) {
		is_sent_away = true;
		edge_drain(edge);
		edge_send_away(edge, 0);
		turns = 0;
	} else if (is_sent_away && turns == 100) {
		CHECK(answer.len == 0);
		for (size_t i = 0; i < asked_count; i++)
			answer_follow(&asked[i]);
	} else if (was_told("\"messages\":[]}")) {
		CHECK(was_told("HTTP/1.1 200 "));
		CHECK(was_told("\"recovered\":true"));
		loop_stop(loop);
	}
}

/* ---- the loop ---- */

static void on_begin(struct loop_handler *handler)
{
	(void)handler;
	edge_begin(edge);
}

static void on_ready(struct loop_handler *handler, uint64_t tag, unsigned ready)
{
	(void)handler;
	role_enter_worker();
	edge_ready(edge, tag, ready);
}

static uint32_t on_letters_max(struct loop_handler *handler)
{
	(void)handler;
	return 0;
}

static void on_letter(struct loop_handler *handler, const void *bytes)
{
	(void)handler;
	(void)bytes;
}

static void on_timer(struct loop_handler *handler, struct timer *timer)
{
	(void)handler;
	role_enter_worker();
	edge_timer(edge, timer);
}

static bool on_after(struct loop_handler *handler)
{
	(void)handler;
	role_enter_worker();
	(void)edge_after(edge);
	client_turn();
	return true; /* nobody rings when the client has something to do */
}

static struct loop_handler handler = {on_begin,  on_ready, on_letters_max,
                                      on_letter, on_timer, on_after};

/* ---- all of it ---- */

static void open_all(void)
{
	struct listen_address address;
	CHECK(listen_ip(&address, "127.0.0.1", 0));
	CHECK(listen_claim(&address) == 0);
	int listener = listen_open(&address, 60000);
	CHECK(listener >= 0);
	office = post_office_create(1, LOOP_LETTER_MAX);
	loop = loop_create(&(struct loop_options){
		.handler = &handler, .office = office, .letter_bytes = LOOP_LETTER_MAX});
	CHECK(loop != NULL);
	edge = edge_create(&(struct edge_options){.node = &node,
	                                          .common = &common,
	                                          .settings = &settings,
	                                          .up = &up,
	                                          .loop = loop,
	                                          .workers = 2,
	                                          .descriptors_max = 100});
	CHECK(edge != NULL);
	role_enter_worker();
	CHECK(edge_listen(edge, listener, false) == 0);
	client = socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(client, (struct sockaddr *)&address.socket, address.len) == 0);
}

static void close_all(void)
{
	close(client);
	buf_free(&answer);
	edge_destroy(edge);
	loop_destroy(loop);
	post_office_destroy(office);
}

int main(void)
{
	printf("drain: a poll that still waits for its channels is answered as soon as they are "
	       "there\n");
	open_all();
	send_poll();
	loop_run(loop);
	close_all();
	return 0;
}
