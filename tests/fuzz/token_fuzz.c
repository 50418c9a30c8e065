/*
 * Any token. The first byte says what the rest is:
 *
 *   '.'     a token as it came: it opens for nobody who did not sign it
 *   '{'     a payload (with that brace), signed here: its claims are within their limits
 *   '"'     a header, then a line feed, then a payload, signed here: the same
 */
#include <stdlib.h>

#include "auth/token.h"
#include "base/text.h"
#include "hub/rule.h"
#include "starling/limits.h"
#include "wire/utf8.h"

#define SECRET "what the fuzzer does not know"
#define NOW_MS UINT64_C(1700000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct jwt_reader reader;
static struct key_set *keys;

static void begin_once(void)
{
	const char *why;
	if (keys != NULL)
		return;
	CHECK(jwt_reader_init(&reader));
	keys = key_set_create();
	CHECK(keys != NULL);
	CHECK(key_set_add_secret(keys, SLICE(SECRET), &why) == 0);
}

static void append_base64url(struct buf *out, struct slice bytes)
{
	char *room = buf_room(out, text_base64url_len(bytes.len));
	CHECK(room != NULL);
	buf_grew(out, text_from_base64url(room, bytes.at, bytes.len));
}

static void append_token(struct buf *out, struct slice header, struct slice payload)
{
	const struct key *key = key_set_next(keys, NULL, KEY_HS256, slice_of(NULL, 0));
	unsigned char signature[SIGNATURE_BYTES_MAX];
	append_base64url(out, header);
	buf_char(out, '.');
	append_base64url(out, payload);
	size_t len = verifier_sign(&reader.verifier, key, KEY_HS256, buf_view(out), signature);
	buf_char(out, '.');
	append_base64url(out, slice_of((const char *)signature, len));
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
static bool is_good(struct slice token)
{
	static const struct token_policy policy = {.audience = "", .issuer = ""};
	struct claims *claims;
	const char *why;
	char *copy = malloc(token.len > 0 ? token.len : 1);
	CHECK(copy != NULL);
	if (token.len > 0)
		memcpy(copy, token.at, token.len);
	enum error_code error = token_read(&reader, keys, &policy, slice_of(copy, token.len),
	                                   NOW_MS, &claims, &why);
	free(copy);
	CHECK((error == ERROR_NONE) == (claims != NULL));
	CHECK(why != NULL);
	if (claims != NULL)
		claims_check(claims);
	claims_free(claims);
	return error == ERROR_NONE;
}

static void signed_check(struct slice header, struct slice payload)
{
	struct buf token = {0};
	append_token(&token, header, payload);
	(void)is_good(buf_view(&token));
	/* Signed or not, it is none with a bit changed at its end. */
	token.at[token.len - 2] ^= 1;
	CHECK(!is_good(buf_view(&token)));
	buf_free(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size), header;
	begin_once();
	if (size == 0)
		return 0;
	if (data[0] == '.') {
		CHECK(!is_good(slice_after(input, 1)));
	} else if (data[0] == '{') {
		signed_check(SLICE("{\"alg\":\"HS256\"}"), input);
	} else if (data[0] == '"') {
		input = slice_after(input, 1);
		slice_cut(&input, '\n', &header);
		signed_check(header, input.at == NULL ? SLICE("{}") : input);
	}
	return 0;
}
