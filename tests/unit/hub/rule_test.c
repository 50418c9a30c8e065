/*
 * rule: patterns against names, from guard pages; every short pattern against every short name
 * beside a matcher that is plainly right; and the order of rules.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../guard.h"
#include "base/check.h"
#include "hub/rule.h"

static const struct {
	const char *name;
	const char *pattern, *channel;
	bool fits;
} matches[] = {
	{"a pattern without * is the name itself", "news", "news", true},
	{"a name that only begins like it is another", "news", "newsroom", false},
	{"a name that only ends like it is another", "news", "oldnews", false},
	{"case counts", "news", "News", false},
	{"* fits everything", "*", "chat:1", true},
	{"* fits nothing at all", "chat:*", "chat:", true},
	{"* at the end fits the rest", "chat:*", "chat:a:b", true},
	{"what stands before * must be there", "chat:*", "cha", false},
	{"* at the front fits any beginning", "*:private", "a:b:private", true},
	{"* crosses every separator", "a*z", "a/b.c:d@z", true},
	{"the end after * is the name's end", "a*b", "a-b-c", false},
	{"several * divide the name", "a*b*c", "a1b2b3c", true},
	{"what stands between * must be there", "a*b*c", "a1c", false},
	{"* in a row are one", "a**b", "ab", true},
	{"a late fit is found after an early half", "*aab", "aaaab", true},
	{"? and [ are themselves", "a?[b]", "a?[b]", true},
	{"a personal channel is a name like others", "@*", "@ann", true},
};

static const struct {
	const char *name;
	size_t len; /* of the name; its bytes are a, the last one is `last` */
	char last;
	bool is_valid;
} names[] = {
	{"an empty name is none", 0, 0, false},
	{"one byte is a name", 1, 'a', true},
	{"the longest name", CHANNEL_NAME_MAX, 'a', true},
	{"one byte more is too long", CHANNEL_NAME_MAX + 1, 'a', false},
	{"the first printable sign", 3, '!', true},
	{"the last printable sign", 3, '~', true},
	{"no blank", 3, ' ', false},
	{"no delete", 3, 0x7f, false},
	{"no comma", 3, ',', false},
	{"no quote", 3, '"', false},
	{"no backslash", 3, '\\', false},
	{"no control character", 3, '\n', false},
	{"no NUL", 3, '\0', false},
	{"no byte beyond ASCII", 3, (char)0xc3, false},
	{"signs of their own are welcome", 3, '=', true},
};

static const struct {
	const char *name;
	const char *channel;
	size_t found; /* which of rules_in_order */
} finds[] = {
	{"the first rule that fits wins", "chat:vip", 0},
	{"a rule behind it gets the others", "chat:1", 1},
	{"the last rule gets what is left", "news", 2},
};

static void check_match(const char *pattern, const char *channel, bool fits)
{
	struct slice p = slice_string(pattern), c = slice_string(channel);
	char *guarded_p = guard_copy(p), *guarded_c = guard_copy(c);
	CHECK(rule_matches(slice_of(guarded_p, p.len), slice_of(guarded_c, c.len)) == fits);
	guard_drop(guarded_c, c.len);
	guard_drop(guarded_p, p.len);
}

static bool is_match(const char *pattern, const char *channel)
{
	if (*pattern == '*')
		return is_match(pattern + 1, channel) ||
		       (*channel != '\0' && is_match(pattern, channel + 1));
	if (*pattern == '\0' || *channel == '\0')
		return *pattern == *channel;
	return *pattern == *channel && is_match(pattern + 1, channel + 1);
}

/* The text of `len` letters that stands at place `number` in the order of their alphabet. */
static void spell(char *text, const char *letters, size_t len, unsigned number)
{
	unsigned base = (unsigned)strlen(letters);
	for (size_t i = 0; i < len; i++, number /= base)
		text[i] = letters[number % base];
	text[len] = '\0';
}

static unsigned power(unsigned base, size_t exponent)
{
	return exponent == 0 ? 1 : base * power(base, exponent - 1);
}

static void check_pattern_against_all(const char *pattern)
{
	char channel[8];
	for (size_t len = 0; len <= 5; len++) {
		for (unsigned i = 0; i < power(2, len); i++) {
			spell(channel, "ab", len, i);
			CHECK(rule_matches(slice_string(pattern), slice_string(channel)) ==
			      is_match(pattern, channel));
		}
	}
}

static void check_all_short_ones(void)
{
	char pattern[8];
	printf("rule: every short pattern fits what a plain matcher says\n");
	for (size_t len = 0; len <= 6; len++) {
		for (unsigned i = 0; i < power(3, len); i++) {
			spell(pattern, "ab*", len, i);
			check_pattern_against_all(pattern);
		}
	}
}

/* A matcher that tries every * anew does not come back from this one. */
static void check_worst_pattern(void)
{
	char pattern[CHANNEL_NAME_MAX], channel[CHANNEL_NAME_MAX];
	printf("rule: a hundred * in a pattern cost no more than its length\n");
	for (size_t i = 0; i < CHANNEL_NAME_MAX; i++) {
		pattern[i] = i % 2 == 0 ? '*' : 'a';
		channel[i] = 'a';
	}
	pattern[CHANNEL_NAME_MAX - 1] = 'b';
	CHECK(!rule_matches(slice_of(pattern, CHANNEL_NAME_MAX),
	                    slice_of(channel, CHANNEL_NAME_MAX)));
}

static void check_name(size_t len, char last, bool is_valid)
{
	char bytes[CHANNEL_NAME_MAX + 1];
	memset(bytes, 'a', sizeof(bytes));
	if (len > 0)
		bytes[len - 1] = last;
	char *guarded = guard_copy(slice_of(bytes, len));
	CHECK(channel_name_is_valid(slice_of(guarded, len)) == is_valid);
	guard_drop(guarded, len);
}

static void check_finds(void)
{
	static const char *const patterns[] = {"chat:vip", "chat:*", "*"};
	struct rules rules = {calloc(COUNT_OF(patterns), sizeof(struct rule)), COUNT_OF(patterns)};
	CHECK(rules.list != NULL);
	for (size_t i = 0; i < rules.count; i++)
		CHECK((rules.list[i].pattern = strdup(patterns[i])) != NULL);
	for (size_t i = 0; i < COUNT_OF(finds); i++) {
		printf("rule: %s\n", finds[i].name);
		CHECK(rules_find(&rules, slice_string(finds[i].channel)) ==
		      &rules.list[finds[i].found]);
	}
	rules_free(&rules);
	CHECK(rules.list == NULL);
	CHECK(rules.count == 0);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(matches); i++) {
		printf("rule: %s\n", matches[i].name);
		check_match(matches[i].pattern, matches[i].channel, matches[i].fits);
		CHECK(is_match(matches[i].pattern, matches[i].channel) == matches[i].fits);
	}
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		printf("rule: %s\n", names[i].name);
		check_name(names[i].len, names[i].last, names[i].is_valid);
	}
	check_all_short_ones();
	check_worst_pattern();
	check_finds();
	return 0;
}
