#include "edge/edge.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "edge/access_log.h"
#include "edge/peer.h"
#include "edge/registry.h"
#include "edge/secure.h"
#include "edge/survey.h"
#include "net/listen.h"

#define ACCEPT_WAIT_MS 100 /* when there was no descriptor for a connection */

uint64_t edge_now_ms(const struct edge *edge)
{
	return loop_now_ms(edge->loop);
}

/* ---- what the hub says ---- */

static struct edge *edge_of(struct hub_out *out)
{
	return CONTAINER_OF(out, struct edge, hub_out);
}

static void out_event(struct hub_out *out, struct session *session, const struct hub_event *event)
{
	struct conn *conn = conn_of(session);
	if (session->is_ended)
		return;
	conn->transport->event(edge_of(out), conn, event);
}

static void out_answered(struct hub_out *out, struct session *session)
{
	if (!session->is_ended)
		conn_answered(edge_of(out), conn_of(session));
}

static size_t out_deliver(struct hub_out *out, struct session *session,
                          const struct delivery *delivery)
{
	struct conn *conn = conn_of(session);
	return conn->transport->deliver(edge_of(out), conn, delivery);
}

static void out_end(struct hub_out *out, struct session *session, enum hub_end why)
{
	conn_end(edge_of(out), conn_of(session),
	         why == HUB_END_SLOW ? CLOSE_SLOW_CONSUMER : CLOSE_NO_MEMORY);
}

static struct slab_handle out_handle(struct hub_out *out, const struct session *session)
{
	const struct conn *conn = CONTAINER_OF(session, const struct conn, session);
	return slab_handle_of(&edge_of(out)->conns, conn);
}

static struct session *out_find(struct hub_out *out, struct slab_handle handle)
{
	struct conn *conn = slab_at(&edge_of(out)->conns, handle);
	return conn == NULL ? NULL : &conn->session;
}

static void out_post(struct hub_out *out, uint32_t worker, const struct hub_mail *mail)
{
	struct edge_up *up = edge_of(out)->options.up;
	up->post(up, worker, mail);
}

static bool out_has_room(struct hub_out *out)
{
	struct edge_up *up = edge_of(out)->options.up;
	return up->has_room(up);
}

static uint64_t out_now_us(struct hub_out *out)
{
	(void)out;
	return loop_clock_us();
}

/* ---- making and breaking ---- */

static struct hub *make_hub(struct edge *edge)
{
	const struct edge_settings *settings = edge->settings;
	edge->hub_out = (struct hub_out){
		.event = out_event,
		.answered = out_answered,
		.deliver = out_deliver,
		.end = out_end,
		.handle = out_handle,
		.find = out_find,
		.post = out_post,
		.has_room = out_has_room,
		.now_us = out_now_us,
	};
	struct hub_options options = {
		.worker = edge->options.worker,
		.workers = edge->options.workers,
		.out = &edge->hub_out,
		.rules = settings->rules,
		.wheel = loop_wheel(edge->loop),
		.timer_kind = EDGE_TIMER_HUB,
		.walk_timer_kind = EDGE_TIMER_HUB_WALK,
		.presence_timer_kind = EDGE_TIMER_HUB_PRESENCE,
		.hash_key = edge->options.node->hash_key,
		.seed = random_next(&edge->random),
		.channels_per_session = settings->channels_max,
		.outbound_bytes_max = settings->outbound_bytes_max,
		.cluster = edge->options.cluster,
	};
	return hub_create(&options);
}

struct edge *edge_create(const struct edge_options *options)
{
	struct edge *edge = calloc(1, sizeof(*edge));
	if (edge == NULL)
		return NULL;
	edge->options = *options;
	edge->settings = options->settings;
	edge->loop = options->loop;
	edge->random.state = options->seed;
	edge->accept_timer.kind = EDGE_TIMER_ACCEPT;
	edge->drain.timer.kind = EDGE_TIMER_DRAIN;
	list_init(&edge->again);
	list_init(&edge->waiting);
	list_init(&edge->shaking);
	list_init(&edge->due);
	list_init(&edge->proving);
	list_init(&edge->ended);
	list_init(&edge->surveys);
	list_init(&edge->asking);
	for (int i = 0; i < QUEUE_COUNT; i++)
		queue_init(&edge->queues[i], EDGE_TIMER_QUEUE);
	int error = slab_init(&edge->conns, sizeof(struct conn),
	                      options->settings->connections_max + EDGE_CONN_RESERVE);
	CHECK(error == 0);
	if (!jwt_reader_init(&edge->tokens))
		goto free_edge;
	if (registry_init(&edge->registry) != 0)
		goto free_tokens;
	if (map_init(&edge->peers) != 0)
		goto free_registry;
	edge->hub = make_hub(edge);
	if (edge->hub == NULL)
		goto free_peers;
	edge_begin(edge);
	return edge;

free_peers:
	map_free(&edge->peers);
free_registry:
	registry_free(&edge->registry);
free_tokens:
	jwt_reader_free(&edge->tokens);
free_edge:
	free(edge);
	return NULL;
}

struct hub *edge_hub(struct edge *edge)
{
	return edge->hub;
}

static void close_listeners(struct edge *edge)
{
	for (uint32_t i = 0; i < edge->listener_count; i++)
		close(edge->listeners[i].fd);
	free(edge->listeners);
	edge->listeners = NULL;
	edge->listener_count = 0;
}

void edge_destroy(struct edge *edge)
{
	if (edge == NULL)
		return;
	for (uint32_t i = 0; i < slab_span(&edge->conns); i++) {
		struct conn *conn = slab_by_index(&edge->conns, i);
		if (conn == NULL)
			continue;
		conn_end(edge, conn, CLOSE_DRAIN);
		conn->transport->goodbye(edge, conn);
		conn_destroy(edge, conn);
	}
	close_listeners(edge);
	survey_give_up(edge);
	timer_stop(loop_wheel(edge->loop), &edge->accept_timer);
	timer_stop(loop_wheel(edge->loop), &edge->drain.timer);
	for (int i = 0; i < QUEUE_COUNT; i++)
		timer_stop(loop_wheel(edge->loop), &edge->queues[i].timer);
	hub_destroy(edge->hub);
	slab_free(&edge->conns);
	map_free(&edge->peers);
	registry_free(&edge->registry);
	tls_desk_destroy(edge->desk);
	buf_free(&edge->cork);
	buf_free(&edge->text);
	burst_bytes_free(&edge->burst);
	buf_free(&edge->reader.scratch);
	jwt_reader_free(&edge->tokens);
	free(edge);
}

/* ---- other settings ---- */

/* New connections inherit it from their listener; those that are there keep what they have. */
static void adopt_heartbeat(struct edge *edge, const struct edge_settings *settings)
{
	const struct edge_settings *before = edge->settings;
	uint64_t timeout_ms = settings->heartbeat_timeout_ms;
	if (before->heartbeat_timeout_ms == timeout_ms &&
	    before->heartbeat_interval_ms == settings->heartbeat_interval_ms)
		return;
	edge->beats = (edge->beats + 1) & 3;
	for (uint32_t i = 0; i < edge->listener_count; i++)
		(void)!listen_set_tcp(edge->listeners[i].fd,
		                      (uint32_t)timeout_ms); /* none of Unix */
}

void edge_adopt(struct edge *edge, const struct edge_settings *settings)
{
	CHECK(edge_has_adopted(edge));
	adopt_heartbeat(edge, settings);
	edge->settings = settings;
	slab_set_max(&edge->conns, settings->connections_max + EDGE_CONN_RESERVE);
	hub_set_rules(edge->hub, settings->rules);
	hub_set_limits(edge->hub, settings->channels_max, settings->outbound_bytes_max);
	registry_adopt(edge);
	review_begin(edge);
	queue_adopt(edge);
}

bool edge_has_adopted(const struct edge *edge)
{
	return hub_has_adopted(edge->hub);
}

/* ---- accepting ---- */

int edge_listen(struct edge *edge, int listener, bool is_secure)
{
	size_t count = edge->listener_count + 1;
	struct edge_listener *listeners = realloc(edge->listeners, count * sizeof(*listeners));
	if (listeners == NULL)
		return -ENOMEM;
	CHECK(!is_secure || edge->settings->tls != NULL);
	if (is_secure && edge->desk == NULL)
		edge->desk = tls_desk_create(edge->options.tls_seed);
	if (is_secure && edge->desk == NULL)
		return -ENOMEM;
	edge->listeners = listeners;
	int error = loop_watch(edge->loop, listener, edge->listener_count);
	if (error != 0)
		return error;
	edge->listeners[edge->listener_count++] = (struct edge_listener){listener, is_secure};
	return 0;
}

static uint32_t descriptors_max(const struct edge *edge)
{
	uint32_t conns_max = edge->settings->connections_max + EDGE_CONN_RESERVE;
	uint32_t most = edge->options.descriptors_max;
	return conns_max < most ? conns_max : most;
}

/* What is left of them is the reserve. */
static uint32_t room(const struct edge *edge)
{
	uint32_t most = descriptors_max(edge), reserve = most / RESERVE_SHARE;
	reserve = reserve < RESERVE_MIN ? RESERVE_MIN : reserve;
	reserve = reserve > RESERVE_MAX ? RESERVE_MAX : reserve;
	return most > reserve ? most - reserve : 0;
}

bool edge_is_crowded(const struct edge *edge)
{
	return edge->conns.count > room(edge);
}

/* False: there is none that can be spared. */
static bool crowd_out(struct edge *edge)
{
	conn_uncork(edge); /* the answers of this turn, before any of them can be cut off */
	struct conn *conn = queue_spare(edge);
	if (conn != NULL)
		conn_cut(edge, conn, CLOSE_CROWDED_OUT);
	return conn != NULL;
}

/* Connections wait in the backlog, till some here have ended. */
static void accept_later(struct edge *edge)
{
	timer_arm(loop_wheel(edge->loop), &edge->accept_timer, edge_now_ms(edge), ACCEPT_WAIT_MS);
}

/* -EAGAIN: none waits, or there is no descriptor for it. */
static int accept_one(struct edge *edge, int listener, struct listen_address *peer)
{
	int fd = -EMFILE;
	if (edge->conns.count < descriptors_max(edge) || crowd_out(edge))
		fd = listen_accept(listener, peer);
	/* Others may have taken what was meant for us. */
	if ((fd == -EMFILE || fd == -ENFILE) && crowd_out(edge))
		fd = listen_accept(listener, peer);
	if (fd == -EMFILE || fd == -ENFILE)
		access_log_crowded(edge);
	else if (fd < 0 && fd != -EAGAIN)
		access_log_not_accepted(edge, fd);
	if (fd < 0 && fd != -EAGAIN)
		accept_later(edge);
	return fd < 0 ? -EAGAIN : fd;
}

/* True: there may be more. */
static bool accept_some(struct edge *edge, const struct edge_listener *listener)
{
	struct listen_address peer;
	for (int i = 0; i < TURN_ACCEPTS_MAX; i++) {
		int fd = accept_one(edge, listener->fd, &peer);
		if (fd < 0)
			return false;
		if (edge->conns.count >= room(edge))
			(void)crowd_out(edge); /* none: what is left is the reserve */
		struct conn *conn = conn_open(edge, fd, listener->is_secure);
		if (conn == NULL)
			continue;
		peer_begin(edge, conn, &peer);
		/* Most have sent their request already. */
		conn->is_readable = true;
		if (conn_is_shaking(conn))
			conn_again(edge, conn);
		else
			conn_step(edge, conn);
	}
	return true;
}

static void accept_all(struct edge *edge)
{
	edge->accepts_again = false;
	for (uint32_t i = 0; i < edge->listener_count; i++)
		edge->accepts_again |= accept_some(edge, &edge->listeners[i]);
}

/* ---- the turn ---- */

void edge_begin(struct edge *edge)
{
	hub_set_time(edge->hub, loop_now_ms(edge->loop), loop_unix_us(edge->loop));
	edge->turn_requests = 0;
}

void edge_ready(struct edge *edge, uint64_t tag, unsigned ready)
{
	struct slab_handle handle = {(uint32_t)tag, (uint32_t)(tag >> 32)};
	if (handle.generation == 0) { /* no connection has that one: it is a listener */
		edge->accepts_again = true;
		return;
	}
	struct conn *conn = slab_at(&edge->conns, handle);
	if (conn != NULL) /* else it is an event of a connection that is gone */
		conn_ready(edge, conn, ready);
}

bool edge_takes_letters(const struct edge *edge)
{
	return hub_pace(edge->hub) != HUB_IS_FAR_BEHIND;
}

void edge_receive(struct edge *edge, const struct hub_mail *mail)
{
	hub_receive(edge->hub, mail);
}

void edge_receive_mail(struct edge *edge, const struct edge_mail *mail)
{
	switch ((enum edge_about)mail->about) {
	case EDGE_ABOUT_SURVEY:
		survey_receive(edge, mail);
		break;
	case EDGE_ABOUT_REGISTRY:
		registry_receive(edge, mail->from, &mail->registry);
		break;
	}
}

void edge_place_answered(struct edge *edge, uint32_t worker, const struct registry_mail *mail)
{
	registry_answered(edge, worker, mail);
}

void edge_mail_discard(const struct edge_mail *mail)
{
	if (mail->about == EDGE_ABOUT_SURVEY)
		note_free(mail->note);
}

void edge_timer(struct edge *edge, struct timer *timer)
{
	switch ((enum edge_timer_kind)timer->kind) {
	case EDGE_TIMER_CONN:
		conn_timeout(edge, CONTAINER_OF(timer, struct conn, timer));
		break;
	case EDGE_TIMER_QUEUE:
		queue_timer(edge, CONTAINER_OF(timer, struct queue, timer));
		break;
	case EDGE_TIMER_HUB:
	case EDGE_TIMER_HUB_WALK:
	case EDGE_TIMER_HUB_PRESENCE:
		hub_timer(edge->hub, timer);
		break;
	case EDGE_TIMER_ACCEPT:
		edge->accepts_again = true;
		break;
	case EDGE_TIMER_DRAIN:
		drain_timer(edge);
		break;
	}
}

/* So many there are as walks, letters and requests of a turn have made. */
static void step_due(struct edge *edge)
{
	struct list batch;
	struct list_node *node;
	list_init(&batch);
	list_move_all(&batch, &edge->due);
	while ((node = list_first(&batch)) != NULL) {
		list_remove(node);
		conn_step(edge, CONTAINER_OF(node, struct conn, in_list));
	}
}

/* Those that are linked now, up to TURN_STEPS_MAX that have something to do, or TURN_REQUESTS_ALL
 * requests of theirs; who comes back while they are looked at comes behind the rest. */
static void step_again(struct edge *edge)
{
	struct list batch;
	struct list_node *node;
	int left = TURN_STEPS_MAX;
	list_init(&batch);
	list_move_all(&batch, &edge->again);
	edge->turn_requests = 0; /* those whose events have come do not take it all */
	while (left > 0 && edge->turn_requests < TURN_REQUESTS_ALL &&
	       (node = list_first(&batch)) != NULL) {
		struct conn *conn = CONTAINER_OF(node, struct conn, in_list);
		left -= conn->is_readable || conn->exchange != NULL;
		list_remove(node);
		conn_step(edge, conn);
	}
	list_move_all(&batch, &edge->again);
	list_move_all(&edge->again, &batch);
}

/* Does nobody have to wait? */
static bool is_at_ease(const struct edge *edge)
{
	struct edge_up *up = edge->options.up;
	return !up->is_congested(up) && hub_pace(edge->hub) == HUB_KEEPS_UP;
}

static void step_waiter(struct edge *edge, struct list_node *node)
{
	struct conn *conn = CONTAINER_OF(node, struct conn, in_list);
	list_remove(node);
	conn->is_waiting = false;
	conn_step(edge, conn);
}

/* In their order, for as long as nobody has to wait: who fills it up again comes last. */
static void step_waiting(struct edge *edge)
{
	struct list batch;
	struct list_node *node;
	list_init(&batch);
	list_move_all(&batch, &edge->waiting);
	for (int i = 0; i < TURN_STEPS_MAX && is_at_ease(edge); i++) {
		node = list_first(&batch);
		if (node == NULL)
			break;
		step_waiter(edge, node);
	}
	list_move_all(&batch, &edge->waiting);
	list_move_all(&edge->waiting, &batch);
}

/* So many that a storm of them keeps nobody else waiting. */
static void step_shaking(struct edge *edge)
{
	for (int i = 0; i < TURN_HANDSHAKES_MAX && !list_is_empty(&edge->shaking); i++) {
		struct list_node *node = list_first(&edge->shaking);
		list_remove(node);
		conn_step(edge, CONTAINER_OF(node, struct conn, in_list));
	}
}

bool edge_may_prove(const struct edge *edge)
{
	return edge->tokens.spent_us - edge->proved_us < TURN_TOKENS_US;
}

/* In their order. They are the first to have what time there is for tokens until the next turn is
 * here: others have what is left, and else come behind them. */
static void step_proving(struct edge *edge)
{
	edge->proved_us = edge->tokens.spent_us;
	for (int i = 0; i < TURN_STEPS_MAX && edge_may_prove(edge); i++) {
		struct list_node *node = list_first(&edge->proving);
		if (node == NULL)
			break;
		step_waiter(edge, node);
	}
}

/* Which may be taken now, that is: when the letters' rings have room, the loop looks again. */
static bool has_steps(const struct edge *edge)
{
	struct edge_up *up = edge->options.up;
	return !up->is_congested(up) &&
	       (!list_is_empty(&edge->again) || !list_is_empty(&edge->due) ||
	        !list_is_empty(&edge->shaking) || !list_is_empty(&edge->proving) ||
	        (is_at_ease(edge) && !list_is_empty(&edge->waiting)));
}

/* Where very many end at once (a time-out, a drain) nobody waits for all of them. */
static void reap(struct edge *edge)
{
	struct list_node *node;
	for (int i = 0; i < TURN_ENDS_MAX && (node = list_first(&edge->ended)) != NULL; i++)
		conn_reap(edge, CONTAINER_OF(node, struct conn, in_list));
}

bool edge_after(struct edge *edge)
{
	struct edge_up *up = edge->options.up;
	bool is_adopting = hub_adopt(edge->hub, TURN_RULES_MAX) == HUB_ADOPTING;
	if (edge->accepts_again && !edge->is_stopping)
		accept_all(edge);
	step_waiting(edge);
	if (!up->is_congested(up)) {
		step_due(edge);
		step_again(edge);
		step_shaking(edge);
		step_proving(edge);
	}
	bool has_surveys = survey_go_on(edge);
	bool has_seats = registry_go_on(edge);
	bool has_reviews = review_go_on(edge);
	/* Last, because all of the above may publish: nothing is left behind unseen. */
	bool has_walks = hub_walk(edge->hub, TURN_DELIVERIES_MAX);
	conn_uncork(edge);
	reap(edge);
	conn_uncork(edge);
	return is_adopting || has_surveys || has_seats || has_reviews || has_walks ||
	       edge->accepts_again || !list_is_empty(&edge->ended) || has_steps(edge);
}

/* ---- figures ---- */

void edge_count(const struct edge *edge, struct edge_stats *stats)
{
	*stats = (struct edge_stats){.connections_total = edge->connections_total,
	                             .secure = edge->secure_count,
	                             .offloaded = edge->offloaded_count,
	                             .outbound_bytes = edge->out_bytes,
	                             .hub = *hub_counters(edge->hub)};
	struct edge_load *load = &stats->load;
	struct edge_up *up = edge->options.up;
	load->turns = *loop_turns(edge->loop);
	load->dirty_channels = hub_dirty_channels(edge->hub);
	up->letters(up, &load->letters_incoming, &load->letters_queued);
	memcpy(stats->clients, edge->clients, sizeof(stats->clients));
	memcpy(stats->closes, edge->closes, sizeof(stats->closes));
	memcpy(stats->errors, edge->errors, sizeof(stats->errors));
}

void edge_stats_add(struct edge_stats *sum, const struct edge_stats *stats)
{
	for (int i = 0; i < EDGE_CLIENT_COUNT; i++)
		sum->clients[i] += stats->clients[i];
	for (int i = 0; i < CLOSE_COUNT; i++)
		sum->closes[i] += stats->closes[i];
	for (int i = 0; i < ERROR_COUNT; i++)
		sum->errors[i] += stats->errors[i];
	sum->connections_total += stats->connections_total;
	sum->secure += stats->secure;
	sum->offloaded += stats->offloaded;
	sum->outbound_bytes += stats->outbound_bytes;
	hub_counters_add(&sum->hub, &stats->hub);
}

void edge_set_joined(struct edge *edge, bool has_joined)
{
	edge->is_joining = !has_joined;
}

/* ---- going down ---- */

void edge_drain(struct edge *edge)
{
	edge->is_draining = true;
}

void edge_send_away(struct edge *edge, uint64_t time_ms)
{
	drain_send_away(edge, time_ms);
}

/* Requests under way are answered, and a poll with what it has; those answers are the last. */
static void stop_conn(struct edge *edge, struct conn *conn)
{
	switch ((enum conn_state)conn->state) {
	case CONN_HEAD:
	case CONN_BODY:
	case CONN_FEED:
	case CONN_ANSWER:
		break;
	case CONN_POLL:
		if (!conn->session.is_held) {
			conn->transport->timer(edge, conn);
			break;
		}
		/* fall through */
	default:
		conn_end(edge, conn, CLOSE_DRAIN);
	}
}

void edge_stop(struct edge *edge)
{
	edge->is_draining = edge->is_stopping = true;
	timer_stop(loop_wheel(edge->loop), &edge->drain.timer);
	edge->accepts_again = false;
	close_listeners(edge);
	for (uint32_t i = 0; i < slab_span(&edge->conns); i++) {
		struct conn *conn = slab_by_index(&edge->conns, i);
		if (conn != NULL && !conn->session.is_ended)
			stop_conn(edge, conn);
	}
}

bool edge_is_empty(const struct edge *edge)
{
	return edge->conns.count == 0;
}
