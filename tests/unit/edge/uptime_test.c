/* For how long a node has run does not change when its clock is set back behind its start. */
#include <time.h>

#include "edge_loop.h"

int clock_gettime(clockid_t which, struct timespec *now)
{
	*now = (struct timespec){.tv_sec = which == CLOCK_REALTIME ? 10 : 1000};
	return 0;
}

static void client_turn(void)
{
	hear();
	if (was_told("\"workers\":"))
		loop_stop(loop);
}

int main(void)
{
	printf("uptime: a clock that is set back behind the start changes nothing\n");
	node.started_unix_ms = 20000;
	node.started_ms = 995000;
	open_all(1);
	say("GET /api/stats HTTP/1.1\r\nHost: x\r\n\r\n");
	loop_run(loop);
	CHECK(was_told("\"uptime\":5,"));
	close_all();
	return 0;
}
