/*
 * tls_handshake.h - the handshake of one connection, by OpenSSL; and what came out of it.
 *
 * OpenSSL reads and writes bytes that are handed to it, whole records, and never touches a
 * descriptor. When it is done its object, which would hold several KiB for as long as the
 * connection lives, is freed, and the keys of both directions go on with net/tls_record.
 *
 * Threads:   the connection's worker.
 * Ownership: tls_handshake_begin() gives what tls_handshake_end() takes back.
 * Limits:    how long one may take, and how many steps a turn has time for, is the caller's.
 * Source:    RFC 8446, RFC 5246. The traffic secrets of TLS 1.3 are had from OpenSSL by
 *            SSL_CTX_set_keylog_callback(), the one way there is.
 */
#pragma once

#include "base/buf.h"
#include "net/tls_keys.h"
#include "net/tls_ticket.h"

struct ssl_ctx_st;
struct tls_handshake;

enum tls_shake {
	TLS_SHAKE_MORE = 0, /* of the peer's records */
	TLS_SHAKE_DONE,
	TLS_SHAKE_FAILED, /* an alert is in `out`, where there is one to send */
};

/* What a finished handshake leaves. */
struct tls_agreed {
	struct tls_suite suite;
	uint16_t plain_max;               /* bytes in a record; a client may ask for few */
	struct tls_keys reading, writing; /* of the server, which we are */
};

/* Lets handshakes of this context take part in tickets and give away their secrets. */
MUST_CHECK bool tls_handshake_allow(struct ssl_ctx_st *context);

/* NULL: no memory. */
struct tls_handshake *tls_handshake_begin(struct ssl_ctx_st *context, struct tls_tickets *tickets);
void tls_handshake_end(struct tls_handshake *handshake);

/* What a handshake reads first is a hello, and with TLS 1.3 nothing else that is not sealed: one is
 * handed over whole, with all its records. OpenSSL makes room for as much as a hello says that it
 * has. */
bool tls_handshake_awaits_hello(const struct tls_handshake *handshake); /* NULL: it has not begun */

/* A whole record of the peer, or those of a hello; what is to be sent is appended to `out`. */
enum tls_shake tls_handshake_step(struct tls_handshake *handshake, struct slice records,
                                  uint64_t now_ms, struct buf *out);
/* Once it is done. False: OpenSSL failed. */
MUST_CHECK bool tls_handshake_agreed(const struct tls_handshake *handshake,
                                     struct tls_agreed *agreed);
