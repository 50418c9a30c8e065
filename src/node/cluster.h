/*
 * cluster.h - what is shown of the mesh: members as the server API has them, and figures.
 *
 * Threads:   struct mesh_figures is written by the mesh thread alone and read by all: each figure
 *            is right by itself, two of them may be of different moments. The rest is the
 *            mesh thread's.
 * Ownership: plain values.
 * Limits:    none.
 */
#pragma once

#include <stdatomic.h>

#include "mesh/link.h"

struct mesh_figures {
	_Atomic uint64_t counters[MESH_COUNTER_COUNT];
	_Atomic uint64_t members[MEMBER_STATE_COUNT]; /* this node among them */
	_Atomic uint64_t waiting[FRAME_LANE_EITHER];  /* bytes, by lane */
};

/* The mesh thread's. */
void mesh_figures_count(struct mesh_figures *figures, enum mesh_counter counter, uint64_t more);
void mesh_figures_set_members(struct mesh_figures *figures, const struct membership *membership);
void mesh_figures_set_waiting(struct mesh_figures *figures, const uint64_t *waiting);

/* As members of a JSON object, a comma before each. */
void mesh_figures_write(const struct mesh_figures *figures, struct buf *out);
/* For Prometheus. */
void mesh_figures_write_metrics(const struct mesh_figures *figures, struct buf *out);

/* This node, as the others cannot know it. */
struct cluster_self {
	const char *name, *cluster, *address;
	enum member_state state;
	uint64_t incarnation;
	uint32_t clients, homes;
};

/* The answer of GET /api/cluster. NULL: this node is alone. */
void cluster_write(struct buf *out, const struct cluster_self *self,
                   const struct membership *membership);
