#include "kit/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Makes room for one hole more at `at`. */
static void hole_insert(struct tally *tally, uint32_t at, struct tally_hole hole)
{
	uint32_t count = tally->hole_count;
	if ((count & (count - 1)) == 0) { /* as many as fit */
		size_t bytes = (count == 0 ? 1 : 2 * (size_t)count) * sizeof(hole);
		tally->holes = realloc(tally->holes, bytes);
		CHECK(tally->holes != NULL);
	}
	memmove(&tally->holes[at + 1], &tally->holes[at], (count - at) * sizeof(hole));
	tally->holes[at] = hole;
	tally->hole_count++;
}

/* The memory stays as large as hole_insert() believes it to be at the next power of two. */
static void hole_remove(struct tally *tally, uint32_t at)
{
	uint32_t left = --tally->hole_count;
	memmove(&tally->holes[at], &tally->holes[at + 1], (left - at) * sizeof(*tally->holes));
}

/* The first hole that ends at `number` or behind it. */
static uint32_t hole_find(const struct tally *tally, uint32_t number)
{
	uint32_t low = 0, high = tally->hole_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (tally->holes[middle].last < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum tally_seen look_back(struct tally *tally, uint32_t number)
{
	uint32_t at = hole_find(tally, number);
	if (at == tally->hole_count || tally->holes[at].first > number)
		return TALLY_TWICE;
	struct tally_hole hole = tally->holes[at];
	if (hole.first == hole.last) {
		hole_remove(tally, at);
	} else if (hole.first == number) {
		tally->holes[at].first++;
	} else if (hole.last == number) {
		tally->holes[at].last--;
	} else {
		tally->holes[at].last = number - 1;
		hole_insert(tally, at + 1, (struct tally_hole){number + 1, hole.last});
	}
	return TALLY_LATE;
}

enum tally_seen tally_jump(struct tally *tally, uint32_t number)
{
	if (number < tally->next)
		return look_back(tally, number);
	hole_insert(tally, tally->hole_count, (struct tally_hole){tally->next, number - 1});
	tally->next = number + 1;
	return TALLY_NEW;
}

uint64_t tally_missing(const struct tally *tally, uint32_t count)
{
	uint64_t missing = count > tally->next ? count - tally->next : 0;
	for (uint32_t i = 0; i < tally->hole_count && tally->holes[i].first < count; i++) {
		uint32_t last = tally->holes[i].last < count ? tally->holes[i].last : count - 1;
		missing += last - tally->holes[i].first + 1;
	}
	return missing;
}

void tally_free(struct tally *tally)
{
	free(tally->holes);
	*tally = (struct tally){0};
}
