/*
 * edge_up.h - what an edge finds above it, where nothing is: its worker is the only one of a node
 * that is alone. Its letters go into an office, and come back; its turns are a loop's. Who tests
 * more than that puts it in place of what is here, into `up` or `handler`.
 */
#pragma once

#include "edge/edge.h"
#include "net/listen.h"
#include "node/letter.h"

static bool on_after(struct loop_handler *handler); /* is the test's */

static struct post_office *office; /* the worker is its first member */
static struct loop *loop;
static struct edge *edge;

/* ---- what it calls ---- */

static void up_post(struct edge_up *from, uint32_t worker, const struct hub_mail *mail)
{
	struct letter letter = {.kind = LETTER_HUB, .hub = *mail};
	(void)from;
	mailbox_post(office, 0, worker, &letter);
}

static void up_post_edge(struct edge_up *from, uint32_t worker, const struct edge_mail *mail)
{
	struct letter letter = {.kind = LETTER_EDGE, .edge = *mail};
	(void)from;
	mailbox_post(office, 0, worker, &letter);
}

static bool up_has_room(struct edge_up *from)
{
	(void)from;
	return mailbox_has_room(office, 0, HUB_LETTERS_MAX);
}

static bool up_is_congested(struct edge_up *from)
{
	(void)from;
	return mailbox_is_congested(office, 0);
}

static void up_letters(struct edge_up *from, uint64_t *incoming, uint64_t *queued)
{
	(void)from;
	*incoming = mailbox_incoming(office, 0);
	*queued = mailbox_queued(office, 0);
}

static bool up_write_cluster(struct edge_up *from, struct slab_handle asker, struct buf *out)
{
	(void)from;
	(void)asker;
	buf_string(out, "{}");
	return true;
}

static uint32_t up_ask_nodes(struct edge_up *from, const struct survey_question *question,
                             uint16_t *nodes)
{
	(void)from;
	(void)question;
	(void)nodes;
	return 0;
}

static void up_write(struct edge_up *from, struct buf *out)
{
	(void)from;
	(void)out;
}

static void up_log(struct edge_up *from, const struct edge_line *line)
{
	(void)from;
	(void)line;
}

static struct edge_up up = {
	.post = up_post,
	.post_edge = up_post_edge,
	.has_room = up_has_room,
	.is_congested = up_is_congested,
	.letters = up_letters,
	.write_cluster = up_write_cluster,
	.ask_nodes = up_ask_nodes,
	.write_figures = up_write,
	.write_metrics = up_write,
	.log = up_log,
};

/* ---- its turns ---- */

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
	return TURN_MAILS_MAX;
}

static void on_letter(struct loop_handler *handler, const void *bytes)
{
	const struct letter *letter = bytes;
	(void)handler;
	role_enter_worker();
	CHECK(letter->kind == LETTER_EDGE || letter->kind == LETTER_HUB);
	if (letter->kind == LETTER_EDGE)
		edge_receive_mail(edge, &letter->edge);
	else
		edge_receive(edge, &letter->hub);
}

static void on_timer(struct loop_handler *handler, struct timer *timer)
{
	(void)handler;
	role_enter_worker();
	edge_timer(edge, timer);
}

static struct loop_handler handler = {on_begin,  on_ready, on_letters_max,
                                      on_letter, on_timer, on_after};

static void loop_open(uint32_t members)
{
	office = post_office_create(members, sizeof(struct letter));
	CHECK(office != NULL);
	loop = loop_create(&(struct loop_options){.handler = &handler,
	                                          .office = office,
	                                          .letter_bytes = sizeof(struct letter),
	                                          .letters_follow = HUB_LETTERS_MAX});
	CHECK(loop != NULL);
}

/* The edge is gone; its letters are discarded. */
static void loop_close(void)
{
	struct letter letter;
	while (mailbox_take(office, 0, &letter))
		letter_discard(&letter);
	loop_destroy(loop);
	post_office_destroy(office);
}
