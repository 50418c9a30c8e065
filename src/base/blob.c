#include "base/blob.h"

#include <stdlib.h>

#include "base/check.h"

struct blob *blob_make(size_t len)
{
	if (len > BLOB_BYTES_MAX)
		return NULL;
	struct blob *blob = malloc(sizeof(*blob) + len);
	if (blob == NULL)
		return NULL;
	atomic_init(&blob->refs, 1);
	blob->len = (uint32_t)len;
	return blob;
}

struct blob *blob_copy(struct slice bytes)
{
	struct blob *blob = blob_make(bytes.len);
	if (blob != NULL && bytes.len > 0)
		memcpy(blob->bytes, bytes.at, bytes.len);
	return blob;
}

struct blob *blob_take(struct blob *blob)
{
	uint32_t refs = atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
	CHECK(refs != 0);
	return blob;
}

void blob_drop(struct blob *blob)
{
	if (blob == NULL)
		return;
	/* Release our reads of the bytes; the last one acquires those of all others. */
	uint32_t refs = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);
	CHECK(refs != 0);
	if (refs == 1)
		free(blob);
}
