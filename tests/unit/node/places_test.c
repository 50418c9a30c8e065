/* Frames about places that cannot be, and a node that is alone with them. */
#include <stdio.h>

#include "mesh/pack.h"
#include "node/places.h"

#include "../../failing.h"

static struct places places;
static struct places_out out;
static uint32_t sent, answered, taken;
static struct slab_handle last_place;

static bool out_has_room(struct places_out *unused)
{
	(void)unused;
	return true;
}

static void out_send(struct places_out *unused, uint32_t node, enum frame_type type, uint16_t slot,
                     const struct buf *body)
{
	(void)unused;
	CHECK(node == 3 && slot == 9 && body->len > 0);
	CHECK(type == FRAME_PLACES || type == FRAME_PLACES_GRANTED);
	sent++;
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
	sent = answered = taken = 0;
}

static bool ask(uint32_t limit)
{
	struct places_asker asker = {.worker = 1, .seat = {.index = 5, .generation = 1}};
	return places_ask(&places, &key, limit, &asker);
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

static enum places_taken take(enum frame_type type, uint16_t slot, struct slice body)
{
	return places_take(&places, 3, type, slot, body);
}

static void test_malformed(void)
{
	struct buf body = {0};
	struct places_report report = {.key = key, .have = 1, .want = 2, .round = 1, .limit = 5};
	begin();
	write_report(&body, 3, &report);
	CHECK(take(FRAME_PLACES, 9, buf_view(&body)) == PLACES_TAKEN);
	CHECK(take(FRAME_PLACES, 10, buf_view(&body)) == PLACES_BAD); /* another slot's */
	CHECK(take(FRAME_PLACES, SLOTS, buf_view(&body)) == PLACES_BAD);
	for (size_t len = 2; len < body.len; len++)
		CHECK(take(FRAME_PLACES, 9, slice_of(body.at, len)) == PLACES_BAD);
	CHECK(take(FRAME_PLACES, 9, slice_of(body.at, 0)) == PLACES_BAD);
	write_report(&body, 8, &report);
	CHECK(take(FRAME_PLACES, 9, buf_view(&body)) == PLACES_BAD);
	report.have = 3;
	write_report(&body, 0, &report);
	CHECK(take(FRAME_PLACES, 9, buf_view(&body)) == PLACES_BAD); /* more than it wants */
	for (size_t len = 0; len <= 32; len++)
		CHECK((take(FRAME_PLACES_GRANTED, 9, slice_of(body.at, len)) == PLACES_TAKEN) ==
		      (len == 24));
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
	places_node_up(&places, 3);
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
	test_memory();
	return 0;
}
