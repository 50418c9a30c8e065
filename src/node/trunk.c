/*
 * Any call of the links may close the trunk it was made for: `conn` is looked at after each.
 */
#include "node/trunk.h"

#include <errno.h>
#include <unistd.h>

#include "net/stream.h"

static void open_session(struct trunk *trunk, struct psk_keys *keys, bool is_dialler, size_t which)
{
	trunk->psk = psk_open(keys, is_dialler, which < psk_keys_count(keys) ? which : 0);
	if (trunk->psk != NULL)
		return;
	trunk->has_failed = true;
	trunk->how = CONN_LOST;
}

static enum conn_end end_of(int error)
{
	switch (-error) {
	case ECONNREFUSED:
		return CONN_REFUSED;
	case ECONNRESET:
	case EPIPE:
		return CONN_CLOSED;
	default:
		return CONN_LOST;
	}
}

void trunk_dial(struct trunk *trunk, struct conn_of_link *conn, struct psk_keys *keys,
                const struct listen_address *address)
{
	trunk->conn = conn;
	trunk->is_connecting = true;
	trunk->fd = dial_open(address, TRUNK_SILENCE_MS);
	if (trunk->fd >= 0) {
		open_session(trunk, keys, true, conn->key);
		return;
	}
	trunk->has_failed = true;
	trunk->how = end_of(trunk->fd);
	trunk->fd = -1;
}

void trunk_accept(struct trunk *trunk, struct conn_of_link *conn, struct psk_keys *keys, int fd)
{
	trunk->conn = conn;
	trunk->fd = fd;
	trunk->is_readable = trunk->is_writable = true; /* as far as is known */
	open_session(trunk, keys, false, 0);
}

/* ---- writing ---- */

/* What is sealed goes to the socket. */
static void flush(struct trunk_desk *desk, struct trunk *trunk)
{
	while (trunk->is_writable && trunk->out.len > 0) {
		const struct iovec part = {trunk->out.at, trunk->out.len};
		ssize_t put = stream_write(trunk->fd, &part, 1);
		if (put < 0) {
			/* That it is broken is found out by reading, where more is known. */
			trunk->is_writable = false;
			return;
		}
		desk->bytes_out += (uint64_t)put;
		buf_use(&trunk->out, (size_t)put);
	}
}

/* False: nothing waits, or it may not go yet. */
static bool seal_more(struct trunk_desk *desk, struct trunk *trunk)
{
	buf_clear(&desk->plain);
	size_t count =
		links_give(desk->links, trunk->conn, &desk->plain, TRUNK_BATCH_BYTES, desk->now_ms);
	if (count == 0)
		return false;
	if (psk_seal(trunk->psk, buf_view(&desk->plain), &trunk->out))
		return true;
	links_ended(desk->links, trunk->conn, CONN_LOST, desk->now_ms);
	return false;
}

static bool write_all(struct trunk_desk *desk, struct trunk *trunk)
{
	uint64_t until = desk->bytes_out + TRUNK_TURN_BYTES;
	flush(desk, trunk);
	while (trunk->conn != NULL && trunk->is_writable && psk_is_ready(trunk->psk)) {
		if (desk->bytes_out >= until)
			return true;
		if (!seal_more(desk, trunk))
			return false;
		flush(desk, trunk);
	}
	return false;
}

/* ---- reading ---- */

static enum conn_end end_of_fault(enum psk_fault fault)
{
	switch (fault) {
	case PSK_FAULT_KEY:
		return CONN_BAD_KEY;
	case PSK_FAULT_CLUSTER:
		return CONN_BAD_CLUSTER;
	case PSK_FAULT_TLS:
		return CONN_BAD_TLS;
	default:
		return CONN_LOST;
	}
}

static void take(struct trunk_desk *desk, struct trunk *trunk, struct slice bytes)
{
	bool was_ready = psk_is_ready(trunk->psk);
	enum psk_answer answer = psk_take(trunk->psk, bytes, &trunk->conn->lane.in, &trunk->out);
	trunk->conn->has_shown = psk_has_shown(trunk->psk);
	if (!was_ready && psk_is_ready(trunk->psk))
		links_open(desk->links, trunk->conn, desk->now_ms);
	if (trunk->conn != NULL && trunk->conn->lane.in.len > 0)
		links_came(desk->links, trunk->conn, desk->now_ms);
	if (trunk->conn == NULL || answer == PSK_MORE)
		return;
	flush(desk, trunk);
	links_ended(desk->links, trunk->conn,
	            answer == PSK_ENDED ? CONN_CLOSED : end_of_fault(psk_fault(trunk->psk)),
	            desk->now_ms);
}

static bool read_all(struct trunk_desk *desk, struct trunk *trunk)
{
	bool is_shaking = !psk_is_ready(trunk->psk);
	size_t left = is_shaking ? TRUNK_SHAKE_BYTES : TRUNK_TURN_BYTES;
	while (trunk->conn != NULL && trunk->is_readable) {
		size_t count = left < TRUNK_BATCH_BYTES ? left : TRUNK_BATCH_BYTES;
		if (count == 0)
			return true;
		ssize_t got = stream_read(trunk->fd, desk->room, count);
		if (got == -EAGAIN) {
			trunk->is_readable = false;
		} else if (got <= 0) {
			links_ended(desk->links, trunk->conn,
			            got == 0 ? CONN_CLOSED : end_of((int)got), desk->now_ms);
		} else {
			desk->bytes_in += (uint64_t)got;
			left -= (size_t)got;
			take(desk, trunk, slice_of(desk->room, (size_t)got));
		}
	}
	return false;
}

/* ---- a step ---- */

static void finish_connecting(struct trunk_desk *desk, struct trunk *trunk)
{
	int error = dial_result(trunk->fd);
	trunk->is_connecting = false;
	if (error != 0)
		links_ended(desk->links, trunk->conn, end_of(error), desk->now_ms);
	else
		take(desk, trunk, SLICE("")); /* who dials begins */
}

bool trunk_step(struct trunk_desk *desk, struct trunk *trunk)
{
	if (trunk->conn == NULL)
		return false;
	if (trunk->has_failed) {
		links_ended(desk->links, trunk->conn, trunk->how, desk->now_ms);
		return false;
	}
	if (trunk->is_connecting) {
		if (!trunk->is_writable)
			return false;
		finish_connecting(desk, trunk);
	}
	bool has_more = trunk->conn != NULL && read_all(desk, trunk);
	if (trunk->conn != NULL)
		has_more |= write_all(desk, trunk);
	return has_more;
}

void trunk_close(struct trunk_desk *desk, struct trunk *trunk)
{
	if (trunk->fd >= 0 && trunk->psk != NULL && psk_is_ready(trunk->psk)) {
		struct buf *last = &trunk->conn->lane.out;
		if (last->len > 0 && !last->is_broken)
			(void)!psk_seal(trunk->psk, buf_view(last), &trunk->out);
		psk_say_end(trunk->psk, &trunk->out);
		flush(desk, trunk);
	}
	trunk->conn = NULL;
	psk_close(trunk->psk);
	trunk->psk = NULL;
	buf_free(&trunk->out);
	if (trunk->fd >= 0)
		close(trunk->fd);
	trunk->fd = -1;
}
