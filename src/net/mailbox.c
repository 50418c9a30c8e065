/*
 * The difficult part is going to sleep. The sleeper stores `sleeps` and then looks at its
 * rings; a sender fills a ring and then looks at `sleeps`. With a full fence between the two
 * steps on both sides at least one of them sees the other, so no letter is slept over.
 */
#include "net/mailbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/ring.h"
#include "starling/limits.h"

/* Letters of one member before it is the next one's turn, however fast it posts. */
#define TAKES_IN_A_ROW 64

struct member {
	_Alignas(64) _Atomic bool sleeps;
	_Alignas(64) int bell;
	uint32_t next_from; /* whose letters are taken next */
	uint32_t taken_in_a_row;
	uint32_t queued;     /* letters in `queues` */
	uint32_t room;       /* letters that each of them can surely take */
	struct buf *queues;  /* by receiver: letters that the ring did not take */
	bool *has_posted_to; /* by receiver: since the last flush */
};

struct post_office {
	uint32_t members, letter_bytes;
	struct member *member;
	struct ring *rings; /* from * members + to */
};

static struct ring *ring_between(const struct post_office *office, uint32_t from, uint32_t to)
{
	CHECK(from < office->members && to < office->members);
	return &office->rings[(size_t)from * office->members + to];
}

static int member_init(struct member *member, uint32_t members)
{
	member->queues = calloc(members, sizeof(*member->queues));
	member->has_posted_to = calloc(members, sizeof(*member->has_posted_to));
	member->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (member->queues == NULL || member->has_posted_to == NULL)
		return -ENOMEM;
	return member->bell < 0 ? -errno : 0;
}

static void *aligned_zero(size_t count, size_t bytes)
{
	void *memory = aligned_alloc(64, count * bytes);
	if (memory != NULL)
		memset(memory, 0, count * bytes);
	return memory;
}

struct post_office *post_office_create(uint32_t members, uint32_t letter_bytes)
{
	CHECK(members > 0);
	struct post_office *office = calloc(1, sizeof(*office));
	if (office == NULL)
		return NULL;
	office->members = members;
	office->letter_bytes = letter_bytes;
	office->member = aligned_zero(members, sizeof(*office->member));
	office->rings = aligned_zero((size_t)members * members, sizeof(*office->rings));
	bool is_good = office->member != NULL && office->rings != NULL;
	for (uint32_t i = 0; office->member != NULL && i < members; i++)
		office->member[i].bell = -1;
	for (uint32_t i = 0; is_good && i < members; i++)
		is_good = member_init(&office->member[i], members) == 0;
	for (uint32_t i = 0; is_good && i < members * members; i++)
		is_good = ring_init(&office->rings[i], MAILBOX_CAPACITY, letter_bytes) == 0;
	if (is_good)
		return office;
	post_office_destroy(office);
	return NULL;
}

static void member_free(struct member *member, uint32_t members)
{
	for (uint32_t i = 0; member->queues != NULL && i < members; i++)
		buf_free(&member->queues[i]);
	free(member->queues);
	free(member->has_posted_to);
	if (member->bell >= 0)
		close(member->bell);
}

void post_office_destroy(struct post_office *office)
{
	if (office == NULL)
		return;
	for (uint32_t i = 0; office->member != NULL && i < office->members; i++)
		member_free(&office->member[i], office->members);
	for (uint32_t i = 0; office->rings != NULL && i < office->members * office->members; i++) {
		if (office->rings[i].slots != NULL)
			ring_free(&office->rings[i]);
	}
	free(office->member);
	free(office->rings);
	free(office);
}

/* ---- sending ---- */

void mailbox_post(struct post_office *office, uint32_t from, uint32_t to, const void *letter)
{
	struct member *sender = &office->member[from];
	struct buf *queue = &sender->queues[to];
	sender->has_posted_to[to] = true;
	/* What waits goes first. */
	if (queue->len == 0 && ring_offer(ring_between(office, from, to), letter))
		return;
	buf_append(queue, letter, office->letter_bytes);
	CHECK(!queue->is_broken); /* mailbox_has_room() was asked */
	sender->queued++;
	sender->room -= sender->room > 0;
}

bool mailbox_has_room(struct post_office *office, uint32_t me, uint32_t count)
{
	struct member *sender = &office->member[me];
	if (sender->room >= count)
		return true;
	for (uint32_t to = 0; to < office->members; to++) {
		struct buf *queue = &sender->queues[to];
		if (buf_room(queue, (size_t)count * office->letter_bytes) == NULL) {
			queue->is_broken = false; /* it holds what it held */
			return false;
		}
	}
	sender->room = count;
	return true;
}

bool mailbox_is_congested(const struct post_office *office, uint32_t me)
{
	return office->member[me].queued > 0;
}

static void queue_move_on(struct post_office *office, uint32_t from, uint32_t to)
{
	struct member *sender = &office->member[from];
	struct buf *queue = &sender->queues[to];
	while (queue->len > 0 && ring_offer(ring_between(office, from, to), queue->at)) {
		buf_use(queue, office->letter_bytes);
		sender->queued--;
	}
}

static void bell_ring(const struct member *member)
{
	uint64_t one = 1;
	/* Refused only when the counter is full: then it rings already. */
	ssize_t written = write(member->bell, &one, sizeof(one));
	CHECK(written == sizeof(one) || errno == EAGAIN);
}

void mailbox_flush(struct post_office *office, uint32_t me)
{
	struct member *sender = &office->member[me];
	if (sender->queued > 0) {
		for (uint32_t to = 0; to < office->members; to++)
			queue_move_on(office, me, to);
	}
	/* The letters are in the rings before `sleeps` is looked at; pairs with
	 * mailbox_sleep(). */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t to = 0; to < office->members; to++) {
		if (!sender->has_posted_to[to])
			continue;
		struct member *receiver = &office->member[to];
		sender->has_posted_to[to] = sender->queues[to].len > 0;
		if (to != me && atomic_load_explicit(&receiver->sleeps, memory_order_relaxed) &&
		    atomic_exchange_explicit(&receiver->sleeps, false, memory_order_relaxed))
			bell_ring(receiver);
	}
}

/* ---- receiving ---- */

bool mailbox_take(struct post_office *office, uint32_t me, void *letter)
{
	struct member *member = &office->member[me];
	/* Once round, and again to the first one, whose turn may have been over. */
	for (uint32_t i = 0; i <= office->members; i++) {
		uint32_t from = member->next_from;
		if (member->taken_in_a_row < TAKES_IN_A_ROW &&
		    ring_take(ring_between(office, from, me), letter)) {
			member->taken_in_a_row++;
			return true;
		}
		member->next_from = from + 1 == office->members ? 0 : from + 1;
		member->taken_in_a_row = 0;
	}
	return false;
}

int mailbox_bell(const struct post_office *office, uint32_t me)
{
	return office->member[me].bell;
}

static bool has_mail(const struct post_office *office, uint32_t me)
{
	for (uint32_t from = 0; from < office->members; from++) {
		if (!ring_is_empty(ring_between(office, from, me)))
			return true;
	}
	return false;
}

bool mailbox_sleep(struct post_office *office, uint32_t me)
{
	struct member *member = &office->member[me];
	atomic_store_explicit(&member->sleeps, true, memory_order_relaxed);
	/* Said before the rings are looked at; pairs with mailbox_flush(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (!has_mail(office, me))
		return true;
	atomic_store_explicit(&member->sleeps, false, memory_order_relaxed);
	return false;
}

void mailbox_wake(struct post_office *office, uint32_t me)
{
	struct member *member = &office->member[me];
	atomic_store_explicit(&member->sleeps, false, memory_order_relaxed);
}
