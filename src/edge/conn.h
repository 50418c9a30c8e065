/*
 * conn.h - one client connection, and the inside of the edge that its transports share.
 *
 * At rest a connection owns no memory but itself, and with TLS its keys: `out` holds what the
 * socket did not take, a frame that others get as well by reference, `exchange` or `socket` what
 * came in part, and each is freed when it is empty.
 *
 * A connection ends by conn_end(), from wherever the reason is found: its transport says
 * goodbye and it leaves the hub at the end of the turn, never inside a callback; the memory
 * goes when the goodbye has been sent. `conn->state` is assigned in conn_enter() alone.
 *
 * Threads:   the worker's own.
 * Ownership: from the edge's slab; its descriptor is its own.
 * Limits:    static_assert below; `out` is bounded because a client with CONN_OUT_PAUSE_BYTES
 *            of answers in it is not read from, and messages stay in the log.
 */
#pragma once

#include <sys/uio.h>

#include "base/map.h"
#include "base/random.h"
#include "dialect/dialect.h"
#include "edge/burst.h"
#include "edge/drain.h"
#include "edge/edge.h"
#include "edge/queue.h"
#include "edge/rate.h"
#include "edge/review.h"
#include "http/request.h"
#include "http/response.h"
#include "net/outbox.h"
#include "net/tls.h"

enum conn_state {
#define CONN_STATE(name, deadline, what) CONN_##name,
#include "edge/conn_state.def"
	CONN_STATE_COUNT
};

enum sse_format { SSE_JSON = 0, SSE_TEXT, SSE_FULL };

struct conn;
struct exchange;
struct socket_input;

/* Bytes to and from one client, in its way. */
struct transport {
	const char *name;
	enum edge_client client; /* what its connections are counted as */
	/* What came; what is not used up is kept by the transport. `bytes` may be changed. */
	void (*input)(struct edge *edge, struct conn *conn, char *bytes, size_t len);
	void (*event)(struct edge *edge, struct conn *conn, const struct hub_event *event);
	size_t (*deliver)(struct edge *edge, struct conn *conn, const struct delivery *delivery);
	/* The connection's timer fired. */
	void (*timer)(struct edge *edge, struct conn *conn);
	/* A last word. True: the peer is then given time to take it, and to say its own. */
	bool (*goodbye)(struct edge *edge, struct conn *conn);
};

extern const struct transport transport_http, transport_websocket, transport_echo, transport_sse,
	transport_poll, transport_live;

struct conn {
	uint32_t generation; /* the slab's */
	int fd;
	union {
		struct timer timer;       /* in a state with a time of its own */
		struct queue_place place; /* in one that waits in a queue */
	};
	struct session session;
	struct list_node in_list; /* edge->again, due, waiting, proving, shaking or ended */
	const struct transport *transport;
	union {
		struct outbox *out; /* what the socket did not take; NULL: nothing */
		struct tls *tls;    /* is_secure: that is in tls->out */
	};
	union {
		struct exchange *exchange;   /* HTTP, /api/live: the request under way, or NULL */
		struct socket_input *socket; /* WebSocket: input in part, or NULL */
	};
	uint64_t opened_unix_ms;
	struct rate rate;     /* its messages; passed on until heard_ms */
	uint32_t heard_ms;    /* when bytes came last, cut to 32 bits */
	uint8_t state;        /* enum conn_state */
	uint8_t reason;       /* enum close_reason, once the session is ended */
	bool is_readable : 1; /* there may be more to read than was read */
	bool is_paused : 1;   /* not read from until some of what it asked is answered */
	bool has_end : 1;     /* the end of what the peer sends is there, to be read */
	bool is_hung_up : 1;  /* and has been read */
	bool is_finished : 1; /* we send no more */
	unsigned
		format : 2; /* SSE: enum sse_format; WebSocket: edge->beats when it was told last */
	bool is_opening : 1;   /* SSE, polls: not all channels have answered yet */
	bool is_proxied : 1;   /* comes from listen.trusted_proxies */
	bool awaits_proxy : 1; /* and may begin with a PROXY header: nothing was read yet */
	bool is_counted : 1;   /* a client's: among edge_common.clients */
	bool has_seat : 1;     /* and by user or address: see registry.h */
	bool has_peer : 1;     /* peer.c knows more of it than its socket says */
	bool is_served : 1;    /* has had its share of this turn; what is left waits for the next */
	bool is_secure : 1;    /* TLS */
	bool is_waiting : 1;   /* in edge->waiting or proving: not read from until its turn comes */
};

#define CONN_INDEX_MAX (1u << 24) /* places in the slab: what an id has room for */

static_assert(sizeof(struct conn) <= 128, "what an idle connection costs, with 64 a channel");

/* ---- the edge's inside ---- */

struct edge {
	struct edge_options options;
	const struct edge_settings *settings;
	struct loop *loop;
	struct hub_out hub_out;
	struct hub *hub;
	struct slab conns;
	struct list again;   /* connections with something to do next turn */
	struct list waiting; /* those that are not read from while letters or walks are behind */
	struct list shaking; /* those of them whose handshakes are under way */
	struct list due;     /* those whose answer can be given, or that may go on: all of them */
	struct list proving; /* those with a token that no turn has had the time to verify */
	struct list ended;   /* to be closed at the end of this one, or of one soon */
	struct list surveys; /* notes on which answers go on */
	struct list asking;  /* surveys that other nodes have still to answer */
	struct queue queues[QUEUE_COUNT];
	struct review review;
	struct registry {
		struct slab seats;
		struct map by_conn; /* seats, by the place of their connections */
		struct tally tallies[REGISTRY_TALLIES];
		struct list owed;  /* seats that were left and have places to give back */
		uint32_t sweep_at; /* connections from here on are still to be counted */
		bool is_sweeping;
	} registry;
	struct map peers; /* peer.c's, by the place of their connections */
	struct random random;
	struct conn *corked; /* whose bytes lie in `cork` */
	struct buf cork;     /* small writes of one connection, sent together */
	struct buf text;     /* scratch of whoever needs it within one call */
	struct burst_bytes burst;
	struct dialect_reader reader;
	struct jwt_reader tokens;
	uint32_t turn_requests; /* begun or gone on with, of the turn's events or of `again` */
	uint64_t proved_us;     /* tokens.spent_us when those in `proving` had their turn last */
	struct http_request request; /* the one that is read or carried out just now */
	struct refusal {
		enum error_code error; /* of the commands just executed; ERROR_NONE: none */
		const char *message;
	} refusal;
	char date[HTTP_DATE_SIZE];
	uint8_t beats;   /* how often heartbeats have changed, cut to 2 bits */
	uint64_t date_s; /* the second `date` is of */
	struct edge_listener {
		int fd;
		bool is_secure;
	} * listeners;
	uint32_t listener_count;
	struct tls_desk *desk; /* NULL: no listener is secure */
	uint64_t secure_count, offloaded_count;
	uint64_t out_bytes; /* that sockets did not take */
	bool accepts_again, is_draining, is_stopping;
	struct drain drain;
	bool is_joining;           /* its mesh */
	struct timer accept_timer; /* set while there are no descriptors left */
	uint64_t closes[CLOSE_COUNT], visits[CONN_STATE_COUNT], connections_total;
	uint64_t errors[ERROR_COUNT]; /* that clients were told */
	uint64_t clients[EDGE_CLIENT_COUNT];
	char input[TURN_READ_BYTES];
};

enum edge_timer_kind {
	EDGE_TIMER_CONN = 0,
	EDGE_TIMER_QUEUE,
	EDGE_TIMER_HUB,
	EDGE_TIMER_HUB_WALK,
	EDGE_TIMER_HUB_PRESENCE,
	EDGE_TIMER_ACCEPT,
	EDGE_TIMER_DRAIN
};

static inline struct conn *conn_of(struct session *session)
{
	return CONTAINER_OF(session, struct conn, session);
}

/* Somebody who stays for messages: no request that is answered and done with, none that has ended.
 * NULL is nobody. */
static inline bool conn_is_client(const struct conn *conn)
{
	return conn != NULL && !conn->session.is_ended &&
	       (conn->state == CONN_SOCKET || conn->state == CONN_STREAM ||
	        conn->state == CONN_POLL);
}

/* A handshake of TLS is under way: nothing can be written. */
static inline bool conn_is_shaking(const struct conn *conn)
{
	return conn->is_secure && !conn->tls->is_ready;
}

/* What the socket did not take; NULL: nothing. */
static inline struct outbox *conn_out(const struct conn *conn)
{
	return conn->is_secure ? conn->tls->out : conn->out;
}

/* conn.c */
/* Takes over fd; NULL: it was closed. */
struct conn *conn_open(struct edge *edge, int fd, bool is_secure);
void conn_enter(struct edge *edge, struct conn *conn, enum conn_state state);
void conn_set_transport(struct edge *edge, struct conn *conn, const struct transport *transport);
void conn_set_timer(struct edge *edge, struct conn *conn, uint64_t delay_ms);
void conn_wait_anew(struct edge *edge, struct conn *conn);               /* its time begins again */
bool conn_has_expired(const struct edge *edge, const struct conn *conn); /* its token */
void conn_ready(struct edge *edge, struct conn *conn, unsigned ready);
void conn_again(struct edge *edge, struct conn *conn);       /* look at it next turn */
void conn_prove_later(struct edge *edge, struct conn *conn); /* in its turn; not read till then */
void conn_step(struct edge *edge, struct conn *conn);        /* reads, unless it must wait */
void conn_heard(struct edge *edge, struct conn *conn);       /* bytes that came are looked at now */
bool conn_may_say(struct edge *edge, struct conn *conn);     /* one message more */
void conn_end(struct edge *edge, struct conn *conn, enum close_reason reason);
void conn_reap(struct edge *edge, struct conn *conn); /* one of edge->ended */
/* Ends it here and now, with no time for a last word. */
void conn_cut(struct edge *edge, struct conn *conn, enum close_reason reason);
void conn_timeout(struct edge *edge, struct conn *conn);
void conn_destroy(struct edge *edge, struct conn *conn);

/* Answers of the server: in order, whole, and never refused. */
void conn_write(struct edge *edge, struct conn *conn, struct slice bytes);
/* Room for `len` more bytes that the client did not ask for? Where limits.outbound_buffer has none
 * it is a slow consumer, and ends. */
bool conn_has_room(struct edge *edge, struct conn *conn, size_t len);
/* Publications: as much as the socket takes now, and the rest of a part taken by half, which is
 * the same rest of its `frames`, or is copied where that is NULL.
 * Gives the number of parts taken; `session->is_blocked` says that no more will be now. */
size_t conn_write_parts(struct edge *edge, struct conn *conn, const struct iovec *parts,
                        const struct blob *const *frames, size_t count);
void conn_uncork(struct edge *edge);
/* Of a secure connection: bytes that go as they are, behind all that is sealed. */
void conn_put(struct edge *edge, struct conn *conn, struct slice bytes);
/* Whether a client may ask for more now; when not, it is looked at again when it may. */
bool conn_may_read(struct edge *edge, struct conn *conn);
void conn_answered(struct edge *edge, struct conn *conn);
void conn_heartbeat(struct edge *edge, struct conn *conn, struct slice beat, bool expects_answer);
size_t conn_id(const struct edge *edge, const struct conn *conn, char *out); /* CONN_ID_MAX */
/* The number of a connection, and the boot id of its node; 0: it is no id. */
uint64_t conn_number_anywhere(struct slice id, uint64_t *boot_id);
/* How a record names it: see record_mark(). 0: it is no id. */
uint64_t conn_except(const struct edge *edge, struct slice id);

#define CONN_ID_MAX 64

/* edge.c */
uint64_t edge_now_ms(const struct edge *edge);
/* Descriptors are short: what is left of them answers requests, and serves no client more. */
bool edge_is_crowded(const struct edge *edge);
/* Is there time to verify a token now? */
bool edge_may_prove(const struct edge *edge);
