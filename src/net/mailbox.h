/*
 * mailbox.h - letters between the threads of the node: the only way across.
 *
 * A post office has a fixed number of members, one thread each, and a ring from every
 * member to every other, itself included. A letter is a small value that is copied. Letters
 * of one member to another arrive in the order they were posted, and are there when the sender
 * has flushed. A member that sleeps is woken through its bell, an eventfd, which is not touched
 * while it is awake.
 *
 * Threads:   a member's number is used by its thread alone. create and destroy: no member runs.
 * Ownership: what a letter points at goes with it. Letters not taken are the caller's to take
 *            before destroy.
 * Limits:    MAILBOX_MEMBERS_MAX members, letters of RING_ITEM_MAX bytes. A ring has room for
 *            MAILBOX_CAPACITY letters, or fewer where all rings would else have it for more
 *            than MAILBOX_LETTERS_MAX. A full ring is no error: letters then queue up with the
 *            sender, in order, until the receiver has made room, and hold up none to others: a
 *            flush costs what moves on, and a look at each receiver for whom something stays.
 *            The memory for them goes again when they have gone. mailbox_has_room() says whether
 *            a sender's queues can take more, and makes room for it: who asks before it takes on
 *            work can post what follows from that work, and must, because a letter that finds
 *            no memory is a failed check. mailbox_is_congested() asks a sender to take on
 *            nothing new while some of its letters wait.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

#define MAILBOX_MEMBERS_MAX 192u

struct post_office;

struct post_office *post_office_create(uint32_t members, uint32_t letter_bytes);
void post_office_destroy(struct post_office *office);

void mailbox_post(struct post_office *office, uint32_t from, uint32_t to, const void *letter);
/* The next letter for `me`, from all members in turn. False: none now. */
MUST_CHECK bool mailbox_take(struct post_office *office, uint32_t me, void *letter);

/* Room for `count` more letters to every member, or as many in all to some of them, whatever the
 * rings say. It is there until so many have queued up; what the rings take uses up none of it. Who
 * asks again is told of all the room there is: it is not added up. False: no memory. */
MUST_CHECK bool mailbox_has_room(struct post_office *office, uint32_t me, uint32_t count);
bool mailbox_is_congested(const struct post_office *office, uint32_t me);
/* Letters under way to `me`, and those of `me` that wait for room. */
uint64_t mailbox_incoming(const struct post_office *office, uint32_t me);
uint64_t mailbox_queued(const struct post_office *office, uint32_t me);
/* Letters of `me` to `to` that were not taken yet. */
uint64_t mailbox_untaken(const struct post_office *office, uint32_t me, uint32_t to);

/* Moves on letters that wait, and tells those who have mail; sleepers are woken. Once a turn. */
void mailbox_flush(struct post_office *office, uint32_t me);

/* The descriptor to wait on. Before it waits a member says that it sleeps; false means that
 * mail has come after all and it must not. Awake again, it says so. */
int mailbox_bell(const struct post_office *office, uint32_t me);
MUST_CHECK bool mailbox_sleep(struct post_office *office, uint32_t me);
void mailbox_wake(struct post_office *office, uint32_t me);
