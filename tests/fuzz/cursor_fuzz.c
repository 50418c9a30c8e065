/*
 * Any text: it is a cursor when a plain look at its form says so, and what names a place that
 * can be is written as it was read.
 */
#include <stdlib.h>

#include "base/check.h"
#include "hub/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many of the characters `allowed` stand at the beginning of `text`. */
static size_t count_of(struct slice text, const char *allowed)
{
	size_t count = 0;
	while (count < text.len && text.at[count] != '\0' &&
	       strchr(allowed, text.at[count]) != NULL)
		count++;
	return count;
}

static bool has_form(struct slice text)
{
	size_t epoch = count_of(text, "0123456789abcdefghijklmnopqrstuvwxyz");
	if (epoch < 1 || epoch > 16 || epoch == text.len || text.at[epoch] != '-')
		return false;
	struct slice seq = slice_after(text, epoch + 1);
	if (seq.len < 1 || seq.len > 20 || count_of(seq, "0123456789") != seq.len)
		return false;
	return seq.len == 1 || seq.at[0] != '0';
}

static void cursor_check(struct slice text, const struct cursor *cursor)
{
	char out[CURSOR_TEXT_MAX];
	if (cursor->epoch == 0 || cursor->seq == UINT64_MAX) {
		CHECK(text.at[0] == '0' || text.len > 13); /* else it would have been one */
		return;
	}
	size_t len = cursor_write(out, cursor->epoch, cursor->seq);
	CHECK(slice_equals(slice_of(out, len), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size > 0 ? size : 1);
	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	struct slice text = slice_of(copy, size);
	struct cursor cursor;
	bool is_start = slice_is(text, "start");
	bool is_good = cursor_parse(text, &cursor);
	CHECK(is_good == (is_start || has_form(text)));
	CHECK(!is_good || cursor.is_start == is_start);
	if (is_good && !is_start)
		cursor_check(text, &cursor);
	free(copy);
	return 0;
}
