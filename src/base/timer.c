/*
 * Level 0 holds the next 64 ticks one by one, level 1 the next 64 * 64 in groups of 64, and
 * so on. When the wheel has gone through all slots of a level, the next slot of the level
 * above is spread over it. Ticks are compared as differences, so they may wrap.
 */
#include "base/timer.h"

#define SLOT_BITS 6

static_assert(1 << SLOT_BITS == TIMER_SLOTS, "slots are counted in bits");
static_assert(TIMER_DELAY_MAX_MS / TIMER_TICK_MS < 1ull << SLOT_BITS * TIMER_LEVELS,
              "the longest delay fits the top level");

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
	*wheel = (struct timer_wheel){.start_ms = now_ms};
	for (int level = 0; level < TIMER_LEVELS; level++) {
		for (int slot = 0; slot < TIMER_SLOTS; slot++)
			list_init(&wheel->slots[level][slot]);
	}
	list_init(&wheel->due);
}

/* The tick that is over at `now_ms`. Cut to 32 bits: only differences count. */
static uint32_t tick_at(const struct timer_wheel *wheel, uint64_t now_ms)
{
	return (uint32_t)((now_ms - wheel->start_ms) / TIMER_TICK_MS);
}

static unsigned slot_of(uint32_t tick, int level)
{
	return tick >> SLOT_BITS * level & (TIMER_SLOTS - 1);
}

static void wheel_link(struct timer_wheel *wheel, struct timer *timer)
{
	uint32_t distance = timer->due_tick - wheel->tick;
	if (distance == 0 || distance > UINT32_MAX / 2) {
		list_append(&wheel->due, &timer->node);
		return;
	}
	int level = 0;
	while (distance >> SLOT_BITS * (level + 1) != 0)
		level++;
	CHECK(level < TIMER_LEVELS);
	unsigned slot = slot_of(timer->due_tick, level);
	list_append(&wheel->slots[level][slot], &timer->node);
	wheel->occupied[level] |= 1ull << slot;
}

static void wheel_spread(struct timer_wheel *wheel, int level, unsigned slot)
{
	struct list *list = &wheel->slots[level][slot];
	struct list_node *node;
	wheel->occupied[level] &= ~(1ull << slot);
	while ((node = list_first(list)) != NULL) {
		list_remove(node);
		wheel_link(wheel, CONTAINER_OF(node, struct timer, node));
	}
}

/* One tick: slots above that begin with it are spread first, the highest one before. */
static void wheel_step(struct timer_wheel *wheel)
{
	wheel->tick++;
	int level = 1;
	while (level < TIMER_LEVELS && (wheel->tick & ((1u << SLOT_BITS * level) - 1)) == 0)
		level++;
	while (--level > 0)
		wheel_spread(wheel, level, slot_of(wheel->tick, level));
	wheel_spread(wheel, 0, slot_of(wheel->tick, 0));
}

/* Ticks from wheel->tick to the next one at which anything happens; at least 1. */
static uint32_t ticks_to_next(const struct timer_wheel *wheel)
{
	uint32_t nearest = UINT32_MAX;
	for (int level = 0; level < TIMER_LEVELS; level++) {
		if (wheel->occupied[level] == 0)
			continue;
		unsigned shift = SLOT_BITS * (unsigned)level;
		unsigned here = slot_of(wheel->tick, level);
		unsigned turn = (here + 1) & (TIMER_SLOTS - 1);
		uint64_t ahead = wheel->occupied[level];
		ahead = turn == 0 ? ahead : ahead >> turn | ahead << (TIMER_SLOTS - turn);
		uint32_t groups = (uint32_t)__builtin_ctzll(ahead) + 1;
		uint32_t start = wheel->tick >> shift << shift;
		uint32_t distance = start + (groups << shift) - wheel->tick;
		nearest = distance < nearest ? distance : nearest;
	}
	return nearest;
}

static void wheel_advance(struct timer_wheel *wheel, uint32_t tick)
{
	while (wheel->tick != tick) {
		uint32_t step = ticks_to_next(wheel);
		uint32_t left = tick - wheel->tick;
		if (step > left) {
			wheel->tick = tick;
			return;
		}
		wheel->tick += step - 1;
		wheel_step(wheel);
	}
}

/* Time that goes back, as it is cut to 32 bits, moves nothing. */
static void wheel_turn(struct timer_wheel *wheel, uint64_t now_ms)
{
	uint32_t tick = tick_at(wheel, now_ms);
	if (wheel->count == 0)
		wheel->tick = tick; /* it may have stood still for as long as you like */
	else if (tick - wheel->tick <= UINT32_MAX / 2)
		wheel_advance(wheel, tick);
}

static uint32_t due_tick_of(const struct timer_wheel *wheel, uint64_t now_ms, uint64_t delay_ms)
{
	if (delay_ms > TIMER_DELAY_MAX_MS)
		delay_ms = TIMER_DELAY_MAX_MS;
	/* One tick more than the delay, because part of the present one is over. */
	return tick_at(wheel, now_ms + delay_ms + TIMER_TICK_MS - 1);
}

uint32_t timer_late_ms(const struct timer_wheel *wheel, const struct timer *timer, uint64_t now_ms)
{
	return (tick_at(wheel, now_ms) - timer->due_tick) * TIMER_TICK_MS;
}

void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t now_ms, uint64_t delay_ms)
{
	timer_stop(wheel, timer);
	wheel_turn(wheel, now_ms);
	timer->due_tick = due_tick_of(wheel, now_ms, delay_ms);
	wheel_link(wheel, timer);
	wheel->count++;
}

void timer_arm_sooner(struct timer_wheel *wheel, struct timer *timer, uint64_t now_ms,
                      uint64_t delay_ms)
{
	uint32_t later = due_tick_of(wheel, now_ms, delay_ms) - timer->due_tick;
	if (!timer_is_armed(timer) || later > UINT32_MAX / 2)
		timer_arm(wheel, timer, now_ms, delay_ms);
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
	if (!timer_is_armed(timer))
		return;
	list_remove(&timer->node);
	CHECK(wheel->count > 0);
	wheel->count--;
}

struct timer *timer_take_due(struct timer_wheel *wheel, uint64_t now_ms)
{
	wheel_turn(wheel, now_ms);
	struct list_node *node = list_first(&wheel->due);
	if (node == NULL)
		return NULL;
	struct timer *timer = CONTAINER_OF(node, struct timer, node);
	timer_stop(wheel, timer);
	return timer;
}

uint64_t timer_wait_ms(const struct timer_wheel *wheel, uint64_t now_ms)
{
	if (!list_is_empty(&wheel->due))
		return 0;
	if (wheel->count == 0)
		return UINT64_MAX;
	uint64_t tick_now = (now_ms - wheel->start_ms) / TIMER_TICK_MS;
	uint32_t behind = (uint32_t)tick_now - wheel->tick;
	uint32_t next = ticks_to_next(wheel);
	if (behind <= UINT32_MAX / 2 && next <= behind)
		return 0;
	uint64_t due_ms = wheel->start_ms + (tick_now - behind + next) * TIMER_TICK_MS;
	return due_ms - now_ms;
}
