/*
 * Letters between members: in one thread case by case, then between threads that sleep over
 * an empty box and must be woken. The last ones are for the thread sanitizer too.
 */
#include "net/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "../../failing.h"
#include "base/random.h"
#include "starling/limits.h"

#define MEMBERS 3
#define LETTERS 1000000   /* between the threads, in all */
#define TURNS 20000       /* of a letter that goes to and fro */
#define WAIT_MS_MAX 20000 /* longer, and a wake-up was lost */
#define BACKLOG 200000    /* letters that wait for one who takes none */

struct letter {
	uint64_t number;
	uint32_t from, to;
};

static struct post_office *office;

static void post(uint32_t from, uint32_t to, uint64_t number)
{
	struct letter letter = {number, from, to};
	mailbox_post(office, from, to, &letter);
}

static void post_many(uint32_t from, uint32_t to, uint64_t first, uint32_t count)
{
	CHECK(mailbox_has_room(office, from, count));
	for (uint32_t i = 0; i < count; i++)
		post(from, to, first + i);
}

/* The end of a turn of each member. */
static void flush_all(void)
{
	for (uint32_t member = 0; member < MEMBERS; member++)
		mailbox_flush(office, member);
}

static void expect(uint32_t from, uint32_t to, uint64_t number)
{
	struct letter letter;
	CHECK(mailbox_take(office, to, &letter));
	CHECK(letter.from == from);
	CHECK(letter.to == to);
	CHECK(letter.number == number);
}

static void expect_none(uint32_t member)
{
	struct letter letter;
	CHECK(!mailbox_take(office, member, &letter));
}

static bool bell_rings(uint32_t member)
{
	struct pollfd bell = {.fd = mailbox_bell(office, member), .events = POLLIN};
	return poll(&bell, 1, 0) == 1;
}

static void bell_silence(uint32_t member)
{
	uint64_t rings;
	ssize_t got = read(mailbox_bell(office, member), &rings, sizeof(rings));
	CHECK(got == sizeof(rings));
}

/* ---- in one thread ---- */

static void in_order(void)
{
	for (uint32_t member = 0; member < MEMBERS; member++)
		expect_none(member);
	post_many(0, 1, 1, 5);
	expect_none(1); /* the turn is not over */
	flush_all();
	for (uint64_t i = 1; i <= 5; i++)
		expect(0, 1, i);
	expect_none(1);
	expect_none(0);
}

static void to_itself(void)
{
	post(2, 2, 7);
	mailbox_flush(office, 2);
	CHECK(!bell_rings(2));
	CHECK(!mailbox_sleep(office, 2));
	expect(2, 2, 7);
}

static void kept_apart(void)
{
	post(0, 1, 1);
	post(0, 2, 2);
	post(1, 2, 3);
	flush_all();
	expect(0, 1, 1);
	expect(0, 2, 2);
	expect(1, 2, 3);
	expect_none(1);
	expect_none(2);
}

static void queue_when_full(void)
{
	uint32_t count = MAILBOX_CAPACITY + 1000;
	CHECK(!mailbox_is_congested(office, 0));
	post_many(0, 1, 1, MAILBOX_CAPACITY);
	CHECK(!mailbox_is_congested(office, 0));
	post_many(0, 1, MAILBOX_CAPACITY + 1, 1000);
	CHECK(mailbox_is_congested(office, 0));
	CHECK(!mailbox_is_congested(office, 1));
	flush_all();
	expect(0, 1, 1);
	post_many(0, 1, count + 1, 1); /* behind those that wait, though the ring has room */
	for (uint64_t i = 2; i <= count + 1; i++) {
		if (i % 100 == 0)
			mailbox_flush(office, 0);
		expect(0, 1, i);
	}
	expect_none(1);
	CHECK(!mailbox_is_congested(office, 0));
}

/* What figures say of it. */
static void counts_what_is_under_way(void)
{
	CHECK(mailbox_incoming(office, 1) == 0);
	post_many(0, 1, 1, MAILBOX_CAPACITY + 5);
	post_many(2, 1, 1, 3);
	CHECK(mailbox_incoming(office, 1) == MAILBOX_CAPACITY + 3);
	CHECK(mailbox_queued(office, 0) == 5);
	CHECK(mailbox_queued(office, 2) == 0);
	CHECK(mailbox_incoming(office, 0) == 0);
	CHECK(mailbox_untaken(office, 0, 1) == MAILBOX_CAPACITY + 5);
	CHECK(mailbox_untaken(office, 2, 1) == 3);
	CHECK(mailbox_untaken(office, 0, 2) == 0);
	flush_all();
	for (uint64_t i = 1; i <= 64; i++)
		expect(0, 1, i);
	CHECK(mailbox_incoming(office, 1) == MAILBOX_CAPACITY + 3 - 64);
	flush_all();
	CHECK(mailbox_queued(office, 0) == 0);
	struct letter letter;
	while (mailbox_take(office, 1, &letter))
		;
	CHECK(mailbox_incoming(office, 1) == 0);
}

/* What the ring did not take goes nowhere between two flushes. */
static void queue_waits_for_flush(void)
{
	post_many(0, 1, 1, MAILBOX_CAPACITY + 1);
	mailbox_flush(office, 0);
	for (uint64_t i = 1; i <= MAILBOX_CAPACITY; i++)
		expect(0, 1, i);
	expect_none(1);
	CHECK(mailbox_is_congested(office, 0));
	mailbox_flush(office, 0);
	expect(0, 1, MAILBOX_CAPACITY + 1);
	CHECK(!mailbox_is_congested(office, 0));
}

static void one_full_blocks_no_other(void)
{
	post_many(0, 1, 1, MAILBOX_CAPACITY + 10);
	post(0, 2, 1);
	post(2, 1, 1);
	flush_all();
	expect(0, 2, 1);
	for (uint64_t i = 1; i <= MAILBOX_CAPACITY + 11; i++) {
		struct letter letter;
		mailbox_flush(office, 0);
		CHECK(mailbox_take(office, 1, &letter));
	}
	expect_none(1);
}

/* Room that was found stays, and is used up by letters that queue up only. */
static void no_memory(void)
{
	failing_arm(1, FAILING_ALL_FROM);
	CHECK(!mailbox_has_room(office, 0, 10));
	CHECK(failing_disarm() == 1);
	CHECK(mailbox_has_room(office, 0, 10));
	failing_arm(1, FAILING_ALL_FROM);
	for (uint64_t i = 1; i <= MAILBOX_CAPACITY + 10; i++) {
		CHECK(mailbox_has_room(office, 0, 1));
		post(0, 1, i);
	}
	CHECK(failing_disarm() == 0);

	failing_arm(1, FAILING_ALL_FROM);
	CHECK(!mailbox_has_room(office, 0, 1000));
	CHECK(mailbox_has_room(office, 1, 0));
	CHECK(failing_disarm() == 1);
	CHECK(mailbox_has_room(office, 0, 10));
	for (uint64_t i = 1; i <= MAILBOX_CAPACITY + 10; i++) {
		mailbox_flush(office, 0);
		expect(0, 1, i);
	}
	expect_none(1);
}

static void take_all(uint32_t from, uint32_t to, uint64_t first, uint64_t last)
{
	struct letter letter;
	for (uint64_t i = first; i <= last; i++) {
		while (!mailbox_take(office, to, &letter))
			mailbox_flush(office, from);
		CHECK(letter.from == from);
		CHECK(letter.to == to);
		CHECK(letter.number == i);
	}
	expect_none(to);
}

/* All rings are full: all that was promised for must queue up. */
static void room_for_all(void)
{
	for (uint32_t to = 0; to < MEMBERS; to++)
		post_many(1, to, 1, MAILBOX_CAPACITY);
	for (uint64_t round = 0; round < 3; round++) {
		CHECK(mailbox_has_room(office, 1, 1000));
		failing_arm(1, FAILING_ALL_FROM);
		for (uint64_t i = 1; i <= 1000; i++) {
			for (uint32_t to = 0; to < MEMBERS; to++)
				post(1, to, MAILBOX_CAPACITY + round * 1000 + i);
		}
		mailbox_flush(office, 1);
		CHECK(failing_disarm() == 0);
	}
	for (uint32_t to = 0; to < MEMBERS; to++)
		take_all(1, to, 1, MAILBOX_CAPACITY + 3000);
	CHECK(!mailbox_is_congested(office, 1));
}

/* What a turn may post is there without an allocation; what so many letters took is not. */
static void memory_returns(void)
{
	CHECK(mailbox_has_room(office, 0, 100));
	for (uint64_t i = 1; i <= BACKLOG; i++)
		post(0, 1, i);
	take_all(0, 1, 1, BACKLOG);
	mailbox_flush(office, 0);
	failing_arm(1, FAILING_ALL_FROM);
	CHECK(mailbox_has_room(office, 0, 100));
	CHECK(failing_disarm() == 0);
	failing_arm(1, FAILING_ALL_FROM);
	CHECK(!mailbox_has_room(office, 0, 1000));
	CHECK(failing_disarm() == 1);
}

static int next_fd(void)
{
	int fd = dup(STDOUT_FILENO);
	CHECK(fd >= 0 && close(fd) == 0);
	return fd;
}

static void not_created(void)
{
	uint32_t failed, number = 1;
	int fd = next_fd();
	do {
		failing_arm(number++, FAILING_ONE);
		struct post_office *other = post_office_create(MEMBERS, sizeof(struct letter));
		failed = failing_disarm();
		CHECK((other == NULL) == (failed > 0));
		post_office_destroy(other);
		CHECK(next_fd() == fd); /* each was closed, and no other */
	} while (failed > 0);
	CHECK(number > MEMBERS);
}

/* Two members post more with each letter that is taken: both are heard. */
static void in_turn(void)
{
	struct letter letter;
	uint32_t heard[MEMBERS] = {0};
	post_many(0, 2, 0, 100);
	post_many(1, 2, 0, 100);
	for (int i = 0; i < 1000; i++) {
		flush_all();
		CHECK(mailbox_take(office, 2, &letter));
		heard[letter.from]++;
		post(letter.from, 2, 0);
	}
	flush_all();
	CHECK(heard[0] > 400);
	CHECK(heard[1] > 400);
	while (mailbox_take(office, 2, &letter))
		;
}

/* With so many members that each ring has few slots, and the last one's bit is in another word. */
static void many_members(void)
{
	const uint32_t last = MAILBOX_MEMBERS_MAX - 1;
	struct post_office *small = office;
	struct letter letter;
	uint64_t heard[2] = {0};
	office = post_office_create(MAILBOX_MEMBERS_MAX, sizeof(struct letter));
	CHECK(office != NULL);
	post_many(last, 0, 1, 200);
	CHECK(mailbox_is_congested(office, last)); /* it takes no more than its share */
	post(last, last, 1);
	post(64, 0, 1);
	mailbox_flush(office, 64);
	mailbox_flush(office, last);
	CHECK(!mailbox_sleep(office, 0));
	for (; mailbox_take(office, 0, &letter); mailbox_flush(office, last))
		CHECK(letter.number == ++heard[letter.from == last]);
	CHECK(heard[0] == 1);
	CHECK(heard[1] == 200);
	expect(last, last, 1);
	CHECK(mailbox_sleep(office, 0));
	post_office_destroy(office);
	office = small;
}

/* One of many takes nothing: what is posted to the others, more than their rings hold, arrives. */
static void one_of_many_is_stuck(void)
{
	const uint32_t stuck = 100;
	struct post_office *small = office;
	office = post_office_create(MAILBOX_MEMBERS_MAX, sizeof(struct letter));
	CHECK(office != NULL);
	for (uint64_t turn = 0; turn < 30; turn++) {
		CHECK(mailbox_has_room(office, 7, 50));
		for (uint32_t i = 0; i < 50 * MAILBOX_MEMBERS_MAX; i++)
			post(7, i % MAILBOX_MEMBERS_MAX, turn * 50 + i / MAILBOX_MEMBERS_MAX);
		for (uint32_t to = 0; to < MAILBOX_MEMBERS_MAX; to++) {
			if (to != stuck)
				take_all(7, to, turn * 50, turn * 50 + 49);
		}
		CHECK(mailbox_queued(office, 7) <= (turn + 1) * 50);
		CHECK(mailbox_untaken(office, 7, stuck) == (turn + 1) * 50);
		CHECK(mailbox_untaken(office, 7, stuck + 1) == 0);
	}
	CHECK(mailbox_is_congested(office, 7));
	take_all(7, stuck, 0, 30 * 50 - 1);
	CHECK(!mailbox_is_congested(office, 7));
	post_office_destroy(office);
	office = small;
}

static void sleep_and_wake(void)
{
	CHECK(mailbox_sleep(office, 1));
	post(0, 1, 1);
	CHECK(!bell_rings(1)); /* not before the end of the sender's turn */
	mailbox_flush(office, 0);
	CHECK(bell_rings(1));
	mailbox_wake(office, 1);
	bell_silence(1);
	expect(0, 1, 1);

	post(0, 1, 2); /* awake, it is not rung for */
	mailbox_flush(office, 0);
	CHECK(!bell_rings(1));
	CHECK(!mailbox_sleep(office, 1)); /* it has mail */
	expect(0, 1, 2);
}

static void rings_once(void)
{
	CHECK(mailbox_sleep(office, 1));
	post(0, 1, 1);
	mailbox_flush(office, 0);
	bell_silence(1);
	post(0, 1, 2);
	mailbox_flush(office, 0);
	CHECK(!bell_rings(1)); /* it has been woken already */
	post(2, 1, 3);
	mailbox_flush(office, 2);
	CHECK(!bell_rings(1));
	mailbox_wake(office, 1);
	expect(0, 1, 1);
	expect(0, 1, 2);
	expect(2, 1, 3);
}

static void rings_when_queue_moves(void)
{
	post_many(0, 1, 1, MAILBOX_CAPACITY + 1);
	mailbox_flush(office, 0);
	for (uint64_t i = 1; i <= MAILBOX_CAPACITY; i++)
		expect(0, 1, i);
	CHECK(mailbox_sleep(office, 1));
	mailbox_flush(office, 0);
	CHECK(bell_rings(1));
	bell_silence(1);
	mailbox_wake(office, 1);
	expect(0, 1, MAILBOX_CAPACITY + 1);
}

/* ---- in threads ---- */

static void sleep_until_mail(uint32_t me)
{
	if (!mailbox_sleep(office, me))
		return;
	struct pollfd bell = {.fd = mailbox_bell(office, me), .events = POLLIN};
	int count;
	do
		count = poll(&bell, 1, WAIT_MS_MAX);
	while (count < 0 && errno == EINTR);
	CHECK(count == 1);
	bell_silence(me);
	mailbox_wake(office, me);
}

struct worker {
	pthread_t thread;
	uint32_t me;
	uint64_t sent[MEMBERS], got[MEMBERS];
};

static const uint64_t each = LETTERS / (MEMBERS * (MEMBERS - 1));

static bool is_done(const uint64_t *counts, uint32_t me)
{
	for (uint32_t i = 0; i < MEMBERS; i++) {
		if (i != me && counts[i] < each)
			return false;
	}
	return true;
}

static void send_some(struct worker *worker, struct random *random)
{
	for (uint32_t to = 0; to < MEMBERS; to++) {
		uint32_t count = random_below(random, 200);
		CHECK(mailbox_has_room(office, worker->me, count));
		for (; to != worker->me && count > 0 && worker->sent[to] < each; count--)
			post(worker->me, to, worker->sent[to]++);
	}
}

static uint32_t take_some(struct worker *worker)
{
	struct letter letter;
	uint32_t taken = 0;
	while (taken < 500 && mailbox_take(office, worker->me, &letter)) {
		CHECK(letter.to == worker->me);
		CHECK(letter.number == worker->got[letter.from]++);
		taken++;
	}
	return taken;
}

/* Sends, takes, and sleeps when it has nothing to do, until all have everything. */
static void *work(void *argument)
{
	struct worker *worker = argument;
	struct random random = {.state = worker->me};
	for (;;) {
		bool is_congested = mailbox_is_congested(office, worker->me);
		if (!is_congested)
			send_some(worker, &random);
		mailbox_flush(office, worker->me);
		uint32_t taken = take_some(worker);
		if (!is_done(worker->sent, worker->me) || mailbox_is_congested(office, worker->me))
			continue;
		if (is_done(worker->got, worker->me))
			return NULL;
		if (taken == 0)
			sleep_until_mail(worker->me);
	}
}

/* Posts all it has at once, then moves it on until it is gone, and takes what comes. */
static void *flood(void *argument)
{
	struct worker *worker = argument;
	for (uint32_t to = 0; to < MEMBERS; to++) {
		CHECK(mailbox_has_room(office, worker->me, (uint32_t)each));
		for (; to != worker->me && worker->sent[to] < each; worker->sent[to]++)
			post(worker->me, to, worker->sent[to]);
	}
	while (mailbox_is_congested(office, worker->me) || !is_done(worker->got, worker->me)) {
		mailbox_flush(office, worker->me);
		(void)take_some(worker);
	}
	return NULL;
}

static void all_in_threads(void *(*run)(void *))
{
	struct worker workers[MEMBERS] = {{.me = 0}, {.me = 1}, {.me = 2}};
	for (uint32_t i = 0; i < MEMBERS; i++)
		CHECK(pthread_create(&workers[i].thread, NULL, run, &workers[i]) == 0);
	for (uint32_t i = 0; i < MEMBERS; i++)
		CHECK(pthread_join(workers[i].thread, NULL) == 0);
	for (uint32_t i = 0; i < MEMBERS; i++) {
		CHECK(is_done(workers[i].sent, i));
		CHECK(is_done(workers[i].got, i));
		expect_none(i);
	}
}

static void nothing_lost(void)
{
	all_in_threads(work);
}

static void flooded(void)
{
	all_in_threads(flood);
}

/* One letter, and both sleep while the other one has it. */
static void *return_letter(void *argument)
{
	const uint32_t *me = argument;
	struct letter letter;
	uint64_t number;
	do {
		while (!mailbox_take(office, *me, &letter))
			sleep_until_mail(*me);
		number = letter.number;
		if (number < TURNS)
			post(*me, letter.from, number + 1);
		mailbox_flush(office, *me);
	} while (number + 1 < TURNS);
	return NULL;
}

static void always_woken(void)
{
	uint32_t numbers[] = {0, 1};
	pthread_t threads[2];
	post(0, 1, 0);
	mailbox_flush(office, 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, return_letter, &numbers[i]) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	struct letter letter;
	while (mailbox_take(office, 0, &letter) || mailbox_take(office, 1, &letter))
		CHECK(letter.number == TURNS);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"letters arrive in the order they were posted", in_order},
	{"a member may write to itself", to_itself},
	{"each pair has a way of its own", kept_apart},
	{"letters queue up behind a full ring, in order", queue_when_full},
	{"what queues up goes on with a flush", queue_waits_for_flush},
	{"letters under way are counted, and those that wait for room", counts_what_is_under_way},
	{"one full ring holds up no other", one_full_blocks_no_other},
	{"without memory there is no room, and what there was stays", no_memory},
	{"there is room for as many to every member, all rings full", room_for_all},
	{"memory of letters that waited comes back", memory_returns},
	{"without memory there is no office, and nothing of it", not_created},
	{"a busy sender does not keep others waiting", in_turn},
	{"many members have short rings", many_members},
	{"of many members one that is stuck holds up no other", one_of_many_is_stuck},
	{"a sleeper is woken when a turn ends with mail for it", sleep_and_wake},
	{"it is rung for once", rings_once},
	{"it is woken by what had queued up too", rings_when_queue_moves},
	{"a million letters between threads, none lost", nothing_lost},
	{"a million letters that wait between threads, none lost", flooded},
	{"no letter is slept over", always_woken},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("mailbox: %s\n", cases[i].name);
		office = post_office_create(MEMBERS, sizeof(struct letter));
		CHECK(office != NULL);
		cases[i].run();
		post_office_destroy(office);
	}
	return 0;
}
