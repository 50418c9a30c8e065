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

/* Takes one byte off the front of `rest`, which is not empty. False: a malformed escape. */
static bool byte_decode(struct slice *rest, char plus, char *byte)
{
	*byte = rest->at[0];
	if (*byte != '%') {
		*byte = *byte == '+' ? plus : *byte;
		*rest = slice_after(*rest, 1);
		return true;
	}
	int high = rest->len > 2 ? http_hex_value(rest->at[1]) : -1;
	int low = rest->len > 2 ? http_hex_value(rest->at[2]) : -1;
	if (high < 0 || low < 0)
		return false;
	*byte = (char)(high << 4 | low);
	*rest = slice_after(*rest, 3);
	return true;
}

static bool escapes_decode(struct slice raw, char plus, struct buf *out)
{
	size_t before = out->len;
	while (raw.len > 0) {
		char byte;
		if (!byte_decode(&raw, plus, &byte)) {
			CHECK(before <= out->len);
			buf_cut_to(out, before);
			return false;
		}
		buf_char(out, byte);
	}
	return true;
}

bool query_decode(struct slice raw, struct buf *out)
{
	return escapes_decode(raw, ' ', out);
}

bool query_is(struct slice raw, const char *text)
{
	char byte;
	while (raw.len > 0) {
		if (!byte_decode(&raw, ' ', &byte) || byte == '\0' || byte != *text++)
			return false;
	}
	return *text == '\0';
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
