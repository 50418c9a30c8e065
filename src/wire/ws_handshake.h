/*
 * ws_handshake.h - the key and its answer in a WebSocket upgrade (RFC 6455 section 4.2).
 *
 * Threads:   pure functions; any thread.
 * Ownership: none.
 * Limits:    the rest of the upgrade (method, version, protocols) is the HTTP side's.
 */
#pragma once

#include "base/check.h"
#include "base/slice.h"

#define WS_KEY_LEN 24
#define WS_ACCEPT_LEN 28

/* Sixteen bytes in base64, exactly: 22 digits whose unused bits are zero, then `==`. */
bool ws_key_is_valid(struct slice key);

/* The value of Sec-WebSocket-Accept for a valid key; no closing NUL. False: the digest
 * found no memory. */
MUST_CHECK bool ws_accept_key(char out[WS_ACCEPT_LEN], struct slice key);
