/*
 * cluster_world.h - nodes of a cluster in one thread: their hubs, the links between them, and a
 * stand-in for the slots' logs.
 *
 * A node has a hub for each of its workers; letters between those go in order. A link between two
 * nodes carries frames in order, as bytes by relay_wire, after a while; it breaks, and what was
 * under way is gone; and where a scenario is lossy, records are left out of it. The log of a slot
 * has one home at a time. What that proposes is committed a while later, in order, and applied at
 * the other replicas when each comes to it. A home that is deposed may not know it for a while; of
 * what it has proposed the next home finds some, or nothing. A log may be lost whole, and another
 * stream begins; or replicas have it still: each gives its fork to the home of the new stream,
 * entry by entry, until that has committed it, and again where it is not sure. And a node may go
 * astray: it is home of a stream of its own for a while, and others believe it.
 *
 * A partition that lasts is a split: what is sent across it does not arrive, and nobody knows,
 * until nodes find each other dead. Then each log goes on at its home's side; at the other one,
 * some seconds later, a node begins a stream of its own. When they meet, one of the two is that of
 * all.
 *
 * Threads:   one.
 * Ownership: the world owns all of it.
 * Limits:    NODES_MAX nodes of WORKERS_SIM_MAX workers.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "../failing.h"
#include "base/random.h"
#include "hub/far_state.h"
#include "node/relay_wire.h"

#define NODES_MAX 5
#define WORKERS_SIM_MAX 3
#define CHANNELS 7
#define UNIX_MS_AHEAD 1000000
#define OPENED_TURNS 150

struct scenario {
	const char *name;
	uint32_t nodes, workers, replicas;
	uint32_t link_percent;    /* chances in a hundred steps, of each of these: a link breaks */
	uint32_t move_percent;    /* a home goes to another node */
	uint32_t crash_percent;   /* a node ends, and comes again */
	uint32_t cut_percent;     /* some nodes do not reach the others, for a moment */
	uint32_t split_percent;   /* or for seconds; in four hundred steps */
	uint32_t unclean_percent; /* a slot's log is lost */
	uint32_t fork_percent;    /* of its replicas: one has it still */
	uint32_t stray_percent;   /* a node is home of a stream that nobody else has */
	uint32_t lossy_percent;   /* a letter of records is left out */
	uint32_t full_percent;    /* the post says that it has no room */
	uint32_t again_percent;   /* a frame with a question comes twice */
	uint32_t memory_percent;  /* of calls of a hub: an allocation in it fails */
	uint32_t pace_ms;         /* a turn takes so long at most; 0: 5 */
	uint32_t clients;         /* 0: all */
	uint32_t corrupt_percent; /* a home forgets who is present, or invents somebody */
	uint32_t idle_percent;    /* none of them does anything */
	uint32_t lingering_max;   /* channels that nobody follows; 0: as many as there are */
};

struct bytes {
	size_t len;
	char *at;
};

/* ---- nodes and links ---- */

struct frame_under_way {
	struct frame_under_way *next;
	uint64_t due_ms;
	uint16_t slot;
	uint8_t kind;
	struct bytes body;
};

struct link {
	bool is_up;
	uint64_t up_ms; /* when it will be again */
	struct frame_under_way *first, **last;
};

struct sim_worker {
	struct hub_out out;
	struct hub_cluster cluster;
	struct hub *hub;
	struct timer_wheel wheel;
	uint32_t node, number;
	struct buf letters[WORKERS_SIM_MAX]; /* to here, by who sent them */
};

struct sim_node {
	bool is_up;
	uint64_t up_ms;
	struct relay_codec codec;
	struct sim_worker workers[WORKERS_SIM_MAX];
};

/* ---- logs of slots ---- */

struct proposed {
	struct proposed *next;
	uint64_t due_ms;
	struct bytes entry;
};

/* What the first home of a stream had from the one before. */
struct known_order {
	uint64_t epoch, seq; /* up to there */
	bool is_kept;        /* as long as the run lasts */
};

struct slot_log {
	uint16_t slot;
	uint64_t stream, term;
	int home;             /* -1: none */
	uint64_t elected_ms;  /* without one: when there will be */
	size_t elected_count; /* what it began with */
	bool in_set[NODES_MAX];
	struct bytes *entries;
	size_t count, room;
	struct proposed *first, **last; /* by the home, not committed yet */
	size_t applied[NODES_MAX];
	bool is_restored[NODES_MAX];
	uint64_t told_term[NODES_MAX], told_stream[NODES_MAX], tell_ms[NODES_MAX];
	uint64_t doubt_ms;                  /* when a node last did not know what is so */
	uint64_t opened_term, opened_turns; /* of a home that began a stream with what it had */
	struct fork *forks[NODES_MAX];
	/* What the home before proposed in vain, as long as it may not know. */
	int deposed; /* -1: nobody */
	struct bytes *vain;
	size_t vain_count;
	struct known_order known[PASTS_MAX + 1];
	size_t known_count;
	bool has_state; /* it began with something: whoever is home needs that */
	/* Nodes that a split keeps from it, and the home that they have: -1: none. */
	uint32_t away;
	int other;
	uint64_t other_stream, other_ms; /* without one: when there will be */
	uint64_t other_told[NODES_MAX], other_tell_ms[NODES_MAX];
};

/* What a replica has of a stream that has ended. */
struct fork {
	uint64_t number;   /* no other one has it */
	uint64_t leave_ms; /* when it saves that */
	bool is_late;      /* and what is not sure is forgotten */
	uint64_t stream;   /* to which it is given */
	uint64_t term;     /* whose home has taken the next one; 0: nobody has */
	bool is_saved;
	struct bytes *unsure; /* entries that it has and nobody may have committed */
	size_t unsure_count;
	struct bytes *saved;
	size_t saved_count, next;
};

struct world;
struct world_hooks {
	void (*committed)(const struct record *record, uint64_t stream);
	void (*closed)(struct slice channel);
	/* A number of its order that is nobody's, as some of a fork is lost. */
	void (*gap)(struct slice channel, struct cursor place, uint64_t stream);
	void (*node_ends)(uint32_t node); /* its clients are gone */
	/* By who begins a stream: it was in the one before, perhaps not committed. */
	void (*redeems)(const struct record *record, uint64_t stream);
	/* A replica has kept what it had of a stream, and then saved it. */
	void (*parted)(const struct slot_log *log, uint32_t node);
	void (*saved)(const struct slot_log *log, uint32_t node);
	/* A home publishes it again, and its old place is known from now on. */
	void (*taken_in)(const struct record *record, struct cursor place, uint64_t stream);
	/* Who began it has had time to say again what it had. */
	void (*redeemed)(const struct slot_log *log);
	/* All of that record's fork has been taken in by one stream. */
	void (*merged)(const struct record *record, uint64_t stream);
};

struct world {
	const struct scenario *scenario;
	const struct world_hooks *hooks;
	const struct rules *rules;
	uint64_t now_ms;
	struct random random;
	bool is_quiet, is_short;
	/* Nodes that do not reach the others; 0: all reach all. */
	uint32_t side;
	uint32_t winners;          /* nodes whose logs stay when the sides meet; 0: any */
	bool has_parted;           /* each has found those of the other side dead */
	uint64_t heal_ms, find_ms; /* when that ends, and when the first ones find out */
	bool finds_dead[NODES_MAX][NODES_MAX]; /* the first one the second one */
	struct sim_node nodes[NODES_MAX];
	struct link links[NODES_MAX][NODES_MAX];
	struct slot_log logs[CHANNELS];
	uint32_t log_count;
	uint64_t next_stream;
	struct {
		uint64_t frames, lost, moves, crashes, unclean, adopted, revoked, restored, breaks,
			cuts, forks, merged, opened, strays, short_of, splits, partings, others,
			misled;
	} seen;
};
extern struct world world;

static inline uint32_t below(uint32_t bound)
{
	return random_below(&world.random, bound);
}

static inline bool chance(uint32_t percent)
{
	return !world.is_quiet && below(100) < percent;
}

static inline struct bytes bytes_of(struct buf *buf)
{
	CHECK(!buf->is_broken);
	struct bytes bytes = {.len = buf->len, .at = malloc(buf->len + 1)};
	CHECK(bytes.at != NULL);
	if (buf->len > 0)
		memcpy(bytes.at, buf->at, buf->len);
	buf_free(buf);
	return bytes;
}

static inline struct slice bytes_view(const struct bytes *bytes)
{
	return slice_of(bytes->at, bytes->len);
}

static inline struct slot_log *log_of(uint16_t slot)
{
	for (uint32_t i = 0; i < world.log_count; i++) {
		if (world.logs[i].slot == slot)
			return &world.logs[i];
	}
	CHECK(false);
	return NULL;
}

static inline struct hub *hub_of(uint32_t node, uint16_t slot)
{
	return world.nodes[node].workers[slot % world.scenario->workers].hub;
}

static inline void hub_enter(struct hub *hub)
{
	hub_set_time(hub, world.now_ms, (world.now_ms + UNIX_MS_AHEAD) * 1000);
}

/* Around a call of a hub: one allocation of it may fail, or all from one on. */
static inline void memory_begin(void)
{
	if (world.scenario->memory_percent == 0 || !chance(world.scenario->memory_percent))
		return;
	world.is_short = true;
	failing_arm(1 + below(6), below(2) == 0 ? FAILING_ONE : FAILING_ALL_FROM);
}

static inline void memory_end(void)
{
	if (world.is_short)
		world.seen.short_of += failing_disarm();
	world.is_short = false;
}

/* ---- links ---- */

static inline bool is_of(uint32_t nodes, uint32_t node)
{
	return nodes >> node & 1;
}

static inline bool are_apart(uint32_t a, uint32_t b)
{
	return world.side != 0 && is_of(world.side, a) != is_of(world.side, b);
}

static inline void link_drop(struct link *link)
{
	while (link->first != NULL) {
		struct frame_under_way *frame = link->first;
		link->first = frame->next;
		free(frame->body.at);
		free(frame);
	}
	link->last = &link->first;
}

static inline bool is_question(uint8_t kind)
{
	return kind == FAR_PUBLISH || kind == FAR_FOLLOW || kind == FAR_HISTORY;
}

static inline void link_post(struct link *link, const struct far_mail *mail, struct buf body)
{
	struct frame_under_way *frame = calloc(1, sizeof(*frame));
	CHECK(frame != NULL);
	*frame = (struct frame_under_way){.due_ms = world.now_ms + below(8),
	                                  .slot = mail->slot,
	                                  .kind = mail->kind,
	                                  .body = bytes_of(&body)};
	*link->last = frame;
	link->last = &frame->next;
}

static inline void cluster_post(const struct sim_worker *worker, struct link *link,
                                const struct far_mail *mail)
{
	world.seen.frames++;
	if (mail->kind == FAR_RECORDS && chance(world.scenario->lossy_percent)) {
		world.seen.lost++;
		return;
	}
	int times = is_question(mail->kind) && chance(world.scenario->again_percent) ? 2 : 1;
	while (times-- > 0) {
		struct buf body = {0};
		relay_write(&world.nodes[worker->node].codec, &body, mail);
		link_post(link, mail, body);
	}
}

static void cluster_send(struct hub_cluster *cluster, uint32_t to, const struct far_mail *mail)
{
	struct sim_worker *worker = CONTAINER_OF(cluster, struct sim_worker, cluster);
	struct link *link = &world.links[worker->node][to];
	CHECK(to != worker->node && to < world.scenario->nodes);
	if (!link->is_up)
		return;
	failing_pause();
	cluster_post(worker, link, mail);
	failing_resume();
}

static inline void link_set(uint32_t a, uint32_t b, bool is_up)
{
	struct link *link = &world.links[a][b];
	if (link->is_up == is_up)
		return;
	link->is_up = is_up;
	link_drop(link);
	/* `a` sends by it, and so hears of it. */
	for (uint32_t w = 0; w < world.scenario->workers && world.nodes[a].is_up; w++) {
		struct hub *hub = world.nodes[a].workers[w].hub;
		hub_enter(hub);
		if (is_up)
			hub_node_up(hub, b);
		else
			hub_node_down(hub, b);
	}
}

static inline void links_set(uint32_t a, uint32_t b, bool is_up)
{
	link_set(a, b, is_up);
	link_set(b, a, is_up);
	if (!is_up)
		world.links[a][b].up_ms = world.links[b][a].up_ms = world.now_ms + below(1500);
}

/* Behind a record that was left out the tail is in doubt at once. */
static inline void check_no_hole(const struct hub *hub, uint32_t from, const struct far_mail *mail)
{
	const struct hub_slot *slot = far_slot(hub, mail->slot);
	if (mail->kind != FAR_RECORDS || slot->home != HOME_ELSEWHERE || slot->node != from)
		return;
	const struct record *last = mail->records[mail->record_count - 1];
	struct slice name = record_channel(last);
	const struct channel *channel = hub_find(hub, name, hub_hash(hub, name));
	if (channel == NULL || !channel->far->is_interested)
		return;
	CHECK(slot->needs_sync || channel->far->is_asking || channel->far->is_behind ||
	      (channel->epoch == last->epoch && last->seq < log_next(&channel->log)));
}

static inline void frame_arrives(uint32_t from, uint32_t to)
{
	struct link *link = &world.links[from][to];
	struct frame_under_way *frame = link->first;
	if (frame == NULL || frame->due_ms > world.now_ms)
		return;
	link->first = frame->next;
	if (link->first == NULL)
		link->last = &link->first;
	struct hub *hub = hub_of(to, frame->slot);
	struct far_mail mail;
	CHECK(relay_read(&world.nodes[to].codec, frame->kind, frame->slot, bytes_view(&frame->body),
	                 &mail) == RELAY_DONE);
	hub_enter(hub);
	memory_begin();
	hub_far_receive(hub, from, &mail);
	memory_end();
	check_no_hole(hub, from, &mail);
	relay_mail_free(&mail);
	free(frame->body.at);
	free(frame);
}

/* ---- logs ---- */

static inline void bytes_keep(struct bytes **all, size_t *count, struct bytes bytes)
{
	*all = realloc(*all, (*count + 1) * sizeof(**all));
	CHECK(*all != NULL);
	(*all)[(*count)++] = bytes;
}

static inline void log_keep(struct slot_log *log, struct bytes entry)
{
	if (log->count == log->room) {
		log->room = log->room == 0 ? 64 : log->room * 2;
		log->entries = realloc(log->entries, log->room * sizeof(*log->entries));
		CHECK(log->entries != NULL);
	}
	log->entries[log->count++] = entry;
	struct unpack in = {.rest = bytes_view(&entry)};
	struct hub_entry read;
	CHECK(relay_read_entry(&world.nodes[0].codec, log->slot, &in, &read) == RELAY_DONE);
	if (read.kind == ENTRY_RECORD)
		world.hooks->committed(read.record, log->stream);
	else if (read.kind == ENTRY_CHANNEL)
		world.hooks->gap(read.name, (struct cursor){.epoch = read.epoch, .seq = read.seq},
		                 log->stream);
	else
		world.hooks->closed(read.name);
	relay_entry_free(&read);
}

static inline enum hub_proposed log_propose(const struct sim_worker *worker, uint32_t slot,
                                            const struct hub_entry *entry)
{
	struct slot_log *log = log_of((uint16_t)slot);
	struct buf body = {0};
	relay_write_entry(&world.nodes[worker->node].codec, &body, entry);
	bool is_home = log->home == (int)worker->node && log->told_term[worker->node] == log->term;
	if (log->away != 0 && log->other == (int)worker->node) { /* it has nobody to wait for */
		buf_free(&body);
		return HUB_COMMITTED;
	}
	if (!is_home) { /* it was deposed: this goes into its own log alone */
		bool is_refused = chance(20);
		if (!is_refused && log->deposed == (int)worker->node)
			bytes_keep(&log->vain, &log->vain_count, bytes_of(&body));
		else
			buf_free(&body);
		return is_refused ? HUB_UNPROPOSED : HUB_PROPOSED;
	}
	if (world.scenario->replicas == 1) {
		log_keep(log, bytes_of(&body));
		log->applied[worker->node] = log->count;
		return HUB_COMMITTED;
	}
	if (chance(2)) {
		buf_free(&body);
		return HUB_UNPROPOSED;
	}
	struct proposed *proposed = calloc(1, sizeof(*proposed));
	CHECK(proposed != NULL);
	proposed->due_ms = world.now_ms + below(world.is_quiet ? 3 : 30);
	proposed->entry = bytes_of(&body);
	*log->last = proposed;
	log->last = &proposed->next;
	return HUB_PROPOSED;
}

static enum hub_proposed cluster_propose(struct hub_cluster *cluster, uint32_t slot,
                                         const struct hub_entry *entry)
{
	failing_pause();
	enum hub_proposed how =
		log_propose(CONTAINER_OF(cluster, struct sim_worker, cluster), slot, entry);
	failing_resume();
	return how;
}

static inline struct bytes log_take_proposed(struct slot_log *log)
{
	struct proposed *proposed = log->first;
	struct bytes entry = proposed->entry;
	log->first = proposed->next;
	if (log->first == NULL)
		log->last = &log->first;
	free(proposed);
	return entry;
}

static inline void log_commit_due(struct slot_log *log)
{
	while (log->first != NULL && log->first->due_ms <= world.now_ms) {
		log_keep(log, log_take_proposed(log));
		log->applied[log->home]++;
		CHECK(log->applied[log->home] == log->count);
		struct hub *hub = hub_of((uint32_t)log->home, log->slot);
		hub_enter(hub);
		memory_begin();
		hub_commit(hub, log->slot);
		memory_end();
	}
}

static inline void log_apply_next(struct slot_log *log, uint32_t node)
{
	struct bytes *entry = &log->entries[log->applied[node]];
	struct unpack in = {.rest = bytes_view(entry)};
	struct hub_entry read;
	struct hub *hub = hub_of(node, log->slot);
	CHECK(relay_read_entry(&world.nodes[node].codec, log->slot, &in, &read) == RELAY_DONE);
	hub_enter(hub);
	memory_begin();
	log->applied[node] += hub_apply(hub, &read);
	memory_end();
	relay_entry_free(&read);
}

static inline void log_tell(struct slot_log *log, uint32_t node)
{
	struct hub_role role = {.home = log->home < 0            ? HOME_NOWHERE
	                                : log->home == (int)node ? HOME_HERE
	                                                         : HOME_ELSEWHERE,
	                        .is_replica = log->in_set[node] || log->forks[node] != NULL,
	                        .node = (uint16_t)(log->home < 0 ? 0 : log->home),
	                        .stream = log->stream};
	struct hub *hub = hub_of(node, log->slot);
	hub_enter(hub);
	memory_begin();
	hub_set_role(hub, log->slot, &role);
	memory_end();
	log->told_term[node] = log->term;
	log->told_stream[node] = log->stream;
}

/* ---- forks ---- */

static inline struct bytes bytes_copy(const struct bytes *from)
{
	struct buf copy = {0};
	buf_slice(&copy, bytes_view(from));
	return bytes_of(&copy);
}

static inline void fork_end(struct slot_log *log, uint32_t node)
{
	struct fork *fork = log->forks[node];
	if (fork == NULL)
		return;
	log->forks[node] = NULL;
	for (size_t i = 0; i < fork->unsure_count; i++)
		free(fork->unsure[i].at);
	for (size_t i = 0; i < fork->saved_count; i++)
		free(fork->saved[i].at);
	free(fork->unsure);
	free(fork->saved);
	free(fork);
}

/* The stream ends, but for what this replica has: what it applied, and some of what comes behind
 * that, committed or only proposed. */
static inline void fork_begin(struct slot_log *log, uint32_t node, bool is_deposed)
{
	struct fork *fork = calloc(1, sizeof(*fork));
	CHECK(fork != NULL);
	fork->number = ++world.seen.forks;
	/* The one that may have something else than the others comes first; some come when nobody
	 * knows by the nodes' keys any more what the others have brought. */
	fork->is_late = !is_deposed && below(100) < 15;
	fork->leave_ms = world.now_ms + (is_deposed      ? 0
	                                 : fork->is_late ? RETRIES_MS + 1000
	                                                 : below(2000));
	for (size_t i = 0; is_deposed && i < log->vain_count; i++)
		bytes_keep(&fork->unsure, &fork->unsure_count, bytes_copy(&log->vain[i]));
	for (size_t i = log->applied[node]; !is_deposed && i < log->count; i++)
		bytes_keep(&fork->unsure, &fork->unsure_count, bytes_copy(&log->entries[i]));
	const struct proposed *proposed = is_deposed ? NULL : log->first;
	for (uint32_t i = below(8); i > 0 && proposed != NULL; i--, proposed = proposed->next)
		bytes_keep(&fork->unsure, &fork->unsure_count, bytes_copy(&proposed->entry));
	log->forks[node] = fork;
	world.hooks->parted(log, node);
}

static inline void fork_read(const struct slot_log *log, uint32_t node, const struct bytes *bytes,
                             struct hub_entry *entry)
{
	struct unpack in = {.rest = bytes_view(bytes)};
	CHECK(relay_read_entry(&world.nodes[node].codec, log->slot, &in, entry) == RELAY_DONE);
	CHECK(unpack_is_over(&in));
}

/* Had the first home of the present stream that order, up to there? NULL: it had not. */
static inline const struct known_order *fork_known(const struct slot_log *log,
                                                   const struct hub_entry *entry)
{
	for (size_t i = 0; entry->record != NULL && i < log->known_count; i++) {
		const struct known_order *known = &log->known[i];
		if (known->epoch == entry->record->epoch && entry->record->seq <= known->seq)
			return known;
	}
	return NULL;
}

/* It leaves the stream: all that it has is applied. */
static inline void fork_leave(const struct slot_log *log, uint32_t node)
{
	struct fork *fork = log->forks[node];
	struct hub *hub = hub_of(node, log->slot);
	struct hub_role none = {.home = HOME_NOWHERE, .is_replica = true};
	hub_enter(hub);
	hub_set_role(hub, log->slot, &none);
	for (size_t i = 0; i < fork->unsure_count; i++) {
		struct hub_entry entry;
		fork_read(log, node, &fork->unsure[i], &entry);
		CHECK(hub_apply(hub, &entry));
		relay_entry_free(&entry);
	}
}

/* What it has and is not sure of it says again. */
static inline void fork_redeems(const struct slot_log *log, uint32_t node)
{
	const struct fork *fork = log->forks[node];
	for (size_t i = 0; i < fork->unsure_count; i++) {
		struct hub_entry entry;
		fork_read(log, node, &fork->unsure[i], &entry);
		if (entry.record != NULL && fork_known(log, &entry) == NULL)
			world.hooks->redeems(entry.record, log->stream);
		relay_entry_free(&entry);
	}
}

static inline void fork_save(struct slot_log *log, uint32_t node)
{
	struct fork *fork = log->forks[node];
	struct hub *hub = hub_of(node, log->slot);
	struct hub_save save;
	struct hub_entry entry;
	fork_leave(log, node);
	if (!hub_fork_begin(hub, log->slot, &save))
		return; /* what was committed waits for room */
	while (hub_save_next(hub, &save, &entry)) {
		struct buf body = {0};
		relay_write_entry(&world.nodes[node].codec, &body, &entry);
		bytes_keep(&fork->saved, &fork->saved_count, bytes_of(&body));
	}
	hub_save_end(&save);
	hub_clear(hub, log->slot);
	fork->is_saved = true;
	world.hooks->saved(log, node);
	log_tell(log, node);
}

static inline void fork_check(struct slot_log *log, uint32_t node)
{
	struct fork *fork = log->forks[node];
	for (size_t i = 0; i < fork->saved_count; i++) {
		struct hub_entry entry;
		fork_read(log, node, &fork->saved[i], &entry);
		bool is_late = fork->is_late && entry.is_unsure;
		if (entry.record != NULL && fork_known(log, &entry) == NULL && !is_late)
			world.hooks->merged(entry.record, log->stream);
		relay_entry_free(&entry);
	}
	fork_end(log, node);
}

/* It begins a stream that has lost nothing. */
static inline void log_open(struct slot_log *log, uint32_t node)
{
	struct hub *hub = hub_of(node, log->slot);
	fork_leave(log, node);
	struct list_node *at = list_first(&far_slot(hub, log->slot)->channels);
	for (; at != NULL; at = list_after(&far_slot(hub, log->slot)->channels, at)) {
		const struct channel *channel =
			CONTAINER_OF(at, struct channel_far, in_slot)->channel;
		const struct past *past = channel->far->pasts.first;
		/* Those that are left now, and marks of forks, need room. */
		bool is_full = channel->far->pasts.count >= PASTS_MAX / 2;
		bool is_kept = !is_full && channel->rule->history_ttl_ms >= 10000;
		for (; past != NULL; past = past->next)
			log->known[log->known_count++] =
				(struct known_order){past->epoch, past->seq, is_kept};
		if (channel->far->is_known)
			log->known[log->known_count++] = (struct known_order){
				channel->epoch, log_next(&channel->log) - 1, is_kept};
	}
	fork_redeems(log, node);
	fork_end(log, node);
	memset(log->is_restored, 0, sizeof(log->is_restored)); /* with nothing, if they were */
	log->is_restored[node] = log->has_state = true;
	world.seen.opened++;
}

/* To the home, as long as that does not change before it is committed. */
static inline void fork_give(struct slot_log *log, uint32_t node)
{
	struct fork *fork = log->forks[node];
	uint32_t home = (uint32_t)log->home;
	if (log->home < 0 || log->told_term[home] != log->term)
		return;
	if (fork->stream != log->stream) {
		fork->stream = log->stream;
		fork->next = 0;
	}
	if (fork->term == log->term && log->first == NULL) {
		fork->term = 0;
		fork->next += below(100) < 90; /* or it is given again */
	}
	if (fork->next >= fork->saved_count) {
		fork_check(log, node);
		return;
	}
	if (fork->term == log->term)
		return;
	fork->term = 0;
	struct hub *hub = hub_of(home, log->slot);
	struct hub_entry entry;
	fork_read(log, home, &fork->saved[fork->next], &entry);
	const struct known_order *known = fork_known(log, &entry);
	bool is_unsure = entry.is_unsure; /* there may be another one of that number */
	if (is_unsure && fork->is_late) {
		fork->next++;
		relay_entry_free(&entry);
		return;
	}
	struct cursor place = {0};
	if (entry.record != NULL)
		place = (struct cursor){.epoch = entry.record->epoch, .seq = entry.record->seq};
	hub_enter(hub);
	uint64_t before = hub_counters(hub)->merged;
	memory_begin();
	if (hub_merge(hub, log->slot, &entry))
		fork->term = log->term;
	memory_end();
	if (hub_counters(hub)->merged > before && !is_unsure)
		world.hooks->taken_in(entry.record, place, log->stream);
	CHECK(hub_counters(hub)->merged == before || known == NULL || !known->is_kept || is_unsure);
	world.seen.merged += hub_counters(hub)->merged - before;
	relay_entry_free(&entry);
}

static inline void fork_turn(struct slot_log *log, uint32_t node)
{
	struct fork *fork = log->forks[node];
	if (!fork->is_saved && fork->leave_ms <= world.now_ms)
		fork_save(log, node);
	else if (fork->is_saved)
		fork_give(log, node);
}

/* A node believes that it is home of a stream of its own, and some believe it. In the end the
 * others' stream is that of all. */
static inline void log_stray(struct slot_log *log)
{
	uint32_t node = below(world.scenario->nodes);
	if (log->home < 0 || log->home == (int)node || !world.nodes[node].is_up)
		return;
	struct hub_role role = {
		.home = HOME_HERE, .node = (uint16_t)node, .stream = ++world.next_stream};
	world.seen.strays++;
	uint64_t until_ms = world.now_ms + below(1500);
	for (uint32_t i = 0; i < world.scenario->nodes; i++) {
		bool is_told = i == node || (log->home != (int)i && below(2) == 0);
		if (!is_told || !world.nodes[i].is_up || log->told_term[i] != log->term)
			continue;
		role.home = i == node ? HOME_HERE : HOME_ELSEWHERE;
		role.is_replica = log->in_set[i] || log->forks[i] != NULL;
		struct hub *hub = hub_of(i, log->slot);
		hub_enter(hub);
		hub_set_role(hub, log->slot, &role);
		log->told_term[i] = 0;
		log->tell_ms[i] = until_ms + below(100);
	}
}

/* False: no memory. */
static inline bool hub_take(struct hub *hub, uint16_t slot, const struct hub_entry *entry)
{
	bool is_taken = false;
	for (int tries = 0; !is_taken && tries < 100; tries++) { /* where there is no room */
		memory_begin();
		is_taken = hub_restore(hub, slot, entry);
		memory_end();
		CHECK(is_taken ||
		      world.scenario->full_percent + world.scenario->memory_percent > 0);
		if (!is_taken && world.scenario->memory_percent > 0)
			return false;
	}
	return is_taken;
}

/* What a replica lacks is given to it as the home has it. */
static inline void log_restore(struct slot_log *log, uint32_t node)
{
	struct hub *from = hub_of((uint32_t)log->home, log->slot), *to = hub_of(node, log->slot);
	struct hub_save save;
	struct hub_entry entry;
	hub_enter(from);
	hub_enter(to);
	if (!hub_save_begin(from, log->slot, &save))
		return;
	hub_clear(to, log->slot);
	bool is_good = true;
	while (is_good && hub_save_next(from, &save, &entry)) {
		struct buf body = {0};
		relay_write_entry(&world.nodes[log->home].codec, &body, &entry);
		struct unpack in = {.rest = buf_view(&body)};
		struct hub_entry read;
		CHECK(relay_read_entry(&world.nodes[node].codec, log->slot, &in, &read) ==
		      RELAY_DONE);
		CHECK(unpack_is_over(&in));
		is_good = hub_take(to, log->slot, &read);
		relay_entry_free(&read);
		buf_free(&body);
	}
	hub_save_end(&save);
	if (!is_good || !hub_take(to, log->slot, NULL))
		return; /* it begins again */
	log->applied[node] = log->applied[log->home];
	log->is_restored[node] = true;
	world.seen.restored++;
}

static inline void vain_drop(struct slot_log *log)
{
	for (size_t i = 0; i < log->vain_count; i++)
		free(log->vain[i].at);
	free(log->vain);
	log->vain = NULL;
	log->vain_count = 0;
}

/* The present home is one no more. It may hear of that later. */
static inline void log_depose(struct slot_log *log, bool finds_some)
{
	vain_drop(log);
	log->deposed = log->home;
	while (log->first != NULL) {
		struct bytes entry = log_take_proposed(log);
		finds_some &= below(100) < 80;
		if (finds_some) {
			log_keep(log, entry);
			world.seen.adopted++;
		} else {
			bytes_keep(&log->vain, &log->vain_count, entry);
			world.seen.revoked++;
		}
	}
	log->home = -1;
	log->term++;
	log->elected_ms = world.now_ms + below(300);
	for (uint32_t node = 0; node < world.scenario->nodes; node++)
		log->tell_ms[node] = world.now_ms + below(400);
}

/* Nothing is left of it anywhere, but for forks. */
static inline void log_lose(struct slot_log *log)
{
	for (uint32_t node = 0; node < world.scenario->nodes; node++) {
		bool is_told = log->told_term[node] == log->term;
		bool is_deposed = !is_told && log->deposed == (int)node && log->home >= 0;
		bool has_it = world.nodes[node].is_up && log->in_set[node] &&
		              log->is_restored[node] && (is_told || is_deposed);
		if (has_it && log->forks[node] == NULL && chance(world.scenario->fork_percent))
			fork_begin(log, node, is_deposed);
	}
	log_depose(log, false);
	for (size_t i = 0; i < log->count; i++)
		free(log->entries[i].at);
	log->count = 0;
	log->stream = ++world.next_stream;
	log->known_count = 0;
	log->has_state = false;
	memset(log->applied, 0, sizeof(log->applied));
	memset(log->is_restored, 0, sizeof(log->is_restored));
	world.seen.unclean++;
}

static inline void log_choose_set(struct slot_log *log, int home)
{
	uint32_t wanted = world.scenario->replicas - 1;
	memset(log->in_set, 0, sizeof(log->in_set));
	log->in_set[home] = true;
	for (uint32_t i = 0; i < world.scenario->nodes && wanted > 0; i++) {
		uint32_t node = ((uint32_t)home + 1 + i) % world.scenario->nodes;
		if (node != (uint32_t)home && world.nodes[node].is_up && !is_of(log->away, node)) {
			log->in_set[node] = true;
			wanted--;
		}
	}
}

/* One that has all there is becomes home. */
static inline void log_elect(struct slot_log *log)
{
	int found = -1;
	for (uint32_t i = 0; i < world.scenario->nodes; i++) {
		uint32_t node = (i + below(world.scenario->nodes)) % world.scenario->nodes;
		bool is_holder = log->in_set[node] && log->is_restored[node];
		if (is_of(log->away, node))
			continue;
		if (world.nodes[node].is_up && (is_holder || (log->count == 0 && !log->has_state)))
			found = (int)node;
	}
	bool has_holder = false;
	for (uint32_t node = 0; node < world.scenario->nodes; node++)
		has_holder |=
			log->in_set[node] && log->is_restored[node] && world.nodes[node].is_up;
	if (found < 0 && !has_holder) {
		log_lose(log);
		return;
	}
	if (found < 0 || (!has_holder && log->count > 0))
		return;
	uint32_t node = (uint32_t)found;
	bool is_opened = log->forks[node] != NULL && !log->forks[node]->is_saved;
	if (is_opened) {
		log_open(log, node);
	} else if (!log->is_restored[node]) {
		struct hub *hub = hub_of(node, log->slot);
		struct hub_role none = {.home = HOME_NOWHERE, .stream = log->stream};
		hub_enter(hub);
		hub_set_role(hub, log->slot, &none);
		hub_clear(hub, log->slot);
		log->is_restored[node] = true;
	}
	/* It knows that it was deposed, if it was, before it is home again. */
	if (log->told_term[node] != log->term)
		log_tell(log, node);
	for (int tries = 0; log->applied[node] < log->count && tries < 10000; tries++)
		log_apply_next(log, node);
	CHECK(log->applied[node] == log->count);
	log->home = found;
	log->term++;
	if (is_opened) {
		log->opened_term = log->term;
		log->opened_turns = 0;
	}
	log->elected_count = log->count;
	for (uint32_t other = 0; other < world.scenario->nodes; other++)
		log->tell_ms[other] =
			world.now_ms + below(other == (uint32_t)log->deposed ? 1000 : 300);
	bool was_in[NODES_MAX];
	memcpy(was_in, log->in_set, sizeof(was_in));
	log_choose_set(log, found);
	for (uint32_t other = 0; other < world.scenario->nodes; other++)
		log->is_restored[other] &= was_in[other] && log->in_set[other];
	log->is_restored[node] = true;
	log_tell(log, node);
	world.seen.moves++;
}

static inline void log_turn(struct slot_log *log)
{
	for (uint32_t node = 0; node < world.scenario->nodes; node++) {
		if (world.nodes[node].is_up && log->told_term[node] != log->term)
			log->doubt_ms = world.now_ms;
	}
	if (log->home >= 0)
		log_commit_due(log);
	else if (log->elected_ms <= world.now_ms)
		log_elect(log);
	if (log->opened_term == log->term && log->opened_turns++ == OPENED_TURNS)
		world.hooks->redeemed(log);
	for (uint32_t node = 0; node < world.scenario->nodes; node++) {
		if (!world.nodes[node].is_up || is_of(log->away, node))
			continue;
		if (log->told_term[node] != log->term && log->tell_ms[node] <= world.now_ms)
			log_tell(log, node);
		if (log->forks[node] != NULL)
			fork_turn(log, node);
		if (log->forks[node] != NULL && !log->forks[node]->is_saved)
			continue;
		bool is_told = log->told_term[node] == log->term && log->home >= 0;
		if (!log->in_set[node] || log->home == (int)node || !is_told)
			continue;
		/* Best where something that is committed is not in the home's channel yet. */
		bool is_awkward =
			far_slot(hub_of((uint32_t)log->home, log->slot), log->slot)->committed > 0;
		uint32_t percent = world.scenario->full_percent > 0 ? 2 : 10;
		if (!log->is_restored[node] && (is_awkward || below(100) < percent))
			log_restore(log, node);
		while (log->is_restored[node] && log->applied[node] < log->count && below(100) < 50)
			log_apply_next(log, node);
	}
}

static inline void log_check_applied(void)
{
	for (uint32_t i = 0; i < world.log_count; i++) {
		struct slot_log *log = &world.logs[i];
		for (uint32_t node = 0; node < world.scenario->nodes; node++)
			CHECK(!log->in_set[node] || log->applied[node] == log->count);
	}
}

/* ---- nodes ---- */

static void out_post(struct hub_out *out, uint32_t to, const struct hub_mail *mail)
{
	struct sim_worker *from = CONTAINER_OF(out, struct sim_worker, out);
	CHECK(to != from->number && mail->from == from->number);
	failing_pause();
	buf_append(&world.nodes[from->node].workers[to].letters[from->number], mail, sizeof(*mail));
	failing_resume();
}

static bool out_has_room(struct hub_out *out)
{
	(void)out;
	return !chance(world.scenario->full_percent);
}

static inline void node_begin(uint32_t number, const struct hub_out *out)
{
	struct sim_node *node = &world.nodes[number];
	uint64_t a = random_next(&world.random), b = random_next(&world.random);
	node->codec =
		(struct relay_codec){.hash_key = {{a, b}}, .mark = random_next(&world.random)};
	node->is_up = true;
	for (uint32_t w = 0; w < world.scenario->workers; w++) {
		struct sim_worker *worker = &node->workers[w];
		*worker = (struct sim_worker){.out = *out,
		                              .cluster = {cluster_send, cluster_propose},
		                              .node = number,
		                              .number = w};
		timer_wheel_init(&worker->wheel, world.now_ms);
		struct hub_options options = {.worker = w,
		                              .workers = world.scenario->workers,
		                              .out = &worker->out,
		                              .rules = world.rules,
		                              .wheel = &worker->wheel,
		                              .timer_kind = 1,
		                              .walk_timer_kind = 2,
		                              .presence_timer_kind = 3,
		                              .hash_key = node->codec.hash_key,
		                              .seed = random_next(&world.random),
		                              .channels_per_session = 100,
		                              .outbound_bytes_max = UINT64_MAX,
		                              .lingering_max = world.scenario->lingering_max,
		                              .cluster = &worker->cluster};
		worker->hub = hub_create(&options);
		CHECK(worker->hub != NULL);
		hub_enter(worker->hub);
	}
}

/* The others hear that it has died. */
static inline void node_is_gone(uint32_t number)
{
	for (uint32_t other = 0; other < world.scenario->nodes; other++) {
		const struct sim_node *node = &world.nodes[other];
		for (uint32_t w = 0; w < world.scenario->workers && node->is_up; w++) {
			hub_enter(node->workers[w].hub);
			hub_node_gone(node->workers[w].hub, number, true);
		}
	}
}

static inline void node_end(uint32_t number)
{
	struct sim_node *node = &world.nodes[number];
	world.hooks->node_ends(number);
	node->is_up = false;
	for (uint32_t other = 0; other < world.scenario->nodes; other++) {
		if (other != number)
			links_set(number, other, false);
	}
	node_is_gone(number);
	for (uint32_t w = 0; w < world.scenario->workers; w++) {
		struct sim_worker *worker = &node->workers[w];
		for (uint32_t from = 0; from < world.scenario->workers; from++) {
			struct buf *letters = &worker->letters[from];
			for (; letters->len > 0; buf_use(letters, sizeof(struct hub_mail))) {
				struct hub_mail mail;
				memcpy(&mail, letters->at, sizeof(mail));
				hub_mail_discard(&mail);
			}
			buf_free(letters);
		}
		hub_destroy(worker->hub);
		worker->hub = NULL;
	}
	for (uint32_t i = 0; i < world.log_count; i++) {
		struct slot_log *log = &world.logs[i];
		if (log->home == (int)number)
			log_depose(log, true);
		log->is_restored[number] = false;
		fork_end(log, number);
		log->told_term[number] = log->told_stream[number] = 0;
		log->other_told[number] = 0;
		log->applied[number] = 0;
	}
}

/* ---- turns ---- */

static inline void letters_arrive(struct sim_worker *worker)
{
	hub_enter(worker->hub);
	for (uint32_t from = 0; from < world.scenario->workers; from++) {
		struct buf *letters = &worker->letters[from];
		while (letters->len > 0 && below(100) < 70) {
			struct hub_mail mail;
			memcpy(&mail, letters->at, sizeof(mail));
			buf_use(letters, sizeof(mail));
			memory_begin();
			hub_receive(worker->hub, &mail);
			memory_end();
		}
	}
}

static inline void worker_turn(struct sim_worker *worker)
{
	letters_arrive(worker);
	struct timer *timer;
	memory_begin();
	while ((timer = timer_take_due(&worker->wheel, world.now_ms)) != NULL)
		hub_timer(worker->hub, timer);
	memory_end();
	bool has_more;
	do { /* what is left waits for another turn, and much happens meanwhile */
		memory_begin();
		has_more = hub_far_turn(worker->hub, 1 + below(50), 1 + below(4));
		memory_end();
	} while (has_more && below(4) > 0);
	do {
		memory_begin();
		has_more = hub_walk(worker->hub, 1 + below(20));
		memory_end();
	} while (has_more);
}

static inline void links_turn(void)
{
	for (uint32_t a = 0; a < world.scenario->nodes; a++) {
		for (uint32_t b = 0; b < world.scenario->nodes; b++) {
			if (a == b || !world.nodes[a].is_up || !world.nodes[b].is_up ||
			    are_apart(a, b))
				continue;
			if (a < b && !world.links[a][b].is_up &&
			    world.links[a][b].up_ms <= world.now_ms)
				links_set(a, b, true);
			for (uint32_t i = below(6); i > 0; i--)
				frame_arrives(a, b);
		}
	}
}

/* A home that was deposed, and does not know it, has something else than the present one. */
static inline bool has_two_tails(const struct slot_log *log)
{
	return log->home >= 0 && log->deposed >= 0 && log->vain_count > 0 &&
	       log->told_term[log->deposed] != log->term && log->is_restored[log->deposed] &&
	       log->count > log->elected_count;
}

static inline void cut(void)
{
	uint32_t side = 1 + below((1u << world.scenario->nodes) - 2);
	world.seen.cuts++;
	for (uint32_t a = 0; a < world.scenario->nodes; a++) {
		for (uint32_t b = 0; b < a; b++) {
			if ((side >> a & 1) != (side >> b & 1))
				links_set(a, b, false);
		}
	}
}

/* ---- partitions that last ---- */

/* The home's side goes on with it, or the one of any node that is there. */
static inline void log_part(struct slot_log *log)
{
	uint32_t here = log->home >= 0 ? (uint32_t)log->home : below(world.scenario->nodes);
	log->away = is_of(world.side, here) ? ~world.side : world.side;
	log->other = -1;
	log->other_ms = world.now_ms + below(world.is_quiet ? 1000 : 6000);
	for (uint32_t node = 0; node < world.scenario->nodes; node++) {
		if (!is_of(log->away, node))
			continue;
		log->in_set[node] = log->is_restored[node] = false;
		log->told_term[node] = log->other_told[node] = 0;
		log->applied[node] = 0;
	}
}

/* Those who are away have a home of their own. */
static inline void other_begin(struct slot_log *log)
{
	uint32_t node = below(world.scenario->nodes);
	if (!is_of(log->away, node) || !world.nodes[node].is_up)
		return; /* the next turn finds one, if there is one */
	world.seen.others++;
	log->other = (int)node;
	log->other_stream = ++world.next_stream;
	for (uint32_t i = 0; i < world.scenario->nodes; i++)
		log->other_tell_ms[i] = world.now_ms + (i == node ? 0 : below(300));
}

static inline void other_tell(struct slot_log *log, uint32_t node)
{
	bool is_home = log->other == (int)node;
	struct hub_role role = {.home = is_home ? HOME_HERE : HOME_ELSEWHERE,
	                        .is_replica = is_home,
	                        .node = (uint16_t)log->other,
	                        .stream = log->other_stream};
	struct hub *hub = hub_of(node, log->slot);
	hub_enter(hub);
	hub_set_role(hub, log->slot, &role);
	log->other_told[node] = log->other_stream;
}

static inline void other_turn(struct slot_log *log)
{
	if (log->other >= 0 && !world.nodes[log->other].is_up) {
		log->other = -1;
		log->other_ms = world.now_ms + below(1000);
	}
	if (log->other < 0 && log->other_ms <= world.now_ms)
		other_begin(log);
	for (uint32_t node = 0; log->other >= 0 && node < world.scenario->nodes; node++) {
		if (is_of(log->away, node) && world.nodes[node].is_up &&
		    log->other_told[node] != log->other_stream &&
		    log->other_tell_ms[node] <= world.now_ms)
			other_tell(log, node);
	}
}

/* The log of those who were away is that of all, and nothing is left of this one. */
static inline void log_give_way(struct slot_log *log)
{
	uint32_t home = (uint32_t)log->other;
	log_lose(log);
	log->stream = log->other_stream;
	log->home = log->other;
	log->elected_count = 0;
	log_choose_set(log, log->home);
	log->is_restored[home] = true;
	log->told_term[home] = log->term;
	log->told_stream[home] = log->stream;
}

/* Some of those who have the log hear of the other one's home first, and believe it until they are
 * told that this one goes on. */
static inline void log_is_doubted(struct slot_log *log)
{
	struct hub_role role = {
		.home = HOME_ELSEWHERE, .node = (uint16_t)log->other, .stream = log->other_stream};
	log->term++;
	for (uint32_t node = 0; node < world.scenario->nodes; node++) {
		bool is_home = log->home == (int)node;
		if (is_home && log->told_term[node] == log->term - 1)
			log->told_term[node] = log->term;
		if (is_home || is_of(log->away, node) || !world.nodes[node].is_up || below(2) == 0)
			continue;
		world.seen.misled++;
		role.is_replica = log->in_set[node];
		hub_enter(hub_of(node, log->slot));
		hub_set_role(hub_of(node, log->slot), log->slot, &role);
		log->told_stream[node] = log->other_stream;
	}
}

static inline void log_meet(struct slot_log *log)
{
	bool has_other = log->other >= 0 && world.nodes[log->other].is_up &&
	                 log->other_told[log->other] == log->other_stream;
	bool gives_way = world.winners == 0 ? below(2) == 0 : (log->away & world.winners) != 0;
	if (has_other && !gives_way && log->home >= 0)
		log_is_doubted(log);
	log->away = 0;
	if (has_other && gives_way)
		log_give_way(log);
	for (uint32_t node = 0; node < world.scenario->nodes; node++)
		log->tell_ms[node] = world.now_ms + below(1500);
}

static inline void split_begin(uint32_t side, uint64_t ms)
{
	world.seen.splits++;
	world.side = side;
	world.has_parted = false;
	world.heal_ms = world.now_ms + ms;
	world.find_ms = world.now_ms + 2000;
}

static inline void split_end(void)
{
	uint32_t side = world.side;
	for (uint32_t a = 0; a < world.scenario->nodes; a++) {
		for (uint32_t b = 0; b < a; b++) {
			if (is_of(side, a) != is_of(side, b) &&
			    (world.finds_dead[a][b] || world.finds_dead[b][a]))
				links_set(a, b, false);
			world.finds_dead[a][b] = world.finds_dead[b][a] = false;
		}
	}
	world.side = 0;
	for (uint32_t i = 0; world.has_parted && i < world.log_count; i++)
		log_meet(&world.logs[i]);
}

/* By its silence; it may live. */
static inline void find_dead(uint32_t a, uint32_t b)
{
	world.finds_dead[a][b] = true;
	link_set(a, b, false);
	world.links[a][b].up_ms = world.links[b][a].up_ms = world.now_ms;
	for (uint32_t w = 0; w < world.scenario->workers && world.nodes[a].is_up; w++) {
		hub_enter(world.nodes[a].workers[w].hub);
		hub_node_gone(world.nodes[a].workers[w].hub, b, false);
	}
}

static inline void split_turn(void)
{
	bool is_over = true;
	if (world.side == 0)
		return;
	bool is_asked_for = world.is_quiet && world.scenario->split_percent == 0; /* by a case */
	if ((world.is_quiet && !is_asked_for) || world.heal_ms <= world.now_ms) {
		split_end();
		return;
	}
	for (uint32_t a = 0; a < world.scenario->nodes; a++) {
		for (uint32_t b = 0; b < world.scenario->nodes; b++) {
			if (!are_apart(a, b) || world.finds_dead[a][b])
				continue;
			if (world.find_ms <= world.now_ms && below(20) == 0)
				find_dead(a, b);
			else
				is_over = false;
		}
	}
	if (is_over && !world.has_parted) {
		world.has_parted = true;
		world.seen.partings++;
		for (uint32_t i = 0; i < world.log_count; i++)
			log_part(&world.logs[i]);
	}
	for (uint32_t i = 0; world.has_parted && i < world.log_count; i++)
		other_turn(&world.logs[i]);
}

static inline void faults_turn(void)
{
	const struct scenario *scenario = world.scenario;
	if (scenario->cut_percent > 0 && chance(scenario->cut_percent))
		cut();
	if (world.side == 0 && scenario->split_percent > 0 && chance(scenario->split_percent) &&
	    below(4) == 0)
		split_begin(1 + below((1u << scenario->nodes) - 2),
		            below(4) == 0 ? below(2500) : 2500 + below(15000));
	split_turn();
	uint32_t a = below(scenario->nodes), b = below(scenario->nodes);
	if (a != b && chance(scenario->link_percent)) {
		world.seen.breaks++;
		links_set(a, b, false);
	}
	struct slot_log *log = &world.logs[below(world.log_count)];
	if (log->home >= 0 && chance(scenario->move_percent))
		log_depose(log, true);
	if (log->home >= 0 && chance(scenario->unclean_percent))
		log_lose(log);
	for (uint32_t i = 0; scenario->fork_percent > 0 && i < world.log_count; i++) {
		if (has_two_tails(&world.logs[i]) && chance(20 * scenario->unclean_percent))
			log_lose(&world.logs[i]);
	}
	if (chance(scenario->stray_percent))
		log_stray(log);
}
