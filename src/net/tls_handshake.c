#include "net/tls_handshake.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_bio.h"
#include "net/tls_record.h"

struct tls_handshake {
	SSL *ssl;
	struct tls_tickets *tickets;
	uint64_t now_ms;
	struct tls_bio bytes; /* of this step: the records, and where the answer goes */
	unsigned char client_secret[TLS_SECRET_MAX], server_secret[TLS_SECRET_MAX];
	size_t secret_bytes; /* of each, when both are there */
	uint64_t sent_last;  /* records in the last step */
};

static struct tls_handshake *handshake_of(const SSL *ssl)
{
	return CONTAINER_OF(tls_bio_of(ssl), struct tls_handshake, bytes);
}

/* ---- secrets: lines `LABEL RANDOM SECRET`, the latter two in hexadecimal ---- */

static bool read_hex(struct slice text, unsigned char out[TLS_SECRET_MAX], size_t *len)
{
	char hex[2 * TLS_SECRET_MAX + 1];
	if (text.len >= sizeof(hex))
		return false;
	memcpy(hex, text.at, text.len);
	hex[text.len] = '\0';
	bool is_good = OPENSSL_hexstr2buf_ex(out, TLS_SECRET_MAX, len, hex, '\0') == 1;
	OPENSSL_cleanse(hex, sizeof(hex));
	return is_good;
}

static void take_secret(const SSL *ssl, const char *line)
{
	struct tls_handshake *handshake = handshake_of(ssl);
	struct slice rest = slice_string(line), label, random;
	if (!slice_cut(&rest, ' ', &label) || !slice_cut(&rest, ' ', &random))
		return;
	if (slice_is(label, "CLIENT_TRAFFIC_SECRET_0"))
		(void)!read_hex(rest, handshake->client_secret, &handshake->secret_bytes);
	if (slice_is(label, "SERVER_TRAFFIC_SECRET_0"))
		(void)!read_hex(rest, handshake->server_secret, &handshake->secret_bytes);
}

/* ---- tickets ---- */

static bool prepare_mac(EVP_MAC_CTX *mac, const struct tls_ticket_keys *keys)
{
	struct tls_ticket_keys copy = *keys; /* parameters are not const */
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, copy.mac, sizeof(copy.mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	bool is_good = EVP_MAC_CTX_set_params(mac, parameters) == 1;
	OPENSSL_cleanse(&copy, sizeof(copy));
	return is_good;
}

enum { TICKET_FAILED = -1, TICKET_UNKNOWN = 0, TICKET_GOOD = 1, TICKET_RENEW = 2 };

/* The keys of a ticket that is to be made, or that came. With TLS 1.3 a ticket is good for one
 * connection, which brings the next one. */
static int seal_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                       EVP_MAC_CTX *mac, int is_new)
{
	struct tls_handshake *handshake = handshake_of(ssl);
	struct tls_tickets *tickets = handshake->tickets;
	const struct tls_ticket_keys *now = tickets_now(tickets, handshake->now_ms);
	const struct tls_ticket_keys *keys = now;
	if (is_new) {
		memcpy(name, keys->name, sizeof(keys->name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return TICKET_FAILED;
	} else {
		keys = tickets_find(tickets, handshake->now_ms, name);
		if (keys == NULL)
			return TICKET_UNKNOWN;
	}
	if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, keys->cipher, iv, is_new) != 1 ||
	    !prepare_mac(mac, keys))
		return TICKET_FAILED;
	bool is_old = keys != now || SSL_version(ssl) == TLS1_3_VERSION;
	return !is_new && is_old ? TICKET_RENEW : TICKET_GOOD;
}

/* ---- the handshake ---- */

bool tls_handshake_allow(SSL_CTX *context)
{
	SSL_CTX_set_keylog_callback(context, take_secret);
	SSL_CTX_set_timeout(context, TLS_TICKET_LIFE_MS / 1000);
	return tls_bio_is_possible() &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(context, seal_ticket) == 1;
}

struct tls_handshake *tls_handshake_begin(SSL_CTX *context, struct tls_tickets *tickets)
{
	struct tls_handshake *handshake = calloc(1, sizeof(*handshake));
	if (handshake == NULL)
		return NULL;
	handshake->ssl = SSL_new(context);
	if (handshake->ssl == NULL || !tls_bio_attach(handshake->ssl, &handshake->bytes)) {
		tls_handshake_end(handshake);
		return NULL;
	}
	handshake->tickets = tickets;
	SSL_set_accept_state(handshake->ssl);
	return handshake;
}

void tls_handshake_end(struct tls_handshake *handshake)
{
	if (handshake == NULL)
		return;
	SSL_free(handshake->ssl);
	OPENSSL_cleanse(handshake, sizeof(*handshake));
	free(handshake);
}

bool tls_handshake_awaits_hello(const struct tls_handshake *handshake)
{
	return handshake == NULL || SSL_version(handshake->ssl) == TLS1_3_VERSION;
}

static uint64_t count_records(const char *bytes, size_t len)
{
	uint64_t count = 0;
	for (size_t at = 0; at < len; at += tls_record_bytes(bytes + at, len - at)) {
		CHECK(len - at >= TLS_HEADER_BYTES); /* OpenSSL writes whole records */
		count++;
	}
	return count;
}

enum tls_shake tls_handshake_step(struct tls_handshake *handshake, struct slice records,
                                  uint64_t now_ms, struct buf *out)
{
	size_t before = out->len;
	handshake->bytes = (struct tls_bio){records, out};
	handshake->now_ms = now_ms;
	ERR_clear_error();
	int result = SSL_do_handshake(handshake->ssl);
	int why = SSL_get_error(handshake->ssl, result);
	ERR_clear_error();
	handshake->bytes.out = NULL;
	if (out->is_broken)
		return TLS_SHAKE_FAILED;
	handshake->sent_last = count_records(out->at + before, out->len - before);
	if (result == 1)
		return handshake->bytes.input.len == 0 ? TLS_SHAKE_DONE : TLS_SHAKE_FAILED;
	return why == SSL_ERROR_WANT_READ ? TLS_SHAKE_MORE : TLS_SHAKE_FAILED;
}

/* ---- what came out of it ---- */

static bool find_suite(const SSL *ssl, struct tls_suite *suite)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	suite->is_13 = SSL_version(ssl) == TLS1_3_VERSION;
	switch (cipher == NULL ? NID_undef : SSL_CIPHER_get_cipher_nid(cipher)) {
	case NID_aes_128_gcm:
		suite->aead = TLS_AES_128_GCM;
		return true;
	case NID_aes_256_gcm:
		suite->aead = TLS_AES_256_GCM;
		return true;
	case NID_chacha20_poly1305:
		suite->aead = TLS_CHACHA20_POLY1305;
		return true;
	default:
		return false;
	}
}

/* Each side's Finished was the first record under its keys. */
static bool take_master(const SSL *ssl, struct tls_agreed *agreed)
{
	struct tls_master master;
	bool is_whole =
		SSL_SESSION_get_master_key(SSL_get_session(ssl), master.secret,
	                                   sizeof(master.secret)) == sizeof(master.secret) &&
		SSL_get_client_random(ssl, master.client_random, TLS_RANDOM_BYTES) ==
			TLS_RANDOM_BYTES &&
		SSL_get_server_random(ssl, master.server_random, TLS_RANDOM_BYTES) ==
			TLS_RANDOM_BYTES;
	bool is_good = is_whole && tls_keys_of_master(&agreed->reading, &agreed->writing,
	                                              agreed->suite, &master);
	agreed->reading.next = agreed->writing.next = 1;
	OPENSSL_cleanse(&master, sizeof(master));
	return is_good;
}

/* What we sent behind the client's Finished, the tickets, was under the new keys. */
static bool take_secrets(const struct tls_handshake *handshake, struct tls_agreed *agreed)
{
	struct tls_suite suite = agreed->suite;
	if (handshake->secret_bytes != tls_suite_secret_bytes(suite))
		return false;
	bool is_good = tls_keys_of_secret(&agreed->reading, suite, handshake->client_secret) &&
	               tls_keys_of_secret(&agreed->writing, suite, handshake->server_secret);
	agreed->writing.next = handshake->sent_last;
	return is_good;
}

/* RFC 6066 section 4: OpenSSL has agreed to it, and it holds for us. */
static uint16_t find_plain_max(const SSL *ssl)
{
	unsigned code = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));
	bool is_agreed =
		code >= TLSEXT_max_fragment_length_512 && code <= TLSEXT_max_fragment_length_4096;
	return (uint16_t)(is_agreed ? 256u << code : TLS_PLAIN_MAX);
}

bool tls_handshake_agreed(const struct tls_handshake *handshake, struct tls_agreed *agreed)
{
	*agreed = (struct tls_agreed){.plain_max = find_plain_max(handshake->ssl)};
	if (!find_suite(handshake->ssl, &agreed->suite))
		return false;
	return agreed->suite.is_13 ? take_secrets(handshake, agreed)
	                           : take_master(handshake->ssl, agreed);
}
