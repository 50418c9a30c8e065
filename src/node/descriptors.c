#include "node/descriptors.h"

#include <sys/resource.h>

#include "base/check.h"
#include "edge/process.h"
#include "starling/limits.h"

#define WITHOUT_PROC 64 /* as many are taken to be open where /proc does not say */

/* In this process now. */
static uint64_t count_open(void)
{
	uint64_t count = process_descriptors();
	return count > 0 ? count : WITHOUT_PROC;
}

uint32_t descriptors_deal(uint32_t workers, size_t listeners, bool are_private, uint64_t *limit)
{
	struct rlimit files;
	CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
	*limit = files.rlim_cur;
	uint64_t apart = *limit / DESCRIPTORS_APART_SHARE, own = listeners + 1; /* and its epoll */
	uint64_t sharers = are_private ? 1 : workers;
	if (apart > DESCRIPTORS_APART_MAX)
		apart = DESCRIPTORS_APART_MAX;
	uint64_t taken = count_open() + apart + sharers * own;
	uint64_t each = *limit > taken ? (*limit - taken) / sharers : 0;
	if (each < WORKER_DESCRIPTORS_MIN)
		return 0;
	return each < UINT32_MAX ? (uint32_t)each : UINT32_MAX;
}
