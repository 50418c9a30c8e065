/*
 * config_check.h - what settings demand of one another.
 *
 * Threads:   pure functions of a config.
 * Ownership: none.
 * Limits:    none.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "ops/config.h"

/* 0, or -EINVAL and a complaint that names the key at fault. */
MUST_CHECK int config_check(const struct config *config, struct buf *error);

bool config_has_keys(const struct config *config); /* any key or secret in [auth] */
bool config_is_open(const struct config *config);  /* the rule for open mode */
