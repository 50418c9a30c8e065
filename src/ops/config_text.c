#include "ops/config_text.h"

struct config_text config_text_start(struct slice text)
{
	struct slice mark = SLICE("\xef\xbb\xbf");
	if (slice_starts(text, mark))
		text = slice_after(text, mark.len);
	return (struct config_text){.rest = text};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool starts_comment(struct slice text)
{
	return slice_starts(text, SLICE("#"));
}

static struct slice drop_comment(struct slice text)
{
	for (size_t i = 1; i < text.len; i++) {
		if (text.at[i] == '#' && is_blank(text.at[i - 1]))
			return slice_of(text.at, i);
	}
	return text;
}

static enum config_text_result refuse(struct config_statement *statement, const char *fault)
{
	*statement = (struct config_statement){.fault = fault};
	return CONFIG_TEXT_BAD;
}

/* The header ends at the first `]` with nothing but a blank behind it: patterns have none. */
static size_t header_end(struct slice line)
{
	for (size_t i = 1; i < line.len; i++) {
		if (line.at[i] == ']' && (i + 1 == line.len || is_blank(line.at[i + 1])))
			return i;
	}
	return line.len;
}

static enum config_text_result read_section(struct slice line, struct config_statement *statement)
{
	CHECK(line.at[0] == '[');
	size_t end = header_end(line);
	if (end == line.len)
		return refuse(statement, "a section without its ]");
	struct slice behind = slice_trim(slice_after(line, end + 1));
	if (behind.len > 0 && !starts_comment(behind))
		return refuse(statement, "text behind the section's ]");

	struct slice inside = slice_trim(slice_of(line.at + 1, end - 1));
	size_t name_len = 0;
	while (name_len < inside.len && !is_blank(inside.at[name_len]))
		name_len++;
	if (name_len == 0)
		return refuse(statement, "a section without a name");
	statement->name = slice_of(inside.at, name_len);
	statement->value = slice_trim(slice_after(inside, name_len));
	return CONFIG_TEXT_SECTION;
}

static enum config_text_result read_pair(struct slice line, struct config_statement *statement)
{
	struct slice value = line, name;
	CHECK(slice_cut(&value, '=', &name));
	if (value.at == NULL)
		return refuse(statement, "neither [section] nor key = value");
	statement->name = slice_trim(name);
	if (statement->name.len == 0)
		return refuse(statement, "a value without a key");
	statement->value = slice_trim(drop_comment(value));
	return CONFIG_TEXT_PAIR;
}

enum config_text_result config_text_next(struct config_text *text,
                                         struct config_statement *statement)
{
	*statement = (struct config_statement){0};
	struct slice line;
	while (slice_cut(&text->rest, '\n', &line)) {
		text->line++;
		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		if (line.len > CONFIG_LINE_MAX)
			return refuse(statement, "the line is too long");
		if (line.len > 0 && memchr(line.at, '\0', line.len) != NULL)
			return refuse(statement, "a NUL byte");
		line = slice_trim(line);
		if (line.len == 0 || starts_comment(line))
			continue;
		return line.at[0] == '[' ? read_section(line, statement)
		                         : read_pair(line, statement);
	}
	return CONFIG_TEXT_END;
}
