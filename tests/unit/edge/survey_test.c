/*
 * A question to other nodes of which one says nothing: it is refused when its time is over, and not
 * before. A loop with an edge, which is the only worker; the other node is
 * this test, and so is the clock.
 */
#include <time.h>

#include "edge_loop.h"

#define WAIT_MS 30000 /* as survey.c has it */
#define A_WHILE 100   /* turns */

static unsigned asked_count, turns;
static uint64_t passed_ms;

/* The loop's clock stands still but for that. */
int clock_gettime(clockid_t which, struct timespec *now)
{
	(void)which;
	*now = (struct timespec){.tv_sec = (time_t)(1000 + passed_ms / 1000)};
	return 0;
}

static uint32_t ask_node(struct edge_up *from, const struct survey_question *question,
                         uint16_t *nodes)
{
	(void)from;
	(void)question;
	asked_count++;
	nodes[0] = 7;
	return 1;
}

static void client_turn(void)
{
	hear();
	if (asked_count > 0)
		turns++;
	if (turns == A_WHILE)
		passed_ms = WAIT_MS - 1000;
	if (turns == 2 * A_WHILE)
		passed_ms = WAIT_MS;
	CHECK(answer.len == 0 || turns >= 2 * A_WHILE);
	if (was_told("unavailable"))
		loop_stop(loop);
	CHECK(turns < TURNS_MAX);
}

int main(void)
{
	static const char request[] = "GET /api/channels HTTP/1.1\r\nHost: x\r\n\r\n";
	printf("survey: a node that says nothing is waited for no longer than a while\n");
	up.ask_nodes = ask_node;
	open_all(1);
	say(request);
	loop_run(loop);
	CHECK(asked_count == 1);
	CHECK(turns >= 2 * A_WHILE);
	CHECK(was_told("HTTP/1.1 503 "));
	close_all();
	return 0;
}
