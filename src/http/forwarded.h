/*
 * forwarded.h - X-Forwarded-For: for whom a request was passed on, as far as its word can be
 * trusted.
 *
 * Each proxy appends the address that it got the request from. So the list is read from the right,
 * as long as the one who wrote the entry is trusted; what anybody else wrote is not looked at.
 * `Forwarded` (RFC 7239) is not read: proxies that send it send the older header too.
 *
 * Threads:   pure; any thread.
 * Ownership: none; the result is a value.
 * Limits:    those of the header section.
 */
#pragma once

#include "base/address.h"
#include "http/header.h"

/* `from` is who sent the request; if it is in no trusted network, it is the answer. Where an entry
 * is no address, the one who wrote it is. An entry may have a port behind it. */
struct address http_forwarded_for(const struct http_headers *headers, struct address from,
                                  const struct network *trusted, size_t count);
