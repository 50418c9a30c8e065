/* Tables of slices; every input lies against a guard page. */
#include "../guard.h"

static const struct {
	const char *name;
	const char *a, *b;
	bool are_equal, are_equal_nocase, is_start; /* is_start: `a` starts with `b` */
} pairs[] = {
	{"nothing equals nothing", "", "", true, true, true},
	{"every text starts with nothing", "abc", "", false, false, true},
	{"nothing starts with no letter", "", "a", false, false, false},
	{"the same bytes are equal", "abc", "abc", true, true, true},
	{"a start is not the whole", "abc", "ab", false, false, true},
	{"a text does not start with a longer one", "ab", "abc", false, false, false},
	{"letters have two cases", "aBz", "AbZ", false, true, false},
	{"signs next to the letters have one", "@[`{", "`{@[", false, false, false},
	{"bytes beyond ASCII have one", "\xc4", "\xe4", false, false, false},
};

static const struct {
	const char *name;
	const char *text, *trimmed;
} trims[] = {
	{"nothing stays nothing", "", ""},
	{"blanks alone leave nothing", " \t ", ""},
	{"spaces and tabs go at both ends", "\t a b\t ", "a b"},
	{"other white space stays", "\na\r", "\na\r"},
};

static const struct {
	const char *name;
	const char *text;
	const char *parts[5];
} cuts[] = {
	{"a text without separator is one part", "abc", {"abc"}},
	{"separators divide", "a,b,c", {"a", "b", "c"}},
	{"an empty text is one empty part", "", {""}},
	{"behind the last separator is a part", "a,", {"a", ""}},
	{"before the first separator is a part", ",a", {"", "a"}},
	{"separators in a row have empty parts between", ",,", {"", "", ""}},
};

static void check_pair(size_t i)
{
	struct slice a = slice_string(pairs[i].a), b = slice_string(pairs[i].b);
	char *guarded_a = guard_copy(a), *guarded_b = guard_copy(b);
	struct slice x = slice_of(guarded_a, a.len), y = slice_of(guarded_b, b.len);
	CHECK(slice_equals(x, y) == pairs[i].are_equal);
	CHECK(slice_equals(y, x) == pairs[i].are_equal);
	CHECK(slice_is(x, pairs[i].b) == pairs[i].are_equal);
	CHECK(slice_equals_nocase(x, y) == pairs[i].are_equal_nocase);
	CHECK(slice_equals_nocase(y, x) == pairs[i].are_equal_nocase);
	CHECK(slice_starts(x, y) == pairs[i].is_start);
	guard_drop(guarded_b, b.len);
	guard_drop(guarded_a, a.len);
}

static void check_trim(size_t i)
{
	struct slice text = slice_string(trims[i].text);
	char *guarded = guard_copy(text);
	CHECK(slice_is(slice_trim(slice_of(guarded, text.len)), trims[i].trimmed));
	guard_drop(guarded, text.len);
}

static void check_cut(size_t i)
{
	struct slice text = slice_string(cuts[i].text);
	char *guarded = guard_copy(text);
	struct slice rest = slice_of(guarded, text.len), part;
	size_t separators = slice_count(rest, ','), count = 0;
	for (; cuts[i].parts[count] != NULL; count++) {
		CHECK(slice_cut(&rest, ',', &part));
		CHECK(slice_is(part, cuts[i].parts[count]));
	}
	CHECK(separators == count - 1);
	CHECK(rest.at == NULL);
	CHECK(!slice_cut(&rest, ',', &part));
	guard_drop(guarded, text.len);
}

static void check_no_bytes(void)
{
	struct slice none = slice_of(NULL, 0);
	CHECK(slice_equals(none, SLICE("")));
	CHECK(slice_starts(none, none));
	CHECK(slice_after(none, 0).len == 0);
	CHECK(slice_trim(none).len == 0);
	CHECK(slice_is(slice_after(SLICE("abc"), 1), "bc"));
	CHECK(slice_is(slice_after(SLICE("abc"), 3), ""));
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		printf("slice: %s\n", pairs[i].name);
		check_pair(i);
	}
	for (size_t i = 0; i < COUNT_OF(trims); i++) {
		printf("slice: trimmed, %s\n", trims[i].name);
		check_trim(i);
	}
	for (size_t i = 0; i < COUNT_OF(cuts); i++) {
		printf("slice: cut, %s\n", cuts[i].name);
		check_cut(i);
	}
	printf("slice: nothing may have no address\n");
	check_no_bytes();
	return 0;
}
