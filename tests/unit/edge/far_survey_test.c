/*
 * What the server API asks of other nodes where memory is short: a loop with an edge, whose client
 * asks one question after another on one connection. The other nodes are this test.
 */
#include "edge/survey.h"
#include "edge_loop.h"

struct letter {
	bool is_edge;
	union {
		struct hub_mail hub;
		struct edge_mail edge;
	};
};

enum step {
	STEP_UNASKED = 0, /* there is no memory to ask the other node */
	STEP_STALE,       /* what is still answered to that is no answer to this */
	STEP_STARVED,     /* the other node has no memory for its answer */
	STEP_THERE,       /* it has */
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
};

static void node_answers(void);
static size_t step;
static bool is_asked;         /* the other node */
static struct edge_mail held; /* the answer to the first question */
static bool is_holding, is_full;
static uint32_t starved_count;

static void begin_step(void)
{
	char request[200];
	buf_clear(&answer);
	int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n",
	                   steps[step].path);
	CHECK(send(client, request, (size_t)len, 0) == len);
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

static uint32_t letters_max(void)
{
	return mailbox_has_room(office, 0, 2 * TURN_MAILS_MAX) ? TURN_MAILS_MAX : 0;
}

static void take_letter(const void *bytes)
{
	const struct letter *letter = bytes;
	role_enter_worker();
	if (letter->is_edge)
		edge_receive_mail(edge, &letter->edge);
	else
		edge_receive(edge, &letter->hub);
}

static void post(struct edge_up *up, uint32_t worker, const struct hub_mail *mail)
{
	struct letter letter = {.hub = *mail};
	(void)up;
	mailbox_post(office, 0, worker, &letter);
}

static void post_edge(struct edge_up *up, uint32_t worker, const struct edge_mail *mail)
{
	struct letter letter = {.is_edge = true, .edge = *mail};
	(void)up;
	if (mail->is_answer && slice_is(buf_view(&mail->note->text), "ann")) {
		held = *mail;
		is_holding = true;
		return;
	}
	if (mail->is_answer && is_holding) { /* letters keep their order */
		struct letter first = {.is_edge = true, .edge = held};
		is_holding = false;
		mailbox_post(office, 0, worker, &first);
	}
	mailbox_post(office, 0, worker, &letter);
}

static bool has_room(struct edge_up *up)
{
	(void)up;
	return !is_full && mailbox_has_room(office, 0, HUB_LETTERS_MAX);
}

static bool is_congested(struct edge_up *up)
{
	(void)up;
	return mailbox_is_congested(office, 0);
}

static void letters(struct edge_up *up, uint64_t *incoming, uint64_t *queued)
{
	(void)up;
	*incoming = mailbox_incoming(office, 0);
	*queued = mailbox_queued(office, 0);
}

/* ---- other nodes ---- */

#define NODE 3

static struct survey_question asked;

/* As soon as its letter would come. */
static void node_answers(void)
{
	struct note *note = NULL;
	if (step == STEP_THERE) {
		note = note_make(0, SLICE(""), SLICE(""));
		CHECK(note != NULL);
		note->is_found = true;
		buf_string(&note->body, "{}\n");
	}
	is_asked = false;
	role_enter_worker();
	edge_node_answered(edge, NODE, asked.token, asked.kind, 1, note);
}

static uint32_t ask_nodes(struct edge_up *up, const struct survey_question *question,
                          uint16_t *nodes)
{
	(void)up;
	if (step == STEP_UNASKED)
		return SURVEY_NO_MEMORY;
	if (step != STEP_STARVED && step != STEP_THERE)
		return 0;
	asked = *question;
	is_asked = true;
	nodes[0] = NODE;
	return 1;
}

static void answer_node(struct edge_up *up, uint8_t kind, const struct note *note)
{
	(void)up;
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
	is_full = true;
	CHECK(edge_survey_for_node(edge, &question, &asker));
	is_full = false;
	CHECK(starved_count == 1);
	printf("far_survey: a node that asks is told that there is no room for its question\n");
}

static void log_line(struct edge_up *up, const struct edge_line *line)
{
	(void)up;
	(void)line;
}

static struct edge_up up = {.post = post,
                            .post_edge = post_edge,
                            .has_room = has_room,
                            .is_congested = is_congested,
                            .letters = letters,
                            .ask_nodes = ask_nodes,
                            .answer_node = answer_node,
                            .log = log_line};

int main(void)
{
	open_all(&up, 1, sizeof(struct letter));
	node_asks();
	begin_step();
	loop_run(loop);
	CHECK(!is_holding);
	close_all();
	return 0;
}
