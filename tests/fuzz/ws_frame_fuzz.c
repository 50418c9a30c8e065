/* What a client says to a server: see ws_parts.h. */
#include "ws_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ws_reader reader;

static enum ws_result read_some(char *bytes, size_t len, size_t *used, struct ws_message *message)
{
	enum ws_result result = ws_read(&reader, bytes, len, MESSAGE_BYTES_MAX, used, message);
	CHECK(reader.buf.len <= MESSAGE_BYTES_MAX + WS_CONTROL_MAX);
	return result;
}

static void look(enum ws_result result, const struct ws_message *message)
{
	if (result == WS_CLOSE && message->close_code != WS_CLOSE_NONE)
		CHECK(ws_close_code_is_valid(message->close_code));
}

static bool is_at_rest(void)
{
	return ws_reader_is_at_rest(&reader);
}

static void forget(void)
{
	ws_reader_free(&reader);
	reader = (struct ws_reader){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ws_side server = {read_some, look, is_at_rest, forget, false};
	parts_check(&server, data, size);
	return 0;
}
