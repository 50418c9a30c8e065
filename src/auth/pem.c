#include "auth/pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

struct block {
	char *name, *header;
	unsigned char *bytes;
	long len;
};

static void block_free(struct block *block)
{
	OPENSSL_free(block->name);
	OPENSSL_free(block->header);
	OPENSSL_clear_free(block->bytes, (size_t)block->len); /* it may be a secret */
}

/* The next block: 1, 0 at the end, -1 when what there is is no PEM. */
static int next_block(BIO *text, struct block *block)
{
	*block = (struct block){0};
	if (PEM_read_bio(text, &block->name, &block->header, &block->bytes, &block->len) == 1)
		return 1;
	bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	return is_end ? 0 : -1;
}

static EVP_PKEY *key_of_certificate(const unsigned char **at, long len)
{
	X509 *certificate = d2i_X509(NULL, at, len);
	EVP_PKEY *key = certificate == NULL ? NULL : X509_get_pubkey(certificate);
	X509_free(certificate);
	return key;
}

/* NULL: the block holds no key that can be read. */
static EVP_PKEY *key_of(const struct block *block)
{
	const unsigned char *at = block->bytes;
	EVP_PKEY *key = NULL;
	if (strcmp(block->name, PEM_STRING_PUBLIC) == 0)
		key = d2i_PUBKEY(NULL, &at, block->len);
	else if (strcmp(block->name, PEM_STRING_RSA_PUBLIC) == 0)
		key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, block->len);
	else if (strcmp(block->name, PEM_STRING_X509) == 0)
		key = key_of_certificate(&at, block->len);
	if (at == block->bytes + block->len)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

static int add_block(struct key_set *set, const struct block *block, const char **why)
{
	*why = "a private key: give the public one";
	if (strstr(block->name, "PRIVATE") != NULL)
		return -EINVAL;
	*why = "neither a public key nor a certificate";
	EVP_PKEY *key = key_of(block);
	ERR_clear_error();
	int result = key == NULL ? -EINVAL : key_set_add_public(set, key, slice_of(NULL, 0), why);
	EVP_PKEY_free(key);
	return result;
}

static int add_blocks(struct key_set *set, BIO *text, struct buf *error)
{
	struct block block;
	unsigned number = 0;
	int result = 0, got;
	while (result == 0 && (got = next_block(text, &block)) != 0) {
		const char *why = "no PEM";
		number++;
		result = got > 0 ? add_block(set, &block, &why) : -EINVAL;
		block_free(&block);
		if (result == -EINVAL)
			buf_format(error, "block %u: %s", number, why);
	}
	if (number > 0)
		return result;
	buf_string(error, "neither PEM nor a set of JSON Web Keys");
	return -EINVAL;
}

int pem_read(struct key_set *set, struct slice text, struct buf *error)
{
	CHECK(text.len <= INT_MAX);
	BIO *bio = BIO_new_mem_buf(text.len > 0 ? text.at : "", (int)text.len);
	int result = bio == NULL ? -ENOMEM : add_blocks(set, bio, error);
	BIO_free(bio);
	if (result == -ENOMEM)
		buf_string(error, "out of memory");
	return result;
}
