/*
 * Links of several nodes in one thread and virtual time: their own code down to the bytes of both
 * lanes, without TLS. Bytes come in pieces, late, and in no order between two connections, so that
 * dials meet each other in every way; connections break, processes stop, die and come again. What
 * must hold: a pair has one link or none, of the same two connections at both ends; after a quiet
 * time every pair has one; and frames come in their order, all of them while a link stands.
 *
 * In every other run nodes are of several releases, another one each time that they start (S41):
 * what one of the next release says is its HELLO with a version, features and a field more, and
 * frames that may be passed over; in what one of the release before says, the newest field is
 * lacking.
 *
 * link_test [SEED [SEEDS]]: from that seed on, so many.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "mesh/link.h"
#include "mesh/pack.h"

#define NODES_MAX 5u
#define WIRES_MAX 512u
#define FAULTS_MS 15000u
#define QUIET_MS 16000u

struct chunk {
	struct chunk *next;
	uint64_t due_ms;
	bool is_end;
	size_t len;
	char bytes[];
};

enum release { RELEASE_THIS = 0, RELEASE_NEXT, RELEASE_BEFORE, RELEASE_COUNT };

enum wire_stage { WIRE_FREE = 0, WIRE_CONNECTING, WIRE_SHAKING, WIRE_OPEN };

/* A connection; side 0 dialled. */
struct wire {
	enum wire_stage stage;
	uint32_t node[2];
	uint64_t boot[2];
	struct conn_of_link *conn[2];     /* NULL: that side has closed */
	struct chunk *first[2], *last[2]; /* on their way to that side */
	struct buf said[2];               /* by that side, and not yet a whole frame */
	uint64_t due_ms, delay_ms;
};

struct sim_node {
	uint32_t number;
	uint64_t boots, paused_until_ms, tick_ms;
	bool is_up;
	enum release release;
	char name[16], address[16];
	struct links *links;
	struct links_out out;
	uint32_t frames_from[NODES_MAX]; /* the number of the last */
	uint32_t sent_to[NODES_MAX];
};

static struct {
	uint64_t now_ms;
	uint32_t count;
	struct random random;
	struct sim_node nodes[NODES_MAX];
	struct wire wires[WIRES_MAX];
	uint64_t counters[MESH_COUNTER_COUNT];
	bool is_mixed; /* several releases */
	bool has_data; /* a type of frame for workers is known */
	enum frame_type type;
} sim;

static struct sim_node *node_of(struct links_out *out)
{
	return CONTAINER_OF(out, struct sim_node, out);
}

/* ---- wires ---- */

static void wire_send(struct wire *wire, int to, const void *bytes, size_t len, bool is_end)
{
	struct chunk *chunk = malloc(sizeof(*chunk) + len);
	CHECK(chunk != NULL);
	uint64_t due = sim.now_ms + 1 + random_below(&sim.random, (uint32_t)wire->delay_ms);
	if (wire->last[to] != NULL && wire->last[to]->due_ms > due)
		due = wire->last[to]->due_ms;
	*chunk = (struct chunk){.due_ms = due, .is_end = is_end, .len = len};
	if (len > 0)
		memcpy(chunk->bytes, bytes, len);
	if (wire->last[to] == NULL)
		wire->first[to] = chunk;
	else
		wire->last[to]->next = chunk;
	wire->last[to] = chunk;
}

/* ---- nodes of other releases ---- */

#define HEAD_BYTES 12u
#define TYPE_AT 4
#define VERSION_MAX_AT (HEAD_BYTES + 2)
#define FEATURES_AT (HEAD_BYTES + 4)

static uint32_t frame_bytes(const struct buf *said)
{
	struct unpack in = {.rest = buf_view(said)};
	return said->len < HEAD_BYTES ? 0 : 4 + unpack_u32(&in);
}

static void put_length(char *frame, size_t bytes)
{
	uint32_t length = (uint32_t)bytes - 4;
	for (int i = 0; i < 4; i++)
		frame[i] = (char)(length >> 8 * i);
}

static void say_hello(struct wire *wire, int side, const char *frame, size_t bytes)
{
	static const char more[] = "what the next release says of itself";
	char hello[LINK_HELLO_MAX + HEAD_BYTES];
	size_t len = bytes;
	CHECK(bytes + sizeof(more) <= sizeof(hello));
	memcpy(hello, frame, bytes);
	if (sim.nodes[wire->node[side]].release == RELEASE_BEFORE) {
		len--;
	} else {
		hello[VERSION_MAX_AT] = PROTOCOL_VERSION_MAX + 1;
		memset(hello + FEATURES_AT, 0xff, 8);
		memcpy(hello + len, more, sizeof(more));
		len += sizeof(more);
	}
	put_length(hello, len);
	wire_send(wire, !side, hello, len, false);
}

/* On the lane where nobody counts bytes. */
static void say_optional(struct wire *wire, int side)
{
	const struct conn_of_link *conn = wire->conn[side];
	if (conn == NULL || conn->lane.kind != FRAME_LANE_CONTROL)
		return;
	char frame[HEAD_BYTES + 5] = {[TYPE_AT] = (char)200, [5] = FRAME_OPTIONAL};
	put_length(frame, sizeof(frame));
	wire_send(wire, !side, frame, sizeof(frame), false);
}

/* What a side says, as its release does. */
static void wire_say(struct wire *wire, int side, const char *bytes, size_t len)
{
	enum release release = sim.nodes[wire->node[side]].release;
	struct buf *said = &wire->said[side];
	if (release == RELEASE_THIS) {
		wire_send(wire, !side, bytes, len, false);
		return;
	}
	buf_append(said, bytes, len);
	for (uint32_t count; (count = frame_bytes(said)) > 0 && count <= said->len;) {
		bool is_hello = said->at[TYPE_AT] == FRAME_HELLO;
		bool may_add = release == RELEASE_NEXT && said->at[TYPE_AT] != FRAME_BYE;
		if (is_hello)
			say_hello(wire, side, said->at, count);
		else
			wire_send(wire, !side, said->at, count, false);
		if (!is_hello && may_add && random_below(&sim.random, 4) == 0)
			say_optional(wire, side);
		buf_use(said, count);
	}
}

static void wire_forget(struct wire *wire)
{
	for (int side = 0; side < 2; side++) {
		buf_free(&wire->said[side]);
		while (wire->first[side] != NULL) {
			struct chunk *chunk = wire->first[side];
			wire->first[side] = chunk->next;
			free(chunk);
		}
	}
	*wire = (struct wire){0};
}

static struct wire *wire_of(const struct conn_of_link *conn, int *side)
{
	struct wire *wire = conn->edge;
	*side = wire->conn[1] == conn;
	CHECK(wire->conn[*side] == conn);
	return wire;
}

static void out_dial(struct links_out *out, struct slice address)
{
	links_connect(node_of(out)->links, address, address, sim.now_ms);
}

static void out_connect(struct links_out *out, struct conn_of_link *conn, struct slice address)
{
	struct sim_node *node = node_of(out);
	struct wire *wire = sim.wires;
	while (wire < sim.wires + WIRES_MAX && wire->stage != WIRE_FREE)
		wire++;
	CHECK(wire < sim.wires + WIRES_MAX);
	uint32_t to = 0;
	while (!slice_is(address, sim.nodes[to].address))
		to++;
	CHECK(to < sim.count);
	*wire = (struct wire){.stage = WIRE_CONNECTING,
	                      .node = {node->number, to},
	                      .boot = {node->boots, 0},
	                      .conn = {conn, NULL},
	                      .delay_ms = 1 + random_below(&sim.random, 20),
	                      .due_ms = sim.now_ms + 1 + random_below(&sim.random, 20)};
	conn->edge = wire;
}

static void out_close(struct links_out *out, struct conn_of_link *conn)
{
	int side;
	struct wire *wire = wire_of(conn, &side);
	(void)out;
	wire->conn[side] = NULL;
	if (wire->stage != WIRE_OPEN) {
		if (side == 0 && wire->conn[1] == NULL)
			wire->stage = WIRE_FREE;
		return;
	}
	wire_say(wire, side, conn->lane.out.at, conn->lane.out.len);
	wire_send(wire, !side, NULL, 0, true);
}

static void out_wake(struct links_out *out, struct conn_of_link *conn)
{
	(void)out;
	CHECK(conn->edge != NULL);
}

static bool out_take(struct links_out *out, const struct member *from, const struct frame *frame)
{
	struct unpack in = {.rest = frame->body};
	struct sim_node *node = node_of(out);
	uint32_t number = unpack_u32(&in);
	uint64_t boot = unpack_u64(&in);
	CHECK(!in.is_bad);
	CHECK(from->boot.word[1] == boot);
	/* Those of a process that has ended are still on their way when the next one has begun. */
	if (boot != sim.nodes[from->boot.word[0]].boots)
		return true;
	/* None twice and none back in the order, whatever links they came over. */
	CHECK(number > node->frames_from[from->boot.word[0]]);
	node->frames_from[from->boot.word[0]] = number;
	return true;
}

static void out_changed(struct links_out *out, const struct member *member)
{
	(void)out;
	CHECK(member_state_of(member) < MEMBER_STATE_COUNT);
}

static void out_load(struct links_out *out, const struct member *member, bool is_high)
{
	(void)out;
	(void)member;
	(void)is_high;
}

static void out_accused(struct links_out *out)
{
	(void)out;
}

static void out_count(struct links_out *out, enum mesh_counter counter, uint64_t more)
{
	(void)out;
	sim.counters[counter] += more;
}

static void out_event(struct links_out *out, enum link_event event, const char *who,
                      const char *why)
{
	if (getenv("TRACE") != NULL)
		printf("%6llu %s: %d %s: %s\n", (unsigned long long)sim.now_ms, node_of(out)->name,
		       (int)event, who, why);
}

/* ---- processes ---- */

static struct boot_id boot_of(const struct sim_node *node, uint64_t boots)
{
	return (struct boot_id){{node->number, boots}};
}

static void node_start(struct sim_node *node)
{
	struct slice seeds[NODES_MAX];
	for (uint32_t i = 0; i < sim.count; i++)
		seeds[i] = slice_string(sim.nodes[i].address);
	node->boots++;
	node->is_up = true;
	node->release = sim.is_mixed ? random_below(&sim.random, RELEASE_COUNT) : RELEASE_THIS;
	node->paused_until_ms = node->tick_ms = 0;
	memset(node->frames_from, 0, sizeof(node->frames_from));
	memset(node->sent_to, 0, sizeof(node->sent_to));
	for (uint32_t i = 0; i < sim.count; i++)
		sim.nodes[i].frames_from[node->number] = 0;
	node->out = (struct links_out){out_dial,    out_connect, out_close,   out_wake,  out_take,
	                               out_changed, out_load,    out_accused, out_count, out_event};
	/* Seeds outlive the membership: they are the addresses of the nodes. */
	static struct slice kept[NODES_MAX][NODES_MAX];
	memcpy(kept[node->number], seeds, sizeof(seeds));
	struct membership_options options = {.boot = boot_of(node, node->boots),
	                                     .incarnation = 1 + sim.now_ms,
	                                     .cluster = SLICE("sim"),
	                                     .name = slice_string(node->name),
	                                     .address = slice_string(node->address),
	                                     .release = SLICE("1"),
	                                     .replicas = 3,
	                                     .seeds = kept[node->number],
	                                     .seed_count = sim.count,
	                                     .now_ms = sim.now_ms,
	                                     .seed = random_next(&sim.random)};
	node->links = links_create(&options, &node->out);
	CHECK(node->links != NULL);
}

/* Its kernel closes what it had. */
static void node_kill(struct sim_node *node)
{
	for (size_t i = 0; i < WIRES_MAX; i++) {
		struct wire *wire = &sim.wires[i];
		for (int side = 0; wire->stage != WIRE_FREE && side < 2; side++) {
			if (wire->conn[side] != NULL && wire->node[side] == node->number)
				wire->conn[side]->lane.out.len = 0;
		}
	}
	links_destroy(node->links); /* says nothing, and closes all */
	node->links = NULL;
	node->is_up = false;
}

static bool runs(const struct sim_node *node)
{
	return node->is_up && node->paused_until_ms <= sim.now_ms;
}

/* ---- what happens in a millisecond ---- */

static void wire_connect(struct wire *wire)
{
	struct sim_node *from = &sim.nodes[wire->node[0]], *to = &sim.nodes[wire->node[1]];
	if (sim.now_ms < wire->due_ms || !runs(from))
		return;
	if (!to->is_up) {
		struct conn_of_link *conn = wire->conn[0];
		links_ended(from->links, conn, CONN_REFUSED, sim.now_ms);
		wire_forget(wire);
		return;
	}
	if (!runs(to))
		return; /* its kernel has taken it; nobody answers */
	wire->boot[1] = to->boots;
	wire->conn[1] = links_accept(to->links, from->name, sim.now_ms);
	CHECK(wire->conn[1] != NULL);
	wire->conn[1]->edge = wire;
	wire->stage = WIRE_SHAKING;
	wire->due_ms = sim.now_ms + 2 + random_below(&sim.random, 30);
}

static void wire_shake(struct wire *wire)
{
	struct sim_node *from = &sim.nodes[wire->node[0]], *to = &sim.nodes[wire->node[1]];
	if (sim.now_ms < wire->due_ms || !runs(from) || !runs(to))
		return;
	wire->stage = WIRE_OPEN;
	for (int side = 1; side >= 0; side--) {
		if (wire->conn[side] == NULL)
			wire_send(wire, !side, NULL, 0, true);
		else
			links_open(sim.nodes[wire->node[side]].links, wire->conn[side], sim.now_ms);
	}
}

static void wire_give(struct wire *wire, int side)
{
	struct buf bytes = {0};
	struct conn_of_link *conn = wire->conn[side];
	if (conn == NULL || !runs(&sim.nodes[wire->node[side]]) || !lane_can_give(&conn->lane))
		return;
	size_t count = links_give(sim.nodes[wire->node[side]].links, conn, &bytes,
	                          14 + random_below(&sim.random, 500), sim.now_ms);
	CHECK(count == bytes.len);
	CHECK(count > 0);
	wire_say(wire, side, bytes.at, bytes.len);
	buf_free(&bytes);
}

/* Chunks that are due, in pieces. */
static void wire_deliver(struct wire *wire, int side)
{
	struct sim_node *node = &sim.nodes[wire->node[side]];
	while (wire->first[side] != NULL && wire->first[side]->due_ms <= sim.now_ms &&
	       (wire->conn[side] == NULL || runs(node))) {
		struct chunk *chunk = wire->first[side];
		wire->first[side] = chunk->next;
		if (wire->first[side] == NULL)
			wire->last[side] = NULL;
		struct conn_of_link *conn = wire->conn[side];
		if (conn != NULL && chunk->is_end) {
			links_ended(node->links, conn, CONN_CLOSED, sim.now_ms);
		} else if (conn != NULL && chunk->len > 0) {
			buf_append(&conn->lane.in, chunk->bytes, chunk->len);
			links_came(node->links, conn, sim.now_ms);
		}
		free(chunk);
	}
}

static void wire_step(struct wire *wire)
{
	if (wire->stage == WIRE_FREE)
		return;
	if (wire->conn[0] == NULL && wire->conn[1] == NULL && wire->first[0] == NULL &&
	    wire->first[1] == NULL) {
		wire_forget(wire);
		return;
	}
	if (wire->stage == WIRE_CONNECTING && wire->conn[0] != NULL)
		wire_connect(wire);
	if (wire->stage == WIRE_SHAKING)
		wire_shake(wire);
	for (int side = 0; wire->stage == WIRE_OPEN && side < 2; side++) {
		wire_give(wire, side);
		wire_deliver(wire, side);
	}
}

/* Both sides lose it: what was under way is gone. */
static void wire_break(struct wire *wire)
{
	bool is_reset = random_below(&sim.random, 2) == 0;
	for (int side = 0; side < 2; side++) {
		struct conn_of_link *conn = wire->conn[side];
		if (conn == NULL)
			continue;
		links_ended(sim.nodes[wire->node[side]].links, conn,
		            is_reset ? CONN_CLOSED : CONN_LOST, sim.now_ms);
	}
	wire_forget(wire);
}

static void send_frames(struct sim_node *node)
{
	for (uint32_t to = 0; to < sim.count; to++) {
		struct sim_node *other = &sim.nodes[to];
		if (to == node->number || !other->is_up)
			continue;
		struct buf body = {0};
		pack_u32(&body, ++node->sent_to[to]);
		pack_u64(&body, node->boots);
		struct blob *blob = blob_copy(buf_view(&body));
		buf_free(&body);
		CHECK(links_send(node->links, boot_of(other, other->boots), sim.type, (uint16_t)to,
		                 blob, false, sim.now_ms) == LINK_SENT);
	}
}

static void node_step(struct sim_node *node)
{
	if (!runs(node))
		return;
	if (sim.now_ms >= node->tick_ms) {
		links_tick(node->links, sim.now_ms);
		node->tick_ms = sim.now_ms + MEMBERSHIP_TICK_MS;
	}
	if (sim.has_data && random_below(&sim.random, 10) == 0)
		send_frames(node);
}

static void fault(void)
{
	struct sim_node *node = &sim.nodes[random_below(&sim.random, sim.count)];
	struct wire *wire = &sim.wires[random_below(&sim.random, 64)];
	switch (random_below(&sim.random, 4)) {
	case 0:
		if (node->is_up)
			node_kill(node);
		else
			node_start(node);
		break;
	case 1:
		node->paused_until_ms = sim.now_ms + random_below(&sim.random, 3000);
		break;
	default:
		if (wire->stage == WIRE_OPEN)
			wire_break(wire);
		break;
	}
}

static void pass(uint64_t ms, uint32_t fault_every_ms)
{
	for (uint64_t end_ms = sim.now_ms + ms; sim.now_ms < end_ms; sim.now_ms++) {
		if (fault_every_ms > 0 && random_below(&sim.random, fault_every_ms) == 0)
			fault();
		for (uint32_t i = 0; i < sim.count; i++)
			node_step(&sim.nodes[i]);
		for (size_t i = 0; i < WIRES_MAX; i++)
			wire_step(&sim.wires[i]);
	}
}

/* ---- what must hold ---- */

static bool is_linked(const struct sim_node *node, const struct sim_node *other)
{
	const struct member *member =
		membership_find(links_membership(node->links), boot_of(other, other->boots));
	if (member == NULL || !member->is_linked || member->standing != STANDING_ALIVE)
		return false;
	/* They speak what both know. */
	CHECK(member->version == PROTOCOL_VERSION_MAX);
	CHECK(member->features == (other->release == RELEASE_NEXT ? UINT64_MAX : 0));
	return true;
}

/* Connections between two nodes, and of them those that are of one lane at both ends. */
static void count_wires(uint32_t a, uint32_t b, uint32_t *all, uint32_t lanes[2])
{
	*all = lanes[0] = lanes[1] = 0;
	for (size_t i = 0; i < WIRES_MAX; i++) {
		const struct wire *wire = &sim.wires[i];
		bool is_theirs = (wire->node[0] == a && wire->node[1] == b) ||
		                 (wire->node[0] == b && wire->node[1] == a);
		if (wire->stage != WIRE_OPEN || !is_theirs || wire->conn[0] == NULL ||
		    wire->conn[1] == NULL)
			continue;
		(*all)++;
		if (wire->conn[0]->lane.kind == wire->conn[1]->lane.kind)
			lanes[wire->conn[0]->lane.kind]++;
	}
}

static void check_all_are_linked(void)
{
	for (uint32_t a = 0; a < sim.count; a++) {
		for (uint32_t b = 0; b < sim.count; b++) {
			uint32_t all, lanes[2];
			if (a == b)
				continue;
			CHECK(is_linked(&sim.nodes[a], &sim.nodes[b]));
			count_wires(a, b, &all, lanes);
			CHECK(lanes[0] == 1);
			CHECK(lanes[1] == 1);
			CHECK(all == 2);
		}
	}
}

/* While links stand nothing is lost. */
static void check_all_frames_came(void)
{
	if (!sim.has_data)
		return;
	for (uint32_t a = 0; a < sim.count; a++)
		send_frames(&sim.nodes[a]);
	sim.has_data = false; /* and no more */
	pass(500, 0);
	sim.has_data = true;
	for (uint32_t a = 0; a < sim.count; a++) {
		for (uint32_t b = 0; b < sim.count; b++) {
			if (a != b)
				CHECK(sim.nodes[b].frames_from[a] == sim.nodes[a].sent_to[b]);
		}
	}
}

static void run(uint64_t seed, uint32_t count)
{
	memset(&sim, 0, sizeof(sim));
	sim.random.state = seed;
	sim.is_mixed = seed / 4 % 2 == 0;
	sim.now_ms = 1000;
	sim.count = count;
	for (unsigned type = FRAME_OF_WORKERS; type < 60 && !sim.has_data; type++) {
		sim.has_data = !slice_is(slice_string(frame_name(type)), "NONE") &&
		               frame_lane_of(type) == FRAME_LANE_DATA;
		sim.type = type;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct sim_node *node = &sim.nodes[i];
		node->number = i;
		snprintf(node->name, sizeof(node->name), "n%u", i);
		snprintf(node->address, sizeof(node->address), "h%u:1", i);
	}
	/* All at once: every pair dials from both sides. */
	for (uint32_t i = 0; i < count; i++)
		node_start(&sim.nodes[i]);
	pass(2500, 0);
	check_all_are_linked();
	pass(FAULTS_MS, 150);
	for (uint32_t i = 0; i < count; i++) {
		if (!sim.nodes[i].is_up)
			node_start(&sim.nodes[i]);
	}
	pass(QUIET_MS, 0);
	check_all_are_linked();
	check_all_frames_came();
	for (uint32_t i = 0; i < count; i++)
		node_kill(&sim.nodes[i]);
	CHECK(sim.counters[MESH_REFUSED_MALFORMED] == 0);
	CHECK(sim.counters[MESH_REFUSED_VERSION] == 0);
	for (size_t i = 0; i < WIRES_MAX; i++)
		wire_forget(&sim.wires[i]);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? 1 : 200;
	uint64_t made = 0;
	for (uint64_t end = seed + seeds; seed < end; seed++) {
		printf("link: seed %llu\n", (unsigned long long)seed);
		run(seed, 2 + (uint32_t)(seed % (NODES_MAX - 1)));
		made += sim.counters[MESH_LINKS_MADE];
	}
	CHECK(made > 10 * seeds);
	return 0;
}
