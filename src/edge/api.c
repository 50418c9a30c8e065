/*
 * The server API (SPEC section 7): publishing and history for backends. One publication is one
 * hub command, whose event is the answer (http_event()); several go through batch.c.
 */
#include "edge/access.h"
#include "edge/batch.h"
#include "edge/exchange.h"
#include "edge/parameter.h"
#include "edge/route.h"
#include "http/query.h"
#include "wire/json.h"
#include "wire/sse_event.h"

/* ---- a publication as a JSON object ---- */

#define PUBLICATION_DEPTH_MAX (MESSAGE_DEPTH_MAX + 1)

enum field {
	FIELD_CHANNEL = 0,
	FIELD_CHANNELS,
	FIELD_DATA,
	FIELD_EVENT,
	FIELD_KEY,
	FIELD_IDEMPOTENCY_KEY,
	FIELD_USER,
	FIELD_EXCEPT,
	FIELD_COUNT,
};

static const char *const field_names[FIELD_COUNT] = {
	[FIELD_CHANNEL] = "channel", [FIELD_CHANNELS] = "channels",
	[FIELD_DATA] = "data",       [FIELD_EVENT] = "event",
	[FIELD_KEY] = "key",         [FIELD_IDEMPOTENCY_KEY] = "idempotency_key",
	[FIELD_USER] = "user",       [FIELD_EXCEPT] = "except",
};

struct text_field {
	enum field field;
	size_t len_max;
	const char *why;
	struct slice *out;
};

struct reading {
	struct json_field fields[FIELD_COUNT];
	struct hub_command command; /* all but, with `channels`, the channel */
	struct buf *made;           /* what was decoded; has room, so that nothing moves */
};

/* A field that is a string, or absent. */
static bool read_text(struct reading *r, const struct text_field *text)
{
	struct json_value value = r->fields[text->field].value;
	size_t before = r->made->len;
	if (value.kind == JSON_NONE)
		return true;
	if (value.kind != JSON_STRING || !json_string_decode(value.raw, r->made))
		return false;
	*text->out = buf_since(r->made, before);
	return text->out->len <= text->len_max;
}

static const char *read_texts(struct edge *edge, struct reading *r)
{
	struct publication *publication = &r->command.publication;
	struct slice except = {0};
	const struct text_field texts[] = {
		{FIELD_CHANNEL, SIZE_MAX, "channel is not a string", &r->command.channel},
		{FIELD_EVENT, EVENT_NAME_MAX, "event is not a string of at most 255 bytes",
	         &publication->event},
		{FIELD_KEY, MESSAGE_KEY_MAX, "key is not a string of at most 255 bytes",
	         &publication->key},
		{FIELD_IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_MAX,
	         "idempotency_key is not a string of at most 255 bytes",
	         &publication->idempotency_key},
		{FIELD_USER, USER_NAME_MAX, "user is not a string of at most 255 bytes",
	         &r->command.user},
		{FIELD_EXCEPT, CONN_ID_MAX, "except is not the id of a connection", &except},
	};
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		if (!read_text(r, &texts[i]))
			return texts[i].why;
	}
	if (!sse_event_name_is_valid(publication->event))
		return "event does not stand on one line";
	r->command.except = conn_except(edge, except);
	return NULL;
}

/* NULL: `r` holds the command. Else a sentence that says what is wrong. */
static const char *read_publication(struct edge *edge, struct slice object, struct buf *made,
                                    struct reading *r, enum error_code *error)
{
	size_t bad_at;
	*r = (struct reading){.made = made};
	*error = ERROR_BAD_REQUEST;
	for (int i = 0; i < FIELD_COUNT; i++)
		r->fields[i].name = field_names[i];
	if (!json_read_object(object, PUBLICATION_DEPTH_MAX, r->fields, FIELD_COUNT, &bad_at))
		return "not a JSON object, or nested too deep";
	struct slice data = r->fields[FIELD_DATA].value.raw;
	if (r->fields[FIELD_DATA].value.kind == JSON_NONE)
		return "data is missing";
	const char *why = read_texts(edge, r);
	if (why != NULL)
		return why;
	*error = ERROR_TOO_LARGE;
	if (data.len > API_MESSAGE_BYTES_MAX)
		return "data is too large";
	*error = ERROR_NONE;
	r->command.type = COMMAND_PUBLISH;
	r->command.publication.payload = data;
	return NULL;
}

/* Decoding never lengthens: with this room nothing that was decoded will move. */
static bool reserve(struct buf *made, struct slice text)
{
	return buf_room(made, text.len + 1) != NULL;
}

/* ---- POST /api/publish ---- */

static void publish_to_many(struct edge *edge, struct conn *conn, const struct reading *r)
{
	struct json_value channels = r->fields[FIELD_CHANNELS].value, name;
	size_t count = 0;
	struct slice rest = {0};
	if (channels.kind == JSON_ARRAY)
		rest = json_open(channels);
	while (json_next_element(&rest, &name))
		count++;
	if (r->fields[FIELD_CHANNEL].value.kind != JSON_NONE || count == 0 || count > BATCH_MAX) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST,
		                "channels is a list of 1 to 1000, and stands without channel");
		return;
	}
	if (count * r->command.publication.payload.len > API_SPREAD_BYTES_MAX) {
		exchange_refuse(edge, conn, ERROR_TOO_LARGE, "data is too large for so many");
		return;
	}
	struct batch *batch = batch_begin(edge, conn, count);
	if (batch == NULL)
		return;
	rest = json_open(channels);
	while (json_next_element(&rest, &name)) {
		struct hub_command command = r->command;
		size_t before = r->made->len;
		if (name.kind != JSON_STRING || !json_string_decode(name.raw, r->made)) {
			batch_refuse(batch, ERROR_BAD_REQUEST, "a channel is not a string");
			continue;
		}
		command.channel = buf_since(r->made, before);
		batch_execute(edge, conn, batch, &command);
	}
	batch_end(edge, conn);
}

static void publish(struct edge *edge, struct conn *conn, struct slice body, struct buf *made)
{
	struct reading r;
	enum error_code error;
	const char *why = read_publication(edge, body, made, &r, &error);
	if (why != NULL)
		exchange_refuse(edge, conn, error, why);
	else if (r.fields[FIELD_CHANNELS].value.kind != JSON_NONE)
		publish_to_many(edge, conn, &r);
	else if (r.fields[FIELD_CHANNEL].value.kind == JSON_NONE)
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST, "channel is missing");
	else
		hub_execute(edge->hub, &conn->session, &r.command);
}

void api_publish(struct edge *edge, struct conn *conn, const struct http_request *request,
                 struct slice body)
{
	struct buf made = {0};
	const char *why;
	enum error_code error = access_identify_backend(edge, conn, request, &why);
	if (error != ERROR_NONE)
		exchange_refuse(edge, conn, error, why);
	else if (!reserve(&made, body))
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else
		publish(edge, conn, body, &made);
	buf_free(&made);
}

/* ---- POST /api/batch ---- */

#define BATCH_DEPTH 2 /* brackets around an entry */

static void execute_entry(struct edge *edge, struct conn *conn, struct batch *batch,
                          struct slice object, struct buf *made)
{
	struct reading r;
	enum error_code error;
	const char *why = read_publication(edge, object, made, &r, &error);
	if (why == NULL && r.fields[FIELD_CHANNEL].value.kind == JSON_NONE)
		why = "channel is missing";
	if (why == NULL && r.fields[FIELD_CHANNELS].value.kind != JSON_NONE)
		why = "an entry has one channel: channels is for /api/publish";
	if (why != NULL)
		batch_refuse(batch, error == ERROR_NONE ? ERROR_BAD_REQUEST : error, why);
	else
		batch_execute(edge, conn, batch, &r.command);
}

static void execute_entries(struct edge *edge, struct conn *conn, struct json_value messages,
                            struct buf *made)
{
	struct json_value entry;
	size_t count = 0;
	struct slice rest = json_open(messages);
	while (json_skim_element(&rest, PUBLICATION_DEPTH_MAX, &entry))
		count++;
	if (count == 0 || count > BATCH_MAX) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST, "messages is a list of 1 to 1000");
		return;
	}
	struct batch *batch = batch_begin(edge, conn, count);
	if (batch == NULL)
		return;
	rest = json_open(messages);
	while (json_skim_element(&rest, PUBLICATION_DEPTH_MAX, &entry))
		execute_entry(edge, conn, batch, entry.raw, made);
	batch_end(edge, conn);
}

void api_batch(struct edge *edge, struct conn *conn, const struct http_request *request,
               struct slice body)
{
	struct json_field messages = {.name = "messages"};
	struct buf made = {0};
	size_t bad_at;
	const char *why;
	enum error_code error = access_identify_backend(edge, conn, request, &why);
	if (error != ERROR_NONE)
		exchange_refuse(edge, conn, error, why);
	else if (!json_skim_object(body, BATCH_DEPTH + PUBLICATION_DEPTH_MAX, &messages, 1,
	                           &bad_at) ||
	         messages.value.kind != JSON_ARRAY)
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST,
		                "the body is not a JSON object with messages, a list");
	else if (!reserve(&made, body))
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else
		execute_entries(edge, conn, messages.value, &made);
	buf_free(&made);
}

/* ---- GET /api/channels/C/history ---- */

static const char *read_history(const struct http_request *request, struct buf *name,
                                struct hub_command *command)
{
	struct buf since = {0};
	command->type = COMMAND_HISTORY;
	struct slice part = route_part(request, "/api/channels/*/history");
	if (!http_path_decode(part, name))
		return "the channel in the path is not decodable";
	if (name->is_broken)
		return why_no_memory;
	command->channel = buf_view(name);
	enum parameter_result got = parameter_get(request, "since", &since);
	command->has_since = got == PARAMETER_FOUND && since.len > 0;
	bool is_cursor = !command->has_since || cursor_parse(buf_view(&since), &command->since);
	buf_free(&since);
	if (got == PARAMETER_NO_MEMORY)
		return why_no_memory;
	if (got == PARAMETER_BAD || !is_cursor)
		return "since is not a cursor";
	got = parameter_number(request, "limit", &command->limit);
	command->has_limit = got == PARAMETER_FOUND;
	if (got == PARAMETER_NO_MEMORY)
		return why_no_memory;
	return got == PARAMETER_BAD ? "limit is not a whole number" : NULL;
}

void api_history(struct edge *edge, struct conn *conn, const struct http_request *request,
                 struct slice body)
{
	(void)body;
	struct hub_command command = {0};
	struct buf name = {0};
	if (!exchange_is_backend(edge, conn, request))
		return;
	const char *why = read_history(request, &name, &command);
	if (why == NULL)
		hub_execute(edge->hub, &conn->session, &command);
	else
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST, why);
	buf_free(&name);
}
