/*
 * ws_frame.h - WebSocket frames: a client's read as messages, ours written (RFC 6455 section 5).
 *
 * Threads:   a reader belongs to one thread at a time; the writers are pure.
 * Ownership: a reader owns the bytes of what has arrived in part, and nothing at rest after
 *            ws_reader_free(). It may be moved by assignment. A message lies in the input or
 *            in the reader: good until the next call, or until the input changes.
 * Limits:    control frames 125 bytes, messages as the caller says; no extension, so the
 *            reserved bits are zero. Memory follows what has come, never what was declared.
 *            Faults are told with the first byte that is wrong, frames whole or not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/utf8.h"

#define WS_HEAD_MAX 14 /* a client's: two bytes, a length of eight, a mask of four */
#define WS_SERVER_HEAD_MAX 10
#define WS_CONTROL_MAX 125 /* payload bytes of a control frame */

enum ws_opcode {
	WS_OPCODE_CONTINUATION = 0x0,
	WS_OPCODE_TEXT = 0x1,
	WS_OPCODE_BINARY = 0x2,
	WS_OPCODE_CLOSE = 0x8,
	WS_OPCODE_PING = 0x9,
	WS_OPCODE_PONG = 0xa,
};

enum ws_close_code {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_NONE = 1005, /* stands for "without a code"; never in a frame */
	WS_CLOSE_NOT_TEXT = 1007,
	WS_CLOSE_POLICY = 1008,
	WS_CLOSE_TOO_LARGE = 1009,
	WS_CLOSE_FAILED = 1011,
	WS_CLOSE_RESTART = 1012,
};

enum ws_result {
	WS_MORE = 0, /* all input is used, nothing is complete */
	WS_TEXT,     /* UTF-8 throughout */
	WS_BINARY,
	WS_PING,
	WS_PONG,
	WS_CLOSE,
	WS_BAD, /* close with the code and reason in the message; the reader is done for */
};

struct ws_message {
	struct slice payload; /* WS_CLOSE: the client's reason; WS_BAD: ours */
	uint16_t close_code;  /* of WS_CLOSE (WS_CLOSE_NONE if it named none) and WS_BAD, else 0 */
};

/* `struct ws_reader r = {0}` is at rest. */
struct ws_reader {
	/* private */
	struct buf buf;       /* the message so far; behind it, a control frame so far */
	uint64_t payload_len; /* of the frame under way, and how much of it has come */
	uint64_t payload_got;
	struct utf8 utf8;       /* at the end of the text so far */
	uint8_t message_opcode; /* of the message under way; 0: none is */
	uint8_t head_len;       /* bytes in `head` */
	bool is_in_frame;       /* the head is whole */
	bool is_failed;         /* WS_BAD was said */
	char head[WS_HEAD_MAX];
};

/*
 * Reads up to one message or control frame. `*used` says how much of the input that took;
 * call again with the rest while there is any. Payloads are unmasked where they lie, so
 * `bytes` change. After WS_BAD only ws_reader_free() may be called.
 */
enum ws_result ws_read(struct ws_reader *reader, char *bytes, size_t len, size_t message_bytes_max,
                       size_t *used, struct ws_message *out);

/* Between messages. What was handed out may still lie in it: done with that, free it. */
bool ws_reader_is_at_rest(const struct ws_reader *reader);
void ws_reader_free(struct ws_reader *reader); /* at rest again, without memory */

/* What may stand in a close frame. */
bool ws_close_code_is_valid(uint16_t code);

/* The head of a whole, unmasked frame; bytes written. */
size_t ws_head(char out[WS_SERVER_HEAD_MAX], enum ws_opcode opcode, uint64_t payload_len);

/*
 * A whole close frame. The reason is UTF-8, cut to what fits between two characters;
 * WS_CLOSE_NONE makes a frame without code and reason.
 */
void ws_close_append(struct buf *out, uint16_t code, struct slice reason);
