#include "ops/journal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

static const char *const level_words[] = {"debug", "info", "warn", "error"};

/* A kind that finds no place is not cut short. */
static struct journal_kind *kind_of(struct journal *journal, const char *name)
{
	for (size_t i = 0; i < JOURNAL_KINDS_MAX; i++) {
		struct journal_kind *kind = &journal->kinds[i];
		if (kind->name == NULL)
			kind->name = name;
		if (strcmp(kind->name, name) == 0)
			return kind;
	}
	return NULL;
}

/* False: it has said enough for now. `*left_out`: so many lines before this one were not written.
 */
static bool may_speak(struct journal_kind *kind, uint64_t unix_ms, uint32_t *left_out)
{
	*left_out = 0;
	if (kind == NULL)
		return true;
	if (unix_ms - kind->window_ms >= JOURNAL_WINDOW_MS) {
		*left_out = kind->left_out;
		kind->window_ms = unix_ms;
		kind->lines = kind->left_out = 0;
	}
	bool may = kind->lines < JOURNAL_LINES_MAX;
	kind->lines += may;
	kind->left_out += !may;
	return may;
}

/* Does `text` begin with what a terminal would obey, or what ends a line for some who read it? Its
 * code point and how many bytes it has; 0: no. */
static size_t starts_control(struct slice text, unsigned *code)
{
	const unsigned char *at = (const unsigned char *)text.at;
	*code = at[0];
	if (at[0] < 0x20 || at[0] == 0x7f)
		return 1;
	if (text.len >= 2 && at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) {
		*code = at[1];
		return 2;
	}
	if (text.len >= 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9)) {
		*code = 0x2000u + (at[2] & 0x3fu);
		return 3;
	}
	return 0;
}

/* One line, and nothing that a terminal would obey. */
static void write_plain(struct buf *out, struct slice text)
{
	while (text.len > 0) {
		unsigned code;
		size_t len = starts_control(text, &code);
		buf_char(out, len > 0 ? ' ' : text.at[0]);
		text = slice_after(text, len > 0 ? len : 1);
	}
}

static void write_quoted(struct buf *out, struct slice text)
{
	buf_char(out, '"');
	while (text.len > 0) {
		unsigned code;
		size_t len = starts_control(text, &code);
		if (text.at[0] == '"' || text.at[0] == '\\')
			buf_char(out, '\\');
		if (len > 0)
			buf_format(out, "\\u%04x", code);
		else
			buf_char(out, text.at[0]);
		text = slice_after(text, len > 0 ? len : 1);
	}
	buf_char(out, '"');
}

/* What each object begins with. */
static void write_stamp(struct buf *out, enum journal_level level, const char *kind,
                        uint64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm utc;
	char date[sizeof("2026-01-01T00:00:00")];
	CHECK(gmtime_r(&seconds, &utc) != NULL);
	CHECK(strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc) > 0);
	buf_format(out, "{\"time\":\"%s.%03" PRIu64 "Z\",\"level\":\"%s\",\"event\":\"%s\"", date,
	           unix_ms % 1000, level_words[level], kind);
}

static void write_json(struct buf *out, enum journal_level level, const char *kind,
                       uint64_t unix_ms, struct slice message, uint32_t left_out)
{
	write_stamp(out, level, kind, unix_ms);
	buf_string(out, ",\"message\":");
	write_quoted(out, message);
	if (left_out > 0)
		buf_format(out, ",\"left_out\":%" PRIu32, left_out);
	buf_string(out, "}\n");
}

static void write_text(struct buf *out, struct slice message, uint32_t left_out)
{
	buf_string(out, "starling: ");
	write_plain(out, message);
	if (left_out > 0)
		buf_format(out, " (%" PRIu32 " like this were left out)", left_out);
	buf_char(out, '\n');
}

bool journal_line(struct journal *journal, struct buf *out, enum journal_level level,
                  const char *kind, uint64_t unix_ms, struct slice message)
{
	uint32_t left_out;
	if (level < journal->least || !may_speak(kind_of(journal, kind), unix_ms, &left_out))
		return false;
	if (journal->is_json)
		write_json(out, level, kind, unix_ms, message, left_out);
	else
		write_text(out, message, left_out);
	return !out->is_broken;
}

/* ---- fields ---- */

/* Can it stand without quotes? */
static bool is_plain_word(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned code;
		char c = text.at[i];
		if (c == ' ' || c == '"' || c == '\\' || c == '=' ||
		    starts_control(slice_after(text, i), &code) > 0)
			return false;
	}
	return text.len > 0;
}

static void write_value(struct buf *out, const struct journal_field *field, bool is_json)
{
	if (field->text.at == NULL)
		buf_u64(out, field->number);
	else if (!is_json && is_plain_word(field->text))
		buf_slice(out, field->text);
	else
		write_quoted(out, field->text);
}

bool journal_fields(const struct journal *journal, struct buf *out, const char *event,
                    uint64_t unix_ms, const struct journal_field *fields, size_t count)
{
	if (journal->least > JOURNAL_INFO)
		return false;
	if (journal->is_json)
		write_stamp(out, JOURNAL_INFO, event, unix_ms);
	else
		buf_format(out, "starling: %s:", event);
	for (size_t i = 0; i < count; i++) {
		buf_format(out, journal->is_json ? ",\"%s\":" : " %s=", fields[i].name);
		write_value(out, &fields[i], journal->is_json);
	}
	buf_string(out, journal->is_json ? "}\n" : "\n");
	return !out->is_broken;
}

/* ---- writing ---- */

uint64_t journal_now_ms(void)
{
	struct timespec now;
	CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void write_line(const struct journal *journal, const struct buf *line)
{
	if (journal->out != NULL)
		journal->out->write(journal->out, buf_view(line));
	else
		fprintf(stderr, "%.*s", (int)line->len, line->at);
}

void journal_say(struct journal *journal, enum journal_level level, const char *kind,
                 const char *format, ...)
{
	char text[2048];
	struct buf line = {0};
	va_list values;
	va_start(values, format);
	int len = vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	CHECK(len >= 0);
	size_t shown = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
	if (journal_line(journal, &line, level, kind, journal_now_ms(), slice_of(text, shown)))
		write_line(journal, &line);
	buf_free(&line);
}

void journal_tell(struct journal *journal, const char *event, const struct journal_field *fields,
                  size_t count)
{
	struct buf line = {0};
	if (journal_fields(journal, &line, event, journal_now_ms(), fields, count))
		write_line(journal, &line);
	buf_free(&line);
}
