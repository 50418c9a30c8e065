/* Questions of the server API and their answers as bytes: read as they were written, and from
 * every shorter piece refused. */
#include "node/survey_wire.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../failing.h"
#include "starling/limits.h"

static void test_question(void)
{
	struct survey_question out = {.kind = SURVEY_CHANNELS,
	                              .token = {7, 8},
	                              .number = 101,
	                              .text = SLICE("pre"),
	                              .after = SLICE("fix")};
	struct survey_question in;
	struct far_asker asker;
	struct buf body = {0};
	survey_write(&body, &out, 3);
	CHECK(survey_read(buf_view(&body), &in, &asker));
	CHECK(in.kind == out.kind && in.number == 101);
	CHECK(in.token.index == 7 && in.token.generation == 8);
	CHECK(slice_is(in.text, "pre") && slice_is(in.after, "fix"));
	CHECK(asker.worker == 3 && asker.token.index == 7 && asker.token.generation == 8);
	for (size_t len = 0; len < body.len; len++)
		CHECK(!survey_read(slice_of(body.at, len), &in, &asker));
	buf_char(&body, 'x');
	CHECK(!survey_read(buf_view(&body), &in, &asker));
	buf_free(&body);
	printf("survey_wire: a question is read as it was written\n");
}

static struct note *made_note(void)
{
	struct note *note = note_make(0, SLICE(""), SLICE(""));
	CHECK(note != NULL);
	note->is_found = true;
	buf_string(&note->body, "a line\n");
	note->channels = calloc(2, sizeof(*note->channels));
	CHECK(note->channels != NULL);
	note->count = 2;
	note->channels[0] = (struct note_channel){.followers = 5, .epoch = 6, .seq = 7};
	note->channels[0].is_agent = note->channels[0].is_home = true;
	buf_string(&note->channels[0].name, "chat:1");
	buf_string(&note->channels[1].name, "chat:2");
	return note;
}

static void test_answer(void)
{
	struct note *out = made_note(), *in;
	struct survey_answer answer = {.token = {7, 8}, .kind = SURVEY_CHANNELS, .of = 2}, read;
	struct buf body = {0};
	survey_answer_write(&body, &answer, out);
	CHECK(survey_answer_read(buf_view(&body), &read, &in));
	CHECK(read.token.index == 7 && read.token.generation == 8);
	CHECK(read.kind == SURVEY_CHANNELS && read.of == 2);
	CHECK(in->is_found && in->count == 2 && slice_is(buf_view(&in->body), "a line\n"));
	CHECK(slice_is(buf_view(&in->channels[0].name), "chat:1"));
	CHECK(in->channels[0].followers == 5 && in->channels[0].epoch == 6);
	CHECK(in->channels[0].seq == 7);
	CHECK(in->channels[0].is_agent && in->channels[0].is_home);
	CHECK(slice_is(buf_view(&in->channels[1].name), "chat:2"));
	CHECK(!in->channels[1].is_agent && !in->channels[1].is_home);
	note_free(in);
	for (size_t len = 0; len < body.len; len++)
		CHECK(!survey_answer_read(slice_of(body.at, len), &read, &in));
	buf_char(&body, 'x');
	CHECK(!survey_answer_read(buf_view(&body), &read, &in));
	note_free(out);
	buf_free(&body);
	printf("survey_wire: an answer is read as it was written\n");
}

static void test_bad(void)
{
	struct note *out = made_note(), *in;
	struct survey_answer answer = {.kind = SURVEY_CHANNEL, .of = 0}, read;
	struct buf body = {0};
	survey_answer_write(&body, &answer, out);
	CHECK(!survey_answer_read(buf_view(&body), &read, &in)); /* one of none */
	answer.of = WORKERS_MAX + 1;
	buf_clear(&body);
	survey_answer_write(&body, &answer, out);
	CHECK(!survey_answer_read(buf_view(&body), &read, &in));
	answer.of = 1;
	buf_clear(&out->channels[1].name);
	buf_string(&out->channels[1].name, "a name with spaces");
	buf_clear(&body);
	survey_answer_write(&body, &answer, out);
	CHECK(!survey_answer_read(buf_view(&body), &read, &in));
	note_free(out);
	buf_free(&body);
	printf("survey_wire: what cannot be is refused\n");
}

/* A note that could not be made whole is not taken for one that says that there is nothing. */
static void test_no_memory(void)
{
	struct note *out = made_note(), *in;
	struct survey_answer answer = {.kind = SURVEY_CHANNELS, .of = 1}, read;
	struct buf body = {0};
	survey_answer_write(&body, &answer, out);
	for (uint32_t number = 1, failed = 1; failed > 0; number++) {
		failing_arm(number, FAILING_ONE);
		CHECK(survey_answer_read(buf_view(&body), &read, &in));
		failed = failing_disarm();
		CHECK((in == NULL) == (failed > 0));
		CHECK(in == NULL || in->count == 2);
		note_free(in);
		CHECK(failed > 0 || number > 4);
	}
	/* The list broke off in the midst of a name. */
	out->is_found = false;
	buf_free(&out->channels[1].name);
	buf_clear(&body);
	survey_answer_write(&body, &answer, out);
	CHECK(survey_answer_read(buf_view(&body), &read, &in));
	CHECK(!in->is_found && in->count == 0);
	note_free(in);
	out->is_found = out->body.is_broken = true;
	buf_clear(&body);
	survey_answer_write(&body, &answer, out);
	CHECK(survey_answer_read(buf_view(&body), &read, &in));
	CHECK(in == NULL);
	note_free(out);
	buf_free(&body);
	printf("survey_wire: want of memory, here or there, is told as such\n");
}

int main(void)
{
	test_question();
	test_answer();
	test_bad();
	test_no_memory();
	return 0;
}
