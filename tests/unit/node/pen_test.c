/* Lines of a turn go as one letter, in order; those that nobody takes are lost, counted and told.
 */
#include "node/pen.h"

#include "../../failing.h"
#include "node/letter.h"

enum { WRITER = 0, SCRIBE, MEMBERS };

static struct post_office *office;
static _Atomic uint64_t lost;
static struct pen pen;

static void claim(const char *text)
{
	printf("pen: %s\n", text);
}

static void say(const char *text)
{
	journal_say(&pen.journal, JOURNAL_INFO, "kind", "%s", text);
}

static void end_turn(void)
{
	pen_flush(&pen);
	mailbox_flush(office, WRITER);
}

/* The next letter's lines are these; NULL: there is none. */
static void expect(const char *lines)
{
	struct letter letter;
	bool has_come = mailbox_take(office, SCRIBE, &letter);
	CHECK(has_come == (lines != NULL));
	if (!has_come)
		return;
	CHECK(letter.kind == LETTER_LINES);
	CHECK(slice_is(blob_view(letter.lines), lines));
	blob_drop(letter.lines);
}

static void a_turn_is_a_letter(void)
{
	claim("a turn without lines is no letter");
	end_turn();
	expect(NULL);
	claim("lines of a turn go as one, in their order");
	say("a");
	say("b");
	expect(NULL);
	end_turn();
	expect("starling: a\nstarling: b\n");
	expect(NULL);
	CHECK(lost == 0);
}

/* Lines of about a KiB, as the access log has, till so many are lost. */
static void say_until_lost(uint64_t count)
{
	char path[1024] = {0};
	struct journal_field field = {"path", slice_of(path, sizeof(path)), 0};
	memset(path, 'x', sizeof(path));
	for (size_t said = 0; lost < count; said += sizeof(path)) {
		CHECK(said < 2 * (PEN_LETTERS_MAX + 1) * PEN_BYTES_MAX);
		journal_tell(&pen.journal, "request", &field, 1);
	}
}

static void nobody_takes(void)
{
	struct letter letter;
	claim("who is not heard does not pile up lines, nor wait");
	say_until_lost(2);
	end_turn();
	CHECK(!mailbox_is_congested(office, WRITER));
	claim("how many were lost is said behind the last one that was not");
	for (uint32_t i = 0; i < PEN_LETTERS_MAX; i++) {
		CHECK(mailbox_take(office, SCRIBE, &letter));
		CHECK(letter.lines->len <= PEN_BYTES_MAX);
		blob_drop(letter.lines);
	}
	expect(NULL);
	end_turn();
	CHECK(mailbox_take(office, SCRIBE, &letter));
	const char *told = "starling: 2 lines before this were lost\n";
	struct slice lines = blob_view(letter.lines);
	CHECK(slice_is(slice_after(lines, lines.len - strlen(told)), told));
	blob_drop(letter.lines);
	claim("once");
	say("a");
	end_turn();
	expect("starling: a\n");
}

static void no_memory(void)
{
	claim("what finds no memory is lost, too");
	lost = 0;
	say("a");
	say("b");
	failing_arm(1, FAILING_ONE);
	pen_flush(&pen);
	CHECK(failing_disarm() == 1);
	CHECK(lost == 2);
	end_turn();
	expect("starling: 2 lines before this were lost\n");
	failing_arm(2, FAILING_ONE); /* the line is made, and finds no place */
	say("c");
	CHECK(failing_disarm() == 1);
	CHECK(lost == 3);
	end_turn();
	expect("starling: 1 lines before this were lost\n");
}

int main(void)
{
	office = post_office_create(MEMBERS, sizeof(struct letter));
	CHECK(office != NULL);
	pen.journal.least = JOURNAL_INFO;
	pen_init(&pen, office, WRITER, SCRIBE, &lost);
	a_turn_is_a_letter();
	nobody_takes();
	no_memory();
	pen_free(&pen);
	post_office_destroy(office);
	return 0;
}
