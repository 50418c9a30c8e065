/*
 * clock.h - the time of measurements: nanoseconds since the host started.
 *
 * Threads:   any. The same clock for all programs of the host, so that a time may travel in
 *            a payload from one to another.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#include "base/check.h"

#define NS_PER_S 1000000000u
#define NS_PER_MS 1000000u

static inline uint64_t clock_ns(void)
{
	struct timespec now;
	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}
