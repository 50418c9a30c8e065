/* Keys by the traces of RFC 8448 section 3, and by another way to the same ones. */
#include "net/tls_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/check.h"

static void read_hex(const char *hex, unsigned char *out, size_t len)
{
	size_t got;
	CHECK(OPENSSL_hexstr2buf_ex(out, len, &got, hex, '\0') == 1);
	CHECK(got == len);
}

static bool is_hex(const unsigned char *bytes, size_t len, const char *hex)
{
	unsigned char wanted[64];
	read_hex(hex, wanted, len);
	return memcmp(bytes, wanted, len) == 0;
}

static const struct tls_suite aes_128_13 = {TLS_AES_128_GCM, true};

static const struct {
	const char *name, *secret, *key, *iv;
} traces[] = {
	{"the server's keys of RFC 8448",
         "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
         "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984"},
	{"the client's keys of RFC 8448",
         "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
         "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9"},
};

static void check_trace(size_t i)
{
	unsigned char secret[32];
	struct tls_keys keys;
	read_hex(traces[i].secret, secret, sizeof(secret));
	CHECK(tls_keys_of_secret(&keys, aes_128_13, secret));
	CHECK(is_hex(keys.key, 16, traces[i].key));
	CHECK(is_hex(keys.iv, sizeof(keys.iv), traces[i].iv));
	CHECK(keys.next == 0);
	CHECK(memcmp(keys.secret, secret, sizeof(secret)) == 0);
}

/* HKDF-Expand-Label of RFC 8446 section 7.1, said by hand. */
static void check_update(struct tls_suite suite, const EVP_MD *digest)
{
	static const unsigned char info_32[] = "\0\x20\x11tls13 traffic upd\0\x01";
	static const unsigned char info_48[] = "\0\x30\x11tls13 traffic upd\0\x01";
	size_t len = tls_suite_secret_bytes(suite);
	unsigned char secret[48] = "a secret of forty-eight bytes, or some of them", wanted[48];
	struct tls_keys keys, fresh;
	HMAC(digest, secret, (int)len, len == 32 ? info_32 : info_48, sizeof(info_32) - 1, wanted,
	     NULL);
	CHECK(tls_keys_of_secret(&keys, suite, secret));
	keys.next = 99;
	CHECK(tls_keys_update(&keys, suite));
	CHECK(memcmp(keys.secret, wanted, len) == 0);
	CHECK(tls_keys_of_secret(&fresh, suite, wanted));
	CHECK(memcmp(&keys, &fresh, sizeof(keys)) == 0);
	CHECK(keys.next == 0);
}

/* P_hash of RFC 5246 section 5 with the seed of section 6.3. */
static void p_hash(const EVP_MD *digest, const struct tls_master *master, unsigned char *out,
                   size_t len)
{
	unsigned char seed[13 + 64], a[64], text[64 + sizeof(seed)], hash[64];
	unsigned size = (unsigned)EVP_MD_get_size(digest);
	memcpy(seed, "key expansion", 13);
	memcpy(seed + 13, master->server_random, 32);
	memcpy(seed + 45, master->client_random, 32);
	HMAC(digest, master->secret, 48, seed, sizeof(seed), a, NULL);
	for (size_t at = 0; at < len; at += size) {
		memcpy(text, a, size);
		memcpy(text + size, seed, sizeof(seed));
		HMAC(digest, master->secret, 48, text, size + sizeof(seed), hash, NULL);
		memcpy(out + at, hash, len - at < size ? len - at : size);
		HMAC(digest, master->secret, 48, a, size, a, NULL);
	}
}

static void check_master(struct tls_suite suite, const EVP_MD *digest)
{
	struct tls_master master = {"a master secret of forty-eight bytes, all count.",
	                            "what the client drew by lot ....",
	                            "and the server, in the same way."};
	size_t key_len = tls_suite_key_bytes(suite);
	size_t iv_len = suite.aead == TLS_CHACHA20_POLY1305 ? 12 : 4;
	unsigned char block[88];
	struct tls_keys client, server;
	p_hash(digest, &master, block, 2 * key_len + 2 * iv_len);
	CHECK(tls_keys_of_master(&client, &server, suite, &master));
	CHECK(memcmp(client.key, block, key_len) == 0);
	CHECK(memcmp(server.key, block + key_len, key_len) == 0);
	CHECK(memcmp(client.iv, block + 2 * key_len, iv_len) == 0);
	CHECK(memcmp(server.iv, block + 2 * key_len + iv_len, iv_len) == 0);
}

static const struct {
	const char *name;
	enum tls_aead aead;
	const EVP_MD *(*digest)(void);
} suites[] = {
	{"AES-128-GCM", TLS_AES_128_GCM, EVP_sha256},
	{"AES-256-GCM", TLS_AES_256_GCM, EVP_sha384},
	{"ChaCha20-Poly1305", TLS_CHACHA20_POLY1305, EVP_sha256},
};

static void wipes(void)
{
	static const struct tls_keys none;
	struct tls_keys keys;
	memset(&keys, 1, sizeof(keys));
	tls_keys_wipe(&keys);
	CHECK(memcmp(&keys, &none, sizeof(keys)) == 0);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(traces); i++) {
		printf("tls_keys: %s\n", traces[i].name);
		check_trace(i);
	}
	for (size_t i = 0; i < COUNT_OF(suites); i++) {
		uint8_t aead = (uint8_t)suites[i].aead;
		printf("tls_keys: the keys after those of %s\n", suites[i].name);
		check_update((struct tls_suite){aead, true}, suites[i].digest());
		printf("tls_keys: %s of a master secret\n", suites[i].name);
		check_master((struct tls_suite){aead, false}, suites[i].digest());
	}
	printf("tls_keys: wiped, nothing is left\n");
	wipes();
	return 0;
}
