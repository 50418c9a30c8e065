/*
 * wire/json and wire/utf8 over a page of text: one is a publication's data, the other what every
 * text frame goes through.
 */
#include "base/check.h"
#include "micro.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define TEXT_BYTES 4096

struct text {
	char bytes[TEXT_BYTES];
	size_t len;
};

/* As often as `piece` fits between `before` and `after`. */
static void text_fill(struct text *text, const char *before, const char *piece, const char *after)
{
	struct slice parts[] = {slice_string(before), slice_string(piece), slice_string(after)};
	memcpy(text->bytes, parts[0].at, parts[0].len);
	text->len = parts[0].len;
	while (text->len + parts[1].len + parts[2].len <= TEXT_BYTES) {
		memcpy(text->bytes + text->len, parts[1].at, parts[1].len);
		text->len += parts[1].len;
	}
	memcpy(text->bytes + text->len, parts[2].at, parts[2].len);
	text->len += parts[2].len;
}

static void check_json(void *argument, uint64_t operations)
{
	const struct text *text = argument;
	struct json_value value;
	size_t bad_at;
	for (uint64_t i = 0; i < operations; i++) {
		CHECK(json_check(slice_of(text->bytes, text->len), 32, &value, &bad_at));
		micro_use(value.raw.len);
	}
}

static void check_utf8(void *argument, uint64_t operations)
{
	const struct text *text = argument;
	for (uint64_t i = 0; i < operations; i++) {
		struct utf8 utf8 = {0};
		CHECK(utf8_check(&utf8, text->bytes, text->len) == text->len);
		micro_use(utf8.left);
	}
}

int main(int argc, char **argv)
{
	static struct text objects, strings, ascii, russian;
	text_fill(&objects, "[0",
	          ",{\"symbol\":\"ABC\",\"price\":101.25,\"size\":300,\"side\":\"buy\","
	          "\"flags\":[true,false,null]}",
	          "]");
	text_fill(&strings, "[\"\"",
	          ",\"a sentence of plain words, as people write them in a chat\"", "]");
	text_fill(&ascii, "", "a sentence of plain words. ", "");
	text_fill(&russian, "", "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 ", "");
	micro_begin(argc, argv);
	micro_measure("json.objects_4_kib", check_json, &objects);
	micro_measure("json.strings_4_kib", check_json, &strings);
	micro_measure("utf8.ascii_4_kib", check_utf8, &ascii);
	micro_measure("utf8.cyrillic_4_kib", check_utf8, &russian);
	return micro_end();
}
