/*
 * Any bytes as a letter of the relay, or as entries of a slot: they are read or refused, never
 * beyond their end, and what was read is as long when it is written. The first byte says which kind
 * of letter, or that they are entries.
 */
#include "base/check.h"
#include "node/relay_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct relay_codec codec = {.hash_key = {{1, 2}}, .mark = 77};

static void read_letter(enum far_kind kind, struct slice body)
{
	struct far_mail mail;
	struct buf again = {0};
	uint16_t slot = hub_slot_of(SLICE("chat:1"));
	if (relay_read(&codec, kind, slot, body, &mail) != RELAY_DONE)
		return;
	relay_write(&codec, &again, &mail);
	CHECK(again.len == body.len);
	relay_mail_free(&mail);
	buf_free(&again);
}

static void read_entries(struct slice body)
{
	struct unpack in = {.rest = body};
	struct hub_entry entry;
	struct buf again = {0};
	while (relay_read_entry(&codec, hub_slot_of(SLICE("chat:1")), &in, &entry) == RELAY_DONE) {
		relay_write_entry(&codec, &again, &entry);
		CHECK(again.len == (size_t)(in.rest.at - body.at));
		relay_entry_free(&entry);
	}
	buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct slice body = slice_of((const char *)data + 1, size - 1);
	if (data[0] < FAR_KINDS)
		read_letter((enum far_kind)data[0], body);
	else
		read_entries(body);
	return 0;
}
