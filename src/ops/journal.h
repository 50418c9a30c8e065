/*
 * journal.h - what the server has to say: one line an event.
 *
 * As text for people, `starling: MESSAGE`, or as a JSON object for machines, with the time, the
 * level and the kind of the event. A kind that has much to say is cut short: some lines in a
 * while, and then how many were left out. Who writes sees to it that no secret is in a message.
 * What is a matter of figures (the access log) is a line of fields, `event: name=value ...`, or
 * members of the object; such lines are not cut short.
 *
 * Threads:   each belongs to one thread.
 * Ownership: a plain value; kinds are literals that outlive it, and so does `out`.
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

/* Where lines go. */
struct journal_out {
	void (*write)(struct journal_out *out, struct slice line);
};

struct journal {
	struct journal_out *out;  /* NULL: to standard error, at once */
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

struct journal_field {
	const char *name;
	struct slice text;
	uint64_t number; /* where text.at is NULL */
};

/* The same of fields. */
bool journal_fields(const struct journal *journal, struct buf *out, const char *event,
                    uint64_t unix_ms, const struct journal_field *fields, size_t count);

uint64_t journal_now_ms(void); /* since 1970 */

/* These make the line and write it. */
void journal_say(struct journal *journal, enum journal_level level, const char *kind,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
void journal_tell(struct journal *journal, const char *event, const struct journal_field *fields,
                  size_t count);
