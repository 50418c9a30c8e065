/*
 * record.h - one publication: what was said, and its place in the channel's order.
 *
 * The strings of a record lie behind it in one allocation. Next to them it keeps its
 * encodings: the complete bytes for one (dialect, transport) pair, made when the first
 * follower of that kind is sent the record, and then shared by all on every worker.
 *
 * Threads:   the publisher's worker makes it and hands it to the channel's agent, which alone
 *            calls record_settle(). After that nothing changes but `refs` and `wires`, which
 *            are atomic: any worker reads, takes, drops and encodes.
 * Ownership: counted. Who drops the last reference frees it and its encodings.
 * Limits:    strings up to the *_MAX of limits.h, which the caller has checked; the payload
 *            up to BLOB_BYTES_MAX.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/slice.h"

#define RECORD_WIRES 4 /* encodings a record can hold; the dialects share them out */

/* What a publisher gives. All slices are copied. */
struct publication {
	struct slice channel, event, user, key, idempotency_key;
	struct slice payload; /* JSON text, checked; or bytes when is_binary */
	bool is_binary;
	bool is_key_hidden; /* the idempotency key is not the publisher's: nobody is shown it */
	uint64_t except;    /* the session that is not to get it: see record_mark(); 0: none */
};

struct record {
	_Atomic uint32_t refs;
	uint32_t payload_len;
	uint64_t channel_hash;        /* hub's keyed hash of the channel name */
	uint64_t epoch, seq, unix_ms; /* set by record_settle() */
	uint64_t offset;              /* bytes of the channel's records before this one */
	uint64_t except;              /* as in the publication */
	uint8_t channel_len, event_len, user_len, key_len, idempotency_key_len;
	bool is_binary : 1, is_key_hidden : 1;
	uint16_t settled_us; /* the part of unix_ms below it: for /metrics */
	_Atomic(struct blob *) wires[RECORD_WIRES];
	char bytes[];
};

/* The number of a session is one of its node's. A record names a session of this node by that
 * number, and one of another node by it and the marks of both nodes, by exclusive or; so between
 * nodes it goes by number and mark, and is the number of a session on that session's node alone.
 * `node` is the boot id that is part of ids of connections. */
uint64_t record_mark(uint64_t node);

struct record *record_make(const struct publication *publication, uint64_t channel_hash);
void record_settle(struct record *record, uint64_t epoch, uint64_t seq, uint64_t unix_ms,
                   uint64_t offset);
/* It has no place in the order after all. The caller has the only reference. */
void record_unsettle(struct record *record);
struct record *record_take(struct record *record);
void record_drop(struct record *record);

/* The encoding number `wire`, made by `encode` the first time. NULL: no memory. The record
 * keeps it; it is good while the caller holds the record. */
const struct blob *record_wire(struct record *record, unsigned wire,
                               struct blob *(*encode)(const struct record *record));

uint64_t record_bytes(const struct record *record); /* what it counts for in limits */

struct slice record_channel(const struct record *record);
struct slice record_event(const struct record *record);
struct slice record_user(const struct record *record);
struct slice record_key(const struct record *record);
struct slice record_idempotency_key(const struct record *record); /* as the publisher gave it */
struct slice record_once(const struct record *record);            /* the same, or the hidden one */
struct slice record_payload(const struct record *record);
