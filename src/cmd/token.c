/*
 * The token is made with the secret of the configuration, and says what the configuration asks of
 * tokens. It is read back as the server reads it: what it would refuse is refused here.
 */
#include <time.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/options.h"
#include "node/settings.h"
#include "ops/config.h"
#include "ops/config_value.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define TTL_DEFAULT "1h"
#define TTL_LIMITS "1s..30d"

struct wishes {
	char *user, *info, *ttl; /* NULL: not given */
	struct option_list allow;
	uint32_t ttl_ms;
};

/* ---- what it is to say ---- */

static void append_text(struct buf *payload, const char *name, struct slice text)
{
	buf_format(payload, ",\"%s\":", name);
	json_string_append(payload, text);
}

/* PATTERN=RIGHTS; a pattern may hold a `=`. False: it is neither. */
static bool append_grant(struct buf *payload, const char *argument)
{
	const char *equals = strrchr(argument, '=');
	if (equals == NULL)
		return false;
	struct slice pattern = slice_of(argument, (size_t)(equals - argument));
	size_t rights = strlen(equals + 1);
	if (!channel_name_is_valid(pattern) || rights == 0 || strspn(equals + 1, "rwp") != rights)
		return false;
	json_string_append(payload, pattern);
	buf_char(payload, ':');
	json_string_append(payload, slice_of(equals + 1, rights));
	return true;
}

/* NULL, or which of the arguments is at fault. */
static const char *append_allow(struct buf *payload, const struct option_list *allow)
{
	if (allow->count == 0)
		return NULL;
	buf_string(payload, ",\"allow\":{");
	for (size_t i = 0; i < allow->count; i++) {
		if (i > 0)
			buf_char(payload, ',');
		if (!append_grant(payload, allow->list[i]))
			return allow->list[i];
	}
	buf_char(payload, '}');
	return NULL;
}

static void append_dates(struct buf *payload, uint64_t now_s, uint32_t ttl_ms)
{
	buf_string(payload, ",\"iat\":");
	buf_u64(payload, now_s);
	buf_string(payload, ",\"exp\":");
	buf_u64(payload, now_s + (ttl_ms + 999) / 1000);
}

/* The claims as JSON. COMMAND_DONE, or the misuse has been told. */
static int write_payload(struct buf *payload, const struct wishes *wishes,
                         const struct token_policy *policy, uint64_t now_s)
{
	struct json_value info;
	size_t bad_at;
	buf_string(payload, "{\"sub\":");
	json_string_append(payload, slice_string(wishes->user));
	append_dates(payload, now_s, wishes->ttl_ms);
	if (policy->issuer[0] != '\0')
		append_text(payload, "iss", slice_string(policy->issuer));
	if (policy->audience[0] != '\0')
		append_text(payload, "aud", slice_string(policy->audience));
	if (wishes->info != NULL) {
		if (!json_check(slice_string(wishes->info), MESSAGE_DEPTH_MAX - 1, &info, &bad_at))
			return command_misuse("--info is not JSON:", wishes->info);
		buf_string(payload, ",\"info\":");
		buf_slice(payload, info.raw);
	}
	const char *fault = append_allow(payload, &wishes->allow);
	if (fault != NULL)
		return command_misuse("--allow is not PATTERN=RIGHTS, of r, w and p:", fault);
	buf_char(payload, '}');
	return COMMAND_DONE;
}

/* ---- making it ---- */

static int make(struct jwt_reader *reader, const struct key_set *keys, const struct wishes *wishes,
                const struct token_policy *policy)
{
	uint64_t now_s = (uint64_t)time(NULL);
	struct buf payload = {0}, token = {0};
	struct claims *claims = NULL;
	const char *why;
	int status = write_payload(&payload, wishes, policy, now_s);
	if (status != COMMAND_DONE)
		goto free_texts;
	jwt_make(reader, keys, buf_view(&payload), &token);
	if (payload.is_broken || token.is_broken) {
		buf_clear(&token);
		buf_string(&token, jwt_no_memory);
		status = command_fail(COMMAND_FAILED, &token);
	} else if (token_read(reader, keys, policy, buf_view(&token), now_s * 1000, &claims,
	                      &why) != ERROR_NONE) {
		buf_clear(&token);
		buf_string(&token, why);
		status = command_fail(COMMAND_MISUSED, &token);
	} else {
		buf_char(&token, '\n');
		status = command_answer(&token);
	}
	claims_free(claims);
free_texts:
	buf_free(&payload);
	buf_free(&token);
	return status;
}

static int make_with(const struct config *config, const struct wishes *wishes)
{
	struct token_policy policy = settings_token_policy(config);
	struct key_set *keys;
	struct jwt_reader reader;
	struct buf error = {0};
	if (settings_make_keys(&keys, config, &error) != 0)
		return command_fail(COMMAND_MISUSED, &error);
	int status;
	if (keys == NULL || key_set_next(keys, NULL, KEY_HS256, slice_of(NULL, 0)) == NULL) {
		buf_string(&error, "no secret to sign with: set auth.jwt_secret or "
		                   "auth.jwt_secret_file");
		status = command_fail(COMMAND_MISUSED, &error);
	} else if (!jwt_reader_init(&reader)) {
		status = command_fail(COMMAND_FAILED, &error);
	} else {
		status = make(&reader, keys, wishes, &policy);
		jwt_reader_free(&reader);
	}
	key_set_destroy(keys);
	return status;
}

/* ---- the command ---- */

static int check_and_make(const struct config *config, struct wishes *wishes)
{
	const char *ttl = wishes->ttl != NULL ? wishes->ttl : TTL_DEFAULT;
	if (wishes->user == NULL)
		return command_misuse("token needs a", "--user");
	if (!claims_user_is_valid(slice_string(wishes->user)) ||
	    !utf8_is_valid(slice_string(wishes->user)))
		return command_misuse("a user is a name of 1 to 255 bytes, not", wishes->user);
	if (config_value_parse(CONFIG_KIND_TIME, TTL_LIMITS, slice_string(ttl), &wishes->ttl_ms) !=
	    0)
		return command_misuse("--ttl is not a time of 1s to 30d:", ttl);
	return make_with(config, wishes);
}

static int load_and_make(const struct config_sources *sources, struct wishes *wishes)
{
	struct buf error = {0};
	struct config config;
	if (config_load(&config, sources, &error) < 0)
		return command_fail(COMMAND_MISUSED, &error);
	int status = check_and_make(&config, wishes);
	config_free(&config);
	return status;
}

int cmd_token(int argc, char **argv)
{
	struct wishes wishes = {0};
	struct option_list settings = {0};
	char *file = NULL;
	const struct option_row rows[] = {
		{'c', NULL, OPTION_VALUE, &file},        {'o', NULL, OPTION_LIST, &settings},
		{0, "user", OPTION_VALUE, &wishes.user}, {0, "allow", OPTION_LIST, &wishes.allow},
		{0, "info", OPTION_VALUE, &wishes.info}, {0, "ttl", OPTION_VALUE, &wishes.ttl},
	};
	struct buf error = {0};
	int status;
	if (options_parse("token", rows, COUNT_OF(rows), argc, argv, &error) < 0) {
		status = command_fail(COMMAND_MISUSED, &error);
	} else {
		struct config_sources sources = {
			.file = file,
			.environment = environ,
			.options = settings.list,
			.option_count = settings.count,
		};
		status = load_and_make(&sources, &wishes);
	}
	option_list_free(&settings);
	option_list_free(&wishes.allow);
	return status;
}
