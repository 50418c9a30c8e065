/*
 * Publications are pipelined over one connection to POST /api/publish: the server takes requests
 * of a connection one after another, so their order is kept. Input is read while answers are
 * waited for, and a connection that the server closed for want of requests is opened anew with
 * the next line.
 */
#include <errno.h>
#include <unistd.h>

#include "starling/limits.h"

#include "cmd/client.h"
#include "cmd/command.h"
#include "cmd/interrupt.h"
#include "cmd/options.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define FLYING_MAX 64              /* publications whose answers are under way */
#define OUT_BYTES_MAX (256 * 1024) /* no more is put behind so much that waits to be sent */
#define LINE_BYTES_MAX API_MESSAGE_BYTES_MAX
#define INPUT_READ_BYTES (64 * 1024)

struct pub {
	struct client_settings settings;
	struct client client;
	struct reply reply;
	struct buf input; /* came and was not published */
	struct buf body;  /* of the request under construction */
	struct buf ids;   /* to be printed */
	struct buf error;

	const char *channel;
	const char *event, *key, *idempotency_key, *user; /* or NULL */
	bool is_text;                                     /* always a string */
	bool wants_ids;
	bool is_single; /* DATA, not lines */

	bool is_input_ended;
	size_t scanned;       /* of the input, without a newline */
	uint64_t line;        /* lines taken from the input */
	uint64_t moved_at_ms; /* something was answered, or nothing was under way */
	size_t first, flying; /* in the ring of the lines under way */
	uint64_t lines[FLYING_MAX];
};

/* ---- one publication ---- */

static bool fail_line(struct pub *pub, uint64_t line, const char *what)
{
	CHECK(pub->error.len == 0);
	if (!pub->is_single)
		buf_format(&pub->error, "line %llu: ", (unsigned long long)line);
	buf_string(&pub->error, what);
	return false;
}

static void append_option(struct buf *body, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_format(body, ",\"%s\":", name);
	json_string_append(body, slice_string(value));
}

/* Appends the data: JSON where it is JSON. False: neither that nor text. */
static bool append_data(struct pub *pub, struct slice data)
{
	struct json_value value;
	size_t bad_at;
	if (!pub->is_text && json_check(data, MESSAGE_DEPTH_MAX, &value, &bad_at)) {
		buf_slice(&pub->body, value.raw);
		return true;
	}
	if (!utf8_is_valid(data))
		return false;
	json_string_append(&pub->body, data);
	return true;
}

static bool append_body(struct pub *pub, struct slice data)
{
	struct buf *body = &pub->body;
	buf_clear(body);
	buf_string(body, "{\"channel\":");
	json_string_append(body, slice_string(pub->channel));
	append_option(body, "event", pub->event);
	append_option(body, "key", pub->key);
	append_option(body, "idempotency_key", pub->idempotency_key);
	append_option(body, "user", pub->user);
	buf_string(body, ",\"data\":");
	bool is_good = append_data(pub, data);
	buf_char(body, '}');
	return is_good;
}

static bool publish(struct pub *pub, struct slice data)
{
	CHECK(pub->flying < FLYING_MAX);
	if (!append_body(pub, data))
		return fail_line(pub, pub->line, "the data is neither JSON nor UTF-8");
	if (pub->body.is_broken)
		return fail_line(pub, pub->line, "out of memory");
	if (!pub->client.is_open && client_open(&pub->client, &pub->settings, &pub->error) < 0)
		return false;
	client_ask(&pub->client, "POST /api/publish", slice_of(NULL, 0), buf_view(&pub->body));
	if (pub->flying == 0)
		pub->moved_at_ms = client_now_ms();
	pub->lines[(pub->first + pub->flying++) % FLYING_MAX] = pub->line;
	return true;
}

/* ---- lines ---- */

/* The next line of the input, or what is left at its end. */
static bool take_line(struct pub *pub, struct slice *line)
{
	struct buf *input = &pub->input;
	const char *lf = NULL;
	CHECK(pub->scanned <= input->len);
	if (pub->scanned < input->len)
		lf = memchr(input->at + pub->scanned, '\n', input->len - pub->scanned);
	pub->scanned = input->len;
	if (lf == NULL && (!pub->is_input_ended || input->len == 0))
		return false;
	size_t len = lf != NULL ? (size_t)(lf - input->at) : input->len;
	*line = slice_of(input->at, len);
	buf_use(input, lf != NULL ? len + 1 : len); /* its bytes stay until the next read */
	pub->scanned = 0;
	pub->line++;
	return true;
}

static bool has_room(const struct pub *pub)
{
	return pub->flying < FLYING_MAX && pub->client.out.len < OUT_BYTES_MAX;
}

static bool publish_lines(struct pub *pub)
{
	struct slice line;
	while (has_room(pub) && take_line(pub, &line)) {
		bool is_skipped = line.len == 0 && !pub->is_text;
		if (!is_skipped && !publish(pub, line))
			return false;
	}
	if (pub->input.len > LINE_BYTES_MAX && pub->scanned == pub->input.len)
		return fail_line(pub, pub->line + 1, "the line is longer than 1 MiB");
	return true;
}

static bool read_input(struct pub *pub)
{
	CHECK(!pub->is_input_ended);
	char *room = buf_room(&pub->input, INPUT_READ_BYTES);
	if (room == NULL)
		return fail_line(pub, pub->line, "out of memory");
	ssize_t got = read(STDIN_FILENO, room, INPUT_READ_BYTES);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got < 0) {
		buf_format(&pub->error, "standard input: %s", strerror(errno));
		return false;
	}
	buf_grew(&pub->input, (size_t)got);
	pub->is_input_ended = got == 0;
	return true;
}

/* ---- answers ---- */

static bool take_id(struct pub *pub)
{
	struct json_field id = {.name = "id"};
	size_t bad_at;
	return json_read_object(buf_view(&pub->reply.body), JSON_DEPTH_MAX, &id, 1, &bad_at) &&
	       id.value.kind == JSON_STRING && json_string_decode(id.value.raw, &pub->ids);
}

static bool take_answer(struct pub *pub)
{
	uint64_t line = pub->lines[pub->first];
	CHECK(pub->flying > 0);
	CHECK(pub->flying <= FLYING_MAX);
	pub->first = (pub->first + 1) % FLYING_MAX;
	pub->flying--;
	pub->moved_at_ms = client_now_ms();
	if (!reply_is_good(&pub->reply)) {
		fail_line(pub, line, "");
		reply_explain(&pub->reply, &pub->error);
		return false;
	}
	if (!pub->wants_ids)
		return true;
	if (!take_id(pub))
		return fail_line(pub, line, "the server's answer has no id");
	buf_char(&pub->ids, '\n');
	return true;
}

static bool take_answers(struct pub *pub)
{
	struct client *client = &pub->client;
	while (pub->flying > 0) {
		enum reply_result result = reply_read(&pub->reply, &client->in, client->is_ended);
		if (result == REPLY_MORE)
			return true;
		if (result == REPLY_BAD) {
			fail_line(pub, pub->lines[pub->first], "no answer: ");
			buf_string(&pub->error, pub->reply.why);
			return false;
		}
		if (!take_answer(pub))
			return false;
		client->is_ended |= !pub->reply.head.is_keep_alive;
		reply_begin(&pub->reply);
	}
	return true;
}

static bool print_ids(struct pub *pub)
{
	struct buf *ids = &pub->ids;
	bool is_good = !ids->is_broken &&
	               (ids->len == 0 ||
	                (fwrite(ids->at, 1, ids->len, stdout) == ids->len && fflush(stdout) == 0));
	if (!is_good)
		buf_format(&pub->error, "standard output: %s", strerror(errno));
	buf_clear(ids);
	return is_good;
}

/* ---- until all is answered ---- */

/* How long to wait for the next answer; -1: none is under way. */
static int patience_left(const struct pub *pub)
{
	if (pub->flying == 0)
		return -1;
	uint64_t waited_ms = client_now_ms() - pub->moved_at_ms;
	return waited_ms < CLIENT_PATIENCE_MS ? (int)(CLIENT_PATIENCE_MS - waited_ms) : 0;
}

static bool wait_for_more(struct pub *pub)
{
	bool is_wanted = !pub->is_input_ended && has_room(pub);
	struct pollfd input = {.fd = is_wanted ? STDIN_FILENO : -1, .events = POLLIN};
	int result = client_turn(&pub->client, &input, patience_left(pub));
	if (result == 0)
		return input.revents == 0 || read_input(pub);
	if (pub->flying == 0 && pub->client.is_open) { /* of no more use, and nothing is lost */
		client_close(&pub->client);
		return true;
	}
	fail_line(pub, pub->lines[pub->first], "no answer: ");
	buf_string(&pub->error, strerror(-result));
	return false;
}

static bool is_over(const struct pub *pub)
{
	return pub->is_input_ended && pub->input.len == 0 && pub->flying == 0;
}

static bool publish_all(struct pub *pub)
{
	reply_begin(&pub->reply);
	for (;;) {
		if (!take_answers(pub) || !print_ids(pub))
			return false;
		if (pub->client.is_ended && pub->flying == 0)
			client_close(&pub->client);
		if (!publish_lines(pub))
			return false;
		if (is_over(pub))
			return true;
		if (!wait_for_more(pub))
			return false;
	}
}

/* ---- the command ---- */

static int run(struct pub *pub, const char *data)
{
	interrupt_mute_pipes();
	pub->is_single = pub->is_input_ended = data != NULL;
	bool is_good = data == NULL || publish(pub, slice_string(data));
	is_good = is_good && publish_all(pub);
	client_close(&pub->client);
	reply_free(&pub->reply);
	buf_free(&pub->input);
	buf_free(&pub->body);
	buf_free(&pub->ids);
	if (is_good)
		buf_free(&pub->error);
	return is_good ? COMMAND_DONE : command_fail(COMMAND_FAILED, &pub->error);
}

/* NULL, or which of the texts is not text. */
static const char *find_broken_text(const struct pub *pub)
{
	const char *const texts[] = {pub->channel, pub->event, pub->key, pub->idempotency_key,
	                             pub->user};
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		if (texts[i] != NULL && !utf8_is_valid(slice_string(texts[i])))
			return texts[i];
	}
	return NULL;
}

static int check_and_run(struct pub *pub, const struct option_list *operands)
{
	if (operands->count == 0)
		return command_misuse("pub needs a", "CHANNEL");
	if (operands->count > 2)
		return command_misuse("unexpected argument", operands->list[2]);
	const char *data = operands->count == 2 ? operands->list[1] : NULL;
	pub->channel = operands->list[0];
	const char *broken = find_broken_text(pub);
	if (broken != NULL)
		return command_misuse("not UTF-8:", broken);
	if (pub->idempotency_key != NULL && data == NULL)
		return command_misuse("one key would do for one line only: give DATA with",
		                      "--idempotency-key");
	return run(pub, data);
}

int cmd_pub(int argc, char **argv)
{
	struct pub pub = {0};
	struct option_list operands = {0};
	char *url = NULL, *api_key = NULL;
	char *event = NULL, *key = NULL, *idempotency_key = NULL, *user = NULL;
	const struct option_row rows[] = {
		{0, "url", OPTION_VALUE, &url},
		{0, "api-key", OPTION_VALUE, &api_key},
		{0, "event", OPTION_VALUE, &event},
		{0, "key", OPTION_VALUE, &key},
		{0, "idempotency-key", OPTION_VALUE, &idempotency_key},
		{0, "user", OPTION_VALUE, &user},
		{0, "text", OPTION_FLAG, &pub.is_text},
		{0, "ids", OPTION_FLAG, &pub.wants_ids},
		{0, NULL, OPTION_OPERANDS, &operands},
	};
	int status;
	if (options_parse("pub", rows, COUNT_OF(rows), argc, argv, &pub.error) < 0 ||
	    client_settings_read(&pub.settings, url, api_key, &pub.error) < 0) {
		status = command_fail(COMMAND_MISUSED, &pub.error);
	} else {
		pub.event = event;
		pub.key = key;
		pub.idempotency_key = idempotency_key;
		pub.user = user;
		status = check_and_run(&pub, &operands);
	}
	option_list_free(&operands);
	return status;
}
