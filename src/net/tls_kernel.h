/*
 * tls_kernel.h - what is written to a socket, sealed by the kernel (kTLS).
 *
 * Threads:   the connection's worker.
 * Ownership: the descriptor is the caller's; the kernel copies the keys.
 * Limits:    sending only. Linux 4.13 with its module tls; 5.1 for TLS 1.3, 5.11 for ChaCha20.
 * Source:    Documentation/networking/tls.rst of Linux.
 */
#pragma once

#include "net/tls_keys.h"

/* From here on plain bytes are written. 0; -ENOENT: the kernel has no such module; -EOPNOTSUPP: it
 * cannot do it for this connection. Without success all is as it was. */
MUST_CHECK int tls_kernel_seal(int fd, struct tls_suite suite, const struct tls_keys *keys);
/* Those written before it are with the kernel. */
void tls_kernel_alert(int fd, int level, int alert);
