#include "edge/access.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "edge/exchange.h"
#include "edge/parameter.h"
#include "http/query.h"
#include "wire/utf8.h"

/* ---- keys and tokens ---- */

void access_digest(struct slice key, unsigned char digest[EDGE_KEY_DIGEST_BYTES])
{
	static_assert(EDGE_KEY_DIGEST_BYTES == SHA256_DIGEST_LENGTH, "a SHA-256 digest");
	SHA256((const unsigned char *)key.at, key.len, digest);
}

/* All keys are looked at, whichever fits. */
static bool is_api_key(const struct edge_settings *settings, struct slice token)
{
	unsigned char digest[EDGE_KEY_DIGEST_BYTES];
	bool is_one = false;
	access_digest(token, digest);
	for (size_t i = 0; i < settings->api_key_count; i++)
		is_one |= CRYPTO_memcmp(digest, settings->api_key_digests[i], sizeof(digest)) == 0;
	return is_one;
}

static bool bearer_of(const struct http_request *request, struct slice *token)
{
	const struct slice *header = http_request_header(request, "authorization");
	struct slice scheme, rest;
	if (header == NULL)
		return false;
	rest = *header;
	if (!slice_cut(&rest, ' ', &scheme) || !slice_equals_nocase(scheme, SLICE("bearer")))
		return false;
	*token = slice_trim(rest);
	return true;
}

static bool protocol_token(const struct http_request *request, struct slice *token)
{
	const struct slice *header = http_request_header(request, "sec-websocket-protocol");
	struct slice rest = header == NULL ? slice_of(NULL, 0) : *header, entry;
	while (slice_cut(&rest, ',', &entry)) {
		entry = slice_trim(entry);
		if (slice_starts(entry, SLICE("bearer."))) {
			*token = slice_after(entry, 7);
			return true;
		}
	}
	return false;
}

/* The token of a client, from wherever it may stand; false: there is none. */
static bool token_of(struct edge *edge, const struct http_request *request, struct slice *token)
{
	const struct slice *cookies = http_request_header(request, "cookie");
	if (bearer_of(request, token) || protocol_token(request, token))
		return true;
	buf_clear(&edge->text);
	if (parameter_get(request, "token", &edge->text) == PARAMETER_FOUND) {
		*token = buf_view(&edge->text);
		return true;
	}
	return cookies != NULL && http_cookie_find(*cookies, "starling_token", token);
}

/* ---- names ---- */

void access_forget(struct session *session)
{
	claims_free(session->claims);
	session->claims = NULL;
	session->is_backend = false;
}

/* In open mode a client says itself who it is. */
static enum error_code take_name(struct edge *edge, struct conn *conn,
                                 const struct http_request *request, const char **why)
{
	buf_clear(&edge->text);
	enum parameter_result got = parameter_get(request, "user", &edge->text);
	if (got == PARAMETER_ABSENT)
		return ERROR_NONE;
	if (got == PARAMETER_NO_MEMORY) {
		*why = why_no_memory;
		return ERROR_UNAVAILABLE;
	}
	struct claims_content content = {.expires_unix_ms = CLAIMS_NEVER,
	                                 .user = buf_view(&edge->text)};
	if (got == PARAMETER_BAD || !claims_user_is_valid(content.user) ||
	    !utf8_is_valid(content.user)) {
		*why = "user is not a name: 1 to 255 bytes of UTF-8 without control characters";
		return ERROR_BAD_REQUEST;
	}
	conn->session.claims = claims_make(&content);
	*why = why_no_memory;
	return conn->session.claims == NULL ? ERROR_UNAVAILABLE : ERROR_NONE;
}

enum error_code access_identify(struct edge *edge, struct conn *conn,
                                const struct http_request *request, const char **why)
{
	const struct edge_settings *settings = edge->settings;
	struct slice token;
	access_forget(&conn->session);
	bool has_keys = settings->api_key_count > 0;
	if ((has_keys || !settings->is_open) && token_of(edge, request, &token)) {
		conn->session.is_backend = is_api_key(settings, token);
		if (!conn->session.is_backend) {
			*why = "the token is not valid";
			return ERROR_UNAUTHORIZED;
		}
		return ERROR_NONE;
	}
	return settings->is_open ? take_name(edge, conn, request, why) : ERROR_NONE;
}

enum error_code access_refresh(struct edge *edge, struct conn *conn, struct slice token,
                               const char **why)
{
	(void)conn;
	(void)token;
	bool is_ignored = edge->settings->is_open && edge->settings->api_key_count == 0;
	*why = "the token is not valid";
	return is_ignored ? ERROR_NONE : ERROR_UNAUTHORIZED;
}

enum error_code access_identify_backend(struct edge *edge, struct conn *conn,
                                        const struct http_request *request, const char **why)
{
	struct slice token;
	access_forget(&conn->session);
	bool has_keys = edge->settings->api_key_count > 0;
	bool has_token = bearer_of(request, &token);
	if (edge->settings->is_open && !(has_keys && has_token)) {
		conn->session.is_backend = true;
		return ERROR_NONE;
	}
	conn->session.is_backend = has_token && is_api_key(edge->settings, token);
	*why = "the server API needs an API key: Authorization: Bearer KEY";
	return conn->session.is_backend ? ERROR_NONE : ERROR_UNAUTHORIZED;
}

/* ---- origins ---- */

static bool is_same_origin(const struct http_request *request, struct slice origin)
{
	struct slice rest = origin, scheme;
	if (!slice_cut(&rest, ':', &scheme) || !slice_starts(rest, SLICE("//")))
		return false;
	if (!slice_equals_nocase(scheme, SLICE("http")) &&
	    !slice_equals_nocase(scheme, SLICE("https")))
		return false;
	return slice_equals_nocase(slice_after(rest, 2), request->host);
}

static const char *listed_origin(const struct edge_settings *settings, struct slice origin)
{
	for (size_t i = 0; i < settings->origin_count; i++) {
		if (slice_equals_nocase(origin, slice_string(settings->origin_list[i])))
			return settings->origin_list[i];
	}
	return NULL;
}

bool access_origin_is_good(const struct edge *edge, const struct http_request *request)
{
	size_t count = http_request_header_count(request, "origin");
	if (count == 0)
		return true; /* not a page */
	if (count > 1)
		return false;
	struct slice origin = *http_request_header(request, "origin");
	return edge->settings->origins == EDGE_ORIGINS_ANY || is_same_origin(request, origin) ||
	       listed_origin(edge->settings, origin) != NULL;
}

const char *access_allow_origin(const struct edge *edge, const struct http_request *request)
{
	const struct slice *origin = http_request_header(request, "origin");
	if (origin == NULL)
		return NULL;
	if (edge->settings->origins == EDGE_ORIGINS_ANY)
		return "*";
	return listed_origin(edge->settings, *origin);
}
