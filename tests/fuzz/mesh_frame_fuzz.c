/*
 * Any bytes on the control lane of a member: frames are read or refused, never beyond their end,
 * and a membership takes what they say without losing its bounds. The first byte says whether HELLO
 * is read, or what follows it.
 */
#include "mesh/membership.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void out_send(struct membership_out *out, struct member *to, enum frame_type type,
                     struct slice body)
{
	(void)out;
	CHECK(to->is_linked);
	CHECK(frame_lane_of(type) == FRAME_LANE_CONTROL);
	CHECK(body.len <= FRAME_CONTROL_MAX);
}

static void out_dial(struct membership_out *out, struct slice address)
{
	(void)out;
	CHECK(address.len <= MEMBER_TEXT_MAX);
}

static void out_close(struct membership_out *out, struct member *member, enum bye why)
{
	(void)out;
	CHECK(member->is_linked);
	CHECK(why < BYE_COUNT);
}

static void out_changed(struct membership_out *out, const struct member *member)
{
	(void)out;
	CHECK(member_state_of(member) < MEMBER_STATE_COUNT);
}

static void out_accused(struct membership_out *out)
{
	(void)out;
}

static struct membership *make(struct membership_out *out)
{
	static const struct slice seed = SLICE_INIT("seed:1");
	struct membership_options options = {.out = out,
	                                     .boot = {{1, 1}},
	                                     .incarnation = 1000,
	                                     .cluster = SLICE("c"),
	                                     .name = SLICE("me"),
	                                     .address = SLICE("me:1"),
	                                     .release = SLICE("1"),
	                                     .seeds = &seed,
	                                     .seed_count = 1,
	                                     .now_ms = 1000};
	struct membership *membership = membership_create(&options);
	CHECK(membership != NULL);
	return membership;
}

static struct member *join(struct membership *membership, uint64_t number, const char *name)
{
	struct hello hello = {.version_min = 1,
	                      .version_max = 1,
	                      .boot = {{number, 0}},
	                      .incarnation = 5,
	                      .cluster = SLICE("c"),
	                      .name = slice_string(name),
	                      .address = slice_string(name),
	                      .release = SLICE("1")};
	struct member *member = NULL;
	CHECK(membership_link_up(membership, &hello, 1000, &member) == BYE_COUNT);
	return member;
}

static void take_frames(struct slice bytes)
{
	struct membership_out out = {out_send, out_dial, out_close, out_changed, out_accused};
	struct membership *membership = make(&out);
	struct member *members[2] = {join(membership, 2, "a"), join(membership, 3, "b")};
	uint64_t now = 1000;
	struct frame frame;
	size_t used;
	const char *why;
	for (unsigned i = 0;
	     frame_read(bytes, FRAME_LANE_CONTROL, &frame, &used, &why) == FRAME_DONE; i++) {
		CHECK(used <= bytes.len);
		bytes = slice_after(bytes, used);
		if (frame.type != FRAME_NONE &&
		    !membership_take(membership, members[i & 1], &frame, now))
			break;
		now += frame.slot; /* as good a clock as any */
		membership_tick(membership, now);
		CHECK(membership_count(membership) < 2 * MEMBERS_MAX);
	}
	membership_destroy(membership);
}

static void take_hello(struct slice bytes)
{
	struct hello hello;
	enum bye why;
	if (bye_read(bytes, &why))
		CHECK(bye_sentence(why) != NULL);
	if (!hello_read(bytes, &hello))
		return;
	struct buf again = {0};
	hello_write(&again, &hello);
	/* An earlier version's ends before the number of replicas. */
	if (again.len == bytes.len + 1 && hello.replicas == 0)
		buf_cut_to(&again, bytes.len);
	CHECK(again.len <= bytes.len);
	CHECK(slice_starts(bytes, buf_view(&again)));
	buf_free(&again);
	struct membership_out out = {out_send, out_dial, out_close, out_changed, out_accused};
	struct membership *membership = make(&out);
	struct member *member;
	(void)!membership_link_up(membership, &hello, 1000, &member);
	membership_destroy(membership);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	if (size == 0)
		return 0;
	if (bytes.at[0] == 'h')
		take_hello(slice_after(bytes, 1));
	else
		take_frames(slice_after(bytes, 1));
	return 0;
}
