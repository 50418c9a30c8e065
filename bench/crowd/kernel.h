/*
 * kernel.h - what the kernel says of a process and of this host: memory and CPU time.
 *
 * Threads:   pure reads of /proc; any thread.
 * Ownership: values.
 * Limits:    a file of /proc that is not there, or without the line wanted, ends the program.
 */
#pragma once

#include <stdint.h>

#define KIB 1024ull

struct kernel_memory {
	uint64_t available_bytes; /* of the host: what could be had without swapping */
	uint64_t slab_bytes;      /* kernel objects: sockets, files, dentries, epoll items */
	uint64_t tcp_bytes;       /* buffers of TCP sockets, as /proc/net/sockstat counts them */
	uint64_t tables_bytes;    /* page tables and kernel stacks */
};

struct kernel_memory kernel_memory(void);

/* A page shared by several processes counts in parts, one of its own counts whole. `pid` may be
 * that of the caller. */
uint64_t kernel_process_bytes(long pid);
double kernel_cpu_seconds(long pid); /* user and system time of all threads */
uint64_t kernel_clock_ns(void);      /* monotonic */
