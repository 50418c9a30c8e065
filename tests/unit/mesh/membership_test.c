/*
 * One membership driven by hand, where whole clusters would hide what it does: time that is late,
 * the order of silences, bounds, frames that cannot be read. The clusters are in tests/sim.
 */
#include "mesh/membership.h"

#include "../../failing.h"
#include "mesh/pack.h"

#define START 1000000u
#define OTHERS 4u

static struct {
	uint32_t dials, closes, beats, accusations;
	enum bye why;
	struct buf last[8]; /* body of the frame sent last, by type */
} seen;

static void out_send(struct membership_out *out, struct member *to, enum frame_type type,
                     struct slice body)
{
	(void)out;
	CHECK(to->is_linked);
	seen.beats += type == FRAME_HEARTBEAT;
	buf_clear(&seen.last[type]);
	buf_slice(&seen.last[type], body);
}

static void out_dial(struct membership_out *out, struct slice address)
{
	(void)out;
	CHECK(address.len > 0);
	seen.dials++;
}

static void out_close(struct membership_out *out, struct member *member, enum bye why)
{
	(void)out;
	CHECK(member->is_linked);
	seen.closes++;
	seen.why = why;
}

static void out_changed(struct membership_out *out, const struct member *member)
{
	(void)out;
	(void)member;
}

static void out_accused(struct membership_out *out)
{
	(void)out;
	seen.accusations++;
}

static struct membership_out out = {.send = out_send,
                                    .dial = out_dial,
                                    .close = out_close,
                                    .changed = out_changed,
                                    .accused = out_accused};
static struct membership *membership;
static struct member *others[MEMBERS_MAX];
static uint64_t now;

static struct hello hello_of(uint64_t number, char name[16])
{
	snprintf(name, 16, "m%u", (unsigned)number);
	return (struct hello){.version_min = 1,
	                      .version_max = 1,
	                      .boot = {{number, 1}},
	                      .incarnation = 5,
	                      .state = MEMBER_READY,
	                      .cluster = SLICE("unit"),
	                      .name = slice_string(name),
	                      .address = slice_string(name),
	                      .release = SLICE("1")};
}

static enum bye link_up(uint64_t number)
{
	char name[16];
	struct hello hello = hello_of(number, name);
	return membership_link_up(membership, &hello, now, &others[number]);
}

static void begin(const char *claim, uint32_t count)
{
	static const struct slice no_seeds[1];
	printf("membership: %s\n", claim);
	memset(&seen, 0, sizeof(seen));
	now = START;
	struct membership_options options = {.out = &out,
	                                     .boot = {{100000, 1}},
	                                     .incarnation = 77,
	                                     .cluster = SLICE("unit"),
	                                     .name = SLICE("me"),
	                                     .address = SLICE("me:1"),
	                                     .release = SLICE("1"),
	                                     .seeds = no_seeds,
	                                     .now_ms = now,
	                                     .seed = 1};
	membership = membership_create(&options);
	CHECK(membership != NULL);
	for (uint32_t i = 1; i <= count; i++)
		CHECK(link_up(i) == BYE_COUNT);
}

static void end(void)
{
	membership_destroy(membership);
	for (size_t i = 0; i < COUNT_OF(seen.last); i++)
		buf_free(&seen.last[i]);
}

/* Ticks as a loop does that is never late. */
static void pass(uint64_t ms)
{
	for (uint64_t end_ms = now + ms; now < end_ms;) {
		now += end_ms - now < MEMBERSHIP_TICK_MS ? end_ms - now : MEMBERSHIP_TICK_MS;
		membership_tick(membership, now);
	}
}

static void hear(uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i <= last; i++)
		membership_heard(membership, others[i], now);
}

static bool take(uint32_t from, enum frame_type type, const struct buf *body)
{
	struct frame frame = {.type = type, .body = buf_view(body)};
	return membership_take(membership, others[from], &frame, now);
}

static void who_is_late_waits_before_it_accuses(void)
{
	begin("who is late waits before it accuses", 1);
	pass(900);
	now += 800; /* stopped */
	membership_tick(membership, now);
	CHECK(others[1]->standing == STANDING_ALIVE);
	pass(750 + 500 - 100); /* silent for 2 s, less what was slept, but blind for so long */
	CHECK(others[1]->standing == STANDING_ALIVE);
	pass(200);
	CHECK(others[1]->standing != STANDING_ALIVE);
	end();
}

static void what_was_slept_is_no_silence(void)
{
	begin("what was slept is no silence of others", 1);
	pass(300);
	now += 650; /* stopped, and 600 late */
	membership_tick(membership, now);
	pass(600 + 500 + 50); /* blind, then it looks */
	CHECK(others[1]->standing == STANDING_SUSPECT);
	end();
}

static void who_slept_long_sees_again_as_soon(void)
{
	begin("who slept for an hour finds the dead as soon as who slept for seconds", 2);
	pass(300);
	now += 3600 * 1000; /* stopped */
	membership_tick(membership, now);
	for (uint32_t i = 0; i < 24; i++) {
		pass(100);
		hear(2, 2);
	}
	CHECK(others[1]->standing == STANDING_ALIVE);
	CHECK(others[2]->standing == STANDING_ALIVE);
	for (uint32_t i = 0; i < 6; i++) {
		pass(100);
		hear(2, 2);
	}
	CHECK(others[1]->standing == STANDING_DEAD);
	CHECK(others[2]->standing == STANDING_ALIVE);
	end();
}

static void a_suspicion_is_told_at_once(void)
{
	begin("a suspicion is told at once", 2);
	pass(600);
	hear(2, 2);
	pass(350);
	uint32_t before = seen.beats;
	pass(50); /* the next heartbeat is due later */
	CHECK(others[1]->standing == STANDING_SUSPECT);
	CHECK(seen.beats >= before + 2);
	end();
}

/* What `from` says of `about`, all others being heard. */
static void tell(uint32_t from, uint32_t about, uint8_t silence, uint32_t version_told)
{
	struct buf members = {0}, beat = {0};
	pack_u32(&members, 3);
	pack_u16(&members, 2);
	for (uint32_t i = 0; i < 2; i++) {
		pack_u64(&members, i == 0 ? 100000 : about);
		pack_u64(&members, 1);
		pack_u64(&members, 5);
		pack_text(&members, SLICE("x"));
		pack_text(&members, SLICE("x:1"));
	}
	CHECK(take(from, FRAME_MEMBERS, &members));
	pack_u64(&beat, 5);
	pack_u8(&beat, MEMBER_READY);
	pack_u32(&beat, version_told);
	pack_u16(&beat, 2);
	pack_u8(&beat, 0);
	pack_u8(&beat, silence);
	pack_u32(&beat, 0);
	pack_u32(&beat, 0);
	CHECK(take(from, FRAME_HEARTBEAT, &beat));
	buf_free(&members);
	buf_free(&beat);
}

static void most_must_agree(void)
{
	static const struct {
		const char *claim;
		uint8_t silence[3]; /* as 2, 3 and 4 tell it of 1 */
		uint32_t version;
		bool dies;
	} rows[] = {
		{"dead when all say so", {10, 20, 255}, 3, true},
		{"dead when most say so", {10, 10, 0}, 3, true},
		{"not when one of three does", {10, 9, 9}, 3, false},
		{"not by silences that belong to another list", {10, 20, 255}, 2, false},
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		begin(rows[i].claim, OTHERS);
		for (int step = 0; step < 42; step++) {
			pass(50);
			for (uint32_t from = 2; from <= OTHERS; from++)
				tell(from, 1, rows[i].silence[from - 2], rows[i].version);
		}
		CHECK((others[1]->standing == STANDING_DEAD) == rows[i].dies);
		end();
	}
}

/* The silences in the next HEARTBEAT belong to the boots in the last MEMBERS. */
static void check_order(void)
{
	for (uint32_t before = seen.beats; seen.beats == before;)
		pass(MEMBERSHIP_TICK_MS);
	struct unpack members = {.rest = buf_view(&seen.last[FRAME_MEMBERS])};
	struct unpack beat = {.rest = buf_view(&seen.last[FRAME_HEARTBEAT])};
	uint32_t version = unpack_u32(&members);
	uint16_t count = unpack_u16(&members);
	unpack_u64(&beat);
	unpack_u8(&beat);
	CHECK(unpack_u32(&beat) == version);
	CHECK(unpack_u16(&beat) == count);
	for (uint16_t i = 0; i < count; i++) {
		uint64_t number = unpack_u64(&members);
		unpack_u64(&members);
		unpack_u64(&members);
		unpack_text(&members);
		unpack_text(&members);
		CHECK(unpack_u8(&beat) == (now - others[number]->heard_ms) / 100);
	}
	unpack_u32(&beat);
	unpack_u32(&beat);
	CHECK(unpack_is_over(&members));
	CHECK(unpack_is_over(&beat));
}

static void silences_stand_in_the_order_of_members(void)
{
	begin("silences stand in the order of the members that were told", OTHERS);
	for (uint32_t i = 1; i <= OTHERS; i++) {
		pass(100);
		hear(i, i);
	}
	check_order();
	/* The first one dies and is forgotten at last: another moves into its place. */
	membership_link_down(membership, others[1], LINK_END_CLOSED, now);
	membership_dial_failed(membership, SLICE("m1"), true, now);
	membership_dial_failed(membership, SLICE("m1"), true, now);
	CHECK(others[1]->standing == STANDING_DEAD);
	for (uint32_t hour = 0; hour < 25; hour++) {
		now += 3600 * 1000;
		membership_tick(membership, now);
		hear(2, OTHERS);
	}
	for (uint32_t i = 2; i <= OTHERS; i++) {
		pass(100);
		hear(i, i);
	}
	CHECK(membership_count(membership) == OTHERS - 1);
	check_order();
	end();
}

static void the_cluster_has_a_bound(void)
{
	begin("the cluster has a bound", MEMBERS_MAX - 1);
	char name[16];
	struct member *nobody;
	struct hello hello = hello_of(9999, name);
	CHECK(membership_link_up(membership, &hello, now, &nobody) == BYE_FULL);
	end();
}

/* More than there is room for. */
static void name_many(uint32_t from)
{
	for (uint32_t round = 0; round < 8; round++) {
		struct buf members = {0};
		pack_u32(&members, round + 1);
		pack_u16(&members, MEMBERS_MAX);
		for (uint32_t i = 0; i < MEMBERS_MAX; i++) {
			pack_u64(&members, 1000 + round * 1000 + i);
			pack_u64(&members, 1);
			pack_u64(&members, 5);
			pack_text(&members, SLICE("x"));
			pack_text(&members, SLICE("x:1"));
		}
		CHECK(take(from, FRAME_MEMBERS, &members));
		buf_free(&members);
	}
}

static void those_heard_of_are_dialled_and_bounded(void)
{
	begin("those only heard of are dialled, shown to nobody, and bounded", 1);
	name_many(1);
	pass(50);
	CHECK(seen.dials == 2 * MEMBERS_MAX - 1);
	CHECK(membership_count(membership) == 1);
	end();
}

static void who_may_come_back_makes_room_last(void)
{
	begin("a dead one that may come back makes room when nobody else can", 2);
	for (uint32_t i = 0; i < 21; i++) {
		pass(100);
		hear(2, 2);
	}
	CHECK(others[1]->standing == STANDING_DEAD);
	membership_link_down(membership, others[1], LINK_END_LOST, now);
	name_many(2);
	CHECK(membership_find(membership, (struct boot_id){{1, 1}}) == others[1]);
	end();
}

static void frames_that_cannot_be_read_end_the_link(void)
{
	static const enum frame_type types[] = {FRAME_HEARTBEAT, FRAME_MEMBERS, FRAME_DEAD,
	                                        FRAME_LEFT};
	begin("frames that cannot be read end the link", 1);
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		struct buf body = {0};
		if (types[i] == FRAME_HEARTBEAT) {
			pack_u64(&body, 5);
			pack_u8(&body, MEMBER_READY);
			pack_u32(&body, 1);
			pack_u16(&body, 1);
			pack_u8(&body, 0);
			pack_u32(&body, 0);
			pack_u32(&body, 0);
		} else if (types[i] == FRAME_MEMBERS) {
			pack_u32(&body, 1);
			pack_u16(&body, 1);
			for (int word = 0; word < 3; word++)
				pack_u64(&body, 500);
			pack_text(&body, SLICE("x"));
			pack_text(&body, SLICE("x:1"));
		} else {
			for (int word = 0; word < 3; word++)
				pack_u64(&body, 600 + i);
			if (types[i] == FRAME_DEAD)
				pack_u8(&body, 1);
		}
		size_t whole = body.len;
		for (size_t cut = 0; cut < whole; cut++) {
			struct frame frame = {.type = types[i], .body = slice_of(body.at, cut)};
			CHECK(!membership_take(membership, others[1], &frame, now));
		}
		CHECK(take(1, types[i], &body));
		buf_free(&body);
	}
	struct frame frame = {.type = FRAME_HELLO};
	CHECK(!membership_take(membership, others[1], &frame, now));
	end();
}

/* What is known of an end for certain: a port that refuses, or somebody else in the place. */
static void who_is_gone_is_told_from_the_silent(void)
{
	begin("who has gone for certain is told from who is silent", 4);
	membership_link_down(membership, others[1], LINK_END_CLOSED, now);
	membership_dial_failed(membership, SLICE("m1"), true, now);
	CHECK(others[1]->standing == STANDING_ALIVE);
	membership_dial_failed(membership, SLICE("m1"), true, now);
	CHECK(others[1]->standing == STANDING_DEAD);
	CHECK(others[1]->is_gone);
	CHECK(seen.last[FRAME_DEAD].at[24] == 1);
	for (uint32_t i = 0; i < 21; i++) {
		pass(100);
		hear(4, 4);
	}
	CHECK(others[2]->standing == STANDING_DEAD);
	CHECK(!others[2]->is_gone);
	CHECK(seen.last[FRAME_DEAD].at[24] == 0);
	membership_link_down(membership, others[2], LINK_END_LOST, now);
	membership_dial_failed(membership, SLICE("m2"), true, now);
	CHECK(!others[2]->is_gone);
	membership_dial_failed(membership, SLICE("m2"), true, now);
	CHECK(others[2]->is_gone);
	CHECK(others[3]->standing == STANDING_DEAD);
	char name[16];
	struct hello again = hello_of(3, name);
	struct member *reborn;
	again.boot.word[1] = 2;
	CHECK(membership_link_up(membership, &again, now, &reborn) == BYE_COUNT);
	CHECK(reborn != others[3]);
	CHECK(others[3]->is_gone);
	struct buf body = {0};
	pack_u64(&body, 3);
	pack_u64(&body, 2);
	pack_u64(&body, 5);
	pack_u8(&body, 1);
	pass(1500); /* nothing of it: so who says that it has gone is believed */
	CHECK(take(4, FRAME_DEAD, &body));
	CHECK(reborn->standing == STANDING_DEAD);
	CHECK(reborn->is_gone);
	buf_free(&body);
	end();
}

/* Who has nobody asks often, who has somebody now and then. */
static void seeds_are_dialled_for_ever(void)
{
	static const struct slice seed = SLICE_INIT("seed:1");
	begin("seeds are dialled for ever: often by who is alone", 0);
	membership_destroy(membership);
	struct membership_options options = {.out = &out,
	                                     .boot = {{100000, 1}},
	                                     .cluster = SLICE("unit"),
	                                     .name = SLICE("me"),
	                                     .address = SLICE("me:1"),
	                                     .release = SLICE("1"),
	                                     .seeds = &seed,
	                                     .seed_count = 1,
	                                     .now_ms = now};
	membership = membership_create(&options);
	CHECK(membership != NULL);
	pass(10000);
	CHECK(seen.dials == 10000 / MEMBERSHIP_ALONE_MS);
	CHECK(link_up(1) == BYE_COUNT);
	for (uint32_t second = 0; second < 60; second++) {
		pass(1000);
		hear(1, 1);
	}
	CHECK(seen.dials == 10000 / MEMBERSHIP_ALONE_MS + 6);
	end();
}

static void what_is_said_of_load_is_told(void)
{
	begin("what a node says of its load stands in its heartbeats", 1);
	membership_set_load(membership, 12, 34);
	pass(MEMBERSHIP_BEAT_MS);
	struct unpack beat = {.rest = buf_view(&seen.last[FRAME_HEARTBEAT])};
	unpack_bytes(&beat, beat.rest.len - 8);
	CHECK(unpack_u32(&beat) == 12);
	CHECK(unpack_u32(&beat) == 34);
	end();
}

static void the_dead_are_told_so(void)
{
	begin("who was found dead and comes back is told so, until it has the higher word", 1);
	pass(2100);
	CHECK(others[1]->standing == STANDING_DEAD);
	CHECK(seen.closes == 1);
	CHECK(seen.why == BYE_DEAD);
	membership_link_down(membership, others[1], LINK_END_LOST, now);
	CHECK(link_up(1) == BYE_COUNT);
	CHECK(others[1]->standing == STANDING_DEAD);
	CHECK(seen.last[FRAME_DEAD].len == 25);
	struct buf beat = {0};
	pack_u64(&beat, 6);
	pack_u8(&beat, MEMBER_READY);
	pack_u32(&beat, 1);
	pack_u16(&beat, 0);
	pack_u32(&beat, 7);
	pack_u32(&beat, 8);
	CHECK(take(1, FRAME_HEARTBEAT, &beat));
	CHECK(others[1]->clients == 7);
	CHECK(others[1]->homes == 8);
	CHECK(others[1]->standing == STANDING_ALIVE);
	buf_free(&beat);
	end();
}

static void want_of_memory_is_nobodys_end(void)
{
	begin("members that there is no memory for are said with the next tick", 3);
	pass(MEMBERSHIP_TICK_MS);
	CHECK(link_up(4) == BYE_COUNT);
	uint32_t beats = seen.beats;
	buf_clear(&seen.last[FRAME_MEMBERS]);
	failing_arm(1, FAILING_ALL_FROM);
	pass(MEMBERSHIP_TICK_MS);
	CHECK(failing_disarm() > 0);
	CHECK(seen.closes == 0);
	CHECK(seen.beats == beats); /* its silences would be in an order that nobody knows */
	CHECK(seen.last[FRAME_MEMBERS].len == 0);
	pass(MEMBERSHIP_TICK_MS);
	CHECK(seen.last[FRAME_MEMBERS].len > 0);
	CHECK(seen.beats == beats + 4);
	struct frame frame = {.type = FRAME_MEMBERS, .body = buf_view(&seen.last[FRAME_MEMBERS])};
	failing_arm(1, FAILING_ONE);
	CHECK(membership_take(membership, others[1], &frame, now)); /* it is not malformed */
	CHECK(failing_disarm() == 1);
	CHECK(seen.closes == 1);
	CHECK(seen.why == BYE_MEMORY);
	end();
}

int main(void)
{
	want_of_memory_is_nobodys_end();
	who_is_late_waits_before_it_accuses();
	what_was_slept_is_no_silence();
	who_slept_long_sees_again_as_soon();
	a_suspicion_is_told_at_once();
	most_must_agree();
	silences_stand_in_the_order_of_members();
	the_cluster_has_a_bound();
	those_heard_of_are_dialled_and_bounded();
	who_may_come_back_makes_room_last();
	frames_that_cannot_be_read_end_the_link();
	the_dead_are_told_so();
	who_is_gone_is_told_from_the_silent();
	seeds_are_dialled_for_ever();
	what_is_said_of_load_is_told();
	return 0;
}
