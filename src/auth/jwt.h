/*
 * jwt.h - a signed token in its compact form: `HEADER.PAYLOAD.SIGNATURE` (RFC 7515 section 7.1).
 *
 * Nothing in a token's header is trusted: `alg` and `kid` choose among the keys at hand, keys
 * and addresses of keys in it (`jwk`, `jku`, `x5c`, `x5u`) are passed over, `crit` is refused.
 *
 * Threads:   a reader is one thread's.
 * Ownership: a reader is embedded in its owner's struct and owns its scratch, in which what
 *            it answers lies until the next call.
 * Limits:    TOKEN_BYTES_MAX, JWT_HEADER_NAMES_MAX members of the header. Base64url and JSON are
 *            read strictly: each signed text is written in one way, each name stands once.
 * Source:    RFC 7515, RFC 7519, RFC 8725.
 */
#pragma once

#include "auth/verifier.h"
#include "base/buf.h"
#include "wire/json.h"

#define JWT_HEADER_NAMES_MAX 32

struct jwt_reader {
	struct verifier verifier;
	struct buf header, payload; /* as JSON */
	struct buf scratch;         /* of whoever reads these */
	uint32_t key_number;        /* of the key that had signed it */
	uint64_t spent_us; /* on signatures so far, more or less: of each key that was tried */
};

MUST_CHECK bool jwt_reader_init(struct jwt_reader *reader); /* false: no memory */
void jwt_reader_free(struct jwt_reader *reader);

/* What is said where memory is short and not the token at fault. */
extern const char *const jwt_no_memory;

/* NULL: one of the keys signed the token; reader->payload holds what. Else a sentence says what is
 * wrong with it. */
const char *jwt_open(struct jwt_reader *reader, const struct key_set *keys, struct slice token);

/* Appends a token that says `payload`, signed with the secret of the set, which has one. */
void jwt_make(struct jwt_reader *reader, const struct key_set *keys, struct slice payload,
              struct buf *out);
