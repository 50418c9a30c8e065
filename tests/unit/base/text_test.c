/* Numbers and base64, written and read; what is read lies against a guard page. */
#include "../guard.h"
#include "base/random.h"
#include "base/text.h"

#define RANDOM_NUMBERS 100000

static const struct {
	const char *name;
	uint64_t value;
	const char *decimal, *base36;
} numbers[] = {
	{"zero is one digit", 0, "0", "0"},
	{"the last of one decimal digit", 9, "9", "9"},
	{"the first letter is ten", 10, "10", "a"},
	{"the last of one digit in base 36", 35, "35", "z"},
	{"the first of two digits in base 36", 36, "36", "10"},
	{"zeros inside stand", 46656, "46656", "1000"},
	{"the largest of all", UINT64_MAX, "18446744073709551615", "3w5e11264sgsf"},
};

static const struct {
	const char *name;
	const char *text;
	bool is_decimal, is_base36;
} readings[] = {
	{"an empty text is no number", "", false, false},
	{"leading zeros change nothing", "007", true, true},
	{"a sign is no digit", "+1", false, false},
	{"minus is no digit", "-1", false, false},
	{"a blank before is refused", " 1", false, false},
	{"a blank behind is refused", "1 ", false, false},
	{"a fraction is refused", "1.0", false, false},
	{"letters are digits in base 36 alone", "1f", false, true},
	{"capitals are digits nowhere", "1F", false, false},
	{"what stands before 0 is no digit", "/", false, false},
	{"what stands behind 9 is no digit", ":", false, false},
	{"what stands before a is no digit", "`", false, false},
	{"what stands behind z is no digit", "{", false, false},
	{"the largest with zeros before it fits", "0018446744073709551615", true, false},
	{"the largest in base 36 with zeros before it fits", "003w5e11264sgsf", false, true},
	{"one more than the largest is refused", "18446744073709551616", false, false},
	{"ten times the largest is refused", "184467440737095516150", false, false},
	{"one more than the largest in base 36", "3w5e11264sgsg", false, false},
	{"36 times the largest in base 36", "3w5e11264sgsf0", false, false},
};

/* RFC 4648 section 10, and bytes that need the last two signs. */
static const struct {
	const char *bytes, *text;
} base64[] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xfb\xff\xfe", "+//+"},
	{"\xff", "/w=="},
};

static void check_number(size_t i)
{
	char out[TEXT_U64_MAX];
	uint64_t value = 1;
	size_t len = text_from_u64(out, numbers[i].value);
	CHECK(slice_is(slice_of(out, len), numbers[i].decimal));
	CHECK(text_to_u64(slice_of(out, len), &value));
	CHECK(value == numbers[i].value);

	value = 1;
	len = text_from_base36(out, numbers[i].value);
	CHECK(len <= TEXT_BASE36_MAX);
	CHECK(slice_is(slice_of(out, len), numbers[i].base36));
	CHECK(text_to_base36(slice_of(out, len), &value));
	CHECK(value == numbers[i].value);
}

static void check_reading(size_t i)
{
	struct slice text = slice_string(readings[i].text);
	char *guarded = guard_copy(text);
	uint64_t value;
	CHECK(text_to_u64(slice_of(guarded, text.len), &value) == readings[i].is_decimal);
	CHECK(text_to_base36(slice_of(guarded, text.len), &value) == readings[i].is_base36);
	guard_drop(guarded, text.len);
}

static void check_both_ways(void)
{
	struct random random = {.state = 1};
	for (int i = 0; i < RANDOM_NUMBERS; i++) {
		uint64_t number = random_next(&random) >> random_below(&random, 64), value;
		char out[TEXT_U64_MAX], printed[TEXT_U64_MAX + 1];
		size_t len = text_from_u64(out, number);
		snprintf(printed, sizeof(printed), "%llu", (unsigned long long)number);
		CHECK(slice_is(slice_of(out, len), printed));
		CHECK(text_to_u64(slice_of(out, len), &value) && value == number);
		len = text_from_base36(out, number);
		CHECK(text_to_base36(slice_of(out, len), &value) && value == number);
	}
}

static void check_hex(void)
{
	char out[16];
	CHECK(text_from_hex(out, 0xbeef, 4) == 4);
	CHECK(slice_is(slice_of(out, 4), "beef"));
	CHECK(text_from_hex(out, 0xbeef, 6) == 6);
	CHECK(slice_is(slice_of(out, 6), "00beef"));
	CHECK(text_from_hex(out, 0x123456789abcdef0u, 16) == 16);
	CHECK(slice_is(slice_of(out, 16), "123456789abcdef0"));
	CHECK(text_from_hex(out, 0xbeef, 2) == 2);
	CHECK(slice_is(slice_of(out, 2), "ef"));
}

static const struct {
	const char *name;
	const char *bytes; /* NULL: the text is refused */
	const char *text;
} base64url[] = {
	{"no bytes are no characters", "", ""},
	{"one byte is two characters", "f", "Zg"},
	{"two are three", "fo", "Zm8"},
	{"three are four", "foo", "Zm9v"},
	{"and so on", "foob", "Zm9vYg"},
	{"in place of + and / stand - and _", "\xfb\xff\xfe", "-__-"},
	{"+ is none of its characters", NULL, "+__-"},
	{"nor is /", NULL, "-/_-"},
	{"padding is refused", NULL, "Zg=="},
	{"half of it too", NULL, "Zm8="},
	{"one character is no byte", NULL, "Z"},
	{"nor are five", NULL, "Zm9vY"},
	{"bits behind one byte are zeros", NULL, "Zh"},
	{"the highest of them too", NULL, "Zo"},
	{"bits behind two bytes are zeros", NULL, "Zm9"},
	{"the highest of them as well", NULL, "Zm-"},
	{"a blank is refused", NULL, "Zm 9"},
	{"a line feed at the end is refused", NULL, "Zm9v\n"},
	{"what is not ASCII is refused", NULL, "Zm\xc3\xa9"},
};

static void check_base64url(size_t i)
{
	struct slice text = slice_string(base64url[i].text);
	char *guarded = guard_copy(text), read[16], written[16];
	bool is_good = text_to_base64url(slice_of(guarded, text.len), read);
	guard_drop(guarded, text.len);
	CHECK(is_good == (base64url[i].bytes != NULL));
	if (!is_good)
		return;
	struct slice bytes = slice_string(base64url[i].bytes);
	CHECK(slice_equals(slice_of(read, text_base64url_bytes(text.len)), bytes));
	guarded = guard_copy(bytes);
	size_t len = text_from_base64url(written, guarded, bytes.len);
	CHECK(len == text_base64url_len(bytes.len));
	CHECK(slice_equals(slice_of(written, len), text));
	guard_drop(guarded, bytes.len);
}

/* Of each text of two characters: what is read is what would be written, and nothing else is. */
static void check_all_pairs(void)
{
	unsigned read_count = 0;
	for (unsigned pair = 0; pair < 0x10000; pair++) {
		char text[2] = {(char)(pair >> 8), (char)pair}, byte, again[2];
		if (!text_to_base64url(slice_of(text, 2), &byte))
			continue;
		read_count++;
		CHECK(text_from_base64url(again, &byte, 1) == 2);
		CHECK(memcmp(text, again, 2) == 0);
	}
	CHECK(read_count == 256);
}

static void check_base64(void)
{
	for (size_t i = 0; i < COUNT_OF(base64); i++) {
		struct slice bytes = slice_string(base64[i].bytes);
		char *guarded = guard_copy(bytes), out[16];
		size_t len = text_from_base64(out, guarded, bytes.len);
		CHECK(len == text_base64_len(bytes.len));
		CHECK(slice_is(slice_of(out, len), base64[i].text));
		guard_drop(guarded, bytes.len);
	}
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		printf("text: %s\n", numbers[i].name);
		check_number(i);
	}
	for (size_t i = 0; i < COUNT_OF(readings); i++) {
		printf("text: %s\n", readings[i].name);
		check_reading(i);
	}
	printf("text: every number reads as it was written\n");
	check_both_ways();
	printf("text: hexadecimal has as many digits as asked for\n");
	check_hex();
	printf("text: base64 is that of the RFC\n");
	check_base64();
	for (size_t i = 0; i < COUNT_OF(base64url); i++) {
		printf("text: %s\n", base64url[i].name);
		check_base64url(i);
	}
	printf("text: each byte is one text in base64url, and no other\n");
	check_all_pairs();
	return 0;
}
