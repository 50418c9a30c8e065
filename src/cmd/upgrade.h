/*
 * upgrade.h - the client's side of the WebSocket handshake (RFC 6455 section 4.1).
 *
 * Threads:   one at a time.
 * Ownership: none.
 * Limits:    no subprotocol and no extension is offered.
 */
#pragma once

#include "cmd/client.h"
#include "wire/ws_handshake.h"

/* Asks for `method_and_path` ("GET /ws") to become a WebSocket, with a new key. False: there
 * are no random numbers to be had. */
MUST_CHECK bool upgrade_ask(struct client *client, const char *method_and_path,
                            char key[WS_KEY_LEN]);

/* Whether the answer is the one to that key, and not just any 101. */
MUST_CHECK bool upgrade_is_accepted(const struct reply *reply, const char key[WS_KEY_LEN]);
