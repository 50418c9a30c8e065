#include <unistd.h>

#include "cmd/command.h"
#include "cmd/options.h"
#include "node/node.h"
#include "ops/config.h"

static int run(const struct config *config, bool wants_print)
{
	if (!wants_print)
		return node_run(config);
	struct buf text = {0};
	config_print(config, &text);
	return command_answer(&text);
}

/* The sources stay in place while the server runs: a reload reads them again. */
static int load_and_run(const struct config_sources *sources, bool wants_print)
{
	struct buf error = {0};
	struct config config;
	if (config_load(&config, sources, &error) < 0)
		return command_fail(COMMAND_MISUSED, &error);
	CHECK(error.len == 0);
	int status = run(&config, wants_print);
	config_free(&config);
	return status;
}

int cmd_serve(int argc, char **argv)
{
	char *file = NULL;
	bool wants_print = false;
	struct option_list settings = {0};
	const struct option_row rows[] = {
		{'c', NULL, OPTION_VALUE, &file},
		{'o', NULL, OPTION_LIST, &settings},
		{0, "print-config", OPTION_FLAG, &wants_print},
	};
	struct buf error = {0};
	int status;
	if (options_parse("serve", rows, COUNT_OF(rows), argc, argv, &error) < 0) {
		status = command_fail(COMMAND_MISUSED, &error);
	} else {
		struct config_sources sources = {
			.file = file,
			.environment = environ,
			.options = settings.list,
			.option_count = settings.count,
		};
		status = load_and_run(&sources, wants_print);
	}
	option_list_free(&settings);
	return status;
}
