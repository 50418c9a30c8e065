#include "wire/utf8.h"

#include "base/check.h"

#define ASCII_WORD 0x8080808080808080u

static size_t ascii_run(const char *bytes, size_t len)
{
	size_t run = 0;
	while (len - run >= sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, bytes + run, sizeof(word));
		if (word & ASCII_WORD)
			break;
		run += sizeof(word);
	}
	while (run < len && (unsigned char)bytes[run] < 0x80)
		run++;
	return run;
}

/*
 * The second byte's range is where RFC 3629 refuses overlong forms (E0, F0), surrogates
 * (ED) and what lies above U+10FFFF (F4). C0, C1 and F5 to FF begin nothing.
 */
static bool utf8_begin(struct utf8 *utf8, unsigned char lead)
{
	if (lead < 0xc2 || lead > 0xf4)
		return false;
	utf8->left = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
	utf8->low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	utf8->high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	return true;
}

static bool utf8_continue(struct utf8 *utf8, unsigned char byte)
{
	if (byte < utf8->low || byte > utf8->high)
		return false;
	utf8->left--;
	utf8->low = 0x80;
	utf8->high = 0xbf;
	return true;
}

size_t utf8_check(struct utf8 *utf8, const char *bytes, size_t len)
{
	CHECK(utf8->left <= 3);
	for (size_t i = 0; i < len; i++) {
		if (utf8->left == 0) {
			i += ascii_run(bytes + i, len - i);
			if (i == len)
				break;
			if (!utf8_begin(utf8, (unsigned char)bytes[i]))
				return i;
		} else if (!utf8_continue(utf8, (unsigned char)bytes[i])) {
			return i;
		}
	}
	return len;
}

bool utf8_is_valid(struct slice text)
{
	struct utf8 utf8 = {0};
	return utf8_check(&utf8, text.at, text.len) == text.len && utf8_is_whole(&utf8);
}

size_t utf8_from_code(char out[4], uint32_t code)
{
	CHECK(code <= UTF8_CODE_MAX);
	CHECK(code < 0xd800 || code > 0xdfff);
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = len - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	out[0] = (char)(0xf00u >> len | code); /* as many leading ones as there are bytes */
	return len;
}
