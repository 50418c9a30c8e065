/* A host of files below a directory of its own, changed one at a time, and what is said of it. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "ops/host.h"
#include "starling/limits.h"

#define PATH_BYTES 512

static const struct host_load load = {.connections = 100000, .workers = 2};
static char root[] = "/tmp/starling-host-XXXXXX";

/* With which that many connections fit. */
static const struct file {
	const char *path, *text;
} good[] = {
	{"/proc/self/limits",
         "Limit                     Soft Limit           Hard Limit           Units\n"
         "Max processes             1                    1                    processes\n"
         "Max open files            1024                 104805               files\n"},
	{"/proc/sys/fs/nr_open", "104805\n"},
	{"/proc/sys/fs/file-max", "178036\n"},
	{"/proc/sys/fs/epoll/max_user_watches", "104805\n"},
	{"/proc/sys/net/core/somaxconn", "6250\n"},
	{"/proc/sys/net/ipv4/tcp_max_syn_backlog", "6250\n"},
	{"/proc/sys/net/ipv4/tcp_mem", "1\t2\t116384\n"},
	{"/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t1048576\n"},
	{"/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t1048576\n"},
	{"/proc/sys/net/netfilter/nf_conntrack_max", "126024\n"},
	{"/proc/meminfo", "MemTotal:        9999999 kB\nMemAvailable:     515536 kB\n"},
	{"/proc/sys/net/ipv4/ip_local_port_range", "10001\t60000\n"},
	{"/proc/sys/kernel/osrelease", "3.9.0-generic\n"},
	{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"},
	{"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"},
	{"/proc/sys/net/ipv4/tcp_available_ulp", "espintcp mptcp tls\n"},
};

static void path_below(char out[PATH_BYTES], const char *path)
{
	int len = snprintf(out, PATH_BYTES, "%s%s", root, path);
	CHECK(len > 0 && len < PATH_BYTES);
}

static void make_folders(char *path)
{
	for (char *at = path + sizeof(root); (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		(void)mkdir(path, 0700);
		*at = '/';
	}
}

static void write_file(const char *path, const char *text)
{
	char whole[PATH_BYTES];
	path_below(whole, path);
	make_folders(whole);
	int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void remove_file(const char *path)
{
	char whole[PATH_BYTES];
	path_below(whole, path);
	CHECK(unlink(whole) == 0);
}

static const char *good_text(const char *path)
{
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		if (strcmp(good[i].path, path) == 0)
			return good[i].text;
	}
	CHECK(false);
	return NULL;
}

/* ---- one file is another ---- */

static const struct {
	const char *claim, *path, *text; /* NULL: it is not there */
	const char *row;
	enum host_verdict verdict;
	const char *value, *remedy;
} rows[] = {
	{"a descriptor too few", "/proc/self/limits",
         "Max open files            9                    104804               files\n",
         "descriptors", HOST_SHORT, "104804", "ulimit -Hn 104805"},
	{"descriptors without limit", "/proc/self/limits",
         "Max open files            9                    unlimited            files\n",
         "descriptors", HOST_OK, "no limit", ""},
	{"fs.nr_open", "/proc/sys/fs/nr_open", "104804\n", "fs.nr_open", HOST_SHORT, "104804",
         "sysctl -w fs.nr_open=104805"},
	{"a file that cannot be", "/proc/sys/fs/nr_open", "many\n", "fs.nr_open", HOST_ADVICE,
         "unreadable", "sysctl -w fs.nr_open=104805"},
	{"a file that is missing", "/proc/sys/fs/file-max", NULL, "fs.file-max", HOST_ADVICE,
         "none", "sysctl -w fs.file-max=178036"},
	{"fs.file-max", "/proc/sys/fs/file-max", "178035\n", "fs.file-max", HOST_SHORT, "178035",
         "sysctl -w fs.file-max=178036"},
	{"watches of epoll", "/proc/sys/fs/epoll/max_user_watches", "5\n",
         "fs.epoll.max_user_watches", HOST_SHORT, "5",
         "sysctl -w fs.epoll.max_user_watches=104805"},
	{"a backlog that is too short", "/proc/sys/net/core/somaxconn", "128\n",
         "net.core.somaxconn", HOST_SHORT, "128", "sysctl -w net.core.somaxconn=6250"},
	{"half-open connections", "/proc/sys/net/ipv4/tcp_max_syn_backlog", "128\n",
         "net.ipv4.tcp_max_syn_backlog", HOST_ADVICE, "128",
         "sysctl -w net.ipv4.tcp_max_syn_backlog=6250"},
	{"the third word of tcp_mem", "/proc/sys/net/ipv4/tcp_mem", "999999 999999 116383\n",
         "net.ipv4.tcp_mem, most", HOST_SHORT, "116383", "n=116384; sysctl -w net.ipv4.tcp_mem="},
	{"tcp_rmem", "/proc/sys/net/ipv4/tcp_rmem", "4096 16384 65536\n", "net.ipv4.tcp_rmem, most",
         HOST_ADVICE, "65536", "sysctl -w net.ipv4.tcp_rmem=\"4096 16384 1048576\""},
	{"tcp_wmem", "/proc/sys/net/ipv4/tcp_wmem", "4096 16384 65536\n", "net.ipv4.tcp_wmem, most",
         HOST_ADVICE, "65536", "sysctl -w net.ipv4.tcp_wmem=\"4096 16384 1048576\""},
	{"connections tracked", "/proc/sys/net/netfilter/nf_conntrack_max", "65536\n",
         "net.netfilter.nf_conntrack_max", HOST_SHORT, "65536",
         "sysctl -w net.netfilter.nf_conntrack_max=126024"},
	{"none tracked", "/proc/sys/net/netfilter/nf_conntrack_max", NULL,
         "net.netfilter.nf_conntrack_max", HOST_OK, "none", ""},
	{"memory", "/proc/meminfo", "MemAvailable:     515535 kB\n", "memory available, KiB",
         HOST_SHORT, "515535", "more memory, or fewer connections"},
	{"ports", "/proc/sys/net/ipv4/ip_local_port_range", "32768 60999\n",
         "ports for a proxy on this host", HOST_ADVICE, "28232",
         "sysctl -w net.ipv4.ip_local_port_range="},
	{"ports that end before they begin", "/proc/sys/net/ipv4/ip_local_port_range", "2 1\n",
         "ports for a proxy on this host", HOST_ADVICE, "0", "sysctl -w"},
	{"an old kernel", "/proc/sys/kernel/osrelease", "3.8.13\n", "SO_REUSEPORT, of Linux",
         HOST_SHORT, "3.8.13", "a newer kernel"},
	{"a new kernel", "/proc/sys/kernel/osrelease", "10.0-rc1\n", "SO_REUSEPORT, of Linux",
         HOST_OK, "10.0-rc1", ""},
	{"a kernel without number", "/proc/sys/kernel/osrelease", "next\n",
         "SO_REUSEPORT, of Linux", HOST_ADVICE, "next", "a newer kernel"},
	{"a slow clock", "/sys/devices/system/clocksource/clocksource0/current_clocksource",
         "hpet\n", "clock source", HOST_ADVICE, "hpet", "echo tsc >"},
	{"the clock of a virtual machine",
         "/sys/devices/system/clocksource/clocksource0/current_clocksource", "kvm-clock\n",
         "clock source", HOST_OK, "kvm-clock", ""},
	{"a governor that saves power", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
         "powersave\n", "CPU governor", HOST_ADVICE, "powersave", "cpupower"},
	{"no governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", NULL,
         "CPU governor", HOST_OK, "none", ""},
	{"no TLS in the kernel", "/proc/sys/net/ipv4/tcp_available_ulp", "mptcp\n", "kernel TLS",
         HOST_ADVICE, "mptcp", "modprobe tls"},
};

static const struct host_row *find_row(const struct host_row *all, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	}
	CHECK(false);
	return NULL;
}

static void check_row(size_t i)
{
	struct host_row all[HOST_ROWS_MAX];
	if (rows[i].text == NULL)
		remove_file(rows[i].path);
	else
		write_file(rows[i].path, rows[i].text);
	size_t count = host_check(root, &load, all);
	const struct host_row *row = find_row(all, count, rows[i].row);
	CHECK(row->verdict == rows[i].verdict);
	CHECK(strcmp(row->value, rows[i].value) == 0);
	CHECK(strncmp(row->remedy, rows[i].remedy, strlen(rows[i].remedy)) == 0);
	CHECK((row->remedy[0] == '\0') == (row->verdict == HOST_OK));
	/* And nothing else is. */
	for (size_t j = 0; j < count; j++)
		CHECK(&all[j] == row || all[j].verdict == HOST_OK);
	write_file(rows[i].path, good_text(rows[i].path));
	printf("host: %s\n", rows[i].claim);
}

static void all_is_good(void)
{
	struct host_row all[HOST_ROWS_MAX];
	for (size_t i = 0; i < COUNT_OF(good); i++)
		write_file(good[i].path, good[i].text);
	size_t count = host_check(root, &load, all);
	CHECK(count == COUNT_OF(good));
	for (size_t i = 0; i < count; i++)
		CHECK(all[i].verdict == HOST_OK);
	printf("host: one that has just enough is ok\n");
}

static void one_more(void)
{
	struct host_row all[HOST_ROWS_MAX];
	struct host_load more = {load.connections + 100, load.workers};
	size_t count = host_check(root, &more, all), shorts = 0;
	for (size_t i = 0; i < count; i++)
		shorts += all[i].verdict == HOST_SHORT;
	CHECK(shorts >= 6);
	printf("host: what is needed grows with the connections\n");
	more = (struct host_load){load.connections, load.workers + 1};
	count = host_check(root, &more, all);
	CHECK(find_row(all, count, "descriptors")->verdict == HOST_SHORT);
	CHECK(strcmp(find_row(all, count, "descriptors")->need, "105069") == 0);
	printf("host: each worker keeps some descriptors back\n");
}

static void workers_are_there(void)
{
	CHECK(host_workers() >= 1);
	CHECK(host_workers() <= WORKERS_MAX);
	printf("host: a worker for each CPU, and no more than there may be\n");
}

static void remove_all(void)
{
	char command[sizeof(root) + 16];
	snprintf(command, sizeof(command), "rm -r %s", root);
	CHECK(system(command) == 0);
}

static void nothing_is_there(void)
{
	struct host_row all[HOST_ROWS_MAX];
	size_t count = host_check(root, &load, all);
	for (size_t i = 0; i < count; i++)
		CHECK(all[i].verdict != HOST_SHORT);
	printf("host: what is not known is not called short\n");
}

int main(void)
{
	CHECK(mkdtemp(root) != NULL);
	nothing_is_there();
	all_is_good();
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_row(i);
	one_more();
	workers_are_there();
	remove_all();
	return 0;
}
