/*
 * tls.h - TLS between a socket and who reads and writes plain bytes: bytes in, bytes out.
 *
 * It begins with a handshake (net/tls_handshake); from then on it is two sets of keys and a few
 * flags, and what came of a record in part. Records are opened and sealed in buffers that all
 * connections of a worker share (struct tls_desk).
 *
 * What has to be said to the peer on the way (the handshake, alerts, new keys) gathers in
 * tls_said(), in order with what is sealed; the caller sends it before anything else, and clears
 * it.
 *
 * Threads:   the worker's own.
 * Ownership: tls_create() and tls_desk_create() give what tls_destroy() and tls_desk_destroy()
 *            take back. Descriptors are the caller's.
 * Limits:    static_assert below; held: one record of the peer's, or as many bytes of its hello;
 *            TLS_UPDATES_MAX changes of its keys in a second.
 * Source:    RFC 8446 sections 4.6.3, 5, 6; RFC 5246 sections 6, 7.2; RFC 6066 section 4.
 */
#pragma once

#include <sys/uio.h>

#include "base/buf.h"
#include "net/tls_keys.h"
#include "net/tls_ticket.h"
#include "starling/limits.h"

struct ssl_ctx_st;
struct tls_desk;
struct tls_handshake;
struct outbox;

/* One connection. */
struct tls {
	struct tls_keys reading, writing;
	struct tls_handshake *handshake; /* while it is under way */
	char *held;                      /* came of a record in part; NULL: nothing */
	struct outbox *out;              /* the caller's: what the socket did not take */
	uint32_t held_len;
	struct tls_suite suite;
	uint16_t plain_max;    /* bytes in a record of ours */
	uint16_t update_s;     /* the second, cut to 16 bits, in which the peer changed its keys */
	uint8_t updates;       /* so often */
	bool is_ready : 1;     /* the handshake is over, and was good */
	bool is_over : 1;      /* the peer sends no more, or something was not good */
	bool has_said_end : 1; /* we send no more */
	bool is_offloaded : 1; /* the kernel seals what is written */
};

static_assert(sizeof(struct tls) <= 248, "with its conn an idle one costs less than half a KiB");

#define TLS_UPDATES_MAX 8 /* a change takes as long as twenty records */

enum tls_result {
	TLS_GOES_ON = 0,
	TLS_ENDED,     /* the peer said that it sends no more */
	TLS_BROKEN,    /* by the peer, or by us: an alert is in tls_said() */
	TLS_NOT_TLS,   /* what came first is no handshake */
	TLS_NO_MEMORY, /* or OpenSSL failed */
};

struct tls_desk *tls_desk_create(const struct tls_seed *seed); /* NULL: no memory */
void tls_desk_destroy(struct tls_desk *desk);

struct tls *tls_create(void); /* NULL: no memory */
void tls_destroy(struct tls *tls);

/* Where to read to from the socket: room for TLS_READ_BYTES. */
#define TLS_READ_BYTES (TURN_READ_BYTES - 17 * 1024)
char *tls_room(struct tls_desk *desk);
/* `len` bytes came there. Plain bytes are put at `plain`, which has room for TURN_READ_BYTES. A
 * handshake begins with `context`. */
enum tls_result tls_take(struct tls_desk *desk, struct tls *tls, struct ssl_ctx_st *context,
                         uint64_t now_ms, size_t len, char *plain, size_t *plain_len);

/* Seals up to TLS_PLAIN_MAX bytes of the parts, from `skip` on, into tls_said(): one record, or
 * several small ones, so that those cost no write each. How many bytes; 0: no memory, or OpenSSL
 * failed. Only when is_ready and not is_offloaded. */
size_t tls_seal(struct tls_desk *desk, struct tls *tls, const struct iovec *parts, size_t count,
                size_t skip);
/* The last record, once: sealed, or by way of `fd` where the kernel seals. */
void tls_say_end(struct tls_desk *desk, struct tls *tls, int fd);
struct buf *tls_said(struct tls_desk *desk);

/* Has the kernel seal what is written to the socket from here on, if it does that: the caller
 * then writes plain bytes. All that was said before is with the kernel already. */
bool tls_offload(struct tls_desk *desk, struct tls *tls, int fd);
