#include "kit/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* A loopback address has 28,232 ports for clients of one server (ip_local_port_range). The
 * kernel finds a free one at once as long as many are. */
#define CLIENTS_PER_SOURCE 8000
#define FIRST_SOURCE 0x7f000002u /* 127.0.0.2 */
#define LOOPBACK_NET 0x7fu

#define HOST_BYTES 256

bool endpoint_set_address(struct endpoint *endpoint, const char *text)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char host[HOST_BYTES];
	const char *colon = strrchr(text, ':');
	if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return false;
	memcpy(&endpoint->address, found->ai_addr, sizeof(endpoint->address));
	endpoint->host = text;
	freeaddrinfo(found);
	return true;
}

static void fill_channel(const struct endpoint *endpoint, struct buf *out, uint32_t channel)
{
	buf_string(out, endpoint->channel);
	if (endpoint->channels > 1)
		buf_u64(out, channel);
}

void endpoint_fill(const struct endpoint *endpoint, struct buf *out, const char *words,
                   struct blanks blanks)
{
	struct slice rest = slice_string(words), part;
	while (slice_cut(&rest, '%', &part)) {
		buf_slice(out, part);
		if (rest.at == NULL || rest.len == 0)
			return;
		switch (rest.at[0]) {
		case 'c':
			fill_channel(endpoint, out, blanks.channel);
			break;
		case 'd':
			buf_slice(out, blanks.data);
			break;
		case 's':
			buf_slice(out, blanks.cursor);
			break;
		default:
			buf_char(out, rest.at[0]);
		}
		rest = slice_after(rest, 1);
	}
}

static int set_source(int fd, uint32_t number)
{
	const int yes = 1;
	struct sockaddr_in source = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(FIRST_SOURCE + number / CLIENTS_PER_SOURCE),
	};
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)) != 0)
		return -errno;
	return bind(fd, (const struct sockaddr *)&source, sizeof(source)) == 0 ? 0 : -errno;
}

int endpoint_dial(const struct endpoint *endpoint, uint32_t number)
{
	const int yes = 1;
	const struct sockaddr_in *address = &endpoint->address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int error = 0;
	if (ntohl(address->sin_addr.s_addr) >> 24 == LOOPBACK_NET)
		error = set_source(fd, number);
	if (error == 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) != 0)
		error = -errno;
	if (error == 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
	    errno != EINPROGRESS)
		error = -errno;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}
