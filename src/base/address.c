#include "base/address.h"

#include <arpa/inet.h> /* pure functions of it: text from numbers and back */

#include "base/text.h"

#define V4_BYTES 4
#define V6_BYTES 16
#define SITE_BYTES 8

static const uint8_t mapped_v4[12] = {[10] = 0xff, [11] = 0xff};

static_assert(ADDRESS_TEXT_MAX == INET6_ADDRSTRLEN, "room for the longest");

struct address address_v4(const void *bytes)
{
	struct address address = {.family = ADDRESS_V4};
	memcpy(address.bytes, bytes, V4_BYTES);
	return address;
}

struct address address_v6(const void *bytes)
{
	struct address address = {.family = ADDRESS_V6};
	if (memcmp(bytes, mapped_v4, sizeof(mapped_v4)) == 0)
		return address_v4((const uint8_t *)bytes + sizeof(mapped_v4));
	memcpy(address.bytes, bytes, V6_BYTES);
	return address;
}

bool address_parse(struct slice text, struct address *address)
{
	char string[ADDRESS_TEXT_MAX];
	uint8_t bytes[V6_BYTES];
	if (text.len == 0 || text.len >= sizeof(string) || memchr(text.at, '\0', text.len) != NULL)
		return false;
	memcpy(string, text.at, text.len);
	string[text.len] = '\0';
	if (inet_pton(AF_INET, string, bytes) == 1)
		*address = address_v4(bytes);
	else if (inet_pton(AF_INET6, string, bytes) == 1)
		*address = address_v6(bytes);
	else
		return false;
	return true;
}

size_t address_write(char out[ADDRESS_TEXT_MAX], const struct address *address)
{
	out[0] = '\0';
	switch ((enum address_family)address->family) {
	case ADDRESS_NONE:
		break;
	case ADDRESS_LOCAL:
		memcpy(out, "unix", sizeof("unix"));
		break;
	case ADDRESS_V4:
		CHECK(inet_ntop(AF_INET, address->bytes, out, ADDRESS_TEXT_MAX) != NULL);
		break;
	case ADDRESS_V6:
		CHECK(inet_ntop(AF_INET6, address->bytes, out, ADDRESS_TEXT_MAX) != NULL);
		break;
	}
	return strlen(out);
}

bool address_is_loopback(const struct address *address)
{
	static const uint8_t v6[16] = {[15] = 1};
	switch ((enum address_family)address->family) {
	case ADDRESS_LOCAL:
		return true;
	case ADDRESS_V4:
		return address->bytes[0] == 127;
	case ADDRESS_V6:
		return memcmp(address->bytes, v6, sizeof(v6)) == 0;
	case ADDRESS_NONE:
		break;
	}
	return false;
}

bool address_equals(const struct address *a, const struct address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

struct address address_site(const struct address *address)
{
	struct address site = *address;
	if (site.family == ADDRESS_V6)
		memset(site.bytes + SITE_BYTES, 0, sizeof(site.bytes) - SITE_BYTES);
	return site;
}

/* ---- networks ---- */

bool network_parse(struct slice text, struct network *network)
{
	*network = (struct network){.family = ADDRESS_LOCAL};
	if (slice_is(text, "unix"))
		return true;

	struct slice left;
	struct address address;
	if (!slice_cut(&text, '/', &left) || !address_parse(left, &address))
		return false;
	/* One that was made plain is written with the bits of its dress. */
	bool is_wide = memchr(left.at, ':', left.len) != NULL;
	uint64_t bits, bits_max = is_wide ? 128 : 32;
	if (text.at == NULL)
		bits = bits_max;
	else if (!text_to_u64(text, &bits) || bits > bits_max)
		return false;
	if (is_wide && address.family == ADDRESS_V4) {
		if (bits < 96)
			return false; /* part of its addresses are IPv4, part are none */
		bits -= 96;
	}
	network->family = address.family;
	network->prefix_bits = (uint8_t)bits;
	memcpy(network->bytes, address.bytes, sizeof(network->bytes));
	return true;
}

static bool is_in(const struct address *address, const struct network *network)
{
	if (address->family != network->family)
		return false;
	size_t whole = network->prefix_bits / 8, rest = network->prefix_bits % 8;
	if (memcmp(address->bytes, network->bytes, whole) != 0)
		return false;
	unsigned differing = rest == 0 ? 0u : address->bytes[whole] ^ network->bytes[whole];
	return differing >> (8 - rest) == 0;
}

bool address_is_in(const struct address *address, const struct network *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_in(address, &list[i]))
			return true;
	}
	return false;
}
