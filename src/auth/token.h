/*
 * token.h - what a client's token says: from its text to claims (SPEC section 6).
 *
 * Threads:   a reader is one thread's.
 * Ownership: claims are the caller's.
 * Limits:    TOKEN_BYTES_MAX, TOKEN_NAMES_MAX members, and those of hub/claims.h. A token with more
 *            of anything is not valid as a whole.
 * Source:    RFC 7519 section 4 (claims).
 */
#pragma once

#include "auth/jwt.h"
#include "hub/claims.h"
#include "starling/error.h"

#define TOKEN_NAMES_MAX 128
#define TOKEN_SKEW_MS 5000 /* so far may the clock be off of who made the token */

struct token_policy {
	const char *audience, *issuer; /* that a token must name; "": need not */
	bool needs_expiry;
};

/* ERROR_NONE and `*claims`; or ERROR_UNAUTHORIZED, or _UNAVAILABLE, and a sentence in `*why`. */
MUST_CHECK enum error_code token_read(struct jwt_reader *reader, const struct key_set *keys,
                                      const struct token_policy *policy, struct slice token,
                                      uint64_t now_unix_ms, struct claims **claims,
                                      const char **why);
