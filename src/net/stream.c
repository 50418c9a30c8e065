#include "net/stream.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/check.h"
#include "net/listen.h"

static ssize_t receive(int fd, void *room, size_t len, int flags)
{
	ssize_t got;
	do
		got = recv(fd, room, len, flags);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

ssize_t stream_read(int fd, void *room, size_t len)
{
	return receive(fd, room, len, 0);
}

ssize_t stream_peek(int fd, void *room, size_t len)
{
	return receive(fd, room, len, MSG_PEEK);
}

/* One part goes by send(), which costs the kernel less than a message of parts. */
static ssize_t write_parts(int fd, const struct iovec *parts, size_t count)
{
	if (count == 1)
		return send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL);
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

ssize_t stream_write(int fd, const struct iovec *parts, size_t count)
{
	CHECK(count > 0 && count <= STREAM_PARTS_MAX);
	ssize_t put;
	do
		put = write_parts(fd, parts, count);
	while (put < 0 && errno == EINTR);
	return put < 0 ? -errno : put;
}

void stream_finish(int fd)
{
	/* Refused when the peer has gone already: then it sees nothing anyway. */
	(void)shutdown(fd, SHUT_WR);
}

struct address stream_peer(int fd)
{
	struct listen_address peer = {.len = sizeof(peer.socket)};
	if (getpeername(fd, (struct sockaddr *)&peer.socket, &peer.len) != 0)
		return (struct address){.family = ADDRESS_NONE};
	return listen_address_of(&peer);
}
