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
 * A visit may begin and end between two reports. Who was lost, or whose poll was answered, is there
 * for his grace, as he would be at the home itself; who has left for good was never there.
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
		occupants_mirror(&presence->occupants, SOURCES, true);
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
	agent_settle(hub, far->presence->channel); /* it was held for them */
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

static void people_add_one(struct people *people, const struct occupant *one)
{
	uint32_t connections = occupant_connections(one);
	people_add(people,
	           &(struct far_person){.user = occupant_user(one),
	                                .info = occupant_info(one->info),
	                                .connections = connections,
	                                .state = connections > 0 ? PERSON_HERE : one->parting});
}

/* Those of whom it is to be told, at most `most`. */
static void report(struct hub *hub, struct presence *presence, uint32_t most)
{
	struct hub_slot *slot = slot_of(hub, presence);
	struct people people;
	people_begin(&people, hub, presence, slot->node, FAR_PRESENT);
	const struct occupant *one;
	while (most > 0 && (one = occupants_owed(&presence->occupants)) != NULL) {
		uint32_t count = 0;
		for (; one != NULL && count < FAR_PEOPLE_MAX && count < most; count++) {
			people_add_one(&people, one);
			one = occupants_owed_after(&presence->occupants, one);
		}
		people_send(&people);
		note_reported(slot, presence, count);
		hub->counters.presence_reported += count;
		most -= count;
	}
}

/* A mirror where it is wanted, and no longer. What it shows has heard who is here. */
static void settle_mirror(struct hub *hub, struct presence *presence)
{
	struct presence_far *far = presence->far;
	bool is_wanted = presence_is_watched(presence) || !list_is_empty(&far->asks);
	bool is_there = far->mirror != MIRROR_NONE;
	const struct hub_slot *slot = slot_of(hub, presence);
	bool can_ask = far_is_in_touch(hub, slot) && !slot->is_telling;
	if (is_wanted && !is_there) {
		await_whole(hub, far);
		if (!can_ask)
			return; /* it is asked when it is told all else */
		far->mirror = MIRROR_ASKED;
		far->asked_ms = hub->now_ms;
		report(hub, presence, UINT32_MAX);
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

/* A map that many have left is large for a while: to find nobody is work, too. */
#define STEPS_PER_PERSON 16

static void use_people(struct hub *hub, uint64_t count)
{
	uint32_t left = hub->far->people;
	hub->far->people = count < left ? left - (uint32_t)count : 0;
}

bool presence_far_report(struct hub *hub, struct hub_slot *slot)
{
	struct list_node *node;
	while (far_is_in_touch(hub, slot) && (node = list_first(&slot->reporting)) != NULL) {
		struct presence *presence =
			CONTAINER_OF(node, struct presence_far, reporting)->presence;
		uint64_t before = hub->counters.presence_reported;
		if (hub->far->people == 0)
			return false;
		report(hub, presence, hub->far->people);
		use_people(hub, hub->counters.presence_reported - before);
		if (occupants_owed(&presence->occupants) != NULL)
			continue;
		list_remove(node);
		agent_settle(hub, presence->channel);
	}
	return true;
}

/* ---- the home is told all anew ---- */

void presence_far_sync(struct hub *hub, struct hub_slot *slot)
{
	slot->sum.members = 0;
	slot->is_telling = true;
	slot->telling_at = 0;
	slot->telling = NULL;
	struct list_node *node = list_first(&slot->channels);
	if (node != NULL)
		slot->telling = CONTAINER_OF(node, struct channel_far, in_slot)->channel;
	for (; node != NULL; node = list_after(&slot->channels, node)) {
		struct presence *presence = presence_at(hub, node);
		if (presence != NULL)
			presence->far->mirror = MIRROR_NONE;
	}
}

/* Goes on with the channel behind it. */
static void tell_next(struct hub *hub, struct hub_slot *slot)
{
	slot->telling = far_channel_behind(hub, slot->telling);
	slot->telling_at = 0;
}

void presence_tell_skip(struct hub *hub, const struct channel *channel)
{
	struct hub_slot *slot = far_slot(hub, channel->slot);
	if (slot->is_telling && slot->telling == channel)
		tell_next(hub, slot);
}

/* A step through a channel's members. */
struct telling {
	struct people people;
	struct hub *hub;
	struct hub_slot *slot;
	struct presence *presence;
	uint64_t channel, told, steps;
	struct list idle;
	bool is_watched; /* or asked for: what its mirror shows is kept */
	bool is_new;     /* the home has not been told whom others were shown */
};

/* Whom it was shown, or had when it was home, and does not have itself. Where nobody watches,
 * others who have him say so themselves. */
static bool is_expected(const struct telling *telling, const struct occupant *one)
{
	return telling->is_new && one->is_present && occupant_connections(one) == 0 &&
	       (one->heard == 0 || presence_is_watched(telling->presence));
}

static void tell_one(void *to, struct map_node *node)
{
	struct telling *telling = to;
	struct occupants *occupants = &telling->presence->occupants;
	struct occupant *one = occupant_of_node(node);
	uint64_t place = place_hash(telling->channel, occupant_user(one));
	if (occupant_connections(one) > 0) {
		people_add_one(&telling->people, one);
		telling->hub->counters.presence_reported++;
	} else if (is_expected(telling, one)) {
		people_add(&telling->people, &(struct far_person){.user = occupant_user(one),
		                                                  .info = occupant_info(one->info),
		                                                  .state = PARTING_ORPHANED});
	}
	if (!telling->is_watched)
		occupants_forget_one(occupants, one);
	occupants_retold(occupants, one, &telling->idle);
	telling->slot->sum.members += digest_of(place, one->reported);
	telling->told++;
}

/* Some of a channel's members; whom nobody watches is forgotten, but for those who are here. True:
 * that was all. */
static bool tell_some(struct hub *hub, struct hub_slot *slot, struct presence *presence)
{
	struct occupants *occupants = &presence->occupants;
	struct telling telling = {.hub = hub,
	                          .slot = slot,
	                          .presence = presence,
	                          .channel = far_name_hash(presence->channel),
	                          .is_watched = presence_is_watched(presence) ||
	                                        !list_is_empty(&presence->far->asks),
	                          .is_new = slot->told_node != (int16_t)slot->node};
	bool has_more = true;
	list_init(&telling.idle);
	if (!telling.is_watched && occupants->is_numbered)
		occupants_forget(occupants);
	people_begin(&telling.people, hub, presence, slot->node, FAR_PRESENT);
	for (; has_more && telling.told + telling.steps / STEPS_PER_PERSON < hub->far->people;
	     telling.steps++)
		has_more = map_step(&occupants->by_user, &slot->telling_at, tell_one, &telling);
	if (telling.people.mail.person_count > 0)
		people_send(&telling.people);
	occupants_sweep(occupants, &telling.idle);
	use_people(hub, telling.told + telling.steps / STEPS_PER_PERSON);
	return !has_more;
}

static bool tell_all(struct hub *hub, struct hub_slot *slot)
{
	while (slot->telling != NULL) {
		struct presence *presence = presence_of(hub, slot->telling);
		if (presence != NULL && !tell_some(hub, slot, presence))
			return false;
		tell_next(hub, slot);
	}
	return true;
}

bool presence_far_tell(struct hub *hub, struct hub_slot *slot)
{
	/* Who went meanwhile is told of before it is said that these were all. */
	if (!tell_all(hub, slot) || !presence_far_report(hub, slot))
		return false;
	slot->is_telling = false;
	slot->told_node = (int16_t)slot->node;
	return true;
}

void presence_far_told(struct hub *hub, struct hub_slot *slot)
{
	struct list_node *node = list_first(&slot->channels);
	for (; node != NULL; node = list_after(&slot->channels, node)) {
		struct presence *presence = presence_at(hub, node);
		if (presence == NULL)
			continue;
		/* Nobody watches any more since the walk was there. */
		if (!presence_is_watched(presence) && list_is_empty(&presence->far->asks))
			occupants_forget(&presence->occupants);
		presence_changed(hub, presence);
	}
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

/* The home has so much more of a node, or less: of those with that hash in the channel. */
static void audit_hears(struct hub *hub, const struct presence *presence, uint64_t hash,
                        uint32_t node, uint64_t change)
{
	struct presence_audit *audit = &hub->far->audit;
	const struct channel *channel = presence->channel;
	if (audit->slot != slot_of(hub, presence))
		return;
	if (channel->far->is_audited || audit->channel == NULL ||
	    (audit->channel == channel && map_is_behind(hash, audit->at)))
		audit->members[node] += change;
}

/* Nodes were taken for dead, and are back now. */
static bool is_soon_after(const struct hub *hub)
{
	return hub->far->back_ms > 0 && hub->now_ms - hub->far->back_ms < PRESENCE_BACK_MS;
}

/* This one was home all the while. */
static bool goes_on(const struct hub *hub, const struct hub_slot *slot)
{
	return slot->has_been_whole && slot->begun_ms < hub->far->back_ms;
}

void presence_far_found(struct hub *hub)
{
	struct hub_far *far = hub->far;
	for (uint32_t word = 0; word < CHANNEL_NODE_WORDS; word++) {
		if (!is_soon_after(hub))
			far->lost[word] &= ~far->up[word];
	}
}

/* He has no connection there, or never had one that was reported. Who came and was lost again since
 * the last report may come back, as anybody may; so may whom a dead node had. */
static void hear_gone(struct hub *hub, struct presence *presence, uint32_t source, uint64_t hash,
                      const struct far_person *person, bool was_here)
{
	struct occupants *occupants = &presence->occupants;
	struct parting_grace grace = presence_grace(presence->channel);
	enum parting parting = (enum parting)person->state;
	const struct hub_slot *slot = slot_of(hub, presence);
	bool is_lost = far_bit(hub->far->lost, source - SOURCES);
	if (parting == PARTING_ORPHANED && (is_lost || is_soon_after(hub)) && goes_on(hub, slot)) {
		/* Of others the home knows better: they went while that node was out of reach, or
		 * it was shown them by another home, that was. */
		if (is_lost)
			occupants_vouch(occupants, person->user, hash);
		return;
	}
	if (parting != PARTING_ORPHANED)
		occupants_end(occupants, source, hash, parting, &grace, hub->now_ms);
	if (was_here || parting == PARTING_LEFT ||
	    (parting != PARTING_ORPHANED && grace.ms[parting] == 0))
		return;
	struct occupant *occupant = occupant_of(person);
	if (occupant != NULL)
		occupants_expect(occupants, occupant, hash, parting, hub->now_ms);
}

/* The home's digest of a node changes with what it has of it, and nowhere else. */
static void hear_person(struct hub *hub, struct presence *presence, uint32_t node,
                        struct slot_edge *edge, const struct far_person *person)
{
	uint32_t source = SOURCES + node;
	uint64_t hash = user_hash(hub, person->user);
	uint32_t before = occupants_counted(&presence->occupants, source, hash);
	if (person->state == PERSON_HERE) {
		struct occupant *occupant = occupant_of(person);
		if (occupant == NULL)
			return; /* better one too few than a ghost; the digests find it */
		occupants_confirm(&presence->occupants, source, occupant, hash,
		                  person->connections);
	} else {
		hear_gone(hub, presence, source, hash, person, before > 0);
	}
	uint32_t after = occupants_counted(&presence->occupants, source, hash);
	uint64_t place = place_hash(far_name_hash(presence->channel), person->user);
	uint64_t change = digest_of(place, after) - digest_of(place, before);
	edge->sum.members += change;
	audit_hears(hub, presence, hash, node, change);
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
	agent_settle(hub, channel);
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
	if (hub->far->audit.slot == slot)
		hub->far->audit.members[node] = 0; /* they are doubted, from here on */
	struct list_node *at = list_first(&slot->channels);
	for (; at != NULL; at = list_after(&slot->channels, at)) {
		struct presence *presence = presence_at(hub, at);
		if (presence == NULL)
			continue;
		node_unwatch(presence->far, node);
		occupants_doubt(&presence->occupants, SOURCES + node);
	}
}

/* Those who were taken for dead are all back: who is with none of them has gone meanwhile. While
 * another one is not, he may be there. */
static bool are_lost_back(const struct hub *hub, const struct hub_slot *slot, uint32_t node)
{
	uint64_t missing = 0;
	for (uint32_t word = 0; word < CHANNEL_NODE_WORDS; word++)
		missing |= hub->far->lost[word] & ~slot->synced[word];
	return far_bit(hub->far->lost, node) && goes_on(hub, slot) && missing == 0;
}

void presence_home_synced(struct hub *hub, struct hub_slot *slot, uint32_t node)
{
	bool are_back = are_lost_back(hub, slot, node);
	struct list_node *at = list_first(&slot->channels);
	for (; at != NULL; at = list_after(&slot->channels, at)) {
		struct presence *presence = presence_at(hub, at);
		if (presence == NULL)
			continue;
		occupants_settle(&presence->occupants, SOURCES + node, hub->now_ms);
		if (are_back)
			occupants_renounce(&presence->occupants, hub->far->lost, SOURCES);
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

/* Of a channel's members, as the audit meets them. */
struct adding {
	uint64_t *members;
	uint64_t channel, met, steps;
};

static void add_up(void *to, struct map_node *node)
{
	struct adding *adding = to;
	const struct occupant *occupant = occupant_of_node(node);
	uint64_t place = place_hash(adding->channel, occupant_user(occupant));
	for (const struct occupant *part = occupant; part != NULL; part = part->next) {
		if (part->connections > 0 && part->source >= SOURCES && !part->is_doubted)
			adding->members[part->source - SOURCES] +=
				digest_of(place, part->connections);
	}
	adding->met++;
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

static void audit_begin(struct hub *hub, struct hub_slot *slot)
{
	struct presence_audit *audit = &hub->far->audit;
	struct list_node *node = list_first(&slot->channels);
	audit->slot = slot;
	audit->channel =
		node == NULL ? NULL : CONTAINER_OF(node, struct channel_far, in_slot)->channel;
	audit->at = 0;
	memset(audit->members, 0, sizeof(audit->members));
	for (; node != NULL; node = list_after(&slot->channels, node))
		CONTAINER_OF(node, struct channel_far, in_slot)->is_audited = false;
}

void presence_audit_drop(struct hub *hub, const struct hub_slot *slot)
{
	if (hub->far->audit.slot == slot)
		hub->far->audit.slot = NULL;
}

static void audit_next(struct hub *hub, struct presence_audit *audit)
{
	audit->channel->far->is_audited = true;
	audit->channel = far_channel_behind(hub, audit->channel);
	audit->at = 0;
}

void presence_audit_skip(struct hub *hub, const struct channel *channel)
{
	struct presence_audit *audit = &hub->far->audit;
	if (audit->slot != NULL && audit->channel == channel)
		audit_next(hub, audit);
}

/* Some of a channel's members. True: that was all. */
static bool audit_some(struct hub *hub, struct presence_audit *audit,
                       const struct presence *presence)
{
	struct adding adding = {.members = audit->members,
	                        .channel = far_name_hash(presence->channel)};
	bool has_more = true;
	for (; has_more && adding.met + adding.steps / STEPS_PER_PERSON < hub->far->people;
	     adding.steps++)
		has_more = map_step(&presence->occupants.by_user, &audit->at, add_up, &adding);
	use_people(hub, adding.met + adding.steps / STEPS_PER_PERSON);
	return !has_more;
}

bool presence_audit(struct hub *hub, struct hub_slot *slot)
{
	struct presence_audit *audit = &hub->far->audit;
	if (audit->slot != slot)
		audit_begin(hub, slot);
	while (audit->channel != NULL) {
		const struct presence *presence = presence_of(hub, audit->channel);
		if (presence != NULL && !audit_some(hub, audit, presence))
			return false;
		audit_next(hub, audit);
	}
	for (uint32_t i = 0; i < slot->edge_count; i++)
		slot->edges[i].sum.members = audit->members[i];
	audit->slot = NULL;
	tell_idle(hub, slot);
	return true;
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
	memset(far->nodes, 0, sizeof(far->nodes));
	memset(far->unshown, 0, sizeof(far->unshown));
	/* Where it is large nobody was told names. */
	occupants_mirror(&presence->occupants, SOURCES, !presence->is_large);
	far->mirror = MIRROR_NONE;
	presence_changed(hub, presence);
}

void presence_await_nodes(struct hub *hub, struct hub_slot *slot)
{
	if (list_is_linked(&slot->unwhole))
		return;
	slot->unwhole_ms = hub->now_ms;
	list_append(&hub->far->unwhole, &slot->unwhole);
}

static bool any_unsynced(const struct hub *hub, const struct hub_slot *slot)
{
	uint64_t any = 0;
	for (unsigned i = 0; i < CHANNEL_NODE_WORDS; i++) {
		/* Where one is back that was taken for dead, others may be so a little later. */
		uint64_t lost = slot->has_been_whole ? hub->far->lost[i] : 0;
		any |= (hub->far->up[i] | lost) & ~slot->synced[i];
	}
	return any != 0;
}

/* All that can be reported has been. */
static void become_whole(struct hub *hub, struct hub_slot *slot)
{
	list_remove(&slot->unwhole);
	slot->has_been_whole = true;
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
		    hub->now_ms - slot->unwhole_ms >= PRESENCE_WHOLE_MS_MAX)
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
