/*
 * native.h - the protocol `starling.v1`: JSON objects with a `type` (SPEC section 4).
 *
 * Beside the dialect for WebSocket, what the same publications look like to clients of
 * server-sent events and polling (SPEC section 5), which have no language of their own.
 *
 * Threads:   pure; any thread.
 * Ownership: as in dialect.h.
 */
#pragma once

#include "dialect/dialect.h"

extern const struct dialect native;

/* Events of an SSE stream without its `id:` line and its end: those follow from the stream's
 * channels. Formats: data as JSON, strings as they are, and the whole message object. */
extern const struct dialect_encoding native_sse_json, native_sse_text, native_sse_full;

/* A string as it is, another value as JSON. */
void native_text(struct buf *out, struct slice json);
/* Appends the message object of a record, for polling and history. False: no memory. */
bool native_message(struct buf *out, struct record *record);

/* `{"error":{"code":…,"message":…}}` */
void native_error(struct buf *out, enum error_code error, const char *message);
/* What HTTP answers with: the same objects without `type` and `ref`. */
void native_ack(struct buf *out, const struct hub_event *event);
void native_history(struct buf *out, const struct hub_event *event);
/* One of the present; no info: empty. */
void native_member(struct buf *out, struct slice user, uint64_t connections, struct slice info);
void native_cursor(struct buf *out, uint64_t epoch, uint64_t seq); /* as JSON, with quotes */
