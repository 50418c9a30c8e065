/*
 * membership.h - who belongs to the cluster, and who has died: one node's view.
 *
 * Every node is linked to every other and sends it a heartbeat, in which it also says how long each
 * of the others has been silent. Silence makes a member suspect; it is dead when it has been
 * silent for long, and more than half of those that I hear say so too. A member whose
 * connections are closed and whose port refuses is dead at once. Hearsay makes nobody alive: it
 * only tells whom to dial. A node that was found dead and is not says so with a higher incarnation.
 *
 * A node that was late itself (stopped, or starved of its CPU) gives everybody as much more time,
 * and accuses nobody for a while: it may have slept over what they said.
 *
 * Threads:   one at a time. Pure: time, frames and the ends of links come in, what is to be done
 *            goes out by struct membership_out, whose functions must not call back.
 * Ownership: the membership owns its members; those handed out are good until the next call that
 *            is given a time. What the options point at is the caller's and outlives it.
 * Limits:    MEMBERS_MAX members, as many dead ones that are remembered to be dialled, and
 *            TOMBSTONES_MAX boot ids that have died or left, the oldest forgotten first; of the
 *            dead those that may live the last.
 * Source:    the suspicion by silence is that of a full mesh; refutation by incarnation is SWIM's
 *            (Das, Gupta, Motivala 2002), the care for one's own health Lifeguard's
 *            (Dadgar, Phillips, Currey 2018).
 */
#pragma once

#include "mesh/frame.h"
#include "mesh/member.h"

#define MEMBERSHIP_TICK_MS 50u      /* membership_tick() is to be called so often */
#define MEMBERSHIP_BEAT_MS 250u     /* between heartbeats */
#define MEMBERSHIP_SUSPECT_MS 1000u /* silence that makes a member suspect */
#define MEMBERSHIP_DEAD_MS 2000u    /* silence that makes it dead, when others say so too */
#define MEMBERSHIP_JOIN_MS 5000u    /* after which a node is ready, whoever has not answered */
#define MEMBERSHIP_SEED_MS 10000u   /* between dialling the addresses of the configuration */
#define MEMBERSHIP_ALONE_MS 500u    /* the same, as long as this node has nobody */
#define MEMBERSHIP_REFUSED_MS 50u   /* between the two refusals that prove a death */
#define MEMBERSHIP_REDIAL_MS 1000u  /* to one that should be there; the first for one that died */
#define MEMBERSHIP_REDIAL_MAX_MS 30000u
#define MEMBERSHIP_FORGET_MS                                                                       \
	(24u * 3600 * 1000) /* the dead are dialled, and remembered, so long; but see keeps_silent \
	                     */
#define TOMBSTONES_MAX 4096u

/* What I hold of a member, beside what it says of itself. */
enum standing {
	STANDING_HEARD_OF = 0, /* somebody named it; nothing came from itself yet */
	STANDING_ALIVE,
	STANDING_SUSPECT,
	STANDING_DEAD,
	STANDING_LEFT,
};

struct told {
	struct boot_id boot;
	uint8_t silence; /* in units of 100 ms; 255: that or more */
};

struct member {
	struct boot_id boot;
	uint64_t incarnation;
	enum member_state said; /* JOINING, READY or DRAINING */
	enum standing standing;
	bool is_linked;
	bool is_gone; /* DEAD, LEFT: its process is known to have ended; else it is only silent */
	char *name, *address;
	char release[MEMBER_RELEASE_MAX + 1]; /* of its program; cut when longer */
	uint32_t clients, homes;              /* as it said last */
	uint64_t features;
	uint16_t version;  /* of the protocol, as agreed */
	uint64_t heard_ms; /* when a byte came last */
	/* Private from here on. */
	bool was_closed; /* its connections ended by its own doing: a refusal proves its death */
	uint32_t refusals, redials;
	uint64_t dial_ms;  /* when to dial it next, while it is not linked */
	uint64_t ended_ms; /* DEAD, LEFT: since when */
	uint32_t told_version, told_count;
	struct told *told; /* whom it takes for members */
};

enum link_end {
	LINK_END_CLOSED = 0, /* by the other side, on both lanes */
	LINK_END_LOST,       /* anything else */
};

struct membership_out {
	/* A frame on the control lane of a member that is linked. */
	void (*send)(struct membership_out *out, struct member *to, enum frame_type type,
	             struct slice body);
	/* Connect to HOST:PORT, unless there is a link to it; its end is told by
	 * membership_link_up() or membership_dial_failed(). */
	void (*dial)(struct membership_out *out, struct slice address);
	void (*close)(struct membership_out *out, struct member *member, enum bye why);
	/* member_state_of() is another one. */
	void (*changed)(struct membership_out *out, const struct member *member);
	/* This node was taken for dead: whatever it was in charge of may have been taken over. */
	void (*accused)(struct membership_out *out);
};

struct membership_options {
	struct membership_out *out;
	struct boot_id boot;
	uint64_t incarnation; /* ms since 1970 at the start */
	uint64_t features;
	struct slice cluster, name, address, release;
	uint8_t replicas;
	bool keeps_silent; /* a dead one is remembered until it is known to have ended */
	const struct slice *seeds;
	size_t seed_count;
	uint64_t now_ms;
	uint64_t seed; /* of the jitter */
};

struct membership;

struct membership *
membership_create(const struct membership_options *options); /* NULL: no memory */
void membership_destroy(struct membership *membership);

void membership_tick(struct membership *membership, uint64_t now_ms);

/* What this node says of itself, for the HELLO of a new connection. */
void membership_hello(const struct membership *membership, struct hello *hello);
/* BYE_COUNT: nothing speaks against a link to a node that says so of itself, as far as that can
 * be told before it stands. */
MUST_CHECK enum bye membership_judge(const struct membership *membership,
                                     const struct hello *hello);
/* Both lanes to a node stand, and this was its HELLO. BYE_COUNT: it is linked now; else why it is
 * to be sent away. */
MUST_CHECK enum bye membership_link_up(struct membership *membership, const struct hello *hello,
                                       uint64_t now_ms, struct member **member);
void membership_link_down(struct membership *membership, struct member *member, enum link_end how,
                          uint64_t now_ms);
void membership_dial_failed(struct membership *membership, struct slice address, bool is_refused,
                            uint64_t now_ms);

/* Anything came from it. */
void membership_heard(struct membership *membership, struct member *member, uint64_t now_ms);
/* HEARTBEAT, MEMBERS, DEAD and LEFT. False: it could not be read, and the link is to be closed. */
MUST_CHECK bool membership_take(struct membership *membership, struct member *from,
                                const struct frame *frame, uint64_t now_ms);

void membership_drain(struct membership *membership,
                      uint64_t now_ms);               /* says DRAINING from here on */
void membership_leave(struct membership *membership); /* says that it has gone: the last word */
/* What it says of its load from the next heartbeat on. */
void membership_set_load(struct membership *membership, uint32_t clients, uint32_t homes);

/* What is to be seen. Members come in no order; NULL behind the last one. Those that were only
 * heard of are not among them. */
const struct member *membership_member(const struct membership *membership, size_t i);
size_t membership_count(const struct membership *membership);
const struct member *membership_find(const struct membership *membership, struct boot_id boot);
enum member_state member_state_of(const struct member *member);
enum member_state membership_state(const struct membership *membership); /* this node's own */
uint64_t membership_incarnation(const struct membership *membership);
/* Two nodes with the same one have the same living members. */
uint64_t membership_view(const struct membership *membership);
