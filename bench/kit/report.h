/*
 * report.h - what was found: names and values, for people and for programs.
 *
 * Threads:   one at a time.
 * Ownership: names are literals; texts are copied.
 * Limits:    REPORT_FIELDS_MAX fields.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#define REPORT_FIELDS_MAX 64
#define REPORT_VALUE_BYTES 128

struct report {
	size_t count;
	struct report_field {
		const char *name;
		char value[REPORT_VALUE_BYTES]; /* as it stands in JSON */
	} fields[REPORT_FIELDS_MAX];
};

void report_text(struct report *report, const char *name, const char *text);
void report_count(struct report *report, const char *name, uint64_t value);
void report_real(struct report *report, const char *name, double value);

void report_print(const struct report *report, FILE *out); /* a line each */
/* One line of JSON, at the end of a file. Ends the program where that cannot be. */
void report_append(const struct report *report, const char *path);
