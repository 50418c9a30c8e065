/*
 * survey.h - one question to every worker, or to one, and an answer made of theirs.
 *
 * What the server API asks is spread over the workers of the node, and, if it is not about this
 * node alone, over those of all others. A question goes to them by letter; each answers with a
 * note of its own; when the last has come the request is answered. An answer that takes more than a
 * turn should is given in parts, one a turn of the worker. A node that ends, or whose link does,
 * before it has answered is left out; where one that could not be asked, or lives and does not
 * answer, would be missing, the request is refused.
 *
 * Threads:   the worker's own. A note moves with its letter.
 * Ownership: whoever has a note frees it (note_free()); the asker keeps the answers in its exchange
 *            until the request is over.
 * Limits:    SURVEY_MS_MAX. What a note may hold, and how much is looked at for it in one
 *            turn, is up to the question.
 */
#pragma once

#include "edge/exchange.h"

/* A worker of another node that has asked. */
struct far_asker {
	uint16_t node, use; /* its seat, and which use of it; 0: it is a worker of this node */
	uint32_t worker;
	struct slab_handle token; /* given back as it came */
};

/* Question and answer in one: the answerer fills in its part and sends it back. */
struct note {
	/* The question. */
	uint64_t number; /* of a connection, or of how many at most */
	struct buf text; /* a name, a prefix, or data */
	struct buf after;
	/* The answer. */
	bool goes_on;    /* it is not whole: the worker is to be asked again in its next turn */
	uint32_t place;  /* where that goes on */
	uint64_t layout; /* of the places, where they may change */
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
		bool is_home;  /* by the one who gives them */
	} * channels;
	size_t position; /* the asker's: so many of its channels are written */
	struct far_asker far;
	/* While it goes on. */
	struct list_node in_list; /* edge->surveys */
	struct edge_mail question;
};

#define SURVEY_MS_MAX 30000u        /* for other nodes to answer */
#define SURVEY_NO_MEMORY UINT32_MAX /* of nodes that were asked: not all that should have been */
#define CHANNELS_LIMIT_MAX 1000u    /* of an answer; each is asked for one more */

/* What other nodes can be asked, too: a number between nodes, for ever. */
enum survey_number {
	SURVEY_HERE = 0, /* this node alone */
	SURVEY_CHANNELS,
	SURVEY_CHANNEL,
	SURVEY_CONNECTIONS,
	SURVEY_DESCRIBE, /* these are asked of the worker that the number of a connection names */
	SURVEY_END,
	SURVEY_SEND,
	SURVEY_USER, /* and these of all workers */
	SURVEY_USER_END,
	SURVEY_MEMBERS,
	SURVEY_NUMBERS,
};

struct survey_kind {
	/* On each worker that is asked. */
	void (*answer)(struct edge *edge, struct note *note);
	/* On the asker's, when all have answered: writes the answer of the request. */
	void (*finish)(struct edge *edge, struct conn *conn, struct note *const *notes,
	               size_t count);
	uint8_t number;      /* enum survey_number */
	uint64_t number_max; /* of a note's number, where that says how many */
};

extern const struct survey_kind survey_channels, survey_channel; /* channels.c */
extern const struct survey_kind survey_list, survey_describe, survey_end,
	survey_send;                                          /* inspect.c */
extern const struct survey_kind survey_user, survey_user_end; /* users.c */
extern const struct survey_kind survey_members;               /* presence.c */

/* Asks all workers, or the one that `number` of a connection names, on the node of that boot id.
 * Takes over text and after, also when there is no memory; then the request is refused. */
void survey_all(struct edge *edge, struct conn *conn, const struct survey_kind *kind,
                uint64_t number, struct buf *text, struct buf *after);
void survey_one(struct edge *edge, struct conn *conn, const struct survey_kind *kind,
                uint64_t boot_id, uint64_t number, struct buf *text);

/* The same as of a note of this node, but for the note's being copied. */
struct note *note_make(uint64_t number, struct slice text, struct slice after);

void survey_receive(struct edge *edge, const struct edge_mail *mail);

/* One part of one answer that goes on, if there is any. True: there is more to do. */
bool survey_go_on(struct edge *edge);
void survey_give_up(struct edge *edge); /* those that go on will not be answered */

void note_free(struct note *note); /* NULL is fine */
