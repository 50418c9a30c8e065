/* Files that are good, and what is said of those that are not. */
#include "net/tls_context.h"

#include <openssl/ssl.h>

#include "tls_files.h"

static const struct {
	const char *name;
	const char *cert, *key;
	const char *complaint; /* behind the scratch directory; NULL: good */
} cases[] = {
	{"an elliptic key and its certificate", "ec.crt", "ec.key", NULL},
	{"an RSA key and its certificate", "rsa.crt", "rsa.key", NULL},
	{"no such certificate", "no.crt", "ec.key", "no.crt: No such file or directory"},
	{"no such key", "ec.crt", "no.key", "no.key: No such file or directory"},
	{"a key in place of a certificate", "ec.key", "ec.key", "ec.key: no certificate in PEM"},
	{"a certificate in place of a key", "ec.crt", "ec.crt", "ec.crt: no private key in PEM"},
	{"an empty file", "empty", "ec.key", "empty: no certificate in PEM"},
	{"a certificate cut short", "cut", "ec.key", "cut: no certificate in PEM"},
	{"the key of another", "ec.crt", "other.key",
         "other.key: not the key of the certificate in "},
	{"a key of another kind", "ec.crt", "rsa.key",
         "rsa.key: not the key of the certificate in "},
	{"a key that is too short", "weak.crt", "weak.key",
         "weak.crt: a key or a signature in it is too weak"},
	{"a key behind a passphrase", "ec.crt", "ec.locked",
         "ec.locked: the key is behind a passphrase"},
};

static void check(size_t i)
{
	struct buf error = {0}, wanted = {0};
	SSL_CTX *context =
		tls_context_create(tls_file(cases[i].cert), tls_file(cases[i].key), &error);
	CHECK((context == NULL) == (cases[i].complaint != NULL));
	if (cases[i].complaint != NULL) {
		buf_format(&wanted, "%s/%s", tls_files_at, cases[i].complaint);
		bool is_so = slice_starts(buf_view(&error), buf_view(&wanted));
		if (!is_so)
			fprintf(stderr, "%.*s\n", (int)error.len, error.at);
		CHECK(is_so);
		CHECK(memchr(error.at, '\n', error.len) == NULL);
	} else {
		CHECK(error.len == 0);
	}
	tls_context_destroy(context);
	buf_free(&error);
	buf_free(&wanted);
}

int main(void)
{
	tls_files_begin();
	tls_files_make("other", EVP_EC_gen("P-256"), 3);
	tls_files_make("weak", EVP_RSA_gen(1024), 4);
	tls_file_write("empty", "");
	tls_file_write("cut", "-----BEGIN CERTIFICATE-----\nMIIB\n");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("tls_context: %s\n", cases[i].name);
		check(i);
	}
	static const char *const more[] = {"other.crt", "other.key", "other.locked", "empty",
	                                   "cut",       "weak.crt",  "weak.key",     "weak.locked"};
	for (size_t i = 0; i < COUNT_OF(more); i++)
		CHECK(unlink(tls_file(more[i])) == 0);
	tls_files_end();
	return 0;
}
