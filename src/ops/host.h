/*
 * host.h - whether this host can hold so many connections: its limits and kernel settings, what
 * they are, what is needed, and what mends them. With workers.private_fds fewer descriptors do.
 *
 * Threads:   any; it reads files of /proc and /sys below a root, which is "" but in tests.
 * Ownership: rows are the caller's.
 * Limits:    HOST_ROWS_MAX rows; values longer than their room are cut.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HOST_ROWS_MAX 24

enum host_verdict {
	HOST_OK = 0,
	HOST_ADVICE, /* it works, but not as well as it could, or only for some uses */
	HOST_SHORT,  /* that many connections do not fit */
};

struct host_row {
	const char *name;
	char value[64], need[64];
	enum host_verdict verdict;
	char remedy[192]; /* a command; empty where it is ok */
};

struct host_load {
	uint64_t connections;
	uint32_t workers; /* that have descriptors dealt out to them */
};

/* The number of workers unless workers.count says it: one for each CPU that may be used. */
uint32_t host_workers(void);

size_t host_check(const char *root, const struct host_load *load,
                  struct host_row rows[HOST_ROWS_MAX]);
