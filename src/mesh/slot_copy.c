/*
 * Copying: who lacks something asks for it piece by piece, entries as long as the other one's
 * window has them, else the state and what comes after. One piece is under way at a time; what does
 * not come is asked for again.
 */
#include "mesh/slots_state.h"

#define PIECE_BYTES (256u << 10) /* of an APPEND, unless one entry is larger */
#define SNAPSHOT_MS 2000u        /* unused so long, it is dropped */

/* ---- who asks ---- */

static void ask(struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	struct pull *pull = &replica->pull;
	bool is_sure = replica->is_whole && slot_term_equals(&replica->accepted, &pull->term);
	uint64_t from = replica->commit > pull->checked ? replica->commit : pull->checked;
	if (is_sure)
		from = slot_log_last(&replica->log);
	struct wire_need need = {.term = pull->term,
	                         .stream = replica->stream,
	                         .from = replica->is_whole ? from + 1 : 1,
	                         .snapshot = pull->snapshot,
	                         .chunk = pull->chunk};
	pull->asked = need.from;
	pull->asked_ms = slots->now_ms;
	wire_need_write(slots_begin(slots), &need);
	slots_send(slots, pull->from, FRAME_NEED, slot->number);
}

void slot_pull_end(struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	if (replica == NULL)
		return;
	slots->pulls -= replica->pull.is_counted;
	replica->pull = (struct pull){0};
}

/* Whole states are heavy: so many at once. A take-over waits for nobody. */
static bool may_begin(const struct slots *slots, const struct slot *slot)
{
	return slot->replica->is_whole || slot->takeover != NULL ||
	       slots->pulls < slots_share(slots, SLOTS_PULLS_MAX);
}

void slot_pull(struct slots *slots, struct slot *slot, struct boot_id from,
               const struct slot_term *term)
{
	struct pull *pull = &slot->replica->pull;
	bool is_same = pull->is_on && boot_id_equals(pull->from, from) &&
	               slot_term_equals(&pull->term, term);
	if (is_same)
		return; /* it is asked again when its time has come */
	slot_pull_end(slots, slot);
	if (!may_begin(slots, slot))
		return;
	*pull = (struct pull){
		.is_on = true, .is_counted = !slot->replica->is_whole, .from = from, .term = *term};
	slots->pulls += pull->is_counted;
	slot_pull_next(slots, slot);
}

void slot_pull_next(struct slots *slots, struct slot *slot)
{
	struct pull *pull = &slot->replica->pull;
	if (!pull->is_on)
		return;
	if (!slots_is_reachable(slots, pull->from) ||
	    !slot_term_equals(&pull->term, &slot->promised)) {
		slot_pull_end(slots, slot);
		return;
	}
	ask(slots, slot);
}

/* Nothing new: the other one has no more now, and is asked again when its time has come. */
void slot_pull_answered(struct slots *slots, struct slot *slot, uint64_t first, uint64_t last)
{
	struct pull *pull = &slot->replica->pull;
	if (!pull->is_on || pull->asked != first || last < first)
		return;
	pull->checked = last;
	slot_pull_next(slots, slot);
}

/* What was there goes; until the state has come whole this is no replica. */
static void make_way(struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	bool has_held = replica->is_whole && replica->accepted.counter != 0;
	slot_cut(slots, slot, replica->commit);
	slot_log_reset(&replica->log, &(struct slot_mark){0});
	slot_snapshot_free(slot);
	replica->commit = 0;
	replica->has_lost |= has_held;
	replica->is_whole = false;
	replica->is_partial = true;
	slots->out->clear(slots->out, slot->number);
}

void slot_begin_empty(struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	CHECK(slot_log_last(&replica->log) == 0);
	slot_pull_end(slots, slot);
	if (replica->is_partial)
		slots->out->clear(slots->out, slot->number);
	replica->is_partial = false;
	replica->is_whole = true;
}

static void complete(struct slots *slots, struct slot *slot, const struct wire_state *state)
{
	struct replica *replica = slot->replica;
	slot_log_reset(&replica->log, &state->at);
	replica->commit = state->at.lsn;
	replica->is_whole = true;
	replica->is_partial = false;
	/* It had not come as far when it was given up. */
	if (slot_term_equals(&replica->accepted, &state->term))
		replica->has_lost = false;
	replica->pull.snapshot = 0;
	replica->pull.checked = 0;
	slots->counters.restored++;
	if (slot->takeover == NULL || !slot_fetched(slots, slot))
		slot_pull_next(slots, slot);
}

static void take_part(struct slots *slots, struct slot *slot, const struct wire_state *state)
{
	struct pull *pull = &slot->replica->pull;
	if (state->chunk == 0)
		make_way(slots, slot);
	pull->snapshot = state->at.lsn;
	if (state->count > 0 && !slots->out->restore(slots->out, slot->number, state->bytes)) {
		pull->snapshot = 0; /* from the start, when it is asked again */
		return;
	}
	pull->chunk = state->chunk + 1;
	if (pull->chunk >= state->count)
		complete(slots, slot, state);
	else
		slot_pull_next(slots, slot);
}

bool slot_take_state(struct slots *slots, struct slot *slot, const struct boot_id *from,
                     struct slice body)
{
	struct wire_state state;
	if (!wire_state_read(body, &state))
		return false;
	struct replica *replica = slot->replica;
	if (replica == NULL || !replica->pull.is_on)
		return true;
	const struct pull *pull = &replica->pull;
	bool is_meant = boot_id_equals(pull->from, *from) &&
	                slot_term_equals(&pull->term, &state.term) &&
	                slot_term_equals(&pull->term, &slot->promised) &&
	                slot_term_equals(&replica->stream, &state.stream);
	bool is_next = pull->snapshot == 0
	                       ? state.chunk == 0 && state.at.lsn > replica->commit
	                       : pull->snapshot == state.at.lsn && pull->chunk == state.chunk;
	bool is_anew = state.chunk == 0 && pull->snapshot != 0 && pull->snapshot != state.at.lsn;
	if (!is_meant || !(is_next || is_anew))
		return true;
	if (slot->takeover != NULL)
		slot->takeover->advanced_ms = slots->now_ms;
	take_part(slots, slot, &state);
	return true;
}

/* ---- who is asked ---- */

void slot_snapshot_free(struct slot *slot)
{
	struct snapshot *snapshot = slot->snapshot;
	if (snapshot == NULL)
		return;
	slot_parts_free(&snapshot->parts);
	free(snapshot);
	slot->snapshot = NULL;
}

void slot_snapshot_tick(struct slots *slots, struct slot *slot)
{
	if (slot->snapshot != NULL && slots->now_ms - slot->snapshot->used_ms >= SNAPSHOT_MS)
		slot_snapshot_free(slot);
}

void slot_parts_free(struct slot_parts *parts)
{
	for (uint32_t i = 0; i < parts->count; i++)
		blob_drop(parts->at[i]);
	free(parts->at);
	*parts = (struct slot_parts){0};
}

/* Room for one more, which doubles each time that the number is a power of two. */
static bool add_part(struct slot_parts *parts, struct blob *part)
{
	if ((parts->count & (parts->count - 1)) == 0) {
		size_t room = parts->count == 0 ? 1 : 2 * (size_t)parts->count;
		struct blob **at = realloc(parts->at, room * sizeof(*at));
		if (at == NULL)
			return false;
		parts->at = at;
	}
	parts->at[parts->count++] = part;
	return true;
}

bool slot_save(struct slots *slots, struct slot *slot, enum slots_saved what,
               struct slot_parts *parts)
{
	*parts = (struct slot_parts){0};
	uint64_t at = 0;
	bool failed = false;
	struct blob *part;
	while ((part = slots->out->save(slots->out, slot->number, what, &at, &failed)) != NULL) {
		CHECK(part->len <= SLOT_ENTRY_MAX);
		if (add_part(parts, part))
			continue;
		blob_drop(part);
		failed = true;
		break;
	}
	if (failed)
		slot_parts_free(parts);
	return !failed;
}

static bool snapshot_make(struct slots *slots, struct slot *slot)
{
	slot_snapshot_free(slot);
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	if (snapshot == NULL || !slot_save(slots, slot, SLOTS_STATE, &snapshot->parts)) {
		free(snapshot);
		return false;
	}
	const struct replica *replica = slot->replica;
	snapshot->at =
		(struct slot_mark){*slot_log_term(&replica->log, replica->commit), replica->commit};
	slot->snapshot = snapshot;
	slots->counters.snapshots++;
	return true;
}

static void send_part(struct slots *slots, struct slot *slot, struct boot_id to,
                      const struct slot_term *term, uint32_t chunk)
{
	struct snapshot *snapshot = slot->snapshot;
	snapshot->used_ms = slots->now_ms;
	struct wire_state state = {.term = *term,
	                           .stream = slot->replica->stream,
	                           .at = snapshot->at,
	                           .chunk = chunk,
	                           .count = snapshot->parts.count};
	if (snapshot->parts.count > 0)
		state.bytes = blob_view(snapshot->parts.at[chunk]);
	wire_state_write(slots_begin(slots), &state);
	slots_send(slots, to, FRAME_STATE, slot->number);
}

/* The snapshot goes on to where the window begins, or another one is made that does. */
static void send_state(struct slots *slots, struct slot *slot, struct boot_id to,
                       const struct wire_need *need)
{
	struct snapshot *snapshot = slot->snapshot;
	bool is_same = snapshot != NULL && need->snapshot == snapshot->at.lsn &&
	               need->chunk < snapshot->parts.count;
	if (is_same) {
		send_part(slots, slot, to, &need->term, need->chunk);
		return;
	}
	bool is_good = snapshot != NULL && snapshot->at.lsn >= slot->replica->log.base.lsn;
	if (is_good || snapshot_make(slots, slot))
		send_part(slots, slot, to, &need->term, 0);
}

uint64_t slot_append_write(struct slots *slots, const struct slot *slot,
                           const struct slot_term *term, uint64_t previous)
{
	const struct slot_log *log = &slot->replica->log;
	uint64_t lsn = previous, last = slot_log_last(log);
	size_t bytes = 0;
	while (lsn < last) {
		size_t len = slot_log_at(log, lsn + 1)->blob->len + SLOT_ITEM_OVERHEAD;
		if (lsn > previous && bytes + len > PIECE_BYTES)
			break;
		bytes += len;
		lsn++;
	}
	struct wire_append append = {.term = *term,
	                             .stream = slot->replica->stream,
	                             .previous = {*slot_log_term(log, previous), previous},
	                             .last = last,
	                             .commit = slot->replica->commit,
	                             .count = (uint32_t)(lsn - previous)};
	struct buf *body = slots_begin(slots);
	wire_append_write(body, &append);
	for (uint64_t at = previous + 1; at <= lsn; at++) {
		const struct slot_item *item = slot_log_at(log, at);
		struct wire_item wired = {item->term, blob_view(item->blob)};
		wire_item_write(body, &wired);
	}
	return lsn;
}

static void send_entries(struct slots *slots, struct slot *slot, struct boot_id to,
                         const struct wire_need *need)
{
	slot_append_write(slots, slot, &need->term, need->from - 1);
	slots_send(slots, to, FRAME_APPEND, slot->number);
}

/* To whoever takes over and has this node's promise, or to those who follow it. */
static bool serves(const struct slot *slot, const struct boot_id *from,
                   const struct wire_need *need)
{
	if (slot->replica == NULL || !slot->replica->is_whole ||
	    !slot_term_equals(&need->term, &slot->promised))
		return false;
	bool is_installing = slot->takeover != NULL && slot->takeover->phase == TAKEOVER_INSTALLING;
	return slot->lead != NULL || is_installing || boot_id_equals(need->term.boot, *from);
}

bool slot_take_need(struct slots *slots, struct slot *slot, const struct boot_id *from,
                    struct slice body)
{
	struct wire_need need;
	if (!wire_need_read(body, &need))
		return false;
	if (!serves(slot, from, &need))
		return true;
	if (slot->takeover != NULL)
		slot->takeover->advanced_ms = slots->now_ms;
	if (slot->lead != NULL && slot->lead->has_learner &&
	    boot_id_equals(slot->lead->learner, *from))
		slot->lead->learner_ms = slots->now_ms;
	const struct slot_log *log = &slot->replica->log;
	bool is_same = slot_term_equals(&need.stream, &slot->replica->stream);
	bool is_in_state = need.snapshot != 0 || !is_same || need.from <= log->base.lsn;
	if (is_in_state)
		send_state(slots, slot, *from, &need);
	else if (need.from <= slot_log_last(log) + 1)
		send_entries(slots, slot, *from, &need);
	return true;
}
