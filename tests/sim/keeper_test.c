/*
 * The keeper between real slots and real hubs, on several nodes with clients, while nodes end,
 * stand still, drain and come again, networks part, workers are slow, rings are full and memory is
 * short.
 *
 *   - What the log of a stream applies has its place there: one message, for good (I1). Places are
 * given in order, and never again.
 *   - Nobody is given what was not applied somewhere (I7); a client's messages rise by one until it
 * is told of a gap, and when all is quiet it has come to the head (I3, I4). It is told of none
 * where the order goes on.
 *   - What was acknowledged in a stream is in the channel of each later home of it, before that
 * takes anything new (I2, I6, I8), and where streams meet, in the one that stays, as long as
 * somebody who had it lives. One that was tried again has one place in a stream (I5).
 *   - After each turn the keeper, its slots and its hub agree (keeper_world.h).
 *   - A copy that has applied as much as its home holds what that holds: history, the latest of
 * keys, idempotency keys. Who is no replica any more holds nothing.
 *
 * A seed makes a run; without arguments there are SEEDS_DEFAULT of them, over all scenarios. With
 * one seed alone each thing that happens is printed. keeper_test [SEED [COUNT]]
 */
#include "keeper_world.h"
#include "seeds.h"

#define SEEDS_DEFAULT 216
#define CHANNELS 8
#define CLIENTS 12
#define ASKED_MAX 2048 /* commands of one client */
#define BLOCKED 50     /* of a thousand */
#define STEPS 14       /* faults */
#define NAME_BYTES 24
#define PAYLOAD_MAX 300000u

/* What was published under one number. */
struct publication_said {
	uint32_t channel;
	bool has_once, is_unechoed;         /* it has an idempotency key */
	uint64_t epoch, seq;                /* the place it was answered with last; 0: none */
	uint64_t streams[STREAMS_MAX / 64]; /* those whose log has it */
	uint64_t known[STREAMS_MAX / 64];   /* those that began with it */
	uint64_t said_ms, applied_ms;       /* by the last one of them, first */
	uint64_t first_ms;                  /* by any of them */
	uint32_t stream;
};

#include "sim_client.h"

static const struct scenario scenarios[] = {
	{.name = "quiet", .nodes = 3, .workers = 2, .replicas = 3},
	{.name = "one copy, and nodes come and go",
         .nodes = 3,
         .workers = 2,
         .replicas = 1,
         .drain = 1,
         .is_gentle = true},
	{.name = "homes die, one at a time",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .crash = 1,
         .is_gentle = true},
	{.name = "nodes drain and come again",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .drain = 1,
         .is_gentle = true},
	{.name = "nodes stand still", .nodes = 4, .workers = 1, .replicas = 3, .pause = 1},
	{.name = "networks part, and meet",
         .nodes = 5,
         .workers = 1,
         .replicas = 3,
         .cut = 1,
         .part = 2,
         .heal = 2},
	{.name = "networks part, and one side waits",
         .nodes = 5,
         .workers = 1,
         .replicas = 3,
         .partition = SLOTS_PAUSE,
         .cut = 1,
         .part = 2,
         .heal = 2},
	{.name = "workers are slow",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .stall = 3,
         .crash = 1,
         .left_out = 30},
	{.name = "rings are full",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .full = 4,
         .stall = 1,
         .drain = 1,
         .crash = 2},
	{.name = "memory is short",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .crash = 1,
         .drain = 1,
         .memory = 60,
         .dry = 2},
	{.name = "memory is short as networks part",
         .nodes = 4,
         .workers = 1,
         .replicas = 3,
         .part = 2,
         .heal = 2,
         .memory = 40,
         .dry = 2},
	{.name = "states of many parts",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .crash = 2,
         .part = 1,
         .heal = 2,
         .payload_bytes = PAYLOAD_MAX,
         .memory = 20},
	{.name = "frames are lost, and come twice",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .crash = 1,
         .pause = 1,
         .loss = 50,
         .twice = 50,
         .left_out = 50,
         .delay_ms = 40},
	{.name = "all at once, one copy",
         .nodes = 3,
         .workers = 2,
         .replicas = 1,
         .crash = 2,
         .pause = 1,
         .part = 1,
         .heal = 2,
         .drain = 1,
         .full = 1,
         .memory = 10,
         .dry = 1},
	{.name = "all at once, two",
         .nodes = 4,
         .workers = 2,
         .replicas = 2,
         .crash = 2,
         .pause = 1,
         .cut = 1,
         .part = 1,
         .heal = 2,
         .stall = 1,
         .full = 1,
         .memory = 10,
         .dry = 1},
	{.name = "all at once, three",
         .nodes = 5,
         .workers = 2,
         .replicas = 3,
         .crash = 2,
         .pause = 1,
         .cut = 1,
         .part = 1,
         .heal = 2,
         .stall = 1,
         .full = 1,
         .drain = 1,
         .memory = 10,
         .loss = 10,
         .dry = 1},
	{.name = "all at once, five",
         .nodes = 6,
         .workers = 1,
         .replicas = 5,
         .crash = 3,
         .part = 1,
         .heal = 2,
         .stall = 1,
         .full = 1,
         .memory = 10,
         .dry = 1},
	{.name = "all at once, seven",
         .nodes = 7,
         .workers = 1,
         .replicas = 7,
         .crash = 3,
         .part = 1,
         .heal = 2,
         .stall = 1,
         .drain = 1,
         .memory = 10},
};

struct channel_said {
	char name[NAME_BYTES];
	uint16_t slot;
	const struct rule *rule;
};
static struct channel_said channels[CHANNELS];

static struct slice name_of(uint32_t channel)
{
	return slice_string(channels[channel].name);
}

static const struct rule *rule_of(uint32_t channel)
{
	return channels[channel].rule;
}

static uint64_t now_ms(void)
{
	return world.net->now_ms;
}

/* Two long ones, and one of each other kind: each slot has two. */
static void channels_name(void)
{
	rule_list[0].history_size = 4000; /* all that is said in a run */
	for (uint32_t i = 0; i < CHANNELS; i++) {
		struct channel_said *channel = &channels[i];
		uint32_t kind = i < KINDS ? i : 0, number = 0;
		do {
			snprintf(channel->name, NAME_BYTES, "%s:%u", kinds[kind], ++number);
			channel->slot = hub_slot_of(slice_string(channel->name));
		} while (channel->slot != i % SLOTS_SIM);
		channel->rule = &rule_list[kind];
	}
}

/* ---- what was said ---- */

static struct {
	uint64_t compared, keys, looked, heard, gaps;
} checked;

static bool has_stream(const uint64_t *streams, uint32_t stream)
{
	return (streams[stream / 64] >> stream % 64 & 1) != 0;
}

static void on_applied(struct sim_worker *worker, const struct record *record, uint32_t stream)
{
	(void)worker;
	uint32_t channel = channel_by_name(record_channel(record));
	uint64_t number = said_in(record);
	struct order *order = order_at(channel, record->epoch, stream);
	struct publication_said *publication = &said[number];
	CHECK(order->stream == stream && publication->channel == channel);
	CHECK(record->seq <= order->head + 1);
	bool is_first = record->seq == order->head + 1;
	order_say(order, record->seq, number);
	if (!is_first)
		return;
	/* I5 */
	bool is_twice = has_stream(publication->streams, stream) &&
	                (publication->has_once ||
	                 (publication->stream == stream &&
	                  world.net->now_ms - publication->applied_ms < RETRIES_MS - 100));
	CHECK(!is_twice || is_brief(channel));
	publication->streams[stream / 64] |= 1ull << stream % 64;
	if (publication->first_ms == 0)
		publication->first_ms = world.net->now_ms;
	publication->stream = stream;
	publication->applied_ms = world.net->now_ms;
}

/* A number of its order is nobody's: something of a fork is lost. */
static void on_nobodys(struct slice name, struct cursor place, uint32_t stream)
{
	struct order *order = order_at(channel_by_name(name), place.epoch, stream);
	CHECK(order->stream == stream && place.seq <= order->head + 1);
	checked.gaps += place.seq > order->head;
	order_say(order, place.seq, 0);
}

static struct channel *channel_on(struct sim_worker *worker, uint32_t channel)
{
	return hub_find(worker->hub, name_of(channel), hub_hash(worker->hub, name_of(channel)));
}

static struct channel *home_channel(uint32_t channel)
{
	uint32_t slot = channels[channel].slot;
	return channel_on(worker_at(home_of(slot), slot), channel);
}

static void knows_order(uint32_t channel, uint64_t epoch, uint64_t seq, uint32_t stream)
{
	const struct order *order = order_find(channel, epoch);
	for (; order != NULL && seq > 0; seq--) {
		if (seq <= order->head && order->said[seq] != 0)
			said[order->said[seq]].known[stream / 64] |= 1ull << stream % 64;
	}
}

static void on_opens(struct sim_worker *worker, uint32_t slot, uint32_t stream)
{
	for (uint32_t c = slot; c < CHANNELS; c += SLOTS_SIM) {
		const struct channel *channel = channel_on(worker, c);
		if (channel == NULL || !is_replicated(c))
			continue;
		if (channel->far->is_known)
			knows_order(c, channel->epoch, log_next(&channel->log) - 1, stream);
		const struct past *past = channel->far->pasts.first;
		for (; past != NULL; past = past->next)
			knows_order(c, past->epoch, past->seq, stream);
	}
}

/* What the channel has in its log was said there. */
static void check_log(const struct channel *channel, uint32_t number)
{
	const struct order *order = order_find(number, channel->epoch);
	uint64_t seq = channel_history_first(channel, world.net->now_ms);
	for (; seq < log_next(&channel->log); seq++) {
		CHECK(order != NULL && seq <= order->head);
		CHECK(order->said[seq] == said_in(log_at(&channel->log, seq)));
	}
}

/* I2, I6, I8: what was acknowledged in the stream is here. */
static void on_begins_home(struct sim_worker *worker, uint32_t slot, uint32_t stream)
{
	checked.looked++;
	for (uint64_t number = 1; number <= said_count; number++) {
		const struct publication_said *publication = &said[number];
		uint32_t c = publication->channel;
		if (channels[c].slot != slot || publication->epoch == 0 || !is_replicated(c) ||
		    is_brief(c))
			continue;
		const struct order *order = order_find(c, publication->epoch);
		if (order->stream != stream)
			continue;
		const struct channel *channel = channel_on(worker, c);
		CHECK(channel != NULL && channel->epoch == publication->epoch);
		CHECK(publication->seq < log_next(&channel->log));
		CHECK(log_next(&channel->log) > order->head); /* and all that is given out */
	}
	for (uint32_t c = 0; c < CHANNELS; c++) {
		const struct channel *channel = channel_on(worker, c);
		if (channels[c].slot == slot && channel != NULL && is_replicated(c))
			check_log(channel, c);
	}
}

/* ---- what clients may be told ---- */

static struct sim_worker *worker_of_client(const struct client *client)
{
	return &world.shells[client->node].workers[client->worker];
}

static struct hub *enter_hub_of(const struct client *client)
{
	struct sim_worker *worker = worker_of_client(client);
	hub_enter(worker);
	return worker->hub;
}

/* The order that the client was in goes on, and history reaches back to it. */
static bool goes_on(uint32_t channel, struct cursor since, uint64_t epoch)
{
	const struct order *before = order_find(channel, since.epoch),
			   *after = order_find(channel, epoch);
	if (!is_replicated(channel) || is_brief(channel) || before == NULL ||
	    order_has_gap(before, since.seq))
		return false;
	return before->head <= since.seq + channels[channel].rule->history_size &&
	       (before == after || (after != NULL && before->stream == after->stream));
}

/* Without memory or room a replica may come back to its order without what it had. */
static bool is_hard(void)
{
	const struct scenario *scenario = world.scenario;
	return scenario->memory + scenario->dry > 0 || (scenario->full > 0 && scenario->part > 0);
}

/* A home may not know yet that it is one no more, and what has been said since. */
static bool may_be_deposed(void)
{
	const struct scenario *scenario = world.scenario;
	return scenario->cut + scenario->part + scenario->pause + scenario->stall > 0;
}

static bool may_be_lost(const struct asked *asked, const struct hub_event *event)
{
	return is_hard() || may_be_deposed() ||
	       !goes_on(asked->channel, asked->since, event->epoch);
}

static bool may_have_gap(const struct following *following, uint32_t channel,
                         const struct hub_event *event)
{
	struct cursor since = {.epoch = following->epoch, .seq = following->seq};
	return is_hard() || is_keyed(channel) || !goes_on(channel, since, event->epoch);
}

/* While slots move to nodes that have come. */
static bool may_refuse(void)
{
	return true;
}

static bool homes_stay(void)
{
	const struct scenario *s = world.scenario;
	return s->crash + s->drain + s->full + s->loss + s->twice + s->left_out == 0 &&
	       !is_hard() && !may_be_deposed();
}

static void print_trace(const struct client *client, const char *what, uint32_t channel,
                        uint64_t epoch, uint64_t seq)
{
	SAY(worker_of_client(client), "client %u %s %s: %llx-%llu", (unsigned)(client - clients),
	    what, channels[channel].name, (unsigned long long)epoch, (unsigned long long)seq);
}

/* ---- what clients do ---- */

static void publish(struct client *client, uint32_t channel)
{
	static char payload[PAYLOAD_MAX];
	bool is_again = said_count > 20 && below(100) < 10;
	uint64_t number = is_again ? say_again(channel) : say(channel, false);
	size_t len = NUMBER_BYTES;
	if (number == 0)
		return;
	if (world.scenario->payload_bytes > 0)
		len += number * 2654435761u %
		       (number % 20 == 0 ? world.scenario->payload_bytes - NUMBER_BYTES : 20000);
	memset(payload, 'x', len);
	client_publish(client, number, payload, len, 6);
}

static void client_turn(struct client *client)
{
	uint32_t channel = below(CHANNELS), what = below(1000);
	if (client->session.is_blocked && (world.is_quiet || below(100) < 50))
		client_ready(client);
	if (world.is_quiet)
		return;
	if (client->asked_count + 10 > ASKED_MAX || what < 4)
		client_close(client);
	else if (what < 15)
		client_subscribe(client, channel, below(2) == 0);
	else if (what < 20)
		client_unsubscribe(client, channel);
	else if (what < 130)
		publish(client, channel);
	else if (what < 140)
		client_history(client, channel);
}

/* ---- copies ---- */

/* Each key that is young enough to be remembered for sure. */
static void check_keys(const struct duplicates *from, struct sim_worker *of,
                       const struct channel *channel, uint32_t c, bool is_hidden)
{
	struct duplicates_place place = {0};
	struct duplicate_shown shown;
	const struct duplicates *keys = is_hidden ? channel->far->retries : channel->duplicates;
	if (from == NULL)
		return;
	while (duplicates_show(from, &place, world.net->now_ms, &shown)) {
		if (shown.seq >= log_next(&channel->log))
			continue; /* it is only proposed */
		/* Each node counts from when it had it, the home before it was committed. */
		const struct order *order = order_find(c, channel->epoch);
		const struct publication_said *publication = &said[order->said[shown.seq]];
		if (shown.age_ms + 5000 > from->ttl_ms ||
		    world.net->now_ms - publication->said_ms + 5000 > from->ttl_ms)
			continue;
		CHECK(keys != NULL);
		uint64_t hash = hash_bytes(&of->shell->codec.hash_key, shown.key);
		CHECK(duplicates_find(keys, shown.key, hash, world.net->now_ms) == shown.seq);
		checked.keys++;
	}
}

static void check_copy(struct sim_worker *home, struct sim_worker *copy, uint32_t c)
{
	const struct channel *a = channel_on(home, c), *b = channel_on(copy, c);
	if (a == NULL || !a->far->is_known || is_brief(c) || !is_replicated(c) ||
	    order_find(c, a->epoch) == NULL)
		return;
	uint64_t now_ms = world.net->now_ms, seq = channel_history_first(a, now_ms);
	CHECK(b != NULL && b->far->is_known && a->epoch == b->epoch);
	CHECK(log_next(&a->log) == log_next(&b->log));
	CHECK(seq == channel_history_first(b, now_ms));
	for (; seq < log_next(&a->log); seq++)
		CHECK(said_in(log_at(&a->log, seq)) == said_in(log_at(&b->log, seq)));
	if (channels[c].rule->deliver_last)
		check_latest(a, b);
	check_keys(a->duplicates, copy, b, c, false);
	check_keys(a->far->retries, copy, b, c, true);
	checked.compared++;
}

/* Everything that is applied is in its channels. */
static bool is_at_hand(struct sim_worker *worker, uint32_t slot)
{
	const struct hub_slot *hub = far_slot(worker->hub, slot);
	return kept_of(worker, slot)->first == NULL && hub->committed == 0 && !hub->has_renewing &&
	       !hub->is_leaving;
}

static void check_copies(void)
{
	for (uint32_t slot = 0; slot < SLOTS_SIM; slot++) {
		uint32_t home = home_of(slot);
		if (home == NODES || !is_at_hand(worker_at(home, slot), slot))
			continue;
		struct sim_worker *at_home = worker_at(home, slot);
		const struct replica *log = slot_of(at_home, slot)->replica;
		for (uint32_t i = 0; i < world.net->count; i++) {
			struct sim_worker *worker = worker_at(i, slot);
			if (i == home || !world.net->nodes[i].is_up || !is_at_hand(worker, slot))
				continue;
			const struct replica *copy = slot_of(worker, slot)->replica;
			if (copy == NULL || !copy->is_whole || copy->commit != log->commit ||
			    !slot_term_equals(&copy->stream, &log->stream) ||
			    !slot_term_equals(&slot_of(worker, slot)->entry.term,
			                      &slot_of(at_home, slot)->entry.term))
				continue;
			for (uint32_t c = slot; c < CHANNELS; c += SLOTS_SIM)
				check_copy(at_home, worker, c);
		}
	}
}

static void on_ticks(struct shell *shell)
{
	uint32_t node = shell->node->number;
	if (below(10) == 0) /* and somebody comes */
		for (struct client *client = clients; client < clients + CLIENTS; client++) {
			if (!client->is_open && !shell->is_draining && !world.is_quiet) {
				client_open(client, node);
				break;
			}
		}
	for (struct client *client = clients; client < clients + CLIENTS; client++) {
		if (!client->is_open || client->node != node)
			continue;
		if (client->is_ending)
			client_close(client);
		else if (worker_of_client(client)->stalled_ms <= world.net->now_ms)
			client_turn(client);
	}
	if (below(60) == 0)
		check_copies();
}

/* ---- faults ---- */

static uint32_t count_up(void)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < world.net->count; i++)
		count += world.net->nodes[i].is_up;
	return count;
}

static void begin_drain(uint32_t node)
{
	struct shell *shell = &world.shells[node];
	if (!shell->node->is_up || shell->is_draining || count_up() < 2)
		return;
	net_say(world.net, shell->node, "drains", "");
	seen.drains++;
	shell->is_draining = true;
	membership_drain(shell->node->membership, world.net->now_ms);
}

/* Those that have handed over what they had go, and come again. */
static void end_drains(void)
{
	for (uint32_t i = 0; i < world.net->count; i++) {
		struct shell *shell = &world.shells[i];
		if (!shell->node->is_up || !shell->is_draining || !has_handed_over(shell))
			continue;
		membership_leave(shell->node->membership);
		stop(i);
	}
}

static void any_fault(void)
{
	const struct scenario *s = world.scenario;
	struct net *net = world.net;
	uint32_t node = below(net->count), other = below(net->count);
	uint32_t all = s->crash + s->pause + s->cut + s->part + s->heal + s->stall + s->full +
	               s->drain + s->dry;
	uint32_t what = all == 0 ? 0 : below(all);
	uint8_t sides[NET_NODES_MAX];
	struct sim_worker *worker = &world.shells[node].workers[below(s->workers)];
	if (all == 0)
		return;
	if (what < s->crash) {
		if (net->nodes[node].is_up) {
			seen.crashes++;
			stop(node);
		} else {
			start(node);
		}
	} else if ((what -= s->crash) < s->pause) {
		seen.pauses++;
		node_pause(net, node, 200 + below(6000));
	} else if ((what -= s->pause) < s->cut) {
		seen.cuts++;
		net_say(net, &net->nodes[node], "is cut off from", net->nodes[other].name);
		if (below(2) == 0)
			net_cut(net, node, other, node != other);
		else
			net->cut[node][other] = node != other;
	} else if ((what -= s->cut) < s->part) {
		seen.parts_of_net++;
		for (uint32_t i = 0; i < net->count; i++) {
			sides[i] = (uint8_t)below(2);
			net_say(net, &net->nodes[i], "is on the side", sides[i] ? "b" : "a");
		}
		net_part(net, sides);
	} else if ((what -= s->part) < s->heal) {
		net_say(net, &net->nodes[node], "sees the network healed", "");
		net_heal(net);
	} else if ((what -= s->heal) < s->stall) {
		seen.stalls++;
		net_say(net, &net->nodes[node], "has a worker that stands still", "");
		worker->stalled_ms = net->now_ms + below(4000);
	} else if ((what -= s->stall) < s->full) {
		seen.fulls++;
		net_say(net, &net->nodes[node], "has a worker whose post is full", "");
		worker->full_ms = net->now_ms + below(4000);
	} else if ((what -= s->full) < s->dry) {
		seen.droughts++;
		net_say(net, &net->nodes[node], "and all others have no memory for a while", "");
		world.dry_ms = net->now_ms + below(3000);
	} else {
		begin_drain(node);
	}
	if (!net->nodes[other].is_up && below(3) == 0)
		start(other);
}

static bool is_healthy(void)
{
	return count_up() == world.net->count && is_calm();
}

static bool has_one_gone(void)
{
	end_drains();
	return count_up() < world.net->count;
}

/* One fault, and when all is well again the next one. */
static void gentle_fault(void)
{
	uint32_t node = below(world.net->count);
	CHECK(until(is_healthy, 90000));
	net_run(world.net, below(3000));
	if (world.scenario->drain > 0) {
		begin_drain(node);
		CHECK(until(has_one_gone, 60000));
	} else {
		/* The home of something. */
		seen.crashes++;
		stop(home_of(below(SLOTS_SIM)));
	}
	net_run(world.net, 200 + below(6000));
	for (uint32_t i = 0; i < world.net->count; i++) {
		if (!world.net->nodes[i].is_up)
			start(i);
	}
	net_run(world.net, 4000 + below(12000)); /* till slots move to it */
}

static void faults(void)
{
	const struct scenario *scenario = world.scenario;
	if (scenario->is_gentle) {
		gentle_fault();
		gentle_fault();
		return;
	}
	for (int i = 0; i < STEPS; i++) {
		net_run(world.net, below(4000));
		end_drains();
		any_fault();
	}
}

/* ---- when all is quiet ---- */

static bool loses_nothing(void)
{
	const struct scenario *s = world.scenario;
	return s->is_gentle || s->crash + s->drain == 0;
}

/* Its home, and all its copies, have what was said; and nobody else has anything. */
static void check_slot(uint32_t slot)
{
	uint32_t home = home_of(slot);
	struct sim_worker *worker = worker_at(home, slot);
	const struct slot_entry *entry = &slot_of(worker, slot)->entry;
	uint32_t stream = stream_of(slot, &entry->stream), copies = 0;
	for (uint32_t i = 0; i < world.net->count; i++) {
		struct sim_worker *other = worker_at(i, slot);
		const struct kept *kept = kept_of(other, slot);
		bool is_member = slot_set_has(
			&entry->set, net_boot(&world.net->nodes[i], world.net->nodes[i].boots));
		CHECK(is_at_hand(other, slot) && kept->pending == 0);
		CHECK(kept->told.is_replica == is_member);
		copies += is_member;
		for (uint32_t c = slot; c < CHANNELS; c += SLOTS_SIM) {
			const struct channel *channel = channel_on(other, c);
			if (is_member)
				check_copy(worker, other, c);
			else
				CHECK(channel == NULL || !channel->far->is_known);
		}
	}
	CHECK(copies == entry->set.count);
	on_begins_home(worker, slot, stream);
	for (uint64_t number = 1; number <= said_count && loses_nothing(); number++) {
		const struct publication_said *publication = &said[number];
		uint32_t c = publication->channel;
		bool is_long = is_replicated(c) && channels[c].rule->history_size > 1000;
		CHECK(channels[c].slot != slot || publication->epoch == 0 || !is_long ||
		      has_stream(publication->streams, stream) ||
		      has_stream(publication->known, stream));
	}
}

/* What was acknowledged since they follow they were given, or told that something is lost (I3). */
static void check_heard(const struct client *client, uint32_t channel)
{
	const struct following *following = &client->following[channel];
	for (uint64_t number = 1; number <= said_count; number++) {
		const struct publication_said *publication = &said[number];
		bool is_due = publication->channel == channel && publication->epoch != 0 &&
		              !publication->is_unechoed &&
		              publication->first_ms > following->told_ms;
		CHECK(!is_due || (number < client->heard_room && client->heard[number]));
		checked.heard += is_due;
	}
}

static void check_all_heard(void)
{
	for (const struct client *client = clients; client < clients + CLIENTS; client++) {
		for (uint32_t c = 0; c < CHANNELS && client->is_open; c++) {
			bool is_sure = is_replicated(c) && !is_brief(c) && !is_keyed(c);
			if (is_sure && client->following[c].state == FOLLOWING)
				check_heard(client, c);
		}
	}
}

static void quiet(void)
{
	struct net *net = world.net;
	world.is_quiet = true;
	net_heal(net);
	for (uint32_t i = 0; i < net->count; i++) {
		net->nodes[i].paused_until_ms = 0;
		for (uint32_t w = 0; w < world.scenario->workers; w++)
			world.shells[i].workers[w].stalled_ms = world.shells[i].workers[w].full_ms =
				0;
		if (net->nodes[i].is_up && world.shells[i].is_draining)
			stop(i);
		if (!net->nodes[i].is_up)
			start(i);
	}
	net_run(net, 2000);
	/* Slots move to one that was away when it has been ready for a while. */
	for (int i = 0; i < 4; i++) {
		CHECK(until(is_calm, 90000));
		net_run(net, SLOTS_SETTLE_MS + 4000);
		if (is_calm())
			break;
	}
	CHECK(is_calm());
	net_run(net, 6000);
	for (uint32_t slot = 0; slot < SLOTS_SIM; slot++)
		check_slot(slot);
	check_clients();
	if (loses_nothing())
		check_all_heard();
}

/* ---- a run ---- */

static const struct world_hooks hooks = {.applied = on_applied,
                                         .gap = on_nobodys,
                                         .opens = on_opens,
                                         .begins_home = on_begins_home,
                                         .node_ends = on_node_ends,
                                         .ticks = on_ticks};

static void world_begin(const struct scenario *scenario, uint64_t seed, bool prints)
{
	static struct slice first;
	memset(&world, 0, sizeof(world));
	seeded.scenario = scenario->name;
	seeded.seed = seed;
	world.scenario = scenario;
	world.hooks = &hooks;
	world.hub_out = &hub_out;
	world.rules = &rules;
	struct net *net = world.net = net_make(scenario->nodes, seed * 7919 + 1);
	net->prints = prints;
	net->changed = on_changed;
	net->ran = on_ran;
	net->take = on_frame;
	first = slice_string(net->nodes[0].address);
	net->seeds = &first;
	net->seed_count = 1;
	clients_begin();
	world.is_quiet = true; /* till it stands */
	for (uint32_t i = 0; i < scenario->nodes; i++)
		start(i);
	CHECK(until(is_calm, 60000));
	world.is_quiet = false;
	if (scenario->delay_ms > 0)
		net->delay_ms = scenario->delay_ms;
}

static void world_end(void)
{
	world.net->prints = false;
	for (uint32_t i = 0; i < world.net->count; i++) {
		if (world.net->nodes[i].is_up)
			stop(i);
	}
	net_free(world.net);
	clients_end();
}

static void world_run(uint64_t seed, bool prints)
{
	uint64_t unclean = seen.unclean;
	world_begin(&scenarios[seed % COUNT_OF(scenarios)], seed, prints);
	faults();
	quiet();
	world_end();
	CHECK(!world.scenario->is_gentle || seen.unclean == unclean);
}

/* That it came to pass at all, in some seed: a simulation that never goes there proves nothing. */
static void seen_check(void)
{
	CHECK(seen.applied > 0 && seen.commits > 0 && seen.waited > 0 && seen.adopted > 0);
	CHECK(seen.refused > 0 && seen.at_once > 0 && seen.saved > 0 && seen.parts > 0);
	CHECK(seen.restored > 0 && seen.cleared > 0 && seen.forked > 0 && seen.merged > 0);
	CHECK(seen.delayed_home > 0 && seen.short_of > 0 && seen.broken > 0);
	CHECK(seen.unclean > 0 && seen.handovers > 0 && seen.changes > 0 && seen.takeovers > 0);
	CHECK(told.delivered > 0 && told.gaps > 0 && told.recovered > 0 && told.not_recovered > 0);
	CHECK(told.acks > 0 && told.refusals > 0 && told.duplicates > 0 && told.pages > 0);
	CHECK(checked.compared > 0 && checked.keys > 0 && checked.looked > 0);
	CHECK(checked.heard > 0 && checked.gaps > 0);
}

int main(int argc, char **argv)
{
	struct seeds seeds = seeds_begin(argc, argv, SEEDS_DEFAULT);
	channels_name();
	client_trace = print_trace;
	for (uint64_t i = 0; i < seeds.count; i++) {
		if (i < COUNT_OF(scenarios))
			printf("keeper: %s\n",
			       scenarios[(seeds.first + i) % COUNT_OF(scenarios)].name);
		world_run(seeds.first + i, seeds.count == 1);
	}
	if (seeds.count >= SEEDS_DEFAULT)
		seen_check();
	return 0;
}
