#include "edge/access.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "edge/exchange.h"
#include "edge/parameter.h"
#include "http/query.h"
#include "wire/utf8.h"

/* ---- keys and tokens ---- */

bool access_digest(struct slice key, unsigned char digest[EDGE_KEY_DIGEST_BYTES])
{
	static_assert(EDGE_KEY_DIGEST_BYTES == SHA256_DIGEST_LENGTH, "a SHA-256 digest");
	const char *at = key.len > 0 ? key.at : "";
	return SHA256((const unsigned char *)at, key.len, digest) != NULL;
}

/* What an API key is known by, once it has let somebody in. */
static uint32_t number_of(const unsigned char digest[EDGE_KEY_DIGEST_BYTES])
{
	uint32_t number;
	memcpy(&number, digest, sizeof(number));
	return number;
}

/* All keys are looked at, whichever fits. False: no memory to say. */
static bool compare_api_keys(const struct edge_settings *settings, struct slice token, bool *is_one,
                             uint32_t *number)
{
	unsigned char digest[EDGE_KEY_DIGEST_BYTES];
	*is_one = false;
	if (settings->api_key_count == 0)
		return true;
	if (!access_digest(token, digest))
		return false;
	for (size_t i = 0; i < settings->api_key_count; i++)
		*is_one |= CRYPTO_memcmp(digest, settings->api_key_digests[i], sizeof(digest)) == 0;
	*number = number_of(digest);
	return true;
}

/* In open mode without keys a token says nothing; with keys, one that is given must be good. */
static bool ignores_tokens(const struct edge_settings *settings)
{
	return settings->is_open && settings->api_key_count == 0 && settings->token_keys == NULL;
}

/* To verify one takes 0.1 ms: what else the client has sent waits for the next turn. */
static enum error_code read_token(struct edge *edge, struct session *session, struct slice token,
                                  struct claims **claims, const char **why)
{
	const struct edge_settings *settings = edge->settings;
	*why = "the token is no API key, and no keys for other tokens are set";
	if (settings->token_keys == NULL)
		return ERROR_UNAUTHORIZED;
	conn_of(session)->is_served = true;
	return token_read(&edge->tokens, settings->token_keys, &settings->token_policy, token,
	                  loop_unix_ms(edge->loop), claims, why);
}

/* An API key or a token makes the session what it is. `*number` is the API key's. */
static enum error_code take_token(struct edge *edge, struct session *session, struct slice token,
                                  uint32_t *number, const char **why)
{
	*why = why_no_memory;
	bool is_one;
	if (!compare_api_keys(edge->settings, token, &is_one, number))
		return ERROR_UNAVAILABLE;
	session->is_backend = is_one;
	if (session->is_backend)
		return ERROR_NONE;
	return read_token(edge, session, token, &session->claims, why);
}

/* For a session that stays: its key may be taken away. */
static enum error_code take_client_token(struct edge *edge, struct session *session,
                                         struct slice token, const char **why)
{
	struct claims_content content = {.expires_unix_ms = CLAIMS_NEVER};
	enum error_code error = take_token(edge, session, token, &content.key_number, why);
	if (!session->is_backend)
		return error;
	session->claims = claims_make(&content);
	*why = why_no_memory;
	return session->claims == NULL ? ERROR_UNAVAILABLE : ERROR_NONE;
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

static bool token_in_list(struct slice list, struct slice *token)
{
	struct slice entry;
	while (slice_cut(&list, ',', &entry)) {
		entry = slice_trim(entry);
		if (slice_starts(entry, SLICE("bearer."))) {
			*token = slice_after(entry, 7);
			return true;
		}
	}
	return false;
}

static bool protocol_token(const struct http_request *request, struct slice *token)
{
	const struct http_headers *headers = &request->headers;
	for (size_t i = 0; i < headers->count; i++) {
		const struct http_header *header = &headers->list[i];
		if (slice_equals_nocase(header->name, SLICE("sec-websocket-protocol")) &&
		    token_in_list(header->value, token))
			return true;
	}
	return false;
}

/* The token of a client, from wherever it may stand. */
static enum parameter_result token_of(struct edge *edge, const struct http_request *request,
                                      struct slice *token)
{
	const struct slice *cookies = http_request_header(request, "cookie");
	if (bearer_of(request, token) || protocol_token(request, token))
		return PARAMETER_FOUND;
	buf_clear(&edge->text);
	enum parameter_result got = parameter_get(request, "token", &edge->text);
	*token = buf_view(&edge->text);
	if (got == PARAMETER_ABSENT && cookies != NULL &&
	    http_cookie_find(*cookies, "starling_token", token))
		got = PARAMETER_FOUND;
	return got;
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
	struct slice token;
	enum parameter_result got = PARAMETER_ABSENT;
	access_forget(&conn->session);
	if (!ignores_tokens(edge->settings))
		got = token_of(edge, request, &token);
	switch (got) {
	case PARAMETER_FOUND:
		return take_client_token(edge, &conn->session, token, why);
	case PARAMETER_BAD:
		*why = "the token is not decodable";
		return ERROR_UNAUTHORIZED;
	case PARAMETER_NO_MEMORY:
		*why = why_no_memory;
		return ERROR_UNAVAILABLE;
	default:
		return edge->settings->is_open ? take_name(edge, conn, request, why) : ERROR_NONE;
	}
}

bool access_needs_proof(struct edge *edge, const struct http_request *request)
{
	struct slice token;
	uint32_t number;
	bool is_one;
	return edge->settings->token_keys != NULL &&
	       token_of(edge, request, &token) == PARAMETER_FOUND &&
	       compare_api_keys(edge->settings, token, &is_one, &number) && !is_one;
}

bool access_still_holds(const struct edge *edge, const struct session *session)
{
	const struct edge_settings *settings = edge->settings;
	const struct claims *claims = session->claims;
	bool is_one = false;
	if (claims == NULL || ignores_tokens(settings))
		return true;
	if (claims->is_token)
		return settings->token_keys != NULL &&
		       key_set_has_number(settings->token_keys, claims->key_number);
	if (!session->is_backend)
		return settings->is_open; /* it has said itself who it is */
	for (size_t i = 0; i < settings->api_key_count; i++)
		is_one |= number_of(settings->api_key_digests[i]) == claims->key_number;
	return is_one;
}

/* Each way to take a token is one that stays, or one for a single answer. */
typedef enum error_code take_fn(struct edge *edge, struct session *session, struct slice token,
                                const char **why);

static enum error_code take_once(struct edge *edge, struct session *session, struct slice token,
                                 const char **why)
{
	uint32_t number;
	return take_token(edge, session, token, &number, why);
}

static enum error_code identify_backend(struct edge *edge, struct conn *conn,
                                        const struct http_request *request, take_fn *take,
                                        const char **why)
{
	struct session *session = &conn->session;
	bool is_open = edge->settings->is_open;
	struct slice token;
	access_forget(session);
	*why = "the server API needs an API key: Authorization: Bearer KEY";
	enum error_code error = is_open ? ERROR_NONE : ERROR_UNAUTHORIZED;
	if (!ignores_tokens(edge->settings) && bearer_of(request, &token))
		error = take(edge, session, token, why);
	if (error != ERROR_NONE)
		return error;
	session->is_backend |= is_open;
	*why = "the server API needs an API key, not a token";
	return session->is_backend ? ERROR_NONE : ERROR_FORBIDDEN;
}

enum error_code access_identify_backend(struct edge *edge, struct conn *conn,
                                        const struct http_request *request, const char **why)
{
	return identify_backend(edge, conn, request, take_once, why);
}

enum error_code access_admit_backend(struct edge *edge, struct conn *conn,
                                     const struct http_request *request, const char **why)
{
	return identify_backend(edge, conn, request, take_client_token, why);
}

bool access_still_backs(const struct edge *edge, const struct session *session)
{
	return session->claims == NULL ? edge->settings->is_open
	                               : access_still_holds(edge, session);
}

/* ---- a token that comes later ---- */

static bool is_of_same_user(const struct session *session, const struct claims *claims)
{
	struct slice user = session_user(session);
	return user.len == 0 || slice_equals(user, claims_user(claims));
}

enum error_code access_refresh(struct edge *edge, struct conn *conn, struct slice token,
                               const char **why)
{
	struct session *session = &conn->session;
	struct claims *claims;
	if (ignores_tokens(edge->settings))
		return ERROR_NONE;
	*why = "this connection holds an API key, and needs no token";
	if (session->is_backend)
		return ERROR_FORBIDDEN;
	enum error_code error = read_token(edge, session, token, &claims, why);
	if (error != ERROR_NONE)
		return error;
	*why = "the token is of another user";
	if (!is_of_same_user(session, claims)) {
		claims_free(claims);
		return ERROR_FORBIDDEN;
	}
	claims_free(session->claims);
	session->claims = claims;
	return ERROR_NONE;
}

/* ---- origins ---- */

/* A plain connection may come from a proxy that speaks TLS with the client. */
static bool is_same_origin(const struct conn *conn, const struct http_request *request,
                           struct slice origin)
{
	struct slice rest = origin, scheme;
	if (!slice_cut(&rest, ':', &scheme) || !slice_starts(rest, SLICE("//")))
		return false;
	bool is_http = !conn->is_secure && slice_equals_nocase(scheme, SLICE("http"));
	if (!is_http && !slice_equals_nocase(scheme, SLICE("https")))
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

bool access_origin_is_good(const struct edge *edge, const struct conn *conn,
                           const struct http_request *request)
{
	size_t count = http_request_header_count(request, "origin");
	if (count == 0)
		return true; /* not a page */
	if (count > 1)
		return false;
	struct slice origin = *http_request_header(request, "origin");
	return edge->settings->origins == EDGE_ORIGINS_ANY ||
	       is_same_origin(conn, request, origin) ||
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
