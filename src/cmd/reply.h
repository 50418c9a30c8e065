/*
 * reply.h - one HTTP answer of the server, read whole: its head and its body.
 *
 * Threads:   one at a time.
 * Ownership: a reply owns its bytes; `struct reply r = {0}` owns none, nor does it after
 *            reply_free(). The slices of `head` and `body` are good until the next
 *            reply_begin() or reply_free().
 * Limits:    REPLY_BODY_MAX bytes of body. Interim answers (1xx) but 101 are passed over.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "http/answer.h"

#define REPLY_BODY_MAX (4u << 20)

enum reply_result {
	REPLY_MORE = 0, /* all input is used, the answer goes on */
	REPLY_DONE,     /* what is left of the input follows the answer */
	REPLY_BAD,      /* `why` says what is wrong with it */
};

struct reply {
	struct http_answer head;
	struct buf body;
	const char *why; /* after REPLY_BAD */

	/* private */
	struct http_body framing;
	struct buf head_bytes; /* what the slices of `head` look into */
	bool has_head;
};

void reply_begin(struct reply *reply); /* before the first byte of each answer */
void reply_free(struct reply *reply);

/* Uses up what it can of `in`. `is_ended`: nothing comes after that. */
MUST_CHECK enum reply_result reply_read(struct reply *reply, struct buf *in, bool is_ended);

/* Whether the status is a success. */
bool reply_is_good(const struct reply *reply);

/* What an answer that is no success says, on one line: "forbidden: ...", by the server's JSON;
 * "502 Bad Gateway" where there is none. */
void reply_explain(const struct reply *reply, struct buf *line);
