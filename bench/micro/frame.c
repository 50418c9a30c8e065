/*
 * wire/ws_frame: a client's masked text frames, unmasked where they lie and checked as UTF-8.
 * Each is copied into place first, because reading it changes it; that copy is in the figure.
 */
#include "base/check.h"
#include "micro.h"
#include "wire/ws_client.h"

#define MESSAGE_BYTES_MAX 65536

struct frames {
	struct buf wire;
	char *copy;
	size_t messages;
};

static void read_frames(void *argument, uint64_t operations)
{
	const struct frames *frames = argument;
	struct ws_reader reader = {0};
	struct ws_message message;
	for (uint64_t i = 0; i < operations; i += frames->messages) {
		size_t at = 0, used;
		memcpy(frames->copy, frames->wire.at, frames->wire.len);
		while (at < frames->wire.len) {
			enum ws_result result =
				ws_read(&reader, frames->copy + at, frames->wire.len - at,
			                MESSAGE_BYTES_MAX, &used, &message);
			CHECK(result == WS_TEXT);
			at += used;
		}
		micro_use(message.payload.len);
	}
	ws_reader_free(&reader);
}

static void measure(const char *name, size_t payload_len, size_t messages)
{
	static const char mask[WS_MASK_BYTES] = {0x37, 0x7a, 0x21, 0x3d};
	char payload[16384];
	struct frames frames = {.messages = messages};
	CHECK(payload_len <= sizeof(payload));
	memset(payload, 'a', sizeof(payload));
	for (size_t i = 0; i < messages; i++)
		ws_client_append(&frames.wire, WS_OPCODE_TEXT, slice_of(payload, payload_len),
		                 mask);
	frames.copy = malloc(frames.wire.len);
	CHECK(frames.copy != NULL && !frames.wire.is_broken);
	micro_measure(name, read_frames, &frames);
	free(frames.copy);
	buf_free(&frames.wire);
}

int main(int argc, char **argv)
{
	micro_begin(argc, argv);
	measure("frame.64_bytes", 64, 1);
	measure("frame.64_bytes_in_16s", 64, 16);
	measure("frame.1_kib", 1024, 1);
	measure("frame.16_kib", 16384, 1);
	return micro_end();
}
