/*
 * journal.h - what the server has to say: one line an event, to standard error.
 *
 * As text for people, `starling: MESSAGE`, or as a JSON object for machines, with the time, the
 * level and the kind of the event. A kind that has much to say is cut short: some lines in a
 * while, and then how many were left out. Who writes sees to it that no secret is in a message.
 *
 * Threads:   the control thread's.
 * Ownership: a plain value; kinds are literals that outlive it.
 * Limits:    JOURNAL_KINDS_MAX kinds, and JOURNAL_LINES_MAX lines of one in JOURNAL_WINDOW_MS.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define JOURNAL_KINDS_MAX 32
#define JOURNAL_LINES_MAX 100
#define JOURNAL_WINDOW_MS 10000

/* As the words of log.level. */
enum journal_level { JOURNAL_DEBUG = 0, JOURNAL_INFO, JOURNAL_WARN, JOURNAL_ERROR };

struct journal {
	enum journal_level least; /* lines of lesser levels are not written */
	bool is_json;
	struct journal_kind {
		const char *name;
		uint64_t window_ms; /* when its first line was */
		uint32_t lines, left_out;
	} kinds[JOURNAL_KINDS_MAX];
};

/* True: `out` is the line to write, with its end; to be freed. */
bool journal_line(struct journal *journal, struct buf *out, enum journal_level level,
                  const char *kind, uint64_t unix_ms, struct slice message);

/* Makes the line and writes it. */
void journal_say(struct journal *journal, enum journal_level level, const char *kind,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
