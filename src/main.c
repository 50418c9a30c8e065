/*
 * main.c - picks the subcommand. Without one, or when options come first, it is `serve`.
 */
#include <stdbool.h>
#include <string.h>

#include "cmd/command.h"

static bool asks_for_help(const char *argument)
{
	return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "--";
	if (asks_for_help(first))
		return cmd_help(argc - 1, argv + 1);
	if (argc == 3 && asks_for_help(argv[2])) {
		char *help[] = {argv[2], argv[1], NULL};
		return cmd_help(2, help);
	}
	if (strcmp(first, "--version") == 0)
		return cmd_version(argc - 1, argv + 1);
	if (first[0] == '-')
		return cmd_serve(argc, argv);

	const struct command *command = command_find(first);
	if (command == NULL)
		return command_misuse("unknown command", first);
	return command->run(argc - 1, argv + 1);
}
