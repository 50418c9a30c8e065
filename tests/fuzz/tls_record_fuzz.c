/*
 * What a client with the right keys may say behind the handshake. The first byte picks the suite,
 * the second the size of the pieces that arrive at once. Then records, each by its first byte:
 *
 *   0..199    its type (mod 4, from 20), a byte for its length, and the content: sealed well
 *   200..     a byte for the length, and bytes as they are
 *
 * Whatever the pieces, it ends the same way and gives the same data.
 */
#include <stdlib.h>
#include <string.h>

#include "net/tls.h"
#include "net/tls_record.h"

#define INPUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_crypto *crypto;
static struct tls_desk *desk;

struct outcome {
	enum tls_result result;
	struct buf plain, said;
};

static struct tls *make(struct tls_suite suite)
{
	static const unsigned char reading[TLS_SECRET_MAX] = "what the client seals with, and we "
							     "open";
	static const unsigned char writing[TLS_SECRET_MAX] = "and the other way round";
	static const struct tls_master master = {"a master secret", "a random", "and another"};
	struct tls *tls = tls_create();
	CHECK(tls != NULL);
	tls->suite = suite;
	tls->is_ready = true;
	if (suite.is_13)
		CHECK(tls_keys_of_secret(&tls->reading, suite, reading) &&
		      tls_keys_of_secret(&tls->writing, suite, writing));
	else
		CHECK(tls_keys_of_master(&tls->reading, &tls->writing, suite, &master));
	return tls;
}

/* The client's bytes. New keys that it says, it uses from there on. */
static void seal_all(const uint8_t *data, size_t size, struct tls_suite suite, struct buf *out)
{
	struct tls *tls = make(suite);
	struct tls_keys keys = tls->reading;
	while (size >= 2) {
		uint8_t what = data[0];
		size_t len = data[1] < size - 2 ? data[1] : size - 2;
		data += 2;
		char *record = buf_room(out, TLS_SEALED_MAX);
		CHECK(record != NULL);
		if (what >= 200) {
			buf_append(out, data, len);
		} else {
			enum tls_type type = (enum tls_type)(TLS_TYPE_CIPHER_CHANGE + what % 4);
			memcpy(tls_record_content(record, suite), data, len);
			buf_grew(out, tls_record_seal(crypto, suite, &keys, type, record, len));
			if (suite.is_13 && type == TLS_TYPE_HANDSHAKE && len == 5 &&
			    memcmp(data, "\x18\0\0\1", 4) == 0 && data[4] < 2)
				CHECK(tls_keys_update(&keys, suite));
		}
		data += len;
		size -= 2 + len;
	}
	tls_destroy(tls);
}

static struct outcome feed(struct slice bytes, struct tls_suite suite, size_t step)
{
	static char plain[TURN_READ_BYTES];
	struct outcome outcome = {TLS_GOES_ON, {0}, {0}};
	struct tls *tls = make(suite);
	while (bytes.len > 0 && outcome.result == TLS_GOES_ON) {
		size_t count = bytes.len < step ? bytes.len : step, plain_len;
		memcpy(tls_room(desk), bytes.at, count);
		outcome.result = tls_take(desk, tls, NULL, 0, count, plain, &plain_len);
		buf_append(&outcome.plain, plain, plain_len);
		bytes = slice_after(bytes, count);
	}
	CHECK(tls->is_over == (outcome.result != TLS_GOES_ON));
	CHECK(outcome.result <= TLS_BROKEN);
	buf_swap(&outcome.said, tls_said(desk));
	tls_destroy(tls);
	return outcome;
}

static void compare(struct slice bytes, struct tls_suite suite, size_t step)
{
	struct outcome whole = feed(bytes, suite, TLS_READ_BYTES);
	struct outcome parts = feed(bytes, suite, step);
	CHECK(whole.result == parts.result);
	CHECK(slice_equals(buf_view(&whole.plain), buf_view(&parts.plain)));
	CHECK(slice_equals(buf_view(&whole.said), buf_view(&parts.said)));
	buf_free(&whole.plain);
	buf_free(&whole.said);
	buf_free(&parts.plain);
	buf_free(&parts.said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct tls_seed seed;
	struct buf bytes = {0};
	if (size < 2 || size > INPUT_MAX)
		return 0;
	if (crypto == NULL) {
		crypto = tls_crypto_create();
		desk = tls_desk_create(&seed);
	}
	CHECK(crypto != NULL && desk != NULL);
	struct tls_suite suite = {data[0] % TLS_AEAD_COUNT, data[0] >= 128};
	seal_all(data + 2, size - 2, suite, &bytes);
	compare(buf_view(&bytes), suite, 1 + data[1]);
	buf_free(&bytes);
	return 0;
}
