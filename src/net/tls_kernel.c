#include "net/tls_kernel.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#define TYPE_ALERT 21

union keys {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 aes_128;
	struct tls12_crypto_info_aes_gcm_256 aes_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

static void put_number(unsigned char out[8], uint64_t number)
{
	for (size_t i = 8; i > 0; i--, number >>= 8)
		out[i - 1] = (unsigned char)number;
}

/* The part of the nonce that GCM of TLS 1.2 shows in each record begins at the number. */
static void fill_gcm(unsigned char *key, size_t key_len, unsigned char salt[4], unsigned char iv[8],
                     unsigned char number[8], struct tls_suite suite, const struct tls_keys *keys)
{
	memcpy(key, keys->key, key_len);
	memcpy(salt, keys->iv, 4);
	put_number(number, keys->next);
	if (suite.is_13)
		memcpy(iv, keys->iv + 4, 8);
	else
		put_number(iv, keys->next);
}

static socklen_t fill(union keys *out, struct tls_suite suite, const struct tls_keys *keys)
{
	*out = (union keys){.info.version = suite.is_13 ? TLS_1_3_VERSION : TLS_1_2_VERSION};
	switch ((enum tls_aead)suite.aead) {
	case TLS_AES_128_GCM:
		out->info.cipher_type = TLS_CIPHER_AES_GCM_128;
		fill_gcm(out->aes_128.key, sizeof(out->aes_128.key), out->aes_128.salt,
		         out->aes_128.iv, out->aes_128.rec_seq, suite, keys);
		return sizeof(out->aes_128);
	case TLS_AES_256_GCM:
		out->info.cipher_type = TLS_CIPHER_AES_GCM_256;
		fill_gcm(out->aes_256.key, sizeof(out->aes_256.key), out->aes_256.salt,
		         out->aes_256.iv, out->aes_256.rec_seq, suite, keys);
		return sizeof(out->aes_256);
	case TLS_CHACHA20_POLY1305:
		out->info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(out->chacha.key, keys->key, sizeof(out->chacha.key));
		memcpy(out->chacha.iv, keys->iv, sizeof(out->chacha.iv));
		put_number(out->chacha.rec_seq, keys->next);
		return sizeof(out->chacha);
	case TLS_AEAD_COUNT:
		break;
	}
	return 0;
}

int tls_kernel_seal(int fd, struct tls_suite suite, const struct tls_keys *keys)
{
	/* Without keys the module lets everything pass as it is. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) != 0)
		return errno == ENOENT ? -ENOENT : -EOPNOTSUPP;
	union keys given;
	socklen_t len = fill(&given, suite, keys);
	int error = setsockopt(fd, SOL_TLS, TLS_TX, &given, len) == 0 ? 0 : -EOPNOTSUPP;
	OPENSSL_cleanse(&given, sizeof(given));
	return error;
}

void tls_kernel_alert(int fd, int level, int alert)
{
	unsigned char bytes[2] = {(unsigned char)level, (unsigned char)alert};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(1)];
	} control = {.header = {.cmsg_len = CMSG_LEN(1),
	                        .cmsg_level = SOL_TLS,
	                        .cmsg_type = TLS_SET_RECORD_TYPE}};
	*CMSG_DATA(&control.header) = TYPE_ALERT;
	struct iovec part = {bytes, sizeof(bytes)};
	struct msghdr message = {.msg_iov = &part,
	                         .msg_iovlen = 1,
	                         .msg_control = &control,
	                         .msg_controllen = CMSG_SPACE(1)};
	/* A socket that takes nothing more tells the peer by its end. */
	(void)!sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
