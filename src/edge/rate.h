/*
 * rate.h - how many messages a client may send: a token bucket, and how long it has been empty.
 *
 * What a message costs is owed, and worked off as time passes: `per_s` messages a second, and
 * `burst` at once. A client that goes on beyond that is refused, message by message; one that was
 * refused for RATE_OVER_MS_MAX with no RATE_PAUSE_MS between two refusals is hopeless.
 *
 * Threads:   pure; a rate belongs to one connection.
 * Ownership: a value; zeroed, nothing is owed.
 * Limits:    `per_s` and `burst` up to a million; 0 a second is no limit. Exact: no part of a
 *            message or of a millisecond is lost, whenever it is looked at.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RATE_PAUSE_MS 1000
#define RATE_OVER_MS_MAX 10000

struct rate {
	uint32_t owed;     /* thousandths of a message */
	uint16_t over_ms;  /* from the first refusal to the last, when no pause was between */
	uint16_t pause_ms; /* still to pass without a refusal before that begins anew */
};

void rate_pass(struct rate *rate, uint32_t elapsed_ms, uint32_t per_s);
/* One message more. False: it is too many. */
bool rate_take(struct rate *rate, uint32_t per_s, uint32_t burst);
/* After a refusal: has it gone on for so long that the client will not learn? */
bool rate_is_hopeless(const struct rate *rate);
