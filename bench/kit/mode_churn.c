/*
 * Connections come and go: connect, open (upgrade, for WebSocket), take leave, close. Closed loop:
 * each of the plan's connections comes again when it has gone. Open loop: one comes when it is
 * due, and waits where all are busy. What is measured is the time until a connection stands.
 */
#include "kit/crew.h"
#include "kit/mode.h"
#include "kit/protocol.h"

static bool is_due(struct lane *lane, uint64_t *due_ns)
{
	const struct plan *plan = lane->plan;
	*due_ns = lane->now_ns;
	if (lane->orders.phase != PHASE_RUN || lane->now_ns >= lane->orders.stop_ns ||
	    lane->counts[LANE_SENT] >= lane->orders.publish_limit)
		return false;
	if (plan_is_open_loop(plan)) {
		uint64_t i = lane->counts[LANE_SENT] * lane->crew->lane_count + lane->number;
		*due_ns = lane->orders.from_ns + i / plan->rate * NS_PER_S +
		          i % plan->rate * NS_PER_S / plan->rate;
	}
	return true;
}

/* Goes round over the clients for one that is away. */
static struct client *find_away(struct lane *lane)
{
	for (uint32_t i = 0; i < lane->client_count; i++) {
		struct client *client = &lane->clients[lane->mode_next++ % lane->client_count];
		if (client->state == CLIENT_AWAY)
			return client;
	}
	return NULL;
}

static uint64_t churn_turn(struct lane *lane)
{
	uint64_t due_ns;
	lane->now_ns = clock_ns();
	while (is_due(lane, &due_ns)) {
		if (due_ns > lane->now_ns)
			return due_ns - lane->now_ns;
		uint64_t busy = lane->counts[LANE_SENT] - lane->counts[LANE_DONE] -
		                lane->counts[LANE_FAILED];
		struct client *client = busy < lane->client_count ? find_away(lane) : NULL;
		if (client == NULL)
			return MODE_FAR_NS;
		/* From another source address each time: ports of closed ones rest a while. */
		client->number += (uint32_t)lane->client_count;
		lane->counts[LANE_SENT]++;
		lane_open(lane, client, due_ns);
	}
	return MODE_FAR_NS;
}

static void churn_ready(struct lane *lane, struct client *client)
{
	uint64_t now = clock_ns();
	if (client->began_ns >= lane->orders.measure_from_ns)
		histogram_add(&lane->latency, now - client->began_ns);
	lane_leave(lane, client);
}

static void churn_gone(struct lane *lane, struct client *client)
{
	if (client->step != 0) /* it stood, once */
		lane->counts[LANE_DONE]++;
}

static void churn_run(struct crew *crew, struct report *report)
{
	const struct plan *plan = crew->plan;
	uint32_t each = (uint32_t)(plan->messages / crew->lane_count);
	crew_report_plan(crew, report);
	struct span span = span_begin(crew);
	uint64_t done = 0;
	crew_publish(crew, each, plan->warmup_ns, plan->seconds_ns);
	if (plan->seconds_ns > 0) {
		crew_pause(plan->warmup_ns);
		span = span_begin(crew);
		done = crew_sum(crew, LANE_DONE);
		crew_pause(plan->seconds_ns);
	}
	if (plan->messages > 0)
		(void)!crew_wait(crew, LANE_SENT, (uint64_t)each * crew->lane_count);
	crew_pause(CREW_ORDER_NS + NS_PER_MS); /* now none is begun any more */
	(void)!crew_wait(crew, LANE_DONE, crew_sum(crew, LANE_SENT) - crew_sum(crew, LANE_FAILED));
	span = span_end(crew, &span);
	done = crew_sum(crew, LANE_DONE) - done;
	crew_stop(crew);
	report_count(report, "begun", crew_sum(crew, LANE_SENT));
	report_count(report, "done", crew_sum(crew, LANE_DONE));
	report_count(report, "failed", crew_sum(crew, LANE_FAILED));
	crew_report_latency(crew, report);
	crew_report_span(crew, report, &span, done, "server_cpu_s_per_10000", 10000);
}

static void churn_adapt(struct plan *plan)
{
	plan->connections = 100;
	plan->publishers = 0;
}

const struct mode mode_churn = {
	.name = "churn",
	.what = "connect, upgrade, close, again",
	.adapt = churn_adapt,
	.run = churn_run,
	.is_bare = true,
	.may_fail = true,
	.ready = churn_ready,
	.gone = churn_gone,
	.turn = churn_turn,
};
