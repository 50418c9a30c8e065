#include "kernel.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "die.h"

#define LINE_MAX_BYTES 512

/* The number behind `name` in the first line of the file that begins with it. */
static bool file_number(const char *path, const char *name, uint64_t *number)
{
	char line[LINE_MAX_BYTES];
	unsigned long long value = 0;
	bool is_found = false;
	size_t len = strlen(name);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		die_errno(path);
	while (!is_found && fgets(line, sizeof(line), file) != NULL)
		is_found = strncmp(line, name, len) == 0 && sscanf(line + len, "%llu", &value) == 1;
	fclose(file);
	*number = value;
	return is_found;
}

static uint64_t meminfo_bytes(const char *name)
{
	uint64_t kib;
	if (!file_number("/proc/meminfo", name, &kib))
		die(name);
	return kib * KIB;
}

/* "TCP: inuse 12 orphan 0 tw 0 alloc 14 mem 3": the last is in pages. */
static uint64_t tcp_bytes(void)
{
	char line[LINE_MAX_BYTES];
	unsigned long long pages = 0;
	bool is_found = false;
	FILE *file = fopen("/proc/net/sockstat", "r");
	if (file == NULL)
		die_errno("/proc/net/sockstat");
	while (!is_found && fgets(line, sizeof(line), file) != NULL)
		is_found = sscanf(line, "TCP: inuse %*u orphan %*u tw %*u alloc %*u mem %llu",
		                  &pages) == 1;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct kernel_memory kernel_memory(void)
{
	return (struct kernel_memory){
		.available_bytes = meminfo_bytes("MemAvailable:"),
		.slab_bytes = meminfo_bytes("Slab:"),
		.tcp_bytes = tcp_bytes(),
		.tables_bytes = meminfo_bytes("PageTables:") + meminfo_bytes("KernelStack:"),
	};
}

uint64_t kernel_process_bytes(long pid)
{
	char path[64];
	uint64_t kib;
	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
	if (!file_number(path, "Pss:", &kib))
		die("no Pss in smaps_rollup");
	return kib * KIB;
}

double kernel_cpu_seconds(long pid)
{
	char path[64];
	char line[LINE_MAX_BYTES];
	unsigned long long user = 0, system = 0;
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		die_errno(path);
	/* Behind the name, which may hold anything: state, ten numbers, then the times. */
	const char *rest = fgets(line, sizeof(line), file) == NULL ? NULL : strrchr(line, ')');
	fclose(file);
	if (rest == NULL ||
	    sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
	           &system) != 2)
		die("no times in /proc/PID/stat");
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

uint64_t kernel_clock_ns(void)
{
	struct timespec now;
	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
