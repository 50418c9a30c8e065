#include "base/buf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/text.h"

#define BUF_FIRST_BYTES 256

void buf_free(struct buf *buf)
{
	if (buf->at != NULL)
		free(buf->at - buf->before);
	*buf = (struct buf){0};
}

void buf_wipe(struct buf *buf)
{
	if (buf->at != NULL)
		explicit_bzero(buf->at - buf->before, buf->cap);
	buf_free(buf);
}

void buf_clear(struct buf *buf)
{
	if (buf->at != NULL)
		buf->at -= buf->before;
	buf->len = 0;
	buf->before = 0;
	buf->is_broken = false;
}

static void buf_reclaim_front(struct buf *buf)
{
	memmove(buf->at - buf->before, buf->at, buf->len);
	buf->at -= buf->before;
	buf->before = 0;
}

char *buf_room(struct buf *buf, size_t count)
{
	if (buf->is_broken)
		return NULL;
	if (buf->cap - buf->before - buf->len >= count && buf->at != NULL)
		return buf->at + buf->len;
	/* Moving is worth it when it frees at least as much as it copies. */
	if (buf->before >= buf->len && buf->cap - buf->len >= count && buf->at != NULL) {
		buf_reclaim_front(buf);
		return buf->at + buf->len;
	}

	size_t cap = buf->cap > BUF_FIRST_BYTES ? buf->cap : BUF_FIRST_BYTES;
	while (cap - buf->len < count)
		cap *= 2;
	char *bytes = malloc(cap);
	if (bytes == NULL) {
		buf->is_broken = true;
		return NULL;
	}
	if (buf->at != NULL) {
		memcpy(bytes, buf->at, buf->len);
		free(buf->at - buf->before);
	}
	buf->at = bytes;
	buf->before = 0;
	buf->cap = cap;
	return buf->at + buf->len;
}

void buf_grew(struct buf *buf, size_t count)
{
	CHECK(buf->before + buf->len + count <= buf->cap);
	buf->len += count;
}

void buf_append(struct buf *buf, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	char *room = buf_room(buf, len);
	if (room == NULL)
		return;
	memcpy(room, bytes, len);
	buf->len += len;
}

void buf_slice(struct buf *buf, struct slice slice)
{
	buf_append(buf, slice.at, slice.len);
}

void buf_string(struct buf *buf, const char *string)
{
	buf_append(buf, string, strlen(string));
}

void buf_char(struct buf *buf, char c)
{
	buf_append(buf, &c, 1);
}

void buf_u64(struct buf *buf, uint64_t value)
{
	char digits[TEXT_U64_MAX];
	buf_append(buf, digits, text_from_u64(digits, value));
}

void buf_micro(struct buf *buf, uint64_t millionths)
{
	buf_format(buf, "%" PRIu64 ".%06" PRIu64, millionths / 1000000, millionths % 1000000);
}

void buf_format(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	CHECK(len >= 0);

	char *room = buf_room(buf, (size_t)len + 1);
	if (room == NULL)
		return;
	va_start(args, format);
	vsnprintf(room, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
}

void buf_use(struct buf *buf, size_t count)
{
	CHECK(count <= buf->len);
	if (count == 0)
		return;
	buf->at += count;
	buf->before += count;
	buf->len -= count;
	if (buf->len == 0) {
		buf->at -= buf->before;
		buf->before = 0;
	}
}

void buf_cut_to(struct buf *buf, size_t count)
{
	CHECK(count <= buf->len);
	buf->len = count;
}

void buf_swap(struct buf *a, struct buf *b)
{
	struct buf kept = *a;
	*a = *b;
	*b = kept;
}
