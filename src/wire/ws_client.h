/*
 * ws_client.h - the client's side of WebSocket frames: a server's read as messages, ours
 * written with a mask (RFC 6455 section 5).
 *
 * What a frame may be and how fragments become a message is ws_frame.h's to say, here as there.
 *
 * Threads:   a reader belongs to one thread at a time; the writers are pure.
 * Ownership: a reader owns the bytes of what has arrived in part, and nothing after
 *            ws_client_reader_free(). A message lies in the input or in the reader: good
 *            until the next call, or until the input changes.
 * Limits:    those of ws_frame.h. A frame with a mask is a fault.
 */
#pragma once

#include "wire/ws_frame.h"

#define WS_MASK_BYTES 4

/* `struct ws_client_reader r = {0}` is at rest. */
struct ws_client_reader {
	/* private */
	struct ws_reader frames;
	uint64_t payload_left; /* of the frame under way */
	uint8_t head_len;      /* bytes in `head`; 0 while there is payload left */
	bool is_failed;        /* WS_BAD was said */
	char head[WS_SERVER_HEAD_MAX];
};

/* As ws_read(). `bytes` are written to, but stay what they are. */
enum ws_result ws_client_read(struct ws_client_reader *reader, char *bytes, size_t len,
                              size_t message_bytes_max, size_t *used, struct ws_message *out);

bool ws_client_reader_is_at_rest(const struct ws_client_reader *reader);
void ws_client_reader_free(struct ws_client_reader *reader); /* at rest again, without memory */

/* A whole frame. The mask is to be one that nobody could foretell (section 5.3). */
void ws_client_append(struct buf *out, enum ws_opcode opcode, struct slice payload,
                      const char mask[WS_MASK_BYTES]);

/* A whole close frame; code and reason as in ws_close_append(). */
void ws_client_close_append(struct buf *out, uint16_t code, struct slice reason,
                            const char mask[WS_MASK_BYTES]);
