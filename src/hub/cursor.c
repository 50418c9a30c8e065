#include "hub/cursor.h"

#include "base/check.h"

static bool is_epoch_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

static bool is_epoch(struct slice text)
{
	if (text.len == 0 || text.len > CURSOR_EPOCH_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_epoch_char(text.at[i]))
			return false;
	}
	return true;
}

static bool is_seq(struct slice text)
{
	if (text.len == 0 || text.len > TEXT_U64_MAX || (text.at[0] == '0' && text.len > 1))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
	}
	return true;
}

bool cursor_parse(struct slice text, struct cursor *cursor)
{
	*cursor = (struct cursor){0};
	if (slice_is(text, "start")) {
		cursor->is_start = true;
		return true;
	}

	struct slice epoch, seq = text;
	if (!slice_cut(&seq, '-', &epoch) || seq.at == NULL)
		return false;
	if (!is_epoch(epoch) || !is_seq(seq))
		return false;
	/* "0a" is not how an epoch is written, so it names none. */
	if (epoch.at[0] == '0' || !text_to_base36(epoch, &cursor->epoch))
		cursor->epoch = 0;
	if (!text_to_u64(seq, &cursor->seq))
		cursor->seq = UINT64_MAX;
	return true;
}

size_t cursor_write(char out[CURSOR_TEXT_MAX], uint64_t epoch, uint64_t seq)
{
	CHECK(epoch != 0);
	size_t len = text_from_base36(out, epoch);
	out[len++] = '-';
	return len + text_from_u64(out + len, seq);
}
