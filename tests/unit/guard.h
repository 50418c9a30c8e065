/*
 * guard.h - input for parsers under test, laid against a page that may not be touched.
 *
 * A parser that reads one byte too far dies on the spot. guard_drop() gives a copy back: its bytes
 * are others from then on, so who still looks at them finds nonsense. The pages are kept for the
 * next copy that takes as many, since to map them anew for each costs more than the tests do.
 */
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/slice.h"

static struct {
	char *start; /* NULL: none is kept */
	size_t room; /* without the page behind */
} guard_kept;

static inline size_t guard_room(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (len + page - 1) / page * page;
}

static inline void guard_unmap(char *start, size_t room)
{
	CHECK(munmap(start, room + (size_t)sysconf(_SC_PAGESIZE)) == 0);
}

/* `room` bytes, and behind them the page that may not be touched. */
static inline char *guard_map(size_t room)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *start =
		mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(start != MAP_FAILED);
	CHECK(mprotect(start + room, page, PROT_NONE) == 0);
	return start;
}

/* A writable copy of `bytes` whose last byte is the last one of a page. */
static inline char *guard_copy(struct slice bytes)
{
	size_t room = guard_room(bytes.len);
	char *start = guard_kept.start;
	if (start != NULL && guard_kept.room == room)
		guard_kept.start = NULL;
	else
		start = guard_map(room);
	char *copy = start + room - bytes.len;
	if (bytes.len > 0)
		memcpy(copy, bytes.at, bytes.len);
	return copy;
}

static inline void guard_drop(char *copy, size_t len)
{
	size_t room = guard_room(len);
	memset(copy, 0xdb, len);
	if (guard_kept.start != NULL)
		guard_unmap(guard_kept.start, guard_kept.room);
	guard_kept.start = copy + len - room;
	guard_kept.room = room;
}
