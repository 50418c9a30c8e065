/*
 * dialect.h - a language that clients speak: their messages into hub commands, hub events
 * into bytes.
 *
 * A dialect knows neither sockets nor transports. The transport hands it one whole message
 * and asks for the commands in it, one by one: there may be several, or none. What goes out
 * is appended to a buf, but for publications: those are encoded once for all followers of a
 * kind and kept with the record (hub/record.h).
 *
 * Threads:   pure; what it needs between calls is in the reader.
 * Ownership: a reader is the worker's, used for one message at a time. Commands look at the
 *            message and at the reader's scratch, until the next dialect_read().
 * Limits:    messages as the transport lets them in; MESSAGE_DEPTH_MAX levels of JSON.
 *
 * To add a dialect: a file that fills a struct dialect, its encodings numbered in enum
 * dialect_wire, and a row in edge/route.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "hub/command.h"
#include "hub/event.h"

/* Numbers of the encodings that a record can hold. */
enum dialect_wire {
	WIRE_NATIVE = 0, /* a WebSocket text frame with the message object */
	WIRE_SSE_JSON,
	WIRE_SSE_TEXT,
	WIRE_SSE_FULL,
	WIRE_COUNT,
};

static_assert(WIRE_COUNT <= RECORD_WIRES, "a record has room for every encoding");

struct dialect_encoding {
	enum dialect_wire wire;
	struct blob *(*encode)(const struct record *record); /* NULL: no memory */
};

struct dialect_fault {
	struct slice ref;
	struct slice channel; /* empty: not about one of several */
	enum error_code error;
	const char *message;
};

enum dialect_result {
	DIALECT_END = 0, /* no more commands in this message */
	DIALECT_COMMAND,
	DIALECT_FAULT, /* the message, or this part of it, is refused; ask on */
};

struct dialect_reader {
	struct slice rest; /* what is still to be read of the message */
	struct slice ref;  /* common to the commands of one message */
	bool is_binary;    /* the message is not text */
	int step;          /* the dialect's */
	struct buf scratch;
};

struct dialect {
	const char *name; /* the subprotocol */
	/* Commands of the message `reader` was begun with. */
	enum dialect_result (*read)(struct dialect_reader *reader, struct hub_command *command,
	                            struct dialect_fault *fault);
	void (*write)(struct buf *out, const struct hub_event *event);
	struct dialect_encoding websocket;
};

static inline void dialect_begin(struct dialect_reader *reader, struct slice message,
                                 bool is_binary)
{
	buf_clear(&reader->scratch);
	reader->rest = message;
	reader->ref = slice_of(NULL, 0);
	reader->is_binary = is_binary;
	reader->step = 0;
}
