/*
 * command.h - the subcommands: the rows of command.def as functions and as a table.
 *
 * Threads:   main() runs one command, on the first thread.
 * Ownership: the table is constant.
 * Limits:    none.
 *
 * A command passes over argv[0] and returns the exit status. On 1 and 2 it has written
 * exactly one line to standard error: command_fail().
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/check.h"

enum command_status {
	COMMAND_DONE = 0,
	COMMAND_FAILED = 1,  /* the operation failed */
	COMMAND_MISUSED = 2, /* wrong usage or configuration */
};

#define COMMAND(name, what, usage) int cmd_##name(int argc, char **argv);
#include "cmd/command.def"

struct command {
	const char *name;
	const char *what;
	const char *usage;
	int (*run)(int argc, char **argv);
};

extern const struct command commands[];
extern const size_t command_count;

const struct command *command_find(const char *name); /* NULL: there is none */

/* Writes "starling: COMPLAINT" to standard error, frees the complaint, returns `status`. */
MUST_CHECK int command_fail(enum command_status status, struct buf *complaint);

/* The same with COMMAND_MISUSED: "WHY 'ARGUMENT'; see 'starling help'". */
MUST_CHECK int command_misuse(const char *why, const char *argument);

/* Writes the text to standard output and frees it: COMMAND_DONE, or COMMAND_FAILED and said. */
MUST_CHECK int command_answer(struct buf *text);
