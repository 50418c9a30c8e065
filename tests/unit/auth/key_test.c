/* Which keys are taken, for what, and which of them are tried. */
#include "auth/key.h"

#include <errno.h>

#include "signing.h"

static struct key_set *set;
static const char *why;

static void claim(const char *text)
{
	printf("key: %s\n", text);
}

static void begin(void)
{
	key_set_destroy(set);
	set = key_set_create();
	CHECK(set != NULL);
	CHECK(key_set_count(set) == 0);
}

/* How many keys may have made a token; they are told apart by their ids in `found`. */
static size_t tried(enum key_algorithm algorithm, struct slice kid, struct buf *found)
{
	const struct key *key = NULL;
	size_t count = 0;
	buf_clear(found);
	while ((key = key_set_next(set, key, algorithm, kid)) != NULL) {
		CHECK((key->algorithms & 1u << algorithm) != 0);
		buf_slice(found, buf_view(&key->id));
		count++;
	}
	return count;
}

static size_t tried_of_any(enum key_algorithm algorithm)
{
	struct buf found = {0};
	size_t count = tried(algorithm, slice_of(NULL, 0), &found);
	buf_free(&found);
	return count;
}

static void check_secret(void)
{
	begin();
	claim("a secret is for the three HS algorithms and nothing else");
	CHECK(key_set_add_secret(set, SLICE("s"), &why) == 0);
	for (enum key_algorithm a = KEY_HS256; a < KEY_ALGORITHM_COUNT; a++)
		CHECK(tried_of_any(a) == (a <= KEY_HS512 ? 1 : 0));
	claim("it may hold any bytes");
	CHECK(key_set_add_secret(set, slice_of("a\0b", 3), &why) == 0);
	const struct key *first = key_set_next(set, NULL, KEY_HS256, slice_of(NULL, 0));
	const struct key *second = key_set_next(set, first, KEY_HS256, slice_of(NULL, 0));
	CHECK(slice_equals(secret_view(&second->secret), slice_of("a\0b", 3)));
}

/* A key that was made for this test; it is let go here. */
static bool adds(EVP_PKEY *key)
{
	size_t before = key_set_count(set);
	CHECK(key != NULL);
	int result = key_set_add_public(set, key, slice_of(NULL, 0), &why);
	EVP_PKEY_free(key);
	CHECK(result == 0 || result == -EINVAL);
	CHECK(key_set_count(set) == before + (result == 0));
	return result == 0;
}

static uint32_t cost_of(enum key_algorithm algorithm)
{
	return key_set_next(set, NULL, algorithm, slice_of(NULL, 0))->cost_us;
}

static bool is_refused(EVP_PKEY *key, const char *reason)
{
	return !adds(key) && strstr(why, reason) != NULL;
}

static EVP_PKEY *make_other(const char *kind)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	CHECK(EVP_PKEY_keygen_init(context) == 1);
	CHECK(EVP_PKEY_generate(context, &key) == 1);
	EVP_PKEY_CTX_free(context);
	return key;
}

static void check_kinds(void)
{
	begin();
	claim("an RSA key is for RS256 alone");
	CHECK(adds(make_rsa(2048)));
	CHECK(tried_of_any(KEY_RS256) == 1);
	claim("one on P-256 is for ES256 alone");
	CHECK(adds(make_ec("P-256")));
	CHECK(tried_of_any(KEY_ES256) == 1);
	claim("an Ed25519 key is for EdDSA alone");
	CHECK(adds(make_ed25519()));
	CHECK(tried_of_any(KEY_EDDSA) == 1);
	CHECK(tried_of_any(KEY_HS256) == 0);
	claim("what its signatures take is told of each");
	CHECK(cost_of(KEY_RS256) == 40);
	CHECK(cost_of(KEY_ES256) == 100);
	CHECK(cost_of(KEY_EDDSA) == 130);
	claim("and RSA's grows with the square of its bits");
	begin();
	CHECK(adds(make_rsa(3072)));
	CHECK(cost_of(KEY_RS256) == 90);
	claim("an RSA key of less than 2048 bits is refused");
	CHECK(is_refused(make_rsa(1024), "2048"));
	CHECK(is_refused(make_rsa(2047), "2048"));
	claim("one on another curve is refused");
	CHECK(is_refused(make_ec("P-384"), "P-256"));
	CHECK(is_refused(make_ec("secp256k1"), "P-256"));
	claim("keys of other kinds are refused");
	static const char *const others[] = {"X25519", "ED448", "RSA-PSS"};
	for (size_t i = 0; i < COUNT_OF(others); i++)
		CHECK(is_refused(make_other(others[i]), "Ed25519"));
}

static void check_ids(void)
{
	struct buf found = {0};
	EVP_PKEY *key = make_ec("P-256"), *other = make_ed25519();
	begin();
	CHECK(key_set_add_public(set, key, SLICE("a"), &why) == 0);
	CHECK(key_set_add_public(set, other, SLICE("o"), &why) == 0);
	CHECK(key_set_add_public(set, key, SLICE("b"), &why) == 0);
	CHECK(key_set_add_public(set, key, SLICE("a"), &why) == 0);
	claim("without a kid all that fit are tried, in their order");
	CHECK(tried(KEY_ES256, slice_of(NULL, 0), &found) == 3);
	CHECK(slice_is(buf_view(&found), "aba"));
	claim("a kid chooses all that have it");
	CHECK(tried(KEY_ES256, SLICE("a"), &found) == 2);
	CHECK(tried(KEY_ES256, SLICE("b"), &found) == 1);
	claim("and none of another algorithm");
	CHECK(tried(KEY_ES256, SLICE("o"), &found) == 0);
	CHECK(tried(KEY_EDDSA, SLICE("o"), &found) == 1);
	claim("a kid that begins like it is another");
	CHECK(tried(KEY_ES256, SLICE("ab"), &found) == 0);
	CHECK(tried(KEY_ES256, SLICE(""), &found) == 0);
	claim("a key without an id is tried whatever the kid");
	CHECK(key_set_add_public(set, key, slice_of(NULL, 0), &why) == 0);
	CHECK(tried(KEY_ES256, SLICE("b"), &found) == 2);
	CHECK(tried(KEY_ES256, SLICE("?"), &found) == 1);
	claim("a set has so many keys");
	while (key_set_count(set) < KEYS_MAX)
		CHECK(key_set_add_public(set, other, slice_of(NULL, 0), &why) == 0);
	CHECK(key_set_add_public(set, other, slice_of(NULL, 0), &why) == -EINVAL);
	CHECK(strstr(why, "more keys") != NULL);
	CHECK(key_set_add_secret(set, SLICE("s"), &why) == -EINVAL);
	CHECK(key_set_count(set) == KEYS_MAX);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	buf_free(&found);
}

static struct key_set *set_of(const char *const *secrets, size_t count)
{
	struct key_set *made = key_set_create();
	CHECK(made != NULL);
	for (size_t i = 0; i < count; i++)
		CHECK(key_set_add_secret(made, slice_string(secrets[i]), &why) == 0);
	return made;
}

static uint32_t number_at(const struct key_set *of, size_t place)
{
	const struct key *key = NULL;
	for (size_t i = 0; i <= place; i++)
		key = key_set_next(of, key, KEY_HS256, slice_of(NULL, 0));
	return key->number;
}

static void check_numbers(void)
{
	uint32_t last = 0;
	struct key_set *first = set_of((const char *const[]){"one", "two"}, 2);
	struct key_set *second = set_of((const char *const[]){"two", "twin", "one more"}, 3);
	struct key_set *third = set_of((const char *const[]){"one", "twin"}, 2);
	key_set_number(first, NULL, &last);
	key_set_number(second, first, &last);
	key_set_number(third, second, &last);
	claim("each key has a number of its own, and keeps it in the next set");
	CHECK(number_at(first, 0) == 1 && number_at(first, 1) == 2);
	CHECK(number_at(second, 0) == 2);
	CHECK(number_at(second, 1) == 3 && number_at(second, 2) == 4);
	CHECK(number_at(third, 1) == 3);
	claim("a key that comes back is another one");
	CHECK(number_at(third, 0) == 5);
	claim("a set knows its own numbers and no other");
	CHECK(key_set_has_number(third, 3) && key_set_has_number(third, 5));
	CHECK(!key_set_has_number(third, 0) && !key_set_has_number(third, 2));
	CHECK(!key_set_has_number(first, 3));
	key_set_destroy(first);
	key_set_destroy(second);
	key_set_destroy(third);
}

static struct key_set *set_with(EVP_PKEY *key, struct slice id)
{
	struct key_set *made = key_set_create();
	CHECK(made != NULL);
	CHECK(key_set_add_secret(made, SLICE("s"), &why) == 0);
	CHECK(key_set_add_public(made, key, id, &why) == 0);
	return made;
}

/* By its number it is known after a reload whether the key of a session's token is still there. */
static void check_public_numbers(void)
{
	EVP_PKEY *one = make_ec("P-256"), *twin = make_ec("P-256"), *other = make_ed25519();
	const struct {
		const char *name;
		EVP_PKEY *key;
		struct slice id;
		bool is_same;
	} rows[] = {
		{"a public key keeps its number", one, SLICE("a"), true},
		{"another one of its kind has another", twin, SLICE("a"), false},
		{"so has one of another kind", other, SLICE("a"), false},
		{"and the same under another id", one, SLICE("b"), false},
		{"or under none", one, SLICE(""), false},
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint32_t last = 0;
		struct key_set *former = set_with(one, SLICE("a"));
		struct key_set *next = set_with(rows[i].key, rows[i].id);
		claim(rows[i].name);
		key_set_number(former, NULL, &last);
		key_set_number(next, former, &last);
		CHECK(key_set_has_number(former, 2) && !key_set_has_number(former, 3));
		CHECK(key_set_has_number(next, 1));
		CHECK(key_set_has_number(next, 2) == rows[i].is_same);
		CHECK(key_set_has_number(next, 3) != rows[i].is_same);
		key_set_destroy(former);
		key_set_destroy(next);
	}
	EVP_PKEY_free(one);
	EVP_PKEY_free(twin);
	EVP_PKEY_free(other);
}

int main(void)
{
	check_secret();
	check_numbers();
	check_public_numbers();
	check_kinds();
	check_ids();
	key_set_destroy(set);
	key_set_destroy(NULL);
	return 0;
}
