/*
 * tls_client.h - TLS over a connected descriptor that never blocks; the server's certificate is
 * verified against the system's authorities ($SSL_CERT_FILE, $SSL_CERT_DIR) and its name.
 *
 * Threads:   one at a time.
 * Ownership: tls_client_open() gives what tls_client_close() takes back, also after a failure.
 *            The descriptor is the caller's.
 * Limits:    TLS 1.2 and up; no renegotiation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/check.h"

/* `struct tls_client t = {0}` is closed. */
struct tls_client {
	struct ssl_ctx_st *context;
	struct ssl_st *ssl;
};

MUST_CHECK int tls_client_open(struct tls_client *tls, int fd, const char *host); /* or -ENOMEM */
void tls_client_close(struct tls_client *tls);

/* One step of the handshake: 0 when it is over; -EAGAIN: again when `*events` of poll(2) came;
 * -EPROTO: failed, tls_client_fault() says why. */
MUST_CHECK int tls_client_greet(struct tls_client *tls, short *events);
const char *tls_client_fault(const struct tls_client *tls);

/* As stream_read() and stream_write(). What was read and not asked for is pending: the
 * descriptor tells nothing of it. */
MUST_CHECK ssize_t tls_client_read(struct tls_client *tls, void *room, size_t len);
MUST_CHECK ssize_t tls_client_write(struct tls_client *tls, const void *bytes, size_t len);
bool tls_client_is_pending(const struct tls_client *tls);
