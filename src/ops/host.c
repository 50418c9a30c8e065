#include "ops/host.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/slice.h"
#include "base/text.h"
#include "edge/edge.h"
#include "starling/limits.h"

#define FILE_MAX 8192

/* Descriptors besides those of clients: requests that are answered at once, what stays with the
 * process, what is open at the start. */
#define DESCRIPTORS_BESIDE (EDGE_CONN_RESERVE + 2 * DESCRIPTORS_APART_MAX)
/* And of each worker: what it keeps back, its epoll, its listeners. */
#define DESCRIPTORS_OF_WORKER (RESERVE_MAX + 8)
/* Workers have the same number of descriptors but not of clients: that share may be uneven. */
#define UNEVEN_SHARE 32
/* Of an idle connection: the kernel's socket, file, inode and epoll entry, and what is ours. */
#define CONNECTION_BYTES 4608
#define SERVER_BYTES (64u << 20)

/* ---- reading ---- */

struct text {
	char bytes[FILE_MAX];
	size_t len;
};

/* False: it is not there, or cannot be read. */
static bool read_file(const char *root, const char *path, struct text *text)
{
	char whole[512];
	int len = snprintf(whole, sizeof(whole), "%s%s", root, path);
	CHECK(len > 0 && (size_t)len < sizeof(whole));
	int fd = open(whole, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t got = read(fd, text->bytes, sizeof(text->bytes));
	close(fd);
	text->len = got > 0 ? (size_t)got : 0;
	while (text->len > 0 && text->bytes[text->len - 1] == '\n')
		text->len--;
	return got > 0;
}

/* The next word; empty: there is none. */
static struct slice next_word(struct slice *rest)
{
	size_t start = 0, end;
	while (start < rest->len && (rest->at[start] == ' ' || rest->at[start] == '\t'))
		start++;
	for (end = start; end < rest->len; end++) {
		if (rest->at[end] == ' ' || rest->at[end] == '\t' || rest->at[end] == '\n')
			break;
	}
	struct slice word = slice_of(rest->at + start, end - start);
	*rest = slice_after(*rest, end);
	return word;
}

/* Word number `which` of what follows `label` in its line; a label of "" is the file's start. */
static bool find_word(const struct text *text, const char *label, unsigned which,
                      struct slice *word)
{
	struct slice rest = slice_of(text->bytes, text->len), line = rest;
	size_t label_len = strlen(label);
	bool is_found = label_len == 0;
	while (!is_found && slice_cut(&rest, '\n', &line))
		is_found = line.len >= label_len && memcmp(line.at, label, label_len) == 0;
	if (!is_found)
		return false;
	line = slice_after(line, label_len);
	for (unsigned i = 0; i <= which; i++)
		*word = next_word(&line);
	return word->len > 0;
}

/* A number, or `unlimited`. */
static bool read_number(const struct text *text, const char *label, unsigned which, uint64_t *value)
{
	struct slice word;
	if (!find_word(text, label, which, &word))
		return false;
	*value = UINT64_MAX;
	return slice_is(word, "unlimited") || text_to_u64(word, value);
}

/* ---- what is needed ---- */

static uint64_t need_descriptors(const struct host_load *load)
{
	return load->connections + load->connections / UNEVEN_SHARE + DESCRIPTORS_BESIDE +
	       (uint64_t)load->workers * DESCRIPTORS_OF_WORKER;
}

/* Of all processes together: others have some too. */
static uint64_t need_files(const struct host_load *load)
{
	return load->connections + load->connections / 8 + 65536;
}

/* They may come back all at once. */
static uint64_t need_backlog(const struct host_load *load)
{
	uint64_t need = load->connections / 16;
	return need < 1024 ? 1024 : need > 65535 ? 65535 : need;
}

/* Pages that all sockets may hold: one each, for what is on its way to it. */
static uint64_t need_tcp_pages(const struct host_load *load)
{
	return load->connections + 16384;
}

static uint64_t need_buffer(const struct host_load *load)
{
	(void)load;
	return 1u << 20;
}

static uint64_t need_tracked(const struct host_load *load)
{
	return load->connections + load->connections / 4 + 1024;
}

/* In KiB, as the kernel counts. */
static uint64_t need_memory(const struct host_load *load)
{
	return (load->connections * CONNECTION_BYTES + SERVER_BYTES) / 1024;
}

/* ---- numbers that must not be too small ---- */

static const struct figure {
	const char *name, *path, *label;
	unsigned word;
	uint64_t (*need)(const struct host_load *load);
	enum host_verdict verdict; /* when it is less */
	bool may_be_missing;       /* then nothing is limited by it */
	const char *remedy;        /* a format, of what is needed */
} figures[] = {
	{"descriptors", "/proc/self/limits", "Max open files", 1, need_descriptors, HOST_SHORT,
         false, "ulimit -Hn %" PRIu64 "   # under systemd: LimitNOFILE= of the unit"},
	{"fs.nr_open", "/proc/sys/fs/nr_open", "", 0, need_descriptors, HOST_SHORT, false,
         "sysctl -w fs.nr_open=%" PRIu64},
	{"fs.file-max", "/proc/sys/fs/file-max", "", 0, need_files, HOST_SHORT, false,
         "sysctl -w fs.file-max=%" PRIu64},
	{"fs.epoll.max_user_watches", "/proc/sys/fs/epoll/max_user_watches", "", 0,
         need_descriptors, HOST_SHORT, true, "sysctl -w fs.epoll.max_user_watches=%" PRIu64},
	{"net.core.somaxconn", "/proc/sys/net/core/somaxconn", "", 0, need_backlog, HOST_SHORT,
         false, "sysctl -w net.core.somaxconn=%" PRIu64},
	{"net.ipv4.tcp_max_syn_backlog", "/proc/sys/net/ipv4/tcp_max_syn_backlog", "", 0,
         need_backlog, HOST_ADVICE, false, "sysctl -w net.ipv4.tcp_max_syn_backlog=%" PRIu64},
	{"net.ipv4.tcp_mem, most", "/proc/sys/net/ipv4/tcp_mem", "", 2, need_tcp_pages, HOST_SHORT,
         false, "n=%" PRIu64 "; sysctl -w net.ipv4.tcp_mem=\"$((n / 2)) $((n * 3 / 4)) $n\""},
	{"net.ipv4.tcp_rmem, most", "/proc/sys/net/ipv4/tcp_rmem", "", 2, need_buffer, HOST_ADVICE,
         false, "sysctl -w net.ipv4.tcp_rmem=\"4096 16384 %" PRIu64 "\""},
	{"net.ipv4.tcp_wmem, most", "/proc/sys/net/ipv4/tcp_wmem", "", 2, need_buffer, HOST_ADVICE,
         false, "sysctl -w net.ipv4.tcp_wmem=\"4096 16384 %" PRIu64 "\""},
	{"net.netfilter.nf_conntrack_max", "/proc/sys/net/netfilter/nf_conntrack_max", "", 0,
         need_tracked, HOST_SHORT, true, "sysctl -w net.netfilter.nf_conntrack_max=%" PRIu64},
	{"memory available, KiB", "/proc/meminfo", "MemAvailable:", 0, need_memory, HOST_SHORT,
         false, "more memory, or fewer connections   # %" PRIu64 " KiB are needed"},
};

static void check_figure(const char *root, const struct host_load *load,
                         const struct figure *figure, struct host_row *row)
{
	struct text text;
	uint64_t value, need = figure->need(load);
	row->name = figure->name;
	snprintf(row->need, sizeof(row->need), "%" PRIu64, need);
	bool is_there = read_file(root, figure->path, &text);
	bool is_known = is_there && read_number(&text, figure->label, figure->word, &value);
	if (is_known && value == UINT64_MAX)
		snprintf(row->value, sizeof(row->value), "no limit");
	else if (is_known)
		snprintf(row->value, sizeof(row->value), "%" PRIu64, value);
	else
		snprintf(row->value, sizeof(row->value), is_there ? "unreadable" : "none");
	if (is_known && value >= need)
		return;
	if (!is_there && figure->may_be_missing)
		return;
	row->verdict = is_known ? figure->verdict : HOST_ADVICE;
	snprintf(row->remedy, sizeof(row->remedy), figure->remedy, need);
}

/* ---- words ---- */

static const struct word_check {
	const char *name, *path;
	const char *good[6];
	bool is_among; /* one of the words of the file, not the only one */
	bool may_be_missing;
	const char *remedy;
} word_checks[] = {
	{"clock source",
         "/sys/devices/system/clocksource/clocksource0/current_clocksource",
         {"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "stp"},
         false,
         false,
         "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource"},
	{"CPU governor",
         "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
         {"performance"},
         false,
         true,
         "cpupower frequency-set -g performance"},
	{"kernel TLS",
         "/proc/sys/net/ipv4/tcp_available_ulp",
         {"tls"},
         true,
         false,
         "modprobe tls"},
};

static bool is_good(const struct word_check *check, const struct text *text)
{
	struct slice rest = slice_of(text->bytes, text->len), word;
	while ((word = next_word(&rest)).len > 0) {
		for (size_t i = 0; i < COUNT_OF(check->good) && check->good[i] != NULL; i++) {
			if (slice_is(word, check->good[i]))
				return true;
		}
		if (!check->is_among)
			return false;
	}
	return false;
}

static void check_word(const char *root, const struct word_check *check, struct host_row *row)
{
	struct text text = {.len = 0};
	bool is_there = read_file(root, check->path, &text);
	row->name = check->name;
	snprintf(row->need, sizeof(row->need), "%s", check->good[0]);
	snprintf(row->value, sizeof(row->value), "%.*s", is_there ? (int)text.len : 4,
	         is_there ? text.bytes : "none");
	if (is_good(check, &text) || (!is_there && check->may_be_missing))
		return;
	row->verdict = HOST_ADVICE;
	snprintf(row->remedy, sizeof(row->remedy), "%s", check->remedy);
}

/* ---- others ---- */

/* Each connection from this host, of a proxy on it, takes a port for itself. */
static void check_ports(const char *root, const struct host_load *load, struct host_row *row)
{
	struct text text;
	uint64_t low = 1, high = 0;
	uint64_t need = load->connections < 50000 ? load->connections : 50000;
	row->name = "ports for a proxy on this host";
	snprintf(row->need, sizeof(row->need), "%" PRIu64, need);
	bool is_known = read_file(root, "/proc/sys/net/ipv4/ip_local_port_range", &text) &&
	                read_number(&text, "", 0, &low) && read_number(&text, "", 1, &high);
	uint64_t count = is_known && high >= low ? high - low + 1 : 0;
	snprintf(row->value, sizeof(row->value), "%" PRIu64, count);
	if (count >= need)
		return;
	row->verdict = HOST_ADVICE;
	snprintf(row->remedy, sizeof(row->remedy),
	         "sysctl -w net.ipv4.ip_local_port_range=\"10240 65535\"");
}

/* Several listeners on one port, between which the kernel spreads connections: Linux 3.9. */
static void check_reuseport(const char *root, struct host_row *row)
{
	struct text text = {.len = 0};
	struct slice rest, part;
	uint64_t major = 0, minor = 0;
	row->name = "SO_REUSEPORT, of Linux";
	snprintf(row->need, sizeof(row->need), "3.9");
	(void)!read_file(root, "/proc/sys/kernel/osrelease", &text);
	rest = slice_of(text.bytes, text.len);
	snprintf(row->value, sizeof(row->value), "%.*s", (int)text.len, text.bytes);
	bool is_known = slice_cut(&rest, '.', &part) && text_to_u64(part, &major);
	bool has_minor = slice_cut(&rest, '.', &part) && text_to_u64(part, &minor);
	if (is_known && (major > 3 || (major == 3 && has_minor && minor >= 9)))
		return;
	row->verdict = is_known ? HOST_SHORT : HOST_ADVICE;
	snprintf(row->remedy, sizeof(row->remedy), "a newer kernel");
}

uint32_t host_workers(void)
{
	cpu_set_t allowed;
	CPU_ZERO(&allowed);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return 1;
	uint32_t count = (uint32_t)CPU_COUNT(&allowed);
	return count < WORKERS_MAX ? count : WORKERS_MAX;
}

size_t host_check(const char *root, const struct host_load *load,
                  struct host_row rows[HOST_ROWS_MAX])
{
	size_t count = 0;
	static_assert(COUNT_OF(figures) + COUNT_OF(word_checks) + 2 <= HOST_ROWS_MAX, "room");
	memset(rows, 0, HOST_ROWS_MAX * sizeof(rows[0]));
	for (size_t i = 0; i < COUNT_OF(figures); i++)
		check_figure(root, load, &figures[i], &rows[count++]);
	check_ports(root, load, &rows[count++]);
	check_reuseport(root, &rows[count++]);
	for (size_t i = 0; i < COUNT_OF(word_checks); i++)
		check_word(root, &word_checks[i], &rows[count++]);
	return count;
}
