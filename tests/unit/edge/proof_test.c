/*
 * Very many who have more to do than fits into a turn: requests one behind the other, with and
 * without tokens whose signatures are bad, and who else is served meanwhile, and how soon. The
 * crowd is of this thread, and counts by itself what each of it is answered.
 */
#include "../auth/signing.h"
#include "auth/key.h"
#include "edge/access.h"
#include "edge/conn.h"
#include "edge_loop.h"

#define CROWD 400
#define TOKEN_US 100 /* what one counts for: ES256 */
#define TURNS_OF_SCENE_MAX 5000
#define TOKENS_A_TURN (2 * TURN_TOKENS_US / TOKEN_US)

static struct member {
	int fd;
	uint64_t answers;
	bool is_gone;
} crowd[CROWD];

static struct buf token;            /* with a signature that is none */
static unsigned turns, heard_after; /* of the client: since it has asked */
static unsigned turns_in;           /* since all of the crowd are connected */
static uint64_t done, done_a_turn;  /* answers to the crowd, in all, and at most */
static unsigned char digest[1][EDGE_KEY_DIGEST_BYTES];

/* ---- the crowd ---- */

static void crowd_connect(void)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	CHECK(getpeername(client, (struct sockaddr *)&address, &len) == 0);
	for (size_t i = 0; i < CROWD; i++) {
		crowd[i] = (struct member){.fd = socket(address.ss_family, SOCK_STREAM, 0)};
		CHECK(connect(crowd[i].fd, (struct sockaddr *)&address, len) == 0);
	}
}

static void crowd_say(struct slice bytes)
{
	for (size_t i = 0; i < CROWD; i++) {
		if (!crowd[i].is_gone)
			CHECK(send(crowd[i].fd, bytes.at, bytes.len, 0) == (ssize_t)bytes.len);
	}
}

static void member_leave(struct member *member)
{
	struct linger reset = {.l_onoff = 1};
	CHECK(setsockopt(member->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
	CHECK(close(member->fd) == 0);
	member->is_gone = true;
}

static void crowd_leave(void)
{
	for (size_t i = 0; i < CROWD; i++) {
		if (!crowd[i].is_gone)
			member_leave(&crowd[i]);
	}
}

/* Each answer has one line of that status, and nothing else looks like it. */
static void member_hear(struct member *member, const char *status)
{
	char bytes[65536 + 1];
	ssize_t got = recv(member->fd, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);
	bytes[got > 0 ? got : 0] = '\0';
	for (const char *at = bytes; (at = strstr(at, "HTTP/1.1 ")) != NULL; at++) {
		CHECK(memcmp(at + strlen("HTTP/1.1 "), status, strlen(status)) == 0);
		member->answers++;
	}
}

/* Of who has most to who has least, of those that are there. */
static uint64_t crowd_hear(const char *status)
{
	uint64_t least = UINT64_MAX, most = 0;
	for (size_t i = 0; i < CROWD; i++) {
		if (crowd[i].is_gone)
			continue;
		member_hear(&crowd[i], status);
		least = crowd[i].answers < least ? crowd[i].answers : least;
		most = crowd[i].answers > most ? crowd[i].answers : most;
	}
	return most - least;
}

static bool crowd_is_in(void)
{
	return edge->clients[EDGE_HTTP] + edge->clients[EDGE_WEBSOCKET] == 1 + CROWD &&
	       edge->conns.count == 1 + CROWD;
}

/* ---- what they ask ---- */

static void poll_request(struct buf *out, uint32_t count)
{
	while (count-- > 0)
		buf_format(out,
		           "GET /poll?channel=c HTTP/1.1\r\nHost: x\r\n"
		           "Authorization: Bearer %.*s\r\n\r\n",
		           (int)token.len, token.at);
}

static void plain_request(struct buf *out, uint32_t count)
{
	while (count-- > 0)
		buf_string(out, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
}

/* Heads, whose bodies are to come. */
static void head_of(struct buf *out, const char *path)
{
	buf_format(out,
	           "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
	           "Authorization: Bearer %.*s\r\n\r\n1",
	           path, (int)token.len, token.at);
}

static void publish_head(struct buf *out, uint32_t count)
{
	(void)count;
	head_of(out, "/publish?channel=c");
}

static void stream_head(struct buf *out, uint32_t count)
{
	(void)count;
	head_of(out, "/api/stream?channel=c");
}

static void api_head(struct buf *out, uint32_t count)
{
	(void)count;
	head_of(out, "/api/publish");
}

/* A frame whose mask is nothing; behind its handshake, where it is the first. */
static void auth_frame(struct buf *out, uint32_t count)
{
	struct buf text = {0};
	(void)count;
	if (turns == 0)
		buf_string(out, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
		                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
	buf_format(&text, "{\"type\":\"auth\",\"token\":\"%.*s\"}", (int)token.len, token.at);
	CHECK(!text.is_broken && text.len > 125 && text.len < 256);
	buf_append(out, (char[]){(char)0x81, (char)0xfe, 0, (char)text.len, 0, 0, 0, 0}, 8);
	buf_slice(out, buf_view(&text));
	buf_free(&text);
}

/* ---- scenes ---- */

static const struct scene {
	const char *claim;
	void (*request)(struct buf *out, uint32_t count);
	uint32_t count;        /* requests of each at once */
	uint64_t answers;      /* to each */
	const char *status;    /* of all answers */
	uint64_t a_turn;       /* answers to all of them, at most */
	uint64_t spread;       /* between two of them, at most */
	const char *meanwhile; /* what the client asks when they have all come; NULL: nothing */
	bool has_rest;         /* one byte more of each, once all have said so much */
	bool leaves;           /* half of it, in the midst */
	bool is_held;          /* nobody is read from till all have come */
} scenes[] = {
	{"of many who ask on and on some are answered in a turn, each in its turn", plain_request,
         240, 240, "404", TURN_STEPS_MAX *TURN_REQUESTS_MAX, 5 * TURN_REQUESTS_MAX,
         .meanwhile = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"nor does a poll wait for them", plain_request, 240, 240, "404",
         TURN_STEPS_MAX *TURN_REQUESTS_MAX, 5 * TURN_REQUESTS_MAX,
         .meanwhile = "GET /poll?channel=c HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"and of many who had to wait", plain_request, 64, 64, "404",
         2 * (TURN_STEPS_MAX + 1) * TURN_REQUESTS_MAX, 64, .is_held = true},
	{"of many tokens some are verified in a turn, each in its turn", poll_request, 5, 5, "401",
         TOKENS_A_TURN, 2, .meanwhile = NULL},
	{"who has no token does not wait for them", poll_request, 5, 5, "401", TOKENS_A_TURN, 2,
         .meanwhile = "GET /poll?channel=c HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"nor who has an API key", poll_request, 5, 5, "401", TOKENS_A_TURN, 2,
         .meanwhile = "POST /publish?channel=c HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                      "Authorization: Bearer key\r\n\r\n1"},
	{"nor who asks for what needs neither", poll_request, 5, 5, "401", TOKENS_A_TURN, 2,
         .meanwhile = "GET /health HTTP/1.1\r\nHost: x\r\n"
                      "Authorization: Bearer e30.e30.e30\r\n\r\n"},
	{"the same of tokens whose requests have a body that comes later", publish_head, 1, 1,
         "401", TOKENS_A_TURN, 1, .has_rest = true},
	{"and of bodies that nobody without a key may send", api_head, 1, 1, "401", TOKENS_A_TURN,
         1, .meanwhile = NULL},
	{"or stream", stream_head, 1, 1, "401", TOKENS_A_TURN, 1, .meanwhile = NULL},
	{"the same of who sends one after the other", poll_request, 1, 5, "401", TOKENS_A_TURN, 2,
         .meanwhile = NULL},
	/* One of each is verified before it has to wait. */
	{"and of tokens that come one after the other over WebSockets", auth_frame, 1, 5, "101",
         CROWD / 2, 1, .meanwhile = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"who leaves while its token waits is gone", poll_request, 5, 5, "401", TOKENS_A_TURN, 2,
         .leaves = true},
};

static const struct scene *scene;
static uint64_t said; /* requests by each of the crowd */
static bool has_said_rest, has_asked;

static void say_request(void)
{
	struct buf request = {0};
	scene->request(&request, scene->count);
	crowd_say(buf_view(&request));
	buf_free(&request);
}

static void begin(void)
{
	printf("proof: %s\n", scene->claim);
	/* Who waits for its turn is not late. */
	settings.header_timeout_ms = scene->request == poll_request ? 1 : 60000;
	timer_stop(loop_wheel(loop), &edge->queues[QUEUE_HEADER].timer);
	turns = heard_after = 0;
	done = done_a_turn = 0;
	has_said_rest = has_asked = false;
	buf_clear(&answer);
	crowd_connect();
	say_request();
	said = scene->count;
}

static bool is_congested(struct edge_up *from)
{
	(void)from;
	return scene->is_held && !crowd_is_in();
}

static void count(void)
{
	static uint64_t before;
	uint64_t now = edge->errors[ERROR_NOT_FOUND] + edge->errors[ERROR_UNAUTHORIZED] - before;
	before += now;
	done += now;
	/* Some are served as they come in, and once more when the loop says that they have sent
	 * something. */
	turns_in = crowd_is_in() ? turns_in + 1 : 0;
	if (turns_in > 2 || scene->is_held)
		done_a_turn = now > done_a_turn ? now : done_a_turn;
}

/* The client asks in the midst of it, and is answered in the turn that sees it. */
static void ask_meanwhile(void)
{
	hear();
	if (scene->meanwhile == NULL || !crowd_is_in())
		return;
	if (!has_asked) {
		CHECK(done < CROWD * scene->answers / 2);
		say(scene->meanwhile);
		has_asked = true;
		turns = 0;
	} else if (heard_after == 0 && was_told("HTTP/1.1 200 ")) {
		heard_after = turns;
		CHECK(done < CROWD * scene->answers);
	}
}

/* Who has come has said all but the last byte, and it has been read; or there are to be more
 * requests. */
static void say_rest(void)
{
	static uint64_t before;
	uint64_t bodies = edge->visits[CONN_BODY] - before;
	if (scene->has_rest && !has_said_rest && bodies == CROWD) {
		CHECK(done == 0);
		before += bodies;
		crowd_say(SLICE("2"));
		has_said_rest = true;
	}
	if (crowd_is_in() && said < scene->answers) {
		say_request();
		said += scene->count;
	}
}

/* Who stays has all its answers, and who has left is gone. */
static bool is_over(void)
{
	uint64_t all = CROWD * scene->answers;
	if (!scene->leaves)
		return done == all && (scene->meanwhile == NULL || heard_after > 0);
	if (crowd_is_in() && !crowd[0].is_gone) {
		CHECK(done < all / 2);
		for (size_t i = 0; i < CROWD; i += 2)
			member_leave(&crowd[i]);
	}
	uint64_t heard = 0;
	for (size_t i = 1; i < CROWD; i += 2)
		heard += crowd[i].answers;
	return edge->conns.count == 1 + CROWD / 2 && heard == all / 2;
}

static void check(void)
{
	CHECK(done_a_turn > 1 || scene->leaves);
	CHECK(done_a_turn <= scene->a_turn);
	CHECK(heard_after <= 2);
}

static void client_turn(void)
{
	static bool is_leaving;
	CHECK(++turns < TURNS_OF_SCENE_MAX);
	if (is_leaving) { /* the next scene begins alone */
		if (edge->conns.count > 1)
			return;
		is_leaving = false;
		if (++scene == scenes + COUNT_OF(scenes)) {
			loop_stop(loop);
			return;
		}
		begin();
		return;
	}
	count();
	say_rest();
	ask_meanwhile();
	CHECK(crowd_hear(scene->status) <= scene->spread);
	CHECK(has_more || list_is_empty(&edge->proving));
	if (!is_over())
		return;
	check();
	crowd_leave();
	is_leaving = true;
}

static void make_bad_token(void)
{
	char signature[64];
	memset(signature, 'x', sizeof(signature));
	append_base64url(&token, SLICE("{\"alg\":\"ES256\"}"));
	buf_string(&token, ".");
	append_base64url(&token, SLICE("{\"sub\":\"u\"}"));
	buf_string(&token, ".");
	append_base64url(&token, slice_of(signature, sizeof(signature)));
	CHECK(!token.is_broken);
}

int main(void)
{
	const char *why;
	EVP_PKEY *key = make_ec("P-256");
	settings.connections_max = CROWD;
	settings.token_keys = key_set_create();
	CHECK(settings.token_keys != NULL);
	CHECK(key_set_add_public(settings.token_keys, key, slice_of(NULL, 0), &why) == 0);
	CHECK(access_digest(SLICE("key"), digest[0]));
	settings.api_key_digests = digest;
	settings.api_key_count = 1;
	make_bad_token();
	up.is_congested = is_congested;
	open_all(1);
	scene = scenes;
	begin();
	loop_run(loop);
	close_all();
	buf_free(&token);
	key_set_destroy(settings.token_keys);
	EVP_PKEY_free(key);
	return 0;
}
