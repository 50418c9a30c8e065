/*
 * past.h - orders that a channel of a cluster has left: what it held in each, and how far it is
 * known.
 *
 * A slot's log is a stream. Where another stream takes its place, because a network was cut, its
 * channels begin new orders. What a node held in the old one is not given up with it: the other
 * stream may lose, or this one may, and then its records go to the one that stays (far_merge.c).
 * There, the mark of each order, up to which all of it is known, says which of them are new.
 *
 * The present order is among them while a copy holds something of it aside: records that come
 * before those that it goes on with, until its log has brought all between (far_replica.c); and
 * where its home has ended, and no copy was kept, as a bare note of how far it went (far_home.c).
 *
 * Threads:   the worker's own. Pure.
 * Ownership: a list owns its pasts, and they their keys, and hold references on their records. A
 *            zeroed one is empty; pasts_free() gives back what it has.
 * Limits:    PASTS_MAX orders a channel: first goes one of which nothing is known but that who
 *            follows is told, else the one that was left first. Its records go when history would
 *            have let them go, and the rest when its keys are too old, too, but not before
 *            PAST_MS_MIN: others that have left it say then how far it went.
 */
#pragma once

#include "hub/duplicates.h"
#include "hub/record.h"

#define PASTS_MAX 8u
#define PAST_MS_MIN DUPLICATES_MS

struct past_item {
	struct record *record;
	uint32_t added_ms;
};

struct past {
	struct past *next;      /* left later */
	uint64_t epoch, stream; /* stream: the slot's then; 0: not this node's */
	uint64_t seq;           /* the mark: all up to here was committed, and is known */
	uint64_t lost;          /* of the latest of each key: none up to here */
	uint64_t told;          /* some up to here is lost, and who follows is told so */
	uint32_t touched_ms;    /* when it was left, or the mark was raised */
	bool is_bare;           /* nothing was kept of it: it does not come back */
	struct duplicates *keys, *retries; /* whose numbers are of that order; NULL: none */
	uint32_t count, room;
	struct past_item *items; /* rising; behind the mark: perhaps committed */
};

struct pasts {
	struct past *first;
	uint32_t count;
};

struct past *pasts_find(const struct pasts *pasts, uint64_t epoch);
struct past *pasts_of_stream(const struct pasts *pasts, uint64_t stream); /* the one left last */
/* Found or made, as the one left last. NULL: no memory. */
struct past *pasts_open(struct pasts *pasts, uint64_t epoch, uint64_t now_ms);
/* All of that order up to there is known. False: no memory. */
MUST_CHECK bool pasts_mark(struct pasts *pasts, uint64_t epoch, uint64_t seq, uint64_t now_ms);
void pasts_drop(struct pasts *pasts, struct past *past);
/* As if it had been left last: others make room before it. */
void pasts_put_last(struct pasts *pasts, struct past *past);
void pasts_expire(struct pasts *pasts, uint64_t now_ms, uint64_t ttl_ms);
/* How long until something of them is too old; UINT64_MAX: there is none. */
uint64_t pasts_left_ms(const struct pasts *pasts, uint64_t now_ms, uint64_t ttl_ms);
bool pasts_hold_any(const struct pasts *pasts); /* records; marks and keys are none */
void pasts_free(struct pasts *pasts);

/* One that is newer than all that are there. Takes its own reference. False: no memory. */
MUST_CHECK bool past_add(struct past *past, struct record *record, uint32_t added_ms);
/* At its place between the others, in place of one of its number. The same. */
MUST_CHECK bool past_put(struct past *past, struct record *record, uint32_t added_ms);
/* Rising ones that are older, in place of what is there up to the last of them. Takes references of
 * its own. False: no memory. */
MUST_CHECK bool past_extend(struct past *past, const struct past_item *older, size_t count);
/* The first item whose number is above `seq`; `count`: none. */
uint32_t past_first_behind(const struct past *past, uint64_t seq);
/* Drops the items from `from` on, before `to`. */
void past_cut(struct past *past, uint32_t from, uint32_t to);
/* Behind this number all up to the mark is here. */
uint64_t past_gone(const struct past *past);
/* Does it hold that very record, by number and idempotency key? */
bool past_holds(const struct past *past, uint64_t seq, struct slice once);
