/*
 * The text Prometheus reads, letter by letter; the table of figures; and what a line of
 * /proc/PID/stat says.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "edge/edge.h"
#include "edge/metrics.h"
#include "edge/process.h"

static void expect(struct buf *out, const char *text)
{
	CHECK(slice_is(buf_view(out), text));
	buf_free(out);
}

static void writes_families(void)
{
	struct buf out = {0};
	metrics_family(&out, "x_total", "counter", "Of x.");
	metrics_value(&out, "x_total", "", UINT64_MAX);
	metrics_value(&out, "x_total", "a=\"b\"", 0);
	metrics_micro(&out, "x_total", "a=\"b\"", 12000034);
	expect(&out, "# HELP x_total Of x.\n# TYPE x_total counter\nx_total 18446744073709551615\n"
	             "x_total{a=\"b\"} 0\nx_total{a=\"b\"} 12.000034\n");
	printf("metrics: help, type and values, with labels and without\n");
}

static void writes_histograms(void)
{
	struct latency latency = {0};
	struct buf out = {0};
	latency_note(&latency, 100, 2);
	latency_note(&latency, 20000000, 1);
	metrics_latency(&out, "x_seconds", "worker=\"7\"", &latency);
	struct slice rest = buf_view(&out), line;
	unsigned lines = 0;
	CHECK(slice_cut(&rest, '\n', &line));
	CHECK(slice_is(line, "x_seconds_bucket{worker=\"7\",le=\"0.000050\"} 0"));
	CHECK(slice_cut(&rest, '\n', &line));
	CHECK(slice_is(line, "x_seconds_bucket{worker=\"7\",le=\"0.000100\"} 2"));
	while (slice_cut(&rest, '\n', &line) && lines++ < LATENCY_BOUNDS - 3)
		;
	CHECK(slice_is(line, "x_seconds_bucket{worker=\"7\",le=\"10.000000\"} 2"));
	CHECK(slice_is(rest, "x_seconds_bucket{worker=\"7\",le=\"+Inf\"} 3\n"
	                     "x_seconds_sum{worker=\"7\"} 20.000200\n"
	                     "x_seconds_count{worker=\"7\"} 3\n"));
	buf_free(&out);
	printf("metrics: buckets are cumulative, and end with all, the sum and the count\n");
}

/* ---- the table ---- */

static const struct {
	const char *name, *type, *help;
} families[] = {
#define FAMILY(metric, type, help) {#metric, type, help},
#define FIGURE(json, metric, labels, member)
#include "starling/counter.def"
#undef FAMILY
#undef FIGURE
};

static const struct {
	const char *json, *name, *labels;
	size_t at;
} figures[] = {
#define FAMILY(metric, type, help)
#define FIGURE(json, metric, labels, member)                                                       \
	{json, #metric, labels, offsetof(struct edge_stats, member)},
#include "starling/counter.def"
#undef FAMILY
#undef FIGURE
};

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);
	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void checks_families(void)
{
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		bool is_counter = strcmp(families[i].type, "counter") == 0;
		CHECK(is_counter || strcmp(families[i].type, "gauge") == 0);
		CHECK(ends_with(families[i].name, "_total") == is_counter);
		CHECK(strncmp(families[i].name, "starling_", strlen("starling_")) == 0);
		CHECK(ends_with(families[i].help, "."));
	}
	printf("counter_def: counters end in _total, gauges do not, and all have help\n");
}

static void checks_figures(void)
{
	for (size_t i = 0; i < COUNT_OF(figures); i++) {
		size_t known = 0;
		for (size_t f = 0; f < COUNT_OF(families); f++)
			known += strcmp(figures[i].name, families[f].name) == 0;
		CHECK(known == 1);
		for (size_t j = 0; j < i; j++) {
			CHECK(strcmp(figures[i].json, figures[j].json) != 0);
			CHECK(figures[i].at != figures[j].at);
			CHECK(strcmp(figures[i].name, figures[j].name) != 0 ||
			      strcmp(figures[i].labels, figures[j].labels) != 0);
		}
	}
	printf("counter_def: each figure has a family, and a name and place of its own\n");
}

/* ---- the process ---- */

static const struct {
	const char *claim, *line;
	bool is_good;
} stats[] = {
	{"a line is read",
         "7 (starling) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 3 0 99 4096000 250 1844 1\n",
         true},
	{"whatever the program's name",
         "7 (a) (b c) R 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 3 0 99 4096000 250 1844\n", true},
	{"one that ends early is none", "7 (starling) S 1 7 7 0 -1 4194560 1 0 0 0 30\n", false},
	{"nor one with a word for a number",
         "7 (starling) S 1 7 7 0 -1 4194560 1 0 0 0 x 12 0 0 20 0 3 0 99 4096000 250 1844\n",
         false},
	{"nor one without a name", "7 starling S 1 7 7\n", false},
	{"nor nothing", "", false},
};

static void parses_stat(void)
{
	for (size_t i = 0; i < COUNT_OF(stats); i++) {
		struct process process = {0};
		bool is_good = process_parse(&process, slice_string(stats[i].line), 10000, 4096);
		CHECK(is_good == stats[i].is_good);
		if (is_good) {
			CHECK(process.cpu_us == 420000);
			CHECK(process.virtual_bytes == 4096000);
			CHECK(process.resident_bytes == 250 * 4096);
		}
		printf("process: %s\n", stats[i].claim);
	}
}

static void looks_at_itself(void)
{
	struct process process;
	process_look(&process);
	CHECK(process.resident_bytes > 0);
	CHECK(process.virtual_bytes >= process.resident_bytes);
	CHECK(process.descriptors_max > 0);
	uint64_t before = process_descriptors();
	FILE *file = fopen("/dev/null", "r");
	CHECK(file != NULL);
	CHECK(process_descriptors() == before + 1);
	fclose(file);
	CHECK(process_descriptors() == before);
	printf("process: memory, and each descriptor\n");
}

int main(void)
{
	writes_families();
	writes_histograms();
	checks_families();
	checks_figures();
	parses_stat();
	looks_at_itself();
	return 0;
}
