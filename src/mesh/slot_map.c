/*
 * The slot map: what each node knows of who has a slot. Who becomes home tells all; who was just
 * linked is told all; and everybody tells one node after the other which terms it knows, so that
 * what was missed is found. Frames arrive as long as a link stands: what can be missed over one is
 * what there was no memory for. So where nothing has changed for a while there is little to find,
 * and no hurry.
 */
#include "mesh/slots_state.h"

#define DIGESTS_TO_NEW 256u /* a tick, to one that was just linked */
#define ROUND_TICKS 100u    /* in which each slot's digest is sent to somebody */
#define CALM_MS 30000u      /* without news; then some are sent not each tick, but */
#define CALM_EACH_MS 600u   /* so often: a round takes a minute */

void slot_say_map(struct slots *slots, const struct slot *slot, struct boot_id to)
{
	wire_entry_write(slots_begin(slots), &slot->entry);
	slots_send(slots, to, FRAME_MAP, slot->number);
}

void slot_say_digest(struct slots *slots, const struct slot *slot, struct boot_id to)
{
	wire_term_write(slots_begin(slots), &slot->entry.term);
	slots_send(slots, to, FRAME_MAP_DIGEST, slot->number);
}

/* Another stream gives way to the slot's: one that was opened beside it, and one that somebody who
 * knew nobody else has just opened from nothing, where this one holds something. That one may hold
 * something, too: but who defends has a higher term, and is not one that was just opened. */
static bool gives_way(const struct slot *slot, const struct slot_entry *entry)
{
	if (slot_term_equals(&entry->fork_of, &slot->entry.stream))
		return true;
	bool is_new = entry->fork_of.counter == 0 && slot_term_equals(&entry->term, &entry->stream);
	return is_new && slot->replica != NULL && slot->replica->commit > 0;
}

/* It does so if the slot's home is here and can still seal its set: a higher term of the slot's
 * stream will tell so. */
static bool defends(struct slots *slots, struct slot *slot, const struct slot_entry *entry)
{
	bool is_home =
		slot->lead != NULL || (slot->takeover != NULL && !slot->takeover->is_unclean &&
	                               slots_is_self(slots, slot->entry.term.boot));
	if (!is_home || !gives_way(slot, entry) || !slot_can_seal(slots, &slot->entry.set))
		return false;
	if (slot->takeover != NULL) {
		if (slot_term_is_above(&slot->takeover->entry.term, &entry->term))
			return true;
		slot_abandon(slots, slot, 0);
	}
	if (slot_term_is_above(&entry->term, &slot->promised))
		slot->promised = entry->term;
	struct slot_set set = slot->entry.set;
	slot_take_over(slots, slot, &set, false);
	return slot->takeover != NULL;
}

void slot_adopt(struct slots *slots, struct slot *slot, const struct slot_entry *entry)
{
	if (!slot_term_is_above(&entry->term, &slot->entry.term) || defends(slots, slot, entry))
		return;
	if (slot->takeover != NULL)
		slot_abandon(slots, slot, 0);
	slot_step_down(slots, slot);
	slot->entry = *entry;
	slot->calm_ms = slots->news_ms = slots->now_ms;
	slot->need_ms = 0;
	slot->contests = 0;
	slot->retry_ms = 0;
	if (slot_term_is_above(&entry->term, &slot->promised))
		slot->promised = entry->term;
	struct replica *replica = slot->replica;
	bool is_stray = replica != NULL && !slot_term_equals(&replica->stream, &entry->stream);
	if (replica != NULL) {
		replica->heard_ms = slots->now_ms;
		if (!is_stray)
			replica->strayed_ms = 0;
		else if (replica->strayed_ms == 0)
			replica->strayed_ms = slots->now_ms;
	}
	/* Who has asked for the stream that it holds counts as long as that may come back. */
	if (!is_stray)
		slot_forget_proposals(slot, &entry->term);
	slot_is_due(slot);
}

bool slot_take_map(struct slots *slots, struct slot *slot, const struct boot_id *from,
                   struct slice body)
{
	struct slot_entry entry;
	if (!wire_entry_read(body, &entry))
		return false;
	int order = slot_term_compare(&entry.term, &slot->entry.term);
	if (order > 0)
		slot_adopt(slots, slot, &entry);
	else if (order < 0)
		slot_say_map(slots, slot, *from);
	return true;
}

bool slot_take_digest(struct slots *slots, struct slot *slot, const struct boot_id *from,
                      struct slice body)
{
	struct slot_term term;
	if (!wire_term_read(body, &term))
		return false;
	int order = slot_term_compare(&term, &slot->entry.term);
	if (order < 0)
		slot_say_map(slots, slot, *from);
	else if (order > 0)
		slot_say_digest(slots, slot, *from);
	return true;
}

static void greet(struct slots *slots, struct known_member *member)
{
	for (unsigned i = 0; i < DIGESTS_TO_NEW && member->digest < slots->count; i++)
		slot_say_digest(slots, &slots->slot[member->digest++], member->said.boot);
}

/* The next few slots, to anybody. */
static void tell_one(struct slots *slots)
{
	bool is_calm = slots->now_ms - slots->news_ms >= CALM_MS;
	if (is_calm && slots->now_ms - slots->gossip_ms < CALM_EACH_MS)
		return;
	slots->gossip_ms = slots->now_ms;
	uint32_t few = (slots->count - 1) / ROUND_TICKS + 1;
	const struct slots_member *member =
		&slots->members[random_below(&slots->random, slots->member_count)].said;
	if (slots_is_self(slots, member->boot) || !member->is_linked)
		return;
	for (uint32_t i = 0; i < few; i++) {
		slot_say_digest(slots, &slots->slot[slots->gossip], member->boot);
		slots->gossip = (slots->gossip + 1) % slots->count;
	}
}

void slots_gossip(struct slots *slots)
{
	for (uint32_t i = 0; i < slots->member_count; i++) {
		struct known_member *member = &slots->members[i];
		if (member->said.is_linked && !slots_is_self(slots, member->said.boot))
			greet(slots, member);
	}
	if (slots->member_count > 1)
		tell_one(slots);
}
