/*
 * interrupt.h - SIGINT and SIGTERM for a command that ends well when it is told to.
 *
 * The signals are kept out except while interrupt_poll() waits. A command that waits nowhere
 * else neither misses one nor is torn away in the middle of something.
 *
 * Threads:   the first one, the only one of these commands.
 * Ownership: none; what is caught stays caught until the process ends.
 * Limits:    a name that is being resolved is waited for: that takes a signal late.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>

#include "base/check.h"

void interrupt_catch(void);

/* A reader who goes away is told by write(2), not by a signal. */
void interrupt_mute_pipes(void);
bool interrupt_came(void);

/* poll(2); -1 waits for ever. How many are ready, or -errno: -EINTR when a signal came that
 * was caught, now or before. Without interrupt_catch() signals do what they do elsewhere. */
MUST_CHECK int interrupt_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
