/*
 * A poll that is sent away before its channels have answered. A loop with an edge, which is one
 * worker of two: the other one is this test, and answers when it likes.
 */
#include <stdlib.h>

#include "edge_loop.h"

#define CHANNELS 8 /* some of them the other worker's */

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

static uint32_t letters_max(void)
{
	return 0;
}

static void take_letter(const void *letter)
{
	(void)letter;
	CHECK(false);
}

int main(void)
{
	printf("drain: a poll that still waits for its channels is answered as soon as they are "
	       "there\n");
	open_all(&up, 2, LOOP_LETTER_MAX);
	send_poll();
	loop_run(loop);
	close_all();
	return 0;
}
