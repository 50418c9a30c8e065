/*
 * The difficult part is going to sleep. A sender fills a ring, sets its bit in the receiver's
 * `mail`, and then looks at `sleeps`; the sleeper stores `sleeps` and then looks at `mail`. All
 * four are sequentially consistent, so at least one of them sees the other, and no letter is
 * slept over.
 *
 * Who has mail knows from whom: neither taking nor sleeping looks at the rings of those who have
 * not written, so both cost the same with a hundred members as with two.
 */
#include "net/mailbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/ring.h"
#include "net/backlog.h"
#include "starling/limits.h"

/* Letters of one member before it is the next one's turn, however fast it posts. */
#define TAKES_IN_A_ROW 64

#define MEMBER_WORDS ((MAILBOX_MEMBERS_MAX + 63) / 64)

struct member_set {
	uint64_t words[MEMBER_WORDS];
};

struct member {
	/* Senders write these. */
	_Alignas(64) _Atomic bool sleeps;
	_Atomic uint64_t mail[MEMBER_WORDS]; /* who has written since it was looked at */
	/* And these are its own. */
	_Alignas(64) int bell;
	uint32_t from; /* whose letters are taken */
	uint32_t taken_in_a_row;
	struct member_set senders;   /* whose rings may hold letters */
	struct member_set receivers; /* whom it has written to since the last flush */
	struct member_set waiting;   /* receivers that `backlog` has letters for */
	struct backlog backlog;      /* what the rings did not take */
};

struct post_office {
	uint32_t members, letter_bytes;
	struct member *member;
	struct ring *rings; /* from * members + to */
	char *slots;        /* of all rings; pages that no letter has reached cost nothing */
};

static bool set_has(const struct member_set *set, uint32_t member)
{
	return (set->words[member / 64] >> member % 64 & 1) != 0;
}

static void set_add(struct member_set *set, uint32_t member)
{
	set->words[member / 64] |= 1ull << member % 64;
}

static void set_remove(struct member_set *set, uint32_t member)
{
	set->words[member / 64] &= ~(1ull << member % 64);
}

/* The first one at or behind `from`, or MAILBOX_MEMBERS_MAX: none. */
static uint32_t set_next(const struct member_set *set, uint32_t from)
{
	for (uint32_t word = from / 64; word < MEMBER_WORDS; word++) {
		uint64_t left = set->words[word];
		if (word == from / 64)
			left &= UINT64_MAX << from % 64;
		if (left != 0)
			return word * 64 + (uint32_t)__builtin_ctzll(left);
	}
	return MAILBOX_MEMBERS_MAX;
}

static struct ring *ring_between(const struct post_office *office, uint32_t from, uint32_t to)
{
	CHECK(from < office->members && to < office->members);
	return &office->rings[(size_t)from * office->members + to];
}

static int member_init(const struct post_office *office, struct member *member)
{
	member->from = office->members - 1; /* the first one is next */
	member->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (member->bell < 0)
		return -errno;
	return backlog_init(&member->backlog, office->members, office->letter_bytes);
}

static void *aligned_zero(size_t count, size_t bytes)
{
	void *memory = aligned_alloc(64, count * bytes);
	if (memory != NULL)
		memset(memory, 0, count * bytes);
	return memory;
}

/* Letters that each ring has slots for. */
static uint32_t ring_capacity(uint32_t members)
{
	uint32_t capacity = MAILBOX_CAPACITY;
	while (capacity > 1 && (uint64_t)capacity * members * members > MAILBOX_LETTERS_MAX)
		capacity /= 2;
	return capacity;
}

static bool make_rings(struct post_office *office)
{
	size_t count = (size_t)office->members * office->members;
	uint32_t capacity = ring_capacity(office->members);
	size_t ring_bytes = (size_t)capacity * office->letter_bytes;
	office->rings = aligned_zero(count, sizeof(*office->rings));
	office->slots = calloc(count, ring_bytes);
	if (office->rings == NULL || office->slots == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		char *slots = office->slots + i * ring_bytes;
		int error = ring_init(&office->rings[i], slots, capacity, office->letter_bytes);
		CHECK(error == 0);
	}
	return true;
}

struct post_office *post_office_create(uint32_t members, uint32_t letter_bytes)
{
	CHECK(members > 0 && members <= MAILBOX_MEMBERS_MAX);
	struct post_office *office = calloc(1, sizeof(*office));
	if (office == NULL)
		return NULL;
	office->members = members;
	office->letter_bytes = letter_bytes;
	office->member = aligned_zero(members, sizeof(*office->member));
	bool is_good = office->member != NULL;
	for (uint32_t i = 0; is_good && i < members; i++)
		office->member[i].bell = -1;
	for (uint32_t i = 0; is_good && i < members; i++)
		is_good = member_init(office, &office->member[i]) == 0;
	if (is_good && make_rings(office))
		return office;
	post_office_destroy(office);
	return NULL;
}

static void member_free(struct member *member)
{
	CHECK(member->backlog.count == 0); /* or what letters own is lost */
	backlog_free(&member->backlog);
	if (member->bell >= 0)
		close(member->bell);
}

void post_office_destroy(struct post_office *office)
{
	if (office == NULL)
		return;
	for (uint32_t i = 0; office->member != NULL && i < office->members; i++)
		member_free(&office->member[i]);
	size_t rings = (size_t)office->members * office->members;
	for (size_t i = 0; office->rings != NULL && i < rings; i++)
		CHECK(ring_is_empty(&office->rings[i])); /* likewise */
	free(office->member);
	free(office->rings);
	free(office->slots);
	free(office);
}

/* ---- sending ---- */

static bool offer(struct post_office *office, uint32_t from, uint32_t to, const void *letter)
{
	if (!ring_offer(ring_between(office, from, to), letter))
		return false;
	set_add(&office->member[from].receivers, to);
	return true;
}

void mailbox_post(struct post_office *office, uint32_t from, uint32_t to, const void *letter)
{
	struct member *sender = &office->member[from];
	CHECK(to < office->members);
	/* What waits goes first. */
	if (!set_has(&sender->waiting, to) && offer(office, from, to, letter))
		return;
	backlog_append(&sender->backlog, to, letter); /* mailbox_has_room() was asked */
	set_add(&sender->waiting, to);
}

bool mailbox_has_room(struct post_office *office, uint32_t me, uint32_t count)
{
	return backlog_reserve(&office->member[me].backlog, (uint64_t)count * office->members);
}

bool mailbox_is_congested(const struct post_office *office, uint32_t me)
{
	return office->member[me].backlog.count > 0;
}

uint64_t mailbox_incoming(const struct post_office *office, uint32_t me)
{
	uint64_t count = 0;
	for (uint32_t from = 0; from < office->members; from++)
		count += ring_count(ring_between(office, from, me));
	return count;
}

uint64_t mailbox_queued(const struct post_office *office, uint32_t me)
{
	return office->member[me].backlog.count;
}

uint64_t mailbox_untaken(const struct post_office *office, uint32_t me, uint32_t to)
{
	return ring_count(ring_between(office, me, to)) +
	       backlog_count(&office->member[me].backlog, to);
}

static void move_on(struct post_office *office, uint32_t from)
{
	struct member *sender = &office->member[from];
	struct backlog *backlog = &sender->backlog;
	uint32_t to = set_next(&sender->waiting, 0);
	for (; to < office->members; to = set_next(&sender->waiting, to + 1)) {
		while (backlog_count(backlog, to) > 0 &&
		       offer(office, from, to, backlog_first(backlog, to)))
			backlog_remove_first(backlog, to);
		if (backlog_count(backlog, to) == 0)
			set_remove(&sender->waiting, to);
	}
	backlog_shrink(backlog);
}

static void bell_ring(const struct member *member)
{
	uint64_t one = 1;
	/* Refused only when the counter is full: then it rings already. */
	ssize_t written = write(member->bell, &one, sizeof(one));
	CHECK(written == sizeof(one) || errno == EAGAIN);
}

static void tell(struct post_office *office, uint32_t me, uint32_t to)
{
	struct member *receiver = &office->member[to];
	atomic_fetch_or(&receiver->mail[me / 64], 1ull << me % 64);
	if (to != me && atomic_load(&receiver->sleeps) && atomic_exchange(&receiver->sleeps, false))
		bell_ring(receiver);
}

void mailbox_flush(struct post_office *office, uint32_t me)
{
	struct member *sender = &office->member[me];
	if (sender->backlog.count > 0)
		move_on(office, me);
	uint32_t to = set_next(&sender->receivers, 0);
	for (; to < office->members; to = set_next(&sender->receivers, to)) {
		set_remove(&sender->receivers, to);
		tell(office, me, to);
	}
}

/* ---- receiving ---- */

/* Whoever has written since the last look joins `senders`. False: they are none. */
static bool look_for_mail(struct member *member)
{
	uint64_t any = 0;
	for (uint32_t word = 0; word < MEMBER_WORDS; word++) {
		if (atomic_load(&member->mail[word]) != 0)
			member->senders.words[word] |= atomic_exchange(&member->mail[word], 0);
		any |= member->senders.words[word];
	}
	return any != 0;
}

bool mailbox_take(struct post_office *office, uint32_t me, void *letter)
{
	struct member *member = &office->member[me];
	for (;;) {
		uint32_t from = member->from;
		if (set_has(&member->senders, from) && member->taken_in_a_row < TAKES_IN_A_ROW) {
			if (ring_take(ring_between(office, from, me), letter)) {
				member->taken_in_a_row++;
				return true;
			}
			/* What comes from now on is told again. */
			set_remove(&member->senders, from);
		}
		if (!look_for_mail(member))
			return false;
		uint32_t next = set_next(&member->senders, from + 1);
		member->from = next < office->members ? next : set_next(&member->senders, 0);
		member->taken_in_a_row = 0;
	}
}

int mailbox_bell(const struct post_office *office, uint32_t me)
{
	return office->member[me].bell;
}

static bool has_mail(struct post_office *office, uint32_t me)
{
	struct member *member = &office->member[me];
	(void)look_for_mail(member);
	uint32_t from = set_next(&member->senders, 0);
	while (from < office->members && ring_is_empty(ring_between(office, from, me))) {
		set_remove(&member->senders, from);
		from = set_next(&member->senders, from);
	}
	return from < office->members;
}

bool mailbox_sleep(struct post_office *office, uint32_t me)
{
	struct member *member = &office->member[me];
	atomic_store(&member->sleeps, true);
	if (!has_mail(office, me))
		return true;
	atomic_store(&member->sleeps, false);
	return false;
}

void mailbox_wake(struct post_office *office, uint32_t me)
{
	/* Relaxed: a bell that rings once too often is only heard for nothing. */
	atomic_store_explicit(&office->member[me].sleeps, false, memory_order_relaxed);
}
