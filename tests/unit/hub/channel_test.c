/* Followers joining, moving and leaving; what history holds; who lags by how much. */
#include "hub/channel.h"

#include <stdlib.h>

#define FOLLOWERS 3

static struct rule rule;
static struct channel channel;
static struct session session;
static struct follower followers[FOLLOWERS];
static uint64_t now_ms;

static void begin(void)
{
	now_ms = UINT32_MAX - 50;
	rule = (struct rule){.history_size = 3, .history_ttl_ms = 1000};
	channel = (struct channel){.is_agent = true, .is_tuned = true};
	struct channel_name *name = malloc(sizeof(*name) + 4);
	CHECK(name != NULL);
	*name = (struct channel_name){.hash = 1, .len = 4};
	memcpy(name->bytes, "chat", 4);
	channel_init(&channel, name, &rule);
	for (int i = 0; i < FOLLOWERS; i++)
		followers[i] = (struct follower){.channel = &channel, .session = &session};
}

static void end(void)
{
	for (int i = 0; i < FOLLOWERS; i++)
		channel_leave(&channel, &followers[i]);
	channel_free(&channel);
	CHECK(channel.name == NULL);
}

static void append(int count)
{
	for (; count > 0; count--) {
		struct publication publication = {.channel = SLICE("chat"), .payload = SLICE("1")};
		struct record *record = record_make(&publication, 1);
		CHECK(record != NULL);
		record_settle(record, 1, log_next(&channel.log), 0, channel.offset);
		channel.offset += record_bytes(record);
		CHECK(log_append(&channel.log, record, now_ms));
	}
}

static uint64_t bytes_of(uint64_t records)
{
	return records * (sizeof(struct record) + strlen("chat") + strlen("1"));
}

static void named(void)
{
	CHECK(slice_is(channel_name(&channel), "chat"));
	CHECK(channel_has_name(&channel, SLICE("chat")));
	CHECK(!channel_has_name(&channel, SLICE("chat:1")));
	CHECK(!channel_has_name(&channel, SLICE("Chat")));
}

static void keeps_by_size(void)
{
	CHECK(channel_history_first(&channel, now_ms) == 1);
	append(2);
	CHECK(channel_history_first(&channel, now_ms) == 1);
	append(3);
	CHECK(channel_history_first(&channel, now_ms) == 3);
	channel_trim(&channel, now_ms);
	CHECK(log_first(&channel.log) == 3);
}

static void keeps_by_age(void)
{
	append(1);
	now_ms += 999;
	append(1);
	CHECK(channel_history_first(&channel, now_ms) == 1);
	now_ms += 1;
	CHECK(channel_history_first(&channel, now_ms) == 2);
	CHECK(log_first(&channel.log) == 1); /* until it is trimmed */
	now_ms += 1000;
	CHECK(channel_history_first(&channel, now_ms) == 3);
	channel_trim(&channel, now_ms);
	CHECK(log_first(&channel.log) == 3);
}

static void keeps_nothing(void)
{
	rule.history_size = 0;
	append(2);
	CHECK(channel_history_first(&channel, now_ms) == 3);
	channel_trim(&channel, now_ms);
	CHECK(channel.log.count == 0);
}

static void lag_is_not_history(void)
{
	channel_join(&channel, &followers[0], 1);
	append(5);
	channel_trim(&channel, now_ms + 5000);
	CHECK(log_first(&channel.log) == 1);
	CHECK(channel_history_first(&channel, now_ms) == 3);
	channel_move(&channel, &followers[0], 6);
	channel_trim(&channel, now_ms);
	CHECK(log_first(&channel.log) == 3);
}

static void tail_keeps_what_is_wanted(void)
{
	channel.is_agent = false;
	channel_join(&channel, &followers[0], 1);
	append(4);
	channel_move(&channel, &followers[0], 3);
	channel_trim(&channel, now_ms);
	CHECK(log_first(&channel.log) == 3);
	channel_leave(&channel, &followers[0]);
	channel_trim(&channel, now_ms);
	CHECK(channel.log.count == 0);
	CHECK(log_next(&channel.log) == 5);
}

static void changes_lists(void)
{
	channel_join(&channel, &followers[0], 1);
	channel_join(&channel, &followers[1], 1);
	CHECK(list_first(&channel.live) == &followers[0].in_channel);
	channel_set_state(&channel, &followers[0], FOLLOWER_STUCK);
	CHECK(list_first(&channel.live) == &followers[1].in_channel);
	CHECK(list_first(&channel.stuck) == &followers[0].in_channel);
	channel_set_state(&channel, &followers[0], FOLLOWER_LIVE);
	CHECK(list_is_empty(&channel.stuck));
	CHECK(list_after(&channel.live, &followers[1].in_channel) == &followers[0].in_channel);
	channel_leave(&channel, &followers[1]);
	CHECK(followers[1].state == FOLLOWER_PENDING);
	CHECK(!list_is_linked(&followers[1].in_channel));
	channel_leave(&channel, &followers[1]); /* who stands nowhere leaves nothing */
}

/* The walk stands before the second follower, who leaves, in one way or the other. */
static void walk_goes_on(void)
{
	for (int i = 0; i < FOLLOWERS; i++)
		channel_join(&channel, &followers[i], 1);
	channel.walk = &followers[1].in_channel;
	channel_set_state(&channel, &followers[1], FOLLOWER_STUCK);
	CHECK(channel.walk == &followers[2].in_channel);
	channel_leave(&channel, &followers[0]);
	CHECK(channel.walk == &followers[2].in_channel);
	channel_leave(&channel, &followers[2]);
	CHECK(channel.walk == NULL);
}

static void lag_in_bytes(void)
{
	append(2);
	channel_join(&channel, &followers[0], 3);
	CHECK(channel_lag(&channel, &followers[0]) == 0);
	append(4);
	CHECK(channel_lag(&channel, &followers[0]) == bytes_of(4));
	channel_move(&channel, &followers[0], 5);
	CHECK(channel_lag(&channel, &followers[0]) == bytes_of(2));
	channel_move(&channel, &followers[0], 7);
	CHECK(channel_lag(&channel, &followers[0]) == 0);
}

static void replay_is_no_lag(void)
{
	append(5);
	channel_join(&channel, &followers[0], 2);
	followers[0].replay_end = 5;
	CHECK(channel_lag(&channel, &followers[0]) == 0);
	append(1);
	CHECK(channel_lag(&channel, &followers[0]) == bytes_of(1));
	channel_move(&channel, &followers[0], 6);
	CHECK(channel_lag(&channel, &followers[0]) == bytes_of(1));
}

static void knows_workers(void)
{
	CHECK(!channel_is_followed(&channel));
	for (uint32_t worker = 0; worker < WORKERS_MAX; worker += 63) {
		channel_follow(&channel, worker);
		CHECK(channel_is_followed_by(&channel, worker));
		CHECK(!channel_is_followed_by(&channel, worker + 1));
		CHECK(channel_is_followed(&channel));
		channel_follow(&channel, worker); /* again changes nothing */
		channel_unfollow(&channel, worker);
		CHECK(!channel_is_followed(&channel));
	}
	channel.follower_count = 1;
	CHECK(channel_is_followed(&channel));
	channel.follower_count = 0;
}

static void put_down_is_a_start(void)
{
	append(5);
	channel_join(&channel, &followers[0], 2);
	followers[0].replay_end = 5;
	followers[0].replay_count = 4;
	channel_lift(&channel, &followers[0]);
	followers[0].is_dropping = true;
	append(1);
	channel_put_down(&channel, &followers[0], 7);
	CHECK(follower_stands(&followers[0]) && !followers[0].is_dropping);
	CHECK(followers[0].replay_end == 6 && followers[0].replay_count == 0);
	CHECK(channel.log.standing == 1);
}

/* The next to be too old is a record, then a key's latest, then an idempotency key. */
static void keeps_how_long(void)
{
	CHECK(channel_keeps_ms(&channel, now_ms) == UINT64_MAX);
	channel.duplicates = malloc(sizeof(*channel.duplicates));
	CHECK(channel.duplicates != NULL && duplicates_init(channel.duplicates) == 0);
	CHECK(duplicates_add(channel.duplicates, SLICE("once"), 1, 1, now_ms));
	CHECK(channel_keeps_ms(&channel, now_ms + 1) == DUPLICATES_MS - 1);
	rule.max_keys = 9;
	CHECK(channel_make_keyed(&channel, now_ms));
	append(1);
	CHECK(channel_keeps_ms(&channel, now_ms + 1) == 999);
	CHECK(latest_reserve(&channel.keyed->latest));
	latest_put(&channel.keyed->latest, log_at(&channel.log, 1), 1, now_ms - 10);
	CHECK(channel_keeps_ms(&channel, now_ms + 1) == 989);
	CHECK(channel_keeps_ms(&channel, now_ms + 990) == 0);
	channel_trim(&channel, now_ms + 990);
	CHECK(channel_keeps_ms(&channel, now_ms + 990) == 10);
	channel.is_agent = false; /* a tail keeps records as long as they are wanted */
	CHECK(channel_keeps_ms(&channel, now_ms + 990) == DUPLICATES_MS - 990);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"its name is all of the name", named},
	{"history keeps so many", keeps_by_size},
	{"history keeps so long", keeps_by_age},
	{"history may keep nothing", keeps_nothing},
	{"what is kept for one who lags is not history", lag_is_not_history},
	{"a tail keeps what somebody wants", tail_keeps_what_is_wanted},
	{"followers change between the lists, and leave both", changes_lists},
	{"a walk goes on behind one that leaves", walk_goes_on},
	{"lag is the bytes still to be sent", lag_in_bytes},
	{"what was asked for by a cursor is no lag", replay_is_no_lag},
	{"who is put down begins there", put_down_is_a_start},
	{"it knows how long what it holds is good", keeps_how_long},
	{"it knows which workers follow", knows_workers},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("channel: %s\n", cases[i].name);
		begin();
		cases[i].run();
		end();
	}
	return 0;
}
