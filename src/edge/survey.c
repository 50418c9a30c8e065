#include "edge/survey.h"

#include <stdlib.h>

struct survey {
	const struct survey_kind *kind;
	size_t asked, answered;
	struct note *notes[];
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
	for (size_t i = 0; i < survey->answered; i++)
		note_free(survey->notes[i]);
	free(survey);
}

static const struct work_kind survey_work = {.free = survey_free};

/* ---- asking ---- */

static struct survey *survey_begin(struct conn *conn, const struct survey_kind *kind, size_t asked)
{
	struct survey *survey = calloc(1, sizeof(*survey) + asked * sizeof(survey->notes[0]));
	if (survey == NULL)
		return NULL;
	survey->kind = kind;
	survey->asked = asked;
	exchange_set_work(conn, &survey_work, survey);
	return survey;
}

static struct note *note_make(uint64_t number, const struct buf *text, const struct buf *after)
{
	struct note *note = calloc(1, sizeof(*note));
	if (note == NULL)
		return NULL;
	note->number = number;
	buf_slice(&note->text, buf_view(text));
	buf_slice(&note->after, buf_view(after));
	if (!note->text.is_broken && !note->after.is_broken && !text->is_broken &&
	    !after->is_broken)
		return note;
	note_free(note);
	return NULL;
}

static void post(struct edge *edge, uint32_t worker, const struct edge_mail *mail)
{
	edge->options.up->post_edge(edge->options.up, worker, mail);
}

static bool ask(struct edge *edge, struct conn *conn, uint32_t worker,
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
	                         .asker = slab_handle_of(&edge->conns, conn),
	                         .note = note};
	post(edge, worker, &mail);
	return true;
}

void survey_all(struct edge *edge, struct conn *conn, const struct survey_kind *kind,
                uint64_t number, struct buf *text, struct buf *after)
{
	uint32_t workers = edge->options.workers, asked = 0;
	struct survey *survey = survey_begin(conn, kind, workers);
	while (survey != NULL && asked < workers &&
	       ask(edge, conn, asked, kind, note_make(number, text, after)))
		asked++;
	/* Those that were asked answer into the void. */
	if (asked < workers)
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	buf_free(text);
	buf_free(after);
}

void survey_one(struct edge *edge, struct conn *conn, const struct survey_kind *kind,
                uint64_t number, struct buf *text)
{
	const struct buf none = {0};
	uint32_t worker = (uint32_t)(number >> 56);
	CHECK(worker < edge->options.workers);
	struct survey *survey = survey_begin(conn, kind, 1);
	if (survey == NULL || !ask(edge, conn, worker, kind, note_make(number, text, &none)))
		exchange_refuse(edge, conn, ERROR_UNAVAILABLE, why_no_memory);
	buf_free(text);
}

/* ---- answering, and taking answers ---- */

/* The survey of the request that the connection is carrying out; NULL: it is another by now. */
static struct survey *survey_of(const struct conn *conn)
{
	bool is_one = !conn->session.is_ended && conn->transport == &transport_http &&
	              conn->exchange != NULL && conn->exchange->work_kind == &survey_work;
	return is_one ? conn->exchange->work : NULL;
}

static void take_answer(struct edge *edge, const struct edge_mail *mail)
{
	struct conn *conn = slab_at(&edge->conns, mail->asker);
	struct survey *survey = conn == NULL ? NULL : survey_of(conn);
	if (survey == NULL || survey->kind != mail->kind || survey->answered == survey->asked) {
		note_free(mail->note);
		return;
	}
	survey->notes[survey->answered++] = mail->note;
	if (survey->answered == survey->asked)
		survey->kind->finish(edge, conn, survey->notes, survey->answered);
}

/* Answers, or the first part of that. */
static void answer(struct edge *edge, const struct edge_mail *question)
{
	struct note *note = question->note;
	note->goes_on = false;
	question->kind->answer(edge, note);
	if (note->goes_on) {
		note->question = *question;
		list_append(&edge->surveys, &note->in_list);
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

bool survey_go_on(struct edge *edge)
{
	struct edge_up *up = edge->options.up;
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
