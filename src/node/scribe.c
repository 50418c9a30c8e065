#include "node/scribe.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "node/letter.h"
#include "node/thread.h"
#include "starling/limits.h"

static struct scribe *scribe_of(struct loop_handler *handler)
{
	return CONTAINER_OF(handler, struct scribe, handler);
}

/* Others share the descriptor, and may have made it one that does not block. */
static void wait_until_writable(void)
{
	struct pollfd pollfd = {.fd = STDERR_FILENO, .events = POLLOUT};
	(void)poll(&pollfd, 1, -1); /* whatever has come, the next write says it */
}

/* Gives what could not be written. */
static struct slice write_all(struct slice lines)
{
	while (lines.len > 0) {
		ssize_t put = write(STDERR_FILENO, lines.at, lines.len);
		if (put >= 0)
			lines = slice_after(lines, (size_t)put);
		else if (errno == EAGAIN)
			wait_until_writable();
		else if (errno != EINTR)
			break;
	}
	return lines;
}

/* There is nowhere to say that they are: a figure does. */
static void count_lost(struct scribe *scribe, struct slice lines)
{
	atomic_fetch_add_explicit(scribe->lost, slice_count(lines, '\n'), memory_order_relaxed);
}

static void on_letter(struct loop_handler *handler, const void *bytes)
{
	const struct letter *letter = bytes;
	if (letter->kind == LETTER_STOP) {
		scribe_of(handler)->is_stopping = true;
		return;
	}
	CHECK(letter->kind == LETTER_LINES); /* nobody sends another one */
	count_lost(scribe_of(handler), write_all(blob_view(letter->lines)));
	blob_drop(letter->lines);
}

/* Those who write have ended by then, so what is there is all that will be. */
static bool on_after(struct loop_handler *handler)
{
	struct scribe *scribe = scribe_of(handler);
	if (scribe->is_stopping && mailbox_incoming(scribe->office, scribe->number) == 0)
		loop_stop(scribe->loop);
	return false;
}

static void on_begin(struct loop_handler *handler)
{
	(void)handler;
}

static void on_ready(struct loop_handler *handler, uint64_t tag, unsigned ready)
{
	(void)handler;
	(void)tag;
	(void)ready;
	CHECK(false); /* it watches nothing */
}

static uint32_t on_letters_max(struct loop_handler *handler)
{
	(void)handler;
	return TURN_MAILS_MAX;
}

static void on_timer(struct loop_handler *handler, struct timer *timer)
{
	(void)handler;
	(void)timer;
	CHECK(false); /* it has none */
}

static void *scribe_main(void *argument)
{
	struct scribe *scribe = argument;
	thread_is_called("journal", -1);
	struct loop_options options = {
		.handler = &scribe->handler,
		.office = scribe->office,
		.member = scribe->number,
		.letter_bytes = sizeof(struct letter),
	};
	scribe->loop = loop_create(&options);
	bool is_good = scribe->loop != NULL;
	scribe->error = is_good ? 0 : -errno;
	CHECK(sem_post(scribe->is_up) == 0);
	if (is_good)
		loop_run(scribe->loop);
	loop_destroy(scribe->loop);
	return NULL;
}

int scribe_start(struct scribe *scribe)
{
	scribe->handler = (struct loop_handler){.begin = on_begin,
	                                        .ready = on_ready,
	                                        .letters_max = on_letters_max,
	                                        .letter = on_letter,
	                                        .timer = on_timer,
	                                        .after = on_after};
	return -pthread_create(&scribe->thread, NULL, scribe_main, scribe);
}

void scribe_stop(struct scribe *scribe)
{
	struct letter letter = {.kind = LETTER_STOP};
	mailbox_post(scribe->office, scribe->control, scribe->number, &letter);
	mailbox_flush(scribe->office, scribe->control);
}

bool scribe_join(struct scribe *scribe, uint64_t wait_ms)
{
	return thread_join(scribe->thread, wait_ms);
}
