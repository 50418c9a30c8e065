#include "hub/record.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/random.h"
#include "starling/limits.h"

static_assert(sizeof(struct record) <= 96, "a record is its payload and at most 96 bytes");

static char *append(char *at, struct slice slice)
{
	if (slice.len > 0)
		memcpy(at, slice.at, slice.len);
	return at + slice.len;
}

uint64_t record_mark(uint64_t node)
{
	struct random random = {.state = node};
	return random_next(&random);
}

struct record *record_make(const struct publication *p, uint64_t channel_hash)
{
	CHECK(p->channel.len > 0 && p->channel.len <= CHANNEL_NAME_MAX);
	CHECK(p->event.len <= EVENT_NAME_MAX);
	CHECK(p->user.len <= USER_NAME_MAX);
	CHECK(p->key.len <= MESSAGE_KEY_MAX);
	CHECK(p->idempotency_key.len <= IDEMPOTENCY_KEY_MAX);
	CHECK(p->payload.len <= BLOB_BYTES_MAX);

	size_t strings =
		p->channel.len + p->event.len + p->user.len + p->key.len + p->idempotency_key.len;
	struct record *record = calloc(1, sizeof(*record) + strings + p->payload.len);
	if (record == NULL)
		return NULL;
	atomic_init(&record->refs, 1);
	record->payload_len = (uint32_t)p->payload.len;
	record->channel_hash = channel_hash;
	record->except = p->except;
	record->channel_len = (uint8_t)p->channel.len;
	record->event_len = (uint8_t)p->event.len;
	record->user_len = (uint8_t)p->user.len;
	record->key_len = (uint8_t)p->key.len;
	record->idempotency_key_len = (uint8_t)p->idempotency_key.len;
	record->is_binary = p->is_binary;
	record->is_key_hidden = p->is_key_hidden;

	char *at = append(record->bytes, p->channel);
	at = append(at, p->event);
	at = append(at, p->user);
	at = append(at, p->key);
	at = append(at, p->idempotency_key);
	append(at, p->payload);
	return record;
}

void record_settle(struct record *record, uint64_t epoch, uint64_t seq, uint64_t unix_ms,
                   uint64_t offset)
{
	CHECK(record->seq == 0); /* once */
	CHECK(epoch != 0 && seq != 0);
	record->epoch = epoch;
	record->seq = seq;
	record->unix_ms = unix_ms;
	record->offset = offset;
}

void record_unsettle(struct record *record)
{
	CHECK(atomic_load_explicit(&record->refs, memory_order_relaxed) == 1);
	for (unsigned i = 0; i < RECORD_WIRES; i++)
		CHECK(atomic_load_explicit(&record->wires[i], memory_order_relaxed) == NULL);
	record->epoch = record->seq = record->unix_ms = record->offset = 0;
}

struct record *record_take(struct record *record)
{
	uint32_t refs = atomic_fetch_add_explicit(&record->refs, 1, memory_order_relaxed);
	CHECK(refs != 0);
	return record;
}

void record_drop(struct record *record)
{
	/* Release our use of it; the last one acquires that of all others. */
	uint32_t refs = atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel);
	CHECK(refs != 0);
	if (refs > 1)
		return;
	for (unsigned i = 0; i < RECORD_WIRES; i++)
		blob_drop(atomic_load_explicit(&record->wires[i], memory_order_relaxed));
	free(record);
}

const struct blob *record_wire(struct record *record, unsigned wire,
                               struct blob *(*encode)(const struct record *record))
{
	CHECK(wire < RECORD_WIRES);
	CHECK_SLOW(record->seq != 0);
	/* Acquire: pairs with the exchange of the worker that made the bytes. */
	struct blob *made = atomic_load_explicit(&record->wires[wire], memory_order_acquire);
	if (made != NULL)
		return made;

	struct blob *mine = encode(record);
	if (mine == NULL)
		return NULL;
	if (atomic_compare_exchange_strong_explicit(&record->wires[wire], &made, mine,
	                                            memory_order_acq_rel, memory_order_acquire))
		return mine;
	blob_drop(mine); /* another worker was faster */
	return made;
}

uint64_t record_bytes(const struct record *record)
{
	return sizeof(*record) + record->channel_len + record->event_len + record->user_len +
	       record->key_len + record->idempotency_key_len + record->payload_len;
}

struct slice record_channel(const struct record *record)
{
	return slice_of(record->bytes, record->channel_len);
}

struct slice record_event(const struct record *record)
{
	return slice_of(record->bytes + record->channel_len, record->event_len);
}

struct slice record_user(const struct record *record)
{
	struct slice before = record_event(record);
	return slice_of(before.at + before.len, record->user_len);
}

struct slice record_key(const struct record *record)
{
	struct slice before = record_user(record);
	return slice_of(before.at + before.len, record->key_len);
}

struct slice record_once(const struct record *record)
{
	struct slice before = record_key(record);
	return slice_of(before.at + before.len, record->idempotency_key_len);
}

struct slice record_idempotency_key(const struct record *record)
{
	struct slice once = record_once(record);
	return slice_of(once.at, record->is_key_hidden ? 0 : once.len);
}

struct slice record_payload(const struct record *record)
{
	struct slice before = record_once(record);
	return slice_of(before.at + before.len, record->payload_len);
}
