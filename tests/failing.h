/*
 * failing.h - allocations that fail on purpose, in programs that know nothing of it.
 *
 * Linked with FAILING (Makefile) a program's own calls of malloc() and its kin, and of mmap(), come
 * here first; those inside libc and OpenSSL do not. Armed, the allocation of a number fails, or
 * that and all later ones, in whatever thread makes it.
 *
 * A program that is tested from outside is armed by a file of struct failing, whose name stands in
 * the environment as FAILING_FILE: who tests it writes there, and reads the figures.
 *
 * Threads:   failing_arm() and failing_disarm() while no other thread allocates, or does not care
 *            which allocation it is; failing_pause() is of the calling thread.
 * Ownership: none.
 * Limits:    2^32 allocations while armed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum failing_mode { FAILING_NONE = 0, FAILING_ONE, FAILING_ALL_FROM };

struct failing {
	_Atomic uint32_t mode;
	_Atomic uint32_t number; /* which is to fail, from 1 */
	_Atomic uint32_t seen;   /* allocations since it was armed */
	_Atomic uint32_t failed; /* of them */
};

void failing_arm(uint32_t number, enum failing_mode mode);
/* How many failed; nothing fails any more. */
uint32_t failing_disarm(void);

/* What a test allocates for itself, in the midst of what it tests. Pauses nest. */
void failing_pause(void);
void failing_resume(void);
