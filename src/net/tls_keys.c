#include "net/tls_keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <string.h>

size_t tls_suite_key_bytes(struct tls_suite suite)
{
	return suite.aead == TLS_AES_128_GCM ? 16 : 32;
}

static const EVP_MD *digest_of(struct tls_suite suite)
{
	return suite.aead == TLS_AES_256_GCM ? EVP_sha384() : EVP_sha256();
}

size_t tls_suite_secret_bytes(struct tls_suite suite)
{
	return suite.aead == TLS_AES_256_GCM ? 48 : 32;
}

size_t tls_suite_explicit_bytes(struct tls_suite suite)
{
	return !suite.is_13 && suite.aead != TLS_CHACHA20_POLY1305 ? 8 : 0;
}

void tls_keys_wipe(struct tls_keys *keys)
{
	OPENSSL_cleanse(keys, sizeof(*keys));
}

/* ---- TLS 1.3: HKDF-Expand-Label, RFC 8446 section 7.1 ---- */

#define LABEL_MAX 32

/* What is wanted is never longer than the hash: one step of HKDF-Expand. */
static bool expand_label(struct tls_suite suite, const unsigned char *secret, const char *label,
                         unsigned char *out, size_t len)
{
	unsigned char info[2 + 1 + LABEL_MAX + 1 + 1], hash[EVP_MAX_MD_SIZE];
	unsigned hash_len;
	size_t label_len = strlen(label), at = 0;
	CHECK(len <= tls_suite_secret_bytes(suite));
	CHECK(6 + label_len <= LABEL_MAX);
	info[at++] = 0;
	info[at++] = (unsigned char)len;
	info[at++] = (unsigned char)(6 + label_len);
	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, label_len);
	at += 6 + label_len;
	info[at++] = 0; /* no context */
	info[at++] = 1; /* the first step */
	bool is_good = HMAC(digest_of(suite), secret, (int)tls_suite_secret_bytes(suite), info, at,
	                    hash, &hash_len) != NULL;
	if (is_good)
		memcpy(out, hash, len);
	OPENSSL_cleanse(hash, sizeof(hash));
	return is_good;
}

bool tls_keys_of_secret(struct tls_keys *keys, struct tls_suite suite, const unsigned char *secret)
{
	CHECK(suite.is_13);
	*keys = (struct tls_keys){0};
	memcpy(keys->secret, secret, tls_suite_secret_bytes(suite));
	return expand_label(suite, secret, "key", keys->key, tls_suite_key_bytes(suite)) &&
	       expand_label(suite, secret, "iv", keys->iv, TLS_IV_BYTES);
}

bool tls_keys_update(struct tls_keys *keys, struct tls_suite suite)
{
	unsigned char next[TLS_SECRET_MAX];
	bool is_good = expand_label(suite, keys->secret, "traffic upd", next,
	                            tls_suite_secret_bytes(suite)) &&
	               tls_keys_of_secret(keys, suite, next);
	OPENSSL_cleanse(next, sizeof(next));
	return is_good;
}

/* ---- TLS 1.2: the key block, RFC 5246 section 6.3 ---- */

static bool derive(EVP_KDF_CTX *kdf, struct tls_suite suite, const struct tls_master *master,
                   unsigned char *block, size_t len)
{
	static const char label[] = "key expansion";
	char *digest = (char *)(uintptr_t)EVP_MD_get0_name(digest_of(suite));
	struct tls_master copy = *master; /* parameters are not const */
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, copy.secret,
	                                          sizeof(copy.secret)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (char *)(uintptr_t)label,
	                                          sizeof(label) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, copy.server_random,
	                                          sizeof(copy.server_random)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, copy.client_random,
	                                          sizeof(copy.client_random)),
		OSSL_PARAM_construct_end(),
	};
	bool is_good = EVP_KDF_derive(kdf, block, len, parameters) == 1;
	OPENSSL_cleanse(&copy, sizeof(copy));
	return is_good;
}

static bool expand_master(struct tls_suite suite, const struct tls_master *master,
                          unsigned char *block, size_t len)
{
	EVP_KDF *algorithm = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_PRF, NULL);
	EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(algorithm);
	bool is_good = kdf != NULL && derive(kdf, suite, master, block, len);
	EVP_KDF_CTX_free(kdf);
	EVP_KDF_free(algorithm);
	return is_good;
}

bool tls_keys_of_master(struct tls_keys *client, struct tls_keys *server, struct tls_suite suite,
                        const struct tls_master *master)
{
	unsigned char block[2 * TLS_KEY_MAX + 2 * TLS_IV_BYTES];
	size_t key_len = tls_suite_key_bytes(suite);
	size_t iv_len = TLS_IV_BYTES - tls_suite_explicit_bytes(suite);
	CHECK(!suite.is_13);
	*client = *server = (struct tls_keys){0};
	bool is_good = expand_master(suite, master, block, 2 * key_len + 2 * iv_len);
	if (is_good) {
		memcpy(client->key, block, key_len);
		memcpy(server->key, block + key_len, key_len);
		memcpy(client->iv, block + 2 * key_len, iv_len);
		memcpy(server->iv, block + 2 * key_len + iv_len, iv_len);
	}
	OPENSSL_cleanse(block, sizeof(block));
	return is_good;
}
