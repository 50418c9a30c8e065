/*
 * Each connection sends messages of its own and gets them back. Closed loop: the next one when
 * one has come back. Open loop: each when it is due, in turn over the lane's connections.
 */
#include "kit/crew.h"
#include "kit/mode.h"
#include "kit/protocol.h"

static bool is_over(const struct lane *lane)
{
	const struct plan *plan = lane->plan;
	return lane->orders.phase != PHASE_RUN || lane->now_ns >= lane->orders.stop_ns ||
	       (plan->messages > 0 && lane->counts[LANE_SENT] >= lane->orders.publish_limit);
}

static void say(struct lane *lane, struct client *client, uint64_t due_ns)
{
	lane_publish(lane, client, client->channel, client->sent++, due_ns);
	lane->counts[LANE_SENT]++;
}

static void echo_begin(struct lane *lane)
{
	if (lane->orders.phase != PHASE_RUN)
		return;
	lane->now_ns = clock_ns();
	lane->mode_next = 0;
	for (uint32_t i = 0; i < lane->client_count && !plan_is_open_loop(lane->plan); i++) {
		for (uint32_t k = 0; k < lane->plan->flight && !is_over(lane); k++)
			say(lane, &lane->clients[i], lane->now_ns);
	}
}

/* Message i of all lanes together is due at i / rate; the lanes take turns. */
static uint64_t due_of(const struct lane *lane)
{
	const struct plan *plan = lane->plan;
	uint64_t i = (uint64_t)lane->mode_next * lane->crew->lane_count + lane->number;
	return lane->orders.from_ns + i / plan->rate * NS_PER_S +
	       i % plan->rate * NS_PER_S / plan->rate;
}

static uint64_t echo_turn(struct lane *lane)
{
	if (!plan_is_open_loop(lane->plan) || lane->client_count == 0)
		return MODE_FAR_NS;
	lane->now_ns = clock_ns();
	while (!is_over(lane)) {
		uint64_t due = due_of(lane);
		if (due > lane->now_ns)
			return due - lane->now_ns;
		struct client *client = &lane->clients[lane->mode_next++ % lane->client_count];
		if (client->state == CLIENT_READY)
			say(lane, client, due);
	}
	return MODE_FAR_NS;
}

static void echo_message(struct lane *lane, struct client *client, struct stamp stamp)
{
	if (stamp.number >= client->sent) {
		lane->counts[LANE_UNKNOWN]++;
		return;
	}
	if (!lane_tally(lane, client, stamp.number))
		return;
	if (stamp.due_ns >= lane->orders.measure_from_ns)
		histogram_add(&lane->latency, lane->now_ns - stamp.due_ns);
	if (!plan_is_open_loop(lane->plan) && !is_over(lane))
		say(lane, client, lane->now_ns);
}

/* ---- in the main thread ---- */

static uint64_t missing(const struct crew *crew)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < crew->lane_count; i++) {
		const struct lane *lane = &crew->lanes[i];
		for (uint32_t k = 0; k < lane->client_count; k++)
			sum += tally_missing(&lane->clients[k].tally, lane->clients[k].sent);
	}
	return sum;
}

static void echo_run(struct crew *crew, struct report *report)
{
	const struct plan *plan = crew->plan;
	/* The lanes share the messages. */
	uint32_t each = (uint32_t)(plan->messages / crew->lane_count);
	crew_report_plan(crew, report);
	crew_open(crew, plan->connections);
	crew_pause(plan->settle_ns);
	crew_publish(crew, each, plan->warmup_ns, plan->seconds_ns);
	crew_pause(plan->warmup_ns);
	struct span span = span_begin(crew);
	uint64_t end_ns = clock_ns() + plan->seconds_ns;
	while (plan->seconds_ns > 0 && clock_ns() < end_ns)
		crew_pause(20 * NS_PER_MS);
	if (plan->messages > 0)
		(void)!crew_wait(crew, LANE_SENT, (uint64_t)each * crew->lane_count);
	crew_pause(CREW_ORDER_NS + NS_PER_MS); /* now none is sent any more */
	(void)!crew_wait(crew, LANE_DELIVERED, crew_sum(crew, LANE_SENT));
	span = span_end(crew, &span);
	crew_stop(crew);
	report_count(report, "expected", crew_sum(crew, LANE_SENT));
	report_count(report, "delivered", crew_sum(crew, LANE_DELIVERED));
	report_count(report, "missed", missing(crew));
	report_count(report, "duplicated", crew_sum(crew, LANE_TWICE));
	report_count(report, "out_of_order", crew_sum(crew, LANE_LATE));
	report_count(report, "unknown", crew_sum(crew, LANE_UNKNOWN));
	report_count(report, "ended", crew_sum(crew, LANE_ENDED));
	crew_report_latency(crew, report);
	crew_report_span(crew, report, &span, span.delivered, "server_cpu_s_per_million", 1000000);
}

static void echo_adapt(struct plan *plan)
{
	plan->connections = 100;
	plan->publishers = 0;
	plan->size = 64;
	plan->follow.protocol = &protocol_websocket;
	plan->follow.words.path = "/echo";
	plan->follow.words.publish = "%d";
}

const struct mode mode_echo = {
	.name = "echo",
	.what = "each connection gets back what it sends",
	.adapt = echo_adapt,
	.run = echo_run,
	.is_bare = true,
	.begin = echo_begin,
	.message = echo_message,
	.turn = echo_turn,
};
