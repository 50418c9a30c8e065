#include "cmd/feed.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "ops/complaint.h"
#include "wire/json.h"
#include "wire/utf8.h"

/* ---- channels and cursors ---- */

static void cursor_set(struct feed_channel *channel, struct slice cursor)
{
	CHECK(cursor.len <= FEED_CURSOR_MAX);
	if (cursor.len > 0)
		memcpy(channel->cursor, cursor.at, cursor.len);
	channel->cursor_len = cursor.len;
}

static struct slice cursor_of(const struct feed_channel *channel)
{
	return slice_of(channel->cursor, channel->cursor_len);
}

static bool cursor_cut(struct slice cursor, struct slice *epoch, uint64_t *seq)
{
	return slice_cut(&cursor, '-', epoch) && text_to_u64(cursor, seq);
}

/* Whether a message has been printed: ids rise within an epoch. Another one is another history. */
static bool is_behind(const struct feed_channel *channel, struct slice id)
{
	struct slice epoch, epoch_seen;
	uint64_t seq, seq_seen;
	return cursor_cut(id, &epoch, &seq) &&
	       cursor_cut(cursor_of(channel), &epoch_seen, &seq_seen) &&
	       slice_equals(epoch, epoch_seen) && seq <= seq_seen;
}

static int refuse_name(struct buf *error, const char *why, const char *name)
{
	buf_string(error, why);
	complaint_quote(error, slice_string(name));
	return -EINVAL;
}

static int add_channels(struct feed *feed, char *const *names, size_t count, struct buf *error)
{
	for (size_t i = 0; i < count; i++) {
		struct slice name = slice_string(names[i]);
		if (!utf8_is_valid(name))
			return refuse_name(error, "not a channel name: ", names[i]);
		for (size_t k = 0; k < i; k++) {
			if (slice_equals(feed->channels[k].name, name))
				return refuse_name(error, "given twice: channel ", names[i]);
		}
		feed->channels[feed->count++].name = name;
	}
	return 0;
}

static int set_cursors(struct feed *feed, struct slice since, struct buf *error)
{
	CHECK(feed->count > 0);
	struct slice cursor;
	size_t count = 0;
	for (; slice_cut(&since, ',', &cursor); count++) {
		if (cursor.len == 0 || cursor.len > FEED_CURSOR_MAX || !utf8_is_valid(cursor)) {
			buf_string(error, "not a cursor: ");
			complaint_quote(error, cursor);
			return -EINVAL;
		}
		if (count < feed->count)
			cursor_set(&feed->channels[count], cursor);
	}
	if (count == feed->count)
		return 0;
	buf_format(error, "--since has %zu cursors for %zu channels", count, feed->count);
	return -EINVAL;
}

int feed_init(struct feed *feed, char *const *names, size_t count, const char *since,
              struct buf *error)
{
	*feed = (struct feed){0};
	if (count == 0 || count > FEED_CHANNELS_MAX) {
		buf_string(error, count == 0 ? "no channel is named" : "too many channels");
		return -EINVAL;
	}
	feed->channels = calloc(count, sizeof(*feed->channels));
	if (feed->channels == NULL) {
		buf_string(error, "out of memory");
		return -ENOMEM;
	}
	int result = add_channels(feed, names, count, error);
	if (result == 0 && since != NULL)
		result = set_cursors(feed, slice_string(since), error);
	return result;
}

void feed_free(struct feed *feed)
{
	free(feed->channels);
	buf_free(&feed->lines);
	buf_free(&feed->notices);
	buf_free(&feed->why);
	*feed = (struct feed){0};
}

void feed_subscribe(const struct feed *feed, size_t i, struct buf *out)
{
	CHECK(i < feed->count);
	const struct feed_channel *channel = &feed->channels[i];
	buf_format(out, "{\"type\":\"subscribe\",\"ref\":%zu,\"channel\":", i);
	json_string_append(out, channel->name);
	if (channel->cursor_len > 0) {
		buf_string(out, ",\"since\":");
		json_string_append(out, cursor_of(channel));
	}
	buf_char(out, '}');
}

/* ---- what the server says ---- */

enum field {
	FIELD_TYPE = 0,
	FIELD_REF,
	FIELD_CHANNEL,
	FIELD_ID,
	FIELD_CURSOR,
	FIELD_RECOVERED,
	FIELD_REASON,
	FIELD_CODE,
	FIELD_MESSAGE,
	FIELD_AFTER,
	FIELD_HEARTBEAT,
	FIELD_COUNT,
};

struct hearing {
	struct feed *feed;
	struct slice text;
	struct json_field fields[FIELD_COUNT];
};

static struct json_value field(const struct hearing *h, enum field which)
{
	return h->fields[which].value;
}

/* The text of a field that is a string, made harmless; nothing where it is none. */
static void append_field(struct buf *line, struct json_value value)
{
	struct buf text = {0};
	if (value.kind == JSON_STRING && json_string_decode(value.raw, &text))
		complaint_text(line, buf_view(&text));
	buf_free(&text);
}

static enum feed_answer refuse(struct feed *feed, const char *why)
{
	CHECK(feed->why.len == 0);
	buf_string(&feed->why, why);
	return FEED_REFUSED;
}

/* The channel that was subscribed to with this `ref`; NULL: none was. */
static struct feed_channel *channel_by_ref(const struct hearing *h)
{
	uint64_t ref;
	bool is_ours = json_to_u64(field(h, FIELD_REF), &ref) && ref < h->feed->count;
	return is_ours ? &h->feed->channels[ref] : NULL;
}

static struct feed_channel *channel_by_name(struct feed *feed, struct slice name)
{
	for (size_t i = 0; i < feed->count; i++) {
		if (slice_equals(feed->channels[i].name, name))
			return &feed->channels[i];
	}
	return NULL;
}

static struct feed_channel *channel_by_field(const struct hearing *h)
{
	struct json_value name = field(h, FIELD_CHANNEL);
	struct feed_channel *channel = NULL;
	struct buf text = {0};
	if (name.kind == JSON_STRING && json_string_decode(name.raw, &text))
		channel = channel_by_name(h->feed, buf_view(&text));
	buf_free(&text);
	return channel;
}

/* A cursor or an id, in `out`; false: the field is none. */
static bool read_cursor(struct json_value value, struct buf *out)
{
	return value.kind == JSON_STRING && json_string_decode(value.raw, out) && out->len > 0 &&
	       out->len <= FEED_CURSOR_MAX;
}

static void tell_gap(struct feed *feed, struct slice channel)
{
	buf_string(&feed->notices, "starling: messages are missing in channel ");
	complaint_quote(&feed->notices, channel);
	buf_string(&feed->notices, ": history does not reach back to where it was left\n");
}

static enum feed_answer hear_welcome(struct hearing *h)
{
	uint64_t seconds;
	if (json_to_u64(field(h, FIELD_HEARTBEAT), &seconds) && seconds <= UINT32_MAX)
		h->feed->heartbeat_s = (uint32_t)seconds;
	return FEED_GOOD;
}

static enum feed_answer hear_subscribed(struct hearing *h)
{
	struct feed_channel *channel = channel_by_ref(h);
	struct buf cursor = {0};
	bool has_cursor = read_cursor(field(h, FIELD_CURSOR), &cursor);
	if (channel != NULL && has_cursor) {
		if (field(h, FIELD_RECOVERED).kind == JSON_FALSE)
			tell_gap(h->feed, channel->name);
		cursor_set(channel, buf_view(&cursor));
	}
	buf_free(&cursor);
	CHECK(h->feed->why.len == 0);
	return channel != NULL && has_cursor
	               ? FEED_GOOD
	               : refuse(h->feed, "the server subscribed to something else");
}

/* The object as it came. Line breaks between its parts are blanks to JSON; there are no others. */
static void print_line(struct feed *feed, struct slice object)
{
	char *room = buf_room(&feed->lines, object.len + 1);
	if (room == NULL)
		return;
	for (size_t i = 0; i < object.len; i++) {
		bool is_break = object.at[i] == '\n' || object.at[i] == '\r';
		room[i] = is_break ? ' ' : object.at[i];
	}
	room[object.len] = '\n';
	buf_grew(&feed->lines, object.len + 1);
}

/* Moves the channel on; false: it was there already. Without a channel there is no order. */
static bool advance(struct feed_channel *channel, struct slice id)
{
	if (channel == NULL || id.len == 0)
		return true;
	if (is_behind(channel, id))
		return false;
	cursor_set(channel, id);
	return true;
}

static enum feed_answer hear_message(struct hearing *h)
{
	struct buf id = {0};
	bool has_id = read_cursor(field(h, FIELD_ID), &id);
	if (advance(channel_by_field(h), has_id ? buf_view(&id) : slice_of(NULL, 0)))
		print_line(h->feed, h->text);
	buf_free(&id);
	return FEED_GOOD;
}

static enum feed_answer hear_unsubscribed(struct hearing *h)
{
	struct buf *why = &h->feed->why;
	if (field(h, FIELD_REF).kind != JSON_NONE)
		return FEED_GOOD;
	buf_string(why, "the server ended the subscription of channel ");
	append_field(why, field(h, FIELD_CHANNEL));
	if (field(h, FIELD_REASON).kind == JSON_STRING)
		buf_string(why, ": ");
	append_field(why, field(h, FIELD_REASON));
	return FEED_REFUSED;
}

static enum feed_answer hear_gap(struct hearing *h)
{
	buf_string(&h->feed->notices, "starling: messages were left out in channel '");
	append_field(&h->feed->notices, field(h, FIELD_CHANNEL));
	buf_string(&h->feed->notices, "': they came faster than they were read\n");
	return FEED_GOOD;
}

static enum feed_answer hear_reconnect(struct hearing *h)
{
	uint64_t after_ms;
	h->feed->is_put_off = json_to_u64(field(h, FIELD_AFTER), &after_ms);
	if (h->feed->is_put_off)
		h->feed->reconnect_after_ms = after_ms;
	return FEED_GOOD;
}

/* Whether asking again later may help. */
static bool is_passing(struct json_value code)
{
	return code.kind == JSON_STRING && (json_string_equals(code.raw, SLICE("unavailable")) ||
	                                    json_string_equals(code.raw, SLICE("rate_limited")));
}

static enum feed_answer hear_error(struct hearing *h)
{
	struct buf *why = &h->feed->why;
	struct feed_channel *channel = channel_by_ref(h);
	CHECK(why->len == 0);
	if (channel != NULL) {
		buf_string(why, "channel ");
		complaint_quote(why, channel->name);
		buf_string(why, ": ");
	}
	append_field(why, field(h, FIELD_CODE));
	buf_string(why, ": ");
	append_field(why, field(h, FIELD_MESSAGE));
	return is_passing(field(h, FIELD_CODE)) ? FEED_LOST : FEED_REFUSED;
}

static const struct {
	struct slice type;
	enum feed_answer (*hear)(struct hearing *h);
} types[] = {
	{SLICE_INIT("message"), hear_message},
	{SLICE_INIT("welcome"), hear_welcome},
	{SLICE_INIT("subscribed"), hear_subscribed},
	{SLICE_INIT("unsubscribed"), hear_unsubscribed},
	{SLICE_INIT("gap"), hear_gap},
	{SLICE_INIT("reconnect"), hear_reconnect},
	{SLICE_INIT("error"), hear_error},
};

static void forget_why(struct feed *feed)
{
	buf_clear(&feed->why);
}

enum feed_answer feed_text(struct feed *feed, struct slice text)
{
	struct hearing h = {
		.feed = feed,
		.text = text,
		.fields =
			{
				[FIELD_TYPE] = {.name = "type"},
				[FIELD_REF] = {.name = "ref"},
				[FIELD_CHANNEL] = {.name = "channel"},
				[FIELD_ID] = {.name = "id"},
				[FIELD_CURSOR] = {.name = "cursor"},
				[FIELD_RECOVERED] = {.name = "recovered"},
				[FIELD_REASON] = {.name = "reason"},
				[FIELD_CODE] = {.name = "code"},
				[FIELD_MESSAGE] = {.name = "message"},
				[FIELD_AFTER] = {.name = "after"},
				[FIELD_HEARTBEAT] = {.name = "heartbeat"},
			},
	};
	size_t bad_at;
	forget_why(feed);
	if (!json_read_object(text, JSON_DEPTH_MAX, h.fields, FIELD_COUNT, &bad_at) ||
	    field(&h, FIELD_TYPE).kind != JSON_STRING)
		return refuse(feed, "the server does not speak starling.v1");
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		if (json_string_equals(field(&h, FIELD_TYPE).raw, types[i].type))
			return types[i].hear(&h);
	}
	return FEED_GOOD; /* not for us: a later server may say more */
}

/* ---- binary messages: 1, channel, id and payload, the first two with their lengths ---- */

#define BINARY_VERSION 0x01

static bool read_counted(struct slice *rest, struct slice *out)
{
	uint64_t len = 0;
	for (unsigned shift = 0;; shift += 7) {
		if (rest->len == 0 || shift > 28)
			return false;
		unsigned char byte = (unsigned char)rest->at[0];
		*rest = slice_after(*rest, 1);
		len |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	if (len > rest->len)
		return false;
	*out = slice_of(rest->at, (size_t)len);
	*rest = slice_after(*rest, (size_t)len);
	return true;
}

static void print_binary(struct feed *feed, struct slice channel, struct slice id,
                         struct slice payload)
{
	struct buf *lines = &feed->lines;
	buf_string(lines, "{\"type\":\"message\",\"channel\":");
	json_string_append(lines, channel);
	buf_string(lines, ",\"id\":");
	json_string_append(lines, id);
	buf_string(lines, ",\"data\":{\"base64\":\"");
	char *room = buf_room(lines, text_base64_len(payload.len));
	if (room != NULL)
		buf_grew(lines, text_from_base64(room, payload.at, payload.len));
	buf_string(lines, "\"}}\n");
}

enum feed_answer feed_binary(struct feed *feed, struct slice bytes)
{
	struct slice rest = bytes, channel, id;
	forget_why(feed);
	if (rest.len == 0 || rest.at[0] != BINARY_VERSION)
		return refuse(feed, "the server does not speak starling.v1");
	rest = slice_after(rest, 1);
	if (!read_counted(&rest, &channel) || !read_counted(&rest, &id) ||
	    id.len > FEED_CURSOR_MAX || !utf8_is_valid(channel) || !utf8_is_valid(id))
		return refuse(feed, "the server sent a malformed binary message");
	if (advance(channel_by_name(feed, channel), id))
		print_binary(feed, channel, id, rest);
	return FEED_GOOD;
}
