/*
 * config_key.h - the rows of config.def as a table: what is known of each setting.
 *
 * Threads:   constant.
 * Ownership: none.
 * Limits:    none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "ops/config_value.h"

#define CONFIG_ID(section, key) CONFIG_##section##_##key

enum config_id {
#define CONFIG_KEY(section, key, ...) CONFIG_ID(section, key),
#define CONFIG_RULE_KEY CONFIG_KEY
#include "starling/config.def"
	CONFIG_KEY_COUNT, /* last */
};

/* The keys of [channel PATTERN] stand together. */
#define CONFIG_RULE_FIRST CONFIG_ID(channel, subscribe)
#define CONFIG_RULE_LAST CONFIG_ID(channel, overflow)

enum {
	CONFIG_RULE_KEY_COUNT = 0
#define CONFIG_RULE_KEY(...) +1
#include "starling/config.def"
};

struct config_key {
	const char *section;
	const char *name;
	enum config_kind kind;
	size_t offset; /* in struct config; of a rule's key in struct rule */
	const char *initial;
	const char *limits;
	bool is_live;
	bool is_secret;
	const char *help;
};

extern const struct config_key config_keys[CONFIG_KEY_COUNT];

static inline bool config_key_is_rule(enum config_id id)
{
	return id >= CONFIG_RULE_FIRST && id <= CONFIG_RULE_LAST;
}

bool config_section_exists(struct slice section);
bool config_key_find(struct slice section, struct slice name, enum config_id *id);
