/*
 * feed.h - what `starling sub` makes of what the server says: where it stands in each channel, and
 * the lines to print. Frames come in, text goes out; the connection is the caller's.
 *
 * Threads:   pure; one at a time.
 * Ownership: a feed owns its channels and texts, from feed_init() until feed_free(). The names
 *            are the caller's and stay in place.
 * Limits:    FEED_CHANNELS_MAX channels; FEED_CURSOR_MAX bytes of a cursor. The caller takes
 *            the lines away before they pile up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"

#define FEED_CHANNELS_MAX 10000
#define FEED_CURSOR_MAX 63

enum feed_answer {
	FEED_GOOD = 0,
	FEED_LOST,    /* this connection is of no more use, another may be; `why` */
	FEED_REFUSED, /* nor will another be; `why` */
};

struct feed_channel {
	struct slice name;
	char cursor[FEED_CURSOR_MAX]; /* the next message is behind it */
	size_t cursor_len;            /* 0: from now on */
};

struct feed {
	struct buf lines;            /* for standard output: each object closed by a newline */
	struct buf notices;          /* for standard error, likewise */
	struct buf why;              /* without a newline */
	uint32_t heartbeat_s;        /* as the server said; 0: not yet */
	bool is_put_off;             /* the server is going down, and said: */
	uint64_t reconnect_after_ms; /* when to come back */
	struct feed_channel *channels;
	size_t count;
};

/* `since` is cursors joined by commas, in the order of the channels, or NULL. 0, -EINVAL or
 * -ENOMEM, with the complaint in `error`; the feed is to be freed either way. */
MUST_CHECK int feed_init(struct feed *feed, char *const *names, size_t count, const char *since,
                         struct buf *error);
void feed_free(struct feed *feed);

/* Appends the message that subscribes to channel `i`, from where it stands. */
void feed_subscribe(const struct feed *feed, size_t i, struct buf *out);

/* What came in a text or a binary frame. */
MUST_CHECK enum feed_answer feed_text(struct feed *feed, struct slice text);
MUST_CHECK enum feed_answer feed_binary(struct feed *feed, struct slice bytes);
