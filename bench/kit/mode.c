#include "kit/mode.h"

static const struct mode *const modes[] = {
	&mode_idle, &mode_fanout, &mode_rooms, &mode_stuck,  &mode_sse,
	&mode_poll, &mode_echo,   &mode_churn, &mode_resume,
};

const struct mode *mode_at(size_t i)
{
	return i < COUNT_OF(modes) ? modes[i] : NULL;
}

const struct mode *mode_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		if (strcmp(modes[i]->name, name) == 0)
			return modes[i];
	}
	return NULL;
}
