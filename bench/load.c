/*
 * load.c - the load generator: many clients of one server, and what they see.
 *
 *   bench/load MODE [OPTION VALUE]... HOST:PORT
 *   bench/load --help
 *
 * Prints what was measured, a line each, and appends it as one line of JSON to --json FILE.
 */
#include "kit/crew.h"
#include "kit/mode.h"

int main(int argc, char **argv)
{
	struct plan plan;
	struct crew crew;
	struct report report = {0};
	plan_read(&plan, argc, argv);
	crew_init(&crew, &plan);
	plan.mode->run(&crew, &report);
	report_print(&report, stdout);
	if (plan.json != NULL)
		report_append(&report, plan.json);
	crew_free(&crew);
	return 0;
}
