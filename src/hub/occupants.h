/*
 * occupants.h - who is present in one channel: a set of users, and what is still to be told of it.
 *
 * A user is present while any of its connections is, and a grace longer where the last one was
 * lost and not closed: who comes back meanwhile was never away. Where connections are is known
 * to *sources*: the workers of this node, and other nodes. Each reports who enters and leaves
 * there; the set adds up. What a source said can be held against its digest and said anew, and
 * goes with the source when that dies. Another node is one source, and not each of its workers,
 * as it has added them up: it says one number of a user, and it dies as a whole.
 *
 * One node's set is the channel's, that of its home. Elsewhere the set is a *mirror*: its sources
 * are the workers alone, what they say is to be reported to the home, and who is present is what
 * the home says. A mirror becomes the set of a home, and the other way round, by one call.
 *
 * Each coming and going gives the set another version. Where somebody is told of them
 * (occupants_tell()), changes are kept until occupants_take() gives them out in one piece, those
 * that took each other back left out. A list of all occupants (occupants_all()) may be given to
 * somebody meanwhile: it is of a version, and who has it leaves out what of the next piece is not
 * newer. Where that does not suffice, because a change that the list shows was taken back since,
 * the piece says from which version on lists are worth nothing (`redo_from`).
 *
 * Threads:   the worker's own; pure. A turnout is immutable, and counted across threads.
 * Ownership: occupants_enter() takes over the occupant. An occupant, and each entry of a turnout,
 *            holds a reference to its info.
 * Limits:    OCCUPANT_BYTES and its names an occupant, and about 16 for its place in the set; a
 *            second source of the same user costs as much again. Users are told apart by names, but
 *            leave by the 64 bits of a keyed hash: two users of one hash are not expected.
 */
#pragma once

#include "base/blob.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"

/* How somebody left. */
enum parting {
	PARTING_LOST = 0, /* the connection ended, and may be made anew: the channel's grace */
	PARTING_POLLED,   /* its poll was answered: the next one is to come */
	PARTING_ORPHANED, /* its source died: twice the grace */
	PARTING_LEFT,     /* it said so: at once */
	PARTINGS,
};

#define PARTING_GRACES 3 /* of these have one */

/* What has passed since, for each way to leave, until somebody is away. */
struct parting_grace {
	uint32_t ms[PARTING_GRACES];
};

/* One user of one source. The first one of a user is the occupant; those of other sources hang on
 * it, and only their numbers count. */
struct occupant {
	struct map_node in_set;
	struct list_node in_changed; /* linked while that it came, or went, is to be told */
	struct list_node in_leaving; /* while it has no connection, and may come back; mirror: while
	                              * the home is to be told of its connections here */
	struct occupant *next;       /* the same user elsewhere; or in a queue of the hub */
	struct blob *info;           /* JSON; NULL: none */
	uint64_t version;            /* of the set, when it last came or went */
	uint32_t source, connections; /* orphaned, without any: whose it was */
	union {
		uint32_t left_ms; /* when it lost the last one, cut to 32 bits */
		uint32_t heard;   /* mirror: its connections, as the home says */
	};
	uint32_t reported; /* mirror: its connections here, as the home was told */
	uint8_t user_len, channel_len;
	bool is_present : 1;
	bool is_told : 1;    /* it is present by what was told last */
	bool is_doubted : 1; /* its source says anew whom it has, and has not named it yet */
	bool is_unheard : 1; /* mirror: the home says anew who is present, and has not named it */
	uint8_t parting;     /* how the last one went: enum parting */
	char bytes[];        /* user, channel */
};

#define OCCUPANT_BYTES sizeof(struct occupant)
static_assert(sizeof(struct occupant) <= 96, "what an occupant costs, with its names");

struct occupants {
	struct map by_user;
	struct list changed, leaving[PARTING_GRACES]; /* the first to leave comes first */
	struct list owed;                             /* mirror: the home is to be told of these */
	uint64_t version;
	uint64_t told;      /* the version that was taken last */
	uint64_t shown;     /* the version of the last list of all */
	uint64_t redo_from; /* lists from this version on are not good any more */
	uint64_t bytes;     /* of names and infos */
	uint32_t count;     /* present */
	uint32_t leaving_count;
	bool is_telling;
	bool is_counting; /* and of numbers of connections, too */
	bool is_mirror;
	bool is_numbered; /* mirror: the home says no names, `count` is its number */
};

/* All occupants, or what has changed. */
struct turnout {
	_Atomic uint32_t refs;
	uint32_t occupant_count; /* of the set */
	uint64_t version;        /* of the set */
	uint64_t base;           /* changes: they are all that was since this version */
	uint64_t redo_from; /* changes: who has a list of this version or newer needs another */
	bool has_names;     /* else only the number is told */
	uint8_t channel_len;
	uint32_t count;
	struct turnout_entry {
		struct blob *info;
		const char *user;
		uint64_t version; /* changes: when it came or went */
		uint32_t connections;
		uint8_t user_len;
		bool is_present;   /* else it went */
		bool is_recounted; /* it neither came nor went */
	} entries[];
	/* behind them: names of users, and of the channel */
};

MUST_CHECK int occupants_init(struct occupants *occupants); /* 0 or -ENOMEM */
void occupants_free(struct occupants *occupants);           /* with all that are in it */
bool occupants_is_empty(
	const struct occupants *occupants); /* nobody is present, or to be told of */

/* Of all that are in it nobody has a connection, and nothing is owed to the home. */
static inline bool occupants_are_leaving(const struct occupants *occupants)
{
	return occupants->leaving_count == occupants->by_user.count;
}

/* One that can enter; takes over info. NULL: no memory, and info is dropped. */
struct occupant *occupant_make(struct slice user, struct slice channel, struct blob *info);
void occupant_free(struct occupant *occupant);
/* It has come to its channel, and need not name it any more. It may be elsewhere afterwards. */
struct occupant *occupant_arrive(struct occupant *occupant);
struct slice occupant_user(const struct occupant *occupant);
struct slice occupant_channel(const struct occupant *occupant);
uint32_t occupant_connections(const struct occupant *occupant); /* of all sources */
/* Of a mirror: those that the home knows. */
uint32_t occupants_connections(const struct occupants *occupants, const struct occupant *occupant);

/* NULL: there is none; one that has gone may be found until that was told. */
struct occupant *occupants_find(const struct occupants *occupants, struct slice user,
                                uint64_t hash);
/* One more connection of that user. `hash` is that of the name. */
void occupants_enter(struct occupants *occupants, uint32_t source, struct occupant *occupant,
                     uint64_t hash);
/* One less. False: the source has none. */
bool occupants_leave(struct occupants *occupants, uint32_t source, uint64_t hash,
                     enum parting parting, const struct parting_grace *grace, uint64_t now_ms);

/* Those whose grace is over are away, at most `budget` of them. How long until the next one's is:
 * 0: more are due now; UINT64_MAX: nobody is leaving. */
uint64_t occupants_expire(struct occupants *occupants, const struct parting_grace *grace,
                          uint64_t now_ms, uint32_t budget);

/* Whether changes are to be kept until they are taken. When that begins, nobody knows anything. */
void occupants_tell(struct occupants *occupants, bool is_telling);
/* Those who know the set as it was told must be shown it anew: that counts as a change. */
void occupants_redo(struct occupants *occupants);
void occupants_skip(struct occupants *occupants); /* what has changed is nobody's concern */
static inline bool occupants_have_news(const struct occupants *occupants)
{
	return occupants->told != occupants->version;
}
/* What has changed since it was taken last; of a set that is not telling, how many there are. NULL:
 * no memory, and nothing is taken. */
struct turnout *occupants_take(struct occupants *occupants, struct slice channel);
/* All occupants, or only their number. NULL: no memory. */
struct turnout *occupants_all(struct occupants *occupants, struct slice channel, bool has_names);

struct turnout *turnout_take(struct turnout *turnout);
void turnout_drop(struct turnout *turnout); /* NULL is fine */
struct slice turnout_channel(const struct turnout *turnout);
static inline struct slice turnout_user(const struct turnout_entry *entry)
{
	return slice_of(entry->user, entry->user_len);
}

static inline struct slice occupant_info(const struct blob *info) /* NULL: empty */
{
	return info == NULL ? slice_of(NULL, 0) : blob_view(info);
}

/* ---- sources that say anew what they have, or die ---- */

/* It died: its connections are gone, and who has none elsewhere is leaving. */
void occupants_orphan(struct occupants *occupants, uint32_t source, uint64_t now_ms);
/* It had not: those sources, a bit each from number `first` on, have said anew whom they have. Whom
 * one of them has orphaned, and does not have, and nobody expects, has gone meanwhile. */
void occupants_renounce(struct occupants *occupants, const uint64_t *sources, uint32_t first);
/* What a set believes of a source is one number: this, added up over the source's users. `hash` is
 * that of the name. */
uint64_t occupant_digest(uint64_t hash, uint32_t connections);
/* The source says anew whom it has: between begin and end it names each with all its connections.
 * Whom it does not name it has lost. */
void occupants_doubt(struct occupants *occupants, uint32_t source);
void occupants_confirm(struct occupants *occupants, uint32_t source, struct occupant *occupant,
                       uint64_t hash, uint32_t connections);
void occupants_settle(struct occupants *occupants, uint32_t source, uint64_t now_ms);
/* The source has none of the user's connections any more. One who is only expected back has said
 * now that he will not be. */
void occupants_end(struct occupants *occupants, uint32_t source, uint64_t hash,
                   enum parting parting, const struct parting_grace *grace, uint64_t now_ms);
/* The user's connections at the source, but for those that are doubted. */
uint32_t occupants_counted(const struct occupants *occupants, uint32_t source, uint64_t hash);
/* It was present when somebody heard of it last, or has come and gone since: unless the set knows
 * of a connection, it may come back. A visit begins its grace anew. */
void occupants_expect(struct occupants *occupants, struct occupant *occupant, uint64_t hash,
                      enum parting parting, uint64_t now_ms);
/* The same of a set that has been told of all before: an orphan is not to be renounced. */
void occupants_vouch(struct occupants *occupants, struct slice user, uint64_t hash);

/* ---- mirrors ---- */

/* Of what is in it the sources from that number on are forgotten; who is present stays so. Without
 * names that is a number; those of whom nothing is known any more go as the home is told anew. */
void occupants_mirror(struct occupants *occupants, uint32_t sources, bool has_names);
/* Its own sources count from here on; who has no connection there may come back. */
void occupants_lead(struct occupants *occupants, uint64_t now_ms);
/* The home has been told of this one's connections here, as if it had known of nobody. It may be
 * gone with the next occupants_sweep(). */
void occupants_retold(struct occupants *occupants, struct occupant *occupant, struct list *idle);
void occupants_sweep(struct occupants *occupants, struct list *idle);
/* The home is to be told of this one; NULL: of nobody. And now it has been: it may be gone. */
struct occupant *occupants_owed(const struct occupants *occupants);
struct occupant *occupants_owed_after(const struct occupants *occupants,
                                      const struct occupant *occupant);
void occupants_report(struct occupants *occupants, struct occupant *occupant);
/* The home says who is present: between begin and end, all. False: no memory. */
void occupants_hear_begin(struct occupants *occupants);
MUST_CHECK bool occupants_hear(struct occupants *occupants, struct slice user, uint64_t hash,
                               struct slice info, uint32_t connections, bool is_present);
void occupants_hear_end(struct occupants *occupants);
void occupants_hear_number(struct occupants *occupants, uint32_t count);
void occupants_forget(struct occupants *occupants); /* what the home said; nobody is told */
void occupants_forget_one(struct occupants *occupants, struct occupant *occupant);

/* A walk over all of them, for lists in parts: as long as the layout is the same, each occupant
 * that stays is in exactly one of the places 0 .. occupants_span() - 1. */
uint64_t occupants_layout(const struct occupants *occupants);
uint32_t occupants_span(const struct occupants *occupants);
const struct occupant *occupants_at(const struct occupants *occupants, uint32_t place);
const struct occupant *
occupants_after(const struct occupant *occupant); /* the next in that place */

/* And one in steps, between which they may come and go: map_step() of `by_user`. */
static inline struct occupant *occupant_of_node(const struct map_node *node)
{
	return CONTAINER_OF(node, struct occupant, in_set);
}
