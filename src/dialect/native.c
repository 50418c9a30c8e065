#include "dialect/native.h"

#include "starling/limits.h"
#include "wire/json.h"
#include "wire/sse_event.h"
#include "wire/utf8.h"
#include "wire/ws_frame.h"

/* ---- reading: one JSON object, one command; `resume` one for each channel ---- */

enum field {
	FIELD_TYPE = 0,
	FIELD_REF,
	FIELD_CHANNEL,
	FIELD_SINCE,
	FIELD_LIMIT,
	FIELD_CHANNELS,
	FIELD_DATA,
	FIELD_EVENT,
	FIELD_KEY,
	FIELD_IDEMPOTENCY_KEY,
	FIELD_ECHO,
	FIELD_TOKEN,
	FIELD_PRESENCE,
	FIELD_COUNT,
};

static const char *const field_names[FIELD_COUNT] = {
	[FIELD_TYPE] = "type",         [FIELD_REF] = "ref",
	[FIELD_CHANNEL] = "channel",   [FIELD_SINCE] = "since",
	[FIELD_LIMIT] = "limit",       [FIELD_CHANNELS] = "channels",
	[FIELD_DATA] = "data",         [FIELD_EVENT] = "event",
	[FIELD_KEY] = "key",           [FIELD_IDEMPOTENCY_KEY] = "idempotency_key",
	[FIELD_ECHO] = "echo",         [FIELD_TOKEN] = "token",
	[FIELD_PRESENCE] = "presence",
};

enum step {
	STEP_MESSAGE = 0,
	STEP_CHANNELS, /* within the `channels` of a resume */
	STEP_END,
};

struct reading {
	struct dialect_reader *reader;
	struct hub_command *command;
	struct dialect_fault *fault;
	struct json_field fields[FIELD_COUNT];
};

static enum dialect_result refuse(struct reading *r, const char *message)
{
	*r->fault = (struct dialect_fault){
		.ref = r->reader->ref, .error = ERROR_BAD_REQUEST, .message = message};
	return DIALECT_FAULT;
}

static struct json_value field(const struct reading *r, enum field which)
{
	return r->fields[which].value;
}

/* A string field, decoded into the scratch. `*out` is empty when the field is absent. */
static bool read_string(struct reading *r, enum field which, size_t len_max, struct slice *out)
{
	struct json_value value = field(r, which);
	*out = slice_of(NULL, 0);
	if (value.kind == JSON_NONE)
		return true;
	struct buf *scratch = &r->reader->scratch;
	size_t before = scratch->len;
	if (value.kind != JSON_STRING || !json_string_decode(value.raw, scratch))
		return false;
	*out = buf_since(scratch, before);
	return out->len <= len_max;
}

/* What is decoded must not move while a command looks at it: decoding never lengthens. */
static bool reserve_scratch(struct dialect_reader *reader)
{
	return buf_room(&reader->scratch, reader->rest.len + 1) != NULL;
}

static bool read_cursor(struct reading *r, struct json_value value)
{
	struct buf *scratch = &r->reader->scratch;
	size_t before = scratch->len;
	if (value.kind != JSON_STRING || !json_string_decode(value.raw, scratch))
		return false;
	r->command->has_since = true;
	return cursor_parse(buf_since(scratch, before), &r->command->since);
}

static bool read_channel(struct reading *r)
{
	return field(r, FIELD_CHANNEL).kind == JSON_STRING &&
	       read_string(r, FIELD_CHANNEL, SIZE_MAX, &r->command->channel);
}

/* True or false; absent is false. */
static bool is_bool(enum json_kind kind)
{
	return kind == JSON_NONE || kind == JSON_TRUE || kind == JSON_FALSE;
}

static enum dialect_result read_subscribe(struct reading *r)
{
	r->command->type = COMMAND_SUBSCRIBE;
	if (!read_channel(r))
		return refuse(r, "subscribe needs a channel, a string");
	struct json_value since = field(r, FIELD_SINCE);
	if (since.kind != JSON_NONE && !read_cursor(r, since))
		return refuse(r, "since is not a cursor");
	enum json_kind presence = field(r, FIELD_PRESENCE).kind;
	if (!is_bool(presence))
		return refuse(r, "presence is neither true nor false");
	r->command->wants_presence = presence == JSON_TRUE;
	return DIALECT_COMMAND;
}

static enum dialect_result read_presence(struct reading *r)
{
	r->command->type = COMMAND_PRESENCE;
	if (!read_channel(r))
		return refuse(r, "presence needs a channel, a string");
	return DIALECT_COMMAND;
}

static enum dialect_result read_unsubscribe(struct reading *r)
{
	r->command->type = COMMAND_UNSUBSCRIBE;
	if (!read_channel(r))
		return refuse(r, "unsubscribe needs a channel, a string");
	return DIALECT_COMMAND;
}

static enum dialect_result read_publish(struct reading *r)
{
	struct publication *publication = &r->command->publication;
	r->command->type = COMMAND_PUBLISH;
	if (!read_channel(r))
		return refuse(r, "publish needs a channel, a string");
	if (field(r, FIELD_DATA).kind == JSON_NONE)
		return refuse(r, "publish needs data");
	publication->payload = field(r, FIELD_DATA).raw;
	if (!read_string(r, FIELD_EVENT, EVENT_NAME_MAX, &publication->event) ||
	    !sse_event_name_is_valid(publication->event))
		return refuse(r, "event is not a string of at most 255 bytes on one line");
	if (!read_string(r, FIELD_KEY, MESSAGE_KEY_MAX, &publication->key))
		return refuse(r, "key is not a string of at most 255 bytes");
	if (!read_string(r, FIELD_IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_MAX,
	                 &publication->idempotency_key))
		return refuse(r, "idempotency_key is not a string of at most 255 bytes");
	enum json_kind echo = field(r, FIELD_ECHO).kind;
	if (!is_bool(echo))
		return refuse(r, "echo is neither true nor false");
	r->command->is_unechoed = echo == JSON_FALSE;
	return DIALECT_COMMAND;
}

static enum dialect_result read_history(struct reading *r)
{
	r->command->type = COMMAND_HISTORY;
	if (!read_channel(r))
		return refuse(r, "history needs a channel, a string");
	struct json_value since = field(r, FIELD_SINCE);
	if (since.kind != JSON_NONE && !read_cursor(r, since))
		return refuse(r, "since is not a cursor");
	struct json_value limit = field(r, FIELD_LIMIT);
	r->command->has_limit = limit.kind != JSON_NONE;
	if (r->command->has_limit && !json_to_u64(limit, &r->command->limit))
		return refuse(r, "limit is not a whole number");
	return DIALECT_COMMAND;
}

/* Each channel is answered by itself, good or bad. */
static enum dialect_result read_resumed_channel(struct reading *r)
{
	struct slice key;
	struct json_value value;
	if (!json_next_member(&r->reader->rest, &key, &value)) {
		r->reader->step = STEP_END;
		return DIALECT_END;
	}
	struct buf *scratch = &r->reader->scratch;
	size_t before = scratch->len;
	r->command->type = COMMAND_SUBSCRIBE;
	if (!json_string_decode(key, scratch))
		return refuse(r, "a channel name is not text");
	r->command->channel = buf_since(scratch, before);
	if (!read_cursor(r, value)) {
		refuse(r, "a value in channels is not a cursor");
		r->fault->channel = r->command->channel;
		return DIALECT_FAULT;
	}
	return DIALECT_COMMAND;
}

static enum dialect_result read_resume(struct reading *r)
{
	struct json_value channels = field(r, FIELD_CHANNELS);
	if (channels.kind != JSON_OBJECT)
		return refuse(r, "resume needs channels, an object of cursors by channel");
	r->reader->rest = json_open(channels);
	r->reader->step = STEP_CHANNELS;
	return read_resumed_channel(r);
}

static enum dialect_result read_auth(struct reading *r)
{
	r->command->type = COMMAND_AUTH;
	if (field(r, FIELD_TOKEN).kind != JSON_STRING ||
	    !read_string(r, FIELD_TOKEN, SIZE_MAX, &r->command->token))
		return refuse(r, "auth needs a token, a string");
	return DIALECT_COMMAND;
}

static enum dialect_result read_ping(struct reading *r)
{
	r->command->type = COMMAND_PING;
	return DIALECT_COMMAND;
}

static const struct {
	const char *type;
	enum dialect_result (*read)(struct reading *reading);
} types[] = {
	{"\"publish\"", read_publish}, {"\"subscribe\"", read_subscribe},
	{"\"ping\"", read_ping},       {"\"unsubscribe\"", read_unsubscribe},
	{"\"history\"", read_history}, {"\"resume\"", read_resume},
	{"\"auth\"", read_auth},       {"\"presence\"", read_presence},
};

static enum dialect_result read_typed(struct reading *r)
{
	struct slice type = field(r, FIELD_TYPE).raw;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		if (slice_is(type, types[i].type))
			return types[i].read(r);
	}
	/* Written with escapes it may still be one of them. */
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		struct slice name = slice_of(types[i].type + 1, strlen(types[i].type) - 2);
		if (json_string_equals(type, name))
			return types[i].read(r);
	}
	return refuse(r, "type is not one of subscribe, unsubscribe, publish, resume, history, "
	                 "presence, auth and ping");
}

static enum dialect_result read_message(struct reading *r)
{
	for (int i = 0; i < FIELD_COUNT; i++)
		r->fields[i].name = field_names[i];
	size_t bad_at;
	struct slice text = r->reader->rest;
	if (!json_read_object(text, MESSAGE_DEPTH_MAX, r->fields, FIELD_COUNT, &bad_at))
		return refuse(r, "the message is not a JSON object, or is nested too deep");

	struct json_value ref = field(r, FIELD_REF);
	if (ref.kind == JSON_STRING || ref.kind == JSON_NUMBER) {
		if (ref.raw.len > REF_MAX)
			return refuse(r, "ref is too long");
		r->reader->ref = ref.raw;
	} else if (ref.kind != JSON_NONE) {
		return refuse(r, "ref is neither a number nor a string");
	}
	r->command->ref = r->reader->ref;
	if (!reserve_scratch(r->reader)) {
		*r->fault = (struct dialect_fault){.ref = r->reader->ref,
		                                   .error = ERROR_UNAVAILABLE,
		                                   .message = "the server is out of memory"};
		return DIALECT_FAULT;
	}
	if (field(r, FIELD_TYPE).kind != JSON_STRING)
		return refuse(r, "type is missing, or not a string");
	return read_typed(r);
}

/* ---- reading: one binary message, one publication ---- */

#define BINARY_VERSION 0x01

/* Unsigned LEB128; at most 5 bytes, which is more than any length here needs. */
static bool read_varint(struct slice *rest, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 35 && rest->len > 0; shift += 7) {
		unsigned char byte = (unsigned char)rest->at[0];
		*rest = slice_after(*rest, 1);
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

/* A length, and so many bytes. */
static bool read_counted(struct slice *rest, struct slice *out)
{
	uint64_t len;
	if (!read_varint(rest, &len) || len > rest->len)
		return false;
	*out = slice_of(rest->at, len);
	*rest = slice_after(*rest, len);
	return true;
}

static enum dialect_result read_binary(struct reading *r)
{
	struct slice rest = r->reader->rest, id;
	if (rest.len == 0 || rest.at[0] != BINARY_VERSION)
		return refuse(r, "a binary message begins with the byte 1");
	rest = slice_after(rest, 1);
	if (!read_counted(&rest, &r->command->channel) || !read_counted(&rest, &id))
		return refuse(r, "a binary message is 1, channel, id and payload, the first two "
		                 "with their lengths before them");
	if (id.len != 0)
		return refuse(r, "the id of a publication is the server's to give");
	r->command->type = COMMAND_PUBLISH;
	r->command->is_unanswered = true;
	r->command->publication.payload = rest;
	r->command->publication.is_binary = true;
	return DIALECT_COMMAND;
}

static enum dialect_result native_read(struct dialect_reader *reader, struct hub_command *command,
                                       struct dialect_fault *fault)
{
	struct reading r = {.reader = reader, .command = command, .fault = fault};
	*command = (struct hub_command){.ref = reader->ref};
	*fault = (struct dialect_fault){0};
	if (reader->step == STEP_END)
		return DIALECT_END;
	if (reader->step == STEP_CHANNELS)
		return read_resumed_channel(&r);
	reader->step = STEP_END;
	return reader->is_binary ? read_binary(&r) : read_message(&r);
}

/* ---- publications ---- */

/* ,"name":"text" unless the text is empty */
static void write_optional(struct buf *out, const char *name, struct slice text)
{
	if (text.len == 0)
		return;
	buf_string(out, ",\"");
	buf_string(out, name);
	buf_string(out, "\":");
	json_string_append(out, text);
}

void native_cursor(struct buf *out, uint64_t epoch, uint64_t seq)
{
	char text[CURSOR_TEXT_MAX];
	buf_char(out, '"');
	buf_append(out, text, cursor_write(text, epoch, seq));
	buf_char(out, '"');
}

static void write_data(struct buf *out, const struct record *record)
{
	struct slice payload = record_payload(record);
	if (!record->is_binary) {
		buf_slice(out, payload);
		return;
	}
	buf_string(out, "{\"base64\":\"");
	size_t len = text_base64_len(payload.len);
	char *room = buf_room(out, len);
	if (room != NULL)
		buf_grew(out, text_from_base64(room, payload.at, payload.len));
	buf_string(out, "\"}");
}

static void write_message(struct buf *out, const struct record *record)
{
	buf_string(out, "{\"type\":\"message\",\"channel\":");
	json_string_append(out, record_channel(record));
	buf_string(out, ",\"id\":");
	native_cursor(out, record->epoch, record->seq);
	buf_string(out, ",\"data\":");
	write_data(out, record);
	buf_string(out, ",\"ts\":");
	buf_u64(out, record->unix_ms);
	write_optional(out, "event", record_event(record));
	write_optional(out, "user", record_user(record));
	write_optional(out, "key", record_key(record));
	write_optional(out, "idempotency_key", record_idempotency_key(record));
	buf_char(out, '}');
}

/* Takes the bytes of `made` into a blob, and frees it. */
static struct blob *blob_from(struct buf *made)
{
	struct blob *blob = made->is_broken ? NULL : blob_copy(buf_view(made));
	buf_free(made);
	return blob;
}

static void write_counted(struct buf *out, const char *bytes, size_t len)
{
	CHECK(len < 1u << 14);
	if (len >= 0x80)
		buf_char(out, (char)((len & 0x7f) | 0x80));
	buf_char(out, (char)(len >= 0x80 ? len >> 7 : len));
	buf_append(out, bytes, len);
}

static void write_binary(struct buf *out, const struct record *record)
{
	struct slice channel = record_channel(record);
	char id[CURSOR_TEXT_MAX];
	buf_char(out, BINARY_VERSION);
	write_counted(out, channel.at, channel.len);
	write_counted(out, id, cursor_write(id, record->epoch, record->seq));
	buf_slice(out, record_payload(record));
}

static struct blob *encode_websocket(const struct record *record)
{
	/* The head comes first and says how long the rest is: room for it is left in front. */
	char gap[WS_SERVER_HEAD_MAX] = {0};
	struct buf made = {0};
	buf_append(&made, gap, sizeof(gap));
	if (record->is_binary)
		write_binary(&made, record);
	else
		write_message(&made, record);
	if (!made.is_broken) {
		char head[WS_SERVER_HEAD_MAX];
		enum ws_opcode opcode = record->is_binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT;
		size_t len = ws_head(head, opcode, made.len - sizeof(gap));
		buf_use(&made, sizeof(gap) - len);
		memcpy(made.at, head, len);
	}
	return blob_from(&made);
}

/* The object inside the frame that encode_websocket() made. */
static struct slice object_in(const struct blob *frame)
{
	struct slice bytes = blob_view(frame);
	struct slice object = slice_after(bytes, 2);
	if (bytes.at[1] >= 126)
		object = slice_after(object, bytes.at[1] == 126 ? 2 : 8);
	CHECK(object.at[0] == '{');
	return object;
}

bool native_message(struct buf *out, struct record *record)
{
	if (record->is_binary) {
		write_message(out, record);
		return !out->is_broken;
	}
	const struct blob *frame = record_wire(record, WIRE_NATIVE, encode_websocket);
	if (frame == NULL)
		return false;
	buf_slice(out, object_in(frame));
	return !out->is_broken;
}

static struct blob *encode_sse_json(const struct record *record)
{
	struct buf data = {0}, made = {0};
	write_data(&data, record);
	sse_event_append(&made, record_event(record), buf_view(&data));
	made.is_broken |= data.is_broken;
	buf_free(&data);
	return blob_from(&made);
}

void native_text(struct buf *out, struct slice json)
{
	bool is_string = json.len > 0 && json.at[0] == '"';
	/* A string with half a surrogate pair is no text; it stays JSON. */
	if (!is_string || !json_string_decode(json, out))
		buf_slice(out, json);
}

static struct blob *encode_sse_text(const struct record *record)
{
	struct buf text = {0}, made = {0};
	if (record->is_binary)
		write_data(&text, record);
	else
		native_text(&text, record_payload(record));
	sse_event_append(&made, record_event(record), buf_view(&text));
	made.is_broken |= text.is_broken;
	buf_free(&text);
	return blob_from(&made);
}

static struct blob *encode_sse_full(const struct record *record)
{
	struct buf object = {0}, made = {0};
	write_message(&object, record);
	sse_event_append(&made, record_event(record), buf_view(&object));
	made.is_broken |= object.is_broken;
	buf_free(&object);
	return blob_from(&made);
}

const struct dialect_encoding native_sse_json = {WIRE_SSE_JSON, encode_sse_json};
const struct dialect_encoding native_sse_text = {WIRE_SSE_TEXT, encode_sse_text};
const struct dialect_encoding native_sse_full = {WIRE_SSE_FULL, encode_sse_full};

/* ---- everything else that is said ---- */

static void write_ref(struct buf *out, struct slice ref)
{
	if (ref.len == 0)
		return;
	buf_string(out, ",\"ref\":");
	buf_slice(out, ref);
}

static void write_channel(struct buf *out, struct slice channel)
{
	write_optional(out, "channel", channel);
}

static void write_cursor(struct buf *out, const char *name, const struct hub_event *event)
{
	buf_string(out, name);
	native_cursor(out, event->epoch, event->seq);
}

static void write_bool(struct buf *out, const char *name, bool value)
{
	buf_string(out, name);
	buf_string(out, value ? "true" : "false");
}

static void write_messages(struct buf *out, const struct hub_event *event)
{
	buf_string(out, "\"messages\":[");
	for (size_t i = 0; i < event->record_count; i++) {
		if (i > 0)
			buf_char(out, ',');
		if (!native_message(out, event->records[i]))
			out->is_broken = true;
	}
	write_cursor(out, "],\"cursor\":", event);
	write_bool(out, ",\"more\":", event->has_more);
}

static void write_welcome(struct buf *out, const struct hub_event *event)
{
	write_optional(out, "connection", event->connection);
	write_optional(out, "node", event->node);
	write_optional(out, "user", event->user);
	buf_string(out, ",\"heartbeat\":");
	buf_u64(out, event->heartbeat_s);
}

static void write_direct(struct buf *out, const struct hub_event *event)
{
	buf_string(out, ",\"data\":");
	buf_slice(out, event->data);
}

static void write_gap(struct buf *out, const struct hub_event *event)
{
	write_channel(out, event->channel);
	write_cursor(out, ",\"cursor\":", event);
}

static void write_reconnect(struct buf *out, const struct hub_event *event)
{
	buf_string(out, ",\"after\":");
	buf_u64(out, event->after_ms);
}

static void write_subscribed(struct buf *out, const struct hub_event *event)
{
	write_channel(out, event->channel);
	write_cursor(out, ",\"cursor\":", event);
	if (event->has_recovered)
		write_bool(out, ",\"recovered\":", event->is_recovered);
}

static void write_unsubscribed(struct buf *out, const struct hub_event *event)
{
	write_channel(out, event->channel);
	if (event->reason != NULL)
		write_optional(out, "reason", slice_string(event->reason));
}

static void write_ack(struct buf *out, const struct hub_event *event)
{
	if (event->epoch == 0)
		return;
	write_cursor(out, ",\"id\":", event);
	write_bool(out, ",\"duplicate\":", event->is_duplicate);
}

static void write_history(struct buf *out, const struct hub_event *event)
{
	write_channel(out, event->channel);
	buf_char(out, ',');
	write_messages(out, event);
}

static void write_info(struct buf *out, struct slice info)
{
	if (info.len == 0)
		return;
	buf_string(out, ",\"info\":");
	buf_slice(out, info);
}

void native_member(struct buf *out, struct slice user, uint64_t connections, struct slice info)
{
	buf_string(out, "{\"user\":");
	json_string_append(out, user);
	buf_string(out, ",\"connections\":");
	buf_u64(out, connections);
	write_info(out, info);
	buf_char(out, '}');
}

static void write_presence(struct buf *out, const struct hub_event *event)
{
	const struct turnout *turnout = event->turnout;
	bool lacks_one = turnout->has_names && event->user.len > 0;
	write_channel(out, event->channel);
	buf_string(out, ",\"count\":");
	buf_u64(out, turnout->occupant_count + lacks_one);
	if (!turnout->has_names)
		return;
	buf_string(out, ",\"members\":[");
	for (uint32_t i = 0; i < turnout->count; i++) {
		const struct turnout_entry *entry = &turnout->entries[i];
		if (i > 0)
			buf_char(out, ',');
		native_member(out, turnout_user(entry), entry->connections,
		              occupant_info(entry->info));
	}
	if (lacks_one && turnout->count > 0)
		buf_char(out, ',');
	if (lacks_one)
		native_member(out, event->user, 1, event->data);
	buf_char(out, ']');
}

static void write_joined(struct buf *out, const struct hub_event *event)
{
	write_channel(out, event->channel);
	write_optional(out, "user", event->user);
	write_info(out, event->data);
}

static void write_left(struct buf *out, const struct hub_event *event)
{
	write_channel(out, event->channel);
	write_optional(out, "user", event->user);
}

static void write_pong(struct buf *out, const struct hub_event *event)
{
	(void)out;
	(void)event;
}

/* Names that are no channel names may hold any bytes, so they are not repeated. */
static void write_error(struct buf *out, const struct hub_event *event)
{
	if (event->channel.len <= CHANNEL_NAME_MAX && utf8_is_valid(event->channel))
		write_channel(out, event->channel);
	buf_string(out, ",\"code\":\"");
	buf_string(out, error_text(event->error));
	buf_string(out, "\",\"message\":");
	json_string_append(out, slice_string(event->message));
}

static void native_write(struct buf *out, const struct hub_event *event)
{
	static const struct {
		const char *type;
		void (*write)(struct buf *out, const struct hub_event *event);
	} words[] = {
		[EVENT_WELCOME] = {"welcome", write_welcome},
		[EVENT_SUBSCRIBED] = {"subscribed", write_subscribed},
		[EVENT_UNSUBSCRIBED] = {"unsubscribed", write_unsubscribed},
		[EVENT_ACK] = {"ack", write_ack},
		[EVENT_HISTORY] = {"history", write_history},
		[EVENT_PONG] = {"pong", write_pong},
		[EVENT_DIRECT] = {"message", write_direct},
		[EVENT_GAP] = {"gap", write_gap},
		[EVENT_RECONNECT] = {"reconnect", write_reconnect},
		[EVENT_ERROR] = {"error", write_error},
		[EVENT_PRESENCE] = {"presence", write_presence},
		[EVENT_JOINED] = {"joined", write_joined},
		[EVENT_LEFT] = {"left", write_left},
	};
	CHECK(event->type < COUNT_OF(words));
	buf_string(out, "{\"type\":\"");
	buf_string(out, words[event->type].type);
	buf_char(out, '"');
	write_ref(out, event->ref);
	words[event->type].write(out, event);
	buf_char(out, '}');
}

const struct dialect native = {
	.name = "starling.v1",
	.read = native_read,
	.write = native_write,
	.websocket = {WIRE_NATIVE, encode_websocket},
};

/* ---- answers over HTTP ---- */

void native_error(struct buf *out, enum error_code error, const char *message)
{
	buf_string(out, "{\"error\":{\"code\":\"");
	buf_string(out, error_text(error));
	buf_string(out, "\",\"message\":");
	json_string_append(out, slice_string(message));
	buf_string(out, "}}");
}

void native_ack(struct buf *out, const struct hub_event *event)
{
	write_cursor(out, "{\"id\":", event);
	write_bool(out, ",\"duplicate\":", event->is_duplicate);
	buf_char(out, '}');
}

void native_history(struct buf *out, const struct hub_event *event)
{
	buf_string(out, "{\"channel\":");
	json_string_append(out, event->channel);
	buf_char(out, ',');
	write_messages(out, event);
	buf_char(out, '}');
}
