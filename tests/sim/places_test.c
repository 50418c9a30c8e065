/*
 * The places of a few users on several nodes, in one thread and from a seed: connections come and
 * go, frames take their time, homes change and are told of at other times on each node, nodes die
 * and start anew, and now and then there is no memory: for a frame, or for what came with one. As
 * long as all that live hear each other no user ever has more connections than may be. With
 * partitions it may for a while, and with a node of a release that counts no places. In each case
 * nobody waits for longer than PLACES_WAIT_MS, and once it is quiet who may come in does, and
 * nobody else; no dead node's connections count.
 */
#include <stdlib.h>

#include "base/random.h"
#include "node/places.h"

#include "../failing.h"
#include "seeds.h"

#define NODES 4
#define USERS 3 /* below 8 */
#define CLIENTS 200
#define FRAMES_MAX 8192
#define STEP_MS 5
#define DETECT_MS 2000 /* a partition is found so late */

struct client {
	enum { OUT = 0, ASKS, IN } state;
	uint32_t node, user, life;
	bool is_away; /* it has left while it asked */
	uint64_t asked_ms;
	struct slab_handle place;
};

struct frame_sent {
	uint64_t at_ms;
	enum frame_type type;
	uint16_t slot;
	struct buf body;
};

static struct link {
	bool is_up, is_cut; /* as both find it, and as it is */
	uint64_t cut_ms;
	struct frame_sent frames[FRAMES_MAX];
	size_t first, count;
} links[NODES][NODES];

static struct node {
	struct places_out out;
	struct places places;
	bool is_alive, is_old;
	uint32_t number, life;
	uint16_t told[USERS];    /* home of each user's slot, by what it was told */
	uint64_t told_ms[USERS]; /* when it will be told of another one */
	uint32_t wanted[USERS];
} nodes[NODES];

static struct client clients[CLIENTS];
static struct tally_key keys[USERS];
static uint32_t limits[USERS];
static uint32_t homes[USERS]; /* who ought to be it */
static struct random rng;
static uint64_t now_ms;
static bool may_exceed; /* for a while, what may be */
static bool may_cut;    /* links */
static uint32_t loss;   /* of so many frames one */
static bool is_calm;
static bool has_an_old; /* the last node is of a release that counts no places */
static struct {
	uint64_t in, refused, kills, moves, cuts, unanswered, without_room, lost, starved;
} seen;

static uint32_t below(uint32_t bound)
{
	return random_below(&rng, bound);
}

/* ---- what places ask ---- */

static bool out_has_room(struct places_out *out)
{
	(void)out;
	bool has_room = below(20) > 0;
	seen.without_room += !has_room;
	return has_room;
}

static bool out_send(struct places_out *out, uint32_t to, enum frame_type type, uint16_t slot,
                     const struct buf *body)
{
	struct node *node = CONTAINER_OF(out, struct node, out);
	struct link *link = &links[node->number][to];
	CHECK(!body->is_broken);
	CHECK(!nodes[to].is_old); /* it would end the link */
	if (!link->is_up)
		return true;
	CHECK(link->count < FRAMES_MAX);
	if (below(loss) == 0) {
		seen.lost++;
		return false;
	}
	uint64_t at_ms = now_ms + 1 + below(60);
	if (link->count > 0) {
		size_t last = (link->first + link->count - 1) % FRAMES_MAX;
		if (link->frames[last].at_ms > at_ms)
			at_ms = link->frames[last].at_ms;
	}
	struct frame_sent *frame = &link->frames[(link->first + link->count++) % FRAMES_MAX];
	*frame = (struct frame_sent){.at_ms = at_ms, .type = type, .slot = slot};
	buf_slice(&frame->body, buf_view(body));
	CHECK(!frame->body.is_broken);
	return true;
}

static void out_answer(struct places_out *out, const struct places_asker *asker,
                       enum tally_answer answer, struct slab_handle place)
{
	struct node *node = CONTAINER_OF(out, struct node, out);
	struct client *client = &clients[asker->seat.index];
	CHECK(client->state == ASKS && client->node == node->number);
	CHECK(answer == TALLY_TAKEN || answer == TALLY_FULL);
	CHECK(now_ms - client->asked_ms <= PLACES_WAIT_MS + 50 * STEP_MS); /* rooms are rare */
	client->state = answer == TALLY_TAKEN ? IN : OUT;
	client->place = place;
	seen.in += answer == TALLY_TAKEN;
	seen.refused += answer == TALLY_FULL;
	if (client->state == IN && client->is_away) {
		places_give(&node->places, place);
		client->state = OUT;
	}
}

/* ---- nodes ---- */

static void link_drop(struct link *link)
{
	for (; link->count > 0; link->count--) {
		buf_free(&link->frames[link->first].body);
		link->first = (link->first + 1) % FRAMES_MAX;
	}
	link->is_up = false;
}

static void link_up(uint32_t a, uint32_t b)
{
	links[a][b].is_up = links[b][a].is_up = true;
	if (!nodes[a].is_old)
		places_node_up(&nodes[a].places, b, !nodes[b].is_old);
	if (!nodes[b].is_old)
		places_node_up(&nodes[b].places, a, !nodes[a].is_old);
}

static void node_start(struct node *node)
{
	struct places_options options = {.out = &node->out,
	                                 .hash_key = {{below(1000), node->number}},
	                                 .workers = 1,
	                                 .now_ms = now_ms};
	node->out = (struct places_out){
		.has_room = out_has_room, .send = out_send, .answer = out_answer};
	CHECK(places_init(&node->places, &options));
	places_use(&node->places);
	node->is_alive = true;
	node->is_old = has_an_old && node->number == NODES - 1;
	node->life++;
	for (uint32_t i = 0; i < USERS; i++) {
		node->told[i] = NODES;
		node->wanted[i] = homes[i];
		node->told_ms[i] = now_ms + below(100);
	}
	for (uint32_t i = 0; i < NODES; i++)
		if (i != node->number && nodes[i].is_alive && !links[node->number][i].is_cut)
			link_up(node->number, i);
}

static void node_kill(struct node *node)
{
	node->is_alive = false;
	places_free(&node->places);
	for (uint32_t i = 0; i < NODES; i++) {
		if (i == node->number)
			continue;
		bool was_up = links[i][node->number].is_up;
		link_drop(&links[node->number][i]);
		link_drop(&links[i][node->number]);
		if (!nodes[i].is_alive || nodes[i].is_old)
			continue;
		if (was_up)
			places_node_down(&nodes[i].places, node->number);
		places_node_gone(&nodes[i].places, node->number);
	}
	for (uint32_t i = 0; i < CLIENTS; i++)
		if (clients[i].node == node->number)
			clients[i].state = OUT;
}

static uint32_t some_node(void)
{
	uint32_t number = below(NODES);
	while (!nodes[number].is_alive)
		number = (number + 1) % NODES;
	return number;
}

/* The one that is old may be home, but clients come to others. */
static bool is_counting(const struct node *node)
{
	return node->is_alive && !node->is_old;
}

/* As each side of a partition does: who cannot hear it has another home. */
static bool hears(uint32_t a, uint32_t b)
{
	return a == b || (nodes[b].is_alive && links[a][b].is_up);
}

static void want_home(struct node *node, uint32_t user)
{
	uint32_t home = homes[user];
	for (uint32_t i = 0; !hears(node->number, home) && i < NODES; i++)
		home = i;
	if (node->wanted[user] == home)
		return;
	node->wanted[user] = home;
	node->told_ms[user] = now_ms + below(300);
}

/* For a while, and then the same or another one. */
static void tell_none(struct node *node, uint32_t user)
{
	places_role(&node->places, edge_user_slot(&keys[user]), HOME_NOWHERE, 0);
	node->told[user] = NODES;
	node->told_ms[user] = now_ms + below(300);
}

static void tell_homes(struct node *node)
{
	for (uint32_t i = 0; i < USERS; i++) {
		want_home(node, i);
		if (!is_calm && node->told[i] != NODES && below(400) == 0)
			tell_none(node, i);
		if (node->told[i] == node->wanted[i] || now_ms < node->told_ms[i])
			continue;
		uint16_t slot = edge_user_slot(&keys[i]);
		if (below(4) == 0) /* nowhere for no time at all */
			places_role(&node->places, slot, HOME_NOWHERE, 0);
		node->told[i] = (uint16_t)node->wanted[i];
		places_role(&node->places, slot,
		            node->told[i] == node->number ? HOME_HERE : HOME_ELSEWHERE,
		            node->told[i]);
	}
}

/* ---- the world ---- */

static void starve(void)
{
	if (!is_calm && below(10) == 0)
		failing_arm(1 + below(2), FAILING_ONE);
}

static void deliver(uint32_t from, uint32_t to)
{
	struct link *link = &links[from][to];
	while (!link->is_cut && link->count > 0 && link->frames[link->first].at_ms <= now_ms) {
		struct frame_sent frame = link->frames[link->first];
		link->first = (link->first + 1) % FRAMES_MAX;
		link->count--;
		if (nodes[to].is_alive) {
			starve();
			CHECK(places_take(&nodes[to].places, from, frame.type, frame.slot,
			                  buf_view(&frame.body)));
			seen.starved += failing_disarm();
		}
		buf_free(&frame.body);
	}
}

static uint32_t count_in(uint32_t user)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < CLIENTS; i++)
		count += clients[i].state == IN && clients[i].user == user;
	return count;
}

static void find_cuts(void)
{
	for (uint32_t a = 0; a < NODES; a++) {
		for (uint32_t b = 0; b < a; b++) {
			struct link *link = &links[a][b];
			bool both = nodes[a].is_alive && nodes[b].is_alive;
			if (both && link->is_cut && link->is_up &&
			    now_ms - link->cut_ms > DETECT_MS) {
				link_drop(link);
				link_drop(&links[b][a]);
				places_node_down(&nodes[a].places, b);
				places_node_down(&nodes[b].places, a);
				places_node_gone(&nodes[a].places, b);
				places_node_gone(&nodes[b].places, a);
			} else if (both && !link->is_cut && !link->is_up) {
				link_up(a, b);
			}
		}
	}
}

static void step(void)
{
	now_ms += STEP_MS;
	find_cuts();
	for (uint32_t i = 0; i < NODES; i++)
		for (uint32_t j = 0; j < NODES; j++)
			deliver(i, j);
	for (uint32_t i = 0; i < NODES; i++) {
		struct node *node = &nodes[i];
		if (!is_counting(node))
			continue;
		tell_homes(node);
		if (now_ms % (10 * STEP_MS) == 0)
			places_tick(&node->places, now_ms);
		for (int turns = 0; turns < 3; turns++)
			(void)places_turn(&node->places, now_ms);
	}
	for (uint32_t i = 0; !may_exceed && i < USERS; i++)
		CHECK(count_in(i) <= limits[i]);
}

static struct client *come(uint32_t node, uint32_t user)
{
	uint32_t i = below(CLIENTS);
	for (uint32_t tries = 0; clients[i].state != OUT; tries++, i = (i + 1) % CLIENTS)
		CHECK(tries < CLIENTS);
	struct client *client = &clients[i];
	*client = (struct client){.state = ASKS, .node = node, .user = user, .asked_ms = now_ms};
	struct places_asker asker = {.seat = {.index = i, .generation = 1}};
	CHECK(places_ask(&nodes[node].places, &keys[user], limits[user], &asker));
	return client;
}

static void go(struct client *client)
{
	if (client->state == IN) {
		places_give(&nodes[client->node].places, client->place);
		client->state = OUT;
	}
	client->is_away = client->state == ASKS;
}

static void cut_or_heal(void)
{
	bool heals = below(2) == 0;
	uint32_t side = 1 + below((1u << NODES) - 2);
	seen.cuts += !heals;
	for (uint32_t a = 0; a < NODES; a++) {
		for (uint32_t b = 0; b < NODES; b++) {
			bool is_cut = !heals && (side >> a & 1) != (side >> b & 1);
			if (is_cut && !links[a][b].is_cut)
				links[a][b].cut_ms = now_ms;
			links[a][b].is_cut = is_cut;
		}
	}
}

static void fault(void)
{
	uint32_t number = some_node(), alive = 0;
	switch (below(may_cut ? 4 : 3)) {
	case 0:
		homes[below(USERS)] = number;
		seen.moves++;
		break;
	case 1:
		for (uint32_t i = 0; i < NODES; i++)
			alive += nodes[i].is_alive;
		if (alive == 1)
			break;
		node_kill(&nodes[number]);
		for (uint32_t i = 0; i < USERS; i++)
			homes[i] = homes[i] == number ? some_node() : homes[i];
		seen.kills++;
		break;
	case 2:
		number = below(NODES);
		if (!nodes[number].is_alive)
			node_start(&nodes[number]);
		break;
	default:
		cut_or_heal();
	}
}

static void live(void)
{
	uint32_t node = some_node();
	if (below(3) == 0 && !nodes[node].is_old)
		(void)come(node, below(USERS));
	for (int i = 0; i < 2; i++)
		if (below(4) == 0)
			go(&clients[below(CLIENTS)]);
	if (below(100) == 0)
		fault();
	step();
}

static void pass(uint64_t ms)
{
	for (uint64_t until_ms = now_ms + ms; now_ms < until_ms;)
		step();
}

/* One after the other, on any node: in while there is a place, and then refused. */
static void fill(uint32_t user)
{
	while (count_in(user) > limits[user]) { /* after a partition */
		for (uint32_t i = 0; i < CLIENTS; i++)
			if (clients[i].user == user && below(2) == 0)
				go(&clients[i]);
		pass(300);
	}
	for (uint32_t i = 0; i < 2 + limits[user]; i++) {
		bool is_free = count_in(user) < limits[user];
		struct client *client = come(some_node(), user);
		pass(500);
		CHECK(client->state == (is_free ? IN : OUT));
	}
	CHECK(count_in(user) == limits[user]);
}

static void upgrade(struct node *node)
{
	has_an_old = false;
	if (node->is_alive)
		node_kill(node);
	node_start(node);
}

static void run(uint64_t seed)
{
	rng.state = seed;
	now_ms = 1000000;
	for (uint32_t i = 0; i < USERS; i++) {
		keys[i] = (struct tally_key){{random_next(&rng), random_next(&rng)}};
		keys[i].word[0] -= keys[i].word[0] % 8 - i; /* so that each has a slot of its own */
		limits[i] = 1 + below(5);
		homes[i] = below(NODES);
	}
	for (uint32_t i = 0; i < NODES; i++) {
		nodes[i] = (struct node){.number = i};
		node_start(&nodes[i]);
	}
	is_calm = false;
	loss = below(4) == 0 ? 3 : 30;
	for (int i = 0; i < 2000; i++)
		live();
	is_calm = true;
	loss = 30;
	for (uint32_t a = 0; a < NODES; a++)
		for (uint32_t b = 0; b < NODES; b++)
			links[a][b].is_cut = false;
	if (has_an_old)
		upgrade(&nodes[NODES - 1]);
	pass(DETECT_MS + PLACES_WAIT_MS + PLACES_SETTLE_MS);
	for (uint32_t i = 0; i < USERS; i++)
		fill(i);
	for (uint32_t i = 0; i < NODES; i++) {
		seen.unanswered += nodes[i].is_alive ? nodes[i].places.counters.unanswered : 0;
		if (nodes[i].is_alive)
			node_kill(&nodes[i]);
	}
	memset(clients, 0, sizeof(clients));
}

int main(int argc, char **argv)
{
	static const char *const scenarios[] = {"places: no partitions", "places: partitions too",
	                                        "places: a node that counts none"};
	struct seeds seeds = seeds_begin(argc, argv, 300);
	for (int i = 0; i < 3; i++) {
		seeded.scenario = scenarios[i];
		may_exceed = i > 0;
		may_cut = i == 1;
		for (uint64_t seed = 0; seed < seeds.count; seed++) {
			has_an_old = i == 2;
			seeded.seed = seeds.first + seed;
			run(seeded.seed);
		}
	}
	if (seeds.count >= 100) {
		CHECK(seen.in > 0 && seen.refused > 0 && seen.kills > 0 && seen.moves > 0);
		CHECK(seen.cuts > 0 && seen.unanswered > 0 && seen.without_room > 0);
		CHECK(seen.lost > 0 && seen.starved > 0);
	}
	printf("places: never more than may be where all that live hear each other\n");
	printf("places: nobody waits for ever, and in the end who may come in does\n");
	printf("places: of %llu seeds: %llu in, %llu refused, %llu judged alone; %llu nodes died,"
	       " %llu homes changed, %llu partitions, %llu frames lost and %llu reports\n",
	       (unsigned long long)(3 * seeds.count), (unsigned long long)seen.in,
	       (unsigned long long)seen.refused, (unsigned long long)seen.unanswered,
	       (unsigned long long)seen.kills, (unsigned long long)seen.moves,
	       (unsigned long long)seen.cuts, (unsigned long long)seen.lost,
	       (unsigned long long)seen.starved);
	return 0;
}
