/*
 * url.h - where a server is, as --url says it: http://HOST[:PORT], https://..., unix:/PATH.
 *
 * Threads:   pure functions.
 * Ownership: `text` and `authority` look into the text that was parsed.
 * Limits:    nothing behind the host but a slash: the paths are the server's own. No user.
 */
#pragma once

#include <stdbool.h>

#include "base/check.h"
#include "base/slice.h"

#define URL_HOST_MAX 255 /* a DNS name; more than sun_path has room for */

enum url_kind { URL_HTTP = 0, URL_HTTPS, URL_UNIX };

struct url {
	enum url_kind kind;
	struct slice text;
	struct slice authority;      /* the value of Host */
	char host[URL_HOST_MAX + 1]; /* without brackets; of URL_UNIX the path */
	char port[6];                /* empty for URL_UNIX */
};

MUST_CHECK bool url_parse(struct slice text, struct url *url);
