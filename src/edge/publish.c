/*
 * Publishing and history over HTTP: as a client (SPEC section 5) and by the server API
 * (section 7). Each becomes one hub command; its event is the answer (http_event()).
 */
#include "edge/access.h"
#include "edge/exchange.h"
#include "edge/parameter.h"
#include "edge/route.h"
#include "http/query.h"
#include "wire/json.h"
#include "wire/sse_event.h"
#include "wire/utf8.h"

/* ---- POST /publish ---- */

static bool is_type(const struct http_request *request, const char *type)
{
	const struct slice *header = http_request_header(request, "content-type");
	struct slice rest = header == NULL ? slice_of(NULL, 0) : *header, media;
	if (!slice_cut(&rest, ';', &media))
		return false;
	media = slice_trim(media);
	size_t len = strlen(type);
	if (type[len - 1] == '/') /* all of a kind */
		return media.len > len &&
		       slice_equals_nocase(slice_of(media.at, len), slice_string(type));
	return slice_equals_nocase(media, slice_string(type));
}

/* The body as the payload of a publication, by its type. NULL, or why not. */
static const char *read_payload(const struct http_request *request, struct slice body,
                                struct publication *publication, struct buf *made)
{
	struct json_value value;
	size_t bad_at;
	if (is_type(request, "application/json")) {
		if (!json_check(body, MESSAGE_DEPTH_MAX, &value, &bad_at))
			return "the body is not JSON, or is nested too deep";
		publication->payload = value.raw;
	} else if (is_type(request, "text/")) {
		if (!utf8_is_valid(body))
			return "the body is not UTF-8";
		json_string_append(made, body);
		publication->payload = buf_view(made);
	} else {
		publication->payload = body;
		publication->is_binary = true;
	}
	return NULL;
}

/* A parameter that is text of at most `len_max` bytes. `*out` is its place in `text`. */
static bool read_text(const struct http_request *request, const char *name, size_t len_max,
                      struct buf *text, struct slice *out)
{
	*out = slice_of(NULL, 0);
	switch (parameter_get(request, name, text)) {
	case PARAMETER_ABSENT:
		return true;
	case PARAMETER_BAD:
		return false;
	case PARAMETER_FOUND:
		break;
	}
	*out = buf_view(text);
	return out->len <= len_max && utf8_is_valid(*out);
}

struct publish_texts {
	struct buf channel, event, key, idempotency_key, payload;
};

static void texts_free(struct publish_texts *texts)
{
	buf_free(&texts->channel);
	buf_free(&texts->event);
	buf_free(&texts->key);
	buf_free(&texts->idempotency_key);
	buf_free(&texts->payload);
}

static const char *read_publish(const struct http_request *request, struct slice body,
                                struct publish_texts *texts, struct hub_command *command)
{
	struct publication *publication = &command->publication;
	command->type = COMMAND_PUBLISH;
	if (parameter_get(request, "channel", &texts->channel) != PARAMETER_FOUND)
		return "channel is missing";
	command->channel = buf_view(&texts->channel);
	if (!read_text(request, "event", EVENT_NAME_MAX, &texts->event, &publication->event) ||
	    !sse_event_name_is_valid(publication->event))
		return "event is not UTF-8 of at most 255 bytes on one line";
	if (!read_text(request, "key", MESSAGE_KEY_MAX, &texts->key, &publication->key))
		return "key is not UTF-8 of at most 255 bytes";
	if (!read_text(request, "idempotency_key", IDEMPOTENCY_KEY_MAX, &texts->idempotency_key,
	               &publication->idempotency_key))
		return "idempotency_key is not UTF-8 of at most 255 bytes";
	return read_payload(request, body, publication, &texts->payload);
}

void publish_post(struct edge *edge, struct conn *conn, const struct http_request *request,
                  struct slice body)
{
	struct publish_texts texts = {0};
	struct hub_command command = {0};
	const char *why = "this node is going down";
	enum error_code error = ERROR_DRAINING;
	if (!edge->is_stopping)
		error = access_identify(edge, conn, request, &why);
	if (error == ERROR_NONE) {
		why = read_publish(request, body, &texts, &command);
		error = why == NULL ? ERROR_NONE : ERROR_BAD_REQUEST;
	}
	if (error == ERROR_NONE && texts.payload.is_broken) {
		why = "the server is out of memory";
		error = ERROR_UNAVAILABLE;
	}
	if (error == ERROR_NONE)
		hub_execute(edge->hub, &conn->session, &command);
	else
		exchange_refuse(edge, conn, error, why);
	texts_free(&texts);
}

/* ---- POST /api/publish ---- */

enum api_field {
	API_CHANNEL = 0,
	API_DATA,
	API_EVENT,
	API_KEY,
	API_IDEMPOTENCY_KEY,
	API_USER,
	API_EXCEPT,
	API_FIELD_COUNT,
};

struct api_text {
	enum api_field field;
	size_t len_max;
	const char *why;
	struct slice *out;
};

/* A field that is a string, or absent; decoded behind what `made` holds, which has room. */
static bool read_api_text(const struct json_field *fields, const struct api_text *text,
                          struct buf *made)
{
	struct json_value value = fields[text->field].value;
	size_t before = made->len;
	if (value.kind == JSON_NONE)
		return true;
	if (value.kind != JSON_STRING || !json_string_decode(value.raw, made))
		return false;
	*text->out = slice_of(made->at + before, made->len - before);
	return text->out->len <= text->len_max;
}

static const char *read_api_publish(struct edge *edge, struct slice body, struct buf *made,
                                    struct hub_command *command)
{
	struct publication *publication = &command->publication;
	struct slice except = {0};
	struct json_field fields[API_FIELD_COUNT] = {
		[API_CHANNEL] = {.name = "channel"},
		[API_DATA] = {.name = "data"},
		[API_EVENT] = {.name = "event"},
		[API_KEY] = {.name = "key"},
		[API_IDEMPOTENCY_KEY] = {.name = "idempotency_key"},
		[API_USER] = {.name = "user"},
		[API_EXCEPT] = {.name = "except"},
	};
	const struct api_text texts[] = {
		{API_CHANNEL, SIZE_MAX, "channel is not a string", &command->channel},
		{API_EVENT, EVENT_NAME_MAX, "event is not a string of at most 255 bytes",
	         &publication->event},
		{API_KEY, MESSAGE_KEY_MAX, "key is not a string of at most 255 bytes",
	         &publication->key},
		{API_IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_MAX,
	         "idempotency_key is not a string of at most 255 bytes",
	         &publication->idempotency_key},
		{API_USER, USER_NAME_MAX, "user is not a string of at most 255 bytes",
	         &command->user},
		{API_EXCEPT, CONN_ID_MAX, "except is not the id of a connection", &except},
	};
	size_t bad_at;
	if (!json_read_object(body, MESSAGE_DEPTH_MAX + 1, fields, API_FIELD_COUNT, &bad_at))
		return "the body is not a JSON object, or is nested too deep";
	if (fields[API_CHANNEL].value.kind == JSON_NONE)
		return "channel is missing";
	if (fields[API_DATA].value.kind == JSON_NONE)
		return "data is missing";
	/* Decoding never lengthens: with this room nothing that was decoded will move. */
	if (buf_room(made, body.len) == NULL)
		return "the server is out of memory";
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		if (!read_api_text(fields, &texts[i], made))
			return texts[i].why;
	}
	if (!sse_event_name_is_valid(publication->event))
		return "event does not stand on one line";
	publication->payload = fields[API_DATA].value.raw;
	command->type = COMMAND_PUBLISH;
	command->except = conn_number_of(edge, except);
	return NULL;
}

void api_publish(struct edge *edge, struct conn *conn, const struct http_request *request,
                 struct slice body)
{
	struct hub_command command = {0};
	struct buf made = {0};
	const char *why;
	enum error_code error = access_identify_backend(edge, conn, request, &why);
	if (error == ERROR_NONE) {
		why = read_api_publish(edge, body, &made, &command);
		error = why == NULL ? ERROR_NONE : ERROR_BAD_REQUEST;
	}
	if (error == ERROR_NONE && command.publication.payload.len > API_MESSAGE_BYTES_MAX) {
		why = "data is too large";
		error = ERROR_TOO_LARGE;
	}
	if (error == ERROR_NONE)
		hub_execute(edge->hub, &conn->session, &command);
	else
		exchange_refuse(edge, conn, error, why);
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
	command->channel = buf_view(name);
	enum parameter_result got = parameter_get(request, "since", &since);
	command->has_since = got == PARAMETER_FOUND && since.len > 0;
	bool is_cursor = !command->has_since || cursor_parse(buf_view(&since), &command->since);
	buf_free(&since);
	if (got == PARAMETER_BAD || !is_cursor)
		return "since is not a cursor";
	got = parameter_number(request, "limit", &command->limit);
	command->has_limit = got == PARAMETER_FOUND;
	return got == PARAMETER_BAD ? "limit is not a whole number" : NULL;
}

void api_history(struct edge *edge, struct conn *conn, const struct http_request *request,
                 struct slice body)
{
	(void)body;
	struct hub_command command = {0};
	struct buf name = {0};
	const char *why;
	enum error_code error = access_identify_backend(edge, conn, request, &why);
	if (error == ERROR_NONE) {
		why = read_history(request, &name, &command);
		error = why == NULL ? ERROR_NONE : ERROR_BAD_REQUEST;
	}
	if (error == ERROR_NONE)
		hub_execute(edge->hub, &conn->session, &command);
	else
		exchange_refuse(edge, conn, error, why);
	buf_free(&name);
}
