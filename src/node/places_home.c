#include "node/places_home.h"

#include <stdlib.h>

#include "starling/limits.h"

#define SWEEP_SLOTS 64u /* a turn */
#define NODE_WORDS (PLACES_NODES / 64 + 1)

struct places_home_slot {
	struct list users;
	struct list waiting; /* claims that are still to be decided */
	struct list_node in_asking;
	bool is_home;
	bool has_lost;     /* a report of a node that has not been asked for it again */
	uint64_t since_ms; /* home, or since some were asked again */
	/* Nodes that have reported all they have; those of whom some was lost since they began. */
	uint64_t heard[NODE_WORDS], torn[NODE_WORDS];
};

struct user {
	struct map_node in_table;
	struct list_node in_slot;
	struct tally_key key;
	struct claim *first;
};

/* What a node has of a user. */
struct claim {
	struct claim *next;
	struct user *user;
	struct list_node in_waiting;
	uint32_t have, want, round, limit;
	uint32_t held; /* as others are to see it */
	uint32_t life;
	uint16_t node, slot;
	bool is_stale; /* the node is reporting all it has, and has not named it yet */
};

static_assert(sizeof(struct user) <= 64, "what a user costs at home");
static_assert(sizeof(struct claim) <= 64, "and each node with connections of it");

static struct places_home_slot *slot_at(const struct places_home *home, uint16_t slot)
{
	uint32_t index = slot / home->workers;
	CHECK(index < home->count);
	return &home->slots[index];
}

/* ---- who has what ---- */

static struct user *find(const struct places_home *home, const struct tally_key *key,
                         uint64_t *hash)
{
	*hash = hash_bytes(&home->hash_key, slice_of((const char *)key, sizeof(*key)));
	struct map_node *node = map_first(&home->table, *hash);
	for (; node != NULL; node = map_next(node)) {
		struct user *user = CONTAINER_OF(node, struct user, in_table);
		if (tally_key_equals(&user->key, key))
			return user;
	}
	return NULL;
}

static struct user *user_make(struct places_home *home, uint16_t slot, const struct tally_key *key)
{
	uint64_t hash;
	struct user *user = find(home, key, &hash);
	if (user != NULL)
		return user;
	user = calloc(1, sizeof(*user));
	if (user == NULL)
		return NULL;
	user->key = *key;
	map_insert(&home->table, &user->in_table, hash);
	list_append(&slot_at(home, slot)->users, &user->in_slot);
	return user;
}

static void user_drop_if_unused(struct places_home *home, struct user *user)
{
	if (user->first != NULL)
		return;
	map_remove(&home->table, &user->in_table);
	list_remove(&user->in_slot);
	free(user);
}

static void claim_drop(struct claim **at)
{
	struct claim *claim = *at;
	*at = claim->next;
	if (list_is_linked(&claim->in_waiting))
		list_remove(&claim->in_waiting);
	free(claim);
}

static bool has_bit(const uint64_t *words, uint32_t node)
{
	return (words[node / 64] >> node % 64 & 1) != 0;
}

static void set_bit(uint64_t *words, uint32_t node, bool is_set)
{
	uint64_t bit = 1ull << node % 64;
	words[node / 64] = is_set ? words[node / 64] | bit : words[node / 64] & ~bit;
}

/* Which claims are over, beside those of nodes that are gone. */
enum over {
	OVER_GONE = 0, /* no others */
	OVER_NODES,    /* a node's */
	OVER_STALE,    /* a node's, where it has not named them */
	OVER_UNHEARD,  /* those of nodes that have not reported all they have */
};

static bool is_over(const struct places_home *home, const struct claim *claim, enum over which,
                    uint32_t node)
{
	if (claim->life != home->nodes[claim->node].life)
		return true;
	switch (which) {
	case OVER_NODES:
		return claim->node == node;
	case OVER_STALE:
		return claim->node == node && claim->is_stale;
	case OVER_UNHEARD:
		return !has_bit(slot_at(home, claim->slot)->heard, claim->node);
	case OVER_GONE:
		break;
	}
	return false;
}

static void claims_drop(struct places_home *home, struct user *user, enum over which, uint32_t node)
{
	struct claim **at = &user->first;
	while (*at != NULL) {
		if (is_over(home, *at, which, node))
			claim_drop(at);
		else
			at = &(*at)->next;
	}
}

static void slot_drop(struct places_home *home, struct places_home_slot *slot, enum over which,
                      uint32_t node)
{
	struct list_node *at = list_first(&slot->users), *next;
	for (; at != NULL; at = next) {
		struct user *user = CONTAINER_OF(at, struct user, in_slot);
		next = list_after(&slot->users, at);
		claims_drop(home, user, which, node);
		user_drop_if_unused(home, user);
	}
}

static void slot_clear(struct places_home *home, struct places_home_slot *slot)
{
	struct list_node *at;
	while ((at = list_first(&slot->users)) != NULL) {
		struct user *user = CONTAINER_OF(at, struct user, in_slot);
		while (user->first != NULL)
			claim_drop(&user->first);
		user_drop_if_unused(home, user);
	}
}

/* ---- making and breaking ---- */

bool places_home_init(struct places_home *home, const struct places_home_options *options)
{
	*home = (struct places_home){
		.out = options->out,
		.hash_key = options->hash_key,
		.worker = options->worker,
		.workers = options->workers,
		.count = (SLOTS - options->worker - 1) / options->workers + 1,
	};
	home->sweep_at = home->again_at = home->count;
	home->nodes[PLACES_SELF].is_linked = true;
	list_init(&home->asking);
	list_init(&home->resting);
	home->slots = calloc(home->count, sizeof(*home->slots));
	if (home->slots == NULL || map_init(&home->table) != 0) {
		free(home->slots);
		home->slots = NULL;
		return false;
	}
	for (uint32_t i = 0; i < home->count; i++) {
		list_init(&home->slots[i].users);
		list_init(&home->slots[i].waiting);
	}
	return true;
}

void places_home_free(struct places_home *home)
{
	if (home->slots == NULL)
		return;
	for (uint32_t i = 0; i < home->count; i++)
		slot_clear(home, &home->slots[i]);
	map_free(&home->table);
	free(home->slots);
	home->slots = NULL;
}

/* ---- what the mesh tells ---- */

/* Its claims may be decided now. */
static void stir(struct places_home *home, struct places_home_slot *slot)
{
	if (list_is_linked(&slot->in_asking))
		list_remove(&slot->in_asking);
	if (!list_is_empty(&slot->waiting))
		list_append(&home->asking, &slot->in_asking);
}

void places_home_role(struct places_home *home, uint16_t slot, enum hub_home role, uint64_t now_ms)
{
	struct places_home_slot *at = slot_at(home, slot);
	if (role == HOME_HERE && !at->is_home)
		at->since_ms = now_ms;
	at->is_home = role == HOME_HERE;
	if (role == HOME_ELSEWHERE) /* who still reports here will say that it does so no more */
		slot_drop(home, at, OVER_UNHEARD, 0);
	stir(home, at);
}

/* What it had in slots of others it does not come back to. */
void places_home_up(struct places_home *home, uint32_t node, uint64_t now_ms)
{
	CHECK(node < PLACES_SELF);
	home->nodes[node].is_linked = true;
	home->nodes[node].linked_ms = now_ms;
	for (uint32_t i = 0; i < home->count; i++) {
		struct places_home_slot *slot = &home->slots[i];
		set_bit(slot->heard, node, false);
		if (!slot->is_home)
			slot_drop(home, slot, OVER_NODES, node);
	}
}

void places_home_down(struct places_home *home, uint32_t node)
{
	CHECK(node < PLACES_SELF);
	home->nodes[node].is_linked = false;
	list_move_all(&home->asking, &home->resting); /* nobody waits for it */
}

void places_home_gone(struct places_home *home, uint32_t node)
{
	CHECK(node < PLACES_SELF);
	home->nodes[node].life++;
	home->sweep_at = 0;
}

/* ---- reports ---- */

/* What it had counts until all has been said: or others would be let in meanwhile. */
void places_home_begin(struct places_home *home, uint16_t slot, uint32_t node)
{
	struct places_home_slot *at = slot_at(home, slot);
	struct list_node *one = list_first(&at->users);
	set_bit(at->torn, node, false);
	for (; one != NULL; one = list_after(&at->users, one)) {
		struct claim *claim = CONTAINER_OF(one, struct user, in_slot)->first;
		for (; claim != NULL; claim = claim->next)
			claim->is_stale |= claim->node == node;
	}
}

void places_home_end(struct places_home *home, uint16_t slot, uint32_t node)
{
	struct places_home_slot *at = slot_at(home, slot);
	slot_drop(home, at, OVER_STALE, node);
	if (!has_bit(at->torn, node))
		set_bit(at->heard, node, true);
	stir(home, at);
}

/* There was no memory for a report: till the node has said all again nothing is decided. */
static void lose(struct places_home *home, uint16_t slot, uint32_t node)
{
	struct places_home_slot *at = slot_at(home, slot);
	set_bit(at->heard, node, false);
	set_bit(at->torn, node, true);
	at->has_lost = home->has_lost = true;
}

/* As long as this one takes itself for the home, what the node had counts. */
void places_home_away(struct places_home *home, uint16_t slot, uint32_t node)
{
	struct places_home_slot *at = slot_at(home, slot);
	set_bit(at->heard, node, false);
	if (!at->is_home)
		slot_drop(home, at, OVER_NODES, node);
}

static struct claim *claim_make(struct places_home *home, struct user *user, uint32_t node)
{
	struct claim *claim = user->first;
	while (claim != NULL && claim->node != node)
		claim = claim->next;
	if (claim != NULL)
		return claim;
	claim = calloc(1, sizeof(*claim));
	if (claim == NULL)
		return NULL;
	claim->user = user;
	claim->node = (uint16_t)node;
	claim->slot = edge_user_slot(&user->key);
	claim->life = home->nodes[node].life;
	claim->next = user->first;
	user->first = claim;
	return claim;
}

/* What was granted and may still be under way to the node stays its own as far as it asks for it.
 */
static void claim_set(struct places_home *home, struct claim *claim,
                      const struct places_report *report)
{
	uint32_t kept = claim->held < report->want ? claim->held : report->want;
	claim->held = kept > report->have ? kept : report->have;
	claim->have = report->have;
	claim->want = report->want;
	claim->round = report->round;
	claim->limit = report->limit;
	claim->is_stale = false;
	if (list_is_linked(&claim->in_waiting))
		list_remove(&claim->in_waiting);
	if (claim->want == claim->have)
		return;
	struct places_home_slot *at = slot_at(home, claim->slot);
	list_append(&at->waiting, &claim->in_waiting);
	if (!list_is_linked(&at->in_asking))
		list_append(&home->asking, &at->in_asking);
}

void places_home_report(struct places_home *home, uint16_t slot, uint32_t node,
                        const struct places_report *report)
{
	CHECK(report->have <= report->want);
	uint64_t hash;
	bool is_gone = report->want == 0;
	struct user *user =
		is_gone ? find(home, &report->key, &hash) : user_make(home, slot, &report->key);
	struct claim *claim = NULL;
	if (user != NULL) {
		claims_drop(home, user, is_gone ? OVER_NODES : OVER_GONE, node);
		claim = is_gone ? NULL : claim_make(home, user, node);
		if (claim != NULL)
			claim_set(home, claim, report);
		user_drop_if_unused(home, user);
	}
	if (claim == NULL && !is_gone)
		lose(home, slot, node);
}

/* ---- verdicts ---- */

static bool is_settled(const struct places_home *home, const struct places_home_slot *slot,
                       uint64_t now_ms)
{
	if (slot->has_lost)
		return false;
	for (uint32_t i = 0; i < PLACES_NODES; i++) {
		const struct places_home_node *node = &home->nodes[i];
		uint64_t from_ms =
			slot->since_ms > node->linked_ms ? slot->since_ms : node->linked_ms;
		if (node->is_linked && !has_bit(slot->heard, i) &&
		    now_ms - from_ms < PLACES_SETTLE_MS)
			return false;
	}
	return true;
}

/* False: its verdict did not get away; what it grants counts as taken all the same. */
static bool decide(struct places_home *home, struct claim *claim)
{
	uint64_t others = 0;
	claims_drop(home, claim->user, OVER_GONE, 0);
	for (const struct claim *one = claim->user->first; one != NULL; one = one->next)
		others += one == claim ? 0 : one->held;
	uint64_t room = others < claim->limit ? claim->limit - others : 0;
	uint32_t granted = room < claim->want ? (uint32_t)room : claim->want;
	claim->held = granted > claim->have ? granted : claim->have;
	struct places_verdict verdict = {
		.key = claim->user->key, .round = claim->round, .granted = claim->held};
	return home->out->verdict(home->out, claim->node, claim->slot, &verdict);
}

static void sweep(struct places_home *home)
{
	for (uint32_t i = 0; i < SWEEP_SLOTS && home->sweep_at < home->count; i++)
		slot_drop(home, &home->slots[home->sweep_at++], OVER_GONE, 0);
}

/* All that are not heard: those of whom something was lost are among them, and the others, who are
 * still to report, are not told to do more. */
static bool ask_all_again(struct places_home *home, const struct places_home_slot *slot)
{
	uint16_t number = (uint16_t)(home->worker + (slot - home->slots) * home->workers);
	for (uint32_t i = 0; i < PLACES_NODES; i++) {
		bool is_meant = home->nodes[i].is_linked && !has_bit(slot->heard, i);
		if (is_meant &&
		    (!home->out->has_room(home->out) || !home->out->again(home->out, i, number)))
			return false;
	}
	return true;
}

/* What is in the way is tried again with the next tick. */
static void ask_again(struct places_home *home)
{
	for (; home->again_at < home->count; home->again_at++) {
		struct places_home_slot *slot = &home->slots[home->again_at];
		if (!slot->has_lost)
			continue;
		if (!ask_all_again(home, slot)) {
			home->again_at = home->count;
			home->has_lost = true;
			return;
		}
		slot->has_lost = false;
		slot->since_ms = home->now_ms;
	}
}

/* Those of a slot, till one that cannot be: for lack of room, or of memory. */
static void decide_some(struct places_home *home, struct places_home_slot *slot, uint32_t *budget)
{
	struct list_node *node;
	while (*budget > 0 && (node = list_first(&slot->waiting)) != NULL) {
		struct claim *claim = CONTAINER_OF(node, struct claim, in_waiting);
		bool is_over =
			claim->life != home->nodes[claim->node].life; /* the sweep has it next */
		if (!is_over && (!home->out->has_room(home->out) || !decide(home, claim)))
			return;
		list_remove(node);
		--*budget;
	}
}

/* False: some are left for the next turn. What cannot be decided rests till the next tick, or till
 * something happens to its slot. */
static bool decide_all(struct places_home *home)
{
	uint32_t budget = TURN_PLACES_MAX;
	struct list_node *node;
	while (budget > 0 && (node = list_first(&home->asking)) != NULL) {
		struct places_home_slot *slot =
			CONTAINER_OF(node, struct places_home_slot, in_asking);
		list_remove(node);
		--budget;
		if (slot->is_home && is_settled(home, slot, home->now_ms))
			decide_some(home, slot, &budget);
		if (!list_is_empty(&slot->waiting) && !list_is_linked(node))
			list_append(budget == 0 ? &home->asking : &home->resting, node);
	}
	return list_is_empty(&home->asking);
}

bool places_home_turn(struct places_home *home, uint64_t now_ms)
{
	home->now_ms = now_ms;
	sweep(home);
	ask_again(home);
	return !decide_all(home) || home->sweep_at < home->count;
}

void places_home_tick(struct places_home *home, uint64_t now_ms)
{
	home->now_ms = now_ms;
	list_move_all(&home->asking, &home->resting);
	if (home->has_lost)
		home->again_at = 0;
	home->has_lost = false;
}
