/*
 * One hub, or two with the letters between them, and three clients. What clients are told is
 * written down in short ("a subscribed here 0; a got here 1 2") and compared case by case.
 * Epochs are left out, for they are drawn by lot; tests/sim holds everything against a model.
 */
#include "hub/hub.h"

#include <stdlib.h>

#include "../../failing.h"
#include "base/buf.h"

#define HERE "here"   /* of two workers the agent of this channel is worker 0 */
#define THERE "there" /* and of this one worker 1 */
#define CHANNELS 3    /* a session may follow so many */
#define LAG_MAX 2000
#define THROTTLE_MS 1000
#define LAST "last:1" /* throttled; of two workers its agent is worker 0 */
#define LAST_THERE "last:2"
#define KEEP "keep:4" /* here; its latest values are kept for a minute, and no history */
#define MERGE "merge:1"
#define MERGE_THERE "merge:2"
#define DROP "drop:2"
#define ROOM "room:1" /* with presence */
#define COUNTED "counted:1"
#define GRACE_MS 3000
#define TIMER_PRESENCE 2
#define UNIX_MS 1700000000000u
#define LETTERS_MAX 64

static struct rule rule_list[] = {
	{.pattern = "user:*", .subscribe = RULE_USER, .publish = RULE_USER},
	{.pattern = "token:*", .subscribe = RULE_TOKEN, .publish = RULE_TOKEN},
	{.pattern = "none:*", .subscribe = RULE_NONE, .publish = RULE_NONE},
	{.pattern = "read:*", .subscribe = RULE_ANY, .publish = RULE_NONE},
	{.pattern = "live:*", .history_size = 0, .history_ttl_ms = 3600 * 1000},
	{.pattern = "many:*", .history_size = 5000, .history_ttl_ms = 60000},
	{.pattern = "last:*",
         .history_size = 5,
         .history_ttl_ms = 60000,
         .deliver_last = true,
         .max_keys = 3,
         .throttle_ms = THROTTLE_MS},
	{.pattern = "keep:*", .history_ttl_ms = 60000, .deliver_last = true, .max_keys = 3},
	{.pattern = "merge:*",
         .history_size = 5,
         .history_ttl_ms = 60000,
         .deliver_last = true,
         .max_keys = 3,
         .overflow = RULE_OVERFLOW_CONFLATE},
	{.pattern = "drop:*",
         .history_size = 5,
         .history_ttl_ms = 60000,
         .overflow = RULE_OVERFLOW_DROP},
	{.pattern = "room:*",
         .history_ttl_ms = 60000,
         .presence = RULE_PRESENCE_FULL,
         .presence_grace_ms = GRACE_MS},
	{.pattern = "counted:*", .history_ttl_ms = 60000, .presence = RULE_PRESENCE_COUNT},
	{.pattern = "brief:*", .history_size = 5, .history_ttl_ms = 500},
	{.pattern = "*", .history_size = 5, .history_ttl_ms = 60000},
};
static const struct rules rules = {rule_list, COUNT_OF(rule_list)};

struct client {
	struct session session;
	struct hub *hub;
	char name;
	bool is_open;
	size_t takes; /* records of a delivery, then it is blocked */
};

struct letter {
	uint32_t to;
	struct hub_mail mail;
};

static struct client a, b, c;
static struct hub *hubs[2];
static struct hub_out outs[2];
static bool is_full[2]; /* the post has no room for letters of that worker */
static struct timer_wheel wheels[2];
static uint64_t now_ms;
static uint32_t workers;
static struct letter letters[LETTERS_MAX]; /* on their way, oldest first */
static size_t letter_count;
static struct buf told;
static struct record *last_record; /* of those delivered or shown; NULL: none */

/* ---- what clients are told ---- */

static struct client *client_of(struct session *session)
{
	return CONTAINER_OF(session, struct client, session);
}

static void tell(const struct session *session, const char *what, struct slice channel)
{
	const struct client *client = CONTAINER_OF(session, struct client, session);
	if (told.len > 0)
		buf_string(&told, "; ");
	buf_char(&told, client->name);
	buf_char(&told, ' ');
	buf_string(&told, what);
	if (channel.len > 0)
		buf_char(&told, ' ');
	buf_slice(&told, channel);
}

static void tell_records(struct record *const *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_format(&told, " %llu", (unsigned long long)records[i]->seq);
	if (count == 0)
		return;
	if (last_record != NULL)
		record_drop(last_record);
	last_record = record_take(records[count - 1]);
}

/* How many, and who, by name: with connections where those are not 1. */
static void tell_turnout(const struct turnout *turnout)
{
	buf_format(&told, " %u", turnout->occupant_count);
	for (char name = 'a'; turnout->has_names && name <= 'z'; name++) {
		for (uint32_t i = 0; i < turnout->count; i++) {
			const struct turnout_entry *entry = &turnout->entries[i];
			if (*entry->user != name)
				continue;
			buf_char(&told, ' ');
			buf_slice(&told, turnout_user(entry));
			if (entry->connections != 1)
				buf_format(&told, "*%u", entry->connections);
		}
	}
}

static void out_event(struct hub_out *out, struct session *session, const struct hub_event *event)
{
	static const char *const words[] = {
		[EVENT_SUBSCRIBED] = "subscribed",
		[EVENT_UNSUBSCRIBED] = "unsubscribed",
		[EVENT_ACK] = "ack",
		[EVENT_HISTORY] = "history",
		[EVENT_PONG] = "pong",
		[EVENT_GAP] = "gap",
		[EVENT_PRESENCE] = "sees",
		[EVENT_JOINED] = "joined",
		[EVENT_LEFT] = "left",
	};
	unsigned long long seq = event->seq;
	(void)out;
	if (event->type == EVENT_ERROR) {
		CHECK(event->message != NULL);
		tell(session, error_text(event->error), event->channel);
	} else {
		tell(session, words[event->type], event->channel);
	}
	tell_records(event->records, event->record_count);
	if (event->user.len > 0)
		buf_format(&told, " %.*s", (int)event->user.len, event->user.at);
	if (event->data.len > 0)
		buf_format(&told, " %.*s", (int)event->data.len, event->data.at);
	if (event->turnout != NULL)
		tell_turnout(event->turnout);
	if (event->type == EVENT_HISTORY)
		buf_string(&told, " at");
	if (event->epoch != 0)
		buf_format(&told, " %llu", seq);
	if (event->has_recovered)
		buf_string(&told, event->is_recovered ? " recovered" : " gap");
	if (event->has_more)
		buf_string(&told, " more");
	if (event->reason != NULL)
		buf_format(&told, " because %s", event->reason);
	if (event->ref.len > 0)
		buf_format(&told, " ref %.*s", (int)event->ref.len, event->ref.at);
}

static size_t out_deliver(struct hub_out *out, struct session *session,
                          const struct delivery *delivery)
{
	struct client *client = client_of(session);
	(void)out;
	size_t taken = client->takes < delivery->count ? client->takes : delivery->count;
	session->is_blocked = taken < delivery->count;
	client->takes -= taken;
	tell(session, "got", channel_name(delivery->channel));
	tell_records(delivery->records, taken);
	return taken;
}

static uint32_t answered_count;

static void out_answered(struct hub_out *out, struct session *session)
{
	(void)out;
	CHECK(!session->is_ended);
	answered_count++;
}

static void out_end(struct hub_out *out, struct session *session, enum hub_end why)
{
	(void)out;
	session->is_ended = true;
	tell(session, why == HUB_END_SLOW ? "is slow" : "lost memory", slice_of(NULL, 0));
}

static struct client *const clients[] = {&a, &b, &c};

static struct slab_handle out_handle(struct hub_out *out, const struct session *session)
{
	uint32_t index = 0;
	(void)out;
	while (&clients[index]->session != session)
		CHECK(++index < COUNT_OF(clients));
	return (struct slab_handle){index, 1};
}

static struct session *out_find(struct hub_out *out, struct slab_handle handle)
{
	(void)out;
	CHECK(handle.index < COUNT_OF(clients));
	return clients[handle.index]->is_open ? &clients[handle.index]->session : NULL;
}

static void out_post(struct hub_out *out, uint32_t to, const struct hub_mail *mail)
{
	CHECK(out == &outs[1 - to]);
	CHECK(letter_count < LETTERS_MAX);
	letters[letter_count++] = (struct letter){to, *mail};
}

static bool out_has_room(struct hub_out *out)
{
	return !is_full[out - outs];
}

static bool were_told(const char *expected)
{
	bool is_so = slice_is(buf_view(&told), expected);
	if (!is_so)
		fprintf(stderr, "told:     %.*s\nexpected: %s\n", (int)told.len, told.at, expected);
	buf_clear(&told);
	return is_so;
}

/* ---- what clients do ---- */

static void open_client(struct client *client, char name, uint32_t worker)
{
	*client = (struct client){
		.hub = hubs[worker], .name = name, .is_open = true, .takes = SIZE_MAX};
}

static void close_client(struct client *client)
{
	if (client->is_open)
		hub_session_close(client->hub, &client->session);
	client->is_open = false;
	claims_free(client->session.claims);
	client->session.claims = NULL;
}

static void subscribe(struct client *client, const char *channel)
{
	struct hub_command command = {.type = COMMAND_SUBSCRIBE, .channel = slice_string(channel)};
	hub_execute(client->hub, &client->session, &command);
}

/* The epoch is that of the record seen last. */
static struct cursor cursor_at(uint64_t seq)
{
	return (struct cursor){.epoch = last_record == NULL ? 1 : last_record->epoch, .seq = seq};
}

static void subscribe_since(struct client *client, const char *channel, struct cursor since)
{
	struct hub_command command = {.type = COMMAND_SUBSCRIBE,
	                              .channel = slice_string(channel),
	                              .has_since = true,
	                              .since = since};
	hub_execute(client->hub, &client->session, &command);
}

static void unsubscribe(struct client *client, const char *channel)
{
	struct hub_command command = {.type = COMMAND_UNSUBSCRIBE,
	                              .channel = slice_string(channel)};
	hub_execute(client->hub, &client->session, &command);
}

static struct hub_command publication(const char *channel)
{
	return (struct hub_command){.type = COMMAND_PUBLISH,
	                            .channel = slice_string(channel),
	                            .publication.payload = SLICE("1")};
}

static void publish(struct client *client, const char *channel)
{
	struct hub_command command = publication(channel);
	hub_execute(client->hub, &client->session, &command);
}

/* Without saying what comes of it. */
static void publish_many(struct client *client, const char *channel, int count)
{
	struct buf kept = {0};
	buf_swap(&kept, &told);
	for (; count > 0; count--)
		publish(client, channel);
	buf_swap(&kept, &told);
	buf_free(&kept);
}

static void publish_large(struct client *client, const char *channel, size_t len)
{
	char *payload = malloc(len);
	CHECK(payload != NULL);
	memset(payload, '1', len);
	struct hub_command command = publication(channel);
	command.publication.payload = slice_of(payload, len);
	hub_execute(client->hub, &client->session, &command);
	free(payload);
}

static void walk(struct client *client)
{
	while (hub_walk(client->hub, 100))
		;
}

static void ready(struct client *client)
{
	client->takes = SIZE_MAX;
	client->session.is_blocked = client->session.is_held = false;
	hub_session_ready(client->hub, &client->session);
}

static void set_time(void)
{
	for (uint32_t i = 0; i < workers; i++)
		hub_set_time(hubs[i], now_ms, (UNIX_MS + now_ms) * 1000);
}

static void pass(uint64_t ms)
{
	now_ms += ms;
	set_time();
	for (uint32_t i = 0; i < workers; i++) {
		struct timer *timer;
		while ((timer = timer_take_due(&wheels[i], now_ms)) != NULL)
			hub_timer(hubs[i], timer);
	}
}

static void deliver_one(void)
{
	CHECK(letter_count > 0);
	struct letter letter = letters[0];
	memmove(letters, letters + 1, --letter_count * sizeof(letters[0]));
	hub_receive(hubs[letter.to], &letter.mail);
}

static void deliver_all(void)
{
	while (letter_count > 0)
		deliver_one();
}

static void begin(uint32_t count)
{
	workers = count;
	now_ms = 1000;
	is_full[0] = is_full[1] = false;
	for (uint32_t i = 0; i < workers; i++) {
		outs[i] = (struct hub_out){
			.has_room = out_has_room,
			.event = out_event,
			.answered = out_answered,
			.deliver = out_deliver,
			.end = out_end,
			.handle = out_handle,
			.find = out_find,
			.post = out_post,
		};
		timer_wheel_init(&wheels[i], now_ms);
		hubs[i] = hub_create(&(struct hub_options){
			.worker = i,
			.workers = workers,
			.out = &outs[i],
			.rules = &rules,
			.wheel = &wheels[i],
			.walk_timer_kind = 1,
			.presence_timer_kind = TIMER_PRESENCE,
			.seed = i,
			.channels_per_session = CHANNELS,
			.outbound_bytes_max = LAG_MAX,
		});
		CHECK(hubs[i] != NULL);
	}
	set_time();
	open_client(&a, 'a', 0);
	open_client(&b, 'b', 0);
	open_client(&c, 'c', workers - 1);
}

/* Whatever a case left: all are closed, and with time nothing is left. */
static void end(void)
{
	close_client(&a);
	close_client(&b);
	close_client(&c);
	deliver_all();
	/* Idempotency keys are remembered for five minutes, and a channel lives as long. */
	for (int i = 0; i < 200; i++)
		pass(2000);
	for (uint32_t i = 0; i < workers; i++) {
		CHECK(hub_counters(hubs[i])->followers == 0);
		CHECK(hub_counters(hubs[i])->channels == 0);
		CHECK(hub_counters(hubs[i])->members == 0);
		CHECK(hub_counters(hubs[i])->watchers == 0);
		hub_destroy(hubs[i]);
	}
	if (last_record != NULL)
		record_drop(last_record);
	last_record = NULL;
	buf_free(&told);
}

/* ---- who clients are ---- */

enum who { NOBODY = 0, NAMED, USER, NAMELESS, BACKEND };

static const struct claims_grant grants[] = {
	{SLICE_INIT("token:r*"), CLAIMS_READ},
	{SLICE_INIT("token:w*"), CLAIMS_WRITE},
	{SLICE_INIT("token:p*"), CLAIMS_PRESENCE},
	{SLICE_INIT("*:rw"), CLAIMS_READ | CLAIMS_WRITE},
	{SLICE_INIT("@bo*"), CLAIMS_READ | CLAIMS_WRITE},
};

static struct claims *claims_of(enum who who)
{
	struct claims_content content = {.expires_unix_ms = CLAIMS_NEVER};
	if (who == NOBODY || who == BACKEND)
		return NULL;
	content.is_token = who != NAMED;
	if (who != NAMELESS)
		content.user = SLICE("ann");
	if (content.is_token) {
		content.grants = grants;
		content.grant_count = COUNT_OF(grants);
	}
	struct claims *claims = claims_make(&content);
	CHECK(claims != NULL);
	return claims;
}

/* ---- subscribing ---- */

static void plain(void)
{
	subscribe(&a, HERE);
	publish(&b, HERE);
	walk(&a);
	CHECK(were_told("a subscribed here 0; b ack 1; a got here 1"));
	subscribe(&b, HERE);
	publish(&a, HERE);
	walk(&a);
	CHECK(were_told("b subscribed here 1; a ack 2; a got here 2; b got here 2"));
}

static void resumed(void)
{
	subscribe(&b, HERE);
	publish_many(&b, HERE, 4);
	walk(&b);
	CHECK(were_told("b subscribed here 0; b got here 1 2 3 4"));
	subscribe_since(&a, HERE, cursor_at(2));
	CHECK(were_told("a subscribed here 2 recovered; a got here 3 4"));
	unsubscribe(&a, HERE);
	subscribe_since(&a, HERE, cursor_at(4));
	CHECK(were_told("a unsubscribed here; a subscribed here 4 recovered"));
}

static void from_the_start(void)
{
	publish_many(&b, HERE, 7);
	subscribe_since(&a, HERE, (struct cursor){.is_start = true});
	CHECK(were_told("a subscribed here 2 recovered; a got here 3 4 5 6 7"));
	subscribe_since(&a, "new", (struct cursor){.is_start = true});
	CHECK(were_told("a subscribed new 0 recovered"));
}

static void gap_is_told(void)
{
	subscribe(&b, HERE);
	publish_many(&b, HERE, 7);
	walk(&b);
	buf_clear(&told);
	subscribe_since(&a, HERE, cursor_at(1));
	CHECK(were_told("a subscribed here 2 gap; a got here 3 4 5 6 7"));
	unsubscribe(&a, HERE);
	subscribe_since(&a, HERE, cursor_at(8));
	CHECK(were_told("a unsubscribed here; a subscribed here 2 gap; a got here 3 4 5 6 7"));
	unsubscribe(&a, HERE);
	subscribe_since(&a, HERE, (struct cursor){.epoch = 1, .seq = 7});
	CHECK(were_told("a unsubscribed here; a subscribed here 2 gap; a got here 3 4 5 6 7"));
}

static void expired_is_a_gap(void)
{
	subscribe(&b, HERE);
	publish_many(&b, HERE, 2);
	walk(&b);
	pass(60000);
	publish_many(&b, HERE, 1);
	walk(&b);
	buf_clear(&told);
	subscribe_since(&a, HERE, cursor_at(1));
	CHECK(were_told("a subscribed here 2 gap; a got here 3"));
}

static void again_changes_nothing(void)
{
	subscribe(&a, HERE);
	publish_many(&a, HERE, 3);
	walk(&a);
	CHECK(were_told("a subscribed here 0; a got here 1 2 3"));
	subscribe(&a, HERE);
	CHECK(were_told("a subscribed here 3"));
	subscribe_since(&a, HERE, cursor_at(1));
	CHECK(were_told("a subscribed here 3 recovered"));
	CHECK(a.session.follower_count == 1);
}

static void again_tells_the_truth(void)
{
	publish_many(&a, HERE, 3);
	subscribe(&a, HERE);
	publish_many(&a, HERE, 1);
	walk(&a);
	CHECK(were_told("a subscribed here 3; a got here 4"));
	subscribe_since(&a, HERE, cursor_at(2)); /* it was never given 3 */
	CHECK(were_told("a subscribed here 4 gap"));
}

static void left(void)
{
	subscribe(&a, HERE);
	unsubscribe(&a, HERE);
	publish(&b, HERE);
	walk(&a);
	CHECK(were_told("a subscribed here 0; a unsubscribed here; b ack 1"));
	unsubscribe(&a, HERE);
	unsubscribe(&a, "unheard-of");
	CHECK(were_told("a not_subscribed here; a not_subscribed unheard-of"));
}

static void too_many(void)
{
	subscribe(&a, "1");
	subscribe(&a, "2");
	subscribe(&a, "3");
	buf_clear(&told);
	subscribe(&a, "4");
	subscribe(&a, "3");
	CHECK(were_told("a too_many_channels 4; a subscribed 3 0"));
	unsubscribe(&a, "2");
	subscribe(&a, "4");
	CHECK(were_told("a unsubscribed 2; a subscribed 4 0"));
}

/* ---- publishing ---- */

static void not_back(void)
{
	subscribe(&a, HERE);
	subscribe(&b, HERE);
	buf_clear(&told);
	struct hub_command command = publication(HERE);
	command.is_unechoed = true;
	hub_execute(a.hub, &a.session, &command);
	walk(&a);
	CHECK(were_told("a ack 1; b got here 1"));
	publish(&b, HERE);
	walk(&a);
	CHECK(were_told("b ack 2; a got here 2; b got here 2"));
}

static void not_to_another(void)
{
	subscribe(&a, HERE);
	subscribe(&b, HERE);
	c.session.is_backend = true;
	buf_clear(&told);
	struct hub_command command = publication(HERE);
	command.except = hub_session_number(b.hub, &b.session);
	hub_execute(c.hub, &c.session, &command);
	walk(&a);
	CHECK(were_told("c ack 1; a got here 1"));
}

static void in_a_name(void)
{
	struct hub_command command = publication(HERE);
	subscribe(&a, HERE);
	b.session.claims = claims_of(USER);
	command.user = SLICE("bob"); /* which is for backends to say */
	command.publication.event = SLICE("e");
	command.publication.key = SLICE("k");
	command.publication.idempotency_key = SLICE("i");
	hub_execute(b.hub, &b.session, &command);
	walk(&a);
	CHECK(slice_is(record_user(last_record), "ann"));
	CHECK(slice_is(record_event(last_record), "e"));
	CHECK(slice_is(record_key(last_record), "k"));
	CHECK(slice_is(record_idempotency_key(last_record), "i"));
	CHECK(slice_is(record_payload(last_record), "1"));
	CHECK(last_record->unix_ms == UNIX_MS + now_ms);
	b.session.is_backend = true;
	command.publication.idempotency_key = SLICE("j"); /* or it would be the same one again */
	hub_execute(b.hub, &b.session, &command);
	walk(&a);
	CHECK(slice_is(record_user(last_record), "bob"));
}

static void unanswered(void)
{
	struct hub_command command = publication(HERE);
	command.is_unanswered = true;
	hub_execute(a.hub, &a.session, &command);
	CHECK(were_told(""));
	command.channel = SLICE("none:1");
	hub_execute(a.hub, &a.session, &command);
	CHECK(were_told("a unauthorized none:1"));
}

/* ---- history ---- */

static void history(struct client *client, const char *channel, const struct cursor *since,
                    uint64_t limit)
{
	struct hub_command command = {
		.type = COMMAND_HISTORY,
		.channel = slice_string(channel),
		.has_since = since != NULL,
		.has_limit = limit != UINT64_MAX,
		.limit = limit,
	};
	if (since != NULL)
		command.since = *since;
	hub_execute(client->hub, &client->session, &command);
}

static void pages(void)
{
	history(&a, HERE, NULL, UINT64_MAX);
	CHECK(were_told("a history here at 0"));
	publish_many(&a, HERE, 7);
	history(&a, HERE, NULL, UINT64_MAX);
	CHECK(were_told("a history here 3 4 5 6 7 at 7"));
	history(&a, HERE, NULL, 2);
	CHECK(were_told("a history here 6 7 at 7 more"));
	struct cursor cursor = cursor_at(4);
	history(&a, HERE, &cursor, 2);
	CHECK(were_told("a history here 5 6 at 6 more"));
	cursor = cursor_at(6);
	history(&a, HERE, &cursor, 2);
	CHECK(were_told("a history here 7 at 7"));
	cursor = cursor_at(7);
	history(&a, HERE, &cursor, 2);
	CHECK(were_told("a history here at 7"));
	cursor = cursor_at(1); /* no longer held */
	history(&a, HERE, &cursor, 2);
	CHECK(were_told("a history here 3 4 at 4 more"));
	history(&a, HERE, NULL, 0);
	CHECK(were_told("a history here at 7 more"));
}

static size_t count_shown(void)
{
	size_t words = 0;
	for (size_t i = 0; i < told.len; i++)
		words += told.at[i] == ' ';
	buf_clear(&told);
	return words - 4; /* "a history many:1 ... at N" */
}

static void pages_have_bounds(void)
{
	publish_many(&a, "many:1", 2000);
	history(&a, "many:1", NULL, UINT64_MAX);
	CHECK(count_shown() == HISTORY_LIMIT_DEFAULT + 1); /* and the word `more` */
	history(&a, "many:1", NULL, 100000);
	CHECK(count_shown() == HISTORY_LIMIT_MAX + 1);
	struct cursor start = {.is_start = true};
	history(&a, "many:1", &start, 100000);
	CHECK(count_shown() == HISTORY_LIMIT_MAX + 1);
}

static void pages_have_bytes(void)
{
	struct cursor start = {.is_start = true};
	for (int i = 0; i < 4; i++)
		publish_large(&a, HERE, HISTORY_BYTES_MAX * 2 / 5);
	publish_large(&a, HERE, HISTORY_BYTES_MAX + 1);
	buf_clear(&told);
	history(&a, HERE, &start, 10);
	CHECK(were_told("a history here 1 2 at 2 more"));
	history(&a, HERE, NULL, 10);
	CHECK(were_told("a history here 5 at 5 more")); /* never less than one */
}

/* ---- walks, and those who lag ---- */

static void one_piece(void)
{
	subscribe(&a, "many:1");
	publish_many(&a, "many:1", 3);
	walk(&a);
	CHECK(were_told("a subscribed many:1 0; a got many:1 1 2 3"));
	publish_many(&a, "many:1", WALK_RECORDS_MAX + 1);
	walk(&a);
	CHECK(last_record->seq == WALK_RECORDS_MAX + 4);
	size_t deliveries = 0;
	for (size_t i = 0; i + 1 < told.len; i++)
		deliveries += memcmp(told.at + i, "go", 2) == 0;
	CHECK(deliveries == 2);
	buf_clear(&told);
}

static void bounded(void)
{
	subscribe(&a, HERE);
	subscribe(&b, HERE);
	subscribe(&c, HERE);
	publish(&a, HERE);
	buf_clear(&told);
	CHECK(hub_walk(a.hub, 2));
	CHECK(were_told("a got here 1; b got here 1"));
	publish(&a, HERE); /* in the midst of the walk */
	CHECK(hub_walk(a.hub, 1));
	CHECK(were_told("a ack 2; c got here 1 2"));
	CHECK(!hub_walk(a.hub, 100));
	CHECK(were_told("a got here 2; b got here 2"));
	CHECK(!hub_walk(a.hub, 100));
	CHECK(were_told(""));
}

/* A large channel's walk is under way, and one with a single follower is published to. */
static void small_before_large(void)
{
	subscribe(&a, HERE);
	subscribe(&b, HERE);
	subscribe(&c, HERE);
	subscribe(&c, "other");
	publish(&a, HERE);
	CHECK(hub_walk(a.hub, 1));
	publish(&b, "other");
	buf_clear(&told);
	CHECK(hub_walk(a.hub, 2));
	CHECK(were_told("c got other 1; b got here 1")); /* and its share is not lost */
	CHECK(!hub_walk(a.hub, 1) || !hub_walk(a.hub, 1));
	CHECK(were_told("c got here 1"));
}

static void leaves_amid_walk(void)
{
	subscribe(&a, HERE);
	subscribe(&b, HERE);
	subscribe(&c, HERE);
	publish(&a, HERE);
	buf_clear(&told);
	CHECK(hub_walk(a.hub, 1));
	unsubscribe(&b, HERE); /* who was next */
	walk(&a);
	CHECK(were_told("a got here 1; b unsubscribed here; c got here 1"));
}

static void goes_on_when_ready(void)
{
	subscribe(&a, HERE);
	subscribe(&a, "other");
	publish_many(&b, HERE, 3);
	publish_many(&b, "other", 1);
	buf_clear(&told);
	a.takes = 2;
	walk(&a);
	CHECK(were_told("a got here 1 2"));
	publish_many(&b, HERE, 1);
	walk(&a);
	CHECK(were_told(""));
	ready(&a);
	CHECK(were_told("a got here 3 4; a got other 1"));
}

static void held(void)
{
	a.session.is_held = true;
	publish_many(&b, HERE, 1);
	subscribe_since(&a, HERE, (struct cursor){.is_start = true});
	publish(&a, HERE);
	walk(&a);
	CHECK(were_told("a subscribed here 0 recovered; a ack 2"));
	ready(&a);
	CHECK(were_told("a got here 1 2"));
}

static void slow(void)
{
	subscribe(&a, HERE);
	buf_clear(&told);
	a.takes = 0;
	publish_many(&b, HERE, 1);
	walk(&a);
	publish_large(&b, HERE, LAG_MAX - 500);
	CHECK(were_told("a got here; b ack 2"));
	publish_large(&b, HERE, 500);
	CHECK(were_told("a is slow; b ack 3"));
	CHECK(hub_counters(a.hub)->slow_disconnected == 1);
	publish(&b, HERE);
	walk(&a);
	CHECK(were_told("b ack 4")); /* once */
}

static void slow_in_all_channels(void)
{
	subscribe(&a, HERE);
	subscribe(&a, "other");
	a.takes = 0;
	publish_many(&b, HERE, 1);
	publish_many(&b, "other", 1);
	walk(&a);
	buf_clear(&told);
	publish_large(&b, HERE, LAG_MAX / 2);
	CHECK(were_told("b ack 2"));
	publish_large(&b, "other", LAG_MAX / 2);
	CHECK(were_told("a is slow; b ack 2"));
}

static void replay_is_not_slow(void)
{
	for (int i = 0; i < 4; i++)
		publish_large(&b, HERE, LAG_MAX);
	buf_clear(&told);
	a.takes = 1;
	subscribe_since(&a, HERE, (struct cursor){.is_start = true});
	publish(&b, HERE);
	CHECK(were_told("a subscribed here 0 recovered; a got here 1; b ack 5"));
	ready(&a);
	CHECK(were_told("a got here 2 3 4 5"));
}

/* ---- the latest of each key, now and then ---- */

/* Without saying what comes of it, and no walk yet. */
static void publish_unwalked(struct client *client, const char *channel, const char *key,
                             size_t len)
{
	static char payload[LAG_MAX];
	struct hub_command command = publication(channel);
	struct buf kept = {0};
	CHECK(len <= sizeof(payload));
	memset(payload, '1', sizeof(payload));
	command.publication.payload = slice_of(payload, len);
	command.publication.key = slice_string(key);
	buf_swap(&kept, &told);
	hub_execute(client->hub, &client->session, &command);
	deliver_all();
	buf_swap(&kept, &told);
	buf_free(&kept);
}

static void publish_key(struct client *client, const char *channel, const char *key)
{
	publish_unwalked(client, channel, key, 1);
	walk(client);
}

static void pass_and_walk(uint64_t ms)
{
	pass(ms);
	walk(&a);
}

static void throttled(void)
{
	subscribe(&a, LAST);
	publish_key(&b, LAST, "x");
	CHECK(were_told("a subscribed last:1 0; a got last:1 1"));
	publish_key(&b, LAST, "x");
	publish_key(&b, LAST, "y");
	publish_key(&b, LAST, "x");
	pass_and_walk(THROTTLE_MS - TIMER_TICK_MS);
	CHECK(were_told(""));
	pass_and_walk(2 * TIMER_TICK_MS);
	CHECK(were_told("a got last:1 3 4"));
	pass_and_walk(THROTTLE_MS);
	publish_key(&b, LAST, "y");
	CHECK(were_told("a got last:1 5")); /* after a pause at once */
}

/* `a` has 1, and waits for the others till its time has come. */
static void begin_throttled(const char *channel)
{
	subscribe(&a, channel);
	deliver_all();
	publish_key(&b, channel, "x");
	publish_key(&b, channel, "y");
	publish_key(&b, channel, "x");
	pass_and_walk(THROTTLE_MS / 2);
	buf_clear(&told);
}

static void has_all_at_once(const char *channel, const char *expected)
{
	begin_throttled(channel);
	subscribe(&b, channel);
	deliver_all();
	CHECK(were_told(expected));
}

static void newcomer_here(void)
{
	has_all_at_once(LAST, "b subscribed last:1 3; b got last:1 2 3");
	pass_and_walk(THROTTLE_MS);
	CHECK(were_told("a got last:1 2 3"));
}

static void newcomer_there(void)
{
	has_all_at_once(LAST_THERE, "b subscribed last:2 3; b got last:2 2 3");
	pass_and_walk(THROTTLE_MS);
	CHECK(were_told("a got last:2 2 3"));
}

static void newcomer_waits(void)
{
	begin_throttled(LAST);
	subscribe(&b, LAST);
	publish_key(&a, LAST, "x");
	buf_clear(&told);
	pass_and_walk(THROTTLE_MS / 2 + 2 * TIMER_TICK_MS);
	CHECK(were_told("a got last:1 2 4")); /* b had something half an interval ago */
	pass_and_walk(THROTTLE_MS + TIMER_TICK_MS);
	CHECK(were_told("b got last:1 4"));
	publish_key(&a, LAST, "x");
	pass_and_walk(THROTTLE_MS + TIMER_TICK_MS);
	CHECK(were_told("a got last:1 5; b got last:1 5"));
}

static void newcomer_waits_in_silence(void)
{
	begin_throttled(LAST);
	pass_and_walk(THROTTLE_MS);
	pass_and_walk(THROTTLE_MS);
	subscribe(&b, LAST);
	buf_clear(&told);
	publish_key(&a, LAST, "x");
	CHECK(were_told("a got last:1 4"));
	pass_and_walk(THROTTLE_MS + TIMER_TICK_MS);
	CHECK(were_told("b got last:1 4"));
}

static void newcomer_no_more(void)
{
	begin_throttled(LAST);
	subscribe(&b, LAST);
	pass_and_walk(THROTTLE_MS);
	pass_and_walk(THROTTLE_MS);
	buf_clear(&told);
	publish_key(&a, LAST, "x");
	CHECK(were_told("a got last:1 4; b got last:1 4"));
}

static void newcomer_with_nothing(void)
{
	subscribe(&a, LAST);
	subscribe(&b, LAST);
	publish_key(&a, LAST, "x");
	CHECK(were_told("a subscribed last:1 0; b subscribed last:1 0; "
	                "a got last:1 1; b got last:1 1"));
}

static void stuck_newcomer(void)
{
	begin_throttled(LAST);
	b.takes = 1;
	subscribe(&b, LAST);
	CHECK(were_told("b subscribed last:1 3; b got last:1 2"));
	publish_key(&a, LAST, "y");
	publish_key(&a, LAST, "z");
	pass_and_walk(THROTTLE_MS);
	CHECK(were_told("a got last:1 3 4 5"));
	ready(&b);
	walk(&a);
	CHECK(were_told("b got last:1 3; b got last:1 4 5"));
}

static void rest_is_in_time(void)
{
	begin_throttled(LAST);
	a.takes = 1;
	pass_and_walk(THROTTLE_MS / 2);
	CHECK(were_told("a got last:1 2"));
	pass(THROTTLE_MS / 2);
	ready(&a);
	CHECK(were_told("a got last:1 3")); /* x, and the next walk is near */
	publish_key(&b, LAST, "x");
	pass_and_walk(THROTTLE_MS / 2 + TIMER_TICK_MS);
	CHECK(were_told(""));
	pass_and_walk(THROTTLE_MS);
	CHECK(were_told("a got last:1 4"));
}

static void long_walk(void)
{
	subscribe(&a, LAST);
	subscribe(&b, LAST);
	publish_unwalked(&c, LAST, "x", 1);
	buf_clear(&told);
	hub_walk(a.hub, 1);
	pass_and_walk(THROTTLE_MS / 2);
	CHECK(were_told("a got last:1 1; b got last:1 1"));
	publish_key(&c, LAST, "x");
	pass_and_walk(THROTTLE_MS / 2);
	CHECK(were_told("")); /* b had something half an interval ago */
	pass_and_walk(THROTTLE_MS / 2);
	CHECK(were_told("a got last:1 2; b got last:1 2"));
}

/* The walk has begun when more keys come than there is room for. */
static void lost_meanwhile(void)
{
	subscribe(&a, LAST);
	publish_key(&b, LAST, "x");
	publish_key(&b, LAST, "x");
	buf_clear(&told);
	pass(THROTTLE_MS);
	for (const char *key = "pqrs"; *key != '\0'; key++)
		publish_unwalked(&b, LAST, key, 1); /* p is "pqrs", q is "qrs" */
	walk(&a);
	CHECK(were_told("a gap last:1 3"));
	pass_and_walk(THROTTLE_MS);
	CHECK(were_told("a got last:1 4 5 6"));
}

/* ---- the latest of each key, for newcomers ---- */

static void too_old_for_newcomers(void)
{
	subscribe(&a, KEEP);
	publish_key(&b, KEEP, "x");
	buf_clear(&told);
	now_ms += 60000; /* and the timer is late */
	set_time();
	subscribe(&b, KEEP);
	CHECK(were_told("b subscribed keep:4 1"));
}

static void too_old_there(void)
{
	publish_key(&a, KEEP, "x");
	pass(30000);
	subscribe(&c, KEEP);
	deliver_all();
	CHECK(were_told("c subscribed keep:4 1; c got keep:4 1"));
	close_client(&b);
	open_client(&b, 'b', 1);
	pass(30000);
	subscribe(&b, KEEP);
	deliver_all();
	CHECK(were_told("b subscribed keep:4 1"));
}

static void let_go_in_silence(void)
{
	subscribe(&a, KEEP);
	subscribe(&c, KEEP);
	deliver_all();
	publish_key(&a, KEEP, "x");
	walk(&c);
	CHECK(were_told("a subscribed keep:4 0; c subscribed keep:4 0; a got keep:4 1; "
	                "c got keep:4 1"));
	pass(59000);
	CHECK(last_record->refs > 1);
	pass(2 * TIMER_TICK_MS + 1000);
	CHECK(last_record->refs == 1);
}

/* The channel was there before, and its end was far. */
static void let_go_in_time(void)
{
	history(&a, "brief:1", NULL, 1);
	publish_many(&a, "brief:1", 1);
	history(&a, "brief:1", NULL, 1);
	buf_clear(&told);
	pass(1000 + 2 * TIMER_TICK_MS);
	CHECK(last_record->refs == 1);
}

/* ---- the latest of each key, for who is slow ---- */

/* Till it lags too far. */
static void lag(const char *channel, const char *key)
{
	publish_unwalked(&c, channel, key, LAG_MAX);
	walk(&a);
	publish_unwalked(&c, channel, key, LAG_MAX);
	walk(&a);
	buf_clear(&told);
}

static void conflated(void)
{
	subscribe(&a, MERGE);
	a.takes = 0;
	publish_key(&b, MERGE, "x");
	lag(MERGE, "y");
	CHECK(hub_counters(a.hub)->slow_conflated == 1);
	ready(&a);
	CHECK(were_told("a got merge:1 1 3"));
	publish_key(&b, MERGE, "y");
	publish_key(&b, MERGE, "y");
	CHECK(were_told("a got merge:1 4; a got merge:1 5")); /* every one again */
	subscribe_since(&a, MERGE, cursor_at(1));
	subscribe_since(&a, MERGE, cursor_at(3));
	CHECK(were_told("a subscribed merge:1 5 gap; a subscribed merge:1 5 recovered"));
}

static void conflated_replay(void)
{
	publish_key(&c, MERGE_THERE, "x");
	publish_key(&c, MERGE_THERE, "y");
	a.takes = 0;
	subscribe_since(&a, MERGE_THERE, (struct cursor){.is_start = true});
	deliver_all();
	lag(MERGE_THERE, "y");
	CHECK(hub_counters(a.hub)->slow_conflated == 1);
	ready(&a);
	CHECK(were_told("a got merge:2 1 4"));
	CHECK(hub_counters(a.hub)->left_out_conflated == 2);
}

static void conflated_newcomer(void)
{
	publish_key(&b, MERGE, "w"); /* makes room before it comes */
	publish_key(&b, MERGE, "x");
	publish_key(&b, MERGE, "y");
	publish_key(&b, MERGE, "z");
	a.session.is_held = true;
	subscribe(&a, MERGE);
	publish_key(&b, MERGE, "z");
	lag(MERGE, "z");
	CHECK(hub_counters(a.hub)->slow_conflated == 1);
	ready(&a);
	CHECK(were_told("a got merge:1 2 3 7"));
}

static void dropped(void)
{
	subscribe(&a, DROP);
	a.takes = 1;
	publish_key(&b, DROP, "");
	publish_key(&b, DROP, "");
	lag(DROP, "");
	CHECK(hub_counters(a.hub)->slow_dropped == 1);
	subscribe_since(&a, DROP, cursor_at(1));
	CHECK(were_told("a subscribed drop:2 1 gap")); /* as it will be told */
	ready(&a);
	CHECK(were_told("a gap drop:2 4"));
	CHECK(hub_counters(a.hub)->left_out_dropped == 3);
	publish_key(&b, DROP, "");
	CHECK(were_told("a got drop:2 5"));
	subscribe_since(&a, DROP, cursor_at(3));
	subscribe_since(&a, DROP, cursor_at(4));
	CHECK(were_told("a subscribed drop:2 5 gap; a subscribed drop:2 5 recovered"));
}

/* ---- how long a channel lives ---- */

static void lingers(const char *channel)
{
	subscribe(&a, channel);
	pass(50000);
	publish(&a, channel);
	walk(&a);
	pass(50000);
	unsubscribe(&a, channel);
	pass(60000); /* what was held expires */
}

/* The epoch a channel has now; asking changes nothing in it. */
static bool is_same_epoch(const char *channel)
{
	uint64_t epoch = last_record->epoch;
	subscribe_since(&b, channel, (struct cursor){.epoch = epoch, .seq = 1});
	CHECK(told.len > 9);
	bool is_same = memcmp(told.at + told.len - 9, "recovered", 9) == 0;
	buf_clear(&told);
	return is_same;
}

static void remembered_for_a_while(void)
{
	subscribe(&a, "live:1");
	publish(&a, "live:1");
	walk(&a);
	pass(CHANNEL_LINGER_MS * 3);
	unsubscribe(&a, "live:1");
	for (int i = 0; i < 9; i++)
		pass(CHANNEL_LINGER_MS / 10);
	buf_clear(&told);
	CHECK(is_same_epoch("live:1"));
}

static void forgotten_after_a_while(void)
{
	subscribe(&a, "live:1");
	publish(&a, "live:1");
	walk(&a);
	unsubscribe(&a, "live:1");
	pass(CHANNEL_LINGER_MS + TIMER_TICK_MS);
	CHECK(hub_counters(a.hub)->channels == 0);
	buf_clear(&told);
	CHECK(!is_same_epoch("live:1"));
}

static void held_by_history(void)
{
	subscribe(&a, HERE);
	publish(&a, HERE);
	walk(&a);
	unsubscribe(&a, HERE);
	for (int i = 0; i < 59; i++)
		pass(1000);
	CHECK(hub_counters(a.hub)->channels == 1);
	pass(1000 + TIMER_TICK_MS);
	CHECK(hub_counters(a.hub)->channels == 0);
	buf_clear(&told);
}

static void held_by_followers(void)
{
	lingers("live:1");
	CHECK(hub_counters(a.hub)->channels == 0);
	subscribe(&a, "live:1");
	publish(&a, "live:1");
	walk(&a);
	for (int i = 0; i < 100; i++)
		pass(CHANNEL_LINGER_MS);
	buf_clear(&told);
	CHECK(is_same_epoch("live:1"));
}

/* So many others, each followed for a moment. */
static void pass_through(uint32_t count)
{
	static uint32_t number;
	char channel[32];
	for (; count > 0; count--) {
		int len = snprintf(channel, sizeof(channel), "live:other-%u", number++);
		CHECK(len < (int)sizeof(channel));
		subscribe(&b, channel);
		unsubscribe(&b, channel);
		buf_clear(&told);
	}
}

/* Followed, and now unused. */
static void leaves(const char *channel)
{
	subscribe(&a, channel);
	publish(&a, channel);
	walk(&a);
	unsubscribe(&a, channel);
	buf_clear(&told);
}

static void forgotten_for_others(void)
{
	leaves("live:1");
	pass_through(CHANNELS_LINGERING_MAX - 1);
	CHECK(hub_counters(a.hub)->forgotten == 0);
	CHECK(hub_counters(a.hub)->channels == CHANNELS_LINGERING_MAX);
	pass_through(1);
	CHECK(hub_counters(a.hub)->forgotten == 1);
	CHECK(hub_counters(a.hub)->channels == CHANNELS_LINGERING_MAX);
	CHECK(!is_same_epoch("live:1"));
	unsubscribe(&b, "live:1");
	pass(CHANNEL_LINGER_MS + TIMER_TICK_MS);
	CHECK(hub_counters(a.hub)->channels == 0);
}

static void unused_for_longest(void)
{
	leaves("live:1");
	pass_through(CHANNELS_LINGERING_MAX - 1);
	CHECK(is_same_epoch("live:1"));
	unsubscribe(&b, "live:1");
	pass_through(CHANNELS_LINGERING_MAX - 1);
	CHECK(is_same_epoch("live:1"));
	unsubscribe(&b, "live:1");
	pass_through(CHANNELS_LINGERING_MAX - 1);
	publish(&a, "live:1"); /* that is to use it, too */
	pass_through(CHANNELS_LINGERING_MAX - 1);
	publish(&a, "live:1");
	CHECK(were_told("a ack 3"));
	pass_through(CHANNELS_LINGERING_MAX);
	publish(&a, "live:1");
	CHECK(were_told("a ack 1"));
}

static void promised_beside_others(void)
{
	leaves(HERE);
	pass_through(CHANNELS_LINGERING_MAX + 9);
	CHECK(is_same_epoch(HERE));
	subscribe(&a, "live:1");
	publish(&a, "live:1");
	walk(&a);
	pass_through(CHANNELS_LINGERING_MAX + 9);
	buf_clear(&told);
	CHECK(is_same_epoch("live:1"));
	struct hub_command once = publication("live:2");
	once.publication.idempotency_key = SLICE("once");
	hub_execute(a.hub, &a.session, &once);
	pass_through(CHANNELS_LINGERING_MAX + 9);
	hub_execute(a.hub, &a.session, &once);
	CHECK(hub_counters(a.hub)->duplicates == 1);
	CHECK(hub_counters(a.hub)->forgotten > CHANNELS_LINGERING_MAX);
	buf_clear(&told);
}

/* ---- other commands ---- */

static void ping(struct client *client)
{
	struct hub_command command = {.type = COMMAND_PING, .ref = SLICE("7")};
	hub_execute(client->hub, &client->session, &command);
}

static void pings(void)
{
	ping(&a);
	CHECK(were_told("a pong ref 7"));
}

static void refused(void)
{
	hub_refuse(a.hub, &a.session, SLICE("\"x\""), ERROR_TOO_LARGE, "too large");
	CHECK(were_told("a too_large ref \"x\""));
}

static void bad_names(void)
{
	static const enum command_type types[] = {COMMAND_SUBSCRIBE, COMMAND_UNSUBSCRIBE,
	                                          COMMAND_PUBLISH, COMMAND_HISTORY};
	const char *why;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		struct hub_command command = {.type = types[i], .channel = SLICE("two words")};
		hub_execute(a.hub, &a.session, &command);
		CHECK(were_told("a bad_request two words"));
		command.channel = slice_of(NULL, 0);
		hub_execute(a.hub, &a.session, &command);
		CHECK(were_told("a bad_request"));
		CHECK(hub_may_subscribe(a.hub, &a.session, command.channel, &why) ==
		      ERROR_BAD_REQUEST);
	}
}

/* ---- what is shown ---- */

static void looked_up(void)
{
	struct hub_listed listed;
	CHECK(!hub_look_up(hubs[0], SLICE(HERE), &listed));
	subscribe(&a, HERE);
	publish_many(&b, HERE, 2);
	CHECK(hub_look_up(hubs[0], SLICE(HERE), &listed));
	CHECK(slice_is(listed.name, HERE));
	CHECK(listed.followers == 1);
	CHECK(listed.is_agent);
	CHECK(listed.seq == 2);
	CHECK(!hub_look_up(hubs[0], SLICE("her"), &listed));
	unsubscribe(&a, HERE);
	CHECK(hub_look_up(hubs[0], SLICE(HERE), &listed)); /* for what it holds */
	pass(61000);
	publish_many(&b, "live:1", 1);
	CHECK(!hub_look_up(hubs[0], SLICE("live:1"), &listed)); /* there, and holds nothing */
	buf_clear(&told);
}

static void counted_together(void)
{
	struct hub_counters sum = {0};
	subscribe(&a, THERE);
	subscribe(&b, HERE);
	deliver_all();
	publish_many(&a, HERE, 3);
	publish_many(&c, THERE, 2);
	deliver_all();
	walk(&a);
	for (uint32_t i = 0; i < workers; i++)
		hub_counters_add(&sum, hub_counters(hubs[i]));
	CHECK(sum.published == 5);
	CHECK(sum.delivered == 5);
	CHECK(sum.channels == 2);
	CHECK(sum.followers == 2);
	CHECK(sum.duplicates + sum.stale_letters + sum.slow_disconnected + sum.slow_dropped +
	              sum.slow_conflated ==
	      0);
	const struct hub_counters others = {.duplicates = 1,
	                                    .stale_letters = 2,
	                                    .slow_disconnected = 3,
	                                    .slow_dropped = 4,
	                                    .slow_conflated = 5,
	                                    .left_out_dropped = 6,
	                                    .left_out_conflated = 7,
	                                    .left_out_throttled = 8};
	hub_counters_add(&sum, &others);
	hub_counters_add(&sum, &others);
	CHECK(sum.duplicates == 2);
	CHECK(sum.stale_letters == 4);
	CHECK(sum.slow_disconnected == 6);
	CHECK(sum.slow_dropped == 8);
	CHECK(sum.slow_conflated == 10);
	CHECK(sum.left_out_dropped == 12);
	CHECK(sum.left_out_conflated == 14);
	CHECK(sum.left_out_throttled == 16);
	buf_clear(&told);
}

/* ---- two workers: a and b are on worker 0, c is on worker 1 ---- */

static void by_letter(void)
{
	subscribe(&a, THERE);
	CHECK(were_told(""));
	answered_count = 0;
	CHECK(a.session.request_count == 1);
	deliver_all();
	CHECK(were_told("a subscribed there 0"));
	CHECK(a.session.request_count == 0);
	CHECK(answered_count == 1);
	publish(&a, THERE);
	publish(&c, THERE);
	deliver_all();
	walk(&a);
	CHECK(were_told("c ack 1; a ack 2; a got there 1 2"));
	history(&a, THERE, NULL, 1);
	deliver_all();
	CHECK(were_told("a history there 2 at 2 more"));
}

static void followed_once(void)
{
	publish_many(&c, THERE, 3);
	subscribe(&a, THERE);
	deliver_all();
	subscribe_since(&b, THERE, (struct cursor){.is_start = true});
	deliver_all();
	CHECK(were_told("a subscribed there 3; b subscribed there 0 recovered; "
	                "b got there 1 2 3"));
	publish(&c, THERE);
	CHECK(letter_count == 1); /* for all on that worker */
	deliver_all();
	walk(&a);
	CHECK(were_told("c ack 4; a got there 4; b got there 4"));
}

static void given_up_once(void)
{
	subscribe(&a, THERE);
	subscribe(&b, THERE);
	deliver_all();
	unsubscribe(&a, THERE);
	CHECK(letter_count == 0);
	unsubscribe(&b, THERE);
	CHECK(letter_count == 1);
	publish(&c, THERE); /* before that letter is there */
	CHECK(letter_count == 2);
	buf_clear(&told);
	deliver_all();
	CHECK(hub_counters(hubs[0])->stale_letters == 1);
	CHECK(hub_counters(hubs[0])->channels == 0);
	publish(&c, THERE);
	CHECK(letter_count == 0);
	walk(&a);
	CHECK(were_told("c ack 2"));
}

static void no_room_for_more(void)
{
	subscribe(&a, THERE);
	deliver_all();
	buf_clear(&told);
	is_full[0] = true;
	subscribe(&b, THERE);
	subscribe(&b, HERE);
	publish(&b, THERE);
	publish(&b, HERE); /* others may follow it */
	history(&b, THERE, NULL, 1);
	CHECK(were_told("b unavailable there; b unavailable here; b unavailable there; "
	                "b unavailable here; b unavailable there"));
	CHECK(letter_count == 0);
	CHECK(b.session.follower_count == 0);
	CHECK(b.session.request_count == 0);
	ping(&b);
	unsubscribe(&a, THERE);
	CHECK(were_told("b pong ref 7; a unsubscribed there"));
	is_full[0] = false;
	walk(&a);
	CHECK(letter_count == 1);
}

/* The agent does not hear yet that a channel was given up, and goes on sending. */
static void given_up_later(void)
{
	subscribe(&a, THERE);
	subscribe(&b, "there3");
	deliver_all();
	is_full[0] = true;
	unsubscribe(&a, THERE);
	unsubscribe(&b, "there3");
	CHECK(letter_count == 0);
	CHECK(hub_counters(hubs[0])->followers == 0);
	publish(&c, THERE);
	deliver_all();
	CHECK(hub_counters(hubs[0])->stale_letters == 1);
	walk(&a);
	CHECK(letter_count == 0);
	is_full[0] = false;
	walk(&a);
	CHECK(letter_count == 2);
	deliver_all();
	publish(&c, THERE);
	CHECK(letter_count == 0);
	buf_clear(&told);
}

/* What is asked next about the channel comes behind that letter, or is refused with it. */
static void given_up_before_it_is_asked_for(void)
{
	subscribe(&a, THERE);
	deliver_all();
	is_full[0] = true;
	unsubscribe(&a, THERE);
	is_full[0] = false;
	subscribe(&b, THERE);
	CHECK(letter_count == 2);
	deliver_all();
	publish(&c, THERE);
	deliver_all();
	walk(&b);
	CHECK(were_told("a subscribed there 0; a unsubscribed there; b subscribed there 0; "
	                "c ack 1; b got there 1"));
}

static void excepted_there(void)
{
	subscribe(&a, THERE);
	subscribe(&c, THERE);
	deliver_all();
	buf_clear(&told);
	struct hub_command command = publication(THERE);
	command.is_unechoed = true;
	hub_execute(a.hub, &a.session, &command);
	deliver_all();
	walk(&a);
	walk(&c);
	CHECK(were_told("a ack 1; c got there 1"));
}

static void changed_its_mind(void)
{
	publish_many(&c, THERE, 3);
	subscribe_since(&a, THERE, (struct cursor){.is_start = true});
	unsubscribe(&a, THERE);
	subscribe(&a, THERE);
	CHECK(were_told("a unsubscribed there"));
	deliver_all();
	CHECK(were_told("a not_subscribed there; a subscribed there 3"));
}

static void asked_twice(void)
{
	publish_many(&c, THERE, 3);
	subscribe(&a, THERE);
	subscribe_since(&a, THERE, (struct cursor){.is_start = true});
	deliver_all();
	CHECK(were_told("a subscribed there 3; a subscribed there 3 recovered"));
}

static void gone_meanwhile(void)
{
	subscribe(&a, THERE);
	publish(&a, THERE);
	history(&a, THERE, NULL, 1);
	CHECK(a.session.request_count == 2 + SESSION_REQUESTS_MAX / 2);
	close_client(&a);
	deliver_all();
	CHECK(were_told(""));
	CHECK(hub_counters(hubs[0])->channels == 0);
	CHECK(hub_counters(hubs[1])->published == 1);
}

static void more_than_can_be_counted(void)
{
	a.session.request_count = UINT16_MAX;
	publish(&a, THERE);
	history(&a, THERE, NULL, 1);
	subscribe(&a, THERE);
	CHECK(were_told("a unavailable there; a unavailable there; a unavailable there"));
	CHECK(letter_count == 0);
	a.session.request_count = 0;
}

static void ended_meanwhile(void)
{
	subscribe(&a, THERE);
	a.session.is_ended = true;
	deliver_all();
	CHECK(were_told(""));
	close_client(&a); /* at the end of the turn */
	CHECK(hub_counters(hubs[0])->channels == 0);
}

static void refs_come_back(void)
{
	static const char *const refs[] = {
		"1", "\"a string of 24 letters\"", "\"a string of 25 letters.\"",
		"\"a string that is much longer than those that have their place in a request\""};
	for (size_t i = 0; i < COUNT_OF(refs); i++) {
		struct hub_command command = publication(THERE);
		command.ref = slice_string(refs[i]);
		hub_execute(a.hub, &a.session, &command);
		deliver_all();
		CHECK(told.len > strlen(refs[i]));
		CHECK(slice_is(slice_after(buf_view(&told), told.len - strlen(refs[i])), refs[i]));
		buf_clear(&told);
	}
}

static void reaches_back(void)
{
	publish_many(&c, THERE, 5);
	subscribe(&a, THERE);
	deliver_all();
	a.takes = 0;
	publish_many(&c, THERE, 1);
	deliver_all();
	walk(&a);
	CHECK(were_told("a subscribed there 5; a got there"));
	subscribe_since(&b, THERE, (struct cursor){.is_start = true});
	deliver_all();
	CHECK(were_told("b subscribed there 1 recovered; b got there 2 3 4 5 6"));
	ready(&a);
	CHECK(were_told("a got there 6"));
}

/* Letters of every kind that nobody gets: the sanitizers see what would stay. */
static void discarded(void)
{
	publish_many(&c, THERE, 2);
	for (int stop_after = 0; stop_after < 4; stop_after++) {
		subscribe_since(&a, THERE, (struct cursor){.is_start = true});
		history(&a, THERE, NULL, 5);
		publish(&a, THERE);
		for (int i = 0; i < stop_after; i++)
			deliver_one();
		publish(&c, THERE);
		for (size_t i = 0; i < letter_count; i++)
			hub_mail_discard(&letters[i].mail);
		letter_count = 0;
		close_client(&a);
		close_client(&b);
		close_client(&c);
		hub_destroy(hubs[0]);
		hub_destroy(hubs[1]);
		buf_clear(&told);
		begin(2);
	}
}

/* ---- other claims than before ---- */

static void set_claims(struct client *client, enum who who)
{
	claims_free(client->session.claims);
	client->session.claims = claims_of(who);
	hub_review(client->hub, &client->session);
}

static void reviewed(void)
{
	set_claims(&a, USER);
	subscribe(&a, "token:r1");
	subscribe(&a, HERE);
	subscribe(&a, "@ann");
	buf_clear(&told);
	set_claims(&a, USER);
	CHECK(were_told(""));
	set_claims(&a, NAMELESS);
	CHECK(were_told("a unsubscribed @ann because forbidden"));
	set_claims(&a, NAMED);
	CHECK(were_told("a unsubscribed token:r1 because forbidden"));
	publish(&b, HERE);
	walk(&a);
	CHECK(were_told("b ack 1; a got here 1"));
	CHECK(a.session.follower_count == 1);
	set_claims(&a, NOBODY);
	CHECK(were_told(""));
}

/* The answer to the subscribe under way says that nothing came of it. */
static void reviewed_before_the_answer(void)
{
	struct hub_command command = {
		.type = COMMAND_SUBSCRIBE, .channel = SLICE("token:r2"), .ref = SLICE("7")};
	set_claims(&a, USER);
	hub_execute(a.hub, &a.session, &command);
	CHECK(letter_count == 1);
	set_claims(&a, NOBODY);
	CHECK(were_told("a unsubscribed token:r2 because forbidden"));
	deliver_all();
	CHECK(were_told("a not_subscribed token:r2 ref 7"));
	CHECK(a.session.follower_count == 0);
}

/* ---- presence ---- */

/* Theirs is the name that they are written down by. */
static void name_all(void)
{
	for (size_t i = 0; i < COUNT_OF(clients); i++) {
		struct client *client = clients[i];
		struct claims_content content = {.expires_unix_ms = CLAIMS_NEVER,
		                                 .user = slice_of(&client->name, 1),
		                                 .info = client == &c ? SLICE("{}") : SLICE("")};
		claims_free(client->session.claims);
		CHECK((client->session.claims = claims_make(&content)) != NULL);
	}
}

static void subscribe_with_presence(struct client *client, const char *channel)
{
	struct hub_command command = {.type = COMMAND_SUBSCRIBE,
	                              .channel = slice_string(channel),
	                              .ref = SLICE("1"),
	                              .wants_presence = true};
	hub_execute(client->hub, &client->session, &command);
}

static void ask_presence(struct client *client, const char *channel)
{
	struct hub_command command = {
		.type = COMMAND_PRESENCE, .channel = slice_string(channel), .ref = SLICE("6")};
	hub_execute(client->hub, &client->session, &command);
}

/* What may be large in its answer counts for much: few of them are under way. */
static void pages_weigh(void)
{
	history(&c, HERE, NULL, 1);
	CHECK(c.session.request_count < SESSION_REQUESTS_MAX);
	CHECK(c.session.request_count > 0);
	history(&c, HERE, NULL, 1);
	CHECK(c.session.request_count >= SESSION_REQUESTS_MAX);
	deliver_all();
	CHECK(c.session.request_count == 0);
	buf_clear(&told);
}

static void part(struct client *client, enum parting parting)
{
	client->session.parting = parting & 3;
	close_client(client);
}

/* Turns until nobody has anything to do. */
static void turns(void)
{
	do {
		deliver_all();
		for (uint32_t i = 0; i < workers; i++) {
			while (hub_walk(hubs[i], 100))
				;
		}
	} while (letter_count > 0);
}

/* The first news comes at once, the next a while later. */
static void news(void)
{
	turns();
	pass(PRESENCE_INTERVAL_MS + 8);
	turns();
}

/* a watches, on either worker. */
static void begin_presence(uint32_t watcher)
{
	close_client(&a);
	turns();
	open_client(&a, 'a', watcher);
	name_all();
	subscribe_with_presence(&a, ROOM);
	turns();
	CHECK(were_told("a subscribed room:1 0 ref 1; a sees room:1 1 a"));
}

static void come_and_go(void)
{
	for (uint32_t watcher = 0; watcher < 2; watcher++) {
		begin_presence(watcher);
		subscribe(&b, ROOM);
		subscribe(&c, ROOM);
		news();
		buf_clear(&told);
		ask_presence(&b, ROOM);
		turns();
		CHECK(were_told("b sees room:1 3 a b c ref 6"));
		unsubscribe(&b, ROOM);
		news();
		CHECK(were_told("b unsubscribed room:1; a left room:1 b"));
		part(&c, PARTING_LOST);
		news();
		CHECK(were_told(""));
		pass(GRACE_MS + 8);
		turns();
		CHECK(were_told("a left room:1 c {}"));
		open_client(&c, 'c', 1);
	}
}

static void back_in_time(void)
{
	begin_presence(0);
	subscribe(&c, ROOM);
	news();
	buf_clear(&told);
	part(&c, PARTING_LOST);
	turns();
	pass(GRACE_MS - 20);
	open_client(&c, 'c', 0);
	name_all();
	subscribe(&c, ROOM);
	turns();
	pass(2 * GRACE_MS);
	turns();
	CHECK(were_told("c subscribed room:1 0"));
}

static void expected_in_too_many(void)
{
	name_all();
	subscribe(&c, "room:2");
	part(&c, PARTING_POLLED);
	CHECK(hub_counters(a.hub)->members == 1);
	pass_through(CHANNELS_LINGERING_MAX - 1);
	CHECK(hub_counters(a.hub)->members == 1);
	pass_through(1);
	CHECK(hub_counters(a.hub)->members == 0);
	CHECK(hub_counters(a.hub)->forgotten == 1);
	open_client(&c, 'c', 0);
	name_all();
	subscribe(&c, "room:2");
	pass_through(CHANNELS_LINGERING_MAX + 9);
	CHECK(hub_counters(a.hub)->members == 1);
}

static void polls_are_there(void)
{
	begin_presence(0);
	subscribe(&c, ROOM);
	news();
	buf_clear(&told);
	part(&c, PARTING_POLLED);
	turns();
	pass(PRESENCE_POLL_MS - 20);
	turns();
	CHECK(were_told(""));
	pass(40);
	turns();
	CHECK(were_told("a left room:1 c {}"));
}

static void one_piece_of_news(void)
{
	begin_presence(0);
	uint64_t before =
		hub_counters(hubs[0])->presence_news + hub_counters(hubs[1])->presence_news;
	subscribe(&b, ROOM);
	turns();
	CHECK(were_told("b subscribed room:1 0; a joined room:1 b"));
	unsubscribe(&b, ROOM);
	subscribe(&c, ROOM);
	turns();
	pass(PRESENCE_INTERVAL_MS - 10);
	turns();
	CHECK(were_told("b unsubscribed room:1; c subscribed room:1 0"));
	pass(18);
	turns();
	CHECK(were_told("a joined room:1 c {}; a left room:1 b"));
	uint64_t after =
		hub_counters(hubs[0])->presence_news + hub_counters(hubs[1])->presence_news;
	CHECK(after - before == 2);
}

static void same_user(void)
{
	begin_presence(0);
	b.name = 'a';
	name_all();
	subscribe_with_presence(&b, ROOM);
	news();
	CHECK(were_told("a subscribed room:1 0 ref 1; a sees room:1 1 a*2"));
	part(&b, PARTING_LEFT);
	pass(2 * GRACE_MS);
	news();
	CHECK(were_told(""));
}

static void no_user(void)
{
	begin_presence(0);
	claims_free(b.session.claims);
	b.session.claims = NULL;
	subscribe_with_presence(&b, ROOM);
	news();
	CHECK(were_told("b subscribed room:1 0 ref 1; b sees room:1 1 a"));
	name_all();
	hub_review(b.hub, &b.session);
	news();
	CHECK(were_told("a joined room:1 b"));
}

static void numbers_alone(void)
{
	name_all();
	subscribe_with_presence(&a, COUNTED);
	turns();
	CHECK(were_told("a subscribed counted:1 0 ref 1; a sees counted:1 1"));
	subscribe(&b, COUNTED);
	subscribe(&c, COUNTED);
	news();
	news();
	CHECK(told.len > 0);
	CHECK(slice_is(slice_after(buf_view(&told), told.len - strlen("a sees counted:1 3")),
	               "a sees counted:1 3"));
	buf_clear(&told);
	part(&c, PARTING_LOST); /* without a grace in the rule */
	news();
	CHECK(were_told("a sees counted:1 2"));
}

static void without_presence(void)
{
	name_all();
	subscribe_with_presence(&a, HERE);
	turns();
	CHECK(were_told("a subscribed here 0 ref 1; a not_found here ref 1"));
	ask_presence(&a, HERE);
	CHECK(were_told("a not_found here ref 6"));
	CHECK(hub_counters(hubs[0])->members == 0);
}

/* Whose socket takes nothing is shown all when it does again, and told nothing twice. */
static void slow_watcher(void)
{
	begin_presence(0);
	a.session.is_blocked = true;
	subscribe(&b, ROOM);
	news();
	subscribe(&c, ROOM);
	news();
	CHECK(were_told("b subscribed room:1 0; c subscribed room:1 0"));
	ready(&a);
	turns();
	CHECK(were_told("a sees room:1 3 a b c"));
	unsubscribe(&c, ROOM);
	news();
	CHECK(were_told("c unsubscribed room:1; a left room:1 c {}"));
}

/* Who could not be shown what it lacks for want of memory is, though nothing else comes to pass. */
static void no_memory_to_show(void)
{
	for (uint32_t watcher = 0; watcher < 2; watcher++) {
		begin_presence(watcher);
		a.session.is_blocked = true;
		subscribe(&b, ROOM);
		news();
		CHECK(were_told("b subscribed room:1 0"));
		failing_arm(1, FAILING_ALL_FROM);
		ready(&a);
		uint32_t failed = failing_disarm();
		turns();
		CHECK(failed > 0 ? were_told("") : watcher == 1);
		pass(250 + 8);
		turns();
		CHECK(were_told("a sees room:1 2 a b"));
		part(&b, PARTING_LEFT);
		news();
		CHECK(were_told("a left room:1 b"));
		open_client(&b, 'b', 1);
	}
}

/* It is owed, and told when there is room. */
static void no_room_to_say(void)
{
	begin_presence(0);
	subscribe(&c, ROOM);
	subscribe(&b, ROOM);
	news();
	buf_clear(&told);
	is_full[0] = is_full[1] = true;
	part(&b, PARTING_LEFT);
	part(&c, PARTING_LEFT);
	news();
	is_full[0] = is_full[1] = false;
	news();
	news();
	CHECK(told.len > 0);
	ask_presence(&a, ROOM);
	turns();
	CHECK(slice_is(slice_after(buf_view(&told), told.len - strlen("a sees room:1 1 a ref 6")),
	               "a sees room:1 1 a ref 6"));
	buf_clear(&told);
}

#define CROWD (PRESENCE_NAMES_MAX + 1)

static void a_crowd(void)
{
	static struct client crowd[CROWD];
	static char names[CROWD][6];
	begin_presence(0);
	for (size_t i = 1; i < CROWD; i++) {
		snprintf(names[i], sizeof(names[i]), "x%04zu", i);
		struct claims_content content = {.expires_unix_ms = CLAIMS_NEVER,
		                                 .user = slice_string(names[i])};
		open_client(&crowd[i], 'x', 0);
		CHECK((crowd[i].session.claims = claims_make(&content)) != NULL);
		subscribe(&crowd[i], ROOM);
	}
	news();
	buf_clear(&told);
	ask_presence(&a, ROOM);
	CHECK(were_told("a sees room:1 1001 ref 6") == (CROWD == 1001));
	for (size_t i = CROWD - 1; i > PRESENCE_NAMES_MAX / 2; i--)
		close_client(&crowd[i]);
	pass(GRACE_MS + 8);
	turns();
	CHECK(told.len > 0);
	buf_clear(&told);
	news();
	buf_clear(&told);
	close_client(&crowd[PRESENCE_NAMES_MAX / 2]);
	pass(GRACE_MS + 8);
	news();
	/* The last one made it small again: all names, once. */
	CHECK(slice_starts(buf_view(&told), SLICE("a sees room:1 500 a x")));
	buf_clear(&told);
	for (size_t i = 1; i < PRESENCE_NAMES_MAX / 2; i++)
		close_client(&crowd[i]);
}

/* Members of a channel keep it, and nobody else does. */
static void keeps_its_channel(void)
{
	name_all();
	subscribe(&b, "room:long");
	turns();
	buf_clear(&told);
	part(&b, PARTING_LOST);
	CHECK(hub_counters(hubs[0])->members == 1);
	pass(GRACE_MS + 8);
	CHECK(hub_counters(hubs[0])->members == 0);
	CHECK(hub_counters(hubs[0])->channels == 1);
}

static struct rule other_list[] = {
	{.pattern = "counted:*",
         .history_ttl_ms = 60000,
         .presence = RULE_PRESENCE_FULL,
         .presence_grace_ms = GRACE_MS},
	{.pattern = HERE, .history_ttl_ms = 60000, .presence = RULE_PRESENCE_FULL},
	{.pattern = "*", .history_size = 5, .history_ttl_ms = 60000},
};
static const struct rules other_rules = {other_list, COUNT_OF(other_list)};

static void adopt(const struct rules *next)
{
	for (uint32_t i = 0; i < workers; i++) {
		hub_set_rules(hubs[i], next);
		while (hub_adopt(hubs[i], 100) != HUB_ADOPTED)
			turns();
	}
	news();
}

static void another_rule(void)
{
	name_all();
	subscribe_with_presence(&a, ROOM);
	subscribe_with_presence(&a, COUNTED);
	subscribe(&b, HERE);
	turns();
	buf_clear(&told);
	adopt(&other_rules);
	CHECK(were_told("a not_found room:1; a sees counted:1 1 a"));
	ask_presence(&b, HERE);
	turns();
	CHECK(were_told("b sees here 1 b ref 6"));
	adopt(&rules);
	CHECK(were_told("a sees counted:1 1"));
	ask_presence(&a, ROOM);
	turns();
	CHECK(were_told("a sees room:1 1 a ref 6"));
}

static const struct {
	const char *name;
	uint32_t workers;
	void (*run)(void);
} cases[] = {
	{"a plain subscription begins at the head", 1, plain},
	{"a cursor brings what came after it", 1, resumed},
	{"start brings all that is held", 1, from_the_start},
	{"what is not held any more, or never was, is a gap", 1, gap_is_told},
	{"what is too old is not held", 1, expired_is_a_gap},
	{"subscribing again changes nothing", 1, again_changes_nothing},
	{"subscribing again claims nothing that was not sent", 1, again_tells_the_truth},
	{"who unsubscribed gets nothing more", 1, left},
	{"a session follows so many channels", 1, too_many},
	{"without echo it goes to the others", 1, not_back},
	{"a backend leaves one out", 1, not_to_another},
	{"the session's user signs, a backend names whom it likes", 1, in_a_name},
	{"unanswered, a refusal is told all the same", 1, unanswered},
	{"history comes in pages", 1, pages},
	{"a page has so many records", 1, pages_have_bounds},
	{"a page has so many bytes, or one record", 1, pages_have_bytes},
	{"a burst reaches a follower in one piece", 1, one_piece},
	{"a walk goes as far as it may, and on", 1, bounded},
	{"a walk that begins comes before one that goes on, and both go on", 1, small_before_large},
	{"who leaves in the midst of a walk is passed over", 1, leaves_amid_walk},
	{"who was blocked goes on where it stopped", 1, goes_on_when_ready},
	{"who is held gets answers and no messages", 1, held},
	{"who lags by more than the limit is ended, once", 1, slow},
	{"lag counts in all channels together", 1, slow_in_all_channels},
	{"what was asked for is no lag", 1, replay_is_not_slow},
	{"of a throttled channel the latest of each key comes in its time", 1, throttled},
	{"a newcomer has the latest of each key at once", 1, newcomer_here},
	{"a newcomer on another worker too", 2, newcomer_there},
	{"from then on it gets no key twice in the interval, and the last value", 1,
         newcomer_waits},
	{"nor where nothing was published for long before", 1, newcomer_waits_in_silence},
	{"after an interval it is none any more", 1, newcomer_no_more},
	{"nor is one that there was nothing for", 1, newcomer_with_nothing},
	{"one that was blocked gets the rest, and what came meanwhile", 1, stuck_newcomer},
	{"what it takes late counts from then on", 1, rest_is_in_time},
	{"the interval begins where the walk ended", 1, long_walk},
	{"a key that made room while a walk is under way is told", 1, lost_meanwhile},
	{"what is too old is given to no newcomer", 1, too_old_for_newcomers},
	{"nor where it came late", 2, too_old_there},
	{"it is let go where nothing else happens", 2, let_go_in_silence},
	{"and before the end of a channel", 1, let_go_in_time},
	{"who is slow gets the latest of each key, then every message", 1, conflated},
	{"and of what it asked for, on another worker", 2, conflated_replay},
	{"what made room before it came is no gap", 1, conflated_newcomer},
	{"or messages are left out, and that is told", 1, dropped},
	{"a channel is remembered for a while after the last one left", 1, remembered_for_a_while},
	{"then it is forgotten, however long messages would be kept", 1, forgotten_after_a_while},
	{"or makes room, where there are too many", 1, forgotten_for_others},
	{"the one that was unused for longest", 1, unused_for_longest},
	{"what is followed, or holds anything, does not", 1, promised_beside_others},
	{"history keeps a channel", 1, held_by_history},
	{"followers keep a channel", 1, held_by_followers},
	{"a ping is answered", 1, pings},
	{"what was no command is refused with its ref", 1, refused},
	{"a name that is none is refused", 1, bad_names},
	{"a channel is shown that is followed or holds something", 1, looked_up},
	{"figures of two workers add up", 2, counted_together},
	{"another worker's channel is asked by letter", 2, by_letter},
	{"a worker follows once for all its sessions", 2, followed_once},
	{"and gives up when the last one left", 2, given_up_once},
	{"what needs letters is refused where the post has no room", 2, no_room_for_more},
	{"a channel is given up there all the same, and the agent told later", 2, given_up_later},
	{"it is told before the channel is asked for again", 2, given_up_before_it_is_asked_for},
	{"who is left out is so on another worker too", 2, excepted_there},
	{"each subscribing gets its own answer", 2, changed_its_mind},
	{"subscribing twice before the answer is answered twice", 2, asked_twice},
	{"answers for who has gone are let go", 2, gone_meanwhile},
	{"a history counts for half of what may be under way", 2, pages_weigh},
	{"more than can be counted is refused", 2, more_than_can_be_counted},
	{"answers for who is being closed too", 2, ended_meanwhile},
	{"refs of any length come back", 2, refs_come_back},
	{"a tail reaches back for one who asks", 2, reaches_back},
	{"other claims end what they do not allow", 1, reviewed},
	{"and what is still to be answered", 2, reviewed_before_the_answer},
	{"letters that nobody gets are let go whole", 2, discarded},
	{"who watches is told who comes and who goes", 2, come_and_go},
	{"who is back in time was never away", 2, back_in_time},
	{"who is expected back where too many channels are unused is not", 1, expected_in_too_many},
	{"who polls is there between two polls", 2, polls_are_there},
	{"what changes in an interval is one piece of news", 2, one_piece_of_news},
	{"two connections of a user are one member", 2, same_user},
	{"who has no user is none, and becomes one with a token", 2, no_user},
	{"a rule may have the number told alone", 2, numbers_alone},
	{"where a rule has no presence there is none", 1, without_presence},
	{"who takes nothing is shown all when it takes again", 2, slow_watcher},
	{"who cannot be shown all for want of memory is when there is some", 2, no_memory_to_show},
	{"who leaves where the post has no room is gone when it has", 2, no_room_to_say},
	{"of a crowd the number is told, until it is half as large", 1, a_crowd},
	{"a channel lives as long as somebody may come back", 1, keeps_its_channel},
	{"another rule begins presence, ends it, or has names told", 2, another_rule},
};

/* ---- rights ---- */

static const struct {
	const char *name;
	const char *channel;
	enum who who;
	const char *subscribe, *publish; /* "" when it may */
} rights[] = {
	{"anybody may do anything where any may", HERE, NOBODY, "", ""},
	{"an anonymous one lacks a token where users may", "user:1", NOBODY, "unauthorized",
         "unauthorized"},
	{"a user may where users may", "user:1", USER, "", ""},
	{"so may one who has only a name", "user:1", NAMED, "", ""},
	{"a token without a user is none", "user:1", NAMELESS, "forbidden", "forbidden"},
	{"and what it allows does not make it one", "user:rw", NAMELESS, "forbidden", "forbidden"},
	{"an anonymous one lacks a token where tokens say", "token:rw", NOBODY, "unauthorized",
         "unauthorized"},
	{"a name is no token", "token:rw", NAMED, "unauthorized", "unauthorized"},
	{"a token without leave may not", "token:1", USER, "forbidden", "forbidden"},
	{"one that allows it may read and write", "token:rw", USER, "", ""},
	{"and need not say whose it is", "token:rw", NAMELESS, "", ""},
	{"reading does not mean writing", "token:r1", USER, "", "forbidden"},
	{"nor does writing mean reading", "token:w1", USER, "forbidden", ""},
	{"nor does asking who is there", "token:p1", USER, "forbidden", "forbidden"},
	{"an anonymous one lacks a token where none may", "none:1", NOBODY, "unauthorized",
         "unauthorized"},
	{"no token may where none may", "none:rw", USER, "forbidden", "forbidden"},
	{"a name lacks a token there", "none:1", NAMED, "unauthorized", "unauthorized"},
	{"a backend may where none may", "none:1", BACKEND, "", ""},
	{"reading and writing are two rights", "read:1", USER, "", "forbidden"},
	{"a personal channel is its user's to read", "@ann", USER, "", "forbidden"},
	{"also where nobody vouched for the name", "@ann", NAMED, "", "unauthorized"},
	{"a personal channel is no other user's, whatever a token allows", "@bob", USER,
         "forbidden", ""},
	{"a personal channel is no other name's", "@bob", NAMED, "forbidden", "unauthorized"},
	{"a longer name is another user's", "@ann2", USER, "forbidden", "forbidden"},
	{"a token without a user has no personal channel", "@", NAMELESS, "forbidden", "forbidden"},
	{"a personal channel is no anonymous one's", "@ann", NOBODY, "unauthorized",
         "unauthorized"},
	{"a nameless personal channel is nobody's", "@", NOBODY, "unauthorized", "unauthorized"},
	{"a backend may in personal channels", "@ann", BACKEND, "", ""},
};

static void expect_right(size_t i, const char *refusal, const char *answer)
{
	char said[64];
	snprintf(said, sizeof(said), "a %s %s", *refusal != '\0' ? refusal : answer,
	         rights[i].channel);
	CHECK(slice_starts(buf_view(&told), slice_string(said)));
	buf_clear(&told);
}

static void check_right(size_t i)
{
	const char *why = NULL;
	struct slice channel = slice_string(rights[i].channel);
	a.session.claims = claims_of(rights[i].who);
	a.session.is_backend = rights[i].who == BACKEND;
	enum error_code error = hub_may_subscribe(a.hub, &a.session, channel, &why);
	CHECK(strcmp(error_text(error), rights[i].subscribe) == 0);
	CHECK(why != NULL);
	subscribe(&a, rights[i].channel);
	expect_right(i, rights[i].subscribe, "subscribed");
	history(&a, rights[i].channel, NULL, 1);
	expect_right(i, rights[i].subscribe, "history");
	publish(&a, rights[i].channel);
	if (*rights[i].publish != '\0')
		expect_right(i, rights[i].publish, "");
	else
		CHECK(were_told("a ack 1"));
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("hub: %s\n", cases[i].name);
		begin(cases[i].workers);
		cases[i].run();
		end();
	}
	for (size_t i = 0; i < COUNT_OF(rights); i++) {
		printf("hub: %s\n", rights[i].name);
		begin(1);
		check_right(i);
		end();
	}
	return 0;
}
