/*
 * edge.h - the clients of one worker: their connections, from accept to close, and the hub
 * that their commands go to.
 *
 * Threads:   the worker's own, every call; struct edge_node and struct edge_settings are
 *            constant and read by all workers, struct edge_common is counted in by all.
 * Ownership: the edge owns its connections, its hub and the descriptors it was given. Loop and
 *            everything else in the options are the caller's and outlive it; settings do
 *            until the edge has gone over to others.
 * Limits:    settings->connections_max connections and EDGE_CONN_RESERVE more, or
 *            options->descriptors_max; the last of them are a reserve (RESERVE_SHARE), so that a
 *            full server still answers. Per connection what limits.h and the settings say.
 */
#pragma once

#include "auth/token.h"
#include "base/address.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/role.h"
#include "edge/tally.h"
#include "hub/hub.h"
#include "net/loop.h"
#include "net/tls_ticket.h"
#include "starling/close.h"
#include "starling/error.h"

#define EDGE_CONN_RESERVE 1024u

enum edge_origins {
	EDGE_ORIGINS_SAME = 0,
	EDGE_ORIGINS_ANY,
	EDGE_ORIGINS_LISTED,
};

#define EDGE_KEY_DIGEST_BYTES 32

/* What this node is from its start to its end. */
struct edge_node {
	const char *name, *cluster;
	uint64_t started_unix_ms;
	uint64_t started_ms; /* by the loops' clock, which nobody sets */
	uint64_t boot_id;    /* of this start of the process; part of connection ids */
	struct hash_key hash_key;
	bool has_private_fds; /* each worker has a table of descriptors of its own */
};

/* What the operator asked for, as the edge needs it: constant. When the configuration is read
 * again there are others (edge_adopt()). */
struct edge_settings {
	bool is_open, has_echo;
	bool may_offload; /* TLS to the kernel, where it seals */
	bool logs_access; /* edge_up.log is wanted */
	enum edge_origins origins;
	char *const *origin_list;
	size_t origin_count;
	unsigned char (*api_key_digests)[EDGE_KEY_DIGEST_BYTES]; /* SHA-256 of each key */
	size_t api_key_count;
	struct key_set *token_keys; /* NULL: there are none, and no token is valid */
	struct token_policy token_policy;
	uint32_t connections_max, channels_max;
	uint32_t connections_per_user, connections_per_address; /* 0: no limit */
	uint32_t message_rate, message_burst; /* a second, and at once; no rate: no limit */
	size_t message_bytes_max, outbound_bytes_max, header_bytes_max;
	uint64_t header_timeout_ms, idle_timeout_ms;
	uint64_t heartbeat_interval_ms, heartbeat_timeout_ms;
	const struct network *proxies; /* whose word about addresses counts */
	size_t proxy_count;
	const struct rules *rules;
	struct ssl_ctx_st *tls; /* NULL: no certificate */
};

/* What clients are counted by: see registry.h. */
enum registry_tally { REGISTRY_USERS = 0, REGISTRY_ADDRESSES, REGISTRY_TALLIES };

enum registry_mail_type {
	REGISTRY_ASK = 0, /* to the key's home: one more */
	REGISTRY_ANSWER,  /* back: answer, and place when it was taken */
	REGISTRY_LEAVE,   /* to the home: place */
};

struct registry_mail {
	uint8_t type;            /* enum registry_mail_type */
	uint8_t tally;           /* enum registry_tally */
	uint8_t answer;          /* enum tally_answer */
	bool is_in;              /* REGISTRY_ASK: it came in before there was a limit */
	struct slab_handle seat; /* the asker's */
	union {
		struct tally_key key;
		struct slab_handle place; /* the home's */
	};
};

/* The slot whose home counts that user, and whose worker does on each node, where there are several
 * nodes. */
static inline uint16_t edge_user_slot(const struct tally_key *key)
{
	return (uint16_t)(key->word[0] % SLOTS);
}

/* What the edges of two workers say to each other. */
enum edge_about {
	EDGE_ABOUT_SURVEY = 0, /* a question, and the note with its answer */
	EDGE_ABOUT_REGISTRY,
};

struct edge_mail {
	uint32_t from; /* the worker that posted it */
	uint8_t about; /* enum edge_about */
	bool is_answer;
	union {
		struct {
			const struct survey_kind *kind; /* constant */
			struct slab_handle asker;       /* the survey: its token */
			struct note *note; /* moves along; edge_mail_discard() frees it */
		};
		struct registry_mail registry;
	};
};

static_assert(sizeof(struct edge_mail) <= 40, "letters are copied twice");

/* What all workers write: the one number of clients on the node, and what is hardly ever written.
 */
struct edge_common {
	_Alignas(64) _Atomic uint32_t clients;
	_Atomic uint64_t lines_lost; /* of the journal */
};

/* The transports that clients are counted by. */
enum edge_client { EDGE_WEBSOCKET = 0, EDGE_SSE, EDGE_POLL, EDGE_HTTP, EDGE_CLIENT_COUNT };

/* All of them but those that ask and go. */
static inline uint64_t edge_clients(const uint64_t counts[EDGE_CLIENT_COUNT])
{
	return counts[EDGE_WEBSOCKET] + counts[EDGE_SSE] + counts[EDGE_POLL];
}

/* Figures of one worker, or of several added up. */
struct edge_stats {
	uint64_t clients[EDGE_CLIENT_COUNT]; /* now */
	uint64_t connections_total;
	uint64_t secure, offloaded; /* TLS now; of them those that the kernel seals for */
	uint64_t closes[CLOSE_COUNT], errors[ERROR_COUNT];
	uint64_t outbound_bytes; /* of a worker: what its sockets did not take, without its logs */
	struct hub_counters hub;
	struct edge_load {
		struct latency turns;
		uint64_t letters_incoming, letters_queued, dirty_channels;
	} load; /* of one worker; not added up */
};

/* A question of the server API to other nodes, and on them. */
struct survey_question {
	uint8_t kind;             /* enum survey_number, in survey.h */
	uint64_t boot_id;         /* of the node that is asked; 0: all */
	struct slab_handle token; /* the asker's */
	uint64_t number;
	struct slice text, after;
};

/* Of the access log. What is empty is not said. */
struct edge_line {
	const char *event; /* request or closed */
	struct slice method, path, transport, reason, user, connection;
	struct address address;
	int status; /* 0: none */
	uint64_t bytes, ms;
};

/* What the edge asks of the node around it. */
struct edge_up {
	void (*post)(struct edge_up *up, uint32_t worker, const struct hub_mail *mail);
	void (*post_edge)(struct edge_up *up, uint32_t worker, const struct edge_mail *mail);
	bool (*has_room)(struct edge_up *up);     /* for HUB_LETTERS_MAX letters to each worker */
	bool (*is_congested)(struct edge_up *up); /* take in nothing new from clients */
	/* Somebody asks for the node to drain. */
	void (*drain)(struct edge_up *up);
	/* Letters under way to this worker, and its own that wait for room. */
	void (*letters)(struct edge_up *up, uint64_t *incoming, uint64_t *queued);
	/* Who belongs to the cluster, as JSON: true: into `out`, at once; false: the answer comes
	 * by edge_tell_cluster(), for which there was room (has_room()). */
	bool (*write_cluster)(struct edge_up *up, struct slab_handle asker, struct buf *out);
	/* Into `nodes` goes whom it was sent to, HUB_NODES_MAX at most; how many, or
	 * SURVEY_NO_MEMORY. Of each edge_node_answered() or edge_node_lost() follows, or nothing:
	 * survey.h. */
	uint32_t (*ask_nodes)(struct edge_up *up, const struct survey_question *question,
	                      uint16_t *nodes);
	/* The note is an answer to another node, note->far. */
	void (*answer_node)(struct edge_up *up, uint8_t kind, const struct note *note);
	/* One more connection of the user whose key is in the mail, over all nodes, for a seat of
	 * that worker; edge_place_answered() follows. False: no memory. */
	bool (*ask_place)(struct edge_up *up, uint32_t worker, const struct registry_mail *mail,
	                  uint32_t limit);
	void (*give_place)(struct edge_up *up, struct slab_handle place);
	/* Figures of the mesh: as members of a JSON object, each with a comma before it, and for
	 * Prometheus. */
	void (*write_figures)(struct edge_up *up, struct buf *out);
	void (*write_metrics)(struct edge_up *up, struct buf *out);
	/* A line of the access log, and a word of warning of that kind, for the journal. */
	void (*log)(struct edge_up *up, const struct edge_line *line);
	void (*warn)(struct edge_up *up, const char *kind, const char *message);
};

struct edge_options {
	const struct edge_node *node;
	struct edge_common *common;
	const struct edge_settings *settings; /* to begin with */
	struct edge_up *up;
	struct hub_cluster *cluster; /* NULL: there are no other nodes */
	struct loop *loop;
	uint32_t worker, workers;
	uint32_t descriptors_max; /* for connections */
	uint64_t seed;
	const struct tls_seed *tls_seed; /* read in edge_listen() alone */
};

struct edge;

struct edge *edge_create(const struct edge_options *options); /* NULL: no memory */
void edge_destroy(struct edge *edge);                         /* closes what is still open */

/* For what other nodes have to say to it. */
struct hub *edge_hub(struct edge *edge) WORKER_ONLY;

/* Takes over the listener on success: 0, or -errno. */
MUST_CHECK int edge_listen(struct edge *edge, int listener, bool is_secure) WORKER_ONLY;

/* Goes over to other settings: what is asked from here on is judged by them. Channels follow
 * in the turns to come; until edge_has_adopted() the settings before must stay, and no others
 * are handed in. */
void edge_adopt(struct edge *edge, const struct edge_settings *settings) WORKER_ONLY;
bool edge_has_adopted(const struct edge *edge) WORKER_ONLY;

/* The parts of a turn, as net/loop.h has them. */
void edge_begin(struct edge *edge);
void edge_ready(struct edge *edge, uint64_t tag, unsigned ready) WORKER_ONLY;
bool edge_takes_letters(const struct edge *edge) WORKER_ONLY; /* see hub_pace() */
void edge_receive(struct edge *edge, const struct hub_mail *mail) WORKER_ONLY;
void edge_receive_mail(struct edge *edge, const struct edge_mail *mail);
void edge_mail_discard(const struct edge_mail *mail); /* one that will never be delivered */
/* What a request for the cluster waits for; NULL: there was no memory. */
void edge_tell_cluster(struct edge *edge, struct slab_handle asker, const struct blob *answer);
/* What another node asks of the server API. False: nobody can ask that. */
struct far_asker;
MUST_CHECK bool edge_survey_for_node(struct edge *edge, const struct survey_question *question,
                                     const struct far_asker *asker);
/* One of `of` answers of a node; NULL: there was no memory for it. Takes over the note. */
void edge_node_answered(struct edge *edge, uint32_t node, struct slab_handle token, uint8_t kind,
                        uint32_t of, struct note *note);
/* What it was asked and has not answered it never will. */
void edge_node_lost(struct edge *edge, uint32_t node);
/* What the seat in the mail, of that worker, has waited for. There is room for a letter. */
void edge_place_answered(struct edge *edge, uint32_t worker, const struct registry_mail *mail);
/* A node that has not joined its mesh is not ready. To begin with it is. */
void edge_set_joined(struct edge *edge, bool has_joined);
void edge_timer(struct edge *edge, struct timer *timer) WORKER_ONLY;
bool edge_after(struct edge *edge) WORKER_ONLY; /* the end of a turn; true: more to do */

/* Takes no new clients, and goes on answering requests that make none: see drain.h. */
void edge_drain(struct edge *edge) WORKER_ONLY;
/* Then: sends those it has away over that time. */
void edge_send_away(struct edge *edge, uint64_t time_ms) WORKER_ONLY;

/* Accepts nobody any more and says goodbye to everybody. Done when edge_is_empty(). */
void edge_stop(struct edge *edge) WORKER_ONLY;
bool edge_is_empty(const struct edge *edge);

void edge_count(const struct edge *edge, struct edge_stats *stats);
void edge_stats_add(struct edge_stats *sum, const struct edge_stats *stats);
