/* Each text goes in whole, in two parts at every split, and byte by byte, to a guard page. */
#include "../guard.h"
#include "wire/utf8.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static const struct {
	const char *name;
	struct slice text;
	size_t good; /* bytes before the fault; all of them: there is none */
	bool is_cut; /* good as far as it goes */
} cases[] = {
	{"nothing is text", BYTES(""), 0, false},
	{"ASCII is text, NUL and DEL too", BYTES("a\0\x7f b"), 5, false},
	{"a fault after words of ASCII is found", BYTES("0123456789abcdef01234\xff"), 21, false},
	{"a fault inside a word of ASCII is found", BYTES("0123456789\x80 bcdef"), 10, false},
	{"two, three and four bytes", BYTES("\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80"), 9, false},
	{"the last of each length", BYTES("\x7f\xdf\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf"), 10, false},
	{"Greek", BYTES("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"), 11, false},
	{"the neighbours of the surrogates", BYTES("\xed\x9f\xbf\xee\x80\x80"), 6, false},
	{"noncharacters are characters here", BYTES("\xef\xbf\xbe\xef\xb7\x90"), 6, false},
	{"a byte order mark is a character", BYTES("\xef\xbb\xbf"), 3, false},
	{"a continuation begins nothing", BYTES("\x80"), 0, false},
	{"C0 and C1 are overlong at once", BYTES("a\xc0\x80"), 1, false},
	{"C1 likewise", BYTES("\xc1\xbf"), 0, false},
	{"E0 9F is overlong at its second byte", BYTES("\xe0\x9f\xbf"), 1, false},
	{"F0 8F is overlong at its second byte", BYTES("\xf0\x8f\xbf\xbf"), 1, false},
	{"the first surrogate fails at A0", BYTES("\xed\xa0\x80"), 1, false},
	{"the last surrogate fails at BF", BYTES("\xed\xbf\xbf"), 1, false},
	{"U+110000 fails at 90", BYTES("\xf4\x90\x80\x80"), 1, false},
	{"F5 begins nothing", BYTES("\xf5\x80\x80\x80"), 0, false},
	{"FE and FF begin nothing", BYTES("\xfe\xff"), 0, false},
	{"a character broken off by ASCII fails there", BYTES("\xe2\x82.x"), 2, false},
	{"a character broken off by another fails there", BYTES("\xf0\x9f\xc3\xa9"), 2, false},
	{"the range of the second byte is not the third's", BYTES("\xe0\xa0\x7f"), 2, false},
	{"the narrow range ends with the second byte", BYTES("\xed\x80\xbf\xf4\x80\xbf\xbf"), 7,
         false},
	{"one byte of two is cut off", BYTES("\xc3"), 1, true},
	{"two bytes of three are cut off", BYTES("\xe2\x82"), 2, true},
	{"three bytes of four are cut off", BYTES("ab\xf0\x9f\x98"), 5, true},
};

/* Feeds `text` in parts of `first` and then `step` bytes; the place of the fault. */
static size_t feed(struct utf8 *utf8, struct slice text, size_t first, size_t step)
{
	size_t good = 0, count = first;
	while (good < text.len) {
		size_t len = text.len - good < count ? text.len - good : count;
		size_t part = utf8_check(utf8, text.at + good, len);
		good += part;
		if (part < len)
			break;
		count = step;
	}
	return good;
}

static void case_run(size_t i)
{
	char *copy = guard_copy(cases[i].text);
	struct slice text = slice_of(copy, cases[i].text.len);
	bool is_good = cases[i].good == text.len;
	CHECK(utf8_is_valid(text) == (is_good && !cases[i].is_cut));
	for (size_t first = 0; first <= text.len; first++) {
		struct utf8 utf8 = {0};
		CHECK(feed(&utf8, text, first, text.len) == cases[i].good);
		CHECK(!is_good || utf8_is_whole(&utf8) == !cases[i].is_cut);
		CHECK(is_good || utf8_check(&utf8, text.at + cases[i].good, 1) == 0);
	}
	struct utf8 utf8 = {0};
	CHECK(feed(&utf8, text, 1, 1) == cases[i].good);
	guard_drop(copy, text.len);
}

/* The definition, said another way: decode by the lead's bit pattern, then look at the code. */
static bool is_character(const unsigned char *bytes, size_t len)
{
	static const uint32_t code_min[] = {0, 0, 0x80, 0x800, 0x10000};
	static const unsigned char lead_bits[] = {0, 0, 0xc0, 0xe0, 0xf0};
	uint32_t code = (uint32_t)(bytes[0] - lead_bits[len]);
	if (bytes[0] < lead_bits[len] || code >= 1u << (7 - len))
		return false;
	for (size_t i = 1; i < len; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return false;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	return code >= code_min[len] && code <= UTF8_CODE_MAX && (code < 0xd800 || code > 0xdfff);
}

static void leads_run(void)
{
	printf("utf8: every lead with every second byte is judged as the definition says\n");
	for (unsigned pair = 0; pair < 0x8000; pair++) {
		unsigned char bytes[4] = {(unsigned char)(0x80 | pair >> 8), pair & 0xff, 0xbf,
		                          0x80};
		for (size_t len = 2; len <= 4; len++) {
			struct slice text = slice_of((const char *)bytes, len);
			CHECK(utf8_is_valid(text) == is_character(bytes, len));
		}
	}
}

static void codes_run(void)
{
	printf("utf8: every code point is written as one character and read back\n");
	for (uint32_t code = 0x80; code <= UTF8_CODE_MAX; code++) {
		char out[4];
		if (code == 0xd800)
			code = 0xe000;
		size_t len = utf8_from_code(out, code);
		uint32_t back = (unsigned char)out[0] & (0x7fu >> len);
		for (size_t i = 1; i < len; i++)
			back = back << 6 | ((unsigned char)out[i] & 0x3f);
		CHECK(back == code);
		CHECK(is_character((const unsigned char *)out, len));
		CHECK(utf8_is_valid(slice_of(out, len)));
	}
	char out[4];
	CHECK(utf8_from_code(out, 'A') == 1 && out[0] == 'A');
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("utf8: %s\n", cases[i].name);
		case_run(i);
	}
	leads_run();
	codes_run();
	return 0;
}
