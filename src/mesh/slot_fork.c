/*
 * What was done in a stream that has lost is not lost: its replicas save it when they leave the
 * stream, and give it, part by part, to the home of the one that stays, whoever that is by
 * then, until it is committed there. Each replica does so; the application knows what it has
 * already.
 */
#include "mesh/slots_state.h"

/* ---- who has lost ---- */

static void fork_free(struct fork *fork)
{
	slot_parts_free(&fork->parts);
	free(fork);
}

void slot_forks_free(struct slot *slot)
{
	while (slot->forks != NULL) {
		struct fork *fork = slot->forks;
		slot->forks = fork->next;
		fork_free(fork);
	}
}

static unsigned forks_of(const struct slot *slot)
{
	unsigned count = 0;
	for (const struct fork *fork = slot->forks; fork != NULL; fork = fork->next)
		count++;
	return count;
}

/* Is there nothing to save? To know, one part at most is made. */
static bool is_nothing(struct slots *slots, struct slot *slot)
{
	uint64_t at = 0;
	bool failed = false;
	struct blob *part = slots->out->save(slots->out, slot->number, SLOTS_FORKED, &at, &failed);
	bool is_none = part == NULL && !failed;
	blob_drop(part);
	return is_none;
}

static bool keep(struct slots *slots, struct slot *slot, const struct slot_term *stream)
{
	struct slot_parts parts;
	if (forks_of(slot) == FORKS_MAX)
		return is_nothing(slots, slot);
	if (!slot_save(slots, slot, SLOTS_FORKED, &parts))
		return false;
	if (parts.count == 0)
		return true;
	struct fork *fork = malloc(sizeof(*fork));
	if (fork == NULL) {
		slot_parts_free(&parts);
		return false;
	}
	*fork = (struct fork){
		.next = slot->forks, .stream = *stream, .key = ++slots->forks, .parts = parts};
	slot->forks = fork;
	slots->counters.forks++;
	return true;
}

bool slot_fork(struct slots *slots, struct slot *slot)
{
	struct replica *replica = slot->replica;
	if (replica->is_whole) {
		/* What was not known to be committed may have been; but now it is of no stream. */
		struct slot_term stream = replica->stream;
		replica->stream = (struct slot_term){0};
		slot_advance_unsure(slots, slot);
		if (!keep(slots, slot, &stream)) {
			replica->stream = stream;
			return false;
		}
	}
	slot_replica_free(slots, slot);
	slot_forget_proposals(slot, &slot->entry.term);
	return true;
}

static void next_part(struct slot *slot, const struct wire_fork_ok *ok)
{
	struct fork **at = &slot->forks;
	while (*at != NULL && (*at)->key != ok->key)
		at = &(*at)->next;
	struct fork *fork = *at;
	if (fork == NULL || !slot_term_equals(&fork->stream, &ok->stream) ||
	    fork->next_part != ok->chunk)
		return;
	fork->next_part++;
	fork->said_ms = 0;
	slot_is_due(slot);
	if (fork->next_part < fork->parts.count)
		return;
	*at = fork->next;
	fork_free(fork);
}

bool slot_take_fork_ok(struct slots *slots, struct slot *slot, const struct boot_id *from,
                       struct slice body)
{
	(void)slots;
	(void)from;
	struct wire_fork_ok ok;
	if (!wire_fork_ok_read(body, &ok))
		return false;
	next_part(slot, &ok);
	return true;
}

/* ---- who stays ---- */

static void say_ok(struct slots *slots, struct slot *slot, struct boot_id to,
                   const struct wire_fork_ok *ok)
{
	if (slots_is_self(slots, to)) {
		next_part(slot, ok);
		return;
	}
	wire_fork_ok_write(slots_begin(slots), ok);
	slots_send(slots, to, FRAME_FORK_OK, slot->number);
}

void slot_merged(struct slots *slots, struct slot *slot)
{
	struct merging *merging = &slot->lead->merging;
	if (!merging->is_on || slot->replica->commit < merging->lsn)
		return;
	merging->is_on = false;
	say_ok(slots, slot, merging->from, &merging->ok);
}

static void merge(struct slots *slots, struct slot *slot, struct boot_id from,
                  const struct wire_fork *fork)
{
	if (slot->lead == NULL || slot->lead->merging.is_on ||
	    !slots->out->merge(slots->out, slot->number, fork->bytes))
		return;
	slots->counters.merged++;
	slot->lead->merging = (struct merging){.is_on = true,
	                                       .from = from,
	                                       .ok = {fork->stream, fork->key, fork->chunk},
	                                       .lsn = slot_log_last(&slot->replica->log)};
	slot_merged(slots, slot);
}

bool slot_take_fork(struct slots *slots, struct slot *slot, const struct boot_id *from,
                    struct slice body)
{
	struct wire_fork fork;
	if (!wire_fork_read(body, &fork))
		return false;
	merge(slots, slot, *from, &fork);
	return true;
}

/* ---- from time to time ---- */

static void give(struct slots *slots, struct slot *slot, struct fork *fork)
{
	struct boot_id home = slot->entry.term.boot;
	bool is_other = !boot_id_equals(fork->said_to, home);
	if (!is_other && slots->now_ms - fork->said_ms < slots_repair_ms(slots))
		return;
	/* Another stream is given all of it, in order: what was given before may be lost. */
	if (!slot_term_equals(&fork->given, &slot->entry.stream)) {
		fork->given = slot->entry.stream;
		fork->key = ++slots->forks;
		fork->next_part = 0;
	}
	fork->said_ms = slots->now_ms;
	fork->said_to = home;
	struct wire_fork part = {.stream = fork->stream,
	                         .key = fork->key,
	                         .chunk = fork->next_part,
	                         .count = fork->parts.count,
	                         .bytes = blob_view(fork->parts.at[fork->next_part])};
	if (slots_is_self(slots, home)) {
		merge(slots, slot, home, &part); /* may free the fork */
		return;
	}
	wire_fork_write(slots_begin(slots), &part);
	slots_send(slots, home, FRAME_FORK, slot->number);
}

/* One after the other: the oldest is the last of the list. */
void slot_fork_tick(struct slots *slots, struct slot *slot)
{
	struct fork *fork = slot->forks;
	while (fork->next != NULL)
		fork = fork->next;
	give(slots, slot, fork);
}
