/*
 * What each pure part does without memory: its first allocation fails, its second one, … and from
 * each of them on all. It then refuses in its own words and leaves nothing behind (which the
 * address sanitizer sees), or it has not needed that memory; what it does say is never less than
 * the whole.
 */
#include "../failing.h"

#include <errno.h>

#include "auth/key_file.h"
#include "auth/signing.h"
#include "auth/token.h"
#include "auth/vectors.h"
#include "base/buf.h"
#include "dialect/native.h"
#include "http/query.h"
#include "http/response.h"
#include "hub/claims.h"
#include "hub/hub.h"
#include "ops/config.h"
#include "wire/ws_client.h"

/* What a run says, and whether all of it could be said. */
struct outcome {
	bool is_whole;
	struct buf said;
};

static void said_take(struct outcome *outcome, struct buf *part)
{
	failing_pause();
	outcome->is_whole &= !part->is_broken;
	if (!part->is_broken)
		buf_slice(&outcome->said, buf_view(part));
	buf_char(&outcome->said, '\n');
	buf_free(part);
	failing_resume();
}

/* ---- configuration ---- */

static void run_config(struct outcome *outcome)
{
	char *const options[] = {"limits.connections=5", "channel.a:*.history_size=3",
	                         "auth.api_key=secret,other"};
	const struct config_sources sources = {
		.file = "x.conf", .options = options, .option_count = COUNT_OF(options)};
	struct slice text = SLICE("[listen]\nhttp = 127.0.0.1:1, [::1]:2, unix:/x\n"
	                          "[channel a:*]\nhistory_ttl = 1h\n[channel b]\npublish = none\n"
	                          "[auth]\nallowed_origins = https://a, https://b\n");
	struct config config;
	struct buf out = {0};
	int error = config_parse_text(&config, text, &sources, &out);
	if (error == 0) {
		config_print(&config, &out);
		config_free(&config);
	} else {
		CHECK(error == -ENOMEM);
		CHECK(out.len == 0 || memchr(out.at, '\n', out.len) == NULL);
		outcome->is_whole = false;
		buf_clear(&out);
	}
	said_take(outcome, &out);
}

static void run_bad_config(struct outcome *outcome)
{
	const struct config_sources sources = {.file = "x.conf"};
	struct config config;
	struct buf out = {0};
	int error = config_parse_text(&config, SLICE("[channel x]\n[limits]\nconnections = many\n"),
	                              &sources, &out);
	CHECK(error < 0);
	if (error == -ENOMEM) {
		outcome->is_whole = false;
		buf_clear(&out);
	}
	said_take(outcome, &out);
}

/* Each setting is good, and two of them are not together. */
static void run_contradiction(struct outcome *outcome)
{
	const struct config_sources sources = {.file = "x.conf"};
	struct config config;
	struct buf out = {0};
	int error = config_parse_text(&config, SLICE("[heartbeat]\ninterval=9s\ntimeout=1s\n"),
	                              &sources, &out);
	CHECK(error == -EINVAL || error == -ENOMEM);
	if (error == -ENOMEM) {
		outcome->is_whole = false;
		buf_clear(&out);
	}
	said_take(outcome, &out);
}

/* ---- what clients say ---- */

static void command_tell(struct buf *out, const struct hub_command *command)
{
	const struct publication *p = &command->publication;
	failing_pause();
	buf_format(out, "%d %.*s %.*s %.*s %.*s;", (int)command->type, (int)command->ref.len,
	           command->ref.at, (int)command->channel.len, command->channel.at,
	           (int)p->event.len, p->event.at, (int)p->key.len, p->key.at);
	failing_resume();
}

static void run_commands(struct outcome *outcome)
{
	static const char publish[] = "{\"type\":\"publish\",\"ref\":1,\"channel\":\"\\u0061\","
				      "\"data\":{},\"event\":\"e\",\"key\":\"\\\"k\"}";
	static const char resume[] = "{\"type\":\"resume\",\"ref\":\"x\","
				     "\"channels\":{\"a\":\"e-1\",\"\\u0062\":\"e-2\"}}";
	static const char *const messages[] = {
		publish,
		resume,
		"{\"type\":\"subscribe\",\"ref\":3,\"channel\":\"c\",\"since\":\"e-1\"}",
	};
	struct dialect_reader reader = {0};
	for (size_t i = 0; i < COUNT_OF(messages); i++) {
		struct hub_command command;
		struct dialect_fault fault;
		enum dialect_result result;
		struct buf told = {0};
		dialect_begin(&reader, slice_string(messages[i]), false);
		while ((result = native.read(&reader, &command, &fault)) != DIALECT_END) {
			if (result == DIALECT_COMMAND) {
				command_tell(&told, &command);
				continue;
			}
			CHECK(fault.error == ERROR_UNAVAILABLE);
			CHECK(fault.ref.len > 0);
			outcome->is_whole = false;
		}
		said_take(outcome, &told);
	}
	buf_free(&reader.scratch);
}

static void run_frames(struct outcome *outcome)
{
	char bytes[] = "\x01\x83\0\0\0\0abc\x89\x81\0\0\0\0p\x80\x83\0\0\0\0def";
	struct ws_reader reader = {0};
	size_t used;
	for (size_t at = 0; at < sizeof(bytes) - 1; at += used) {
		struct ws_message message;
		struct buf told = {0};
		enum ws_result result = ws_read(&reader, bytes + at, 1, 100, &used, &message);
		if (result == WS_BAD) {
			CHECK(message.close_code == WS_CLOSE_FAILED);
			outcome->is_whole = false;
			break;
		}
		failing_pause();
		buf_slice(&told, result == WS_MORE ? SLICE("") : message.payload);
		failing_resume();
		said_take(outcome, &told);
	}
	ws_reader_free(&reader);
}

static void run_query(struct outcome *outcome)
{
	struct buf out = {0}, path = {0};
	CHECK(query_decode(SLICE("a%20b+c"), &out));
	CHECK(http_path_decode(SLICE("a%20b+c"), &path));
	CHECK(!query_decode(SLICE("abc%2"), &out));
	said_take(outcome, &out);
	said_take(outcome, &path);
}

static void run_claims(struct outcome *outcome)
{
	const struct claims_grant grants[] = {{SLICE_INIT("a:*"), CLAIMS_READ},
	                                      {SLICE_INIT("b"), CLAIMS_WRITE}};
	struct claims *claims = claims_make(&(struct claims_content){
		.user = SLICE("ann"), .info = SLICE("{}"), .grants = grants, .grant_count = 2});
	struct buf out = {0};
	outcome->is_whole = claims != NULL;
	if (claims != NULL)
		buf_slice(&out, claims_user(claims));
	said_take(outcome, &out);
	claims_free(claims);
}

/* ---- tokens ---- */

#define SECRET "what the server and the backend know"

static void key_add(struct outcome *outcome, int error, struct buf *complaint)
{
	CHECK(error == 0 || error == -ENOMEM);
	outcome->is_whole &= error == 0;
	buf_free(complaint);
}

/* A secret, a set of JSON Web Keys, and a public key in PEM. */
static struct key_set *make_keys(struct outcome *outcome)
{
	static struct buf pem;
	struct key_set *keys = key_set_create();
	struct buf complaint = {0};
	const char *why = NULL;
	outcome->is_whole &= keys != NULL;
	if (keys == NULL)
		return NULL;
	failing_pause();
	EVP_PKEY *pair = make_ed25519();
	buf_clear(&pem);
	append_pem(&pem, pair);
	EVP_PKEY_free(pair);
	failing_resume();
	key_add(outcome, key_set_add_secret(keys, SLICE(SECRET), &why), &complaint);
	key_add(outcome,
	        key_file_read(keys,
	                      SLICE(JWKS("{" RSA_A2 ",\"kid\":\"one\"},{" EC_A3
	                                 ",\"kid\":\"t\\u0077o\"}")),
	                      &complaint),
	        &complaint);
	key_add(outcome, key_file_read(keys, buf_view(&pem), &complaint), &complaint);
	CHECK(!outcome->is_whole || key_set_count(keys) == 4);
	failing_pause();
	buf_free(&pem);
	failing_resume();
	return keys;
}

static void run_keys(struct outcome *outcome)
{
	struct buf out = {0};
	struct key_set *keys = make_keys(outcome);
	key_set_destroy(keys);
	failing_pause();
	buf_string(&out, "keys");
	failing_resume();
	said_take(outcome, &out);
}

static void claims_tell(struct outcome *outcome, const struct claims *claims)
{
	struct buf out = {0};
	failing_pause();
	buf_slice(&out, claims_user(claims));
	buf_format(&out, " %d", claims_allow(claims, SLICE("chat:1"), CLAIMS_WRITE));
	failing_resume();
	said_take(outcome, &out);
}

static void run_tokens(struct outcome *outcome)
{
	static const struct token_policy policy = {.audience = "a", .issuer = ""};
	static const struct signer by = {.secret = SECRET};
	const char *why = NULL;
	struct buf token = {0};
	struct claims *claims;
	struct jwt_reader reader;
	struct key_set *keys = make_keys(outcome);
	if (!outcome->is_whole) {
		key_set_destroy(keys);
		return;
	}
	bool is_ready = jwt_reader_init(&reader);
	for (int i = 0; i < 2 && is_ready; i++) {
		struct signer signer = by;
		signer.digest = EVP_sha256();
		failing_pause();
		make_token(&token, "{\"alg\":\"HS256\",\"typ\":\"J\\u0057T\"}",
		           SLICE("{\"exp\":2000000000,\"sub\":\"\\u0061nn\",\"aud\":[\"\\u0061\"],"
		                 "\"info\":{\"x\":1},\"allow\":{\"ch\\u0061t:*\":\"rw\",\"b\":"
		                 "\"r\"}}"),
		           &signer);
		failing_resume();
		enum error_code error = token_read(&reader, keys, &policy, buf_view(&token),
		                                   1000000000000, &claims, &why);
		CHECK((error == ERROR_NONE) == (claims != NULL));
		CHECK(error == ERROR_NONE || error == ERROR_UNAVAILABLE);
		outcome->is_whole &= claims != NULL;
		if (claims != NULL)
			claims_tell(outcome, claims);
		claims_free(claims);
	}
	outcome->is_whole &= is_ready;
	if (is_ready)
		jwt_reader_free(&reader);
	key_set_destroy(keys);
	failing_pause();
	buf_free(&token);
	failing_resume();
}

/* ---- what clients are told ---- */

static void run_events(struct outcome *outcome)
{
	for (enum event_type type = EVENT_WELCOME; type <= EVENT_ERROR; type++) {
		struct hub_event event = {.type = type,
		                          .ref = SLICE("1"),
		                          .channel = SLICE("c"),
		                          .epoch = 1,
		                          .error = ERROR_FORBIDDEN,
		                          .message = "no \"way\"",
		                          .connection = SLICE("id"),
		                          .node = SLICE("n"),
		                          .data = SLICE("{}")};
		struct buf out = {0};
		native.write(&out, &event);
		said_take(outcome, &out);
	}
}

static void run_response(struct outcome *outcome)
{
	struct buf out = {0};
	http_response_head(&out, &(struct http_response){.status = 200, .body_len = 5});
	CHECK(http_response_header(&out, "X-Y", SLICE("z")));
	http_response_end(&out);
	said_take(outcome, &out);
}

static void run_encodings(struct outcome *outcome)
{
	static const struct dialect_encoding *const encodings[] = {
		&native.websocket, &native_sse_json, &native_sse_text, &native_sse_full};
	struct record *record = record_make(&(struct publication){.channel = SLICE("c"),
	                                                          .payload = SLICE("\"a\\nb\""),
	                                                          .event = SLICE("e")},
	                                    0);
	outcome->is_whole = record != NULL;
	if (record == NULL)
		return;
	record_settle(record, 1, 1, 1, 0);
	for (size_t i = 0; i < COUNT_OF(encodings); i++) {
		const struct blob *blob =
			record_wire(record, encodings[i]->wire, encodings[i]->encode);
		struct buf told = {.is_broken = blob == NULL};
		failing_pause();
		if (blob != NULL)
			buf_slice(&told, blob_view(blob));
		failing_resume();
		said_take(outcome, &told);
	}
	struct buf object = {0};
	if (!native_message(&object, record))
		object.is_broken = true;
	said_take(outcome, &object);
	record_drop(record);
}

/* ---- a hub with all that rules can ask for ---- */

static struct {
	struct hub_out out;
	struct hub *hub;
	struct timer_wheel wheel;
	struct session session;
	struct outcome *outcome;
	uint64_t acknowledged;
	bool is_asking;
} world;

static void out_event(struct hub_out *out, struct session *session, const struct hub_event *event)
{
	CHECK(out == &world.out);
	CHECK(session == &world.session);
	if (event->type == EVENT_ERROR) {
		CHECK(event->error == ERROR_UNAVAILABLE);
		world.outcome->is_whole = false;
	} else if (event->type == EVENT_ACK) {
		CHECK(event->seq == world.acknowledged + (event->is_duplicate ? 0 : 1));
		world.acknowledged = event->seq;
	} else if (event->type == EVENT_GAP) {
		CHECK(false); /* nothing is lost: it was refused before */
	}
	world.is_asking = false;
}

static size_t out_deliver(struct hub_out *out, struct session *session,
                          const struct delivery *delivery)
{
	struct buf told = {0};
	CHECK(out == &world.out);
	CHECK(session == &world.session);
	failing_pause();
	for (size_t i = 0; i < delivery->count; i++)
		buf_slice(&told, record_payload(delivery->records[i]));
	failing_resume();
	said_take(world.outcome, &told);
	return delivery->count;
}

static void out_answered(struct hub_out *out, struct session *session)
{
	(void)out;
	(void)session;
	CHECK(false); /* one worker alone asks nobody */
}

static void out_end(struct hub_out *out, struct session *session, enum hub_end why)
{
	(void)out;
	CHECK(session == &world.session);
	CHECK(why == HUB_END_NO_MEMORY);
	session->is_ended = true;
	world.outcome->is_whole = false;
}

static struct slab_handle out_handle(struct hub_out *out, const struct session *session)
{
	(void)out;
	(void)session;
	return (struct slab_handle){0, 1};
}

static struct session *out_find(struct hub_out *out, struct slab_handle handle)
{
	(void)out;
	(void)handle;
	return &world.session;
}

static void out_post(struct hub_out *out, uint32_t to, const struct hub_mail *mail)
{
	(void)out;
	(void)to;
	(void)mail;
	CHECK(false);
}

static bool out_has_room(struct hub_out *out)
{
	(void)out;
	return true;
}

static void ask(const struct hub_command *command)
{
	if (world.session.is_ended)
		return;
	world.is_asking = true;
	hub_execute(world.hub, &world.session, command);
	CHECK(!world.is_asking); /* answered, once and at once */
	while (hub_walk(world.hub, 10))
		;
}

static void publish(const char *key, const char *idempotency_key, const char *payload)
{
	struct hub_command command = {.type = COMMAND_PUBLISH, .channel = SLICE("keyed")};
	command.publication.key = slice_string(key);
	command.publication.idempotency_key = slice_string(idempotency_key);
	command.publication.payload = slice_string(payload);
	ask(&command);
}

static void follow(bool is_from_start)
{
	ask(&(struct hub_command){.type = COMMAND_SUBSCRIBE,
	                          .channel = SLICE("keyed"),
	                          .has_since = is_from_start,
	                          .since.is_start = true});
	ask(&(struct hub_command){.type = COMMAND_HISTORY, .channel = SLICE("keyed")});
	if (world.session.follower_count > 0)
		ask(&(struct hub_command){.type = COMMAND_UNSUBSCRIBE, .channel = SLICE("keyed")});
}

static void pass(uint64_t now_ms)
{
	struct timer *timer;
	hub_set_time(world.hub, now_ms, now_ms * 1000);
	while ((timer = timer_take_due(&world.wheel, now_ms)) != NULL)
		hub_timer(world.hub, timer);
	while (hub_walk(world.hub, 10))
		;
}

static void run_hub(struct outcome *outcome)
{
	static struct rule list[] = {{.pattern = "*",
	                              .history_size = 6,
	                              .history_ttl_ms = 60000,
	                              .deliver_last = true,
	                              .max_keys = 2,
	                              .throttle_ms = 100}};
	static const struct rules rules = {list, COUNT_OF(list)};
	world.outcome = outcome;
	world.acknowledged = 0;
	world.session = (struct session){.is_backend = true};
	world.out = (struct hub_out){
		.event = out_event,
		.deliver = out_deliver,
		.answered = out_answered,
		.end = out_end,
		.handle = out_handle,
		.find = out_find,
		.post = out_post,
		.has_room = out_has_room,
	};
	timer_wheel_init(&world.wheel, 1000);
	world.hub = hub_create(&(struct hub_options){.workers = 1,
	                                             .out = &world.out,
	                                             .rules = &rules,
	                                             .wheel = &world.wheel,
	                                             .timer_kind = 1,
	                                             .walk_timer_kind = 2,
	                                             .channels_per_session = 10,
	                                             .outbound_bytes_max = 1000000});
	outcome->is_whole = world.hub != NULL;
	if (world.hub == NULL)
		return;
	hub_set_time(world.hub, 1000, 1000000);
	publish("a", "x", "1");
	publish("a", "x", "1");
	ask(&(struct hub_command){.type = COMMAND_SUBSCRIBE, .channel = SLICE("keyed")});
	publish("b", "y", "2");
	pass(1200);
	for (int i = 0; i < 10; i++)
		publish("c", "", "3");
	pass(1400);
	follow(true);
	follow(false);
	hub_session_close(world.hub, &world.session);
	CHECK(hub_counters(world.hub)->followers == 0);
	pass(400000);
	pass(800000);
	CHECK(hub_counters(world.hub)->channels == 0);
	CHECK(world.wheel.count == 0);
	hub_destroy(world.hub);
}

/* ---- all of them ---- */

static const struct {
	const char *name;
	void (*run)(struct outcome *outcome);
	uint32_t allocations; /* at least */
} cases[] = {
	{"a configuration is whole, or none", run_config, 20},
	{"a complaint is one line", run_bad_config, 3},
	{"so is one of two settings, or there is none", run_contradiction, 20},
	{"a message is a command, or refused with its ref", run_commands, 1},
	{"a message in fragments is whole, or an error", run_frames, 1},
	{"what was encoded is decoded whole, or told as broken", run_query, 2},
	{"claims are whole, or none", run_claims, 1},
	{"keys are all read, or refused for want of memory", run_keys, 10},
	{"a token is read whole, or unavailable and not unauthorized", run_tokens, 10},
	{"an event is whole, or told as broken", run_events, 10},
	{"a head is whole, or told as broken", run_response, 1},
	{"an encoding is whole, or none", run_encodings, 8},
	{"a hub refuses what it cannot keep, and loses nothing else", run_hub, 20},
};

static void run(size_t i, uint32_t number, enum failing_mode mode, const struct buf *whole,
                uint32_t *failed)
{
	struct outcome outcome = {.is_whole = true};
	failing_arm(number, mode);
	cases[i].run(&outcome);
	*failed = failing_disarm();
	/* Maps that could not grow stay small: not every failure is one that is told. */
	CHECK(*failed > 0 || outcome.is_whole);
	if (outcome.is_whole)
		CHECK(slice_equals(buf_view(&outcome.said), buf_view(whole)));
	buf_free(&outcome.said);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct outcome whole = {.is_whole = true};
		printf("memory: %s\n", cases[i].name);
		cases[i].run(&whole);
		CHECK(whole.is_whole);
		CHECK(whole.said.len > 0);
		for (enum failing_mode mode = FAILING_ONE; mode <= FAILING_ALL_FROM; mode++) {
			uint32_t number = 1, failed;
			do
				run(i, number++, mode, &whole.said, &failed);
			while (failed > 0);
			CHECK(number - 2 >= cases[i].allocations);
		}
		buf_free(&whole.said);
	}
	return 0;
}
