/*
 * Heartbeats of a WebSocket whose worker is away for a while: a machine that slept, a process that
 * was stopped. The client says nothing at all.
 */
#include <time.h>

#include "edge_loop.h"

#define INTERVAL_MS 40
#define TIMEOUT_MS 120
#define AWAY_MS (5 * TIMEOUT_MS)

#define PING "\x89\x00"
#define TIMED_OUT "timeout"

static const struct scene {
	const char *claim;
	unsigned away_ms;
} scenes[] = {
	{"a client that says nothing is asked, and then dead", 0},
	{"who was not asked as the worker was away is asked before", AWAY_MS},
};
static const struct scene *scene;
static bool was_away;
static int pings;
static uint64_t asked_ms; /* the first time: what is sent in a turn is here at its end */

static void be_away(void)
{
	struct timespec time = {0, (long)scene->away_ms * 1000000};
	CHECK(nanosleep(&time, NULL) == 0);
	was_away = true;
}

/* Frames of the server are short here: what came is looked for, not read. */
static int count(const char *what, size_t len)
{
	int found = 0;
	for (size_t at = 0; at + len <= answer.len; at++)
		found += memcmp(answer.at + at, what, len) == 0;
	return found;
}

static void client_turn(void)
{
	hear();
	if (!was_away && was_told("welcome"))
		be_away();
	pings = count(PING, sizeof(PING) - 1);
	if (pings > 0 && asked_ms == 0)
		asked_ms = loop_now_ms(loop);
	if (was_told(TIMED_OUT))
		loop_stop(loop);
}

int main(void)
{
	static const char handshake[] =
		"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
	settings.heartbeat_interval_ms = INTERVAL_MS;
	settings.heartbeat_timeout_ms = TIMEOUT_MS;
	for (size_t i = 0; i < COUNT_OF(scenes); i++) {
		scene = &scenes[i];
		printf("heartbeat: %s\n", scene->claim);
		was_away = scene->away_ms == 0;
		asked_ms = 0;
		open_all(1);
		say(handshake);
		loop_run(loop);
		CHECK(pings > 0);
		/* Who is asked in time is so a little later, where others are asked, too. */
		if (scene->away_ms > 0)
			CHECK(loop_now_ms(loop) - asked_ms >= TIMEOUT_MS - INTERVAL_MS);
		close_all();
	}
	return 0;
}
