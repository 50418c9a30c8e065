#include "mesh/pack.h"

static void pack_number(struct buf *out, uint64_t value, unsigned bytes)
{
	char text[8];
	for (unsigned i = 0; i < bytes; i++)
		text[i] = (char)(value >> 8 * i);
	buf_append(out, text, bytes);
}

void pack_u8(struct buf *out, uint8_t value)
{
	pack_number(out, value, 1);
}

void pack_u16(struct buf *out, uint16_t value)
{
	pack_number(out, value, 2);
}

void pack_u32(struct buf *out, uint32_t value)
{
	pack_number(out, value, 4);
}

void pack_u64(struct buf *out, uint64_t value)
{
	pack_number(out, value, 8);
}

void pack_text(struct buf *out, struct slice text)
{
	CHECK(text.len <= PACK_TEXT_MAX);
	pack_u8(out, (uint8_t)text.len);
	buf_slice(out, text);
}

static uint64_t unpack_number(struct unpack *in, unsigned bytes)
{
	struct slice text = unpack_bytes(in, bytes);
	uint64_t value = 0;
	for (unsigned i = 0; i < text.len; i++)
		value |= (uint64_t)(unsigned char)text.at[i] << 8 * i;
	return value;
}

uint8_t unpack_u8(struct unpack *in)
{
	return (uint8_t)unpack_number(in, 1);
}

uint16_t unpack_u16(struct unpack *in)
{
	return (uint16_t)unpack_number(in, 2);
}

uint32_t unpack_u32(struct unpack *in)
{
	return (uint32_t)unpack_number(in, 4);
}

uint64_t unpack_u64(struct unpack *in)
{
	return unpack_number(in, 8);
}

struct slice unpack_text(struct unpack *in)
{
	return unpack_bytes(in, unpack_u8(in));
}

struct slice unpack_bytes(struct unpack *in, size_t count)
{
	if (in->is_bad || count > in->rest.len) {
		in->is_bad = true;
		return slice_of(NULL, 0);
	}
	struct slice bytes = slice_of(in->rest.at, count);
	in->rest = slice_after(in->rest, count);
	return bytes;
}

bool unpack_is_over(const struct unpack *in)
{
	return !in->is_bad && in->rest.len == 0;
}
