/*
 * tls_psk.h - TLS between two nodes that share a secret: bytes in, bytes out.
 *
 * TLS 1.3 and nothing else, with a key that both sides derive from the secret and the cluster's
 * name instead of certificates, and always with an exchange of ephemeral keys: what was captured
 * stays closed even to who learns the secret later. No early data, no tickets, one cipher suite.
 * Each side proves to the other that it holds the secret; without that there is no connection.
 *
 * While secrets are changed there may be two. What is dialled shows the first unless told
 * otherwise; what is accepted may show either. The name under which a key is shown tells which
 * secret and which cluster it is of, and is of no use to find either.
 *
 * Threads:   struct psk_keys is constant; made, taken and dropped by any thread. A session is
 *            one thread's.
 * Ownership: keys are counted, a session holds a reference; they lie in memory that core dumps
 *            leave out. psk_open() gives what psk_close() takes back.
 * Limits:    PSK_SECRETS_MAX secrets. A session's handshake reads PSK_HANDSHAKE_BYTES_MAX. What
 *            is sealed has new keys after PSK_RECORDS_PER_KEY records, as links live for months.
 * Source:    RFC 8446 sections 2.2, 4.2.11, 4.6.3, 5.5 and 9.1; RFC 5869 (HKDF); RFC 9257 on
 *            external keys.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"

#define PSK_SECRETS_MAX 2
#define PSK_HANDSHAKE_BYTES_MAX (16u * 1024) /* a peer has said all that it has to in less */
/* RFC 8446 section 5.5 allows 2^24.5. A change costs some twenty records. */
#define PSK_RECORDS_PER_KEY (1u << 16)

struct psk_keys;

/* NULL: no memory, or OpenSSL failed. The secrets are the caller's and may go. */
struct psk_keys *psk_keys_create(const struct slice *secrets, size_t count, struct slice cluster);
struct psk_keys *psk_keys_take(struct psk_keys *keys); /* gives back its argument */
void psk_keys_drop(struct psk_keys *keys);             /* NULL is fine */
size_t psk_keys_count(const struct psk_keys *keys);

struct psk;

enum psk_answer {
	PSK_MORE = 0, /* all that came was taken, and the session goes on */
	PSK_ENDED,    /* the peer says that it sends no more */
	PSK_BROKEN,   /* psk_fault() says why; an alert for the peer is in `out` */
};

enum psk_fault {
	PSK_FAULT_NONE = 0,
	PSK_FAULT_KEY,     /* it shows another secret, or none */
	PSK_FAULT_CLUSTER, /* the secret is ours, the cluster another one */
	PSK_FAULT_TLS,     /* not TLS 1.3, or not as it should be */
	PSK_FAULT_MEMORY,
};

/* `which` of the secrets is shown by who dials. NULL: no memory. */
struct psk *psk_open(struct psk_keys *keys, bool is_dialler, size_t which);
void psk_close(struct psk *psk); /* NULL is fine */

/* Who dials begins: what is to be sent comes out of a call with nothing. Plain bytes are appended
 * to `plain`, what is to be sent to `out`. */
MUST_CHECK enum psk_answer psk_take(struct psk *psk, struct slice bytes, struct buf *plain,
                                    struct buf *out);
bool psk_is_ready(const struct psk *psk);  /* the handshake is over: bytes may be sealed */
bool psk_has_shown(const struct psk *psk); /* the peer has shown a key that is good */
enum psk_fault psk_fault(const struct psk *psk);

MUST_CHECK bool psk_seal(struct psk *psk, struct slice plain, struct buf *out); /* false: broken */
void psk_say_end(struct psk *psk, struct buf *out);
