#include "auth/key.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define BIT(algorithm) (1u << (algorithm))

struct key_set {
	size_t count;
	struct key keys[KEYS_MAX];
};

const char *const key_algorithm_names[KEY_ALGORITHM_COUNT] = {
	[KEY_HS256] = "HS256", [KEY_HS384] = "HS384", [KEY_HS512] = "HS512",
	[KEY_RS256] = "RS256", [KEY_ES256] = "ES256", [KEY_EDDSA] = "EdDSA",
};

struct key_set *key_set_create(void)
{
	return calloc(1, sizeof(struct key_set));
}

void key_set_destroy(struct key_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->count; i++) {
		secret_free(&set->keys[i].secret);
		EVP_PKEY_free(set->keys[i].public);
		buf_free(&set->keys[i].id);
	}
	free(set);
}

size_t key_set_count(const struct key_set *set)
{
	return set->count;
}

/* ---- adding ---- */

static struct key *next_free(struct key_set *set, const char **why)
{
	*why = "more keys than may be tried for one token";
	return set->count < KEYS_MAX ? &set->keys[set->count] : NULL;
}

int key_set_add_secret(struct key_set *set, struct slice secret, const char **why)
{
	struct key *key = next_free(set, why);
	if (key == NULL)
		return -EINVAL;
	if (!secret_make(&key->secret, secret))
		return -ENOMEM;
	key->algorithms = BIT(KEY_HS256) | BIT(KEY_HS384) | BIT(KEY_HS512);
	key->cost_us = 2;
	set->count++;
	return 0;
}

/* What looks like a key but would let anybody sign: an even modulus, an exponent of 1, a point
 * that is not on the curve. */
static bool is_sound(EVP_PKEY *key)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	bool is_good = context != NULL && EVP_PKEY_public_check(context) == 1;
	EVP_PKEY_CTX_free(context);
	ERR_clear_error();
	return is_good;
}

static bool is_p256(const EVP_PKEY *key)
{
	char name[64];
	bool has_name = EVP_PKEY_get_group_name(key, name, sizeof(name), NULL) == 1;
	ERR_clear_error();
	return has_name && strcmp(name, "prime256v1") == 0;
}

/* The algorithm that a key is for. False: `*why` says why there is none. */
static bool algorithm_of(const EVP_PKEY *key, enum key_algorithm *algorithm, const char **why)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		*algorithm = KEY_RS256;
		*why = "an RSA key has 2048 to 8192 bits";
		return EVP_PKEY_get_bits(key) >= KEY_RSA_BITS_MIN &&
		       EVP_PKEY_get_bits(key) <= KEY_RSA_BITS_MAX;
	case EVP_PKEY_EC:
		*algorithm = KEY_ES256;
		*why = "an EC key is on the curve P-256";
		return is_p256(key);
	case EVP_PKEY_ED25519:
		*algorithm = KEY_EDDSA;
		return true;
	default:
		*why = "a key is of RSA, of EC on P-256, or Ed25519";
		return false;
	}
}

/* bench/micro/token has the figures. */
static uint32_t cost_us_of(const EVP_PKEY *key, enum key_algorithm algorithm)
{
	uint32_t bits = (uint32_t)EVP_PKEY_get_bits(key);
	if (algorithm == KEY_RS256)
		return 40 * bits * bits / (KEY_RSA_BITS_MIN * KEY_RSA_BITS_MIN);
	return algorithm == KEY_ES256 ? 100 : 130;
}

int key_set_add_public(struct key_set *set, EVP_PKEY *public, struct slice id, const char **why)
{
	enum key_algorithm algorithm;
	struct key *key = next_free(set, why);
	if (key == NULL || !algorithm_of(public, &algorithm, why))
		return -EINVAL;
	*why = "the numbers of the key are no key";
	if (!is_sound(public))
		return -EINVAL;
	buf_slice(&key->id, id);
	if (key->id.is_broken)
		return -ENOMEM;
	CHECK(EVP_PKEY_up_ref(public) == 1);
	key->public = public;
	key->algorithms = BIT(algorithm);
	key->cost_us = cost_us_of(public, algorithm);
	set->count++;
	return 0;
}

/* ---- numbers ---- */

static bool is_same(const struct key *key, const struct key *other)
{
	if (key->algorithms != other->algorithms ||
	    !slice_equals(buf_view(&key->id), buf_view(&other->id)))
		return false;
	if (key->public != NULL)
		return EVP_PKEY_eq(key->public, other->public) == 1;
	return key->secret.len == other->secret.len &&
	       CRYPTO_memcmp(key->secret.at, other->secret.at, key->secret.len) == 0;
}

void key_set_number(struct key_set *set, const struct key_set *former, uint32_t *last)
{
	for (size_t i = 0; i < set->count; i++) {
		struct key *key = &set->keys[i];
		for (size_t j = 0; former != NULL && j < former->count && key->number == 0; j++) {
			if (is_same(key, &former->keys[j]))
				key->number = former->keys[j].number;
		}
		if (key->number == 0)
			key->number = ++*last;
	}
	ERR_clear_error();
}

bool key_set_has_number(const struct key_set *set, uint32_t number)
{
	size_t i = 0;
	while (i < set->count && set->keys[i].number != number)
		i++;
	return i < set->count;
}

/* ---- finding ---- */

const struct key *key_set_next(const struct key_set *set, const struct key *after,
                               enum key_algorithm algorithm, struct slice kid)
{
	CHECK(algorithm < KEY_ALGORITHM_COUNT);
	const struct key *key = after == NULL ? set->keys : after + 1;
	for (; key < set->keys + set->count; key++) {
		if ((key->algorithms & BIT(algorithm)) == 0)
			continue;
		if (kid.at == NULL || key->id.len == 0 || slice_equals(kid, buf_view(&key->id)))
			return key;
	}
	return NULL;
}
