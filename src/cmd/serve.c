#include <unistd.h>

#include "cmd/command.h"
#include "cmd/options.h"
#include "node/node.h"
#include "ops/config.h"

static int print(struct config *config)
{
	struct buf text = {0};
	config_print(config, &text);
	config_free(config);
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
	return wants_print ? print(&config) : node_run(&config);
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
