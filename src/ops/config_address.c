#include "ops/config_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/text.h"

#define DNS_NAME_MAX 253

static int copy_into(char **copy, struct slice text)
{
	CHECK(*copy == NULL);
	*copy = config_copy(text);
	return *copy != NULL ? 0 : -ENOMEM;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool parse_ip(int family, struct slice text, void *bytes)
{
	char string[INET6_ADDRSTRLEN];
	if (text.len >= sizeof(string))
		return false;
	memcpy(string, text.at, text.len);
	string[text.len] = '\0';
	return inet_pton(family, string, bytes) == 1;
}

#define PORT_DIGITS_MAX 5

/* Parts "HOST:PORT" at the last colon. */
static bool cut_port(struct slice text, struct slice *host, uint16_t *port)
{
	size_t colon = text.len;
	while (colon > 0 && text.at[colon - 1] != ':')
		colon--;
	uint64_t number;
	if (colon < 2 || text.len - colon > PORT_DIGITS_MAX ||
	    !text_to_u64(slice_after(text, colon), &number) || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	*host = slice_of(text.at, colon - 1);
	return true;
}

static bool drop_brackets(struct slice *host)
{
	if (host->len < 3 || host->at[0] != '[' || host->at[host->len - 1] != ']')
		return false;
	*host = slice_of(host->at + 1, host->len - 2);
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A name that DNS could know. One of digits and dots alone is a mistyped IPv4 address. */
static bool is_dns_name(struct slice text)
{
	bool has_letter = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		if (!is_letter(c) && !is_digit(c) && c != '-' && c != '.' && c != '_')
			return false;
		has_letter = has_letter || is_letter(c);
	}
	return has_letter && text.len <= DNS_NAME_MAX;
}

static int parse_ip_address(struct slice text, struct config_address *address)
{
	struct slice host;
	uint8_t bytes[16];
	if (!cut_port(text, &host, &address->port))
		return -EINVAL;
	bool has_brackets = drop_brackets(&host);
	if (has_brackets && parse_ip(AF_INET6, host, bytes))
		address->family = AF_INET6;
	else if (!has_brackets && parse_ip(AF_INET, host, bytes))
		address->family = AF_INET;
	else if (!has_brackets && is_dns_name(host))
		address->family = AF_UNSPEC;
	else
		return -EINVAL;
	int result = copy_into(&address->host, host);
	return result < 0 ? result : copy_into(&address->text, text);
}

static int parse_unix_address(struct slice text, struct config_address *address)
{
	struct slice path = slice_after(text, strlen("unix:"));
	bool fits = path.len < sizeof(((struct sockaddr_un *)NULL)->sun_path);
	if (!fits || !slice_starts(path, SLICE("/")))
		return -EINVAL;
	address->family = AF_UNIX;
	int result = copy_into(&address->host, path);
	return result < 0 ? result : copy_into(&address->text, text);
}

int config_address_parse(struct slice text, struct config_address *address)
{
	CHECK(address->text == NULL);
	if (slice_starts(text, SLICE("unix:")))
		return parse_unix_address(text, address);
	int result = parse_ip_address(text, address);
	return result == 0 && address->family == AF_UNSPEC ? -EINVAL : result;
}

int config_host_parse(struct slice text, struct config_address *address)
{
	CHECK(address->text == NULL);
	int result = parse_ip_address(text, address);
	return result == 0 && address->port == 0 ? -EINVAL : result;
}

void config_address_free(struct config_address *address)
{
	free(address->text);
	free(address->host);
	*address = (struct config_address){0};
}

bool config_address_is_loopback(const struct config_address *address)
{
	uint8_t bytes[16];
	static const uint8_t v6[16] = {[15] = 1}, mapped_v4[12] = {[10] = 0xff, [11] = 0xff};
	switch (address->family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		CHECK(parse_ip(AF_INET, slice_string(address->host), bytes));
		return bytes[0] == 127;
	case AF_INET6:
		CHECK(parse_ip(AF_INET6, slice_string(address->host), bytes));
		return memcmp(bytes, v6, sizeof(v6)) == 0 ||
		       (memcmp(bytes, mapped_v4, sizeof(mapped_v4)) == 0 && bytes[12] == 127);
	default:
		return false;
	}
}

static bool is_scheme(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		if (!is_letter(c) && (i == 0 || (!is_digit(c) && c != '+' && c != '-' && c != '.')))
			return false;
	}
	return text.len > 0;
}

static bool is_origin_host(struct slice text)
{
	uint8_t bytes[16];
	if (drop_brackets(&text))
		return parse_ip(AF_INET6, text, bytes);
	return is_dns_name(text) || parse_ip(AF_INET, text, bytes);
}

bool config_origin_is_valid(struct slice text)
{
	struct slice scheme, host;
	if (!slice_cut(&text, ':', &scheme) || !is_scheme(scheme))
		return false;
	if (text.at == NULL || !slice_starts(text, SLICE("//")))
		return false;
	text = slice_after(text, 2);
	uint16_t port;
	if (is_origin_host(text))
		return true;
	return cut_port(text, &host, &port) && port != 0 && is_origin_host(host);
}

char *config_copy(struct slice text)
{
	char *copy = malloc(text.len + 1);
	if (copy == NULL)
		return NULL;
	if (text.len > 0)
		memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	return copy;
}

void config_text_free(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}
