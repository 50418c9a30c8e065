#include "edge/rate.h"

#define MESSAGE 1000u /* as it is owed; so a millisecond works off `per_s` of it */

void rate_pass(struct rate *rate, uint32_t elapsed_ms, uint32_t per_s)
{
	uint64_t paid = (uint64_t)elapsed_ms * per_s;
	rate->owed = paid < rate->owed ? rate->owed - (uint32_t)paid : 0;
	rate->pause_ms = elapsed_ms < rate->pause_ms ? (uint16_t)(rate->pause_ms - elapsed_ms) : 0;
}

static void refuse(struct rate *rate)
{
	uint32_t over_ms = 0;
	if (rate->pause_ms > 0)
		over_ms = rate->over_ms + (uint32_t)(RATE_PAUSE_MS - rate->pause_ms);
	rate->over_ms = over_ms < RATE_OVER_MS_MAX ? (uint16_t)over_ms : RATE_OVER_MS_MAX;
	rate->pause_ms = RATE_PAUSE_MS;
}

bool rate_take(struct rate *rate, uint32_t per_s, uint32_t burst)
{
	if (per_s == 0)
		return true;
	if ((uint64_t)rate->owed + MESSAGE > (uint64_t)burst * MESSAGE) {
		refuse(rate);
		return false;
	}
	rate->owed += MESSAGE;
	return true;
}

bool rate_is_hopeless(const struct rate *rate)
{
	return rate->over_ms == RATE_OVER_MS_MAX;
}
