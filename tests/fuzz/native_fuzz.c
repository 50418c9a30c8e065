/*
 * Any message, text when its first byte is even, else binary: what it asks for is in bounds and
 * is the same from another place in memory, nothing moves while it is read, and a publication
 * goes out as JSON that says what came in.
 */
#include <stdlib.h>

#include "base/blob.h"
#include "base/check.h"
#include "dialect/native.h"
#include "hub/rule.h"
#include "starling/limits.h"
#include "wire/json.h"
#include "wire/sse_event.h"
#include "wire/utf8.h"

#define COMMANDS_MAX 64 /* of one message, that are kept to be looked at again */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *copy_of(struct slice bytes)
{
	char *copy = malloc(bytes.len > 0 ? bytes.len : 1);
	CHECK(copy != NULL);
	if (bytes.len > 0)
		memcpy(copy, bytes.at, bytes.len);
	return copy;
}

/* What is to be the same in each reading, put in a row. */
static void command_tell(struct buf *out, const struct hub_command *command)
{
	const struct publication *p = &command->publication;
	const struct slice slices[] = {command->ref, command->channel,   p->payload,    p->event,
	                               p->key,       p->idempotency_key, command->token};
	buf_format(out, "%d %llu %llu %d%d%d%d%d %llu", (int)command->type,
	           (unsigned long long)command->since.epoch, (unsigned long long)command->since.seq,
	           command->since.is_start, command->has_since, command->is_unechoed,
	           command->has_limit, p->is_binary, (unsigned long long)command->limit);
	for (size_t i = 0; i < COUNT_OF(slices); i++) {
		buf_format(out, " %zu ", slices[i].len);
		buf_slice(out, slices[i]);
	}
}

static void ref_check(struct slice ref)
{
	struct json_value value;
	size_t bad_at;
	CHECK(ref.len <= REF_MAX);
	if (ref.len == 0)
		return;
	CHECK(json_check(ref, 0, &value, &bad_at));
	CHECK(value.kind == JSON_STRING || value.kind == JSON_NUMBER);
}

static void command_check(const struct hub_command *command)
{
	const struct publication *p = &command->publication;
	ref_check(command->ref);
	CHECK(p->event.len <= EVENT_NAME_MAX);
	CHECK(p->key.len <= MESSAGE_KEY_MAX);
	CHECK(p->idempotency_key.len <= IDEMPOTENCY_KEY_MAX);
	CHECK(sse_event_name_is_valid(p->event));
	CHECK(utf8_is_valid(p->event));
	CHECK(utf8_is_valid(p->key));
	CHECK(utf8_is_valid(p->idempotency_key));
	CHECK(p->is_binary || utf8_is_valid(command->channel));
	CHECK(p->payload.len == 0 || command->type == COMMAND_PUBLISH);
	CHECK(command->token.len == 0 || command->type == COMMAND_AUTH);
	CHECK(utf8_is_valid(command->token));
	if (command->type == COMMAND_PUBLISH && !p->is_binary) {
		struct json_value value;
		size_t bad_at;
		CHECK(json_check(p->payload, MESSAGE_DEPTH_MAX - 1, &value, &bad_at));
	}
}

/* ---- what goes out ---- */

/* As a string in the object; absent when it is empty. */
static bool field_is(struct json_value value, struct slice text)
{
	return text.len == 0 ? value.kind == JSON_NONE
	                     : value.kind == JSON_STRING && json_string_equals(value.raw, text);
}

static void object_check(struct slice object, const struct publication *p)
{
	struct json_field fields[] = {{.name = "type"}, {.name = "channel"},
	                              {.name = "data"}, {.name = "event"},
	                              {.name = "key"},  {.name = "idempotency_key"}};
	size_t bad_at;
	CHECK(json_read_object(object, MESSAGE_DEPTH_MAX, fields, COUNT_OF(fields), &bad_at));
	CHECK(field_is(fields[0].value, SLICE("message")));
	CHECK(field_is(fields[1].value, p->channel));
	CHECK(p->is_binary || slice_equals(fields[2].value.raw, p->payload));
	CHECK(field_is(fields[3].value, p->event));
	CHECK(field_is(fields[4].value, p->key));
	CHECK(field_is(fields[5].value, p->idempotency_key));
}

static void publication_check(const struct hub_command *command)
{
	static const struct dialect_encoding *const encodings[] = {
		&native.websocket, &native_sse_json, &native_sse_text, &native_sse_full};
	struct publication publication = command->publication;
	publication.channel = command->channel;
	struct record *record = record_make(&publication, 0);
	CHECK(record != NULL);
	record_settle(record, 1, 1, 1, 0);
	struct buf object = {0};
	CHECK(native_message(&object, record));
	object_check(buf_view(&object), &publication);
	for (size_t i = 0; i < COUNT_OF(encodings); i++) {
		const struct blob *blob =
			record_wire(record, encodings[i]->wire, encodings[i]->encode);
		CHECK(blob != NULL);
		CHECK(blob->len > 0);
		CHECK(i == 0 || blob->bytes[blob->len - 1] == '\n');
	}
	buf_free(&object);
	record_drop(record);
}

/* ---- what comes in ---- */

static void fault_check(const struct dialect_fault *fault)
{
	struct buf out = {0};
	struct hub_event event = {.type = EVENT_ERROR,
	                          .ref = fault->ref,
	                          .channel = fault->channel,
	                          .error = fault->error,
	                          .message = fault->message};
	struct json_value value;
	size_t bad_at;
	ref_check(fault->ref);
	CHECK(fault->error == ERROR_BAD_REQUEST);
	native.write(&out, &event);
	CHECK(json_check(buf_view(&out), 1, &value, &bad_at));
	buf_free(&out);
}

/* All commands of a message. The first ones are told again at the end: they have not moved. */
static void message_read(struct buf *out, struct slice message, bool is_binary)
{
	struct dialect_reader reader = {0};
	struct hub_command kept[COMMANDS_MAX], command;
	struct dialect_fault fault;
	struct buf again = {0};
	enum dialect_result result;
	size_t count = 0, asked = 0;
	dialect_begin(&reader, message, is_binary);
	while ((result = native.read(&reader, &command, &fault)) != DIALECT_END) {
		CHECK(++asked <= message.len + 1);
		if (result == DIALECT_FAULT) {
			fault_check(&fault);
			continue;
		}
		command_check(&command);
		if (count == COMMANDS_MAX)
			continue;
		kept[count++] = command;
		command_tell(out, &command);
		if (command.type == COMMAND_PUBLISH && channel_name_is_valid(command.channel))
			publication_check(&command);
	}
	for (size_t i = 0; i < count; i++)
		command_tell(&again, &kept[i]);
	CHECK(slice_equals(buf_view(out), buf_view(&again)));
	buf_free(&again);
	buf_free(&reader.scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct slice message = slice_after(slice_of((const char *)data, size), 1);
	bool is_binary = data[0] % 2 == 1;
	struct buf first = {0}, second = {0};
	char *copy = copy_of(message);
	message_read(&first, slice_of(copy, message.len), is_binary);
	message_read(&second, message, is_binary);
	CHECK(slice_equals(buf_view(&first), buf_view(&second)));
	buf_free(&first);
	buf_free(&second);
	free(copy);
	return 0;
}
