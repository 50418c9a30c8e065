/*
 * relay.h - one worker's part in the mesh: its slots, the letters between its hub and the hubs of
 * other nodes, and what the server API asks of them.
 *
 * Frames come from the mesh thread and go there (mesh/mail.h): those about slots are between the
 * slots of two nodes, the others between two hubs (node/relay_wire). What the logs of slots make of
 * the hub's channels is the keeper's affair.
 *
 * It hands the places of users to their homes, too (node/places).
 *
 * A frame that there is no memory for is left out, and the link to its node then counts as one that
 * broke and stands again, so that both sides say anew what they need. Records for a node that much
 * waits for already are left out, too: it finds that it lacks them, and asks.
 *
 * Threads:   the worker's own. It knows no socket; frames are posted in the post office.
 * Ownership: the relay owns its slots. The hub is the edge's: made after the relay with
 *            relay_cluster(), handed over by relay_begin(), and destroyed before it.
 * Limits:    one letter a frame; those of slots.h and far.h.
 */
#pragma once

#include "base/role.h"
#include "edge/survey.h"
#include "hub/hub.h"
#include "mesh/mail.h"
#include "mesh/slots.h"
#include "net/mailbox.h"
#include "node/keeper.h"

struct relay_options {
	struct post_office *office;
	uint32_t number, workers; /* this worker, of how many */
	uint32_t mesher;          /* the mesh thread's number in the post office */
	struct boot_id boot;
	struct hash_key hash_key; /* as of the hub */
	uint32_t replicas;
	enum slots_partition partition;
	uint64_t now_ms;
	uint64_t seed;
};

struct relay_counters {
	uint64_t malformed; /* frames that could not be read */
	uint64_t left_out;  /* records for a node that much waits for */
	uint64_t lost; /* frames that the mesh thread left out, or that there was no memory for */
};

struct relay_stats {
	struct slots_counters slots;
	struct keeper_counters keeper;
	struct hub_counters hub;
	struct relay_counters relay;
	struct places_counters places;
	struct slots_lag lag; /* of a second ago, at most */
	uint32_t homes;
};

struct relay;

struct relay *relay_create(const struct relay_options *options); /* NULL: no memory */
void relay_destroy(struct relay *relay);

struct hub_cluster *relay_cluster(struct relay *relay);
void relay_begin(struct relay *relay, struct edge *edge) WORKER_ONLY;

/* As struct edge_up has them. */
uint32_t relay_ask_nodes(struct relay *relay, const struct survey_question *question,
                         uint16_t *nodes);
void relay_answer_node(struct relay *relay, uint8_t kind, const struct note *note);

/* There is a limit by user; and as struct edge_up has them. */
void relay_use_places(struct relay *relay);
MUST_CHECK bool relay_ask_place(struct relay *relay, uint32_t worker,
                                const struct registry_mail *mail, uint32_t limit);
void relay_give_place(struct relay *relay, struct slab_handle place);

/* A letter of the mesh thread. As with hub_receive() there is room for what follows from it. */
void relay_take(struct relay *relay, const struct mesh_mail *mail, uint64_t now_ms) WORKER_ONLY;

/* Each SLOTS_TICK_MS, if there is time. */
void relay_tick(struct relay *relay, uint64_t now_ms) WORKER_ONLY;
/* At the end of a turn, before the hub's walk, and behind it. True: there is more to do. */
bool relay_turn(struct relay *relay, uint64_t now_ms) WORKER_ONLY;
bool relay_flush(struct relay *relay) WORKER_ONLY;

void relay_count(const struct relay *relay, struct relay_stats *stats) WORKER_ONLY;

/* While this node drains: nobody else needs what is here any more, or there is nobody else. */
bool relay_has_handed_over(const struct relay *relay) WORKER_ONLY;
