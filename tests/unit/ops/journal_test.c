/* Lines as text and as JSON, which are written, and which are left out. */
#include <stdio.h>

#include "base/check.h"
#include "ops/journal.h"

#define NOON 1790000000123u /* 2026-09-21T14:13:20.123Z */

static const struct {
	const char *claim;
	bool is_json;
	enum journal_level least, level;
	const char *message, *line; /* NULL: none */
} rows[] = {
	{"text is for people", false, JOURNAL_INFO, JOURNAL_INFO, "all is well",
         "starling: all is well\n"},
	{"JSON is for machines", true, JOURNAL_INFO, JOURNAL_WARN, "all is well",
         "{\"time\":\"2026-09-21T14:13:20.123Z\",\"level\":\"warn\",\"event\":\"kind\","
         "\"message\":\"all is well\"}\n"},
	{"a lesser level is not written", false, JOURNAL_WARN, JOURNAL_INFO, "x", NULL},
	{"nor in JSON", true, JOURNAL_ERROR, JOURNAL_WARN, "x", NULL},
	{"the least one is", false, JOURNAL_WARN, JOURNAL_WARN, "x", "starling: x\n"},
	{"debug is below info", false, JOURNAL_INFO, JOURNAL_DEBUG, "x", NULL},
	{"an event is one line", false, JOURNAL_INFO, JOURNAL_INFO, "a\nb\x1b[31m\x7f",
         "starling: a b [31m \n"},
	{"in JSON too", true, JOURNAL_INFO, JOURNAL_ERROR, "a\n\"b\\\x1b",
         "{\"time\":\"2026-09-21T14:13:20.123Z\",\"level\":\"error\",\"event\":\"kind\","
         "\"message\":\"a\\u000a\\\"b\\\\\\u001b\"}\n"},
	{"control characters of Unicode, and its line ends, are such", false, JOURNAL_INFO,
         JOURNAL_INFO, "\302\200\302\205\302\233\302\237|\342\200\250|\342\200\251|",
         "starling:     | | |\n"},
	{"and are written as numbers in JSON", true, JOURNAL_INFO, JOURNAL_ERROR,
         "\302\200\302\233\302\237\342\200\250\342\200\251",
         "{\"time\":\"2026-09-21T14:13:20.123Z\",\"level\":\"error\",\"event\":\"kind\","
         "\"message\":\"\\u0080\\u009b\\u009f\\u2028\\u2029\"}\n"},
	{"their neighbours are letters, and what is cut short is left", false, JOURNAL_INFO,
         JOURNAL_INFO, "\302\240\342\200\247\342\200\252\302m\342\200",
         "starling: \302\240\342\200\247\342\200\252\302m\342\200\n"},
};

static void writes(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct journal journal = {.least = rows[i].least, .is_json = rows[i].is_json};
		struct buf out = {0};
		bool is_said = journal_line(&journal, &out, rows[i].level, "kind", NOON,
		                            slice_string(rows[i].message));
		CHECK(is_said == (rows[i].line != NULL));
		CHECK(!is_said || slice_is(buf_view(&out), rows[i].line));
		CHECK(is_said || out.len == 0);
		buf_free(&out);
		printf("journal: %s\n", rows[i].claim);
	}
}

static bool says(struct journal *journal, const char *kind, uint64_t unix_ms, struct buf *out)
{
	buf_clear(out);
	return journal_line(journal, out, JOURNAL_INFO, kind, unix_ms, SLICE("x"));
}

static void cuts_short(void)
{
	struct journal journal = {.least = JOURNAL_INFO};
	struct buf out = {0};
	for (int i = 0; i < JOURNAL_LINES_MAX; i++)
		CHECK(says(&journal, "much", NOON, &out));
	CHECK(!says(&journal, "much", NOON + 1, &out));
	CHECK(!says(&journal, "much", NOON + JOURNAL_WINDOW_MS - 1, &out));
	CHECK(says(&journal, "little", NOON + 1, &out));
	printf("journal: a kind that says too much is cut short, and no other\n");
	CHECK(says(&journal, "much", NOON + JOURNAL_WINDOW_MS, &out));
	CHECK(slice_is(buf_view(&out), "starling: x (2 like this were left out)\n"));
	CHECK(says(&journal, "much", NOON + JOURNAL_WINDOW_MS, &out));
	CHECK(slice_is(buf_view(&out), "starling: x\n"));
	printf("journal: how many were left out is said, once\n");
	buf_free(&out);
}

static void knows_many_kinds(void)
{
	struct journal journal = {.least = JOURNAL_INFO};
	static char names[JOURNAL_KINDS_MAX + 1][16];
	struct buf out = {0};
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(names[i], sizeof(names[i]), "kind%zu", i);
		CHECK(says(&journal, names[i], NOON, &out));
	}
	for (int i = 0; i < 2 * JOURNAL_LINES_MAX; i++)
		CHECK(says(&journal, names[JOURNAL_KINDS_MAX], NOON, &out));
	buf_free(&out);
	printf("journal: a kind too many is written whole\n");
}

/* ---- lines of fields ---- */

static const struct {
	const char *text, *value;
} words[] = {
	{"\303\251\344\270\226", "\303\251\344\270\226"},
	{"a\302\233b", "\"a\\u009bb\""},
	{"\342\200\250", "\"\\u2028\""},
	{"a\342\200\251", "\"a\\u2029\""},
};

static void quotes_what_ends_lines(void)
{
	struct journal journal = {.least = JOURNAL_INFO};
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		struct journal_field field = {"user", slice_string(words[i].text), 0};
		struct buf out = {0}, expected = {0};
		CHECK(journal_fields(&journal, &out, "request", NOON, &field, 1));
		buf_format(&expected, "starling: request: user=%s\n", words[i].value);
		CHECK(slice_equals(buf_view(&out), buf_view(&expected)));
		buf_free(&expected);
		buf_free(&out);
	}
	printf("journal: a word with a control character of Unicode stands in quotes\n");
}

static const struct journal_field fields[] = {
	{"path", {"/a b", 4}, 0},
	{"user", {"ann", 3}, 0},
	{"odd", {"\x1b=\"", 3}, 0},
	{"ms", {NULL, 0}, 12},
};

static void tells_fields(void)
{
	struct journal journal = {.least = JOURNAL_INFO};
	struct buf out = {0};
	CHECK(journal_fields(&journal, &out, "request", NOON, fields, COUNT_OF(fields)));
	CHECK(slice_is(buf_view(&out), "starling: request: path=\"/a b\" user=ann "
	                               "odd=\"\\u001b=\\\"\" ms=12\n"));
	printf("journal: fields are names and values, in quotes where they are no plain word\n");
	buf_clear(&out);
	journal.is_json = true;
	CHECK(journal_fields(&journal, &out, "request", NOON, fields, COUNT_OF(fields)));
	CHECK(slice_is(buf_view(&out),
	               "{\"time\":\"2026-09-21T14:13:20.123Z\",\"level\":\"info\",\"event\":"
	               "\"request\",\"path\":\"/a b\",\"user\":\"ann\","
	               "\"odd\":\"\\u001b=\\\"\",\"ms\":12}\n"));
	printf("journal: or members of the object\n");
	buf_clear(&out);
	for (int i = 0; i <= JOURNAL_LINES_MAX; i++)
		CHECK(journal_fields(&journal, &out, "request", NOON, fields, 1));
	printf("journal: such lines are not cut short\n");
	buf_clear(&out);
	journal.least = JOURNAL_WARN;
	CHECK(!journal_fields(&journal, &out, "request", NOON, fields, 1));
	CHECK(out.len == 0);
	printf("journal: but left out as others of the level info\n");
	buf_free(&out);
}

int main(void)
{
	writes();
	tells_fields();
	quotes_what_ends_lines();
	cuts_short();
	knows_many_kinds();
	return 0;
}
