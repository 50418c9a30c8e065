/*
 * proxy_header.h - what a proxy says of its client before that client's first byte: the PROXY
 * protocol, versions 1 and 2.
 *
 * Threads:   pure; any thread.
 * Ownership: none; the result is a value.
 * Limits:    PROXY_HEADER_MAX bytes; a longer one is bad. What version 2 says beyond the addresses
 *            (its TLVs) is passed over, a checksum among it unread.
 * Source:    haproxy, "The PROXY protocol, versions 1 & 2", sections 2.1 and 2.2.
 */
#pragma once

#include "base/address.h"

#define PROXY_HEADER_MAX 4096
#define PROXY_V1_MAX 107 /* with its CR LF */

enum proxy_result {
	PROXY_MORE = 0, /* so far it may be one */
	PROXY_DONE,
	PROXY_NONE, /* something else begins here */
	PROXY_BAD,
};

struct proxy_header {
	/* After PROXY_DONE. */
	size_t bytes;          /* what it takes; the client's own begin behind */
	struct address source; /* ADDRESS_NONE: it names no client that has an address, as when the
	                        * proxy speaks for itself (LOCAL, UNKNOWN) */
	uint16_t source_port;

	/* After PROXY_BAD. */
	const char *why;
};

/* `bytes` are the first that came, all of them or PROXY_HEADER_MAX. However they are cut, what
 * comes of them is the same. */
MUST_CHECK enum proxy_result proxy_header_read(struct slice bytes, struct proxy_header *header);
