#include "wire/proxy_header.h"

#include "base/text.h"

#define V1_START "PROXY "
#define V2_START "\r\n\r\n\0\r\nQUIT\n"
#define V2_START_LEN (sizeof(V2_START) - 1)
#define V2_HEAD_BYTES 16
#define V2_V4_BYTES 12 /* two addresses and two ports */
#define V2_V6_BYTES 36
#define V2_UNIX_BYTES 216

static enum proxy_result refuse(struct proxy_header *header, const char *why)
{
	header->why = why;
	return PROXY_BAD;
}

/* As far as both go. */
static bool agrees(struct slice bytes, struct slice start)
{
	size_t len = bytes.len < start.len ? bytes.len : start.len;
	return slice_equals(slice_of(bytes.at, len), slice_of(start.at, len));
}

/* ---- version 1: a line of text ---- */

static bool read_port(struct slice text, uint16_t *port)
{
	uint64_t number;
	bool has_zeros = text.len > 1 && text.at[0] == '0';
	if (has_zeros || !text_to_u64(text, &number) || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* One of the family that the line names, whatever it is a dress for. */
static bool read_address(struct slice text, bool is_v6, struct address *address)
{
	bool has_colon = text.at != NULL && memchr(text.at, ':', text.len) != NULL;
	return has_colon == is_v6 && address_parse(text, address);
}

static enum proxy_result read_v1_addresses(struct slice rest, bool is_v6,
                                           struct proxy_header *header)
{
	struct slice source, destination, source_port, destination_port;
	struct address to;
	uint16_t to_port;
	bool is_whole = slice_cut(&rest, ' ', &source) && slice_cut(&rest, ' ', &destination) &&
	                slice_cut(&rest, ' ', &source_port) &&
	                slice_cut(&rest, ' ', &destination_port) && rest.at == NULL;
	if (!is_whole)
		return refuse(header, "not two addresses and two ports");
	if (!read_address(source, is_v6, &header->source) || !read_address(destination, is_v6, &to))
		return refuse(header, "an address is not of the family named");
	if (!read_port(source_port, &header->source_port) || !read_port(destination_port, &to_port))
		return refuse(header, "a port is not a number up to 65535");
	return PROXY_DONE;
}

/* The line without what it begins with and its CR LF. */
static enum proxy_result read_v1_line(struct slice rest, struct proxy_header *header)
{
	struct slice family;
	if (!slice_cut(&rest, ' ', &family))
		return refuse(header, "no family is named");
	if (slice_is(family, "UNKNOWN"))
		return PROXY_DONE; /* what follows says nothing */
	if (slice_is(family, "TCP4"))
		return read_v1_addresses(rest, false, header);
	if (slice_is(family, "TCP6"))
		return read_v1_addresses(rest, true, header);
	return refuse(header, "the family is none of TCP4, TCP6 and UNKNOWN");
}

static enum proxy_result read_v1(struct slice bytes, struct proxy_header *header)
{
	size_t len = bytes.len < PROXY_V1_MAX ? bytes.len : PROXY_V1_MAX;
	const char *end = memchr(bytes.at, '\n', len);
	if (end == NULL && len < PROXY_V1_MAX)
		return PROXY_MORE;
	if (end == NULL || end[-1] != '\r')
		return refuse(header, "the line does not end with CR LF where it must");
	header->bytes = (size_t)(end - bytes.at) + 1;
	size_t start = sizeof(V1_START) - 1;
	struct slice line = slice_of(bytes.at + start, header->bytes - start - strlen("\r\n"));
	if (memchr(line.at, '\r', line.len) != NULL)
		return refuse(header, "a CR stands alone");
	return read_v1_line(line, header);
}

/* ---- version 2: bytes ---- */

enum v2_command { V2_LOCAL = 0, V2_PROXY };
enum v2_family { V2_UNSPECIFIED = 0, V2_INET, V2_INET6, V2_UNIX, V2_FAMILIES };
enum v2_protocol { V2_ANY = 0, V2_STREAM, V2_DATAGRAM, V2_PROTOCOLS };

static unsigned byte_at(struct slice bytes, size_t at)
{
	return (unsigned char)bytes.at[at];
}

static uint16_t two_bytes_at(struct slice bytes, size_t at)
{
	return (uint16_t)(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

/* The family and what comes behind it, all of which is there. */
static enum proxy_result read_v2_addresses(struct slice bytes, struct proxy_header *header)
{
	static const size_t lengths[V2_FAMILIES] = {
		[V2_INET] = V2_V4_BYTES, [V2_INET6] = V2_V6_BYTES, [V2_UNIX] = V2_UNIX_BYTES};
	unsigned family = byte_at(bytes, 13) >> 4, protocol = byte_at(bytes, 13) & 15;
	struct slice block = slice_after(bytes, V2_HEAD_BYTES);
	if (family >= V2_FAMILIES || protocol >= V2_PROTOCOLS)
		return refuse(header, "a family or protocol that is not assigned");
	if (two_bytes_at(bytes, 14) < lengths[family])
		return refuse(header, "shorter than the addresses of its family");
	if (protocol != V2_STREAM)
		return PROXY_DONE; /* nothing that could be the other end of a connection */
	if (family == V2_INET) {
		header->source = address_v4(block.at);
		header->source_port = two_bytes_at(block, 8);
	} else if (family == V2_INET6) {
		header->source = address_v6(block.at);
		header->source_port = two_bytes_at(block, 32);
	}
	return PROXY_DONE;
}

static enum proxy_result read_v2(struct slice bytes, struct proxy_header *header)
{
	if (bytes.len <= V2_START_LEN)
		return PROXY_MORE;
	unsigned version = byte_at(bytes, 12) >> 4, command = byte_at(bytes, 12) & 15;
	if (version != 2 || command > V2_PROXY)
		return refuse(header, "a version or command that is not assigned");
	if (bytes.len < V2_HEAD_BYTES)
		return PROXY_MORE;
	header->bytes = V2_HEAD_BYTES + (size_t)two_bytes_at(bytes, 14);
	if (header->bytes > PROXY_HEADER_MAX)
		return refuse(header, "longer than is read here");
	if (bytes.len < header->bytes)
		return PROXY_MORE;
	return command == V2_LOCAL ? PROXY_DONE : read_v2_addresses(bytes, header);
}

enum proxy_result proxy_header_read(struct slice bytes, struct proxy_header *header)
{
	*header = (struct proxy_header){0};
	struct slice v1 = SLICE(V1_START), v2 = SLICE(V2_START);
	if (!agrees(bytes, v1) && !agrees(bytes, v2))
		return PROXY_NONE;
	if (agrees(bytes, v1))
		return bytes.len < v1.len ? PROXY_MORE : read_v1(bytes, header);
	return bytes.len < v2.len ? PROXY_MORE : read_v2(bytes, header);
}
