#include "edge/parameter.h"

#include <stdlib.h>

#include "edge/exchange.h"
#include "http/query.h"
#include "wire/utf8.h"

enum parameter_result parameter_get(const struct http_request *request, const char *name,
                                    struct buf *out)
{
	struct slice rest = request->query, raw_name, raw;
	while (query_next(&rest, &raw_name, &raw)) {
		if (!query_is(raw_name, name)) /* names written with escapes are as good */
			continue;
		if (!query_decode(raw, out))
			return PARAMETER_BAD;
		return out->is_broken ? PARAMETER_NO_MEMORY : PARAMETER_FOUND;
	}
	return PARAMETER_ABSENT;
}

bool parameter_text(const struct http_request *request, const char *name, size_t len_max,
                    struct buf *out, struct slice *value)
{
	enum parameter_result got = parameter_get(request, name, out);
	*value = got == PARAMETER_FOUND ? buf_view(out) : slice_of(NULL, 0);
	return (got == PARAMETER_FOUND || got == PARAMETER_ABSENT) && value->len <= len_max &&
	       utf8_is_valid(*value);
}

const char *parameter_why(const struct buf *out, const char *bad)
{
	return out->is_broken ? why_no_memory : bad;
}

enum parameter_result parameter_number(const struct http_request *request, const char *name,
                                       uint64_t *value)
{
	struct buf text = {0};
	enum parameter_result got = parameter_get(request, name, &text);
	if (got == PARAMETER_FOUND && !text_to_u64(buf_view(&text), value))
		got = PARAMETER_BAD;
	buf_free(&text);
	return got;
}

static bool is_there_already(const struct parameter_channels *channels, const struct buf *names,
                             struct slice name)
{
	for (size_t i = 0; i < channels->count; i++) {
		if (slice_equals(parameter_name(channels, i, names), name))
			return true;
	}
	return false;
}

static const char *const why_too_many = "more channels than limits.channels_per_connection";

static const char *read_names(const struct http_request *request, size_t count_max,
                              struct buf *names, struct parameter_channels *channels)
{
	struct slice rest = request->query, raw_name, raw;
	while (query_next(&rest, &raw_name, &raw)) {
		if (!query_is(raw_name, "channel"))
			continue;
		if (channels->count == count_max)
			return why_too_many;
		size_t at = names->len;
		if (!query_decode(raw, names))
			return "a channel is not decodable";
		if (names->is_broken)
			return why_no_memory;
		if (is_there_already(channels, names, buf_since(names, at)))
			return "a channel is named twice";
		channels->list[channels->count++] =
			(struct parameter_channel){.at = at, .len = names->len - at};
	}
	return channels->count == 0 ? "channel is missing" : NULL;
}

static const char *read_cursors(struct slice text, struct parameter_channels *channels)
{
	size_t count = 0;
	struct slice one;
	while (slice_cut(&text, ',', &one)) {
		if (count == channels->count)
			return "since has more cursors than there are channels";
		if (!cursor_parse(one, &channels->list[count++].since))
			return "since is not a cursor";
	}
	channels->has_since = true;
	return count == channels->count ? NULL : "since has fewer cursors than there are channels";
}

static const char *read_since(const struct http_request *request, const struct slice *last_id,
                              struct parameter_channels *channels)
{
	struct buf text = {0};
	enum parameter_result got = PARAMETER_FOUND;
	if (last_id != NULL)
		buf_slice(&text, *last_id);
	else
		got = parameter_get(request, "since", &text);
	if (text.is_broken)
		got = PARAMETER_NO_MEMORY;
	const char *why = got == PARAMETER_NO_MEMORY ? why_no_memory : NULL;
	/* An empty one is none: loops begin with a cursor that is still empty. */
	bool is_given = got == PARAMETER_FOUND && text.len > 0;
	if (got == PARAMETER_BAD)
		why = "since is not decodable";
	else if (is_given)
		why = read_cursors(buf_view(&text), channels);
	buf_free(&text);
	return why;
}

enum error_code parameter_channels(const struct http_request *request, const struct slice *last_id,
                                   size_t count_max, struct buf *names,
                                   struct parameter_channels **channels, const char **why)
{
	*channels = calloc(1, sizeof(**channels) + count_max * sizeof((*channels)->list[0]));
	*why = why_no_memory;
	if (*channels == NULL)
		return ERROR_UNAVAILABLE;
	*why = read_names(request, count_max, names, *channels);
	if (*why == NULL)
		*why = read_since(request, last_id, *channels);
	if (*why == NULL)
		return ERROR_NONE;
	free(*channels);
	*channels = NULL;
	return *why == why_too_many ? ERROR_TOO_MANY_CHANNELS : ERROR_BAD_REQUEST;
}
