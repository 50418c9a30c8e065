/*
 * outbox.h - what a socket did not take: it goes out when there is room again.
 *
 * A frame that many are sent is not copied for each socket that took a part of it: the outbox
 * holds a reference, and the place from where it goes on. What is written behind is its own, and so
 * is what is sealed already, which goes first. With TLS the rest is sealed a record at a time, as
 * the socket takes it.
 *
 * Threads:   the connection's worker; the blob may be held by others.
 * Ownership: outbox_create() gives what outbox_destroy() takes back, with all that is in it.
 * Limits:    one frame by reference, and only in front. What is copied is bounded by who writes it.
 */
#pragma once

#include <sys/uio.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/check.h"

#define OUTBOX_PARTS_MAX 2

struct outbox {
	/* private */
	struct buf sealed;  /* goes as it is, before the rest */
	struct blob *frame; /* NULL, or what goes from `frame_at` on */
	size_t frame_at;
	struct buf rest; /* and this behind it */
};

struct outbox *outbox_create(void);         /* NULL: no memory */
void outbox_destroy(struct outbox *outbox); /* NULL is fine */

/* Adds at the end. False: no memory, and the outbox is of no use any more. */
MUST_CHECK bool outbox_copy(struct outbox *outbox, struct slice bytes);
/* The same of the last `len` bytes of `frame`, without a copy where that is worth it. */
MUST_CHECK bool outbox_share(struct outbox *outbox, const struct blob *frame, size_t len);
/* Adds behind what is sealed, and before all else. */
MUST_CHECK bool outbox_seal(struct outbox *outbox, struct slice bytes);

/* All that is in it, and what of it is held for this connection alone; NULL: nothing. */
size_t outbox_bytes(const struct outbox *outbox);
size_t outbox_own_bytes(const struct outbox *outbox);

/* What goes next: what is sealed (of NULL: nothing), and behind it the rest, in so many parts. */
struct slice outbox_sealed(const struct outbox *outbox);
size_t outbox_plain(const struct outbox *outbox, struct iovec parts[OUTBOX_PARTS_MAX]);
/* So many bytes of it are done with. */
void outbox_use_sealed(struct outbox *outbox, size_t count);
void outbox_use_plain(struct outbox *outbox, size_t count);
