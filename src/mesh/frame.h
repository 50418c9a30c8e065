/*
 * frame.h - the unit of what travels between two nodes.
 *
 *	u32 length, u8 type, u8 flags, u16 slot, u32 zero, body
 *
 * `length` counts all that follows it. Little endian throughout; the zero is kept for a checksum,
 * which TLS makes superfluous.
 *
 * Threads:   pure; any thread.
 * Ownership: a frame that is read looks at the bytes it was read from.
 * Limits:    FRAME_CONTROL_MAX or FRAME_DATA_MAX bytes of body, by the lane of its type. A longer
 *            one, one on the wrong lane, and one of a type not known are bad as soon as the head
 *            has come; a type not known that is marked FRAME_OPTIONAL is to be passed over.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"

#define FRAME_HEAD_BYTES 12u
#define FRAME_CONTROL_MAX (256u * 1024)
#define FRAME_DATA_MAX                                                                             \
	(1024u * 1024 + 8 * 1024) /* a payload of API_MESSAGE_BYTES_MAX, its strings */

#define FRAME_OPTIONAL 1u /* flags: who does not know the type may pass it over */

enum frame_lane { FRAME_LANE_CONTROL = 0, FRAME_LANE_DATA, FRAME_LANE_EITHER };

enum frame_type {
	FRAME_NONE = 0,
#define FRAME(name, number, lane, what) FRAME_##name = (number),
#include "mesh/frame.def"
#undef FRAME
};

struct frame {
	enum frame_type type; /* FRAME_NONE: not known, to be passed over */
	uint8_t flags;
	uint16_t slot;
	struct slice body;
};

enum frame_answer {
	FRAME_MORE = 0, /* more must come first */
	FRAME_DONE,     /* `*used` bytes were it */
	FRAME_BAD,      /* `*why` says what is wrong; nothing that follows can be read */
};

/* `lane` is that of the connection. */
MUST_CHECK enum frame_answer frame_read(struct slice bytes, enum frame_lane lane,
                                        struct frame *frame, size_t *used, const char **why);

void frame_append(struct buf *out, enum frame_type type, uint16_t slot, struct slice body);
/* The head alone, of a body that is appended next. */
void frame_head_append(struct buf *out, enum frame_type type, uint16_t slot, size_t body_len);

enum frame_lane frame_lane_of(enum frame_type type);
const char *frame_name(enum frame_type type);
