/*
 * client.h - a connection to the server for the commands that talk to one: bytes in, bytes out.
 *
 * What is to be sent is appended to `out`, what came is used up from `in`; client_turn() waits and
 * moves bytes both ways, so that neither side waits for the other for ever.
 *
 * Threads:   one at a time.
 * Ownership: a client owns its descriptor and its bytes; `struct client c = {0}` owns nothing,
 *            nor does it after client_close(). The settings are the caller's and stay in place.
 * Limits:    CLIENT_READ_BYTES come in one turn; how much piles up in `in` and `out` is the
 *            caller's to bound. CLIENT_PATIENCE_MS to connect.
 */
#pragma once

#include <poll.h>
#include <stdint.h>

#include "base/buf.h"
#include "cmd/reply.h"
#include "cmd/tls_client.h"
#include "cmd/url.h"

#define CLIENT_URL_DEFAULT "http://127.0.0.1:8000"
#define CLIENT_PATIENCE_MS 10000 /* for a connection, and for an answer */
#define CLIENT_READ_BYTES (64 * 1024)

struct client_settings {
	struct url url;
	struct slice bearer; /* an API key or a token; empty: none */
};

struct client {
	struct buf in, out;
	bool is_ended; /* no more will come */

	/* private */
	const struct client_settings *settings;
	struct tls_client tls;
	int fd;
	bool is_open;
};

/* From --url and --api-key, NULL where not given. 0 or -EINVAL, with the complaint in `error`. */
MUST_CHECK int client_settings_read(struct client_settings *settings, const char *url,
                                    const char *api_key, struct buf *error);

/* 0 or -errno, with one line in `error`. */
MUST_CHECK int client_open(struct client *client, const struct client_settings *settings,
                           struct buf *error);
void client_close(struct client *client);

/*
 * Appends a request to `out`: "POST /path", header lines besides those that each request has,
 * each with its CRLF, and a body of JSON, or none where its `at` is NULL.
 */
void client_ask(struct client *client, const char *method_and_path, struct slice headers,
                struct slice body);

/*
 * Waits until bytes came or went, or something is to be seen at `beside` (NULL: nothing beside).
 * A closed client is fine when there is a `beside`. 0, -ETIMEDOUT, -EINTR (interrupt.h), or another
 * -errno when the connection is broken. -1 waits for ever.
 */
MUST_CHECK int client_turn(struct client *client, struct pollfd *beside, int timeout_ms);

/* Turns until the answer is whole. 0 or -errno, with one line in `error`. */
MUST_CHECK int client_await(struct client *client, struct reply *reply, struct buf *error);

/* One request on a connection of its own, and its answer; the same. */
MUST_CHECK int client_fetch(const struct client_settings *settings, const char *method_and_path,
                            struct reply *reply, struct buf *error);
/* Of an answer that is no success: "/path: why" in `error`; -EPROTO. */
MUST_CHECK int client_refused(const struct reply *reply, const char *path, struct buf *error);

uint64_t client_now_ms(void); /* since some moment: for distances */
