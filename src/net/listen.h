/*
 * listen.h - descriptors that new connections come from.
 *
 * Threads:   any; a descriptor belongs to who opened it.
 * Ownership: listen_open() and listen_accept() give descriptors that the caller closes. They
 *            do not block, and are closed on exec.
 * Limits:    the backlog is what the kernel allows (net.core.somaxconn).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/check.h"

#define LISTEN_TEXT_MAX 128 /* of an address as text, with its NUL */

struct listen_address {
	struct sockaddr_storage socket;
	socklen_t len;
};

/* From numbers or a path; false: not one. */
MUST_CHECK bool listen_ip(struct listen_address *address, const char *host, uint16_t port);
MUST_CHECK bool listen_unix(struct listen_address *address, const char *path);
bool listen_is_unix(const struct listen_address *address);
struct address listen_address_of(const struct listen_address *address); /* without the port */
void listen_text(const struct listen_address *address, char out[LISTEN_TEXT_MAX]);

/* Is the address free? Port 0 becomes the port that was found. A path that a dead process
 * left is cleared away. 0 or -errno. */
MUST_CHECK int listen_claim(struct listen_address *address);

/* An address that means all of this machine's becomes one of them, by which others may reach it:
 * the first that is not of loopback, where there is one. */
void listen_make_reachable(struct listen_address *address);

/* A descriptor, or -errno. Connections from it end when a peer acknowledges nothing for
 * `silence_ms_max` of what was sent (TCP_USER_TIMEOUT). TCP addresses may be opened by several
 * threads, between which the kernel then spreads connections (SO_REUSEPORT). */
MUST_CHECK int listen_open(const struct listen_address *address, uint32_t silence_ms_max);
/* Makes a listening socket that was handed over one like ours, and says where it listens. 0 or
 * -errno. */
MUST_CHECK int listen_adopt(int fd, uint32_t silence_ms_max, struct listen_address *address);
/* What each TCP connection of ours has, whoever dialled: set where it is dialled, or on a listener,
 * from which those that it accepts inherit it. 0 or -errno. */
MUST_CHECK int listen_set_tcp(int fd, uint32_t silence_ms_max);
void listen_remove(const struct listen_address *address); /* the path that it leaves, if any */
/* A descriptor; -EAGAIN: none waits now; or -errno. */
MUST_CHECK int listen_accept(int listener, struct listen_address *peer);
