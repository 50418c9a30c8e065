/*
 * tls_ticket.h - the keys that session tickets are sealed with: all workers have the same without
 * speaking to each other, and those of the past are gone.
 *
 * Time is cut into periods. The keys of a period are drawn from a chain: a value that is hashed
 * into that of the next period, and from which the one before cannot be had again. A worker
 * keeps the keys of this period, for new tickets, and of the one before, for those that are
 * out; what a thief finds opens no ticket that is older.
 *
 * Threads:   a chain is one worker's; those that begin with one seed at one time agree.
 * Ownership: a struct of bytes; tickets_wipe() when it is done with.
 * Limits:    tickets live for TLS_TICKET_LIFE_MS at least, twice that at most.
 * Source:    RFC 5077 section 5.5 (the protection of tickets).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TLS_TICKET_LIFE_MS (4 * 3600 * 1000u)
#define TLS_TICKET_NAME_BYTES 16
#define TLS_TICKET_KEY_BYTES 32

struct tls_ticket_keys {
	unsigned char name[TLS_TICKET_NAME_BYTES]; /* stands in the ticket */
	unsigned char cipher[TLS_TICKET_KEY_BYTES], mac[TLS_TICKET_KEY_BYTES];
};

/* What the chains of all workers begin with. */
struct tls_seed {
	unsigned char bytes[32];
	uint64_t from_ms; /* of the clock that the calls below are given */
};

struct tls_tickets {
	/* private */
	unsigned char chain[32];
	uint64_t from_ms, period;
	struct tls_ticket_keys now, before;
	bool has_before;
};

void tickets_init(struct tls_tickets *tickets, const struct tls_seed *seed);
/* The keys for a new ticket. */
const struct tls_ticket_keys *tickets_now(struct tls_tickets *tickets, uint64_t now_ms);
/* Those of a ticket that came, by the name in it; NULL: it is of another place or time. */
const struct tls_ticket_keys *tickets_find(struct tls_tickets *tickets, uint64_t now_ms,
                                           const unsigned char *name);
void tickets_wipe(struct tls_tickets *tickets);
