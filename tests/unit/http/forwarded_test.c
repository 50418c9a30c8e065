/* Who a request is from: 10.0.0.0/8, fd00::/8 and local sockets are the proxies. */
#include "http/forwarded.h"

static struct network trusted[3];

static const struct {
	const char *claim, *from;
	const char *lines[3]; /* of X-Forwarded-For, and one that is not */
	const char *expected;
} rows[] = {
	{"who is trusted by nobody is who it is", "192.0.2.1", {"198.51.100.1"}, "192.0.2.1"},
	{"a proxy that says nothing is itself", "10.0.0.1", {NULL}, "10.0.0.1"},
	{"a proxy is believed", "10.0.0.1", {"198.51.100.1"}, "198.51.100.1"},
	{"a proxy on a local socket too", "unix", {"198.51.100.1"}, "198.51.100.1"},
	{"what others wrote in front is not",
         "10.0.0.1",
         {"8.8.8.8, 198.51.100.1"},
         "198.51.100.1"},
	{"a chain of proxies is gone along",
         "10.0.0.1",
         {"8.8.8.8, 198.51.100.1, 10.0.0.3, fd00::2"},
         "198.51.100.1"},
	{"to its beginning, where all are trusted", "10.0.0.1", {"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
	{"the last line is the nearest",
         "10.0.0.1",
         {"8.8.8.8", "198.51.100.1,10.0.0.3"},
         "198.51.100.1"},
	{"and those above go on",
         "10.0.0.1",
         {"8.8.8.8, 198.51.100.1", "10.0.0.3"},
         "198.51.100.1"},
	{"blanks mean nothing", "10.0.0.1", {" \t198.51.100.1\t ,  10.0.0.2  "}, "198.51.100.1"},
	{"an IPv6 client", "10.0.0.1", {"2001:db8::7"}, "2001:db8::7"},
	{"with a port", "10.0.0.1", {"[2001:db8::7]:4711"}, "2001:db8::7"},
	{"with brackets", "10.0.0.1", {"[2001:db8::7]"}, "2001:db8::7"},
	{"an IPv4 client with a port", "10.0.0.1", {"198.51.100.1:4711"}, "198.51.100.1"},
	{"a word is nobody's address", "10.0.0.1", {"198.51.100.1, unknown"}, "10.0.0.1"},
	{"nor is an empty entry", "10.0.0.1", {"198.51.100.1,"}, "10.0.0.1"},
	{"nor an empty line", "10.0.0.1", {"198.51.100.1", ""}, "10.0.0.1"},
	{"who wrote nonsense is taken for it", "10.0.0.1", {"x, 10.0.0.2"}, "10.0.0.2"},
	{"a port is a number", "10.0.0.1", {"198.51.100.1:x"}, "10.0.0.1"},
	{"up to 65535", "10.0.0.1", {"198.51.100.1:65536"}, "10.0.0.1"},
	{"and is there behind a colon", "10.0.0.1", {"198.51.100.1:"}, "10.0.0.1"},
	{"brackets are closed", "10.0.0.1", {"[2001:db8::7"}, "10.0.0.1"},
	{"and hold IPv6", "10.0.0.1", {"[198.51.100.1]"}, "10.0.0.1"},
	{"nothing but a port is behind them", "10.0.0.1", {"[2001:db8::7]x"}, "10.0.0.1"},
	{"local sockets pass nothing on from afar", "10.0.0.1", {"unix"}, "10.0.0.1"},
};

static struct address address_of(const char *text)
{
	struct address address = {.family = ADDRESS_LOCAL};
	CHECK(strcmp(text, "unix") == 0 || address_parse(slice_string(text), &address));
	return address;
}

static void add_line(struct http_headers *headers, const char *name, const char *value)
{
	headers->list[headers->count++] =
		(struct http_header){slice_string(name), slice_string(value)};
}

int main(void)
{
	CHECK(network_parse(SLICE("10.0.0.0/8"), &trusted[0]));
	CHECK(network_parse(SLICE("fd00::/8"), &trusted[1]));
	CHECK(network_parse(SLICE("unix"), &trusted[2]));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct http_headers headers;
		char text[ADDRESS_TEXT_MAX];
		printf("forwarded: %s\n", rows[i].claim);
		http_headers_begin(&headers, 1);
		add_line(&headers, "X-Forwarded-Host", "9.9.9.9");
		for (size_t k = 0; rows[i].lines[k] != NULL; k++)
			add_line(&headers, k % 2 == 0 ? "X-Forwarded-For" : "x-forwarded-for",
			         rows[i].lines[k]);
		add_line(&headers, "Forwarded", "for=9.9.9.9");
		struct address got = http_forwarded_for(&headers, address_of(rows[i].from), trusted,
		                                        COUNT_OF(trusted));
		address_write(text, &got);
		CHECK(strcmp(text, rows[i].expected) == 0);
	}
	return 0;
}
