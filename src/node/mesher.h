/*
 * mesher.h - the mesh thread: this node's links to all others, and its letters with the workers.
 *
 * What it knows of other nodes goes to the workers as letters (mesh/mail.h); frames for others come
 * from them, and frames of others go to the worker of their slot. Names to be dialled are looked up
 * beside it (net/dial).
 *
 * Threads:   mesher_start(), mesher_join() and the letters are the control thread's; all else
 *            happens on the thread they start. Figures are read by any.
 * Ownership: the mesher makes and frees its loop, links and trunks on its own thread. Options
 *            are the node's and outlive it.
 * Limits:    TRUNKS_MAX connections; MESHER_LEAVE_MS to say goodbye.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include "base/role.h"
#include "edge/edge.h"
#include "net/listen.h"
#include "node/cluster.h"
#include "node/letter.h"
#include "node/trunk.h"

struct mesher_options {
	uint32_t number, workers; /* in the post office; theirs are 0 .. workers - 1 */
	uint32_t control, scribe;
	struct post_office *office;
	const struct edge_node *node;
	struct edge_common *common; /* clients are counted there, and lines lost */
	struct listen_address listen;
	struct boot_id boot;
	uint8_t replicas;    /* mesh.replicas */
	bool keeps_silent;   /* mesh.partition is pause: whoever may live counts */
	const char *address; /* as others dial it */
	char *const *seeds;  /* HOST:PORT; good until is_up is posted */
	size_t seed_count;
	struct mesher_settings settings; /* to begin with; mesher_start() takes a reference */
	uint64_t seed;
	sem_t *is_up; /* posted once: it listens, or `error` says why not */
};

struct mesher;

struct mesher *mesher_create(void); /* NULL: no memory */
void mesher_destroy(struct mesher *mesher);
const struct mesh_figures *mesher_figures(const struct mesher *mesher);

MUST_CHECK int mesher_start(struct mesher *mesher,
                            const struct mesher_options *options) CONTROL_ONLY;
int mesher_error(const struct mesher *mesher) CONTROL_ONLY; /* after is_up: 0 or -errno */

/* Letters: there is room for each (mailbox_has_room()). */
/* It takes a reference. */
void mesher_adopt(struct mesher *mesher, const struct mesher_settings *settings) CONTROL_ONLY;
void mesher_drain(struct mesher *mesher) CONTROL_ONLY; /* says that this node is going down */
void mesher_leave(struct mesher *mesher) CONTROL_ONLY; /* says that it has gone, and ends */
MUST_CHECK bool mesher_join(struct mesher *mesher, uint64_t wait_ms) CONTROL_ONLY;
