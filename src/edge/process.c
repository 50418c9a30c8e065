#include "edge/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "edge/metrics.h"

/* Fields of /proc/PID/stat, counted from the first one behind the program's name (proc(5): the
 * third). */
enum { FIELD_USER = 11, FIELD_SYSTEM = 12, FIELD_VIRTUAL = 20, FIELD_RESIDENT = 21, FIELD_END };

bool process_parse(struct process *process, struct slice line, uint64_t tick_us,
                   uint64_t page_bytes)
{
	uint64_t values[FIELD_END] = {0};
	struct slice rest = line, word;
	/* The name stands in parentheses and may hold any: the last one ends it. */
	size_t at = line.len;
	while (at > 0 && line.at[at - 1] != ')')
		at--;
	if (at == 0 || at + 1 >= line.len)
		return false;
	rest = slice_after(line, at + 1);
	for (int i = 0; i < FIELD_END; i++) {
		if (!slice_cut(&rest, ' ', &word))
			return false;
		bool is_wanted = i == FIELD_USER || i == FIELD_SYSTEM || i >= FIELD_VIRTUAL;
		if (is_wanted && !text_to_u64(word, &values[i]))
			return false;
	}
	process->cpu_us = (values[FIELD_USER] + values[FIELD_SYSTEM]) * tick_us;
	process->virtual_bytes = values[FIELD_VIRTUAL];
	process->resident_bytes = values[FIELD_RESIDENT] * page_bytes;
	return true;
}

void process_look(struct process *process)
{
	char line[1024];
	struct rlimit limit;
	*process = (struct process){0};
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, line, sizeof(line));
	if (fd >= 0)
		close(fd);
	if (got > 0)
		(void)!process_parse(process, slice_of(line, (size_t)got),
		                     1000000 / (uint64_t)sysconf(_SC_CLK_TCK),
		                     (uint64_t)sysconf(_SC_PAGESIZE));
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		process->descriptors_max = limit.rlim_cur;
}

/* One by one, which takes a while where there are many. */
static uint64_t count_descriptors(const char *path)
{
	uint64_t count = 0;
	DIR *folder = opendir(path);
	if (folder == NULL)
		return 0;
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count < 3 ? 0 : count - 3; /* `.`, `..` and the folder itself */
}

uint64_t process_descriptors(void)
{
	static const char path[] = "/proc/thread-self/fd";
	struct stat stat_of;
	/* Since Linux 6.2 the size of the folder is their number. */
	if (stat(path, &stat_of) == 0 && stat_of.st_size > 0)
		return (uint64_t)stat_of.st_size;
	return count_descriptors(path);
}

static void write_one(struct buf *out, const char *name, const char *type, const char *help,
                      uint64_t value)
{
	metrics_family(out, name, type, help);
	metrics_value(out, name, "", value);
}

void process_write(struct buf *out, const struct process *process, uint64_t descriptors,
                   uint64_t started_unix_ms)
{
	metrics_family(out, "process_cpu_seconds_total", "counter",
	               "User and system CPU time of the process.");
	metrics_micro(out, "process_cpu_seconds_total", "", process->cpu_us);
	metrics_family(out, "process_start_time_seconds", "gauge",
	               "When the server started, since 1970.");
	metrics_micro(out, "process_start_time_seconds", "", started_unix_ms * 1000);
	write_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
	          process->resident_bytes);
	write_one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
	          process->virtual_bytes);
	write_one(out, "process_open_fds", "gauge", "Open descriptors.", descriptors);
	write_one(out, "process_max_fds", "gauge",
	          "Descriptors there may be; with workers.private_fds: in each worker.",
	          process->descriptors_max);
}
