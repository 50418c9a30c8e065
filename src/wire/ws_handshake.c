#include "wire/ws_handshake.h"

#include <openssl/sha.h>

#include "base/text.h"

#define WS_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static bool is_base64_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/';
}

bool ws_key_is_valid(struct slice key)
{
	if (key.len != WS_KEY_LEN || key.at[22] != '=' || key.at[23] != '=')
		return false;
	for (size_t i = 0; i < 21; i++) {
		if (!is_base64_digit(key.at[i]))
			return false;
	}
	/* Two bits of the last digit are used: it is 0, 16, 32 or 48. */
	return memchr("AQgw", key.at[21], 4) != NULL;
}

bool ws_accept_key(char out[WS_ACCEPT_LEN], struct slice key)
{
	CHECK(ws_key_is_valid(key));
	char text[WS_KEY_LEN + sizeof(WS_GUID) - 1];
	memcpy(text, key.at, WS_KEY_LEN);
	memcpy(text + WS_KEY_LEN, WS_GUID, sizeof(WS_GUID) - 1);

	unsigned char digest[SHA_DIGEST_LENGTH];
	if (SHA1((const unsigned char *)text, sizeof(text), digest) == NULL)
		return false;
	CHECK(text_from_base64(out, digest, sizeof(digest)) == WS_ACCEPT_LEN);
	return true;
}
