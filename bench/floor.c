/*
 * floor.c - the least that a fan-out can cost: send() of one ready frame to many sockets, and
 * nothing else.
 *
 *   bench/floor [--connections N] [--size BYTES] [--frames N] [--parts yes] [--seconds S]
 *               [--send-cpu N] [--read-cpu N] [--json FILE] [--name NAME]
 *
 * One thread sends on one CPU, another reads all sockets on another CPU, as the load generator
 * does. A round is a send to each socket; the next begins when all was read, so the kernel's
 * queues are empty as they are with one message under way. --frames: so many frames in
 * one system call, which is the limit for a burst; --parts yes: as many parts of it, as a server
 * sends them that does not copy. What counts is the sender's CPU time in its rounds.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.h"
#include "kit/clock.h"
#include "kit/complain.h"
#include "kit/endpoint.h"
#include "kit/report.h"

#define EVENTS_MAX 512
#define INPUT_BYTES (512u * 1024)
#define LOOK_NS 20000
#define WARMUP_ROUNDS 3
#define AHEAD_MAX 1000 /* of the listener's queue: what is beyond it would be tried again later */

struct floor {
	uint32_t connections, size, frames, send_cpu, read_cpu;
	bool has_parts;
	uint64_t seconds;
	const char *json, *name;

	struct endpoint endpoint; /* of the listener */
	int *sockets;             /* the sender's */
	char *bytes;
	struct iovec *parts;
	_Atomic uint64_t bytes_read;
	_Atomic uint32_t accepted;
};

static void pin(uint32_t cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	int error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (error != 0)
		die(error, "CPU %u", cpu);
}

static void files_allow(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		die(errno, "getrlimit");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		die(errno, "setrlimit");
}

/* ---- the reader ---- */

static void connect_all(struct floor *floor, int epoll)
{
	const struct timespec look = {0, LOOK_NS};
	for (uint32_t i = 0; i < floor->connections; i++) {
		while (i - atomic_load_explicit(&floor->accepted, memory_order_relaxed) > AHEAD_MAX)
			nanosleep(&look, NULL);
		int fd = endpoint_dial(&floor->endpoint, i);
		if (fd < 0)
			die(-fd, "connection %u", i);
		struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
			die(errno, "epoll_ctl");
	}
}

static uint64_t read_all(int fd, char *input)
{
	uint64_t total = 0;
	ssize_t got;
	do {
		got = recv(fd, input, INPUT_BYTES, 0);
		if (got > 0)
			total += (uint64_t)got;
	} while (got == INPUT_BYTES);
	return total;
}

static _Noreturn void *reader_run(void *argument)
{
	struct floor *floor = argument;
	static struct epoll_event events[EVENTS_MAX];
	static char input[INPUT_BYTES];
	pin(floor->read_cpu);
	if (unshare(CLONE_FILES) != 0)
		die(errno, "unshare");
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die(errno, "epoll_create1");
	connect_all(floor, epoll);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
		for (int i = 0; i < count; i++) {
			uint64_t got = read_all(events[i].data.fd, input);
			atomic_fetch_add_explicit(&floor->bytes_read, got, memory_order_relaxed);
		}
	}
}

/* ---- the sender ---- */

static int listen_anywhere(struct floor *floor)
{
	struct sockaddr_in *address = &floor->endpoint.address;
	socklen_t len = sizeof(*address);
	*address = (struct sockaddr_in){.sin_family = AF_INET,
	                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)address, len) != 0 ||
	    listen(fd, SOMAXCONN) != 0 || getsockname(fd, (struct sockaddr *)address, &len) != 0)
		die(errno, "listen");
	return fd;
}

static void accept_all(struct floor *floor, int listener)
{
	for (uint32_t i = 0; i < floor->connections; i++) {
		floor->sockets[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (floor->sockets[i] < 0)
			die(errno, "accept");
		atomic_store_explicit(&floor->accepted, i + 1, memory_order_relaxed);
	}
}

static void send_one(const struct floor *floor, int fd)
{
	size_t len = (size_t)floor->size * floor->frames;
	struct msghdr message = {.msg_iov = floor->parts, .msg_iovlen = floor->frames};
	ssize_t put = floor->has_parts ? sendmsg(fd, &message, MSG_NOSIGNAL)
	                               : send(fd, floor->bytes, len, MSG_NOSIGNAL);
	if (put != (ssize_t)len)
		die(put < 0 ? errno : 0, "a socket did not take all");
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec used;
	CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0);
	return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

/* CPU time of one round; waits until all of it was read. */
static uint64_t round_run(struct floor *floor, uint64_t bytes_sent)
{
	const struct timespec look = {0, LOOK_NS};
	uint64_t begin_ns = thread_cpu_ns();
	for (uint32_t i = 0; i < floor->connections; i++)
		send_one(floor, floor->sockets[i]);
	uint64_t used_ns = thread_cpu_ns() - begin_ns;
	while (atomic_load_explicit(&floor->bytes_read, memory_order_relaxed) < bytes_sent)
		nanosleep(&look, NULL);
	return used_ns;
}

static void measure(struct floor *floor, struct report *report)
{
	uint64_t round_bytes = (uint64_t)floor->connections * floor->size * floor->frames;
	uint64_t end_ns = clock_ns() + floor->seconds * NS_PER_S;
	uint64_t rounds = 0, used_ns = 0;
	for (uint64_t i = 1; rounds == 0 || clock_ns() < end_ns; i++) {
		uint64_t ns = round_run(floor, i * round_bytes);
		if (i <= WARMUP_ROUNDS)
			continue;
		used_ns += ns;
		rounds++;
	}
	double sends = (double)rounds * floor->connections;
	if (floor->name != NULL)
		report_text(report, "name", floor->name);
	report_text(report, "mode", "floor");
	report_count(report, "connections", floor->connections);
	report_count(report, "size", floor->size);
	report_count(report, "frames", floor->frames);
	report_count(report, "parts", floor->has_parts ? floor->frames : 1);
	report_real(report, "sends", sends);
	report_real(report, "cpu_s_per_million_sends", (double)used_ns / 1000 / sends);
	report_real(report, "cpu_s_per_million", (double)used_ns / 1000 / sends / floor->frames);
}

/* ---- the command line ---- */

static uint32_t number(const char *name, const char *text)
{
	uint64_t value;
	if (!text_to_u64(slice_string(text), &value) || value > INT32_MAX)
		die(0, "%s: %s is not a number it takes", name, text);
	return (uint32_t)value;
}

static void option_set(struct floor *floor, const char *name, const char *value)
{
	if (strcmp(name, "--connections") == 0)
		floor->connections = number(name, value);
	else if (strcmp(name, "--size") == 0)
		floor->size = number(name, value);
	else if (strcmp(name, "--frames") == 0)
		floor->frames = number(name, value);
	else if (strcmp(name, "--parts") == 0)
		floor->has_parts = strcmp(value, "yes") == 0;
	else if (strcmp(name, "--seconds") == 0)
		floor->seconds = number(name, value);
	else if (strcmp(name, "--send-cpu") == 0)
		floor->send_cpu = number(name, value);
	else if (strcmp(name, "--read-cpu") == 0)
		floor->read_cpu = number(name, value);
	else if (strcmp(name, "--json") == 0)
		floor->json = value;
	else if (strcmp(name, "--name") == 0)
		floor->name = value;
	else
		die(0, "%s is no option of floor", name);
}

static void floor_prepare(struct floor *floor)
{
	size_t len = (size_t)floor->size * floor->frames;
	floor->sockets = calloc(floor->connections, sizeof(*floor->sockets));
	floor->bytes = calloc(1, len);
	floor->parts = calloc(floor->frames, sizeof(*floor->parts));
	CHECK(floor->sockets != NULL && floor->bytes != NULL && floor->parts != NULL);
	for (uint32_t i = 0; i < floor->frames; i++)
		floor->parts[i] =
			(struct iovec){floor->bytes + (size_t)i * floor->size, floor->size};
}

int main(int argc, char **argv)
{
	struct floor floor = {.connections = 10000,
	                      .size = 218,
	                      .frames = 1,
	                      .seconds = 5,
	                      .send_cpu = 0,
	                      .read_cpu = 1};
	struct report report = {0};
	pthread_t reader;
	if (argc % 2 == 0)
		die(0, "an option without a value");
	for (int i = 1; i < argc; i += 2)
		option_set(&floor, argv[i], argv[i + 1]);
	if (floor.connections == 0 || floor.size == 0 || floor.frames == 0)
		die(0, "--connections, --size and --frames are 1 at least");
	files_allow();
	floor_prepare(&floor);
	int listener = listen_anywhere(&floor);
	int error = pthread_create(&reader, NULL, reader_run, &floor);
	if (error != 0)
		die(error, "pthread_create");
	pin(floor.send_cpu);
	accept_all(&floor, listener);
	measure(&floor, &report);
	report_print(&report, stdout);
	if (floor.json != NULL)
		report_append(&report, floor.json);
	return 0; /* the reader and all sockets end with it */
}
