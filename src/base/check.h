/*
 * check.h - assertions that stay on in production.
 *
 * CHECK() states what the code relies on; a false one ends the process in full view.
 * CHECK_SLOW() is for walks that are too dear to keep: debug and sanitizer builds only.
 * Neither is for input: input is parsed.
 */
#pragma once

#include <assert.h> /* static_assert */
#include <stdio.h>
#include <stdlib.h>

#define MUST_CHECK __attribute__((warn_unused_result))

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			check_failed(#cond, __FILE__, __LINE__, __func__);                         \
	} while (0)

#if defined(STARLING_SLOW_CHECKS)
#define CHECK_SLOW(cond) CHECK(cond)
#else
#define CHECK_SLOW(cond) ((void)sizeof(cond))
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that embeds `member`, from a pointer to that member. */
#define CONTAINER_OF(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer) - __builtin_offsetof(type, member)))

static inline _Noreturn void check_failed(const char *cond, const char *file, int line,
                                          const char *func)
{
	fprintf(stderr, "%s:%d: %s: check failed: %s\n", file, line, func, cond);
	abort();
}
