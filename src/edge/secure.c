#include "edge/secure.h"

#include <errno.h>

#include "edge/exchange.h"
#include "net/stream.h"
#include "net/tls.h"

bool secure_open(struct conn *conn)
{
	CHECK(conn->out == NULL);
	struct tls *tls = tls_create();
	if (tls == NULL)
		return false;
	conn->tls = tls;
	conn->is_secure = true;
	return true;
}

/* It is a plain one from here on. */
static void drop_tls(struct conn *conn)
{
	tls_destroy(conn->tls);
	conn->out = NULL;
	conn->is_secure = false;
}

void secure_close(struct edge *edge, struct conn *conn, bool is_whole)
{
	const struct tls *tls = conn->tls;
	struct buf *said = tls_said(edge->desk);
	edge->secure_count -= tls->is_ready;
	edge->offloaded_count -= tls->is_offloaded;
	if (is_whole && !conn->is_finished) {
		tls_say_end(edge->desk, conn->tls, conn->fd);
		struct iovec part = {said->at, said->len};
		/* Who has gone, or reads nothing, does without. */
		if (said->len > 0)
			(void)!stream_write(conn->fd, &part, 1);
		buf_clear(said);
	}
	drop_tls(conn);
}

/* ---- writing ---- */

/* What net/tls has to say goes out in the order it was said. */
static void put_said(struct edge *edge, struct conn *conn)
{
	struct buf *said = tls_said(edge->desk);
	if (said->is_broken)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else if (said->len > 0)
		conn_put(edge, conn, buf_view(said));
	buf_clear(said);
}

/* The next record of the parts. */
static size_t put_record(struct edge *edge, struct conn *conn, const struct iovec *parts,
                         size_t count, size_t skip)
{
	size_t sealed = tls_seal(edge->desk, conn->tls, parts, count, skip);
	if (sealed == 0)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	put_said(edge, conn);
	return sealed;
}

size_t secure_write(struct edge *edge, struct conn *conn, const struct iovec *parts, size_t count,
                    size_t len)
{
	size_t done = 0;
	while (done < len && outbox_sealed(conn_out(conn)).len == 0) {
		size_t sealed = put_record(edge, conn, parts, count, done);
		if (sealed == 0)
			return len;
		done += sealed;
	}
	return done;
}

void secure_finish(struct edge *edge, struct conn *conn)
{
	tls_say_end(edge->desk, conn->tls, conn->fd);
	put_said(edge, conn);
}

/* ---- reading ---- */

/* The handshake is over. */
static void begin(struct edge *edge, struct conn *conn)
{
	edge->secure_count++;
	/* What we sealed must be with the kernel before the kernel seals. */
	if (edge->settings->may_offload && conn_out(conn) == NULL)
		edge->offloaded_count += tls_offload(edge->desk, conn->tls, conn->fd);
}

/* A browser that was sent to http:// on this port is told so in its own language. */
static ssize_t refuse_plain(struct edge *edge, struct conn *conn, char first)
{
	drop_tls(conn);
	if (first >= 'A' && first <= 'Z')
		exchange_refuse_plain(edge, conn);
	else
		conn_end(edge, conn, CLOSE_TLS);
	return -EAGAIN;
}

ssize_t secure_read(struct edge *edge, struct conn *conn, bool *has_more)
{
	struct tls *tls = conn->tls;
	char *room = tls_room(edge->desk);
	size_t len;
	bool was_shaking = conn_is_shaking(conn);
	*has_more = false;
	if (tls->is_over)
		return 0;
	ssize_t got = stream_read(conn->fd, room, TLS_READ_BYTES);
	if (got <= 0)
		return got;
	*has_more = got == TLS_READ_BYTES || conn->has_end;
	conn_heard(edge, conn); /* a record in part is a sign of life */
	enum tls_result result = tls_take(edge->desk, tls, edge->settings->tls, edge_now_ms(edge),
	                                  (size_t)got, edge->input, &len);
	put_said(edge, conn);
	if (tls->is_ready && was_shaking)
		begin(edge, conn);
	switch (result) {
	case TLS_GOES_ON:
		return len > 0 ? (ssize_t)len : -EAGAIN;
	case TLS_ENDED:
		*has_more = len > 0; /* the end itself */
		return (ssize_t)len;
	case TLS_NOT_TLS:
		return refuse_plain(edge, conn, room[0]);
	case TLS_NO_MEMORY:
		return -ENOMEM;
	case TLS_BROKEN:
		break;
	}
	return -EPROTO;
}
