/*
 * micro.h - what one operation of a module costs, found in rounds.
 *
 * A program of bench/micro/ calls micro_begin(), micro_measure() for each thing it measures, and
 * micro_end(). A round does a given number of operations; the number is raised until a round
 * takes long enough for the clock, then rounds are repeated. The best round is the
 * cost: everything else on the machine only adds to it. The median says how much it added.
 *
 * Threads:   the main one. A round may start threads of its own and ends them.
 * Ownership: the state is the caller's.
 * Limits:    instructions are not counted here: bench/micro/run does that from outside, and
 *            asks with --operations for one round of known length.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Does `operations` of them. What it works out goes through micro_use(), so that the compiler
 * cannot leave it out. */
typedef void micro_round(void *state, uint64_t operations);

void micro_begin(int argc, char **argv);
/* Measures, and says what came out, when the options want it. */
void micro_measure(const char *name, micro_round *round, void *state);
int micro_end(void); /* the exit status: 2 when --only named nothing */

/* The two halves of micro_measure(), for those whose state takes long to make. */
bool micro_wants(const char *name);
void micro_rounds(const char *name, micro_round *round, void *state);

static inline void micro_use(uint64_t value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}
