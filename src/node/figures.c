#include "node/figures.h"

#include <inttypes.h>

#include "base/check.h"
#include "edge/metrics.h"

void figures_write(const struct figure_row *rows, const uint64_t *values, size_t count,
                   struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || strcmp(rows[i].group, rows[i - 1].group) != 0)
			buf_format(out, "%s,\"%s\":{", i == 0 ? "" : "}", rows[i].group);
		else
			buf_char(out, ',');
		buf_format(out, "\"%s\":%" PRIu64, rows[i].key, values[i]);
	}
	buf_char(out, '}');
}

/* What the groups are to Prometheus. */
static const struct family {
	const char *group, *metric, *label, *help;
} families[] = {
	{"mesh_bytes", "starling_mesh_bytes_total", "direction",
         "Bytes from and to other nodes, with TLS."},
	{"mesh_frames", "starling_mesh_frames_total", "direction",
         "Frames from and to other nodes; left_out: not sent, as too much waited."},
	{"mesh_links", "starling_mesh_links_total", "event",
         "Links to other nodes that came to stand or ended, and dials that failed."},
	{"mesh_refused", "starling_mesh_refused_total", "reason",
         "Connections to the mesh port that were refused."},
	{"mesh_slots", "starling_mesh_slots_total", "event",
         "Slots of channels that this node came to be home of, and what became of their copies."},
	{"mesh_entries", "starling_mesh_entries_total", "event",
         "Publications and ends of channels in the logs that nodes keep together."},
	{"mesh_asked", "starling_mesh_asked_total", "event",
         "What this node asked others on behalf of its clients; failed: nobody answered in time."},
	{"mesh_tails", "starling_mesh_tails_total", "event",
         "Slots whose home was told anew whom this node follows, and orders that broke off."},
	{"mesh_presence", "starling_mesh_presence_total", "event",
         "Users whose presence homes elsewhere were told of; slots where they had to be, anew."},
	{"mesh_places", "starling_mesh_places_total", "event",
         "Connections that were counted over all nodes before they were let in."},
	{"mesh_letters", "starling_mesh_letters_total", "event",
         "Messages between nodes that were left out, lost, or could not be read."},
};

static const struct family *family_of(const char *group)
{
	size_t i = 0;
	while (strcmp(families[i].group, group) != 0) {
		i++;
		CHECK(i < COUNT_OF(families));
	}
	return &families[i];
}

void figures_write_metrics(const struct figure_row *rows, const uint64_t *values, size_t count,
                           struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		const struct family *family = family_of(rows[i].group);
		if (i == 0 || strcmp(rows[i].group, rows[i - 1].group) != 0)
			metrics_family(out, family->metric, "counter", family->help);
		metrics_labelled(out, family->metric, family->label, rows[i].key, values[i]);
	}
}
