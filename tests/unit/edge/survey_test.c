/*
 * A question to other nodes of which one says nothing: it is refused when its time is over, and not
 * before. A loop with an edge, which is the only worker; the other node is
 * this test, and so is the clock.
 */
#include <time.h>

#include "edge_loop.h"

#define WAIT_MS 30000 /* as survey.c has it */
#define LETTERS 4
#define A_WHILE 100 /* turns */

static struct edge_mail letters_to_itself[LETTERS];
static size_t letter_count;
static unsigned asked_count, turns;
static uint64_t passed_ms;

/* The loop's clock stands still but for that. */
int clock_gettime(clockid_t which, struct timespec *now)
{
	(void)which;
	*now = (struct timespec){.tv_sec = (time_t)(1000 + passed_ms / 1000)};
	return 0;
}

static void post_edge(struct edge_up *up, uint32_t worker, const struct edge_mail *mail)
{
	(void)up;
	CHECK(worker == 0);
	CHECK(letter_count < LETTERS);
	letters_to_itself[letter_count++] = *mail;
}

static uint32_t ask_nodes(struct edge_up *up, const struct survey_question *question,
                          uint16_t *nodes)
{
	(void)up;
	(void)question;
	asked_count++;
	nodes[0] = 7;
	return 1;
}

static bool has_room(struct edge_up *up)
{
	(void)up;
	return true;
}

static bool is_congested(struct edge_up *up)
{
	(void)up;
	return false;
}

static void letters(struct edge_up *up, uint64_t *incoming, uint64_t *queued)
{
	(void)up;
	*incoming = *queued = 0;
}

static struct edge_up up = {.post_edge = post_edge,
                            .ask_nodes = ask_nodes,
                            .has_room = has_room,
                            .is_congested = is_congested,
                            .letters = letters};

static uint32_t letters_max(void)
{
	return 0;
}

static void take_letter(const void *letter)
{
	(void)letter;
	CHECK(false);
}

static void client_turn(void)
{
	role_enter_worker();
	while (letter_count > 0)
		edge_receive_mail(edge, &letters_to_itself[--letter_count]);
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
	open_all(&up, 1, LOOP_LETTER_MAX);
	CHECK(send(client, request, sizeof(request) - 1, 0) == (ssize_t)sizeof(request) - 1);
	loop_run(loop);
	CHECK(asked_count == 1);
	CHECK(turns >= 2 * A_WHILE);
	CHECK(was_told("HTTP/1.1 503 "));
	close_all();
	return 0;
}
