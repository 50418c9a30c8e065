/* Payloads lie against a guard page. */
#include <stdio.h>

#include "../guard.h"
#include "base/random.h"
#include "kit/stamp.h"

#define STAMPS 1000
#define PAYLOAD_MAX 200

static void check_round(struct stamp stamp, size_t before, size_t len)
{
	char text[2 * PAYLOAD_MAX];
	memset(text, '~', before);
	stamp_write(text + before, len, stamp);
	char *copy = guard_copy(slice_of(text, before + len));
	for (size_t hint = 0; hint < before + len + 2; hint++) {
		size_t at = hint;
		CHECK(stamp_find(slice_of(copy, before + len), &at));
		CHECK(at == before);
		struct stamp read = stamp_read(copy + at);
		CHECK(read.number == stamp.number);
		CHECK(read.due_ns == stamp.due_ns);
	}
	guard_drop(copy, before + len);
}

static void test_rounds(void)
{
	static const struct stamp ends[] = {{0, 0}, {UINT32_MAX, UINT64_MAX}, {1, 0xf}};
	struct random random = {3};
	printf("stamp: what was written is read, wherever it stands and was looked for\n");
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		check_round(ends[i], 0, STAMP_BYTES);
	for (int i = 0; i < STAMPS; i++) {
		struct stamp stamp = {(uint32_t)random_next(&random), random_next(&random)};
		check_round(stamp, random_below(&random, 20),
		            STAMP_BYTES + random_below(&random, PAYLOAD_MAX - STAMP_BYTES));
	}
}

static void test_none(void)
{
	static const char *const texts[] = {"",
	                                    "~",
	                                    "~#",
	                                    "~#00000000000000000000000",
	                                    "a message without any stamp in it at all",
	                                    "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~#"};
	printf("stamp: where there is none, or not all of it, none is found\n");
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		size_t hint = 0;
		char *copy = guard_copy(slice_string(texts[i]));
		CHECK(!stamp_find(slice_of(copy, strlen(texts[i])), &hint));
		guard_drop(copy, strlen(texts[i]));
	}
}

static void test_text(void)
{
	char text[STAMP_BYTES + 3];
	printf("stamp: it is text of a fixed length, filled up\n");
	stamp_write(text, sizeof(text), (struct stamp){0x1f, 0xabc});
	CHECK(slice_is(slice_of(text, sizeof(text)), "~#0000001f0000000000000abc..."));
}

int main(void)
{
	test_rounds();
	test_none();
	test_text();
	return 0;
}
