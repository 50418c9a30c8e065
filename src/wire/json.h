/*
 * json.h - JSON text (RFC 8259) checked where it lies, and strings and numbers taken from it.
 *
 * Threads:   pure functions; any thread.
 * Ownership: values, keys and fields are slices of the text they were read from. Only
 *            json_string_decode() and json_string_append() write, into the caller's buf.
 * Limits:    strict: nothing after the value, no byte order mark, no NaN, UTF-8 throughout,
 *            at most `depth_max` brackets open at once. The memory used does not depend on
 *            the text. Escapes of lone surrogates are grammatical, so they are accepted
 *            here and refused when decoded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define JSON_DEPTH_MAX 64  /* the largest `depth_max` */
#define JSON_NAMES_MAX 256 /* members that are compared with each other */

enum json_kind {
	JSON_NONE = 0,
	JSON_NULL,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_value {
	enum json_kind kind;
	struct slice raw; /* as written, without the blanks around it; strings with quotes */
};

struct json_field {
	const char *name;
	struct json_value value;
};

/* True: `*value` is set. False: `*bad_at` is the first byte that no JSON text could have there. */
bool json_check(struct slice text, unsigned depth_max, struct json_value *value, size_t *bad_at);

/*
 * Checks all of `text`, which must be an object, and fills in the values of the `count`
 * fields named: JSON_NONE where absent, the last one where repeated. Names are compared
 * with the keys as decoded; other keys are checked and passed over.
 */
bool json_read_object(struct slice text, unsigned depth_max, struct json_field *fields,
                      size_t count, size_t *bad_at);

/*
 * Of an accepted object: at most `count_max` members (up to JSON_NAMES_MAX), no two with one
 * name. Names are compared as decoded, in `scratch`; one that is no text is not unique. Where
 * memory is short the answer is false and the scratch broken.
 */
bool json_names_are_unique(struct json_value object, size_t count_max, struct buf *scratch);

/* The two together: an object in which each name stands once. */
bool json_read_strictly(struct slice text, unsigned depth_max, struct json_field *fields,
                        size_t count, size_t names_max, struct buf *scratch);

/*
 * Walks what an accepted array or object holds: start with json_open(), then take the next
 * element or member from `rest` until the answer is false. Keys keep quotes and escapes.
 */
struct slice json_open(struct json_value value);
bool json_next_element(struct slice *rest, struct json_value *value);
bool json_next_member(struct slice *rest, struct slice *key_raw, struct json_value *value);

/*
 * The same for an object of which a part may be nested too deep without spoiling the rest: what
 * is within more than `depth_max` brackets is passed over, its strings checked and its brackets
 * counted, but no more. A value with such a part is to be read again, strictly. The elements of an
 * array in it are taken with that `depth_max` less the brackets that are open around them.
 */
bool json_skim_object(struct slice text, unsigned depth_max, struct json_field *fields,
                      size_t count, size_t *bad_at);
bool json_skim_element(struct slice *rest, unsigned depth_max, struct json_value *value);

/*
 * Both take an accepted string with its quotes. Decoding appends UTF-8 to `out`; false: a
 * lone surrogate, `out` is as it was.
 */
bool json_string_decode(struct slice raw, struct buf *out);
bool json_string_equals(struct slice raw, struct slice text);

/* Appends `text` as a JSON string. It is UTF-8 (utf8_is_valid() when in doubt): no look here. */
void json_string_append(struct buf *out, struct slice text);

/* False: not a number of plain digits, or too large. */
bool json_to_u64(struct json_value value, uint64_t *number);
