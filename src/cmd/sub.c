/*
 * One connection after another, each with the subscriptions from where the last one left them. A
 * round is one of them, from dialling to its end; between two rounds the back-off is waited for.
 * The first round has to come up, or else the command fails at once: a wrong address is no reason
 * to wait.
 */
#include <errno.h>
#include <openssl/rand.h>
#include <unistd.h>

#include "base/random.h"
#include "base/text.h"
#include "cmd/client.h"
#include "cmd/command.h"
#include "cmd/feed.h"
#include "cmd/interrupt.h"
#include "cmd/options.h"
#include "cmd/upgrade.h"
#include "ops/complaint.h"
#include "wire/ws_client.h"

#define MESSAGE_BYTES_MAX (80u << 20) /* the largest limits.message_size, and its envelope */
#define BACK_OFF_MS_MIN 1000u
#define BACK_OFF_MS_MAX 30000
#define STEADY_MS 10000          /* a connection that lived so long starts the back-off anew */
#define PUT_OFF_MS_MAX 3600000   /* of what the server may ask for */
#define OUTPUT_PIECE 4096        /* PIPE_BUF: where poll(2) sees room, it goes without a wait */
#define HEARTBEAT_SLACK_MS 10000 /* past two heartbeats without a byte the server is gone */

enum round {
	ROUND_LOST = 0, /* `why`; the next one may go better */
	ROUND_FAILED,   /* `why`; it will not */
	ROUND_OVER,     /* told to end */
};

struct sub {
	struct client_settings settings;
	struct client client;
	struct ws_client_reader reader;
	struct feed feed;
	struct random random;
	struct buf why; /* of the round's end, one line */
	uint64_t up_at_ms, heard_at_ms;
	uint64_t wait_ms; /* the server's wish for the next round; 0: none */
	unsigned attempt; /* of the back-off */
	bool is_up;       /* this round is */
	bool was_up;      /* any round was */
};

static enum round round_end(struct sub *sub, enum round round, const char *why)
{
	buf_clear(&sub->why);
	buf_string(&sub->why, why);
	return round;
}

static enum round round_end_feed(struct sub *sub, enum feed_answer answer)
{
	CHECK(answer != FEED_GOOD);
	buf_clear(&sub->why);
	buf_slice(&sub->why, buf_view(&sub->feed.why));
	return answer == FEED_LOST ? ROUND_LOST : ROUND_FAILED;
}

/* ---- text out ---- */

/* 0 or -errno; -EINTR: told to end. */
static int write_lines(struct buf *lines)
{
	while (lines->len > 0) {
		struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
		int ready = interrupt_poll(&out, 1, -1);
		if (ready < 0)
			return ready;
		ssize_t put = write(STDOUT_FILENO, lines->at,
		                    lines->len < OUTPUT_PIECE ? lines->len : OUTPUT_PIECE);
		if (put < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (put > 0)
			buf_use(lines, (size_t)put);
	}
	return 0;
}

/* True: the round goes on. That nobody reads on is no failure. */
static bool write_feed(struct sub *sub, enum round *end)
{
	struct buf *notices = &sub->feed.notices;
	if (notices->len > 0)
		fwrite(notices->at, 1, notices->len, stderr);
	buf_clear(notices);
	int result = write_lines(&sub->feed.lines);
	if (result == 0)
		return true;
	*end = ROUND_OVER;
	if (result == -EINTR || result == -EPIPE)
		return false;
	*end = ROUND_FAILED;
	buf_clear(&sub->why);
	buf_format(&sub->why, "standard output: %s", strerror(-result));
	return false;
}

/* Nobody reads what would be written: told before there is something to write. */
static bool is_unread(const struct pollfd *out)
{
	return (out->revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
}

/* ---- frames ---- */

static bool make_mask(char mask[WS_MASK_BYTES])
{
	return RAND_bytes((unsigned char *)mask, WS_MASK_BYTES) == 1;
}

static void say(struct sub *sub, enum ws_opcode opcode, struct slice payload)
{
	char mask[WS_MASK_BYTES];
	if (make_mask(mask))
		ws_client_append(&sub->client.out, opcode, payload, mask);
	else
		sub->client.out.is_broken = true;
}

static void say_close(struct sub *sub, uint16_t code)
{
	char mask[WS_MASK_BYTES];
	if (make_mask(mask))
		ws_client_close_append(&sub->client.out, code, slice_of(NULL, 0), mask);
}

static void subscribe(struct sub *sub)
{
	struct buf text = {0};
	for (size_t i = 0; i < sub->feed.count; i++) {
		buf_clear(&text);
		feed_subscribe(&sub->feed, i, &text);
		say(sub, WS_OPCODE_TEXT, buf_view(&text));
		sub->client.out.is_broken |= text.is_broken;
	}
	buf_free(&text);
}

static enum round hear_close(struct sub *sub, const struct ws_message *message)
{
	bool is_sent_away = message->close_code == WS_CLOSE_POLICY &&
	                    slice_is(message->payload, "disconnected");
	buf_clear(&sub->why);
	buf_format(&sub->why, "the server closed it with %u ", message->close_code);
	complaint_text(&sub->why, message->payload);
	say_close(sub, message->close_code);
	return is_sent_away ? ROUND_FAILED : ROUND_LOST;
}

static enum round hear_fault(struct sub *sub, const struct ws_message *message)
{
	buf_clear(&sub->why);
	buf_string(&sub->why, "the server sent what it must not: ");
	complaint_text(&sub->why, message->payload);
	say_close(sub, message->close_code);
	return ROUND_LOST;
}

/* One message. True: the round goes on. */
static bool hear(struct sub *sub, enum ws_result result, const struct ws_message *message,
                 enum round *end)
{
	enum feed_answer answer = FEED_GOOD;
	switch (result) {
	case WS_TEXT:
		answer = feed_text(&sub->feed, message->payload);
		break;
	case WS_BINARY:
		answer = feed_binary(&sub->feed, message->payload);
		break;
	case WS_PING:
		say(sub, WS_OPCODE_PONG, message->payload);
		break;
	case WS_MORE:
	case WS_PONG:
		break;
	case WS_CLOSE:
		*end = hear_close(sub, message);
		return false;
	case WS_BAD:
		*end = hear_fault(sub, message);
		return false;
	}
	if (answer != FEED_GOOD)
		*end = round_end_feed(sub, answer);
	return answer == FEED_GOOD;
}

/* All that came. True: the round goes on. */
static bool hear_all(struct sub *sub, enum round *end)
{
	struct buf *in = &sub->client.in;
	bool goes_on = true;
	while (goes_on && in->len > 0) {
		struct ws_message message;
		size_t used;
		enum ws_result result = ws_client_read(&sub->reader, in->at, in->len,
		                                       MESSAGE_BYTES_MAX, &used, &message);
		goes_on = hear(sub, result, &message, end);
		buf_use(in, used);
	}
	if (ws_client_reader_is_at_rest(&sub->reader))
		ws_client_reader_free(&sub->reader);
	if (goes_on && (sub->feed.lines.is_broken || sub->feed.notices.is_broken)) {
		*end = round_end(sub, ROUND_FAILED, "out of memory");
		return false;
	}
	return goes_on;
}

/* ---- one round ---- */

/* How long a status of the handshake asks to wait, in seconds; 0: it does not. */
static uint64_t retry_after(const struct reply *reply)
{
	const struct slice *header = http_answer_header(&reply->head, "retry-after");
	uint64_t seconds;
	bool is_told = header != NULL && text_to_u64(*header, &seconds);
	return is_told && seconds <= PUT_OFF_MS_MAX / 1000 ? seconds : 0;
}

static enum round refuse_handshake(struct sub *sub, const struct reply *reply)
{
	int status = reply->head.status;
	bool is_passing = status == 408 || status == 429 || status >= 500;
	buf_clear(&sub->why);
	reply_explain(reply, &sub->why);
	sub->wait_ms = retry_after(reply) * 1000;
	return is_passing ? ROUND_LOST : ROUND_FAILED;
}

/* True: the connection speaks WebSocket. */
static bool shake_hands(struct sub *sub, struct reply *reply, enum round *end)
{
	char key[WS_KEY_LEN];
	buf_clear(&sub->why);
	if (!upgrade_ask(&sub->client, "GET /ws", key)) {
		*end = round_end(sub, ROUND_FAILED, "no random numbers");
		return false;
	}
	if (client_await(&sub->client, reply, &sub->why) < 0) {
		*end = interrupt_came() ? ROUND_OVER : ROUND_LOST;
		return false;
	}
	if (reply->head.status != 101) {
		*end = refuse_handshake(sub, reply);
		return false;
	}
	if (!upgrade_is_accepted(reply, key)) {
		*end = round_end(sub, ROUND_FAILED, "what answers is no WebSocket server");
		return false;
	}
	return true;
}

/* Connects and shakes hands. True: up. */
static bool round_begin(struct sub *sub, enum round *end)
{
	struct reply reply = {0};
	sub->wait_ms = 0;
	buf_clear(&sub->why);
	bool is_up = false;
	if (client_open(&sub->client, &sub->settings, &sub->why) < 0)
		*end = interrupt_came() ? ROUND_OVER : ROUND_LOST;
	else
		is_up = shake_hands(sub, &reply, end);
	reply_free(&reply);
	return is_up;
}

/* How long the server may still say nothing; -1: for ever. */
static int silence_left(const struct sub *sub)
{
	if (sub->feed.heartbeat_s == 0)
		return -1;
	CHECK(sub->is_up);
	uint64_t most_ms = (uint64_t)sub->feed.heartbeat_s * 2000 + HEARTBEAT_SLACK_MS;
	uint64_t silent_ms = client_now_ms() - sub->heard_at_ms;
	uint64_t left_ms = silent_ms < most_ms ? most_ms - silent_ms : 0;
	return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

/* What came, and what there is to print. True: the round goes on. */
static bool take_in(struct sub *sub, enum round *end)
{
	if (sub->client.in.len > 0)
		sub->heard_at_ms = client_now_ms();
	bool goes_on = hear_all(sub, end);
	if (!write_feed(sub, end))
		return false;
	if (goes_on && sub->client.is_ended) {
		*end = round_end(sub, ROUND_LOST, "the server ended it");
		return false;
	}
	return goes_on;
}

static enum round round_go_on(struct sub *sub)
{
	enum round end;
	while (take_in(sub, &end)) {
		struct pollfd out = {.fd = STDOUT_FILENO};
		int result = client_turn(&sub->client, &out, silence_left(sub));
		if (result == -EINTR || is_unread(&out))
			return ROUND_OVER;
		if (result == -ETIMEDOUT)
			return round_end(sub, ROUND_LOST, "the server fell silent");
		if (result < 0)
			return round_end(sub, ROUND_LOST, strerror(-result));
	}
	return end;
}

/* Says goodbye as far as that goes without waiting. */
static void hang_up(struct sub *sub, enum round end)
{
	struct pollfd nothing = {.fd = -1};
	if (sub->is_up && end == ROUND_OVER)
		say_close(sub, WS_CLOSE_NORMAL);
	if (sub->client.is_open && sub->client.out.len > 0)
		(void)!client_turn(&sub->client, &nothing, 0);
	client_close(&sub->client);
	ws_client_reader_free(&sub->reader);
}

static void tell_again(const struct sub *sub)
{
	if (sub->was_up)
		fprintf(stderr, "starling: connected again\n");
}

static enum round round_run(struct sub *sub)
{
	enum round end;
	CHECK(!sub->client.is_open);
	CHECK(ws_client_reader_is_at_rest(&sub->reader));
	sub->feed.heartbeat_s = 0;
	sub->feed.is_put_off = false;
	sub->is_up = round_begin(sub, &end);
	if (sub->is_up) {
		tell_again(sub);
		sub->was_up = true;
		sub->up_at_ms = sub->heard_at_ms = client_now_ms();
		subscribe(sub);
		end = round_go_on(sub);
	}
	hang_up(sub, end);
	return end;
}

/* ---- from one round to the next ---- */

/* Doubled each time, and with jitter, so that not everybody comes at once. */
static uint64_t back_off_ms(struct sub *sub)
{
	bool was_steady = sub->is_up && client_now_ms() - sub->up_at_ms >= STEADY_MS;
	sub->attempt = was_steady ? 0 : sub->attempt;
	uint32_t most_ms = BACK_OFF_MS_MAX;
	if (sub->attempt < 5) /* 1 2 4 8 16 s */
		most_ms = BACK_OFF_MS_MIN << sub->attempt++;
	CHECK(most_ms >= BACK_OFF_MS_MIN);
	return most_ms / 2 + random_below(&sub->random, most_ms / 2);
}

/* How long to wait: the server's word counts, where it gave one. */
static uint64_t pause_ms(struct sub *sub)
{
	if (sub->is_up && sub->feed.is_put_off && sub->feed.reconnect_after_ms <= PUT_OFF_MS_MAX)
		return sub->feed.reconnect_after_ms;
	uint64_t ours_ms = back_off_ms(sub);
	return ours_ms > sub->wait_ms ? ours_ms : sub->wait_ms;
}

/* False: told to end while waiting. */
static bool wait_for_next(struct sub *sub)
{
	uint64_t until_ms = client_now_ms() + pause_ms(sub);
	CHECK(sub->was_up);
	if (sub->is_up)
		fprintf(stderr, "starling: the connection is lost, and tried again: %.*s\n",
		        (int)sub->why.len, sub->why.at);
	for (;;) {
		uint64_t now_ms = client_now_ms();
		if (now_ms >= until_ms)
			return true;
		struct pollfd out = {.fd = STDOUT_FILENO};
		int result = interrupt_poll(&out, 1, (int)(until_ms - now_ms));
		if (result < 0 || is_unread(&out))
			return false;
	}
}

static int rounds_run(struct sub *sub)
{
	for (;;) {
		enum round end = round_run(sub);
		if (end == ROUND_OVER)
			return COMMAND_DONE;
		CHECK(sub->why.len > 0 || sub->why.is_broken);
		if (end == ROUND_FAILED || !sub->was_up)
			return command_fail(COMMAND_FAILED, &sub->why);
		if (!wait_for_next(sub))
			return COMMAND_DONE;
	}
}

/* ---- the command ---- */

static bool prepare(struct sub *sub)
{
	interrupt_mute_pipes();
	interrupt_catch();
	return RAND_bytes((unsigned char *)&sub->random, sizeof(sub->random)) == 1;
}

static int run(struct sub *sub)
{
	if (prepare(sub))
		return rounds_run(sub);
	buf_string(&sub->why, "no random numbers");
	return command_fail(COMMAND_FAILED, &sub->why);
}

int cmd_sub(int argc, char **argv)
{
	struct sub sub = {0};
	struct option_list names = {0};
	char *url = NULL, *api_key = NULL, *token = NULL, *since = NULL;
	const struct option_row rows[] = {
		{0, "url", OPTION_VALUE, &url},     {0, "api-key", OPTION_VALUE, &api_key},
		{0, "token", OPTION_VALUE, &token}, {0, "since", OPTION_VALUE, &since},
		{0, NULL, OPTION_OPERANDS, &names},
	};
	struct buf error = {0};
	int status;
	if (options_parse("sub", rows, COUNT_OF(rows), argc, argv, &error) < 0 ||
	    client_settings_read(&sub.settings, url, token != NULL ? token : api_key, &error) < 0 ||
	    feed_init(&sub.feed, names.list, names.count, since, &error) < 0)
		status = command_fail(COMMAND_MISUSED, &error);
	else if (token != NULL && api_key != NULL)
		status = command_misuse("not together with --token: option", "--api-key");
	else
		status = run(&sub);
	feed_free(&sub.feed);
	buf_free(&sub.why);
	option_list_free(&names);
	return status;
}
