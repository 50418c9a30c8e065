/*
 * Letters between two threads: base/ring alone, and net/mailbox with its bell.
 *
 * `same_thread` is the work itself. With two threads the cache lines travel; `there_and_back` is a
 * question and its answer between two members that sleep in poll() until their bell rings.
 * `turn_while_one_is_stuck` is a turn of a member with BACKLOG letters for one that takes none: it
 * writes to all others, and they take it.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/ring.h"
#include "micro.h"
#include "net/mailbox.h"

#define LETTER_BYTES 48
#define BURST 64
#define STUCK_MEMBERS 10
#define BACKLOG 300000
#define ROOM 768 /* letters to each that are asked for before a turn */

struct letter {
	uint64_t number;
	char rest[LETTER_BYTES - sizeof(uint64_t)];
};

struct pair {
	struct ring *ring;
	struct post_office *office;
	uint64_t operations;
};

/* ---- ring ---- */

static void ring_same_thread(void *state, uint64_t operations)
{
	struct pair *pair = state;
	struct letter letter = {0};
	for (uint64_t i = 0; i < operations; i++) {
		letter.number = i;
		CHECK(ring_offer(pair->ring, &letter));
		CHECK(ring_take(pair->ring, &letter));
		CHECK(letter.number == i);
	}
}

static void *ring_consumer(void *argument)
{
	struct pair *pair = argument;
	struct letter letter;
	for (uint64_t i = 0; i < pair->operations;) {
		if (!ring_take(pair->ring, &letter)) {
			sched_yield();
			continue;
		}
		CHECK(letter.number == i);
		i++;
	}
	return NULL;
}

static void ring_two_threads(void *state, uint64_t operations)
{
	struct pair *pair = state;
	struct letter letter = {0};
	pthread_t consumer;
	pair->operations = operations;
	CHECK(pthread_create(&consumer, NULL, ring_consumer, pair) == 0);
	while (letter.number < operations) {
		if (ring_offer(pair->ring, &letter))
			letter.number++;
		else
			sched_yield();
	}
	CHECK(pthread_join(consumer, NULL) == 0);
}

/* ---- mailbox ---- */

static void mailbox_wait(struct post_office *office, uint32_t me)
{
	struct pollfd bell = {.fd = mailbox_bell(office, me), .events = POLLIN};
	uint64_t rings;
	if (!mailbox_sleep(office, me))
		return;
	CHECK(poll(&bell, 1, -1) == 1);
	CHECK(read(bell.fd, &rings, sizeof(rings)) == sizeof(rings));
	mailbox_wake(office, me);
}

static void letter_await(struct post_office *office, uint32_t me, struct letter *letter)
{
	while (!mailbox_take(office, me, letter))
		mailbox_wait(office, me);
}

static void *mailbox_consumer(void *argument)
{
	struct pair *pair = argument;
	struct letter letter;
	for (uint64_t i = 0; i < pair->operations; i++) {
		letter_await(pair->office, 1, &letter);
		CHECK(letter.number == i);
	}
	return NULL;
}

static void mailbox_two_threads(void *state, uint64_t operations)
{
	struct pair *pair = state;
	struct letter letter = {0};
	pthread_t consumer;
	pair->operations = operations;
	CHECK(pthread_create(&consumer, NULL, mailbox_consumer, pair) == 0);
	while (letter.number < operations) {
		if (mailbox_is_congested(pair->office, 0)) {
			sched_yield();
		} else {
			mailbox_post(pair->office, 0, 1, &letter);
			letter.number++;
			if (letter.number % BURST != 0)
				continue;
		}
		mailbox_flush(pair->office, 0);
	}
	while (mailbox_is_congested(pair->office, 0)) {
		mailbox_flush(pair->office, 0);
		sched_yield();
	}
	mailbox_flush(pair->office, 0);
	CHECK(pthread_join(consumer, NULL) == 0);
}

static void *mailbox_echo(void *argument)
{
	struct pair *pair = argument;
	struct letter letter;
	for (uint64_t i = 0; i < pair->operations; i++) {
		letter_await(pair->office, 1, &letter);
		mailbox_post(pair->office, 1, 0, &letter);
		mailbox_flush(pair->office, 1);
	}
	return NULL;
}

static void mailbox_there_and_back(void *state, uint64_t operations)
{
	struct pair *pair = state;
	struct letter letter = {0}, answer;
	pthread_t echo;
	pair->operations = operations;
	CHECK(pthread_create(&echo, NULL, mailbox_echo, pair) == 0);
	for (; letter.number < operations; letter.number++) {
		mailbox_post(pair->office, 0, 1, &letter);
		mailbox_flush(pair->office, 0);
		letter_await(pair->office, 0, &answer);
		CHECK(answer.number == letter.number);
	}
	CHECK(pthread_join(echo, NULL) == 0);
}

static void stuck_turns(void *state, uint64_t turns)
{
	struct pair *pair = state;
	struct letter letter = {0}, answer;
	for (; letter.number < turns; letter.number++) {
		CHECK(mailbox_has_room(pair->office, 0, ROOM));
		for (uint32_t to = 2; to < STUCK_MEMBERS; to++)
			mailbox_post(pair->office, 0, to, &letter);
		mailbox_flush(pair->office, 0);
		for (uint32_t to = 2; to < STUCK_MEMBERS; to++)
			CHECK(mailbox_take(pair->office, to, &answer));
	}
}

static void measure_stuck(const char *name)
{
	struct pair pair = {.office = post_office_create(STUCK_MEMBERS, LETTER_BYTES)};
	struct letter letter = {0};
	CHECK(pair.office != NULL);
	for (; letter.number < BACKLOG; letter.number++)
		mailbox_post(pair.office, 0, 1, &letter);
	micro_rounds(name, stuck_turns, &pair);
	for (uint64_t i = 0; i < BACKLOG; i++) {
		while (!mailbox_take(pair.office, 1, &letter))
			mailbox_flush(pair.office, 0);
		CHECK(letter.number == i);
	}
	post_office_destroy(pair.office);
}

int main(int argc, char **argv)
{
	static struct letter slots[4096];
	struct ring ring;
	struct pair pair = {.ring = &ring, .office = post_office_create(2, LETTER_BYTES)};
	CHECK(ring_init(&ring, slots, COUNT_OF(slots), LETTER_BYTES) == 0);
	CHECK(pair.office != NULL);
	micro_begin(argc, argv);
	micro_measure("ring.same_thread", ring_same_thread, &pair);
	micro_measure("ring.two_threads", ring_two_threads, &pair);
	micro_measure("mailbox.two_threads", mailbox_two_threads, &pair);
	micro_measure("mailbox.there_and_back", mailbox_there_and_back, &pair);
	if (micro_wants("mailbox.turn_while_one_is_stuck"))
		measure_stuck("mailbox.turn_while_one_is_stuck");
	post_office_destroy(pair.office);
	return micro_end();
}
