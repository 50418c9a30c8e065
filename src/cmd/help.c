#include <string.h>

#include "cmd/command.h"
#include "cmd/options.h"
#include "ops/config_key.h"

static void write_key(const struct config_key *key, struct buf *text)
{
	buf_format(text, "  %s = %s  # ", key->name, key->initial);
	config_value_explain(key->kind, key->limits, text);
	buf_format(text, "\n      %s\n", key->help);
}

static void write_keys(struct buf *text)
{
	buf_string(text, "\nKeys of the configuration, as `key = value` lines in [section]s, as\n"
	                 "STARLING_SECTION_KEY in the environment, or with -o:\n");
	const char *section = "";
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_key *key = &config_keys[i];
		if (strcmp(section, key->section) != 0)
			buf_format(text, "\n[%s%s]\n", key->section,
			           config_key_is_rule((enum config_id)i) ? " PATTERN" : "");
		section = key->section;
		write_key(key, text);
	}
}

static void write_command(const struct command *command, struct buf *text)
{
	buf_format(text, "%s: %s\n\n%s", command->name, command->what, command->usage);
	if (command->run == cmd_serve)
		write_keys(text);
}

static void write_commands(struct buf *text)
{
	buf_string(text, "starling: a real-time server\n\n");
	for (size_t i = 0; i < command_count; i++)
		buf_format(text, "  starling %-10s %s\n", commands[i].name, commands[i].what);
	buf_string(text, "\nstarling help COMMAND tells more.\n");
}

static int help(const struct option_list *names, struct buf *text)
{
	if (names->count > 1)
		return command_misuse("unexpected argument", names->list[1]);
	if (names->count == 0) {
		write_commands(text);
		return command_answer(text);
	}
	const struct command *command = command_find(names->list[0]);
	if (command == NULL)
		return command_misuse("unknown command", names->list[0]);
	write_command(command, text);
	return command_answer(text);
}

int cmd_help(int argc, char **argv)
{
	struct option_list names = {0};
	const struct option_row rows[] = {{0, NULL, OPTION_OPERANDS, &names}};
	struct buf text = {0};
	int status = options_parse("help", rows, COUNT_OF(rows), argc, argv, &text) < 0
	                     ? command_fail(COMMAND_MISUSED, &text)
	                     : help(&names, &text);
	option_list_free(&names);
	return status;
}
