#include "ops/config_source.h"

#include <errno.h>

#include "ops/complaint.h"
#include "ops/config_rule.h"
#include "ops/config_setting.h"
#include "ops/config_text.h"

/* The file. */

struct file_section {
	struct slice name; /* `at` is NULL before the first section */
	size_t rule;       /* or CONFIG_NO_RULE */
};

static int refuse_line(const struct config *config, unsigned line, const char *why,
                       struct slice what, struct buf *error)
{
	config_line_blame(config, line, error);
	buf_string(error, why);
	if (what.len > 0) {
		buf_char(error, ' ');
		complaint_quote(error, what);
	}
	return -EINVAL;
}

static int open_rule_section(struct config *config, unsigned line, struct slice pattern,
                             struct file_section *section, struct buf *error)
{
	size_t rule = config_rule_find(config, pattern);
	if (rule < config->rules.count) {
		config_line_blame(config, line, error);
		buf_string(error, "section [channel ");
		complaint_text(error, pattern);
		buf_format(error, "] given twice, first on line %u",
		           config->rule_entries[rule].line);
		return -EINVAL;
	}
	const char *fault = config_rule_fault(config, pattern);
	if (fault != NULL)
		return refuse_line(config, line, fault, slice_of(NULL, 0), error);
	section->rule = rule;
	int result = config_rule_insert(config, rule, pattern);
	if (result == 0)
		config->rule_entries[rule].line = line;
	return result;
}

static int open_section(struct config *config, unsigned line,
                        const struct config_statement *statement, struct file_section *section,
                        struct buf *error)
{
	*section = (struct file_section){.name = statement->name, .rule = CONFIG_NO_RULE};
	if (slice_is(statement->name, "channel"))
		return open_rule_section(config, line, statement->value, section, error);
	if (!config_section_exists(statement->name))
		return refuse_line(config, line, "unknown section", statement->name, error);
	if (statement->value.len > 0)
		return refuse_line(config, line, "only [channel PATTERN] has a pattern, not",
		                   statement->name, error);
	return 0;
}

/* Has it the bytes that keys have? Else the line may be the rest of a secret that ends with `=`. */
static bool is_like_a_key(struct slice name)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t i = 0;
	while (i < name.len && memchr(bytes, name.at[i], sizeof(bytes) - 1) != NULL)
		i++;
	return i == name.len;
}

static int refuse_key(struct config *config, unsigned line, struct slice name, struct slice section,
                      struct buf *error)
{
	if (!is_like_a_key(name))
		return refuse_line(config, line, "unknown key in section", section, error);
	config_line_blame(config, line, error);
	buf_string(error, "unknown key ");
	complaint_quote(error, name);
	buf_string(error, " in section ");
	complaint_quote(error, section);
	return -EINVAL;
}

static int take_pair(struct config *config, unsigned line, const struct config_statement *statement,
                     const struct file_section *section, struct buf *error)
{
	enum config_id id;
	if (section->name.at == NULL)
		return refuse_line(config, line,
		                   "a key before the first [section]:", statement->name, error);
	if (!config_key_find(section->name, statement->name, &id))
		return refuse_key(config, line, statement->name, section->name, error);
	struct config_setting setting = config_setting_of_rule(id, section->rule);
	return config_setting_assign(config, setting, statement->value, CONFIG_FROM_FILE, line,
	                             error);
}

int config_take_file(struct config *config, struct slice text, struct buf *error)
{
	struct config_text reader = config_text_start(text);
	struct file_section section = {.rule = CONFIG_NO_RULE};
	int result = 0;
	while (result == 0) {
		struct config_statement statement;
		switch (config_text_next(&reader, &statement)) {
		case CONFIG_TEXT_END:
			return 0;
		case CONFIG_TEXT_BAD:
			/* The line is not shown: it may be the rest of a secret. */
			return refuse_line(config, reader.line, statement.fault, slice_of(NULL, 0),
			                   error);
		case CONFIG_TEXT_SECTION:
			result = open_section(config, reader.line, &statement, &section, error);
			break;
		case CONFIG_TEXT_PAIR:
			result = take_pair(config, reader.line, &statement, &section, error);
			break;
		}
	}
	return result;
}

/* The environment. */

static const char *find_variable(char *const *environment, struct slice name)
{
	for (; *environment != NULL; environment++) {
		struct slice variable = slice_string(*environment);
		if (slice_starts(variable, name) && (*environment)[name.len] == '=')
			return *environment + name.len + 1;
	}
	return NULL;
}

int config_take_environment(struct config *config, struct buf *error)
{
	if (config->sources.environment == NULL)
		return 0;
	struct buf name = {0};
	int result = 0;
	for (unsigned id = 0; result == 0 && id < CONFIG_KEY_COUNT; id++) {
		if (config_key_is_rule(id))
			continue; /* a pattern does not fit a variable's name */
		buf_clear(&name);
		config_setting_write_variable(id, &name);
		if (name.is_broken) {
			result = -ENOMEM;
			break;
		}
		const char *text = find_variable(config->sources.environment, buf_view(&name));
		if (text != NULL)
			result = config_setting_assign(config, config_setting_of(id),
			                               slice_trim(slice_string(text)),
			                               CONFIG_FROM_ENVIRONMENT, 0, error);
	}
	buf_free(&name);
	return result;
}

/* Options. */

struct option {
	struct slice name; /* all before the `=` */
	struct slice section;
	struct slice pattern; /* of [channel PATTERN] */
	struct slice key;
	struct slice value;
};

static const char *find_last(struct slice text, char c)
{
	return text.len > 0 ? memrchr(text.at, c, text.len) : NULL;
}

static struct slice slice_until(struct slice text, const char *end)
{
	return slice_of(text.at, (size_t)(end - text.at));
}

/* "channel.PATTERN.key=value", from the back: see config_load(). */
static bool cut_rule_option(struct slice text, struct option *option)
{
	const char *equals = find_last(text, '=');
	option->name = equals != NULL ? slice_until(text, equals) : text;
	if (equals == NULL)
		return false;
	option->value = slice_trim(slice_after(text, option->name.len + 1));

	struct slice rest = option->name;
	slice_cut(&rest, '.', &option->section);
	option->section = slice_trim(option->section);
	const char *dot = find_last(rest, '.');
	if (dot == NULL)
		return false;
	option->pattern = slice_until(rest, dot);
	option->key = slice_trim(slice_after(rest, option->pattern.len + 1));
	return true;
}

static bool is_rule_option(struct slice text)
{
	struct slice section;
	return slice_cut(&text, '.', &section) && slice_is(slice_trim(section), "channel");
}

/* "section.key=value". */
static bool cut_option(struct slice text, struct option *option)
{
	slice_cut(&text, '=', &option->name);
	if (text.at == NULL)
		return false;
	option->value = slice_trim(text);
	option->key = option->name;
	slice_cut(&option->key, '.', &option->section);
	option->section = slice_trim(option->section);
	option->key = slice_trim(option->key);
	return true;
}

static int refuse_option(struct slice name, const char *why, struct buf *error)
{
	buf_string(error, "-o ");
	complaint_text(error, name);
	buf_format(error, ": %s", why);
	return -EINVAL;
}

/* The rule an option means; a new one behind those that options made before. */
static int find_option_rule(struct config *config, const struct option *option, size_t *rule,
                            struct buf *error)
{
	*rule = config_rule_find(config, option->pattern);
	if (*rule < config->rules.count)
		return 0;
	const char *fault = config_rule_fault(config, option->pattern);
	if (fault != NULL)
		return refuse_option(option->name, fault, error);
	*rule = config->option_rule_count++;
	return config_rule_insert(config, *rule, option->pattern);
}

static int take_option(struct config *config, struct slice text, struct buf *error)
{
	struct option option = {0};
	bool is_rule = is_rule_option(text);
	if (is_rule ? !cut_rule_option(text, &option) : !cut_option(text, &option))
		return refuse_option(option.name,
		                     is_rule ? "want channel.PATTERN.key=value"
		                             : "want section.key=value",
		                     error);
	enum config_id id;
	size_t rule = CONFIG_NO_RULE;
	if (!config_key_find(option.section, option.key, &id))
		return refuse_option(option.name, "unknown key", error);
	if (is_rule) {
		int result = find_option_rule(config, &option, &rule, error);
		if (result < 0)
			return result;
	}
	struct config_setting setting = config_setting_of_rule(id, rule);
	return config_setting_assign(config, setting, option.value, CONFIG_FROM_OPTION, 0, error);
}

int config_take_options(struct config *config, struct buf *error)
{
	for (size_t i = 0; i < config->sources.option_count; i++) {
		int result = take_option(config, slice_string(config->sources.options[i]), error);
		if (result < 0)
			return result;
	}
	return 0;
}
