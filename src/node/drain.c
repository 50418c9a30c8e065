#include "node/drain.h"

#include <stddef.h>

#include "base/check.h"

void node_drain_begin(struct node_drain *drain, uint64_t now_ms)
{
	CHECK(drain->step == DRAIN_NOT);
	drain->up->refuse_new(drain->up);
	drain->step = DRAIN_HANDS_OVER;
	drain->until_ms = now_ms + DRAIN_HANDOVER_MS;
}

static void hand_over(struct node_drain *drain, uint64_t now_ms)
{
	bool is_over = drain->handover == NULL || drain->handover->is_over(drain->handover);
	if (!is_over && now_ms < drain->until_ms)
		return;
	drain->up->send_away(drain->up, drain->time_ms);
	drain->step = DRAIN_SENDS_AWAY;
	drain->until_ms = now_ms + drain->time_ms + DRAIN_LINGER_MS;
}

bool node_drain_look(struct node_drain *drain, uint64_t now_ms)
{
	CHECK(drain->step != DRAIN_NOT);
	if (drain->step == DRAIN_HANDS_OVER)
		hand_over(drain, now_ms);
	if (drain->step == DRAIN_SENDS_AWAY &&
	    (drain->up->clients(drain->up) == 0 || now_ms >= drain->until_ms))
		drain->step = DRAIN_OVER;
	return drain->step == DRAIN_OVER;
}
