/*
 * A number is read as a double: the whole seconds of all calendars fit, and what lies beyond them
 * is as good as endless.
 */
#include "auth/token.h"

#include <stdlib.h>

#include "hub/rule.h"
#include "starling/limits.h"
#include "wire/json.h"

#define UNIX_MS_MAX 1e18 /* some 30 million years */

enum claim { CLAIM_EXP = 0, CLAIM_NBF, CLAIM_ISS, CLAIM_AUD, CLAIM_SUB, CLAIM_INFO, CLAIM_ALLOW };

struct reading {
	struct jwt_reader *reader;
	const struct token_policy *policy;
	double now_ms;
	struct json_field fields[CLAIM_ALLOW + 1];
	struct claims_content content;
	struct claims_grant grants[CLAIMS_GRANTS_MAX];
};

/* Each reader of a claim answers NULL, or what is wrong with it. */
typedef const char *claim_fn(struct reading *r, struct json_value value);

/* A string, decoded into the scratch, which has room for all that a payload can hold. */
static bool read_text(struct reading *r, struct slice raw, struct slice *text)
{
	struct buf *scratch = &r->reader->scratch;
	size_t before = scratch->len;
	if (!json_string_decode(raw, scratch))
		return false;
	*text = buf_since(scratch, before);
	return true;
}

/* ---- when and for whom ---- */

/* Seconds since 1970, with a fraction maybe (RFC 7519 section 2, NumericDate), as milliseconds.
 * What follows a number within an object ends it for strtod() too. */
static bool read_date(struct json_value value, double *ms)
{
	if (value.kind != JSON_NUMBER)
		return false;
	char *end;
	*ms = strtod(value.raw.at, &end) * 1000;
	CHECK(end == value.raw.at + value.raw.len);
	return true;
}

/* Up to the skew after its end a token lets a client in; who is in is told at the end itself. */
static const char *read_exp(struct reading *r, struct json_value value)
{
	double ms;
	r->content.expires_unix_ms = CLAIMS_NEVER;
	if (value.kind == JSON_NONE)
		return r->policy->needs_expiry ? "the token has no exp" : NULL;
	if (!read_date(value, &ms))
		return "the token's exp is not a number";
	if (r->now_ms >= ms + TOKEN_SKEW_MS)
		return "the token has expired";
	if (r->now_ms >= ms)
		ms += TOKEN_SKEW_MS;
	if (ms < UNIX_MS_MAX)
		r->content.expires_unix_ms = (uint64_t)ms;
	return NULL;
}

static const char *read_nbf(struct reading *r, struct json_value value)
{
	double ms;
	if (value.kind == JSON_NONE)
		return NULL;
	if (!read_date(value, &ms))
		return "the token's nbf is not a number";
	return r->now_ms + TOKEN_SKEW_MS < ms ? "the token is not valid yet" : NULL;
}

static const char *read_iss(struct reading *r, struct json_value value)
{
	if (value.kind != JSON_NONE && value.kind != JSON_STRING)
		return "the token's iss is not a string";
	if (r->policy->issuer[0] == '\0')
		return NULL;
	bool is_it = value.kind == JSON_STRING &&
	             json_string_equals(value.raw, slice_string(r->policy->issuer));
	return is_it ? NULL : "the token is of another issuer";
}

static const char *read_aud(struct reading *r, struct json_value value)
{
	struct slice audience = slice_string(r->policy->audience);
	bool is_it = audience.len == 0;
	if (value.kind == JSON_STRING) {
		is_it |= json_string_equals(value.raw, audience);
	} else if (value.kind == JSON_ARRAY) {
		struct slice rest = json_open(value);
		struct json_value one;
		while (json_next_element(&rest, &one)) {
			if (one.kind != JSON_STRING)
				return "the token's aud is neither a string nor a list of them";
			is_it |= json_string_equals(one.raw, audience);
		}
	} else if (value.kind != JSON_NONE) {
		return "the token's aud is neither a string nor a list of them";
	}
	return is_it ? NULL : "the token is for another audience";
}

/* ---- who and what ---- */

static const char *read_sub(struct reading *r, struct json_value value)
{
	if (value.kind == JSON_NONE)
		return NULL;
	if (value.kind != JSON_STRING || !read_text(r, value.raw, &r->content.user) ||
	    !claims_user_is_valid(r->content.user))
		return "the token's sub is not a name of 1 to 255 bytes";
	return NULL;
}

static const char *read_info(struct reading *r, struct json_value value)
{
	if (value.kind == JSON_NONE || value.kind == JSON_NULL)
		return NULL;
	r->content.info = value.raw;
	return value.raw.len <= CLAIMS_INFO_MAX ? NULL : "the token's info is too long";
}

static bool read_rights(struct slice letters, unsigned *rights)
{
	static const struct {
		char letter;
		enum claims_right right;
	} known[] = {{'r', CLAIMS_READ}, {'w', CLAIMS_WRITE}, {'p', CLAIMS_PRESENCE}};
	*rights = 0;
	for (size_t at = 0; at < letters.len; at++) {
		size_t i = 0;
		while (i < COUNT_OF(known) && known[i].letter != letters.at[at])
			i++;
		if (i == COUNT_OF(known) || (*rights & known[i].right) != 0)
			return false;
		*rights |= known[i].right;
	}
	return true;
}

static const char *read_allow(struct reading *r, struct json_value value)
{
	static const char *const why = "the token's allow is not r, w and p by pattern";
	struct slice key_raw, letters;
	struct json_value one;
	if (value.kind == JSON_NONE)
		return NULL;
	if (value.kind != JSON_OBJECT)
		return why;
	struct buf *names = &r->reader->header;
	if (!json_names_are_unique(value, CLAIMS_GRANTS_MAX, names))
		return names->is_broken ? jwt_no_memory
		                        : "the token's allow has a pattern twice, or too many";
	struct slice rest = json_open(value);
	while (json_next_member(&rest, &key_raw, &one)) {
		struct claims_grant *grant = &r->grants[r->content.grant_count++];
		if (one.kind != JSON_STRING || !read_text(r, key_raw, &grant->pattern) ||
		    !read_text(r, one.raw, &letters) || !read_rights(letters, &grant->rights))
			return why;
		if (!channel_name_is_valid(grant->pattern))
			return "a pattern in the token's allow fits no channel name";
	}
	return NULL;
}

/* ---- all of them ---- */

static const struct {
	const char *name;
	claim_fn *read;
} claims_known[] = {
	[CLAIM_EXP] = {"exp", read_exp},       [CLAIM_NBF] = {"nbf", read_nbf},
	[CLAIM_ISS] = {"iss", read_iss},       [CLAIM_AUD] = {"aud", read_aud},
	[CLAIM_SUB] = {"sub", read_sub},       [CLAIM_INFO] = {"info", read_info},
	[CLAIM_ALLOW] = {"allow", read_allow},
};

static const char *read_claims(struct reading *r)
{
	const char *why = NULL;
	struct buf *names = &r->reader->header; /* which is done with: scratch */
	for (size_t i = 0; i < COUNT_OF(claims_known); i++)
		r->fields[i].name = claims_known[i].name;
	if (!json_read_strictly(buf_view(&r->reader->payload), MESSAGE_DEPTH_MAX, r->fields,
	                        COUNT_OF(r->fields), TOKEN_NAMES_MAX, names))
		return names->is_broken
		               ? jwt_no_memory
		               : "the token's claims are no JSON object with each name once";
	for (size_t i = 0; i < COUNT_OF(claims_known) && why == NULL; i++)
		why = claims_known[i].read(r, r->fields[i].value);
	return why;
}

/* What is decoded must not move while the claims look at it: decoding never lengthens. */
static bool reserve_scratch(struct jwt_reader *reader)
{
	buf_clear(&reader->scratch);
	return buf_room(&reader->scratch, reader->payload.len) != NULL;
}

enum error_code token_read(struct jwt_reader *reader, const struct key_set *keys,
                           const struct token_policy *policy, struct slice token,
                           uint64_t now_unix_ms, struct claims **claims, const char **why)
{
	struct reading r = {.reader = reader,
	                    .policy = policy,
	                    .now_ms = (double)now_unix_ms,
	                    .content = {.is_token = true}};
	*claims = NULL;
	*why = jwt_open(reader, keys, token);
	if (*why == NULL)
		*why = reserve_scratch(reader) ? read_claims(&r) : jwt_no_memory;
	if (*why != NULL)
		return *why == jwt_no_memory ? ERROR_UNAVAILABLE : ERROR_UNAUTHORIZED;
	r.content.grants = r.grants;
	r.content.key_number = reader->key_number;
	*claims = claims_make(&r.content);
	*why = jwt_no_memory;
	return *claims != NULL ? ERROR_NONE : ERROR_UNAVAILABLE;
}
