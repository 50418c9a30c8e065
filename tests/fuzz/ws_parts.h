/*
 * ws_parts.h - what a reader of frames makes of bytes that come in parts.
 *
 * The first byte is the size of the parts, the rest what the other side says: whatever the parts,
 * the reader gives the same answers.
 */
#pragma once

#include <stdlib.h>

#include "base/check.h"
#include "wire/ws_frame.h"

#define MESSAGE_BYTES_MAX 300

/* The target's: one reader, that of a server or of a client. */
struct ws_side {
	enum ws_result (*read)(char *bytes, size_t len, size_t *used, struct ws_message *message);
	void (*look)(enum ws_result result, const struct ws_message *message);
	bool (*is_at_rest)(void);
	void (*free)(void);
	bool keeps_bytes; /* what was read lies there as it came */
};

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

static void answer_append(struct buf *answers, enum ws_result result,
                          const struct ws_message *message)
{
	uint64_t head[] = {result, message->close_code, message->payload.len};
	buf_append(answers, head, sizeof(head));
	buf_slice(answers, message->payload);
}

/* False: a fault. */
static bool part_feed(const struct ws_side *side, struct slice part, struct buf *answers)
{
	char *bytes = malloc(part.len);
	CHECK(bytes != NULL);
	memcpy(bytes, part.at, part.len);
	enum ws_result result = WS_MORE;
	for (size_t at = 0, used; at < part.len && result != WS_BAD; at += used) {
		struct ws_message message;
		result = side->read(bytes + at, part.len - at, &used, &message);
		CHECK(used > 0);
		CHECK(used <= part.len - at);
		if (result != WS_MORE) {
			message_check(result, &message);
			side->look(result, &message);
			answer_append(answers, result, &message);
		}
	}
	CHECK(!side->keeps_bytes || memcmp(bytes, part.at, part.len) == 0);
	free(bytes);
	return result != WS_BAD;
}

static struct buf input_feed(const struct ws_side *side, struct slice input, size_t step)
{
	struct buf answers = {0};
	bool is_good = true;
	while (is_good && input.len > 0) {
		struct slice part = slice_of(input.at, input.len < step ? input.len : step);
		is_good = part_feed(side, part, &answers);
		if (side->is_at_rest())
			side->free();
		input = slice_after(input, part.len);
	}
	buf_char(&answers, !is_good ? 'b' : side->is_at_rest() ? 'r' : 'm');
	side->free();
	return answers;
}

static void parts_check(const struct ws_side *side, const uint8_t *data, size_t size)
{
	if (size < 2)
		return;
	struct slice input = slice_of((const char *)data + 1, size - 1);
	struct buf whole = input_feed(side, input, input.len);
	struct buf parts = input_feed(side, input, data[0] > 0 ? data[0] : 256);
	struct buf bytes = input_feed(side, input, 1);
	CHECK(slice_equals(buf_view(&whole), buf_view(&parts)));
	CHECK(slice_equals(buf_view(&whole), buf_view(&bytes)));
	buf_free(&whole);
	buf_free(&parts);
	buf_free(&bytes);
}
