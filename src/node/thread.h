/*
 * thread.h - waiting for a thread to end, but not for ever.
 *
 * Threads:   the control thread's.
 * Ownership: who started the thread joins it, once.
 * Limits:    none.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/role.h"

/* False: it has not ended in that time. */
MUST_CHECK bool thread_join(pthread_t thread, uint64_t wait_ms) CONTROL_ONLY;
