/*
 * flight.h - the closed loop: which messages are under way, and when all followers have one.
 *
 * Each lane counts the deliveries of a message to its own followers and tells when it is done
 * with it; the last lane completes the message, and the publisher may send another.
 *
 * Threads:   flight_delivered() is the lane's, flight_give_up() the publisher's; the counters
 *            between them are atomic.
 * Ownership: a flight owns its slots, a lane its own.
 * Limits:    slots are reused: a message that others overtook by FLIGHT_SLOTS_MIN or more is
 *            never completed, and then given up by the publisher.
 */
#pragma once

#include "kit/lane.h"

#define FLIGHT_SLOTS_MIN 1024

struct flight {
	bool is_counted; /* a closed loop */
	uint32_t slot_mask;
	uint32_t *lanes_of;           /* of each channel: lanes that listen to it */
	_Atomic uint64_t *slots;      /* number << 32 | lanes that are done */
	_Atomic uint32_t completed;   /* messages, with those that were given up */
	_Atomic uint32_t given_below; /* those were given up */
};

void flight_init(struct flight *flight, const struct plan *plan);
void flight_free(struct flight *flight);
struct flight_slot *flight_make_slots(const struct flight *flight);

/* One of the lane's followers has this message, for the first time. */
void flight_delivered(struct flight *flight, struct lane *lane, uint32_t number, uint32_t channel);
void flight_give_up(struct flight *flight, uint32_t below);
