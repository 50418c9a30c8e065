/*
 * What presence costs at a channel's home and on the way to it: the bytes and the time of a member,
 * with 100,000 in one channel and with ten in each of 100,000. One operation looks at 100,000
 * members: at the home for its audit, and where they are to tell a new home of all of them. Both
 * are done in turns, of which the longest is said.
 */
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include "hub/far_state.h"
#include "micro.h"
#include "node/relay_wire.h"

#define MEMBERS 100000u
#define ROOMS 100000u
#define ROOM_MEMBERS 10u
#define FIRST_USER 1000000u /* there, so that all names are as long */
#define OTHER 1u            /* the other node */
#define USER_BYTES 16

static struct rule rule_list[] = {
	{.pattern = "*", .history_ttl_ms = 1000, .presence = RULE_PRESENCE_FULL}};
static const struct rules rules = {rule_list, 1};
static const struct relay_codec codec = {.hash_key = {{1, 2}}, .mark = 3};

static struct hub_out out;
static struct hub_cluster cluster;
static struct timer_wheel wheel;
static struct buf letter;
static uint64_t now_ms, counter, letters, sent_bytes;

static bool out_has_room(struct hub_out *unused)
{
	(void)unused;
	return true;
}

static uint64_t out_now_us(struct hub_out *unused)
{
	(void)unused;
	return now_ms * 1000;
}

static void cluster_send(struct hub_cluster *unused, uint32_t node, const struct far_mail *mail)
{
	(void)unused;
	CHECK(node == OTHER);
	buf_clear(&letter);
	relay_write(&codec, &letter, mail);
	CHECK(!letter.is_broken);
	sent_bytes += letter.len;
	letters += mail->kind == FAR_NEWS || mail->kind == FAR_PRESENT;
}

static enum hub_proposed cluster_propose(struct hub_cluster *unused, uint32_t slot,
                                         const struct hub_entry *entry)
{
	(void)unused;
	(void)slot;
	(void)entry;
	return HUB_COMMITTED;
}

static void pass(struct hub *hub, uint64_t ms)
{
	now_ms += ms;
	hub_set_time(hub, now_ms, now_ms * 1000);
	struct timer *timer;
	while ((timer = timer_take_due(&wheel, now_ms)) != NULL)
		hub_timer(hub, timer);
	for (int i = 0; i < 64; i++) {
		(void)hub_far_turn(hub, 1024, TURN_PEOPLE_MAX);
		(void)hub_walk(hub, 1024);
	}
}

static void set_role(struct hub *hub, enum hub_home home)
{
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		hub_set_role(hub, slot,
		             &(struct hub_role){.home = (uint8_t)home,
		                                .is_replica = true,
		                                .node = home == HOME_ELSEWHERE ? OTHER : 0,
		                                .stream = 5});
}

static struct hub *make_hub(enum hub_home home)
{
	out = (struct hub_out){.now_us = out_now_us, .has_room = out_has_room};
	cluster = (struct hub_cluster){cluster_send, cluster_propose};
	now_ms = 1000;
	timer_wheel_init(&wheel, now_ms);
	struct hub *hub = hub_create(&(struct hub_options){.workers = 1,
	                                                   .out = &out,
	                                                   .rules = &rules,
	                                                   .wheel = &wheel,
	                                                   .timer_kind = 1,
	                                                   .walk_timer_kind = 2,
	                                                   .presence_timer_kind = 3,
	                                                   .channels_per_session = 10,
	                                                   .outbound_bytes_max = 1000000,
	                                                   .cluster = &cluster});
	CHECK(hub != NULL);
	pass(hub, 0);
	hub_node_up(hub, OTHER);
	set_role(hub, home);
	return hub;
}

static struct slice user_name(uint32_t number, char text[USER_BYTES])
{
	int len = snprintf(text, USER_BYTES, "user-%u", number);
	CHECK(len > 0 && len < USER_BYTES);
	return slice_of(text, (size_t)len);
}

/* The other node reports those users, in letters as it would. */
static void join(struct hub *hub, struct slice channel, uint32_t first, uint32_t count)
{
	static struct far_person people[FAR_PEOPLE_MAX];
	static char names[FAR_PEOPLE_MAX][USER_BYTES];
	struct far_mail mail = {.kind = FAR_PRESENT,
	                        .slot = hub_slot_of(channel),
	                        .name = channel,
	                        .people = people};
	for (uint32_t i = 0; i < count;) {
		for (mail.person_count = 0; mail.person_count < FAR_PEOPLE_MAX && i < count; i++) {
			people[mail.person_count] = (struct far_person){
				.user = user_name(first + i, names[mail.person_count]),
				.connections = 1,
				.state = PERSON_HERE};
			mail.person_count++;
		}
		mail.counter = ++counter;
		hub_far_receive(hub, OTHER, &mail);
	}
}

static void watch(struct hub *hub, struct slice channel)
{
	hub_far_receive(hub, OTHER,
	                &(struct far_mail){.kind = FAR_WATCH,
	                                   .slot = hub_slot_of(channel),
	                                   .name = channel,
	                                   .counter = ++counter});
}

/* ---- turns ---- */

static uint64_t longest_ns; /* of all turns of one operation; the least of them */

static uint64_t clock_ns(void)
{
	struct timespec now;
	CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Until all is done, in turns as a worker has them. */
static void in_turns(struct hub *hub, struct hub_slot *slot,
                     bool (*turn)(struct hub *hub, struct hub_slot *slot))
{
	uint64_t longest = 0;
	for (bool is_done = false; !is_done;) {
		uint64_t before = clock_ns();
		hub->far->people = TURN_PEOPLE_MAX;
		is_done = turn(hub, slot);
		uint64_t ns = clock_ns() - before;
		longest = ns > longest ? ns : longest;
	}
	longest_ns = longest < longest_ns ? longest : longest_ns;
}

static void measure(const char *name, micro_round *round, struct hub *hub)
{
	longest_ns = UINT64_MAX;
	micro_measure(name, round, hub);
	if (longest_ns != UINT64_MAX)
		printf("presence: of its turns the longest took %.2f ms of CPU time\n",
		       (double)longest_ns / 1e6);
}

/* ---- at home ---- */

static void audit(void *argument, uint64_t operations)
{
	struct hub *hub = argument;
	struct hub_slot *slot = far_slot(hub, hub_slot_of(SLICE("crowd")));
	for (; operations > 0; operations--)
		in_turns(hub, slot, presence_audit);
}

static void at_home(void)
{
	struct hub *hub = make_hub(HOME_HERE);
	size_t before = mallinfo2().uordblks;
	join(hub, SLICE("crowd"), 0, MEMBERS);
	pass(hub, 1000);
	printf("presence: %u members of one channel are %.1f bytes each at its home\n", MEMBERS,
	       (double)(mallinfo2().uordblks - before) / MEMBERS);
	measure("presence.audit_100k", audit, hub);
	hub_destroy(hub);
}

/* What a channel with so many members takes at its home. */
static double bytes_of_room(uint32_t members)
{
	struct hub *hub = make_hub(HOME_HERE);
	size_t before = mallinfo2().uordblks;
	char name[USER_BYTES];
	for (uint32_t i = 0; i < ROOMS; i++)
		join(hub, user_name(i, name), FIRST_USER + ROOM_MEMBERS * i, members);
	pass(hub, 1000);
	double bytes = (double)(mallinfo2().uordblks - before) / ROOMS;
	hub_destroy(hub);
	return bytes;
}

static void in_rooms(void)
{
	double with_one = bytes_of_room(1), with_all = bytes_of_room(ROOM_MEMBERS);
	double member = (with_all - with_one) / (ROOM_MEMBERS - 1);
	printf("presence: in %u channels of %u members one is %.1f bytes, and the channel itself"
	       " %.1f\n",
	       ROOMS, ROOM_MEMBERS, member, with_one - member);
}

static void told(struct hub *hub, const char *what, uint32_t first, uint32_t count)
{
	pass(hub, 1000);
	letters = sent_bytes = 0;
	join(hub, SLICE("crowd"), first, count);
	pass(hub, 1000);
	printf("presence: %u joins in an interval, %s: %llu letter(s) to a node that watches, %llu"
	       " bytes\n",
	       count, what, (unsigned long long)letters, (unsigned long long)sent_bytes);
}

static void to_watchers(void)
{
	struct hub *hub = make_hub(HOME_HERE);
	pass(hub, 2000);
	watch(hub, SLICE("crowd"));
	pass(hub, 1000);
	told(hub, "into a small channel", 0, 1);
	told(hub, "into a small channel", 1, 100);
	join(hub, SLICE("crowd"), 200, MEMBERS);
	pass(hub, 1000);
	told(hub, "into a large one", MEMBERS + 200, 1);
	told(hub, "into a large one", MEMBERS + 300, 10000);
	hub_destroy(hub);
}

/* ---- where they are ---- */

static void say_all(void *argument, uint64_t operations)
{
	struct hub *hub = argument;
	struct hub_slot *slot = far_slot(hub, hub_slot_of(SLICE("crowd")));
	for (; operations > 0; operations--) {
		presence_far_sync(hub, slot);
		in_turns(hub, slot, presence_far_tell);
	}
}

static void where_they_are(void)
{
	struct hub *hub = make_hub(HOME_ELSEWHERE);
	struct channel *channel = hub_open(hub, SLICE("crowd"));
	CHECK(channel != NULL);
	struct presence *presence = presence_open(hub, channel);
	CHECK(presence != NULL);
	char name[USER_BYTES];
	for (uint32_t i = 0; i < MEMBERS; i++) {
		struct slice user = user_name(i, name);
		struct occupant *one = occupant_make(user, slice_of(NULL, 0), NULL);
		CHECK(one != NULL);
		occupants_enter(&presence->occupants, 0, one,
		                hash_bytes(&hub->options.hash_key, user));
	}
	pass(hub, 1000);
	measure("presence.say_all_100k", say_all, hub);
	hub_destroy(hub);
}

int main(int argc, char **argv)
{
	micro_begin(argc, argv);
	at_home();
	where_they_are();
	if (argc == 1) {
		to_watchers();
		in_rooms();
	}
	buf_free(&letter);
	return micro_end();
}
