#include "cmd/client.h"
#include "cmd/command.h"
#include "cmd/interrupt.h"
#include "cmd/options.h"
#include "ops/complaint.h"
#include "wire/json.h"

#define NAME_WIDTH_MAX 40 /* longer names push their value aside */

struct status {
	const struct client_settings *settings;
	struct reply stats, cluster;
	struct json_value figures; /* an object */
	struct json_value members; /* an array, or JSON_NONE: the node knows of no cluster */
};

/* ---- asking ---- */

static int fetch_stats(struct status *status, struct buf *error)
{
	size_t bad_at;
	if (client_fetch(status->settings, "GET /api/stats", &status->stats, error) < 0)
		return -1;
	if (!reply_is_good(&status->stats))
		return client_refused(&status->stats, "/api/stats", error);
	if (json_check(buf_view(&status->stats.body), JSON_DEPTH_MAX, &status->figures, &bad_at) &&
	    status->figures.kind == JSON_OBJECT)
		return 0;
	buf_string(error, "/api/stats: the answer is not a JSON object");
	return -1;
}

static int fetch_members(struct status *status, struct buf *error)
{
	struct json_field members = {.name = "members"};
	size_t bad_at;
	if (client_fetch(status->settings, "GET /api/cluster", &status->cluster, error) < 0)
		return -1;
	if (status->cluster.head.status == 404)
		return 0;
	if (!reply_is_good(&status->cluster))
		return client_refused(&status->cluster, "/api/cluster", error);
	if (json_read_object(buf_view(&status->cluster.body), JSON_DEPTH_MAX, &members, 1,
	                     &bad_at) &&
	    members.value.kind == JSON_ARRAY) {
		status->members = members.value;
		return 0;
	}
	buf_string(error, "/api/cluster: the answer has no members");
	return -1;
}

/* ---- as JSON: the figures and the members in one object ---- */

/* Line breaks in an answer stand between its parts only. */
static void write_line(struct buf *text, struct slice json)
{
	for (size_t i = 0; i < json.len; i++) {
		if (json.at[i] != '\n' && json.at[i] != '\r')
			buf_char(text, json.at[i]);
	}
}

static void write_json(const struct status *status, struct buf *text)
{
	CHECK(status->figures.kind == JSON_OBJECT);
	struct slice rest = json_open(status->figures), key;
	struct json_value value;
	buf_char(text, '{');
	while (json_next_member(&rest, &key, &value)) {
		if (json_string_equals(key, SLICE("members")))
			continue;
		write_line(text, key);
		buf_char(text, ':');
		write_line(text, value.raw);
		buf_char(text, ',');
	}
	buf_string(text, "\"members\":");
	write_line(text, status->members.kind == JSON_ARRAY ? status->members.raw : SLICE("[]"));
	buf_string(text, "}\n");
}

/* ---- as a table ---- */

/* A string without its quotes, all else as it is written; on one line. */
static void write_value(struct buf *text, struct json_value value)
{
	struct buf plain = {0};
	if (value.kind == JSON_STRING && json_string_decode(value.raw, &plain))
		complaint_text(text, buf_view(&plain));
	else
		write_line(text, value.raw);
	buf_free(&plain);
}

/* A figure, or one of a group of figures: then its name is GROUP.NAME. */
struct figure {
	struct slice group, key; /* as they are written, in quotes */
	struct json_value value;
};

struct figures {
	struct slice rest, rest_of_group, group; /* still to be gone through */
};

/* The next figure, groups taken apart. Of a group only what there is any of. */
static bool next_figure(struct figures *figures, struct figure *figure)
{
	for (;;) {
		while (json_next_member(&figures->rest_of_group, &figure->key, &figure->value)) {
			figure->group = figures->group;
			if (!slice_is(figure->value.raw, "0"))
				return true;
		}
		if (!json_next_member(&figures->rest, &figure->key, &figure->value))
			return false;
		figure->group = slice_of(NULL, 0);
		if (figure->value.kind != JSON_OBJECT)
			return true;
		figures->group = figure->key;
		figures->rest_of_group = json_open(figure->value);
	}
}

static void write_row(struct buf *text, size_t width, const struct figure *figure)
{
	size_t before = text->len;
	if (figure->group.len > 0) {
		write_value(text, (struct json_value){JSON_STRING, figure->group});
		buf_char(text, '.');
	}
	write_value(text, (struct json_value){JSON_STRING, figure->key});
	while (text->len - before < width && !text->is_broken)
		buf_char(text, ' ');
	buf_string(text, "  ");
	write_value(text, figure->value);
	buf_char(text, '\n');
}

static size_t width_of(struct json_value object)
{
	struct figures figures = {.rest = json_open(object)};
	struct figure figure;
	size_t width = strlen("member"), quotes = strlen("\"\"");
	while (next_figure(&figures, &figure)) {
		CHECK(figure.key.len >= quotes);
		size_t len = figure.key.len - quotes;
		if (figure.group.len > 0)
			len += figure.group.len - quotes + strlen(".");
		if (len > width && len <= NAME_WIDTH_MAX)
			width = len;
	}
	return width;
}

/* node, state, address and so on, as far as they are known of each. */
static void write_member(struct buf *text, size_t width, struct json_value member)
{
	static const char *const names[] = {"node", "state", "address", "version"};
	struct json_field fields[COUNT_OF(names)] = {0};
	size_t bad_at;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		fields[i].name = names[i];
	if (!json_read_object(member.raw, JSON_DEPTH_MAX, fields, COUNT_OF(fields), &bad_at))
		return;
	buf_format(text, "%-*s", (int)width, "member");
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (fields[i].value.kind == JSON_NONE)
			continue;
		buf_string(text, "  ");
		write_value(text, fields[i].value);
	}
	buf_char(text, '\n');
}

static void write_table(const struct status *status, struct buf *text)
{
	CHECK(status->figures.kind == JSON_OBJECT);
	size_t width = width_of(status->figures);
	struct figures figures = {.rest = json_open(status->figures)};
	struct figure figure;
	while (next_figure(&figures, &figure))
		write_row(text, width, &figure);
	if (status->members.kind != JSON_ARRAY)
		return;
	struct slice rest = json_open(status->members);
	struct json_value value;
	while (json_next_element(&rest, &value))
		write_member(text, width, value);
}

/* ---- the command ---- */

static int show(struct status *status, bool wants_json)
{
	struct buf text = {0};
	if (fetch_stats(status, &text) < 0 || fetch_members(status, &text) < 0)
		return command_fail(COMMAND_FAILED, &text);
	CHECK(text.len == 0);
	if (wants_json)
		write_json(status, &text);
	else
		write_table(status, &text);
	return command_answer(&text);
}

int cmd_status(int argc, char **argv)
{
	struct client_settings settings;
	struct status status = {.settings = &settings};
	struct buf error = {0};
	char *url = NULL, *api_key = NULL;
	bool wants_json = false;
	const struct option_row rows[] = {
		{0, "url", OPTION_VALUE, &url},
		{0, "api-key", OPTION_VALUE, &api_key},
		{0, "json", OPTION_FLAG, &wants_json},
	};
	if (options_parse("status", rows, COUNT_OF(rows), argc, argv, &error) < 0 ||
	    client_settings_read(&settings, url, api_key, &error) < 0)
		return command_fail(COMMAND_MISUSED, &error);
	interrupt_mute_pipes();
	int result = show(&status, wants_json);
	reply_free(&status.stats);
	reply_free(&status.cluster);
	return result;
}
