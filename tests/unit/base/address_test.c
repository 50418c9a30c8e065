/* Texts to addresses and back; which network holds which. */
#include "base/address.h"

static const struct {
	const char *claim, *text, *written; /* NULL: refused */
} texts[] = {
	{"an IPv4 address", "192.0.2.1", "192.0.2.1"},
	{"the least and the greatest", "0.0.0.0", "0.0.0.0"},
	{"the greatest", "255.255.255.255", "255.255.255.255"},
	{"an IPv6 address", "2001:db8::1", "2001:db8::1"},
	{"one written at length", "2001:0DB8:0:0:0:0:0:0001", "2001:db8::1"},
	{"the longest", "abcd:abcd:abcd:abcd:abcd:abcd:192.168.158.190",
         "abcd:abcd:abcd:abcd:abcd:abcd:c0a8:9ebe"},
	{"an IPv4 address in the dress of IPv6 is made plain", "::ffff:192.0.2.1", "192.0.2.1"},
	{"also in hexadecimal", "::FFFF:c000:0201", "192.0.2.1"},
	{"nothing is none", "", NULL},
	{"a name is none", "localhost", NULL},
	{"three numbers are none", "192.0.2", NULL},
	{"a number too large", "192.0.2.256", NULL},
	{"zeros in front could be octal", "192.0.02.1", NULL},
	{"blanks are no part of it", " 192.0.2.1", NULL},
	{"nor behind it", "192.0.2.1 ", NULL},
	{"nor a port", "192.0.2.1:80", NULL},
	{"brackets belong to URLs", "[::1]", NULL},
	{"a zone says nothing elsewhere", "fe80::1%eth0", NULL},
	{"one that is too long", "abcd:abcd:abcd:abcd:abcd:abcd:1192.168.158.190", NULL},
};

static void test_texts(void)
{
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct address address = {0};
		char out[ADDRESS_TEXT_MAX];
		printf("address: %s\n", texts[i].claim);
		bool is_good = address_parse(slice_string(texts[i].text), &address);
		CHECK(is_good == (texts[i].written != NULL));
		if (!is_good)
			continue;
		size_t len = address_write(out, &address);
		CHECK(slice_is(slice_of(out, len), texts[i].written));
		CHECK(out[len] == '\0');
	}
	printf("address: a NUL ends no address\n");
	struct address address;
	CHECK(!address_parse(SLICE("192.0.2.1\0"), &address));
	printf("address: what is not known has no text, what is local has a word\n");
	char out[ADDRESS_TEXT_MAX];
	CHECK(address_write(out, &(struct address){.family = ADDRESS_NONE}) == 0);
	CHECK(address_write(out, &(struct address){.family = ADDRESS_LOCAL}) == 4);
	CHECK(slice_is(slice_string(out), "unix"));
}

static const struct {
	const char *claim, *network, *address;
	bool is_in;
} members[] = {
	{"a network holds its first", "10.0.0.0/8", "10.0.0.0", true},
	{"and its last", "10.0.0.0/8", "10.255.255.255", true},
	{"not the one after", "10.0.0.0/8", "11.0.0.0", false},
	{"nor the one before", "10.0.0.0/8", "9.255.255.255", false},
	{"bits may end within a byte", "172.16.0.0/12", "172.31.255.255", true},
	{"just there", "172.16.0.0/12", "172.32.0.0", false},
	{"bits behind the prefix say nothing", "172.16.9.9/12", "172.31.0.1", true},
	{"an address alone is itself", "192.0.2.1", "192.0.2.1", true},
	{"and nobody else", "192.0.2.1", "192.0.2.0", false},
	{"no bits hold all", "0.0.0.0/0", "255.0.0.1", true},
	{"all of its family", "0.0.0.0/0", "::1", false},
	{"of IPv6 too", "::/0", "192.0.2.1", false},
	{"an IPv6 network", "2001:db8::/33", "2001:db8:7fff::", true},
	{"and where it ends", "2001:db8::/33", "2001:db8:8000::", false},
	{"127 bits", "2001:db8::2/127", "2001:db8::3", true},
	{"the dress makes no difference", "::ffff:10.0.0.0/104", "10.1.2.3", true},
	{"to anybody", "10.0.0.0/8", "::ffff:10.1.2.3", true},
};

static void test_members(void)
{
	struct network network;
	struct address address;
	for (size_t i = 0; i < COUNT_OF(members); i++) {
		printf("address: %s\n", members[i].claim);
		CHECK(network_parse(slice_string(members[i].network), &network));
		CHECK(address_parse(slice_string(members[i].address), &address));
		CHECK(address_is_in(&address, &network, 1) == members[i].is_in);
		CHECK(!address_is_in(&address, &network, 0));
	}
	printf("address: local sockets are a network of their own\n");
	struct address local = {.family = ADDRESS_LOCAL}, none = {.family = ADDRESS_NONE};
	CHECK(network_parse(SLICE("unix"), &network));
	CHECK(address_is_in(&local, &network, 1));
	CHECK(!address_is_in(&none, &network, 1));
	CHECK(!address_is_in(&address, &network, 1));
	printf("address: one of several networks is enough\n");
	struct network two[2];
	CHECK(network_parse(SLICE("unix"), &two[0]));
	CHECK(network_parse(SLICE("10.0.0.0/8"), &two[1]));
	CHECK(address_parse(SLICE("10.1.1.1"), &address));
	CHECK(address_is_in(&address, two, 2));
}

static void test_bad_networks(void)
{
	static const char *const bad[] = {
		"",           "/8",      "10.0.0.0/33",    "10.0.0.0/",          "10.0.0.0/8/8",
		"10.0.0.0/x", "::1/129", "10.0.0.0/ 8",    "::ffff:10.0.0.0/95", "host/8",
		"Unix",       "unix/0",  "10.0.0.0/255.0", "10.0.0.0/-1",
	};
	struct network network;
	printf("address: what is no network\n");
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CHECK(!network_parse(slice_string(bad[i]), &network));
}

static bool are_one_site(const char *a, const char *b)
{
	struct address of_a, of_b;
	CHECK(address_parse(slice_string(a), &of_a));
	CHECK(address_parse(slice_string(b), &of_b));
	struct address site_a = address_site(&of_a), site_b = address_site(&of_b);
	return address_equals(&site_a, &site_b);
}

static void test_sites(void)
{
	printf("address: a site is an IPv4 address, or the first 64 bits of an IPv6 address\n");
	CHECK(are_one_site("192.0.2.1", "192.0.2.1"));
	CHECK(!are_one_site("192.0.2.1", "192.0.2.2"));
	CHECK(are_one_site("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
	CHECK(!are_one_site("2001:db8:1:2::1", "2001:db8:1:3::1"));
	CHECK(are_one_site("::ffff:192.0.2.1", "192.0.2.1"));
}

static void test_loopback(void)
{
	static const struct {
		const char *text;
		bool is_loopback;
	} rows[] = {
		{"127.0.0.1", true}, {"127.255.0.9", true}, {"128.0.0.1", false},
		{"0.0.0.0", false},  {"::1", true},         {"::", false},
		{"::2", false},      {"fe80::1", false},    {"::ffff:127.0.0.1", true},
	};
	printf("address: what only this host can reach\n");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct address address;
		CHECK(address_parse(slice_string(rows[i].text), &address));
		CHECK(address_is_loopback(&address) == rows[i].is_loopback);
	}
	struct address local = {.family = ADDRESS_LOCAL}, none = {.family = ADDRESS_NONE};
	CHECK(address_is_loopback(&local));
	CHECK(!address_is_loopback(&none));
}

int main(void)
{
	test_texts();
	test_members();
	test_bad_networks();
	test_sites();
	test_loopback();
	return 0;
}
