/*
 * Any token. The first byte says what the rest is:
 *
 *   '.'     a token as it came: it opens for nobody who did not sign it
 *   '{'     a payload (with that brace), signed here: its claims are within their limits
 *   '"'     a header, then a line feed, then a payload, signed here: the same
 *   '!'     who signs (enum who), a header (empty: the right one), a line feed, a payload, another
 *           one, and then edits of the token of four bytes each: see edit()
 *
 * Whatever the bytes: what opens was signed here, to the byte, by one whose key counts.
 */
#include <stdlib.h>

#include "../unit/auth/signing.h"
#include "auth/token.h"
#include "hub/rule.h"
#include "starling/limits.h"
#include "token_keys.h"
#include "wire/utf8.h"

#define SECRET "what the fuzzer does not know"
#define NOW_MS UINT64_C(1700000000000)
#define OTHER_PAYLOAD "{\"sub\":\"other\",\"iss\":\"i\",\"aud\":\"a\"}"
#define SIGNED_MAX 2 /* tokens of one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Up to WHO_ED25519 their keys count. The others would like that. */
enum who {
	WHO_SECRET = 0,
	WHO_RSA,
	WHO_EC,
	WHO_ED25519,
	WHO_KNOWS_RSA, /* the public key, as text, is its secret */
	WHO_KNOWS_EC,
	WHO_KNOWS_ED25519,
	WHO_KNOWS_NOTHING, /* an empty secret */
	WHO_SIGNS_DER,     /* with the right key, in the wrong form */
	WHO_OTHER_DIGEST,  /* the same, with SHA-512 */
	WHO_NOBODY,        /* no signature */
	WHO_COUNT
};

static const char *const headers[WHO_COUNT] = {
	"{\"alg\":\"HS256\"}",
	"{\"alg\":\"RS256\",\"kid\":\"r\"}",
	"{\"alg\":\"ES256\",\"kid\":\"e\"}",
	"{\"alg\":\"EdDSA\"}",
	"{\"alg\":\"HS256\",\"kid\":\"r\"}",
	"{\"alg\":\"HS256\",\"kid\":\"e\"}",
	"{\"alg\":\"HS256\"}",
	"{\"alg\":\"HS256\"}",
	"{\"alg\":\"ES256\",\"kid\":\"e\"}",
	"{\"alg\":\"RS256\",\"kid\":\"r\"}",
	"{\"alg\":\"none\"}",
};

static const struct token_policy any = {.audience = "", .issuer = ""};
static const struct token_policy strict = {.audience = "a", .issuer = "i", .needs_expiry = true};
static const struct token_policy elsewhere = {.audience = "", .issuer = "j"};

static struct jwt_reader reader;
static struct key_set *keys;
static struct signer signers[WHO_COUNT];
static struct buf texts[SIGNED_MAX]; /* that were signed with keys that count */
static size_t text_count;

static EVP_PKEY *key_of(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	CHECK(key != NULL);
	BIO_free(bio);
	return key;
}

/* Its public half, to the set; and who takes that for a secret. */
static void add_key(enum who who, EVP_PKEY *key, struct slice id)
{
	static struct buf pems[WHO_ED25519 + 1];
	struct buf *pem = &pems[who];
	const char *why;
	append_pem(pem, key);
	BIO *bio = BIO_new_mem_buf(pem->at, (int)pem->len);
	EVP_PKEY *public = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	CHECK(public != NULL);
	CHECK(key_set_add_public(keys, public, id, &why) == 0);
	EVP_PKEY_free(public);
	BIO_free(bio);
	buf_char(pem, '\0');
	signers[who + (WHO_KNOWS_RSA - WHO_RSA)] = (struct signer){pem->at, EVP_sha256(), NULL, 0};
	signers[who] = (struct signer){NULL, who == WHO_ED25519 ? NULL : EVP_sha256(), key, false};
}

static bool is_good(const struct token_policy *policy, struct slice token);
static void sign(struct buf *token, enum who who, const char *header, struct slice payload);

static void begin_once(void)
{
	const char *why;
	uint32_t last = 0;
	if (keys != NULL)
		return;
	CHECK(jwt_reader_init(&reader));
	keys = key_set_create();
	CHECK(keys != NULL);
	CHECK(key_set_add_secret(keys, SLICE(SECRET), &why) == 0);
	signers[WHO_SECRET] = (struct signer){SECRET, EVP_sha256(), NULL, false};
	add_key(WHO_RSA, key_of(RSA_KEY), SLICE("r"));
	add_key(WHO_EC, key_of(EC_KEY), SLICE("e"));
	add_key(WHO_ED25519, key_of(ED25519_KEY), slice_of(NULL, 0));
	key_set_number(keys, NULL, &last);
	signers[WHO_KNOWS_NOTHING] = (struct signer){"", EVP_sha256(), NULL, false};
	signers[WHO_SIGNS_DER] = (struct signer){NULL, EVP_sha256(), signers[WHO_EC].key, true};
	signers[WHO_OTHER_DIGEST] = (struct signer){NULL, EVP_sha512(), signers[WHO_RSA].key, 0};
	for (int who = 0; who < WHO_COUNT; who++) {
		struct buf token = {0};
		text_count = 0;
		sign(&token, (enum who)who, headers[who], SLICE(OTHER_PAYLOAD));
		CHECK(is_good(&any, buf_view(&token)) == (who <= WHO_ED25519));
		buf_free(&token);
	}
}

static void sign(struct buf *token, enum who who, const char *header, struct slice payload)
{
	struct slice all = make_token(token, header, payload, &signers[who]);
	if (who > WHO_ED25519)
		return;
	CHECK(text_count < SIGNED_MAX);
	struct buf *text = &texts[text_count++];
	buf_clear(text);
	buf_append(text, all.at, (size_t)((char *)memrchr(all.at, '.', all.len) - all.at));
}

static bool was_signed(struct slice token)
{
	const char *dot = memrchr(token.at, '.', token.len);
	CHECK(dot != NULL);
	for (size_t i = 0; i < text_count; i++) {
		if (slice_equals(buf_view(&texts[i]), slice_of(token.at, (size_t)(dot - token.at))))
			return true;
	}
	return false;
}

static void claims_check(const struct claims *claims)
{
	struct slice user = claims_user(claims), info = claims_info(claims);
	struct json_value value;
	size_t bad_at;
	CHECK(claims->is_token);
	CHECK(claims->expires_unix_ms > NOW_MS);
	CHECK(user.len == 0 || claims_user_is_valid(user));
	CHECK(utf8_is_valid(user));
	CHECK(info.len <= CLAIMS_INFO_MAX);
	CHECK(info.len == 0 || json_check(info, MESSAGE_DEPTH_MAX, &value, &bad_at));
	CHECK(claims->grant_count <= CLAIMS_GRANTS_MAX);
	(void)claims_allow(claims, SLICE("chat:lobby"), CLAIMS_READ);
}

/* From a copy of exactly its size, so that the sanitizer sees one byte too far. */
static bool is_good(const struct token_policy *policy, struct slice token)
{
	struct claims *claims;
	const char *why;
	char *copy = malloc(token.len > 0 ? token.len : 1);
	CHECK(copy != NULL);
	if (token.len > 0)
		memcpy(copy, token.at, token.len);
	enum error_code error =
		token_read(&reader, keys, policy, slice_of(copy, token.len), NOW_MS, &claims, &why);
	free(copy);
	CHECK((error == ERROR_NONE) == (claims != NULL));
	CHECK(why != NULL);
	if (claims != NULL) {
		claims_check(claims);
		CHECK(was_signed(token));
		CHECK(key_set_has_number(keys, reader.key_number));
	}
	claims_free(claims);
	return error == ERROR_NONE;
}

/* Who asks for more gets no more. */
static bool policies_check(struct slice token)
{
	bool is_any = is_good(&any, token), is_strict = is_good(&strict, token);
	CHECK(is_any || !is_strict);
	CHECK(!is_strict || !is_good(&elsewhere, token));
	return is_any;
}

static void signed_check(struct slice header, struct slice payload)
{
	struct buf token = {0}, name = {0};
	buf_slice(&name, header);
	buf_char(&name, '\0');
	sign(&token, WHO_SECRET, name.at, payload);
	(void)policies_check(buf_view(&token));
	/* Signed or not, it is none with a bit changed at its end. */
	token.at[token.len - 2] ^= 1;
	CHECK(!is_good(&any, buf_view(&token)));
	buf_free(&token);
	buf_free(&name);
}

/* ---- tokens that are edited ---- */

enum edit { EDIT_SET = 0, EDIT_FLIP, EDIT_INSERT, EDIT_REMOVE, EDIT_CUT, EDIT_PART, EDIT_COUNT };

/* The header, the payload or the signature of another token instead of its own. */
static void take_part(struct buf *token, struct slice other, unsigned which)
{
	struct buf out = {0};
	struct slice own = buf_view(token), own_part, other_part = {0};
	for (unsigned i = 0; slice_cut(&own, '.', &own_part); i++) {
		if (!slice_cut(&other, '.', &other_part))
			other_part = slice_of(NULL, 0);
		if (i > 0)
			buf_char(&out, '.');
		buf_slice(&out, i == which ? other_part : own_part);
	}
	buf_swap(&out, token);
	buf_free(&out);
}

/* Which (enum edit), a place from the front, or from the end where the upper bit is set, of two
 * bytes, and a byte to put there. */
static void edit(struct buf *token, struct slice other, const unsigned char *how)
{
	if (token->len == 0)
		return;
	size_t at = ((how[1] & 127u) << 8 | how[2]) % token->len;
	at = how[1] & 128 ? token->len - 1 - at : at;
	struct buf out = {0};
	switch ((enum edit)(how[0] % EDIT_COUNT)) {
	case EDIT_SET:
		token->at[at] = (char)how[3];
		return;
	case EDIT_FLIP:
		token->at[at] = (char)(token->at[at] ^ how[3]);
		return;
	case EDIT_CUT:
		buf_cut_to(token, at);
		return;
	case EDIT_PART:
		take_part(token, other, how[3] % 3);
		return;
	case EDIT_INSERT:
	case EDIT_REMOVE:
	case EDIT_COUNT:
		break;
	}
	bool is_insert = how[0] % EDIT_COUNT == EDIT_INSERT;
	buf_append(&out, token->at, at);
	if (is_insert)
		buf_char(&out, (char)how[3]);
	buf_slice(&out, slice_after(buf_view(token), is_insert ? at : at + 1));
	buf_swap(&out, token);
	buf_free(&out);
}

static void edited_check(struct slice input)
{
	struct buf token = {0}, other = {0}, header = {0};
	struct slice line, payload = {0}, second = {0};
	enum who who = input.len > 0 ? (enum who)((unsigned char)input.at[0] % WHO_COUNT) : 0;
	input = slice_after(input, input.len > 0);
	slice_cut(&input, '\n', &line);
	buf_slice(&header, line.len > 0 ? line : slice_string(headers[who]));
	buf_char(&header, '\0');
	if (input.at != NULL)
		slice_cut(&input, '\n', &payload);
	if (input.at != NULL)
		slice_cut(&input, '\n', &second);
	sign(&token, who, header.at, payload);
	sign(&other, who, headers[who], second.len > 0 ? second : SLICE(OTHER_PAYLOAD));
	bool was_good = policies_check(buf_view(&token));
	CHECK(!was_good || who <= WHO_ED25519);
	for (; input.at != NULL && input.len >= 4; input = slice_after(input, 4)) {
		edit(&token, buf_view(&other), (const unsigned char *)input.at);
		(void)policies_check(buf_view(&token));
	}
	buf_free(&token);
	buf_free(&other);
	buf_free(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size), header;
	begin_once();
	text_count = 0;
	if (size == 0 || size > 2 * TOKEN_BYTES_MAX)
		return 0;
	if (data[0] == '.') {
		CHECK(!is_good(&any, slice_after(input, 1)));
	} else if (data[0] == '{') {
		signed_check(SLICE("{\"alg\":\"HS256\"}"), input);
	} else if (data[0] == '"') {
		input = slice_after(input, 1);
		slice_cut(&input, '\n', &header);
		signed_check(header, input.at == NULL ? SLICE("{}") : input);
	} else if (data[0] == '!') {
		edited_check(slice_after(input, 1));
	}
	return 0;
}
