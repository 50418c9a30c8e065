#include "kit/gauge.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "kit/clock.h"

#define PATH_BYTES 320 /* a pid and a name of a directory */
#define LINE_BYTES 256

bool gauge_init(struct gauge *gauge, struct slice pids)
{
	struct slice part;
	*gauge = (struct gauge){0};
	while (slice_cut(&pids, ',', &part)) {
		uint64_t pid;
		if (!text_to_u64(part, &pid) || pid == 0 || pid > INT32_MAX ||
		    gauge->count == GAUGE_PROCESSES_MAX)
			return false;
		gauge->pids[gauge->count++] = (pid_t)pid;
	}
	return gauge->count > 0;
}

/* The number behind `key` in the line of a file that starts with `start`; 0 where there is none. */
static uint64_t number_in(const char *path, const char *start, const char *key)
{
	char line[LINE_BYTES];
	uint64_t value = 0;
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *at =
			strncmp(line, start, strlen(start)) == 0 ? strstr(line, key) : NULL;
		if (at == NULL)
			continue;
		value = strtoull(at + strlen(key), NULL, 10);
		break;
	}
	fclose(file);
	return value;
}

static uint64_t cpu_ns_of(pid_t pid)
{
	char path[PATH_BYTES];
	uint64_t total = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	if (tasks == NULL)
		return 0;
	for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
		if (task->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, task->d_name);
		total += number_in(path, "", "");
	}
	closedir(tasks);
	return total;
}

uint64_t gauge_cpu_ns(const struct gauge *gauge)
{
	uint64_t total = 0;
	for (size_t i = 0; i < gauge->count; i++)
		total += cpu_ns_of(gauge->pids[i]);
	return total;
}

uint64_t gauge_memory_kib(const struct gauge *gauge)
{
	char path[PATH_BYTES];
	uint64_t total = 0;
	for (size_t i = 0; i < gauge->count; i++) {
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", gauge->pids[i]);
		total += number_in(path, "Pss:", "Pss:");
	}
	return total;
}

uint64_t gauge_own_cpu_ns(void)
{
	struct timespec used;
	CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0);
	return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

uint64_t gauge_kernel_kib(void)
{
	uint64_t page_kib = (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
	return number_in("/proc/net/sockstat", "TCP:", " mem ") * page_kib;
}
