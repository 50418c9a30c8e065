/*
 * Who is present, between a node and a home, where that is done in parts: members come and go
 * while a home adds them up, and while it is told of all of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "hub/far_state.h"

#define ROOMS 5 /* channels of one slot */
#define USERS 60
#define NODES 3 /* this one is 0 */
#define NAME_MAX 16
#define NEIGHBOUR 1 /* another worker of this node */
#define PEOPLE 4    /* that a turn looks at */

static struct rule rule_list[] = {
	{.pattern = "*", .presence = RULE_PRESENCE_FULL, .presence_grace_ms = 300}};
static const struct rules rules = {rule_list, COUNT_OF(rule_list)};

static struct hub_out out;
static struct hub_cluster cluster;
static struct hub *hub;
static struct hub_slot *slot;
static struct timer_wheel wheel;
static struct random random_state;
static uint64_t now_ms, counters[NODES];
static char rooms[ROOMS][NAME_MAX], users[USERS][NAME_MAX];

/* What nodes have said at home; or elsewhere what the home was told, and `here` what is so. */
static struct {
	uint32_t connections;
	bool is_doubted;
} told[NODES][ROOMS][USERS];
static uint32_t here[ROOMS][USERS];
static uint32_t told_in_turn, syncs, synced, shown, shown_count;
static bool is_asked;
static struct far_mail digest; /* what a home answers that has heard all */

static uint32_t below(uint32_t bound)
{
	return (uint32_t)random_below(&random_state, bound);
}

static bool out_has_room(struct hub_out *from)
{
	CHECK(from == &out);
	return true;
}

static struct turnout *answered; /* to who asked for a list */

static void out_post(struct hub_out *from, uint32_t worker, const struct hub_mail *mail)
{
	CHECK(from == &out && worker == NEIGHBOUR && mail->kind == MAIL_PRESENCE_SHOWN);
	CHECK(mail->error == ERROR_NONE && answered == NULL);
	answered = mail->turnout;
}

static uint64_t out_now_us(struct hub_out *from)
{
	CHECK(from == &out);
	return now_ms * 1000;
}

static uint32_t number_of(char (*names)[NAME_MAX], uint32_t count, struct slice name)
{
	uint32_t i = 0;
	while (i < count && !slice_is(name, names[i]))
		i++;
	CHECK(i < count);
	return i;
}

/* The home that is elsewhere. */
static void hear(const struct far_mail *mail)
{
	uint32_t room = number_of(rooms, ROOMS, mail->name);
	for (size_t i = 0; i < mail->person_count; i++) {
		const struct far_person *person = &mail->people[i];
		uint32_t user = number_of(users, USERS, person->user);
		told[0][room][user].connections = person->connections;
		told[0][room][user].is_doubted = false;
	}
	told_in_turn += (uint32_t)mail->person_count;
}

static void doubt_all(uint32_t node)
{
	for (uint32_t r = 0; r < ROOMS; r++) {
		for (uint32_t u = 0; u < USERS; u++)
			told[node][r][u].is_doubted = true;
	}
}

static void settle_all(uint32_t node)
{
	for (uint32_t r = 0; r < ROOMS; r++) {
		for (uint32_t u = 0; u < USERS; u++) {
			if (told[node][r][u].is_doubted)
				told[node][r][u].connections = 0;
			told[node][r][u].is_doubted = false;
		}
	}
}

static void cluster_send(struct hub_cluster *from, uint32_t node, const struct far_mail *mail)
{
	CHECK(from == &cluster && node > 0 && node < NODES);
	if (mail->kind == FAR_ASK) {
		is_asked = true;
		digest = (struct far_mail){.kind = FAR_DIGEST,
		                           .slot = mail->slot,
		                           .counter = slot->counter,
		                           .sum = slot->sum,
		                           .is_synced = true};
	} else if (mail->kind == FAR_PRESENT) {
		hear(mail);
	} else if (mail->kind == FAR_SHOWN) {
		shown += mail->show.is_last;
		shown_count = mail->show.count;
	} else if (mail->kind == FAR_SYNC) {
		doubt_all(0);
		syncs++;
	} else if (mail->kind == FAR_SYNCED) {
		settle_all(0);
		synced++;
	}
}

static enum hub_proposed cluster_propose(struct hub_cluster *from, uint32_t number,
                                         const struct hub_entry *entry)
{
	CHECK(from == &cluster && number == slot->number && entry != NULL);
	return HUB_COMMITTED;
}

static void set_role(enum hub_home home, uint16_t node)
{
	hub_set_role(hub, slot->number,
	             &(struct hub_role){
			     .home = (uint8_t)home, .is_replica = true, .node = node, .stream = 5});
}

static void begin(enum hub_home home, uint64_t seed)
{
	out = (struct hub_out){.now_us = out_now_us, .has_room = out_has_room, .post = out_post};
	cluster = (struct hub_cluster){cluster_send, cluster_propose};
	random_state.state = seed * 7919 + 1;
	now_ms = 1000;
	memset(told, 0, sizeof(told));
	memset(here, 0, sizeof(here));
	memset(counters, 0, sizeof(counters));
	syncs = synced = shown = 0;
	is_asked = false;
	timer_wheel_init(&wheel, now_ms);
	hub = hub_create(&(struct hub_options){.workers = 1,
	                                       .out = &out,
	                                       .rules = &rules,
	                                       .wheel = &wheel,
	                                       .timer_kind = 1,
	                                       .walk_timer_kind = 2,
	                                       .presence_timer_kind = 3,
	                                       .channels_per_session = 10,
	                                       .outbound_bytes_max = 1000000,
	                                       .cluster = &cluster});
	CHECK(hub != NULL);
	hub_set_time(hub, now_ms, now_ms * 1000);
	slot = far_slot(hub, hub_slot_of(slice_string(rooms[0])));
	for (uint32_t node = 1; node < NODES; node++)
		hub_node_up(hub, node);
	set_role(home, 1);
}

static void pass(uint64_t ms)
{
	now_ms += ms;
	hub_set_time(hub, now_ms, now_ms * 1000);
	struct timer *timer;
	while ((timer = timer_take_due(&wheel, now_ms)) != NULL)
		hub_timer(hub, timer);
}

/* ---- at home ---- */

static void say(uint32_t node, enum far_kind kind, uint32_t room, uint32_t user)
{
	struct far_mail mail = {
		.kind = (uint8_t)kind, .slot = slot->number, .counter = ++counters[node]};
	uint32_t connections = told[node][room][user].connections;
	struct far_person person = {.user = slice_string(users[user]),
	                            .connections = connections,
	                            .state = connections > 0 ? PERSON_HERE
	                                                     : (uint8_t)below(PARTINGS)};
	if (person.state == PARTING_ORPHANED)
		person.state = PARTING_LEFT;
	if (kind == FAR_WATCH)
		mail.name = slice_string(rooms[room]);
	if (kind == FAR_PRESENT) {
		mail.name = slice_string(rooms[room]);
		mail.people = &person;
		mail.person_count = 1;
	}
	hub_far_receive(hub, node, &mail);
}

static void say_all(uint32_t node)
{
	say(node, FAR_SYNC, 0, 0);
	for (uint32_t r = 0; r < ROOMS; r++) {
		for (uint32_t u = 0; u < USERS; u++) {
			if (told[node][r][u].connections > 0)
				say(node, FAR_PRESENT, r, u);
		}
	}
	say(node, FAR_SYNCED, 0, 0);
}

static void something_happens(uint32_t most)
{
	uint32_t node = 1 + below(NODES - 1), room = below(ROOMS), user = below(most);
	uint32_t what = below(1000);
	if (what == 0) {
		hub_node_down(hub, node);
		hub_node_up(hub, node);
		say_all(node);
	} else if (what == 1) {
		say_all(node);
	} else if (what < 900) {
		told[node][room][user].connections = below(3);
		say(node, FAR_PRESENT, room, user);
	} else { /* a room is left by all: its channel may go, and come again at another place */
		for (uint32_t n = 1; n < NODES; n++) {
			for (uint32_t u = 0; u < USERS; u++) {
				if (told[n][room][u].connections == 0)
					continue;
				told[n][room][u].connections = 0;
				say(n, FAR_PRESENT, room, u);
			}
		}
	}
}

static uint64_t sum_of(uint32_t node)
{
	return node < slot->edge_count ? slot->edges[node].sum.members : 0;
}

static uint64_t audits; /* turns in which one was under way */

/* A home's sums change with what it hears. An audit finds them as they are. */
static void look_on(void)
{
	uint64_t before[NODES];
	for (uint32_t node = 1; node < NODES; node++)
		before[node] = sum_of(node);
	(void)hub_far_turn(hub, 10, 1 + below(PEOPLE));
	audits += hub->far->audit.slot == slot;
	for (uint32_t node = 1; node < NODES; node++)
		CHECK(sum_of(node) == before[node]);
}

static void an_audit_is_exact(uint64_t seed)
{
	begin(HOME_HERE, seed);
	for (uint32_t node = 1; node < NODES; node++)
		say_all(node);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t most = i / 4000 % 2 == 0 ? USERS : USERS / 10;
		pass(below(2) * HUB_FAR_MS);
		for (uint32_t events = below(3); events > 0; events--)
			something_happens(most);
		look_on();
	}
	hub_destroy(hub);
}

/* And finds what is wrong, be it so that it is under way there. */
static void an_audit_finds_what_is_wrong(uint64_t seed)
{
	begin(HOME_HERE, seed);
	for (uint32_t u = 0; u < USERS; u++) {
		told[1][0][u].connections = 1;
		say(1, FAR_PRESENT, 0, u);
	}
	struct slice name = slice_string(rooms[0]);
	struct presence *presence = presence_of(hub, hub_find(hub, name, hub_hash(hub, name)));
	for (uint32_t i = below(3000); i > 0; i--) {
		pass(HUB_FAR_MS);
		(void)hub_far_turn(hub, 10, 1 + below(PEOPLE));
	}
	uint64_t right = sum_of(1);
	uint64_t hash = hash_bytes(&hub->options.hash_key, slice_string(users[seed % USERS]));
	struct parting_grace grace = presence_grace(presence->channel);
	occupants_end(&presence->occupants, WORKERS_MAX + 1, hash, PARTING_LOST, &grace, now_ms);
	for (uint64_t ms = 0; ms < 2 * PRESENCE_AUDIT_MS; ms += HUB_FAR_MS) {
		pass(HUB_FAR_MS);
		while (hub_far_turn(hub, 10, 1 + below(PEOPLE)))
			;
	}
	CHECK(sum_of(1) != right);
	say(1, FAR_PRESENT, 0, (uint32_t)(seed % USERS));
	CHECK(sum_of(1) == right);
	hub_destroy(hub);
}

static void look_for(uint64_t ms)
{
	for (uint64_t end = now_ms + ms; now_ms < end;) {
		pass(HUB_FAR_MS);
		while (hub_far_turn(hub, 10, PEOPLE))
			;
	}
}

/* Who asks meanwhile waits, and is shown those of nodes that had not said it yet. */
static void a_new_home_hears_all_before_it_tells(bool is_heard)
{
	begin(HOME_HERE, 0);
	told[1][0][0].connections = told[2][0][1].connections = 1;
	say_all(1);
	say(1, FAR_WATCH, 0, 0);
	look_for(PRESENCE_WHOLE_MS_MAX / 2);
	CHECK(shown == 0);
	if (is_heard)
		say_all(2);
	look_for(is_heard ? HUB_FAR_MS : PRESENCE_WHOLE_MS_MAX);
	CHECK(shown == 1 && shown_count == 1u + is_heard);
	hub_destroy(hub);
}

/* Of what was said to the home that it was before it may have heard the end. */
static void half_of_it_is_not_all(void)
{
	begin(HOME_HERE, 0);
	told[1][0][0].connections = told[1][0][1].connections = 1;
	say(1, FAR_SYNC, 0, 0);
	say(1, FAR_PRESENT, 0, 0);
	set_role(HOME_NOWHERE, 0);
	set_role(HOME_HERE, 0);
	say(1, FAR_PRESENT, 0, 1);
	say(1, FAR_SYNCED, 0, 0);
	say_all(2);
	CHECK(!far_bit(slot->synced, 1));
	look_for(PRESENCE_WHOLE_MS_MAX / 2);
	CHECK(!far_is_whole(slot));
	say_all(1);
	look_for(HUB_FAR_MS);
	CHECK(far_bit(slot->synced, 1) && far_is_whole(slot));
	hub_destroy(hub);
}

/* ---- where they are ---- */

static struct presence *presence_in(uint32_t room)
{
	struct channel *channel = hub_open(hub, slice_string(rooms[room]));
	CHECK(channel != NULL);
	struct presence *presence = presence_open(hub, channel);
	CHECK(presence != NULL);
	return presence;
}

static void comes(uint32_t room, uint32_t user)
{
	struct presence *presence = presence_in(room);
	struct occupant *one = occupant_make(slice_string(users[user]), slice_of(NULL, 0), NULL);
	CHECK(one != NULL);
	occupants_enter(&presence->occupants, 0, one,
	                hash_bytes(&hub->options.hash_key, slice_string(users[user])));
	here[room][user]++;
	presence_changed(hub, presence);
}

static void goes(uint32_t room, uint32_t user)
{
	struct presence *presence = presence_in(room);
	struct parting_grace grace = presence_grace(presence->channel);
	CHECK(occupants_leave(&presence->occupants, 0,
	                      hash_bytes(&hub->options.hash_key, slice_string(users[user])),
	                      PARTING_LEFT, &grace, now_ms));
	here[room][user]--;
	presence_changed(hub, presence);
}

static bool far_turn(void)
{
	told_in_turn = 0;
	bool has_more = hub_far_turn(hub, 10, PEOPLE);
	CHECK(told_in_turn <= PEOPLE + USERS); /* and those that share a bucket */
	return has_more;
}

static void all_go(uint32_t room)
{
	for (uint32_t u = 0; u < USERS; u++) {
		while (here[room][u] > 0)
			goes(room, u);
	}
}

static void people_move(uint32_t most)
{
	if (below(200) == 0)
		all_go(below(ROOMS));
	for (uint32_t i = below(4); i > 0; i--) {
		uint32_t room = below(ROOMS), user = below(most);
		if (below(2) > 0)
			comes(room, user);
		else if (here[room][user] > 0)
			goes(room, user);
	}
}

static void is_told_all(void)
{
	for (uint32_t r = 0; r < ROOMS; r++) {
		for (uint32_t u = 0; u < USERS; u++)
			CHECK(told[0][r][u].connections == here[r][u]);
	}
}

/* Homes come, and links break, before all is told. */
static void a_home_is_told_in_parts(uint64_t seed)
{
	begin(HOME_ELSEWHERE, seed);
	uint64_t turns = 0;
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t before = synced, at = syncs;
		/* Now and then it takes as long as an empty channel is remembered. */
		pass(below(50) == 0 ? 20000 : below(2) * HUB_FAR_MS);
		people_move(i / 500 % 2 == 0 ? USERS : USERS / 10);
		(void)far_turn();
		turns += slot->is_telling;
		if (below(100) == 0)
			set_role(HOME_ELSEWHERE, (uint16_t)(1 + below(NODES - 1)));
		if (below(300) == 0)
			set_role(HOME_HERE, 0);
		if (below(300) == 0) {
			hub_node_down(hub, 1);
			hub_node_up(hub, 1);
		}
		CHECK(synced - before <= 1 && syncs - at <= 1);
	}
	set_role(HOME_ELSEWHERE, 1 + (slot->node == 1));
	for (bool has_more = true; has_more;) {
		pass(HUB_FAR_MS);
		has_more = far_turn();
	}
	CHECK(turns > 500 && synced > 10 && synced <= syncs);
	CHECK(!slot->is_telling && !slot->needs_sync);
	is_told_all();
	hub_destroy(hub);
}

static void answer(void)
{
	if (!is_asked)
		return;
	is_asked = false;
	hub_far_receive(hub, 1, &digest);
}

/* There is always something that the home has not heard yet when it answers. */
static void who_always_has_news_is_believed(uint64_t seed)
{
	begin(HOME_ELSEWHERE, seed);
	for (uint64_t ms = 0; ms < 20 * SYNC_ASK_MS; ms += HUB_FAR_MS) {
		pass(HUB_FAR_MS);
		comes(below(ROOMS), below(USERS));
		while (far_turn())
			;
		if (ms == 0)
			hub_far_receive(
				hub, 1,
				&(struct far_mail){.kind = FAR_SYNCING, .slot = slot->number});
		if (below(4) == 0)
			answer();
	}
	CHECK(syncs == 1 && synced == 1);
	while (!is_asked) {
		pass(HUB_FAR_MS);
		(void)far_turn();
	}
	comes(0, 0);
	while (far_turn())
		;
	digest.sum.members++; /* but one who has heard something else is told anew */
	answer();
	while (far_turn())
		;
	CHECK(syncs == 2 && hub_counters(hub)->presence_repaired == 1);
	hub_destroy(hub);
}

static void all_turns(void)
{
	pass(HUB_FAR_MS);
	while (far_turn())
		;
}

/* That it has not been told all. */
static void home_says(enum far_kind kind, uint64_t counter)
{
	slot->doubts = 0; /* it is enough to be told once */
	hub_far_receive(hub, 1,
	                &(struct far_mail){.kind = (uint8_t)kind,
	                                   .slot = slot->number,
	                                   .counter = counter,
	                                   .sum = slot->sum});
	all_turns();
}

/* What a home says without being asked that has not heard us. */
static void a_home_that_has_forgotten_is_told_anew(void)
{
	begin(HOME_ELSEWHERE, 0);
	comes(0, 0);
	all_turns();
	CHECK(syncs == 1 && synced == 1);
	home_says(FAR_DIGEST, 0); /* it may hear us yet */
	CHECK(syncs == 1);
	home_says(FAR_SYNCING, 0);
	home_says(FAR_DIGEST, slot->sync_first); /* it does */
	CHECK(syncs == 1);
	home_says(FAR_DIGEST, 0); /* it did */
	CHECK(syncs == 2 && synced == 2);
	home_says(FAR_SYNCING, 0);
	comes(0, 1);
	all_turns();
	home_says(FAR_DIGEST, slot->counter); /* and has heard only what came after that */
	CHECK(syncs == 3 && synced == 3);
	is_asked = false;
	while (!is_asked)
		all_turns();
	home_says(FAR_DIGEST, 0); /* it was no home when it was told */
	CHECK(syncs == 4 && synced == 4);
	is_told_all();
	hub_destroy(hub);
}

/* Of those who were elsewhere it had told their number alone: they go as the new home is told. */
static void a_home_of_many_hands_over(void)
{
	begin(HOME_HERE, 0);
	comes(0, 0);
	for (uint32_t i = 0; i <= PRESENCE_NAMES_MAX; i++) {
		char name[NAME_MAX];
		CHECK(snprintf(name, NAME_MAX, "guest-%u", i) < NAME_MAX);
		struct far_person person = {
			.user = slice_string(name), .connections = 1, .state = PERSON_HERE};
		hub_far_receive(hub, 1,
		                &(struct far_mail){.kind = FAR_PRESENT,
		                                   .slot = slot->number,
		                                   .counter = ++counters[1],
		                                   .name = slice_string(rooms[0]),
		                                   .people = &person,
		                                   .person_count = 1});
	}
	struct presence *presence = presence_in(0);
	CHECK(presence->occupants.count == PRESENCE_NAMES_MAX + 2 && presence->is_large);
	set_role(HOME_ELSEWHERE, 1);
	CHECK(presence->occupants.count == PRESENCE_NAMES_MAX + 2 && presence->is_large);
	while (hub_far_turn(hub, 10, PEOPLE))
		CHECK(told_in_turn <= PEOPLE + USERS);
	CHECK(synced == 1 && presence->occupants.by_user.count == 1);
	is_told_all();
	hub_destroy(hub);
}

static void show(uint32_t node, uint32_t room, uint32_t user)
{
	struct far_person person = {
		.user = slice_string(users[user]), .connections = 1, .state = PERSON_HERE};
	hub_far_receive(hub, node,
	                &(struct far_mail){.kind = FAR_SHOWN,
	                                   .slot = slot->number,
	                                   .name = slice_string(rooms[room]),
	                                   .show = {.version = 1,
	                                            .redo_from = UINT64_MAX,
	                                            .count = 1,
	                                            .has_names = true,
	                                            .is_first = true,
	                                            .is_last = true},
	                                   .people = &person,
	                                   .person_count = 1});
}

static void watch(struct presence *presence, bool is_on)
{
	presence->workers[0] = is_on;
	presence_changed(hub, presence);
}

/* The walk has been there, and it is not over. */
static void nobody_watches_any_more(void)
{
	begin(HOME_ELSEWHERE, 0);
	struct presence *first = presence_in(0);
	for (uint32_t u = 0; u < USERS; u++)
		comes(1, u);
	watch(first, true);
	while (far_turn())
		;
	show(1, 0, 0);
	CHECK(first->occupants.count == 1 && presence_is_whole(hub, first));
	set_role(HOME_ELSEWHERE, 2);
	(void)far_turn();
	CHECK(slot->is_telling && slot->telling == presence_in(1)->channel);
	CHECK(first->occupants.count == 1);
	watch(first, false);
	while (far_turn())
		;
	CHECK(synced == 2 && occupants_is_empty(&first->occupants));
	hub_destroy(hub);
}

static void ask_for_list(uint32_t room)
{
	struct slice name = slice_string(rooms[room]);
	struct mail_ask *ask = malloc(sizeof(*ask) + name.len);
	CHECK(ask != NULL);
	*ask = (struct mail_ask){.name_len = (uint8_t)name.len};
	memcpy(ask->name, name.at, name.len);
	hub_receive(hub, &(struct hub_mail){.kind = MAIL_PRESENCE, .from = NEIGHBOUR, .ask = ask});
	while (far_turn())
		;
	CHECK(answered == NULL);
}

/* Of a channel with many people the home says only how many. */
static void it_is_many(uint32_t room, uint32_t count)
{
	hub_far_receive(hub, 1,
	                &(struct far_mail){.kind = FAR_SHOWN,
	                                   .slot = slot->number,
	                                   .name = slice_string(rooms[room]),
	                                   .show = {.version = 1,
	                                            .redo_from = UINT64_MAX,
	                                            .count = count,
	                                            .is_first = true,
	                                            .is_last = true}});
}

static void is_answered(uint32_t count, bool has_names)
{
	CHECK(answered != NULL && answered->occupant_count == count);
	CHECK(answered->has_names == has_names);
	CHECK(answered->count == (has_names ? count : 0));
	turnout_drop(answered);
	answered = NULL;
}

static void many_are_a_number(void)
{
	begin(HOME_ELSEWHERE, 0);
	ask_for_list(0);
	it_is_many(0, PRESENCE_NAMES_MAX + 1);
	is_answered(PRESENCE_NAMES_MAX + 1, false);
	struct presence *presence = presence_in(1);
	watch(presence, true);
	while (far_turn())
		;
	it_is_many(1, PRESENCE_NAMES_MAX + 1);
	CHECK(presence->is_large);
	hub_node_up(hub, 1); /* as if it had been away: the mirror is asked for anew */
	ask_for_list(1);
	show(1, 1, 0);
	is_answered(1, true);
	hub_destroy(hub);
}

/* ---- a channel goes where one has come to ---- */

/* Some user that a walk meets in its last step. */
static uint32_t last_to_be_met(void)
{
	uint32_t user = 0;
	while (map_is_behind(hash_bytes(&hub->options.hash_key, slice_string(users[user])),
	                     UINT64_MAX / 16 * 15))
		user++;
	CHECK(user < USERS);
	return user;
}

/* The first room is the only one with somebody; then a turn has no more to spend. */
static void open_two(enum hub_home home)
{
	begin(home, 0);
	(void)presence_in(0);
	(void)presence_in(1);
	comes(0, last_to_be_met());
}

/* Nobody was there for long enough. */
static void close_second(void)
{
	struct slice name = slice_string(rooms[1]);
	agent_settle(hub, hub_find(hub, name, hub_hash(hub, name)));
	pass(CHANNEL_LINGER_MS);
	pass(CHANNEL_LINGER_MS);
	CHECK(hub_find(hub, name, hub_hash(hub, name)) == NULL);
}

static void a_channel_goes_that_is_being_told(void)
{
	open_two(HOME_ELSEWHERE);
	const struct channel *second = presence_in(1)->channel;
	(void)hub_far_turn(hub, 10, 1);
	CHECK(slot->is_telling && slot->telling == second);
	close_second();
	CHECK(slot->is_telling && slot->telling == NULL);
	while (far_turn())
		;
	CHECK(synced == 1);
	is_told_all();
	hub_destroy(hub);
}

static void a_channel_goes_that_is_being_added_up(void)
{
	open_two(HOME_HERE);
	const struct channel *second = presence_in(1)->channel;
	const struct presence_audit *audit = &hub->far->audit;
	for (uint64_t ms = 0; audit->channel != second || audit->slot == NULL; ms += HUB_FAR_MS) {
		CHECK(ms < 2 * PRESENCE_AUDIT_MS);
		pass(HUB_FAR_MS);
		(void)hub_far_turn(hub, 10, 1);
	}
	close_second();
	CHECK(audit->slot == slot && audit->channel == NULL);
	told[1][2][0].connections = 1; /* and one comes, behind all of them */
	say(1, FAR_PRESENT, 2, 0);
	uint64_t before = sum_of(1);
	(void)hub_far_turn(hub, 10, 1);
	CHECK(audit->slot == NULL && before != 0 && sum_of(1) == before);
	hub_destroy(hub);
}

static bool is_there(uint32_t room)
{
	struct slice name = slice_string(rooms[room]);
	return hub_find(hub, name, hub_hash(hub, name)) != NULL;
}

/* One room more, that nobody follows. */
static void is_asked_about(uint32_t room)
{
	struct channel *channel = hub_open(hub, slice_string(rooms[room]));
	CHECK(channel != NULL);
	agent_settle(hub, channel);
}

static void who_is_there_keeps_a_channel(void)
{
	begin(HOME_HERE, 0);
	hub->options.lingering_max = 1;
	for (uint32_t node = 1; node < NODES; node++)
		say_all(node);
	pass(PRESENCE_WHOLE_MS_MAX);
	while (far_turn())
		;
	CHECK(far_is_whole(slot));
	told[1][0][0].connections = 1;
	say(1, FAR_PRESENT, 0, 0);
	say(1, FAR_WATCH, 1, 0);
	is_asked_about(2);
	is_asked_about(3);
	CHECK(is_there(0) && is_there(1) && !is_there(2));
	/* Who may come back does not. */
	struct occupants *occupants = &presence_in(0)->occupants;
	struct parting_grace grace = {.ms = {[PARTING_LOST] = 60000}};
	uint64_t hash = hash_bytes(&hub->options.hash_key, slice_string(users[0]));
	occupants_end(occupants, WORKERS_MAX + 1, hash, PARTING_LOST, &grace, now_ms);
	CHECK(occupants->count == 1);
	is_asked_about(0);
	is_asked_about(2);
	is_asked_about(4);
	CHECK(!is_there(0) && is_there(1));
	hub_destroy(hub);
}

int main(void)
{
	for (uint32_t i = 0, found = 0; found < ROOMS; i++) {
		CHECK(snprintf(rooms[found], NAME_MAX, "room:%u", i) < NAME_MAX);
		found += hub_slot_of(slice_string(rooms[found])) ==
		         hub_slot_of(slice_string(rooms[0]));
	}
	for (uint32_t u = 0; u < USERS; u++)
		CHECK(snprintf(users[u], NAME_MAX, "user-%u", u) < NAME_MAX);
	printf("far_presence: an audit is exact, whoever comes and goes meanwhile\n");
	for (uint64_t seed = 0; seed < 6; seed++)
		an_audit_is_exact(seed);
	CHECK(audits > 1000);
	printf("far_presence: and finds what is wrong\n");
	for (uint64_t seed = 0; seed < 40; seed++)
		an_audit_finds_what_is_wrong(seed);
	printf("far_presence: a new home hears all nodes before it tells, but not for ever\n");
	a_new_home_hears_all_before_it_tells(true);
	a_new_home_hears_all_before_it_tells(false);
	printf("far_presence: whose home was nowhere meanwhile tells it all again\n");
	half_of_it_is_not_all();
	a_home_that_has_forgotten_is_told_anew();
	printf("far_presence: a home is told of all, though people move meanwhile\n");
	for (uint64_t seed = 0; seed < 12; seed++)
		a_home_is_told_in_parts(seed);
	printf("far_presence: a home of many hands over\n");
	a_home_of_many_hands_over();
	printf("far_presence: who is shown to nobody any more is forgotten\n");
	nobody_watches_any_more();
	printf("far_presence: of many who are asked for at another node their number is told\n");
	many_are_a_number();
	printf("far_presence: who always has news is believed\n");
	for (uint64_t seed = 0; seed < 8; seed++)
		who_always_has_news_is_believed(seed);
	printf("far_presence: a channel may go before it has been told, or added up\n");
	a_channel_goes_that_is_being_told();
	a_channel_goes_that_is_being_added_up();
	printf("far_presence: who is there, or watches, keeps his channel where there are too "
	       "many\n");
	who_is_there_keeps_a_channel();
	return 0;
}
