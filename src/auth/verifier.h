/*
 * verifier.h - signatures of bytes, checked with a key, or made with a secret one.
 *
 * Setting up what OpenSSL needs costs as much as a short HMAC itself, so a thread keeps it. A
 * secret is not kept in it: it goes in for each signature, and its traces are wiped.
 *
 * Threads:   a verifier is one thread's; keys are shared by all.
 * Ownership: embedded in its owner's struct; it owns what it made.
 * Limits:    signatures of SIGNATURE_BYTES_MAX.
 * Source:    RFC 7518 sections 3.2 to 3.4, RFC 8037 section 3.1; OpenSSL's EVP.
 */
#pragma once

#include "auth/key.h"

#define SIGNATURE_BYTES_MAX (KEY_RSA_BITS_MAX / 8)
#define KEY_DIGESTS (KEY_HS512 + 1) /* HS256 and its siblings */

struct verifier {
	/* private */
	EVP_MAC_CTX *macs[KEY_DIGESTS]; /* without a key */
	EVP_MD_CTX *digest;
};

MUST_CHECK bool verifier_init(struct verifier *verifier); /* false: no memory */
void verifier_free(struct verifier *verifier);

/* Is `signature` the key's, of `text`, by that algorithm, which the key is for? */
bool verifier_check(struct verifier *verifier, const struct key *key, enum key_algorithm algorithm,
                    struct slice text, struct slice signature);

/* Writes the signature by a secret; gives its length, 0 when there is no memory. */
size_t verifier_sign(struct verifier *verifier, const struct key *key, enum key_algorithm algorithm,
                     struct slice text, unsigned char signature[SIGNATURE_BYTES_MAX]);
