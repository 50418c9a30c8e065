/*
 * watch.h - whether all workers are still turning, for a watchdog.
 *
 * A beat goes to each worker as a letter, and each gives it back in its turn. Only when the last
 * one has is the watchdog told, and the next beat is sent: one worker that is stuck is silence.
 *
 * Threads:   pure; the control thread's.
 * Ownership: a plain value.
 * Limits:    one beat is under way at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct watch {
	uint64_t interval_ms; /* between beats; 0: nobody watches */
	uint32_t workers;
	uint64_t beat; /* the one under way, or the last */
	uint32_t awaited;
	uint64_t sent_ms, next_ms;
};

/* Four signs of life within the watchdog's time, so that one which is late harms nothing. */
void watch_begin(struct watch *watch, uint64_t watchdog_ms, uint32_t workers, uint64_t now_ms);
void watch_answer(struct watch *watch, uint64_t beat); /* a worker has given that back */
/* Somebody has not answered though the next beat is due. */
bool watch_is_late(const struct watch *watch, uint64_t now_ms);
/* True: all live, and the time has come to say so and to send `beat`. */
bool watch_is_due(struct watch *watch, uint64_t now_ms);
