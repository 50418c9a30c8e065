/*
 * thread.h - what threads are called, and waiting for one to end, but not for ever.
 *
 * Threads:   thread_is_called() is the thread's own, the rest the control thread's.
 * Ownership: who started the thread joins it, once.
 * Limits:    THREAD_NAME_MAX bytes of a name, as the kernel has them.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/role.h"

#define THREAD_NAME_MAX 15

/* So that tools tell them apart (top -H, perf, gdb): "worker-3"; a negative number is left out. */
void thread_is_called(const char *what, int number);

/* False: it has not ended in that time. */
MUST_CHECK bool thread_join(pthread_t thread, uint64_t wait_ms) CONTROL_ONLY;
