/*
 * slot_world.h - nodes with slots, the network between them and publishers on each, in one thread
 * and virtual time; and a witness that knows all that was ever committed or acknowledged.
 *
 * The slots are those that are shipped. Membership is a stand-in: who is silent for two seconds is
 * dead, at another moment for each viewer; who was killed is known to be gone when its machine can
 * be reached; who is heard again lives again within a second. The network loses, repeats and delays
 * frames one by one, which TCP does not. Of each slot the application is a list of numbers, each
 * published once.
 *
 * What the witness holds the slots to, at each step:
 *   I1  at one place of one stream all nodes apply the same entry
 *   I2  what was acknowledged in a stream is in the log of each later home of it
 *   I5  a number is applied once in a list, and acknowledged at one place of a stream
 *   I6, I8  of two homes of a stream the later one has what the earlier one acknowledges
 *   I12 windows, pulls and moves are bounded
 * and world_check_quiet() at the end: I10, one home whose replicas hold what it holds, where it is
 * wanted, and nothing that was acknowledged is missing without another stream telling so.
 *
 * Threads:   one.
 * Ownership: the world owns all of it, till world_free().
 * Limits:    as below. All chance comes from one seed: a run can be repeated.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "mesh/slots_state.h"

#define NODES_MAX 9
#define BOOTS_MAX 24
#define SLOTS_HERE_MAX 8
#define IDS_MAX 16384
#define STREAMS_MAX 256
#define PART_IDS 16 /* in a part of a state */
#define DEAD_MS 2000
#define LOST_MS 3000 /* a link over which nothing comes */
#define NEVER UINT64_MAX

struct world;

/* What the application of a slot holds: numbers by their place, 0 where nothing is known. */
struct list_of {
	uint32_t *ids;
	uint32_t *places; /* by number: IDS_MAX; NULL while it is empty */
	uint64_t count, room;
};

struct view {          /* of one node by another */
	uint64_t boot; /* that is known; 0: none */
	uint64_t heard_ms, dead_after_ms, redial_ms;
	enum slots_member_state state;
	bool is_linked;
};

struct node {
	struct world *world;
	uint32_t number;
	uint64_t boots;
	bool is_up, is_draining;
	uint64_t started_ms, paused_until_ms, ticked_ms;
	struct slots_out out;
	struct slots *slots;
	struct view views[NODES_MAX];
	struct list_of lists[SLOTS_HERE_MAX];
	uint32_t parts_saved;
	uint32_t in_flight[SLOTS_HERE_MAX][512]; /* proposed here and not yet applied */
	uint32_t in_flight_count[SLOTS_HERE_MAX];
	uint32_t last_in_flight[SLOTS_HERE_MAX];  /* that was proposed */
	uint32_t behind[SLOTS_HERE_MAX][IDS_MAX]; /* which one it was proposed behind; 0: none */
	bool is_home[SLOTS_HERE_MAX];             /* as it was told */
	struct slot_term told_stream[SLOTS_HERE_MAX];
	uint64_t publish_ms;
};

/* A number on its way: from the node where it is published until it is acknowledged there. */
struct published {
	uint32_t node, slot;
	uint64_t boot;
	uint64_t asked_ms, since_ms;
	bool is_pending, is_acked;
	uint64_t acked_ms;
	uint32_t stream; /* acknowledged in which, at which place */
	uint64_t lsn;
};

struct stream {
	uint32_t slot;
	struct slot_term term;
	struct list_of committed;
	struct slot_term highest; /* the highest term that anybody was home in */
};

enum event_kind {
	EVENT_TICK = 0,
	EVENT_FRAME,
	EVENT_ASK, /* publish this */
	EVENT_ACK,
};

struct event {
	uint64_t at_ms, order;
	enum event_kind kind;
	uint32_t from, to, slot, id;
	uint64_t from_boot, to_boot;
	enum frame_type type;
	struct blob *body;
};

struct world;
/* Sees each frame before it is sent; true: it does not arrive. */
typedef bool meddle_fn(struct world *world, uint32_t from, uint32_t to, enum frame_type type,
                       uint32_t slot);

struct world {
	uint64_t now_ms, order, seed;
	uint32_t count, slot_count;
	uint32_t replicas; /* of a node that is started from now on */
	enum slots_partition partition;
	struct random random;
	uint32_t delay_ms, loss, twice; /* of 10000 frames */
	uint32_t slow_ms[NODES_MAX][NODES_MAX];
	bool cut[NODES_MAX][NODES_MAX];
	uint64_t there_ms[NODES_MAX][NODES_MAX];
	struct node nodes[NODES_MAX];
	struct event *events;
	size_t event_count, event_room;
	struct published ids[IDS_MAX];
	uint32_t id_count, first_pending; /* those before it are done with */
	struct stream streams[STREAMS_MAX];
	uint32_t stream_count;
	uint32_t publish_every_ms; /* 0: nobody publishes */
	uint32_t entry_bytes;      /* beside its number */
	uint64_t acked, gave_up, pause_max_ms;
	struct slots_counters sum; /* of those that ended */
	bool prints;
	meddle_fn *meddle;
	uint32_t steps;  /* its own */
	uint32_t doomed; /* dies after what happens now: its number and one; nothing of it gets out
	                  */
	uint64_t left_ms[SLOTS_HERE_MAX]; /* when a home was there last; 0: there is one */
	uint32_t repeats;                 /* of 100 publications go through a second node, too */
};

/* ---- words ---- */

static struct boot_id boot_of(uint32_t number, uint64_t boots)
{
	return (struct boot_id){{0x5741 + number * 7919u, boots}};
}

static struct node *node_of_boot(struct world *world, struct boot_id boot)
{
	for (uint32_t i = 0; i < world->count; i++) {
		if (boot_of(i, 0).word[0] == boot.word[0])
			return &world->nodes[i];
	}
	CHECK(false);
	return NULL;
}

#define SAY(world, node, ...)                                                                      \
	do {                                                                                       \
		if ((world)->prints) {                                                             \
			printf("%8llu n%u/%llu ", (unsigned long long)(world)->now_ms,             \
			       (node)->number, (unsigned long long)(node)->boots);                 \
			printf(__VA_ARGS__);                                                       \
			printf("\n");                                                              \
		}                                                                                  \
	} while (0)

static const char *term_text(const struct slot_term *term)
{
	static char text[8][40];
	static unsigned next;
	char *at = text[next++ % COUNT_OF(text)];
	snprintf(at, sizeof(text[0]), "%llu@n%llu/%llu", (unsigned long long)term->counter,
	         (unsigned long long)((term->boot.word[0] - 0x5741) / 7919),
	         (unsigned long long)term->boot.word[1]);
	return at;
}

static void set_print(const struct slot_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		printf(" n%llu/%llu", (unsigned long long)((set->at[i].word[0] - 0x5741) / 7919),
		       (unsigned long long)set->at[i].word[1]);
}

/* ---- lists ---- */

static void list_put(struct list_of *list, uint64_t lsn, uint32_t id)
{
	if (lsn >= list->room) {
		uint64_t room = 2 * lsn + 64;
		list->ids = realloc(list->ids, room * sizeof(*list->ids));
		CHECK(list->ids != NULL);
		memset(list->ids + list->room, 0, (room - list->room) * sizeof(*list->ids));
		list->room = room;
	}
	list->ids[lsn] = id;
	if (list->places == NULL)
		list->places = calloc(IDS_MAX, sizeof(*list->places));
	CHECK(list->places != NULL);
	list->places[id] = (uint32_t)lsn;
	if (lsn >= list->count)
		list->count = lsn + 1;
}

static void list_clear(struct list_of *list)
{
	free(list->ids);
	free(list->places);
	*list = (struct list_of){0};
}

static uint64_t list_find(const struct list_of *list, uint32_t id) /* 0: it has it not */
{
	return list->places == NULL ? 0 : list->places[id];
}

/* ---- what will happen ---- */

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void plan(struct world *world, struct event event)
{
	if (world->event_count == world->event_room) {
		world->event_room = world->event_room == 0 ? 1024 : 2 * world->event_room;
		world->events = realloc(world->events, world->event_room * sizeof(*world->events));
		CHECK(world->events != NULL);
	}
	event.order = world->order++;
	struct event *events = world->events;
	size_t i = world->event_count++;
	for (; i > 0 && is_before(&event, &events[(i - 1) / 2]); i = (i - 1) / 2)
		events[i] = events[(i - 1) / 2];
	events[i] = event;
}

static struct event take_first(struct world *world)
{
	struct event *events = world->events, first = events[0];
	size_t count = --world->event_count, i = 0, child;
	const struct event last = events[count];
	for (; (child = 2 * i + 1) < count; i = child) {
		child += child + 1 < count && is_before(&events[child + 1], &events[child]);
		if (!is_before(&events[child], &last))
			break;
		events[i] = events[child];
	}
	events[i] = last;
	return first;
}

/* ---- the network ---- */

static bool is_open(const struct world *world, uint32_t from, uint32_t to)
{
	return !world->cut[from][to];
}

static bool is_paused(const struct world *world, const struct node *node)
{
	return node->paused_until_ms > world->now_ms;
}

static void transmit(struct world *world, struct event event)
{
	uint32_t times = 1 + (random_below(&world->random, 10000) < world->twice);
	if (!is_open(world, event.from, event.to) ||
	    random_below(&world->random, 10000) < world->loss)
		return;
	for (uint32_t i = 0; i < times; i++) {
		uint64_t at = world->now_ms + 1 + random_below(&world->random, world->delay_ms) +
		              world->slow_ms[event.from][event.to];
		uint64_t *there = &world->there_ms[event.from][event.to];
		*there = at > *there ? at : *there;
		event.at_ms = i == 0 ? *there : *there + random_below(&world->random, 50);
		if (event.body != NULL)
			blob_take(event.body);
		plan(world, event);
	}
}

/* ---- the witness ---- */

static uint32_t stream_of(struct world *world, uint32_t slot, const struct slot_term *term)
{
	for (uint32_t i = 0; i < world->stream_count; i++) {
		if (world->streams[i].slot == slot &&
		    slot_term_equals(&world->streams[i].term, term))
			return i;
	}
	CHECK(world->stream_count < STREAMS_MAX);
	world->streams[world->stream_count] = (struct stream){.slot = slot, .term = *term};
	return world->stream_count++;
}

static void witness_apply(struct world *world, uint32_t stream, uint64_t lsn, uint32_t id)
{
	struct list_of *committed = &world->streams[stream].committed;
	if (lsn < committed->count && committed->ids[lsn] != 0)
		CHECK(committed->ids[lsn] == id); /* I1 */
	else
		list_put(committed, lsn, id);
}

static const struct slot *slot_in(const struct node *node, uint32_t slot)
{
	return &node->slots->slot[slot];
}

static void witness_ack(struct world *world, const struct node *node, uint32_t slot, uint32_t id,
                        uint32_t stream, uint64_t lsn)
{
	struct published *published = &world->ids[id];
	if (published->is_acked) {
		CHECK(published->stream != stream || published->lsn == lsn); /* I5 */
		return;
	}
	published->is_acked = true;
	published->acked_ms = world->now_ms;
	published->stream = stream;
	published->lsn = lsn;
	world->acked++;
	/* I6, I8: whoever is home in a higher term of the stream has it. */
	for (uint32_t i = 0; i < world->count; i++) {
		const struct node *other = &world->nodes[i];
		if (!other->is_up || other == node)
			continue;
		const struct slot *at = slot_in(other, slot), *own = slot_in(node, slot);
		if (at->lead == NULL || !slot_term_is_above(&at->entry.term, &own->entry.term) ||
		    !slot_term_equals(&at->entry.stream, &world->streams[stream].term))
			continue;
		CHECK(lsn < other->lists[slot].count && other->lists[slot].ids[lsn] == id);
	}
}

/* I2 */
static void witness_home(struct world *world, const struct node *node, uint32_t slot)
{
	const struct slot *at = slot_in(node, slot);
	uint32_t stream = stream_of(world, slot, &at->entry.stream);
	struct slot_term *highest = &world->streams[stream].highest;
	if (!slot_term_is_above(&at->entry.term, highest))
		return; /* it was cut off, and does not know yet that there is another one */
	*highest = at->entry.term;
	const struct list_of *list = &node->lists[slot];
	for (uint32_t id = 1; id < world->id_count; id++) {
		const struct published *published = &world->ids[id];
		if (!published->is_acked || published->slot != slot || published->stream != stream)
			continue;
		CHECK(published->lsn < list->count && list->ids[published->lsn] == id);
	}
}

/* ---- what the slots ask for ---- */

static struct node *node_of(struct slots_out *out)
{
	return CONTAINER_OF(out, struct node, out);
}

static void out_send(struct slots_out *out, const struct boot_id *to, enum frame_type type,
                     uint16_t slot, struct blob *body)
{
	struct node *node = node_of(out);
	struct world *world = node->world;
	struct node *other = node_of_boot(world, *to);
	CHECK(other != node);
	CHECK(body->len <=
	      (frame_lane_of(type) == FRAME_LANE_CONTROL ? FRAME_CONTROL_MAX : FRAME_DATA_MAX));
	if (world->doomed == node->number + 1 ||
	    (world->meddle != NULL &&
	     world->meddle(world, node->number, other->number, type, slot)))
		return;
	if (world->prints && type != FRAME_MAP_DIGEST && type != FRAME_APPEND &&
	    type != FRAME_HOLDS)
		SAY(world, node, "slot %u: %s to n%u", slot, frame_name(type), other->number);
	transmit(world, (struct event){.kind = EVENT_FRAME,
	                               .from = node->number,
	                               .to = other->number,
	                               .from_boot = node->boots,
	                               .to_boot = to->word[1],
	                               .slot = slot,
	                               .type = type,
	                               .body = body});
}

/* How long a slot was without a home, though none had died. */
static void watch_pause(struct world *world, const struct node *node, uint32_t slot, bool is_home)
{
	if (node->is_home[slot] && !is_home)
		world->left_ms[slot] = world->now_ms;
	if (!is_home || world->left_ms[slot] == 0)
		return;
	uint64_t pause = world->now_ms - world->left_ms[slot];
	world->left_ms[slot] = 0;
	world->pause_max_ms = pause > world->pause_max_ms ? pause : world->pause_max_ms;
}

static void out_role(struct slots_out *out, uint16_t slot, const struct slots_role *role)
{
	struct node *node = node_of(out);
	struct world *world = node->world;
	const struct slot *at = slot_in(node, slot);
	bool is_home = at->lead != NULL && role->place == SLOTS_HERE;
	if (world->prints) {
		static const char *const places[] = {"nowhere", "here", "there"};
		printf("%8llu n%u/%llu slot %u: home is %s, term %s, stream %s, set",
		       (unsigned long long)world->now_ms, node->number,
		       (unsigned long long)node->boots, slot, places[role->place],
		       term_text(&at->entry.term), term_text(&at->entry.stream));
		set_print(&at->entry.set);
		printf("\n");
	}
	if (is_home)
		witness_home(world, node, slot);
	watch_pause(world, node, slot, is_home);
	node->is_home[slot] = is_home;
	node->told_stream[slot] = role->stream;
}

static void forget_in_flight(struct node *node, uint32_t slot, uint32_t id)
{
	uint32_t *ids = node->in_flight[slot];
	for (uint32_t i = 0; i < node->in_flight_count[slot]; i++) {
		if (ids[i] == id) {
			ids[i] = ids[--node->in_flight_count[slot]];
			return;
		}
	}
}

static bool is_in_flight(const struct node *node, uint32_t slot, uint32_t id)
{
	for (uint32_t i = 0; i < node->in_flight_count[slot]; i++) {
		if (node->in_flight[slot][i] == id)
			return true;
	}
	return false;
}

static uint32_t id_in(struct slice bytes)
{
	uint32_t id;
	CHECK(bytes.len >= sizeof(id));
	memcpy(&id, bytes.at, sizeof(id));
	return id;
}

static void acknowledge(struct world *world, struct node *node, uint32_t slot, uint32_t id,
                        uint64_t lsn)
{
	const struct slot *at = slot_in(node, slot);
	uint32_t stream = stream_of(world, slot, &at->replica->stream);
	witness_ack(world, node, slot, id, stream, lsn);
	const struct published *published = &world->ids[id];
	struct event event = {.kind = EVENT_ACK,
	                      .from = node->number,
	                      .to = published->node,
	                      .to_boot = published->boot,
	                      .slot = slot,
	                      .id = id};
	if (published->node == node->number)
		world->ids[id].is_pending = false;
	else
		transmit(world, event);
}

static void out_apply(struct slots_out *out, uint16_t slot, uint64_t lsn, struct blob *entry,
                      uint64_t cookie)
{
	struct node *node = node_of(out);
	struct world *world = node->world;
	uint32_t id = id_in(blob_view(entry));
	struct list_of *list = &node->lists[slot];
	CHECK(list->count == 0 ? true : lsn >= list->count); /* in order */
	CHECK(list_find(list, id) == 0);                     /* I5 */
	list_put(list, lsn, id);
	forget_in_flight(node, slot, id);
	/* It says what it says after what was there when it was proposed. */
	if (cookie != 0 && lsn > 1 && list->ids[lsn - 1] != 0)
		CHECK(node->behind[slot][id] == list->ids[lsn - 1]);
	const struct replica *replica = slot_in(node, slot)->replica;
	/* It was told of which stream that is, or that the replica leaves the one it had. */
	const struct slot_term *told = &node->told_stream[slot];
	CHECK(told->counter == 0 || slot_term_equals(told, &replica->stream));
	if (replica->stream.counter != 0)
		witness_apply(world, stream_of(world, slot, &replica->stream), lsn, id);
	if (cookie != 0)
		acknowledge(world, node, slot, id, lsn);
}

static void out_refused(struct slots_out *out, uint16_t slot, struct blob *entry, uint64_t cookie)
{
	struct node *node = node_of(out);
	uint32_t id = id_in(blob_view(entry));
	CHECK(cookie == id);
	CHECK(is_in_flight(node, slot, id));
	forget_in_flight(node, slot, id);
}

/* Places and numbers, PART_IDS of them in a part. */
static struct blob *out_save(struct slots_out *out, uint16_t slot, enum slots_saved what,
                             uint64_t *at, bool *failed)
{
	(void)what;
	*failed = false;
	const struct list_of *list = &node_of(out)->lists[slot];
	uint64_t pairs[PART_IDS][2];
	size_t count = 0;
	uint64_t lsn = *at;
	for (; lsn < list->count && count < PART_IDS; lsn++) {
		if (list->ids[lsn] == 0)
			continue;
		pairs[count][0] = lsn;
		pairs[count++][1] = list->ids[lsn];
	}
	*at = lsn;
	if (count == 0)
		return NULL;
	node_of(out)->parts_saved++;
	return blob_copy(slice_of((const char *)pairs, count * sizeof(pairs[0])));
}

static bool out_restore(struct slots_out *out, uint16_t slot, struct slice part)
{
	struct list_of *list = &node_of(out)->lists[slot];
	uint64_t pair[2];
	for (; part.len > 0; part = slice_after(part, sizeof(pair))) {
		memcpy(pair, part.at, sizeof(pair));
		CHECK(pair[0] >= list->count);
		list_put(list, pair[0], (uint32_t)pair[1]);
	}
	return true;
}

static void out_clear(struct slots_out *out, uint16_t slot)
{
	list_clear(&node_of(out)->lists[slot]);
}

static bool propose(struct node *node, uint32_t slot, uint32_t id)
{
	if (node->in_flight_count[slot] == COUNT_OF(node->in_flight[0]))
		return false;
	struct blob *blob = blob_make(sizeof(id) + node->world->entry_bytes);
	CHECK(blob != NULL);
	memset(blob->bytes, 0, blob->len);
	memcpy(blob->bytes, &id, sizeof(id));
	const struct list_of *list = &node->lists[slot];
	uint32_t applied = list->count == 0 ? 0 : list->ids[list->count - 1];
	node->behind[slot][id] =
		node->in_flight_count[slot] > 0 ? node->last_in_flight[slot] : applied;
	uint32_t before = node->last_in_flight[slot];
	node->last_in_flight[slot] = id;
	node->in_flight[slot][node->in_flight_count[slot]++] = id;
	bool is_taken = slots_propose(node->slots, (uint16_t)slot, blob, id);
	if (!is_taken) {
		forget_in_flight(node, slot, id);
		node->last_in_flight[slot] = before;
	}
	blob_drop(blob);
	return is_taken;
}

static bool out_merge(struct slots_out *out, uint16_t slot, struct slice part)
{
	struct node *node = node_of(out);
	uint64_t pair[2];
	for (; part.len > 0; part = slice_after(part, sizeof(pair))) {
		memcpy(pair, part.at, sizeof(pair));
		uint32_t id = (uint32_t)pair[1];
		if (list_find(&node->lists[slot], id) != 0 || is_in_flight(node, slot, id))
			continue;
		if (!propose(node, slot, id))
			return false;
	}
	return true;
}

/* ---- members ---- */

static void listen_to(struct world *world, struct node *node, uint32_t other)
{
	struct view *view = &node->views[other];
	const struct node *subject = &world->nodes[other];
	bool is_whole = is_open(world, node->number, other) && is_open(world, other, node->number);
	bool is_heard =
		subject->is_up && is_open(world, other, node->number) && !is_paused(world, subject);
	if (view->boot != 0 && view->boot != subject->boots && is_whole && subject->is_up) {
		*view = (struct view){0}; /* another process there: the one before has ended */
	} else if (view->boot != 0 && !subject->is_up && is_whole &&
	           view->state != SLOTS_MEMBER_GONE) {
		/* Its machine says that nobody is there. */
		if (view->redial_ms == 0)
			view->redial_ms = world->now_ms + 50 + random_below(&world->random, 100);
		if (world->now_ms >= view->redial_ms) {
			view->state = SLOTS_MEMBER_GONE;
			view->is_linked = false;
		}
		return;
	}
	if (view->state == SLOTS_MEMBER_GONE)
		return;
	if (!is_heard || !is_whole) {
		uint64_t silent = world->now_ms - view->heard_ms;
		if (view->boot != 0 && silent >= view->dead_after_ms)
			view->state = SLOTS_MEMBER_DEAD;
		if (silent >= LOST_MS || (is_heard && !is_whole && silent >= LOST_MS))
			view->is_linked = false;
		view->redial_ms = 0;
		return;
	}
	bool was_away = view->boot == 0 || view->state == SLOTS_MEMBER_DEAD || !view->is_linked;
	if (was_away && view->redial_ms == 0)
		view->redial_ms = world->now_ms + 1 + random_below(&world->random, 1000);
	if (was_away && world->now_ms < view->redial_ms)
		return;
	*view = (struct view){.boot = subject->boots,
	                      .heard_ms = world->now_ms,
	                      .dead_after_ms = was_away || view->dead_after_ms == 0
	                                               ? DEAD_MS + random_below(&world->random, 300)
	                                               : view->dead_after_ms,
	                      .is_linked = true,
	                      .state = subject->is_draining ? SLOTS_MEMBER_DRAINING
	                                                    : SLOTS_MEMBER_READY};
}

static void tell_members(struct world *world, struct node *node)
{
	struct slots_member members[MEMBERS_MAX];
	size_t count = 0;
	for (uint32_t i = 0; i < world->count; i++) {
		const struct view *view = &node->views[i];
		if (i == node->number) {
			members[count++] = (struct slots_member){
				.boot = boot_of(i, node->boots),
				.state = node->is_draining ? SLOTS_MEMBER_DRAINING
			                 : world->now_ms - node->started_ms < 1200
			                         ? SLOTS_MEMBER_JOINING
			                         : SLOTS_MEMBER_READY};
		} else if (view->boot != 0) {
			members[count++] = (struct slots_member){.boot = boot_of(i, view->boot),
			                                         .state = view->state,
			                                         .is_linked = view->is_linked};
		}
		/* Those before it have ended. */
		uint64_t known = i == node->number ? node->boots : view->boot;
		for (uint64_t boot = known > 8 ? known - 8 : 1; boot < known; boot++)
			members[count++] = (struct slots_member){.boot = boot_of(i, boot),
			                                         .state = SLOTS_MEMBER_GONE};
	}
	slots_members(node->slots, members, count, world->now_ms);
}

/* ---- processes ---- */

static void start(struct world *world, uint32_t number)
{
	struct node *node = &world->nodes[number];
	CHECK(!node->is_up);
	uint64_t boots = node->boots + 1;
	*node = (struct node){.world = world,
	                      .number = number,
	                      .boots = boots,
	                      .is_up = true,
	                      .started_ms = world->now_ms,
	                      .ticked_ms = world->now_ms,
	                      .publish_ms = world->now_ms};
	node->out = (struct slots_out){.send = out_send,
	                               .role = out_role,
	                               .apply = out_apply,
	                               .refused = out_refused,
	                               .save = out_save,
	                               .restore = out_restore,
	                               .clear = out_clear,
	                               .merge = out_merge};
	struct slots_options options = {.out = &node->out,
	                                .boot = boot_of(number, boots),
	                                .count = world->slot_count,
	                                .workers = 1,
	                                .replicas = world->replicas,
	                                .partition = world->partition,
	                                .now_ms = world->now_ms,
	                                .seed = random_next(&world->random)};
	node->slots = slots_create(&options);
	CHECK(node->slots != NULL);
	SAY(world, node, "starts");
	plan(world,
	     (struct event){
		     .at_ms = world->now_ms, .kind = EVENT_TICK, .to = number, .to_boot = boots});
}

static void add_counters(struct world *world, const struct node *node)
{
	const struct slots_counters *counters = slots_counters(node->slots);
	world->sum.takeovers += counters->takeovers;
	world->sum.changes += counters->changes;
	world->sum.handovers += counters->handovers;
	world->sum.opened += counters->opened;
	world->sum.unclean += counters->unclean;
	world->sum.abandoned += counters->abandoned;
	world->sum.snapshots += counters->snapshots;
	world->sum.restored += counters->restored;
	world->sum.forks += counters->forks;
	world->sum.merged += counters->merged;
}

static void end(struct world *world, struct node *node)
{
	add_counters(world, node);
	slots_destroy(node->slots);
	node->slots = NULL;
	for (uint32_t i = 0; i < SLOTS_HERE_MAX; i++)
		list_clear(&node->lists[i]);
	node->is_up = false;
	for (uint32_t id = 1; id < world->id_count; id++) {
		if (world->ids[id].node == node->number)
			world->ids[id].is_pending = false;
	}
}

static void crash(struct world *world, uint32_t number)
{
	struct node *node = &world->nodes[number];
	CHECK(node->is_up);
	SAY(world, node, "dies");
	end(world, node);
}

static void stop(struct world *world, uint32_t number, uint64_t ms)
{
	struct node *node = &world->nodes[number];
	uint64_t until = world->now_ms + ms;
	SAY(world, node, "is stopped for %llu ms", (unsigned long long)ms);
	if (until > node->paused_until_ms)
		node->paused_until_ms = until;
}

/* ---- publishing ---- */

static void ask(struct world *world, struct node *node, uint32_t id)
{
	struct published *published = &world->ids[id];
	struct slots_role role;
	published->asked_ms = world->now_ms;
	slots_role(node->slots, (uint16_t)published->slot, &role);
	uint32_t to = node->number;
	if (role.place == SLOTS_THERE)
		to = node_of_boot(world, role.home)->number;
	else if (role.place == SLOTS_NOWHERE)
		return;
	struct event event = {.kind = EVENT_ASK,
	                      .from = node->number,
	                      .to = to,
	                      .to_boot = world->nodes[to].boots,
	                      .slot = published->slot,
	                      .id = id};
	if (to != node->number) {
		transmit(world, event);
		return;
	}
	event.at_ms = world->now_ms;
	plan(world, event);
}

static void publish(struct world *world, struct node *node, uint32_t slot)
{
	CHECK(world->id_count < IDS_MAX);
	uint32_t id = world->id_count++;
	world->ids[id] = (struct published){.node = node->number,
	                                    .slot = slot,
	                                    .boot = node->boots,
	                                    .since_ms = world->now_ms,
	                                    .is_pending = true};
	ask(world, node, id);
	uint32_t second = random_below(&world->random, world->count);
	if (world->nodes[second].is_up && random_below(&world->random, 100) < world->repeats)
		ask(world, &world->nodes[second], id);
}

static void happen_ask(struct world *world, struct node *node, const struct event *event)
{
	const struct slot *slot = slot_in(node, event->slot);
	uint64_t lsn = list_find(&node->lists[event->slot], event->id);
	if (slot->lead == NULL && slot->takeover == NULL)
		return;
	if (lsn != 0 && slot->lead != NULL)
		acknowledge(world, node, event->slot, event->id, lsn);
	else if (lsn == 0 && !is_in_flight(node, event->slot, event->id))
		(void)!propose(node, event->slot, event->id);
	slots_flush(node->slots);
}

static void publish_some(struct world *world, struct node *node)
{
	while (world->first_pending < world->id_count &&
	       !world->ids[world->first_pending].is_pending)
		world->first_pending++;
	for (uint32_t id = world->first_pending; id < world->id_count; id++) {
		struct published *published = &world->ids[id];
		if (!published->is_pending || published->node != node->number)
			continue;
		if (world->now_ms - published->since_ms > 60000) {
			published->is_pending = false;
			world->gave_up++;
		} else if (world->now_ms - published->asked_ms >= 250) {
			ask(world, node, id);
		}
	}
	if (world->publish_every_ms == 0 || world->now_ms < node->publish_ms ||
	    world->now_ms - node->started_ms < 2000)
		return;
	node->publish_ms =
		world->now_ms + 1 + random_below(&world->random, 2 * world->publish_every_ms);
	publish(world, node, random_below(&world->random, world->slot_count));
}

/* ---- what happens ---- */

static void check_bounds(const struct node *node) /* I12 */
{
	const struct slots *slots = node->slots;
	uint32_t moving = 0, pulls = 0;
	for (uint32_t i = 0; i < slots->count; i++) {
		const struct slot *slot = &slots->slot[i];
		moving += slot->takeover != NULL && slot->takeover->is_motion;
		moving += slot->lead != NULL && slot->lead->has_learner &&
		          !slot->lead->learner_is_urgent;
		pulls += slot->replica != NULL && slot->replica->pull.is_counted;
		CHECK(slot->proposal_count <= SLOT_PROPOSALS_MAX);
		if (slot->replica != NULL)
			CHECK(slot->replica->log.count <=
			      SLOTS_WINDOW_ENTRIES + SLOTS_PENDING_ENTRIES);
	}
	CHECK(moving == slots->moving);
	CHECK(pulls == slots->pulls);
	CHECK(moving <= SLOTS_MOVING_MAX);
	CHECK(pulls <= SLOTS_PULLS_MAX);
}

static void happen_tick(struct world *world, struct node *node)
{
	/* Who was stopped itself accuses nobody at once. */
	bool was_late = world->now_ms - node->ticked_ms > 500;
	node->ticked_ms = world->now_ms;
	for (uint32_t i = 0; i < world->count; i++) {
		if (was_late && node->views[i].boot != 0)
			node->views[i].heard_ms = world->now_ms;
		if (i != node->number)
			listen_to(world, node, i);
	}
	tell_members(world, node);
	slots_tick(node->slots, world->now_ms);
	publish_some(world, node);
	check_bounds(node);
	plan(world, (struct event){.at_ms = world->now_ms + SLOTS_TICK_MS,
	                           .kind = EVENT_TICK,
	                           .to = node->number,
	                           .to_boot = node->boots});
}

static void happen(struct world *world, struct event event)
{
	struct node *node = &world->nodes[event.to];
	if (!node->is_up || node->boots != event.to_boot ||
	    (event.from != event.to && !is_open(world, event.from, event.to) &&
	     event.kind != EVENT_TICK)) {
		blob_drop(event.body);
		return;
	}
	if (is_paused(world, node)) {
		event.at_ms = node->paused_until_ms;
		plan(world, event);
		return;
	}
	struct boot_id from = boot_of(event.from, event.from_boot);
	switch (event.kind) {
	case EVENT_TICK:
		happen_tick(world, node);
		break;
	case EVENT_FRAME: {
		struct frame frame = {.type = event.type,
		                      .slot = (uint16_t)event.slot,
		                      .body = blob_view(event.body)};
		bool is_good = slots_take(node->slots, &from, &frame, world->now_ms);
		CHECK(is_good);
		slots_flush(node->slots);
		break;
	}
	case EVENT_ASK:
		happen_ask(world, node, &event);
		break;
	case EVENT_ACK:
		world->ids[event.id].is_pending = false;
		break;
	}
	blob_drop(event.body);
}

static void run_until(struct world *world, uint64_t until_ms)
{
	while (world->event_count > 0 && world->events[0].at_ms <= until_ms) {
		struct event event = take_first(world);
		CHECK(event.at_ms >= world->now_ms);
		world->now_ms = event.at_ms;
		happen(world, event);
		if (world->doomed != 0) {
			crash(world, world->doomed - 1);
			world->doomed = 0;
		}
	}
	world->now_ms = until_ms;
}

static void run(struct world *world, uint64_t ms)
{
	run_until(world, world->now_ms + ms);
}

/* ---- faults ---- */

static void cut(struct world *world, uint32_t a, uint32_t b, bool is_cut)
{
	if (world->prints)
		printf("%8llu n%u and n%u are %s\n", (unsigned long long)world->now_ms, a, b,
		       is_cut ? "cut" : "joined");
	world->cut[a][b] = world->cut[b][a] = is_cut;
}

static void part(struct world *world, const uint8_t *sides)
{
	if (world->prints)
		printf("%8llu parted:", (unsigned long long)world->now_ms);
	for (uint32_t a = 0; a < world->count; a++) {
		if (world->prints)
			printf(" %u", sides[a]);
		for (uint32_t b = 0; b < world->count; b++)
			world->cut[a][b] = sides[a] != sides[b];
	}
	if (world->prints)
		printf("\n");
}

static void heal(struct world *world)
{
	if (world->prints)
		printf("%8llu healed\n", (unsigned long long)world->now_ms);
	memset(world->cut, 0, sizeof(world->cut));
	memset(world->slow_ms, 0, sizeof(world->slow_ms));
}

/* ---- what is to be seen at the end ---- */

static struct node *home_of(struct world *world, uint32_t slot) /* NULL: none, or two */
{
	struct node *home = NULL;
	for (uint32_t i = 0; i < world->count; i++) {
		struct node *node = &world->nodes[i];
		if (!node->is_up || slot_in(node, slot)->lead == NULL)
			continue;
		if (home != NULL)
			return NULL;
		home = node;
	}
	return home;
}

/* One home of each slot, and all that run know it. */
static bool agrees(struct world *world)
{
	for (uint32_t slot = 0; slot < world->slot_count; slot++) {
		const struct node *home = home_of(world, slot);
		if (home == NULL)
			return false;
		for (uint32_t i = 0; i < world->count; i++) {
			const struct node *node = &world->nodes[i];
			if (node->is_up && !slot_term_equals(&slot_in(node, slot)->entry.term,
			                                     &slot_in(home, slot)->entry.term))
				return false;
		}
	}
	return true;
}

static bool is_calm(struct world *world)
{
	for (uint32_t i = 0; i < world->count; i++) {
		if (world->nodes[i].is_up && !slots_is_settled(world->nodes[i].slots))
			return false;
	}
	return agrees(world);
}

static uint64_t until(struct world *world, bool (*holds)(struct world *), uint64_t ms_max)
{
	uint64_t since = world->now_ms;
	while (!holds(world)) {
		if (world->now_ms - since >= ms_max)
			return NEVER;
		run(world, 50);
	}
	return world->now_ms - since;
}

/* Acknowledged, and not in the log of its slot's home, though nobody was told that there is another
 * stream; or, even so. */
static uint32_t missing(struct world *world, bool counts_told)
{
	uint32_t count = 0;
	for (uint32_t id = 1; id < world->id_count; id++) {
		const struct published *published = &world->ids[id];
		if (!published->is_acked)
			continue;
		const struct node *home = home_of(world, published->slot);
		CHECK(home != NULL);
		uint32_t stream = stream_of(world, published->slot,
		                            &slot_in(home, published->slot)->entry.stream);
		if (list_find(&home->lists[published->slot], id) != 0)
			continue;
		if (stream == published->stream || counts_told)
			count++;
	}
	return count;
}

static void check_replicas(struct world *world, uint32_t slot)
{
	const struct node *home = home_of(world, slot);
	const struct slot *at = slot_in(home, slot);
	for (unsigned i = 0; i < at->entry.set.count; i++) {
		const struct node *node = node_of_boot(world, at->entry.set.at[i]);
		const struct slot *own = slot_in(node, slot);
		CHECK(node->is_up && node->boots == at->entry.set.at[i].word[1]);
		CHECK(own->replica != NULL && own->replica->is_whole);
		CHECK(own->replica->commit == at->replica->commit);
		const struct list_of *a = &home->lists[slot], *b = &node->lists[slot];
		CHECK(a->count == b->count);
		for (uint64_t lsn = 1; lsn < a->count; lsn++)
			CHECK(a->ids[lsn] == b->ids[lsn]);
	}
	for (uint32_t i = 0; i < world->count; i++) {
		const struct node *node = &world->nodes[i];
		if (node->is_up && !slot_set_has(&at->entry.set, boot_of(i, node->boots)))
			CHECK(slot_in(node, slot)->replica == NULL);
	}
}

/* Nobody publishes any more, and all faults are over. */
static void world_check_quiet(struct world *world)
{
	world->publish_every_ms = 0;
	/* A node that was away is ready for some time before slots move to it. */
	for (int i = 0; i < 5; i++) {
		CHECK(until(world, is_calm, 60000) != NEVER);
		run(world, SLOTS_SETTLE_MS + 4000);
		if (is_calm(world))
			break;
	}
	run(world, 4000); /* who is not wanted any more goes */
	CHECK(is_calm(world));
	for (uint32_t slot = 0; slot < world->slot_count; slot++)
		check_replicas(world, slot);
	CHECK(missing(world, false) == 0);
}

/* ---- making and breaking ---- */

static struct world *world_make(uint32_t count, uint32_t slot_count, uint64_t seed)
{
	CHECK(count <= NODES_MAX);
	CHECK(slot_count <= SLOTS_HERE_MAX);
	struct world *world = calloc(1, sizeof(*world));
	CHECK(world != NULL);
	world->count = count;
	world->slot_count = slot_count;
	world->seed = seed;
	world->random.state = seed;
	world->delay_ms = 2;
	world->replicas = 3;
	world->now_ms = 1000000;
	world->id_count = world->first_pending = 1;
	for (uint32_t i = 0; i < count; i++)
		world->nodes[i] = (struct node){.world = world, .number = i};
	return world;
}

/* With those that run. */
static struct slots_counters world_sum(struct world *world)
{
	struct slots_counters before = world->sum;
	for (uint32_t i = 0; i < world->count; i++) {
		if (world->nodes[i].is_up)
			add_counters(world, &world->nodes[i]);
	}
	struct slots_counters sum = world->sum;
	world->sum = before;
	return sum;
}

static void world_free(struct world *world)
{
	world->prints = false;
	for (uint32_t i = 0; i < world->count; i++) {
		if (world->nodes[i].is_up)
			end(world, &world->nodes[i]);
	}
	while (world->event_count > 0)
		blob_drop(world->events[--world->event_count].body);
	for (uint32_t i = 0; i < world->stream_count; i++)
		list_clear(&world->streams[i].committed);
	free(world->events);
	free(world);
}
