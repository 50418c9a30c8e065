/*
 * mail.h - what the hubs of two workers say to each other about a channel.
 *
 * Letters from one worker to another arrive in the order they were posted. So the answer to
 * MAIL_FOLLOW and the records that come after it reach the follower in one order, and its
 * tail has no hole and no double.
 *
 * A letter is posted only where the post has room for it (struct hub_out): what needs one is
 * refused without, but for giving up a channel, whose letter then waits in the hub.
 *
 * Threads:   a value; moves from the poster to the receiver.
 * Ownership: the letter owns what it points at: the receiver frees it, or, when a letter is
 *            never delivered, hub_mail_discard().
 */
#pragma once

#include "base/slab.h"
#include "hub/channel.h"
#include "hub/cursor.h"
#include "hub/occupants.h"
#include "starling/error.h"

enum mail_kind {
	MAIL_PUBLISH = 0,   /* to the agent: record, not settled. Answered when token is set */
	MAIL_PUBLISHED,     /* back: error, or epoch and seq */
	MAIL_FOLLOW,        /* to the agent: ask */
	MAIL_FOLLOWED,      /* back: error, or epoch, seq (the head) and answer */
	MAIL_UNFOLLOW,      /* to the agent: name */
	MAIL_HISTORY,       /* to the agent: ask */
	MAIL_HISTORY_READY, /* back: error, or epoch, seq (the cursor) and answer */
	MAIL_RECORD,        /* from the agent to each worker that follows: record */
	MAIL_REBASED,       /* the same: name; the order goes on in `epoch` behind `seq` */
	MAIL_ENTERED,       /* to the agent: occupant, who has one connection more */
	MAIL_LEFT,     /* to the agent: epoch and seq are hashes of channel and user; parting */
	MAIL_PRESENCE, /* to the agent: ask */
	MAIL_PRESENCE_SHOWN, /* back: error, or turnout of all */
	MAIL_NEWS,           /* from the agent to each worker that watches: turnout of changes */
	MAIL_UNWATCH,        /* to the agent: nobody watches; epoch is the hash of the channel */
};

struct mail_ask {
	struct cursor since;
	bool has_since, has_limit;
	bool is_watch; /* MAIL_PRESENCE: and news, from then on */
	uint64_t limit;
	uint8_t name_len;
	char name[];
};

struct mail_answer {
	bool is_recovered, has_more;
	uint64_t lost;  /* is_latest: the highest number that made room for others */
	bool is_latest; /* the records are the latest of each key, with holes between */
	uint64_t from;  /* MAIL_FOLLOWED: the position given; records begin behind it */
	size_t count;
	struct record *records[]; /* a reference each */
};

struct hub_mail {
	uint8_t kind;             /* enum mail_kind */
	uint8_t error;            /* enum error_code */
	bool is_duplicate;        /* MAIL_PUBLISHED: the id is that of an earlier record */
	uint8_t parting;          /* MAIL_LEFT: enum parting */
	uint32_t from;            /* the worker that posted it */
	struct slab_handle token; /* the asker's request; all zero: no answer wanted */
	uint64_t epoch, seq;
	union {
		struct record *record;
		struct mail_ask *ask;
		struct mail_answer *answer;
		struct channel_name *name;
		struct occupant *occupant;
		struct turnout *turnout;
	};
};

static_assert(sizeof(struct hub_mail) <= 40, "letters are copied twice");
