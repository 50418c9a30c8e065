#include "wire/sse_event.h"

#include "base/check.h"

bool sse_event_name_is_valid(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] == '\r' || name.at[i] == '\n' || name.at[i] == '\0')
			return false;
	}
	return true;
}

/* The space is not for looks: the client takes one away, maybe the value's own. */
static void line_append(struct buf *out, const char *name, struct slice value)
{
	buf_string(out, name);
	buf_append(out, ": ", 2);
	buf_slice(out, value);
	buf_char(out, '\n');
}

/* Cuts a line and what ends it (CR LF, LF, CR) off the front; false: it was the last. */
static bool line_cut(struct slice *rest, struct slice *line)
{
	size_t len = 0;
	while (len < rest->len && rest->at[len] != '\n' && rest->at[len] != '\r')
		len++;
	*line = slice_of(rest->at, len);
	if (len == rest->len)
		return false;
	bool is_pair = rest->at[len] == '\r' && len + 1 < rest->len && rest->at[len + 1] == '\n';
	*rest = slice_after(*rest, len + (is_pair ? 2 : 1));
	return true;
}

void sse_event_append(struct buf *out, struct slice event, struct slice data)
{
	CHECK(sse_event_name_is_valid(event));
	if (event.len > 0)
		line_append(out, "event", event);
	struct slice line;
	while (line_cut(&data, &line))
		line_append(out, "data", line);
	line_append(out, "data", line);
}

void sse_id_append(struct buf *out, struct slice id)
{
	CHECK(sse_event_name_is_valid(id));
	line_append(out, "id", id);
}

void sse_end(struct buf *out)
{
	buf_char(out, '\n');
}

void sse_comment(struct buf *out, struct slice text)
{
	CHECK(sse_event_name_is_valid(text));
	line_append(out, "", text);
}

void sse_retry(struct buf *out, uint64_t delay_ms)
{
	buf_string(out, "retry: ");
	buf_u64(out, delay_ms);
	buf_char(out, '\n');
}
