/*
 * limits.h - the bounds that are not settings: each with its unit, its reason, and what
 * happens when it is reached. Bounds that an operator may want to move are in config.def.
 */
#pragma once

/* Names and ids, in bytes. A longer one is refused as bad_request. */
#define CHANNEL_NAME_MAX 200 /* SPEC: 1 to 200 */
#define EVENT_NAME_MAX 255   /* each of these has its length in one byte of a record */
#define USER_NAME_MAX 255
#define MESSAGE_KEY_MAX 255
#define IDEMPOTENCY_KEY_MAX 255
#define CLAIMS_INFO_MAX 4096 /* a token's `info`, as JSON text */
#define REF_MAX 1024         /* a client's `ref`, as JSON text */

/* Of a token; one with more is not valid. What it allows is looked through with each command. */
#define TOKEN_BYTES_MAX 8192
#define CLAIMS_GRANTS_MAX 128 /* patterns in `allow` */

#define MESSAGE_DEPTH_MAX 32 /* levels of JSON; deeper is bad_request */

/* Payload of one publication by the server API; clients have limits.message_size. */
#define API_MESSAGE_BYTES_MAX (1u << 20)
#define API_BATCH_BYTES_MAX (8u << 20)
#define API_SPREAD_BYTES_MAX                                                                       \
	(64u << 20) /* of one publication to several channels, in all of them */
#define API_BODY_BYTES_MAX (API_MESSAGE_BYTES_MAX + 64 * 1024) /* and its envelope */

/* History, asked for by command or request. More is in the next page (`more`). */
#define HISTORY_LIMIT_DEFAULT 100
#define HISTORY_LIMIT_MAX 1000
#define HISTORY_BYTES_MAX (1u << 20) /* of records in one answer, but never less than one */

/* Presence. Who watches a channel with more members, or more of their names and infos, is told the
 * number alone, until it is half as large; who they are is a matter of the server API, by pages. */
#define PRESENCE_NAMES_MAX 1000
#define PRESENCE_BYTES_MAX (256u * 1024)
#define PRESENCE_INTERVAL_MS 250 /* at least so long between two pieces of news of a channel */
#define PRESENCE_POLL_MS 5000    /* a client is there between two polls; or the rule's grace */

#define WORKERS_MAX 128 /* workers of a node; a bit each in a channel */

/* Descriptors of a worker that clients do not get: that share of them, within these bounds. They
 * are for saying so, and for /health, /ready, /metrics and /api. */
#define RESERVE_SHARE 32
#define RESERVE_MIN 16
#define RESERVE_MAX 256
/* And of the process, for what is no connection of a client: files that are read again, links to
 * other nodes. The smaller of the two. */
#define DESCRIPTORS_APART_SHARE 16
#define DESCRIPTORS_APART_MAX 64
#define WORKER_DESCRIPTORS_MIN 32 /* with fewer a worker does not start */

/* A client may send more before the answers to what it sent came, up to these; then it is
 * not read from until they are fewer. */
#define SESSION_REQUESTS_MAX 256         /* commands under way on other workers */
#define CONN_OUT_PAUSE_BYTES (64 * 1024) /* answers that its socket did not take yet */

/* One turn of a worker. What is left waits for the next turn, after everybody else. */
#define TURN_EVENTS_MAX 512   /* descriptors */
#define TURN_ACCEPTS_MAX 128  /* new connections a listener */
#define TURN_ENDS_MAX 128     /* connections that are over: a last word, and closing, are 30 us */
#define TURN_HANDSHAKES_MAX 4 /* steps of TLS handshakes: each may sign, a millisecond with RSA */
#define TURN_STEPS_MAX 64     /* connections that had more to do than fitted into a turn */
#define TURN_TOKENS_US 4000   /* signatures of tokens, by what their keys take; one more may be */
#define TURN_READ_BYTES (64 * 1024) /* from one connection */
#define TURN_REQUESTS_MAX 32        /* of one client; behind a token to verify none */
#define TURN_REQUESTS_ALL 1024      /* of all that have events, then one of each; and of `again` */
#define TURN_MAILS_MAX 256          /* letters of other workers */
#define TURN_DELIVERIES_MAX 1024    /* followers walked: about 8 ms of system calls */
#define TURN_TIMERS_MAX 1024        /* each may send a ping: about 8 ms of system calls */
#define TURN_FAR_MAX 1024    /* errands, channels and slots that have to do with other nodes */
#define TURN_PLACES_MAX 1024 /* users whose connections on all nodes are looked at, and decided */
#define TURN_PEOPLE_MAX 2048 /* who are present, added up or told to other nodes: 500 us */
#define TURN_SWEEP_MAX 4096  /* connections looked at for a limit that is new */
#define TURN_RULES_MAX 16384 /* patterns tried on channels after a reload, about a millisecond */
#define TURN_LOOKS_MAX 1024  /* channels looked at for a listing */
#define TURN_DRAINS_MAX 4096 /* clients sent away; the rest follow 20 ms later */

/* Followers of one channel that are walked before others have their turn: about half a millisecond,
 * which is what a message of another channel waits beside a fan-out, however large that is. */
#define WALK_FOLLOWERS_MAX 64
#define WALK_RECORDS_MAX 256 /* records in one system call to a follower */
#define WALK_BYTES_MAX (256 * 1024)

/* A channel without followers is remembered for so long, that a client which comes back
 * finds its cursor good even where nothing is kept. */
#define CHANNEL_LINGER_MS 10000
/* So many of them on a worker, as any client can make them; 10 MB, or 50 in a mesh with presence
 * and keys. Whoever makes one more ends the one that has been unused for longest, before its time:
 * who comes back to that is told that he was not recovered. What is followed, or holds anything
 * that its rule promises, is none of them. */
#define CHANNELS_LINGERING_MAX 32768u

#define MAILBOX_CAPACITY 4096 /* letters from one thread to another before they queue up */
/* And in all rings of the node, which are as many as threads squared: where these are very many,
 * each ring is shorter. About 100 MiB, once every ring has been gone round. */
#define MAILBOX_LETTERS_MAX (1u << 21)
