#include "cmd/url.h"

#include <sys/un.h>

#include "ops/config_address.h"

static const struct {
	const char *scheme;
	enum url_kind kind;
	const char *port;
} schemes[] = {
	{"http", URL_HTTP, "80"},
	{"https", URL_HTTPS, "443"},
};

static void copy_text(char *out, struct slice text)
{
	memcpy(out, text.at, text.len);
	out[text.len] = '\0';
}

static bool parse_unix(struct slice path, struct url *url)
{
	static_assert(sizeof(((struct sockaddr_un *)NULL)->sun_path) <= sizeof(url->host),
	              "a path that fits a socket's address fits");
	if (path.len >= sizeof(((struct sockaddr_un *)NULL)->sun_path) ||
	    !slice_starts(path, SLICE("/")) || memchr(path.at, '\0', path.len) != NULL)
		return false;
	url->kind = URL_UNIX;
	url->authority = SLICE("localhost");
	copy_text(url->host, path);
	return true;
}

/* The authority is known to be a good one; a colon inside of brackets is the host's. */
static void cut_authority(struct url *url)
{
	struct slice host = url->authority, port;
	if (host.at[0] == '[') {
		port = slice_after(host, 1);
		CHECK(slice_cut(&port, ']', &host));
		if (port.len > 0)
			port = slice_after(port, 1);
	} else {
		port = host;
		slice_cut(&port, ':', &host);
	}
	CHECK(host.len <= URL_HOST_MAX);
	CHECK(port.len < sizeof(url->port));
	copy_text(url->host, host);
	if (port.len > 0)
		copy_text(url->port, port);
}

bool url_parse(struct slice text, struct url *url)
{
	*url = (struct url){.text = text};
	if (slice_starts(text, SLICE("unix:")))
		return parse_unix(slice_after(text, strlen("unix:")), url);
	if (text.len > 0 && text.at[text.len - 1] == '/')
		text.len--;
	if (!config_origin_is_valid(text))
		return false;

	struct slice scheme;
	url->authority = text;
	CHECK(slice_cut(&url->authority, ':', &scheme));
	url->authority = slice_after(url->authority, strlen("//"));
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		if (!slice_equals_nocase(scheme, slice_string(schemes[i].scheme)))
			continue;
		url->kind = schemes[i].kind;
		copy_text(url->port, slice_string(schemes[i].port));
		cut_authority(url);
		return true;
	}
	return false;
}
