#include "node/watch.h"

#include "base/check.h"

#define BEATS_PER_WATCHDOG 4

void watch_begin(struct watch *watch, uint64_t watchdog_ms, uint32_t workers, uint64_t now_ms)
{
	*watch = (struct watch){.interval_ms = watchdog_ms / BEATS_PER_WATCHDOG,
	                        .workers = workers,
	                        .next_ms = now_ms};
	if (watchdog_ms > 0 && watch->interval_ms == 0)
		watch->interval_ms = 1;
}

void watch_answer(struct watch *watch, uint64_t beat)
{
	CHECK(watch->awaited > 0);
	CHECK(beat == watch->beat);
	watch->awaited--;
}

bool watch_is_late(const struct watch *watch, uint64_t now_ms)
{
	return watch->awaited > 0 && now_ms >= watch->next_ms;
}

bool watch_is_due(struct watch *watch, uint64_t now_ms)
{
	if (watch->interval_ms == 0 || watch->awaited > 0 || now_ms < watch->next_ms)
		return false;
	watch->beat++;
	watch->awaited = watch->workers;
	watch->sent_ms = now_ms;
	watch->next_ms = now_ms + watch->interval_ms;
	return true;
}
