/*
 * hub_reader.h - what one subscriber of a channel must be given, and what it may lack.
 *
 * It knows nothing of how hubs do it: only the channel's order (hub_model.h), where the reader
 * began and what it has been given and told since. Every message behind its position comes, in
 * order, once; or its absence is by one of these rules:
 *   - it was not for this connection;
 *   - throttle: a newer one of its key is there, and the last of that key was given a while ago;
 *   - overflow conflate: the reader lagged too far, and a newer one of its key is there;
 *   - overflow drop: the reader lagged too far, and is told of the gap before anything else;
 *   - where only the latest are kept, its key made room for others: that is told too.
 *
 * Threads:   one.
 * Ownership: none: a value that looks at its channel.
 * Limits:    none.
 */
#pragma once

#include "hub_model.h"

struct reader {
	const struct model_channel *channel;
	const struct model_era *era;
	uint64_t number;         /* of the connection, as messages leave it out */
	uint64_t begun;          /* what is at or before this is not for it, but for `first` */
	uint64_t replay_end;     /* what it asked for by its cursor */
	struct model_list first; /* deliver_last */
	uint64_t start;          /* behind this nothing was dropped or conflated for it */
	uint64_t seen;           /* the last one that it was given, or told of */
	bool may_overflow;       /* has lagged too far, and not caught up yet */
	bool was_late;           /* did so ever */
	uint64_t late_to;        /* what there was when it had caught up */
	bool was_given[MODEL_KEYS];
	uint64_t given_ms[MODEL_KEYS];
};

static inline void reader_begin(struct reader *reader, const struct model_channel *channel,
                                uint64_t number, const struct model_position *position,
                                const struct model_list *first)
{
	*reader = (struct reader){
		.channel = channel,
		.era = channel->era,
		.number = number,
		.begun = position->from,
		.replay_end = position->head,
		.start = position->from,
		.seen = first->count > 0 ? 0 : position->from,
		.first = *first,
	};
}

static inline bool reader_is_throttled(const struct reader *reader)
{
	return reader->channel->rule->throttle_ms > 0;
}

static inline bool reader_is_first(const struct reader *reader, uint64_t seq)
{
	uint32_t i = 0;
	while (i < reader->first.count && reader->first.seq[i] != seq)
		i++;
	return i < reader->first.count;
}

/* May it never be given that one, where all up to `head` is known? */
static inline bool reader_may_lack(const struct reader *reader, uint64_t seq, uint64_t head,
                                   uint64_t now_ms)
{
	const struct rule *rule = reader->channel->rule;
	bool is_before = seq <= reader->begun;
	bool gets_latest = is_before || reader_is_throttled(reader) ||
	                   (rule->overflow == RULE_OVERFLOW_CONFLATE &&
	                    (reader->may_overflow || seq <= reader->late_to));
	if (reader->era->said[seq - 1].except == reader->number)
		return true;
	if (is_before && !reader_is_first(reader, seq))
		return true;
	if (gets_latest && model_is_outdated(reader->era, seq, head))
		return true;
	return is_before && !model_is_latest(reader->channel, seq, now_ms);
}

/* The same of all between what it has and `to`, without that. */
static inline bool reader_may_lack_until(const struct reader *reader, uint64_t to, uint64_t head,
                                         uint64_t now_ms)
{
	CHECK(reader->era == reader->channel->era);
	uint64_t seq = reader->seen + 1;
	while (seq < to && reader_may_lack(reader, seq, head, now_ms))
		seq++;
	return seq >= to;
}

static inline bool reader_has_all(const struct reader *reader, uint64_t head, uint64_t now_ms)
{
	return reader_may_lack_until(reader, head + 1, head, now_ms);
}

static inline void reader_catches_up(struct reader *reader, uint64_t head, uint64_t now_ms)
{
	if (!reader->may_overflow || !reader_has_all(reader, head, now_ms))
		return;
	reader->may_overflow = false;
	reader->late_to = head;
}

/* Has it been given something of `first`, or could it still be? */
static inline bool reader_is_at_first(const struct reader *reader)
{
	uint32_t count = reader->first.count;
	return count > 0 && reader->seen < reader->first.seq[count - 1];
}

/* At most one per key in the rule's time. */
static inline void reader_is_given_in_time(struct reader *reader, uint64_t seq, uint64_t now_ms)
{
	uint8_t key = reader->era->said[seq - 1].key;
	CHECK(!reader->was_given[key] ||
	      now_ms - reader->given_ms[key] >= reader->channel->rule->throttle_ms);
	reader->was_given[key] = true;
	reader->given_ms[key] = now_ms;
}

/* How many were left out before it, though they were for this reader. */
static inline uint64_t reader_is_given(struct reader *reader, uint64_t seq, uint64_t head,
                                       uint64_t now_ms)
{
	CHECK(seq > reader->seen);
	CHECK(seq <= head);
	CHECK(reader_may_lack_until(reader, seq, head, now_ms));
	CHECK(reader->era->said[seq - 1].except != reader->number);
	CHECK(seq > reader->begun || reader_is_first(reader, seq));
	if (reader_is_throttled(reader))
		reader_is_given_in_time(reader, seq, now_ms);
	if (reader_is_throttled(reader) || seq <= reader->begun)
		CHECK(!model_is_outdated(reader->era, seq, head));
	uint64_t lacks = 0;
	for (uint64_t other = reader->seen + 1; other < seq; other++) {
		if (other <= reader->begun || reader->era->said[other - 1].except == reader->number)
			continue;
		lacks++;
		if (!reader_is_throttled(reader))
			reader->start = other;
	}
	reader->seen = seq;
	/* One that drops is told of the gap before it is given anything. */
	if (reader->channel->rule->overflow == RULE_OVERFLOW_DROP)
		reader->may_overflow = false;
	reader_catches_up(reader, head, now_ms);
	return lacks;
}

/* The gap reaches to what may be dropped, and no further. */
static inline void reader_is_told_gap(struct reader *reader, uint64_t seq, uint64_t head,
                                      uint64_t now_ms)
{
	CHECK(seq > reader->seen);
	CHECK(seq <= head);
	if (reader->channel->rule->overflow == RULE_OVERFLOW_DROP && !reader_is_throttled(reader)) {
		CHECK(reader->may_overflow);
		CHECK(seq == head);
	} else {
		CHECK(reader_is_throttled(reader) || reader->may_overflow);
		CHECK(model_was_lost(reader->channel, seq, now_ms));
		uint64_t lacks = 0;
		for (uint64_t other = reader->seen + 1; other <= seq; other++) {
			CHECK(!model_is_latest(reader->channel, other, now_ms));
			lacks += other > reader->begun || reader_is_first(reader, other);
		}
		CHECK(lacks > 0);
	}
	reader->seen = reader->start = seq;
	reader_catches_up(reader, head, now_ms);
}
