/*
 * The figures of the node, as JSON (GET /api/stats) and for Prometheus (GET /metrics). Each worker
 * counts for itself; a survey has them added up when they are asked for.
 */
#include <inttypes.h>

#include "edge/metrics.h"
#include "edge/process.h"
#include "edge/route.h"
#include "edge/survey.h"
#include "starling/version.h"
#include "wire/json.h"

/* ---- what a worker has to say ---- */

/* What lags in its logs is added up channel by channel, in parts. */
static void count_worker(struct edge *edge, struct note *note)
{
	uint64_t lag = 0;
	if (!note->is_found) {
		note->is_found = true;
		note->worker = edge->options.worker;
		edge_count(edge, &note->stats);
	}
	note->goes_on = !hub_lag(edge->hub, &note->place, TURN_LOOKS_MAX, &lag);
	note->stats.outbound_bytes += lag;
}

/* And its descriptors, which takes a while; where all have one table the first one counts it. */
static void count_with_descriptors(struct edge *edge, struct note *note)
{
	bool has_table = edge->options.node->has_private_fds || edge->options.worker == 0;
	if (!note->is_found && has_table)
		note->descriptors = process_descriptors();
	count_worker(edge, note);
}

static void add_up(struct edge_stats *sum, struct note *const *notes, size_t count)
{
	*sum = (struct edge_stats){0};
	for (size_t i = 0; i < count; i++)
		edge_stats_add(sum, &notes[i]->stats);
}

/* ---- as JSON ---- */

static void write_name(struct buf *out, const char *name)
{
	buf_string(out, ",\"");
	buf_string(out, name);
	buf_string(out, "\":");
}

static void write_figure(struct buf *out, const char *name, uint64_t value)
{
	write_name(out, name);
	buf_u64(out, value);
}

/* Each row of error.def and close.def is a member, by its code or reason. */
static void write_errors(struct buf *out, const uint64_t *errors)
{
	write_name(out, "errors_total");
	for (enum error_code error = ERROR_NONE + 1; error < ERROR_COUNT; error++)
		buf_format(out, "%c\"%s\":%" PRIu64, error == ERROR_NONE + 1 ? '{' : ',',
		           error_text(error), errors[error]);
	buf_char(out, '}');
}

static void write_closes(struct buf *out, const uint64_t *closes)
{
	write_name(out, "closes_total");
	for (enum close_reason reason = 0; reason < CLOSE_COUNT; reason++)
		buf_format(out, "%c\"%s\":%" PRIu64, reason == 0 ? '{' : ',', close_text(reason),
		           closes[reason]);
	buf_char(out, '}');
}

/* Since the start: how often, and what half and all but a hundredth took at most. */
static void write_latency(struct buf *out, const char *name, const struct latency *latency)
{
	write_name(out, name);
	buf_format(out, "{\"count\":%" PRIu64 ",\"p50\":", latency_count(latency));
	buf_micro(out, latency_within(latency, 50));
	buf_string(out, ",\"p99\":");
	buf_micro(out, latency_within(latency, 99));
	buf_char(out, '}');
}

static void write_json(struct buf *out, const struct edge_stats *stats)
{
	write_figure(out, "connections", edge_clients(stats->clients));
#define FAMILY(metric, type, help)
#define FIGURE(json, metric, labels, member) write_figure(out, json, stats->member);
#include "starling/counter.def"
#undef FAMILY
#undef FIGURE
	write_latency(out, "publish_seconds", &stats->hub.publish);
	write_latency(out, "delivery_seconds", &stats->hub.delivery);
	write_errors(out, stats->errors);
	write_closes(out, stats->closes);
}

static uint64_t lines_lost(const struct edge *edge)
{
	return atomic_load_explicit(&edge->options.common->lines_lost, memory_order_relaxed);
}

static void finish_stats(struct edge *edge, struct conn *conn, struct note *const *notes,
                         size_t count)
{
	struct edge_stats sum;
	struct buf body = {0};
	add_up(&sum, notes, count);
	buf_string(&body, "{\"node\":");
	json_string_append(&body, slice_string(edge->options.node->name));
	buf_string(&body, ",\"version\":\"" STARLING_VERSION "\",\"uptime\":");
	buf_u64(&body, (edge_now_ms(edge) - edge->options.node->started_ms) / 1000);
	buf_string(&body, ",\"workers\":");
	buf_u64(&body, edge->options.workers);
	write_figure(&body, "draining", edge->is_draining);
	write_figure(&body, "log_lines_lost_total", lines_lost(edge));
	write_json(&body, &sum);
	edge->options.up->write_figures(edge->options.up, &body);
	buf_char(&body, '}');
	exchange_made(edge, conn, &body);
}

static const struct survey_kind survey_stats = {.answer = count_worker, .finish = finish_stats};

void api_stats(struct edge *edge, struct conn *conn, const struct http_request *request,
               struct slice body)
{
	(void)body;
	struct buf none = {0}, also_none = {0};
	if (exchange_is_backend(edge, conn, request))
		survey_all(edge, conn, &survey_stats, 0, &none, &also_none);
}

/* ---- for Prometheus ---- */

static void write_sums(struct buf *out, const struct edge_stats *stats)
{
#define FAMILY(metric, type, help) metrics_family(out, #metric, type, help);
#define FIGURE(json, metric, labels, member) metrics_value(out, #metric, labels, stats->member);
#include "starling/counter.def"
#undef FAMILY
#undef FIGURE
	metrics_family(out, "starling_errors_total", "counter", "Refusals told to clients.");
	for (enum error_code error = ERROR_NONE + 1; error < ERROR_COUNT; error++)
		metrics_labelled(out, "starling_errors_total", "code", error_text(error),
		                 stats->errors[error]);
	metrics_family(out, "starling_closes_total", "counter",
	               "Connections that ended, by the reason.");
	for (enum close_reason reason = 0; reason < CLOSE_COUNT; reason++)
		metrics_labelled(out, "starling_closes_total", "reason", close_text(reason),
		                 stats->closes[reason]);
	metrics_family(
		out, "starling_publish_seconds", "histogram",
		"From the turn that read a publication to the answer that it has its place.");
	metrics_latency(out, "starling_publish_seconds", "", &stats->hub.publish);
	metrics_family(out, "starling_delivery_seconds", "histogram",
	               "From a message's place in its channel to the socket of a subscriber that "
	               "keeps up; a burst counts with its oldest message.");
	metrics_latency(out, "starling_delivery_seconds", "", &stats->hub.delivery);
}

/* The rest of a worker's load. */
static const struct {
	const char *name, *help;
	size_t at; /* in struct edge_load */
} worker_figures[] = {
	{"starling_worker_letters", "Messages of other threads that a worker has still to take.",
         offsetof(struct edge_load, letters_incoming)},
	{"starling_worker_letters_queued",
         "Messages of a worker for which others have no room; while there are any it reads nothing "
         "from clients.",
         offsetof(struct edge_load, letters_queued)},
	{"starling_worker_dirty_channels",
         "Channels with messages that a worker has not handed on yet.",
         offsetof(struct edge_load, dirty_channels)},
};

static void write_worker_figures(struct buf *out, struct note *const *notes, size_t count)
{
	char number[TEXT_U64_MAX + 1];
	uint64_t value;
	for (size_t figure = 0; figure < COUNT_OF(worker_figures); figure++) {
		const char *name = worker_figures[figure].name;
		metrics_family(out, name, "gauge", worker_figures[figure].help);
		for (size_t i = 0; i < count; i++) {
			const char *load = (const char *)&notes[i]->stats.load;
			memcpy(&value, load + worker_figures[figure].at, sizeof(value));
			snprintf(number, sizeof(number), "%" PRIu32, notes[i]->worker);
			metrics_labelled(out, name, "worker", number, value);
		}
	}
}

static void write_workers(struct buf *out, struct note *const *notes, size_t count)
{
	char labels[sizeof("worker=\"\"") + TEXT_U64_MAX];
	metrics_family(
		out, "starling_worker_loop_seconds", "histogram",
		"Turns of a worker's loop, without the wait; the sum is how long it was busy.");
	for (size_t i = 0; i < count; i++) {
		snprintf(labels, sizeof(labels), "worker=\"%" PRIu32 "\"", notes[i]->worker);
		metrics_latency(out, "starling_worker_loop_seconds", labels,
		                &notes[i]->stats.load.turns);
	}
	write_worker_figures(out, notes, count);
}

static void write_node(struct edge *edge, struct buf *out)
{
	metrics_family(out, "starling_build_info", "gauge", "Always 1; the version is a label.");
	metrics_value(out, "starling_build_info", "version=\"" STARLING_VERSION "\"", 1);
	metrics_family(out, "starling_draining", "gauge",
	               "1 while the node sends its clients away.");
	metrics_value(out, "starling_draining", "", edge->is_draining);
	metrics_family(
		out, "starling_log_lines_lost_total", "counter",
		"Lines of the journal that were not written: standard error was slow, or failed.");
	metrics_value(out, "starling_log_lines_lost_total", "", lines_lost(edge));
}

static void write_process(struct edge *edge, struct buf *out, struct note *const *notes,
                          size_t count)
{
	struct process process;
	uint64_t descriptors = 0;
	process_look(&process);
	for (size_t i = 0; i < count; i++)
		descriptors += notes[i]->descriptors;
	process_write(out, &process, descriptors, edge->options.node->started_unix_ms);
}

static void finish_metrics(struct edge *edge, struct conn *conn, struct note *const *notes,
                           size_t count)
{
	struct edge_stats sum;
	struct buf body = {0};
	add_up(&sum, notes, count);
	write_node(edge, &body);
	write_sums(&body, &sum);
	write_workers(&body, notes, count);
	edge->options.up->write_metrics(edge->options.up, &body);
	write_process(edge, &body, notes, count);
	struct answer answer = {
		.status = 200, .type = SLICE(METRICS_TYPE), .body = buf_view(&body)};
	if (body.is_broken)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else
		exchange_answer(edge, conn, &answer);
	buf_free(&body);
}

static const struct survey_kind survey_metrics = {.answer = count_with_descriptors,
                                                  .finish = finish_metrics};

void metrics_get(struct edge *edge, struct conn *conn, const struct http_request *request,
                 struct slice body)
{
	(void)body;
	struct buf none = {0}, also_none = {0};
	if (exchange_is_backend(edge, conn, request))
		survey_all(edge, conn, &survey_metrics, 0, &none, &also_none);
}
