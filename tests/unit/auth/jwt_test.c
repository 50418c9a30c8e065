/*
 * Tokens of the standards, and each way to forge one. Every token lies against a guard page.
 */
#include "auth/jwt.h"

#include "../guard.h"
#include "auth/jwks.h"
#include "signing.h"
#include "starling/limits.h"
#include "vectors.h"

#define SECRET "the secret that the keys of these tests hold"
#define HS256 "{\"alg\":\"HS256\"}"
#define PAYLOAD "{\"sub\":\"ann\"}"

static struct jwt_reader reader;
static struct key_set *keys;   /* SECRET and the keys below, the public ones without an id */
static struct key_set *of_rfc; /* those of vectors.h */
static EVP_PKEY *rsa, *ec, *ed25519;
static struct buf token;

/* ---- opening ---- */

static bool opens(const struct key_set *set, struct slice text)
{
	char *guarded = guard_copy(text);
	const char *why = jwt_open(&reader, set, slice_of(guarded, text.len));
	guard_drop(guarded, text.len);
	CHECK(why != jwt_no_memory);
	return why == NULL;
}

static bool is_refused(const struct key_set *set, struct slice text, const char *reason)
{
	char *guarded = guard_copy(text);
	const char *why = jwt_open(&reader, set, slice_of(guarded, text.len));
	guard_drop(guarded, text.len);
	if (why != NULL && strstr(why, reason) != NULL)
		return true;
	fprintf(stderr, "refused for: %s\nexpected:    %s\n", why == NULL ? "nothing" : why,
	        reason);
	return false;
}

/* ---- the standards' own ---- */

static const struct {
	const char *name;
	struct slice token;
	const char *payload; /* NULL: refused, because: */
	const char *reason;
} vectors[] = {
	{"RFC 7515 A.1, HS256", SLICE_INIT(TOKEN_A1), PAYLOAD_OF_JOE, NULL},
	{"RFC 7515 A.2, RS256", SLICE_INIT(TOKEN_A2), PAYLOAD_OF_JOE, NULL},
	{"RFC 7515 A.3, ES256", SLICE_INIT(TOKEN_A3), PAYLOAD_OF_JOE, NULL},
	{"RFC 8037 A.4, EdDSA", SLICE_INIT(TOKEN_8037), PAYLOAD_8037, NULL},
	{"RFC 7515 A.4, ES512, is no algorithm of ours", SLICE_INIT(TOKEN_A4), NULL, "algorithm"},
	{"RFC 7515 A.5 and RFC 7519 6.1, unsecured, are nobody's", SLICE_INIT(TOKEN_A5), NULL,
         "three parts"},
};

static struct key_set *make_rfc_keys(void)
{
	static const char set[] = JWKS("{" RSA_A2 "},{" EC_A3 "},{" EC_A4 "},{" OKP_8037 "}");
	struct key_set *made = key_set_create();
	struct buf error = {0};
	char secret[64];
	const char *why;
	CHECK(made != NULL);
	CHECK(text_to_base64url(SLICE(SECRET_A1), secret));
	CHECK(key_set_add_secret(made, slice_of(secret, sizeof(secret)), &why) == 0);
	CHECK(jwks_read(made, slice_string(set), &error) == 0);
	CHECK(key_set_count(made) == 4);
	return made;
}

static void check_vectors(void)
{
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		printf("jwt: %s\n", vectors[i].name);
		if (vectors[i].payload == NULL) {
			CHECK(is_refused(of_rfc, vectors[i].token, vectors[i].reason));
			continue;
		}
		CHECK(opens(of_rfc, vectors[i].token));
		CHECK(slice_is(buf_view(&reader.payload), vectors[i].payload));
	}
	printf("jwt: RFC 7519 3.1 is that of RFC 7515 A.1, and not of these keys\n");
	CHECK(is_refused(keys, SLICE(TOKEN_A1), "signature"));
}

/* ---- headers, with a good signature by the secret unless it says otherwise ---- */

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define TEN(a)                                                                                     \
#a "0\":1,\"" #a "1\":1,\"" #a "2\":1,\"" #a "3\":1,\"" #a "4\":1,\"" #a "5\":1,\"" #a     \
	   "6\":1,\"" #a "7\":1,\"" #a "8\":1,\"" #a "9\":1,"

static const struct {
	const char *name;
	const char *header;
	const char *reason; /* "": it opens */
} headers[] = {
	{"alg alone is enough", HS256, ""},
	{"typ and what else there is do not matter", "{\"typ\":5,\"alg\":\"HS256\",\"x\":[{}]}",
         ""},
	{"alg may be written with escapes", "{\"\\u0061lg\":\"HS25\\u0036\"}", ""},
	{"blanks may stand around", " {\r\n\t\"alg\" : \"HS256\" } ", ""},
	{"a kid chooses none where the key has none", "{\"alg\":\"HS256\",\"kid\":\"other\"}", ""},
	{"an empty kid too", "{\"alg\":\"HS256\",\"kid\":\"\"}", ""},
	/* the algorithm */
	{"alg is needed", "{}", "algorithm"},
	{"none is no algorithm", "{\"alg\":\"none\"}", "algorithm"},
	{"nor is None", "{\"alg\":\"None\"}", "algorithm"},
	{"nor is NONE", "{\"alg\":\"NONE\"}", "algorithm"},
	{"nor is nOnE", "{\"alg\":\"nOnE\"}", "algorithm"},
	{"nor with escapes", "{\"alg\":\"n\\u006fne\"}", "algorithm"},
	{"an empty one is none", "{\"alg\":\"\"}", "algorithm"},
	{"null is none", "{\"alg\":null}", "algorithm"},
	{"a number is none", "{\"alg\":256}", "algorithm"},
	{"a list is none", "{\"alg\":[\"HS256\"]}", "algorithm"},
	{"it is told by capital letters", "{\"alg\":\"hs256\"}", "algorithm"},
	{"blanks are not passed over in it", "{\"alg\":\"HS256 \"}", "algorithm"},
	{"a NUL does not end it", "{\"alg\":\"HS256\\u0000\"}", "algorithm"},
	{"HS1 is none of ours", "{\"alg\":\"HS1\"}", "algorithm"},
	{"another digest than it was signed with", "{\"alg\":\"HS384\"}", "signature"},
	{"RS256, signed with a secret", "{\"alg\":\"RS256\"}", "signature"},
	{"ES256, signed with a secret", "{\"alg\":\"ES256\"}", "signature"},
	{"EdDSA, signed with a secret", "{\"alg\":\"EdDSA\"}", "signature"},
	/* keys of the token's own */
	{"a key in it is passed over, and ours counts",
         "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", ""},
	{"addresses of keys are passed over",
         "{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1:1/\",\"x5u\":\"http://127.0.0.1:1/\","
         "\"x5c\":[\"AAAA\"],\"x5t\":\"AAAA\"}",
         ""},
	/* what must be understood */
	{"crit is refused", "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", "asks for"},
	{"an empty crit too", "{\"alg\":\"HS256\",\"crit\":[]}", "asks for"},
	{"crit that is null too", "{\"alg\":\"HS256\",\"crit\":null}", "asks for"},
	{"a payload that is not base64url is refused",
         "{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", "asks for"},
	{"also where nothing is critical", "{\"alg\":\"HS256\",\"b64\":false}", "asks for"},
	{"crit is found behind escapes", "{\"alg\":\"HS256\",\"cr\\u0069t\":[]}", "asks for"},
	/* kid */
	{"kid is a string", "{\"alg\":\"HS256\",\"kid\":5}", "kid"},
	{"kid is not null", "{\"alg\":\"HS256\",\"kid\":null}", "kid"},
	{"kid is text", "{\"alg\":\"HS256\",\"kid\":\"\\ud800\"}", "kid"},
	/* JSON */
	{"alg twice is refused", "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "each name once"},
	{"also behind escapes", "{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}", "each name once"},
	{"a name that does not matter stands once too", "{\"alg\":\"HS256\",\"x\":1,\"x\":1}",
         "each name once"},
	{"a name is text", "{\"alg\":\"HS256\",\"\\udfff\":1}", "each name once"},
	{"32 names may be there", "{\"" TEN(a) "\"" TEN(b) "\"" TEN(c) "\"x\":1,\"alg\":\"HS256\"}",
         ""},
	{"33 may not", "{\"" TEN(a) "\"" TEN(b) "\"" TEN(c) "\"x\":1,\"y\":1,\"alg\":\"HS256\"}",
         "each name once"},
	{"a header is an object", "[\"alg\",\"HS256\"]", "each name once"},
	{"it is not a string", "\"HS256\"", "each name once"},
	{"it is not empty", "", "each name once"},
	{"it is JSON", "{alg:\"HS256\"}", "each name once"},
	{"one object", "{\"alg\":\"HS256\"}{}", "each name once"},
	{"it is UTF-8", "{\"alg\":\"HS256\",\"x\":\"\xff\"}", "each name once"},
	{"without a mark at its start", "\xef\xbb\xbf{\"alg\":\"HS256\"}", "each name once"},
	{"it is not nested without end",
         "{\"alg\":\"HS256\",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
         "}",
         "each name once"},
};

static void check_headers(void)
{
	struct signer by = {.secret = SECRET, .digest = EVP_sha256()};
	for (size_t i = 0; i < COUNT_OF(headers); i++) {
		printf("jwt: header: %s\n", headers[i].name);
		struct slice text = make_token(&token, headers[i].header, SLICE(PAYLOAD), &by);
		if (headers[i].reason[0] == '\0')
			CHECK(opens(keys, text));
		else
			CHECK(is_refused(keys, text, headers[i].reason));
	}
}

/* ---- signatures by what is no key for them ---- */

static void check_none(void)
{
	static const char *const spellings[] = {"none", "None", "NONE", "nONE",
	                                        "",     "null", "HS256"};
	struct signer nobody = {0};
	char header[64];
	printf("jwt: no signature is no signature, whatever alg says\n");
	for (size_t i = 0; i < COUNT_OF(spellings); i++) {
		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", spellings[i]);
		struct slice text = make_token(&token, header, SLICE(PAYLOAD), &nobody);
		CHECK(is_refused(keys, text, "three parts"));
		/* one byte, so that the part is not empty */
		buf_string(&token, "AA");
		CHECK(!opens(keys, buf_view(&token)));
	}
}

/* RFC 8725 section 2.1: the public key is known to all, so it must not do as a secret. */
static void check_public_as_secret(void)
{
	EVP_PKEY *const pairs[] = {rsa, ec, ed25519};
	static const char *const names[] = {"HS256", "HS384", "HS512"};
	const EVP_MD *const digests[] = {EVP_sha256(), EVP_sha384(), EVP_sha512()};
	struct key_set *public = key_set_create();
	const char *why;
	char header[64];
	printf("jwt: no public key does as a secret\n");
	for (size_t i = 0; i < COUNT_OF(pairs); i++)
		CHECK(key_set_add_public(public, pairs[i], slice_of(NULL, 0), &why) == 0);
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		struct buf pem = {0};
		append_pem(&pem, pairs[i]);
		buf_char(&pem, '\0');
		for (size_t j = 0; j < COUNT_OF(names); j++) {
			struct signer by = {.secret = pem.at, .digest = digests[j]};
			snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", names[j]);
			struct slice text = make_token(&token, header, SLICE(PAYLOAD), &by);
			CHECK(is_refused(public, text, "no key"));
			CHECK(is_refused(keys, text, "signature"));
		}
		buf_free(&pem);
	}
	key_set_destroy(public);
}

static const struct {
	const char *header;
	EVP_PKEY **key;
	const char *digest; /* NULL: EdDSA has its own */
	bool is_der;
	const char *reason; /* "": it opens */
} pairs[] = {
	{"{\"alg\":\"RS256\"}", &rsa, "SHA256", false, ""},
	{"{\"alg\":\"ES256\"}", &ec, "SHA256", false, ""},
	{"{\"alg\":\"EdDSA\"}", &ed25519, NULL, false, ""},
	{"{\"alg\":\"ES256\"}", &ec, "SHA256", true, "signature"}, /* as ASN.1 */
	{"{\"alg\":\"RS256\"}", &rsa, "SHA512", false, "signature"},
	{"{\"alg\":\"RS512\"}", &rsa, "SHA512", false, "algorithm"},
	{"{\"alg\":\"PS256\"}", &rsa, "SHA256", false, "algorithm"},
	{"{\"alg\":\"RS256\"}", &ec, "SHA256", false, "signature"},
	{"{\"alg\":\"ES256\"}", &rsa, "SHA256", false, "signature"},
	{"{\"alg\":\"EdDSA\"}", &ec, "SHA256", false, "signature"},
	{"{\"alg\":\"ES256\"}", &ed25519, NULL, false, "signature"},
	{"{\"alg\":\"HS256\"}", &rsa, "SHA256", false, "signature"},
	{"{\"alg\":\"none\"}", &rsa, "SHA256", false, "algorithm"},
};

static void check_pairs(void)
{
	printf("jwt: a private key signs by its own algorithm, and by no other\n");
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		const EVP_MD *digest =
			pairs[i].digest == NULL ? NULL : EVP_get_digestbyname(pairs[i].digest);
		struct signer by = {
			.key = *pairs[i].key, .digest = digest, .is_der = pairs[i].is_der};
		struct slice text = make_token(&token, pairs[i].header, SLICE(PAYLOAD), &by);
		if (pairs[i].reason[0] == '\0')
			CHECK(opens(keys, text));
		else
			CHECK(is_refused(keys, text, pairs[i].reason));
	}
}

/* ---- kid ---- */

static void check_kid(void)
{
	struct key_set *set = key_set_create();
	EVP_PKEY *first = make_ec("P-256"), *second = make_ec("P-256"), *third = make_ec("P-256");
	struct signer by_first = {.key = first, .digest = EVP_sha256()};
	struct signer by_second = {.key = second, .digest = EVP_sha256()};
	struct signer by_third = {.key = third, .digest = EVP_sha256()};
	const char *why;
	CHECK(key_set_add_public(set, first, SLICE("1"), &why) == 0);
	CHECK(key_set_add_public(set, second, SLICE("2"), &why) == 0);

	printf("jwt: a kid chooses among the keys that have one\n");
	CHECK(opens(set, make_token(&token, "{\"alg\":\"ES256\",\"kid\":\"1\"}", SLICE(PAYLOAD),
	                            &by_first)));
	CHECK(opens(set, make_token(&token, "{\"alg\":\"ES256\",\"kid\":\"\\u0032\"}",
	                            SLICE(PAYLOAD), &by_second)));
	printf("jwt: another key's kid is refused, though its key is there\n");
	CHECK(is_refused(
		set,
		make_token(&token, "{\"alg\":\"ES256\",\"kid\":\"2\"}", SLICE(PAYLOAD), &by_first),
		"signature"));
	printf("jwt: a kid that no key has is refused\n");
	CHECK(is_refused(
		set,
		make_token(&token, "{\"alg\":\"ES256\",\"kid\":\"3\"}", SLICE(PAYLOAD), &by_first),
		"kid"));
	CHECK(is_refused(
		set,
		make_token(&token, "{\"alg\":\"ES256\",\"kid\":\"\"}", SLICE(PAYLOAD), &by_first),
		"kid"));
	printf("jwt: without a kid each key that fits is tried\n");
	CHECK(opens(set, make_token(&token, "{\"alg\":\"ES256\"}", SLICE(PAYLOAD), &by_second)));
	CHECK(is_refused(set, make_token(&token, "{\"alg\":\"ES256\"}", SLICE(PAYLOAD), &by_third),
	                 "signature"));
	printf("jwt: and counts for what it takes\n");
	uint64_t cost_us = key_set_next(set, NULL, KEY_ES256, slice_of(NULL, 0))->cost_us;
	uint64_t before_us = reader.spent_us;
	CHECK(!opens(set, buf_view(&token)));
	CHECK(reader.spent_us == before_us + 2 * cost_us);
	printf("jwt: so is a key without one\n");
	CHECK(key_set_add_public(set, third, slice_of(NULL, 0), &why) == 0);
	CHECK(opens(set, make_token(&token, "{\"alg\":\"ES256\",\"kid\":\"3\"}", SLICE(PAYLOAD),
	                            &by_third)));
	EVP_PKEY_free(first);
	EVP_PKEY_free(second);
	EVP_PKEY_free(third);
	key_set_destroy(set);
}

/* ---- what is no token, or no more ---- */

static const struct {
	const char *name;
	const char *text;
	const char *reason;
} texts[] = {
	{"nothing is none", "", "three parts"},
	{"one part is none", "eyJhbGciOiJIUzI1NiJ9", "three parts"},
	{"two parts are none", "eyJhbGciOiJIUzI1NiJ9.e30", "three parts"},
	{"three parts need something in the last", "eyJhbGciOiJIUzI1NiJ9.e30.", "three parts"},
	{"four parts are none", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA.", "three parts"},
	{"five parts are another thing, encrypted", "e30.AAAA.AAAA.AAAA.AAAA", "three parts"},
	{"dots alone are none", "..", "three parts"},
	{"dots with something behind are none", "..AAAA", "each name once"},
	{"JSON is none", "{\"payload\":\"e30\"}", "three parts"},
	{"a header is base64url", "{}.e30.AAAA", "base64url"},
	{"a signature is base64url", "eyJhbGciOiJIUzI1NiJ9.e30.A+/A", "base64url"},
	{"a signature of no whole byte is none", "eyJhbGciOiJIUzI1NiJ9.e30.A", "base64url"},
	{"a blank in front is refused", " " TOKEN_A1, "base64url"},
	{"a blank behind is refused", TOKEN_A1 " ", "base64url"},
	{"a line feed behind is refused", TOKEN_A1 "\n", "base64url"},
	{"padding is refused", TOKEN_A1 "=", "base64url"},
	{"bearer is no part of it", "Bearer " TOKEN_A1, "base64url"},
};

static void check_texts(void)
{
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		printf("jwt: %s\n", texts[i].name);
		CHECK(is_refused(of_rfc, slice_string(texts[i].text), texts[i].reason));
	}
}

/* Each other text of the same bytes in base64: no such may open, or a token that was taken back
 * would come again in another guise. */
static void check_flips(struct slice good)
{
	char *copy = malloc(good.len);
	CHECK(copy != NULL);
	memcpy(copy, good.at, good.len);
	CHECK(opens(of_rfc, slice_of(copy, good.len)));
	for (size_t at = 0; at < good.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			copy[at] = (char)(good.at[at] ^ (1 << bit));
			CHECK(!opens(of_rfc, slice_of(copy, good.len)));
		}
		copy[at] = good.at[at];
	}
	free(copy);
}

static void check_cuts(struct slice good)
{
	struct buf longer = {0};
	for (size_t len = 0; len < good.len; len++)
		CHECK(!opens(of_rfc, slice_of(good.at, len)));
	for (size_t from = 1; from < good.len; from++)
		CHECK(!opens(of_rfc, slice_after(good, from)));
	for (unsigned byte = 0; byte < 256; byte++) {
		buf_clear(&longer);
		buf_slice(&longer, good);
		buf_char(&longer, (char)byte);
		CHECK(!opens(of_rfc, buf_view(&longer)));
	}
	buf_free(&longer);
}

static void check_changed(void)
{
	static const struct slice tokens[] = {SLICE_INIT(TOKEN_A1), SLICE_INIT(TOKEN_A2),
	                                      SLICE_INIT(TOKEN_A3), SLICE_INIT(TOKEN_8037)};
	printf("jwt: no bit of a token may be another\n");
	for (size_t i = 0; i < COUNT_OF(tokens); i++)
		check_flips(tokens[i]);
	printf("jwt: no byte may be missing at either end, nor one be there too many\n");
	for (size_t i = 0; i < COUNT_OF(tokens); i++)
		check_cuts(tokens[i]);
}

/* The parts of two good tokens put together. */
static void check_mixed(void)
{
	struct signer by = {.secret = SECRET, .digest = EVP_sha256()};
	struct buf mixed = {0};
	const char *const payloads[] = {"{\"sub\":\"ann\"}", "{\"sub\":\"bob\"}"};
	printf("jwt: a signature is not another payload's\n");
	struct slice rest = make_token(&token, HS256, slice_string(payloads[0]), &by), part;
	CHECK(slice_cut(&rest, '.', &part));
	buf_slice(&mixed, part);
	buf_char(&mixed, '.');
	append_base64url(&mixed, slice_string(payloads[1]));
	CHECK(slice_cut(&rest, '.', &part));
	buf_char(&mixed, '.');
	buf_slice(&mixed, rest);
	CHECK(is_refused(keys, buf_view(&mixed), "signature"));
	buf_free(&mixed);
}

/* A payload that is signed as it stands, and is not base64url all the same. */
static void check_payload_text(void)
{
	static const char *const payloads[] = {"e30=", "e31", "e3 0", "e3+0", "e"};
	struct signer by = {.secret = SECRET, .digest = EVP_sha256()};
	unsigned char signature[64];
	printf("jwt: a signed payload is read as strictly\n");
	for (size_t i = 0; i < COUNT_OF(payloads); i++) {
		buf_clear(&token);
		append_base64url(&token, SLICE(HS256));
		buf_char(&token, '.');
		buf_string(&token, payloads[i]);
		size_t len = sign_bytes(&by, buf_view(&token), signature);
		buf_char(&token, '.');
		append_base64url(&token, slice_of((char *)signature, len));
		CHECK(is_refused(keys, buf_view(&token), "base64url"));
	}
}

static void check_lengths(void)
{
	struct signer by = {.secret = SECRET, .digest = EVP_sha256()};
	struct buf payload = {0}, longest = {0};
	printf("jwt: a token may be so long, and no longer\n");
	size_t len = make_token(&token, HS256, buf_view(&payload), &by).len;
	while (len + text_base64url_len(payload.len + 1) <= TOKEN_BYTES_MAX)
		buf_char(&payload, 'x');
	CHECK(opens(keys, make_token(&token, HS256, buf_view(&payload), &by)));
	CHECK(slice_equals(buf_view(&reader.payload), buf_view(&payload)));
	CHECK(token.len >= TOKEN_BYTES_MAX - 1);
	buf_string(&payload, "xx");
	CHECK(is_refused(keys, make_token(&token, HS256, buf_view(&payload), &by), "too long"));

	printf("jwt: a signature longer than any key's is refused\n");
	buf_string(&longest, "eyJhbGciOiJSUzI1NiJ9.e30.");
	while (longest.len < TOKEN_BYTES_MAX)
		buf_char(&longest, 'A');
	CHECK(is_refused(keys, buf_view(&longest), "too long"));
	buf_free(&payload);
	buf_free(&longest);
}

static void check_made(void)
{
	printf("jwt: what it makes, it opens\n");
	buf_clear(&token);
	buf_string(&token, "before");
	jwt_make(&reader, keys, SLICE(PAYLOAD), &token);
	CHECK(!token.is_broken);
	CHECK(slice_starts(buf_view(&token), SLICE("beforeeyJ")));
	CHECK(opens(keys, slice_after(buf_view(&token), 6)));
	CHECK(slice_is(buf_view(&reader.payload), PAYLOAD));
}

int main(void)
{
	const char *why;
	CHECK(jwt_reader_init(&reader));
	CHECK((keys = key_set_create()) != NULL);
	rsa = make_rsa(2048);
	ec = make_ec("P-256");
	ed25519 = make_ed25519();
	CHECK(key_set_add_secret(keys, SLICE(SECRET), &why) == 0);
	CHECK(key_set_add_public(keys, rsa, slice_of(NULL, 0), &why) == 0);
	CHECK(key_set_add_public(keys, ec, slice_of(NULL, 0), &why) == 0);
	CHECK(key_set_add_public(keys, ed25519, slice_of(NULL, 0), &why) == 0);
	of_rfc = make_rfc_keys();
	check_vectors();
	check_headers();
	check_none();
	check_public_as_secret();
	check_pairs();
	check_kid();
	check_texts();
	check_changed();
	check_mixed();
	check_payload_text();
	check_lengths();
	check_made();
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(ed25519);
	key_set_destroy(keys);
	key_set_destroy(of_rfc);
	jwt_reader_free(&reader);
	buf_free(&token);
	return 0;
}
