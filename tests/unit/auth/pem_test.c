/* Files of keys in PEM, written by OpenSSL. */
#include "auth/pem.h"

#include <errno.h>
#include <openssl/x509.h>

#include "../guard.h"
#include "auth/key_file.h"
#include "signing.h"

static EVP_PKEY *rsa, *ec, *ed25519, *small, *p384;
static struct buf file, error;

static void claim(const char *text)
{
	printf("pem: %s\n", text);
	buf_clear(&file);
}

/* How many keys the file gives; -1: it is refused, and `error` says why. */
static int keys_in_file(void)
{
	struct key_set *set = key_set_create();
	CHECK(set != NULL);
	buf_clear(&error);
	char *guarded = guard_copy(buf_view(&file));
	int result = key_file_read(set, slice_of(guarded, file.len), &error);
	guard_drop(guarded, file.len);
	CHECK(result == 0 || result == -EINVAL);
	CHECK((result < 0) == (error.len > 0));
	int count = result < 0 ? -1 : (int)key_set_count(set);
	key_set_destroy(set);
	return count;
}

static bool is_refused(const char *reason)
{
	int count = keys_in_file();
	buf_char(&error, '\0');
	CHECK(memchr(error.at, '\n', error.len) == NULL);
	if (count == -1 && strstr(error.at, reason) != NULL)
		return true;
	fprintf(stderr, "%d keys, %s\nexpected: %s\n", count, error.at, reason);
	return false;
}

static void append_bio(BIO *bio)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);
	CHECK(len > 0);
	buf_append(&file, text, (size_t)len);
	BIO_free(bio);
}

static void append_private(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	CHECK(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	append_bio(bio);
}

static void append_certificate(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	CHECK(X509_set_pubkey(certificate, key) == 1);
	CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL);
	CHECK(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL);
	CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
	CHECK(PEM_write_bio_X509(bio, certificate) == 1);
	X509_free(certificate);
	append_bio(bio);
}

/* The RSA key in its old form. */
static void append_pkcs1(EVP_PKEY *key)
{
	unsigned char *bytes = NULL;
	int len = i2d_PublicKey(key, &bytes);
	BIO *bio = BIO_new(BIO_s_mem());
	CHECK(len > 0);
	CHECK(PEM_write_bio(bio, "RSA PUBLIC KEY", "", bytes, len) > 0);
	OPENSSL_free(bytes);
	append_bio(bio);
}

static void check_good(void)
{
	claim("each kind of key is read");
	append_pem(&file, rsa);
	CHECK(keys_in_file() == 1);
	append_pem(&file, ec);
	append_pem(&file, ed25519);
	CHECK(keys_in_file() == 3);
	claim("an RSA key may be in its old form");
	append_pkcs1(rsa);
	CHECK(keys_in_file() == 1);
	claim("a certificate holds a key");
	append_certificate(ec);
	append_certificate(rsa);
	CHECK(keys_in_file() == 2);
	claim("text around the blocks is passed over");
	buf_string(&file, "# the key of 2024\n\n");
	append_pem(&file, ec);
	buf_string(&file, "and the next one\r\n");
	append_pem(&file, ed25519);
	buf_string(&file, "end");
	CHECK(keys_in_file() == 2);
	claim("the same key twice is two");
	append_pem(&file, ec);
	append_pem(&file, ec);
	CHECK(keys_in_file() == 2);
}

static void check_refused(void)
{
	claim("an empty file holds none");
	CHECK(is_refused("neither PEM nor"));
	claim("nor does any text");
	buf_string(&file, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI user@host\n");
	CHECK(is_refused("neither PEM nor"));
	claim("a private key is refused, and is told as such");
	append_private(ec);
	CHECK(is_refused("block 1: a private key"));
	claim("also behind a public one");
	append_pem(&file, rsa);
	append_private(rsa);
	CHECK(is_refused("block 2: a private key"));
	claim("an RSA key that is too small is refused");
	append_pem(&file, ec);
	append_pem(&file, small);
	CHECK(is_refused("block 2: an RSA key has 2048"));
	claim("a key on another curve is refused");
	append_pem(&file, p384);
	CHECK(is_refused("P-256"));
	claim("a block of another kind is refused");
	buf_string(&file, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
	CHECK(is_refused("block 1: neither"));
	claim("bytes that are no key are refused");
	buf_string(&file, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
	CHECK(is_refused("block 1: neither"));
	claim("a block without its end is refused");
	append_pem(&file, ec);
	buf_cut_to(&file, file.len - 10);
	CHECK(is_refused("block 1: no PEM"));
	claim("a block that is no base64 is refused");
	buf_string(&file, "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n");
	CHECK(is_refused("block 1: "));
	claim("more keys than may be are refused");
	for (int i = 0; i <= KEYS_MAX; i++)
		append_pem(&file, ed25519);
	CHECK(is_refused("block 65: more keys"));
}

/* Something behind the key within its block: d2i would not see it. */
static void check_trailing(void)
{
	unsigned char *bytes = NULL, longer[256] = {0};
	int len = i2d_PUBKEY(ec, &bytes);
	BIO *bio = BIO_new(BIO_s_mem());
	claim("bytes behind the key in its block are refused");
	CHECK(len > 0);
	CHECK((size_t)len < sizeof(longer));
	memcpy(longer, bytes, (size_t)len);
	OPENSSL_free(bytes);
	CHECK(PEM_write_bio(bio, "PUBLIC KEY", "", longer, len + 1) > 0);
	append_bio(bio);
	CHECK(is_refused("block 1: neither"));
}

int main(void)
{
	rsa = make_rsa(2048);
	small = make_rsa(1024);
	ec = make_ec("P-256");
	p384 = make_ec("P-384");
	ed25519 = make_ed25519();
	check_good();
	check_refused();
	check_trailing();
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(small);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(ed25519);
	buf_free(&file);
	buf_free(&error);
	return 0;
}
