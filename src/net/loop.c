#include "net/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "starling/limits.h"

#define BELL_TAG UINT64_MAX
/* While letters wait, for room in a ring or for memory to take them, nobody rings when there is
 * some: look again soon. */
#define CONGESTED_WAIT_MS 1
/* Who was away for so long (a machine that slept, a process that was stopped) first takes in all
 * that came meanwhile, for so long at most: what seems late may have come in time. */
#define AWAY_US (500 * 1000)
#define CATCH_UP_US (2000 * 1000)

struct loop {
	struct loop_options options;
	struct loop_handler *handler;
	int epoll;
	bool has_more; /* after() said so */
	bool takes_no_letters;
	_Atomic bool is_stopped;
	uint64_t began_us, ended_us; /* the present turn, and the one before: monotonic */
	uint64_t unix_us;
	uint64_t catches_up_until_us; /* 0: it does not */
	struct latency turns;
	struct timer_wheel wheel;
	struct epoll_event events[TURN_EVENTS_MAX];
};

static uint64_t clock_us(clockid_t clock)
{
	struct timespec now;
	CHECK(clock_gettime(clock, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void read_clocks(struct loop *loop)
{
	loop->began_us = clock_us(CLOCK_MONOTONIC);
	loop->unix_us = clock_us(CLOCK_REALTIME);
}

struct loop *loop_create(const struct loop_options *options)
{
	CHECK(options->letter_bytes <= LOOP_LETTER_MAX);
	struct loop *loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		return NULL;
	loop->options = *options;
	loop->handler = options->handler;
	read_clocks(loop);
	loop->ended_us = loop->began_us;
	timer_wheel_init(&loop->wheel, loop_now_ms(loop));
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		goto free_loop;
	if (loop_watch(loop, mailbox_bell(options->office, options->member), BELL_TAG) != 0)
		goto close_epoll;
	return loop;

close_epoll:
	close(loop->epoll);
free_loop:
	free(loop);
	return NULL;
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL)
		return;
	CHECK(loop->wheel.count == 0);
	close(loop->epoll);
	free(loop);
}

int loop_watch(struct loop *loop, int fd, uint64_t tag)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u64 = tag,
	};
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return loop->began_us / 1000;
}

uint64_t loop_unix_ms(const struct loop *loop)
{
	return loop->unix_us / 1000;
}

uint64_t loop_unix_us(const struct loop *loop)
{
	return loop->unix_us;
}

uint64_t loop_clock_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

const struct latency *loop_turns(const struct loop *loop)
{
	return &loop->turns;
}

struct timer_wheel *loop_wheel(struct loop *loop)
{
	return &loop->wheel;
}

void loop_stop(struct loop *loop)
{
	atomic_store_explicit(&loop->is_stopped, true, memory_order_relaxed);
}

/* ---- the turn ---- */

static int wait_ms(struct loop *loop)
{
	if (loop->has_more)
		return 0;
	if (loop->takes_no_letters ||
	    mailbox_is_congested(loop->options.office, loop->options.member))
		return CONGESTED_WAIT_MS;
	uint64_t wait = timer_wait_ms(&loop->wheel, loop->ended_us / 1000);
	return wait > 60 * 1000 ? 60 * 1000 : (int)wait;
}

/* The turn begins when it returns. */
static int wait_for_events(struct loop *loop)
{
	struct post_office *office = loop->options.office;
	uint64_t before_us = loop->began_us;
	int wait = wait_ms(loop);
	if (wait > 0 && !loop->takes_no_letters && !mailbox_sleep(office, loop->options.member))
		wait = 0;
	int count = epoll_wait(loop->epoll, loop->events, TURN_EVENTS_MAX, wait);
	CHECK(count >= 0 || errno == EINTR);
	mailbox_wake(office, loop->options.member);
	read_clocks(loop);
	if (loop->began_us - before_us > (uint64_t)wait * 1000 + AWAY_US)
		loop->catches_up_until_us = loop->began_us + CATCH_UP_US;
	return count < 0 ? 0 : count;
}

/* False: there may be more descriptors that were ready before the time was up. */
static bool has_caught_up(struct loop *loop, int count)
{
	bool has = count < TURN_EVENTS_MAX || loop->began_us >= loop->catches_up_until_us;
	if (has)
		loop->catches_up_until_us = 0;
	return has;
}

static void bell_silence(const struct loop *loop)
{
	uint64_t rings;
	int bell = mailbox_bell(loop->options.office, loop->options.member);
	ssize_t got = read(bell, &rings, sizeof(rings));
	CHECK(got == sizeof(rings) || errno == EAGAIN);
}

static void handle_event(struct loop *loop, const struct epoll_event *event)
{
	if (event->data.u64 == BELL_TAG) {
		bell_silence(loop);
		return;
	}
	unsigned ready = 0;
	if ((event->events & EPOLLIN) != 0)
		ready |= LOOP_READABLE;
	if ((event->events & EPOLLOUT) != 0)
		ready |= LOOP_WRITABLE;
	if ((event->events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0)
		ready |= LOOP_HUNG_UP;
	loop->handler->ready(loop->handler, event->data.u64, ready);
}

/* Each when there is room for what follows from it. True: some may be left. */
static bool take_letters(struct loop *loop)
{
	const struct loop_options *options = &loop->options;
	_Alignas(16) char letter[LOOP_LETTER_MAX];
	uint32_t max = loop->handler->letters_max(loop->handler), taken = 0;
	bool has_room = max > 0;
	while (taken < max) {
		has_room =
			mailbox_has_room(options->office, options->member, options->letters_follow);
		if (!has_room || !mailbox_take(options->office, options->member, letter))
			break;
		loop->handler->letter(loop->handler, letter);
		taken++;
	}
	loop->takes_no_letters = !has_room;
	return taken > 0 && taken == max;
}

static void fire_timers(struct loop *loop)
{
	struct timer *timer;
	for (int i = 0; i < TURN_TIMERS_MAX; i++) {
		timer = timer_take_due(&loop->wheel, loop_now_ms(loop));
		if (timer == NULL)
			return;
		loop->handler->timer(loop->handler, timer);
	}
}

/* Where letters waited for room in a ring, and do not any more, so may have others. */
static void flush_letters(struct loop *loop)
{
	struct post_office *office = loop->options.office;
	bool was_congested = mailbox_is_congested(office, loop->options.member);
	mailbox_flush(office, loop->options.member);
	loop->has_more |= was_congested && !mailbox_is_congested(office, loop->options.member);
}

static void loop_turn(struct loop *loop)
{
	int count = wait_for_events(loop);
	loop->handler->begin(loop->handler);
	for (int i = 0; i < count; i++)
		handle_event(loop, &loop->events[i]);
	bool has_letters = take_letters(loop);
	if (has_caught_up(loop, count))
		fire_timers(loop);
	loop->has_more = loop->handler->after(loop->handler) || has_letters;
	flush_letters(loop);
	loop->ended_us = clock_us(CLOCK_MONOTONIC);
	latency_note(&loop->turns, loop->ended_us - loop->began_us, 1);
}

void loop_run(struct loop *loop)
{
	while (!atomic_load_explicit(&loop->is_stopped, memory_order_relaxed))
		loop_turn(loop);
}
