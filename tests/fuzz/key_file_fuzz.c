/*
 * Any file of public keys: what it gives is within the limits, each key is for one algorithm and
 * has no secret, and a file that is refused is told in one line.
 */
#include <stdlib.h>

#include "auth/key_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keys_check(const struct key_set *set)
{
	const enum key_algorithm algorithms[] = {KEY_RS256, KEY_ES256, KEY_EDDSA};
	size_t count = 0;
	CHECK(key_set_count(set) > 0);
	CHECK(key_set_count(set) <= KEYS_MAX);
	CHECK(key_set_next(set, NULL, KEY_HS256, slice_of(NULL, 0)) == NULL);
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		const struct key *key = NULL;
		while ((key = key_set_next(set, key, algorithms[i], slice_of(NULL, 0))) != NULL) {
			CHECK(key->algorithms == 1u << algorithms[i]);
			CHECK(key->secret.at == NULL);
			CHECK(key->public != NULL);
			count++;
		}
	}
	CHECK(count == key_set_count(set));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf error = {0};
	struct key_set *set = key_set_create();
	char *copy = malloc(size > 0 ? size : 1);
	CHECK(set != NULL);
	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	int result = key_file_read(set, slice_of(copy, size), &error);
	free(copy);
	CHECK((result < 0) == (error.len > 0));
	CHECK(error.len == 0 || memchr(error.at, '\n', error.len) == NULL);
	if (result == 0)
		keys_check(set);
	key_set_destroy(set);
	buf_free(&error);
	return 0;
}
