#include "net/outbox.h"

#include <stdlib.h>

#include "base/check.h"

/* Less is copied: a frame would be kept alive for little. */
#define SHARE_BYTES_MIN 1024

struct outbox *outbox_create(void)
{
	return calloc(1, sizeof(struct outbox));
}

void outbox_destroy(struct outbox *outbox)
{
	if (outbox == NULL)
		return;
	buf_free(&outbox->sealed);
	buf_free(&outbox->rest);
	blob_drop(outbox->frame);
	free(outbox);
}

/* ---- what is added ---- */

bool outbox_copy(struct outbox *outbox, struct slice bytes)
{
	buf_slice(&outbox->rest, bytes);
	return !outbox->rest.is_broken;
}

bool outbox_share(struct outbox *outbox, const struct blob *frame, size_t len)
{
	CHECK(len <= frame->len);
	size_t at = frame->len - len;
	if (len < SHARE_BYTES_MIN || outbox->frame != NULL || outbox->rest.len > 0)
		return outbox_copy(outbox, slice_after(blob_view(frame), at));
	outbox->frame = blob_take((struct blob *)(uintptr_t)frame);
	outbox->frame_at = at;
	return true;
}

bool outbox_seal(struct outbox *outbox, struct slice bytes)
{
	buf_slice(&outbox->sealed, bytes);
	return !outbox->sealed.is_broken;
}

/* ---- what is there ---- */

static struct slice frame_left(const struct outbox *outbox)
{
	return outbox->frame == NULL ? slice_of(NULL, 0)
	                             : slice_after(blob_view(outbox->frame), outbox->frame_at);
}

size_t outbox_bytes(const struct outbox *outbox)
{
	return outbox == NULL ? 0 : outbox_own_bytes(outbox) + frame_left(outbox).len;
}

size_t outbox_own_bytes(const struct outbox *outbox)
{
	return outbox == NULL ? 0 : outbox->sealed.len + outbox->rest.len;
}

struct slice outbox_sealed(const struct outbox *outbox)
{
	return outbox == NULL ? slice_of(NULL, 0) : buf_view(&outbox->sealed);
}

/* Another part, unless it is empty; how many there are now. */
static size_t add_part(struct iovec *parts, size_t count, struct slice bytes)
{
	if (bytes.len > 0)
		parts[count++] = (struct iovec){(void *)(uintptr_t)bytes.at, bytes.len};
	return count;
}

size_t outbox_plain(const struct outbox *outbox, struct iovec parts[OUTBOX_PARTS_MAX])
{
	size_t count = add_part(parts, 0, frame_left(outbox));
	return add_part(parts, count, buf_view(&outbox->rest));
}

/* ---- what went ---- */

void outbox_use_sealed(struct outbox *outbox, size_t count)
{
	buf_use(&outbox->sealed, count);
	if (outbox->sealed.len == 0)
		buf_free(&outbox->sealed);
}

void outbox_use_plain(struct outbox *outbox, size_t count)
{
	size_t left = frame_left(outbox).len;
	size_t of_frame = count < left ? count : left;
	outbox->frame_at += of_frame;
	if (outbox->frame != NULL && of_frame == left) {
		blob_drop(outbox->frame);
		outbox->frame = NULL;
	}
	buf_use(&outbox->rest, count - of_frame);
}
