/*
 * What becomes of channels when a slot's log parts into two streams, and when these meet.
 *
 * A channel of another stream has another order: the one that it leaves is kept aside, with what is
 * held of it (past.h). Either the old stream comes back, because the new one has lost, and the
 * channel resumes that order as if it had never left it; or the node leaves the old stream, and
 * then its records, saved as a fork, go to the home of the stream that stays.
 *
 * That home publishes again what it lacks. An order is lacking only behind its mark: up to there
 * the channel has been in it, or it has been merged. Each record that is merged carries its old
 * place into the slot's log, so that replicas raise the mark as well, and the same fork from each
 * of its replicas is taken once. What may never have been committed has no place that can be
 * trusted: there may be another record of that number. It is known by its idempotency key alone,
 * and neither raises a mark nor is held back by one. Who begins a stream publishes what it has of
 * that kind itself, for it may have been acknowledged by a home that is dead.
 *
 * What a fork had, and cannot give because history has let it go, is lost to those who follow at
 * the home that stays. The fork says how far that reaches (ENTRY_CHANNEL), and where they have not
 * been told of as much, the next number of their order is nobody's: a gap has its place in the
 * slot's log, as a record has. Who follows, or comes back with a cursor from before it, is told,
 * and what history holds begins behind it. Keys and the latest of each go on.
 */
#include <stdlib.h>

#include "hub/far_state.h"

/* ---- leaving an order, and coming back ---- */

static void add_item(struct past_item *items, size_t *count, struct record *record,
                     uint32_t added_ms)
{
	items[(*count)++] = (struct past_item){record, added_ms};
}

/* The latest of keys that are older than history, then history. */
static size_t gather(const struct hub *hub, const struct channel *channel, struct past_item *items)
{
	const struct log *log = &channel->log;
	uint64_t first = channel_history_first(channel, hub->now_ms);
	size_t count = 0;
	struct latest *latest = channel->keyed == NULL ? NULL : &channel->keyed->latest;
	const struct latest_entry *entry = latest == NULL ? NULL : latest_from(latest, 0);
	for (; entry != NULL && entry->record->seq < first; entry = latest_after(latest, entry))
		add_item(items, &count, entry->record, entry->added_ms);
	for (uint64_t seq = first; seq < log_next(log); seq++)
		add_item(items, &count, log_at(log, seq), log_entry(log, seq)->added_ms);
	return count;
}

/* Idempotency keys go with the order of their numbers. */
static void swap_keys(struct hub *hub, struct channel *channel, struct past *past)
{
	struct duplicates *keys = channel->duplicates, *retries = channel->far->retries;
	channel->duplicates = past->keys;
	channel->far->retries = past->retries;
	past->keys = keys;
	past->retries = retries;
	far_keys_moved(hub, channel);
}

static bool put_all(struct past *past, const struct past_item *items, size_t count)
{
	bool is_good = true;
	for (size_t i = 0; i < count && is_good; i++)
		is_good = past_put(past, items[i].record, items[i].added_ms);
	return is_good;
}

bool order_leave(struct hub *hub, struct channel *channel)
{
	size_t room =
		channel->log.count + (channel->keyed == NULL ? 0 : channel->keyed->latest.count);
	struct past_item *items = malloc((room + 1) * sizeof(*items));
	struct past *past = pasts_open(&channel->far->pasts, channel->epoch, hub->now_ms);
	bool is_good = items != NULL && past != NULL;
	size_t count = is_good ? gather(hub, channel, items) : 0;
	if (is_good) /* what was kept aside of it stays */
		is_good = channel->far->begun > 0 ? put_all(past, items, count)
		                                  : past_extend(past, items, count);
	free(items);
	if (!is_good)
		return false;
	past->stream = channel->far->stream;
	past->is_bare = false;
	past->seq = log_next(&channel->log) - 1;
	past->lost = channel->keyed == NULL ? 0 : channel->keyed->latest.lost;
	past->touched_ms = (uint32_t)hub->now_ms;
	swap_keys(hub, channel, past);
	return true;
}

bool order_skip(struct hub *hub, struct channel *channel, uint64_t from)
{
	struct channel_far *far = channel->far;
	const struct channel_keyed *keyed = channel->keyed;
	size_t room = channel->log.count + (keyed == NULL ? 0 : keyed->latest.count);
	struct past_item *items = malloc((room + 1) * sizeof(*items));
	struct past *past = pasts_open(&far->pasts, channel->epoch, hub->now_ms);
	bool is_good = items != NULL && past != NULL;
	is_good = is_good && put_all(past, items, gather(hub, channel, items));
	free(items);
	if (!is_good ||
	    !pasts_mark(&far->pasts, channel->epoch, log_next(&channel->log) - 1, hub->now_ms))
		return false;
	past->is_bare = false;
	if (far->begun == 0)
		past->lost = keyed == NULL ? 0 : keyed->latest.lost;
	far->begun = from + 1;
	return true;
}

bool order_refill(struct hub *hub, struct channel *channel, const struct past *past)
{
	struct log *log = &channel->log;
	/* What made room since the order went on from there is lost all the same. */
	if (channel->keyed != NULL && channel->keyed->latest.lost <= past->seq)
		channel->keyed->latest.lost = past->lost;
	for (uint32_t i = past->count; i-- > 0;) {
		const struct past_item *item = &past->items[i];
		uint64_t seq = item->record->seq;
		if (seq > past->seq)
			continue;
		if (channel->keyed != NULL &&
		    !hub_put_older(hub, channel, item->record, item->added_ms))
			return false;
		if (seq + 1 != log_first(log))
			continue;
		if (!log_extend(log, &item->record, 1, hub->now_ms))
			return false;
		log_entry(log, seq)->added_ms = item->added_ms;
	}
	return true;
}

bool order_resume(struct hub *hub, struct channel *channel, struct past *past)
{
	bool is_begun = channel->epoch == past->epoch;
	pasts_put_last(&channel->far->pasts, past); /* the one that is left now needs room */
	if (!is_begun &&
	    (!hub_has_room(hub) || !agent_rebase(hub, channel, past->epoch, past->seq)))
		return false;
	if (!is_begun)
		swap_keys(hub, channel, past);
	if (!order_refill(hub, channel, past))
		return false;
	channel->far->stream = past->stream;
	channel->far->tailed_ms = 0; /* in that one it was long ago */
	channel->far->is_known = true;
	pasts_drop(&channel->far->pasts, past);
	return true;
}

bool order_join(struct hub *hub, struct channel *channel)
{
	struct channel_far *far = channel->far;
	struct past *past = pasts_find(&far->pasts, channel->epoch);
	if (past != NULL && !order_refill(hub, channel, past))
		return false;
	if (past != NULL)
		pasts_drop(&far->pasts, past);
	far->begun = 0;
	return true;
}

bool order_gap(struct hub *hub, struct channel *channel, uint64_t seq)
{
	struct channel_far *far = channel->far;
	CHECK(seq == log_next(&channel->log));
	if (!hub_has_room(hub) || !agent_rebase(hub, channel, channel->epoch, seq))
		return false;
	struct past *past = pasts_find(&far->pasts, channel->epoch);
	if (far->begun > 0 && past != NULL)
		past->seq = seq; /* and so order_join() finds nothing missing */
	return true;
}

void order_is_due(struct hub_slot *slot, struct channel *channel)
{
	struct channel_far *far = channel->far;
	far->is_renewing = channel->is_tuned && far->stream != slot->stream &&
	                   pasts_of_stream(&far->pasts, slot->stream) != NULL;
	slot->has_renewing |= far->is_renewing;
}

/* At home. Who follows has had the one before up to there, also where no copy was kept of it. */
static bool order_begin(struct hub *hub, struct channel *channel, uint64_t stream)
{
	struct channel_far *far = channel->far;
	uint64_t before = channel->epoch, head = log_next(&channel->log) - 1;
	bool is_apart = !far->is_known && head > 0;
	if (!hub_has_room(hub) || !agent_rebase(hub, channel, hub_make_epoch(hub), 0))
		return false;
	far->stream = stream;
	struct past *past = is_apart ? pasts_open(&far->pasts, before, hub->now_ms) : NULL;
	if (past != NULL) /* else they may be told once more */
		past->told = head;
	return true;
}

bool order_renew(struct hub *hub, struct channel *channel)
{
	struct channel_far *far = channel->far;
	if (far == NULL || !far->is_renewing)
		return true;
	const struct hub_slot *slot = far_slot(hub, channel->slot);
	struct past *past = pasts_of_stream(&far->pasts, slot->stream);
	bool is_done = true;
	if (past != NULL && far->stream != slot->stream)
		is_done = order_resume(hub, channel, past);
	else if (slot->home == HOME_HERE)
		is_done = order_begin(hub, channel, slot->stream);
	far->is_renewing = !is_done;
	return is_done;
}

bool order_apply_unsure(struct hub *hub, struct record *record)
{
	struct channel *channel = hub_open(hub, record_channel(record));
	if (channel == NULL)
		return false;
	struct channel_far *far = channel->far;
	bool is_present = channel->is_tuned && channel->epoch == record->epoch;
	bool is_had = is_present && record->seq < log_next(&channel->log);
	if (is_had && !far->is_known) /* as where it is applied for certain */
		far->begun = log_first(&channel->log);
	bool is_before = is_had && record->seq < far->begun;
	struct past *past = pasts_open(&far->pasts, record->epoch, hub->now_ms);
	uint64_t aside =
		past == NULL || past->count == 0 ? 0 : past->items[past->count - 1].record->seq;
	bool is_behind = is_before || (!is_had && record->seq > aside);
	bool is_new = past != NULL && is_behind && record->seq > past->seq;
	uint32_t now_ms = (uint32_t)hub->now_ms;
	bool is_good = past != NULL && (!is_new || (is_before ? past_put(past, record, now_ms)
	                                                      : past_add(past, record, now_ms)));
	/* Who follows here had it from the home, or what came behind it: it was committed, and is
	 * kept with its order. */
	far->is_known |= is_good && is_had;
	agent_settle(hub, channel);
	return is_good;
}

/* ---- taking a fork in ---- */

/* Is it here, or has it been? Its key may say so, too; but keys are forgotten. */
static bool is_here(const struct channel *channel, const struct hub_entry *entry)
{
	const struct record *record = entry->record;
	const struct past *past = pasts_find(&channel->far->pasts, record->epoch);
	if (record->epoch == channel->epoch)
		return !entry->is_unsure && record->seq < log_next(&channel->log);
	bool is_known = past != NULL && record->seq <= past->seq;
	return is_known &&
	       (!entry->is_unsure || past_holds(past, record->seq, record_once(record)));
}

/* With the time when it was said first. False: not now; the record is as it was. */
static bool publish_again(struct hub *hub, struct channel *channel, const struct hub_entry *entry)
{
	struct record *record = entry->record;
	struct cursor place = {.epoch = record->epoch, .seq = record->seq}, origin = {0};
	uint64_t unix_ms = record->unix_ms;
	if (!entry->is_unsure)
		origin = place;
	record_unsettle(record);
	record_settle(record, channel->epoch, channel_next(channel), unix_ms, channel->offset);
	struct publish_result result = agent_place(hub, channel, record_take(record), NULL, origin);
	if (result.error != ERROR_NONE) {
		record_unsettle(record);
		record_settle(record, place.epoch, place.seq, unix_ms, 0);
		return false;
	}
	hub->counters.merged++;
	return true;
}

static bool merge_into(struct hub *hub, struct channel *channel, const struct hub_entry *entry)
{
	uint64_t earlier;
	if (is_here(channel, entry))
		return true;
	if (!hub_has_room(hub) ||
	    !agent_remember(hub, channel, entry->record, channel_next(channel), &earlier))
		return false;
	return earlier != 0 || publish_again(hub, channel, entry);
}

bool order_redeem(struct hub *hub, struct channel *channel)
{
	if (far_slot(hub, channel->slot)->home != HOME_HERE)
		return true;
	bool is_done = true;
	struct past *past = channel->far->pasts.first;
	for (; past != NULL && is_done; past = past->next) {
		uint32_t first = past_first_behind(past, past->seq), next = first;
		while (is_done && next < past->count) {
			struct hub_entry entry = {.kind = ENTRY_RECORD,
			                          .is_unsure = true,
			                          .record = past->items[next].record};
			is_done = merge_into(hub, channel, &entry);
			next += is_done;
		}
		past_cut(past, first, next);
	}
	return is_done;
}

static bool merge_record(struct hub *hub, const struct hub_entry *entry)
{
	struct channel *channel =
		hub_has_room(hub) ? agent_open(hub, record_channel(entry->record)) : NULL;
	if (channel == NULL)
		return false;
	bool is_done = merge_into(hub, channel, entry);
	agent_settle(hub, channel);
	return is_done;
}

/* Up to where those who follow have had all of that order, or are told. */
static uint64_t told_to(const struct channel *channel, uint64_t epoch)
{
	const struct past *past = pasts_find(&channel->far->pasts, epoch);
	if (epoch == channel->epoch)
		return log_next(&channel->log) - 1;
	if (past == NULL)
		return 0;
	return past->seq > past->told ? past->seq : past->told;
}

static bool tell_lost(struct hub *hub, struct channel *channel, struct cursor lost)
{
	bool is_kept = home_proposes(channel);
	if (pasts_open(&channel->far->pasts, lost.epoch, hub->now_ms) == NULL)
		return false;
	if (is_kept ? !home_propose_gap(hub, channel, lost)
	            : !order_gap(hub, channel, log_next(&channel->log)))
		return false;
	if (!is_kept)
		home_doubt_nodes(hub, channel);
	if (!is_kept && channel->far->begun > 0)
		(void)!order_join(hub, channel); /* without memory what was aside stays there */
	struct past *past = pasts_find(&channel->far->pasts, lost.epoch);
	if (past != NULL) /* else it has made room, and they may be told once more */
		past->told = lost.seq;
	return true;
}

/* The channel was not here. Nodes may follow that have not said so yet: they come from another
 * order than the one that begins here, and so they are told. But where they were in touch with a
 * home before this one, and this one ends first, the next is to know that order by the log. */
static bool is_told_later(const struct hub *hub, uint16_t slot)
{
	return hub->now_ms - far_slot(hub, slot)->begun_ms >= CHANNEL_LINGER_MS;
}

static bool tell_later(struct hub *hub, struct channel *channel, struct cursor lost)
{
	struct past *past = pasts_open(&channel->far->pasts, lost.epoch, hub->now_ms);
	if (past == NULL) {
		hub_close(hub, channel); /* so that it is as new when the fork comes again */
		return false;
	}
	past->told = lost.seq;
	agent_settle(hub, channel);
	return true;
}

static bool merge_lost(struct hub *hub, const struct hub_entry *entry)
{
	bool is_there = hub_find(hub, entry->name, hub_hash(hub, entry->name)) != NULL;
	struct channel *channel = agent_open(hub, entry->name);
	if (channel == NULL)
		return false;
	struct cursor lost = {.epoch = entry->epoch, .seq = entry->seq};
	if (!is_there && is_told_later(hub, channel->slot))
		return tell_later(hub, channel, lost);
	bool is_done = told_to(channel, lost.epoch) >= lost.seq || tell_lost(hub, channel, lost);
	agent_settle(hub, channel);
	return is_done;
}

bool hub_merge(struct hub *hub, uint32_t number, const struct hub_entry *entry)
{
	if (far_slot(hub, number)->home != HOME_HERE)
		return false;
	if (entry->kind != ENTRY_RECORD && entry->kind != ENTRY_CHANNEL)
		return true; /* of a later version */
	bool is_record = entry->kind == ENTRY_RECORD;
	if (hub_slot_of(is_record ? record_channel(entry->record) : entry->name) != number) {
		hub->counters.stale_letters++;
		return true;
	}
	return is_record ? merge_record(hub, entry) : merge_lost(hub, entry);
}
