/*
 * proxy_header_fuzz.c - what a connection may begin with behind a proxy.
 *
 * Checked beyond crashes: however it is cut the answer is the same, and comes by the byte that
 * settles it; a line that was taken, written anew from what was found, says the same again.
 */
#include <stdint.h>

#include "base/buf.h"
#include "wire/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void done_check(struct slice bytes, const struct proxy_header *header)
{
	CHECK(header->bytes > 0 && header->bytes <= bytes.len);
	CHECK(header->bytes <= PROXY_HEADER_MAX);
	CHECK(header->source.family == ADDRESS_NONE || header->source.family == ADDRESS_V4 ||
	      header->source.family == ADDRESS_V6);
	CHECK(header->source.family != ADDRESS_NONE || header->source_port == 0);
	CHECK(header->why == NULL);
}

static void again_check(const struct proxy_header *header)
{
	char address[ADDRESS_TEXT_MAX];
	struct buf line = {0};
	struct proxy_header again;
	if (address_write(address, &header->source) == 0)
		return;
	buf_format(&line, "PROXY TCP%c %s %s %u 0\r\n",
	           header->source.family == ADDRESS_V4 ? '4' : '6', address, address,
	           header->source_port);
	CHECK(proxy_header_read(buf_view(&line), &again) == PROXY_DONE);
	CHECK(again.bytes == line.len);
	CHECK(address_equals(&again.source, &header->source));
	CHECK(again.source_port == header->source_port);
	buf_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	struct proxy_header header, part;
	enum proxy_result result = proxy_header_read(bytes, &header);
	bool is_judged = false;
	for (size_t len = 0; len <= size; len++) {
		char *copy = malloc(len > 0 ? len : 1);
		CHECK(copy != NULL);
		if (len > 0)
			memcpy(copy, data, len);
		enum proxy_result of_part = proxy_header_read(slice_of(copy, len), &part);
		free(copy);
		is_judged |= of_part != PROXY_MORE;
		CHECK(of_part == (is_judged ? result : PROXY_MORE));
		CHECK(of_part != PROXY_DONE || part.bytes == header.bytes);
	}
	CHECK(size < PROXY_HEADER_MAX || result != PROXY_MORE);
	if (result == PROXY_DONE) {
		done_check(bytes, &header);
		again_check(&header);
	}
	return 0;
}
