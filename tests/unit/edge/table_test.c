/* The tables that the edge is made of: close reasons, errors, connection states. */
#include <string.h>

#include "base/check.h"
#include "starling/close.h"
#include "starling/error.h"
#include "wire/utf8.h"
#include "wire/ws_frame.h"

static void claim(const char *text)
{
	printf("table: %s\n", text);
}

/* ---- close.def ---- */

static const struct {
	int code;
	const char *reason, *sentence;
} closes[] = {
#define CLOSE(name, code, reason, sentence) {code, reason, sentence},
#include "starling/close.def"
#undef CLOSE
};

static_assert(COUNT_OF(closes) == CLOSE_COUNT, "the enum has a row each");

static void test_closes(void)
{
	claim("each close reason is told apart by its text, which fits a close frame");
	for (size_t i = 0; i < COUNT_OF(closes); i++) {
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(closes[i].reason, closes[j].reason) != 0);
		CHECK(strlen(closes[i].reason) <= WS_CONTROL_MAX - 2);
		CHECK(strlen(closes[i].sentence) > 0);
	}
	claim("each close code is one that may stand in a frame, or 0");
	for (size_t i = 0; i < COUNT_OF(closes); i++)
		CHECK(closes[i].code == 0 || ws_close_code_is_valid((uint16_t)closes[i].code));
	claim("the reasons that the contract fixes have its codes");
	CHECK(closes[CLOSE_SLOW_CONSUMER].code == 1008);
	CHECK(strcmp(closes[CLOSE_SLOW_CONSUMER].reason, "slow_consumer") == 0);
	CHECK(closes[CLOSE_RATE_LIMITED].code == 1008);
	CHECK(strcmp(closes[CLOSE_RATE_LIMITED].reason, "rate_limited") == 0);
	CHECK(closes[CLOSE_TOO_LARGE].code == 1009);
	CHECK(strcmp(closes[CLOSE_TOO_LARGE].reason, "too_large") == 0);
	CHECK(closes[CLOSE_DRAIN].code == 1012);
	CHECK(strcmp(closes[CLOSE_DRAIN].reason, "drain") == 0);
	CHECK(closes[CLOSE_PROTOCOL].code == 1002);
	CHECK(closes[CLOSE_NOT_TEXT].code == 1007);
}

/* ---- error.def ---- */

static const struct {
	const char *code;
	int status;
} contract[] = {
	{"bad_request", 400},     {"unauthorized", 401},       {"forbidden", 403},
	{"not_found", 404},       {"method_not_allowed", 405}, {"timeout", 408},
	{"too_large", 413},       {"uri_too_long", 414},       {"upgrade_required", 426},
	{"rate_limited", 429},    {"connection_limit", 429},   {"header_too_large", 431},
	{"overloaded", 503},      {"draining", 503},           {"unavailable", 503},
	{"too_many_channels", 0}, {"not_subscribed", 0},
};

static void test_errors(void)
{
	claim("each error of the contract is in the table with its status");
	for (size_t i = 0; i < COUNT_OF(contract); i++) {
		int found = 0;
		for (enum error_code error = ERROR_NONE; error < ERROR_COUNT; error++) {
			if (strcmp(error_text(error), contract[i].code) != 0)
				continue;
			found++;
			CHECK(contract[i].status == 0 || error_status(error) == contract[i].status);
		}
		CHECK(found == 1);
	}
	claim("and no other");
	CHECK(ERROR_COUNT == COUNT_OF(contract) + 1); /* ERROR_NONE */
}

/* ---- conn_state.def ---- */

enum {
#define CONN_STATE(name, deadline, what) STATE_##name,
#include "edge/conn_state.def"
	STATE_COUNT
};

static const bool edges[STATE_COUNT][STATE_COUNT] = {
#define CONN_EDGE(from, to) [STATE_##from][STATE_##to] = true,
#include "edge/conn_state.def"
};

static const struct {
	const char *claim;
	int from, to;
} illegal[] = {
	{"nothing leaves DEAD for IDLE", STATE_DEAD, STATE_IDLE},
	{"a goodbye is not taken back", STATE_CLOSING, STATE_IDLE},
	{"a closing connection answers nothing", STATE_CLOSING, STATE_ANSWER},
	{"a WebSocket is never HTTP again", STATE_SOCKET, STATE_IDLE},
	{"nor asks anything", STATE_SOCKET, STATE_ANSWER},
	{"an event stream is never HTTP again", STATE_STREAM, STATE_IDLE},
	{"nor what is had live", STATE_LIVE, STATE_IDLE},
	{"nothing is answered before its head is whole", STATE_IDLE, STATE_ANSWER},
	{"nor before anything came", STATE_ACCEPTED, STATE_ANSWER},
	{"a body has a head before it", STATE_IDLE, STATE_BODY},
	{"a body does not begin another head", STATE_BODY, STATE_HEAD},
	{"an answer comes before the next request", STATE_ANSWER, STATE_HEAD},
	{"a poll ends before the next request", STATE_POLL, STATE_HEAD},
	{"a poll does not become a stream", STATE_POLL, STATE_STREAM},
	{"nobody is accepted twice", STATE_IDLE, STATE_ACCEPTED},
};

static void test_states(void)
{
	claim("every state but DEAD may end at once, and DEAD is the end");
	for (int state = 0; state < STATE_COUNT; state++) {
		CHECK(edges[state][STATE_DEAD] == (state != STATE_DEAD));
		CHECK(!edges[STATE_DEAD][state]);
		CHECK(!edges[state][state]);
		CHECK(!edges[state][STATE_ACCEPTED]);
	}
	for (size_t i = 0; i < COUNT_OF(illegal); i++) {
		claim(illegal[i].claim);
		CHECK(!edges[illegal[i].from][illegal[i].to]);
	}
}

int main(void)
{
	test_closes();
	test_errors();
	test_states();
	return 0;
}
