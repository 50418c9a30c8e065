#include "edge/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "edge/access.h"
#include "edge/access_log.h"
#include "edge/peer.h"
#include "edge/registry.h"
#include "edge/secure.h"
#include "net/stream.h"

/* Heartbeats fall on multiples of this, so that those of many connections are sent, and answered,
 * in one turn: waking up costs more than a ping. */
#define HEARTBEAT_GRID_MS 32
#define CLOSING_BYTES_MAX (1u << 20) /* of its input are read and thrown away meanwhile */

/* ---- states ---- */

enum conn_deadline {
	DEADLINE_HEADER = QUEUE_HEADER,
	DEADLINE_IDLE = QUEUE_IDLE,
	DEADLINE_PIECE = QUEUE_PIECE,
	DEADLINE_CLOSING = QUEUE_CLOSING,
	/* The others use the connection's timer. */
	DEADLINE_NONE = QUEUE_COUNT,
	DEADLINE_WAIT,      /* the poll sets its own */
	DEADLINE_HEARTBEAT, /* after the interval, and then as the transport says */
};

static const uint8_t deadlines[CONN_STATE_COUNT] = {
#define CONN_STATE(name, deadline, what) [CONN_##name] = DEADLINE_##deadline,
#include "edge/conn_state.def"
};

static const bool edges[CONN_STATE_COUNT][CONN_STATE_COUNT] = {
#define CONN_EDGE(from, to) [CONN_##from][CONN_##to] = true,
#include "edge/conn_state.def"
};

/* Until its token runs out; UINT64_MAX: it has none that does, or it is of no consequence now. */
static uint64_t expires_in_ms(const struct edge *edge, const struct conn *conn)
{
	const struct claims *claims = conn->session.claims;
	uint64_t now_ms = loop_unix_ms(edge->loop);
	if (!conn_is_client(conn) || claims == NULL || claims->expires_unix_ms == CLAIMS_NEVER)
		return UINT64_MAX;
	return claims->expires_unix_ms > now_ms ? claims->expires_unix_ms - now_ms : 0;
}

bool conn_has_expired(const struct edge *edge, const struct conn *conn)
{
	return expires_in_ms(edge, conn) == 0;
}

static bool waits_in_queue(const struct conn *conn)
{
	return deadlines[conn->state] < (uint8_t)QUEUE_COUNT;
}

/* There is one timer: it comes early when the token runs out before, and whoever finds that it
 * has not come for what it was set for sets it again. */
void conn_set_timer(struct edge *edge, struct conn *conn, uint64_t delay_ms)
{
	uint64_t left_ms = expires_in_ms(edge, conn);
	CHECK(!waits_in_queue(conn));
	conn->timer.kind = EDGE_TIMER_CONN;
	timer_arm(loop_wheel(edge->loop), &conn->timer, edge_now_ms(edge),
	          left_ms < delay_ms ? left_ms : delay_ms);
}

static void set_heartbeat(struct edge *edge, struct conn *conn, uint64_t delay_ms)
{
	uint64_t past_due_ms = edge_now_ms(edge) + delay_ms + HEARTBEAT_GRID_MS - 1;
	conn_set_timer(edge, conn,
	               delay_ms + HEARTBEAT_GRID_MS - 1 - past_due_ms % HEARTBEAT_GRID_MS);
}

static void arm_deadline(struct edge *edge, struct conn *conn)
{
	enum conn_deadline deadline = (enum conn_deadline)deadlines[conn->state];
	switch (deadline) {
	case DEADLINE_HEADER:
	case DEADLINE_IDLE:
	case DEADLINE_PIECE:
	case DEADLINE_CLOSING:
		queue_join(edge, conn, (enum queue_name)deadline);
		break;
	case DEADLINE_NONE:
	case DEADLINE_WAIT:
		break;
	case DEADLINE_HEARTBEAT:
		set_heartbeat(edge, conn, edge->settings->heartbeat_interval_ms);
		break;
	}
}

static void disarm_deadline(struct edge *edge, struct conn *conn)
{
	if (waits_in_queue(conn))
		queue_leave(conn);
	else
		timer_stop(loop_wheel(edge->loop), &conn->timer);
}

void conn_wait_anew(struct edge *edge, struct conn *conn)
{
	disarm_deadline(edge, conn);
	arm_deadline(edge, conn);
}

void conn_enter(struct edge *edge, struct conn *conn, enum conn_state state)
{
	CHECK(edges[conn->state][state]);
	/* A first request has as long as there was for its first byte. */
	bool waits_on = conn->state == CONN_ACCEPTED && state == CONN_HEAD;
	if (!waits_on)
		disarm_deadline(edge, conn);
	conn->state = (uint8_t)state;
	edge->visits[state]++;
	if (!waits_on)
		arm_deadline(edge, conn);
}

void conn_set_transport(struct edge *edge, struct conn *conn, const struct transport *transport)
{
	edge->clients[conn->transport->client]--;
	conn->transport = transport;
	edge->clients[transport->client]++;
	conn->session.parting = (transport == &transport_poll ? PARTING_POLLED : PARTING_LOST) & 3;
}

/* ---- opening ---- */

struct conn *conn_open(struct edge *edge, int fd, bool is_secure)
{
	struct conn *conn = slab_take(&edge->conns);
	if (conn == NULL)
		goto close_fd;
	conn->fd = fd;
	conn->transport = &transport_http;
	edge->clients[EDGE_HTTP]++;
	edge->connections_total++;
	conn->opened_unix_ms = loop_unix_ms(edge->loop);
	conn->heard_ms = (uint32_t)edge_now_ms(edge);
	struct slab_handle handle = slab_handle_of(&edge->conns, conn);
	uint64_t tag = (uint64_t)handle.generation << 32 | handle.index;
	if (is_secure && !secure_open(conn))
		goto release;
	if (loop_watch(edge->loop, fd, tag) != 0)
		goto drop_tls;
	arm_deadline(edge, conn); /* of the state that all begin in */
	return conn;

drop_tls:
	if (is_secure)
		secure_close(edge, conn, false);
release:
	edge->clients[EDGE_HTTP]--;
	slab_release(&edge->conns, conn);
close_fd:
	close(fd);
	return NULL;
}

/* ---- writing ---- */

/* It has a place for what the socket does not take, or ends for want of memory. */
static struct outbox *out_make(struct edge *edge, struct conn *conn)
{
	struct outbox **out = conn->is_secure ? &conn->tls->out : &conn->out;
	if (*out == NULL)
		*out = outbox_create();
	if (*out == NULL)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	return *out;
}

/* So many bytes were added, if there was memory for them. */
static void out_added(struct edge *edge, struct conn *conn, size_t len, bool is_good)
{
	if (!is_good) {
		conn_end(edge, conn, CLOSE_NO_MEMORY);
		return;
	}
	conn->session.is_blocked = true;
	edge->out_bytes += len;
}

static void write_later(struct edge *edge, struct conn *conn, struct slice bytes)
{
	struct outbox *out = out_make(edge, conn);
	if (out != NULL)
		out_added(edge, conn, bytes.len, outbox_copy(out, bytes));
}

static void out_free(struct edge *edge, struct conn *conn)
{
	edge->out_bytes -= outbox_bytes(conn_out(conn));
	outbox_destroy(conn_out(conn));
	if (conn->is_secure)
		conn->tls->out = NULL;
	else
		conn->out = NULL;
}

/* Bytes that the socket took now; an error ends the connection and counts as all of them. */
static size_t put_now(struct edge *edge, struct conn *conn, const struct iovec *parts, size_t count,
                      size_t len)
{
	ssize_t put = conn->is_finished ? -EPIPE : stream_write(conn->fd, parts, count);
	if (put >= 0)
		return (size_t)put;
	if (put == -EAGAIN)
		return 0;
	conn_end(edge, conn, CLOSE_GONE);
	return len;
}

void conn_put(struct edge *edge, struct conn *conn, struct slice bytes)
{
	struct iovec part = {(void *)(uintptr_t)bytes.at, bytes.len};
	bool is_first = outbox_sealed(conn_out(conn)).len == 0;
	size_t put = is_first ? put_now(edge, conn, &part, 1, part.iov_len) : 0;
	struct outbox *out = put < bytes.len ? out_make(edge, conn) : NULL;
	if (out != NULL)
		out_added(edge, conn, bytes.len - put, outbox_seal(out, slice_after(bytes, put)));
}

/* Here, and not by the kernel. */
static bool is_sealed(const struct conn *conn)
{
	return conn->is_secure && !conn->tls->is_offloaded;
}

/* The same of bytes that are to be sealed, if they are. */
static size_t write_now(struct edge *edge, struct conn *conn, const struct iovec *parts,
                        size_t count, size_t len)
{
	return is_sealed(conn) ? secure_write(edge, conn, parts, count, len)
	                       : put_now(edge, conn, parts, count, len);
}

void conn_uncork(struct edge *edge)
{
	struct conn *conn = edge->corked;
	if (conn == NULL)
		return;
	edge->corked = NULL;
	struct iovec part = {edge->cork.at, edge->cork.len};
	if (edge->cork.is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else if (part.iov_len > 0) {
		size_t put = write_now(edge, conn, &part, 1, part.iov_len);
		if (put < part.iov_len)
			write_later(edge, conn, slice_after(buf_view(&edge->cork), put));
	}
	buf_clear(&edge->cork);
}

void conn_write(struct edge *edge, struct conn *conn, struct slice bytes)
{
	if (conn->state == CONN_DEAD)
		return;
	if (conn_out(conn) != NULL) {
		write_later(edge, conn, bytes);
		return;
	}
	if (edge->corked != conn) {
		conn_uncork(edge);
		edge->corked = conn;
	}
	buf_slice(&edge->cork, bytes);
	/* Large answers do not wait for more. */
	if (edge->cork.len >= CONN_OUT_PAUSE_BYTES)
		conn_uncork(edge);
}

bool conn_has_room(struct edge *edge, struct conn *conn, size_t len)
{
	size_t most = edge->settings->outbound_bytes_max;
	size_t left = outbox_bytes(conn_out(conn));
	bool has_room = left == 0 || (len <= most && left <= most - len);
	if (!has_room)
		conn_end(edge, conn, CLOSE_SLOW_CONSUMER);
	return has_room;
}

/* A part that the socket took by half, but for `len` bytes. */
static void write_rest(struct edge *edge, struct conn *conn, const struct iovec *part,
                       const struct blob *frame, size_t len)
{
	struct outbox *out = frame == NULL ? NULL : out_make(edge, conn);
	if (frame == NULL)
		write_later(edge, conn,
		            slice_of((char *)part->iov_base + part->iov_len - len, len));
	else if (out != NULL)
		out_added(edge, conn, len, outbox_share(out, frame, len));
}

size_t conn_write_parts(struct edge *edge, struct conn *conn, const struct iovec *parts,
                        const struct blob *const *frames, size_t count)
{
	if (edge->corked == conn)
		conn_uncork(edge);
	if (!session_takes(&conn->session))
		return 0;
	CHECK(conn_out(conn) == NULL);
	size_t len = 0, taken = 0;
	bool is_one = true; /* they lie one behind the other: one part is enough for the kernel */
	for (size_t i = 0; i < count; i++) {
		is_one &= (char *)parts[i].iov_base == (char *)parts[0].iov_base + len;
		len += parts[i].iov_len;
	}
	struct iovec whole = {parts[0].iov_base, len};
	size_t put = write_now(edge, conn, is_one ? &whole : parts, is_one ? 1 : count, len);
	while (taken < count && put >= parts[taken].iov_len)
		put -= parts[taken++].iov_len;
	if (taken < count && put > 0) {
		write_rest(edge, conn, &parts[taken], frames[taken], parts[taken].iov_len - put);
		taken++;
	}
	conn->session.is_blocked |= taken < count;
	return taken;
}

/* What waits and is sealed; then what waits and is not. How many bytes. */
static size_t flush_sealed(struct edge *edge, struct conn *conn, struct outbox *out)
{
	struct slice sealed = outbox_sealed(out);
	struct iovec part = {(void *)(uintptr_t)sealed.at, sealed.len};
	size_t put = sealed.len > 0 ? put_now(edge, conn, &part, 1, sealed.len) : 0;
	outbox_use_sealed(out, put);
	return put;
}

static size_t flush_plain(struct edge *edge, struct conn *conn, struct outbox *out)
{
	struct iovec parts[OUTBOX_PARTS_MAX];
	size_t count = outbox_plain(out, parts);
	if (count == 0 || outbox_sealed(out).len > 0)
		return 0;
	size_t put = write_now(edge, conn, parts, count, outbox_bytes(out));
	outbox_use_plain(out, put);
	return put;
}

/* The socket takes bytes again. */
static void conn_flush(struct edge *edge, struct conn *conn)
{
	struct outbox *out = conn_out(conn);
	if (out != NULL) {
		size_t put = flush_sealed(edge, conn, out) + flush_plain(edge, conn, out);
		edge->out_bytes -= put;
		if (put > 0 && conn->transport == &transport_sse)
			conn->heard_ms = (uint32_t)edge_now_ms(edge);
		if (put > 0 && conn->state == CONN_CLOSING)
			conn_wait_anew(edge, conn); /* it takes our last bytes, if slowly */
		if (outbox_bytes(out) > 0)
			return;
		out_free(edge, conn);
	}
	conn->session.is_blocked = false;
}

/* ---- reading ---- */

/* What it says would only come on top of what is not done yet. */
static bool must_wait(const struct edge *edge, const struct conn *conn)
{
	enum hub_pace pace = hub_pace(edge->hub);
	return edge->options.up->is_congested(edge->options.up) || pace == HUB_IS_FAR_BEHIND ||
	       (pace == HUB_IS_BEHIND && conn->session.is_publisher);
}

static void conn_wait(struct edge *edge, struct conn *conn)
{
	if (list_is_linked(&conn->in_list))
		return;
	list_append(&edge->waiting, &conn->in_list);
	conn->is_waiting = true;
}

bool conn_may_read(struct edge *edge, struct conn *conn)
{
	const struct session *session = &conn->session;
	if (session->is_ended || conn->state == CONN_ANSWER || conn->is_waiting)
		return false;
	bool waits = must_wait(edge, conn);
	if (waits)
		conn_wait(edge, conn);
	else if (conn->is_served)
		conn_again(edge, conn);
	conn->is_paused = session->request_count >= SESSION_REQUESTS_MAX ||
	                  outbox_own_bytes(conn_out(conn)) >= CONN_OUT_PAUSE_BYTES;
	return !waits && !conn->is_served && !conn->is_paused;
}

void conn_answered(struct edge *edge, struct conn *conn)
{
	if (conn->is_paused)
		conn_again(edge, conn);
}

void conn_heard(struct edge *edge, struct conn *conn)
{
	uint32_t now_ms = (uint32_t)edge_now_ms(edge);
	rate_pass(&conn->rate, now_ms - conn->heard_ms, edge->settings->message_rate);
	conn->heard_ms = now_ms;
}

bool conn_may_say(struct edge *edge, struct conn *conn)
{
	const struct edge_settings *settings = edge->settings;
	return conn->session.is_backend ||
	       rate_take(&conn->rate, settings->message_rate, settings->message_burst);
}

/* With an answer that can be given, or a request that the registry has judged: others have no more
 * than what they have sent. */
static bool is_due(const struct conn *conn)
{
	return conn->state == CONN_POLL || conn->state == CONN_ANSWER;
}

void conn_again(struct edge *edge, struct conn *conn)
{
	bool is_linked = list_is_linked(&conn->in_list);
	if (is_due(conn) && !conn->is_waiting && !conn->session.is_ended) {
		if (is_linked) /* in `again`, behind everybody there */
			list_remove(&conn->in_list);
		list_append(&edge->due, &conn->in_list);
	} else if (!is_linked) {
		list_append(conn_is_shaking(conn) ? &edge->shaking : &edge->again, &conn->in_list);
	}
}

void conn_prove_later(struct edge *edge, struct conn *conn)
{
	CHECK(!conn->is_waiting);
	if (list_is_linked(&conn->in_list)) /* to be looked at anyway, and sooner */
		list_remove(&conn->in_list);
	list_append(&edge->proving, &conn->in_list);
	conn->is_waiting = true;
}

/* As stream_read(), into edge->input. `has_more`: there may be, and no event will tell. Where less
 * came than there was room for, the rest comes with another one, but for the end, whose event
 * has been. */
static ssize_t conn_read(struct edge *edge, struct conn *conn, bool *has_more)
{
	if (conn->is_secure)
		return secure_read(edge, conn, has_more);
	ssize_t got = stream_read(conn->fd, edge->input, sizeof(edge->input));
	*has_more = got == (ssize_t)sizeof(edge->input) || (got > 0 && conn->has_end);
	return got;
}

/* Nothing more will come. */
static void read_no_more(struct edge *edge, struct conn *conn, ssize_t why)
{
	conn->is_hung_up |= why == 0;
	conn_end(edge, conn,
	         why == -EPROTO   ? CLOSE_TLS
	         : why == -ENOMEM ? CLOSE_NO_MEMORY
	                          : CLOSE_GONE);
}

void conn_step(struct edge *edge, struct conn *conn)
{
	if (conn->awaits_proxy && !peer_greet(edge, conn))
		return;
	conn->is_served = false;
	/* What was kept from before is used up first. */
	conn->transport->input(edge, conn, edge->input, 0);
	if (!conn->is_readable || !conn_may_read(edge, conn))
		return;
	bool has_more;
	ssize_t got = conn_read(edge, conn, &has_more);
	conn->is_readable = has_more;
	if (got > 0) {
		conn_heard(edge, conn);
		conn->transport->input(edge, conn, edge->input, (size_t)got);
	} else if (got != -EAGAIN) {
		read_no_more(edge, conn, got);
	}
	if (conn->is_readable && conn_may_read(edge, conn))
		conn_again(edge, conn);
}

static void closing_input(struct edge *edge, struct conn *conn);

void conn_ready(struct edge *edge, struct conn *conn, unsigned ready)
{
	if ((ready & LOOP_WRITABLE) != 0 && conn->session.is_blocked) {
		conn_flush(edge, conn);
		if (!conn->session.is_ended && !conn->session.is_blocked)
			hub_session_ready(edge->hub, &conn->session);
	}
	if ((ready & (LOOP_READABLE | LOOP_HUNG_UP)) != 0)
		conn->is_readable = true;
	if ((ready & LOOP_HUNG_UP) != 0)
		conn->has_end = true;
	if (conn->state == CONN_CLOSING)
		closing_input(edge, conn);
	else if (conn_is_shaking(conn) && !conn->session.is_ended)
		conn_again(edge, conn);
	else if (!conn->session.is_ended && !conn->is_waiting)
		conn_step(edge, conn);
}

/* ---- heartbeat ---- */

static uint32_t silent_ms(const struct edge *edge, const struct conn *conn)
{
	return (uint32_t)edge_now_ms(edge) - conn->heard_ms;
}

/* The timer was set to ask it, and came so late that its time is up: this worker was away. */
static bool is_unasked(const struct edge *edge, const struct conn *conn)
{
	const struct timer_wheel *wheel = loop_wheel(edge->loop);
	uint32_t silent = silent_ms(edge, conn);
	uint32_t late = timer_late_ms(wheel, &conn->timer, edge_now_ms(edge));
	return silent >= edge->settings->heartbeat_timeout_ms &&
	       (uint64_t)silent < edge->settings->heartbeat_timeout_ms + late;
}

/* Who was not asked, or had another interval and could not know of this one, is as silent as one
 * that is to be asked now. */
static void adopt_beats(const struct edge *edge, struct conn *conn)
{
	uint32_t interval = (uint32_t)edge->settings->heartbeat_interval_ms;
	if (conn->format == edge->beats && !is_unasked(edge, conn))
		return;
	conn->format = edge->beats & 3u;
	if (silent_ms(edge, conn) <= interval)
		return;
	rate_pass(&conn->rate, silent_ms(edge, conn) - interval, edge->settings->message_rate);
	conn->heard_ms = (uint32_t)edge_now_ms(edge) - interval;
}

/* A client that only listens is alive as long as its socket takes bytes. */
static void beat_listener(struct edge *edge, struct conn *conn, struct slice beat)
{
	if (!conn->session.is_blocked) {
		conn->heard_ms = (uint32_t)edge_now_ms(edge);
		conn_write(edge, conn, beat);
	} else if (silent_ms(edge, conn) >= edge->settings->heartbeat_timeout_ms) {
		conn_end(edge, conn, CLOSE_TIMEOUT);
		return;
	}
	set_heartbeat(edge, conn, edge->settings->heartbeat_interval_ms);
}

/* It may have said something that was not looked at, since something of ours comes first: not since
 * it takes nothing of what waits for it. */
static bool is_unheard(const struct conn *conn)
{
	bool takes = outbox_own_bytes(conn_out(conn)) < CONN_OUT_PAUSE_BYTES;
	return conn->is_waiting || (conn->is_paused && takes);
}

void conn_heartbeat(struct edge *edge, struct conn *conn, struct slice beat, bool expects_answer)
{
	uint64_t interval = edge->settings->heartbeat_interval_ms;
	uint64_t timeout = edge->settings->heartbeat_timeout_ms;
	if (expects_answer)
		adopt_beats(edge, conn);
	uint64_t silent = silent_ms(edge, conn);
	if (conn_has_expired(edge, conn)) {
		conn_end(edge, conn, CLOSE_TOKEN_EXPIRED);
		return;
	}
	if (!expects_answer) {
		beat_listener(edge, conn, beat);
		return;
	}
	if (is_unheard(conn)) {
		set_heartbeat(edge, conn, interval);
		return;
	}
	if (silent >= timeout) {
		conn_end(edge, conn, CLOSE_TIMEOUT);
		return;
	}
	if (silent < interval) {
		set_heartbeat(edge, conn, interval - silent);
		return;
	}
	/* One whose socket takes nothing has bytes enough on the way. */
	if (conn_out(conn) == NULL)
		conn_write(edge, conn, beat);
	set_heartbeat(edge, conn, timeout - silent < interval ? timeout - silent : interval);
}

/* ---- ending ---- */

void conn_end(struct edge *edge, struct conn *conn, enum close_reason reason)
{
	if (conn->session.is_ended)
		return;
	conn->session.is_ended = true;
	conn->reason = (uint8_t)reason;
	if (reason == CLOSE_DISCONNECTED)
		conn->session.parting = PARTING_LEFT;
	disarm_deadline(edge, conn);
	if (list_is_linked(&conn->in_list))
		list_remove(&conn->in_list);
	list_append(&edge->ended, &conn->in_list);
}

void conn_destroy(struct edge *edge, struct conn *conn)
{
	if (edge->corked == conn) {
		edge->corked = NULL;
		buf_clear(&edge->cork);
	}
	access_log_end(edge, conn);
	hub_session_close(edge->hub, &conn->session);
	registry_leave(edge, conn);
	peer_end(edge, conn);
	disarm_deadline(edge, conn);
	if (list_is_linked(&conn->in_list))
		list_remove(&conn->in_list);
	edge->closes[conn->reason]++;
	edge->clients[conn->transport->client]--;
	bool is_whole = conn_out(conn) == NULL;
	out_free(edge, conn);
	if (conn->is_secure)
		secure_close(edge, conn, is_whole);
	access_forget(&conn->session);
	close(conn->fd);
	slab_release(&edge->conns, conn);
}

void conn_cut(struct edge *edge, struct conn *conn, enum close_reason reason)
{
	if (!conn->session.is_ended) {
		conn_end(edge, conn, reason);
		conn->transport->goodbye(edge, conn);
	}
	conn_enter(edge, conn, CONN_DEAD);
	conn_destroy(edge, conn);
}

/* True: nothing is left to be done for it. */
static bool closing_is_over(struct edge *edge, struct conn *conn)
{
	if (conn_out(conn) != NULL)
		conn_flush(edge, conn);
	if (conn_out(conn) == NULL && conn->is_secure && conn->state == CONN_CLOSING)
		secure_finish(edge, conn);
	if (conn_out(conn) != NULL)
		return false;
	if (!conn->is_finished && !conn->is_hung_up && conn->state == CONN_CLOSING) {
		conn->is_finished = true;
		stream_finish(conn->fd);
	}
	return conn->is_hung_up;
}

/* What still comes is read and thrown away: closing a socket with unread bytes in it would
 * take back the answer that is on its way. */
static void closing_input(struct edge *edge, struct conn *conn)
{
	size_t left = CLOSING_BYTES_MAX;
	while (conn->is_readable && left > 0) {
		ssize_t got = stream_read(conn->fd, edge->input, sizeof(edge->input));
		conn->is_readable = got > 0;
		conn->is_hung_up |= got == 0 || (got < 0 && got != -EAGAIN);
		if (got > 0)
			left -= (size_t)got < left ? (size_t)got : left;
	}
	if (closing_is_over(edge, conn) || left == 0)
		conn_enter(edge, conn, CONN_DEAD);
	if (conn->state == CONN_DEAD && !list_is_linked(&conn->in_list))
		list_append(&edge->ended, &conn->in_list);
}

/* Both have said that it is over and nothing is left unread, so that closing takes nothing back.
 * With TLS more will come: the peer's last record. */
static bool has_taken_leave(const struct conn *conn)
{
	return conn->reason == CLOSE_CLIENT && !conn->is_secure && !conn->is_readable &&
	       conn_out(conn) == NULL;
}

void conn_reap(struct edge *edge, struct conn *conn)
{
	if (conn->state == CONN_DEAD) {
		conn_destroy(edge, conn);
		return;
	}
	CHECK(conn->session.is_ended);
	list_remove(&conn->in_list);
	hub_session_close(edge->hub, &conn->session);
	registry_leave(edge, conn);
	bool is_worth_waiting = conn->transport->goodbye(edge, conn);
	if (edge->corked == conn)
		conn_uncork(edge);
	/* Who has said all it wanted may still be reading, and who did it wrong is to be told. */
	is_worth_waiting |=
		(conn->is_hung_up && conn_out(conn) != NULL) || conn->reason == CLOSE_TLS;
	is_worth_waiting &= !has_taken_leave(conn);
	conn_enter(edge, conn, is_worth_waiting ? CONN_CLOSING : CONN_DEAD);
	if (conn->state == CONN_DEAD) {
		conn_destroy(edge, conn);
		return;
	}
	conn->is_readable = true;
	closing_input(edge, conn);
}

void conn_timeout(struct edge *edge, struct conn *conn)
{
	if (conn->state != CONN_CLOSING) {
		if (!conn->session.is_ended)
			conn->transport->timer(edge, conn);
		return;
	}
	conn_enter(edge, conn, CONN_DEAD);
	if (!list_is_linked(&conn->in_list))
		list_append(&edge->ended, &conn->in_list);
}

/* ---- names ---- */

size_t conn_id(const struct edge *edge, const struct conn *conn, char *out)
{
	size_t len = text_from_base36(out, edge->options.node->boot_id);
	out[len++] = '-';
	return len + text_from_base36(out + len, hub_session_number(edge->hub, &conn->session));
}

uint64_t conn_number_anywhere(struct slice id, uint64_t *boot_id)
{
	struct slice boot, number = id;
	uint64_t value;
	if (!slice_cut(&number, '-', &boot) || number.at == NULL)
		return 0;
	if (!text_to_base36(boot, boot_id) || !text_to_base36(number, &value))
		return 0;
	return value;
}

uint64_t conn_except(const struct edge *edge, struct slice id)
{
	uint64_t node, here = edge->options.node->boot_id;
	uint64_t number = conn_number_anywhere(id, &node);
	if (number == 0 || node == here)
		return number;
	return number ^ record_mark(node) ^ record_mark(here);
}
