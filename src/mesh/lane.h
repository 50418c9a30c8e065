/*
 * lane.h - the frames of one connection between two nodes: those that came, and those that wait.
 *
 * What waits on the data lane goes out as far as the other side has given credit: it takes no more
 * than it has said, and says more when half of that is used up. So what lies between the two
 * nodes and in their memory is bounded, and a node that takes nothing is told from a way on which
 * nothing moves. On the control lane there is no credit.
 *
 * Threads:   pure; one at a time.
 * Ownership: a lane owns what waits and what came; a frame that is read looks into it until the
 *            next call. lane_init() gives what lane_free() takes back.
 * Limits:    LANE_WINDOW bytes of credit; what may wait is the caller's to bound (lane_waiting()).
 */
#pragma once

#include "base/blob.h"
#include "mesh/frame.h"

#define LANE_WINDOW (4u << 20) /* more than the largest frame */

struct lane {
	enum frame_lane kind;
	struct buf in;     /* came, and was not read yet */
	size_t in_read;    /* of it: the frame that was read last */
	struct buf out;    /* waits, and needs no credit; goes first */
	struct buf queue;  /* of struct lane_entry: waits for credit */
	size_t queue_from; /* of the first entry: bytes that have gone out */
	size_t queue_bytes;
	uint64_t sent, granted;   /* bytes of frames on credit, since the lane stands */
	uint64_t taken, promised; /* the same of the other direction */
};

void lane_init(struct lane *lane, enum frame_lane kind);
void lane_free(struct lane *lane);

/* False: no memory, and the lane is of no use any more. */
MUST_CHECK bool lane_say(struct lane *lane, enum frame_type type, uint16_t slot, struct slice body);
/* On credit. Takes over the reference, also without success. */
MUST_CHECK bool lane_queue(struct lane *lane, enum frame_type type, uint16_t slot,
                           struct blob *body);
void lane_grant(struct lane *lane, uint64_t granted); /* CREDIT came */

size_t lane_waiting(const struct lane *lane); /* bytes */
bool lane_can_give(const struct lane *lane);  /* some of them may go out now */
/* Up to `max` of them to the end of `out`; how many. 0 where lane_can_give(): no memory. */
size_t lane_give(struct lane *lane, struct buf *out, size_t max);

/* The next frame of those that came: appended to `in`. `used` are its bytes. */
MUST_CHECK enum frame_answer lane_read(struct lane *lane, struct frame *frame, const char **why);
/* The frame that was read last was on credit. True: CREDIT is to be said, with `promised`. */
MUST_CHECK bool lane_taken(struct lane *lane);
bool lane_is_overdrawn(const struct lane *lane); /* the other side sent more than it may */
