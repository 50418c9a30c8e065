/*
 * What a home does: gives entries their numbers, sends them to the replicas, commits what a
 * majority holds, and tells those that lack something.
 */
#include "mesh/slots_state.h"

/* Between two INSTALL to one that lacks nothing; and longer by the slot's number, so that those of
 * all slots do not come together. */
#define REST_MS 2000u
#define INSTALL_MS 10000u /* a new replica may copy so long before it is slow */
#define SLOW_FOR_MS 30000u

/* ---- beginning and ending ---- */

static void count_lead(struct slots *slots, const struct takeover *takeover)
{
	struct slots_counters *counters = &slots->counters;
	bool was_own = slots_is_self(slots, takeover->base.term.boot);
	if (takeover->is_unclean && takeover->base.term.counter != 0)
		counters->unclean++;
	else if (takeover->is_unclean)
		counters->opened++;
	else if (was_own)
		counters->changes++;
	else
		counters->takeovers++;
	if (!was_own && takeover->is_motion)
		counters->handovers++;
}

/* Behind one that is refused all are: what they say may go on from it. */
static void append_waiting(struct slots *slots, struct slot *slot, struct takeover *takeover)
{
	bool is_good = true;
	for (uint32_t i = 0; i < takeover->waiting_count; i++) {
		struct waiting *waiting = &takeover->waiting[i];
		slots->counters.proposed--; /* it was counted when it came */
		is_good = is_good && slot_append(slots, slot, waiting->blob, waiting->cookie);
		if (!is_good) {
			slots->counters.refused++;
			slots->out->refused(slots->out, slot->number, waiting->blob,
			                    waiting->cookie);
		}
		blob_drop(waiting->blob);
	}
	free(takeover->waiting);
}

/* A majority holds the log of the new term, so all of it holds. Frees the take-over. */
void slot_lead(struct slots *slots, struct slot *slot, struct takeover *takeover)
{
	struct lead *lead = takeover->lead;
	CHECK(slot->lead == NULL);
	CHECK(slot_term_equals(&slot->promised, &takeover->entry.term));
	slot->lead = lead;
	slot->entry = takeover->entry;
	slot->calm_ms = slots->news_ms = slots->now_ms;
	slot->need_ms = 0;
	slot->contests = 0;
	slot->retry_ms = 0;
	slot_forget_proposals(slot, &slot->entry.term);
	lead->start = takeover->start;
	lead->sent = takeover->start.lsn;
	for (unsigned i = 0; i < slot->entry.set.count; i++) {
		uint64_t held = takeover->held[i];
		lead->followers[i] = (struct follower){.held = held > 0 ? held - 1 : 0,
		                                       .goal = lead->start.lsn,
		                                       .goal_ms = slots->now_ms};
	}
	slots->moving -= takeover->is_motion;
	count_lead(slots, takeover);
	slot_advance(slots, slot, lead->start.lsn);
	wire_entry_write(slots_begin(slots), &slot->entry);
	slots_send_all(slots, FRAME_MAP, slot->number);
	append_waiting(slots, slot, takeover);
	free(takeover->reports);
	free(takeover);
	slot_is_due(slot);
}

void slot_step_down(struct slots *slots, struct slot *slot)
{
	if (slot->lead == NULL)
		return;
	slot_drop_learner(slots, slot);
	free(slot->lead);
	slot->lead = NULL;
	slot_is_due(slot);
}

/* ---- committing ---- */

static void commit(struct slots *slots, struct slot *slot)
{
	const struct lead *lead = slot->lead;
	unsigned count = slot->entry.set.count;
	uint64_t held[SLOT_REPLICAS_MAX];
	for (unsigned i = 0; i < count; i++) {
		bool is_self = slots_is_self(slots, slot->entry.set.at[i]);
		uint64_t lsn =
			is_self ? slot_log_last(&slot->replica->log) : lead->followers[i].held;
		unsigned at = i;
		for (; at > 0 && held[at - 1] < lsn; at--)
			held[at] = held[at - 1];
		held[at] = lsn;
	}
	uint64_t lsn = held[slot_majority(count) - 1];
	if (lsn <= slot->replica->commit)
		return;
	slot_advance(slots, slot, lsn);
	slot_merged(slots, slot);
}

bool slot_append(struct slots *slots, struct slot *slot, struct blob *entry, uint64_t cookie)
{
	struct replica *replica = slot->replica;
	struct slot_log *log = &replica->log;
	if (slot_log_last(log) - replica->commit >= SLOTS_PENDING_ENTRIES ||
	    log->bytes >= SLOTS_PENDING_BYTES)
		return false;
	struct slot_item item = {slot->entry.term, entry, cookie, slots->now_ms};
	if (!slot_log_append(log, &item))
		return false;
	slots->counters.proposed++;
	if (slot->entry.set.count == 1)
		commit(slots, slot);
	else
		slot_mark_dirty(slots, slot);
	return true;
}

bool slot_take_holds(struct slots *slots, struct slot *slot, const struct boot_id *from,
                     struct slice body)
{
	struct wire_holds holds;
	if (!wire_holds_read(body, &holds))
		return false;
	struct takeover *takeover = slot->takeover;
	if (takeover != NULL && takeover->phase == TAKEOVER_INSTALLING &&
	    slot_term_equals(&holds.term, &takeover->entry.term)) {
		slot_installed(slots, slot, from, &holds);
		return true;
	}
	struct lead *lead = slot->lead;
	if (lead == NULL || !slot_term_equals(&holds.term, &slot->entry.term) ||
	    holds.lsn > slot_log_last(&slot->replica->log))
		return true;
	if (lead->has_learner && boot_id_equals(lead->learner, *from) &&
	    (!lead->has_held || holds.lsn > lead->learner_held)) {
		lead->has_held = true;
		lead->learner_held = holds.lsn;
		lead->learner_ms = slots->now_ms;
		slot_is_due(slot);
	}
	for (unsigned i = 0; i < slot->entry.set.count; i++) {
		if (boot_id_equals(slot->entry.set.at[i], *from) &&
		    lead->followers[i].held < holds.lsn)
			lead->followers[i].held = holds.lsn;
	}
	commit(slots, slot);
	return true;
}

/* ---- sending ---- */

void slot_say_install(struct slots *slots, const struct slot *slot, struct boot_id to)
{
	const struct replica *replica = slot->replica;
	bool is_active = slot->lead != NULL;
	struct wire_install install = {.entry = is_active ? slot->entry : slot->takeover->entry,
	                               .start = is_active ? slot->lead->start
	                                                  : slot->takeover->start,
	                               .last = slot_log_last(&replica->log),
	                               .commit = replica->commit,
	                               .is_active = is_active};
	wire_install_write(slots_begin(slots), &install);
	slots_send(slots, to, FRAME_INSTALL, slot->number);
}

static void send_to_set(struct slots *slots, const struct slot *slot, enum frame_type type)
{
	struct blob *body = slots_take_body(slots);
	for (unsigned i = 0; body != NULL && i < slot->entry.set.count; i++) {
		struct boot_id to = slot->entry.set.at[i];
		if (!slots_is_self(slots, to) && slots_is_reachable(slots, to))
			slots->out->send(slots->out, &to, type, slot->number, body);
	}
	blob_drop(body);
}

/* One body for all replicas; who does not stand where it begins asks for what it lacks. */
static void send_batch(struct slots *slots, struct slot *slot)
{
	struct lead *lead = slot->lead;
	uint64_t sent = slot_append_write(slots, slot, &slot->entry.term, lead->sent);
	send_to_set(slots, slot, FRAME_APPEND);
	lead->sent = sent;
	lead->told_commit = slot->replica->commit;
}

void slot_home_flush(struct slots *slots, struct slot *slot)
{
	struct lead *lead = slot->lead;
	if (lead->sent < slot->replica->log.base.lsn) /* committed and gone: others have it */
		lead->sent = slot->replica->log.base.lsn;
	while (lead->sent < slot_log_last(&slot->replica->log))
		send_batch(slots, slot);
}

/* ---- from time to time ---- */

static void watch_follower(struct slots *slots, struct slot *slot, unsigned i)
{
	struct lead *lead = slot->lead;
	struct follower *follower = &lead->followers[i];
	if (follower->held >= follower->goal) {
		follower->goal = slot_log_last(&slot->replica->log);
		follower->goal_ms = slots->now_ms;
		return;
	}
	uint64_t allowed = follower->held < lead->start.lsn ? INSTALL_MS : SLOTS_SLOW_MS;
	if (slots->now_ms - follower->goal_ms < allowed)
		return;
	lead->slow = slot->entry.set.at[i];
	lead->slow_until_ms = slots->now_ms + SLOW_FOR_MS;
}

static bool says_install(const struct slots *slots, const struct slot *slot)
{
	return slots->now_ms - slot->lead->said_ms >= REST_MS + slot->number ||
	       slot->lead->told_commit < slot->replica->commit;
}

static void remind(struct slots *slots, struct slot *slot)
{
	struct lead *lead = slot->lead;
	uint64_t last = slot_log_last(&slot->replica->log);
	bool is_time = says_install(slots, slot);
	bool is_again = is_time || slots->now_ms - lead->reminded_ms >= slots_repair_ms(slots);
	for (unsigned i = 0; i < slot->entry.set.count; i++) {
		if (slots_is_self(slots, slot->entry.set.at[i]))
			continue;
		if (is_time || (is_again && lead->followers[i].held < last))
			slot_say_install(slots, slot, slot->entry.set.at[i]);
		watch_follower(slots, slot, i);
	}
	if (is_again && lead->has_learner)
		slot_say_install(slots, slot, lead->learner);
	if (is_again)
		lead->reminded_ms = slots->now_ms;
	if (!is_time)
		return;
	lead->said_ms = slots->now_ms;
	lead->told_commit = slot->replica->commit;
}

void slot_home_tick(struct slots *slots, struct slot *slot)
{
	remind(slots, slot);
	if (!slot->is_queued)
		slot_plan(slots, slot);
}
