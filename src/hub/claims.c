#include "hub/claims.h"

#include <stdlib.h>

#include "base/check.h"
#include "hub/rule.h"

static_assert(USER_NAME_MAX + CLAIMS_INFO_MAX + CLAIMS_GRANTS_MAX * CHANNEL_NAME_MAX <= UINT16_MAX,
              "places in the texts are 16 bits");

static const char *texts_of(const struct claims *claims)
{
	return (const char *)(claims->grants + claims->grant_count);
}

/* ---- making ---- */

static size_t texts_len(const struct claims_content *content)
{
	size_t len = content->user.len + content->info.len;
	for (size_t i = 0; i < content->grant_count; i++)
		len += content->grants[i].pattern.len;
	return len;
}

/* Copies a text to `texts` + `at`; gives the place behind it. */
static size_t put(char *texts, size_t at, struct slice text)
{
	if (text.len > 0)
		memcpy(texts + at, text.at, text.len);
	return at + text.len;
}

struct claims *claims_make(const struct claims_content *content)
{
	CHECK(content->user.len == 0 || claims_user_is_valid(content->user));
	CHECK(content->info.len <= CLAIMS_INFO_MAX);
	CHECK(content->grant_count <= CLAIMS_GRANTS_MAX);
	size_t count = content->grant_count;
	struct claims *claims =
		malloc(sizeof(*claims) + count * sizeof(claims->grants[0]) + texts_len(content));
	if (claims == NULL)
		return NULL;

	*claims = (struct claims){.expires_unix_ms = content->expires_unix_ms,
	                          .key_number = content->key_number,
	                          .is_token = content->is_token,
	                          .user_len = (uint8_t)content->user.len,
	                          .info_len = (uint16_t)content->info.len,
	                          .grant_count = (uint16_t)count};
	char *texts = (char *)(claims->grants + count);
	size_t at = put(texts, 0, content->user);
	at = put(texts, at, content->info);
	for (size_t i = 0; i < count; i++) {
		const struct claims_grant *grant = &content->grants[i];
		CHECK(channel_name_is_valid(grant->pattern));
		claims->grants[i] = (struct claims_packed){.at = (uint16_t)at,
		                                           .len = (uint8_t)grant->pattern.len,
		                                           .rights = (uint8_t)grant->rights};
		at = put(texts, at, grant->pattern);
	}
	return claims;
}

void claims_free(struct claims *claims)
{
	free(claims);
}

/* ---- asking ---- */

struct slice claims_user(const struct claims *claims)
{
	return slice_of(texts_of(claims), claims->user_len);
}

struct slice claims_info(const struct claims *claims)
{
	return slice_of(texts_of(claims) + claims->user_len, claims->info_len);
}

bool claims_allow(const struct claims *claims, struct slice channel, unsigned rights)
{
	for (size_t i = 0; i < claims->grant_count; i++) {
		const struct claims_packed *grant = &claims->grants[i];
		struct slice pattern = slice_of(texts_of(claims) + grant->at, grant->len);
		if ((grant->rights & rights) != 0 && rule_matches(pattern, channel))
			return true;
	}
	return false;
}

bool claims_user_is_valid(struct slice name)
{
	if (name.len == 0 || name.len > USER_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if ((unsigned char)name.at[i] < ' ' || name.at[i] == 0x7f)
			return false;
	}
	return true;
}
