/*
 * dial.h - a connection to another node, begun; and the addresses that its name stands for.
 *
 * dial_open() does not wait: when the descriptor is writable, dial_result() says what came of it.
 *
 * A name is looked up by a thread of its own, since the resolver of libc waits for servers. The
 * asker looks now and then whether it is done, and may give up on it at any time.
 *
 * Threads:   the asker's. What a lookup found is written by its thread before is_done is set, and
 *            belongs to the asker from then on.
 * Ownership: dial_open() gives a descriptor that the caller closes. A lookup is freed by whoever of
 *            the two lets go of it last.
 * Limits:    LOOKUP_NAMES_MAX names in one lookup, LOOKUP_FOUND_MAX addresses of each.
 */
#pragma once

#include "net/listen.h"

/* A descriptor, or -errno. The connection ends when the other side acknowledges nothing for
 * `silence_ms_max`. */
MUST_CHECK int dial_open(const struct listen_address *address, uint32_t silence_ms_max);
MUST_CHECK int dial_result(int fd); /* 0, or -errno */

#define LOOKUP_NAMES_MAX 64
#define LOOKUP_FOUND_MAX 64
#define LOOKUP_NAME_MAX 254 /* with its NUL */

struct lookup_name {
	char host[LOOKUP_NAME_MAX];
	uint16_t port;
	size_t count; /* found; 0: it has no address now */
	struct listen_address found[LOOKUP_FOUND_MAX];
};

struct lookup;

struct lookup *lookup_create(void); /* NULL: no memory */
/* Before lookup_start(). False: they are too many, or it is too long. */
MUST_CHECK bool lookup_add(struct lookup *lookup, const char *host, uint16_t port);
MUST_CHECK int lookup_start(struct lookup *lookup); /* 0 or -errno */
bool lookup_is_done(const struct lookup *lookup);
size_t lookup_count(const struct lookup *lookup);
/* Once it is done. */
const struct lookup_name *lookup_name(const struct lookup *lookup, size_t i);
void lookup_drop(struct lookup *lookup); /* NULL is fine */
