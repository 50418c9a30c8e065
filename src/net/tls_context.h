/*
 * tls_context.h - what all handshakes have in common: certificate, key, and what may be agreed on.
 *
 * TLS 1.2 and 1.3 with the AEAD suites of net/tls_keys.h and elliptic curves, ALPN http/1.1,
 * session tickets that need no memory here. No compression, no renegotiation, no early data.
 *
 * Threads:   made and destroyed by any thread; constant, and used by all workers at once.
 * Ownership: tls_context_create() gives what tls_context_destroy() takes back; handshakes that
 *            are under way keep what they need of it.
 * Limits:    one certificate with its chain.
 * Source:    RFC 8446, RFC 5246, RFC 7301 (ALPN), RFC 5077 (tickets).
 */
#pragma once

#include "base/buf.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* From two PEM files. NULL: `error` has one line that names the file at fault. */
struct ssl_ctx_st *tls_context_create(const char *cert_path, const char *key_path,
                                      struct buf *error);
void tls_context_destroy(struct ssl_ctx_st *context); /* NULL is fine */
