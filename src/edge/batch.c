#include "edge/batch.h"

#include <stdlib.h>

#include "dialect/native.h"

struct batch_result {
	enum error_code error;
	const char *why; /* a constant sentence */
	uint64_t epoch, seq;
	bool is_duplicate;
};

struct batch {
	size_t count, begun, answered;
	bool is_begun; /* all entries have been said: the last answer may end it */
	struct batch_result results[];
};

static void batch_event(struct edge *edge, struct conn *conn, const struct hub_event *event);

static const struct work_kind batch_kind = {.free = free, .event = batch_event};

struct batch *batch_begin(struct edge *edge, struct conn *conn, size_t count)
{
	struct batch *batch = calloc(1, sizeof(*batch) + count * sizeof(batch->results[0]));
	if (batch == NULL) {
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
		return NULL;
	}
	batch->count = count;
	exchange_set_work(conn, &batch_kind, batch);
	return batch;
}

void batch_refuse(struct batch *batch, enum error_code error, const char *why)
{
	CHECK(batch->begun < batch->count);
	batch->results[batch->begun++] = (struct batch_result){.error = error, .why = why};
	batch->answered++;
}

/* The entry's number is the command's ref, and comes back with its answer. */
void batch_execute(struct edge *edge, struct conn *conn, struct batch *batch,
                   struct hub_command *command)
{
	char ref[TEXT_U64_MAX];
	CHECK(batch->begun < batch->count);
	command->ref = slice_of(ref, text_from_u64(ref, batch->begun++));
	hub_execute(edge->hub, &conn->session, command);
}

static void write_result(struct edge *edge, struct buf *out, const struct batch_result *result)
{
	struct hub_event event = {
		.epoch = result->epoch, .seq = result->seq, .is_duplicate = result->is_duplicate};
	if (result->error == ERROR_NONE)
		native_ack(out, &event);
	else
		native_error(out, result->error, result->why);
	edge->errors[result->error] += result->error != ERROR_NONE;
}

static void answer_if_whole(struct edge *edge, struct conn *conn)
{
	const struct batch *batch = conn->exchange->work;
	if (!batch->is_begun || batch->answered < batch->count)
		return;
	struct buf body = {0};
	buf_string(&body, "{\"results\":[");
	for (size_t i = 0; i < batch->count; i++) {
		if (i > 0)
			buf_char(&body, ',');
		write_result(edge, &body, &batch->results[i]);
	}
	buf_string(&body, "]}");
	exchange_made(edge, conn, &body);
}

void batch_end(struct edge *edge, struct conn *conn)
{
	struct batch *batch = conn->exchange->work;
	CHECK(batch->begun == batch->count);
	batch->is_begun = true;
	answer_if_whole(edge, conn);
}

/* An answer of the hub to one of them. */
static void batch_event(struct edge *edge, struct conn *conn, const struct hub_event *event)
{
	struct batch *batch = conn->exchange->work;
	uint64_t number;
	CHECK(text_to_u64(event->ref, &number) && number < batch->begun);
	batch->results[number] = (struct batch_result){
		.error = event->type == EVENT_ERROR ? event->error : ERROR_NONE,
		.why = event->message,
		.epoch = event->epoch,
		.seq = event->seq,
		.is_duplicate = event->is_duplicate,
	};
	batch->answered++;
	answer_if_whole(edge, conn);
}
