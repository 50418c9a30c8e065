/*
 * tls_bio.h - what OpenSSL's object of a connection reads from and writes to: bytes at hand.
 *
 * Whoever drives the object says for the length of a call what there is to read and where written
 * bytes go, so that OpenSSL never touches a descriptor.
 *
 * Threads:   the connection's.
 * Ownership: the object does not own the struct, which outlives it.
 * Limits:    none of its own.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"

struct ssl_st;

struct tls_bio {
	struct slice input; /* what OpenSSL has not read yet */
	struct buf *out;    /* NULL: what it writes is dropped */
};

/* False: OpenSSL failed, and there is no TLS at all. */
MUST_CHECK bool tls_bio_is_possible(void);
/* False: no memory. */
MUST_CHECK bool tls_bio_attach(struct ssl_st *ssl, struct tls_bio *bytes);
/* What was attached: in callbacks, which OpenSSL gives nothing but its object. */
struct tls_bio *tls_bio_of(const struct ssl_st *ssl);
