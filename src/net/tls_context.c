#include "net/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "net/tls_handshake.h"

/* The fastest that all have first; a client without AES in hardware says so by its own order. */
static const char suites_13[] =
	"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
static const char suites_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
				"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
static const char groups[] = "X25519:P-256:P-384";

/* ---- rules ---- */

/* A client that names protocols and not ours is told so: RFC 7301 section 3.2. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *unused)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;
	(void)ssl;
	(void)unused;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, offered, offered_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* A key that is locked is a mistake to be told, not a question to ask on the terminal. */
static int no_passphrase(char *room, int len, int is_new, void *was_asked)
{
	(void)room;
	(void)len;
	(void)is_new;
	*(bool *)was_asked = true;
	return -1;
}

static bool set_rules(SSL_CTX *context)
{
	static const unsigned char session_place[] = "starling";
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
	                                     SSL_OP_PRIORITIZE_CHACHA);
	/* A handshake that waits for its client holds the less. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_ciphersuites(context, suites_13) == 1 &&
	       SSL_CTX_set_cipher_list(context, suites_12) == 1 &&
	       SSL_CTX_set1_groups_list(context, groups) == 1 &&
	       SSL_CTX_set_session_id_context(context, session_place, sizeof(session_place) - 1) ==
	               1 &&
	       SSL_CTX_set_num_tickets(context, 1) == 1 && tls_handshake_allow(context);
}

/* ---- files ---- */

static bool is_weak(unsigned long error)
{
	int reason = ERR_GET_REASON(error);
	return ERR_GET_LIB(error) == ERR_LIB_SSL &&
	       (reason == SSL_R_EE_KEY_TOO_SMALL || reason == SSL_R_CA_KEY_TOO_SMALL ||
	        reason == SSL_R_CA_MD_TOO_WEAK);
}

/* A file that cannot be read is told in the system's words; what else OpenSSL has to say of one
 * helps nobody, but that it has no trust in it. */
static void complain(struct buf *error, const char *path, const char *what)
{
	unsigned long first = ERR_peek_error();
	if (ERR_SYSTEM_ERROR(first))
		what = strerror(ERR_GET_REASON(first));
	else if (is_weak(first))
		what = "a key or a signature in it is too weak";
	buf_format(error, "%s: %s", path, what);
	ERR_clear_error();
}

static bool load_key(SSL_CTX *context, const char *path, const char *cert_path, struct buf *error)
{
	bool was_asked = false;
	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(context, &was_asked);
	/* One that does not fit the certificate is refused too. */
	int result = SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM);
	SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
	if (result == 1 && SSL_CTX_check_private_key(context) == 1)
		return true;
	if (was_asked)
		complain(error, path, "the key is behind a passphrase");
	else if (result != 1 && ERR_GET_LIB(ERR_peek_last_error()) != ERR_LIB_X509)
		complain(error, path, "no private key in PEM");
	else
		buf_format(error, "%s: not the key of the certificate in %s", path, cert_path);
	ERR_clear_error();
	return false;
}

static bool load(SSL_CTX *context, const char *cert_path, const char *key_path, struct buf *error)
{
	if (SSL_CTX_use_certificate_chain_file(context, cert_path) == 1)
		return load_key(context, key_path, cert_path, error);
	complain(error, cert_path, "no certificate in PEM");
	return false;
}

SSL_CTX *tls_context_create(const char *cert_path, const char *key_path, struct buf *error)
{
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (context == NULL || !set_rules(context)) {
		complain(error, "OpenSSL", "not what it should be");
		goto free_context;
	}
	if (load(context, cert_path, key_path, error))
		return context;

free_context:
	SSL_CTX_free(context);
	return NULL;
}

void tls_context_destroy(SSL_CTX *context)
{
	SSL_CTX_free(context);
}
