/*
 * options.h - the arguments of a subcommand, read after a table.
 *
 *     static const struct option_row rows[] = {
 *             {'c', NULL, OPTION_VALUE, &file},
 *             {0, "json", OPTION_FLAG, &wants_json},
 *             {0, NULL, OPTION_OPERANDS, &channels},
 *     };
 *
 * A value follows as the next argument, or at once: -cFILE, --url=URL. `--` ends the options;
 * a `-` alone is an operand. Options and operands may come in any order.
 *
 * Threads:   one at a time.
 * Ownership: values are the arguments themselves. A list's array is its owner's:
 *            option_list_free().
 * Limits:    what is not OPTION_LIST is given once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/check.h"

enum option_kind {
	OPTION_FLAG = 0, /* into a bool */
	OPTION_VALUE,    /* into a char *, NULL before */
	OPTION_LIST,     /* into a struct option_list: each time one more */
	OPTION_OPERANDS, /* likewise: the arguments that are no options */
};

struct option_list {
	char **list;
	size_t count;
};

struct option_row {
	char letter;      /* of -c, or 0 */
	const char *name; /* of --name, or NULL */
	enum option_kind kind;
	void *into;
};

/*
 * `command` is named in complaints; `argv[0]` is passed over. 0, -EINVAL or -ENOMEM, with the
 * complaint in `error`; lists are to be freed either way.
 */
MUST_CHECK int options_parse(const char *command, const struct option_row *rows, size_t row_count,
                             int argc, char **argv, struct buf *error);

void option_list_free(struct option_list *list);
