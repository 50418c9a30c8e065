/*
 * link.h - the links of a node to all others: how they come to stand, what goes over them, and how
 * they end.
 *
 * A link is two connections, one for each lane, so that heartbeats never stand behind payload. Who
 * dials says HELLO on the control lane and is answered by one; then it opens the data lane and says
 * HELLO there, and who was dialled accepts by its own HELLO on that lane, or says BYE. From there
 * on the link stands for both: who accepts says nothing else before, and who dials reads nothing
 * that comes behind the first HELLO of the control lane until it has the second.
 *
 * When two nodes dial each other at once, both know of the other's dial when its second HELLO comes
 * and their own was said: then the dial of the smaller boot id goes on. A second HELLO also carries
 * its sender's stamp, a number that rises with each. One that finds a link standing is from before
 * that link when its stamp is lower than the last, and is refused; else its sender has lost the
 * link, and so it ends here too.
 *
 * Threads:   pure; one at a time. Connections, with TLS underneath, are the caller's: it says what
 *            becomes of them and moves the bytes.
 * Ownership: struct links owns the membership, the links and their connections. A connection
 *            is the caller's to use until links_out.close() was called for it.
 * Limits:    LINKS_MAX links, with those that are dialled or knock; LINK_PENDING_MAX accepted
 *            connections that have not said who they are, LINK_HELLO_MS each; LINK_CONTROL_MAX and
 *            LINK_DATA_MAX bytes that wait for one node, LINK_ALL_MAX for all; LINK_STUCK_MS in
 *            which none of them goes out.
 */
#pragma once

#include "base/list.h"
#include "mesh/lane.h"
#include "mesh/membership.h"

#define LINKS_MAX (4 * MEMBERS_MAX)
#define LINK_PENDING_MAX 64u
#define LINK_HELLO_MS                                                                              \
	3000u                /* to connect, shake hands and say HELLO: for each of a dial's lanes  \
	                      */
#define LINK_HELLO_MAX 1024u /* bytes of it: nothing longer is collected from a stranger */
#define LINK_BOTH_MS 50u     /* in which both lanes of a process that died have ended */
#define LINK_STUCK_MS 10000u
#define LINK_CONTROL_MAX ((size_t)8 << 20)
#define LINK_DATA_MAX ((size_t)64 << 20)
#define LINK_ALL_MAX ((size_t)2 << 30)
#define LINK_ADDRESS_MAX 128u /* of HOST:PORT in numbers, with its NUL */

#define FRAME_OF_WORKERS 20u /* frames from this number on are not of links and membership */

struct link;

/* One connection. */
struct conn_of_link {
	struct lane lane;            /* bytes that came are appended to lane.in */
	void *edge;                  /* the caller's own */
	char from[LINK_ADDRESS_MAX]; /* the other end, to be told */
	bool is_dialled;
	bool has_shown; /* the caller's word: a key that is good, in the first of the handshake */
	uint8_t key;    /* is_dialled: which of the secrets is to be shown */
	/* Private from here on. */
	struct link *link; /* NULL: an accepted one that has not said who it is */
	struct list_node node;
	bool is_open, has_hello, is_closed;
	uint64_t due_ms;   /* for its HELLO */
	uint64_t moved_ms; /* when bytes went out last, or began to wait */
};

/* How a connection ended, or was refused before it was open. */
enum conn_end {
	CONN_CLOSED = 0, /* by the other side */
	CONN_REFUSED,    /* nobody listens there */
	CONN_LOST,       /* silence, no way, or this side's own trouble */
	CONN_BAD_KEY,    /* another secret, or none */
	CONN_BAD_CLUSTER,
	CONN_BAD_TLS,
};

enum mesh_counter {
#define MESH_COUNTER(name, group, key, what) MESH_##name,
#include "starling/mesh_counter.def"
#undef MESH_COUNTER
	MESH_COUNTER_COUNT
};

/* What an operator may want to read of. */
enum link_event {
	LINK_EVENT_UP = 0,    /* who: a node's name; why: its address */
	LINK_EVENT_DOWN,      /* who: its name */
	LINK_EVENT_REFUSED,   /* who: the address it came from */
	LINK_EVENT_SENT_AWAY, /* who: the address that was dialled; why: its word */
	LINK_EVENT_FAILED,    /* who: the address that was dialled */
	LINK_EVENT_UNLIKE,    /* who: a node's name; why: what it has been told, and this one not */
};

/* None of these may call back into the links, but for dial(), which may call links_connect(). */
struct links_out {
	/* HOST:PORT of a node, in numbers or with a name: links_connect() for what it means. */
	void (*dial)(struct links_out *out, struct slice address);
	/* links_open() or links_ended() follow; without memory nothing does. */
	void (*connect)(struct links_out *out, struct conn_of_link *conn, struct slice address);
	/* What waits in lane.out still goes, as far as nobody has to wait for it. */
	void (*close)(struct links_out *out, struct conn_of_link *conn);
	void (*wake)(struct links_out *out, struct conn_of_link *conn); /* it has bytes to give */
	/* A frame that is not for links or membership. False: no memory, and the link ends. */
	bool (*take)(struct links_out *out, const struct member *from, const struct frame *frame);
	/* Its state, its incarnation, or whether it is linked. */
	void (*changed)(struct links_out *out, const struct member *member);
	void (*load)(struct links_out *out, const struct member *member, bool is_high);
	void (*accused)(struct links_out *out);
	void (*count)(struct links_out *out, enum mesh_counter counter, uint64_t more);
	void (*event)(struct links_out *out, enum link_event event, const char *who,
	              const char *why);
};

struct links;

/* `options->out` is not looked at. NULL: no memory. */
struct links *links_create(const struct membership_options *options, struct links_out *out);
void links_destroy(struct links *links); /* closes what stands, without a word */

const struct membership *links_membership(const struct links *links);
void links_tick(struct links *links, uint64_t now_ms); /* every MEMBERSHIP_TICK_MS */
void links_drain(struct links *links, uint64_t now_ms);
/* The last word, and BYE, to all; they end the links. No more is dialled or accepted. */
void links_leave(struct links *links, uint64_t now_ms);
bool links_are_none(const struct links *links);
/* Bytes that wait for a lane, of all links together: `waiting[FRAME_LANE_EITHER]`. */
void links_waiting(const struct links *links, uint64_t *waiting);
void links_set_load(struct links *links, uint32_t clients, uint32_t homes);
void links_set_keys(struct links *links, uint8_t count); /* secrets that may be shown */

/* What links_out.dial() asked for has this address, in numbers. */
void links_connect(struct links *links, struct slice numeric, struct slice asked, uint64_t now_ms);
void links_unknown(struct links *links, struct slice asked, uint64_t now_ms); /* it has none */

/* Somebody dialled. NULL: no memory. */
MUST_CHECK struct conn_of_link *links_accept(struct links *links, const char *from,
                                             uint64_t now_ms);
void links_open(struct links *links, struct conn_of_link *conn, uint64_t now_ms);
void links_came(struct links *links, struct conn_of_link *conn, uint64_t now_ms);
void links_ended(struct links *links, struct conn_of_link *conn, enum conn_end how,
                 uint64_t now_ms);
/* Up to `max` bytes to be sent; how many. */
size_t links_give(struct links *links, struct conn_of_link *conn, struct buf *out, size_t max,
                  uint64_t now_ms);

/* While nobody can take them, frames on data lanes wait where they came. */
void links_pause(struct links *links);
void links_go_on(struct links *links, uint64_t now_ms);
bool links_are_paused(const struct links *links);

enum link_send {
	LINK_SENT = 0, /* or no link stands: then it is lost with what was sent before */
	LINK_LEFT_OUT, /* is_lossy, and too much waits */
};

/* Takes over the body. */
enum link_send links_send(struct links *links, struct boot_id to, enum frame_type type,
                          uint16_t slot, struct blob *body, bool is_lossy, uint64_t now_ms);
