/* Signatures of each algorithm: good ones, each bit of them flipped, cut, longer, and forged. */
#include "auth/verifier.h"

#include <openssl/err.h>

#include "../guard.h"
#include "signing.h"

#define TEXT "header.payload"
#define SECRET "a secret that is as long as it should be"

static struct verifier verifier;
static struct key_set *keys;
static EVP_PKEY *rsa, *ec, *ed25519;

static const struct {
	const char *name;
	enum key_algorithm algorithm;
	size_t len;
} algorithms[] = {
	{"HS256", KEY_HS256, 32},  {"HS384", KEY_HS384, 48}, {"HS512", KEY_HS512, 64},
	{"RS256", KEY_RS256, 256}, {"ES256", KEY_ES256, 64}, {"EdDSA", KEY_EDDSA, 64},
};

static struct signer signer_of(enum key_algorithm algorithm)
{
	switch (algorithm) {
	case KEY_HS256:
		return (struct signer){.secret = SECRET, .digest = EVP_sha256()};
	case KEY_HS384:
		return (struct signer){.secret = SECRET, .digest = EVP_sha384()};
	case KEY_HS512:
		return (struct signer){.secret = SECRET, .digest = EVP_sha512()};
	case KEY_RS256:
		return (struct signer){.key = rsa, .digest = EVP_sha256()};
	case KEY_ES256:
		return (struct signer){.key = ec, .digest = EVP_sha256()};
	default:
		return (struct signer){.key = ed25519};
	}
}

/* Text and signature lie against a guard page. */
static bool is_good(enum key_algorithm algorithm, struct slice text, struct slice signature)
{
	const struct key *key = key_set_next(keys, NULL, algorithm, slice_of(NULL, 0));
	CHECK(key != NULL);
	CHECK(key_set_next(keys, key, algorithm, slice_of(NULL, 0)) == NULL);
	char *guarded_text = guard_copy(text), *guarded = guard_copy(signature);
	bool is = verifier_check(&verifier, key, algorithm, slice_of(guarded_text, text.len),
	                         slice_of(guarded, signature.len));
	guard_drop(guarded, signature.len);
	guard_drop(guarded_text, text.len);
	CHECK(ERR_peek_error() == 0); /* or the next one to ask would find it: TLS does */
	return is;
}

static void check_algorithm(size_t i)
{
	enum key_algorithm algorithm = algorithms[i].algorithm;
	const char *name = algorithms[i].name;
	struct signer by = signer_of(algorithm);
	unsigned char bytes[2048] = {0};
	size_t len = sign_bytes(&by, SLICE(TEXT), bytes);
	struct slice signature = slice_of((char *)bytes, len);
	CHECK(len == algorithms[i].len);

	printf("verifier: %s: a good signature is good, also the second time\n", name);
	CHECK(is_good(algorithm, SLICE(TEXT), signature));
	CHECK(is_good(algorithm, SLICE(TEXT), signature));

	printf("verifier: %s: it is of this text alone\n", name);
	CHECK(!is_good(algorithm, SLICE(TEXT "x"), signature));
	CHECK(!is_good(algorithm, SLICE("Header.payload"), signature));
	CHECK(!is_good(algorithm, SLICE(""), signature));

	printf("verifier: %s: no bit of it may be another\n", name);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		CHECK(!is_good(algorithm, SLICE(TEXT), signature));
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}

	printf("verifier: %s: no byte may be missing, nor one be there too many\n", name);
	for (size_t cut = 0; cut < len; cut++)
		CHECK(!is_good(algorithm, SLICE(TEXT), slice_of((char *)bytes, cut)));
	CHECK(!is_good(algorithm, SLICE(TEXT), slice_of((char *)bytes + 1, len - 1)));
	CHECK(!is_good(algorithm, SLICE(TEXT), slice_of((char *)bytes, len + 1)));
	CHECK(!is_good(algorithm, SLICE(TEXT), slice_of((char *)bytes, 2 * len)));
}

/* Good signatures of the text, made with what an algorithm is not for. */
static void check_mistaken(void)
{
	unsigned char bytes[2048];
	struct signer by = {.key = rsa, .digest = EVP_sha512()};
	size_t len = sign_bytes(&by, SLICE(TEXT), bytes);
	printf("verifier: RS256: another digest's signature is none\n");
	CHECK(!is_good(KEY_RS256, SLICE(TEXT), slice_of((char *)bytes, len)));

	by = (struct signer){.secret = SECRET, .digest = EVP_sha256()};
	len = sign_bytes(&by, SLICE(TEXT), bytes);
	printf("verifier: HS256: its digest is none of HS384\n");
	CHECK(!is_good(KEY_HS384, SLICE(TEXT), slice_of((char *)bytes, len)));
	printf("verifier: HS384: nor filled up with zeros\n");
	memset(bytes + 32, 0, 16);
	CHECK(!is_good(KEY_HS384, SLICE(TEXT), slice_of((char *)bytes, 48)));

	by = (struct signer){.key = ec, .digest = EVP_sha256(), .is_der = true};
	len = sign_bytes(&by, SLICE(TEXT), bytes);
	printf("verifier: ES256: as ASN.1 it is none\n");
	CHECK(!is_good(KEY_ES256, SLICE(TEXT), slice_of((char *)bytes, len)));

	EVP_PKEY *other = make_ec("P-256");
	by = (struct signer){.key = other, .digest = EVP_sha256()};
	len = sign_bytes(&by, SLICE(TEXT), bytes);
	printf("verifier: ES256: another key's signature is none\n");
	CHECK(!is_good(KEY_ES256, SLICE(TEXT), slice_of((char *)bytes, len)));
	EVP_PKEY_free(other);
}

static void set_number(unsigned char half[32], const char *hex)
{
	BIGNUM *number = NULL;
	CHECK(BN_hex2bn(&number, hex) > 0);
	CHECK(BN_bn2binpad(number, half, 32) == 32);
	BN_free(number);
}

/* Numbers that a careless check takes for a signature of anything. */
static void check_numbers(void)
{
	static const char *const order =
		"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
	static const char *const prime =
		"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
	static const char *const largest =
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
	const char *const numbers[] = {"0", "1", order, prime, largest};
	unsigned char bytes[64];
	printf("verifier: ES256: r and s of nothing, one, the order and more are none\n");
	for (size_t r = 0; r < COUNT_OF(numbers); r++) {
		for (size_t s = 0; s < COUNT_OF(numbers); s++) {
			set_number(bytes, numbers[r]);
			set_number(bytes + 32, numbers[s]);
			CHECK(!is_good(KEY_ES256, SLICE(TEXT), slice_of((char *)bytes, 64)));
		}
	}
	printf("verifier: EdDSA: zeros are none\n");
	memset(bytes, 0, sizeof(bytes));
	CHECK(!is_good(KEY_EDDSA, SLICE(TEXT), slice_of((char *)bytes, 64)));
}

/* EdDSA: S is below the order of the group, or one signature would have others beside it (RFC
 * 8032 section 5.1.7). */
static void check_malleable(void)
{
	unsigned char bytes[2048];
	BIGNUM *order = NULL, *s;
	struct signer by = {.key = ed25519};
	CHECK(sign_bytes(&by, SLICE(TEXT), bytes) == 64);
	CHECK(BN_hex2bn(&order,
	                "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed") > 0);
	s = BN_lebin2bn(bytes + 32, 32, NULL);
	CHECK(s != NULL);
	CHECK(BN_add(s, s, order) == 1);
	CHECK(BN_bn2lebinpad(s, bytes + 32, 32) == 32);
	printf("verifier: EdDSA: S is not taken beyond the order\n");
	CHECK(!is_good(KEY_EDDSA, SLICE(TEXT), slice_of((char *)bytes, 64)));
	BN_free(order);
	BN_free(s);
}

static void check_signing(void)
{
	const struct key *key = key_set_next(keys, NULL, KEY_HS256, slice_of(NULL, 0));
	unsigned char ours[SIGNATURE_BYTES_MAX], theirs[2048];
	printf("verifier: what it signs is signed\n");
	for (size_t i = 0; i < 3; i++) {
		struct signer by = signer_of(algorithms[i].algorithm);
		size_t len = sign_bytes(&by, SLICE(TEXT), theirs);
		CHECK(verifier_sign(&verifier, key, algorithms[i].algorithm, SLICE(TEXT), ours) ==
		      len);
		CHECK(memcmp(ours, theirs, len) == 0);
	}
}

int main(void)
{
	const char *why;
	CHECK(verifier_init(&verifier));
	CHECK((keys = key_set_create()) != NULL);
	rsa = make_rsa(2048);
	ec = make_ec("P-256");
	ed25519 = make_ed25519();
	CHECK(key_set_add_secret(keys, SLICE(SECRET), &why) == 0);
	CHECK(key_set_add_public(keys, rsa, slice_of(NULL, 0), &why) == 0);
	CHECK(key_set_add_public(keys, ec, slice_of(NULL, 0), &why) == 0);
	CHECK(key_set_add_public(keys, ed25519, slice_of(NULL, 0), &why) == 0);
	for (size_t i = 0; i < COUNT_OF(algorithms); i++)
		check_algorithm(i);
	check_mistaken();
	check_numbers();
	check_malleable();
	check_signing();
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(ed25519);
	key_set_destroy(keys);
	verifier_free(&verifier);
	return 0;
}
