/*
 * protocol.h - what clients speak: a small table of functions for each protocol.
 *
 * A protocol says how a connection is opened, how one subscribes and publishes, and cuts what
 * the server sends into pieces. It looks no deeper into them than it must: that a piece is a
 * message, and which, is said by the stamp in it (stamp.h).
 *
 * Threads:   that of the client; the table is constant.
 * Ownership: none. A piece lies in the bytes that were given.
 */
#pragma once

#include "kit/client.h"
#include "kit/endpoint.h"

enum piece {
	PIECE_MORE = 0, /* nothing is whole yet */
	PIECE_OPENED,   /* the connection stands */
	PIECE_FOLLOWED, /* the subscription stands; messages may be in it already */
	PIECE_MESSAGE,  /* may be one */
	PIECE_NOTHING,  /* surely none */
	PIECE_END,      /* the server takes its leave */
	PIECE_BAD,      /* not what a server says: the text says what came instead */
};

struct scan {
	const struct endpoint *endpoint;
	struct client *client;
	const char *bytes; /* what came and was not used yet */
	size_t len;
	struct buf *out; /* for what is to be answered at once */

	/* What scan() found. */
	size_t used;
	struct slice text;
	bool is_gap; /* it says that something was lost */
};

struct protocol {
	const char *name, *what;
	struct words words;
	bool has_many; /* a piece may hold several messages */
	bool asks;     /* is opened again with each question: needs a cursor */

	void (*open)(const struct endpoint *endpoint, const struct client *client,
	             struct buf *out); /* NULL: it stands as soon as it is connected */
	void (*subscribe)(const struct endpoint *endpoint, const struct client *client,
	                  struct buf *out);
	void (*publish)(const struct endpoint *endpoint, uint32_t channel, struct slice data,
	                struct buf *out);
	void (*leave)(struct buf *out); /* NULL: one just closes */
	enum piece (*scan)(struct scan *scan);
};

extern const struct protocol protocol_native, protocol_websocket;        /* protocol_websocket.c */
extern const struct protocol protocol_nats;                              /* protocol_nats.c */
extern const struct protocol protocol_sse, protocol_poll, protocol_post; /* protocol_http.c */

/* By its name; NULL: there is none. protocol_at() lists them, NULL behind the last. */
const struct protocol *protocol_find(const char *name);
const struct protocol *protocol_at(size_t i);

/* For protocols. */

struct blanks client_blanks(const struct client *client, struct slice data);
/* Remembers what stands behind `key` up to a quote or a blank. */
void client_keep_cursor(struct client *client, struct slice text, const char *key);
bool text_has(struct slice text, const char *words); /* false for NULL */
