/*
 * Whole nodes, as far as the mesh makes them: membership, the roster that says what it found, and
 * slots, as shipped, in one thread and virtual time. slots_test shows slots everything that can
 * happen to them, over a stand-in for membership; here they see what the real one finds, when it
 * finds it.
 *
 * Of each slot the application is a list of numbers, each published once at some node. What is
 * acknowledged is held to stand at its place in its stream for good (I1, I8), and in the end in the
 * list of the slot's home, where streams met too; all nodes agree who that is (I10), and its
 * replicas have what it has.
 *
 *   nodes_test                 the cases, SEEDS seeds each
 *   nodes_test CASE SEED [N]   the case of that number, with N seeds from that one on
 */
#include "mesh_net.h"

#include "mesh/slots.h"
#include "node/roster.h"

#define SEEDS 200u
#define NODES 9
#define SLOTS_SIM 4
#define IDS_MAX 4096
#define STREAMS_MAX 64
#define PART_IDS 32
#define NEVER UINT64_MAX

/* Numbers by their place, and places by number; 0: none. */
struct list_of {
	uint32_t ids[IDS_MAX], places[IDS_MAX];
	uint32_t count; /* places below it */
};

/* What the mesh thread remembers of a member that it has told of. */
struct chair {
	struct boot_id boot;
	uint16_t use;
	bool is_taken, is_linked;
	enum member_state state;
};

/* What stands on a node's membership. */
struct shell {
	struct slots_out out;
	struct node *node;
	struct slots *slots;
	struct roster roster;
	struct chair chairs[64];
	uint64_t ticked_ms;
	bool is_changed; /* somebody was found to be something else */
	struct list_of lists[SLOTS_SIM];
	bool is_flying[SLOTS_SIM][IDS_MAX]; /* proposed, and neither applied nor refused */
};

struct published {
	uint32_t node, slot;
	uint64_t boots; /* the process that publishes it */
	bool is_acked;
	struct slot_term stream; /* acknowledged in which */
};

struct stream {
	uint32_t slot;
	struct slot_term term;
	uint32_t ids[IDS_MAX];
};

static struct shell shells[NODES];
static struct published published[IDS_MAX];
static uint32_t id_count;
static struct stream streams[STREAMS_MAX];
static uint32_t stream_count, publish_every_ms, replicas;
static enum slots_partition partition;
static bool forgets; /* who pauses, too, as where there are no seats */
static uint64_t unclean;

/* ---- what was acknowledged, and where ---- */

static void witness(uint32_t slot, const struct slot_term *term, uint64_t lsn, uint32_t id)
{
	uint32_t i = 0;
	while (i < stream_count &&
	       (streams[i].slot != slot || !slot_term_equals(&streams[i].term, term)))
		i++;
	CHECK(i < STREAMS_MAX);
	if (i == stream_count)
		streams[stream_count++] = (struct stream){.slot = slot, .term = *term};
	CHECK(streams[i].ids[lsn] == 0 || streams[i].ids[lsn] == id); /* I1 */
	streams[i].ids[lsn] = id;
}

static void acknowledge(struct shell *shell, uint32_t slot, uint64_t lsn, uint32_t id)
{
	struct slots_role role;
	slots_role(shell->slots, (uint16_t)slot, &role);
	witness(slot, &role.stream, lsn, id);
	published[id].is_acked = true;
	published[id].stream = role.stream;
}

/* ---- the application ---- */

static struct shell *shell_of(struct slots_out *out)
{
	return CONTAINER_OF(out, struct shell, out);
}

static void list_put(struct list_of *list, uint64_t lsn, uint32_t id)
{
	CHECK(lsn >= list->count && lsn < IDS_MAX && list->places[id] == 0);
	list->ids[lsn] = id;
	list->places[id] = (uint32_t)lsn;
	list->count = (uint32_t)lsn + 1;
}

static void out_slot_send(struct slots_out *out, const struct boot_id *to, enum frame_type type,
                          uint16_t slot, struct blob *body)
{
	struct node *node = shell_of(out)->node;
	for (uint32_t i = 0; i < node->net->count; i++) {
		const struct member *member = node->ends[i].member;
		if (node->ends[i].link != 0 && member != NULL && boot_id_equals(member->boot, *to))
			net_send(node, i, type, slot, blob_view(body));
	}
}

static void out_role(struct slots_out *out, uint16_t slot, const struct slots_role *role)
{
	const struct node *node = shell_of(out)->node;
	static const char *const places[] = {"is nowhere", "is here", "is there"};
	if (node->net->prints)
		printf("%8llu %s/%llu slot %u: home %s, stream %llu\n",
		       (unsigned long long)node->net->now_ms, node->name,
		       (unsigned long long)node->boots, slot, places[role->place],
		       (unsigned long long)role->stream.counter);
}

static uint32_t id_in(const struct blob *entry)
{
	uint32_t id;
	CHECK(entry->len == sizeof(id));
	memcpy(&id, entry->bytes, sizeof(id));
	return id;
}

static void out_apply(struct slots_out *out, uint16_t slot, uint64_t lsn, struct blob *entry,
                      uint64_t cookie)
{
	struct shell *shell = shell_of(out);
	uint32_t id = id_in(entry);
	list_put(&shell->lists[slot], lsn, id);
	shell->is_flying[slot][id] = false;
	if (cookie != 0)
		acknowledge(shell, slot, lsn, id);
}

static void out_refused(struct slots_out *out, uint16_t slot, struct blob *entry, uint64_t cookie)
{
	CHECK(cookie == id_in(entry));
	shell_of(out)->is_flying[slot][cookie] = false;
}

static struct blob *out_save(struct slots_out *out, uint16_t slot, enum slots_saved what,
                             uint64_t *at, bool *failed)
{
	(void)what;
	*failed = false;
	const struct list_of *list = &shell_of(out)->lists[slot];
	uint32_t pairs[PART_IDS][2], count = 0;
	for (; *at < list->count && count < PART_IDS; ++*at) {
		if (list->ids[*at] == 0)
			continue;
		pairs[count][0] = (uint32_t)*at;
		pairs[count++][1] = list->ids[*at];
	}
	return count == 0 ? NULL
	                  : blob_copy(slice_of((const char *)pairs, count * sizeof(pairs[0])));
}

static bool out_restore(struct slots_out *out, uint16_t slot, struct slice part)
{
	uint32_t pair[2];
	for (; part.len > 0; part = slice_after(part, sizeof(pair))) {
		memcpy(pair, part.at, sizeof(pair));
		list_put(&shell_of(out)->lists[slot], pair[0], pair[1]);
	}
	return true;
}

static void out_clear(struct slots_out *out, uint16_t slot)
{
	shell_of(out)->lists[slot] = (struct list_of){0};
}

static bool propose(struct shell *shell, uint32_t slot, uint32_t id)
{
	struct blob *blob = blob_copy(slice_of((const char *)&id, sizeof(id)));
	CHECK(blob != NULL);
	shell->is_flying[slot][id] = true;
	bool is_taken = slots_propose(shell->slots, (uint16_t)slot, blob, id);
	shell->is_flying[slot][id] &= is_taken;
	blob_drop(blob);
	return is_taken;
}

static bool out_merge(struct slots_out *out, uint16_t slot, struct slice part)
{
	struct shell *shell = shell_of(out);
	uint32_t pair[2];
	for (; part.len > 0; part = slice_after(part, sizeof(pair))) {
		memcpy(pair, part.at, sizeof(pair));
		bool is_here =
			shell->lists[slot].places[pair[1]] != 0 || shell->is_flying[slot][pair[1]];
		if (!is_here && !propose(shell, slot, pair[1]))
			return false;
	}
	return true;
}

/* ---- what the mesh thread does between membership and slots ---- */

static struct chair *chair_for(struct shell *shell, const struct member *member)
{
	struct chair *free = NULL;
	for (struct chair *chair = shell->chairs; chair < shell->chairs + COUNT_OF(shell->chairs);
	     chair++) {
		if (chair->is_taken && boot_id_equals(chair->boot, member->boot))
			return chair;
		if (!chair->is_taken && free == NULL)
			free = chair;
	}
	enum member_state state = member_state_of(member);
	if (state == MEMBER_DEAD || state == MEMBER_LEFT)
		return NULL;
	CHECK(free != NULL);
	uint16_t use = (uint16_t)(free->use + 1);
	*free = (struct chair){
		.boot = member->boot, .use = use, .is_taken = true, .state = MEMBER_STATE_COUNT};
	return free;
}

/* True: there is something new. */
static bool look_at_member(struct shell *shell, const struct member *member)
{
	struct chair *chair = chair_for(shell, member);
	enum member_state state = member_state_of(member);
	if (chair == NULL ||
	    (chair->state == state && chair->is_linked == member->is_linked && !member->is_gone))
		return false;
	chair->state = state;
	chair->is_linked = member->is_linked;
	chair->is_taken = !member->is_gone;
	struct mesh_mail mail = {.kind = MESH_MAIL_NODE,
	                         .state = (uint8_t)state,
	                         .is_linked = member->is_linked && !member->is_gone,
	                         .is_gone = member->is_gone,
	                         .seat = {(uint16_t)(chair - shell->chairs), chair->use},
	                         .boot = member->boot};
	(void)roster_take(&shell->roster, &mail);
	return true;
}

/* True: somebody was forgotten. */
static bool look_at_chairs(struct shell *shell)
{
	bool has_news = false;
	for (uint16_t i = 0; i < COUNT_OF(shell->chairs); i++) {
		struct chair *chair = &shell->chairs[i];
		if (!chair->is_taken || chair->state != MEMBER_DEAD ||
		    membership_find(shell->node->membership, chair->boot) != NULL)
			continue;
		chair->is_taken = false;
		has_news = true;
		struct mesh_mail mail = {.kind = MESH_MAIL_NODE,
		                         .state = MEMBER_DEAD,
		                         .is_forgotten = true,
		                         .seat = {i, chair->use},
		                         .boot = chair->boot};
		(void)roster_take(&shell->roster, &mail);
	}
	return has_news;
}

static bool look_at_members(struct shell *shell)
{
	const struct membership *membership = shell->node->membership;
	struct mesh_mail self = {.kind = MESH_MAIL_SELF,
	                         .state = (uint8_t)membership_state(membership),
	                         .boot = shell->roster.self.boot};
	enum slots_member_state before = shell->roster.self.state;
	(void)roster_take(&shell->roster, &self);
	bool has_news = before != shell->roster.self.state;
	const struct member *member;
	for (size_t i = 0; (member = membership_member(membership, i)) != NULL; i++)
		has_news |= look_at_member(shell, member);
	return look_at_chairs(shell) || has_news;
}

/* A publication goes to its home at once, if the way there is open. */
static void ask(struct shell *shell, uint32_t id)
{
	struct net *net = shell->node->net;
	uint32_t slot = published[id].slot;
	struct slots_role role;
	slots_role(shell->slots, (uint16_t)slot, &role);
	struct shell *home = role.place == SLOTS_HERE ? shell : NULL;
	for (uint32_t i = 0; role.place == SLOTS_THERE && i < net->count; i++) {
		const struct node *node = &net->nodes[i];
		if (node->is_up && boot_id_equals(net_boot(node, node->boots), role.home) &&
		    net_is_whole(net, i, shell->node->number) &&
		    node->paused_until_ms <= net->now_ms)
			home = &shells[i];
	}
	if (home == NULL)
		return;
	slots_role(home->slots, (uint16_t)slot, &role);
	uint64_t lsn = home->lists[slot].places[id];
	if (role.place != SLOTS_HERE)
		return;
	if (lsn != 0)
		acknowledge(home, slot, lsn, id);
	else if (!home->is_flying[slot][id] && propose(home, slot, id))
		slots_flush(home->slots);
}

static void publish(struct shell *shell)
{
	struct net *net = shell->node->net;
	if (publish_every_ms > 0 && id_count < IDS_MAX &&
	    random_below(&net->random, publish_every_ms) < SLOTS_TICK_MS)
		published[id_count++] =
			(struct published){.node = shell->node->number,
		                           .slot = random_below(&net->random, SLOTS_SIM),
		                           .boots = shell->node->boots};
	uint32_t first = id_count > 300 ? id_count - 300 : 1;
	for (uint32_t id = first; id < id_count; id++) {
		const struct published *one = &published[id];
		if (!one->is_acked && one->node == shell->node->number &&
		    one->boots == shell->node->boots)
			ask(shell, id);
	}
}

static void on_ran(struct net *net, struct node *node)
{
	struct shell *shell = &shells[node->number];
	if (!node->is_up || shell->slots == NULL)
		return;
	bool is_due = net->now_ms - shell->ticked_ms >= SLOTS_TICK_MS;
	if (!is_due && !shell->is_changed)
		return;
	shell->is_changed = false;
	bool has_news = look_at_members(shell);
	if (has_news) {
		struct slots_member members[MEMBERS_MAX];
		size_t count = roster_members(&shell->roster, members);
		slots_members(shell->slots, members, count, net->now_ms);
	}
	shell->ticked_ms = net->now_ms;
	slots_tick(shell->slots, net->now_ms);
	publish(shell);
	slots_flush(shell->slots);
}

static void on_changed(struct net *net, struct node *node, const struct member *member)
{
	(void)net;
	(void)member;
	shells[node->number].is_changed = true;
}

static void on_frame(struct net *net, struct node *node, uint32_t from, const struct frame *frame)
{
	struct boot_id boot = node->ends[from].member->boot;
	CHECK(slots_take(shells[node->number].slots, &boot, frame, net->now_ms));
	slots_flush(shells[node->number].slots);
}

/* ---- processes ---- */

static void start(struct net *net, uint32_t number)
{
	struct shell *shell = &shells[number];
	struct node *node = &net->nodes[number];
	memset(shell, 0, sizeof(*shell));
	shell->node = node;
	shell->out = (struct slots_out){.send = out_slot_send,
	                                .role = out_role,
	                                .apply = out_apply,
	                                .refused = out_refused,
	                                .save = out_save,
	                                .restore = out_restore,
	                                .clear = out_clear,
	                                .merge = out_merge};
	node_start(net, number);
	struct slots_options options = {.out = &shell->out,
	                                .boot = net_boot(node, node->boots),
	                                .count = SLOTS_SIM,
	                                .workers = 1,
	                                .replicas = replicas,
	                                .partition = partition,
	                                .now_ms = net->now_ms,
	                                .seed = random_next(&net->random)};
	roster_init(&shell->roster, options.boot);
	shell->slots = slots_create(&options);
	CHECK(shell->slots != NULL);
}

static void stop(struct net *net, uint32_t number)
{
	struct shell *shell = &shells[number];
	unclean += slots_counters(shell->slots)->unclean;
	slots_destroy(shell->slots);
	shell->slots = NULL;
	if (net->nodes[number].is_up)
		node_kill(net, number);
}

/* ---- what is to be seen ---- */

static bool is_home(const struct net *net, uint32_t number, uint32_t slot)
{
	struct slots_role role;
	if (!net->nodes[number].is_up)
		return false;
	slots_role(shells[number].slots, (uint16_t)slot, &role);
	return role.place == SLOTS_HERE;
}

static uint32_t home_of(const struct net *net, uint32_t slot) /* NODES: none, or several */
{
	uint32_t home = NODES;
	for (uint32_t i = 0; i < net->count; i++) {
		if (is_home(net, i, slot)) {
			if (home != NODES)
				return NODES;
			home = i;
		}
	}
	return home;
}

/* All that run know one another, and the same home of each slot. */
static bool agrees(const struct net *net)
{
	for (uint32_t slot = 0; slot < SLOTS_SIM; slot++) {
		uint32_t home = home_of(net, slot), up = 0;
		for (uint32_t i = 0; i < net->count; i++)
			up += net->nodes[i].is_up;
		for (uint32_t i = 0; i < net->count && home < NODES; i++) {
			struct slots_role role;
			if (!net->nodes[i].is_up)
				continue;
			slots_role(shells[i].slots, (uint16_t)slot, &role);
			const struct node *node = &net->nodes[home];
			if (membership_count(net->nodes[i].membership) < up - 1 ||
			    !boot_id_equals(role.home, net_boot(node, node->boots)))
				return false;
		}
		if (home == NODES)
			return false;
	}
	return true;
}

static bool is_calm(const struct net *net)
{
	for (uint32_t i = 0; i < net->count; i++) {
		if (net->nodes[i].is_up && !slots_is_settled(shells[i].slots))
			return false;
	}
	return agrees(net);
}

static uint64_t until(struct net *net, bool (*holds)(const struct net *net), uint64_t ms_max)
{
	uint64_t since = net->now_ms;
	while (!holds(net)) {
		if (net->now_ms - since >= ms_max)
			return NEVER;
		net_run(net, 20);
	}
	return net->now_ms - since;
}

static bool has_home_0(const struct net *net)
{
	return home_of(net, 0) != NODES;
}

static struct net *standing(uint32_t count, uint64_t seed, bool prints)
{
	static struct slice first;
	struct net *net = net_make(count, seed);
	memset(shells, 0, sizeof(shells));
	memset(published, 0, sizeof(published));
	id_count = 1;
	stream_count = 0;
	unclean = 0;
	publish_every_ms = 0;
	replicas = 3;
	net->prints = prints;
	net->keeps_silent = partition == SLOTS_PAUSE && !forgets;
	net->changed = on_changed;
	net->ran = on_ran;
	net->take = on_frame;
	first = slice_string(net->nodes[0].address);
	net->seeds = &first;
	net->seed_count = 1;
	for (uint32_t i = 0; i < count; i++)
		start(net, i);
	CHECK(until(net, is_calm, 60000) != NEVER);
	publish_every_ms = 400;
	return net;
}

/* All faults are over, and what was acknowledged is there; but where two replicas may have died at
 * once, another stream may have told that it is not. */
static void rest(struct net *net, bool may_be_told)
{
	net_heal(net);
	for (uint32_t i = 0; i < net->count; i++) {
		net->nodes[i].paused_until_ms = 0;
		if (!net->nodes[i].is_up)
			start(net, i);
	}
	net_run(net, 2000);
	publish_every_ms = 0;
	/* Slots move to one that was away when it has been ready for a while. */
	for (int i = 0; i < 4; i++) {
		CHECK(until(net, is_calm, 90000) != NEVER);
		net_run(net, SLOTS_SETTLE_MS + 4000);
		if (is_calm(net))
			break;
	}
	CHECK(is_calm(net));
	for (uint32_t id = 1; id < id_count; id++) {
		uint32_t slot = published[id].slot;
		const struct shell *home = &shells[home_of(net, slot)];
		struct slots_role role;
		slots_role(home->slots, (uint16_t)slot, &role);
		bool is_told =
			may_be_told && !slot_term_equals(&role.stream, &published[id].stream);
		CHECK(!published[id].is_acked || is_told || home->lists[slot].places[id] != 0);
	}
	for (uint32_t i = 0; i < net->count; i++)
		stop(net, i);
	net_free(net);
}

static uint64_t unclean_so_far(const struct net *net)
{
	uint64_t sum = unclean;
	for (uint32_t i = 0; i < net->count; i++)
		sum += net->nodes[i].is_up ? slots_counters(shells[i].slots)->unclean : 0;
	return sum;
}

/* ---- cases ---- */

/* S07, with the detection of S03. */
static void a_killed_home_is_replaced_in_half_a_second(struct net *net, uint64_t seed)
{
	(void)seed;
	net_run(net, random_below(&net->random, 3000));
	stop(net, home_of(net, 0));
	net_run(net, 20);
	CHECK(until(net, has_home_0, 480) != NEVER);
	net_run(net, 3000);
	CHECK(unclean_so_far(net) == 0);
}

/* S06, S07: it hangs, and says nothing in its old term when it comes back. */
static void a_home_that_hangs_is_replaced_in_three(struct net *net, uint64_t seed)
{
	uint32_t home = home_of(net, 0), homes = 0;
	net_run(net, random_below(&net->random, 1000));
	node_pause(net, home, 4000 + seed % 8 * 1000);
	net_run(net, 3000);
	for (uint32_t i = 0; i < net->count; i++)
		homes += i != home && is_home(net, i, 0);
	CHECK(homes == 1);
	net_run(net, 12000);
	CHECK(unclean_so_far(net) == 0);
}

/* S28 */
static void all_start_again_one_after_the_other(struct net *net, uint64_t seed)
{
	for (uint32_t i = 0; i < net->count; i++) {
		stop(net, i);
		net_run(net, 1000 + random_below(&net->random, 2000));
		start(net, i);
		net_run(net, seed % 2 == 0 ? 16000 : 20000);
	}
	CHECK(unclean_so_far(net) == 0);
}

/* S15: both sides go on, and when it heals there is one again within ten seconds, with all of it.
 */
static void a_cut_heals(struct net *net, uint64_t seed)
{
	uint8_t sides[NET_NODES_MAX] = {0};
	for (uint32_t i = 0; i < net->count; i++)
		sides[i] = (seed >> i & 1) != 0;
	net_part(net, sides);
	net_run(net, 9000 + random_below(&net->random, 6000));
	net_heal(net);
	CHECK(until(net, agrees, 10000) != NEVER);
}

/* It is slept through, but for its ends: they are found dead in the first, and forgotten in the
 * second. */
static void cut_for_a_day(struct net *net, uint64_t seed)
{
	uint8_t sides[NET_NODES_MAX] = {1};
	net_part(net, sides);
	net_run(net, 4000 + random_below(&net->random, 4000));
	for (uint32_t i = 0; i < net->count; i++)
		node_pause(net, i, MEMBERSHIP_FORGET_MS - 8000 + seed % 4 * 100);
	net_run(net, MEMBERSHIP_FORGET_MS + 12000);
}

/* Where it pauses nobody is forgotten, and no stream begins beside another one. */
static void a_cut_of_a_day(struct net *net, uint64_t seed)
{
	cut_for_a_day(net, seed);
	size_t known = membership_count(net->nodes[0].membership);
	CHECK(known == (partition == SLOTS_MERGE ? 0 : net->count - 1));
	for (uint32_t slot = 0; slot < SLOTS_SIM; slot++)
		CHECK(is_home(net, 0, slot) == (partition == SLOTS_MERGE));
	CHECK(partition == SLOTS_MERGE || unclean_so_far(net) == 0);
	if (partition == SLOTS_PAUSE && seed % 2 == 0) { /* another process comes back there */
		stop(net, 1);
		start(net, 1);
		net_run(net, 8000);
	}
	net_heal(net);
	CHECK(until(net, agrees, 60000) != NEVER);
}

/* Each may go on alone then, but not in the stream that both have. */
static void two_that_forgot_each_other(struct net *net, uint64_t seed)
{
	cut_for_a_day(net, seed);
	for (uint32_t slot = 0; slot < SLOTS_SIM; slot++) {
		struct slots_role role[2];
		for (uint32_t i = 0; i < 2; i++) {
			slots_role(shells[i].slots, (uint16_t)slot, &role[i]);
			CHECK(role[i].place == SLOTS_HERE);
		}
		CHECK(!slot_term_equals(&role[0].stream, &role[1].stream));
	}
	net_heal(net);
	CHECK(until(net, agrees, 60000) != NEVER);
}

/* S44 */
static void anything(struct net *net, uint64_t seed)
{
	(void)seed;
	for (int i = 0; i < 10; i++) {
		uint32_t node = random_below(&net->random, net->count);
		uint32_t other = random_below(&net->random, net->count);
		uint8_t sides[NET_NODES_MAX];
		net_run(net, random_below(&net->random, 8000));
		switch (random_below(&net->random, 7)) {
		case 0:
		case 1:
			if (net->nodes[node].is_up)
				stop(net, node);
			else
				start(net, node);
			break;
		case 2:
			node_pause(net, node, 500 + random_below(&net->random, 6000));
			break;
		case 3:
			net_cut(net, node, other, true);
			break;
		case 4:
			net->cut[node][other] = node != other;
			break;
		case 5:
			for (uint32_t n = 0; n < net->count; n++)
				sides[n] = (uint8_t)random_below(&net->random, 2);
			net_part(net, sides);
			break;
		default:
			net_heal(net);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *claim;
		uint32_t nodes;
		enum slots_partition partition;
		void (*run)(struct net *net, uint64_t seed);
	} cases[] = {
		{"a killed home is replaced in half a second", 9, SLOTS_MERGE,
	         a_killed_home_is_replaced_in_half_a_second},
		{"a home that hangs is replaced in three", 5, SLOTS_MERGE,
	         a_home_that_hangs_is_replaced_in_three},
		{"all start again, one after the other", 4, SLOTS_MERGE,
	         all_start_again_one_after_the_other},
		{"a cut heals", 5, SLOTS_MERGE, a_cut_heals},
		{"anything", 5, SLOTS_MERGE, anything},
		{"a cut of a day, of two", 2, SLOTS_MERGE, a_cut_of_a_day},
		{"a cut of a day, of three", 3, SLOTS_MERGE, a_cut_of_a_day},
		{"a cut of a day, of two that pause", 2, SLOTS_PAUSE, a_cut_of_a_day},
		{"a cut of a day, of three that pause", 3, SLOTS_PAUSE, a_cut_of_a_day},
		{"two that forgot each other", 2, SLOTS_PAUSE, two_that_forgot_each_other},
	};
	unsigned from = 0, to = COUNT_OF(cases);
	uint64_t first = 0, count = SEEDS;
	if (argc > 2) {
		from = (unsigned)strtoul(argv[1], NULL, 10);
		to = from + 1;
		first = strtoull(argv[2], NULL, 10);
		count = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	}
	for (unsigned i = from; i < to; i++) {
		for (uint64_t seed = first; seed < first + count; seed++) {
			printf("nodes: %s, seed %llu\n", cases[i].claim, (unsigned long long)seed);
			partition = cases[i].partition;
			forgets = cases[i].run == two_that_forgot_each_other;
			struct net *net = standing(cases[i].nodes, seed, count == 1);
			cases[i].run(net, seed);
			rest(net, cases[i].run == anything);
		}
	}
	return 0;
}
