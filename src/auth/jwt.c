#include "auth/jwt.h"

#include "base/text.h"
#include "starling/limits.h"

const char *const jwt_no_memory = "the server is out of memory";

bool jwt_reader_init(struct jwt_reader *reader)
{
	*reader = (struct jwt_reader){0};
	return verifier_init(&reader->verifier);
}

void jwt_reader_free(struct jwt_reader *reader)
{
	verifier_free(&reader->verifier);
	buf_free(&reader->header);
	buf_free(&reader->payload);
	buf_free(&reader->scratch);
}

/* ---- the parts of a token ---- */

struct parts {
	struct slice header, payload, signature; /* in base64url */
	struct slice signed_text;                /* header and payload, with the dot */
};

static bool cut_parts(struct slice token, struct parts *parts)
{
	struct slice rest = token;
	if (!slice_cut(&rest, '.', &parts->header) || !slice_cut(&rest, '.', &parts->payload) ||
	    rest.at == NULL)
		return false;
	parts->signature = rest;
	parts->signed_text = slice_of(token.at, parts->header.len + 1 + parts->payload.len);
	return rest.len > 0 && memchr(rest.at, '.', rest.len) == NULL;
}

/* NULL: `out` holds what the text says. */
static const char *decode(struct slice text, struct buf *out)
{
	size_t len = text_base64url_bytes(text.len);
	buf_clear(out);
	char *room = buf_room(out, len);
	if (room == NULL)
		return jwt_no_memory;
	if (!text_to_base64url(text, room))
		return "a part of the token is not base64url";
	buf_grew(out, len);
	return NULL;
}

/* ---- the header ---- */

enum header_field { HEADER_ALG = 0, HEADER_KID, HEADER_CRIT, HEADER_B64, HEADER_FIELD_COUNT };

struct header {
	enum key_algorithm algorithm;
	struct slice kid; /* `at` is NULL: none */
};

static bool find_algorithm(struct json_value alg, enum key_algorithm *algorithm)
{
	for (size_t i = 0; i < KEY_ALGORITHM_COUNT && alg.kind == JSON_STRING; i++) {
		if (json_string_equals(alg.raw, slice_string(key_algorithm_names[i]))) {
			*algorithm = (enum key_algorithm)i;
			return true;
		}
	}
	return false;
}

static const char *read_kid(struct json_value value, struct buf *text, struct slice *kid)
{
	*kid = slice_of(NULL, 0);
	if (value.kind == JSON_NONE)
		return NULL;
	buf_clear(text);
	buf_char(text, '\0'); /* so that an empty one lies somewhere too */
	if (value.kind != JSON_STRING || !json_string_decode(value.raw, text))
		return "the token's kid is no text";
	*kid = slice_after(buf_view(text), 1);
	return text->is_broken ? jwt_no_memory : NULL;
}

static const char *read_header(struct jwt_reader *reader, struct header *header)
{
	struct json_field fields[HEADER_FIELD_COUNT] = {[HEADER_ALG] = {.name = "alg"},
	                                                [HEADER_KID] = {.name = "kid"},
	                                                [HEADER_CRIT] = {.name = "crit"},
	                                                [HEADER_B64] = {.name = "b64"}};
	if (!json_read_strictly(buf_view(&reader->header), MESSAGE_DEPTH_MAX, fields,
	                        HEADER_FIELD_COUNT, JWT_HEADER_NAMES_MAX, &reader->scratch))
		return reader->scratch.is_broken
		               ? jwt_no_memory
		               : "the token's header is no JSON object with each name once";
	/* What is critical must be understood, and there is nothing that we do. A payload that is
	 * not base64url is none of a JWT (RFC 7797 section 7). */
	if (fields[HEADER_CRIT].value.kind != JSON_NONE ||
	    fields[HEADER_B64].value.kind != JSON_NONE)
		return "the token's header asks for what is not done here (crit, b64)";
	if (!find_algorithm(fields[HEADER_ALG].value, &header->algorithm))
		return "no key is for the token's algorithm";
	return read_kid(fields[HEADER_KID].value, &reader->scratch, &header->kid);
}

/* ---- the signature ---- */

static const char *check_signature(struct jwt_reader *reader, const struct key_set *keys,
                                   const struct header *header, const struct parts *parts)
{
	char bytes[SIGNATURE_BYTES_MAX];
	struct slice signature = {bytes, text_base64url_bytes(parts->signature.len)};
	if (signature.len > sizeof(bytes) || !text_to_base64url(parts->signature, bytes))
		return "the token's signature is not base64url, or too long";
	const struct key *key = key_set_next(keys, NULL, header->algorithm, header->kid);
	if (key == NULL)
		return "no key is for the token's algorithm and kid";
	for (; key != NULL; key = key_set_next(keys, key, header->algorithm, header->kid)) {
		reader->spent_us += key->cost_us;
		if (verifier_check(&reader->verifier, key, header->algorithm, parts->signed_text,
		                   signature)) {
			reader->key_number = key->number;
			return NULL;
		}
	}
	return "the token's signature is not that of a key";
}

const char *jwt_open(struct jwt_reader *reader, const struct key_set *keys, struct slice token)
{
	struct parts parts;
	struct header header;
	if (token.len > TOKEN_BYTES_MAX)
		return "the token is too long";
	if (!cut_parts(token, &parts))
		return "the token is not of three parts with dots between";
	const char *why = decode(parts.header, &reader->header);
	if (why == NULL)
		why = read_header(reader, &header);
	if (why == NULL)
		why = check_signature(reader, keys, &header, &parts);
	return why != NULL ? why : decode(parts.payload, &reader->payload);
}

/* ---- making ---- */

static void append_base64url(struct buf *out, struct slice bytes)
{
	size_t len = text_base64url_len(bytes.len);
	char *room = buf_room(out, len);
	if (room != NULL)
		buf_grew(out, text_from_base64url(room, bytes.at, bytes.len));
}

void jwt_make(struct jwt_reader *reader, const struct key_set *keys, struct slice payload,
              struct buf *out)
{
	const struct key *key = key_set_next(keys, NULL, KEY_HS256, slice_of(NULL, 0));
	unsigned char signature[SIGNATURE_BYTES_MAX];
	size_t start = out->len;
	CHECK(key != NULL);
	append_base64url(out, SLICE("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
	buf_char(out, '.');
	append_base64url(out, payload);
	if (out->is_broken)
		return;
	struct slice text = slice_after(buf_view(out), start);
	size_t len = verifier_sign(&reader->verifier, key, KEY_HS256, text, signature);
	buf_char(out, '.');
	append_base64url(out, slice_of((const char *)signature, len));
	out->is_broken |= len == 0;
}
