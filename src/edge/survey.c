#include "edge/survey.h"

#include <stdlib.h>

static const struct survey_kind *const far_kinds[SURVEY_NUMBERS] = {
	[SURVEY_CHANNELS] = &survey_channels, [SURVEY_CHANNEL] = &survey_channel,
	[SURVEY_CONNECTIONS] = &survey_list,  [SURVEY_DESCRIBE] = &survey_describe,
	[SURVEY_END] = &survey_end,           [SURVEY_SEND] = &survey_send,
	[SURVEY_USER] = &survey_user,         [SURVEY_USER_END] = &survey_user_end,
	[SURVEY_MEMBERS] = &survey_members,
};

/* What another node has still to say. */
struct far_answers {
	uint16_t node;
	bool is_known; /* how many there are */
	uint32_t left;
};

struct survey {
	const struct survey_kind *kind;
	struct list_node asking; /* edge->asking, while other nodes have still to answer */
	struct slab_handle conn;
	struct slab_handle token; /* the connection's place, and a number drawn for this survey:
	                             answers to one before it on the connection are none to it */
	uint64_t begun_ms;
	uint64_t number;
	size_t left; /* workers of this node that have still to answer */
	size_t count, room;
	struct note **notes;
	uint32_t far_count;
	struct far_answers far[];
};

void note_free(struct note *note)
{
	if (note == NULL)
		return;
	for (size_t i = 0; note->channels != NULL && i < note->count; i++)
		buf_free(&note->channels[i].name);
	free(note->channels);
	buf_free(&note->text);
	buf_free(&note->after);
	buf_free(&note->body);
	free(note);
}

static void survey_free(void *work)
{
	struct survey *survey = work;
	if (list_is_linked(&survey->asking))
		list_remove(&survey->asking);
	for (size_t i = 0; i < survey->count; i++)
		note_free(survey->notes[i]);
	free(survey->notes);
	free(survey);
}

static const struct work_kind survey_work = {.free = survey_free};

/* ---- asking ---- */

static struct survey *survey_begin(struct edge *edge, struct conn *conn,
                                   const struct survey_kind *kind, uint64_t number)
{
	size_t far = kind->number == SURVEY_HERE ? 0 : HUB_NODES_MAX;
	struct survey *survey = calloc(1, sizeof(*survey) + far * sizeof(survey->far[0]));
	if (survey == NULL)
		return NULL;
	survey->kind = kind;
	survey->number = number;
	survey->conn = slab_handle_of(&edge->conns, conn);
	survey->token = (struct slab_handle){.index = survey->conn.index,
	                                     .generation = (uint32_t)random_next(&edge->random)};
	survey->begun_ms = edge_now_ms(edge);
	exchange_set_work(conn, &survey_work, survey);
	return survey;
}

struct note *note_make(uint64_t number, struct slice text, struct slice after)
{
	struct note *note = calloc(1, sizeof(*note));
	if (note == NULL)
		return NULL;
	note->number = number;
	buf_slice(&note->text, text);
	buf_slice(&note->after, after);
	if (!note->text.is_broken && !note->after.is_broken)
		return note;
	note_free(note);
	return NULL;
}

static void post(struct edge *edge, uint32_t worker, const struct edge_mail *mail)
{
	edge->options.up->post_edge(edge->options.up, worker, mail);
}

/* Takes over the note; NULL: there was no memory for it. */
static bool ask(struct edge *edge, struct slab_handle asker, uint32_t worker,
                const struct survey_kind *kind, struct note *note)
{
	struct edge_up *up = edge->options.up;
	if (note == NULL || !up->has_room(up)) {
		note_free(note);
		return false;
	}
	struct edge_mail mail = {.from = edge->options.worker,
	                         .about = EDGE_ABOUT_SURVEY,
	                         .kind = kind,
	                         .asker = asker,
	                         .note = note};
	post(edge, worker, &mail);
	return true;
}

/* All other nodes, or the one of that boot id: survey->far_count. False: no memory. */
static bool ask_nodes(struct edge *edge, struct survey *survey, uint64_t boot_id,
                      const struct buf *text, const struct buf *after)
{
	struct edge_up *up = edge->options.up;
	struct survey_question question = {.kind = survey->kind->number,
	                                   .boot_id = boot_id,
	                                   .token = survey->token,
	                                   .number = survey->number,
	                                   .text = buf_view(text),
	                                   .after = buf_view(after)};
	uint16_t nodes[HUB_NODES_MAX];
	uint32_t count = up->ask_nodes(up, &question, nodes);
	if (count == SURVEY_NO_MEMORY)
		return false;
	survey->far_count = count;
	for (uint32_t i = 0; i < survey->far_count; i++)
		survey->far[i] = (struct far_answers){.node = nodes[i], .left = 1};
	if (survey->far_count > 0)
		list_append(&edge->asking, &survey->asking);
	return true;
}

void survey_all(struct edge *edge, struct conn *conn, const struct survey_kind *kind,
                uint64_t number, struct buf *text, struct buf *after)
{
	uint32_t workers = edge->options.workers;
	bool is_good = !text->is_broken && !after->is_broken;
	struct survey *survey = is_good ? survey_begin(edge, conn, kind, number) : NULL;
	is_good = survey != NULL;
	for (uint32_t worker = 0; worker < workers && is_good; worker++) {
		struct note *note = note_make(number, buf_view(text), buf_view(after));
		is_good = ask(edge, survey->token, worker, kind, note);
		survey->left += is_good;
	}
	if (is_good && kind->number != SURVEY_HERE)
		is_good = ask_nodes(edge, survey, 0, text, after);
	/* Those that were asked answer into the void. */
	if (!is_good)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	buf_free(text);
	buf_free(after);
}

/* On this node, or on another. */
static void ask_one(struct edge *edge, struct conn *conn, struct survey *survey, uint64_t boot_id,
                    const struct buf *text)
{
	const struct buf none = {0};
	uint32_t worker = (uint32_t)(survey->number >> 56);
	bool is_here = boot_id == edge->options.node->boot_id;
	if (is_here && worker < edge->options.workers) {
		struct note *note = note_make(survey->number, buf_view(text), slice_of(NULL, 0));
		survey->left = 1;
		if (!ask(edge, survey->token, worker, survey->kind, note))
			exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	} else if (!is_here && !ask_nodes(edge, survey, boot_id, text, &none)) {
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	} else if (survey->far_count == 0) {
		exchange_refuse(edge, conn, ERROR_NOT_FOUND, "there is no such connection");
	}
}

void survey_one(struct edge *edge, struct conn *conn, const struct survey_kind *kind,
                uint64_t boot_id, uint64_t number, struct buf *text)
{
	struct survey *survey = text->is_broken ? NULL : survey_begin(edge, conn, kind, number);
	if (survey == NULL)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	else
		ask_one(edge, conn, survey, boot_id, text);
	buf_free(text);
}

/* ---- answering, and taking answers ---- */

/* The survey of the request that a connection is carrying out; NULL: it is another by now. */
static struct survey *survey_of(const struct edge *edge, struct slab_handle token,
                                struct conn **conn)
{
	*conn = slab_by_index(&edge->conns, token.index);
	bool is_one = *conn != NULL && exchange_is_open(*conn) &&
	              (*conn)->exchange->work_kind == &survey_work;
	struct survey *survey = is_one ? (*conn)->exchange->work : NULL;
	return is_one && survey->token.generation == token.generation ? survey : NULL;
}

/* False: no memory; the note is the caller's. */
static bool add_note(struct survey *survey, struct note *note)
{
	if (survey->count == survey->room) {
		size_t room = survey->room == 0 ? 8 : 2 * survey->room;
		struct note **notes = realloc(survey->notes, room * sizeof(struct note *));
		if (notes == NULL)
			return false;
		survey->notes = notes;
		survey->room = room;
	}
	survey->notes[survey->count++] = note;
	return true;
}

/* Has everybody answered? */
static void settle(struct edge *edge, struct conn *conn, struct survey *survey)
{
	uint32_t far = 0;
	for (uint32_t i = 0; i < survey->far_count; i++)
		far += survey->far[i].left;
	if (survey->left > 0 || far > 0)
		return;
	if (list_is_linked(&survey->asking))
		list_remove(&survey->asking);
	if (survey->count == 0)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, "the node has gone");
	else
		survey->kind->finish(edge, conn, survey->notes, survey->count);
}

/* Takes over the note. */
static void take_note(struct edge *edge, struct conn *conn, struct survey *survey,
                      struct note *note)
{
	if (note != NULL && add_note(survey, note)) {
		settle(edge, conn, survey);
		return;
	}
	note_free(note);
	exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
}

static void take_answer(struct edge *edge, const struct edge_mail *mail)
{
	struct conn *conn;
	struct survey *survey = survey_of(edge, mail->asker, &conn);
	if (survey == NULL || survey->kind != mail->kind || survey->left == 0) {
		note_free(mail->note);
		return;
	}
	survey->left--;
	take_note(edge, conn, survey, mail->note);
}

/* Answers, or the first part of that. */
static void answer(struct edge *edge, const struct edge_mail *question)
{
	struct edge_up *up = edge->options.up;
	struct note *note = question->note;
	note->goes_on = false;
	question->kind->answer(edge, note);
	if (note->goes_on) {
		note->question = *question;
		list_append(&edge->surveys, &note->in_list);
		return;
	}
	if (note->far.use != 0) {
		up->answer_node(up, question->kind->number, note);
		note_free(note);
		return;
	}
	struct edge_mail back = *question;
	back.from = edge->options.worker;
	back.is_answer = true;
	post(edge, question->from, &back);
}

static struct note *take_first(struct edge *edge)
{
	struct list_node *node = list_first(&edge->surveys);
	if (node == NULL)
		return NULL;
	list_remove(node);
	return CONTAINER_OF(node, struct note, in_list);
}

/* A node that has no memory for the question, or does not know it, may not answer at all. */
static void give_up_asking(struct edge *edge)
{
	struct list_node *node;
	while ((node = list_first(&edge->asking)) != NULL) {
		struct survey *survey = CONTAINER_OF(node, struct survey, asking);
		struct conn *conn = slab_at(&edge->conns, survey->conn);
		CHECK(conn != NULL); /* its survey goes with it */
		if (edge_now_ms(edge) - survey->begun_ms < SURVEY_MS_MAX)
			return;
		list_remove(node);
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, "a node has not answered in time");
	}
}

bool survey_go_on(struct edge *edge)
{
	struct edge_up *up = edge->options.up;
	give_up_asking(edge);
	/* Without room for the answer it goes on in a later turn. */
	if (list_is_empty(&edge->surveys) || !up->has_room(up))
		return false;
	struct edge_mail question = take_first(edge)->question;
	answer(edge, &question);
	return !list_is_empty(&edge->surveys);
}

void survey_give_up(struct edge *edge)
{
	struct note *note;
	while ((note = take_first(edge)) != NULL)
		note_free(note);
}

void survey_receive(struct edge *edge, const struct edge_mail *mail)
{
	if (mail->is_answer)
		take_answer(edge, mail);
	else
		answer(edge, mail);
}

/* ---- other nodes ---- */

/* Of the worker that the number of a connection names; else of all. */
static bool is_of_one(uint8_t kind)
{
	return kind >= SURVEY_DESCRIBE && kind <= SURVEY_SEND;
}

/* Each of these workers answers the asker by itself. */
static void ask_for_node(struct edge *edge, const struct survey_question *question,
                         const struct far_asker *asker, uint32_t first, uint32_t count)
{
	const struct note starved = {.far = *asker, .body.is_broken = true};
	for (uint32_t worker = first; worker < first + count; worker++) {
		struct note *note = note_make(question->number, question->text, question->after);
		if (note != NULL)
			note->far = *asker;
		if (!ask(edge, question->token, worker, far_kinds[question->kind], note))
			edge->options.up->answer_node(edge->options.up, question->kind, &starved);
	}
}

/* None at all would be more than what there is room for. */
static bool is_of_how_many(const struct survey_kind *kind, uint64_t number)
{
	return kind->number_max == 0 ? number == 0 : number > 0 && number <= kind->number_max;
}

bool edge_survey_for_node(struct edge *edge, const struct survey_question *question,
                          const struct far_asker *asker)
{
	const struct survey_kind *kind =
		question->kind < SURVEY_NUMBERS ? far_kinds[question->kind] : NULL;
	if (kind == NULL)
		return false;
	uint32_t workers = edge->options.workers;
	uint32_t worker = (uint32_t)(question->number >> 56);
	if (!is_of_one(question->kind) && !is_of_how_many(kind, question->number))
		return false;
	if (is_of_one(question->kind))
		ask_for_node(edge, question, asker, worker < workers ? worker : 0, 1);
	else
		ask_for_node(edge, question, asker, 0, workers);
	return true;
}

static struct far_answers *answers_of(struct survey *survey, uint32_t node)
{
	for (uint32_t i = 0; i < survey->far_count; i++) {
		if (survey->far[i].node == node && survey->far[i].left > 0)
			return &survey->far[i];
	}
	return NULL;
}

void edge_node_answered(struct edge *edge, uint32_t node, struct slab_handle token, uint8_t kind,
                        uint32_t of, struct note *note)
{
	struct conn *conn;
	struct survey *survey = survey_of(edge, token, &conn);
	struct far_answers *far = survey == NULL ? NULL : answers_of(survey, node);
	if (far == NULL || survey->kind->number != kind || of == 0) {
		note_free(note);
		return;
	}
	if (!far->is_known)
		far->left = is_of_one(kind) ? 1 : of;
	far->is_known = true;
	far->left--;
	if (note != NULL)
		note->number = survey->number;
	take_note(edge, conn, survey, note);
}

void edge_node_lost(struct edge *edge, uint32_t node)
{
	struct list_node *at = list_first(&edge->asking), *next;
	for (; at != NULL; at = next) {
		struct survey *survey = CONTAINER_OF(at, struct survey, asking);
		next = list_after(&edge->asking, at);
		struct far_answers *far = answers_of(survey, node);
		struct conn *conn = slab_at(&edge->conns, survey->conn);
		CHECK(conn != NULL); /* its survey goes with it */
		if (far == NULL)
			continue;
		far->left = 0;
		settle(edge, conn, survey);
	}
}
