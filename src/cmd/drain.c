#include "cmd/client.h"
#include "cmd/command.h"
#include "cmd/interrupt.h"
#include "cmd/options.h"

static int ask(const struct client_settings *settings)
{
	struct reply reply = {0};
	struct buf error = {0};
	int result = client_fetch(settings, "POST /api/drain", &reply, &error);
	if (result == 0 && !reply_is_good(&reply))
		result = client_refused(&reply, "/api/drain", &error);
	reply_free(&reply);
	return result == 0 ? COMMAND_DONE : command_fail(COMMAND_FAILED, &error);
}

int cmd_drain(int argc, char **argv)
{
	struct client_settings settings;
	struct buf error = {0};
	char *url = NULL, *api_key = NULL;
	const struct option_row rows[] = {
		{0, "url", OPTION_VALUE, &url},
		{0, "api-key", OPTION_VALUE, &api_key},
	};
	if (options_parse("drain", rows, COUNT_OF(rows), argc, argv, &error) < 0 ||
	    client_settings_read(&settings, url, api_key, &error) < 0)
		return command_fail(COMMAND_MISUSED, &error);
	interrupt_mute_pipes();
	return ask(&settings);
}
