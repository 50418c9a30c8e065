/*
 * mesh_link_fuzz.c - the links of two nodes, face to face, over connections that a script carries,
 * cuts and loses, while strangers come and say what it likes.
 *
 * A byte says how much may be sent; then steps of a byte, whose lower half says what (enum step)
 * and whose upper half how, and of what that needs: a byte for which connection or how much, and
 * mostly a length and so many bytes. What two nodes do over real sockets, with TLS, and what many
 * of them do is elsewhere (tests/wire, tests/sim/link_test.c).
 *
 * Whatever came: the strangers, what is collected of them and what waits are within their limits,
 * and each connection that was closed is left alone. As long as nobody says what a node does not,
 * frames come once, in the order of their lane, and all of them from the first on that comes over a
 * link until that link is told to be down, which it is not without a reason; nothing is malformed;
 * and when all is quiet the two have one link, over which what is sent comes.
 */
#include <stdlib.h>

#include "mesh/link.h"
#include "mesh/pack.h"

#define NODES 2u
#define WIRES 128u
#define STRANGERS 256u
#define STRANGE_NAMES 4u
#define INPUT_MAX 1024
#define ROUNDS_MAX 4000u /* of one script */
#define ROUND_MS 10u
#define LATE_MS 300u
#define QUIET_MS 16000u
#define QUIET_ROUND_MS 25u
/* Bytes of large frames that one script has sent: more than may wait on the control lane, or, which
 * takes long, on the data lane. */
#define LARGE_BYTES (12u << 20)
#define LARGE_BYTES_MAX (80u << 20)
#define IS_LARGE 255

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
	STEP_PASS = 0, /* rounds, and how: enum pass */
	STEP_GIVE,     /* a connection's side has that much to say */
	STEP_DELIVER,  /* and the other one hears so much of it */
	STEP_BREAK,    /* how: enum break_how; BREAK_DEAD */
	STEP_SEND,  /* from the node of the lowest bit, on the lane of the next; lossy; how large */
	STEP_COME,  /* strangers, that many: opened, and proven */
	STEP_SAY,   /* one of them: bytes; SAY_OFTEN */
	STEP_HELLO, /* a HELLO; its numbers */
	STEP_FRAME, /* a frame: its type, its slot, bytes */
	STEP_MIX,   /* bytes behind what a connection's side has said */
	STEP_PAUSE, /* or goes on */
	STEP_PROCESS, /* ends, or begins */
	STEP_STATE,   /* how: enum state_how */
	STEP_SLEEP,   /* for so many tenths of a second nobody runs */
	STEP_GO,      /* a stranger ends: enum conn_end */
	STEP_CONNECT, /* to whom */
};

enum pass {
	PASS_NOT_EVEN = 1, /* connections of an even number carry nothing */
	PASS_NOT_ODD = 2,
	PASS_PIECES = 4, /* of a few bytes */
	PASS_LONG = 8,   /* rounds of 100 ms */
};

enum break_how { BREAK_CLOSED = 0, BREAK_LOST, BREAK_FIRST, BREAK_SECOND };
#define SAY_OFTEN 8u   /* eight times */
#define BREAK_DEAD 12u /* and the side that is left hears of nothing */

enum state_how { STATE_DRAIN = 0, STATE_LEAVE, STATE_LOAD, STATE_KEYS };

enum wire_stage { WIRE_FREE = 0, WIRE_CONNECTING, WIRE_SHAKING, WIRE_OPEN };

/* Of a connection, at the check before. */
struct seen {
	uint64_t granted;
	uint64_t waits_ms; /* since when, or since bytes went out; 0: nothing waits */
	uint64_t mute_ms;  /* since when it has not said HELLO; 0: it has */
};

/* A connection between nodes; side 0 dialled. */
struct wire {
	enum wire_stage stage;
	uint32_t node[2];
	struct conn_of_link *conn[2]; /* NULL: that side has closed */
	struct buf on_way[2];         /* to that side */
	bool has_end[2];              /* behind that */
	bool is_dead;                 /* carries nothing any more, not its end either */
	struct seen seen[2];
};

struct node {
	uint32_t number;
	uint64_t boots, tick_ms;
	bool is_up, is_linked, has_left, is_high;
	const char *name, *address;
	struct slice seeds[NODES];
	struct links *links;
	struct links_out out;
	uint32_t sent[FRAME_LANE_EITHER], came[FRAME_LANE_EITHER];
	bool may_skip[FRAME_LANE_EITHER]; /* the link is new */
	/* By strangers, under each of their names. */
	struct strange_link {
		bool is_up;
		struct boot_id boot;
		uint64_t stamp;
	} strange[STRANGE_NAMES];
	uint16_t pairs[STRANGE_NAMES][2]; /* of their first HELLOs, by boot id */
};

struct stranger {
	uint32_t node;
	struct conn_of_link *conn;
	struct seen seen;
};

static const char *const strange_names[STRANGE_NAMES] = {"n0", "n1", "x", "y"};
static const char *const names[NODES] = {"n0", "n1"};
static const char *const addresses[NODES] = {"h0:1", "h1:1"};

static struct {
	uint64_t now_ms, counters[MESH_COUNTER_COUNT];
	uint32_t rounds, stranger_count;
	uint32_t wire_end, stranger_end; /* behind the last one in use */
	size_t large_left;               /* bytes */
	bool is_hostile;                 /* something was said that a node does not say */
	bool is_rough;                   /* or a link may have been lost by what was done */
	uint32_t ups;                    /* links that came to stand */
	struct node nodes[NODES];
	struct wire wires[WIRES];
	struct stranger strangers[STRANGERS];
} all;

static struct slice script;

static uint8_t next_byte(void)
{
	uint8_t byte = script.len > 0 ? (uint8_t)script.at[0] : 0;
	script = slice_after(script, script.len > 0);
	return byte;
}

static struct slice next_bytes(void)
{
	size_t len = next_byte();
	struct slice bytes = slice_of(script.at, len < script.len ? len : script.len);
	script = slice_after(script, bytes.len);
	return bytes;
}

/* ---- what the links ask for ---- */

static struct node *node_of(struct links_out *out)
{
	return CONTAINER_OF(out, struct node, out);
}

static void out_dial(struct links_out *out, struct slice address)
{
	links_connect(node_of(out)->links, address, address, all.now_ms);
}

static struct stranger *stranger_add(uint32_t node, struct conn_of_link *conn)
{
	struct stranger *stranger = NULL;
	for (uint32_t i = 0; i < STRANGERS && stranger == NULL; i++)
		stranger = all.strangers[i].conn == NULL ? &all.strangers[i] : NULL;
	CHECK(stranger != NULL);
	if (stranger >= all.strangers + all.stranger_end)
		all.stranger_end = (uint32_t)(stranger - all.strangers) + 1;
	*stranger = (struct stranger){.node = node, .conn = conn};
	conn->edge = stranger;
	all.stranger_count++;
	return stranger;
}

/* Who is dialled at an address that is no node's is a stranger. */
static void out_connect(struct links_out *out, struct conn_of_link *conn, struct slice address)
{
	uint32_t to = 0, i = 0;
	while (to < NODES && !slice_is(address, addresses[to]))
		to++;
	if (to == NODES) {
		stranger_add(node_of(out)->number, conn);
		return;
	}
	while (i < WIRES && all.wires[i].stage != WIRE_FREE)
		i++;
	CHECK(i < WIRES);
	if (i >= all.wire_end)
		all.wire_end = i + 1;
	all.wires[i] = (struct wire){
		.stage = WIRE_CONNECTING, .node = {node_of(out)->number, to}, .conn = {conn, NULL}};
	conn->edge = &all.wires[i];
}

static bool is_strange(const struct conn_of_link *conn)
{
	const struct stranger *stranger = conn->edge;
	return stranger >= all.strangers && stranger < all.strangers + STRANGERS;
}

static void wire_forget(struct wire *wire)
{
	buf_free(&wire->on_way[0]);
	buf_free(&wire->on_way[1]);
	*wire = (struct wire){0};
	while (all.wire_end > 0 && all.wires[all.wire_end - 1].stage == WIRE_FREE)
		all.wire_end--;
}

static void stranger_forget(struct stranger *stranger)
{
	stranger->conn = NULL;
	all.stranger_count--;
	while (all.stranger_end > 0 && all.strangers[all.stranger_end - 1].conn == NULL)
		all.stranger_end--;
}

static void out_close(struct links_out *out, struct conn_of_link *conn)
{
	(void)out;
	CHECK(conn->is_closed);
	if (conn->edge == NULL)
		return; /* it has come just now */
	if (is_strange(conn)) {
		struct stranger *stranger = conn->edge;
		CHECK(stranger->conn == conn);
		stranger_forget(stranger);
		return;
	}
	struct wire *wire = conn->edge;
	int side = wire->conn[1] == conn;
	CHECK(wire->conn[side] == conn);
	wire->conn[side] = NULL;
	if (wire->stage == WIRE_OPEN)
		buf_slice(&wire->on_way[!side], buf_view(&conn->lane.out));
	wire->has_end[!side] = true;
	if (wire->conn[!side] == NULL)
		wire_forget(wire);
}

static void out_wake(struct links_out *out, struct conn_of_link *conn)
{
	(void)out;
	CHECK(!conn->is_closed);
}

static void check_order(struct node *node, const struct member *from, const struct frame *frame)
{
	struct unpack in = {.rest = frame->body};
	const struct node *other = &all.nodes[!node->number];
	enum frame_lane lane = frame_lane_of(frame->type);
	uint32_t number = unpack_u32(&in);
	uint64_t boot = unpack_u64(&in);
	CHECK(!in.is_bad);
	CHECK(from->boot.word[0] == 1 + other->number);
	CHECK(from->boot.word[1] == boot);
	if (boot != other->boots)
		return; /* a process that has ended; the next one counts anew */
	CHECK(number > node->came[lane]);
	CHECK(number == node->came[lane] + 1 || node->may_skip[lane]);
	CHECK(number <= other->sent[lane]);
	node->may_skip[lane] = false;
	node->came[lane] = number;
}

static bool out_take(struct links_out *out, const struct member *from, const struct frame *frame)
{
	CHECK(from->is_linked);
	CHECK(frame->type >= FRAME_OF_WORKERS);
	CHECK(frame->body.len <= FRAME_DATA_MAX);
	CHECK(frame_lane_of(frame->type) == FRAME_LANE_CONTROL ||
	      !links_are_paused(node_of(out)->links));
	if (!all.is_hostile)
		check_order(node_of(out), from, frame);
	return true;
}

static void out_changed(struct links_out *out, const struct member *member)
{
	struct node *node = node_of(out);
	CHECK(member_state_of(member) < MEMBER_STATE_COUNT);
	if (slice_is(slice_string(member->name), names[!node->number]) &&
	    member->boot.word[1] == all.nodes[!node->number].boots)
		node->is_linked = member->is_linked;
}

static void out_load(struct links_out *out, const struct member *member, bool is_high)
{
	CHECK(member->is_linked);
	node_of(out)->is_high = is_high;
}

static void out_accused(struct links_out *out)
{
	(void)out;
}

static void out_count(struct links_out *out, enum mesh_counter counter, uint64_t more)
{
	(void)out;
	CHECK(counter < MESH_COUNTER_COUNT);
	all.counters[counter] += more;
}

static void out_event(struct links_out *out, enum link_event event, const char *who,
                      const char *why)
{
	struct node *node = node_of(out);
	CHECK(who != NULL && why != NULL);
	for (uint32_t i = 0; i < STRANGE_NAMES; i++) {
		bool has_changed = event == LINK_EVENT_UP || event == LINK_EVENT_DOWN;
		if (has_changed && strcmp(who, strange_names[i]) == 0)
			node->strange[i].is_up = false;
	}
	if (event == LINK_EVENT_UP) {
		node->may_skip[0] = node->may_skip[1] = true;
		node->is_high = false;
		all.ups++;
	}
}

/* ---- processes ---- */

static struct boot_id boot_of(const struct node *node)
{
	return (struct boot_id){{1 + node->number, node->boots}};
}

static void node_start(struct node *node)
{
	uint64_t boots = node->boots + 1;
	struct node *other = &all.nodes[!node->number];
	*node = (struct node){.number = (uint32_t)(node - all.nodes),
	                      .boots = boots,
	                      .is_up = true,
	                      .name = names[node - all.nodes],
	                      .address = addresses[node - all.nodes],
	                      .out = {out_dial, out_connect, out_close, out_wake, out_take,
	                              out_changed, out_load, out_accused, out_count, out_event}};
	other->came[0] = other->came[1] = 0;
	other->is_linked = false;
	for (uint32_t i = 0; i < NODES; i++)
		node->seeds[i] = slice_string(addresses[i]);
	node->links =
		links_create(&(struct membership_options){.boot = boot_of(node),
	                                                  .incarnation = 1 + all.now_ms,
	                                                  .cluster = SLICE("c"),
	                                                  .name = slice_string(node->name),
	                                                  .address = slice_string(node->address),
	                                                  .release = SLICE("1"),
	                                                  .replicas = 3,
	                                                  .seeds = node->seeds,
	                                                  .seed_count = NODES,
	                                                  .now_ms = all.now_ms,
	                                                  .seed = boots},
	                     &node->out);
	CHECK(node->links != NULL);
}

/* Its kernel closes what it had, and it says nothing. */
static void node_end(struct node *node)
{
	for (uint32_t i = 0; i < all.wire_end; i++) {
		for (int side = 0; side < 2; side++) {
			struct conn_of_link *conn = all.wires[i].conn[side];
			if (conn != NULL && all.wires[i].node[side] == node->number)
				conn->lane.out.len = 0;
		}
	}
	links_destroy(node->links);
	node->links = NULL;
	node->is_up = false;
	for (uint32_t i = 0; i < all.wire_end; i++) {
		for (int side = 0; side < 2; side++)
			CHECK(all.wires[i].conn[side] == NULL ||
			      all.wires[i].node[side] != node->number);
	}
	for (uint32_t i = 0; i < all.stranger_end; i++)
		CHECK(all.strangers[i].conn == NULL || all.strangers[i].node != node->number);
}

/* ---- connections ---- */

static struct links *links_at(const struct wire *wire, int side)
{
	return all.nodes[wire->node[side]].links;
}

/* On its way to be open. */
static void wire_advance(struct wire *wire)
{
	struct node *to = &all.nodes[wire->node[1]];
	if (wire->stage == WIRE_CONNECTING && !to->is_up) {
		links_ended(links_at(wire, 0), wire->conn[0], CONN_REFUSED, all.now_ms);
	} else if (wire->stage == WIRE_CONNECTING) {
		wire->stage = WIRE_SHAKING;
		struct conn_of_link *conn =
			links_accept(to->links, names[wire->node[0]], all.now_ms);
		CHECK(conn != NULL);
		CHECK(!conn->is_closed);
		wire->conn[1] = conn;
		conn->edge = wire;
	} else if (wire->stage == WIRE_SHAKING && wire->conn[0] != NULL && wire->conn[1] != NULL) {
		wire->stage = WIRE_OPEN;
		wire->conn[1]->has_shown = true;
		for (int side = 1; side >= 0; side--) {
			if (wire->conn[side] != NULL)
				links_open(links_at(wire, side), wire->conn[side], all.now_ms);
		}
	}
}

static void wire_give(struct wire *wire, int side, size_t max)
{
	struct conn_of_link *conn = wire->conn[side];
	if (wire->stage != WIRE_OPEN || wire->is_dead || conn == NULL ||
	    !lane_can_give(&conn->lane))
		return;
	size_t before = wire->on_way[!side].len, waiting = lane_waiting(&conn->lane);
	if (max > waiting)
		max = waiting; /* room is made for as much */
	size_t count = links_give(links_at(wire, side), conn, &wire->on_way[!side],
	                          FRAME_HEAD_BYTES + 1 + max, all.now_ms);
	CHECK(count > 0);
	wire->seen[side].waits_ms = all.now_ms;
	CHECK(wire->on_way[!side].len == before + count);
	CHECK(conn->lane.sent <= conn->lane.granted);
	/* To who has closed it goes nowhere. */
	if (wire->conn[!side] == NULL)
		buf_clear(&wire->on_way[!side]);
}

/* What is collected of it, and nothing of it is looked at yet. */
static void check_conn(const struct conn_of_link *conn)
{
	size_t unread = conn->lane.in.len - conn->lane.in_read;
	if (!conn->has_hello)
		CHECK(unread <= LINK_HELLO_MAX + 4);
	else if (conn->lane.kind == FRAME_LANE_DATA)
		CHECK(unread <= LANE_WINDOW + 2 * FRAME_HEAD_BYTES);
}

static void hear(struct links *links, struct conn_of_link **conn)
{
	links_came(links, *conn, all.now_ms);
	if (*conn != NULL) /* else it was closed */
		check_conn(*conn);
}

/* Up to `max` bytes; large ones without a copy. */
static void move(struct buf *to, struct buf *from, size_t max)
{
	size_t count = from->len < max ? from->len : max;
	if (to->len == 0 && count == from->len) {
		buf_swap(to, from);
		return;
	}
	buf_append(to, from->at, count);
	buf_use(from, count);
}

static void wire_deliver(struct wire *wire, int side, size_t max)
{
	struct buf *on_way = &wire->on_way[side];
	if (wire->conn[side] == NULL || wire->is_dead || wire->stage == WIRE_CONNECTING)
		return;
	if (on_way->len > 0 && wire->stage == WIRE_OPEN) {
		move(&wire->conn[side]->lane.in, on_way, max);
		hear(links_at(wire, side), &wire->conn[side]);
	} else if (wire->has_end[side]) {
		links_ended(links_at(wire, side), wire->conn[side], CONN_CLOSED, all.now_ms);
	}
}

static void wire_break(struct wire *wire, enum break_how how, bool is_dead)
{
	wire->is_dead |= is_dead && wire->stage == WIRE_OPEN;
	enum conn_end end = how == BREAK_CLOSED ? CONN_CLOSED : CONN_LOST;
	buf_clear(&wire->on_way[0]);
	buf_clear(&wire->on_way[1]);
	for (int side = 0; side < 2; side++) {
		bool is_meant = how < BREAK_FIRST || how == BREAK_FIRST + (unsigned)side;
		if (is_meant && wire->conn[side] != NULL)
			links_ended(links_at(wire, side), wire->conn[side], end, all.now_ms);
	}
	/* What was closed had a last word, which is lost too. */
	buf_clear(&wire->on_way[0]);
	buf_clear(&wire->on_way[1]);
}

static struct wire *next_wire(void)
{
	uint32_t wanted = next_byte() % 16;
	struct wire *last = NULL;
	for (uint32_t i = 0; i < all.wire_end; i++) {
		if (all.wires[i].stage == WIRE_FREE)
			continue;
		last = &all.wires[i];
		if (wanted-- == 0)
			break;
	}
	return last;
}

/* ---- time ---- */

static void round_pass(unsigned how, uint64_t ms)
{
	size_t max = how & PASS_PIECES ? 20 : (size_t)1 << 20;
	size_t heard_max = how & PASS_PIECES ? 20 : SIZE_MAX;
	all.now_ms += ms;
	for (uint32_t i = 0; i < NODES; i++) {
		struct node *node = &all.nodes[i];
		if (node->is_up && all.now_ms >= node->tick_ms) {
			node->tick_ms = all.now_ms + MEMBERSHIP_TICK_MS;
			links_tick(node->links, all.now_ms);
		}
	}
	for (uint32_t i = 0; i < all.wire_end; i++) {
		struct wire *wire = &all.wires[i];
		if (wire->stage == WIRE_FREE || (how >> (i & 1) & 1) != 0)
			continue;
		wire_advance(wire);
		for (int side = 0; side < 2; side++) {
			wire_give(wire, side, max);
			wire_deliver(wire, !side, heard_max);
		}
	}
}

/* Standing; and what waits for it is bounded, beside a HELLO and a BYE. */
static void check_standing(const struct conn_of_link *conn, struct seen *seen)
{
	size_t most = conn->lane.kind == FRAME_LANE_DATA ? LINK_DATA_MAX : LINK_CONTROL_MAX;
	CHECK(!conn->is_closed);
	CHECK(lane_waiting(&conn->lane) <= most + LINK_HELLO_MAX);
	CHECK(conn->lane.granted >= seen->granted);
	seen->granted = conn->lane.granted;
	if (lane_waiting(&conn->lane) == 0)
		seen->waits_ms = 0;
	else if (seen->waits_ms == 0)
		seen->waits_ms = all.now_ms;
	CHECK(seen->waits_ms == 0 || all.now_ms - seen->waits_ms <= LINK_STUCK_MS + LATE_MS);
	if (conn->has_hello)
		seen->mute_ms = 0;
	else if (seen->mute_ms == 0)
		seen->mute_ms = all.now_ms;
	CHECK(seen->mute_ms == 0 || all.now_ms - seen->mute_ms <= 2 * LINK_HELLO_MS + LATE_MS);
}

static void check_nodes(void)
{
	uint32_t pending[NODES] = {0};
	for (uint32_t i = 0; i < 2 * all.wire_end; i++) {
		struct wire *wire = &all.wires[i / 2];
		const struct conn_of_link *conn = wire->conn[i & 1];
		if (conn == NULL)
			continue;
		check_standing(conn, &wire->seen[i & 1]);
		pending[wire->node[i & 1]] += conn->link == NULL;
	}
	for (uint32_t i = 0; i < all.stranger_end; i++) {
		const struct conn_of_link *conn = all.strangers[i].conn;
		if (conn == NULL)
			continue;
		check_standing(conn, &all.strangers[i].seen);
		pending[all.strangers[i].node] += conn->link == NULL;
	}
	for (uint32_t i = 0; i < NODES; i++) {
		uint64_t waiting[FRAME_LANE_EITHER];
		CHECK(pending[i] <= LINK_PENDING_MAX);
		if (all.nodes[i].is_up)
			links_waiting(all.nodes[i].links, waiting);
	}
}

/* ---- steps ---- */

static void send(struct node *node, enum frame_lane lane, bool is_lossy, uint8_t how_large)
{
	struct node *other = &all.nodes[!node->number];
	size_t len = how_large < 128 ? how_large : (size_t)1 << how_large % 21;
	enum frame_type type = lane == FRAME_LANE_CONTROL ? FRAME_MAP : FRAME_APPEND;
	struct buf head = {0};
	if (!node->is_up)
		return;
	if (lane == FRAME_LANE_CONTROL && len > FRAME_CONTROL_MAX / 2)
		len = FRAME_CONTROL_MAX / 2;
	if (len > all.large_left)
		len = 0;
	all.is_rough |= lane == FRAME_LANE_CONTROL && len > 255;
	all.large_left -= len;
	pack_u32(&head, ++node->sent[lane]);
	pack_u64(&head, node->boots);
	/* The bytes behind that mean nothing, and are not set. */
	struct blob *blob = blob_make(head.len + len);
	CHECK(blob != NULL);
	memcpy(blob->bytes, head.at, head.len);
	buf_free(&head);
	if (links_send(node->links, boot_of(other), type, how_large, blob, is_lossy, all.now_ms) ==
	    LINK_LEFT_OUT) {
		CHECK(is_lossy);
		node->sent[lane]--;
	}
}

static void come(uint32_t node, unsigned count, bool is_open, bool has_shown)
{
	for (; count > 0 && all.nodes[node].is_up && all.stranger_count < STRANGERS; count--) {
		struct links *links = all.nodes[node].links;
		struct conn_of_link *conn = links_accept(links, "9.9.9.9:9", all.now_ms);
		CHECK(conn != NULL);
		CHECK(!conn->is_closed);
		stranger_add(node, conn);
		conn->has_shown = has_shown;
		if (is_open)
			links_open(links, conn, all.now_ms);
	}
}

static struct stranger *next_stranger(void)
{
	uint32_t first = next_byte() % STRANGERS;
	for (uint32_t i = 0; i < STRANGERS; i++) {
		struct stranger *stranger = &all.strangers[(first + i) % STRANGERS];
		if (stranger->conn != NULL)
			return stranger;
	}
	return NULL;
}

/* One that has shown the secret: before, nobody hears it. */
static void say(struct stranger *stranger, struct slice bytes)
{
	if (stranger == NULL || bytes.len == 0)
		return;
	struct links *links = all.nodes[stranger->node].links;
	all.is_hostile = true;
	if (!stranger->conn->is_open) {
		stranger->conn->has_shown = true;
		links_open(links, stranger->conn, all.now_ms);
	}
	if (stranger->conn != NULL) {
		buf_slice(&stranger->conn->lane.in, bytes);
		hear(links, &stranger->conn);
	}
	struct buf heard = {0};
	if (stranger->conn != NULL && lane_can_give(&stranger->conn->lane)) {
		(void)links_give(links, stranger->conn, &heard, 4096, all.now_ms);
		stranger->seen.waits_ms = all.now_ms;
	}
	buf_free(&heard);
}

static void say_times(struct stranger *stranger, struct slice bytes, unsigned times)
{
	struct buf all_of_them = {0};
	for (; times > 0; times--)
		buf_slice(&all_of_them, bytes);
	say(stranger, buf_view(&all_of_them));
	buf_free(&all_of_them);
}

/* Of a type that may be none. */
static void say_frame(struct stranger *stranger, uint8_t type, uint8_t slot, struct slice body)
{
	struct buf frame = {0};
	pack_u32(&frame, (uint32_t)(FRAME_HEAD_BYTES - 4 + body.len));
	pack_u8(&frame, type);
	pack_u8(&frame, slot & FRAME_OPTIONAL);
	pack_u16(&frame, slot);
	pack_u32(&frame, 0);
	buf_slice(&frame, body);
	say(stranger, buf_view(&frame));
	buf_free(&frame);
}

/* One that comes before what stands does not take its place. */
static void say_as(struct stranger *stranger, const struct hello *hello, unsigned name,
                   struct slice body)
{
	struct node *node = &all.nodes[stranger->node];
	struct strange_link before = node->strange[name];
	uint32_t ups = all.ups;
	uint16_t *pairs = &node->pairs[hello->boot.word[0] - 1][hello->boot.word[1] - 1];
	if (hello->lane == FRAME_LANE_CONTROL)
		*pairs |= (uint16_t)(1u << hello->pair);
	say_frame(stranger, FRAME_HELLO, 0, body);
	if (all.ups == ups)
		return;
	CHECK((*pairs >> hello->pair & 1) != 0);
	CHECK(!before.is_up || !boot_id_equals(before.boot, hello->boot) ||
	      hello->stamp > before.stamp);
	node->strange[name] = (struct strange_link){true, hello->boot, hello->stamp};
}

/* Of whom: one of three that are nobody else, or one of the nodes. */
static void say_hello(struct stranger *stranger, unsigned how)
{
	static const char *const theirs[] = {"h0:1", "h1:1", "x:1", "y:1"};
	uint8_t who = next_byte(), numbers = next_byte();
	struct hello hello = {.version_min = 1,
	                      .version_max = 1,
	                      .boot = {{1 + who % 4, 1 + (who >> 2 & 1)}},
	                      .incarnation = 1 + who,
	                      .state = MEMBER_READY,
	                      .cluster = SLICE("c"),
	                      .name = slice_string(strange_names[who >> 3 & 3]),
	                      .address = slice_string(theirs[who >> 5 & 3]),
	                      .release = SLICE("1"),
	                      .replicas = 3,
	                      .lane = how & 1,
	                      .pair = numbers & 15,
	                      .stamp = numbers >> 4};
	struct buf body = {0};
	hello_write(&body, &hello);
	if (stranger != NULL)
		say_as(stranger, &hello, who >> 3 & 3, buf_view(&body));
	buf_free(&body);
}

static void set_state(struct node *node, enum state_how how, uint8_t byte)
{
	if (!node->is_up)
		return;
	switch (how) {
	case STATE_DRAIN:
		links_drain(node->links, all.now_ms);
		break;
	case STATE_LEAVE:
		node->has_left = true;
		links_leave(node->links, all.now_ms);
		break;
	case STATE_LOAD:
		links_set_load(node->links, byte, byte);
		break;
	case STATE_KEYS:
		links_set_keys(node->links, 1 + byte % 3);
		break;
	}
}

static void connect(struct node *node, uint8_t whom)
{
	static const char *const theirs[] = {"h0:1", "h1:1", "x:1", "y:1"};
	struct slice address = slice_string(theirs[whom & 3]);
	if (node->is_up && (whom & 4) != 0)
		links_unknown(node->links, address, all.now_ms);
	else if (node->is_up && all.stranger_count < STRANGERS)
		links_connect(node->links, address, address, all.now_ms);
}

/* Frames, small ones on the control lane, new dials, time and sleep alone end no link. */
static bool is_rough(enum step what, unsigned how)
{
	return what != STEP_SEND && what != STEP_CONNECT && what != STEP_SLEEP &&
	       (what != STEP_PASS || (how & (PASS_NOT_EVEN | PASS_NOT_ODD | PASS_PIECES)) != 0);
}

static void seen_anew(struct seen *seen)
{
	seen->waits_ms = seen->mute_ms = 0;
}

/* Who did not run is not late. */
static void sleep_all(uint64_t ms)
{
	all.now_ms += ms;
	for (uint32_t i = 0; i < 2 * all.wire_end; i++)
		seen_anew(&all.wires[i / 2].seen[i & 1]);
	for (uint32_t i = 0; i < all.stranger_end; i++)
		seen_anew(&all.strangers[i].seen);
}

static void take_step(void)
{
	uint8_t what = next_byte(), slot;
	unsigned how = what >> 4;
	struct node *node = &all.nodes[how & 1];
	struct wire *wire;
	struct stranger *stranger;
	all.is_rough |= is_rough((enum step)(what & 15), how);
	switch ((enum step)(what & 15)) {
	case STEP_PASS:
		for (unsigned i = next_byte(); i > 0 && all.rounds < ROUNDS_MAX; i--, all.rounds++)
			round_pass(how, how & PASS_LONG ? 10 * ROUND_MS : ROUND_MS);
		break;
	case STEP_GIVE:
		if ((wire = next_wire()) == NULL)
			break;
		wire_advance(wire);
		wire_give(wire, how & 1, next_byte());
		break;
	case STEP_DELIVER:
		if ((wire = next_wire()) != NULL)
			wire_deliver(wire, how & 1, 1u + next_byte());
		break;
	case STEP_BREAK:
		if ((wire = next_wire()) != NULL)
			wire_break(wire, (enum break_how)(how & 3),
			           (how & BREAK_DEAD) == BREAK_DEAD);
		break;
	case STEP_SEND:
		send(node, how & 2 ? FRAME_LANE_DATA : FRAME_LANE_CONTROL, (how & 4) != 0,
		     next_byte());
		break;
	case STEP_COME:
		come(how & 1, next_byte(), (how & 2) != 0, (how & 4) != 0);
		break;
	case STEP_SAY:
		stranger = next_stranger();
		say_times(stranger, next_bytes(), how & SAY_OFTEN ? 8 : 1);
		break;
	case STEP_HELLO:
		stranger = next_stranger();
		say_hello(stranger, how);
		break;
	case STEP_FRAME:
		stranger = next_stranger();
		what = next_byte();
		slot = next_byte();
		say_frame(stranger, what, slot, next_bytes());
		break;
	case STEP_MIX:
		if ((wire = next_wire()) == NULL || wire->conn[how & 1] == NULL)
			break;
		all.is_hostile = true;
		buf_slice(&wire->on_way[how & 1], next_bytes());
		break;
	case STEP_PAUSE:
		if (node->is_up && links_are_paused(node->links))
			links_go_on(node->links, all.now_ms);
		else if (node->is_up)
			links_pause(node->links);
		break;
	case STEP_PROCESS:
		if (node->is_up)
			node_end(node);
		else
			node_start(node);
		break;
	case STEP_STATE:
		set_state(node, (enum state_how)(how >> 1 & 3), next_byte());
		break;
	case STEP_SLEEP:
		sleep_all(100u * next_byte());
		break;
	case STEP_GO:
		if ((stranger = next_stranger()) != NULL)
			links_ended(all.nodes[stranger->node].links, stranger->conn,
			            (enum conn_end)(how % (CONN_BAD_TLS + 1)), all.now_ms);
		break;
	case STEP_CONNECT:
		connect(node, next_byte());
		break;
	}
}

/* ---- the end ---- */

/* Strangers are gone, and all run. */
static void quiet_begin(void)
{
	for (uint32_t i = 0; i < all.stranger_end; i++) {
		struct stranger *stranger = &all.strangers[i];
		if (stranger->conn != NULL)
			links_ended(all.nodes[stranger->node].links, stranger->conn, CONN_CLOSED,
			            all.now_ms);
	}
	for (uint32_t i = 0; i < NODES; i++) {
		struct node *node = &all.nodes[i];
		if (node->is_up && node->has_left)
			node_end(node);
		if (!node->is_up)
			node_start(node);
		if (links_are_paused(node->links))
			links_go_on(node->links, all.now_ms);
	}
}

static void quiet_pass(uint64_t ms)
{
	for (uint64_t end_ms = all.now_ms + ms; all.now_ms < end_ms;) {
		round_pass(0, QUIET_ROUND_MS);
		check_nodes();
	}
}

static void check_one_link(void)
{
	uint32_t lanes[FRAME_LANE_EITHER] = {0};
	for (uint32_t i = 0; i < all.wire_end; i++) {
		const struct wire *wire = &all.wires[i];
		if (wire->stage != WIRE_OPEN || wire->node[0] == wire->node[1])
			continue;
		CHECK(wire->conn[0] != NULL && wire->conn[1] != NULL);
		CHECK(wire->conn[0]->lane.kind == wire->conn[1]->lane.kind);
		for (int side = 0; side < 2; side++)
			CHECK(wire->conn[side]->lane.in.len == wire->conn[side]->lane.in_read);
		lanes[wire->conn[0]->lane.kind]++;
	}
	CHECK(all.nodes[0].is_linked && all.nodes[1].is_linked);
	CHECK(lanes[FRAME_LANE_CONTROL] == 1);
	CHECK(lanes[FRAME_LANE_DATA] == 1);
}

static void check_all_came(void)
{
	uint64_t waiting[FRAME_LANE_EITHER];
	for (uint32_t i = 0; i < 2 * NODES; i++)
		send(&all.nodes[i & 1], (enum frame_lane)(i >> 1), false, 1);
	quiet_pass(500);
	for (uint32_t i = 0; i < NODES; i++) {
		for (int lane = 0; lane < FRAME_LANE_EITHER; lane++)
			CHECK(all.nodes[!i].came[lane] == all.nodes[i].sent[lane]);
		links_waiting(all.nodes[i].links, waiting);
		CHECK(waiting[FRAME_LANE_DATA] == 0);
		CHECK(!all.nodes[i].is_high);
	}
}

static void run(void)
{
	memset(&all, 0, sizeof(all));
	all.now_ms = 1000;
	all.is_rough = next_byte() == IS_LARGE;
	all.large_left = all.is_rough ? LARGE_BYTES_MAX : LARGE_BYTES;
	node_start(&all.nodes[0]);
	node_start(&all.nodes[1]);
	while (script.len > 0) {
		take_step();
		check_nodes();
	}
	quiet_begin();
	quiet_pass(QUIET_MS);
	if (!all.is_hostile) {
		check_one_link();
		check_all_came();
		CHECK(all.counters[MESH_REFUSED_MALFORMED] == 0);
		CHECK(all.counters[MESH_REFUSED_VERSION] == 0);
	}
	if (!all.is_rough)
		CHECK(all.counters[MESH_LINKS_LOST] + all.counters[MESH_LINKS_CLOSED] == 0);
	node_end(&all.nodes[0]);
	node_end(&all.nodes[1]);
	CHECK(all.stranger_count == 0);
	CHECK(all.wire_end == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > INPUT_MAX)
		return 0;
	script = slice_of((const char *)data, size);
	run();
	return 0;
}
