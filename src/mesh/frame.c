#include "mesh/frame.h"

#include "mesh/pack.h"

static const struct {
	const char *name;
	enum frame_lane lane;
} kinds[] = {
#define FRAME(name, number, lane, what) [number] = {#name, FRAME_LANE_##lane},
#include "mesh/frame.def"
#undef FRAME
};

static bool is_known(unsigned type)
{
	return type < COUNT_OF(kinds) && kinds[type].name != NULL;
}

enum frame_lane frame_lane_of(enum frame_type type)
{
	CHECK(is_known(type));
	return kinds[type].lane;
}

const char *frame_name(enum frame_type type)
{
	return is_known(type) ? kinds[type].name : "NONE";
}

static enum frame_answer bad(const char **why, const char *sentence)
{
	*why = sentence;
	return FRAME_BAD;
}

/* What the head alone tells: so that nothing is collected that will not be read. */
static enum frame_answer check_head(const struct frame *frame, unsigned type, enum frame_lane lane,
                                    uint32_t zero, size_t body_len, const char **why)
{
	size_t len_max = lane == FRAME_LANE_CONTROL ? FRAME_CONTROL_MAX : FRAME_DATA_MAX;
	if (zero != 0)
		return bad(why, "a frame's head does not hold the zero");
	if (body_len > len_max)
		return bad(why, "a frame is longer than its lane allows");
	if (!is_known(type) && (frame->flags & FRAME_OPTIONAL) == 0)
		return bad(why, "a frame is of a type that is not known");
	if (is_known(type) && kinds[type].lane != lane && kinds[type].lane != FRAME_LANE_EITHER)
		return bad(why, "a frame came on the wrong lane");
	return FRAME_DONE;
}

enum frame_answer frame_read(struct slice bytes, enum frame_lane lane, struct frame *frame,
                             size_t *used, const char **why)
{
	struct unpack in = {.rest = bytes};
	uint32_t length = unpack_u32(&in);
	if (in.is_bad)
		return FRAME_MORE;
	if (length < FRAME_HEAD_BYTES - 4)
		return bad(why, "a frame is shorter than its head");
	unsigned type = unpack_u8(&in);
	frame->flags = unpack_u8(&in);
	frame->slot = unpack_u16(&in);
	uint32_t zero = unpack_u32(&in);
	if (in.is_bad)
		return FRAME_MORE;
	size_t body_len = length - (FRAME_HEAD_BYTES - 4);
	if (check_head(frame, type, lane, zero, body_len, why) == FRAME_BAD)
		return FRAME_BAD;
	frame->type = is_known(type) ? (enum frame_type)type : FRAME_NONE;
	frame->body = unpack_bytes(&in, body_len);
	*used = FRAME_HEAD_BYTES + body_len;
	return in.is_bad ? FRAME_MORE : FRAME_DONE;
}

void frame_head_append(struct buf *out, enum frame_type type, uint16_t slot, size_t body_len)
{
	CHECK(is_known(type));
	CHECK(body_len <=
	      (kinds[type].lane == FRAME_LANE_DATA ? FRAME_DATA_MAX : FRAME_CONTROL_MAX));
	pack_u32(out, (uint32_t)(FRAME_HEAD_BYTES - 4 + body_len));
	pack_u8(out, (uint8_t)type);
	pack_u8(out, 0);
	pack_u16(out, slot);
	pack_u32(out, 0);
}

void frame_append(struct buf *out, enum frame_type type, uint16_t slot, struct slice body)
{
	frame_head_append(out, type, slot, body.len);
	buf_slice(out, body);
}
