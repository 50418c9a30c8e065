/*
 * burst.h - the frames of a burst in one piece, for all followers that get it.
 *
 * One long part costs the kernel less than many short ones. So when the second follower is to be
 * sent the same records, their frames are copied one behind the other, and from then on
 * each follower of that burst is sent from there. One that is alone pays for no copy.
 *
 * Threads:   the worker's own.
 * Ownership: a burst owns its copy. Parts and frames are good until the next call, and as long as
 *            the records are.
 * Limits:    WALK_RECORDS_MAX records, WALK_BYTES_MAX and one record.
 */
#pragma once

#include <sys/uio.h>

#include "base/buf.h"
#include "dialect/dialect.h"
#include "hub/hub.h"
#include "starling/limits.h"

struct burst_bytes {
	/* private */
	uint64_t number; /* of the burst delivered last */
	unsigned wire;   /* in this encoding */
	bool is_whole;   /* and `parts` are one piece: in `bytes`, or the only frame */
	struct buf bytes;
	struct iovec parts[WALK_RECORDS_MAX];
	const struct blob *frames[WALK_RECORDS_MAX]; /* that the parts are of, or copies of */
};

void burst_bytes_free(struct burst_bytes *burst);

/* `parts` and `frames` have one for each record of the delivery. False: no memory. */
MUST_CHECK bool burst_prepare(struct burst_bytes *burst, const struct delivery *delivery,
                              const struct dialect_encoding *encoding);
