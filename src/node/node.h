/*
 * node.h - the whole server: its threads, from start to stop.
 *
 * Threads:   the caller's becomes the control thread: it starts the workers, waits for
 *            signals, and stops them.
 * Ownership: takes over the config; what its sources point at outlives the call.
 * Limits:    WORKERS_MAX workers.
 */
#pragma once

#include "ops/config.h"

/*
 * Serves until SIGTERM or SIGINT, reads the configuration again on SIGHUP, says goodbye to the
 * clients, and returns the exit status: 0, 1 when it could not start (an address in use) or was
 * told a second time to stop, 2 when the configuration names what is not there. A failure is one
 * line on standard error.
 */
int node_run(struct config *config);
