/*
 * What the server API asks of other nodes where memory is short: a loop with an edge, whose client
 * asks one question after another on one connection. The other nodes are this test.
 */
#include "../../failing.h"
#include "edge/survey.h"
#include "edge_loop.h"

enum step {
	STEP_UNASKED = 0, /* there is no memory to ask the other node */
	STEP_STALE,       /* what is still answered to that is no answer to this */
	STEP_STARVED,     /* the other node has no memory for its answer */
	STEP_THERE,       /* it has */
	STEP_LOST,        /* it ends before it answers */
	STEP_LOST_ALONE,  /* and nobody else was asked */
	STEP_ALIKE,       /* two have boot ids that begin alike */
	STEP_COUNT,
};

static const struct {
	const char *claim, *path, *answer;
} steps[STEP_COUNT] = {
	[STEP_UNASKED] = {"who cannot be asked is not left out", "/api/users/ann", " 503 "},
	[STEP_STALE] = {"an answer to what was refused is no answer to the next question",
                        "/api/users/bob", "{\"user\":\"bob\",\"online\":false,\"connections\":[]}"},
	[STEP_STARVED] = {"who has no memory to answer has not said that there is nothing",
                          "/api/connections/2-5", " 503 "},
	[STEP_THERE] = {"who answers is heard", "/api/users/cid",
                        "{\"user\":\"cid\",\"online\":true,\"connections\":[{}]}"},
	[STEP_LOST] = {"who ends meanwhile is not waited for", "/api/users/dan",
                       "{\"user\":\"dan\",\"online\":false,\"connections\":[]}"},
	[STEP_LOST_ALONE] = {"but what it alone could answer is not known", "/api/connections/2-6",
                             " 503 "},
	[STEP_ALIKE] = {"of two whose boot ids begin alike one has it", "/api/connections/2-7",
                        "{\"id\":\"2-7\"}"},
};

static void node_answers(void);
static size_t step;
static bool is_asked;         /* the other node */
static struct edge_mail held; /* the answer to the first question */
static bool is_holding;
static uint32_t starved_count;

static void begin_step(void)
{
	char request[200];
	buf_clear(&answer);
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", steps[step].path);
	say(request);
}

/* Its turn comes behind the worker's. */
static void client_turn(void)
{
	static unsigned turns;
	if (is_asked)
		node_answers();
	hear();
	CHECK(++turns < TURNS_MAX);
	if (answer.len == 0 || answer.at[answer.len - 1] != '}')
		return;
	printf("far_survey: %s\n", steps[step].claim);
	CHECK(was_told(steps[step].answer));
	if (++step < STEP_COUNT)
		begin_step();
	else
		loop_stop(loop);
}

/* ---- letters ---- */

static void post_edge(struct edge_up *from, uint32_t worker, const struct edge_mail *mail)
{
	if (mail->is_answer && slice_is(buf_view(&mail->note->text), "ann")) {
		held = *mail;
		is_holding = true;
		return;
	}
	if (mail->is_answer && is_holding) { /* letters keep their order */
		is_holding = false;
		up_post_edge(from, worker, &held);
	}
	up_post_edge(from, worker, mail);
}

/* ---- other nodes ---- */

#define NODE 3

static struct survey_question asked;

static struct note *found(const char *what)
{
	struct note *note = note_make(0, SLICE(""), SLICE(""));
	CHECK(note != NULL);
	note->is_found = *what != '\0';
	buf_string(&note->body, what);
	return note;
}

/* As soon as its letter would come. */
static void node_answers(void)
{
	struct note *note = NULL;
	if (step == STEP_THERE)
		note = found("{}\n");
	if (step == STEP_ALIKE)
		note = found("{\"id\":\"2-7\"}");
	is_asked = false;
	role_enter_worker();
	if (step == STEP_ALIKE)
		edge_node_answered(edge, NODE + 1, asked.token, asked.kind, 1, found(""));
	if (step == STEP_LOST || step == STEP_LOST_ALONE)
		edge_node_lost(edge, NODE);
	else
		edge_node_answered(edge, NODE, asked.token, asked.kind, 1, note);
}

static uint32_t ask_nodes(struct edge_up *from, const struct survey_question *question,
                          uint16_t *nodes)
{
	(void)from;
	if (step == STEP_UNASKED)
		return SURVEY_NO_MEMORY;
	if (step == STEP_STALE)
		return 0;
	asked = *question;
	is_asked = true;
	nodes[0] = NODE;
	nodes[1] = NODE + 1;
	return step == STEP_ALIKE ? 2 : 1;
}

static void answer_node(struct edge_up *from, uint8_t kind, const struct note *note)
{
	(void)from;
	CHECK(kind == SURVEY_USER);
	CHECK(note->far.node == NODE && note->far.token.index == 7);
	CHECK(note->body.is_broken);
	starved_count++;
}

static void node_asks(void)
{
	struct survey_question question = {.kind = SURVEY_USER, .text = SLICE("eve")};
	struct far_asker asker = {.node = NODE, .use = 1, .token = {7, 8}};
	role_enter_worker();
	printf("far_survey: a node that asks is told that there is no memory for its question\n");
	failing_arm(1, FAILING_ONE);
	CHECK(edge_survey_for_node(edge, &question, &asker));
	CHECK(failing_disarm() == 1);
	CHECK(starved_count == 1);
}

int main(void)
{
	up.post_edge = post_edge;
	up.ask_nodes = ask_nodes;
	up.answer_node = answer_node;
	open_all(1);
	node_asks();
	begin_step();
	loop_run(loop);
	CHECK(!is_holding);
	close_all();
	return 0;
}
