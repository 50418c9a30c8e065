#include "mesh/slots_state.h"

/* ---- making and breaking ---- */

static bool make_slots(struct slots *slots)
{
	const struct slots_options *options = &slots->options;
	slots->count = (options->count - options->worker - 1) / options->workers + 1;
	slots->slot = calloc(slots->count, sizeof(*slots->slot));
	slots->members = calloc(MEMBERS_MAX, sizeof(*slots->members));
	if (slots->slot == NULL || slots->members == NULL)
		return false;
	for (uint32_t i = 0; i < slots->count; i++)
		slots->slot[i].number = (uint16_t)(options->worker + i * options->workers);
	return true;
}

struct slots *slots_create(const struct slots_options *options)
{
	CHECK(options->worker < options->workers);
	CHECK(options->worker < options->count);
	CHECK(options->count <= UINT16_MAX);
	CHECK(options->replicas >= 1);
	CHECK(options->replicas <= SLOT_REPLICAS_MAX);
	struct slots *slots = calloc(1, sizeof(*slots));
	if (slots == NULL)
		return NULL;
	slots->out = options->out;
	slots->options = *options;
	slots->random.state = options->seed;
	slots->now_ms = slots->settled_ms = slots->news_ms = options->now_ms;
	list_init(&slots->dirty);
	if (make_slots(slots))
		return slots;
	slots_destroy(slots);
	return NULL;
}

static void replica_discard(struct replica *replica)
{
	if (replica == NULL)
		return;
	slot_log_reset(&replica->log, &replica->log.base);
	free(replica);
}

static void takeover_discard(struct takeover *takeover)
{
	if (takeover == NULL)
		return;
	for (uint32_t i = 0; i < takeover->waiting_count; i++)
		blob_drop(takeover->waiting[i].blob);
	free(takeover->waiting);
	free(takeover->reports);
	free(takeover->lead);
	free(takeover);
}

void slots_destroy(struct slots *slots)
{
	if (slots == NULL)
		return;
	for (uint32_t i = 0; slots->slot != NULL && i < slots->count; i++) {
		struct slot *slot = &slots->slot[i];
		replica_discard(slot->replica);
		takeover_discard(slot->takeover);
		free(slot->lead);
		free(slot->proposals);
		slot_snapshot_free(slot);
		slot_forks_free(slot);
	}
	free(slots->slot);
	free(slots->members);
	buf_free(&slots->scratch);
	free(slots);
}

/* ---- members ---- */

const struct known_member *slots_member(const struct slots *slots, struct boot_id boot)
{
	for (uint32_t i = 0; i < slots->member_count; i++) {
		if (boot_id_equals(slots->members[i].said.boot, boot))
			return &slots->members[i];
	}
	return NULL;
}

static bool is_living(enum slots_member_state state)
{
	return state <= SLOTS_MEMBER_DRAINING;
}

bool slots_is_alive(const struct slots *slots, struct boot_id boot)
{
	const struct known_member *member = slots_member(slots, boot);
	return member != NULL && is_living(member->said.state);
}

bool slots_is_reachable(const struct slots *slots, struct boot_id boot)
{
	const struct known_member *member = slots_member(slots, boot);
	return member != NULL && is_living(member->said.state) && member->said.is_linked;
}

bool slots_is_gone(const struct slots *slots, struct boot_id boot)
{
	const struct known_member *member = slots_member(slots, boot);
	return member != NULL && member->said.state == SLOTS_MEMBER_GONE;
}

bool slots_hears_majority(const struct slots *slots)
{
	return 2 * slots->living > slots->electorate;
}

bool slots_may_serve(const struct slots *slots)
{
	return slots->options.partition == SLOTS_MERGE || slots_hears_majority(slots);
}

static bool is_same(const struct slots_member *a, const struct slots_member *b)
{
	return a->state == b->state && a->is_linked == b->is_linked;
}

/* What is to be remembered of a member beside what is said now. */
static struct known_member know(const struct slots *slots, const struct slots_member *said)
{
	const struct known_member *before = slots_member(slots, said->boot);
	struct known_member known = {.said = *said, .digest = slots->count};
	if (before != NULL) {
		known.ready_ms = before->ready_ms;
		known.digest = before->digest;
	}
	if (said->state != SLOTS_MEMBER_READY)
		known.ready_ms = 0;
	else if (known.ready_ms == 0)
		known.ready_ms = slots->now_ms;
	bool was_linked = before != NULL && before->said.is_linked;
	if (said->is_linked && !was_linked)
		known.digest = 0;
	return known;
}

static void members_changed(struct slots *slots)
{
	slots->version++;
	slots->settled_ms = slots->news_ms = slots->now_ms;
	slots->living = slots->electorate = 0;
	for (uint32_t i = 0; i < slots->member_count; i++) {
		const struct slots_member *member = &slots->members[i].said;
		slots->living += is_living(member->state);
		slots->electorate += member->state != SLOTS_MEMBER_GONE;
		if (slots_is_self(slots, member->boot))
			slots->own_state = member->state;
	}
	for (uint32_t i = 0; i < slots->count; i++)
		slot_is_due(&slots->slot[i]);
}

void slots_members(struct slots *slots, const struct slots_member *members, size_t count,
                   uint64_t now_ms)
{
	CHECK(count <= MEMBERS_MAX);
	struct known_member known[MEMBERS_MAX];
	slots->now_ms = now_ms;
	bool is_new = count != slots->member_count;
	for (size_t i = 0; i < count; i++) {
		const struct known_member *before = slots_member(slots, members[i].boot);
		is_new |= before == NULL || !is_same(&before->said, &members[i]);
		known[i] = know(slots, &members[i]);
	}
	memcpy(slots->members, known, count * sizeof(known[0]));
	slots->member_count = (uint32_t)count;
	if (is_new)
		members_changed(slots);
}

/* ---- pace ---- */

/* An answer may have waited behind many others, here or there. To ask again before it can have come
 * would make all of them later still, and to give up then would be to begin it all anew. */
#define ANSWER_MS_MAX 1000u
#define ANSWER_WEIGHT 8 /* of what was measured before, against one */

void slots_answered(struct slots *slots, uint64_t asked_ms)
{
	uint64_t ms = slots->now_ms - asked_ms;
	int64_t us = 1000 * (int64_t)(ms < ANSWER_MS_MAX ? ms : ANSWER_MS_MAX);
	slots->answer_us = (uint32_t)(slots->answer_us + (us - slots->answer_us) / ANSWER_WEIGHT);
}

uint64_t slots_repair_ms(const struct slots *slots)
{
	uint64_t ms = 2 * slots->answer_us / 1000;
	return ms > SLOTS_REPAIR_MS ? ms : SLOTS_REPAIR_MS;
}

/* ---- sending ---- */

struct buf *slots_begin(struct slots *slots)
{
	buf_clear(&slots->scratch);
	return &slots->scratch;
}

struct blob *slots_take_body(struct slots *slots)
{
	struct blob *body = slots->scratch.is_broken ? NULL : blob_copy(buf_view(&slots->scratch));
	if (body == NULL)
		slots->news_ms = slots->now_ms; /* somebody may miss it */
	return body;
}

void slots_send(struct slots *slots, struct boot_id to, enum frame_type type, uint16_t slot)
{
	CHECK(!slots_is_self(slots, to));
	struct blob *body = slots_is_reachable(slots, to) ? slots_take_body(slots) : NULL;
	if (body != NULL)
		slots->out->send(slots->out, &to, type, slot, body);
	blob_drop(body);
}

void slots_send_all(struct slots *slots, enum frame_type type, uint16_t slot)
{
	struct blob *body = slots_take_body(slots);
	for (uint32_t i = 0; body != NULL && i < slots->member_count; i++) {
		const struct slots_member *member = &slots->members[i].said;
		if (member->is_linked && !slots_is_self(slots, member->boot))
			slots->out->send(slots->out, &member->boot, type, slot, body);
	}
	blob_drop(body);
}

/* ---- a slot ---- */

static struct slot *slot_at(const struct slots *slots, uint16_t number)
{
	const struct slots_options *options = &slots->options;
	if (number >= options->count || number % options->workers != options->worker)
		return NULL;
	return &slots->slot[number / options->workers];
}

void slot_is_due(struct slot *slot)
{
	slot->due_ms = 0;
}

void slot_mark_dirty(struct slots *slots, struct slot *slot)
{
	if (!list_is_linked(&slot->dirty))
		list_append(&slots->dirty, &slot->dirty);
}

/* A home that changes its own set goes on taking proposals: they wait. */
static bool slot_takes(const struct slots *slots, const struct slot *slot)
{
	if (!slots_may_serve(slots))
		return false;
	if (slot->lead != NULL)
		return true;
	return slot->takeover != NULL && slot->takeover->keeps_log;
}

static enum slots_place place_of(const struct slots *slots, const struct slot *slot)
{
	struct boot_id home = slot->entry.term.boot;
	if (slot_takes(slots, slot))
		return SLOTS_HERE;
	if (slot->entry.term.counter == 0 || slots_is_self(slots, home))
		return SLOTS_NOWHERE;
	return slots_is_alive(slots, home) ? SLOTS_THERE : SLOTS_NOWHERE;
}

void slots_role(const struct slots *slots, uint16_t number, struct slots_role *role)
{
	const struct slot *slot = slot_at(slots, number);
	CHECK(slot != NULL);
	*role = (struct slots_role){.place = place_of(slots, slot),
	                            .is_replica = slot->replica != NULL,
	                            .home = slot->entry.term.boot,
	                            .stream = slot->entry.stream};
}

static void tell_role(struct slots *slots, struct slot *slot, const struct slots_role *role,
                      struct slot_term term)
{
	slot->told = (uint8_t)role->place;
	slot->told_replica = role->is_replica;
	slot->told_term = term;
	slots->out->role(slots->out, slot->number, role);
}

void slot_tell_role(struct slots *slots, struct slot *slot)
{
	struct slots_role role;
	slots_role(slots, slot->number, &role);
	if (slot->told == role.place && slot->told_replica == role.is_replica &&
	    slot_term_equals(&slot->told_term, &slot->entry.term))
		return;
	tell_role(slots, slot, &role, slot->entry.term);
}

void slot_tell_leaving(struct slots *slots, struct slot *slot)
{
	struct slots_role role;
	slots_role(slots, slot->number, &role);
	role.place = SLOTS_NOWHERE;
	role.stream = (struct slot_term){0};
	tell_role(slots, slot, &role, (struct slot_term){0});
}

static bool is_busy(const struct slot *slot)
{
	return slot->takeover != NULL || slot->need_ms != 0 || slot->forks != NULL ||
	       slot->is_queued || (slot->replica != NULL && slot->replica->pull.is_on);
}

/* More would make all of them late, and then some give up and begin again. */
static bool is_full(const struct slots *slots)
{
	return slots->takeovers >= slots_share(slots, SLOTS_TAKEOVERS_MAX);
}

static void slot_tick(struct slots *slots, struct slot *slot)
{
	if (slot->due_ms > slots->now_ms)
		return;
	slot_want(slots, slot);
	slot->is_queued = slot->takeover == NULL && is_full(slots);
	if (slot->takeover != NULL)
		slot_seal_tick(slots, slot);
	else if (slot->lead != NULL)
		slot_home_tick(slots, slot);
	else if (!slot->is_queued)
		slot_place_tick(slots, slot);
	if (slot->replica != NULL)
		slot_replica_tick(slots, slot);
	if (slot->forks != NULL)
		slot_fork_tick(slots, slot);
	slot_snapshot_tick(slots, slot);
	slot_tell_role(slots, slot);
	slot->due_ms = slots->now_ms + (is_busy(slot) ? SLOTS_TICK_MS : SLOTS_REPAIR_MS);
}

static bool holds_something(const struct slot *slot)
{
	return slot->replica != NULL && slot_log_last(&slot->replica->log) > 0;
}

/* When a node dies a third of its slots or more want another home, of which few may ever have held
 * an entry. Somebody waits for those. */
static void tick_all(struct slots *slots, bool hold_something)
{
	for (uint32_t i = 0; i < slots->count; i++) {
		if (holds_something(&slots->slot[i]) == hold_something)
			slot_tick(slots, &slots->slot[i]);
	}
}

void slots_tick(struct slots *slots, uint64_t now_ms)
{
	CHECK(now_ms >= slots->now_ms);
	slots->now_ms = now_ms;
	slots_gossip(slots);
	tick_all(slots, true);
	tick_all(slots, false);
	slots_flush(slots);
}

void slots_flush(struct slots *slots)
{
	struct list_node *node;
	while ((node = list_first(&slots->dirty)) != NULL) {
		struct slot *slot = CONTAINER_OF(node, struct slot, dirty);
		list_remove(node);
		if (slot->lead != NULL)
			slot_home_flush(slots, slot);
		else if (slot->replica != NULL)
			slot_replica_flush(slots, slot);
	}
}

/* ---- what comes in ---- */

static bool take(struct slots *slots, struct slot *slot, const struct boot_id *from,
                 const struct frame *frame)
{
	typedef bool take_fn(struct slots *, struct slot *, const struct boot_id *, struct slice);
	static take_fn *const takers[] = {
		[FRAME_MAP] = slot_take_map,         [FRAME_MAP_DIGEST] = slot_take_digest,
		[FRAME_SEAL] = slot_take_seal,       [FRAME_SEALED] = slot_take_sealed,
		[FRAME_REFUSED] = slot_take_refused, [FRAME_INSTALL] = slot_take_install,
		[FRAME_APPEND] = slot_take_append,   [FRAME_HOLDS] = slot_take_holds,
		[FRAME_NEED] = slot_take_need,       [FRAME_STATE] = slot_take_state,
		[FRAME_FORK] = slot_take_fork,       [FRAME_FORK_OK] = slot_take_fork_ok,
	};
	if ((unsigned)frame->type >= COUNT_OF(takers) || takers[frame->type] == NULL)
		return false;
	return takers[frame->type](slots, slot, from, frame->body);
}

bool slots_take(struct slots *slots, const struct boot_id *from, const struct frame *frame,
                uint64_t now_ms)
{
	CHECK(now_ms >= slots->now_ms);
	CHECK(!slots_is_self(slots, *from));
	slots->now_ms = now_ms;
	struct slot *slot = slot_at(slots, frame->slot);
	if (slot == NULL)
		return false;
	if (!take(slots, slot, from, frame))
		return false;
	slot_tell_role(slots, slot);
	return true;
}

struct blob *slots_entry_make(struct slice bytes)
{
	struct blob *entry = blob_make(bytes.len + sizeof(struct blob *));
	if (entry == NULL)
		return NULL;
	entry->len -= (uint32_t)sizeof(struct blob *);
	if (bytes.len > 0)
		memcpy(entry->bytes, bytes.at, bytes.len);
	slots_entry_set_next(entry, NULL);
	return entry;
}

struct blob *slots_entry_next(const struct blob *entry)
{
	struct blob *next;
	memcpy(&next, entry->bytes + entry->len, sizeof(struct blob *));
	return next;
}

void slots_entry_set_next(struct blob *entry, struct blob *next)
{
	memcpy(entry->bytes + entry->len, &next, sizeof(struct blob *));
}

bool slots_propose(struct slots *slots, uint16_t number, struct blob *entry, uint64_t cookie)
{
	struct slot *slot = slot_at(slots, number);
	CHECK(slot != NULL);
	CHECK(entry->len <= SLOT_ENTRY_MAX);
	if (!slot_takes(slots, slot))
		return false;
	if (slot->lead != NULL)
		return slot_append(slots, slot, entry, cookie);
	return slot_wait(slots, slot, entry, cookie);
}

/* ---- what is to be seen ---- */

const struct slots_counters *slots_counters(const struct slots *slots)
{
	return &slots->counters;
}

static void add_lag(const struct slots *slots, const struct slot *slot, struct slots_lag *lag)
{
	const struct slot_set *set = &slot->entry.set;
	uint64_t last = slot_log_last(&slot->replica->log);
	lag->uncommitted += last - slot->replica->commit;
	for (unsigned i = 0; i < set->count; i++) {
		uint64_t held = slot->lead->followers[i].held;
		if (!slots_is_self(slots, set->at[i]) && held < last && last - held > lag->behind)
			lag->behind = last - held;
	}
	unsigned spare = slot_spare(slots, set);
	if (spare < lag->spare)
		lag->spare = spare;
}

struct slots_lag slots_lag(const struct slots *slots)
{
	struct slots_lag lag = {.spare = slot_majority(slots->options.replicas) - 1u};
	for (uint32_t i = 0; i < slots->count; i++) {
		const struct slot *slot = &slots->slot[i];
		if (slot->lead != NULL)
			add_lag(slots, slot, &lag);
		if (slot->entry.term.counter > lag.term)
			lag.term = slot->entry.term.counter;
	}
	return lag;
}

static bool slot_is_settled(const struct slots *slots, const struct slot *slot)
{
	if (slot->takeover != NULL || slot->need_ms != 0 || slot->forks != NULL)
		return false;
	bool is_member = slot_set_has(&slot->entry.set, slots->options.boot);
	if (slots->own_state == SLOTS_MEMBER_DRAINING)
		return !is_member;
	if (slot->lead == NULL)
		return true;
	if (slot->entry.set.count != slot->wanted_count)
		return false;
	for (unsigned i = 0; i < slot->wanted_count; i++) {
		const struct known_member *member = &slots->members[slot->wanted[i]];
		if (!slot_set_has(&slot->entry.set, member->said.boot))
			return false;
	}
	return boot_id_equals(slots->members[slot->wanted[0]].said.boot, slot->entry.term.boot);
}

bool slots_is_settled(const struct slots *slots)
{
	for (uint32_t i = 0; i < slots->count; i++) {
		if (!slot_is_settled(slots, &slots->slot[i]))
			return false;
	}
	return true;
}
