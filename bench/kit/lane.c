#include "kit/lane.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit/complain.h"
#include "kit/crew.h"
#include "kit/mode.h"
#include "kit/protocol.h"
#include "kit/publisher.h"

#define TEXT_SHOWN_MAX 300

static const char *const state_names[] = {
	[CLIENT_AWAY] = "away",       [CLIENT_CONNECTING] = "connecting",
	[CLIENT_OPENING] = "opening", [CLIENT_JOINING] = "subscribing",
	[CLIENT_READY] = "ready",     [CLIENT_LEAVING] = "leaving",
};

void lane_init(struct lane *lane, struct crew *crew, uint32_t number, uint32_t first,
               uint32_t count)
{
	const struct plan *plan = crew->plan;
	lane->crew = crew;
	lane->plan = plan;
	lane->mode = plan->mode;
	lane->number = number;
	lane->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (lane->bell < 0)
		die(errno, "eventfd");
	lane->client_count = count;
	lane->clients = calloc(count > 0 ? count : 1, sizeof(*lane->clients));
	lane->listeners = calloc(plan->channels, sizeof(*lane->listeners));
	lane->input = malloc(LANE_INPUT_BYTES);
	lane->payload = malloc(plan->size);
	CHECK(lane->clients != NULL && lane->listeners != NULL);
	CHECK(lane->input != NULL && lane->payload != NULL);
	lane->flight = flight_make_slots(&crew->flight);
	for (uint32_t i = 0; i < count; i++) {
		struct client *client = &lane->clients[i];
		uint64_t n = first + i;
		client->fd = -1;
		client->number = first + i;
		client->channel = client->number % plan->channels;
		/* Spread evenly over all. */
		client->is_stuck = n * plan->stuck / plan->connections !=
		                   (n + 1) * plan->stuck / plan->connections;
		if (!client->is_stuck)
			lane->listeners[client->channel]++;
	}
	for (uint32_t i = 0; i < plan->channels; i++)
		crew->flight.lanes_of[i] += lane->listeners[i] > 0;
}

void lane_free(struct lane *lane)
{
	for (uint32_t i = 0; i < lane->client_count; i++) {
		tally_free(&lane->clients[i].tally);
		free(lane->clients[i].cursor);
	}
	close(lane->bell);
	free(lane->clients);
	free(lane->listeners);
	free(lane->flight);
	free(lane->input);
	free(lane->payload);
	buf_free(&lane->cork);
}

void lane_wake(struct lane *lane)
{
	const uint64_t one = 1;
	ssize_t put = write(lane->bell, &one, sizeof(one));
	CHECK(put == sizeof(one) || errno == EAGAIN);
}

/* ---- connections ---- */

static void buf_drop(struct buf **buf)
{
	if (*buf == NULL)
		return;
	buf_free(*buf);
	free(*buf);
	*buf = NULL;
}

static void keep(struct buf **buf, struct slice bytes)
{
	if (*buf == NULL)
		*buf = calloc(1, sizeof(**buf));
	CHECK(*buf != NULL);
	buf_slice(*buf, bytes);
	CHECK(!(*buf)->is_broken);
}

static bool is_under_way(const struct client *client)
{
	return client->state != CLIENT_AWAY && client->state < CLIENT_READY;
}

static bool is_follower(const struct client *client)
{
	return !client->is_publisher;
}

static void lane_watch(struct lane *lane, int fd, void *data)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	                            .data.ptr = data};
	if (epoll_ctl(lane->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die(errno, "epoll_ctl");
}

/* Forgets the connection; what is remembered of the series stays. */
static void forget(struct lane *lane, struct client *client)
{
	CHECK(client->state != CLIENT_AWAY);
	if (is_under_way(client) && is_follower(client))
		lane->opening--;
	if (lane->corked == client) {
		lane->corked = NULL;
		buf_clear(&lane->cork);
	}
	buf_drop(&client->in);
	buf_drop(&client->out);
	close(client->fd);
	client->fd = -1;
	client->state = CLIENT_AWAY;
}

void lane_close(struct lane *lane, struct client *client)
{
	forget(lane, client);
}

/* The connection failed or ended, and it was not this side that ended it. */
static void fail(struct lane *lane, struct client *client, int error, const char *what,
                 struct slice text)
{
	int shown = (int)(text.len < TEXT_SHOWN_MAX ? text.len : TEXT_SHOWN_MAX);
	if (is_under_way(client))
		lane->counts[LANE_FAILED]++;
	else if (client->state == CLIENT_READY)
		lane->counts[LANE_ENDED]++;
	if (client->is_publisher || (is_under_way(client) && !lane->mode->may_fail))
		die(error, "%s %u, %s: %s %.*s", client->is_publisher ? "publisher" : "connection",
		    client->number, state_names[client->state], what, shown,
		    text.at == NULL ? "" : text.at);
	if (client->state == CLIENT_READY && !client->is_stuck)
		lane->listeners[client->channel]--;
	forget(lane, client);
	if (lane->mode->gone != NULL)
		lane->mode->gone(lane, client);
}

void lane_open(struct lane *lane, struct client *client, uint64_t due_ns)
{
	CHECK(client->state == CLIENT_AWAY);
	client->began_ns = due_ns;
	client->fd = endpoint_dial(lane_endpoint(lane, client), client->number);
	if (client->fd < 0)
		die(-client->fd, "connection %u", client->number);
	client->state = CLIENT_CONNECTING;
	client->step = 0;
	if (is_follower(client))
		lane->opening++;
	lane_watch(lane, client->fd, client);
}

static void become_ready(struct lane *lane, struct client *client)
{
	client->state = CLIENT_READY;
	if (client->is_publisher) {
		lane->counts[LANE_PUBLISHERS]++;
		return;
	}
	lane->opening--;
	lane->counts[LANE_READY]++;
	if (client->is_stuck && epoll_ctl(lane->epoll, EPOLL_CTL_DEL, client->fd, NULL) != 0)
		die(errno, "epoll_ctl");
	if (lane->mode->ready != NULL)
		lane->mode->ready(lane, client);
}

/* The protocol says that the connection stands. */
static void become_open(struct lane *lane, struct client *client)
{
	const struct endpoint *endpoint = lane_endpoint(lane, client);
	lane->counts[LANE_OPENED] += is_follower(client);
	client->state = CLIENT_JOINING;
	if (client->is_publisher || lane->mode->is_bare) {
		become_ready(lane, client);
		return;
	}
	if (endpoint->protocol->subscribe != NULL && endpoint->words.subscribe != NULL)
		endpoint->protocol->subscribe(endpoint, client, lane_out(lane, client));
	if (endpoint->words.answer == NULL)
		become_ready(lane, client);
}

/* ---- writing ---- */

static void write_bytes(struct lane *lane, struct client *client, struct slice bytes)
{
	ssize_t put = send(client->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
	if (put < 0 && errno != EAGAIN) {
		fail(lane, client, errno, "send", slice_of(NULL, 0));
		return;
	}
	size_t sent = put < 0 ? 0 : (size_t)put;
	if (sent < bytes.len)
		keep(&client->out, slice_after(bytes, sent));
}

static void uncork(struct lane *lane)
{
	struct client *client = lane->corked;
	lane->corked = NULL;
	CHECK(!lane->cork.is_broken);
	if (client != NULL && lane->cork.len > 0)
		write_bytes(lane, client, buf_view(&lane->cork));
	buf_clear(&lane->cork);
}

struct buf *lane_out(struct lane *lane, struct client *client)
{
	CHECK(client->state > CLIENT_CONNECTING);
	if (client->out != NULL)
		return client->out;
	if (lane->corked != client) {
		uncork(lane);
		lane->corked = client;
	}
	return &lane->cork;
}

/* The socket takes bytes again. */
static void flush(struct lane *lane, struct client *client)
{
	ssize_t put = send(client->fd, client->out->at, client->out->len, MSG_NOSIGNAL);
	if (put < 0 && errno != EAGAIN) {
		fail(lane, client, errno, "send", slice_of(NULL, 0));
		return;
	}
	if (put > 0)
		buf_use(client->out, (size_t)put);
	if (client->out->len == 0)
		buf_drop(&client->out);
}

void lane_publish(struct lane *lane, struct client *client, uint32_t channel, uint32_t number,
                  uint64_t due_ns)
{
	const struct endpoint *endpoint = lane_endpoint(lane, client);
	stamp_write(lane->payload, lane->plan->size, (struct stamp){number, due_ns});
	endpoint->protocol->publish(endpoint, channel, slice_of(lane->payload, lane->plan->size),
	                            lane_out(lane, client));
}

void lane_leave(struct lane *lane, struct client *client)
{
	const struct protocol *protocol = lane_endpoint(lane, client)->protocol;
	CHECK(client->state == CLIENT_READY);
	client->state = CLIENT_LEAVING;
	if (protocol->leave != NULL)
		protocol->leave(lane_out(lane, client));
	else
		shutdown(client->fd, SHUT_WR);
}

/* ---- reading ---- */

bool lane_tally(struct lane *lane, struct client *client, uint32_t number)
{
	switch (tally_see(&client->tally, number)) {
	case TALLY_NEW:
		break;
	case TALLY_LATE:
		lane->counts[LANE_LATE]++;
		break;
	case TALLY_TWICE:
		lane->counts[LANE_TWICE]++;
		return false;
	}
	lane->counts[LANE_DELIVERED]++;
	return true;
}

/* All stamps in a piece go to the mode. */
static void take_stamps(struct lane *lane, struct client *client, struct scan *scan)
{
	const struct endpoint *endpoint = scan->endpoint;
	struct slice rest = scan->text;
	size_t *hint = &lane->stamp_hint, fresh = 0;
	bool has_any = false;
	while (stamp_find(rest, hint)) {
		struct stamp stamp = stamp_read(rest.at + *hint);
		has_any = true;
		lane->mode->message(lane, client, stamp);
		if (!endpoint->protocol->has_many)
			return;
		rest = slice_after(rest, *hint + STAMP_BYTES);
		hint = &fresh;
		fresh = 0;
	}
	if (!has_any && text_has(scan->text, endpoint->words.gap))
		lane->counts[LANE_GAPS]++;
}

static void take_piece(struct lane *lane, struct client *client, enum piece piece,
                       struct scan *scan)
{
	lane->counts[LANE_GAPS] += scan->is_gap;
	switch (piece) {
	case PIECE_MORE:
	case PIECE_NOTHING:
		break;
	case PIECE_OPENED:
		become_open(lane, client);
		break;
	case PIECE_FOLLOWED:
		become_ready(lane, client);
		if (scan->endpoint->protocol->has_many)
			take_stamps(lane, client, scan);
		break;
	case PIECE_MESSAGE:
		if (is_follower(client) && client->state == CLIENT_READY)
			take_stamps(lane, client, scan);
		break;
	case PIECE_END:
		if (client->state != CLIENT_LEAVING)
			fail(lane, client, 0, "the server closes it", scan->text);
		break;
	case PIECE_BAD:
		fail(lane, client, 0, "the server answered", scan->text);
		break;
	}
}

/* Cuts pieces off the front; bytes used. */
static size_t take_pieces(struct lane *lane, struct client *client, const char *bytes, size_t len)
{
	const struct endpoint *endpoint = lane_endpoint(lane, client);
	size_t used = 0;
	struct buf answer = {0};
	while (used < len && client->state > CLIENT_CONNECTING) {
		struct scan scan = {.endpoint = endpoint,
		                    .client = client,
		                    .bytes = bytes + used,
		                    .len = len - used,
		                    .out = &answer};
		enum piece piece = endpoint->protocol->scan(&scan);
		if (piece == PIECE_MORE)
			break;
		used += scan.used;
		take_piece(lane, client, piece, &scan);
	}
	if (answer.len > 0 && client->state > CLIENT_CONNECTING)
		buf_slice(lane_out(lane, client), buf_view(&answer));
	buf_free(&answer);
	return used;
}

static void end_of_input(struct lane *lane, struct client *client, int error)
{
	if (client->state != CLIENT_LEAVING) {
		fail(lane, client, error, "it ended", slice_of(NULL, 0));
		return;
	}
	forget(lane, client);
	if (lane->mode->gone != NULL)
		lane->mode->gone(lane, client);
}

/* Reads once; true: there may be more. */
static bool read_once(struct lane *lane, struct client *client)
{
	size_t kept = client->in == NULL ? 0 : client->in->len;
	if (kept > LANE_INPUT_BYTES / 2)
		die(0, "connection %u: a piece has no end", client->number);
	size_t room = LANE_INPUT_BYTES - kept;
	ssize_t got = recv(client->fd, lane->input + kept, room, 0);
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0) {
		end_of_input(lane, client, got < 0 ? errno : 0);
		return false;
	}
	lane->now_ns = clock_ns();
	if (kept > 0)
		memcpy(lane->input, client->in->at, kept);
	buf_drop(&client->in);
	size_t len = kept + (size_t)got;
	size_t used = take_pieces(lane, client, lane->input, len);
	if (client->state == CLIENT_AWAY)
		return false;
	if (used < len)
		keep(&client->in, slice_of(lane->input + used, len - used));
	return (size_t)got == room;
}

static void client_connected(struct lane *lane, struct client *client)
{
	const struct endpoint *endpoint = lane_endpoint(lane, client);
	int error = 0;
	socklen_t len = sizeof(error);
	CHECK(getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
	if (error != 0) {
		fail(lane, client, error, "connect", slice_of(NULL, 0));
		return;
	}
	client->state = CLIENT_OPENING;
	if (endpoint->protocol->open == NULL)
		become_open(lane, client);
	else
		endpoint->protocol->open(endpoint, client, lane_out(lane, client));
}

static void client_event(struct lane *lane, struct client *client, uint32_t events)
{
	if (client->state == CLIENT_CONNECTING) {
		if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
			return;
		client_connected(lane, client);
	}
	if (client->state == CLIENT_AWAY)
		return;
	if ((events & EPOLLOUT) != 0 && client->out != NULL)
		flush(lane, client);
	if ((events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	while (client->state != CLIENT_AWAY && read_once(lane, client))
		continue;
	/* The event of the end has been: it is not told again. */
	if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0 && client->state != CLIENT_AWAY)
		read_once(lane, client);
}

/* ---- the turn ---- */

static void bell_silence(const struct lane *lane)
{
	uint64_t rings;
	ssize_t got = read(lane->bell, &rings, sizeof(rings));
	CHECK(got == sizeof(rings) || errno == EAGAIN);
}

static void follow_order(struct lane *lane)
{
	uint32_t order = atomic_load_explicit(&lane->crew->order, memory_order_acquire);
	if (order == lane->order)
		return;
	lane->order = order;
	lane->orders = crew_orders(lane->crew);
	if (lane->mode->begin != NULL)
		lane->mode->begin(lane);
}

static void open_due(struct lane *lane)
{
	const struct orders *orders = &lane->orders;
	if (orders->phase != PHASE_OPEN && orders->phase != PHASE_BACK)
		return;
	while (lane->opening < lane->plan->opening && lane->next_to_open < lane->client_count) {
		struct client *client = &lane->clients[lane->next_to_open];
		if (client->number >= orders->open_limit)
			return;
		lane->next_to_open++;
		/* After the storm has begun each of them is late already. */
		lane_open(lane, client,
		          orders->phase == PHASE_BACK ? orders->from_ns : lane->now_ns);
	}
}

static void show_counts(struct lane *lane)
{
	for (int i = 0; i < LANE_COUNT_COUNT; i++)
		atomic_store_explicit(&lane->shown[i], lane->counts[i], memory_order_relaxed);
}

static uint64_t lane_turn(struct lane *lane, uint64_t wait_ns)
{
	struct timespec wait = {(time_t)(wait_ns / NS_PER_S), (long)(wait_ns % NS_PER_S)};
	int count = epoll_pwait2(lane->epoll, lane->events, LANE_EVENTS_MAX, &wait, NULL);
	CHECK(count >= 0 || errno == EINTR);
	lane->now_ns = clock_ns();
	follow_order(lane);
	for (int i = 0; i < count; i++) {
		if (lane->events[i].data.ptr == NULL)
			bell_silence(lane);
		else
			client_event(lane, lane->events[i].data.ptr, lane->events[i].events);
	}
	open_due(lane);
	uint64_t next = lane->mode->turn == NULL ? MODE_FAR_NS : lane->mode->turn(lane);
	if (lane->publisher != NULL) {
		uint64_t due = publisher_turn(lane->publisher);
		next = due < next ? due : next;
	}
	uncork(lane);
	show_counts(lane);
	return next;
}

/* What is due is to be sent then, not up to 50 us later or when somebody else's slice is over. */
static void be_punctual(void)
{
	struct sched_param first = {.sched_priority = 1};
	(void)prctl(PR_SET_TIMERSLACK, 1);
	/* Where it is not allowed the lateness is in the latency measured. */
	(void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
}

static void part_with_files(void)
{
	/* TSan would take one number in two tables for the same descriptor. */
#if !defined(__SANITIZE_THREAD__)
	if (unshare(CLONE_FILES) != 0)
		die(errno, "unshare");
#endif
}

static void *lane_run(void *argument)
{
	struct lane *lane = argument;
	part_with_files();
	lane->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (lane->epoll < 0)
		die(errno, "epoll_create1");
	lane_watch(lane, lane->bell, NULL);
	if (lane->client_count == 0)
		be_punctual();
	uint64_t wait_ns = 0;
	while (lane->orders.phase != PHASE_END)
		wait_ns = lane_turn(lane, wait_ns);
	for (uint32_t i = 0; i < lane->client_count; i++) {
		if (lane->clients[i].state != CLIENT_AWAY)
			forget(lane, &lane->clients[i]);
	}
	close(lane->epoll);
	return NULL; /* and its descriptor table ends with it */
}

void lane_start(struct lane *lane)
{
	int error = pthread_create(&lane->thread, NULL, lane_run, lane);
	if (error != 0)
		die(error, "pthread_create");
}
