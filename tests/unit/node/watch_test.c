/* When a watchdog is told, and when it is not. */
#include <stdio.h>

#include "base/check.h"
#include "node/watch.h"

static void without_watchdog(void)
{
	struct watch watch;
	watch_begin(&watch, 0, 2, 100);
	CHECK(!watch_is_due(&watch, 100));
	CHECK(!watch_is_due(&watch, UINT64_MAX));
	printf("watch: nobody watches, nobody is told\n");
}

static void all_live(void)
{
	struct watch watch;
	watch_begin(&watch, 1000, 2, 100);
	CHECK(watch_is_due(&watch, 100));
	CHECK(!watch_is_due(&watch, 100));
	watch_answer(&watch, watch.beat);
	watch_answer(&watch, watch.beat);
	CHECK(!watch_is_due(&watch, 349));
	CHECK(watch_is_due(&watch, 350));
	printf("watch: told four times in the watchdog's time while all answer\n");
}

static void one_is_stuck(void)
{
	struct watch watch;
	watch_begin(&watch, 1000, 2, 100);
	CHECK(watch_is_due(&watch, 100));
	watch_answer(&watch, watch.beat);
	CHECK(!watch_is_late(&watch, 349));
	CHECK(watch_is_late(&watch, 350));
	CHECK(!watch_is_due(&watch, 350));
	CHECK(!watch_is_due(&watch, 1000000));
	watch_answer(&watch, watch.beat);
	CHECK(!watch_is_late(&watch, 1000000));
	CHECK(watch_is_due(&watch, 1000000));
	printf("watch: one that is stuck is silence, until it is not\n");
}

static void shortest(void)
{
	struct watch watch;
	watch_begin(&watch, 3, 1, 0);
	CHECK(watch.interval_ms == 1);
	printf("watch: the shortest time is a millisecond\n");
}

int main(void)
{
	without_watchdog();
	all_live();
	one_is_stuck();
	shortest();
	return 0;
}
