/*
 * key.h - the keys that tokens are checked with, and what each may be used for.
 *
 * An algorithm is bound to its key (RFC 8725 section 3.1): what a token says of itself only
 * chooses among the keys that are for that algorithm, so no public key serves as a secret.
 *
 * Threads:   a set is filled by one thread; then it does not change, and any may use it.
 * Ownership: a set owns its keys. Secrets lie where core dumps do not reach (base/secret.h).
 * Limits:    KEYS_MAX keys: so many are tried at most for one token. RSA of KEY_RSA_BITS_MIN to
 *            KEY_RSA_BITS_MAX: less is no protection, more is slow to check.
 * Source:    RFC 7518 section 3 (algorithms), RFC 8037 (EdDSA), RFC 8725 (best practice).
 */
#pragma once

#include <openssl/types.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/secret.h"

#define KEYS_MAX 64
#define KEY_RSA_BITS_MIN 2048
#define KEY_RSA_BITS_MAX 8192

enum key_algorithm {
	KEY_HS256 = 0,
	KEY_HS384,
	KEY_HS512,
	KEY_RS256,
	KEY_ES256,
	KEY_EDDSA,
	KEY_ALGORITHM_COUNT
};

extern const char *const key_algorithm_names[KEY_ALGORITHM_COUNT]; /* as `alg` has them */

struct key {
	unsigned algorithms;  /* 1 << of each that it is for */
	struct secret secret; /* of the HS ones */
	EVP_PKEY *public;     /* of the others */
	struct buf id;        /* `kid`; empty: it has none */
	uint32_t number;      /* see key_set_number() */
	uint32_t cost_us;     /* what it takes to check a signature, more or less */
};

struct key_set;

struct key_set *key_set_create(void); /* NULL: no memory */
void key_set_destroy(struct key_set *set);
size_t key_set_count(const struct key_set *set);

/* 0 or -errno; -EINVAL with a sentence in `*why`. The key is copied, or another reference taken;
 * `id` empty: it has none. */
MUST_CHECK int key_set_add_secret(struct key_set *set, struct slice secret, const char **why);
MUST_CHECK int key_set_add_public(struct key_set *set, EVP_PKEY *key, struct slice id,
                                  const char **why);

/*
 * Gives each key a number by which it is known as long as the process lives: that of the same key
 * in `former` (NULL: there was none), else a new one behind `*last`. So it can be told later of
 * a token whether the key that signed it is still among those that count.
 */
void key_set_number(struct key_set *set, const struct key_set *former, uint32_t *last);
bool key_set_has_number(const struct key_set *set, uint32_t number);

/*
 * The next key behind `after` (NULL: the first) that may have made a token with that algorithm
 * and that `kid` (its `at` is NULL: none). A key without an id may have made any.
 */
const struct key *key_set_next(const struct key_set *set, const struct key *after,
                               enum key_algorithm algorithm, struct slice kid);
