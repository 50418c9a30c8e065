/*
 * claims.h - who a client is and what its token lets it do.
 *
 * Threads:   a value that does not change once it is made.
 * Ownership: one allocation, its maker's until claims_free(); all texts are copied into it.
 * Limits:    USER_NAME_MAX bytes of user, CLAIMS_INFO_MAX of info, CLAIMS_GRANTS_MAX patterns
 *            that are good as channel names: the maker has checked them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "starling/limits.h"

#define CLAIMS_NEVER UINT64_MAX /* when what does not expire does */

/* Rights in a channel, a bit each. Who may read may see who else is there. */
enum claims_right {
	CLAIMS_READ = 1,     /* subscribe, history */
	CLAIMS_WRITE = 2,    /* publish */
	CLAIMS_PRESENCE = 4, /* ask who is there */
};

struct claims_grant {
	struct slice pattern;
	unsigned rights; /* of enum claims_right */
};

/* What claims are made of. */
struct claims_content {
	bool is_token;            /* signed; else only a name that nobody vouched for */
	uint32_t key_number;      /* of the key that vouches for it: see auth/key.h */
	uint64_t expires_unix_ms; /* or CLAIMS_NEVER */
	struct slice user;        /* empty: nobody in particular */
	struct slice info;        /* JSON; empty: none */
	const struct claims_grant *grants;
	size_t grant_count;
};

struct claims {
	uint64_t expires_unix_ms; /* or CLAIMS_NEVER */
	uint32_t key_number;
	bool is_token;

	/* private: behind the grants lie the user, info and the patterns, one after the other */
	uint8_t user_len;
	uint16_t info_len, grant_count;
	struct claims_packed {
		uint16_t at; /* of the pattern, in those bytes */
		uint8_t len, rights;
	} grants[];
};

static_assert(sizeof(struct claims) <= 24, "a client with a token pays so much and its texts");

struct claims *claims_make(const struct claims_content *content); /* NULL: no memory */
void claims_free(struct claims *claims);                          /* NULL is fine */

struct slice claims_user(const struct claims *claims);
struct slice claims_info(const struct claims *claims);

/* Does a grant give one of these rights in that channel? */
bool claims_allow(const struct claims *claims, struct slice channel, unsigned rights);

/* 1 to USER_NAME_MAX bytes without ASCII control characters; whether they are UTF-8 was seen to
 * where they came in. */
bool claims_user_is_valid(struct slice name);
