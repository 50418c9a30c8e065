/*
 * Any text: no fault moves when what follows it is cut off, the one-pass object reader agrees
 * with the check and with the walk, and strings survive decoding and writing.
 */
#include <stdlib.h>

#include "base/check.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define LEVELS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly that many bytes, so that the sanitizer sees one too far. */
static char *copy_of(struct slice text)
{
	char *copy = malloc(text.len > 0 ? text.len : 1);
	CHECK(copy != NULL);
	if (text.len > 0)
		memcpy(copy, text.at, text.len);
	return copy;
}

static void fault_check(struct slice text, size_t bad_at)
{
	CHECK(bad_at <= text.len);
	struct json_value value;
	size_t cut_bad_at;
	size_t len = bad_at < text.len ? bad_at + 1 : bad_at;
	char *copy = copy_of(slice_of(text.at, len));
	CHECK(!json_check(slice_of(copy, len), LEVELS, &value, &cut_bad_at));
	CHECK(cut_bad_at == bad_at);
	bool is_good = json_check(slice_of(copy, bad_at), LEVELS, &value, &cut_bad_at);
	CHECK(is_good || cut_bad_at == bad_at);
	free(copy);
}

static void string_check(struct slice raw)
{
	struct buf decoded = {0}, written = {0}, again = {0};
	if (json_string_decode(raw, &decoded)) {
		CHECK(utf8_is_valid(buf_view(&decoded)));
		CHECK(json_string_equals(raw, buf_view(&decoded)));
		json_string_append(&written, buf_view(&decoded));
		struct json_value value;
		size_t bad_at;
		CHECK(json_check(buf_view(&written), 0, &value, &bad_at));
		CHECK(value.kind == JSON_STRING);
		CHECK(json_string_decode(buf_view(&written), &again));
		CHECK(slice_equals(buf_view(&again), buf_view(&decoded)));
	} else {
		CHECK(decoded.len == 0);
		CHECK(!json_string_equals(raw, SLICE("")));
	}
	buf_free(&decoded);
	buf_free(&written);
	buf_free(&again);
}

static void value_check(struct json_value value, unsigned level);

/* The fields found in one pass are the last ones of these names met when walking. */
static void object_check(struct json_value object, unsigned level)
{
	struct json_field fields[] = {{.name = "type"}, {.name = "a"}, {.name = ""}};
	struct json_value last[COUNT_OF(fields)] = {{0}};
	size_t bad_at;
	CHECK(json_read_object(object.raw, LEVELS, fields, COUNT_OF(fields), &bad_at));

	struct slice rest = json_open(object), key;
	struct json_value value;
	while (json_next_member(&rest, &key, &value)) {
		string_check(key);
		value_check(value, level + 1);
		for (size_t i = 0; i < COUNT_OF(fields); i++) {
			if (json_string_equals(key, slice_string(fields[i].name)))
				last[i] = value;
		}
	}
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		CHECK(fields[i].value.kind == last[i].kind);
		CHECK(fields[i].value.raw.at == last[i].raw.at);
		CHECK(fields[i].value.raw.len == last[i].raw.len);
	}
}

static void array_check(struct json_value array, unsigned level)
{
	struct slice rest = json_open(array);
	struct json_value value;
	while (json_next_element(&rest, &value))
		value_check(value, level + 1);
}

/* An accepted part of an accepted text is accepted by itself, as the same kind. */
static void value_check(struct json_value value, unsigned level)
{
	struct json_value again;
	size_t bad_at;
	uint64_t number;
	CHECK(level <= LEVELS);
	CHECK(json_check(value.raw, LEVELS - level, &again, &bad_at));
	CHECK(again.kind == value.kind);
	CHECK(slice_equals(again.raw, value.raw));
	CHECK(!json_to_u64(value, &number) || value.kind == JSON_NUMBER);
	if (value.kind == JSON_STRING)
		string_check(value.raw);
	else if (value.kind == JSON_ARRAY)
		array_check(value, level);
	else if (value.kind == JSON_OBJECT)
		object_check(value, level);
}

/* What a skim takes it can walk, and of its elements those are good that a strict look takes. */
static void skim_check(struct slice text, bool is_good)
{
	struct json_field field = {.name = "a"};
	struct json_value element, again;
	size_t bad_at;
	bool is_skimmed = json_skim_object(text, 4, &field, 1, &bad_at);
	CHECK(is_skimmed || !is_good);
	if (!is_skimmed || field.value.kind != JSON_ARRAY)
		return;
	struct slice rest = json_open(field.value);
	while (json_skim_element(&rest, 2, &element))
		CHECK(json_check(element.raw, LEVELS - 2, &again, &bad_at) || !is_good);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size);
	char *copy = copy_of(input);
	struct slice text = slice_of(copy, size);
	struct json_value value;
	size_t bad_at = SIZE_MAX, object_bad_at = SIZE_MAX;
	bool is_good = json_check(text, LEVELS, &value, &bad_at);
	bool is_object = json_read_object(text, LEVELS, NULL, 0, &object_bad_at);
	CHECK(is_object == (is_good && value.kind == JSON_OBJECT));
	CHECK(is_object || object_bad_at <= bad_at);
	skim_check(text, is_object);
	if (is_good) {
		CHECK(utf8_is_valid(text));
		value_check(value, 0);
	} else {
		fault_check(text, bad_at);
	}
	free(copy);
	return 0;
}
