/*
 * config.h - what the operator asked for, from command line, environment, file and defaults.
 *
 * Threads:   read by any thread once loaded; a reload makes a new one.
 * Ownership: a config owns all its values; config_free() gives them back. What the sources
 *            point at is the caller's and outlives the config, which remembers it for the next
 *            reload.
 * Limits:    CONFIG_FILE_MAX bytes of file; each value has its limits in config.def.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "hub/rule.h"
#include "ops/config_key.h"
#include "ops/config_value.h"

#define CONFIG_FILE_MAX (1u << 20)
#define CONFIG_SECRET_MAX (64u << 10)

enum config_partition {
	CONFIG_PARTITION_MERGE = 0,
	CONFIG_PARTITION_PAUSE,
};

enum config_log_level {
	CONFIG_LOG_DEBUG = 0,
	CONFIG_LOG_INFO,
	CONFIG_LOG_WARN,
	CONFIG_LOG_ERROR,
};

enum config_log_format {
	CONFIG_LOG_TEXT = 0,
	CONFIG_LOG_JSON,
};

struct config_sources {
	const char *file;         /* a path; NULL: no file */
	char *const *environment; /* NAME=value, closed by NULL, as environ; NULL: none */
	char *const *options;     /* section.key=value; option_count of them */
	size_t option_count;
};

enum config_from {
	CONFIG_FROM_DEFAULT = 0,
	CONFIG_FROM_FILE,
	CONFIG_FROM_ENVIRONMENT,
	CONFIG_FROM_OPTION,
};

/* Where a value comes from, and its text there. */
struct config_entry {
	enum config_from from;
	unsigned line; /* in the file; 0: it was there at the start, and is so no more */
	char *text;
};

struct config_rule_entries {
	struct config_entry list[CONFIG_RULE_KEY_COUNT];
	unsigned line; /* of the section in the file, or 0 */
};

/* One member per section, and in it one per key: config->limits.header_size_bytes. */
struct config {
#define CONFIG_SECTION(section) struct config_##section {
#define CONFIG_END(section)                                                                        \
	}                                                                                          \
	section;
#define CONFIG_KEY(section, key, unit, kind, ...) CONFIG_TYPE_##kind key##unit;
#include "starling/config.def"
	struct rules rules;
	bool is_open; /* open mode: no key is needed for anything */
	struct config_sources sources;

	/* Private: how the values were written, for config_print() and complaints. */
	struct config_entry *entries; /* one for each key; those of rules stand unused */
	struct config_rule_entries *rule_entries; /* one for each rule */
	size_t option_rule_count;                 /* so many rules at the front come from options */
};

/*
 * Fills `config`: 0, or -errno, with one line in `error` that names the place and the key, and
 * nothing to free. A secret is never in that line.
 *
 * An option of a channel rule is `channel.PATTERN.key=value`. A pattern may hold `.` and `=`,
 * the values of rules hold no `=`: so the last `=` parts the value, the last `.` before it the
 * key. Elsewhere the first `=` parts the value.
 */
MUST_CHECK int config_load(struct config *config, const struct config_sources *sources,
                           struct buf *error);

/* The same with the file's text at hand; `sources->file` only names it. Reads nothing. */
MUST_CHECK int config_parse_text(struct config *config, struct slice text,
                                 const struct config_sources *sources, struct buf *error);

void config_free(struct config *config);

/* A line `section.key = value  # where from` for each key, secrets as ***. */
void config_print(const struct config *config, struct buf *out);

/* The keys, joined by ", ", that differ in `next` but cannot change at run time. */
void config_find_restarts(const struct config *old, const struct config *next, struct buf *keys);

/* Reads the sources of `running` once more: as config_load(), but keys that cannot change at run
 * time have in `next` what they have in `running`. Those that would differ are in `restarts`. */
MUST_CHECK int config_reload(struct config *next, const struct config *running,
                             struct buf *restarts, struct buf *error);

/* The contents of a secret file, without the newline at its end; as config_load() on error. */
MUST_CHECK int config_read_secret(const char *path, struct buf *secret, struct buf *error);
