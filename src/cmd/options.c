#include "cmd/options.h"

#include <errno.h>
#include <stdlib.h>

#include "ops/complaint.h"

struct parser {
	const struct option_row *rows;
	size_t row_count;
	const char *command;
	char **rest; /* the arguments to come, closed by NULL */
	struct buf *error;
};

static int refuse(struct parser *parser, const char *why, struct slice argument)
{
	buf_format(parser->error, "%s ", why);
	complaint_quote(parser->error, argument);
	buf_format(parser->error, "; see 'starling help %s'", parser->command);
	return -EINVAL;
}

static const struct option_row *find_row(const struct parser *parser, struct slice option)
{
	for (size_t i = 0; i < parser->row_count; i++) {
		const struct option_row *row = &parser->rows[i];
		bool is_letter = option.len == 2 && row->letter != 0 && option.at[1] == row->letter;
		bool is_long = option.len > 2 && row->name != NULL &&
		               slice_is(slice_after(option, 2), row->name);
		if (row->kind != OPTION_OPERANDS && (is_letter || is_long))
			return row;
	}
	return NULL;
}

static int list_add(struct option_list *list, char *argument)
{
	char **grown = realloc(list->list, (list->count + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	list->list = grown;
	list->list[list->count++] = argument;
	return 0;
}

/* Takes "-cFILE" and "--name=VALUE" apart; `value` is NULL when none is attached. */
static struct slice cut_attached(char *argument, char **value)
{
	struct slice option = slice_string(argument);
	CHECK(option.len >= 2);
	CHECK(argument[0] == '-');
	*value = NULL;
	if (argument[1] == '-') {
		char *equals = strchr(argument, '=');
		if (equals == NULL)
			return option;
		*value = equals + 1;
		return slice_of(argument, (size_t)(equals - argument));
	}
	if (option.len > 2)
		*value = argument + 2;
	return slice_of(argument, 2);
}

static int take_flag(struct parser *parser, const struct option_row *row, struct slice option)
{
	bool *flag = row->into;
	if (*flag)
		return refuse(parser, "given twice: option", option);
	*flag = true;
	return 0;
}

static int take_value(struct parser *parser, const struct option_row *row, struct slice option,
                      char *value)
{
	if (value == NULL)
		value = *parser->rest;
	if (value == NULL)
		return refuse(parser, "no value for option", option);
	if (value == *parser->rest)
		parser->rest++;
	if (row->kind == OPTION_LIST)
		return list_add(row->into, value);

	char **into = row->into;
	if (*into != NULL)
		return refuse(parser, "given twice: option", option);
	*into = value;
	return 0;
}

static int take_option(struct parser *parser, char *argument)
{
	char *value;
	struct slice option = cut_attached(argument, &value);
	const struct option_row *row = find_row(parser, option);
	if (row == NULL)
		return refuse(parser, "unknown option", option);
	if (row->kind != OPTION_FLAG)
		return take_value(parser, row, option, value);
	if (value != NULL)
		return refuse(parser, "a value for option", option);
	return take_flag(parser, row, option);
}

static int take_operand(struct parser *parser, char *argument)
{
	for (size_t i = 0; i < parser->row_count; i++) {
		if (parser->rows[i].kind == OPTION_OPERANDS)
			return list_add(parser->rows[i].into, argument);
	}
	return refuse(parser, "unexpected argument", slice_string(argument));
}

int options_parse(const char *command, const struct option_row *rows, size_t row_count, int argc,
                  char **argv, struct buf *error)
{
	CHECK(argc > 0);
	CHECK(argv[argc] == NULL);
	CHECK(error->len == 0);
	struct parser parser = {rows, row_count, command, argv + 1, error};
	bool has_ended = false;
	int result = 0;
	while (result == 0 && *parser.rest != NULL) {
		char *argument = *parser.rest++;
		if (has_ended || argument[0] != '-' || argument[1] == '\0')
			result = take_operand(&parser, argument);
		else if (strcmp(argument, "--") == 0)
			has_ended = true;
		else
			result = take_option(&parser, argument);
	}
	if (result == -ENOMEM)
		buf_string(error, "out of memory");
	return result;
}

void option_list_free(struct option_list *list)
{
	free(list->list);
	*list = (struct option_list){0};
}
