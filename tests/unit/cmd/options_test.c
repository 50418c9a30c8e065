/*
 * options: command lines and what they become: each value in turn, or the complaint.
 */
#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "cmd/options.h"

#define ARGUMENTS_MAX 8

static const struct {
	const char *name;
	const char *arguments[ARGUMENTS_MAX];
	const char *result; /* "file=F json url=U set=S,S with=O,O", or the complaint */
	int status;
} cases[] = {
	{"no arguments are fine", {NULL}, "", 0},
	{"a value follows its letter", {"-c", "a.conf"}, "file=a.conf", 0},
	{"or is attached to it", {"-ca.conf"}, "file=a.conf", 0},
	{"a value follows its name", {"--url", "u"}, "url=u", 0},
	{"or is attached with =", {"--url=u=v"}, "url=u=v", 0},
	{"an attached value may be empty", {"--url="}, "url=", 0},
	{"a flag has no value", {"--json"}, "json", 0},
	{"a list keeps the order", {"-o", "a=1", "-ob=2"}, "set=a=1,b=2", 0},
	{"operands and options mix", {"x", "--json", "y"}, "json with=x,y", 0},
	{"a dash alone is an operand", {"-"}, "with=-", 0},
	{"-- ends the options", {"--", "--json", "--"}, "with=--json,--", 0},
	{"a value may look like an option", {"-c", "--json"}, "file=--json", 0},
	{"an empty argument is an operand", {""}, "with=", 0},
	{"an unknown name", {"--x"}, "unknown option '--x'; see 'starling help t'", -EINVAL},
	{"an unknown name keeps its value to itself",
         {"--x=hush"},
         "unknown option '--x'; see 'starling help t'",
         -EINVAL},
	{"an unknown letter", {"-x1"}, "unknown option '-x'; see 'starling help t'", -EINVAL},
	{"a name is not shortened",
         {"--jso"},
         "unknown option '--jso'; see 'starling help t'",
         -EINVAL},
	{"a letter is no name", {"--c"}, "unknown option '--c'; see 'starling help t'", -EINVAL},
	{"no value left", {"-c"}, "no value for option '-c'; see 'starling help t'", -EINVAL},
	{"a flag refuses a value",
         {"--json=1"},
         "a value for option '--json'; see 'starling help t'",
         -EINVAL},
	{"a value is given once",
         {"-ca", "-cb"},
         "given twice: option '-c'; see 'starling help t'",
         -EINVAL},
	{"a flag is given once",
         {"--json", "--json"},
         "given twice: option '--json'; see 'starling help t'",
         -EINVAL},
	{"a complaint stays one line",
         {"--a\nb"},
         "unknown option '--a?b'; see 'starling help t'",
         -EINVAL},
};

struct values {
	char *file;
	char *url;
	bool json;
	struct option_list set;
	struct option_list with;
};

static void write_list(const char *name, const struct option_list *list, struct buf *text)
{
	for (size_t i = 0; i < list->count; i++)
		buf_format(text, "%s%s", i > 0 ? "," : name, list->list[i]);
	if (list->count > 0)
		buf_char(text, ' ');
}

static void write_values(const struct values *values, struct buf *text)
{
	if (values->file != NULL)
		buf_format(text, "file=%s ", values->file);
	if (values->json)
		buf_string(text, "json ");
	if (values->url != NULL)
		buf_format(text, "url=%s ", values->url);
	write_list("set=", &values->set, text);
	write_list("with=", &values->with, text);
	if (text->len > 0)
		buf_cut_to(text, text->len - 1);
}

static int parse(const char *const *arguments, bool takes_operands, struct buf *text)
{
	struct values values = {0};
	const struct option_row rows[] = {
		{'c', NULL, OPTION_VALUE, &values.file},  {0, "url", OPTION_VALUE, &values.url},
		{0, "json", OPTION_FLAG, &values.json},   {'o', NULL, OPTION_LIST, &values.set},
		{0, NULL, OPTION_OPERANDS, &values.with},
	};
	char *argv[ARGUMENTS_MAX + 2] = {(char *)"t"};
	int argc = 1;
	for (; arguments[argc - 1] != NULL; argc++)
		argv[argc] = (char *)arguments[argc - 1];

	size_t row_count = COUNT_OF(rows) - (takes_operands ? 0 : 1);
	int status = options_parse("t", rows, row_count, argc, argv, text);
	if (status == 0)
		write_values(&values, text);
	option_list_free(&values.set);
	option_list_free(&values.with);
	return status;
}

int main(void)
{
	struct buf text = {0};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("options: %s\n", cases[i].name);
		buf_clear(&text);
		CHECK(parse(cases[i].arguments, true, &text) == cases[i].status);
		CHECK(slice_is(buf_view(&text), cases[i].result));
	}

	printf("options: without a row for them operands are refused\n");
	static const char *const operand[] = {"x", NULL};
	buf_clear(&text);
	CHECK(parse(operand, false, &text) == -EINVAL);
	CHECK(slice_is(buf_view(&text), "unexpected argument 'x'; see 'starling help t'"));
	buf_free(&text);
	return 0;
}
