/*
 * edge_fuzz.c - what a few clients do to the edge of a worker that is alone.
 *
 * See edge_script.h for what the bytes are, and what is checked beyond crashes: also that no user
 * is present, and no channel kept, when all have gone and time has passed.
 */
#include "edge_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct script_world alone = {.workers = 1};
	script_run(data, size, &alone);
	return 0;
}
