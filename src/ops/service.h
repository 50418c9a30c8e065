/*
 * service.h - what systemd, or whoever else speaks its language, is told and hands over.
 *
 * Notices are datagrams to the socket that NOTIFY_SOCKET names (sd_notify(3)); sockets that the
 * manager has opened come with LISTEN_FDS (sd_listen_fds(3)). Without those variables all of it
 * does nothing.
 *
 * Threads:   the control thread's.
 * Ownership: the service owns its descriptor. Sockets handed over are the caller's to close.
 * Limits:    SERVICE_SOCKETS_MAX sockets.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/check.h"

#define SERVICE_SOCKETS_MAX 64

struct service {
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_ms; /* a sign of life is due within this; 0: none is */
};

struct service_socket {
	int fd;
	const char *name; /* FileDescriptorName= of the unit; "" where it is not known */
};

struct service_sockets {
	size_t count;
	struct service_socket list[SERVICE_SOCKETS_MAX];
	char names[1024];
};

/* From the environment of this process. 0, or -errno where NOTIFY_SOCKET is of no use; then the
 * service is one that nobody wants to know of. */
MUST_CHECK int service_open(struct service *service);
void service_close(struct service *service);

/* Lines of NAME=VALUE. What cannot be sent is lost. */
void service_tell(const struct service *service, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Those that were handed to this process; none are left in the environment. */
void service_take_sockets(struct service_sockets *sockets);
