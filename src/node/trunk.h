/*
 * trunk.h - the socket and the TLS under a connection of a link.
 *
 * Threads:   the mesh thread's.
 * Ownership: a trunk owns its descriptor and its session; the connection above is that of the
 *            links. trunk_close() ends what trunk_dial() or trunk_accept() began; the memory is the
 *            caller's slab's.
 * Limits:    TRUNK_TURN_BYTES each way in a step, TRUNK_BATCH_BYTES in one write, and
 *            TRUNK_SHAKE_BYTES in one step of a handshake.
 */
#pragma once

#include "base/list.h"
#include "mesh/link.h"
#include "net/dial.h"
#include "net/tls_psk.h"

#define TRUNK_TURN_BYTES ((size_t)256 * 1024)
#define TRUNK_BATCH_BYTES ((size_t)64 * 1024)
#define TRUNK_SHAKE_BYTES ((size_t)2048)
#define TRUNK_SILENCE_MS 3000u /* TCP_USER_TIMEOUT */

/* What all trunks have in common. */
struct trunk_desk {
	struct links *links;
	struct buf plain; /* of one step */
	char *room;       /* TRUNK_BATCH_BYTES, to read into */
	uint64_t now_ms;
	uint64_t bytes_in, bytes_out;
};

struct trunk {
	uint32_t generation;       /* the slab's */
	int fd;                    /* -1: closed, or there never was one */
	struct conn_of_link *conn; /* NULL: closed */
	struct psk *psk;
	struct buf out; /* sealed, and not with the socket yet */
	bool is_connecting, is_readable, is_writable;
	bool has_failed; /* before it was connected: `how` */
	enum conn_end how;
	struct list_node in_list; /* the caller's */
};

/* Both take `keys` only to look at. Whatever fails is told by the first step. */
void trunk_dial(struct trunk *trunk, struct conn_of_link *conn, struct psk_keys *keys,
                const struct listen_address *address);
void trunk_accept(struct trunk *trunk, struct conn_of_link *conn, struct psk_keys *keys, int fd);

/* What there is to do. True: more is left, to be done in the next turn. */
bool trunk_step(struct trunk_desk *desk, struct trunk *trunk);
/* What was said still goes, as far as the socket takes it. */
void trunk_close(struct trunk_desk *desk, struct trunk *trunk);
