/*
 * The membership of a mesh, as shipped, on many nodes in virtual time: who is found dead, when, and
 * that nobody else is. Cases by name, then seeds of everything at once.
 *
 *   membership_test            the cases, and SEEDS seeds
 *   membership_test SEED       that one, with a line for each thing that happens
 *   membership_test SEED N     N seeds from that one on
 */
#include "mesh_net.h"

#define SEEDS 200u
#define NEVER UINT64_MAX

/* ---- what the nodes are seen to find ---- */

static struct {
	uint64_t suspected, died; /* how often anybody found that of a process that runs */
	uint64_t dead_first_ms, dead_last_ms;
	uint32_t dead_seen; /* nodes that found `subject` dead */
	struct boot_id subject;
	struct {
		uint64_t boots, incarnation;     /* of the processes of both together */
	} highest[NET_NODES_MAX][NET_NODES_MAX]; /* by viewer and subject */
} seen;

static struct node *node_with_boot(struct net *net, struct boot_id boot)
{
	for (uint32_t i = 0; i < net->count; i++) {
		if (net->nodes[i].is_up &&
		    boot_id_equals(net_boot(&net->nodes[i], net->nodes[i].boots), boot))
			return &net->nodes[i];
	}
	return NULL;
}

static void changed(struct net *net, struct node *viewer, const struct member *member)
{
	enum member_state state = member_state_of(member);
	struct node *subject = node_with_boot(net, member->boot);
	if (state == MEMBER_DEAD && boot_id_equals(member->boot, seen.subject)) {
		seen.dead_seen++;
		seen.dead_last_ms = net->now_ms;
		if (seen.dead_seen == 1)
			seen.dead_first_ms = net->now_ms;
	}
	if (subject == NULL)
		return;
	seen.suspected += state == MEMBER_SUSPECT;
	seen.died += state == MEMBER_DEAD;
	/* Hearsay makes nobody alive: there is a link, or there was one a moment ago. */
	if (state <= MEMBER_DRAINING)
		CHECK(viewer->ends[subject->number].link != 0);
	/* The newest word of a process never gets older. */
	uint64_t *boots = &seen.highest[viewer->number][subject->number].boots;
	uint64_t *highest = &seen.highest[viewer->number][subject->number].incarnation;
	CHECK(*boots != viewer->boots + subject->boots || member->incarnation >= *highest);
	*boots = viewer->boots + subject->boots;
	*highest = member->incarnation;
}

/* ---- a cluster that stands ---- */

static struct slice all_seeds[NET_NODES_MAX];

static struct net *cluster(uint32_t count, uint64_t seed)
{
	struct net *net = net_make(count, seed);
	for (uint32_t i = 0; i < count; i++)
		all_seeds[i] = slice_string(net->nodes[i].address);
	net->seeds = all_seeds;
	net->seed_count = count < 3 ? count : 3;
	memset(&seen, 0, sizeof(seen));
	net->changed = changed;
	return net;
}

static bool agrees(const struct net *net, uint32_t a, uint32_t b)
{
	return membership_view(net->nodes[a].membership) ==
	       membership_view(net->nodes[b].membership);
}

static size_t members_in(const struct node *node, enum member_state state)
{
	size_t count = 0;
	for (size_t i = 0; i < membership_count(node->membership); i++)
		count += member_state_of(membership_member(node->membership, i)) == state;
	return count;
}

/* All that run are ready, linked, and take each other, and nobody else, for members. */
static bool is_converged(const struct net *net)
{
	uint32_t up = 0, first = NET_NODES_MAX;
	for (uint32_t i = 0; i < net->count; i++) {
		up += net->nodes[i].is_up;
		if (first == NET_NODES_MAX && net->nodes[i].is_up)
			first = i;
	}
	for (uint32_t i = 0; i < net->count; i++) {
		const struct node *node = &net->nodes[i];
		if (!node->is_up)
			continue;
		if (!agrees(net, first, i) || members_in(node, MEMBER_READY) != up - 1 ||
		    membership_state(node->membership) != MEMBER_READY)
			return false;
	}
	return true;
}

/* Milliseconds until that holds; NEVER. */
static uint64_t converge(struct net *net, uint64_t ms_max)
{
	uint64_t start = net->now_ms;
	while (!is_converged(net)) {
		if (net->now_ms - start >= ms_max)
			return NEVER;
		net_run(net, 10);
	}
	return net->now_ms - start;
}

static struct net *standing(uint32_t count, uint64_t seed)
{
	struct net *net = cluster(count, seed);
	for (uint32_t i = 0; i < count; i++)
		node_start(net, i);
	CHECK(converge(net, 12000) != NEVER);
	net_run(net, 1000);
	return net;
}

static void watch(const struct net *net, uint32_t node)
{
	seen.suspected = seen.died = 0;
	seen.dead_seen = 0;
	seen.subject = net_boot(&net->nodes[node], net->nodes[node].boots);
}

/* ---- cases ---- */

static void quiet_finds_nobody_suspect(void)
{
	struct net *net = standing(9, 1);
	net_run(net, 10 * 60 * 1000);
	CHECK(seen.suspected == 0);
	CHECK(seen.died == 0);
	CHECK(is_converged(net));
	net_free(net);
}

static void silence_is_found_in_two_seconds_however_many_look(void)
{
	static const uint32_t counts[] = {2, 3, 9, 32, 64, 128};
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		struct net *net = standing(counts[i], i);
		watch(net, 1);
		uint64_t start = net->now_ms;
		net->nodes[1].is_unreachable = true;
		net->nodes[1].paused_until_ms = NEVER; /* the machine is off */
		net_run(net, 2600);
		CHECK(seen.dead_seen == counts[i] - 1);
		CHECK(seen.dead_first_ms - start >= 1700);
		CHECK(seen.dead_last_ms - start <= 2500);
		net_free(net);
	}
}

static void a_killed_process_is_found_in_200_ms(void)
{
	for (uint32_t seed = 0; seed < 20; seed++) {
		struct net *net = standing(9, seed);
		watch(net, 4);
		uint64_t start = net->now_ms;
		node_kill(net, 4);
		net_run(net, 1000);
		CHECK(seen.dead_seen == 8);
		CHECK(seen.dead_last_ms - start <= 200);
		net_free(net);
	}
}

/* Each node stands still once a minute, for less than a second. */
static void short_stalls_kill_nobody(void)
{
	struct net *net = standing(9, 7);
	watch(net, 0);
	for (int minute = 0; minute < 60; minute++) {
		for (int i = 0; i < 9; i++) {
			uint32_t node = random_below(&net->random, 9);
			node_pause(net, node, 50 + random_below(&net->random, 850));
			net_run(net, 60 * 1000 / 9);
		}
	}
	CHECK(seen.died == 0);
	CHECK(is_converged(net));
	net_free(net);
}

static void who_slept_accuses_nobody(void)
{
	for (uint32_t seed = 0; seed < 50; seed++) {
		struct net *net = standing(5, seed);
		watch(net, 0);
		struct node *sleeper = &net->nodes[2];
		node_pause(net, 2, 1500);
		net_run(net, 1499);
		uint64_t by_others = seen.suspected;
		CHECK(by_others <= 4);
		net_run(net, 1500);
		CHECK(seen.suspected == by_others);
		CHECK(seen.died == 0);
		CHECK(members_in(sleeper, MEMBER_READY) == 4);
		net_free(net);
	}
}

static void who_was_found_dead_and_is_not_says_so(void)
{
	for (uint32_t seed = 0; seed < 50; seed++) {
		struct net *net = standing(5, seed);
		watch(net, 3);
		node_pause(net, 3, 3000);
		net_run(net, 2999);
		CHECK(seen.dead_seen == 4);
		CHECK(converge(net, 500) != NEVER);
		CHECK(net->nodes[3].accusations > 0);
		CHECK(membership_incarnation(net->nodes[3].membership) > 1000000 + 1000000);
		net_free(net);
	}
}

static void one_way_cut_does_not_swing(void)
{
	struct net *net = standing(5, 3);
	watch(net, 0);
	net->cut[0][1] = true;
	net_run(net, 60 * 1000);
	CHECK(seen.died == 0); /* the three others hear both */
	CHECK(seen.suspected <= 4);
	net_heal(net);
	CHECK(converge(net, 5000) != NEVER);
	net_free(net);
}

static void two_that_cannot_hear_each_other_are_not_dead(void)
{
	struct net *net = standing(5, 4);
	watch(net, 0);
	net_cut(net, 0, 1, true);
	net_run(net, 60 * 1000);
	CHECK(seen.died == 0);
	net_heal(net);
	CHECK(converge(net, 5000) != NEVER);
	net_free(net);
}

static void each_side_of_a_cut_buries_the_other_and_they_merge(void)
{
	static const uint8_t sides[9] = {0, 0, 0, 0, 0, 1, 1, 1, 1};
	for (uint32_t seed = 0; seed < 20; seed++) {
		struct net *net = standing(9, seed);
		net_part(net, sides);
		net_run(net, 2700);
		for (uint32_t i = 0; i < 9; i++)
			CHECK(members_in(&net->nodes[i], MEMBER_DEAD) == (sides[i] == 0 ? 4 : 5));
		net_run(net, 30000);
		net_heal(net);
		/* Those that died are dialled at most half a minute apart. */
		CHECK(converge(net, 50000) != NEVER);
		net_free(net);
	}
}

static void all_start_again_at_once(void)
{
	for (uint32_t seed = 0; seed < 20; seed++) {
		struct net *net = standing(7, seed);
		for (uint32_t i = 0; i < 7; i++) {
			uint32_t node = (i * 3 + seed) % 7;
			node_kill(net, node);
			net_run(net, random_below(&net->random, 300));
			node_start(net, node);
			net_run(net, random_below(&net->random, 1000));
		}
		CHECK(converge(net, 15000) != NEVER);
		net_free(net);
	}
}

/* Two know each other, and two others; then the seeds name all. */
static void islands_meet(void)
{
	struct net *net = cluster(4, 5);
	struct slice left[] = {all_seeds[0], all_seeds[1]}, right[] = {all_seeds[2], all_seeds[3]};
	net->seed_count = 2;
	for (uint32_t i = 0; i < 4; i++) {
		net->seeds = i < 2 ? left : right;
		node_start(net, i);
	}
	net_run(net, 8000);
	CHECK(members_in(&net->nodes[0], MEMBER_READY) == 1);
	CHECK(members_in(&net->nodes[2], MEMBER_READY) == 1);
	left[1] = all_seeds[2]; /* what the name resolves to has changed */
	CHECK(converge(net, 11000) != NEVER);
	net_free(net);
}

static void deliver(struct net *net, struct node *to, uint32_t from, enum frame_type type,
                    struct boot_id boot, uint64_t incarnation)
{
	struct buf body = {0};
	for (int i = 0; i < 2; i++) {
		for (int shift = 0; shift < 64; shift += 8)
			buf_char(&body, (char)(boot.word[i] >> shift));
	}
	for (int shift = 0; shift < 64; shift += 8)
		buf_char(&body, (char)(incarnation >> shift));
	if (type == FRAME_DEAD)
		buf_char(&body, false); /* only silent */
	struct frame frame = {.type = type, .body = buf_view(&body)};
	bool is_good = membership_take(to->membership, to->ends[from].member, &frame, net->now_ms);
	CHECK(is_good);
	buf_free(&body);
}

static void old_news_of_a_death_changes_nothing(void)
{
	struct net *net = standing(3, 6);
	struct node *subject = &net->nodes[2];
	struct boot_id boot = net_boot(subject, subject->boots);
	watch(net, 2);
	deliver(net, &net->nodes[0], 1, FRAME_DEAD, boot,
	        membership_incarnation(subject->membership) - 1);
	deliver(net, &net->nodes[0], 1, FRAME_DEAD, boot,
	        membership_incarnation(subject->membership));
	CHECK(seen.died == 0); /* the second one is news, but it is heard */
	net_run(net, 3000);
	CHECK(seen.died == 0);
	CHECK(is_converged(net));
	net_free(net);
}

static void nobody_is_dead_by_hearsay_while_it_speaks_and_refutes_it(void)
{
	struct net *net = standing(3, 6);
	struct node *subject = &net->nodes[2];
	uint64_t before = membership_incarnation(subject->membership);
	deliver(net, subject, 1, FRAME_DEAD, net_boot(subject, subject->boots), before);
	CHECK(membership_incarnation(subject->membership) == before + 1);
	CHECK(subject->accusations == 1);
	deliver(net, subject, 1, FRAME_DEAD, net_boot(subject, subject->boots), UINT64_MAX);
	CHECK(membership_incarnation(subject->membership) == before + 1);
	net_run(net, 1000);
	CHECK(is_converged(net));
	net_free(net);
}

static void leave_call(struct net *net, struct node *node)
{
	membership_leave(node->membership);
	net_run(net, 10);
	node_kill(net, node->number);
}

static void who_left_is_not_looked_for_and_never_comes_back(void)
{
	struct net *net = standing(4, 8);
	watch(net, 3);
	struct node *node = &net->nodes[3];
	struct hello hello;
	membership_hello(node->membership, &hello);
	leave_call(net, node);
	net_run(net, 5000);
	struct member *nobody;
	for (uint32_t i = 0; i < 3; i++) {
		CHECK(members_in(&net->nodes[i], MEMBER_LEFT) == 1);
		CHECK(members_in(&net->nodes[i], MEMBER_DEAD) == 0);
		hello.incarnation++;
		CHECK(membership_link_up(net->nodes[i].membership, &hello, net->now_ms, &nobody) ==
		      BYE_LEAVING);
	}
	CHECK(seen.dead_seen == 0);
	node_start(net, 3); /* another boot of it may come */
	CHECK(converge(net, 12000) != NEVER);
	net_free(net);
}

static void a_second_node_of_a_name_is_sent_away(void)
{
	struct net *net = standing(4, 9);
	struct hello hello;
	struct member *nobody;
	membership_hello(net->nodes[1].membership, &hello);
	hello.boot.word[1] += 1000;
	CHECK(membership_link_up(net->nodes[0].membership, &hello, net->now_ms, &nobody) ==
	      BYE_NAME_TAKEN);
	hello.name = slice_string(net->nodes[0].name); /* that of the node itself */
	CHECK(membership_link_up(net->nodes[0].membership, &hello, net->now_ms, &nobody) ==
	      BYE_NAME_TAKEN);
	hello.name = SLICE("another");
	hello.cluster = SLICE("other");
	CHECK(membership_link_up(net->nodes[0].membership, &hello, net->now_ms, &nobody) ==
	      BYE_CLUSTER);
	hello.cluster = SLICE("sim");
	hello.version_min = hello.version_max = PROTOCOL_VERSION_MAX + 1;
	CHECK(membership_link_up(net->nodes[0].membership, &hello, net->now_ms, &nobody) ==
	      BYE_VERSION);
	net_free(net);
}

static void a_node_that_starts_again_at_once_replaces_itself(void)
{
	for (uint32_t seed = 0; seed < 50; seed++) {
		struct net *net = standing(4, seed);
		watch(net, 2);
		node_kill(net, 2);
		net_run(net, 20);
		node_start(net, 2);
		CHECK(converge(net, 3000) != NEVER);
		CHECK(seen.dead_seen == 3);
		net_free(net);
	}
}

static void a_node_alone_is_ready_in_five_seconds(void)
{
	struct net *net = cluster(3, 1);
	node_start(net, 0);
	net_run(net, 4900);
	CHECK(membership_state(net->nodes[0].membership) == MEMBER_JOINING);
	net_run(net, 200);
	CHECK(membership_state(net->nodes[0].membership) == MEMBER_READY);
	net_free(net);
	net = cluster(1, 1);
	net->seed_count = 0;
	node_start(net, 0);
	CHECK(membership_state(net->nodes[0].membership) == MEMBER_READY);
	net_free(net);
}

static void draining_is_seen_by_all(void)
{
	struct net *net = standing(3, 2);
	membership_drain(net->nodes[1].membership, net->now_ms);
	net_run(net, 50);
	CHECK(members_in(&net->nodes[0], MEMBER_DRAINING) == 1);
	CHECK(members_in(&net->nodes[2], MEMBER_DRAINING) == 1);
	net_free(net);
}

/* ---- everything at once ---- */

static void any_fault(struct net *net)
{
	uint32_t node = random_below(&net->random, net->count);
	uint32_t other = random_below(&net->random, net->count);
	uint8_t sides[NET_NODES_MAX];
	switch (random_below(&net->random, 8)) {
	case 0:
	case 1:
		if (net->nodes[node].is_up)
			node_kill(net, node);
		break;
	case 2:
		if (!net->nodes[node].is_up)
			node_start(net, node);
		break;
	case 3:
		node_pause(net, node, random_below(&net->random, 6000));
		break;
	case 4:
		net_cut(net, node, other, true);
		break;
	case 5:
		net->cut[node][other] = true;
		break;
	case 6:
		for (uint32_t i = 0; i < net->count; i++)
			sides[i] = (uint8_t)random_below(&net->random, 2 + (node & 1));
		net_part(net, sides);
		break;
	default:
		net_heal(net);
	}
}

static void run_seed(uint64_t seed, bool prints)
{
	struct net *net = cluster(3 + (uint32_t)(seed % 7), seed);
	net->prints = prints;
	net->delay_ms = 1 + (uint32_t)(seed % 40);
	for (uint32_t i = 0; i < net->count; i++)
		node_start(net, i);
	for (int i = 0; i < 30; i++) {
		net_run(net, random_below(&net->random, 4000));
		any_fault(net);
	}
	net_heal(net);
	for (uint32_t i = 0; i < net->count; i++) {
		if (!net->nodes[i].is_up)
			node_start(net, i);
	}
	net_run(net, 6000); /* the last pause is over */
	/* Those that are taken for dead are dialled at most half a minute apart, from both sides;
	 * then nobody is suspect any more. */
	CHECK(converge(net, 50000) != NEVER);
	watch(net, 0);
	net_run(net, 20000);
	CHECK(seen.suspected == 0);
	CHECK(seen.died == 0);
	CHECK(is_converged(net));
	net_free(net);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *claim;
		void (*run)(void);
	} cases[] = {
		{"quiet finds nobody suspect", quiet_finds_nobody_suspect},
		{"silence is found in two seconds, however many look",
	         silence_is_found_in_two_seconds_however_many_look},
		{"a killed process is found in 200 ms", a_killed_process_is_found_in_200_ms},
		{"short stalls kill nobody", short_stalls_kill_nobody},
		{"who slept accuses nobody", who_slept_accuses_nobody},
		{"who was found dead and is not says so", who_was_found_dead_and_is_not_says_so},
		{"a one-way cut does not swing", one_way_cut_does_not_swing},
		{"two that cannot hear each other are not dead",
	         two_that_cannot_hear_each_other_are_not_dead},
		{"each side of a cut buries the other, and they merge",
	         each_side_of_a_cut_buries_the_other_and_they_merge},
		{"all start again at once", all_start_again_at_once},
		{"islands meet", islands_meet},
		{"old news of a death changes nothing", old_news_of_a_death_changes_nothing},
		{"nobody is dead by hearsay while it speaks, and refutes it",
	         nobody_is_dead_by_hearsay_while_it_speaks_and_refutes_it},
		{"who left is not looked for, and never comes back",
	         who_left_is_not_looked_for_and_never_comes_back},
		{"a second node of a name is sent away", a_second_node_of_a_name_is_sent_away},
		{"a node that starts again at once replaces itself",
	         a_node_that_starts_again_at_once_replaces_itself},
		{"a node alone is ready in five seconds", a_node_alone_is_ready_in_five_seconds},
		{"draining is seen by all", draining_is_seen_by_all},
	};
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : SEEDS;
	if (argc == 2) {
		run_seed(first, true);
		return 0;
	}
	for (size_t i = 0; argc == 1 && i < COUNT_OF(cases); i++) {
		printf("membership: %s\n", cases[i].claim);
		cases[i].run();
	}
	for (uint64_t seed = first; seed < first + count; seed++) {
		printf("membership: seed %llu\n", (unsigned long long)seed);
		run_seed(seed, false);
	}
	return 0;
}
