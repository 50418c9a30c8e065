#include "auth/jwks.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/text.h"
#include "wire/json.h"

#define JWKS_DEPTH_MAX 8
#define COORDINATE_LEN 32 /* of P-256 and of Ed25519 */

enum member {
	MEMBER_KTY = 0,
	MEMBER_USE,
	MEMBER_KEY_OPS,
	MEMBER_ALG,
	MEMBER_KID,
	MEMBER_N,
	MEMBER_E,
	MEMBER_CRV,
	MEMBER_X,
	MEMBER_Y,
	MEMBER_D, /* secret, of every kind of pair */
	MEMBER_K, /* a secret itself */
	MEMBER_COUNT
};

static const char *const member_names[MEMBER_COUNT] = {
	[MEMBER_KTY] = "kty", [MEMBER_USE] = "use", [MEMBER_KEY_OPS] = "key_ops",
	[MEMBER_ALG] = "alg", [MEMBER_KID] = "kid", [MEMBER_N] = "n",
	[MEMBER_E] = "e",     [MEMBER_CRV] = "crv", [MEMBER_X] = "x",
	[MEMBER_Y] = "y",     [MEMBER_D] = "d",     [MEMBER_K] = "k",
};

struct jwk {
	struct json_field members[MEMBER_COUNT];
	struct buf first, second; /* its numbers, as bytes */
	struct buf id;
};

static bool is_there(const struct jwk *jwk, enum member member)
{
	return jwk->members[member].value.kind != JSON_NONE;
}

static bool is_text(const struct jwk *jwk, enum member member, const char *text)
{
	struct json_value value = jwk->members[member].value;
	return value.kind == JSON_STRING && json_string_equals(value.raw, slice_string(text));
}

/* Absent, or that. */
static bool may_be(const struct jwk *jwk, enum member member, const char *text)
{
	return !is_there(jwk, member) || is_text(jwk, member, text);
}

static bool may_verify(const struct jwk *jwk)
{
	struct json_value operations = jwk->members[MEMBER_KEY_OPS].value, one;
	if (operations.kind == JSON_NONE)
		return true;
	struct slice rest = operations.kind == JSON_ARRAY ? json_open(operations) : SLICE("");
	while (json_next_element(&rest, &one)) {
		if (one.kind == JSON_STRING && json_string_equals(one.raw, SLICE("verify")))
			return true;
	}
	return false;
}

/* ---- numbers ---- */

static bool bytes_from(struct slice base64url, struct buf *out)
{
	size_t len = text_base64url_bytes(base64url.len);
	char *room = buf_room(out, len);
	if (room == NULL || len == 0 || !text_to_base64url(base64url, room))
		return false;
	buf_grew(out, len);
	return true;
}

/* A member in base64url, as bytes. */
static bool read_bytes(const struct jwk *jwk, enum member member, struct buf *out)
{
	struct json_value value = jwk->members[member].value;
	struct buf text = {0};
	buf_clear(out);
	bool is_good = value.kind == JSON_STRING && json_string_decode(value.raw, &text) &&
	               bytes_from(buf_view(&text), out);
	out->is_broken |= text.is_broken;
	buf_free(&text);
	return is_good;
}

static EVP_PKEY *key_from(const char *kind, OSSL_PARAM_BLD *builder)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	if (context == NULL || params == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(context);
	return key;
}

static EVP_PKEY *rsa_key(const struct buf *modulus, const struct buf *exponent)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn((unsigned char *)modulus->at, (int)modulus->len, NULL);
	BIGNUM *e = BN_bin2bn((unsigned char *)exponent->at, (int)exponent->len, NULL);
	EVP_PKEY *key = NULL;
	if (builder != NULL && n != NULL && e != NULL &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		key = key_from("RSA", builder);
	OSSL_PARAM_BLD_free(builder);
	BN_free(n);
	BN_free(e);
	return key;
}

static EVP_PKEY *p256_key(const struct buf *x, const struct buf *y)
{
	char point[1 + 2 * COORDINATE_LEN] = {4}; /* uncompressed */
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;
	memcpy(point + 1, x->at, COORDINATE_LEN);
	memcpy(point + 1 + COORDINATE_LEN, y->at, COORDINATE_LEN);
	if (builder != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ==
	            1 &&
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
	                                     sizeof(point)) == 1)
		key = key_from("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	return key;
}

/* ---- kinds of keys: each NULL, with a sentence in `*why` ---- */

static EVP_PKEY *read_rsa(struct jwk *jwk, const char **why)
{
	*why = "of another algorithm than RS256";
	if (!may_be(jwk, MEMBER_ALG, "RS256"))
		return NULL;
	*why = "n and e are not base64url";
	if (!read_bytes(jwk, MEMBER_N, &jwk->first) || !read_bytes(jwk, MEMBER_E, &jwk->second))
		return NULL;
	*why = "n and e are no RSA key";
	return rsa_key(&jwk->first, &jwk->second);
}

static EVP_PKEY *read_ec(struct jwk *jwk, const char **why)
{
	*why = "of another curve or algorithm than ES256 has";
	if (!is_text(jwk, MEMBER_CRV, "P-256") || !may_be(jwk, MEMBER_ALG, "ES256"))
		return NULL;
	*why = "x and y are not 32 bytes each in base64url";
	if (!read_bytes(jwk, MEMBER_X, &jwk->first) || !read_bytes(jwk, MEMBER_Y, &jwk->second) ||
	    jwk->first.len != COORDINATE_LEN || jwk->second.len != COORDINATE_LEN)
		return NULL;
	*why = "x and y are no point of the curve";
	return p256_key(&jwk->first, &jwk->second);
}

static EVP_PKEY *read_okp(struct jwk *jwk, const char **why)
{
	*why = "of another curve or algorithm than EdDSA with Ed25519";
	if (!is_text(jwk, MEMBER_CRV, "Ed25519") || !may_be(jwk, MEMBER_ALG, "EdDSA"))
		return NULL;
	*why = "x is not 32 bytes in base64url";
	if (!read_bytes(jwk, MEMBER_X, &jwk->first) || jwk->first.len != COORDINATE_LEN)
		return NULL;
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (unsigned char *)jwk->first.at,
	                                   jwk->first.len);
}

static const struct {
	const char *kty;
	EVP_PKEY *(*read)(struct jwk *jwk, const char **why);
} kinds[] = {{"RSA", read_rsa}, {"EC", read_ec}, {"OKP", read_okp}};

static EVP_PKEY *read_key(struct jwk *jwk, const char **why)
{
	*why = "not for checking signatures";
	if (!may_be(jwk, MEMBER_USE, "sig") || !may_verify(jwk))
		return NULL;
	*why = "its kid is no text";
	if (is_there(jwk, MEMBER_KID) &&
	    (jwk->members[MEMBER_KID].value.kind != JSON_STRING ||
	     !json_string_decode(jwk->members[MEMBER_KID].value.raw, &jwk->id)))
		return NULL;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (is_text(jwk, MEMBER_KTY, kinds[i].kty))
			return kinds[i].read(jwk, why);
	}
	*why = "its kty is none of RSA, EC and OKP";
	return NULL;
}

/* ---- the set ---- */

enum added { ADDED = 0, PASSED_OVER, REFUSED, NO_MEMORY };

/* Whether the key may be a good one that there was no memory to read. */
static bool lacked_memory(const struct jwk *jwk)
{
	return jwk->first.is_broken || jwk->second.is_broken || jwk->id.is_broken ||
	       ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
}

static enum added add_key(struct key_set *set, struct jwk *jwk, const char **why)
{
	if (is_there(jwk, MEMBER_D) || is_there(jwk, MEMBER_K)) {
		*why = "a secret key: give the public one";
		return REFUSED;
	}
	EVP_PKEY *key = read_key(jwk, why);
	enum added without = lacked_memory(jwk) ? NO_MEMORY : PASSED_OVER;
	ERR_clear_error();
	if (key == NULL)
		return without;
	bool is_full = key_set_count(set) == KEYS_MAX;
	int result = key_set_add_public(set, key, buf_view(&jwk->id), why);
	EVP_PKEY_free(key);
	if (result == -EINVAL)
		return is_full ? REFUSED : PASSED_OVER;
	return result == 0 ? ADDED : NO_MEMORY;
}

static enum added read_jwk(struct key_set *set, struct json_value value, const char **why)
{
	struct jwk jwk = {0};
	for (size_t i = 0; i < MEMBER_COUNT; i++)
		jwk.members[i].name = member_names[i];
	*why = "not a JSON object with each name once";
	enum added added = PASSED_OVER;
	if (value.kind == JSON_OBJECT &&
	    json_read_strictly(value.raw, JWKS_DEPTH_MAX, jwk.members, MEMBER_COUNT, JWK_NAMES_MAX,
	                       &jwk.first))
		added = add_key(set, &jwk, why);
	else if (jwk.first.is_broken)
		added = NO_MEMORY;
	buf_free(&jwk.first);
	buf_free(&jwk.second);
	buf_free(&jwk.id);
	return added;
}

static int read_keys(struct key_set *set, struct json_value keys, struct buf *error)
{
	struct slice rest = json_open(keys);
	struct json_value value;
	const char *why, *first_why = NULL;
	unsigned number = 0, first_number = 0, count = 0;
	while (json_next_element(&rest, &value)) {
		number++;
		switch (read_jwk(set, value, &why)) {
		case ADDED:
			count++;
			break;
		case PASSED_OVER:
			first_number = first_why == NULL ? number : first_number;
			first_why = first_why == NULL ? why : first_why;
			break;
		case REFUSED:
			buf_format(error, "key %u: %s", number, why);
			return -EINVAL;
		case NO_MEMORY:
			buf_string(error, "out of memory");
			return -ENOMEM;
		}
	}
	if (count > 0)
		return 0;
	buf_string(error, "no key in the set can be used");
	if (first_why != NULL)
		buf_format(error, "; key %u: %s", first_number, first_why);
	return -EINVAL;
}

int jwks_read(struct key_set *set, struct slice text, struct buf *error)
{
	struct json_field keys = {.name = "keys"};
	size_t bad_at;
	if (json_read_object(text, JWKS_DEPTH_MAX, &keys, 1, &bad_at) &&
	    keys.value.kind == JSON_ARRAY)
		return read_keys(set, keys.value, error);
	buf_string(error, "not a JSON object with a list of keys");
	return -EINVAL;
}
