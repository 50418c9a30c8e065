#include "ops/config_key.h"

#include <assert.h>

#include "base/check.h"
#include "hub/rule.h"
#include "ops/config.h"

static_assert(CONFIG_RULE_LAST - CONFIG_RULE_FIRST + 1 == CONFIG_RULE_KEY_COUNT,
              "the keys of [channel PATTERN] stand together in config.def");

/* What the last two columns of config.def before the help may say. */
enum { CONFIG_RESTART = 0, CONFIG_LIVE = 1 };
enum { CONFIG_PLAIN = 0, CONFIG_SECRET = 1 };

const struct config_key config_keys[CONFIG_KEY_COUNT] = {
#define ROW(section_, key_, kind_, offset_, initial_, limits_, reload_, secrecy_, help_)           \
	[CONFIG_ID(section_, key_)] = {                                                            \
		.section = #section_,                                                              \
		.name = #key_,                                                                     \
		.kind = CONFIG_KIND_##kind_,                                                       \
		.offset = offset_,                                                                 \
		.initial = initial_,                                                               \
		.limits = limits_,                                                                 \
		.is_live = CONFIG_##reload_,                                                       \
		.is_secret = CONFIG_##secrecy_,                                                    \
		.help = help_,                                                                     \
	},
#define CONFIG_KEY(section, key, unit, kind, ...)                                                  \
	ROW(section, key, kind, offsetof(struct config, section.key##unit), __VA_ARGS__)
#define CONFIG_RULE_KEY(section, key, unit, kind, ...)                                             \
	ROW(section, key, kind, offsetof(struct rule, key##unit), __VA_ARGS__)
#include "starling/config.def"
#undef ROW
};

bool config_section_exists(struct slice section)
{
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		if (slice_is(section, config_keys[i].section))
			return true;
	}
	return false;
}

bool config_key_find(struct slice section, struct slice name, enum config_id *id)
{
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
		CHECK(config_keys[i].name != NULL);
		if (slice_is(section, config_keys[i].section) &&
		    slice_is(name, config_keys[i].name)) {
			*id = i;
			return true;
		}
	}
	return false;
}
