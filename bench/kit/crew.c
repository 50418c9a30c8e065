#include "kit/crew.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "kit/complain.h"
#include "kit/mode.h"
#include "kit/protocol.h"
#include "kit/publisher.h"

#define SPARE_FILES 64 /* what the process has open before its lanes part */
#define LOOK_NS (NS_PER_MS * 2)
#define OPEN_PATIENCE_NS ((uint64_t)30 * NS_PER_S)

/* ---- making ---- */

/* As many files as may be had; how many that are. */
static uint32_t files_allow(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		die(errno, "getrlimit");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		die(errno, "setrlimit");
	return files.rlim_max > INT32_MAX ? INT32_MAX : (uint32_t)files.rlim_max;
}

/* As many as the plan says, but no fewer than descriptors demand. */
static uint32_t lanes_wanted(const struct plan *plan)
{
	uint32_t spare = SPARE_FILES + 2 * CREW_LANES_MAX + plan->publishers;
	uint32_t files = files_allow();
	uint32_t each = files > 2 * spare ? files - spare : files / 2;
	uint32_t least = (plan->connections + each - 1) / each;
	uint32_t wanted = plan->threads > least ? plan->threads : least;
	if (wanted >= CREW_LANES_MAX)
		die(0, "%u threads are too many; more open files (ulimit -Hn) need fewer", wanted);
	return wanted > 0 ? wanted : 1;
}

static void make_publisher(struct crew *crew, struct lane *lane)
{
	crew->publisher = calloc(1, sizeof(*crew->publisher));
	CHECK(crew->publisher != NULL);
	publisher_init(crew->publisher, lane);
}

void crew_init(struct crew *crew, const struct plan *plan)
{
	*crew = (struct crew){.plan = plan};
	CHECK(pthread_mutex_init(&crew->lock, NULL) == 0);
	uint32_t lanes = lanes_wanted(plan);
	/* In an open loop the publisher has a thread of its own, to be in time. */
	crew->lane_count = lanes + (plan_is_open_loop(plan) && plan->publishers > 0 ? 1 : 0);
	crew->lanes = aligned_alloc(64, crew->lane_count * sizeof(*crew->lanes));
	CHECK(crew->lanes != NULL);
	memset(crew->lanes, 0, crew->lane_count * sizeof(*crew->lanes));
	flight_init(&crew->flight, plan);
	for (uint32_t i = 0; i < crew->lane_count; i++) {
		uint64_t n = plan->connections;
		uint32_t first = (uint32_t)(n * i / lanes), end = (uint32_t)(n * (i + 1) / lanes);
		lane_init(&crew->lanes[i], crew, i, first, i < lanes ? end - first : 0);
	}
	if (plan->publishers > 0)
		make_publisher(crew, &crew->lanes[crew->lane_count == lanes ? 0 : lanes]);
	for (uint32_t i = 0; i < crew->lane_count; i++)
		lane_start(&crew->lanes[i]);
}

void crew_stop(struct crew *crew)
{
	crew_order(crew, &(struct orders){.phase = PHASE_END});
	for (uint32_t i = 0; i < crew->lane_count; i++)
		pthread_join(crew->lanes[i].thread, NULL);
}

void crew_free(struct crew *crew)
{
	for (uint32_t i = 0; i < crew->lane_count; i++)
		lane_free(&crew->lanes[i]);
	publisher_free(crew->publisher);
	flight_free(&crew->flight);
	free(crew->lanes);
	pthread_mutex_destroy(&crew->lock);
}

/* ---- orders ---- */

void crew_order(struct crew *crew, const struct orders *orders)
{
	pthread_mutex_lock(&crew->lock);
	crew->orders = *orders;
	pthread_mutex_unlock(&crew->lock);
	atomic_store_explicit(&crew->is_published, false, memory_order_relaxed);
	atomic_fetch_add_explicit(&crew->order, 1, memory_order_release);
	for (uint32_t i = 0; i < crew->lane_count; i++)
		lane_wake(&crew->lanes[i]);
}

struct orders crew_orders(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	struct orders orders = crew->orders;
	pthread_mutex_unlock(&crew->lock);
	return orders;
}

uint64_t crew_sum(const struct crew *crew, enum lane_count count)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < crew->lane_count; i++)
		sum += atomic_load_explicit(&crew->lanes[i].shown[count], memory_order_relaxed);
	return sum;
}

void crew_pause(uint64_t ns)
{
	struct timespec pause = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
	nanosleep(&pause, NULL);
}

static bool wait_for(struct crew *crew, enum lane_count count, uint64_t wanted,
                     uint64_t patience_ns)
{
	uint64_t seen = crew_sum(crew, count), seen_ns = clock_ns();
	while (seen < wanted) {
		crew_pause(LOOK_NS);
		uint64_t now = crew_sum(crew, count);
		if (now != seen)
			seen_ns = clock_ns();
		else if (clock_ns() - seen_ns > patience_ns)
			return false;
		seen = now;
	}
	return true;
}

bool crew_wait(struct crew *crew, enum lane_count count, uint64_t wanted)
{
	return wait_for(crew, count, wanted, crew->plan->patience_ns);
}

void crew_open(struct crew *crew, uint32_t limit)
{
	crew_order(crew, &(struct orders){.phase = PHASE_OPEN, .open_limit = limit});
	if (!wait_for(crew, LANE_READY, limit, OPEN_PATIENCE_NS) ||
	    !wait_for(crew, LANE_PUBLISHERS, crew->plan->publishers, OPEN_PATIENCE_NS))
		die(0, "%u of %u connections became ready, and no more",
		    (unsigned)crew_sum(crew, LANE_READY), limit);
}

void crew_publish(struct crew *crew, uint32_t messages, uint64_t warmup_ns, uint64_t seconds_ns)
{
	uint64_t from = clock_ns() + CREW_ORDER_NS;
	crew_order(crew,
	           &(struct orders){
			   .phase = PHASE_RUN,
			   .from_ns = from,
			   .measure_from_ns = from + warmup_ns,
			   .stop_ns = seconds_ns == 0 ? UINT64_MAX : from + warmup_ns + seconds_ns,
			   .publish_limit = messages == 0 ? UINT32_MAX : messages,
		   });
}

bool crew_is_published(const struct crew *crew)
{
	return atomic_load_explicit(&crew->is_published, memory_order_acquire);
}

/* ---- what was seen ---- */

uint64_t crew_expected(const struct crew *crew, uint32_t published)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < crew->lane_count; i++) {
		const struct lane *lane = &crew->lanes[i];
		for (uint32_t k = 0; k < lane->client_count; k++) {
			const struct client *client = &lane->clients[k];
			if (!client->is_stuck)
				sum += plan_messages_of(crew->plan, published, client->channel);
		}
	}
	return sum;
}

uint64_t crew_missing(const struct crew *crew, uint32_t published)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < crew->lane_count; i++) {
		const struct lane *lane = &crew->lanes[i];
		for (uint32_t k = 0; k < lane->client_count; k++) {
			const struct client *client = &lane->clients[k];
			uint32_t all = plan_messages_of(crew->plan, published, client->channel);
			if (!client->is_stuck)
				sum += tally_missing(&client->tally, all);
		}
	}
	return sum;
}

void crew_latency(const struct crew *crew, struct histogram *into)
{
	for (uint32_t i = 0; i < crew->lane_count; i++)
		histogram_merge(into, &crew->lanes[i].latency);
}

struct span span_begin(const struct crew *crew)
{
	return (struct span){
		.begin_ns = clock_ns(),
		.cpu_ns = gauge_cpu_ns(&crew->plan->server),
		.own_cpu_ns = gauge_own_cpu_ns(),
		.delivered = crew_sum(crew, LANE_DELIVERED),
	};
}

struct span span_end(const struct crew *crew, const struct span *begin)
{
	struct span end = span_begin(crew);
	return (struct span){
		.begin_ns = end.begin_ns - begin->begin_ns,
		.cpu_ns = end.cpu_ns - begin->cpu_ns,
		.own_cpu_ns = end.own_cpu_ns - begin->own_cpu_ns,
		.delivered = end.delivered - begin->delivered,
	};
}

void memory_begin(struct memory *memory, const struct crew *crew)
{
	*memory = (struct memory){
		.begin_kib = gauge_memory_kib(&crew->plan->server),
		.kernel_begin_kib = gauge_kernel_kib(),
		.next_ns = clock_ns() + NS_PER_S,
	};
	memory->max_kib = memory->end_kib = memory->begin_kib;
	memory->kernel_max_kib = memory->kernel_begin_kib;
}

void memory_end(struct memory *memory, const struct crew *crew)
{
	uint64_t kernel_kib = gauge_kernel_kib();
	memory->end_kib = gauge_memory_kib(&crew->plan->server);
	if (memory->end_kib > memory->max_kib)
		memory->max_kib = memory->end_kib;
	if (kernel_kib > memory->kernel_max_kib)
		memory->kernel_max_kib = kernel_kib;
}

void memory_look(struct memory *memory, const struct crew *crew)
{
	if (clock_ns() < memory->next_ns)
		return;
	memory->next_ns += NS_PER_S;
	memory_end(memory, crew);
}

/* ---- what is told ---- */

void crew_report_plan(const struct crew *crew, struct report *report)
{
	const struct plan *plan = crew->plan;
	if (plan->name != NULL)
		report_text(report, "name", plan->name);
	report_text(report, "mode", plan->mode->name);
	report_text(report, "protocol", plan->follow.protocol->name);
	report_count(report, "connections", plan->connections);
	report_count(report, "channels", plan->channels);
	report_count(report, "stuck", plan->stuck);
	report_count(report, "size", plan->size);
	report_count(report, "rate", plan->rate);
	report_count(report, "flight", plan_is_open_loop(plan) ? 0 : plan->flight);
	report_count(report, "threads", crew->lane_count);
}

void crew_report_deliveries(const struct crew *crew, struct report *report)
{
	uint32_t published = atomic_load_explicit(&crew->published, memory_order_acquire);
	report_count(report, "published", published);
	report_count(report, "expected", crew_expected(crew, published));
	report_count(report, "delivered", crew_sum(crew, LANE_DELIVERED));
	report_count(report, "missed", crew_missing(crew, published));
	report_count(report, "duplicated", crew_sum(crew, LANE_TWICE));
	report_count(report, "out_of_order", crew_sum(crew, LANE_LATE));
	report_count(report, "misrouted", crew_sum(crew, LANE_MISROUTED));
	report_count(report, "unknown", crew_sum(crew, LANE_UNKNOWN));
	report_count(report, "gaps_told", crew_sum(crew, LANE_GAPS));
	report_count(report, "ended", crew_sum(crew, LANE_ENDED));
	report_count(report, "stalls", atomic_load_explicit(&crew->stalls, memory_order_relaxed));
}

void crew_report_latency(const struct crew *crew, struct report *report)
{
	static const struct {
		const char *name;
		uint32_t share;
	} quantiles[] = {
		{"p50_us", 50000}, {"p90_us", 90000}, {"p99_us", 99000}, {"p999_us", 99900}};
	struct histogram *latency = calloc(1, sizeof(*latency));
	CHECK(latency != NULL);
	crew_latency(crew, latency);
	for (size_t i = 0; i < COUNT_OF(quantiles); i++)
		report_real(report, quantiles[i].name,
		            (double)histogram_quantile(latency, quantiles[i].share) / 1000);
	report_real(report, "max_us", (double)latency->max / 1000);
	report_real(report, "mean_us", histogram_mean(latency) / 1000);
	free(latency);
}

void crew_report_span(const struct crew *crew, struct report *report, const struct span *span,
                      uint64_t units, const char *unit, uint64_t per)
{
	double seconds = (double)span->begin_ns / NS_PER_S;
	report_real(report, "seconds", seconds);
	report_real(report, "per_second", (double)units / seconds);
	report_real(report, "load_cpu_s", (double)span->own_cpu_ns / NS_PER_S);
	if (crew->plan->server.count == 0)
		return;
	report_real(report, "server_cpu_s", (double)span->cpu_ns / NS_PER_S);
	report_real(report, unit, (double)span->cpu_ns / NS_PER_S * (double)per / (double)units);
}

void crew_report_memory(const struct crew *crew, struct report *report, const struct memory *memory)
{
	report_count(report, "kernel_tcp_kib", memory->kernel_max_kib);
	if (crew->plan->server.count == 0)
		return;
	report_count(report, "server_pss_kib", memory->begin_kib);
	report_count(report, "server_pss_max_kib", memory->max_kib);
	report_count(report, "server_pss_growth_kib", memory->max_kib - memory->begin_kib);
}
