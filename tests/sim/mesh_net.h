/*
 * mesh_net.h - many nodes and the network between them, in one thread and virtual time.
 *
 * A link carries frames in order, and stands for both lanes between two nodes. What TCP does to it:
 * a process that is killed closes its links; one that is stopped takes nothing, but its kernel
 * still acknowledges; over a cut way bytes wait, and go on when it heals, or the link is lost after
 * LINK_SILENCE_MS. A dial is refused where no process listens, and times out where nobody answers.
 *
 * Threads:   one.
 * Ownership: the net owns its nodes, their memberships and all that is under way, till net_free().
 * Limits:    NET_NODES_MAX nodes. All chance comes from one seed: a run can be repeated.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "mesh/membership.h"

#define NET_NODES_MAX 128
#define LINK_SILENCE_MS 3000 /* TCP_USER_TIMEOUT */
#define HELLO_MS 3000        /* for the other side's HELLO */
#define STALLED_LOOK_MS 50

struct net;
struct node;

enum net_event_kind {
	NET_TICK = 0, /* of node a */
	NET_FRAME,    /* the next one of a for b is there */
	NET_DIAL,     /* of a arrives at b */
	NET_FAILED,   /* the dial of a to b has failed */
	NET_DOWN,     /* a learns that its link to b has ended */
};

struct net_frame {
	struct net_frame *next;
	enum frame_type type;
	uint16_t slot;
	size_t len;
	char bytes[];
};

struct net_event {
	uint64_t at_ms, order;
	enum net_event_kind kind;
	uint32_t a, b;
	uint64_t boot_a, boot_b; /* of the processes that it is about */
	uint64_t link;           /* NET_FRAME, NET_DOWN: number of the link */
	bool flag;               /* NET_FAILED: refused. NET_DOWN: closed by the other side */
};

/* One end of a link. */
struct net_end {
	uint64_t link; /* its number; 0: none */
	struct member *member;
	struct net_frame *first, *last; /* sent and not yet there */
	uint64_t there_ms;              /* when the last one will be */
	uint64_t stalled_ms;            /* since when nothing gets through; 0: it does */
};

struct node {
	struct net *net;
	uint32_t number;
	char name[16], address[32];
	uint64_t boots;      /* processes so far; the present one's number */
	bool is_up;          /* a process runs */
	bool is_unreachable; /* the machine is off, or cut from everybody */
	uint64_t paused_until_ms;
	uint64_t last_ms; /* it ran last */
	uint32_t accusations;
	struct membership_out out;
	struct membership *membership;
	struct net_end ends[NET_NODES_MAX];
};

struct net {
	uint64_t now_ms, order, links;
	uint32_t count;
	struct random random;
	uint32_t delay_ms;                      /* one way: 1 .. this */
	bool cut[NET_NODES_MAX][NET_NODES_MAX]; /* from, to */
	struct node nodes[NET_NODES_MAX];
	struct net_event *events; /* a heap */
	size_t event_count, event_room;
	const struct slice *seeds;
	size_t seed_count;
	bool keeps_silent;
	/* What the test wants to know. */
	void (*changed)(struct net *net, struct node *node, const struct member *member);
	/* Who stands above the membership: a node ran; a frame that is not about members. */
	void (*ran)(struct net *net, struct node *node);
	void (*take)(struct net *net, struct node *node, uint32_t from, const struct frame *frame);
	bool prints; /* a line for each thing that happens */
	uint64_t frames;
};

/* ---- what will happen ---- */

static bool net_is_before(const struct net_event *a, const struct net_event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void net_swap(struct net *net, size_t i, size_t j)
{
	struct net_event event = net->events[i];
	net->events[i] = net->events[j];
	net->events[j] = event;
}

static void net_plan(struct net *net, struct net_event event)
{
	if (net->event_count == net->event_room) {
		net->event_room = net->event_room == 0 ? 1024 : 2 * net->event_room;
		net->events = realloc(net->events, net->event_room * sizeof(event));
		CHECK(net->events != NULL);
	}
	CHECK(event.at_ms >= net->now_ms);
	event.order = net->order++;
	size_t i = net->event_count++;
	net->events[i] = event;
	for (; i > 0 && net_is_before(&net->events[i], &net->events[(i - 1) / 2]); i = (i - 1) / 2)
		net_swap(net, i, (i - 1) / 2);
}

static struct net_event net_take(struct net *net)
{
	CHECK(net->event_count > 0);
	struct net_event first = net->events[0];
	net->events[0] = net->events[--net->event_count];
	for (size_t i = 0;;) {
		size_t least = i;
		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
			if (child < net->event_count &&
			    net_is_before(&net->events[child], &net->events[least]))
				least = child;
		}
		if (least == i)
			return first;
		net_swap(net, i, least);
		i = least;
	}
}

static uint64_t net_delay(struct net *net)
{
	return 1 + random_below(&net->random, net->delay_ms);
}

static void net_say(const struct net *net, const struct node *node, const char *what,
                    const char *which)
{
	if (net->prints)
		printf("%8llu %s/%llu %s %s\n", (unsigned long long)net->now_ms, node->name,
		       (unsigned long long)node->boots, what, which);
}

static bool net_is_open(const struct net *net, uint32_t from, uint32_t to)
{
	return !net->cut[from][to] && !net->nodes[from].is_unreachable &&
	       !net->nodes[to].is_unreachable;
}

static bool net_is_whole(const struct net *net, uint32_t a, uint32_t b)
{
	return net_is_open(net, a, b) && net_is_open(net, b, a);
}

static struct node *net_find(struct net *net, struct slice address)
{
	for (uint32_t i = 0; i < net->count; i++) {
		if (slice_is(address, net->nodes[i].address))
			return &net->nodes[i];
	}
	return NULL;
}

static struct boot_id net_boot(const struct node *node, uint64_t boots)
{
	return (struct boot_id){{0x5741 + node->number * 7919u, boots}};
}

/* ---- links ---- */

static void end_clear(struct net_end *end)
{
	while (end->first != NULL) {
		struct net_frame *frame = end->first;
		end->first = frame->next;
		free(frame);
	}
	*end = (struct net_end){0};
}

/* The other side will know, if the word gets there. */
static void net_tell_closed(struct net *net, const struct node *node, uint32_t to)
{
	const struct node *other = &net->nodes[to];
	if (!net_is_open(net, node->number, to))
		return;
	net_plan(net, (struct net_event){.at_ms = net->now_ms + net_delay(net),
	                                 .kind = NET_DOWN,
	                                 .a = to,
	                                 .b = node->number,
	                                 .boot_a = other->boots,
	                                 .link = node->ends[to].link,
	                                 .flag = true});
}

/* ---- what a node asks ---- */

static struct node *node_of(struct membership_out *out)
{
	return CONTAINER_OF(out, struct node, out);
}

static uint32_t number_of(struct node *node, const struct member *member)
{
	for (uint32_t i = 0; i < node->net->count; i++) {
		if (node->ends[i].member == member)
			return i;
	}
	CHECK(false);
	return 0;
}

static void net_send(struct node *node, uint32_t other, enum frame_type type, uint16_t slot,
                     struct slice body)
{
	struct net *net = node->net;
	struct net_end *end = &node->ends[other];
	struct net_frame *frame = malloc(sizeof(*frame) + body.len);
	CHECK(frame != NULL);
	*frame = (struct net_frame){.type = type, .slot = slot, .len = body.len};
	if (body.len > 0)
		memcpy(frame->bytes, body.at, body.len);
	if (end->first == NULL)
		end->first = frame;
	else
		end->last->next = frame;
	end->last = frame;
	uint64_t there_ms = net->now_ms + net_delay(net);
	end->there_ms = there_ms > end->there_ms ? there_ms : end->there_ms;
	net_plan(net, (struct net_event){.at_ms = end->there_ms,
	                                 .kind = NET_FRAME,
	                                 .a = node->number,
	                                 .b = other,
	                                 .link = end->link});
}

static void out_send(struct membership_out *out, struct member *to, enum frame_type type,
                     struct slice body)
{
	struct node *node = node_of(out);
	net_send(node, number_of(node, to), type, 0, body);
}

static void out_dial(struct membership_out *out, struct slice address)
{
	struct node *node = node_of(out);
	struct net *net = node->net;
	struct node *other = net_find(net, address);
	CHECK(other != NULL);
	if (node->ends[other->number].link != 0)
		return;
	net_plan(net, (struct net_event){.at_ms = net->now_ms + net_delay(net),
	                                 .kind = NET_DIAL,
	                                 .a = node->number,
	                                 .b = other->number,
	                                 .boot_a = node->boots,
	                                 .boot_b = net->now_ms}); /* when it was dialled */
}

/* Its own end is told later, as a loop would find out. */
static void out_close(struct membership_out *out, struct member *member, enum bye why)
{
	struct node *node = node_of(out);
	uint32_t other = number_of(node, member);
	net_say(node->net, node, "closes the link:", bye_sentence(why));
	net_tell_closed(node->net, node, other);
	net_plan(node->net, (struct net_event){.at_ms = node->net->now_ms,
	                                       .kind = NET_DOWN,
	                                       .a = node->number,
	                                       .b = other,
	                                       .boot_a = node->boots,
	                                       .link = node->ends[other].link});
}

static void out_changed(struct membership_out *out, const struct member *member)
{
	struct node *node = node_of(out);
	if (node->net->prints)
		printf("%8llu %s/%llu finds %s/%llu %s\n", (unsigned long long)node->net->now_ms,
		       node->name, (unsigned long long)node->boots, member->name,
		       (unsigned long long)member->boot.word[1],
		       member_state_name(member_state_of(member)));
	if (node->net->changed != NULL)
		node->net->changed(node->net, node, member);
}

static void out_accused(struct membership_out *out)
{
	struct node *node = node_of(out);
	node->accusations++;
	net_say(node->net, node, "was accused", "");
}

/* ---- processes ---- */

static void node_start(struct net *net, uint32_t number)
{
	struct node *node = &net->nodes[number];
	CHECK(!node->is_up);
	node->boots++;
	node->is_up = true;
	node->paused_until_ms = 0;
	node->last_ms = net->now_ms;
	node->out = (struct membership_out){.send = out_send,
	                                    .dial = out_dial,
	                                    .close = out_close,
	                                    .changed = out_changed,
	                                    .accused = out_accused};
	struct membership_options options = {.out = &node->out,
	                                     .boot = net_boot(node, node->boots),
	                                     .incarnation = 1000000 + net->now_ms,
	                                     .cluster = SLICE("sim"),
	                                     .name = slice_string(node->name),
	                                     .address = slice_string(node->address),
	                                     .release = SLICE("sim"),
	                                     .keeps_silent = net->keeps_silent,
	                                     .seeds = net->seeds,
	                                     .seed_count = net->seed_count,
	                                     .now_ms = net->now_ms,
	                                     .seed = random_next(&net->random)};
	node->membership = membership_create(&options);
	CHECK(node->membership != NULL);
	net_say(net, node, "starts", "");
	net_plan(net, (struct net_event){.at_ms = net->now_ms,
	                                 .kind = NET_TICK,
	                                 .a = number,
	                                 .boot_a = node->boots});
}

/* Killed, or gone of itself: its kernel closes what it had. */
static void node_kill(struct net *net, uint32_t number)
{
	struct node *node = &net->nodes[number];
	CHECK(node->is_up);
	net_say(net, node, "dies", "");
	for (uint32_t i = 0; i < net->count; i++) {
		if (node->ends[i].link != 0)
			net_tell_closed(net, node, i);
		end_clear(&node->ends[i]);
	}
	membership_destroy(node->membership);
	node->membership = NULL;
	node->is_up = false;
}

static void node_pause(struct net *net, uint32_t number, uint64_t ms)
{
	struct node *node = &net->nodes[number];
	uint64_t until = net->now_ms + ms;
	net_say(net, node, "is stopped", "");
	node->paused_until_ms = until > node->paused_until_ms ? until : node->paused_until_ms;
}

/* ---- what happens ---- */

static void link_down(struct net *net, struct node *node, uint32_t other, bool is_closed)
{
	struct member *member = node->ends[other].member;
	net_say(net, node, is_closed ? "sees closed the link to" : "has lost the link to",
	        net->nodes[other].name);
	end_clear(&node->ends[other]);
	membership_link_down(node->membership, member, is_closed ? LINK_END_CLOSED : LINK_END_LOST,
	                     net->now_ms);
}

/* Nothing gets through: it waits, but not for ever. */
static void net_stall(struct net *net, struct net_event event)
{
	struct node *node = &net->nodes[event.a];
	struct net_end *end = &node->ends[event.b];
	if (end->stalled_ms == 0)
		end->stalled_ms = net->now_ms;
	bool is_lost = net->now_ms - end->stalled_ms >= LINK_SILENCE_MS;
	event.at_ms = net->now_ms + STALLED_LOOK_MS;
	if (is_lost) {
		event.at_ms = net->now_ms;
		event.kind = NET_DOWN;
		event.boot_a = node->boots;
		event.flag = false;
	}
	net_plan(net, event);
}

static bool net_is_paused(const struct net *net, const struct node *node)
{
	return node->paused_until_ms > net->now_ms;
}

static void net_frame(struct net *net, struct net_event event)
{
	struct node *from = &net->nodes[event.a], *to = &net->nodes[event.b];
	struct net_end *end = &from->ends[event.b];
	if (end->link != event.link)
		return; /* it ended */
	if (!net_is_open(net, event.a, event.b)) {
		net_stall(net, event);
		return;
	}
	/* What is on its way back is not acknowledged either, where only one way is cut. */
	if (net_is_open(net, event.b, event.a))
		end->stalled_ms = 0;
	else if (end->stalled_ms == 0)
		end->stalled_ms = net->now_ms;
	if (to->ends[event.a].link != event.link)
		return;
	if (net_is_paused(net, to)) {
		event.at_ms = to->paused_until_ms;
		net_plan(net, event);
		return;
	}
	struct net_frame *sent = end->first;
	CHECK(sent != NULL);
	end->first = sent->next;
	struct frame frame = {
		.type = sent->type, .slot = sent->slot, .body = slice_of(sent->bytes, sent->len)};
	net->frames++;
	if (frame.type >= FRAME_MAP) {
		membership_heard(to->membership, to->ends[event.a].member, net->now_ms);
		net->take(net, to, event.a, &frame);
	} else {
		bool is_good = membership_take(to->membership, to->ends[event.a].member, &frame,
		                               net->now_ms);
		CHECK(is_good);
	}
	free(sent);
	if (net->ran != NULL)
		net->ran(net, to);
	if (end->stalled_ms != 0 && net->now_ms - end->stalled_ms >= LINK_SILENCE_MS &&
	    end->link == event.link)
		link_down(net, from, event.b, false);
}

static void net_failed(struct net *net, const struct net_event *event, uint64_t after_ms,
                       bool is_refused)
{
	net_plan(net, (struct net_event){.at_ms = net->now_ms + after_ms,
	                                 .kind = NET_FAILED,
	                                 .a = event->a,
	                                 .b = event->b,
	                                 .boot_a = event->boot_a,
	                                 .flag = is_refused});
}

/* Both sides have the other's HELLO at once here; the one that was dialled decides first. */
static void net_link(struct net *net, struct node *a, struct node *b)
{
	struct hello of_a, of_b;
	struct net_end *at_a = &a->ends[b->number], *at_b = &b->ends[a->number];
	membership_hello(a->membership, &of_a);
	membership_hello(b->membership, &of_b);
	if (a == b) {
		struct member *nobody;
		CHECK(membership_link_up(a->membership, &of_a, net->now_ms, &nobody) == BYE_SELF);
		return;
	}
	/* The member is known only when it is up, but what it says then goes to this end. */
	uint64_t link = ++net->links;
	struct buf text = {0};
	struct hello wired;
	hello_write(&text, &of_a);
	bool is_good = hello_read(buf_view(&text), &wired);
	CHECK(is_good);
	at_b->link = link;
	enum bye why_b = membership_link_up(b->membership, &wired, net->now_ms, &at_b->member);
	buf_free(&text);
	if (why_b != BYE_COUNT) {
		net_say(net, b, "sends away:", bye_sentence(why_b));
		end_clear(at_b);
		return;
	}
	at_a->link = link;
	enum bye why_a = membership_link_up(a->membership, &of_b, net->now_ms, &at_a->member);
	if (why_a == BYE_COUNT)
		return;
	net_say(net, a, "sends away:", bye_sentence(why_a));
	net_tell_closed(net, a, b->number);
	end_clear(at_a);
}

static void net_dial(struct net *net, struct net_event event)
{
	struct node *a = &net->nodes[event.a], *b = &net->nodes[event.b];
	if (a->ends[event.b].link != 0 || b->ends[event.a].link != 0) {
		/* An end that is left over from before is found out by the dial. */
		if (a->ends[event.b].link == 0 && !net_is_paused(net, b))
			link_down(net, b, event.a, true);
		else if (b->ends[event.a].link == 0)
			return;
		if (a->ends[event.b].link != 0)
			return;
	}
	if (!net_is_whole(net, event.a, event.b) || net_is_paused(net, b)) {
		uint64_t waited = net->now_ms - event.boot_b;
		if (waited >= HELLO_MS) {
			net_failed(net, &event, 0, false);
			return;
		}
		event.at_ms = net->now_ms + STALLED_LOOK_MS;
		net_plan(net, event);
		return;
	}
	if (!b->is_up)
		net_failed(net, &event, net_delay(net), true);
	else
		net_link(net, a, b);
}

static void net_tick(struct net *net, struct node *node)
{
	node->last_ms = net->now_ms;
	membership_tick(node->membership, net->now_ms);
	net_plan(net, (struct net_event){.at_ms = net->now_ms + MEMBERSHIP_TICK_MS,
	                                 .kind = NET_TICK,
	                                 .a = node->number,
	                                 .boot_a = node->boots});
}

static void net_happen(struct net *net, struct net_event event)
{
	struct node *node = &net->nodes[event.a];
	if (event.kind == NET_FRAME) {
		net_frame(net, event);
		return;
	}
	if (!node->is_up || node->boots != event.boot_a)
		return;
	if (net_is_paused(net, node)) {
		event.at_ms = node->paused_until_ms;
		net_plan(net, event);
		return;
	}
	switch (event.kind) {
	case NET_TICK:
		net_tick(net, node);
		break;
	case NET_DIAL:
		net_dial(net, event);
		break;
	case NET_FAILED:
		membership_dial_failed(node->membership, slice_string(net->nodes[event.b].address),
		                       event.flag, net->now_ms);
		break;
	case NET_DOWN:
		if (node->ends[event.b].link == event.link)
			link_down(net, node, event.b, event.flag);
		break;
	default:
		CHECK(false);
	}
	if (net->ran != NULL)
		net->ran(net, node);
}

static void net_run_until(struct net *net, uint64_t until_ms)
{
	while (net->event_count > 0 && net->events[0].at_ms <= until_ms) {
		struct net_event event = net_take(net);
		CHECK(event.at_ms >= net->now_ms);
		net->now_ms = event.at_ms;
		net_happen(net, event);
	}
	net->now_ms = until_ms;
}

static void net_run(struct net *net, uint64_t ms)
{
	net_run_until(net, net->now_ms + ms);
}

/* ---- faults ---- */

static void net_cut(struct net *net, uint32_t a, uint32_t b, bool is_cut)
{
	net->cut[a][b] = net->cut[b][a] = is_cut;
}

/* Each node is on the side that its number has in `sides`. */
static void net_part(struct net *net, const uint8_t *sides)
{
	for (uint32_t a = 0; a < net->count; a++) {
		for (uint32_t b = 0; b < net->count; b++)
			net->cut[a][b] = sides[a] != sides[b];
	}
}

static void net_heal(struct net *net)
{
	memset(net->cut, 0, sizeof(net->cut));
	for (uint32_t i = 0; i < net->count; i++)
		net->nodes[i].is_unreachable = false;
}

/* ---- making and breaking ---- */

static struct net *net_make(uint32_t count, uint64_t seed)
{
	CHECK(count <= NET_NODES_MAX);
	struct net *net = calloc(1, sizeof(*net));
	CHECK(net != NULL);
	net->count = count;
	net->random.state = seed;
	net->delay_ms = 2;
	net->now_ms = 1000000;
	for (uint32_t i = 0; i < count; i++) {
		struct node *node = &net->nodes[i];
		node->net = net;
		node->number = i;
		snprintf(node->name, sizeof(node->name), "n%u", i);
		snprintf(node->address, sizeof(node->address), "10.0.0.%u:7900", i);
	}
	return net;
}

static void net_free(struct net *net)
{
	net->prints = false;
	for (uint32_t i = 0; i < net->count; i++) {
		for (uint32_t j = 0; j < net->count; j++)
			end_clear(&net->nodes[i].ends[j]);
		membership_destroy(net->nodes[i].membership);
	}
	free(net->events);
	free(net);
}
