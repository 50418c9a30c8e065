/*
 * A wheel beside a plain array of due times: what fires, when, and how long there is to wait.
 * Time goes in steps that a loop would make and in leaps over days.
 */
#include "base/random.h"
#include "base/timer.h"

#define TIMERS 300
#define STEPS 40000
#define HOUR ((uint64_t)3600 * 1000)
#define DAY (24 * HOUR)

struct item {
	struct timer timer;
	uint64_t due_ms; /* exactly */
};

static struct timer_wheel wheel;
static struct item items[TIMERS];
static uint64_t now_ms;

static struct item *item_of(struct timer *timer)
{
	return CONTAINER_OF(timer, struct item, timer);
}

static void begin(uint64_t start_ms)
{
	now_ms = start_ms;
	timer_wheel_init(&wheel, now_ms);
	for (size_t i = 0; i < TIMERS; i++)
		items[i] = (struct item){.timer.kind = (uint32_t)i};
}

static void arm(struct item *item, uint64_t delay_ms)
{
	timer_arm(&wheel, &item->timer, now_ms, delay_ms);
	CHECK(timer_is_armed(&item->timer));
	item->due_ms = now_ms + (delay_ms < TIMER_DELAY_MAX_MS ? delay_ms : TIMER_DELAY_MAX_MS);
}

/* Milliseconds to the nearest due time; UINT64_MAX: none is armed. */
static uint64_t nearest_ms(void)
{
	uint64_t nearest = UINT64_MAX;
	for (size_t i = 0; i < TIMERS; i++) {
		if (!timer_is_armed(&items[i].timer))
			continue;
		uint64_t left = items[i].due_ms > now_ms ? items[i].due_ms - now_ms : 0;
		nearest = left < nearest ? left : nearest;
	}
	return nearest;
}

/* Whoever fires is due, and nobody stays who has been for a tick. */
static uint32_t fire(void)
{
	struct timer *timer;
	uint32_t fired = 0;
	for (; (timer = timer_take_due(&wheel, now_ms)) != NULL; fired++) {
		CHECK(!timer_is_armed(timer));
		CHECK(timer == &items[timer->kind].timer);
		CHECK(item_of(timer)->due_ms <= now_ms);
		uint32_t late_ms = timer_late_ms(&wheel, timer, now_ms);
		uint64_t since_ms = now_ms - item_of(timer)->due_ms;
		CHECK(late_ms <= since_ms && late_ms + 2 * TIMER_TICK_MS > since_ms);
	}
	uint32_t armed = 0;
	for (size_t i = 0; i < TIMERS; i++) {
		if (!timer_is_armed(&items[i].timer))
			continue;
		CHECK(items[i].due_ms + TIMER_TICK_MS > now_ms);
		armed++;
	}
	CHECK(wheel.count == armed);
	return fired;
}

static void wait_check(void)
{
	uint64_t wait = timer_wait_ms(&wheel, now_ms), nearest = nearest_ms();
	CHECK((wait == UINT64_MAX) == (nearest == UINT64_MAX));
	if (nearest != UINT64_MAX)
		CHECK(wait < nearest + TIMER_TICK_MS);
}

/* As a loop does: waits as long as it is told to, until something fires. */
static void wait_and_fire(void)
{
	uint64_t started = now_ms, nearest = nearest_ms();
	int turns = 0;
	do {
		uint64_t wait = timer_wait_ms(&wheel, now_ms);
		CHECK(wait != UINT64_MAX);
		CHECK(wait > 0 || turns == 0);
		now_ms += wait;
		/* Once a level, and once for each slot that a stopped timer has left. */
		CHECK(++turns <= TIMER_LEVELS * TIMER_SLOTS);
	} while (fire() == 0);
	CHECK(now_ms - started < nearest + TIMER_TICK_MS);
}

static void one_of(uint64_t delay_ms)
{
	arm(&items[0], delay_ms);
	CHECK(wheel.count == 1);
	wait_check();
	wait_and_fire();
	CHECK(wheel.count == 0);
	CHECK(timer_wait_ms(&wheel, now_ms) == UINT64_MAX);
}

/* The bounds of each level, from each place in a tick. */
static void every_level(void)
{
	for (int level = 0; level < TIMER_LEVELS; level++) {
		uint64_t span_ms = (uint64_t)TIMER_TICK_MS << 6 * level;
		for (uint64_t slots = 1; slots < TIMER_SLOTS; slots += 31) {
			for (uint64_t off = 0; off < 10; off++) {
				uint64_t delay_ms = span_ms * slots + off - 5;
				if (delay_ms <= TIMER_DELAY_MAX_MS)
					one_of(delay_ms);
				now_ms += off;
			}
		}
	}
}

static void zero_is_now(void)
{
	now_ms += 1;
	arm(&items[0], 0);
	CHECK(timer_wait_ms(&wheel, now_ms) < TIMER_TICK_MS);
	now_ms += TIMER_TICK_MS - 1;
	CHECK(fire() == 1);
}

static void too_long_is_cut(void)
{
	one_of(TIMER_DELAY_MAX_MS);
	one_of(TIMER_DELAY_MAX_MS + 1);
	one_of(UINT64_MAX);
}

static void armed_again_moves(void)
{
	arm(&items[0], 1000);
	arm(&items[0], 3000);
	CHECK(wheel.count == 1);
	now_ms += 2000;
	CHECK(fire() == 0);
	arm(&items[0], 500);
	now_ms += 500 + TIMER_TICK_MS;
	CHECK(fire() == 1);
	now_ms += HOUR;
	CHECK(fire() == 0);
}

static void armed_sooner_moves(void)
{
	timer_arm_sooner(&wheel, &items[0].timer, now_ms, 1000);
	items[0].due_ms = now_ms + 1000;
	CHECK(timer_is_armed(&items[0].timer));
	timer_arm_sooner(&wheel, &items[0].timer, now_ms, UINT64_MAX);
	timer_arm_sooner(&wheel, &items[0].timer, now_ms, 1001 + TIMER_TICK_MS);
	timer_arm_sooner(&wheel, &items[0].timer, now_ms, 500);
	items[0].due_ms = now_ms + 500;
	timer_arm_sooner(&wheel, &items[0].timer, now_ms + 100, 500);
	CHECK(wheel.count == 1);
	wait_and_fire();
	CHECK(wheel.count == 0);
	timer_arm_sooner(&wheel, &items[0].timer, now_ms, 2000); /* it was due long before that */
	items[0].due_ms = now_ms + 2000;
	wait_and_fire();
}

static void stopped_stays_silent(void)
{
	timer_stop(&wheel, &items[0].timer);
	arm(&items[0], 1000);
	timer_stop(&wheel, &items[0].timer);
	CHECK(!timer_is_armed(&items[0].timer));
	CHECK(timer_wait_ms(&wheel, now_ms) == UINT64_MAX);
	now_ms += HOUR;
	CHECK(fire() == 0);
}

static void due_may_be_stopped(void)
{
	arm(&items[0], 10);
	arm(&items[1], 10);
	now_ms += 100;
	struct timer *first = timer_take_due(&wheel, now_ms);
	CHECK(first != NULL);
	CHECK(timer_wait_ms(&wheel, now_ms) == 0);
	timer_stop(&wheel, &items[first == &items[0].timer ? 1 : 0].timer);
	CHECK(timer_take_due(&wheel, now_ms) == NULL);
}

/* Nobody asked it for long: a delay is counted from the time of arming all the same. */
static void stood_still(void)
{
	now_ms += 39 * DAY;
	one_of(TIMER_DELAY_MAX_MS);
	now_ms += 1000 * DAY;
	one_of(10);
	arm(&items[1], TIMER_DELAY_MAX_MS);
	now_ms += 30 * DAY;
	arm(&items[2], TIMER_DELAY_MAX_MS);
	CHECK(fire() == 0);
	wait_check();
	wait_and_fire();
	wait_and_fire();
}

static uint64_t random_delay(struct random *random)
{
	static const uint64_t spans[] = {2, 20, 300, 20000, HOUR, DAY, 50 * DAY};
	uint64_t span = spans[random_below(random, COUNT_OF(spans))];
	return random_next(random) % span;
}

static void random_step(struct random *random)
{
	struct item *item = &items[random_below(random, TIMERS)];
	uint32_t what = random_below(random, 100);
	if (what < 50) {
		arm(item, random_delay(random));
	} else if (what < 65) {
		timer_stop(&wheel, &item->timer);
	} else if (what < 80) {
		uint64_t wait = timer_wait_ms(&wheel, now_ms);
		now_ms += wait == UINT64_MAX ? HOUR : wait;
		fire();
	} else {
		now_ms += random_below(random, 20) == 0 ? random_delay(random)
		                                        : random_below(random, 50);
		fire();
	}
	wait_check();
}

static void any_steps(void)
{
	struct random random = {.state = now_ms};
	for (int i = 0; i < STEPS; i++)
		random_step(&random);
	while (wheel.count > 0)
		wait_and_fire();
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"a delay of any level is kept to the tick", every_level},
	{"no delay is the next tick", zero_is_now},
	{"the longest delay is kept, longer ones are cut to it", too_long_is_cut},
	{"arming again moves it", armed_again_moves},
	{"arming for sooner moves it only there", armed_sooner_moves},
	{"one that is stopped does not fire", stopped_stays_silent},
	{"one that is due may still be stopped", due_may_be_stopped},
	{"a wheel that stood still for long counts from now", stood_still},
	{"any mix of calls fires each in its tick, and never early", any_steps},
};

/* Of the last the ticks, of which there are 2^32, run over soon after the start. */
static const struct {
	const char *name;
	uint64_t start_ms, idle_ms;
} starts[] = {
	{"from zero", 0, 0},
	{"from where 32 bits of milliseconds run over", UINT32_MAX - HOUR, 0},
	{"from an odd time", 1700000000123u, 7},
	{"across the end of 32 bits of ticks", 11, ((uint64_t)TIMER_TICK_MS << 32) - 3 * HOUR},
};

int main(void)
{
	for (size_t k = 0; k < COUNT_OF(starts); k++) {
		for (size_t i = 0; i < COUNT_OF(cases); i++) {
			printf("timer: %s, %s\n", starts[k].name, cases[i].name);
			begin(starts[k].start_ms);
			now_ms += starts[k].idle_ms;
			cases[i].run();
		}
	}
	return 0;
}
