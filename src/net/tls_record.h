/*
 * tls_record.h - protected records of TLS 1.2 and 1.3: bytes sealed into one, and taken out again.
 *
 * Threads:   struct tls_crypto is one worker's, used for all its connections; else pure.
 * Ownership: tls_crypto_create() gives what tls_crypto_destroy() takes back. Bytes are the
 *            caller's.
 * Limits:    TLS_PLAIN_MAX bytes in a record. A peer's record that is longer, or holds nothing
 *            where it must not, is refused with the alert of the standard.
 * Source:    RFC 8446 section 5, RFC 5246 section 6.2, RFC 5288, RFC 7905.
 */
#pragma once

#include "base/slice.h"
#include "net/tls_keys.h"

#define TLS_PLAIN_MAX 16384u
#define TLS_HEADER_BYTES 5u
#define TLS_TAG_BYTES 16u
#define TLS_RECORD_MAX (TLS_HEADER_BYTES + TLS_PLAIN_MAX + 256u) /* a peer may pad so much */
#define TLS_SEALED_MAX (TLS_HEADER_BYTES + 8u + TLS_PLAIN_MAX + 1u + TLS_TAG_BYTES)

enum tls_type {
	TLS_TYPE_CIPHER_CHANGE = 20,
	TLS_TYPE_ALERT = 21,
	TLS_TYPE_HANDSHAKE = 22,
	TLS_TYPE_DATA = 23,
};

enum tls_alert {
	TLS_ALERT_CLOSE_NOTIFY = 0,
	TLS_ALERT_UNEXPECTED_MESSAGE = 10,
	TLS_ALERT_BAD_RECORD_MAC = 20,
	TLS_ALERT_RECORD_OVERFLOW = 22,
	TLS_ALERT_DECODE_ERROR = 50,
	TLS_ALERT_INTERNAL_ERROR = 80,
	TLS_ALERT_USER_CANCELED = 90,
	TLS_ALERT_NO_RENEGOTIATION = 100,
};

struct tls_crypto;

struct tls_crypto *tls_crypto_create(void); /* NULL: OpenSSL failed */
void tls_crypto_destroy(struct tls_crypto *crypto);

/* The record at the start of `bytes`: its length with its header, 0 when more must come to
 * know it. A length above TLS_RECORD_MAX is not good. */
size_t tls_record_bytes(const char *bytes, size_t len);
static inline uint8_t tls_record_type(const char *record)
{
	return (uint8_t)record[0];
}

/* Where the content of a record at `record` is to be put before it is sealed. There is room for
 * TLS_SEALED_MAX. */
char *tls_record_content(char *record, struct tls_suite suite);
/* Gives the bytes of the record; 0: OpenSSL failed. */
MUST_CHECK size_t tls_record_seal(struct tls_crypto *crypto, struct tls_suite suite,
                                  struct tls_keys *keys, enum tls_type type, char *record,
                                  size_t len);

/* A record taken apart. */
struct tls_opened {
	uint8_t type; /* TLS_TYPE_ALERT, _HANDSHAKE or _DATA */
	size_t len;   /* bytes at `plain`; 0 with TLS_TYPE_DATA alone */
};
/* `record` is whole, and no longer than TLS_RECORD_MAX; `plain` has room for as much, elsewhere.
 * 0, or the alert to answer with: then the connection is done for. */
MUST_CHECK int tls_record_open(struct tls_crypto *crypto, struct tls_suite suite,
                               struct tls_keys *keys, const char *record, char *plain,
                               struct tls_opened *opened);
