#include "kit/stamp.h"

#include <endian.h>

#include "base/check.h"
#include "base/text.h"

#define MARK "~#"
#define MARK_BYTES 2
#define NUMBER_DIGITS 8
#define TIME_DIGITS 16
#define FILLING '.'

static_assert(MARK_BYTES + NUMBER_DIGITS + TIME_DIGITS == STAMP_BYTES, "nothing else in it");

void stamp_write(char *out, size_t len, struct stamp stamp)
{
	CHECK(len >= STAMP_BYTES);
	memcpy(out, MARK, MARK_BYTES);
	size_t at = MARK_BYTES;
	at += text_from_hex(out + at, stamp.number, NUMBER_DIGITS);
	at += text_from_hex(out + at, stamp.due_ns, TIME_DIGITS);
	CHECK(at == STAMP_BYTES);
	memset(out + at, FILLING, len - at);
}

static bool is_mark(const char *at)
{
	return at[0] == MARK[0] && at[1] == MARK[1];
}

bool stamp_find(struct slice text, size_t *hint)
{
	if (text.len < STAMP_BYTES)
		return false;
	if (*hint <= text.len - STAMP_BYTES && is_mark(text.at + *hint))
		return true;
	const char *found = memmem(text.at, text.len - STAMP_BYTES + MARK_BYTES, MARK, MARK_BYTES);
	if (found == NULL)
		return false;
	*hint = (size_t)(found - text.at);
	return true;
}

/*
 * Eight hexadecimal digits at once: each byte to its value, then neighbours put together, first
 * to bytes, then to pairs of them, then to all four. Millions a second are read.
 */
static uint64_t read_8_digits(const char *at)
{
	uint64_t digits;
	memcpy(&digits, at, sizeof(digits));
	digits = le64toh(digits);
	digits = (digits & 0x0f0f0f0f0f0f0f0fu) + 9 * (digits >> 6 & 0x0101010101010101u);
	digits = (digits << 4 | digits >> 8) & 0x00ff00ff00ff00ffu;
	digits = (digits << 8 | digits >> 16) & 0x0000ffff0000ffffu;
	return (digits << 16 | digits >> 32) & 0xffffffffu;
}

struct stamp stamp_read(const char *at)
{
	const char *number = at + MARK_BYTES, *time = number + NUMBER_DIGITS;
	return (struct stamp){
		.number = (uint32_t)read_8_digits(number),
		.due_ns = read_8_digits(time) << 32 | read_8_digits(time + 8),
	};
}
