#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Of what a socket takes, so much may wait to be sent for the first time. The kernel would take
 * megabytes for a peer that reads slowly, each in a copy of its own: messages wait better in their
 * channel's log, where they are once for all. What is on the way to the peer is not bounded. */
#define UNSENT_BYTES_MAX (128 * 1024)

bool listen_ip(struct listen_address *address, const char *host, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	*address = (struct listen_address){0};
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		memcpy(&address->socket, &v4, sizeof(v4));
		address->len = sizeof(v4);
	} else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		memcpy(&address->socket, &v6, sizeof(v6));
		address->len = sizeof(v6);
	}
	return address->len > 0;
}

bool listen_unix(struct listen_address *address, const char *path)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	if (*path == '\0' || strlen(path) >= sizeof(local.sun_path))
		return false;
	memcpy(local.sun_path, path, strlen(path) + 1);
	*address = (struct listen_address){.len = sizeof(local)};
	memcpy(&address->socket, &local, sizeof(local));
	return true;
}

bool listen_is_unix(const struct listen_address *address)
{
	return address->socket.ss_family == AF_UNIX;
}

struct address listen_address_of(const struct listen_address *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;
	switch (address->socket.ss_family) {
	case AF_INET:
		return address_v4(&v4->sin_addr);
	case AF_INET6:
		return address_v6(&v6->sin6_addr);
	case AF_UNIX:
		return (struct address){.family = ADDRESS_LOCAL};
	default:
		return (struct address){.family = ADDRESS_NONE};
	}
}

static const char *unix_path(const struct listen_address *address)
{
	return ((const struct sockaddr_un *)&address->socket)->sun_path;
}

static bool is_any(const struct listen_address *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;
	if (address->socket.ss_family == AF_INET)
		return v4->sin_addr.s_addr == htonl(INADDR_ANY);
	return address->socket.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

/* Of the same family, and not of one link only. */
static bool is_reachable(const struct listen_address *address, const struct ifaddrs *at)
{
	if (at->ifa_addr == NULL || at->ifa_addr->sa_family != address->socket.ss_family ||
	    (at->ifa_flags & IFF_UP) == 0 || (at->ifa_flags & IFF_LOOPBACK) != 0)
		return false;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(void *)at->ifa_addr;
	return at->ifa_addr->sa_family == AF_INET || !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
}

static void take_host(struct listen_address *address, const struct sockaddr *from)
{
	if (from->sa_family == AF_INET)
		((struct sockaddr_in *)&address->socket)->sin_addr =
			((const struct sockaddr_in *)(const void *)from)->sin_addr;
	else
		((struct sockaddr_in6 *)&address->socket)->sin6_addr =
			((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
}

void listen_make_reachable(struct listen_address *address)
{
	const struct sockaddr_in v4 = {.sin_family = AF_INET,
	                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
	                                .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct ifaddrs *all = NULL, *at;
	if (!is_any(address))
		return;
	if (getifaddrs(&all) != 0)
		all = NULL;
	for (at = all; at != NULL && !is_reachable(address, at); at = at->ifa_next)
		;
	if (at != NULL)
		take_host(address, at->ifa_addr);
	else if (address->socket.ss_family == AF_INET)
		take_host(address, (const struct sockaddr *)&v4);
	else
		take_host(address, (const struct sockaddr *)&v6);
	freeifaddrs(all);
}

void listen_text(const struct listen_address *address, char out[LISTEN_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "";
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;
	switch (address->socket.ss_family) {
	case AF_INET:
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, LISTEN_TEXT_MAX, "%s:%u", host, ntohs(v4->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, LISTEN_TEXT_MAX, "[%s]:%u", host, ntohs(v6->sin6_port));
		break;
	default:
		snprintf(out, LISTEN_TEXT_MAX, "unix:%.100s", unix_path(address));
	}
}

/* ---- opening ---- */

static int open_socket(const struct listen_address *address)
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(address->socket.ss_family, type, 0);
	return fd < 0 ? -errno : fd;
}

static int bind_to(int fd, const struct listen_address *address)
{
	const int yes = 1;
	if (address->socket.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) != 0)
		return -errno;
	return bind(fd, (const struct sockaddr *)&address->socket, address->len) == 0 ? 0 : -errno;
}

/* Nobody listens behind a path that refuses connections. */
static void clear_stale_path(const struct listen_address *address)
{
	struct stat status;
	if (lstat(unix_path(address), &status) != 0 || !S_ISSOCK(status.st_mode))
		return;
	int fd = open_socket(address);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)&address->socket, address->len) != 0 &&
	    errno == ECONNREFUSED)
		(void)unlink(unix_path(address));
	close(fd);
}

/* It does not listen: who connected meanwhile would be reset when it closes. */
int listen_claim(struct listen_address *address)
{
	const int yes = 1;
	if (listen_is_unix(address))
		clear_stale_path(address);
	int fd = open_socket(address);
	if (fd < 0)
		return fd;
	/* Passes over connections that are still closing, not over another listener. */
	int error = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 ? 0 : -errno;
	if (error == 0)
		error = bind_to(fd, address);
	if (error == 0 && getsockname(fd, (struct sockaddr *)&address->socket, &address->len) != 0)
		error = -errno;
	close(fd);
	if (error == 0 && listen_is_unix(address))
		(void)unlink(unix_path(address));
	return error;
}

int listen_set_tcp(int fd, uint32_t silence_ms_max)
{
	const int yes = 1, unsent_max = UNSENT_BYTES_MAX;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof(unsent_max)) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms_max,
	               sizeof(silence_ms_max)) != 0)
		return -errno;
	return 0;
}

static int set_tcp_options(int fd, uint32_t silence_ms_max)
{
	const int yes = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0)
		return -errno;
	return listen_set_tcp(fd, silence_ms_max);
}

int listen_open(const struct listen_address *address, uint32_t silence_ms_max)
{
	int fd = open_socket(address);
	if (fd < 0)
		return fd;
	int error = listen_is_unix(address) ? 0 : set_tcp_options(fd, silence_ms_max);
	if (error == 0)
		error = bind_to(fd, address);
	if (error == 0 && listen(fd, SOMAXCONN) != 0)
		error = -errno;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

static bool is_listening(int fd)
{
	int type = 0, accepts = 0;
	socklen_t type_len = sizeof(type), accepts_len = sizeof(accepts);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &accepts_len) == 0 &&
	       accepts != 0;
}

int listen_adopt(int fd, uint32_t silence_ms_max, struct listen_address *address)
{
	*address = (struct listen_address){.len = sizeof(address->socket)};
	if (!is_listening(fd))
		return -EINVAL;
	if (getsockname(fd, (struct sockaddr *)&address->socket, &address->len) != 0)
		return -errno;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -errno;
	return listen_is_unix(address) ? 0 : listen_set_tcp(fd, silence_ms_max);
}

void listen_remove(const struct listen_address *address)
{
	if (listen_is_unix(address))
		(void)unlink(unix_path(address));
}

int listen_accept(int listener, struct listen_address *peer)
{
	/* A local peer without a name leaves the rest as it was: empty. */
	*peer = (struct listen_address){.len = sizeof(peer->socket)};
	for (;;) {
		int fd = accept4(listener, (struct sockaddr *)&peer->socket, &peer->len,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		/* One that broke before it was accepted is no reason to stop. */
		if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO)
			return -errno;
	}
}
