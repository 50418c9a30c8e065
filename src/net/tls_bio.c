#include "net/tls_bio.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>

static int bio_read(BIO *bio, char *room, int len)
{
	struct slice *input = &((struct tls_bio *)BIO_get_data(bio))->input;
	size_t count = input->len < (size_t)len ? input->len : (size_t)len;
	BIO_clear_retry_flags(bio);
	if (count == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(room, input->at, count);
	*input = slice_after(*input, count);
	return (int)count;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
	struct buf *out = ((struct tls_bio *)BIO_get_data(bio))->out;
	BIO_clear_retry_flags(bio);
	if (out != NULL)
		buf_append(out, bytes, (size_t)len);
	return len;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return what == BIO_CTRL_FLUSH; /* there is nothing to do for it */
}

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static void make_method(void)
{
	BIO_METHOD *made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "starling");
	if (made != NULL && BIO_meth_set_read(made, bio_read) == 1 &&
	    BIO_meth_set_write(made, bio_write) == 1 && BIO_meth_set_ctrl(made, bio_ctrl) == 1)
		method = made;
}

bool tls_bio_is_possible(void)
{
	CHECK(pthread_once(&method_once, make_method) == 0);
	return method != NULL;
}

bool tls_bio_attach(SSL *ssl, struct tls_bio *bytes)
{
	CHECK(method != NULL);
	BIO *bio = BIO_new(method);
	if (bio == NULL)
		return false;
	BIO_set_data(bio, bytes);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return true;
}

struct tls_bio *tls_bio_of(const SSL *ssl)
{
	return BIO_get_data(SSL_get_rbio(ssl));
}
