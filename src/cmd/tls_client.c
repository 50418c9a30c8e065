#include "cmd/tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

static bool is_address(const char *host)
{
	unsigned char bytes[16];
	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Whom the certificate must name; a name, not an address, is also said to the server. */
static bool set_host(SSL *ssl, const char *host)
{
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int tls_client_open(struct tls_client *tls, int fd, const char *host)
{
	CHECK(tls->context == NULL);
	CHECK(fd >= 0);
	tls->context = SSL_CTX_new(TLS_client_method());
	if (tls->context == NULL)
		return -ENOMEM;
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(tls->context,
	                 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Without authorities nothing will be verified, and the handshake says so. */
	(void)SSL_CTX_set_default_verify_paths(tls->context);
	bool is_good = SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) == 1 &&
	               (tls->ssl = SSL_new(tls->context)) != NULL &&
	               SSL_set_fd(tls->ssl, fd) == 1 && set_host(tls->ssl, host);
	return is_good ? 0 : -ENOMEM;
}

void tls_client_close(struct tls_client *tls)
{
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->context);
	*tls = (struct tls_client){0};
}

int tls_client_greet(struct tls_client *tls, short *events)
{
	ERR_clear_error();
	int result = SSL_connect(tls->ssl);
	if (result == 1)
		return 0;
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		*events = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*events = POLLOUT;
		return -EAGAIN;
	default:
		return -EPROTO;
	}
}

const char *tls_client_fault(const struct tls_client *tls)
{
	long verdict = SSL_get_verify_result(tls->ssl);
	if (verdict != X509_V_OK)
		return X509_verify_cert_error_string(verdict);
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	return reason != NULL ? reason : "the server ended the connection";
}

/* What SSL_read() and SSL_write() could not do. That one waits for what the other does comes
 * with renegotiation only, which is switched off: to try again later is enough. */
static ssize_t read_fault(const struct tls_client *tls, int result)
{
	int error = errno;
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return error != 0 ? -error : -ECONNRESET;
	default:
		return -EPROTO;
	}
}

ssize_t tls_client_read(struct tls_client *tls, void *room, size_t len)
{
	CHECK(len > 0);
	ERR_clear_error();
	errno = 0;
	int got = SSL_read(tls->ssl, room, len < INT_MAX ? (int)len : INT_MAX);
	return got > 0 ? got : read_fault(tls, got);
}

ssize_t tls_client_write(struct tls_client *tls, const void *bytes, size_t len)
{
	CHECK(len > 0);
	ERR_clear_error();
	errno = 0;
	int put = SSL_write(tls->ssl, bytes, len < INT_MAX ? (int)len : INT_MAX);
	return put > 0 ? put : read_fault(tls, put);
}

bool tls_client_is_pending(const struct tls_client *tls)
{
	return SSL_pending(tls->ssl) > 0;
}
