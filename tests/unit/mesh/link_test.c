/*
 * The links of one node against a peer whose every byte is in the test's hands: who is let in, who
 * is sent away and why, what is bounded, and what a link's end is told as. How two real ones meet
 * is tests/sim/link_test.
 */
#include "mesh/link.h"

#include <stdio.h>

#include "../../failing.h"
#include "mesh/pack.h"

#define START 100000u
#define CONNS_MAX 128u

static struct conn_of_link *opened[CONNS_MAX]; /* those that were asked for; NULL: closed */
static char dialled[CONNS_MAX][LINK_ADDRESS_MAX];
static uint32_t opened_count, closed_count, dial_count;
static uint64_t counters[MESH_COUNTER_COUNT];
static enum link_event last_event;
static char last_why[256];
static struct buf last_words; /* of the connection that was closed last */
static enum bye last_said;    /* there, or before */
static bool is_high, is_linked, is_short;
static uint32_t taken;

static void out_dial(struct links_out *out, struct slice address)
{
	(void)out;
	(void)address;
	dial_count++;
}

static void out_connect(struct links_out *out, struct conn_of_link *conn, struct slice address)
{
	(void)out;
	CHECK(opened_count < CONNS_MAX);
	CHECK(address.len < LINK_ADDRESS_MAX);
	memcpy(dialled[opened_count], address.at, address.len);
	dialled[opened_count][address.len] = '\0';
	opened[opened_count++] = conn;
}

static enum bye last_bye(void)
{
	struct frame frame;
	size_t used = 0;
	const char *why;
	enum bye bye;
	struct slice words = buf_view(&last_words);
	while (frame_read(words, FRAME_LANE_CONTROL, &frame, &used, &why) == FRAME_DONE) {
		if (frame.type == FRAME_BYE && bye_read(frame.body, &bye))
			return bye;
		words = slice_after(words, used);
	}
	return BYE_COUNT;
}

static void out_close(struct links_out *out, struct conn_of_link *conn)
{
	(void)out;
	for (uint32_t i = 0; i < opened_count; i++) {
		if (opened[i] == conn)
			opened[i] = NULL;
	}
	buf_clear(&last_words);
	buf_slice(&last_words, buf_view(&conn->lane.out));
	enum bye bye = last_bye();
	last_said = bye == BYE_COUNT ? last_said : bye;
	closed_count++;
}

static void out_wake(struct links_out *out, struct conn_of_link *conn)
{
	(void)out;
	(void)conn;
}

static bool out_take(struct links_out *out, const struct member *from, const struct frame *frame)
{
	(void)out;
	CHECK(from->is_linked);
	CHECK(frame->type >= FRAME_OF_WORKERS);
	taken++;
	return !is_short;
}

static void out_changed(struct links_out *out, const struct member *member)
{
	(void)out;
	is_linked = member->is_linked;
}

static void out_load(struct links_out *out, const struct member *member, bool high)
{
	(void)out;
	(void)member;
	CHECK(is_high != high);
	is_high = high;
}

static void out_accused(struct links_out *out)
{
	(void)out;
}

static void out_count(struct links_out *out, enum mesh_counter counter, uint64_t more)
{
	(void)out;
	counters[counter] += more;
}

static void out_event(struct links_out *out, enum link_event event, const char *who,
                      const char *why)
{
	(void)out;
	CHECK(who[0] != '\0');
	last_event = event;
	snprintf(last_why, sizeof(last_why), "%s", why);
}

static struct links_out out = {out_dial,    out_connect, out_close,   out_wake,  out_take,
                               out_changed, out_load,    out_accused, out_count, out_event};
static struct links *links;
static uint64_t now;

static struct hello peer_hello(enum frame_lane lane)
{
	return (struct hello){.version_min = 1,
	                      .version_max = 1,
	                      .boot = {{5, 5}},
	                      .incarnation = 9,
	                      .state = MEMBER_READY,
	                      .cluster = SLICE("c"),
	                      .name = SLICE("peer"),
	                      .address = SLICE("1.2.3.4:5"),
	                      .release = SLICE("1"),
	                      .lane = (uint8_t)lane,
	                      .pair = 1,
	                      .stamp = lane};
}

static void begin(const char *claim)
{
	static const struct slice no_seeds[1];
	printf("link: %s\n", claim);
	opened_count = closed_count = dial_count = taken = 0;
	memset(counters, 0, sizeof(counters));
	is_high = is_linked = is_short = false;
	last_said = BYE_COUNT;
	last_why[0] = '\0';
	now = START;
	struct membership_options options = {.boot = {{6, 6}},
	                                     .incarnation = 1,
	                                     .cluster = SLICE("c"),
	                                     .name = SLICE("me"),
	                                     .address = SLICE("9.9.9.9:9"),
	                                     .release = SLICE("1"),
	                                     .replicas = 3,
	                                     .seeds = no_seeds,
	                                     .now_ms = now};
	links = links_create(&options, &out);
	CHECK(links != NULL);
}

static void end(void)
{
	links_destroy(links);
	buf_free(&last_words);
}

static void pass(uint64_t ms)
{
	for (uint64_t end_ms = now + ms; now < end_ms;) {
		now += MEMBERSHIP_TICK_MS;
		links_tick(links, now);
	}
}

static struct conn_of_link *accept_one(void)
{
	struct conn_of_link *conn = links_accept(links, "1.2.3.4:999", now);
	CHECK(conn != NULL);
	opened[opened_count++] = conn;
	return conn;
}

static struct conn_of_link *accept_open(void)
{
	struct conn_of_link *conn = accept_one();
	links_open(links, conn, now);
	return conn;
}

static void say(struct conn_of_link *conn, enum frame_type type, struct slice body)
{
	frame_append(&conn->lane.in, type, 0, body);
	links_came(links, conn, now);
}

static void say_hello(struct conn_of_link *conn, const struct hello *hello)
{
	struct buf body = {0};
	hello_write(&body, hello);
	say(conn, FRAME_HELLO, buf_view(&body));
	buf_free(&body);
}

/* The next frame that the node has to say there. */
static enum frame_type hear(struct conn_of_link *conn, struct hello *hello)
{
	static struct buf heard;
	struct frame frame;
	size_t used;
	const char *why;
	buf_clear(&heard);
	while (frame_read(buf_view(&heard), conn->lane.kind, &frame, &used, &why) == FRAME_MORE) {
		if (links_give(links, conn, &heard, FRAME_HEAD_BYTES + 1, now) == 0)
			return FRAME_NONE;
	}
	CHECK(used <= heard.len);
	/* What was taken beyond the frame begins the next one: put it back. */
	struct buf rest = {0};
	buf_slice(&rest, slice_after(buf_view(&heard), used));
	buf_slice(&rest, buf_view(&conn->lane.out));
	buf_swap(&rest, &conn->lane.out);
	buf_free(&rest);
	if (hello != NULL) {
		bool is_good = hello_read(frame.body, hello);
		CHECK(is_good);
	}
	enum frame_type type = frame.type;
	if (hello == NULL)
		buf_free(&heard);
	return type;
}

/* A link that the peer dialled. */
static void link_up(struct conn_of_link **control, struct conn_of_link **data)
{
	struct hello first = peer_hello(FRAME_LANE_CONTROL), second = peer_hello(FRAME_LANE_DATA);
	*control = accept_open();
	say_hello(*control, &first);
	*data = accept_open();
	say_hello(*data, &second);
	CHECK(is_linked);
	CHECK(counters[MESH_LINKS_MADE] == 1);
}

/* ---- coming in ---- */

static void a_node_that_dials_is_linked(void)
{
	begin("a node that dials is linked when both lanes stand, and told by HELLO on the second");
	struct conn_of_link *control, *data;
	struct hello first = peer_hello(FRAME_LANE_CONTROL), second = peer_hello(FRAME_LANE_DATA);
	struct hello answer;
	control = accept_open();
	CHECK(hear(control, NULL) == FRAME_NONE);
	say_hello(control, &first);
	CHECK(hear(control, &answer) == FRAME_HELLO);
	CHECK(answer.lane == FRAME_LANE_CONTROL);
	CHECK(answer.pair == 1);
	CHECK(boot_id_equals(answer.boot, (struct boot_id){{6, 6}}));
	CHECK(hear(control, NULL) == FRAME_NONE);
	CHECK(!is_linked);
	data = accept_open();
	say_hello(data, &second);
	CHECK(hear(data, &answer) == FRAME_HELLO);
	CHECK(answer.lane == FRAME_LANE_DATA);
	CHECK(answer.stamp > 0);
	CHECK(hear(control, NULL) == FRAME_MEMBERS);
	CHECK(is_linked);
	end();
}

static void spoil_version(struct hello *hello)
{
	hello->version_min = hello->version_max = PROTOCOL_VERSION_MAX + 1;
}

static void spoil_cluster(struct hello *hello)
{
	hello->cluster = SLICE("d");
}

static void spoil_name(struct hello *hello)
{
	hello->name = SLICE("me");
}

static const struct {
	const char *claim;
	enum mesh_counter counter;
	enum bye bye;
	void (*spoil)(struct hello *hello);
} strangers[] = {
	{"a node of another version is sent away", MESH_REFUSED_VERSION, BYE_VERSION,
         spoil_version},
	{"a node of another cluster is sent away", MESH_REFUSED_CLUSTER, BYE_CLUSTER,
         spoil_cluster},
	{"a node of my name is sent away", MESH_REFUSED_NAME, BYE_NAME_TAKEN, spoil_name},
};

static void strangers_are_sent_away(void)
{
	for (size_t i = 0; i < COUNT_OF(strangers); i++) {
		begin(strangers[i].claim);
		for (int lane = 0; lane < FRAME_LANE_EITHER; lane++) {
			struct hello hello = peer_hello((enum frame_lane)lane);
			strangers[i].spoil(&hello);
			if (closed_count == 0)
				say_hello(accept_open(), &hello);
		}
		CHECK(counters[strangers[i].counter] == 1);
		CHECK(last_event == LINK_EVENT_REFUSED);
		CHECK(slice_is(slice_string(last_why), bye_sentence(strangers[i].bye)));
		CHECK(!is_linked);
		CHECK(membership_count(links_membership(links)) == 0);
		end();
	}
}

/* While all are restarted, one after the other, to change a setting. */
static void who_is_told_otherwise_is_named(void)
{
	static const struct {
		const char *claim, *why;
		enum link_event event;
		uint8_t replicas;
	} rows[] = {
		{"a node with as many replicas is like this one", "1.2.3.4:5", LINK_EVENT_UP, 3},
		{"a node with more is linked, and named", "mesh.replicas is 5 there, 3 here",
	         LINK_EVENT_UNLIKE, 5},
		{"so is one with fewer", "mesh.replicas is 1 there, 3 here", LINK_EVENT_UNLIKE, 1},
		{"one that does not say is not", "1.2.3.4:5", LINK_EVENT_UP, 0},
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		begin(rows[i].claim);
		struct hello first = peer_hello(FRAME_LANE_CONTROL);
		struct hello second = peer_hello(FRAME_LANE_DATA);
		first.replicas = second.replicas = rows[i].replicas;
		say_hello(accept_open(), &first);
		say_hello(accept_open(), &second);
		CHECK(is_linked);
		CHECK(last_event == rows[i].event);
		CHECK(slice_is(slice_string(last_why), rows[i].why));
		end();
	}
}

static void the_node_itself_is_no_peer(void)
{
	begin("a node that dials itself does so once");
	struct hello hello = peer_hello(FRAME_LANE_CONTROL);
	links_connect(links, SLICE("7.7.7.7:7"), SLICE("seed:7"), now);
	struct conn_of_link *conn = opened[0];
	links_open(links, conn, now);
	CHECK(hear(conn, &hello) == FRAME_HELLO);
	say_hello(conn, &hello);
	CHECK(opened[0] == NULL);
	CHECK(last_bye() == BYE_SELF);
	CHECK(counters[MESH_DIALS_FAILED] == 0);
	links_connect(links, SLICE("7.7.7.7:7"), SLICE("seed:7"), now);
	CHECK(opened_count == 1);
	end();
}

static void no_more_than_so_many_strangers(void)
{
	begin("of too many strangers the oldest goes, and best one that has shown nothing");
	struct conn_of_link *first = accept_one();
	first->has_shown = true;
	for (uint32_t i = 1; i < LINK_PENDING_MAX; i++)
		accept_one();
	CHECK(closed_count == 0);
	CHECK(opened[1] != NULL);
	accept_one();
	CHECK(closed_count == 1);
	CHECK(opened[0] == first);
	CHECK(opened[1] == NULL);
	CHECK(counters[MESH_REFUSED_CROWD] == 1);
	/* Time is up for the others. */
	pass(LINK_HELLO_MS - MEMBERSHIP_TICK_MS);
	CHECK(closed_count == 1);
	pass(MEMBERSHIP_TICK_MS);
	CHECK(closed_count == 1 + LINK_PENDING_MAX);
	CHECK(counters[MESH_REFUSED_TIMEOUT] == LINK_PENDING_MAX);
	end();
}

static void hellos_played_again_keep_nobody_out(void)
{
	begin("strangers that show a key and prove nothing do not crowd out others");
	struct conn_of_link *open = accept_open();
	for (uint32_t i = 1; i < LINK_PENDING_MAX; i++)
		accept_one()->has_shown = true;
	struct conn_of_link *newest = accept_one();
	CHECK(opened[1] == NULL);
	newest->has_shown = true;
	/* Those that have shown nothing come and go beside those that have. */
	for (uint32_t i = 1; i < LINK_PENDING_MAX / 2; i++)
		accept_one();
	CHECK(closed_count == LINK_PENDING_MAX / 2);
	CHECK(opened[LINK_PENDING_MAX / 2] == NULL);
	CHECK(opened[LINK_PENDING_MAX / 2 + 1] != NULL);
	accept_one();
	CHECK(closed_count == LINK_PENDING_MAX / 2 + 1);
	CHECK(opened[LINK_PENDING_MAX / 2 + 1] != NULL);
	CHECK(opened[LINK_PENDING_MAX + 1] == NULL);
	CHECK(opened[LINK_PENDING_MAX] == newest);
	CHECK(opened[0] == open);
	end();
}

static void of_those_that_hold_the_secret_one_goes_too(void)
{
	begin("of too many that hold the secret and say nothing the oldest goes, not the newest");
	for (uint32_t i = 0; i < LINK_PENDING_MAX; i++)
		accept_open();
	struct conn_of_link *newest = accept_one();
	CHECK(closed_count == 1);
	CHECK(opened[0] == NULL);
	CHECK(opened[LINK_PENDING_MAX] == newest);
	/* Now that one has shown nothing. */
	accept_one();
	CHECK(opened[LINK_PENDING_MAX] == NULL);
	CHECK(opened[1] != NULL);
	end();
}

static void no_more_than_so_many_knock(void)
{
	begin("of those that hold the secret no more than so many are being linked");
	for (uint32_t i = 0; i <= LINKS_MAX; i++) {
		struct hello hello = peer_hello(FRAME_LANE_CONTROL);
		hello.boot.word[0] = 1000 + i;
		CHECK(closed_count == 0);
		opened_count = 0;
		say_hello(accept_open(), &hello);
	}
	CHECK(closed_count == 1);
	CHECK(last_bye() == BYE_MEMORY);
	links_connect(links, SLICE("7.7.7.7:7"), SLICE("7.7.7.7:7"), now);
	CHECK(opened_count == 1);
	/* When they are gone there is room. */
	pass(LINK_HELLO_MS);
	CHECK(closed_count == 1 + LINKS_MAX);
	links_connect(links, SLICE("7.7.7.7:7"), SLICE("7.7.7.7:7"), now);
	CHECK(opened_count == 2);
	end();
}

static void who_knocks_has_so_long(void)
{
	begin("who has said one HELLO has so long for the second lane");
	struct hello hello = peer_hello(FRAME_LANE_CONTROL);
	say_hello(accept_open(), &hello);
	pass(LINK_HELLO_MS - MEMBERSHIP_TICK_MS);
	CHECK(closed_count == 0);
	pass(MEMBERSHIP_TICK_MS);
	CHECK(closed_count == 1);
	end();
}

static void time_that_was_slept_is_nobodys_fault(void)
{
	begin("time in which this node did not run is not held against others");
	struct hello hello = peer_hello(FRAME_LANE_CONTROL);
	accept_one();
	say_hello(accept_open(), &hello);
	now += 60000;
	links_tick(links, now);
	CHECK(closed_count == 0);
	pass(LINK_HELLO_MS + MEMBERSHIP_TICK_MS);
	CHECK(closed_count == 2);
	end();
}

static void what_begins_after_a_sleep_has_its_time(void)
{
	begin("what begins before the first tick after a sleep has its time, and no more");
	struct conn_of_link *control, *data;
	link_up(&control, &data);
	pass(1000);
	now += 3600 * 1000;
	accept_open();
	links_ended(links, data, CONN_CLOSED, now);
	CHECK(is_linked);
	pass(LINK_BOTH_MS + MEMBERSHIP_TICK_MS);
	CHECK(!is_linked);
	CHECK(closed_count == 2);
	pass(LINK_HELLO_MS);
	CHECK(counters[MESH_REFUSED_TIMEOUT] == 1);
	CHECK(closed_count == 3);
	end();
}

static void nothing_long_is_collected(void)
{
	begin("from a stranger nothing is collected that is longer than a HELLO may be");
	struct conn_of_link *conn = accept_open();
	struct buf head = {0};
	pack_u32(&head, LINK_HELLO_MAX + 1);
	buf_slice(&conn->lane.in, buf_view(&head));
	buf_free(&head);
	links_came(links, conn, now);
	CHECK(closed_count == 1);
	CHECK(counters[MESH_REFUSED_MALFORMED] == 1);
	CHECK(last_bye() == BYE_MALFORMED);
	end();
}

static void nothing_comes_before_hello(void)
{
	begin("nothing comes before HELLO, and no second one");
	for (unsigned type = FRAME_HEARTBEAT; type <= FRAME_CREDIT; type++) {
		if (slice_is(slice_string(frame_name(type)), "NONE"))
			continue;
		uint64_t before = counters[MESH_REFUSED_MALFORMED];
		say(accept_open(), type, SLICE("12345678901234567890"));
		CHECK(counters[MESH_REFUSED_MALFORMED] == before + 1);
	}
	struct hello hello = peer_hello(FRAME_LANE_CONTROL);
	struct conn_of_link *conn = accept_open();
	uint64_t before = counters[MESH_REFUSED_MALFORMED];
	say_hello(conn, &hello);
	say_hello(conn, &hello);
	CHECK(counters[MESH_REFUSED_MALFORMED] == before + 1);
	end();
}

static enum frame_type data_type(void)
{
	for (unsigned type = FRAME_OF_WORKERS; type < 60; type++) {
		if (!slice_is(slice_string(frame_name(type)), "NONE") &&
		    frame_lane_of(type) == FRAME_LANE_DATA)
			return type;
	}
	return FRAME_NONE;
}

static const struct {
	const char *claim;
	enum frame_type type;
	struct slice body;
} unreadable[] = {
	{"a BYE without a reason ends the link", FRAME_BYE, {"", 0}},
	{"so does credit in part", FRAME_CREDIT, {"\1\0\0", 3}},
	{"and a heartbeat in part", FRAME_HEARTBEAT, {"\1\0\0", 3}},
	{"and members that are none", FRAME_MEMBERS, {"\xff\xff\xff\xff", 4}},
};

static void what_cannot_be_read_ends_a_link(void)
{
	for (size_t i = 0; i < COUNT_OF(unreadable); i++) {
		struct conn_of_link *control, *data;
		begin(unreadable[i].claim);
		link_up(&control, &data);
		say(control, unreadable[i].type, unreadable[i].body);
		CHECK(!is_linked);
		CHECK(closed_count == 2);
		CHECK(last_said == BYE_MALFORMED);
		CHECK(counters[MESH_REFUSED_MALFORMED] == 1);
		end();
	}
	begin("a HELLO that cannot be read ends the connection");
	say(accept_open(), FRAME_HELLO, SLICE("hello"));
	CHECK(closed_count == 1);
	CHECK(last_said == BYE_MALFORMED);
	CHECK(counters[MESH_REFUSED_MALFORMED] == 1);
	end();
	begin("who says BYE and no HELLO is gone, and nobody is told");
	say(accept_open(), FRAME_BYE, SLICE("\1"));
	CHECK(closed_count == 1);
	CHECK(counters[MESH_REFUSED_MALFORMED] == 0);
	CHECK(last_why[0] == '\0');
	end();
}

static void who_knocks_again_is_knocking_once(void)
{
	begin("of one that knocks twice the first knock is forgotten");
	struct hello first = peer_hello(FRAME_LANE_CONTROL), second = peer_hello(FRAME_LANE_DATA);
	struct conn_of_link *former = accept_open();
	say_hello(former, &first);
	first.pair = second.pair = 2;
	say_hello(accept_open(), &first);
	CHECK(closed_count == 1);
	CHECK(opened[0] == NULL);
	CHECK(last_said == BYE_TWICE);
	say_hello(accept_open(), &second);
	CHECK(is_linked);
	CHECK(closed_count == 1);
	end();
}

/* The second one, by another. */
static void knock_as(struct boot_id boot, struct slice name, struct slice address)
{
	struct hello hello = peer_hello(FRAME_LANE_CONTROL);
	for (int lane = 0; lane < FRAME_LANE_EITHER && last_said == BYE_COUNT; lane++) {
		hello.lane = (uint8_t)lane;
		hello.boot = boot;
		hello.name = name;
		hello.address = address;
		hello.stamp = 100 + (uint64_t)lane;
		say_hello(accept_open(), &hello);
	}
}

static void a_name_is_one_members(void)
{
	const struct boot_id peer = {{5, 5}}, other = {{77, 5}};
	struct conn_of_link *control, *data;
	const struct member *member;
	begin("who comes under the name of a member that is linked is sent away");
	link_up(&control, &data);
	knock_as(other, SLICE("peer"), SLICE("1.2.3.4:5"));
	CHECK(last_said == BYE_NAME_TAKEN);
	CHECK(counters[MESH_REFUSED_NAME] == 1);
	CHECK(is_linked && counters[MESH_LINKS_MADE] == 1);
	CHECK(membership_find(links_membership(links), other) == NULL);
	end();
	begin("so is one from elsewhere, if that one's link has broken");
	link_up(&control, &data);
	links_ended(links, control, CONN_LOST, now);
	knock_as(other, SLICE("peer"), SLICE("5.5.5.5:5"));
	CHECK(last_said == BYE_NAME_TAKEN);
	member = membership_find(links_membership(links), peer);
	CHECK(member_state_of(member) != MEMBER_DEAD);
	end();
	begin("one at the same place is that one, started again");
	link_up(&control, &data);
	links_ended(links, control, CONN_LOST, now);
	knock_as(other, SLICE("peer"), SLICE("1.2.3.4:5"));
	CHECK(is_linked && counters[MESH_LINKS_MADE] == 2);
	member = membership_find(links_membership(links), peer);
	CHECK(member_state_of(member) == MEMBER_DEAD && member->is_gone);
	end();
	begin("a member that comes from another place is found there");
	link_up(&control, &data);
	links_ended(links, control, CONN_LOST, now);
	knock_as(peer, SLICE("peer"), SLICE("5.5.5.5:5"));
	CHECK(is_linked && counters[MESH_LINKS_MADE] == 2);
	member = membership_find(links_membership(links), peer);
	CHECK(slice_is(slice_string(member->address), "5.5.5.5:5"));
	end();
}

static void what_there_is_no_memory_for_ends_a_link(void)
{
	struct conn_of_link *control, *data;
	begin("a frame that there is no memory for ends the link, as others rely on it");
	link_up(&control, &data);
	is_short = true;
	say(data, data_type(), SLICE("one"));
	CHECK(taken == 1);
	CHECK(!is_linked);
	CHECK(last_said == BYE_MEMORY);
	end();
}

/* ---- going out ---- */

/* Dials the peer as far as its second HELLO. */
static struct conn_of_link *dial_to_commitment(struct conn_of_link **control)
{
	struct hello hello = peer_hello(FRAME_LANE_CONTROL), said;
	links_connect(links, SLICE("1.2.3.4:5"), SLICE("peer:5"), now);
	*control = opened[opened_count - 1];
	links_open(links, *control, now);
	CHECK(hear(*control, &said) == FRAME_HELLO);
	hello.pair = said.pair;
	say_hello(*control, &hello);
	struct conn_of_link *data = opened[opened_count - 1];
	CHECK(data != *control);
	CHECK(data->lane.kind == FRAME_LANE_DATA);
	links_open(links, data, now);
	CHECK(hear(data, &said) == FRAME_HELLO);
	CHECK(said.pair == hello.pair);
	CHECK(said.lane == FRAME_LANE_DATA);
	return data;
}

static void a_node_that_is_dialled_accepts(void)
{
	begin("who was dialled accepts by its second HELLO; what came before is read after it");
	struct conn_of_link *control, *data = dial_to_commitment(&control);
	struct hello hello = peer_hello(FRAME_LANE_DATA);
	struct buf beat = {0};
	pack_u64(&beat, 10);
	pack_u8(&beat, MEMBER_DRAINING);
	pack_u32(&beat, 1);
	pack_u16(&beat, 0);
	pack_u64(&beat, 0);
	say(control, FRAME_HEARTBEAT, buf_view(&beat));
	buf_free(&beat);
	CHECK(!is_linked);
	CHECK(closed_count == 0);
	hello.pair = 1;
	say_hello(data, &hello);
	CHECK(is_linked);
	const struct member *member =
		membership_find(links_membership(links), (struct boot_id){{5, 5}});
	CHECK(member != NULL);
	CHECK(member->incarnation == 10);
	CHECK(member_state_of(member) == MEMBER_DRAINING);
	end();
}

static void who_is_sent_away_is_told(void)
{
	begin("who is sent away is told, though the link does not stand yet");
	struct conn_of_link *control;
	dial_to_commitment(&control);
	struct buf body = {0};
	bye_write(&body, BYE_NAME_TAKEN);
	say(control, FRAME_BYE, buf_view(&body));
	buf_free(&body);
	CHECK(closed_count == 2);
	CHECK(last_event == LINK_EVENT_SENT_AWAY);
	CHECK(slice_is(slice_string(last_why), bye_sentence(BYE_NAME_TAKEN)));
	CHECK(counters[MESH_DIALS_FAILED] == 1);
	end();
}

static void spoil_lane(struct hello *hello)
{
	hello->lane ^= 1;
}

static void spoil_pair(struct hello *hello)
{
	hello->pair++;
}

static void spoil_boot(struct hello *hello)
{
	hello->boot.word[0]++;
}

static void what_is_no_answer_is_refused(void)
{
	static const struct {
		const char *claim;
		void (*spoil)(struct hello *hello);
		bool is_second;
	} rows[] = {
		{"who was dialled answers on the control lane", spoil_lane, false},
		{"and this dial, not another", spoil_pair, false},
		{"it accepts on the data lane", spoil_lane, true},
		{"and this dial", spoil_pair, true},
		{"and is the one that answered", spoil_boot, true},
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct conn_of_link *control, *data;
		begin(rows[i].claim);
		struct hello hello = peer_hello(FRAME_LANE_CONTROL), said;
		if (rows[i].is_second) {
			data = dial_to_commitment(&control);
			hello = peer_hello(FRAME_LANE_DATA);
			rows[i].spoil(&hello);
			say_hello(data, &hello);
		} else {
			links_connect(links, SLICE("1.2.3.4:5"), SLICE("peer:5"), now);
			links_open(links, opened[0], now);
			CHECK(hear(opened[0], &said) == FRAME_HELLO);
			hello.pair = said.pair;
			rows[i].spoil(&hello);
			say_hello(opened[0], &hello);
			CHECK(opened_count == 1); /* no second lane */
		}
		CHECK(!is_linked);
		CHECK(closed_count == opened_count);
		CHECK(last_said == BYE_MALFORMED);
		CHECK(counters[MESH_DIALS_FAILED] == 1);
		end();
	}
}

static void the_reason_may_come_last(void)
{
	for (int is_told = 0; is_told < 2; is_told++) {
		struct conn_of_link *control, *data;
		begin(is_told ? "who closes the data lane may say why a moment later, on the other"
		              : "and need not");
		data = dial_to_commitment(&control);
		links_ended(links, data, CONN_CLOSED, now);
		CHECK(closed_count == 1);
		if (is_told)
			say(control, FRAME_BYE, SLICE("\6"));
		else
			pass(LINK_BOTH_MS + MEMBERSHIP_TICK_MS);
		CHECK(closed_count == 2);
		CHECK(counters[MESH_DIALS_FAILED] == 1);
		CHECK(slice_is(slice_string(last_why), is_told ? bye_sentence(BYE_FULL) : ""));
		end();
	}
}

static void dials_have_so_long(void)
{
	begin("a dial has so long for each lane");
	links_connect(links, SLICE("1.2.3.4:5"), SLICE("1.2.3.4:5"), now);
	links_connect(links, SLICE("1.2.3.4:5"), SLICE("1.2.3.4:5"), now);
	CHECK(opened_count == 1); /* one at a time */
	pass(LINK_HELLO_MS);
	CHECK(closed_count == 1);
	CHECK(counters[MESH_DIALS_FAILED] == 1);
	struct conn_of_link *control;
	dial_to_commitment(&control);
	pass(LINK_HELLO_MS);
	CHECK(closed_count == 3);
	CHECK(counters[MESH_DIALS_FAILED] == 2);
	end();
}

static void the_other_secret_is_tried(void)
{
	begin("where the first of two secrets is not known the second is shown");
	links_set_keys(links, 2);
	links_connect(links, SLICE("1.2.3.4:5"), SLICE("1.2.3.4:5"), now);
	CHECK(opened[0]->key == 0);
	links_ended(links, opened[0], CONN_BAD_KEY, now);
	CHECK(opened_count == 2);
	CHECK(opened[1]->key == 1);
	CHECK(counters[MESH_DIALS_FAILED] == 0);
	links_ended(links, opened[1], CONN_BAD_KEY, now);
	CHECK(opened_count == 2);
	CHECK(counters[MESH_DIALS_FAILED] == 1);
	CHECK(last_event == LINK_EVENT_FAILED);
	end();
}

/* ---- both at once ---- */

static void the_dial_of_the_smaller_goes_on(void)
{
	begin("of two dials that meet the one of the smaller boot id goes on");
	struct conn_of_link *control;
	struct hello first = peer_hello(FRAME_LANE_CONTROL), second = peer_hello(FRAME_LANE_DATA);
	dial_to_commitment(&control);
	/* The peer's id is 5, mine 6. */
	say_hello(accept_open(), &first);
	struct conn_of_link *data = accept_open();
	say_hello(data, &second);
	CHECK(is_linked);
	CHECK(closed_count == 2); /* mine was given up */
	CHECK(data->link != NULL);
	CHECK(counters[MESH_DIALS_FAILED] == 0);
	end();
	begin("and where this node's is the smaller the other is sent away");
	first.boot = second.boot = (struct boot_id){{7, 7}};
	struct hello hello = first, said;
	links_connect(links, SLICE("1.2.3.4:5"), SLICE("peer:5"), now);
	control = opened[0];
	links_open(links, control, now);
	CHECK(hear(control, &said) == FRAME_HELLO);
	hello.pair = said.pair;
	say_hello(control, &hello);
	links_open(links, opened[1], now);
	say_hello(accept_open(), &first);
	say_hello(accept_open(), &second);
	CHECK(!is_linked);
	CHECK(closed_count == 2);
	CHECK(opened[0] == control);
	hello = second;
	hello.pair = said.pair;
	say_hello(opened[1], &hello);
	CHECK(is_linked);
	end();
}

static void a_stale_dial_does_not_end_a_link(void)
{
	begin("a second HELLO from before the link is refused, one from after it replaces it");
	struct conn_of_link *control, *data;
	struct hello first = peer_hello(FRAME_LANE_CONTROL), second = peer_hello(FRAME_LANE_DATA);
	second.stamp = 10;
	control = accept_open();
	say_hello(control, &first);
	data = accept_open();
	say_hello(data, &second);
	CHECK(is_linked);
	first.pair = second.pair = 2;
	second.stamp = 9;
	say_hello(accept_open(), &first);
	say_hello(accept_open(), &second);
	CHECK(closed_count == 2);
	CHECK(data->link != NULL);
	CHECK(counters[MESH_LINKS_LOST] == 0);
	first.pair = second.pair = 3;
	second.stamp = 11;
	say_hello(accept_open(), &first);
	data = accept_open();
	say_hello(data, &second);
	CHECK(counters[MESH_LINKS_LOST] == 1);
	CHECK(counters[MESH_LINKS_MADE] == 2);
	CHECK(is_linked);
	CHECK(data->link != NULL);
	end();
}

/* ---- ends ---- */

static void both_lanes_closed_is_a_death_to_be_proved(void)
{
	struct conn_of_link *control, *data;
	begin("both lanes closed by the other side, and its port refuses: it is dead at once");
	link_up(&control, &data);
	links_ended(links, data, CONN_CLOSED, now);
	CHECK(is_linked);
	links_ended(links, control, CONN_CLOSED, now);
	CHECK(!is_linked);
	CHECK(counters[MESH_LINKS_CLOSED] == 1);
	CHECK(dial_count == 1);
	for (uint32_t i = 0; i < 2; i++) {
		links_connect(links, SLICE("1.2.3.4:5"), SLICE("1.2.3.4:5"), now);
		links_ended(links, opened[opened_count - 1], CONN_REFUSED, now);
	}
	const struct member *member =
		membership_find(links_membership(links), (struct boot_id){{5, 5}});
	CHECK(member_state_of(member) == MEMBER_DEAD);
	CHECK(member->is_gone);
	end();
	begin("one lane closed is a link that is lost, a moment later");
	link_up(&control, &data);
	links_ended(links, data, CONN_CLOSED, now);
	pass(LINK_BOTH_MS);
	CHECK(!is_linked);
	CHECK(counters[MESH_LINKS_LOST] == 1);
	end();
	begin("a lane that breaks is a link that is lost at once");
	link_up(&control, &data);
	links_ended(links, control, CONN_LOST, now);
	CHECK(!is_linked);
	CHECK(counters[MESH_LINKS_LOST] == 1);
	CHECK(opened[0] == NULL && opened[1] == NULL);
	end();
}

static void what_does_not_move_ends(void)
{
	struct conn_of_link *control, *data;
	begin("a lane on which nothing moves ends the link");
	link_up(&control, &data);
	for (uint64_t ms = 0; ms < LINK_STUCK_MS + 2 * MEMBERSHIP_BEAT_MS && is_linked; ms += 250) {
		struct slice credit = SLICE("\1\0\0\0\0\0\0\0");
		say(control, FRAME_CREDIT, credit); /* it is heard all the time */
		pass(250);
	}
	CHECK(!is_linked);
	CHECK(counters[MESH_LINKS_LOST] == 1);
	end();
}

static void a_full_control_lane_ends(void)
{
	struct conn_of_link *control, *data;
	begin("a control lane that is full ends the link");
	link_up(&control, &data);
	size_t before = lane_waiting(&control->lane);
	struct buf filler = {0};
	CHECK(buf_room(&filler, LINK_CONTROL_MAX) != NULL);
	memset(filler.at, 0, LINK_CONTROL_MAX);
	buf_grew(&filler, LINK_CONTROL_MAX - before - 100);
	buf_slice(&control->lane.out, buf_view(&filler));
	buf_free(&filler);
	pass(2 * MEMBERSHIP_BEAT_MS);
	CHECK(!is_linked);
	CHECK(counters[MESH_LINKS_LOST] == 1);
	end();
}

static void data_that_waits_is_bounded(enum frame_type type)
{
	struct conn_of_link *control, *data;
	const struct boot_id peer = {{5, 5}};
	begin("data that waits is bounded: load is told, some is left out, else the link ends");
	link_up(&control, &data);
	uint32_t sent = 0;
	while (!is_high) {
		struct blob *body = blob_make(FRAME_DATA_MAX);
		memset(body->bytes, 0, FRAME_DATA_MAX);
		CHECK(links_send(links, peer, type, 0, body, true, now) == LINK_SENT);
		sent++;
	}
	CHECK(sent == (LINK_DATA_MAX / 4 * 3) / (FRAME_DATA_MAX + FRAME_HEAD_BYTES) + 1);
	enum link_send answer = LINK_SENT;
	while (answer == LINK_SENT) {
		struct blob *body = blob_make(FRAME_DATA_MAX);
		answer = links_send(links, peer, type, 0, body, true, now);
	}
	CHECK(counters[MESH_FRAMES_LEFT_OUT] == 1);
	CHECK(is_linked);
	/* On the credit that a link begins with, and no further. */
	struct buf bytes = {0};
	while (links_give(links, data, &bytes, 65536, now) > 0)
		;
	CHECK(bytes.len <= LANE_WINDOW + 1024);
	CHECK(bytes.len > LANE_WINDOW - FRAME_DATA_MAX);
	buf_clear(&bytes);
	CHECK(is_high);
	say(control, FRAME_CREDIT, SLICE("\xff\xff\xff\xff\0\0\0\0"));
	while (links_give(links, data, &bytes, 65536, now) > 0)
		buf_clear(&bytes);
	CHECK(!is_high);
	CHECK(lane_waiting(&data->lane) == 0);
	buf_free(&bytes);
	while (is_linked) {
		struct blob *body = blob_make(FRAME_DATA_MAX);
		CHECK(links_send(links, peer, type, 0, body, false, now) == LINK_SENT);
	}
	CHECK(counters[MESH_LINKS_LOST] == 1);
	end();
}

static void frames_wait_while_nobody_takes_them(enum frame_type type)
{
	struct conn_of_link *control, *data;
	begin("frames of the data lane wait while nobody takes them, and not for ever more");
	link_up(&control, &data);
	links_pause(links);
	say(data, type, SLICE("one"));
	say(data, type, SLICE("two"));
	CHECK(taken == 0);
	links_go_on(links, now);
	CHECK(taken == 2);
	links_pause(links);
	struct buf large = {0};
	CHECK(buf_room(&large, FRAME_DATA_MAX) != NULL);
	memset(large.at, 0, FRAME_DATA_MAX);
	buf_grew(&large, FRAME_DATA_MAX);
	for (int i = 0; i < 5 && is_linked; i++)
		say(data, type, buf_view(&large));
	buf_free(&large);
	CHECK(!is_linked); /* it sent more than it had credit for */
	CHECK(counters[MESH_REFUSED_MALFORMED] == 1);
	end();
}

static void leaving_is_the_last_word(void)
{
	struct conn_of_link *control, *data;
	begin("a node that leaves says so, and takes nobody in any more");
	link_up(&control, &data);
	links_leave(links, now);
	struct hello hello = peer_hello(FRAME_LANE_CONTROL);
	hello.boot.word[0] = 77;
	hello.name = SLICE("other");
	say_hello(accept_open(), &hello);
	CHECK(last_bye() == BYE_LEAVING);
	enum frame_type type, last = FRAME_NONE;
	bool has_left = false;
	while ((type = hear(control, NULL)) != FRAME_NONE) {
		has_left |= type == FRAME_LEFT;
		last = type;
	}
	CHECK(has_left);
	CHECK(last == FRAME_BYE);
	CHECK(!links_are_none(links));
	links_ended(links, control, CONN_CLOSED, now);
	links_ended(links, data, CONN_CLOSED, now);
	CHECK(links_are_none(links));
	CHECK(dial_count == 0);
	end();
}

static void memory_that_is_not_there_ends_links_alone(void)
{
	printf("link: want of memory ends a link or a dial, and nothing else\n");
	for (uint32_t n = 1;; n++) {
		struct conn_of_link *conn;
		begin("want of memory");
		struct hello first = peer_hello(FRAME_LANE_CONTROL),
			     second = peer_hello(FRAME_LANE_DATA);
		struct buf body[2] = {{0}, {0}};
		hello_write(&body[0], &first);
		hello_write(&body[1], &second);
		struct buf wire[2] = {{0}, {0}};
		frame_append(&wire[0], FRAME_HELLO, 0, buf_view(&body[0]));
		frame_append(&wire[1], FRAME_HELLO, 0, buf_view(&body[1]));
		failing_arm(n, FAILING_ONE);
		for (int lane = 0; lane < 2; lane++) {
			conn = links_accept(links, "x:1", now);
			if (conn == NULL)
				continue;
			links_open(links, conn, now);
			buf_swap(&conn->lane.in, &wire[lane]);
			links_came(links, conn, now);
		}
		links_connect(links, SLICE("4.4.4.4:4"), SLICE("4.4.4.4:4"), now);
		links_tick(links, now);
		uint32_t failed = failing_disarm();
		pass(200);
		for (int lane = 0; lane < 2; lane++) {
			buf_free(&body[lane]);
			buf_free(&wire[lane]);
		}
		end();
		if (failed == 0)
			break;
	}
}

int main(void)
{
	a_node_that_dials_is_linked();
	strangers_are_sent_away();
	who_is_told_otherwise_is_named();
	the_node_itself_is_no_peer();
	no_more_than_so_many_strangers();
	hellos_played_again_keep_nobody_out();
	of_those_that_hold_the_secret_one_goes_too();
	no_more_than_so_many_knock();
	who_knocks_has_so_long();
	time_that_was_slept_is_nobodys_fault();
	what_begins_after_a_sleep_has_its_time();
	nothing_long_is_collected();
	nothing_comes_before_hello();
	what_cannot_be_read_ends_a_link();
	who_knocks_again_is_knocking_once();
	a_name_is_one_members();
	what_there_is_no_memory_for_ends_a_link();
	a_node_that_is_dialled_accepts();
	who_is_sent_away_is_told();
	what_is_no_answer_is_refused();
	the_reason_may_come_last();
	dials_have_so_long();
	the_other_secret_is_tried();
	the_dial_of_the_smaller_goes_on();
	a_stale_dial_does_not_end_a_link();
	both_lanes_closed_is_a_death_to_be_proved();
	what_does_not_move_ends();
	a_full_control_lane_ends();
	leaving_is_the_last_word();
	memory_that_is_not_there_ends_links_alone();
	enum frame_type type = data_type();
	if (type != FRAME_NONE) {
		data_that_waits_is_bounded(type);
		frames_wait_while_nobody_takes_them(type);
	}
	return 0;
}
