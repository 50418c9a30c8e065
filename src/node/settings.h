/*
 * settings.h - the configuration as the workers need it.
 *
 * Threads:   made by the control thread; constant from then on, and read by all. See
 *            node/generation.h for when they are freed, and by whom.
 * Ownership: owns what is not the config's; the config outlives it.
 * Limits:    none.
 */
#pragma once

#include "base/buf.h"
#include "edge/edge.h"
#include "net/tls_psk.h"
#include "ops/config.h"

/* 0, or -errno with a line in `error` and nothing to free. */
MUST_CHECK int settings_make(struct edge_settings *settings, const struct config *config,
                             struct buf *error);
void settings_free(struct edge_settings *settings);

/* Parts of them. The keys that tokens are checked with are the caller's; NULL: none are set. */
MUST_CHECK int settings_make_keys(struct key_set **keys, const struct config *config,
                                  struct buf *error);
struct token_policy settings_token_policy(const struct config *config);
/* What nodes show each other. NULL: there is no mesh. */
MUST_CHECK int settings_make_mesh_keys(struct psk_keys **keys, const struct config *config,
                                       struct buf *error);
