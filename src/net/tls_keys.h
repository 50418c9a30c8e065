/*
 * tls_keys.h - the keys that protect one direction of a TLS connection, and where they come from.
 *
 * The handshake is OpenSSL's. What it agrees on, a traffic secret (TLS 1.3) or a master secret
 * (TLS 1.2), becomes a key and an initialization vector here, and from then on no object of
 * OpenSSL belongs to the connection.
 *
 * Threads:   pure functions on the caller's keys.
 * Ownership: a struct of bytes. Who is done with it wipes it (tls_keys_wipe()).
 * Limits:    the suites below: what net/tls_context.c lets a handshake agree on.
 * Source:    RFC 8446 sections 7.1 to 7.3, RFC 5246 section 6.3, RFC 5288, RFC 7905.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define TLS_KEY_MAX 32
#define TLS_IV_BYTES 12
#define TLS_SECRET_MAX 48
#define TLS_MASTER_BYTES 48
#define TLS_RANDOM_BYTES 32

enum tls_aead { TLS_AES_128_GCM = 0, TLS_AES_256_GCM, TLS_CHACHA20_POLY1305, TLS_AEAD_COUNT };

/* A cipher suite, as far as it matters behind the handshake. */
struct tls_suite {
	uint8_t aead; /* enum tls_aead */
	bool is_13;   /* TLS 1.3; else 1.2 */
};

struct tls_keys {
	uint64_t next; /* sequence number of the record to come */
	unsigned char key[TLS_KEY_MAX];
	unsigned char iv[TLS_IV_BYTES]; /* TLS 1.2 with GCM: the first four bytes of each nonce */
	unsigned char secret[TLS_SECRET_MAX]; /* TLS 1.3: for the keys after these */
};

size_t tls_suite_key_bytes(struct tls_suite suite);
size_t tls_suite_secret_bytes(struct tls_suite suite); /* of TLS 1.3 */
/* Bytes of the nonce that stand in front of a record's content. */
size_t tls_suite_explicit_bytes(struct tls_suite suite);

/* The first keys of a secret, and those that follow after `keys`. False: OpenSSL failed. */
MUST_CHECK bool tls_keys_of_secret(struct tls_keys *keys, struct tls_suite suite,
                                   const unsigned char *secret);
MUST_CHECK bool tls_keys_update(struct tls_keys *keys, struct tls_suite suite);

/* What TLS 1.2 agreed on. */
struct tls_master {
	unsigned char secret[TLS_MASTER_BYTES];
	unsigned char client_random[TLS_RANDOM_BYTES], server_random[TLS_RANDOM_BYTES];
};
MUST_CHECK bool tls_keys_of_master(struct tls_keys *client, struct tls_keys *server,
                                   struct tls_suite suite, const struct tls_master *master);

void tls_keys_wipe(struct tls_keys *keys);
