/*
 * Each kind has a row in kinds[]: how its text is read and what an operator is told to write.
 * A value is read into a union first and only then replaces the old one.
 */
#include "ops/config_value.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "hub/rule.h"

union value {
	bool flag;
	uint32_t number;
	size_t bytes;
	unsigned choice; /* as wide as every enum without negative values */
	char *text;
	struct config_words words;
	struct config_addresses addresses;
	struct config_networks networks;
	struct config_origins origins;
};

typedef int value_parse_fn(const char *limits, struct slice text, union value *value);
typedef void value_free_fn(union value *value);

static value_parse_fn parse_flag, parse_count, parse_auto, parse_size, parse_time, parse_rate,
	parse_choice, parse_text, parse_name, parse_words, parse_addresses, parse_hosts,
	parse_networks, parse_origins;
static value_free_fn free_text, free_words, free_addresses, free_networks, free_origins;

static const struct {
	value_parse_fn *parse;
	value_free_fn *free; /* NULL: owns nothing */
	size_t bytes;
	const char *wanted; /* what to write; the limits follow */
} kinds[CONFIG_KIND_TOTAL] = {
#define KIND(kind, parse, free, type, wanted)                                                      \
	[CONFIG_KIND_##kind] = {parse, free, sizeof(type), wanted}
	KIND(FLAG, parse_flag, NULL, bool, "one of"),
	KIND(COUNT, parse_count, NULL, uint32_t, "a number"),
	KIND(AUTO, parse_auto, NULL, uint32_t, "auto or a number"),
	KIND(SIZE, parse_size, NULL, size_t, "a size such as 64KiB"),
	KIND(TIME, parse_time, NULL, uint32_t, "a time such as 500ms, 30s, 5m, 1h"),
	KIND(RATE, parse_rate, NULL, uint32_t, "a rate such as 100/s"),
	KIND(CHOICE, parse_choice, NULL, unsigned, "one of"),
	KIND(TEXT, parse_text, free_text, char *, "so many bytes"),
	KIND(NAME, parse_name, free_text, char *, "so many visible characters but , \" \\"),
	KIND(WORDS, parse_words, free_words, struct config_words, "so many texts, a comma between"),
	KIND(ADDRESSES, parse_addresses, free_addresses, struct config_addresses,
             "so many of IPv4:port, [IPv6]:port, unix:/path"),
	KIND(HOSTS, parse_hosts, free_addresses, struct config_addresses,
             "so many of name:port, IPv4:port, [IPv6]:port"),
	KIND(NETWORKS, parse_networks, free_networks, struct config_networks,
             "so many of IPv4/bits, IPv6/bits, unix"),
	KIND(ORIGINS, parse_origins, free_origins, struct config_origins,
             "same, * or so many of scheme://host[:port]"),
#undef KIND
};

static bool has_control_character(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

int config_value_parse(enum config_kind kind, const char *limits, struct slice text, void *value)
{
	CHECK(kind < CONFIG_KIND_TOTAL);
	CHECK(value != NULL);
	if (has_control_character(text))
		return -EINVAL;

	union value parsed;
	memset(&parsed, 0, sizeof(parsed)); /* {0} need not reach behind the first member */
	int result = kinds[kind].parse(limits, text, &parsed);
	CHECK(result == 0 || result == -EINVAL || result == -ENOMEM);
	if (result < 0) {
		config_value_free(kind, &parsed);
		return result;
	}
	config_value_free(kind, value);
	memcpy(value, &parsed, kinds[kind].bytes);
	return 0;
}

void config_value_free(enum config_kind kind, void *value)
{
	CHECK(kind < CONFIG_KIND_TOTAL);
	CHECK(kinds[kind].bytes <= sizeof(union value));
	union value taken;
	memset(&taken, 0, sizeof(taken));
	memcpy(&taken, value, kinds[kind].bytes);
	if (kinds[kind].free != NULL)
		kinds[kind].free(&taken);
	memset(value, 0, kinds[kind].bytes);
}

void config_value_explain(enum config_kind kind, const char *limits, struct buf *line)
{
	CHECK(kind < CONFIG_KIND_TOTAL);
	buf_format(line, "%s (%s)", kinds[kind].wanted, limits);
}

/* Numbers: digits and a unit. A zero needs no unit. */

struct unit {
	const char *name;
	uint64_t scale;
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit size_units[] = {
	{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {NULL, 0},
};
static const struct unit time_units[] = {
	{"ms", 1},          {"s", 1000},         {"m", 60 * 1000},
	{"h", 3600 * 1000}, {"d", 86400 * 1000}, {NULL, 0},
};
static const struct unit rate_units[] = {{"/s", 1}, {NULL, 0}};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool read_number(const struct unit *units, struct slice text, uint64_t *number)
{
	size_t digits = 0;
	while (digits < text.len && is_digit(text.at[digits]))
		digits++;
	if (!text_to_u64(slice_of(text.at, digits), number))
		return false;

	struct slice unit = slice_after(text, digits);
	if (*number == 0 && unit.len == 0)
		return true;
	while (units->name != NULL && !slice_is(unit, units->name))
		units++;
	return units->name != NULL && !__builtin_mul_overflow(*number, units->scale, number);
}

/* Whether `number` is within `limits`: "low..high", both in the given units. */
static bool is_within(const char *limits, const struct unit *units, uint64_t number)
{
	const char *dots = strstr(limits, "..");
	CHECK(dots != NULL);
	uint64_t low, high;
	CHECK(read_number(units, slice_of(limits, (size_t)(dots - limits)), &low));
	CHECK(read_number(units, slice_string(dots + 2), &high));
	CHECK(low <= high);
	return number >= low && number <= high;
}

static int parse_number(const char *limits, const struct unit *units, struct slice text,
                        uint64_t *number)
{
	if (!read_number(units, text, number))
		return -EINVAL;
	return is_within(limits, units, *number) ? 0 : -EINVAL;
}

static int parse_number_u32(const char *limits, const struct unit *units, struct slice text,
                            union value *value)
{
	uint64_t number = 0;
	int result = parse_number(limits, units, text, &number);
	CHECK(result < 0 || number <= UINT32_MAX); /* so config.def says */
	value->number = (uint32_t)number;
	return result;
}

static int parse_count(const char *limits, struct slice text, union value *value)
{
	return parse_number_u32(limits, no_units, text, value);
}

static int parse_auto(const char *limits, struct slice text, union value *value)
{
	if (slice_is(text, "auto")) {
		CHECK(!is_within(limits, no_units, 0)); /* 0 is what `auto` becomes */
		value->number = 0;
		return 0;
	}
	return parse_number_u32(limits, no_units, text, value);
}

static int parse_size(const char *limits, struct slice text, union value *value)
{
	uint64_t bytes = 0;
	int result = parse_number(limits, size_units, text, &bytes);
	value->bytes = (size_t)bytes;
	return result;
}

static int parse_time(const char *limits, struct slice text, union value *value)
{
	return parse_number_u32(limits, time_units, text, value);
}

static int parse_rate(const char *limits, struct slice text, union value *value)
{
	return parse_number_u32(limits, rate_units, text, value);
}

/* Words: the place of the word among the limits is the value. */

static int parse_choice(const char *limits, struct slice text, union value *value)
{
	struct slice rest = slice_string(limits), word;
	for (unsigned choice = 0; slice_cut(&rest, '|', &word); choice++) {
		if (slice_equals(word, text)) {
			value->choice = choice;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_flag(const char *limits, struct slice text, union value *value)
{
	CHECK(strcmp(limits, "no|yes") == 0);
	union value word = {0};
	int result = parse_choice(limits, text, &word);
	value->flag = word.choice == 1;
	return result;
}

static int copy_text(struct slice text, char **copy)
{
	CHECK(*copy == NULL);
	*copy = config_copy(text);
	return *copy != NULL ? 0 : -ENOMEM;
}

static int parse_text(const char *limits, struct slice text, union value *value)
{
	return is_within(limits, no_units, text.len) ? copy_text(text, &value->text) : -EINVAL;
}

static int parse_name(const char *limits, struct slice text, union value *value)
{
	if (text.len > 0 && !channel_name_is_valid(text))
		return -EINVAL;
	return parse_text(limits, text, value);
}

static void free_text(union value *value)
{
	config_text_free(value->text);
}

/* Lists: entries between commas, each read by a function of its own. */

typedef int item_parse_fn(struct slice text, void *item);

static size_t count_items(struct slice text)
{
	size_t count = text.len > 0;
	for (size_t i = 0; i < text.len; i++)
		count += text.at[i] == ',';
	return count;
}

/* The list is the caller's to free also when an entry is refused. */
static int parse_list(const char *limits, struct slice text, item_parse_fn *parse_item,
                      size_t item_bytes, void **list, size_t *count)
{
	size_t wanted = count_items(text);
	if (wanted > CONFIG_LIST_MAX || !is_within(limits, no_units, wanted))
		return -EINVAL;
	if (wanted == 0)
		return 0;
	char *items = calloc(wanted, item_bytes);
	if (items == NULL)
		return -ENOMEM;
	*list = items;
	*count = wanted;

	struct slice part;
	for (; slice_cut(&text, ',', &part); items += item_bytes) {
		part = slice_trim(part);
		int result = part.len > 0 ? parse_item(part, items) : -EINVAL;
		if (result < 0)
			return result;
	}
	return 0;
}

static int parse_word(struct slice text, void *item)
{
	return copy_text(text, item);
}

static int parse_words(const char *limits, struct slice text, union value *value)
{
	void *list = NULL;
	int result =
		parse_list(limits, text, parse_word, sizeof(char *), &list, &value->words.count);
	value->words.list = list;
	return result;
}

static void free_words(union value *value)
{
	for (size_t i = 0; i < value->words.count; i++)
		config_text_free(value->words.list[i]);
	free(value->words.list);
}

/* Addresses, networks and origins. */

static int parse_address(struct slice text, void *item)
{
	return config_address_parse(text, item);
}

static int parse_host(struct slice text, void *item)
{
	return config_host_parse(text, item);
}

static int parse_address_list(const char *limits, struct slice text, item_parse_fn *parse_item,
                              struct config_addresses *addresses)
{
	void *list = NULL;
	int result = parse_list(limits, text, parse_item, sizeof(struct config_address), &list,
	                        &addresses->count);
	addresses->list = list;
	return result;
}

static int parse_addresses(const char *limits, struct slice text, union value *value)
{
	return parse_address_list(limits, text, parse_address, &value->addresses);
}

static int parse_hosts(const char *limits, struct slice text, union value *value)
{
	return parse_address_list(limits, text, parse_host, &value->addresses);
}

static void free_addresses(union value *value)
{
	for (size_t i = 0; i < value->addresses.count; i++)
		config_address_free(&value->addresses.list[i]);
	free(value->addresses.list);
}

static int parse_network(struct slice text, void *item)
{
	return network_parse(text, item) ? 0 : -EINVAL;
}

static int parse_networks(const char *limits, struct slice text, union value *value)
{
	void *list = NULL;
	int result = parse_list(limits, text, parse_network, sizeof(struct network), &list,
	                        &value->networks.count);
	value->networks.list = list;
	return result;
}

static void free_networks(union value *value)
{
	free(value->networks.list);
}

static int parse_origin(struct slice text, void *item)
{
	char **origin = item;
	if (!config_origin_is_valid(text))
		return -EINVAL;
	int result = copy_text(text, origin);
	for (char *c = *origin; result == 0 && *c != '\0'; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + ('a' - 'A')) : *c;
	return result;
}

static int parse_origins(const char *limits, struct slice text, union value *value)
{
	struct config_origins *origins = &value->origins;
	if (slice_is(text, "same") || slice_is(text, "*")) {
		origins->rule = slice_is(text, "*") ? CONFIG_ORIGIN_ANY : CONFIG_ORIGIN_SAME;
		return 0;
	}
	void *list = NULL;
	int result = parse_list(limits, text, parse_origin, sizeof(char *), &list,
	                        &origins->listed.count);
	origins->rule = CONFIG_ORIGIN_LISTED;
	origins->listed.list = list;
	return result;
}

static void free_origins(union value *value)
{
	for (size_t i = 0; i < value->origins.listed.count; i++)
		free(value->origins.listed.list[i]);
	free(value->origins.listed.list);
}
