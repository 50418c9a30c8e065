/* What workers count of the mesh: every row of relay_counter.def, over all workers. */
#include "node/relay_figures.h"

#include <stdio.h>

static const struct {
	const char *group, *key, *what;
} rows[] = {
#define RELAY_COUNTER(name, group, key, what, member) {group, key, what},
#include "starling/relay_counter.def"
#undef RELAY_COUNTER
};

/* A number of its own for each, in the order of the table. */
static struct relay_stats numbered(uint64_t from)
{
	struct relay_stats made = {.homes = 7, .lag = {from, from + 1, from + 2, from + 3}},
			   *stats = &made;
#define RELAY_COUNTER(name, group, key, what, member) stats->member = from++;
#include "starling/relay_counter.def"
#undef RELAY_COUNTER
	return made;
}

int main(void)
{
	struct relay_figures figures[2] = {0};
	struct buf text = {0};
	char line[128];
	struct relay_stats one = numbered(100), two = numbered(1000);
	relay_figures_set(&figures[0], &one);
	relay_figures_set(&figures[1], &two);
	relay_figures_write(figures, 2, &text);
	buf_char(&text, '\0');
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		printf("relay_figures: %s.%s is shown\n", rows[i].group, rows[i].key);
		snprintf(line, sizeof(line), "\"%s\":%zu", rows[i].key, 1100 + 2 * i);
		CHECK(strstr(text.at, line) != NULL);
		snprintf(line, sizeof(line), "\"%s\":{", rows[i].group);
		CHECK(strstr(text.at, line) != NULL);
		CHECK(rows[i].what[0] != '\0');
	}
	CHECK(strstr(text.at, ",\"mesh_homes\":14,\"mesh_uncommitted\":1100,"
	                      "\"mesh_replica_lag\":1001,\"mesh_term\":1002,"
	                      "\"mesh_spare_replicas\":103,") != NULL);
	printf("relay_figures: what is not committed is added up, and who lags most, or can spare "
	       "least, counts\n");
	buf_clear(&text);
	relay_figures_write_metrics(figures, 2, &text);
	buf_char(&text, '\0');
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(line, sizeof(line), "starling_%s_total{event=\"%s\"} %zu\n", rows[i].group,
		         rows[i].key, 1100 + 2 * i);
		CHECK(strstr(text.at, line) != NULL);
	}
	CHECK(strstr(text.at, "starling_mesh_homes 14\n") != NULL);
	CHECK(strstr(text.at, "\nstarling_mesh_uncommitted_entries 1100\n") != NULL);
	CHECK(strstr(text.at, "\nstarling_mesh_replica_lag_entries 1001\n") != NULL);
	CHECK(strstr(text.at, "\nstarling_mesh_term 1002\n") != NULL);
	CHECK(strstr(text.at, "\nstarling_mesh_spare_replicas 103\n") != NULL);
	buf_free(&text);
	return 0;
}
