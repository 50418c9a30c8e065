#include "cmd/interrupt.h"

#include <errno.h>
#include <signal.h>

static volatile sig_atomic_t has_come;
static bool is_caught;
static sigset_t outside; /* the signals that were kept out before: those to wait with */

static void note(int signal)
{
	(void)signal;
	has_come = 1;
}

void interrupt_catch(void)
{
	CHECK(!is_caught);
	const struct sigaction action = {.sa_handler = note};
	sigset_t ours;
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	CHECK(sigprocmask(SIG_BLOCK, &ours, &outside) == 0);
	sigdelset(&outside, SIGINT);
	sigdelset(&outside, SIGTERM);
	CHECK(sigaction(SIGINT, &action, NULL) == 0);
	CHECK(sigaction(SIGTERM, &action, NULL) == 0);
	is_caught = true;
}

void interrupt_mute_pipes(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	CHECK(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

bool interrupt_came(void)
{
	return has_come != 0;
}

int interrupt_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	CHECK(timeout_ms >= -1);
	struct timespec timeout = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};
	int ready;
	do {
		if (has_come != 0)
			return -EINTR;
		ready = ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout,
		              is_caught ? &outside : NULL);
	} while (ready < 0 && errno == EINTR);
	return ready < 0 ? -errno : ready;
}
