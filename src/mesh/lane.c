#include "mesh/lane.h"

#define KEPT_BYTES (256u * 1024) /* memory that a lane at rest may hold on to */

struct lane_entry {
	struct blob *body;
	uint16_t slot;
	uint8_t type;
};

void lane_init(struct lane *lane, enum frame_lane kind)
{
	*lane = (struct lane){.kind = kind, .granted = LANE_WINDOW, .promised = LANE_WINDOW};
}

static struct lane_entry *first_entry(const struct lane *lane)
{
	return (struct lane_entry *)(void *)lane->queue.at;
}

void lane_free(struct lane *lane)
{
	while (lane->queue.len > 0) {
		blob_drop(first_entry(lane)->body);
		buf_use(&lane->queue, sizeof(struct lane_entry));
	}
	buf_free(&lane->queue);
	buf_free(&lane->out);
	buf_free(&lane->in);
}

/* ---- what waits ---- */

bool lane_say(struct lane *lane, enum frame_type type, uint16_t slot, struct slice body)
{
	frame_append(&lane->out, type, slot, body);
	return !lane->out.is_broken;
}

bool lane_queue(struct lane *lane, enum frame_type type, uint16_t slot, struct blob *body)
{
	struct lane_entry entry = {.body = body, .slot = slot, .type = (uint8_t)type};
	CHECK(lane->kind == FRAME_LANE_DATA);
	CHECK(frame_lane_of(type) == FRAME_LANE_DATA);
	CHECK(body->len <= FRAME_DATA_MAX);
	buf_append(&lane->queue, &entry, sizeof(entry));
	if (lane->queue.is_broken) {
		blob_drop(body);
		return false;
	}
	lane->queue_bytes += FRAME_HEAD_BYTES + body->len;
	return true;
}

void lane_grant(struct lane *lane, uint64_t granted)
{
	/* It never falls: what was said later holds, in whatever order it comes. */
	if (granted > lane->granted)
		lane->granted = granted;
}

size_t lane_waiting(const struct lane *lane)
{
	return lane->out.len + lane->queue_bytes;
}

/* Whole frames go on credit: one that was begun has it. */
static bool has_credit(const struct lane *lane)
{
	if (lane->queue.len == 0)
		return false;
	uint64_t bytes = FRAME_HEAD_BYTES + first_entry(lane)->body->len;
	return lane->queue_from > 0 || lane->sent + bytes <= lane->granted;
}

bool lane_can_give(const struct lane *lane)
{
	return lane->out.len > 0 || has_credit(lane);
}

/* Of the first entry, from where it stopped. */
static size_t give_entry(struct lane *lane, struct buf *out, size_t max)
{
	const struct lane_entry *entry = first_entry(lane);
	struct slice body = blob_view(entry->body);
	size_t before = out->len;
	if (lane->queue_from == 0) {
		frame_head_append(out, entry->type, entry->slot, body.len);
		lane->sent += FRAME_HEAD_BYTES + body.len;
		lane->queue_from = FRAME_HEAD_BYTES;
	}
	struct slice rest = slice_after(body, lane->queue_from - FRAME_HEAD_BYTES);
	if (rest.len > max)
		rest.len = max;
	buf_slice(out, rest);
	lane->queue_from += rest.len;
	lane->queue_bytes -= out->len - before;
	if (lane->queue_from == FRAME_HEAD_BYTES + body.len) {
		blob_drop(entry->body);
		buf_use(&lane->queue, sizeof(struct lane_entry));
		lane->queue_from = 0;
	}
	return out->len - before;
}

static void shrink(struct buf *buf)
{
	if (buf->len == 0 && buf->cap > KEPT_BYTES)
		buf_free(buf);
}

size_t lane_give(struct lane *lane, struct buf *out, size_t max)
{
	size_t given = lane->out.len < max ? lane->out.len : max;
	/* All at once: what does not find memory is not half given. */
	if (buf_room(out, max + FRAME_HEAD_BYTES) == NULL)
		return 0;
	if (given > 0) {
		buf_append(out, lane->out.at, given);
		buf_use(&lane->out, given);
	}
	while (given + FRAME_HEAD_BYTES < max && has_credit(lane))
		given += give_entry(lane, out, max - given - FRAME_HEAD_BYTES);
	shrink(&lane->out);
	shrink(&lane->queue);
	return given;
}

/* ---- what came ---- */

enum frame_answer lane_read(struct lane *lane, struct frame *frame, const char **why)
{
	size_t used = 0;
	buf_use(&lane->in, lane->in_read);
	lane->in_read = 0;
	shrink(&lane->in);
	enum frame_answer answer = frame_read(buf_view(&lane->in), lane->kind, frame, &used, why);
	if (answer == FRAME_DONE)
		lane->in_read = used;
	return answer;
}

bool lane_taken(struct lane *lane)
{
	lane->taken += lane->in_read;
	if (lane->promised - lane->taken > LANE_WINDOW / 2)
		return false;
	lane->promised = lane->taken + LANE_WINDOW;
	return true;
}

bool lane_is_overdrawn(const struct lane *lane)
{
	/* A last BYE is not on credit. */
	uint64_t unread = lane->in.len - lane->in_read;
	return lane->taken + unread > lane->promised + 2 * FRAME_HEAD_BYTES;
}
