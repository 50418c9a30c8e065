/* Cursors as clients write them; each is read from a guard page, and written again. */
#include "../guard.h"
#include "hub/cursor.h"

#define START UINT64_MAX /* as an epoch of the table: the word `start` */

static const struct {
	const char *name;
	const char *text;
	bool is_good;
	uint64_t epoch, seq;
} cases[] = {
	{"an epoch, a dash and a number", "k3f9-120", true, 937557, 120},
	{"the place before the first record", "1-0", true, 1, 0},
	{"the word start is before everything held", "start", true, START, 0},
	{"an epoch of digits alone", "10-1", true, 36, 1},
	{"the largest epoch and the largest number", "3w5e11264sgsf-18446744073709551615", true,
         UINT64_MAX, UINT64_MAX},
	{"an epoch too large for any is of no channel", "3w5e11264sgsg-1", true, 0, 1},
	{"the longest epoch is of no channel", "zzzzzzzzzzzzzzzz-1", true, 0, 1},
	{"an epoch is never written with zeros before it", "0k3f9-1", true, 0, 1},
	{"the epoch 0 is of no channel", "0-1", true, 0, 1},
	{"a number too large is ahead of any", "a-18446744073709551616", true, 10, UINT64_MAX},
	{"twenty nines are ahead of any", "a-99999999999999999999", true, 10, UINT64_MAX},
	{"an epoch of 17 characters is malformed", "zzzzzzzzzzzzzzzzz-1", false, 0, 0},
	{"a number of 21 digits is malformed", "a-100000000000000000000", false, 0, 0},
	{"an empty text is malformed", "", false, 0, 0},
	{"a dash alone is malformed", "-", false, 0, 0},
	{"an epoch without dash is malformed", "k3f9", false, 0, 0},
	{"an epoch without number is malformed", "k3f9-", false, 0, 0},
	{"a number without epoch is malformed", "-1", false, 0, 0},
	{"two dashes are malformed", "a-1-1", false, 0, 0},
	{"a number below zero is malformed", "a--1", false, 0, 0},
	{"a leading zero is malformed", "a-01", false, 0, 0},
	{"zeros are malformed but for one", "a-00", false, 0, 0},
	{"capitals are malformed", "K3F9-1", false, 0, 0},
	{"a number in hexadecimal is malformed", "a-1f", false, 0, 0},
	{"a blank before is malformed", " a-1", false, 0, 0},
	{"a blank behind is malformed", "a-1 ", false, 0, 0},
	{"a plus is malformed", "a-+1", false, 0, 0},
	{"other signs are malformed", "a_b-1", false, 0, 0},
	{"Start is malformed", "Start", false, 0, 0},
	{"starts is malformed", "starts", false, 0, 0},
	{"two cursors are not one", "a-1,b-2", false, 0, 0},
};

/* What was written is read as it was, and nobody writes longer ones. */
static void write_check(uint64_t epoch, uint64_t seq, const char *text)
{
	char out[CURSOR_TEXT_MAX];
	struct cursor again;
	size_t len = cursor_write(out, epoch, seq);
	CHECK(len <= sizeof(out));
	CHECK(slice_is(slice_of(out, len), text));
	CHECK(cursor_parse(slice_of(out, len), &again));
	CHECK(again.epoch == epoch);
	CHECK(again.seq == seq);
	CHECK(!again.is_start);
}

static void case_run(size_t i)
{
	struct slice text = slice_string(cases[i].text);
	char *guarded = guard_copy(text);
	struct cursor cursor;
	bool is_start = cases[i].epoch == START && cases[i].seq == 0;
	CHECK(cursor_parse(slice_of(guarded, text.len), &cursor) == cases[i].is_good);
	guard_drop(guarded, text.len);
	if (!cases[i].is_good)
		return;
	CHECK(cursor.is_start == is_start);
	CHECK(cursor.epoch == (is_start ? 0 : cases[i].epoch));
	CHECK(cursor.seq == cases[i].seq);
	bool is_ours =
		cursor.epoch != 0 && (cursor.seq != UINT64_MAX || cursor.epoch == UINT64_MAX);
	if (is_ours)
		write_check(cursor.epoch, cursor.seq, cases[i].text);
}

/* A NUL is a byte like others, and no end. */
static void check_nul(void)
{
	struct cursor cursor;
	CHECK(!cursor_parse(SLICE("a-1\0"), &cursor));
	CHECK(!cursor_parse(SLICE("start\0"), &cursor));
}

/* Cut off anywhere it is malformed, or a cursor of its own. */
static void check_prefixes(void)
{
	struct slice text = SLICE("k3f9-120");
	for (size_t len = 0; len <= text.len; len++) {
		char *guarded = guard_copy(slice_of(text.at, len));
		struct cursor cursor;
		CHECK(cursor_parse(slice_of(guarded, len), &cursor) == (len > 5));
		guard_drop(guarded, len);
	}
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("cursor: %s\n", cases[i].name);
		case_run(i);
	}
	printf("cursor: no NUL ends it\n");
	check_nul();
	printf("cursor: cut off before its number it is none\n");
	check_prefixes();
	return 0;
}
