/* What a buf promises, case by case; then a seeded run beside a plain array. */
#include "base/buf.h"
#include "base/check.h"
#include "base/random.h"

#define TOO_MUCH ((size_t)1 << 62)
#define STEPS 200000
#define ROOM_MAX 4096

/* Memory that is refused is an answer here, not the end of the program. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static bool buf_is(const struct buf *buf, const char *text)
{
	return slice_is(buf_view(buf), text) && !buf->is_broken;
}

static void zeros_are_empty(void)
{
	struct buf buf = {0};
	CHECK(buf_view(&buf).len == 0);
	buf_use(&buf, 0);
	buf_cut_to(&buf, 0);
	buf_clear(&buf);
	buf_append(&buf, NULL, 0);
	CHECK(buf.at == NULL);
	buf_free(&buf);
}

static void appended_in_order(void)
{
	struct buf buf = {0};
	buf_string(&buf, "a");
	buf_char(&buf, 'b');
	buf_slice(&buf, SLICE("cd"));
	buf_append(&buf, "efg", 2);
	buf_slice(&buf, slice_of(NULL, 0));
	CHECK(buf_is(&buf, "abcdef"));
	buf_free(&buf);
	CHECK(buf.at == NULL);
	CHECK(buf.cap == 0);
}

static void numbers_are_decimal(void)
{
	struct buf buf = {0};
	buf_u64(&buf, 0);
	buf_char(&buf, ' ');
	buf_u64(&buf, UINT64_MAX);
	CHECK(buf_is(&buf, "0 18446744073709551615"));
	buf_clear(&buf);
	buf_micro(&buf, 0);
	buf_char(&buf, ' ');
	buf_micro(&buf, 1999999);
	buf_char(&buf, ' ');
	buf_micro(&buf, 10000010);
	CHECK(buf_is(&buf, "0.000000 1.999999 10.000010"));
	buf_free(&buf);
}

static void formats_append(void)
{
	struct buf buf = {0};
	buf_string(&buf, "at ");
	buf_format(&buf, "%s:%d", "host", 80);
	buf_format(&buf, "%s", "");
	CHECK(buf_is(&buf, "at host:80"));
	buf_clear(&buf);
	buf_format(&buf, "%01000d", 1);
	CHECK(buf.len == 1000);
	CHECK(buf.at[999] == '1');
	buf_free(&buf);
}

static void used_from_the_front(void)
{
	struct buf buf = {0};
	buf_string(&buf, "header body");
	buf_use(&buf, 7);
	CHECK(buf_is(&buf, "body"));
	buf_string(&buf, "!");
	CHECK(buf_is(&buf, "body!"));
	buf_free(&buf);
}

static void used_up_begins_anew(void)
{
	struct buf buf = {0};
	buf_string(&buf, "abc");
	char *start = buf.at;
	buf_use(&buf, 2);
	CHECK(buf.before == 2);
	buf_use(&buf, 1);
	CHECK(buf.at == start);
	CHECK(buf.before == 0);
	buf_free(&buf);
}

/* As a queue does: in at the end, out at the front, for ever in the same memory. */
static void room_is_reclaimed(void)
{
	struct buf buf = {0};
	buf_string(&buf, "0123456789");
	size_t cap = buf.cap;
	for (int i = 0; i < 10000; i++) {
		buf_string(&buf, "0123456789");
		buf_use(&buf, 10);
		CHECK(buf_is(&buf, "0123456789"));
	}
	CHECK(buf.cap == cap);
	buf_free(&buf);
}

static void room_is_for_what_grew(void)
{
	struct buf buf = {0};
	buf_string(&buf, "ab");
	char *room = buf_room(&buf, 5000);
	CHECK(room != NULL);
	memset(room, 'x', 5000);
	CHECK(buf_is(&buf, "ab"));
	buf_grew(&buf, 3);
	CHECK(buf_is(&buf, "abxxx"));
	buf_free(&buf);
}

static void room_once_given_stays(void)
{
	struct buf buf = {0};
	CHECK(buf_room(&buf, 1000) != NULL);
	const char *start = buf.at;
	for (int i = 0; i < 1000; i++)
		buf_char(&buf, 'x');
	CHECK(buf.at == start);
	buf_free(&buf);
}

static void cut_at_the_end(void)
{
	struct buf buf = {0};
	buf_string(&buf, "abcdef");
	buf_use(&buf, 1);
	buf_cut_to(&buf, 3);
	CHECK(buf_is(&buf, "bcd"));
	buf_cut_to(&buf, 0);
	CHECK(buf_is(&buf, ""));
	buf_free(&buf);
}

static void cleared_keeps_memory(void)
{
	struct buf buf = {0};
	buf_string(&buf, "abc");
	buf_use(&buf, 1);
	size_t cap = buf.cap;
	buf_clear(&buf);
	CHECK(buf_is(&buf, ""));
	CHECK(buf.cap == cap);
	CHECK(buf.before == 0);
	buf_free(&buf);
}

static void refused_memory_is_told(void)
{
	struct buf buf = {0};
	buf_string(&buf, "kept");
	CHECK(buf_room(&buf, TOO_MUCH) == NULL);
	CHECK(buf.is_broken);
	buf_string(&buf, "lost");
	CHECK(buf_room(&buf, 1) == NULL);
	CHECK(slice_is(buf_view(&buf), "kept"));
	buf_clear(&buf);
	buf_string(&buf, "mended");
	CHECK(buf_is(&buf, "mended"));
	buf_free(&buf);
}

static void swapped(void)
{
	struct buf a = {0}, b = {0};
	buf_string(&a, "a");
	buf_swap(&a, &b);
	CHECK(buf_is(&b, "a"));
	CHECK(a.at == NULL);
	buf_free(&b);
}

/* The plain array that a buf is held against. */
static struct {
	char bytes[2 * ROOM_MAX];
	size_t len;
} plain;

static void random_append(struct random *random, struct buf *buf)
{
	size_t count = random_below(random, ROOM_MAX - (uint32_t)plain.len + 1);
	count = random_below(random, 4) == 0 ? count : count % 30;
	for (size_t i = 0; i < count; i++)
		plain.bytes[plain.len + i] = (char)random_next(random);
	buf_append(buf, plain.bytes + plain.len, count);
	plain.len += count;
}

static void random_step(struct random *random, struct buf *buf)
{
	size_t count = random_below(random, (uint32_t)plain.len + 1);
	switch (random_below(random, 20)) {
	case 0:
		buf_cut_to(buf, count);
		plain.len = count;
		break;
	case 1:
		buf_clear(buf);
		plain.len = 0;
		break;
	case 2:
	case 3:
	case 4:
	case 5:
	case 6:
		buf_use(buf, count);
		memmove(plain.bytes, plain.bytes + count, plain.len - count);
		plain.len -= count;
		break;
	default:
		random_append(random, buf);
	}
	CHECK(buf->before + buf->len <= buf->cap);
	CHECK(slice_equals(buf_view(buf), slice_of(plain.bytes, plain.len)));
}

static void like_a_plain_array(void)
{
	struct random random = {.state = 1};
	struct buf buf = {0};
	for (int i = 0; i < STEPS; i++)
		random_step(&random, &buf);
	CHECK(buf.cap <= 4 * ROOM_MAX);
	buf_free(&buf);
}

static void wiped_is_empty(void)
{
	struct buf buf = {0};
	buf_wipe(&buf);
	buf_string(&buf, "used and secret");
	buf_use(&buf, 5);
	buf_wipe(&buf);
	CHECK(buf.at == NULL);
	CHECK(buf.len == 0);
	CHECK(buf.cap == 0);
	buf_string(&buf, "anew");
	CHECK(slice_is(buf_view(&buf), "anew"));
	buf_free(&buf);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"all zero is an empty one without memory", zeros_are_empty},
	{"what is appended stands in order", appended_in_order},
	{"numbers are decimal", numbers_are_decimal},
	{"formats append without their NUL", formats_append},
	{"what is used up goes from the front", used_from_the_front},
	{"all used up, it begins at its start again", used_up_begins_anew},
	{"a queue stays in its memory", room_is_reclaimed},
	{"room counts from when it is said to have grown", room_is_for_what_grew},
	{"room once given moves nothing until it is full", room_once_given_stays},
	{"cutting forgets the end", cut_at_the_end},
	{"clearing keeps the memory", cleared_keeps_memory},
	{"one that was wiped is an empty one", wiped_is_empty},
	{"refused memory is told, and loses nothing before it", refused_memory_is_told},
	{"two are swapped whole", swapped},
	{"any mix of calls leaves what a plain array would hold", like_a_plain_array},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("buf: %s\n", cases[i].name);
		cases[i].run();
	}
	return 0;
}
