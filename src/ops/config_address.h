/*
 * config_address.h - where to listen and dial, and origins, as an operator writes them.
 *
 * Threads:   pure functions.
 * Ownership: an address owns its strings; zeroed memory owns nothing. What a refused text left in
 * the result is still the caller's to free. Limits:    a unix path fits sockaddr_un; a DNS name has
 * 253 characters.
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

/* To bind: IPv4:port, [IPv6]:port or unix:/path. To dial: IPv4:port, [IPv6]:port or name:port.
 * Into zeroed memory; 0, -EINVAL or -ENOMEM. */
MUST_CHECK int config_address_parse(struct slice text, struct config_address *address);
MUST_CHECK int config_host_parse(struct slice text, struct config_address *address);
void config_address_free(struct config_address *address);

bool config_address_is_loopback(const struct config_address *address);

/* scheme://host[:port], and nothing behind it: browsers send no path, not even a slash. */
bool config_origin_is_valid(struct slice text);

char *config_copy(struct slice text); /* a string, or NULL without memory */
void config_text_free(char *text);    /* wiped, for it may be a secret; NULL is fine */
