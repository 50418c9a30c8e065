/*
 * config_value: texts of each kind and what becomes of them, from guard pages.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../guard.h"
#include "base/buf.h"
#include "base/check.h"
#include "ops/config_value.h"

#define BAD UINT64_MAX

static const struct {
	const char *name;
	enum config_kind kind;
	const char *limits;
	const char *text;
	uint64_t number; /* or BAD */
} numbers[] = {
	{"a flag is yes", CONFIG_KIND_FLAG, "no|yes", "yes", 1},
	{"or no", CONFIG_KIND_FLAG, "no|yes", "no", 0},
	{"and not true", CONFIG_KIND_FLAG, "no|yes", "true", BAD},
	{"nor empty", CONFIG_KIND_FLAG, "no|yes", "", BAD},
	{"the least count", CONFIG_KIND_COUNT, "2..9", "2", 2},
	{"the greatest count", CONFIG_KIND_COUNT, "2..9", "9", 9},
	{"a count below", CONFIG_KIND_COUNT, "2..9", "1", BAD},
	{"a count above", CONFIG_KIND_COUNT, "2..9", "10", BAD},
	{"a count has no sign", CONFIG_KIND_COUNT, "0..9", "-1", BAD},
	{"a count has no blank", CONFIG_KIND_COUNT, "0..9", "1 ", BAD},
	{"a count has no unit", CONFIG_KIND_COUNT, "0..9", "1s", BAD},
	{"an empty count is none", CONFIG_KIND_COUNT, "0..9", "", BAD},
	{"a count beyond 64 bits", CONFIG_KIND_COUNT, "0..9", "18446744073709551617", BAD},
	{"auto is 0", CONFIG_KIND_AUTO, "1..128", "auto", 0},
	{"0 is not auto", CONFIG_KIND_AUTO, "1..128", "0", BAD},
	{"auto may be a count", CONFIG_KIND_AUTO, "1..128", "128", 128},
	{"a size in bytes", CONFIG_KIND_SIZE, "1..1GiB", "100", 100},
	{"a size in KiB", CONFIG_KIND_SIZE, "1..1GiB", "64KiB", 65536},
	{"a size in MiB", CONFIG_KIND_SIZE, "1..1GiB", "3MiB", 3145728},
	{"a size in GiB", CONFIG_KIND_SIZE, "1..1GiB", "1GiB", 1073741824},
	{"a size past its limit by one", CONFIG_KIND_SIZE, "1..1GiB", "1073741825", BAD},
	{"a size that overflows", CONFIG_KIND_SIZE, "1..1GiB", "17179869184GiB", BAD},
	{"a size with another unit", CONFIG_KIND_SIZE, "1..1GiB", "64KB", BAD},
	{"a size with a blank inside", CONFIG_KIND_SIZE, "1..1GiB", "64 KiB", BAD},
	{"a unit without a number", CONFIG_KIND_SIZE, "1..1GiB", "KiB", BAD},
	{"a time in milliseconds", CONFIG_KIND_TIME, "0..30d", "500ms", 500},
	{"a time in seconds", CONFIG_KIND_TIME, "0..30d", "30s", 30000},
	{"a time in minutes", CONFIG_KIND_TIME, "0..30d", "5m", 300000},
	{"a time in hours", CONFIG_KIND_TIME, "0..30d", "1h", 3600000},
	{"a time in days", CONFIG_KIND_TIME, "0..30d", "30d", 2592000000},
	{"no time needs no unit", CONFIG_KIND_TIME, "0..30d", "0", 0},
	{"any other time does", CONFIG_KIND_TIME, "0..30d", "5", BAD},
	{"a time has one unit", CONFIG_KIND_TIME, "0..30d", "1h30m", BAD},
	{"a time is a whole number", CONFIG_KIND_TIME, "0..30d", "1.5s", BAD},
	{"a time that overflows", CONFIG_KIND_TIME, "0..30d", "999999999999999999d", BAD},
	{"a rate", CONFIG_KIND_RATE, "0..1000/s", "100/s", 100},
	{"no rate needs no unit", CONFIG_KIND_RATE, "0..1000/s", "0", 0},
	{"a rate in another unit", CONFIG_KIND_RATE, "0..1000/s", "100/m", BAD},
	{"a rate without its unit", CONFIG_KIND_RATE, "0..1000/s", "100", BAD},
	{"the first word is 0", CONFIG_KIND_CHOICE, "merge|pause", "merge", 0},
	{"the next is 1", CONFIG_KIND_CHOICE, "merge|pause", "pause", 1},
	{"the beginning of a word is none", CONFIG_KIND_CHOICE, "merge|pause", "pau", BAD},
	{"two words are none", CONFIG_KIND_CHOICE, "merge|pause", "merge|pause", BAD},
	{"case counts in words", CONFIG_KIND_CHOICE, "merge|pause", "Merge", BAD},
};

static const struct {
	const char *name;
	enum config_kind kind;
	const char *limits;
	const char *text;
	const char *value; /* written out as below; NULL: refused */
} others[] = {
	{"a text is what was written", CONFIG_KIND_TEXT, "0..9", "a, b=#", "a, b=#"},
	{"a text may be empty", CONFIG_KIND_TEXT, "0..9", "", ""},
	{"a text has its length", CONFIG_KIND_TEXT, "0..9", "0123456789", NULL},
	{"a text holds no control character", CONFIG_KIND_TEXT, "0..9", "a\x01", NULL},
	{"a text may hold a tab", CONFIG_KIND_TEXT, "0..9", "a\tb", "a\tb"},
	{"a text may go beyond ASCII", CONFIG_KIND_TEXT, "0..9", "\xc3\xa4", "\xc3\xa4"},
	{"a name has signs", CONFIG_KIND_NAME, "0..9", "node-1:a", "node-1:a"},
	{"a name has no blank", CONFIG_KIND_NAME, "0..9", "a b", NULL},
	{"a name may be left out", CONFIG_KIND_NAME, "0..9", "", ""},
	{"a name may be demanded", CONFIG_KIND_NAME, "1..9", "", NULL},
	{"words between commas", CONFIG_KIND_WORDS, "0..3", "a, b c ,d", "a;b c;d;"},
	{"no words", CONFIG_KIND_WORDS, "0..3", "", ""},
	{"no empty word", CONFIG_KIND_WORDS, "0..3", "a,,b", NULL},
	{"no empty word at the end", CONFIG_KIND_WORDS, "0..3", "a,", NULL},
	{"no more words than allowed", CONFIG_KIND_WORDS, "0..3", "a,b,c,d", NULL},
	{"an IPv4 address", CONFIG_KIND_ADDRESSES, "0..3", "127.0.0.1:80", "4 127.0.0.1 80;"},
	{"an IPv6 address", CONFIG_KIND_ADDRESSES, "0..3", "[::1]:80", "6 ::1 80;"},
	{"a unix address", CONFIG_KIND_ADDRESSES, "0..3", "unix:/run/s", "u /run/s 0;"},
	{"addresses between commas", CONFIG_KIND_ADDRESSES, "0..3", "0.0.0.0:1, [::]:2",
         "4 0.0.0.0 1;6 :: 2;"},
	{"a listener may leave the port open", CONFIG_KIND_ADDRESSES, "0..3", "127.0.0.1:0",
         "4 127.0.0.1 0;"},
	{"a listener has no name", CONFIG_KIND_ADDRESSES, "0..3", "localhost:80", NULL},
	{"an address has a port", CONFIG_KIND_ADDRESSES, "0..3", "127.0.0.1", NULL},
	{"a port is a number", CONFIG_KIND_ADDRESSES, "0..3", "127.0.0.1:http", NULL},
	{"a port has 16 bits", CONFIG_KIND_ADDRESSES, "0..3", "127.0.0.1:65536", NULL},
	{"an address has a host", CONFIG_KIND_ADDRESSES, "0..3", ":80", NULL},
	{"an IPv6 address has brackets", CONFIG_KIND_ADDRESSES, "0..3", "::1:80", NULL},
	{"an IPv4 address has none", CONFIG_KIND_ADDRESSES, "0..3", "[127.0.0.1]:80", NULL},
	{"an IPv4 address has four parts", CONFIG_KIND_ADDRESSES, "0..3", "127.1:80", NULL},
	{"a zone is refused", CONFIG_KIND_ADDRESSES, "0..3", "[fe80::1%lo]:80", NULL},
	{"a unix path is absolute", CONFIG_KIND_ADDRESSES, "0..3", "unix:run/s", NULL},
	{"a unix path is not empty", CONFIG_KIND_ADDRESSES, "0..3", "unix:", NULL},
	{"a bad entry spoils the list", CONFIG_KIND_ADDRESSES, "0..3", "127.0.0.1:80,x", NULL},
	{"a host may be a name", CONFIG_KIND_HOSTS, "0..3", "a-b.example:7900",
         "n a-b.example 7900;"},
	{"a host may be a number", CONFIG_KIND_HOSTS, "0..3", "10.0.0.1:1,[fd00::1]:2",
         "4 10.0.0.1 1;6 fd00::1 2;"},
	{"a host has a port", CONFIG_KIND_HOSTS, "0..3", "a.example", NULL},
	{"a host has a port to dial", CONFIG_KIND_HOSTS, "0..3", "a.example:0", NULL},
	{"a mistyped number is no name", CONFIG_KIND_HOSTS, "0..3", "10.0.0.:1", NULL},
	{"a host is not local", CONFIG_KIND_HOSTS, "0..3", "unix:/run/s", NULL},
	{"a name has no odd signs", CONFIG_KIND_HOSTS, "0..3", "a/b:1", NULL},
	{"an IPv4 network", CONFIG_KIND_NETWORKS, "0..3", "10.0.0.0/8", "4 0a000000 8;"},
	{"an IPv6 network", CONFIG_KIND_NETWORKS, "0..3", "fd00::/16", "6 fd000000 16;"},
	{"an address is a network of one", CONFIG_KIND_NETWORKS, "0..3", "10.1.2.3,::1",
         "4 0a010203 32;6 00000000 128;"},
	{"everything is a network", CONFIG_KIND_NETWORKS, "0..3", "0.0.0.0/0", "4 00000000 0;"},
	{"local sockets are a network", CONFIG_KIND_NETWORKS, "0..3", "unix", "u 00000000 0;"},
	{"a prefix ends with the address", CONFIG_KIND_NETWORKS, "0..3", "10.0.0.0/33", NULL},
	{"a prefix is a number", CONFIG_KIND_NETWORKS, "0..3", "10.0.0.0/255.0.0.0", NULL},
	{"a prefix is there after /", CONFIG_KIND_NETWORKS, "0..3", "10.0.0.0/", NULL},
	{"a network has an address", CONFIG_KIND_NETWORKS, "0..3", "/8", NULL},
	{"a name is no network", CONFIG_KIND_NETWORKS, "0..3", "localhost", NULL},
	{"same origin", CONFIG_KIND_ORIGINS, "1..3", "same", "same "},
	{"any origin", CONFIG_KIND_ORIGINS, "1..3", "*", "any "},
	{"origins listed", CONFIG_KIND_ORIGINS, "1..3", "https://a.example, http://[::1]:80",
         "listed https://a.example;http://[::1]:80;"},
	{"origins are compared in lower case", CONFIG_KIND_ORIGINS, "1..3", "HTTPS://A.example",
         "listed https://a.example;"},
	{"an origin of an app", CONFIG_KIND_ORIGINS, "1..3", "capacitor://localhost",
         "listed capacitor://localhost;"},
	{"an origin has a scheme", CONFIG_KIND_ORIGINS, "1..3", "a.example", NULL},
	{"an origin has a host", CONFIG_KIND_ORIGINS, "1..3", "https://", NULL},
	{"an origin has no path", CONFIG_KIND_ORIGINS, "1..3", "https://a.example/", NULL},
	{"an origin's port is a number", CONFIG_KIND_ORIGINS, "1..3", "https://a.example:x", NULL},
	{"an origin has no *", CONFIG_KIND_ORIGINS, "1..3", "https://*.example", NULL},
	{"same is no origin of a list", CONFIG_KIND_ORIGINS, "1..3", "same,https://a.b", NULL},
	{"there is some origin", CONFIG_KIND_ORIGINS, "1..3", "", NULL},
};

static const struct {
	const char *name;
	const char *address;
	bool is_loopback;
} loopbacks[] = {
	{"127.0.0.1 is loopback", "127.0.0.1:1", true},
	{"all of 127 is", "127.255.0.9:1", true},
	{"128 is not", "128.0.0.1:1", false},
	{"every IPv4 address is not", "0.0.0.0:1", false},
	{"::1 is loopback", "[::1]:1", true},
	{"also in full", "[0:0:0:0:0:0:0:1]:1", true},
	{"every IPv6 address is not", "[::]:1", false},
	{"::2 is not", "[::2]:1", false},
	{"127.0.0.1 in IPv6 is", "[::ffff:127.0.0.1]:1", true},
	{"10.0.0.1 in IPv6 is not", "[::ffff:10.0.0.1]:1", false},
	{"a local socket is", "unix:/run/s", true},
};

union any {
	bool flag;
	uint32_t number;
	size_t bytes;
	unsigned choice;
	char *text;
	struct config_words words;
	struct config_addresses addresses;
	struct config_networks networks;
	struct config_origins origins;
};

static uint64_t read_as_number(enum config_kind kind, const union any *value)
{
	switch (kind) {
	case CONFIG_KIND_FLAG:
		return value->flag;
	case CONFIG_KIND_SIZE:
		return value->bytes;
	case CONFIG_KIND_CHOICE:
		return value->choice;
	default:
		return value->number;
	}
}

static char family_letter(int family)
{
	switch (family) {
	case AF_INET:
		return '4';
	case AF_INET6:
		return '6';
	case AF_UNIX:
		return 'u';
	default:
		return 'n';
	}
}

static void write_words(const struct config_words *words, struct buf *out)
{
	for (size_t i = 0; i < words->count; i++)
		buf_format(out, "%s;", words->list[i]);
}

static void write_addresses(const struct config_addresses *addresses, struct buf *out)
{
	for (size_t i = 0; i < addresses->count; i++) {
		const struct config_address *address = &addresses->list[i];
		buf_format(out, "%c %s %u;", family_letter(address->family), address->host,
		           address->port);
	}
}

static void write_networks(const struct config_networks *networks, struct buf *out)
{
	for (size_t i = 0; i < networks->count; i++) {
		static const char letters[] = {
			[ADDRESS_LOCAL] = 'u', [ADDRESS_V4] = '4', [ADDRESS_V6] = '6'};
		const struct network *network = &networks->list[i];
		const uint8_t *bytes = network->bytes;
		buf_format(out, "%c %02x%02x%02x%02x %u;", letters[network->family], bytes[0],
		           bytes[1], bytes[2], bytes[3], network->prefix_bits);
	}
}

static void write_origins(const struct config_origins *origins, struct buf *out)
{
	static const char *const rules[] = {
		[CONFIG_ORIGIN_SAME] = "same",
		[CONFIG_ORIGIN_ANY] = "any",
		[CONFIG_ORIGIN_LISTED] = "listed",
	};
	buf_format(out, "%s ", rules[origins->rule]);
	write_words(&origins->listed, out);
}

static void write_value(enum config_kind kind, const union any *value, struct buf *out)
{
	if (kind == CONFIG_KIND_WORDS)
		write_words(&value->words, out);
	else if (kind == CONFIG_KIND_ADDRESSES || kind == CONFIG_KIND_HOSTS)
		write_addresses(&value->addresses, out);
	else if (kind == CONFIG_KIND_NETWORKS)
		write_networks(&value->networks, out);
	else if (kind == CONFIG_KIND_ORIGINS)
		write_origins(&value->origins, out);
	else
		buf_string(out, value->text);
}

static int parse(enum config_kind kind, const char *limits, struct slice text, union any *value)
{
	char *guarded = guard_copy(text);
	int result = config_value_parse(kind, limits, slice_of(guarded, text.len), value);
	guard_drop(guarded, text.len);
	return result;
}

static void check_number(size_t i)
{
	union any value;
	memset(&value, 0, sizeof(value));
	int result =
		parse(numbers[i].kind, numbers[i].limits, slice_string(numbers[i].text), &value);
	CHECK(result == (numbers[i].number == BAD ? -EINVAL : 0));
	CHECK(result < 0 || read_as_number(numbers[i].kind, &value) == numbers[i].number);
}

/* A refused text leaves the value as it was: empty. Read twice, the first value is freed. */
static void check_other(size_t i)
{
	enum config_kind kind = others[i].kind;
	struct slice text = slice_string(others[i].text);
	static const union any empty;
	union any value;
	memset(&value, 0, sizeof(value));
	struct buf out = {0};
	int result = parse(kind, others[i].limits, text, &value);
	CHECK(result == (others[i].value == NULL ? -EINVAL : 0));
	CHECK(result == 0 || memcmp(&value, &empty, sizeof(value)) == 0);
	if (result == 0) {
		CHECK(parse(kind, others[i].limits, text, &value) == 0);
		write_value(kind, &value, &out);
		CHECK(slice_is(buf_view(&out), others[i].value));
	}
	config_value_free(kind, &value);
	buf_free(&out);
}

static void check_loopback(const char *text, bool is_loopback)
{
	struct config_address address = {0};
	CHECK(config_address_parse(slice_string(text), &address) == 0);
	CHECK(strcmp(address.text, text) == 0);
	CHECK(config_address_is_loopback(&address) == is_loopback);
	config_address_free(&address);
}

static void check_unix_path(size_t len, bool fits)
{
	char text[sizeof("unix:") + sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	memset(text, 'a', sizeof(text));
	memcpy(text, "unix:/", strlen("unix:/"));
	union any value;
	memset(&value, 0, sizeof(value));
	int result =
		parse(CONFIG_KIND_ADDRESSES, "1..1", slice_of(text, strlen("unix:") + len), &value);
	CHECK((result == 0) == fits);
	config_value_free(CONFIG_KIND_ADDRESSES, &value);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		printf("config_value: %s\n", numbers[i].name);
		check_number(i);
	}
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		printf("config_value: %s\n", others[i].name);
		check_other(i);
	}
	for (size_t i = 0; i < COUNT_OF(loopbacks); i++) {
		printf("config_value: %s\n", loopbacks[i].name);
		check_loopback(loopbacks[i].address, loopbacks[i].is_loopback);
	}
	printf("config_value: the longest unix path\n");
	check_unix_path(sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1, true);
	printf("config_value: one byte more is too long\n");
	check_unix_path(sizeof(((struct sockaddr_un *)NULL)->sun_path), false);
	return 0;
}
