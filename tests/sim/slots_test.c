/*
 * Replicated slots, as shipped, on several nodes in virtual time. Cases by name, then seeds of
 * everything at once.
 *
 *   slots_test                 the cases with SEEDS seeds each, and SEEDS seeds of everything
 *   slots_test SEED            everything with that seed, with a line for each thing that happens
 *   slots_test SEED N          everything, N seeds from that one on
 *   slots_test case CASE [SEED [N]]   the case of that number
 *   slots_test cases           how many there are; the first one, 0, is everything
 *
 * The address sanitizer takes ten times as long, and gets a quarter of the seeds.
 */
#include "slot_world.h"

#define SEEDS 200u
#ifdef __SANITIZE_ADDRESS__
#define SEEDS_HERE (SEEDS / 4)
#else
#define SEEDS_HERE SEEDS
#endif

static bool prints;
static enum slots_partition default_partition;
static uint32_t wanted; /* that the case is to be run with */

static struct world *world_with(uint32_t count, uint32_t slots, uint64_t seed)
{
	struct world *world = world_make(count, slots, seed);
	world->prints = prints;
	world->partition = default_partition;
	world->replicas = wanted;
	return world;
}

static struct world *standing(uint32_t count, uint32_t slots, uint64_t seed)
{
	struct world *world = world_with(count, slots, seed);
	for (uint32_t i = 0; i < count; i++)
		start(world, i);
	CHECK(until(world, is_calm, 30000) != NEVER);
	world->publish_every_ms = 200;
	return world;
}

/* All is over: the slots come to rest, and nothing is missing. */
static void rest(struct world *world, bool is_told)
{
	world->meddle = NULL;
	heal(world);
	for (uint32_t i = 0; i < world->count; i++) {
		world->nodes[i].paused_until_ms = 0;
		if (!world->nodes[i].is_up)
			start(world, i);
	}
	world_check_quiet(world);
	CHECK(missing(world, !is_told) == 0);
	world_free(world);
}

static uint32_t home_number(struct world *world, uint32_t slot)
{
	const struct node *home = home_of(world, slot);
	CHECK(home != NULL);
	return home->number;
}

/* The replicas of a slot but its home, then the other nodes. */
static void others_of(struct world *world, uint32_t slot, uint32_t *others)
{
	const struct node *home = home_of(world, slot);
	const struct slot_set *set = &slot_in(home, slot)->entry.set;
	uint32_t count = 0;
	for (int turn = 0; turn < 2; turn++) {
		for (uint32_t i = 0; i < world->count; i++) {
			bool is_in = slot_set_has(set, boot_of(i, world->nodes[i].boots));
			if (i != home->number && is_in == (turn == 0))
				others[count++] = i;
		}
	}
}

static bool is_replica(const struct world *world, uint32_t slot, uint32_t node)
{
	return slot_in(&world->nodes[node], slot)->replica != NULL;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Each slot has as many replicas as its home was told, or as there are nodes. */
static void check_sets(struct world *world)
{
	for (uint32_t slot = 0; slot < world->slot_count; slot++) {
		const struct slot *at = slot_in(home_of(world, slot), slot);
		uint32_t count = 0;
		for (uint32_t i = 0; i < world->count; i++)
			count += is_replica(world, slot, i);
		CHECK(at->entry.set.count == least(world->replicas, world->count));
		CHECK(count == at->entry.set.count);
	}
}

static bool has_home_0(struct world *world)
{
	return home_of(world, 0) != NULL;
}

static struct slot_term stream_0(struct world *world)
{
	CHECK(until(world, has_home_0, 20000) != NEVER);
	return slot_in(home_of(world, 0), 0)->entry.stream;
}

/* ---- nobody fails ---- */

static void quiet(uint64_t seed)
{
	struct world *world = standing(5, 4, seed);
	run(world, 20000);
	CHECK(world_sum(world).unclean == 0);
	CHECK(world_sum(world).takeovers == world_sum(world).handovers);
	check_sets(world);
	rest(world, false);
}

static uint32_t digests;

static bool count_digests(struct world *world, uint32_t from, uint32_t to, enum frame_type type,
                          uint32_t slot)
{
	(void)world;
	(void)from;
	(void)to;
	(void)slot;
	digests += type == FRAME_MAP_DIGEST;
	return false;
}

/* No word of a new home gets through, but for what digests find. */
static bool lose_map(struct world *world, uint32_t from, uint32_t to, enum frame_type type,
                     uint32_t slot)
{
	(void)world;
	(void)from;
	(void)to;
	(void)slot;
	return type == FRAME_MAP && world->steps++ < 100;
}

/* Where nothing happens little is asked; and after news as much as ever. */
static void calm(uint64_t seed)
{
	struct world *world = standing(5, 4, seed);
	world->meddle = count_digests;
	run(world, 30000);
	digests = 0;
	run(world, 10000);
	uint32_t in_calm = digests;
	CHECK(in_calm > 0);
	world->meddle = lose_map;
	world->steps = 0;
	crash(world, home_number(world, 0));
	run(world, 5000);
	world->meddle = count_digests;
	digests = 0;
	run(world, 10000);
	CHECK(digests > 5 * in_calm);
	rest(world, false);
}

/* S29, S42 */
static void twice_is_once(uint64_t seed)
{
	struct world *world = standing(5, 2, seed);
	world->repeats = 100;
	world->twice = 3000;
	world->loss = 500;
	run(world, 5000);
	crash(world, home_number(world, 0));
	run(world, 10000);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* ---- one fails ---- */

/* S07: killed, it is replaced in half a second. */
static void home_dies(uint64_t seed)
{
	struct world *world = standing(5, 2, seed);
	run(world, random_below(&world->random, 3000));
	crash(world, home_number(world, 0));
	CHECK(until(world, has_home_0, 500) != NEVER);
	run(world, 5000);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

static uint32_t asked; /* what asks for an answer */

static bool count_asked(struct world *world, uint32_t from, uint32_t to, enum frame_type type,
                        uint32_t slot)
{
	(void)world;
	(void)from;
	(void)to;
	(void)slot;
	asked += type == FRAME_SEAL || type == FRAME_INSTALL;
	return false;
}

/* Where all have so much to do that answers take seconds, what is said again must not add to it. */
static void answers_are_slow(uint64_t seed)
{
	struct world *world = standing(5, 4, seed);
	run(world, random_below(&world->random, 3000));
	world->delay_ms = 1000;
	asked = 0;
	world->meddle = count_asked;
	crash(world, home_number(world, 0));
	CHECK(until(world, has_home_0, 60000) != NEVER);
	run(world, 20000);
	CHECK(asked < 600); /* some 350; asked again each SLOTS_REPAIR_MS it is 700 and more */
	CHECK(world_sum(world).unclean == 0);
	world->delay_ms = 2;
	rest(world, false);
}

/* S07: silent, in three; and it says nothing when it comes back (I8). */
static void home_hangs(uint64_t seed)
{
	struct world *world = standing(5, 2, seed);
	uint32_t home = home_number(world, 0);
	stop(world, home, 4000 + random_below(&world->random, 8000));
	run(world, 3000);
	uint32_t homes = 0;
	for (uint32_t i = 0; i < world->count; i++)
		homes += i != home && slot_in(&world->nodes[i], 0)->lead != NULL;
	CHECK(homes == 1);
	run(world, 15000);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* Over all seeds of a case: it is to come to pass in some that somebody dies. */
static struct {
	uint32_t wanted, seen;
} dooms;

static void want_doom(struct world *world, uint32_t steps, meddle_fn *meddle)
{
	world->steps = steps;
	world->meddle = meddle;
	dooms.wanted++;
}

/* At the last of the steps the node dies. True: what it was about to send is sent no more. */
static bool doom_at_last(struct world *world, uint32_t node)
{
	if (world->steps == 0 || --world->steps > 0)
		return false;
	if (world->doomed == 0) {
		world->doomed = node + 1;
		dooms.seen++;
	}
	return world->seed % 3 == 0; /* it is that frame which is sent no more, or the next */
}

/* The Nth frame of a type is the last that its sender sends. */
static bool die_at(struct world *world, uint32_t from, uint32_t to, enum frame_type type,
                   uint32_t slot)
{
	(void)slot;
	(void)to;
	static const enum frame_type types[] = {FRAME_APPEND, FRAME_MAP,  FRAME_INSTALL,
	                                        FRAME_NEED,   FRAME_SEAL, FRAME_SEALED,
	                                        FRAME_STATE,  FRAME_HOLDS};
	return type == types[world->seed % COUNT_OF(types)] && doom_at_last(world, from);
}

/* S08: in the midst of it: a home dies as it sends the Nth APPEND or INSTALL, or when the Nth HOLDS
 * is on its way to it. */
static bool home_dies_at(struct world *world, uint32_t from, uint32_t to, enum frame_type type,
                         uint32_t slot)
{
	(void)slot;
	static const enum frame_type types[] = {FRAME_APPEND, FRAME_INSTALL, FRAME_HOLDS};
	return type == types[world->seed % COUNT_OF(types)] &&
	       doom_at_last(world, type == FRAME_HOLDS ? to : from);
}

static void home_dies_in_the_midst(uint64_t seed)
{
	struct world *world = standing(5, 2, seed);
	world->publish_every_ms = 20;
	want_doom(world, 1 + random_below(&world->random, 200), home_dies_at);
	run(world, 15000);
	CHECK(world->steps == 0);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* S09 */
static void follower_dies(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	uint32_t others[NODES_MAX];
	others_of(world, 0, others);
	uint32_t home = home_number(world, 0);
	crash(world, others[seed % 2]);
	run(world, 5200);
	const struct slot *slot = slot_in(&world->nodes[home], 0);
	CHECK(slot->lead != NULL);
	CHECK(slot->entry.set.count == 3);
	for (unsigned i = 0; i < 3; i++)
		CHECK(slots_is_alive(world->nodes[home].slots, slot->entry.set.at[i]));
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* A way to one follower that takes a second: commits go on by the other, and it is replaced. */
static void follower_is_slow(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	uint32_t others[NODES_MAX];
	others_of(world, 0, others);
	uint32_t home = home_number(world, 0);
	world->publish_every_ms = 20;
	world->slow_ms[home][others[0]] = 5000;
	uint64_t acked = world->acked;
	run(world, 10000);
	CHECK(world->acked > acked + 500);
	const struct node *node = home_of(world, 0);
	CHECK(node != NULL);
	bool is_in = slot_set_has(&slot_in(node, 0)->entry.set,
	                          boot_of(others[0], world->nodes[others[0]].boots));
	CHECK(!is_in);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* ---- two or three fail ---- */

/* S10: what both followers held is with the home. */
static void both_followers_die(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	uint32_t others[NODES_MAX];
	others_of(world, 0, others);
	run(world, random_below(&world->random, 2000));
	crash(world, others[0]);
	crash(world, others[1]);
	run(world, 8000);
	uint64_t acked = world->acked;
	run(world, 2000);
	CHECK(world->acked > acked);
	rest(world, false);
}

/* S11, S12: a majority of the replicas, or all: there is another stream, and all are told. One that
 * has a part of it may be waited for; where all have ended there is nobody. */
static void most_die(uint64_t seed)
{
	struct world *world = standing(7, 1, seed);
	bool do_all_die = seed % 2 == 0;
	uint32_t others[NODES_MAX];
	others_of(world, 0, others);
	struct slot_term before = stream_0(world);
	run(world, random_below(&world->random, 2000));
	crash(world, home_number(world, 0));
	crash(world, others[0]);
	if (do_all_die) {
		crash(world, others[1]);
		CHECK(until(world, has_home_0, 1000) != NEVER);
	} else {
		run(world, 4500);
		CHECK(home_of(world, 0) == NULL);
	}
	struct slot_term after = stream_0(world);
	CHECK(!slot_term_equals(&before, &after));
	uint64_t acked = world->acked;
	run(world, 3000);
	CHECK(world->acked > acked);
	CHECK(world_sum(world).unclean == 1);
	rest(world, true);
}

/* As many as its replicas can lose at once, the home among them or not: of two one, of five two, of
 * seven three. */
static void as_many_die_as_may(uint64_t seed)
{
	struct world *world = standing(wanted + 2, 1, seed);
	uint32_t others[NODES_MAX], first = (uint32_t)(seed % 2);
	uint32_t count = wanted == 2 ? 1 : wanted - slot_majority(wanted);
	others_of(world, 0, others);
	run(world, random_below(&world->random, 2000));
	if (first == 1)
		crash(world, home_number(world, 0));
	for (uint32_t i = first; i < count; i++)
		crash(world, others[i]);
	run(world, 500); /* all that live know */
	CHECK(until(world, has_home_0, 500) != NEVER);
	uint64_t acked = world->acked;
	run(world, 3000);
	CHECK(world->acked > acked);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

static bool can_spare_one(struct world *world)
{
	for (uint32_t i = 0; i < world->count; i++) {
		const struct node *node = &world->nodes[i];
		if (node->is_up && slots_lag(node->slots).spare == 0)
			return false;
	}
	return true;
}

static bool have_homes(struct world *world)
{
	for (uint32_t slot = 0; slot < world->slot_count; slot++) {
		if (home_of(world, slot) == NULL)
			return false;
	}
	return true;
}

/* One after the other dies, each as soon as the homes say that it may, and comes again. */
static void next_dies_when_it_may(uint64_t seed)
{
	struct world *world = standing(4, 8, seed);
	CHECK(can_spare_one(world));
	for (int turn = 0; turn < 12; turn++) {
		uint32_t victim = random_below(&world->random, world->count);
		crash(world, victim);
		run(world, 500); /* all that live know */
		CHECK(until(world, have_homes, 4000) != NEVER);
		CHECK(until(world, can_spare_one, 6000) != NEVER);
		if (random_below(&world->random, 2) == 0)
			run(world, random_below(&world->random, 3000));
		start(world, victim);
		run(world, random_below(&world->random, 1000));
	}
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* What one node alone has is lost with it: at once somebody else begins anew, and all are told. */
static void only_replica_dies(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	struct slot_term before = stream_0(world);
	run(world, random_below(&world->random, 2000));
	crash(world, home_number(world, 0));
	CHECK(until(world, has_home_0, 500) != NEVER);
	struct slot_term after = stream_0(world);
	CHECK(!slot_term_equals(&before, &after));
	uint64_t acked = world->acked;
	run(world, 3000);
	CHECK(world->acked > acked);
	CHECK(world_sum(world).unclean == 1);
	rest(world, true);
}

/* What it holds is still there when it wakes up, and is taken into the stream that others began. */
static void only_replica_hangs(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	uint32_t home = home_number(world, 0);
	run(world, random_below(&world->random, 2000));
	stop(world, home, 9000 + random_below(&world->random, 4000));
	run(world, 6500);
	for (uint32_t i = 0; i < world->count; i++)
		CHECK(i == home || slot_in(&world->nodes[i], 0)->lead == NULL);
	run(world, 2500);
	uint64_t acked = world->acked;
	run(world, 1000);
	CHECK(world->acked > acked);
	rest(world, false);
}

/* S13: who takes over dies at any step of it, and the next one, too. */
static void takeover_dies(uint64_t seed)
{
	struct world *world = standing(7, 1, seed);
	run(world, random_below(&world->random, 1000));
	uint32_t home = home_number(world, 0);
	world->entry_bytes = seed % 2 == 0 ? 70000 : 0;
	world->publish_every_ms = seed % 2 == 0 ? 500 : 200;
	stop(world, home, 5000);
	run(world, 2000);
	want_doom(world, 1 + (uint32_t)(seed / 8) % 6, die_at);
	run(world, 20000);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* S13, and the schedule that chance does not find: the home A is stopped; its replica B seals the
 * other one, C, and installs its log at a newcomer D, when it is cut off with it: B and D go on. A
 * wakes up on C's side. These two must not go on, though they are a majority of the set that A
 * knows. */
static struct {
	struct slot_set before;
	bool is_done;
} cast;

static bool cut_off_at_install(struct world *world, uint32_t from, uint32_t to,
                               enum frame_type type, uint32_t slot)
{
	(void)to;
	const struct slot *at = slot_in(&world->nodes[from], slot);
	if (cast.is_done || type != FRAME_INSTALL || at->takeover == NULL)
		return false;
	uint8_t sides[NODES_MAX] = {0};
	sides[from] = 1;
	for (unsigned i = 0; i < at->takeover->entry.set.count; i++) {
		struct boot_id boot = at->takeover->entry.set.at[i];
		if (!slot_set_has(&cast.before, boot))
			sides[node_of_boot(world, boot)->number] = 1;
	}
	part(world, sides);
	cast.is_done = true;
	return false;
}

static void takeover_is_cut_off(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	const struct node *home = home_of(world, 0);
	world->publish_every_ms = 20;
	cast.before = slot_in(home, 0)->entry.set;
	cast.is_done = false;
	world->meddle = cut_off_at_install;
	stop(world, home->number, 3500);
	run(world, 12000);
	CHECK(cast.is_done);
	rest(world, false);
}

/* What is not installed at a majority is nobody's: who takes over tells nobody of it, and dies. */
static bool nothing_is_installed(struct world *world, uint32_t from, uint32_t to,
                                 enum frame_type type, uint32_t slot)
{
	(void)to;
	return type == FRAME_INSTALL && slot_in(&world->nodes[from], slot)->takeover != NULL;
}

static void takeover_installs_nothing(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	uint32_t home = home_number(world, 0);
	world->meddle = nothing_is_installed;
	stop(world, home, 4000);
	run(world, 2800);
	CHECK(home_number(world, 0) == home);
	for (uint32_t i = 0; i < world->count; i++) {
		if (world->nodes[i].is_up && slot_in(&world->nodes[i], 0)->takeover != NULL) {
			crash(world, i);
			break;
		}
	}
	world->meddle = NULL;
	run(world, 12000);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* A home that drains is relieved over ways that have become slow: it has a long tail that nobody
 * else has when the next one is home, and commits a little, and dies. The old tail is longer, and
 * worth nothing. */
static void old_tail_is_longer(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	uint32_t others[NODES_MAX];
	others_of(world, 0, others);
	uint32_t home = home_number(world, 0), next = others[0], last = others[1];
	if (slot_claim(boot_of(last, 1), 0) > slot_claim(boot_of(next, 1), 0)) {
		next = others[1];
		last = others[0];
	}
	world->publish_every_ms = 0;
	run(world, 1000);
	for (uint32_t i = 0; i < world->count; i++)
		world->slow_ms[home][i] = 1200;
	world->slow_ms[next][home] = 1200;
	for (int i = 0; i < 20; i++)
		publish(world, &world->nodes[home], 0);
	world->nodes[home].is_draining = true;
	run(world, 110);
	CHECK(slot_in(&world->nodes[next], 0)->lead != NULL);
	for (uint32_t i = 0; i < 3 + seed % 5; i++)
		publish(world, &world->nodes[next], 0);
	uint64_t acked = world->acked;
	run(world, 20);
	CHECK(world->acked == acked + 3 + seed % 5);
	crash(world, next);
	world->publish_every_ms = 20;
	run(world, 8000);
	CHECK(home_of(world, 0) != NULL);
	world->nodes[home].is_draining = false;
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* S14: two of them at once, over a link that comes and goes. */
static void two_take_over(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	uint32_t others[NODES_MAX];
	others_of(world, 0, others);
	crash(world, home_number(world, 0));
	for (int i = 0; i < 20; i++) {
		cut(world, others[0], others[1], i % 2 == 0);
		run(world, 50 + random_below(&world->random, 400));
	}
	rest(world, true);
}

/* ---- partitions ---- */

/* S15, S20: four layouts: how many of the home and the two others are on the small side. */
static void parted(uint64_t seed, enum slots_partition partition)
{
	struct world *world = standing(9, 1, seed);
	uint32_t others[NODES_MAX];
	others_of(world, 0, others);
	uint32_t home = home_number(world, 0);
	struct slot_term before = stream_0(world);
	bool is_home_small = (seed & 1) != 0;
	uint32_t small_replicas = (seed & 2) != 0 ? 2 : 1;
	uint8_t sides[NODES_MAX] = {0};
	uint32_t count = 0, replicas = 0;
	if (is_home_small) {
		sides[home] = 1;
		count = replicas = 1;
	}
	for (uint32_t i = 0; i < 2 && replicas < small_replicas; i++, replicas++, count++)
		sides[others[i]] = 1;
	for (uint32_t i = 7; count < 4; i--, count++)
		sides[others[i]] = 1;
	part(world, sides);
	run(world, 12000);
	uint32_t homes[2] = {0}, same[2] = {0};
	for (uint32_t i = 0; i < world->count; i++) {
		struct slots_role role;
		slots_role(world->nodes[i].slots, 0, &role);
		homes[sides[i]] += role.place == SLOTS_HERE;
		same[sides[i]] +=
			role.place == SLOTS_HERE && slot_term_equals(&role.stream, &before);
	}
	CHECK(homes[0] == 1);
	CHECK(homes[1] == (partition == SLOTS_MERGE));
	CHECK(same[0] == (small_replicas == 1));
	CHECK(same[1] == (small_replicas == 2 && partition == SLOTS_MERGE));
	run(world, random_below(&world->random, 5000));
	heal(world);
	CHECK(until(world, agrees, 10000) != NEVER);
	run(world, 3000);
	struct slot_term after = stream_0(world);
	/* A home that had a majority of its set goes on in its stream. */
	if (partition == SLOTS_MERGE || small_replicas == 1 || is_home_small)
		CHECK(slot_term_equals(&before, &after));
	rest(world, false);
}

static void parted_merge(uint64_t seed)
{
	parted(seed, SLOTS_MERGE);
}

static void parted_pause(uint64_t seed)
{
	default_partition = SLOTS_PAUSE;
	parted(seed, SLOTS_PAUSE);
	default_partition = SLOTS_MERGE;
}

/* S16 */
static void three_ways(uint64_t seed)
{
	static const uint8_t sides[NODES_MAX] = {0, 1, 2, 0, 1, 2, 0, 1, 2};
	bool is_pause = seed % 2 == 0;
	default_partition = is_pause ? SLOTS_PAUSE : SLOTS_MERGE;
	struct world *world = standing(9, 2, seed);
	part(world, sides);
	run(world, 3000);
	for (int i = 0; i < 5; i++) {
		for (uint32_t n = 0; is_pause && n < world->count; n++) {
			struct slots_role role;
			slots_role(world->nodes[n].slots, 0, &role);
			CHECK(role.place != SLOTS_HERE);
		}
		run(world, 2000);
	}
	if (is_pause)
		CHECK(world_sum(world).unclean == 0);
	default_partition = SLOTS_MERGE;
	rest(world, false);
}

/* S20: three sides, which meet one after the other. */
static void forks_meet(uint64_t seed)
{
	static const uint8_t three[NODES_MAX] = {0, 1, 2, 0, 1, 2, 0, 1, 2};
	static const uint8_t two[NODES_MAX] = {0, 1, 1, 0, 1, 1, 0, 1, 1};
	struct world *world = standing(6, 1, seed);
	part(world, three);
	run(world, 8000 + random_below(&world->random, 4000));
	part(world, two);
	run(world, random_below(&world->random, 12000));
	rest(world, false);
}

/* A cut that comes and goes faster than anybody is found dead, and slower. */
static void flapping(uint64_t seed)
{
	static const uint8_t sides[NODES_MAX] = {0, 0, 0, 1, 1};
	struct world *world = standing(5, 2, seed);
	for (int i = 0; i < 20; i++) {
		part(world, sides);
		run(world, 1500 + seed % 3 * 700);
		heal(world);
		run(world, 1500);
	}
	rest(world, false);
}

/* A cluster of two survives either: killed, nobody is told anything; hung, they are told. */
static void one_of_two(uint64_t seed)
{
	struct world *world = standing(2, 2, seed);
	run(world, random_below(&world->random, 2000));
	uint32_t home = home_number(world, 0);
	if (seed % 3 == 0) {
		crash(world, home);
		CHECK(until(world, has_home_0, 1000) != NEVER);
		run(world, 3000);
		CHECK(world_sum(world).unclean == 0);
	} else if (seed % 3 == 1) {
		stop(world, home, 20000);
		run(world, 9000);
		CHECK(slot_in(&world->nodes[1 - home], 0)->lead != NULL);
		uint64_t acked = world->acked;
		run(world, 2000);
		CHECK(world->acked > acked);
	} else {
		cut(world, 0, 1, true);
		run(world, 15000);
	}
	rest(world, false);
}

/* ---- coming and going ---- */

/* S25 */
static void join(uint64_t seed)
{
	struct world *world = world_with(6, 8, seed);
	for (uint32_t i = 0; i < 5; i++)
		start(world, i);
	CHECK(until(world, is_calm, 30000) != NEVER);
	world->publish_every_ms = 20;
	world->pause_max_ms = 0;
	run(world, 1000);
	start(world, 5);
	run(world, 25000);
	CHECK(is_calm(world));
	CHECK(world->pause_max_ms <= 50);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* S26 */
static bool joiner_dies(struct world *world, uint32_t from, uint32_t to, enum frame_type type,
                        uint32_t slot)
{
	return from == 5 && type != FRAME_MAP_DIGEST && die_at(world, from, to, type, slot);
}

static void joiner_dies_in_the_midst(uint64_t seed)
{
	struct world *world = world_with(6, 8, seed);
	for (uint32_t i = 0; i < 5; i++)
		start(world, i);
	CHECK(until(world, is_calm, 30000) != NEVER);
	world->publish_every_ms = 50;
	want_doom(world, 1 + (uint32_t)(seed / 8) % 12, joiner_dies);
	start(world, 5);
	run(world, 20000);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

static bool is_drained(struct world *world)
{
	for (uint32_t i = 0; i < world->count; i++) {
		const struct slots *slots = world->nodes[i].slots;
		if (world->nodes[i].is_up && world->nodes[i].is_draining)
			return slots->own_state == SLOTS_MEMBER_DRAINING && slots_is_settled(slots);
	}
	return true;
}

/* S27: nothing of it is left on the node in five seconds; or it dies before. */
static void drains(uint64_t seed, bool dies_before)
{
	struct world *world = standing(5, 8, seed);
	world->publish_every_ms = 20;
	world->pause_max_ms = 0;
	uint32_t node = random_below(&world->random, 5);
	world->nodes[node].is_draining = true;
	if (dies_before) {
		run(world, random_below(&world->random, 1500));
	} else {
		CHECK(until(world, is_drained, 5000) != NEVER);
		CHECK(world->pause_max_ms <= 50);
	}
	crash(world, node);
	run(world, 5000);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

static void drain(uint64_t seed)
{
	drains(seed, seed % 2 != 0);
}

/* What it has alone until then is lost when it dies before. */
static void drain_of_one(uint64_t seed)
{
	drains(seed, false);
}

/* S28: all of them, one after the other, drained or killed. */
static void rolling_restart(uint64_t seed)
{
	struct world *world = standing(5, 3, seed);
	world->publish_every_ms = 100;
	bool drains = seed % 2 == 0 || wanted == 1;
	for (uint32_t i = 0; i < 5; i++) {
		if (drains) {
			world->nodes[i].is_draining = true;
			CHECK(until(world, is_drained, 10000) != NEVER);
		}
		crash(world, i);
		run(world, 1000 + random_below(&world->random, 3000));
		start(world, i);
		run(world, drains ? 2000 : 14000);
	}
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* The setting is changed with a restart of all, one after the other: meanwhile each slot has what
 * its home was told. */
static void setting_changes(uint64_t seed)
{
	static const uint32_t values[] = {3, 1, 2, 5, 7};
	struct world *world = standing(5, 3, seed);
	world->replicas = values[seed % COUNT_OF(values)];
	world->publish_every_ms = 100;
	for (uint32_t i = 0; i < 5; i++) {
		world->nodes[i].is_draining = true;
		CHECK(until(world, is_drained, 10000) != NEVER);
		crash(world, i);
		run(world, 500);
		start(world, i);
		run(world, random_below(&world->random, 14000));
	}
	run(world, 40000);
	CHECK(world_sum(world).unclean == 0);
	check_sets(world);
	rest(world, false);
}

/* A log that has been trimmed, and states of many parts. */
static void long_logs(uint64_t seed)
{
	struct world *world = standing(4, 1, seed);
	world->publish_every_ms = 4;
	run(world, 4000);
	world->entry_bytes = seed % 2 == 0 ? 70000 : 0;
	world->publish_every_ms = seed % 2 == 0 ? 200 : 50;
	run(world, 12000);
	uint32_t others[NODES_MAX];
	others_of(world, 0, others);
	stop(world, others[0], 12000);
	run(world, 6000);
	crash(world, others[1]);
	run(world, 14000);
	rest(world, true);
}

/* ---- schedules that chance does not find ---- */

/* A home and the two other replicas of a slot; the first of these takes over before the second. */
static struct {
	uint32_t slot, home, first, second;
	bool is_done, is_loose, is_mute;
} actors;

static void find_actors(struct world *world, uint32_t slot)
{
	uint32_t others[NODES_MAX];
	others_of(world, slot, others);
	bool is_turned = slot_claim(boot_of(others[1], 1), (uint16_t)slot) >
	                 slot_claim(boot_of(others[0], 1), (uint16_t)slot);
	memset(&actors, 0, sizeof(actors));
	actors.slot = slot;
	actors.home = home_number(world, slot);
	actors.first = others[is_turned];
	actors.second = others[!is_turned];
}

static bool takes_over(const struct world *world, uint32_t node, enum takeover_phase phase)
{
	const struct takeover *takeover = slot_in(&world->nodes[node], actors.slot)->takeover;
	return takeover != NULL && takeover->phase == phase;
}

/* So many at the home, which are acknowledged; what comes behind that is still to be told. */
static void publish_acked(struct world *world, uint32_t count)
{
	uint64_t acked = world->acked + count;
	while (count-- > 0)
		publish(world, &world->nodes[actors.home], actors.slot);
	for (int ms = 0; world->acked < acked && ms < 100; ms++)
		run(world, 1);
	CHECK(world->acked == acked);
}

/* Who starts again and meets nobody opens all slots for itself; what it was no replica of has a
 * term that is no higher than its own. It has nothing, and those have something. */
static void alone_at_first(uint64_t seed)
{
	enum { SLOTS_HERE_COUNT = 8 };
	struct world *world = standing(5, SLOTS_HERE_COUNT, seed);
	struct slot_term before[SLOTS_HERE_COUNT];
	uint8_t sides[NODES_MAX] = {0};
	uint32_t stranger = (uint32_t)(seed % 5), kept = 0;
	for (uint32_t i = 0; i < SLOTS_HERE_COUNT; i++) {
		find_actors(world, i);
		publish_acked(world, 5);
		before[i] = slot_in(home_of(world, i), i)->entry.stream;
	}
	crash(world, stranger);
	run(world, 3000);
	sides[stranger] = 1;
	part(world, sides);
	world->publish_every_ms = 0;
	start(world, stranger);
	run(world, 8000);
	for (uint32_t i = 0; i < SLOTS_HERE_COUNT; i++)
		CHECK(slot_in(&world->nodes[stranger], i)->lead != NULL);
	heal(world);
	CHECK(until(world, agrees, 10000) != NEVER);
	run(world, 3000);
	for (uint32_t i = 0; i < SLOTS_HERE_COUNT; i++)
		kept += slot_term_equals(&before[i], &slot_in(home_of(world, i), i)->entry.stream);
	CHECK(kept == SLOTS_HERE_COUNT);
	rest(world, true);
}

static bool has_come(struct world *world)
{
	(void)world;
	return actors.is_done;
}

/* Nobody is told what was committed, nor what comes behind it; and the home dies as it gives the
 * second part of its state. */
static bool gives_state_and_dies(struct world *world, uint32_t from, uint32_t to,
                                 enum frame_type type, uint32_t slot)
{
	(void)to;
	(void)slot;
	if (type == FRAME_STATE && from == actors.home && world->doomed == 0) {
		actors.is_done = actors.is_loose;
		world->doomed = actors.is_loose ? from + 1 : 0;
		actors.is_loose = true;
		return actors.is_done;
	}
	return (type == FRAME_APPEND && actors.is_mute) ||
	       (type == FRAME_INSTALL && !takes_over(world, from, TAKEOVER_INSTALLING));
}

/* What was acknowledged is with the home and with one replica, which gives it up to copy all anew:
 * the home's window has gone on. When the home dies in the midst of that, the one that has given up
 * does not stand for its log beside the one that never had it: there is another stream. */
static void copier_has_nothing(uint64_t seed)
{
	struct world *world = standing(3, 1, seed);
	world->publish_every_ms = 0;
	run(world, 1000);
	find_actors(world, 0);
	publish_acked(world, 40);
	run(world, 3000);
	world->meddle = gives_state_and_dies;
	cut(world, actors.home, actors.second, true);
	cut(world, actors.first, actors.second, true);
	world->entry_bytes = 70000;
	publish_acked(world, 1 + (uint32_t)(seed % 3));
	actors.is_mute = true;
	stop(world, actors.first, 2900);
	for (int i = 0; i < 5; i++)
		publish(world, &world->nodes[actors.home], 0);
	CHECK(until(world, has_come, 7000) != NEVER);
	world->meddle = NULL;
	heal(world);
	run(world, 20000);
	CHECK(world_sum(world).unclean == 1);
	rest(world, true);
}

/* As it gives the second part of what the other one lacks. */
static bool gives_part_and_dies(struct world *world, uint32_t from, uint32_t to,
                                enum frame_type type, uint32_t slot)
{
	(void)to;
	(void)slot;
	if (type != FRAME_APPEND || from != actors.first ||
	    !takes_over(world, from, TAKEOVER_INSTALLING))
		return false;
	if (!actors.is_loose) {
		actors.is_loose = true;
		return false;
	}
	actors.is_done = true;
	world->doomed = from + 1;
	return true;
}

/* Who is to have a log of several parts, of which the first has come, has not accepted it: what it
 * has is less than what was acknowledged. Who takes over dies; the home before has it all. */
static void part_is_no_log(uint64_t seed)
{
	struct world *world = standing(3, 1, seed);
	world->publish_every_ms = 0;
	run(world, 1000);
	find_actors(world, 0);
	publish_acked(world, 3);
	run(world, 3000);
	world->slow_ms[actors.home][actors.second] = 4500;
	world->entry_bytes = 70000;
	world->meddle = gives_part_and_dies;
	publish_acked(world, 6 + (uint32_t)(seed % 3));
	stop(world, actors.home, 4000);
	run(world, 3900);
	CHECK(actors.is_done);
	world->slow_ms[actors.home][actors.second] = 0;
	run(world, 10000);
	CHECK(home_of(world, 0) != NULL);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* Nobody is told that the first one is home, and what the home says to the second one is lost until
 * that one is dead and the home changes its set. */
static bool another_was_home(struct world *world, uint32_t from, uint32_t to, enum frame_type type,
                             uint32_t slot)
{
	bool is_home = slot_in(&world->nodes[from], slot)->lead != NULL;
	if (slot != actors.slot)
		return false;
	if (from == actors.first)
		return type == FRAME_MAP || type == FRAME_MAP_DIGEST ||
		       (type == FRAME_INSTALL && is_home);
	bool is_between = (from == actors.home && to == actors.second) ||
	                  (from == actors.second && to == actors.home);
	bool is_over = !world->nodes[actors.first].is_up &&
	               takes_over(world, actors.home, TAKEOVER_SEALING);
	if (is_between && is_over && type == FRAME_SEAL && !actors.is_done) {
		actors.is_done = true;
		publish(world, &world->nodes[from], slot);
	}
	return is_between && !is_over && !actors.is_done;
}

static bool is_first_home(struct world *world)
{
	return slot_in(&world->nodes[actors.first], actors.slot)->lead != NULL;
}

/* A home that is cut off changes its set, when another one was home already, and is dead: the log
 * to go on from is not its own. What was proposed meanwhile was to stand behind its own. */
static void waiting_is_behind_another(uint64_t seed)
{
	struct world *world = standing(3, SLOTS_HERE_MAX, seed);
	uint32_t slot = 0;
	world->publish_every_ms = 0;
	run(world, 1000);
	/* Of two terms of one number the home's is to be above. */
	for (find_actors(world, slot); actors.home < actors.first; find_actors(world, slot))
		CHECK(++slot < world->slot_count);
	publish_acked(world, 1 + (uint32_t)(seed % 5));
	run(world, 3000);
	world->meddle = another_was_home;
	cut(world, actors.home, actors.first, true);
	CHECK(until(world, is_first_home, 3000) != NEVER);
	uint64_t acked = world->acked;
	publish(world, &world->nodes[actors.first], slot);
	for (int ms = 0; world->acked == acked && ms < 100; ms++)
		run(world, 1);
	CHECK(world->acked == acked + 1);
	crash(world, actors.first);
	cut(world, actors.home, actors.first, false);
	CHECK(until(world, has_come, 3000) != NEVER);
	run(world, 5000);
	CHECK(home_of(world, slot) != NULL);
	CHECK(world_sum(world).unclean == 0);
	rest(world, false);
}

/* Of a home that has been given a fork nothing gets out but that it has it; and then it dies. */
static bool takes_fork_and_dies(struct world *world, uint32_t from, uint32_t to,
                                enum frame_type type, uint32_t slot)
{
	(void)world;
	(void)slot;
	if (type == FRAME_FORK && from == actors.home && !actors.is_done) {
		actors.first = to;
		actors.is_done = true;
	}
	return actors.is_done && from == actors.first && type != FRAME_FORK_OK;
}

/* A home that is alone goes on in a stream of its own, which loses. To whom it gives that, has it
 * when it is committed: who dies before has not said so, and the next home is given it. */
static void fork_dies_with_its_home(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	uint8_t sides[NODES_MAX] = {0};
	world->publish_every_ms = 0;
	run(world, 1000);
	find_actors(world, 0);
	sides[actors.home] = 1;
	part(world, sides);
	run(world, 12000);
	publish_acked(world, 1 + (uint32_t)(seed % 5));
	world->meddle = takes_fork_and_dies;
	heal(world);
	CHECK(until(world, has_come, 10000) != NEVER);
	run(world, 100 + seed);
	crash(world, actors.first);
	world->meddle = NULL;
	run(world, 10000);
	rest(world, false);
}

/* A log that is left waits where there is no room for another fork, and is not saved each time that
 * it is looked at. One of which nothing would be kept does not wait. */
static void forks_are_many(uint64_t seed)
{
	struct world *world = standing(3, 1, seed);
	world->publish_every_ms = 0;
	run(world, 1000);
	find_actors(world, 0);
	publish_acked(world, 3 * PART_IDS);
	run(world, 1000);
	struct node *node = &world->nodes[actors.first];
	struct slot *slot = &node->slots->slot[actors.slot];
	for (unsigned i = 0; i < FORKS_MAX; i++) {
		struct fork *fork = calloc(1, sizeof(*fork));
		CHECK(fork != NULL);
		fork->next = slot->forks;
		slot->forks = fork;
	}
	uint32_t before = node->parts_saved;
	CHECK(!slot_fork(node->slots, slot) && slot->replica != NULL);
	CHECK(node->parts_saved <= before + 1);
	list_clear(&node->lists[actors.slot]);
	CHECK(slot_fork(node->slots, slot) && slot->replica == NULL);
	world_free(world);
}

/* A log of a stream that nobody else was told of is given up when whoever opened that was
 * forgotten: so no member any more, and not known to have ended. */
static void opener_is_forgotten(uint64_t seed)
{
	struct world *world = standing(5, 1, seed);
	find_actors(world, 0);
	uint32_t outside = 0;
	while (outside == actors.home || outside == actors.first || outside == actors.second)
		outside++;
	struct slot *slot = &world->nodes[outside].slots->slot[actors.slot];
	struct slot_term stream = {slot->entry.term.counter + 1, boot_of(world->count, 1)};
	struct replica *replica = slot_replica_make(slot, &stream);
	CHECK(replica != NULL);
	replica->accepted = stream;
	replica->is_whole = true;
	replica->heard_ms = world->now_ms;
	run(world, 9000);
	CHECK(slot->replica != NULL);
	run(world, 20000);
	CHECK(slot->replica == NULL);
	rest(world, false);
}

/* Who opens a stream begins it with what it has, and so do those that it opens it with: it may die
 * as soon as it is home. */
static void opener_dies(uint64_t seed)
{
	struct world *world = standing(7, 1, seed);
	world->publish_every_ms = 0;
	run(world, 1000);
	find_actors(world, 0);
	publish_acked(world, 1 + (uint32_t)(seed % 5));
	run(world, 3000);
	crash(world, actors.home);
	crash(world, seed % 2 == 0 ? actors.first : actors.second);
	for (int ms = 0; home_of(world, 0) == NULL && ms < 20000; ms++)
		run(world, 1);
	crash(world, home_number(world, 0));
	run(world, 10000);
	CHECK(world_sum(world).unclean == 1);
	rest(world, false);
}

/* ---- everything at once ---- */

static void any_fault(struct world *world)
{
	uint32_t node = random_below(&world->random, world->count);
	uint32_t other = random_below(&world->random, world->count);
	uint8_t sides[NODES_MAX];
	switch (random_below(&world->random, 10)) {
	case 0:
	case 1:
		if (world->nodes[node].is_up)
			crash(world, node);
		break;
	case 2:
	case 3:
		if (!world->nodes[node].is_up)
			start(world, node);
		break;
	case 4:
		stop(world, node, 500 + random_below(&world->random, 8000));
		break;
	case 5:
		cut(world, node, other, true);
		break;
	case 6:
		for (uint32_t i = 0; i < world->count; i++)
			sides[i] = (uint8_t)random_below(&world->random, 2 + (node & 1));
		part(world, sides);
		break;
	case 7:
		world->slow_ms[node][other] = random_below(&world->random, 3000);
		break;
	default:
		heal(world);
	}
}

static void everything(uint64_t seed)
{
	uint32_t count = least(NODES_MAX, wanted + (uint32_t)(seed % 5));
	struct world *world = world_with(count, 2, seed);
	world->delay_ms = 1 + (uint32_t)(seed % 13);
	world->loss = seed % 3 == 0 ? 200 : 0;
	world->twice = seed % 4 == 0 ? 200 : 0;
	world->partition = seed % 5 == 0 ? SLOTS_PAUSE : SLOTS_MERGE;
	world->repeats = 10;
	world->entry_bytes = seed % 20 == 0 ? 70000 : 0; /* a window, and a piece, hold three */
	world->publish_every_ms = 200;
	for (uint32_t i = 0; i < world->count; i++)
		start(world, i);
	run(world, 5000);
	for (int i = 0; i < 16; i++) {
		run(world, random_below(&world->random, 8000));
		any_fault(world);
	}
	heal(world);
	for (uint32_t i = 0; i < world->count; i++) {
		if (!world->nodes[i].is_up)
			start(world, i);
	}
	world_check_quiet(world);
	world_free(world);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *claim;
		void (*run)(uint64_t seed);
		uint32_t replicas;
	} cases[] = {
		{"everything at once", everything, 3},
		{"quiet", quiet, 3},
		{"twice is once", twice_is_once, 3},
		{"a home dies", home_dies, 3},
		{"answers are slow", answers_are_slow, 3},
		{"a home hangs", home_hangs, 3},
		{"a node dies in the midst of it", home_dies_in_the_midst, 3},
		{"a follower dies", follower_dies, 3},
		{"a follower is slow", follower_is_slow, 3},
		{"both followers die", both_followers_die, 3},
		{"most replicas die", most_die, 3},
		{"a take-over dies", takeover_dies, 3},
		{"a take-over is cut off", takeover_is_cut_off, 3},
		{"a take-over installs nothing", takeover_installs_nothing, 3},
		{"an old tail is longer", old_tail_is_longer, 3},
		{"two take over", two_take_over, 3},
		{"parted, and both go on", parted_merge, 3},
		{"parted, and one waits", parted_pause, 3},
		{"parted three ways", three_ways, 3},
		{"forks meet", forks_meet, 3},
		{"who begins alone gives way", alone_at_first, 3},
		{"a cut that flaps", flapping, 3},
		{"one of two", one_of_two, 3},
		{"a node joins", join, 3},
		{"a joiner dies in the midst of it", joiner_dies_in_the_midst, 3},
		{"a node drains", drain, 3},
		{"a rolling restart", rolling_restart, 3},
		{"long logs", long_logs, 3},
		{"who copies has nothing", copier_has_nothing, 3},
		{"a part is no log", part_is_no_log, 3},
		{"what waits is behind another log", waiting_is_behind_another, 3},
		{"a fork is given to one who dies", fork_dies_with_its_home, 3},
		{"forks are many", forks_are_many, 3},
		{"who opens a stream dies", opener_dies, 3},
		{"who opened a stream is forgotten", opener_is_forgotten, 3},
		{"quiet, one replica", quiet, 1},
		{"quiet, two", quiet, 2},
		{"quiet, five", quiet, 5},
		{"quiet, seven are wanted", quiet, 7},
		{"a home dies of two", home_dies, 2},
		{"one of two dies", as_many_die_as_may, 2},
		{"two of five die", as_many_die_as_may, 5},
		{"three of seven die", as_many_die_as_may, 7},
		{"the next one dies when it may", next_dies_when_it_may, 3},
		{"the only replica dies", only_replica_dies, 1},
		{"the only replica hangs", only_replica_hangs, 1},
		{"a node joins, one replica", join, 1},
		{"a node joins, two", join, 2},
		{"a joiner dies, two replicas", joiner_dies_in_the_midst, 2},
		{"a node drains, one replica", drain_of_one, 1},
		{"a node drains, two", drain, 2},
		{"a node drains, five", drain, 5},
		{"a rolling restart, one replica", rolling_restart, 1},
		{"a rolling restart, two", rolling_restart, 2},
		{"a rolling restart, five", rolling_restart, 5},
		{"mesh.replicas is changed", setting_changes, 3},
		{"everything at once, one replica", everything, 1},
		{"everything at once, two", everything, 2},
		{"everything at once, five", everything, 5},
		{"everything at once, seven", everything, 7},
		{"calm", calm, 3},
	};
	unsigned from = 0, to = COUNT_OF(cases);
	uint64_t first = 0, count = SEEDS_HERE;
	if (argc > 1 && strcmp(argv[1], "cases") == 0) {
		printf("%u\n", to);
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "case") == 0) {
		from = (unsigned)strtoul(argv[2], NULL, 10);
		to = from + 1;
		argc -= 2;
		argv += 2;
	} else if (argc > 1) {
		to = 1;
	}
	if (argc > 1)
		first = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		count = strtoull(argv[2], NULL, 10);
	prints = argc == 2;
	if (prints)
		count = 1;
	for (unsigned i = from; i < to; i++) {
		dooms.wanted = dooms.seen = 0;
		for (uint64_t seed = first; seed < first + count; seed++) {
			printf("slots: %s, seed %llu\n", cases[i].claim, (unsigned long long)seed);
			wanted = cases[i].replicas;
			cases[i].run(seed);
		}
		CHECK(count < SEEDS || dooms.wanted == 0 || dooms.seen > 0);
	}
	return 0;
}
