#include "ops/config_check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ops/config_setting.h"

typedef int check_fn(const struct config *config, struct buf *error);

static check_fn check_listeners, check_tls, check_secrets, check_heartbeat, check_mesh, check_keys;

int config_check(const struct config *config, struct buf *error)
{
	static check_fn *const checks[] = {
		check_listeners, check_tls, check_secrets, check_heartbeat, check_mesh, check_keys,
	};
	for (size_t i = 0; i < COUNT_OF(checks); i++) {
		int result = checks[i](config, error);
		CHECK((result < 0) == (error->len > 0 || error->is_broken));
		if (result < 0)
			return result;
	}
	return 0;
}

static int refuse(const struct config *config, enum config_id id, const char *why,
                  struct buf *error)
{
	config_setting_blame(config, config_setting_of(id), error);
	buf_string(error, why);
	return -EINVAL;
}

static bool is_set(const char *text)
{
	CHECK(text != NULL);
	return text[0] != '\0';
}

static int check_listeners(const struct config *config, struct buf *error)
{
	if (config->listen.http.count > 0 || config->listen.https.count > 0)
		return 0;
	return refuse(config, CONFIG_ID(listen, http),
	              "nowhere to listen: set listen.http or listen.https", error);
}

static int check_tls(const struct config *config, struct buf *error)
{
	bool has_cert = is_set(config->tls.cert), has_key = is_set(config->tls.key);
	if (has_cert && !has_key)
		return refuse(config, CONFIG_ID(tls, cert), "needs tls.key", error);
	if (has_key && !has_cert)
		return refuse(config, CONFIG_ID(tls, key), "needs tls.cert", error);
	if (config->listen.https.count > 0 && !has_cert)
		return refuse(config, CONFIG_ID(listen, https), "needs tls.cert and tls.key",
		              error);
	return 0;
}

static int check_secrets(const struct config *config, struct buf *error)
{
	if (is_set(config->auth.jwt_secret) && is_set(config->auth.jwt_secret_file))
		return refuse(config, CONFIG_ID(auth, jwt_secret_file),
		              "auth.jwt_secret is set too; keep one of them", error);
	if (config->auth.api_key.count > 0 && is_set(config->auth.api_key_file))
		return refuse(config, CONFIG_ID(auth, api_key_file),
		              "auth.api_key is set too; keep one of them", error);
	if (config->mesh.secret.count > 0 && is_set(config->mesh.secret_file))
		return refuse(config, CONFIG_ID(mesh, secret_file),
		              "mesh.secret is set too; keep one of them", error);
	return 0;
}

static int check_heartbeat(const struct config *config, struct buf *error)
{
	if (config->heartbeat.timeout_ms > config->heartbeat.interval_ms)
		return 0;
	return refuse(config, CONFIG_ID(heartbeat, timeout),
	              "must be longer than heartbeat.interval", error);
}

/* The length of an address stands in one byte where nodes tell each other. */
static bool has_long_host(const struct config_addresses *hosts)
{
	for (size_t i = 0; i < hosts->count; i++) {
		if (strlen(hosts->list[i].text) > UINT8_MAX)
			return true;
	}
	return false;
}

static int check_mesh(const struct config *config, struct buf *error)
{
	static const char why_long[] = "an address has 255 bytes at most";
	bool has_secret = config->mesh.secret.count > 0 || is_set(config->mesh.secret_file);
	if (config->mesh.listen.count == 0) {
		if (config->mesh.join.count > 0)
			return refuse(config, CONFIG_ID(mesh, join), "needs mesh.listen", error);
		if (config->mesh.advertise.count > 0)
			return refuse(config, CONFIG_ID(mesh, advertise), "needs mesh.listen",
			              error);
		return 0;
	}
	if (has_long_host(&config->mesh.join))
		return refuse(config, CONFIG_ID(mesh, join), why_long, error);
	if (has_long_host(&config->mesh.advertise))
		return refuse(config, CONFIG_ID(mesh, advertise), why_long, error);
	if (config->mesh.listen.list[0].family == AF_UNIX)
		return refuse(config, CONFIG_ID(mesh, listen),
		              "nodes meet over TCP, not unix:", error);
	if (!has_secret)
		return refuse(config, CONFIG_ID(mesh, listen),
		              "needs mesh.secret or mesh.secret_file", error);
	if (config->limits.message_size_bytes > API_MESSAGE_BYTES_MAX)
		return refuse(config, CONFIG_ID(limits, message_size),
		              "the nodes of a mesh pass on messages of 1MiB at most", error);
	return 0;
}

static const struct config_address *find_public(const struct config_addresses *addresses)
{
	for (size_t i = 0; i < addresses->count; i++) {
		if (!config_address_is_loopback(&addresses->list[i]))
			return &addresses->list[i];
	}
	return NULL;
}

static int check_keys(const struct config *config, struct buf *error)
{
	if (config_is_open(config) || config_has_keys(config))
		return 0;
	enum config_id id = CONFIG_ID(listen, http);
	const struct config_address *address = find_public(&config->listen.http);
	if (address == NULL) {
		id = CONFIG_ID(listen, https);
		address = find_public(&config->listen.https);
	}
	CHECK(address != NULL); /* or open mode would have been on */
	config_setting_blame(config, config_setting_of(id), error);
	buf_format(error,
	           "%s is not on loopback and no key is set: set auth.jwt_secret, "
	           "auth.jwt_public_key_file or auth.api_key, or auth.open = yes",
	           address->text);
	return -EINVAL;
}

bool config_has_keys(const struct config *config)
{
	return is_set(config->auth.jwt_secret) || is_set(config->auth.jwt_secret_file) ||
	       is_set(config->auth.jwt_public_key_file) || config->auth.api_key.count > 0 ||
	       is_set(config->auth.api_key_file);
}

bool config_is_open(const struct config *config)
{
	if (config->auth.open)
		return true;
	return !config_has_keys(config) && find_public(&config->listen.http) == NULL &&
	       find_public(&config->listen.https) == NULL;
}
