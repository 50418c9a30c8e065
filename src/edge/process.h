/*
 * process.h - what the kernel says of this process, for /metrics.
 *
 * Threads:   any.
 * Ownership: plain values.
 * Limits:    what cannot be read is 0.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/slice.h"

struct process {
	uint64_t cpu_us; /* user and system time */
	uint64_t virtual_bytes, resident_bytes;
	uint64_t descriptors_max;
};

void process_look(struct process *process);
/* Of a line of /proc/PID/stat, and what its units are. */
MUST_CHECK bool process_parse(struct process *process, struct slice line, uint64_t tick_us,
                              uint64_t page_bytes);
/* Descriptors open in the table of the calling thread. */
uint64_t process_descriptors(void);
/* The families process_*. */
void process_write(struct buf *out, const struct process *process, uint64_t descriptors,
                   uint64_t started_unix_ms);
