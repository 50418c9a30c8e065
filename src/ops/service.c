#include "ops/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/slice.h"
#include "base/text.h"

#define FIRST_SOCKET 3 /* SD_LISTEN_FDS_START */
#define NOTICE_MAX 512

/* A number in the environment; 0: there is none. */
static uint64_t number_of(const char *name)
{
	const char *text = getenv(name);
	uint64_t value;
	return text != NULL && text_to_u64(slice_string(text), &value) ? value : 0;
}

/* Variables come with the process that they are for, and go down to its children too. */
static bool is_for_us(const char *name)
{
	uint64_t pid = number_of(name);
	return pid == 0 || pid == (uint64_t)getpid();
}

/* ---- notices ---- */

/* A path, or with `@` a name in the abstract namespace, which begins with a NUL. */
static int read_address(struct service *service, const char *path)
{
	size_t len = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || len < 2)
		return -EAFNOSUPPORT;
	if (len >= sizeof(service->to.sun_path))
		return -ENAMETOOLONG;
	service->to = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(service->to.sun_path, path, len);
	if (path[0] == '@')
		service->to.sun_path[0] = '\0';
	service->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return 0;
}

int service_open(struct service *service)
{
	*service = (struct service){.fd = -1};
	const char *path = getenv("NOTIFY_SOCKET");
	if (path == NULL || path[0] == '\0')
		return 0;
	int error = read_address(service, path);
	if (error != 0)
		return error;
	service->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (service->fd < 0)
		return -errno;
	if (is_for_us("WATCHDOG_PID"))
		service->watchdog_ms = number_of("WATCHDOG_USEC") / 1000;
	return 0;
}

void service_close(struct service *service)
{
	if (service->fd >= 0)
		close(service->fd);
	service->fd = -1;
}

void service_tell(const struct service *service, const char *format, ...)
{
	char text[NOTICE_MAX];
	if (service->fd < 0)
		return;
	va_list values;
	va_start(values, format);
	int len = vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	CHECK(len > 0 && (size_t)len < sizeof(text));
	(void)!sendto(service->fd, text, (size_t)len, MSG_NOSIGNAL,
	              (const struct sockaddr *)&service->to, service->to_len);
}

/* ---- sockets ---- */

/* LISTEN_FDNAMES: names in the order of the descriptors, with colons between. */
static void name_sockets(struct service_sockets *sockets)
{
	const char *names = getenv("LISTEN_FDNAMES");
	if (names == NULL)
		return;
	snprintf(sockets->names, sizeof(sockets->names), "%s", names);
	char *at = sockets->names;
	for (size_t i = 0; i < sockets->count && at != NULL; i++) {
		sockets->list[i].name = at;
		at = strchr(at, ':');
		if (at != NULL)
			*at++ = '\0';
	}
}

void service_take_sockets(struct service_sockets *sockets)
{
	*sockets = (struct service_sockets){0};
	/* Without LISTEN_PID they are not ours, unlike the watchdog. */
	bool are_ours = number_of("LISTEN_PID") == (uint64_t)getpid();
	uint64_t count = are_ours ? number_of("LISTEN_FDS") : 0;
	sockets->count = count < SERVICE_SOCKETS_MAX ? (size_t)count : SERVICE_SOCKETS_MAX;
	for (size_t i = 0; i < sockets->count; i++) {
		int fd = FIRST_SOCKET + (int)i;
		(void)!fcntl(fd, F_SETFD, FD_CLOEXEC);
		sockets->list[i] = (struct service_socket){.fd = fd, .name = ""};
	}
	name_sockets(sockets);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}
