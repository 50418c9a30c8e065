#include "node/pen.h"

#include <inttypes.h>

#include "node/letter.h"

static void lose(struct pen *pen, uint64_t lines)
{
	pen->lost_here += lines;
	atomic_fetch_add_explicit(pen->lost, lines, memory_order_relaxed);
}

/* Behind all that was said before them. */
static void say_what_was_lost(struct pen *pen)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "%" PRIu64 " lines before this were lost",
	                   pen->lost_here);
	CHECK(len > 0 && (size_t)len < sizeof(text));
	(void)journal_line(&pen->journal, &pen->lines, JOURNAL_WARN, "lines_lost", journal_now_ms(),
	                   slice_of(text, (size_t)len));
	pen->lost_here = 0;
}

void pen_flush(struct pen *pen)
{
	if (pen->office == NULL || pen->lines.len + pen->lost_here == 0 ||
	    mailbox_untaken(pen->office, pen->number, pen->scribe) >= PEN_LETTERS_MAX)
		return;
	if (pen->lost_here > 0)
		say_what_was_lost(pen);
	struct letter letter = {.kind = LETTER_LINES, .lines = blob_copy(buf_view(&pen->lines))};
	if (letter.lines != NULL)
		mailbox_post(pen->office, pen->number, pen->scribe, &letter);
	else
		lose(pen, slice_count(buf_view(&pen->lines), '\n'));
	buf_free(&pen->lines);
}

static void pen_write(struct journal_out *out, struct slice line)
{
	struct pen *pen = CONTAINER_OF(out, struct pen, out);
	if (pen->lines.len + line.len > PEN_BYTES_MAX)
		pen_flush(pen);
	size_t before = pen->lines.len;
	if (before + line.len <= PEN_BYTES_MAX)
		buf_slice(&pen->lines, line);
	if (pen->lines.len > before)
		return;
	pen->lines.is_broken = false; /* it holds what it held */
	lose(pen, 1);
}

void pen_init(struct pen *pen, struct post_office *office, uint32_t number, uint32_t scribe,
              _Atomic uint64_t *lost)
{
	pen->out.write = pen_write;
	pen->journal.out = &pen->out;
	pen->office = office;
	pen->number = number;
	pen->scribe = scribe;
	pen->lost = lost;
}

void pen_free(struct pen *pen)
{
	buf_free(&pen->lines);
}
