/*
 * Any bytes on the control lane of a member: frames are read or refused, never beyond their end,
 * and a membership takes what they say without losing its bounds. The first byte says whether HELLO
 * is read ('h'), or what follows it: of two members ('f'), or of many that come and go ('m'), as
 * the upper bits of each frame's flags say.
 */
#include "mesh/membership.h"

#define MANY 40u

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

/* Links that are to end, and do when it is done with what it does. */
static struct boot_id closing[2 * MEMBERS_MAX];
static size_t closing_count;

static void out_close(struct membership_out *out, struct member *member, enum bye why)
{
	(void)out;
	CHECK(member->is_linked);
	CHECK(why < BYE_COUNT);
	if (closing_count < COUNT_OF(closing))
		closing[closing_count++] = member->boot;
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

/* NULL: it is sent away, as one that has ended may be. */
static struct member *join(struct membership *membership, uint64_t number, uint64_t boots,
                           uint64_t now)
{
	char name[2] = {(char)('A' + number)};
	struct hello hello = {.version_min = 1,
	                      .version_max = 1,
	                      .boot = {{number, boots}},
	                      .incarnation = 5 + boots,
	                      .state = MEMBER_READY,
	                      .cluster = SLICE("c"),
	                      .name = slice_string(name),
	                      .address = slice_string(name),
	                      .release = SLICE("1")};
	struct member *member = NULL;
	if (membership_link_up(membership, &hello, now, &member) != BYE_COUNT)
		return NULL;
	CHECK(member != NULL && member->is_linked);
	return member;
}

enum turn {
	TURN_NONE = 0,
	TURN_CLOSED,
	TURN_LOST,
	TURN_REFUSED,
	TURN_AGAIN,
	TURN_ANEW,
	TURN_DRAIN
};

/* Its link ends, or comes; its process may be another one. */
static void turn(struct membership *membership, struct boot_id *boot, enum turn how, uint64_t now)
{
	const struct member *found = membership_find(membership, *boot);
	/* Those of the membership's own are not to be changed; this is the one that was given out.
	 */
	struct member *member = (struct member *)(uintptr_t)found;
	char name[2] = {(char)('A' + boot->word[0])};
	bool is_linked = member != NULL && member->is_linked;
	if (how == TURN_DRAIN)
		membership_drain(membership, now);
	else if (how == TURN_REFUSED && !is_linked)
		membership_dial_failed(membership, slice_string(name), true, now);
	else if ((how == TURN_CLOSED || how == TURN_LOST) && is_linked)
		membership_link_down(membership, member,
		                     how == TURN_LOST ? LINK_END_LOST : LINK_END_CLOSED, now);
	else if ((how == TURN_AGAIN || how == TURN_ANEW) && !is_linked) {
		boot->word[1] += how == TURN_ANEW;
		(void)join(membership, boot->word[0], boot->word[1], now);
	}
}

static void end_closing(struct membership *membership, uint64_t now)
{
	for (size_t i = 0; i < closing_count; i++)
		turn(membership, &closing[i], TURN_LOST, now);
	closing_count = 0;
}

static void count_check(const struct membership *membership)
{
	size_t linked = 0, count = membership_count(membership);
	CHECK(count < 2 * MEMBERS_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct member *member = membership_member(membership, i);
		CHECK(member != NULL);
		CHECK(!boot_id_equals(member->boot, (struct boot_id){{1, 1}}));
		CHECK(membership_find(membership, member->boot) == member);
		linked += member->is_linked;
	}
	CHECK(linked <= MEMBERS_MAX);
}

static void take_frames(struct slice bytes, size_t count, bool come_and_go)
{
	struct membership_out out = {out_send, out_dial, out_close, out_changed, out_accused};
	struct membership *membership = make(&out);
	struct boot_id boots[MANY];
	uint64_t now = 1000;
	struct frame frame;
	size_t used;
	const char *why;
	closing_count = 0;
	for (size_t i = 0; i < count; i++) {
		boots[i] = (struct boot_id){{2 + i, 0}};
		CHECK(join(membership, 2 + i, 0, now) != NULL);
	}
	for (size_t i = 0; frame_read(bytes, FRAME_LANE_CONTROL, &frame, &used, &why) == FRAME_DONE;
	     i++) {
		CHECK(used <= bytes.len);
		bytes = slice_after(bytes, used);
		struct boot_id *boot = &boots[come_and_go ? frame.slot % count : i % count];
		const struct member *from = membership_find(membership, *boot);
		if (frame.type != FRAME_NONE && from != NULL && from->is_linked &&
		    !membership_take(membership, (struct member *)(uintptr_t)from, &frame, now) &&
		    !come_and_go)
			break;
		if (come_and_go)
			turn(membership, boot, (enum turn)(frame.flags >> 4), now);
		now += frame.slot; /* as good a clock as any */
		membership_tick(membership, now);
		end_closing(membership, now);
		count_check(membership);
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
		take_frames(slice_after(bytes, 1), bytes.at[0] == 'm' ? MANY : 2,
		            bytes.at[0] == 'm');
	return 0;
}
