/*
 * slot_wire.h - the bodies of the frames about slots.
 *
 * Each frame is about one slot, the one in its head: so it goes to that slot's worker, however many
 * workers either side has.
 *
 * Threads:   pure; any thread.
 * Ownership: what is read looks at the body it was read from.
 * Limits:    those of slot.h, checked by the readers: a set has no member twice, an entry's home is
 *            in its set, a counter is no larger than SLOT_COUNTER_MAX.
 */
#pragma once

#include "base/buf.h"
#include "mesh/slot_log.h"

#define SLOT_PROPOSALS_MAX 16u
#define SLOT_ITEM_OVERHEAD 28u   /* of an entry in APPEND, beside its bytes */
#define SLOT_FRAME_OVERHEAD 256u /* more than any body needs beside one entry, or one chunk */

struct slot_proposal {
	struct slot_term term;
	struct slot_set set;
};

/* I mean to be home in `term`, with these replicas, after the entry of term `base` of that stream.
 */
struct wire_seal {
	struct slot_term term, base, stream;
	struct slot_set set;
};

/* I shall accept nothing below `term` any more; and this is what I have. */
struct wire_sealed {
	struct slot_term term;
	struct slot_entry entry;
	bool is_whole; /* holds a log, up to `last`, as it was accepted in term `accepted` */
	bool has_lost; /* has forgotten what it may have acknowledged */
	struct slot_term accepted, stream;
	struct slot_mark last;
	unsigned count;
	struct slot_proposal proposals[SLOT_PROPOSALS_MAX]; /* since the entry */
};

/* I have promised a higher term than `term`, or know a newer entry. */
struct wire_refused {
	struct slot_term term, promised;
	struct slot_entry entry;
};

/* The log of this term begins as it is at `start`; it has come to `last`, all up to `commit` holds.
 */
struct wire_install {
	struct slot_entry entry;
	struct slot_mark start;
	uint64_t last, commit;
	bool is_active; /* a majority has it: the entry holds */
};

struct wire_append {
	struct slot_term term; /* in which it is sent */
	struct slot_term stream;
	struct slot_mark previous; /* what stands before the first entry */
	uint64_t last, commit;     /* as in wire_install */
	uint32_t count;
	struct slice entries;
};

struct wire_item {
	struct slot_term term;
	struct slice bytes;
};

/* I hold the log of `term` up to `lsn`. */
struct wire_holds {
	struct slot_term term;
	uint64_t lsn;
};

/* Send me what comes from `from` on; or chunk `chunk` of the state as it was at `snapshot`. */
struct wire_need {
	struct slot_term term;   /* in which the answer is to be sent */
	struct slot_term stream; /* of what the asker has; none */
	uint64_t from, snapshot;
	uint32_t chunk;
};

struct wire_state {
	struct slot_term term, stream;
	struct slot_mark at; /* what it is the state at */
	uint32_t chunk, count;
	struct slice bytes;
};

struct wire_fork {
	struct slot_term stream; /* the one that has lost */
	uint64_t key;            /* of this sending of it */
	uint32_t chunk, count;
	struct slice bytes;
};

struct wire_fork_ok {
	struct slot_term stream;
	uint64_t key;
	uint32_t chunk;
};

void wire_term_write(struct buf *out, const struct slot_term *term);
void wire_entry_write(struct buf *out, const struct slot_entry *entry);
void wire_seal_write(struct buf *out, const struct wire_seal *seal);
void wire_sealed_write(struct buf *out, const struct wire_sealed *sealed);
void wire_refused_write(struct buf *out, const struct wire_refused *refused);
void wire_install_write(struct buf *out, const struct wire_install *install);
/* Without its entries; `count` of them follow by wire_item_write(). */
void wire_append_write(struct buf *out, const struct wire_append *append);
void wire_item_write(struct buf *out, const struct wire_item *item);
void wire_holds_write(struct buf *out, const struct wire_holds *holds);
void wire_need_write(struct buf *out, const struct wire_need *need);
void wire_state_write(struct buf *out, const struct wire_state *state);
void wire_fork_write(struct buf *out, const struct wire_fork *fork);
void wire_fork_ok_write(struct buf *out, const struct wire_fork_ok *ok);

/* False: it is malformed. */
MUST_CHECK bool wire_term_read(struct slice body, struct slot_term *term); /* MAP_DIGEST */
MUST_CHECK bool wire_entry_read(struct slice body, struct slot_entry *entry);
MUST_CHECK bool wire_seal_read(struct slice body, struct wire_seal *seal);
MUST_CHECK bool wire_sealed_read(struct slice body, struct wire_sealed *sealed);
MUST_CHECK bool wire_refused_read(struct slice body, struct wire_refused *refused);
MUST_CHECK bool wire_install_read(struct slice body, struct wire_install *install);
MUST_CHECK bool wire_append_read(struct slice body, struct wire_append *append);
bool wire_item_next(struct wire_append *append, struct wire_item *item); /* false: that was all */
MUST_CHECK bool wire_holds_read(struct slice body, struct wire_holds *holds);
MUST_CHECK bool wire_need_read(struct slice body, struct wire_need *need);
MUST_CHECK bool wire_state_read(struct slice body, struct wire_state *state);
MUST_CHECK bool wire_fork_read(struct slice body, struct wire_fork *fork);
MUST_CHECK bool wire_fork_ok_read(struct slice body, struct wire_fork_ok *ok);
