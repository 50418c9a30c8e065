/*
 * hub_model.h - what hubs must do in a channel, said so plainly that it can only be right.
 *
 * A channel is a list of eras, one for each epoch; an era is a list of all that was ever
 * published in it. What history holds, where a follower begins, what a page of history shows,
 * which messages are the latest of their keys and which idempotency keys are remembered is
 * counted out on that list, by the words of SPEC sections 4 and 5.
 *
 * Threads:   one.
 * Ownership: a channel owns its eras, till model_free().
 * Limits:    keys are numbers below MODEL_KEYS.
 */
#pragma once

#include "base/check.h"
#include "hub/cursor.h"
#include "hub/duplicates.h"
#include "hub/record.h"
#include "hub/rule.h"
#include "starling/limits.h"

#define MODEL_PAYLOAD_MAX 4096
#define MODEL_KEYS 8 /* number 0 is "no key" */
#define MODEL_ONCE_MS (5 * 60 * 1000)

/* One publication. Its payload and its strings follow from these: see model_write(). */
struct model_said {
	uint64_t number, except, added_ms, bytes;
	uint64_t before;    /* bytes of all that was said before it */
	uint64_t again;     /* place of the next one with the same key; 0: there is none */
	uint64_t once;      /* number of its idempotency key; 0: none */
	uint64_t once_rank; /* how many with one there were up to this one */
	const char *user;   /* NULL: none */
	uint32_t len;
	uint8_t key, event;
	bool is_binary;
};

struct model_era {
	struct model_era *before;
	uint64_t epoch;
	struct model_said *said; /* number `seq` of the channel's order is said[seq - 1] */
	uint64_t count, capacity;
	uint64_t latest[MODEL_KEYS]; /* place of the newest of each key; 0: none yet */
	uint64_t once_count, once_ms;
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

/* Places in the order, rising. */
struct model_list {
	uint64_t seq[MODEL_KEYS];
	uint32_t count;
};

/* ---- one publication ---- */

struct model_words {
	struct publication publication; /* looks at these */
	char payload[MODEL_PAYLOAD_MAX], key[16], event[16], once[32];
};

static inline uint32_t model_payload(char out[MODEL_PAYLOAD_MAX], const struct model_said *said)
{
	char first = said->is_binary ? '\0' : '"';
	int digits = snprintf(out, MODEL_PAYLOAD_MAX, "%c%llu ", first,
	                      (unsigned long long)said->number);
	CHECK(digits > 0 && said->len < MODEL_PAYLOAD_MAX);
	for (uint32_t i = (uint32_t)digits; i + 1 < said->len; i++)
		out[i] = (char)('a' + (said->number + i) % 26);
	uint32_t total = said->len > (uint32_t)digits ? said->len : (uint32_t)digits + 1;
	out[total - 1] = first;
	return total;
}

static inline struct slice model_word(char *out, size_t size, const char *stem, uint64_t number)
{
	int len = number == 0 ? 0 : snprintf(out, size, "%s%llu", stem, (unsigned long long)number);
	CHECK(len >= 0 && (size_t)len < size);
	return slice_of(out, (size_t)len);
}

/* As it is said in that channel, and as it must be heard. */
static inline void model_write(struct model_words *words, const struct model_said *said,
                               const struct model_channel *channel)
{
	words->publication = (struct publication){
		.channel = slice_string(channel->name),
		.event = model_word(words->event, sizeof(words->event), "event ", said->event),
		.user = said->user == NULL ? slice_of(NULL, 0) : slice_string(said->user),
		.key = model_word(words->key, sizeof(words->key), "k", said->key),
		.idempotency_key =
			model_word(words->once, sizeof(words->once), "once-", said->once),
		.payload = slice_of(words->payload, model_payload(words->payload, said)),
		.is_binary = said->is_binary,
		.except = said->except,
	};
}

static inline uint64_t model_bytes(const struct model_words *words)
{
	const struct publication *p = &words->publication;
	return sizeof(struct record) + p->channel.len + p->event.len + p->user.len + p->key.len +
	       p->idempotency_key.len + p->payload.len;
}

/* The record is number `seq` of that era, as it was said. */
static inline void model_hear(const struct record *record, const struct model_channel *channel,
                              const struct model_era *era, uint64_t seq)
{
	CHECK(seq <= era->count);
	const struct model_said *said = &era->said[seq - 1];
	struct model_words words;
	model_write(&words, said, channel);
	CHECK(record->epoch == era->epoch);
	CHECK(record->seq == seq);
	CHECK(record->is_binary == said->is_binary);
	CHECK(record_bytes(record) == said->bytes);
	CHECK(slice_equals(record_channel(record), words.publication.channel));
	CHECK(slice_equals(record_event(record), words.publication.event));
	CHECK(slice_equals(record_user(record), words.publication.user));
	CHECK(slice_equals(record_key(record), words.publication.key));
	CHECK(slice_equals(record_idempotency_key(record), words.publication.idempotency_key));
	CHECK(slice_equals(record_payload(record), words.publication.payload));
}

/* ---- history, epochs ---- */

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

static uint64_t model_linger_ms; /* 0: it may have made room for another one */

/* Nobody follows, nothing is held or remembered, and it has been so for a while. */
static inline bool model_may_have_ended(const struct model_channel *channel, uint64_t now_ms)
{
	const struct model_era *era = channel->era;
	return era == NULL ||
	       (channel->followers == 0 && now_ms - channel->used_ms >= model_linger_ms &&
	        model_oldest(channel, now_ms) > era->count &&
	        (era->once_count == 0 || now_ms - era->once_ms >= MODEL_ONCE_MS));
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
	channel->era = era; /* to ask about a channel is not to use it */
}

static inline void model_say(struct model_channel *channel, const struct model_said *said)
{
	struct model_era *era = channel->era;
	if (era->count == era->capacity) {
		era->capacity = era->capacity == 0 ? 64 : era->capacity * 2;
		era->said = realloc(era->said, era->capacity * sizeof(*era->said));
		CHECK(era->said != NULL);
	}
	struct model_said *added = &era->said[era->count++];
	*added = *said;
	added->before = era->count == 1 ? 0 : added[-1].before + added[-1].bytes;
	uint64_t *latest = &era->latest[said->key];
	if (*latest != 0)
		era->said[*latest - 1].again = era->count;
	*latest = era->count;
	if (said->once != 0) {
		added->once_rank = ++era->once_count;
		era->once_ms = said->added_ms;
	}
	channel->used_ms = said->added_ms;
}

/* Bytes of what is behind `from`, up to `to`. */
static inline uint64_t model_bytes_between(const struct model_era *era, uint64_t from, uint64_t to)
{
	if (from >= to)
		return 0;
	CHECK(to <= era->count);
	return era->said[to - 1].before + era->said[to - 1].bytes - era->said[from].before;
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

/* ---- publishing again ---- */

/* The place of what was published under this key, while that is remembered; else 0. */
static inline uint64_t model_once(const struct model_channel *channel, uint64_t once,
                                  uint64_t now_ms)
{
	const struct model_era *era = channel->era;
	uint64_t seq = era->count;
	while (seq > 0 && era->said[seq - 1].once != once)
		seq--;
	if (once == 0 || seq == 0)
		return 0;
	const struct model_said *said = &era->said[seq - 1];
	bool is_remembered = now_ms - said->added_ms < MODEL_ONCE_MS &&
	                     era->once_count - said->once_rank < DUPLICATES_MAX;
	return is_remembered ? seq : 0;
}

/* ---- the latest of each key ---- */

/* Was it the newest of its key no more, when all up to `head` had been said? */
static inline bool model_is_outdated(const struct model_era *era, uint64_t seq, uint64_t head)
{
	uint64_t again = era->said[seq - 1].again;
	return again != 0 && again <= head;
}

/* It is what a new subscriber gets for its key: the newest, of not too many keys, not too old. */
static inline bool model_is_latest(const struct model_channel *channel, uint64_t seq,
                                   uint64_t now_ms)
{
	const struct model_era *era = channel->era;
	const struct model_said *said = &era->said[seq - 1];
	uint32_t newer = 0;
	for (uint32_t key = 0; key < MODEL_KEYS; key++)
		newer += era->latest[key] > seq;
	return said->again == 0 && newer < channel->rule->max_keys &&
	       now_ms - said->added_ms < channel->rule->history_ttl_ms;
}

static inline struct model_list model_latest(const struct model_channel *channel, uint64_t after,
                                             uint64_t now_ms)
{
	struct model_list list = {.count = 0};
	for (uint64_t seq = after; seq < channel->era->count; seq++) {
		if (model_is_latest(channel, seq + 1, now_ms))
			list.seq[list.count++] = seq + 1;
	}
	return list;
}

/* Has it made room for other keys, while it was the newest, or become too old? */
static inline bool model_was_lost(const struct model_channel *channel, uint64_t seq,
                                  uint64_t now_ms)
{
	const struct model_era *era = channel->era;
	const struct model_said *said = &era->said[seq - 1];
	uint64_t end = said->again == 0 ? era->count + 1 : said->again;
	uint32_t keys = 0;
	bool is_counted[MODEL_KEYS] = {false};
	for (uint64_t next = seq + 1; next < end; next++) {
		uint8_t key = era->said[next - 1].key;
		keys += !is_counted[key];
		is_counted[key] = true;
	}
	return keys >= channel->rule->max_keys ||
	       now_ms - said->added_ms >= channel->rule->history_ttl_ms;
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
