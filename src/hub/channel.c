#include "hub/channel.h"

#include <stdlib.h>

void channel_init(struct channel *channel, struct channel_name *name, const struct rule *rule)
{
	channel->name = name;
	channel->rule = rule;
	log_init(&channel->log, 1);
	list_init(&channel->live);
	list_init(&channel->stuck);
}

void channel_free(struct channel *channel)
{
	CHECK(channel->follower_count == 0);
	CHECK(channel->request_count == 0);
	CHECK(!timer_is_armed(&channel->timer));
	CHECK(!list_is_linked(&channel->dirty));
	CHECK(!list_is_linked(&channel->lingering));
	if (channel->keyed != NULL) {
		CHECK(!timer_is_armed(&channel->keyed->timer));
		latest_free(&channel->keyed->latest);
	}
	if (channel->far != NULL) {
		duplicates_destroy(channel->far->retries);
		pasts_free(&channel->far->pasts);
	}
	duplicates_destroy(channel->duplicates);
	free(channel->keyed);
	free(channel->far);
	log_free(&channel->log);
	free(channel->name); /* NULL when a letter took it along */
	channel->name = NULL;
}

struct slice channel_name(const struct channel *channel)
{
	return slice_of(channel->name->bytes, channel->name->len);
}

bool channel_has_name(const struct channel *channel, struct slice name)
{
	return slice_equals(channel_name(channel), name);
}

bool channel_needs_keyed(const struct channel *channel)
{
	const struct rule *rule = channel->rule;
	return rule->deliver_last || rule->throttle_ms > 0 ||
	       rule->overflow == RULE_OVERFLOW_CONFLATE;
}

bool channel_make_keyed(struct channel *channel, uint64_t now_ms)
{
	if (channel->keyed != NULL)
		return true;
	struct channel_keyed *keyed = calloc(1, sizeof(*keyed));
	if (keyed == NULL)
		return false;
	if (latest_init(&keyed->latest, channel->rule->max_keys) != 0) {
		free(keyed);
		return false;
	}
	keyed->channel = channel;
	/* The first walk need not wait. */
	keyed->walked_ms = now_ms - channel->rule->throttle_ms;
	channel->keyed = keyed;
	return true;
}

static bool any_along_keys(const struct list *followers)
{
	struct list_node *node = list_first(followers);
	for (; node != NULL; node = list_after(followers, node)) {
		const struct follower *follower = CONTAINER_OF(node, struct follower, in_channel);
		if (follower->is_conflating || follower->is_in_prelude)
			return true;
	}
	return false;
}

void channel_settle_keyed(struct channel *channel)
{
	if (channel->keyed == NULL || channel_needs_keyed(channel) ||
	    any_along_keys(&channel->stuck) || any_along_keys(&channel->live))
		return;
	CHECK(!timer_is_armed(&channel->keyed->timer));
	latest_free(&channel->keyed->latest);
	free(channel->keyed);
	channel->keyed = NULL;
}

static uint64_t first_by_size(const struct channel *channel)
{
	uint64_t size = channel->rule->history_size;
	return log_next(&channel->log) > size ? log_next(&channel->log) - size : 1;
}

uint64_t channel_history_first(const struct channel *channel, uint64_t now_ms)
{
	const struct log *log = &channel->log;
	uint64_t by_size = first_by_size(channel);
	uint64_t by_age = log_first_within(log, now_ms, channel->rule->history_ttl_ms);
	return by_size > by_age ? by_size : by_age;
}

void channel_trim(struct channel *channel, uint64_t now_ms)
{
	struct log *log = &channel->log;
	if (channel_keeps_history(channel))
		log_trim(log, first_by_size(channel), now_ms, channel->rule->history_ttl_ms);
	else
		log_trim(log, log_next(log), now_ms, 0);
	if (channel->keyed != NULL)
		latest_expire(&channel->keyed->latest, now_ms, channel->rule->history_ttl_ms);
	if (channel->duplicates != NULL)
		duplicates_expire(channel->duplicates, now_ms);
	if (channel->far != NULL && channel->far->retries != NULL)
		duplicates_expire(channel->far->retries, now_ms);
	if (channel->far != NULL)
		pasts_expire(&channel->far->pasts, now_ms, channel->rule->history_ttl_ms);
}

void channel_join(struct channel *channel, struct follower *follower, uint64_t next)
{
	CHECK(follower->state == FOLLOWER_PENDING);
	CHECK(channel->is_tuned);
	follower->next = next;
	if (follower_stands(follower))
		log_stand(&channel->log, next);
	follower->state = FOLLOWER_LIVE;
	list_append(&channel->live, &follower->in_channel);
}

/* Takes it out of its list; a walk that stands before it goes on behind it. */
static void channel_unlink(struct channel *channel, struct follower *follower)
{
	if (channel->walk == &follower->in_channel)
		channel->walk = list_after(&channel->live, &follower->in_channel);
	list_remove(&follower->in_channel);
}

void channel_leave(struct channel *channel, struct follower *follower)
{
	if (follower->state == FOLLOWER_PENDING)
		return;
	channel_unlink(channel, follower);
	channel_lift(channel, follower);
	follower->state = FOLLOWER_PENDING;
}

void channel_move(struct channel *channel, struct follower *follower, uint64_t next)
{
	CHECK(next >= follower->next); /* a cursor never goes back */
	if (follower_stands(follower)) {
		log_leave(&channel->log, follower->next);
		log_stand(&channel->log, next);
	}
	follower->next = next;
}

void channel_lift(struct channel *channel, struct follower *follower)
{
	if (follower_stands(follower))
		log_leave(&channel->log, follower->next);
	follower->is_lifted = true;
}

void channel_put_down(struct channel *channel, struct follower *follower, uint64_t next)
{
	CHECK(!follower_stands(follower));
	CHECK(next >= follower->next);
	follower->is_lifted = follower->is_conflating = follower->is_dropping = false;
	follower->next = next;
	/* What came before has not all been sent. */
	follower->replay_end = next - 1;
	follower->replay_count = 0;
	log_stand(&channel->log, next);
}

void channel_set_state(struct channel *channel, struct follower *follower,
                       enum follower_state state)
{
	CHECK(follower->state != FOLLOWER_PENDING);
	CHECK(state != FOLLOWER_PENDING);
	if (follower->state == state)
		return;
	channel_unlink(channel, follower);
	follower->state = state & 3;
	list_append(state == FOLLOWER_LIVE ? &channel->live : &channel->stuck,
	            &follower->in_channel);
}

uint64_t channel_bytes_from(const struct channel *channel, uint64_t seq)
{
	const struct log *log = &channel->log;
	if (seq >= log_next(log))
		return 0;
	const struct record *newest = log_at(log, log_next(log) - 1);
	return newest->offset + record_bytes(newest) - log_at(log, seq)->offset;
}

uint64_t channel_lag(const struct channel *channel, const struct follower *follower)
{
	if (!follower_stands(follower))
		return 0; /* nothing is kept for it */
	uint64_t from =
		follower->next > follower->replay_end ? follower->next : follower->replay_end + 1;
	return channel_bytes_from(channel, from);
}

bool channel_is_followed_by(const struct channel *channel, uint32_t worker)
{
	return (channel->workers[worker / 64] >> worker % 64 & 1) != 0;
}

void channel_follow(struct channel *channel, uint32_t worker)
{
	channel->workers[worker / 64] |= 1ull << worker % 64;
}

void channel_unfollow(struct channel *channel, uint32_t worker)
{
	channel->workers[worker / 64] &= ~(1ull << worker % 64);
}

bool channel_is_followed_here(const struct channel *channel)
{
	return channel_any(channel->workers, CHANNEL_WORKER_WORDS) || channel->follower_count > 0 ||
	       channel->request_count > 0;
}

static bool is_followed_far(const struct channel_far *far)
{
	return far->proposals > 0 || far->errands > 0 ||
	       channel_any(far->nodes, CHANNEL_NODE_WORDS);
}

bool channel_is_followed(const struct channel *channel)
{
	return channel_is_followed_here(channel) ||
	       (channel->far != NULL && is_followed_far(channel->far));
}

bool channel_shows_any(const struct channel *channel)
{
	return channel->log.count > 0 ||
	       (channel->keyed != NULL && channel->keyed->latest.count > 0) ||
	       (channel->duplicates != NULL && channel->duplicates->count > 0) ||
	       (channel->far != NULL && pasts_hold_any(&channel->far->pasts));
}

bool channel_holds_any(const struct channel *channel)
{
	return channel_shows_any(channel) ||
	       (channel->far != NULL && channel->far->pasts.count > 0);
}

static uint64_t time_left(uint64_t ttl_ms, uint64_t age_ms, uint64_t left_ms)
{
	uint64_t left = age_ms < ttl_ms ? ttl_ms - age_ms : 0;
	return left < left_ms ? left : left_ms;
}

uint64_t channel_keeps_ms(const struct channel *channel, uint64_t now_ms)
{
	const struct channel_keyed *keyed = channel->keyed;
	uint64_t ttl = channel->rule->history_ttl_ms, left = UINT64_MAX;
	if (channel_keeps_history(channel) && channel->log.count > 0)
		left = time_left(ttl, log_age_ms(&channel->log, now_ms), left);
	if (keyed != NULL && keyed->latest.count > 0)
		left = time_left(ttl, latest_age_ms(&keyed->latest, now_ms), left);
	const struct duplicates *duplicates = channel->duplicates;
	if (duplicates != NULL && duplicates->count > 0)
		left = time_left(DUPLICATES_MS, duplicates_age_ms(duplicates, now_ms), left);
	uint64_t pasts_ms = channel->far == NULL ? UINT64_MAX
	                                         : pasts_left_ms(&channel->far->pasts, now_ms, ttl);
	return pasts_ms < left ? pasts_ms : left;
}
