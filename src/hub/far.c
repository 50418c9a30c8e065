/*
 * Slots and their roles, nodes that come and go, and whose turn it is. What a home does is in
 * far_home.c, what is done where the home is elsewhere in far_tail.c, what replicas do in
 * far_replica.c, and what becomes of streams that part in far_merge.c.
 */
#include "hub/far.h"

#include <stdlib.h>

#include "hub/far_state.h"

#define SLAB_COUNT_MAX (1u << 30)

static uint32_t slot_count(const struct hub *hub)
{
	const struct hub_options *options = &hub->options;
	return (SLOTS - options->worker + options->workers - 1) / options->workers;
}

static void slot_init(struct hub_slot *slot, uint32_t number)
{
	slot->number = (uint16_t)number;
	list_init(&slot->channels);
	list_init(&slot->saves);
	list_init(&slot->proposals);
	list_init(&slot->errands);
	list_init(&slot->reporting);
	slot->told_node = -1;
}

bool far_init(struct hub *hub)
{
	struct hub_far *far = calloc(1, sizeof(*far));
	struct hub_slot *slots = calloc(slot_count(hub), sizeof(*slots));
	if (far == NULL || slots == NULL ||
	    slab_init(&far->proposals, sizeof(struct proposal), SLAB_COUNT_MAX) != 0 ||
	    slab_init(&far->errands, sizeof(struct errand), ERRANDS_MAX) != 0 ||
	    slab_init(&far->waiters, sizeof(struct waiter), SLAB_COUNT_MAX) != 0) {
		free(far);
		free(slots);
		return false;
	}
	far->slots = slots;
	far->mark = random_next(&hub->random);
	list_init(&far->due);
	list_init(&far->waiting);
	list_init(&far->errands_by_age);
	list_init(&far->presences_waiting);
	list_init(&far->unwhole);
	for (uint32_t i = 0; i < slot_count(hub); i++)
		slot_init(&slots[i], i * hub->options.workers + hub->options.worker);
	hub->far = far;
	return true;
}

static void proposals_drop(struct hub *hub, struct hub_slot *slot)
{
	struct list_node *node;
	while ((node = list_first(&slot->proposals)) != NULL) {
		struct proposal *proposal = CONTAINER_OF(node, struct proposal, in_slot);
		if (proposal_is_counted(proposal))
			proposal->channel->far->proposals--;
		if (proposal->record != NULL)
			record_drop(proposal->record);
		waiters_drop(hub, proposal->waiters);
		list_remove(node);
		slab_release(&hub->far->proposals, proposal);
	}
}

void far_stop(struct hub *hub)
{
	struct list_node *node;
	while ((node = list_first(&hub->far->errands_by_age)) != NULL)
		errand_drop(hub, CONTAINER_OF(node, struct errand, by_age));
	waiters_drop(hub, hub->far->owed_first);
	hub->far->owed_first = NULL;
	for (uint32_t i = 0; i < slot_count(hub); i++) {
		proposals_drop(hub, &hub->far->slots[i]);
		restoring_drop(&hub->far->slots[i]);
	}
}

void far_free(struct hub *hub)
{
	for (uint32_t i = 0; i < slot_count(hub); i++)
		free(hub->far->slots[i].edges);
	free(hub->far->slots);
	slab_free(&hub->far->proposals);
	slab_free(&hub->far->errands);
	slab_free(&hub->far->waiters);
	free(hub->far);
	hub->far = NULL;
}

/* ---- channels ---- */

static bool keeps_history(const struct hub_slot *slot)
{
	return slot->home == HOME_HERE || slot->is_replica;
}

bool far_open(struct hub *hub, struct channel *channel)
{
	struct channel_far *far = calloc(1, sizeof(*far));
	if (far == NULL)
		return false;
	struct hub_slot *slot = far_slot(hub, channel->slot);
	far->channel = channel;
	far->stream = slot->stream;
	channel->far = far;
	channel->keeps_none = !keeps_history(slot);
	list_append(&slot->channels, &far->in_slot);
	return true;
}

struct channel *far_channel_behind(const struct hub *hub, const struct channel *channel)
{
	const struct hub_slot *slot = far_slot(hub, channel->slot);
	struct list_node *node = list_after(&slot->channels, &channel->far->in_slot);
	return node == NULL ? NULL : CONTAINER_OF(node, struct channel_far, in_slot)->channel;
}

void far_close(struct hub *hub, struct channel *channel)
{
	struct hub_slot *slot = far_slot(hub, channel->slot);
	CHECK(channel->far->proposals == 0);
	CHECK(channel->far->errands == 0);
	struct list_node *node = list_first(&slot->saves);
	for (; node != NULL; node = list_after(&slot->saves, node)) {
		struct hub_save *save = CONTAINER_OF(node, struct hub_save, in_slot);
		if (save->channel != channel)
			continue;
		*save = (struct hub_save){.in_slot = save->in_slot,
		                          .is_fork = save->is_fork,
		                          .channel = far_channel_behind(hub, channel)};
	}
	if (slot->restoring.channel == channel)
		restoring_drop(slot);
	presence_tell_skip(hub, channel);
	presence_audit_skip(hub, channel);
	list_remove(&channel->far->in_slot);
}

void far_keys_moved(struct hub *hub, const struct channel *channel)
{
	struct hub_slot *slot = far_slot(hub, channel->slot);
	struct list_node *node = list_first(&slot->saves);
	for (; node != NULL; node = list_after(&slot->saves, node)) {
		struct hub_save *save = CONTAINER_OF(node, struct hub_save, in_slot);
		if (save->channel == channel)
			save->key = (struct duplicates_place){0};
	}
}

uint64_t far_name_hash(const struct channel *channel)
{
	static const struct hash_key everywhere_the_same = {{0x6e616d65, 0}};
	return hash_bytes(&everywhere_the_same, channel_name(channel));
}

/* Its home says when it ends (ENTRY_CLOSE), but of what has come by the slot's log alone: of
 * others, that were followed here and in which nothing was said, it says nothing. */
static bool is_copied(const struct hub_slot *slot, const struct channel *channel)
{
	return slot->is_replica && channel->is_tuned && channel->far->is_known;
}

bool far_keeps(const struct hub *hub, const struct channel *channel)
{
	const struct hub_slot *slot = far_slot(hub, channel->slot);
	return slot->home != HOME_HERE && is_copied(slot, channel) && !channel->far->is_interested;
}

bool far_may_end(struct hub *hub, struct channel *channel)
{
	const struct hub_slot *slot = far_slot(hub, channel->slot);
	if (slot->home == HOME_HERE)
		return !channel->far->is_known || home_propose_end(hub, channel);
	/* What is being restored in it would be left out. */
	return !is_copied(slot, channel) && slot->restoring.channel != channel;
}

bool far_is_in_doubt(const struct hub *hub, const struct channel *channel)
{
	const struct hub_slot *slot = far_slot(hub, channel->slot);
	return slot->restoring.channel == channel ||
	       (slot->home == HOME_HERE && !far_is_whole(slot));
}

void far_give_up(struct hub *hub, struct channel *channel)
{
	if (channel->far->is_interested)
		tail_give_up(hub, channel);
}

/* ---- letters ---- */

void far_send(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	hub->options.cluster->send(hub->options.cluster, node, mail);
}

size_t far_fit(struct record *const *records, size_t count)
{
	uint64_t bytes = 0;
	size_t fit = 0;
	while (fit < count && (fit == 0 || bytes + record_bytes(records[fit]) <= FAR_BYTES_MAX))
		bytes += record_bytes(records[fit++]);
	return fit;
}

struct slice far_make_key(struct hub *hub, char out[FAR_KEY_BYTES])
{
	uint64_t words[2] = {hub->far->mark, ++hub->far->retries};
	static_assert(sizeof(words) == FAR_KEY_BYTES, "a key is two words");
	memcpy(out, words, sizeof(words));
	return slice_of(out, sizeof(words));
}

static bool is_from_home(enum far_kind kind)
{
	return kind == FAR_PUBLISHED || kind == FAR_TAILED || kind == FAR_PAGE ||
	       kind == FAR_FOLLOWED || kind == FAR_HISTORY_READY || kind == FAR_RECORDS ||
	       kind == FAR_SYNCING || kind == FAR_DIGEST || kind == FAR_SHOWN || kind == FAR_NEWS;
}

void hub_far_receive(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	CHECK(node < HUB_NODES_MAX);
	if (mail->slot % hub->options.workers != hub->options.worker ||
	    !far_bit(hub->far->up, node))
		hub->counters.stale_letters++;
	else if (is_from_home((enum far_kind)mail->kind))
		tail_receive(hub, node, mail);
	else
		home_receive(hub, node, mail);
}

/* ---- who waits ---- */

struct waiter *waiter_make(struct hub *hub, bool is_far, uint32_t from, struct slab_handle token)
{
	struct waiter *waiter = slab_take(&hub->far->waiters);
	if (waiter == NULL)
		return NULL;
	waiter->is_far = is_far;
	waiter->from = from;
	waiter->token = token;
	waiter->born_ms = hub->now_ms;
	return waiter;
}

void waiters_drop(struct hub *hub, struct waiter *waiters)
{
	while (waiters != NULL) {
		struct waiter *next = waiters->next;
		slab_release(&hub->far->waiters, waiters);
		waiters = next;
	}
}

static void answer_node(struct hub *hub, const struct waiter *waiter, uint16_t slot)
{
	struct far_mail mail = {.kind = FAR_PUBLISHED,
	                        .error = (uint8_t)waiter->result.error,
	                        .is_duplicate = waiter->result.is_duplicate,
	                        .slot = slot,
	                        .token = waiter->token,
	                        .epoch = waiter->result.epoch,
	                        .seq = waiter->result.seq};
	if (far_bit(hub->far->up, waiter->from))
		far_send(hub, waiter->from, &mail);
}

static void owe(struct hub_far *far, struct waiter *waiter)
{
	waiter->next = NULL;
	if (far->owed_first == NULL)
		far->owed_first = waiter;
	else
		far->owed_last->next = waiter;
	far->owed_last = waiter;
}

static void pay_owed(struct hub *hub)
{
	struct waiter *waiter;
	while ((waiter = hub->far->owed_first) != NULL && hub_has_room(hub)) {
		hub->far->owed_first = waiter->next;
		agent_reply_published(hub, waiter->from, waiter->token, &waiter->result);
		slab_release(&hub->far->waiters, waiter);
	}
}

void waiters_answer(struct hub *hub, struct waiter *waiters, uint16_t slot,
                    const struct publish_result *result)
{
	while (waiters != NULL) {
		struct waiter *waiter = waiters;
		waiters = waiter->next;
		waiter->result = *result;
		waiter->result.is_duplicate |= waiter->is_duplicate;
		if (!waiter->is_far && (hub->far->owed_first != NULL || !hub_has_room(hub))) {
			owe(hub->far, waiter);
			continue;
		}
		if (waiter->is_far)
			answer_node(hub, waiter, slot);
		else
			agent_reply_published(hub, waiter->from, waiter->token, &waiter->result);
		slab_release(&hub->far->waiters, waiter);
	}
}

/* ---- roles ---- */

void far_is_due(struct hub *hub, struct hub_slot *slot)
{
	if (list_is_linked(&slot->due))
		list_remove(&slot->due);
	list_append(&hub->far->due, &slot->due);
}

/* For memory, for room in the post, or because it has only just been tried. */
static void waits(struct hub *hub, struct hub_slot *slot)
{
	if (!list_is_linked(&slot->due))
		list_append(&hub->far->waiting, &slot->due);
}

static void keep_or_not(struct hub_slot *slot)
{
	struct list_node *node = list_first(&slot->channels);
	for (; node != NULL; node = list_after(&slot->channels, node))
		CONTAINER_OF(node, struct channel_far, in_slot)->channel->keeps_none =
			!keeps_history(slot);
}

static void orders_are_due(struct hub_slot *slot)
{
	struct list_node *node = list_first(&slot->channels);
	for (; node != NULL; node = list_after(&slot->channels, node))
		order_is_due(slot, CONTAINER_OF(node, struct channel_far, in_slot)->channel);
}

static void errands_unsent(struct hub_slot *slot)
{
	struct list_node *node = list_first(&slot->errands);
	for (; node != NULL; node = list_after(&slot->errands, node))
		CONTAINER_OF(node, struct errand, in_slot)->is_sent = false;
}

void hub_set_role(struct hub *hub, uint32_t number, const struct hub_role *role)
{
	struct hub_slot *slot = far_slot(hub, number);
	bool was_home = slot->home == HOME_HERE, is_home = role->home == HOME_HERE;
	bool is_moved = slot->home != role->home || slot->node != role->node;
	bool is_new_stream = slot->stream != role->stream;
	if (was_home && !is_home)
		hub_revoke(hub, number);
	slot->home = role->home;
	slot->node = role->node;
	slot->is_leaving = role->stream == 0 && (slot->stream != 0 || slot->is_leaving);
	slot->stream = role->stream;
	slot->is_replica = role->is_replica;
	keep_or_not(slot);
	if (!is_moved && !is_new_stream)
		return;
	tail_lose_touch(slot); /* it is asked for nothing before it is told all */
	if (was_home && !is_home)
		home_end(hub, slot);
	if (is_new_stream) {
		slot->agreed_ms = 0; /* that was said of another one */
		orders_are_due(slot);
	}
	if (is_home)
		home_begin(hub, slot);
	errands_unsent(slot);
	far_is_due(hub, slot);
}

void hub_node_up(struct hub *hub, uint32_t node)
{
	CHECK(node < HUB_NODES_MAX);
	far_set(hub->far->up, node, true);
	far_set(hub->far->gone, node, false);
	far_set(hub->far->dead, node, false); /* it says anew whom it has */
	bool is_back = far_bit(hub->far->lost, node);
	if (is_back)
		hub->far->back_ms = hub->now_ms;
	for (uint32_t i = 0; i < slot_count(hub); i++) {
		struct hub_slot *slot = &hub->far->slots[i];
		home_node_changed(slot, node);
		/* There may be a home on the other side, too, and only one of the two stays. */
		if (is_back && slot->home == HOME_HERE)
			presence_await_nodes(hub, slot);
		if (slot->home != HOME_ELSEWHERE || slot->node != node)
			continue;
		tail_lose_touch(slot);
		errands_unsent(slot);
		far_is_due(hub, slot);
	}
}

void hub_node_down(struct hub *hub, uint32_t node)
{
	CHECK(node < HUB_NODES_MAX);
	far_set(hub->far->up, node, false);
	far_set(hub->far->gone, node, true);
	hub->far->sweep_next = 0;
	for (uint32_t i = 0; i < slot_count(hub); i++) {
		struct hub_slot *slot = &hub->far->slots[i];
		home_node_changed(slot, node);
		if (slot->home == HOME_ELSEWHERE && slot->node == node)
			tail_lose_touch(slot);
	}
}

void hub_node_gone(struct hub *hub, uint32_t node, bool is_sure)
{
	CHECK(node < HUB_NODES_MAX);
	far_set(hub->far->dead, node, true);
	far_set(hub->far->lost, node, !is_sure);
	hub->far->sweep_next = 0;
	for (uint32_t i = 0; i < slot_count(hub); i++) {
		struct hub_slot *slot = &hub->far->slots[i];
		if (slot->told_node == (int16_t)node)
			slot->told_node = -1; /* another one may have its number */
	}
}

/* ---- turns ---- */

/* Channels forget nodes that are gone, some at a time. True: there are more. */
static bool sweep(struct hub *hub, uint32_t budget)
{
	struct hub_far *far = hub->far;
	if (!channel_any(far->gone, CHANNEL_NODE_WORDS) &&
	    !channel_any(far->dead, CHANNEL_NODE_WORDS))
		return false;
	for (; far->sweep_next < slab_span(&hub->channels); far->sweep_next++) {
		struct channel *channel = slab_by_index(&hub->channels, far->sweep_next);
		if (budget-- == 0)
			return true;
		if (channel == NULL || channel->far == NULL)
			continue;
		for (unsigned i = 0; i < CHANNEL_NODE_WORDS; i++)
			channel->far->nodes[i] &= ~far->gone[i];
		presence_forget_nodes(hub, channel, far->dead);
		agent_settle(hub, channel);
	}
	memset(far->gone, 0, sizeof(far->gone));
	memset(far->dead, 0, sizeof(far->dead));
	return false;
}

/* True: there is more, for later. */
static bool slot_turn(struct hub *hub, struct hub_slot *slot, uint32_t *budget)
{
	bool has_more = home_turn(hub, slot);
	has_more |= tail_turn(hub, slot);
	has_more |= errands_turn(hub, slot, budget);
	return has_more;
}

/* All those whose channels we follow, at once: it is one short letter a slot, each SYNC_ASK_MS. */
static void ask_homes(struct hub *hub)
{
	struct hub_far *far = hub->far;
	if (hub->now_ms - far->asked_ms < SYNC_ASK_MS)
		return;
	far->asked_ms = hub->now_ms;
	for (uint32_t i = 0; i < slot_count(hub); i++)
		tail_ask_home(hub, &far->slots[i]);
}

/* Each slot in its turn: so a turn looks at those who are present in some slots' channels. */
static void audits_are_due(struct hub *hub)
{
	uint32_t some = slot_count(hub) / (PRESENCE_AUDIT_MS / HUB_FAR_MS) + 1;
	struct presence_audit *audit = &hub->far->audit;
	if (hub->presences.count == 0)
		some = 0;
	/* Where that takes longer than it should, it is no more than all of them. */
	audit->due = audit->due + some < slot_count(hub) ? audit->due + some : slot_count(hub);
}

/* True: there is more. */
static bool audits_turn(struct hub *hub)
{
	struct presence_audit *audit = &hub->far->audit;
	for (; audit->due > 0 && hub->far->people > 0; audit->due--) {
		struct hub_slot *slot = &hub->far->slots[audit->next];
		if (slot->home == HOME_HERE && !presence_audit(hub, slot))
			return true;
		audit->next = (audit->next + 1) % slot_count(hub);
	}
	return audit->due > 0;
}

bool hub_far_has_more(const struct hub *hub)
{
	return !list_is_empty(&hub->far->due);
}

bool hub_far_turn(struct hub *hub, uint32_t budget, uint32_t people)
{
	struct hub_far *far = hub->far;
	far->people = people;
	pay_owed(hub);
	if (hub->now_ms - far->tried_ms >= HUB_FAR_MS) {
		far->tried_ms = hub->now_ms;
		list_move_all(&far->due, &far->waiting);
		errands_again(hub);
		presence_far_again(hub);
		audits_are_due(hub);
		presence_far_found(hub);
		ask_homes(hub);
	}
	struct list_node *last = list_is_empty(&far->due) ? NULL : far->due.ends.prev;
	while (last != NULL && budget > 0) {
		struct list_node *node = list_first(&far->due);
		struct hub_slot *slot = CONTAINER_OF(node, struct hub_slot, due);
		list_remove(node);
		budget--;
		if (slot_turn(hub, slot, &budget))
			waits(hub, slot);
		if (node == last)
			break;
	}
	bool has_more = audits_turn(hub);
	has_more |= sweep(hub, budget + 1);
	return has_more || !list_is_empty(&far->due);
}
