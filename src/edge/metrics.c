#include "edge/metrics.h"

void metrics_family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_name(struct buf *out, const char *name, const char *suffix, const char *labels)
{
	buf_string(out, name);
	buf_string(out, suffix);
	if (labels[0] != '\0')
		buf_format(out, "{%s}", labels);
	buf_char(out, ' ');
}

void metrics_value(struct buf *out, const char *name, const char *labels, uint64_t value)
{
	write_name(out, name, "", labels);
	buf_u64(out, value);
	buf_char(out, '\n');
}

void metrics_labelled(struct buf *out, const char *name, const char *label, const char *text,
                      uint64_t value)
{
	buf_format(out, "%s{%s=\"%s\"} ", name, label, text);
	buf_u64(out, value);
	buf_char(out, '\n');
}

void metrics_micro(struct buf *out, const char *name, const char *labels, uint64_t millionths)
{
	write_name(out, name, "", labels);
	buf_micro(out, millionths);
	buf_char(out, '\n');
}

static void write_bucket(struct buf *out, const char *name, const char *labels, unsigned bucket,
                         uint64_t count)
{
	buf_format(out, "%s_bucket{%s%sle=\"", name, labels, labels[0] == '\0' ? "" : ",");
	if (bucket < LATENCY_BOUNDS)
		buf_micro(out, latency_bounds_us[bucket]);
	else
		buf_string(out, "+Inf");
	buf_string(out, "\"} ");
	buf_u64(out, count);
	buf_char(out, '\n');
}

void metrics_latency(struct buf *out, const char *name, const char *labels,
                     const struct latency *latency)
{
	uint64_t count = 0;
	for (unsigned i = 0; i <= LATENCY_BOUNDS; i++) {
		count += latency->counts[i];
		write_bucket(out, name, labels, i, count);
	}
	write_name(out, name, "_sum", labels);
	buf_micro(out, latency->sum_us);
	buf_char(out, '\n');
	write_name(out, name, "_count", labels);
	buf_u64(out, count);
	buf_char(out, '\n');
}
