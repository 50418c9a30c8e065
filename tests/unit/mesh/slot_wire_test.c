/* What nodes say of a slot: sets of each size and bad ones; the rest is written and read again by
 * tests/fuzz/mesh_slot_fuzz. */
#include "../guard.h"
#include "mesh/frame.h"
#include "mesh/pack.h"
#include "mesh/slot_wire.h"

static const struct boot_id home = {{1, 1}};

/* An entry whose set is `count` members, the home the first of them; as bytes, since a set that is
 * too large has no other form. `twice`: the last member is the one before. */
static struct buf entry_of(unsigned count, bool has_home, bool is_twice)
{
	struct buf out = {0};
	struct slot_term term = {3, home}, none = {0};
	wire_term_write(&out, &term);
	wire_term_write(&out, &term);
	wire_term_write(&out, &none);
	pack_u8(&out, (uint8_t)count);
	for (unsigned i = 0; i < count; i++) {
		pack_u64(&out, has_home ? 1 : 2);
		pack_u64(&out, is_twice && i == count - 1 ? i : i + 1);
	}
	return out;
}

static bool is_read(const struct buf *bytes, struct slot_entry *entry)
{
	return wire_entry_read(slice_of(guard_copy(buf_view(bytes)), bytes->len), entry);
}

static void sets_have_a_size(void)
{
	for (unsigned count = 0; count <= SLOT_REPLICAS_MAX + 2; count++) {
		printf("slot wire: a set of %u\n", count);
		struct slot_entry entry;
		struct buf bytes = entry_of(count, true, false), again = {0};
		bool is_good = is_read(&bytes, &entry);
		CHECK(is_good == (count >= 1 && count <= SLOT_REPLICAS_MAX));
		if (is_good) {
			CHECK(entry.set.count == count);
			wire_entry_write(&again, &entry);
			CHECK(slice_equals(buf_view(&bytes), buf_view(&again)));
		}
		for (size_t cut = 0; cut < bytes.len; cut++) {
			struct buf part = {.at = bytes.at, .len = cut};
			CHECK(!is_read(&part, &entry));
		}
		buf_free(&bytes);
		buf_free(&again);
	}
}

static void sets_are_sane(void)
{
	printf("slot wire: a set without its home, and with a member twice\n");
	struct slot_entry entry;
	struct buf bytes = entry_of(SLOT_REPLICAS_MAX, false, false);
	CHECK(!is_read(&bytes, &entry));
	buf_free(&bytes);
	for (unsigned count = 2; count <= SLOT_REPLICAS_MAX; count++) {
		bytes = entry_of(count, true, true);
		CHECK(!is_read(&bytes, &entry));
		buf_free(&bytes);
	}
}

/* The largest bodies stay far below what the lane may carry. */
static void proposals_of_full_sets_fit(void)
{
	printf("slot wire: as many proposals as may be, each of as many members\n");
	struct slot_set set = {0};
	for (unsigned i = 0; i < SLOT_REPLICAS_MAX; i++)
		slot_set_add(&set, (struct boot_id){{1, i + 1}});
	struct wire_sealed sealed = {.term = {4, home}, .count = SLOT_PROPOSALS_MAX}, read;
	for (unsigned i = 0; i < SLOT_PROPOSALS_MAX; i++)
		sealed.proposals[i] = (struct slot_proposal){{i + 1, home}, set};
	struct buf out = {0};
	wire_sealed_write(&out, &sealed);
	CHECK(out.len < FRAME_CONTROL_MAX);
	CHECK(wire_sealed_read(buf_view(&out), &read));
	CHECK(read.count == SLOT_PROPOSALS_MAX);
	CHECK(read.proposals[15].set.count == SLOT_REPLICAS_MAX);
	buf_free(&out);
}

static void a_log_is_of_a_stream(void)
{
	printf("slot wire: who has a whole log says of which stream\n");
	struct slot_term term = {4, home}, none = {0};
	for (int i = 0; i < 4; i++) {
		struct wire_sealed sealed = {.term = term, .is_whole = i & 1}, read;
		sealed.stream = i & 2 ? term : none;
		struct buf out = {0};
		wire_sealed_write(&out, &sealed);
		CHECK(wire_sealed_read(buf_view(&out), &read) == (i != 1));
		buf_free(&out);
	}
}

static void majorities(void)
{
	static const unsigned of[SLOT_REPLICAS_MAX] = {1, 2, 2, 3, 3, 4, 4};
	for (unsigned count = 1; count <= SLOT_REPLICAS_MAX; count++) {
		printf("slot: a majority of %u is %u\n", count, of[count - 1]);
		CHECK(slot_majority(count) == of[count - 1]);
	}
}

int main(void)
{
	sets_have_a_size();
	sets_are_sane();
	proposals_of_full_sets_fit();
	a_log_is_of_a_stream();
	majorities();
	return 0;
}
