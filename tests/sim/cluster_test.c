/*
 * Hubs of several nodes with their clients, while links break, homes move and nodes end: what
 * clients are told is held against what was committed.
 *
 *   - Nobody is given what was not committed, and one place in an order is one message for all (I7,
 * I1).
 *   - A client's messages rise by one from where its subscription began, until it is told of a gap;
 *     and when all is quiet it has come to the head, or was told (I3, I4). It is told of none where
 *     history reaches as far.
 *   - A cursor is recovered by any node, where the order goes on and history reaches as far.
 *   - An answered publication has its place for good; one that was tried again, by whatever node,
 * has one place at most in a stream (I5).
 *   - What a replica had of a stream that ended is taken in by the next one, once; but what that
 * has from the beginning is not.
 *   - Without memory somebody is refused, or ends; all else holds.
 *   - In the end each home knows who follows, and nobody else (I11).
 *
 * A seed makes a run; without arguments there are SEEDS_DEFAULT of them, over all scenarios.
 *   cluster_test [SEED [COUNT]]
 */
#include "cluster_world.h"
#include "seeds.h"

#define SEEDS_DEFAULT 340
#define CLIENTS 24
#define STEPS 1500
#define ASKED_MAX 4096 /* commands of one client */
#define BLOCKED 10     /* of a hundred */

/* From there, where it was committed, into that stream. */
struct taken {
	struct cursor place;
	uint64_t stream;
};

/* What was published under one number. */
struct publication_said {
	uint32_t channel;
	bool has_once;    /* it has an idempotency key */
	bool is_unechoed; /* who published it does not want it back */
	uint64_t said_ms;
	uint64_t epoch, seq; /* the place it was answered with; 0: none */
	uint64_t stream;     /* the last one that has it, since when */
	uint64_t committed_ms;
	struct taken taking, taken; /* from a fork: it will be, or is, in that stream */
	uint64_t owed;              /* the one whose first home has it, perhaps not committed */
	uint64_t parted;            /* the fork that it is in, and was not seen in yet; 0: none */
	struct cursor place;        /* there */
};

#include "sim_client.h"

struct world world;

static const struct scenario scenarios[] = {
	{.name = "quiet: one order for all nodes", .nodes = 3, .workers = 2, .replicas = 3},
	{.name = "one copy of each slot", .nodes = 3, .workers = 2, .replicas = 1},
	{.name = "links break", .nodes = 3, .workers = 2, .replicas = 3, .link_percent = 3},
	{.name = "letters of records are left out",
         .nodes = 3,
         .workers = 2,
         .replicas = 2,
         .lossy_percent = 10},
	{.name = "homes move", .nodes = 4, .workers = 2, .replicas = 3, .move_percent = 3},
	{.name = "nodes end and come again",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .crash_percent = 1},
	{.name = "logs are lost whole",
         .nodes = 3,
         .workers = 1,
         .replicas = 2,
         .unclean_percent = 1},
	{.name = "streams part, and meet",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .unclean_percent = 1,
         .fork_percent = 60},
	{.name = "streams part as homes move",
         .nodes = 4,
         .workers = 1,
         .replicas = 3,
         .unclean_percent = 2,
         .fork_percent = 80,
         .link_percent = 2,
         .move_percent = 4},
	{.name = "a stream loses, and the one before stays",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .stray_percent = 2,
         .move_percent = 1},
	{.name = "questions come twice",
         .nodes = 3,
         .workers = 2,
         .replicas = 3,
         .again_percent = 30,
         .move_percent = 1},
	{.name = "the post has no room",
         .nodes = 3,
         .workers = 3,
         .replicas = 2,
         .full_percent = 15,
         .move_percent = 1},
	{.name = "memory is short",
         .nodes = 3,
         .workers = 2,
         .replicas = 2,
         .memory_percent = 2,
         .move_percent = 1},
	{.name = "memory is short as streams part",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .memory_percent = 2,
         .unclean_percent = 1,
         .fork_percent = 60},
	{.name = "channels end",
         .nodes = 3,
         .workers = 2,
         .replicas = 2,
         .pace_ms = 350,
         .clients = 3,
         .idle_percent = 88},
	{.name = "few follow, and not for long",
         .nodes = 3,
         .workers = 2,
         .replicas = 2,
         .pace_ms = 350,
         .clients = 3,
         .link_percent = 1},
	{.name = "channels make room for others",
         .nodes = 3,
         .workers = 1,
         .replicas = 2,
         .pace_ms = 100,
         .clients = 4,
         .idle_percent = 40,
         .link_percent = 1,
         .move_percent = 1,
         .lingering_max = 1},
	{.name = "all at once",
         .nodes = 5,
         .workers = 2,
         .replicas = 3,
         .link_percent = 2,
         .move_percent = 1,
         .crash_percent = 1,
         .unclean_percent = 1,
         .fork_percent = 50,
         .stray_percent = 1,
         .lossy_percent = 3,
         .full_percent = 3,
         .again_percent = 5},
};

static const char *const names[CHANNELS] = {"long:1", "few:1",  "brief:1", "none:1",
                                            "last:1", "slow:1", "keys:1"};

/* ---- what was said ---- */

static uint64_t ended_ms[CHANNELS]; /* when a home last forgot the channel */

static struct {
	uint64_t redeemed, closed, gaps, awkward;
} seen;

static struct slice name_of(uint32_t channel)
{
	return slice_string(names[channel]);
}

static const struct rule *rule_of(uint32_t channel)
{
	return &rule_list[channel];
}

static uint64_t now_ms(void)
{
	return world.now_ms;
}

static struct slot_log *log_of_channel(uint32_t channel)
{
	return log_of(hub_slot_of(name_of(channel)));
}

static struct channel *channel_at(struct hub *hub, uint32_t channel)
{
	return hub_find(hub, name_of(channel), hub_hash(hub, name_of(channel)));
}

static struct channel *home_channel(uint32_t channel)
{
	const struct slot_log *log = log_of_channel(channel);
	return channel_at(hub_of((uint32_t)log->home, log->slot), channel);
}

/* One place in a stream, as long as its key is known there, or the old place that it has come from.
 */
static bool is_twice(const struct publication_said *publication, uint64_t stream)
{
	const struct taken *taken = &publication->taken, *taking = &publication->taking;
	bool is_same = taken->stream == stream && taking->stream == stream &&
	               taken->place.epoch == taking->place.epoch &&
	               taken->place.seq == taking->place.seq;
	return publication->stream == stream &&
	       (publication->has_once || is_same ||
	        world.now_ms - publication->committed_ms < RETRIES_MS - 100);
}

static void on_committed(const struct record *record, uint64_t stream)
{
	uint32_t channel = channel_by_name(record_channel(record));
	uint64_t number = said_in(record);
	struct order *order = order_at(channel, record->epoch, stream);
	CHECK(record->seq == order->head + 1);
	CHECK(said[number].channel == channel);
	order_say(order, record->seq, number);
	struct publication_said *publication = &said[number];
	CHECK(!is_twice(publication, stream)); /* I5 */
	publication->stream = stream;
	publication->committed_ms = world.now_ms;
	if (publication->taking.stream == stream)
		publication->taken = publication->taking;
}

static void on_closed(struct slice channel)
{
	ended_ms[channel_by_name(channel)] = world.now_ms;
	seen.closed++;
}

static void on_nobodys(struct slice name, struct cursor place, uint64_t stream)
{
	struct order *order = order_at(channel_by_name(name), place.epoch, stream);
	CHECK(place.seq == order->head + 1);
	order_say(order, place.seq, 0);
	seen.gaps++;
}

/* ---- streams that part ---- */

static const struct channel *channel_on(const struct slot_log *log, uint32_t node)
{
	struct hub *hub = hub_of(node, log->slot);
	for (uint32_t c = 0; c < CHANNELS; c++) {
		if (hub_slot_of(name_of(c)) == log->slot)
			return channel_at(hub, c);
	}
	return NULL;
}

static void on_redeems(const struct record *record, uint64_t stream)
{
	said[said_in(record)].owed = stream;
}

static void on_taken_in(const struct record *record, struct cursor place, uint64_t stream)
{
	said[said_in(record)].taking = (struct taken){place, stream};
}

static void on_redeemed(const struct slot_log *log)
{
	for (uint64_t number = 1; number <= said_count; number++) {
		const struct publication_said *publication = &said[number];
		CHECK(publication->owed != log->stream || is_brief(publication->channel) ||
		      publication->stream == log->stream);
		seen.redeemed += publication->owed == log->stream;
	}
}

static void on_parted(const struct slot_log *log, uint32_t node)
{
	const struct channel *channel = channel_on(log, node);
	if (channel == NULL || !channel->far->is_known || channel->rule->history_ttl_ms < 10000)
		return;
	uint64_t seq = channel_history_first(channel, world.now_ms);
	for (; seq < log_next(&channel->log); seq++) {
		struct publication_said *publication = &said[said_in(log_at(&channel->log, seq))];
		publication->parted = log->forks[node]->number;
		publication->place = (struct cursor){.epoch = channel->epoch, .seq = seq};
	}
}

static bool was_committed(const struct record *record)
{
	const struct order *order =
		order_find(channel_by_name(record_channel(record)), record->epoch);
	return order != NULL && record->seq <= order->head &&
	       order->said[record->seq] == said_in(record);
}

/* All of it is there, but for what made room for others that came before it was saved. */
static void on_saved(const struct slot_log *log, uint32_t node)
{
	const struct fork *fork = log->forks[node];
	struct cursor last = {0};
	for (uint64_t number = 1; number <= said_count; number++) {
		if (said[number].parted == fork->number)
			last.epoch = said[number].place.epoch;
	}
	for (size_t i = 0; i < fork->saved_count; i++) {
		struct hub_entry entry;
		fork_read(log, node, &fork->saved[i], &entry);
		if (entry.kind == ENTRY_CHANNEL)
			continue;
		CHECK(entry.kind == ENTRY_RECORD);
		struct publication_said *publication = &said[said_in(entry.record)];
		if (publication->parted == fork->number)
			publication->parted = 0;
		if (entry.record->epoch == last.epoch && was_committed(entry.record))
			last.seq = entry.record->seq;
		relay_entry_free(&entry);
	}
	for (uint64_t number = 1; number <= said_count; number++) {
		const struct publication_said *publication = &said[number];
		bool has_gone =
			publication->place.epoch == last.epoch &&
			publication->place.seq + rule_list[publication->channel].history_size <=
				last.seq;
		CHECK(publication->parted != fork->number || has_gone);
	}
}

static void on_merged(const struct record *record, uint64_t stream)
{
	const struct publication_said *publication = &said[said_in(record)];
	const struct order *order = order_find(publication->channel, record->epoch);
	/* Another fork may have come farther, or later, and history had let this one go. */
	uint64_t size = rule_list[publication->channel].history_size;
	bool is_old = is_brief(publication->channel) ||
	              (order != NULL && record->seq + size <= order->head);
	CHECK(publication->stream == stream || is_old);
}

/* ---- what clients may be told ---- */

static struct hub *enter_hub_of(const struct client *client)
{
	struct hub *hub = world.nodes[client->node].workers[client->worker].hub;
	hub_enter(hub);
	return hub;
}

static bool may_be_lost(const struct asked *asked, const struct hub_event *event)
{
	const struct rule *rule = &rule_list[asked->channel];
	const struct order *order = order_find(asked->channel, asked->since.epoch);
	struct slot_log *log = log_of_channel(asked->channel);
	/* It may come from a home that did not know yet that it was one no more. */
	if (log->doubt_ms >= asked->asked_ms)
		return true;
	if (asked->since.seq == 0 || order == NULL || !is_replicated(asked->channel) ||
	    order->stream != log->stream || ended_ms[asked->channel] != 0)
		return true;
	/* Ages are each node's own, so only what is much younger is sure to be there. */
	uint64_t behind = order->head - asked->since.seq;
	return event->epoch != asked->since.epoch
	               ? log->home < 0
	               : behind > rule->history_size || is_brief(asked->channel) ||
	                         order_has_gap(order, asked->since.seq);
}

/* A home that was one no more for a while has been given what it sends to nobody: that shows in its
 * next digest. */
static bool homes_stay(void)
{
	const struct scenario *s = world.scenario;
	return s->move_percent + s->crash_percent + s->unclean_percent + s->stray_percent +
	               s->lossy_percent + s->memory_percent ==
	       0;
}

/* Nothing is refused while there is nothing that may go wrong. */
static bool may_refuse(void)
{
	const struct scenario *s = world.scenario;
	return world.now_ms < 5000 || s->link_percent + s->move_percent + s->crash_percent +
	                                              s->unclean_percent + s->full_percent +
	                                              s->lossy_percent + s->memory_percent >
	                                      0;
}

/* Is something between that its stream had, and nobody may have any more? */
static bool may_have_gap(const struct following *following, uint32_t channel,
                         const struct hub_event *event)
{
	const struct rule *rule = &rule_list[channel];
	const struct order *before = order_find(channel, following->epoch),
			   *after = order_find(channel, event->epoch);
	const struct scenario *s = world.scenario;
	/* A replica comes back to its order with its post full, and so without what it had before
	 * what it is to apply. */
	bool is_hard = s->memory_percent > 0 || (s->stray_percent > 0 && s->full_percent > 0);
	if (!is_replicated(channel) || is_keyed(channel) || is_brief(channel) || is_hard ||
	    before == NULL || after == NULL)
		return true;
	return before == after ? before->head > following->seq + rule->history_size ||
	                                 order_has_gap(before, following->seq)
	                       : before->stream != after->stream || ended_ms[channel] != 0;
}

/* ---- what clients do ---- */

static void publish(struct client *client, uint32_t channel)
{
	char payload[REF_BYTES];
	bool is_again = said_count > 0 && below(100) < 10, is_unechoed = below(100) < 5;
	uint64_t number = is_again ? say_again(channel) : say(channel, is_unechoed);
	if (number != 0)
		client_publish(client, number, payload, NUMBER_BYTES, 3);
}

static void client_turn(struct client *client)
{
	uint32_t channel = below(CHANNELS), what = below(100);
	if (!client->is_open) {
		uint32_t node = below(world.scenario->nodes);
		if (world.nodes[node].is_up)
			client_open(client, node);
		return;
	}
	if (client->session.is_blocked && below(100) < 50)
		client_ready(client);
	if (world.is_quiet)
		return;
	if (client->asked_count + 10 > ASKED_MAX || what < 4)
		client_close(client);
	else if (what < (world.scenario->clients > 0 ? 7 : 12))
		client_subscribe(client, channel, below(2) == 0);
	else if (what < 15)
		client_unsubscribe(client, channel);
	else if (what < 60)
		publish(client, channel);
	else if (what < 65)
		client_history(client, channel);
}

/* ---- the world's turns ---- */

static const struct world_hooks hooks = {on_committed, on_closed, on_nobodys, on_node_ends,
                                         on_redeems,   on_parted, on_saved,   on_taken_in,
                                         on_redeemed,  on_merged};

static void crash_turn(void)
{
	uint32_t down = 0;
	for (uint32_t i = 0; i < world.scenario->nodes; i++) {
		struct sim_node *node = &world.nodes[i];
		if (!node->is_up && node->up_ms <= world.now_ms)
			node_begin(i, &hub_out);
		down += !node->is_up;
	}
	uint32_t i = below(world.scenario->nodes);
	bool is_settled = true; /* no slot hangs by one node alone */
	for (uint32_t l = 0; l < world.log_count; l++) {
		struct slot_log *log = &world.logs[l];
		uint32_t copies = 0;
		for (uint32_t n = 0; n < world.scenario->nodes; n++)
			copies += n != i && log->in_set[n] && log->is_restored[n];
		is_settled &= log->home >= 0 && copies > 0;
	}
	if (down > 0 || !is_settled || !chance(world.scenario->crash_percent))
		return;
	world.seen.crashes++;
	node_end(i);
	world.nodes[i].up_ms = world.now_ms + below(1500);
}

/* Where the home's post has no room for what is committed, one who has had that from a replica
 * comes there. */
static void awkward_turn(void)
{
	struct client *client = &clients[below(CLIENTS)];
	uint32_t channel = below(CHANNELS);
	const struct slot_log *log = log_of_channel(channel);
	const struct following *following = &client->following[channel];
	const struct order *order = order_find(channel, following->epoch);
	if (!client->is_open || log->home < 0 || client->node == (uint32_t)log->home ||
	    order == NULL || following->state != FOLLOWING || following->seq != order->head ||
	    far_slot(hub_of((uint32_t)log->home, log->slot), log->slot)->committed == 0)
		return;
	client_close(client);
	client_open(client, (uint32_t)log->home);
	seen.awkward++;
}

static uint32_t client_count(void)
{
	return world.scenario->clients > 0 ? world.scenario->clients : CLIENTS;
}

static void turn(void)
{
	bool is_slow = world.scenario->pace_ms > 0 && !world.is_quiet;
	world.now_ms += below(is_slow ? world.scenario->pace_ms : 6);
	faults_turn();
	crash_turn();
	links_turn();
	for (uint32_t i = 0; i < world.log_count; i++)
		log_turn(&world.logs[i]);
	for (int i = 0; world.scenario->full_percent > 0 && i < CLIENTS; i++)
		awkward_turn();
	if (world.scenario->idle_percent == 0 || !chance(world.scenario->idle_percent))
		client_turn(&clients[below(client_count())]);
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		for (uint32_t w = 0; w < world.scenario->workers && world.nodes[n].is_up; w++)
			worker_turn(&world.nodes[n].workers[w]);
	}
	for (struct client *client = clients; client < clients + CLIENTS; client++) {
		if (client->is_open && client->is_ending)
			client_close(client);
	}
}

/* ---- when all is quiet ---- */

/* I11 */
static void check_interest(void)
{
	for (uint32_t c = 0; c < CHANNELS; c++) {
		struct slot_log *log = log_of_channel(c);
		struct hub *home = hub_of((uint32_t)log->home, log->slot);
		const struct channel *channel = channel_at(home, c);
		for (uint32_t n = 0; n < world.scenario->nodes; n++) {
			if (n == (uint32_t)log->home)
				continue;
			struct hub *hub = hub_of(n, log->slot);
			const struct channel *tail = channel_at(hub, c);
			bool is_wanted = tail != NULL && tail->far->is_interested;
			bool is_known = channel != NULL && far_bit(channel->far->nodes, n);
			CHECK(is_wanted == is_known);
			CHECK(is_wanted || tail == NULL || !channel_is_followed_here(tail));
			/* One that follows nothing is told more than it needs, till it says so. */
			CHECK(far_slot(hub, log->slot)->sum.count == 0 ||
			      far_bit(far_slot(home, log->slot)->synced, n));
		}
	}
}

/* Replicas have what the home has. */
static void check_replicas(void)
{
	for (uint32_t c = 0; c < CHANNELS; c++) {
		struct slot_log *log = log_of_channel(c);
		const struct channel *channel = home_channel(c);
		if (channel == NULL || !channel->far->is_known || is_brief(c))
			continue;
		for (uint32_t n = 0; n < world.scenario->nodes; n++) {
			if (!log->in_set[n] || n == (uint32_t)log->home)
				continue;
			const struct channel *copy = channel_at(hub_of(n, log->slot), c);
			CHECK(copy != NULL && copy->epoch == channel->epoch);
			CHECK(log_next(&copy->log) == log_next(&channel->log));
			CHECK(channel_history_first(copy, world.now_ms) ==
			      channel_history_first(channel, world.now_ms));
			if (rule_list[c].deliver_last)
				check_latest(channel, copy);
		}
	}
}

static void world_quiets(void)
{
	world.is_quiet = true;
	for (uint32_t n = 0; n < world.scenario->nodes; n++)
		world.nodes[n].up_ms = 0;
	uint64_t until = world.now_ms + 26000;
	bool has_moved = world.scenario->fork_percent == 0;
	while (world.now_ms < until) {
		/* Before the last forks come, homes move once more. */
		for (uint32_t i = 0; !has_moved && until - world.now_ms < 18000 && i < CHANNELS;
		     i++)
			log_depose(&world.logs[i], true);
		has_moved |= until - world.now_ms < 18000;
		turn();
		world.now_ms += below(12);
		for (struct client *client = clients; client < clients + CLIENTS; client++) {
			if (client->is_open && client->session.is_blocked)
				client_turn(client);
		}
	}
	log_check_applied();
	for (uint32_t i = 0; i < world.log_count; i++) {
		for (uint32_t n = 0; n < world.scenario->nodes; n++)
			CHECK(world.logs[i].forks[n] == NULL); /* each was given away */
	}
	check_clients();
	check_interest();
	check_replicas();
}

static void world_begin(const struct scenario *scenario, uint64_t seed)
{
	memset(&world, 0, sizeof(world));
	world.scenario = scenario;
	world.hooks = &hooks;
	world.rules = &rules;
	seeded.scenario = scenario->name;
	seeded.seed = seed;
	world.random.state = seed * 7919 + 1;
	world.now_ms = 1000000 + below(100000);
	world.next_stream = 1;
	memset(ended_ms, 0, sizeof(ended_ms));
	for (uint32_t a = 0; a < NODES_MAX; a++) {
		for (uint32_t b = 0; b < NODES_MAX; b++)
			world.links[a][b].last = &world.links[a][b].first;
	}
	for (uint32_t n = 0; n < scenario->nodes; n++)
		node_begin(n, &hub_out);
	for (uint32_t c = 0; c < CHANNELS; c++) {
		struct slot_log *log = &world.logs[world.log_count++];
		log->slot = hub_slot_of(name_of(c));
		for (uint32_t before = 0; before < c; before++)
			CHECK(world.logs[before].slot != log->slot);
		log->last = &log->first;
		log->stream = world.next_stream++;
		log->home = -1;
		log->term = 1;
	}
	clients_begin();
}

static void world_end(void)
{
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		if (world.nodes[n].is_up)
			node_end(n);
	}
	for (uint32_t i = 0; i < world.log_count; i++) {
		struct slot_log *log = &world.logs[i];
		while (log->first != NULL)
			free(log_take_proposed(log).at);
		vain_drop(log);
		for (size_t e = 0; e < log->count; e++)
			free(log->entries[e].at);
		free(log->entries);
	}
	clients_end();
}

static struct {
	uint64_t frames, lost, moves, crashes, unclean, adopted, revoked, restored, breaks, forks,
		merged, opened, strays, short_of, forgotten;
} all;

static uint64_t forgotten(void)
{
	uint64_t count = 0;
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		for (uint32_t w = 0; w < world.scenario->workers; w++) {
			const struct hub *hub = world.nodes[n].workers[w].hub;
			count += hub == NULL ? 0 : hub_counters(hub)->forgotten;
		}
	}
	return count;
}

static void world_run(uint64_t seed)
{
	world_begin(&scenarios[seed % COUNT_OF(scenarios)], seed);
	for (int i = 0; i < STEPS; i++)
		turn();
	world_quiets();
	all.frames += world.seen.frames;
	all.lost += world.seen.lost;
	all.moves += world.seen.moves;
	all.crashes += world.seen.crashes;
	all.unclean += world.seen.unclean;
	all.adopted += world.seen.adopted;
	all.revoked += world.seen.revoked;
	all.restored += world.seen.restored;
	all.breaks += world.seen.breaks;
	all.forks += world.seen.forks;
	all.merged += world.seen.merged;
	all.opened += world.seen.opened;
	all.strays += world.seen.strays;
	all.short_of += world.seen.short_of;
	all.forgotten += forgotten();
	world_end();
}

/* That it came to pass at all, in some seed: a simulation that never goes there proves nothing. */
static void seen_check(void)
{
	CHECK(all.lost > 0 && all.moves > 0 && all.crashes > 0 && all.unclean > 0);
	CHECK(all.adopted > 0 && all.revoked > 0 && all.restored > 0 && all.breaks > 0);
	CHECK(all.forks > 0 && all.merged > 0 && all.opened > 0 && all.strays > 0);
	CHECK(told.delivered > 0 && told.gaps > 0 && told.acks > 0 && told.refusals > 0);
	CHECK(told.recovered > 0 && told.not_recovered > 0 && told.resumed_elsewhere > 0);
	CHECK(told.duplicates > 0 && told.pages > 0 && told.left_out > 0 && told.ended > 0);
	CHECK(seen.redeemed > 0 && seen.closed > 0 && seen.gaps > 0 && seen.awkward > 0);
	CHECK(all.short_of > 0 && all.forgotten > 0);
}

int main(int argc, char **argv)
{
	struct seeds seeds = seeds_begin(argc, argv, SEEDS_DEFAULT);
	for (uint64_t i = 0; i < seeds.count; i++) {
		if (i < COUNT_OF(scenarios))
			printf("cluster: %s\n",
			       scenarios[(seeds.first + i) % COUNT_OF(scenarios)].name);
		world_run(seeds.first + i);
	}
	if (seeds.count >= SEEDS_DEFAULT)
		seen_check();
	return 0;
}
