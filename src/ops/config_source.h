/*
 * config_source.h - the places a config is taken from: file, environment, options.
 *
 * Threads:   as struct config.
 * Ownership: the config keeps copies of what it takes.
 * Limits:    taken in this order, each once: a later source overwrites the ones before.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "base/slice.h"
#include "ops/config.h"

/* 0, or -EINVAL with a complaint, or -ENOMEM without one. */
MUST_CHECK int config_take_file(struct config *config, struct slice text, struct buf *error);
MUST_CHECK int config_take_environment(struct config *config, struct buf *error);
MUST_CHECK int config_take_options(struct config *config, struct buf *error);
