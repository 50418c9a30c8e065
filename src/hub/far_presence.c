/*
 * Who is present, between nodes. The set of a channel's home counts. Any other node is one source
 * of it, reports the numbers of connections that its own workers add up to, and has a mirror of
 * the set while somebody there watches, or asks.
 *
 * A report says a user's number and not how it changed, so that it may come twice. Reports go the
 * way of what tails say (far_tail.c): counted, so that a late one undoes nothing; all of them anew
 * when the home is another, or the link was broken, and whom it does not name then its node has
 * lost; and each second the home says what they add up to, which must be what was reported. What
 * the home really has it adds up each PRESENCE_AUDIT_MS, and says it also to those who have
 * reported nobody and do not ask: so whatever went wrong in between is repaired, too.
 *
 * A new home knows the connections of its own node and what its mirror showed. It is told the rest
 * before it tells anything itself. Who was shown somewhere and has no connection any more, as his
 * node died together with the home, is *expected*: nodes say whom they were shown, and he has a
 * grace. So nobody who was shown is ever missing from a list without having been told gone.
 */
#include <stdlib.h>

#include "hub/far_state.h"

#define SOURCES WORKERS_MAX /* workers are below; from there on it is nodes */

/* The answer to one that asks who is present waits. */
struct presence_ask {
	struct list_node in_presence;
	uint64_t asked_ms;
	struct hub_mail mail;
};

bool presence_far_open(struct hub *hub, struct presence *presence)
{
	struct presence_far *far = calloc(1, sizeof(*far));
	if (far == NULL)
		return false;
	far->presence = presence;
	list_init(&far->asks);
	presence->far = far;
	if (!far_is_home(hub, presence->channel->slot))
		occupants_mirror(&presence->occupants, SOURCES);
	return true;
}

/* It has been answered, or nobody waits for that any more; its letter is the caller's. */
static void ask_drop(struct hub *hub, struct presence_ask *ask)
{
	list_remove(&ask->in_presence);
	hub->far->presence_asks--;
	free(ask);
}

static struct presence_ask *first_ask(const struct presence_far *far)
{
	struct list_node *node = list_first(&far->asks);
	return node == NULL ? NULL : CONTAINER_OF(node, struct presence_ask, in_presence);
}

void presence_far_close(struct hub *hub, struct presence *presence)
{
	struct presence_far *far = presence->far;
	struct presence_ask *ask;
	if (far == NULL)
		return;
	if (list_is_linked(&far->reporting))
		list_remove(&far->reporting);
	if (list_is_linked(&far->waiting))
		list_remove(&far->waiting);
	while ((ask = first_ask(far)) != NULL) {
		free(ask->mail.ask);
		ask_drop(hub, ask);
	}
	free(far);
	presence->far = NULL;
}

static struct hub_slot *slot_of(const struct hub *hub, const struct presence *presence)
{
	return far_slot(hub, presence->channel->slot);
}

/* The presence of the slot's channel that `node` links; NULL: it has none. */
static struct presence *presence_at(const struct hub *hub, struct list_node *node)
{
	return presence_of(hub, CONTAINER_OF(node, struct channel_far, in_slot)->channel);
}

/* ---- letters ---- */

/* A letter that is being filled; where one is not enough there are more. */
struct people {
	struct hub *hub;
	struct hub_slot *slot;
	uint32_t node;
	struct far_mail mail;
	struct far_person people[FAR_PEOPLE_MAX];
};

static void people_begin(struct people *people, struct hub *hub, const struct presence *presence,
                         uint32_t node, enum far_kind kind)
{
	people->hub = hub;
	people->slot = slot_of(hub, presence);
	people->node = node;
	people->mail = (struct far_mail){.kind = (uint8_t)kind,
	                                 .slot = people->slot->number,
	                                 .name = channel_name(presence->channel),
	                                 .show = {.is_first = true},
	                                 .people = people->people};
}

static void people_send(struct people *people)
{
	if (people->mail.kind == FAR_PRESENT)
		people->mail.counter = ++people->slot->counter;
	far_send(people->hub, people->node, &people->mail);
	people->mail.show.is_first = false;
	people->mail.person_count = 0;
}

static void people_add(struct people *people, const struct far_person *person)
{
	if (people->mail.person_count == FAR_PEOPLE_MAX)
		people_send(people);
	people->people[people->mail.person_count++] = *person;
}

static void send_turnout(struct hub *hub, const struct presence *presence, uint32_t node,
                         enum far_kind kind, const struct turnout *turnout)
{
	struct people people;
	people_begin(&people, hub, presence, node, kind);
	struct far_show *show = &people.mail.show;
	show->version = turnout->version;
	show->base = turnout->base;
	show->redo_from = turnout->redo_from;
	show->count = turnout->occupant_count;
	show->has_names = turnout->has_names;
	for (uint32_t i = 0; i < turnout->count; i++) {
		const struct turnout_entry *entry = &turnout->entries[i];
		struct far_person person = {.user = turnout_user(entry),
		                            .info = occupant_info(entry->info),
		                            .connections = entry->connections,
		                            .state = entry->is_present ? PERSON_HERE : PERSON_AWAY};
		people_add(&people, &person);
	}
	show->is_last = true;
	people_send(&people);
}

static void send_name(struct hub *hub, const struct presence *presence, enum far_kind kind)
{
	struct hub_slot *slot = slot_of(hub, presence);
	struct far_mail mail = {.kind = (uint8_t)kind,
	                        .slot = slot->number,
	                        .name = channel_name(presence->channel),
	                        .counter = ++slot->counter};
	far_send(hub, slot->node, &mail);
}

/* The user in the channel of that far_name_hash(); the same on every node. */
static uint64_t place_hash(uint64_t channel, struct slice user)
{
	static const struct hash_key everywhere_the_same = {{0x75736572, 0}};
	return hash_bytes(&everywhere_the_same, user) ^ channel;
}

/* What he counts for there in a digest. */
static uint64_t digest_of(uint64_t place, uint32_t connections)
{
	return connections == 0 ? 0 : occupant_digest(place, connections);
}

static uint64_t user_hash(const struct hub *hub, struct slice user)
{
	return hash_bytes(&hub->options.hash_key, user);
}

/* NULL: no memory. */
static struct occupant *occupant_of(const struct far_person *person)
{
	struct blob *info = person->info.len == 0 ? NULL : blob_copy(person->info);
	if (person->info.len > 0 && info == NULL)
		return NULL;
	return occupant_make(person->user, slice_of(NULL, 0), info);
}

/* ---- whole or not ---- */

bool presence_is_whole(const struct hub *hub, const struct presence *presence)
{
	const struct presence_far *far = presence->far;
	if (far == NULL)
		return true;
	const struct hub_slot *slot = slot_of(hub, presence);
	return presence_leads(presence) ? far_is_whole(slot)
	                                : far->mirror == MIRROR_WHOLE && far_is_in_touch(hub, slot);
}

static void await_whole(struct hub *hub, struct presence_far *far)
{
	if (!list_is_linked(&far->waiting))
		list_append(&hub->far->presences_waiting, &far->waiting);
}

bool presence_wait(struct hub *hub, struct presence *presence, const struct hub_mail *mail)
{
	bool is_full = hub->far->presence_asks >= PRESENCE_ASKS_MAX;
	struct presence_ask *ask = is_full ? NULL : malloc(sizeof(*ask));
	if (ask == NULL)
		return false;
	*ask = (struct presence_ask){.asked_ms = hub->now_ms, .mail = *mail};
	list_append(&presence->far->asks, &ask->in_presence);
	hub->far->presence_asks++;
	await_whole(hub, presence->far);
	presence_far_settle(hub, presence);
	return true;
}

/* The first ones are answered, as far as there is room. */
static void answer_asks(struct hub *hub, struct presence_far *far, bool is_whole)
{
	struct presence_ask *ask;
	while ((ask = first_ask(far)) != NULL && hub_has_room(hub)) {
		if (!is_whole && hub->now_ms - ask->asked_ms < ERRAND_MS_MAX)
			return;
		struct hub_mail mail = ask->mail;
		ask_drop(hub, ask);
		presence_answer(hub, &mail, is_whole ? ERROR_NONE : ERROR_UNAVAILABLE);
	}
}

/* Nodes that watch, and do not know yet who is present. False: no memory. */
static bool show_nodes(struct hub *hub, struct presence *presence)
{
	struct presence_far *far = presence->far;
	struct turnout *all = NULL;
	for (uint32_t word = 0; word < CHANNEL_NODE_WORDS; word++) {
		for (uint64_t left = far->unshown[word]; left != 0; left &= left - 1) {
			uint32_t node = word * 64 + (uint32_t)__builtin_ctzll(left);
			if (all == NULL)
				all = presence_show(hub, presence->channel,
				                    channel_name(presence->channel));
			if (all == NULL)
				return false;
			far_set(far->unshown, node, false);
			if (far_bit(hub->far->up, node))
				send_turnout(hub, presence, node, FAR_SHOWN, all);
		}
	}
	turnout_drop(all);
	return true;
}

/* It is whole: whoever waits for that is told. */
static void tell_whole(struct hub *hub, struct presence *presence)
{
	if (!show_nodes(hub, presence))
		await_whole(hub, presence->far);
	answer_asks(hub, presence->far, true);
	watcher_make_due(hub, presence);
	presence_changed(hub, presence);
}

/* Its mirror may be asked for again, or what waits is too old. True: there is more to wait for. */
static bool wait_again(struct hub *hub, struct presence *presence)
{
	struct presence_far *far = presence->far;
	bool is_whole = presence_is_whole(hub, presence);
	answer_asks(hub, far, is_whole);
	if (is_whole)
		return !show_nodes(hub, presence) || !list_is_empty(&far->asks);
	if (!presence_leads(presence) && hub->now_ms - far->asked_ms >= ERRAND_AGAIN_MS)
		far->mirror = MIRROR_NONE;
	presence_changed(hub, presence);
	return !list_is_empty(&far->asks) || presence_is_watched(presence);
}

/* ---- the home is elsewhere ---- */

/* Those who are in the letter have been reported. */
static void note_reported(struct hub_slot *slot, struct presence *presence, size_t count)
{
	struct occupants *occupants = &presence->occupants;
	uint64_t channel = far_name_hash(presence->channel);
	for (; count > 0; count--) {
		struct occupant *one = occupants_owed(occupants);
		uint64_t place = place_hash(channel, occupant_user(one));
		slot->sum.members += digest_of(place, occupant_connections(one)) -
		                     digest_of(place, one->reported);
		occupants_report(occupants, one);
	}
}

static void report(struct hub *hub, struct presence *presence)
{
	struct hub_slot *slot = slot_of(hub, presence);
	struct people people;
	people_begin(&people, hub, presence, slot->node, FAR_PRESENT);
	const struct occupant *one;
	while ((one = occupants_owed(&presence->occupants)) != NULL) {
		size_t count = 0;
		for (; one != NULL && count < FAR_PEOPLE_MAX; count++) {
			uint32_t connections = occupant_connections(one);
			struct far_person person = {.user = occupant_user(one),
			                            .info = occupant_info(one->info),
			                            .connections = connections,
			                            .state = connections > 0 ? PERSON_HERE
			                                                     : one->parting};
			people_add(&people, &person);
			one = occupants_owed_after(&presence->occupants, one);
		}
		people_send(&people);
		note_reported(slot, presence, count);
		hub->counters.presence_reported += count;
	}
}

/* A mirror where it is wanted, and no longer. What it shows has heard who is here. */
static void settle_mirror(struct hub *hub, struct presence *presence)
{
	struct presence_far *far = presence->far;
	bool is_wanted = presence_is_watched(presence) || !list_is_empty(&far->asks);
	bool is_there = far->mirror != MIRROR_NONE;
	bool can_ask = far_is_in_touch(hub, slot_of(hub, presence));
	if (is_wanted && !is_there) {
		await_whole(hub, far);
		if (!can_ask)
			return; /* it is asked when it is told all else */
		far->mirror = MIRROR_ASKED;
		far->asked_ms = hub->now_ms;
		report(hub, presence);
		send_name(hub, presence, FAR_WATCH);
	} else if (!is_wanted && is_there) {
		far->mirror = MIRROR_NONE;
		if (can_ask)
			send_name(hub, presence, FAR_UNWATCH);
		occupants_forget(&presence->occupants);
	}
}

void presence_far_settle(struct hub *hub, struct presence *presence)
{
	struct presence_far *far = presence->far;
	struct occupants *occupants = &presence->occupants;
	if (presence_leads(presence)) {
		occupants->is_counting = channel_any(far->nodes, CHANNEL_NODE_WORDS);
		return;
	}
	settle_mirror(hub, presence);
	if (occupants_owed(occupants) == NULL || list_is_linked(&far->reporting))
		return;
	struct hub_slot *slot = slot_of(hub, presence);
	list_append(&slot->reporting, &far->reporting);
	far_is_due(hub, slot);
}

void presence_far_report(struct hub *hub, struct hub_slot *slot)
{
	struct list_node *node;
	while (far_is_in_touch(hub, slot) && (node = list_first(&slot->reporting)) != NULL) {
		struct presence *presence =
			CONTAINER_OF(node, struct presence_far, reporting)->presence;
		list_remove(node);
		report(hub, presence);
		agent_settle(hub, presence->channel);
	}
}

/* Whom it was shown, or had when it was home, and does not have itself. */
static void report_expected(struct hub *hub, const struct presence *presence)
{
	const struct occupants *occupants = &presence->occupants;
	bool is_watched = presence_is_watched(presence);
	struct people people;
	people_begin(&people, hub, presence, slot_of(hub, presence)->node, FAR_PRESENT);
	for (uint32_t i = 0; i < occupants_span(occupants); i++) {
		const struct occupant *one = occupants_at(occupants, i);
		for (; one != NULL; one = occupants_after(one)) {
			/* Where nobody watches, others who have him say so themselves. */
			if (!one->is_present || occupant_connections(one) > 0 ||
			    (!is_watched && one->heard > 0))
				continue;
			struct far_person person = {.user = occupant_user(one),
			                            .info = occupant_info(one->info),
			                            .state = PARTING_ORPHANED};
			people_add(&people, &person);
		}
	}
	if (people.mail.person_count > 0)
		people_send(&people);
}

static void sync_one(struct hub *hub, struct hub_slot *slot, struct presence *presence)
{
	struct presence_far *far = presence->far;
	if (slot->told_node != (int16_t)slot->node)
		report_expected(hub, presence);
	occupants_owe_all(&presence->occupants);
	if (list_is_linked(&far->reporting))
		list_remove(&far->reporting);
	report(hub, presence);
	far->mirror = MIRROR_NONE;
	if (!presence_is_watched(presence) && list_is_empty(&far->asks))
		occupants_forget(&presence->occupants);
	presence_changed(hub, presence);
}

void presence_far_sync(struct hub *hub, struct hub_slot *slot)
{
	slot->sum.members = 0;
	struct list_node *node = list_first(&slot->channels);
	for (; node != NULL; node = list_after(&slot->channels, node)) {
		struct presence *presence = presence_at(hub, node);
		if (presence != NULL)
			sync_one(hub, slot, presence);
	}
	slot->told_node = (int16_t)slot->node;
}

/* ---- what the home tells ---- */

/* False: no memory. */
static bool hear_people(struct hub *hub, struct occupants *occupants, const struct far_mail *mail)
{
	for (size_t i = 0; i < mail->person_count; i++) {
		const struct far_person *person = &mail->people[i];
		if (!occupants_hear(occupants, person->user, user_hash(hub, person->user),
		                    person->info, person->connections,
		                    person->state == PERSON_HERE))
			return false;
	}
	return true;
}

/* All are to be asked for once more, in a while. */
static void mirror_fails(struct hub *hub, struct presence_far *far)
{
	far->mirror = MIRROR_ASKED;
	await_whole(hub, far);
}

static void receive_shown(struct hub *hub, struct presence *presence, const struct far_mail *mail)
{
	struct presence_far *far = presence->far;
	const struct far_show *show = &mail->show;
	struct occupants *occupants = &presence->occupants;
	/* Of two the second is as the home is now, whichever question it answers. */
	if (far->mirror != MIRROR_NONE && show->is_first)
		far->mirror = MIRROR_COMING;
	else if (far->mirror != MIRROR_COMING || show->is_first)
		return;
	if (show->is_first && show->has_names)
		occupants_hear_begin(occupants);
	if (!show->has_names)
		occupants_hear_number(occupants, show->count);
	else if (!hear_people(hub, occupants, mail)) {
		mirror_fails(hub, far);
		return;
	}
	if (!show->is_last)
		return;
	if (show->has_names)
		occupants_hear_end(occupants);
	far->mirror = MIRROR_WHOLE;
	far->heard = show->version;
	tell_whole(hub, presence);
}

/* As with a watcher: what it has must be what this goes on from. */
static void receive_news(struct hub *hub, struct presence *presence, const struct far_mail *mail)
{
	struct presence_far *far = presence->far;
	const struct far_show *show = &mail->show;
	struct occupants *occupants = &presence->occupants;
	if (far->mirror != MIRROR_WHOLE)
		return;
	bool fits =
		!occupants->is_numbered && far->heard >= show->base && far->heard < show->redo_from;
	if (!show->has_names) {
		occupants_hear_number(occupants, show->count);
	} else if (!fits) {
		far->mirror = MIRROR_NONE;
	} else if (!hear_people(hub, occupants, mail)) {
		mirror_fails(hub, far);
		return;
	}
	if (show->is_last && far->mirror == MIRROR_WHOLE)
		far->heard = show->version;
	presence_changed(hub, presence);
}

void presence_far_receive(struct hub *hub, struct hub_slot *slot, const struct far_mail *mail)
{
	struct channel *channel = hub_find(hub, mail->name, hub_hash(hub, mail->name));
	struct presence *presence = channel == NULL ? NULL : presence_of(hub, channel);
	if (presence == NULL || slot->needs_sync)
		hub->counters.stale_letters++;
	else if (mail->kind == FAR_SHOWN)
		receive_shown(hub, presence, mail);
	else
		receive_news(hub, presence, mail);
}

/* ---- the home: what others report ---- */

/* The home's digest of a node changes with what it has of it, and nowhere else. */
static void hear_person(struct hub *hub, struct presence *presence, uint32_t node,
                        struct slot_edge *edge, const struct far_person *person)
{
	struct occupants *occupants = &presence->occupants;
	uint32_t source = SOURCES + node;
	uint64_t hash = user_hash(hub, person->user);
	struct parting_grace grace = presence_grace(presence->channel);
	uint32_t before = occupants_counted(occupants, source, hash);
	bool is_here = person->state == PERSON_HERE;
	bool is_expected = person->state == PARTING_ORPHANED;
	struct occupant *occupant = is_here || is_expected ? occupant_of(person) : NULL;
	if ((is_here || is_expected) && occupant == NULL)
		return; /* better one too few than a ghost; the digests find it */
	if (is_expected) {
		occupants_expect(occupants, occupant, hash, hub->now_ms);
		return;
	}
	if (is_here)
		occupants_confirm(occupants, source, occupant, hash, person->connections);
	else
		occupants_end(occupants, source, hash, (enum parting)person->state, &grace,
		              hub->now_ms);
	uint64_t place = place_hash(far_name_hash(presence->channel), person->user);
	edge->sum.members += digest_of(place, person->connections) - digest_of(place, before);
}

static void receive_present(struct hub *hub, uint32_t node, struct slot_edge *edge,
                            const struct far_mail *mail)
{
	struct channel *channel = hub_open(hub, mail->name);
	struct presence *presence = channel == NULL ? NULL : presence_open(hub, channel);
	for (size_t i = 0; presence != NULL && i < mail->person_count; i++)
		hear_person(hub, presence, node, edge, &mail->people[i]);
	if (presence != NULL)
		presence_reported(hub, presence);
	if (channel != NULL)
		agent_settle(hub, channel);
}

static void receive_watch(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	struct channel *channel = hub_open(hub, mail->name);
	struct presence *presence = channel == NULL ? NULL : presence_open(hub, channel);
	if (presence != NULL) {
		far_set(presence->far->nodes, node, true);
		far_set(presence->far->unshown, node, true);
		presence_changed(hub, presence);
		if (!presence_is_whole(hub, presence) || !show_nodes(hub, presence))
			await_whole(hub, presence->far);
	}
	if (channel != NULL)
		agent_settle(hub, channel);
}

static void node_unwatch(struct presence_far *far, uint32_t node)
{
	far_set(far->nodes, node, false);
	far_set(far->unshown, node, false);
}

static void receive_unwatch(struct hub *hub, uint32_t node, const struct far_mail *mail)
{
	struct channel *channel = hub_find(hub, mail->name, hub_hash(hub, mail->name));
	struct presence *presence = channel == NULL ? NULL : presence_of(hub, channel);
	if (presence == NULL)
		return;
	node_unwatch(presence->far, node);
	presence_changed(hub, presence);
}

void presence_home_receive(struct hub *hub, struct hub_slot *slot, uint32_t node,
                           const struct far_mail *mail)
{
	struct slot_edge *edge = home_hear(hub, slot, node, mail);
	if (edge == NULL)
		return;
	if (mail->kind == FAR_PRESENT)
		receive_present(hub, node, edge, mail);
	else if (mail->kind == FAR_WATCH)
		receive_watch(hub, node, mail);
	else
		receive_unwatch(hub, node, mail);
}

void presence_home_sync(struct hub *hub, struct hub_slot *slot, uint32_t node)
{
	struct list_node *at = list_first(&slot->channels);
	for (; at != NULL; at = list_after(&slot->channels, at)) {
		struct presence *presence = presence_at(hub, at);
		if (presence == NULL)
			continue;
		node_unwatch(presence->far, node);
		occupants_doubt(&presence->occupants, SOURCES + node);
	}
}

void presence_home_synced(struct hub *hub, struct hub_slot *slot, uint32_t node)
{
	struct list_node *at = list_first(&slot->channels);
	for (; at != NULL; at = list_after(&slot->channels, at)) {
		struct presence *presence = presence_at(hub, at);
		if (presence == NULL)
			continue;
		occupants_settle(&presence->occupants, SOURCES + node, hub->now_ms);
		presence_reported(hub, presence);
	}
}

void presence_tell_nodes(struct hub *hub, struct presence *presence, const struct turnout *news)
{
	const struct presence_far *far = presence->far;
	if (far == NULL || !presence_leads(presence))
		return;
	for (uint32_t word = 0; word < CHANNEL_NODE_WORDS; word++) {
		uint64_t left = far->nodes[word] & ~far->unshown[word] & hub->far->up[word];
		for (; left != 0; left &= left - 1)
			send_turnout(hub, presence, word * 64 + (uint32_t)__builtin_ctzll(left),
			             FAR_NEWS, news);
	}
}

/* ---- the home: digests, and nodes that died ---- */

static void add_up(uint64_t channel, struct hub_slot *slot, const struct occupant *occupant)
{
	uint64_t place = place_hash(channel, occupant_user(occupant));
	for (const struct occupant *part = occupant; part != NULL; part = part->next) {
		uint32_t node = part->source - SOURCES;
		if (part->source < SOURCES || node >= slot->edge_count || part->is_doubted)
			continue;
		slot->edges[node].sum.members += digest_of(place, part->connections);
	}
}

/* Who has nobody does not ask: he is told whom the home takes for his. */
static void tell_idle(struct hub *hub, const struct hub_slot *slot)
{
	for (uint32_t node = 0; node < slot->edge_count; node++) {
		const struct slot_edge *edge = &slot->edges[node];
		bool is_idle = hub->now_ms - edge->asked_ms >= PRESENCE_AUDIT_MS;
		if (edge->sum.members != 0 && is_idle && far_bit(slot->synced, node) &&
		    far_bit(hub->far->up, node))
			home_send_digest(hub, slot, node);
	}
}

void presence_home_audit(struct hub *hub, struct hub_slot *slot)
{
	for (uint32_t i = 0; i < slot->edge_count; i++)
		slot->edges[i].sum.members = 0;
	struct list_node *at = list_first(&slot->channels);
	for (; at != NULL; at = list_after(&slot->channels, at)) {
		const struct presence *presence = presence_at(hub, at);
		if (presence == NULL)
			continue;
		const struct occupants *occupants = &presence->occupants;
		uint64_t channel = far_name_hash(presence->channel);
		for (uint32_t i = 0; i < occupants_span(occupants); i++) {
			const struct occupant *one = occupants_at(occupants, i);
			for (; one != NULL; one = occupants_after(one))
				add_up(channel, slot, one);
		}
	}
	tell_idle(hub, slot);
}

void presence_forget_nodes(struct hub *hub, struct channel *channel, const uint64_t *dead)
{
	if (!channel_any(dead, CHANNEL_NODE_WORDS))
		return;
	struct presence *presence = presence_of(hub, channel);
	if (presence == NULL || !presence_leads(presence))
		return;
	for (uint32_t word = 0; word < CHANNEL_NODE_WORDS; word++) {
		for (uint64_t left = dead[word]; left != 0; left &= left - 1) {
			uint32_t node = word * 64 + (uint32_t)__builtin_ctzll(left);
			node_unwatch(presence->far, node);
			occupants_orphan(&presence->occupants, SOURCES + node, hub->now_ms);
		}
	}
	presence_reported(hub, presence);
}

/* ---- homes come and go ---- */

void presence_home_begin(struct hub *hub, struct presence *presence)
{
	struct presence_far *far = presence->far;
	memset(far->nodes, 0, sizeof(far->nodes));
	memset(far->unshown, 0, sizeof(far->unshown));
	if (!presence_leads(presence))
		occupants_lead(&presence->occupants, hub->now_ms);
	if (list_is_linked(&far->reporting))
		list_remove(&far->reporting);
	far->mirror = MIRROR_NONE;
	presence_reported(hub, presence);
}

void presence_home_end(struct hub *hub, struct presence *presence)
{
	struct presence_far *far = presence->far;
	uint32_t count = presence->occupants.count;
	memset(far->nodes, 0, sizeof(far->nodes));
	memset(far->unshown, 0, sizeof(far->unshown));
	occupants_mirror(&presence->occupants, SOURCES);
	if (presence->is_large) /* nobody was told names */
		occupants_hear_number(&presence->occupants, count);
	far->mirror = MIRROR_NONE;
	presence_changed(hub, presence);
}

static bool any_unsynced(const struct hub *hub, const struct hub_slot *slot)
{
	uint64_t any = 0;
	for (unsigned i = 0; i < CHANNEL_NODE_WORDS; i++)
		any |= hub->far->up[i] & ~slot->synced[i];
	return any != 0;
}

/* All that can be reported has been. */
static void become_whole(struct hub *hub, struct hub_slot *slot)
{
	list_remove(&slot->unwhole);
	struct list_node *at = list_first(&slot->channels);
	for (; at != NULL; at = list_after(&slot->channels, at)) {
		struct presence *presence = presence_at(hub, at);
		if (presence != NULL)
			tell_whole(hub, presence);
	}
}

static void look_at_unwhole(struct hub *hub)
{
	struct list *all = &hub->far->unwhole;
	struct list_node *node = list_first(all), *next;
	for (; node != NULL; node = next) {
		struct hub_slot *slot = CONTAINER_OF(node, struct hub_slot, unwhole);
		next = list_after(all, node);
		if (!any_unsynced(hub, slot) ||
		    hub->now_ms - slot->begun_ms >= PRESENCE_WHOLE_MS_MAX)
			become_whole(hub, slot);
	}
}

void presence_far_again(struct hub *hub)
{
	struct list waiting;
	struct list_node *node;
	look_at_unwhole(hub);
	list_init(&waiting);
	list_move_all(&waiting, &hub->far->presences_waiting);
	while ((node = list_first(&waiting)) != NULL) {
		struct presence_far *far = CONTAINER_OF(node, struct presence_far, waiting);
		list_remove(node);
		if (wait_again(hub, far->presence))
			await_whole(hub, far);
	}
}
