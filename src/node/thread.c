#include "node/thread.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

void thread_is_called(const char *what, int number)
{
	char name[THREAD_NAME_MAX + 1];
	int len = number < 0 ? snprintf(name, sizeof(name), "%s", what)
	                     : snprintf(name, sizeof(name), "%s-%d", what, number);
	CHECK(len > 0 && len < (int)sizeof(name));
	CHECK(pthread_setname_np(pthread_self(), name) == 0);
}

bool thread_join(pthread_t thread, uint64_t wait_ms)
{
	struct timespec until;
	CHECK(clock_gettime(CLOCK_REALTIME, &until) == 0);
	uint64_t ns = (uint64_t)until.tv_nsec + wait_ms * 1000000;
	until.tv_sec += (time_t)(ns / 1000000000);
	until.tv_nsec = (long)(ns % 1000000000);
	int error = pthread_timedjoin_np(thread, NULL, &until);
	CHECK(error == 0 || error == ETIMEDOUT);
	return error == 0;
}
