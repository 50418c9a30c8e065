/*
 * The hubs of several workers in one thread, from a seed: real hub code, letters that arrive in
 * order between two workers but else in any, sinks that stall and break, clients that come, ask,
 * stall and go, and time that jumps. After each step everything is held against hub_model.h (the
 * channel), hub_reader.h (each subscriber) and against what a hub promises about its own inside.
 *
 * In the last scenarios memory is short: allocations fail within the hubs, and the post has no
 * room. What is refused for that must not have happened, and nobody must miss anything without
 * being told.
 *
 *   build/MODE/tests/sim/hub_model_test              seeds 0 to 4999; with asan 0 to 999
 *   build/MODE/tests/sim/hub_model_test 4711         this one: the same to the last step
 *   build/MODE/tests/sim/hub_model_test 1000 99000   so many from there on
 *
 * When a check fails the last line says the seed. `make mutants` plants faults in the hub, one at
 * a time, and says which seed found each (tests/sim/mutants).
 */
#include "../failing.h"
#include "base/buf.h"
#include "base/random.h"
#include "hub/hub_state.h"
#include "hub_reader.h"
#include "seeds.h"

#ifdef __SANITIZE_ADDRESS__
#define SEEDS_DEFAULT 1000
#else
#define SEEDS_DEFAULT 5000
#endif
#define ROUNDS 3 /* each ends in a calm in which everything must arrive */
#define STEPS_PER_ROUND 300
#define SIM_WORKERS_MAX 4
#define CLIENTS 12
#define CHANNELS 6
#define CHANNELS_PER_SESSION 4
#define USERS 4
#define UNIX_MS_AHEAD 1700000000000u
#define THROTTLE_MS_MAX 900   /* of the rules */
#define KEPT_OVER_MS_MAX 1100 /* what is too old goes within a second and two ticks */

static const struct scenario {
	const char *name;
	uint32_t workers;
	uint32_t stall_percent; /* of deliveries that a sink does not take whole */
	uint32_t jump_ms_max;
	uint32_t again_percent;   /* of publications with a key that was used before */
	uint32_t in_time_percent; /* of publications that come as long after as it takes */
	uint32_t burst_percent;   /* of publications that are very many */
	uint64_t outbound_bytes_max;
	uint32_t failing_percent; /* of calls of the hub: an allocation fails, if it comes to it */
	uint32_t full_percent;    /* of looks at the post: it has no room */
	uint32_t lingering_max;   /* channels that nobody follows; 0: as many as there are */
} scenarios[] = {
	{.name = "one worker keeps what the protocol promises",
         .workers = 1,
         .stall_percent = 10,
         .jump_ms_max = 2000,
         .again_percent = 3,
         .outbound_bytes_max = UINT64_MAX},
	{.name = "two workers keep it together",
         .workers = 2,
         .stall_percent = 10,
         .jump_ms_max = 2000,
         .again_percent = 3,
         .outbound_bytes_max = UINT64_MAX},
	{.name = "four workers keep it together",
         .workers = 4,
         .stall_percent = 10,
         .jump_ms_max = 2000,
         .again_percent = 3,
         .outbound_bytes_max = UINT64_MAX},
	{.name = "clients that stall most of the time miss nothing",
         .workers = 3,
         .stall_percent = 70,
         .jump_ms_max = 2000,
         .again_percent = 3,
         .outbound_bytes_max = UINT64_MAX},
	{.name = "clients that lag too far get what their channel's rule says",
         .workers = 3,
         .stall_percent = 40,
         .jump_ms_max = 500,
         .again_percent = 3,
         .outbound_bytes_max = 9000},
	{.name = "the same where little may wait",
         .workers = 2,
         .stall_percent = 60,
         .jump_ms_max = 300,
         .again_percent = 3,
         .outbound_bytes_max = 2500},
	{.name = "channels end, and begin anew under another epoch",
         .workers = 2,
         .stall_percent = 5,
         .jump_ms_max = 30000,
         .again_percent = 3,
         .outbound_bytes_max = UINT64_MAX},
	{.name = "records are gone before slow letters arrive",
         .workers = 4,
         .stall_percent = 20,
         .jump_ms_max = 30000,
         .again_percent = 3,
         .outbound_bytes_max = 30000},
	{.name = "publishing again is noticed for five minutes",
         .workers = 3,
         .stall_percent = 5,
         .jump_ms_max = 200000,
         .again_percent = 40,
         .in_time_percent = 5,
         .outbound_bytes_max = UINT64_MAX},
	{.name = "bursts are taken whole",
         .workers = 2,
         .stall_percent = 20,
         .jump_ms_max = 500,
         .again_percent = 10,
         .burst_percent = 1,
         .outbound_bytes_max = 60000},
	{
		.name = "without memory a command is refused, or a session ended",
		.workers = 1,
		.stall_percent = 10,
		.jump_ms_max = 5000,
		.again_percent = 3,
		.outbound_bytes_max = UINT64_MAX,
		.failing_percent = 20,
	},
	{
		.name = "without memory two workers keep together what there is",
		.workers = 2,
		.stall_percent = 10,
		.jump_ms_max = 5000,
		.again_percent = 3,
		.outbound_bytes_max = UINT64_MAX,
		.failing_percent = 20,
	},
	{
		.name = "without memory four workers do",
		.workers = 4,
		.stall_percent = 20,
		.jump_ms_max = 2000,
		.again_percent = 3,
		.outbound_bytes_max = UINT64_MAX,
		.failing_percent = 5,
	},
	{
		.name = "without room in the post nothing is lost",
		.workers = 3,
		.stall_percent = 10,
		.jump_ms_max = 5000,
		.again_percent = 3,
		.outbound_bytes_max = UINT64_MAX,
		.full_percent = 20,
	},
	{
		.name = "channels make room for others",
		.workers = 1,
		.stall_percent = 10,
		.jump_ms_max = 2000,
		.again_percent = 3,
		.outbound_bytes_max = UINT64_MAX,
		.lingering_max = 1,
	},
	{
		.name = "and so where three workers have them",
		.workers = 3,
		.stall_percent = 10,
		.jump_ms_max = 2000,
		.again_percent = 3,
		.outbound_bytes_max = UINT64_MAX,
		.failing_percent = 2,
		.full_percent = 5,
		.lingering_max = 1,
	},
};

/* A world has CHANNELS of these. The last rule is for no channel of ours; a set of rules ends
 * with it. */
static struct rule rule_list[] = {
	{.pattern = "none:*",
         .history_ttl_ms = 1000,
         .max_keys = 9,
         .presence = RULE_PRESENCE_FULL,
         .presence_grace_ms = 1500},
	{.pattern = "one:*",
         .history_size = 1,
         .history_ttl_ms = 60000,
         .max_keys = 9,
         .presence = RULE_PRESENCE_FULL},
	{.pattern = "few:*",
         .history_size = 3,
         .history_ttl_ms = 2000,
         .max_keys = 9,
         .presence = RULE_PRESENCE_COUNT,
         .presence_grace_ms = 20000},
	{.pattern = "short:*", .history_size = 100, .history_ttl_ms = 500, .max_keys = 9},
	{.pattern = "some:*", .history_size = 20, .history_ttl_ms = 8000, .max_keys = 9},
	{.pattern = "long:*", .history_size = 150, .history_ttl_ms = 60000, .max_keys = 9},
	{.pattern = "last:*",
         .history_size = 10,
         .history_ttl_ms = 5000,
         .deliver_last = true,
         .max_keys = 3},
	{.pattern = "lasting:*", .history_ttl_ms = 3000, .deliver_last = true, .max_keys = 9},
	{.pattern = "slow:*",
         .history_size = 20,
         .history_ttl_ms = 8000,
         .max_keys = 9,
         .throttle_ms = 200,
         .presence = RULE_PRESENCE_FULL,
         .presence_grace_ms = 100},
	{.pattern = "slower:*",
         .history_size = 3,
         .history_ttl_ms = 2000,
         .max_keys = 3,
         .throttle_ms = 900},
	{.pattern = "board:*",
         .history_size = 5,
         .history_ttl_ms = 4000,
         .deliver_last = true,
         .max_keys = 9,
         .throttle_ms = 150},
	{.pattern = "drop:*",
         .history_size = 20,
         .history_ttl_ms = 8000,
         .max_keys = 9,
         .overflow = RULE_OVERFLOW_DROP,
         .presence = RULE_PRESENCE_FULL,
         .presence_grace_ms = 5000},
	{.pattern = "droplast:*",
         .history_ttl_ms = 8000,
         .deliver_last = true,
         .max_keys = 9,
         .overflow = RULE_OVERFLOW_DROP},
	{.pattern = "game:*",
         .history_size = 5,
         .history_ttl_ms = 20000,
         .max_keys = 9,
         .overflow = RULE_OVERFLOW_CONFLATE},
	{.pattern = "merge:*",
         .history_size = 10,
         .history_ttl_ms = 6000,
         .deliver_last = true,
         .max_keys = 4,
         .overflow = RULE_OVERFLOW_CONFLATE},
	{.pattern = "*"},
};
static const struct rules rules = {rule_list, COUNT_OF(rule_list)};

enum hub_timers { TIMER_CHANNEL = 1, TIMER_WALK, TIMER_PRESENCE };

static const char *const user_names[USERS] = {"ann", "bob", "cyd", "dee"};

/* What a worker knows of a channel: its records up to `head`. */
struct known {
	uint64_t epoch, head;
	bool is_appended; /* the last step did it */
};

struct worker {
	struct hub_out out;
	struct hub *hub;
	struct timer_wheel wheel;
	bool is_entered; /* since it was last checked */
	struct known known[CHANNELS];
	uint64_t delivered, published, duplicates, ended; /* as its hub should have counted */
};

enum following_state { NOT_FOLLOWING = 0, ASKED, FOLLOWING };

/* What a client has been told of who is present. */
struct view {
	bool is_watching; /* it asked for that */
	bool is_shown;    /* and has been shown what there was */
	bool has_names;
	uint32_t count;
	bool is_present[USERS];
};

struct following {
	enum following_state state;
	struct view view;
	struct reader reader;
	uint32_t overlooked; /* records that came though it lagged too far already */
};

struct client {
	struct session session;
	bool is_open;
	bool was_slow; /* the hub ended it, so it must have lagged */
	uint32_t generation, unanswered;
	struct worker *worker;
	uint64_t number;
	uint32_t user; /* USERS: none */
	struct following following[CHANNELS];
};

/* A command, and what it must be answered with once the channel's agent has dealt with it. */
struct question {
	struct question *before;
	struct client *client;
	uint32_t generation, channel;
	enum command_type type;
	struct cursor since;
	bool has_since, is_unanswered, wants_presence;
	bool is_answered, is_settled;
	bool is_first; /* the client did not follow the channel: the answer makes it a follower */
	enum error_code refusal; /* the answer is an error */
	char ref[64];
	uint64_t limit;
	struct model_said said;
	struct model_era *era;
	struct model_position position;
	struct model_list first;
	struct model_page page;
	uint64_t seq;
	bool is_duplicate;
};

struct letter {
	struct hub_mail mail;
	struct question *question; /* that it is about; NULL: about none */
};

static struct world {
	const struct scenario *scenario;
	struct claims *claims[USERS + 1]; /* what connections of users hold; the last is NULL */
	uint64_t now_ms, next_number, next_once;
	struct random random;
	struct worker workers[SIM_WORKERS_MAX];
	struct buf queues[SIM_WORKERS_MAX][SIM_WORKERS_MAX]; /* of letters: from, to */
	struct client clients[CLIENTS];
	struct model_channel channels[CHANNELS];
	/* With one worker it is known who is away, and since when. */
	uint64_t away_ms[CHANNELS][USERS];
	uint64_t news_ms[CHANNELS][SIM_WORKERS_MAX]; /* when that worker was told last */
	struct question *questions;                  /* all that were ever asked */
	struct question *question;                   /* the one that is being dealt with */
	struct client *subscribed;                   /* who has just been answered, */
	uint32_t subscribed_to;                      /* about which channel */
	uint32_t letters_posted;
	bool is_calm;  /* every sink takes all, and there is memory */
	bool is_short; /* there has been too little memory, or no room, at some time */
} world;

/* That it came to pass at all, in some seed: a simulation that never goes there proves nothing. */
static struct {
	uint64_t recovered, gaps, again, cancelled, slow, renamed, pages, left_out, taken_in_part,
		too_many, found_none, first, throttled, dropped, lost, conflated, duplicates,
		forgotten, binary, unanswered, refused, abandoned, behind, far_behind, joined, left,
		shown, numbers, asked, without;
} seen;

static uint32_t below(uint32_t bound)
{
	return random_below(&world.random, bound);
}

static bool chance(uint32_t percent)
{
	return below(100) < percent;
}

static struct client *client_of(struct session *session)
{
	return CONTAINER_OF(session, struct client, session);
}

static uint32_t index_of(const struct worker *worker)
{
	return (uint32_t)(worker - world.workers);
}

static bool has_presence(uint32_t channel)
{
	return world.channels[channel].rule->presence != RULE_PRESENCE_NO;
}

static struct worker *agent_of(uint32_t channel)
{
	struct slice name = slice_string(world.channels[channel].name);
	return &world.workers[hub_agent_of(world.workers[0].hub, name)];
}

static uint32_t channel_by_name(struct slice name)
{
	uint32_t i = 0;
	while (!slice_is(name, world.channels[i].name)) {
		i++;
		CHECK(i < CHANNELS);
	}
	return i;
}

/* ---- memory ---- */

/* Around each call of a hub that may allocate. */
static void memory_fails(void)
{
	if (!world.is_calm && chance(world.scenario->failing_percent))
		failing_arm(1 + below(4), chance(70) ? FAILING_ONE : FAILING_ALL_FROM);
}

static bool has_memory_failed(void)
{
	bool has_failed = failing_disarm() > 0;
	world.is_short |= has_failed;
	return has_failed;
}

/* Each channel of a world has a rule of its own. */
static uint32_t channel_index(const struct channel *channel)
{
	uint32_t i = 0;
	while (world.channels[i].rule != channel->rule) {
		i++;
		CHECK(i < CHANNELS);
	}
	return i;
}

/* What that worker knows of a channel; 0: nothing. */
static uint64_t head_at(const struct worker *worker, uint32_t channel)
{
	struct slice name = slice_string(world.channels[channel].name);
	const struct channel *found = hub_find(worker->hub, name, hub_hash(worker->hub, name));
	return found == NULL ? 0 : log_next(&found->log) - 1;
}

/* ---- what the agent has done with a question, by the model ---- */

static const struct cursor *since_of(const struct question *question)
{
	return question->has_since ? &question->since : NULL;
}

/* What is published again within the time has the place of the first one, and no other. */
static void publish_settle(struct question *question)
{
	struct model_channel *channel = &world.channels[question->channel];
	struct model_said *said = &question->said;
	uint64_t earlier = model_once(channel, said->once, world.now_ms);
	question->is_duplicate = earlier != 0;
	if (question->is_duplicate) {
		question->seq = earlier;
		agent_of(question->channel)->duplicates++;
		seen.duplicates++;
		return;
	}
	for (uint64_t seq = 1; said->once != 0 && seq <= channel->era->count; seq++) {
		const struct model_said *other = &channel->era->said[seq - 1];
		seen.forgotten += other->once == said->once;
	}
	said->added_ms = world.now_ms;
	model_say(channel, said);
	question->seq = channel->era->count;
	agent_of(question->channel)->published++;
	seen.binary += said->is_binary;
}

static void subscribe_settle(struct question *question)
{
	const struct model_channel *channel = &world.channels[question->channel];
	question->position = model_follow(channel, since_of(question), world.now_ms);
	if (channel->rule->deliver_last && !question->has_since)
		question->first = model_latest(channel, 0, world.now_ms);
	seen.recovered += question->has_since && question->position.is_recovered;
	seen.gaps += question->has_since && !question->position.is_recovered;
}

static void question_settle(struct question *question, uint64_t epoch)
{
	CHECK(question->type != COMMAND_PRESENCE); /* it is of no epoch */
	struct model_channel *channel = &world.channels[question->channel];
	CHECK(!question->is_settled);
	question->is_settled = true;
	seen.renamed += channel->era != NULL && channel->era->epoch != epoch;
	model_epoch(channel, epoch, world.now_ms);
	question->era = channel->era;
	if (question->type == COMMAND_PUBLISH) {
		publish_settle(question);
	} else if (question->type == COMMAND_SUBSCRIBE) {
		subscribe_settle(question);
	} else {
		CHECK(question->type == COMMAND_HISTORY);
		question->page =
			model_history(channel, since_of(question), question->limit, world.now_ms);
		seen.pages += question->page.has_more;
	}
}

static void records_check(struct record *const *records, size_t count,
                          const struct question *question, uint64_t first)
{
	const struct model_channel *channel = &world.channels[question->channel];
	for (size_t i = 0; i < count; i++)
		model_hear(records[i], channel, question->era, first + i);
}

/* ---- answers ---- */

static void answered_first(struct client *client, const struct question *question,
                           const struct hub_event *event)
{
	const struct model_position *position = &question->position;
	struct following *following = &client->following[question->channel];
	CHECK(event->epoch == question->era->epoch);
	CHECK(event->seq == position->from);
	CHECK(event->is_recovered == position->is_recovered);
	*following = (struct following){.state = FOLLOWING,
	                                .view.is_watching = question->wants_presence &&
	                                                    has_presence(question->channel)};
	reader_begin(&following->reader, &world.channels[question->channel], client->number,
	             position, &question->first);
	world.channels[question->channel].followers++;
	world.subscribed = client;
	world.subscribed_to = question->channel;
}

static bool is_dropping(const struct client *client, uint32_t channel)
{
	const struct follower *follower = client->session.first;
	while (channel_index(follower->channel) != channel)
		follower = follower->next_of_session;
	return follower->is_dropping;
}

/* The answer says where the client stands, and "recovered" only when it missed nothing. */
static void answered_again(const struct client *client, const struct question *question,
                           const struct hub_event *event)
{
	const struct reader *reader = &client->following[question->channel].reader;
	const struct cursor *since = &question->since;
	uint64_t head = head_at(client->worker, question->channel);
	CHECK(event->epoch == reader->era->epoch);
	CHECK(event->seq <= head);
	CHECK((event->seq == reader->begun && reader_is_at_first(reader)) ||
	      (event->seq >= reader->seen &&
	       reader_may_lack_until(reader, event->seq + 1, head, world.now_ms)));
	seen.again++;
	if (!question->has_since)
		return;
	if (is_dropping(client, question->channel)) {
		CHECK(event->is_recovered == since->is_start);
		return;
	}
	bool is_ours = !since->is_start && since->epoch == reader->era->epoch;
	bool is_behind = is_ours && since->seq >= reader->start;
	if (since->is_start || (is_behind && since->seq <= event->seq && !reader->was_late))
		CHECK(event->is_recovered);
	else if (!is_behind || since->seq > reader->era->count)
		CHECK(!event->is_recovered);
}

static void subscribe_answered(struct client *client, struct question *question,
                               const struct hub_event *event)
{
	CHECK(event->type == EVENT_SUBSCRIBED);
	CHECK(slice_is(event->channel, world.channels[question->channel].name));
	CHECK(event->has_recovered == question->has_since);
	if (client->following[question->channel].state == FOLLOWING) {
		answered_again(client, question, event);
		client->following[question->channel].view.is_watching |=
			question->wants_presence && has_presence(question->channel);
		return;
	}
	CHECK(client->following[question->channel].state == ASKED);
	if (!question->is_settled)
		question_settle(question, event->epoch);
	answered_first(client, question, event);
}

static void publish_answered(struct question *question, const struct hub_event *event)
{
	CHECK(event->type == EVENT_ACK);
	CHECK(!question->is_unanswered);
	if (!question->is_settled)
		question_settle(question, event->epoch);
	CHECK(event->epoch == question->era->epoch);
	CHECK(event->seq == question->seq);
	CHECK(event->is_duplicate == question->is_duplicate);
}

static void history_answered(struct question *question, const struct hub_event *event)
{
	const struct model_page *page = &question->page;
	CHECK(event->type == EVENT_HISTORY);
	CHECK(slice_is(event->channel, world.channels[question->channel].name));
	if (!question->is_settled)
		question_settle(question, event->epoch);
	CHECK(event->epoch == question->era->epoch);
	CHECK(event->seq == page->cursor);
	CHECK(event->has_more == page->has_more);
	CHECK(event->record_count == page->end - page->first);
	records_check(event->records, event->record_count, question, page->first);
}

/* No answer: it comes when something was left out. */
static void told_gap(struct client *client, const struct hub_event *event)
{
	uint32_t channel = channel_by_name(event->channel);
	struct following *following = &client->following[channel];
	CHECK(session_takes(&client->session));
	CHECK(event->ref.len == 0);
	CHECK(following->state == FOLLOWING);
	CHECK(event->epoch == following->reader.era->epoch);
	reader_is_told_gap(&following->reader, event->seq, head_at(client->worker, channel),
	                   world.now_ms);
	bool is_drop = world.channels[channel].rule->overflow == RULE_OVERFLOW_DROP;
	seen.dropped += is_drop;
	seen.lost += !is_drop;
}

static void unfollow(struct client *client, uint32_t channel, bool is_lost);
static void presence_answered(const struct question *question, const struct hub_event *event);
static void cancel_asked(struct client *client, uint32_t channel);

/* For want of memory, or of room in the post: what was asked has not been done. */
static void unavailable_answered(struct client *client, struct question *question)
{
	CHECK(world.is_short || has_memory_failed());
	CHECK(question->type != COMMAND_UNSUBSCRIBE && question->type != COMMAND_PING);
	CHECK(question->type != COMMAND_PUBLISH || !question->is_settled);
	seen.refused++;
	if (!question->is_first || question->refusal != ERROR_NONE)
		return;
	CHECK(client->following[question->channel].state == ASKED);
	unfollow(client, question->channel, false);
	/* Who asked again meanwhile has nothing to follow. */
	cancel_asked(client, question->channel);
}

/* What it counts for among SESSION_REQUESTS_MAX. */
static uint32_t weight_of(const struct question *question)
{
	bool is_page = question->type == COMMAND_HISTORY || question->type == COMMAND_PRESENCE;
	return is_page ? SESSION_REQUESTS_MAX / 2 : 1;
}

static void event_check(struct client *client, const struct hub_event *event)
{
	struct question *question = world.question;
	CHECK(question != NULL);
	CHECK(question->client == client);
	CHECK(question->generation == client->generation);
	CHECK(slice_is(event->ref, question->ref));
	CHECK(!question->is_answered);
	question->is_answered = true;
	client->unanswered -= weight_of(question);
	if (event->type == EVENT_ERROR && event->error == ERROR_UNAVAILABLE) {
		unavailable_answered(client, question);
	} else if (question->refusal != ERROR_NONE) {
		CHECK(event->type == EVENT_ERROR);
		CHECK(event->error == question->refusal);
		CHECK(slice_is(event->channel, world.channels[question->channel].name));
	} else if (question->type == COMMAND_SUBSCRIBE) {
		subscribe_answered(client, question, event);
	} else if (question->type == COMMAND_PUBLISH) {
		publish_answered(question, event);
	} else if (question->type == COMMAND_HISTORY) {
		history_answered(question, event);
	} else if (question->type == COMMAND_PRESENCE) {
		presence_answered(question, event);
	} else if (question->type == COMMAND_UNSUBSCRIBE) {
		CHECK(event->type == EVENT_UNSUBSCRIBED);
	} else {
		CHECK(event->type == EVENT_PONG);
	}
}

/* ---- presence ---- */

static uint32_t user_by_name(struct slice name)
{
	uint32_t i = 0;
	while (!slice_is(name, user_names[i])) {
		i++;
		CHECK(i < USERS);
	}
	return i;
}

/* A list of all, or how many there are: it takes the place of whatever was known. */
static void view_set(struct view *view, const struct turnout *turnout)
{
	*view = (struct view){.is_watching = view->is_watching,
	                      .is_shown = true,
	                      .has_names = turnout->has_names,
	                      .count = turnout->occupant_count};
	CHECK(!turnout->has_names || turnout->count == turnout->occupant_count);
	for (uint32_t i = 0; turnout->has_names && i < turnout->count; i++) {
		const struct turnout_entry *entry = &turnout->entries[i];
		uint32_t user = user_by_name(turnout_user(entry));
		CHECK(entry->is_present);
		CHECK(!view->is_present[user]);
		view->is_present[user] = true;
	}
}

/* Each comes who was not there, and goes who was; oneself is not told of. */
static void view_change(struct view *view, const struct client *client,
                        const struct hub_event *event)
{
	bool *is_present = &view->is_present[user_by_name(event->user)];
	CHECK(view->is_shown);
	CHECK(view->has_names);
	CHECK(user_by_name(event->user) != client->user);
	CHECK(*is_present == (event->type == EVENT_LEFT));
	*is_present = !*is_present;
	view->count += event->type == EVENT_JOINED ? 1u : UINT32_MAX;
	seen.joined += event->type == EVENT_JOINED;
	seen.left += event->type == EVENT_LEFT;
}

static void told_presence(struct client *client, const struct hub_event *event)
{
	uint32_t channel = channel_by_name(event->channel);
	struct view *view = &client->following[channel].view;
	CHECK(session_takes(&client->session));
	CHECK(event->ref.len == 0);
	CHECK(client->following[channel].state == FOLLOWING);
	CHECK(view->is_watching);
	if (event->type != EVENT_PRESENCE) {
		view_change(view, client, event);
		return;
	}
	view_set(view, event->turnout);
	CHECK(view->has_names == (world.channels[channel].rule->presence == RULE_PRESENCE_FULL));
	/* Nobody who asks is told that there is nobody. */
	CHECK(client->user == USERS || view->count > 0);
	CHECK(client->user == USERS || !view->has_names || view->is_present[client->user]);
	seen.shown += view->has_names;
	seen.numbers += !view->has_names;
}

static void presence_answered(const struct question *question, const struct hub_event *event)
{
	struct view view = {.is_watching = false};
	CHECK(event->type == EVENT_PRESENCE);
	CHECK(slice_is(event->channel, world.channels[question->channel].name));
	view_set(&view, event->turnout);
	seen.asked++;
}

/* It subscribed, and wanted to be told what the channel has not. */
static bool is_told_without(const struct client *client, const struct hub_event *event)
{
	const struct question *question = world.question;
	bool is_it = event->type == EVENT_ERROR && event->error == ERROR_NOT_FOUND &&
	             question != NULL && question->is_answered && question->wants_presence &&
	             question->client == client && !has_presence(question->channel);
	seen.without += is_it;
	return is_it;
}

/* It could not be made a watcher. */
static bool is_told_unavailable(struct client *client, const struct hub_event *event)
{
	const struct question *question = world.question;
	bool is_it = event->type == EVENT_ERROR && event->error == ERROR_UNAVAILABLE &&
	             question != NULL && question->is_answered && question->wants_presence &&
	             question->client == client;
	if (!is_it)
		return false;
	CHECK(has_memory_failed());
	client->following[question->channel].view.is_watching = false;
	return true;
}

static bool is_of_presence(const struct hub_event *event)
{
	bool is_answer = world.question != NULL && world.question->type == COMMAND_PRESENCE &&
	                 !world.question->is_answered;
	return event->type == EVENT_JOINED || event->type == EVENT_LEFT ||
	       (event->type == EVENT_PRESENCE && !is_answer);
}

static void out_event(struct hub_out *out, struct session *session, const struct hub_event *event)
{
	struct client *client = client_of(session);
	CHECK(&client->worker->out == out);
	failing_pause();
	if (event->type == EVENT_GAP)
		told_gap(client, event);
	else if (is_of_presence(event))
		told_presence(client, event);
	else if (!is_told_without(client, event) && !is_told_unavailable(client, event))
		event_check(client, event);
	failing_resume();
}

/* ---- deliveries ---- */

static void record_seen(struct client *client, uint32_t channel, const struct record *record,
                        uint64_t head)
{
	struct reader *reader = &client->following[channel].reader;
	uint64_t before = reader->seen > reader->begun ? reader->seen : reader->begun;
	uint64_t lacks = reader_is_given(reader, record->seq, head, world.now_ms);
	model_hear(record, &world.channels[channel], reader->era, record->seq);
	seen.left_out += record->seq > before && record->seq - before - 1 > lacks;
	seen.throttled += reader_is_throttled(reader) ? lacks : 0;
	seen.conflated += reader_is_throttled(reader) ? 0 : lacks;
	seen.first += record->seq <= reader->begun;
}

static size_t out_deliver(struct hub_out *out, struct session *session,
                          const struct delivery *delivery)
{
	struct client *client = client_of(session);
	uint32_t channel = channel_index(delivery->channel);
	CHECK(&client->worker->out == out);
	CHECK(session_takes(session));
	CHECK(delivery->follower->session == session);
	CHECK(delivery->count > 0);
	CHECK(delivery->count <= WALK_RECORDS_MAX);
	CHECK(client->following[channel].state == FOLLOWING);

	size_t taken = delivery->count;
	if (!world.is_calm && chance(world.scenario->stall_percent)) {
		taken = below((uint32_t)taken + 1);
		session->is_blocked = true;
		session->is_ended = chance(5); /* it broke */
		seen.taken_in_part++;
	}
	uint64_t head = log_next(&delivery->channel->log) - 1;
	for (size_t i = 0; i < taken; i++)
		record_seen(client, channel, delivery->records[i], head);
	client->worker->delivered += taken;
	return taken;
}

/* The count itself is held against the model in worker_check(). */
static void out_answered(struct hub_out *out, struct session *session)
{
	(void)out;
	CHECK(!session->is_ended);
}

static void out_end(struct hub_out *out, struct session *session, enum hub_end why)
{
	struct client *client = client_of(session);
	CHECK(&client->worker->out == out);
	CHECK(!session->is_ended);
	session->is_ended = true;
	if (why == HUB_END_NO_MEMORY) {
		CHECK(has_memory_failed());
		seen.abandoned++;
		return;
	}
	client->was_slow = true;
	client->worker->ended++;
	seen.slow++;
}

/* Bytes that its worker has for the client, but for what it asked for by a cursor. */
static uint64_t lag_of(const struct client *client)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < CHANNELS; i++) {
		const struct reader *reader = &client->following[i].reader;
		if (client->following[i].state != FOLLOWING)
			continue;
		uint64_t from =
			reader->seen > reader->replay_end ? reader->seen : reader->replay_end;
		bytes += model_bytes_between(reader->era, from, client->worker->known[i].head);
	}
	return bytes;
}

static struct slab_handle out_handle(struct hub_out *out, const struct session *session)
{
	const struct client *client = CONTAINER_OF(session, const struct client, session);
	CHECK(&client->worker->out == out);
	return (struct slab_handle){(uint32_t)(client - world.clients), client->generation};
}

static struct session *out_find(struct hub_out *out, struct slab_handle handle)
{
	CHECK(handle.index < CLIENTS);
	struct client *client = &world.clients[handle.index];
	bool is_there = client->is_open && client->generation == handle.generation;
	CHECK(!is_there || &client->worker->out == out);
	seen.found_none += !is_there;
	return is_there ? &client->session : NULL;
}

/* ---- letters ---- */

/* The records that come with the answer to a MAIL_FOLLOW. */
static void followed_check(const struct question *question, const struct mail_answer *answer)
{
	const struct model_channel *channel = &world.channels[question->channel];
	const struct model_position *position = &question->position;
	CHECK(answer->from == position->from);
	if (!answer->is_latest) {
		CHECK(answer->count == position->head - position->from);
		records_check(answer->records, answer->count, question, position->from + 1);
		return;
	}
	bool wants_all = channel->rule->deliver_last && !question->has_since;
	struct model_list latest =
		model_latest(channel, wants_all ? 0 : position->from, world.now_ms);
	CHECK(answer->count == latest.count);
	for (uint32_t i = 0; i < latest.count; i++)
		model_hear(answer->records[i], channel, channel->era, latest.seq[i]);
}

/* An answer leaves the agent: what it says is held against the model at this moment. */
static void letter_check(const struct hub_mail *mail)
{
	struct question *question = world.question;
	if (mail->error != ERROR_NONE) {
		CHECK(mail->error == ERROR_UNAVAILABLE);
		CHECK(has_memory_failed());
		return;
	}
	switch ((enum mail_kind)mail->kind) {
	case MAIL_PUBLISHED:
		question_settle(question, mail->epoch);
		CHECK(mail->seq == question->seq);
		CHECK(mail->is_duplicate == question->is_duplicate);
		break;
	case MAIL_FOLLOWED:
		question_settle(question, mail->epoch);
		CHECK(mail->seq == question->position.head);
		followed_check(question, mail->answer);
		break;
	case MAIL_HISTORY_READY:
		question_settle(question, mail->epoch);
		break;
	case MAIL_PUBLISH:
	case MAIL_FOLLOW:
	case MAIL_HISTORY:
	case MAIL_UNFOLLOW:
	case MAIL_RECORD:
	case MAIL_REBASED:
	case MAIL_ENTERED:
	case MAIL_LEFT:
	case MAIL_PRESENCE:
	case MAIL_PRESENCE_SHOWN:
	case MAIL_NEWS:
	case MAIL_UNWATCH:
		break;
	}
}

/* "A join of one member costs one diff per worker and interval." */
static void news_check(uint32_t to, const struct turnout *news)
{
	uint32_t channel = channel_by_name(turnout_channel(news));
	uint64_t *before_ms = &world.news_ms[channel][to];
	CHECK(*before_ms == 0 || world.now_ms - *before_ms >= PRESENCE_INTERVAL_MS);
	*before_ms = world.now_ms;
}

static bool is_about_question(const struct hub_mail *mail)
{
	switch ((enum mail_kind)mail->kind) {
	case MAIL_UNFOLLOW:
	case MAIL_RECORD:
	case MAIL_ENTERED:
	case MAIL_LEFT:
	case MAIL_NEWS:
	case MAIL_UNWATCH:
		return false;
	case MAIL_PRESENCE:
		return !mail->ask->is_watch;
	case MAIL_PRESENCE_SHOWN:
		return world.question != NULL;
	default:
		return true;
	}
}

static void out_post(struct hub_out *out, uint32_t to, const struct hub_mail *mail)
{
	uint32_t from = index_of(CONTAINER_OF(out, struct worker, out));
	failing_pause();
	CHECK(to != from);
	CHECK(to < world.scenario->workers);
	CHECK(mail->from == from);
	letter_check(mail);
	if (mail->kind == MAIL_NEWS)
		news_check(to, mail->turnout);
	bool is_about_it = is_about_question(mail);
	struct letter letter = {*mail, is_about_it ? world.question : NULL};
	CHECK(!is_about_it || letter.question != NULL);
	buf_append(&world.queues[from][to], &letter, sizeof(letter));
	CHECK(!world.queues[from][to].is_broken);
	world.letters_posted++;
	failing_resume();
}

static bool out_has_room(struct hub_out *out)
{
	(void)out;
	bool has_room = world.is_calm || !chance(world.scenario->full_percent);
	world.is_short |= !has_room;
	return has_room;
}

static void hub_enter(struct worker *worker)
{
	hub_set_time(worker->hub, world.now_ms, (world.now_ms + UNIX_MS_AHEAD) * 1000);
	worker->is_entered = true;
}

/* A client that was ended while it waited gets no answer, nor one that wants none. */
static void question_forget(struct question *question)
{
	struct client *client = question->client;
	if (question->is_answered || !client->is_open || client->generation != question->generation)
		return;
	CHECK(client->session.is_ended || question->is_unanswered);
	question->is_answered = true;
	client->unanswered -= weight_of(question);
}

/* "What `since` or `deliver_last` bring follows at once"; only a throttle may keep some back. */
static void subscribed_check(void)
{
	const struct client *client = world.subscribed;
	world.subscribed = NULL;
	if (client == NULL || !session_takes(&client->session))
		return;
	const struct reader *reader = &client->following[world.subscribed_to].reader;
	uint64_t head = head_at(client->worker, world.subscribed_to);
	if (!reader_is_throttled(reader) || reader->first.count > 0)
		CHECK(reader_may_lack_until(reader, reader->replay_end + 1, head, world.now_ms));
}

static void letter_deliver(uint32_t from, uint32_t to)
{
	struct letter letter;
	struct buf *queue = &world.queues[from][to];
	CHECK(queue->len >= sizeof(letter));
	memcpy(&letter, queue->at, sizeof(letter));
	buf_use(queue, sizeof(letter));
	const enum mail_kind kind = letter.mail.kind;

	hub_enter(&world.workers[to]);
	world.question = letter.question;
	world.letters_posted = 0;
	memory_fails();
	hub_receive(world.workers[to].hub, &letter.mail);
	has_memory_failed();
	world.question = NULL;
	subscribed_check();
	uint32_t others = world.scenario->workers - 1;
	/* What was owed may come to it. */
	CHECK(world.scenario->full_percent > 0 ||
	      world.letters_posted <= 1 + (kind == MAIL_PUBLISH ? others : kind == MAIL_FOLLOWED));
	if (kind == MAIL_PUBLISHED || kind == MAIL_FOLLOWED || kind == MAIL_HISTORY_READY ||
	    (kind == MAIL_PRESENCE_SHOWN && letter.question != NULL))
		question_forget(letter.question);
}

static bool letter_is_any(void)
{
	for (uint32_t from = 0; from < world.scenario->workers; from++) {
		for (uint32_t to = 0; to < world.scenario->workers; to++) {
			if (world.queues[from][to].len > 0)
				return true;
		}
	}
	return false;
}

/* False: none is on its way. */
static bool letter_deliver_any(void)
{
	uint32_t workers = world.scenario->workers;
	uint32_t start = below(workers * workers);
	for (uint32_t i = 0; i < workers * workers; i++) {
		uint32_t pair = (start + i) % (workers * workers);
		if (world.queues[pair / workers][pair % workers].len > 0) {
			letter_deliver(pair / workers, pair % workers);
			return true;
		}
	}
	return false;
}

/* ---- clients ---- */

static void client_open(struct client *client)
{
	static const uint8_t partings[] = {PARTING_LOST, PARTING_LOST, PARTING_POLLED,
	                                   PARTING_LEFT};
	uint32_t generation = client->generation + 1;
	uint32_t user = chance(70) ? below(USERS) : USERS;
	*client = (struct client){
		.is_open = true,
		.generation = generation,
		.worker = &world.workers[below(world.scenario->workers)],
		.session.is_backend = chance(20),
		.session.is_held = chance(10),
		.session.parting = partings[below(COUNT_OF(partings))] & 3u,
		.session.claims = world.claims[user],
		.user = user,
	};
	client->number = hub_session_number(client->worker->hub, &client->session);
}

/* Grace begins with the last connection that is lost. */
static void unfollow(struct client *client, uint32_t channel, bool is_lost)
{
	struct following *following = &client->following[channel];
	if (following->state == FOLLOWING && client->user < USERS) {
		uint64_t grace = world.channels[channel].rule->presence_grace_ms;
		bool is_poll = client->session.parting == PARTING_POLLED;
		if (is_poll && grace < PRESENCE_POLL_MS)
			grace = PRESENCE_POLL_MS;
		world.away_ms[channel][client->user] = world.now_ms + (is_lost ? grace : 0);
	}
	following->view = (struct view){.is_watching = false};
	if (following->state == FOLLOWING) {
		CHECK(world.channels[channel].followers > 0);
		world.channels[channel].followers--;
		world.channels[channel].used_ms = world.now_ms;
	}
	following->state = NOT_FOLLOWING;
}

static void client_close(struct client *client)
{
	hub_enter(client->worker);
	hub_session_close(client->worker->hub, &client->session);
	for (uint32_t i = 0; i < CHANNELS; i++)
		unfollow(client, i, client->session.parting != PARTING_LEFT);
	client->is_open = false;
}

static void client_ready(struct client *client)
{
	client->session.is_blocked = client->session.is_held = false;
	hub_enter(client->worker);
	hub_session_ready(client->worker->hub, &client->session);
}

static uint32_t channels_of(const struct client *client)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < CHANNELS; i++)
		count += client->following[i].state != NOT_FOLLOWING;
	return count;
}

/* ---- questions ---- */

static struct question *question_make(struct client *client, enum command_type type)
{
	struct question *question = calloc(1, sizeof(*question));
	CHECK(question != NULL);
	question->before = world.questions;
	world.questions = question;
	question->client = client;
	question->generation = client->generation;
	question->channel = below(CHANNELS);
	question->type = type;
	if (!chance(10)) /* short and long ones, and none */
		snprintf(question->ref, sizeof(question->ref), "%0*u", chance(70) ? 6 : 60,
		         below(1000000));
	return question;
}

/* A cursor of any kind that a client can come with. */
static struct cursor any_cursor(const struct client *client, uint32_t channel)
{
	const struct model_era *era = world.channels[channel].era;
	if (chance(20))
		return (struct cursor){.is_start = true};
	if (era == NULL || chance(5))
		return (struct cursor){.epoch = below(2) * 4711, .seq = below(3)};
	if (era->before != NULL && chance(20))
		return (struct cursor){.epoch = era->before->epoch,
		                       .seq = below((uint32_t)era->before->count + 1)};
	uint64_t head = era->count, seq = below((uint32_t)head + 1);
	if (chance(30))
		seq = head - below(head < 5 ? (uint32_t)head + 1 : 5);
	if (chance(5))
		seq = chance(50) ? head + 1 + below(3) : UINT64_MAX;
	if (client->following[channel].reader.era == era && chance(40))
		seq = client->following[channel].reader.seen;
	return (struct cursor){.epoch = era->epoch, .seq = seq};
}

/* Nothing was said, but it was published, or found to be so already. */
static void silence_settle(struct question *question)
{
	const struct hub *hub = question->client->worker->hub;
	struct slice name = slice_string(world.channels[question->channel].name);
	const struct channel *channel = hub_find(hub, name, hub_hash(hub, name));
	CHECK(!question->is_answered);
	CHECK(channel != NULL);
	question_settle(question, channel->epoch);
	CHECK(log_next(&channel->log) == question->era->count + 1);
	question->is_answered = true;
	question->client->unanswered -= weight_of(question);
	seen.unanswered++;
}

static void question_ask(struct question *question, struct hub_command *command)
{
	struct client *client = question->client;
	command->type = question->type;
	command->ref = slice_string(question->ref);
	command->channel = slice_string(world.channels[question->channel].name);
	command->since = question->since;
	command->has_since = question->has_since;

	bool is_here = question->refusal != ERROR_NONE || question->type == COMMAND_UNSUBSCRIBE ||
	               question->type == COMMAND_PING ||
	               agent_of(question->channel) == client->worker ||
	               client->following[question->channel].state == FOLLOWING;
	client->unanswered += weight_of(question);
	world.question = question;
	hub_enter(client->worker);
	memory_fails();
	hub_execute(client->worker->hub, &client->session, command);
	has_memory_failed();
	if (question->is_unanswered && !question->is_answered &&
	    agent_of(question->channel) == client->worker)
		silence_settle(question);
	world.question = NULL;
	subscribed_check();
	CHECK(question->is_answered || !is_here || question->type != COMMAND_SUBSCRIBE);
	CHECK(question->is_answered || agent_of(question->channel) != client->worker);
}

static void ask_subscribe(struct client *client)
{
	struct question *question = question_make(client, COMMAND_SUBSCRIBE);
	struct following *following = &client->following[question->channel];
	question->has_since = chance(60);
	if (question->has_since)
		question->since = any_cursor(client, question->channel);
	question->wants_presence = chance(50);
	if (following->state == NOT_FOLLOWING) {
		if (channels_of(client) == CHANNELS_PER_SESSION)
			question->refusal = ERROR_TOO_MANY_CHANNELS;
		else
			following->state = ASKED;
		question->is_first = true;
		seen.too_many += question->refusal != ERROR_NONE;
	}
	question_ask(question, &(struct hub_command){.wants_presence = question->wants_presence});
}

/* Subscribing that was not answered yet has been given up. */
static void cancel_asked(struct client *client, uint32_t channel)
{
	for (struct question *other = world.questions; other != NULL; other = other->before) {
		if (other->client == client && other->generation == client->generation &&
		    other->channel == channel && other->type == COMMAND_SUBSCRIBE &&
		    !other->is_answered) {
			other->refusal = ERROR_NOT_SUBSCRIBED;
			seen.cancelled++;
		}
	}
}

static void ask_unsubscribe(struct client *client)
{
	struct question *question = question_make(client, COMMAND_UNSUBSCRIBE);
	uint32_t channel = question->channel;
	if (client->following[channel].state == NOT_FOLLOWING)
		question->refusal = ERROR_NOT_SUBSCRIBED;
	else
		cancel_asked(client, channel);
	question_ask(question, &(struct hub_command){0});
	CHECK(question->is_answered);
	unfollow(client, channel, false);
}

static uint64_t any_session_number(void)
{
	const struct client *other = &world.clients[below(CLIENTS)];
	return other->is_open ? other->number : 0;
}

/* Few keys are used often, and some again while the first is still on its way. */
static uint64_t any_once(void)
{
	if (chance(100 - world.scenario->again_percent) && chance(90))
		return 0;
	uint64_t back = chance(70) ? below(4) : below(2000);
	return chance(40) || world.next_once <= back ? ++world.next_once : world.next_once - back;
}

static void ask_publish_to(struct client *client, uint32_t channel, uint64_t once)
{
	struct question *question = question_make(client, COMMAND_PUBLISH);
	struct hub_command command = {.is_unechoed = chance(20)};
	question->channel = channel;
	if (client->session.is_backend) {
		command.except = chance(30) ? any_session_number() : 0;
		command.user = chance(50) ? SLICE("bob") : slice_of(NULL, 0);
	}
	struct slice user =
		client->session.is_backend ? command.user : session_user(&client->session);
	question->said = (struct model_said){
		.number = ++world.next_number,
		.except = command.is_unechoed ? client->number : command.except,
		.once = once,
		.user = user.len == 0                ? NULL
	                : client->session.is_backend ? "bob"
	                                             : user_names[client->user],
		.len = chance(90) ? below(300) : below(MODEL_PAYLOAD_MAX),
		.key = (uint8_t)(chance(60) ? below(MODEL_KEYS) : below(2)),
		.event = (uint8_t)(chance(30) ? below(3) : 0),
		.is_binary = chance(10),
	};
	struct model_words words;
	model_write(&words, &question->said, &world.channels[channel]);
	question->said.bytes = model_bytes(&words);
	question->is_unanswered = question->said.is_binary && chance(80);
	command.is_unanswered = question->is_unanswered;
	command.publication = words.publication;
	question_ask(question, &command);
}

static void world_check(void);

static void ask_publish(struct client *client)
{
	uint32_t channel = below(CHANNELS);
	ask_publish_to(client, channel, any_once());
	if (!chance(world.scenario->burst_percent))
		return;
	for (uint32_t left = below(500); left > 0 && !client->session.is_ended; left--) {
		world_check();
		ask_publish_to(client, channel, any_once());
	}
}

static void ask_history(struct client *client)
{
	struct question *question = question_make(client, COMMAND_HISTORY);
	struct hub_command command = {.has_limit = chance(70), .limit = below(20)};
	question->limit = command.has_limit ? command.limit : HISTORY_LIMIT_DEFAULT;
	question->has_since = chance(50);
	if (question->has_since)
		question->since = any_cursor(client, question->channel);
	question_ask(question, &command);
}

static void ask_presence(struct client *client)
{
	struct question *question = question_make(client, COMMAND_PRESENCE);
	if (!has_presence(question->channel))
		question->refusal = ERROR_NOT_FOUND;
	question_ask(question, &(struct hub_command){0});
}

/* ---- time ---- */

static void time_passes(uint64_t ms)
{
	world.now_ms += ms;
	for (uint32_t i = 0; i < world.scenario->workers; i++) {
		struct worker *worker = &world.workers[i];
		struct timer *timer;
		hub_enter(worker);
		while ((timer = timer_take_due(&worker->wheel, world.now_ms)) != NULL)
			hub_timer(worker->hub, timer);
	}
}

/* As long as a loop would wait. */
static void time_passes_to_timer(void)
{
	uint64_t wait = 1000;
	for (uint32_t i = 0; i < world.scenario->workers; i++) {
		uint64_t left = timer_wait_ms(&world.workers[i].wheel, world.now_ms);
		wait = left < wait ? left : wait;
	}
	time_passes(wait);
}

static void time_passes_somehow(void)
{
	uint32_t what = below(100);
	if (what < 25)
		time_passes_to_timer();
	else if (what < 55)
		time_passes(below(20));
	else
		time_passes(below(what < 80 ? 1500 : world.scenario->jump_ms_max));
}

/* ---- what holds at every moment ---- */

struct standing {
	uint32_t count;
	uint64_t first; /* the lowest position of a follower */
};

/* Where the hub says that the follower stands it has been given everything that it must. */
static void position_check(const struct follower *follower, uint64_t head)
{
	uint32_t channel = channel_index(follower->channel);
	const struct client *client = client_of(follower->session);
	const struct following *following = &client->following[channel];
	if (follower->is_in_prelude || follower->is_dropping)
		return; /* more of what is before comes first, or the gap */
	CHECK(following->state == FOLLOWING);
	CHECK(reader_may_lack_until(&following->reader, follower->next, head, world.now_ms));
}

/* It takes all it gets, so who publishes has to wait for it. */
static void lag_check(const struct channel *channel, const struct follower *follower)
{
	uint64_t bytes = channel_bytes_from(channel, follower->next);
	uint64_t most = world.scenario->outbound_bytes_max;
	CHECK(log_next(&channel->log) - follower->next <= channel->backlog);
	CHECK(bytes <= most || channel->is_behind);
	CHECK(bytes / 2 <= most || channel->is_far_behind);
}

static void follower_check(const struct channel *channel, const struct follower *follower,
                           struct standing *standing)
{
	const struct log *log = &channel->log;
	CHECK(follower->channel == channel);
	CHECK(follower->next <= log_next(log));
	position_check(follower, log_next(log) - 1);
	/* Behind, it waits for a walk that is due, or for its session. */
	if (follower->state == FOLLOWER_STUCK)
		CHECK(!session_takes(follower->session));
	else if (follower->next < log_next(log))
		CHECK(list_is_linked(&channel->dirty) ||
		      (channel_is_throttled(channel) && timer_is_armed(&channel->keyed->timer)));
	if (!follower_stands(follower))
		return;
	if (follower->state == FOLLOWER_LIVE)
		lag_check(channel, follower);
	CHECK(follower->next >= log_first(log));
	standing->count++;
	if (follower->next < standing->first)
		standing->first = follower->next;
}

static void list_check(const struct channel *channel, const struct list *list,
                       enum follower_state state, struct standing *standing)
{
	struct list_node *node = list_first(list);
	for (; node != NULL; node = list_after(list, node)) {
		struct follower *follower = CONTAINER_OF(node, struct follower, in_channel);
		CHECK(follower->state == state);
		follower_check(channel, follower, standing);
	}
}

/* History goes when it is too old, even where nothing happens. */
static void age_check(const struct channel *channel, uint64_t first_wanted)
{
	uint64_t first = log_first(&channel->log), ttl = channel->rule->history_ttl_ms;
	if (first < first_wanted)
		CHECK(log_age_ms(&channel->log, world.now_ms) < ttl + KEPT_OVER_MS_MAX);
}

/* An agent keeps what history holds, and what somebody waits for; a tail only the latter. */
static void kept_check(const struct channel *channel, uint64_t first_wanted)
{
	const struct model_channel *model = &world.channels[channel_index(channel)];
	uint64_t first = log_first(&channel->log), next = log_next(&channel->log);
	bool is_due = list_is_linked(&channel->dirty); /* is trimmed behind the walk */
	if (channel->is_agent) {
		bool is_present = model->era != NULL && model->era->epoch == channel->epoch;
		CHECK(!is_present || next == model->era->count + 1);
		CHECK(!is_present || first <= model_oldest(model, world.now_ms));
		uint64_t size = model->rule->history_size;
		uint64_t by_size = next > size ? next - size : 1;
		CHECK(is_due || first >= (by_size < first_wanted ? by_size : first_wanted));
		if (!is_due)
			age_check(channel, first_wanted);
	} else {
		CHECK(is_due || first == first_wanted);
	}
}

/* One of each key, not too many, in order, and nothing that is said to be lost. */
static void latest_check(const struct channel *channel)
{
	struct latest *latest = &channel->keyed->latest;
	const struct latest_entry *entry = latest_from(latest, 0);
	uint64_t before = latest->lost;
	uint32_t count = 0;
	for (; entry != NULL; entry = latest_after(latest, entry)) {
		CHECK(entry->record->seq > before);
		before = entry->record->seq;
		count++;
	}
	CHECK(before < log_next(&channel->log));
	CHECK(count == latest->count);
	CHECK(count <= channel->rule->max_keys);
	if (!list_is_linked(&channel->dirty))
		CHECK(latest_age_ms(latest, world.now_ms) <
		      channel->rule->history_ttl_ms + KEPT_OVER_MS_MAX);
}

static uint32_t followers_by_model(const struct worker *worker, const struct channel *channel)
{
	uint32_t i = channel_index(channel), count = 0;
	for (const struct client *client = world.clients; client < world.clients + CLIENTS;
	     client++)
		count += client->is_open && client->worker == worker &&
		         client->following[i].state != NOT_FOLLOWING;
	return count;
}

/* By what those lack that take all they get publishers may have to wait; and only by that. */
static void backlog_check(const struct channel *channel)
{
	CHECK(channel->backlog_passed <= channel->backlog);
	CHECK(channel->backlog == 0 || list_is_linked(&channel->dirty));
	CHECK(channel->backlog > 0 || !channel->is_behind);
	CHECK(channel->is_behind || !channel->is_far_behind);
	seen.behind += channel->is_behind;
	seen.far_behind += channel->is_far_behind;
}

static void channel_check(struct worker *worker, const struct channel *channel)
{
	const struct log *log = &channel->log;
	struct standing standing = {.first = log_next(log)};
	CHECK(channel_by_name(channel_name(channel)) == channel_index(channel));
	list_check(channel, &channel->live, FOLLOWER_LIVE, &standing);
	list_check(channel, &channel->stuck, FOLLOWER_STUCK, &standing);
	CHECK(followers_by_model(worker, channel) == channel->follower_count);
	uint32_t counted = log->standing;
	for (uint64_t seq = log_first(log); seq < log_next(log); seq++)
		counted += log_entry(log, seq)->standing;
	CHECK(counted == standing.count);
	kept_check(channel, standing.first);
	backlog_check(channel);
	if (channel->keyed != NULL)
		latest_check(channel);
	CHECK(channel->duplicates == NULL || channel->duplicates->count <= DUPLICATES_MAX);

	struct known *known = &worker->known[channel_index(channel)];
	uint64_t head = log_next(log) - 1;
	known->is_appended = known->epoch == channel->epoch && head > known->head;
	known->epoch = channel->epoch;
	known->head = head;
}

/* ---- who is present ---- */

/* Connections of that user whose subscriptions were answered; or those of them that go on. One that
 * could not be entered for want of memory was ended. */
static uint32_t connections_of(uint32_t channel, uint32_t user, bool that_end)
{
	uint32_t count = 0;
	for (const struct client *client = world.clients; client < world.clients + CLIENTS;
	     client++)
		count += client->is_open && client->user == user &&
		         (that_end || !client->session.is_ended) &&
		         client->following[channel].state == FOLLOWING;
	return count;
}

static const struct presence *presence_at_agent(uint32_t channel)
{
	const struct hub *hub = agent_of(channel)->hub;
	struct slice name = slice_string(world.channels[channel].name);
	const struct channel *found = hub_find(hub, name, hub_hash(hub, name));
	return found == NULL ? NULL : presence_of(hub, found);
}

/* What the agent has of each user; `away_ms` is where that is known. */
static void occupants_check(uint32_t channel, bool is_exact)
{
	const struct presence *presence = presence_at_agent(channel);
	uint32_t connections[USERS] = {0};
	bool is_present[USERS] = {false};
	for (uint32_t i = 0; presence != NULL && i < occupants_span(&presence->occupants); i++) {
		const struct occupant *one = occupants_at(&presence->occupants, i);
		for (; one != NULL; one = occupants_after(one)) {
			uint32_t user = user_by_name(occupant_user(one));
			connections[user] = occupant_connections(one);
			is_present[user] = one->is_present;
			CHECK(!one->is_present || connections[user] > 0 ||
			      list_is_linked(&one->in_leaving));
		}
	}
	for (uint32_t user = 0; user < USERS; user++) {
		uint32_t known = connections_of(channel, user, false);
		uint32_t most = connections_of(channel, user, true);
		bool is_leaving = world.now_ms < world.away_ms[channel][user] ||
		                  world.now_ms - world.away_ms[channel][user] < 2 * TIMER_TICK_MS;
		CHECK(connections[user] >= known);
		CHECK(connections[user] <= most);
		CHECK(is_present[user] || known == 0);
		if (!is_exact)
			continue;
		CHECK(!is_present[user] || connections[user] > 0 || is_leaving);
		CHECK(is_present[user] || world.scenario->lingering_max > 0 ||
		      world.now_ms >= world.away_ms[channel][user]);
	}
}

/* Of a worker by itself it is known at each moment; unless somebody may not have entered. */
static void presence_check(void)
{
	if (world.scenario->workers > 1 || world.scenario->failing_percent > 0)
		return;
	for (uint32_t i = 0; i < CHANNELS; i++) {
		if (has_presence(i))
			occupants_check(i, true);
	}
}

/* Whoever is told of a channel knows who is there. */
static void view_check(const struct client *client, uint32_t channel)
{
	const struct presence *presence = presence_at_agent(channel);
	const struct view *view = &client->following[channel].view;
	CHECK(view->is_shown);
	CHECK(presence != NULL);
	CHECK(view->count == presence->occupants.count);
	for (uint32_t user = 0; view->has_names && user < USERS; user++) {
		bool is_known = view->is_present[user];
		bool is_present = connections_of(channel, user, false) > 0;
		CHECK(is_known || !is_present);
	}
}

static void views_check(void)
{
	for (uint32_t i = 0; i < CHANNELS; i++) {
		if (has_presence(i))
			occupants_check(i, false);
	}
	for (const struct client *client = world.clients; client < world.clients + CLIENTS;
	     client++) {
		for (uint32_t i = 0; client->is_open && i < CHANNELS; i++) {
			if (client->following[i].state == FOLLOWING &&
			    client->following[i].view.is_watching)
				view_check(client, i);
		}
	}
}

static void counters_check(const struct worker *worker, uint32_t channels, uint32_t followers)
{
	const struct hub_counters *counters = hub_counters(worker->hub);
	CHECK(counters->channels == channels);
	CHECK(counters->followers == followers);
	CHECK(counters->published == worker->published);
	CHECK(counters->duplicates == worker->duplicates);
	CHECK(counters->delivered == worker->delivered);
	CHECK(counters->slow_disconnected == worker->ended);
}

/* What nobody needs can make room. */
static bool lingers_as_it_should(const struct hub *hub, const struct channel *channel)
{
	if (!channel->is_agent)
		return !list_is_linked(&channel->lingering);
	return list_is_linked(&channel->lingering) || channel_is_followed(channel) ||
	       channel_holds_any(channel) ||
	       (channel->has_presence && presence_is_held(hub, channel));
}

static void worker_check(struct worker *worker)
{
	const struct hub *hub = worker->hub;
	uint32_t channels = 0, followers = 0, behind = 0, far_behind = 0, dirty = 0, lingering = 0;
	for (uint32_t i = 0; i < CHANNELS; i++)
		worker->known[i].is_appended = false;
	for (size_t i = 0; i < map_buckets(&hub->table); i++) {
		struct map_node *node = map_bucket(&hub->table, i);
		for (; node != NULL; node = node->next) {
			const struct channel *channel =
				CONTAINER_OF(node, struct channel, in_table);
			channel_check(worker, channel);
			channels += channel->is_agent; /* the others are its tails */
			behind += channel->is_behind;
			far_behind += channel->is_far_behind;
			dirty += list_is_linked(&channel->dirty);
			lingering += list_is_linked(&channel->lingering);
			CHECK(lingers_as_it_should(hub, channel));
		}
	}
	CHECK(hub_dirty_channels(hub) == dirty);
	CHECK(hub->lingering_count == lingering);
	CHECK(hub_pace(hub) == (far_behind > 0 ? HUB_IS_FAR_BEHIND
	                        : behind > 0   ? HUB_IS_BEHIND
	                                       : HUB_KEEPS_UP));
	for (const struct client *client = world.clients; client < world.clients + CLIENTS;
	     client++) {
		if (client->is_open && client->worker == worker) {
			CHECK(client->session.is_ended ||
			      client->session.request_count == client->unanswered);
			CHECK(client->session.follower_count == channels_of(client));
			followers += channels_of(client);
		}
	}
	counters_check(worker, channels, followers);
}

/* Bytes that lie in logs because this client does not take them. */
static uint64_t kept_for(const struct client *client)
{
	uint64_t bytes = 0;
	const struct follower *follower = client->session.first;
	for (; follower != NULL; follower = follower->next_of_session) {
		if (follower->state != FOLLOWER_STUCK || !follower_stands(follower))
			continue;
		uint32_t i = channel_index(follower->channel);
		const struct reader *reader = &client->following[i].reader;
		uint64_t had = follower->next - 1;
		bytes += model_bytes_between(reader->era,
		                             had > reader->replay_end ? had : reader->replay_end,
		                             client->worker->known[i].head);
	}
	return bytes;
}

/* Who lags too far is noticed by one of the next two records of a channel, and then less, or
 * nothing, is kept for it. */
static void bound_check(struct client *client)
{
	bool is_over = kept_for(client) > world.scenario->outbound_bytes_max;
	const struct follower *follower = client->session.first;
	for (; follower != NULL; follower = follower->next_of_session) {
		uint32_t i = channel_index(follower->channel);
		struct following *following = &client->following[i];
		if (!is_over || follower->state != FOLLOWER_STUCK || !follower_stands(follower))
			following->overlooked = 0;
		else if (client->worker->known[i].is_appended)
			following->overlooked++;
		CHECK(following->overlooked < 2);
	}
}

static void client_check(struct client *client)
{
	bool is_over = lag_of(client) > world.scenario->outbound_bytes_max;
	CHECK(is_over || !client->was_slow);
	client->was_slow = false;
	if (client->session.is_ended)
		return;
	bound_check(client);
	for (uint32_t i = 0; i < CHANNELS; i++) {
		struct following *following = &client->following[i];
		if (following->state != FOLLOWING || session_takes(&client->session) || !is_over ||
		    !client->worker->known[i].is_appended)
			continue;
		following->reader.may_overflow = following->reader.was_late = true;
	}
}

/* Of the workers that did anything. */
static void world_check(void)
{
	for (uint32_t i = 0; i < world.scenario->workers; i++) {
		if (world.workers[i].is_entered)
			worker_check(&world.workers[i]);
	}
	for (struct client *client = world.clients; client < world.clients + CLIENTS; client++) {
		if (client->is_open && client->worker->is_entered)
			client_check(client);
	}
	for (uint32_t i = 0; i < world.scenario->workers; i++)
		world.workers[i].is_entered = false;
	presence_check();
}

/* ---- steps ---- */

/* A key that was used before comes again when its time is over, or nearly. */
static void ask_again_in_time(struct client *client)
{
	uint32_t channel = below(CHANNELS);
	const struct model_era *era = world.channels[channel].era;
	if (era == NULL || era->count == 0)
		return;
	const struct model_said said = era->said[below((uint32_t)era->count)];
	uint64_t over_ms = said.added_ms + MODEL_ONCE_MS;
	if (said.once == 0 || over_ms <= world.now_ms)
		return;
	time_passes(over_ms - world.now_ms - 1 + below(2));
	world_check();
	if (!client->session.is_ended)
		ask_publish_to(client, channel, said.once);
}

static void client_acts(struct client *client)
{
	uint32_t what = below(100);
	if (!client->is_open)
		client_open(client);
	else if (client->session.is_ended || what < 4)
		client_close(client);
	else if (what < 6)
		client->session.is_ended = true; /* is closed later, at the end of a turn */
	else if (what < 32)
		ask_subscribe(client);
	else if (what < 42)
		ask_unsubscribe(client);
	else if (what < 82 && chance(world.scenario->in_time_percent))
		ask_again_in_time(client);
	else if (what < 82)
		ask_publish(client);
	else if (what < 86)
		ask_history(client);
	else if (what < 88)
		ask_presence(client);
	else if (what < 90)
		question_ask(question_make(client, COMMAND_PING), &(struct hub_command){0});
	else
		client_ready(client);
}

static void step(void)
{
	uint32_t what = below(100);
	if (what < 60) {
		client_acts(&world.clients[below(CLIENTS)]);
	} else if (what < 78) {
		for (uint32_t left = below(8); left > 0 && letter_deliver_any(); left--)
			world_check();
	} else if (what < 92) {
		struct worker *worker = &world.workers[below(world.scenario->workers)];
		hub_enter(worker);
		memory_fails();
		hub_walk(worker->hub, below(5));
		has_memory_failed();
	} else {
		time_passes_somehow();
	}
	world_check();
}

static bool walk_all(void)
{
	bool is_left = false;
	for (uint32_t i = 0; i < world.scenario->workers; i++) {
		hub_enter(&world.workers[i]);
		is_left |= hub_walk(world.workers[i].hub, 1 + below(50));
	}
	return is_left;
}

/* A tail that could not keep a record is none any more. */
static bool is_any_lost(const struct hub *hub)
{
	bool is_any = false;
	for (size_t i = 0; i < map_buckets(&hub->table); i++) {
		struct map_node *node = map_bucket(&hub->table, i);
		for (; node != NULL; node = node->next)
			is_any |= CONTAINER_OF(node, struct channel, in_table)->is_lost;
	}
	return is_any;
}

static void walks_end(void)
{
	do
		world_check();
	while (walk_all());
	world_check();
}

/* Of each channel, or only of those without a throttle. */
static void nobody_lacks(bool of_each)
{
	for (struct client *client = world.clients; client < world.clients + CLIENTS; client++) {
		if (!client->is_open)
			continue;
		CHECK(client->unanswered == 0);
		for (uint32_t i = 0; i < CHANNELS; i++) {
			const struct following *following = &client->following[i];
			const struct reader *reader = &following->reader;
			CHECK(following->state != ASKED);
			if (following->state != FOLLOWING ||
			    (reader_is_throttled(reader) && !of_each))
				continue;
			CHECK(reader_has_all(reader, reader->era->count, world.now_ms));
		}
	}
}

/* Everybody reads, all letters arrive, all walks are done: nobody lacks anything. What a throttle
 * holds back comes within two of its intervals. */
static void calm(void)
{
	world.is_calm = true;
	for (struct client *client = world.clients; client < world.clients + CLIENTS; client++) {
		if (client->is_open && client->session.is_ended)
			client_close(client);
		else if (client->is_open)
			client_ready(client);
	}
	do {
		while (letter_deliver_any())
			world_check();
		walks_end();
	} while (letter_is_any());
	for (uint32_t i = 0; i < world.scenario->workers; i++)
		CHECK(!is_any_lost(world.workers[i].hub));
	nobody_lacks(false);
	for (int i = 0; i < 3; i++) {
		time_passes(THROTTLE_MS_MAX);
		walks_end();
		while (letter_deliver_any()) /* news, and what is answered to it */
			world_check();
		walks_end();
	}
	nobody_lacks(true);
	views_check();
	world.is_calm = false;
}

/* ---- worlds ---- */

static void worker_begin(uint32_t i, struct hash_key hash_key)
{
	struct worker *worker = &world.workers[i];
	worker->out = (struct hub_out){
		.event = out_event,
		.answered = out_answered,
		.deliver = out_deliver,
		.end = out_end,
		.handle = out_handle,
		.find = out_find,
		.post = out_post,
		.has_room = out_has_room,
	};
	timer_wheel_init(&worker->wheel, world.now_ms);
	worker->hub = hub_create(&(struct hub_options){
		.worker = i,
		.workers = world.scenario->workers,
		.out = &worker->out,
		.rules = &rules,
		.wheel = &worker->wheel,
		.timer_kind = TIMER_CHANNEL,
		.walk_timer_kind = TIMER_WALK,
		.presence_timer_kind = TIMER_PRESENCE,
		.hash_key = hash_key,
		.seed = random_next(&world.random),
		.channels_per_session = CHANNELS_PER_SESSION,
		.outbound_bytes_max = world.scenario->outbound_bytes_max,
		.lingering_max = world.scenario->lingering_max,
	});
	CHECK(worker->hub != NULL);
	hub_enter(worker);
}

static void world_begin(const struct scenario *scenario, uint64_t seed)
{
	seeded.scenario = scenario->name;
	seeded.seed = seed;
	world = (struct world){.scenario = scenario, .random.state = seed};
	model_linger_ms = scenario->lingering_max > 0 ? 0 : CHANNEL_LINGER_MS;
	for (uint32_t i = 0; i < USERS; i++) {
		struct claims_content content = {.user = slice_string(user_names[i]),
		                                 .info = i > 1 ? SLICE("{}") : SLICE(""),
		                                 .expires_unix_ms = CLAIMS_NEVER};
		CHECK((world.claims[i] = claims_make(&content)) != NULL);
	}
	/* Some begin shortly before 32 bits of milliseconds run over. */
	world.now_ms = chance(30) ? UINT32_MAX - below(60000) : random_next(&world.random) >> 20;
	struct hash_key hash_key = {{random_next(&world.random), random_next(&world.random)}};
	for (uint32_t i = 0; i < scenario->workers; i++)
		worker_begin(i, hash_key);
	const struct rule *left[COUNT_OF(rule_list) - 1];
	for (uint32_t i = 0; i < COUNT_OF(left); i++)
		left[i] = &rule_list[i];
	for (uint32_t i = 0; i < CHANNELS; i++) {
		struct model_channel *channel = &world.channels[i];
		uint32_t at = i + below(COUNT_OF(left) - i);
		const struct rule *rule = left[at];
		left[at] = left[i];
		int stem = (int)strlen(rule->pattern) - 1;
		snprintf(channel->name, sizeof(channel->name), "%.*s%u", stem, rule->pattern,
		         below(1000));
		channel->rule = rule;
	}
}

/* All clients go, and in time everything else: no channel, no follower, no record stays. */
static void world_fades(void)
{
	for (struct client *client = world.clients; client < world.clients + CLIENTS; client++) {
		if (client->is_open)
			client_close(client);
	}
	calm();
	for (int i = 0; i < 20; i++) {
		time_passes(4000);
		world_check();
	}
	for (int i = 0; i < 4; i++) { /* keys are remembered longer than anything else */
		time_passes(MODEL_ONCE_MS / 3);
		world_check();
	}
	for (uint32_t i = 0; i < world.scenario->workers; i++) {
		const struct hub_counters *counters = hub_counters(world.workers[i].hub);
		CHECK(counters->channels == 0);
		CHECK(counters->followers == 0);
		CHECK(counters->members == 0);
		CHECK(counters->watchers == 0);
		CHECK(world.workers[i].wheel.count == 0);
	}
}

/* In the middle of everything: what is on its way is discarded. */
static void world_breaks_off(void)
{
	for (struct client *client = world.clients; client < world.clients + CLIENTS; client++) {
		if (client->is_open)
			client_close(client);
	}
}

static void world_end(void)
{
	for (uint32_t i = 0; i < USERS; i++)
		claims_free(world.claims[i]);
	for (uint32_t from = 0; from < SIM_WORKERS_MAX; from++) {
		for (uint32_t to = 0; to < SIM_WORKERS_MAX; to++) {
			struct buf *queue = &world.queues[from][to];
			for (; queue->len > 0; buf_use(queue, sizeof(struct letter))) {
				struct letter letter;
				memcpy(&letter, queue->at, sizeof(letter));
				hub_mail_discard(&letter.mail);
			}
			buf_free(queue);
		}
	}
	for (uint32_t i = 0; i < world.scenario->workers; i++)
		hub_destroy(world.workers[i].hub);
	for (uint32_t i = 0; i < CHANNELS; i++)
		model_free(&world.channels[i]);
	while (world.questions != NULL) {
		struct question *question = world.questions;
		world.questions = question->before;
		free(question);
	}
}

static void world_run(uint64_t seed)
{
	world_begin(&scenarios[seed % COUNT_OF(scenarios)], seed);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < STEPS_PER_ROUND; i++)
			step();
		if (round + 1 < ROUNDS || chance(70))
			calm();
	}
	if (chance(80))
		world_fades();
	else
		world_breaks_off();
	world_end();
}

static void seen_check(void)
{
	CHECK(seen.recovered > 0);
	CHECK(seen.gaps > 0);
	CHECK(seen.again > 0);
	CHECK(seen.cancelled > 0);
	CHECK(seen.slow > 0);
	CHECK(seen.renamed > 0);
	CHECK(seen.pages > 0);
	CHECK(seen.left_out > 0);
	CHECK(seen.taken_in_part > 0);
	CHECK(seen.too_many > 0);
	CHECK(seen.found_none > 0);
	CHECK(seen.refused > 0);
	CHECK(seen.abandoned > 0);
	CHECK(seen.first > 0);
	CHECK(seen.throttled > 0);
	CHECK(seen.dropped > 0);
	CHECK(seen.lost > 0);
	CHECK(seen.conflated > 0);
	CHECK(seen.duplicates > 0);
	CHECK(seen.forgotten > 0);
	CHECK(seen.binary > 0);
	CHECK(seen.unanswered > 0);
	CHECK(seen.behind > 0);
	CHECK(seen.far_behind > 0);
	CHECK(seen.joined > 0);
	CHECK(seen.left > 0);
	CHECK(seen.shown > 0);
	CHECK(seen.numbers > 0);
	CHECK(seen.asked > 0);
	CHECK(seen.without > 0);
}

int main(int argc, char **argv)
{
	struct seeds seeds = seeds_begin(argc, argv, SEEDS_DEFAULT);
	for (uint64_t i = 0; i < seeds.count; i++) {
		if (i < COUNT_OF(scenarios))
			printf("hub_model: %s\n",
			       scenarios[(seeds.first + i) % COUNT_OF(scenarios)].name);
		world_run(seeds.first + i);
	}
	if (seeds.count >= SEEDS_DEFAULT)
		seen_check();
	return 0;
}
