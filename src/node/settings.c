#include "node/settings.h"

#include <errno.h>
#include <stdlib.h>

#include "edge/access.h"

static int add_key(struct edge_settings *settings, struct slice key)
{
	size_t count = settings->api_key_count + 1;
	void *digests = realloc(settings->api_key_digests, count * EDGE_KEY_DIGEST_BYTES);
	if (digests == NULL)
		return -ENOMEM;
	settings->api_key_digests = digests;
	access_digest(key, settings->api_key_digests[settings->api_key_count++]);
	return 0;
}

/* A file holds keys as the setting does: with commas between, or a line each. */
static int add_keys_of_file(struct edge_settings *settings, const char *path, struct buf *error)
{
	struct buf text = {0};
	int result = config_read_secret(path, &text, error);
	struct slice lines = buf_view(&text), line, key;
	while (result == 0 && slice_cut(&lines, '\n', &line)) {
		while (result == 0 && slice_cut(&line, ',', &key)) {
			key = slice_trim(key);
			if (key.len > 0)
				result = add_key(settings, key);
		}
	}
	if (text.at != NULL)
		explicit_bzero(text.at, text.len);
	buf_free(&text);
	return result;
}

static int add_keys(struct edge_settings *settings, const struct config *config, struct buf *error)
{
	int result = 0;
	for (size_t i = 0; i < config->auth.api_key.count && result == 0; i++)
		result = add_key(settings, slice_string(config->auth.api_key.list[i]));
	const char *path = config->auth.api_key_file;
	if (result == 0 && path != NULL && path[0] != '\0')
		result = add_keys_of_file(settings, path, error);
	return result;
}

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

int settings_make(struct edge_settings *settings, const struct config *config, struct buf *error)
{
	*settings = (struct edge_settings){
		.is_open = config->is_open,
		.has_echo = config->listen.echo,
		.origins = origins_of(config),
		.origin_list = config->auth.allowed_origins.listed.list,
		.origin_count = config->auth.allowed_origins.listed.count,
		.connections_max = config->limits.connections,
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
		.rules = &config->rules,
	};
	int result = add_keys(settings, config, error);
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
	*settings = (struct edge_settings){0};
}
