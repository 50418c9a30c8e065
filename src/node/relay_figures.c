#include "node/relay_figures.h"

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
	figures_write_metrics(rows, values, COUNT_OF(rows), out);
}
