/*
 * A slot at one node, alone with what others say: what tests/sim/slots_test does not come to, as
 * there nobody says what cannot be.
 */
#include "mesh/slots.h"

#include <stdio.h>

static const struct boot_id self = {{1, 1}}, first = {{2, 1}}, other = {{3, 1}};

static struct slots *slots;
static uint64_t now_ms, applied;
static struct slot_term asked; /* in the last SEAL or NEED */
static uint32_t seals, needs;

static void out_send(struct slots_out *out, const struct boot_id *to, enum frame_type type,
                     uint16_t slot, struct blob *body)
{
	struct wire_seal seal;
	struct wire_need need;
	CHECK(out != NULL && !boot_id_equals(*to, self) && slot == 0);
	if (type == FRAME_SEAL) {
		CHECK(wire_seal_read(blob_view(body), &seal));
		asked = seal.term;
		seals++;
	} else if (type == FRAME_NEED) {
		CHECK(wire_need_read(blob_view(body), &need));
		asked = need.term;
		needs++;
	}
}

static void out_role(struct slots_out *out, uint16_t slot, const struct slots_role *role)
{
	CHECK(out != NULL && slot == 0 && role->place != SLOTS_HERE);
}

static void out_apply(struct slots_out *out, uint16_t slot, uint64_t lsn, struct blob *entry,
                      uint64_t cookie)
{
	CHECK(out != NULL && slot == 0 && entry->len > 0 && cookie == 0);
	CHECK(lsn == ++applied);
}

static struct slots_out slots_out = {.send = out_send, .role = out_role, .apply = out_apply};

static void give(const struct boot_id *from, enum frame_type type, struct buf *body)
{
	struct frame frame = {.type = type, .body = buf_view(body)};
	CHECK(slots_take(slots, from, &frame, now_ms));
	buf_clear(body);
}

static void pass(uint64_t ms)
{
	for (uint64_t until = now_ms + ms; now_ms < until; now_ms += SLOTS_TICK_MS)
		slots_tick(slots, now_ms);
}

static void meet(enum slots_member_state of_first)
{
	struct slots_member members[] = {
		{self, SLOTS_MEMBER_READY, true},
		{first, of_first, of_first == SLOTS_MEMBER_READY},
		{other, SLOTS_MEMBER_READY, true},
	};
	slots_members(slots, members, 3, now_ms);
}

/* It has applied two entries of the first one's log. */
static void copy_two(struct slot_entry *entry)
{
	struct buf body = {0};
	*entry = (struct slot_entry){.term = {1, first},
	                             .stream = {1, first},
	                             .set = {.count = 3, .at = {first, self, other}}};
	wire_install_write(&body, &(struct wire_install){
					  .entry = *entry, .last = 2, .commit = 2, .is_active = 1});
	give(&first, FRAME_INSTALL, &body);
	wire_append_write(&body, &(struct wire_append){.term = entry->term,
	                                               .stream = entry->stream,
	                                               .last = 2,
	                                               .commit = 2,
	                                               .count = 2});
	for (int i = 0; i < 2; i++)
		wire_item_write(&body, &(struct wire_item){entry->term, SLICE("e")});
	give(&first, FRAME_APPEND, &body);
	CHECK(applied == 2);
	buf_free(&body);
}

/* The log that it says to have is a part of what was committed here, and of a term above. */
static void a_log_that_ends_before_the_commit(void)
{
	struct slot_entry entry;
	struct buf body = {0};
	printf("slots: who has less than was committed here is not gone on from\n");
	slots = slots_create(&(struct slots_options){
		.out = &slots_out, .boot = self, .count = 1, .workers = 1, .replicas = 3});
	CHECK(slots != NULL);
	meet(SLOTS_MEMBER_READY);
	copy_two(&entry);
	meet(SLOTS_MEMBER_GONE);
	while (seals == 0)
		pass(SLOTS_TICK_MS);
	uint32_t before = needs;
	wire_sealed_write(&body, &(struct wire_sealed){.term = asked,
	                                               .entry = entry,
	                                               .is_whole = true,
	                                               .accepted = {2, other},
	                                               .stream = entry.stream,
	                                               .last = {entry.term, 1}});
	give(&other, FRAME_SEALED, &body);
	CHECK(needs == before + 1);
	wire_append_write(&body,
	                  &(struct wire_append){.term = asked, .stream = entry.stream, .last = 1});
	give(&other, FRAME_APPEND, &body);
	CHECK(applied == 2 && slots_counters(slots)->takeovers == 0);
	/* Whatever it goes on to say that is waited for no longer than if it said nothing. */
	for (uint32_t i = 0; i < 100 && slots_counters(slots)->abandoned == 0; i++) {
		pass(SLOTS_TICK_MS);
		wire_append_write(&body, &(struct wire_append){
						 .term = asked, .stream = entry.stream, .last = 1});
		give(&other, FRAME_APPEND, &body);
	}
	CHECK(slots_counters(slots)->abandoned == 1);
	buf_free(&body);
	slots_destroy(slots);
}

int main(void)
{
	a_log_that_ends_before_the_commit();
	return 0;
}
