/*
 * config_setting.h - one key of one config: its value, its entry, its name in a complaint.
 *
 * Threads:   as struct config.
 * Ownership: a setting is a number or two; what it names belongs to the config.
 * Limits:    none.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "base/slice.h"
#include "ops/config.h"

#define CONFIG_NO_RULE SIZE_MAX

/* A key of [channel PATTERN] is one of a rule, any other is not. */
struct config_setting {
	enum config_id id;
	size_t rule; /* or CONFIG_NO_RULE */
};

static inline struct config_setting config_setting_of(enum config_id id)
{
	return (struct config_setting){.id = id, .rule = CONFIG_NO_RULE};
}

static inline struct config_setting config_setting_of_rule(enum config_id id, size_t rule)
{
	return (struct config_setting){.id = id, .rule = rule};
}

struct config_entry *config_setting_entry(const struct config *config,
                                          struct config_setting setting);
void *config_setting_value(struct config *config, struct config_setting setting);

/* `line` is where the file has it, and 0 for the other sources; 0, -EINVAL or -ENOMEM. */
MUST_CHECK int config_setting_assign(struct config *config, struct config_setting setting,
                                     struct slice text, enum config_from from, unsigned line,
                                     struct buf *error);

/* Makes `text` the default of a setting that no source gives. */
MUST_CHECK int config_setting_reset(struct config *config, struct config_setting setting,
                                    const char *text);

/* As `from` has it: 0 or -ENOMEM. What says the same in both is where `config` has it; another
 * value has no line there. */
MUST_CHECK int config_setting_copy(struct config *config, const struct config *from,
                                   struct config_setting setting);

void config_setting_write_name(const struct config *config, struct config_setting setting,
                               struct buf *out);
void config_setting_write_variable(enum config_id id, struct buf *out); /* STARLING_... */

/* Begins a complaint with the place of a setting's value, or of a line of the file. */
void config_setting_blame(const struct config *config, struct config_setting setting,
                          struct buf *error);
void config_line_blame(const struct config *config, unsigned line, struct buf *error);
