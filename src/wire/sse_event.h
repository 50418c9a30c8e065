/*
 * sse_event.h - lines of a server-sent event stream (WHATWG HTML 9.2), written.
 *
 * Threads:   pure functions; any thread.
 * Ownership: they append to the caller's buf and keep nothing.
 * Limits:    an event is any of sse_id_append() and sse_event_append(), then sse_end().
 *            Whatever lines end with in `data`, the client reads LF. Text is UTF-8 already.
 */
#pragma once

#include "base/buf.h"

/* Can stand on one line whole: no CR, LF or NUL. What follows demands it of names, ids, comments.
 */
bool sse_event_name_is_valid(struct slice name);

/* An `event:` line unless `event` is empty, and a `data:` line for each line of `data`. */
void sse_event_append(struct buf *out, struct slice event, struct slice data);
void sse_id_append(struct buf *out, struct slice id);
void sse_end(struct buf *out); /* the empty line that makes the client deliver */

void sse_comment(struct buf *out, struct slice text);
void sse_retry(struct buf *out, uint64_t delay_ms);
