/* The linker's --wrap=NAME makes __wrap_NAME of each call of NAME, and NAME of __real_NAME. */
#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *string);
char *__real_strndup(const char *string, size_t len);
void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *string);
char *__wrap_strndup(const char *string, size_t len);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);

static struct failing of_this_process;
static struct failing *failing = &of_this_process;
static _Thread_local unsigned pauses;

__attribute__((constructor)) static void open_file(void)
{
	const char *path = getenv("FAILING_FILE");
	if (path == NULL)
		return;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *memory = fd < 0 ? MAP_FAILED
	                      : __real_mmap(NULL, sizeof(*failing), PROT_READ | PROT_WRITE,
	                                    MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		perror(path);
		exit(1);
	}
	close(fd);
	failing = memory;
}

void failing_arm(uint32_t number, enum failing_mode mode)
{
	failing->mode = FAILING_NONE;
	failing->number = number;
	failing->seen = failing->failed = 0;
	failing->mode = mode;
}

uint32_t failing_disarm(void)
{
	failing->mode = FAILING_NONE;
	return failing->failed;
}

void failing_pause(void)
{
	pauses++;
}

void failing_resume(void)
{
	pauses--;
}

static bool this_fails(void)
{
	enum failing_mode mode = failing->mode;
	if (mode == FAILING_NONE || pauses > 0)
		return false;
	uint32_t number = ++failing->seen;
	if (number < failing->number || (number > failing->number && mode == FAILING_ONE))
		return false;
	failing->failed++;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return this_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return this_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return this_fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return this_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *string)
{
	return this_fails() ? NULL : __real_strdup(string);
}

char *__wrap_strndup(const char *string, size_t len)
{
	return this_fails() ? NULL : __real_strndup(string, len);
}

void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	return this_fails() ? MAP_FAILED : __real_mmap(at, len, protection, flags, fd, offset);
}
