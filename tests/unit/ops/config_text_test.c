/*
 * config_text: files and the statements in them, from guard pages; and cut off anywhere they give
 * the same statements up to the last whole line.
 */
#include <stdio.h>

#include "../guard.h"
#include "base/buf.h"
#include "base/check.h"
#include "ops/config_text.h"

static const struct {
	const char *name;
	const char *text;
	const char
		*statements; /* LINE[name|value], LINE:name|value or LINE!fault, a space between */
} cases[] = {
	{"an empty file says nothing", "", ""},
	{"empty lines and comments say nothing", "\n  \n# a = b\n\t# c\n", ""},
	{"a section and a key", "[log]\nlevel = warn\n", "1[log|] 2:level|warn"},
	{"the last line needs no newline", "[log]\nlevel=warn", "1[log|] 2:level|warn"},
	{"blanks around everything", "  [ log ]  \n\tlevel\t=\twarn \t", "1[log|] 2:level|warn"},
	{"a value may be empty", "key =\n", "1:key|"},
	{"a value may hold blanks and =", "key = a = b c", "1:key|a = b c"},
	{"a comment after a blank", "key = a # b", "1:key|a"},
	{"a comment instead of a value", "key = # b", "1:key|"},
	{"no comment inside a word", "key = a#b #c", "1:key|a#b"},
	{"no comment right behind =", "key=#a", "1:key|#a"},
	{"lines may end in CRLF", "[log]\r\n\r\nlevel = warn\r\n", "1[log|] 3:level|warn"},
	{"a UTF-8 mark in front is passed over", "\xef\xbb\xbf[log]\n", "1[log|]"},
	{"a section with a pattern", "[channel chat:*]", "1[channel|chat:*]"},
	{"a pattern may hold # and ]", "[channel #a]b] # [c]", "1[channel|#a]b]"},
	{"a comment behind a section", "[log] # loud", "1[log|]"},
	{"a section must be closed", "\n[log", "2!a section without its ]"},
	{"a section needs a name", "[ ]", "1!a section without a name"},
	{"nothing else stands behind a section", "[log] a = b", "1!text behind the section's ]"},
	{"a line is a section or a pair", "a\nlevel", "1!neither [section] nor key = value"},
	{"a pair has a key", " = a", "1!a value without a key"},
	{"a lone mark is a bad line", "\xef\xbb", "1!neither [section] nor key = value"},
};

/* Adds the next statement to `out`; false: it was the last. */
static bool write_next(struct config_text *reader, struct buf *out)
{
	struct config_statement statement;
	enum config_text_result result = config_text_next(reader, &statement);
	if (result == CONFIG_TEXT_END)
		return false;
	buf_format(out, "%s%u", out->len > 0 ? " " : "", reader->line);
	if (result == CONFIG_TEXT_BAD) {
		buf_format(out, "!%s", statement.fault);
		return false;
	}
	bool is_section = result == CONFIG_TEXT_SECTION;
	buf_char(out, is_section ? '[' : ':');
	buf_slice(out, statement.name);
	buf_char(out, '|');
	buf_slice(out, statement.value);
	buf_string(out, is_section ? "]" : "");
	return true;
}

static void write_all(struct slice text, struct buf *out)
{
	char *guarded = guard_copy(text);
	struct config_text reader = config_text_start(slice_of(guarded, text.len));
	while (write_next(&reader, out))
		continue;
	guard_drop(guarded, text.len);
}

/* What is read of the first `len` bytes, but for their last line, is read of the whole. */
static void check_prefix(struct slice text, size_t len, struct slice whole)
{
	struct buf out = {0};
	write_all(slice_of(text.at, len), &out);
	bool is_at_line_end = len > 0 && text.at[len - 1] == '\n';
	if (is_at_line_end)
		CHECK(slice_starts(whole, buf_view(&out)));
	buf_free(&out);
}

static void check_case(struct slice text, const char *statements)
{
	struct buf out = {0};
	write_all(text, &out);
	CHECK(slice_is(buf_view(&out), statements));
	for (size_t len = 0; len <= text.len; len++)
		check_prefix(text, len, buf_view(&out));
	buf_free(&out);
}

static void check_long_line(size_t len, bool is_fine)
{
	static char line[CONFIG_LINE_MAX + 1];
	memset(line, 'a', sizeof(line));
	line[1] = '=';
	struct buf out = {0};
	write_all(slice_of(line, len), &out);
	CHECK(slice_is(buf_view(&out), "1!the line is too long") != is_fine);
	buf_free(&out);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("config_text: %s\n", cases[i].name);
		check_case(slice_string(cases[i].text), cases[i].statements);
	}
	printf("config_text: a NUL byte is refused, also in a comment\n");
	check_case(SLICE("a = b\n# \0\n"), "1:a|b 2!a NUL byte");
	printf("config_text: the longest line is read\n");
	check_long_line(CONFIG_LINE_MAX, true);
	printf("config_text: one byte more is too long\n");
	check_long_line(CONFIG_LINE_MAX + 1, false);
	return 0;
}
