/* url: what --url may say, and what becomes of it: "kind host port authority". */
#include "base/buf.h"
#include "cmd/url.h"

static const struct {
	const char *name, *text;
	const char *found; /* NULL: refused */
} cases[] = {
	{"the default", "http://127.0.0.1:8000", "http 127.0.0.1 8000 127.0.0.1:8000"},
	{"a name", "http://example.org:81", "http example.org 81 example.org:81"},
	{"http without a port is 80", "http://example.org", "http example.org 80 example.org"},
	{"https without a port is 443", "https://example.org", "https example.org 443 example.org"},
	{"https with a port", "https://h:8443", "https h 8443 h:8443"},
	{"a slash at the end is forgiven", "http://h:1/", "http h 1 h:1"},
	{"a scheme has no case", "HTTP://h", "http h 80 h"},
	{"IPv6 stands in brackets", "http://[::1]:8000", "http ::1 8000 [::1]:8000"},
	{"IPv6 without a port", "https://[fe80::1]", "https fe80::1 443 [fe80::1]"},
	{"a path of a socket", "unix:/run/starling.sock", "unix /run/starling.sock  localhost"},
	{"nothing", "", NULL},
	{"an address alone", "127.0.0.1:8000", NULL},
	{"a scheme alone", "http://", NULL},
	{"another scheme", "ws://h:1", NULL},
	{"a path behind the host", "http://h/x", NULL},
	{"two slashes at the end", "http://h//", NULL},
	{"a query", "http://h?x", NULL},
	{"a user", "http://u@h", NULL},
	{"a port of nothing", "http://h:", NULL},
	{"port 0", "http://h:0", NULL},
	{"a port beyond 65535", "http://h:65536", NULL},
	{"a port of more digits than that has", "http://h:008000", NULL},
	{"IPv6 without brackets", "http://::1", NULL},
	{"an address of three parts", "http://1.2.3", NULL},
	{"a blank", "http://h h", NULL},
	{"a line break", "http://h\r\nX: y", NULL},
	{"a socket without a path", "unix:", NULL},
	{"a socket's path is absolute", "unix:starling.sock", NULL},
};

static void found_write(const struct url *url, struct buf *found)
{
	static const char *const kinds[] = {
		[URL_HTTP] = "http", [URL_HTTPS] = "https", [URL_UNIX] = "unix"};
	buf_format(found, "%s %s %s ", kinds[url->kind], url->host, url->port);
	buf_slice(found, url->authority);
}

static void case_run(size_t i)
{
	struct url url;
	struct buf found = {0};
	printf("url: %s\n", cases[i].name);
	bool is_good = url_parse(slice_string(cases[i].text), &url);
	CHECK(is_good == (cases[i].found != NULL));
	if (is_good) {
		found_write(&url, &found);
		CHECK(slice_is(buf_view(&found), cases[i].found));
		CHECK(slice_is(url.text, cases[i].text));
	}
	buf_free(&found);
}

static void length_run(size_t host_len, const char *prefix, size_t len_max)
{
	struct buf text = {0};
	struct url url;
	buf_string(&text, prefix);
	for (size_t i = 0; i < host_len; i++)
		buf_char(&text, i == 0 ? '/' : 'a');
	if (prefix[0] == 'h')
		text.at[strlen(prefix)] = 'a';
	CHECK(url_parse(buf_view(&text), &url) == (host_len <= len_max));
	buf_free(&text);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		case_run(i);
	printf("url: hosts and paths have the length that the system has room for\n");
	for (size_t len = 100; len <= 300; len++) {
		length_run(len, "http://", 253);
		length_run(len, "unix:", 107);
	}
	return 0;
}
