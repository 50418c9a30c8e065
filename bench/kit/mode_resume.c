/*
 * A resume storm: everybody follows, everybody is cut off, messages go by, and all come back at
 * once with their cursors. What is measured is the time from the storm's beginning until a client
 * has all it missed: who has to wait to be let in waits on that clock too.
 */
#include "kit/crew.h"
#include "kit/mode.h"
#include "kit/protocol.h"

#define BEFORE_EACH 5 /* messages that each channel has before, so that there are cursors */

static void resume_begin(struct lane *lane)
{
	switch (lane->orders.phase) {
	case PHASE_CUT:
		for (uint32_t i = 0; i < lane->client_count; i++) {
			struct client *client = &lane->clients[i];
			if (client->state != CLIENT_AWAY)
				lane_close(lane, client);
			client->left = plan_messages_of(lane->plan, lane->orders.publish_limit,
			                                client->channel) -
			               client->tally.next;
		}
		lane->next_to_open = lane->client_count;
		break;
	case PHASE_BACK:
		lane->next_to_open = 0;
		break;
	default:
		break;
	}
}

static void resume_message(struct lane *lane, struct client *client, struct stamp stamp)
{
	uint32_t channels = lane->plan->channels;
	if (stamp.number % channels != client->channel) {
		lane->counts[LANE_MISROUTED]++;
		return;
	}
	if (!lane_tally(lane, client, stamp.number / channels))
		return;
	if (lane->orders.phase != PHASE_BACK) {
		flight_delivered(&lane->crew->flight, lane, stamp.number, client->channel);
		return;
	}
	if (client->left == 0 || --client->left > 0)
		return;
	histogram_add(&lane->latency, lane->now_ns - client->began_ns);
	lane->counts[LANE_DONE]++;
}

/* ---- in the main thread ---- */

static void publish_and_wait(struct crew *crew, struct orders *orders, uint32_t messages)
{
	orders->phase = PHASE_RUN;
	orders->from_ns = clock_ns();
	orders->stop_ns = UINT64_MAX;
	orders->publish_limit = messages;
	crew_order(crew, orders);
	while (!crew_is_published(crew))
		crew_pause(NS_PER_MS);
}

static void resume_run(struct crew *crew, struct report *report)
{
	const struct plan *plan = crew->plan;
	uint32_t before = BEFORE_EACH * plan->channels;
	uint32_t all = before + plan->missed * plan->channels;
	struct orders orders = {.open_limit = plan->connections};
	crew_report_plan(crew, report);
	crew_open(crew, plan->connections);
	publish_and_wait(crew, &orders, before);
	(void)!crew_wait(crew, LANE_DELIVERED, crew_expected(crew, before));

	orders.phase = PHASE_CUT;
	orders.publish_limit = all;
	crew_order(crew, &orders);
	crew_pause(plan->settle_ns);
	orders.is_unbounded = true;
	publish_and_wait(crew, &orders, all);
	crew_pause(plan->settle_ns);

	struct memory memory;
	memory_begin(&memory, crew);
	struct span span = span_begin(crew);
	orders.phase = PHASE_BACK;
	orders.from_ns = clock_ns();
	crew_order(crew, &orders);
	bool is_whole = crew_wait(crew, LANE_DONE, plan->connections);
	span = span_end(crew, &span);
	memory_end(&memory, crew);
	crew_stop(crew);
	report_count(report, "missed_by_each", plan->missed);
	report_count(report, "resumed", crew_sum(crew, LANE_DONE));
	report_count(report, "is_whole", is_whole);
	report_count(report, "failed", crew_sum(crew, LANE_FAILED));
	crew_report_deliveries(crew, report);
	crew_report_latency(crew, report);
	crew_report_span(crew, report, &span, plan->connections, "server_cpu_s_per_10000", 10000);
	crew_report_memory(crew, report, &memory);
}

static void resume_adapt(struct plan *plan)
{
	plan->connections = 10000;
	plan->missed = 50;
	plan->opening = 1024;
	plan->settle_ns = NS_PER_S;
	plan->follow.keeps_cursor = true;
}

const struct mode mode_resume = {
	.name = "resume",
	.what = "all come back at once, with their cursors",
	.adapt = resume_adapt,
	.run = resume_run,
	.may_fail = true,
	.begin = resume_begin,
	.message = resume_message,
};
