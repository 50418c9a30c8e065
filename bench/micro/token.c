/*
 * auth/token: what looking at a client's token costs: signature, claims, and the claims made. By
 * algorithm; and the HMAC alone, which no way of writing the rest could do without.
 */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "auth/token.h"
#include "base/text.h"
#include "micro.h"

#define NOW_MS UINT64_C(1700000000000)
#define PAYLOAD                                                                                    \
	"{\"sub\":\"user-1234567\",\"iat\":1699999000,\"exp\":1700003600,"                         \
	"\"allow\":{\"chat:*\":\"rw\",\"news:*\":\"r\"},\"info\":{\"name\":\"A. User\"}}"

struct tokens {
	struct jwt_reader reader;
	struct key_set *keys;
	struct buf token;
};

static void read_tokens(void *argument, uint64_t operations)
{
	static const struct token_policy policy = {
		.audience = "", .issuer = "", .needs_expiry = true};
	struct tokens *tokens = argument;
	for (uint64_t i = 0; i < operations; i++) {
		struct claims *claims;
		const char *why;
		enum error_code error = token_read(&tokens->reader, tokens->keys, &policy,
		                                   buf_view(&tokens->token), NOW_MS, &claims, &why);
		CHECK(error == ERROR_NONE);
		micro_use(claims->expires_unix_ms);
		claims_free(claims);
	}
}

static void sign(void *argument, uint64_t operations)
{
	struct tokens *tokens = argument;
	const struct key *key = key_set_next(tokens->keys, NULL, KEY_HS256, slice_of(NULL, 0));
	unsigned char signature[SIGNATURE_BYTES_MAX];
	for (uint64_t i = 0; i < operations; i++)
		micro_use(verifier_sign(&tokens->reader.verifier, key, KEY_HS256,
		                        buf_view(&tokens->token), signature));
}

/* ---- tokens ---- */

static void append_base64url(struct buf *out, const void *bytes, size_t len)
{
	char *room = buf_room(out, text_base64url_len(len));
	CHECK(room != NULL);
	buf_grew(out, text_from_base64url(room, bytes, len));
}

static size_t raw_from_der(unsigned char *signature, size_t len)
{
	const unsigned char *at = signature;
	ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &at, (long)len);
	CHECK(parts != NULL);
	CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(parts), signature, 32) == 32);
	CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(parts), signature + 32, 32) == 32);
	ECDSA_SIG_free(parts);
	return 64;
}

static void make_signed(struct tokens *tokens, const char *header, EVP_PKEY *key,
                        const EVP_MD *digest)
{
	unsigned char signature[SIGNATURE_BYTES_MAX];
	size_t len = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	const char *why;
	CHECK(key != NULL);
	append_base64url(&tokens->token, header, strlen(header));
	buf_char(&tokens->token, '.');
	append_base64url(&tokens->token, PAYLOAD, strlen(PAYLOAD));
	CHECK(EVP_DigestSignInit(context, NULL, digest, NULL, key) == 1);
	CHECK(EVP_DigestSign(context, signature, &len, (unsigned char *)tokens->token.at,
	                     tokens->token.len) == 1);
	EVP_MD_CTX_free(context);
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		len = raw_from_der(signature, len);
	buf_char(&tokens->token, '.');
	append_base64url(&tokens->token, signature, len);
	CHECK(key_set_add_public(tokens->keys, key, slice_of(NULL, 0), &why) == 0);
	EVP_PKEY_free(key);
}

static void begin(struct tokens *tokens)
{
	*tokens = (struct tokens){.keys = key_set_create()};
	CHECK(tokens->keys != NULL);
	CHECK(jwt_reader_init(&tokens->reader));
}

static void end(struct tokens *tokens)
{
	key_set_destroy(tokens->keys);
	jwt_reader_free(&tokens->reader);
	buf_free(&tokens->token);
}

static void measure_secret(void)
{
	struct tokens tokens;
	const char *why;
	begin(&tokens);
	CHECK(key_set_add_secret(tokens.keys, SLICE("a secret of so many bytes as it should"),
	                         &why) == 0);
	jwt_make(&tokens.reader, tokens.keys, SLICE(PAYLOAD), &tokens.token);
	micro_measure("token.hs256", read_tokens, &tokens);
	micro_measure("token.hmac_alone", sign, &tokens);
	end(&tokens);
}

static EVP_PKEY *make_key(const char *kind)
{
	if (strcmp(kind, "RSA") == 0)
		return EVP_RSA_gen(2048);
	return strcmp(kind, "EC") == 0 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, kind);
}

static void measure_public(const char *name, const char *header, const char *kind,
                           const EVP_MD *digest)
{
	struct tokens tokens;
	if (!micro_wants(name))
		return;
	begin(&tokens);
	make_signed(&tokens, header, make_key(kind), digest);
	micro_rounds(name, read_tokens, &tokens);
	end(&tokens);
}

int main(int argc, char **argv)
{
	micro_begin(argc, argv);
	measure_secret();
	measure_public("token.rs256", "{\"alg\":\"RS256\"}", "RSA", EVP_sha256());
	measure_public("token.es256", "{\"alg\":\"ES256\"}", "EC", EVP_sha256());
	measure_public("token.eddsa", "{\"alg\":\"EdDSA\"}", "ED25519", NULL);
	return micro_end();
}
