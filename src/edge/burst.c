#include "edge/burst.h"

#include "base/check.h"

void burst_bytes_free(struct burst_bytes *burst)
{
	buf_free(&burst->bytes);
	burst->number = 0;
}

/* Each record's own frame, where it lies. */
static bool point_at_frames(struct burst_bytes *burst, const struct delivery *delivery,
                            const struct dialect_encoding *encoding)
{
	for (size_t i = 0; i < delivery->count; i++) {
		const struct blob *frame =
			record_wire(delivery->records[i], encoding->wire, encoding->encode);
		if (frame == NULL)
			return false;
		burst->parts[i] = (struct iovec){(void *)(uintptr_t)frame->bytes, frame->len};
		burst->frames[i] = frame;
	}
	return true;
}

/* Copies what the parts point at. Without memory for that they stay what they are. */
static void make_whole(struct burst_bytes *burst, size_t count)
{
	buf_clear(&burst->bytes);
	for (size_t i = 0; i < count; i++)
		buf_append(&burst->bytes, burst->parts[i].iov_base, burst->parts[i].iov_len);
	if (burst->bytes.is_broken)
		return;
	char *at = burst->bytes.at;
	for (size_t i = 0; i < count; i++) {
		burst->parts[i].iov_base = at;
		at += burst->parts[i].iov_len;
	}
	burst->is_whole = true;
}

bool burst_prepare(struct burst_bytes *burst, const struct delivery *delivery,
                   const struct dialect_encoding *encoding)
{
	CHECK(delivery->count <= WALK_RECORDS_MAX);
	bool is_again = delivery->burst != 0 && delivery->burst == burst->number &&
	                encoding->wire == burst->wire;
	if (is_again) {
		if (!burst->is_whole)
			make_whole(burst, delivery->count);
		return true;
	}
	burst->number = 0;
	burst->is_whole = delivery->count == 1;
	if (!point_at_frames(burst, delivery, encoding))
		return false;
	burst->number = delivery->burst;
	burst->wire = encoding->wire;
	return true;
}
