/*
 * The membership calls back while it looks at its members: what has to end then is only marked, and
 * ends in settle(), which every way in goes through last. Connections and links that ended are
 * freed there too, so that no loop over them loses its ground.
 */
#include "mesh/link.h"

#include <stdlib.h>

#include "mesh/pack.h"

#define LATE_MS 100u
#define SELVES_MAX 8u

enum link_state {
	LINK_DIALLING = 0, /* control lane: connecting, or waiting for HELLO */
	LINK_OPENING,      /* data lane: connecting */
	LINK_COMMITTED,    /* HELLO was said on the data lane */
	LINK_KNOCKING,     /* accepted: the data lane is to come */
	LINK_UP,
	LINK_HALF, /* was up; one lane was ended by the other side */
	LINK_GONE, /* to be freed */
};

struct link {
	struct list_node node;
	enum link_state state;
	bool is_dialled, is_high;
	bool is_marked;     /* to be ended, with `why` */
	bool was_dismissed; /* the other side said BYE */
	enum bye why;
	struct conn_of_link *lanes[FRAME_LANE_EITHER];
	struct member *member;           /* LINK_UP, LINK_HALF */
	struct boot_id boot;             /* once it said HELLO */
	uint64_t pair;                   /* the dial's number, of its dialler */
	uint64_t stamp;                  /* the other side's last */
	uint64_t due_ms;                 /* of the dial, the knocking, or the half link */
	char address[LINK_ADDRESS_MAX];  /* in numbers; dialled, or empty */
	char asked[MEMBER_TEXT_MAX + 1]; /* as it was to be dialled */
};

struct links {
	struct membership *membership;
	struct membership_out up;
	struct links_out *out;
	struct boot_id boot;
	struct list links, pending, closed;
	uint32_t link_count, pending_count;
	uint64_t pairs, stamp;
	uint64_t now_ms, ticked_ms;
	size_t waiting_bytes; /* on all data lanes */
	uint8_t key_count;
	bool is_paused, is_leaving;
	uint32_t self_count;
	char selves[SELVES_MAX][LINK_ADDRESS_MAX]; /* where this node itself answered */
};

static struct link *link_at(struct list_node *node)
{
	return CONTAINER_OF(node, struct link, node);
}

static struct link *first_link(const struct links *links)
{
	struct list_node *node = list_first(&links->links);
	return node == NULL ? NULL : link_at(node);
}

static struct link *link_after(const struct links *links, const struct link *link)
{
	struct list_node *node = list_after(&links->links, &link->node);
	return node == NULL ? NULL : link_at(node);
}

/* ---- ends ---- */

static void count(const struct links *links, enum mesh_counter counter)
{
	links->out->count(links->out, counter, 1);
}

static void conn_close(struct links *links, struct conn_of_link *conn)
{
	if (conn->is_closed)
		return;
	conn->is_closed = true;
	if (conn->link == NULL)
		links->pending_count--;
	else if (conn->link->lanes[conn->lane.kind] == conn)
		conn->link->lanes[conn->lane.kind] = NULL;
	conn->link = NULL;
	links->waiting_bytes -= conn->lane.queue_bytes;
	if (list_is_linked(&conn->node))
		list_remove(&conn->node);
	list_append(&links->closed, &conn->node);
	links->out->close(links->out, conn);
}

static void say_bye(struct conn_of_link *conn, enum bye why)
{
	struct buf body = {0};
	if (!conn->is_open)
		return;
	bye_write(&body, why);
	/* Without memory the other side sees the end alone. */
	if (!body.is_broken)
		(void)!lane_say(&conn->lane, FRAME_BYE, 0, buf_view(&body));
	buf_free(&body);
}

static bool is_up(const struct link *link)
{
	return link->state == LINK_UP || link->state == LINK_HALF;
}

static void close_lanes(struct links *links, struct link *link, enum bye why)
{
	if (why != BYE_COUNT && !link->was_dismissed && link->lanes[FRAME_LANE_CONTROL] != NULL)
		say_bye(link->lanes[FRAME_LANE_CONTROL], why);
	for (int i = 0; i < FRAME_LANE_EITHER; i++) {
		if (link->lanes[i] != NULL)
			conn_close(links, link->lanes[i]);
	}
}

/* A link that is standing. BYE_COUNT: the other side needs no word. */
static void link_down(struct links *links, struct link *link, enum link_end how, enum bye why)
{
	struct member *member = link->member;
	const char *sentence = how == LINK_END_CLOSED ? "it closed its connections"
	                       : why != BYE_COUNT     ? bye_sentence(why)
	                                              : "the connection was lost";
	if (link->was_dismissed)
		sentence = bye_sentence(link->why);
	link->state = LINK_GONE;
	close_lanes(links, link, why);
	bool is_closed = how == LINK_END_CLOSED || why == BYE_LEAVING;
	count(links, is_closed ? MESH_LINKS_CLOSED : MESH_LINKS_LOST);
	links->out->event(links->out, LINK_EVENT_DOWN, member->name, sentence);
	membership_link_down(links->membership, member, how, links->now_ms);
	links->out->changed(links->out, member);
}

/* A dial that came to nothing, or one that knocked. */
static void link_drop(struct links *links, struct link *link, enum bye why, bool is_refused)
{
	bool is_dialled = link->is_dialled;
	link->state = LINK_GONE;
	close_lanes(links, link, why);
	/* One that met another link, or this very node, has not failed. */
	if (!is_dialled || why == BYE_TWICE || why == BYE_SELF)
		return;
	count(links, MESH_DIALS_FAILED);
	membership_dial_failed(links->membership, slice_string(link->asked), is_refused,
	                       links->now_ms);
}

static void link_end(struct links *links, struct link *link, enum bye why)
{
	if (is_up(link))
		link_down(links, link, LINK_END_LOST, why);
	else
		link_drop(links, link, why, false);
}

static void link_mark(struct link *link, enum bye why)
{
	if (link->is_marked || link->state == LINK_GONE)
		return;
	link->is_marked = true;
	link->why = why;
}

static bool end_marked(struct links *links)
{
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link)) {
		if (!link->is_marked || link->state == LINK_GONE)
			continue;
		link->is_marked = false;
		link_end(links, link, link->why);
		return true;
	}
	return false;
}

static void free_gone(struct links *links)
{
	struct list_node *node;
	for (struct link *link = first_link(links), *next; link != NULL; link = next) {
		next = link_after(links, link);
		if (link->state != LINK_GONE)
			continue;
		list_remove(&link->node);
		links->link_count--;
		free(link);
	}
	while ((node = list_first(&links->closed)) != NULL) {
		struct conn_of_link *conn = CONTAINER_OF(node, struct conn_of_link, node);
		list_remove(node);
		lane_free(&conn->lane);
		free(conn);
	}
}

static void settle(struct links *links)
{
	while (end_marked(links))
		;
	free_gone(links);
}

/* ---- what the membership asks ---- */

static struct links *links_under(struct membership_out *up)
{
	return CONTAINER_OF(up, struct links, up);
}

static struct link *find_up(const struct links *links, struct boot_id boot)
{
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link)) {
		if (is_up(link) && boot_id_equals(link->boot, boot))
			return link;
	}
	return NULL;
}

static void wake(struct links *links, struct conn_of_link *conn, size_t waited)
{
	if (waited == 0)
		conn->moved_ms = links->now_ms;
	links->out->wake(links->out, conn);
}

/* On the control lane of a link that is up. */
static void say(struct links *links, struct link *link, enum frame_type type, uint16_t slot,
                struct slice body)
{
	struct conn_of_link *conn = link->lanes[FRAME_LANE_CONTROL];
	if (link->state != LINK_UP || conn == NULL)
		return; /* its end is known, and will be told */
	size_t waited = lane_waiting(&conn->lane);
	if (waited + FRAME_HEAD_BYTES + body.len > LINK_CONTROL_MAX ||
	    !lane_say(&conn->lane, type, slot, body)) {
		link_mark(link, BYE_MEMORY);
		return;
	}
	count(links, MESH_FRAMES_OUT);
	wake(links, conn, waited);
}

static void up_send(struct membership_out *up, struct member *to, enum frame_type type,
                    struct slice body)
{
	struct links *links = links_under(up);
	struct link *link = find_up(links, to->boot);
	if (link != NULL)
		say(links, link, type, 0, body);
}

/* Whether a link to it stands, or is being dialled. */
static bool is_dialled(const struct links *links, struct slice address)
{
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link)) {
		if (link->state == LINK_GONE)
			continue;
		/* By a name there may be others, beside the one that stands. */
		if (slice_is(address, link->address) ||
		    slice_is(address, is_up(link) ? link->member->address : link->asked))
			return true;
	}
	for (uint32_t i = 0; i < links->self_count; i++) {
		if (slice_is(address, links->selves[i]))
			return true;
	}
	return false;
}

static void up_dial(struct membership_out *up, struct slice address)
{
	struct links *links = links_under(up);
	if (!links->is_leaving && !is_dialled(links, address))
		links->out->dial(links->out, address);
}

static void up_close(struct membership_out *up, struct member *member, enum bye why)
{
	struct link *link = find_up(links_under(up), member->boot);
	if (link != NULL)
		link_mark(link, why);
}

static void up_changed(struct membership_out *up, const struct member *member)
{
	struct links *links = links_under(up);
	links->out->changed(links->out, member);
}

static void up_accused(struct membership_out *up)
{
	struct links *links = links_under(up);
	links->out->accused(links->out);
}

/* ---- making and breaking ---- */

struct links *links_create(const struct membership_options *options, struct links_out *out)
{
	struct links *links = calloc(1, sizeof(*links));
	if (links == NULL)
		return NULL;
	list_init(&links->links);
	list_init(&links->pending);
	list_init(&links->closed);
	links->out = out;
	links->up = (struct membership_out){.send = up_send,
	                                    .dial = up_dial,
	                                    .close = up_close,
	                                    .changed = up_changed,
	                                    .accused = up_accused};
	links->boot = options->boot;
	links->now_ms = links->ticked_ms = options->now_ms;
	links->key_count = 1;
	struct membership_options own = *options;
	own.out = &links->up;
	links->membership = membership_create(&own);
	if (links->membership != NULL)
		return links;
	free(links);
	return NULL;
}

void links_destroy(struct links *links)
{
	struct list_node *node;
	if (links == NULL)
		return;
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link)) {
		close_lanes(links, link, BYE_COUNT);
		link->state = LINK_GONE;
	}
	while ((node = list_first(&links->pending)) != NULL)
		conn_close(links, CONTAINER_OF(node, struct conn_of_link, node));
	free_gone(links);
	membership_destroy(links->membership);
	free(links);
}

const struct membership *links_membership(const struct links *links)
{
	return links->membership;
}

void links_set_load(struct links *links, uint32_t clients, uint32_t homes)
{
	membership_set_load(links->membership, clients, homes);
}

void links_set_keys(struct links *links, uint8_t key_count)
{
	CHECK(key_count > 0);
	links->key_count = key_count;
}

void links_drain(struct links *links, uint64_t now_ms)
{
	links->now_ms = now_ms;
	membership_drain(links->membership, now_ms);
	settle(links);
}

void links_leave(struct links *links, uint64_t now_ms)
{
	links->now_ms = now_ms;
	links->is_leaving = true;
	membership_leave(links->membership);
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link)) {
		struct conn_of_link *conn = link->lanes[FRAME_LANE_CONTROL];
		if (link->state != LINK_UP) {
			link_mark(link, BYE_LEAVING);
		} else if (conn != NULL) {
			say_bye(conn, BYE_LEAVING);
			links->out->wake(links->out, conn);
		}
	}
	settle(links);
}

bool links_are_none(const struct links *links)
{
	return list_is_empty(&links->links);
}

/* ---- connections ---- */

static struct conn_of_link *conn_make(struct links *links, struct link *link, enum frame_lane lane)
{
	struct conn_of_link *conn = calloc(1, sizeof(*conn));
	if (conn == NULL)
		return NULL;
	lane_init(&conn->lane, lane);
	conn->link = link;
	conn->due_ms = links->now_ms + LINK_HELLO_MS;
	if (link == NULL) {
		list_append(&links->pending, &conn->node);
		links->pending_count++;
		return conn;
	}
	CHECK(link->lanes[lane] == NULL);
	link->lanes[lane] = conn;
	conn->is_dialled = true;
	return conn;
}

static struct link *link_make(struct links *links, enum link_state state)
{
	struct link *link = links->link_count < LINKS_MAX ? calloc(1, sizeof(*link)) : NULL;
	if (link == NULL)
		return NULL;
	links->link_count++;
	link->state = state;
	link->due_ms = links->now_ms + LINK_HELLO_MS;
	list_append(&links->links, &link->node);
	return link;
}

static void copy_text(char *out, size_t room, struct slice text)
{
	size_t len = text.len < room ? text.len : room - 1;
	if (len > 0)
		memcpy(out, text.at, len);
	out[len] = '\0';
}

static void connect_lane(struct links *links, struct link *link, enum frame_lane lane, uint8_t key)
{
	struct conn_of_link *conn = conn_make(links, link, lane);
	if (conn == NULL) {
		link_mark(link, BYE_MEMORY);
		return;
	}
	conn->key = key;
	copy_text(conn->from, sizeof(conn->from), slice_string(link->address));
	link->due_ms = links->now_ms + LINK_HELLO_MS;
	links->out->connect(links->out, conn, slice_string(link->address));
}

void links_connect(struct links *links, struct slice numeric, struct slice asked, uint64_t now_ms)
{
	/* By a name it may be one that is known; then that name is not dialled for its sake. */
	if (links->is_leaving || is_dialled(links, numeric) || numeric.len >= LINK_ADDRESS_MAX ||
	    asked.len > MEMBER_TEXT_MAX)
		return;
	links->now_ms = now_ms > links->now_ms ? now_ms : links->now_ms;
	struct link *link = link_make(links, LINK_DIALLING);
	if (link == NULL)
		return; /* it is dialled again */
	link->is_dialled = true;
	copy_text(link->address, sizeof(link->address), numeric);
	copy_text(link->asked, sizeof(link->asked), asked);
	link->pair = ++links->pairs;
	connect_lane(links, link, FRAME_LANE_CONTROL, 0);
}

void links_unknown(struct links *links, struct slice asked, uint64_t now_ms)
{
	links->now_ms = now_ms;
	count(links, MESH_DIALS_FAILED);
	membership_dial_failed(links->membership, asked, false, now_ms);
	settle(links);
}

/* Who has shown a key may play again what a node said once: only the end of the handshake proves
 * that it holds the secret. So those do not crowd out whoever has not come to show one. */
static struct conn_of_link *find_spare(const struct links *links)
{
	struct conn_of_link *silent = NULL, *shown = NULL, *proven = NULL;
	struct list_node *node = list_first(&links->pending);
	uint32_t shown_count = 0;
	for (; node != NULL; node = list_after(&links->pending, node)) {
		struct conn_of_link *conn = CONTAINER_OF(node, struct conn_of_link, node);
		struct conn_of_link **first = conn->is_open     ? &proven
		                              : conn->has_shown ? &shown
		                                                : &silent;
		shown_count += first == &shown;
		if (*first == NULL)
			*first = conn;
	}
	if (silent != NULL && shown_count <= LINK_PENDING_MAX / 2)
		return silent;
	return shown != NULL ? shown : silent != NULL ? silent : proven;
}

/* For one stranger more. */
static void make_room(struct links *links)
{
	if (links->pending_count < LINK_PENDING_MAX)
		return;
	struct conn_of_link *spare = find_spare(links);
	CHECK(spare != NULL);
	count(links, MESH_REFUSED_CROWD);
	links->out->event(links->out, LINK_EVENT_REFUSED, spare->from,
	                  "too many handshakes were under way");
	conn_close(links, spare);
}

struct conn_of_link *links_accept(struct links *links, const char *from, uint64_t now_ms)
{
	links->now_ms = now_ms;
	make_room(links); /* before there is one that the caller does not know yet */
	struct conn_of_link *conn = conn_make(links, NULL, FRAME_LANE_CONTROL);
	if (conn != NULL)
		copy_text(conn->from, sizeof(conn->from), slice_string(from));
	settle(links);
	return conn;
}

static void say_hello(struct links *links, struct conn_of_link *conn, uint64_t pair)
{
	struct buf body = {0};
	struct hello hello;
	membership_hello(links->membership, &hello);
	hello.lane = (uint8_t)conn->lane.kind;
	hello.pair = pair;
	hello.stamp = conn->lane.kind == FRAME_LANE_DATA ? ++links->stamp : 0;
	hello_write(&body, &hello);
	bool is_said = !body.is_broken && lane_say(&conn->lane, FRAME_HELLO, 0, buf_view(&body));
	buf_free(&body);
	if (is_said)
		wake(links, conn, 0);
	else
		link_mark(conn->link, BYE_MEMORY);
}

void links_open(struct links *links, struct conn_of_link *conn, uint64_t now_ms)
{
	links->now_ms = now_ms;
	conn->is_open = true;
	if (!conn->is_dialled)
		return;
	struct link *link = conn->link;
	if (conn->lane.kind == FRAME_LANE_DATA) {
		/* While it was opened the other side's own dial may have become a link. */
		if (find_up(links, link->boot) != NULL)
			link_mark(link, BYE_TWICE);
		else
			link->state = LINK_COMMITTED;
	}
	if (!link->is_marked)
		say_hello(links, conn, link->pair);
	settle(links);
}

/* ---- HELLO ---- */

static void count_refusal(const struct links *links, enum bye why)
{
	switch (why) {
	case BYE_VERSION:
		count(links, MESH_REFUSED_VERSION);
		break;
	case BYE_CLUSTER:
		count(links, MESH_REFUSED_CLUSTER);
		break;
	case BYE_NAME_TAKEN:
		count(links, MESH_REFUSED_NAME);
		break;
	case BYE_MALFORMED:
		count(links, MESH_REFUSED_MALFORMED);
		break;
	default:
		count(links, MESH_REFUSED_OTHER);
		break;
	}
}

/* Who has said something that speaks against a link. */
static void refuse(struct links *links, struct conn_of_link *conn, enum bye why)
{
	if (why != BYE_TWICE && why != BYE_SELF) {
		count_refusal(links, why);
		links->out->event(links->out, LINK_EVENT_REFUSED, conn->from, bye_sentence(why));
	}
	if (conn->link != NULL) {
		link_mark(conn->link, why);
	} else {
		say_bye(conn, why);
		conn_close(links, conn);
	}
}

static struct link *find_dial(const struct links *links, struct boot_id boot,
                              const struct link *other)
{
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link)) {
		if (link->state == LINK_COMMITTED && link != other && !link->is_marked &&
		    boot_id_equals(link->boot, boot))
			return link;
	}
	return NULL;
}

static struct link *find_knocking(const struct links *links, struct boot_id boot)
{
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link)) {
		if (link->state == LINK_KNOCKING && !link->is_marked &&
		    boot_id_equals(link->boot, boot))
			return link;
	}
	return NULL;
}

static void remember_self(struct links *links, const struct link *link)
{
	if (links->self_count < SELVES_MAX)
		copy_text(links->selves[links->self_count++], LINK_ADDRESS_MAX,
		          slice_string(link->address));
}

/* Each slot has as many replicas as its home is told to give it. So nodes that are told otherwise
 * get along, as they must while they are restarted one after the other; but it is to be seen. */
static void compare(struct links *links, const struct link *link, const struct hello *hello)
{
	struct hello own;
	char why[64];
	membership_hello(links->membership, &own);
	if (hello->replicas == 0 || hello->replicas == own.replicas)
		return;
	snprintf(why, sizeof(why), "mesh.replicas is %u there, %u here", hello->replicas,
	         own.replicas);
	links->out->event(links->out, LINK_EVENT_UNLIKE, link->member->name, why);
}

/* The link is up when the membership takes it. What that says goes over it at once, so it is up
 * while it is asked. */
static void link_up(struct links *links, struct link *link, const struct hello *hello)
{
	enum link_state before = link->state;
	link->state = LINK_UP;
	link->stamp = hello->stamp;
	enum bye why = membership_link_up(links->membership, hello, links->now_ms, &link->member);
	if (why != BYE_COUNT) {
		link->state = before;
		refuse(links, link->lanes[FRAME_LANE_DATA], why);
		return;
	}
	count(links, MESH_LINKS_MADE);
	links->out->event(links->out, LINK_EVENT_UP, link->member->name, link->member->address);
	compare(links, link, hello);
	links->out->changed(links->out, link->member);
}

/* The first HELLO of who was dialled. */
static void take_answer(struct links *links, struct link *link, const struct hello *hello)
{
	enum bye why = membership_judge(links->membership, hello);
	if (why == BYE_SELF)
		remember_self(links, link);
	if (why == BYE_COUNT && (hello->lane != FRAME_LANE_CONTROL || hello->pair != link->pair))
		why = BYE_MALFORMED;
	if (why == BYE_COUNT &&
	    (find_up(links, hello->boot) != NULL || find_dial(links, hello->boot, link) != NULL))
		why = BYE_TWICE;
	if (why != BYE_COUNT) {
		refuse(links, link->lanes[FRAME_LANE_CONTROL], why);
		return;
	}
	link->boot = hello->boot;
	link->state = LINK_OPENING;
	connect_lane(links, link, FRAME_LANE_DATA, link->lanes[FRAME_LANE_CONTROL]->key);
}

/* The second one: it accepts. */
static void take_acceptance(struct links *links, struct link *link, const struct hello *hello)
{
	enum bye why = BYE_COUNT;
	if (link->state != LINK_COMMITTED || hello->lane != FRAME_LANE_DATA ||
	    hello->pair != link->pair || !boot_id_equals(hello->boot, link->boot))
		why = BYE_MALFORMED;
	else if (find_up(links, link->boot) != NULL)
		why = BYE_TWICE;
	if (why != BYE_COUNT)
		refuse(links, link->lanes[FRAME_LANE_DATA], why);
	else
		link_up(links, link, hello);
}

/* The first HELLO of who dials. */
static void take_knock(struct links *links, struct conn_of_link *conn, const struct hello *hello)
{
	enum bye why = membership_judge(links->membership, hello);
	struct link *former = find_knocking(links, hello->boot);
	if (former != NULL)
		link_mark(former, BYE_TWICE);
	if (why == BYE_COUNT && links->is_leaving)
		why = BYE_LEAVING;
	struct link *link = why == BYE_COUNT ? link_make(links, LINK_KNOCKING) : NULL;
	if (link == NULL) {
		refuse(links, conn, why == BYE_COUNT ? BYE_MEMORY : why);
		return;
	}
	link->boot = hello->boot;
	link->pair = hello->pair;
	link->lanes[FRAME_LANE_CONTROL] = conn;
	conn->link = link;
	list_remove(&conn->node);
	links->pending_count--;
	say_hello(links, conn, hello->pair);
}

/* Whether the second HELLO of a dial makes a link: see link.h. */
static bool is_to_be_accepted(struct links *links, const struct hello *hello)
{
	struct link *standing = find_up(links, hello->boot);
	struct link *own = find_dial(links, hello->boot, NULL);
	if (standing != NULL) {
		if (hello->stamp <= standing->stamp)
			return false;
		link_down(links, standing, LINK_END_LOST, BYE_TWICE);
		own = find_dial(links, hello->boot, NULL);
	}
	if (own == NULL)
		return true;
	if (boot_id_is_below(links->boot, hello->boot))
		return false;
	link_mark(own, BYE_TWICE);
	return true;
}

/* The second HELLO of who dials, on a connection of its own. */
static void take_second(struct links *links, struct conn_of_link *conn, const struct hello *hello)
{
	struct link *link = find_knocking(links, hello->boot);
	if (link == NULL || link->pair != hello->pair) {
		refuse(links, conn, BYE_TWICE); /* its first one has been given up */
		return;
	}
	conn->lane.kind = FRAME_LANE_DATA;
	conn->link = link;
	link->lanes[FRAME_LANE_DATA] = conn;
	list_remove(&conn->node);
	links->pending_count--;
	if (!is_to_be_accepted(links, hello)) {
		refuse(links, conn, BYE_TWICE);
		return;
	}
	say_hello(links, conn, hello->pair);
	if (!link->is_marked)
		link_up(links, link, hello);
}

static void take_hello(struct links *links, struct conn_of_link *conn, const struct frame *frame)
{
	struct hello hello;
	if (!hello_read(frame->body, &hello)) {
		refuse(links, conn, BYE_MALFORMED);
		return;
	}
	conn->has_hello = true;
	if (conn->is_dialled && conn->lane.kind == FRAME_LANE_CONTROL)
		take_answer(links, conn->link, &hello);
	else if (conn->is_dialled)
		take_acceptance(links, conn->link, &hello);
	else if (hello.lane == FRAME_LANE_CONTROL)
		take_knock(links, conn, &hello);
	else
		take_second(links, conn, &hello);
}

/* ---- frames ---- */

static void take_bye(struct links *links, struct conn_of_link *conn, const struct frame *frame)
{
	enum bye why;
	if (!bye_read(frame->body, &why)) {
		refuse(links, conn, BYE_MALFORMED);
		return;
	}
	struct link *link = conn->link;
	if (link == NULL) {
		conn_close(links, conn);
		return;
	}
	bool is_told = link->is_dialled && !is_up(link) && why != BYE_TWICE && why != BYE_SELF;
	if (is_told)
		links->out->event(links->out, LINK_EVENT_SENT_AWAY, link->address,
		                  bye_sentence(why));
	if (link->is_marked)
		return;
	link->was_dismissed = true;
	link_mark(link, why);
}

static bool take_credit(struct links *links, struct link *link, const struct frame *frame)
{
	struct unpack in = {.rest = frame->body};
	struct conn_of_link *data = link->lanes[FRAME_LANE_DATA];
	uint64_t granted = unpack_u64(&in);
	if (in.is_bad)
		return false;
	if (data == NULL)
		return true;
	lane_grant(&data->lane, granted);
	if (lane_can_give(&data->lane))
		links->out->wake(links->out, data);
	return true;
}

static void say_credit(struct links *links, struct link *link, uint64_t promised)
{
	struct buf body = {0};
	pack_u64(&body, promised);
	if (body.is_broken)
		link_mark(link, BYE_MEMORY);
	else
		say(links, link, FRAME_CREDIT, 0, buf_view(&body));
	buf_free(&body);
}

static bool take_frame_of_link(struct links *links, struct link *link, const struct frame *frame)
{
	if (frame->type == FRAME_CREDIT)
		return take_credit(links, link, frame);
	return membership_take(links->membership, link->member, frame, links->now_ms);
}

static void take_frame(struct links *links, struct conn_of_link *conn, const struct frame *frame)
{
	struct link *link = conn->link;
	if (frame->type == FRAME_BYE) {
		take_bye(links, conn, frame);
		return;
	}
	if ((frame->type == FRAME_HELLO) == conn->has_hello || (conn->has_hello && !is_up(link))) {
		refuse(links, conn, BYE_MALFORMED);
		return;
	}
	if (frame->type == FRAME_HELLO) {
		take_hello(links, conn, frame);
		return;
	}
	count(links, MESH_FRAMES_IN);
	if (frame->type >= FRAME_OF_WORKERS) {
		if (!links->out->take(links->out, link->member, frame))
			link_mark(link, BYE_MEMORY);
	} else if (frame->type != FRAME_NONE && !take_frame_of_link(links, link, frame)) {
		refuse(links, conn, BYE_MALFORMED);
	}
	if (conn->lane.kind == FRAME_LANE_DATA && lane_taken(&conn->lane))
		say_credit(links, link, conn->lane.promised);
}

/* From a stranger nothing is collected that is longer than what it has to say. */
static bool is_too_long(const struct conn_of_link *conn)
{
	struct unpack in = {.rest = buf_view(&conn->lane.in)};
	uint32_t length = unpack_u32(&in);
	return !conn->has_hello && !in.is_bad && length > LINK_HELLO_MAX;
}

/* What comes behind the HELLO of who was dialled waits until it has accepted; but it may say BYE.
 */
static bool may_read(const struct links *links, const struct conn_of_link *conn)
{
	const struct buf *in = &conn->lane.in;
	if (conn->is_closed || (conn->link != NULL && conn->link->is_marked))
		return false;
	if (!conn->has_hello)
		return true;
	if (!is_up(conn->link)) {
		size_t at = conn->lane.in_read + 4;
		return !conn->is_dialled ||
		       (in->len > at && (unsigned char)in->at[at] == FRAME_BYE);
	}
	return conn->lane.kind != FRAME_LANE_DATA || !links->is_paused;
}

static void read_frames(struct links *links, struct conn_of_link *conn)
{
	struct frame frame;
	const char *why;
	while (may_read(links, conn)) {
		enum frame_answer answer = lane_read(&conn->lane, &frame, &why);
		if (answer == FRAME_BAD || is_too_long(conn)) {
			refuse(links, conn, BYE_MALFORMED);
			return;
		}
		if (answer != FRAME_DONE)
			return;
		take_frame(links, conn, &frame);
	}
}

void links_came(struct links *links, struct conn_of_link *conn, uint64_t now_ms)
{
	links->now_ms = now_ms;
	struct link *link = conn->link;
	if (link != NULL && link->state == LINK_UP)
		membership_heard(links->membership, link->member, now_ms);
	read_frames(links, conn);
	/* What became a link by that may have frames waiting on its other lane. */
	link = conn->is_closed ? NULL : conn->link;
	if (link != NULL && link->state == LINK_UP) {
		for (int i = 0; i < FRAME_LANE_EITHER; i++) {
			if (link->lanes[i] != NULL && link->lanes[i] != conn)
				read_frames(links, link->lanes[i]);
		}
	}
	if (!conn->is_closed && conn->lane.kind == FRAME_LANE_DATA && conn->has_hello &&
	    lane_is_overdrawn(&conn->lane))
		refuse(links, conn, BYE_MALFORMED);
	settle(links);
}

void links_pause(struct links *links)
{
	links->is_paused = true;
}

bool links_are_paused(const struct links *links)
{
	return links->is_paused;
}

void links_go_on(struct links *links, uint64_t now_ms)
{
	links->now_ms = now_ms;
	links->is_paused = false;
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link)) {
		if (link->state == LINK_UP && link->lanes[FRAME_LANE_DATA] != NULL)
			read_frames(links, link->lanes[FRAME_LANE_DATA]);
	}
	settle(links);
}

void links_waiting(const struct links *links, uint64_t *waiting)
{
	const struct link *link = first_link(links);
	size_t queued = 0;
	memset(waiting, 0, FRAME_LANE_EITHER * sizeof(*waiting));
	for (; link != NULL; link = link_after(links, link)) {
		for (int lane = 0; lane < FRAME_LANE_EITHER; lane++) {
			if (link->lanes[lane] == NULL)
				continue;
			waiting[lane] += lane_waiting(&link->lanes[lane]->lane);
			queued += link->lanes[lane]->lane.queue_bytes;
		}
	}
	CHECK_SLOW(queued == links->waiting_bytes);
}

/* ---- sending ---- */

static void look_at_load(struct links *links, struct link *link)
{
	size_t bytes = lane_waiting(&link->lanes[FRAME_LANE_DATA]->lane);
	bool is_high = link->is_high ? bytes >= LINK_DATA_MAX / 4 : bytes > LINK_DATA_MAX / 4 * 3;
	if (is_high == link->is_high || link->state != LINK_UP)
		return;
	link->is_high = is_high;
	links->out->load(links->out, link->member, is_high);
}

static enum link_send send_data(struct links *links, struct link *link, enum frame_type type,
                                uint16_t slot, struct blob *body, bool is_lossy)
{
	struct conn_of_link *conn = link->lanes[FRAME_LANE_DATA];
	size_t bytes = FRAME_HEAD_BYTES + body->len, waited = lane_waiting(&conn->lane);
	bool has_room =
		waited + bytes <= LINK_DATA_MAX && links->waiting_bytes + bytes <= LINK_ALL_MAX;
	if (!has_room)
		blob_drop(body);
	if (!has_room && is_lossy) {
		count(links, MESH_FRAMES_LEFT_OUT);
		return LINK_LEFT_OUT;
	}
	if (!has_room || !lane_queue(&conn->lane, type, slot, body)) {
		link_mark(link, BYE_MEMORY);
		return LINK_SENT;
	}
	links->waiting_bytes += bytes;
	count(links, MESH_FRAMES_OUT);
	look_at_load(links, link);
	wake(links, conn, waited);
	return LINK_SENT;
}

enum link_send links_send(struct links *links, struct boot_id to, enum frame_type type,
                          uint16_t slot, struct blob *body, bool is_lossy, uint64_t now_ms)
{
	struct link *link = find_up(links, to);
	enum link_send answer = LINK_SENT;
	links->now_ms = now_ms;
	if (link == NULL || link->state != LINK_UP || link->lanes[FRAME_LANE_DATA] == NULL) {
		blob_drop(body);
		return LINK_SENT;
	}
	if (frame_lane_of(type) == FRAME_LANE_DATA) {
		answer = send_data(links, link, type, slot, body, is_lossy);
	} else {
		say(links, link, type, slot, blob_view(body));
		blob_drop(body);
	}
	settle(links);
	return answer;
}

size_t links_give(struct links *links, struct conn_of_link *conn, struct buf *out, size_t max,
                  uint64_t now_ms)
{
	size_t before = conn->lane.queue_bytes;
	size_t given = lane_give(&conn->lane, out, max);
	links->waiting_bytes -= before - conn->lane.queue_bytes;
	if (given > 0)
		conn->moved_ms = now_ms;
	if (!conn->is_closed && conn->link != NULL && conn->lane.kind == FRAME_LANE_DATA)
		look_at_load(links, conn->link);
	return given;
}

/* ---- ends of connections ---- */

static void count_bad(struct links *links, const struct conn_of_link *conn, enum conn_end how)
{
	static const struct {
		enum mesh_counter counter;
		const char *why;
	} ends[] = {
		[CONN_BAD_KEY] = {MESH_REFUSED_KEY, "it does not hold our mesh.secret"},
		[CONN_BAD_CLUSTER] = {MESH_REFUSED_CLUSTER, "it belongs to another mesh.cluster"},
		[CONN_BAD_TLS] = {MESH_REFUSED_TLS, "what it speaks is not TLS 1.3 of a node"},
	};
	if (how < CONN_BAD_KEY)
		return;
	if (!conn->is_open)
		count(links, ends[how].counter);
	if (!conn->is_open && !conn->is_dialled)
		links->out->event(links->out, LINK_EVENT_REFUSED, conn->from, ends[how].why);
}

/* A dial: with another secret, where there is one that was not shown yet. */
static void dial_ended(struct links *links, struct link *link, struct conn_of_link *conn,
                       enum conn_end how)
{
	uint8_t next = (uint8_t)(conn->key + 1);
	bool is_unknown = how == CONN_BAD_KEY && !conn->is_open;
	bool is_again = is_unknown && link->state == LINK_DIALLING && next < links->key_count;
	bool is_data = conn->lane.kind == FRAME_LANE_DATA;
	conn_close(links, conn);
	if (is_data && how == CONN_CLOSED) {
		/* Who was dialled says why on the control lane. */
		link->state = LINK_OPENING;
		link->due_ms = links->now_ms + LINK_BOTH_MS;
		return;
	}
	if (is_again) {
		connect_lane(links, link, FRAME_LANE_CONTROL, next);
		return;
	}
	if (how >= CONN_BAD_KEY)
		links->out->event(links->out, LINK_EVENT_FAILED, link->address,
		                  is_unknown ? "mesh.secret or mesh.cluster differ there"
		                             : "it does not speak TLS 1.3 as a node does");
	link_drop(links, link, BYE_COUNT, how == CONN_REFUSED);
}

/* A link that was up: both lanes end at once when the other side's process does. */
static void lane_ended(struct links *links, struct link *link, struct conn_of_link *conn,
                       enum conn_end how)
{
	enum frame_lane other =
		conn->lane.kind == FRAME_LANE_DATA ? FRAME_LANE_CONTROL : FRAME_LANE_DATA;
	bool is_last = link->lanes[other] == NULL;
	conn_close(links, conn);
	if (how != CONN_CLOSED) {
		link_down(links, link, LINK_END_LOST, BYE_COUNT);
	} else if (is_last) {
		link_down(links, link, LINK_END_CLOSED, BYE_COUNT);
	} else {
		link->state = LINK_HALF;
		link->due_ms = links->now_ms + LINK_BOTH_MS;
	}
}

void links_ended(struct links *links, struct conn_of_link *conn, enum conn_end how, uint64_t now_ms)
{
	struct link *link = conn->link;
	links->now_ms = now_ms;
	if (conn->is_closed)
		return;
	count_bad(links, conn, how);
	if (link == NULL)
		conn_close(links, conn);
	else if (is_up(link))
		lane_ended(links, link, conn, how);
	else if (link->is_dialled)
		dial_ended(links, link, conn, how);
	else
		link_drop(links, link, BYE_COUNT, false);
	settle(links);
}

/* ---- time ---- */

static bool is_stuck(const struct links *links, const struct conn_of_link *conn)
{
	return conn != NULL && lane_waiting(&conn->lane) > 0 &&
	       links->now_ms - conn->moved_ms >= LINK_STUCK_MS;
}

static void look_at_link(struct links *links, struct link *link)
{
	if (link->state == LINK_GONE)
		return;
	if (link->state == LINK_UP) {
		if (is_stuck(links, link->lanes[FRAME_LANE_CONTROL]) ||
		    is_stuck(links, link->lanes[FRAME_LANE_DATA]))
			link_mark(link, BYE_COUNT);
	} else if (links->now_ms >= link->due_ms) {
		link_mark(link, BYE_COUNT);
	}
}

static void look_at_strangers(struct links *links)
{
	struct list_node *node = list_first(&links->pending), *next;
	for (; node != NULL; node = next) {
		struct conn_of_link *conn = CONTAINER_OF(node, struct conn_of_link, node);
		next = list_after(&links->pending, node);
		if (links->now_ms < conn->due_ms)
			continue;
		count(links, MESH_REFUSED_TIMEOUT);
		links->out->event(links->out, LINK_EVENT_REFUSED, conn->from,
		                  "its handshake took too long");
		conn_close(links, conn);
	}
}

static void give_time(const struct links *links, uint64_t *due_ms, uint64_t late, uint64_t most)
{
	*due_ms += late;
	if (*due_ms > links->now_ms + most)
		*due_ms = links->now_ms + most;
}

/* This node did not run for a while: nobody else is late. What has begun since was not late either,
 * and has the time from now on that it would have had. */
static void forgive(struct links *links, uint64_t late)
{
	struct list_node *node = list_first(&links->pending);
	for (; node != NULL; node = list_after(&links->pending, node))
		give_time(links, &CONTAINER_OF(node, struct conn_of_link, node)->due_ms, late,
		          LINK_HELLO_MS);
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link)) {
		give_time(links, &link->due_ms, late,
		          link->state == LINK_HALF ? LINK_BOTH_MS : LINK_HELLO_MS);
		for (int i = 0; i < FRAME_LANE_EITHER; i++) {
			if (link->lanes[i] != NULL)
				link->lanes[i]->moved_ms = links->now_ms;
		}
	}
}

void links_tick(struct links *links, uint64_t now_ms)
{
	uint64_t since = now_ms - links->ticked_ms;
	links->now_ms = links->ticked_ms = now_ms;
	if (since > MEMBERSHIP_TICK_MS + LATE_MS)
		forgive(links, since - MEMBERSHIP_TICK_MS);
	membership_tick(links->membership, now_ms);
	look_at_strangers(links);
	for (struct link *link = first_link(links); link != NULL; link = link_after(links, link))
		look_at_link(links, link);
	settle(links);
}
