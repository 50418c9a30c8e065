/*
 * The walk along a log, without sockets: a hub, N followers and a sink that counts. An operation is
 * a delivery; publishing is in it, shared by the followers.
 *
 * What a delivery costs must not depend on who else is there. So the same fan-out is measured
 * beside ten times the idle connections and ten times the idle channels, and the same rooms too.
 */
#include <stdlib.h>

#include "base/check.h"
#include "dialect/native.h"
#include "hub/hub.h"
#include "micro.h"

#define FOLLOWERS 10000u
#define ROOMS 1000u
#define IDLE_CONNECTIONS 10000u
#define IDLE_CHANNELS 1000u
#define BURST 8u
#define WALK_BUDGET 4096u

static struct rule everything = {.pattern = "*", .history_ttl_ms = 60000};
static const struct rules rules = {&everything, 1};

/* A session and what the edge keeps around it: it has a cache line of its own to be touched. */
struct client {
	struct session session;
	uint32_t number;
	char rest[128 - sizeof(struct session) - sizeof(uint32_t)];
};

struct state {
	struct hub *hub;
	struct hub_out out;
	struct timer_wheel wheel;
	struct client publisher;
	struct client *clients, *idle;
	uint32_t client_count, idle_count, opened;
	uint32_t rooms, burst, next_room;
	uint64_t delivered, bytes;
};

/* ---- the sink ---- */

static struct state *state_of(struct hub_out *out)
{
	return CONTAINER_OF(out, struct state, out);
}

static void out_event(struct hub_out *out, struct session *session, const struct hub_event *event)
{
	(void)out;
	(void)session;
	CHECK(event->type == EVENT_SUBSCRIBED || event->type == EVENT_ACK);
}

static size_t out_deliver(struct hub_out *out, struct session *session,
                          const struct delivery *delivery)
{
	struct state *state = state_of(out);
	CHECK(session->follower_count > 0);
	for (size_t i = 0; i < delivery->count; i++)
		state->bytes += record_wire(delivery->records[i], native.websocket.wire,
		                            native.websocket.encode)
		                        ->len;
	state->delivered += delivery->count;
	return delivery->count;
}

static void out_answered(struct hub_out *out, struct session *session)
{
	(void)out;
	(void)session;
}

static void out_end(struct hub_out *out, struct session *session, enum hub_end why)
{
	(void)out;
	(void)session;
	(void)why;
	CHECK(false); /* nobody is slow here */
}

static struct slab_handle out_handle(struct hub_out *out, const struct session *session)
{
	(void)out;
	return (struct slab_handle){CONTAINER_OF(session, struct client, session)->number, 1};
}

static struct session *out_find(struct hub_out *out, struct slab_handle handle)
{
	(void)out;
	(void)handle;
	return NULL;
}

static void out_post(struct hub_out *out, uint32_t worker, const struct hub_mail *mail)
{
	(void)out;
	(void)worker;
	(void)mail;
	CHECK(false); /* there is one worker */
}

static bool out_has_room(struct hub_out *out)
{
	(void)out;
	return true;
}

/* ---- the hub ---- */

static void client_open(struct state *state, struct client *client)
{
	client->number = state->opened++;
}

static void client_subscribe(struct state *state, struct client *client, const char *what,
                             uint32_t number)
{
	char name[32];
	int len = snprintf(name, sizeof(name), "%s:%u", what, number);
	struct hub_command command = {.type = COMMAND_SUBSCRIBE,
	                              .channel = slice_of(name, (size_t)len)};
	client_open(state, client);
	hub_execute(state->hub, &client->session, &command);
}

static void state_open(struct state *state, uint32_t rooms, uint32_t burst,
                       uint32_t idle_connections, uint32_t idle_channels)
{
	*state = (struct state){
		.out =
			{
				.event = out_event,
				.deliver = out_deliver,
				.answered = out_answered,
				.end = out_end,
				.handle = out_handle,
				.find = out_find,
				.post = out_post,
				.has_room = out_has_room,
			},
		.client_count = FOLLOWERS,
		.idle_count = idle_connections,
		.rooms = rooms,
		.burst = burst,
	};
	timer_wheel_init(&state->wheel, 0);
	struct hub_options options = {
		.workers = 1,
		.out = &state->out,
		.rules = &rules,
		.wheel = &state->wheel,
		.channels_per_session = 1,
		.outbound_bytes_max = 1 << 20,
	};
	state->hub = hub_create(&options);
	state->clients = calloc(FOLLOWERS, sizeof(*state->clients));
	state->idle = calloc(idle_connections, sizeof(*state->idle));
	CHECK(state->hub != NULL && state->clients != NULL && state->idle != NULL);
	hub_set_time(state->hub, 1, 1700000000000000);
	client_open(state, &state->publisher);
	/* They come mixed, as they do in life. */
	for (uint32_t i = 0; i < idle_connections; i++) {
		client_subscribe(state, &state->idle[i], "idle", i % idle_channels);
		if (i % (idle_connections / FOLLOWERS) == 0) {
			uint32_t number = i / (idle_connections / FOLLOWERS);
			client_subscribe(state, &state->clients[number], "room", number % rooms);
		}
	}
}

static void clients_close(struct state *state, struct client *clients, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		hub_session_close(state->hub, &clients[i].session);
	free(clients);
}

static void state_close(struct state *state)
{
	clients_close(state, state->clients, state->client_count);
	clients_close(state, state->idle, state->idle_count);
	hub_destroy(state->hub);
}

/* ---- measuring ---- */

static void publish(struct state *state, uint32_t room)
{
	char name[32];
	int len = snprintf(name, sizeof(name), "room:%u", room);
	struct hub_command command = {
		.type = COMMAND_PUBLISH,
		.channel = slice_of(name, (size_t)len),
		.publication.payload = SLICE("{\"symbol\":\"ABC\",\"price\":101.25,\"size\":300}"),
	};
	hub_execute(state->hub, &state->publisher.session, &command);
}

static void deliver(void *argument, uint64_t operations)
{
	struct state *state = argument;
	uint64_t until = state->delivered + operations;
	while (state->delivered < until) {
		for (uint32_t i = 0; i < state->burst; i++) {
			publish(state, state->next_room);
			/* Bursts are of one channel where there is one, else through the rooms. */
			state->next_room = (state->next_room + 1) % state->rooms;
		}
		while (hub_walk(state->hub, WALK_BUDGET))
			continue;
	}
	micro_use(state->bytes);
}

static void measure(const char *name, uint32_t rooms, uint32_t burst, uint32_t idle_connections,
                    uint32_t idle_channels)
{
	static struct state state;
	if (!micro_wants(name))
		return;
	state_open(&state, rooms, burst, idle_connections, idle_channels);
	micro_rounds(name, deliver, &state);
	state_close(&state);
}

int main(int argc, char **argv)
{
	micro_begin(argc, argv);
	measure("walk.fan_out", 1, 1, IDLE_CONNECTIONS, IDLE_CHANNELS);
	measure("walk.fan_out_8_in_flight", 1, BURST, IDLE_CONNECTIONS, IDLE_CHANNELS);
	measure("walk.fan_out_10x_idle_connections", 1, 1, 10 * IDLE_CONNECTIONS, IDLE_CHANNELS);
	measure("walk.fan_out_10x_idle_channels", 1, 1, IDLE_CONNECTIONS, 10 * IDLE_CHANNELS);
	measure("walk.rooms", ROOMS, 64, IDLE_CONNECTIONS, IDLE_CHANNELS);
	measure("walk.rooms_10x_idle_connections", ROOMS, 64, 10 * IDLE_CONNECTIONS, IDLE_CHANNELS);
	measure("walk.rooms_10x_idle_channels", ROOMS, 64, IDLE_CONNECTIONS, 10 * IDLE_CHANNELS);
	return micro_end();
}
