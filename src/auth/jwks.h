/*
 * jwks.h - public keys as a set of JSON Web Keys.
 *
 * Such sets come from elsewhere and hold keys for others too: as RFC 7517 section 5 asks, those
 * that are of no use here are passed over, and it is an error when none is left. A secret one is
 * an error too.
 *
 * Threads:   the caller's.
 * Ownership: none; keys go into the set.
 * Limits:    KEYS_MAX keys, JWK_NAMES_MAX members of each.
 * Source:    RFC 7517, RFC 7518 section 6, RFC 8037 section 2.
 */
#pragma once

#include "auth/key.h"

#define JWK_NAMES_MAX 32

/* 0, or -errno with a sentence in `error`. */
MUST_CHECK int jwks_read(struct key_set *set, struct slice text, struct buf *error);
