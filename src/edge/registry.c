/*
 * The difficult part is a connection that ends while its question is under way. Its seat stays
 * until the last answer has come; a place that is granted then is given back at once. So for
 * each question there is one answer, and for each place that was taken one that is given back.
 */
#include "edge/registry.h"

#include "edge/access_log.h"
#include "edge/exchange.h"
#include "edge/peer.h"

enum part_state {
	PART_NONE = 0, /* not counted */
	PART_ASKED,
	PART_HELD,    /* `place` is at `home` */
	PART_REFUSED, /* the limit is reached */
	PART_FAILED,  /* the home was out of memory */
};

struct seat {
	uint32_t generation; /* the slab's */
	uint8_t asked;       /* answers that are to come */
	bool is_left;
	struct conn *conn;        /* until it is left */
	struct map_node in_table; /* likewise: by the connection's place in its slab */
	struct list_node in_owed; /* left, and its places are not given back yet */
	struct part {
		uint8_t state; /* enum part_state */
		uint8_t home;
		struct slab_handle place;
	} parts[REGISTRY_TALLIES];
};

static_assert(sizeof(struct seat) <= 80, "what a client costs where clients are counted apart");
static_assert(WORKERS_MAX <= UINT8_MAX + 1, "the number of a home fits");

int registry_init(struct registry *registry)
{
	int error = slab_init(&registry->seats, sizeof(struct seat), CONN_INDEX_MAX);
	CHECK(error == 0);
	list_init(&registry->owed);
	error = map_init(&registry->by_conn);
	for (int i = 0; i < REGISTRY_TALLIES && error == 0; i++)
		error = tally_init(&registry->tallies[i]);
	if (error != 0)
		registry_free(registry);
	return error;
}

void registry_free(struct registry *registry)
{
	for (uint32_t i = 0; i < slab_span(&registry->seats); i++) {
		struct seat *seat = slab_by_index(&registry->seats, i);
		if (seat != NULL) {
			CHECK(seat->is_left);
			slab_release(&registry->seats, seat);
		}
	}
	slab_free(&registry->seats);
	map_free(&registry->by_conn);
	for (int i = 0; i < REGISTRY_TALLIES; i++)
		tally_free(&registry->tallies[i]);
}

/* ---- seats ---- */

static struct seat *seat_of(const struct edge *edge, const struct conn *conn)
{
	if (!conn->has_seat)
		return NULL;
	uint32_t index = slab_handle_of(&edge->conns, conn).index;
	struct map_node *node = map_first(&edge->registry.by_conn, index);
	CHECK(node != NULL);
	return CONTAINER_OF(node, struct seat, in_table);
}

static struct seat *seat_make(struct edge *edge, struct conn *conn)
{
	struct seat *seat = seat_of(edge, conn);
	if (seat != NULL)
		return seat;
	seat = slab_take(&edge->registry.seats);
	if (seat == NULL)
		return NULL;
	seat->conn = conn;
	uint32_t index = slab_handle_of(&edge->conns, conn).index;
	map_insert(&edge->registry.by_conn, &seat->in_table, index);
	conn->has_seat = true;
	return seat;
}

/* Users are counted over all nodes, where there are several. */
static bool is_far(const struct edge *edge, unsigned tally)
{
	return tally == REGISTRY_USERS && edge->options.cluster != NULL;
}

static void post(struct edge *edge, uint32_t home, const struct registry_mail *mail)
{
	struct edge_up *up = edge->options.up;
	struct edge_mail letter = {
		.from = edge->options.worker, .about = EDGE_ABOUT_REGISTRY, .registry = *mail};
	up->post_edge(up, home, &letter);
}

/* At the key's home. */
static void give(struct edge *edge, unsigned tally, struct slab_handle place)
{
	if (is_far(edge, tally))
		edge->options.up->give_place(edge->options.up, place);
	else
		tally_give(&edge->registry.tallies[tally], place);
}

/* Gives back what a seat that was left holds; without room for letters it is owed. */
static void settle(struct edge *edge, struct seat *seat)
{
	struct edge_up *up = edge->options.up;
	for (uint8_t i = 0; i < REGISTRY_TALLIES; i++) {
		struct part *part = &seat->parts[i];
		if (part->state != PART_HELD)
			continue;
		if (part->home == edge->options.worker) {
			give(edge, i, part->place);
		} else if (up->has_room(up)) {
			struct registry_mail mail = {
				.type = REGISTRY_LEAVE, .tally = i, .place = part->place};
			post(edge, part->home, &mail);
		} else {
			if (!list_is_linked(&seat->in_owed))
				list_append(&edge->registry.owed, &seat->in_owed);
			return;
		}
		part->state = PART_NONE;
	}
	if (list_is_linked(&seat->in_owed))
		list_remove(&seat->in_owed);
	if (seat->asked == 0)
		slab_release(&edge->registry.seats, seat);
}

/* ---- asking ---- */

static uint32_t limit_of(const struct edge *edge, unsigned tally)
{
	return tally == REGISTRY_USERS ? edge->settings->connections_per_user
	                               : edge->settings->connections_per_address;
}

static enum part_state state_of(enum tally_answer answer)
{
	return answer == TALLY_TAKEN  ? PART_HELD
	       : answer == TALLY_FULL ? PART_REFUSED
	                              : PART_FAILED;
}

/* At the key's home. Who is in already is counted whatever the limit. True: it is answered already,
 * by mail->answer and place; else it will be. */
static bool take(struct edge *edge, uint32_t worker, struct registry_mail *mail)
{
	struct edge_up *up = edge->options.up;
	uint32_t limit = limit_of(edge, mail->tally);
	if (limit == 0 || mail->is_in)
		limit = UINT32_MAX;
	mail->answer = TALLY_NO_MEMORY;
	if (is_far(edge, mail->tally))
		return !up->ask_place(up, worker, mail, limit);
	struct tally_key key = mail->key;
	mail->answer = (uint8_t)tally_take(&edge->registry.tallies[mail->tally], &key, limit,
	                                   &mail->place);
	return true;
}

static uint8_t home_of(const struct edge *edge, const struct registry_mail *mail)
{
	uint64_t number =
		is_far(edge, mail->tally) ? edge_user_slot(&mail->key) : mail->key.word[0];
	return (uint8_t)(number % edge->options.workers);
}

/* Takes a place under that key, or asks for one. False: no room for the letter. */
static bool ask(struct edge *edge, struct seat *seat, struct registry_mail *mail)
{
	struct edge_up *up = edge->options.up;
	struct part *part = &seat->parts[mail->tally];
	bool is_answered = false;
	part->home = home_of(edge, mail);
	mail->seat = slab_handle_of(&edge->registry.seats, seat);
	if (part->home == edge->options.worker)
		is_answered = take(edge, part->home, mail);
	else if (up->has_room(up))
		post(edge, part->home, mail);
	else
		return false;
	part->state = PART_ASKED;
	if (is_answered) {
		part->state = (uint8_t)state_of((enum tally_answer)mail->answer);
		part->place = mail->place;
	} else {
		seat->asked++;
	}
	return true;
}

/* False: no memory. */
static bool key_of(const struct edge *edge, unsigned tally, struct slice name,
                   struct tally_key *key)
{
	if (is_far(edge, tally))
		return tally_key_for_all(name, key);
	*key = tally_key_of(&edge->options.node->hash_key, name);
	return true;
}

/* The name that the connection is counted under; false: under none. */
static bool name_of(const struct conn *conn, unsigned tally, const struct address *site,
                    struct slice *name)
{
	if (conn->session.is_backend)
		return false;
	if (tally == REGISTRY_USERS)
		*name = session_user(&conn->session);
	else if (site->family == ADDRESS_V4 || site->family == ADDRESS_V6)
		*name = slice_of((const char *)site, sizeof(*site));
	else
		return false;
	return name->len > 0;
}

/* Asks for what the connection is not counted under yet. False: no memory. */
static bool ask_for_all(struct edge *edge, struct conn *conn, const struct address *address,
                        bool is_in)
{
	struct address site = address_site(address);
	struct slice name;
	for (uint8_t i = 0; i < REGISTRY_TALLIES; i++) {
		if (limit_of(edge, i) == 0 || !name_of(conn, i, &site, &name))
			continue;
		struct seat *seat = seat_make(edge, conn);
		if (seat == NULL)
			return false;
		if (seat->parts[i].state != PART_NONE)
			continue;
		struct registry_mail mail = {
			.type = REGISTRY_ASK,
			.tally = i,
			.is_in = is_in,
		};
		if (!key_of(edge, i, name, &mail.key) || !ask(edge, seat, &mail))
			return false;
	}
	return true;
}

/* ---- in and out ---- */

/* One more of all; false: there are as many as may be. */
static bool count_in(struct edge *edge)
{
	_Atomic uint32_t *clients = &edge->options.common->clients;
	uint32_t count = atomic_load_explicit(clients, memory_order_relaxed);
	do {
		if (count >= edge->settings->connections_max)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		clients, &count, count + 1, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static enum error_code verdict(const struct seat *seat, const char **why)
{
	static const char *const whys[] = {
		[REGISTRY_USERS] = "this user has as many connections as one may",
		[REGISTRY_ADDRESSES] = "this address has as many connections as one may",
	};
	for (int i = 0; seat != NULL && i < REGISTRY_TALLIES; i++) {
		*why = whys[i];
		if (seat->parts[i].state == PART_REFUSED)
			return ERROR_CONNECTION_LIMIT;
		*why = "the server is out of memory";
		if (seat->parts[i].state == PART_FAILED)
			return ERROR_UNAVAILABLE;
	}
	return ERROR_NONE;
}

enum error_code registry_enter(struct edge *edge, struct conn *conn, const char **why)
{
	*why = "this node has no descriptor left for a client";
	if (!conn->is_counted && edge_is_crowded(edge)) {
		access_log_crowded(edge);
		return ERROR_OVERLOADED;
	}
	*why = "this node has as many connections as it may";
	if (!conn->is_counted && !count_in(edge)) {
		access_log_overloaded(edge);
		return ERROR_OVERLOADED;
	}
	conn->is_counted = true;
	return ERROR_NONE;
}

enum error_code registry_sit(struct edge *edge, struct conn *conn,
                             const struct http_request *request, const char **why)
{
	const struct edge_settings *settings = edge->settings;
	CHECK(conn->is_counted);
	bool has_limits =
		settings->connections_per_user > 0 || settings->connections_per_address > 0;
	if (!has_limits && !conn->is_proxied && !settings->logs_access)
		return ERROR_NONE;
	/* Where requests are logged it is known already. */
	struct address address = conn->exchange->asked_by;
	if (address.family == ADDRESS_NONE)
		address = peer_of_request(edge, conn, request);
	*why = "the server is out of memory";
	if (!peer_settle(edge, conn, &address) || !ask_for_all(edge, conn, &address, false))
		return ERROR_UNAVAILABLE;
	conn->exchange->is_put_aside = registry_asks(edge, conn);
	return conn->exchange->is_put_aside ? ERROR_NONE : verdict(seat_of(edge, conn), why);
}

/* One that is in already. */
static void judge(struct edge *edge, struct conn *conn)
{
	const char *why;
	if (verdict(seat_of(edge, conn), &why) == ERROR_CONNECTION_LIMIT)
		conn_end(edge, conn, CLOSE_CONNECTION_LIMIT);
}

void registry_name(struct edge *edge, struct conn *conn)
{
	if (edge->settings->connections_per_user == 0)
		return;
	struct address address = peer_of(edge, conn);
	if (!ask_for_all(edge, conn, &address, false))
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else if (!registry_asks(edge, conn))
		judge(edge, conn);
}

bool registry_asks(const struct edge *edge, const struct conn *conn)
{
	const struct seat *seat = seat_of(edge, conn);
	return seat != NULL && seat->asked > 0;
}

void registry_leave(struct edge *edge, struct conn *conn)
{
	struct seat *seat = seat_of(edge, conn);
	if (conn->is_counted)
		atomic_fetch_sub_explicit(&edge->options.common->clients, 1, memory_order_relaxed);
	conn->is_counted = false;
	if (seat == NULL)
		return;
	map_remove(&edge->registry.by_conn, &seat->in_table);
	conn->has_seat = false;
	seat->conn = NULL;
	seat->is_left = true;
	settle(edge, seat);
}

/* ---- letters ---- */

static void answer(struct edge *edge, uint32_t from, const struct registry_mail *question)
{
	struct registry_mail mail = *question;
	if (!take(edge, from, &mail))
		return;
	mail.type = REGISTRY_ANSWER;
	post(edge, from, &mail);
}

static void take_answer(struct edge *edge, const struct registry_mail *mail)
{
	struct seat *seat = slab_at(&edge->registry.seats, mail->seat);
	CHECK(seat != NULL); /* it stays for its answers */
	CHECK(seat->asked > 0);
	struct part *part = &seat->parts[mail->tally];
	CHECK(part->state == PART_ASKED);
	part->state = (uint8_t)state_of((enum tally_answer)mail->answer);
	part->place = mail->place;
	seat->asked--;
	if (seat->is_left)
		settle(edge, seat);
	else if (seat->asked == 0 && seat->conn->state == CONN_ANSWER)
		conn_again(edge, seat->conn);
	else if (seat->asked == 0)
		judge(edge, seat->conn);
}

void registry_receive(struct edge *edge, uint32_t from, const struct registry_mail *mail)
{
	switch ((enum registry_mail_type)mail->type) {
	case REGISTRY_ASK:
		answer(edge, from, mail);
		break;
	case REGISTRY_ANSWER:
		take_answer(edge, mail);
		break;
	case REGISTRY_LEAVE:
		give(edge, mail->tally, mail->place);
		break;
	}
}

void registry_answered(struct edge *edge, uint32_t worker, const struct registry_mail *mail)
{
	if (worker == edge->options.worker)
		take_answer(edge, mail);
	else
		post(edge, worker, mail);
}

/* ---- turns ---- */

void registry_adopt(struct edge *edge)
{
	/* Whoever is counted already is passed over. */
	bool has_limits = edge->settings->connections_per_user > 0 ||
	                  edge->settings->connections_per_address > 0;
	edge->registry.is_sweeping = has_limits;
	edge->registry.sweep_at = 0;
}

/* Counts those who came in before there was a limit. */
static bool sweep(struct edge *edge)
{
	struct registry *registry = &edge->registry;
	uint32_t span = slab_span(&edge->conns);
	for (int i = 0; i < TURN_SWEEP_MAX && registry->sweep_at < span; i++) {
		struct conn *conn = slab_by_index(&edge->conns, registry->sweep_at);
		if (conn != NULL && conn->is_counted && !conn->session.is_ended) {
			struct address address = peer_of(edge, conn);
			if (!ask_for_all(edge, conn, &address, true))
				return false; /* no memory: in a later turn */
		}
		registry->sweep_at++;
	}
	registry->is_sweeping = registry->sweep_at < span;
	return registry->is_sweeping;
}

bool registry_go_on(struct edge *edge)
{
	struct registry *registry = &edge->registry;
	struct list owed;
	struct list_node *node;
	list_init(&owed);
	list_move_all(&owed, &registry->owed);
	while ((node = list_first(&owed)) != NULL) {
		list_remove(node);
		settle(edge, CONTAINER_OF(node, struct seat, in_owed));
	}
	return registry->is_sweeping && sweep(edge);
}
