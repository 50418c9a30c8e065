/* Each text is read to a guard page, whole and cut off at every byte. */
#include "../guard.h"
#include "wire/json.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

#define GOOD SIZE_MAX
#define LEVELS 32
#define FOUR(x) x x x x

static const struct {
	const char *name;
	struct slice text;
	size_t bad_at; /* GOOD: it is JSON */
	enum json_kind kind;
} cases[] = {
	/* values */
	{"null is a value", BYTES("null"), GOOD, JSON_NULL},
	{"true is a value", BYTES("true"), GOOD, JSON_TRUE},
	{"false is a value", BYTES("false"), GOOD, JSON_FALSE},
	{"blanks of four kinds may stand around", BYTES("\t\n\r null \r\n\t"), GOOD, JSON_NULL},
	{"nothing is not a value", BYTES(""), 0, JSON_NONE},
	{"blanks alone are not a value", BYTES("  \n"), 3, JSON_NONE},
	{"two values are one too many", BYTES("1 2"), 2, JSON_NONE},
	{"a literal is written out", BYTES("nul"), 3, JSON_NONE},
	{"a literal is lower case", BYTES("tRue"), 1, JSON_NONE},
	{"a literal ends where it ends", BYTES("falsey"), 5, JSON_NONE},
	{"a form feed is no blank", BYTES("\f1"), 0, JSON_NONE},
	{"NUL is no blank", BYTES("1\0"), 1, JSON_NONE},
	{"a no-break space is no blank", BYTES("1\xc2\xa0"), 1, JSON_NONE},
	{"a byte order mark is refused", BYTES("\xef\xbb\xbf{}"), 0, JSON_NONE},
	{"a comment is refused", BYTES("[1/* */]"), 2, JSON_NONE},
	{"a bare word is refused", BYTES("undefined"), 0, JSON_NONE},
	{"single quotes are refused", BYTES("['a']"), 1, JSON_NONE},
	/* numbers */
	{"zero is a number", BYTES("0"), GOOD, JSON_NUMBER},
	{"minus zero is a number", BYTES("-0"), GOOD, JSON_NUMBER},
	{"all parts of a number at once", BYTES("-120.034e+056"), GOOD, JSON_NUMBER},
	{"a capital exponent", BYTES("1E-2"), GOOD, JSON_NUMBER},
	{"zero may have a fraction and an exponent", BYTES("0.0e0"), GOOD, JSON_NUMBER},
	{"numbers have no size", BYTES("123456789012345678901234567890e9999"), GOOD, JSON_NUMBER},
	{"a leading zero is refused", BYTES("012"), 1, JSON_NONE},
	{"minus and a leading zero too", BYTES("-01"), 2, JSON_NONE},
	{"a plus in front is refused", BYTES("+1"), 0, JSON_NONE},
	{"a minus alone is refused", BYTES("-"), 1, JSON_NONE},
	{"two minuses are refused", BYTES("--1"), 1, JSON_NONE},
	{"a fraction has digits", BYTES("1."), 2, JSON_NONE},
	{"a fraction has digits before the exponent", BYTES("[1.e3]"), 3, JSON_NONE},
	{"a whole part has digits", BYTES(".5"), 0, JSON_NONE},
	{"an exponent has digits", BYTES("1e"), 2, JSON_NONE},
	{"a signed exponent has digits", BYTES("1e+"), 3, JSON_NONE},
	{"an exponent has one sign", BYTES("1e+-2"), 3, JSON_NONE},
	{"an exponent is whole", BYTES("1e2.5"), 3, JSON_NONE},
	{"hexadecimal is refused", BYTES("0x1f"), 1, JSON_NONE},
	{"a digit group is refused", BYTES("1 000"), 2, JSON_NONE},
	{"NaN is refused", BYTES("NaN"), 0, JSON_NONE},
	{"infinity is refused", BYTES("-Infinity"), 1, JSON_NONE},
	{"full width digits are refused", BYTES("\xef\xbc\x91"), 0, JSON_NONE},
	/* strings */
	{"a string may be empty", BYTES("\"\""), GOOD, JSON_STRING},
	{"every short escape", BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), GOOD, JSON_STRING},
	{"hexadecimal of either case", BYTES("\"\\u00e9\\u00E9\\uABCD\""), GOOD, JSON_STRING},
	{"an escaped NUL is a character", BYTES("\"\\u0000\""), GOOD, JSON_STRING},
	{"a pair of surrogates", BYTES("\"\\ud83d\\ude00\""), GOOD, JSON_STRING},
	{"a lone surrogate is grammatical", BYTES("\"\\ud800\""), GOOD, JSON_STRING},
	{"UTF-8 of every length", BYTES("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""), GOOD,
         JSON_STRING},
	{"DEL and the line separators stand raw", BYTES("\"\x7f\xe2\x80\xa8\xe2\x80\xa9\""), GOOD,
         JSON_STRING},
	{"brackets and commas are text", BYTES("\"[{,:}]\""), GOOD, JSON_STRING},
	{"a long string", BYTES("\"" FOUR(FOUR("0123456")) "\""), GOOD, JSON_STRING},
	{"an escape at each place of a word", BYTES("\"\\n01\\n234\\n56789\\n\""), GOOD,
         JSON_STRING},
	{"a string ends with a quote", BYTES("\"abc"), 4, JSON_NONE},
	{"a quote alone is no string", BYTES("\""), 1, JSON_NONE},
	{"an escaped quote ends nothing", BYTES("\"\\\""), 3, JSON_NONE},
	{"a newline is escaped", BYTES("\"a\nb\""), 2, JSON_NONE},
	{"a tab is escaped, far in too", BYTES("\"0123456789\tabc\""), 11, JSON_NONE},
	{"NUL is escaped", BYTES("\"\0\""), 1, JSON_NONE},
	{"1F is escaped", BYTES("\"0123456\x1f\""), 8, JSON_NONE},
	{"an unknown escape is refused", BYTES("\"\\a\""), 2, JSON_NONE},
	{"an escaped NUL byte is refused", BYTES("\"\\\0\""), 2, JSON_NONE},
	{"a capital U is refused", BYTES("\"\\U0041\""), 2, JSON_NONE},
	{"three hexadecimal digits are too few", BYTES("\"\\u004\""), 6, JSON_NONE},
	{"G is no hexadecimal digit", BYTES("\"\\u00g0\""), 5, JSON_NONE},
	{"a continuation byte begins nothing", BYTES("\"\x80\""), 1, JSON_NONE},
	{"an overlong form fails at once", BYTES("\"a\xc0\xaf\""), 2, JSON_NONE},
	{"a raw surrogate fails at its second byte", BYTES("\"\xed\xa0\x80\""), 2, JSON_NONE},
	{"above U+10FFFF fails at the second byte", BYTES("\"\xf4\x90\x80\x80\""), 2, JSON_NONE},
	{"a quote cannot cut a character off", BYTES("\"\xe2\x82\""), 3, JSON_NONE},
	{"keys are UTF-8 too", BYTES("{\"\xff\":1}"), 2, JSON_NONE},
	/* arrays */
	{"an array may be empty", BYTES("[]"), GOOD, JSON_ARRAY},
	{"an empty array may hold blanks", BYTES("[ \n ]"), GOOD, JSON_ARRAY},
	{"an array of every kind", BYTES("[null,true,false,1,\"\",[],{}]"), GOOD, JSON_ARRAY},
	{"blanks may stand anywhere between", BYTES(" [ 1 , [ 2 ] , 3 ] "), GOOD, JSON_ARRAY},
	{"an array is closed", BYTES("[1"), 2, JSON_NONE},
	{"an array is opened", BYTES("1]"), 1, JSON_NONE},
	{"a bracket alone is no array", BYTES("["), 1, JSON_NONE},
	{"a comma needs a value behind it", BYTES("[1,]"), 3, JSON_NONE},
	{"a comma needs a value before it", BYTES("[,1]"), 1, JSON_NONE},
	{"two commas are one too many", BYTES("[1,,2]"), 3, JSON_NONE},
	{"values need a comma between them", BYTES("[1 2]"), 3, JSON_NONE},
	{"an array has no keys", BYTES("[\"a\":1]"), 4, JSON_NONE},
	{"an array does not end as an object", BYTES("[1}"), 2, JSON_NONE},
	{"the outer kind is known after the inner ends", BYTES("[{\"a\":[]}}"), 9, JSON_NONE},
	{"an array is closed once", BYTES("[]]"), 2, JSON_NONE},
	/* objects */
	{"an object may be empty", BYTES("{}"), GOOD, JSON_OBJECT},
	{"an empty object may hold blanks", BYTES("{ \t}"), GOOD, JSON_OBJECT},
	{"a key may be empty", BYTES("{\"\":0}"), GOOD, JSON_OBJECT},
	{"a key may come twice", BYTES("{\"a\":1,\"a\":2}"), GOOD, JSON_OBJECT},
	{"objects nest", BYTES("{\"a\":{\"b\":[{\"c\":{}}]},\"d\":1}"), GOOD, JSON_OBJECT},
	{"blanks may stand around colons", BYTES("{ \"a\" : 1 , \"b\" : 2 }"), GOOD, JSON_OBJECT},
	{"an object is closed", BYTES("{\"a\":1"), 6, JSON_NONE},
	{"a brace alone is no object", BYTES("{"), 1, JSON_NONE},
	{"a key needs a colon", BYTES("{\"a\"}"), 4, JSON_NONE},
	{"a key needs a value", BYTES("{\"a\":}"), 5, JSON_NONE},
	{"a colon comes once", BYTES("{\"a\"::1}"), 5, JSON_NONE},
	{"a key is a string", BYTES("{1:2}"), 1, JSON_NONE},
	{"a key has quotes", BYTES("{a:1}"), 1, JSON_NONE},
	{"a comma needs a key behind it", BYTES("{\"a\":1,}"), 7, JSON_NONE},
	{"a member is no value", BYTES("{\"a\":1,2}"), 7, JSON_NONE},
	{"a comma is no colon", BYTES("{\"a\",1}"), 4, JSON_NONE},
	{"an object does not end as an array", BYTES("{\"a\":1]"), 6, JSON_NONE},
	{"an inner object needs colons too", BYTES("[{\"a\" 1}]"), 6, JSON_NONE},
};

/* What any text is held to: the fault does not move when what follows it is cut off. */
static void text_cut_off(struct slice text, size_t bad_at)
{
	for (size_t len = 0; len <= text.len; len++) {
		char *copy = guard_copy(slice_of(text.at, len));
		struct json_value value;
		size_t at = GOOD;
		bool is_good = json_check(slice_of(copy, len), LEVELS, &value, &at);
		if (bad_at < len)
			CHECK(!is_good && at == bad_at);
		else
			CHECK(is_good || at == len);
		guard_drop(copy, len);
	}
}

static void case_run(size_t i)
{
	struct slice text = cases[i].text;
	struct json_value value = {0}, array;
	size_t bad_at = GOOD;
	CHECK(json_check(text, LEVELS, &value, &bad_at) == (cases[i].bad_at == GOOD));
	CHECK(bad_at == cases[i].bad_at);
	CHECK(value.kind == cases[i].kind);
	CHECK(bad_at != GOOD || strchr("\t\n\r ", value.raw.at[value.raw.len - 1]) == NULL);
	text_cut_off(text, bad_at);

	size_t object_bad_at = GOOD;
	bool is_object = json_read_object(text, LEVELS, NULL, 0, &object_bad_at);
	CHECK(is_object == (value.kind == JSON_OBJECT));
	CHECK(is_object || object_bad_at <= bad_at);
	CHECK(!slice_starts(text, SLICE("{")) || object_bad_at == bad_at);

	struct buf nested = {0};
	buf_string(&nested, "[7,");
	buf_slice(&nested, text);
	buf_string(&nested, "]");
	CHECK(json_check(buf_view(&nested), LEVELS, &array, &object_bad_at) == (bad_at == GOOD));
	buf_free(&nested);
}

/* Nests `levels` containers, the kinds taking turns, and reads with `depth_max`. */
static bool nested_check(unsigned levels, unsigned depth_max, size_t *bad_at)
{
	struct buf text = {0};
	for (unsigned i = 0; i < levels; i++)
		buf_string(&text, i % 3 == 1 ? "{\"k\":" : "[");
	buf_string(&text, "0");
	for (unsigned i = levels; i-- > 0;)
		buf_string(&text, i % 3 == 1 ? "}" : "]");
	struct json_value value;
	bool is_good = json_check(buf_view(&text), depth_max, &value, bad_at);
	CHECK(is_good || text.at[*bad_at] == '[' || text.at[*bad_at] == '{');
	buf_free(&text);
	return is_good;
}

static const struct {
	const char *name, *text;
	const char *elements[4]; /* NULL: the text is refused */
} skims[] = {
	{"a list is skimmed as it is read",
         "{\"a\":[1,{\"b\":[]},\"]\"]}",
         {"1", "{\"b\":[]}", "\"]\""}},
	{"what is too deep is passed over, whatever it is",
         "{\"a\":[[[[:{] nonsense,]]],2]}",
         {"[[[:{] nonsense,]]]", "2"}},
	{"a bracket in a string of it is none",
         "{\"a\":[[[\"]\\\"]\"]],2]}",
         {"[[\"]\\\"]\"]]", "2"}},
	{"a part that is too deep must end", "{\"a\":[[[[0]]]", {NULL}},
	{"a string in it must be good", "{\"a\":[[[[\"\\x\"]]]]}", {NULL}},
	{"what is not too deep must be good", "{\"a\":[[nonsense]]}", {NULL}},
};

/* Two brackets around the elements, and two within them. */
static void skim_run(size_t i)
{
	struct json_field a = {.name = "a"};
	struct json_value element;
	size_t bad_at = SIZE_MAX, n = 0;
	bool is_good = json_skim_object(slice_string(skims[i].text), 4, &a, 1, &bad_at);
	CHECK(is_good == (skims[i].elements[0] != NULL));
	CHECK(is_good || bad_at <= strlen(skims[i].text));
	struct slice rest = is_good ? json_open(a.value) : slice_of(NULL, 0);
	while (json_skim_element(&rest, 2, &element))
		CHECK(slice_is(element.raw, skims[i].elements[n++]));
	CHECK(skims[i].elements[n] == NULL);
}

static void depth_run(void)
{
	printf("json: brackets may be open as deep as the limit, and no deeper\n");
	size_t bad_at = 0;
	for (unsigned depth_max = 0; depth_max <= JSON_DEPTH_MAX; depth_max++) {
		CHECK(nested_check(depth_max, depth_max, &bad_at));
		CHECK(!nested_check(depth_max + 1, depth_max, &bad_at));
	}
	CHECK(!nested_check(100000, JSON_DEPTH_MAX, &bad_at));

	struct json_value value;
	CHECK(json_check(SLICE("[[],[],{}]"), 2, &value, &bad_at)); /* depth, not count */
	CHECK(json_read_object(SLICE("{\"a\":[]}"), 2, NULL, 0, &bad_at));
	CHECK(!json_read_object(SLICE("{\"a\":[]}"), 1, NULL, 0, &bad_at) && bad_at == 5);
	CHECK(!json_read_object(SLICE("{}"), 0, NULL, 0, &bad_at) && bad_at == 0);
}

static const struct {
	const char *name;
	struct slice text;
	const char *type, *data; /* raw; NULL: absent */
} objects[] = {
	{"an empty object has no field", BYTES("{}"), NULL, NULL},
	{"fields come in any order", BYTES("{\"data\":[1],\"type\":\"x\"}"), "\"x\"", "[1]"},
	{"unknown fields are passed over", BYTES("{\"a\":{\"type\":1},\"type\":2}"), "2", NULL},
	{"the last of two wins", BYTES("{\"type\":1,\"data\":0,\"type\":true}"), "true", "0"},
	{"null is present", BYTES("{\"data\":null}"), NULL, "null"},
	{"values are without blanks", BYTES(" { \"data\" :\n{ \"b\" : 1 }\t} "), NULL,
         "{ \"b\" : 1 }"},
	{"an escaped key is the same key", BYTES("{\"ty\\u0070e\":1}"), "1", NULL},
	{"a key escaped throughout", BYTES("{\"\\u0074\\u0079\\u0070\\u0065\":1}"), "1", NULL},
	{"the start of a name is not it", BYTES("{\"typ\":1,\"t\":1,\"\":1}"), NULL, NULL},
	{"more than a name is not it", BYTES("{\"types\":1,\"data\\u0000\":1}"), NULL, NULL},
	{"an escaped start of a name is not it", BYTES("{\"t\\u0079\":1}"), NULL, NULL},
	{"a lone surrogate is no name", BYTES("{\"type\\ud800\":1}"), NULL, NULL},
	{"names know upper case", BYTES("{\"Type\":1,\"DATA\":1}"), NULL, NULL},
};

static void field_check(const struct json_field *field, const char *raw)
{
	CHECK((field->value.kind == JSON_NONE) == (raw == NULL));
	CHECK(raw == NULL || slice_is(field->value.raw, raw));
}

static void object_run(size_t i)
{
	struct json_field fields[] = {{"type", {JSON_TRUE, SLICE("left over")}}, {.name = "data"}};
	struct slice text = objects[i].text;
	size_t bad_at;
	char *copy = guard_copy(text);
	CHECK(json_read_object(slice_of(copy, text.len), LEVELS, fields, 2, &bad_at));
	field_check(&fields[0], objects[i].type);
	field_check(&fields[1], objects[i].data);
	guard_drop(copy, text.len);
}

static const struct {
	const char *name;
	const char *object;
	bool is_unique;
} uniques[] = {
	{"no member is no double", "{}", true},
	{"two names are two", "{\"a\":1,\"b\":1}", true},
	{"one that begins like the other is another", "{\"a\":1,\"ab\":1,\"\":1}", true},
	{"a name twice is a double", "{\"a\":1,\"b\":2,\"a\":1}", false},
	{"an escape does not hide it", "{\"a\":1,\"\\u0061\":1}", false},
	{"nor do two", "{\"\\n\":1,\"\\u000a\":1}", false},
	{"the empty name twice is a double", "{\"\":1,\"\":1}", false},
	{"what is within a member is its own", "{\"a\":{\"a\":1,\"a\":2},\"b\":[\"a\"]}", true},
	{"a name that is no text is not unique", "{\"\\ud800\":1}", false},
	{"as many members as may be", "{\"a\":1,\"b\":1,\"c\":1,\"d\":1}", true},
	{"one more is too many", "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}", false},
};

static void unique_run(void)
{
	struct buf scratch = {0};
	for (size_t i = 0; i < COUNT_OF(uniques); i++) {
		struct json_value object;
		size_t bad_at;
		buf_free(&scratch); /* each begins without memory */
		printf("json: %s\n", uniques[i].name);
		CHECK(json_check(slice_string(uniques[i].object), LEVELS, &object, &bad_at));
		CHECK(json_names_are_unique(object, 4, &scratch) == uniques[i].is_unique);
		CHECK(json_read_strictly(slice_string(uniques[i].object), LEVELS, NULL, 0, 4,
		                         &scratch) == uniques[i].is_unique);
	}
	struct json_field field = {.name = "a"};
	printf("json: a strict object may have blanks around it\n");
	CHECK(json_read_strictly(SLICE(" \n{\"a\":5} "), 1, &field, 1, 4, &scratch));
	CHECK(slice_is(field.value.raw, "5"));
	printf("json: a list is no strict object\n");
	CHECK(!json_read_strictly(SLICE("[]"), 1, &field, 1, 4, &scratch));
	CHECK(!json_read_strictly(SLICE("{\"a\":[]}"), 1, &field, 1, 4, &scratch));
	buf_free(&scratch);
}

static void walk_run(void)
{
	printf("json: what a container holds is walked in order, raw\n");
	struct json_value value, item;
	struct slice key;
	size_t bad_at;
	CHECK(json_check(SLICE("[ 1 , \"a,]\" , [2,3] ]"), LEVELS, &value, &bad_at));
	struct slice rest = json_open(value);
	CHECK(json_next_element(&rest, &item) && slice_is(item.raw, "1"));
	CHECK(json_next_element(&rest, &item) && slice_is(item.raw, "\"a,]\""));
	CHECK(json_next_element(&rest, &item) && item.kind == JSON_ARRAY);
	struct slice inner = json_open(item);
	CHECK(json_next_element(&inner, &item) && slice_is(item.raw, "2"));
	CHECK(json_next_element(&inner, &item) && slice_is(item.raw, "3"));
	CHECK(!json_next_element(&inner, &item) && !json_next_element(&rest, &item));

	CHECK(json_check(SLICE("{ \"a\" : {} , \"\\n\":-1}"), LEVELS, &value, &bad_at));
	rest = json_open(value);
	CHECK(json_next_member(&rest, &key, &item));
	CHECK(slice_is(key, "\"a\"") && item.kind == JSON_OBJECT);
	CHECK(json_next_member(&rest, &key, &item));
	CHECK(slice_is(key, "\"\\n\"") && slice_is(item.raw, "-1"));
	CHECK(!json_next_member(&rest, &key, &item));
	CHECK(json_check(SLICE("[ ]"), LEVELS, &value, &bad_at));
	rest = json_open(value);
	CHECK(!json_next_element(&rest, &item));
}

static const struct {
	const char *name;
	struct slice raw;
	struct slice decoded; /* at NULL: refused */
} strings[] = {
	{"an empty string is empty", BYTES("\"\""), BYTES("")},
	{"plain text stands for itself", BYTES("\"a/b \xc3\xa9\""), BYTES("a/b \xc3\xa9")},
	{"short escapes", BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), BYTES("\"\\/\b\f\n\r\t")},
	{"one byte", BYTES("\"<\\u0041\\u007f>\""), BYTES("<A\x7f>")},
	{"NUL", BYTES("\"\\u0000\""), BYTES("\0")},
	{"two bytes, either case", BYTES("\"\\u00e9\\u07FF\""), BYTES("\xc3\xa9\xdf\xbf")},
	{"three bytes", BYTES("\"\\u20aC\\uffff\""), BYTES("\xe2\x82\xac\xef\xbf\xbf")},
	{"pairs join", BYTES("\"\\ud83d\\uDE00\\uD800\\udc00\""),
         BYTES("\xf0\x9f\x98\x80\xf0\x90\x80\x80")},
	{"the last pair", BYTES("\"\\udbff\\udfff\""), BYTES("\xf4\x8f\xbf\xbf")},
	{"the neighbours of the surrogates", BYTES("\"\\ud7ff\\ue000\""),
         BYTES("\xed\x9f\xbf\xee\x80\x80")},
	{"a first half alone is refused", BYTES("\"ab\\ud83d\""), {NULL, 0}},
	{"a first half before text is refused", BYTES("\"\\ud83dx\""), {NULL, 0}},
	{"a first half before an escape is refused", BYTES("\"\\ud83d\\n\""), {NULL, 0}},
	{"two first halves are refused", BYTES("\"\\ud83d\\ud83d\\ude00\""), {NULL, 0}},
	{"a first half before a letter's code is refused", BYTES("\"\\udbff\\u0041\""), {NULL, 0}},
	{"two second halves are refused", BYTES("\"\\ude00\\ude00\""), {NULL, 0}},
	{"a second half alone is refused", BYTES("\"\\ude00\""), {NULL, 0}},
	{"halves the wrong way round are refused", BYTES("\"\\ude00\\ud83d\""), {NULL, 0}},
};

static void string_run(size_t i)
{
	struct slice raw = strings[i].raw, decoded = strings[i].decoded;
	struct buf out = {0};
	char *copy = guard_copy(raw);
	buf_string(&out, "before");
	CHECK(json_string_decode(slice_of(copy, raw.len), &out) == (decoded.at != NULL));
	CHECK(slice_starts(buf_view(&out), SLICE("before")));
	CHECK(slice_equals(slice_after(buf_view(&out), 6), decoded));

	CHECK(json_string_equals(slice_of(copy, raw.len), decoded) == (decoded.at != NULL));
	CHECK(!json_string_equals(slice_of(copy, raw.len), SLICE("other")));
	buf_char(&out, '!');
	CHECK(!json_string_equals(slice_of(copy, raw.len), slice_after(buf_view(&out), 6)));
	guard_drop(copy, raw.len);
	buf_free(&out);
}

static const struct {
	const char *name;
	struct slice text;
	const char *json;
} written[] = {
	{"an empty string is two quotes", BYTES(""), "\"\""},
	{"UTF-8 and the line separators stand raw", BYTES("\xc3\xa9\xe2\x80\xa8\xe2\x80\xa9"),
         "\"\xc3\xa9\xe2\x80\xa8\xe2\x80\xa9\""},
	{"quote and backslash are escaped", BYTES("say \"\\\""), "\"say \\\"\\\\\\\"\""},
	{"a slash and DEL are not", BYTES("</\x7f"), "\"</\x7f\""},
	{"control characters with a letter", BYTES("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
	{"control characters without one", BYTES("\0\x01\x1f"), "\"\\u0000\\u0001\\u001f\""},
	{"an escape far in is found", BYTES("0123456789abcdef\"\xc3\xa9\n"),
         "\"0123456789abcdef\\\"\xc3\xa9\\n\""},
};

static void written_run(size_t i)
{
	struct buf out = {0}, back = {0};
	char *copy = guard_copy(written[i].text);
	json_string_append(&out, slice_of(copy, written[i].text.len));
	CHECK(slice_is(buf_view(&out), written[i].json));
	CHECK(json_string_decode(buf_view(&out), &back));
	CHECK(slice_equals(buf_view(&back), written[i].text));
	guard_drop(copy, written[i].text.len);
	buf_free(&out);
	buf_free(&back);
}

/* Each byte, at each place of two words: the fast path and the slow one agree. */
static void bytes_run(void)
{
	printf("json: every byte at every place of a word is escaped or not by the same rule\n");
	for (unsigned byte = 0; byte < 0x80; byte++) {
		for (size_t place = 0; place < 16; place++) {
			char text[16];
			memset(text, 'a', sizeof(text));
			text[place] = (char)byte;
			struct buf out = {0}, raw = {0};
			json_string_append(&out, slice_of(text, sizeof(text)));
			buf_char(&raw, '"');
			buf_append(&raw, text, sizeof(text));
			buf_char(&raw, '"');

			struct json_value value;
			size_t bad_at;
			bool is_plain = byte >= 0x20 && byte != '"' && byte != '\\';
			CHECK(slice_equals(buf_view(&out), buf_view(&raw)) == is_plain);
			CHECK(json_check(buf_view(&raw), 0, &value, &bad_at) == is_plain);
			CHECK(json_check(buf_view(&out), 0, &value, &bad_at));
			buf_free(&out);
			buf_free(&raw);
		}
	}
}

static const struct {
	const char *name;
	struct slice text;
	bool is_u64;
	uint64_t number;
} numbers[] = {
	{"zero is a whole number", BYTES("0"), true, 0},
	{"blanks around a number do not count", BYTES(" 25 "), true, 25},
	{"the largest one", BYTES("18446744073709551615"), true, UINT64_MAX},
	{"one more is too large", BYTES("18446744073709551616"), false, 0},
	{"a sign is refused", BYTES("-0"), false, 0},
	{"a fraction is refused", BYTES("1.0"), false, 0},
	{"an exponent is refused", BYTES("1e2"), false, 0},
	{"digits in a string are refused", BYTES("\"1\""), false, 0},
	{"null is no number", BYTES("null"), false, 0},
};

static void number_run(size_t i)
{
	struct json_value value;
	size_t bad_at;
	uint64_t number = 0;
	CHECK(json_check(numbers[i].text, 0, &value, &bad_at));
	CHECK(json_to_u64(value, &number) == numbers[i].is_u64);
	CHECK(number == numbers[i].number);
}

#define RUN(table, run)                                                                            \
	for (size_t i = 0; i < COUNT_OF(table); i++) {                                             \
		printf("json: %s\n", (table)[i].name);                                             \
		run(i);                                                                            \
	}

int main(void)
{
	RUN(cases, case_run)
	RUN(objects, object_run)
	RUN(skims, skim_run)
	RUN(strings, string_run)
	RUN(written, written_run)
	RUN(numbers, number_run)
	depth_run();
	unique_run();
	walk_run();
	bytes_run();
	return 0;
}
