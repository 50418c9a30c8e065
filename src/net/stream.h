/*
 * stream.h - bytes to and from a connected descriptor that never blocks.
 *
 * Threads:   the connection's worker.
 * Ownership: the descriptor is the caller's.
 * Limits:    STREAM_PARTS_MAX parts in one write.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/address.h"

#define STREAM_PARTS_MAX 1024

/* Bytes moved: 0 from stream_read() is the end of what the peer sends. -EAGAIN: nothing now.
 * Another -errno: the connection is broken. */
ssize_t stream_read(int fd, void *room, size_t len);
ssize_t stream_peek(int fd, void *room, size_t len); /* they stay, to be read */
ssize_t stream_write(int fd, const struct iovec *parts, size_t count);
void stream_finish(int fd);         /* no more is written; the peer sees the end */
struct address stream_peer(int fd); /* the other end; ADDRESS_NONE: it has gone */
