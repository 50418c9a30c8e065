/*
 * address.h - IP addresses, and networks of them, as values.
 *
 * An IPv4 address that comes dressed as an IPv6 one (::ffff:192.0.2.1) is made plain, so that the
 * same client is never two.
 *
 * Threads:   pure; any thread.
 * Ownership: values.
 * Limits:    no ports, no zones, no names.
 */
#pragma once

#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

#define ADDRESS_TEXT_MAX 46 /* INET6_ADDRSTRLEN */

enum address_family {
	ADDRESS_NONE = 0, /* not known */
	ADDRESS_LOCAL,    /* a socket of this host that has no address */
	ADDRESS_V4,
	ADDRESS_V6,
};

struct address {
	uint8_t family;    /* enum address_family */
	uint8_t bytes[16]; /* in network order; ADDRESS_V4 uses four, the rest is zero */
};

struct network {
	uint8_t family; /* ADDRESS_LOCAL: every local socket */
	uint8_t prefix_bits;
	uint8_t bytes[16]; /* those behind the prefix are as written */
};

struct address address_v4(const void *bytes);
struct address address_v6(const void *bytes);

/* Numbers as they are written, without brackets. */
MUST_CHECK bool address_parse(struct slice text, struct address *address);
/* "" for ADDRESS_NONE, "unix" for ADDRESS_LOCAL. Gives the length; closed by a NUL. */
size_t address_write(char out[ADDRESS_TEXT_MAX], const struct address *address);

/* Of this host: unlike others, nobody outside can reach it. */
bool address_is_loopback(const struct address *address);
bool address_equals(const struct address *a, const struct address *b);

/* What one host, or one site, is taken for: IPv6 by its /64, of which each host has its fill. */
struct address address_site(const struct address *address);

/* ADDRESS/BITS, an address alone, or `unix`. */
MUST_CHECK bool network_parse(struct slice text, struct network *network);
bool address_is_in(const struct address *address, const struct network *list, size_t count);
