/*
 * blob.h - immutable bytes that several threads may hold.
 *
 * Threads:   blob_make() gives the maker the only reference, and until it hands the blob
 *            on it alone writes the bytes. From then on any thread reads, takes and drops.
 * Ownership: counted. Who drops the last reference frees.
 * Limits:    BLOB_BYTES_MAX a blob.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/slice.h"

#define BLOB_BYTES_MAX (1u << 30)

struct blob {
	_Atomic uint32_t refs;
	uint32_t len;
	char bytes[];
};

struct blob *blob_make(size_t len); /* bytes not yet set; NULL: no memory, or too large */
struct blob *blob_copy(struct slice bytes);
struct blob *blob_take(struct blob *blob); /* one more reference; gives back its argument */
void blob_drop(struct blob *blob);         /* NULL is fine */

static inline struct slice blob_view(const struct blob *blob)
{
	return slice_of(blob->bytes, blob->len);
}
