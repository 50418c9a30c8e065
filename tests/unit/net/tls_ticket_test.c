/* Chains of two workers that begin with one seed. */
#include "net/tls_ticket.h"

#include <string.h>

#include "base/check.h"

#define LIFE ((uint64_t)TLS_TICKET_LIFE_MS)
#define FROM 1000000u

static const struct tls_seed seed = {"thirty-two bytes drawn by lot..", FROM};

static const struct {
	const char *name;
	uint64_t made_ms, found_ms; /* since the seed */
	bool is_found, is_now;
} cases[] = {
	{"a ticket opens at once", 0, 0, true, true},
	{"and at the end of its period", 0, LIFE - 1, true, true},
	{"it opens in the next one too, but is an old one", 0, LIFE, true, false},
	{"as long as that lasts", LIFE - 1, 2 * LIFE - 1, true, false},
	{"no ticket opens after that", 0, 2 * LIFE, false, false},
	{"one that is made late lives as long", LIFE - 1, LIFE - 1 + LIFE, true, false},
	{"periods in which nobody came count", LIFE, 9 * LIFE, false, false},
	{"after a long time all is as it was", 1000 * LIFE, 1001 * LIFE, true, false},
};

static void check(size_t i)
{
	struct tls_tickets maker, finder;
	tickets_init(&maker, &seed);
	tickets_init(&finder, &seed);
	struct tls_ticket_keys made = *tickets_now(&maker, FROM + cases[i].made_ms);
	uint64_t now_ms = FROM + cases[i].found_ms;
	const struct tls_ticket_keys *found = tickets_find(&finder, now_ms, made.name);
	CHECK((found != NULL) == cases[i].is_found);
	if (found == NULL)
		return;
	CHECK(memcmp(found, &made, sizeof(made)) == 0);
	CHECK((found == tickets_now(&finder, now_ms)) == cases[i].is_now);
}

static void strange_name(void)
{
	struct tls_tickets tickets;
	unsigned char name[TLS_TICKET_NAME_BYTES] = {0};
	tickets_init(&tickets, &seed);
	/* Also where there is no period before, whose keys would be zero. */
	CHECK(tickets_find(&tickets, FROM, name) == NULL);
}

static bool holds(const struct tls_tickets *tickets, const void *bytes, size_t len)
{
	const char *at = (const char *)tickets;
	for (size_t i = 0; i + len <= sizeof(*tickets); i++) {
		if (memcmp(at + i, bytes, len) == 0)
			return true;
	}
	return false;
}

static void past_is_gone(void)
{
	struct tls_tickets tickets, early;
	tickets_init(&tickets, &seed);
	early = tickets;
	struct tls_ticket_keys first = *tickets_now(&tickets, FROM);
	(void)tickets_now(&tickets, FROM + LIFE);
	CHECK(holds(&tickets, first.cipher, sizeof(first.cipher)));
	CHECK(!holds(&tickets, early.chain, sizeof(early.chain)));
	(void)tickets_now(&tickets, FROM + 2 * LIFE);
	CHECK(!holds(&tickets, first.cipher, sizeof(first.cipher)));
	CHECK(!holds(&tickets, first.mac, sizeof(first.mac)));
	CHECK(!holds(&tickets, seed.bytes, sizeof(seed.bytes)));
	tickets_wipe(&tickets);
	static const struct tls_tickets none;
	CHECK(memcmp(&tickets, &none, sizeof(none)) == 0);
}

static void keys_differ(void)
{
	struct tls_tickets tickets;
	tickets_init(&tickets, &seed);
	struct tls_ticket_keys one = *tickets_now(&tickets, FROM);
	struct tls_ticket_keys two = *tickets_now(&tickets, FROM + LIFE);
	CHECK(memcmp(one.name, two.name, sizeof(one.name)) != 0);
	CHECK(memcmp(one.cipher, two.cipher, sizeof(one.cipher)) != 0);
	CHECK(memcmp(one.mac, two.mac, sizeof(one.mac)) != 0);
	CHECK(memcmp(one.cipher, one.mac, sizeof(one.mac)) != 0);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("tls_ticket: %s\n", cases[i].name);
		check(i);
	}
	printf("tls_ticket: a name of nobody opens nothing\n");
	strange_name();
	printf("tls_ticket: keys of the past are gone, and cannot be had again\n");
	past_is_gone();
	printf("tls_ticket: each period and each purpose has its own\n");
	keys_differ();
	return 0;
}
