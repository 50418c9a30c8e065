/*
 * parameter.h - what a request's query says, decoded.
 *
 * Threads:   pure; any thread.
 * Ownership: values are appended to the caller's buf.
 * Limits:    as long as the target (limits.header_size).
 */
#pragma once

#include "base/buf.h"
#include "hub/cursor.h"
#include "http/request.h"
#include "starling/error.h"
#include "starling/limits.h"

enum parameter_result {
	PARAMETER_ABSENT = 0,
	PARAMETER_FOUND,
	PARAMETER_BAD, /* not decodable */
	PARAMETER_NO_MEMORY,
};

/* The first parameter of that name. */
enum parameter_result parameter_get(const struct http_request *request, const char *name,
                                    struct buf *out);
/* The same for text of at most `len_max` bytes; `*value` is its place in `out`, or empty where it
 * is absent. False: it is too long, or no UTF-8; or parameter_why() is no memory. */
MUST_CHECK bool parameter_text(const struct http_request *request, const char *name, size_t len_max,
                               struct buf *out, struct slice *value);
/* Why a parameter that was to go to `out` is refused: `bad`, unless it was for want of memory. */
const char *parameter_why(const struct buf *out, const char *bad);
/* The same as parameter_get(), the whole value being a number. */
enum parameter_result parameter_number(const struct http_request *request, const char *name,
                                       uint64_t *value);

/* The channels a request names, in its order, and the cursors that go with them. */
struct parameter_channels {
	size_t count;
	bool has_since;
	struct parameter_channel {
		size_t at, len; /* of the name, in the caller's buf */
		struct cursor since;
	} list[];
};

static inline struct slice parameter_name(const struct parameter_channels *channels, size_t i,
                                          const struct buf *names)
{
	const struct parameter_channel *channel = &channels->list[i];
	return slice_of(slice_after(buf_view(names), channel->at).at, channel->len);
}

/*
 * Reads every `channel` and then `since` (unless `last_id` overrides it) with as many cursors.
 * Names are appended to `names`. ERROR_NONE: `*channels` is malloc'd. Else it is NULL, with a
 * sentence in `*why`: no channel, more than `count_max`, one twice, a malformed cursor or another
 * number of them.
 */
enum error_code parameter_channels(const struct http_request *request, const struct slice *last_id,
                                   size_t count_max, struct buf *names,
                                   struct parameter_channels **channels, const char **why);
