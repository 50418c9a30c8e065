/*
 * main.c - picks the subcommand. Without one, or when options come first, it is `serve`.
 */
#include <string.h>

#include "cmd/command.h"

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "--";
	if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0)
		return cmd_help(argc - 1, argv + 1);
	if (strcmp(first, "--version") == 0)
		return cmd_version(argc - 1, argv + 1);
	if (first[0] == '-')
		return cmd_serve(argc, argv);

	const struct command *command = command_find(first);
	if (command == NULL)
		return command_misuse("unknown command", first);
	return command->run(argc - 1, argv + 1);
}
