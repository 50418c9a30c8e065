/*
 * Publishing over HTTP as a client (SPEC section 5): one hub command, whose event is the
 * answer (http_event()).
 */
#include "edge/access.h"
#include "edge/exchange.h"
#include "edge/parameter.h"
#include "edge/route.h"
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
		return made->is_broken ? why_no_memory : NULL;
	} else {
		publication->payload = body;
		publication->is_binary = true;
	}
	return NULL;
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
		return parameter_why(&texts->channel, "channel is missing");
	command->channel = buf_view(&texts->channel);
	if (!parameter_text(request, "event", EVENT_NAME_MAX, &texts->event, &publication->event) ||
	    !sse_event_name_is_valid(publication->event))
		return parameter_why(&texts->event,
		                     "event is not UTF-8 of at most 255 bytes on one line");
	if (!parameter_text(request, "key", MESSAGE_KEY_MAX, &texts->key, &publication->key))
		return parameter_why(&texts->key, "key is not UTF-8 of at most 255 bytes");
	if (!parameter_text(request, "idempotency_key", IDEMPOTENCY_KEY_MAX,
	                    &texts->idempotency_key, &publication->idempotency_key))
		return parameter_why(&texts->idempotency_key,
		                     "idempotency_key is not UTF-8 of at most 255 bytes");
	return read_payload(request, body, publication, &texts->payload);
}

void publish_post(struct edge *edge, struct conn *conn, const struct http_request *request,
                  struct slice body)
{
	struct publish_texts texts = {0};
	struct hub_command command = {0};
	const char *why = "this node is going down";
	enum error_code error = ERROR_DRAINING;
	if (!edge->is_draining)
		error = access_identify(edge, conn, request, &why);
	if (error == ERROR_NONE && !conn_may_say(edge, conn)) {
		why = "more messages than limits.message_rate allows";
		error = ERROR_RATE_LIMITED;
	}
	if (error == ERROR_NONE) {
		why = read_publish(request, body, &texts, &command);
		error = why == NULL ? ERROR_NONE : ERROR_BAD_REQUEST;
	}
	if (error == ERROR_NONE)
		hub_execute(edge->hub, &conn->session, &command);
	else
		exchange_refuse(edge, conn, error, why);
	texts_free(&texts);
}
