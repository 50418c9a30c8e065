/*
 * Entries of slots' logs at the nodes that keep copies: they are applied to channels that nobody
 * here may follow, so that each of these nodes has history, the latest of keys and idempotency keys
 * when it becomes home. And a slot's channels as entries, for a node that is to keep copies from
 * now.
 *
 * A record that has come from the home already, because somebody here follows, has its place; only
 * its key is new then. Who followed before it kept a copy has begun at some record, and those
 * before that come by the log alone: they are kept aside until the last of them has come, and then
 * go in front of the others.
 */
#include <stdlib.h>

#include "hub/far_state.h"

/* ---- entries ---- */

/* The channel as the entry knows it: of that epoch, and its next record not above `seq`. False: no
 * memory. */
static bool place(struct hub *hub, struct channel *channel, uint64_t epoch, uint64_t seq)
{
	if (channel->is_tuned && channel->epoch == epoch && seq <= log_next(&channel->log))
		return true;
	struct past *past = pasts_find(&channel->far->pasts, epoch);
	bool was_in_it =
		channel->is_tuned && channel->epoch != epoch && past != NULL && past->stream != 0;
	if (was_in_it && !order_resume(hub, channel, past))
		return false;
	if (was_in_it && seq <= log_next(&channel->log))
		return true;
	if (channel->is_tuned)
		return hub_has_room(hub) && agent_rebase(hub, channel, epoch, seq - 1);
	channel->is_tuned = true;
	channel->epoch = epoch;
	log_restart(&channel->log, seq);
	if (channel->keyed != NULL)
		latest_clear(&channel->keyed->latest, seq - 1);
	return true;
}

/* A record that comes before where the order begins here. False: no memory. */
static bool keep_older(struct hub *hub, struct channel *channel, struct record *record,
                       uint64_t added_ms)
{
	struct pasts *pasts = &channel->far->pasts;
	struct past *past = pasts_open(pasts, channel->epoch, hub->now_ms);
	if (past == NULL || !past_put(past, record, (uint32_t)added_ms))
		return false;
	return pasts_mark(pasts, channel->epoch, record->seq, hub->now_ms);
}

/* It is here by the home's letters, or comes before those. False: no memory. */
static bool take_older(struct hub *hub, struct channel *channel, uint64_t seq,
                       struct record *record)
{
	struct channel_far *far = channel->far;
	if (!far->is_known) /* it is the first one that comes by the log */
		far->begun = log_first(&channel->log);
	if (seq >= far->begun)
		return true;
	bool is_kept = record == NULL ? pasts_mark(&far->pasts, channel->epoch, seq, hub->now_ms)
	                              : keep_older(hub, channel, record, hub->now_ms);
	return is_kept && (seq + 1 < far->begun || order_join(hub, channel));
}

static void is_of_log(const struct hub *hub, struct channel *channel)
{
	channel->far->is_known = true;
	channel->far->stream = far_slot(hub, channel->slot)->stream;
}

static bool apply_record(struct hub *hub, const struct hub_entry *entry)
{
	struct record *record = entry->record;
	uint64_t earlier;
	struct channel *channel = hub_open(hub, record_channel(record));
	if (channel == NULL)
		return false;
	bool is_noted = entry->epoch == 0 ||
	                pasts_mark(&channel->far->pasts, entry->epoch, entry->seq, hub->now_ms);
	bool is_good = is_noted && place(hub, channel, record->epoch, record->seq) &&
	               agent_remember(hub, channel, record, record->seq, &earlier);
	bool is_new = is_good && record->seq == log_next(&channel->log);
	if (is_new)
		is_good = tail_append(hub, channel, record);
	else if (is_good)
		is_good = take_older(hub, channel, record->seq, record);
	if (is_new && is_good) { /* where this is home by now */
		channel->far->begun = 0;
		home_tell_nodes(hub, channel, record);
	}
	if (is_good)
		is_of_log(hub, channel);
	agent_settle(hub, channel);
	return is_good;
}

static void apply_close(struct hub *hub, const struct hub_entry *entry)
{
	struct channel *channel = hub_find(hub, entry->name, hub_hash(hub, entry->name));
	if (channel == NULL || !channel->is_tuned || channel->epoch != entry->epoch)
		return;
	if (channel_is_followed(channel) || channel->far->is_interested ||
	    presence_is_held(hub, channel))
		channel->far->is_known = false;
	else
		hub_close(hub, channel);
}

/* A number that is nobody's. False: no memory, or no room. */
static bool apply_gap(struct hub *hub, const struct hub_entry *entry)
{
	if (entry->seq == 0)
		return true;
	struct channel *channel = hub_open(hub, entry->name);
	if (channel == NULL)
		return false;
	bool is_good = place(hub, channel, entry->epoch, entry->seq);
	bool is_new = is_good && entry->seq == log_next(&channel->log);
	if (is_new)
		is_good = order_gap(hub, channel, entry->seq) &&
		          (channel->far->begun == 0 || order_join(hub, channel));
	else if (is_good)
		is_good = take_older(hub, channel, entry->seq, NULL);
	if (is_new)
		home_doubt_nodes(hub, channel); /* where this is home by now */
	if (is_good)
		is_of_log(hub, channel);
	agent_settle(hub, channel);
	return is_good;
}

static struct hub_slot *slot_of(const struct hub *hub, const struct hub_entry *entry)
{
	bool has_record = entry->kind == ENTRY_RECORD;
	return far_slot(hub, hub_slot_of(has_record ? record_channel(entry->record) : entry->name));
}

bool hub_apply(struct hub *hub, const struct hub_entry *entry)
{
	if (entry->kind != ENTRY_RECORD && entry->kind != ENTRY_CLOSE &&
	    entry->kind != ENTRY_CHANNEL)
		return true; /* of a later version: nothing that is known here */
	const struct hub_slot *slot = slot_of(hub, entry);
	if (slot->committed > 0) /* of this home as it was: that goes first */
		return false;
	if (slot->is_leaving) /* what is of that stream is not sure */
		return entry->kind != ENTRY_RECORD || order_apply_unsure(hub, entry->record);
	if (entry->kind == ENTRY_RECORD)
		return apply_record(hub, entry);
	if (entry->kind == ENTRY_CHANNEL)
		return apply_gap(hub, entry);
	apply_close(hub, entry);
	return true;
}

/* ---- to save ---- */

enum part {
	PARTS_END = 0,
	PART_CHANNEL,
	PART_HISTORY,
	PART_LOST,
	PART_LATEST,
	PART_KEYS,
	PART_RETRIES,
	PART_MARKS,
	PART_GONE,     /* how much of its orders cannot be given any more */
	PART_PASTS,    /* the records of orders that it has left */
	PART_OLD_KEYS, /* the latest of keys that are older than history */
	PART_UNSURE,   /* records of the present order that were perhaps not committed */
};

static enum part part_of(const struct hub_save *save)
{
	static const enum part state[] = {PART_CHANNEL, PART_HISTORY, PART_LOST,  PART_LATEST,
	                                  PART_KEYS,    PART_RETRIES, PART_MARKS, PARTS_END};
	static const enum part fork[] = {PART_GONE,    PART_PASTS,  PART_OLD_KEYS,
	                                 PART_HISTORY, PART_UNSURE, PARTS_END};
	return save->is_fork ? fork[save->part] : state[save->part];
}

static bool save_begin(struct hub *hub, uint32_t number, bool is_fork, struct hub_save *save)
{
	struct hub_slot *slot = far_slot(hub, number);
	if (slot->committed > 0 || (slot->has_renewing && !is_fork))
		return false;
	struct list_node *first = list_first(&slot->channels);
	*save = (struct hub_save){.is_fork = is_fork};
	if (first != NULL)
		save->channel = CONTAINER_OF(first, struct channel_far, in_slot)->channel;
	list_append(&slot->saves, &save->in_slot);
	return true;
}

bool hub_save_begin(struct hub *hub, uint32_t number, struct hub_save *save)
{
	return save_begin(hub, number, false, save);
}

bool hub_fork_begin(struct hub *hub, uint32_t number, struct hub_save *save)
{
	return save_begin(hub, number, true, save);
}

void hub_save_end(struct hub_save *save)
{
	list_remove(&save->in_slot);
}

static uint32_t age_of(const struct hub *hub, uint32_t added_ms)
{
	return (uint32_t)hub->now_ms - added_ms;
}

/* Each of these: false, there is none left of this part. */

static bool save_history(const struct hub *hub, struct hub_save *save, struct hub_entry *entry)
{
	const struct log *log = &save->channel->log;
	uint64_t first = channel_history_first(save->channel, hub->now_ms);
	uint64_t seq = save->at < first ? first : save->at;
	if (seq >= log_next(log))
		return false;
	save->at = seq + 1;
	*entry = (struct hub_entry){.kind = ENTRY_RECORD,
	                            .record = log_at(log, seq),
	                            .age_ms = age_of(hub, log_entry(log, seq)->added_ms)};
	return true;
}

static bool save_lost(struct hub_save *save, struct hub_entry *entry)
{
	const struct channel_keyed *keyed = save->channel->keyed;
	if (keyed == NULL || save->at > 0)
		return false;
	save->at = 1;
	*entry = (struct hub_entry){.kind = ENTRY_LOST, .seq = keyed->latest.lost};
	return true;
}

/* Below number `end`. */
static bool save_latest(const struct hub *hub, struct hub_save *save, uint64_t end,
                        struct hub_entry *entry)
{
	struct channel_keyed *keyed = save->channel->keyed;
	const struct latest_entry *latest =
		keyed == NULL ? NULL : latest_from(&keyed->latest, save->at);
	if (latest == NULL || latest->record->seq >= end)
		return false;
	save->at = latest->record->seq + 1;
	*entry = (struct hub_entry){.kind = save->is_fork ? ENTRY_RECORD : ENTRY_LATEST,
	                            .record = latest->record,
	                            .age_ms = age_of(hub, latest->added_ms)};
	return true;
}

/* But for those of records that are only proposed. */
static bool save_key(const struct hub *hub, struct hub_save *save, bool is_hidden,
                     struct hub_entry *entry)
{
	const struct channel *channel = save->channel;
	const struct duplicates *keys = is_hidden ? channel->far->retries : channel->duplicates;
	struct duplicate_shown shown;
	if (keys == NULL || !duplicates_show(keys, &save->key, hub->now_ms, &shown) ||
	    shown.seq >= log_next(&channel->log))
		return false;
	*entry = (struct hub_entry){.kind = ENTRY_KEY,
	                            .name = shown.key,
	                            .seq = shown.seq,
	                            .age_ms = shown.age_ms,
	                            .is_hidden = is_hidden};
	return true;
}

static bool save_channel(struct hub_save *save, struct hub_entry *entry)
{
	const struct channel *channel = save->channel;
	if (save->at > 0)
		return false;
	save->at = 1;
	channel->far->is_known = true;
	*entry = (struct hub_entry){.kind = ENTRY_CHANNEL,
	                            .name = channel_name(channel),
	                            .epoch = channel->epoch,
	                            .seq = log_next(&channel->log) - 1};
	return true;
}

/* How far each order is known that it has left. */
static bool save_mark(const struct hub *hub, struct hub_save *save, struct hub_entry *entry)
{
	const struct past *past = save->channel->far->pasts.first;
	for (uint64_t i = 0; i < save->at && past != NULL; i++)
		past = past->next;
	if (past == NULL)
		return false;
	save->at++;
	*entry = (struct hub_entry){.kind = ENTRY_PAST,
	                            .epoch = past->epoch,
	                            .seq = past->seq,
	                            .age_ms = age_of(hub, past->touched_ms)};
	return true;
}

/* The `at`th of all records of orders that it has left; or of the one that it is in. */
static bool save_past(const struct hub *hub, struct hub_save *save, bool is_present,
                      struct hub_entry *entry)
{
	const struct channel *channel = save->channel;
	uint64_t at = save->at++;
	const struct past *past = channel->far->pasts.first;
	for (; past != NULL; past = past->next) {
		if ((past->epoch == channel->epoch) != is_present)
			continue;
		if (at < past->count)
			break;
		at -= past->count;
	}
	if (past == NULL)
		return false;
	const struct past_item *item = &past->items[at];
	*entry = (struct hub_entry){.kind = ENTRY_RECORD,
	                            .is_unsure = is_present || item->record->seq > past->seq,
	                            .record = item->record,
	                            .age_ms = age_of(hub, item->added_ms)};
	return true;
}

/* The latest of keys that are older than history are given, too: those that end where that begins,
 * without a hole, are not gone. */
static uint64_t gone_of_present(const struct hub *hub, const struct channel *channel)
{
	uint64_t first = channel_history_first(channel, hub->now_ms), next = 0, gone = 0;
	const struct past *aside = pasts_find(&channel->far->pasts, channel->epoch);
	if (aside != NULL && aside->seq + 1 >= first)
		return past_gone(aside);
	struct latest *latest = channel->keyed == NULL ? NULL : &channel->keyed->latest;
	const struct latest_entry *entry = latest == NULL ? NULL : latest_from(latest, 0);
	for (; entry != NULL && entry->record->seq < first; entry = latest_after(latest, entry)) {
		gone = entry->record->seq == next ? gone : entry->record->seq - 1;
		next = entry->record->seq + 1;
	}
	return next == first ? gone : first - 1;
}

/* The `at`th of the orders that it has left, and then the one that it is in. 0: all of it is to be
 * given, or it is known by what others gave. */
static uint64_t gone_at(const struct hub *hub, const struct channel *channel, uint64_t at,
                        uint64_t *epoch)
{
	const struct channel_far *far = channel->far;
	const struct past *past = far->pasts.first;
	while (past != NULL && at-- > 0)
		past = past->next;
	*epoch = past == NULL ? channel->epoch : past->epoch;
	if (past == NULL)
		return channel->is_tuned && far->is_known ? gone_of_present(hub, channel) : 0;
	bool is_its = past->is_bare || past->epoch != channel->epoch;
	return past->stream != 0 && is_its ? past_gone(past) : 0;
}

static bool save_gone(const struct hub *hub, struct hub_save *save, struct hub_entry *entry)
{
	const struct channel *channel = save->channel;
	uint64_t gone = 0, epoch = 0;
	while (gone == 0 && save->at <= channel->far->pasts.count)
		gone = gone_at(hub, channel, save->at++, &epoch);
	*entry = (struct hub_entry){
		.kind = ENTRY_CHANNEL, .name = channel_name(channel), .epoch = epoch, .seq = gone};
	return gone > 0;
}

static bool save_part(const struct hub *hub, struct hub_save *save, struct hub_entry *entry)
{
	switch (part_of(save)) {
	case PART_GONE:
		return save_gone(hub, save, entry);
	case PART_CHANNEL:
		return save_channel(save, entry);
	case PART_HISTORY:
		return save_history(hub, save, entry);
	case PART_LOST:
		return save_lost(save, entry);
	case PART_LATEST:
		return save_latest(hub, save, UINT64_MAX, entry);
	case PART_OLD_KEYS:
		return save_latest(hub, save, channel_history_first(save->channel, hub->now_ms),
		                   entry);
	case PART_KEYS:
		return save_key(hub, save, false, entry);
	case PART_RETRIES:
		return save_key(hub, save, true, entry);
	case PART_MARKS:
		return save_mark(hub, save, entry);
	case PART_PASTS:
		return save_past(hub, save, false, entry);
	case PART_UNSURE:
		return save_past(hub, save, true, entry);
	case PARTS_END:
		break;
	}
	return false;
}

/* All of an order that it has left is known up to somewhere. */
static bool has_marks(const struct channel *channel)
{
	const struct past *past = channel->far->pasts.first;
	while (past != NULL && past->seq == 0)
		past = past->next;
	return past != NULL;
}

/* Nothing was ever said in it, in the stream that is saved, that others would need to know. But who
 * becomes home is to know what this one had before. */
static bool is_of_no_use(const struct hub *hub, const struct hub_save *save)
{
	const struct channel *channel = save->channel;
	bool is_past = part_of(save) == PART_PASTS || part_of(save) == PART_UNSURE;
	if (part_of(save) == PART_GONE)
		return false;
	if (is_past)
		return channel->far->pasts.count == 0;
	if (!save->is_fork && !home_proposes(channel))
		return true; /* no copy is kept of it */
	bool is_marked = !save->is_fork && far_is_home(hub, channel->slot) && has_marks(channel);
	return !channel->is_tuned || (!channel->far->is_known && !is_marked);
}

bool hub_save_next(struct hub *hub, struct hub_save *save, struct hub_entry *entry)
{
	while (save->channel != NULL) {
		bool is_over = part_of(save) == PARTS_END;
		if (!is_over && !is_of_no_use(hub, save) && save_part(hub, save, entry))
			return true;
		save->at = 0;
		save->key = (struct duplicates_place){0};
		save->part++;
		if (!is_over)
			continue;
		save->channel = far_channel_behind(hub, save->channel);
		save->part = 0;
	}
	return false;
}

/* ---- to restore ---- */

void restoring_drop(struct hub_slot *slot)
{
	answer_free(slot->restoring.history);
	free(slot->restoring.ages);
	slot->restoring = (struct restoring){0};
}

void hub_clear(struct hub *hub, uint32_t number)
{
	struct hub_slot *slot = far_slot(hub, number);
	CHECK(slot->home != HOME_HERE);
	home_forget(hub, slot);
	restoring_drop(slot);
	struct list_node *node = list_first(&slot->channels), *next;
	for (; node != NULL; node = next) {
		struct channel *channel = CONTAINER_OF(node, struct channel_far, in_slot)->channel;
		next = list_after(&slot->channels, node);
		channel->far->is_known = channel->far->is_renewing = false;
		channel->far->begun = 0;
		pasts_free(&channel->far->pasts);
		if (!channel_is_followed(channel) && !channel->far->is_interested &&
		    !presence_is_held(hub, channel))
			hub_close(hub, channel);
	}
}

static bool restore_channel(struct hub *hub, struct hub_slot *slot, const struct hub_entry *entry)
{
	struct channel *channel = hub_open(hub, entry->name);
	if (channel == NULL)
		return false;
	slot->restoring.channel = channel;
	slot->restoring.epoch = entry->epoch;
	slot->restoring.head = entry->seq;
	return true;
}

static bool restore_record(struct restoring *restoring, const struct hub_entry *entry)
{
	size_t count = restoring->history == NULL ? 0 : restoring->history->count;
	struct mail_answer *history = realloc(
		restoring->history, sizeof(*history) + (count + 1) * sizeof(history->records[0]));
	if (history == NULL)
		return false;
	if (restoring->history == NULL)
		*history = (struct mail_answer){0};
	restoring->history = history;
	uint32_t *ages = realloc(restoring->ages, (count + 1) * sizeof(*ages));
	if (ages == NULL)
		return false;
	restoring->ages = ages;
	ages[count] = entry->age_ms;
	history->records[history->count++] = record_take(entry->record);
	return true;
}

/* Where it is followed already, and is behind, those who follow are given what comes next. */
static bool give_next(struct hub *hub, struct channel *channel, const struct mail_answer *history)
{
	for (size_t i = 0; i < history->count; i++) {
		struct record *record = history->records[i];
		bool is_next = channel->is_tuned && record->epoch == channel->epoch &&
		               record->seq == log_next(&channel->log);
		if (is_next && !tail_append(hub, channel, record))
			return false;
	}
	return true;
}

/* Those that end where the log begins go in front of it. */
static bool restore_history(struct hub *hub, struct channel *channel,
                            const struct restoring *restoring)
{
	struct log *log = &channel->log;
	const struct mail_answer *history = restoring->history;
	uint64_t first = log_first(log);
	size_t older = 0;
	while (older < history->count && history->records[older]->epoch == channel->epoch &&
	       history->records[older]->seq < first &&
	       (older == 0 || history->records[older]->seq == history->records[older - 1]->seq + 1))
		older++;
	if (older == 0 || history->records[older - 1]->seq + 1 != first)
		return true; /* it does not reach back as far as the log does */
	if (!log_extend(log, history->records, older, hub->now_ms))
		return false;
	for (size_t i = 0; i < older; i++)
		log_entry(log, first - older + i)->added_ms =
			(uint32_t)hub->now_ms - restoring->ages[i];
	return true;
}

/* The log, which brings the rest, will reach where the order begins here. False: no memory. */
static bool keep_history(struct hub *hub, struct channel *channel,
                         const struct restoring *restoring)
{
	const struct mail_answer *history = restoring->history;
	bool is_good = true;
	for (size_t i = 0; history != NULL && i < history->count && is_good; i++)
		is_good = history->records[i]->epoch != channel->epoch ||
		          history->records[i]->seq > restoring->head ||
		          keep_older(hub, channel, history->records[i],
		                     hub->now_ms - restoring->ages[i]);
	return is_good &&
	       pasts_mark(&channel->far->pasts, channel->epoch, restoring->head, hub->now_ms);
}

/* What has been lost behind the head comes by the log once more. */
static void restore_lost(const struct restoring *restoring, uint64_t lost)
{
	struct channel *channel = restoring->channel;
	struct past *past = pasts_find(&channel->far->pasts, channel->epoch);
	if (channel->keyed == NULL || channel->epoch != restoring->epoch)
		return;
	lost = lost < restoring->head ? lost : restoring->head;
	if (channel->far->begun > 0 && past != NULL)
		past->lost = lost;
	else
		channel->keyed->latest.lost = lost;
}

/* What is behind the head that was saved comes by the log. */
static bool restore_latest(struct hub *hub, const struct restoring *restoring,
                           const struct hub_entry *entry)
{
	struct channel *channel = restoring->channel;
	const struct record *record = entry->record;
	if (channel->keyed == NULL || record->epoch != channel->epoch ||
	    record->seq > restoring->head)
		return true;
	if (channel->far->begun > 0)
		return keep_older(hub, channel, entry->record, hub->now_ms - entry->age_ms);
	return hub_put_older(hub, channel, entry->record, hub->now_ms - entry->age_ms);
}

/* That of a number which is not in the log comes with it. */
static bool restore_key(struct hub *hub, const struct restoring *restoring,
                        const struct hub_entry *entry)
{
	struct channel *channel = restoring->channel;
	if (channel->epoch != restoring->epoch || entry->seq >= log_next(&channel->log))
		return true;
	struct duplicates *keys = agent_keys(channel, entry->is_hidden);
	uint64_t hash = hash_bytes(&hub->options.hash_key, entry->name);
	return keys != NULL &&
	       duplicates_restore(keys, entry->name, hash, entry->seq, hub->now_ms, entry->age_ms);
}

/* Its history has come. It may be ahead, by what came from the home since this was saved. False: no
 * memory, or no room. */
static bool restore_place(struct hub *hub, struct hub_slot *slot)
{
	struct restoring *restoring = &slot->restoring;
	struct channel *channel = restoring->channel;
	if (restoring->is_placed)
		return true;
	if (restoring->history != NULL && !give_next(hub, channel, restoring->history))
		return false;
	if (!place(hub, channel, restoring->epoch, restoring->head + 1))
		return false;
	bool reaches = restoring->head + 1 >= log_first(&channel->log);
	channel->far->is_known = true;
	channel->far->stream = slot->stream;
	channel->far->begun = reaches ? 0 : log_first(&channel->log);
	if (!reaches)
		restoring->is_placed = keep_history(hub, channel, restoring);
	else
		restoring->is_placed =
			restoring->history == NULL || restore_history(hub, channel, restoring);
	return restoring->is_placed;
}

/* The channel that was under way is complete. */
static void restore_end(struct hub *hub, struct hub_slot *slot)
{
	struct channel *channel = slot->restoring.channel;
	restoring_drop(slot);
	if (channel != NULL)
		agent_settle(hub, channel);
}

bool hub_restore(struct hub *hub, uint32_t number, const struct hub_entry *entry)
{
	struct hub_slot *slot = far_slot(hub, number);
	struct channel *channel = slot->restoring.channel;
	bool is_history = entry != NULL && entry->kind == ENTRY_RECORD;
	if (channel != NULL && !is_history && !restore_place(hub, slot))
		return false;
	if (entry == NULL || entry->kind == ENTRY_CHANNEL) {
		restore_end(hub, slot);
		return entry == NULL || restore_channel(hub, slot, entry);
	}
	if (channel == NULL)
		return true; /* it has ended meanwhile */
	if (entry->record != NULL && !channel_has_name(channel, record_channel(entry->record)))
		return true; /* it is of another channel */
	switch ((enum hub_entry_kind)entry->kind) {
	case ENTRY_RECORD:
		return restore_record(&slot->restoring, entry);
	case ENTRY_LOST:
		restore_lost(&slot->restoring, entry->seq);
		return true;
	case ENTRY_LATEST:
		return restore_latest(hub, &slot->restoring, entry);
	case ENTRY_KEY:
		return restore_key(hub, &slot->restoring, entry);
	case ENTRY_PAST:
		return pasts_mark(&channel->far->pasts, entry->epoch, entry->seq,
		                  hub->now_ms - entry->age_ms);
	default:
		return true;
	}
}
