/*
 * GET /api/channels and /api/channels/C (SPEC section 7): each worker of each node is asked for
 * what it knows, and what they say of one channel becomes one entry.
 *
 * Which channels of a page come first is found by a look at each: there is no order among them but
 * that of their places. With a million of them that is a matter of many turns, TURN_LOOKS_MAX each.
 */
#include <stdlib.h>

#include "dialect/native.h"
#include "edge/parameter.h"
#include "edge/route.h"
#include "edge/survey.h"
#include "http/query.h"
#include "wire/json.h"

#define CHANNELS_LIMIT_DEFAULT 100

/* ---- on each worker: its channels behind note->after with a prefix, by name ---- */

static bool note_channel(struct note_channel *out, const struct hub_listed *listed)
{
	*out = (struct note_channel){.followers = listed->followers,
	                             .epoch = listed->epoch,
	                             .seq = listed->seq,
	                             .is_agent = listed->is_agent,
	                             .is_home = listed->is_home};
	buf_slice(&out->name, listed->name);
	return !out->name.is_broken;
}

static struct slice name_of(const struct note *note, size_t i)
{
	return buf_view(&note->channels[i].name);
}

/* Keeps the channels of the note sorted, and no more than note->number: the first ones. */
static bool add_channel(struct note *note, const struct hub_listed *listed)
{
	struct note_channel added;
	bool is_full = note->count == note->number;
	if (is_full && slice_compare(listed->name, name_of(note, note->count - 1)) > 0)
		return true;
	bool is_good = note_channel(&added, listed);
	if (is_full)
		buf_free(&note->channels[--note->count].name);
	size_t at = note->count++;
	for (; at > 0 && slice_compare(listed->name, name_of(note, at - 1)) < 0; at--)
		note->channels[at] = note->channels[at - 1];
	note->channels[at] = added;
	return is_good;
}

static bool is_wanted(const struct note *note, struct slice name)
{
	return slice_starts(name, buf_view(&note->text)) &&
	       slice_compare(name, buf_view(&note->after)) > 0;
}

static void list_channels(struct edge *edge, struct note *note)
{
	struct hub_listed listed;
	if (note->channels == NULL)
		note->channels = calloc((size_t)note->number, sizeof(*note->channels));
	note->is_found = note->channels != NULL;
	uint32_t span = hub_channel_span(edge->hub), looks = 0;
	for (; note->is_found && note->place < span && looks < TURN_LOOKS_MAX; looks++) {
		if (hub_channel_at(edge->hub, note->place++, &listed) &&
		    is_wanted(note, listed.name))
			note->is_found = add_channel(note, &listed);
	}
	note->goes_on = note->is_found && note->place < span;
}

/* ---- on the asker's: one list of theirs ---- */

/* The name that comes first among those not yet written; NULL: none. */
static const struct note_channel *next_channel(struct note *const *notes, size_t count)
{
	const struct note_channel *first = NULL;
	for (size_t i = 0; i < count; i++) {
		if (notes[i]->position == notes[i]->count)
			continue;
		const struct note_channel *one = &notes[i]->channels[notes[i]->position];
		if (first == NULL ||
		    slice_compare(buf_view(&one->name), buf_view(&first->name)) < 0)
			first = one;
	}
	return first;
}

/* Of the head: who gives it before who keeps a copy or a tail. */
static bool knows_better(const struct note_channel *one, const struct note_channel *other)
{
	if (!one->is_agent || !other->is_agent)
		return one->is_agent;
	return one->is_home != other->is_home ? one->is_home : one->seq > other->seq;
}

/* What all workers say of the channel of that name, which is the next of theirs. */
static struct note_channel merge(struct note *const *notes, size_t count,
                                 const struct note_channel *first)
{
	struct note_channel merged = {.name = first->name};
	for (size_t i = 0; i < count; i++) {
		if (notes[i]->position == notes[i]->count)
			continue;
		const struct note_channel *one = &notes[i]->channels[notes[i]->position];
		if (!slice_equals(buf_view(&one->name), buf_view(&first->name)))
			continue;
		notes[i]->position++;
		merged.followers += one->followers;
		if (knows_better(one, &merged)) {
			merged.is_agent = true;
			merged.is_home = one->is_home;
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
	buf_string(out, ",\"cursor\":");
	native_cursor(out, channel->epoch, channel->seq);
	buf_char(out, '}');
}

static bool all_found(struct note *const *notes, size_t count)
{
	bool all = true;
	for (size_t i = 0; i < count; i++)
		all &= notes[i]->is_found;
	return all;
}

/* A worker has filled its note, and all of it is written: what it knows of later names is not here.
 */
static bool is_cut(struct note *const *notes, size_t count)
{
	bool is_cut = false;
	for (size_t i = 0; i < count; i++)
		is_cut |= notes[i]->position == notes[i]->number;
	return is_cut;
}

/* Is there more than was written, here or with a worker that has filled its note? */
static bool has_next(struct note *const *notes, size_t count)
{
	bool has_more = next_channel(notes, count) != NULL;
	for (size_t i = 0; i < count; i++)
		has_more |= notes[i]->count == notes[i]->number;
	return has_more;
}

static void finish_channels(struct edge *edge, struct conn *conn, struct note *const *notes,
                            size_t count)
{
	struct buf body = {0};
	const struct note_channel *first;
	struct note_channel last = {0};
	if (!all_found(notes, count)) {
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
		return;
	}
	/*
	 * Each was asked for one more than the page holds, to know whether there is one. Where
	 * channels come and go, a note may be full of those that are not shown: the next page
	 * begins behind them.
	 */
	size_t limit = (size_t)notes[0]->number - 1, written = 0;
	buf_string(&body, "{\"channels\":[");
	while (written < limit && !is_cut(notes, count) &&
	       (first = next_channel(notes, count)) != NULL) {
		last = merge(notes, count, first);
		if (!last.is_agent) /* it comes, or goes: not there as a whole */
			continue;
		if (written++ > 0)
			buf_char(&body, ',');
		write_channel(&body, &last);
	}
	buf_char(&body, ']');
	if (has_next(notes, count)) {
		buf_string(&body, ",\"next\":");
		json_string_append(&body, buf_view(&last.name));
	}
	buf_char(&body, '}');
	exchange_made(edge, conn, &body);
}

const struct survey_kind survey_channels = {list_channels, finish_channels, SURVEY_CHANNELS,
                                            CHANNELS_LIMIT_MAX + 1};

void api_channels(struct edge *edge, struct conn *conn, const struct http_request *request,
                  struct slice body)
{
	(void)body;
	static const char *const why_bad =
		"prefix or next is not decodable, or limit no number above 0";
	struct buf prefix = {0}, after = {0};
	uint64_t limit = CHANNELS_LIMIT_DEFAULT;
	if (!exchange_is_backend(edge, conn, request))
		return;
	const enum parameter_result got[] = {parameter_get(request, "prefix", &prefix),
	                                     parameter_get(request, "next", &after),
	                                     parameter_number(request, "limit", &limit)};
	const char *why = limit == 0 ? why_bad : NULL;
	for (size_t i = 0; i < COUNT_OF(got) && why == NULL; i++) {
		if (got[i] == PARAMETER_BAD)
			why = why_bad;
		if (got[i] == PARAMETER_NO_MEMORY)
			why = why_no_memory;
	}
	if (why != NULL) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST, why);
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
		note->is_found = note_channel(&note->channels[note->count++], &listed);
}

static void finish_channel(struct edge *edge, struct conn *conn, struct note *const *notes,
                           size_t count)
{
	struct buf body = {0};
	struct note_channel merged = {0};
	if (!all_found(notes, count)) {
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
		return;
	}
	const struct note_channel *first = next_channel(notes, count);
	if (first != NULL)
		merged = merge(notes, count, first);
	if (!merged.is_agent) {
		exchange_refuse(edge, conn, ERROR_NOT_FOUND,
		                "nobody subscribes to this channel, and nothing is held");
		return;
	}
	write_channel(&body, &merged);
	exchange_made(edge, conn, &body);
}

const struct survey_kind survey_channel = {find_channel, finish_channel, SURVEY_CHANNEL, 0};

void api_channel(struct edge *edge, struct conn *conn, const struct http_request *request,
                 struct slice body)
{
	(void)body;
	struct buf name = {0}, none = {0};
	if (!exchange_is_backend(edge, conn, request))
		return;
	if (!http_path_decode(route_part(request, "/api/channels/*"), &name) ||
	    !channel_name_is_valid(buf_view(&name))) {
		exchange_refuse(edge, conn, ERROR_BAD_REQUEST,
		                name.is_broken ? why_no_memory : "not the name of a channel");
		buf_free(&name);
		return;
	}
	survey_all(edge, conn, &survey_channel, 0, &name, &none);
}
