/*
 * secret.h - bytes that core dumps leave out and that are wiped when they are done with.
 *
 * Threads:   as plain memory.
 * Ownership: the holder's until secret_free(); `struct secret s = {0}` is none.
 * Limits:    takes whole pages: for a handful of keys, not for one a connection.
 */
#pragma once

#include "base/check.h"
#include "base/slice.h"

struct secret {
	char *at;
	size_t len;
};

MUST_CHECK bool secret_make(struct secret *secret, struct slice bytes); /* false: no memory */
void secret_free(struct secret *secret);

static inline struct slice secret_view(const struct secret *secret)
{
	return slice_of(secret->at, secret->len);
}
