/*
 * A server's frame is a client's whose mask was left out. So it goes through the same reader,
 * which is given a mask of zeros where the head ends: there is one place that knows what a
 * frame may be. Heads are passed on byte by byte, so that a fault is told with the first byte
 * that is wrong; payload is passed on as it lies.
 */
#include "wire/ws_client.h"

#include "base/check.h"

#define HEAD_SHORT 2
#define BIT_MASKED 0x80
#define BITS_LEN 0x7f
#define LEN_16 126
#define LEN_64 127

static enum ws_result reader_fail(struct ws_client_reader *reader, struct ws_message *out)
{
	*out = (struct ws_message){.payload = SLICE("a server's frame with a mask"),
	                           .close_code = WS_CLOSE_PROTOCOL};
	reader->is_failed = true;
	return WS_BAD;
}

/* How long the head is, by its second byte. */
static size_t head_len_of(const struct ws_client_reader *reader)
{
	int len_7 = reader->head[1] & BITS_LEN;
	return HEAD_SHORT + (len_7 == LEN_64 ? 8u : len_7 == LEN_16 ? 2u : 0u);
}

static uint64_t head_payload_len(const struct ws_client_reader *reader)
{
	if (reader->head_len == HEAD_SHORT)
		return reader->head[1] & BITS_LEN;
	uint64_t len = 0;
	for (size_t i = HEAD_SHORT; i < reader->head_len; i++)
		len = len << 8 | (unsigned char)reader->head[i];
	return len;
}

static enum ws_result pass_on(struct ws_client_reader *reader, char *bytes, size_t len,
                              size_t message_bytes_max, struct ws_message *out)
{
	size_t used;
	enum ws_result result = ws_read(&reader->frames, bytes, len, message_bytes_max, &used, out);
	reader->is_failed = result == WS_BAD;
	CHECK(reader->is_failed || used == len); /* never beyond one frame */
	return result;
}

static enum ws_result take_head_byte(struct ws_client_reader *reader, char byte,
                                     size_t message_bytes_max, struct ws_message *out)
{
	CHECK(reader->payload_left == 0);
	CHECK(reader->head_len < WS_SERVER_HEAD_MAX);
	reader->head[reader->head_len++] = byte;
	if (reader->head_len == HEAD_SHORT) {
		if ((byte & BIT_MASKED) != 0)
			return reader_fail(reader, out);
		byte = (char)(byte | BIT_MASKED);
	}
	enum ws_result result = pass_on(reader, &byte, 1, message_bytes_max, out);
	CHECK(result == WS_MORE || result == WS_BAD);
	if (result == WS_BAD || reader->head_len < HEAD_SHORT ||
	    reader->head_len < head_len_of(reader))
		return result;

	/* Where the mask lies while an empty payload looks at its end. */
	reader->payload_left = head_payload_len(reader);
	reader->head_len = 0;
	memset(reader->head, 0, WS_MASK_BYTES);
	return pass_on(reader, reader->head, WS_MASK_BYTES, message_bytes_max, out);
}

enum ws_result ws_client_read(struct ws_client_reader *reader, char *bytes, size_t len,
                              size_t message_bytes_max, size_t *used, struct ws_message *out)
{
	CHECK(!reader->is_failed);
	enum ws_result result = WS_MORE;
	*used = 0;
	while (result == WS_MORE && *used < len) {
		if (reader->payload_left == 0) {
			result = take_head_byte(reader, bytes[*used], message_bytes_max, out);
			*used += 1;
			continue;
		}
		size_t part = len - *used;
		if (part > reader->payload_left)
			part = (size_t)reader->payload_left;
		reader->payload_left -= part;
		result = pass_on(reader, bytes + *used, part, message_bytes_max, out);
		*used += part;
	}
	return result;
}

bool ws_client_reader_is_at_rest(const struct ws_client_reader *reader)
{
	CHECK(reader->payload_left == 0 || reader->head_len == 0);
	return reader->head_len == 0 && !reader->is_failed && ws_reader_is_at_rest(&reader->frames);
}

void ws_client_reader_free(struct ws_client_reader *reader)
{
	ws_reader_free(&reader->frames);
	*reader = (struct ws_client_reader){0};
}

void ws_client_append(struct buf *out, enum ws_opcode opcode, struct slice payload,
                      const char mask[WS_MASK_BYTES])
{
	char head[WS_SERVER_HEAD_MAX];
	size_t head_len = ws_head(head, opcode, payload.len);
	CHECK(head_len >= HEAD_SHORT);
	head[1] = (char)(head[1] | BIT_MASKED);
	buf_append(out, head, head_len);
	buf_append(out, mask, WS_MASK_BYTES);

	char *room = buf_room(out, payload.len);
	if (room == NULL)
		return;
	for (size_t i = 0; i < payload.len; i++)
		room[i] = (char)(payload.at[i] ^ mask[i % WS_MASK_BYTES]);
	buf_grew(out, payload.len);
}

void ws_client_close_append(struct buf *out, uint16_t code, struct slice reason,
                            const char mask[WS_MASK_BYTES])
{
	struct buf plain = {0};
	ws_close_append(&plain, code, reason);
	if (plain.is_broken)
		out->is_broken = true;
	else
		ws_client_append(out, WS_OPCODE_CLOSE, slice_after(buf_view(&plain), HEAD_SHORT),
		                 mask);
	buf_free(&plain);
}
