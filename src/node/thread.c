#include "node/thread.h"

#include <errno.h>
#include <time.h>

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
