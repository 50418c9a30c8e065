/*
 * What the server API shows of the node, and does to single connections (SPEC section 7): channels,
 * connections, figures. Each is a survey of the workers.
 */
#include <stdlib.h>

#include "dialect/native.h"
#include "edge/access.h"
#include "edge/parameter.h"
#include "edge/route.h"
#include "edge/survey.h"
#include "http/query.h"
#include "starling/version.h"
#include "wire/json.h"

#define CHANNELS_LIMIT_DEFAULT 100
#define CHANNELS_LIMIT_MAX 1000

static const char *const why_no_memory = "the server is out of memory";

static void answer_json(struct edge *edge, struct conn *conn, struct buf *body)
{
	if (body->is_broken)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else
		exchange_json(edge, conn, 200, buf_view(body));
	buf_free(body);
}

static bool is_backend(struct edge *edge, struct conn *conn, const struct http_request *request)
{
	const char *why;
	enum error_code error = access_identify_backend(edge, conn, request, &why);
	if (error != ERROR_NONE)
		exchange_refuse(edge, conn, error, why);
	return error == ERROR_NONE;
}

/* ---- channels ---- */

static bool add_channel(struct note *note, const struct hub_listed *listed)
{
	struct note_channel *channel = &note->channels[note->count];
	*channel = (struct note_channel){.followers = listed->followers,
	                                 .epoch = listed->epoch,
	                                 .seq = listed->seq,
	                                 .is_agent = listed->is_agent};
	buf_slice(&channel->name, listed->name);
	note->count++;
	return !channel->name.is_broken;
}

/* This worker's channels behind note->after with that prefix, by name, note->number at most. */
static void list_channels(struct edge *edge, struct note *note)
{
	size_t max = (size_t)note->number;
	struct hub_listed *listed = calloc(max, sizeof(*listed));
	note->channels = calloc(max, sizeof(*note->channels));
	note->is_found = listed != NULL && note->channels != NULL;
	if (note->is_found) {
		size_t count = hub_list(edge->hub, buf_view(&note->text), buf_view(&note->after),
		                        listed, max);
		for (size_t i = 0; i < count && note->is_found; i++)
			note->is_found = add_channel(note, &listed[i]);
	}
	free(listed);
}

/* The name that comes first among those not yet written; NULL: none. */
static const struct note_channel *next_channel(struct note *const *notes, size_t count,
                                               const size_t *positions)
{
	const struct note_channel *first = NULL;
	for (size_t i = 0; i < count; i++) {
		if (positions[i] == notes[i]->count)
			continue;
		const struct note_channel *one = &notes[i]->channels[positions[i]];
		if (first == NULL ||
		    slice_compare(buf_view(&one->name), buf_view(&first->name)) < 0)
			first = one;
	}
	return first;
}

/* What all workers say of the channel of that name, which is the next of theirs. */
static struct note_channel merge(struct note *const *notes, size_t count, size_t *positions,
                                 const struct note_channel *first)
{
	struct note_channel merged = {.name = first->name};
	for (size_t i = 0; i < count; i++) {
		if (positions[i] == notes[i]->count)
			continue;
		const struct note_channel *one = &notes[i]->channels[positions[i]];
		if (!slice_equals(buf_view(&one->name), buf_view(&first->name)))
			continue;
		positions[i]++;
		merged.followers += one->followers;
		if (one->is_agent) {
			merged.is_agent = true;
			merged.epoch = one->epoch;
			merged.seq = one->seq;
		}
	}
	return merged;
}

static void write_channel(struct buf *out, const struct note_channel *channel)
{
	buf_string(out, "{\"channel\":");
	json_string_append(out, buf_view(&channel->name));
	buf_string(out, ",\"subscribers\":");
	buf_u64(out, channel->followers);
	if (channel->is_agent) {
		buf_string(out, ",\"cursor\":");
		native_cursor(out, channel->epoch, channel->seq);
	}
	buf_char(out, '}');
}

static bool all_found(struct note *const *notes, size_t count)
{
	bool all = true;
	for (size_t i = 0; i < count; i++)
		all &= notes[i]->is_found;
	return all;
}

static void finish_channels(struct edge *edge, struct conn *conn, struct note *const *notes,
                            size_t count)
{
	size_t positions[WORKERS_MAX] = {0};
	struct buf body = {0};
	const struct note_channel *first;
	struct note_channel last = {0};
	if (!all_found(notes, count)) {
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
		return;
	}
	/* Each was asked for one more than the page holds, to know whether there is one. */
	size_t limit = (size_t)notes[0]->number - 1, written = 0;
	buf_string(&body, "{\"channels\":[");
	while (written < limit && (first = next_channel(notes, count, positions)) != NULL) {
		last = merge(notes, count, positions, first);
		if (written++ > 0)
			buf_char(&body, ',');
		write_channel(&body, &last);
	}
	buf_char(&body, ']');
	if (written > 0 && next_channel(notes, count, positions) != NULL) {
		buf_string(&body, ",\"next\":");
		json_string_append(&body, buf_view(&last.name));
	}
	buf_char(&body, '}');
	answer_json(edge, conn, &body);
}

static const struct survey_kind survey_channels = {list_channels, finish_channels};

void api_channels(struct edge *edge, struct conn *conn, const struct http_request *request,
                  struct slice body)
{
	(void)body;
	struct buf prefix = {0}, after = {0};
	uint64_t limit = CHANNELS_LIMIT_DEFAULT;
	if (!is_backend(edge, conn, request))
		return;
	bool is_bad = parameter_get(request, "prefix", &prefix) == PARAMETER_BAD ||
	              parameter_get(request, "next", &after) == PARAMETER_BAD ||
	              parameter_number(request, "limit", &limit) == PARAMETER_BAD || limit == 0;
	if (is_bad) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST,
		                "prefix or next is not decodable, or limit no number above 0");
		buf_free(&prefix);
		buf_free(&after);
		return;
	}
	limit = limit > CHANNELS_LIMIT_MAX ? CHANNELS_LIMIT_MAX : limit;
	survey_all(edge, conn, &survey_channels, limit + 1, &prefix, &after);
}

static void find_channel(struct edge *edge, struct note *note)
{
	struct hub_listed listed;
	note->channels = calloc(1, sizeof(*note->channels));
	note->is_found = note->channels != NULL;
	if (note->is_found && hub_look_up(edge->hub, buf_view(&note->text), &listed))
		note->is_found = add_channel(note, &listed);
}

static void finish_channel(struct edge *edge, struct conn *conn, struct note *const *notes,
                           size_t count)
{
	size_t positions[WORKERS_MAX] = {0};
	struct buf body = {0};
	const struct note_channel *first = next_channel(notes, count, positions);
	if (!all_found(notes, count)) {
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	} else if (first == NULL) {
		exchange_refuse(edge, conn, ERROR_NOT_FOUND,
		                "nobody subscribes to this channel, and nothing is held");
	} else {
		struct note_channel merged = merge(notes, count, positions, first);
		write_channel(&body, &merged);
		answer_json(edge, conn, &body);
	}
}

static const struct survey_kind survey_channel = {find_channel, finish_channel};

void api_channel(struct edge *edge, struct conn *conn, const struct http_request *request,
                 struct slice body)
{
	(void)body;
	struct buf name = {0}, none = {0};
	if (!is_backend(edge, conn, request))
		return;
	if (!http_path_decode(route_part(request, "/api/channels/*"), &name) ||
	    !channel_name_is_valid(buf_view(&name))) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST, "not the name of a channel");
		buf_free(&name);
		return;
	}
	survey_all(edge, conn, &survey_channel, 0, &name, &none);
}

/* ---- connections ---- */

static struct conn *find_conn(struct edge *edge, uint64_t number)
{
	struct slab_handle handle = {(uint32_t)(number >> 32) & 0xffffff, (uint32_t)number};
	struct conn *conn = slab_at(&edge->conns, handle);
	bool is_client = conn != NULL && !conn->session.is_ended && conn->transport->name != NULL &&
	                 conn->transport != &transport_http;
	return is_client ? conn : NULL;
}

static void describe_conn(struct edge *edge, struct note *note)
{
	char id[CONN_ID_MAX];
	const struct conn *conn = find_conn(edge, note->number);
	struct buf *out = &note->body;
	note->is_found = conn != NULL;
	if (conn == NULL)
		return;
	buf_string(out, "{\"id\":\"");
	buf_append(out, id, conn_id(edge, conn, id));
	buf_string(out, "\",\"user\":");
	if (session_user(&conn->session).len == 0)
		buf_string(out, "null");
	else
		json_string_append(out, session_user(&conn->session));
	buf_string(out, ",\"node\":");
	json_string_append(out, slice_string(edge->options.node->name));
	buf_string(out, ",\"transport\":\"");
	buf_string(out, conn->transport->name);
	buf_string(out, "\",\"since\":");
	buf_u64(out, conn->opened_unix_ms);
	buf_string(out, ",\"channels\":[");
	const struct follower *follower = conn->session.first;
	for (; follower != NULL; follower = follower->next_of_session) {
		json_string_append(out, channel_name(follower->channel));
		if (follower->next_of_session != NULL)
			buf_char(out, ',');
	}
	buf_string(out, "]}");
}

static void finish_conn(struct edge *edge, struct conn *conn, struct note *const *notes,
                        size_t count)
{
	CHECK(count == 1);
	struct buf body = {0};
	if (!notes[0]->is_found) {
		exchange_refuse(edge, conn, ERROR_NOT_FOUND, "there is no such connection");
		return;
	}
	buf_swap(&body, &notes[0]->body); /* the note goes with the answer */
	answer_json(edge, conn, &body);
}

static void end_conn(struct edge *edge, struct note *note)
{
	struct conn *conn = find_conn(edge, note->number);
	note->is_found = conn != NULL;
	if (conn != NULL)
		conn_end(edge, conn, CLOSE_DISCONNECTED);
	buf_string(&note->body, "{\"disconnected\":1}");
}

static void send_to_conn(struct edge *edge, struct note *note)
{
	struct conn *conn = find_conn(edge, note->number);
	struct hub_event event = {.type = EVENT_DIRECT, .data = buf_view(&note->text)};
	note->is_found = conn != NULL && conn->transport != &transport_poll &&
	                 conn->transport != &transport_echo;
	if (note->is_found)
		conn->transport->event(edge, conn, &event);
	buf_string(&note->body, "{\"sent\":1}");
}

static const struct survey_kind survey_describe = {describe_conn, finish_conn};
static const struct survey_kind survey_end = {end_conn, finish_conn};
static const struct survey_kind survey_send = {send_to_conn, finish_conn};

/* The number of the connection that the path names; 0: of none here, and that was answered. */
static uint64_t conn_in_path(struct edge *edge, struct conn *conn,
                             const struct http_request *request, const char *pattern)
{
	struct buf id = {0};
	uint64_t number = 0;
	if (http_path_decode(route_part(request, pattern), &id))
		number = conn_number_of(edge, buf_view(&id));
	buf_free(&id);
	if (number >> 56 >= edge->options.workers)
		number = 0;
	if (number == 0)
		exchange_refuse(edge, conn, ERROR_NOT_FOUND, "there is no such connection");
	return number;
}

void api_connection(struct edge *edge, struct conn *conn, const struct http_request *request,
                    struct slice body)
{
	(void)body;
	struct buf none = {0};
	if (!is_backend(edge, conn, request))
		return;
	uint64_t number = conn_in_path(edge, conn, request, "/api/connections/*");
	bool is_end = request->method == HTTP_DELETE;
	if (number != 0)
		survey_one(edge, conn, is_end ? &survey_end : &survey_describe, number, &none);
}

void api_send(struct edge *edge, struct conn *conn, const struct http_request *request,
              struct slice body)
{
	struct json_field data = {.name = "data"};
	struct buf text = {0};
	size_t bad_at;
	if (!is_backend(edge, conn, request))
		return;
	if (!json_read_object(body, MESSAGE_DEPTH_MAX + 1, &data, 1, &bad_at) ||
	    data.value.kind == JSON_NONE) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST,
		                "the body is not a JSON object with data");
		return;
	}
	uint64_t number = conn_in_path(edge, conn, request, "/api/connections/*/send");
	if (number == 0)
		return;
	buf_slice(&text, data.value.raw);
	survey_one(edge, conn, &survey_send, number, &text);
}

/* ---- figures ---- */

static void count_all(struct edge *edge, struct note *note)
{
	edge_count(edge, &note->stats);
	note->is_found = true;
}

static void finish_stats(struct edge *edge, struct conn *conn, struct note *const *notes,
                         size_t count)
{
	struct edge_stats sum = {0};
	struct buf body = {0};
	for (size_t i = 0; i < count; i++)
		edge_stats_add(&sum, &notes[i]->stats);
	buf_string(&body, "{\"node\":");
	json_string_append(&body, slice_string(edge->options.node->name));
	buf_string(&body, ",\"version\":\"" STARLING_VERSION "\",\"uptime\":");
	buf_u64(&body, (loop_unix_ms(edge->loop) - edge->options.node->started_unix_ms) / 1000);
	buf_string(&body, ",\"workers\":");
	buf_u64(&body, edge->options.workers);
	edge_stats_write(&body, &sum);
	buf_char(&body, '}');
	answer_json(edge, conn, &body);
}

static const struct survey_kind survey_stats = {count_all, finish_stats};

void api_stats(struct edge *edge, struct conn *conn, const struct http_request *request,
               struct slice body)
{
	(void)body;
	struct buf none = {0}, also_none = {0};
	if (is_backend(edge, conn, request))
		survey_all(edge, conn, &survey_stats, 0, &none, &also_none);
}
