/*
 * A frame that is whole in the input, and a message by itself, is handed out where it lies.
 * Everything else is gathered in the reader's buf. Control frames may come between the
 * fragments of a message: their bytes are put behind the message's, and cut off again.
 */
#include "wire/ws_frame.h"

#include "base/check.h"

#define WS_BIT_FIN 0x80
#define WS_BITS_RESERVED 0x70
#define WS_BITS_OPCODE 0x0f
#define WS_BIT_CONTROL 0x08
#define WS_BIT_MASKED 0x80
#define WS_BITS_LEN 0x7f
#define WS_LEN_16 126
#define WS_LEN_64 127
#define WS_MASK_LEN 4
#define WS_CLOSE_CODE_LEN 2
#define WS_CLOSE_REASON_MAX (WS_CONTROL_MAX - WS_CLOSE_CODE_LEN)

_Static_assert(sizeof(struct ws_reader) <= 96, "a connection in the middle of a frame has one");

struct ws_input {
	char *at;
	size_t len;
};

static uint64_t big_endian(const char *bytes, size_t count)
{
	uint64_t value = 0;
	for (size_t i = 0; i < count; i++)
		value = value << 8 | (unsigned char)bytes[i];
	return value;
}

static void big_endian_put(char *out, uint64_t value, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = (char)(value >> 8 * (count - 1 - i) & 0xff);
}

static enum ws_result reader_fail(struct ws_reader *reader, struct ws_message *out, uint16_t code,
                                  struct slice reason)
{
	reader->is_failed = true;
	*out = (struct ws_message){.payload = reason, .close_code = code};
	return WS_BAD;
}

static uint8_t head_opcode(const struct ws_reader *reader)
{
	return (uint8_t)(reader->head[0] & WS_BITS_OPCODE);
}

static bool head_is_control(const struct ws_reader *reader)
{
	return (reader->head[0] & WS_BIT_CONTROL) != 0;
}

static bool head_is_final(const struct ws_reader *reader)
{
	return (reader->head[0] & WS_BIT_FIN) != 0;
}

static bool opcode_is_known(uint8_t opcode)
{
	return opcode <= WS_OPCODE_BINARY ||
	       (opcode >= WS_OPCODE_CLOSE && opcode <= WS_OPCODE_PONG);
}

static struct slice first_byte_fault(const struct ws_reader *reader)
{
	uint8_t opcode = head_opcode(reader);
	if ((reader->head[0] & WS_BITS_RESERVED) != 0)
		return SLICE("a reserved bit is set");
	if (!opcode_is_known(opcode))
		return SLICE("unknown opcode");
	if (head_is_control(reader))
		return head_is_final(reader) ? SLICE("") : SLICE("a control frame in fragments");
	if (opcode == WS_OPCODE_CONTINUATION && reader->message_opcode == 0)
		return SLICE("a continuation of nothing");
	if (opcode != WS_OPCODE_CONTINUATION && reader->message_opcode != 0)
		return SLICE("a new message inside another");
	return SLICE("");
}

static struct slice second_byte_fault(const struct ws_reader *reader)
{
	if ((reader->head[1] & WS_BIT_MASKED) == 0)
		return SLICE("a frame without a mask");
	if (head_is_control(reader) && (reader->head[1] & WS_BITS_LEN) > WS_CONTROL_MAX)
		return SLICE("a control frame over 125 bytes");
	return SLICE("");
}

static struct slice length_fault(uint8_t len_7, uint64_t payload_len)
{
	if (len_7 == WS_LEN_16 && payload_len < WS_LEN_16)
		return SLICE("a length longer than it need be");
	if (len_7 == WS_LEN_64 && payload_len <= UINT16_MAX)
		return SLICE("a length longer than it need be");
	if (payload_len > INT64_MAX)
		return SLICE("a length with its top bit set");
	return SLICE("");
}

/* How many bytes the length takes behind the second one. */
static size_t head_len_more(const struct ws_reader *reader)
{
	uint8_t len_7 = reader->head[1] & WS_BITS_LEN;
	return len_7 == WS_LEN_64 ? 8 : len_7 == WS_LEN_16 ? 2 : 0;
}

/* Takes head bytes until there are `want` in all; false: the input has not got them. */
static bool head_fill(struct ws_reader *reader, struct ws_input *input, size_t want)
{
	CHECK(want <= WS_HEAD_MAX);
	CHECK(reader->head_len <= want);
	size_t count = want - reader->head_len;
	if (count > input->len)
		count = input->len;
	memcpy(reader->head + reader->head_len, input->at, count);
	reader->head_len = (uint8_t)(reader->head_len + count);
	input->at += count;
	input->len -= count;
	return reader->head_len == want;
}

/* The head is whole: what does it announce? */
static enum ws_result frame_begin(struct ws_reader *reader, size_t message_bytes_max,
                                  struct ws_message *out)
{
	uint8_t len_7 = reader->head[1] & WS_BITS_LEN;
	size_t more = head_len_more(reader);
	uint64_t payload_len = more > 0 ? big_endian(reader->head + 2, more) : len_7;
	struct slice fault = length_fault(len_7, payload_len);
	if (fault.len > 0)
		return reader_fail(reader, out, WS_CLOSE_PROTOCOL, fault);

	if (!head_is_control(reader)) {
		if (reader->buf.len + payload_len > message_bytes_max)
			return reader_fail(reader, out, WS_CLOSE_TOO_LARGE, SLICE("too_large"));
		if (reader->message_opcode == 0)
			reader->message_opcode = head_opcode(reader);
	}
	reader->payload_len = payload_len;
	reader->payload_got = 0;
	reader->is_in_frame = true;
	return WS_MORE;
}

static enum ws_result reader_take_head(struct ws_reader *reader, struct ws_input *input,
                                       size_t message_bytes_max, struct ws_message *out)
{
	struct slice fault = SLICE("");
	if (reader->head_len == 0 && head_fill(reader, input, 1))
		fault = first_byte_fault(reader);
	if (fault.len == 0 && reader->head_len == 1 && head_fill(reader, input, 2))
		fault = second_byte_fault(reader);
	if (fault.len > 0)
		return reader_fail(reader, out, WS_CLOSE_PROTOCOL, fault);
	if (reader->head_len < 2)
		return WS_MORE;
	if (!head_fill(reader, input, 2 + head_len_more(reader) + WS_MASK_LEN))
		return WS_MORE;
	return frame_begin(reader, message_bytes_max, out);
}

/* `place` is where in the payload the bytes are: it tells where in the mask to begin. */
static void bytes_unmask(char *bytes, size_t len, const char mask[WS_MASK_LEN], uint64_t place)
{
	char key[sizeof(uint64_t)];
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = mask[(place + i) % WS_MASK_LEN];
	uint64_t key_word, word;
	memcpy(&key_word, key, sizeof(key_word));

	size_t i = 0;
	for (; len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		word ^= key_word;
		memcpy(bytes + i, &word, sizeof(word));
	}
	for (; i < len; i++)
		bytes[i] = (char)(bytes[i] ^ key[i % sizeof(key)]);
}

bool ws_close_code_is_valid(uint16_t code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

static enum ws_result close_end(struct ws_reader *reader, struct slice payload,
                                struct ws_message *out)
{
	*out = (struct ws_message){.close_code = WS_CLOSE_NONE};
	if (payload.len == 0)
		return WS_CLOSE;
	if (payload.len < WS_CLOSE_CODE_LEN)
		return reader_fail(reader, out, WS_CLOSE_PROTOCOL, SLICE("half a close code"));
	out->close_code = (uint16_t)big_endian(payload.at, WS_CLOSE_CODE_LEN);
	out->payload = slice_after(payload, WS_CLOSE_CODE_LEN);
	if (!ws_close_code_is_valid(out->close_code))
		return reader_fail(reader, out, WS_CLOSE_PROTOCOL, SLICE("not a close code"));
	if (!utf8_is_valid(out->payload))
		return reader_fail(reader, out, WS_CLOSE_NOT_TEXT, SLICE("reason is not UTF-8"));
	return WS_CLOSE;
}

static enum ws_result control_end(struct ws_reader *reader, struct slice payload,
                                  struct ws_message *out)
{
	uint8_t opcode = head_opcode(reader);
	if (opcode == WS_OPCODE_CLOSE)
		return close_end(reader, payload, out);
	CHECK(opcode == WS_OPCODE_PING || opcode == WS_OPCODE_PONG);
	*out = (struct ws_message){.payload = payload};
	return opcode == WS_OPCODE_PING ? WS_PING : WS_PONG;
}

static enum ws_result message_end(struct ws_reader *reader, struct slice payload,
                                  struct ws_message *out)
{
	enum ws_result result = reader->message_opcode == WS_OPCODE_TEXT ? WS_TEXT : WS_BINARY;
	reader->message_opcode = 0;
	if (!utf8_is_whole(&reader->utf8))
		return reader_fail(reader, out, WS_CLOSE_NOT_TEXT, SLICE("text is not UTF-8"));
	*out = (struct ws_message){.payload = payload};
	return result;
}

/*
 * All of the frame has come. `direct` is its payload when that lies in the input; otherwise
 * it is the end of buf. What is cut off there keeps its bytes until the next call.
 */
static enum ws_result frame_end(struct ws_reader *reader, struct slice direct,
                                struct ws_message *out)
{
	reader->is_in_frame = false;
	reader->head_len = 0;

	struct slice gathered = buf_view(&reader->buf);
	if (head_is_control(reader)) {
		if (direct.at != NULL)
			return control_end(reader, direct, out);
		CHECK(gathered.len >= reader->payload_len);
		size_t message_len = gathered.len - (size_t)reader->payload_len;
		buf_cut_to(&reader->buf, message_len);
		return control_end(reader, slice_after(gathered, message_len), out);
	}
	if (!head_is_final(reader))
		return WS_MORE;
	buf_cut_to(&reader->buf, 0);
	return message_end(reader, direct.at != NULL ? direct : gathered, out);
}

/* Nothing of the message is in buf, and nothing has to be. */
static bool frame_is_direct(const struct ws_reader *reader, size_t input_len)
{
	return head_is_final(reader) && head_opcode(reader) != WS_OPCODE_CONTINUATION &&
	       reader->payload_got == 0 && input_len >= reader->payload_len;
}

static enum ws_result reader_take_payload(struct ws_reader *reader, struct ws_input *input,
                                          struct ws_message *out)
{
	CHECK(reader->payload_got <= reader->payload_len);
	bool is_direct = frame_is_direct(reader, input->len);
	uint64_t left = reader->payload_len - reader->payload_got;
	struct slice part = slice_of(input->at, left < input->len ? (size_t)left : input->len);
	const char *mask = reader->head + reader->head_len - WS_MASK_LEN;
	bytes_unmask(input->at, part.len, mask, reader->payload_got);
	input->at += part.len;
	input->len -= part.len;
	reader->payload_got += part.len;

	bool is_text = !head_is_control(reader) && reader->message_opcode == WS_OPCODE_TEXT;
	if (is_text && utf8_check(&reader->utf8, part.at, part.len) < part.len)
		return reader_fail(reader, out, WS_CLOSE_NOT_TEXT, SLICE("text is not UTF-8"));
	if (is_direct)
		return frame_end(reader, part, out);
	buf_slice(&reader->buf, part);
	if (reader->buf.is_broken)
		return reader_fail(reader, out, WS_CLOSE_FAILED, SLICE("out of memory"));
	if (reader->payload_got < reader->payload_len)
		return WS_MORE;
	return frame_end(reader, slice_of(NULL, 0), out);
}

enum ws_result ws_read(struct ws_reader *reader, char *bytes, size_t len, size_t message_bytes_max,
                       size_t *used, struct ws_message *out)
{
	CHECK(!reader->is_failed);
	CHECK(bytes != NULL);
	struct ws_input input = {bytes, len};
	enum ws_result result = WS_MORE;
	do {
		if (!reader->is_in_frame)
			result = reader_take_head(reader, &input, message_bytes_max, out);
		if (reader->is_in_frame)
			result = reader_take_payload(reader, &input, out);
	} while (result == WS_MORE && input.len > 0);
	*used = len - input.len;
	CHECK(result != WS_MORE || *used == len);
	return result;
}

bool ws_reader_is_at_rest(const struct ws_reader *reader)
{
	return reader->head_len == 0 && reader->message_opcode == 0 && !reader->is_failed;
}

void ws_reader_free(struct ws_reader *reader)
{
	buf_free(&reader->buf);
	*reader = (struct ws_reader){0};
}

size_t ws_head(char out[WS_SERVER_HEAD_MAX], enum ws_opcode opcode, uint64_t payload_len)
{
	CHECK(opcode_is_known((uint8_t)opcode));
	CHECK(payload_len <= INT64_MAX);
	CHECK(payload_len <= WS_CONTROL_MAX || (opcode & WS_BIT_CONTROL) == 0);
	out[0] = (char)(WS_BIT_FIN | opcode);
	if (payload_len < WS_LEN_16) {
		out[1] = (char)payload_len;
		return 2;
	}
	size_t more = payload_len <= UINT16_MAX ? 2 : 8;
	out[1] = more == 2 ? WS_LEN_16 : WS_LEN_64;
	big_endian_put(out + 2, payload_len, more);
	return 2 + more;
}

static struct slice reason_cut(struct slice reason)
{
	if (reason.len <= WS_CLOSE_REASON_MAX)
		return reason;
	size_t len = WS_CLOSE_REASON_MAX;
	while (len > 0 && (reason.at[len] & 0xc0) == 0x80)
		len--;
	return slice_of(reason.at, len);
}

void ws_close_append(struct buf *out, uint16_t code, struct slice reason)
{
	CHECK(code == WS_CLOSE_NONE || ws_close_code_is_valid(code));
	char bytes[WS_SERVER_HEAD_MAX + WS_CLOSE_CODE_LEN];
	if (code == WS_CLOSE_NONE) {
		buf_append(out, bytes, ws_head(bytes, WS_OPCODE_CLOSE, 0));
		return;
	}
	reason = reason_cut(reason);
	size_t len = ws_head(bytes, WS_OPCODE_CLOSE, WS_CLOSE_CODE_LEN + reason.len);
	big_endian_put(bytes + len, code, WS_CLOSE_CODE_LEN);
	buf_append(out, bytes, len + WS_CLOSE_CODE_LEN);
	buf_slice(out, reason);
}
