/*
 * far.h - channels across nodes: what hubs of several nodes say to each other, what a hub asks of
 * the mesh, and what the mesh tells it.
 *
 * Each channel belongs to a slot, and a slot has one home at a time: the node that gives the
 * sequence numbers. On every node a slot is one worker's, and that worker's hub is the agent of
 * its channels (agent.c). Where the home is another node, the agent is to the home what the
 * node's other workers are to the agent: it has a tail, follows on the first follower here,
 * and asks for what it does not hold. So there is one copy of each record a node.
 *
 * At home a record is proposed first: an entry of the slot's log, which the mesh keeps on several
 * nodes, the replicas. It reaches the channel, and so anybody, when the mesh says that it is
 * committed. Replicas apply entries to channels of their own, so that a new home has them at once.
 *
 * Nothing here trusts the links: letters may be lost when a link ends, and may come twice. Records
 * are put in place by (epoch, seq) alone. What waits for another node is an errand, sent again
 * until it is answered or ERRAND_MS_MAX has passed. What a home believes about who follows, and
 * who is present, is checked by the others each second, and told anew when it is wrong.
 *
 * Threads:   the worker's own.
 * Ownership: letters and entries are values that look at records and names of the caller's.
 *            Whoever keeps a record takes a reference.
 * Limits:    ERRANDS_MAX errands and ERRAND_BYTES_MAX a hub, and PRESENCE_ASKS_MAX questions who is
 *            present that wait: what comes beyond them is answered `unavailable`. A letter holds
 *            records of FAR_BYTES_MAX, but never less than one; or FAR_PEOPLE_MAX people and
 *            their names.
 */
#pragma once

#include "base/list.h"
#include "base/slab.h"
#include "hub/cursor.h"
#include "hub/duplicates.h"
#include "hub/occupants.h"
#include "hub/record.h"
#include "starling/error.h"

#define HUB_NODES_MAX 256u /* a node is a number below this */

enum far_kind {
	FAR_PUBLISH = 0, /* to the home: token, record */
	FAR_PUBLISHED,   /* back: token, error, or epoch, seq, is_duplicate */
	FAR_TAIL,        /* to the home: name, counter; since, stream: send me all from here on */
	FAR_TAILED, /* back: name, error, or epoch, since.seq, seq, stream; then the records between
	             */
	FAR_UNTAIL, /* to the home: name, counter: no more */
	FAR_FOLLOW, /* to the home: token, name; since: where does a follower begin */
	FAR_HISTORY,  /* to the home: token, name; since, limit */
	FAR_PAGE,     /* back: token, records of the answer that comes behind it */
	FAR_FOLLOWED, /* back: token, error, or epoch, seq, since.seq, is_recovered, is_latest, lost
	               */
	FAR_HISTORY_READY, /* back: token, error, or epoch, seq, has_more */
	FAR_RECORDS,       /* from the home: records of one channel, rising by one */
	FAR_SYNC,    /* to the home: counter: forget whom I follow in this slot, and send all */
	FAR_SYNCING, /* back: records are counted from here */
	FAR_SYNCED,  /* to the home: counter: now you know whom I follow */
	FAR_ASK,     /* to the home, each second: is this so? */
	FAR_DIGEST,  /* back: counter, sum, is_synced: what the home believes and has sent */
	FAR_PRESENT, /* to the home: name, counter, people: their connections here, all of them */
	FAR_WATCH,   /* to the home: name, counter: tell me who is present, from now on */
	FAR_UNWATCH, /* to the home: name, counter: no more */
	FAR_SHOWN,   /* back: name, show, people: all who are present */
	FAR_NEWS,    /* from the home: name, show, people: who came, went, or has other connections
	              */
	FAR_KINDS,
};

/* Which channels of a slot a node follows, and how many letters of records it was sent. */
struct far_sum {
	uint32_t count;
	uint64_t names; /* the hashes of their names, together by exclusive or */
	uint64_t sent;
	uint64_t members; /* and who is present there: occupant_digest() of each, added up */
};

/* What became of a user: one of enum parting, or: */
#define PERSON_HERE PARTINGS
#define PERSON_AWAY (PARTINGS + 1)

/* FAR_PRESENT: PARTING_ORPHANED is said of one whom the sender was told of, and does not have. */
struct far_person {
	struct slice user, info;
	uint32_t connections; /* PERSON_HERE: of the node that says it, or of all */
	uint8_t state;
};

/* Of a set of occupants, as its home says it; it may take several letters. */
struct far_show {
	uint64_t version, base, redo_from; /* as of a turnout */
	uint32_t count;
	bool has_names, is_first, is_last;
};

struct far_mail {
	uint8_t kind;  /* enum far_kind */
	uint8_t error; /* enum error_code */
	bool is_duplicate, is_recovered, is_latest, has_more, has_since, has_limit, is_synced;
	uint16_t slot;
	struct slab_handle token; /* the asker's, given back as it came */
	uint64_t epoch, seq;
	struct cursor since;
	uint64_t limit, lost;
	uint64_t counter; /* of the node, for the slot: what it said of whom it follows, counted */
	uint64_t stream;  /* in which the position it gives was good; 0: nobody knows */
	struct far_sum sum;
	struct slice name;
	struct record *const *records;
	size_t record_count;
	struct far_show show;
	const struct far_person *people;
	size_t person_count;
};

#define FAR_BYTES_MAX (256u * 1024) /* of records, with their names, in one letter */
#define FAR_PEOPLE_MAX 128u /* with CLAIMS_INFO_MAX each, and their names, it fits in a frame */

/* ---- entries of a slot's log, and what a slot's channels are saved as ---- */

enum hub_entry_kind {
	ENTRY_RECORD = 0, /* record; epoch, seq: its place in a fork; saved: age_ms, is_unsure */
	ENTRY_CLOSE,      /* name, epoch: nobody needs the channel any more */
	ENTRY_CHANNEL,    /* name, epoch, seq. Saved: what follows is of this channel, and its head.
	                   * In a log: nothing has that number, as something of another order is
	                   * lost there. In a fork: some up to there is lost */
	ENTRY_LATEST,     /* saved: record, age_ms: the latest of its key, no part of history */
	ENTRY_LOST,       /* saved: seq: the latest of keys up to here made room for others */
	ENTRY_KEY,        /* saved: name (an idempotency key), seq, age_ms, is_hidden */
	ENTRY_PAST,       /* saved: epoch, seq, age_ms: all of that order up to there is known */
	ENTRY_KINDS,
};

struct hub_entry {
	uint8_t kind; /* enum hub_entry_kind */
	bool is_hidden;
	bool is_unsure; /* perhaps it was never committed */
	uint32_t age_ms;
	uint64_t epoch, seq;
	struct slice name;
	struct record *record;
};

/* ---- what a hub asks of the mesh ---- */

enum hub_proposed {
	HUB_PROPOSED = 0, /* hub_commit() or hub_revoke() will follow */
	HUB_COMMITTED,    /* it holds as it is: there is no other copy to wait for */
	HUB_UNPROPOSED,   /* this is not possible now */
};

struct hub_cluster {
	void (*send)(struct hub_cluster *cluster, uint32_t node, const struct far_mail *mail);
	/* The next entry of the slot's log; its home is here. Does not call back. */
	enum hub_proposed (*propose)(struct hub_cluster *cluster, uint32_t slot,
	                             const struct hub_entry *entry);
};

/* ---- what the mesh tells a hub ---- */

enum hub_home {
	HOME_NOWHERE = 0, /* not known, or there is none now */
	HOME_HERE,
	HOME_ELSEWHERE,
};

struct hub_role {
	uint8_t home;    /* enum hub_home */
	bool is_replica; /* entries are applied here; so in any case at home */
	uint16_t node;   /* HOME_ELSEWHERE: which */
	/* Names the slot's unbroken log. 0: not known. Where it was known before, the node leaves
	 * it, and what is applied from then on may never have been committed. */
	uint64_t stream;
};

struct hub;

uint16_t hub_slot_of(struct slice channel); /* the same on every node */

/* Of a slot that is this hub's. All that was committed before has been applied. A home of another
 * stream begins all its channels anew. */
void hub_set_role(struct hub *hub, uint32_t slot, const struct hub_role *role);

/* Letters reach that node from here on, or none does. */
void hub_node_up(struct hub *hub, uint32_t node);
void hub_node_down(struct hub *hub, uint32_t node);
/* It has died, or left: who was present there may come back elsewhere, in twice the grace. One
 * whose end is not sure may come back itself, by that number, and say who is there still. */
void hub_node_gone(struct hub *hub, uint32_t node, bool is_sure);

/* The oldest entry that was proposed in the slot and not committed yet is. */
void hub_commit(struct hub *hub, uint32_t slot);
/* None of those proposed and not committed will ever be by this home. */
void hub_revoke(struct hub *hub, uint32_t slot);
/* At a replica, in order, each once. False: no memory, and nothing happened. */
MUST_CHECK bool hub_apply(struct hub *hub, const struct hub_entry *entry);

/* Of a node that is up. As with hub_receive() there is room for its letters. */
void hub_far_receive(struct hub *hub, uint32_t node, const struct far_mail *mail);

/* Once a turn, and HUB_FAR_MS apart at most: what is due, to about so many channels or errands,
 * and so many of those who are present. True: there is more. */
#define HUB_FAR_MS 50
bool hub_far_turn(struct hub *hub, uint32_t budget, uint32_t people);
bool hub_far_has_more(const struct hub *hub); /* something has become due since */

/*
 * A slot's channels as entries, ENTRY_CHANNEL before those that belong to it. It may take many
 * turns, and entries may be committed or applied meanwhile: who restores what was saved and then
 * applies them, though some are in it already, has the same channels.
 */
struct hub_save {
	struct list_node in_slot; /* linked in its slot; private, as is the rest */
	bool is_fork;
	struct channel *channel; /* the one that is being saved; NULL: that was all */
	uint8_t part;
	uint64_t at;
	struct duplicates_place key;
};
/* False: what was committed waits for room, and would not be in it; to be tried again. */
MUST_CHECK bool hub_save_begin(struct hub *hub, uint32_t slot, struct hub_save *save);
/* The same, of what was made in streams that have lost: for the home of the one that stays. */
MUST_CHECK bool hub_fork_begin(struct hub *hub, uint32_t slot, struct hub_save *save);
MUST_CHECK bool hub_save_next(struct hub *hub, struct hub_save *save, struct hub_entry *entry);
void hub_save_end(struct hub_save *save);

/* Nothing of the slot is held for others any more; who follows here keeps his place. */
void hub_clear(struct hub *hub, uint32_t slot);
/* Entries as they were saved, then NULL. False: no memory; clear, and begin again. */
MUST_CHECK bool hub_restore(struct hub *hub, uint32_t slot, const struct hub_entry *entry);

/* An entry of a fork, which may have come before: at home, where it is lacking, its record is
 * published again, or those who follow are told what is lost. The caller alone holds the record,
 * and has no more use for it. False: not now; it is to come again. */
MUST_CHECK bool hub_merge(struct hub *hub, uint32_t slot, const struct hub_entry *entry);
