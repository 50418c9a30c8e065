/*
 * What the home of a slot does beyond its node: proposes records, sends them to the nodes that
 * follow once they are committed, and knows who those are.
 *
 * A record that waits for its commit is in no log: only its number and its idempotency key are
 * taken. Commits come in the order of proposals, over all channels of a slot. Where there is no
 * room for what follows from one, it and those behind it wait, in order.
 */
#include <stdlib.h>

#include "hub/far_state.h"

/* ---- proposals ---- */

/* Is its order kept on replicas? What holds no messages is not worth it. */
static bool is_replicated(const struct channel *channel)
{
	return channel->rule->history_size > 0 || channel->rule->deliver_last;
}

bool home_proposes(const struct channel *channel)
{
	/* What is under way comes first, whatever the rule says by now. */
	return is_replicated(channel) || channel->far->proposals > 0;
}

static enum hub_proposed propose(struct hub *hub, uint16_t slot, const struct hub_entry *entry)
{
	struct hub_cluster *cluster = hub->options.cluster;
	return cluster->propose(cluster, slot, entry);
}

static void proposal_add(struct hub_slot *slot, struct proposal *proposal, enum hub_proposed how)
{
	list_append(&slot->proposals, &proposal->in_slot);
	slot->proposed++;
	if (how == HUB_COMMITTED) {
		CHECK(slot->committed + 1 == slot->proposed);
		slot->committed++;
	}
}

/* It is in the slot's log, or will be; NULL: not now. */
static struct proposal *proposal_make(struct hub *hub, uint16_t slot, const struct hub_entry *entry,
                                      enum hub_proposed *how)
{
	struct proposal *proposal = slab_take(&hub->far->proposals);
	*how = proposal == NULL ? HUB_UNPROPOSED : propose(hub, slot, entry);
	if (proposal == NULL || *how != HUB_UNPROPOSED)
		return proposal;
	slab_release(&hub->far->proposals, proposal);
	return NULL;
}

/* False: no memory; without that its fork would be taken in again. */
static bool note_origin(const struct hub *hub, struct channel *channel, const struct cursor *origin)
{
	return origin->epoch == 0 ||
	       pasts_mark(&channel->far->pasts, origin->epoch, origin->seq, hub->now_ms);
}

struct publish_result home_propose(struct hub *hub, struct channel *channel, struct record *record,
                                   struct waiter *waiters, struct cursor origin)
{
	struct hub_slot *slot = far_slot(hub, channel->slot);
	struct hub_entry entry = {
		.kind = ENTRY_RECORD, .record = record, .epoch = origin.epoch, .seq = origin.seq};
	struct publish_result result = {.epoch = record->epoch, .seq = record->seq};
	enum hub_proposed how;
	struct proposal *proposal = proposal_make(hub, channel->slot, &entry, &how);
	channel->far->is_known |= proposal != NULL;
	if (how == HUB_COMMITTED && slot->proposed == 0 && note_origin(hub, channel, &origin) &&
	    agent_commit(hub, channel, record)) {
		slab_release(&hub->far->proposals, proposal);
		return result;
	}
	if (proposal != NULL) {
		proposal->channel = channel;
		proposal->record = record;
		proposal->epoch = record->epoch;
		proposal->seq = record->seq;
		proposal->origin = origin;
		proposal->waiters = waiters;
		channel->far->proposals++;
		proposal_add(slot, proposal, how);
		far_is_due(hub, slot);
		result.is_pending = true;
		return result;
	}
	channel->offset -= record_bytes(record);
	agent_forget(hub, channel, record, record->seq);
	agent_settle(hub, channel);
	if (waiters == NULL || waiters->is_far) { /* a node tries again by itself */
		record_drop(record);
		return (struct publish_result){.error = ERROR_UNAVAILABLE};
	}
	record_unsettle(record);
	errand_publish(hub, channel->slot, record, waiters);
	result.is_pending = true;
	return result;
}

static struct proposal *proposal_find(struct hub_slot *slot, const struct channel *channel,
                                      uint64_t seq)
{
	struct list_node *node = slot->proposals.ends.prev;
	for (; node != &slot->proposals.ends; node = node->prev) {
		struct proposal *proposal = CONTAINER_OF(node, struct proposal, in_slot);
		if (proposal->channel == channel && proposal->seq == seq)
			return proposal;
	}
	return NULL;
}

/* A node asks again what is not answered: it is told once. */
static bool waits_already(const struct proposal *proposal, const struct waiter *asker)
{
	const struct waiter *waiter = proposal->waiters;
	while (waiter != NULL && (!waiter->is_far || waiter->from != asker->from ||
	                          waiter->token.index != asker->token.index ||
	                          waiter->token.generation != asker->token.generation))
		waiter = waiter->next;
	return waiter != NULL;
}

struct publish_result home_wait(struct hub *hub, struct channel *channel, uint64_t seq,
                                struct waiter *waiters, bool is_duplicate)
{
	struct proposal *proposal = proposal_find(far_slot(hub, channel->slot), channel, seq);
	CHECK(proposal != NULL); /* its key is remembered, and it is not in the log */
	if (waiters->is_far && waits_already(proposal, waiters)) {
		CHECK(waiters->next == NULL);
		waiters_drop(hub, waiters);
		return (struct publish_result){.is_pending = true};
	}
	for (struct waiter *waiter = waiters; waiter != NULL; waiter = waiter->next)
		waiter->is_duplicate = is_duplicate;
	struct waiter **last = &proposal->waiters;
	while (*last != NULL)
		last = &(*last)->next;
	*last = waiters;
	return (struct publish_result){.is_pending = true};
}

bool home_propose_end(struct hub *hub, struct channel *channel)
{
	struct hub_entry entry = {
		.kind = ENTRY_CLOSE, .epoch = channel->epoch, .name = channel_name(channel)};
	struct hub_slot *slot = far_slot(hub, channel->slot);
	enum hub_proposed how;
	struct proposal *proposal = proposal_make(hub, channel->slot, &entry, &how);
	if (proposal == NULL)
		return false;
	if (how == HUB_COMMITTED && slot->proposed == 0)
		slab_release(&hub->far->proposals, proposal);
	else
		proposal_add(slot, proposal, how);
	return true;
}

bool home_propose_gap(struct hub *hub, struct channel *channel, struct cursor lost)
{
	struct hub_entry entry = {.kind = ENTRY_CHANNEL,
	                          .epoch = channel->epoch,
	                          .seq = channel_next(channel),
	                          .name = channel_name(channel)};
	struct hub_slot *slot = far_slot(hub, channel->slot);
	enum hub_proposed how;
	struct proposal *proposal = proposal_make(hub, channel->slot, &entry, &how);
	if (proposal == NULL)
		return false;
	proposal->is_gap = true;
	proposal->channel = channel;
	proposal->epoch = entry.epoch;
	proposal->seq = entry.seq;
	proposal->origin = lost;
	channel->far->proposals++;
	channel->far->is_known = true;
	proposal_add(slot, proposal, how);
	far_is_due(hub, slot);
	return true;
}

/* ---- commits ---- */

/* It has a place in an order that is not the channel's any more: others have it. */
static bool is_outdated(const struct proposal *proposal)
{
	const struct channel *channel = proposal->channel;
	return channel->epoch != proposal->epoch || log_next(&channel->log) != proposal->seq;
}

static bool proposal_gap(struct hub *hub, struct proposal *proposal)
{
	struct channel *channel = proposal->channel;
	if (!proposal->is_told) {
		if (!is_outdated(proposal) && !order_gap(hub, channel, proposal->seq))
			return false;
		proposal->is_told = true;
		channel->far->proposals--;
		home_doubt_nodes(hub, channel);
		agent_settle(hub, channel);
	}
	bool has_rest =
		channel->epoch == proposal->epoch && channel->far->begun == proposal->seq + 1;
	return !has_rest || order_join(hub, channel);
}

static bool proposal_record(struct hub *hub, struct proposal *proposal)
{
	struct channel *channel = proposal->channel;
	if (proposal->is_gap)
		return proposal_gap(hub, proposal);
	if (proposal->record == NULL)
		return true;
	if (is_outdated(proposal))
		record_drop(proposal->record);
	else if (!note_origin(hub, channel, &proposal->origin) ||
	         !agent_commit(hub, channel, proposal->record))
		return false;
	proposal->record = NULL;
	channel->far->proposals--;
	agent_settle(hub, channel);
	return true;
}

/* False: there is no room for what follows from it yet. */
static bool proposal_settle(struct hub *hub, struct proposal *proposal)
{
	if (!hub_has_room(hub) || !proposal_record(hub, proposal))
		return false;
	struct publish_result result = {.epoch = proposal->epoch, .seq = proposal->seq};
	if (proposal->channel != NULL)
		waiters_answer(hub, proposal->waiters, proposal->channel->slot, &result);
	proposal->waiters = NULL;
	return true;
}

/* True: some that are committed wait. */
static bool settle_committed(struct hub *hub, struct hub_slot *slot)
{
	while (slot->committed > 0) {
		struct list_node *node = list_first(&slot->proposals);
		struct proposal *proposal = CONTAINER_OF(node, struct proposal, in_slot);
		if (!proposal_settle(hub, proposal))
			return true;
		list_remove(node);
		slot->proposed--;
		slot->committed--;
		slab_release(&hub->far->proposals, proposal);
	}
	return false;
}

void hub_commit(struct hub *hub, uint32_t number)
{
	struct hub_slot *slot = far_slot(hub, number);
	CHECK(slot->committed < slot->proposed);
	slot->committed++;
	if (settle_committed(hub, slot))
		far_is_due(hub, slot);
}

/* The fork will come again, to whoever is home. */
static void gap_revoke(struct hub *hub, struct channel *channel, const struct proposal *proposal)
{
	struct past *past = pasts_find(&channel->far->pasts, proposal->origin.epoch);
	if (past != NULL)
		past->told = 0;
	channel->far->proposals--;
	agent_settle(hub, channel);
}

/* Nodes that asked try again by themselves; for those of ours another home is asked. */
static void proposal_revoke(struct hub *hub, struct proposal *proposal)
{
	struct channel *channel = proposal->channel;
	struct publish_result refused = {.error = ERROR_UNAVAILABLE};
	if (channel == NULL) /* it was the end of one, and that is not so important */
		return;
	if (proposal->is_gap) {
		gap_revoke(hub, channel, proposal);
		return;
	}
	agent_forget(hub, channel, proposal->record, proposal->seq);
	channel->offset -= record_bytes(proposal->record);
	channel->far->proposals--;
	struct waiter **link = &proposal->waiters;
	while (*link != NULL) {
		struct waiter *waiter = *link;
		link = waiter->is_far ? link : &waiter->next;
		if (!waiter->is_far)
			continue;
		*link = waiter->next;
		waiter->next = NULL;
		waiters_answer(hub, waiter, channel->slot, &refused);
	}
	record_unsettle(proposal->record);
	if (proposal->waiters == NULL)
		record_drop(proposal->record);
	else
		errand_publish(hub, channel->slot, proposal->record, proposal->waiters);
	agent_settle(hub, channel);
}

void hub_revoke(struct hub *hub, uint32_t number)
{
	struct hub_slot *slot = far_slot(hub, number);
	struct list revoked;
	list_init(&revoked);
	for (; slot->proposed > slot->committed; slot->proposed--) {
		struct list_node *node = slot->proposals.ends.prev;
		list_remove(node);
		list_insert_before(revoked.ends.next, node);
	}
	struct list_node *node;
	while ((node = list_first(&revoked)) != NULL) {
		struct proposal *proposal = CONTAINER_OF(node, struct proposal, in_slot);
		list_remove(node);
		proposal_revoke(hub, proposal);
		slab_release(&hub->far->proposals, proposal);
	}
	far_is_due(hub, slot);
}

void home_forget(struct hub *hub, struct hub_slot *slot)
{
	struct list_node *node;
	CHECK(slot->proposed == slot->committed);
	while ((node = list_first(&slot->proposals)) != NULL) {
		struct proposal *proposal = CONTAINER_OF(node, struct proposal, in_slot);
		struct publish_result result = {.epoch = proposal->epoch, .seq = proposal->seq};
		list_remove(node);
		if (proposal_is_counted(proposal))
			proposal->channel->far->proposals--;
		if (proposal->record != NULL)
			record_drop(proposal->record);
		waiters_answer(hub, proposal->waiters, slot->number, &result);
		slab_release(&hub->far->proposals, proposal);
	}
	slot->proposed = slot->committed = 0;
}

/* ---- to become home, and to be it no more ---- */

static void channel_begin(struct hub *hub, const struct hub_slot *slot, struct channel *channel)
{
	struct channel_far *far = channel->far;
	memset(far->nodes, 0, sizeof(far->nodes));
	far->is_interested = far->is_asking = far->is_behind = false;
	far->sync_to = 0;
	/* Nodes say now from where on they follow, and may lack what the home before has not sent.
	 */
	channel->unused_since_ms = (uint32_t)hub->now_ms;
	if (!channel->is_tuned) {
		channel->is_tuned = true;
		channel->epoch = hub_make_epoch(hub);
	} else {
		far->is_renewing = far->stream != slot->stream || !is_replicated(channel);
	}
	if (!far->is_renewing)
		far->stream = slot->stream;
	struct presence *presence = presence_of(hub, channel);
	if (presence != NULL)
		presence_home_begin(hub, presence);
	agent_settle(hub, channel);
}

/* A node that took it for the home all the time does not know that all is to be told anew. */
static void say_begun(struct hub *hub, const struct hub_slot *slot)
{
	struct far_mail knows_nothing = {.kind = FAR_DIGEST, .slot = slot->number};
	for (uint32_t word = 0; word < CHANNEL_NODE_WORDS; word++) {
		for (uint64_t left = hub->far->up[word]; left != 0; left &= left - 1)
			far_send(hub, word * 64 + (uint32_t)__builtin_ctzll(left), &knows_nothing);
	}
}

void home_begin(struct hub *hub, struct hub_slot *slot)
{
	presence_audit_drop(hub, slot);
	memset(slot->synced, 0, sizeof(slot->synced));
	slot->edge_count = 0;
	slot->sum = (struct far_sum){0};
	slot->has_renewing = true;
	slot->begun_ms = slot->unwhole_ms = hub->now_ms;
	slot->has_been_whole = false;
	presence_await_nodes(hub, slot);
	slot->told_node = -1;
	struct list_node *node = list_first(&slot->channels);
	for (; node != NULL; node = list_after(&slot->channels, node))
		channel_begin(hub, slot, CONTAINER_OF(node, struct channel_far, in_slot)->channel);
	say_begun(hub, slot);
}

/* Nobody has what was said in it: if its stream loses, its fork says so. Also where another home
 * goes on with that, as who follows on the other side may have had less than this one gave out. */
static void note_bare(struct hub *hub, struct channel *channel)
{
	uint64_t head = log_next(&channel->log) - 1;
	if (home_proposes(channel) || head == 0)
		return;
	struct past *past = pasts_open(&channel->far->pasts, channel->epoch, hub->now_ms);
	if (past == NULL)
		return;
	past->is_bare = true;
	past->stream = channel->far->stream;
	past->seq = head;
	past->touched_ms = (uint32_t)hub->now_ms;
}

void home_end(struct hub *hub, struct hub_slot *slot)
{
	presence_audit_drop(hub, slot);
	free(slot->edges);
	slot->edges = NULL;
	slot->edge_count = 0;
	slot->has_renewing = false;
	slot->agreed_ms = hub->now_ms; /* nobody knew better */
	if (list_is_linked(&slot->unwhole))
		list_remove(&slot->unwhole);
	struct list_node *node = list_first(&slot->channels);
	for (; node != NULL; node = list_after(&slot->channels, node)) {
		struct channel_far *far = CONTAINER_OF(node, struct channel_far, in_slot);
		memset(far->nodes, 0, sizeof(far->nodes));
		far->is_renewing = false;
		note_bare(hub, far->channel);
		struct presence *presence = presence_of(hub, far->channel);
		if (presence != NULL)
			presence_home_end(hub, presence);
		agent_settle(hub, far->channel);
	}
}

/* ---- who follows ---- */

struct slot_edge *home_edge(struct hub_slot *slot, uint32_t node)
{
	if (node >= slot->edge_count) {
		uint32_t count = node + 1 + slot->edge_count / 2;
		struct slot_edge *edges = realloc(slot->edges, count * sizeof(*edges));
		if (edges == NULL)
			return NULL;
		memset(edges + slot->edge_count, 0, (count - slot->edge_count) * sizeof(*edges));
		slot->edges = edges;
		slot->edge_count = count;
	}
	return &slot->edges[node];
}

void home_node_changed(struct hub_slot *slot, uint32_t node)
{
	far_set(slot->synced, node, false);
	if (node < slot->edge_count)
		slot->edges[node] = (struct slot_edge){0};
}

static void send_records(struct hub *hub, struct hub_slot *slot, uint32_t node,
                         struct record *const *records, size_t count)
{
	struct far_mail mail = {.kind = FAR_RECORDS,
	                        .slot = slot->number,
	                        .records = records,
	                        .record_count = count};
	struct slot_edge *edge = home_edge(slot, node);
	if (edge != NULL)
		edge->sum.sent++;
	far_send(hub, node, &mail);
}

/* To those that follow, and to those who have not said yet whom they follow. */
void home_tell_nodes(struct hub *hub, struct channel *channel, struct record *record)
{
	struct hub_slot *slot = far_slot(hub, channel->slot);
	if (slot->home != HOME_HERE)
		return;
	for (uint32_t word = 0; word < CHANNEL_NODE_WORDS; word++) {
		uint64_t left =
			(channel->far->nodes[word] | ~slot->synced[word]) & hub->far->up[word];
		for (; left != 0; left &= left - 1)
			send_records(hub, slot, word * 64 + (uint32_t)__builtin_ctzll(left),
			             &record, 1);
	}
}

/* As if a letter had been lost: it shows at the next record, or in the next digest. */
void home_doubt_nodes(struct hub *hub, const struct channel *channel)
{
	struct hub_slot *slot = far_slot(hub, channel->slot);
	for (uint32_t node = 0; node < slot->edge_count; node++)
		slot->edges[node].sum.sent += far_bit(channel->far->nodes, node);
}

static void set_interest(struct slot_edge *edge, struct channel *channel, uint32_t node, bool is_on)
{
	if (far_bit(channel->far->nodes, node) == is_on)
		return;
	far_set(channel->far->nodes, node, is_on);
	edge->sum.names ^= far_name_hash(channel);
	edge->sum.count += is_on ? 1 : UINT32_MAX;
}

struct slot_edge *home_hear(struct hub *hub, struct hub_slot *slot, uint32_t node,
                            const struct far_mail *mail)
{
	struct slot_edge *edge = home_edge(slot, node);
	if (edge == NULL || mail->counter <= edge->counter) {
		hub->counters.stale_letters++;
		return NULL;
	}
	edge->counter = mail->counter;
	return edge;
}

/* ---- tails ---- */

/* The channel has no home yet, and a node knows its place in the same stream, and knew it a moment
 * ago: had anything been said behind that, it would be known here. */
static void adopt_position(struct channel *channel, const struct far_mail *mail)
{
	channel->epoch = mail->since.epoch;
	log_restart(&channel->log, mail->since.seq + 1);
}

static struct channel *open_for_tail(struct hub *hub, const struct hub_slot *slot,
                                     const struct far_mail *mail)
{
	bool is_there = hub_find(hub, mail->name, hub_hash(hub, mail->name)) != NULL;
	struct channel *channel = agent_open(hub, mail->name);
	if (channel != NULL && !is_there && mail->has_since && mail->since.epoch != 0 &&
	    mail->stream != 0 && mail->stream == slot->stream && is_replicated(channel))
		adopt_position(channel, mail);
	return channel;
}

static void send_tail(struct hub *hub, struct hub_slot *slot, uint32_t node,
                      const struct channel *channel, uint64_t first)
{
	const struct log *log = &channel->log;
	struct record *records[WALK_RECORDS_MAX];
	while (first < log_next(log)) {
		size_t count = 0;
		while (count < WALK_RECORDS_MAX && first + count < log_next(log)) {
			records[count] = log_at(log, first + count);
			count++;
		}
		count = far_fit(records, count);
		send_records(hub, slot, node, records, count);
		first += count;
	}
}

static void receive_tail(struct hub *hub, struct hub_slot *slot, uint32_t node,
                         const struct far_mail *mail)
{
	struct far_mail back = {.kind = FAR_TAILED,
	                        .error = ERROR_UNAVAILABLE,
	                        .slot = mail->slot,
	                        .name = mail->name,
	                        .stream = slot->stream};
	struct slot_edge *edge = home_hear(hub, slot, node, mail);
	if (edge == NULL)
		return;
	struct channel *channel = open_for_tail(hub, slot, mail);
	if (channel == NULL) {
		far_send(hub, node, &back);
		return;
	}
	set_interest(edge, channel, node, true);
	struct follow_result result =
		agent_follow(hub, channel, mail->has_since ? &mail->since : NULL);
	back.error = ERROR_NONE;
	back.epoch = result.epoch;
	back.seq = result.head;
	back.since.seq = result.from;
	far_send(hub, node, &back);
	send_tail(hub, slot, node, channel, result.from + 1);
	agent_settle(hub, channel);
}

static void receive_untail(struct hub *hub, struct hub_slot *slot, uint32_t node,
                           const struct far_mail *mail)
{
	struct slot_edge *edge = home_hear(hub, slot, node, mail);
	struct channel *channel = hub_find(hub, mail->name, hub_hash(hub, mail->name));
	if (edge == NULL || channel == NULL)
		return;
	set_interest(edge, channel, node, false);
	agent_settle(hub, channel);
}

/* ---- whom a node follows, all of it ---- */

static void receive_sync(struct hub *hub, struct hub_slot *slot, uint32_t node,
                         const struct far_mail *mail)
{
	struct slot_edge *edge = home_hear(hub, slot, node, mail);
	if (edge == NULL)
		return;
	edge->is_syncing = true;
	far_set(slot->synced, node, false);
	struct list_node *at = list_first(&slot->channels);
	for (; at != NULL; at = list_after(&slot->channels, at)) {
		struct channel *channel = CONTAINER_OF(at, struct channel_far, in_slot)->channel;
		far_set(channel->far->nodes, node, false);
		agent_settle(hub, channel);
	}
	edge->sum = (struct far_sum){0};
	presence_home_sync(hub, slot, node);
	struct far_mail back = {.kind = FAR_SYNCING, .slot = mail->slot};
	far_send(hub, node, &back);
}

static void receive_synced(struct hub *hub, struct hub_slot *slot, uint32_t node,
                           const struct far_mail *mail)
{
	struct slot_edge *edge = home_hear(hub, slot, node, mail);
	if (edge == NULL || !edge->is_syncing)
		return; /* what came before that another home had, or nobody */
	edge->is_syncing = false;
	far_set(slot->synced, node, true);
	presence_home_synced(hub, slot, node);
}

void home_send_digest(struct hub *hub, const struct hub_slot *slot, uint32_t node)
{
	const struct slot_edge *edge = &slot->edges[node];
	struct far_mail mail = {.kind = FAR_DIGEST,
	                        .slot = slot->number,
	                        .counter = edge->counter,
	                        .sum = edge->sum,
	                        .is_synced = far_bit(slot->synced, node)};
	far_send(hub, node, &mail);
}

static void receive_ask(struct hub *hub, struct hub_slot *slot, uint32_t node)
{
	struct slot_edge *edge = home_edge(slot, node);
	if (edge == NULL)
		return;
	edge->asked_ms = hub->now_ms;
	home_send_digest(hub, slot, node);
}

/* ---- what followers elsewhere begin with, and history ---- */

static void refuse(struct hub *hub, uint32_t node, const struct far_mail *mail, enum far_kind kind)
{
	struct far_mail back = {.kind = (uint8_t)kind,
	                        .error = ERROR_UNAVAILABLE,
	                        .slot = mail->slot,
	                        .token = mail->token};
	far_send(hub, node, &back);
}

static void send_pages(struct hub *hub, uint32_t node, const struct far_mail *mail,
                       struct record *const *records, size_t count)
{
	while (count > 0) {
		size_t fit = far_fit(records, count);
		struct far_mail page = {.kind = FAR_PAGE,
		                        .slot = mail->slot,
		                        .token = mail->token,
		                        .records = records,
		                        .record_count = fit};
		far_send(hub, node, &page);
		records += fit;
		count -= fit;
	}
}

static void receive_follow(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	struct channel *channel = agent_open(hub, mail->name);
	if (channel == NULL) {
		refuse(hub, node, mail, FAR_FOLLOWED);
		return;
	}
	struct follow_result result =
		agent_follow(hub, channel, mail->has_since ? &mail->since : NULL);
	struct mail_answer *answer = agent_answer_follow(channel, &result, mail->has_since);
	agent_settle(hub, channel);
	if (answer == NULL) {
		refuse(hub, node, mail, FAR_FOLLOWED);
		return;
	}
	struct far_mail back = {.kind = FAR_FOLLOWED,
	                        .slot = mail->slot,
	                        .token = mail->token,
	                        .epoch = result.epoch,
	                        .seq = result.head,
	                        .since = {.seq = result.from},
	                        .is_recovered = result.is_recovered,
	                        .is_latest = answer->is_latest,
	                        .lost = answer->lost};
	send_pages(hub, node, mail, answer->records, answer->count);
	far_send(hub, node, &back);
	answer_free(answer);
}

static void receive_history(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	struct history_result result =
		agent_history(hub, mail->name, mail->has_since ? &mail->since : NULL,
	                      mail->has_limit ? &mail->limit : NULL);
	if (result.error != ERROR_NONE) {
		refuse(hub, node, mail, FAR_HISTORY_READY);
		return;
	}
	struct record *records[HISTORY_LIMIT_MAX];
	size_t count = 0;
	for (uint64_t seq = result.first; seq < result.end; seq++)
		records[count++] = log_at(&result.channel->log, seq);
	struct far_mail back = {.kind = FAR_HISTORY_READY,
	                        .slot = mail->slot,
	                        .token = mail->token,
	                        .epoch = result.epoch,
	                        .seq = result.cursor,
	                        .has_more = result.has_more};
	send_pages(hub, node, mail, records, count);
	far_send(hub, node, &back);
}

static void receive_publish(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	struct waiter *waiter = waiter_make(hub, true, node, mail->token);
	if (waiter == NULL || mail->record_count != 1) {
		waiters_drop(hub, waiter);
		refuse(hub, node, mail, FAR_PUBLISHED);
		return;
	}
	struct publish_result result = agent_publish(hub, record_take(mail->records[0]), waiter);
	if (!result.is_pending)
		waiters_answer(hub, waiter, mail->slot, &result);
}

/* What wants an answer is refused: it will be tried again. */
static void not_now(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	if (mail->kind == FAR_PUBLISH)
		refuse(hub, node, mail, FAR_PUBLISHED);
	else if (mail->kind == FAR_FOLLOW)
		refuse(hub, node, mail, FAR_FOLLOWED);
	else if (mail->kind == FAR_HISTORY)
		refuse(hub, node, mail, FAR_HISTORY_READY);
}

void home_receive(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	struct hub_slot *slot = far_slot(hub, mail->slot);
	bool is_question = mail->kind == FAR_FOLLOW || mail->kind == FAR_HISTORY;
	if (slot->home != HOME_HERE || (is_question && slot->committed > 0)) {
		not_now(hub, node, mail);
		return;
	}
	switch ((enum far_kind)mail->kind) {
	case FAR_PUBLISH:
		receive_publish(hub, node, mail);
		break;
	case FAR_TAIL:
		receive_tail(hub, slot, node, mail);
		break;
	case FAR_UNTAIL:
		receive_untail(hub, slot, node, mail);
		break;
	case FAR_FOLLOW:
		receive_follow(hub, node, mail);
		break;
	case FAR_HISTORY:
		receive_history(hub, node, mail);
		break;
	case FAR_SYNC:
		receive_sync(hub, slot, node, mail);
		break;
	case FAR_SYNCED:
		receive_synced(hub, slot, node, mail);
		break;
	case FAR_ASK:
		receive_ask(hub, slot, node);
		break;
	case FAR_PRESENT:
	case FAR_WATCH:
	case FAR_UNWATCH:
		presence_home_receive(hub, slot, node, mail);
		break;
	default:
		CHECK(false); /* hub_far_receive() gives the others to the tail */
	}
}

/* ---- turns ---- */

bool home_turn(struct hub *hub, struct hub_slot *slot)
{
	bool has_more = settle_committed(hub, slot);
	if (!slot->has_renewing)
		return has_more;
	slot->has_renewing = false;
	struct list_node *node = list_first(&slot->channels);
	for (; node != NULL; node = list_after(&slot->channels, node)) {
		struct channel *channel = CONTAINER_OF(node, struct channel_far, in_slot)->channel;
		slot->has_renewing |= !order_renew(hub, channel) || !order_redeem(hub, channel);
	}
	return has_more || slot->has_renewing;
}
