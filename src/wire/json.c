/*
 * Nested values are walked without recursion. A value is begun, then followed up: after it
 * comes a comma, and with it the next value, or its container ends. `objects` remembers
 * what each container is.
 */
#include "wire/json.h"

#include "base/check.h"
#include "base/text.h"
#include "wire/utf8.h"

#define BYTES_OF(byte) ((byte)*0x0101010101010101u)

struct json_scan {
	const char *start, *at, *end;
	uint64_t objects; /* a bit for each open bracket, set for '{', the innermost lowest */
	unsigned depth, depth_max;
	bool is_skim; /* what lies deeper is passed over, not refused */
};

enum json_step {
	JSON_STEP_BAD = 0, /* at `at` */
	JSON_STEP_VALUE,   /* a value must come next */
	JSON_STEP_ENDED,   /* a value has just ended */
};

/* A letter after the backslash, and what it stands for. '/' needs no escape: never written. */
static const struct {
	char letter, byte;
} escapes[] = {
	{'"', '"'},  {'\\', '\\'}, {'n', '\n'}, {'r', '\r'},
	{'t', '\t'}, {'b', '\b'},  {'f', '\f'}, {'/', '/'},
};

static struct json_scan scan_of(struct slice text, unsigned depth_max)
{
	CHECK(depth_max <= JSON_DEPTH_MAX);
	const char *start = text.len > 0 ? text.at : "";
	return (struct json_scan){
		.start = start, .at = start, .end = start + text.len, .depth_max = depth_max};
}

static void scan_blanks(struct json_scan *scan)
{
	while (scan->at < scan->end &&
	       (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
		scan->at++;
}

static bool scan_take(struct json_scan *scan, char c)
{
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

static bool scan_literal(struct json_scan *scan, const char *literal)
{
	while (*literal != '\0') {
		if (!scan_take(scan, *literal++))
			return false;
	}
	return true;
}

static bool scan_digits(struct json_scan *scan)
{
	const char *first = scan->at;
	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	return scan->at > first;
}

static bool scan_number(struct json_scan *scan)
{
	scan_take(scan, '-');
	if (!scan_take(scan, '0') && !scan_digits(scan))
		return false;
	if (scan_take(scan, '.') && !scan_digits(scan))
		return false;
	if (!scan_take(scan, 'e') && !scan_take(scan, 'E'))
		return true;
	if (!scan_take(scan, '+'))
		scan_take(scan, '-');
	return scan_digits(scan);
}

/* Whether one of the eight bytes is a quote, a backslash, below 0x20, or has a bit of `stop`. */
static bool word_has_special(const char *bytes, unsigned char stop)
{
	uint64_t word;
	memcpy(&word, bytes, sizeof(word));
	uint64_t quote = word ^ BYTES_OF('"');
	uint64_t backslash = word ^ BYTES_OF('\\');
	/* A byte less than what is taken from it borrows, and has its top bit to show. */
	uint64_t below = (quote - BYTES_OF(1)) & ~quote;
	below |= (backslash - BYTES_OF(1)) & ~backslash;
	below |= (word - BYTES_OF(0x20)) & ~word;
	return ((below & BYTES_OF(0x80)) | (word & BYTES_OF(stop))) != 0;
}

/* The bytes in front that stand for themselves in a string and have no bit of `stop`. */
static size_t plain_run(const char *bytes, size_t len, unsigned char stop)
{
	size_t run = 0;
	while (len - run >= sizeof(uint64_t) && !word_has_special(bytes + run, stop))
		run += sizeof(uint64_t);
	for (; run < len; run++) {
		unsigned char c = (unsigned char)bytes[run];
		if (c < 0x20 || c == '"' || c == '\\' || (c & stop) != 0)
			break;
	}
	return run;
}

static bool is_hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool scan_escape(struct json_scan *scan)
{
	if (!scan_take(scan, '\\'))
		return false;
	if (scan_take(scan, 'u')) {
		for (int i = 0; i < 4; i++) {
			if (scan->at == scan->end || !is_hex_digit(*scan->at))
				return false;
			scan->at++;
		}
		return true;
	}
	for (size_t i = 0; i < COUNT_OF(escapes); i++) {
		if (scan_take(scan, escapes[i].letter))
			return true;
	}
	return false;
}

static bool scan_non_ascii(struct json_scan *scan)
{
	size_t len = 0;
	while (scan->at + len < scan->end && (unsigned char)scan->at[len] >= 0x80)
		len++;
	struct utf8 utf8 = {0};
	size_t good = utf8_check(&utf8, scan->at, len);
	scan->at += good;
	return len > 0 && good == len && utf8_is_whole(&utf8);
}

static bool scan_string(struct json_scan *scan)
{
	if (!scan_take(scan, '"'))
		return false;
	for (;;) {
		scan->at += plain_run(scan->at, (size_t)(scan->end - scan->at), 0x80);
		if (scan_take(scan, '"'))
			return true;
		if (scan->at == scan->end)
			return false;
		if (*scan->at == '\\' ? !scan_escape(scan) : !scan_non_ascii(scan))
			return false;
	}
}

/* A key and its colon. */
static bool scan_key(struct json_scan *scan, struct slice *key_raw)
{
	scan_blanks(scan);
	const char *first = scan->at;
	if (!scan_string(scan))
		return false;
	*key_raw = slice_of(first, (size_t)(scan->at - first));
	scan_blanks(scan);
	return scan_take(scan, ':');
}

static bool scan_open(struct json_scan *scan, char bracket)
{
	if (scan->depth == scan->depth_max || !scan_take(scan, bracket))
		return false;
	scan->objects = scan->objects << 1 | (bracket == '{');
	scan->depth++;
	scan_blanks(scan);
	return true;
}

static bool scan_close(struct json_scan *scan)
{
	CHECK(scan->depth > 0);
	if (!scan_take(scan, (scan->objects & 1) != 0 ? '}' : ']'))
		return false;
	scan->objects >>= 1;
	scan->depth--;
	return true;
}

/* To the bracket that closes the one here, whatever kinds those between are of. */
static bool scan_over(struct json_scan *scan)
{
	size_t open = 0;
	do {
		if (scan->at == scan->end)
			return false;
		char c = *scan->at;
		if (c == '"') {
			if (!scan_string(scan))
				return false;
			continue;
		}
		scan->at++;
		open += c == '[' || c == '{';
		open -= c == ']' || c == '}';
	} while (open > 0);
	return true;
}

static enum json_step scan_begin_container(struct json_scan *scan, char bracket)
{
	if (scan->is_skim && scan->depth == scan->depth_max)
		return scan_over(scan) ? JSON_STEP_ENDED : JSON_STEP_BAD;
	if (!scan_open(scan, bracket))
		return JSON_STEP_BAD;
	if (scan_close(scan))
		return JSON_STEP_ENDED;
	struct slice key_raw;
	return bracket == '[' || scan_key(scan, &key_raw) ? JSON_STEP_VALUE : JSON_STEP_BAD;
}

static enum json_kind kind_of(char first)
{
	switch (first) {
	case 'n':
		return JSON_NULL;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case '"':
		return JSON_STRING;
	case '[':
		return JSON_ARRAY;
	case '{':
		return JSON_OBJECT;
	default:
		return first == '-' || (first >= '0' && first <= '9') ? JSON_NUMBER : JSON_NONE;
	}
}

static bool scan_scalar(struct json_scan *scan, enum json_kind kind)
{
	switch (kind) {
	case JSON_NULL:
		return scan_literal(scan, "null");
	case JSON_TRUE:
		return scan_literal(scan, "true");
	case JSON_FALSE:
		return scan_literal(scan, "false");
	case JSON_STRING:
		return scan_string(scan);
	case JSON_NUMBER:
		return scan_number(scan);
	default:
		return false;
	}
}

static enum json_step scan_begin(struct json_scan *scan)
{
	scan_blanks(scan);
	if (scan->at == scan->end)
		return JSON_STEP_BAD;
	enum json_kind kind = kind_of(*scan->at);
	if (kind == JSON_ARRAY || kind == JSON_OBJECT)
		return scan_begin_container(scan, *scan->at);
	return scan_scalar(scan, kind) ? JSON_STEP_ENDED : JSON_STEP_BAD;
}

static enum json_step scan_follow(struct json_scan *scan)
{
	scan_blanks(scan);
	if (scan_close(scan))
		return JSON_STEP_ENDED;
	if (!scan_take(scan, ','))
		return JSON_STEP_BAD;
	struct slice key_raw;
	bool is_array = (scan->objects & 1) == 0;
	return is_array || scan_key(scan, &key_raw) ? JSON_STEP_VALUE : JSON_STEP_BAD;
}

static bool scan_value(struct json_scan *scan, struct json_value *value)
{
	scan_blanks(scan);
	const char *first = scan->at;
	unsigned floor = scan->depth;
	enum json_step step = scan_begin(scan);
	while (step == JSON_STEP_VALUE || (step == JSON_STEP_ENDED && scan->depth > floor))
		step = step == JSON_STEP_VALUE ? scan_begin(scan) : scan_follow(scan);
	if (step == JSON_STEP_BAD)
		return false;
	CHECK(scan->depth == floor);
	CHECK(scan->at > first);
	*value = (struct json_value){kind_of(*first), slice_of(first, (size_t)(scan->at - first))};
	return true;
}

/* After the value: nothing but blanks may be left. */
static bool scan_end(struct json_scan *scan, bool is_good, size_t *bad_at)
{
	CHECK(scan->at <= scan->end);
	CHECK(!is_good || scan->depth == 0);
	if (is_good)
		scan_blanks(scan);
	if (is_good && scan->at == scan->end)
		return true;
	*bad_at = (size_t)(scan->at - scan->start);
	return false;
}

bool json_check(struct slice text, unsigned depth_max, struct json_value *value, size_t *bad_at)
{
	struct json_scan scan = scan_of(text, depth_max);
	struct json_value found;
	bool is_good = scan_value(&scan, &found);
	if (!scan_end(&scan, is_good, bad_at))
		return false;
	*value = found;
	return true;
}

static bool scan_member(struct json_scan *scan, struct slice *key_raw, struct json_value *value)
{
	return scan_key(scan, key_raw) && scan_value(scan, value);
}

/* A raw key holds no NUL, so the name's end stops the walk where the key is longer. */
static bool key_is(struct slice key, const char *name)
{
	size_t i = 0;
	while (i < key.len && key.at[i] == name[i])
		i++;
	return i == key.len && name[i] == '\0';
}

static void fields_fill(struct json_field *fields, size_t count, struct slice key_raw,
                        struct json_value value)
{
	CHECK(key_raw.len >= 2);
	struct slice key = slice_of(key_raw.at + 1, key_raw.len - 2);
	bool is_escaped = memchr(key.at, '\\', key.len) != NULL;
	for (size_t i = 0; i < count; i++) {
		const char *name = fields[i].name;
		if (is_escaped ? json_string_equals(key_raw, slice_string(name))
		               : key_is(key, name))
			fields[i].value = value;
	}
}

static bool scan_fields(struct json_scan *scan, struct json_field *fields, size_t count)
{
	scan_blanks(scan);
	if (!scan_open(scan, '{'))
		return false;
	if (scan_close(scan))
		return true;
	do {
		struct slice key_raw;
		struct json_value value;
		if (!scan_member(scan, &key_raw, &value))
			return false;
		fields_fill(fields, count, key_raw, value);
		scan_blanks(scan);
	} while (scan_take(scan, ','));
	return scan_close(scan);
}

static bool read_fields(struct json_scan *scan, struct json_field *fields, size_t count,
                        size_t *bad_at)
{
	for (size_t i = 0; i < count; i++)
		fields[i].value = (struct json_value){0};
	bool is_good = scan_fields(scan, fields, count);
	return scan_end(scan, is_good, bad_at);
}

bool json_read_object(struct slice text, unsigned depth_max, struct json_field *fields,
                      size_t count, size_t *bad_at)
{
	struct json_scan scan = scan_of(text, depth_max);
	return read_fields(&scan, fields, count, bad_at);
}

bool json_skim_object(struct slice text, unsigned depth_max, struct json_field *fields,
                      size_t count, size_t *bad_at)
{
	struct json_scan scan = scan_of(text, depth_max);
	scan.is_skim = true;
	return read_fields(&scan, fields, count, bad_at);
}

struct slice json_open(struct json_value value)
{
	CHECK(value.kind == JSON_ARRAY || value.kind == JSON_OBJECT);
	CHECK(value.raw.len >= 2);
	return slice_of(value.raw.at + 1, value.raw.len - 2);
}

/* A scan of what is left in a container; false: nothing is. */
static bool scan_rest(struct json_scan *scan, struct slice rest, unsigned depth_max)
{
	*scan = scan_of(rest, depth_max);
	scan_blanks(scan);
	return scan->at < scan->end;
}

static struct slice rest_after_comma(struct json_scan *scan)
{
	scan_blanks(scan);
	CHECK(scan->at == scan->end || *scan->at == ',');
	scan_take(scan, ',');
	return slice_of(scan->at, (size_t)(scan->end - scan->at));
}

bool json_next_element(struct slice *rest, struct json_value *value)
{
	struct json_scan scan;
	if (!scan_rest(&scan, *rest, JSON_DEPTH_MAX))
		return false;
	CHECK(scan_value(&scan, value)); /* accepted before */
	*rest = rest_after_comma(&scan);
	return true;
}

bool json_skim_element(struct slice *rest, unsigned depth_max, struct json_value *value)
{
	struct json_scan scan;
	if (!scan_rest(&scan, *rest, depth_max))
		return false;
	scan.is_skim = true;
	CHECK(scan_value(&scan, value)); /* accepted before */
	*rest = rest_after_comma(&scan);
	return true;
}

bool json_next_member(struct slice *rest, struct slice *key_raw, struct json_value *value)
{
	struct json_scan scan;
	if (!scan_rest(&scan, *rest, JSON_DEPTH_MAX))
		return false;
	CHECK(scan_member(&scan, key_raw, value)); /* accepted before */
	*rest = rest_after_comma(&scan);
	return true;
}

bool json_names_are_unique(struct json_value object, size_t count_max, struct buf *scratch)
{
	size_t ends[JSON_NAMES_MAX + 1] = {0}, count = 0;
	struct slice rest = json_open(object), key_raw;
	struct json_value value;
	CHECK(count_max <= JSON_NAMES_MAX);
	buf_clear(scratch);
	if (buf_room(scratch, 1) == NULL) /* empty names too lie somewhere */
		return false;
	while (json_next_member(&rest, &key_raw, &value)) {
		if (count == count_max || !json_string_decode(key_raw, scratch))
			return false;
		size_t start = ends[count];
		struct slice name = buf_since(scratch, start);
		for (size_t i = 0; i < count; i++) {
			size_t len = ends[i + 1] - ends[i];
			if (slice_equals(slice_of(scratch->at + ends[i], len), name))
				return false;
		}
		ends[++count] = scratch->len;
	}
	return !scratch->is_broken;
}

bool json_read_strictly(struct slice text, unsigned depth_max, struct json_field *fields,
                        size_t count, size_t names_max, struct buf *scratch)
{
	struct json_value object;
	size_t bad_at;
	buf_clear(scratch);
	return json_check(text, depth_max, &object, &bad_at) && object.kind == JSON_OBJECT &&
	       json_read_object(object.raw, depth_max, fields, count, &bad_at) &&
	       json_names_are_unique(object, names_max, scratch);
}

static uint32_t hex_value(const char *digits)
{
	uint32_t value = 0;
	for (int i = 0; i < 4; i++) {
		CHECK(is_hex_digit(digits[i]));
		/* Letters of either case have bit 6 set, and A ends in 1. */
		uint32_t letter = (digits[i] & 0x40) != 0 ? 9 : 0;
		value = value << 4 | (((uint32_t)digits[i] & 0xf) + letter);
	}
	return value;
}

static bool is_between(uint32_t code, uint32_t first, uint32_t last)
{
	return code >= first && code <= last;
}

/* What a \u escape at the front stands for, with the second half of a pair. */
static bool unicode_escape_cut(struct slice *rest, uint32_t *code)
{
	CHECK(rest->len >= 6);
	*code = hex_value(rest->at + 2);
	*rest = slice_after(*rest, 6);
	if (!is_between(*code, 0xd800, 0xdfff))
		return true;
	if (*code >= 0xdc00 || !slice_starts(*rest, SLICE("\\u")))
		return false;
	CHECK(rest->len >= 6);
	uint32_t low = hex_value(rest->at + 2);
	if (!is_between(low, 0xdc00, 0xdfff))
		return false;
	*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	*rest = slice_after(*rest, 6);
	return true;
}

static char escape_byte(char letter)
{
	size_t i = 0;
	while (escapes[i].letter != letter) {
		i++;
		CHECK(i < COUNT_OF(escapes));
	}
	return escapes[i].byte;
}

/*
 * Cuts a piece off the front of a string's inside: a run that stands for itself, or one
 * escape, decoded into `decoded`. False: a lone surrogate.
 */
static bool string_piece_cut(struct slice *rest, char decoded[4], struct slice *piece)
{
	CHECK(rest->len > 0);
	if (rest->at[0] != '\\') {
		const char *end = memchr(rest->at, '\\', rest->len);
		*piece = slice_of(rest->at, end != NULL ? (size_t)(end - rest->at) : rest->len);
		*rest = slice_after(*rest, piece->len);
		return true;
	}
	CHECK(rest->len >= 2);
	*piece = slice_of(decoded, 1);
	if (rest->at[1] != 'u') {
		decoded[0] = escape_byte(rest->at[1]);
		*rest = slice_after(*rest, 2);
		return true;
	}
	uint32_t code;
	if (!unicode_escape_cut(rest, &code))
		return false;
	piece->len = utf8_from_code(decoded, code);
	return true;
}

static struct slice string_inside(struct slice raw)
{
	CHECK(raw.len >= 2);
	CHECK(raw.at[0] == '"');
	CHECK(raw.at[raw.len - 1] == '"');
	return slice_of(raw.at + 1, raw.len - 2);
}

bool json_string_decode(struct slice raw, struct buf *out)
{
	struct slice rest = string_inside(raw), piece;
	size_t len_before = out->len;
	char decoded[4];
	while (rest.len > 0) {
		if (!string_piece_cut(&rest, decoded, &piece)) {
			buf_cut_to(out, len_before);
			return false;
		}
		buf_slice(out, piece);
	}
	return true;
}

bool json_string_equals(struct slice raw, struct slice text)
{
	struct slice rest = string_inside(raw), piece;
	char decoded[4];
	while (rest.len > 0) {
		if (!string_piece_cut(&rest, decoded, &piece) || !slice_starts(text, piece))
			return false;
		text = slice_after(text, piece.len);
	}
	return text.len == 0;
}

static void escape_append(struct buf *out, char byte)
{
	for (size_t i = 0; i < COUNT_OF(escapes); i++) {
		if (escapes[i].byte == byte) {
			buf_append(out, (char[]){'\\', escapes[i].letter}, 2);
			return;
		}
	}
	CHECK((unsigned char)byte < 0x20);
	char escape[6] = "\\u";
	text_from_hex(escape + 2, (unsigned char)byte, 4);
	buf_append(out, escape, sizeof(escape));
}

void json_string_append(struct buf *out, struct slice text)
{
	buf_char(out, '"');
	while (text.len > 0) {
		size_t run = plain_run(text.at, text.len, 0);
		buf_append(out, text.at, run);
		text = slice_after(text, run);
		if (text.len > 0) {
			escape_append(out, text.at[0]);
			text = slice_after(text, 1);
		}
	}
	buf_char(out, '"');
}

bool json_to_u64(struct json_value value, uint64_t *number)
{
	return value.kind == JSON_NUMBER && text_to_u64(value.raw, number);
}
