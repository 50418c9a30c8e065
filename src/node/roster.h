/*
 * roster.h - the nodes of the mesh as one worker knows them, by their seats.
 *
 * A seat is the number of a node here and in the hub. What has gone for certain is remembered for a
 * while: it counts for nothing, and slots that it belonged to are to know that. Who was forgotten
 * is no member any more, and may live.
 *
 * Threads:   the worker's own. Pure.
 * Ownership: plain values.
 * Limits:    MEMBERS_MAX seats; the last ROSTER_GONE_MAX that went, as far as MEMBERS_MAX in all
 *            leaves room.
 */
#pragma once

#include "mesh/mail.h"
#include "mesh/slots.h"

#define ROSTER_GONE_MAX 64u

struct roster_node {
	struct boot_id boot;
	uint16_t use;  /* of the seat; 0: nobody's */
	uint8_t state; /* enum slots_member_state */
	bool is_linked;
	bool is_loaded; /* much waits for it: see enum mesh_load */
	bool is_broken; /* a letter to it was left out for lack of memory */
};

struct roster {
	struct slots_member self;
	struct roster_node nodes[MEMBERS_MAX];
	uint32_t end; /* all seats from here on are nobody's */
	struct boot_id gone[ROSTER_GONE_MAX];
	uint32_t gone_count; /* of all that ever went */
};

void roster_init(struct roster *roster, struct boot_id self);

/* What became of the link to the node. */
enum roster_link { ROSTER_SAME = 0, ROSTER_UP, ROSTER_DOWN };

/* A MESH_MAIL_NODE or MESH_MAIL_SELF. */
enum roster_link roster_take(struct roster *roster, const struct mesh_mail *mail);

/* Who sits there; NULL: nobody, or somebody else by now. */
struct roster_node *roster_at(struct roster *roster, struct seat seat);
/* NULL: it has no seat. */
const struct roster_node *roster_find(const struct roster *roster, struct boot_id boot);

/* As ids of connections name a node. */
static inline uint64_t roster_short_id(struct boot_id boot)
{
	return boot.word[0] >> 24; /* 40 bits are enough, and short */
}

static inline struct seat roster_seat(const struct roster *roster, const struct roster_node *node)
{
	return (struct seat){(uint16_t)(node - roster->nodes), node->use};
}

/* This node first. Fills up to MEMBERS_MAX. */
size_t roster_members(const struct roster *roster, struct slots_member *members);
/* Is there another node that could take over what this one has? */
bool roster_has_heir(const struct roster *roster);
