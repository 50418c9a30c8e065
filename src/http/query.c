#include "http/query.h"

#include "http/syntax.h"

bool query_next(struct slice *rest, struct slice *name, struct slice *value)
{
	struct slice pair;
	do {
		if (!slice_cut(rest, '&', &pair))
			return false;
	} while (pair.len == 0);

	slice_cut(&pair, '=', name);
	*value = pair;
	return true;
}

static bool escapes_decode(struct slice raw, char plus, struct buf *out)
{
	size_t before = out->len;
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.at[i] != '%') {
			buf_char(out, raw.at[i] == '+' ? plus : raw.at[i]);
			continue;
		}
		int high = raw.len - i > 2 ? http_hex_value(raw.at[i + 1]) : -1;
		int low = raw.len - i > 2 ? http_hex_value(raw.at[i + 2]) : -1;
		if (high < 0 || low < 0) {
			CHECK(before <= out->len);
			buf_cut_to(out, before);
			return false;
		}
		buf_char(out, (char)(high << 4 | low));
		i += 2;
	}
	return true;
}

bool query_decode(struct slice raw, struct buf *out)
{
	return escapes_decode(raw, ' ', out);
}

bool http_path_decode(struct slice raw, struct buf *out)
{
	return escapes_decode(raw, '+', out);
}

static struct slice unquote(struct slice text)
{
	bool is_quoted = text.len >= 2 && text.at[0] == '"' && text.at[text.len - 1] == '"';
	return is_quoted ? slice_of(text.at + 1, text.len - 2) : text;
}

bool http_cookie_find(struct slice header, const char *name, struct slice *value)
{
	struct slice pair, wanted = slice_string(name), found;
	CHECK(wanted.len > 0);
	while (slice_cut(&header, ';', &pair)) {
		pair = slice_trim(pair);
		slice_cut(&pair, '=', &found);
		if (pair.at != NULL && slice_equals(found, wanted)) {
			*value = unquote(pair);
			return true;
		}
	}
	return false;
}
