/* Frames about places that cannot be, and a node that is alone with them. */
#include <stdio.h>

#include "mesh/pack.h"
#include "node/places.h"

#include "../../failing.h"

static struct places places;
static struct places_out out;
static uint32_t sent, again, answered, taken;
static bool has_room, has_memory; /* for frames */
static uint8_t last_flags;        /* of a report; 0xff: it was a verdict */
static struct slab_handle last_place;

static bool out_has_room(struct places_out *unused)
{
	(void)unused;
	return has_room;
}

static bool out_send(struct places_out *unused, uint32_t node, enum frame_type type, uint16_t slot,
                     const struct buf *body)
{
	(void)unused;
	CHECK(node == 3 && slot == 9 && !body->is_broken);
	CHECK((body->len == 0) == (type == FRAME_PLACES_AGAIN));
	if (!has_memory)
		return false;
	if (type == FRAME_PLACES_AGAIN) {
		again++;
		return true;
	}
	last_flags = type == FRAME_PLACES ? (uint8_t)body->at[0] : 0xff;
	sent++;
	return true;
}

static void out_answer(struct places_out *unused, const struct places_asker *asker,
                       enum tally_answer answer, struct slab_handle place)
{
	(void)unused;
	CHECK(asker->worker == 1 && asker->seat.index == 5);
	answered++;
	taken += answer == TALLY_TAKEN;
	if (answer == TALLY_TAKEN)
		last_place = place;
}

static const struct tally_key key = {{9, 77}};

static void begin(void)
{
	out = (struct places_out){.has_room = out_has_room, .send = out_send, .answer = out_answer};
	struct places_options options = {.out = &out, .workers = 1, .now_ms = 1000};
	CHECK(places_init(&places, &options));
	sent = again = answered = taken = 0;
	has_room = has_memory = true;
}

static bool ask_of(uint64_t user, uint32_t limit)
{
	struct places_asker asker = {.worker = 1, .seat = {.index = 5, .generation = 1}};
	return places_ask(&places, &(struct tally_key){{9, user}}, limit, &asker);
}

static bool ask(uint32_t limit)
{
	return ask_of(77, limit);
}

static void turns(uint64_t now_ms)
{
	places_tick(&places, now_ms);
	for (int i = 0; i < 4; i++)
		(void)places_turn(&places, now_ms);
}

static void write_report(struct buf *body, uint8_t flags, const struct places_report *report)
{
	buf_clear(body);
	pack_u8(body, flags);
	pack_u64(body, report->key.word[0]);
	pack_u64(body, report->key.word[1]);
	pack_u32(body, report->have);
	pack_u32(body, report->want);
	pack_u32(body, report->round);
	pack_u32(body, report->limit);
}

static bool take(enum frame_type type, uint16_t slot, struct slice body)
{
	return places_take(&places, 3, type, slot, body);
}

static void test_malformed(void)
{
	struct buf body = {0};
	struct places_report report = {.key = key, .have = 1, .want = 2, .round = 1, .limit = 5};
	begin();
	write_report(&body, 3, &report);
	CHECK(take(FRAME_PLACES, 9, buf_view(&body)));
	CHECK(!take(FRAME_PLACES, 10, buf_view(&body))); /* another slot's */
	CHECK(!take(FRAME_PLACES, SLOTS, buf_view(&body)));
	for (size_t len = 2; len < body.len; len++)
		CHECK(!take(FRAME_PLACES, 9, slice_of(body.at, len)));
	CHECK(!take(FRAME_PLACES, 9, slice_of(body.at, 0)));
	write_report(&body, 8, &report);
	CHECK(!take(FRAME_PLACES, 9, buf_view(&body)));
	report.have = 3;
	write_report(&body, 0, &report);
	CHECK(!take(FRAME_PLACES, 9, buf_view(&body))); /* more than it wants */
	for (size_t len = 0; len <= 32; len++)
		CHECK(take(FRAME_PLACES_GRANTED, 9, slice_of(body.at, len)) == (len == 24));
	CHECK(take(FRAME_PLACES_AGAIN, 9, slice_of(body.at, 0)));
	CHECK(!take(FRAME_PLACES_AGAIN, 9, slice_of(body.at, 1)));
	CHECK(!take(FRAME_PLACES_AGAIN, SLOTS, slice_of(body.at, 0)));
	places_free(&places);
	buf_free(&body);
	printf("places: a frame that cannot be is refused\n");
}

static void test_alone(void)
{
	begin();
	places_use(&places);
	places_role(&places, 9, HOME_HERE, 0);
	turns(1000);
	for (int i = 0; i < 4; i++)
		CHECK(ask(3));
	turns(1000);
	CHECK(answered == 4 && taken == 3 && sent == 0);
	places_give(&places, last_place);
	CHECK(ask(3));
	turns(1000);
	CHECK(answered == 5 && taken == 4);
	CHECK(ask(PLACES_IN));
	turns(1000);
	CHECK(answered == 6 && taken == 5);
	for (int i = 0; i < 4; i++)
		places_give(&places, last_place);
	turns(1000);
	CHECK(places.users.count == 0);
	places_free(&places);
	printf("places: a node alone answers at once, and keeps nothing of who has gone\n");
}

static void test_silent_home(void)
{
	begin();
	places_use(&places);
	places_node_up(&places, 3, true);
	places_role(&places, 9, HOME_ELSEWHERE, 3);
	turns(1000);
	CHECK(sent == 1);
	CHECK(ask(1) && ask(1));
	turns(1000 + PLACES_WAIT_MS - 1);
	CHECK(answered == 0 && sent == 2);
	turns(1000 + PLACES_WAIT_MS);
	CHECK(answered == 2 && taken == 1);
	CHECK(places.counters.unanswered == 2 && places.counters.refused == 1);
	CHECK(sent == 3); /* what it has done alone */
	places_free(&places);
	printf("places: who gets no answer is judged by what is known here, in time\n");
}

static void test_home_that_counts_none(void)
{
	begin();
	places_use(&places);
	places_node_up(&places, 3, false);
	places_role(&places, 9, HOME_ELSEWHERE, 3);
	CHECK(ask(1) && ask(1) && ask(PLACES_IN));
	turns(1000);
	CHECK(answered == 3 && taken == 2 && sent == 0);
	CHECK(places.counters.unanswered == 1 && places.counters.refused == 1);
	places_node_down(&places, 3);
	places_node_up(&places, 3, true); /* it was upgraded */
	turns(1000);
	CHECK(sent == 1 && last_flags == 3);
	places_free(&places);
	printf("places: a home that counts none is not asked, and not waited for\n");
}

static void take_report(uint8_t flags, const struct places_report *report)
{
	struct buf body = {0};
	failing_pause();
	write_report(&body, flags, report);
	failing_resume();
	CHECK(take(FRAME_PLACES, 9, buf_view(&body)));
	buf_free(&body);
}

/* Flags as in places.c: begin, end. */
static void say(uint8_t flags, uint64_t user, uint32_t have, uint32_t want)
{
	take_report(
		flags,
		&(struct places_report){
			.key = {{9, user}}, .have = have, .want = want, .round = 7, .limit = 1});
}

static void say_nothing_of(uint16_t slot, uint8_t flags)
{
	CHECK(take(FRAME_PLACES, slot, slice_of((const char *)&flags, 1)));
}

static void say_nothing(uint8_t flags)
{
	say_nothing_of(9, flags);
}

/* This is home, and node 3 has reported that it has one of the user. */
static void begin_home(void)
{
	begin();
	places_use(&places);
	places_node_up(&places, 3, true);
	places_role(&places, 9, HOME_HERE, 0);
	turns(1000);
	say(3, 77, 1, 1);
	turns(1000);
}

/* Who waits already when it is known. */
static void test_home_that_turns_out_to_count_none(void)
{
	for (int is_linked_first = 0; is_linked_first < 2; is_linked_first++) {
		begin();
		places_use(&places);
		CHECK(ask(1));
		turns(1000);
		if (is_linked_first)
			places_node_up(&places, 3, false);
		places_role(&places, 9, HOME_ELSEWHERE, 3);
		if (!is_linked_first)
			places_node_up(&places, 3, false);
		turns(1000);
		CHECK(answered == 1 && taken == 1);
		places_free(&places);
	}
	printf("places: who waits for a home that turns out to count none waits no longer\n");
}

/* What happened while there was no home, or one that counts none, the home before does not know. */
static void test_same_home_again(void)
{
	for (uint32_t other = 0; other < 2; other++) {
		begin();
		places_use(&places);
		places_node_up(&places, 3, true);
		places_node_up(&places, 4, false);
		places_role(&places, 9, HOME_ELSEWHERE, 3);
		CHECK(ask(PLACES_IN));
		turns(1000);
		uint32_t before = sent;
		places_role(&places, 9, other == 0 ? HOME_NOWHERE : HOME_ELSEWHERE, 4);
		turns(1000);
		CHECK(sent == before + other && (other == 0 || last_flags == 4)); /* away */
		places_give(&places, last_place);
		turns(1000);
		places_role(&places, 9, HOME_ELSEWHERE, 3);
		turns(1000);
		CHECK(sent == before + other + 1 && last_flags == 3 && places.users.count == 0);
		places_free(&places);
	}

	begin_home();
	say(0, 77, 0, 0);
	CHECK(ask(1));
	turns(1000);
	CHECK(taken == 1);
	places_role(&places, 9, HOME_NOWHERE, 0);
	places_give(&places, last_place);
	turns(1000);
	places_role(&places, 9, HOME_HERE, 0);
	turns(1000);
	CHECK(places.home.table.count == 0);
	places_free(&places);
	printf("places: who is home again is told what happened meanwhile\n");
}

static void test_all_again(void)
{
	begin_home();
	say_nothing(1); /* it begins to say all */
	CHECK(ask(1));
	turns(1000);
	CHECK(answered == 1 && taken == 0);
	say_nothing(2); /* and has none */
	CHECK(ask(1));
	turns(1000);
	CHECK(answered == 2 && taken == 1);
	places_free(&places);

	begin_home();
	say_nothing(1);
	say(2, 77, 1, 1); /* it has one as before */
	CHECK(ask(1));
	turns(1000);
	CHECK(answered == 1 && taken == 0);
	places_free(&places);
	printf("places: what a node had counts until it has said all it has\n");
}

/* There is no memory for what a node has of a user, or for the user. */
static void test_lost_report(void)
{
	bool has_failed = true;
	for (uint32_t number = 1; has_failed; number++) {
		begin_home();
		say_nothing(3);
		turns(5000); /* whoever is silent has been so for long enough */
		failing_arm(number, FAILING_ONE);
		take_report(0, &(struct places_report){
				       .key = key, .have = 1, .want = 1, .round = 8, .limit = 1});
		has_failed = failing_disarm() > 0;
		CHECK(number > 2 || has_failed);
		CHECK(ask(1));
		turns(5000);
		CHECK(again == has_failed && answered == !has_failed && taken == 0);
		say(3, 77, 1, 1);
		turns(5000);
		CHECK(again == has_failed && answered == 1 && taken == 0);
		places_free(&places);
	}
	printf("places: a report that there is no memory for is asked for again, and waited for\n");
}

/* The last frame of all that a node has does not make whole what has gone lost before it. */
static void test_lost_in_the_midst(void)
{
	begin_home();
	turns(5000);
	say_nothing(1);
	failing_arm(1, FAILING_ONE);
	take_report(0, &(struct places_report){
			       .key = {{9, 78}}, .have = 1, .want = 1, .round = 8, .limit = 1});
	CHECK(failing_disarm() == 1);
	turns(5000);
	CHECK(again == 1);
	say_nothing_of(10, 3); /* of another slot, in between */
	say_nothing(2);
	CHECK(ask_of(78, 1));
	turns(5000);
	CHECK(answered == 0);
	say(3, 78, 1, 1);
	turns(5000);
	CHECK(answered == 1 && taken == 0);
	places_free(&places);
	printf("places: all that a node has is not all where some of it was lost\n");
}

/* On the newest report. */
static void take_verdict(uint32_t granted)
{
	struct buf body = {0};
	pack_u64(&body, key.word[0]);
	pack_u64(&body, key.word[1]);
	pack_u32(&body, places.round);
	pack_u32(&body, granted);
	CHECK(take(FRAME_PLACES_GRANTED, 9, buf_view(&body)));
	buf_free(&body);
}

/* What was granted before a home lost what it knew of this node. */
static void test_verdict_of_before(void)
{
	begin();
	places_use(&places);
	places_node_up(&places, 3, true);
	places_role(&places, 9, HOME_ELSEWHERE, 3);
	CHECK(ask(1));
	turns(1000);
	has_room = false; /* to answer */
	take_verdict(1);
	turns(1000);
	places_node_down(&places, 3);
	places_node_up(&places, 3, true);
	has_room = true;
	turns(1000);
	CHECK(answered == 0 && last_flags == 3);
	places_free(&places);
	printf("places: a verdict of before all was said again lets nobody in\n");
}

/* Till the home can ask for it again. */
static void test_lost_question(void)
{
	begin_home();
	say_nothing(3);
	turns(5000);
	failing_arm(1, FAILING_ONE);
	take_report(0, &(struct places_report){
			       .key = key, .have = 1, .want = 1, .round = 8, .limit = 1});
	CHECK(failing_disarm() == 1);
	has_memory = false;
	CHECK(ask(1));
	turns(5000);
	turns(5000 + PLACES_WAIT_MS - 1);
	CHECK(again == 0 && answered == 0);
	has_memory = true;
	turns(5000 + PLACES_WAIT_MS - 1);
	CHECK(again == 1 && answered == 0);
	places_free(&places);
	printf("places: a home decides nothing while it cannot ask for what it has lost\n");
}

/* A failed report leaves the home before to be told that it is home no more. */
static void test_away_after_loss(void)
{
	for (int is_asked_again = 0; is_asked_again < 2; is_asked_again++) {
		begin();
		places_use(&places);
		places_node_up(&places, 3, true);
		places_role(&places, 9, HOME_ELSEWHERE, 3);
		turns(1000);
		CHECK(ask(1));
		has_memory = false;
		(void)places_turn(&places, 1000);
		if (is_asked_again)
			CHECK(take(FRAME_PLACES_AGAIN, 9, slice_of("", 0)));
		has_memory = true;
		places_role(&places, 9, HOME_HERE, 0);
		turns(1000);
		CHECK(sent == 2 && last_flags == 4);
		places_free(&places);
	}
	printf("places: who is home no more is told so, whatever was lost before\n");
}

/* Numbers of reports begin again some day. */
static void test_old_verdict(void)
{
	begin();
	places_use(&places);
	places_node_up(&places, 3, true);
	places_role(&places, 9, HOME_ELSEWHERE, 3);
	CHECK(ask(5));
	turns(1000);
	take_verdict(1);
	turns(1000);
	CHECK(answered == 1 && taken == 1);
	places.round += 0x80000005u;
	CHECK(ask(5));
	turns(1000);
	CHECK(ask(5));
	turns(1000);
	CHECK(answered == 1);
	places_free(&places);
	printf("places: a verdict of long ago decides nothing\n");
}

static void test_lost_frames(void)
{
	begin();
	places_use(&places);
	places_node_up(&places, 3, true);
	places_role(&places, 9, HOME_ELSEWHERE, 3);
	has_memory = false;
	turns(1000);
	CHECK(sent == 0);
	has_memory = true;
	turns(1000);
	CHECK(sent == 1 && last_flags == 3); /* all that there is */
	has_memory = false;
	CHECK(ask(1));
	turns(1000);
	has_memory = true;
	turns(1000);
	CHECK(sent == 2 && last_flags == 3 && answered == 0);
	has_memory = false;
	places_role(&places, 9, HOME_HERE, 0);
	turns(1000);
	CHECK(sent == 2);
	has_memory = true;
	turns(1000);
	CHECK(sent == 3 && last_flags == 4); /* that it is told no more */
	say(3, 78, 0, 1);
	has_memory = false;
	turns(1000);
	CHECK(sent == 3);
	has_memory = true;
	turns(1000);
	CHECK(sent == 4 && last_flags == 0xff); /* the verdict */
	CHECK(answered == 1 && taken == 1);
	places_free(&places);
	printf("places: a frame that there is no memory for is sent later\n");
}

static void test_memory(void)
{
	bool has_failed = true;
	for (uint32_t number = 1; has_failed; number++) {
		begin();
		places_use(&places);
		places_role(&places, 9, HOME_HERE, 0);
		turns(1000);
		failing_arm(number, FAILING_ONE);
		bool is_asked = ask(1);
		turns(1000);
		has_failed = failing_disarm() > 0;
		CHECK(is_asked || has_failed);
		turns(1000 + PLACES_WAIT_MS);
		CHECK(answered == is_asked);
		CHECK(taken == answered);
		CHECK(ask(1)); /* as good as before */
		turns(1000 + 2 * PLACES_WAIT_MS);
		CHECK(answered == 1u + is_asked && taken == 1);
		places_free(&places);
	}
	printf("places: without memory who asks is told so, or waits no longer than others\n");
}

int main(void)
{
	test_malformed();
	test_alone();
	test_silent_home();
	test_home_that_counts_none();
	test_home_that_turns_out_to_count_none();
	test_same_home_again();
	test_all_again();
	test_lost_report();
	test_lost_in_the_midst();
	test_verdict_of_before();
	test_lost_question();
	test_away_after_loss();
	test_old_verdict();
	test_lost_frames();
	test_memory();
	return 0;
}
