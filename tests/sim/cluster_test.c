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
#include "orders.h"

#include "seeds.h"

#define SEEDS_DEFAULT 340
#define CLIENTS 24
#define STEPS 1500
#define REF_BYTES 24
#define ASKED_MAX 4096 /* commands of one client */

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

static struct rule rule_list[] = {
	{.pattern = "long:*", .history_size = 100, .history_ttl_ms = 3600000, .max_keys = 9},
	{.pattern = "few:*", .history_size = 4, .history_ttl_ms = 3600000, .max_keys = 9},
	{.pattern = "brief:*", .history_size = 50, .history_ttl_ms = 700, .max_keys = 9},
	{.pattern = "none:*", .history_size = 0, .history_ttl_ms = 1000, .max_keys = 9},
	{.pattern = "last:*",
         .history_size = 10,
         .history_ttl_ms = 3600000,
         .deliver_last = true,
         .max_keys = 4},
	{.pattern = "slow:*",
         .history_size = 20,
         .history_ttl_ms = 3600000,
         .max_keys = 9,
         .throttle_ms = 60},
	{.pattern = "keys:*",
         .history_size = 0,
         .history_ttl_ms = 3600000,
         .deliver_last = true,
         .max_keys = 4},
	{.pattern = "*"},
};
static const struct rules rules = {rule_list, COUNT_OF(rule_list)};
static const char *const names[CHANNELS] = {"long:1", "few:1",  "brief:1", "none:1",
                                            "last:1", "slow:1", "keys:1"};

/* ---- what was said ---- */

/* From there, where it was committed, into that stream. */
struct taken {
	struct cursor place;
	uint64_t stream;
};

/* What was published under one number. */
struct publication_said {
	uint32_t channel;
	uint64_t epoch, seq; /* the place it was answered with; 0: none */
	uint64_t stream;     /* the last one that has it, since when */
	uint64_t committed_ms;
	struct taken taking, taken; /* from a fork: it will be, or is, in that stream */
	uint64_t owed;              /* the one whose first home has it, perhaps not committed */
	uint64_t parted;            /* the fork that it is in, and was not seen in yet; 0: none */
	struct cursor place;        /* there */
	bool is_unechoed;           /* who published it does not want it back */
	bool has_once;              /* it has an idempotency key */
};

static struct publication_said *said;
static uint64_t said_count, said_room;
static uint64_t ended_ms[CHANNELS]; /* when a home last forgot the channel */

static struct {
	uint64_t delivered, gaps, recovered, not_recovered, acks, refusals, duplicates, pages,
		resumed_elsewhere, left_out, redeemed, ended, closed, awkward;
} seen;

static uint32_t channel_by_name(struct slice name)
{
	uint32_t i = 0;
	while (!slice_is(name, names[i])) {
		i++;
		CHECK(i < CHANNELS);
	}
	return i;
}

static bool is_replicated(uint32_t channel)
{
	return rule_list[channel].history_size > 0 || rule_list[channel].deliver_last;
}

/* Along its keys a client is given some of what there is. */
static bool is_keyed(uint32_t channel)
{
	return rule_list[channel].deliver_last || rule_list[channel].throttle_ms > 0;
}

static uint64_t number_of(const struct record *record)
{
	uint64_t number;
	struct slice payload = record_payload(record);
	CHECK(payload.len > 1 && text_to_u64(payload, &number));
	number -= 1000000;
	CHECK(number > 0 && number <= said_count);
	return number;
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
	uint64_t number = number_of(record);
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

/* ---- streams that part ---- */

static const struct channel *channel_on(const struct slot_log *log, uint32_t node)
{
	struct hub *hub = hub_of(node, log->slot);
	for (uint32_t c = 0; c < CHANNELS; c++) {
		struct slice name = slice_string(names[c]);
		if (hub_slot_of(name) == log->slot)
			return hub_find(hub, name, hub_hash(hub, name));
	}
	return NULL;
}

static void on_redeems(const struct record *record, uint64_t stream)
{
	said[number_of(record)].owed = stream;
}

static void on_taken_in(const struct record *record, struct cursor place, uint64_t stream)
{
	said[number_of(record)].taking = (struct taken){place, stream};
}

static void on_redeemed(const struct slot_log *log)
{
	for (uint64_t number = 1; number <= said_count; number++) {
		const struct publication_said *publication = &said[number];
		bool is_brief = rule_list[publication->channel].history_ttl_ms < 10000;
		CHECK(publication->owed != log->stream || is_brief ||
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
		struct publication_said *publication = &said[number_of(log_at(&channel->log, seq))];
		publication->parted = log->forks[node]->number;
		publication->place = (struct cursor){.epoch = channel->epoch, .seq = seq};
	}
}

static bool was_committed(const struct record *record)
{
	const struct order *order =
		order_find(channel_by_name(record_channel(record)), record->epoch);
	return order != NULL && record->seq <= order->head &&
	       order->said[record->seq] == number_of(record);
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
		CHECK(entry.kind == ENTRY_RECORD);
		struct publication_said *publication = &said[number_of(entry.record)];
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
	const struct publication_said *publication = &said[number_of(record)];
	const struct order *order = order_find(publication->channel, record->epoch);
	/* Another fork may have come farther, or later, and history had let this one go. */
	uint64_t size = rule_list[publication->channel].history_size;
	bool is_old = rule_list[publication->channel].history_ttl_ms < 10000 ||
	              (order != NULL && record->seq + size <= order->head);
	CHECK(publication->stream == stream || is_old);
}

/* What a hub gives out under that place. */
static void hear(const struct record *record)
{
	uint32_t channel = channel_by_name(record_channel(record));
	struct order *order = order_find(channel, record->epoch);
	if (!is_replicated(channel)) {
		order_say(order_at(channel, record->epoch, 0), record->seq, number_of(record));
		return;
	}
	CHECK(order != NULL && record->seq <= order->head); /* I7 */
	CHECK(order->said[record->seq] == number_of(record));
	bool has_once = said[number_of(record)].has_once;
	CHECK(record->is_key_hidden == !has_once);
	CHECK(record_once(record).len > 0);
}

/* ---- clients ---- */

enum following_state { NOT_FOLLOWING = 0, ASKED, FOLLOWING };

struct following {
	enum following_state state;
	uint64_t epoch, seq; /* the last one it was given, or its position */
	uint64_t begun;      /* deliver_last: what is at or before this comes with holes */
	bool is_in_prelude;
	uint32_t ref;
};

struct asked {
	enum command_type type;
	uint32_t channel;
	bool has_since, is_answered;
	struct cursor since;
	struct cursor known; /* the last one that the node had acknowledged to somebody */
	uint64_t stream, number, asked_ms;
	bool is_again; /* publishes what was published before, by the same key */
};

struct client {
	struct session session;
	uint32_t generation, node, worker;
	bool is_open, is_ending; /* ending: there was no memory for it */
	struct following following[CHANNELS];
	/* What it remembers when it comes again. */
	struct cursor cursors[CHANNELS];
	uint64_t streams[CHANNELS];
	struct asked *asked;
	uint32_t asked_count;
};
static struct client clients[CLIENTS];
static struct cursor acked[NODES_MAX][CHANNELS];

static struct client *client_of(const struct session *session)
{
	return CONTAINER_OF(session, struct client, session);
}

static struct slot_log *log_of_channel(uint32_t channel)
{
	return log_of(hub_slot_of(slice_string(names[channel])));
}

static struct hub *hub_of_client(const struct client *client)
{
	return world.nodes[client->node].workers[client->worker].hub;
}

static void follows_from(struct client *client, uint32_t channel, uint64_t epoch, uint64_t seq)
{
	struct following *following = &client->following[channel];
	following->epoch = epoch;
	following->seq = following->begun = seq;
	following->is_in_prelude = false;
}

/* May the answer be that the cursor is good no more? */
static bool may_be_lost(const struct asked *asked, const struct hub_event *event)
{
	const struct rule *rule = &rule_list[asked->channel];
	const struct order *order = order_find(asked->channel, asked->since.epoch);
	struct slot_log *log = log_of_channel(asked->channel);
	/* It may come from a home that did not know yet that it was one no more. */
	if (log->doubt_ms >= asked->asked_ms)
		return true;
	if (asked->since.seq == 0 || order == NULL || !is_replicated(asked->channel) ||
	    asked->stream != log->stream || order->stream != log->stream ||
	    ended_ms[asked->channel] != 0)
		return true;
	/* Ages are each node's own, so only what is much younger is sure to be there. */
	uint64_t behind = order->head - asked->since.seq;
	return event->epoch != asked->since.epoch
	               ? log->home < 0
	               : behind > rule->history_size || rule->history_ttl_ms < 10000;
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

static void on_subscribed(struct client *client, struct asked *asked, const struct hub_event *event)
{
	struct following *following = &client->following[asked->channel];
	CHECK(event->has_recovered == asked->has_since);
	if (following->state == FOLLOWING)
		return; /* again */
	CHECK(following->state == ASKED);
	following->state = FOLLOWING;
	follows_from(client, asked->channel, event->epoch, event->seq);
	/* What its node had acknowledged before is not said to it again. */
	if (!asked->has_since && asked->known.epoch == event->epoch && homes_stay())
		CHECK(event->seq >= asked->known.seq);
	following->is_in_prelude = rule_list[asked->channel].deliver_last && !asked->has_since;
	if (following->is_in_prelude)
		following->seq = 0;
	if (!asked->has_since)
		return;
	seen.recovered += event->is_recovered;
	seen.not_recovered += !event->is_recovered;
	if (event->is_recovered && !asked->since.is_start) {
		CHECK(event->epoch == asked->since.epoch);
		CHECK(event->seq == asked->since.seq);
	} else if (!event->is_recovered) {
		CHECK(may_be_lost(asked, event));
	}
}

static void on_ack(const struct client *client, const struct asked *asked,
                   const struct hub_event *event)
{
	struct publication_said *publication = &said[asked->number];
	struct order *order = order_find(asked->channel, event->epoch);
	seen.acks++;
	seen.duplicates += event->is_duplicate;
	if (!is_replicated(asked->channel)) {
		order_say(order_at(asked->channel, event->epoch, 0), event->seq, asked->number);
		return;
	}
	CHECK(order != NULL && event->seq <= order->head);
	CHECK(order->said[event->seq] == asked->number);
	CHECK(publication->epoch != event->epoch || publication->seq == event->seq); /* I5 */
	publication->epoch = event->epoch;
	publication->seq = event->seq;
	struct cursor *last = &acked[client->node][asked->channel];
	if (last->epoch != event->epoch || last->seq < event->seq)
		*last = (struct cursor){.epoch = event->epoch, .seq = event->seq};
}

static void on_history(const struct asked *asked, const struct hub_event *event)
{
	seen.pages++;
	for (size_t i = 0; i < event->record_count; i++) {
		hear(event->records[i]);
		CHECK(event->records[i]->epoch == event->epoch);
		CHECK(i == 0 || event->records[i]->seq == event->records[i - 1]->seq + 1);
	}
	CHECK(event->record_count == 0 ||
	      event->records[event->record_count - 1]->seq == event->seq);
	CHECK(channel_by_name(event->channel) == asked->channel);
}

static void on_error(struct client *client, const struct asked *asked,
                     const struct hub_event *event)
{
	CHECK(event->error == ERROR_UNAVAILABLE || event->error == ERROR_NOT_SUBSCRIBED);
	/* Nothing is refused while there is nothing that may go wrong. */
	const struct scenario *s = world.scenario;
	CHECK(s->link_percent + s->move_percent + s->crash_percent + s->unclean_percent +
	                      s->full_percent + s->lossy_percent + s->memory_percent >
	              0 ||
	      event->error == ERROR_NOT_SUBSCRIBED || world.now_ms < 5000);
	seen.refusals++;
	struct following *following = &client->following[asked->channel];
	if (asked->type == COMMAND_SUBSCRIBE && following->state == ASKED &&
	    asked == &client->asked[following->ref])
		following->state = NOT_FOLLOWING;
}

/* Is something between that its stream had, and nobody may have any more? */
static bool gap_is_due(const struct following *following, uint32_t channel,
                       const struct hub_event *event)
{
	const struct rule *rule = &rule_list[channel];
	const struct order *before = order_find(channel, following->epoch),
			   *after = order_find(channel, event->epoch);
	const struct scenario *s = world.scenario;
	/* A replica comes back to its order with its post full, and so without what it had before
	 * what it is to apply. */
	bool is_hard = s->memory_percent > 0 || (s->stray_percent > 0 && s->full_percent > 0);
	if (!is_replicated(channel) || is_keyed(channel) || rule->history_ttl_ms < 10000 ||
	    is_hard || before == NULL || after == NULL)
		return true;
	return before == after ? before->head > following->seq + rule->history_size
	                       : before->stream != after->stream || ended_ms[channel] != 0;
}

static void on_gap(struct client *client, const struct hub_event *event)
{
	uint32_t channel = channel_by_name(event->channel);
	CHECK(client->following[channel].state == FOLLOWING);
	CHECK(gap_is_due(&client->following[channel], channel, event));
	seen.gaps++;
	follows_from(client, channel, event->epoch, event->seq);
	client->following[channel].begun = 0;
}

static void client_told(struct client *client, const struct hub_event *event)
{
	uint64_t ref;
	CHECK(client->is_open);
	if (event->type == EVENT_GAP) {
		on_gap(client, event);
		return;
	}
	CHECK(text_to_u64(event->ref, &ref) && ref < client->asked_count);
	struct asked *asked = &client->asked[ref];
	CHECK(!asked->is_answered); /* once */
	asked->is_answered = true;
	if (event->type == EVENT_ERROR)
		on_error(client, asked, event);
	else if (event->type == EVENT_SUBSCRIBED)
		on_subscribed(client, asked, event);
	else if (event->type == EVENT_ACK)
		on_ack(client, asked, event);
	else if (event->type == EVENT_HISTORY)
		on_history(asked, event);
	else
		CHECK(event->type == EVENT_UNSUBSCRIBED);
}

static void out_event(struct hub_out *out, struct session *session, const struct hub_event *event)
{
	(void)out;
	failing_pause();
	client_told(client_of(session), event);
	failing_resume();
}

/* Its own, which it did not want back: it may not have been told yet which number that has. */
static bool is_left_out(const struct client *client, uint32_t channel, const struct order *order,
                        uint64_t seq)
{
	bool is_known = is_replicated(channel) || order->said[seq] != 0;
	bool is_out = is_known && said[order->said[seq]].is_unechoed;
	for (uint32_t i = 0; i < client->asked_count && !is_known && !is_out; i++) {
		const struct asked *asked = &client->asked[i];
		is_out = asked->type == COMMAND_PUBLISH && asked->channel == channel &&
		         !asked->is_answered && said[asked->number].is_unechoed;
	}
	return is_out;
}

static void given(struct client *client, uint32_t channel, const struct record *record)
{
	struct following *following = &client->following[channel];
	CHECK(following->state == FOLLOWING);
	hear(record);
	seen.delivered++;
	CHECK(record->epoch == following->epoch);
	if (is_keyed(channel)) {
		CHECK(record->seq > following->seq);
	} else {
		uint64_t next = following->seq + 1;
		const struct order *order = order_find(channel, record->epoch);
		while (next < record->seq && is_left_out(client, channel, order, next)) {
			seen.left_out++;
			next++;
		}
		CHECK(record->seq == next); /* I4 */
	}
	following->seq = record->seq;
}

static size_t out_deliver(struct hub_out *out, struct session *session,
                          const struct delivery *delivery)
{
	(void)out;
	uint32_t channel = channel_by_name(channel_name(delivery->channel));
	size_t count = delivery->count;
	if (chance(10)) {
		session->is_blocked = true;
		count = below((uint32_t)count + 1);
	}
	failing_pause();
	for (size_t i = 0; i < count; i++)
		given(client_of(session), channel, delivery->records[i]);
	failing_resume();
	return count;
}

static void out_answered(struct hub_out *out, struct session *session)
{
	(void)out;
	(void)session;
}

static void out_end(struct hub_out *out, struct session *session, enum hub_end why)
{
	(void)out;
	CHECK(why == HUB_END_NO_MEMORY && world.is_short); /* nobody is slow */
	session->is_ended = true;
	client_of(session)->is_ending = true;
	seen.ended++;
}

static struct slab_handle out_handle(struct hub_out *out, const struct session *session)
{
	(void)out;
	const struct client *client = client_of(session);
	return (struct slab_handle){(uint32_t)(client - clients), client->generation};
}

static struct session *out_find(struct hub_out *out, struct slab_handle handle)
{
	(void)out;
	struct client *client = &clients[handle.index];
	return client->is_open && client->generation == handle.generation ? &client->session : NULL;
}

static void out_post(struct hub_out *out, uint32_t to, const struct hub_mail *mail)
{
	struct sim_worker *from = CONTAINER_OF(out, struct sim_worker, out);
	CHECK(to != from->number && mail->from == from->number);
	failing_pause();
	buf_append(&world.nodes[from->node].workers[to].letters[from->number], mail, sizeof(*mail));
	failing_resume();
}

static bool out_has_room(struct hub_out *out)
{
	(void)out;
	return !chance(world.scenario->full_percent);
}

static uint64_t out_now_us(struct hub_out *out)
{
	(void)out;
	return (world.now_ms + UNIX_MS_AHEAD) * 1000;
}

static const struct hub_out hub_out = {
	.now_us = out_now_us,
	.event = out_event,
	.deliver = out_deliver,
	.answered = out_answered,
	.end = out_end,
	.handle = out_handle,
	.find = out_find,
	.post = out_post,
	.has_room = out_has_room,
};

/* ---- what clients do ---- */

static struct asked *ask(struct client *client, struct hub_command *command, char ref[REF_BYTES])
{
	CHECK(client->asked_count < ASKED_MAX);
	struct asked *asked = &client->asked[client->asked_count];
	command->ref = slice_of(ref, text_from_u64(ref, client->asked_count));
	*asked = (struct asked){.type = command->type,
	                        .channel = channel_by_name(command->channel),
	                        .has_since = command->has_since,
	                        .since = command->since,
	                        .known = acked[client->node][channel_by_name(command->channel)],
	                        .asked_ms = world.now_ms};
	client->asked_count++;
	return asked;
}

static void execute(struct client *client, const struct hub_command *command)
{
	struct hub *hub = hub_of_client(client);
	hub_enter(hub);
	memory_begin();
	hub_execute(hub, &client->session, command);
	memory_end();
}

static void client_subscribe(struct client *client, uint32_t channel, bool has_since)
{
	char ref[REF_BYTES];
	struct hub_command command = {.type = COMMAND_SUBSCRIBE,
	                              .channel = slice_string(names[channel]),
	                              .has_since = has_since && client->cursors[channel].epoch != 0,
	                              .since = client->cursors[channel]};
	struct asked *asked = ask(client, &command, ref);
	asked->stream = client->streams[channel];
	if (client->following[channel].state == NOT_FOLLOWING)
		client->following[channel] =
			(struct following){.state = ASKED, .ref = client->asked_count - 1};
	execute(client, &command);
}

static void remember_cursor(struct client *client, uint32_t channel)
{
	struct following *following = &client->following[channel];
	if (following->state != FOLLOWING || following->is_in_prelude)
		return;
	client->cursors[channel] =
		(struct cursor){.epoch = following->epoch, .seq = following->seq};
	const struct order *order = order_find(channel, following->epoch);
	client->streams[channel] = order == NULL ? 0 : order->stream;
}

static void client_unsubscribe(struct client *client, uint32_t channel)
{
	char ref[REF_BYTES];
	struct hub_command command = {.type = COMMAND_UNSUBSCRIBE,
	                              .channel = slice_string(names[channel])};
	if (client->following[channel].state != FOLLOWING)
		return;
	(void)ask(client, &command, ref);
	remember_cursor(client, channel);
	client->following[channel] = (struct following){0};
	execute(client, &command);
}

static uint64_t say(uint32_t channel, bool is_unechoed)
{
	if (said_count + 1 >= said_room) {
		said_room = said_room == 0 ? 1024 : said_room * 2;
		said = realloc(said, said_room * sizeof(*said));
		CHECK(said != NULL);
	}
	said[++said_count] =
		(struct publication_said){.channel = channel, .is_unechoed = is_unechoed};
	said[said_count].has_once = said_count % 3 == 0;
	return said_count;
}

static void client_publish(struct client *client, uint32_t channel)
{
	char ref[REF_BYTES], payload[REF_BYTES], once[REF_BYTES], key[2] = {'k', 0};
	bool is_again = said_count > 0 && below(100) < 10, is_unechoed = below(100) < 5;
	uint64_t number = is_again ? said_count - below(said_count < 20 ? (uint32_t)said_count : 20)
	                           : say(channel, is_unechoed);
	bool has_once = said[number].has_once;
	if (is_again && (!has_once || said[number].channel != channel || said[number].is_unechoed))
		return;
	key[1] = (char)('0' + number % 3);
	struct hub_command command = {
		.type = COMMAND_PUBLISH,
		.channel = slice_string(names[channel]),
		.publication = {.payload =
	                                slice_of(payload, text_from_u64(payload, number + 1000000)),
	                        .key = slice_of(key, is_keyed(channel) ? 2 : 0),
	                        .idempotency_key =
	                                slice_of(once, has_once ? text_from_u64(once, number) : 0)},
		.is_unechoed = said[number].is_unechoed};
	struct asked *asked = ask(client, &command, ref);
	asked->number = number;
	asked->is_again = is_again;
	execute(client, &command);
}

static void client_history(struct client *client, uint32_t channel)
{
	char ref[REF_BYTES];
	struct hub_command command = {.type = COMMAND_HISTORY,
	                              .channel = slice_string(names[channel]),
	                              .has_since =
	                                      client->cursors[channel].epoch != 0 && below(2) == 0,
	                              .since = client->cursors[channel],
	                              .has_limit = true,
	                              .limit = 1 + below(20)};
	(void)ask(client, &command, ref);
	execute(client, &command);
}

static void client_close(struct client *client)
{
	for (uint32_t channel = 0; channel < CHANNELS; channel++) {
		remember_cursor(client, channel);
		client->following[channel] = (struct following){0};
	}
	struct hub *hub = hub_of_client(client);
	hub_enter(hub);
	hub_session_close(hub, &client->session);
	client->is_open = client->is_ending = false;
}

static void client_open(struct client *client, uint32_t node)
{
	if (!world.nodes[node].is_up)
		return;
	seen.resumed_elsewhere += client->generation > 0 && node != client->node;
	client->node = node;
	client->worker = below(world.scenario->workers);
	client->generation++;
	client->asked_count = 0;
	memset(&client->session, 0, sizeof(client->session));
	client->session.is_backend = true;
	client->is_open = true;
	for (uint32_t channel = 0; channel < CHANNELS; channel++) {
		if (below(100) < 50)
			client_subscribe(client, channel, below(100) < 80);
	}
}

static void on_node_ends(uint32_t node)
{
	for (struct client *client = clients; client < clients + CLIENTS; client++) {
		if (client->is_open && client->node == node)
			client_close(client);
	}
}

static void client_turn(struct client *client)
{
	uint32_t channel = below(CHANNELS), what = below(100);
	if (!client->is_open) {
		client_open(client, below(world.scenario->nodes));
		return;
	}
	if (client->session.is_blocked && below(100) < 50) {
		client->session.is_blocked = false;
		struct hub *hub = hub_of_client(client);
		hub_enter(hub);
		memory_begin();
		hub_session_ready(hub, &client->session);
		memory_end();
	}
	if (world.is_quiet)
		return;
	if (client->asked_count + 10 > ASKED_MAX || what < 4)
		client_close(client);
	else if (what < (world.scenario->clients > 0 ? 7 : 12))
		client_subscribe(client, channel, below(2) == 0);
	else if (what < 15)
		client_unsubscribe(client, channel);
	else if (what < 60)
		client_publish(client, channel);
	else if (what < 65)
		client_history(client, channel);
}

/* ---- the world's turns ---- */

static const struct world_hooks hooks = {on_committed, on_closed,   on_node_ends,
                                         on_redeems,   on_parted,   on_saved,
                                         on_taken_in,  on_redeemed, on_merged};

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

/* Each that follows has come to the head of the present order. */
static void check_readers(void)
{
	for (struct client *client = clients; client < clients + CLIENTS; client++) {
		CHECK(!client->is_open || !client->session.is_blocked);
		for (uint32_t c = 0; c < CHANNELS && client->is_open; c++) {
			const struct following *following = &client->following[c];
			struct hub *home =
				hub_of((uint32_t)log_of_channel(c)->home, log_of_channel(c)->slot);
			struct slice name = slice_string(names[c]);
			CHECK(following->state != ASKED);
			if (following->state != FOLLOWING)
				continue;
			struct channel *channel = hub_find(home, name, hub_hash(home, name));
			CHECK(channel != NULL && channel->epoch == following->epoch); /* I3 */
			uint64_t head = log_next(&channel->log) - 1, seq = following->seq;
			const struct order *order = order_find(c, channel->epoch);
			while (seq < head && said[order->said[seq + 1]].is_unechoed)
				seq++;
			CHECK(following->is_in_prelude || seq == head || is_keyed(c));
		}
		for (uint32_t i = 0; i < client->asked_count && client->is_open; i++)
			CHECK(client->asked[i].is_answered);
	}
}

/* I11 */
static void check_interest(void)
{
	for (uint32_t c = 0; c < CHANNELS; c++) {
		struct slot_log *log = log_of_channel(c);
		struct hub *home = hub_of((uint32_t)log->home, log->slot);
		struct slice name = slice_string(names[c]);
		const struct channel *channel = hub_find(home, name, hub_hash(home, name));
		for (uint32_t n = 0; n < world.scenario->nodes; n++) {
			if (n == (uint32_t)log->home)
				continue;
			struct hub *hub = hub_of(n, log->slot);
			const struct channel *tail = hub_find(hub, name, hub_hash(hub, name));
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

static void check_latest(const struct channel *a, const struct channel *b)
{
	const struct latest *of_a = &a->keyed->latest, *of_b = &b->keyed->latest;
	const struct latest_entry *in_a = latest_from(of_a, 0), *in_b = latest_from(of_b, 0);
	while (in_a != NULL && in_b != NULL) {
		CHECK(in_a->record->seq == in_b->record->seq);
		CHECK(number_of(in_a->record) == number_of(in_b->record));
		in_a = latest_after(of_a, in_a);
		in_b = latest_after(of_b, in_b);
	}
	CHECK(in_a == NULL && in_b == NULL);
}

/* Replicas have what the home has. */
static void check_replicas(void)
{
	for (uint32_t c = 0; c < CHANNELS; c++) {
		struct slot_log *log = log_of_channel(c);
		struct hub *home = hub_of((uint32_t)log->home, log->slot);
		struct slice name = slice_string(names[c]);
		const struct channel *channel = hub_find(home, name, hub_hash(home, name));
		if (channel == NULL || !channel->far->is_known ||
		    channel->rule->history_ttl_ms < 10000)
			continue;
		for (uint32_t n = 0; n < world.scenario->nodes; n++) {
			if (!log->in_set[n] || n == (uint32_t)log->home)
				continue;
			struct hub *hub = hub_of(n, log->slot);
			const struct channel *copy = hub_find(hub, name, hub_hash(hub, name));
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
	check_readers();
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
	memset(acked, 0, sizeof(acked));
	for (uint32_t a = 0; a < NODES_MAX; a++) {
		for (uint32_t b = 0; b < NODES_MAX; b++)
			world.links[a][b].last = &world.links[a][b].first;
	}
	for (uint32_t n = 0; n < scenario->nodes; n++)
		node_begin(n, &hub_out);
	for (uint32_t c = 0; c < CHANNELS; c++) {
		struct slot_log *log = &world.logs[world.log_count++];
		log->slot = hub_slot_of(slice_string(names[c]));
		for (uint32_t before = 0; before < c; before++)
			CHECK(world.logs[before].slot != log->slot);
		log->last = &log->first;
		log->stream = world.next_stream++;
		log->home = -1;
		log->term = 1;
	}
	for (uint32_t c = 0; c < CLIENTS; c++) {
		clients[c] = (struct client){.asked = calloc(ASKED_MAX, sizeof(struct asked))};
		CHECK(clients[c].asked != NULL);
	}
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
	orders_free();
	for (uint32_t c = 0; c < CLIENTS; c++)
		free(clients[c].asked);
	said_count = 0;
}

static struct {
	uint64_t frames, lost, moves, crashes, unclean, adopted, revoked, restored, breaks, forks,
		merged, opened, strays, short_of;
} all;

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
	world_end();
}

/* That it came to pass at all, in some seed: a simulation that never goes there proves nothing. */
static void seen_check(void)
{
	CHECK(all.lost > 0 && all.moves > 0 && all.crashes > 0 && all.unclean > 0);
	CHECK(all.adopted > 0 && all.revoked > 0 && all.restored > 0 && all.breaks > 0);
	CHECK(all.forks > 0 && all.merged > 0 && all.opened > 0 && all.strays > 0);
	CHECK(seen.delivered > 0 && seen.gaps > 0 && seen.acks > 0 && seen.refusals > 0);
	CHECK(seen.recovered > 0 && seen.not_recovered > 0 && seen.resumed_elsewhere > 0);
	CHECK(seen.duplicates > 0 && seen.pages > 0 && seen.left_out > 0);
	CHECK(seen.redeemed > 0 && seen.ended > 0 && seen.closed > 0 && seen.awkward > 0);
	CHECK(all.short_of > 0);
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
