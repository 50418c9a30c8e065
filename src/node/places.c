/*
 * A user is in `changed` while somebody may be answered, or the home is to be told something. Who
 * waits has the round of the first report that spoke of it: a verdict on that round, or a later
 * one, decides. What was granted goes to the first that wait; the others of these rounds are
 * refused.
 */
#include "node/places.h"

#include <stdlib.h>

#include "mesh/pack.h"
#include "starling/limits.h"

#define USERS_MAX (1u << 24)
#define REPORT_BYTES 32768u /* a frame of all; the next one goes on */
#define SAY_SLOTS_MAX 64u   /* of which all is told in a turn */

#define NOBODY UINT16_MAX

/* Of a frame of reports. */
enum report_flag { REPORT_BEGIN = 1, REPORT_END = 2, REPORT_AWAY = 4, REPORT_FLAGS = 7 };

struct places_slot {
	struct list users;
	struct list_node in_unsaid;
	uint16_t number;
	uint16_t home; /* a node; NOBODY: not known */
	uint16_t told; /* to be told, once another one is home, that it is no more; NOBODY: none */
	bool is_whole; /* who was told is home, and knows all */
};

struct user {
	uint32_t generation; /* the slab's */
	uint32_t count;
	struct map_node in_table;
	struct list_node in_slot, in_changed;
	struct tally_key key;
	struct list waiters;
	uint32_t waiting, unsaid; /* who waits, and of these those whom the home does not know of */
	uint32_t limit;
	uint32_t round;           /* of the newest report */
	uint32_t judged, granted; /* the newest verdict: on that round; 0: none */
	struct known {
		uint32_t have, want;
	} known; /* by the home */
};

struct waiter {
	uint32_t generation;
	uint32_t limit;
	uint32_t round; /* 0: the home has not been told of it */
	uint32_t worker;
	struct user *user;
	struct list_node in_user, in_waiting;
	uint64_t until_ms;
	struct slab_handle seat;
};

static_assert(sizeof(struct user) <= 128, "what a user with connections here costs");

static struct places_slot *slot_at(const struct places *places, uint16_t slot)
{
	uint32_t index = slot / places->home.workers;
	CHECK(index < places->count);
	return &places->slots[index];
}

static struct places_slot *slot_of(const struct places *places, const struct user *user)
{
	return slot_at(places, edge_user_slot(&user->key));
}

static struct waiter *first_waiter(const struct user *user)
{
	struct list_node *node = list_first(&user->waiters);
	return node == NULL ? NULL : CONTAINER_OF(node, struct waiter, in_user);
}

/* ---- users ---- */

static struct user *find(const struct places *places, const struct tally_key *key, uint64_t *hash)
{
	*hash = hash_bytes(&places->home.hash_key, slice_of((const char *)key, sizeof(*key)));
	struct map_node *node = map_first(&places->table, *hash);
	for (; node != NULL; node = map_next(node)) {
		struct user *user = CONTAINER_OF(node, struct user, in_table);
		if (tally_key_equals(&user->key, key))
			return user;
	}
	return NULL;
}

static struct user *user_make(struct places *places, const struct tally_key *key)
{
	uint64_t hash;
	struct user *user = find(places, key, &hash);
	if (user != NULL)
		return user;
	user = slab_take(&places->users);
	if (user == NULL)
		return NULL;
	user->key = *key;
	list_init(&user->waiters);
	map_insert(&places->table, &user->in_table, hash);
	list_append(&slot_of(places, user)->users, &user->in_slot);
	return user;
}

static void user_drop(struct places *places, struct user *user)
{
	CHECK(list_is_empty(&user->waiters));
	if (list_is_linked(&user->in_changed))
		list_remove(&user->in_changed);
	list_remove(&user->in_slot);
	map_remove(&places->table, &user->in_table);
	slab_release(&places->users, user);
}

static void user_changed(struct places *places, struct user *user)
{
	if (!list_is_linked(&user->in_changed))
		list_append(&places->changed, &user->in_changed);
}

static void waiter_drop(struct places *places, struct waiter *waiter)
{
	list_remove(&waiter->in_user);
	list_remove(&waiter->in_waiting);
	waiter->user->waiting--;
	waiter->user->unsaid -= waiter->round == 0;
	slab_release(&places->waiters, waiter);
}

/* ---- answers ---- */

static void answer(struct places *places, struct waiter *waiter, bool is_in)
{
	struct user *user = waiter->user;
	struct places_asker asker = {.worker = waiter->worker, .seat = waiter->seat};
	struct slab_handle place = {0};
	if (is_in) {
		user->count++;
		place = slab_handle_of(&places->users, user);
	}
	places->counters.refused += !is_in;
	waiter_drop(places, waiter);
	places->out->answer(places->out, &asker, is_in ? TALLY_TAKEN : TALLY_FULL, place);
}

enum decision { WAITS = 0, GOES_IN, IS_REFUSED };

static bool is_alone(const struct places *places, const struct user *user)
{
	uint16_t home = slot_of(places, user)->home;
	return home != NOBODY && places->is_deaf[home];
}

static enum decision decide(const struct places *places, const struct user *user,
                            const struct waiter *waiter)
{
	if (waiter->limit == PLACES_IN)
		return GOES_IN;
	if (user->count >= waiter->limit)
		return IS_REFUSED;
	if (is_alone(places, user))
		return GOES_IN;
	bool is_judged = user->judged != 0 && waiter->round != 0 &&
	                 (int32_t)(user->judged - waiter->round) >= 0;
	return !is_judged ? WAITS : user->count < user->granted ? GOES_IN : IS_REFUSED;
}

/* False: some are still to be answered, when there is room. */
static bool answer_some(struct places *places, struct user *user)
{
	struct waiter *waiter;
	while ((waiter = first_waiter(user)) != NULL) {
		enum decision decision = decide(places, user, waiter);
		if (decision == WAITS)
			break;
		if (!places->out->has_room(places->out))
			return false;
		bool goes_in = decision == GOES_IN;
		places->counters.unanswered +=
			goes_in && waiter->limit != PLACES_IN && is_alone(places, user);
		answer(places, waiter, goes_in);
	}
	return true;
}

/* Of a node that is home no more, as this node has it, it does not count: the one after it has been
 * told what there was then. */
static void take_verdict(struct places *places, uint32_t node, const struct places_verdict *verdict)
{
	uint64_t hash;
	struct user *user = find(places, &verdict->key, &hash);
	const struct places_slot *slot = user == NULL ? NULL : slot_of(places, user);
	if (slot == NULL || slot->told != node || !slot->is_whole)
		return;
	user->judged = verdict->round;
	user->granted = verdict->granted;
	if (verdict->round == user->round)
		user->known = (struct known){verdict->granted, verdict->granted};
	user_changed(places, user);
}

static void give_up_waiting(struct places *places)
{
	struct list_node *node;
	while ((node = list_first(&places->waiting)) != NULL &&
	       places->out->has_room(places->out)) {
		struct waiter *waiter = CONTAINER_OF(node, struct waiter, in_waiting);
		struct user *user = waiter->user;
		if (places->now_ms < waiter->until_ms)
			break;
		places->counters.unanswered++;
		answer(places, waiter, user->count < waiter->limit);
		user_changed(places, user);
	}
}

/* ---- reports ---- */

/* Hands it over, to this node itself, too. False: there was no memory for it. */
static bool send(struct places *places, uint32_t node, enum frame_type type, uint16_t slot,
                 const struct buf *body)
{
	if (body->is_broken)
		return false;
	if (node != PLACES_SELF)
		return places->out->send(places->out, node, type, slot, body);
	bool is_good = places_take(places, node, type, slot, buf_view(body));
	CHECK(is_good); /* it is our own */
	return true;
}

/* All of a slot has to be told, now or later. */
static void fail(struct places *places, struct places_slot *slot)
{
	slot->is_whole = false;
	places->has_failed = true;
}

/* Among all, nothing that was granted before counts: what the home has been told is over. */
static void write_report(struct places *places, struct user *user, bool is_of_all)
{
	struct buf *out = &places->report;
	uint32_t want = user->count + user->waiting;
	/* Of all users: one who comes again takes no verdict for its own that was on its way
	 * before. */
	places->round = places->round == UINT32_MAX ? 1 : places->round + 1;
	user->round = places->round;
	if (is_of_all || user->waiting == user->unsaid)
		user->judged = 0; /* on what nobody waits for: some day it would seem to be new */
	struct list_node *node = list_first(&user->waiters);
	for (; node != NULL; node = list_after(&user->waiters, node)) {
		struct waiter *waiter = CONTAINER_OF(node, struct waiter, in_user);
		if (waiter->round == 0 || is_of_all)
			waiter->round = user->round;
	}
	user->unsaid = 0;
	user->known = (struct known){user->count, want};
	pack_u64(out, user->key.word[0]);
	pack_u64(out, user->key.word[1]);
	pack_u32(out, user->count);
	pack_u32(out, want);
	pack_u32(out, user->round);
	pack_u32(out, user->limit);
}

static void begin_report(struct places *places, uint8_t flags)
{
	buf_clear(&places->report);
	pack_u8(&places->report, flags);
}

static void say(struct places *places, struct user *user)
{
	struct places_slot *slot = slot_of(places, user);
	bool is_known = user->unsaid == 0 && user->known.have == user->count &&
	                user->known.want == user->count + user->waiting;
	if (is_known || !slot->is_whole) /* then it will be told all */
		return;
	begin_report(places, 0);
	write_report(places, user, false);
	if (!send(places, slot->home, FRAME_PLACES, slot->number, &places->report))
		fail(places, slot);
}

/* The home before is not to take itself for told, should it be home again. False: no memory. */
static bool say_away(struct places *places, struct places_slot *slot)
{
	if (slot->told == NOBODY || slot->told == slot->home)
		return true;
	begin_report(places, REPORT_AWAY);
	if (!send(places, slot->told, FRAME_PLACES, slot->number, &places->report))
		return false;
	slot->told = NOBODY;
	return true;
}

static void say_all(struct places *places, struct places_slot *slot)
{
	if (!say_away(places, slot)) {
		fail(places, slot);
		return;
	}
	if (!places->is_linked[slot->home])
		return;
	slot->told = slot->home;
	slot->is_whole = true;
	begin_report(places, REPORT_BEGIN);
	struct list_node *node = list_first(&slot->users);
	for (; node != NULL; node = list_after(&slot->users, node)) {
		if (places->report.len > REPORT_BYTES) {
			if (!send(places, slot->home, FRAME_PLACES, slot->number, &places->report))
				break;
			begin_report(places, 0);
		}
		write_report(places, CONTAINER_OF(node, struct user, in_slot), true);
	}
	if (!places->report.is_broken)
		places->report.at[0] = (char)(places->report.at[0] | REPORT_END);
	if (node != NULL || !send(places, slot->home, FRAME_PLACES, slot->number, &places->report))
		fail(places, slot);
}

/* That another one is home is told to the one before also where that other one cannot be told. */
static bool is_due(const struct places *places, const struct places_slot *slot)
{
	if (!places->is_used || slot->home == NOBODY || slot->is_whole)
		return false;
	return places->is_linked[slot->home] || (slot->told != NOBODY && slot->told != slot->home);
}

/* Its home is another one, or knows not all any more. */
static void slot_unsaid(struct places *places, struct places_slot *slot)
{
	slot->is_whole &= slot->told == slot->home;
	bool is_in = list_is_linked(&slot->in_unsaid);
	if (is_due(places, slot) && !is_in)
		list_append(&places->unsaid, &slot->in_unsaid);
	if (!is_due(places, slot) && is_in)
		list_remove(&slot->in_unsaid);
}

/* ---- frames ---- */

static bool read_report(struct places *places, struct unpack *in, uint16_t slot, uint32_t node)
{
	struct places_report report = {0};
	report.key.word[0] = unpack_u64(in);
	report.key.word[1] = unpack_u64(in);
	report.have = unpack_u32(in);
	report.want = unpack_u32(in);
	report.round = unpack_u32(in);
	report.limit = unpack_u32(in);
	if (in->is_bad || report.have > report.want || edge_user_slot(&report.key) != slot)
		return false;
	places_home_report(&places->home, slot, node, &report);
	return true;
}

static bool take_reports(struct places *places, uint32_t node, uint16_t slot, struct slice body)
{
	struct unpack in = {.rest = body};
	uint8_t flags = unpack_u8(&in);
	if (in.is_bad || flags > REPORT_FLAGS)
		return false;
	if (flags & REPORT_AWAY)
		places_home_away(&places->home, slot, node);
	if (flags & REPORT_BEGIN)
		places_home_begin(&places->home, slot, node);
	while (in.rest.len > 0) {
		if (!read_report(places, &in, slot, node))
			return false;
	}
	if (flags & REPORT_END)
		places_home_end(&places->home, slot, node);
	return true;
}

static bool take_granted(struct places *places, uint32_t node, struct slice body)
{
	struct unpack in = {.rest = body};
	struct places_verdict verdict = {0};
	verdict.key.word[0] = unpack_u64(&in);
	verdict.key.word[1] = unpack_u64(&in);
	verdict.round = unpack_u32(&in);
	verdict.granted = unpack_u32(&in);
	if (!unpack_is_over(&in))
		return false;
	take_verdict(places, node, &verdict);
	return true;
}

/* The home is not sure any more of what it was told of the slot. */
static void take_again(struct places *places, uint32_t node, uint16_t slot)
{
	struct places_slot *at = slot_at(places, slot);
	if (at->told == node)
		at->is_whole = false;
	slot_unsaid(places, at);
}

bool places_take(struct places *places, uint32_t node, enum frame_type type, uint16_t slot,
                 struct slice body)
{
	if (slot >= SLOTS)
		return false;
	if (type == FRAME_PLACES)
		return take_reports(places, node, slot, body);
	if (type == FRAME_PLACES_GRANTED)
		return take_granted(places, node, body);
	CHECK(type == FRAME_PLACES_AGAIN);
	take_again(places, node, slot);
	return body.len == 0;
}

/* ---- at home ---- */

static struct places *places_under(struct places_home_out *out)
{
	return CONTAINER_OF(out, struct places, home_out);
}

static bool home_has_room(struct places_home_out *out)
{
	struct places *places = places_under(out);
	return places->out->has_room(places->out);
}

static bool home_verdict(struct places_home_out *out, uint32_t node, uint16_t slot,
                         const struct places_verdict *verdict)
{
	struct places *places = places_under(out);
	buf_clear(&places->verdict);
	pack_u64(&places->verdict, verdict->key.word[0]);
	pack_u64(&places->verdict, verdict->key.word[1]);
	pack_u32(&places->verdict, verdict->round);
	pack_u32(&places->verdict, verdict->granted);
	return send(places, node, FRAME_PLACES_GRANTED, slot, &places->verdict);
}

static bool home_again(struct places_home_out *out, uint32_t node, uint16_t slot)
{
	const struct buf nothing = {0};
	return send(places_under(out), node, FRAME_PLACES_AGAIN, slot, &nothing);
}

/* ---- making and breaking ---- */

static bool make_slots(struct places *places, const struct places_options *options)
{
	places->count = places->home.count;
	places->slots = calloc(places->count, sizeof(*places->slots));
	for (uint32_t i = 0; places->slots != NULL && i < places->count; i++) {
		struct places_slot *slot = &places->slots[i];
		list_init(&slot->users);
		slot->number = (uint16_t)(options->worker + i * options->workers);
		slot->home = slot->told = NOBODY;
	}
	return places->slots != NULL;
}

bool places_init(struct places *places, const struct places_options *options)
{
	*places = (struct places){
		.out = options->out,
		.now_ms = options->now_ms,
		.home_out = {.has_room = home_has_room,
	                     .verdict = home_verdict,
	                     .again = home_again},
	};
	list_init(&places->changed);
	list_init(&places->unsaid);
	list_init(&places->waiting);
	places->is_linked[PLACES_SELF] = true;
	int error = slab_init(&places->users, sizeof(struct user), USERS_MAX);
	CHECK(error == 0);
	error = slab_init(&places->waiters, sizeof(struct waiter), USERS_MAX);
	CHECK(error == 0);
	struct places_home_options home = {.out = &places->home_out,
	                                   .hash_key = options->hash_key,
	                                   .worker = options->worker,
	                                   .workers = options->workers};
	if (!places_home_init(&places->home, &home))
		return false;
	if (map_init(&places->table) == 0 && make_slots(places, options))
		return true;
	places_free(places);
	return false;
}

void places_free(struct places *places)
{
	struct list_node *node;
	if (places->home.slots == NULL)
		return;
	while ((node = list_first(&places->waiting)) != NULL)
		waiter_drop(places, CONTAINER_OF(node, struct waiter, in_waiting));
	for (uint32_t i = 0; places->slots != NULL && i < places->count; i++) {
		while ((node = list_first(&places->slots[i].users)) != NULL)
			user_drop(places, CONTAINER_OF(node, struct user, in_slot));
	}
	slab_free(&places->waiters);
	slab_free(&places->users);
	map_free(&places->table);
	places_home_free(&places->home);
	free(places->slots);
	buf_free(&places->report);
	buf_free(&places->verdict);
	*places = (struct places){0};
}

void places_use(struct places *places)
{
	if (places->is_used)
		return;
	places->is_used = true;
	for (uint32_t i = 0; i < places->count; i++)
		slot_unsaid(places, &places->slots[i]);
}

/* ---- in and out ---- */

bool places_ask(struct places *places, const struct tally_key *key, uint32_t limit,
                const struct places_asker *asker)
{
	struct user *user = user_make(places, key);
	if (user == NULL)
		return false;
	user_changed(places, user); /* also for its end, where there is no memory */
	struct waiter *waiter = slab_take(&places->waiters);
	if (waiter == NULL)
		return false;
	waiter->user = user;
	waiter->limit = limit;
	waiter->worker = asker->worker;
	waiter->seat = asker->seat;
	waiter->until_ms = places->now_ms + PLACES_WAIT_MS;
	list_append(&user->waiters, &waiter->in_user);
	user->waiting++;
	user->unsaid++;
	list_append(&places->waiting, &waiter->in_waiting);
	if (limit != PLACES_IN)
		user->limit = limit;
	places->counters.asked++;
	return true;
}

void places_give(struct places *places, struct slab_handle place)
{
	struct user *user = slab_at(&places->users, place);
	CHECK(user != NULL); /* it lives as long as the place is held */
	CHECK(user->count > 0);
	user->count--;
	user_changed(places, user);
}

/* ---- what the mesh tells ---- */

/* Nobody waits for a home that counts none. */
static void judge_alone(struct places *places, struct places_slot *slot)
{
	if (slot->home == NOBODY || !places->is_deaf[slot->home])
		return;
	struct list_node *node = list_first(&slot->users);
	for (; node != NULL; node = list_after(&slot->users, node))
		user_changed(places, CONTAINER_OF(node, struct user, in_slot));
}

void places_role(struct places *places, uint16_t slot, enum hub_home home, uint32_t node)
{
	struct places_slot *at = slot_at(places, slot);
	at->home = home == HOME_HERE        ? PLACES_SELF
	           : home == HOME_ELSEWHERE ? (uint16_t)node
	                                    : NOBODY;
	places_home_role(&places->home, slot, home, places->now_ms);
	slot_unsaid(places, at);
	judge_alone(places, at);
}

void places_node_up(struct places *places, uint32_t node, bool counts_places)
{
	places->is_deaf[node] = !counts_places;
	places->is_linked[node] = counts_places;
	if (counts_places)
		places_home_up(&places->home, node, places->now_ms);
	for (uint32_t i = 0; i < places->count; i++) {
		slot_unsaid(places, &places->slots[i]);
		judge_alone(places, &places->slots[i]);
	}
}

void places_node_down(struct places *places, uint32_t node)
{
	places_home_down(&places->home, node);
	places->is_linked[node] = places->is_deaf[node] = false;
	for (uint32_t i = 0; i < places->count; i++) {
		struct places_slot *slot = &places->slots[i];
		if (slot->told == node)
			slot->told = NOBODY;
		slot_unsaid(places, slot);
	}
}

void places_node_gone(struct places *places, uint32_t node)
{
	places_home_gone(&places->home, node);
}

/* ---- turns ---- */

void places_tick(struct places *places, uint64_t now_ms)
{
	places->now_ms = now_ms;
	places_home_tick(&places->home, now_ms);
	for (uint32_t i = 0; places->has_failed && i < places->count; i++)
		slot_unsaid(places, &places->slots[i]);
	places->has_failed = false;
}

static bool say_slots(struct places *places)
{
	struct list_node *node;
	for (uint32_t i = 0; i < SAY_SLOTS_MAX; i++) {
		node = list_first(&places->unsaid);
		if (node == NULL || !places->out->has_room(places->out))
			break;
		list_remove(node);
		say_all(places, CONTAINER_OF(node, struct places_slot, in_unsaid));
	}
	return !list_is_empty(&places->unsaid);
}

static bool say_changed(struct places *places)
{
	struct list changed;
	struct list_node *node;
	list_init(&changed);
	list_move_all(&changed, &places->changed);
	for (uint32_t i = 0; i < TURN_PLACES_MAX; i++) {
		node = list_first(&changed);
		if (node == NULL || !places->out->has_room(places->out))
			break;
		struct user *user = CONTAINER_OF(node, struct user, in_changed);
		list_remove(node);
		if (!answer_some(places, user))
			user_changed(places, user);
		say(places, user);
		if (user->count == 0 && user->waiting == 0)
			user_drop(places, user);
	}
	bool has_more = !list_is_empty(&changed);
	list_move_all(&places->changed, &changed);
	return has_more;
}

bool places_turn(struct places *places, uint64_t now_ms)
{
	places->now_ms = now_ms;
	bool has_more = say_slots(places);
	has_more |= say_changed(places);
	has_more |= places_home_turn(&places->home, now_ms);
	give_up_waiting(places);
	return has_more || !list_is_empty(&places->changed) || !list_is_empty(&places->unsaid);
}
