#include "cmd/client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cmd/interrupt.h"
#include "http/response.h"
#include "net/stream.h"
#include "ops/complaint.h"

uint64_t client_now_ms(void)
{
	struct timespec now;
	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- settings ---- */

static bool is_bearer(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] <= ' ' || text.at[i] > '~')
			return false;
	}
	return true;
}

int client_settings_read(struct client_settings *settings, const char *url, const char *api_key,
                         struct buf *error)
{
	if (url == NULL)
		url = CLIENT_URL_DEFAULT;
	if (api_key == NULL)
		api_key = getenv("STARLING_API_KEY");
	settings->bearer = api_key == NULL ? slice_of(NULL, 0) : slice_string(api_key);
	if (!url_parse(slice_string(url), &settings->url)) {
		buf_string(error, "not http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH: ");
		complaint_quote(error, slice_string(url));
		return -EINVAL;
	}
	if (!is_bearer(settings->bearer)) {
		buf_string(error, "the API key or token is not printable ASCII without blanks");
		return -EINVAL;
	}
	return 0;
}

/* ---- connecting ---- */

static int time_left(uint64_t deadline_ms)
{
	uint64_t now_ms = client_now_ms();
	return now_ms < deadline_ms ? (int)(deadline_ms - now_ms) : 0;
}

/* 0, -ETIMEDOUT or another -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd wait = {.fd = fd, .events = events};
	int ready = interrupt_poll(&wait, 1, time_left(deadline_ms));
	return ready == 0 ? -ETIMEDOUT : ready < 0 ? ready : 0;
}

static int finish_connect(int fd, uint64_t deadline_ms)
{
	int result = wait_for(fd, POLLOUT, deadline_ms);
	if (result < 0)
		return result;
	int error;
	socklen_t len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return -errno;
	return -error;
}

/* A connected descriptor or -errno. */
static int dial(const struct sockaddr *address, socklen_t len, uint64_t deadline_ms)
{
	const int yes = 1;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (address->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	int result = connect(fd, address, len) == 0 ? 0 : -errno;
	if (result == -EINPROGRESS)
		result = finish_connect(fd, deadline_ms);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

static int dial_path(const char *path, uint64_t deadline_ms)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	CHECK(len < sizeof(local.sun_path));
	memcpy(local.sun_path, path, len + 1);
	return dial((const struct sockaddr *)&local, sizeof(local), deadline_ms);
}

/* The addresses of the name in turn. `*why` is set when it has none. */
static int dial_host(const struct url *url, uint64_t deadline_ms, const char **why)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	int error = getaddrinfo(url->host, url->port, &hints, &found);
	if (error != 0) {
		*why = gai_strerror(error);
		return -EHOSTUNREACH;
	}
	int result = -EHOSTUNREACH;
	for (struct addrinfo *one = found; one != NULL; one = one->ai_next) {
		result = dial(one->ai_addr, one->ai_addrlen, deadline_ms);
		if (result >= 0 || result == -EINTR)
			break;
	}
	freeaddrinfo(found);
	return result;
}

static int greet(struct client *client, uint64_t deadline_ms, const char **why)
{
	int result = tls_client_open(&client->tls, client->fd, client->settings->url.host);
	if (result < 0)
		return result;
	short events = 0;
	while ((result = tls_client_greet(&client->tls, &events)) == -EAGAIN) {
		result = wait_for(client->fd, events, deadline_ms);
		if (result < 0)
			return result;
	}
	if (result < 0)
		*why = tls_client_fault(&client->tls);
	return result;
}

static int open_quietly(struct client *client, const char **why)
{
	const struct url *url = &client->settings->url;
	uint64_t deadline_ms = client_now_ms() + CLIENT_PATIENCE_MS;
	int fd = url->kind == URL_UNIX ? dial_path(url->host, deadline_ms)
	                               : dial_host(url, deadline_ms, why);
	if (fd < 0)
		return fd;
	client->fd = fd;
	client->is_open = true;
	return url->kind == URL_HTTPS ? greet(client, deadline_ms, why) : 0;
}

int client_open(struct client *client, const struct client_settings *settings, struct buf *error)
{
	CHECK(!client->is_open);
	const char *why = NULL;
	client->settings = settings;
	int result = open_quietly(client, &why);
	if (result == 0)
		return 0;
	buf_string(error, "cannot connect to ");
	complaint_text(error, settings->url.text);
	buf_format(error, ": %s", why != NULL ? why : strerror(-result));
	client_close(client);
	return result;
}

void client_close(struct client *client)
{
	tls_client_close(&client->tls);
	if (client->is_open)
		close(client->fd);
	buf_free(&client->in);
	buf_free(&client->out);
	*client = (struct client){0};
}

/* ---- talking ---- */

static void ask_header(struct buf *out, const char *name, struct slice value)
{
	CHECK(http_response_header(out, name, value)); /* the settings were looked at */
}

void client_ask(struct client *client, const char *method_and_path, struct slice headers,
                struct slice body)
{
	struct buf *out = &client->out;
	CHECK(client->is_open);
	CHECK(!client->is_ended);
	buf_format(out, "%s HTTP/1.1\r\n", method_and_path);
	ask_header(out, "Host", client->settings->url.authority);
	if (client->settings->bearer.len > 0) {
		buf_string(out, "Authorization: Bearer ");
		buf_slice(out, client->settings->bearer);
		buf_string(out, "\r\n");
	}
	if (body.at != NULL)
		buf_format(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
		           body.len);
	buf_slice(out, headers);
	buf_string(out, "\r\n");
	buf_slice(out, body);
}

static ssize_t read_some(struct client *client, char *room, size_t len)
{
	if (client->tls.ssl != NULL)
		return tls_client_read(&client->tls, room, len);
	return stream_read(client->fd, room, len);
}

static ssize_t write_some(struct client *client)
{
	struct iovec all = {client->out.at, client->out.len};
	if (client->tls.ssl != NULL)
		return tls_client_write(&client->tls, all.iov_base, all.iov_len);
	return stream_write(client->fd, &all, 1);
}

/* 0, -ENOMEM or what broke the connection. */
static int receive(struct client *client)
{
	char *room = buf_room(&client->in, CLIENT_READ_BYTES);
	if (room == NULL)
		return -ENOMEM;
	ssize_t got = read_some(client, room, CLIENT_READ_BYTES);
	if (got == -EAGAIN)
		return 0;
	if (got < 0)
		return (int)got;
	CHECK(got <= CLIENT_READ_BYTES);
	client->is_ended = got == 0;
	buf_grew(&client->in, (size_t)got);
	return 0;
}

static int transmit(struct client *client)
{
	if (client->out.is_broken)
		return -ENOMEM;
	if (client->out.len == 0)
		return 0;
	ssize_t put = write_some(client);
	CHECK(put <= (ssize_t)client->out.len);
	if (put == -EAGAIN)
		return 0;
	if (put == -EPIPE) { /* how it ends is for the reading to tell */
		buf_clear(&client->out);
		return 0;
	}
	if (put < 0)
		return (int)put;
	buf_use(&client->out, (size_t)put);
	return 0;
}

static bool has_pending(const struct client *client)
{
	return client->tls.ssl != NULL && tls_client_is_pending(&client->tls);
}

int client_turn(struct client *client, struct pollfd *beside, int timeout_ms)
{
	bool is_open = client->is_open && !client->is_ended;
	CHECK(is_open || beside != NULL);
	struct pollfd fds[2] = {{.fd = -1}, {.fd = -1}};
	if (is_open)
		fds[0].fd = client->fd;
	fds[0].events = (short)(POLLIN | (client->out.len > 0 ? POLLOUT : 0));
	if (beside != NULL)
		fds[1] = *beside;
	bool is_pending = is_open && has_pending(client);

	int ready = interrupt_poll(fds, COUNT_OF(fds), is_pending ? 0 : timeout_ms);
	if (ready < 0)
		return ready;
	if (beside != NULL)
		beside->revents = fds[1].revents;
	if (ready == 0 && !is_pending)
		return -ETIMEDOUT;
	if (!is_open)
		return 0;
	/* Reading first: what the server says before it breaks off is worth more than the news
	 * that it takes nothing any more. */
	int result = is_pending || fds[0].revents != 0 ? receive(client) : 0;
	if (result == 0 && !client->is_ended)
		result = transmit(client);
	return result;
}

int client_await(struct client *client, struct reply *reply, struct buf *error)
{
	uint64_t deadline_ms = client_now_ms() + CLIENT_PATIENCE_MS;
	enum reply_result answer;
	int result = 0;
	reply_begin(reply);
	while ((answer = reply_read(reply, &client->in, client->is_ended)) == REPLY_MORE) {
		result = client_turn(client, NULL, time_left(deadline_ms));
		if (result < 0)
			break;
	}
	if (answer == REPLY_DONE)
		return 0;
	buf_string(error, "no answer from ");
	complaint_text(error, client->settings->url.text);
	buf_format(error, ": %s", result < 0 ? strerror(-result) : reply->why);
	return result < 0 ? result : -EPROTO;
}

int client_fetch(const struct client_settings *settings, const char *method_and_path,
                 struct reply *reply, struct buf *error)
{
	struct client client = {0};
	int result = client_open(&client, settings, error);
	if (result < 0)
		return result;
	client_ask(&client, method_and_path, slice_of(NULL, 0), slice_of(NULL, 0));
	result = client_await(&client, reply, error);
	client_close(&client);
	return result;
}

int client_refused(const struct reply *reply, const char *path, struct buf *error)
{
	buf_format(error, "%s: ", path);
	reply_explain(reply, error);
	return -EPROTO;
}
