/*
 * What claims a token gives, and which tokens are refused for theirs. All are signed well: how
 * they may be forged is in jwt_test.c.
 */
#include "auth/token.h"

#include "../guard.h"
#include "auth/jwks.h"
#include "signing.h"
#include "vectors.h"

#define SECRET "the secret that the keys of these tests hold"
#define NOW_S "1700000000"
#define NOW_MS UINT64_C(1700000000000)

static struct jwt_reader reader;
static struct key_set *keys;
static struct buf token;
static const char *why;

static const struct token_policy plain = {.audience = "", .issuer = "", .needs_expiry = true};
static const struct token_policy lenient = {.audience = "", .issuer = ""};
static const struct token_policy strict = {
	.audience = "starling", .issuer = "https://a/", .needs_expiry = true};

/* Claims of a payload, or NULL and `why`. The token lies against a guard page and is gone before
 * the claims are looked at. */
static struct claims *read_at(const char *payload, const struct token_policy *policy,
                              uint64_t now_ms)
{
	struct signer by = {.secret = SECRET, .digest = EVP_sha256()};
	struct slice text = make_token(&token, "{\"alg\":\"HS256\"}", slice_string(payload), &by);
	struct claims *claims;
	char *guarded = guard_copy(text);
	enum error_code error = token_read(&reader, keys, policy, slice_of(guarded, text.len),
	                                   now_ms, &claims, &why);
	guard_drop(guarded, text.len);
	CHECK(error == ERROR_NONE || error == ERROR_UNAUTHORIZED);
	CHECK((error == ERROR_NONE) == (claims != NULL));
	CHECK(why != NULL);
	if (claims != NULL)
		CHECK(claims->is_token);
	return claims;
}

#define EXP "\"exp\":1700000060"
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X255 X64 X64 X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X200 X64 X64 X64 "xxxxxxxx"

/* ---- refused ---- */

static const struct {
	const char *name;
	const char *payload;
	const struct token_policy *policy;
	const char *reason;
} refused[] = {
	/* the payload as such */
	{"claims are an object", "[]", &lenient, "no JSON object"},
	{"they are not nothing", "", &lenient, "no JSON object"},
	{"they are not a string", "\"{}\"", &lenient, "no JSON object"},
	{"they are not another token", TOKEN_A1, &lenient, "no JSON object"},
	{"they are UTF-8", "{\"x\":\"\xff\"}", &lenient, "no JSON object"},
	{"they are one object", "{}{}", &lenient, "no JSON object"},
	{"they are not nested without end",
         "{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", &lenient,
         "no JSON object"},
	{"a claim stands once", "{" EXP "," EXP "}", &plain, "each name once"},
	{"also behind escapes", "{" EXP ",\"\\u0065xp\":9999999999}", &plain, "each name once"},
	{"also one that does not matter", "{" EXP ",\"x\":1,\"x\":1}", &plain, "each name once"},
	{"sub stands once", "{" EXP ",\"sub\":\"ann\",\"sub\":\"bob\"}", &plain, "each name once"},
	/* exp */
	{"exp is needed outside open mode", "{}", &plain, "no exp"},
	{"exp is a number", "{\"exp\":\"1700000060\"}", &plain, "exp is not"},
	{"exp is not null", "{\"exp\":null}", &plain, "exp is not"},
	{"also where none is needed", "{\"exp\":null}", &lenient, "exp is not"},
	{"exp is not true", "{\"exp\":true}", &plain, "exp is not"},
	{"exp is no list", "{\"exp\":[1700000060]}", &plain, "exp is not"},
	{"a token expires", "{\"exp\":1699999990}", &plain, "has expired"},
	{"also where it need not", "{\"exp\":1699999990}", &lenient, "has expired"},
	{"five seconds after its exp at the latest", "{\"exp\":1699999995}", &plain, "has expired"},
	{"to the millisecond", "{\"exp\":1699999994.999}", &plain, "has expired"},
	{"one of long ago has expired", "{\"exp\":0}", &plain, "has expired"},
	{"one before all time has", "{\"exp\":-1}", &plain, "has expired"},
	{"one far before all time has", "{\"exp\":-1e300}", &plain, "has expired"},
	{"one endlessly before it has", "{\"exp\":-1e999}", &plain, "has expired"},
	{"a nothing has", "{\"exp\":-0}", &plain, "has expired"},
	{"a next to nothing has", "{\"exp\":1e-999}", &plain, "has expired"},
	/* nbf */
	{"nbf is a number", "{" EXP ",\"nbf\":\"0\"}", &plain, "nbf is not"},
	{"nbf is not null", "{" EXP ",\"nbf\":null}", &plain, "nbf is not"},
	{"a token begins", "{" EXP ",\"nbf\":1700000010}", &plain, "not valid yet"},
	{"five seconds before its nbf at the earliest", "{" EXP ",\"nbf\":1700000005.001}", &plain,
         "not valid yet"},
	{"one that never begins is refused", "{" EXP ",\"nbf\":1e999}", &plain, "not valid yet"},
	/* iss, aud */
	{"an issuer is needed where one is set", "{" EXP ",\"aud\":\"starling\"}", &strict,
         "another issuer"},
	{"another issuer is refused", "{" EXP ",\"aud\":\"starling\",\"iss\":\"https://b/\"}",
         &strict, "another issuer"},
	{"an issuer is that to the letter", "{" EXP ",\"aud\":\"starling\",\"iss\":\"https://a\"}",
         &strict, "another issuer"},
	{"an issuer is a string", "{" EXP ",\"iss\":[\"https://a/\"]}", &plain, "iss is not"},
	{"an audience is needed where one is set", "{" EXP ",\"iss\":\"https://a/\"}", &strict,
         "another audience"},
	{"another audience is refused", "{" EXP ",\"iss\":\"https://a/\",\"aud\":\"Starling\"}",
         &strict, "another audience"},
	{"also in a list", "{" EXP ",\"iss\":\"https://a/\",\"aud\":[\"star\",\"ling\"]}", &strict,
         "another audience"},
	{"also in an empty one", "{" EXP ",\"iss\":\"https://a/\",\"aud\":[]}", &strict,
         "another audience"},
	{"an audience is text", "{" EXP ",\"aud\":5}", &plain, "aud is neither"},
	{"each in a list is", "{" EXP ",\"iss\":\"https://a/\",\"aud\":[\"starling\",5]}", &strict,
         "aud is neither"},
	{"an audience is no object", "{" EXP ",\"aud\":{\"starling\":1}}", &plain,
         "aud is neither"},
	/* sub */
	{"sub is a string", "{" EXP ",\"sub\":5}", &plain, "sub is not"},
	{"sub is not null", "{" EXP ",\"sub\":null}", &plain, "sub is not"},
	{"sub is not empty", "{" EXP ",\"sub\":\"\"}", &plain, "sub is not"},
	{"sub has 255 bytes at most", "{" EXP ",\"sub\":\"" X255 "x\"}", &plain, "sub is not"},
	{"sub has no control characters", "{" EXP ",\"sub\":\"a\\u0000b\"}", &plain, "sub is not"},
	{"nor a line feed", "{" EXP ",\"sub\":\"a\\nb\"}", &plain, "sub is not"},
	{"sub is no half of a character", "{" EXP ",\"sub\":\"\\udc00\"}", &plain, "sub is not"},
	/* allow */
	{"allow is an object", "{" EXP ",\"allow\":[\"chat:*\"]}", &plain, "allow is not"},
	{"allow is not null", "{" EXP ",\"allow\":null}", &plain, "allow is not"},
	{"rights are a string", "{" EXP ",\"allow\":{\"chat:*\":[\"r\"]}}", &plain, "allow is not"},
	{"they are r, w and p", "{" EXP ",\"allow\":{\"chat:*\":\"rx\"}}", &plain, "allow is not"},
	{"in small letters", "{" EXP ",\"allow\":{\"chat:*\":\"R\"}}", &plain, "allow is not"},
	{"each once", "{" EXP ",\"allow\":{\"chat:*\":\"rwr\"}}", &plain, "allow is not"},
	{"not with a NUL", "{" EXP ",\"allow\":{\"chat:*\":\"r\\u0000\"}}", &plain, "allow is not"},
	{"a pattern stands once", "{" EXP ",\"allow\":{\"a\":\"r\",\"\\u0061\":\"w\"}}", &plain,
         "a pattern twice"},
	{"a pattern is not empty", "{" EXP ",\"allow\":{\"\":\"r\"}}", &plain, "no channel"},
	{"a pattern has no blank", "{" EXP ",\"allow\":{\"a b\":\"r\"}}", &plain, "no channel"},
	{"a pattern has no comma", "{" EXP ",\"allow\":{\"a,b\":\"r\"}}", &plain, "no channel"},
	{"a pattern is ASCII", "{" EXP ",\"allow\":{\"\xc3\xa5\":\"r\"}}", &plain, "no channel"},
	{"a pattern has 200 bytes at most", "{" EXP ",\"allow\":{\"" X200 "x\":\"r\"}}", &plain,
         "no channel"},
};

static void check_refused(void)
{
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		printf("token: %s\n", refused[i].name);
		CHECK(read_at(refused[i].payload, refused[i].policy, NOW_MS) == NULL);
		if (strstr(why, refused[i].reason) != NULL)
			continue;
		fprintf(stderr, "refused for: %s\n", why);
		CHECK(false);
	}
}

/* ---- good ---- */

static const struct {
	const char *name;
	const char *payload;
	const struct token_policy *policy;
	uint64_t expires_ms;
	const char *user, *info;
} good[] = {
	{"exp alone is enough", "{" EXP "}", &plain, NOW_MS + 60000, "", ""},
	{"blanks may stand around", " \n{ \"exp\" : 1700000060 }\t", &plain, NOW_MS + 60000, "",
         ""},
	{"other claims do not matter",
         "{" EXP ",\"iat\":\"x\",\"jti\":[],\"scope\":{\"a\":1},\"nonce\":null}", &plain,
         NOW_MS + 60000, "", ""},
	{"nothing is enough where exp need not be", "{}", &lenient, CLAIMS_NEVER, "", ""},
	/* exp */
	{"exp may have a fraction", "{\"exp\":1700000000.25}", &plain, NOW_MS + 250, "", ""},
	{"exp may be written otherwise", "{\"exp\":17000000.6E+2}", &plain, NOW_MS + 60000, "", ""},
	{"with very many digits", "{\"exp\":1700000060.000000000000000000000000000000000000000000}",
         &plain, NOW_MS + 60000, "", ""},
	{"who comes within five seconds of exp is let in for what is left of them",
         "{\"exp\":1699999999}", &plain, NOW_MS + 4000, "", ""},
	{"to the millisecond", "{\"exp\":1699999995.001}", &plain, NOW_MS + 1, "", ""},
	{"exp itself is too late by nothing", "{\"exp\":1700000000}", &plain, NOW_MS + 5000, "",
         ""},
	{"exp may be far away", "{\"exp\":99999999999}", &plain, UINT64_C(99999999999000), "", ""},
	{"exp beyond all time is never", "{\"exp\":1e300}", &plain, CLAIMS_NEVER, "", ""},
	{"exp beyond all numbers too", "{\"exp\":1e999}", &plain, CLAIMS_NEVER, "", ""},
	{"also in digits", "{\"exp\":99999999999999999999999999999999999999999999999999}", &plain,
         CLAIMS_NEVER, "", ""},
	/* nbf */
	{"nbf may have passed", "{" EXP ",\"nbf\":1699999999}", &plain, NOW_MS + 60000, "", ""},
	{"nbf may come within five seconds", "{" EXP ",\"nbf\":1700000005}", &plain, NOW_MS + 60000,
         "", ""},
	{"nbf may be before all time", "{" EXP ",\"nbf\":-1e999}", &plain, NOW_MS + 60000, "", ""},
	/* iss, aud */
	{"issuer and audience as they are set",
         "{" EXP ",\"iss\":\"https://a/\",\"aud\":\"starling\"}", &strict, NOW_MS + 60000, "", ""},
	{"written with escapes",
         "{" EXP ",\"iss\":\"https:\\/\\/a\\/\",\"aud\":\"st\\u0061rling\"}", &strict,
         NOW_MS + 60000, "", ""},
	{"an audience among others",
         "{" EXP ",\"iss\":\"https://a/\",\"aud\":[\"x\",\"starling\"]}", &strict, NOW_MS + 60000,
         "", ""},
	{"any issuer and audience where none is set", "{" EXP ",\"iss\":\"x\",\"aud\":[\"y\"]}",
         &plain, NOW_MS + 60000, "", ""},
	/* sub, info */
	{"sub is the user", "{" EXP ",\"sub\":\"ann\"}", &plain, NOW_MS + 60000, "ann", ""},
	{"as it is decoded", "{" EXP ",\"sub\":\"\\u00e5sa \\ud83d\\ude00\\/\"}", &plain,
         NOW_MS + 60000, "\xc3\xa5sa \xf0\x9f\x98\x80/", ""},
	{"of 255 bytes at most", "{" EXP ",\"sub\":\"" X255 "\"}", &plain, NOW_MS + 60000, X255,
         ""},
	{"info is any JSON, as it is written", "{" EXP ",\"info\":{\"name\": [\"\\u0041\", 1.0]}}",
         &plain, NOW_MS + 60000, "", "{\"name\": [\"\\u0041\", 1.0]}"},
	{"a number too", "{" EXP ",\"info\":0}", &plain, NOW_MS + 60000, "", "0"},
	{"names within it are its own", "{" EXP ",\"info\":{\"exp\":1,\"exp\":2}}", &plain,
         NOW_MS + 60000, "", "{\"exp\":1,\"exp\":2}"},
	{"null is no info", "{" EXP ",\"info\":null}", &plain, NOW_MS + 60000, "", ""},
};

static void check_good(void)
{
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		printf("token: %s\n", good[i].name);
		struct claims *claims = read_at(good[i].payload, good[i].policy, NOW_MS);
		CHECK(claims != NULL);
		CHECK(claims->expires_unix_ms == good[i].expires_ms);
		CHECK(slice_is(claims_user(claims), good[i].user));
		CHECK(slice_is(claims_info(claims), good[i].info));
		CHECK(!claims_allow(claims, SLICE("c"), 7));
		claims_free(claims);
	}
}

/* ---- allow ---- */

#define ALLOW                                                                                      \
	"{" EXP                                                                                    \
	",\"sub\":\"ann\",\"allow\":{\"chat:*\":\"rw\",\"news:\\u002a\":\"r\",\"log\":\"w\","      \
	"\"room\":\"p\",\"all\":\"pwr\",\"no\":\"\",\"@bob\":\"w\"}}"

static const struct {
	const char *channel;
	unsigned rights;
} allowed[] = {
	{"chat:1", CLAIMS_READ | CLAIMS_WRITE},
	{"news:today", CLAIMS_READ},
	{"log", CLAIMS_WRITE},
	{"room", CLAIMS_PRESENCE},
	{"all", CLAIMS_READ | CLAIMS_WRITE | CLAIMS_PRESENCE},
	{"no", 0},
	{"@bob", CLAIMS_WRITE},
	{"@ann", 0},
	{"other", 0},
};

static void check_allow(void)
{
	struct claims *claims = read_at(ALLOW, &plain, NOW_MS);
	printf("token: allow gives what its patterns say\n");
	CHECK(claims != NULL);
	for (size_t i = 0; i < COUNT_OF(allowed); i++) {
		struct slice channel = slice_string(allowed[i].channel);
		for (unsigned right = 1; right < 8; right *= 2)
			CHECK(claims_allow(claims, channel, right) ==
			      ((allowed[i].rights & right) != 0));
	}
	claims_free(claims);
}

/* ---- limits ---- */

static void append_patterns(struct buf *payload, int count)
{
	buf_clear(payload);
	buf_string(payload, "{" EXP ",\"allow\":{");
	for (int i = 0; i < count; i++)
		buf_format(payload, "%s\"channel:%d:*\":\"r\"", i > 0 ? "," : "", i);
	buf_string(payload, "}}");
	buf_char(payload, '\0');
}

static void append_info(struct buf *payload, size_t len)
{
	buf_clear(payload);
	buf_string(payload, "{" EXP ",\"info\":\"");
	for (size_t i = 2; i < len; i++)
		buf_char(payload, 'i');
	buf_string(payload, "\"}");
	buf_char(payload, '\0');
}

static void append_names(struct buf *payload, int count)
{
	buf_clear(payload);
	buf_string(payload, "{" EXP);
	for (int i = 1; i < count; i++)
		buf_format(payload, ",\"%d\":1", i);
	buf_string(payload, "}");
	buf_char(payload, '\0');
}

static void check_limits(void)
{
	static void (*const append[])(struct buf * payload, int count) = {append_patterns,
	                                                                  append_names};
	static const int maxima[] = {CLAIMS_GRANTS_MAX, TOKEN_NAMES_MAX};
	struct buf payload = {0};
	printf("token: so many patterns and so many claims, and no more\n");
	for (size_t i = 0; i < COUNT_OF(append); i++) {
		append[i](&payload, maxima[i]);
		struct claims *claims = read_at(payload.at, &plain, NOW_MS);
		CHECK(claims != NULL);
		claims_free(claims);
		append[i](&payload, maxima[i] + 1);
		CHECK(read_at(payload.at, &plain, NOW_MS) == NULL);
	}
	printf("token: so many bytes of info, and no more\n");
	append_info(&payload, CLAIMS_INFO_MAX);
	struct claims *claims = read_at(payload.at, &plain, NOW_MS);
	CHECK(claims != NULL);
	CHECK(claims_info(claims).len == CLAIMS_INFO_MAX);
	claims_free(claims);
	append_info(&payload, CLAIMS_INFO_MAX + 1);
	CHECK(read_at(payload.at, &plain, NOW_MS) == NULL);
	CHECK(strstr(why, "info") != NULL);
	buf_free(&payload);
}

/* ---- the standard's own: RFC 7519 section 3.1 ---- */

static void check_joe(void)
{
	struct key_set *set = key_set_create();
	struct claims *claims;
	char secret[64];
	CHECK(text_to_base64url(SLICE(SECRET_A1), secret));
	CHECK(key_set_add_secret(set, slice_of(secret, sizeof(secret)), &why) == 0);
	printf("token: RFC 7519 3.1 was good until 2011, and is not any more\n");
	CHECK(token_read(&reader, set, &plain, SLICE(TOKEN_A1), JOE_EXPIRES_MS - 1, &claims,
	                 &why) == ERROR_NONE);
	CHECK(claims->expires_unix_ms == JOE_EXPIRES_MS);
	claims_free(claims);
	CHECK(token_read(&reader, set, &plain, SLICE(TOKEN_A1), NOW_MS, &claims, &why) ==
	      ERROR_UNAUTHORIZED);
	key_set_destroy(set);
}

int main(void)
{
	CHECK(jwt_reader_init(&reader));
	CHECK((keys = key_set_create()) != NULL);
	CHECK(key_set_add_secret(keys, SLICE(SECRET), &why) == 0);
	check_refused();
	check_good();
	check_allow();
	check_limits();
	check_joe();
	key_set_destroy(keys);
	jwt_reader_free(&reader);
	buf_free(&token);
	return 0;
}
