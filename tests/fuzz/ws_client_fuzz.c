/*
 * The first byte is the size of the parts, the rest a server's bytes: whatever the parts, the
 * reader gives the same answers. What it took for a message, written as a client's frame, is the
 * same message to a server.
 */
#include "base/check.h"
#include "wire/ws_client.h"

#define MESSAGE_BYTES_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void message_check(enum ws_result result, const struct ws_message *message)
{
	bool has_code = result == WS_CLOSE || result == WS_BAD;
	CHECK((message->close_code != 0) == has_code);
	if (result == WS_TEXT || result == WS_CLOSE || result == WS_BAD)
		CHECK(utf8_is_valid(message->payload));
	if (result == WS_TEXT || result == WS_BINARY)
		CHECK(message->payload.len <= MESSAGE_BYTES_MAX);
	else
		CHECK(message->payload.len <= WS_CONTROL_MAX);
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

static void answer_append(struct buf *answers, enum ws_result result,
                          const struct ws_message *message)
{
	uint64_t head[] = {result, message->close_code, message->payload.len};
	buf_append(answers, head, sizeof(head));
	buf_slice(answers, message->payload);
}

/* False: a fault. */
static bool part_feed(struct ws_client_reader *reader, struct slice part, struct buf *answers)
{
	char *bytes = malloc(part.len);
	CHECK(bytes != NULL);
	memcpy(bytes, part.at, part.len);
	enum ws_result result = WS_MORE;
	for (size_t at = 0, used; at < part.len && result != WS_BAD; at += used) {
		struct ws_message message;
		result = ws_client_read(reader, bytes + at, part.len - at, MESSAGE_BYTES_MAX, &used,
		                        &message);
		CHECK(used > 0);
		CHECK(used <= part.len - at);
		if (result != WS_MORE) {
			message_check(result, &message);
			again_check(result, &message);
			answer_append(answers, result, &message);
		}
	}
	CHECK(memcmp(bytes, part.at, part.len) == 0);
	free(bytes);
	return result != WS_BAD;
}

static struct buf input_feed(struct slice input, size_t step)
{
	struct ws_client_reader reader = {0};
	struct buf answers = {0};
	bool is_good = true;
	while (is_good && input.len > 0) {
		struct slice part = slice_of(input.at, input.len < step ? input.len : step);
		is_good = part_feed(&reader, part, &answers);
		if (ws_client_reader_is_at_rest(&reader))
			ws_client_reader_free(&reader);
		input = slice_after(input, part.len);
	}
	buf_char(&answers, !is_good ? 'b' : ws_client_reader_is_at_rest(&reader) ? 'r' : 'm');
	ws_client_reader_free(&reader);
	return answers;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct slice input = slice_of((const char *)data + 1, size - 1);
	struct buf whole = input_feed(input, input.len);
	struct buf parts = input_feed(input, data[0] > 0 ? data[0] : 256);
	struct buf bytes = input_feed(input, 1);
	CHECK(slice_equals(buf_view(&whole), buf_view(&parts)));
	CHECK(slice_equals(buf_view(&whole), buf_view(&bytes)));
	buf_free(&whole);
	buf_free(&parts);
	buf_free(&bytes);
	return 0;
}
