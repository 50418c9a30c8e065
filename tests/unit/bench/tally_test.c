/* A script of numbers as they come, and the answers: '.' new, 'l' late, 't' twice. Then chance
 * against a table of all numbers. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/random.h"
#include "kit/tally.h"

#define NUMBERS 200
#define SEEDS 2000

static const struct {
	const char *name;
	const char *numbers, *answers; /* numbers: a digit each */
	uint32_t count;
	uint64_t missing;
} cases[] = {
	{"nothing came, nothing was sent", "", "", 0, 0},
	{"nothing came of three", "", "", 3, 3},
	{"all came", "0123", "....", 4, 0},
	{"the last ones are missing too", "01", "..", 5, 3},
	{"one was left out", "0124", "....", 5, 1},
	{"the first was left out", "123", "...", 4, 1},
	{"one came twice, at once", "0112", "..t.", 3, 0},
	{"one came twice, later", "01230", "....t", 4, 0},
	{"two changed places", "0213", "..l.", 4, 0},
	{"a late one that comes again is twice", "02113", "..lt.", 4, 0},
	{"a hole is filled from below", "0512346", "..llll.", 7, 0},
	{"a hole is filled from above", "0543216", "..llll.", 7, 0},
	{"a hole is filled from its middle", "0531246", "..llll.", 7, 0},
	{"two holes, one stays", "0369128", "....lll", 10, 3},
	{"all in reverse", "43210", ".llll", 5, 0},
	{"what is behind the last one asked for does not count", "0359", "....", 5, 3},
};

static void run_case(size_t i)
{
	static const char letters[] = {[TALLY_NEW] = '.', [TALLY_LATE] = 'l', [TALLY_TWICE] = 't'};
	struct tally tally = {0};
	printf("tally: %s\n", cases[i].name);
	CHECK(strlen(cases[i].numbers) == strlen(cases[i].answers));
	for (size_t k = 0; cases[i].numbers[k] != '\0'; k++) {
		uint32_t number = (uint32_t)(cases[i].numbers[k] - '0');
		CHECK(letters[tally_see(&tally, number)] == cases[i].answers[k]);
	}
	CHECK(tally_missing(&tally, cases[i].count) == cases[i].missing);
	tally_free(&tally);
}

static void check_missing(const struct tally *tally, const bool *seen)
{
	uint64_t missing = 0;
	for (uint32_t count = 0; count <= NUMBERS; count++) {
		CHECK(tally_missing(tally, count) == missing);
		missing += count < NUMBERS && !seen[count];
	}
}

/* Numbers come near where the last ones were, and sometimes from anywhere. */
static void run_seed(uint64_t seed)
{
	struct random random = {seed};
	struct tally tally = {0};
	bool seen[NUMBERS] = {false};
	uint32_t next = 0;
	for (int i = 0; i < 2 * NUMBERS; i++) {
		uint32_t number = random_below(&random, 8) == 0
		                          ? random_below(&random, NUMBERS)
		                          : (next + random_below(&random, 5)) % NUMBERS;
		enum tally_seen wanted = seen[number]     ? TALLY_TWICE
		                         : number >= next ? TALLY_NEW
		                                          : TALLY_LATE;
		CHECK(tally_see(&tally, number) == wanted);
		seen[number] = true;
		next = number >= next ? number + 1 : next;
	}
	check_missing(&tally, seen);
	tally_free(&tally);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		run_case(i);
	printf("tally: agrees with a table of all numbers, for %d seeds\n", SEEDS);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run_seed(seed);
	return 0;
}
