/*
 * gauge.h - what the system says about processes: CPU time and memory.
 *
 * CPU time is what the scheduler counted for each thread, in nanoseconds; what the kernel does
 * for a process within its system calls is part of it, on loopback the receiver's side too.
 * Memory is Pss: a page shared by several processes counts in parts, one of its own whole.
 *
 * Threads:   any.
 * Ownership: none.
 * Limits:    GAUGE_PROCESSES_MAX. A process that has gone counts as nothing, a thread that ended
 *            takes its time along.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"

#define GAUGE_PROCESSES_MAX 16

/* The processes that make up a server. */
struct gauge {
	pid_t pids[GAUGE_PROCESSES_MAX];
	size_t count;
};

/* Takes "123" or "123,456"; false: it is no list of pids. */
bool gauge_init(struct gauge *gauge, struct slice pids);

uint64_t gauge_cpu_ns(const struct gauge *gauge);
uint64_t gauge_memory_kib(const struct gauge *gauge);

uint64_t gauge_own_cpu_ns(void); /* of this process, with threads that ended */
uint64_t gauge_kernel_kib(void); /* what TCP of the whole host holds in buffers */
