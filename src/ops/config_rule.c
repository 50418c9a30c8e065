#include "ops/config_rule.h"

#include <errno.h>
#include <stdlib.h>

#include "ops/config_setting.h"

size_t config_rule_find(const struct config *config, struct slice pattern)
{
	size_t rule = 0;
	while (rule < config->rules.count && !slice_is(pattern, config->rules.list[rule].pattern))
		rule++;
	return rule;
}

const char *config_rule_fault(const struct config *config, struct slice pattern)
{
	if (!channel_name_is_valid(pattern))
		return "a channel pattern has 1 to 200 printable characters without blank , \" \\";
	if (config->rules.count >= RULE_COUNT_MAX - 1) /* `*` needs its place */
		return "too many channel rules";
	return NULL;
}

/* Makes room for one more rule at the end. */
static int grow_rules(struct config *config)
{
	size_t count = config->rules.count + 1;
	CHECK(count <= RULE_COUNT_MAX);
	struct rule *list = realloc(config->rules.list, count * sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	config->rules.list = list;
	struct config_rule_entries *entries =
		realloc(config->rule_entries, count * sizeof(*entries));
	if (entries == NULL)
		return -ENOMEM;
	config->rule_entries = entries;
	return 0;
}

int config_rule_insert(struct config *config, size_t at, struct slice pattern)
{
	CHECK(at <= config->rules.count);
	CHECK(channel_name_is_valid(pattern));
	char *copy = config_copy(pattern);
	if (copy == NULL || grow_rules(config) < 0) {
		free(copy);
		return -ENOMEM;
	}
	size_t behind = config->rules.count++ - at;
	struct rule *rule = &config->rules.list[at];
	struct config_rule_entries *entries = &config->rule_entries[at];
	memmove(rule + 1, rule, behind * sizeof(*rule));
	memmove(entries + 1, entries, behind * sizeof(*entries));
	*rule = (struct rule){.pattern = copy};
	*entries = (struct config_rule_entries){0};

	int result = 0;
	for (unsigned id = CONFIG_RULE_FIRST; result == 0 && id <= CONFIG_RULE_LAST; id++) {
		struct config_setting setting = config_setting_of_rule(id, at);
		result = config_setting_reset(config, setting, config_keys[id].initial);
	}
	return result;
}

int config_rule_add_last(struct config *config)
{
	size_t count = config->rules.count;
	if (count > 0 && strcmp(config->rules.list[count - 1].pattern, "*") == 0)
		return 0;
	return config_rule_insert(config, count, SLICE("*"));
}
