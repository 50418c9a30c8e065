/*
 * complain.h - the end of a measurement that cannot be: one line to standard error, exit 1.
 *
 * A generator that goes on after a fault measures something else than it says.
 *
 * Threads:   any.
 */
#pragma once

/* What it was doing, then strerror(error) where that is not 0. */
_Noreturn void die(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
