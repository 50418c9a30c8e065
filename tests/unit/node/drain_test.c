/* The steps of a drain, in virtual time; and when each client of a worker is sent away. */
#include <stdio.h>

#include "base/check.h"
#include "edge/drain.h"
#include "node/drain.h"

/* ---- a node that writes down what is asked of it ---- */

static struct world {
	struct drain_up up;
	struct drain_handover handover;
	uint32_t clients;
	bool is_refusing, is_handed_over;
	uint64_t sent_ms; /* UINT64_MAX: nobody was */
} world;

static void refuse_new(struct drain_up *up)
{
	CHECK(up == &world.up);
	CHECK(!world.is_refusing);
	world.is_refusing = true;
}

static void send_away(struct drain_up *up, uint64_t time_ms)
{
	CHECK(up == &world.up);
	CHECK(world.sent_ms == UINT64_MAX);
	world.sent_ms = time_ms;
}

static uint32_t clients(const struct drain_up *up)
{
	CHECK(up == &world.up);
	return world.clients;
}

static bool is_over(const struct drain_handover *handover)
{
	CHECK(handover == &world.handover);
	return world.is_handed_over;
}

static struct node_drain begun(uint32_t count, bool has_handover)
{
	world = (struct world){.up = {refuse_new, send_away, clients},
	                       .handover = {is_over},
	                       .clients = count,
	                       .sent_ms = UINT64_MAX};
	struct node_drain drain = {.up = &world.up,
	                           .handover = has_handover ? &world.handover : NULL,
	                           .time_ms = 5000};
	node_drain_begin(&drain, 1000);
	CHECK(world.is_refusing);
	CHECK(world.sent_ms == UINT64_MAX);
	return drain;
}

static void without_clients(void)
{
	struct node_drain drain = begun(0, false);
	CHECK(node_drain_look(&drain, 1000));
	CHECK(node_drain_look(&drain, 1001));
	printf("drain: without clients it is over at once\n");
}

static void with_clients(void)
{
	struct node_drain drain = begun(3, false);
	CHECK(!node_drain_look(&drain, 1000));
	CHECK(world.sent_ms == 5000);
	CHECK(!node_drain_look(&drain, 1000 + 5000 + DRAIN_LINGER_MS - 1));
	world.clients = 0;
	CHECK(node_drain_look(&drain, 1000 + 5000 + DRAIN_LINGER_MS - 1));
	printf("drain: it is over when the last client has gone\n");
}

static void with_clients_that_stay(void)
{
	struct node_drain drain = begun(3, false);
	CHECK(!node_drain_look(&drain, 1000));
	CHECK(node_drain_look(&drain, 1000 + 5000 + DRAIN_LINGER_MS));
	printf("drain: nobody is waited for without end\n");
}

static void with_a_cluster(void)
{
	struct node_drain drain = begun(3, true);
	CHECK(!node_drain_look(&drain, 2000));
	CHECK(world.sent_ms == UINT64_MAX);
	world.is_handed_over = true;
	CHECK(!node_drain_look(&drain, 2001));
	CHECK(world.sent_ms == 5000);
	CHECK(!node_drain_look(&drain, 2001 + 5000 + DRAIN_LINGER_MS - 1));
	CHECK(node_drain_look(&drain, 2001 + 5000 + DRAIN_LINGER_MS));
	printf("drain: what is to be handed over is, before clients are sent away\n");
}

static void with_a_cluster_that_is_stuck(void)
{
	struct node_drain drain = begun(3, true);
	CHECK(!node_drain_look(&drain, 1000 + DRAIN_HANDOVER_MS - 1));
	CHECK(world.sent_ms == UINT64_MAX);
	CHECK(!node_drain_look(&drain, 1000 + DRAIN_HANDOVER_MS));
	CHECK(world.sent_ms == 5000);
	printf("drain: a hand-over that does not end holds nobody\n");
}

/* ---- a worker's clients ---- */

static const struct {
	const char *claim;
	uint64_t time_ms, clients, offset, elapsed_ms, due;
} rows[] = {
	{"without time all go at once", 0, 7, 0, 0, 7},
	{"at first nobody goes", 1000, 10, 0, 0, 0},
	{"a tenth of them in a tenth of the time", 1000, 10, 0, 100, 1},
	{"half of them in half of it", 1000, 10, 0, 599, 5},
	{"all but one before the end", 1000, 10, 0, 999, 9},
	{"all at the end", 1000, 10, 0, 1000, 10},
	{"and behind it", 1000, 10, 0, 5000, 10},
	{"a single one goes at a moment that is drawn, not before", 1000, 1, 400, 599, 0},
	{"but then", 1000, 1, 400, 600, 1},
	{"a million", 30000, 1000000, 29999, 15000, 500000},
	{"of none nobody goes", 1000, 0, 999, 500, 0},
};

static void is_even(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct drain drain = {.time_ms = rows[i].time_ms,
		                      .clients = rows[i].clients,
		                      .offset = rows[i].offset};
		CHECK(drain_due(&drain, rows[i].elapsed_ms) == rows[i].due);
		printf("drain: %s\n", rows[i].claim);
	}
}

int main(void)
{
	without_clients();
	with_clients();
	with_clients_that_stay();
	with_a_cluster();
	with_a_cluster_that_is_stuck();
	is_even();
	return 0;
}
