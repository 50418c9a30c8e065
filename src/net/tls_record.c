/*
 * A context of OpenSSL's takes 1.1 KiB a direction, two thirds of it tables made from the key. So
 * connections have none: those of a worker share one for each cipher and direction, which is given
 * the key anew for each record. That costs less than a system call by far.
 */
#include "net/tls_record.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { SEAL = 1, OPEN = 0 };

struct tls_crypto {
	EVP_CIPHER_CTX *contexts[2][TLS_AEAD_COUNT];
};

static const EVP_CIPHER *cipher_of(enum tls_aead aead)
{
	switch (aead) {
	case TLS_AES_128_GCM:
		return EVP_aes_128_gcm();
	case TLS_AES_256_GCM:
		return EVP_aes_256_gcm();
	case TLS_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	case TLS_AEAD_COUNT:
		break;
	}
	return NULL;
}

struct tls_crypto *tls_crypto_create(void)
{
	struct tls_crypto *crypto = calloc(1, sizeof(*crypto));
	bool is_good = crypto != NULL;
	for (int way = OPEN; way <= SEAL; way++) {
		for (unsigned aead = 0; is_good && aead < TLS_AEAD_COUNT; aead++) {
			EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
			crypto->contexts[way][aead] = context;
			is_good = context != NULL && EVP_CipherInit_ex(context, cipher_of(aead),
			                                               NULL, NULL, NULL, way) == 1;
		}
	}
	if (is_good)
		return crypto;
	tls_crypto_destroy(crypto);
	return NULL;
}

void tls_crypto_destroy(struct tls_crypto *crypto)
{
	if (crypto == NULL)
		return;
	for (unsigned aead = 0; aead < TLS_AEAD_COUNT; aead++) {
		EVP_CIPHER_CTX_free(crypto->contexts[OPEN][aead]);
		EVP_CIPHER_CTX_free(crypto->contexts[SEAL][aead]);
	}
	free(crypto);
}

/* ---- what both ways share ---- */

static void put_be(unsigned char *out, uint64_t value, size_t bytes)
{
	for (size_t i = bytes; i > 0; i--, value >>= 8)
		out[i - 1] = (unsigned char)value;
}

static void put_header(unsigned char *out, uint8_t type, size_t len)
{
	out[0] = type;
	out[1] = 3;
	out[2] = 3;
	put_be(out + 3, len, 2);
}

size_t tls_record_bytes(const char *bytes, size_t len)
{
	if (len < TLS_HEADER_BYTES)
		return 0;
	size_t content = (size_t)(unsigned char)bytes[3] << 8 | (unsigned char)bytes[4];
	return TLS_HEADER_BYTES + content;
}

/* `explicit` are the bytes of the nonce that the record shows, if any. */
static void make_nonce(unsigned char nonce[TLS_IV_BYTES], struct tls_suite suite,
                       const struct tls_keys *keys, const unsigned char *explicit)
{
	size_t shown = tls_suite_explicit_bytes(suite);
	unsigned char number[8];
	memcpy(nonce, keys->iv, TLS_IV_BYTES);
	if (shown > 0) {
		memcpy(nonce + TLS_IV_BYTES - shown, explicit, shown);
		return;
	}
	put_be(number, keys->next, 8);
	for (size_t i = 0; i < 8; i++)
		nonce[TLS_IV_BYTES - 8 + i] ^= number[i];
}

/* What is authenticated beside the content: RFC 8446 section 5.2, RFC 5246 section 6.2.3.3. */
static size_t make_claim(unsigned char claim[13], struct tls_suite suite,
                         const struct tls_keys *keys, const unsigned char *header, size_t len)
{
	if (suite.is_13) {
		memcpy(claim, header, TLS_HEADER_BYTES);
		return TLS_HEADER_BYTES;
	}
	put_be(claim, keys->next, 8);
	memcpy(claim + 8, header, 3);
	put_be(claim + 11, len, 2);
	return 13;
}

static bool begin(EVP_CIPHER_CTX *context, struct tls_suite suite, const struct tls_keys *keys,
                  const unsigned char *header, size_t len, const unsigned char *explicit)
{
	unsigned char nonce[TLS_IV_BYTES], claim[13];
	int claimed;
	make_nonce(nonce, suite, keys, explicit);
	size_t claim_len = make_claim(claim, suite, keys, header, len);
	return EVP_CipherInit_ex(context, NULL, NULL, keys->key, nonce, -1) == 1 &&
	       EVP_CipherUpdate(context, NULL, &claimed, claim, (int)claim_len) == 1;
}

/* ---- sealing ---- */

char *tls_record_content(char *record, struct tls_suite suite)
{
	return record + TLS_HEADER_BYTES + tls_suite_explicit_bytes(suite);
}

static bool seal(EVP_CIPHER_CTX *context, unsigned char *content, size_t len)
{
	int done, rest;
	return EVP_CipherUpdate(context, content, &done, content, (int)len) == 1 &&
	       (size_t)done == len && EVP_CipherFinal_ex(context, content + len, &rest) == 1 &&
	       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_BYTES, content + len) ==
	               1;
}

size_t tls_record_seal(struct tls_crypto *crypto, struct tls_suite suite, struct tls_keys *keys,
                       enum tls_type type, char *record, size_t len)
{
	EVP_CIPHER_CTX *context = crypto->contexts[SEAL][suite.aead];
	unsigned char *header = (unsigned char *)record;
	unsigned char *content = (unsigned char *)tls_record_content(record, suite);
	size_t shown = tls_suite_explicit_bytes(suite), plain_len = len;
	CHECK(len <= TLS_PLAIN_MAX);
	if (suite.is_13)
		content[len++] = (unsigned char)type;
	put_header(header, suite.is_13 ? TLS_TYPE_DATA : (uint8_t)type,
	           shown + len + TLS_TAG_BYTES);
	put_be(header + TLS_HEADER_BYTES, shown > 0 ? keys->next : 0, shown);
	if (!begin(context, suite, keys, header, plain_len, header + TLS_HEADER_BYTES) ||
	    !seal(context, content, len))
		return 0;
	keys->next++;
	return TLS_HEADER_BYTES + shown + len + TLS_TAG_BYTES;
}

/* ---- opening ---- */

static bool open(EVP_CIPHER_CTX *context, unsigned char *plain, const unsigned char *content,
                 size_t len)
{
	int done, rest;
	unsigned char tag[TLS_TAG_BYTES];
	memcpy(tag, content + len, sizeof(tag));
	return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
	       EVP_CipherUpdate(context, plain, &done, content, (int)len) == 1 &&
	       EVP_CipherFinal_ex(context, plain + done, &rest) == 1;
}

static bool is_type(uint8_t type)
{
	return type == TLS_TYPE_ALERT || type == TLS_TYPE_HANDSHAKE || type == TLS_TYPE_DATA;
}

/* TLS 1.3 hides the type behind the content, and zeros behind that. */
static void unhide(const char *plain, struct tls_opened *opened)
{
	opened->type = 0;
	while (opened->len > 0 && opened->type == 0)
		opened->type = (uint8_t)plain[--opened->len];
}

int tls_record_open(struct tls_crypto *crypto, struct tls_suite suite, struct tls_keys *keys,
                    const char *record, char *plain, struct tls_opened *opened)
{
	EVP_CIPHER_CTX *context = crypto->contexts[OPEN][suite.aead];
	const unsigned char *header = (const unsigned char *)record;
	size_t shown = tls_suite_explicit_bytes(suite);
	size_t len = tls_record_bytes(record, TLS_HEADER_BYTES) - TLS_HEADER_BYTES;
	CHECK(TLS_HEADER_BYTES + len <= TLS_RECORD_MAX);
	if (suite.is_13 ? header[0] != TLS_TYPE_DATA : !is_type(header[0]))
		return TLS_ALERT_UNEXPECTED_MESSAGE;
	if (len < shown + TLS_TAG_BYTES)
		return TLS_ALERT_BAD_RECORD_MAC;
	const unsigned char *content = header + TLS_HEADER_BYTES + shown;
	*opened = (struct tls_opened){header[0], len - shown - TLS_TAG_BYTES};
	if (!begin(context, suite, keys, header, opened->len, header + TLS_HEADER_BYTES) ||
	    !open(context, (unsigned char *)plain, content, opened->len))
		return TLS_ALERT_BAD_RECORD_MAC;
	keys->next++;
	if (opened->len > TLS_PLAIN_MAX + suite.is_13)
		return TLS_ALERT_RECORD_OVERFLOW;
	if (suite.is_13)
		unhide(plain, opened);
	if (!is_type(opened->type) || (opened->len == 0 && opened->type != TLS_TYPE_DATA))
		return TLS_ALERT_UNEXPECTED_MESSAGE;
	return 0;
}
