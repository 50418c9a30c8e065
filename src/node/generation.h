/*
 * generation.h - one reading of the configuration, with all that workers need of it.
 *
 * Nothing in it changes. When the configuration is read again the control thread makes another
 * generation and sends it to each worker, which goes over to it and lets go of the one before.
 *
 * Threads:   made by the control thread; read, taken and dropped by any.
 * Ownership: counted. Who drops the last reference frees.
 * Limits:    a worker holds three at most: the one that holds, the one before while its
 *            channels go over, and the newest of those that came meanwhile.
 */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "edge/edge.h"
#include "ops/config.h"

struct generation {
	_Atomic uint32_t refs; /* private */
	uint32_t keys_numbered;
	struct config config;
	struct edge_settings settings;
	struct psk_keys *mesh_keys; /* NULL: there is no mesh */
};

/* Takes over the config, also when it fails: NULL, and one line in `error`,
 * which complaint_of() has whole. `former` is the one
 * that holds; NULL: it is the first. */
struct generation *generation_create(struct config *config, const struct generation *former,
                                     struct buf *error);
struct generation *generation_take(struct generation *generation); /* gives back its argument */
void generation_drop(struct generation *generation);               /* NULL is fine */
