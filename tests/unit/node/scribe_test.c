/* What the scribe does where standard error does not take its lines: one that is full and does not
 * block is waited for, and what cannot be written is counted. Standard error is a small pipe. */
#include "node/scribe.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"
#include "net/mailbox.h"
#include "node/letter.h"

enum { CONTROL = 0, SCRIBE, MEMBERS };

#define LINE "fifteen letters\n"
#define LINE_BYTES (sizeof(LINE) - 1)
#define JOIN_MS 3600000u

static struct post_office *office;
static sem_t is_up;
static _Atomic uint64_t lost;
static struct scribe scribe;
static int reader, true_stderr;
static size_t pipe_bytes;

static void begin(void) CONTROL_ONLY;
static void begin(void)
{
	int ends[2];
	CHECK(pipe(ends) == 0);
	CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	int size = fcntl(ends[1], F_SETPIPE_SZ, 4096);
	CHECK(size > 0);
	pipe_bytes = (size_t)size;
	reader = ends[0];
	true_stderr = dup(STDERR_FILENO);
	CHECK(true_stderr >= 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	close(ends[1]);
	lost = 0;
	office = post_office_create(MEMBERS, sizeof(struct letter));
	CHECK(office != NULL && sem_init(&is_up, 0, 0) == 0);
	scribe = (struct scribe){.office = office,
	                         .number = SCRIBE,
	                         .control = CONTROL,
	                         .is_up = &is_up,
	                         .lost = &lost};
	CHECK(scribe_start(&scribe) == 0);
	CHECK(sem_wait(&is_up) == 0 && scribe.error == 0);
}

static void end(void) CONTROL_ONLY;
static void end(void)
{
	scribe_stop(&scribe);
	CHECK(scribe_join(&scribe, JOIN_MS));
	post_office_destroy(office);
	CHECK(dup2(true_stderr, STDERR_FILENO) == STDERR_FILENO);
	close(true_stderr);
}

static void send_lines(size_t count)
{
	struct buf lines = {0};
	for (size_t i = 0; i < count; i++)
		buf_string(&lines, LINE);
	struct letter letter = {.kind = LETTER_LINES, .lines = blob_copy(buf_view(&lines))};
	CHECK(letter.lines != NULL);
	mailbox_post(office, CONTROL, SCRIBE, &letter);
	mailbox_flush(office, CONTROL);
	buf_free(&lines);
}

static void wait_until_full(void)
{
	int held = 0;
	while ((size_t)held < pipe_bytes) {
		CHECK(ioctl(reader, FIONREAD, &held) == 0);
		sched_yield();
	}
}

static void expect_lines(size_t count)
{
	char bytes[LINE_BYTES];
	for (size_t i = 0; i < count; i++) {
		for (size_t got = 0; got < sizeof(bytes);) {
			ssize_t more = read(reader, bytes + got, sizeof(bytes) - got);
			CHECK(more > 0);
			got += (size_t)more;
		}
		CHECK(memcmp(bytes, LINE, sizeof(bytes)) == 0);
	}
}

static void waits(void) CONTROL_ONLY;
static void waits(void)
{
	begin();
	size_t count = 8 * pipe_bytes / LINE_BYTES;
	send_lines(count);
	wait_until_full();
	expect_lines(count);
	end();
	CHECK(lost == 0);
	close(reader);
	printf("scribe: one that is full and does not block is waited for\n");
}

static void counts(void) CONTROL_ONLY;
static void counts(void)
{
	begin();
	close(reader);
	send_lines(3);
	end();
	CHECK(lost == 3);
	printf("scribe: lines that nobody can read any more are counted\n");
	begin();
	size_t whole = pipe_bytes / LINE_BYTES;
	send_lines(whole + 100);
	wait_until_full();
	close(reader);
	end();
	CHECK(lost == 100);
	printf("scribe: of a letter that was written in part, the rest\n");
}

int main(void)
{
	role_enter_control();
	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	waits();
	counts();
	return 0;
}
