/*
 * relay_wire.h - what hubs of two nodes say to each other, and entries of slots' logs, as bytes.
 *
 * Little endian, strings behind their length (mesh/pack.h). Which fields a letter or an entry has
 * goes by its kind: a table in relay_wire.c.
 *
 * A record names the session that is to be left out by a number that is good on one node alone.
 * So each node writes it together with its mark, by exclusive or: see record_mark().
 *
 * Threads:   pure; any thread.
 * Ownership: a letter or entry that was read holds references on its records, until
 *            relay_mail_free() or relay_entry_free(); its name looks at the bytes.
 * Limits:    every length is checked, names of channels belong to the slot, sequence numbers are
 *            below RELAY_SEQ_MAX. What is wrong is refused whole.
 */
#pragma once

#include "base/hash.h"
#include "hub/far.h"
#include "mesh/frame.h"
#include "mesh/pack.h"

#define RELAY_SEQ_MAX (1ull << 62) /* a sequence number plus one is one too */

struct relay_codec {
	struct hash_key hash_key; /* of names, on this node */
	uint64_t mark;            /* record_mark() of this node */
};

enum relay_answer {
	RELAY_DONE = 0,
	RELAY_BAD, /* it is malformed */
	RELAY_NO_MEMORY,
};

/* The type of the frame that carries such a letter, and back; false: it carries none. */
enum frame_type relay_frame_type(enum far_kind kind);
MUST_CHECK bool relay_kind(enum frame_type type, enum far_kind *kind);

void relay_write(const struct relay_codec *codec, struct buf *out, const struct far_mail *mail);
MUST_CHECK enum relay_answer relay_read(const struct relay_codec *codec, enum far_kind kind,
                                        uint16_t slot, struct slice body, struct far_mail *mail);
void relay_mail_free(struct far_mail *mail);

void relay_write_entry(const struct relay_codec *codec, struct buf *out,
                       const struct hub_entry *entry);
/* The next one of several. */
MUST_CHECK enum relay_answer relay_read_entry(const struct relay_codec *codec, uint16_t slot,
                                              struct unpack *in, struct hub_entry *entry);
void relay_entry_free(struct hub_entry *entry);
