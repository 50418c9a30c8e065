#include "node/places_home.h"

#include <stdlib.h>

#define SWEEP_SLOTS 64u /* a turn */

struct places_home_slot {
	struct list users;
	bool is_home;
	uint64_t since_ms;                     /* home */
	uint64_t heard[PLACES_NODES / 64 + 1]; /* nodes that have reported all they have */
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

static bool is_heard(const struct places_home_slot *slot, uint32_t node)
{
	return (slot->heard[node / 64] >> node % 64 & 1) != 0;
}

/* Beside nodes. */
#define THE_GONE PLACES_NODES
#define THE_UNHEARD (PLACES_NODES + 1)

/* Those of that node, and in any case of those that are gone. */
static void claims_drop(struct places_home *home, struct user *user, uint32_t node)
{
	const struct places_home_slot *slot = slot_at(home, edge_user_slot(&user->key));
	struct claim **at = &user->first;
	while (*at != NULL) {
		uint32_t whose = (*at)->node;
		bool is_over = whose == node || (*at)->life != home->nodes[whose].life ||
		               (node == THE_UNHEARD && !is_heard(slot, whose));
		if (is_over)
			claim_drop(at);
		else
			at = &(*at)->next;
	}
}

static void slot_drop(struct places_home *home, struct places_home_slot *slot, uint32_t node)
{
	struct list_node *at = list_first(&slot->users), *next;
	for (; at != NULL; at = next) {
		struct user *user = CONTAINER_OF(at, struct user, in_slot);
		next = list_after(&slot->users, at);
		claims_drop(home, user, node);
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
		.workers = options->workers,
		.count = (SLOTS - options->worker - 1) / options->workers + 1,
	};
	home->sweep_at = home->count;
	home->nodes[PLACES_SELF].is_linked = true;
	list_init(&home->waiting);
	home->slots = calloc(home->count, sizeof(*home->slots));
	if (home->slots == NULL || map_init(&home->table) != 0) {
		free(home->slots);
		home->slots = NULL;
		return false;
	}
	for (uint32_t i = 0; i < home->count; i++)
		list_init(&home->slots[i].users);
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

void places_home_role(struct places_home *home, uint16_t slot, enum hub_home role, uint64_t now_ms)
{
	struct places_home_slot *at = slot_at(home, slot);
	if (role == HOME_HERE && !at->is_home)
		at->since_ms = now_ms;
	at->is_home = role == HOME_HERE;
	if (role == HOME_ELSEWHERE) /* who still reports here will say that it does so no more */
		slot_drop(home, at, THE_UNHEARD);
	home->has_news |= at->is_home;
}

static void forget_heard(struct places_home *home, uint32_t node)
{
	for (uint32_t i = 0; i < home->count; i++)
		home->slots[i].heard[node / 64] &= ~(1ull << node % 64);
}

void places_home_up(struct places_home *home, uint32_t node, uint64_t now_ms)
{
	CHECK(node < PLACES_SELF);
	home->nodes[node].is_linked = true;
	home->nodes[node].linked_ms = now_ms;
	forget_heard(home, node);
}

void places_home_down(struct places_home *home, uint32_t node)
{
	CHECK(node < PLACES_SELF);
	home->nodes[node].is_linked = false;
	home->has_news = true; /* nobody waits for it */
}

void places_home_gone(struct places_home *home, uint32_t node)
{
	CHECK(node < PLACES_SELF);
	home->nodes[node].life++;
	home->sweep_at = 0;
}

/* ---- reports ---- */

void places_home_begin(struct places_home *home, uint16_t slot, uint32_t node)
{
	slot_drop(home, slot_at(home, slot), node);
}

void places_home_end(struct places_home *home, uint16_t slot, uint32_t node)
{
	slot_at(home, slot)->heard[node / 64] |= 1ull << node % 64;
	home->has_news = true;
}

/* As long as this one takes itself for the home, what the node had counts. */
void places_home_away(struct places_home *home, uint16_t slot, uint32_t node)
{
	struct places_home_slot *at = slot_at(home, slot);
	at->heard[node / 64] &= ~(1ull << node % 64);
	if (!at->is_home)
		slot_drop(home, at, node);
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
	claim->life = home->nodes[node].life;
	claim->next = user->first;
	user->first = claim;
	return claim;
}

/* What was granted and may still be under way to the node stays its own as far as it asks for it.
 */
static void claim_set(struct places_home *home, struct claim *claim, uint16_t slot,
                      const struct places_report *report)
{
	uint32_t kept = claim->held < report->want ? claim->held : report->want;
	claim->held = kept > report->have ? kept : report->have;
	claim->have = report->have;
	claim->want = report->want;
	claim->round = report->round;
	claim->limit = report->limit;
	claim->slot = slot;
	if (list_is_linked(&claim->in_waiting))
		list_remove(&claim->in_waiting);
	if (claim->want == claim->have)
		return;
	list_append(&home->waiting, &claim->in_waiting);
	home->has_news = true;
}

bool places_home_report(struct places_home *home, uint16_t slot, uint32_t node,
                        const struct places_report *report)
{
	CHECK(report->have <= report->want);
	uint64_t hash;
	bool is_gone = report->want == 0;
	struct user *user =
		is_gone ? find(home, &report->key, &hash) : user_make(home, slot, &report->key);
	if (user == NULL)
		return is_gone;
	claims_drop(home, user, is_gone ? node : THE_GONE);
	struct claim *claim = is_gone ? NULL : claim_make(home, user, node);
	if (claim != NULL)
		claim_set(home, claim, slot, report);
	user_drop_if_unused(home, user);
	return is_gone || claim != NULL;
}

/* ---- verdicts ---- */

static bool is_settled(const struct places_home *home, const struct places_home_slot *slot,
                       uint64_t now_ms)
{
	for (uint32_t i = 0; i < PLACES_NODES; i++) {
		const struct places_home_node *node = &home->nodes[i];
		uint64_t from_ms =
			slot->since_ms > node->linked_ms ? slot->since_ms : node->linked_ms;
		if (node->is_linked && !is_heard(slot, i) && now_ms - from_ms < PLACES_SETTLE_MS)
			return false;
	}
	return true;
}

static void decide(struct places_home *home, struct claim *claim)
{
	uint64_t others = 0;
	claims_drop(home, claim->user, THE_GONE);
	for (const struct claim *one = claim->user->first; one != NULL; one = one->next)
		others += one == claim ? 0 : one->held;
	uint64_t room = others < claim->limit ? claim->limit - others : 0;
	uint32_t granted = room < claim->want ? (uint32_t)room : claim->want;
	claim->held = granted > claim->have ? granted : claim->have;
	struct places_verdict verdict = {
		.key = claim->user->key, .round = claim->round, .granted = claim->held};
	home->out->verdict(home->out, claim->node, claim->slot, &verdict);
}

static void sweep(struct places_home *home)
{
	for (uint32_t i = 0; i < SWEEP_SLOTS && home->sweep_at < home->count; i++)
		slot_drop(home, &home->slots[home->sweep_at++], THE_GONE);
}

bool places_home_turn(struct places_home *home, uint64_t now_ms)
{
	sweep(home);
	if (!home->has_news)
		return home->sweep_at < home->count;
	struct list waiting;
	struct list_node *node;
	list_init(&waiting);
	list_move_all(&waiting, &home->waiting);
	home->has_news = false;
	while ((node = list_first(&waiting)) != NULL) {
		struct claim *claim = CONTAINER_OF(node, struct claim, in_waiting);
		const struct places_home_slot *slot = slot_at(home, claim->slot);
		bool has_room = home->out->has_room(home->out);
		list_remove(node);
		if (claim->life != home->nodes[claim->node].life)
			continue; /* the sweep has it next */
		if (has_room && slot->is_home && is_settled(home, slot, now_ms)) {
			decide(home, claim);
			continue;
		}
		list_append(&home->waiting, node);
		home->has_news |= !has_room;
	}
	return home->has_news || home->sweep_at < home->count;
}

void places_home_tick(struct places_home *home)
{
	home->has_news |= !list_is_empty(&home->waiting);
}
