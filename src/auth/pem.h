/*
 * pem.h - public keys in PEM: each block is a key, or a certificate that holds one.
 *
 * A block that cannot be used is an error, for somebody has put it there; a private key above all.
 * Of a certificate nothing counts but its key: neither dates nor issuer.
 *
 * Threads:   the caller's.
 * Ownership: none; keys go into the set.
 * Limits:    KEYS_MAX keys.
 * Source:    RFC 7468.
 */
#pragma once

#include "auth/key.h"

/* 0, or -errno with a sentence in `error`. */
MUST_CHECK int pem_read(struct key_set *set, struct slice text, struct buf *error);
