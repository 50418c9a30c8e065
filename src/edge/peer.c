#include "edge/peer.h"

#include <errno.h>
#include <stdlib.h>

#include "http/forwarded.h"
#include "net/stream.h"
#include "wire/proxy_header.h"

/* What is known of a connection that its socket does not say. */
struct peer {
	struct map_node in_table; /* by the connection's place in the slab */
	struct address told;      /* by a PROXY header; ADDRESS_NONE: nothing was */
	struct address client;    /* by X-Forwarded-For; likewise */
};

static uint32_t index_of(const struct edge *edge, const struct conn *conn)
{
	return slab_handle_of(&edge->conns, conn).index;
}

static struct peer *find(const struct edge *edge, const struct conn *conn)
{
	if (!conn->has_peer)
		return NULL;
	struct map_node *node = map_first(&edge->peers, index_of(edge, conn));
	CHECK(node != NULL);
	return CONTAINER_OF(node, struct peer, in_table);
}

static struct peer *find_or_make(struct edge *edge, struct conn *conn)
{
	struct peer *peer = find(edge, conn);
	if (peer != NULL)
		return peer;
	peer = calloc(1, sizeof(*peer));
	if (peer == NULL)
		return NULL;
	map_insert(&edge->peers, &peer->in_table, index_of(edge, conn));
	conn->has_peer = true;
	return peer;
}

void peer_begin(struct edge *edge, struct conn *conn, const struct listen_address *from)
{
	const struct edge_settings *settings = edge->settings;
	if (settings->proxy_count == 0)
		return;
	struct address address = listen_address_of(from);
	conn->is_proxied = address_is_in(&address, settings->proxies, settings->proxy_count);
	conn->awaits_proxy = conn->is_proxied;
}

void peer_end(struct edge *edge, struct conn *conn)
{
	struct peer *peer = find(edge, conn);
	if (peer == NULL)
		return;
	map_remove(&edge->peers, &peer->in_table);
	free(peer);
	conn->has_peer = false;
}

/* ---- the PROXY header ---- */

static void take_header(struct edge *edge, struct conn *conn, const struct proxy_header *header)
{
	/* They lie there: they were looked at. */
	ssize_t got = stream_read(conn->fd, edge->input, header->bytes);
	conn->awaits_proxy = false;
	if (got != (ssize_t)header->bytes) {
		conn_end(edge, conn, CLOSE_GONE);
		return;
	}
	if (header->source.family == ADDRESS_NONE)
		return;
	struct peer *peer = find_or_make(edge, conn);
	if (peer == NULL)
		conn_end(edge, conn, CLOSE_NO_MEMORY);
	else
		peer->told = header->source;
}

bool peer_greet(struct edge *edge, struct conn *conn)
{
	struct proxy_header header;
	if (!conn->is_readable)
		return false;
	ssize_t got = stream_peek(conn->fd, edge->input, PROXY_HEADER_MAX);
	if (got <= 0) {
		conn->is_readable = false;
		if (got != -EAGAIN)
			conn_end(edge, conn, CLOSE_GONE);
		return false;
	}
	switch (proxy_header_read(slice_of(edge->input, (size_t)got), &header)) {
	case PROXY_MORE:
		conn->is_readable = false; /* until more comes, which is another event */
		if (conn->has_end)
			conn_end(edge, conn, CLOSE_GONE);
		return false;
	case PROXY_BAD:
		conn_end(edge, conn, CLOSE_BAD_PROXY);
		return false;
	case PROXY_DONE:
		take_header(edge, conn, &header);
		break;
	case PROXY_NONE:
		conn->awaits_proxy = false;
		break;
	}
	return !conn->session.is_ended;
}

/* ---- who it is ---- */

/* The other end of the connection, behind a proxy that passes on connections. */
static struct address sender(const struct edge *edge, const struct conn *conn)
{
	const struct peer *peer = find(edge, conn);
	if (peer != NULL && peer->told.family != ADDRESS_NONE)
		return peer->told;
	return stream_peer(conn->fd);
}

struct address peer_of_request(struct edge *edge, const struct conn *conn,
                               const struct http_request *request)
{
	const struct edge_settings *settings = edge->settings;
	struct address from = sender(edge, conn);
	if (!conn->is_proxied)
		return from;
	return http_forwarded_for(&request->headers, from, settings->proxies,
	                          settings->proxy_count);
}

bool peer_settle(struct edge *edge, struct conn *conn, const struct address *address)
{
	/* Its socket says it, but not any more when it has been reset. */
	if (!conn->is_proxied && !edge->settings->logs_access)
		return true;
	struct peer *peer = find_or_make(edge, conn);
	if (peer == NULL)
		return false;
	peer->client = *address;
	return true;
}

struct address peer_of(const struct edge *edge, const struct conn *conn)
{
	const struct peer *peer = find(edge, conn);
	if (peer != NULL && peer->client.family != ADDRESS_NONE)
		return peer->client;
	return sender(edge, conn);
}

/* One with a PROXY header is one client's. */
bool peer_is_shared(const struct edge *edge, const struct conn *conn)
{
	const struct peer *peer = find(edge, conn);
	return conn->is_proxied && (peer == NULL || peer->told.family == ADDRESS_NONE);
}
