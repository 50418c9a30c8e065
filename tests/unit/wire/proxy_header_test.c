/*
 * Each row is read whole, with bytes behind it, and as every prefix, always from memory that ends
 * where the input does: what is not whole may still be one, and what was judged stays so.
 */
#include "../guard.h"
#include "base/buf.h"
#include "wire/proxy_header.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\x00\x02\x01\xc6\x33\x64\x01\x1f\x90\x01\xbb"
#define V6_ADDRESS "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"
#define V6 V6_ADDRESS "\x01" V6_ADDRESS "\x02\x1f\x90\x01\xbb"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01"
#define FILL_54 "012345678901234567890123456789012345678901234567890123"
#define PATH_108 FILL_54 FILL_54

/* What is found: "ADDRESS PORT"; "-": no address is named. */
static const struct {
	const char *claim;
	struct slice bytes;
	const char *found;
} good[] = {
	{"a line of IPv4", SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 8080 443\r\n"),
         "192.0.2.1 8080"},
	{"a line of IPv6", SLICE_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 8080 443\r\n"),
         "2001:db8::1 8080"},
	{"an IPv4 address in the dress of IPv6",
         SLICE_INIT("PROXY TCP6 ::ffff:192.0.2.1 ::1 8080 443\r\n"), "192.0.2.1 8080"},
	{"the longest line there is",
         SLICE_INIT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"},
	{"port 0", SLICE_INIT("PROXY TCP4 0.0.0.0 255.255.255.255 0 0\r\n"), "0.0.0.0 0"},
	{"an unknown client", SLICE_INIT("PROXY UNKNOWN\r\n"), "-"},
	{"whatever is said of it",
         SLICE_INIT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
         "-"},
	{"bytes of IPv4", SLICE_INIT(V2 "\x21\x11\x00\x0c" V4), "192.0.2.1 8080"},
	{"bytes of IPv6", SLICE_INIT(V2 "\x21\x21\x00\x24" V6), "2001:db8::1 8080"},
	{"the dress in bytes", SLICE_INIT(V2 "\x21\x21\x00\x24" MAPPED MAPPED "\x1f\x90\x01\xbb"),
         "192.0.2.1 8080"},
	{"TLVs are passed over",
         SLICE_INIT(V2 "\x21\x11\x00\x13" V4 "\x04\x00\x04\x01\x02\x03\x04"), "192.0.2.1 8080"},
	{"also where they make no sense", SLICE_INIT(V2 "\x21\x11\x00\x0e" V4 "\x04\xff"),
         "192.0.2.1 8080"},
	{"a proxy that speaks for itself", SLICE_INIT(V2 "\x20\x00\x00\x00"), "-"},
	{"whatever family it names",
         SLICE_INIT(V2 "\x20\xff\x00\x03"
                       "abc"),
         "-"},
	{"even with addresses", SLICE_INIT(V2 "\x20\x11\x00\x0c" V4), "-"},
	{"no family", SLICE_INIT(V2 "\x21\x00\x00\x00"), "-"},
	{"no family with bytes",
         SLICE_INIT(V2 "\x21\x00\x00\x05"
                       "abcde"),
         "-"},
	{"a local socket has no address", SLICE_INIT(V2 "\x21\x31\x00\xd8" PATH_108 PATH_108), "-"},
	{"a datagram is no connection", SLICE_INIT(V2 "\x21\x12\x00\x0c" V4), "-"},
	{"nor is what has no protocol", SLICE_INIT(V2 "\x21\x10\x00\x0c" V4), "-"},
};

static const struct {
	const char *claim;
	struct slice bytes;
} bad[] =
	{
		{"a line without a family", SLICE_INIT("PROXY \r\n")},
		{"another family", SLICE_INIT("PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n")},
		{"a family has a case", SLICE_INIT("PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n")},
		{"no addresses", SLICE_INIT("PROXY TCP4\r\n")},
		{"one address", SLICE_INIT("PROXY TCP4 192.0.2.1\r\n")},
		{"one port", SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n")},
		{"three ports", SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n")},
		{"a blank at the end", SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n")},
		{"two blanks", SLICE_INIT("PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n")},
		{"an address of the other family", SLICE_INIT("PROXY TCP4 ::1 ::2 1 2\r\n")},
		{"and the other way round",
                 SLICE_INIT("PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n")},
		{"an address that is none", SLICE_INIT("PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n")},
		{"of the server either", SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.256 1 2\r\n")},
		{"a port too large", SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n")},
		{"of the server either",
                 SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n")},
		{"a port with zeros in front",
                 SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n")},
		{"a port that is none", SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 x 2\r\n")},
		{"LF alone", SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n")},
		{"CR alone", SLICE_INIT("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\r\n")},
		{"a NUL in an address", SLICE_INIT("PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n")},
		{"a line that does not end", SLICE_INIT("PROXY UNKNOWN " FILL_54 FILL_54)},
		{"a line that ends too late",
                 SLICE_INIT("PROXY UNKNOWN " FILL_54 "01234567890123456789012345678901234567\r\n")},
		{"version 1 in bytes", SLICE_INIT(V2 "\x11\x11\x00\x0c" V4)},
		{"version 3", SLICE_INIT(V2 "\x31\x11\x00\x0c" V4)},
		{"another command", SLICE_INIT(V2 "\x22\x11\x00\x0c" V4)},
		{"another family in bytes", SLICE_INIT(V2 "\x21\x41\x00\x0c" V4)},
		{"another protocol", SLICE_INIT(V2 "\x21\x13\x00\x0c" V4)},
		{"too short for IPv4", SLICE_INIT(V2 "\x21\x11\x00\x0b" V4)},
		{"too short for IPv6", SLICE_INIT(V2 "\x21\x21\x00\x23" V6)},
		{"too short for a local socket",
                 SLICE_INIT(V2 "\x21\x31\x00\xd7" PATH_108 PATH_108)},
		{"more than is read", SLICE_INIT(V2 "\x21\x11\x0f\xf1")},
},
  other[] = {
	  {"a request", SLICE_INIT("GET / HTTP/1.1\r\n\r\n")},
	  {"a method that begins like it", SLICE_INIT("PROXYS / HTTP/1.1\r\n\r\n")},
	  {"the word has a case", SLICE_INIT("proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n")},
	  {"two empty lines and a request", SLICE_INIT("\r\n\r\nGET / HTTP/1.1\r\n\r\n")},
	  {"a start with one byte wrong", SLICE_INIT("\r\n\r\n\0\r\nQUIT\r")},
	  {"a TLS greeting", SLICE_INIT("\x16\x03\x01\x02\x00")},
};

static enum proxy_result read_guarded(struct slice bytes, struct proxy_header *header)
{
	char *copy = guard_copy(bytes);
	enum proxy_result result = proxy_header_read(slice_of(copy, bytes.len), header);
	guard_drop(copy, bytes.len);
	return result;
}

static bool is_found(const struct proxy_header *header, const char *expected)
{
	char text[ADDRESS_TEXT_MAX + 8] = "-";
	if (header->source.family != ADDRESS_NONE) {
		size_t len = address_write(text, &header->source);
		snprintf(text + len, sizeof(text) - len, " %u", header->source_port);
	}
	return slice_is(slice_string(text), expected);
}

static void test_good(void)
{
	struct proxy_header header;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct slice bytes = good[i].bytes;
		struct buf more = {0};
		printf("proxy_header: %s\n", good[i].claim);
		for (size_t len = 0; len < bytes.len; len++)
			CHECK(read_guarded(slice_of(bytes.at, len), &header) == PROXY_MORE);
		CHECK(read_guarded(bytes, &header) == PROXY_DONE);
		CHECK(header.bytes == bytes.len);
		CHECK(is_found(&header, good[i].found));
		buf_slice(&more, bytes);
		buf_string(&more, "GET / HTTP/1.1\r\n\r\n");
		CHECK(read_guarded(buf_view(&more), &header) == PROXY_DONE);
		CHECK(header.bytes == bytes.len);
		CHECK(is_found(&header, good[i].found));
		buf_free(&more);
	}
}

/* From some byte on it is `expected`, before that it may still be one. */
static void check_judged(struct slice bytes, enum proxy_result expected)
{
	struct proxy_header header;
	bool is_judged = false;
	for (size_t len = 0; len <= bytes.len; len++) {
		enum proxy_result result = read_guarded(slice_of(bytes.at, len), &header);
		is_judged |= result != PROXY_MORE;
		CHECK(result == (is_judged ? expected : PROXY_MORE));
		CHECK((header.why != NULL) == (result == PROXY_BAD));
	}
	CHECK(is_judged);
}

static void test_judged(void)
{
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		printf("proxy_header: refused: %s\n", bad[i].claim);
		check_judged(bad[i].bytes, PROXY_BAD);
	}
	for (size_t i = 0; i < COUNT_OF(other); i++) {
		printf("proxy_header: none: %s\n", other[i].claim);
		check_judged(other[i].bytes, PROXY_NONE);
	}
}

/* As large as it may be, and nothing of it read but the addresses. */
static void test_largest(void)
{
	static char bytes[PROXY_HEADER_MAX] = V2 "\x21\x11\x0f\xf0" V4;
	struct proxy_header header;
	printf("proxy_header: the largest there may be\n");
	CHECK(read_guarded(slice_of(bytes, sizeof(bytes) - 1), &header) == PROXY_MORE);
	CHECK(read_guarded(slice_of(bytes, sizeof(bytes)), &header) == PROXY_DONE);
	CHECK(header.bytes == sizeof(bytes));
	CHECK(is_found(&header, "192.0.2.1 8080"));
}

int main(void)
{
	test_good();
	test_judged();
	test_largest();
	return 0;
}
