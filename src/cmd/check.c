#include "cmd/command.h"
#include "cmd/options.h"

#include "base/text.h"
#include "ops/host.h"

#define CONNECTIONS_DEFAULT 10000
#define CONNECTIONS_MAX 100000000

static const char *const verdicts[] = {
	[HOST_OK] = "ok", [HOST_ADVICE] = "advice", [HOST_SHORT] = "short"};

static void write_row(struct buf *text, const struct host_row *row)
{
	buf_format(text, "%-32s %15s %15s  %s\n", row->name, row->value, row->need,
	           verdicts[row->verdict]);
	if (row->verdict != HOST_OK)
		buf_format(text, "    %s\n", row->remedy);
}

/* COMMAND_FAILED when something is short. */
static int check(const struct host_load *load)
{
	struct host_row rows[HOST_ROWS_MAX];
	struct buf text = {0};
	size_t count = host_check("", load, rows);
	bool is_short = false;
	buf_format(&text, "%-32s %15s %15s\n", "", "value", "needed");
	for (size_t i = 0; i < count; i++) {
		is_short |= rows[i].verdict == HOST_SHORT;
		write_row(&text, &rows[i]);
	}
	int status = command_answer(&text);
	return status == COMMAND_DONE && is_short ? COMMAND_FAILED : status;
}

int cmd_check(int argc, char **argv)
{
	struct buf error = {0};
	char *given = NULL;
	struct host_load load = {CONNECTIONS_DEFAULT, host_workers()};
	const struct option_row rows[] = {{0, "connections", OPTION_VALUE, &given}};
	if (options_parse("check", rows, COUNT_OF(rows), argc, argv, &error) < 0)
		return command_fail(COMMAND_MISUSED, &error);
	if (given != NULL && (!text_to_u64(slice_string(given), &load.connections) ||
	                      load.connections == 0 || load.connections > CONNECTIONS_MAX))
		return command_misuse("--connections wants a number from 1 to 100000000, not",
		                      given);
	return check(&load);
}
