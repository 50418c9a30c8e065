/*
 * pen.h - the journal of a thread whose turns must not wait for standard error.
 *
 * Lines are gathered in a turn and go to the scribe as one letter. Where that does not keep up, as
 * whoever reads standard error does not, lines are lost: they are counted, and how many is said
 * once others are written again.
 *
 * Threads:   the thread's own; `lost` is counted in by all.
 * Ownership: office and counter are the node's and outlive it. pen_free() frees what was not sent.
 * Limits:    PEN_BYTES_MAX of lines gathered, and PEN_LETTERS_MAX letters of so many under way.
 */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "net/mailbox.h"
#include "ops/journal.h"

#define PEN_BYTES_MAX (32u * 1024)
#define PEN_LETTERS_MAX 8u /* less than any ring holds: none ever queues up with its sender */

struct pen {
	struct journal journal;
	/* Private. */
	struct journal_out out;
	struct post_office *office;
	uint32_t number, scribe; /* in it */
	struct buf lines;
	_Atomic uint64_t *lost;
	uint64_t lost_here; /* and not said yet */
};

/* What [log] says of the journal is the caller's to set, before and at any time. */
void pen_init(struct pen *pen, struct post_office *office, uint32_t number, uint32_t scribe,
              _Atomic uint64_t *lost);
void pen_free(struct pen *pen);
/* At the end of a turn: what was said goes, with the letters of the turn. */
void pen_flush(struct pen *pen);
