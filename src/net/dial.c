#include "net/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a connection ---- */

int dial_open(const struct listen_address *address, uint32_t silence_ms_max)
{
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int error = listen_set_tcp(fd, silence_ms_max);
	if (error == 0 &&
	    connect(fd, (const struct sockaddr *)&address->socket, address->len) != 0 &&
	    errno != EINPROGRESS)
		error = -errno;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

int dial_result(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return -errno;
	return -error;
}

/* ---- names ---- */

struct lookup {
	_Atomic uint32_t refs;
	_Atomic bool is_done;
	size_t count;
	struct lookup_name names[LOOKUP_NAMES_MAX];
};

struct lookup *lookup_create(void)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	if (lookup != NULL)
		atomic_init(&lookup->refs, 1);
	return lookup;
}

bool lookup_add(struct lookup *lookup, const char *host, uint16_t port)
{
	size_t len = strlen(host);
	if (lookup->count == LOOKUP_NAMES_MAX || len >= LOOKUP_NAME_MAX)
		return false;
	struct lookup_name *name = &lookup->names[lookup->count++];
	memcpy(name->host, host, len + 1);
	name->port = port;
	return true;
}

static void set_port(struct listen_address *address, uint16_t port)
{
	if (address->socket.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&address->socket)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&address->socket)->sin_port = htons(port);
}

static void find(struct lookup_name *name)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	if (getaddrinfo(name->host, NULL, &hints, &found) != 0)
		return;
	for (struct addrinfo *at = found; at != NULL && name->count < LOOKUP_FOUND_MAX;
	     at = at->ai_next) {
		struct listen_address *address = &name->found[name->count];
		if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
			continue;
		memcpy(&address->socket, at->ai_addr, at->ai_addrlen);
		address->len = at->ai_addrlen;
		set_port(address, name->port);
		name->count++;
	}
	freeaddrinfo(found);
}

static void *lookup_main(void *argument)
{
	struct lookup *lookup = argument;
	for (size_t i = 0; i < lookup->count; i++)
		find(&lookup->names[i]);
	atomic_store_explicit(&lookup->is_done, true, memory_order_release);
	lookup_drop(lookup);
	return NULL;
}

/* With all signals blocked: they are another thread's. */
int lookup_start(struct lookup *lookup)
{
	pthread_t thread;
	sigset_t all, before;
	sigfillset(&all);
	atomic_fetch_add_explicit(&lookup->refs, 1, memory_order_relaxed);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	int error = -pthread_create(&thread, NULL, lookup_main, lookup);
	CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (error == 0)
		CHECK(pthread_detach(thread) == 0);
	else
		atomic_fetch_sub_explicit(&lookup->refs, 1, memory_order_relaxed);
	return error;
}

bool lookup_is_done(const struct lookup *lookup)
{
	return atomic_load_explicit(&lookup->is_done, memory_order_acquire);
}

size_t lookup_count(const struct lookup *lookup)
{
	return lookup->count;
}

const struct lookup_name *lookup_name(const struct lookup *lookup, size_t i)
{
	CHECK(i < lookup->count);
	return &lookup->names[i];
}

void lookup_drop(struct lookup *lookup)
{
	if (lookup != NULL &&
	    atomic_fetch_sub_explicit(&lookup->refs, 1, memory_order_acq_rel) == 1)
		free(lookup);
}
