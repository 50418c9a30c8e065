/* Addresses as text, and descriptors that really listen: on loopback and in a scratch folder. */
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SILENCE_MS 7000

static const struct {
	const char *name;
	const char *host;
	uint16_t port;
	const char *text; /* NULL: not an address */
} addresses[] = {
	{"IPv4", "127.0.0.1", 80, "127.0.0.1:80"},
	{"any IPv4 address", "0.0.0.0", 65535, "0.0.0.0:65535"},
	{"IPv6", "::1", 8000, "[::1]:8000"},
	{"IPv6 is written short", "2001:db8:0:0:0:0:0:1", 0, "[2001:db8::1]:0"},
	{"an IPv4 address within IPv6", "::ffff:10.0.0.1", 1, "[::ffff:10.0.0.1]:1"},
	{"a name is no address", "localhost", 80, NULL},
	{"three numbers are no address", "127.0.1", 80, NULL},
	{"256 is no part of an address", "1.2.3.256", 80, NULL},
	{"brackets are no part of an address", "[::1]", 80, NULL},
	{"nothing is no address", "", 80, NULL},
};

static char folder[64];

static struct listen_address loopback(void)
{
	struct listen_address address;
	CHECK(listen_ip(&address, "127.0.0.1", 0));
	return address;
}

static struct listen_address scratch_path(const char *name)
{
	struct listen_address address;
	char path[100];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	CHECK(listen_unix(&address, path));
	return address;
}

static const char *path_of(const struct listen_address *address)
{
	return ((const struct sockaddr_un *)&address->socket)->sun_path;
}

static int connect_to(const struct listen_address *address)
{
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	CHECK(connect(fd, (const struct sockaddr *)&address->socket, address->len) == 0);
	return fd;
}

static int accept_one(int listener, struct listen_address *peer)
{
	struct pollfd waiting = {.fd = listener, .events = POLLIN};
	CHECK(poll(&waiting, 1, 10000) == 1);
	int fd = listen_accept(listener, peer);
	CHECK(fd >= 0);
	return fd;
}

static bool does_not_block(int fd)
{
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static int option_of(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);
	CHECK(getsockopt(fd, IPPROTO_TCP, name, &value, &len) == 0);
	return value;
}

/* ---- TCP ---- */

static void port_is_found(void)
{
	struct listen_address address = loopback();
	CHECK(listen_claim(&address) == 0);
	CHECK(ntohs(((struct sockaddr_in *)&address.socket)->sin_port) != 0);
	CHECK(!listen_is_unix(&address));
}

static void taken_is_told(void)
{
	struct listen_address address = loopback();
	CHECK(listen_claim(&address) == 0);
	int fd = listen_open(&address, SILENCE_MS);
	CHECK(fd >= 0);
	CHECK(listen_claim(&address) == -EADDRINUSE);
	close(fd);
	CHECK(listen_claim(&address) == 0);
}

static void several_may_open(void)
{
	struct listen_address address = loopback(), peer;
	CHECK(listen_claim(&address) == 0);
	int first = listen_open(&address, SILENCE_MS), second = listen_open(&address, SILENCE_MS);
	CHECK(first >= 0);
	CHECK(second >= 0);
	int client = connect_to(&address);
	struct pollfd both[] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
	CHECK(poll(both, 2, 10000) == 1);
	int fd = accept_one(both[0].revents != 0 ? first : second, &peer);
	close(fd);
	close(client);
	close(first);
	close(second);
}

static void accepts(void)
{
	struct listen_address address = loopback(), peer;
	CHECK(listen_claim(&address) == 0);
	int listener = listen_open(&address, SILENCE_MS);
	CHECK(listener >= 0);
	CHECK(does_not_block(listener));
	CHECK(listen_accept(listener, &peer) == -EAGAIN);

	int client = connect_to(&address);
	int fd = accept_one(listener, &peer);
	CHECK(does_not_block(fd));
	CHECK(option_of(fd, TCP_NODELAY) != 0);
	CHECK(option_of(fd, TCP_NOTSENT_LOWAT) == 128 * 1024);
	CHECK(option_of(fd, TCP_USER_TIMEOUT) == SILENCE_MS);

	struct listen_address own = {.len = sizeof(own.socket)};
	char expected[LISTEN_TEXT_MAX], text[LISTEN_TEXT_MAX];
	CHECK(getsockname(client, (struct sockaddr *)&own.socket, &own.len) == 0);
	listen_text(&own, expected);
	listen_text(&peer, text);
	CHECK(strcmp(text, expected) == 0);
	CHECK(listen_accept(listener, &peer) == -EAGAIN);
	close(fd);
	close(client);
	close(listener);
}

static void refuses_no_socket(void)
{
	struct listen_address peer;
	int pipes[2];
	CHECK(pipe2(pipes, O_CLOEXEC) == 0);
	CHECK(listen_accept(pipes[0], &peer) == -ENOTSOCK);
	close(pipes[0]);
	close(pipes[1]);
}

static void foreign_address_is_refused(void)
{
	struct listen_address address;
	CHECK(listen_ip(&address, "192.0.2.1", 0)); /* RFC 5737: nobody has it */
	CHECK(listen_claim(&address) == -EADDRNOTAVAIL);
	CHECK(listen_open(&address, SILENCE_MS) == -EADDRNOTAVAIL);
}

/* ---- paths ---- */

static void path_listens(void)
{
	struct listen_address address = scratch_path("server"), peer;
	char text[LISTEN_TEXT_MAX];
	CHECK(listen_is_unix(&address));
	CHECK(listen_claim(&address) == 0);
	CHECK(access(path_of(&address), F_OK) != 0);
	int listener = listen_open(&address, SILENCE_MS);
	CHECK(listener >= 0);
	CHECK(does_not_block(listener));
	listen_text(&address, text);
	CHECK(strncmp(text, "unix:", 5) == 0);
	CHECK(strcmp(text + 5, path_of(&address)) == 0);

	int client = connect_to(&address);
	int fd = accept_one(listener, &peer);
	CHECK(does_not_block(fd));
	CHECK(listen_is_unix(&peer));
	listen_text(&peer, text);
	CHECK(strcmp(text, "unix:") == 0);
	close(fd);
	close(client);
	close(listener);
	CHECK(unlink(path_of(&address)) == 0);
}

static void dead_path_is_cleared(void)
{
	struct listen_address address = scratch_path("dead");
	int listener = listen_open(&address, SILENCE_MS);
	CHECK(listener >= 0);
	close(listener);
	CHECK(access(path_of(&address), F_OK) == 0);
	CHECK(listen_open(&address, SILENCE_MS) == -EADDRINUSE);
	CHECK(listen_claim(&address) == 0);
	CHECK(access(path_of(&address), F_OK) != 0);
}

static void live_path_is_left(void)
{
	struct listen_address address = scratch_path("live");
	int listener = listen_open(&address, SILENCE_MS);
	CHECK(listener >= 0);
	CHECK(listen_claim(&address) == -EADDRINUSE);
	CHECK(access(path_of(&address), F_OK) == 0);
	close(listener);
	CHECK(unlink(path_of(&address)) == 0);
}

static void file_is_left(void)
{
	struct listen_address address = scratch_path("file");
	FILE *file = fopen(path_of(&address), "w");
	CHECK(file != NULL);
	fclose(file);
	CHECK(listen_claim(&address) == -EADDRINUSE);
	CHECK(access(path_of(&address), F_OK) == 0);
	CHECK(unlink(path_of(&address)) == 0);
}

static void paths_have_a_length(void)
{
	struct listen_address address;
	struct sockaddr_un limit;
	char path[sizeof(limit.sun_path) + 1];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CHECK(!listen_unix(&address, path));
	path[sizeof(path) - 2] = '\0';
	CHECK(listen_unix(&address, path));
	CHECK(!listen_unix(&address, ""));
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"port 0 becomes one that is free", port_is_found},
	{"an address that is taken is told", taken_is_told},
	{"several may open one address", several_may_open},
	{"what is accepted does not block, and tells its peer", accepts},
	{"what does not listen accepts nothing", refuses_no_socket},
	{"an address of another host is refused", foreign_address_is_refused},
	{"a path listens too", path_listens},
	{"a path that a dead process left is cleared", dead_path_is_cleared},
	{"a path where somebody listens is left alone", live_path_is_left},
	{"a file that is no socket is left alone", file_is_left},
	{"a path has room, or is none", paths_have_a_length},
};

static void check_address(size_t i)
{
	struct listen_address address;
	char text[LISTEN_TEXT_MAX];
	bool is_good = listen_ip(&address, addresses[i].host, addresses[i].port);
	CHECK(is_good == (addresses[i].text != NULL));
	if (!is_good)
		return;
	listen_text(&address, text);
	CHECK(strcmp(text, addresses[i].text) == 0);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(addresses); i++) {
		printf("listen: %s\n", addresses[i].name);
		check_address(i);
	}
	snprintf(folder, sizeof(folder), "%s/listen_test.XXXXXX", P_tmpdir);
	CHECK(mkdtemp(folder) != NULL);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("listen: %s\n", cases[i].name);
		cases[i].run();
	}
	CHECK(rmdir(folder) == 0);
	return 0;
}
