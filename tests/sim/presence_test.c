/*
 * Who is present, in hubs of several nodes, while links break, homes move and nodes end: what
 * clients are told is held against who follows.
 *
 *   - A watcher is told `joined` of whom it has not, and `left` of whom it has: so each once.
 *   - Nobody is told `left` of a user who did not leave, or was away for less than his grace.
 *   - Nobody is told `joined` of one who has not been there for long.
 *   - A list has the one it is shown to.
 *   - When all is quiet each home's set has just those who follow, with as many connections; so has
 *     each mirror, and each watcher; and what nodes and homes have of each other adds up (I9).
 *
 * First the cases of which one must be sure that they came to pass: back in time or not, an edge
 * that dies alone and with the home, a report that comes late, a home that forgets and invents.
 *
 * A seed makes a run; without arguments there are SEEDS_DEFAULT of them, over all scenarios.
 *   presence_test [SEED [COUNT]]
 */
#include "cluster_world.h"

#include "seeds.h"

#define SEEDS_DEFAULT 176
#define CLIENTS 20
#define USERS 8
#define STEPS 2500
#define STEP_MS 24
#define LATE_MS 15000  /* so long after something happened it may be told */
#define QUIET_MS 60000 /* the longest grace of the dead, and LATE_MS */

struct world world;

static const struct scenario scenarios[] = {
	{.name = "quiet: all nodes are one", .nodes = 3, .workers = 2, .replicas = 3},
	{.name = "links break", .nodes = 3, .workers = 2, .replicas = 3, .link_percent = 2},
	{.name = "homes move", .nodes = 4, .workers = 2, .replicas = 3, .move_percent = 1},
	{.name = "nodes end", .nodes = 4, .workers = 2, .replicas = 3, .crash_percent = 4},
	{.name = "nodes are cut off, and end",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .cut_percent = 1,
         .crash_percent = 8},
	{.name = "partitions last", .nodes = 5, .workers = 2, .replicas = 3, .split_percent = 1},
	{.name = "partitions last, and nodes end and homes move",
         .nodes = 4,
         .workers = 2,
         .replicas = 3,
         .move_percent = 1,
         .crash_percent = 4,
         .split_percent = 1},
	{.name = "the post has no room",
         .nodes = 3,
         .workers = 3,
         .replicas = 3,
         .full_percent = 20,
         .move_percent = 1},
	{.name = "homes forget and invent",
         .nodes = 3,
         .workers = 1,
         .replicas = 3,
         .corrupt_percent = 2},
	{.name = "there is no memory, now and then",
         .nodes = 3,
         .workers = 2,
         .replicas = 3,
         .link_percent = 1,
         .move_percent = 1,
         .memory_percent = 3},
	{.name = "channels make room for others",
         .nodes = 3,
         .workers = 1,
         .replicas = 2,
         .link_percent = 1,
         .move_percent = 1,
         .lingering_max = 1},
	{.name = "all at once",
         .nodes = 5,
         .workers = 2,
         .replicas = 3,
         .link_percent = 1,
         .move_percent = 1,
         .crash_percent = 1,
         .unclean_percent = 1,
         .cut_percent = 1,
         .full_percent = 3,
         .corrupt_percent = 1},
};

static struct rule rule_list[] = {
	{.pattern = "full:*", .presence = RULE_PRESENCE_FULL, .presence_grace_ms = 5000},
	{.pattern = "long:*", .presence = RULE_PRESENCE_FULL, .presence_grace_ms = 20000},
	{.pattern = "brief:*", .presence = RULE_PRESENCE_FULL},
	{.pattern = "count:*", .presence = RULE_PRESENCE_COUNT, .presence_grace_ms = 1000},
	{.pattern = "*"},
};
static const struct rules rules = {rule_list, COUNT_OF(rule_list)};
static const char *const names[CHANNELS] = {"full:1",  "full:2", "long:1", "brief:1",
                                            "count:1", "long:2", "full:3"};
#define FULL 0
#define LONG 2

static struct claims *claims[USERS];
static char users[USERS][2];

static struct {
	uint64_t joined, left, lists, numbers, returns, crashes, restarts, cuts, breaks, moves;
	uint64_t forgotten, invented, repaired, short_of, taken_back, looked_at, expected;
	uint64_t halfway_told, halfway_audited; /* turns that ended so */
	uint64_t splits, partings, others, told_apart, misled;
} seen;

static uint32_t by_name(const char *const *of, size_t count, struct slice name)
{
	uint32_t i = 0;
	while (i < count && !slice_is(name, of[i]))
		i++;
	return i;
}

static uint32_t channel_by_name(struct slice name)
{
	uint32_t channel = by_name(names, CHANNELS, name);
	CHECK(channel < CHANNELS);
	return channel;
}

/* USERS: one that a home has invented. */
static uint32_t user_by_name(struct slice name)
{
	CHECK(name.len == 1);
	uint32_t user = (uint32_t)(*name.at - 'a');
	return user < USERS ? user : USERS;
}

static bool is_faultless; /* nothing happens to nodes, links and homes in this world */

static const struct rule *rule_of(uint32_t channel)
{
	return rules_find(&rules, slice_string(names[channel]));
}

static struct slot_log *log_of_channel(uint32_t channel)
{
	return log_of(hub_slot_of(slice_string(names[channel])));
}

static struct presence *presence_on(uint32_t node, uint32_t channel)
{
	struct slice name = slice_string(names[channel]);
	struct hub *hub = hub_of(node, hub_slot_of(name));
	struct channel *found = hub_find(hub, name, hub_hash(hub, name));
	return found == NULL ? NULL : presence_of(hub, found);
}

/* ---- who is there, by what clients did ---- */

static struct {
	uint32_t connections;
	bool was_ever;
	uint64_t gone_ms, needed_ms; /* since when it has none, and when it may be away */
	uint64_t back_ms, away_ms;   /* when it came last, and since when it is away */
	uint64_t present_ms;         /* when it was there last */
	uint64_t may_leave_ms;       /* when it last was away for long enough */
	uint64_t forgotten_ms;       /* by a home that is not what it should be */
	uint64_t entered_ms;         /* the last connection: that may be under way */
} model[CHANNELS][USERS];

/* The same by a node that others cannot reach. */
static struct {
	uint64_t near_ms;  /* when it was last at a node that this one does not take for dead */
	uint64_t apart_ms; /* when it last was not, for as long as the dead have */
} seen_by[NODES_MAX][CHANNELS][USERS];

/* Without memory a member may be unknown to his node's agent: then nobody knows him. But what the
 * home says is still what all are told. */
static bool is_exact(void)
{
	return world.scenario->memory_percent == 0;
}

/* What faults may cost of a grace, as nobody is told in time that somebody is back. */
static uint64_t slack_ms(void)
{
	const struct scenario *s = world.scenario;
	bool has_faults = s->link_percent + s->move_percent + s->crash_percent +
	                          s->unclean_percent + s->corrupt_percent + s->cut_percent +
	                          s->split_percent >
	                  0;
	return world.is_quiet ? 250 : has_faults ? 6000 : 1500;
}

static void model_enter(uint32_t channel, uint32_t user)
{
	if (model[channel][user].connections == 0)
		model[channel][user].back_ms = world.now_ms;
	seen.returns += model[channel][user].connections++ == 0 && model[channel][user].was_ever;
	model[channel][user].was_ever = true;
	model[channel][user].present_ms = model[channel][user].entered_ms = world.now_ms;
}

static void model_leave(uint32_t channel, uint32_t user, enum parting parting)
{
	uint64_t grace = rule_of(channel)->presence_grace_ms;
	if (parting == PARTING_POLLED && grace < PRESENCE_POLL_MS)
		grace = PRESENCE_POLL_MS;
	bool is_at_once = parting == PARTING_LEFT || grace < slack_ms();
	uint64_t needed = is_at_once ? 0 : grace - slack_ms();
	/* Which one of several went last may be seen otherwise at the home. */
	bool is_soon = world.now_ms - model[channel][user].gone_ms < LATE_MS / 3;
	CHECK(model[channel][user].connections > 0);
	if (!is_soon || needed < model[channel][user].needed_ms)
		model[channel][user].needed_ms = needed;
	model[channel][user].gone_ms = world.now_ms;
	/* A visit that is shorter than reports take may go unseen. */
	if (world.now_ms - model[channel][user].back_ms > slack_ms())
		model[channel][user].away_ms = world.now_ms;
	uint64_t forgotten_ms = model[channel][user].forgotten_ms;
	uint64_t entered_ms = model[channel][user].entered_ms;
	bool is_last = --model[channel][user].connections == 0 ||
	               world.now_ms <= forgotten_ms + 2 * PRESENCE_AUDIT_MS ||
	               world.now_ms <= entered_ms + slack_ms();
	if (is_last && model[channel][user].needed_ms == 0 &&
	    model[channel][user].may_leave_ms < world.now_ms)
		model[channel][user].may_leave_ms = world.now_ms;
}

/* Is everybody in touch with the channel's home, and it has heard of all? */
static bool is_settled(uint32_t channel)
{
	const struct slot_log *log = log_of_channel(channel);
	if (log->home < 0)
		return false;
	uint32_t home = (uint32_t)log->home;
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		bool is_linked = n == home || (world.links[n][home].is_up && !are_apart(n, home));
		if (world.nodes[n].is_up && (!is_linked || log->told_term[n] != log->term))
			return false;
	}
	return far_is_whole(far_slot(hub_of(home, log->slot), log->slot));
}

static void model_turn_of(uint32_t channel, uint32_t user, bool is_in_touch)
{
	uint64_t *may_leave_ms = &model[channel][user].may_leave_ms;
	uint64_t away_ms = world.now_ms - model[channel][user].away_ms;
	bool is_away = model[channel][user].connections == 0;
	if (!is_away)
		model[channel][user].present_ms = world.now_ms;
	/* What could have been told is told later. */
	bool is_late = !is_in_touch && world.now_ms <= *may_leave_ms + LATE_MS;
	if ((is_late || (is_away && away_ms >= model[channel][user].needed_ms)) &&
	    *may_leave_ms < world.now_ms)
		*may_leave_ms = world.now_ms;
}

static void model_turn(void)
{
	for (uint32_t c = 0; c < CHANNELS; c++) {
		bool is_in_touch = is_settled(c);
		for (uint32_t u = 0; u < USERS; u++)
			model_turn_of(c, u, is_in_touch);
	}
}

/* ---- clients ---- */

enum following_state { NOT_FOLLOWING = 0, ASKED, FOLLOWING };

struct following {
	enum following_state state;
	bool is_watching, was_shown;
	bool has[USERS + 1]; /* present, by what it was told */
	uint32_t count, joined[USERS + 1], left[USERS + 1];
};

static struct client {
	struct session session;
	uint32_t generation, node, worker, user;
	bool is_open;
	uint32_t asked; /* and not answered */
	struct following following[CHANNELS];
} clients[CLIENTS];

static struct client *client_of(const struct session *session)
{
	return CONTAINER_OF(session, struct client, session);
}

static struct hub *hub_of_client(const struct client *client)
{
	return world.nodes[client->node].workers[client->worker].hub;
}

static void on_list(struct client *client, struct following *following,
                    const struct hub_event *event)
{
	const struct turnout *turnout = event->turnout;
	bool has[USERS + 1] = {0};
	for (uint32_t i = 0; i < turnout->count; i++) {
		uint32_t user = user_by_name(turnout_user(&turnout->entries[i]));
		CHECK(user == USERS || !has[user]);
		has[user] = true;
	}
	if (event->user.len > 0) {
		CHECK(user_by_name(event->user) == client->user && !has[client->user]);
		has[client->user] = true;
	}
	CHECK(!turnout->has_names || has[client->user]);
	memcpy(following->has, has, sizeof(has));
	following->was_shown = true;
	following->count = turnout->occupant_count;
	seen.lists += turnout->has_names;
	seen.numbers += !turnout->has_names;
}

static void on_joined(struct following *following, uint32_t channel, uint32_t user)
{
	CHECK(following->was_shown);
	CHECK(user == USERS || !following->has[user]);
	following->has[user] = true;
	following->joined[user]++;
	seen.joined++;
	if (user < USERS && is_exact())
		CHECK(world.now_ms - model[channel][user].present_ms <=
		      LATE_MS + 2 * rule_of(channel)->presence_grace_ms);
}

static void on_left(struct following *following, uint32_t node, uint32_t channel, uint32_t user)
{
	CHECK(following->was_shown);
	CHECK(user == USERS || following->has[user]);
	following->has[user] = false;
	following->left[user]++;
	seen.left++;
	if (user == USERS || !is_exact())
		return;
	/* He is there, on the other side. */
	seen.told_apart += world.side != 0 && model[channel][user].connections > 0;
	CHECK(world.now_ms <= model[channel][user].may_leave_ms + LATE_MS ||
	      world.now_ms <= seen_by[node][channel][user].apart_ms + LATE_MS);
}

static void on_subscribed(struct client *client, uint32_t channel)
{
	struct following *following = &client->following[channel];
	if (following->state != ASKED)
		return;
	following->state = FOLLOWING;
	model_enter(channel, client->user);
}

static void out_event(struct hub_out *out, struct session *session, const struct hub_event *event)
{
	(void)out;
	struct client *client = client_of(session);
	CHECK(client->is_open);
	uint32_t channel = event->channel.len == 0 ? 0 : channel_by_name(event->channel);
	struct following *following = &client->following[channel];
	client->asked -= event->ref.len > 0 && client->asked > 0;
	switch (event->type) {
	case EVENT_SUBSCRIBED:
		on_subscribed(client, channel);
		break;
	case EVENT_PRESENCE:
		if (event->ref.len == 0)
			on_list(client, following, event);
		break;
	case EVENT_JOINED:
		CHECK(user_by_name(event->user) != client->user);
		on_joined(following, channel, user_by_name(event->user));
		break;
	case EVENT_LEFT:
		CHECK(user_by_name(event->user) != client->user);
		on_left(following, client->node, channel, user_by_name(event->user));
		break;
	case EVENT_ERROR:
		CHECK(event->error == ERROR_UNAVAILABLE || event->error == ERROR_NOT_SUBSCRIBED);
		if (event->channel.len == 0)
			break;
		if (slice_is(event->ref, "s") && following->state == ASKED)
			*following = (struct following){0};
		else if (slice_is(event->ref, "s"))
			following->is_watching &= is_exact(); /* it could not be */
		break;
	default:
		CHECK(event->type == EVENT_UNSUBSCRIBED || event->type == EVENT_GAP);
	}
}

static size_t out_deliver(struct hub_out *out, struct session *session,
                          const struct delivery *delivery)
{
	(void)out;
	(void)session;
	(void)delivery;
	CHECK(false); /* nobody publishes */
	return 0;
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

static const struct hub_out hub_out = {
	.event = out_event,
	.deliver = out_deliver,
	.answered = out_answered,
	.end = out_end,
	.handle = out_handle,
	.find = out_find,
	.post = out_post,
	.has_room = out_has_room,
};

static void execute(struct client *client, struct hub_command *command)
{
	struct hub *hub = hub_of_client(client);
	command->ref = command->type == COMMAND_SUBSCRIBE ? SLICE("s") : SLICE("a");
	client->asked++;
	hub_enter(hub);
	memory_begin();
	hub_execute(hub, &client->session, command);
	memory_end();
}

static void client_open(struct client *client, uint32_t node, uint32_t user)
{
	*client = (struct client){.generation = client->generation + 1,
	                          .node = node,
	                          .worker = below(world.scenario->workers),
	                          .user = user,
	                          .is_open = true};
	client->session.claims = claims[user];
}

/* Its sessions are over; what it followed is left in that way. */
static void client_close(struct client *client, enum parting parting)
{
	struct hub *hub = hub_of_client(client);
	for (uint32_t c = 0; c < CHANNELS; c++) {
		if (client->following[c].state == FOLLOWING)
			model_leave(c, client->user, parting);
	}
	client->is_open = false;
	client->session.parting = parting & 3u;
	hub_enter(hub);
	hub_session_close(hub, &client->session);
}

static void client_subscribe(struct client *client, uint32_t channel, bool is_watching)
{
	struct following *following = &client->following[channel];
	struct hub_command command = {.type = COMMAND_SUBSCRIBE,
	                              .channel = slice_string(names[channel]),
	                              .wants_presence = is_watching};
	if (following->state != NOT_FOLLOWING)
		return;
	*following = (struct following){.state = ASKED, .is_watching = is_watching};
	execute(client, &command);
}

static void client_unsubscribe(struct client *client, uint32_t channel)
{
	struct hub_command command = {.type = COMMAND_UNSUBSCRIBE,
	                              .channel = slice_string(names[channel])};
	if (client->following[channel].state != FOLLOWING)
		return;
	model_leave(channel, client->user, PARTING_LEFT);
	client->following[channel] = (struct following){0};
	execute(client, &command);
}

static void client_ask(struct client *client, uint32_t channel)
{
	struct hub_command command = {.type = COMMAND_PRESENCE,
	                              .channel = slice_string(names[channel])};
	execute(client, &command);
}

static void apart_turn(void)
{
	for (const struct client *client = clients; client < clients + CLIENTS; client++) {
		for (uint32_t c = 0; c < CHANNELS && client->is_open; c++) {
			for (uint32_t n = 0; n < world.scenario->nodes; n++) {
				if (client->following[c].state == FOLLOWING &&
				    !world.finds_dead[n][client->node])
					seen_by[n][c][client->user].near_ms = world.now_ms;
			}
		}
	}
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		for (uint32_t c = 0; c < CHANNELS; c++) {
			uint64_t grace = 2 * rule_of(c)->presence_grace_ms;
			uint64_t needed = grace < slack_ms() ? 1 : grace - slack_ms();
			for (uint32_t u = 0; u < USERS; u++) {
				if (world.side != 0 &&
				    world.now_ms - seen_by[n][c][u].near_ms >= needed)
					seen_by[n][c][u].apart_ms = world.now_ms;
			}
		}
	}
}

static void client_turn(struct client *client)
{
	if (client->is_open && client->session.is_ended)
		client_close(client, PARTING_LOST);
	if (world.is_quiet)
		return;
	uint32_t channel = below(CHANNELS), node = below(world.scenario->nodes), dice = below(100);
	if (!client->is_open && world.nodes[node].is_up && dice < 40)
		client_open(client, node, below(USERS));
	else if (!client->is_open)
		return;
	else if (dice < 4)
		client_close(client, (enum parting)(dice < 1   ? PARTING_LEFT
		                                    : dice < 2 ? PARTING_POLLED
		                                               : PARTING_LOST));
	else if (dice < 8)
		client_unsubscribe(client, channel);
	else if (dice < 40)
		client_subscribe(client, channel, below(2) == 0);
	else if (dice < 45)
		client_ask(client, channel);
}

/* ---- what the world does ---- */

static void on_node_ends(uint32_t node)
{
	for (struct client *client = clients; client < clients + CLIENTS; client++) {
		if (client->is_open && client->node == node)
			client_close(client, PARTING_LOST);
	}
}

static void no_record(const struct record *record, uint64_t stream)
{
	(void)record;
	(void)stream;
	CHECK(false); /* nobody publishes */
}

static void no_place(const struct record *record, struct cursor place, uint64_t stream)
{
	(void)place;
	no_record(record, stream);
}

static void on_redeemed(const struct slot_log *log)
{
	(void)log;
}

static void on_closed(struct slice channel)
{
	(void)channel;
}

static void no_gap(struct slice channel, struct cursor place, uint64_t stream)
{
	(void)channel;
	(void)place;
	(void)stream;
}

static void on_fork(const struct slot_log *log, uint32_t node)
{
	(void)log;
	(void)node;
}

static const struct world_hooks hooks = {
	.committed = no_record,
	.closed = on_closed,
	.gap = no_gap,
	.node_ends = on_node_ends,
	.redeems = no_record,
	.parted = on_fork,
	.saved = on_fork,
	.taken_in = no_place,
	.redeemed = on_redeemed,
	.merged = no_record,
};

static void crash_turn(void)
{
	uint32_t down = 0, i = below(world.scenario->nodes);
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		struct sim_node *node = &world.nodes[n];
		if (!node->is_up && node->up_ms <= world.now_ms) {
			node_is_gone(n); /* who was only silent before has ended for sure */
			node_begin(n, &hub_out);
			seen.restarts++;
		}
		down += !node->is_up;
	}
	if (down > 0 || !chance(world.scenario->crash_percent) || below(4) > 0)
		return;
	seen.crashes++;
	node_end(i);
	world.nodes[i].up_ms = world.now_ms + below(below(2) == 0 ? 1000 : 30000);
}

/* The test hook of S37: a home's set is not what it was told. */
static void corrupt(uint32_t channel, uint32_t node, struct slice user, bool forgets)
{
	struct slot_log *log = log_of_channel(channel);
	struct presence *presence =
		log->home < 0 ? NULL : presence_on((uint32_t)log->home, channel);
	if (presence == NULL || !presence_leads(presence) || node == (uint32_t)log->home)
		return;
	struct hub *hub = hub_of((uint32_t)log->home, log->slot);
	uint64_t hash = hash_bytes(&hub->options.hash_key, user);
	uint32_t source = WORKERS_MAX + node;
	struct parting_grace grace = presence_grace(presence->channel);
	hub_enter(hub);
	if (forgets && occupants_counted(&presence->occupants, source, hash) == 0)
		return;
	seen.forgotten += forgets;
	seen.invented += !forgets;
	if (forgets) {
		occupants_end(&presence->occupants, source, hash, PARTING_LOST, &grace,
		              world.now_ms);
		uint32_t of = user_by_name(user); /* it may be shorter than the repair takes */
		if (of < USERS && rule_of(channel)->presence_grace_ms < 2 * PRESENCE_AUDIT_MS)
			model[channel][of].may_leave_ms = world.now_ms + 2 * PRESENCE_AUDIT_MS;
		if (of < USERS)
			model[channel][of].forgotten_ms = world.now_ms;
	} else {
		struct occupant *one = occupant_make(user, slice_of(NULL, 0), NULL);
		CHECK(one != NULL);
		occupants_confirm(&presence->occupants, source, one, hash, 1 + below(3));
	}
	presence_reported(hub, presence);
}

static void corrupt_turn(void)
{
	if (!chance(world.scenario->corrupt_percent))
		return;
	uint32_t user = below(USERS);
	bool forgets = below(3) > 0;
	corrupt(below(CHANNELS), below(world.scenario->nodes),
	        forgets ? slice_string(users[user]) : SLICE("z"), forgets);
}

/* What is done in parts is to be left half-way, too. */
static void look_at_parts(const struct hub *hub)
{
	const struct presence_audit *audit = &hub->far->audit;
	seen.halfway_audited += audit->slot != NULL && audit->at != 0;
	for (uint32_t c = 0; c < CHANNELS; c++) {
		uint16_t number = hub_slot_of(slice_string(names[c]));
		if (number % hub->options.workers == hub->options.worker) {
			const struct hub_slot *slot = far_slot(hub, number);
			seen.halfway_told += slot->is_telling && slot->telling_at != 0;
		}
	}
}

static void turn(void)
{
	world.now_ms += below(STEP_MS);
	model_turn();
	apart_turn();
	faults_turn();
	crash_turn();
	corrupt_turn();
	links_turn();
	for (uint32_t i = 0; i < world.log_count; i++)
		log_turn(&world.logs[i]);
	client_turn(&clients[below(CLIENTS)]);
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		for (uint32_t w = 0; w < world.scenario->workers && world.nodes[n].is_up; w++) {
			worker_turn(&world.nodes[n].workers[w]);
			look_at_parts(world.nodes[n].workers[w].hub);
		}
	}
}

/* ---- when all is quiet ---- */

static uint32_t model_count(uint32_t channel)
{
	uint32_t count = 0;
	for (uint32_t u = 0; u < USERS; u++)
		count += model[channel][u].connections > 0;
	return count;
}

static void check_set(uint32_t channel, const struct presence *presence)
{
	static const struct occupants nobody;
	const struct occupants *set = presence == NULL ? &nobody : &presence->occupants;
	uint32_t connections[USERS + 1] = {0};
	if (!is_exact())
		return;
	CHECK(set->count == model_count(channel));
	if (set->is_numbered)
		return;
	for (uint32_t i = 0; presence != NULL && i < occupants_span(set); i++) {
		const struct occupant *one = occupants_at(set, i);
		for (; one != NULL; one = occupants_after(one)) {
			CHECK(!one->is_present || user_by_name(occupant_user(one)) < USERS);
			if (one->is_present)
				connections[user_by_name(occupant_user(one))] =
					occupants_connections(set, one);
		}
	}
	for (uint32_t u = 0; u < USERS; u++)
		CHECK(connections[u] == model[channel][u].connections);
}

/* What a node has said it has, and what its home has of it, are one. */
static void check_sums(uint32_t channel, uint32_t node)
{
	const struct slot_log *log = log_of_channel(channel);
	const struct hub_slot *home = far_slot(hub_of((uint32_t)log->home, log->slot), log->slot);
	const struct hub_slot *there = far_slot(hub_of(node, log->slot), log->slot);
	uint64_t members = node < home->edge_count ? home->edges[node].sum.members : 0;
	CHECK(there->sum.members == members);
	CHECK(list_is_empty(&there->reporting));
}

static void check_nodes(uint32_t channel)
{
	uint32_t home = (uint32_t)log_of_channel(channel)->home;
	const struct presence *presence = presence_on(home, channel);
	CHECK(presence == NULL || presence_leads(presence));
	check_set(channel, presence);
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		if (n == home)
			continue;
		const struct presence *mirror = presence_on(n, channel);
		check_sums(channel, n);
		CHECK(mirror == NULL || !presence_leads(mirror));
		if (mirror == NULL || !presence_is_watched(mirror))
			continue;
		CHECK(mirror->far->mirror == MIRROR_WHOLE);
		CHECK(far_bit(presence->far->nodes, n));
		CHECK(mirror->occupants.count == presence->occupants.count);
		check_set(channel, mirror);
	}
}

static void check_watcher(const struct following *following, uint32_t channel)
{
	const struct presence *home = presence_on((uint32_t)log_of_channel(channel)->home, channel);
	uint32_t count = 0;
	CHECK(following->was_shown);
	if (rule_of(channel)->presence == RULE_PRESENCE_COUNT) {
		CHECK(following->count == home->occupants.count);
		return;
	}
	for (uint32_t u = 0; u < USERS; u++) {
		CHECK(!is_exact() || following->has[u] == (model[channel][u].connections > 0));
		count += following->has[u];
	}
	CHECK(!following->has[USERS]);
	CHECK(count == home->occupants.count || !is_exact());
}

static void check_watchers(void)
{
	for (const struct client *client = clients; client < clients + CLIENTS; client++) {
		CHECK(!client->is_open || client->asked == 0 || !is_exact());
		for (uint32_t c = 0; c < CHANNELS && client->is_open; c++) {
			const struct following *following = &client->following[c];
			CHECK(following->state != ASKED);
			if (following->state == FOLLOWING && following->is_watching)
				check_watcher(following, c);
		}
	}
}

static void run(uint64_t ms)
{
	uint64_t until = world.now_ms + ms;
	while (world.now_ms < until)
		turn();
}

static void check_all(void)
{
	for (uint32_t c = 0; c < CHANNELS; c++)
		check_nodes(c);
	check_watchers();
	seen.looked_at++;
}

/* ---- a world ---- */

static void world_begin(const struct scenario *scenario, uint64_t seed)
{
	memset(&world, 0, sizeof(world));
	memset(&model, 0, sizeof(model));
	is_faultless = false;
	memset(&seen_by, 0, sizeof(seen_by));
	world.scenario = scenario;
	world.hooks = &hooks;
	world.rules = &rules;
	seeded.scenario = scenario->name;
	seeded.seed = seed;
	world.random.state = seed * 7919 + 1;
	world.now_ms = 1000000 + below(100000);
	world.next_stream = 1;
	for (uint32_t a = 0; a < NODES_MAX; a++) {
		for (uint32_t b = 0; b < NODES_MAX; b++)
			world.links[a][b].last = &world.links[a][b].first;
	}
	for (uint32_t n = 0; n < scenario->nodes; n++)
		node_begin(n, &hub_out);
	for (uint32_t c = 0; c < CHANNELS; c++) {
		struct slot_log *log = &world.logs[world.log_count++];
		*log = (struct slot_log){.slot = hub_slot_of(slice_string(names[c])),
		                         .stream = world.next_stream++,
		                         .home = -1,
		                         .term = 1};
		log->last = &log->first;
	}
}

static void world_end(void)
{
	seen.short_of += world.seen.short_of;
	seen.cuts += world.seen.cuts;
	seen.breaks += world.seen.breaks;
	seen.moves += world.seen.moves;
	uint64_t repaired = 0;
	seen.splits += world.seen.splits;
	seen.partings += world.seen.partings;
	seen.others += world.seen.others;
	seen.misled += world.seen.misled;
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		if (!world.nodes[n].is_up)
			continue;
		for (uint32_t w = 0; w < world.scenario->workers; w++)
			repaired += hub_counters(world.nodes[n].workers[w].hub)->presence_repaired;
		node_end(n);
	}
	/* Where nothing is wrong, an audit that miscounts would have all told anew. */
	CHECK(repaired == 0 || !is_faultless);
	seen.repaired += repaired;
	for (uint32_t i = 0; i < world.log_count; i++) {
		struct slot_log *log = &world.logs[i];
		while (log->first != NULL)
			free(log_take_proposed(log).at);
		vain_drop(log);
		for (size_t e = 0; e < log->count; e++)
			free(log->entries[e].at);
		free(log->entries);
	}
}

static void world_run(uint64_t seed)
{
	world_begin(&scenarios[seed % COUNT_OF(scenarios)], seed);
	is_faultless = world.scenario == &scenarios[0];
	for (int i = 0; i < STEPS; i++)
		turn();
	world.is_quiet = true;
	for (uint32_t n = 0; n < world.scenario->nodes; n++)
		world.nodes[n].up_ms = 0;
	run(QUIET_MS);
	check_all();
	world_end();
}

/* ---- cases ---- */

enum { ANN = 0, BOB, WIM, CID, DAN, EVE, FAY };

/* Clients of these numbers: users of two nodes, and one on each node who watches. */
#define FIRST_WATCHER 10

/* All is quiet, and the channel's home is that node. */
static void case_begin(uint64_t seed, uint32_t channel, uint32_t home)
{
	world_begin(&scenarios[0], seed);
	world.is_quiet = true;
	struct slot_log *log = log_of_channel(channel);
	run(2000);
	while (log->home != (int)home) {
		log_depose(log, true);
		run(2000);
	}
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		client_open(&clients[FIRST_WATCHER + n], n, WIM);
		client_subscribe(&clients[FIRST_WATCHER + n], channel, true);
	}
	run(2000);
}

static void arrives(uint32_t client, uint32_t node, uint32_t user, uint32_t channel)
{
	client_open(&clients[client], node, user);
	client_subscribe(&clients[client], channel, false);
}

/* What each that watches, on a node that is there, was told of the user since that was asked last.
 */
static void check_told(uint32_t channel, uint32_t user, uint32_t joined, uint32_t left)
{
	for (uint32_t n = 0; n < world.scenario->nodes; n++) {
		struct following *following = &clients[FIRST_WATCHER + n].following[channel];
		if (!world.nodes[n].is_up)
			continue;
		CHECK(following->joined[user] == joined && following->left[user] == left);
		following->joined[user] = following->left[user] = 0;
	}
}

static void check_told_at(uint32_t node, uint32_t channel, uint32_t user, const char *what)
{
	struct following *following = &clients[FIRST_WATCHER + node].following[channel];
	uint32_t joined = 0, left = 0;
	for (; *what != '\0'; what++) {
		joined += *what == 'j';
		left += *what == 'l';
	}
	CHECK(following->joined[user] == joined && following->left[user] == left);
	following->joined[user] = following->left[user] = 0;
}

/* At the two sides of a partition, of which nodes 0 and 1 are one. */
static void check_sides(uint32_t user, const char *here, const char *there)
{
	check_told_at(0, FULL, user, here);
	check_told_at(1, FULL, user, here);
	check_told_at(2, FULL, user, there);
}

static void case_end(void)
{
	run(QUIET_MS);
	check_all();
	world_end();
}

/* S34 */
static void who_is_back_in_time_was_never_away(uint64_t seed, uint32_t home)
{
	case_begin(seed, FULL, home);
	arrives(0, 0, ANN, FULL);
	run(1000);
	check_told(FULL, ANN, 1, 0);
	client_close(&clients[0], PARTING_LOST);
	run(4600);
	arrives(1, 1, ANN, FULL);
	run(20000);
	check_told(FULL, ANN, 0, 0);
	client_close(&clients[1], PARTING_LOST);
	run(6000);
	arrives(0, 0, ANN, FULL);
	run(1000);
	check_told(FULL, ANN, 1, 1);
	case_end();
}

/* S35; the home of the channel may be the one that dies. */
static void an_edge_dies(uint64_t seed, uint32_t home)
{
	case_begin(seed, FULL, home);
	arrives(0, 0, ANN, FULL);
	arrives(1, 0, BOB, FULL);
	run(1000);
	check_told(FULL, ANN, 1, 0);
	node_end(0);
	world.nodes[0].up_ms = UINT64_MAX;
	run(5500); /* longer than a grace, but for the dead */
	check_told(FULL, ANN, 0, 0);
	arrives(2, 1, BOB, FULL);
	run(12000);
	check_told(FULL, ANN, 0, 1);
	CHECK(clients[FIRST_WATCHER + 1].following[FULL].left[BOB] == 0);
	CHECK(clients[FIRST_WATCHER + 2].following[FULL].left[BOB] == 0);
	world.nodes[0].up_ms = 0;
	case_end();
}

/* The next home may be one where nobody watches. */
static void he_died_with_the_home(uint64_t seed)
{
	case_begin(seed, FULL, 0);
	arrives(0, 0, ANN, FULL);
	client_close(&clients[FIRST_WATCHER + 2], PARTING_LEFT);
	run(1000);
	check_told_at(1, FULL, ANN, "j");
	node_end(0);
	world.nodes[0].up_ms = UINT64_MAX;
	run(5500);
	seen.expected += log_of_channel(FULL)->home == 2;
	check_told_at(1, FULL, ANN, "");
	run(12000);
	check_told_at(1, FULL, ANN, "l");
	world.nodes[0].up_ms = 0;
	case_end();
}

/* S36: from node 0 to the home, which is another. */
static void a_late_report_undoes_nothing(uint64_t seed)
{
	case_begin(seed, FULL, 2);
	arrives(0, 0, ANN, FULL);
	run(1000);
	client_close(&clients[0], PARTING_LEFT);
	model[FULL][ANN].may_leave_ms = 0; /* he is to come before it is heard */
	arrives(1, 1, ANN, FULL);
	struct link *link = &world.links[0][2];
	for (uint32_t i = 0; i < 40 && link->first == NULL; i++) {
		for (uint32_t w = 0; w < world.scenario->workers; w++)
			worker_turn(&world.nodes[0].workers[w]);
	}
	CHECK(link->first != NULL);
	link->first->due_ms += 3000;
	run(20000);
	check_told(FULL, ANN, 1, 0);
	case_end();
}

/* Each poll of a busy channel is answered before a report goes. The home may be his node. */
static void who_is_answered_at_once_is_present(uint64_t seed, uint32_t home)
{
	case_begin(seed, FULL, home);
	for (int polls = 0; polls < 20; polls++) {
		arrives(0, 0, ANN, FULL);
		for (int i = 0; i < 50 && clients[0].following[FULL].state == ASKED; i++)
			letters_arrive(&world.nodes[0].workers[i % (int)world.scenario->workers]);
		CHECK(clients[0].following[FULL].state == FOLLOWING);
		client_close(&clients[0], PARTING_POLLED);
		run(1000);
		check_told(FULL, ANN, polls == 0, 0);
	}
	run(PRESENCE_POLL_MS - 1500);
	check_told(FULL, ANN, 0, 0);
	run(2000);
	check_told(FULL, ANN, 0, 1);
	case_end();
}

/* Others take it for the home all the time. Who is there twice leaves at the home. */
static void a_home_that_pauses_is_told_anew(uint64_t seed, uint32_t channel)
{
	case_begin(seed, channel, 1);
	struct slot_log *log = log_of_channel(channel);
	arrives(0, 0, ANN, channel);
	arrives(1, 1, ANN, channel);
	run(1000 + below(1000));
	check_told(channel, ANN, 1, 0);
	hub_enter(hub_of(1, log->slot));
	hub_set_role(hub_of(1, log->slot), log->slot,
	             &(struct hub_role){
			     .home = HOME_NOWHERE, .is_replica = true, .stream = log->stream});
	run(below(SYNC_ASK_MS)); /* who asks now is not answered */
	log_tell(log, 1);
	run(below(50));
	client_close(&clients[1], PARTING_LEFT);
	run(500);
	CHECK(far_is_whole(far_slot(hub_of(1, log->slot), log->slot)));
	run(PRESENCE_WHOLE_MS_MAX + 1000);
	check_told(channel, ANN, 0, 0);
	case_end();
}

/* S37 */
static void a_home_that_forgets_is_told(uint64_t seed, bool forgets)
{
	case_begin(seed, LONG, 1);
	arrives(0, 0, ANN, LONG);
	run(1000);
	check_told(LONG, ANN, 1, 0);
	corrupt(LONG, 0, forgets ? slice_string(users[ANN]) : SLICE("z"), forgets);
	run(PRESENCE_AUDIT_MS + 2 * SYNC_ASK_MS + 500);
	const struct presence *presence = presence_on(1, LONG);
	struct hub *hub = hub_of(1, log_of_channel(LONG)->slot);
	uint64_t ann = hash_bytes(&hub->options.hash_key, slice_string(users[ANN]));
	uint64_t ghost = hash_bytes(&hub->options.hash_key, SLICE("z"));
	CHECK(occupants_counted(&presence->occupants, WORKERS_MAX, ann) == 1);
	CHECK(occupants_counted(&presence->occupants, WORKERS_MAX, ghost) == 0);
	run(25000);
	check_told(LONG, ANN, 0, 0);
	check_told(LONG, USERS, !forgets, !forgets);
	case_end();
}

/* Invented for a node where nobody is, and that asks nothing. */
static void who_has_nobody_is_told(uint64_t seed)
{
	case_begin(seed, LONG, 1);
	client_close(&clients[FIRST_WATCHER], PARTING_LEFT);
	run(25000);
	corrupt(LONG, 0, SLICE("z"), false);
	run(2 * PRESENCE_AUDIT_MS + 2 * SYNC_ASK_MS + 500);
	struct hub *hub = hub_of(1, log_of_channel(LONG)->slot);
	uint64_t ghost = hash_bytes(&hub->options.hash_key, SLICE("z"));
	CHECK(occupants_counted(&presence_on(1, LONG)->occupants, WORKERS_MAX, ghost) == 0);
	case_end();
}

/* Who watches on node 1 is shown somebody who came and goes before that was news. */
static void what_was_taken_back_is_shown_anew(uint64_t seed)
{
	case_begin(seed, FULL, 2);
	client_close(&clients[FIRST_WATCHER + 1], PARTING_LEFT);
	run(1000);
	arrives(1, 2, BOB, FULL); /* the next news waits for its interval */
	run(40);
	arrives(0, 2, ANN, FULL);
	client_open(&clients[FIRST_WATCHER + 1], 1, WIM);
	client_subscribe(&clients[FIRST_WATCHER + 1], FULL, true);
	struct following *following = &clients[FIRST_WATCHER + 1].following[FULL];
	for (int i = 0; i < 40 && !following->was_shown; i++)
		turn();
	seen.taken_back += following->has[ANN] && following->joined[ANN] == 0;
	client_close(&clients[0], PARTING_LEFT);
	run(2000);
	CHECK(!following->has[ANN]);
	case_end();
}

/* The next piece of news for node 1 is lost. */
static void who_has_missed_news_is_shown_all(uint64_t seed)
{
	case_begin(seed, FULL, 2);
	arrives(0, 0, ANN, FULL);
	struct link *link = &world.links[2][1];
	struct frame_under_way **at = &link->first;
	for (int i = 0; i < 400 && *at == NULL; i++) {
		turn();
		for (at = &link->first; *at != NULL && (*at)->kind != FAR_NEWS;)
			at = &(*at)->next;
	}
	struct frame_under_way *lost = *at;
	CHECK(lost != NULL);
	*at = lost->next;
	if (link->last == &lost->next)
		link->last = at;
	free(lost->body.at);
	free(lost);
	run(1000);
	struct following *following = &clients[FIRST_WATCHER + 1].following[FULL];
	CHECK(!following->has[ANN]);
	arrives(1, 0, BOB, FULL);
	run(1000);
	CHECK(following->has[ANN] && following->has[BOB]);
	case_end();
}

/* They are found dead, and meet again while they are expected back, or after that. */
static void sides_part_and_meet(uint64_t seed, uint32_t home, bool is_long)
{
	case_begin(seed, FULL, home);
	arrives(0, 0, ANN, FULL);
	arrives(1, 2, BOB, FULL);
	arrives(2, 0, CID, FULL);
	arrives(3, 2, DAN, FULL);
	arrives(4, 2, FAY, FULL);
	run(1000);
	for (uint32_t user = 0; user < USERS; user++)
		check_sides(user, user == WIM || user == EVE || user > FAY ? "" : "j",
		            user == WIM || user == EVE || user > FAY ? "" : "j");
	world.winners = 1u << 0 | 1u << 1; /* they are more */
	split_begin(1u << 2, is_long ? 40000 : 9000);
	while (!world.has_parted)
		turn();
	run(below(2000));                        /* there is a home on the other side, or not yet */
	client_close(&clients[2], PARTING_LEFT); /* CID */
	client_close(&clients[3], PARTING_LEFT); /* DAN */
	arrives(5, 2, EVE, FULL);
	client_close(&clients[4], PARTING_LOST); /* FAY goes to the other side */
	arrives(6, 1, FAY, FULL);
	if (is_long) {
		run(30000);
		check_sides(ANN, "", "l");
		check_sides(BOB, "l", "");
		check_sides(CID, "l", "l");
		check_sides(DAN, "l", "l");
		check_sides(EVE, "", "j");
		check_sides(FAY, "", "l");
	}
	run(20000);
	CHECK(world.side == 0);
	check_sides(ANN, "", is_long ? "j" : "");
	check_sides(BOB, is_long ? "j" : "", "");
	check_sides(CID, is_long ? "" : "l", is_long ? "" : "l");
	check_sides(DAN, is_long ? "" : "l", is_long ? "" : "l");
	check_sides(EVE, "j", is_long ? "" : "j");
	CHECK(clients[FIRST_WATCHER].following[FULL].has[FAY]);
	check_told_at(0, FULL, FAY, "");
	check_told_at(1, FULL, FAY, "");
	case_end();
}

static void run_cases(void)
{
	printf("presence: who is back in time, through whatever node, was never away\n");
	for (uint64_t seed = 0; seed < 6; seed++)
		who_is_back_in_time_was_never_away(seed, (uint32_t)seed % 3);
	printf("presence: of who died with his node it is told once, unless he is back\n");
	for (uint64_t seed = 0; seed < 4; seed++)
		an_edge_dies(seed, 2);
	printf("presence: so it is when the home dies with it\n");
	for (uint64_t seed = 0; seed < 8; seed++)
		an_edge_dies(seed, 0);
	printf("presence: and where the next home has not been shown who is there\n");
	for (uint64_t seed = 0; seed < 8; seed++)
		he_died_with_the_home(seed);
	CHECK(seen.expected > 0);
	printf("presence: a report that comes late undoes nothing\n");
	for (uint64_t seed = 0; seed < 4; seed++)
		a_late_report_undoes_nothing(seed);
	printf("presence: whose polls are answered at once is there\n");
	for (uint64_t seed = 0; seed < 9; seed++)
		who_is_answered_at_once_is_present(seed, (uint32_t)seed % 3);
	printf("presence: what was shown and then taken back is shown anew\n");
	for (uint64_t seed = 0; seed < 12; seed++)
		what_was_taken_back_is_shown_anew(seed);
	CHECK(seen.taken_back > 0);
	printf("presence: who has missed news is shown all\n");
	for (uint64_t seed = 0; seed < 4; seed++)
		who_has_missed_news_is_shown_all(seed);
	printf("presence: sides that part and meet tell once who left, and of all who are there\n");
	for (uint64_t seed = 0; seed < 24; seed++)
		sides_part_and_meet(seed, (uint32_t)seed % 3, seed >= 12);
	printf("presence: a home that was nowhere for a moment is told anew\n");
	for (uint64_t seed = 0; seed < 12; seed++)
		a_home_that_pauses_is_told_anew(seed, seed % 2 == 0 ? FULL : LONG);
	printf("presence: a home that forgets or invents somebody is told\n");
	for (uint64_t seed = 0; seed < 8; seed++)
		a_home_that_forgets_is_told(seed, seed % 2 == 0);
	printf("presence: so it is where a node has nobody, and does not ask\n");
	for (uint64_t seed = 0; seed < 4; seed++)
		who_has_nobody_is_told(seed);
}

/* That it came to pass at all, in some seed: a simulation that never goes there proves nothing. */
static void seen_check(void)
{
	CHECK(seen.joined > 0 && seen.left > 0 && seen.lists > 0 && seen.numbers > 0);
	CHECK(seen.returns > 0 && seen.crashes > 0 && seen.short_of > 0);
	CHECK(seen.forgotten > 0 && seen.invented > 0 && seen.repaired > 0);
	CHECK(seen.cuts > 0 && seen.breaks > 0 && seen.moves > 0);
	CHECK(seen.halfway_told > 1000 && seen.halfway_audited > 1000);
	CHECK(seen.partings > 0 && seen.others > 0 && seen.told_apart > 0);
	CHECK(seen.misled > 0);
	/* Without those that break one link. */
	uint64_t hard = seen.crashes + seen.restarts + seen.cuts + seen.splits;
	printf("presence: no ghost in any of %llu quiet worlds, after %llu ends of nodes, %llu "
	       "restarts,"
	       " %llu partitions and %llu in which nodes were found dead, %llu broken links and "
	       "%llu moves of homes\n",
	       (unsigned long long)seen.looked_at, (unsigned long long)seen.crashes,
	       (unsigned long long)seen.restarts,
	       (unsigned long long)(seen.cuts + seen.splits - seen.partings),
	       (unsigned long long)seen.partings, (unsigned long long)seen.breaks,
	       (unsigned long long)seen.moves);
	CHECK(hard >= 1000);
}

int main(int argc, char **argv)
{
	struct seeds seeds = seeds_begin(argc, argv, SEEDS_DEFAULT);
	for (uint32_t i = 0; i < USERS; i++) {
		users[i][0] = (char)('a' + i);
		struct claims_content content = {.user = slice_string(users[i]),
		                                 .info = i % 2 == 0 ? SLICE("{}")
		                                                    : slice_of(NULL, 0),
		                                 .expires_unix_ms = CLAIMS_NEVER};
		claims[i] = claims_make(&content);
		CHECK(claims[i] != NULL);
	}
	if (seeds.first == 0)
		run_cases();
	for (uint64_t i = 0; i < seeds.count; i++) {
		if (i < COUNT_OF(scenarios))
			printf("presence: %s\n",
			       scenarios[(seeds.first + i) % COUNT_OF(scenarios)].name);
		world_run(seeds.first + i);
	}
	if (seeds.count >= SEEDS_DEFAULT)
		seen_check();
	for (uint32_t i = 0; i < USERS; i++)
		claims_free(claims[i]);
	return 0;
}
