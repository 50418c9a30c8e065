/*
 * signing.h - tokens with any header and any payload, signed by whom a test likes.
 *
 * OpenSSL is asked in its own way here, and not through the code under test.
 */
#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/text.h"

/* Whose signature: that of a secret (with a digest), of a private key, or none at all. */
struct signer {
	const char *secret;
	const EVP_MD *digest;
	EVP_PKEY *key;
	bool is_der; /* ECDSA as ASN.1, not as r and s */
};

static inline void append_base64url(struct buf *out, struct slice bytes)
{
	char *room = buf_room(out, text_base64url_len(bytes.len));
	CHECK(room != NULL);
	buf_grew(out, text_from_base64url(room, bytes.at, bytes.len));
}

static inline size_t raw_from_der(unsigned char *signature, size_t len)
{
	const unsigned char *at = signature;
	ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &at, (long)len);
	CHECK(parts != NULL);
	CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(parts), signature, 32) == 32);
	CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(parts), signature + 32, 32) == 32);
	ECDSA_SIG_free(parts);
	return 64;
}

static inline size_t sign_bytes(const struct signer *by, struct slice text,
                                unsigned char *signature)
{
	const unsigned char *bytes = (const unsigned char *)text.at;
	if (by->secret != NULL) {
		unsigned len = 0;
		CHECK(HMAC(by->digest, by->secret, (int)strlen(by->secret), bytes, text.len,
		           signature, &len) != NULL);
		return len;
	}
	if (by->key == NULL)
		return 0;
	size_t len = 2048;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	CHECK(EVP_DigestSignInit(context, NULL, by->digest, NULL, by->key) == 1);
	CHECK(EVP_DigestSign(context, signature, &len, bytes, text.len) == 1);
	EVP_MD_CTX_free(context);
	bool is_raw = EVP_PKEY_get_base_id(by->key) == EVP_PKEY_EC && !by->is_der;
	return is_raw ? raw_from_der(signature, len) : len;
}

/* The token is written to `out`, as text with a NUL behind it. */
static inline struct slice make_token(struct buf *out, const char *header, struct slice payload,
                                      const struct signer *by)
{
	unsigned char signature[2048];
	buf_clear(out);
	append_base64url(out, slice_string(header));
	buf_char(out, '.');
	append_base64url(out, payload);
	size_t len = sign_bytes(by, buf_view(out), signature);
	buf_char(out, '.');
	append_base64url(out, slice_of((const char *)signature, len));
	CHECK(!out->is_broken);
	return buf_view(out);
}

/* ---- keys, made anew each time ---- */

static inline EVP_PKEY *make_rsa(unsigned bits)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);
	CHECK(key != NULL);
	return key;
}

static inline EVP_PKEY *make_ec(const char *curve)
{
	EVP_PKEY *key = EVP_EC_gen(curve);
	CHECK(key != NULL);
	return key;
}

static inline EVP_PKEY *make_ed25519(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	CHECK(key != NULL);
	return key;
}

/* Appends the public half in PEM. */
static inline void append_pem(struct buf *out, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	CHECK(PEM_write_bio_PUBKEY(bio, key) == 1);
	long len = BIO_get_mem_data(bio, &text);
	buf_append(out, text, (size_t)len);
	BIO_free(bio);
}
