/*
 * What one turn of a worker does is bounded: for one client, and for many that leave at once. A
 * loop with an edge and nobody else: the client is a socket of this same thread, which sends one
 * request after another and counts the turns till each answer has come. The crowd is of this
 * thread, too.
 */
#include "auth/key.h"
#include "edge_loop.h"

/* ---- the client ---- */

static struct buf request;                   /* what is still to be sent */
static uint64_t turns;                       /* since the request was begun */
static uint64_t published, published_a_turn; /* in all, and at most */
static uint64_t refused, refused_a_turn;     /* the same of requests */

#define CHANNELS 1000 /* a request may name so many */
#define ROUNDS 20
#define LINES 50000
#define REQUESTS 2000 /* at once */
#define TOKENS 100
#define CROWD (2 * TURN_ENDS_MAX + 10)

static int crowd[CROWD];
static uint64_t closed, closed_a_turn; /* of the crowd, in all, and at most */

enum step {
	STEP_CHANNELS = 0, /* and ROUNDS - 1 more */
	STEP_LIST = ROUNDS,
	STEP_REQUESTS,
	STEP_TOKENS,
	STEP_STREAM,
	STEP_CROWD,
	STEP_LEAVING,
	STEP_COUNT
};

static void make_channels(size_t round)
{
	struct buf body = {0};
	buf_string(&body, "{\"data\":1,\"channels\":[");
	for (size_t i = 0; i < CHANNELS; i++)
		buf_format(&body, "%s\"c%zu\"", i > 0 ? "," : "", CHANNELS * round + i);
	buf_string(&body, "]}");
	buf_format(&request, "POST /api/publish HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
	           body.len);
	buf_slice(&request, buf_view(&body));
	buf_free(&body);
}

static void list_channels(void)
{
	buf_string(&request, "GET /api/channels?limit=2 HTTP/1.1\r\nHost: x\r\n\r\n");
}

static void stream_lines(void)
{
	buf_format(&request,
	           "POST /api/stream?channel=lines HTTP/1.1\r\nHost: x\r\n"
	           "Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n",
	           LINES);
	memset(buf_room(&request, LINES), '\n', LINES);
	buf_grew(&request, LINES);
}

static void pipeline(const char *path, size_t count)
{
	while (count-- > 0)
		buf_format(&request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
}

/* They come, and say nothing. */
static void crowd_open(void)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	CHECK(getpeername(client, (struct sockaddr *)&address, &len) == 0);
	for (size_t i = 0; i < CROWD; i++) {
		crowd[i] = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CHECK(connect(crowd[i], (struct sockaddr *)&address, len) == 0);
	}
}

static void crowd_close(void)
{
	for (size_t i = 0; i < CROWD; i++) {
		CHECK(close(crowd[i]) == 0);
		crowd[i] = -1;
	}
}

static bool crowd_is_in(void)
{
	struct edge_stats stats;
	edge_count(edge, &stats);
	return stats.clients[EDGE_HTTP] == 1 + CROWD;
}

/* All of it at once, when it was let in. */
static bool crowd_was_refused(void)
{
	if (refused > 0 || !crowd_is_in())
		return refused == CROWD * TURN_REQUESTS_MAX;
	pipeline("/nothing", TURN_REQUESTS_MAX);
	for (size_t i = 0; i < CROWD; i++)
		CHECK(send(crowd[i], request.at, request.len, 0) == (ssize_t)request.len);
	buf_clear(&request);
	return false;
}

static bool crowd_is_gone(void)
{
	struct edge_stats stats;
	edge_count(edge, &stats);
	uint64_t now = stats.closes[CLOSE_GONE] - closed;
	closed += now;
	closed_a_turn = now > closed_a_turn ? now : closed_a_turn;
	if (crowd[0] >= 0)
		crowd_close();
	return closed == CROWD;
}

static bool has_answer(size_t step)
{
	if (step == STEP_REQUESTS)
		return refused == REQUESTS;
	if (step == STEP_TOKENS)
		return refused == TOKENS;
	if (step == STEP_CROWD)
		return crowd_was_refused();
	if (step == STEP_LEAVING)
		return crowd_is_gone();
	return answer.len > 0 && was_told("\r\n\r\n{") && answer.at[answer.len - 1] == '}';
}

static void begin_step(size_t step)
{
	buf_clear(&answer);
	turns = published_a_turn = refused = refused_a_turn = 0;
	if (step < STEP_LIST)
		make_channels(step);
	else if (step == STEP_LIST)
		list_channels();
	else if (step == STEP_STREAM)
		stream_lines();
	else if (step == STEP_REQUESTS)
		pipeline("/nothing", REQUESTS);
	else if (step == STEP_TOKENS)
		pipeline("/poll?channel=c&token=e30.e30.e30", TOKENS);
	else if (step == STEP_CROWD)
		crowd_open();
}

static void check_step(size_t step)
{
	if (step == STEP_LIST) {
		printf("turn: a list of many channels is made in many turns\n");
		CHECK(was_told("\"channel\":\"c0\""));
		CHECK(was_told("\"next\":\"c1\""));
		CHECK(turns > ROUNDS / 2);
	} else if (step == STEP_STREAM) {
		printf("turn: a stream of many lines is published some at a time\n");
		CHECK(was_told("{\"published\":50000,"));
		CHECK(published_a_turn <= 2 * 4096); /* what it reads, and what it had kept */
	} else if (step == STEP_REQUESTS) {
		printf("turn: of many requests at once some are answered at a time\n");
		CHECK(refused_a_turn > 1);
		CHECK(refused_a_turn <= 2 * TURN_REQUESTS_MAX); /* as it came, and what is kept */
	} else if (step == STEP_TOKENS) {
		printf("turn: of many tokens at once one is looked at at a time\n");
		CHECK(refused_a_turn <= 2);
	} else if (step == STEP_CROWD) {
		printf("turn: of a crowd's many requests some are answered at a time\n");
		CHECK(refused_a_turn > 1);
		CHECK(refused_a_turn <= 2 * (TURN_REQUESTS_ALL + TURN_REQUESTS_MAX) + CROWD);
	} else if (step == STEP_LEAVING) {
		printf("turn: of a crowd that leaves some are closed at a time\n");
		CHECK(closed_a_turn > 1);
		CHECK(closed_a_turn <= TURN_ENDS_MAX);
	}
}

static void move_bytes(void)
{
	ssize_t put = send(client, request.at, request.len, MSG_DONTWAIT);
	if (put > 0)
		buf_use(&request, (size_t)put);
	hear();
}

static void count(void)
{
	static uint64_t refused_before;
	struct edge_stats stats;
	edge_count(edge, &stats);
	uint64_t now = stats.hub.published - published;
	published = stats.hub.published;
	published_a_turn = now > published_a_turn ? now : published_a_turn;
	now = stats.errors[ERROR_NOT_FOUND] + stats.errors[ERROR_UNAUTHORIZED] - refused_before;
	refused_before += now;
	refused += now;
	refused_a_turn = now > refused_a_turn ? now : refused_a_turn;
}

/* Its turn comes behind the worker's. */
static void client_turn(void)
{
	static size_t step;
	move_bytes();
	count();
	CHECK(++turns < TURNS_MAX);
	if (!has_answer(step))
		return;
	check_step(step);
	if (++step < STEP_COUNT)
		begin_step(step);
	else
		loop_stop(loop);
}

int main(void)
{
	const char *why;
	settings.token_keys = key_set_create();
	CHECK(settings.token_keys != NULL);
	CHECK(key_set_add_secret(settings.token_keys,
	                         SLICE("a secret that is long enough, as it is 32"), &why) == 0);
	open_all(1);
	begin_step(STEP_CHANNELS);
	loop_run(loop);
	close_all();
	buf_free(&request);
	key_set_destroy(settings.token_keys);
	return 0;
}
