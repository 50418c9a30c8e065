/*
 * exchange.h - one HTTP request and its answer on a connection.
 *
 * Requests of a connection are taken one after the other: the next one is not looked at
 * before the answer to this one is on its way. A request that came in one piece is carried
 * out where it lies; one that did not is collected here first, and costs what came of it.
 *
 * Threads:   the worker's own.
 * Ownership: a connection in an HTTP state owns at most one, none at rest.
 * Limits:    limits.header_size for target and for header, the route's body_max for the body,
 *            and TURN_READ_BYTES of what the client has sent beyond that.
 */
#pragma once

#include "edge/conn.h"
#include "http/body.h"
#include "starling/error.h"

/* A request that takes more than one answer of the hub, or its body piece by piece: what it
 * keeps in exchange->work, and what is to be done about it. */
struct work_kind {
	void (*free)(void *work);
	/* An answer of the hub. NULL: the first one is the answer of the request. */
	void (*event)(struct edge *edge, struct conn *conn, const struct hub_event *event);
	/* The body as it comes, until is_whole() says that no more is wanted; then its end. NULL:
	 * the body is collected before the route's handler sees it. */
	void (*piece)(struct edge *edge, struct conn *conn, struct slice piece);
	bool (*is_whole)(const void *work);
	void (*end)(struct edge *edge, struct conn *conn);
};

/* A poll's answer in the making; see poll.c. */
struct poll {
	struct buf messages;
	bool is_answered_at_once; /* asked without `since` or without waiting, or sent away */
	bool has_gap;
	enum error_code error; /* what it is refused with */
	const char *why;       /* NULL: it is not */
	uint64_t wait_ms;
};

struct exchange {
	struct http_scan scan;   /* of the head, while it is coming */
	size_t header_bytes_max; /* the limit when it began to */
	struct buf held;         /* came and is not used yet */
	struct buf head;         /* while the body is coming: the head, kept */
	struct buf body;
	struct http_body framing;
	uint64_t body_max;
	bool is_head; /* the method: no body in the answer */
	bool keeps_alive;
	bool is_put_aside;        /* until the registry has answered; the head is kept */
	enum close_reason reason; /* when it does not, and the answer is written */
	bool is_preflight;        /* the answer says what else may be asked */
	char *allow_origin;       /* for the answer's CORS header; NULL: none */
	struct buf asked;         /* for the access log: method and path, by whom, since when */
	struct address asked_by;
	uint64_t asked_ms;
	struct poll poll;
	struct live *live;                 /* of CONN_LIVE */
	const struct work_kind *work_kind; /* NULL: the request is one command */
	void *work;
};

struct answer {
	int status;
	struct slice type; /* empty: application/json */
	struct slice body;
	bool is_unmade;          /* of a HEAD: `body` is not what GET would get */
	const char *header_name; /* one more header, or NULL */
	struct slice header_value;
};

/* The sentence for want of memory. As the message of a refusal it makes that `unavailable`,
 * whatever else it was going to be. */
extern const char *const why_no_memory;

/* Is a request under way? */
static inline bool exchange_is_open(const struct conn *conn)
{
	bool has_one = conn->transport == &transport_http || conn->transport == &transport_live;
	return has_one && !conn->session.is_ended && conn->exchange != NULL;
}

/* The exchange takes over `work`. */
void exchange_set_work(struct conn *conn, const struct work_kind *kind, void *work);
void exchange_end_work(struct conn *conn); /* if there is any */

/* Answers the request that is being carried out. A connection that is not kept alive ends. */
void exchange_answer(struct edge *edge, struct conn *conn, const struct answer *answer);
void exchange_json(struct edge *edge, struct conn *conn, int status, struct slice body);
/* The same with 200 and a body that was made, and is freed; one that is broken is refused. */
void exchange_made(struct edge *edge, struct conn *conn, struct buf *body);
/* To HEAD with 200, where to make the body would be for nothing; `type` as in struct answer. */
void exchange_head(struct edge *edge, struct conn *conn, struct slice type);
void exchange_refuse(struct edge *edge, struct conn *conn, enum error_code error,
                     const char *message);
/* For the server API: is the client a backend? False: it has been refused. */
MUST_CHECK bool exchange_is_backend(struct edge *edge, struct conn *conn,
                                    const struct http_request *request);
/* What a client in plain text is told where TLS is spoken. */
void exchange_refuse_plain(struct edge *edge, struct conn *conn);
/* The head of an answer that goes on until the connection ends (server-sent events). */
void exchange_stream(struct edge *edge, struct conn *conn, struct slice type);
/* A poll that cannot go on is told so, as soon as all its channels have answered. */
void poll_refuse(struct edge *edge, struct conn *conn, enum error_code error, const char *why);
/* What the hub says to a request; it follows nothing. */
void exchange_event(struct edge *edge, struct conn *conn, const struct hub_event *event);
size_t exchange_deliver(struct edge *edge, struct conn *conn, const struct delivery *delivery);
/* What the client sent behind its request, for the protocol that is spoken from here on; the
 * exchange is over. The caller frees `rest`. */
void exchange_leave(struct conn *conn, struct buf *rest);
void exchange_free(struct conn *conn);
/* Headers that tell a page of another origin what it may see, and whether it may. */
void exchange_set_origin(struct edge *edge, struct conn *conn, const struct http_request *request);
void exchange_cors(struct buf *out, const struct exchange *exchange);
