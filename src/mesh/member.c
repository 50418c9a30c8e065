#include "mesh/member.h"

#include "mesh/frame.h"
#include "mesh/pack.h"

const char *member_state_name(enum member_state state)
{
	static const char *const names[MEMBER_STATE_COUNT] = {
#define MEMBER_STATE(name, text) [MEMBER_##name] = text,
#include "mesh/member_state.def"
#undef MEMBER_STATE
	};
	CHECK(state < MEMBER_STATE_COUNT);
	return names[state];
}

bool member_text_is_good(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] <= ' ' || text.at[i] > '~')
			return false;
	}
	return text.len > 0;
}

void hello_write(struct buf *out, const struct hello *hello)
{
	pack_u16(out, hello->version_min);
	pack_u16(out, hello->version_max);
	pack_u64(out, hello->features);
	pack_u64(out, hello->boot.word[0]);
	pack_u64(out, hello->boot.word[1]);
	pack_u64(out, hello->incarnation);
	pack_u8(out, (uint8_t)hello->state);
	pack_text(out, hello->cluster);
	pack_text(out, hello->name);
	pack_text(out, hello->address);
	pack_text(out, hello->release);
	pack_u8(out, hello->lane);
	pack_u64(out, hello->pair);
	pack_u64(out, hello->stamp);
	pack_u8(out, hello->replicas);
}

/* What a later version adds stands behind, and is passed over; what an earlier one lacks is 0. */
bool hello_read(struct slice body, struct hello *hello)
{
	struct unpack in = {.rest = body};
	hello->version_min = unpack_u16(&in);
	hello->version_max = unpack_u16(&in);
	hello->features = unpack_u64(&in);
	hello->boot.word[0] = unpack_u64(&in);
	hello->boot.word[1] = unpack_u64(&in);
	hello->incarnation = unpack_u64(&in);
	hello->state = unpack_u8(&in);
	hello->cluster = unpack_text(&in);
	hello->name = unpack_text(&in);
	hello->address = unpack_text(&in);
	hello->release = unpack_text(&in);
	hello->lane = unpack_u8(&in);
	hello->pair = unpack_u64(&in);
	hello->stamp = unpack_u64(&in);
	hello->replicas = in.rest.len > 0 ? unpack_u8(&in) : 0;
	return !in.is_bad && hello->lane < FRAME_LANE_EITHER && hello->state <= MEMBER_DRAINING &&
	       member_text_is_good(hello->name) && member_text_is_good(hello->address) &&
	       member_text_is_good(hello->cluster) && member_text_is_good(hello->release) &&
	       hello->version_min <= hello->version_max &&
	       !boot_id_equals(hello->boot, (struct boot_id){{0}});
}

const char *bye_sentence(enum bye why)
{
	static const char *const sentences[BYE_COUNT] = {
#define BYE(name, sentence) [BYE_##name] = sentence,
#include "mesh/bye.def"
#undef BYE
	};
	CHECK(why < BYE_COUNT);
	return sentences[why];
}

void bye_write(struct buf *out, enum bye why)
{
	pack_u8(out, (uint8_t)why);
}

bool bye_read(struct slice body, enum bye *why)
{
	struct unpack in = {.rest = body};
	uint8_t number = unpack_u8(&in);
	*why = number < BYE_COUNT ? (enum bye)number : BYE_OTHER;
	return !in.is_bad;
}
