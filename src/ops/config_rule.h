/*
 * config_rule.h - the channel rules of a config while its sources are read.
 *
 * Threads:   as struct config.
 * Ownership: rules and their entries belong to the config and grow together.
 * Limits:    RULE_COUNT_MAX rules.
 */
#pragma once

#include "base/check.h"
#include "base/slice.h"
#include "ops/config.h"

/* The first rule with that pattern, or the number of rules. */
size_t config_rule_find(const struct config *config, struct slice pattern);

/* Why there may be no further rule with that pattern, or NULL. */
const char *config_rule_fault(const struct config *config, struct slice pattern);

/* A rule of defaults as rule number `at`; those from there on move up. 0 or -ENOMEM. */
MUST_CHECK int config_rule_insert(struct config *config, size_t at, struct slice pattern);

/* The built-in `*`, unless it is the last one already. */
MUST_CHECK int config_rule_add_last(struct config *config);
