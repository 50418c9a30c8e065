/* What is shown of the mesh: every row of mesh_counter.def, and members in their order. */
#include "node/cluster.h"

#include <stdio.h>

#include "starling/version.h"
#include "wire/json.h"

static uint64_t figure(const struct buf *text, const char *group, const char *key)
{
	struct json_field of_group = {.name = group}, of_key = {.name = key};
	size_t bad_at;
	CHECK(json_read_object(buf_view(text), 8, &of_group, 1, &bad_at));
	CHECK(of_group.value.kind == JSON_OBJECT);
	CHECK(json_read_object(of_group.value.raw, 8, &of_key, 1, &bad_at));
	CHECK(of_key.value.kind == JSON_NUMBER);
	uint64_t value = 0;
	for (size_t i = 0; i < of_key.value.raw.len; i++)
		value = 10 * value + (uint64_t)(of_key.value.raw.at[i] - '0');
	return value;
}

static void every_counter_is_shown(void)
{
	static const struct {
		const char *group, *key, *what;
	} rows[] = {
#define MESH_COUNTER(name, group, key, what) {group, key, what},
#include "starling/mesh_counter.def"
#undef MESH_COUNTER
	};
	struct mesh_figures figures = {0};
	struct buf text = {0};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		mesh_figures_count(&figures, (enum mesh_counter)i, 100 + i);
	mesh_figures_set_waiting(&figures, (const uint64_t[FRAME_LANE_EITHER]){5, 6});
	buf_string(&text, "{\"first\":0");
	mesh_figures_write(&figures, &text);
	buf_char(&text, '}');
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		printf("cluster: %s.%s is shown\n", rows[i].group, rows[i].key);
		CHECK(figure(&text, rows[i].group, rows[i].key) == 100 + i);
		CHECK(rows[i].what[0] != '\0');
	}
	for (enum member_state state = 0; state < MEMBER_STATE_COUNT; state++)
		CHECK(figure(&text, "mesh_members", member_state_name(state)) == 0);
	printf("cluster: what waits in each lane is shown\n");
	CHECK(figure(&text, "mesh_waiting_bytes", "control") == 5);
	CHECK(figure(&text, "mesh_waiting_bytes", "data") == 6);
	buf_clear(&text);
	mesh_figures_write_metrics(&figures, &text);
	buf_char(&text, '\0');
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char line[128];
		snprintf(line, sizeof(line), "=\"%s\"} %zu\n", rows[i].key, 100 + i);
		CHECK(strstr(text.at, line) != NULL);
	}
	CHECK(strstr(text.at, "starling_mesh_bytes_total{direction=\"in\"} 100\n") != NULL);
	CHECK(strstr(text.at, "starling_mesh_members{state=\"ready\"} 0\n") != NULL);
	CHECK(strstr(text.at, "\nstarling_mesh_waiting_bytes{lane=\"data\"} 6\n") != NULL);
	buf_free(&text);
}

/* ---- members ---- */

static void out_send(struct membership_out *out, struct member *to, enum frame_type type,
                     struct slice body)
{
	(void)out;
	(void)to;
	(void)type;
	(void)body;
}

static void out_dial(struct membership_out *out, struct slice address)
{
	(void)out;
	(void)address;
}

static void out_close(struct membership_out *out, struct member *member, enum bye why)
{
	(void)out;
	(void)member;
	(void)why;
}

static void out_changed(struct membership_out *out, const struct member *member)
{
	(void)out;
	(void)member;
}

static void out_accused(struct membership_out *out)
{
	(void)out;
}

static struct membership_out out = {out_send, out_dial, out_close, out_changed, out_accused};

static struct member *join(struct membership *membership, uint64_t boot, const char *name,
                           enum member_state state)
{
	struct hello hello = {.version_min = 1,
	                      .version_max = 1,
	                      .boot = {{boot, 1}},
	                      .incarnation = 1000 + boot,
	                      .state = state,
	                      .cluster = SLICE("c"),
	                      .name = slice_string(name),
	                      .address = slice_string(name),
	                      .release = SLICE("9.9")};
	struct member *member = NULL;
	CHECK(membership_link_up(membership, &hello, 1000, &member) == BYE_COUNT);
	return member;
}

static void end(struct membership *membership, struct member *member)
{
	membership_link_down(membership, member, LINK_END_CLOSED, 1000);
	membership_dial_failed(membership, slice_string(member->address), true, 1000);
	membership_dial_failed(membership, slice_string(member->address), true, 1000);
}

static void members_are_shown_by_name(void)
{
	printf("cluster: members stand by name, of those that were started again the last life\n");
	struct membership_options options = {.out = &out,
	                                     .boot = {{100, 1}},
	                                     .cluster = SLICE("c"),
	                                     .name = SLICE("m"),
	                                     .address = SLICE("m:1"),
	                                     .release = SLICE("1"),
	                                     .now_ms = 1000};
	struct membership *membership = membership_create(&options);
	struct cluster_self self = {.name = "m",
	                            .cluster = "c",
	                            .address = "m:1",
	                            .state = MEMBER_READY,
	                            .incarnation = 5,
	                            .clients = 6,
	                            .homes = 7};
	struct buf text = {0};
	CHECK(membership != NULL);
	join(membership, 1, "z", MEMBER_JOINING);
	struct member *former = join(membership, 2, "b", MEMBER_READY);
	former->clients = 11;
	end(membership, former);
	struct member *now = join(membership, 3, "b", MEMBER_DRAINING);
	now->clients = 12;
	now->homes = 13;
	struct member *dead = join(membership, 4, "a", MEMBER_READY);
	dead->clients = 14;
	end(membership, dead);
	cluster_write(&text, &self, membership);
	CHECK(slice_is(
		buf_view(&text),
		"{\"node\":\"m\",\"cluster\":\"c\",\"ready\":true,\"members\":["
		"{\"node\":\"a\",\"address\":\"a\",\"state\":\"dead\","
		"\"incarnation\":1004,\"version\":\"9.9\",\"connections\":0,\"slots\":0},"
		"{\"node\":\"b\",\"address\":\"b\",\"state\":\"draining\","
		"\"incarnation\":1003,\"version\":\"9.9\",\"connections\":12,\"slots\":13},"
		"{\"node\":\"m\",\"address\":\"m:1\",\"state\":\"ready\","
		"\"incarnation\":5,\"version\":\"" STARLING_VERSION
		"\",\"connections\":6,\"slots\":7},"
		"{\"node\":\"z\",\"address\":\"z\",\"state\":\"joining\","
		"\"incarnation\":1001,\"version\":\"9.9\",\"connections\":0,\"slots\":0}]}"));
	struct mesh_figures figures = {0};
	mesh_figures_set_members(&figures, membership);
	buf_clear(&text);
	buf_string(&text, "{\"first\":0");
	mesh_figures_write(&figures, &text);
	buf_char(&text, '}');
	CHECK(figure(&text, "mesh_members", "ready") == 1);
	CHECK(figure(&text, "mesh_members", "joining") == 1);
	CHECK(figure(&text, "mesh_members", "draining") == 1);
	CHECK(figure(&text, "mesh_members", "dead") == 2);
	buf_free(&text);
	membership_destroy(membership);
}

static void who_is_alone_is_shown(void)
{
	printf("cluster: a node without a mesh is all there is\n");
	struct cluster_self self = {
		.name = "n", .cluster = "c", .address = "a:1", .state = MEMBER_DRAINING};
	struct buf text = {0};
	cluster_write(&text, &self, NULL);
	CHECK(slice_starts(buf_view(&text),
	                   SLICE("{\"node\":\"n\",\"cluster\":\"c\",\"ready\":false,\"members\":["
	                         "{\"node\":\"n\",\"address\":\"a:1\",\"state\":\"draining\"")));
	buf_free(&text);
}

int main(void)
{
	every_counter_is_shown();
	members_are_shown_by_name();
	who_is_alone_is_shown();
	return 0;
}
