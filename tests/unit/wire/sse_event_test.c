#include "../guard.h"
#include "wire/sse_event.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static const struct {
	const char *name;
	struct slice event, data;
	struct slice lines;
} events[] = {
	{"an unnamed event has data only", BYTES(""), BYTES("{}"), BYTES("data: {}\n")},
	{"a name comes first", BYTES("gap"), BYTES("1"), BYTES("event: gap\ndata: 1\n")},
	{"no data is one empty line", BYTES(""), BYTES(""), BYTES("data: \n")},
	{"a space in front survives", BYTES(" n"), BYTES(" x"), BYTES("event:  n\ndata:  x\n")},
	{"LF separates", BYTES(""), BYTES("a\nb"), BYTES("data: a\ndata: b\n")},
	{"CR separates", BYTES(""), BYTES("a\rb"), BYTES("data: a\ndata: b\n")},
	{"CR LF separates once", BYTES(""), BYTES("a\r\nb"), BYTES("data: a\ndata: b\n")},
	{"LF CR separates twice", BYTES(""), BYTES("a\n\rb"), BYTES("data: a\ndata: \ndata: b\n")},
	{"a last line may be empty", BYTES(""), BYTES("a\n"), BYTES("data: a\ndata: \n")},
	{"a CR at the very end separates", BYTES(""), BYTES("a\r"), BYTES("data: a\ndata: \n")},
	{"line ends alone are empty lines", BYTES(""), BYTES("\r\r\n\n"),
         BYTES("data: \ndata: \ndata: \ndata: \n")},
	{"data cannot end the event", BYTES("e"), BYTES("a\n\nid: 9"),
         BYTES("event: e\ndata: a\ndata: \ndata: id: 9\n")},
	{"NUL in data is a byte like others", BYTES(""), BYTES("a\0b"), BYTES("data: a\0b\n")},
};

static const struct {
	const char *name;
	struct slice text;
	bool is_valid;
} names[] = {
	{"a word is a name", BYTES("message"), true},
	{"nothing is a name", BYTES(""), true},
	{"colons and blanks are fine in a name", BYTES("a: b\t"), true},
	{"LF at the end is not", BYTES("a\n"), false},
	{"CR at the front is not", BYTES("\ra"), false},
	{"NUL is not", BYTES("a\0b"), false},
};

static void event_run(size_t i)
{
	struct buf out = {0};
	char *data = guard_copy(events[i].data);
	sse_event_append(&out, events[i].event, slice_of(data, events[i].data.len));
	CHECK(slice_equals(buf_view(&out), events[i].lines));
	guard_drop(data, events[i].data.len);
	buf_free(&out);
}

static void stream_run(void)
{
	printf("sse_event: a stream is retry, comments, and events with ids\n");
	struct buf out = {0};
	sse_retry(&out, 2750);
	sse_comment(&out, SLICE("hi"));
	sse_comment(&out, SLICE(""));
	sse_id_append(&out, SLICE("k3f9-121,a-0"));
	sse_event_append(&out, SLICE("e"), SLICE("x"));
	sse_end(&out);
	CHECK(slice_is(buf_view(&out), "retry: 2750\n: hi\n: \nid: k3f9-121,a-0\n"
	                               "event: e\ndata: x\n\n"));
	buf_free(&out);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(events); i++) {
		printf("sse_event: %s\n", events[i].name);
		event_run(i);
	}
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		printf("sse_event: %s\n", names[i].name);
		char *copy = guard_copy(names[i].text);
		struct slice name = slice_of(copy, names[i].text.len);
		CHECK(sse_event_name_is_valid(name) == names[i].is_valid);
		guard_drop(copy, name.len);
	}
	stream_run();
	return 0;
}
