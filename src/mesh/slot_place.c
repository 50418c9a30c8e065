/*
 * Who should be what. Each slot wants the members with the highest claims for replicas, and the
 * first of them for its home. A home replaces its replicas one at a time, each by one that has
 * copied the log before, so that nothing waits for a copy; who is wanted for home takes over once
 * it is a replica. For a home that has died the first of its replicas that lives does, then the
 * next.
 */
#include "mesh/slots_state.h"

#define TURN_MS 1000u     /* after one that should have taken over, the next one does */
#define FORM_MS 1000u     /* nobody came or went so long: a slot of nobody is opened */
#define CALM_MS 2000u     /* between two changes that need not be */
#define MEET_MS 3000u     /* in which two nodes have told each other what homes they know */
#define NEARLY 1024u      /* so few entries behind, a learner is made a replica */
#define LEARNER_MS 15000u /* without any progress, it is given up */
#define INSIST_MS (2 * SLOTS_UNCLEAN_MS)

/* ---- claims ---- */

static bool suits(const struct slots *slots, const struct known_member *member)
{
	return member->said.state == SLOTS_MEMBER_READY &&
	       (member->said.is_linked || slots_is_self(slots, member->said.boot));
}

/* Puts it where its claim belongs among the first few. */
static void place(const struct slots *slots, struct slot *slot, uint64_t *claims, uint16_t i)
{
	uint64_t claim = slot_claim(slots->members[i].said.boot, slot->number);
	unsigned at = slot->wanted_count;
	while (at > 0 && claims[at - 1] < claim)
		at--;
	if (at == slots->options.replicas)
		return;
	if (slot->wanted_count < slots->options.replicas)
		slot->wanted_count++;
	for (unsigned k = slot->wanted_count - 1u; k > at; k--) {
		claims[k] = claims[k - 1];
		slot->wanted[k] = slot->wanted[k - 1];
	}
	claims[at] = claim;
	slot->wanted[at] = i;
}

void slot_want(struct slots *slots, struct slot *slot)
{
	if (slot->wanted_version == slots->version)
		return;
	uint64_t claims[SLOT_REPLICAS_MAX];
	slot->wanted_version = slots->version;
	slot->wanted_count = 0;
	for (uint16_t i = 0; i < slots->member_count; i++) {
		if (suits(slots, &slots->members[i]))
			place(slots, slot, claims, i);
	}
}

static const struct known_member *wanted(const struct slots *slots, const struct slot *slot,
                                         unsigned i)
{
	return &slots->members[slot->wanted[i]];
}

static bool is_wanted(const struct slots *slots, const struct slot *slot, struct boot_id boot)
{
	for (unsigned i = 0; i < slot->wanted_count; i++) {
		if (boot_id_equals(wanted(slots, slot, i)->said.boot, boot))
			return true;
	}
	return false;
}

static bool is_settled(const struct slots *slots, const struct known_member *member)
{
	return slots->now_ms - member->ready_ms >= SLOTS_SETTLE_MS;
}

/* ---- taking over ---- */

/* Itself, those of the set that can be had, and only where they are fewer than it takes, others. */
static struct slot_set set_around(const struct slots *slots, const struct slot *slot)
{
	struct slot_set set = {.count = 1, .at = {slots->options.boot}};
	for (unsigned i = 0; i < slot->entry.set.count && set.count < slots->options.replicas;
	     i++) {
		struct boot_id boot = slot->entry.set.at[i];
		if (!slot_set_has(&set, boot) && slots_is_reachable(slots, boot))
			slot_set_add(&set, boot);
	}
	for (unsigned i = 0; i < slot->wanted_count && set.count < slot->wanted_count; i++) {
		struct boot_id boot = wanted(slots, slot, i)->said.boot;
		if (!slot_set_has(&set, boot))
			slot_set_add(&set, boot);
	}
	return set;
}

static bool may_act(const struct slots *slots)
{
	return slots->own_state == SLOTS_MEMBER_READY || slots->own_state == SLOTS_MEMBER_DRAINING;
}

/* How many are to take over before this node. Those of the set come first, by their claims. */
static unsigned turn(const struct slots *slots, const struct slot *slot)
{
	struct boot_id self = slots->options.boot;
	bool is_in = slot_set_has(&slot->entry.set, self);
	uint64_t claim = slot_claim(self, slot->number);
	/* Who drains is the last one. */
	bool is_leaving = slots->own_state == SLOTS_MEMBER_DRAINING;
	unsigned before = is_leaving ? slots->options.replicas : 0;
	for (unsigned i = 0; i < slot->entry.set.count; i++) {
		struct boot_id boot = slot->entry.set.at[i];
		bool is_above = !is_in || slot_claim(boot, slot->number) > claim;
		before +=
			!boot_id_equals(boot, self) && is_above && slots_is_reachable(slots, boot);
	}
	for (unsigned i = 0; !is_in && i < slot->wanted_count; i++) {
		struct boot_id boot = wanted(slots, slot, i)->said.boot;
		if (boot_id_equals(boot, self))
			return before;
		before += !slot_set_has(&slot->entry.set, boot);
	}
	return before;
}

/* All that held it have ended: there is nobody to wait for. */
static bool is_extinct(const struct slots *slots, const struct slot_set *set)
{
	for (unsigned i = 0; i < set->count; i++) {
		if (!slots_is_gone(slots, set->at[i]))
			return false;
	}
	return true;
}

static bool may_open(const struct slots *slots)
{
	return slots_hears_majority(slots) || slots->options.partition == SLOTS_MERGE;
}

/* There is no home. */
static void need_home(struct slots *slots, struct slot *slot)
{
	bool may_serve = slots_may_serve(slots);
	if (slot->need_ms == 0 || !may_serve)
		slot->need_ms = slots->now_ms;
	if (!may_serve || slots->now_ms < slot->retry_ms)
		return;
	uint64_t waited = slots->now_ms - slot->need_ms;
	uint64_t each_ms = slots_repair_ms(slots) > TURN_MS ? slots_repair_ms(slots) : TURN_MS;
	uint64_t turn_ms = turn(slots, slot) * each_ms;
	if (waited < turn_ms)
		return;
	waited -= turn_ms;
	struct slot_set set = set_around(slots, slot);
	bool can_seal = slot_can_seal(slots, &slot->entry.set);
	uint64_t unclean_ms = is_extinct(slots, &slot->entry.set) ? 0 : SLOTS_UNCLEAN_MS;
	if (can_seal && waited < INSIST_MS)
		slot_take_over(slots, slot, &set, false);
	else if (waited >= unclean_ms && may_open(slots))
		slot_open(slots, slot, &set);
}

/* Nobody has ever had it, as far as is known. */
static void need_first(struct slots *slots, struct slot *slot)
{
	bool is_mine =
		slot->wanted_count > 0 && slots_is_self(slots, wanted(slots, slot, 0)->said.boot);
	if (!is_mine || slots->now_ms - slots->settled_ms < FORM_MS ||
	    slots->now_ms < slot->retry_ms || !may_open(slots))
		return;
	struct slot_set set = set_around(slots, slot);
	slot_open(slots, slot, &set);
}

/* Is this node to relieve a home that lives? One that drains by the first that it has, any other by
 * the one with the highest claim. */
static bool relieves(const struct slots *slots, const struct slot *slot)
{
	const struct replica *replica = slot->replica;
	const struct known_member *home = slots_member(slots, slot->entry.term.boot);
	if (slots->own_state != SLOTS_MEMBER_READY || replica == NULL || !replica->is_whole ||
	    !slot_term_equals(&replica->accepted, &slot->entry.term) ||
	    !slot_term_equals(&slot->promised, &slot->entry.term) ||
	    !slot_set_has(&slot->entry.set, slots->options.boot) || home == NULL)
		return false;
	if (home->said.state == SLOTS_MEMBER_DRAINING)
		return turn(slots, slot) == (slot_claim(home->said.boot, slot->number) >
		                             slot_claim(slots->options.boot, slot->number));
	const struct known_member *self = slots_member(slots, slots->options.boot);
	return slots_is_self(slots, wanted(slots, slot, 0)->said.boot) && is_settled(slots, self) &&
	       slots->now_ms - slot->calm_ms >= CALM_MS;
}

void slot_place_tick(struct slots *slots, struct slot *slot)
{
	struct boot_id home = slot->entry.term.boot;
	if (!may_act(slots))
		return;
	if (slot->entry.term.counter == 0) {
		need_first(slots, slot);
		return;
	}
	if (slots_is_self(slots, home) || !slots_is_alive(slots, home)) {
		need_home(slots, slot);
		return;
	}
	slot->need_ms = 0;
	if (slots->now_ms < slot->retry_ms || !relieves(slots, slot))
		return;
	slot->is_queued = slots->moving >= slots_share(slots, SLOTS_MOVING_MAX);
	if (!slot->is_queued)
		slot_take_over(slots, slot, &slot->entry.set, true);
}

/* ---- a home's replicas ---- */

struct plan {
	bool is_change, has_newcomer, has_victim;
	bool is_urgent; /* it cannot stay as it is */
	struct boot_id newcomer, victim;
};

static bool is_slow(const struct slots *slots, const struct slot *slot, struct boot_id boot)
{
	return slots->now_ms < slot->lead->slow_until_ms && boot_id_equals(slot->lead->slow, boot);
}

/* The one with the highest claim that is not in the set. */
static const struct known_member *best_outside(const struct slots *slots, const struct slot *slot)
{
	const struct known_member *best = NULL;
	for (uint32_t i = 0; i < slots->member_count; i++) {
		const struct known_member *member = &slots->members[i];
		struct boot_id boot = member->said.boot;
		if (!suits(slots, member) || slot_set_has(&slot->entry.set, boot) ||
		    is_slow(slots, slot, boot))
			continue;
		if (best == NULL ||
		    slot_claim(boot, slot->number) > slot_claim(best->said.boot, slot->number))
			best = member;
	}
	return best;
}

/* One that cannot stay: dead, draining or cut off before one that is slow. */
static bool find_bad(const struct slots *slots, const struct slot *slot, struct plan *plan)
{
	for (unsigned i = 0; i < slot->entry.set.count; i++) {
		struct boot_id boot = slot->entry.set.at[i];
		const struct known_member *member = slots_member(slots, boot);
		if (slots_is_self(slots, boot))
			continue;
		bool is_lost = member == NULL || !suits(slots, member);
		if (!is_lost && (plan->has_victim || !is_slow(slots, slot, boot)))
			continue;
		plan->has_victim = plan->is_urgent = true;
		plan->victim = boot;
		if (is_lost)
			return true;
	}
	return false;
}

/* Who makes room for a better one: not wanted, or, where the home itself is not, anybody. */
static void find_victim(const struct slots *slots, const struct slot *slot, struct plan *plan)
{
	bool is_home_wanted = is_wanted(slots, slot, slots->options.boot);
	for (unsigned i = 0; i < slot->entry.set.count; i++) {
		struct boot_id boot = slot->entry.set.at[i];
		bool is_kept = slots_is_self(slots, boot) ||
		               (is_home_wanted && is_wanted(slots, slot, boot));
		bool is_least = !plan->has_victim || slot_claim(boot, slot->number) <
		                                             slot_claim(plan->victim, slot->number);
		if (is_kept || !is_least)
			continue;
		plan->has_victim = true;
		plan->victim = boot;
	}
}

/* More than there are to be, as they were when the set was another home's, or one came to take
 * over.
 */
static bool is_crowded(const struct slots *slots, const struct slot *slot)
{
	return slot->entry.set.count > slots->options.replicas &&
	       is_wanted(slots, slot, slots->options.boot) &&
	       slots->now_ms - slot->calm_ms >= CALM_MS;
}

/* With nobody beside it that could relieve it, it waits for no better one to come. */
static bool leaves_alone(const struct slots *slots, const struct slot *slot)
{
	return slots->own_state == SLOTS_MEMBER_DRAINING && slot->entry.set.count == 1;
}

/* What would be lost with this node waits no longer than it takes to hear whether the other one
 * knows a home of it, lest two streams grow. */
static bool may_copy_only_one(const struct slots *slots, const struct slot *slot,
                              const struct known_member *member)
{
	return slots->options.replicas > 1 && slot->entry.set.count == 1 &&
	       slots->now_ms - member->ready_ms >= MEET_MS;
}

/* Nobody has to go; but one that is better may come. */
static void plan_better(const struct slots *slots, const struct slot *slot, struct plan *plan)
{
	const struct slot_set *set = &slot->entry.set;
	if (set->count < slots->options.replicas) {
		plan->is_change = true;
	} else if (is_wanted(slots, slot, plan->newcomer)) {
		find_victim(slots, slot, plan);
		/* A home that is alone and gives way to it has it beside itself for a while. */
		plan->is_change = plan->has_victim || set->count == 1;
	}
}

static struct plan plan_for(const struct slots *slots, const struct slot *slot)
{
	struct plan plan = {0};
	bool is_lost = find_bad(slots, slot, &plan);
	const struct known_member *newcomer = best_outside(slots, slot);
	uint32_t count = slot->entry.set.count, replicas = slots->options.replicas;
	if (!plan.has_victim && is_crowded(slots, slot)) {
		find_victim(slots, slot, &plan);
		plan.is_change = plan.has_victim;
		return plan;
	}
	if (newcomer != NULL && (!plan.has_victim || count <= replicas)) {
		plan.has_newcomer = true;
		plan.newcomer = newcomer->said.boot;
	}
	if (plan.has_victim) {
		plan.is_change = plan.has_newcomer || is_lost || count > replicas;
		return plan;
	}
	plan.is_urgent = leaves_alone(slots, slot);
	if (plan.has_newcomer && (is_settled(slots, newcomer) || plan.is_urgent ||
	                          may_copy_only_one(slots, slot, newcomer)))
		plan_better(slots, slot, &plan);
	return plan;
}

void slot_drop_learner(struct slots *slots, struct slot *slot)
{
	struct lead *lead = slot->lead;
	slots->moving -= lead->has_learner && !lead->learner_is_urgent;
	lead->has_learner = false;
}

static void begin_learner(struct slots *slots, struct slot *slot, const struct plan *plan)
{
	struct lead *lead = slot->lead;
	slot_drop_learner(slots, slot);
	if (!plan->is_urgent && (slots->moving >= slots_share(slots, SLOTS_MOVING_MAX) ||
	                         slots->now_ms - slot->calm_ms < CALM_MS))
		return;
	lead->has_learner = true;
	lead->learner_is_urgent = plan->is_urgent;
	lead->learner = plan->newcomer;
	lead->learner_held = 0;
	lead->has_held = false;
	lead->learner_ms = slots->now_ms;
	slots->moving += !plan->is_urgent;
	slot_say_install(slots, slot, lead->learner);
}

static bool has_learned(const struct slot *slot)
{
	const struct lead *lead = slot->lead;
	return lead->has_held && lead->learner_held >= lead->start.lsn &&
	       lead->learner_held + NEARLY >= slot_log_last(&slot->replica->log);
}

static void change_set(struct slots *slots, struct slot *slot, const struct plan *plan)
{
	struct slot_set set = slot->entry.set;
	if (slots->now_ms < slot->retry_ms || !slot_can_seal(slots, &slot->entry.set))
		return;
	if (plan->has_victim)
		slot_set_remove(&set, plan->victim);
	if (plan->has_newcomer)
		slot_set_add(&set, plan->newcomer);
	slot_take_over(slots, slot, &set, false);
}

static void carry_out(struct slots *slots, struct slot *slot, const struct plan *plan)
{
	struct lead *lead = slot->lead;
	if (!plan->is_change) {
		slot_drop_learner(slots, slot);
		return;
	}
	if (!plan->has_newcomer) {
		change_set(slots, slot, plan);
		return;
	}
	bool is_same = lead->has_learner && boot_id_equals(lead->learner, plan->newcomer);
	if (!is_same)
		begin_learner(slots, slot, plan);
	else if (has_learned(slot))
		change_set(slots, slot, plan);
	else if (slots->now_ms - lead->learner_ms >= LEARNER_MS) {
		lead->slow = lead->learner;
		lead->slow_until_ms = slots->now_ms + LEARNER_MS;
		slot_drop_learner(slots, slot);
	}
}

/* Too few of the set live to commit anything: as if there were no home. */
static bool is_stuck(const struct slots *slots, const struct slot *slot)
{
	unsigned count = 0;
	for (unsigned i = 0; i < slot->entry.set.count; i++) {
		struct boot_id boot = slot->entry.set.at[i];
		count += slots_is_self(slots, boot) || slots_is_reachable(slots, boot);
	}
	return count < slot_majority(slot->entry.set.count);
}

void slot_plan(struct slots *slots, struct slot *slot)
{
	if (is_stuck(slots, slot)) {
		slot_drop_learner(slots, slot);
		need_home(slots, slot);
		return;
	}
	slot->need_ms = 0;
	struct plan plan = plan_for(slots, slot);
	carry_out(slots, slot, &plan);
}
