/*
 * The protocol starling.v1, as a client writes and reads it. What a message asks for is put in
 * short: "publish c ref=1 data=5 event=e"; a fault is "bad_request ref=1". Messages lie against
 * a guard page, and no beginning of one asks for anything.
 */
#include "dialect/native.h"

#include "../guard.h"
#include "base/blob.h"
#include "starling/limits.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

#define FOUR(x) x x x x
#define X64 FOUR(FOUR("xxxx"))
#define X255 X64 X64 X64 FOUR(FOUR("xxx")) "xxxxxxxxxxxxxxx"
#define OPEN_31 FOUR("[[[[[[[") "[[["
#define CLOSE_31 FOUR("]]]]]]]") "]]]"

static const struct {
	const char *name;
	struct slice message;
	const char *expected;
} messages[] = {
	/* each type */
	{"subscribe", BYTES("{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"trades\"}"),
         "subscribe trades ref=1"},
	{"subscribe from a cursor",
         BYTES("{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"c\",\"since\":\"k3f9-120\"}"),
         "subscribe c ref=1 since=k3f9-120"},
	{"subscribe from the start",
         BYTES("{\"type\":\"subscribe\",\"channel\":\"c\",\"since\":\"start\"}"),
         "subscribe c since=start"},
	{"subscribe and be told who is present",
         BYTES("{\"type\":\"subscribe\",\"channel\":\"c\",\"presence\":true}"),
         "subscribe c with presence"},
	{"subscribe and not be told",
         BYTES("{\"type\":\"subscribe\",\"channel\":\"c\",\"presence\":false}"), "subscribe c"},
	{"presence is true or false",
         BYTES("{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"c\",\"presence\":1}"),
         "bad_request ref=1"},
	{"who is present", BYTES("{\"type\":\"presence\",\"ref\":3,\"channel\":\"c\"}"),
         "presence c ref=3"},
	{"presence needs a channel", BYTES("{\"type\":\"presence\",\"ref\":3}"),
         "bad_request ref=3"},
	{"unsubscribe", BYTES("{\"type\":\"unsubscribe\",\"ref\":2,\"channel\":\"c\"}"),
         "unsubscribe c ref=2"},
	{"publish",
         BYTES("{\"type\":\"publish\",\"ref\":3,\"channel\":\"c\",\"data\":{\"a\":[1]}}"),
         "publish c ref=3 data={\"a\":[1]}"},
	{"publish with all there is",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"event\":\"e\",\"key\":\"k\","
               "\"idempotency_key\":\"i\",\"echo\":false}"),
         "publish c data=1 event=e key=k idempotency_key=i unechoed"},
	{"an echo is what one gets anyway",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"echo\":true}"),
         "publish c data=1"},
	{"data may be null", BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":null}"),
         "publish c data=null"},
	{"data is kept as written, without the blanks around it",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\": [ 1 , \"\\u0041\" ] }"),
         "publish c data=[ 1 , \"\\u0041\" ]"},
	{"history", BYTES("{\"type\":\"history\",\"ref\":5,\"channel\":\"c\"}"), "history c ref=5"},
	{"history with a limit from a cursor",
         BYTES("{\"type\":\"history\",\"channel\":\"c\",\"since\":\"a-0\",\"limit\":50}"),
         "history c since=a-0 limit=50"},
	{"ping", BYTES("{\"type\":\"ping\",\"ref\":8}"), "ping ref=8"},
	{"auth", BYTES("{\"type\":\"auth\",\"ref\":7,\"token\":\"e30.\\u0065.x\"}"),
         "auth ref=7 token=e30.e.x"},
	{"resume asks for each channel by itself",
         BYTES("{\"type\":\"resume\",\"ref\":4,\"channels\":{\"trades\":\"a-1\",\"chat:1\":\"b-2\","
               "\"new\":\"start\"}}"),
         "subscribe trades ref=4 since=a-1; subscribe chat:1 ref=4 since=b-2; "
         "subscribe new ref=4 since=start"},
	{"resume of nothing asks for nothing", BYTES("{\"type\":\"resume\",\"channels\":{}}"), ""},
	{"resume refuses the channels it cannot read, no others",
         BYTES("{\"type\":\"resume\",\"ref\":4,\"channels\":{\"a\":\"x\",\"b\":1,\"c\":\"c-3\","
               "\"\\ud800\":\"d-4\",\"e\":null}}"),
         "bad_request ref=4 channel=a; bad_request ref=4 channel=b; subscribe c ref=4 since=c-3; "
         "bad_request ref=4; bad_request ref=4 channel=e"},
	{"resume does not look at data",
         BYTES("{\"type\":\"resume\",\"channels\":{\"a\":\"a-1\"},\"data\":5,\"channel\":7}"),
         "subscribe a since=a-1"},
	/* how it may be written */
	{"fields may stand in any order",
         BYTES("{\"channel\":\"c\",\"ref\":1,\"type\":\"subscribe\"}"), "subscribe c ref=1"},
	{"unknown fields are passed over",
         BYTES("{\"x\":[{}],\"type\":\"ping\",\"presence\":5,\"Ref\":9}"), "ping"},
	{"of a field that is there twice the last one counts",
         BYTES("{\"type\":\"subscribe\",\"type\":\"unsubscribe\",\"channel\":\"a\","
               "\"channel\":\"b\"}"),
         "unsubscribe b"},
	{"escapes stand for their characters",
         BYTES("{\"\\u0074ype\":\"sub\\u0073cribe\",\"channel\":\"a\\/b\\u003a1\","
               "\"since\":\"a\\u002d1\"}"),
         "subscribe a/b:1 since=a-1"},
	{"blanks may stand around", BYTES(" \n{ \"type\" : \"ping\" }\t"), "ping"},
	{"a channel's name is looked at by the hub",
         BYTES("{\"type\":\"subscribe\",\"channel\":\"\"}"), "subscribe "},
	/* refs */
	{"a ref may be a string", BYTES("{\"type\":\"ping\",\"ref\":\"a\\\"b\"}"),
         "ping ref=\"a\\\"b\""},
	{"a ref may be any number", BYTES("{\"type\":\"ping\",\"ref\":-1.50e3}"),
         "ping ref=-1.50e3"},
	{"a ref may be empty", BYTES("{\"type\":\"ping\",\"ref\":\"\"}"), "ping ref=\"\""},
	{"a ref is not null", BYTES("{\"type\":\"ping\",\"ref\":null}"), "bad_request"},
	{"a ref is not true", BYTES("{\"type\":\"ping\",\"ref\":true}"), "bad_request"},
	{"a ref is no array", BYTES("{\"type\":\"ping\",\"ref\":[1]}"), "bad_request"},
	{"a ref is no object", BYTES("{\"type\":\"ping\",\"ref\":{}}"), "bad_request"},
	{"a refusal carries the ref", BYTES("{\"type\":\"nonsense\",\"ref\":\"r\"}"),
         "bad_request ref=\"r\""},
	/* not such a message at all */
	{"nothing is refused", BYTES(""), "bad_request"},
	{"text that is no JSON is refused", BYTES("hello"), "bad_request"},
	{"an array is refused", BYTES("[]"), "bad_request"},
	{"a string is refused", BYTES("\"ping\""), "bad_request"},
	{"bad JSON is refused without its ref", BYTES("{\"type\":\"ping\",\"ref\":1,}"),
         "bad_request"},
	{"two messages in one are refused", BYTES("{\"type\":\"ping\"}{\"type\":\"ping\"}"),
         "bad_request"},
	{"text that is not UTF-8 is refused", BYTES("{\"type\":\"ping\",\"x\":\"\xff\"}"),
         "bad_request"},
	{"32 levels are read",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":" OPEN_31 CLOSE_31 "}"),
         "publish c data=" OPEN_31 CLOSE_31},
	{"33 levels are refused",
         BYTES("{\"type\":\"publish\",\"ref\":1,\"channel\":\"c\",\"data\":[" OPEN_31 CLOSE_31
               "]}"),
         "bad_request"},
	{"33 levels are refused in an unknown field too",
         BYTES("{\"type\":\"ping\",\"x\":[" OPEN_31 CLOSE_31 "]}"), "bad_request"},
	/* types */
	{"a type is needed", BYTES("{\"ref\":1}"), "bad_request ref=1"},
	{"a type is a string", BYTES("{\"ref\":1,\"type\":5}"), "bad_request ref=1"},
	{"an unknown type is refused", BYTES("{\"type\":\"shout\"}"), "bad_request"},
	{"a type is lower case", BYTES("{\"type\":\"Ping\"}"), "bad_request"},
	{"a server's type is none of a client", BYTES("{\"type\":\"message\"}"), "bad_request"},
	{"an empty type is refused", BYTES("{\"type\":\"\"}"), "bad_request"},
	/* fields */
	{"subscribe needs a channel", BYTES("{\"type\":\"subscribe\",\"ref\":1}"),
         "bad_request ref=1"},
	{"a channel is a string", BYTES("{\"type\":\"subscribe\",\"ref\":1,\"channel\":5}"),
         "bad_request ref=1"},
	{"a channel is text", BYTES("{\"type\":\"subscribe\",\"channel\":\"\\ud800\"}"),
         "bad_request"},
	{"unsubscribe needs a channel", BYTES("{\"type\":\"unsubscribe\",\"ref\":1}"),
         "bad_request ref=1"},
	{"history needs a channel", BYTES("{\"type\":\"history\",\"ref\":1}"), "bad_request ref=1"},
	{"publish needs a channel", BYTES("{\"type\":\"publish\",\"ref\":1,\"data\":1}"),
         "bad_request ref=1"},
	{"publish needs data", BYTES("{\"type\":\"publish\",\"ref\":1,\"channel\":\"c\"}"),
         "bad_request ref=1"},
	{"an event is a string",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"event\":1}"), "bad_request"},
	{"an event stands on one line",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"event\":\"a\\nb\"}"),
         "bad_request"},
	{"an event may have 255 bytes",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"event\":\"" X255 "\"}"),
         "publish c data=1 event=" X255},
	{"an event of 256 bytes is refused",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"event\":\"" X255 "x\"}"),
         "bad_request"},
	{"a key is a string",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"key\":{}}"), "bad_request"},
	{"a key of 256 bytes is refused",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"key\":\"" X255 "x\"}"),
         "bad_request"},
	{"an idempotency key is a string",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"idempotency_key\":1}"),
         "bad_request"},
	{"an idempotency key of 256 bytes is refused",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"idempotency_key\":\"" X255
               "x\"}"),
         "bad_request"},
	{"echo is true or false",
         BYTES("{\"type\":\"publish\",\"channel\":\"c\",\"data\":1,\"echo\":0}"), "bad_request"},
	{"a cursor is a string",
         BYTES("{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"c\",\"since\":5}"),
         "bad_request ref=1"},
	{"a cursor is not null", BYTES("{\"type\":\"subscribe\",\"channel\":\"c\",\"since\":null}"),
         "bad_request"},
	{"a malformed cursor is refused",
         BYTES("{\"type\":\"subscribe\",\"ref\":1,\"channel\":\"c\",\"since\":\"k3f9\"}"),
         "bad_request ref=1"},
	{"an empty cursor is malformed",
         BYTES("{\"type\":\"history\",\"channel\":\"c\",\"since\":\"\"}"), "bad_request"},
	{"two cursors are malformed",
         BYTES("{\"type\":\"subscribe\",\"channel\":\"c\",\"since\":\"a-1,b-2\"}"), "bad_request"},
	{"a limit is a number", BYTES("{\"type\":\"history\",\"channel\":\"c\",\"limit\":\"5\"}"),
         "bad_request"},
	{"a limit is whole", BYTES("{\"type\":\"history\",\"channel\":\"c\",\"limit\":1.5}"),
         "bad_request"},
	{"a limit is not negative", BYTES("{\"type\":\"history\",\"channel\":\"c\",\"limit\":-1}"),
         "bad_request"},
	{"auth needs a token", BYTES("{\"type\":\"auth\",\"ref\":1}"), "bad_request ref=1"},
	{"a token is a string", BYTES("{\"type\":\"auth\",\"ref\":1,\"token\":{}}"),
         "bad_request ref=1"},
	{"a token is text", BYTES("{\"type\":\"auth\",\"token\":\"\\udc00\"}"), "bad_request"},
	{"resume needs channels", BYTES("{\"type\":\"resume\",\"ref\":1}"), "bad_request ref=1"},
	{"the channels of resume are no list",
         BYTES("{\"type\":\"resume\",\"ref\":1,\"channels\":[\"c\"]}"), "bad_request ref=1"},
};

static const struct {
	const char *name;
	struct slice message;
	const char *expected;
} binaries[] = {
	{"a channel, no id and a payload", BYTES("\1\1c\0pay"), "publish c data=pay binary"},
	{"a payload may be empty", BYTES("\1\1c\0"), "publish c data= binary"},
	{"a length may be written long",
         BYTES("\1\x81\x00"
               "c\x80\x00pay"),
         "publish c data=pay binary"},
	{"a length of several bytes is read", BYTES("\1\xc0\x01" X64 X64 X64 "\0!"),
         "publish " X64 X64 X64 " data=! binary"},
	{"nothing is refused", BYTES(""), "bad_request"},
	{"another first byte is refused", BYTES("\2\1c\0pay"), "bad_request"},
	{"a channel that is cut off is refused", BYTES("\1\4cha"), "bad_request"},
	{"an id that is cut off is refused", BYTES("\1\1c\5id"), "bad_request"},
	{"a missing id is refused", BYTES("\1\1c"), "bad_request"},
	{"an id is not the client's to give", BYTES("\1\1c\3a-1pay"), "bad_request"},
	{"a length without end is refused", BYTES("\1\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\0c"),
         "bad_request"},
	{"a length beyond all messages is refused",
         BYTES("\1\xff\xff\xff\xff\x7f"
               "c\0"),
         "bad_request"},
};

static struct dialect_reader reader; /* one for all, as a worker has it */

/* ---- what a message asks for, in short ---- */

static void tell_text(struct buf *out, const char *name, struct slice text)
{
	if (text.len > 0) {
		buf_format(out, " %s=", name);
		buf_slice(out, text);
	}
}

static void tell_since(struct buf *out, const struct hub_command *command)
{
	char text[CURSOR_TEXT_MAX];
	if (!command->has_since)
		return;
	if (command->since.is_start)
		tell_text(out, "since", SLICE("start"));
	else
		tell_text(out, "since",
		          slice_of(text,
		                   cursor_write(text, command->since.epoch, command->since.seq)));
}

static void tell_publication(struct buf *out, const struct hub_command *command)
{
	const struct publication *publication = &command->publication;
	buf_string(out, " data=");
	buf_slice(out, publication->payload);
	tell_text(out, "event", publication->event);
	tell_text(out, "key", publication->key);
	tell_text(out, "idempotency_key", publication->idempotency_key);
	buf_string(out, command->is_unechoed ? " unechoed" : "");
	buf_string(out, publication->is_binary ? " binary" : "");
	CHECK(command->is_unanswered == publication->is_binary);
	CHECK(command->except == 0);
	CHECK(command->user.len == 0);
}

static void tell_command(struct buf *out, const struct hub_command *command)
{
	static const char *const words[] = {
		[COMMAND_SUBSCRIBE] = "subscribe", [COMMAND_UNSUBSCRIBE] = "unsubscribe",
		[COMMAND_PUBLISH] = "publish",     [COMMAND_HISTORY] = "history",
		[COMMAND_AUTH] = "auth",           [COMMAND_PING] = "ping",
		[COMMAND_PRESENCE] = "presence",
	};
	buf_string(out, words[command->type]);
	if (command->type != COMMAND_PING && command->type != COMMAND_AUTH)
		buf_char(out, ' ');
	buf_slice(out, command->channel);
	tell_text(out, "ref", command->ref);
	tell_text(out, "token", command->token);
	tell_since(out, command);
	buf_string(out, command->wants_presence ? " with presence" : "");
	if (command->has_limit)
		buf_format(out, " limit=%llu", (unsigned long long)command->limit);
	if (command->type == COMMAND_PUBLISH)
		tell_publication(out, command);
}

static void tell_fault(struct buf *out, const struct dialect_fault *fault)
{
	CHECK(fault->message != NULL);
	buf_string(out, error_text(fault->error));
	tell_text(out, "ref", fault->ref);
	tell_text(out, "channel", fault->channel);
}

static void tell_message(struct buf *out, struct slice message, bool is_binary)
{
	struct hub_command command;
	struct dialect_fault fault;
	enum dialect_result result;
	dialect_begin(&reader, message, is_binary);
	while ((result = native.read(&reader, &command, &fault)) != DIALECT_END) {
		if (out->len > 0)
			buf_string(out, "; ");
		if (result == DIALECT_COMMAND)
			tell_command(out, &command);
		else
			tell_fault(out, &fault);
	}
	CHECK(native.read(&reader, &command, &fault) == DIALECT_END);
}

static bool message_is(struct slice message, bool is_binary, const char *expected)
{
	struct buf told = {0};
	char *guarded = guard_copy(message);
	tell_message(&told, slice_of(guarded, message.len), is_binary);
	bool is_so = slice_is(buf_view(&told), expected);
	if (!is_so)
		fprintf(stderr, "read: %.*s\nexpected: %s\n", (int)told.len, told.at, expected);
	guard_drop(guarded, message.len);
	buf_free(&told);
	return is_so;
}

static void check_message(size_t i)
{
	struct slice message = messages[i].message;
	CHECK(message_is(message, false, messages[i].expected));
	if (slice_starts(slice_string(messages[i].expected), SLICE("bad_request")))
		return;
	/* A closing brace is the last thing in a message but for blanks. */
	size_t end = message.len;
	while (message.at[end - 1] != '}')
		end--;
	for (size_t len = 0; len < end; len++)
		CHECK(message_is(slice_of(message.at, len), false, "bad_request"));
}

static void check_ref_length(void)
{
	struct buf message = {0}, expected = {0};
	buf_string(&message, "{\"type\":\"ping\",\"ref\":1");
	buf_string(&expected, "ping ref=1");
	while (expected.len < REF_MAX + strlen("ping ref=")) {
		buf_char(&message, '0');
		buf_char(&expected, '0');
	}
	buf_append(&expected, "", 1);
	buf_append(&message, "}", 2);
	CHECK(message_is(slice_string(message.at), false, expected.at));
	buf_cut_to(&message, message.len - 2);
	buf_append(&message, "0}", 3);
	CHECK(message_is(slice_string(message.at), false, "bad_request"));
	buf_free(&message);
	buf_free(&expected);
}

/* ---- events ---- */

static const struct {
	const char *name;
	struct hub_event event;
	const char *expected;
} events[] = {
	{"welcome to an anonymous one",
         {.type = EVENT_WELCOME, .connection = BYTES("1f"), .node = BYTES("n"), .heartbeat_s = 25},
         "{\"type\":\"welcome\",\"connection\":\"1f\",\"node\":\"n\",\"heartbeat\":25}"},
	{"welcome to a user",
         {.type = EVENT_WELCOME,
          .connection = BYTES("1f"),
          .node = BYTES("n"),
          .user = BYTES("a\"b"),
          .heartbeat_s = 1},
         "{\"type\":\"welcome\",\"connection\":\"1f\",\"node\":\"n\",\"user\":\"a\\\"b\","
         "\"heartbeat\":1}"},
	{"subscribed, plain",
         {.type = EVENT_SUBSCRIBED, .ref = BYTES("1"), .channel = BYTES("c"), .epoch = 937557},
         "{\"type\":\"subscribed\",\"ref\":1,\"channel\":\"c\",\"cursor\":\"k3f9-0\"}"},
	{"subscribed, recovered",
         {.type = EVENT_SUBSCRIBED,
          .ref = BYTES("\"x\""),
          .channel = BYTES("c"),
          .epoch = 10,
          .seq = 120,
          .has_recovered = true,
          .is_recovered = true},
         "{\"type\":\"subscribed\",\"ref\":\"x\",\"channel\":\"c\",\"cursor\":\"a-120\","
         "\"recovered\":true}"},
	{"subscribed with a gap",
         {.type = EVENT_SUBSCRIBED,
          .channel = BYTES("c"),
          .epoch = 10,
          .seq = 1,
          .has_recovered = true},
         "{\"type\":\"subscribed\",\"channel\":\"c\",\"cursor\":\"a-1\",\"recovered\":false}"},
	{"unsubscribed",
         {.type = EVENT_UNSUBSCRIBED, .ref = BYTES("2"), .channel = BYTES("c")},
         "{\"type\":\"unsubscribed\",\"ref\":2,\"channel\":\"c\"}"},
	{"unsubscribed by the server",
         {.type = EVENT_UNSUBSCRIBED, .channel = BYTES("c"), .reason = "forbidden"},
         "{\"type\":\"unsubscribed\",\"channel\":\"c\",\"reason\":\"forbidden\"}"},
	{"ack of what is no publication",
         {.type = EVENT_ACK, .ref = BYTES("7")},
         "{\"type\":\"ack\",\"ref\":7}"},
	{"ack",
         {.type = EVENT_ACK, .ref = BYTES("3"), .epoch = 10, .seq = UINT64_MAX},
         "{\"type\":\"ack\",\"ref\":3,\"id\":\"a-18446744073709551615\",\"duplicate\":false}"},
	{"ack of a duplicate",
         {.type = EVENT_ACK, .epoch = 10, .seq = 1, .is_duplicate = true},
         "{\"type\":\"ack\",\"id\":\"a-1\",\"duplicate\":true}"},
	{"history without a record",
         {.type = EVENT_HISTORY, .ref = BYTES("5"), .channel = BYTES("c"), .epoch = 10, .seq = 7},
         "{\"type\":\"history\",\"ref\":5,\"channel\":\"c\",\"messages\":[],\"cursor\":\"a-7\","
         "\"more\":false}"},
	{"a message to one client",
         {.type = EVENT_DIRECT, .data = BYTES("{\"n\":1}")},
         "{\"type\":\"message\",\"data\":{\"n\":1}}"},
	{"messages were left out",
         {.type = EVENT_GAP, .channel = BYTES("c"), .epoch = 10, .seq = 5},
         "{\"type\":\"gap\",\"channel\":\"c\",\"cursor\":\"a-5\"}"},
	{"who came, with what the token says of it",
         {.type = EVENT_JOINED,
          .channel = BYTES("c"),
          .user = BYTES("a\"b"),
          .data = BYTES("{\"n\":1}")},
         "{\"type\":\"joined\",\"channel\":\"c\",\"user\":\"a\\\"b\",\"info\":{\"n\":1}}"},
	{"who came, of whom nothing is said",
         {.type = EVENT_JOINED, .channel = BYTES("c"), .user = BYTES("ann")},
         "{\"type\":\"joined\",\"channel\":\"c\",\"user\":\"ann\"}"},
	{"who went",
         {.type = EVENT_LEFT, .ref = BYTES(""), .channel = BYTES("c"), .user = BYTES("ann")},
         "{\"type\":\"left\",\"channel\":\"c\",\"user\":\"ann\"}"},
	{"pong", {.type = EVENT_PONG, .ref = BYTES("8")}, "{\"type\":\"pong\",\"ref\":8}"},
	{"pong to nothing in particular", {.type = EVENT_PONG}, "{\"type\":\"pong\"}"},
	{"reconnect",
         {.type = EVENT_RECONNECT, .after_ms = 1234},
         "{\"type\":\"reconnect\",\"after\":1234}"},
	{"an error",
         {.type = EVENT_ERROR, .ref = BYTES("3"), .error = ERROR_FORBIDDEN, .message = "no \"c\""},
         "{\"type\":\"error\",\"ref\":3,\"code\":\"forbidden\",\"message\":\"no \\\"c\\\"\"}"},
	{"an error about a channel",
         {.type = EVENT_ERROR,
          .ref = BYTES("3"),
          .channel = BYTES("c"),
          .error = ERROR_TOO_MANY_CHANNELS,
          .message = "m"},
         "{\"type\":\"error\",\"ref\":3,\"channel\":\"c\",\"code\":\"too_many_channels\","
         "\"message\":\"m\"}"},
	{"an error does not repeat a name that is not text",
         {.type = EVENT_ERROR,
          .channel = BYTES("\xff"),
          .error = ERROR_BAD_REQUEST,
          .message = "m"},
         "{\"type\":\"error\",\"code\":\"bad_request\",\"message\":\"m\"}"},
	{"an error does not repeat a name too long for one",
         {.type = EVENT_ERROR,
          .channel = BYTES(X64 X64 X64 X64),
          .error = ERROR_BAD_REQUEST,
          .message = "m"},
         "{\"type\":\"error\",\"code\":\"bad_request\",\"message\":\"m\"}"},
};

static void check_event(size_t i)
{
	struct buf out = {0};
	native.write(&out, &events[i].event);
	CHECK(slice_is(buf_view(&out), events[i].expected));
	buf_free(&out);
}

/* ---- who is present ---- */

static void enter(struct occupants *occupants, struct slice user, const char *info)
{
	struct blob *blob = info == NULL ? NULL : blob_copy(slice_string(info));
	struct occupant *occupant = occupant_make(user, SLICE("c"), blob);
	CHECK(occupant != NULL);
	occupants_enter(occupants, 0, occupant, user.len); /* as good a hash as any */
}

/* What is said of the set; `self`, if any, is not in it yet. */
static bool presence_is(struct occupants *occupants, bool has_names, struct slice self,
                        const char *expected)
{
	struct buf out = {0};
	struct turnout *turnout = occupants_all(occupants, SLICE("c"), has_names);
	CHECK(turnout != NULL);
	struct hub_event event = {.type = EVENT_PRESENCE,
	                          .ref = SLICE("4"),
	                          .channel = SLICE("c"),
	                          .turnout = turnout,
	                          .user = self,
	                          .data = self.len > 0 ? SLICE("[7]") : SLICE("")};
	native.write(&out, &event);
	bool is_so = slice_is(buf_view(&out), expected);
	if (!is_so)
		fprintf(stderr, "written: %.*s\n", (int)out.len, out.at);
	buf_free(&out);
	turnout_drop(turnout);
	return is_so;
}

#define PRESENCE "{\"type\":\"presence\",\"ref\":4,\"channel\":\"c\",\"count\":"

static void check_presence(void)
{
	struct occupants occupants;
	CHECK(occupants_init(&occupants) == 0);
	CHECK(presence_is(&occupants, true, SLICE(""), PRESENCE "0,\"members\":[]}"));
	CHECK(presence_is(&occupants, true, SLICE("me"),
	                  PRESENCE
	                  "1,\"members\":[{\"user\":\"me\",\"connections\":1,\"info\":[7]}]}"));
	enter(&occupants, SLICE("a\"b"), NULL);
	enter(&occupants, SLICE("a\"b"), NULL);
	CHECK(presence_is(&occupants, true, SLICE(""),
	                  PRESENCE "1,\"members\":[{\"user\":\"a\\\"b\",\"connections\":2}]}"));
	CHECK(presence_is(&occupants, true, SLICE("me"),
	                  PRESENCE "2,\"members\":[{\"user\":\"a\\\"b\",\"connections\":2},"
	                           "{\"user\":\"me\",\"connections\":1,\"info\":[7]}]}"));
	enter(&occupants, SLICE("bo"), "{\"n\":1}");
	CHECK(presence_is(&occupants, true, SLICE(""),
	                  PRESENCE
	                  "2,\"members\":[{\"user\":\"bo\",\"connections\":1,\"info\":{\"n\":1}},"
	                  "{\"user\":\"a\\\"b\",\"connections\":2}]}"));
	CHECK(presence_is(&occupants, false, SLICE("me"), PRESENCE "2}"));
	occupants_free(&occupants);
}

/* ---- records ---- */

struct words {
	const char *payload, *event, *user, *key, *idempotency_key;
	bool is_binary;
};

static struct record *record_of(const struct words *words, uint64_t seq)
{
	const char *const empty = "";
	struct publication publication = {
		.channel = SLICE("c"),
		.event = slice_string(words->event != NULL ? words->event : empty),
		.user = slice_string(words->user != NULL ? words->user : empty),
		.key = slice_string(words->key != NULL ? words->key : empty),
		.idempotency_key = slice_string(
			words->idempotency_key != NULL ? words->idempotency_key : empty),
		.payload = slice_string(words->payload),
		.is_binary = words->is_binary,
	};
	struct record *record = record_make(&publication, 0);
	CHECK(record != NULL);
	record_settle(record, 10, seq, 1700000000123u, 0);
	return record;
}

#define HEAD "{\"type\":\"message\",\"channel\":\"c\",\"id\":\"a-1\",\"data\":"
#define TS ",\"ts\":1700000000123"

static const struct {
	const char *name;
	struct words words;
	const char *object, *sse_json, *sse_text;
} records[] = {
	{"a number", {.payload = "5"}, HEAD "5" TS "}", "data: 5\n", "data: 5\n"},
	{"a string",
         {.payload = "\"a\\\"b\""},
         HEAD "\"a\\\"b\"" TS "}",
         "data: \"a\\\"b\"\n",
         "data: a\"b\n"},
	{"a string of several lines",
         {.payload = "\"one\\ntwo\\r\\n\\nfour\""},
         HEAD "\"one\\ntwo\\r\\n\\nfour\"" TS "}",
         "data: \"one\\ntwo\\r\\n\\nfour\"\n",
         "data: one\ndata: two\ndata: \ndata: four\n"},
	{"an empty string", {.payload = "\"\""}, HEAD "\"\"" TS "}", "data: \"\"\n", "data: \n"},
	{"a string that begins with a space",
         {.payload = "\" x\""},
         HEAD "\" x\"" TS "}",
         "data: \" x\"\n",
         "data:  x\n"},
	{"half a pair of surrogates stays JSON",
         {.payload = "\"\\ud800\""},
         HEAD "\"\\ud800\"" TS "}",
         "data: \"\\ud800\"\n",
         "data: \"\\ud800\"\n"},
	{"an object over several lines",
         {.payload = "{\n \"a\":1}"},
         HEAD "{\n \"a\":1}" TS "}",
         "data: {\ndata:  \"a\":1}\n",
         "data: {\ndata:  \"a\":1}\n"},
	{"all there is",
         {.payload = "null", .event = "e", .user = "ann", .key = "k", .idempotency_key = "i\n"},
         HEAD "null" TS ",\"event\":\"e\",\"user\":\"ann\",\"key\":\"k\","
              "\"idempotency_key\":\"i\\n\"}",
         "event: e\ndata: null\n",
         "event: e\ndata: null\n"},
	{"bytes",
         {.payload = "\xff", .is_binary = true},
         HEAD "{\"base64\":\"/w==\"}" TS "}",
         "data: {\"base64\":\"/w==\"}\n",
         "data: {\"base64\":\"/w==\"}\n"},
	{"bytes that look like a string",
         {.payload = "\"x\"", .is_binary = true},
         HEAD "{\"base64\":\"Ingi\"}" TS "}",
         "data: {\"base64\":\"Ingi\"}\n",
         "data: {\"base64\":\"Ingi\"}\n"},
	{"no bytes",
         {.payload = "", .is_binary = true},
         HEAD "{\"base64\":\"\"}" TS "}",
         "data: {\"base64\":\"\"}\n",
         "data: {\"base64\":\"\"}\n"},
};

static struct slice encoded(struct record *record, struct dialect_encoding encoding)
{
	const struct blob *blob = record_wire(record, encoding.wire, encoding.encode);
	CHECK(blob != NULL);
	return blob_view(blob);
}

/* The whole object over lines, each with `data: ` before it. */
static bool is_data_of(struct slice event, struct slice object)
{
	struct slice line, expected;
	while (slice_cut(&event, '\n', &line) && line.len > 0) {
		if (slice_starts(line, SLICE("event: ")))
			continue;
		if (!slice_starts(line, SLICE("data: ")) || !slice_cut(&object, '\n', &expected))
			return false;
		if (!slice_equals(slice_after(line, strlen("data: ")), expected))
			return false;
	}
	return object.at == NULL && event.at == NULL;
}

static void check_record(size_t i)
{
	struct record *record = record_of(&records[i].words, 1);
	struct buf object = {0};
	CHECK(native_message(&object, record));
	CHECK(slice_is(buf_view(&object), records[i].object));
	CHECK(slice_is(encoded(record, native_sse_json), records[i].sse_json));
	CHECK(slice_is(encoded(record, native_sse_text), records[i].sse_text));
	CHECK(is_data_of(encoded(record, native_sse_full), buf_view(&object)));

	struct slice frame = encoded(record, native.websocket);
	CHECK(frame.at[0] == (char)(records[i].words.is_binary ? 0x82 : 0x81));
	if (!records[i].words.is_binary) {
		size_t head = object.len < 126 ? 2 : 4;
		CHECK(slice_equals(slice_after(frame, head), buf_view(&object)));
	}
	buf_free(&object);
	record_drop(record);
}

/* What frames of these lengths begin with (RFC 6455 section 5.2). */
static const struct {
	const char *name;
	size_t len;
	struct slice head;
} frames[] = {
	{"the longest with a short length", 125, BYTES("\x81\x7d")},
	{"the shortest with two bytes of length", 126, BYTES("\x81\x7e\x00\x7e")},
	{"the longest with two bytes of length", 65535, BYTES("\x81\x7e\xff\xff")},
	{"the shortest with eight bytes of length", 65536,
         BYTES("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00")},
};

static void check_frame(size_t i)
{
	size_t data_len = frames[i].len - strlen(HEAD TS "}");
	char *data = malloc(data_len + 1);
	CHECK(data != NULL);
	memset(data, '7', data_len);
	data[data_len] = '\0';
	struct record *record = record_of(&(struct words){.payload = data}, 1);
	struct slice frame = encoded(record, native.websocket);
	struct buf object = {0};
	CHECK(native_message(&object, record));
	CHECK(object.len == frames[i].len);
	CHECK(slice_starts(frame, frames[i].head));
	CHECK(slice_equals(slice_after(frame, frames[i].head.len), buf_view(&object)));
	buf_free(&object);
	record_drop(record);
	free(data);
}

static void check_binary_frame(void)
{
	struct record *record = record_of(&(struct words){.payload = "pay", .is_binary = true}, 99);
	CHECK(slice_is(encoded(record, native.websocket), "\x82\x0b\1\1c\4a-99pay"));
	record_drop(record);

	char channel[CHANNEL_NAME_MAX];
	memset(channel, 'x', sizeof(channel));
	struct publication publication = {.channel = slice_of(channel, sizeof(channel)),
	                                  .is_binary = true};
	record = record_make(&publication, 0);
	CHECK(record != NULL);
	record_settle(record, 10, 1, 0, 0);
	struct slice frame = encoded(record, native.websocket);
	CHECK(slice_starts(frame, slice_of("\x82\x7e\x00\xcf\1\xc8\1xxx", 10)));
	CHECK(frame.len == 4 + 0xcf);
	record_drop(record);
}

static void check_history(void)
{
	struct record *both[] = {record_of(&(struct words){.payload = "1"}, 1),
	                         record_of(&(struct words){.payload = "2"}, 2)};
	struct hub_event event = {.type = EVENT_HISTORY,
	                          .channel = SLICE("c"),
	                          .epoch = 10,
	                          .seq = 2,
	                          .has_more = true,
	                          .records = both,
	                          .record_count = 2};
	static const char messages_text[] =
		"\"messages\":[" HEAD "1" TS "},{\"type\":\"message\",\"channel\":\"c\","
		"\"id\":\"a-2\",\"data\":2" TS "}],\"cursor\":\"a-2\",\"more\":true}";
	struct buf out = {0}, expected = {0};
	buf_format(&expected, "{\"type\":\"history\",\"channel\":\"c\",%s", messages_text);
	native.write(&out, &event);
	CHECK(slice_equals(buf_view(&out), buf_view(&expected)));
	buf_clear(&out);
	buf_clear(&expected);
	buf_format(&expected, "{\"channel\":\"c\",%s", messages_text);
	native_history(&out, &event);
	CHECK(slice_equals(buf_view(&out), buf_view(&expected)));
	buf_free(&out);
	buf_free(&expected);
	record_drop(both[0]);
	record_drop(both[1]);
}

static void check_http(void)
{
	struct buf out = {0};
	native_ack(&out, &(struct hub_event){.epoch = 10, .seq = 3});
	CHECK(slice_is(buf_view(&out), "{\"id\":\"a-3\",\"duplicate\":false}"));
	buf_clear(&out);
	native_error(&out, ERROR_NOT_FOUND, "no such \"thing\"");
	CHECK(slice_is(buf_view(&out), "{\"error\":{\"code\":\"not_found\",\"message\":"
	                               "\"no such \\\"thing\\\"\"}}"));
	buf_clear(&out);
	native_cursor(&out, 10, 0);
	CHECK(slice_is(buf_view(&out), "\"a-0\""));
	buf_free(&out);
}

static const struct {
	const char *name;
	void (*run)(void);
} others[] = {
	{"a ref may have so many bytes", check_ref_length},
	{"who is present is a list, or only a number", check_presence},
	{"a binary publication goes out as such a frame", check_binary_frame},
	{"history is a list of message objects", check_history},
	{"over HTTP it is the same without type and ref", check_http},
};

int main(void)
{
	CHECK(strcmp(native.name, "starling.v1") == 0);
	for (size_t i = 0; i < COUNT_OF(messages); i++) {
		printf("native: reads, %s\n", messages[i].name);
		check_message(i);
	}
	for (size_t i = 0; i < COUNT_OF(binaries); i++) {
		printf("native: reads binary, %s\n", binaries[i].name);
		CHECK(message_is(binaries[i].message, true, binaries[i].expected));
	}
	for (size_t i = 0; i < COUNT_OF(events); i++) {
		printf("native: writes, %s\n", events[i].name);
		check_event(i);
	}
	for (size_t i = 0; i < COUNT_OF(records); i++) {
		printf("native: a publication of %s\n", records[i].name);
		check_record(i);
	}
	for (size_t i = 0; i < COUNT_OF(frames); i++) {
		printf("native: a frame, %s\n", frames[i].name);
		check_frame(i);
	}
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		printf("native: %s\n", others[i].name);
		others[i].run();
	}
	buf_free(&reader.scratch);
	return 0;
}
