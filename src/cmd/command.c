#include "cmd/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ops/complaint.h"

const struct command commands[] = {
#define COMMAND(name_, what_, usage_)                                                              \
	{.name = #name_, .what = what_, .usage = usage_, .run = cmd_##name_},
#include "cmd/command.def"
};

const size_t command_count = COUNT_OF(commands);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < command_count; i++) {
		CHECK(commands[i].run != NULL);
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

int command_fail(enum command_status status, struct buf *complaint)
{
	CHECK(status != COMMAND_DONE);
	CHECK(complaint->len == 0 || memchr(complaint->at, '\n', complaint->len) == NULL);
	if (complaint->is_broken || complaint->len == 0)
		fprintf(stderr, "starling: out of memory\n");
	else
		fprintf(stderr, "starling: %.*s\n", (int)complaint->len, complaint->at);
	buf_free(complaint);
	return (int)status;
}

int command_misuse(const char *why, const char *argument)
{
	struct buf complaint = {0};
	buf_format(&complaint, "%s ", why);
	complaint_quote(&complaint, slice_string(argument));
	buf_string(&complaint, "; see 'starling help'");
	return command_fail(COMMAND_MISUSED, &complaint);
}

int command_answer(struct buf *text)
{
	CHECK(text->is_broken || text->len > 0);
	bool is_written = !text->is_broken && fwrite(text->at, 1, text->len, stdout) == text->len &&
	                  fflush(stdout) == 0;
	if (is_written) {
		buf_free(text);
		return COMMAND_DONE;
	}
	bool is_broken = text->is_broken;
	int error = errno;
	buf_clear(text);
	if (is_broken)
		buf_string(text, "out of memory");
	else
		buf_format(text, "standard output: %s", strerror(error));
	return command_fail(COMMAND_FAILED, text);
}
