/*
 * query.h - values packed into a request: query parameters, path segments, cookies.
 *
 * Threads:   pure functions; any thread.
 * Ownership: none. Raw slices look into the text they were cut from; what is decoded is
 *            appended to a buf of the caller's.
 * Limits:    none of their own: nothing here is longer than the text it came in. Decoded
 *            bytes may be any, NUL and broken UTF-8 too; whoever uses them judges them.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "base/slice.h"

/*
 * Cuts the next `name=value` off the front of `rest`, both still encoded. A parameter
 * without '=' has an empty value; empty ones ("a&&b") are passed over. False: no more.
 */
bool query_next(struct slice *rest, struct slice *name, struct slice *value);

/* Undoes %XX, and '+' for a blank. False: a malformed escape, and `out` is as before. */
MUST_CHECK bool query_decode(struct slice raw, struct buf *out);

/* Whether `raw` is `text`, decoded; the same without memory. */
bool query_is(struct slice raw, const char *text);

/* The same for a part of a path, where '+' is itself. */
MUST_CHECK bool http_path_decode(struct slice raw, struct buf *out);

/* The value of the first cookie of that exact name, without quotes around it. */
bool http_cookie_find(struct slice header, const char *name, struct slice *value);
