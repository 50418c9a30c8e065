/* A poll that waits is answered by whatever there is to tell: also by a loss that no message
 * follows. */
#include "edge/conn.h"
#include "edge_loop.h"
#include "hub/hub_state.h"

#define EPOCH 7
#define TURN_OF_LOSS 10     /* nothing of its request is left to be looked at */
#define WAIT_TURNS_MAX 1000 /* far more than an answer takes, far less than the time asked for */

static unsigned turns; /* since it waits */

static void lose(void)
{
	struct slice name = SLICE("c");
	struct channel *channel = hub_find(edge->hub, name, hub_hash(edge->hub, name));
	CHECK(channel != NULL && answer.len == 0);
	hub_rebase(edge->hub, channel, EPOCH, 3);
}

static void client_turn(void)
{
	struct edge_stats stats;
	edge_count(edge, &stats);
	hear();
	if (turns == 0 && stats.clients[EDGE_POLL] == 0)
		return;
	if (++turns == TURN_OF_LOSS)
		lose();
	if (was_told("\"messages\":") || turns == WAIT_TURNS_MAX)
		loop_stop(loop);
}

int main(void)
{
	printf("poll: a gap ends the wait\n");
	open_all(1);
	say("GET /poll?channel=c&since=start&wait=60 HTTP/1.1\r\nHost: x\r\n\r\n");
	loop_run(loop);
	CHECK(was_told("{\"cursor\":\"7-3\",\"recovered\":false,\"messages\":[]}"));
	close_all();
	return 0;
}
