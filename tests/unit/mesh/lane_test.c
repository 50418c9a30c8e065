/* Frames that wait and frames that came: credit, pieces of any size, and bounds. */
#include "mesh/lane.h"

#include <stdio.h>

#include "base/random.h"

/* The types of data are others' rows: the first there is. */
static enum frame_type data_type(void)
{
	for (unsigned type = 20; type < 60; type++) {
		if (slice_is(slice_string(frame_name(type)), "NONE"))
			continue;
		if (frame_lane_of(type) == FRAME_LANE_DATA)
			return type;
	}
	return FRAME_NONE;
}

static struct blob *body_of(size_t len, char c)
{
	struct blob *blob = blob_make(len);
	CHECK(blob != NULL);
	memset(blob->bytes, c, len);
	return blob;
}

static void frames_come_in_any_pieces(void)
{
	printf("lane: frames are read whatever pieces they come in\n");
	for (size_t step = 1; step < 200; step += 7) {
		struct lane from, to;
		struct frame frame;
		const char *why;
		lane_init(&from, FRAME_LANE_CONTROL);
		lane_init(&to, FRAME_LANE_CONTROL);
		CHECK(lane_say(&from, FRAME_HEARTBEAT, 1, SLICE("beat")));
		CHECK(lane_say(&from, FRAME_MEMBERS, 2, SLICE("")));
		CHECK(lane_waiting(&from) == 2 * FRAME_HEAD_BYTES + 4);
		uint32_t seen = 0;
		while (lane_can_give(&from)) {
			CHECK(lane_give(&from, &to.in, step) <= step);
			while (lane_read(&to, &frame, &why) == FRAME_DONE) {
				seen++;
				CHECK(frame.slot == seen);
				CHECK(slice_is(frame.body, seen == 1 ? "beat" : ""));
			}
		}
		CHECK(seen == 2);
		CHECK(lane_waiting(&from) == 0);
		lane_free(&from);
		lane_free(&to);
	}
}

static void data_goes_on_credit(enum frame_type type)
{
	printf("lane: data goes out as far as there is credit, and on when more is given\n");
	struct lane from, to;
	struct frame frame;
	struct random random = {7};
	const char *why;
	uint64_t sent = 0, came = 0;
	lane_init(&from, FRAME_LANE_DATA);
	lane_init(&to, FRAME_LANE_DATA);
	for (int i = 0; i < 400; i++) {
		size_t len = random_below(&random, 100000);
		sent += FRAME_HEAD_BYTES + len;
		CHECK(lane_queue(&from, type, (uint16_t)i, body_of(len, (char)i)));
	}
	CHECK(lane_waiting(&from) == sent);
	for (int i = 0; i < 400;) {
		while (lane_can_give(&from)) {
			CHECK(lane_give(&from, &to.in, 1 + random_below(&random, 70000)) > 0);
			CHECK(!lane_is_overdrawn(&to));
		}
		/* All that it was credited, but for a frame that does not fit any more. */
		CHECK(from.sent <= from.granted);
		CHECK(from.sent + FRAME_HEAD_BYTES + 100000 > from.granted || from.sent == sent);
		bool grants = false;
		while (!grants && lane_read(&to, &frame, &why) == FRAME_DONE) {
			CHECK(frame.slot == i++);
			for (size_t at = 0; at < frame.body.len; at += 1000)
				CHECK(frame.body.at[at] == (char)frame.slot);
			came += FRAME_HEAD_BYTES + frame.body.len;
			grants = lane_taken(&to);
		}
		if (grants)
			lane_grant(&from, to.promised);
		lane_grant(&from, 1); /* an old one changes nothing */
	}
	CHECK(came == sent);
	CHECK(lane_waiting(&from) == 0);
	lane_free(&from);
	lane_free(&to);
}

static void who_overdraws_is_found_out(enum frame_type type)
{
	printf("lane: who sends more than it may is found out\n");
	struct lane from, to;
	lane_init(&from, FRAME_LANE_DATA);
	lane_init(&to, FRAME_LANE_DATA);
	lane_grant(&from, 1u << 30); /* of its own making */
	for (int i = 0; i < 5; i++)
		CHECK(lane_queue(&from, type, 0, body_of(1 << 20, 'x')));
	bool is_overdrawn = false;
	while (lane_can_give(&from)) {
		CHECK(lane_give(&from, &to.in, 65536) > 0);
		is_overdrawn = lane_is_overdrawn(&to);
		CHECK(is_overdrawn == (to.in.len > LANE_WINDOW + 2 * FRAME_HEAD_BYTES));
	}
	CHECK(is_overdrawn);
	lane_free(&from);
	lane_free(&to);
}

static void what_needs_no_credit_goes_first(enum frame_type type)
{
	printf("lane: what needs no credit goes first\n");
	struct lane lane;
	struct buf out = {0};
	lane_init(&lane, FRAME_LANE_DATA);
	CHECK(lane_queue(&lane, type, 0, body_of(10, 'x')));
	CHECK(lane_say(&lane, FRAME_BYE, 0, SLICE("b")));
	CHECK(lane_give(&lane, &out, 13) == 13);
	CHECK(out.at[4] == FRAME_BYE);
	CHECK(lane_give(&lane, &out, 65536) == 22);
	buf_free(&out);
	lane_free(&lane);
}

int main(void)
{
	frames_come_in_any_pieces();
	enum frame_type type = data_type();
	if (type == FRAME_NONE)
		return 0; /* nobody has data to send yet */
	data_goes_on_credit(type);
	who_overdraws_is_found_out(type);
	what_needs_no_credit_goes_first(type);
	return 0;
}
