/*
 * Each client sends its handshake and its subscription in one piece, and is then answered. So
 * that the server is not asked for everything at once, only `window` of a group's clients
 * are on their way in.
 */
#include "group.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "die.h"
#include "kernel.h"
#include "wire/ws_client.h"

#define STACK_BYTES (256 * 1024)
#define READ_BYTES (64 * 1024)
#define EVENTS_MAX 256
#define LOOK_MS 20 /* between looks at the phase */
/* Ports of an address are taken up only in part, so that a free one is found quickly. */
#define CLIENTS_PER_ADDRESS 4000u
#define ADDRESS_FIRST 0x7f100001u /* 127.16.0.1 */

enum client_state {
	CLIENT_OUT = 0,    /* has no connection */
	CLIENT_HANDSHAKE,  /* waits for the 101 */
	CLIENT_SUBSCRIBES, /* waits for the answer to its subscription */
	CLIENT_IN,
};

struct client {
	int fd;
	uint8_t state; /* enum client_state */
	bool resumes;
	struct buf *kept; /* a frame that came in part; NULL: none */
};

static_assert(sizeof(struct client) <= GROUP_CLIENT_BYTES, "as the header promises");

/* ---- latencies ---- */

static uint32_t bucket_of(uint64_t us)
{
	if (us < 32)
		return (uint32_t)us;
	uint32_t power = 63 - (uint32_t)__builtin_clzll(us);
	uint32_t bucket = (power - 4) * 32 + (uint32_t)(us >> (power - 5) & 31);
	return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static uint64_t bucket_us(uint32_t bucket)
{
	if (bucket < 32)
		return bucket;
	return (uint64_t)(32 + bucket % 32) << (bucket / 32 - 1);
}

void latency_add(struct latency *sum, const struct latency *latency)
{
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
		sum->counts[i] += latency->counts[i];
}

void latency_clear(struct latency *latency)
{
	memset(latency, 0, sizeof(*latency));
}

double latency_ms(const struct latency *latency, double part)
{
	uint64_t count = 0, seen = 0;
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
		count += latency->counts[i];
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
		seen += latency->counts[i];
		if (count > 0 && (double)seen >= part * (double)count)
			return (double)bucket_us(i) / 1000;
	}
	return 0;
}

/* ---- coming in ---- */

static uint32_t number_of(const struct group *group, const struct client *client)
{
	return group->first + (uint32_t)(client - group->clients);
}

static uint32_t room_of(const struct group *group, const struct client *client)
{
	return number_of(group, client) % group->plan->rooms;
}

static int client_dial(const struct group *group, const struct client *client)
{
	const int yes = 1;
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr.s_addr =
			htonl(ADDRESS_FIRST + number_of(group, client) / CLIENTS_PER_ADDRESS),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die_errno("socket");
	/* The port is chosen when both ends are known: it need not be free towards all. */
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)) != 0 ||
	    bind(fd, (const struct sockaddr *)&from, sizeof(from)) != 0)
		die_errno("bind");
	const struct sockaddr_in *server = &group->plan->server;
	if (connect(fd, (const struct sockaddr *)server, sizeof(*server)) != 0)
		die_errno("connect");
	return fd;
}

/* Our mask is zero: one has to be there, and may be any. */
static void append_text_frame(struct buf *out, struct slice text)
{
	static const char mask[WS_MASK_BYTES];
	ws_client_append(out, WS_OPCODE_TEXT, text, mask);
}

static void client_ask(struct group *group, struct client *client)
{
	struct buf text = {0}, out = {0};
	uint32_t room = room_of(group, client);
	buf_format(&text, "{\"type\":\"subscribe\",\"channel\":\"" ROOM_FORMAT "\"", room);
	if (client->resumes)
		buf_format(&text, ",\"since\":\"%s\"", group->plan->cursors[room]);
	buf_char(&text, '}');
	buf_string(&out, "GET /ws");
	if (group->plan->has_users)
		buf_format(&out, "?user=u%u", number_of(group, client));
	buf_string(&out, " HTTP/1.1\r\nHost: crowd\r\nConnection: Upgrade\r\n"
	                 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	append_text_frame(&out, buf_view(&text));
	CHECK(!text.is_broken && !out.is_broken);
	/* A socket that is new takes so little at once. */
	if (send(client->fd, out.at, out.len, MSG_NOSIGNAL) != (ssize_t)out.len)
		die_errno("send");
	buf_free(&text);
	buf_free(&out);
}

static void client_come(struct group *group, struct client *client)
{
	struct epoll_event event = {.events = EPOLLIN,
	                            .data.u32 = (uint32_t)(client - group->clients)};
	CHECK(client->state == CLIENT_OUT);
	client->fd = client_dial(group, client);
	client->state = CLIENT_HANDSHAKE;
	group->on_their_way++;
	client_ask(group, client);
	if (epoll_ctl(group->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
		die_errno("epoll_ctl");
}

/* ---- what comes ---- */

static bool text_has(struct slice text, const char *what)
{
	return memmem(text.at, text.len, what, strlen(what)) != NULL;
}

static void client_is_in(struct group *group, struct client *client, struct slice text)
{
	struct group_counters *counters = &group->counters;
	client->state = CLIENT_IN;
	group->on_their_way--;
	if (!client->resumes)
		counters->subscribed++;
	else if (text_has(text, "\"recovered\":true"))
		counters->recovered++;
	else
		counters->lost++;
}

static void take_message(struct group *group, const struct client *client)
{
	uint64_t now = kernel_clock_ns();
	uint64_t published = atomic_load_explicit(&group->plan->published_ns, memory_order_relaxed);
	if (client->resumes) {
		group->counters.resumed_messages++;
		return;
	}
	group->latency.counts[bucket_of((now - published) / 1000)]++;
	group->counters.messages++;
}

static void take_text(struct group *group, struct client *client, struct slice text)
{
	if (text_has(text, "{\"type\":\"message\""))
		take_message(group, client);
	else if (text_has(text, "{\"type\":\"subscribed\""))
		client_is_in(group, client, text);
	else if (!text_has(text, "{\"type\":\"welcome\"")) {
		fprintf(stderr, "%.*s\n", (int)text.len, text.at);
		die("the server says what was not expected");
	}
}

static void answer_ping(struct group *group, const struct client *client, struct slice payload)
{
	static const char mask[WS_MASK_BYTES];
	struct buf out = {0};
	ws_client_append(&out, WS_OPCODE_PONG, payload, mask);
	CHECK(!out.is_broken);
	if (send(client->fd, out.at, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)out.len)
		die_errno("send");
	group->counters.pings++;
	buf_free(&out);
}

/* Bytes of the frame at the front; 0: it is not whole yet. */
static size_t take_frame(struct group *group, struct client *client, struct slice bytes)
{
	const unsigned char *head = (const unsigned char *)bytes.at;
	if (bytes.len < 2)
		return 0;
	size_t start = head[1] == 126 ? 4 : 2;
	if (bytes.len < start)
		return 0;
	size_t len = start == 4 ? (size_t)head[2] << 8 | head[3] : head[1];
	if (head[1] > 126)
		die("the server sends a frame that is masked or longer than expected");
	if (bytes.len < start + len)
		return 0;
	struct slice payload = slice_of(bytes.at + start, len);
	if (head[0] == (0x80 | WS_OPCODE_TEXT))
		take_text(group, client, payload);
	else if (head[0] == (0x80 | WS_OPCODE_PING))
		answer_ping(group, client, payload);
	else
		die("the server sends a frame of a kind that is not expected");
	return start + len;
}

/* Bytes of the answer to the handshake; 0: it is not whole yet. */
static size_t take_handshake(struct client *client, struct slice bytes)
{
	const char *end = memmem(bytes.at, bytes.len, "\r\n\r\n", 4);
	if (end == NULL)
		return 0;
	if (!slice_starts(bytes, SLICE("HTTP/1.1 101 ")))
		die("the server refuses a handshake");
	client->state = CLIENT_SUBSCRIBES;
	return (size_t)(end + 4 - bytes.at);
}

/* Gives the bytes used. */
static size_t take_bytes(struct group *group, struct client *client, struct slice bytes)
{
	size_t total = 0, used;
	do {
		struct slice rest = slice_after(bytes, total);
		used = client->state == CLIENT_HANDSHAKE ? take_handshake(client, rest)
		                                         : take_frame(group, client, rest);
		total += used;
	} while (used > 0 && total < bytes.len);
	return total;
}

static void keep_rest(struct client *client, struct slice rest)
{
	if (rest.len == 0)
		return;
	client->kept = calloc(1, sizeof(*client->kept));
	CHECK(client->kept != NULL);
	buf_slice(client->kept, rest);
	CHECK(!client->kept->is_broken);
}

static void client_drop_kept(struct client *client)
{
	if (client->kept == NULL)
		return;
	buf_free(client->kept);
	free(client->kept);
	client->kept = NULL;
}

static void client_take(struct group *group, struct client *client, struct slice bytes)
{
	if (client->kept == NULL) {
		keep_rest(client, slice_after(bytes, take_bytes(group, client, bytes)));
		return;
	}
	buf_slice(client->kept, bytes);
	CHECK(!client->kept->is_broken);
	buf_use(client->kept, take_bytes(group, client, buf_view(client->kept)));
	if (client->kept->len == 0)
		client_drop_kept(client);
}

static void client_close(struct client *client)
{
	client_drop_kept(client);
	CHECK(close(client->fd) == 0);
	client->state = CLIENT_OUT;
}

static void client_ready(struct group *group, struct client *client, char *room)
{
	ssize_t got = recv(client->fd, room, READ_BYTES, MSG_DONTWAIT);
	if (got > 0) {
		client_take(group, client, slice_of(room, (size_t)got));
	} else if (got == 0 || errno != EAGAIN) {
		group->on_their_way -= client->state != CLIENT_IN;
		client_close(client);
		group->counters.closed++;
	}
}

/* ---- the thread ---- */

static uint32_t group_wait(struct group *group, int wait_ms, char *room)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(group->epoll, events, EVENTS_MAX, wait_ms);
	CHECK(count >= 0 || errno == EINTR);
	for (int i = 0; i < count; i++)
		client_ready(group, &group->clients[events[i].data.u32], room);
	return count < 0 ? 0 : (uint32_t)count;
}

/* False: nobody is left to come in, or nobody may now. */
static bool group_step(struct group *group, enum phase phase)
{
	if (phase == PHASE_OPEN && group->opened < group->count &&
	    group->on_their_way < group->plan->window) {
		client_come(group, &group->clients[group->opened++]);
		return true;
	}
	if (phase == PHASE_RESUME && group->resumed < group->leave_count) {
		client_come(group, &group->clients[group->resumed++]);
		return true;
	}
	return false;
}

static void group_leave(struct group *group)
{
	while (group->counters.left < group->leave_count) {
		struct client *client = &group->clients[group->counters.left];
		if (client->state != CLIENT_OUT)
			client_close(client);
		client->resumes = true;
		group->counters.left++;
	}
}

static enum phase group_phase(const struct group *group)
{
	return (enum phase)atomic_load_explicit(&group->plan->phase, memory_order_acquire);
}

static void *group_main(void *argument)
{
	struct group *group = argument;
	char *room = malloc(READ_BYTES);
	group->clients = calloc(group->count, sizeof(*group->clients));
	CHECK(room != NULL && group->clients != NULL);
	if (unshare(CLONE_FILES) != 0)
		die_errno("unshare");
	group->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (group->epoll < 0)
		die_errno("epoll_create1");
	for (;;) {
		enum phase phase = group_phase(group);
		if (phase == PHASE_END)
			break;
		if (phase == PHASE_LEAVE)
			group_leave(group);
		bool has_more = group_step(group, phase);
		(void)group_wait(group, has_more ? 0 : LOOK_MS, room);
	}
	/* The table goes with the thread, and the sockets with the table. */
	free(group->clients);
	free(room);
	return NULL;
}

void group_start(struct group *group)
{
	pthread_attr_t attributes;
	CHECK(group->count <= GROUP_CLIENTS_MAX);
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
	int error = pthread_create(&group->thread, &attributes, group_main, group);
	CHECK(pthread_attr_destroy(&attributes) == 0);
	errno = error;
	if (error != 0)
		die_errno("pthread_create");
}

void group_join(struct group *group)
{
	CHECK(pthread_join(group->thread, NULL) == 0);
}
