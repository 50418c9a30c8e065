/*
 * Other rules while the hubs of two workers run, which go over to them at different times. What
 * clients are told is written down in short: "a got x1 y3" are records 1 of key x and 3 of key y.
 * Then the same at random, from seeds: whatever rules come and go, the newest of each key reaches
 * every follower, or it is told of a gap.
 */
#include <signal.h>
#include <unistd.h>

#include "../../failing.h"
#include "base/buf.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/hub_state.h"

#define WORKERS 2
#define HERE "here"   /* worker 0 is the agent of this channel */
#define THERE "there" /* and worker 1 of this one */
#define CLIENTS 6
#define CHANNELS 2
#define KEYS 4 /* "w" to "z"; a record of key "w" has none */
#define SEEDS 400
#define STEPS 400

static const struct rule plain = {.history_size = 50, .history_ttl_ms = 60000};
static const struct rule short_lived = {.history_size = 2, .history_ttl_ms = 1000};
static const struct rule last_first = {
	.history_size = 50, .history_ttl_ms = 60000, .deliver_last = true, .max_keys = 10};
static const struct rule one_key = {
	.history_size = 50, .history_ttl_ms = 60000, .deliver_last = true, .max_keys = 1};
static const struct rule slowly = {
	.history_size = 50, .history_ttl_ms = 60000, .throttle_ms = 100, .max_keys = 10};
static const struct rule more_slowly = {
	.history_size = 50, .history_ttl_ms = 60000, .throttle_ms = 1000, .max_keys = 10};
static const struct rule slowly_last_first = {.history_size = 50,
                                              .history_ttl_ms = 60000,
                                              .deliver_last = true,
                                              .throttle_ms = 30,
                                              .max_keys = 10};
static const struct rule dropping = {
	.history_size = 50, .history_ttl_ms = 60000, .overflow = RULE_OVERFLOW_DROP};
static const struct rule conflating = {.history_size = 50,
                                       .history_ttl_ms = 60000,
                                       .max_keys = 10,
                                       .overflow = RULE_OVERFLOW_CONFLATE};
static const struct rule closed = {
	.subscribe = RULE_NONE, .publish = RULE_NONE, .history_ttl_ms = 60000};

/* What a client has of a channel. */
struct view {
	bool is_on;
	uint64_t start, seen, gap; /* where it began, the last one, and up to where it may miss */
	uint64_t newest[KEYS];
};

struct client {
	struct session session;
	uint32_t worker, generation; /* 0: it is not there */
	char name;
	size_t takes; /* records, then it is blocked */
	struct view views[CHANNELS];
};

static const char *const names[CHANNELS] = {HERE, THERE};
static struct client clients[CLIENTS], *const a = &clients[0], *const b = &clients[1];
static struct hub *hubs[WORKERS];
static struct hub_out outs[WORKERS];
static struct timer_wheel wheels[WORKERS];
static struct rules *sets[WORKERS], *former[WORKERS]; /* freed as soon as they may be */
static struct buf queues[WORKERS][WORKERS];           /* of struct hub_mail: from, to */
static uint64_t now_ms;
static struct buf told;
static uint64_t epochs[CHANNELS], heads[CHANNELS];
static uint8_t keys[CHANNELS][STEPS + 2]; /* by sequence number */
static bool is_random;

/* ---- what clients are told ---- */

static struct client *client_of(struct session *session)
{
	return CONTAINER_OF(session, struct client, session);
}

static size_t channel_of(struct slice name)
{
	return slice_is(name, names[0]) ? 0 : 1;
}

static unsigned key_of(const struct record *record)
{
	struct slice key = record_key(record);
	return key.len == 0 ? 0 : (unsigned)(key.at[0] - 'w');
}

static void say(const struct client *client, const char *what)
{
	if (told.len > 0)
		buf_string(&told, "; ");
	buf_format(&told, "%c %s", client->name, what);
}

static void out_event(struct hub_out *out, struct session *session, const struct hub_event *event)
{
	struct client *client = client_of(session);
	struct view *view = &client->views[channel_of(event->channel)];
	(void)out;
	switch (event->type) {
	case EVENT_SUBSCRIBED:
		say(client, "at");
		buf_format(&told, " %llu", (unsigned long long)event->seq);
		*view = (struct view){.is_on = true, .start = event->seq, .seen = event->seq};
		epochs[channel_of(event->channel)] = event->epoch;
		break;
	case EVENT_GAP:
		say(client, "gap");
		buf_format(&told, " %llu", (unsigned long long)event->seq);
		view->gap = event->seq > view->gap ? event->seq : view->gap;
		break;
	case EVENT_ACK:
		break;
	default:
		CHECK(event->type == EVENT_ERROR);
		say(client, error_text(event->error));
	}
}

static void see(struct view *view, const struct record *record)
{
	unsigned key = key_of(record);
	CHECK(view->is_on);
	CHECK(record->seq > view->newest[key]);
	view->newest[key] = record->seq;
	/* What deliver_last brings comes from before the start. */
	if (record->seq > view->start) {
		CHECK(record->seq > view->seen);
		view->seen = record->seq;
	}
}

static size_t out_deliver(struct hub_out *out, struct session *session,
                          const struct delivery *delivery)
{
	struct client *client = client_of(session);
	(void)out;
	size_t taken = client->takes < delivery->count ? client->takes : delivery->count;
	session->is_blocked = taken < delivery->count;
	client->takes -= taken;
	if (taken > 0)
		say(client, "got");
	for (size_t i = 0; i < taken; i++) {
		const struct record *record = delivery->records[i];
		buf_format(&told, " %c%llu", 'w' + (int)key_of(record),
		           (unsigned long long)record->seq);
		see(&client->views[channel_of(channel_name(delivery->channel))], record);
	}
	return taken;
}

static void out_answered(struct hub_out *out, struct session *session)
{
	(void)out;
	(void)session;
}

static void out_end(struct hub_out *out, struct session *session, enum hub_end why)
{
	(void)out;
	CHECK(why == HUB_END_SLOW);
	say(client_of(session), "ends");
	session->is_ended = true;
}

/* The session of a backend that publishes is none of theirs, and asks nothing of others. */
static struct slab_handle out_handle(struct hub_out *out, const struct session *session)
{
	const struct client *client = CONTAINER_OF(session, const struct client, session);
	(void)out;
	CHECK(client >= clients && client < clients + CLIENTS);
	return (struct slab_handle){(uint32_t)(client - clients), client->generation};
}

static struct session *out_find(struct hub_out *out, struct slab_handle handle)
{
	struct client *client = &clients[handle.index];
	(void)out;
	return client->generation == handle.generation ? &client->session : NULL;
}

static bool out_has_room(struct hub_out *out)
{
	(void)out;
	return true;
}

static void out_post(struct hub_out *out, uint32_t to, const struct hub_mail *mail)
{
	CHECK(out == &outs[mail->from]);
	buf_append(&queues[mail->from][to], mail, sizeof(*mail));
}

static bool were_told(const char *expected)
{
	bool is_so = slice_is(buf_view(&told), expected);
	if (!is_so)
		fprintf(stderr, "told:     %.*s\nexpected: %s\n", (int)told.len, told.at, expected);
	buf_clear(&told);
	return is_so;
}

/* ---- rules ---- */

static struct rules *rules_of(const struct rule *rule)
{
	struct rules *rules = malloc(sizeof(*rules));
	struct rule *list = malloc(sizeof(*list));
	CHECK(rules != NULL && list != NULL);
	*list = *rule;
	list->pattern = strdup("*");
	list->max_keys = rule->max_keys == 0 ? 1000 : rule->max_keys;
	*rules = (struct rules){list, 1};
	return rules;
}

static void drop_former(uint32_t worker)
{
	CHECK(hub_has_adopted(hubs[worker]));
	if (former[worker] == NULL)
		return;
	rules_free(former[worker]);
	free(former[worker]);
	former[worker] = NULL;
}

static void adopt_on(uint32_t worker, uint32_t budget)
{
	CHECK(hub_adopt(hubs[worker], budget) != HUB_ADOPTION_WAITS);
	if (hub_has_adopted(hubs[worker]))
		drop_former(worker);
}

static void adopt_at(uint32_t worker, const struct rule *rule)
{
	former[worker] = sets[worker];
	sets[worker] = rules_of(rule);
	hub_set_rules(hubs[worker], sets[worker]);
}

/* At once. */
static void adopt(uint32_t worker, const struct rule *rule)
{
	adopt_at(worker, rule);
	adopt_on(worker, UINT32_MAX);
}

/* ---- what happens ---- */

static void set_time(void)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		hub_set_time(hubs[i], now_ms, now_ms * 1000);
}

static void walk(void)
{
	for (uint32_t i = 0; i < WORKERS; i++) {
		while (hub_walk(hubs[i], 100))
			;
	}
}

static void pass(uint64_t ms)
{
	now_ms += ms;
	set_time();
	for (uint32_t i = 0; i < WORKERS; i++) {
		struct timer *timer;
		while ((timer = timer_take_due(&wheels[i], now_ms)) != NULL)
			hub_timer(hubs[i], timer);
	}
	walk();
}

static bool mail_one(uint32_t from, uint32_t to)
{
	struct hub_mail mail;
	if (queues[from][to].len == 0)
		return false;
	memcpy(&mail, queues[from][to].at, sizeof(mail));
	buf_use(&queues[from][to], sizeof(mail));
	hub_receive(hubs[to], &mail);
	return true;
}

static void mail_all(void)
{
	while (mail_one(0, 1) || mail_one(1, 0))
		;
	walk();
}

static void open_client(struct client *client, uint32_t worker)
{
	static uint32_t generation;
	*client = (struct client){
		.worker = worker,
		.generation = ++generation,
		.name = (char)('a' + (int)(client - clients)),
		.takes = SIZE_MAX,
	};
}

static void close_client(struct client *client)
{
	if (client->generation != 0)
		hub_session_close(hubs[client->worker], &client->session);
	client->generation = 0;
	for (size_t i = 0; i < CHANNELS; i++)
		client->views[i].is_on = false;
}

static void execute(struct client *client, const struct hub_command *command)
{
	hub_execute(hubs[client->worker], &client->session, command);
}

static void subscribe(struct client *client, const char *channel)
{
	struct hub_command command = {.type = COMMAND_SUBSCRIBE, .channel = slice_string(channel)};
	execute(client, &command);
}

static void subscribe_since(struct client *client, const char *channel, uint64_t seq)
{
	size_t i = channel_of(slice_string(channel));
	struct hub_command command = {.type = COMMAND_SUBSCRIBE,
	                              .channel = slice_string(channel),
	                              .has_since = true,
	                              .since = {.epoch = epochs[i], .seq = seq}};
	execute(client, &command);
}

/* Each character is the key of one publication, by a backend on the channel's agent. */
static void publish(const char *channel, const char *text)
{
	size_t i = channel_of(slice_string(channel));
	struct session session = {.is_backend = true};
	for (; *text != '\0'; text++) {
		struct hub_command command = {
			.type = COMMAND_PUBLISH,
			.channel = slice_string(channel),
			.publication = {.payload = SLICE("1"), .key = slice_of(text, *text != 'w')},
			.is_unanswered = true,
		};
		hub_execute(hubs[i], &session, &command);
		CHECK(heads[i] <= STEPS);
		keys[i][++heads[i]] = (uint8_t)(*text - 'w');
	}
	if (!is_random)
		mail_all();
}

static void block(struct client *client)
{
	client->takes = 0;
}

static void unblock(struct client *client)
{
	client->takes = SIZE_MAX;
	client->session.is_blocked = false;
	if (!client->session.is_ended)
		hub_session_ready(hubs[client->worker], &client->session);
}

static struct channel *channel_at(uint32_t worker, const char *name)
{
	struct slice text = slice_string(name);
	return hub_find(hubs[worker], text, hub_hash(hubs[worker], text));
}

static bool has_keys(uint32_t worker, const char *name)
{
	return channel_at(worker, name)->keyed != NULL;
}

static void begin(const struct rule *rule)
{
	now_ms = 100000;
	memset(heads, 0, sizeof(heads));
	for (uint32_t i = 0; i < WORKERS; i++) {
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
		sets[i] = rules_of(rule);
		hubs[i] = hub_create(&(struct hub_options){
			.worker = i,
			.workers = WORKERS,
			.out = &outs[i],
			.rules = sets[i],
			.wheel = &wheels[i],
			.walk_timer_kind = 1,
			.seed = i,
			.channels_per_session = CHANNELS,
			.outbound_bytes_max = 600,
		});
		CHECK(hubs[i] != NULL);
	}
	set_time();
	open_client(a, 0);
	open_client(b, 1);
}

static void end(void)
{
	for (size_t i = 0; i < CLIENTS; i++)
		close_client(&clients[i]);
	mail_all();
	for (int i = 0; i < 70; i++)
		pass(1500);
	for (uint32_t i = 0; i < WORKERS; i++) {
		CHECK(hub_counters(hubs[i])->followers == 0);
		CHECK(hubs[i]->channels.count == 0);
		hub_destroy(hubs[i]);
		rules_free(sets[i]);
		free(sets[i]);
	}
	buf_free(&told);
}

/* ---- history, rights, bounds ---- */

static void history_shrinks(void)
{
	publish(HERE, "wwwww");
	adopt(0, &short_lived);
	subscribe(a, HERE);
	subscribe_since(&clients[2], HERE, 0);
	CHECK(were_told("a at 5; c at 3; c got w4 w5"));
	/* By the time to live of before they would be there for a minute. */
	pass(1000);
	pass(1000);
	CHECK(channel_at(0, HERE)->log.count == 0);
}

static void history_grows(void)
{
	subscribe(a, HERE);
	publish(HERE, "www");
	adopt(0, &plain);
	publish(HERE, "www");
	subscribe_since(&clients[2], HERE, 0);
	CHECK(were_told("a at 0; a got w1 w2 w3; a got w4 w5 w6; c at 1; c got w2 w3 w4 w5 w6"));
}

static void at_once(void)
{
	subscribe(a, HERE);
	adopt_at(0, &closed);
	/* The channel has its rule of before still; what is asked is judged by the new one. */
	subscribe(&clients[2], HERE);
	CHECK(were_told("a at 0; c unauthorized"));
	adopt_on(0, UINT32_MAX);
	publish(HERE, "w");
	CHECK(were_told("a got w1"));
}

static void in_steps(void)
{
	struct client *c = &clients[2];
	subscribe(a, HERE);
	subscribe(c, "second");
	adopt_at(0, &last_first);
	adopt_on(0, 1);
	CHECK(!hub_has_adopted(hubs[0]));
	CHECK(has_keys(0, HERE));
	CHECK(!has_keys(0, "second"));
	adopt_on(0, 1);
	CHECK(hub_has_adopted(hubs[0]));
	CHECK(has_keys(0, "second"));
	buf_clear(&told);
}

static void other_bounds(void)
{
	subscribe(a, HERE);
	hub_set_limits(hubs[0], 1, 100000);
	subscribe(a, THERE);
	CHECK(were_told("a at 0; a too_many_channels"));
	block(a);
	publish(HERE, "wwwwwwwwwwwwwwwwwwww");
	CHECK(were_told(""));
	hub_set_limits(hubs[0], 1, 600);
	publish(HERE, "w");
	CHECK(were_told("a ends"));
}

/* ---- keys ---- */

static void last_from_history(void)
{
	publish(HERE, "xyxx");
	adopt(0, &last_first);
	subscribe(a, HERE);
	CHECK(were_told("a at 4; a got y2 x4"));
	publish(HERE, "y");
	CHECK(were_told("a got y5"));
}

/* It goes by the rule it has until there is memory for the keys, and then by the new one: the
 * first allocation fails, the second, ... and a value that comes meanwhile is the latest too. */
static void last_without_memory(void)
{
	publish(HERE, "xyxzx");
	adopt_at(0, &last_first);
	uint32_t waited = 0;
	for (;; waited++) {
		failing_arm(waited + 1, FAILING_ONE);
		enum hub_adoption result = hub_adopt(hubs[0], UINT32_MAX);
		if (failing_disarm() == 0) {
			CHECK(result == HUB_ADOPTED);
			break;
		}
		CHECK(result == HUB_ADOPTION_WAITS);
		CHECK(!hub_has_adopted(hubs[0]));
		publish(HERE, "y");
	}
	drop_former(0);
	CHECK(waited > 0);
	subscribe(a, HERE);
	struct buf expected = {0};
	buf_format(&expected, "a at %u; a got z4 x5 y%u", 5 + waited, 5 + waited);
	buf_char(&expected, '\0');
	CHECK(were_told(expected.at));
	buf_free(&expected);
}

static void last_no_more(void)
{
	subscribe(a, HERE);
	publish(HERE, "xy");
	CHECK(has_keys(0, HERE));
	adopt(0, &plain);
	walk();
	CHECK(!has_keys(0, HERE));
	subscribe(&clients[2], HERE);
	CHECK(were_told("a at 0; a got x1 y2; c at 2"));
}

static void keys_go_unfollowed(void)
{
	publish(HERE, "xy");
	CHECK(has_keys(0, HERE));
	adopt(0, &plain);
	CHECK(!has_keys(0, HERE));
}

static void fewer_keys(void)
{
	publish(HERE, "xyz");
	adopt(0, &one_key);
	subscribe(a, HERE);
	CHECK(were_told("a at 3; a got z3"));
}

/* ---- throttle ---- */

static void throttled(void)
{
	subscribe(a, HERE);
	publish(HERE, "x");
	adopt(0, &slowly);
	walk();
	publish(HERE, "xyx");
	CHECK(were_told("a at 0; a got x1"));
	pass(100);
	CHECK(were_told("a got y3 x4"));
}

static void throttled_no_more(void)
{
	subscribe(a, HERE);
	publish(HERE, "x");
	publish(HERE, "yxx");
	CHECK(were_told("a at 0; a got x1"));
	adopt(0, &plain);
	walk();
	CHECK(were_told("a got y2 x4"));
	CHECK(!has_keys(0, HERE));
	publish(HERE, "xx");
	CHECK(were_told("a got x5 x6"));
	pass(200);
	CHECK(were_told(""));
}

static void at_rest_then_plain(void)
{
	subscribe(a, HERE);
	publish(HERE, "x");
	pass(200);
	adopt(0, &plain);
	walk();
	CHECK(!has_keys(0, HERE));
	publish(HERE, "xx");
	CHECK(were_told("a at 0; a got x1; a got x2 x3"));
}

static void sooner(void)
{
	subscribe(a, HERE);
	publish(HERE, "x");
	publish(HERE, "x");
	adopt(0, &slowly);
	CHECK(were_told("a at 0; a got x1"));
	pass(100);
	CHECK(were_told("a got x2"));
}

static void later(void)
{
	subscribe(a, HERE);
	publish(HERE, "x");
	publish(HERE, "x");
	adopt(0, &more_slowly);
	pass(990);
	CHECK(were_told("a at 0; a got x1"));
	pass(10);
	CHECK(were_told("a got x2"));
}

static void lagging_then_throttled(void)
{
	subscribe(a, HERE);
	block(a);
	publish(HERE, "xyx");
	adopt(0, &slowly);
	walk();
	publish(HERE, "zz");
	pass(100);
	CHECK(were_told("a at 0"));
	unblock(a);
	CHECK(were_told("a got y2 x3 z5"));
}

static void lagging_then_plain(void)
{
	subscribe(a, HERE);
	publish(HERE, "w");
	block(a);
	publish(HERE, "xyx");
	pass(100);
	adopt(0, &plain);
	walk();
	publish(HERE, "xz");
	CHECK(were_told("a at 0; a got w1"));
	CHECK(has_keys(0, HERE)); /* it walks along them */
	unblock(a);
	CHECK(were_told("a got y3 x5 z6"));
	publish(HERE, "zz");
	CHECK(were_told("a got z7 z8"));
	CHECK(!has_keys(0, HERE));
}

/* ---- overflow ---- */

static void drops_then(void)
{
	subscribe(a, HERE);
	block(a);
	publish(HERE, "xxxx");
	adopt(0, &dropping);
	publish(HERE, "xxxx");
	CHECK(were_told("a at 0"));
	unblock(a);
	CHECK(were_told("a gap 8"));
}

static void conflates_then(void)
{
	subscribe(a, HERE);
	block(a);
	publish(HERE, "xyxy");
	adopt(0, &conflating);
	publish(HERE, "xxxx");
	CHECK(were_told("a at 0"));
	unblock(a);
	CHECK(were_told("a got y4 x8"));
}

static void conflates_no_more(void)
{
	subscribe(a, HERE);
	block(a);
	publish(HERE, "xyxy");
	publish(HERE, "xxxx");
	adopt(0, &plain);
	walk();
	CHECK(has_keys(0, HERE));
	unblock(a);
	publish(HERE, "yy");
	CHECK(were_told("a at 0; a got y4 x8; a got y9 y10"));
	CHECK(!has_keys(0, HERE));
}

/* ---- two workers, not at the same time ---- */

static void agent_first(void)
{
	publish(THERE, "xyxx");
	adopt(1, &slowly);
	subscribe(b, THERE);
	buf_clear(&told);
	subscribe_since(a, THERE, 0);
	mail_all();
	CHECK(were_told("a at 0; a got y2 x4"));
	publish(THERE, "xx");
	CHECK(were_told("a got x5 x6"));
	CHECK(a->views[1].seen == 6);
	adopt(0, &slowly);
	publish(THERE, "zz");
	pass(100);
	CHECK(a->views[1].seen == 8);
}

static void tail_first(void)
{
	publish(THERE, "xyxx");
	adopt(0, &slowly);
	subscribe(b, THERE);
	buf_clear(&told);
	subscribe_since(a, THERE, 0);
	mail_all();
	pass(100);
	CHECK(were_told("a at 0; a got y2 x4"));
	adopt(1, &slowly);
	publish(THERE, "xx");
	pass(100);
	CHECK(a->views[1].seen == 6);
}

static void agent_has_last_first(void)
{
	publish(THERE, "xy");
	adopt(1, &last_first);
	subscribe(a, THERE);
	mail_all();
	publish(THERE, "x");
	CHECK(were_told("a at 2; a got x3"));
	CHECK(!has_keys(0, THERE));
	adopt(0, &last_first);
	subscribe(&clients[2], THERE);
	mail_all();
	CHECK(were_told("c at 3; c got y2 x3"));
}

static void tail_has_last_first(void)
{
	publish(THERE, "xy");
	adopt(0, &last_first);
	subscribe(a, THERE);
	mail_all();
	publish(THERE, "x");
	CHECK(were_told("a at 2; a got x3"));
	adopt(1, &last_first);
	subscribe(&clients[2], THERE);
	mail_all();
	CHECK(were_told("c at 3; c got y2 x3"));
}

/* The tail got keys for one follower only, later than what another one still wants. */
static void holes_beside_laggard(void)
{
	subscribe(a, THERE);
	mail_all();
	block(a);
	publish(THERE, "xy");
	adopt(1, &slowly);
	publish(THERE, "zz");
	subscribe_since(&clients[2], THERE, 2);
	block(&clients[2]);
	mail_all();
	CHECK(has_keys(0, THERE));
	adopt(0, &slowly);
	pass(100);
	buf_clear(&told);
	unblock(a);
	CHECK(were_told("a got x1 y2 z4"));
	unblock(&clients[2]);
	CHECK(were_told("c got z4"));
}

static const struct {
	const char *name;
	const struct rule *rule;
	void (*run)(void);
} cases[] = {
	{"history that shrinks is cut, and expires by its new time", &plain, history_shrinks},
	{"history that grows keeps more from here on", &short_lived, history_grows},
	{"what is asked is judged by the new rules at once", &plain, at_once},
	{"channels go over in steps", &plain, in_steps},
	{"bounds of a session change", &plain, other_bounds},
	{"deliver_last gives what history holds", &plain, last_from_history},
	{"without memory a channel goes over later, whole", &plain, last_without_memory},
	{"deliver_last no more: keys go", &last_first, last_no_more},
	{"keys that nobody follows go at once", &last_first, keys_go_unfollowed},
	{"fewer keys: the longest unchanged make room", &last_first, fewer_keys},
	{"a throttle holds from here on", &plain, throttled},
	{"without a throttle what waited comes at once, then all", &slowly, throttled_no_more},
	{"who has all goes over too", &slowly, at_rest_then_plain},
	{"a shorter throttle comes sooner", &more_slowly, sooner},
	{"a longer throttle comes later", &slowly, later},
	{"who lags behind a new throttle gets the latest", &plain, lagging_then_throttled},
	{"who lags behind a throttle that went misses nothing newer", &slowly, lagging_then_plain},
	{"who lags is dropped by the new rule", &plain, drops_then},
	{"who lags is conflated by the new rule", &plain, conflates_then},
	{"who is conflated catches up after the rule went", &conflating, conflates_no_more},
	{"the agent throttles, the tail not yet", &plain, agent_first},
	{"the tail throttles, the agent not yet", &plain, tail_first},
	{"the agent delivers last, the tail not yet", &plain, agent_has_last_first},
	{"the tail delivers last, the agent not yet", &plain, tail_has_last_first},
	{"holes for one are none for another", &plain, holes_beside_laggard},
};

/* ---- at random ---- */

static struct random chance;
static uint64_t seed_now;
/* That it came to pass at all: by a rule that has gone, keys are kept for a while. */
static uint64_t changes, ends, gaps_told, keys_left;

static uint32_t below(uint32_t bound)
{
	return random_below(&chance, bound);
}

/* Each of its channels: where it was, or from now. */
static void come(struct client *client)
{
	struct view views[CHANNELS];
	memcpy(views, client->views, sizeof(views));
	close_client(client);
	open_client(client, below(WORKERS));
	for (size_t i = 0; i < CHANNELS; i++) {
		if (views[i].is_on && below(2) == 0)
			subscribe_since(client, names[i], views[i].seen);
		else if (below(4) > 0)
			subscribe(client, names[i]);
	}
}

static void step(void)
{
	static const struct rule *const any[] = {&plain,      &last_first, &slowly,
	                                         &conflating, &dropping,   &slowly_last_first};
	struct client *client = &clients[below(CLIENTS)];
	uint32_t worker = below(WORKERS);
	switch (below(12)) {
	case 0:
		if (hub_has_adopted(hubs[worker])) {
			adopt_at(worker, any[below(COUNT_OF(any))]);
			changes++;
		}
		break;
	case 1:
		adopt_on(worker, 1);
		break;
	case 2:
		come(client);
		break;
	case 3:
		client->takes = below(4);
		break;
	case 4:
		unblock(client);
		break;
	case 5:
		pass(below(60));
		break;
	case 6:
		hub_walk(hubs[worker], below(3));
		break;
	case 7:
	case 8:
		mail_one(worker, 1 - worker);
		break;
	default:
		publish(names[below(CHANNELS)], (const char[]){(char)('w' + (int)below(KEYS)), 0});
	}
	for (size_t i = 0; i < CLIENTS; i++) {
		if (clients[i].session.is_ended && clients[i].generation != 0) {
			come(&clients[i]);
			ends++;
		}
	}
}

/* All has arrived: the newest of each key is there, or its place lies in a gap that was told. */
static void check_view(const struct view *view, size_t channel)
{
	uint64_t newest[KEYS] = {0};
	for (uint64_t seq = view->start + 1; view->is_on && seq <= heads[channel]; seq++)
		newest[keys[channel][seq]] = seq;
	for (size_t key = 0; key < KEYS; key++) {
		gaps_told += newest[key] > view->newest[key];
		CHECK(newest[key] <= view->newest[key] || newest[key] <= view->gap);
	}
}

static void calm(void)
{
	for (int i = 0; i < 3; i++) {
		mail_all();
		for (uint32_t worker = 0; worker < WORKERS; worker++)
			adopt_on(worker, UINT32_MAX);
		for (size_t j = 0; j < CLIENTS; j++)
			unblock(&clients[j]);
		pass(200);
	}
}

static void check_seed(uint64_t seed)
{
	chance.state = seed;
	begin(&plain);
	for (size_t i = 0; i < CLIENTS; i++)
		open_client(&clients[i], below(WORKERS));
	for (int i = 0; i < STEPS; i++) {
		step();
		buf_clear(&told);
		for (size_t channel = 0; channel < CHANNELS; channel++) {
			const struct channel *tail =
				channel_at(1 - (uint32_t)channel, names[channel]);
			keys_left +=
				tail != NULL && tail->keyed != NULL && !channel_needs_keyed(tail);
		}
	}
	calm();
	for (size_t i = 0; i < CLIENTS; i++) {
		if (clients[i].session.is_ended)
			close_client(&clients[i]);
		for (size_t channel = 0; channel < CHANNELS; channel++)
			check_view(&clients[i].views[channel], channel);
	}
	/* By a plain rule all stand in the log again, and no keys are left with the next record. */
	for (uint32_t worker = 0; worker < WORKERS; worker++)
		adopt(worker, &plain);
	calm();
	for (size_t i = 0; i < CHANNELS; i++)
		publish(names[i], "w");
	calm();
	for (uint32_t i = 0; i < WORKERS * CHANNELS; i++) {
		const struct channel *channel = channel_at(i / CHANNELS, names[i % CHANNELS]);
		CHECK(channel == NULL || channel->keyed == NULL);
	}
	end();
}

static void say_seed(int signal)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "seed %llu\n", (unsigned long long)seed_now);
	(void)signal;
	(void)!write(STDERR_FILENO, text, (size_t)len);
}

/* A number as argument runs that seed alone. */
int main(int argc, char **argv)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("adopt: %s\n", cases[i].name);
		begin(cases[i].rule);
		open_client(&clients[2], 0);
		cases[i].run();
		end();
	}
	printf("adopt: the newest of each key arrives, whatever rules come and go\n");
	uint64_t first = 1, last = SEEDS;
	if (argc > 1) {
		CHECK(text_to_u64(slice_string(argv[1]), &first));
		last = first;
	}
	is_random = true;
	signal(SIGABRT, say_seed);
	for (seed_now = first; seed_now <= last; seed_now++)
		check_seed(seed_now);
	CHECK(first == last || (changes > 0 && ends > 0 && gaps_told > 0 && keys_left > 0));
	return 0;
}
