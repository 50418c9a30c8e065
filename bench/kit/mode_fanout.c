/*
 * Followers of channels, and a publisher: one channel or many, any protocol, some of them stuck.
 * And what they cost while nobody says anything.
 */
#include "kit/crew.h"
#include "kit/mode.h"
#include "kit/protocol.h"

#define IDLE_FIRST 1000 /* connections at which everything that is there once has been paid for */

/* ---- on the lane ---- */

static void fanout_message(struct lane *lane, struct client *client, struct stamp stamp)
{
	const struct plan *plan = lane->plan;
	uint32_t number = stamp.number, channel = 0;
	if (plan->channels > 1) {
		number = stamp.number / plan->channels;
		channel = stamp.number % plan->channels;
	}
	if (stamp.number >= atomic_load_explicit(&lane->crew->published, memory_order_acquire)) {
		lane->counts[LANE_UNKNOWN]++;
		return;
	}
	if (channel != client->channel) {
		lane->counts[LANE_MISROUTED]++;
		return;
	}
	if (!lane_tally(lane, client, number))
		return;
	if (stamp.due_ns >= lane->orders.measure_from_ns)
		histogram_add(&lane->latency, lane->now_ns - stamp.due_ns);
	if (lane->crew->flight.is_counted)
		flight_delivered(&lane->crew->flight, lane, stamp.number, channel);
}

/* ---- in the main thread ---- */

static void look_around(struct crew *crew, struct memory *memory)
{
	crew_pause(20 * NS_PER_MS);
	memory_look(memory, crew);
}

/* Publishes, and waits until nothing more comes; the span leaves the warm-up out. */
static struct span publish_all(struct crew *crew, struct memory *memory)
{
	const struct plan *plan = crew->plan;
	uint64_t measure_ns = clock_ns() + plan->warmup_ns;
	struct span span = span_begin(crew);
	crew_publish(crew, (uint32_t)plan->messages, plan->warmup_ns, plan->seconds_ns);
	while (clock_ns() < measure_ns && !crew_is_published(crew))
		look_around(crew, memory);
	if (plan->warmup_ns > 0)
		span = span_begin(crew);
	while (!crew_is_published(crew))
		look_around(crew, memory);
	/* What is missing after that is missing. */
	(void)!crew_wait(crew, LANE_DELIVERED, crew_expected(crew, crew->published));
	memory_end(memory, crew);
	return span_end(crew, &span);
}

static void report_deliveries(struct crew *crew, struct report *report, const struct span *span)
{
	crew_stop(crew);
	crew_report_deliveries(crew, report);
	crew_report_latency(crew, report);
	crew_report_span(crew, report, span, span->delivered, "server_cpu_s_per_million", 1000000);
}

static void fanout_run(struct crew *crew, struct report *report)
{
	struct memory memory;
	crew_report_plan(crew, report);
	crew_open(crew, crew->plan->connections);
	crew_pause(crew->plan->settle_ns);
	memory_begin(&memory, crew);
	struct span span = publish_all(crew, &memory);
	report_deliveries(crew, report, &span);
	crew_report_memory(crew, report, &memory);
}

/* Memory per connection is the slope between two readings. */
static void idle_run(struct crew *crew, struct report *report)
{
	const struct plan *plan = crew->plan;
	uint32_t first = plan->connections > IDLE_FIRST ? IDLE_FIRST : plan->connections / 2;
	struct memory empty, few, all;
	struct span span = span_begin(crew);
	crew_report_plan(crew, report);
	memory_begin(&empty, crew);
	crew_open(crew, first);
	struct span opened = span_end(crew, &span);
	crew_pause(plan->settle_ns);
	memory_begin(&few, crew);
	span = span_begin(crew);
	crew_open(crew, plan->connections);
	span = span_end(crew, &span);
	opened.begin_ns += span.begin_ns;
	opened.cpu_ns += span.cpu_ns;
	opened.own_cpu_ns += span.own_cpu_ns;
	crew_pause(plan->settle_ns);
	memory_begin(&all, crew);

	double more = (double)(plan->connections - first);
	report_count(report, "server_pss_empty_kib", empty.begin_kib);
	report_count(report, "server_pss_first_kib", few.begin_kib);
	report_count(report, "server_pss_kib", all.begin_kib);
	report_real(report, "bytes_per_connection",
	            ((double)all.begin_kib - (double)few.begin_kib) * 1024 / more);
	report_count(report, "kernel_tcp_kib", all.kernel_begin_kib);
	report_real(report, "open_s", (double)opened.begin_ns / NS_PER_S);
	report_real(report, "open_server_cpu_s", (double)opened.cpu_ns / NS_PER_S);
	if (plan->messages == 0) {
		crew_stop(crew);
		return;
	}
	span = publish_all(crew, &all);
	report_deliveries(crew, report, &span);
}

/* ---- the presets ---- */

static void fanout_adapt(struct plan *plan)
{
	plan->connections = 10000;
}

static void rooms_adapt(struct plan *plan)
{
	plan->connections = 10000;
	plan->channels = 1000;
	plan->flight = 64;
}

static void stuck_adapt(struct plan *plan)
{
	plan->connections = 10000;
	plan->stuck = 100;
	plan->rate = 1000;
}

static void idle_adapt(struct plan *plan)
{
	plan->connections = 15000;
	plan->seconds_ns = 0;
	plan->settle_ns = 2 * (uint64_t)NS_PER_S;
}

static void sse_adapt(struct plan *plan)
{
	plan->connections = 10000;
	plan->follow.protocol = &protocol_sse;
}

static void poll_adapt(struct plan *plan)
{
	plan->connections = 1000;
	plan->follow.protocol = &protocol_poll;
}

#define FANOUT(name_, what_, adapt_, run_)                                                         \
	const struct mode mode_##name_ = {                                                         \
		.name = #name_,                                                                    \
		.what = what_,                                                                     \
		.adapt = adapt_,                                                                   \
		.run = run_,                                                                       \
		.message = fanout_message,                                                         \
	}

FANOUT(idle, "followers that keep silent: memory of each; then --messages", idle_adapt, idle_run);
FANOUT(fanout, "one channel, many followers", fanout_adapt, fanout_run);
FANOUT(rooms, "many channels with a few followers each", rooms_adapt, fanout_run);
FANOUT(stuck, "one channel; some followers stop reading", stuck_adapt, fanout_run);
FANOUT(sse, "fan-out over server-sent events", sse_adapt, fanout_run);
FANOUT(poll, "fan-out over long polls", poll_adapt, fanout_run);
