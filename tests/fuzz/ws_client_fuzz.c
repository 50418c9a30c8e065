/*
 * What a server says to a client: see ws_parts.h. What was taken for a message, written as a
 * client's frame, is the same message to a server.
 */
#include "wire/ws_client.h"

#include "ws_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ws_client_reader reader;

static enum ws_result read_some(char *bytes, size_t len, size_t *used, struct ws_message *message)
{
	return ws_client_read(&reader, bytes, len, MESSAGE_BYTES_MAX, used, message);
}

static void again_check(enum ws_result result, const struct ws_message *message)
{
	static const enum ws_opcode opcodes[] = {
		[WS_TEXT] = WS_OPCODE_TEXT,
		[WS_BINARY] = WS_OPCODE_BINARY,
		[WS_PING] = WS_OPCODE_PING,
		[WS_PONG] = WS_OPCODE_PONG,
	};
	struct buf out = {0};
	struct ws_reader server = {0};
	struct ws_message again;
	size_t used;
	if (result == WS_BAD)
		return;
	if (result == WS_CLOSE)
		ws_client_close_append(&out, message->close_code, message->payload, "mask");
	else
		ws_client_append(&out, opcodes[result], message->payload, "mask");
	CHECK(ws_read(&server, out.at, out.len, MESSAGE_BYTES_MAX, &used, &again) == result);
	CHECK(used == out.len);
	CHECK(slice_equals(again.payload, message->payload));
	CHECK(again.close_code == message->close_code);
	ws_reader_free(&server);
	buf_free(&out);
}

static bool is_at_rest(void)
{
	return ws_client_reader_is_at_rest(&reader);
}

static void forget(void)
{
	ws_client_reader_free(&reader);
	reader = (struct ws_client_reader){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ws_side client = {read_some, again_check, is_at_rest, forget, true};
	parts_check(&client, data, size);
	return 0;
}
