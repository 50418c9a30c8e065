#include "cmd/upgrade.h"

#include <openssl/rand.h>

#include "base/text.h"

bool upgrade_ask(struct client *client, const char *method_and_path, char key[WS_KEY_LEN])
{
	unsigned char random[16];
	struct buf headers = {0};
	if (RAND_bytes(random, sizeof(random)) != 1)
		return false;
	CHECK(text_from_base64(key, random, sizeof(random)) == WS_KEY_LEN);
	CHECK(ws_key_is_valid(slice_of(key, WS_KEY_LEN)));
	buf_format(&headers,
	           "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %.*s\r\n",
	           WS_KEY_LEN, key);
	client->out.is_broken |= headers.is_broken;
	client_ask(client, method_and_path, buf_view(&headers), slice_of(NULL, 0));
	buf_free(&headers);
	return true;
}

bool upgrade_is_accepted(const struct reply *reply, const char key[WS_KEY_LEN])
{
	char accept[WS_ACCEPT_LEN];
	const struct slice *told = http_answer_header(&reply->head, "sec-websocket-accept");
	return reply->head.status == 101 && told != NULL &&
	       http_answer_has_token(&reply->head, "upgrade", "websocket") &&
	       http_answer_has_token(&reply->head, "connection", "upgrade") &&
	       ws_accept_key(accept, slice_of(key, WS_KEY_LEN)) &&
	       slice_equals(*told, slice_of(accept, sizeof(accept)));
}
