#include "http/forwarded.h"

#include "base/text.h"

/* The entries of all lines of that name, from the last one to the first. */
struct entries {
	const struct http_headers *headers;
	size_t line; /* lines below this one are still to come */
	struct slice
		rest; /* of the line looked at, its end cut off; `at` is NULL: it is done with */
};

static bool previous_line(struct entries *entries)
{
	while (entries->line > 0) {
		const struct http_header *header = &entries->headers->list[--entries->line];
		if (!slice_equals_nocase(header->name, SLICE("x-forwarded-for")))
			continue;
		entries->rest = header->value;
		return true;
	}
	return false;
}

static bool previous_entry(struct entries *entries, struct slice *entry)
{
	if (entries->rest.at == NULL && !previous_line(entries))
		return false;
	struct slice rest = entries->rest;
	size_t start = rest.len;
	while (start > 0 && rest.at[start - 1] != ',')
		start--;
	*entry = slice_trim(slice_after(rest, start));
	entries->rest = start == 0 ? slice_of(NULL, 0) : slice_of(rest.at, start - 1);
	return true;
}

static bool is_port(struct slice text)
{
	uint64_t port;
	return text_to_u64(text, &port) && port <= UINT16_MAX;
}

/* ADDRESS, V4:PORT, [V6] or [V6]:PORT. */
static bool read_entry(struct slice entry, struct address *address)
{
	struct slice host, rest = entry;
	if (slice_starts(entry, SLICE("["))) {
		rest = slice_after(entry, 1);
		if (!slice_cut(&rest, ']', &host) || rest.at == NULL)
			return false;
		bool has_port = slice_starts(rest, SLICE(":"));
		return (rest.len == 0 || (has_port && is_port(slice_after(rest, 1)))) &&
		       address_parse(host, address) && memchr(host.at, ':', host.len) != NULL;
	}
	if (address_parse(entry, address))
		return true;
	return slice_cut(&rest, ':', &host) && rest.at != NULL && is_port(rest) &&
	       address_parse(host, address);
}

struct address http_forwarded_for(const struct http_headers *headers, struct address from,
                                  const struct network *trusted, size_t count)
{
	struct entries entries = {.headers = headers, .line = headers->count};
	struct address next;
	struct slice entry;
	while (address_is_in(&from, trusted, count)) {
		if (!previous_entry(&entries, &entry) || !read_entry(entry, &next))
			break;
		from = next;
	}
	return from;
}
