/*
 * survey.h - one question to every worker, or to one, and an answer made of theirs.
 *
 * What the server API asks about the node is spread over its workers. A question goes to them by
 * letter; each answers with a note of its own; when the last has come the request is answered. An
 * answer that takes more than a turn should is given in parts, one a turn of the worker.
 *
 * Threads:   the worker's own. A note moves with its letter.
 * Ownership: whoever has a note frees it (note_free()); the asker keeps the answers in its exchange
 *            until the request is over.
 * Limits:    none of its own: what a note may hold, and how much is looked at for it in one
 *            turn, is up to the question.
 */
#pragma once

#include "edge/exchange.h"

/* Question and answer in one: the answerer fills in its part and sends it back. */
struct note {
	/* The question. */
	uint64_t number; /* of a connection, or of how many at most */
	struct buf text; /* a name, a prefix, or data */
	struct buf after;
	/* The answer. */
	bool goes_on;   /* it is not whole: the worker is to be asked again in its next turn */
	uint32_t place; /* where that goes on */
	bool is_found;
	struct buf body; /* of a list of connections: a line for each */
	uint32_t worker;
	struct edge_stats stats;
	uint64_t descriptors; /* open in its table */
	size_t count;         /* of channels, or of lines */
	struct note_channel {
		struct buf name;
		uint64_t followers, epoch, seq;
		bool is_agent; /* epoch and seq are known */
	} * channels;
	/* While it goes on. */
	struct list_node in_list; /* edge->surveys */
	struct edge_mail question;
};

struct survey_kind {
	/* On each worker that is asked. */
	void (*answer)(struct edge *edge, struct note *note);
	/* On the asker's, when all have answered: writes the answer of the request. */
	void (*finish)(struct edge *edge, struct conn *conn, struct note *const *notes,
	               size_t count);
};

/* Asks all workers, or the one that `number` of a connection names. Takes over text and after,
 * also when there is no memory; then the request is refused. */
void survey_all(struct edge *edge, struct conn *conn, const struct survey_kind *kind,
                uint64_t number, struct buf *text, struct buf *after);
void survey_one(struct edge *edge, struct conn *conn, const struct survey_kind *kind,
                uint64_t number, struct buf *text);

void survey_receive(struct edge *edge, const struct edge_mail *mail);

/* One part of one answer that goes on, if there is any. True: there is more to do. */
bool survey_go_on(struct edge *edge);
void survey_give_up(struct edge *edge); /* those that go on will not be answered */

void note_free(struct note *note); /* NULL is fine */
