#include "hub/rule.h"

#include <stdlib.h>

#include "base/check.h"

void rules_free(struct rules *rules)
{
	CHECK(rules->list != NULL || rules->count == 0);
	for (size_t i = 0; i < rules->count; i++)
		free(rules->list[i].pattern);
	free(rules->list);
	*rules = (struct rules){0};
}

bool rules_own(const struct rules *rules, const struct rule *rule)
{
	return rule >= rules->list && rule < rules->list + rules->count;
}

const struct rule *rules_find(const struct rules *rules, struct slice channel)
{
	CHECK(rules->count > 0);
	const struct rule *rule = rules->list;
	while (!rule_matches(slice_string(rule->pattern), channel)) {
		rule++;
		CHECK(rule < rules->list + rules->count); /* the last one fits every channel */
	}
	return rule;
}

/*
 * Only the latest `*` is ever tried again: an earlier one could take no more than the latest
 * one can. So the work is at most the pattern's length times the name's.
 */
bool rule_matches(struct slice pattern, struct slice name)
{
	bool has_star = false;
	size_t at = 0, after_star = 0;  /* in the pattern */
	size_t done = 0, star_from = 0; /* in the name; star_from: where the latest `*` ends */
	while (done < name.len) {
		if (at < pattern.len && pattern.at[at] == '*') {
			has_star = true;
			after_star = ++at;
			star_from = done;
		} else if (at < pattern.len && pattern.at[at] == name.at[done]) {
			at++;
			done++;
		} else if (has_star) {
			at = after_star;
			done = ++star_from;
		} else {
			return false;
		}
	}
	while (at < pattern.len && pattern.at[at] == '*')
		at++;
	CHECK(at <= pattern.len);
	return at == pattern.len;
}

bool channel_name_is_valid(struct slice name)
{
	if (name.len == 0 || name.len > CHANNEL_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];
		if (c <= ' ' || c > '~' || c == ',' || c == '"' || c == '\\')
			return false;
	}
	return true;
}
