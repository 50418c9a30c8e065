/*
 * A keeper between slots that say what the test has them say, and a hub: schedules that the
 * simulation of nodes (tests/sim/keeper_test) comes to in one seed of many.
 */
#include <stdio.h>

#include "../../failing.h"
#include "hub/far_state.h"
#include "node/keeper.h"

#define NAME "news"
#define EPOCH 7

static struct rule rule_list[] = {
	{.pattern = "*", .history_size = 100, .history_ttl_ms = 3600000, .max_keys = 1}};
static const struct rules rules = {rule_list, COUNT_OF(rule_list)};
static const struct boot_id self = {{1, 1}}, other = {{2, 1}};
static const struct slot_term first = {.counter = 1, .boot = {{2, 1}}};

static struct hub_out hub_out;
static struct hub_cluster cluster;
static struct places_out places_out;
static struct timer_wheel wheel;
static struct roster roster;
static struct relay_codec codec;
static struct places places;
static struct keeper keeper;
static uint16_t slot;
static uint64_t lsn, epoch = EPOCH;

static bool out_has_room(struct hub_out *out)
{
	CHECK(out == &hub_out);
	return true;
}

static void begin(void)
{
	struct mesh_mail node = {.kind = MESH_MAIL_NODE,
	                         .state = MEMBER_READY,
	                         .is_linked = true,
	                         .seat = {3, 1},
	                         .boot = other};
	hub_out = (struct hub_out){.has_room = out_has_room};
	slot = hub_slot_of(SLICE(NAME));
	lsn = 0;
	roster_init(&roster, self);
	CHECK(roster_take(&roster, &node) == ROSTER_UP);
	timer_wheel_init(&wheel, 1000);
	CHECK(places_init(&places, &(struct places_options){.out = &places_out, .workers = 1}));
	CHECK(keeper_init(&keeper, &(struct keeper_options){.roster = &roster,
	                                                    .codec = &codec,
	                                                    .places = &places,
	                                                    .workers = 1}));
	keeper.hub = hub_create(&(struct hub_options){.workers = 1,
	                                              .out = &hub_out,
	                                              .rules = &rules,
	                                              .wheel = &wheel,
	                                              .timer_kind = 1,
	                                              .walk_timer_kind = 2,
	                                              .channels_per_session = 10,
	                                              .outbound_bytes_max = 1000000,
	                                              .cluster = &cluster});
	CHECK(keeper.hub != NULL);
	hub_set_time(keeper.hub, 1000, 1000000);
}

static void end(void)
{
	hub_destroy(keeper.hub);
	keeper_free(&keeper);
	places_free(&places);
}

static void told(enum slots_place place, struct slot_term stream)
{
	struct slots_role role = {.place = place,
	                          .is_replica = true,
	                          .home = place == SLOTS_HERE ? self : other,
	                          .stream = stream};
	keeper.out.role(&keeper.out, slot, &role);
}

/* A record of that number; without memory for it, if need be. */
static void apply_as(uint64_t seq, bool is_short, uint64_t cookie)
{
	struct record *record =
		record_make(&(struct publication){.channel = SLICE(NAME), .payload = SLICE("1")},
	                    hub_hash(keeper.hub, SLICE(NAME)));
	CHECK(record != NULL);
	record_settle(record, epoch, seq, 1, 0);
	struct buf bytes = {0};
	relay_write_entry(&codec, &bytes,
	                  &(struct hub_entry){.kind = ENTRY_RECORD, .record = record});
	struct blob *blob = slots_entry_make(buf_view(&bytes));
	CHECK(blob != NULL);
	if (is_short)
		failing_arm(1, FAILING_ALL_FROM);
	keeper.out.apply(&keeper.out, slot, ++lsn, blob, cookie);
	CHECK(!is_short || failing_disarm() > 0);
	buf_free(&bytes);
	blob_drop(blob);
	record_drop(record);
}

static void apply(uint64_t seq, bool is_short)
{
	apply_as(seq, is_short, 0);
}

static uint64_t next(void)
{
	const struct channel *channel =
		hub_find(keeper.hub, SLICE(NAME), hub_hash(keeper.hub, SLICE(NAME)));
	return channel == NULL ? 0 : log_next(&channel->log);
}

/* What is left, and may never have been committed in it, is not taken for that when it waits and
 * the stream comes back. */
static void waits_while_it_leaves(void)
{
	printf("keeper: what waits is of the stream that was told when it came\n");
	begin();
	told(SLOTS_THERE, first);
	CHECK(far_slot(keeper.hub, slot)->home == HOME_ELSEWHERE);
	CHECK(far_slot(keeper.hub, slot)->node == 3);
	apply(1, false);
	CHECK(next() == 2);
	told(SLOTS_NOWHERE, (struct slot_term){0});
	apply(2, true);
	apply(3, false);
	CHECK(keeper.counters.waited == 2);
	told(SLOTS_THERE, first);
	CHECK(far_slot(keeper.hub, slot)->is_leaving);
	CHECK(far_slot(keeper.hub, slot)->home == HOME_NOWHERE);
	keeper_turn(&keeper);
	CHECK(next() == 2);
	CHECK(far_slot(keeper.hub, slot)->home == HOME_ELSEWHERE);
	CHECK(!far_slot(keeper.hub, slot)->is_leaving);
	end();
}

static void home_while_it_waits(void)
{
	printf("keeper: it is home when nothing waits any more that was committed before\n");
	begin();
	told(SLOTS_THERE, first);
	apply(1, true);
	told(SLOTS_HERE, first);
	CHECK(far_slot(keeper.hub, slot)->home == HOME_NOWHERE && keeper.homes == 0);
	keeper_turn(&keeper);
	CHECK(next() == 2);
	CHECK(far_slot(keeper.hub, slot)->home == HOME_HERE && keeper.homes == 1);
	end();
}

static void leaves_while_it_waits(void)
{
	printf("keeper: that a stream is left is told though something waits\n");
	begin();
	told(SLOTS_THERE, first);
	apply(1, true);
	told(SLOTS_NOWHERE, (struct slot_term){0});
	CHECK(far_slot(keeper.hub, slot)->is_leaving);
	bool has_failed = false;
	uint64_t at = 0;
	CHECK(keeper.out.save(&keeper.out, slot, SLOTS_FORKED, &at, &has_failed) == NULL);
	CHECK(has_failed);
	keeper_turn(&keeper);
	has_failed = false;
	struct blob *part = keeper.out.save(&keeper.out, slot, SLOTS_FORKED, &at, &has_failed);
	CHECK(part != NULL && !has_failed && at == 1);
	blob_drop(part);
	CHECK(keeper.out.save(&keeper.out, slot, SLOTS_FORKED, &at, &has_failed) == NULL);
	CHECK(!has_failed);
	end();
}

static void cleared_while_it_waits(void)
{
	printf("keeper: what waits is not put into what was cleared\n");
	begin();
	told(SLOTS_THERE, first);
	apply(1, true);
	keeper.out.clear(&keeper.out, slot);
	keeper_turn(&keeper);
	CHECK(next() == 0);
	apply(5, false);
	CHECK(next() == 6);
	end();
}

static enum hub_proposed cluster_propose(struct hub_cluster *from, uint32_t number,
                                         const struct hub_entry *entry)
{
	CHECK(from == &cluster && number == slot && entry->kind == ENTRY_RECORD);
	keeper.kept[slot].pending++;
	keeper.cookie++;
	return HUB_PROPOSED;
}

static void out_event(struct hub_out *out, struct session *session, const struct hub_event *event)
{
	CHECK(out == &hub_out && session != NULL);
	CHECK(event->type == EVENT_ERROR || event->type == EVENT_ACK);
}

static void out_answered(struct hub_out *out, struct session *session)
{
	CHECK(out == &hub_out && session != NULL);
}

static struct slab_handle out_handle(struct hub_out *out, const struct session *session)
{
	CHECK(out == &hub_out && session != NULL);
	return (struct slab_handle){0, 1};
}

/* What is proposed and refused: the hub takes it back, and when nothing is under way any more it is
 * home again, though the slots have nothing new to say. The last of it may have been committed. */
static void refused(bool is_last_applied)
{
	printf("keeper: who is refused is home again when nothing of it is left%s\n",
	       is_last_applied ? ", be it committed" : "");
	begin();
	struct session session = {.is_backend = true};
	struct hub_command command = {
		.type = COMMAND_PUBLISH,
		.channel = SLICE(NAME),
		.publication = {.payload = SLICE("1"), .idempotency_key = SLICE("a")}};
	hub_out.event = out_event;
	hub_out.answered = out_answered;
	hub_out.handle = out_handle;
	cluster.propose = cluster_propose;
	told(SLOTS_HERE, first);
	const struct hub_slot *in_hub = far_slot(keeper.hub, slot);
	CHECK(in_hub->home == HOME_HERE && keeper.homes == 1);
	hub_execute(keeper.hub, &session, &command);
	command.publication.idempotency_key = SLICE("b");
	hub_execute(keeper.hub, &session, &command);
	CHECK(keeper.kept[slot].pending == 2 && in_hub->proposed == 2);
	keeper.out.refused(&keeper.out, slot, NULL, 1);
	CHECK(in_hub->home == HOME_NOWHERE && in_hub->proposed == 0 && keeper.homes == 0);
	epoch = hub_find(keeper.hub, SLICE(NAME), hub_hash(keeper.hub, SLICE(NAME)))->epoch;
	if (is_last_applied)
		apply_as(1, false, 2);
	else
		keeper.out.refused(&keeper.out, slot, NULL, 2);
	epoch = EPOCH;
	CHECK(next() == (is_last_applied ? 2 : 1));
	CHECK(in_hub->home == HOME_HERE && keeper.homes == 1);
	hub_session_close(keeper.hub, &session);
	end();
}

static struct session session;

static struct session *out_find(struct hub_out *out, struct slab_handle handle)
{
	CHECK(out == &hub_out && handle.generation == 1);
	return &session;
}

/* Publishes at home, and has it committed without memory. */
static void commit_without_memory(void)
{
	struct hub_command command = {
		.type = COMMAND_PUBLISH,
		.channel = SLICE(NAME),
		.publication = {.payload = SLICE("1"), .idempotency_key = SLICE("a")}};
	session = (struct session){.is_backend = true};
	hub_out.event = out_event;
	hub_out.find = out_find;
	hub_out.answered = out_answered;
	hub_out.handle = out_handle;
	cluster.propose = cluster_propose;
	told(SLOTS_HERE, first);
	CHECK(far_slot(keeper.hub, slot)->home == HOME_HERE);
	hub_execute(keeper.hub, &session, &command);
	failing_arm(1, FAILING_ALL_FROM);
	keeper.out.apply(&keeper.out, slot, ++lsn, NULL, keeper.cookie);
	CHECK(failing_disarm() > 0);
	CHECK(far_slot(keeper.hub, slot)->committed == 1);
}

static void committed_while_it_waits(void)
{
	printf("keeper: what was committed at home is not overtaken when it is home no more\n");
	begin();
	const struct hub_slot *in_hub = far_slot(keeper.hub, slot);
	commit_without_memory();
	told(SLOTS_THERE, first);
	CHECK(in_hub->committed == 1);
	const struct channel *channel =
		hub_find(keeper.hub, SLICE(NAME), hub_hash(keeper.hub, SLICE(NAME)));
	epoch = channel->epoch;
	apply(2, false);
	CHECK(keeper.counters.waited == 1);
	(void)hub_far_turn(keeper.hub, 100, 100);
	CHECK(in_hub->committed == 0);
	keeper_turn(&keeper);
	CHECK(next() == 3 && log_first(&channel->log) == 1);
	hub_session_close(keeper.hub, &session);
	end();
	begin();
	commit_without_memory();
	told(SLOTS_NOWHERE, first);
	keeper.out.clear(&keeper.out, slot); /* others have it */
	CHECK(far_slot(keeper.hub, slot)->proposed == 0);
	hub_session_close(keeper.hub, &session);
	epoch = EPOCH;
	end();
}

static void saved_without_memory(void)
{
	struct buf whole = {0};
	printf("keeper: a state is saved whole, or not at all\n");
	begin();
	told(SLOTS_THERE, first);
	for (uint64_t seq = 1; seq <= 20; seq++)
		apply(seq, false);
	for (uint32_t number = 0, failed = 1; failed > 0; number++) {
		uint64_t at = 0;
		bool has_failed = false;
		buf_free(&keeper.entry);
		buf_free(&keeper.part);
		failing_arm(number, number == 0 ? FAILING_NONE : FAILING_ONE);
		struct blob *part =
			keeper.out.save(&keeper.out, slot, SLOTS_STATE, &at, &has_failed);
		failed = number == 0 ? 1 : failing_disarm();
		CHECK((part == NULL) == has_failed && has_failed == (number > 0 && failed > 0));
		if (number == 0)
			buf_slice(&whole, blob_view(part));
		CHECK(part == NULL || slice_equals(blob_view(part), buf_view(&whole)));
		blob_drop(part);
		if (!has_failed)
			part = keeper.out.save(&keeper.out, slot, SLOTS_STATE, &at, &has_failed);
		CHECK(has_failed || part == NULL);
	}
	buf_free(&whole);
	end();
}

int main(void)
{
	waits_while_it_leaves();
	home_while_it_waits();
	leaves_while_it_waits();
	cleared_while_it_waits();
	refused(false);
	refused(true);
	committed_while_it_waits();
	saved_without_memory();
	return 0;
}
