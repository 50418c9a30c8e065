/*
 * A server shows no certificate and a client trusts none, so that a handshake without the shared
 * key has nowhere to go, on either side.
 */
#include "net/tls_psk.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "net/tls_bio.h"

#define PSK_BYTES 32
#define ID_BYTES 8
#define RECORD_BYTES 16384 /* of plain text, at most */

/* What a key is shown as: PREFIX, the secret's id and the cluster's, both in hexadecimal. */
#define ID_TEXT (2 * ID_BYTES)
#define PREFIX "starling-mesh-1 "
#define NAME_BYTES (sizeof(PREFIX) - 1 + ID_TEXT + 1 + ID_TEXT)

static const char suite[] = "TLS_AES_128_GCM_SHA256";
static const unsigned char suite_number[] = {0x13, 0x01};
static const char groups[] = "X25519:P-256";

struct psk_key {
	char name[NAME_BYTES + 1];
	struct secret bytes;
};

struct psk_keys {
	_Atomic uint32_t refs;
	SSL_CTX *client, *server;
	size_t count;
	struct psk_key list[PSK_SECRETS_MAX];
};

struct psk {
	SSL *ssl;
	struct psk_keys *keys;
	size_t which;
	size_t taken;     /* bytes while shaking hands */
	uint32_t records; /* sealed with the keys at hand */
	bool is_ready, has_shown, is_over;
	enum psk_fault fault;
	struct tls_bio bytes; /* of this call */
};

/* ---- keys ---- */

/* HKDF-SHA256 of the secret, for one use; and for one cluster, where that is given. */
static bool derive(struct slice secret, const char *use, struct slice cluster, unsigned char *out,
                   size_t len)
{
	char salt[] = "starling-mesh v1", digest[] = "SHA256";
	char info[300];
	int written = snprintf(info, sizeof(info), "%s %.*s", use, (int)cluster.len, cluster.at);
	CHECK(written > 0 && (size_t)written < sizeof(info));
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof(salt) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)written),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret.at,
	                                          secret.len),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	bool is_good = context != NULL && EVP_KDF_derive(context, out, len, parameters) == 1;
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return is_good;
}

static void write_hex(char *out, const unsigned char id[ID_BYTES])
{
	for (size_t i = 0; i < ID_BYTES; i++)
		out += text_from_hex(out, id[i], 2);
}

static bool key_make(struct psk_key *key, struct slice secret, struct slice cluster)
{
	unsigned char bytes[PSK_BYTES], id[ID_BYTES], of_cluster[ID_BYTES];
	bool is_good = derive(secret, "id", SLICE(""), id, sizeof(id)) &&
	               derive(secret, "cluster", cluster, of_cluster, sizeof(of_cluster)) &&
	               derive(secret, "key", cluster, bytes, sizeof(bytes)) &&
	               secret_make(&key->bytes, slice_of((const char *)bytes, sizeof(bytes)));
	OPENSSL_cleanse(bytes, sizeof(bytes));
	if (!is_good)
		return false;
	memcpy(key->name, PREFIX, sizeof(PREFIX) - 1);
	write_hex(key->name + sizeof(PREFIX) - 1, id);
	key->name[sizeof(PREFIX) - 1 + ID_TEXT] = ' ';
	write_hex(key->name + sizeof(PREFIX) + ID_TEXT, of_cluster);
	return true;
}

static struct psk *psk_of(const SSL *ssl)
{
	return CONTAINER_OF(tls_bio_of(ssl), struct psk, bytes);
}

/* ---- showing a key, and looking at one that is shown ---- */

static SSL_SESSION *session_make(SSL *ssl, const struct psk_key *key)
{
	SSL_SESSION *session = SSL_SESSION_new();
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite_number);
	if (session != NULL && cipher != NULL &&
	    SSL_SESSION_set1_master_key(session, (const unsigned char *)key->bytes.at,
	                                key->bytes.len) == 1 &&
	    SSL_SESSION_set_cipher(session, cipher) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int show_key(SSL *ssl, const EVP_MD *digest, const unsigned char **name, size_t *name_len,
                    SSL_SESSION **session)
{
	struct psk *psk = psk_of(ssl);
	const struct psk_key *key = &psk->keys->list[psk->which];
	*session = NULL;
	/* Asked again for another digest than the suite's, there is no key. */
	if (digest != NULL && !EVP_MD_is_a(digest, "SHA256"))
		return 1;
	*session = session_make(ssl, key);
	*name = (const unsigned char *)key->name;
	*name_len = NAME_BYTES;
	return *session != NULL;
}

/* The secret is one of ours, whatever the cluster. */
static bool is_secret_known(const struct psk_keys *keys, struct slice name)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (name.len == NAME_BYTES &&
		    memcmp(name.at, keys->list[i].name, sizeof(PREFIX) - 1 + ID_TEXT) == 0)
			return true;
	}
	return false;
}

/* No session is no error to OpenSSL: it looks for another way, and there is none. */
static int look_at_key(SSL *ssl, const unsigned char *name_at, size_t name_len,
                       SSL_SESSION **session)
{
	struct psk *psk = psk_of(ssl);
	struct slice name = slice_of((const char *)name_at, name_len);
	*session = NULL;
	for (size_t i = 0; i < psk->keys->count; i++) {
		if (!slice_is(name, psk->keys->list[i].name))
			continue;
		*session = session_make(ssl, &psk->keys->list[i]);
		psk->fault = *session == NULL ? PSK_FAULT_MEMORY : PSK_FAULT_NONE;
		return *session != NULL;
	}
	psk->fault = is_secret_known(psk->keys, name) ? PSK_FAULT_CLUSTER : PSK_FAULT_KEY;
	return 1;
}

/* ---- contexts ---- */

static SSL_CTX *context_make(const SSL_METHOD *side)
{
	SSL_CTX *context = SSL_CTX_new(side);
	if (context == NULL)
		return NULL;
	SSL_CTX_set_options(context,
	                    SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	/* A server with a certificate instead of the key would be trusted by nobody. */
	if (side == TLS_client_method())
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_psk_use_session_callback(context, show_key);
	SSL_CTX_set_psk_find_session_callback(context, look_at_key);
	if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_ciphersuites(context, suite) == 1 &&
	    SSL_CTX_set1_groups_list(context, groups) == 1 &&
	    SSL_CTX_set_num_tickets(context, 0) == 1 &&
	    SSL_CTX_set_max_early_data(context, 0) == 1 &&
	    SSL_CTX_set_recv_max_early_data(context, 0) == 1)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

static void destroy(struct psk_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < PSK_SECRETS_MAX; i++)
		secret_free(&keys->list[i].bytes);
	SSL_CTX_free(keys->client);
	SSL_CTX_free(keys->server);
	free(keys);
}

struct psk_keys *psk_keys_create(const struct slice *secrets, size_t count, struct slice cluster)
{
	CHECK(count > 0 && count <= PSK_SECRETS_MAX);
	struct psk_keys *keys = calloc(1, sizeof(*keys));
	if (keys == NULL || !tls_bio_is_possible())
		goto destroy;
	atomic_init(&keys->refs, 1);
	for (; keys->count < count; keys->count++) {
		if (!key_make(&keys->list[keys->count], secrets[keys->count], cluster))
			goto destroy;
	}
	keys->client = context_make(TLS_client_method());
	keys->server = context_make(TLS_server_method());
	if (keys->client != NULL && keys->server != NULL)
		return keys;

destroy:
	ERR_clear_error();
	destroy(keys);
	return NULL;
}

struct psk_keys *psk_keys_take(struct psk_keys *keys)
{
	uint32_t refs = atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
	CHECK(refs != 0);
	return keys;
}

void psk_keys_drop(struct psk_keys *keys)
{
	if (keys == NULL)
		return;
	/* Release our reads of them; the last one acquires those of all others. */
	uint32_t refs = atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel);
	CHECK(refs != 0);
	if (refs == 1)
		destroy(keys);
}

size_t psk_keys_count(const struct psk_keys *keys)
{
	return keys->count;
}

/* ---- a session ---- */

struct psk *psk_open(struct psk_keys *keys, bool is_dialler, size_t which)
{
	CHECK(which < keys->count);
	struct psk *psk = calloc(1, sizeof(*psk));
	if (psk == NULL)
		return NULL;
	psk->keys = psk_keys_take(keys);
	psk->which = which;
	psk->ssl = SSL_new(is_dialler ? keys->client : keys->server);
	if (psk->ssl == NULL || !tls_bio_attach(psk->ssl, &psk->bytes)) {
		ERR_clear_error();
		psk_close(psk);
		return NULL;
	}
	if (is_dialler)
		SSL_set_connect_state(psk->ssl);
	else
		SSL_set_accept_state(psk->ssl);
	return psk;
}

void psk_close(struct psk *psk)
{
	if (psk == NULL)
		return;
	SSL_free(psk->ssl);
	psk_keys_drop(psk->keys);
	free(psk);
}

static enum psk_answer break_off(struct psk *psk, enum psk_fault fault)
{
	psk->is_over = true;
	if (psk->fault == PSK_FAULT_NONE)
		psk->fault = fault;
	return PSK_BROKEN;
}

/* What OpenSSL answered, when it was not what was wanted. */
static enum psk_answer judge(struct psk *psk, int result)
{
	int why = SSL_get_error(psk->ssl, result);
	int reason = ERR_GET_REASON(ERR_peek_error());
	ERR_clear_error();
	if (why == SSL_ERROR_WANT_READ)
		return PSK_MORE;
	if (why == SSL_ERROR_ZERO_RETURN) {
		psk->is_over = true;
		return PSK_ENDED;
	}
	/* A server that does not know the key ends like this for who dialled. */
	bool is_refusal = !psk->is_ready && (reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE ||
	                                     reason == SSL_R_TLSV1_ALERT_DECRYPT_ERROR);
	/* And a client whose key is another one under the same name, like that. */
	bool is_forged = !psk->is_ready && reason == SSL_R_BINDER_DOES_NOT_VERIFY;
	return break_off(psk, is_refusal || is_forged ? PSK_FAULT_KEY : PSK_FAULT_TLS);
}

static enum psk_answer shake(struct psk *psk)
{
	ERR_clear_error();
	int result = SSL_do_handshake(psk->ssl);
	if (psk->taken > PSK_HANDSHAKE_BYTES_MAX)
		return break_off(psk, PSK_FAULT_TLS);
	/* A server answers only who has shown a key by which the binder is right. */
	psk->has_shown |= !SSL_in_before(psk->ssl) && SSL_session_reused(psk->ssl) == 1;
	if (result != 1)
		return judge(psk, result);
	if (SSL_session_reused(psk->ssl) != 1 || SSL_version(psk->ssl) != TLS1_3_VERSION)
		return break_off(psk, PSK_FAULT_KEY);
	psk->is_ready = true;
	return PSK_MORE;
}

static enum psk_answer read_plain(struct psk *psk, struct buf *plain)
{
	for (;;) {
		char *room = buf_room(plain, RECORD_BYTES);
		if (room == NULL)
			return break_off(psk, PSK_FAULT_MEMORY);
		ERR_clear_error();
		int got = SSL_read(psk->ssl, room, RECORD_BYTES);
		if (got <= 0)
			return judge(psk, got);
		buf_grew(plain, (size_t)got);
	}
}

enum psk_answer psk_take(struct psk *psk, struct slice bytes, struct buf *plain, struct buf *out)
{
	enum psk_answer answer = PSK_MORE;
	CHECK(!psk->is_over);
	psk->bytes = (struct tls_bio){bytes, out};
	if (!psk->is_ready) {
		psk->taken += bytes.len;
		answer = shake(psk);
	}
	if (answer == PSK_MORE && psk->is_ready)
		answer = read_plain(psk, plain);
	psk->bytes.out = NULL;
	if (answer != PSK_BROKEN && out->is_broken)
		answer = break_off(psk, PSK_FAULT_MEMORY);
	return answer;
}

bool psk_is_ready(const struct psk *psk)
{
	return psk->is_ready;
}

bool psk_has_shown(const struct psk *psk)
{
	return psk->has_shown;
}

enum psk_fault psk_fault(const struct psk *psk)
{
	return psk->fault;
}

/* What is written next begins with the change: RFC 8446 section 4.6.3. */
static bool renew_keys(struct psk *psk)
{
	psk->records = 0;
	return SSL_key_update(psk->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1;
}

static bool seal(struct psk *psk, struct slice plain)
{
	uint32_t records = (uint32_t)((plain.len + RECORD_BYTES - 1) / RECORD_BYTES);
	if (psk->records >= PSK_RECORDS_PER_KEY && !renew_keys(psk))
		return false;
	psk->records += records;
	return SSL_write(psk->ssl, plain.at, (int)plain.len) == (int)plain.len;
}

bool psk_seal(struct psk *psk, struct slice plain, struct buf *out)
{
	CHECK(psk->is_ready);
	CHECK(plain.len > 0 && plain.len <= INT32_MAX);
	psk->bytes.out = out;
	ERR_clear_error();
	bool is_sealed = seal(psk, plain);
	ERR_clear_error();
	psk->bytes.out = NULL;
	return is_sealed && !out->is_broken;
}

void psk_say_end(struct psk *psk, struct buf *out)
{
	if (!psk->is_ready)
		return;
	psk->bytes.out = out;
	ERR_clear_error();
	(void)SSL_shutdown(psk->ssl);
	ERR_clear_error();
	psk->bytes.out = NULL;
}
