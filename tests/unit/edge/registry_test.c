/*
 * The registries of a few workers in one thread: letters come late and in any order between
 * pairs, clients leave whenever they like, letters find no room. Whatever happens, no user and
 * no address has more clients than it may, and in the end no place is held. The same where users
 * are counted over several nodes, by one who answers later.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/exchange.h"
#include "edge/peer.h"
#include "edge/registry.h"

#define WORKERS 3
#define CLIENTS 60
#define USERS 5
#define ADDRESSES 4
#define LETTERS_MAX 4096

enum client_state { CLIENT_OUT = 0, CLIENT_WAITS, CLIENT_IN };

struct client {
	enum client_state state;
	struct worker *worker;
	struct conn *conn;
	uint32_t user, address; /* 0: anonymous */
};

static struct worker {
	struct edge_up up; /* first: what the edge hands back */
	struct edge *edge;
	uint32_t number;
	struct tally users; /* of all nodes */
	struct asked {
		uint32_t worker, limit;
		struct registry_mail mail;
	} asked[LETTERS_MAX];
	size_t asked_count;
} workers[WORKERS];

static struct letters {
	size_t first, count;
	struct edge_mail list[LETTERS_MAX];
} queues[WORKERS][WORKERS];

static struct network local = {.family = ADDRESS_LOCAL};
static struct edge_node node = {.hash_key = {{3, 4}}};
static struct edge_common common;
static struct edge_settings settings;
static struct client clients[CLIENTS];
static struct random random_state;
static int sockets[2];
static bool is_crowded; /* letters find no room now and then, and questions no memory */
static bool is_far;     /* there are other nodes */
static struct {
	uint64_t in, refused, waited, left_waiting, without_room, owed, without_memory;
} seen;

static uint32_t below(uint32_t bound)
{
	return random_below(&random_state, bound);
}

/* ---- what the edge asks of the node ---- */

static char warned[128]; /* the last thing that the journal is to have */

static void up_warn(struct edge_up *up, const char *kind, const char *message)
{
	(void)up;
	snprintf(warned, sizeof(warned), "%s: %s", kind, message);
}

static void up_post_edge(struct edge_up *up, uint32_t to, const struct edge_mail *mail)
{
	struct worker *worker = CONTAINER_OF(up, struct worker, up);
	struct letters *queue = &queues[worker->number][to];
	CHECK(worker->number == mail->from);
	CHECK(to != mail->from); /* what is at home needs no letter */
	CHECK(queue->count < LETTERS_MAX);
	queue->list[(queue->first + queue->count++) % LETTERS_MAX] = *mail;
}

static bool up_has_room(struct edge_up *up)
{
	(void)up;
	bool has_room = !is_crowded || below(10) > 0;
	seen.without_room += !has_room;
	return has_room;
}

static bool up_ask_place(struct edge_up *up, uint32_t from, const struct registry_mail *mail,
                         uint32_t limit)
{
	struct worker *worker = CONTAINER_OF(up, struct worker, up);
	CHECK(is_far && mail->tally == REGISTRY_USERS);
	CHECK(edge_user_slot(&mail->key) % WORKERS == worker->number);
	if (is_crowded && below(20) == 0) {
		seen.without_memory++;
		return false;
	}
	CHECK(worker->asked_count < COUNT_OF(worker->asked));
	worker->asked[worker->asked_count++] = (struct asked){from, limit, *mail};
	return true;
}

static void up_give_place(struct edge_up *up, struct slab_handle place)
{
	tally_give(&CONTAINER_OF(up, struct worker, up)->users, place);
}

/* Any of those who have asked. */
static bool answer_one(struct worker *worker)
{
	if (worker->asked_count == 0)
		return false;
	struct asked *at = &worker->asked[below((uint32_t)worker->asked_count)], asked = *at;
	*at = worker->asked[--worker->asked_count];
	struct registry_mail mail = {
		.type = REGISTRY_ANSWER, .tally = REGISTRY_USERS, .seat = asked.mail.seat};
	mail.answer =
		(uint8_t)tally_take(&worker->users, &asked.mail.key, asked.limit, &mail.place);
	registry_answered(worker->edge, asked.worker, &mail);
	return true;
}

static bool deliver_one(uint32_t from, uint32_t to)
{
	struct letters *queue = &queues[from][to];
	if (queue->count == 0)
		return false;
	struct edge_mail mail = queue->list[queue->first];
	queue->first = (queue->first + 1) % LETTERS_MAX;
	queue->count--;
	CHECK(mail.about == EDGE_ABOUT_REGISTRY);
	registry_receive(workers[to].edge, from, &mail.registry);
	return true;
}

/* ---- workers ---- */

static struct edge *edge_make(struct worker *worker)
{
	struct edge *edge = calloc(1, sizeof(*edge));
	CHECK(edge != NULL);
	worker->up = (struct edge_up){.post_edge = up_post_edge,
	                              .has_room = up_has_room,
	                              .ask_place = up_ask_place,
	                              .give_place = up_give_place,
	                              .warn = up_warn};
	static struct hub_cluster cluster;
	CHECK(tally_init(&worker->users) == 0);
	edge->options = (struct edge_options){
		.node = &node,
		.common = &common,
		.up = &worker->up,
		.cluster = is_far ? &cluster : NULL,
		.worker = worker->number,
		.workers = WORKERS,
		.descriptors_max = UINT32_MAX,
	};
	edge->settings = &settings;
	list_init(&edge->again);
	list_init(&edge->due);
	list_init(&edge->ended);
	CHECK(slab_init(&edge->conns, sizeof(struct conn), CLIENTS) == 0);
	CHECK(map_init(&edge->peers) == 0);
	CHECK(registry_init(&edge->registry) == 0);
	return edge;
}

static void edge_drop(struct edge *edge)
{
	registry_free(&edge->registry);
	map_free(&edge->peers);
	slab_free(&edge->conns);
	free(edge);
}

static void begin(uint64_t seed)
{
	random_state.state = seed;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	settings = (struct edge_settings){
		.connections_max = CLIENTS, .proxies = &local, .proxy_count = 1};
	for (uint32_t i = 0; i < WORKERS; i++) {
		workers[i].number = i;
		workers[i].edge = edge_make(&workers[i]);
	}
}

static void end(void)
{
	for (uint32_t i = 0; i < WORKERS; i++) {
		edge_drop(workers[i].edge);
		tally_free(&workers[i].users);
	}
	close(sockets[0]);
	close(sockets[1]);
}

/* ---- clients ---- */

static struct http_request *request_of(const struct client *client, char text[ADDRESS_TEXT_MAX])
{
	static struct http_request request;
	http_headers_begin(&request.headers, 1);
	snprintf(text, ADDRESS_TEXT_MAX, "192.0.2.%u", client->address);
	request.headers.list[request.headers.count++] =
		(struct http_header){SLICE("X-Forwarded-For"), slice_string(text)};
	return &request;
}

static void leave(struct client *client)
{
	struct edge *edge = client->worker->edge;
	struct conn *conn = client->conn;
	seen.left_waiting += registry_asks(edge, conn);
	registry_leave(edge, conn);
	seen.owed += !list_is_empty(&edge->registry.owed);
	CHECK(!conn->is_counted);
	CHECK(!conn->has_seat);
	if (list_is_linked(&conn->in_list))
		list_remove(&conn->in_list);
	peer_end(edge, conn);
	claims_free(conn->session.claims);
	free(conn->exchange);
	slab_release(&edge->conns, conn);
	client->state = CLIENT_OUT;
}

/* As a handler does: at first, and again when the answers are there. */
static void handle(struct client *client)
{
	struct edge *edge = client->worker->edge;
	struct conn *conn = client->conn;
	char text[ADDRESS_TEXT_MAX];
	const char *why;
	enum error_code error = registry_enter(edge, conn, &why);
	if (error == ERROR_NONE)
		error = registry_sit(edge, conn, request_of(client, text), &why);
	if (error != ERROR_NONE) {
		CHECK(error == ERROR_CONNECTION_LIMIT || error == ERROR_UNAVAILABLE);
		seen.refused += error == ERROR_CONNECTION_LIMIT;
		leave(client);
		return;
	}
	client->state = conn->exchange->is_put_aside ? CLIENT_WAITS : CLIENT_IN;
	seen.waited += client->state == CLIENT_WAITS;
	seen.in += client->state == CLIENT_IN;
}

static void come(struct client *client)
{
	client->worker = &workers[below(WORKERS)];
	struct edge *edge = client->worker->edge;
	struct conn *conn = client->conn = slab_take(&edge->conns);
	CHECK(conn != NULL);
	conn->fd = sockets[0];
	conn->is_proxied = true;
	conn->state = CONN_ANSWER; /* of its handshake, which waits */
	conn->exchange = calloc(1, sizeof(*conn->exchange));
	CHECK(conn->exchange != NULL);
	client->user = below(USERS + 1);
	client->address = 1 + below(ADDRESSES);
	if (client->user > 0) {
		char name[16];
		snprintf(name, sizeof(name), "user-%u", client->user);
		struct claims_content content = {.user = slice_string(name)};
		conn->session.claims = claims_make(&content);
		CHECK(conn->session.claims != NULL);
	}
	handle(client);
}

static struct client *client_of(const struct conn *conn)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		if (clients[i].state != CLIENT_OUT && clients[i].conn == conn)
			return &clients[i];
	}
	CHECK(false);
	return NULL;
}

static void step_all(struct list *list)
{
	struct list_node *item;
	while ((item = list_first(list)) != NULL) {
		list_remove(item);
		struct client *client = client_of(CONTAINER_OF(item, struct conn, in_list));
		if (client->state == CLIENT_WAITS) {
			client->conn->exchange->is_put_aside = false;
			handle(client);
		}
	}
}

static void step_again(struct edge *edge)
{
	step_all(&edge->due);
	step_all(&edge->again);
}

/* ---- what must hold ---- */

static void check_limits(void)
{
	uint32_t users[USERS + 1] = {0}, addresses[ADDRESSES + 1] = {0}, all = 0;
	for (size_t i = 0; i < CLIENTS; i++) {
		all += clients[i].state != CLIENT_OUT;
		if (clients[i].state != CLIENT_IN)
			continue;
		users[clients[i].user]++;
		addresses[clients[i].address]++;
	}
	CHECK(atomic_load(&common.clients) == all);
	for (uint32_t i = 1; i <= USERS && settings.connections_per_user > 0; i++)
		CHECK(users[i] <= settings.connections_per_user);
	for (uint32_t i = 1; i <= ADDRESSES && settings.connections_per_address > 0; i++)
		CHECK(addresses[i] <= settings.connections_per_address);
}

static bool is_settled(void)
{
	for (uint32_t i = 0; i < WORKERS * WORKERS; i++) {
		if (queues[i / WORKERS][i % WORKERS].count > 0)
			return false;
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		const struct edge *edge = workers[i].edge;
		if (edge->registry.is_sweeping || !list_is_empty(&edge->registry.owed) ||
		    workers[i].asked_count > 0)
			return false;
	}
	return true;
}

/* Until no letter is under way and nothing is owed. */
static void settle_all(void)
{
	while (!is_settled()) {
		for (uint32_t i = 0; i < WORKERS * WORKERS; i++) {
			while (deliver_one(i / WORKERS, i % WORKERS))
				;
		}
		for (uint32_t i = 0; i < WORKERS; i++) {
			while (answer_one(&workers[i]))
				;
			step_again(workers[i].edge);
			(void)registry_go_on(workers[i].edge);
		}
	}
}

static void check_empty(void)
{
	CHECK(atomic_load(&common.clients) == 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		const struct registry *registry = &workers[i].edge->registry;
		CHECK(registry->seats.count == 0);
		CHECK(registry->by_conn.count == 0);
		CHECK(workers[i].users.entries.count == 0);
		for (int k = 0; k < REGISTRY_TALLIES; k++)
			CHECK(registry->tallies[k].entries.count == 0);
	}
}

static void all_leave(void)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		if (clients[i].state != CLIENT_OUT)
			leave(&clients[i]);
	}
}

static void run(uint64_t seed, int steps)
{
	begin(seed);
	settings.connections_per_user = below(4);
	settings.connections_per_address = below(8);
	for (int i = 0; i < steps; i++) {
		struct client *client = &clients[below(CLIENTS)];
		uint32_t what = below(10);
		if (what < 4 && client->state == CLIENT_OUT)
			come(client);
		else if (what < 5 && client->state != CLIENT_OUT)
			leave(client);
		else if (what < 9)
			deliver_one(below(WORKERS), below(WORKERS));
		else
			answer_one(&workers[below(WORKERS)]);
		for (uint32_t k = 0; k < WORKERS; k++) {
			step_again(workers[k].edge);
			(void)registry_go_on(workers[k].edge);
		}
		check_limits();
	}
	all_leave();
	settle_all();
	check_empty();
	end();
}

static void test_random(void)
{
	printf("registry: no more than may be, and no place is lost\n");
	for (uint64_t seed = 1; seed <= 300; seed++) {
		is_crowded = seed % 3 == 0;
		is_far = seed % 2 == 0;
		run(seed, 2000);
	}
	is_crowded = is_far = false;
	printf("registry: all of that came to pass\n");
	CHECK(seen.in > 0);
	CHECK(seen.refused > 0);
	CHECK(seen.waited > 0);
	CHECK(seen.left_waiting > 0);
	CHECK(seen.without_room > 0);
	CHECK(seen.owed > 0);
	CHECK(seen.without_memory > 0);
}

/* Those of one user, who comes again and again. */
static uint32_t come_as(uint32_t user, uint32_t count)
{
	uint32_t in = 0;
	for (size_t i = 0; i < CLIENTS && count > 0; i++) {
		if (clients[i].state != CLIENT_OUT)
			continue;
		do
			come(&clients[i]);
		while (clients[i].user != user && (leave(&clients[i]), true));
		count--;
		settle_all();
		in += clients[i].state == CLIENT_IN;
	}
	return in;
}

static void adopt(uint32_t connections_per_user)
{
	settings.connections_per_user = connections_per_user;
	for (uint32_t i = 0; i < WORKERS; i++)
		registry_adopt(workers[i].edge);
	settle_all();
}

static void test_adopt(void)
{
	printf("registry: without limits nothing is kept\n");
	begin(1);
	CHECK(come_as(1, 10) == 10);
	for (uint32_t i = 0; i < WORKERS; i++)
		CHECK(workers[i].edge->registry.seats.count == 0);
	printf("registry: a limit that is new counts those who are in\n");
	adopt(10);
	CHECK(come_as(1, 1) == 0);
	printf("registry: a limit that is gone forgets nobody who was counted\n");
	adopt(0);
	CHECK(come_as(1, 5) == 5);
	adopt(16);
	CHECK(come_as(1, 2) == 1);
	printf("registry: where more are in than may be, nobody has to go\n");
	adopt(3);
	CHECK(atomic_load(&common.clients) == 16);
	CHECK(come_as(1, 1) == 0);
	all_leave();
	settle_all();
	check_empty();
	CHECK(come_as(1, 4) == 3);
	all_leave();
	settle_all();
	check_empty();
	end();
}

static void test_many_in(void)
{
	printf("registry: a limit that is new counts also those who are too many\n");
	begin(3);
	CHECK(come_as(1, 10) == 10);
	adopt(3);
	for (size_t left = 10, i = 0; left > 3; i++, left--) {
		CHECK(come_as(1, 1) == 0);
		leave(&clients[i]);
		settle_all();
	}
	CHECK(come_as(1, 1) == 0);
	leave(&clients[9]);
	settle_all();
	CHECK(come_as(1, 2) == 1);
	all_leave();
	settle_all();
	check_empty();
	end();
}

static void test_total(void)
{
	printf("registry: in all there are as many as may be, counted over the workers\n");
	begin(2);
	settings.connections_max = 7;
	const char *why;
	for (size_t i = 0; i < 7; i++) {
		come(&clients[i]);
		CHECK(clients[i].state == CLIENT_IN);
	}
	struct edge *edge = workers[0].edge;
	struct conn *conn = slab_take(&edge->conns);
	CHECK(registry_enter(edge, conn, &why) == ERROR_OVERLOADED);
	CHECK(strcmp(warned, "overloaded: a client was refused: limits.connections is 7") == 0);
	leave(&clients[3]);
	CHECK(registry_enter(edge, conn, &why) == ERROR_NONE);
	CHECK(registry_enter(edge, conn, &why) == ERROR_NONE);
	CHECK(atomic_load(&common.clients) == 7);
	registry_leave(edge, conn);
	registry_leave(edge, conn);
	CHECK(atomic_load(&common.clients) == 6);
	slab_release(&edge->conns, conn);
	all_leave();
	check_empty();
	end();
}

int main(void)
{
	test_total();
	for (int i = 0; i < 2; i++) {
		is_far = i == 1;
		test_adopt();
		test_many_in();
	}
	test_random();
	return 0;
}
