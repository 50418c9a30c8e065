/*
 * config_address.h - addresses, networks and origins as an operator writes them.
 *
 * Threads:   pure functions.
 * Ownership: an address owns its strings, a network owns nothing; zeroed memory owns nothing
 *            either. What a refused text left in the result is still the caller's to free.
 * Limits:    a unix path fits sockaddr_un; a DNS name has 253 characters.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

struct config_address {
	char *text; /* as it was written */
	int family; /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: `host` is a DNS name */
	char *host; /* without brackets; of AF_UNIX the path */
	uint16_t port;
};

struct config_network {
	int family;        /* AF_INET, AF_INET6; AF_UNIX: every local socket */
	uint8_t bytes[16]; /* in network order; AF_INET uses four */
	uint8_t prefix_bits;
};

/* To bind: IPv4:port, [IPv6]:port or unix:/path. To dial: IPv4:port, [IPv6]:port or name:port.
 * Into zeroed memory; 0, -EINVAL or -ENOMEM. */
MUST_CHECK int config_address_parse(struct slice text, struct config_address *address);
MUST_CHECK int config_host_parse(struct slice text, struct config_address *address);
void config_address_free(struct config_address *address);

bool config_address_is_loopback(const struct config_address *address);

/* ADDRESS/BITS, an address alone, or `unix`. Bits behind the prefix are as written. */
MUST_CHECK bool config_network_parse(struct slice text, struct config_network *network);

/* scheme://host[:port], and nothing behind it: browsers send no path, not even a slash. */
bool config_origin_is_valid(struct slice text);

char *config_copy(struct slice text); /* a string, or NULL without memory */
void config_text_free(char *text);    /* wiped, for it may be a secret; NULL is fine */
