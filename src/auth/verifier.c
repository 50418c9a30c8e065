#include "auth/verifier.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define ES256_HALF 32    /* bytes of r, and of s */
#define ES256_DER_MAX 80 /* the two as OpenSSL has them */
#define ED25519_LEN 64

/* ---- making ---- */

static EVP_MAC_CTX *make_mac(EVP_MAC *hmac, const char *digest)
{
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest,
	                                         0),
		OSSL_PARAM_construct_end(),
	};
	if (context != NULL && EVP_MAC_CTX_set_params(context, params) == 1)
		return context;
	EVP_MAC_CTX_free(context);
	return NULL;
}

bool verifier_init(struct verifier *verifier)
{
	static const char *const digests[KEY_DIGESTS] = {
		[KEY_HS256] = "SHA256", [KEY_HS384] = "SHA384", [KEY_HS512] = "SHA512"};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	*verifier = (struct verifier){.digest = EVP_MD_CTX_new()};
	bool is_good = hmac != NULL && verifier->digest != NULL;
	for (size_t i = 0; i < KEY_DIGESTS && is_good; i++) {
		verifier->macs[i] = make_mac(hmac, digests[i]);
		is_good = verifier->macs[i] != NULL;
	}
	EVP_MAC_free(hmac); /* the contexts have references */
	if (!is_good)
		verifier_free(verifier);
	ERR_clear_error();
	return is_good;
}

void verifier_free(struct verifier *verifier)
{
	for (size_t i = 0; i < KEY_DIGESTS; i++)
		EVP_MAC_CTX_free(verifier->macs[i]);
	EVP_MD_CTX_free(verifier->digest);
	*verifier = (struct verifier){0};
}

/* ---- secrets ---- */

size_t verifier_sign(struct verifier *verifier, const struct key *key, enum key_algorithm algorithm,
                     struct slice text, unsigned char signature[SIGNATURE_BYTES_MAX])
{
	CHECK(algorithm < KEY_DIGESTS);
	CHECK((key->algorithms & 1u << algorithm) != 0);
	struct slice secret = secret_view(&key->secret);
	size_t len = 0;
	/* The key's traces go with the copy: OpenSSL wipes what it frees. */
	EVP_MAC_CTX *context = EVP_MAC_CTX_dup(verifier->macs[algorithm]);
	bool is_good =
		context != NULL &&
		EVP_MAC_init(context, (const unsigned char *)secret.at, secret.len, NULL) == 1 &&
		EVP_MAC_update(context, (const unsigned char *)text.at, text.len) == 1 &&
		EVP_MAC_final(context, signature, &len, SIGNATURE_BYTES_MAX) == 1;
	EVP_MAC_CTX_free(context);
	return is_good ? len : 0;
}

static bool check_secret(struct verifier *verifier, const struct key *key,
                         enum key_algorithm algorithm, struct slice text, struct slice signature)
{
	unsigned char expected[SIGNATURE_BYTES_MAX];
	size_t len = verifier_sign(verifier, key, algorithm, text, expected);
	bool is_same =
		len > 0 && signature.len == len && CRYPTO_memcmp(expected, signature.at, len) == 0;
	OPENSSL_cleanse(expected, len);
	return is_same;
}

/* ---- public keys ---- */

/* From r and s, 32 bytes each, to ASN.1. 0: no memory. */
static size_t es256_der(const unsigned char *raw, unsigned char der[ES256_DER_MAX])
{
	ECDSA_SIG *signature = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, ES256_HALF, NULL);
	BIGNUM *s = BN_bin2bn(raw + ES256_HALF, ES256_HALF, NULL);
	int len = 0;
	if (signature != NULL && r != NULL && s != NULL) {
		CHECK(ECDSA_SIG_set0(signature, r, s) == 1); /* has them now */
		r = s = NULL;
		unsigned char *at = der;
		len = i2d_ECDSA_SIG(signature, NULL) <= ES256_DER_MAX
		              ? i2d_ECDSA_SIG(signature, &at)
		              : 0;
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(signature);
	return len > 0 ? (size_t)len : 0;
}

static bool check_public(struct verifier *verifier, const struct key *key, const char *digest,
                         struct slice text, const unsigned char *signature, size_t len)
{
	EVP_MD_CTX *context = verifier->digest;
	bool is_good = EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, key->public,
	                                       NULL) == 1 &&
	               EVP_DigestVerify(context, signature, len, (const unsigned char *)text.at,
	                                text.len) == 1;
	EVP_MD_CTX_reset(context);
	return is_good;
}

static bool check_es256(struct verifier *verifier, const struct key *key, struct slice text,
                        struct slice signature)
{
	unsigned char der[ES256_DER_MAX];
	if (signature.len != 2 * ES256_HALF)
		return false;
	size_t len = es256_der((const unsigned char *)signature.at, der);
	return len > 0 && check_public(verifier, key, "SHA256", text, der, len);
}

bool verifier_check(struct verifier *verifier, const struct key *key, enum key_algorithm algorithm,
                    struct slice text, struct slice signature)
{
	CHECK((key->algorithms & 1u << algorithm) != 0);
	const unsigned char *raw = (const unsigned char *)signature.at;
	bool is_good = false;
	switch (algorithm) {
	case KEY_HS256:
	case KEY_HS384:
	case KEY_HS512:
		is_good = check_secret(verifier, key, algorithm, text, signature);
		break;
	case KEY_RS256:
		is_good = check_public(verifier, key, "SHA256", text, raw, signature.len);
		break;
	case KEY_ES256:
		is_good = check_es256(verifier, key, text, signature);
		break;
	case KEY_EDDSA:
		is_good = signature.len == ED25519_LEN &&
		          check_public(verifier, key, NULL, text, raw, signature.len);
		break;
	case KEY_ALGORITHM_COUNT:
		break;
	}
	/* What failed here must not be found by who asks next about a connection. */
	ERR_clear_error();
	return is_good;
}
