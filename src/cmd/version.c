#include "starling/version.h"

#include "cmd/command.h"
#include "cmd/options.h"

int cmd_version(int argc, char **argv)
{
	struct buf text = {0};
	if (options_parse("version", NULL, 0, argc, argv, &text) < 0)
		return command_fail(COMMAND_MISUSED, &text);
	buf_string(&text, "starling " STARLING_VERSION "\n");
	return command_answer(&text);
}
