/* Frames against a guard page, in one piece and at every cut; and the numbers they are made of. */
#include "../guard.h"
#include "mesh/frame.h"
#include "mesh/pack.h"

static const struct {
	const char *name;
	unsigned char bytes[16];
	size_t len;
	enum frame_lane lane;
	enum frame_answer answer;
	enum frame_type type;
	size_t body_len;
} frames[] = {
	{"a frame without a body",
         {8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0},
         12,
         FRAME_LANE_CONTROL,
         FRAME_DONE,
         FRAME_HEARTBEAT,
         0},
	{"a body of two bytes",
         {10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 'a', 'b'},
         14,
         FRAME_LANE_CONTROL,
         FRAME_DONE,
         FRAME_BYE,
         2},
	{"what follows is not its own",
         {8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 'x'},
         13,
         FRAME_LANE_CONTROL,
         FRAME_DONE,
         FRAME_HEARTBEAT,
         0},
	{"less than its head is bad", {7, 0, 0, 0, 3}, 5, FRAME_LANE_CONTROL, FRAME_BAD, 0, 0},
	{"nothing at all is bad", {0, 0, 0, 0}, 4, FRAME_LANE_CONTROL, FRAME_BAD, 0, 0},
	{"all bits is bad",
         {255, 255, 255, 255, 3, 0, 0, 0, 0, 0, 0, 0},
         12,
         FRAME_LANE_CONTROL,
         FRAME_BAD,
         0,
         0},
	{"the most a control frame may have",
         {8, 0, 4, 0, 3, 0, 0, 0, 0, 0, 0, 0},
         12,
         FRAME_LANE_CONTROL,
         FRAME_MORE,
         0,
         0},
	{"one more is bad before it comes",
         {9, 0, 4, 0, 3, 0, 0, 0, 0, 0, 0, 0},
         12,
         FRAME_LANE_CONTROL,
         FRAME_BAD,
         0,
         0},
	{"the wrong lane is bad",
         {8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0},
         12,
         FRAME_LANE_DATA,
         FRAME_BAD,
         0,
         0},
	{"a type not known is bad",
         {8, 0, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0},
         12,
         FRAME_LANE_CONTROL,
         FRAME_BAD,
         0,
         0},
	{"one that is optional is passed over",
         {9, 0, 0, 0, 200, 1, 0, 0, 0, 0, 0, 0, 'x'},
         13,
         FRAME_LANE_CONTROL,
         FRAME_DONE,
         FRAME_NONE,
         1},
	{"type 0 is not known",
         {8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
         12,
         FRAME_LANE_CONTROL,
         FRAME_BAD,
         0,
         0},
	{"the zero is zero",
         {8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1, 0},
         12,
         FRAME_LANE_CONTROL,
         FRAME_BAD,
         0,
         0},
};

static struct slice guarded(struct slice bytes)
{
	return slice_of(guard_copy(bytes), bytes.len);
}

static void frames_are_read(void)
{
	for (size_t i = 0; i < COUNT_OF(frames); i++) {
		printf("frame: %s\n", frames[i].name);
		struct frame frame = {0};
		size_t used = 0;
		const char *why = NULL;
		struct slice bytes = slice_of((const char *)frames[i].bytes, frames[i].len);
		enum frame_answer got =
			frame_read(guarded(bytes), frames[i].lane, &frame, &used, &why);
		CHECK(got == frames[i].answer);
		CHECK((got == FRAME_BAD) == (why != NULL));
		if (got != FRAME_DONE)
			continue;
		CHECK(frame.type == frames[i].type);
		CHECK(frame.body.len == frames[i].body_len);
		CHECK(used == FRAME_HEAD_BYTES + frames[i].body_len);
		for (size_t cut = 0; cut < used; cut++)
			CHECK(frame_read(guarded(slice_of(bytes.at, cut)), frames[i].lane, &frame,
			                 &used, &why) == FRAME_MORE);
	}
}

static void what_is_written_is_read(void)
{
	printf("frame: what is written is read\n");
	struct buf out = {0};
	struct frame frame;
	size_t used;
	const char *why;
	frame_append(&out, FRAME_DEAD, 4095, SLICE("body"));
	frame_append(&out, FRAME_BYE, 0, SLICE(""));
	CHECK(frame_read(buf_view(&out), FRAME_LANE_CONTROL, &frame, &used, &why) == FRAME_DONE);
	CHECK(frame.type == FRAME_DEAD);
	CHECK(frame.slot == 4095);
	CHECK(frame.flags == 0);
	CHECK(slice_is(frame.body, "body"));
	buf_use(&out, used);
	CHECK(frame_read(buf_view(&out), FRAME_LANE_CONTROL, &frame, &used, &why) == FRAME_DONE);
	CHECK(frame.type == FRAME_BYE);
	CHECK(used == out.len);
	buf_free(&out);
}

static void types_have_names(void)
{
	printf("frame: types have names and lanes\n");
	CHECK(slice_is(slice_string(frame_name(FRAME_MEMBERS)), "MEMBERS"));
	CHECK(slice_is(slice_string(frame_name(FRAME_NONE)), "NONE"));
	CHECK(frame_lane_of(FRAME_HELLO) == FRAME_LANE_EITHER);
	CHECK(frame_lane_of(FRAME_CREDIT) == FRAME_LANE_CONTROL);
}

static void numbers_are_packed(void)
{
	printf("pack: numbers and texts come back\n");
	struct buf out = {0};
	char longest[PACK_TEXT_MAX];
	memset(longest, 'x', sizeof(longest));
	pack_u8(&out, 0xfe);
	pack_u16(&out, 0xfedc);
	pack_u32(&out, 0xfedcba98);
	pack_u64(&out, 0xfedcba9876543210);
	pack_text(&out, SLICE(""));
	pack_text(&out, slice_of(longest, sizeof(longest)));
	CHECK(memcmp(out.at, "\xfe\xdc\xfe\x98\xba\xdc\xfe\x10\x32\x54\x76\x98\xba\xdc\xfe", 15) ==
	      0);
	for (size_t cut = 0; cut <= out.len; cut++) {
		struct unpack in = {.rest = guarded(slice_of(out.at, cut))};
		bool is_same = unpack_u8(&in) == 0xfe;
		is_same &= unpack_u16(&in) == 0xfedc;
		is_same &= unpack_u32(&in) == 0xfedcba98;
		is_same &= unpack_u64(&in) == 0xfedcba9876543210;
		is_same &= unpack_text(&in).len == 0;
		is_same &= unpack_text(&in).len == PACK_TEXT_MAX;
		CHECK(is_same == (cut == out.len));
		CHECK(unpack_is_over(&in) == (cut == out.len));
		CHECK(in.is_bad == (cut < out.len));
	}
	struct unpack in = {.rest = SLICE("ab")};
	CHECK(unpack_u8(&in) == 'a');
	CHECK(!unpack_is_over(&in));
	buf_free(&out);
}

int main(void)
{
	numbers_are_packed();
	frames_are_read();
	what_is_written_is_read();
	types_have_names();
	return 0;
}
