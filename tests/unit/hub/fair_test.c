/* A channel with very many followers keeps nobody waiting: neither small channels nor clients. */
#include <stdlib.h>

#include "hub/hub.h"

#define CROWD (2 * TURN_DELIVERIES_MAX)
#define LAG_MAX 1000000

static struct session *crowd, few[2];
static uint64_t delivered_to_crowd, delivered_to_few, ended;
static bool is_stuck;        /* nobody takes anything */
static uint64_t most;        /* that one of the crowd has been delivered */
static uint64_t *got;        /* by each of them */
static struct delivery last; /* a copy of the one before, its records behind it */
static struct record *last_records[WALK_RECORDS_MAX];
static uint64_t gathered;
static struct hub_out out;
static struct hub *hub;
static struct timer_wheel wheel;
static struct rule rule = {.pattern = "*", .history_ttl_ms = 1000};

static void ignore_event(struct hub_out *to, struct session *session, const struct hub_event *event)
{
	(void)to;
	(void)session;
	CHECK(event->type == EVENT_SUBSCRIBED || event->type == EVENT_ACK);
}

/* What has the same number as the delivery before is the same. */
static void look_at_burst(const struct delivery *delivery)
{
	size_t bytes = delivery->count * sizeof(*last_records);
	bool is_same = delivery->burst != 0 && delivery->burst == last.burst;
	CHECK(delivery->count <= WALK_RECORDS_MAX);
	if (is_same) {
		CHECK(delivery->count == last.count);
		CHECK(memcmp(delivery->records, last_records, bytes) == 0);
	}
	gathered += !is_same;
	last = *delivery;
	memcpy(last_records, delivery->records, bytes);
}

static void count_for_crowd(const struct session *session, size_t count)
{
	uint64_t *mine = &got[session - crowd];
	*mine += count;
	most = *mine > most ? *mine : most;
	delivered_to_crowd += count;
}

static size_t count_delivery(struct hub_out *to, struct session *session,
                             const struct delivery *delivery)
{
	(void)to;
	if (is_stuck) {
		session->is_blocked = true;
		return 0;
	}
	bool is_of_few = session >= few && session < few + COUNT_OF(few);
	look_at_burst(delivery);
	if (is_of_few)
		delivered_to_few += delivery->count;
	else
		count_for_crowd(session, delivery->count);
	return delivery->count;
}

static void end_session(struct hub_out *to, struct session *session, enum hub_end why)
{
	(void)to;
	CHECK(why == HUB_END_SLOW);
	session->is_ended = true;
	ended++;
}

static bool has_room(struct hub_out *to)
{
	(void)to;
	return true;
}

static void subscribe(struct session *session, struct slice channel)
{
	struct hub_command command = {.type = COMMAND_SUBSCRIBE, .channel = channel};
	hub_execute(hub, session, &command);
}

static void publish(struct slice channel)
{
	struct hub_command command = {
		.type = COMMAND_PUBLISH, .channel = channel, .publication.payload = SLICE("1")};
	hub_execute(hub, &few[0], &command);
}

static bool turn(void)
{
	return hub_walk(hub, TURN_DELIVERIES_MAX);
}

static void begin(void)
{
	static const struct rules rules = {&rule, 1};
	out = (struct hub_out){.event = ignore_event,
	                       .deliver = count_delivery,
	                       .end = end_session,
	                       .has_room = has_room};
	delivered_to_crowd = delivered_to_few = ended = most = gathered = 0;
	last = (struct delivery){0};
	is_stuck = false;
	timer_wheel_init(&wheel, 0);
	hub = hub_create(&(struct hub_options){.workers = 1,
	                                       .out = &out,
	                                       .rules = &rules,
	                                       .wheel = &wheel,
	                                       .channels_per_session = 1,
	                                       .outbound_bytes_max = LAG_MAX});
	crowd = calloc(CROWD, sizeof(*crowd));
	got = calloc(CROWD, sizeof(*got));
	CHECK(hub != NULL && crowd != NULL && got != NULL);
	hub_set_time(hub, 0, 1000);
	for (uint32_t i = 0; i < CROWD; i++)
		subscribe(&crowd[i], SLICE("crowd"));
	memset(few, 0, sizeof(few));
	for (uint32_t i = 0; i < COUNT_OF(few); i++)
		subscribe(&few[i], SLICE("few"));
}

static void end(void)
{
	for (uint32_t i = 0; i < CROWD; i++)
		hub_session_close(hub, &crowd[i]);
	for (uint32_t i = 0; i < COUNT_OF(few); i++)
		hub_session_close(hub, &few[i]);
	hub_destroy(hub);
	free(crowd);
	free(got);
}

/* What a turn does is bounded, whatever is to be done; nothing is forgotten over that. */
static void turns_are_bounded(void)
{
	uint64_t turns = 1, before = 0;
	publish(SLICE("crowd"));
	for (; turn(); turns++) {
		CHECK(delivered_to_crowd > before);
		CHECK(delivered_to_crowd - before <= TURN_DELIVERIES_MAX);
		before = delivered_to_crowd;
	}
	CHECK(delivered_to_crowd == CROWD);
	CHECK(turns > 1);
}

static void few_come_between(void)
{
	publish(SLICE("crowd"));
	CHECK(turn());
	publish(SLICE("few")); /* while the crowd is being served */
	CHECK(turn());
	CHECK(delivered_to_few == COUNT_OF(few));
	CHECK(delivered_to_crowd < CROWD);
	publish(SLICE("crowd"));
	for (int i = 0; i < 3; i++) {
		publish(SLICE("few"));
		CHECK(turn()); /* again and again, behind two bursts for the crowd */
		CHECK(delivered_to_few == (uint64_t)(i + 2) * COUNT_OF(few));
	}
	while (turn())
		;
	CHECK(delivered_to_crowd == 2 * CROWD);
}

/* A crowd that lags: nobody gets a second burst while others wait for their first. */
static void all_get_their_part(void)
{
	uint64_t records = 2 * WALK_RECORDS_MAX + 1;
	for (uint64_t i = 0; i < records; i++)
		publish(SLICE("crowd"));
	while (turn()) {
		uint64_t rounds = delivered_to_crowd / CROWD / WALK_RECORDS_MAX;
		CHECK(most <= (rounds + 1) * WALK_RECORDS_MAX);
	}
	CHECK(most == records);
	CHECK(delivered_to_crowd == CROWD * records);
}

/* What all get is put together once a turn, or twice where two rounds meet in it. */
static void bursts_are_shared(void)
{
	uint64_t turns = 1;
	for (int i = 0; i < 8; i++)
		publish(SLICE("crowd"));
	while (turn())
		turns++;
	CHECK(delivered_to_crowd == CROWD * 8);
	CHECK(gathered <= 2 * turns);
}

static uint64_t turns_to_the_end(void)
{
	uint64_t turns = 1;
	while (turn())
		turns++;
	return turns;
}

/* Those that have all there is cost a look each. */
static void looks_are_bounded(void)
{
	publish(SLICE("crowd"));
	uint64_t turns = turns_to_the_end();
	publish(SLICE("crowd"));
	CHECK(turn());
	publish(SLICE("crowd")); /* for the first again; the others get it in passing */
	CHECK(turns_to_the_end() + 1 >= 2 * turns);
	CHECK(delivered_to_crowd == 3 * CROWD);
}

/* All of them hold the same tail: it is found in time that they are too slow. */
static void tail_is_bounded(size_t bytes, uint64_t bytes_most)
{
	char *payload = malloc(bytes);
	CHECK(payload != NULL);
	memset(payload, '1', bytes);
	struct hub_command command = {.type = COMMAND_PUBLISH,
	                              .channel = SLICE("crowd"),
	                              .publication.payload = slice_of(payload, bytes)};
	uint64_t total = 0;
	for (is_stuck = true; ended < CROWD && total <= bytes_most; total += bytes) {
		hub_execute(hub, &few[0], &command);
		while (turn())
			;
	}
	CHECK(total <= bytes_most);
	free(payload);
}

static void stuck_on_little(void)
{
	tail_is_bounded(100, LAG_MAX + CROWD * 100);
}

static void stuck_on_much(void)
{
	tail_is_bounded(60000, LAG_MAX + CROWD * 1024 + 60000);
}

#define BYTES 1000

static void publish_bytes(void)
{
	static char payload[BYTES];
	memset(payload, '1', sizeof(payload));
	struct hub_command command = {.type = COMMAND_PUBLISH,
	                              .channel = SLICE("crowd"),
	                              .publication.payload = slice_of(payload, BYTES)};
	hub_execute(hub, &few[0], &command);
}

/* Of what was published, so much is lacking to one of the crowd. */
static uint64_t lag_of_crowd(void)
{
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < CROWD; i++)
		least = got[i] < least ? got[i] : least;
	return (hub_counters(hub)->published - least) * BYTES;
}

/* Nobody is slow, but who publishes is faster than all of them can be served. */
static void crowd_is_outrun(void)
{
	uint64_t waits = 0, before = 0;
	for (int i = 0; i < 12 * CROWD / WALK_FOLLOWERS_MAX; i++) {
		waits += hub_pace(hub) != HUB_KEEPS_UP;
		while (hub_pace(hub) == HUB_KEEPS_UP)
			publish_bytes();
		CHECK(lag_of_crowd() <= LAG_MAX + BYTES);
		if (i == 0)
			before = hub_counters(hub)->published;
		(void)turn();
	}
	CHECK(waits > 0);
	CHECK(hub_counters(hub)->published > 3 * before); /* and it goes on */
	while (turn())
		;
	CHECK(hub_pace(hub) == HUB_KEEPS_UP);
	CHECK(lag_of_crowd() == 0);
	CHECK(ended == 0);
}

static void publish_at_once(uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes / BYTES; i++)
		publish_bytes();
}

/* All at once: farther behind than to the bound, then less, and then not any more. */
static void crowd_is_outrun_by_far(void)
{
	enum hub_pace pace = HUB_IS_FAR_BEHIND;
	publish_at_once(LAG_MAX / 2);
	CHECK(hub_pace(hub) == HUB_KEEPS_UP);
	publish_at_once(LAG_MAX);
	CHECK(hub_pace(hub) == HUB_IS_BEHIND);
	publish_at_once(LAG_MAX);
	CHECK(hub_pace(hub) == HUB_IS_FAR_BEHIND);
	while (turn()) {
		uint64_t lag = lag_of_crowd();
		CHECK(hub_pace(hub) <= pace);
		pace = hub_pace(hub);
		CHECK(pace == HUB_IS_FAR_BEHIND || lag <= 2 * LAG_MAX);
		CHECK(pace != HUB_KEEPS_UP || lag <= LAG_MAX);
	}
	CHECK(pace == HUB_KEEPS_UP);
}

/* Who takes nothing is treated by the overflow rule, and nobody waits. */
static void stuck_ones_are_not_waited_for(void)
{
	is_stuck = true;
	publish_bytes();
	while (turn())
		;
	publish_at_once(3 * LAG_MAX);
	(void)turn();
	CHECK(hub_pace(hub) == HUB_KEEPS_UP);
}

static void those_who_left_are_not_waited_for(void)
{
	publish_at_once(3 * LAG_MAX);
	CHECK(turn());
	CHECK(hub_pace(hub) == HUB_IS_FAR_BEHIND);
	for (uint32_t i = 0; i < CROWD; i++)
		hub_session_close(hub, &crowd[i]);
	(void)turn();
	CHECK(hub_pace(hub) == HUB_KEEPS_UP);
}

/* What all lag, a channel at a time; in so many steps. */
static uint64_t lag_in_steps(uint32_t *steps)
{
	uint32_t place = 0;
	uint64_t bytes = 0;
	for (*steps = 1; !hub_lag(hub, &place, 1, &bytes); ++*steps)
		CHECK(*steps <= hub_channel_span(hub));
	return bytes;
}

static void lag_is_added_up(void)
{
	uint32_t steps;
	CHECK(lag_in_steps(&steps) == 0);
	is_stuck = true;
	publish_bytes();
	while (turn())
		;
	uint64_t lag = lag_in_steps(&steps);
	CHECK(steps > 1); /* there are two channels */
	CHECK(lag % CROWD == 0);
	CHECK(lag / CROWD >= BYTES);
	CHECK(lag / CROWD < 2 * BYTES);
	is_stuck = false;
	for (uint32_t i = 0; i < CROWD / 2; i++) {
		crowd[i].is_blocked = false;
		hub_session_ready(hub, &crowd[i]);
	}
	CHECK(lag_in_steps(&steps) == lag / 2);
}

/* Who comes to a channel of many keys gets the latest of each, a burst at a time. */
static void keys_come_in_bursts(void)
{
	uint32_t keys = WALK_RECORDS_MAX + WALK_RECORDS_MAX / 2;
	rule.deliver_last = true;
	rule.max_keys = keys;
	for (uint32_t i = 0; i < 2 * keys; i++) {
		char key[16];
		int len = snprintf(key, sizeof(key), "%u", i % keys);
		struct hub_command command = {.type = COMMAND_PUBLISH,
		                              .channel = SLICE("keys"),
		                              .publication.payload = SLICE("1"),
		                              .publication.key = slice_of(key, (size_t)len)};
		hub_execute(hub, &few[0], &command);
	}
	hub_session_close(hub, &few[1]);
	memset(&few[1], 0, sizeof(few[1]));
	subscribe(&few[1], SLICE("keys"));
	CHECK(delivered_to_few == keys);
	CHECK(gathered == 2);
	rule.deliver_last = false;
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"a turn goes so far through a crowd and no farther", turns_are_bounded},
	{"small channels are served between the turns of a large one", few_come_between},
	{"nobody gets a second burst before all had one", all_get_their_part},
	{"what all get is put together once", bursts_are_shared},
	{"followers that have all there is are counted too", looks_are_bounded},
	{"a crowd that is stuck is found out in time", stuck_on_little},
	{"with large messages sooner", stuck_on_much},
	{"a crowd that takes all is not outrun by more than the bound", crowd_is_outrun},
	{"by how much it is behind is told", crowd_is_outrun_by_far},
	{"who is stuck makes no publisher wait", stuck_ones_are_not_waited_for},
	{"nor who has left", those_who_left_are_not_waited_for},
	{"what waits for those that lag is added up, some channels at a time", lag_is_added_up},
	{"more keys than fit into a burst come in two", keys_come_in_bursts},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("fair: %s\n", cases[i].name);
		begin();
		cases[i].run();
		end();
	}
	return 0;
}
