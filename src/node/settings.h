/*
 * settings.h - the configuration as the workers need it.
 *
 * Threads:   made and freed by the control thread while no worker runs; read by all.
 * Ownership: owns what is not the config's; the config outlives it.
 * Limits:    none.
 */
#pragma once

#include "base/buf.h"
#include "edge/edge.h"
#include "ops/config.h"

/* `node_name` is copied. 0, or -errno with a line in `error`. */
MUST_CHECK int settings_make(struct edge_settings *settings, const struct config *config,
                             const char *node_name, struct buf *error);
void settings_free(struct edge_settings *settings);
