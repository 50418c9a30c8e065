/*
 * Moving the cursors of followers: the one delivery path.
 *
 * Most followers walk along the log, record by record, and the log keeps what they still want.
 * Where a rule asks for the latest value only (throttle, conflate), or before a follower's
 * log begins (deliver_last), they walk along the channel's keys instead (hub/latest.h): the same
 * rising numbers, with holes where a key has changed since. Such a follower is lifted: it stands
 * nowhere in the log, and nothing is kept for it.
 */
#include "hub/hub_state.h"

/* Lagging followers looked at for each record, and for so many bytes of it one more: a slow one is
 * found at the latest when as many records came as others lag, divided by this, or a KiB for each.
 */
#define STUCK_LOOKS_PER_RECORD 8
#define STUCK_BYTES_PER_LOOK 1024
/* The clock is read once for each burst, and again after so many deliveries of it: these count with
 * the time of the last of them. It is a three hundredth of what they take. */
#define DELIVERIES_PER_CLOCK 64

/* ---- what a follower is to get next ---- */

static uint64_t position_of(const struct follower *follower)
{
	return follower->is_in_prelude ? follower->prelude : follower->next;
}

/* It gets records up to this one for now. */
static uint64_t limit_of(const struct follower *follower)
{
	const struct channel *channel = follower->channel;
	if (follower->is_in_prelude)
		return follower->next - 1;
	if (channel_is_throttled(channel))
		return follower->limit;
	return log_next(&channel->log) - 1;
}

static bool has_more(const struct follower *follower)
{
	return position_of(follower) <= limit_of(follower);
}

/* ---- what one delivery holds ---- */

/* False: enough. A record that is not for its session is left out. */
static bool gather(const struct hub *hub, const struct follower *follower, struct record *record,
                   struct burst *burst)
{
	if (burst->count == WALK_RECORDS_MAX || burst->bytes >= WALK_BYTES_MAX)
		return false;
	burst->next = record->seq + 1;
	burst->is_for_all &= record->except == 0;
	if (record->except != 0 && record->except == hub_session_number(hub, follower->session))
		return true;
	burst->bytes += record_bytes(record);
	burst->records[burst->count++] = record;
	return true;
}

static void gather_log(const struct hub *hub, const struct follower *follower, struct burst *burst)
{
	const struct log *log = &follower->channel->log;
	uint64_t seq = follower->next;
	while (seq < log_next(log) && gather(hub, follower, log_at(log, seq), burst))
		seq++;
}

static void gather_latest(const struct hub *hub, const struct follower *follower,
                          struct burst *burst)
{
	struct latest *latest = &follower->channel->keyed->latest;
	uint64_t limit = limit_of(follower);
	const struct latest_entry *entry = latest_from(latest, position_of(follower));
	while (entry != NULL && entry->record->seq <= limit) {
		if (!gather(hub, follower, entry->record, burst))
			return;
		entry = latest_after(latest, entry);
	}
	burst->next = limit + 1;
}

static bool walks_along_keys(const struct follower *follower)
{
	return follower->is_in_prelude || follower->is_conflating;
}

static bool is_same_for(const struct burst *burst, const struct follower *follower)
{
	return burst->is_for_all && burst->channel == follower->channel &&
	       burst->from == position_of(follower) && burst->limit == limit_of(follower) &&
	       burst->is_of_keys == walks_along_keys(follower);
}

/* What was delivered of the present burst has taken until now. */
static void measure(struct hub *hub)
{
	if (hub->unmeasured == 0)
		return;
	uint64_t now_us = hub->out->now_us(hub->out), settled_us = hub->burst.settled_us;
	latency_note(&hub->counters.delivery, now_us > settled_us ? now_us - settled_us : 0,
	             hub->unmeasured);
	hub->unmeasured = 0;
}

static void note_delivered(struct hub *hub, uint64_t count)
{
	if (hub->out->now_us == NULL)
		return;
	hub->unmeasured += count;
	if (hub->unmeasured >= DELIVERIES_PER_CLOCK)
		measure(hub);
}

/* What the follower is to be sent next. Most followers of a channel stand where the one before
 * stood: what it got is theirs too, and is not put together again. */
static const struct burst *burst_for(struct hub *hub, const struct follower *follower)
{
	struct burst *burst = &hub->burst;
	if (is_same_for(burst, follower))
		return burst;
	measure(hub);
	burst->number++;
	burst->is_for_all = true;
	burst->is_of_keys = walks_along_keys(follower);
	burst->channel = follower->channel;
	burst->from = burst->next = position_of(follower);
	burst->limit = limit_of(follower);
	burst->count = 0;
	burst->bytes = 0;
	if (burst->is_of_keys)
		gather_latest(hub, follower, burst);
	else
		gather_log(hub, follower, burst);
	if (burst->count > 0)
		burst->settled_us =
			burst->records[0]->unix_ms * 1000 + burst->records[0]->settled_us;
	return burst;
}

/* The channel may change from here on: what was gathered is nobody's any more. */
static void burst_forget(struct hub *hub)
{
	measure(hub);
	hub->burst.is_for_all = false;
}

/* ---- moving on ---- */

static void say_gap(struct hub *hub, const struct follower *follower, uint64_t seq)
{
	struct hub_event event = {.type = EVENT_GAP,
	                          .channel = channel_name(follower->channel),
	                          .epoch = follower->channel->epoch,
	                          .seq = seq};
	hub->out->event(hub->out, follower->session, &event);
}

static void advance(struct follower *follower, uint64_t next)
{
	struct channel *channel = follower->channel;
	if (follower->is_in_prelude) {
		follower->prelude = next;
		if (next < follower->next)
			return;
		follower->is_in_prelude = false;
		follower->replay_end = follower->next - 1;
		follower->replay_count = 0;
		return;
	}
	channel_move(channel, follower, next);
	/* One that conflates because it was slow has caught up: every record again. */
	if (follower->is_conflating && !channel_is_throttled(channel) &&
	    next == log_next(&channel->log))
		channel_put_down(channel, follower, next);
}

/* There is room again for one that left out what came meanwhile. */
static void resume_dropping(struct hub *hub, struct follower *follower)
{
	struct channel *channel = follower->channel;
	hub->counters.left_out_dropped += log_next(&channel->log) - follower->next;
	channel_put_down(channel, follower, log_next(&channel->log));
	say_gap(hub, follower, follower->next - 1);
}

/* A throttled follower may have records up to this one for now. */
static void allow(struct follower *follower, uint64_t limit)
{
	if (limit <= follower->limit)
		return;
	uint64_t count = follower->replay_count + (limit - follower->limit);
	follower->replay_count =
		count < FOLLOWER_REPLAY_MAX ? count & FOLLOWER_REPLAY_MAX : FOLLOWER_REPLAY_MAX;
	follower->limit = limit;
}

/* A key it had not got made room for others: that is told. */
static void tell_lost(struct hub *hub, struct follower *follower)
{
	uint64_t lost = follower->channel->keyed->latest.lost;
	if (follower->is_in_prelude || lost < follower->next)
		return;
	say_gap(hub, follower, lost);
	if (channel_is_throttled(follower->channel)) {
		allow(follower, lost);
		/* What came before has not all been sent. */
		if (follower->replay_count > follower->limit - lost)
			follower->replay_count = (follower->limit - lost) & FOLLOWER_REPLAY_MAX;
	}
	advance(follower, lost + 1);
}

/* Does it walk otherwise than its channel's rule, which was another, says by now? */
static bool is_astray(const struct follower *follower)
{
	const struct channel *channel = follower->channel;
	if (channel_is_throttled(channel))
		return follower_stands(follower) && !follower->is_in_prelude;
	return follower->is_conflating && follower->next == log_next(&channel->log);
}

/* The keys were there before the rule was, and hold whatever it has still to be sent. */
static void set_right(struct follower *follower)
{
	struct channel *channel = follower->channel;
	if (channel_is_throttled(channel)) {
		channel_lift(channel, follower);
		follower->is_conflating = true;
	} else {
		channel_put_down(channel, follower, follower->next);
	}
}

/* It went on to `next` with so many messages: what lay between has a newer one of its key. */
static void count_left_out(struct hub *hub, const struct follower *follower, uint64_t next,
                           uint64_t taken)
{
	if (!follower->is_conflating || follower->is_in_prelude)
		return;
	CHECK(next - follower->next >= taken);
	uint64_t left_out = next - follower->next - taken;
	if (channel_is_throttled(follower->channel))
		hub->counters.left_out_throttled += left_out;
	else
		hub->counters.left_out_conflated += left_out;
}

/* Sends what the follower lags, in so many bursts at most. False: it has not got all there is. */
static bool follower_walk(struct hub *hub, struct follower *follower, uint32_t bursts_max)
{
	struct session *session = follower->session;
	if (follower->is_dropping && session_takes(session))
		resume_dropping(hub, follower);
	if (is_astray(follower))
		set_right(follower);
	if (follower->is_conflating && has_more(follower) && session_takes(session))
		tell_lost(hub, follower);
	for (; has_more(follower); bursts_max--) {
		if (!session_takes(session) || bursts_max == 0)
			return false;
		const struct burst *burst = burst_for(hub, follower);
		struct delivery delivery = {follower->channel, follower, burst->records,
		                            burst->count, burst->is_for_all ? burst->number : 0};
		size_t taken =
			burst->count == 0 ? 0 : hub->out->deliver(hub->out, session, &delivery);
		CHECK(taken <= burst->count);
		CHECK(taken == burst->count || !session_takes(session));
		hub->counters.delivered += taken;
		uint64_t next = taken == burst->count ? burst->next : burst->records[taken]->seq;
		count_left_out(hub, follower, next, taken);
		advance(follower, next);
	}
	return !follower->is_dropping;
}

static void settle_state(struct hub *hub, struct follower *follower, bool has_all)
{
	hub->counters.stuck -= follower->state == FOLLOWER_STUCK;
	hub->counters.stuck += !has_all;
	channel_set_state(follower->channel, follower, has_all ? FOLLOWER_LIVE : FOLLOWER_STUCK);
}

static void feed(struct hub *hub, struct follower *follower)
{
	bool has_all = follower_walk(hub, follower, UINT32_MAX);
	settle_state(hub, follower, has_all);
}

/* ---- those that lag though they take all they get: who publishes waits for them ---- */

/*
 * A walk goes round: once for the records that made the channel dirty, and again for as long as
 * more come, or a follower lags by more than a burst. What the followers that a round has passed
 * lack at most is what they all lack at most when it ends.
 */

static void backlog_set(struct hub *hub, struct channel *channel, uint32_t count)
{
	const struct log *log = &channel->log;
	channel->backlog = count < log->count ? count : log->count; /* the others are gone */
	uint64_t bytes = channel_bytes_from(channel, log_next(log) - channel->backlog);
	bool is_behind = bytes > hub->options.outbound_bytes_max;
	bool is_far_behind = bytes / 2 > hub->options.outbound_bytes_max;
	hub->behind_count += (uint32_t)is_behind - channel->is_behind;
	hub->far_behind_count += (uint32_t)is_far_behind - channel->is_far_behind;
	channel->is_behind = is_behind;
	channel->is_far_behind = is_far_behind;
}

/* A record more, which nobody has been sent. */
static void backlog_grow(struct hub *hub, struct channel *channel)
{
	uint32_t passed = channel->backlog_passed + 1;
	backlog_set(hub, channel, channel->backlog + 1);
	channel->backlog_passed = passed < channel->backlog ? passed : channel->backlog;
}

/* The walk has passed this follower, and comes again. */
static void backlog_pass(struct channel *channel, const struct follower *follower)
{
	uint64_t lacks = log_next(&channel->log) - follower->next;
	if (follower_stands(follower) && lacks > channel->backlog_passed)
		channel->backlog_passed = (uint32_t)lacks;
}

static void backlog_end_round(struct hub *hub, struct channel *channel)
{
	backlog_set(hub, channel, channel->walk_again ? channel->backlog_passed : 0);
	channel->backlog_passed = 0;
}

enum hub_pace hub_pace(const struct hub *hub)
{
	if (hub->far_behind_count > 0)
		return HUB_IS_FAR_BEHIND;
	return hub->behind_count > 0 ? HUB_IS_BEHIND : HUB_KEEPS_UP;
}

/* One burst, and then it is the next follower's turn: where many lag, because records come faster
 * than they can be sent to all, each gets its part, and what the kernel holds for one of them
 * does not grow with the lag of all. */
static void visit(struct hub *hub, struct follower *follower)
{
	uint64_t delivered = hub->counters.delivered;
	bool has_all = follower_walk(hub, follower, 1);
	note_delivered(hub, hub->counters.delivered - delivered);
	if (!has_all && has_more(follower) && session_takes(follower->session)) {
		follower->channel->walk_again = true;
		backlog_pass(follower->channel, follower);
	} else {
		settle_state(hub, follower, has_all);
	}
}

/* ---- those that lag: the channel's overflow rule ---- */

static uint64_t session_lag(const struct session *session)
{
	uint64_t lag = 0;
	const struct follower *follower = session->first;
	for (; follower != NULL; follower = follower->next_of_session) {
		if (follower->state == FOLLOWER_STUCK)
			lag += channel_lag(follower->channel, follower);
	}
	return lag;
}

static void overflow(struct hub *hub, struct follower *follower)
{
	struct channel *channel = follower->channel;
	switch (channel->rule->overflow) {
	case RULE_OVERFLOW_DISCONNECT:
		hub->counters.slow_disconnected++;
		hub->out->end(hub->out, follower->session, HUB_END_SLOW);
		break;
	case RULE_OVERFLOW_DROP:
		hub->counters.slow_dropped++;
		channel_lift(channel, follower);
		follower->is_dropping = true;
		follower->is_in_prelude = false;
		break;
	case RULE_OVERFLOW_CONFLATE:
		hub->counters.slow_conflated++;
		channel_lift(channel, follower);
		follower->is_conflating = true;
		/* What is left of a prelude are keys too: the walk begins there. */
		if (follower->is_in_prelude)
			follower->next = follower->prelude;
		follower->is_in_prelude = false;
		break;
	}
}

/* Some of those that lag are looked at in turn. */
static void look_at_stuck(struct hub *hub, struct channel *channel, const struct record *record)
{
	uint64_t looks = STUCK_LOOKS_PER_RECORD + record_bytes(record) / STUCK_BYTES_PER_LOOK;
	for (; looks > 0 && !list_is_empty(&channel->stuck); looks--) {
		struct list_node *node = list_first(&channel->stuck);
		struct follower *follower = CONTAINER_OF(node, struct follower, in_channel);
		list_remove(node);
		list_append(&channel->stuck, node);
		if (!follower->session->is_ended && follower_stands(follower) &&
		    session_lag(follower->session) > hub->options.outbound_bytes_max)
			overflow(hub, follower);
	}
}

/* ---- channels: a walk for each burst of records ---- */

static void make_dirty(struct hub *hub, struct channel *channel)
{
	if (channel->walk != NULL)
		channel->walk_again = true;
	else
		channel->walk = list_first(&channel->live);
	if (!list_is_linked(&channel->dirty))
		list_append(&hub->dirty, &channel->dirty);
}

/* ---- throttle ---- */

/*
 * All followers of a throttled channel are walked together, and not again before its time has
 * passed since that walk ended. Each may have what was there when the walk began (`limit`). That
 * holds no key twice, so one that takes the rest of it later still gets one message per key.
 *
 * Who is sent something beside the walks, because it joins or has room again, is fresh: the next
 * walk may begin at once, so it sits that one out, and the end of the walk sees to another.
 */

void hub_walk_now(struct hub *hub, struct channel *channel)
{
	channel->keyed->walked_to = log_next(&channel->log) - 1;
	channel->keyed->is_left = false;
	make_dirty(hub, channel);
}

/* Somebody has not got all there is: a walk begins now, or when its time has come. */
static void throttled_schedule(struct hub *hub, struct channel *channel)
{
	struct channel_keyed *keyed = channel->keyed;
	uint64_t throttle = channel->rule->throttle_ms;
	uint64_t since = hub->now_ms - keyed->walked_ms;
	if (list_is_linked(&channel->dirty))
		keyed->is_left = true; /* the walk under way may have passed it */
	else if (timer_is_armed(&keyed->timer))
		return;
	else if (since < throttle) {
		timer_arm(hub->options.wheel, &keyed->timer, hub->now_ms, throttle - since);
		hub->counters.throttled++;
	} else {
		hub_walk_now(hub, channel);
	}
}

void walk_timer(struct hub *hub, struct channel_keyed *keyed)
{
	hub_walk_now(hub, keyed->channel);
}

static bool throttled_puts_off(const struct hub *hub, const struct follower *follower)
{
	const struct channel *channel = follower->channel;
	return follower->is_fresh &&
	       hub->now_ms - channel->keyed->fed_ms < channel->rule->throttle_ms;
}

static void throttled_feed_fresh(struct hub *hub, struct follower *follower)
{
	if (has_more(follower) && session_takes(follower->session)) {
		follower->is_fresh = true;
		follower->channel->keyed->fed_ms = hub->now_ms;
	}
	feed(hub, follower);
}

/* Beside a walk: first what is left of that it may have already. */
static void throttled_feed(struct hub *hub, struct follower *follower)
{
	struct channel *channel = follower->channel;
	struct channel_keyed *keyed = channel->keyed;
	bool is_put_off = throttled_puts_off(hub, follower);
	throttled_feed_fresh(hub, follower);
	/* Where nobody waits for a walk, this is as good as one. */
	if (!list_is_linked(&channel->dirty) && !timer_is_armed(&keyed->timer) &&
	    hub->now_ms - keyed->walked_ms >= channel->rule->throttle_ms)
		keyed->walked_to = log_next(&channel->log) - 1;
	if (!is_put_off && !follower->is_in_prelude) {
		allow(follower, keyed->walked_to);
		throttled_feed_fresh(hub, follower);
	}
	if (follower->next < log_next(&channel->log))
		throttled_schedule(hub, channel);
}

static void throttled_visit(struct hub *hub, struct follower *follower)
{
	struct channel_keyed *keyed = follower->channel->keyed;
	bool is_put_off = throttled_puts_off(hub, follower);
	follower->is_fresh = false;
	if (is_put_off) {
		keyed->is_left |= follower->next <= keyed->walked_to;
		return;
	}
	allow(follower, keyed->walked_to);
	if (is_astray(follower) || has_more(follower))
		feed(hub, follower);
}

static void throttled_walk_over(struct hub *hub, struct channel *channel)
{
	struct channel_keyed *keyed = channel->keyed;
	keyed->walked_ms = hub->now_ms;
	if (keyed->is_left || keyed->walked_to + 1 < log_next(&channel->log))
		throttled_schedule(hub, channel);
}

/* ---- every channel ---- */

void hub_feed(struct hub *hub, struct follower *follower)
{
	burst_forget(hub);
	if (channel_is_throttled(follower->channel))
		throttled_feed(hub, follower);
	else
		feed(hub, follower);
	burst_forget(hub);
}

/* ---- an order that breaks off ---- */

/* It begins anew behind `from`: what it had still to be sent of the order before is gone. */
static void restart(struct channel *channel, struct follower *follower, uint64_t from)
{
	bool is_throttled = channel_is_throttled(channel);
	follower->is_lifted = follower->is_conflating = is_throttled;
	follower->is_dropping = follower->is_in_prelude = false;
	follower->next = from + 1;
	follower->replay_count = 0;
	follower->replay_end = from; /* throttled: that is its limit */
	if (!is_throttled)
		log_stand(&channel->log, follower->next);
}

static void lift_all(struct channel *channel, const struct list *followers)
{
	struct list_node *node = list_first(followers);
	for (; node != NULL; node = list_after(followers, node))
		channel_lift(channel, CONTAINER_OF(node, struct follower, in_channel));
}

static void restart_all(struct hub *hub, struct channel *channel, const struct list *followers,
                        uint64_t from)
{
	struct list_node *node = list_first(followers);
	for (; node != NULL; node = list_after(followers, node)) {
		struct follower *follower = CONTAINER_OF(node, struct follower, in_channel);
		restart(channel, follower, from);
		if (!follower->session->is_ended)
			say_gap(hub, follower, from);
	}
}

void hub_rebase(struct hub *hub, struct channel *channel, uint64_t epoch, uint64_t from)
{
	CHECK(epoch != 0);
	burst_forget(hub);
	lift_all(channel, &channel->live);
	lift_all(channel, &channel->stuck);
	log_restart(&channel->log, from + 1);
	channel->epoch = epoch;
	backlog_set(hub, channel, 0);
	channel->backlog_passed = 0;
	if (channel->keyed != NULL) {
		latest_clear(&channel->keyed->latest, from);
		channel->keyed->walked_to = from;
	}
	restart_all(hub, channel, &channel->live, from);
	restart_all(hub, channel, &channel->stuck, from);
}

bool hub_keep(struct hub *hub, struct channel *channel, struct record *record)
{
	return (channel->keyed == NULL || latest_reserve(&channel->keyed->latest)) &&
	       log_append(&channel->log, record, hub->now_ms);
}

void hub_append(struct hub *hub, struct channel *channel, struct record *record)
{
	if (channel->keyed != NULL) {
		uint64_t hash = hash_bytes(&hub->options.hash_key, record_key(record));
		latest_put(&channel->keyed->latest, record, hash, hub->now_ms);
	}
	if (channel->follower_count == 0) {
		hub_settle(hub, channel); /* else that is done behind the walk */
		return;
	}
	look_at_stuck(hub, channel, record);
	if (channel_is_throttled(channel)) {
		channel_trim(channel, hub->now_ms); /* nobody stands in its log */
		throttled_schedule(hub, channel);
	} else {
		backlog_grow(hub, channel);
		make_dirty(hub, channel);
	}
}

/* Visits followers from where the walk stands; true when it is over. */
static bool channel_walk(struct hub *hub, struct channel *channel, uint32_t *budget)
{
	for (;;) {
		if (channel->walk == NULL) {
			backlog_end_round(hub, channel);
			if (!channel->walk_again)
				return true;
			channel->walk_again = false;
			channel->walk = list_first(&channel->live);
			continue;
		}
		if (*budget == 0)
			return false;
		struct follower *follower =
			CONTAINER_OF(channel->walk, struct follower, in_channel);
		channel->walk = list_after(&channel->live, channel->walk);
		--*budget;
		if (channel_is_throttled(channel))
			throttled_visit(hub, follower);
		else if (is_astray(follower) || has_more(follower))
			visit(hub, follower);
	}
}

/* The channel's share of the walk. What is left of it is carried over. */
static void walk_share(struct hub *hub, struct channel *channel, uint32_t *budget)
{
	uint32_t share = *budget < WALK_FOLLOWERS_MAX ? *budget : WALK_FOLLOWERS_MAX;
	uint32_t left = share;
	list_remove(&channel->dirty);
	burst_forget(hub);
	bool is_over = channel_walk(hub, channel, &left);
	burst_forget(hub);
	*budget -= share - left;
	if (!is_over) {
		list_append(&hub->carried, &channel->dirty);
		return;
	}
	if (channel_is_throttled(channel))
		throttled_walk_over(hub, channel);
	channel_settle_keyed(channel);
	hub_settle(hub, channel);
}

/* A share for each channel of the list, up to `last`. */
static void walk_to(struct hub *hub, struct list *list, const struct list_node *last,
                    uint32_t *budget)
{
	while (last != NULL && *budget > 0) {
		struct list_node *node = list_first(list);
		walk_share(hub, CONTAINER_OF(node, struct channel, dirty), budget);
		if (node == last)
			return;
	}
}

static const struct list_node *last_of(const struct list *list)
{
	return list_is_empty(list) ? NULL : list->ends.prev;
}

/* Walks that begin come first, so that a message of a small channel does not wait for a share of
 * each large one. A share is kept for those that are carried over, however many begin. */
bool hub_walk(struct hub *hub, uint32_t budget)
{
	(void)hub_has_room(hub); /* what is owed goes as soon as it can */
	bool has_news = !list_is_empty(&hub->presences_due) && watcher_walk(hub, budget);
	const struct list_node *begun = last_of(&hub->carried);
	uint32_t kept = budget / 2 < WALK_FOLLOWERS_MAX ? budget / 2 : WALK_FOLLOWERS_MAX;
	uint32_t left = begun == NULL ? budget : budget - kept;
	walk_to(hub, &hub->dirty, last_of(&hub->dirty), &left);
	left += begun == NULL ? 0 : kept;
	walk_to(hub, &hub->carried, begun, &left);
	return has_news || !list_is_empty(&hub->dirty) || !list_is_empty(&hub->carried);
}
