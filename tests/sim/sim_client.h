/*
 * sim_client.h - clients of the hubs of a simulated cluster that follow channels and publish: what
 * they are told is held against what was said.
 *
 *   - No place has two publications, and of a channel that is kept nothing is given out that its
 * log has not applied (I1, I7).
 *   - A client's messages rise by one from where its subscription began, but for what it published
 *     without echo; until it is told of a gap. When all is quiet it has come to the head (I3, I4).
 *   - An acknowledged publication has its place in its order for good (I5).
 *   - Each command is answered once.
 *
 * Who includes it has the world's below(), chance(), memory_begin(), memory_end() and functions of
 * hub_out that it does not define here, and has defined CHANNELS, CLIENTS, ASKED_MAX, BLOCKED (of
 * which chance() there is that a client takes no more for now) and struct publication_said, in
 * which these have to stand:
 *
 *   uint32_t channel;  bool has_once, is_unechoed;  uint64_t said_ms;  uint64_t epoch, seq;
 */
#pragma once

#include "base/text.h"
#include "orders.h"

#define REF_BYTES 24
#define CLIENT_NODES 8
#define NO_STREAM UINT64_MAX /* of channels that no log has */
#define NUMBER_BYTES 8       /* a payload begins with the number of its publication */
#define NUMBER_FIRST 10000000

struct client;
struct following;
struct asked;

/* ---- what the test has to say ---- */

static struct slice name_of(uint32_t channel);
static const struct rule *rule_of(uint32_t channel);
static uint64_t now_ms(void);
static struct hub *enter_hub_of(const struct client *client);
static struct channel *home_channel(uint32_t channel); /* NULL: it has none */
/* May it be that the cursor is good no more, that a gap is told, that a command is refused? */
static bool may_be_lost(const struct asked *asked, const struct hub_event *event);
static bool may_have_gap(const struct following *following, uint32_t channel,
                         const struct hub_event *event);
static bool may_refuse(void);
static bool homes_stay(void);
/* For who looks at one seed; NULL: nobody does. */
static void (*client_trace)(const struct client *client, const char *what, uint32_t channel,
                            uint64_t epoch, uint64_t seq);

/* ---- channels ---- */

#define KINDS 7

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
static const char *const kinds[KINDS] = {"long", "few", "brief", "none", "last", "slow", "keys"};

static uint32_t channel_by_name(struct slice name)
{
	uint32_t i = 0;
	while (!slice_equals(name, name_of(i))) {
		i++;
		CHECK(i < CHANNELS);
	}
	return i;
}

static bool is_replicated(uint32_t channel)
{
	return rule_of(channel)->history_size > 0 || rule_of(channel)->deliver_last;
}

/* Along its keys a client is given some of what there is. */
static bool is_keyed(uint32_t channel)
{
	return rule_of(channel)->deliver_last || rule_of(channel)->throttle_ms > 0;
}

static bool is_brief(uint32_t channel)
{
	return rule_of(channel)->history_ttl_ms < 10000;
}

/* ---- what was said ---- */

static struct publication_said *said;
static uint64_t said_count, said_room;

static struct {
	uint64_t delivered, gaps, recovered, not_recovered, acks, refusals, duplicates, pages,
		resumed_elsewhere, left_out, ended;
} told;

static uint64_t say(uint32_t channel, bool is_unechoed)
{
	if (said_count + 1 >= said_room) {
		said_room = said_room == 0 ? 1024 : said_room * 2;
		said = realloc(said, said_room * sizeof(*said));
		CHECK(said != NULL);
	}
	said[0] = (struct publication_said){0}; /* of places that nothing is known of */
	said_count++;
	said[said_count] = (struct publication_said){.channel = channel,
	                                             .has_once = said_count % 3 == 0,
	                                             .is_unechoed = is_unechoed,
	                                             .said_ms = now_ms()};
	return said_count;
}

static uint64_t said_in(const struct record *record)
{
	uint64_t number;
	struct slice payload = record_payload(record);
	CHECK(payload.len >= NUMBER_BYTES);
	CHECK(text_to_u64(slice_of(payload.at, NUMBER_BYTES), &number));
	number -= NUMBER_FIRST;
	CHECK(number > 0 && number <= said_count);
	return number;
}

/* What is given out under that place. */
static void hear(const struct record *record)
{
	uint32_t channel = channel_by_name(record_channel(record));
	struct order *order = order_find(channel, record->epoch);
	uint64_t number = said_in(record);
	if (!is_replicated(channel)) {
		order_say(order_at(channel, record->epoch, NO_STREAM), record->seq, number);
		return;
	}
	CHECK(order != NULL && record->seq <= order->head); /* I7 */
	CHECK(order->said[record->seq] == number);
	CHECK(record->is_key_hidden == !said[number].has_once);
	CHECK(record_once(record).len > 0);
}

/* ---- clients ---- */

enum following_state { NOT_FOLLOWING = 0, ASKED, FOLLOWING };

struct following {
	enum following_state state;
	uint64_t epoch, seq; /* the last one it was given, or its position */
	bool is_in_prelude;
	uint32_t ref;
	uint64_t told_ms; /* when it began, or was told of a gap last */
};

struct asked {
	enum command_type type;
	uint32_t channel;
	bool has_since, is_answered;
	struct cursor since;
	struct cursor known; /* the last one that the node had acknowledged to somebody */
	uint64_t number, asked_ms;
};

struct client {
	struct session session;
	uint32_t generation, node, worker;
	bool is_open, is_ending; /* ending: there was no memory for it */
	struct following following[CHANNELS];
	struct cursor cursors[CHANNELS]; /* what it remembers when it comes again */
	struct asked *asked;
	uint32_t asked_count;
	bool *heard; /* of each publication: it was given that */
	uint64_t heard_room;
};
static struct client clients[CLIENTS];
static struct cursor acked[CLIENT_NODES][CHANNELS];

static struct client *client_of(const struct session *session)
{
	return CONTAINER_OF(session, struct client, session);
}

static void trace(const struct client *client, const char *what, uint32_t channel, uint64_t epoch,
                  uint64_t seq)
{
	if (client_trace != NULL)
		client_trace(client, what, channel, epoch, seq);
}

static void follows_from(struct client *client, uint32_t channel, uint64_t epoch, uint64_t seq)
{
	struct following *following = &client->following[channel];
	following->epoch = epoch;
	following->seq = seq;
	following->is_in_prelude = false;
	following->told_ms = now_ms();
}

static void on_subscribed(struct client *client, const struct asked *asked,
                          const struct hub_event *event)
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
	following->is_in_prelude = rule_of(asked->channel)->deliver_last && !asked->has_since;
	if (following->is_in_prelude)
		following->seq = 0;
	if (!asked->has_since)
		return;
	told.recovered += event->is_recovered;
	told.not_recovered += !event->is_recovered;
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
	struct cursor *last = &acked[client->node][asked->channel];
	trace(client, "has an ack", asked->channel, event->epoch, event->seq);
	told.acks++;
	told.duplicates += event->is_duplicate;
	if (!is_replicated(asked->channel)) {
		order_say(order_at(asked->channel, event->epoch, NO_STREAM), event->seq,
		          asked->number);
		return;
	}
	CHECK(order != NULL && event->seq <= order->head);
	CHECK(order->said[event->seq] == asked->number);
	CHECK(publication->epoch != event->epoch || publication->seq == event->seq); /* I5 */
	publication->epoch = event->epoch;
	publication->seq = event->seq;
	if (last->epoch != event->epoch || last->seq < event->seq)
		*last = (struct cursor){.epoch = event->epoch, .seq = event->seq};
}

static void on_history(const struct asked *asked, const struct hub_event *event)
{
	told.pages++;
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
	struct following *following = &client->following[asked->channel];
	CHECK(event->error == ERROR_UNAVAILABLE || event->error == ERROR_NOT_SUBSCRIBED);
	CHECK(event->error == ERROR_NOT_SUBSCRIBED || may_refuse());
	told.refusals++;
	if (asked->type == COMMAND_SUBSCRIBE && following->state == ASKED &&
	    asked == &client->asked[following->ref])
		following->state = NOT_FOLLOWING;
}

static void on_gap(struct client *client, const struct hub_event *event)
{
	uint32_t channel = channel_by_name(event->channel);
	const struct following *following = &client->following[channel];
	trace(client, "has a gap behind", channel, following->epoch, following->seq);
	trace(client, "and is now at", channel, event->epoch, event->seq);
	CHECK(following->state == FOLLOWING);
	CHECK(may_have_gap(following, channel, event));
	told.gaps++;
	follows_from(client, channel, event->epoch, event->seq);
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

static void heard(struct client *client, uint64_t number)
{
	if (number >= client->heard_room) {
		client->heard = realloc(client->heard, said_room);
		CHECK(client->heard != NULL);
		memset(client->heard + client->heard_room, 0, said_room - client->heard_room);
		client->heard_room = said_room;
	}
	client->heard[number] = true;
}

static void given(struct client *client, uint32_t channel, const struct record *record)
{
	struct following *following = &client->following[channel];
	uint64_t next = following->seq + 1;
	CHECK(following->state == FOLLOWING);
	hear(record);
	heard(client, said_in(record));
	told.delivered++;
	CHECK(record->epoch == following->epoch);
	CHECK(record->seq >= next);
	const struct order *order = order_find(channel, record->epoch);
	while (!is_keyed(channel) && next < record->seq &&
	       is_left_out(client, channel, order, next)) {
		told.left_out++;
		next++;
	}
	CHECK(is_keyed(channel) || record->seq == next); /* I4 */
	following->seq = record->seq;
}

static size_t out_deliver(struct hub_out *out, struct session *session,
                          const struct delivery *delivery)
{
	(void)out;
	uint32_t channel = channel_by_name(channel_name(delivery->channel));
	size_t count = delivery->count;
	if (chance(BLOCKED)) {
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
	told.ended++;
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

static uint64_t out_now_us(struct hub_out *out)
{
	(void)out;
	return (now_ms() + UNIX_MS_AHEAD) * 1000;
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

/* ---- what they do ---- */

static struct asked *ask(struct client *client, struct hub_command *command, char ref[REF_BYTES])
{
	CHECK(client->asked_count < ASKED_MAX);
	struct asked *asked = &client->asked[client->asked_count];
	uint32_t channel = channel_by_name(command->channel);
	command->ref = slice_of(ref, text_from_u64(ref, client->asked_count));
	*asked = (struct asked){.type = command->type,
	                        .channel = channel,
	                        .has_since = command->has_since,
	                        .since = command->since,
	                        .known = acked[client->node][channel],
	                        .asked_ms = now_ms()};
	client->asked_count++;
	return asked;
}

static void execute(struct client *client, const struct hub_command *command)
{
	struct hub *hub = enter_hub_of(client);
	memory_begin();
	hub_execute(hub, &client->session, command);
	memory_end();
}

static void client_subscribe(struct client *client, uint32_t channel, bool has_since)
{
	char ref[REF_BYTES];
	struct hub_command command = {.type = COMMAND_SUBSCRIBE,
	                              .channel = name_of(channel),
	                              .has_since = has_since && client->cursors[channel].epoch != 0,
	                              .since = client->cursors[channel]};
	(void)ask(client, &command, ref);
	if (client->following[channel].state == NOT_FOLLOWING)
		client->following[channel] =
			(struct following){.state = ASKED, .ref = client->asked_count - 1};
	execute(client, &command);
}

static void remember_cursor(struct client *client, uint32_t channel)
{
	const struct following *following = &client->following[channel];
	if (following->state != FOLLOWING || following->is_in_prelude)
		return;
	client->cursors[channel] =
		(struct cursor){.epoch = following->epoch, .seq = following->seq};
}

static void client_unsubscribe(struct client *client, uint32_t channel)
{
	char ref[REF_BYTES];
	struct hub_command command = {.type = COMMAND_UNSUBSCRIBE, .channel = name_of(channel)};
	if (client->following[channel].state != FOLLOWING)
		return;
	(void)ask(client, &command, ref);
	remember_cursor(client, channel);
	client->following[channel] = (struct following){0};
	execute(client, &command);
}

/* Of one of the last 20, to be said again by its key; 0: it has none, or others must not say it. */
static uint64_t say_again(uint32_t channel)
{
	uint64_t number = said_count - below(said_count < 20 ? (uint32_t)said_count : 20);
	bool may_be = said[number].has_once && said[number].channel == channel &&
	              !said[number].is_unechoed;
	return may_be ? number : 0;
}

/* Under one of so many keys. The payload has room for what begins it. */
static void client_publish(struct client *client, uint64_t number, char *payload, size_t len,
                           uint32_t keys)
{
	const struct publication_said *publication = &said[number];
	char ref[REF_BYTES], once[REF_BYTES], key[2] = {'k', (char)('0' + number % keys)};
	CHECK(text_from_u64(payload, number + NUMBER_FIRST) == NUMBER_BYTES);
	size_t once_len = publication->has_once ? text_from_u64(once, number) : 0;
	struct hub_command command = {
		.type = COMMAND_PUBLISH,
		.channel = name_of(publication->channel),
		.publication = {.payload = slice_of(payload, len),
	                        .key = slice_of(key, is_keyed(publication->channel) ? 2 : 0),
	                        .idempotency_key = slice_of(once, once_len)},
		.is_unechoed = publication->is_unechoed};
	ask(client, &command, ref)->number = number;
	execute(client, &command);
}

static void client_history(struct client *client, uint32_t channel)
{
	char ref[REF_BYTES];
	struct hub_command command = {.type = COMMAND_HISTORY,
	                              .channel = name_of(channel),
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
	hub_session_close(enter_hub_of(client), &client->session);
	client->is_open = client->is_ending = false;
}

static void client_open(struct client *client, uint32_t node)
{
	told.resumed_elsewhere += client->generation > 0 && node != client->node;
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

/* It can take more again. */
static void client_ready(struct client *client)
{
	client->session.is_blocked = false;
	struct hub *hub = enter_hub_of(client);
	memory_begin();
	hub_session_ready(hub, &client->session);
	memory_end();
}

static void on_node_ends(uint32_t node)
{
	for (struct client *client = clients; client < clients + CLIENTS; client++) {
		if (client->is_open && client->node == node)
			client_close(client);
	}
}

static void clients_begin(void)
{
	memset(acked, 0, sizeof(acked));
	for (uint32_t c = 0; c < CLIENTS; c++) {
		clients[c] = (struct client){.asked = calloc(ASKED_MAX, sizeof(struct asked))};
		CHECK(clients[c].asked != NULL);
	}
}

static void clients_end(void)
{
	orders_free();
	for (uint32_t c = 0; c < CLIENTS; c++) {
		free(clients[c].asked);
		free(clients[c].heard);
	}
	said_count = 0;
}

/* ---- when all is quiet ---- */

static void check_follower(uint32_t c, const struct following *following)
{
	CHECK(following->state != ASKED);
	if (following->state != FOLLOWING)
		return;
	const struct channel *channel = home_channel(c);
	CHECK(channel != NULL && channel->epoch == following->epoch); /* I3 */
	uint64_t head = log_next(&channel->log) - 1, seq = following->seq;
	const struct order *order = order_find(c, channel->epoch);
	while (order != NULL && seq < head && said[order->said[seq + 1]].is_unechoed)
		seq++;
	CHECK(following->is_in_prelude || seq == head || is_keyed(c));
}

/* Each that follows has come to the head of the present order. */
static void check_clients(void)
{
	for (const struct client *client = clients; client < clients + CLIENTS; client++) {
		CHECK(!client->is_open || !client->session.is_blocked);
		for (uint32_t c = 0; c < CHANNELS && client->is_open; c++)
			check_follower(c, &client->following[c]);
		for (uint32_t i = 0; i < client->asked_count && client->is_open; i++)
			CHECK(client->asked[i].is_answered);
	}
}

/* Of two nodes. */
static void check_latest(const struct channel *a, const struct channel *b)
{
	CHECK((a->keyed == NULL) == (b->keyed == NULL));
	if (a->keyed == NULL)
		return;
	struct latest *of_a = &a->keyed->latest, *of_b = &b->keyed->latest;
	const struct latest_entry *in_a = latest_from(of_a, 0), *in_b = latest_from(of_b, 0);
	while (in_a != NULL && in_b != NULL) {
		CHECK(in_a->record->seq == in_b->record->seq);
		CHECK(said_in(in_a->record) == said_in(in_b->record));
		in_a = latest_after(of_a, in_a);
		in_b = latest_after(of_b, in_b);
	}
	CHECK(in_a == NULL && in_b == NULL);
}
