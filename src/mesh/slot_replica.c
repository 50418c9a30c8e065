/*
 * Holding a log. A replica has accepted a term when its log is known to be that of the term's home
 * as far as it goes; from then on it grows at its end alone, and what it holds it says.
 */
#include "mesh/slots_state.h"

#define LEAVE_MS 2000u   /* unwanted so long, it is given up */
#define SILENT_MS 10000u /* a home says INSTALL more often */

struct replica *slot_replica_make(struct slot *slot, const struct slot_term *stream)
{
	CHECK(slot->replica == NULL);
	slot->replica = calloc(1, sizeof(*slot->replica));
	if (slot->replica != NULL)
		slot->replica->stream = *stream;
	return slot->replica;
}

static void refuse_behind(struct slots *slots, struct slot *slot, uint64_t lsn)
{
	struct slot_log *log = &slot->replica->log;
	uint64_t first = lsn < log->base.lsn ? log->base.lsn : lsn;
	for (uint64_t at = first + 1; at <= slot_log_last(log); at++) {
		struct slot_item *item = slot_log_at(log, at);
		if (item->cookie == 0)
			continue;
		slots->counters.refused++;
		slots->out->refused(slots->out, slot->number, item->blob, item->cookie);
		item->cookie = 0;
	}
}

void slot_cut(struct slots *slots, struct slot *slot, uint64_t lsn)
{
	CHECK(lsn >= slot->replica->commit);
	refuse_behind(slots, slot, lsn);
	slot_log_cut(&slot->replica->log, lsn);
}

void slot_replica_free(struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	CHECK(slot->lead == NULL);
	slot_pull_end(slots, slot);
	slot_snapshot_free(slot);
	refuse_behind(slots, slot, replica->commit);
	slot_log_reset(&replica->log, &replica->log.base);
	free(replica);
	slot->replica = NULL;
	slots->out->clear(slots->out, slot->number);
}

/* ---- applying ---- */

/* A window of what was applied is kept for those that lag; none where there is nobody else. */
static void trim(const struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	struct slot_log *log = &replica->log;
	bool is_alone =
		slot->lead != NULL && slot->entry.set.count == 1 && !slot->lead->has_learner;
	uint64_t entries_max = is_alone ? 0 : SLOTS_WINDOW_ENTRIES;
	while (log->base.lsn < replica->commit &&
	       (replica->commit - log->base.lsn > entries_max || log->bytes > SLOTS_WINDOW_BYTES ||
	        slot_log_at(log, log->base.lsn + 1)->at_ms + SLOTS_WINDOW_MS <= slots->now_ms))
		slot_log_trim(log, log->base.lsn + 1);
}

void slot_advance(struct slots *slots, struct slot *slot, uint64_t commit)
{
	struct replica *replica = slot->replica;
	CHECK(commit <= slot_log_last(&replica->log));
	while (replica->commit < commit) {
		struct slot_item *item = slot_log_at(&replica->log, ++replica->commit);
		uint64_t cookie = item->cookie;
		item->cookie = 0;
		slots->counters.committed++;
		slots->out->apply(slots->out, slot->number, replica->commit, item->blob, cookie);
	}
	trim(slots, slot);
}

void slot_advance_unsure(struct slots *slots, struct slot *slot)
{
	refuse_behind(slots, slot, slot->replica->commit);
	slot_tell_leaving(slots, slot);
	slot_advance(slots, slot, slot_log_last(&slot->replica->log));
}

/* What is applied is of the stream that was told; where that is not known yet it is said again. */
static void follow_commit(struct slots *slots, struct slot *slot, uint64_t commit)
{
	if (!slot_term_equals(&slot->replica->stream, &slot->entry.stream))
		return;
	slot_tell_role(slots, slot);
	uint64_t last = slot_log_last(&slot->replica->log);
	commit = commit < last ? commit : last;
	if (commit > slot->replica->commit)
		slot_advance(slots, slot, commit);
}

static void owe(struct slots *slots, struct slot *slot)
{
	slot->replica->owes = true;
	slot_mark_dirty(slots, slot);
}

static bool has_accepted(const struct replica *replica, const struct slot_term *term)
{
	return replica->is_whole && slot_term_equals(&replica->accepted, term);
}

/* The log is that of the home of `installing` up to `lsn`. */
static void accept(struct slots *slots, struct slot *slot, uint64_t lsn)
{
	struct replica *replica = slot->replica;
	if (!has_accepted(replica, &replica->installing)) {
		if (!replica->is_whole || lsn < replica->start.lsn || lsn < replica->commit)
			return;
		slot_cut(slots, slot, lsn);
		replica->accepted = replica->installing;
		replica->has_lost = false;
	}
	owe(slots, slot);
}

/* ---- INSTALL ---- */

/* A log of that stream, if it may be one now. NULL: later. */
static struct replica *prepare(struct slots *slots, struct slot *slot,
                               const struct wire_install *install)
{
	struct replica *replica = slot->replica;
	if (replica != NULL && !slot_term_equals(&replica->stream, &install->entry.stream)) {
		if (replica->strayed_ms == 0)
			replica->strayed_ms = slots->now_ms;
		bool is_over = slots->now_ms - replica->strayed_ms >= SLOTS_GRACE_MS;
		bool is_empty = slot_log_last(&replica->log) == 0;
		if ((!is_over && !is_empty) || !slot_fork(slots, slot))
			return NULL;
		replica = NULL;
	}
	if (replica == NULL)
		replica = slot_replica_make(slot, &install->entry.stream);
	/* It began with nothing: there is nothing to copy, unless a state is on its way already. */
	if (replica != NULL && !replica->is_whole && !replica->is_partial &&
	    install->start.lsn == 0)
		slot_begin_empty(slots, slot);
	return replica;
}

static void take_install(struct slots *slots, struct slot *slot, const struct boot_id *from,
                         const struct wire_install *install)
{
	struct replica *replica = prepare(slots, slot, install);
	if (replica == NULL)
		return;
	replica->installing = install->entry.term;
	replica->start = install->start;
	replica->heard_ms = slots->now_ms;
	const struct slot_term *term = &install->entry.term;
	bool is_known =
		install->start.lsn <= replica->commit
			? install->start.lsn == replica->commit || has_accepted(replica, term)
			: slot_log_has(&replica->log, &install->start);
	if (replica->is_whole && is_known)
		accept(slots, slot, install->start.lsn);
	if (has_accepted(replica, term)) {
		follow_commit(slots, slot, install->commit);
		owe(slots, slot);
	}
	if (!has_accepted(replica, term) || slot_log_last(&replica->log) < install->last)
		slot_pull(slots, slot, *from, term);
}

bool slot_take_install(struct slots *slots, struct slot *slot, const struct boot_id *from,
                       struct slice body)
{
	struct wire_install install;
	if (!wire_install_read(body, &install) || !boot_id_equals(install.entry.term.boot, *from))
		return false;
	const struct slot_term *term = &install.entry.term;
	bool is_member = slot_set_has(&install.entry.set, slots->options.boot);
	struct slot_proposal proposal = {*term, install.entry.set};
	bool is_record = !install.is_active && !slot_term_equals(term, &install.entry.stream);
	if (install.is_active)
		slot_adopt(slots, slot, &install.entry);
	else if (!is_member)
		return true;
	if (!slot_may_promise(slot, term) ||
	    (is_record && !slot_record(slot, &proposal, &slot->entry.term))) {
		slot_refuse(slots, slot, *from, term);
		return true;
	}
	slot_promise(slots, slot, term);
	take_install(slots, slot, from, &install);
	return true;
}

/* ---- APPEND ---- */

static bool is_meant(const struct slot *slot, const struct boot_id *from,
                     const struct wire_append *append)
{
	const struct replica *replica = slot->replica;
	if (replica == NULL || !slot_term_equals(&replica->stream, &append->stream) ||
	    !slot_term_equals(&append->term, &slot->promised))
		return false;
	if (slot->takeover != NULL)
		return slot->takeover->phase == TAKEOVER_FETCHING &&
		       boot_id_equals(slot->takeover->best.boot, *from);
	return slot->lead == NULL && boot_id_equals(append->term.boot, *from) &&
	       slot_term_equals(&append->term, &replica->installing);
}

/* What stands there before is from a home that came to nothing. False: no memory. */
static bool put(struct slots *slots, struct slot *slot, uint64_t lsn, const struct wire_item *wired)
{
	struct replica *replica = slot->replica;
	const struct slot_term *term = slot_log_term(&replica->log, lsn);
	if (lsn <= replica->commit || (term != NULL && slot_term_equals(term, &wired->term)))
		return true;
	if (lsn <= slot_log_last(&replica->log))
		slot_cut(slots, slot, lsn - 1);
	struct blob *blob = slots_entry_make(wired->bytes);
	struct slot_item item = {wired->term, blob, 0, slots->now_ms};
	bool is_done = blob != NULL && slot_log_append(&replica->log, &item);
	blob_drop(blob);
	return is_done;
}

/* The number of the last one that is in the log now. */
static uint64_t put_all(struct slots *slots, struct slot *slot, struct wire_append *append)
{
	uint64_t lsn = append->previous.lsn;
	struct wire_item item;
	while (wire_item_next(append, &item)) {
		if (!put(slots, slot, lsn + 1, &item))
			break;
		lsn++;
	}
	return lsn;
}

/* Does the log go up to where these begin? */
static bool joins(struct slots *slots, struct slot *slot, const struct wire_append *append)
{
	struct replica *replica = slot->replica;
	/* A log from its very beginning needs no state before it. */
	if (!replica->is_whole && append->previous.lsn == 0 && replica->pull.snapshot == 0)
		slot_begin_empty(slots, slot);
	if (!replica->is_whole)
		return false;
	return append->previous.lsn <= replica->commit ||
	       slot_log_has(&replica->log, &append->previous);
}

static void take_append(struct slots *slots, struct slot *slot, const struct boot_id *from,
                        struct wire_append *append)
{
	struct replica *replica = slot->replica;
	if (!joins(slots, slot, append)) {
		slot_pull(slots, slot, *from, &append->term);
		return;
	}
	uint64_t first = append->previous.lsn + 1, last = append->last;
	uint64_t lsn = put_all(slots, slot, append);
	if (slot->takeover != NULL) {
		if (!slot_fetched(slots, slot))
			slot_pull_answered(slots, slot, first, lsn);
		return;
	}
	accept(slots, slot, lsn);
	bool is_accepted = has_accepted(replica, &append->term);
	if (is_accepted)
		follow_commit(slots, slot, append->commit);
	if (is_accepted && slot_log_last(&replica->log) >= last)
		slot_pull_end(slots, slot);
	else
		slot_pull_answered(slots, slot, first, lsn);
}

bool slot_take_append(struct slots *slots, struct slot *slot, const struct boot_id *from,
                      struct slice body)
{
	struct wire_append append;
	if (!wire_append_read(body, &append))
		return false;
	if (is_meant(slot, from, &append))
		take_append(slots, slot, from, &append);
	else if (slot_term_is_above(&slot->promised, &append.term))
		slot_refuse(slots, slot, *from, &append.term);
	return true;
}

/* ---- from time to time ---- */

void slot_replica_flush(struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	if (!replica->owes)
		return;
	replica->owes = false;
	if (!replica->is_whole || slots_is_self(slots, replica->accepted.boot) ||
	    !slot_term_equals(&replica->accepted, &slot->promised))
		return;
	struct wire_holds holds = {replica->accepted, slot_log_last(&replica->log)};
	wire_holds_write(slots_begin(slots), &holds);
	slots_send(slots, replica->accepted.boot, FRAME_HOLDS, slot->number);
}

/* Whoever had the replica accept its log is home no more, if it ever was: it would say so; or it is
 * waited for no more, as it was forgotten. */
static bool is_forsaken(const struct slots *slots, const struct replica *replica)
{
	struct boot_id home = replica->accepted.boot;
	bool would_say = slots_is_self(slots, home) || slots_is_reachable(slots, home) ||
	                 slots_is_gone(slots, home);
	bool is_forgotten = replica->accepted.counter != 0 && slots_member(slots, home) == NULL;
	return (would_say || is_forgotten) && slots->now_ms - replica->heard_ms >= SILENT_MS;
}

/* It holds a stream that is not the slot's: that has lost, or nobody else was told of it. But one
 * that the slot's stream may need stays: who has given up what it held would seem to have held
 * nothing. */
static bool is_astray(const struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	bool is_other = slot->entry.term.counter != 0 &&
	                !slot_set_has(&slot->entry.set, slots->options.boot) &&
	                !slot_term_equals(&replica->stream, &slot->entry.stream);
	if (is_other && replica->strayed_ms == 0 && is_forsaken(slots, replica))
		replica->strayed_ms = slots->now_ms;
	return replica->strayed_ms != 0;
}

void slot_replica_tick(struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	trim(slots, slot);
	if (replica->pull.is_on && slots->now_ms - replica->pull.asked_ms >= slots_repair_ms(slots))
		slot_pull_next(slots, slot);
	if (slot->lead != NULL || slot->takeover != NULL)
		return;
	if (is_astray(slots, slot)) {
		if (slots->now_ms - replica->strayed_ms >= SLOTS_GRACE_MS)
			(void)!slot_fork(slots, slot);
		return;
	}
	bool is_wanted = slot_set_has(&slot->entry.set, slots->options.boot) ||
	                 slots->now_ms - replica->heard_ms < LEAVE_MS;
	/* An entry that is newer than this log has it, or had it. */
	if (!is_wanted && slot_term_compare(&slot->entry.term, &replica->accepted) >= 0)
		slot_replica_free(slots, slot);
}
