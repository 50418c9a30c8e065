/*
 * tls_files.h - keys and certificates for tests, made anew in a scratch directory.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"

static char tls_files_at[] = P_tmpdir "/tls_files.XXXXXX";

static inline const char *tls_file(const char *name)
{
	static char paths[4][128]; /* so many may be in use at once */
	static unsigned next;
	char *path = paths[next++ % COUNT_OF(paths)];
	snprintf(path, sizeof(paths[0]), "%s/%s", tls_files_at, name);
	return path;
}

static inline void tls_file_write(const char *name, const char *text)
{
	FILE *file = fopen(tls_file(name), "w");
	CHECK(file != NULL);
	CHECK(fputs(text, file) >= 0);
	CHECK(fclose(file) == 0);
}

static inline X509 *tls_certificate(EVP_PKEY *key, long serial)
{
	X509 *certificate = X509_new();
	CHECK(certificate != NULL);
	CHECK(X509_set_version(certificate, 2) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME *name = X509_get_subject_name(certificate);
	CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	                                 (const unsigned char *)"localhost", -1, -1, 0) == 1);
	CHECK(X509_set_issuer_name(certificate, name) == 1);
	CHECK(X509_set_pubkey(certificate, key) == 1);
	CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
	return certificate;
}

/* NAME.crt and NAME.key, and NAME.locked: the key behind a passphrase. */
static inline void tls_files_make(const char *name, EVP_PKEY *key, long serial)
{
	char file[64];
	X509 *certificate = tls_certificate(key, serial);
	snprintf(file, sizeof(file), "%s.crt", name);
	FILE *out = fopen(tls_file(file), "w");
	CHECK(out != NULL);
	CHECK(PEM_write_X509(out, certificate) == 1);
	fclose(out);
	snprintf(file, sizeof(file), "%s.key", name);
	out = fopen(tls_file(file), "w");
	CHECK(out != NULL);
	CHECK(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(out);
	snprintf(file, sizeof(file), "%s.locked", name);
	out = fopen(tls_file(file), "w");
	CHECK(out != NULL);
	CHECK(PEM_write_PrivateKey(out, key, EVP_aes_128_cbc(), NULL, 0, NULL,
	                           (void *)(uintptr_t) "passphrase") == 1);
	fclose(out);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* "ec" and "rsa". */
static inline void tls_files_begin(void)
{
	CHECK(mkdtemp(tls_files_at) != NULL);
	tls_files_make("ec", EVP_EC_gen("P-256"), 1);
	tls_files_make("rsa", EVP_RSA_gen(2048), 2);
}

static inline void tls_files_end(void)
{
	static const char *const names[] = {"ec.crt",  "ec.key",  "ec.locked",
	                                    "rsa.crt", "rsa.key", "rsa.locked"};
	for (size_t i = 0; i < COUNT_OF(names); i++)
		CHECK(unlink(tls_file(names[i])) == 0);
	CHECK(rmdir(tls_files_at) == 0);
}
