/*
 * A hub in a cluster, alone with what it is told and what it sends: schedules that the simulation
 * of nodes (tests/sim/cluster_test) comes to in one seed of many.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../failing.h"
#include "hub/far_state.h"

#define NAME "news"
#define EPOCH 7
#define FORKED 9 /* an epoch of another stream */
#define STREAM 5
#define OTHER 1     /* the other node */
#define NEIGHBOUR 1 /* another worker of this one */

static struct rule rule_list[] = {
	{.pattern = "room:*", .history_ttl_ms = 3600000, .presence = RULE_PRESENCE_FULL},
	{.pattern = "*", .history_size = 100, .history_ttl_ms = 3600000, .max_keys = 1}};
static const struct rules rules = {rule_list, COUNT_OF(rule_list)};

static struct hub_out out;
static struct hub_cluster cluster;
static struct hub *hub;
static struct timer_wheel wheel;
static struct session session;
static uint64_t now_ms;
static bool is_full;
static uint32_t gaps, histories, refusals;
static struct far_mail sent[FAR_KINDS]; /* the last one of each kind; its name is the test's */
static uint32_t sent_count[FAR_KINDS];
static struct hub_entry proposed; /* the last one that is no record */
static uint32_t proposed_count;

static void out_event(struct hub_out *from, struct session *to, const struct hub_event *event)
{
	CHECK(from == &out && to == &session);
	gaps += event->type == EVENT_GAP;
	histories += event->type == EVENT_HISTORY;
	refusals += event->type == EVENT_ERROR;
}

static size_t out_deliver(struct hub_out *from, struct session *to, const struct delivery *delivery)
{
	CHECK(from == &out && to == &session);
	return delivery->count;
}

static void out_answered(struct hub_out *from, struct session *to)
{
	CHECK(from == &out && to == &session);
}

static struct slab_handle out_handle(struct hub_out *from, const struct session *of)
{
	CHECK(from == &out && of == &session);
	return (struct slab_handle){0, 1};
}

static struct session *out_find(struct hub_out *from, struct slab_handle handle)
{
	CHECK(from == &out && handle.index == 0);
	return &session;
}

static void out_post(struct hub_out *from, uint32_t worker, const struct hub_mail *mail)
{
	CHECK(from == &out && worker == NEIGHBOUR && mail->kind == MAIL_PRESENCE_SHOWN);
	CHECK(mail->error == ERROR_UNAVAILABLE);
	refusals++;
}

static bool out_has_room(struct hub_out *from)
{
	CHECK(from == &out);
	return !is_full;
}

static uint64_t out_now_us(struct hub_out *from)
{
	CHECK(from == &out);
	return now_ms * 1000;
}

static void cluster_send(struct hub_cluster *from, uint32_t node, const struct far_mail *mail)
{
	CHECK(from == &cluster && node == OTHER);
	sent[mail->kind] = *mail;
	sent_count[mail->kind]++;
}

static enum hub_proposed cluster_propose(struct hub_cluster *from, uint32_t slot,
                                         const struct hub_entry *entry)
{
	CHECK(from == &cluster && slot == hub_slot_of(SLICE(NAME)));
	if (entry->kind == ENTRY_RECORD)
		return HUB_PROPOSED;
	CHECK(entry->kind == ENTRY_CHANNEL);
	proposed = *entry;
	proposed_count++;
	return HUB_PROPOSED;
}

static void pass(uint64_t ms)
{
	now_ms += ms;
	hub_set_time(hub, now_ms, now_ms * 1000);
	while (hub_far_turn(hub, 10, 3))
		;
	while (hub_walk(hub, 10))
		;
}

static void set_role(enum hub_home home, uint64_t stream)
{
	hub_set_role(hub, hub_slot_of(SLICE(NAME)),
	             &(struct hub_role){.home = (uint8_t)home,
	                                .is_replica = true,
	                                .node = home == HOME_ELSEWHERE ? OTHER : 0,
	                                .stream = stream});
}

static void begin(enum hub_home home)
{
	out = (struct hub_out){.now_us = out_now_us,
	                       .event = out_event,
	                       .deliver = out_deliver,
	                       .answered = out_answered,
	                       .handle = out_handle,
	                       .find = out_find,
	                       .post = out_post,
	                       .has_room = out_has_room};
	cluster = (struct hub_cluster){cluster_send, cluster_propose};
	session = (struct session){.is_backend = true};
	now_ms = 1000;
	gaps = histories = refusals = proposed_count = 0;
	is_full = false;
	memset(sent_count, 0, sizeof(sent_count));
	timer_wheel_init(&wheel, now_ms);
	hub = hub_create(&(struct hub_options){.workers = 1,
	                                       .out = &out,
	                                       .rules = &rules,
	                                       .wheel = &wheel,
	                                       .timer_kind = 1,
	                                       .walk_timer_kind = 2,
	                                       .channels_per_session = 10,
	                                       .outbound_bytes_max = 1000000,
	                                       .cluster = &cluster});
	CHECK(hub != NULL);
	pass(0);
	hub_node_up(hub, OTHER);
	set_role(home, STREAM);
}

static void end(void)
{
	hub_session_close(hub, &session);
	hub_destroy(hub);
}

static void execute(enum command_type type)
{
	struct hub_command command = {.type = type, .channel = SLICE(NAME)};
	command.publication.payload = SLICE("1");
	hub_execute(hub, &session, &command);
}

static const struct channel *channel(void)
{
	const struct channel *found = hub_find(hub, SLICE(NAME), hub_hash(hub, SLICE(NAME)));
	CHECK(found != NULL);
	return found;
}

static struct slice key; /* of the records that come */

static struct record *placed_in(struct slice name, uint64_t seq)
{
	struct record *record = record_make(
		&(struct publication){.channel = name, .payload = SLICE("1"), .key = key},
		hub_hash(hub, name));
	CHECK(record != NULL);
	record_settle(record, EPOCH, seq, 1, 0);
	return record;
}

static struct record *placed(uint64_t seq)
{
	return placed_in(SLICE(NAME), seq);
}

static void receive(uint64_t seq)
{
	struct record *record = placed(seq);
	hub_far_receive(hub, OTHER,
	                &(struct far_mail){.kind = FAR_RECORDS,
	                                   .slot = hub_slot_of(SLICE(NAME)),
	                                   .records = &record,
	                                   .record_count = 1});
	record_drop(record);
}

static void apply_in(struct slice name, uint64_t seq)
{
	struct record *record = placed_in(name, seq);
	CHECK(hub_apply(hub, &(struct hub_entry){.kind = ENTRY_RECORD, .record = record}));
	record_drop(record);
}

static void apply(uint64_t seq)
{
	apply_in(SLICE(NAME), seq);
}

static void tailed_in(uint64_t epoch, uint64_t from, uint64_t head)
{
	hub_far_receive(hub, OTHER,
	                &(struct far_mail){.kind = FAR_TAILED,
	                                   .slot = hub_slot_of(SLICE(NAME)),
	                                   .name = SLICE(NAME),
	                                   .epoch = epoch,
	                                   .seq = head,
	                                   .since = {.seq = from},
	                                   .stream = STREAM});
}

static void tailed(uint64_t from, uint64_t head)
{
	tailed_in(EPOCH, from, head);
}

static void asked_from_nowhere(void)
{
	printf("far: a replica that asked before its log came keeps what came\n");
	begin(HOME_ELSEWHERE);
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	CHECK(sent_count[FAR_TAIL] == 1 && sent[FAR_TAIL].since.is_start);
	apply(1);
	apply(2);
	tailed(20, 20);
	CHECK(log_first(&channel()->log) == 1 && log_next(&channel()->log) == 3);
	pass(HUB_FAR_MS);
	CHECK(sent_count[FAR_TAIL] == 2 && !sent[FAR_TAIL].since.is_start);
	CHECK(sent[FAR_TAIL].since.epoch == EPOCH && sent[FAR_TAIL].since.seq == 2);
	tailed(2, 20);
	for (uint64_t seq = 3; seq <= 20; seq++)
		apply(seq);
	pass(HUB_FAR_MS);
	CHECK(log_first(&channel()->log) == 1 && log_next(&channel()->log) == 21);
	CHECK(gaps == 0 && refusals == 0);
	end();
}

static void asked_before_its_log(void)
{
	printf("far: one that keeps a copy asks for history where its log has not come\n");
	begin(HOME_ELSEWHERE);
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	CHECK(sent[FAR_TAIL].has_since && sent[FAR_TAIL].since.is_start);
	tailed(0, 2);
	receive(1);
	receive(2);
	apply(1);
	apply(2);
	apply(3);
	CHECK(log_first(&channel()->log) == 1 && log_next(&channel()->log) == 4);
	CHECK(gaps == 0 && refusals == 0);
	end();

	printf("far: one that keeps none begins at the head\n");
	begin(HOME_ELSEWHERE);
	hub_set_role(hub, hub_slot_of(SLICE(NAME)),
	             &(struct hub_role){.home = HOME_ELSEWHERE, .node = OTHER, .stream = STREAM});
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	CHECK(sent_count[FAR_TAIL] == 1 && !sent[FAR_TAIL].has_since);
	end();
}

/* It follows from behind number 4 on, and then is to keep a copy. */
static void follow_then_keep(void)
{
	begin(HOME_ELSEWHERE);
	hub_set_role(hub, hub_slot_of(SLICE(NAME)),
	             &(struct hub_role){.home = HOME_ELSEWHERE, .node = OTHER, .stream = STREAM});
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	CHECK(!sent[FAR_TAIL].has_since);
	tailed(4, 4);
	receive(5);
	pass(HUB_FAR_MS);
	set_role(HOME_ELSEWHERE, STREAM);
}

static void restore(const struct hub_entry *entry)
{
	CHECK(hub_restore(hub, hub_slot_of(SLICE(NAME)), entry));
}

static void followed_before_it_kept(void)
{
	printf("far: what came before one followed comes by the log that it is to keep\n");
	follow_then_keep();
	for (uint64_t seq = 1; seq <= 5; seq++) {
		CHECK(log_first(&channel()->log) == 6); /* 5 was kept for those who follow */
		apply(seq);
	}
	apply(6);
	CHECK(log_first(&channel()->log) == 1 && log_next(&channel()->log) == 7);
	CHECK(channel()->far->pasts.count == 0 && gaps == 0);
	end();

	printf("far: or in part by a state that is older\n");
	follow_then_keep();
	restore(&(struct hub_entry){
		.kind = ENTRY_CHANNEL, .name = SLICE(NAME), .epoch = EPOCH, .seq = 2});
	for (uint64_t seq = 1; seq <= 2; seq++) {
		struct record *record = placed(seq);
		restore(&(struct hub_entry){.kind = ENTRY_RECORD, .record = record});
		record_drop(record);
	}
	restore(NULL);
	for (uint64_t seq = 3; seq <= 6; seq++)
		apply(seq);
	CHECK(log_first(&channel()->log) == 1 && log_next(&channel()->log) == 7);
	CHECK(channel()->far->pasts.count == 0 && gaps == 0);
	end();
}

/* The records of the channel's fork, a bit each. */
static uint64_t forked(void)
{
	struct hub_save save;
	struct hub_entry entry;
	uint64_t found = 0;
	CHECK(hub_fork_begin(hub, hub_slot_of(SLICE(NAME)), &save));
	while (hub_save_next(hub, &save, &entry)) {
		if (entry.kind == ENTRY_CHANNEL)
			continue;
		CHECK(entry.kind == ENTRY_RECORD && entry.record->epoch == EPOCH);
		CHECK((found >> entry.record->seq & 1) == 0);
		found |= 1ull << entry.record->seq;
	}
	hub_save_end(&save);
	return found;
}

static void latest_before_it_kept(void)
{
	struct rule rule = rule_list[1];
	rule_list[1].history_size = 0;
	rule_list[1].deliver_last = true;
	printf("far: the latest of a key that nobody has said since comes by the log, too\n");
	begin(HOME_ELSEWHERE);
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	tailed(4, 4);
	for (uint64_t seq = 1; seq <= 4; seq++)
		apply(seq);
	const struct latest_entry *latest = latest_from(&channel()->keyed->latest, 0);
	CHECK(latest != NULL && latest->record->seq == 4);
	CHECK(channel()->keyed->latest.lost < 4);
	end();

	printf("far: and so where what the home sends has a gap that history does not close\n");
	begin(HOME_ELSEWHERE);
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	tailed(0, 0);
	apply(1);
	apply(2);
	receive(4);
	pass(HUB_FAR_MS);
	CHECK(sent[FAR_TAIL].since.epoch == EPOCH && sent[FAR_TAIL].since.seq == 2);
	tailed(4, 4);
	pass(0);
	CHECK(latest_from(&channel()->keyed->latest, 0) == NULL);
	apply(3);
	apply(4);
	latest = latest_from(&channel()->keyed->latest, 0);
	CHECK(latest != NULL && latest->record->seq == 4 && channel()->far->pasts.count == 0);
	end();

	printf("far: or where the stream is left before the log has brought it\n");
	begin(HOME_ELSEWHERE);
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	tailed(0, 0);
	apply(1);
	receive(4);
	pass(HUB_FAR_MS);
	tailed(4, 4);
	pass(0);
	receive(5);
	apply(2);
	set_role(HOME_NOWHERE, 0);
	apply(3);
	apply(4);
	CHECK(forked() == 0x3e);
	set_role(HOME_HERE, STREAM + 1); /* and where another order has begun since */
	pass(HUB_FAR_MS);
	CHECK(channel()->epoch != EPOCH);
	set_role(HOME_NOWHERE, 0);
	CHECK(forked() == 0x3e);
	end();

	printf("far: but a key that has made room meanwhile is lost\n");
	begin(HOME_ELSEWHERE);
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	tailed(4, 4);
	key = SLICE("a");
	receive(5);
	key = SLICE("b");
	receive(6);
	CHECK(channel()->keyed->latest.lost == 5);
	key = SLICE("");
	for (uint64_t seq = 1; seq <= 4; seq++)
		apply(seq);
	CHECK(channel()->keyed->latest.count == 1 && channel()->keyed->latest.lost == 5);
	end();
	rule_list[1] = rule;
}

static void unsure_in_any_order(void)
{
	printf("far: what is unsure of a stream that is left is kept in the order of its "
	       "numbers\n");
	begin(HOME_ELSEWHERE);
	apply(1);
	set_role(HOME_NOWHERE, 0);
	apply(10);
	apply(9);
	apply(10);
	apply(1);
	apply(12);
	CHECK(forked() == (1 << 1 | 1 << 10 | 1 << 12));
	end();
}

static void ask_to_follow(uint64_t seq)
{
	hub_far_receive(hub, OTHER,
	                &(struct far_mail){.kind = FAR_FOLLOW,
	                                   .slot = hub_slot_of(SLICE(NAME)),
	                                   .name = SLICE(NAME),
	                                   .has_since = true,
	                                   .since = {.epoch = channel()->epoch, .seq = seq}});
}

/* From the other node, with that key. */
static void asked_to_publish(const char *name, uint32_t token)
{
	struct record *record =
		record_make(&(struct publication){.channel = SLICE(NAME),
	                                          .payload = SLICE("1"),
	                                          .idempotency_key = slice_string(name)},
	                    hub_hash(hub, SLICE(NAME)));
	CHECK(record != NULL);
	hub_far_receive(hub, OTHER,
	                &(struct far_mail){.kind = FAR_PUBLISH,
	                                   .slot = hub_slot_of(SLICE(NAME)),
	                                   .token = {token, 1},
	                                   .records = &record,
	                                   .record_count = 1});
	record_drop(record);
}

static void asked_again(void)
{
	printf("far: a node that asks again before the commit is answered once\n");
	begin(HOME_HERE);
	for (uint32_t i = 0; i < 5; i++)
		asked_to_publish("once", i / 4);
	CHECK(sent_count[FAR_PUBLISHED] == 0);
	hub_commit(hub, hub_slot_of(SLICE(NAME)));
	/* The one that asked four times, and the other one. */
	CHECK(sent_count[FAR_PUBLISHED] == 2 && sent[FAR_PUBLISHED].seq == 1);
	end();
}

static void ask_with(enum far_kind kind, struct record **records, uint32_t count)
{
	hub_far_receive(hub, OTHER,
	                &(struct far_mail){.kind = (uint8_t)kind,
	                                   .slot = hub_slot_of(SLICE(NAME)),
	                                   .name = SLICE(NAME),
	                                   .token = {7, 1},
	                                   .records = records,
	                                   .record_count = count});
}

/* With the allocation of that number failing: was it refused? */
static bool is_refused_at(uint32_t number, enum far_kind asks, enum far_kind answers,
                          uint32_t *failed)
{
	struct record *record =
		record_make(&(struct publication){.channel = SLICE(NAME), .payload = SLICE("1")},
	                    hub_hash(hub, SLICE(NAME)));
	CHECK(record != NULL);
	failing_arm(number, FAILING_ONE);
	ask_with(asks, &record, asks == FAR_PUBLISH);
	*failed = failing_disarm();
	if (far_slot(hub, hub_slot_of(SLICE(NAME)))->proposed > 0)
		hub_commit(hub, hub_slot_of(SLICE(NAME)));
	CHECK(sent_count[answers] == 1);
	CHECK(sent[answers].token.index == 7);
	CHECK(sent[answers].error == ERROR_NONE || sent[answers].error == ERROR_UNAVAILABLE);
	record_drop(record);
	return sent[answers].error != ERROR_NONE;
}

static void asked_without_memory(void)
{
	static const struct {
		const char *claim;
		enum far_kind asks, answers;
	} rows[] = {
		{"to follow", FAR_FOLLOW, FAR_FOLLOWED},
		{"for history", FAR_HISTORY, FAR_HISTORY_READY},
		{"to publish", FAR_PUBLISH, FAR_PUBLISHED},
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint32_t failed = 1, refused = 0;
		printf("far: a home without memory that is asked %s answers once all the same\n",
		       rows[i].claim);
		for (uint32_t n = 1; failed > 0; n++) {
			begin(HOME_HERE);
			refused += is_refused_at(n, rows[i].asks, rows[i].answers, &failed);
			end();
		}
		CHECK(refused > 0);
	}
	printf("far: who publishes no record, or two at once, is refused\n");
	begin(HOME_HERE);
	struct record *two[2] = {placed(1), placed(2)};
	ask_with(FAR_PUBLISH, two, 0);
	CHECK(sent_count[FAR_PUBLISHED] == 1 && sent[FAR_PUBLISHED].error == ERROR_UNAVAILABLE);
	ask_with(FAR_PUBLISH, two, 2);
	CHECK(sent_count[FAR_PUBLISHED] == 2 && sent[FAR_PUBLISHED].error == ERROR_UNAVAILABLE);
	CHECK(far_slot(hub, hub_slot_of(SLICE(NAME)))->proposed == 0);
	record_drop(two[0]);
	record_drop(two[1]);
	end();
}

static void behind_its_commits(void)
{
	printf("far: a home answers nobody before it has given out what is committed\n");
	begin(HOME_HERE);
	execute(COMMAND_PUBLISH);
	is_full = true;
	hub_commit(hub, hub_slot_of(SLICE(NAME)));
	ask_to_follow(1); /* who has had it from a replica */
	CHECK(sent_count[FAR_FOLLOWED] == 1 && sent[FAR_FOLLOWED].error == ERROR_UNAVAILABLE);
	is_full = false;
	pass(HUB_FAR_MS);
	ask_to_follow(1);
	CHECK(sent_count[FAR_FOLLOWED] == 2 && sent[FAR_FOLLOWED].error == ERROR_NONE);
	CHECK(sent[FAR_FOLLOWED].is_recovered && sent[FAR_FOLLOWED].since.seq == 1);
	CHECK(refusals == 0);
	end();
}

static void commits_before_another_order(void)
{
	printf("far: what was committed has its place before the channel has another order\n");
	struct far_mail other = {.kind = FAR_TAILED,
	                         .slot = hub_slot_of(SLICE(NAME)),
	                         .name = SLICE(NAME),
	                         .epoch = FORKED,
	                         .stream = STREAM + 1};
	begin(HOME_HERE);
	execute(COMMAND_SUBSCRIBE);
	uint64_t epoch = channel()->epoch;
	asked_to_publish("once", 0);
	is_full = true;
	hub_commit(hub, hub_slot_of(SLICE(NAME)));
	set_role(HOME_ELSEWHERE, STREAM + 1);
	pass(HUB_FAR_MS);
	CHECK(sent_count[FAR_TAIL] == 1 && log_next(&channel()->log) == 1);
	is_full = false;
	hub_far_receive(hub, OTHER, &other);
	CHECK(channel()->epoch == epoch);
	pass(HUB_FAR_MS);
	CHECK(sent_count[FAR_TAIL] == 2 && log_next(&channel()->log) == 2);
	hub_far_receive(hub, OTHER, &other);
	CHECK(channel()->epoch == FORKED);
	set_role(HOME_HERE, STREAM);
	pass(HUB_FAR_MS);
	CHECK(channel()->epoch == epoch && log_next(&channel()->log) == 2);
	uint32_t before = sent_count[FAR_PUBLISHED];
	asked_to_publish("once", 1);
	CHECK(sent_count[FAR_PUBLISHED] == before + 1 && sent[FAR_PUBLISHED].seq == 1);
	end();
}

static void ask_presence(struct slice room)
{
	struct mail_ask *ask = calloc(1, sizeof(*ask) + room.len);
	CHECK(ask != NULL);
	ask->name_len = (uint8_t)room.len;
	memcpy(ask->name, room.at, room.len);
	hub_receive(hub, &(struct hub_mail){.kind = MAIL_PRESENCE, .from = NEIGHBOUR, .ask = ask});
}

static void too_many_ask(void)
{
	printf("far: who asks for a set of no home is refused where too many wait\n");
	begin(HOME_NOWHERE);
	for (uint32_t i = 0; i < PRESENCE_ASKS_MAX; i++)
		ask_presence(i % 2 == 0 ? SLICE("room:1") : SLICE("room:2"));
	CHECK(refusals == 0);
	ask_presence(SLICE("room:1"));
	ask_presence(SLICE("room:3"));
	CHECK(refusals == 2);
	pass(ERRAND_MS_MAX);
	CHECK(refusals == 2 + PRESENCE_ASKS_MAX);
	ask_presence(SLICE("room:3"));
	pass(HUB_FAR_MS);
	CHECK(refusals == 2 + PRESENCE_ASKS_MAX); /* there is room again */
	end();
}

/* To whom the home has been asked about: pages of records, and then that these were all. */
static void answered(enum far_kind kind, struct far_mail mail, struct slice name,
                     const uint64_t seqs[2])
{
	struct record *records[2];
	size_t count = 0;
	for (; count < 2 && seqs[count] != 0; count++)
		records[count] = placed_in(name, seqs[count]);
	mail.slot = hub_slot_of(SLICE(NAME));
	mail.epoch = EPOCH;
	mail.token = sent[kind == FAR_FOLLOWED ? FAR_FOLLOW : FAR_HISTORY].token;
	mail.kind = FAR_PAGE;
	mail.records = records;
	mail.record_count = count;
	if (count > 0)
		hub_far_receive(hub, OTHER, &mail);
	mail.kind = (uint8_t)kind;
	mail.records = NULL;
	mail.record_count = 0;
	hub_far_receive(hub, OTHER, &mail);
	while (count > 0)
		record_drop(records[--count]);
}

#define HEAD (FOLLOWER_REPLAY_MAX + 10ull)

static void answered_what_cannot_be(void)
{
	static const struct {
		const char *claim, *name;
		uint64_t from, seqs[2];
		bool is_latest;
	} rows[] = {
		{"with a hole", NAME, HEAD - 2, {HEAD - 1, HEAD + 1}, false},
		{"of another channel", "other", HEAD - 2, {HEAD - 1, HEAD}, false},
		{"from too far back", NAME, 1, {HEAD}, true},
	};
	struct hub_command command = {.type = COMMAND_SUBSCRIBE,
	                              .channel = SLICE(NAME),
	                              .has_since = true,
	                              .since = {.epoch = EPOCH, .seq = 1}};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		printf("far: an answer %s is none, and is asked for again\n", rows[i].claim);
		begin(HOME_ELSEWHERE);
		hub_execute(hub, &session, &command);
		pass(HUB_FAR_MS);
		tailed(HEAD, HEAD);
		pass(HUB_FAR_MS);
		CHECK(sent_count[FAR_FOLLOW] == 1);
		struct far_mail mail = {.seq = HEAD,
		                        .since = {.seq = rows[i].from},
		                        .is_latest = rows[i].is_latest};
		answered(FAR_FOLLOWED, mail, slice_string(rows[i].name), rows[i].seqs);
		pass(HUB_FAR_MS);
		CHECK(sent_count[FAR_FOLLOW] == 2 && log_first(&channel()->log) == HEAD + 1);
		mail = (struct far_mail){.seq = HEAD, .since = {.seq = HEAD - 2}};
		answered(FAR_FOLLOWED, mail, SLICE(NAME), (uint64_t[]){HEAD - 1, HEAD});
		CHECK(log_first(&channel()->log) == HEAD - 1 && refusals == 0);
		end();
	}

	printf("far: nor is history of another channel\n");
	begin(HOME_ELSEWHERE);
	execute(COMMAND_HISTORY);
	pass(HUB_FAR_MS);
	CHECK(sent_count[FAR_HISTORY] == 1);
	answered(FAR_HISTORY_READY, (struct far_mail){.seq = 2}, SLICE("other"),
	         (uint64_t[]){1, 2});
	CHECK(histories == 0);
	answered(FAR_HISTORY_READY, (struct far_mail){.seq = 2}, SLICE(NAME), (uint64_t[]){1, 2});
	CHECK(histories == 1);
	end();
}

static void publish(void)
{
	pass(HUB_FAR_MS);
	execute(COMMAND_PUBLISH);
	hub_commit(hub, hub_slot_of(SLICE(NAME)));
}

static void the_oldest_order_comes_back(void)
{
	printf("far: an order that is resumed does not make room for the one that is left\n");
	begin(HOME_HERE);
	publish();
	uint64_t epoch = channel()->epoch;
	for (uint64_t i = 1; i <= PASTS_MAX; i++) {
		set_role(HOME_HERE, STREAM + i);
		publish();
		CHECK(channel()->epoch != epoch && channel()->far->pasts.count == i);
	}
	set_role(HOME_HERE, STREAM);
	pass(HUB_FAR_MS);
	CHECK(channel()->epoch == epoch && log_next(&channel()->log) == 2);
	set_role(HOME_ELSEWHERE, STREAM);
	pass(HUB_FAR_MS);
	set_role(HOME_HERE, STREAM);
	publish();
	CHECK(channel()->epoch == epoch && log_next(&channel()->log) == 3);
	CHECK(refusals == 0);
	end();
}

static void next_is(struct hub_save *save, enum hub_entry_kind kind, struct slice name)
{
	struct hub_entry entry;
	CHECK(hub_save_next(hub, save, &entry));
	CHECK(entry.kind == kind);
	struct slice of = kind == ENTRY_RECORD ? record_channel(entry.record) : entry.name;
	CHECK(slice_equals(of, name));
}

static void ends_while_it_is_saved(void)
{
	char beside[20];
	struct slice name;
	uint32_t slot = hub_slot_of(SLICE(NAME)), number = 0;
	struct hub_save save;
	do {
		name = slice_of(beside, (size_t)snprintf(beside, sizeof(beside), "%u", ++number));
	} while (hub_slot_of(name) != slot);
	printf("far: a channel that ends while its slot is saved does not hide the next one\n");
	begin(HOME_ELSEWHERE);
	apply(1);
	apply(2);
	apply_in(name, 1);
	CHECK(hub_save_begin(hub, slot, &save));
	next_is(&save, ENTRY_CHANNEL, SLICE(NAME));
	next_is(&save, ENTRY_RECORD, SLICE(NAME));
	CHECK(hub_apply(hub, &(struct hub_entry){
				     .kind = ENTRY_CLOSE, .name = SLICE(NAME), .epoch = EPOCH}));
	CHECK(hub_find(hub, SLICE(NAME), hub_hash(hub, SLICE(NAME))) == NULL);
	next_is(&save, ENTRY_CHANNEL, name);
	next_is(&save, ENTRY_RECORD, name);
	hub_save_end(&save);
	end();
}

/* The keys that are left of what is saved. */
static uint32_t count_keys(struct hub_save *save)
{
	struct hub_entry entry;
	uint32_t count = 0;
	while (hub_save_next(hub, save, &entry))
		count += entry.kind == ENTRY_KEY;
	return count;
}

static void order_is_left_while_it_is_saved(void)
{
	uint32_t slot = hub_slot_of(SLICE(NAME));
	struct hub_save save;
	struct hub_entry entry = {.kind = ENTRY_RECORD};
	printf("far: of an order that is begun while keys are saved all keys are\n");
	begin(HOME_HERE);
	for (int i = 0; i < 3; i++)
		publish();
	CHECK(hub_save_begin(hub, slot, &save));
	CHECK(count_keys(&save) == 3);
	hub_save_end(&save);
	CHECK(hub_save_begin(hub, slot, &save));
	while (entry.kind != ENTRY_KEY)
		CHECK(hub_save_next(hub, &save, &entry));
	set_role(HOME_HERE, STREAM + 1);
	publish();
	CHECK(channel()->far->pasts.count == 1);
	CHECK(count_keys(&save) == 1);
	hub_save_end(&save);
	end();
}

static bool is_there(void)
{
	return hub_find(hub, SLICE(NAME), hub_hash(hub, SLICE(NAME))) != NULL;
}

static void pass_with_timers(uint64_t ms)
{
	struct timer *timer;
	pass(ms);
	while ((timer = timer_take_due(&wheel, now_ms)) != NULL)
		hub_timer(hub, timer);
}

/* Somebody follows, at a node that keeps a copy. */
static void follow_a_copy(void)
{
	begin(HOME_ELSEWHERE);
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	tailed(0, 0);
	pass(HUB_FAR_MS);
}

static void nobody_follows(void)
{
	execute(COMMAND_UNSUBSCRIBE);
	pass_with_timers(CHANNEL_LINGER_MS + TIMER_TICK_MS);
	CHECK(sent_count[FAR_UNTAIL] == 1);
}

static void nothing_to_copy(void)
{
	printf("far: a copy in which nothing was said goes when nobody follows it\n");
	follow_a_copy();
	nobody_follows();
	CHECK(!is_there());
	end();

	printf("far: another one goes when its home says so\n");
	follow_a_copy();
	apply(1);
	nobody_follows();
	pass_with_timers(rule_list[1].history_ttl_ms);
	pass_with_timers(CHANNEL_LINGER_MS);
	CHECK(is_there());
	struct hub_entry close = {.kind = ENTRY_CLOSE, .name = SLICE(NAME), .epoch = EPOCH};
	CHECK(hub_apply(hub, &close));
	CHECK(!is_there());
	end();

	printf("far: and one of which it said so while somebody followed goes behind him\n");
	follow_a_copy();
	apply(1);
	pass_with_timers(rule_list[1].history_ttl_ms);
	pass_with_timers(CHANNEL_LINGER_MS);
	CHECK(hub_apply(hub, &close));
	CHECK(is_there());
	nobody_follows();
	CHECK(!is_there());
	end();
}

static void restored(uint64_t seq)
{
	struct record *record = placed(seq);
	restore(&(struct hub_entry){.kind = ENTRY_RECORD, .record = record});
	record_drop(record);
}

static void of_another_channel(void)
{
	printf("far: what a state has of another channel than it says is not restored\n");
	struct rule rule = rule_list[1];
	rule_list[1].deliver_last = true;
	for (int is_latest = 0; is_latest < 2; is_latest++) {
		begin(HOME_ELSEWHERE);
		restore(&(struct hub_entry){
			.kind = ENTRY_CHANNEL, .name = SLICE(NAME), .epoch = EPOCH, .seq = 1});
		if (is_latest)
			restore(&(struct hub_entry){.kind = ENTRY_LOST});
		struct record *record = placed_in(SLICE("other"), 1);
		restore(&(struct hub_entry){.kind = is_latest ? ENTRY_LATEST : ENTRY_RECORD,
		                            .record = record});
		record_drop(record);
		restore(NULL);
		CHECK(log_next(&channel()->log) == 2 && channel()->log.count == 0);
		CHECK(channel()->keyed->latest.count == 0);
		end();
	}
	rule_list[1] = rule;
}

static void restored_key(const char *name, uint64_t seq)
{
	restore(&(struct hub_entry){.kind = ENTRY_KEY, .name = slice_string(name), .seq = seq});
}

static void restored_while_nobody_follows(void)
{
	printf("far: a channel that nobody follows any more does not end while it is restored\n");
	follow_a_copy();
	execute(COMMAND_UNSUBSCRIBE);
	hub_clear(hub, hub_slot_of(SLICE(NAME)));
	restore(&(struct hub_entry){
		.kind = ENTRY_CHANNEL, .name = SLICE(NAME), .epoch = EPOCH, .seq = 2});
	restored(1);
	pass_with_timers(CHANNEL_LINGER_MS + TIMER_TICK_MS); /* the next part is late */
	CHECK(sent_count[FAR_UNTAIL] == 1);
	restored(2);
	restored_key("once", 2);
	restore(NULL);
	CHECK(channel()->epoch == EPOCH && channel()->duplicates->count == 1);
	CHECK(log_first(&channel()->log) == 1 && log_next(&channel()->log) == 3);
	pass_with_timers(CHANNEL_LINGER_MS + TIMER_TICK_MS);
	CHECK(is_there());
	end();

	printf("far: but it does where that begins anew\n");
	follow_a_copy();
	execute(COMMAND_UNSUBSCRIBE);
	hub_clear(hub, hub_slot_of(SLICE(NAME)));
	restore(&(struct hub_entry){
		.kind = ENTRY_CHANNEL, .name = SLICE(NAME), .epoch = EPOCH, .seq = 0});
	pass_with_timers(CHANNEL_LINGER_MS + TIMER_TICK_MS);
	CHECK(is_there());
	hub_clear(hub, hub_slot_of(SLICE(NAME)));
	CHECK(!is_there());
	restore(NULL);
	end();
}

static void restored_latest(uint64_t seq)
{
	struct record *record = placed(seq);
	restore(&(struct hub_entry){.kind = ENTRY_LATEST, .record = record});
	record_drop(record);
}

static void restore_to(uint64_t head)
{
	restore(&(struct hub_entry){
		.kind = ENTRY_CHANNEL, .name = SLICE(NAME), .epoch = EPOCH, .seq = head});
}

/* What a copy is restored from may say what cannot be. */
static void behind_its_head(void)
{
	struct rule rule = rule_list[1];
	rule_list[1].deliver_last = true;
	printf("far: what a state has behind its head is not the latest of a key\n");
	begin(HOME_ELSEWHERE);
	restore_to(5);
	restored_latest(1000);
	restored_latest(5);
	restore(NULL);
	apply(6);
	CHECK(channel()->keyed->latest.lost == 5 && log_next(&channel()->log) == 7);
	end();

	printf("far: nor where the log is still to reach where the order begins\n");
	for (int is_latest = 0; is_latest < 2; is_latest++) {
		follow_then_keep();
		restore_to(2);
		key = SLICE("a");
		restored(1);
		if (is_latest)
			restored_latest(1000);
		else
			restored(1000);
		key = SLICE("");
		restore(NULL);
		CHECK(channel()->far->pasts.first->seq == 2);
		for (uint64_t seq = 3; seq <= 6; seq++)
			apply(seq);
		CHECK(channel()->far->pasts.count == 0);
		CHECK(latest_from(&channel()->keyed->latest, 0)->record->seq == 6);
		end();
	}

	printf("far: nor is any lost behind it\n");
	for (int is_behind = 0; is_behind < 2; is_behind++) {
		begin(HOME_ELSEWHERE);
		restore_to(5);
		restore(&(struct hub_entry){.kind = ENTRY_LOST, .seq = is_behind ? 9 : 4});
		restore(NULL);
		CHECK(channel()->keyed->latest.lost == (is_behind ? 5 : 4));
		end();
	}
	follow_then_keep();
	restore_to(2);
	restore(&(struct hub_entry){.kind = ENTRY_LOST, .seq = 9});
	CHECK(channel()->far->pasts.first->lost == 2);
	end();
	follow_a_copy();
	restore_to(5);
	restore(&(struct hub_entry){.kind = ENTRY_LOST});
	tailed_in(FORKED, 7, 7);
	restore(&(struct hub_entry){.kind = ENTRY_LOST, .seq = 3});
	CHECK(channel()->keyed->latest.lost == 7);
	end();

	printf("far: nor where the order has begun again meanwhile\n");
	follow_a_copy();
	restore_to(5);
	restored(5);
	restore(&(struct hub_entry){.kind = ENTRY_LOST});
	tailed_in(FORKED, 0, 0);
	tailed(0, 0);
	restored_latest(5);
	restore(NULL);
	apply(1);
	CHECK(latest_from(&channel()->keyed->latest, 0)->record->seq == 1);
	end();
	rule_list[1] = rule;
}

static void key_of_no_number(void)
{
	printf("far: a key whose number is behind the head of a state is not known by it\n");
	begin(HOME_ELSEWHERE);
	restore_to(5);
	restored_key("at", 5);
	restored_key("behind", 6);
	restore(NULL);
	set_role(HOME_HERE, STREAM);
	asked_to_publish("at", 0);
	CHECK(sent_count[FAR_PUBLISHED] == 1 && sent[FAR_PUBLISHED].seq == 5);
	asked_to_publish("behind", 1);
	hub_commit(hub, hub_slot_of(SLICE(NAME)));
	CHECK(sent_count[FAR_PUBLISHED] == 2 && sent[FAR_PUBLISHED].seq == 6);
	end();

	printf("far: nor one of an order that is not the channel's by now\n");
	follow_a_copy();
	restore_to(5);
	restored_key("at", 5);
	tailed_in(FORKED, 7, 7);
	restored_key("of another", 5);
	restore(NULL);
	CHECK(channel()->epoch == FORKED && channel()->duplicates == NULL);
	end();
}

static void is_away(uint64_t ms)
{
	hub_node_down(hub, OTHER);
	pass(ms);
	hub_node_up(hub, OTHER);
	pass(HUB_FAR_MS);
	CHECK(sent[FAR_TAIL].has_since && sent[FAR_TAIL].since.epoch == EPOCH);
}

/* The home is asked each second, and says that all it knows of is so. */
static void agree(uint64_t ms)
{
	struct hub_slot *slot = far_slot(hub, hub_slot_of(SLICE(NAME)));
	struct far_mail mail = {.kind = FAR_SYNCING, .slot = slot->number};
	hub_far_receive(hub, OTHER, &mail);
	for (; ms > 0; ms -= SYNC_ASK_MS) {
		uint32_t asked = sent_count[FAR_ASK];
		pass(SYNC_ASK_MS);
		CHECK(sent_count[FAR_ASK] == asked + 1);
		mail = (struct far_mail){.kind = FAR_DIGEST,
		                         .slot = slot->number,
		                         .counter = slot->counter,
		                         .sum = slot->sum,
		                         .is_synced = true};
		hub_far_receive(hub, OTHER, &mail);
	}
}

static void knows_its_place(void)
{
	printf("far: who was in touch a moment ago names the stream that his place is in\n");
	follow_a_copy();
	is_away(1000);
	CHECK(sent[FAR_TAIL].stream == STREAM);
	tailed(0, 0);
	agree(2 * CHANNEL_LINGER_MS);
	is_away(1000);
	CHECK(sent[FAR_TAIL].stream == STREAM);
	tailed(0, 0);

	printf("far: for longer than a channel is remembered where nobody follows, he does not\n");
	is_away(CHANNEL_LINGER_MS);
	CHECK(sent[FAR_TAIL].stream == 0);
	tailed(0, 0);

	printf("far: who was home until now does\n");
	set_role(HOME_HERE, STREAM);
	pass(2 * CHANNEL_LINGER_MS);
	set_role(HOME_ELSEWHERE, STREAM);
	pass(HUB_FAR_MS);
	CHECK(sent[FAR_TAIL].stream == STREAM && sent[FAR_TAIL].since.epoch == EPOCH);
	CHECK(gaps == 0);
	end();
}

/* A node says for the `counter`th time where it is. */
static void tail_from(uint64_t counter, uint64_t epoch, uint64_t seq, uint64_t stream)
{
	hub_far_receive(hub, OTHER,
	                &(struct far_mail){.kind = FAR_TAIL,
	                                   .slot = hub_slot_of(SLICE(NAME)),
	                                   .name = SLICE(NAME),
	                                   .counter = counter,
	                                   .has_since = true,
	                                   .since = {.epoch = epoch, .seq = seq},
	                                   .stream = stream});
}

static uint64_t answer_to_tail(uint64_t stream)
{
	begin(HOME_HERE);
	tail_from(1, EPOCH, 5, stream);
	CHECK(sent_count[FAR_TAILED] == 1 && sent[FAR_TAILED].error == ERROR_NONE);
	uint64_t epoch = sent[FAR_TAILED].epoch;
	CHECK(sent[FAR_TAILED].seq == (epoch == EPOCH ? 5 : 0));
	end();
	return epoch;
}

static void goes_on_from_there(void)
{
	printf("far: a home that has no such channel goes on from the place of who names its "
	       "stream\n");
	CHECK(answer_to_tail(STREAM) == EPOCH);
	CHECK(answer_to_tail(STREAM + 1) != EPOCH && answer_to_tail(0) != EPOCH);
}

static void begins_as_copy(void)
{
	struct rule rule = rule_list[1];
	rule_list[1].history_ttl_ms = 1000;
	printf("far: a home begins with the channels that it had copies of, though nobody follows "
	       "yet\n");
	begin(HOME_ELSEWHERE);
	apply(1);
	apply(2);
	pass_with_timers(RETRIES_MS);
	CHECK(is_there());
	set_role(HOME_HERE, STREAM);
	pass_with_timers(CHANNEL_LINGER_MS / 2);
	CHECK(is_there());
	tail_from(1, EPOCH, 1, STREAM);
	CHECK(sent[FAR_TAILED].epoch == EPOCH && sent[FAR_TAILED].since.seq == 2);
	end();
	rule_list[1] = rule;
}

/* Another channel, that nobody follows. */
static void open_another(const char *name)
{
	struct channel *another = hub_open(hub, slice_string(name));
	CHECK(another != NULL);
	agent_settle(hub, another);
}

static void unfollow_one_too_many(void)
{
	hub->options.lingering_max = 1;
	execute(COMMAND_UNSUBSCRIBE);
	open_another("other");
}

static void too_many(void)
{
	printf("far: what makes room at one node is followed at its home no more\n");
	follow_a_copy();
	CHECK(sent_count[FAR_UNTAIL] == 0);
	unfollow_one_too_many();
	CHECK(!is_there() && sent_count[FAR_UNTAIL] == 1);
	CHECK(hub_counters(hub)->forgotten == 1);
	end();

	printf("far: what is kept for its home makes none\n");
	follow_a_copy();
	apply(1);
	unfollow_one_too_many();
	pass_with_timers(rule_list[1].history_ttl_ms);
	open_another("third");
	open_another("fourth");
	CHECK(is_there());
	end();

	printf("far: nor does what others may still say that they follow\n");
	begin(HOME_HERE);
	execute(COMMAND_SUBSCRIBE);
	unfollow_one_too_many();
	CHECK(is_there() && hub->lingering_count == 2);
	pass(PRESENCE_WHOLE_MS_MAX);
	open_another("third");
	CHECK(!is_there() && hub->lingering_count == 2);
	end();

	printf("far: where many are unused at once, one goes for each that is new\n");
	begin(HOME_ELSEWHERE);
	const char *names[] = {"one", "two", "three", "four"};
	for (size_t i = 0; i < COUNT_OF(names); i++)
		open_another(names[i]);
	hub->options.lingering_max = 1;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		open_another(names[i]);
	CHECK(hub->lingering_count == 4 && hub_counters(hub)->forgotten == 0);
	open_another("five");
	CHECK(hub->lingering_count == 4 && hub_counters(hub)->forgotten == 1);
	CHECK(hub_find(hub, SLICE("one"), hub_hash(hub, SLICE("one"))) == NULL);
	end();
}

/* ---- what a fork cannot give ---- */

static void commit(void)
{
	hub_commit(hub, hub_slot_of(SLICE(NAME)));
	pass(0);
}

/* Of an order up to there, in part. True: it was not known. */
static bool is_lost(uint64_t epoch, uint64_t seq)
{
	uint32_t before = proposed_count;
	struct hub_entry entry = {
		.kind = ENTRY_CHANNEL, .name = SLICE(NAME), .epoch = epoch, .seq = seq};
	CHECK(hub_merge(hub, hub_slot_of(SLICE(NAME)), &entry));
	return proposed_count > before;
}

static void follow_at_home(void)
{
	begin(HOME_HERE);
	execute(COMMAND_SUBSCRIBE);
	publish();
	pass(0);
}

static bool is_recovered_from(uint64_t seq)
{
	struct cursor since = {.epoch = channel()->epoch, .seq = seq};
	struct channel *found = hub_find(hub, SLICE(NAME), hub_hash(hub, SLICE(NAME)));
	return agent_follow(hub, found, &since).is_recovered;
}

static void a_gap_has_its_place(void)
{
	printf("far: of what a fork cannot give those who follow are told, at a number of its "
	       "own\n");
	follow_at_home();
	CHECK(is_lost(FORKED, 3));
	CHECK(proposed.epoch == channel()->epoch && proposed.seq == 2);
	CHECK(channel_next(channel()) == 3 && gaps == 0);
	commit();
	CHECK(gaps == 1 && log_next(&channel()->log) == 3);
	publish();
	pass(0);
	CHECK(log_first(&channel()->log) == 3 && log_next(&channel()->log) == 4 && gaps == 1);
	CHECK(!is_recovered_from(1) && is_recovered_from(2) && is_recovered_from(3));

	printf("far: once, and again where more is lost\n");
	CHECK(!is_lost(FORKED, 3) && !is_lost(FORKED, 2) && !is_lost(FORKED, 0));
	CHECK(is_lost(FORKED, 4) && is_lost(FORKED + 1, 1));
	CHECK(!is_lost(FORKED, 4)); /* also before that is committed */
	commit();
	commit();
	CHECK(gaps == 3 && channel_next(channel()) == 6);

	printf("far: of what they have had they are not\n");
	uint64_t epoch = channel()->epoch;
	CHECK(!is_lost(epoch, 5));
	set_role(HOME_HERE, STREAM + 1);
	publish();
	CHECK(channel()->epoch != epoch && !is_lost(epoch, 5) && is_lost(epoch, 6));
	CHECK(refusals == 0);
	end();

	printf("far: who follows, and has not said so, is told as there is no such order any "
	       "more\n");
	begin(HOME_HERE);
	pass(CHANNEL_LINGER_MS);
	CHECK(!is_lost(FORKED, 3));
	tail_from(1, EPOCH, 0, STREAM);
	CHECK(sent_count[FAR_TAILED] == 1 && sent[FAR_TAILED].epoch != EPOCH);
	end();

	printf("far: what was said of a copy that is none is not lost either\n");
	begin(HOME_ELSEWHERE);
	hub_set_role(hub, hub_slot_of(SLICE(NAME)),
	             &(struct hub_role){.home = HOME_ELSEWHERE, .node = OTHER, .stream = STREAM});
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	tailed(4, 4);
	receive(5);
	pass(HUB_FAR_MS);
	set_role(HOME_HERE, STREAM + 1);
	pass(HUB_FAR_MS);
	CHECK(gaps == 1 && channel()->epoch != EPOCH);
	CHECK(!is_lost(EPOCH, 5) && is_lost(EPOCH, 6));
	end();
}

/* How often memory was short. */
static uint32_t lost_unknown_with_failure(uint32_t number)
{
	struct hub_entry entry = {
		.kind = ENTRY_CHANNEL, .name = SLICE(NAME), .epoch = FORKED, .seq = 3};
	begin(HOME_HERE);
	pass(CHANNEL_LINGER_MS);
	failing_arm(number, FAILING_ONE);
	bool is_merged = hub_merge(hub, hub_slot_of(SLICE(NAME)), &entry);
	uint32_t failed = failing_disarm();
	CHECK(is_merged == (failed == 0));
	CHECK(!is_lost(FORKED, 3) && !is_lost(FORKED, 3) && !is_lost(FORKED, 2));
	end();
	return failed;
}

static void lost_of_an_unknown_channel(void)
{
	struct hub_save save;
	struct hub_entry entry;
	printf("far: who begins to follow between two copies' forks is told nothing\n");
	begin(HOME_HERE);
	pass(CHANNEL_LINGER_MS);
	CHECK(!is_lost(FORKED, 3));
	execute(COMMAND_SUBSCRIBE);
	pass(0);
	CHECK(!is_lost(FORKED, 3) && !is_lost(FORKED, 1));

	printf("far: nor is a new copy told of such a channel\n");
	CHECK(hub_save_begin(hub, hub_slot_of(SLICE(NAME)), &save));
	CHECK(!hub_save_next(hub, &save, &entry));
	hub_save_end(&save);
	CHECK(is_lost(FORKED, 4));
	commit();
	CHECK(gaps == 1);
	end();

	printf("far: but where nodes may not have said yet that they follow, copies are\n");
	begin(HOME_HERE);
	pass(CHANNEL_LINGER_MS - 1);
	CHECK(is_lost(FORKED, 3) && !is_lost(FORKED, 3));
	end();

	printf("far: whenever memory is short\n");
	uint32_t number = 1;
	while (lost_unknown_with_failure(number) > 0)
		number++;
	CHECK(number > 2);
}

static void a_gap_is_revoked(void)
{
	printf("far: a gap that was not committed is told by the home that gets the fork again\n");
	follow_at_home();
	CHECK(is_lost(FORKED, 3));
	set_role(HOME_NOWHERE, STREAM);
	CHECK(channel()->far->proposals == 0);
	set_role(HOME_HERE, STREAM);
	pass(0);
	CHECK(is_lost(FORKED, 3));
	commit();
	CHECK(gaps == 1);
	end();

	printf("far: one whose order was left meanwhile says nothing in the next one\n");
	follow_at_home();
	CHECK(is_lost(FORKED, 3));
	set_role(HOME_HERE, STREAM + 1);
	pass(HUB_FAR_MS);
	uint64_t next = log_next(&channel()->log);
	commit();
	CHECK(log_next(&channel()->log) == next && channel()->far->proposals == 0);
	end();

	printf("far: and one under way when the hub ends is given up\n");
	follow_at_home();
	CHECK(is_lost(FORKED, 3));
	end();
}

static void a_gap_shows_to_nodes(void)
{
	struct far_mail asks = {.kind = FAR_ASK, .slot = hub_slot_of(SLICE(NAME))};
	printf("far: a node that follows finds that it lacks something, and is told\n");
	follow_at_home();
	tail_from(1, channel()->epoch, 1, STREAM);
	CHECK(sent_count[FAR_TAILED] == 1 && sent[FAR_TAILED].since.seq == 1);
	CHECK(is_lost(FORKED, 3));
	hub_far_receive(hub, OTHER, &asks);
	uint64_t before = sent[FAR_DIGEST].sum.sent;
	uint32_t records = sent_count[FAR_RECORDS];
	commit();
	hub_far_receive(hub, OTHER, &asks);
	CHECK(sent[FAR_DIGEST].sum.sent == before + 1 && sent_count[FAR_RECORDS] == records);
	tail_from(2, channel()->epoch, 1, STREAM);
	CHECK(sent_count[FAR_TAILED] == 2 && sent[FAR_TAILED].since.seq == 2);
	end();
}

/* It goes on, though what memory was lacking for is done later. */
static uint32_t gap_with_failure(uint32_t number)
{
	follow_at_home();
	CHECK(is_lost(FORKED, 3));
	failing_arm(number, FAILING_ONE);
	hub_commit(hub, hub_slot_of(SLICE(NAME)));
	uint32_t failed = failing_disarm();
	CHECK(channel_next(channel()) == 3);
	pass(HUB_FAR_MS);
	pass(HUB_FAR_MS);
	CHECK(gaps == 1 && channel()->far->proposals == 0 && channel()->far->begun == 0);
	const struct latest_entry *latest = latest_from(&channel()->keyed->latest, 0);
	CHECK(latest != NULL && latest->record->seq == 1);
	publish();
	CHECK(log_next(&channel()->log) == 4);
	end();
	return failed;
}

static void a_gap_keeps_the_latest(void)
{
	struct rule rule = rule_list[1];
	rule_list[1].deliver_last = true;
	printf("far: the latest of keys go on behind a gap, whenever memory is short\n");
	uint32_t number = 1;
	while (gap_with_failure(number) > 0)
		number++;
	CHECK(number > 2);
	rule_list[1] = rule;
}

static void apply_gap(uint64_t seq)
{
	struct hub_entry entry = {
		.kind = ENTRY_CHANNEL, .name = SLICE(NAME), .epoch = EPOCH, .seq = seq};
	CHECK(hub_apply(hub, &entry));
	pass(0);
}

static void a_gap_is_copied(void)
{
	printf("far: a copy has the gap at its number\n");
	follow_a_copy();
	apply(1);
	apply_gap(2);
	CHECK(gaps == 1 && log_next(&channel()->log) == 3 && channel()->far->begun == 0);
	CHECK(channel()->far->pasts.count == 0);
	apply_gap(2); /* once more */
	apply_gap(0);
	apply(3);
	CHECK(gaps == 1 && log_first(&channel()->log) == 3 && log_next(&channel()->log) == 4);
	end();

	printf("far: and so where the home's letters came before its log\n");
	follow_a_copy();
	apply(1);
	receive(3);
	pass(HUB_FAR_MS);
	tailed(2, 3);
	receive(3);
	pass(0);
	CHECK(gaps == 1 && channel()->far->begun == 3);
	apply_gap(2);
	CHECK(gaps == 1 && channel()->far->begun == 0 && channel()->far->pasts.count == 0);
	apply(3);
	CHECK(gaps == 1 && log_first(&channel()->log) == 3 && log_next(&channel()->log) == 4);
	end();

	printf("far: also of a channel in which nothing was said yet\n");
	begin(HOME_ELSEWHERE);
	apply_gap(1);
	CHECK(is_there() && channel()->epoch == EPOCH && log_next(&channel()->log) == 2);
	set_role(HOME_HERE, STREAM);
	CHECK(channel_next(channel()) == 2);
	end();

	printf("far: of a stream that is left it has none\n");
	begin(HOME_ELSEWHERE);
	apply(1);
	set_role(HOME_NOWHERE, 0);
	apply_gap(2);
	CHECK(log_next(&channel()->log) == 2);
	end();
}

static bool is_shown(void)
{
	struct hub_listed listed;
	return hub_look_up(hub, SLICE(NAME), &listed);
}

/* What the fork says that it cannot give: of how many orders, and of the last one up to where. */
static uint32_t gone(struct cursor *last)
{
	struct hub_save save;
	struct hub_entry entry;
	uint32_t count = 0;
	bool has_records = false;
	CHECK(hub_fork_begin(hub, hub_slot_of(SLICE(NAME)), &save));
	while (hub_save_next(hub, &save, &entry)) {
		has_records |= entry.kind == ENTRY_RECORD;
		if (entry.kind != ENTRY_CHANNEL)
			continue;
		CHECK(!has_records && slice_equals(entry.name, SLICE(NAME)));
		*last = (struct cursor){.epoch = entry.epoch, .seq = entry.seq};
		count++;
	}
	hub_save_end(&save);
	return count;
}

static void a_fork_says_what_is_gone(void)
{
	struct rule rule = rule_list[1];
	struct cursor last;
	rule_list[1].history_size = 2;
	printf("far: a fork says how much of an order history has let go\n");
	begin(HOME_HERE);
	publish();
	publish();
	set_role(HOME_NOWHERE, 0);
	CHECK(gone(&last) == 0);
	set_role(HOME_HERE, STREAM);
	publish();
	uint64_t epoch = channel()->epoch;
	set_role(HOME_NOWHERE, 0);
	CHECK(gone(&last) == 1 && last.epoch == epoch && last.seq == 1);

	printf("far: of one that was left, too\n");
	set_role(HOME_ELSEWHERE, STREAM + 1);
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	tailed(0, 0);
	CHECK(channel()->epoch == EPOCH && channel()->far->pasts.count == 1);
	set_role(HOME_NOWHERE, 0);
	CHECK(gone(&last) == 1 && last.epoch == epoch && last.seq == 1);

	printf("far: all of it, when that is too old\n");
	pass_with_timers(rule_list[1].history_ttl_ms);
	CHECK(gone(&last) == 0); /* and so is its mark */
	rule_list[1].history_ttl_ms = 1000;
	set_role(HOME_HERE, STREAM + 2);
	publish();
	epoch = channel()->epoch;
	pass_with_timers(2000);
	set_role(HOME_NOWHERE, 0);
	CHECK(gone(&last) == 1 && last.epoch == epoch && last.seq == 1);
	set_role(HOME_ELSEWHERE, STREAM + 3);
	pass(HUB_FAR_MS);
	tailed(0, 0);
	pass_with_timers(PAST_MS_MIN / 2);
	set_role(HOME_NOWHERE, 0);
	CHECK(gone(&last) == 1 && last.epoch == epoch && last.seq == 1);

	printf("far: not again where it was given away\n");
	hub_clear(hub, hub_slot_of(SLICE(NAME)));
	CHECK(gone(&last) == 0);
	end();

	printf("far: of a stream that another one went on with, too\n");
	begin(HOME_HERE);
	for (int i = 0; i < 5; i++)
		publish();
	epoch = channel()->epoch;
	set_role(HOME_HERE, STREAM + 1);
	publish();
	set_role(HOME_NOWHERE, 0);
	CHECK(channel()->epoch != epoch && gone(&last) == 1);
	CHECK(last.epoch == epoch && last.seq == 3);
	end();
	rule_list[1] = rule;
}

/* Up to where the fork of a copy with these keys, each one letter, says that it cannot give. */
static uint64_t gone_of_keys(const char *keys, uint32_t history_size)
{
	struct cursor last = {0};
	rule_list[1].history_size = history_size;
	begin(HOME_ELSEWHERE);
	for (uint64_t seq = 1; keys[seq - 1] != 0; seq++) {
		key = slice_of(&keys[seq - 1], 1);
		apply(seq);
	}
	key = SLICE("");
	set_role(HOME_NOWHERE, 0);
	CHECK(gone(&last) == (last.seq > 0));
	end();
	return last.seq;
}

static void the_latest_are_not_gone(void)
{
	struct rule rule = rule_list[1];
	rule_list[1].deliver_last = true;
	rule_list[1].max_keys = 10;
	printf("far: of what is gone the fork does not say so where it gives it as the latest\n");
	CHECK(gone_of_keys("a", 0) == 0 && gone_of_keys("ab", 0) == 0);
	CHECK(gone_of_keys("aa", 0) == 1 && gone_of_keys("aba", 0) == 1);
	CHECK(gone_of_keys("abcaa", 0) == 4 && gone_of_keys("abcaa", 1) == 4);
	CHECK(gone_of_keys("abcaa", 2) == 1 && gone_of_keys("abcaa", 5) == 0);
	rule_list[1] = rule;
}

static void shown_for_an_order_that_was_left(void)
{
	printf("far: a channel is shown for the records of an order that it has left\n");
	begin(HOME_HERE);
	publish();
	set_role(HOME_HERE, STREAM + 1);
	pass_with_timers(HUB_FAR_MS);
	CHECK(!channel_is_followed(channel()) && channel()->log.count == 0);
	CHECK(channel()->far->pasts.count == 1 && is_shown());
	end();
}

static void say_without_copies(void)
{
	begin(HOME_HERE);
	execute(COMMAND_SUBSCRIBE);
	for (int i = 0; i < 2; i++)
		execute(COMMAND_PUBLISH);
	pass(0);
	CHECK(log_next(&channel()->log) == 3 && proposed_count == 0);
}

static void nothing_is_kept(void)
{
	struct rule rule = rule_list[1];
	struct cursor last;
	struct hub_save save;
	struct hub_entry entry;
	rule_list[1].history_size = 0;
	printf("far: where nothing is kept a fork says that all is gone\n");
	say_without_copies();
	uint64_t epoch = channel()->epoch;
	set_role(HOME_ELSEWHERE, STREAM + 1);
	pass(HUB_FAR_MS);
	tailed(0, 0);
	set_role(HOME_NOWHERE, 0);
	CHECK(gone(&last) == 1 && last.epoch == epoch && last.seq == 2);

	printf("far: that order does not come back with its stream\n");
	set_role(HOME_HERE, STREAM);
	pass(HUB_FAR_MS);
	CHECK(channel()->epoch != epoch && channel()->epoch != EPOCH);

	printf("far: and a new copy is given nothing of the channel\n");
	CHECK(channel()->far->pasts.count > 0);
	CHECK(hub_save_begin(hub, hub_slot_of(SLICE(NAME)), &save));
	CHECK(!hub_save_next(hub, &save, &entry));
	hub_save_end(&save);
	end();

	printf("far: it is gone also when nobody has told of another order yet\n");
	say_without_copies();
	epoch = channel()->epoch;
	set_role(HOME_NOWHERE, 0);
	CHECK(gone(&last) == 1 && last.epoch == epoch && last.seq == 2);
	end();

	printf("far: but when more is kept there, it does\n");
	say_without_copies();
	epoch = channel()->epoch;
	set_role(HOME_NOWHERE, STREAM);
	CHECK(channel()->far->pasts.count == 1);
	rule_list[1].history_size = 100;
	set_role(HOME_HERE, STREAM);
	publish();
	CHECK(channel()->epoch == epoch);
	set_role(HOME_HERE, STREAM + 1);
	publish();
	CHECK(channel()->epoch != epoch);
	set_role(HOME_HERE, STREAM);
	publish();
	CHECK(channel()->epoch == epoch);
	rule_list[1].history_size = 0;
	end();

	printf("far: a home that followed is told of no more than what it has not had\n");
	begin(HOME_ELSEWHERE);
	execute(COMMAND_SUBSCRIBE);
	pass(HUB_FAR_MS);
	tailed(7, 7);
	pass(HUB_FAR_MS);
	set_role(HOME_HERE, STREAM + 1);
	pass(HUB_FAR_MS);
	CHECK(gaps == 1 && channel()->epoch != EPOCH);
	CHECK(!is_lost(EPOCH, 7));
	pass(0);
	CHECK(gaps == 1);
	CHECK(!is_lost(EPOCH, 8));
	pass(0);
	CHECK(gaps == 2);
	end();

	printf("far: and the channel stays to say so, but nothing is held that would be shown\n");
	say_without_copies();
	execute(COMMAND_UNSUBSCRIBE);
	set_role(HOME_NOWHERE, STREAM);
	pass_with_timers(2 * CHANNEL_LINGER_MS);
	CHECK(is_there() && channel_holds_any(channel()) && !is_shown());
	end();

	printf("far: it is gone also where another home went on with the stream\n");
	say_without_copies();
	epoch = channel()->epoch;
	set_role(HOME_ELSEWHERE, STREAM);
	pass(HUB_FAR_MS);
	tailed(0, 0);
	CHECK(channel()->epoch == EPOCH);
	set_role(HOME_NOWHERE, 0);
	CHECK(gone(&last) == 1 && last.epoch == epoch && last.seq == 2);
	end();

	printf("far: those who follow at home are told at once\n");
	say_without_copies();
	CHECK(!is_lost(FORKED, 3));
	pass(0);
	CHECK(gaps == 1 && log_next(&channel()->log) == 4);
	CHECK(!is_lost(FORKED, 3));
	is_full = true;
	entry = (struct hub_entry){
		.kind = ENTRY_CHANNEL, .name = SLICE(NAME), .epoch = FORKED, .seq = 4};
	CHECK(!hub_merge(hub, hub_slot_of(SLICE(NAME)), &entry));
	is_full = false;
	CHECK(hub_merge(hub, hub_slot_of(SLICE(NAME)), &entry));
	pass(0);
	CHECK(gaps == 2 && log_next(&channel()->log) == 5);
	end();
	rule_list[1] = rule;
}

int main(void)
{
	asked_from_nowhere();
	asked_before_its_log();
	followed_before_it_kept();
	latest_before_it_kept();
	unsure_in_any_order();
	asked_again();
	asked_without_memory();
	behind_its_commits();
	commits_before_another_order();
	too_many_ask();
	answered_what_cannot_be();
	the_oldest_order_comes_back();
	ends_while_it_is_saved();
	order_is_left_while_it_is_saved();
	nothing_to_copy();
	of_another_channel();
	restored_while_nobody_follows();
	behind_its_head();
	key_of_no_number();
	knows_its_place();
	goes_on_from_there();
	begins_as_copy();
	too_many();
	a_gap_has_its_place();
	lost_of_an_unknown_channel();
	a_gap_is_revoked();
	a_gap_shows_to_nodes();
	a_gap_keeps_the_latest();
	a_gap_is_copied();
	a_fork_says_what_is_gone();
	the_latest_are_not_gone();
	shown_for_an_order_that_was_left();
	nothing_is_kept();
	return 0;
}
