/*
 * descriptors.h - how many descriptors there are for connections, dealt out to the workers.
 *
 * Connections are told that there are too many by the worker that accepts them, so each has to know
 * what is its own: its part of RLIMIT_NOFILE, or all of it where it has a table of its own.
 *
 * Threads:   the control thread's, before the workers start.
 * Ownership: none.
 * Limits:    DESCRIPTORS_APART_* stay with the process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/role.h"

/* What a worker may use for connections, when there are so many of them, each with so many
 * listeners, and tables of their own or one for all; 0: too few to start with. `*limit` is
 * RLIMIT_NOFILE. */
uint32_t descriptors_deal(uint32_t workers, size_t listeners, bool are_private,
                          uint64_t *limit) CONTROL_ONLY;
