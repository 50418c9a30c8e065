/*
 * idle.c - what an idle, subscribed WebSocket connection costs the server in user memory.
 *
 *   bench/idle --pid PID [--connections N] [--channels one|each] [--settle MS] HOST:PORT
 *
 * Opens connections that subscribe and then keep silent. The server's memory (Pss of
 * /proc/PID/smaps_rollup) is read at the first 1,000 connections, when everything that is there
 * once has been paid for, and at N; the slope between the two is the cost of one.
 *
 * The client is its own and blocking: a connection is opened, upgraded and subscribed before the
 * next one begins. `one`: all in one channel; `each`: a channel for each.
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#define FIRST_READING 1000
#define SPARE_FILES 16 /* standard streams, /proc, the resolver */
#define ANSWER_MAX 4096
#define ANSWER_SECONDS 10
#define SHORT_FRAME_MAX 125

struct idle_options {
	const char *host, *port;
	long pid;
	long connections;
	long settle_ms;
	bool has_channel_each;
};

/* What the server sent and this program has not looked at. */
struct answer {
	size_t len;
	char bytes[ANSWER_MAX + 1]; /* always closed by a NUL */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench/idle: %s\n", what);
	exit(1);
}

static _Noreturn void die_errno(const char *what)
{
	fprintf(stderr, "bench/idle: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void files_allow(long connections)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		die_errno("getrlimit");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		die_errno("setrlimit");
	if (files.rlim_max < (rlim_t)connections + SPARE_FILES)
		die("the hard limit of open files (ulimit -Hn) is below --connections");
}

/* Pss: a page shared by several processes counts in parts, one of its own counts whole. */
static long memory_kib(long pid)
{
	char path[64];
	char line[256];
	long kib = -1;
	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		die_errno(path);
	while (kib < 0 && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Pss: %ld kB", &kib) != 1)
			kib = -1;
	fclose(file);
	if (kib < 0)
		die("no Pss in smaps_rollup");
	return kib;
}

static int server_dial(const struct addrinfo *address)
{
	struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die_errno("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0)
		die_errno("setsockopt");
	if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
		die_errno("connect");
	return fd;
}

static void server_tell(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0)
			die_errno("send");
		bytes += sent;
		len -= (size_t)sent;
	}
}

static void answer_read(struct answer *answer, int fd)
{
	size_t room = ANSWER_MAX - answer->len;
	if (room == 0)
		die("an answer is longer than expected");
	ssize_t got = recv(fd, answer->bytes + answer->len, room, 0);
	if (got < 0)
		die_errno("recv");
	if (got == 0)
		die("the server closed a connection");
	answer->len += (size_t)got;
	answer->bytes[answer->len] = '\0';
}

static void answer_use(struct answer *answer, size_t count)
{
	CHECK(count <= answer->len);
	answer->len -= count;
	memmove(answer->bytes, answer->bytes + count, answer->len + 1);
}

static void server_upgrade(int fd, struct answer *answer, const struct idle_options *options)
{
	char request[512];
	int len = snprintf(request, sizeof(request),
	                   "GET /ws HTTP/1.1\r\nHost: %s:%s\r\nConnection: Upgrade\r\n"
	                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	                   options->host, options->port);
	const char *end;
	CHECK(len > 0 && (size_t)len < sizeof(request));
	server_tell(fd, request, (size_t)len);
	do {
		answer_read(answer, fd);
		end = strstr(answer->bytes, "\r\n\r\n");
	} while (end == NULL);
	if (strncmp(answer->bytes, "HTTP/1.1 101 ", 13) != 0)
		die("the server refused the upgrade");
	answer_use(answer, (size_t)(end + 4 - answer->bytes));
}

/* The mask is zero: it must be there, and may be any. */
static void server_subscribe(int fd, const char *channel)
{
	char frame[6 + SHORT_FRAME_MAX + 1] = {'\x81'};
	int len = snprintf(frame + 6, SHORT_FRAME_MAX + 1,
	                   "{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"%s\"}", channel);
	CHECK(len > 0 && len <= SHORT_FRAME_MAX);
	frame[1] = (char)(0x80 | len);
	server_tell(fd, frame, 6 + (size_t)len);
}

/* Makes sure that the first `count` bytes are there. */
static void answer_want(struct answer *answer, int fd, size_t count)
{
	if (count > ANSWER_MAX)
		die("an answer is longer than expected");
	while (answer->len < count)
		answer_read(answer, fd);
}

/* Uses up one frame. True when it says that the subscription stands. */
static bool answer_is_subscribed(struct answer *answer, int fd)
{
	const unsigned char *head = (const unsigned char *)answer->bytes;
	size_t start = 2;
	answer_want(answer, fd, start);
	size_t len = head[1];
	if (len > SHORT_FRAME_MAX) {
		start = 4;
		answer_want(answer, fd, start);
		len = head[1] == SHORT_FRAME_MAX + 1 ? (size_t)head[2] << 8 | head[3] : ANSWER_MAX;
	}
	answer_want(answer, fd, start + len);
	char text[ANSWER_MAX + 1];
	memcpy(text, answer->bytes + start, len);
	text[len] = '\0';
	answer_use(answer, start + len);
	if (strstr(text, "\"type\":\"error\"") != NULL)
		die(text);
	return strstr(text, "\"type\":\"subscribed\"") != NULL;
}

static void connection_open(const struct addrinfo *address, const struct idle_options *options,
                            long number)
{
	struct answer answer = {0};
	char channel[32] = "idle";
	int fd = server_dial(address);
	if (options->has_channel_each)
		snprintf(channel, sizeof(channel), "idle:%ld", number);
	server_upgrade(fd, &answer, options);
	server_subscribe(fd, channel);
	while (!answer_is_subscribed(&answer, fd))
		continue;
}

/* Gives the server the time to put its house in order, then reads. */
static long reading_take(const struct idle_options *options)
{
	struct timespec pause = {options->settle_ms / 1000, options->settle_ms % 1000 * 1000000};
	nanosleep(&pause, NULL);
	return memory_kib(options->pid);
}

static void idle_measure(const struct addrinfo *address, const struct idle_options *options)
{
	long empty_kib = reading_take(options);
	long first_kib = 0;
	for (long i = 1; i <= options->connections; i++) {
		connection_open(address, options, i);
		if (i == FIRST_READING)
			first_kib = reading_take(options);
	}
	long last_kib = reading_take(options);
	double slope = (double)(last_kib - first_kib) * 1024 /
	               (double)(options->connections - FIRST_READING);

	printf("connections        Pss\n");
	printf("%11d %6ld KiB\n", 0, empty_kib);
	printf("%11d %6ld KiB\n", FIRST_READING, first_kib);
	printf("%11ld %6ld KiB\n", options->connections, last_kib);
	printf("user memory per connection (%s): %.0f bytes\n",
	       options->has_channel_each ? "a channel each" : "one channel", slope);
}

static _Noreturn void usage(void)
{
	die("usage: idle --pid PID [--connections N, above 1000] [--channels one|each]"
	    " [--settle MS] HOST:PORT");
}

static struct idle_options options_read(int argc, char **argv)
{
	static const struct option names[] = {
		{"pid", required_argument, NULL, 'p'},
		{"connections", required_argument, NULL, 'n'},
		{"channels", required_argument, NULL, 'c'},
		{"settle", required_argument, NULL, 's'},
		{0},
	};
	struct idle_options options = {.connections = 15000, .settle_ms = 2000};
	int name;
	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (name == 'p')
			options.pid = strtol(optarg, NULL, 10);
		else if (name == 'n')
			options.connections = strtol(optarg, NULL, 10);
		else if (name == 'c' && (!strcmp(optarg, "one") || !strcmp(optarg, "each")))
			options.has_channel_each = optarg[0] == 'e';
		else if (name == 's')
			options.settle_ms = strtol(optarg, NULL, 10);
		else
			usage();
	}
	if (optind != argc - 1 || options.pid <= 0 || options.connections <= FIRST_READING)
		usage();
	char *colon = strrchr(argv[optind], ':');
	if (colon == NULL)
		usage();
	*colon = '\0';
	options.host = argv[optind];
	options.port = colon + 1;
	return options;
}

int main(int argc, char **argv)
{
	struct idle_options options = options_read(argc, argv);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *address;
	int refused = getaddrinfo(options.host, options.port, &hints, &address);
	if (refused != 0)
		die(gai_strerror(refused));
	files_allow(options.connections);
	idle_measure(address, &options);
	freeaddrinfo(address);
	return 0;
}
