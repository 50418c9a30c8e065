/*
 * keeper_world.h - whole nodes, as far as channels are kept on several of them: membership, roster,
 * slots, keeper and hub as shipped, in one thread and virtual time.
 *
 * cluster_world.h shows hubs everything that a slot's log may do, by a stand-in for it;
 * slot_world.h shows slots everything that may happen to them, with a list of numbers for the
 * application. Here the slots run the hubs' channels, and what stands between them is the keeper. A
 * node has a hub, slots and a keeper for each of its workers. What the relay does about them is
 * done here: letters of the mesh thread wait for their worker, frames are left out where there is
 * no room for them, and a link over which something was left out counts as one that broke. A worker
 * may stand still while its node's membership goes on, and its post may be full. Memory may fail in
 * any call.
 *
 * Between the slots and the keeper everything passes by here. So it is known what a log of which
 * stream applies, before a hub is told; and after each turn the keeper has to agree with its slots
 * and its hub: see keeper_check().
 *
 * Threads:   one.
 * Ownership: the world owns all of it.
 * Limits:    as below. All chance comes from the net's seed: a run can be repeated.
 */
#pragma once

#include "../failing.h"
#include "hub/far_state.h"
#include "mesh_net.h"
#include "node/keeper.h"

#define follower slot_follower /* a hub has others */
#include "mesh/slots_state.h"
#undef follower

#define NODES 7
#define WORKERS_SIM_MAX 2
#define SLOTS_SIM 4
#define CHAIRS 64
#define UNIX_MS_AHEAD 1000000
#define LETTERS_TURN 8 /* that a worker takes in a turn while its post is full */

struct scenario {
	const char *name;
	uint32_t nodes, workers, replicas;
	enum slots_partition partition;
	/* How much of each of these, against the others; 0: none of it. */
	uint32_t crash, pause, cut, part, heal, stall, full, drain, dry;
	uint32_t memory;        /* of a thousand calls: an allocation in it fails */
	uint32_t loss, twice;   /* of a thousand frames of slots */
	uint32_t left_out;      /* of a thousand letters of records */
	uint32_t delay_ms;      /* 0: 2 */
	uint32_t payload_bytes; /* at most; 0: short */
	bool is_gentle;         /* one fault after the other: nothing may be lost by it */
};

/* What the mesh thread remembers of a member that it has told of. */
struct chair {
	struct boot_id boot;
	uint16_t use;
	bool is_taken, is_linked;
	enum member_state state;
};

struct mesh_letter {
	struct mesh_letter *next;
	struct mesh_mail mail;
};

struct shell;

struct sim_worker {
	struct shell *shell;
	uint32_t number;
	struct slots_out slots_out; /* between the slots and the keeper */
	struct hub_cluster cluster;
	struct hub_out hub_out;
	struct places_out places_out;
	struct places places;
	struct roster roster;
	struct keeper keeper;
	struct slots *slots;
	struct hub *hub;
	struct timer_wheel wheel;
	struct mesh_letter *first, **last;   /* of the mesh thread */
	struct buf letters[WORKERS_SIM_MAX]; /* of other workers' hubs */
	bool has_news, has_broken;           /* as in the relay */
	uint64_t ticked_ms, stalled_ms, full_ms, mended_ms;
	bool is_in_propose;         /* nothing else is to come of it */
	bool was_looked[SLOTS_SIM]; /* it is home, and its channels were held against what is known
	                             */
};

/* What stands on a node's membership. */
struct shell {
	struct node *node;
	struct relay_codec codec;
	struct chair chairs[CHAIRS];
	bool is_changed; /* somebody was found to be something else */
	bool is_draining, has_left;
	struct sim_worker workers[WORKERS_SIM_MAX];
};

/* What the test has to say to that. */
struct world_hooks {
	/* The log of a stream applies that record, somewhere. */
	void (*applied)(struct sim_worker *worker, const struct record *record, uint32_t stream);
	/* Or that nothing has that number. */
	void (*gap)(struct slice name, struct cursor place, uint32_t stream);
	/* It is about to be the first home of that stream, which begins with what it has. */
	void (*opens)(struct sim_worker *worker, uint32_t slot, uint32_t stream);
	/* It is home, and has all its channels at hand. */
	void (*begins_home)(struct sim_worker *worker, uint32_t slot, uint32_t stream);
	void (*node_ends)(uint32_t node); /* its clients are gone */
	void (*ticks)(struct shell *shell);
};

struct stream {
	uint32_t slot;
	struct slot_term term, highest; /* the highest term that anybody was home in */
	bool is_opened;
};

#define STREAMS_MAX 128

static struct world {
	const struct scenario *scenario;
	const struct world_hooks *hooks;
	const struct hub_out *hub_out;
	const struct rules *rules;
	struct net *net;
	bool is_quiet;
	uint64_t dry_ms; /* till then an allocation fails in every other call */
	bool is_short;   /* an allocation is to fail in this call, or all from one on */
	bool is_short_for_good;
	struct shell shells[NODES];
	struct stream streams[STREAMS_MAX];
	uint32_t stream_count;
} world;

/* How often, in all runs. */
static struct {
	uint64_t applied, commits, waited, adopted, refused, at_once, saved, parts, restored,
		cleared, forked, merged, delayed_home, short_of, crashes, pauses, cuts,
		parts_of_net, stalls, fulls, droughts, drains, unclean, handovers, changes,
		takeovers, broken;
} seen;

#define SAY(worker, ...)                                                                           \
	do {                                                                                       \
		if (world.net->prints) {                                                           \
			printf("%8llu %s/%llu.%u ", (unsigned long long)world.net->now_ms,         \
			       (worker)->shell->node->name,                                        \
			       (unsigned long long)(worker)->shell->node->boots,                   \
			       (worker)->number);                                                  \
			printf(__VA_ARGS__);                                                       \
			printf("\n");                                                              \
		}                                                                                  \
	} while (0)

static uint32_t below(uint32_t bound)
{
	return random_below(&world.net->random, bound);
}

static bool chance(uint32_t of_thousand)
{
	return of_thousand > 0 && !world.is_quiet && below(1000) < of_thousand;
}

static const char *term_text(const struct slot_term *term)
{
	static char text[4][64];
	static unsigned next;
	char *at = text[next++ % COUNT_OF(text)];
	if (term->counter == 0)
		return "none";
	snprintf(at, sizeof(text[0]), "%llu@n%llu/%llu", (unsigned long long)term->counter,
	         (unsigned long long)((term->boot.word[0] - 0x5741) / 7919),
	         (unsigned long long)term->boot.word[1]);
	return at;
}

static uint32_t stream_of(uint32_t slot, const struct slot_term *term)
{
	for (uint32_t i = 0; i < world.stream_count; i++) {
		if (world.streams[i].slot == slot && slot_term_equals(&world.streams[i].term, term))
			return i;
	}
	CHECK(world.stream_count < STREAMS_MAX);
	world.streams[world.stream_count] = (struct stream){.slot = slot, .term = *term};
	return world.stream_count++;
}

static struct sim_worker *worker_at(uint32_t node, uint32_t slot)
{
	return &world.shells[node].workers[slot % world.scenario->workers];
}

static struct kept *kept_of(struct sim_worker *worker, uint32_t slot)
{
	return &worker->keeper.kept[slot / world.scenario->workers];
}

static const struct slot *slot_of(const struct sim_worker *worker, uint32_t slot)
{
	return &worker->slots->slot[slot / world.scenario->workers];
}

static void hub_enter(struct sim_worker *worker)
{
	uint64_t now_ms = world.net->now_ms;
	hub_set_time(worker->hub, now_ms, (now_ms + UNIX_MS_AHEAD) * 1000);
}

/* ---- memory and room ---- */

/* Anew: one of the next `most`. */
static void memory_arm(uint32_t most)
{
	seen.short_of += failing_disarm();
	failing_arm(1 + below(most), world.is_short_for_good ? FAILING_ALL_FROM : FAILING_ONE);
}

static void memory_begin(void)
{
	bool is_dry = world.dry_ms > world.net->now_ms && below(2) == 0;
	if (world.is_short || world.is_quiet || !(is_dry || chance(world.scenario->memory)))
		return;
	world.is_short = true;
	world.is_short_for_good = below(2) == 0;
	memory_arm(12);
}

static void memory_end(void)
{
	if (world.is_short)
		seen.short_of += failing_disarm();
	world.is_short = false;
}

static bool is_full(const struct sim_worker *worker)
{
	return worker->full_ms > world.net->now_ms;
}

static bool has_room(const struct sim_worker *worker)
{
	return !is_full(worker) || below(100) < 30;
}

static bool out_has_room(struct hub_out *out)
{
	return has_room(CONTAINER_OF(out, struct sim_worker, hub_out));
}

static bool places_has_room(struct places_out *out)
{
	return has_room(CONTAINER_OF(out, struct sim_worker, places_out));
}

/* ---- frames ---- */

/* By the link, if there is one. */
static void post_frame(struct sim_worker *worker, struct boot_id to, enum frame_type type,
                       uint16_t slot, struct slice body)
{
	struct node *node = worker->shell->node;
	uint32_t number = (uint32_t)((to.word[0] - 0x5741) / 7919);
	const struct net_end *end = &node->ends[number];
	if (end->link != 0 && end->member != NULL && boot_id_equals(end->member->boot, to))
		net_send(node, number, type, slot, body);
}

static struct sim_worker *worker_under(struct slots_out *out)
{
	return CONTAINER_OF(out, struct sim_worker, slots_out);
}

/* What slots say and is not heard they say again. */
static void slots_send_frame(struct slots_out *out, const struct boot_id *to, enum frame_type type,
                             uint16_t slot, struct blob *body)
{
	struct sim_worker *worker = worker_under(out);
	const struct roster_node *node = roster_find(&worker->roster, *to);
	if (node == NULL || !node->is_linked || !has_room(worker) || chance(world.scenario->loss))
		return;
	failing_pause();
	for (int times = chance(world.scenario->twice) ? 2 : 1; times > 0; times--)
		post_frame(worker, *to, type, slot, blob_view(body));
	failing_resume();
}

static void cluster_send(struct hub_cluster *cluster, uint32_t number, const struct far_mail *mail)
{
	struct sim_worker *worker = CONTAINER_OF(cluster, struct sim_worker, cluster);
	struct roster_node *node = &worker->roster.nodes[number];
	if (!node->is_linked || node->is_broken)
		return;
	if (mail->kind == FAR_RECORDS && chance(world.scenario->left_out))
		return;
	struct buf body = {0};
	relay_write(&worker->shell->codec, &body, mail);
	if (body.is_broken || !has_room(worker)) {
		node->is_broken = worker->has_broken = true;
		seen.broken++;
	} else {
		failing_pause();
		post_frame(worker, node->boot, relay_frame_type((enum far_kind)mail->kind),
		           mail->slot, buf_view(&body));
		failing_resume();
	}
	buf_free(&body);
}

static void out_post(struct hub_out *out, uint32_t to, const struct hub_mail *mail)
{
	struct sim_worker *from = CONTAINER_OF(out, struct sim_worker, hub_out);
	CHECK(to != from->number && mail->from == from->number);
	failing_pause();
	buf_append(&from->shell->workers[to].letters[from->number], mail, sizeof(*mail));
	failing_resume();
}

/* ---- between slots and keeper ---- */

static void keeper_role(struct slots_out *out, uint16_t slot, const struct slots_role *role)
{
	static const char *const places[] = {"nowhere", "here", "there"};
	struct sim_worker *worker = worker_under(out);
	SAY(worker, "slot %u: home %s%s, stream %s", slot, places[role->place],
	    role->is_replica ? ", a replica" : "", term_text(&role->stream));
	uint32_t stream = role->place == SLOTS_HERE ? stream_of(slot, &role->stream) : 0;
	if (role->place == SLOTS_HERE && !world.streams[stream].is_opened) {
		world.streams[stream].is_opened = true;
		world.hooks->opens(worker, slot, stream);
	}
	worker->keeper.out.role(&worker->keeper.out, slot, role);
}

static void witness_applies(struct sim_worker *worker, uint16_t slot, uint64_t lsn,
                            const struct blob *blob, uint64_t cookie)
{
	const struct slot_term *stream =
		&kept_of(worker, slot)->wanted.stream; /* none: it is left */
	struct unpack in = {.rest = blob_view(blob)};
	struct hub_entry entry;
	CHECK(relay_read_entry(&worker->shell->codec, slot, &in, &entry) == RELAY_DONE);
	CHECK(unpack_is_over(&in));
	SAY(worker, "slot %u: applies %llu%s, stream %s: %.*s %llx-%llu", slot,
	    (unsigned long long)lsn, cookie != 0 ? ", its own" : "", term_text(stream),
	    entry.record == NULL ? 5 : 8,
	    entry.record != NULL          ? record_payload(entry.record).at
	    : entry.kind == ENTRY_CHANNEL ? "A GAP"
	                                  : "CLOSE",
	    (unsigned long long)(entry.record == NULL ? entry.epoch : entry.record->epoch),
	    (unsigned long long)(entry.record == NULL ? entry.seq : entry.record->seq));
	const struct slot_term *of_log = &slot_of(worker, slot)->replica->stream;
	CHECK(stream->counter == 0 || slot_term_equals(stream, of_log));
	if (stream->counter != 0 && entry.kind == ENTRY_RECORD)
		world.hooks->applied(worker, entry.record, stream_of(slot, stream));
	if (stream->counter != 0 && entry.kind == ENTRY_CHANNEL)
		world.hooks->gap(entry.name,
		                 (struct cursor){.epoch = entry.epoch, .seq = entry.seq},
		                 stream_of(slot, stream));
	relay_entry_free(&entry);
}

static void keeper_apply(struct slots_out *out, uint16_t slot, uint64_t lsn, struct blob *entry,
                         uint64_t cookie)
{
	struct sim_worker *worker = worker_under(out);
	struct kept *kept = kept_of(worker, slot);
	/* A hub that proposes is not called meanwhile, but for what it proposes. */
	CHECK(!worker->is_in_propose || cookie == worker->keeper.proposing);
	failing_pause();
	witness_applies(worker, slot, lsn, entry, cookie);
	seen.applied++;
	seen.commits += cookie > kept->revoked;
	seen.adopted += cookie != 0 && cookie <= kept->revoked;
	failing_resume();
	uint64_t waited = worker->keeper.counters.waited;
	if (world.is_short)
		memory_arm(6);
	hub_enter(worker);
	worker->keeper.out.apply(&worker->keeper.out, slot, lsn, entry, cookie);
	if (world.is_short)
		memory_arm(12);
	seen.waited += worker->keeper.counters.waited - waited;
}

static void keeper_refused(struct slots_out *out, uint16_t slot, struct blob *entry,
                           uint64_t cookie)
{
	struct sim_worker *worker = worker_under(out);
	SAY(worker, "slot %u: refuses what was proposed", slot);
	CHECK(!worker->is_in_propose);
	seen.refused++;
	hub_enter(worker);
	worker->keeper.out.refused(&worker->keeper.out, slot, entry, cookie);
}

static struct blob *keeper_save(struct slots_out *out, uint16_t slot, enum slots_saved what,
                                uint64_t *at, bool *failed)
{
	struct sim_worker *worker = worker_under(out);
	const struct kept *kept = kept_of(worker, slot);
	hub_enter(worker);
	bool waits = *at == 0 && kept->first != NULL;
	struct blob *part = worker->keeper.out.save(&worker->keeper.out, slot, what, at, failed);
	CHECK(!waits || *failed);
	if (*failed)
		CHECK(part == NULL);
	if (part != NULL)
		SAY(worker, "slot %u: saves %s, %u bytes", slot,
		    what == SLOTS_FORKED ? "a fork" : "its state", (unsigned)part->len);
	seen.parts += part != NULL && *at > 1;
	seen.saved += part != NULL && what == SLOTS_STATE;
	seen.forked += part != NULL && what == SLOTS_FORKED;
	return part;
}

static bool keeper_restore(struct slots_out *out, uint16_t slot, struct slice part)
{
	struct sim_worker *worker = worker_under(out);
	hub_enter(worker);
	bool is_done = worker->keeper.out.restore(&worker->keeper.out, slot, part);
	SAY(worker, "slot %u: restores %u bytes%s", slot, (unsigned)part.len,
	    is_done ? "" : ": no memory");
	CHECK(is_done || world.scenario->memory + world.scenario->dry + world.scenario->full > 0);
	seen.restored += is_done;
	return is_done;
}

static void keeper_clear(struct slots_out *out, uint16_t slot)
{
	struct sim_worker *worker = worker_under(out);
	SAY(worker, "slot %u: is cleared", slot);
	seen.cleared++;
	hub_enter(worker);
	worker->keeper.out.clear(&worker->keeper.out, slot);
	CHECK(kept_of(worker, slot)->first == NULL);
}

static bool keeper_merge(struct slots_out *out, uint16_t slot, struct slice part)
{
	struct sim_worker *worker = worker_under(out);
	hub_enter(worker);
	uint64_t merged = hub_counters(worker->hub)->merged;
	bool is_done = worker->keeper.out.merge(&worker->keeper.out, slot, part);
	merged = hub_counters(worker->hub)->merged - merged;
	SAY(worker, "slot %u: merges %u bytes: %u new%s", slot, (unsigned)part.len,
	    (unsigned)merged, is_done ? "" : ", not all");
	seen.merged += merged;
	return is_done;
}

static enum hub_proposed cluster_propose(struct hub_cluster *cluster, uint32_t slot,
                                         const struct hub_entry *entry)
{
	struct sim_worker *worker = CONTAINER_OF(cluster, struct sim_worker, cluster);
	CHECK(kept_of(worker, slot)->told.home == HOME_HERE);
	worker->is_in_propose = true;
	enum hub_proposed how = keeper_propose(&worker->keeper, slot, entry);
	worker->is_in_propose = false;
	seen.at_once += how == HUB_COMMITTED;
	return how;
}

/* ---- the keeper agrees with its slots, and with its hub ---- */

/* Proposals of this node that the slots have still, and those that its hub waits for. */
static void count_proposals(const struct sim_worker *worker, uint32_t number, uint32_t *all,
                            uint32_t *good)
{
	const struct slot *slot = slot_of(worker, number);
	uint64_t revoked = worker->keeper.kept[number / world.scenario->workers].revoked;
	const struct replica *replica = slot->replica;
	*all = *good = 0;
	uint64_t lsn = replica == NULL ? 1 : replica->commit + 1;
	for (; replica != NULL && lsn <= slot_log_last(&replica->log); lsn++) {
		uint64_t cookie = slot_log_at(&replica->log, lsn)->cookie;
		*all += cookie != 0;
		*good += cookie > revoked;
	}
	for (uint32_t i = 0; slot->takeover != NULL && i < slot->takeover->waiting_count; i++) {
		*all += 1;
		*good += slot->takeover->waiting[i].cookie > revoked;
	}
}

static void keeper_check_slot(struct sim_worker *worker, uint32_t number)
{
	const struct kept *kept = kept_of(worker, number);
	const struct hub_slot *hub = far_slot(worker->hub, number);
	struct slots_role role;
	uint32_t all, good;
	CHECK(kept->number == number);
	slots_role(worker->slots, (uint16_t)number, &role);
	CHECK(role.place == kept->wanted.place && role.is_replica == kept->wanted.is_replica);
	CHECK(slot_term_equals(&role.stream, &kept->wanted.stream));
	CHECK(kept->told.home == hub->home && kept->told.is_replica == hub->is_replica);
	CHECK(kept->told.stream == hub->stream && kept->told.node == hub->node);
	bool is_home = kept->told.home == HOME_HERE;
	count_proposals(worker, number, &all, &good);
	CHECK(kept->pending == all);
	CHECK(hub->proposed - hub->committed == good);
	CHECK(is_home || good == 0);
	/* Nobody is home whose slots say otherwise, or with what waits; but else it is. */
	CHECK(!is_home || (role.place == SLOTS_HERE && kept->first == NULL));
	CHECK(is_home || role.place != SLOTS_HERE || kept->first != NULL || kept->pending > 0);
	CHECK(kept->first == NULL || list_is_linked(&kept->late));
	CHECK(kept->told.home != HOME_ELSEWHERE || role.place == SLOTS_THERE);
	CHECK(kept->told.is_replica == role.is_replica);
	const struct replica *replica = slot_of(worker, number)->replica;
	CHECK(replica == NULL || !replica->is_whole || hub->restoring.channel == NULL);
	seen.delayed_home += role.place == SLOTS_HERE && !is_home;
	if (kept->told.home == HOME_ELSEWHERE)
		CHECK(boot_id_equals(worker->roster.nodes[kept->told.node].boot, role.home));
	/* One name for a stream, on all nodes, and no other one's. */
	bool is_named = kept->first == NULL;
	CHECK(!is_named || (kept->told.stream == 0) == (role.stream.counter == 0));
	for (uint32_t i = 0; is_named && i < world.net->count; i++) {
		if (!world.net->nodes[i].is_up || &world.shells[i] == worker->shell)
			continue;
		const struct kept *other = kept_of(worker_at(i, number), number);
		if (other->first != NULL)
			continue;
		bool is_same = slot_term_equals(&other->wanted.stream, &role.stream);
		CHECK((other->told.stream == kept->told.stream) == is_same);
	}
	worker->was_looked[number] &= is_home;
	bool is_ready = is_home && !hub->has_renewing && hub->committed == 0 && good == 0;
	if (is_ready && !worker->was_looked[number]) {
		struct stream *stream = &world.streams[stream_of(number, &role.stream)];
		const struct slot_term *term = &slot_of(worker, number)->entry.term;
		worker->was_looked[number] = true;
		if (!slot_term_is_above(term, &stream->highest))
			return; /* it was cut off, and does not know yet that there is another one
			         */
		stream->highest = *term;
		world.hooks->begins_home(worker, number, (uint32_t)(stream - world.streams));
	}
}

static void keeper_check(struct sim_worker *worker)
{
	uint32_t homes = 0;
	for (uint32_t i = worker->number; i < SLOTS_SIM; i += world.scenario->workers) {
		keeper_check_slot(worker, i);
		homes += kept_of(worker, i)->told.home == HOME_HERE;
	}
	CHECK(worker->keeper.homes == homes);
}

/* ---- what the relay does ---- */

static void mend_links(struct sim_worker *worker)
{
	worker->has_broken = false;
	worker->mended_ms = world.net->now_ms;
	for (uint32_t i = 0; i < worker->roster.end; i++) {
		struct roster_node *node = &worker->roster.nodes[i];
		if (!node->is_broken)
			continue;
		node->is_broken = false;
		hub_node_down(worker->hub, i);
		hub_node_up(worker->hub, i);
	}
}

static void take_hub_frame(struct sim_worker *worker, struct roster_node *node,
                           const struct mesh_mail *mail, enum far_kind kind)
{
	struct far_mail far;
	enum relay_answer answer =
		relay_read(&worker->shell->codec, kind, mail->slot, blob_view(mail->body), &far);
	CHECK(answer != RELAY_BAD);
	if (answer == RELAY_DONE) {
		hub_far_receive(worker->hub, mail->seat.index, &far);
		relay_mail_free(&far);
	} else {
		node->is_broken = worker->has_broken = true;
	}
}

static void take_frame(struct sim_worker *worker, const struct mesh_mail *mail)
{
	struct roster_node *node = roster_at(&worker->roster, mail->seat);
	enum far_kind kind;
	if (node == NULL || !node->is_linked)
		return;
	if (relay_kind((enum frame_type)mail->type, &kind)) {
		take_hub_frame(worker, node, mail, kind);
		return;
	}
	struct frame frame = {.type = (enum frame_type)mail->type,
	                      .slot = mail->slot,
	                      .body = blob_view(mail->body)};
	struct boot_id boot = node->boot;
	CHECK(slots_take(worker->slots, &boot, &frame, world.net->now_ms));
}

static void take_node(struct sim_worker *worker, const struct mesh_mail *mail)
{
	enum roster_link link = roster_take(&worker->roster, mail);
	if (link == ROSTER_UP)
		hub_node_up(worker->hub, mail->seat.index);
	else if (link == ROSTER_DOWN)
		hub_node_down(worker->hub, mail->seat.index);
	const struct roster_node *node = roster_at(&worker->roster, mail->seat);
	bool is_gone = node == NULL || (!node->is_linked && (node->state == SLOTS_MEMBER_DEAD ||
	                                                     node->state == SLOTS_MEMBER_GONE));
	if (mail->kind == MESH_MAIL_NODE && is_gone)
		hub_node_gone(worker->hub, mail->seat.index,
		              node == NULL || node->state == SLOTS_MEMBER_GONE);
	struct slots_member members[MEMBERS_MAX];
	size_t count = roster_members(&worker->roster, members);
	slots_members(worker->slots, members, count, world.net->now_ms);
	worker->has_news = true;
}

static void worker_tick(struct sim_worker *worker)
{
	worker->has_news = false;
	worker->ticked_ms = world.net->now_ms;
	memory_begin();
	slots_tick(worker->slots, world.net->now_ms);
	memory_end();
	places_tick(&worker->places, world.net->now_ms);
}

static void take_mesh_letters(struct sim_worker *worker)
{
	uint32_t left = is_full(worker) ? below(LETTERS_TURN) : UINT32_MAX;
	for (; worker->first != NULL && left > 0; left--) {
		struct mesh_letter *letter = worker->first;
		worker->first = letter->next;
		if (letter->mail.kind == MESH_MAIL_FRAME) {
			memory_begin();
			take_frame(worker, &letter->mail);
			memory_end();
		} else {
			take_node(worker, &letter->mail);
		}
		mesh_mail_discard(&letter->mail);
		free(letter);
		/* Before anything else is told of that node, who sits where it sat is known. */
		if (worker->has_news)
			worker_tick(worker);
	}
	if (worker->first == NULL)
		worker->last = &worker->first;
}

/* True: there were some. */
static bool take_hub_letters(struct sim_worker *worker)
{
	bool has_taken = false;
	for (uint32_t from = 0; from < world.scenario->workers; from++) {
		struct buf *letters = &worker->letters[from];
		while (letters->len > 0 && !is_full(worker) && below(100) < 90) {
			struct hub_mail mail;
			memcpy(&mail, letters->at, sizeof(mail));
			buf_use(letters, sizeof(mail));
			memory_begin();
			hub_receive(worker->hub, &mail);
			memory_end();
			has_taken = true;
		}
	}
	return has_taken;
}

static bool is_late(const struct sim_worker *worker)
{
	return world.net->now_ms - worker->ticked_ms >= SLOTS_TICK_MS;
}

static void worker_turn(struct sim_worker *worker)
{
	bool has_more;
	if (worker->stalled_ms > world.net->now_ms)
		return;
	hub_enter(worker);
	take_mesh_letters(worker);
	(void)take_hub_letters(worker);
	struct timer *timer;
	memory_begin();
	while ((timer = timer_take_due(&worker->wheel, world.net->now_ms)) != NULL)
		hub_timer(worker->hub, timer);
	memory_end();
	/* In the relay much comes in one turn; here each frame has its own. */
	if (worker->has_broken && world.net->now_ms - worker->mended_ms >= 10)
		mend_links(worker);
	if (is_late(worker))
		worker_tick(worker);
	/* What waits here is not to be noted down again, so this may fail. */
	memory_begin();
	keeper_turn(&worker->keeper);
	memory_end();
	for (int i = 0; i < 3; i++) {
		memory_begin();
		has_more = hub_far_turn(worker->hub, 1 + below(50), 1 + below(4));
		memory_end();
		if (!has_more)
			break;
	}
	do {
		memory_begin();
		has_more = hub_walk(worker->hub, 1 + below(20));
		memory_end();
	} while (has_more);
	memory_begin();
	slots_flush(worker->slots);
	memory_end();
	keeper_check(worker);
}

/* ---- what the mesh thread does ---- */

static struct chair *chair_for(struct shell *shell, const struct member *member)
{
	struct chair *free = NULL;
	for (struct chair *chair = shell->chairs; chair < shell->chairs + CHAIRS; chair++) {
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

static void letter_post(struct sim_worker *worker, const struct mesh_mail *mail)
{
	struct mesh_letter *letter = malloc(sizeof(*letter));
	CHECK(letter != NULL);
	*letter = (struct mesh_letter){.mail = *mail};
	if (mail->body != NULL)
		blob_take(mail->body);
	*worker->last = letter;
	worker->last = &letter->next;
}

static void letter_post_all(struct shell *shell, const struct mesh_mail *mail)
{
	for (uint32_t w = 0; w < world.scenario->workers; w++)
		letter_post(&shell->workers[w], mail);
}

static void look_at_member(struct shell *shell, const struct member *member)
{
	struct chair *chair = chair_for(shell, member);
	enum member_state state = member_state_of(member);
	if (chair == NULL ||
	    (chair->state == state && chair->is_linked == member->is_linked && !member->is_gone))
		return;
	chair->state = state;
	chair->is_linked = member->is_linked;
	chair->is_taken = !member->is_gone;
	struct mesh_mail mail = {.kind = MESH_MAIL_NODE,
	                         .state = (uint8_t)state,
	                         .is_linked = member->is_linked && !member->is_gone,
	                         .is_gone = member->is_gone,
	                         .seat = {(uint16_t)(chair - shell->chairs), chair->use},
	                         .boot = member->boot};
	letter_post_all(shell, &mail);
}

static void look_at_members(struct shell *shell)
{
	const struct membership *membership = shell->node->membership;
	struct mesh_mail self = {.kind = MESH_MAIL_SELF,
	                         .state = (uint8_t)membership_state(membership),
	                         .boot = net_boot(shell->node, shell->node->boots)};
	if (shell->chairs[CHAIRS - 1].state != membership_state(membership)) /* its own */
		letter_post_all(shell, &self);
	shell->chairs[CHAIRS - 1] =
		(struct chair){.is_taken = true, .state = membership_state(membership)};
	const struct member *member;
	for (size_t i = 0; (member = membership_member(membership, i)) != NULL; i++)
		look_at_member(shell, member);
}

static bool has_handed_over(const struct shell *shell)
{
	for (uint32_t w = 0; w < world.scenario->workers; w++) {
		const struct sim_worker *worker = &shell->workers[w];
		if (worker->roster.self.state != SLOTS_MEMBER_DRAINING ||
		    (!slots_is_settled(worker->slots) && roster_has_heir(&worker->roster)))
			return false;
	}
	return true;
}

static void on_ran(struct net *net, struct node *node)
{
	struct shell *shell = &world.shells[node->number];
	(void)net;
	if (!node->is_up || shell->workers[0].slots == NULL)
		return;
	if (shell->is_changed) {
		shell->is_changed = false;
		look_at_members(shell);
	}
	bool is_tick = false;
	for (uint32_t w = 0; w < world.scenario->workers; w++) {
		struct sim_worker *worker = &shell->workers[w];
		is_tick |= is_late(worker);
		bool has_letters = false;
		for (uint32_t from = 0; from < world.scenario->workers; from++)
			has_letters |= worker->letters[from].len > 0;
		if (worker->first != NULL || has_letters || is_late(worker))
			worker_turn(worker);
	}
	if (!is_tick)
		return;
	look_at_members(shell);
	world.hooks->ticks(shell);
}

static void on_changed(struct net *net, struct node *node, const struct member *member)
{
	(void)net;
	(void)member;
	world.shells[node->number].is_changed = true;
}

static void on_frame(struct net *net, struct node *node, uint32_t from, const struct frame *frame)
{
	struct shell *shell = &world.shells[node->number];
	(void)net;
	shell->is_changed = false;
	look_at_members(shell);
	const struct chair *chair = chair_for(shell, node->ends[from].member);
	if (chair == NULL)
		return;
	struct mesh_mail mail = {.kind = MESH_MAIL_FRAME,
	                         .type = (uint8_t)frame->type,
	                         .slot = frame->slot,
	                         .seat = {(uint16_t)(chair - shell->chairs), chair->use},
	                         .body = blob_copy(frame->body)};
	CHECK(mail.body != NULL);
	letter_post(worker_at(node->number, frame->slot), &mail);
	blob_drop(mail.body);
}

/* ---- processes ---- */

static void worker_begin(struct shell *shell, uint32_t number)
{
	struct sim_worker *worker = &shell->workers[number];
	const struct scenario *scenario = world.scenario;
	uint64_t now_ms = world.net->now_ms;
	*worker = (struct sim_worker){.shell = shell,
	                              .number = number,
	                              .cluster = {cluster_send, cluster_propose},
	                              .hub_out = *world.hub_out,
	                              .places_out = {.has_room = places_has_room},
	                              .ticked_ms = now_ms};
	worker->last = &worker->first;
	worker->slots_out = (struct slots_out){.send = slots_send_frame,
	                                       .role = keeper_role,
	                                       .apply = keeper_apply,
	                                       .refused = keeper_refused,
	                                       .save = keeper_save,
	                                       .restore = keeper_restore,
	                                       .clear = keeper_clear,
	                                       .merge = keeper_merge};
	struct boot_id boot = net_boot(shell->node, shell->node->boots);
	roster_init(&worker->roster, boot);
	struct keeper_options keeper = {.roster = &worker->roster,
	                                .codec = &shell->codec,
	                                .places = &worker->places,
	                                .worker = number,
	                                .workers = scenario->workers};
	struct places_options places = {.out = &worker->places_out,
	                                .hash_key = shell->codec.hash_key,
	                                .worker = number,
	                                .workers = scenario->workers,
	                                .now_ms = now_ms};
	struct slots_options slots = {.out = &worker->slots_out,
	                              .boot = boot,
	                              .count = SLOTS_SIM,
	                              .worker = number,
	                              .workers = scenario->workers,
	                              .replicas = scenario->replicas,
	                              .partition = scenario->partition,
	                              .now_ms = now_ms,
	                              .seed = random_next(&world.net->random)};
	timer_wheel_init(&worker->wheel, now_ms);
	struct hub_options hub = {.worker = number,
	                          .workers = scenario->workers,
	                          .out = &worker->hub_out,
	                          .rules = world.rules,
	                          .wheel = &worker->wheel,
	                          .timer_kind = 1,
	                          .walk_timer_kind = 2,
	                          .presence_timer_kind = 3,
	                          .hash_key = shell->codec.hash_key,
	                          .seed = random_next(&world.net->random),
	                          .channels_per_session = 100,
	                          .outbound_bytes_max = UINT64_MAX,
	                          .lingering_max = number == 0 ? 1 : 0,
	                          .cluster = &worker->cluster};
	bool is_made =
		keeper_init(&worker->keeper, &keeper) && places_init(&worker->places, &places);
	CHECK(is_made);
	worker->slots = worker->keeper.slots = slots_create(&slots);
	worker->hub = worker->keeper.hub = hub_create(&hub);
	CHECK(worker->slots != NULL && worker->hub != NULL);
	hub_enter(worker);
}

static void start(uint32_t number)
{
	struct shell *shell = &world.shells[number];
	struct net *net = world.net;
	memset(shell, 0, sizeof(*shell));
	shell->node = &net->nodes[number];
	shell->codec = (struct relay_codec){
		.hash_key = {{random_next(&net->random), random_next(&net->random)}},
		.mark = random_next(&net->random)};
	shell->chairs[CHAIRS - 1] = (struct chair){.is_taken = true, .state = MEMBER_STATE_COUNT};
	node_start(net, number);
	for (uint32_t w = 0; w < world.scenario->workers; w++)
		worker_begin(shell, w);
}

static void worker_end(struct sim_worker *worker)
{
	const struct slots_counters *counters = slots_counters(worker->slots);
	seen.unclean += counters->unclean;
	seen.handovers += counters->handovers;
	seen.changes += counters->changes;
	seen.takeovers += counters->takeovers;
	while (worker->first != NULL) {
		struct mesh_letter *letter = worker->first;
		worker->first = letter->next;
		mesh_mail_discard(&letter->mail);
		free(letter);
	}
	for (uint32_t from = 0; from < world.scenario->workers; from++) {
		struct buf *letters = &worker->letters[from];
		for (; letters->len > 0; buf_use(letters, sizeof(struct hub_mail))) {
			struct hub_mail mail;
			memcpy(&mail, letters->at, sizeof(mail));
			hub_mail_discard(&mail);
		}
		buf_free(letters);
	}
	/* As the worker thread goes: its edge with the hub, then the relay. */
	hub_destroy(worker->hub);
	slots_destroy(worker->slots);
	keeper_free(&worker->keeper);
	places_free(&worker->places);
	worker->slots = NULL;
	worker->hub = NULL;
}

static void stop(uint32_t number)
{
	struct shell *shell = &world.shells[number];
	world.hooks->node_ends(number);
	for (uint32_t w = 0; w < world.scenario->workers; w++)
		worker_end(&shell->workers[w]);
	node_kill(world.net, number);
}

/* ---- what is to be seen ---- */

static uint32_t home_of(uint32_t slot) /* NODES: none, or several */
{
	uint32_t home = NODES;
	for (uint32_t i = 0; i < world.net->count; i++) {
		if (!world.net->nodes[i].is_up ||
		    kept_of(worker_at(i, slot), slot)->told.home != HOME_HERE)
			continue;
		if (home != NODES)
			return NODES;
		home = i;
	}
	return home;
}

/* All that run know one another, and the same home of each slot. */
static bool agrees(void)
{
	uint32_t up = 0;
	for (uint32_t i = 0; i < world.net->count; i++)
		up += world.net->nodes[i].is_up;
	for (uint32_t slot = 0; slot < SLOTS_SIM; slot++) {
		uint32_t home = home_of(slot);
		if (home == NODES)
			return false;
		const struct slot_entry *entry = &slot_of(worker_at(home, slot), slot)->entry;
		for (uint32_t i = 0; i < world.net->count; i++) {
			const struct node *node = &world.net->nodes[i];
			if (!node->is_up)
				continue;
			if (membership_count(node->membership) < up - 1 ||
			    !slot_term_equals(&slot_of(worker_at(i, slot), slot)->entry.term,
			                      &entry->term))
				return false;
		}
	}
	return true;
}

static bool is_calm(void)
{
	for (uint32_t i = 0; i < world.net->count; i++) {
		for (uint32_t w = 0; w < world.scenario->workers && world.net->nodes[i].is_up;
		     w++) {
			if (!slots_is_settled(world.shells[i].workers[w].slots))
				return false;
		}
	}
	return agrees();
}

/* False: it did not come true in that time. */
static bool until(bool (*holds)(void), uint64_t ms_max)
{
	uint64_t since = world.net->now_ms;
	while (!holds()) {
		if (world.net->now_ms - since >= ms_max)
			return false;
		net_run(world.net, 20);
	}
	return true;
}
