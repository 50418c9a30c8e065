/* Each text lies against a guard page. */
#include "../guard.h"
#include "http/query.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static const struct {
	const char *name;
	struct slice query;
	const char *pairs; /* name>value, each followed by a ; */
} queries[] = {
	{"parameters come in order", BYTES("a=1&b=2&a=3"), "a>1;b>2;a>3;"},
	{"nothing is no parameter", BYTES(""), ""},
	{"empty ones are passed over", BYTES("&&a=1&&b=2&"), "a>1;b>2;"},
	{"no value is an empty value", BYTES("a&b=&c"), "a>;b>;c>;"},
	{"the first = parts", BYTES("a=b=c"), "a>b=c;"},
	{"a name may be empty", BYTES("=a"), ">a;"},
	{"names and values stay as sent", BYTES("%61=+%zz"), "%61>+%zz;"},
};

static const struct {
	const char *name;
	struct slice raw;
	bool is_good;
	struct slice in_query, in_path;
} decoded[] = {
	{"plain text is itself", BYTES("abc"), true, BYTES("abc"), BYTES("abc")},
	{"nothing is nothing", BYTES(""), true, BYTES(""), BYTES("")},
	{"+ is a blank in a query only", BYTES("a+b"), true, BYTES("a b"), BYTES("a+b")},
	{"an escaped + is one", BYTES("%2B%2b"), true, BYTES("++"), BYTES("++")},
	{"escapes of either case", BYTES("%C3%a4%Ff"), true, BYTES("\xc3\xa4\xff"),
         BYTES("\xc3\xa4\xff")},
	{"any byte may be escaped", BYTES("a%00b%2F"), true, BYTES("a\0b/"), BYTES("a\0b/")},
	{"a byte is unescaped once", BYTES("%2541"), true, BYTES("%41"), BYTES("%41")},
	{"an escape has two digits", BYTES("a%4"), false, BYTES(""), BYTES("")},
	{"and not none", BYTES("a%"), false, BYTES(""), BYTES("")},
	{"its first is hexadecimal", BYTES("a%g0b"), false, BYTES(""), BYTES("")},
	{"its second is hexadecimal", BYTES("a%0gb"), false, BYTES(""), BYTES("")},
	{"a sign is no digit", BYTES("%+1"), false, BYTES(""), BYTES("")},
};

static const struct {
	const char *name;
	struct slice header;
	const char *value; /* of cookie "a"; NULL: there is none */
} cookies[] = {
	{"a cookie alone", BYTES("a=1"), "1"},
	{"a cookie among others", BYTES("x=0; a=1; b=2"), "1"},
	{"the first of a name", BYTES("a=1; a=2"), "1"},
	{"blanks around are not its own", BYTES(" a=1 ;\tb=2"), "1"},
	{"no blank is needed", BYTES("b=2;a=1"), "1"},
	{"quotes around are not its own", BYTES("a=\"1\""), "1"},
	{"one quote is", BYTES("a=\""), "\""},
	{"a value may be empty", BYTES("a=; b=2"), ""},
	{"a value may hold =", BYTES("a=b=="), "b=="},
	{"a name has a case", BYTES("A=1"), NULL},
	{"a longer name is another", BYTES("aa=1; ba=2"), NULL},
	{"a name without = is none", BYTES("a; b=a"), NULL},
	{"nothing holds none", BYTES(""), NULL},
};

static void query_run(size_t i)
{
	printf("query: %s\n", queries[i].name);
	char *copy = guard_copy(queries[i].query);
	struct slice rest = slice_of(copy, queries[i].query.len), name, value;
	struct buf pairs = {0};
	while (query_next(&rest, &name, &value)) {
		buf_slice(&pairs, name);
		buf_char(&pairs, '>');
		buf_slice(&pairs, value);
		buf_char(&pairs, ';');
	}
	CHECK(slice_is(buf_view(&pairs), queries[i].pairs));
	buf_free(&pairs);
	guard_drop(copy, queries[i].query.len);
}

static void decode_check(bool (*decode)(struct slice raw, struct buf *out), size_t i,
                         struct slice wanted)
{
	struct buf out = {0};
	char *copy = guard_copy(decoded[i].raw);
	buf_string(&out, "before ");
	CHECK(decode(slice_of(copy, decoded[i].raw.len), &out) == decoded[i].is_good);
	CHECK(slice_starts(buf_view(&out), SLICE("before ")));
	CHECK(slice_equals(slice_after(buf_view(&out), strlen("before ")), wanted));
	guard_drop(copy, decoded[i].raw.len);
	buf_free(&out);
}

static void cookie_run(size_t i)
{
	printf("query: %s\n", cookies[i].name);
	char *copy = guard_copy(cookies[i].header);
	struct slice value = SLICE("untouched");
	bool is_found = http_cookie_find(slice_of(copy, cookies[i].header.len), "a", &value);
	CHECK(is_found == (cookies[i].value != NULL));
	CHECK(slice_is(value, is_found ? cookies[i].value : "untouched"));
	guard_drop(copy, cookies[i].header.len);
}

static const struct {
	const char *name;
	struct slice raw;
	const char *text;
	bool is_it;
} compared[] = {
	{"a name is itself", BYTES("since"), "since", true},
	{"however it is escaped", BYTES("%73i%6e%63e"), "since", true},
	{"a plus is a blank", BYTES("a+b"), "a b", true},
	{"an escaped plus is a plus", BYTES("a%2Bb"), "a+b", true},
	{"a shorter one is another", BYTES("sinc"), "since", false},
	{"a longer one is another", BYTES("since%20"), "since", false},
	{"a name has a case", BYTES("Since"), "since", false},
	{"a malformed escape is no name", BYTES("since%2"), "since%2", false},
	{"NUL does not end it", BYTES("since%00"), "since", false},
	{"nothing is nothing", BYTES(""), "", true},
};

static void compare_run(size_t i)
{
	printf("query: %s\n", compared[i].name);
	char *copy = guard_copy(compared[i].raw);
	CHECK(query_is(slice_of(copy, compared[i].raw.len), compared[i].text) == compared[i].is_it);
	guard_drop(copy, compared[i].raw.len);
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(queries); i++)
		query_run(i);
	for (size_t i = 0; i < COUNT_OF(decoded); i++) {
		printf("query: %s\n", decoded[i].name);
		decode_check(query_decode, i, decoded[i].in_query);
		decode_check(http_path_decode, i, decoded[i].in_path);
	}
	for (size_t i = 0; i < COUNT_OF(cookies); i++)
		cookie_run(i);
	for (size_t i = 0; i < COUNT_OF(compared); i++)
		compare_run(i);

	printf("query: a query that is not there has no parameter\n");
	struct slice none = {0}, name, value;
	CHECK(!query_next(&none, &name, &value));
	return 0;
}
