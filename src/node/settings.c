#include "node/settings.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/key_file.h"
#include "edge/access.h"
#include "net/tls_context.h"
#include "ops/complaint.h"
#include "ops/config_setting.h"

/* ---- files that a key of [auth] names ---- */

static bool is_set(const char *text)
{
	return text[0] != '\0';
}

/* What is wrong with a setting, or with the file that it names, as one line. */
static int blame(const struct config *config, enum config_id id, struct slice what, int result,
                 struct buf *error)
{
	buf_clear(error);
	config_setting_blame(config, config_setting_of(id), error);
	buf_slice(error, what);
	return result;
}

static int blame_file(const struct config *config, enum config_id id, const char *path,
                      struct slice what, int result, struct buf *error)
{
	struct buf line = {0};
	complaint_text(&line, slice_string(path));
	buf_string(&line, ": ");
	buf_slice(&line, what);
	blame(config, id, buf_view(&line), result, error);
	buf_free(&line);
	return result;
}

/* 0, or -errno with the complaint; `text` is to be wiped either way. */
static int read_file(const struct config *config, enum config_id id, const char *path,
                     struct buf *text, struct buf *error)
{
	struct buf why = {0};
	int result = config_read_secret(path, text, &why);
	if (result != 0)
		blame(config, id, buf_view(&why), result, error);
	buf_free(&why);
	return result;
}

/* ---- keys of the server API ---- */

static int add_key(struct edge_settings *settings, struct slice key)
{
	size_t count = settings->api_key_count + 1;
	void *digests = realloc(settings->api_key_digests, count * EDGE_KEY_DIGEST_BYTES);
	if (digests == NULL)
		return -ENOMEM;
	settings->api_key_digests = digests;
	if (!access_digest(key, settings->api_key_digests[settings->api_key_count]))
		return -ENOMEM;
	settings->api_key_count++;
	return 0;
}

/* A file holds keys as the setting does: with commas between, or a line each. */
static int add_keys_of_text(struct edge_settings *settings, struct slice text)
{
	struct slice line, key;
	int result = 0;
	while (result == 0 && slice_cut(&text, '\n', &line)) {
		while (result == 0 && slice_cut(&line, ',', &key)) {
			if (key.len > 0 && key.at[key.len - 1] == '\r')
				key.len--;
			key = slice_trim(key);
			if (key.len > 0)
				result = add_key(settings, key);
		}
	}
	return result;
}

static int add_keys_of_file(struct edge_settings *settings, const struct config *config,
                            struct buf *error)
{
	const enum config_id id = CONFIG_ID(auth, api_key_file);
	const char *path = config->auth.api_key_file;
	struct buf text = {0};
	int result = read_file(config, id, path, &text, error);
	if (result == 0)
		result = add_keys_of_text(settings, buf_view(&text));
	buf_wipe(&text);
	if (result == 0 && settings->api_key_count == 0)
		result = blame_file(config, id, path, SLICE("no key is in it"), -EINVAL, error);
	return result;
}

static int add_keys(struct edge_settings *settings, const struct config *config, struct buf *error)
{
	int result = 0;
	for (size_t i = 0; i < config->auth.api_key.count && result == 0; i++)
		result = add_key(settings, slice_string(config->auth.api_key.list[i]));
	if (result == 0 && is_set(config->auth.api_key_file))
		result = add_keys_of_file(settings, config, error);
	return result;
}

/* ---- keys of tokens ---- */

static int add_secret(struct key_set *keys, const struct config *config, struct buf *error)
{
	const char *why = NULL;
	struct buf text = {0};
	int result = 0;
	if (is_set(config->auth.jwt_secret)) {
		result = key_set_add_secret(keys, slice_string(config->auth.jwt_secret), &why);
	} else if (is_set(config->auth.jwt_secret_file)) {
		result = read_file(config, CONFIG_ID(auth, jwt_secret_file),
		                   config->auth.jwt_secret_file, &text, error);
		if (result == 0)
			result = key_set_add_secret(keys, buf_view(&text), &why);
		buf_wipe(&text);
	}
	return result;
}

static int add_public(struct key_set *keys, const struct config *config, struct buf *error)
{
	const enum config_id id = CONFIG_ID(auth, jwt_public_key_file);
	const char *path = config->auth.jwt_public_key_file;
	struct buf text = {0}, why = {0};
	if (!is_set(path))
		return 0;
	int result = read_file(config, id, path, &text, error);
	if (result == 0) {
		result = key_file_read(keys, buf_view(&text), &why);
		if (result != 0)
			blame_file(config, id, path, buf_view(&why), result, error);
	}
	buf_wipe(&text); /* somebody may have put a private key there */
	buf_free(&why);
	return result;
}

int settings_make_keys(struct key_set **keys, const struct config *config, struct buf *error)
{
	*keys = key_set_create();
	int result = *keys == NULL ? -ENOMEM : add_secret(*keys, config, error);
	if (result == 0)
		result = add_public(*keys, config, error);
	if (result == 0 && key_set_count(*keys) > 0)
		return 0;
	key_set_destroy(*keys);
	*keys = NULL;
	return result;
}

struct token_policy settings_token_policy(const struct config *config)
{
	return (struct token_policy){.audience = config->auth.jwt_audience,
	                             .issuer = config->auth.jwt_issuer,
	                             .needs_expiry = !config->is_open};
}

/* ---- keys of the mesh ---- */

struct secrets {
	struct slice list[PSK_SECRETS_MAX];
	size_t count;
};

/* As keys of the server API: with commas between, or a line each. False: too many. */
static bool split_secrets(struct slice text, struct secrets *secrets)
{
	struct slice line, secret;
	while (slice_cut(&text, '\n', &line)) {
		while (slice_cut(&line, ',', &secret)) {
			if (secret.len > 0 && secret.at[secret.len - 1] == '\r')
				secret.len--;
			secret = slice_trim(secret);
			if (secret.len == 0)
				continue;
			if (secrets->count == PSK_SECRETS_MAX)
				return false;
			secrets->list[secrets->count++] = secret;
		}
	}
	return true;
}

static int read_secrets(const struct config *config, struct buf *text, struct secrets *secrets,
                        struct buf *error)
{
	const enum config_id id = CONFIG_ID(mesh, secret_file);
	const char *path = config->mesh.secret_file;
	int result = read_file(config, id, path, text, error);
	if (result != 0)
		return result;
	if (!split_secrets(buf_view(text), secrets))
		return blame_file(config, id, path, SLICE("more than two secrets are in it"),
		                  -EINVAL, error);
	if (secrets->count == 0)
		return blame_file(config, id, path, SLICE("no secret is in it"), -EINVAL, error);
	return 0;
}

int settings_make_mesh_keys(struct psk_keys **keys, const struct config *config, struct buf *error)
{
	struct secrets secrets = {.count = config->mesh.secret.count};
	struct buf text = {0};
	int result = 0;
	*keys = NULL;
	if (config->mesh.listen.count == 0)
		return 0;
	for (size_t i = 0; i < secrets.count; i++)
		secrets.list[i] = slice_string(config->mesh.secret.list[i]);
	if (is_set(config->mesh.secret_file))
		result = read_secrets(config, &text, &secrets, error);
	if (result == 0) {
		*keys = psk_keys_create(secrets.list, secrets.count,
		                        slice_string(config->mesh.cluster));
		result = *keys == NULL ? -ENOMEM : 0;
	}
	buf_wipe(&text);
	if (result != 0 && error->len == 0)
		buf_format(error, "cannot make the keys of the mesh: %s", strerror(-result));
	return result;
}

/* ---- all of them ---- */

static enum edge_origins origins_of(const struct config *config)
{
	switch (config->auth.allowed_origins.rule) {
	case CONFIG_ORIGIN_ANY:
		return EDGE_ORIGINS_ANY;
	case CONFIG_ORIGIN_LISTED:
		return EDGE_ORIGINS_LISTED;
	case CONFIG_ORIGIN_SAME:
		break;
	}
	return EDGE_ORIGINS_SAME;
}

static int add_tls(struct edge_settings *settings, const struct config *config, struct buf *error)
{
	if (config->tls.cert[0] == '\0')
		return 0;
	settings->tls = tls_context_create(config->tls.cert, config->tls.key, error);
	return settings->tls == NULL ? -EINVAL : 0;
}

int settings_make(struct edge_settings *settings, const struct config *config, struct buf *error)
{
	*settings = (struct edge_settings){
		.is_open = config->is_open,
		.has_echo = config->listen.echo,
		.may_offload = config->tls.kernel,
		.logs_access = config->log.access && config->log.level <= CONFIG_LOG_INFO,
		.origins = origins_of(config),
		.origin_list = config->auth.allowed_origins.listed.list,
		.origin_count = config->auth.allowed_origins.listed.count,
		.token_policy = settings_token_policy(config),
		.connections_max = config->limits.connections,
		.connections_per_user = config->limits.connections_per_user,
		.connections_per_address = config->limits.connections_per_ip,
		.channels_max = config->limits.channels_per_connection,
		.message_rate = config->limits.message_rate,
		.message_burst = config->limits.message_burst,
		.message_bytes_max = config->limits.message_size_bytes,
		.outbound_bytes_max = config->limits.outbound_buffer_bytes,
		.header_bytes_max = config->limits.header_size_bytes,
		.header_timeout_ms = config->limits.header_timeout_ms,
		.idle_timeout_ms = config->limits.idle_timeout_ms,
		.heartbeat_interval_ms = config->heartbeat.interval_ms,
		.heartbeat_timeout_ms = config->heartbeat.timeout_ms,
		.proxies = config->listen.trusted_proxies.list,
		.proxy_count = config->listen.trusted_proxies.count,
		.rules = &config->rules,
	};
	int result = add_keys(settings, config, error);
	if (result == 0)
		result = settings_make_keys(&settings->token_keys, config, error);
	if (result == 0)
		result = add_tls(settings, config, error);
	if (result == 0)
		return 0;
	if (error->len == 0)
		buf_format(error, "cannot read the configuration: %s", strerror(-result));
	settings_free(settings);
	return result;
}

void settings_free(struct edge_settings *settings)
{
	free(settings->api_key_digests);
	key_set_destroy(settings->token_keys);
	tls_context_destroy(settings->tls);
	*settings = (struct edge_settings){0};
}
