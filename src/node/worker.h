/*
 * worker.h - one worker thread: its loop, its clients, its hub.
 *
 * Threads:   worker_start(), worker_stop() and worker_join() are the control thread's; all
 *            else happens on the thread they start.
 * Ownership: the worker makes and frees its loop and edge on its own thread. Options are the
 *            node's and outlive it.
 * Limits:    none of its own.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include "base/role.h"
#include "edge/edge.h"
#include "net/listen.h"
#include "net/mailbox.h"
#include "node/cluster.h"
#include "node/letter.h"
#include "node/pen.h"
#include "node/relay_figures.h"

/* What a worker sends the process when the server API asks for the node to drain. */
#define WORKER_DRAIN_SIGNAL SIGUSR1

/* Where clients come in. */
struct entrance {
	struct listen_address address;
	int shared; /* a descriptor where all workers listen on one, or -1 */
	bool is_secure;
	bool is_handed_over; /* by the service manager: its path is not ours to remove */
};

struct worker_options {
	uint32_t number, workers;
	uint32_t control; /* the control thread's number in the post office */
	uint32_t mesher;  /* the mesh thread's, where has_mesh */
	uint32_t scribe;  /* that of the one who writes the journal */
	bool has_mesh;
	const struct mesh_figures *figures;  /* NULL without a mesh */
	struct relay_figures *relay_figures; /* of all workers; NULL without a mesh */
	struct boot_id boot;                 /* of the node in the mesh */
	uint32_t replicas;                   /* mesh.replicas */
	enum slots_partition partition;
	const char *address; /* where others reach this node: shown of one that is alone */
	struct post_office *office;
	const struct edge_node *node;
	struct edge_common *common;
	struct generation *generation;   /* to begin with; worker_start() takes a reference */
	const struct tls_seed *tls_seed; /* read until is_up is posted */
	const struct entrance *entrances;
	size_t entrance_count;
	bool pins_cpu, has_private_fds;
	int cpu;                  /* to be pinned to */
	uint32_t descriptors_max; /* for connections */
	uint64_t seed;
	sem_t *is_up; /* posted once: it serves, or `error` says why not */
};

struct worker {
	struct worker_options options;
	pthread_t thread;
	int error; /* 0 or -errno; to be read after is_up */
	struct edge_up up;
	struct loop_handler handler;
	struct loop *loop;
	struct edge *edge;
	struct relay *relay; /* NULL without a mesh */
	struct timer relay_timer;
	uint64_t relayed_ms; /* when slots had their tick last */
	struct pen pen;
	struct generation *generation; /* a reference each */
	struct generation *former;     /* while channels go over from it; or NULL */
	struct generation *next;       /* came meanwhile; or NULL */
	bool is_draining;
	bool has_told;       /* that what it has is handed over */
	uint64_t stop_by_ms; /* while stopping; 0: not told to */
};

MUST_CHECK int worker_start(struct worker *worker,
                            const struct worker_options *options) CONTROL_ONLY;
/* There is room for its letter: mailbox_has_room(). It takes a reference. */
void worker_adopt(struct worker *worker, struct generation *generation) CONTROL_ONLY;
/* Its loop gives this back to control, as a letter; what does not come back is a stuck worker. */
void worker_beat(struct worker *worker, uint64_t beat) CONTROL_ONLY;
void worker_drain(struct worker *worker) CONTROL_ONLY; /* see edge_drain() */
void worker_send_away(struct worker *worker, uint64_t time_ms) CONTROL_ONLY;
void worker_stop(struct worker *worker) CONTROL_ONLY; /* tells it to; does not wait */
MUST_CHECK bool worker_join(struct worker *worker, uint64_t wait_ms) CONTROL_ONLY;
