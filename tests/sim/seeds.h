/*
 * seeds.h - which seeds a simulation is run with, and which one it was when it fails.
 *
 *   PROGRAM [SEED [COUNT]]: that seed alone, or so many from it on; without, as many as usual
 *
 * A run says in `seeded` what it is before it begins; a failed CHECK and a sanitizer's report say
 * it at their end.
 */
#pragma once

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"

struct seeds {
	uint64_t first, count;
};

static struct {
	const char *scenario;
	uint64_t seed;
} seeded;

/* The sanitizers' way to be called at the end, where there is one. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void say_seed(void)
{
	char line[160];
	int len = snprintf(line, sizeof(line), "%s: the seed was %llu\n", seeded.scenario,
	                   (unsigned long long)seeded.seed);
	ssize_t written = write(STDERR_FILENO, line, (size_t)len);
	(void)written;
}

static void say_seed_and_die(int signal_number)
{
	signal(signal_number, SIG_DFL);
	say_seed();
}

static struct seeds seeds_begin(int argc, char **argv, uint64_t usual)
{
	struct seeds seeds = {.count = argc == 2 ? 1 : usual};
	if (argc > 1)
		CHECK(text_to_u64(slice_string(argv[1]), &seeds.first));
	if (argc > 2)
		CHECK(text_to_u64(slice_string(argv[2]), &seeds.count));
	seeded.scenario = "before a run";
	signal(SIGABRT, say_seed_and_die);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(say_seed);
	else
		signal(SIGSEGV, say_seed_and_die);
	return seeds;
}
