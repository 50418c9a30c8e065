/* Sets of JSON Web Keys: the standards' keys, and what is passed over or refused in a set. */
#include "auth/jwks.h"

#include <errno.h>

#include "../guard.h"
#include "auth/key_file.h"
#include "vectors.h"

#define A32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* 32 bytes of zeros */
#define A31 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define RSA_1024                                                                                   \
	"\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":"                                                    \
	"\"z7Z6XEJ2ZGtTY0FqUkVTdHZ5OGFqN1VoZ0pZQmxSaWdDbTV4cGpLc1hQ"                               \
	"UmVmUkFhWUpaTnhUbnFyR1lQSjJyWmtXb0NVb3hkbVlPZGtOUm9ZbXpFWWl3S2ZyWUpMZVRRYmp3YnZkWXFhYlB6" \
	"V0ZQZnhYUWl3dVNLWkxrTVJ0VkZOSWhEUQ\""

static const struct {
	const char *name;
	const char *text;
	int count;          /* of keys */
	const char *reason; /* NULL unless the set is refused */
} sets[] = {
	{"a set of each kind of key", JWKS("{" RSA_A2 "},{" EC_A3 "},{" OKP_8037 "}"), 3, NULL},
	{"blanks around it, and more names in it",
         " \n{\"x\":1,\"keys\":[ {" EC_A3 ",\"x5c\":[\"AAAA\"],\"x5t\":\"a\"} ]}\n", 1, NULL},
	{"use sig", JWKS("{" EC_A3 ",\"use\":\"sig\"}"), 1, NULL},
	{"key_ops with verify", JWKS("{" EC_A3 ",\"key_ops\":[\"sign\",\"verify\"]}"), 1, NULL},
	{"the alg of its kind",
         JWKS("{" EC_A3 ",\"alg\":\"ES256\"},{" RSA_A2 ",\"alg\":\"RS256\"},"
              "{" OKP_8037 ",\"alg\":\"EdDSA\"}"),
         3, NULL},
	/* of no use here, and passed over */
	{"a key of an unknown kind is passed over",
         JWKS("{\"kty\":\"AKP\",\"pub\":\"AAAA\"},{" EC_A3 "}"), 1, NULL},
	{"one on another curve too", JWKS("{" EC_A4 "},{" EC_A3 "}"), 1, NULL},
	{"one for key agreement too",
         JWKS("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" A32 "\"},{" EC_A3 "}"), 1, NULL},
	{"one that is to encrypt too", JWKS("{" RSA_A2 ",\"use\":\"enc\"},{" EC_A3 "}"), 1, NULL},
	{"one that is to sign with only too",
         JWKS("{" EC_A3 ",\"key_ops\":[\"sign\"]},{" OKP_8037 "}"), 1, NULL},
	{"one of another alg too", JWKS("{" RSA_A2 ",\"alg\":\"RS512\"},{" EC_A3 "}"), 1, NULL},
	{"one without what it needs too", JWKS("{\"kty\":\"RSA\"},{\"kty\":\"EC\"},{" EC_A3 "}"), 1,
         NULL},
	{"one that is too small too", JWKS("{" RSA_1024 "},{" EC_A3 "}"), 1, NULL},
	{"what is no object too", JWKS("5,null,{" EC_A3 "}"), 1, NULL},
	/* none is left */
	{"an empty set is refused", JWKS(""), 0, "no key in the set can be used"},
	{"an RSA key that is too small is none", JWKS("{" RSA_1024 "}"), 0, "2048"},
	{"kty is needed", JWKS("{\"x\":1}"), 0, "kty"},
	{"kty is told by capital letters", JWKS("{\"kty\":\"rsa\"}"), 0, "kty"},
	{"use is nothing but sig", JWKS("{" EC_A3 ",\"use\":5}"), 0, "not for checking"},
	{"key_ops is a list", JWKS("{" EC_A3 ",\"key_ops\":\"verify\"}"), 0, "not for checking"},
	{"RSA is for no HS", JWKS("{" RSA_A2 ",\"alg\":\"HS256\"}"), 0, "RS256"},
	{"RSA is for no PS", JWKS("{" RSA_A2 ",\"alg\":\"PS256\"}"), 0, "RS256"},
	{"EC is for no HS", JWKS("{" EC_A3 ",\"alg\":\"HS256\"}"), 0, "ES256"},
	{"OKP is for no HS", JWKS("{" OKP_8037 ",\"alg\":\"HS256\"}"), 0, "EdDSA"},
	{"alg is a string", JWKS("{" EC_A3 ",\"alg\":null}"), 0, "ES256"},
	{"kid is text", JWKS("{" EC_A3 ",\"kid\":7}"), 0, "kid"},
	{"kid is no half of a character", JWKS("{" EC_A3 ",\"kid\":\"\\ud800\"}"), 0, "kid"},
	{"n is base64url", JWKS("{\"kty\":\"RSA\",\"n\":\"A+/A\",\"e\":\"AQAB\"}"), 0, "base64url"},
	{"e is not empty", JWKS("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"\"}"), 0, "base64url"},
	{"n is a string", JWKS("{\"kty\":\"RSA\",\"n\":65537,\"e\":\"AQAB\"}"), 0, "base64url"},
	{"x has 32 bytes, not 31",
         JWKS("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A31 "\",\"y\":\"" A32 "\"}"), 0,
         "32 bytes"},
	{"y has 32 bytes, not 33",
         JWKS("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A32 "\",\"y\":\"" A32 "A\"}"), 0,
         "32 bytes"},
	{"x and y are a point of the curve",
         JWKS("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A32 "\",\"y\":\"" A32 "\"}"), 0,
         "point"},
	{"x of Ed25519 has 32 bytes",
         JWKS("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" A31 "\"}"), 0, "32 bytes"},
	{"a name stands once", JWKS("{" EC_A3 ",\"kty\":\"EC\"}"), 0, "each name once"},
	/* what is secret, or no set */
	{"a private RSA key is refused", JWKS("{" EC_A3 "},{" RSA_A2 ",\"d\":\"AAAA\"}"), 0,
         "key 2: a secret key"},
	{"a private EC key is refused", JWKS("{" EC_A3 ",\"d\":\"AAAA\"},{" EC_A3 "}"), 0,
         "key 1: a secret key"},
	{"also one to encrypt", JWKS("{" EC_A3 ",\"d\":\"AAAA\",\"use\":\"enc\"}"), 0,
         "a secret key"},
	{"a secret is refused", JWKS("{\"kty\":\"oct\",\"k\":\"" SECRET_A1 "\"}"), 0,
         "a secret key"},
	{"keys are needed", "{}", 0, "a list of keys"},
	{"keys are a list", "{\"keys\":{" EC_A3 "}}", 0, "a list of keys"},
	{"a key alone is no set", "{" EC_A3 "}", 0, "a list of keys"},
	{"a set is JSON", JWKS("{" EC_A3 "}") ",", 0, "a list of keys"},
};

static void check_set(size_t i)
{
	struct key_set *set = key_set_create();
	struct buf error = {0};
	struct slice text = slice_string(sets[i].text);
	CHECK(set != NULL);
	char *guarded = guard_copy(text);
	int result = key_file_read(set, slice_of(guarded, text.len), &error);
	guard_drop(guarded, text.len);
	if (sets[i].reason == NULL) {
		CHECK(result == 0);
		CHECK(error.len == 0);
		CHECK(key_set_count(set) == (size_t)sets[i].count);
	} else {
		CHECK(result == -EINVAL);
		buf_char(&error, '\0');
		CHECK(strstr(error.at, sets[i].reason) != NULL);
	}
	buf_free(&error);
	key_set_destroy(set);
}

static void check_ids(void)
{
	static const char text[] =
		JWKS("{" EC_A3 ",\"kid\":\"one\"},{" EC_A3 ",\"kid\":\"tw\\u006f\"}");
	struct key_set *set = key_set_create();
	struct buf error = {0};
	printf("jwks: keys have the ids that the set gives them\n");
	CHECK(jwks_read(set, slice_string(text), &error) == 0);
	const struct key *one = key_set_next(set, NULL, KEY_ES256, SLICE("one"));
	const struct key *two = key_set_next(set, NULL, KEY_ES256, SLICE("two"));
	CHECK(one != NULL && two != NULL && one != two);
	CHECK(key_set_next(set, one, KEY_ES256, SLICE("one")) == NULL);
	CHECK(key_set_next(set, NULL, KEY_ES256, SLICE("three")) == NULL);
	key_set_destroy(set);
}

static void check_many(void)
{
	struct key_set *set = key_set_create();
	struct buf text = {0}, error = {0};
	printf("jwks: more keys than may be are refused\n");
	buf_string(&text, "{\"keys\":[");
	for (int i = 0; i <= KEYS_MAX; i++)
		buf_string(&text, i == 0 ? "{" OKP_8037 "}" : ",{" OKP_8037 "}");
	buf_string(&text, "]}");
	CHECK(jwks_read(set, buf_view(&text), &error) == -EINVAL);
	CHECK(slice_starts(buf_view(&error), SLICE("key 65: more keys")));
	key_set_destroy(set);
	buf_free(&text);
	buf_free(&error);
}

/* An exponent of 1 signs nothing: everybody's signature would be good. */
static void check_exponents(void)
{
	static const char *const exponents[] = {"AQ", "AA", "Ag", "AQAA"};
	printf("jwks: an RSA key whose exponent is 1, or even, is none\n");
	for (size_t i = 0; i < COUNT_OF(exponents); i++) {
		struct key_set *set = key_set_create();
		struct buf text = {0}, error = {0};
		static const char good[] = JWKS("{" RSA_A2 "}");
		const char *e = strstr(good, "AQAB");
		CHECK(e != NULL);
		buf_append(&text, good, (size_t)(e - good));
		buf_string(&text, exponents[i]);
		buf_string(&text, e + 4);
		CHECK(jwks_read(set, buf_view(&text), &error) == -EINVAL);
		key_set_destroy(set);
		buf_free(&text);
		buf_free(&error);
	}
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		printf("jwks: %s\n", sets[i].name);
		check_set(i);
	}
	check_ids();
	check_many();
	check_exponents();
	return 0;
}
