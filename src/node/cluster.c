#include "node/cluster.h"

#include <inttypes.h>
#include <stdlib.h>

#include "edge/metrics.h"
#include "node/figures.h"
#include "starling/version.h"
#include "wire/json.h"

/* ---- figures ---- */

/* There is one writer: what it reads is what it wrote. */
void mesh_figures_count(struct mesh_figures *figures, enum mesh_counter counter, uint64_t more)
{
	uint64_t value = atomic_load_explicit(&figures->counters[counter], memory_order_relaxed);
	atomic_store_explicit(&figures->counters[counter], value + more, memory_order_relaxed);
}

void mesh_figures_set_members(struct mesh_figures *figures, const struct membership *membership)
{
	uint64_t counts[MEMBER_STATE_COUNT] = {0};
	const struct member *member;
	counts[membership_state(membership)] = 1;
	for (size_t i = 0; (member = membership_member(membership, i)) != NULL; i++)
		counts[member_state_of(member)]++;
	for (size_t i = 0; i < MEMBER_STATE_COUNT; i++)
		atomic_store_explicit(&figures->members[i], counts[i], memory_order_relaxed);
}

void mesh_figures_set_waiting(struct mesh_figures *figures, const uint64_t *waiting)
{
	for (size_t i = 0; i < FRAME_LANE_EITHER; i++)
		atomic_store_explicit(&figures->waiting[i], waiting[i], memory_order_relaxed);
}

static const char *const lane_names[FRAME_LANE_EITHER] = {
	[FRAME_LANE_CONTROL] = "control",
	[FRAME_LANE_DATA] = "data",
};

static uint64_t waiting_of(const struct mesh_figures *figures, size_t lane)
{
	return atomic_load_explicit(&figures->waiting[lane], memory_order_relaxed);
}

static void write_waiting(const struct mesh_figures *figures, struct buf *out)
{
	buf_string(out, ",\"mesh_waiting_bytes\":");
	for (size_t i = 0; i < FRAME_LANE_EITHER; i++)
		buf_format(out, "%c\"%s\":%" PRIu64, i == 0 ? '{' : ',', lane_names[i],
		           waiting_of(figures, i));
	buf_char(out, '}');
}

static void write_members(const struct mesh_figures *figures, struct buf *out)
{
	buf_string(out, ",\"mesh_members\":");
	for (enum member_state state = 0; state < MEMBER_STATE_COUNT; state++)
		buf_format(out, "%c\"%s\":%" PRIu64, state == 0 ? '{' : ',',
		           member_state_name(state),
		           atomic_load_explicit(&figures->members[state], memory_order_relaxed));
	buf_char(out, '}');
}

static const struct figure_row counters[] = {
#define MESH_COUNTER(name, group, key, what) {group, key},
#include "starling/mesh_counter.def"
#undef MESH_COUNTER
};

static void read_counters(const struct mesh_figures *figures, uint64_t values[COUNT_OF(counters)])
{
	for (size_t i = 0; i < COUNT_OF(counters); i++)
		values[i] = atomic_load_explicit(&figures->counters[i], memory_order_relaxed);
}

void mesh_figures_write(const struct mesh_figures *figures, struct buf *out)
{
	uint64_t values[COUNT_OF(counters)];
	read_counters(figures, values);
	write_members(figures, out);
	write_waiting(figures, out);
	figures_write(counters, values, COUNT_OF(counters), out);
}

void mesh_figures_write_metrics(const struct mesh_figures *figures, struct buf *out)
{
	uint64_t values[COUNT_OF(counters)];
	read_counters(figures, values);
	metrics_family(out, "starling_mesh_members", "gauge",
	               "Nodes of the cluster by state, as this one finds them; itself included.");
	for (enum member_state state = 0; state < MEMBER_STATE_COUNT; state++)
		metrics_labelled(
			out, "starling_mesh_members", "state", member_state_name(state),
			atomic_load_explicit(&figures->members[state], memory_order_relaxed));
	metrics_family(out, "starling_mesh_waiting_bytes", "gauge",
	               "Bytes for other nodes that wait for their sockets, or their credit.");
	for (size_t i = 0; i < FRAME_LANE_EITHER; i++)
		metrics_labelled(out, "starling_mesh_waiting_bytes", "lane", lane_names[i],
		                 waiting_of(figures, i));
	figures_write_metrics(counters, values, COUNT_OF(counters), out);
}

/* ---- members ---- */

struct row {
	const char *name, *address, *release;
	enum member_state state;
	uint64_t incarnation;
	uint32_t clients, homes;
};

static void write_row(struct buf *out, const struct row *row)
{
	buf_string(out, "{\"node\":");
	json_string_append(out, slice_string(row->name));
	buf_string(out, ",\"address\":");
	json_string_append(out, slice_string(row->address));
	buf_format(out, ",\"state\":\"%s\",\"incarnation\":%" PRIu64 ",\"version\":",
	           member_state_name(row->state), row->incarnation);
	json_string_append(out, slice_string(row->release));
	buf_format(out, ",\"connections\":%" PRIu32 ",\"slots\":%" PRIu32 "}", row->clients,
	           row->homes);
}

static bool has_ended(const struct row *row)
{
	return row->state == MEMBER_DEAD || row->state == MEMBER_LEFT;
}

/* By name; of one name the living first, then the newest. */
static int compare(const void *a_at, const void *b_at)
{
	const struct row *a = a_at, *b = b_at;
	int order = strcmp(a->name, b->name);
	if (order != 0)
		return order;
	if (has_ended(a) != has_ended(b))
		return has_ended(a) ? 1 : -1;
	return a->incarnation > b->incarnation ? -1 : a->incarnation < b->incarnation;
}

static struct row row_of(const struct member *member)
{
	struct row row = {.name = member->name,
	                  .address = member->address,
	                  .release = member->release,
	                  .state = member_state_of(member),
	                  .incarnation = member->incarnation};
	if (!has_ended(&row)) {
		row.clients = member->clients;
		row.homes = member->homes;
	}
	return row;
}

static size_t collect(struct row *rows, const struct cluster_self *self,
                      const struct membership *membership)
{
	const struct member *member;
	size_t count = 0;
	rows[count++] = (struct row){.name = self->name,
	                             .address = self->address,
	                             .release = STARLING_VERSION,
	                             .state = self->state,
	                             .incarnation = self->incarnation,
	                             .clients = self->clients,
	                             .homes = self->homes};
	for (size_t i = 0;
	     membership != NULL && (member = membership_member(membership, i)) != NULL; i++)
		rows[count++] = row_of(member);
	qsort(rows, count, sizeof(rows[0]), compare);
	return count;
}

/* Of a node that was started again its former lives are not shown. */
static void write_rows(struct buf *out, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && strcmp(rows[i].name, rows[i - 1].name) == 0)
			continue;
		if (i > 0)
			buf_char(out, ',');
		write_row(out, &rows[i]);
	}
}

void cluster_write(struct buf *out, const struct cluster_self *self,
                   const struct membership *membership)
{
	size_t max = 1 + (membership == NULL ? 0 : membership_count(membership));
	struct row *rows = calloc(max, sizeof(*rows));
	if (rows == NULL) {
		out->is_broken = true;
		return;
	}
	buf_string(out, "{\"node\":");
	json_string_append(out, slice_string(self->name));
	buf_string(out, ",\"cluster\":");
	json_string_append(out, slice_string(self->cluster));
	buf_format(out, ",\"ready\":%s,\"members\":[",
	           self->state == MEMBER_READY ? "true" : "false");
	write_rows(out, rows, collect(rows, self, membership));
	buf_string(out, "]}");
	free(rows);
}
