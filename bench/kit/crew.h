/*
 * crew.h - all lanes together, and the orders that the main thread gives them.
 *
 * Threads:   the main thread's, but for what is marked.
 * Ownership: a crew owns its lanes. There is one per process.
 * Limits:    CREW_LANES_MAX.
 */
#pragma once

#include "kit/flight.h"
#include "kit/lane.h"
#include "kit/report.h"

#define CREW_LANES_MAX 512
/* Work begins so much later than it is ordered: by then all lanes know of it. */
#define CREW_ORDER_NS (10 * NS_PER_MS)

struct crew {
	const struct plan *plan;
	struct lane *lanes;
	uint32_t lane_count;
	struct publisher *publisher; /* NULL: the mode publishes nothing */
	struct flight flight;
	pthread_mutex_t lock; /* of `orders` */
	struct orders orders;
	_Atomic uint32_t order;     /* their number; lanes look at it each turn */
	_Atomic uint32_t published; /* messages so far, shown by the publisher */
	_Atomic bool is_published;  /* and it has ended, until the next order */
	_Atomic uint64_t stalls;    /* times that it gave messages up that nobody got */
};

void crew_init(struct crew *crew, const struct plan *plan);
void crew_stop(struct crew *crew); /* lanes have ended: their tallies and histograms are good */
void crew_free(struct crew *crew);

void crew_order(struct crew *crew, const struct orders *orders);
struct orders crew_orders(struct crew *crew); /* the present ones; any thread */
uint64_t crew_sum(const struct crew *crew, enum lane_count count);
void crew_pause(uint64_t ns);

/* Waits until the sum of this count is `wanted`; false: it did not move for the plan's patience. */
bool crew_wait(struct crew *crew, enum lane_count count, uint64_t wanted);

/* Opens clients up to this number, and waits until all are ready. */
void crew_open(struct crew *crew, uint32_t limit);
/* Publishes until `messages` in all have been, or for a time; 0: no bound. Does not wait. */
void crew_publish(struct crew *crew, uint32_t messages, uint64_t warmup_ns, uint64_t seconds_ns);
bool crew_is_published(const struct crew *crew);

/* What all followers together should have seen of the first `published` messages, and, when the
 * crew was stopped, what they have not. */
uint64_t crew_expected(const struct crew *crew, uint32_t published);
uint64_t crew_missing(const struct crew *crew, uint32_t published);
void crew_latency(const struct crew *crew, struct histogram *into);

/* CPU time and deliveries over a part of the run. */
struct span {
	uint64_t begin_ns, cpu_ns, own_cpu_ns, delivered;
};

struct span span_begin(const struct crew *crew);
struct span span_end(const struct crew *crew, const struct span *begin); /* the differences */

/* The server's memory, at some moments: first, last, and the most in between. */
struct memory {
	uint64_t begin_kib, end_kib, max_kib, kernel_begin_kib, kernel_max_kib;
	uint64_t next_ns;
};

void memory_begin(struct memory *memory, const struct crew *crew);
void memory_look(struct memory *memory, const struct crew *crew); /* at most once a second */
void memory_end(struct memory *memory, const struct crew *crew);

/* What most modes report. */
void crew_report_plan(const struct crew *crew, struct report *report);
void crew_report_deliveries(const struct crew *crew, struct report *report);
void crew_report_latency(const struct crew *crew, struct report *report);
void crew_report_span(const struct crew *crew, struct report *report, const struct span *span,
                      uint64_t units, const char *unit, uint64_t per);
void crew_report_memory(const struct crew *crew, struct report *report,
                        const struct memory *memory);
