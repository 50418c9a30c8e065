/*
 * A rule's key differs from the others only in where value and entry lie.
 */
#include "ops/config_setting.h"

#include <errno.h>
#include <stdlib.h>

#include "ops/complaint.h"

static bool is_sound(const struct config *config, struct config_setting setting)
{
	if (setting.id >= CONFIG_KEY_COUNT)
		return false;
	if (config_key_is_rule(setting.id))
		return setting.rule < config->rules.count;
	return setting.rule == CONFIG_NO_RULE;
}

struct config_entry *config_setting_entry(const struct config *config,
                                          struct config_setting setting)
{
	CHECK(is_sound(config, setting));
	if (setting.rule == CONFIG_NO_RULE)
		return &config->entries[setting.id];
	return &config->rule_entries[setting.rule].list[setting.id - CONFIG_RULE_FIRST];
}

void *config_setting_value(struct config *config, struct config_setting setting)
{
	CHECK(is_sound(config, setting));
	size_t offset = config_keys[setting.id].offset;
	if (setting.rule == CONFIG_NO_RULE)
		return (char *)config + offset;
	return (char *)&config->rules.list[setting.rule] + offset;
}

static int refuse_twice(const struct config *config, struct config_setting setting,
                        unsigned first_line, struct buf *error)
{
	config_setting_blame(config, setting, error);
	buf_string(error, "given twice");
	if (first_line > 0)
		buf_format(error, ", first on line %u", first_line);
	return -EINVAL;
}

static int refuse_value(const struct config *config, struct config_setting setting,
                        struct buf *error)
{
	const struct config_key *key = &config_keys[setting.id];
	config_setting_blame(config, setting, error);
	buf_string(error, "bad value");
	if (!key->is_secret) {
		buf_char(error, ' ');
		complaint_quote(error, slice_string(config_setting_entry(config, setting)->text));
	}
	buf_string(error, "; want ");
	config_value_explain(key->kind, key->limits, error);
	return -EINVAL;
}

int config_setting_assign(struct config *config, struct config_setting setting, struct slice text,
                          enum config_from from, unsigned line, struct buf *error)
{
	const struct config_key *key = &config_keys[setting.id];
	struct config_entry *entry = config_setting_entry(config, setting);
	CHECK((from == CONFIG_FROM_FILE) == (line > 0));
	CHECK(from >= entry->from); /* the stronger source comes later */
	bool is_second = from == entry->from && from != CONFIG_FROM_DEFAULT;
	unsigned first_line = entry->line;
	entry->from = from;
	entry->line = line;
	if (is_second)
		return refuse_twice(config, setting, first_line, error);

	char *copy = config_copy(text);
	if (copy == NULL)
		return -ENOMEM;
	config_text_free(entry->text);
	entry->text = copy;
	int result = config_value_parse(key->kind, key->limits, text,
	                                config_setting_value(config, setting));
	return result == -EINVAL ? refuse_value(config, setting, error) : result;
}

int config_setting_reset(struct config *config, struct config_setting setting, const char *text)
{
	struct buf error = {0};
	CHECK(config_setting_entry(config, setting)->from == CONFIG_FROM_DEFAULT);
	int result = config_setting_assign(config, setting, slice_string(text), CONFIG_FROM_DEFAULT,
	                                   0, &error);
	CHECK(error.len == 0); /* defaults are good */
	return result;
}

int config_setting_copy(struct config *config, const struct config *from,
                        struct config_setting setting)
{
	const struct config_key *key = &config_keys[setting.id];
	const struct config_entry *given = config_setting_entry(from, setting);
	struct config_entry *entry = config_setting_entry(config, setting);
	struct slice text = slice_string(given->text);
	bool is_other = !slice_is(text, entry->text);
	char *copy = config_copy(text);
	if (copy == NULL)
		return -ENOMEM;
	config_text_free(entry->text);
	entry->text = copy;
	if (is_other) {
		entry->from = given->from;
		entry->line = 0;
	}
	int result = config_value_parse(key->kind, key->limits, text,
	                                config_setting_value(config, setting));
	CHECK(result == 0 || result == -ENOMEM); /* it was good before */
	return result;
}

void config_setting_write_name(const struct config *config, struct config_setting setting,
                               struct buf *out)
{
	CHECK(is_sound(config, setting));
	buf_format(out, "%s.", config_keys[setting.id].section);
	if (setting.rule != CONFIG_NO_RULE)
		buf_format(out, "%s.", config->rules.list[setting.rule].pattern);
	buf_string(out, config_keys[setting.id].name);
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

void config_setting_write_variable(enum config_id id, struct buf *out)
{
	CHECK(id < CONFIG_KEY_COUNT);
	size_t start = out->len;
	buf_format(out, "STARLING_%s_%s", config_keys[id].section, config_keys[id].name);
	for (size_t i = start; i < out->len; i++)
		out->at[i] = upper(out->at[i]);
}

void config_setting_blame(const struct config *config, struct config_setting setting,
                          struct buf *error)
{
	CHECK(error->len == 0); /* there is one complaint */
	const struct config_entry *entry = config_setting_entry(config, setting);
	if (entry->from == CONFIG_FROM_FILE && entry->line > 0) {
		config_line_blame(config, entry->line, error);
	} else if (entry->from == CONFIG_FROM_FILE) {
		complaint_text(error, slice_string(config->sources.file));
		buf_string(error, " as it was at the start: ");
	}
	if (entry->from == CONFIG_FROM_OPTION)
		buf_string(error, "-o ");
	if (entry->from == CONFIG_FROM_ENVIRONMENT)
		config_setting_write_variable(setting.id, error);
	else
		config_setting_write_name(config, setting, error);
	buf_string(error, ": ");
}

void config_line_blame(const struct config *config, unsigned line, struct buf *error)
{
	CHECK(config->sources.file != NULL);
	CHECK(line > 0);
	complaint_text(error, slice_string(config->sources.file));
	buf_format(error, ":%u: ", line);
}
