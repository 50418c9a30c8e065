/*
 * The sources are taken from the weakest to the strongest; each value overwrites the one before
 * it. Rules are ordered: those the options brought, those of the file, `*`.
 */
#include "ops/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ops/complaint.h"
#include "ops/config_check.h"
#include "ops/config_rule.h"
#include "ops/config_setting.h"
#include "ops/config_source.h"

static int assign_defaults(struct config *config)
{
	int result = 0;
	for (unsigned id = 0; result == 0 && id < CONFIG_KEY_COUNT; id++) {
		if (!config_key_is_rule(id))
			result = config_setting_reset(config, config_setting_of(id),
			                              config_keys[id].initial);
	}
	return result;
}

/* Open mode has other defaults for some keys. */

static int assign_open_default(struct config *config, struct config_setting setting,
                               const char *text)
{
	if (config_setting_entry(config, setting)->from != CONFIG_FROM_DEFAULT)
		return 0;
	return config_setting_reset(config, setting, text);
}

static int assign_open_defaults(struct config *config)
{
	static const enum config_id open_rule_keys[] = {
		CONFIG_ID(channel, subscribe),
		CONFIG_ID(channel, publish),
	};
	int result = assign_open_default(config, config_setting_of(CONFIG_ID(limits, message_rate)),
	                                 "0");
	for (size_t rule = 0; rule < config->rules.count; rule++) {
		for (size_t i = 0; result == 0 && i < COUNT_OF(open_rule_keys); i++)
			result = assign_open_default(
				config, config_setting_of_rule(open_rule_keys[i], rule), "any");
	}
	return result;
}

static int take_sources(struct config *config, struct slice text, struct buf *error)
{
	int result = assign_defaults(config);
	if (result == 0)
		result = config_take_file(config, text, error);
	if (result == 0)
		result = config_rule_add_last(config);
	if (result == 0)
		result = config_take_environment(config, error);
	if (result == 0)
		result = config_take_options(config, error);
	if (result == 0)
		result = config_check(config, error);
	if (result < 0)
		return result;
	config->is_open = config_is_open(config);
	return config->is_open ? assign_open_defaults(config) : 0;
}

int config_parse_text(struct config *config, struct slice text,
                      const struct config_sources *sources, struct buf *error)
{
	CHECK(sources->file != NULL || text.len == 0);
	CHECK(error->len == 0);
	*config = (struct config){.sources = *sources};
	config->entries = calloc(CONFIG_KEY_COUNT, sizeof(*config->entries));
	int result = config->entries != NULL ? take_sources(config, text, error) : -ENOMEM;
	CHECK(result == 0 || result == -EINVAL || result == -ENOMEM);
	if (result == -ENOMEM)
		buf_string(error, "out of memory while reading the configuration");
	if (result < 0)
		config_free(config);
	return result;
}

/* What it reads may be secret: it goes to one place, and no copy stays behind elsewhere. */
static int read_stream(FILE *stream, size_t limit, struct buf *text)
{
	char *room = buf_room(text, limit + 1);
	if (room == NULL || setvbuf(stream, NULL, _IONBF, 0) != 0)
		return -ENOMEM;
	buf_grew(text, fread(room, 1, limit + 1, stream));
	if (ferror(stream))
		return errno > 0 ? -errno : -EIO;
	return text->len > limit ? -EFBIG : 0;
}

static int read_file(const char *path, size_t limit, struct buf *text, struct buf *error)
{
	FILE *stream = fopen(path, "re");
	int result = stream != NULL ? read_stream(stream, limit, text) : -errno;
	if (stream != NULL)
		fclose(stream);
	if (result < 0) {
		complaint_text(error, slice_string(path));
		buf_format(error, ": %s", strerror(-result));
	}
	return result;
}

int config_load(struct config *config, const struct config_sources *sources, struct buf *error)
{
	struct buf text = {0};
	int result = 0;
	if (sources->file != NULL)
		result = read_file(sources->file, CONFIG_FILE_MAX, &text, error);
	if (result == 0)
		result = config_parse_text(config, buf_view(&text), sources, error);
	buf_wipe(&text);
	return result;
}

int config_read_secret(const char *path, struct buf *secret, struct buf *error)
{
	buf_clear(secret);
	int result = read_file(path, CONFIG_SECRET_MAX, secret, error);
	if (result < 0)
		return result;
	if (secret->len > 0 && secret->at[secret->len - 1] == '\n')
		buf_cut_to(secret, secret->len - 1);
	if (secret->len > 0 && secret->at[secret->len - 1] == '\r')
		buf_cut_to(secret, secret->len - 1);
	if (secret->len > 0)
		return 0;
	complaint_text(error, slice_string(path));
	buf_string(error, ": the file is empty");
	return -EINVAL;
}

void config_free(struct config *config)
{
	for (unsigned id = 0; config->entries != NULL && id < CONFIG_KEY_COUNT; id++) {
		if (config_key_is_rule(id))
			continue;
		void *value = config_setting_value(config, config_setting_of(id));
		config_value_free(config_keys[id].kind, value);
		config_text_free(config->entries[id].text);
	}
	/* The values of rules own nothing. */
	for (size_t rule = 0; rule < config->rules.count; rule++) {
		for (size_t i = 0; i < CONFIG_RULE_KEY_COUNT; i++)
			free(config->rule_entries[rule].list[i].text);
	}
	free(config->entries);
	free(config->rule_entries);
	rules_free(&config->rules);
	*config = (struct config){0};
}

/* Printing. */

static void print_setting(const struct config *config, struct config_setting setting,
                          struct buf *out)
{
	const struct config_entry *entry = config_setting_entry(config, setting);
	bool is_hidden = config_keys[setting.id].is_secret && entry->text[0] != '\0';
	config_setting_write_name(config, setting, out);
	buf_format(out, " = %s  # ", is_hidden ? "***" : entry->text);
	switch (entry->from) {
	case CONFIG_FROM_DEFAULT:
		buf_string(out, "default");
		break;
	case CONFIG_FROM_FILE:
		buf_format(out, "%s:%u", config->sources.file, entry->line);
		break;
	case CONFIG_FROM_ENVIRONMENT:
		buf_string(out, "env");
		break;
	case CONFIG_FROM_OPTION:
		buf_string(out, "option");
		break;
	}
	buf_char(out, '\n');
}

static void print_rules(const struct config *config, struct buf *out)
{
	CHECK(config->rules.count > 0);
	for (size_t rule = 0; rule < config->rules.count; rule++) {
		for (unsigned id = CONFIG_RULE_FIRST; id <= CONFIG_RULE_LAST; id++)
			print_setting(config, config_setting_of_rule(id, rule), out);
	}
}

void config_print(const struct config *config, struct buf *out)
{
	for (unsigned id = 0; id < CONFIG_KEY_COUNT; id++) {
		if (id == CONFIG_RULE_FIRST)
			print_rules(config, out);
		if (!config_key_is_rule(id))
			print_setting(config, config_setting_of(id), out);
	}
}

void config_find_restarts(const struct config *old, const struct config *next, struct buf *keys)
{
	for (unsigned id = 0; id < CONFIG_KEY_COUNT; id++) {
		const struct config_key *key = &config_keys[id];
		if (key->is_live)
			continue;
		CHECK(!config_key_is_rule(id)); /* rules are live */
		if (strcmp(old->entries[id].text, next->entries[id].text) == 0)
			continue;
		buf_format(keys, "%s%s.%s", keys->len > 0 ? ", " : "", key->section, key->name);
	}
}

/* What holds now is what workers run by; so the new values are held against that once more:
 * a key may go only when the listeners that are there can do without. */
static int keep_restarts(struct config *next, const struct config *running, struct buf *error)
{
	int result = 0;
	for (unsigned id = 0; result == 0 && id < CONFIG_KEY_COUNT; id++) {
		if (!config_keys[id].is_live)
			result = config_setting_copy(next, running, config_setting_of(id));
	}
	if (result == -ENOMEM)
		buf_string(error, "out of memory while reading the configuration");
	if (result == 0)
		result = config_check(next, error);
	CHECK(result < 0 || next->is_open == config_is_open(next));
	return result;
}

int config_reload(struct config *next, const struct config *running, struct buf *restarts,
                  struct buf *error)
{
	int result = config_load(next, &running->sources, error);
	if (result < 0)
		return result;
	config_find_restarts(running, next, restarts);
	result = keep_restarts(next, running, error);
	if (result < 0)
		config_free(next);
	return result;
}
