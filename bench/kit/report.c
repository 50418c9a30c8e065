#include "kit/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "kit/complain.h"

#define NAME_WIDTH 28
#define DIGITS 6 /* significant */

static char *field_add(struct report *report, const char *name)
{
	CHECK(report->count < REPORT_FIELDS_MAX);
	struct report_field *field = &report->fields[report->count++];
	field->name = name;
	return field->value;
}

/* What JSON would have escaped is left out. */
void report_text(struct report *report, const char *name, const char *text)
{
	char *out = field_add(report, name);
	size_t at = 0;
	out[at++] = '"';
	for (; *text != '\0' && at < REPORT_VALUE_BYTES - 2; text++) {
		if (*text >= ' ' && *text != '"' && *text != '\\')
			out[at++] = *text;
	}
	out[at++] = '"';
	out[at] = '\0';
}

void report_count(struct report *report, const char *name, uint64_t value)
{
	snprintf(field_add(report, name), REPORT_VALUE_BYTES, "%" PRIu64, value);
}

void report_real(struct report *report, const char *name, double value)
{
	char *out = field_add(report, name);
	/* JSON has no word for what is no number. */
	if (isfinite(value))
		snprintf(out, REPORT_VALUE_BYTES, "%.*g", DIGITS, value);
	else
		snprintf(out, REPORT_VALUE_BYTES, "null");
}

void report_print(const struct report *report, FILE *out)
{
	for (size_t i = 0; i < report->count; i++)
		fprintf(out, "%-*s %s\n", NAME_WIDTH, report->fields[i].name,
		        report->fields[i].value);
}

void report_append(const struct report *report, const char *path)
{
	FILE *file = fopen(path, "a");
	if (file == NULL)
		die(errno, "%s", path);
	for (size_t i = 0; i < report->count; i++)
		fprintf(file, "%s\"%s\":%s", i == 0 ? "{" : ",", report->fields[i].name,
		        report->fields[i].value);
	fputs("}\n", file);
	if (fclose(file) != 0)
		die(errno, "%s", path);
}
