/*
 * What a channel's agent does: give publications their place, keep them, and tell the workers
 * that follow. On a single node the agent is the channel's home, and what it says is final. In a
 * cluster (far.h) the home may be another node, which is then asked (far_tail.c); and a home of
 * several copies proposes a record before it is anybody's (far_home.c).
 */
#include <stdlib.h>

#include "hub/far_state.h"

/* ---- channels that nobody needs ---- */

/* Nobody follows it, nor does it hold what its rule promises, or others count on; nor are copies to
 * be told of its end. So it is there for a while for who comes back, if there is room. */
static bool lingers(const struct hub *hub, const struct channel *channel)
{
	const struct channel_far *far = channel->far;
	if (channel_is_followed(channel) || channel_holds_any(channel))
		return false;
	if (far != NULL && (far->is_known || (far->retries != NULL && far->retries->count > 0)))
		return false;
	return presence_lingers(hub, channel);
}

static void linger_begin(struct hub *hub, struct channel *channel)
{
	list_append(&hub->lingering, &channel->lingering);
	hub->lingering_count++;
}

void agent_linger_end(struct hub *hub, struct channel *channel)
{
	if (!list_is_linked(&channel->lingering))
		return;
	list_remove(&channel->lingering);
	hub->lingering_count--;
}

static void linger_or_not(struct hub *hub, struct channel *channel)
{
	if (!lingers(hub, channel))
		agent_linger_end(hub, channel);
	else if (!list_is_linked(&channel->lingering))
		linger_begin(hub, channel);
}

/* What comes first is looked at, and goes behind the others where it has to stay. */
#define LINGERING_LOOKS_MAX 4

/* Where there are too many the one that is new takes the place of another: so those whose followers
 * were all lost at once, however many, are there for who comes back. */
void agent_make_room(struct hub *hub)
{
	int looks = LINGERING_LOOKS_MAX;
	while (hub->lingering_count >= hub->options.lingering_max && looks-- > 0) {
		struct list_node *node = list_first(&hub->lingering);
		struct channel *channel = CONTAINER_OF(node, struct channel, lingering);
		agent_linger_end(hub, channel);
		if (!lingers(hub, channel))
			continue; /* somebody needs it again */
		if (channel->far != NULL && far_is_in_doubt(hub, channel)) {
			linger_begin(hub, channel);
			continue;
		}
		if (channel->far != NULL)
			far_give_up(hub, channel);
		hub->counters.forgotten++;
		hub_close(hub, channel);
		break;
	}
}

/* ---- publish ---- */

struct channel *agent_open(struct hub *hub, struct slice name)
{
	struct channel *channel = hub_open(hub, name);
	if (channel != NULL && !order_renew(hub, channel)) {
		agent_settle(hub, channel);
		return NULL;
	}
	return channel;
}

void agent_tell_workers(struct hub *hub, const struct channel *channel, struct record *record)
{
	for (int word = 0; word < CHANNEL_WORKER_WORDS; word++) {
		for (uint64_t left = channel->workers[word]; left != 0; left &= left - 1) {
			uint32_t worker = (uint32_t)(word * 64 + __builtin_ctzll(left));
			struct hub_mail mail = {.kind = MAIL_RECORD,
			                        .from = hub->options.worker,
			                        .record = record_take(record)};
			hub->out->post(hub->out, worker, &mail);
		}
	}
}

static struct publish_result refuse(struct hub *hub, struct channel *channel, struct record *record)
{
	record_drop(record);
	if (channel != NULL)
		agent_settle(hub, channel);
	return (struct publish_result){.error = ERROR_UNAVAILABLE};
}

static bool make_duplicates(struct duplicates **made, uint32_t ttl_ms)
{
	if (*made != NULL)
		return true;
	struct duplicates *duplicates = malloc(sizeof(*duplicates));
	if (duplicates == NULL || duplicates_init(duplicates) != 0) {
		free(duplicates);
		return false;
	}
	duplicates->ttl_ms = ttl_ms;
	*made = duplicates;
	return true;
}

/* Keys that nodes made are remembered apart: they are many, and soon forgotten. */
static struct duplicates **keys_of(struct channel *channel, bool is_hidden)
{
	CHECK(!is_hidden || channel->far != NULL);
	return is_hidden ? &channel->far->retries : &channel->duplicates;
}

struct duplicates *agent_keys(struct channel *channel, bool is_hidden)
{
	struct duplicates **keys = keys_of(channel, is_hidden);
	bool is_good = make_duplicates(keys, is_hidden ? RETRIES_MS : DUPLICATES_MS);
	return is_good ? *keys : NULL;
}

bool agent_remember(struct hub *hub, struct channel *channel, const struct record *record,
                    uint64_t seq, uint64_t *earlier)
{
	struct slice key = record_once(record);
	*earlier = 0;
	if (key.len == 0)
		return true;
	struct duplicates *keys = agent_keys(channel, record->is_key_hidden);
	if (keys == NULL)
		return false;
	uint64_t hash = hash_bytes(&hub->options.hash_key, key);
	*earlier = duplicates_find(keys, key, hash, hub->now_ms);
	return *earlier != 0 || duplicates_add(keys, key, hash, seq, hub->now_ms);
}

void agent_forget(struct hub *hub, struct channel *channel, const struct record *record,
                  uint64_t seq)
{
	struct slice key = record_once(record);
	struct duplicates *keys = key.len == 0 ? NULL : *keys_of(channel, record->is_key_hidden);
	if (keys != NULL)
		duplicates_remove(keys, key, hash_bytes(&hub->options.hash_key, key), seq);
}

bool agent_commit(struct hub *hub, struct channel *channel, struct record *record)
{
	if (!hub_keep(hub, channel, record))
		return false;
	hub->counters.published++;
	agent_tell_workers(hub, channel, record);
	if (hub->far != NULL)
		home_tell_nodes(hub, channel, record);
	hub_append(hub, channel, record);
	if (channel->follower_count == 0) {
		channel->unused_since_ms = (uint32_t)hub->now_ms;
		agent_linger_end(hub, channel);
	}
	agent_settle(hub, channel);
	return true;
}

/* It was published before: that one's place is the answer, once it has it for certain. */
static struct publish_result publish_again(struct hub *hub, struct channel *channel,
                                           struct record *record, uint64_t earlier,
                                           struct waiter *waiters)
{
	bool is_duplicate = !record->is_key_hidden;
	hub->counters.duplicates += is_duplicate;
	record_drop(record);
	if (earlier >= log_next(&channel->log) && waiters != NULL)
		return home_wait(hub, channel, earlier, waiters, is_duplicate);
	return (struct publish_result){
		.epoch = channel->epoch, .seq = earlier, .is_duplicate = is_duplicate};
}

struct publish_result agent_place(struct hub *hub, struct channel *channel, struct record *record,
                                  struct waiter *waiters, struct cursor origin)
{
	struct publish_result result = {.epoch = record->epoch, .seq = record->seq};
	channel->offset += record_bytes(record);
	if (channel->far != NULL && home_proposes(channel))
		return home_propose(hub, channel, record, waiters, origin);
	if (!agent_commit(hub, channel, record)) {
		channel->offset -= record_bytes(record);
		agent_forget(hub, channel, record, result.seq);
		return refuse(hub, channel, record);
	}
	return result;
}

struct publish_result agent_publish(struct hub *hub, struct record *record, struct waiter *waiters)
{
	uint64_t earlier;
	struct channel *channel = agent_open(hub, record_channel(record));
	if (channel == NULL ||
	    !agent_remember(hub, channel, record, channel_next(channel), &earlier))
		return refuse(hub, channel, record);
	CHECK(channel->is_agent);
	if (earlier != 0)
		return publish_again(hub, channel, record, earlier, waiters);

	record_settle(record, channel->epoch, channel_next(channel), hub->unix_us / 1000,
	              channel->offset);
	record->settled_us = (uint16_t)(hub->unix_us % 1000);
	return agent_place(hub, channel, record, waiters, (struct cursor){0});
}

/* ---- an order that breaks off ---- */

static void drop_names(struct channel_name *names)
{
	while (names != NULL) {
		struct channel_name *next = names->next;
		free(names);
		names = next;
	}
}

/* One for each worker that follows. False: no memory. */
static bool make_names(const struct hub *hub, const struct channel *channel,
                       struct channel_name **names)
{
	*names = NULL;
	for (uint32_t worker = 0; worker < hub->options.workers; worker++) {
		if (!channel_is_followed_by(channel, worker))
			continue;
		struct channel_name *name = hub_name_make(hub, channel_name(channel));
		if (name == NULL) {
			drop_names(*names);
			return false;
		}
		name->next = *names;
		*names = name;
	}
	return true;
}

static void forget_keys(struct channel *channel)
{
	if (channel->duplicates != NULL)
		duplicates_clear(channel->duplicates);
	if (channel->far->retries != NULL)
		duplicates_clear(channel->far->retries);
}

bool agent_rebase(struct hub *hub, struct channel *channel, uint64_t epoch, uint64_t from)
{
	struct channel_name *names;
	bool is_other = channel->epoch != epoch;
	/* What was committed in the order that it leaves has its place there, before it is left. */
	if (is_other && far_slot(hub, channel->slot)->committed > 0)
		return false;
	if (!make_names(hub, channel, &names))
		return false;
	bool is_kept = !channel->far->is_known ||
	               (is_other ? order_leave(hub, channel) : order_skip(hub, channel, from));
	if (!is_kept) {
		drop_names(names);
		return false;
	}
	for (uint32_t worker = 0; worker < hub->options.workers; worker++) {
		if (!channel_is_followed_by(channel, worker))
			continue;
		struct hub_mail mail = {.kind = MAIL_REBASED,
		                        .from = hub->options.worker,
		                        .epoch = epoch,
		                        .seq = from,
		                        .name = names};
		names = names->next;
		hub->out->post(hub->out, worker, &mail);
	}
	hub->counters.gaps_far++;
	if (is_other) { /* the numbers they go with are of the order before */
		forget_keys(channel);
		channel->far->is_known = false;
		channel->far->begun = 0;
	}
	hub_rebase(hub, channel, epoch, from);
	return true;
}

/* ---- follow ---- */

/* Where a follower begins that asks for what comes after `since`. */
static void find_position(const struct hub *hub, const struct channel *channel,
                          const struct cursor *since, struct follow_result *result)
{
	uint64_t oldest = channel_history_first(channel, hub->now_ms);
	if (since == NULL) {
		result->from = result->head;
		return;
	}
	bool is_held = since->epoch == channel->epoch && since->seq <= result->head &&
	               since->seq + 1 >= oldest;
	result->is_recovered = since->is_start || is_held;
	result->from = !since->is_start && is_held ? since->seq : oldest - 1;
}

struct follow_result agent_follow(struct hub *hub, struct channel *channel,
                                  const struct cursor *since)
{
	CHECK(channel->is_agent);
	channel_trim(channel, hub->now_ms); /* what is too old is given to nobody */
	struct follow_result result = {.epoch = channel->epoch,
	                               .head = log_next(&channel->log) - 1};
	find_position(hub, channel, since, &result);
	CHECK(result.from <= result.head);
	return result;
}

static struct mail_answer *answer_make(const struct channel *channel, uint64_t first, uint64_t end)
{
	size_t count = (size_t)(end - first);
	struct mail_answer *answer = malloc(sizeof(*answer) + count * sizeof(answer->records[0]));
	if (answer == NULL)
		return NULL;
	*answer = (struct mail_answer){.count = count};
	for (size_t i = 0; i < count; i++)
		answer->records[i] = record_take(log_at(&channel->log, first + i));
	return answer;
}

/* The latest of each key behind `from`: what a follower begins with that does not walk along
 * the log. */
static struct mail_answer *answer_latest(struct latest *latest, uint64_t from)
{
	struct mail_answer *answer =
		malloc(sizeof(*answer) + latest->count * sizeof(answer->records[0]));
	if (answer == NULL)
		return NULL;
	*answer = (struct mail_answer){.is_latest = true, .lost = latest->lost};
	const struct latest_entry *entry = latest_from(latest, from + 1);
	for (; entry != NULL; entry = latest_after(latest, entry))
		answer->records[answer->count++] = record_take(entry->record);
	return answer;
}

struct mail_answer *agent_answer_follow(const struct channel *channel,
                                        const struct follow_result *result, bool has_since)
{
	bool wants_all = channel->rule->deliver_last && !has_since;
	if (wants_all || channel_is_throttled(channel))
		return answer_latest(&channel->keyed->latest, wants_all ? 0 : result->from);
	return answer_make(channel, result->from + 1, result->head + 1);
}

static void receive_follow(struct hub *hub, const struct hub_mail *mail, struct hub_mail *back)
{
	const struct mail_ask *ask = mail->ask;
	struct channel *channel = agent_open(hub, slice_of(ask->name, ask->name_len));
	back->kind = MAIL_FOLLOWED;
	back->error = ERROR_UNAVAILABLE;
	if (channel == NULL)
		return;

	struct follow_result result =
		agent_follow(hub, channel, ask->has_since ? &ask->since : NULL);
	if (presence_prepare(hub, channel))
		back->answer = agent_answer_follow(channel, &result, ask->has_since);
	if (back->answer != NULL) {
		back->error = ERROR_NONE;
		back->epoch = result.epoch;
		back->seq = result.head;
		back->answer->from = result.from;
		back->answer->is_recovered = result.is_recovered;
		if (mail->from != hub->options.worker)
			channel_follow(channel, mail->from);
	}
	agent_settle(hub, channel);
}

static void receive_unfollow(struct hub *hub, const struct hub_mail *mail)
{
	struct channel_name *name = mail->name;
	struct channel *channel = hub_find(hub, slice_of(name->bytes, name->len), name->hash);
	free(name);
	CHECK(channel != NULL); /* it lives as long as it is followed */
	CHECK(channel_is_followed_by(channel, mail->from));
	channel_unfollow(channel, mail->from);
	if (channel->has_presence)
		presence_unfollow(hub, channel, mail->from);
	agent_settle(hub, channel);
}

/* ---- history ---- */

/* From `first`, not more than `limit` records nor, but for the first, HISTORY_BYTES_MAX. */
static uint64_t page_forward(const struct log *log, uint64_t first, uint64_t limit)
{
	uint64_t end = first, bytes = 0;
	while (end < log_next(log) && end - first < limit) {
		bytes += record_bytes(log_at(log, end));
		if (bytes > HISTORY_BYTES_MAX && end > first)
			break;
		end++;
	}
	return end;
}

/* The same backward, from the newest record to not before `oldest`. */
static uint64_t page_backward(const struct log *log, uint64_t oldest, uint64_t limit)
{
	uint64_t first = log_next(log), bytes = 0;
	while (first > oldest && log_next(log) - first < limit) {
		bytes += record_bytes(log_at(log, first - 1));
		if (bytes > HISTORY_BYTES_MAX && first < log_next(log))
			break;
		first--;
	}
	return first;
}

struct history_result agent_history(struct hub *hub, struct slice name, const struct cursor *since,
                                    const uint64_t *wanted)
{
	struct channel *channel = agent_open(hub, name);
	if (channel == NULL)
		return (struct history_result){.error = ERROR_UNAVAILABLE};

	const struct log *log = &channel->log;
	uint64_t limit = wanted == NULL ? HISTORY_LIMIT_DEFAULT : *wanted;
	limit = limit > HISTORY_LIMIT_MAX ? HISTORY_LIMIT_MAX : limit;
	uint64_t oldest = channel_history_first(channel, hub->now_ms);
	struct history_result result = {.epoch = channel->epoch, .channel = channel};
	if (since == NULL) {
		result.end = log_next(log);
		result.first = page_backward(log, oldest, limit);
		result.has_more = result.first > oldest;
	} else {
		struct follow_result position = agent_follow(hub, channel, since);
		result.first = position.from + 1;
		result.end = page_forward(log, result.first, limit);
		result.has_more = result.end < log_next(log);
	}
	bool is_empty = result.first == result.end;
	result.cursor = is_empty ? log_next(log) - 1 : result.end - 1;
	agent_settle(hub, channel);
	return result;
}

static void receive_history(struct hub *hub, const struct hub_mail *mail, struct hub_mail *back)
{
	const struct mail_ask *ask = mail->ask;
	struct history_result result = agent_history(hub, slice_of(ask->name, ask->name_len),
	                                             ask->has_since ? &ask->since : NULL,
	                                             ask->has_limit ? &ask->limit : NULL);
	back->kind = MAIL_HISTORY_READY;
	back->error = ERROR_UNAVAILABLE;
	if (result.error != ERROR_NONE)
		return;
	back->answer = answer_make(result.channel, result.first, result.end);
	if (back->answer == NULL)
		return;
	back->error = ERROR_NONE;
	back->epoch = result.epoch;
	back->seq = result.cursor;
	back->answer->has_more = result.has_more;
}

/* ---- letters ---- */

void agent_reply(struct hub *hub, uint32_t worker, const struct hub_mail *back)
{
	if (worker == hub->options.worker)
		answer_receive(hub, back);
	else
		hub->out->post(hub->out, worker, back);
}

void agent_reply_published(struct hub *hub, uint32_t worker, struct slab_handle token,
                           const struct publish_result *result)
{
	struct hub_mail back = {.kind = MAIL_PUBLISHED,
	                        .error = (uint8_t)result->error,
	                        .is_duplicate = result->is_duplicate,
	                        .from = hub->options.worker,
	                        .token = token,
	                        .epoch = result->epoch,
	                        .seq = result->seq};
	agent_reply(hub, worker, &back);
}

/* It is answered when it has its place: here, or at a home elsewhere. */
static void publish_far(struct hub *hub, const struct hub_mail *mail)
{
	uint16_t slot = hub_slot_of(record_channel(mail->record));
	struct waiter *waiter = waiter_make(hub, false, mail->from, mail->token);
	struct publish_result result = {.error = ERROR_UNAVAILABLE};
	if (waiter == NULL) {
		record_drop(mail->record);
		agent_reply_published(hub, mail->from, mail->token, &result);
	} else if (!far_is_home(hub, slot)) {
		errand_publish(hub, slot, mail->record, waiter);
	} else {
		result = agent_publish(hub, mail->record, waiter);
		if (result.is_pending)
			return;
		waiters_drop(hub, waiter);
		agent_reply_published(hub, mail->from, mail->token, &result);
	}
}

static void receive_publish(struct hub *hub, const struct hub_mail *mail)
{
	if (hub->far != NULL) {
		publish_far(hub, mail);
		return;
	}
	struct publish_result result = agent_publish(hub, mail->record, NULL);
	agent_reply_published(hub, mail->from, mail->token, &result);
}

/* Where its home is elsewhere, that one is asked; where it is behind, this one is later. */
static bool ask_far(struct hub *hub, const struct hub_mail *mail)
{
	uint16_t slot = hub_slot_of(slice_of(mail->ask->name, mail->ask->name_len));
	if (far_is_home_at_hand(hub, slot))
		return false;
	errand_begin(hub, slot, mail);
	return true;
}

/* MAIL_FOLLOW, MAIL_HISTORY */
static void receive_ask(struct hub *hub, const struct hub_mail *mail)
{
	struct hub_mail back = {.from = hub->options.worker, .token = mail->token};
	if (hub->far != NULL && ask_far(hub, mail))
		return;
	if (mail->kind == MAIL_FOLLOW)
		receive_follow(hub, mail, &back);
	else
		receive_history(hub, mail, &back);
	free(mail->ask);
	agent_reply(hub, mail->from, &back);
}

void agent_receive(struct hub *hub, const struct hub_mail *mail)
{
	switch ((enum mail_kind)mail->kind) {
	case MAIL_PUBLISH:
		receive_publish(hub, mail);
		break;
	case MAIL_FOLLOW:
	case MAIL_HISTORY:
		receive_ask(hub, mail);
		break;
	default:
		CHECK(mail->kind == MAIL_UNFOLLOW);
		receive_unfollow(hub, mail);
		break;
	}
}

/* ---- how long a channel lives ---- */

static uint32_t unused_ms(const struct hub *hub, const struct channel *channel)
{
	return (uint32_t)hub->now_ms - channel->unused_since_ms;
}

void agent_settle(struct hub *hub, struct channel *channel)
{
	bool is_followed = channel_is_followed(channel);
	if (is_followed || channel->was_followed)
		channel->unused_since_ms = (uint32_t)hub->now_ms;
	channel->was_followed = is_followed;
	linger_or_not(hub, channel);
	uint64_t delay = channel_keeps_ms(channel, hub->now_ms);
	bool is_kept = (channel->far != NULL && far_keeps(hub, channel)) ||
	               (channel->has_presence && presence_is_held(hub, channel));
	if (delay == UINT64_MAX && (is_followed || is_kept))
		return;
	uint32_t unused = unused_ms(hub, channel);
	uint64_t linger = unused < CHANNEL_LINGER_MS ? CHANNEL_LINGER_MS - unused : 0;
	bool is_leaving = !is_followed && channel->far != NULL && channel->far->is_interested;
	if (delay == UINT64_MAX || (is_leaving && linger < delay))
		delay = linger; /* nothing but its end is to come, or the home's letters are to end
		                 */
	hub_look_again(hub, channel, delay);
}

void agent_timer(struct hub *hub, struct channel *channel)
{
	channel_trim(channel, hub->now_ms);
	bool is_used = channel_is_followed(channel) || unused_ms(hub, channel) < CHANNEL_LINGER_MS;
	if (!is_used && channel->far != NULL)
		far_give_up(hub, channel);
	if (is_used || channel_holds_any(channel) ||
	    (channel->has_presence && presence_is_held(hub, channel)) ||
	    (channel->far != NULL && !far_may_end(hub, channel)))
		agent_settle(hub, channel);
	else
		hub_close(hub, channel);
}
