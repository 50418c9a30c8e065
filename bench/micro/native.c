/*
 * dialect/native: a client's commands read from their JSON, and a record made, put in words for
 * WebSocket and SSE, and dropped.
 */
#include "base/hash.h"
#include "dialect/native.h"
#include "micro.h"

static void read_command(void *argument, uint64_t operations)
{
	static struct dialect_reader reader;
	const struct slice *message = argument;
	for (uint64_t i = 0; i < operations; i++) {
		struct hub_command command;
		struct dialect_fault fault;
		dialect_begin(&reader, *message, false);
		CHECK(native.read(&reader, &command, &fault) == DIALECT_COMMAND);
		CHECK(native.read(&reader, &command, &fault) == DIALECT_END);
		micro_use(command.channel.len);
	}
}

static void encode(void *argument, uint64_t operations)
{
	static const struct hash_key key = {{1, 2}};
	const struct dialect_encoding *encoding = argument;
	struct publication publication = {
		.channel = SLICE("trades"),
		.payload =
			SLICE("{\"symbol\":\"ABC\",\"price\":101.25,\"size\":300,\"side\":\"buy\","
	                      "\"flags\":[true,false,null],\"note\":\"as large as most are\"}"),
	};
	for (uint64_t i = 0; i < operations; i++) {
		struct record *record =
			record_make(&publication, hash_bytes(&key, publication.channel));
		CHECK(record != NULL);
		record_settle(record, 0x123456789a, i + 1, 1700000000000 + i, i * 100);
		const struct blob *wire = record_wire(record, encoding->wire, encoding->encode);
		CHECK(wire != NULL);
		micro_use(wire->len);
		record_drop(record);
	}
}

static void acknowledge(void *argument, uint64_t operations)
{
	struct buf *out = argument;
	for (uint64_t i = 0; i < operations; i++) {
		struct hub_event event = {
			.type = EVENT_ACK, .ref = SLICE("17"), .epoch = 0x123456789a, .seq = i + 1};
		buf_clear(out);
		native.write(out, &event);
		CHECK(!out->is_broken);
	}
}

int main(int argc, char **argv)
{
	struct slice subscribe = SLICE("{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"trades\"}");
	struct slice publish =
		SLICE("{\"type\":\"publish\",\"ref\":3,\"channel\":\"trades\",\"data\":{\"symbol\":"
	              "\"ABC\",\"price\":101.25,\"size\":300,\"side\":\"buy\"}}");
	struct dialect_encoding websocket = native.websocket, sse = native_sse_json;
	struct buf out = {0};
	micro_begin(argc, argv);
	micro_measure("native.read_subscribe", read_command, &subscribe);
	micro_measure("native.read_publish", read_command, &publish);
	micro_measure("native.write_ack", acknowledge, &out);
	micro_measure("record.make_and_encode_websocket", encode, &websocket);
	micro_measure("record.make_and_encode_sse", encode, &sse);
	buf_free(&out);
	return micro_end();
}
