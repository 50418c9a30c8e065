#include "edge/queue.h"

#include "edge/conn.h"
#include "starling/limits.h"

#define CLOSING_MS 3000

void queue_init(struct queue *queue, uint32_t timer_kind)
{
	list_init(&queue->conns);
	queue->timer = (struct timer){.kind = timer_kind};
}

static uint64_t time_ms(const struct edge *edge, enum queue_name name)
{
	switch (name) {
	case QUEUE_HEADER:
		return edge->settings->header_timeout_ms;
	case QUEUE_IDLE:
	case QUEUE_PIECE:
		return edge->settings->idle_timeout_ms;
	case QUEUE_CLOSING:
	case QUEUE_COUNT:
		break;
	}
	return CLOSING_MS;
}

static struct conn *first_of(const struct queue *queue)
{
	struct list_node *node = list_first(&queue->conns);
	return node == NULL ? NULL : CONTAINER_OF(node, struct conn, place.node);
}

/* Until the time of that connection is over. */
static uint64_t left_ms(const struct edge *edge, const struct conn *conn, enum queue_name name)
{
	uint64_t waited_ms = (uint32_t)((uint32_t)edge_now_ms(edge) - conn->place.since_ms);
	uint64_t all_ms = time_ms(edge, name);
	return waited_ms < all_ms ? all_ms - waited_ms : 0;
}

/* Of the first. Where that leaves sooner the timer comes for nothing, once. */
static void set_timer(struct edge *edge, enum queue_name name)
{
	struct queue *queue = &edge->queues[name];
	const struct conn *first = first_of(queue);
	if (first == NULL)
		return;
	uint64_t delay_ms = left_ms(edge, first, name);
	timer_arm(loop_wheel(edge->loop), &queue->timer, edge_now_ms(edge),
	          delay_ms > 0 ? delay_ms : 1); /* what one turn leaves is the next one's */
}

void queue_join(struct edge *edge, struct conn *conn, enum queue_name name)
{
	struct queue *queue = &edge->queues[name];
	conn->place.since_ms = (uint32_t)edge_now_ms(edge);
	list_append(&queue->conns, &conn->place.node);
	if (!timer_is_armed(&queue->timer))
		set_timer(edge, name);
}

void queue_leave(struct conn *conn)
{
	if (list_is_linked(&conn->place.node))
		list_remove(&conn->place.node);
}

void queue_timer(struct edge *edge, struct queue *queue)
{
	enum queue_name name = (enum queue_name)(queue - edge->queues);
	struct conn *conn = first_of(queue);
	for (int i = 0; i < TURN_TIMERS_MAX && conn != NULL && left_ms(edge, conn, name) == 0;
	     i++) {
		queue_leave(conn);
		conn_timeout(edge, conn);
		conn = first_of(queue);
	}
	set_timer(edge, name);
}

void queue_adopt(struct edge *edge)
{
	for (int i = 0; i < QUEUE_COUNT; i++)
		set_timer(edge, (enum queue_name)i);
}

struct conn *queue_spare(const struct edge *edge)
{
	static const enum queue_name spared[] = {QUEUE_IDLE, QUEUE_CLOSING, QUEUE_HEADER};
	struct conn *conn = NULL;
	for (size_t i = 0; i < COUNT_OF(spared) && conn == NULL; i++)
		conn = first_of(&edge->queues[spared[i]]);
	return conn;
}
