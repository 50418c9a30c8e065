#include "net/tls_ticket.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/check.h"

/* SHA-256 of the chain and what it is for. */
static void draw(const unsigned char chain[32], const char *what, unsigned char *out, size_t len)
{
	unsigned char text[32 + 8] = {0}, hash[SHA256_DIGEST_LENGTH];
	CHECK(strlen(what) <= 8);
	CHECK(len <= sizeof(hash));
	memcpy(text, chain, 32);
	memcpy(text + 32, what, strlen(what));
	SHA256(text, sizeof(text), hash);
	memcpy(out, hash, len);
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(hash, sizeof(hash));
}

static void draw_keys(struct tls_tickets *tickets)
{
	struct tls_ticket_keys *keys = &tickets->now;
	draw(tickets->chain, "name", keys->name, sizeof(keys->name));
	draw(tickets->chain, "cipher", keys->cipher, sizeof(keys->cipher));
	draw(tickets->chain, "mac", keys->mac, sizeof(keys->mac));
}

void tickets_init(struct tls_tickets *tickets, const struct tls_seed *seed)
{
	*tickets = (struct tls_tickets){.from_ms = seed->from_ms};
	memcpy(tickets->chain, seed->bytes, sizeof(tickets->chain));
	draw_keys(tickets);
}

void tickets_wipe(struct tls_tickets *tickets)
{
	OPENSSL_cleanse(tickets, sizeof(*tickets));
}

static void move_on(struct tls_tickets *tickets, uint64_t now_ms)
{
	CHECK(now_ms >= tickets->from_ms);
	uint64_t period = (now_ms - tickets->from_ms) / TLS_TICKET_LIFE_MS;
	for (; tickets->period < period; tickets->period++) {
		tickets->before = tickets->now;
		tickets->has_before = true;
		draw(tickets->chain, "next", tickets->chain, sizeof(tickets->chain));
		draw_keys(tickets);
	}
}

const struct tls_ticket_keys *tickets_now(struct tls_tickets *tickets, uint64_t now_ms)
{
	move_on(tickets, now_ms);
	return &tickets->now;
}

const struct tls_ticket_keys *tickets_find(struct tls_tickets *tickets, uint64_t now_ms,
                                           const unsigned char *name)
{
	move_on(tickets, now_ms);
	if (memcmp(name, tickets->now.name, TLS_TICKET_NAME_BYTES) == 0)
		return &tickets->now;
	if (tickets->has_before && memcmp(name, tickets->before.name, TLS_TICKET_NAME_BYTES) == 0)
		return &tickets->before;
	return NULL;
}
