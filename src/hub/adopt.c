/*
 * Other rules while the hub runs: each channel goes over to the one that fits it now, in bounded
 * steps of hub_adopt().
 *
 * The workers of a node do so at different times, so for a moment a channel's agent and a tail of
 * it may go by different rules. They meet in one place, the answer to a follow (hub/answer),
 * which takes what the agent's rule made and does with it what the tail's asks for.
 *
 * A channel whose rule looks at keys has them before it has the rule. One that needs them no
 * more keeps them while a follower still walks along them: walk.c sets each on its new way when
 * it visits it, and at the end of a walk channel_settle_keyed() lets them go.
 */
#include "hub/hub_state.h"

void hub_set_rules(struct hub *hub, const struct rules *rules)
{
	CHECK(hub_has_adopted(hub));
	hub->options.rules = rules;
	hub->adopt_next = 0;
	hub->is_adopting = true;
}

void hub_set_limits(struct hub *hub, uint32_t channels_per_session, uint64_t outbound_bytes_max)
{
	hub->options.channels_per_session = channels_per_session;
	hub->options.outbound_bytes_max = outbound_bytes_max;
}

bool hub_has_adopted(const struct hub *hub)
{
	return !hub->is_adopting;
}

/* Its followers may want any record of the log next, so the keys are those of all of it. */
static bool make_keyed(struct hub *hub, struct channel *channel)
{
	if (channel->keyed == NULL && !hub_make_keyed(hub, channel))
		return false;
	const struct log *log = &channel->log;
	for (uint64_t seq = log_next(log); seq > log_first(log); seq--) {
		const struct log_entry *entry = log_entry(log, seq - 1);
		if (!hub_put_older(hub, channel, entry->record, entry->added_ms))
			return false;
	}
	return true;
}

/* What was put off for the throttle before is due by the new one; without one, now. */
static void set_throttle(struct hub *hub, struct channel *channel, uint64_t before_ms)
{
	struct channel_keyed *keyed = channel->keyed;
	uint64_t throttle = channel->rule->throttle_ms, since = hub->now_ms - keyed->walked_ms;
	if (before_ms > 0 && throttle > 0) {
		if (timer_is_armed(&keyed->timer))
			timer_arm(hub->options.wheel, &keyed->timer, hub->now_ms,
			          since < throttle ? throttle - since : 0);
		return;
	}
	timer_stop(hub->options.wheel, &keyed->timer);
	hub_walk_now(hub, channel);
}

/* False: no memory, and the channel stays with the rule it has. */
static bool channel_adopt(struct hub *hub, struct channel *channel, const struct rule *rule)
{
	const struct rule *before = channel->rule;
	bool had_keys = channel_needs_keyed(channel);
	channel->rule = rule;
	if (channel_needs_keyed(channel) && !had_keys && !make_keyed(hub, channel)) {
		channel->rule = before;
		return false;
	}
	if (!presence_adopt(hub, channel, before)) {
		channel->rule = before;
		return false;
	}
	if (channel->keyed != NULL)
		latest_set_max(&channel->keyed->latest, rule->max_keys);
	if (before->throttle_ms != rule->throttle_ms)
		set_throttle(hub, channel, before->throttle_ms);
	else if (had_keys && !channel_needs_keyed(channel))
		hub_walk_now(hub, channel); /* and at its end the keys go */
	/* What it holds may have expired by now, or not yet. */
	timer_stop(hub->options.wheel, &channel->timer);
	hub_settle(hub, channel);
	return true;
}

enum hub_adoption hub_adopt(struct hub *hub, uint32_t budget)
{
	if (!hub->is_adopting)
		return HUB_ADOPTED;
	const struct rules *rules = hub->options.rules;
	for (uint64_t tried = 0; hub->adopt_next < slab_span(&hub->channels); hub->adopt_next++) {
		struct channel *channel = slab_by_index(&hub->channels, hub->adopt_next);
		if (channel == NULL || rules_own(rules, channel->rule))
			continue;
		if (tried >= budget)
			return HUB_ADOPTING;
		tried += rules->count;
		if (!channel_adopt(hub, channel, rules_find(rules, channel_name(channel))))
			return HUB_ADOPTION_WAITS;
	}
	hub->is_adopting = false;
	return HUB_ADOPTED;
}
