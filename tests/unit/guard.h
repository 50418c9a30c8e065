/*
 * guard.h - input for parsers under test, laid against a page that may not be touched.
 *
 * A parser that reads one byte too far dies on the spot. guard_drop() gives a copy back.
 */
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/slice.h"

/* A writable copy of `bytes` whose last byte is the last one of a page. */
static inline char *guard_copy(struct slice bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (bytes.len + page - 1) / page * page;
	char *start =
		mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(start != MAP_FAILED);
	CHECK(mprotect(start + room, page, PROT_NONE) == 0);
	char *copy = start + room - bytes.len;
	if (bytes.len > 0)
		memcpy(copy, bytes.at, bytes.len);
	return copy;
}

static inline void guard_drop(char *copy, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (len + page - 1) / page * page;
	CHECK(munmap(copy + len - room, room + page) == 0);
}
