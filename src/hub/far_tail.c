/*
 * What is done for a slot whose home is elsewhere: the channel's agent here is a tail of the home,
 * and what only the home can say becomes an errand.
 *
 * A tail is whole while it has had, or is sure to get, all that the home has sent. A follower may
 * begin at it only then. It is in doubt from when the home changes, or the link to it has broken,
 * until the home has said (FAR_TAILED) from where on it sends; and wherever a number is missing.
 * The position here goes with the question, so the answer closes the gap, or the order has broken
 * off and all who follow are told.
 *
 * Letters of a home arrive in order, on one link. So what comes behind FAR_TAILED has no hole but
 * what was left out because the link was full: that shows at the next record, or where nothing
 * comes any more, in the digest.
 */
#include <stdlib.h>

#include "hub/far_state.h"

/* ---- tails ---- */

static bool tail_is_whole(const struct hub *hub, const struct hub_slot *slot,
                          const struct channel *channel)
{
	const struct channel_far *far = channel->far;
	return far_is_in_touch(hub, slot) && channel->is_tuned && far->is_interested &&
	       !far->is_asking && !far->is_behind && log_next(&channel->log) > far->sync_to;
}

static void set_interest(struct hub_slot *slot, struct channel *channel, bool is_on)
{
	if (channel->far->is_interested == is_on)
		return;
	channel->far->is_interested = is_on;
	slot->sum.names ^= far_name_hash(channel);
	slot->sum.count += is_on ? 1 : UINT32_MAX;
}

/* What may have been said since, and is not here, the home still knows: it remembers a channel for
 * CHANNEL_LINGER_MS. The half of that is for letters under way. */
static bool is_up_to_date(const struct hub *hub, const struct hub_slot *slot,
                          const struct channel_far *far)
{
	uint64_t heard_ms = far->tailed_ms > slot->agreed_ms ? far->tailed_ms : slot->agreed_ms;
	return hub->now_ms - heard_ms < CHANNEL_LINGER_MS / 2;
}

static void tail_ask(struct hub *hub, struct hub_slot *slot, struct channel *channel)
{
	set_interest(slot, channel, true);
	/* What is to be told whole, is told then. */
	if (!far_is_in_touch(hub, slot))
		return;
	channel->far->is_asking = true;
	channel->far->is_blind = !channel->is_tuned;
	channel->far->is_behind = false;
	/* Where the home has none it goes on from the place here, if that is of its stream. */
	bool is_good = is_up_to_date(hub, slot, channel->far);
	/* A copy is to have what history holds; its log, which brings that, may come later. */
	bool wants_all = !channel->is_tuned && slot->is_replica;
	struct far_mail mail = {.kind = FAR_TAIL,
	                        .slot = channel->slot,
	                        .name = channel_name(channel),
	                        .counter = ++slot->counter,
	                        .has_since = channel->is_tuned || wants_all,
	                        .stream = is_good ? channel->far->stream : 0};
	if (wants_all)
		mail.since.is_start = true;
	else
		mail.since = (struct cursor){.epoch = channel->epoch,
		                             .seq = log_next(&channel->log) - 1};
	far_send(hub, slot->node, &mail);
}

static void tail_is_behind(struct hub *hub, struct hub_slot *slot, struct channel *channel)
{
	if (!channel->far->is_interested)
		return;
	channel->far->is_behind = true;
	slot->has_behind = true;
	far_is_due(hub, slot);
}

void tail_give_up(struct hub *hub, struct channel *channel)
{
	struct hub_slot *slot = far_slot(hub, channel->slot);
	set_interest(slot, channel, false);
	channel->far->is_asking = channel->far->is_behind = false;
	if (!far_is_in_touch(hub, slot))
		return;
	struct far_mail mail = {.kind = FAR_UNTAIL,
	                        .slot = channel->slot,
	                        .name = channel_name(channel),
	                        .counter = ++slot->counter};
	far_send(hub, slot->node, &mail);
}

bool tail_append(struct hub *hub, struct channel *channel, struct record *record)
{
	if (!hub_has_room(hub) || !hub_keep(hub, channel, record))
		return false;
	record_take(record);
	record->offset = channel->offset;
	channel->offset += record_bytes(record);
	agent_tell_workers(hub, channel, record);
	hub_append(hub, channel, record);
	return true;
}

/* False: it is in doubt whether there is something between. */
static bool tail_take(struct hub *hub, struct channel *channel, struct record *record)
{
	if (!channel->is_tuned || channel->epoch != record->epoch)
		return false;
	if (record->seq < log_next(&channel->log))
		return true;
	return record->seq == log_next(&channel->log) && tail_append(hub, channel, record);
}

static void receive_records(struct hub *hub, struct hub_slot *slot, const struct far_mail *mail)
{
	slot->sum.sent++;
	if (mail->record_count == 0)
		return;
	struct slice name = record_channel(mail->records[0]);
	struct channel *channel = hub_find(hub, name, hub_hash(hub, name));
	if (channel == NULL) {
		hub->counters.stale_letters++;
		slot->is_settled = false; /* it may not know whom we follow */
		return;
	}
	bool was_whole = tail_is_whole(hub, slot, channel);
	bool is_good = true;
	for (size_t i = 0; i < mail->record_count && is_good; i++)
		is_good = tail_take(hub, channel, mail->records[i]);
	if (!is_good && !channel->far->is_asking)
		tail_is_behind(hub, slot, channel);
	if (!was_whole && tail_is_whole(hub, slot, channel))
		far_is_due(hub, slot);
}

/* From here on: behind what we have, or behind a gap. False: no memory, or no room. */
static bool tail_tune(struct hub *hub, struct channel *channel, const struct far_mail *mail)
{
	uint64_t from = mail->since.seq;
	if (!channel->is_tuned) {
		channel->is_tuned = true;
		channel->epoch = mail->epoch;
		log_restart(&channel->log, from + 1);
		if (channel->keyed != NULL)
			latest_clear(&channel->keyed->latest, from);
		return true;
	}
	if (channel->epoch == mail->epoch && from < log_next(&channel->log))
		return true;
	return hub_has_room(hub) && agent_rebase(hub, channel, mail->epoch, from);
}

static void receive_tailed(struct hub *hub, struct hub_slot *slot, const struct far_mail *mail)
{
	struct channel *channel = hub_find(hub, mail->name, hub_hash(hub, mail->name));
	if (channel == NULL || !channel->far->is_interested) {
		hub->counters.stale_letters++;
		return;
	}
	channel->far->is_asking = false;
	/* Its log has come to it since it asked from nowhere: what is between would be missing. */
	bool is_ahead = channel->far->is_blind && channel->is_tuned &&
	                channel->epoch == mail->epoch && mail->since.seq >= log_next(&channel->log);
	if (mail->error != ERROR_NONE || mail->epoch == 0 || mail->since.seq > mail->seq ||
	    is_ahead || !tail_tune(hub, channel, mail)) {
		tail_is_behind(hub, slot, channel);
		return;
	}
	channel->far->is_behind = false;
	channel->far->stream = mail->stream;
	channel->far->sync_to = mail->seq;
	channel->far->tailed_ms = hub->now_ms;
	far_is_due(hub, slot);
	agent_settle(hub, channel);
}

/* ---- all that a slot's home is to know ---- */

void tail_lose_touch(struct hub_slot *slot)
{
	slot->is_counting = slot->has_behind = slot->is_settled = slot->is_telling = false;
	slot->needs_sync = slot->home == HOME_ELSEWHERE;
	slot->doubts = slot->lost = 0;
}

static void tail_sync(struct hub *hub, struct hub_slot *slot)
{
	hub->counters.resyncs++;
	slot->needs_sync = slot->has_behind = slot->is_counting = slot->is_settled = false;
	slot->is_asked = false;
	slot->doubts = 0;
	slot->synced_ms = slot->heard_ms = hub->now_ms;
	struct far_mail begin = {
		.kind = FAR_SYNC, .slot = slot->number, .counter = ++slot->counter};
	slot->sync_first = slot->counter;
	far_send(hub, slot->node, &begin);
	struct list_node *node = list_first(&slot->channels);
	for (; node != NULL; node = list_after(&slot->channels, node)) {
		struct channel *channel = CONTAINER_OF(node, struct channel_far, in_slot)->channel;
		if (channel->far->is_interested || channel->far->errands > 0 ||
		    channel_is_followed_here(channel))
			tail_ask(hub, slot, channel);
	}
	presence_far_sync(hub, slot);
}

/* Who is present may be so many that it takes some turns. */
static void tail_tell(struct hub *hub, struct hub_slot *slot)
{
	if (!presence_far_tell(hub, slot)) {
		far_is_due(hub, slot);
		return;
	}
	struct far_mail end = {
		.kind = FAR_SYNCED, .slot = slot->number, .counter = ++slot->counter};
	slot->sync_last = slot->counter;
	far_send(hub, slot->node, &end);
	presence_far_told(hub, slot); /* mirrors are asked for when the home knows who is here */
}

static void ask_those_behind(struct hub *hub, struct hub_slot *slot)
{
	slot->has_behind = false;
	struct list_node *node = list_first(&slot->channels);
	for (; node != NULL; node = list_after(&slot->channels, node)) {
		struct channel *channel = CONTAINER_OF(node, struct channel_far, in_slot)->channel;
		if (channel->far->is_interested && channel->far->is_behind)
			tail_ask(hub, slot, channel);
	}
}

bool tail_turn(struct hub *hub, struct hub_slot *slot)
{
	if (!far_is_reached(hub, slot))
		return false;
	if (slot->has_renewing)
		return true; /* it is to be asked for what comes behind that order */
	if (slot->needs_sync)
		tail_sync(hub, slot);
	else if (slot->has_behind && hub->now_ms - slot->synced_ms >= HUB_FAR_MS) {
		slot->synced_ms = hub->now_ms; /* not more often than that: it may fail again */
		ask_those_behind(hub, slot);
	}
	if (slot->is_telling)
		tail_tell(hub, slot);
	else if (!presence_far_report(hub, slot))
		far_is_due(hub, slot);
	return slot->has_behind;
}

static void receive_syncing(struct hub_slot *slot)
{
	slot->is_counting = true;
	slot->sum.sent = 0;
}

static struct slot_said said_so_far(const struct hub_slot *slot)
{
	return (struct slot_said){.counter = slot->counter,
	                          .count = slot->sum.count,
	                          .names = slot->sum.names,
	                          .members = slot->sum.members};
}

void tail_ask_home(struct hub *hub, struct hub_slot *slot)
{
	bool is_idle = slot->sum.count == 0 && slot->sum.members == 0 && slot->is_settled;
	if (!far_is_reached(hub, slot) || is_idle)
		return;
	if (hub->now_ms - slot->heard_ms >= SYNC_LOST_MS << slot->lost) {
		if (slot->lost < SYNC_LOST_MAX)
			slot->lost++;
		slot->needs_sync = true;
		far_is_due(hub, slot);
		return;
	}
	/* To one that is slow nothing is said twice. */
	if (slot->is_asked)
		return;
	slot->is_asked = true;
	slot->asked = said_so_far(slot);
	struct far_mail mail = {.kind = FAR_ASK, .slot = slot->number};
	far_send(hub, slot->node, &mail);
}

/* It was nowhere, and is home again, or was not home yet when it was told all: it has not heard
 * that, or not the first of it. */
static bool has_forgotten(const struct hub_slot *slot, const struct far_mail *mail, bool was_asked)
{
	bool must_know = was_asked || slot->is_counting; /* that all was told, or is being told */
	bool is_hearing = mail->counter >= slot->sync_first && mail->counter < slot->sync_last;
	return must_know && !mail->is_synced && !is_hearing;
}

/* Letters come in order: what the home says it has sent must be here, and when it was asked it had
 * heard what was said before that, however much has been since. What is said without being asked
 * may be late, and is doubted only when it stays so. */
static void receive_digest(struct hub *hub, struct hub_slot *slot, const struct far_mail *mail)
{
	bool was_asked = slot->is_asked;
	bool is_answer = was_asked && mail->counter == slot->asked.counter;
	struct slot_said said = is_answer ? slot->asked : said_so_far(slot);
	slot->heard_ms = hub->now_ms;
	slot->lost = 0;
	slot->is_asked = false;
	if (slot->is_telling)
		return;
	bool is_current = mail->counter == said.counter;
	bool is_same = mail->sum.count == said.count && mail->sum.names == said.names &&
	               mail->sum.members == said.members;
	hub->counters.presence_repaired +=
		is_current && slot->is_counting && mail->sum.members != said.members;
	bool is_good = is_current && is_same && mail->is_synced && slot->is_counting;
	bool is_bad =
		slot->is_counting && (mail->sum.sent != slot->sum.sent || (is_current && !is_same));
	is_bad |= has_forgotten(slot, mail, was_asked);
	slot->is_settled |= is_good;
	if (is_good && !is_bad)
		slot->agreed_ms = hub->now_ms;
	slot->doubts = is_good ? 0 : slot->doubts + 1;
	if (!is_bad && slot->doubts < SYNC_DOUBTS_MAX)
		return;
	slot->needs_sync = true;
	far_is_due(hub, slot);
}

/* ---- errands ---- */

static struct errand *errand_make(struct hub *hub, uint16_t number, enum far_kind kind)
{
	struct hub_slot *slot = far_slot(hub, number);
	struct errand *errand = slab_take(&hub->far->errands);
	if (errand == NULL)
		return NULL;
	hub->counters.errands++;
	errand->kind = (uint8_t)kind;
	errand->slot = number;
	errand->born_ms = hub->now_ms;
	list_append(&slot->errands, &errand->in_slot);
	list_append(&hub->far->errands_by_age, &errand->by_age);
	return errand;
}

void errand_drop(struct hub *hub, struct errand *errand)
{
	if (errand->kind == FAR_PUBLISH) {
		if (errand->record != NULL) {
			hub->far->errand_bytes -= record_bytes(errand->record);
			record_drop(errand->record);
		}
		waiters_drop(hub, errand->waiters);
	} else {
		free(errand->ask);
		answer_free(errand->pages);
	}
	list_remove(&errand->in_slot);
	list_remove(&errand->by_age);
	struct channel *channel = errand->channel;
	slab_release(&hub->far->errands, errand);
	if (channel != NULL) {
		channel->far->errands--;
		agent_settle(hub, channel);
	}
}

/* It was refused, and is to be asked again in a while, or of another. */
static void errand_later(const struct hub *hub, struct errand *errand)
{
	errand->is_sent = true;
	errand->sent_ms = hub->now_ms + ERRAND_REFUSED_MS - ERRAND_AGAIN_MS;
}

/* The answer to an errand that is no publication. */
static void errand_answer(struct hub *hub, struct errand *errand, struct hub_mail *back)
{
	uint32_t worker = errand->from;
	back->kind = errand->kind == FAR_FOLLOW ? MAIL_FOLLOWED : MAIL_HISTORY_READY;
	back->from = hub->options.worker;
	back->token = errand->token;
	struct channel *channel = errand->channel;
	if (channel != NULL && back->error == ERROR_NONE && worker != hub->options.worker)
		channel_follow(channel, worker);
	errand_drop(hub, errand);
	agent_reply(hub, worker, back);
}

static void errand_published(struct hub *hub, struct errand *errand,
                             const struct publish_result *result)
{
	struct waiter *waiters = errand->waiters;
	uint16_t slot = errand->slot;
	errand->waiters = NULL;
	errand_drop(hub, errand);
	waiters_answer(hub, waiters, slot, result);
}

/* False: there is no room to say so yet. */
static bool errand_fail(struct hub *hub, struct errand *errand)
{
	struct publish_result failed = {.error = ERROR_UNAVAILABLE};
	struct hub_mail back = {.error = ERROR_UNAVAILABLE};
	if (errand->kind != FAR_PUBLISH && !hub_has_room(hub))
		return false;
	if (errand->kind == FAR_PUBLISH)
		errand_published(hub, errand, &failed);
	else
		errand_answer(hub, errand, &back);
	return true;
}

static void ask_send(struct hub *hub, struct hub_slot *slot, struct errand *errand)
{
	struct far_mail mail = {.kind = errand->kind,
	                        .slot = errand->slot,
	                        .token = slab_handle_of(&hub->far->errands, errand)};
	if (errand->kind == FAR_PUBLISH) {
		mail.records = &errand->record;
		mail.record_count = 1;
	} else {
		const struct mail_ask *ask = errand->ask;
		mail.name = slice_of(ask->name, ask->name_len);
		mail.has_since = ask->has_since;
		mail.since = ask->since;
		mail.has_limit = ask->has_limit;
		mail.limit = ask->limit;
		answer_free(errand->pages);
		errand->pages = NULL;
	}
	errand->is_sent = true;
	errand->sent_ms = hub->now_ms;
	far_send(hub, slot->node, &mail);
}

/* Does the tail here know as well as the home what that follower is to begin with? */
static bool can_follow_here(const struct hub *hub, const struct channel *channel,
                            const struct mail_ask *ask, struct follow_result *result)
{
	uint64_t oldest = channel_history_first(channel, hub->now_ms);
	*result = (struct follow_result){.epoch = channel->epoch,
	                                 .head = log_next(&channel->log) - 1};
	result->from = result->head;
	if (!ask->has_since)
		return !channel->rule->deliver_last;
	const struct cursor *since = &ask->since;
	bool is_held = !since->is_start && since->epoch == channel->epoch &&
	               since->seq <= result->head && since->seq + 1 >= oldest;
	result->is_recovered = true;
	result->from = since->seq;
	return is_held && !channel_is_throttled(channel);
}

/* True: it is done with, or has been sent. */
static bool follow_try(struct hub *hub, struct hub_slot *slot, struct errand *errand)
{
	struct channel *channel = errand->channel;
	struct follow_result result;
	if (!tail_is_whole(hub, slot, channel)) {
		if (!channel->far->is_interested)
			tail_ask(hub, slot, channel);
		return false;
	}
	channel_trim(channel, hub->now_ms);
	if (!can_follow_here(hub, channel, errand->ask, &result)) {
		ask_send(hub, slot, errand);
		return true;
	}
	struct hub_mail back = {.epoch = result.epoch, .seq = result.head};
	back.answer = agent_answer_follow(channel, &result, errand->ask->has_since);
	if (back.answer == NULL)
		return false;
	back.answer->from = result.from;
	back.answer->is_recovered = result.is_recovered;
	errand_answer(hub, errand, &back);
	return true;
}

/* True: it waits for its tail to be whole. */
static bool errand_try(struct hub *hub, struct hub_slot *slot, struct errand *errand)
{
	if (errand->kind == FAR_FOLLOW)
		return !follow_try(hub, slot, errand);
	ask_send(hub, slot, errand);
	return false;
}

/* For the first time: at once, if it can be. */
static void errand_start(struct hub *hub, struct errand *errand)
{
	struct hub_slot *slot = far_slot(hub, errand->slot);
	if (slot->home == HOME_HERE)
		errand_later(hub, errand);
	else if (far_is_reached(hub, slot))
		(void)errand_try(hub, slot, errand);
}

void errand_publish(struct hub *hub, uint16_t number, struct record *record, struct waiter *waiters)
{
	struct publish_result refused = {.error = ERROR_UNAVAILABLE};
	bool is_full = hub->far->errand_bytes + record_bytes(record) > ERRAND_BYTES_MAX;
	struct errand *errand = is_full ? NULL : errand_make(hub, number, FAR_PUBLISH);
	if (errand == NULL) {
		hub->counters.errands_failed++;
		record_drop(record);
		waiters_answer(hub, waiters, number, &refused);
		return;
	}
	errand->record = record;
	errand->waiters = waiters;
	errand->born_ms = waiters->born_ms;
	hub->far->errand_bytes += record_bytes(record);
	errand_start(hub, errand);
}

static void refuse_ask(struct hub *hub, const struct hub_mail *mail)
{
	struct hub_mail back = {.kind = mail->kind == MAIL_FOLLOW ? MAIL_FOLLOWED
	                                                          : MAIL_HISTORY_READY,
	                        .error = ERROR_UNAVAILABLE,
	                        .from = hub->options.worker,
	                        .token = mail->token};
	free(mail->ask);
	hub->counters.errands_failed++;
	agent_reply(hub, mail->from, &back);
}

void errand_begin(struct hub *hub, uint16_t number, const struct hub_mail *mail)
{
	bool is_follow = mail->kind == MAIL_FOLLOW;
	struct slice name = slice_of(mail->ask->name, mail->ask->name_len);
	struct channel *channel = is_follow ? hub_open(hub, name) : NULL;
	struct errand *errand =
		is_follow && channel == NULL
			? NULL
			: errand_make(hub, number, is_follow ? FAR_FOLLOW : FAR_HISTORY);
	if (errand == NULL) {
		refuse_ask(hub, mail);
		if (channel != NULL)
			agent_settle(hub, channel);
		return;
	}
	errand->ask = mail->ask;
	errand->from = mail->from;
	errand->token = mail->token;
	errand->channel = channel;
	if (channel != NULL)
		channel->far->errands++;
	errand_start(hub, errand);
}

/* The home is here by now: it is as if it had only just been asked. */
static void errand_here(struct hub *hub, struct errand *errand)
{
	struct hub_mail mail = {.kind = errand->kind == FAR_FOLLOW ? MAIL_FOLLOW : MAIL_HISTORY,
	                        .from = errand->from,
	                        .token = errand->token,
	                        .ask = errand->ask};
	if (errand->kind != FAR_PUBLISH) {
		errand->ask = NULL;
		struct channel *channel = errand->channel;
		if (channel != NULL)
			channel->request_count++; /* it stays here meanwhile */
		errand_drop(hub, errand);
		agent_receive(hub, &mail);
		if (channel != NULL) {
			channel->request_count--;
			agent_settle(hub, channel);
		}
		return;
	}
	struct waiter *waiters = errand->waiters;
	struct record *record = record_take(errand->record);
	errand->waiters = NULL;
	uint16_t slot = errand->slot;
	errand_drop(hub, errand);
	struct publish_result result = agent_publish(hub, record, waiters);
	if (!result.is_pending)
		waiters_answer(hub, waiters, slot, &result);
}

bool errands_turn(struct hub *hub, struct hub_slot *slot, uint32_t *budget)
{
	if (slot->home != HOME_HERE && !far_is_reached(hub, slot))
		return false;
	if (slot->home == HOME_HERE && slot->committed > 0)
		return true; /* what is asked would be answered without that */
	struct list_node *last = slot->errands.ends.prev, *node = list_first(&slot->errands), *next;
	for (; node != NULL; node = next) {
		struct errand *errand = CONTAINER_OF(node, struct errand, in_slot);
		bool is_last = node == last;
		next = is_last ? NULL : list_after(&slot->errands, node);
		if (errand->is_sent)
			continue;
		if (*budget == 0 || !hub_has_room(hub))
			return true;
		--*budget;
		if (slot->home == HOME_HERE) {
			errand_here(hub, errand);
		} else if (errand_try(hub, slot, errand)) {
			list_remove(node); /* the others first, next time */
			list_append(&slot->errands, node);
		}
	}
	return false;
}

void errands_again(struct hub *hub)
{
	struct list *all = &hub->far->errands_by_age;
	struct list_node *node = list_first(all), *next;
	for (; node != NULL; node = next) {
		struct errand *errand = CONTAINER_OF(node, struct errand, by_age);
		next = list_after(all, node);
		if (hub->now_ms - errand->born_ms >= ERRAND_MS_MAX) {
			hub->counters.errands_failed++;
			if (!errand_fail(hub, errand))
				return;
			continue;
		}
		errand->is_sent &= hub->now_ms - errand->sent_ms < ERRAND_AGAIN_MS;
		if (!errand->is_sent)
			far_is_due(hub, far_slot(hub, errand->slot));
	}
}

/* ---- answers ---- */

/* The errand that it answers; NULL: one that was done with before. */
static struct errand *errand_of(struct hub *hub, const struct far_mail *mail)
{
	struct errand *errand = slab_at(&hub->far->errands, mail->token);
	bool is_page = mail->kind == FAR_PAGE;
	bool is_it = errand != NULL && errand->slot == mail->slot &&
	             (is_page ? errand->kind != FAR_PUBLISH
	                      : mail->kind == (errand->kind == FAR_PUBLISH  ? FAR_PUBLISHED
	                                       : errand->kind == FAR_FOLLOW ? FAR_FOLLOWED
	                                                                    : FAR_HISTORY_READY));
	hub->counters.stale_letters += !is_it;
	return is_it ? errand : NULL;
}

static void receive_published(struct hub *hub, struct errand *errand, const struct far_mail *mail)
{
	struct publish_result result = {
		.epoch = mail->epoch, .seq = mail->seq, .is_duplicate = mail->is_duplicate};
	errand_published(hub, errand, &result);
}

static void receive_page(struct errand *errand, const struct far_mail *mail)
{
	size_t had = errand->pages == NULL ? 0 : errand->pages->count;
	size_t count = had + mail->record_count;
	struct mail_answer *pages =
		realloc(errand->pages, sizeof(*pages) + count * sizeof(pages->records[0]));
	if (pages == NULL) { /* what is missing shows when the answer comes */
		answer_free(errand->pages);
		errand->pages = NULL;
		return;
	}
	if (errand->pages == NULL)
		*pages = (struct mail_answer){0};
	for (size_t i = 0; i < mail->record_count; i++)
		pages->records[had + i] = record_take(mail->records[i]);
	pages->count = count;
	errand->pages = pages;
}

static struct mail_answer *take_pages(struct errand *errand)
{
	struct mail_answer *pages = errand->pages;
	errand->pages = NULL;
	return pages != NULL ? pages : calloc(1, sizeof(*pages));
}

/* Of that channel and order, rising. */
static bool are_of(const struct mail_answer *pages, struct slice name, uint64_t epoch)
{
	for (size_t i = 0; i < pages->count; i++) {
		const struct record *record = pages->records[i];
		if (record->epoch != epoch || !slice_equals(record_channel(record), name) ||
		    (i > 0 && pages->records[i - 1]->seq >= record->seq))
			return false;
	}
	return true;
}

/* The records that a follower begins with: all from `from` to the head, or the latest of keys. */
static bool is_whole_answer(const struct mail_answer *pages, const struct far_mail *mail)
{
	size_t count = pages->count;
	if (mail->since.seq > mail->seq)
		return false;
	if (mail->is_latest)
		return count == 0 || pages->records[count - 1]->seq <= mail->seq;
	return count == mail->seq - mail->since.seq &&
	       (count == 0 || (pages->records[0]->seq == mail->since.seq + 1 &&
	                       pages->records[count - 1]->seq == mail->seq));
}

/* A replica may have had by its log already what was committed since the home answered. */
static struct mail_answer *catch_up(const struct channel *channel, struct mail_answer *pages,
                                    const struct far_mail *mail)
{
	const struct log *log = &channel->log;
	uint64_t more = log_next(log) - 1 - mail->seq;
	struct mail_answer *whole =
		realloc(pages, sizeof(*pages) + (pages->count + more) * sizeof(pages->records[0]));
	if (whole == NULL) {
		answer_free(pages);
		return NULL;
	}
	for (uint64_t seq = mail->seq + 1; seq < log_next(log); seq++)
		whole->records[whole->count++] = record_take(log_at(log, seq));
	return whole;
}

/* What was gathered, as the answer to a follower at the head that the tail has; NULL: it is not. */
static struct mail_answer *take_answer(struct errand *errand, const struct far_mail *mail)
{
	const struct channel *channel = errand->channel;
	struct mail_answer *pages = take_pages(errand);
	if (pages == NULL)
		return NULL;
	const struct log *log = &channel->log;
	if (channel->epoch != mail->epoch || mail->seq >= log_next(log) ||
	    mail->seq + 1 < log_first(log) ||
	    log_next(log) - 1 - mail->since.seq > FOLLOWER_REPLAY_MAX ||
	    !are_of(pages, channel_name(channel), mail->epoch) || !is_whole_answer(pages, mail)) {
		answer_free(pages);
		return NULL;
	}
	return catch_up(channel, pages, mail);
}

static void receive_followed(struct hub *hub, struct hub_slot *slot, struct errand *errand,
                             const struct far_mail *mail)
{
	struct channel *channel = errand->channel;
	struct mail_answer *pages =
		tail_is_whole(hub, slot, channel) ? take_answer(errand, mail) : NULL;
	if (pages == NULL) {
		errand->is_sent = false;
		far_is_due(hub, slot);
		return;
	}
	pages->from = mail->since.seq;
	pages->is_recovered = mail->is_recovered;
	pages->is_latest = mail->is_latest;
	pages->lost = mail->lost;
	struct hub_mail back = {
		.epoch = mail->epoch, .seq = log_next(&channel->log) - 1, .answer = pages};
	errand_answer(hub, errand, &back);
}

static void receive_history(struct hub *hub, struct errand *errand, const struct far_mail *mail)
{
	struct mail_answer *pages = take_pages(errand);
	struct slice name = slice_of(errand->ask->name, errand->ask->name_len);
	bool is_whole = pages != NULL && are_of(pages, name, mail->epoch) &&
	                (pages->count == 0 || pages->records[pages->count - 1]->seq == mail->seq);
	if (!is_whole) {
		answer_free(pages);
		errand->is_sent = false;
		return;
	}
	pages->has_more = mail->has_more;
	struct hub_mail back = {.epoch = mail->epoch, .seq = mail->seq, .answer = pages};
	errand_answer(hub, errand, &back);
}

static void receive_answer(struct hub *hub, struct hub_slot *slot, const struct far_mail *mail)
{
	struct errand *errand = errand_of(hub, mail);
	if (errand == NULL)
		return;
	if (mail->kind == FAR_PAGE)
		receive_page(errand, mail);
	else if (mail->error != ERROR_NONE)
		errand_later(hub, errand);
	else if (mail->kind == FAR_PUBLISHED)
		receive_published(hub, errand, mail);
	else if (mail->kind == FAR_FOLLOWED)
		receive_followed(hub, slot, errand, mail);
	else
		receive_history(hub, errand, mail);
}

void tail_receive(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	struct hub_slot *slot = far_slot(hub, mail->slot);
	if (slot->home != HOME_ELSEWHERE || slot->node != node) {
		hub->counters.stale_letters++;
		return;
	}
	switch ((enum far_kind)mail->kind) {
	case FAR_TAILED:
		receive_tailed(hub, slot, mail);
		break;
	case FAR_RECORDS:
		receive_records(hub, slot, mail);
		break;
	case FAR_SYNCING:
		receive_syncing(slot);
		break;
	case FAR_DIGEST:
		receive_digest(hub, slot, mail);
		break;
	case FAR_SHOWN:
	case FAR_NEWS:
		presence_far_receive(hub, slot, mail);
		break;
	default:
		receive_answer(hub, slot, mail);
		break;
	}
}
