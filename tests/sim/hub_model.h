/*
 * hub_model.h - what hubs must do, said so plainly that it can only be right.
 *
 * A channel is a list of eras, one for each epoch; an era is a list of all that was ever
 * published in it. What history holds, where a follower begins and what a page of history
 * shows is counted out on that list, by the words of SPEC section 5.
 *
 * Threads:   one.
 * Ownership: a channel owns its eras, till model_free().
 * Limits:    none.
 */
#pragma once

#include "base/check.h"
#include "hub/cursor.h"
#include "hub/record.h"
#include "hub/rule.h"
#include "starling/limits.h"

#define MODEL_PAYLOAD_MAX 4096

/* One publication. Its payload follows from its number and length: see model_payload(). */
struct model_said {
	uint64_t number, except, added_ms, bytes;
	uint32_t len;
};

struct model_era {
	struct model_era *before;
	uint64_t epoch;
	struct model_said *said; /* number `seq` of the channel's order is said[seq - 1] */
	uint64_t count, capacity;
};

struct model_channel {
	char name[24];
	const struct rule *rule;
	struct model_era *era; /* the present one; NULL before the first */
	uint32_t followers;
	uint64_t used_ms; /* when somebody last followed or published, at least */
};

struct model_position {
	uint64_t from, head; /* a follower gets from + 1 to head, then what is new */
	bool is_recovered;
};

struct model_page {
	uint64_t first, end, cursor; /* first .. end - 1 */
	bool has_more;
};

static inline uint32_t model_payload(char out[MODEL_PAYLOAD_MAX], uint64_t number, uint32_t len)
{
	int digits = snprintf(out, MODEL_PAYLOAD_MAX, "\"%llu ", (unsigned long long)number);
	CHECK(digits > 0 && len < MODEL_PAYLOAD_MAX);
	for (uint32_t i = (uint32_t)digits; i + 1 < len; i++)
		out[i] = (char)('a' + (number + i) % 26);
	uint32_t total = len > (uint32_t)digits ? len : (uint32_t)digits + 1;
	out[total - 1] = '"';
	return total;
}

static inline bool model_is_payload(struct slice payload, const struct model_said *said)
{
	char expected[MODEL_PAYLOAD_MAX];
	uint32_t len = model_payload(expected, said->number, said->len);
	return slice_equals(payload, slice_of(expected, len));
}

static inline bool model_is_held(const struct model_channel *channel, uint64_t seq, uint64_t now_ms)
{
	const struct model_era *era = channel->era;
	return seq + channel->rule->history_size > era->count &&
	       now_ms - era->said[seq - 1].added_ms < channel->rule->history_ttl_ms;
}

/* The oldest that history holds; behind the newest when it holds none. */
static inline uint64_t model_oldest(const struct model_channel *channel, uint64_t now_ms)
{
	uint64_t seq = channel->era->count + 1;
	while (seq > 1 && model_is_held(channel, seq - 1, now_ms))
		seq--;
	return seq;
}

/* Nobody follows, nothing is held, and it has been so for a while. */
static inline bool model_may_have_ended(const struct model_channel *channel, uint64_t now_ms)
{
	return channel->era == NULL ||
	       (channel->followers == 0 && now_ms - channel->used_ms >= CHANNEL_LINGER_MS &&
	        model_oldest(channel, now_ms) > channel->era->count);
}

static inline struct model_era *model_era_find(const struct model_channel *channel, uint64_t epoch)
{
	struct model_era *era = channel->era;
	while (era != NULL && era->epoch != epoch)
		era = era->before;
	return era;
}

/* The hub names an epoch: it is the present one, or one that never was and may begin. */
static inline void model_epoch(struct model_channel *channel, uint64_t epoch, uint64_t now_ms)
{
	if (channel->era != NULL && channel->era->epoch == epoch)
		return;
	CHECK(epoch != 0);
	CHECK(model_may_have_ended(channel, now_ms));
	CHECK(model_era_find(channel, epoch) == NULL);
	struct model_era *era = calloc(1, sizeof(*era));
	CHECK(era != NULL);
	era->epoch = epoch;
	era->before = channel->era;
	channel->era = era;
	channel->used_ms = now_ms;
}

static inline void model_say(struct model_channel *channel, const struct model_said *said)
{
	struct model_era *era = channel->era;
	if (era->count == era->capacity) {
		era->capacity = era->capacity == 0 ? 64 : era->capacity * 2;
		era->said = realloc(era->said, era->capacity * sizeof(*era->said));
		CHECK(era->said != NULL);
	}
	era->said[era->count++] = *said;
	channel->used_ms = said->added_ms;
}

static inline struct model_position model_follow(const struct model_channel *channel,
                                                 const struct cursor *since, uint64_t now_ms)
{
	uint64_t head = channel->era->count, oldest = model_oldest(channel, now_ms);
	if (since == NULL)
		return (struct model_position){.from = head, .head = head};
	bool is_ours = !since->is_start && since->epoch == channel->era->epoch;
	bool is_whole = is_ours && since->seq <= head && since->seq + 1 >= oldest;
	return (struct model_position){
		.from = is_whole ? since->seq : oldest - 1,
		.head = head,
		.is_recovered = is_whole || since->is_start,
	};
}

static inline struct model_page model_history(const struct model_channel *channel,
                                              const struct cursor *since, uint64_t limit,
                                              uint64_t now_ms)
{
	uint64_t head = channel->era->count, oldest = model_oldest(channel, now_ms);
	uint64_t after = since == NULL ? oldest - 1 : model_follow(channel, since, now_ms).from;
	uint64_t found = head - after;
	uint64_t shown = found < limit ? found : limit;
	struct model_page page = {.first = after + 1, .has_more = shown < found};
	if (since == NULL)
		page.first = head - shown + 1;
	page.end = page.first + shown;
	page.cursor = shown == 0 ? head : page.end - 1;
	return page;
}

static inline void model_free(struct model_channel *channel)
{
	struct model_era *era = channel->era;
	while (era != NULL) {
		struct model_era *before = era->before;
		free(era->said);
		free(era);
		era = before;
	}
	channel->era = NULL;
}
