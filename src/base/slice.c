#include "base/slice.h"

int slice_compare(struct slice a, struct slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common == 0 ? 0 : memcmp(a.at, b.at, common);
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

size_t slice_count(struct slice a, char byte)
{
	size_t count = 0;
	for (size_t i = 0; i < a.len; i++)
		count += a.at[i] == byte;
	return count;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool slice_equals_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (lower(a.at[i]) != lower(b.at[i]))
			return false;
	}
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice a)
{
	while (a.len > 0 && is_blank(a.at[0]))
		a = slice_after(a, 1);
	while (a.len > 0 && is_blank(a.at[a.len - 1]))
		a.len--;
	return a;
}

bool slice_cut(struct slice *rest, char separator, struct slice *part)
{
	if (rest->at == NULL)
		return false;

	const char *end = rest->len > 0 ? memchr(rest->at, separator, rest->len) : NULL;
	if (end == NULL) {
		*part = *rest;
		*rest = slice_of(NULL, 0);
		return true;
	}
	*part = slice_of(rest->at, (size_t)(end - rest->at));
	*rest = slice_after(*rest, part->len + 1);
	return true;
}
