/*
 * GET /api/channels/C/presence: all workers of all nodes are asked, and the agent at the channel's
 * home answers a page, in the order of names. Which those are is found by a look at each occupant,
 * TURN_LOOKS_MAX a turn; when the set's places have been others meanwhile, it begins again.
 */
#include <stdlib.h>

#include "dialect/native.h"
#include "edge/parameter.h"
#include "edge/route.h"
#include "edge/survey.h"
#include "http/query.h"
#include "wire/json.h"

#define MEMBERS_LIMIT_DEFAULT 100
#define MEMBERS_LIMIT_MAX 1000

/* ---- on the agent ---- */

static struct slice name_of(const struct note *note, size_t i)
{
	return buf_view(&note->channels[i].name);
}

/* Keeps the names of the note sorted, and no more than note->number: the first ones. */
static bool add_name(struct note *note, struct slice user)
{
	struct note_channel added = {0};
	bool is_full = note->count == note->number;
	if (slice_compare(user, buf_view(&note->after)) <= 0)
		return true;
	if (is_full && slice_compare(user, name_of(note, note->count - 1)) > 0)
		return true;
	buf_slice(&added.name, user);
	if (is_full)
		buf_free(&note->channels[--note->count].name);
	size_t at = note->count++;
	for (; at > 0 && slice_compare(user, name_of(note, at - 1)) < 0; at--)
		note->channels[at] = note->channels[at - 1];
	note->channels[at] = added;
	return !added.name.is_broken;
}

static void forget_names(struct note *note)
{
	for (; note->count > 0; note->count--)
		buf_free(&note->channels[note->count - 1].name);
	note->place = 0;
}

/* While places may change from turn to turn (the layout is 0) all are looked at in this one. */
static void look_at_occupants(struct note *note, const struct occupants *occupants)
{
	uint64_t layout = occupants_layout(occupants);
	uint32_t span = occupants_span(occupants), looks = 0;
	if (note->layout != layout || layout == 0)
		forget_names(note);
	note->layout = layout;
	for (; note->is_found && note->place < span && (layout == 0 || looks < TURN_LOOKS_MAX);
	     note->place++, looks++) {
		const struct occupant *one = occupants_at(occupants, note->place);
		for (; one != NULL && note->is_found; one = occupants_after(one)) {
			looks++;
			if (one->is_present)
				note->is_found = add_name(note, occupant_user(one));
		}
	}
	note->goes_on = note->is_found && note->place < span;
}

/* Who has left since they were looked at is left out. */
static void write_members(struct edge *edge, struct note *note, const struct occupants *occupants)
{
	struct buf *out = &note->body;
	size_t limit = (size_t)note->number - 1; /* one more shows whether there is more */
	bool is_first = true;
	buf_string(out, ",\"members\":[");
	for (size_t i = 0; i < note->count && i < limit; i++) {
		const struct occupant *one = hub_occupant(edge->hub, occupants, name_of(note, i));
		if (one == NULL)
			continue;
		if (!is_first)
			buf_char(out, ',');
		is_first = false;
		native_member(out, occupant_user(one), occupant_connections(one),
		              occupant_info(one->info));
	}
	buf_char(out, ']');
	if (note->count > limit) {
		buf_string(out, ",\"next\":");
		json_string_append(out, name_of(note, limit - 1));
	}
}

static void write_page(struct edge *edge, struct note *note, const struct occupants *occupants,
                       bool has_names)
{
	struct slice channel = buf_view(&note->text);
	buf_string(&note->body, "{\"channel\":");
	json_string_append(&note->body, channel);
	buf_string(&note->body, ",\"count\":");
	buf_u64(&note->body, occupants == NULL ? 0 : occupants->count);
	if (has_names)
		write_members(edge, note, occupants);
	buf_char(&note->body, '}');
}

/* What it looks for is no part of the answer. */
static void drop_names(struct note *note)
{
	forget_names(note);
	free(note->channels);
	note->channels = NULL;
}

/* It is not found where the channel's home is not. A page holds one member and shows whether there
 * is another, at least. */
static void list_members(struct edge *edge, struct note *note)
{
	struct slice channel = buf_view(&note->text);
	bool has_names = hub_presence_of(edge->hub, channel) == RULE_PRESENCE_FULL;
	note->goes_on = false;
	note->is_found = note->number >= 2 && hub_knows_presence(edge->hub, channel);
	if (note->is_found && note->channels == NULL)
		note->channels = calloc((size_t)note->number, sizeof(*note->channels));
	note->is_found &= note->channels != NULL;
	const struct occupants *occupants =
		note->is_found ? hub_occupants(edge->hub, channel) : NULL;
	if (occupants == NULL) /* any more */
		forget_names(note);
	else if (has_names)
		look_at_occupants(note, occupants);
	if (note->goes_on)
		return;
	if (note->is_found)
		write_page(edge, note, occupants, has_names);
	drop_names(note);
}

/* ---- on the asker's ---- */

static void finish_members(struct edge *edge, struct conn *conn, struct note *const *notes,
                           size_t count)
{
	struct buf body = {0};
	size_t at = 0;
	while (at < count && !notes[at]->is_found)
		at++;
	if (at == count) {
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE,
		                "nobody can say now who is present; try again");
		return;
	}
	buf_swap(&body, &notes[at]->body);
	exchange_made(edge, conn, &body);
}

const struct survey_kind survey_members = {list_members, finish_members, SURVEY_MEMBERS,
                                           MEMBERS_LIMIT_MAX + 1};

/* NULL, or why not. */
static const char *read_request(const struct http_request *request, struct buf *name,
                                struct buf *after, uint64_t *limit)
{
	if (!http_path_decode(route_part(request, "/api/channels/*/presence"), name) ||
	    !channel_name_is_valid(buf_view(name)))
		return parameter_why(name, "not the name of a channel");
	enum parameter_result got_next = parameter_get(request, "next", after);
	enum parameter_result got_limit = parameter_number(request, "limit", limit);
	if (got_next == PARAMETER_NO_MEMORY || got_limit == PARAMETER_NO_MEMORY)
		return why_no_memory;
	if (got_next == PARAMETER_BAD || got_limit == PARAMETER_BAD || *limit == 0)
		return "next is not decodable, or limit no number above 0";
	return NULL;
}

void api_presence(struct edge *edge, struct conn *conn, const struct http_request *request,
                  struct slice body)
{
	(void)body;
	struct buf name = {0}, after = {0};
	uint64_t limit = MEMBERS_LIMIT_DEFAULT;
	if (!exchange_is_backend(edge, conn, request))
		return;
	const char *why = read_request(request, &name, &after, &limit);
	limit = limit > MEMBERS_LIMIT_MAX ? MEMBERS_LIMIT_MAX : limit;
	if (why == NULL && hub_presence_of(edge->hub, buf_view(&name)) != RULE_PRESENCE_NO) {
		survey_all(edge, conn, &survey_members, limit + 1, &name, &after);
		return;
	}
	exchange_refuse(edge, conn, why == NULL ? ERROR_NOT_FOUND : ERROR_BAD_REQUEST,
	                why == NULL ? hub_why_no_presence : why);
	buf_free(&name);
	buf_free(&after);
}
