/*
 * die.h - the last line of a program that cannot go on.
 *
 * Threads:   any; the first one ends the process.
 */
#pragma once

#include <errno.h>
#include <string.h>

#include "base/check.h"

static inline _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench/crowd: %s\n", what);
	exit(1);
}

static inline _Noreturn void die_errno(const char *what)
{
	fprintf(stderr, "bench/crowd: %s: %s\n", what, strerror(errno));
	exit(1);
}
