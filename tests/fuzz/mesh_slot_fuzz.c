/*
 * Any frames about slots from two members: they are taken or found malformed, and whatever they
 * say, the slots stay within their bounds, send nothing too long, and apply entries in order, each
 * once. What is read is written again, the same. Odd bytes of the length say whom a frame is from.
 */
#include "mesh/slots_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLOTS_OF_CLUSTER 4u

static struct {
	struct slots_out out;
	uint64_t applied[SLOTS_OF_CLUSTER];
} upper;

static void out_send(struct slots_out *out, const struct boot_id *to, enum frame_type type,
                     uint16_t slot, struct blob *body)
{
	(void)out;
	CHECK(to->word[0] == 2 || to->word[0] == 3);
	CHECK(slot < SLOTS_OF_CLUSTER);
	CHECK(body->len <=
	      (frame_lane_of(type) == FRAME_LANE_CONTROL ? FRAME_CONTROL_MAX : FRAME_DATA_MAX));
}

static void out_role(struct slots_out *out, uint16_t slot, const struct slots_role *role)
{
	(void)out;
	(void)slot;
	CHECK(role->place <= SLOTS_THERE);
}

static void out_apply(struct slots_out *out, uint16_t slot, uint64_t lsn, struct blob *entry,
                      uint64_t cookie)
{
	(void)out;
	(void)cookie;
	CHECK(lsn > upper.applied[slot]);
	CHECK(entry->len <= FRAME_DATA_MAX);
	upper.applied[slot] = lsn;
}

static void out_refused(struct slots_out *out, uint16_t slot, struct blob *entry, uint64_t cookie)
{
	(void)out;
	(void)slot;
	(void)entry;
	CHECK(cookie != 0);
}

static struct blob *out_save(struct slots_out *out, uint16_t slot, enum slots_saved what,
                             uint64_t *at, bool *failed)
{
	(void)out;
	(void)slot;
	(void)what;
	*failed = false;
	return (*at)++ < 2 ? blob_copy(SLICE("part")) : NULL;
}

static bool out_restore(struct slots_out *out, uint16_t slot, struct slice part)
{
	(void)out;
	(void)slot;
	return part.len != 3;
}

static void out_clear(struct slots_out *out, uint16_t slot)
{
	(void)out;
	upper.applied[slot] = 0;
}

static bool out_merge(struct slots_out *out, uint16_t slot, struct slice part)
{
	(void)out;
	(void)slot;
	return part.len != 3;
}

static struct slots *make(void)
{
	memset(&upper, 0, sizeof(upper));
	upper.out = (struct slots_out){out_send, out_role,    out_apply, out_refused,
	                               out_save, out_restore, out_clear, out_merge};
	struct slots_options options = {.out = &upper.out,
	                                .boot = {{1, 0}},
	                                .count = SLOTS_OF_CLUSTER,
	                                .workers = 1,
	                                .replicas = SLOT_REPLICAS_MAX,
	                                .now_ms = 1000};
	struct slots *slots = slots_create(&options);
	CHECK(slots != NULL);
	static const struct slots_member members[] = {
		{.boot = {{1, 0}}, .state = SLOTS_MEMBER_READY},
		{.boot = {{2, 0}}, .state = SLOTS_MEMBER_READY, .is_linked = true},
		{.boot = {{3, 0}}, .state = SLOTS_MEMBER_READY, .is_linked = true}};
	slots_members(slots, members, COUNT_OF(members), 1000);
	return slots;
}

/* ---- what is read is written again ---- */

static void same(struct slice body, struct buf *again)
{
	CHECK(slice_equals(body, buf_view(again)));
	buf_free(again);
}

static void write_append(struct buf *again, struct wire_append *append)
{
	struct wire_item item;
	wire_append_write(again, append);
	while (wire_item_next(append, &item))
		wire_item_write(again, &item);
}

/* Each of them is nothing but a reader, a struct and a writer. */
#define AGAIN(type, read, write)                                                                   \
	do {                                                                                       \
		type value;                                                                        \
		if (read(body, &value)) {                                                          \
			struct buf again = {0};                                                    \
			write(&again, &value);                                                     \
			same(body, &again);                                                        \
		}                                                                                  \
	} while (0)

static void write_again(struct slice body)
{
	AGAIN(struct slot_term, wire_term_read, wire_term_write);
	AGAIN(struct slot_entry, wire_entry_read, wire_entry_write);
	AGAIN(struct wire_seal, wire_seal_read, wire_seal_write);
	AGAIN(struct wire_sealed, wire_sealed_read, wire_sealed_write);
	AGAIN(struct wire_refused, wire_refused_read, wire_refused_write);
	AGAIN(struct wire_install, wire_install_read, wire_install_write);
	AGAIN(struct wire_append, wire_append_read, write_append);
	AGAIN(struct wire_holds, wire_holds_read, wire_holds_write);
	AGAIN(struct wire_need, wire_need_read, wire_need_write);
	AGAIN(struct wire_state, wire_state_read, wire_state_write);
	AGAIN(struct wire_fork, wire_fork_read, wire_fork_write);
	AGAIN(struct wire_fork_ok, wire_fork_ok_read, wire_fork_ok_write);
}

/* ---- what is made of it ---- */

static void check_bounds(const struct slots *slots)
{
	for (uint32_t i = 0; i < slots->count; i++) {
		const struct slot *slot = &slots->slot[i];
		CHECK(slot->proposal_count <= SLOT_PROPOSALS_MAX);
		CHECK(slot->entry.set.count <= SLOT_REPLICAS_MAX);
		if (slot->replica == NULL)
			continue;
		CHECK(slot->replica->commit <= slot_log_last(&slot->replica->log));
		CHECK(slot->replica->log.base.lsn <= slot->replica->commit);
	}
}

/* A byte each for the type, the slot, and how much later it is; two for the length. */
static void take_frames(struct slots *slots, struct slice bytes)
{
	uint64_t now = slots->now_ms;
	while (bytes.len >= 5) {
		const unsigned char *head = (const unsigned char *)bytes.at;
		size_t len = (size_t)head[3] | (size_t)head[4] << 8;
		struct boot_id from = {{2 + (head[3] & 1), 0}};
		bytes = slice_after(bytes, 5);
		len = len < bytes.len ? len : bytes.len;
		struct frame frame = {.type = (enum frame_type)(20 + head[0] % 12),
		                      .slot = head[1],
		                      .body = slice_of(bytes.at, len)};
		now += head[2];
		(void)!slots_take(slots, &from, &frame, now);
		write_again(frame.body);
		slots_flush(slots);
		slots_tick(slots, now);
		check_bounds(slots);
		bytes = slice_after(bytes, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct slots *slots = make();
	uint64_t start = 1000;
	if (data[0] & 1) { /* it is home of some of them already */
		for (int i = 0; i < 30; i++)
			slots_tick(slots, start += 50);
	}
	take_frames(slots, slice_of((const char *)data + 1, size - 1));
	slots_destroy(slots);
	return 0;
}
