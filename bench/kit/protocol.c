#include "kit/protocol.h"

#include <stdlib.h>

#define CURSOR_MAX 64

static const struct protocol *const protocols[] = {
	&protocol_native, &protocol_websocket, &protocol_sse,
	&protocol_poll,   &protocol_post,      &protocol_nats,
};

const struct protocol *protocol_at(size_t i)
{
	return i < COUNT_OF(protocols) ? protocols[i] : NULL;
}

const struct protocol *protocol_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(protocols); i++) {
		if (strcmp(protocols[i]->name, name) == 0)
			return protocols[i];
	}
	return NULL;
}

struct blanks client_blanks(const struct client *client, struct slice data)
{
	return (struct blanks){
		.channel = client->channel,
		.data = data,
		.cursor = client->cursor == NULL ? slice_of(NULL, 0) : slice_string(client->cursor),
	};
}

void client_keep_cursor(struct client *client, struct slice text, const char *key)
{
	const char *at = memmem(text.at, text.len, key, strlen(key));
	if (at == NULL)
		return;
	at += strlen(key);
	const char *end = at;
	while (end < text.at + text.len && end - at < CURSOR_MAX && *end != '"' && *end > ' ')
		end++;
	size_t len = (size_t)(end - at);
	if (client->cursor == NULL)
		client->cursor = malloc(CURSOR_MAX + 1);
	CHECK(client->cursor != NULL);
	memcpy(client->cursor, at, len);
	client->cursor[len] = '\0';
}

bool text_has(struct slice text, const char *words)
{
	return words != NULL && text.len > 0 &&
	       memmem(text.at, text.len, words, strlen(words)) != NULL;
}
