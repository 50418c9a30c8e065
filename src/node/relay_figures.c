#include "node/relay_figures.h"

#include <inttypes.h>

#include "base/check.h"
#include "edge/metrics.h"
#include "node/figures.h"

static const struct figure_row rows[] = {
#define RELAY_COUNTER(name, group, key, what, member) {group, key},
#include "starling/relay_counter.def"
#undef RELAY_COUNTER
};

void relay_figures_set(struct relay_figures *figures, const struct relay_stats *stats)
{
	const uint64_t values[] = {
#define RELAY_COUNTER(name, group, key, what, member) stats->member,
#include "starling/relay_counter.def"
#undef RELAY_COUNTER
	};
	for (size_t i = 0; i < COUNT_OF(values); i++)
		atomic_store_explicit(&figures->counters[i], values[i], memory_order_relaxed);
	atomic_store_explicit(&figures->homes, stats->homes, memory_order_relaxed);
	atomic_store_explicit(&figures->uncommitted, stats->lag.uncommitted, memory_order_relaxed);
	atomic_store_explicit(&figures->behind, stats->lag.behind, memory_order_relaxed);
	atomic_store_explicit(&figures->term, stats->lag.term, memory_order_relaxed);
	atomic_store_explicit(&figures->spare, stats->lag.spare, memory_order_relaxed);
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Of all workers: each has other slots. */
static struct slots_lag lag_of(const struct relay_figures *figures, size_t workers)
{
	struct slots_lag lag = {.spare = UINT64_MAX};
	for (size_t i = 0; i < workers; i++) {
		const struct relay_figures *one = &figures[i];
		lag.uncommitted += atomic_load_explicit(&one->uncommitted, memory_order_relaxed);
		lag.behind = greater(lag.behind,
		                     atomic_load_explicit(&one->behind, memory_order_relaxed));
		lag.term =
			greater(lag.term, atomic_load_explicit(&one->term, memory_order_relaxed));
		uint64_t spare = atomic_load_explicit(&one->spare, memory_order_relaxed);
		if (spare < lag.spare)
			lag.spare = spare;
	}
	return lag;
}

static void add_up(const struct relay_figures *figures, size_t workers,
                   uint64_t values[COUNT_OF(rows)])
{
	memset(values, 0, COUNT_OF(rows) * sizeof(values[0]));
	for (size_t worker = 0; worker < workers; worker++) {
		for (size_t i = 0; i < COUNT_OF(rows); i++)
			values[i] += atomic_load_explicit(&figures[worker].counters[i],
			                                  memory_order_relaxed);
	}
}

static uint64_t homes_of(const struct relay_figures *figures, size_t workers)
{
	uint64_t homes = 0;
	for (size_t worker = 0; worker < workers; worker++)
		homes += atomic_load_explicit(&figures[worker].homes, memory_order_relaxed);
	return homes;
}

void relay_figures_write(const struct relay_figures *figures, size_t workers, struct buf *out)
{
	uint64_t values[COUNT_OF(rows)];
	add_up(figures, workers, values);
	buf_string(out, ",\"mesh_homes\":");
	buf_u64(out, homes_of(figures, workers));
	struct slots_lag lag = lag_of(figures, workers);
	buf_format(out,
	           ",\"mesh_uncommitted\":%" PRIu64 ",\"mesh_replica_lag\":%" PRIu64
	           ",\"mesh_term\":%" PRIu64 ",\"mesh_spare_replicas\":%" PRIu64,
	           lag.uncommitted, lag.behind, lag.term, lag.spare);
	figures_write(rows, values, COUNT_OF(rows), out);
}

void relay_figures_write_metrics(const struct relay_figures *figures, size_t workers,
                                 struct buf *out)
{
	uint64_t values[COUNT_OF(rows)];
	add_up(figures, workers, values);
	metrics_family(out, "starling_mesh_homes", "gauge",
	               "Slots of channels whose home is this node; there are 4096 in the cluster.");
	metrics_value(out, "starling_mesh_homes", "", homes_of(figures, workers));
	struct slots_lag lag = lag_of(figures, workers);
	metrics_family(
		out, "starling_mesh_uncommitted_entries", "gauge",
		"Entries of this node's slots that no majority of their replicas holds yet.");
	metrics_value(out, "starling_mesh_uncommitted_entries", "", lag.uncommitted);
	metrics_family(out, "starling_mesh_replica_lag_entries", "gauge",
	               "Entries that the replica which is furthest behind lacks of one of them.");
	metrics_value(out, "starling_mesh_replica_lag_entries", "", lag.behind);
	metrics_family(
		out, "starling_mesh_spare_replicas", "gauge",
		"So many replicas of each slot whose home is here may end, and nothing is lost.");
	metrics_value(out, "starling_mesh_spare_replicas", "", lag.spare);
	metrics_family(out, "starling_mesh_term", "gauge",
	               "The highest term of any slot; it rises as slots are taken over.");
	metrics_value(out, "starling_mesh_term", "", lag.term);
	figures_write_metrics(rows, values, COUNT_OF(rows), out);
}
