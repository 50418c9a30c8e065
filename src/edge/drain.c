#include "edge/drain.h"

#include "edge/exchange.h"

#define STEP_MS 20

uint64_t drain_due(const struct drain *drain, uint64_t elapsed_ms)
{
	if (elapsed_ms >= drain->time_ms)
		return drain->clients;
	return (drain->clients * elapsed_ms + drain->offset) / drain->time_ms;
}

/* A poll is answered with what it has; one whose channels have not all answered yet, when they
 * have. */
static void send_away(struct edge *edge, struct conn *conn)
{
	if (conn->state != CONN_POLL)
		conn_end(edge, conn, CLOSE_DRAIN);
	else if (conn->session.is_held)
		conn->exchange->poll.is_answered_at_once = true;
	else
		conn->transport->timer(edge, conn);
}

static void step(struct edge *edge)
{
	struct drain *drain = &edge->drain;
	uint64_t due = drain_due(drain, edge_now_ms(edge) - drain->began_ms);
	uint32_t left = TURN_DRAINS_MAX;
	while (drain->sent < due && left > 0 && drain->next < slab_span(&edge->conns)) {
		struct conn *conn = slab_by_index(&edge->conns, drain->next++);
		if (!conn_is_client(conn))
			continue;
		send_away(edge, conn);
		drain->sent++;
		left--;
	}
	/* Those who left by themselves were counted too. */
	bool is_over = drain->sent >= drain->clients || drain->next >= slab_span(&edge->conns);
	if (!is_over)
		timer_arm(loop_wheel(edge->loop), &drain->timer, edge_now_ms(edge), STEP_MS);
}

void drain_send_away(struct edge *edge, uint64_t time_ms)
{
	struct drain *drain = &edge->drain;
	drain->began_ms = edge_now_ms(edge);
	drain->time_ms = time_ms;
	drain->clients = edge_clients(edge->clients);
	drain->offset = time_ms == 0 ? 0 : random_below(&edge->random, (uint32_t)time_ms);
	step(edge);
}

void drain_timer(struct edge *edge)
{
	step(edge);
}
