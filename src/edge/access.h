/*
 * access.h - who a client is, and which pages may speak to us.
 *
 * Threads:   the worker's own.
 * Ownership: a session's claims are made here and freed by access_forget().
 * Limits:    USER_NAME_MAX bytes of user name. Keys are compared by their digests, in
 *            constant time.
 * Source:    RFC 6750 (bearer tokens), RFC 6454 (origins), the Fetch standard (CORS).
 */
#pragma once

#include "edge/conn.h"
#include "starling/error.h"

/* Sets the session's claims from the request; or says why not. */
enum error_code access_identify(struct edge *edge, struct conn *conn,
                                const struct http_request *request, const char **why);
/* The same from a token that the client sends later. ERROR_NONE: its claims may be others. */
enum error_code access_refresh(struct edge *edge, struct conn *conn, struct slice token,
                               const char **why);
/* The same for the server API: a backend, or refused. */
enum error_code access_identify_backend(struct edge *edge, struct conn *conn,
                                        const struct http_request *request, const char **why);
/* The same for a request that goes on, while its key may be taken away. */
enum error_code access_admit_backend(struct edge *edge, struct conn *conn,
                                     const struct http_request *request, const char **why);

/* Does it bring a token, no API key, so that a signature is to be checked? */
bool access_needs_proof(struct edge *edge, const struct http_request *request);

/* Settings are others: is what this client was let in by still good? */
bool access_still_holds(const struct edge *edge, const struct session *session);
/* And one that was admitted: is it still a backend? */
bool access_still_backs(const struct edge *edge, const struct session *session);

void access_forget(struct session *session); /* an anonymous client again */

/* False: the request comes from a page of an origin that is not let in. */
bool access_origin_is_good(const struct edge *edge, const struct conn *conn,
                           const struct http_request *request);
/* What Access-Control-Allow-Origin answers; NULL: nothing. */
const char *access_allow_origin(const struct edge *edge, const struct http_request *request);

/* False: no memory. */
MUST_CHECK bool access_digest(struct slice key, unsigned char digest[EDGE_KEY_DIGEST_BYTES]);
