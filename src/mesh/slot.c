#include "mesh/slot.h"

int slot_term_compare(const struct slot_term *a, const struct slot_term *b)
{
	if (a->counter != b->counter)
		return a->counter < b->counter ? -1 : 1;
	if (boot_id_equals(a->boot, b->boot))
		return 0;
	return boot_id_is_below(a->boot, b->boot) ? -1 : 1;
}

bool slot_set_has(const struct slot_set *set, struct boot_id boot)
{
	for (unsigned i = 0; i < set->count; i++) {
		if (boot_id_equals(set->at[i], boot))
			return true;
	}
	return false;
}

void slot_set_add(struct slot_set *set, struct boot_id boot)
{
	CHECK(set->count < SLOT_REPLICAS_MAX);
	set->at[set->count++] = boot;
}

void slot_set_remove(struct slot_set *set, struct boot_id boot)
{
	unsigned i = 0;
	while (i < set->count && !boot_id_equals(set->at[i], boot))
		i++;
	CHECK(i < set->count);
	for (set->count--; i < set->count; i++)
		set->at[i] = set->at[i + 1];
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t slot_claim(struct boot_id boot, uint16_t slot)
{
	return mix(mix(boot.word[0] + slot * 0x9e3779b97f4a7c15u) ^ boot.word[1]);
}
