/*
 * A loop with a handler that writes down what it is asked, letter by letter.
 */
#include "net/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "../../failing.h"
#include "base/buf.h"
#include "starling/limits.h"

#define TURNS_MAX 1000 /* a loop that does not sleep makes many more in STOP_MS */
#define STOP_MS 50
#define AWAY_MS 600
#define MANY (TURN_EVENTS_MAX + TURN_EVENTS_MAX / 2) /* descriptors: too many for a turn */

static struct {
	struct loop_handler handler;
	struct loop *loop;
	struct post_office *office;
	struct buf said;
	uint32_t turns, letters_max, letters_until_stop, work_left;
	uint32_t turns_without_room; /* letters_max() says so for so many turns */
	bool waits_for_ring;         /* there is work, for which a ring must have room */
	bool answers;                /* member 1 is written to for each letter */
	uint32_t memory_from_turn;   /* until then there is none for letters; 0: there is */
	uint32_t ready;              /* of MANY */
	struct timer timer;
} world;

static void say(const char *what)
{
	if (world.said.len > 0)
		buf_char(&world.said, ' ');
	buf_string(&world.said, what);
}

static void on_begin(struct loop_handler *handler)
{
	CHECK(handler == &world.handler);
	if (++world.turns == world.memory_from_turn) {
		CHECK(failing_disarm() > 0);
		say("memory");
	}
}

static void on_ready(struct loop_handler *handler, uint64_t tag, unsigned ready)
{
	(void)handler;
	if (tag < MANY) {
		world.ready++;
		return;
	}
	CHECK(tag == MANY);
	say((ready & LOOP_HUNG_UP) != 0 ? "hung-up" : "ready");
	loop_stop(world.loop);
}

static uint32_t on_letters_max(struct loop_handler *handler)
{
	(void)handler;
	if (world.turns_without_room == 0)
		return world.letters_max;
	world.turns_without_room--;
	return 0;
}

static void on_letter(struct loop_handler *handler, const void *letter)
{
	(void)handler;
	const uint32_t *number = letter;
	char text[16];
	snprintf(text, sizeof(text), "%u/%u", *number, world.turns);
	if (world.answers)
		mailbox_post(world.office, 0, 1, number);
	else
		say(text);
	if (--world.letters_until_stop == 0)
		loop_stop(world.loop);
}

static void on_timer(struct loop_handler *handler, struct timer *timer)
{
	(void)handler;
	CHECK(timer == &world.timer);
	say("timer");
	loop_stop(world.loop);
}

/* Member 1 takes letters now, and in the turn after that member 0 can go on with its work. */
static bool work_behind_ring(void)
{
	uint32_t number;
	if (mailbox_is_congested(world.office, 0)) {
		CHECK(mailbox_take(world.office, 1, &number));
		return false;
	}
	say("worked");
	loop_stop(world.loop);
	return false;
}

static bool on_after(struct loop_handler *handler)
{
	(void)handler;
	if (world.waits_for_ring)
		return work_behind_ring();
	return world.work_left > 0 && --world.work_left > 0;
}

static void post(uint32_t number)
{
	CHECK(mailbox_has_room(world.office, 0, 1));
	mailbox_post(world.office, 0, 0, &number);
	mailbox_flush(world.office, 0);
}

static bool was_said(const char *expected)
{
	bool is_so = slice_is(buf_view(&world.said), expected);
	if (!is_so)
		fprintf(stderr, "said:     %.*s\n", (int)world.said.len, world.said.at);
	return is_so;
}

/* ---- cases ---- */

static void letters_in_parts(void)
{
	world.letters_max = 2;
	world.letters_until_stop = 5;
	for (uint32_t i = 1; i <= 5; i++)
		post(i);
	loop_run(world.loop);
	CHECK(was_said("1/1 2/1 3/2 4/2 5/3"));
}

static void letters_without_room(void)
{
	world.turns_without_room = 3;
	world.letters_until_stop = 1;
	post(1);
	loop_run(world.loop);
	CHECK(was_said("1/4"));
}

static void no_room_for_long(void)
{
	world.turns_without_room = UINT32_MAX;
	post(1);
	timer_arm(loop_wheel(world.loop), &world.timer, loop_now_ms(world.loop), STOP_MS);
	loop_run(world.loop);
	CHECK(was_said("timer"));
	CHECK(world.turns < TURNS_MAX);
	uint32_t number;
	CHECK(mailbox_take(world.office, 0, &number));
}

/* More letters are there than slots for what follows: none is taken that has no slot, until there
 * is memory again. */
static void no_memory_for_what_follows(void)
{
	const uint32_t count = 1000;
	uint32_t number, queued = 0;
	for (; !mailbox_is_congested(world.office, 0); queued++) {
		CHECK(mailbox_has_room(world.office, 0, 1));
		mailbox_post(world.office, 0, 1, &queued);
	}
	for (uint32_t i = 0; i < count; i++)
		post(queued + i);
	world.answers = true;
	world.letters_until_stop = count;
	world.memory_from_turn = 5;
	failing_arm(1, FAILING_ALL_FROM);
	loop_run(world.loop);
	CHECK(was_said("memory"));
	CHECK(mailbox_queued(world.office, 0) == count + 1);
	for (uint32_t i = 0; i < queued + count; i++) {
		mailbox_flush(world.office, 0);
		CHECK(mailbox_take(world.office, 1, &number));
		CHECK(number == i);
	}
}

static void work_left(void)
{
	world.work_left = 10;
	timer_arm(loop_wheel(world.loop), &world.timer, loop_now_ms(world.loop), STOP_MS);
	loop_run(world.loop);
	CHECK(was_said("timer"));
	CHECK(world.turns >= 10);
	CHECK(world.turns < TURNS_MAX);
}

static void room_in_a_ring(void)
{
	for (uint32_t i = 0; !mailbox_is_congested(world.office, 0); i++) {
		CHECK(mailbox_has_room(world.office, 0, 1));
		mailbox_post(world.office, 0, 1, &i);
	}
	mailbox_flush(world.office, 0);
	world.waits_for_ring = true;
	timer_arm(loop_wheel(world.loop), &world.timer, loop_now_ms(world.loop), STOP_MS);
	loop_run(world.loop);
	CHECK(was_said("worked"));
	timer_stop(loop_wheel(world.loop), &world.timer);
	uint32_t number;
	while (mailbox_take(world.office, 1, &number))
		;
}

static void descriptors(void)
{
	int ends[2];
	CHECK(pipe(ends) == 0);
	CHECK(loop_watch(world.loop, ends[0], MANY) == 0);
	CHECK(loop_watch(world.loop, ends[0], MANY) < 0);
	CHECK(write(ends[1], "x", 1) == 1);
	loop_run(world.loop);
	CHECK(was_said("ready"));
	close(ends[0]);
	close(ends[1]);
}

static void away(void)
{
	int fds[MANY];
	world.ready = 0;
	for (uint32_t i = 0; i < MANY; i++) {
		fds[i] = eventfd(1, EFD_CLOEXEC);
		CHECK(fds[i] >= 0 && loop_watch(world.loop, fds[i], i) == 0);
	}
	timer_arm(loop_wheel(world.loop), &world.timer, loop_now_ms(world.loop), STOP_MS);
	usleep(AWAY_MS * 1000);
	loop_run(world.loop);
	CHECK(was_said("timer"));
	CHECK(world.ready == MANY);
	for (uint32_t i = 0; i < MANY; i++)
		close(fds[i]);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"so many letters a turn, and no sleep before the others", letters_in_parts},
	{"letters wait while there is no room for what follows from them", letters_without_room},
	{"and the loop sleeps meanwhile", no_room_for_long},
	{"a letter waits while there is no memory for what follows", no_memory_for_what_follows},
	{"while work is left it does not sleep", work_left},
	{"what waited for room in a ring does not wait for more", room_in_a_ring},
	{"a descriptor is ready, and watched once", descriptors},
	{"who was away takes in all that came before it looks at the time", away},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("loop: %s\n", cases[i].name);
		world.handler = (struct loop_handler){on_begin,  on_ready, on_letters_max,
		                                      on_letter, on_timer, on_after};
		world.turns = world.turns_without_room = world.work_left = 0;
		world.letters_max = 100;
		world.waits_for_ring = world.answers = false;
		world.memory_from_turn = 0;
		CHECK((world.office = post_office_create(2, sizeof(uint32_t))) != NULL);
		world.loop = loop_create(&(struct loop_options){.handler = &world.handler,
		                                                .office = world.office,
		                                                .letter_bytes = sizeof(uint32_t),
		                                                .letters_follow = 1});
		CHECK(world.loop != NULL);
		cases[i].run();
		loop_destroy(world.loop);
		post_office_destroy(world.office);
		buf_free(&world.said);
	}
	return 0;
}
