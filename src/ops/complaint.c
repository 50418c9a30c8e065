#include "ops/complaint.h"

void complaint_text(struct buf *line, struct slice text)
{
	for (size_t i = 0; i < text.len && i < COMPLAINT_TEXT_MAX; i++) {
		bool is_printable = text.at[i] >= ' ' && text.at[i] <= '~';
		buf_char(line, is_printable ? text.at[i] : '?');
	}
	if (text.len > COMPLAINT_TEXT_MAX)
		buf_string(line, "...");
}

struct slice complaint_of(const struct buf *line)
{
	return line->is_broken || line->len == 0 ? SLICE("out of memory") : buf_view(line);
}

void complaint_quote(struct buf *line, struct slice text)
{
	buf_char(line, '\'');
	complaint_text(line, text);
	buf_char(line, '\'');
}
